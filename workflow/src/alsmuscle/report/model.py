"""What the report shows: studies, contrasts and their synthesis, with the paths of their pages."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.report.html import components as c

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


def truth(column: pd.Series) -> pd.Series:
    """Return a column of booleans that may have passed through a text file."""
    if column.dtype == bool:
        return column
    return column.map(lambda v: str(v).strip().lower() in {"true", "1", "1.0", "yes"}).astype(bool)


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
        ``scoring.drivers`` of the complete blocks.
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

    @cached_property
    def members(self) -> dict[str, pd.DataFrame]:
        """``PROGRAMME/block`` → the rows of ``drivers`` of the complete block."""
        if self.drivers is None:
            return {}
        whole = self.drivers[~truth(self.drivers["stripped"])]
        names = whole["programme"].astype(str) + "/" + whole["block"].astype(str)
        return {str(name): rows for name, rows in whole.groupby(names, sort=False)}

    @cached_property
    def sizes(self) -> dict[str, dict[Hashable, Any]]:
        """``PROGRAMME/block`` → how many genes the complete block has, and how many measured."""
        if self.programmes is None:
            return {}
        whole = self.programmes[~truth(self.programmes["stripped"])]
        names = whole["programme"].astype(str) + "/" + whole["block"].astype(str)
        known = whole[[key for key in ("n_mapped", "n_genes") if key in whole]].to_dict("records")
        # the first of several speaks
        return dict(reversed(list(zip(names, known, strict=True))))


class Levels(NamedTuple):
    """Log-normalised expression of some genes in single cells.

    ``values``: cells × genes, sparse by column, in the order of the cells' ``map``.
    """

    genes: Sequence[str]
    values: Any


@dataclass(frozen=True)
class CellsData:
    """What a single-cell study has beside its contrasts; contracts of the same names.

    ``map``: one row per cell with ``umap1, umap2, sample_id, condition, cell_type``, of spots whose
    places are known also ``section_x, section_y``, and block scores (``PROGRAMME/block``);
    ``composition``: all contrasts; ``qc``: contract ``cells_qc``; ``files``: name to path of the
    TSV relative to the report folder; ``levels``: of the panel's and the claims' genes.
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
    levels: Levels | None = None


@dataclass(frozen=True)
class Expression:
    """Normalised expression of a study's samples.

    ``values``: genes × samples, log2; ``genes`` and ``symbols`` name its rows; ``samples`` has a
    row per column with ``sample`` (its name in downloads), ``sample_id``, ``subject_id`` and the
    columns of the sample table, of cells also ``cell_type`` and ``n_cells``; ``unit`` in words.
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
    reads
        Contract ``reads``, where the study's reads were quantified here.
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
    reads: pd.DataFrame | None = None

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
    shares, proportions
        Contracts ``shares`` and ``proportions``, where a study of nuclei estimates them.
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
    shares: pd.DataFrame | None = None
    proportions: pd.DataFrame | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def claim_rows(self) -> dict[str, pd.DataFrame]:
        """Claim → its rows of ``claims``."""
        return {str(name): rows for name, rows in self.claims.groupby("claim", sort=False)}

    @cached_property
    def pooled_rows(self) -> dict[str, pd.DataFrame]:
        """``PROGRAMME/block`` → its pooled rows for pages, once made."""
        return {}

    @cached_property
    def over_stages(self) -> dict[str, pd.DataFrame]:
        """``PROGRAMME/block`` → its complete block pooled over all stages, per role and species.

        Whole muscle before cell types, in both the roles in the order of :data:`ROLES`.
        """
        pooled = self.programmes
        rows = pooled[
            (pooled["stage"] == "")
            & (pooled["species"] != "all")
            & ~pooled["stripped"].astype(bool)
        ]
        order = {role: place for place, role in enumerate(ROLES)}
        rows = rows.assign(
            of_cells=rows["cell_type"] != TISSUE,
            place=rows["role"].map(order).fillna(len(order)),
        ).sort_values(["of_cells", "place", "species", "cell_type"], kind="stable")
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
    titles
        Study id to its title, of studies that have a card, whether they took part or not.
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
    gene_sets
        Collection → gene set → human symbols, of the sets that were tested.
    human_symbols
        Mouse gene id to its human counterpart's symbol, by which mouse genes were ranked.
    """

    studies: Sequence[StudyData]
    title: str = "Skeletal muscle in ALS: what the public data say"
    left_out: Sequence[StudyData] = ()
    excluded: pd.DataFrame | None = None
    titles: Mapping[str, str] = field(default_factory=dict)
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
    gene_sets: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    human_symbols: pd.Series | None = None

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
    def _named(self) -> dict[str, list[tuple[int, StudyData, ContrastData]]]:
        """``dataset/contrast``, also with the cell type → whatever has that name, and its place."""
        found: dict[str, list[tuple[int, StudyData, ContrastData]]] = {}
        for at, (study, contrast) in enumerate(self.contrasts()):
            names = {f"{study.card['id']}/{contrast.meta['id']}", "/".join(place(study, contrast))}
            for name in names:
                found.setdefault(name, []).append((at, study, contrast))
        return found

    def named(self, names: Iterable[str]) -> list[tuple[StudyData, ContrastData]]:
        """Return the contrasts of these names with their studies, in display order.

        A name is ``dataset/contrast``, of cell types also ``dataset/contrast/cell_type``.
        """
        found = {hit[0]: hit for name in names for hit in self._named.get(name, ())}
        return [(study, contrast) for _, (_, study, contrast) in sorted(found.items())]

    @cached_property
    def labels(self) -> dict[str, str]:
        """``dataset/contrast`` → what the comparison is called, lists of called genes included."""
        return {
            f"{study.card['id']}/{entry['id']}": f"{study.name}: {entry['label']}"
            for study in self.studies
            for entry in [
                *study.card.get("contrasts", []),
                *(contrast.meta for contrast in study.contrasts),
            ]
            if entry.get("label")
        }

    @cached_property
    def effect_rows(self) -> dict[int, tuple[pd.DataFrame, pd.DataFrame]]:
        """Tables of programme effects by identity, each with its rows for pages, once made."""
        return {}

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


def block_anchor(programme: str, block: str) -> str:
    """Return the id under which a contrast's page shows a block's effect."""
    return f"{c.file_name(programme)}-{c.file_name(block)}"


def effect_path(study: StudyData, contrast: ContrastData, target: str) -> str:
    """Return where a contrast's page shows ``PROGRAMME/block``; of ``GENE/`` and ``RATIO/`` its
    genes.
    """
    programme, _, block = target.partition("/")
    mark = "genes" if programme in {"GENE", "RATIO"} else block_anchor(programme, block)
    return f"{contrast_path(study, contrast)}#{mark}"


def programme_path(programme: str) -> str:
    """Return the programme page's path."""
    return f"programmes/{c.file_name(programme)}.html"


def claim_path(claim: str) -> str:
    """Return the claim page's path."""
    return f"claims/{c.file_name(claim)}.html"


def root(path: str) -> str:
    """Return the prefix that leads from the page at ``path`` to the report folder."""
    return "../" * path.count("/")


# ---- roles and groups ---------------------------------------------------------------------------


def role_title(role: object) -> str:
    """Return a role's heading."""
    return ROLES.get(str(role), str(role or "").replace("_", " ") or "Role not stated")


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
