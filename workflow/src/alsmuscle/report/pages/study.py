"""Study pages: what it is, whether its samples can be trusted, what it says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.bulk.metrics import OF_SAMPLE, OF_STUDY, Metric
from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.pages import calls, expression, raw_reads
from alsmuscle.report.site import Site

SEX_X, SEX_Y = "Y-chromosome genes (log2)", "XIST (log2)"


def _columns(metrics: Iterable[Metric]) -> list[c.Column]:
    return [c.Column(k.name, k.head, k.shown, k.digits, k.sign, k.title) for k in metrics if k.head]


QC_COLUMNS = (
    c.Column("sample_id", "Sample"),
    c.Column("group", "Group"),
    *_columns(OF_SAMPLE),
    c.Column("muscle", "Muscle", "number", 1, title="ACTA1, TTN and NEB, mean log2"),
    c.Column("fat", "Fat", "number", 1, title="Adipocyte markers, mean log2"),
    c.Column("blood", "Blood", "number", 1, title="Erythroid markers, mean log2"),
    c.Column("leukocyte", "Leukocytes", "number", 1, title="Leukocyte markers, mean log2"),
    c.Column("tendon", "Tendon", "number", 1, title="Tendon markers, mean log2"),
    c.Column("nerve", "Nerve", "number", 1, title="Myelin genes, mean log2"),
    c.Column("skin", "Skin", "number", 1, title="Epidermal markers, mean log2"),
    c.Column("slow_fast", "Slow − fast", "number", 1, True, "Slow minus fast fibre genes, log2"),
    c.Column("site_inferred", "Limb from RNA"),
    c.Column("sod1", "SOD1", "number", 1, title="log2; the human gene where a mouse matrix has it"),
    *_columns(OF_STUDY),
    c.Column("xist", "XIST", "number", 1),
    c.Column("y_genes", "Y genes", "number", 1),
    c.Column("sex", "Declared sex"),
    c.Column("sex_declared", "Declared sex"),
    c.Column("sex_inferred", "Sex from RNA"),
    c.Column("flags", "Flags"),
)
EXCLUDED_COLUMNS = (
    c.Column("kind", "Kind"),
    c.Column("dataset", "Study"),
    c.Column("id", "Id"),
    c.Column("what", "What"),
    c.Column("reason", "Reason"),
)
CHECK_COLUMNS = (
    c.Column("check", "What"),
    c.Column("state", "State"),
    c.Column("card", "The card says"),
    c.Column("found", "Found"),
)
COVARIATE_COLUMNS = (
    c.Column("component", "Component"),
    c.Column("covariate", "Goes with"),
    c.Column("r2", "Share explained", "number", 2),
    c.Column("n_samples", "Samples", "count"),
    c.Column("padj", "Adjusted p", "p"),
)
FLAG_COLUMNS = (
    c.Column("sample_id", "Sample"),
    c.Column("flag", "Flag"),
    c.Column("reason", "Metric, value, threshold"),
)


def page(site: Site, data: m.ReportData, study: m.StudyData, drawn: Collection[str]) -> str:
    """Return a study's page; ``drawn``: paths of the figures that exist (see :func:`figures`)."""
    path = m.study_path(study)
    root, card = m.root(path), study.card
    frame, flags = sample_view(study), flagged(study)
    contrasts = [
        {
            "label": wording.label(k.meta),
            "href": root + m.contrast_path(study, k),
            "sizes": wording.sizes(study, k),
            "sentence": estimates.sentence(study, k, estimates.headline(data, k, root), data.alpha),
            "genes": estimates.gene_sentence(k, data.alpha),
            "badges": wording.badges(study, k),
        }
        for k in study.contrasts
    ]
    if card.get("modality") == "calls":
        contrasts = calls.findings(data, study, root)
    return site.render(
        "study.html.j2",
        path=path,
        heading=f"{study.name}: {card.get('title') or 'untitled study'}",
        contrasts=contrasts,
        failures=[wording.reason(x) for x in study.failures],
        facts=card_facts(study),
        checked=checked_facts(card.get("facts")),
        checks=checks_table(study),
        completeness=study.completeness,
        account=root + study.files["completeness"] if "completeness" in study.files else "",
        caveats=[wording.spaced(x) for x in as_list(card.get("caveats"))],
        simulated=bool(card.get("simulated")),
        experimental=bool(card.get("experimental")),
        n_flagged=0 if flags is None else flags["sample_id"].nunique(),
        n_samples=0 if frame is None else len(frame),
        has_qc=frame is not None,
        flags=c.table(flags, FLAG_COLUMNS, caption="Quality flags", name=f"{card['id']}-flags")
        if flags is not None and len(flags)
        else Markup(""),
        pictures=_pictures(study, frame, root, drawn),
        qc=c.table(
            frame.assign(flags=[_listed(v) for v in frame["flags"]]) if "flags" in frame else frame,
            QC_COLUMNS,
            caption="Quality metrics per sample",
            name=f"{card['id']}-qc",
            full=root + study.files["qc"] if "qc" in study.files else None,
        )
        if frame is not None
        else c.not_computed("sample quality"),
        components=_components(study, data.alpha),
        reads=raw_reads.section(study, data.parameters),
        samples=samples_table(study, root),
        levels=expression.link(study, root),
        excluded=excluded_table(own(data.excluded, str(card["id"]))),
    )


def left_out_page(site: Site, study: m.StudyData) -> str:
    """Return the page of a study that is not in the results: why, what it is, what was checked."""
    return site.render(
        "left_out.html.j2",
        path=m.study_path(study),
        heading=f"{study.name}: {study.card.get('title') or 'untitled study'}",
        failures=[wording.reason(x) for x in study.failures],
        facts=card_facts(study),
        checked=checked_facts(study.card.get("facts")),
        checks=checks_table(study),
    )


# ---- tables -------------------------------------------------------------------------------------


def checks_table(study: m.StudyData) -> Markup:
    """Return what this run found of a study against what its card says; empty if nothing."""
    if study.checks is None or study.checks.empty:
        return Markup("")
    frame = study.checks.assign(
        check=[str(name).replace("files.", "file: ") for name in study.checks["check"]],
        found=study.checks["found"].map(wording.spaced, na_action="ignore"),
    )
    # Hashes that agree tell a reader nothing more; provenance lists them in full.
    same = (frame["state"] == "agrees") & frame["found"].astype(str).str.fullmatch("[0-9a-f]{64}")
    frame.loc[same, "card"] = [
        said if " " in str(said) else "the pinned SHA-256" for said in frame.loc[same, "card"]
    ]
    frame.loc[same, "found"] = "the same"
    return c.table(
        frame,
        CHECK_COLUMNS,
        caption="What was checked in this run",
        name=f"{study.card['id']}-checks",
    )


def _components(study: m.StudyData, alpha: float) -> Markup:
    """Return what goes with the principal components: pairs below ``alpha``, strongest first."""
    frame = study.covariates
    if frame is None:
        return c.not_computed("what drives the differences between samples")
    found = frame[frame["padj"] < alpha].sort_values("r2", ascending=False, kind="stable")
    if found.empty:
        return Markup("<p>No covariate or metric goes with a principal component.</p>")
    found = found.assign(
        component=found["component"].str.upper(),
        covariate=found["covariate"].str.replace("_", " "),
    )
    return c.table(
        found,
        COVARIATE_COLUMNS,
        caption="What the principal components go with",
        name=f"{study.card['id']}-components",
    )


def flagged(study: m.StudyData) -> pd.DataFrame | None:
    """Return one row per flag, ``sample_id, flag, reason``; ``None`` without a QC table.

    ``flags`` and ``reasons`` are lists joined by ``;``; when they differ in length, every flag
    gets all reasons.
    """
    if study.qc is None:
        return None
    rows: list[dict[str, Any]] = []
    qc = with_id(study.qc)
    for row in qc.to_dict("records") if "flags" in qc else []:
        flags, reasons = _split(row["flags"]), _split(row.get("reasons"))
        if len(reasons) != len(flags):
            reasons = ["; ".join(reasons)] * len(flags)
        rows += [
            {
                "sample_id": row["sample_id"],
                "flag": wording.flag(f),
                "reason": wording.flag_reason(r),
            }
            for f, r in zip(flags, reasons, strict=True)
        ]
    return pd.DataFrame(rows, columns=["sample_id", "flag", "reason"])


def _listed(flags: object) -> str:
    return "; ".join(wording.flag(flag) for flag in _split(flags))


def _split(value: object) -> list[str]:
    if c.is_missing(value):
        return []
    return [part.strip() for part in str(value).split(";") if part.strip()]


def with_id(frame: pd.DataFrame) -> pd.DataFrame:
    """Return ``frame`` with ``sample_id`` as a column, taken from the index where it is there."""
    return frame if "sample_id" in frame else frame.rename_axis("sample_id").reset_index()


def as_list(value: object) -> list[object]:
    """Return a list of what may be missing, single, or many."""
    if isinstance(value, (list, tuple)):
        return list(value)
    return [] if c.is_missing(value) else [value]


def sample_view(study: m.StudyData) -> pd.DataFrame | None:
    """Return QC metrics beside components, ``group``, ``sex`` and ``flagged``:
    one row per sample.
    """
    if study.qc is None:
        return None
    # Arrays have no reads, reads no level.
    frame = with_id(study.qc).astype({"sample_id": str}).dropna(axis=1, how="all")
    if study.pca is not None:
        pca = with_id(study.pca).rename(columns=str.lower).astype({"sample_id": str})
        components = [k for k in pca if re.fullmatch(r"pc\d+", k)]
        frame = frame.drop(columns=[k for k in components if k in frame])
        frame = frame.merge(pca[["sample_id", *components]], on="sample_id", how="left")
    if study.samples is not None:
        samples = with_id(study.samples).astype({"sample_id": str})
        keep = [k for k in ("condition", "sex") if k in samples and k not in frame]
        keep = [k for k in keep if k != "sex" or "sex_declared" not in frame]
        frame = frame.merge(samples[["sample_id", *keep]], on="sample_id", how="left")
    group = frame["condition"] if "condition" in frame else pd.Series("all", index=frame.index)
    frame["group"] = ["unknown" if c.is_missing(v) else wording.level(v) for v in group]
    flags = frame["flags"] if "flags" in frame else pd.Series(None, index=frame.index, dtype=object)
    frame["flagged"] = ~flags.map(c.is_missing).astype(bool)
    return frame


def excluded_table(excluded: pd.DataFrame | None) -> Markup:
    """Return what was left out and why; says so when nothing was, or when nobody recorded it."""
    if excluded is None:
        return c.not_computed("the list of what was left out")
    if excluded.empty:
        return Markup("<p>Nothing was left out.</p>")
    shown = excluded.assign(reason=excluded["reason"].map(wording.reason, na_action="ignore"))
    return c.table(shown, EXCLUDED_COLUMNS, caption="Left out, and why", name="left-out")


def own(excluded: pd.DataFrame | None, study: str) -> pd.DataFrame | None:
    """Return the rows of one study."""
    if excluded is None:
        return None
    key = "dataset" if "dataset" in excluded else "id"
    return excluded[excluded[key].astype(str) == study]


def card_facts(study: m.StudyData) -> Markup:
    """Return what a study is, from its card."""
    card = study.card
    accession = c.link(card["accession"], card.get("url")) if card.get("accession") else None
    return c.definitions(
        [
            ("Accession", accession),
            ("Role", m.role_title(card.get("role"))),
            ("Organism", card.get("organism")),
            ("Method", wording.method(card)),
            ("Muscle", card.get("muscle") or _values(study.samples, "muscle")),
            ("Material", card.get("material") or _values(study.samples, "material")),
            ("Samples", None if study.samples is None else len(study.samples)),
            ("Status", card.get("status")),
            ("Citation", citation(card.get("citation") or {})),
        ]
    )


def _values(samples: pd.DataFrame | None, key: str) -> str | None:
    if samples is None or key not in samples:
        return None
    found = sorted({str(v).replace("_", " ") for v in samples[key] if not c.is_missing(v)})
    return ", ".join(found) or None


def citation(entry: Mapping[str, Any]) -> Markup | None:
    """Return text, DOI and PubMed links of ``text, doi, pmid``; ``None`` when all are missing."""
    parts = []
    if entry.get("text"):
        parts.append(Markup("{}").format(entry["text"]))
    if entry.get("doi"):
        parts.append(c.link(f"doi:{entry['doi']}", f"https://doi.org/{entry['doi']}"))
    if entry.get("pmid"):
        url = f"https://pubmed.ncbi.nlm.nih.gov/{entry['pmid']}/"
        parts.append(c.link(f"PMID {entry['pmid']}", url))
    return Markup(" · ").join(parts) if parts else None


def checked_facts(facts: object) -> Markup:
    """Return the card's facts and how each was checked."""
    rows: list[dict[str, Any]] = []
    if isinstance(facts, Mapping):
        for key, value in facts.items():
            row = dict(value) if isinstance(value, Mapping) else {"verified": value}
            rows.append({"fact": key, **row})
    else:
        rows = [dict(v) if isinstance(v, Mapping) else {"fact": v} for v in as_list(facts)]
    if not rows:
        return Markup("")
    frame = pd.DataFrame([{str(k): _flat(v) for k, v in row.items()} for row in rows])
    columns = [c.Column(k, k.replace("_", " ").capitalize()) for k in frame.columns]
    caption = "Facts of the study card and how they were checked"
    return c.table(frame, columns, caption=caption, name="facts")


def _flat(value: object) -> object:
    return value if isinstance(value, (str, int, float)) or value is None else str(value)


def _level(value: object) -> object:
    return wording.words(value) if isinstance(value, str) and " " not in value else value


def samples_table(study: m.StudyData, root: str) -> Markup:
    """Return the sample table: harmonised values, then the raw ones."""
    if study.samples is None:
        return c.not_computed("the sample table")
    frame = with_id(study.samples)
    keys = [
        str(k) for k in frame.columns if k != "dataset" and not frame[k].map(c.is_missing).all()
    ]
    raw = [k for k in keys if k.startswith("raw_") or k.endswith("_raw")]
    columns = [c.Column(k, k.replace("_", " ")) for k in keys if k not in raw]
    columns += [
        c.Column(
            k, f"as deposited: {k.removeprefix('raw_').removesuffix('_raw').replace('_', ' ')}"
        )
        for k in raw
    ]
    # Harmonised levels as they are read elsewhere; names and deposited values as they are.
    levels = [k for k in keys if k not in raw and not k.endswith("_id")]
    frame = frame.assign(**{k: frame[k].map(_level) for k in levels if frame[k].dtype == object})
    return c.table(
        frame,
        columns,
        caption="Samples: harmonised values" + (", then the values as deposited" if raw else ""),
        name=f"{study.card['id']}-samples",
        full=root + study.files["samples"] if "samples" in study.files else None,
    )


# ---- figures ------------------------------------------------------------------------------------


def _base(study: m.StudyData) -> str:
    return f"figures/{c.file_name(study.card['id'])}"


def _has(frame: pd.DataFrame, *columns: str) -> bool:
    return set(columns) <= set(frame) and bool(frame[list(columns)].notna().all(axis=1).any())


def _pca_view(frame: pd.DataFrame) -> pd.DataFrame:
    keep = ["sample_id", "group", "pc1", "pc2", "flagged"]
    return frame.dropna(subset=["pc1", "pc2"])[keep].rename(columns={"flagged": "ring"})


def _sex_view(frame: pd.DataFrame) -> pd.DataFrame:
    part = frame.dropna(subset=["xist", "y_genes"]).copy()
    key = next((k for k in ("sex_declared", "sex") if k in part), None)
    declared = part[key] if key else pd.Series(None, index=part.index, dtype=object)
    part["sex"] = ["not declared" if c.is_missing(v) else str(v) for v in declared]
    part["ring"] = False
    if "sex_inferred" in part:
        known = part["sex_inferred"].isin(["female", "male"]) & part["sex"].isin(["female", "male"])
        part["ring"] = known & (part["sex_inferred"] != part["sex"])
    keep = ["sample_id", "sex", "sex_inferred", "y_genes", "xist", "ring"]
    return part[[k for k in keep if k in part]]


def group_order(study: m.StudyData, frame: pd.DataFrame | None) -> list[str]:
    """Return the names of the groups in the order of their colours, as on the gene pages."""
    if frame is None or "condition" not in frame:
        return []
    levels = expression.level_order(study, frame["condition"])
    return list(dict.fromkeys(wording.level(v) if v else "unknown" for v in levels))


def _pc_labels(study: m.StudyData) -> tuple[str, str]:
    share = [f" ({100 * v:.0f} % of variance)" for v in study.explained[:2]] + ["", ""]
    return f"PC1{share[0]}", f"PC2{share[1]}"


_STILL = frozenset(("library", "correlation"))
"""Figures that stay pictures; the others are drawn in the page, which saves every view."""


def figures(study: m.StudyData) -> dict[str, str | bytes]:
    """Return a study's static figures and their data: path below the report folder to bytes.

    Library sizes, PCA, sex and sample correlation, each only where its columns exist. Of those that
    are not drawn in the page the drawing comes as a data script too.
    """
    from alsmuscle.report.html import figures as f

    made: dict[str, str | bytes] = {}

    def keep(name: str, fig: Any, table: pd.DataFrame) -> None:
        path = f"{_base(study)}.{name}.svg"
        made.update(
            c.drawing_files(path, f.to_svg(fig)) if name in _STILL else {path: f.to_svg(fig)}
        )
        made[f"{_base(study)}.{name}.tsv"] = c.to_tsv(table).encode()

    frame = sample_view(study)
    order = group_order(study, frame)
    if frame is not None and _has(frame, "library_size"):
        part = frame[["sample_id", "group", "library_size", "flagged"]]
        keep("library", f.library_sizes(part, order=order), part)
    if frame is not None and _has(frame, "pc1", "pc2"):
        part = _pca_view(frame)
        x, y = _pc_labels(study)
        fig = f.scatter(part, x="pc1", y="pc2", xlabel=x, ylabel=y, group="group", order=order)
        keep("pca", fig, part)
    if frame is not None and _has(frame, "xist", "y_genes"):
        part = _sex_view(frame)
        fig = f.scatter(part, x="y_genes", y="xist", xlabel=SEX_X, ylabel=SEX_Y, group="sex")
        keep("sex", fig, part)
    if study.correlation is not None and len(study.correlation):
        matrix = study.correlation.rename(index=str, columns=str)
        group = {} if frame is None else dict(zip(frame["sample_id"], frame["group"], strict=True))
        table = matrix.rename_axis("sample_id").reset_index()
        keep("correlation", f.correlation(matrix, group), table)
    return made


def _plot(
    frame: pd.DataFrame,
    x: str,
    y: str,
    *,
    labels: tuple[str, str],
    group: str,
    order: Sequence[str] = (),
) -> dict[str, Any]:
    found = set(frame[group].astype(str))
    groups = [*(name for name in order if name in found), *sorted(found - set(order))]
    place = {g: i for i, g in enumerate(groups)}
    return {
        "x": x,
        "y": y,
        "xlabel": labels[0],
        "ylabel": labels[1],
        "groups": groups,
        "columns": {
            "label": frame["sample_id"].astype(str).tolist(),
            x: frame[x].astype(float).round(4).tolist(),
            y: frame[y].astype(float).round(4).tolist(),
            "group": [place[g] for g in frame[group].astype(str)],
            "ring": frame["ring"].astype(int).tolist(),
        },
    }


BINS = 5
"""Groups of equal size in which a plot shows a number."""


def _choices(study: m.StudyData, frame: pd.DataFrame, order: pd.Series) -> dict[str, Any]:
    """Return what a PCA plot can be coloured by and which components it can show.

    ``colours``: name, names of the groups, each sample's group (-1: not stated), whether the groups
    are ranges of a number; ``axes``: name, label and values; ``flags``: per sample, in words.
    """
    table = frame.set_index("sample_id").loc[order]
    labels = {column.key: column.head for column in QC_COLUMNS}
    if study.samples is not None:
        sheet = with_id(study.samples).astype({"sample_id": str}).set_index("sample_id")
        own = [k for k in sheet if k not in table and not k.endswith("_raw")]
        table = table.join(sheet[[k for k in own if k not in ("dataset", "sample_label")]])
    axes = [k for k in table if re.fullmatch(r"pc\d+", k) and table[k].notna().any()]
    skipped = {*axes, "group", "flagged", "flags", "reasons", "subject_id", "dataset", "top_gene"}
    colours = [
        {"name": labels.get(key, key.replace("_", " ").capitalize()), **found}
        for key in table
        if key not in skipped and not key.startswith("raw_") and (found := _colours(table[key]))
    ]
    explained = dict(zip(axes, study.explained, strict=False))
    raised = flagged(study)
    why = {} if raised is None else raised.groupby("sample_id")["reason"].agg("; ".join).to_dict()
    return {
        "colours": colours,
        "axes": [
            {
                "label": f"{key.upper()} ({100 * explained[key]:.0f} % of variance)"
                if key in explained
                else key.upper(),
                "values": table[key].astype(float).round(3).tolist(),
            }
            for key in axes
        ],
        "flags": [str(why.get(sample, "")) for sample in order],
    }


def _colours(values: pd.Series) -> dict[str, Any] | None:
    """Return groups of a covariate: its values, of many numbers ranges of equal size."""
    known = ~values.map(c.is_missing)
    n = values[known].nunique()
    if known.sum() < 2 or n < 2:
        return None
    numbers = pd.to_numeric(values.where(known), errors="coerce") if n > BINS else None
    if numbers is not None and numbers[known].notna().all() and numbers.nunique() > BINS:
        bins = pd.qcut(numbers, BINS, duplicates="drop")
        digits = 0 if numbers.abs().max() >= 100 else 2
        names = [
            f"{c.number(part.min(), digits)} to {c.number(part.max(), digits)}"
            for _, part in numbers.groupby(bins, observed=True)
        ]
        return {"groups": names, "group": bins.cat.codes.tolist(), "ramp": True}
    if n > 12:
        return None
    names = sorted({str(v) for v in values[known]})
    place = [names.index(str(v)) if k else -1 for v, k in zip(values, known, strict=True)]
    return {"groups": [wording.level(name) for name in names], "group": place, "ramp": False}


def _pictures(
    study: m.StudyData, frame: pd.DataFrame | None, root: str, drawn: Collection[str]
) -> Markup:
    pictures = []

    def show(name: str, alt: str, caption: str, plot: dict[str, Any] | None = None) -> None:
        base = f"{_base(study)}.{name}"
        if f"{base}.svg" not in drawn:
            return
        image = f"{root}{base}.svg"
        pictures.append(
            c.figure(
                name=name,
                image=image,
                alt=alt,
                caption=caption,
                downloads=[("SVG", image), ("data (TSV)", f"{root}{base}.tsv")],
                plot=plot,
                drawing=c.drawing_name(f"{base}.svg") if name in _STILL else None,
            )
        )

    if frame is not None and _has(frame, "library_size"):
        millions = frame["library_size"] / 1e6
        show(
            "library",
            f"Bars of reads per sample, {len(frame)} samples, {millions.min():.1f} to "
            f"{millions.max():.1f} million. The quality table below holds the values.",
            "Reads in genes per sample. Small libraries measure weak genes poorly.",
        )
    if frame is not None and _has(frame, "pc1", "pc2"):
        part, order = _pca_view(frame), group_order(study, frame)
        show(
            "pca",
            f"Scatter plot of {len(part)} samples on two principal components, by group.",
            "Similar samples lie close together. Ringed: flagged samples; pointing at one "
            "says why.",
            {
                **_plot(
                    part,
                    "pc1",
                    "pc2",
                    labels=_pc_labels(study),
                    group="group",
                    order=order,
                ),
                **_choices(study, frame, part["sample_id"]),
            },
        )
    if frame is not None and _has(frame, "xist", "y_genes"):
        part = _sex_view(frame)
        wrong = int(part["ring"].sum())
        says = f"{wrong or 'no'} sample{'' if wrong == 1 else 's'}"
        show(
            "sex",
            f"Scatter plot of XIST against Y genes by declared sex; {says} in conflict.",
            "Females express XIST, males Y genes. Ringed, where the RNA contradicts the "
            f"declared sex: {says}.",
            _plot(part, "y_genes", "xist", labels=(SEX_X, SEX_Y), group="sex"),
        )
    show(
        "correlation",
        "Heat map of correlations between all samples, ordered by group.",
        "Correlation between samples, ordered by group. A light stripe is a sample unlike the "
        "rest.",
    )
    return Markup("").join(pictures)
