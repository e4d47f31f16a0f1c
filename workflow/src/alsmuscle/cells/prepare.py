"""Single cells, nuclei and spots: from counts per sample to one embedded, clustered study.

Steps follow Heumos et al. (2023), Nat Rev Genet 24:550 ("best practices for single-cell
analysis"). No step holds the counts of all cells: ``prepare_sample`` works on one sample at a time,
``integrate`` keeps the log-normalised values of variable and marker genes, and what needs all genes
(``each_sample``: tables, sums, the written study) takes the samples one after the other, from disk.
So memory grows with cells x variable genes, and is bounded below by the largest sample. From
``pseudobulk`` on the donor is the unit and the code of bulk studies applies.

Nuclei are not cells: their mitochondrial reads are contamination, their soup is myofibre RNA; and
spots are neither (tens of cells share one barcode: no doublets, no ambient estimate, and
mitochondrial reads are muscle). ``material`` says which.

Same seed, same machine: same results. Between machines clusters at the border of two groups and
UMAP coordinates may differ (floating-point order in BLAS and in approximate neighbours).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

MATERIALS = ("nuclei", "cells", "spots")
TARGET_SUM = 1e4
# Transcripts so abundant in myofibres that they make up the soup of muscle preparations, and that
# no mononuclear cell expresses: what the latter hold of them is ambient.
MYOFIBRE_ONLY = frozenset(
    {"ACTA1", "CKM", "MB", "TTN", "NEB", "MYH1", "MYH2", "MYH4", "MYH7", "MYL1", "MYL2", "MYLPF"}
    | {"TCAP", "TNNC1", "TNNC2", "TNNI1", "TNNI2", "TNNT1", "TNNT3"}
)
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass
class PreparedSample:
    """One sample after quality control.

    ``cells``: barcodes kept, ``X`` raw (or ambient-corrected) int32 CSR counts; ``barcodes``: one
    row per barcode read, with metrics, ``kept`` and ``reason``; ``summary``: one row of the sample
    table; ``variable``: per gene ``variable`` and ``dispersion`` within this sample. A sample that
    cannot be used has ``summary["skipped"]`` set and no cells.
    """

    sample_id: str
    cells: AnnData
    barcodes: pd.DataFrame
    summary: dict[str, Any]
    variable: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def var(self) -> pd.DataFrame:
        """Genes of the sample: index gene id, ``symbol`` and ``source_id``."""
        return self.cells.var[["symbol", "source_id"]]


class Prepared(Protocol):
    """What :func:`integrate` and :func:`each_sample` need of a sample.

    That is a :class:`PreparedSample`, or one on disk whose ``cells`` are read at every access and
    not kept (``single_cell.read_prepared``).
    """

    @property
    def sample_id(self) -> str:
        """Identity."""

    @property
    def summary(self) -> dict[str, Any]:
        """Row of the sample table."""

    @property
    def variable(self) -> pd.DataFrame:
        """Per gene ``variable`` and ``dispersion`` within the sample."""

    @property
    def var(self) -> pd.DataFrame:
        """Genes: index gene id, ``symbol`` and ``source_id``."""

    @property
    def cells(self) -> AnnData:
        """Cells kept, ``X`` int32 CSR counts."""


def rename_genes(sample: AnnData, identified: pd.DataFrame) -> AnnData:
    """Give a sample's genes their current ids and symbols.

    Parameters
    ----------
    sample
        A reader's output.
    identified
        ``gene_id`` and ``symbol`` per gene of the sample, in its order (``genes.identify`` of
        ``var["source_id"]``).

    Returns
    -------
    AnnData
        ``var`` index ``gene_id``, columns ``symbol`` and ``source_id``; rows of one gene are added
        (the first one's names stay) and counted in ``uns["n_summed_features"]``.

    Raises
    ------
    InputError
        When the rows are not the sample's.
    """
    from anndata import AnnData
    from scipy import sparse

    if len(identified) != sample.n_vars:
        raise InputError(f"{len(identified)} gene names for {sample.n_vars} genes")
    var = pd.DataFrame(
        {
            "symbol": identified["symbol"].to_numpy(),
            "source_id": sample.var["source_id"].to_numpy(),
        },
        index=pd.Index(identified["gene_id"].to_numpy(dtype=object), name="gene_id"),
    )
    X = sparse.csr_matrix(sample.X)
    code, genes = pd.factorize(var.index)
    if len(genes) < len(code):
        ones = np.ones(len(code), dtype=X.dtype)
        to_gene = sparse.csr_matrix((ones, (np.arange(len(code)), code)), (len(code), len(genes)))
        X = (X @ to_gene).tocsr()
        X.sort_indices()
        var = var[~var.index.duplicated()]
    out = AnnData(X, obs=sample.obs, var=var, uns=dict(sample.uns))
    out.uns["n_summed_features"] = len(code) - len(genes)
    return out


def split_samples(study: AnnData, column: str) -> dict[str, AnnData]:
    """Split a matrix of several samples (an ``.h5ad``) by a column of ``obs``.

    Raises InputError when the column is missing or has empty values.
    """
    if column not in study.obs:
        raise InputError(
            f"no column '{column}' in obs", expected=", ".join(map(str, study.obs.columns))
        )
    if study.obs[column].isna().any():
        raise InputError(f"{int(study.obs[column].isna().sum())} barcodes without '{column}'")
    label = study.obs[column].astype(str)
    return {name: study[(label == name).to_numpy()].copy() for name in sorted(set(label))}


def qc_metrics(sample: AnnData) -> pd.DataFrame:
    """Return ``n_counts, n_genes, pct_mito, pct_ribo`` per barcode (percent of counts, 0-100).

    Mitochondrial and ribosomal genes are known by their symbols (``MT-``, ``mt-``; ``RPL``,
    ``RPS`` and their mouse spellings).
    """
    X = sample.X
    symbols = sample.var["symbol"].astype(str).str.upper()
    total = np.asarray(X.sum(axis=1), dtype=np.float64).ravel()
    out = pd.DataFrame(
        {"n_counts": total.astype(np.int64), "n_genes": X.getnnz(axis=1)}, index=sample.obs_names
    )
    for column, pattern in (("pct_mito", r"^MT-"), ("pct_ribo", r"^RP[LS]\d")):
        chosen = symbols.str.match(pattern).to_numpy().astype(np.float32)
        out[column] = 100 * (X @ chosen) / np.maximum(total, 1)
    return out


def qc_barcodes(
    metrics: pd.DataFrame,
    *,
    material: str,
    n_mads: float,
    n_mads_mito: float,
    min_genes: int,
    max_pct_mito: Mapping[str, float],
    floor_pct_mito: float,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Mark barcodes to keep by thresholds that adapt to the sample.

    Counts and genes: within ``n_mads`` median absolute deviations (MAD) of the median on the log
    scale, and at least ``min_genes``. Mitochondrial percentage: at most median + ``n_mads_mito``
    MADs, not below ``floor_pct_mito`` (most nuclei hold none, so that the MAD can be 0) and not
    above ``max_pct_mito[material]``. Spots lose only empty ones: their mitochondrial share is
    muscle, and large counts are dense tissue.

    Returns ``metrics`` with ``kept`` (bool) and ``reason`` (text, empty where kept), and the
    thresholds used.
    """
    log_counts, log_genes = np.log1p(metrics["n_counts"]), np.log1p(metrics["n_genes"])
    low_counts, high_counts = _limits(log_counts, n_mads)
    low_genes, high_genes = _limits(log_genes, n_mads)
    mito_limit = max_pct_mito[material]
    if material == "spots":
        high_counts = high_genes = np.inf
    else:
        adaptive = _limits(metrics["pct_mito"], n_mads_mito)[1]
        mito_limit = min(max(adaptive, floor_pct_mito), mito_limit)
    limits = {
        "min_counts": float(np.expm1(low_counts)),
        "max_counts": float(np.expm1(high_counts)),
        "min_genes": float(max(np.expm1(low_genes), min_genes)),
        "max_genes": float(np.expm1(high_genes)),
        "max_pct_mito": float(mito_limit),
    }
    tests = {
        "few counts": metrics["n_counts"] < limits["min_counts"],
        "many counts": metrics["n_counts"] > limits["max_counts"],
        "few genes": metrics["n_genes"] < limits["min_genes"],
        "many genes": metrics["n_genes"] > limits["max_genes"],
        "mitochondrial": metrics["pct_mito"] > limits["max_pct_mito"],
    }
    out = metrics.copy()
    out["reason"] = _reasons(tests, metrics.index)
    out["kept"] = out["reason"] == ""
    return out, limits


def score_doublets(
    counts: csr_matrix, *, rate_per_1000: float, min_cells: int, seed: int
) -> tuple[Floats, Bools, dict[str, Any]]:
    """Score doublets of one sample with Scrublet (Wolock et al. 2019, Cell Syst 8:281).

    Neighbours are exact: faster than approximate ones at the size of a sample, and deterministic.
    Genes are scaled but not centred, so that the matrix stays sparse (scanpy's default makes
    samples and simulated doublets dense: on 6,300 barcodes 1.5 against 0.3 GiB and twice the time,
    scores correlated at 0.996 and the same area under the curve).
    The expected rate grows with the load (``rate_per_1000`` per thousand barcodes) and is at least
    4 %: deposited samples are often a part of what was loaded. Where Scrublet's histogram has no
    second mode, or its threshold calls an implausible share (under a quarter of the expected, or
    over three times it and 15 %), the expected share of highest scores is called instead, and
    ``note`` says so.

    Returns scores (n,), calls (n,) and ``{"expected_rate", "threshold", "note"}``; below
    ``min_cells`` barcodes scores are missing and nothing is called.
    """
    n = counts.shape[0]
    expected = float(np.clip(rate_per_1000 * n / 1000, 0.04, 0.3))
    info: dict[str, Any] = {"expected_rate": expected, "threshold": np.nan, "note": ""}
    if n < min_cells:
        info["note"] = f"not scored: {n} barcodes, fewer than {min_cells}"
        return np.full(n, np.nan), np.zeros(n, dtype=bool), info
    import warnings

    import scanpy as sc
    from anndata import AnnData

    copy = AnnData(counts.astype(np.float32))
    n_comps = min(30, n - 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            sc.pp.scrublet(
                copy,
                expected_doublet_rate=expected,
                use_approx_neighbors=False,
                mean_center=False,
                n_prin_comps=n_comps,
                verbose=False,
                random_state=seed,
            )
        except ValueError as error:  # too few genes vary to separate anything
            info["note"] = f"not scored: {error}"
            return np.full(n, np.nan), np.zeros(n, dtype=bool), info
    scores = copy.obs["doublet_score"].to_numpy(dtype=np.float64)
    threshold = copy.uns["scrublet"].get("threshold")
    called = scores > threshold if threshold is not None else np.zeros(n, dtype=bool)
    plausible = expected / 4 <= called.mean() <= max(3 * expected, 0.15)
    if threshold is None or not plausible:
        what = "no threshold" if threshold is None else f"implausible {called.mean():.1%} doublets"
        threshold = float(np.quantile(scores, 1 - expected))
        called = scores > threshold
        info["note"] = f"{what} from the score histogram: the expected rate was called"
    info["threshold"] = float(threshold)
    return scores, called, info


def ambient_profile(
    counts: csr_matrix, raw: csr_matrix | None = None, *, max_counts: int = 100
) -> tuple[Floats, str]:
    """Return the expression shares (n_genes,) of ambient RNA and what they were estimated from.

    From empty droplets (barcodes of ``raw`` with 1 to ``max_counts`` counts, as SoupX does: Young
    and Behjati 2020, GigaScience 9:giaa151) where the raw matrix is given. Otherwise from all
    barcodes pooled, because what leaks is what was there: good for a report, not for a correction.
    (The barcodes with the fewest counts are a worse substitute: in a filtered matrix they are the
    small cell types, not the soup.)
    """
    chosen, source = counts, "all barcodes pooled"
    if raw is not None:
        totals = np.asarray(raw.sum(axis=1)).ravel()
        empty = (totals > 0) & (totals <= max_counts)
        if raw[empty].sum() >= 1000:  # else hardly any soup, or droplets were removed upstream
            chosen, source = raw[empty], "empty droplets"
    sums = np.asarray(chosen.sum(axis=0), dtype=np.float64).ravel()
    shares: Floats = sums / sums.sum()
    return shares, source


def ambient_share(
    counts: csr_matrix, profile: Floats, exclusive: Bools, *, min_barcodes: int = 30
) -> float:
    """Estimate the share of ambient counts from genes that one lineage alone expresses.

    In barcodes without own expression of the ``exclusive`` genes (myofibre transcripts, for muscle)
    their counts are Poisson with mean ``share * total * profile[exclusive].sum()``. The barcodes
    with the lowest content start the estimate; then those compatible with it (within the 99 %
    Poisson bound) are used until it settles. Missing when 1 % of soup would show fewer than 20
    counts of the genes in all barcodes, or when fewer than ``min_barcodes`` are compatible.
    """
    from scipy.stats import poisson

    in_soup = float(profile[exclusive].sum())
    total = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    if 0.01 * in_soup * total.sum() < 20:
        return float("nan")
    seen = np.asarray(counts @ exclusive.astype(np.float64)).ravel()
    exposure = total * in_soup
    ratio = seen / np.maximum(exposure, 1e-12)
    start = ratio <= np.quantile(ratio, 0.25)
    share = seen[start].sum() / exposure[start].sum()
    use = start
    for _ in range(50):
        use = seen <= poisson.ppf(0.99, np.maximum(share, 1e-4) * exposure)
        new = seen[use].sum() / exposure[use].sum()
        if abs(new - share) < 1e-5:
            break
        share = new
    return float(min(share, 1.0)) if use.sum() >= min_barcodes else float("nan")


def correct_ambient(
    counts: csr_matrix, profile: Floats, share: float, clusters: npt.ArrayLike, *, seed: int
) -> csr_matrix:
    """Remove the expected ambient counts, cluster by cluster, keeping whole numbers.

    As in SoupX (Young and Behjati 2020), what is ambient is decided per cluster and gene, where
    the counts suffice: expected soup = cluster's total x ``share`` x ``profile``. Each count of the
    gene in that cluster then stays with probability 1 - soup / observed (binomial thinning,
    seeded), which is unbiased and keeps integers.
    """
    from scipy import sparse

    code, levels = pd.factorize(np.asarray(clusters), sort=True)
    member = sparse.csr_matrix(
        (np.ones(len(code)), (code, np.arange(len(code)))), shape=(len(levels), len(code))
    )
    observed = np.asarray((member @ counts).todense(), dtype=np.float64)
    soup = observed.sum(axis=1, keepdims=True) * share * profile[None, :]
    stay = 1 - np.minimum(1, np.divide(soup, observed, out=np.ones_like(soup), where=observed > 0))
    out: csr_matrix = counts.copy()
    row = np.repeat(code, np.diff(out.indptr))
    rng = np.random.default_rng(seed)
    out.data = rng.binomial(out.data, stay[row, out.indices]).astype(np.int32)
    out.eliminate_zeros()
    return out


def prepare_sample(
    sample: AnnData,
    *,
    sample_id: str,
    material: str,
    raw: AnnData | None = None,
    n_mads: float = 5,
    n_mads_mito: float = 3,
    min_genes: int = 200,
    max_pct_mito: Mapping[str, float] | None = None,
    floor_pct_mito: float = 1,
    doublets_per_1000: float = 0.008,
    min_cells: int = 50,
    n_top_genes: int = 2000,
    seed: int = 0,
) -> PreparedSample:
    """Quality control, doublets, ambient RNA and variable genes of one sample.

    Parameters
    ----------
    sample
        Barcodes x genes, int32 CSR counts, ``var["symbol"]`` (a reader's output).
    sample_id, material
        Identity; ``nuclei``, ``cells`` or ``spots``.
    raw
        Unfiltered matrix of the same sample with the same genes. Where given, counts are corrected
        for ambient RNA (:func:`correct_ambient`); otherwise its share is only estimated.
    n_mads, n_mads_mito, min_genes, max_pct_mito, floor_pct_mito
        See :func:`qc_barcodes`; ``max_pct_mito`` defaults to 5 % for nuclei, 25 % for cells, none
        for spots.
    doublets_per_1000
        Expected doublet rate per thousand barcodes (10x Genomics: 0.8 %).
    min_cells
        A sample with fewer barcodes left is skipped, and the summary says so.
    n_top_genes
        Variable genes named per sample.

    Raises
    ------
    InputError
        For an unknown material, no barcodes, or a raw matrix with other genes.
    """
    from scipy import sparse

    if material not in MATERIALS:
        raise InputError(
            f"unknown material '{material}'", where=sample_id, expected=", ".join(MATERIALS)
        )
    if sample.n_obs == 0:
        raise InputError("the sample has no barcodes", where=sample_id)
    if raw is not None and not raw.var_names.equals(sample.var_names):
        raise InputError(
            "raw and filtered matrices have different genes",
            where=sample_id,
            remedy="take both from the same Cell Ranger run",
        )
    counts = sparse.csr_matrix(sample.X)
    caps = {"nuclei": 5.0, "cells": 25.0, "spots": 100.0} | dict(max_pct_mito or {})
    metrics = qc_metrics(sample)
    barcodes, limits = qc_barcodes(
        metrics,
        material=material,
        n_mads=n_mads,
        n_mads_mito=n_mads_mito,
        min_genes=min_genes,
        max_pct_mito=caps,
        floor_pct_mito=floor_pct_mito,
    )
    passed = barcodes["kept"].to_numpy()
    barcodes["doublet_score"] = np.nan
    doublet: dict[str, Any] = {"expected_rate": np.nan, "threshold": np.nan, "note": "spots"}
    called_share = np.nan
    if material != "spots":
        scores, called, doublet = score_doublets(
            counts[passed], rate_per_1000=doublets_per_1000, min_cells=min_cells, seed=seed
        )
        barcodes.loc[passed, "doublet_score"] = scores
        names = barcodes.index[passed][called]
        barcodes.loc[names, "kept"] = False
        barcodes.loc[names, "reason"] = "doublet"
        called_share = float(called.mean()) if called.size else np.nan

    kept = barcodes["kept"].to_numpy()
    share, source, corrected = float("nan"), "not estimated (spots)", False
    cells_counts = counts[kept]
    if material != "spots" and kept.any():
        profile, source = ambient_profile(counts, None if raw is None else raw.X)
        exclusive = sample.var["symbol"].astype(str).str.upper().isin(MYOFIBRE_ONLY).to_numpy()
        share = ambient_share(cells_counts, profile, exclusive)
        if source == "empty droplets" and np.isfinite(share) and kept.sum() >= min_cells:
            groups = _coarse_clusters(cells_counts, seed=seed)
            cells_counts = correct_ambient(cells_counts, profile, share, groups, seed=seed)
            corrected = True

    out = sample[kept].copy() if kept.any() else sample[:0].copy()
    out.X = cells_counts
    columns = ["n_counts", "n_genes", "pct_mito", "pct_ribo", "doublet_score", "kept"]
    for column in columns:
        out.obs[column] = barcodes.loc[kept, column].to_numpy()
    if corrected:  # counts as they go into the analysis
        out.obs["n_counts"] = np.asarray(cells_counts.sum(axis=1)).ravel().astype(np.int64)
        out.obs["n_genes"] = cells_counts.getnnz(axis=1)
    n_kept = int(kept.sum())
    summary = {
        "sample_id": sample_id,
        "material": material,
        "n_barcodes": sample.n_obs,
        "n_kept": n_kept,
        "median_counts": float(metrics["n_counts"].median()),
        "median_genes": float(metrics["n_genes"].median()),
        "median_pct_mito": float(metrics["pct_mito"].median()),
        **limits,
        "doublet_share": called_share,
        "doublet_expected": doublet["expected_rate"],
        "doublet_threshold": doublet["threshold"],
        "doublet_note": doublet["note"],
        "ambient_share": share,
        "ambient_source": source,
        "ambient_corrected": corrected,
        "skipped": ""
        if n_kept >= min_cells
        else f"{n_kept} of {sample.n_obs} barcodes left, fewer than {min_cells}",
    }
    prepared = PreparedSample(sample_id, out, barcodes, summary)
    if summary["skipped"]:
        prepared.cells = out[:0].copy()
    else:
        prepared.variable = sample_variable_genes(out, n_top_genes=n_top_genes)
    return prepared


def flag_samples(summaries: Sequence[Mapping[str, Any]], *, n_mads: float = 3) -> pd.DataFrame:
    """Return the sample table (one row each) with a ``flag`` column.

    Thresholds that adapt within a sample cannot see that the whole sample is poor; this compares
    samples: medians of counts and genes too low, mitochondrial or ambient share too high by
    ``n_mads`` MADs over samples *and* by a quarter of the median (with four samples or more); and,
    for any number, under half of the barcodes kept or over 30 % ambient RNA. A flag states metric,
    value and threshold; it removes nothing.
    """
    table = pd.DataFrame(list(summaries))
    flags: list[list[str]] = [[] for _ in range(len(table))]
    rules = {"median_counts": -1, "median_genes": -1, "median_pct_mito": 1, "ambient_share": 1}
    for metric, direction in rules.items():
        values = table[metric].to_numpy(dtype=np.float64)
        if np.isfinite(values).sum() < 4:
            continue
        logs = np.log(np.maximum(values, 1e-3))
        middle = np.nanmedian(logs)
        spread = 1.4826 * np.nanmedian(np.abs(logs - middle))
        limit = middle + direction * max(n_mads * spread, np.log(1.25))
        for i in np.flatnonzero(direction * (logs - limit) > 0):
            sign = "below" if direction < 0 else "above"
            flags[i].append(f"{metric} {values[i]:.3g} {sign} {np.exp(limit):.3g}")
    kept_share = (table["n_kept"] / table["n_barcodes"]).to_numpy(dtype=np.float64)
    ambient = table["ambient_share"].to_numpy(dtype=np.float64)
    for found, share, soup in zip(flags, kept_share, ambient, strict=True):
        if share < 0.5:
            found.append(f"kept share {share:.2f} below 0.5")
        if soup > 0.3:
            found.append(f"ambient_share {soup:.2f} above 0.3")
    table["flag"] = ["; ".join(found) for found in flags]
    return table


def log_normalise(counts: csr_matrix, totals: npt.ArrayLike) -> csr_matrix:
    """Return log(1 + counts x 10,000 / totals) as float32 CSR that shares the counts' indices.

    ``totals`` are the barcodes' counts over *all* genes (n,), so that a subset of columns gets the
    values it has in the whole matrix.
    """
    from scipy import sparse

    factor = (TARGET_SUM / np.maximum(np.asarray(totals, dtype=np.float64), 1)).astype(np.float32)
    data = counts.data.astype(np.float32)
    for low in range(0, counts.shape[0], 10_000):  # in place, without an array of factors per entry
        high = min(low + 10_000, counts.shape[0])
        part = slice(counts.indptr[low], counts.indptr[high])
        data[part] *= np.repeat(factor[low:high], np.diff(counts.indptr[low : high + 1]))
    np.log1p(data, out=data)
    return sparse.csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape, copy=False)


def sample_variable_genes(cells: AnnData, *, n_top_genes: int) -> pd.DataFrame:
    """Rank genes by normalised dispersion within one sample (scanpy's ``seurat`` flavour).

    Mitochondrial genes take no part: in nuclei they are contamination, in cells damage. Returns per
    gene ``variable`` (bool) and ``dispersion`` (missing where the gene is not seen).
    """
    import scanpy as sc
    from anndata import AnnData

    X = cells.X
    seen = X.getnnz(axis=0) > 0
    seen &= ~cells.var["symbol"].astype(str).str.upper().str.startswith("MT-").to_numpy()
    log = AnnData(log_normalise(X, cells.obs["n_counts"])[:, seen])
    log.uns["log1p"] = {"base": None}
    found = sc.pp.highly_variable_genes(
        log, n_top_genes=min(n_top_genes, int(seen.sum())), flavor="seurat", inplace=False
    )
    out = pd.DataFrame({"variable": False, "dispersion": np.nan}, index=cells.var_names)
    out.loc[seen, "variable"] = found["highly_variable"].to_numpy()
    out.loc[seen, "dispersion"] = found["dispersions_norm"].to_numpy(dtype=np.float64)
    return out


def variable_genes(tables: Sequence[pd.DataFrame], *, n_top_genes: int) -> pd.Index:
    """Return genes that vary in most samples, ties by mean normalised dispersion.

    The rule of scanpy's ``highly_variable_genes(batch_key=...)``: a gene that differs only between
    samples is not chosen.
    """
    genes = tables[0].index
    for table in tables[1:]:
        if not table.index.equals(genes):
            genes = genes.union(table.index)
    votes = np.zeros(len(genes))
    total = np.zeros(len(genes))
    for table in tables:
        aligned = table.reindex(genes)
        votes += aligned["variable"].eq(True).to_numpy()
        total += aligned["dispersion"].fillna(0).to_numpy(dtype=np.float64)
    order = np.lexsort((np.arange(len(genes)), -total, -votes))
    chosen = order[: min(n_top_genes, int((votes > 0).sum()))]
    return genes[np.sort(chosen)]


def stack_genes(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the union of samples' genes: the first sample's order, or sorted where they differ."""
    first = tables[0]
    if all(table.index.equals(first.index) for table in tables):
        return first.copy()
    both = pd.concat(tables)
    return both[~both.index.duplicated()].sort_index()


def align_genes(X: csr_matrix, genes: pd.Index, wanted: pd.Index) -> csr_matrix:
    """Return ``X`` (cells x ``genes``) with the ``wanted`` columns; a gene it does not have is 0."""
    from scipy import sparse

    if wanted.equals(genes):
        return X
    place = wanted.get_indexer(genes)
    kept = place[X.indices] >= 0
    before = np.concatenate([[0], np.cumsum(kept)])
    indptr = before[X.indptr].astype(X.indptr.dtype)
    indices = place[X.indices[kept]].astype(X.indices.dtype)
    out = sparse.csr_matrix((X.data[kept], indices, indptr), shape=(X.shape[0], len(wanted)))
    out.sort_indices()
    return out


def each_sample(study: AnnData, prepared: Iterable[Prepared]) -> Iterator[AnnData]:
    """Yield an integrated study's samples one by one, with all genes.

    Parameters
    ----------
    study
        From :func:`integrate`; its ``obs`` may have got further columns.
    prepared
        The samples that it was made of, in that order.

    Yields
    ------
    AnnData
        ``layers["counts"]`` int32 and ``X`` log-normalised float32 (CSR over the same index
        arrays); ``obs`` and ``obsm`` of the study's cells; ``var`` of all genes with ``variable``.
    """
    from anndata import AnnData

    used = [p for p in prepared if not p.summary["skipped"]]
    var = stack_genes([p.var for p in used])
    var["variable"] = var.index.isin(study.var_names[study.var["variable"].to_numpy()])
    low = 0
    for sample in used:
        cells = sample.cells
        rows = slice(low, low + cells.n_obs)
        low = rows.stop
        counts = align_genes(cells.X, cells.var_names, var.index)
        yield AnnData(
            log_normalise(counts, study.obs["n_counts"].iloc[rows]),
            obs=study.obs.iloc[rows],
            var=var,
            obsm={key: values[rows] for key, values in study.obsm.items()},
            layers={"counts": counts},
        )


def _label_cells(obs: pd.DataFrame, sample_id: str) -> pd.DataFrame:
    """Name barcodes ``<sample_id>:<barcode>``, so that those of two samples stay two cells."""
    prefix = f"{sample_id}:"
    names = [b if b.startswith(prefix) else prefix + b for b in obs.index.astype(str)]
    return obs.set_axis(names, axis="index").assign(sample_id=sample_id)


def integrate(
    prepared: Sequence[Prepared],
    samples: pd.DataFrame | None = None,
    *,
    keep: Collection[str] = (),
    n_top_genes: int = 2000,
    n_pcs: int = 30,
    n_neighbors: int = 15,
    resolution: float = 2.0,
    exact_below: int = 50_000,
    over_samples: bool = True,
    seed: int = 0,
) -> AnnData:
    """Put prepared samples into one study: variable genes, embedding, clusters, UMAP.

    Parameters
    ----------
    prepared
        Samples of one material; those skipped are left out. Each one's ``cells`` are read once.
    samples
        Sample table (index or column ``sample_id``); its columns are joined to ``obs``.
    keep
        Symbols of further genes whose values are kept (those of a marker panel).
    n_top_genes, n_pcs, n_neighbors, resolution, exact_below, over_samples, seed
        See :func:`embed`.

    Returns
    -------
    AnnData
        ``X`` log-normalised float32 CSR of the variable genes and those of ``keep`` alone, for all
        genes see :func:`each_sample`; ``obs`` with metrics, ``sample_id``, sample columns and
        ``cluster``; ``obsm["X_pca"]`` (integrated components), ``obsm["X_umap"]``;
        ``var["variable"]``.

    Raises
    ------
    InputError
        When no sample is left, samples are of different materials, or one is not in ``samples``.
    """
    from anndata import AnnData
    from scipy import sparse

    materials = {p.summary["material"] for p in prepared}
    if len(materials) > 1:
        raise InputError(
            f"samples of different materials: {', '.join(sorted(materials))}",
            remedy="nuclei, cells and spots are never mixed: give each its own study card",
        )
    used = [p for p in prepared if not p.summary["skipped"]]
    if not used:
        reasons = "; ".join(f"{p.sample_id}: {p.summary['skipped']}" for p in prepared)
        raise InputError(f"no sample is left after quality control ({reasons or 'none given'})")
    genes = variable_genes([p.variable for p in used], n_top_genes=n_top_genes)
    var = stack_genes([p.var for p in used])
    var["variable"] = var.index.isin(genes)
    var = var[var["variable"] | var["symbol"].isin(keep)]
    parts, frames = [], []
    for sample in used:
        cells = sample.cells
        chosen = align_genes(cells.X, cells.var_names, var.index)
        parts.append(log_normalise(chosen, cells.obs["n_counts"]))
        frames.append(_label_cells(cells.obs, sample.sample_id))
    obs = pd.concat(frames)
    if samples is not None:
        table = samples.set_index("sample_id") if "sample_id" in samples else samples
        table = table[[c for c in table.columns if c not in obs]]
        missing = sorted(set(obs["sample_id"]) - set(table.index))
        if missing:
            raise InputError(
                f"samples without a row in the sample table: {', '.join(missing)}",
                remedy="add them to the study's card",
            )
        obs = obs.join(table, on="sample_id")
    obs["sample_id"] = obs["sample_id"].astype("category")
    X = sparse.vstack(parts, format="csr")
    parts.clear()
    found = embed(
        X[:, var["variable"].to_numpy()],
        obs["sample_id"],
        n_pcs=n_pcs,
        n_neighbors=n_neighbors,
        resolution=resolution,
        exact_below=exact_below,
        over_samples=over_samples,
        seed=seed,
    )
    obs["cluster"] = pd.Categorical(found.cluster)
    study = AnnData(X, obs=obs, var=var, obsm={"X_pca": found.pca, "X_umap": found.umap})
    study.uns["embedding"] = {"neighbours": found.neighbours, "integrated": found.integrated}
    return study


@dataclass
class Embedding:
    """``pca`` (n, n_pcs), ``umap`` (n, 2), ``cluster`` (n,) as text; how neighbours were found."""

    pca: npt.NDArray[np.float32]
    umap: npt.NDArray[np.float32]
    cluster: npt.NDArray[np.str_]
    neighbours: str
    integrated: bool


def embed(
    log_counts: csr_matrix,
    sample_ids: pd.Series,
    *,
    n_pcs: int,
    n_neighbors: int,
    resolution: float,
    exact_below: int,
    over_samples: bool,
    seed: int,
    with_umap: bool = True,
) -> Embedding:
    """Principal components, Harmony over samples, neighbours, Leiden, UMAP.

    Works on the variable genes only (n x n_top_genes, CSR), so that a study larger than memory can
    be embedded from its samples one by one.

    Components by ARPACK on the sparse matrix; Harmony (Korsunsky et al. 2019, Nat Methods 16:1289)
    over samples where there are several; neighbours exact up to ``exact_below`` cells (there as
    fast, and deterministic), else by nearest-neighbour descent; Leiden in igraph (Traag et al.
    2019, Sci Rep 9:5233), two iterations,
    rather too fine, since clusters of one name are one type while two rare types in one cluster
    lose a name; UMAP started from the first two components (Kobak and
    Linderman 2021, Nat Biotechnol 39:156), which is deterministic and saves the spectral start.
    Raises InputError for fewer than 10 cells.
    """
    import warnings

    import scanpy as sc
    from anndata import AnnData

    n, n_genes = log_counts.shape
    if n < 10 or n_genes < 3:
        raise InputError(f"{n} cells and {n_genes} variable genes are too few to embed")
    n_pcs = min(n_pcs, n - 2, n_genes - 1)
    data = AnnData(log_counts)
    sc.pp.pca(data, n_comps=n_pcs, svd_solver="arpack", random_state=seed, mask_var=None)
    pca = data.obsm["X_pca"].astype(np.float32)
    several = sample_ids.nunique() > 1
    if several and over_samples:
        from harmonypy import run_harmony

        meta = pd.DataFrame({"sample_id": sample_ids.astype(str).to_numpy()})
        fit = run_harmony(
            pca.astype(np.float64), meta, ["sample_id"], verbose=False, random_state=seed
        )
        pca = np.ascontiguousarray(fit.Z_corr, dtype=np.float32)
        if pca.shape != (n, n_pcs):  # harmonypy before 2 has components in rows
            pca = np.ascontiguousarray(pca.T)
    del data
    light = AnnData(obs=pd.DataFrame(index=pd.RangeIndex(n).astype(str)))
    light.obsm["X_pca"] = pca
    exact = n <= exact_below
    neighbours(light, n_neighbors=n_neighbors, exact=exact, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.tl.leiden(
            light,
            resolution=resolution,
            flavor="igraph",
            n_iterations=2,
            directed=False,
            random_state=seed,
            key_added="cluster",
        )
        if with_umap:
            sc.tl.umap(light, init_pos=pca[:, :2].copy(), random_state=seed)
    umap = light.obsm["X_umap"] if with_umap else np.zeros((n, 2))
    return Embedding(
        pca=pca,
        umap=umap.astype(np.float32),
        cluster=light.obs["cluster"].to_numpy().astype(str),
        neighbours="exact" if exact else "approximate",
        integrated=several and over_samples,
    )


def neighbours(data: AnnData, *, n_neighbors: int, exact: bool, seed: int) -> None:
    """Add the neighbour graph of ``obsm["X_pca"]`` to ``obsp``, exact or approximate."""
    import scanpy as sc

    sc.pp.neighbors(
        data,
        n_neighbors=min(n_neighbors, data.n_obs - 1),
        use_rep="X_pca",
        transformer="sklearn" if exact else "pynndescent",
        random_state=seed,
    )


def pseudobulk(
    parts: Iterable[AnnData],
    *,
    by: str = "cell_type",
    min_cells: int = 10,
    leave_out: str = "unassigned",
    whole: str = "",
) -> AnnData:
    """Sum raw counts per sample and cell type, to the contract of bulk counts.

    Parameters
    ----------
    parts
        A study in parts of whole samples, all with the same genes: ``layers["counts"]`` CSR;
        ``obs``: ``sample_id``, ``by``, and sample columns.
    by, leave_out
        Column of cell types, and the label that is none.
    whole
        Name under which all cells of a sample, unassigned ones too, are summed as well.
    min_cells
        Sums over fewer cells are dropped (Squair et al. 2021 and muscat use 10) and listed in
        ``uns["dropped"]``.

    Returns
    -------
    AnnData
        ``X`` dense int64 (sums x genes); ``obs`` index ``<sample_id>|<cell_type>``, the columns
        that are constant within each sample, ``cell_type`` and ``n_cells``; ``var`` as in the parts.

    Raises
    ------
    InputError
        When no sample has a cell type with ``min_cells`` cells.
    """
    from anndata import AnnData
    from scipy import sparse

    sums, rows, dropped = [], [], []
    varying: set[str] = set()
    for part in parts:
        var = part.var[["symbol", "source_id"]]
        sample = part.obs["sample_id"].astype(str)
        varying |= {
            c for c in part.obs if part.obs.groupby(sample)[c].nunique(dropna=False).max() > 1
        }
        for sample_id in sorted(set(sample)):
            here = np.flatnonzero((sample == sample_id).to_numpy())
            code, names = pd.factorize(part.obs[by].iloc[here].astype(str), sort=True)
            n_cells = np.bincount(code)
            # Sums in int64: float32 would lose exactness above 16.7 million.
            member = sparse.csr_matrix(
                (np.ones(len(here), np.int64), (code, np.arange(len(here)))),
                shape=(len(names), len(here)),
            )
            of_type = np.asarray((member @ part.layers["counts"][here]).todense())
            table = pd.DataFrame({"cell_type": names, "n_cells": n_cells})
            if whole:
                of_type = np.vstack([of_type.sum(axis=0), of_type])
                table = pd.concat(
                    [pd.DataFrame({"cell_type": [whole], "n_cells": len(here)}), table],
                    ignore_index=True,
                )
            wanted = table["cell_type"] != leave_out
            enough = table["n_cells"] >= min_cells
            first = part.obs.iloc[here[0]].to_dict()
            rows += [first | row for row in table[wanted & enough].to_dict("records")]
            sums.append(of_type[wanted & enough])
            dropped.append(table[wanted & ~enough & (table["cell_type"] != whole)])
            dropped[-1].insert(0, "sample_id", sample_id)
    if not rows:
        raise InputError(
            f"no sample has {min_cells} cells of one type",
            remedy="lower cells.pseudobulk.min_cells, or exclude the study",
        )
    obs = pd.DataFrame(rows).drop(columns=sorted(varying - {"cell_type", "n_cells"}))
    obs.index = pd.Index(
        obs["sample_id"].astype(str) + "|" + obs["cell_type"], name="pseudobulk_id"
    )
    out = AnnData(np.vstack(sums).astype(np.int64), obs=obs, var=var)
    out.uns["dropped"] = pd.concat(dropped, ignore_index=True)
    return out


def count_reasons(barcodes: pd.DataFrame) -> pd.DataFrame:
    """Count a sample's barcodes by why they were left out: ``reason, n``; ``kept`` for the rest."""
    reasons = barcodes["reason"].where(barcodes["reason"] != "", "kept")
    return reasons.value_counts().rename_axis("reason").rename("n").reset_index()


def sum_sample(cells: AnnData) -> pd.DataFrame:
    """Sum one sample's counts over its cells: index gene id, ``count`` and ``symbol``."""
    total = np.asarray(cells.X.sum(axis=0, dtype=np.int64)).ravel()
    return pd.DataFrame({"count": total, "symbol": cells.var["symbol"]}, index=cells.var_names)


def stack_sums(sums: Mapping[str, pd.DataFrame], *, where: str) -> AnnData:
    """Put sums of :func:`sum_sample` into one matrix, samples x genes, a missing gene as 0.

    Raises InputError when every sample was skipped.
    """
    from anndata import AnnData

    if not sums:
        raise InputError(
            "no sample has enough cells left after quality control",
            where=where,
            remedy="look at the sample table's `skipped` column; check material and matrices",
        )
    wide = pd.DataFrame({name: table["count"] for name, table in sums.items()}).fillna(0).T
    symbols = pd.concat([table["symbol"] for table in sums.values()])
    symbols = symbols[~symbols.index.duplicated()].reindex(wide.columns)
    return AnnData(wide.to_numpy(np.int64), obs=wide[[]], var=symbols.to_frame())


def _limits(values: pd.Series, n_mads: float) -> tuple[float, float]:
    """Median -/+ ``n_mads`` scaled MADs."""
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    return middle - n_mads * spread, middle + n_mads * spread


def _reasons(tests: Mapping[str, pd.Series], index: pd.Index) -> list[str]:
    failed = pd.DataFrame(tests, index=index).to_numpy(dtype=bool)
    names = np.array(list(tests))
    return ["; ".join(names[row]) for row in failed]


def _coarse_clusters(counts: csr_matrix, *, seed: int) -> npt.NDArray[np.str_]:
    """Clusters of one sample, good enough to say who shares an expression profile."""
    from anndata import AnnData

    totals = np.asarray(counts.sum(axis=1)).ravel()
    names = pd.RangeIndex(counts.shape[0]).astype(str), pd.RangeIndex(counts.shape[1]).astype(str)
    sample = AnnData(
        counts,
        obs=pd.DataFrame({"n_counts": totals}, index=names[0]),
        var=pd.DataFrame({"symbol": ""}, index=names[1]),
    )
    genes = sample_variable_genes(sample, n_top_genes=2000)["variable"].to_numpy()
    found = embed(
        log_normalise(counts, totals)[:, genes],
        pd.Series(np.zeros(len(totals))),
        n_pcs=20,
        n_neighbors=15,
        resolution=1.0,
        exact_below=50_000,
        over_samples=False,
        seed=seed,
        with_umap=False,
    )
    return found.cluster
