"""What the report shows, and what can be said about it in words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from alsmuscle.design import marks as design_marks
from alsmuscle.genesets.programmes import well_measured
from alsmuscle.report.html import components as c
from alsmuscle.stats.distributions import half_width

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
    "reference": "References for cell types",
}
"""Role of a contrast and its heading, in display order: ALS first, then what it is held against."""

TISSUE = "muscle"
"""Cell type of bulk tissue."""

WHOLE, PARTS = "Whole muscle", "Cell types"
"""Headings of pooled rows."""

Z95 = 1.959964
"""Half width of a 95 % interval of the normal distribution in standard deviations."""


@dataclass(frozen=True)
class ContrastData:
    """One contrast: its description and its tables (``None`` = not computed).

    Parameters
    ----------
    meta
        ``id, label, target, reference`` and, where known, ``variable, role, adjust, block,
        confounded`` (column names), ``marks`` (kinds of :mod:`alsmuscle.design.marks` and
        sentences), ``simulated, experimental`` (bool), ``evidence``
        (``published``), ``eligible`` (bool), ``reason``, ``donors_target, donors_reference,
        n_target, n_reference, target_label, reference_label, muscle, stage, caveat`` and
        ``method`` (sentence with versions).
    de, gsea, sets, programmes
        Contracts ``de.tsv`` (one cell type), ``gsea.tsv``, ``sets.tsv`` and ``effects.tsv``.
    drivers
        ``programmes.drivers`` of the complete blocks.
    engines
        Contract ``engines``: how far a second method agrees.
    omnibus
        Contract ``omnibus``: the rows of the contrast's design.
    files
        ``de, gsea, sets, programmes, omnibus``: path of the full TSV relative to the report folder.
    """

    meta: Mapping[str, Any]
    de: pd.DataFrame | None = None
    gsea: pd.DataFrame | None = None
    sets: pd.DataFrame | None = None
    programmes: pd.DataFrame | None = None
    drivers: pd.DataFrame | None = None
    engines: pd.DataFrame | None = None
    omnibus: pd.DataFrame | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CellsData:
    """What a single-cell study has beside its contrasts; contracts of the same names.

    ``map``: one row per cell with ``umap1, umap2, sample_id, condition, cell_type`` and block
    scores (``PROGRAMME/block``); ``composition``: all contrasts; ``qc``: contract ``cells_qc``;
    ``files``: name to path of the TSV relative to the report folder.
    """

    material: str
    map: pd.DataFrame
    qc: pd.DataFrame
    barcodes: pd.DataFrame
    clusters: pd.DataFrame
    markers: pd.DataFrame
    types: pd.DataFrame
    activity: pd.DataFrame
    coexpression: pd.DataFrame
    composition: pd.DataFrame
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Expression:
    """Normalised expression of a study's samples.

    ``values``: genes × samples, log2; ``genes`` and ``symbols`` name its rows; ``samples`` has a row
    per column with ``sample`` (its name in downloads), ``sample_id``, ``subject_id`` and the columns
    of the sample table, of cells also ``cell_type`` and ``n_cells``; ``unit`` in words.
    """

    values: np.ndarray
    genes: Sequence[str]
    symbols: Sequence[str]
    samples: pd.DataFrame
    unit: str


class Groups(NamedTuple):
    """How many are compared: target, reference, their unit, and whether all are in both groups."""

    target: int | None
    reference: int | None
    unit: str
    paired: bool


@dataclass(frozen=True)
class StudyData:
    """One study: card, tables per sample, contrasts.

    Parameters
    ----------
    card
        ``id`` and, where known, ``accession, title, url, role, organism, modality, muscle,
        material, citation{text,doi,pmid}, status, facts, caveats, simulated, experimental``.
    samples, qc
        One row per sample, with ``sample_id``.
    pca
        ``sample_id, pc1, pc2``; without it ``qc`` is asked.
    covariates
        Contract ``pca_covariates``.
    correlation
        Samples by samples.
    explained
        Share of variance per component, 0 to 1.
    contrasts
        In display order; of a single-cell study one per contrast and cell type, whose ``meta`` has
        ``cell_type`` and ``contrast`` (the card's id).
    cells
        For single-cell studies.
    files
        ``samples, qc, completeness``: path of the full TSV relative to the report folder.
    checks
        Contract ``checks``: what the card says against what was found.
    completeness
        How many samples the archive's record has, were obtained, are analysed; in words.
    failures
        Why the study, or contrasts of it, are left out; a sentence each.
    expression
        Normalised expression per sample; of cells summed per sample and cell type.
    """

    card: Mapping[str, Any]
    samples: pd.DataFrame | None = None
    qc: pd.DataFrame | None = None
    pca: pd.DataFrame | None = None
    covariates: pd.DataFrame | None = None
    correlation: pd.DataFrame | None = None
    explained: Sequence[float] = ()
    contrasts: Sequence[ContrastData] = ()
    cells: CellsData | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    checks: pd.DataFrame | None = None
    completeness: str = ""
    failures: Sequence[str] = ()
    expression: Expression | None = None

    @property
    def name(self) -> str:
        """What the study is called in running text: its accession, else its id."""
        return str(self.card.get("accession") or self.card["id"])

    @cached_property
    def groups(self) -> list[Groups]:
        """Group sizes of its contrasts, in their order; every page names them."""
        return [_count(self, contrast) for contrast in self.contrasts]


@dataclass(frozen=True)
class Synthesis:
    """What all studies say together.

    Parameters
    ----------
    document
        ``config/claims.yaml``: ``reviews, contexts, claims``.
    contrasts, claims, studies, programmes, axis, changes
        Contracts ``contrasts, claims, claim_studies, pooled_programmes, denervation, changes``.
    overall
        One row per claim: From :func:`alsmuscle.synthesis.changes.overall`.
    blocks, genes
        Contracts ``blocks`` (every contrast's programme effects) and ``pooled_genes``.
    called_genes, called_blocks, agreement
        Contracts ``called_genes_all, called_blocks_all, call_agreement``: lists of called genes.
    files
        Name to path of the TSV, relative to the report folder.
    """

    document: Mapping[str, Any]
    contrasts: pd.DataFrame
    claims: pd.DataFrame
    studies: pd.DataFrame
    programmes: pd.DataFrame
    axis: pd.DataFrame
    changes: pd.DataFrame
    overall: pd.DataFrame
    blocks: pd.DataFrame | None = None
    genes: pd.DataFrame | None = None
    called_genes: pd.DataFrame | None = None
    called_blocks: pd.DataFrame | None = None
    agreement: pd.DataFrame | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def over_stages(self) -> dict[str, pd.DataFrame]:
        """``PROGRAMME/block`` → its complete block pooled over all stages, per role and species."""
        pooled = self.programmes
        rows = pooled[
            (pooled["stage"] == "")
            & (pooled["species"] != "all")
            & ~pooled["stripped"].astype(bool)
        ]
        return {str(target): own for target, own in rows.groupby("key", sort=False)}


@dataclass(frozen=True)
class ReportData:
    """Everything the report shows.

    Parameters
    ----------
    studies
        In display order.
    left_out
        Studies that were selected and are not in the results: card, checks and failures.
    excluded
        ``kind, dataset, id, what, reason``: samples, studies and contrasts left out.
    programmes
        Genes of the programmes: ``programme, block, sign`` and symbol, source columns.
    programme_info
        Per programme ``title, description, caveat`` and, per block, ``blocks`` (titles) and
        ``caveats``; each optional.
    coverage
        Contract ``coverage``: how many of the listed genes are known in each organism.
    headline
        ``(programme, block)`` pairs drawn on the index: fixed in advance, the same everywhere.
    alpha
        Threshold on adjusted p for counting genes.
    top
        Most rows of genes and pathways a page embeds; the rest is in the linked file.
    parameters, config
        Effective configuration as tree (methods page) and as text (provenance page).
    lock
        ``study, url, sha256, bytes, retrieved`` per file that went in.
    methods
        ``step, text, citation, doi`` rows in the words of the effective configuration; without
        them the general text of ``methods.tsv`` is shown.
    versions, runtimes, commit
        Package versions, run times per job, commit of the code.
    synthesis
        Pooled effects and verdicts; without it those pages are left out.
    orthologs
        Mouse gene id to the id of its 1:1 human counterpart.
    former
        Gene id to its former symbols and aliases, joined by ``;``.
    """

    studies: Sequence[StudyData]
    title: str = "Skeletal muscle in ALS: what the public data say"
    left_out: Sequence[StudyData] = ()
    excluded: pd.DataFrame | None = None
    programmes: pd.DataFrame | None = None
    coverage: pd.DataFrame | None = None
    programme_info: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    headline: Sequence[tuple[str, str]] = ()
    alpha: float = 0.05
    top: int = c.ROW_LIMIT
    parameters: Mapping[str, Any] = field(default_factory=dict)
    config: str = ""
    lock: pd.DataFrame | None = None
    methods: Sequence[Mapping[str, str]] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    runtimes: pd.DataFrame | None = None
    commit: str = ""
    synthesis: Synthesis | None = None
    orthologs: Mapping[str, str] = field(default_factory=dict)
    former: Mapping[str, str] = field(default_factory=dict)

    def contrasts(self) -> Iterator[tuple[StudyData, ContrastData]]:
        """Yield every contrast with its study."""
        for study in self.studies:
            for contrast in study.contrasts:
                yield study, contrast

    def by_role(self) -> list[tuple[str, list[tuple[StudyData, ContrastData]]]]:
        """Return contrasts grouped under role headings, in the order of :data:`ROLES`."""
        groups: dict[str, list[tuple[StudyData, ContrastData]]] = {}
        for study, contrast in self.contrasts():
            role = str(contrast.meta.get("role") or study.card.get("role") or "")
            groups.setdefault(role, []).append((study, contrast))
        order = [*ROLES, *sorted(set(groups) - set(ROLES))]
        return [(role_title(r), groups[r]) for r in order if r in groups]

    @cached_property
    def programme_names(self) -> frozenset[str]:
        """The programmes that get a page: those defined or computed anywhere."""
        found: set[str] = set()
        tables = [self.programmes, *(k.programmes for _, k in self.contrasts())]
        for table in tables:
            if table is not None:
                found |= set(table["programme"].astype(str))
        return frozenset(found)


# ---- paths --------------------------------------------------------------------------------------


def place(study: StudyData, contrast: ContrastData) -> tuple[str, str, str]:
    """Return dataset, contrast and cell type, as the tables of the synthesis name them."""
    meta = contrast.meta
    kind = meta.get("cell_type") or TISSUE
    return str(study.card["id"]), str(meta.get("contrast") or meta["id"]), str(kind)


def study_path(study: StudyData) -> str:
    """Return the study page's path."""
    return f"studies/{c.file_name(study.card['id'])}.html"


def contrast_key(study: StudyData, contrast: ContrastData) -> str:
    """Return the file name stem of everything that belongs to a contrast."""
    return f"{c.file_name(study.card['id'])}.{c.file_name(contrast.meta['id'])}"


def contrast_path(study: StudyData, contrast: ContrastData) -> str:
    """Return the contrast page's path."""
    return f"contrasts/{contrast_key(study, contrast)}.html"


def programme_path(programme: str) -> str:
    """Return the programme page's path."""
    return f"programmes/{c.file_name(programme)}.html"


def claim_path(claim: str) -> str:
    """Return the claim page's path."""
    return f"claims/{c.file_name(claim)}.html"


def root(path: str) -> str:
    """Return the prefix that leads from the page at ``path`` to the report folder."""
    return "../" * path.count("/")


# ---- words about contrasts ----------------------------------------------------------------------


def role_title(role: object) -> str:
    """Return a role's heading."""
    return ROLES.get(str(role), str(role or "").replace("_", " ") or "Role not stated")


_ACRONYMS = frozenset(
    [
        "als",
        "mnd",
        "fals",
        "sals",
        "sod1",
        "fus",
        "tdp43",
        "c9orf72",
        "sma",
        "sbma",
        "hsp",
        "fshd",
        "dm1",
        "dm2",
        "dmd",
        "bmd",
        "lgmd",
        "lgmd2a",
        "lgmd2b",
        "ibm",
        "sibm",
        "imnm",
        "jdm",
    ]
)


def level(value: object) -> str:
    """Return a value of a sample table as words: ``als_late`` is ``ALS late``."""
    if c.is_missing(value):
        return "not stated"
    words = str(value).replace("_", " ").split(" ")
    return " ".join(word.upper() if word in _ACRONYMS else word for word in words)


def label(meta: Mapping[str, Any]) -> str:
    """Return a contrast's label, or ``target v reference``."""
    return str(meta.get("label") or f"{level(meta['target'])} v {level(meta['reference'])}")


def sides(meta: Mapping[str, Any]) -> tuple[str, str]:
    """Return reading names of target and reference: given, else from an ``A against B`` label."""
    parts = re.split(r",? (?:v|vs|against) ", str(meta.get("label") or ""))
    guess = parts if len(parts) == 2 else [level(meta["target"]), level(meta["reference"])]
    return (
        str(meta.get("target_label") or guess[0]),
        str(meta.get("reference_label") or guess[1]),
    )


def reading(meta: Mapping[str, Any]) -> str:
    """Say what a positive number means where it is no plain difference; empty where it is one."""
    kind, across = meta.get("kind", "difference"), meta.get("across")
    if kind == "continuous":
        return (
            f"Effects are log2 units per {meta['unit']}: positive numbers mean higher with higher "
            f"{str(meta['variable']).replace('_', ' ')}. Counts of samples are those above the "
            "median and the others."
        )
    if kind in ("interaction", "trend"):
        # not those of the label, which may read "at day 90 against at day 30"
        difference = (
            f"the difference between {meta.get('target_label') or meta['target']} and "
            f"{meta.get('reference_label') or meta['reference']}"
        )
        if meta.get("at"):
            return (
                f"Effects are differences of differences: positive numbers mean that {difference} "
                f"is larger (more positive) with {across} {meta['at']} than with {meta['against']}."
            )
        return (
            f"Effects are log2 units per {meta['unit']}: positive numbers mean that {difference} "
            f"grows (more positive) with {across}."
        )
    return ""


def ends(meta: Mapping[str, Any]) -> tuple[str, str]:
    """Return in words what a positive and what a negative effect is."""
    kind, across = meta.get("kind", "difference"), str(meta.get("across")).replace("_", " ")
    if kind == "continuous":
        variable = str(meta["variable"]).replace("_", " ")
        return f"Higher with higher {variable}", f"Lower with higher {variable}"
    if kind == "difference":
        target = sides(meta)[0]
        return f"Higher in {target}", f"Lower in {target}"
    if meta.get("at"):
        level = f"at {across} {meta['at']}"
        return f"Difference larger {level}", f"Difference smaller {level}"
    return f"Difference grows with {across}", f"Difference falls with {across}"


def engine_sentence(engines: pd.DataFrame | None) -> str:
    """Say in one sentence how far a second method agrees; empty where there was none."""
    if engines is None or engines.empty or not engines["n_genes"].iloc[0]:
        return ""
    row = engines.iloc[0]
    text = (
        f"Second method ({row['engine']}, {c.number(row['n_genes'], 0)} genes): rank correlation of "
        f"effects {row['spearman_effect']:.3f}"
    )
    if c.is_missing(row["called"]):
        return text + "; no test is claimed."
    return text + (
        f", of statistics {row['spearman_stat']:.3f}; at adjusted p < {row['alpha']:g} "
        f"{c.number(row['called_both'], 0)} genes called by both, "
        f"{c.number(row['called'] - row['called_both'], 0)} by the main analysis alone, "
        f"{c.number(row['called_other'] - row['called_both'], 0)} by the second alone."
    )


def donor_sentence(engines: pd.DataFrame | None) -> str:
    """Say what was done about repeated samples of donors; empty where there are none."""
    if engines is None or engines.empty or engines["donors"].iloc[0] == "one sample each":
        return ""
    row = engines.iloc[0]
    what = {
        "blocked": "Donors are part of the model, so that each is held against itself.",
        "summed": "Samples of one donor were added up: the donor is the unit.",
        "averaged": "Samples of one donor were averaged: the donor is the unit.",
    }
    text = [sentence for word, sentence in what.items() if word in str(row["donors"])]
    if "correlated" in str(row["donors"]):
        text.append(
            "Several samples of one donor are no independent witnesses: the model takes them as "
            + (
                "correlated, but their correlation could not be estimated, so no test is claimed."
                if c.is_missing(row["donor_correlation"])
                else f"correlated, at {row['donor_correlation']:.2f} over all genes."
            )
        )
    if str(row["donors"]).startswith("independent"):
        text.append(f"Samples of one donor are taken as {row['donors']}.")
    return " ".join(text)


def omnibus_question(meta: Mapping[str, Any], test: str) -> str:
    """Return the question of an omnibus test in words."""
    variable, _, across = test.partition(":")
    plain = variable.replace("_", " ")
    if across:
        return f"Does the difference in {plain} depend on {across.replace('_', ' ')}?"
    if meta.get("across"):
        return f"Is there a difference in {plain} at any {str(meta['across']).replace('_', ' ')}?"
    return f"Is there any difference between the groups of {plain}?"


def what(card: Mapping[str, Any], meta: Mapping[str, Any]) -> str:
    """Return organism, muscle, stage and method in one phrase."""
    parts = [
        card.get("organism"),
        meta.get("muscle") or card.get("muscle"),
        meta.get("stage"),
        card.get("modality"),
    ]
    return ", ".join(str(p).replace("_", " ") for p in parts if not c.is_missing(p))


def donors(study: StudyData, contrast: ContrastData) -> Groups:
    """Return group sizes of target and reference and their unit, ``donors`` or ``samples``.

    Donors are said only when known: given in ``meta``, or counted in the sample table where the
    group has exactly the number of samples, or of donors, that were fitted.
    """
    for own, groups in zip(study.contrasts, study.groups, strict=True):
        if own is contrast:
            return groups
    return _count(study, contrast)


def _count(study: StudyData, contrast: ContrastData) -> Groups:
    meta = contrast.meta
    groups = _subjects(study.samples, meta)
    paired = groups is not None and set(groups[0]) == set(groups[1])
    if meta.get("donors_target") is not None and meta.get("donors_reference") is not None:
        known = int(meta["donors_target"]), int(meta["donors_reference"])
        return Groups(*known, "donors", paired)
    n = _fitted(contrast, "target"), _fitted(contrast, "reference")
    # Samples of a donor may have been put together before the fit.
    if groups is not None and n in (tuple(map(len, groups)), tuple(len(set(g)) for g in groups)):
        return Groups(len(set(groups[0])), len(set(groups[1])), "donors", paired)
    return Groups(*n, "samples", paired=False)


def _subjects(
    samples: pd.DataFrame | None, meta: Mapping[str, Any]
) -> tuple[list[str], list[str]] | None:
    """Return the donor of every sample of target and reference, or ``None`` when unknown."""
    column = str(meta.get("variable") or "condition")
    within = meta.get("within") or {}
    if samples is None or not {column, "subject_id", *within} <= set(samples.columns):
        return None
    for key, value in within.items():
        allowed = value if isinstance(value, (list, tuple)) else [value]
        samples = samples[samples[key].astype(str).isin([str(v) for v in allowed])]
    target, reference = (
        samples.loc[samples[column].astype(str) == str(meta[side]), "subject_id"].tolist()
        for side in ("target", "reference")
    )
    if any(c.is_missing(v) for v in [*target, *reference]):
        return None
    return [str(v) for v in target], [str(v) for v in reference]


def _fitted(contrast: ContrastData, side: str) -> int | None:
    key, de = f"n_{side}", contrast.de
    if contrast.meta.get(key) is not None:
        return int(contrast.meta[key])
    if de is not None and key in de and de[key].notna().any():
        return int(de[key].max())
    return None


def sizes(study: StudyData, contrast: ContrastData) -> str:
    """Return group sizes in words: ``22 v 10 donors``, or ``11 donors, each in both groups``."""
    target, reference, unit, paired = donors(study, contrast)
    if target is None or reference is None:
        return "group sizes not stated"
    if paired:
        return f"{target} donors, each in both groups"
    return f"{target} v {reference} {unit}"


def confounders(meta: Mapping[str, Any]) -> list[str]:
    """Return the columns that a contrast is confounded with."""
    value = meta.get("confounded")
    if isinstance(value, str):
        return [v.strip() for v in value.split(",") if v.strip()]
    return [str(v) for v in value] if isinstance(value, (list, tuple)) else []


def barred(meta: Mapping[str, Any]) -> bool:
    """Return whether a contrast carries a mark that keeps it from being pooled."""
    kinds = {kind for kind, _ in meta.get("marks", [])}
    return bool(confounders(meta)) or not kinds.isdisjoint(design_marks.BARRING)


def few(study: StudyData, contrast: ContrastData) -> bool:
    """Return whether a group is known to have fewer than three donors."""
    n = [x for x in donors(study, contrast)[:2] if x is not None]
    return bool(n) and min(n) < 3


def marks(study: StudyData, contrast: ContrastData) -> list[tuple[str, str | None]]:
    """Return every mark a contrast carries, as kind of badge and what exactly is meant."""
    meta, found = contrast.meta, list[tuple[str, str | None]]()
    if columns := confounders(meta):
        found.append(("confounded", ", ".join(columns)))
    doubts = dict.fromkeys(kind for kind, _ in meta.get("marks", []))
    found += [(k, None) for k in doubts if k in design_marks.FACTS and k != "confounded"]
    found += [(k, None) for k in ("simulated", "experimental") if is_marked(study, contrast, k)]
    if meta.get("evidence") == "published":
        found.append(("published", None))
    if meta.get("eligible") is False:
        reason = str(meta.get("reason") or "")
        said = any(text and text in reason for _, text in meta.get("marks", []))
        found.append(("excluded", None if said else reason or None))
    if few(study, contrast):
        found.append(("small", None))
    return found


def is_marked(study: StudyData, contrast: ContrastData, key: str) -> bool:
    """Return whether contrast or study says ``simulated`` or ``experimental``."""
    return bool(contrast.meta.get(key) or study.card.get(key))


def badges(study: StudyData, contrast: ContrastData) -> Markup:
    """Return the badges of a contrast; nothing doubtful goes without one."""
    return Markup(" ").join(c.badge(kind, text) for kind, text in marks(study, contrast))


# ---- genes --------------------------------------------------------------------------------------


def gene_frame(de: pd.DataFrame) -> pd.DataFrame:
    """Return ``de`` with ``label``, 95 % interval and ``nlp`` = -log10 p (p = 0: 300)."""
    frame = de.copy()
    symbol = frame["symbol"] if "symbol" in frame else pd.Series(np.nan, index=frame.index)
    frame["label"] = symbol.where(symbol.notna() & (symbol != ""), frame["gene_id"]).astype(str)
    half = half_width(*(pd.to_numeric(frame[k], errors="coerce") for k in ("lfc_se", "df")))
    frame["ci_low"], frame["ci_high"] = frame["log2fc"] - half, frame["log2fc"] + half
    frame["nlp"] = -np.log10(frame["pvalue"].astype(float).clip(lower=1e-300))
    return frame


def calls(de: pd.DataFrame | None, alpha: float) -> dict[str, int] | None:
    """Return genes tested, left out, and below ``alpha`` in all, up and down; ``None`` without tests.

    Tested is what has an adjusted p-value; left out what was measured and has none.
    """
    if de is None or "padj" not in de or not de["pvalue"].notna().any():
        return None
    called = de["padj"] < alpha
    tested = int(de["padj"].notna().sum())
    return {
        "tested": tested,
        "left_out": int(de["log2fc"].notna().sum()) - tested,
        "called": int(called.sum()),
        "up": int((called & (de["log2fc"] > 0)).sum()),
        "down": int((called & (de["log2fc"] < 0)).sum()),
    }


def gene_sentence(de: pd.DataFrame | None, alpha: float) -> str:
    """Return the number of differing genes in words; a secondary figure."""
    found = calls(de, alpha)
    if found is None:
        return "no gene-level test"
    n = {k: c.number(v, 0) for k, v in found.items()}
    text = f"{n['called']} of {n['tested']} genes tested at adjusted p < {alpha:g}"
    return text + (f" ({n['up']} higher, {n['down']} lower)" if found["called"] else "")


# ---- pooled -------------------------------------------------------------------------------------


def studies(k: float) -> str:
    """Return a number of studies in words."""
    return "1 study" if k == 1 else f"{k:.0f} studies"


def pooled_rows(synthesis: Synthesis, target: str) -> pd.DataFrame:
    """Return ``PROGRAMME/block`` pooled per role and species, as rows of a forest plot.

    Over all stages, complete blocks; whole muscle before cell types, ALS first in both; the number
    of studies stands in ``label``, and ``pooled`` is false for a single study.
    """
    rows = synthesis.over_stages.get(target, synthesis.programmes.iloc[:0]).copy()
    order = {role: place for place, role in enumerate(ROLES)}
    rows["place"] = rows["role"].map(order).fillna(len(order))
    rows["group"] = np.where(rows["cell_type"] == TISSUE, WHOLE, PARTS)
    rows = rows.sort_values(
        ["group", "place", "species", "cell_type"],
        kind="stable",
        key=lambda column: column != WHOLE if column.name == "group" else column,
    )
    rows["label"] = [
        f"{role_title(row.role)}, {row.species}"
        + ("" if row.cell_type == "muscle" else f", {row.cell_type}")
        + f", {studies(row.k)}"
        for row in rows.itertuples()
    ]
    rows["pooled"] = rows["k"] > 1
    kept = ["role", "label", "effect", "ci_low", "ci_high", "pooled"]
    # One heading alone says nothing.
    kept += ["group"] if rows["group"].nunique() > 1 else []
    return rows[kept].reset_index(drop=True)


# ---- programmes ---------------------------------------------------------------------------------


def programme_title(
    info: Mapping[str, Mapping[str, Any]], programme: str, block: object = ""
) -> str:
    """Return a programme's reading name, with its block in brackets where that says more."""
    entry = info.get(programme, {})
    title = str(entry.get("title") or programme.replace("_", " "))
    if c.is_missing(block):
        return title
    tail = str(entry.get("blocks", {}).get(block) or str(block).replace("_", " "))
    plain = tail.lower() in {"all", "core", "main", title.lower()}
    return title if plain else f"{title} ({tail})"


def caveat(info: Mapping[str, Mapping[str, Any]], programme: str, block: object) -> str | None:
    """Return what to bear in mind about a block, else about its programme."""
    entry = info.get(programme, {})
    return entry.get("caveats", {}).get(block) or entry.get("caveat") or None


def block_title(info: Mapping[str, Mapping[str, Any]], programme: str, block: object) -> str:
    """Return a block's reading name without its programme."""
    title = info.get(programme, {}).get("blocks", {}).get(block)
    return str(title or str(block).replace("_", " "))


def truth(column: pd.Series) -> pd.Series:
    """Return a column of booleans that may have passed through a text file."""
    return column.map(lambda v: str(v).strip().lower() in {"true", "1", "1.0", "yes"}).astype(bool)


def effects(table: pd.DataFrame, data: ReportData, to_root: str = "") -> pd.DataFrame:
    """Return programme effects as rows of :func:`plots.forest_plot`.

    One row per programme and block: the complete estimate, and the denervation-stripped one in
    the ``alt_`` columns. ``to_root`` is the prefix of links.
    """
    table, info, known = table.reset_index(drop=True), data.programme_info, data.programme_names
    none = pd.Series(False, index=table.index)
    stripped = truth(table["stripped"]) if "stripped" in table else none
    keys, values = ["programme", "block"], ["effect", "ci_low", "ci_high"]
    rows = table[~stripped].drop_duplicates(keys)
    alt = table.loc[stripped, keys + values].drop_duplicates(keys)
    rows = rows.merge(alt.rename(columns={v: f"alt_{v}" for v in values}), on=keys, how="left")
    pairs = list(zip(rows["programme"].astype(str), rows["block"], strict=True))
    rows["label"] = [programme_title(info, p, b) for p, b in pairs]
    rows["title"] = [programme_title(info, p) for p, _ in pairs]
    rows["part"] = [block_title(info, p, b) for p, b in pairs]
    if {"background", "background_sd"} <= set(rows):
        centre, sd = (
            pd.to_numeric(rows[k], errors="coerce") for k in ("background", "background_sd")
        )
        rows["null_low"], rows["null_high"] = centre - Z95 * sd, centre + Z95 * sd
    rows["caveat"] = [caveat(info, p, b) for p, b in pairs]
    rows["href"] = [to_root + programme_path(p) if p in known else None for p, _ in pairs]
    if {"n_genes", "n_mapped"} <= set(rows):
        rows["genes"] = [
            f"{int(m)} of {int(n)}" if pd.notna(m) and pd.notna(n) else None
            for m, n in zip(rows["n_mapped"], rows["n_genes"], strict=True)
        ]
    return rows


def headline(data: ReportData, contrast: ContrastData, to_root: str = "") -> pd.DataFrame:
    """Return the effects drawn in summaries: ``data.headline``, else the first six programmes."""
    if contrast.programmes is None or contrast.programmes.empty:
        return pd.DataFrame()
    rows = effects(contrast.programmes, data, to_root)
    if not data.headline:
        return rows.drop_duplicates("programme").head(6)
    order = {tuple(pair): i for i, pair in enumerate(data.headline)}
    place = [
        order.get((p, b), math.nan) for p, b in zip(rows["programme"], rows["block"], strict=True)
    ]
    rows["place"] = place
    rows = rows.dropna(subset=["place"]).sort_values("place", kind="stable")
    alone = ~rows["programme"].duplicated(keep=False)
    rows["label"] = [
        programme_title(data.programme_info, p) if single else text
        for p, single, text in zip(rows["programme"], alone, rows["label"], strict=True)
    ]
    return rows


def verdict(rows: pd.DataFrame, alpha: float) -> dict[str, list[str]]:
    """Return labels of the rows that are higher, lower, open, or not measured well enough.

    Higher or lower is what leaves zero by its interval and, where there are such, by its adjusted p
    and against random sets of genes. Labels with a caveat end in ※, unless all have one.
    """
    found: dict[str, list[str]] = {"higher": [], "lower": [], "open": [], "unmeasured": []}
    marked = "caveat" in rows and bool(rows["caveat"].map(c.is_missing).any())
    for row in rows.to_dict("records"):
        side = ("open", "higher", "lower")[c.direction(row["ci_low"], row["ci_high"])]
        ps = [row.get(name) for name in ("padj", "pvalue_competitive")]
        if any(not c.is_missing(p) and not p < alpha for p in ps):
            side = "open"
        if "n_mapped" in row and not well_measured(row["n_mapped"], row["n_genes"]):
            side = "unmeasured"
        mark = " ※" if marked and not c.is_missing(row.get("caveat")) else ""
        found[side].append(f"{row['label']}{mark}")
    return found


def sentence(study: StudyData, contrast: ContrastData, rows: pd.DataFrame, alpha: float) -> str:
    """Return the direction of the programmes in ``rows`` in plain words, hedged where needed."""
    if not len(rows):
        return ""
    target, found = sides(contrast.meta)[0], verdict(rows, alpha)
    parts = [f"{s}: {', '.join(found[s])}" for s in ("higher", "lower") if found[s]]
    if not parts:
        return "No clear change in any programme shown."
    parts[0] = parts[0].replace(":", f" in {target}:", 1)
    if found["open"]:
        parts.append(f"no clear change: {len(found['open'])} of {len(rows)} shown")
    text = "; ".join(parts)
    return hedge(study, contrast) + text[0].upper() + text[1:] + "."


def hedge(study: StudyData, contrast: ContrastData) -> str:
    """Return the words that must precede any direction of a doubtful contrast."""
    words = ""
    if is_marked(study, contrast, "simulated"):
        words += "Simulated data. "
    if columns := confounders(contrast.meta):
        words += f"Differences in {', '.join(columns)} could explain it. "
    doubts = dict.fromkeys(kind for kind, _ in contrast.meta.get("marks", []))
    labels = [design_marks.MARKS[kind].label for kind in doubts if kind in design_marks.BARRING]
    if labels := [label for label in labels if label != "confounded"]:
        words += f"Doubtful, {', '.join(labels)}. "
    if few(study, contrast):
        words += "Description only, too few donors. "
    return words
