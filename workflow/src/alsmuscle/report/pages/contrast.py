"""Contrast pages: sentence, warnings, programmes, genes, pathways, method, files."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from alsmuscle.design.marks import MARKS
from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.html import plots
from alsmuscle.report.pages import pathway, pathways, proportions
from alsmuscle.report.pages.study import as_list
from alsmuscle.report.site import Site

# Mean count below which a ratio of untested samples is hardly more than noise.
FEW_READS = 10

GENE_COLUMNS = (
    c.Column("gene", "Gene"),
    c.Column("log2fc", "Log2 fold change", "number", 2, True),
    c.Column("ci_low", "95 % from", "number", 2, True),
    c.Column("ci_high", "95 % to", "number", 2, True),
    c.Column("log2fc_shrunk", "Shrunken", "number", 2, True, "Noisy genes pulled towards zero"),
    c.Column("base_mean", "Mean count", "number", 0),
    c.Column("level", "Mean log2 intensity", "number", 1),
    c.Column("pvalue", "p", "p"),
    c.Column("padj", "Adjusted p", "p"),
    c.Column("n_replaced", "Counts replaced", "count", title="Outlying by Cook's distance"),
    c.Column("gene_id", "Ensembl id"),
)
SET_COLUMNS = (
    c.Column("name", "Gene set"),
    c.Column("similar", "Folded", title="Sets that share half of its leading genes"),
    c.Column("collection", "Collection"),
    c.Column("effect", "Effect (log2)", "number", 2, True, "Mean change of the set's genes"),
    c.Column("ci_low", "95 % from", "number", 2, True),
    c.Column("ci_high", "95 % to", "number", 2, True),
    c.Column("pvalue_competitive", "p", "p", title="Against random sets of equal expression"),
    c.Column("padj_competitive", "Adjusted p", "p", title="Within the collection"),
    c.Column("camera_pvalue", "p (camera)", "p", title="Against all genes of any expression"),
    c.Column("size", "Genes", "count"),
    c.Column("nes", "NES (descriptive)", "number", 2, True, "Normalised enrichment score"),
    c.Column("edge", "Leading genes"),
    c.Column("draw", "Heat map"),
)
OMNIBUS_COLUMNS = (
    c.Column("label", "Gene"),
    c.Column(
        "stat",
        "Statistic",
        "number",
        1,
        title="Twice the gain in log likelihood, or F times its terms",
    ),
    c.Column("pvalue", "p", "p"),
    c.Column("padj", "Adjusted p", "p"),
    c.Column("base_mean", "Mean count", "number", 0),
    c.Column("level", "Mean log2 intensity", "number", 1),
    c.Column("gene_id", "Ensembl id"),
)
TERM_COLUMNS = (
    c.Column("term", "Gene set"),
    c.Column("collection", "Collection"),
    c.Column("nes", "NES (descriptive)", "number", 2, True, "Normalised enrichment score"),
    c.Column("size", "Genes", "count"),
    c.Column("pvalue", "p, genes as independent", "p"),
    c.Column("edge", "Leading genes"),
    c.Column("draw", "Heat map"),
)
ROOT = "../"
"""From a comparison's page to the report's folder."""
FILES = (
    ("de", "all genes"),
    ("sets", "all pathways"),
    ("gsea", "all pathways, GSEA"),
    ("programmes", "programme effects, raw and adjusted"),
    ("scores", "programmes against random sets"),
    ("omnibus", "omnibus tests of the study"),
    ("engines", "agreement with a second method"),
)


def page(
    site: Site,
    data: m.ReportData,
    study: m.StudyData,
    contrast: m.ContrastData,
    drawn: Collection[str],
) -> str:
    """Return a contrast's page; ``drawn``: paths of the figures that exist."""
    path, meta = m.contrast_path(study, contrast), contrast.meta
    root = m.root(path)
    target, reference = wording.sides(meta)
    n_target, n_reference, unit, _ = m.donors(study, contrast)
    full = {k: root + v for k, v in contrast.files.items() if c.safe_path(v)}
    head = estimates.headline(data, contrast, root)
    found = rows = None
    if contrast.programmes is not None and len(contrast.programmes):
        rows = estimates.effects(contrast.programmes, data, root)
        found = {key: len(names) for key, names in estimates.verdict(rows, data.alpha).items()}
    return site.render(
        "contrast.html.j2",
        path=path,
        heading=wording.label(meta),
        study={"name": study.name, "href": root + m.study_path(study)},
        what=wording.what(study.card, meta),
        reading=wording.reading(meta),
        ends=wording.ends(meta),
        target=target,
        reference=reference,
        n_target=n_target,
        n_reference=n_reference,
        unit=unit,
        badges=wording.badges(study, contrast),
        cell_type=str(meta.get("cell_type") or ""),
        doubts=_doubts(meta),
        simulated=wording.is_marked(study, contrast, "simulated"),
        experimental=wording.is_marked(study, contrast, "experimental"),
        published=meta.get("evidence") == "published",
        ineligible=str(meta.get("reason") or "No reason was given.")
        if meta.get("eligible") is False
        else "",
        few=wording.few(study, contrast),
        caveats=[_sentences(str(x)) for x in as_list(meta.get("caveats") or meta.get("caveat"))],
        study_caveats=[wording.spaced(x) for x in as_list(meta.get("study_caveats"))],
        verdict=estimates.verdict(head, data.alpha) if len(head) else None,
        n_shown=len(head),
        alpha=f"{data.alpha:g}",
        found=found,
        n_rows=0 if rows is None else len(rows),
        genes=estimates.gene_sentence(contrast, data.alpha),
        first_genes=_of_processing(contrast),
        untested=_untested(contrast, data.alpha),
        forest=_forest(study, contrast, _anchored(head)),
        everything=None
        if rows is None
        else _forest(study, contrast, _anchored(rows, besides=head), by_programme=True),
        has_null=rows is not None and "null_low" in rows,
        adjusted=_adjusted(data, study, contrast, rows, full.get("programmes")),
        shares=proportions.sentence(data, study, contrast),
        pictures=_pictures(data, study, contrast, root, full=full, drawn=drawn),
        gene_table=_genes(data, study, contrast, root, full.get("de")),
        engine=wording.engine_sentence(contrast.engines),
        donors=wording.donor_sentence(contrast.engines),
        hidden=wording.hidden_sentence(contrast.engines),
        omnibus=_omnibus(data, study, contrast, root, full.get("omnibus")),
        terms=_terms(data, study, contrast, full.get("gsea"))
        if contrast.sets is None
        else _sets(data, study, contrast, full.get("sets")),
        everywhere=pathways.link(data, root),
        by_samples=contrast.sets is not None,
        method=_method(data, meta),
        files=[(text, full[key]) for key, text in FILES if key in full],
    )


def _sentences(text: str) -> str:
    """Return a text whose sentences begin with a capital letter, its numbers as on the pages."""
    spaced = wording.spaced(text)
    return re.sub(r"(^|\. )([a-z])", lambda found: found[1] + found[2].upper(), spaced)


def _anchored(rows: pd.DataFrame, besides: pd.DataFrame | None = None) -> pd.DataFrame:
    """Give every block the id to which its numbers on other pages lead; none to ``besides``."""
    if rows.empty:
        return rows
    keys = list(zip(rows["programme"].astype(str), rows["block"].astype(str), strict=True))
    had: set[tuple[str, str]] = set()
    if besides is not None and len(besides):
        had = set(zip(besides["programme"].astype(str), besides["block"].astype(str), strict=True))
    return rows.assign(anchor=[None if key in had else m.block_anchor(*key) for key in keys])


def _forest(
    study: m.StudyData, contrast: m.ContrastData, rows: pd.DataFrame, by_programme: bool = False
) -> Markup:
    if rows.empty:
        return c.not_computed("programme effects")
    if "pvalue_competitive" in rows:
        rows = rows.assign(null_p=pd.to_numeric(rows["pvalue_competitive"], errors="coerce"))
    if wording.few(study, contrast):
        rows = rows.drop(columns=["padj", "null_p"], errors="ignore")  # described, not tested
    caption = f"Programme effects, {wording.label(contrast.meta)}, {wording.sizes(study, contrast)}"
    if by_programme:
        rows = rows.sort_values("title", kind="stable").assign(
            group=lambda f: f["title"],
            group_href=lambda f: f["href"],
            group_note=lambda f: f["caveat"],
            label=lambda f: f["part"],
            href=None,
            caveat=None,
        )
        caption = f"All blocks: {caption}"
    return plots.forest_plot(rows, caption=caption, left="lower")


ADJUSTED = (
    c.Column("label", "Programme and block"),
    c.Column("raw", "Effect (log2)", title="95 % interval in brackets"),
    c.Column("content", "Adjusted for tissue content", title="95 % interval in brackets"),
    c.Column("pvalue_adjusted", "p, adjusted effect", "p"),
    c.Column("proportions", "Adjusted by proportions", title="95 % interval in brackets"),
)


def _adjusted(
    data: m.ReportData,
    study: m.StudyData,
    contrast: m.ContrastData,
    rows: pd.DataFrame | None,
    full: str | None,
) -> Markup | None:
    """Every block's effect beside the one with fibre, fat and macrophage content in the model, by
    markers and, where a reference of nuclei describes the tissue, by estimated proportions.
    """
    if rows is None or "effect_adjusted" not in rows or rows["effect_adjusted"].isna().all():
        return None
    table = rows[rows["effect_adjusted"].notna()].sort_values("pvalue", kind="stable")
    for name, end in (("raw", ""), ("content", "_adjusted")):
        columns = (f"effect{end}", f"ci_low{end}", f"ci_high{end}")
        table[name] = [
            c.interval_text(*row) for row in table[[*columns]].itertuples(index=False, name=None)
        ]
    return c.table(
        proportions.beside(data, study, contrast, table),
        ADJUSTED,
        caption=f"Effects adjusted for tissue content, {wording.label(contrast.meta)}",
        name=f"{m.contrast_key(study, contrast)}-adjusted",
        full=full,
        order="smallest p of the raw effect first",
    )


def _genes(
    data: m.ReportData, study: m.StudyData, contrast: m.ContrastData, root: str, full: str | None
) -> Markup:
    de = contrast.de
    if de is None or de.empty:
        return c.not_computed("gene-level results")
    frame = estimates.gene_frame(de)
    tested = estimates.calls(de, data.alpha) is not None
    strength, order = frame["pvalue"], "smallest p first"
    if not tested:
        strength, order = -frame["log2fc"].abs(), "largest effect first"
        if contrast.meta.get("measure") == "counts":
            # The largest ratios are those of a handful of reads.
            strength = strength.where(frame["base_mean"] >= FEW_READS, 0.0)
            order += f", genes below a mean count of {FEW_READS} last"
    strongest = frame.loc[strength.sort_values(kind="stable").index].head(data.top).copy()
    strongest = _levels(strongest, contrast)
    if "n_replaced" in strongest and not strongest["n_replaced"].gt(0).any():
        strongest = strongest.drop(columns="n_replaced")
    strongest["gene"] = [
        c.local(s, f"{root}gene.html#{g}")
        for s, g in zip(strongest["label"], strongest["gene_id"].astype(str), strict=True)
    ]
    return c.table(
        strongest,
        GENE_COLUMNS,
        caption=f"Genes, {wording.label(contrast.meta)}",
        name=f"{m.contrast_key(study, contrast)}-genes",
        full=full,
        total=len(de),
        limit=data.top,
        order=order,
    )


def _doubts(meta: Mapping[str, Any]) -> list[tuple[str, bool, str]]:
    """Return title, whether it bars pooling, and sentences of every kind of mark, once each.

    Few samples are said elsewhere.
    """
    found: dict[str, list[str]] = {}
    columns = ", ".join(wording.confounders(meta))
    for kind, text in meta.get("marks", []):
        if kind != "few_samples":
            found.setdefault(kind, []).append(_read(_sentences(text)))
    if columns and "confounded" not in found:
        found = {"confounded": [MARKS["confounded"].meaning], **found}
    return [
        (
            f"▲ Confounded with {columns}"
            if kind == "confounded" and columns
            else f"{'▲' if MARKS[kind].bars else '※'} {MARKS[kind].label.capitalize()}",
            MARKS[kind].bars,
            " ".join(dict.fromkeys(texts)),
        )
        for kind, texts in found.items()
    ]


def _read(text: str) -> str:
    """Return a sentence with the levels of sample tables as they are read elsewhere on the page."""
    return re.sub(r"'([a-z0-9_]+)'", lambda found: f"‘{wording.level(found[1])}’", text)


def _untested(contrast: m.ContrastData, alpha: float) -> str:
    """Say which genes have no adjusted p-value, and whose counts were replaced among the called."""
    de, found = contrast.de, estimates.calls(contrast.de, alpha)
    if de is None or found is None:
        return ""
    text = ""
    if found["left_out"] and contrast.meta.get("evidence") != "published":
        text = (
            f"Of {c.number(found['tested'] + found['left_out'], 0)} genes measured, "
            f"{c.number(found['left_out'], 0)} have too few reads, or counts too unlike each "
            f"other, for a test: their adjusted p is {c.MISSING}. Which genes are tested depends "
            "on their expression alone, never on their p. "
        )
    called = de[de["padj"] < alpha]
    if "n_replaced" in called and called["n_replaced"].gt(0).any():
        names = called.loc[called["n_replaced"] > 0, "symbol"].astype(str).tolist()
        text += (
            f"In {c.number(len(names), 0)} of the {c.number(found['called'], 0)} genes called, "
            "counts of single samples were outlying (Cook's distance) and were replaced by what "
            f"the others have: {', '.join(names[:8])}{' and others' if len(names) > 8 else ''}."
        )
    return text


def _levels(frame: pd.DataFrame, contrast: m.ContrastData) -> pd.DataFrame:
    """Name mean expression by what was measured, counts or log2 intensities; these have no
    shrinkage.
    """
    if contrast.meta.get("measure") != "intensities":
        return frame
    return frame.rename(columns={"base_mean": "level"}).drop(
        columns="log2fc_shrunk", errors="ignore"
    )


def _omnibus(
    data: m.ReportData, study: m.StudyData, contrast: m.ContrastData, root: str, full: str | None
) -> list[dict[str, Any]]:
    """Return question, answer and strongest genes of every omnibus test of the design."""
    if contrast.omnibus is None:
        return []
    found = []
    for test, part in contrast.omnibus.groupby("test", sort=False):
        called = int((part["padj"] < data.alpha).sum())
        tested = int(part["pvalue"].notna().sum())
        frame = _levels(part.head(min(data.top, 50)).copy(), contrast)
        names = frame["symbol"].where(frame["symbol"].map(lambda v: not c.is_missing(v)))
        frame["label"] = [
            c.local(str(name), f"{root}gene.html#{gene}")
            for name, gene in zip(names.fillna(frame["gene_id"]), frame["gene_id"], strict=True)
        ]
        found.append(
            {
                "question": wording.omnibus_question(contrast.meta, str(test)),
                "answer": f"{c.number(called, 0)} of {c.number(tested, 0)} genes at adjusted p "
                f"< {data.alpha:g}"
                if tested
                else "too few samples for a test",
                "df": int(part["df"].iloc[0]),
                "table": c.table(
                    frame,
                    OMNIBUS_COLUMNS,
                    caption=f"Omnibus test: {wording.omnibus_question(contrast.meta, str(test))}",
                    name=f"{m.contrast_key(study, contrast)}-omnibus-{c.slug(test)}",
                    full=full,
                    total=len(part),
                    limit=50,
                    order="smallest p first",
                ),
            }
        )
    return found


def _opened(
    data: m.ReportData, study: m.StudyData, contrast: m.ContrastData, frame: pd.DataFrame
) -> list[Markup]:
    names = frame[["collection", "term"]].astype(str).itertuples(index=False)
    return [pathway.link(data, study, contrast, *name, root=ROOT) for name in names]


def _terms(
    data: m.ReportData, study: m.StudyData, contrast: m.ContrastData, full: str | None
) -> Markup:
    if contrast.gsea is None:
        return c.not_computed("pathway analysis")
    frame = contrast.gsea.sort_values("pvalue", kind="stable").head(data.top).copy()
    if "leading_edge" in frame:
        frame["edge"] = [_few(v) for v in frame["leading_edge"]]
        frame["draw"] = [_drawn_set(v) for v in frame["leading_edge"]]
    frame["term"] = _opened(data, study, contrast, frame)
    frame["collection"] = [c.set_name(str(name)) for name in frame["collection"]]
    return c.table(
        frame,
        TERM_COLUMNS,
        caption=f"Pathways, {wording.label(contrast.meta)}",
        name=f"{m.contrast_key(study, contrast)}-pathways",
        full=full,
        total=len(contrast.gsea),
        limit=data.top,
        order="smallest p first",
    )


def _sets(
    data: m.ReportData, study: m.StudyData, contrast: m.ContrastData, full: str | None
) -> Markup:
    """Return the sets that stand for their group; the others fold under them."""
    frame = contrast.sets
    if (frame is None or frame.empty) and wording.few(study, contrast):
        return c.not_computed("pathway analysis: too few samples to test or rank genes")
    if frame is None or frame.empty:
        return c.not_computed("pathway analysis: no collection of gene sets is configured")
    keys = ["collection", "term"]
    if contrast.gsea is not None:
        more = contrast.gsea[[*keys, "nes", "leading_edge"]]
        frame = frame.merge(more, on=keys, how="left")
        frame["edge"] = [_few(v) for v in frame["leading_edge"]]
        frame["draw"] = [_drawn_set(v) for v in frame["leading_edge"]]
    if wording.few(study, contrast):
        frame = frame.drop(columns=[k for k in frame if "pvalue" in k or "padj" in k])
    tested = "pvalue_competitive" in frame and frame["pvalue_competitive"].notna().any()
    strength = frame["pvalue_competitive"] if tested else -frame["effect"].abs()
    frame = frame.loc[strength.sort_values(kind="stable").index]
    own = frame["group"] == frame["collection"] + ": " + frame["term"]
    followers = {str(name): part for name, part in frame[~own].groupby("group", sort=False)}
    heads = frame[own].copy()
    heads["name"] = _opened(data, study, contrast, heads)
    heads["collection"] = [c.set_name(str(name)) for name in heads["collection"]]
    heads["similar"] = [
        _followers(data, study, contrast, followers.get(str(group))) for group in heads["group"]
    ]
    return c.table(
        heads,
        SET_COLUMNS,
        caption=f"Pathways, {wording.label(contrast.meta)}",
        name=f"{m.contrast_key(study, contrast)}-pathways",
        full=full,
        total=len(heads),
        limit=data.top,
        order=f"{'smallest p' if tested else 'largest effect'} first; "
        f"{_further(len(frame) - len(heads))} folded under one with the same leading genes",
    )


def _further(n: int) -> str:
    return f"{n} further set{'s' * (n != 1)}"


def _followers(
    data: m.ReportData,
    study: m.StudyData,
    contrast: m.ContrastData,
    followers: pd.DataFrame | None,
) -> Markup | str:
    """Return the sets that fold under another, with their effects."""
    if followers is None:
        return ""
    numbers = followers[["effect", "ci_low", "ci_high"]].itertuples(index=False, name=None)
    names = _opened(data, study, contrast, followers)
    lines = [
        Markup("{}: {}").format(name, c.interval_text(*row))
        for name, row in zip(names, numbers, strict=True)
    ]
    return Markup("<details><summary>{}</summary>{}</details>").format(
        f"{len(lines)} set{'' if len(lines) == 1 else 's'}: ", Markup("; ").join(lines)
    )


def _names(genes: object) -> list[str]:
    if c.is_missing(genes):
        return []
    parts = [g.strip() for g in str(genes).replace(",", ";").replace("/", ";").split(";")]
    return [g for g in parts if g]


def _drawn_set(genes: object, limit: int = 40) -> Markup | str:
    """Return a link to the heat map of a set's leading genes, the first ``limit``."""
    names = [g for g in _names(genes) if re.fullmatch(r"[\w.-]+", g)][:limit]
    if not names:
        return ""
    return c.local("draw", f"{ROOT}geneset.html#{','.join(names)}")


def _few(genes: object, limit: int = 8) -> str:
    parts = _names(genes)
    more = f" and {len(parts) - limit} more" if len(parts) > limit else ""
    return ", ".join(parts[:limit]) + more


def _method(data: m.ReportData, meta: Mapping[str, Any]) -> str:
    if meta.get("method"):
        return str(meta["method"])
    tool, gsea = (
        f"{name} {data.versions[key]}" if key in data.versions else name
        for name, key in (("PyDESeq2", "pydeseq2"), ("GSEApy", "gseapy"))
    )
    adjust = ", ".join(str(x) for x in as_list(meta.get("adjust")))
    design = f"adjusted for {adjust}" if adjust else "no covariates"
    if meta.get("block"):
        design += f", {meta['block']} as block"
    return (
        f"Counts were fitted with {tool} ({design}; Benjamini-Hochberg); pathways with "
        f"{gsea} on the ranking by the test statistic; programme effects "
        "as the mean of their genes' log2 fold changes."
    )


# ---- figures ------------------------------------------------------------------------------------


def _base(study: m.StudyData, contrast: m.ContrastData) -> str:
    return f"figures/{m.contrast_key(study, contrast)}"


def source(study: m.StudyData, contrast: m.ContrastData) -> str:
    """Return the name of the data script with a contrast's genes."""
    return f"genes-{m.contrast_key(study, contrast)}"


def _drawn(contrast: m.ContrastData, alpha: float) -> bool:
    """Whether genes are drawn: of a study's many cell types those in which a gene is called."""
    if contrast.de is None or contrast.de.empty:
        return False
    found = estimates.calls(contrast.de, alpha)
    return not contrast.meta.get("cell_type") or bool(found and found["called"])


def figures(study: m.StudyData, contrast: m.ContrastData, alpha: float) -> dict[str, bytes]:
    """Return volcano and MA plot as SVG: path below the report folder to bytes."""
    from alsmuscle.report.html import figures as f

    made: dict[str, bytes] = {}
    if contrast.de is None or not _drawn(contrast, alpha):
        return made
    frame = estimates.gene_frame(contrast.de).dropna(subset=["log2fc"])
    base = _base(study, contrast)
    if frame["nlp"].notna().any():
        made[f"{base}.volcano.svg"] = f.to_svg(f.volcano(frame.dropna(subset=["nlp"]), alpha))
    if "base_mean" in frame and frame["base_mean"].notna().any():
        part = frame.dropna(subset=["base_mean"])
        x, label = _abundance(part["base_mean"], contrast)
        made[f"{base}.ma.svg"] = f.to_svg(f.ma(part, alpha, x=x, label=label))
    return made


def _abundance(mean: pd.Series, contrast: m.ContrastData) -> tuple[pd.Series, str]:
    """Return the horizontal axis of an MA plot and its label."""
    if contrast.meta.get("measure") == "intensities":
        return mean, "mean log2 intensity"
    return pd.Series(np.log10(mean.clip(lower=1e-3)), mean.index), "log10 mean normalised count"


def script(study: m.StudyData, contrast: m.ContrastData, alpha: float) -> str | None:
    """Return the data script of the gene plots: every gene, rounded to what a screen shows."""
    from alsmuscle.report.html import figures as f

    if contrast.de is None or not _drawn(contrast, alpha):
        return None
    frame = estimates.gene_frame(contrast.de).dropna(subset=["log2fc"])
    mean = frame["base_mean"] if "base_mean" in frame else pd.Series(np.nan, index=frame.index)
    payload = {
        "label": frame["label"].tolist(),
        "log2fc": _rounded(frame["log2fc"], 3),
        "nlp": _rounded(frame["nlp"], 2),
        "logmean": _rounded(_abundance(mean, contrast)[0], 2),
        "low": _rounded(frame["ci_low"], 2),
        "high": _rounded(frame["ci_high"], 2),
        "padj": [None if math.isnan(v) else float(f"{v:.2g}") for v in frame["padj"].astype(float)],
        "group": f.call_groups(frame, alpha).tolist(),
    }
    return c.data_script(source(study, contrast), payload)


def _rounded(values: pd.Series, digits: int) -> list[float | None]:
    return [None if math.isnan(v) else round(v, digits) for v in values.astype(float).tolist()]


def _pictures(
    data: m.ReportData,
    study: m.StudyData,
    contrast: m.ContrastData,
    root: str,
    *,
    full: Mapping[str, str],
    drawn: Collection[str],
) -> Markup:
    base, alpha = _base(study, contrast), f"{data.alpha:g}"
    n = 0 if contrast.de is None else len(contrast.de)
    label = _abundance(pd.Series(dtype=float), contrast)[1]
    higher = wording.ends(contrast.meta)[0]
    right = higher[0].lower() + higher[1:]
    common = {
        "kind": "genes",
        "source": source(study, contrast),
        "groups": [
            "not tested",
            f"adjusted p ≥ {alpha}",
            f"higher, adjusted p < {alpha}",
            f"lower, adjusted p < {alpha}",
        ]
        if estimates.calls(contrast.de, data.alpha)
        else ["not tested"],
    }
    pictures = []
    for name, spec, alt, caption in (
        (
            "volcano",
            {"x": "log2fc", "y": "nlp", "symmetric": "x"}
            | {"xlabel": "log2 fold change", "ylabel": f"{c.MINUS}log10 p"},
            f"Volcano plot of {n} genes: {estimates.gene_sentence(contrast, data.alpha)}. "
            "The gene table below holds the values.",
            f"Every tested gene is a point; right: {right}; up: stronger evidence.",
        ),
        (
            "ma",
            {"x": "logmean", "y": "log2fc", "symmetric": "y"}
            | {"xlabel": label, "ylabel": "log2 fold change"},
            f"MA plot of {n} genes: mean expression against log2 fold change. "
            "The gene table below holds the values.",
            f"Every gene is a point; right: more expressed; up: {right}.",
        ),
    ):
        if f"{base}.{name}.svg" in drawn:
            files = [("SVG", f"{root}{base}.{name}.svg")]
            files += [("data (TSV)", full["de"])] if "de" in full else []
            pictures.append(
                c.figure(
                    name=name,
                    image=f"{root}{base}.{name}.svg",
                    alt=alt,
                    caption=caption,
                    downloads=files,
                    plot={**spec, **common},
                )
            )
    return Markup("").join(pictures)


STRONGEST = 20
"""Genes of smallest p of which it is told whether processing may have moved them."""


def _of_processing(contrast: m.ContrastData) -> str:
    """Warn before the strongest genes of groups that were processed apart; else nothing."""
    de = contrast.de
    if de is None or not wording.apart(contrast.meta) or not de["pvalue"].notna().any():
        return ""
    top = de.nsmallest(STRONGEST, "pvalue")["symbol"].fillna("").astype(str).str.upper()
    n = int(top.str.match(r"(?:RP[LS]\d|MT-)").sum())
    said = "The groups were processed apart: the strongest genes may differ by batch or RNA quality"
    if n:
        said += f"; {n} of the first {len(top)} are ribosomal or mitochondrial"
    return said + "."
