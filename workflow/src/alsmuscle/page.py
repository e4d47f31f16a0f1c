"""The report's pages: one pure function per page type, and ``build`` which makes all files.

Templates, tables and cards come in as values; pages go out as text. Files are read and written
elsewhere. Pages hold no date except the provenance page, so that equal tables give equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from alsmuscle.errors import InputError
from alsmuscle.report import components as c

BUCKETS = 128
"""Gene data is spread over this many script files; ``app.js`` knows the same number."""

ROLES = {
    "als_patient": "ALS, patients' muscle",
    "als_model": "ALS, animal models",
    "als_cells": "ALS, cultured patient cells",
    "other_mnd": "Other motor neuron diseases",
    "denervation": "Denervation",
    "disuse": "Disuse",
    "myopathy": "Myopathies",
    "inflammatory_myopathy": "Inflammatory myopathies",
    "ageing": "Ageing",
    "regeneration": "Regeneration",
    "intervention": "Interventions",
}
"""Role of a contrast: its heading, in the order of display; ALS first, then what it is held against."""

GLOSSARY: tuple[tuple[str, str, str], ...] = (
    ("contrast", "Contrast", "One comparison inside one study: a target group against a reference."),
    ("log2fc", "Log2 fold change", "How far expression differs, in doublings: +1 is twice as much, −1 half as much, 0 no change."),
    ("interval", "95 % interval", "The range of effects that the data are compatible with. If it includes 0, the direction is not settled. Wide means: few donors or noisy data."),
    ("programme", "Gene programme", "A curated set of genes that act together, for example the response to denervation. Each gene has a sign: expected up or down when the programme is on."),
    ("block", "Block", "A part of a programme whose genes move together; opposing parts are never averaged."),
    ("effect", "Programme effect", "Mean of a block's genes (each times its sign) in log2 units, target minus reference. Positive: the programme is more active in the target group."),
    ("stripped", "Denervation-stripped", "The same programme without the genes that respond to cutting the nerve. What stays is less likely to be denervation alone."),
    ("padj", "Adjusted p (FDR)", "p-value corrected for testing many genes. Among genes below 0.05, about one in twenty is expected to be a false alarm. It says nothing about size."),
    ("donor", "Donor", "A person or animal. Donors, not samples or cells, are the unit that counts."),
    ("confounded", "Confounded", "The groups also differ in something technical, such as the sequencing batch, so that the effect cannot be told from it."),
    ("gsea", "Pathway analysis (GSEA)", "Asks whether the genes of a pathway gather at the top or bottom of the ranking of all genes. NES is the strength, its sign the direction."),
    ("volcano", "Volcano plot", "Every gene as a point: to the right higher, to the left lower in the target group; the further up, the stronger the evidence."),
    ("ma", "MA plot", "Every gene as a point: expression from left to right, difference up and down. It shows whether differences depend on expression."),
    ("pca", "PCA", "Puts samples with similar expression close together. Groups that separate differ much; a lone sample may be an outlier."),
    ("flag", "Flag", "A quality metric beyond its threshold. Flagged samples stay in unless the configuration removes them with a reason."),
    ("bulk", "Bulk", "RNA of a whole piece of tissue: all cell types mixed."),
    ("denervation", "Denervation", "Loss of the nerve supply of muscle fibres. It changes thousands of genes by itself, so it is the benchmark for ALS findings."),
)  # fmt: skip
"""Key, term, and explanation for readers who are not bioinformaticians."""

METHODS: tuple[tuple[str, str, str, str], ...] = (
    ("Gene identity", "Genes are keyed by Ensembl id without version; former symbols and Entrez ids are mapped with a pinned table. Rows that cannot be mapped stay in the fit and are counted.", "", ""),
    ("Differential expression", "Raw counts, median-of-ratios size factors, negative binomial fit of all groups of a study in one model, Wald test, independent filtering, Cook's replacement. Intervals are log2 fold change ± 1.96 standard errors.", "Love et al. 2014, DESeq2; Muzellec et al. 2023, PyDESeq2", "10.1186/s13059-014-0550-8"),
    ("Shrunken effects", "An extra column; rankings and intervals use the unshrunken estimate.", "Zhu et al. 2019, apeglm", "10.1093/bioinformatics/bty895"),
    ("Programme effects", "Per sample, the mean over a block's genes of sign × variance-stabilised log2 expression, regressed on the contrast's design; standard errors moderated over blocks. Every programme is also computed without denervation genes.", "Smyth 2004, moderated statistics", "10.2202/1544-6115.1027"),
    ("Pathways", "Preranked gene set enrichment on the Wald statistic, seeded. Competitive tests are too optimistic where genes are correlated: read them as a description.", "Subramanian et al. 2005; Fang et al. 2023, GSEApy", "10.1073/pnas.0506580102"),
    ("Multiple testing", "Benjamini–Hochberg within one contrast.", "Benjamini and Hochberg 1995", "10.1111/j.2517-6161.1995.tb02031.x"),
)  # fmt: skip
"""Step, what is done, citation, DOI: used when the caller gives no sentences of its own."""


@dataclass(frozen=True)
class ContrastData:
    """One contrast: its description and tables as DESIGN section 3 (``None`` = not computed).

    ``meta`` keys: ``id, label, target, reference`` and, where known, ``variable, role, adjust, block,
    confounded`` (column names), ``simulated, experimental`` (bool), ``evidence`` (``published``),
    ``eligible`` (bool), ``reason``, ``donors_target, donors_reference, n_target, n_reference``,
    ``muscle, stage, caveat`` and ``method`` (sentence with versions).
    ``files``: ``de, gsea, programmes`` to the full TSV, relative to the report folder.
    """

    meta: Mapping[str, Any]
    de: pd.DataFrame | None = None
    gsea: pd.DataFrame | None = None
    programmes: pd.DataFrame | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyData:
    """One study: card, tables per sample, contrasts.

    ``pca``: ``sample_id, pc1, pc2``; without it ``qc`` is asked. ``explained``: share of variance per
    component, 0 to 1. ``correlation``: samples by samples. ``files``: ``samples, qc`` as for contrasts.
    """

    card: Mapping[str, Any]
    samples: pd.DataFrame | None = None
    qc: pd.DataFrame | None = None
    pca: pd.DataFrame | None = None
    correlation: pd.DataFrame | None = None
    explained: Sequence[float] = ()
    contrasts: Sequence[ContrastData] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportData:
    """Everything the report shows.

    Parameters
    ----------
    studies
        In display order.
    excluded
        ``kind, id, what, reason``: samples, studies and contrasts left out.
    programmes
        Genes of the programmes: ``programme, block, sign`` and symbol, source columns.
    programme_info
        Per programme ``title, description, caveat`` (each optional).
    headline
        ``(programme, block)`` pairs drawn on the index: fixed in advance, the same for all contrasts.
    alpha
        Threshold on adjusted p for counting genes.
    methods
        ``step, text, citation, doi`` rows; by default :data:`METHODS`.
    lock, versions, runtimes
        Tables of the provenance page. ``config``: the effective configuration as text.
    """

    studies: Sequence[StudyData]
    title: str = "Skeletal muscle in ALS: what the public data say"
    excluded: pd.DataFrame | None = None
    programmes: pd.DataFrame | None = None
    programme_info: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    headline: Sequence[tuple[str, str]] = ()
    alpha: float = 0.05
    methods: Sequence[Mapping[str, str]] = ()
    lock: pd.DataFrame | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    runtimes: pd.DataFrame | None = None
    commit: str = ""
    config: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


# ---- frame --------------------------------------------------------------------------------------


class Site:
    """Renders templates inside the one layout; holds the templates as text.

    ``templates`` maps file names (``layout.html.j2``, ``style.css``, ``app.js``, ...) to their text.
    """

    def __init__(self, templates: Mapping[str, str], title: str) -> None:
        needed = {"layout.html.j2", "style.css", "app.js"}
        if missing := needed - set(templates):
            raise InputError(
                f"templates missing: {', '.join(sorted(missing))}",
                where="workflow/report",
                remedy="pass every file of that folder",
            )
        self.title = title
        self._script, self._style = templates["app.js"], templates["style.css"]
        self._env = Environment(
            loader=DictLoader({k: v for k, v in templates.items() if k.endswith(".j2")}),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._env.globals |= {
            "badge": c.badge,
            "callout": c.callout,
            "not_computed": c.not_computed,
            "link": c.link,
            "local": c.local,
            "term": _term,
        }
        # Inline code is allowed by hash; 'strict-dynamic' lets that code, and nothing else, add the
        # data scripts. 'self' does not match files opened from disk in every browser.
        self._policy = "; ".join(
            (
                "default-src 'none'",
                f"script-src '{c.digest(self._script)}' 'strict-dynamic'",
                f"style-src '{c.digest(self._style)}'",
                "img-src 'self' file: data:",
                "base-uri 'none'",
                "form-action 'none'",
                "object-src 'none'",
            )
        )

    def render(self, template: str, *, path: str, heading: str, **values: Any) -> str:
        """Return the page at ``path`` (relative to the report folder, decides links to the root)."""
        return self._env.get_template(template).render(
            site=self.title,
            heading=heading,
            root=_root(path),
            path=path,
            policy=self._policy,
            script=Markup(self._script),
            style=Markup(self._style),
            **values,
        )


def _root(path: str) -> str:
    return "../" * path.count("/")


def _term(key: str, root: str, text: str | None = None) -> Markup:
    known = {k: t for k, t, _ in GLOSSARY}
    return Markup('<a class="term" href="{}glossary.html#{}">{}</a>').format(
        root, key, text or known[key].lower()
    )


# ---- words and numbers about contrasts ----------------------------------------------------------


def study_path(study: StudyData) -> str:
    """Return the study page's path."""
    return f"studies/{c.slug(study.card['id'])}.html"


def contrast_path(study: StudyData, contrast: ContrastData) -> str:
    """Return the contrast page's path."""
    return f"contrasts/{c.slug(study.card['id'])}.{c.slug(contrast.meta['id'])}.html"


def programme_path(programme: str) -> str:
    """Return the programme page's path."""
    return f"programmes/{c.slug(programme)}.html"


def label(meta: Mapping[str, Any]) -> str:
    """Return a contrast's label, or ``target v reference``."""
    return str(meta.get("label") or f"{meta['target']} v {meta['reference']}")


def donors(study: StudyData, contrast: ContrastData) -> tuple[int | None, int | None, str]:
    """Return group sizes of target and reference and their unit, ``donors`` or ``samples``.

    Donors are said only when known: given in ``meta``, or counted in the sample table where the
    group has exactly the number of samples that were fitted.
    """
    meta, de, samples = contrast.meta, contrast.de, study.samples
    if meta.get("donors_target") is not None and meta.get("donors_reference") is not None:
        return int(meta["donors_target"]), int(meta["donors_reference"]), "donors"

    def fitted(side: str) -> int | None:
        if meta.get(f"n_{side}") is not None:
            return int(meta[f"n_{side}"])
        if de is not None and f"n_{side}" in de and de[f"n_{side}"].notna().any():
            return int(de[f"n_{side}"].max())
        return None

    n = fitted("target"), fitted("reference")
    column = meta.get("variable", "condition")
    if samples is not None and {column, "subject_id"} <= set(samples.columns) and None not in n:
        groups = [
            samples[samples[column].astype(str) == str(meta[k])] for k in ("target", "reference")
        ]
        known = all(g["subject_id"].notna().all() for g in groups)
        if known and tuple(len(g) for g in groups) == n:
            counts = [int(g["subject_id"].nunique()) for g in groups]
            return counts[0], counts[1], "donors"
    return n[0], n[1], "samples"


def sizes(study: StudyData, contrast: ContrastData) -> str:
    """Return group sizes in words: ``22 v 10 donors``."""
    target, reference, unit = donors(study, contrast)
    if target is None or reference is None:
        return "group sizes not stated"
    return f"{target} v {reference} {unit}"


def confounders(meta: Mapping[str, Any]) -> list[str]:
    """Return the columns that a contrast is confounded with."""
    value = meta.get("confounded")
    if isinstance(value, str):
        return [v.strip() for v in value.split(",") if v.strip()]
    return [str(v) for v in value] if isinstance(value, (list, tuple)) else []


def badges(study: StudyData, contrast: ContrastData) -> Markup:
    """Return every badge a contrast carries; nothing doubtful goes without one."""
    meta, found = contrast.meta, []
    if columns := confounders(meta):
        found.append(c.badge("confounded", ", ".join(columns)))
    if meta.get("simulated") or study.card.get("simulated"):
        found.append(c.badge("simulated"))
    if meta.get("evidence") == "published":
        found.append(c.badge("published"))
    if meta.get("eligible") is False:
        found.append(c.badge("excluded", str(meta["reason"]) if meta.get("reason") else None))
    if meta.get("experimental") or study.card.get("experimental"):
        found.append(c.badge("experimental"))
    n = [x for x in donors(study, contrast)[:2] if x is not None]
    if n and min(n) < 3:
        found.append(c.badge("small"))
    return Markup(" ").join(found)


def calls(de: pd.DataFrame | None, alpha: float) -> dict[str, int] | None:
    """Return how many genes were tested and lie below ``alpha``, up and down; ``None`` without tests."""
    if de is None or "padj" not in de or not de["pvalue"].notna().any():
        return None
    called = de["padj"] < alpha
    return {
        "tested": int(de["pvalue"].notna().sum()),
        "called": int(called.sum()),
        "up": int((called & (de["log2fc"] > 0)).sum()),
        "down": int((called & (de["log2fc"] < 0)).sum()),
    }


def gene_sentence(de: pd.DataFrame | None, alpha: float) -> str:
    """Return the secondary figure in words."""
    found = calls(de, alpha)
    if found is None:
        return "no gene-level test"
    text = f"{c.number(found['called'], 0)} of {c.number(found['tested'], 0)} genes at adjusted p < {alpha:g}"
    return text + (
        f" ({c.number(found['up'], 0)} higher, {c.number(found['down'], 0)} lower)"
        if found["called"]
        else ""
    )


def programme_title(info: Mapping[str, Mapping[str, str]], programme: str, block: str = "") -> str:
    """Return a programme's reading name, with its block where that says more."""
    title = info.get(programme, {}).get("title") or programme.replace("_", " ")
    tail = str(block).replace("_", " ") if not c.is_missing(block) else ""
    return (
        f"{title}: {tail}"
        if tail and tail.lower() not in {"all", "core", "main", title.lower()}
        else title
    )


def _truth(column: pd.Series) -> pd.Series:
    return column.map(lambda v: str(v).strip().lower() in {"true", "1", "yes"}).astype(bool)


def effects(
    table: pd.DataFrame,
    info: Mapping[str, Mapping[str, str]],
    *,
    root: str = "",
    known: frozenset[str] = frozenset(),
) -> pd.DataFrame:
    """Return programme effects as rows of :func:`components.forest_plot`.

    One row per programme and block: the complete estimate, and the denervation-stripped one in the
    ``alt_`` columns. ``known``: programmes that have a page.
    """
    table = table.reset_index(drop=True)
    stripped = (
        _truth(table["stripped"]) if "stripped" in table else pd.Series(False, index=table.index)
    )
    keys = ["programme", "block"]
    values = ["effect", "ci_low", "ci_high"]
    rows = table[~stripped].drop_duplicates(keys)
    alt = table.loc[stripped, keys + values].drop_duplicates(keys)
    rows = rows.merge(alt.rename(columns={v: f"alt_{v}" for v in values}), on=keys, how="left")
    rows["label"] = [
        programme_title(info, p, b) for p, b in zip(rows["programme"], rows["block"], strict=True)
    ]
    rows["caveat"] = [info.get(p, {}).get("caveat") or None for p in rows["programme"]]
    rows["href"] = [root + programme_path(p) if p in known else None for p in rows["programme"]]
    if {"n_genes", "n_mapped"} <= set(rows):
        rows["genes"] = [
            f"{int(m)} of {int(n)}" if pd.notna(m) and pd.notna(n) else None
            for m, n in zip(rows["n_mapped"], rows["n_genes"], strict=True)
        ]
    return rows


def verdict(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Return the labels of the rows whose interval lies above, below, or on both sides of zero."""
    found: dict[str, list[str]] = {"higher": [], "lower": [], "open": []}
    for row in rows.to_dict("records"):
        side = c.direction(row["ci_low"], row["ci_high"])
        found[("open", "higher", "lower")[side]].append(str(row["label"]))
    return found


def _headline(
    data: ReportData, contrast: ContrastData, root: str, known: frozenset[str]
) -> pd.DataFrame:
    if contrast.programmes is None or contrast.programmes.empty:
        return pd.DataFrame()
    rows = effects(contrast.programmes, data.programme_info, root=root, known=known)
    if not data.headline:
        return rows.drop_duplicates("programme").head(6)
    order = {tuple(pair): i for i, pair in enumerate(data.headline)}
    place = [order.get((p, b)) for p, b in zip(rows["programme"], rows["block"], strict=True)]
    rows = rows.assign(_place=place).dropna(subset=["_place"]).sort_values("_place")
    return rows.drop(columns="_place")


def pages_of_programmes(data: ReportData) -> frozenset[str]:
    """Return the programmes that get a page: those defined or computed anywhere."""
    found: set[str] = set()
    if data.programmes is not None:
        found |= set(data.programmes["programme"].astype(str))
    for _, contrast in _contrasts(data):
        if contrast.programmes is not None:
            found |= set(contrast.programmes["programme"].astype(str))
    return frozenset(found)


def _contrasts(data: ReportData) -> Iterator[tuple[StudyData, ContrastData]]:
    for study in data.studies:
        for contrast in study.contrasts:
            yield study, contrast


def _by_role(data: ReportData) -> list[tuple[str, list[tuple[StudyData, ContrastData]]]]:
    groups: dict[str, list[tuple[StudyData, ContrastData]]] = {}
    for study, contrast in _contrasts(data):
        groups.setdefault(
            str(contrast.meta.get("role") or study.card.get("role") or ""), []
        ).append((study, contrast))
    order = [*ROLES, *sorted(set(groups) - set(ROLES))]
    return [
        (ROLES.get(r, r.replace("_", " ") or "Role not stated"), groups[r])
        for r in order
        if r in groups
    ]


# ---- index --------------------------------------------------------------------------------------


def index_page(site: Site, data: ReportData) -> str:
    """Return the first page: answers, then what went in, then what was left out and why."""
    known = pages_of_programmes(data)
    heads = {id(k): _headline(data, k, "", known) for _, k in _contrasts(data)}
    span = c.domain([f for f in heads.values() if len(f)])
    groups = []
    for role, members in _by_role(data):
        answers = []
        for study, contrast in members:
            rows = heads[id(contrast)]
            plot = (
                c.mini_forest(
                    rows, span, f"Programme effects in log2 units, {label(contrast.meta)}"
                )
                if len(rows)
                else c.not_computed("programme effects")
            )
            answers.append(
                {
                    "label": label(contrast.meta),
                    "href": contrast_path(study, contrast),
                    "study": study.card.get("accession") or study.card["id"],
                    "study_href": study_path(study),
                    "what": _what(study.card, contrast.meta),
                    "sizes": sizes(study, contrast),
                    "sentence": _direction_sentence(contrast.meta, rows),
                    "genes": gene_sentence(contrast.de, data.alpha),
                    "badges": badges(study, contrast),
                    "plot": plot,
                }
            )
        groups.append({"title": role, "answers": answers})
    caveats = _caveats(data, [f for f in heads.values() if len(f)])
    return site.render(
        "index.html.j2",
        path="index.html",
        heading=data.title,
        groups=groups,
        caveats=caveats,
        simulated=any(s.card.get("simulated") for s in data.studies),
        n_studies=len(data.studies),
        n_contrasts=sum(len(s.contrasts) for s in data.studies),
        studies=_studies_table(data),
        excluded=_excluded_table(data.excluded),
        has_caveats=bool(caveats),
    )


def _what(card: Mapping[str, Any], meta: Mapping[str, Any]) -> str:
    """Return organism, muscle, stage and method in one phrase."""
    parts = [
        card.get("organism"),
        meta.get("muscle") or card.get("muscle"),
        meta.get("stage"),
        card.get("modality"),
    ]
    return ", ".join(str(p).replace("_", " ") for p in parts if not c.is_missing(p))


def _direction_sentence(meta: Mapping[str, Any], rows: pd.DataFrame) -> str:
    if not len(rows):
        return ""
    found = verdict(rows)
    parts = [
        f"{side} in {meta['target']}: {', '.join(found[side])}"
        for side in ("higher", "lower")
        if found[side]
    ]
    if not parts:
        return "None of the programmes shown can be told from no change."
    if found["open"]:
        parts.append(f"not settled: {len(found['open'])} of {len(rows)} shown")
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def _caveats(data: ReportData, frames: Sequence[pd.DataFrame]) -> list[tuple[str, str]]:
    used = {str(p) for f in frames for p in f["programme"]}
    return [
        (programme_title(data.programme_info, p), data.programme_info[p]["caveat"])
        for p in sorted(used)
        if data.programme_info.get(p, {}).get("caveat")
    ]


def _studies_table(data: ReportData) -> Markup:
    rows = []
    for study in data.studies:
        card = study.card
        flagged = _flagged(study)
        citation = card.get("citation") or {}
        marks = [c.badge(k) for k in ("simulated", "experimental") if card.get(k)]
        if flagged is not None and len(flagged):
            marks.append(c.badge("flagged", f"{len(flagged)}"))
        rows.append(
            {
                "study": c.local(card.get("accession") or card["id"], study_path(study)),
                "title": card.get("title"),
                "role": ROLES.get(str(card.get("role")), card.get("role")),
                "organism": card.get("organism"),
                "modality": card.get("modality"),
                "muscle": card.get("muscle"),
                "samples": len(study.samples) if study.samples is not None else None,
                "donors": study.samples["subject_id"].nunique()
                if study.samples is not None and "subject_id" in study.samples
                else None,
                "citation": citation.get("text"),
                "marks": Markup(" ").join(marks),
            }
        )
    heads = {"study": "Study", "title": "Title", "role": "Role", "organism": "Organism", "modality": "Method",
             "muscle": "Muscle", "donors": "Donors", "samples": "Samples", "marks": "Marks"}  # fmt: skip
    columns = [
        c.Column(k, h, "count" if k in {"donors", "samples"} else "text") for k, h in heads.items()
    ]
    return c.table(
        pd.DataFrame(rows, columns=[*heads, "citation"]),
        columns,
        caption="Studies that went in",
        name="studies",
        order="in the order of the configuration",
    )


def _excluded_table(excluded: pd.DataFrame | None) -> Markup:
    if excluded is None:
        return c.not_computed("the list of what was left out")
    if excluded.empty:
        return Markup("<p>Nothing was left out.</p>")
    columns = [
        c.Column("kind", "Kind"),
        c.Column("id", "Id"),
        c.Column("what", "What"),
        c.Column("reason", "Reason"),
    ]
    return c.table(excluded, columns, caption="Left out, and why", name="left-out")


# ---- study --------------------------------------------------------------------------------------


def _flagged(study: StudyData) -> pd.DataFrame | None:
    """Return one row per flag: ``sample_id, flag, reason``; ``None`` without a QC table."""
    qc = study.qc
    if qc is None:
        return None
    qc = _with_id(qc)
    if "flags" not in qc:
        return pd.DataFrame(columns=["sample_id", "flag", "reason"])
    rows = []
    for row in qc.to_dict("records"):
        if c.is_missing(row["flags"]):
            continue
        flags = [f.strip() for f in str(row["flags"]).replace(",", ";").split(";") if f.strip()]
        reasons = (
            []
            if c.is_missing(row.get("reasons"))
            else [r.strip() for r in str(row["reasons"]).split(";")]
        )
        if len(reasons) != len(flags):
            reasons = ["; ".join(reasons)] * len(flags)
        rows += [
            {"sample_id": row["sample_id"], "flag": f, "reason": r}
            for f, r in zip(flags, reasons, strict=True)
        ]
    return pd.DataFrame(rows, columns=["sample_id", "flag", "reason"])


def _with_id(frame: pd.DataFrame) -> pd.DataFrame:
    return frame if "sample_id" in frame else frame.rename_axis("sample_id").reset_index()


def sample_view(study: StudyData) -> pd.DataFrame | None:
    """Return QC metrics beside group, sex and flags: one row per sample, as the figures need it."""
    if study.qc is None:
        return None
    frame = _with_id(study.qc).copy()
    frame["sample_id"] = frame["sample_id"].astype(str)
    if study.pca is not None:
        pca = _with_id(study.pca).rename(columns=str.lower)
        frame = frame.drop(columns=[k for k in ("pc1", "pc2") if k in frame])
        frame = frame.merge(
            pca[["sample_id", "pc1", "pc2"]].astype({"sample_id": str}), on="sample_id", how="left"
        )
    if study.samples is not None:
        samples = _with_id(study.samples)
        keep = [k for k in ("condition", "sex", "subject_id") if k in samples and k not in frame]
        frame = frame.merge(
            samples[["sample_id", *keep]].astype({"sample_id": str}), on="sample_id", how="left"
        )
    frame["group"] = (
        frame["condition"].fillna("unknown").astype(str) if "condition" in frame else "all"
    )
    frame["flagged"] = (
        frame["flags"].map(lambda v: not c.is_missing(v)).astype(bool)
        if "flags" in frame
        else False
    )
    return frame


def study_figures(study: StudyData) -> dict[str, bytes]:
    """Return the static figures of a study: path below the report folder to bytes.

    Drawn: library size, PCA, sample correlation, sex; each only where its columns exist.
    """
    from alsmuscle import figures as f

    frame = sample_view(study)
    base = f"figures/{c.slug(study.card['id'])}"
    made: dict[str, bytes] = {}

    def keep(name: str, fig: Any, table: pd.DataFrame) -> None:
        made[f"{base}.{name}.svg"] = f.to_svg(fig)
        made[f"{base}.{name}.png"] = f.to_png(fig)
        made[f"{base}.{name}.tsv"] = c.to_tsv(table).encode()

    if frame is not None:
        if "library_size" in frame:
            part = frame[["sample_id", "group", "library_size", "flagged"]]
            keep("library", f.library_sizes(part), part)
        if {"pc1", "pc2"} <= set(frame) and frame[["pc1", "pc2"]].notna().all(axis=1).any():
            part = frame.dropna(subset=["pc1", "pc2"])[
                ["sample_id", "group", "pc1", "pc2", "flagged"]
            ]
            x, y = _pc_labels(study)
            keep(
                "pca", f.scatter(part, x="pc1", y="pc2", xlabel=x, ylabel=y, ringed="flagged"), part
            )
        if _has_sex(frame):
            part = _sex_view(frame)
            keep(
                "sex",
                f.scatter(
                    part, x="y_genes", y="xist", xlabel=SEX_X, ylabel=SEX_Y, group="sex",
                    ringed="mismatch", from_zero=True,
                ),
                part,
            )  # fmt: skip
    if study.correlation is not None and len(study.correlation):
        matrix = study.correlation.copy()
        matrix.index = matrix.index.astype(str)
        matrix.columns = matrix.columns.astype(str)
        group = (
            dict(zip(frame["sample_id"], frame["group"], strict=True)) if frame is not None else {}
        )
        keep(
            "correlation",
            f.correlation(matrix, group),
            matrix.rename_axis("sample_id").reset_index(),
        )
    return made


SEX_X, SEX_Y = "Y-chromosome genes (log2)", "XIST (log2)"


def _has_sex(frame: pd.DataFrame) -> bool:
    return {"xist", "y_genes"} <= set(frame) and bool(
        frame[["xist", "y_genes"]].notna().all(axis=1).any()
    )


def _sex_view(frame: pd.DataFrame) -> pd.DataFrame:
    part = frame.dropna(subset=["xist", "y_genes"]).copy()
    declared = part["sex"] if "sex" in part else pd.Series(np.nan, index=part.index)
    part["sex"] = declared.where(declared.notna(), "not declared").astype(str)
    if "sex_inferred" in part:
        inferred = part["sex_inferred"]
        part["mismatch"] = (
            inferred.isin(["female", "male"])
            & part["sex"].isin(["female", "male"])
            & (inferred != part["sex"])
        )
    else:
        part["mismatch"] = False
    keep = [
        "sample_id",
        "sex",
        *(["sex_inferred"] if "sex_inferred" in part else []),
        "y_genes",
        "xist",
        "mismatch",
    ]
    return part[keep]


def _pc_labels(study: StudyData) -> tuple[str, str]:
    share = [f" ({100 * v:.0f} % of variance)" for v in study.explained[:2]]
    share += [""] * (2 - len(share))
    return f"PC1{share[0]}", f"PC2{share[1]}"


def _downloads(root: str, base: str) -> list[tuple[str, str]]:
    return [
        ("SVG", f"{root}{base}.svg"),
        ("PNG", f"{root}{base}.png"),
        ("data (TSV)", f"{root}{base}.tsv"),
    ]


def _sample_plot(
    frame: pd.DataFrame, x: str, y: str, xlabel: str, ylabel: str, group: str
) -> dict[str, Any]:
    groups = sorted(frame[group].astype(str).unique())
    place = {g: i for i, g in enumerate(groups)}
    marks = frame["flagged" if "flagged" in frame else "mismatch"]
    return {
        "x": x, "y": y, "xlabel": xlabel, "ylabel": ylabel, "groups": groups, "unit": "samples",
        "columns": {
            "label": [str(s) for s in frame["sample_id"]],
            x: [round(float(v), 4) for v in frame[x]],
            y: [round(float(v), 4) for v in frame[y]],
            "group": [place[g] for g in frame[group].astype(str)],
            "ring": [int(bool(m)) for m in marks],
        },
    }  # fmt: skip


QC_COLUMNS = (
    c.Column("sample_id", "Sample"),
    c.Column("group", "Group"),
    c.Column("library_size", "Reads in genes", "count"),
    c.Column("genes_detected", "Genes detected", "count"),
    c.Column("pct_mito", "Mitochondrial %", "number", 1),
    c.Column("pct_ribo", "Ribosomal %", "number", 1),
    c.Column("pct_hb", "Haemoglobin %", "number", 2),
    c.Column("top_gene_share", "Top gene share", "number", 3),
    c.Column("median_correlation", "Median correlation", "number", 3),
    c.Column("outlier_distance", "Outlier distance", "number", 2),
    c.Column("xist", "XIST", "number", 1),
    c.Column("y_genes", "Y genes", "number", 1),
    c.Column("sex", "Declared sex"),
    c.Column("sex_inferred", "Sex from RNA"),
    c.Column("flags", "Flags"),
)


def study_page(site: Site, data: ReportData, study: StudyData, made: Mapping[str, bytes]) -> str:
    """Return a study's page; ``made`` are the figures that exist (see :func:`study_figures`)."""
    path = study_path(study)
    root, card = _root(path), study.card
    base = f"figures/{c.slug(card['id'])}"
    frame, flagged = sample_view(study), _flagged(study)
    citation = card.get("citation") or {}
    n_flagged = 0 if flagged is None else flagged["sample_id"].nunique()

    def fig(name: str, alt: str, caption: str, plot: dict[str, Any] | None = None) -> Markup:
        if f"{base}.{name}.svg" not in made:
            return Markup("")
        return c.figure(
            name=name, image=f"{root}{base}.{name}.svg", alt=alt, caption=caption,
            downloads=_downloads(root, f"{base}.{name}"), plot=plot,
        )  # fmt: skip

    pictures = Markup("")
    if frame is not None:
        n = len(frame)
        low, high = (
            (frame["library_size"].min() / 1e6, frame["library_size"].max() / 1e6)
            if "library_size" in frame
            else (math.nan, math.nan)
        )
        pictures += fig(
            "library",
            f"Bar chart of reads per sample, {n} samples, from {low:.1f} to {high:.1f} million. The sample table below holds the values.",
            "Reads in genes per sample. Very small libraries measure weakly expressed genes poorly.",
        )
        if {"pc1", "pc2"} <= set(frame):
            x, y = _pc_labels(study)
            part = frame.dropna(subset=["pc1", "pc2"])
            pictures += fig(
                "pca",
                f"Scatter plot of {len(part)} samples on the first two principal components, coloured by group.",
                "Similar samples lie close together. Ringed: flagged samples.",
                _sample_plot(part, "pc1", "pc2", x, y, "group") if len(part) else None,
            )
        if _has_sex(frame):
            part = _sex_view(frame)
            wrong = int(part["mismatch"].sum())
            pictures += fig(
                "sex",
                f"Scatter plot of XIST against Y-chromosome genes by declared sex; {wrong} samples disagree.",
                f"Women and females express XIST, males Y genes. {wrong or 'No'} sample{'' if wrong == 1 else 's'} "
                "with a declared sex that the RNA contradicts (ringed).",
                _sample_plot(part, "y_genes", "xist", SEX_X, SEX_Y, "sex"),
            )
    pictures += fig(
        "correlation",
        "Heat map of correlations between all samples, ordered by group.",
        "Correlation of expression between samples, ordered by group. A dark stripe is a sample unlike the others.",
    )
    contrasts = [
        {
            "label": label(k.meta),
            "href": root + contrast_path(study, k),
            "sizes": sizes(study, k),
            "sentence": _direction_sentence(k.meta, _headline(data, k, root, frozenset())),
            "genes": gene_sentence(k.de, data.alpha),
            "badges": badges(study, k),
        }
        for k in study.contrasts
    ]
    return site.render(
        "study.html.j2",
        path=path,
        heading=f"{card.get('accession') or card['id']}: {card.get('title') or 'untitled study'}",
        card=card,
        role=ROLES.get(str(card.get("role")), card.get("role")),
        facts=c.definitions(
            [
                ("Accession", _accession(card)),
                ("Role", ROLES.get(str(card.get("role")), card.get("role"))),
                ("Organism", card.get("organism")),
                ("Method", card.get("modality")),
                ("Muscle", card.get("muscle")),
                ("Material", card.get("material")),
                ("Samples", len(study.samples) if study.samples is not None else None),
                ("Status", card.get("status")),
                ("Citation", _citation(citation)),
            ]
        ),
        checked=_facts_table(card.get("facts")),
        caveats=[str(x) for x in _as_list(card.get("caveats"))],
        simulated=bool(card.get("simulated")),
        n_flagged=n_flagged,
        n_samples=0 if frame is None else len(frame),
        has_qc=frame is not None,
        flags=c.table(
            flagged if flagged is not None else pd.DataFrame(columns=["sample_id", "flag", "reason"]),
            [c.Column("sample_id", "Sample"), c.Column("flag", "Flag"), c.Column("reason", "Metric, value, threshold")],
            caption="Quality flags",
            name=f"{card['id']}-flags",
        )
        if flagged is not None and len(flagged)
        else Markup(""),
        pictures=pictures,
        qc=c.table(
            frame, QC_COLUMNS, caption="Quality metrics per sample", name=f"{card['id']}-qc",
            full=root + study.files["qc"] if "qc" in study.files else None,
        ) if frame is not None else c.not_computed("sample quality"),
        samples=_samples_table(study, root),
        contrasts=contrasts,
        excluded=_excluded_table(_of_study(data.excluded, str(card["id"]))),
    )  # fmt: skip


def _of_study(excluded: pd.DataFrame | None, study: str) -> pd.DataFrame | None:
    if excluded is None or "dataset" not in excluded:
        return None if excluded is None else excluded[excluded["id"].astype(str) == study]
    return excluded[excluded["dataset"].astype(str) == study]


def _as_list(value: object) -> list[object]:
    if c.is_missing(value):
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _accession(card: Mapping[str, Any]) -> object:
    return c.link(card.get("accession"), card.get("url")) if card.get("accession") else None


def _citation(citation: Mapping[str, Any]) -> object:
    parts = []
    if citation.get("text"):
        parts.append(Markup("{}").format(citation["text"]))
    if citation.get("doi"):
        parts.append(c.link(f"doi:{citation['doi']}", f"https://doi.org/{citation['doi']}"))
    if citation.get("pmid"):
        parts.append(
            c.link(
                f"PMID {citation['pmid']}", f"https://pubmed.ncbi.nlm.nih.gov/{citation['pmid']}/"
            )
        )
    return Markup(" · ").join(parts) if parts else None


def _facts_table(facts: object) -> Markup:
    if not facts:
        return Markup("")
    rows: list[dict[str, Any]] = []
    if isinstance(facts, Mapping):
        for key, value in facts.items():
            row = dict(value) if isinstance(value, Mapping) else {"value": value}
            rows.append({"fact": key, **row})
    elif isinstance(facts, (list, tuple)):
        rows = [dict(v) if isinstance(v, Mapping) else {"fact": v} for v in facts]
    frame = pd.DataFrame(rows).map(
        lambda v: v if isinstance(v, (str, int, float, bool)) else str(v)
    )
    columns = [c.Column(str(k), str(k).replace("_", " ").capitalize()) for k in frame.columns]
    return c.table(
        frame, columns, caption="Facts of the study card and how they were checked", name="facts"
    )


def _samples_table(study: StudyData, root: str) -> Markup:
    if study.samples is None:
        return c.not_computed("the sample table")
    frame = _with_id(study.samples)
    keys = [str(k) for k in frame.columns if k != "dataset" and frame[k].notna().any()]
    raw = [k for k in keys if k.startswith(("raw_", "raw:", "source_"))]
    columns = [c.Column(k, k.replace("_", " ")) for k in keys if k not in raw]
    columns += [
        c.Column(
            k, "as deposited: " + k.removeprefix("raw_").removeprefix("raw:").replace("_", " ")
        )
        for k in raw
    ]
    return c.table(
        frame, columns, caption="Samples: harmonised values, then the values as deposited",
        name=f"{study.card['id']}-samples",
        full=root + study.files["samples"] if "samples" in study.files else None,
    )  # fmt: skip


# ---- contrast -----------------------------------------------------------------------------------


def gene_frame(de: pd.DataFrame) -> pd.DataFrame:
    """Return ``de`` with ``label``, 95 % interval (Wald) and ``nlp`` = -log10 p (p = 0 becomes 1e-300)."""
    frame = de.copy()
    symbol = frame["symbol"] if "symbol" in frame else pd.Series(np.nan, index=frame.index)
    frame["label"] = symbol.where(symbol.notna() & (symbol != ""), frame["gene_id"]).astype(str)
    half = 1.959964 * pd.to_numeric(frame["lfc_se"], errors="coerce")
    frame["ci_low"], frame["ci_high"] = frame["log2fc"] - half, frame["log2fc"] + half
    frame["nlp"] = -np.log10(frame["pvalue"].astype(float).clip(lower=1e-300))
    return frame


def contrast_figures(study: StudyData, contrast: ContrastData, alpha: float) -> dict[str, bytes]:
    """Return volcano and MA plot of a contrast as SVG and PNG: path to bytes; empty without genes."""
    from alsmuscle import figures as f

    if contrast.de is None or contrast.de.empty:
        return {}
    frame = gene_frame(contrast.de)
    base = f"figures/{c.slug(study.card['id'])}.{c.slug(contrast.meta['id'])}"
    made: dict[str, bytes] = {}
    tested = frame.dropna(subset=["nlp", "log2fc"])
    if len(tested):
        volcano = f.volcano(tested, alpha)
        made |= {f"{base}.volcano.svg": f.to_svg(volcano), f"{base}.volcano.png": f.to_png(volcano)}
    if "base_mean" in frame:
        ma = f.ma(frame.dropna(subset=["log2fc", "base_mean"]), alpha)
        made |= {f"{base}.ma.svg": f.to_svg(ma), f"{base}.ma.png": f.to_png(ma)}
    return made


def gene_script(study: StudyData, contrast: ContrastData, alpha: float) -> str:
    """Return the data script of a contrast's gene plots (every gene, rounded to what a screen shows)."""
    assert contrast.de is not None
    frame = gene_frame(contrast.de).dropna(subset=["log2fc"])
    called = frame["padj"] < alpha
    group = np.where(called & (frame["log2fc"] > 0), 1, np.where(called, 2, 0))
    payload = {
        "label": frame["label"].tolist(),
        "log2fc": _rounded(frame["log2fc"], 3),
        "nlp": _rounded(frame["nlp"], 2),
        "logmean": _rounded(np.log10(frame["base_mean"].clip(lower=1e-3)), 2),
        "low": _rounded(frame["ci_low"], 2),
        "high": _rounded(frame["ci_high"], 2),
        "padj": [None if math.isnan(v) else float(f"{v:.2g}") for v in frame["padj"].astype(float)],
        "group": group.tolist(),
    }
    return data_script(_gene_source(study, contrast), payload)


def _gene_source(study: StudyData, contrast: ContrastData) -> str:
    return f"genes-{c.slug(study.card['id'])}.{c.slug(contrast.meta['id'])}"


def _rounded(values: pd.Series, digits: int) -> list[float | None]:
    return [None if math.isnan(v) else round(v, digits) for v in values.astype(float).tolist()]


def data_script(name: str, payload: object) -> str:
    """Return a script file that hands ``payload`` to the page under ``name`` (works from disk)."""
    return f"alsmuscle.receive({c.embed_json(name)},{c.embed_json(payload)});\n"


GENE_COLUMNS = (
    c.Column("gene", "Gene"),
    c.Column("log2fc", "Log2 fold change", "number", 2, True),
    c.Column("ci_low", "95 % from", "number", 2, True),
    c.Column("ci_high", "95 % to", "number", 2, True),
    c.Column(
        "log2fc_shrunk",
        "Shrunken",
        "number",
        2,
        True,
        "More cautious estimate: noisy genes pulled to zero",
    ),
    c.Column("base_mean", "Mean count", "number", 0),
    c.Column("pvalue", "p", "p"),
    c.Column("padj", "Adjusted p", "p"),
    c.Column("gene_id", "Ensembl id"),
)
TERM_COLUMNS = (
    c.Column("term", "Gene set"),
    c.Column("collection", "Collection"),
    c.Column(
        "nes",
        "NES",
        "number",
        2,
        True,
        "Normalised enrichment score: above 0 higher in the target group",
    ),
    c.Column("size", "Genes", "count"),
    c.Column("pvalue", "p", "p"),
    c.Column("padj", "Adjusted p", "p"),
    c.Column("edge", "Leading genes"),
)


def contrast_page(
    site: Site,
    data: ReportData,
    study: StudyData,
    contrast: ContrastData,
    made: Mapping[str, bytes],
) -> str:
    """Return a contrast's page: sentence, warnings, programmes, genes, pathways, method, files."""
    path = contrast_path(study, contrast)
    root, meta, known = _root(path), contrast.meta, pages_of_programmes(data)
    base = f"figures/{c.slug(study.card['id'])}.{c.slug(meta['id'])}"
    rows = (
        effects(contrast.programmes, data.programme_info, root=root, known=known)
        if contrast.programmes is not None and len(contrast.programmes)
        else None
    )
    if rows is not None:
        rows = rows.sort_values("effect", ascending=False, kind="stable")
        forest = c.forest_plot(
            rows,
            caption=f"Programme effects, {label(meta)}, {sizes(study, contrast)}",
            left=f"lower in {meta['target']}",
            right="higher",
        )
    else:
        forest = c.not_computed("programme effects")
    full = {k: root + v for k, v in contrast.files.items() if c.safe_path(v)}
    found = calls(contrast.de, data.alpha)
    gene_table, pictures = c.not_computed("gene-level results"), Markup("")
    if contrast.de is not None and len(contrast.de):
        frame = gene_frame(contrast.de)
        strongest = (
            frame.sort_values("pvalue", kind="stable")
            if found
            else frame.reindex(
                frame["log2fc"].abs().sort_values(ascending=False, kind="stable").index
            )
        )
        strongest = strongest.head(c.ROW_LIMIT).copy()
        strongest["gene"] = [
            c.local(s, f"{root}gene.html#{g}")
            for s, g in zip(strongest["label"], strongest["gene_id"].astype(str), strict=True)
        ]
        gene_table = c.table(
            strongest, GENE_COLUMNS, caption=f"Genes, {label(meta)}", name=f"{study.card['id']}-{meta['id']}-genes",
            full=full.get("de"), total=len(contrast.de), order="smallest p first" if found else "largest effect first",
        )  # fmt: skip
        names = [
            f"not below {data.alpha:g}",
            f"higher, adjusted p < {data.alpha:g}",
            f"lower, adjusted p < {data.alpha:g}",
        ]
        common = {
            "source": _gene_source(study, contrast),
            "groups": names,
            "kind": "genes",
            "unit": "genes",
        }
        downloads = [("data (TSV)", full["de"])] if "de" in full else []
        for name, spec, alt, caption in (
            ("volcano", {"x": "log2fc", "y": "nlp", "xlabel": "log2 fold change", "ylabel": "−log10 p", "symmetric": "x"},
             f"Volcano plot of {len(frame)} genes: {gene_sentence(contrast.de, data.alpha)}. The gene table below holds the values.",
             "Every gene is a point; right: higher in the target group; up: stronger evidence."),
            ("ma", {"x": "logmean", "y": "log2fc", "xlabel": "log10 mean normalised count", "ylabel": "log2 fold change", "symmetric": "y"},
             f"MA plot of {len(frame)} genes: mean expression against log2 fold change.",
             "Every gene is a point; right: more strongly expressed; up: higher in the target group."),
        ):  # fmt: skip
            if f"{base}.{name}.svg" in made:
                pictures += c.figure(
                    name=name, image=f"{root}{base}.{name}.svg", alt=alt, caption=caption, plot={**spec, **common},
                    downloads=[("SVG", f"{root}{base}.{name}.svg"), ("PNG", f"{root}{base}.{name}.png"), *downloads],
                )  # fmt: skip
    target, reference, unit = donors(study, contrast)
    return site.render(
        "contrast.html.j2",
        path=path,
        heading=label(meta),
        meta=meta,
        study={"name": study.card.get("accession") or study.card["id"], "href": root + study_path(study),
               "title": study.card.get("title")},
        what=_what(study.card, meta),
        target=target, reference=reference, unit=unit,
        sizes=sizes(study, contrast),
        badges=badges(study, contrast),
        confounders=confounders(meta),
        simulated=bool(meta.get("simulated") or study.card.get("simulated")),
        published=meta.get("evidence") == "published",
        experimental=bool(meta.get("experimental") or study.card.get("experimental")),
        ineligible=str(meta.get("reason") or "no reason given") if meta.get("eligible") is False else "",
        untested=found is None and contrast.de is not None,
        caveats=[str(x) for x in _as_list(meta.get("caveats") or meta.get("caveat"))],
        verdict=verdict(rows) if rows is not None else None,
        n_rows=0 if rows is None else len(rows),
        genes=gene_sentence(contrast.de, data.alpha),
        forest=forest,
        pictures=pictures,
        gene_table=gene_table,
        terms=_terms_table(study, contrast, full.get("gsea")),
        method=_method(data, meta),
        files=[
            (text, full[key])
            for key, text in (("de", "all genes"), ("gsea", "all pathways"), ("programmes", "programme effects"))
            if key in full
        ],
    )  # fmt: skip


def _terms_table(study: StudyData, contrast: ContrastData, full: str | None) -> Markup:
    if contrast.gsea is None:
        return c.not_computed("pathway analysis")
    frame = contrast.gsea.sort_values("pvalue", kind="stable").head(c.ROW_LIMIT).copy()
    if "leading_edge" in frame:
        frame["edge"] = [_few(v) for v in frame["leading_edge"]]
    frame["term"] = [str(t).replace("_", " ") for t in frame["term"]]
    return c.table(
        frame, TERM_COLUMNS, caption=f"Pathways, {label(contrast.meta)}",
        name=f"{study.card['id']}-{contrast.meta['id']}-pathways",
        full=full, total=len(contrast.gsea), order="smallest p first",
    )  # fmt: skip


def _few(genes: object, limit: int = 8) -> str:
    if c.is_missing(genes):
        return ""
    parts = [g for g in str(genes).replace(",", ";").replace("/", ";").split(";") if g]
    return ", ".join(parts[:limit]) + (
        f" and {len(parts) - limit} more" if len(parts) > limit else ""
    )


def _method(data: ReportData, meta: Mapping[str, Any]) -> str:
    if meta.get("method"):
        return str(meta["method"])
    v = data.versions
    adjust = ", ".join(str(x) for x in _as_list(meta.get("adjust")))
    design = f", adjusted for {adjust}" if adjust else ", no covariates"
    if meta.get("block"):
        design += f", donors as blocks ({meta['block']})"
    tool = f"PyDESeq2 {v['pydeseq2']}" if "pydeseq2" in v else "PyDESeq2"
    gsea = f"GSEApy {v['gseapy']}" if "gseapy" in v else "GSEApy"
    return (
        f"Counts were fitted with {tool}{design} (Wald test, Benjamini–Hochberg); pathways with {gsea} "
        "on the ranking by the Wald statistic; programme effects by moderated regression of block scores."
    )


# ---- programmes ---------------------------------------------------------------------------------


def programmes_page(site: Site, data: ReportData) -> str:
    """Return the overview: programmes by contrasts, colour and number, doubtful ones marked."""
    path = "programmes.html"
    known = pages_of_programmes(data)
    values: dict[str, dict[str, float]] = {}
    sure: dict[str, dict[str, bool]] = {}
    heads: dict[str, str] = {}
    links: dict[str, str] = {}
    legend = []
    for _, members in _by_role(data):
        for study, contrast in members:
            if contrast.programmes is None or contrast.programmes.empty:
                continue
            name = f"{study.card.get('accession') or study.card['id']}: {label(contrast.meta)}"
            if confounders(contrast.meta):
                name = "▲ " + name
            heads[name] = contrast_path(study, contrast)
            legend.append((name, sizes(study, contrast)))
            for row in effects(contrast.programmes, data.programme_info, known=known).to_dict(
                "records"
            ):
                values.setdefault(name, {})[row["label"]] = row["effect"]
                sure.setdefault(name, {})[row["label"]] = (
                    c.direction(row["ci_low"], row["ci_high"]) != 0
                )
                links[row["label"]] = programme_path(row["programme"])
    if not values:
        body = c.not_computed("programme effects")
    else:
        frame = pd.DataFrame(values)
        body = c.heatmap(
            frame,
            caption="Programme effects in log2 units; bold: the 95 % interval excludes 0",
            head="Programme",
            sure=pd.DataFrame(sure).reindex(index=frame.index, columns=frame.columns).eq(True),
            row_links=links,
            column_links=heads,
        )
    rest = sorted(
        known
        - {
            p
            for _, k in _contrasts(data)
            if k.programmes is not None
            for p in k.programmes["programme"]
        }
    )
    return site.render(
        "programmes.html.j2", path=path, heading="Gene programmes", body=body, legend=legend,
        caveats=[
            (programme_title(data.programme_info, p), programme_path(p), i["caveat"])
            for p, i in sorted(data.programme_info.items()) if i.get("caveat") and p in known
        ],
        rest=[(programme_title(data.programme_info, p), programme_path(p)) for p in rest],
    )  # fmt: skip


def programme_page(site: Site, data: ReportData, programme: str) -> str:
    """Return a programme's page: what it is, its caveat, its effect in every contrast, its genes."""
    path = programme_path(programme)
    root = _root(path)
    info = data.programme_info.get(programme, {})
    parts: dict[str, list[dict[str, Any]]] = {}
    for role, members in _by_role(data):
        for study, contrast in members:
            if contrast.programmes is None:
                continue
            own = contrast.programmes[contrast.programmes["programme"].astype(str) == programme]
            if own.empty:
                continue
            for row in effects(own, {}).to_dict("records"):
                parts.setdefault(str(row["block"]), []).append(
                    {
                        **row,
                        "label": f"{study.card.get('accession') or study.card['id']}: {label(contrast.meta)}",
                        "href": root + contrast_path(study, contrast),
                        "n": sizes(study, contrast),
                        "group": role,
                        "caveat": None,
                        "badges": badges(study, contrast),
                    }
                )
    frames = {block: pd.DataFrame(rows) for block, rows in parts.items()}
    span = c.domain(frames.values())
    blocks = [
        {
            "title": block.replace("_", " "),
            "plot": c.forest_plot(
                frame, caption=f"{programme_title(data.programme_info, programme, block)} in every contrast",
                head="Contrast", span=span,
            ),
        }
        for block, frame in frames.items()
    ]  # fmt: skip
    genes = Markup("")
    if data.programmes is not None:
        own = data.programmes[data.programmes["programme"].astype(str) == programme]
        names = {"block": "Block", "sign": "Sign", "human_symbol": "Human gene", "human": "Human gene",
                 "mouse_symbol": "Mouse gene", "mouse": "Mouse gene",
                 "in_denervation_signature": "Denervation gene", "source": "Source"}  # fmt: skip
        own = own.copy()
        if "in_denervation_signature" in own:
            own["in_denervation_signature"] = _truth(own["in_denervation_signature"]).map(
                {True: "yes", False: "no"}
            )
        genes = c.table(
            own, [c.Column(k, h) for k, h in names.items()],
            caption="Genes of the programme", name=f"{programme}-genes", order="by block",
        )  # fmt: skip
    return site.render(
        "programme.html.j2", path=path, heading=programme_title(data.programme_info, programme),
        key=programme, description=info.get("description", ""), caveat=info.get("caveat", ""),
        blocks=blocks, genes=genes,
    )  # fmt: skip


# ---- genes, methods, provenance, glossary -------------------------------------------------------


def gene_page(site: Site, data: ReportData) -> str:
    """Return the gene look-up: one page that draws any gene from its data script (``#id``)."""
    contrasts = [
        {
            "label": label(k.meta),
            "study": str(s.card.get("accession") or s.card["id"]),
            "href": contrast_path(s, k),
            "role": role,
            "sizes": sizes(s, k),
            "marks": [c.BADGES[m][0] for m in _marks(s, k)],
        }
        for role, members in _by_role(data)
        for s, k in members
    ]
    return site.render(
        "gene.html.j2", path="gene.html", heading="Gene look-up",
        spec=Markup(c.embed_json({"contrasts": contrasts, "buckets": BUCKETS})),
    )  # fmt: skip


def _marks(study: StudyData, contrast: ContrastData) -> list[str]:
    meta = contrast.meta
    found = ["confounded"] if confounders(meta) else []
    found += [k for k in ("simulated", "experimental") if meta.get(k) or study.card.get(k)]
    found += ["published"] if meta.get("evidence") == "published" else []
    found += ["excluded"] if meta.get("eligible") is False else []
    n = [x for x in donors(study, contrast)[:2] if x is not None]
    return found + (["small"] if n and min(n) < 3 else [])


def bucket(gene: str) -> int:
    """Return which data script holds a gene; ``app.js`` computes the same."""
    h = 0
    for char in gene:
        h = (h * 31 + ord(char)) % 65521
    return h % BUCKETS


def gene_scripts(data: ReportData) -> dict[str, str]:
    """Return the data scripts of the gene page and of the search: path to text.

    Per gene and contrast: place of the contrast in the page's list, log2 fold change, standard error,
    p, adjusted p, mean.
    """
    records: dict[str, list[str]] = {}
    names: dict[str, tuple[str, str]] = {}
    place = 0
    for _, members in _by_role(data):
        for study, contrast in members:
            de = contrast.de
            if de is not None and len(de):
                frame = gene_frame(de)
                organism = str(study.card.get("organism") or "")
                # astype(str) would turn numpy scalars to text slowly; lists of floats format fast.
                columns = [frame[k].astype(float).tolist() if k in frame else [math.nan] * len(frame)
                           for k in ("log2fc", "lfc_se", "pvalue", "padj", "base_mean")]  # fmt: skip
                for gene, symbol, *values in zip(
                    frame["gene_id"].astype(str), frame["label"], *columns, strict=True
                ):
                    cells = ",".join(
                        "null" if v != v or math.isinf(v) else f"{v:.3g}" for v in values
                    )
                    records.setdefault(gene, []).append(f"[{place},{cells}]")
                    names.setdefault(gene, (symbol, organism))
            place += 1
    files: dict[int, list[str]] = {}
    for gene in sorted(records):
        symbol, organism = names[gene]
        head = f"{c.embed_json(gene)}:[{c.embed_json(symbol)},{c.embed_json(organism)},"
        files.setdefault(bucket(gene), []).append(f"{head}[{','.join(records[gene])}]]")
    made = {
        f"assets/data/gene-{i}.js": f'alsmuscle.receive("gene-{i}",{{{",".join(files.get(i, []))}}});\n'
        for i in range(BUCKETS)
    }
    pages = [
        [f"{s.card.get('accession') or s.card['id']}: {s.card.get('title') or ''}", "study", study_path(s),
         f"{_what(s.card, {})} {ROLES.get(str(s.card.get('role')), '')}"]
        for s in data.studies
    ]  # fmt: skip
    pages += [
        [label(k.meta), "contrast", contrast_path(s, k), f"{s.card.get('accession') or s.card['id']} {_what(s.card, k.meta)}"]
        for s, k in _contrasts(data)
    ]  # fmt: skip
    pages += [
        [programme_title(data.programme_info, p), "programme", programme_path(p), p]
        for p in sorted(pages_of_programmes(data))
    ]
    pages += [[t, "glossary", f"glossary.html#{k}", ""] for k, t, _ in GLOSSARY]
    genes = "\n".join(
        "\t".join(
            str(x).replace("\t", " ").replace("\n", " ") for x in (names[g][0], g, names[g][1])
        )
        for g in sorted(names, key=lambda g: (names[g][0], g))
    )
    made["assets/data/search.js"] = data_script("search", {"pages": pages, "genes": genes})
    return made


def methods_page(site: Site, data: ReportData) -> str:
    """Return how it was done: steps with citations, parameters of the effective config, versions."""
    steps = [dict(m) for m in data.methods] or [
        {"step": s, "text": t, "citation": a, "doi": d} for s, t, a, d in METHODS
    ]
    cards = [
        {
            "step": m["step"],
            "text": m["text"],
            "citation": _citation({"text": m.get("citation"), "doi": m.get("doi")}),
        }
        for m in steps
    ]
    flat = pd.DataFrame(list(flatten(data.parameters)), columns=["key", "value"])
    versions = pd.DataFrame(sorted(data.versions.items()), columns=["package", "version"])
    return site.render(
        "methods.html.j2", path="methods.html", heading="Methods", steps=cards,
        parameters=c.table(flat, [c.Column("key", "Parameter"), c.Column("value", "Value")],
                           caption="Parameters of the effective configuration", name="parameters")
        if len(flat) else c.not_computed("the list of parameters"),
        versions=c.table(versions, [c.Column("package", "Package"), c.Column("version", "Version")],
                         caption="Software versions", name="versions")
        if len(versions) else c.not_computed("the list of versions"),
        sources=[(s.card.get("accession") or s.card["id"], root_path, _citation(s.card.get("citation") or {}))
                 for s in data.studies for root_path in [study_path(s)]],
    )  # fmt: skip


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``(dotted key, value)`` of a nested configuration, lists joined."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, name + ".")
        elif isinstance(value, (list, tuple)):
            yield name, ", ".join(map(str, value)) or "(empty)"
        else:
            yield name, "(none)" if value is None else str(value)


def provenance_page(site: Site, data: ReportData) -> str:
    """Return where everything came from: data lock, commit, versions, run times, configuration."""
    lock = Markup("")
    if data.lock is not None and len(data.lock):
        frame = data.lock.copy()
        frame["file"] = [c.link(u, u) for u in frame["url"]]
        lock = c.table(
            frame,
            [c.Column("study", "Study"), c.Column("file", "File"), c.Column("bytes", "Bytes", "count"),
             c.Column("retrieved", "Retrieved"), c.Column("sha256", "SHA-256")],
            caption="Data lock: every file that went in", name="data-lock", limit=5000,
        )  # fmt: skip
    versions = pd.DataFrame(sorted(data.versions.items()), columns=["package", "version"])
    runtimes = Markup("")
    if data.runtimes is not None and len(data.runtimes):
        columns = [
            c.Column(
                str(k),
                str(k).replace("_", " "),
                "number" if pd.api.types.is_numeric_dtype(data.runtimes[k]) else "text",
            )
            for k in data.runtimes.columns
        ]
        runtimes = c.table(data.runtimes, columns, caption="Run times", name="run-times")
    return site.render(
        "provenance.html.j2", path="provenance.html", heading="Provenance",
        commit=data.commit, config=data.config,
        lock=lock or c.not_computed("the data lock"),
        versions=c.table(versions, [c.Column("package", "Package"), c.Column("version", "Version")],
                         caption="Software versions", name="versions")
        if len(versions) else c.not_computed("the list of versions"),
        runtimes=runtimes or c.not_computed("run times"),
    )  # fmt: skip


def glossary_page(site: Site) -> str:
    """Return the words used, for readers who are not bioinformaticians."""
    entries = [
        {"key": k, "term": t, "text": x} for k, t, x in sorted(GLOSSARY, key=lambda g: g[1].lower())
    ]
    return site.render(
        "glossary.html.j2", path="glossary.html", heading="Words used here", entries=entries
    )


# ---- all of it ----------------------------------------------------------------------------------


def build(templates: Mapping[str, str], data: ReportData) -> dict[str, str | bytes]:
    """Return the whole report: path relative to the report folder, and text or bytes.

    Parameters
    ----------
    templates
        Name to text of every file of ``workflow/report``.
    data
        Cards and tables, already read and checked.

    Raises
    ------
    InputError
        When templates are missing, or two studies, contrasts or programmes would share a page.
    """
    site = Site(templates, data.title)
    pages: dict[str, str | bytes] = {}

    def add(path: str, content: str | bytes) -> None:
        if path in pages:
            raise InputError(
                f"two entries would write {path}",
                where="config/datasets",
                expected="ids that differ in letters and digits",
                remedy="rename one of them",
            )
        pages[path] = content

    add("index.html", index_page(site, data))
    for study in data.studies:
        made = study_figures(study)
        for name, content in made.items():
            add(name, content)
        add(study_path(study), study_page(site, data, study, made))
        for contrast in study.contrasts:
            drawn = contrast_figures(study, contrast, data.alpha)
            for name, content in drawn.items():
                add(name, content)
            if contrast.de is not None and len(contrast.de):
                add(
                    f"assets/data/{_gene_source(study, contrast)}.js",
                    gene_script(study, contrast, data.alpha),
                )
            add(contrast_path(study, contrast), contrast_page(site, data, study, contrast, drawn))
    add("programmes.html", programmes_page(site, data))
    for programme in sorted(pages_of_programmes(data)):
        add(programme_path(programme), programme_page(site, data, programme))
    for path, text in gene_scripts(data).items():
        add(path, text)
    add("gene.html", gene_page(site, data))
    add("methods.html", methods_page(site, data))
    add("provenance.html", provenance_page(site, data))
    add("glossary.html", glossary_page(site))
    return pages
