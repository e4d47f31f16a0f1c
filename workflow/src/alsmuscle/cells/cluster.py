"""Samples put together: variable genes, components, batch correction, clusters, map.

Same seed, same machine: same results. Between machines clusters at the border of two groups and
UMAP coordinates may differ (floating-point order in BLAS and in approximate neighbours).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.cells import compiled
from alsmuscle.cells.components import leading
from alsmuscle.cells.dispersion import moments, normalised_dispersions
from alsmuscle.core.annotated import AnnData
from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


TARGET_SUM = 1e4


class Prepared(Protocol):
    """What :func:`integrate` and :func:`each_sample` need of a sample.

    That is a :class:`~alsmuscle.cells.prepare.PreparedSample`, or one on disk whose ``cells`` are
    read at every access and not kept (``store.read_prepared``).
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


def log_normalise(counts: csr_matrix, totals: npt.ArrayLike) -> csr_matrix:
    """Return log(1 + counts x 10,000 / totals) as float32 CSR that shares the counts' indices.

    ``totals`` are the barcodes' counts over *all* genes (n,), so that a subset of columns gets the
    values it has in the whole matrix.
    """
    from scipy import sparse

    data = _normalise(counts, totals)
    np.log1p(data, out=data)
    return sparse.csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape, copy=False)


def _normalise(counts: csr_matrix, totals: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return the entries of counts x 10,000 / totals."""
    factor = (TARGET_SUM / np.maximum(np.asarray(totals, dtype=np.float64), 1)).astype(np.float32)
    data: npt.NDArray[np.float32] = counts.data.astype(np.float32)
    for low in range(0, counts.shape[0], 10_000):  # in place, without an array of factors per entry
        high = min(low + 10_000, counts.shape[0])
        part = slice(counts.indptr[low], counts.indptr[high])
        data[part] *= np.repeat(factor[low:high], np.diff(counts.indptr[low : high + 1]))
    return data


def sample_variable_genes(cells: AnnData, *, n_top_genes: int) -> pd.DataFrame:
    """Rank genes by normalised dispersion within one sample (scanpy's ``seurat`` flavour).

    Mitochondrial genes take no part: in nuclei they are contamination, in cells damage. Returns per
    gene ``variable`` (bool) and ``dispersion`` (missing where the gene is not seen).
    """
    X = cells.X
    seen = X.getnnz(axis=0) > 0
    seen &= ~cells.var["symbol"].astype(str).str.upper().str.startswith("MT-").to_numpy()
    mean, variance = moments(X.indices, _normalise(X, cells.obs["n_counts"]), X.shape)
    dispersion = normalised_dispersions(mean[seen], variance[seen])[1]
    ranked = np.sort(dispersion[~np.isnan(dispersion)])[::-1]
    least = ranked[min(n_top_genes, len(ranked)) - 1] if len(ranked) else np.inf
    out = pd.DataFrame({"variable": False, "dispersion": np.nan}, index=cells.var_names)
    out.loc[seen, "variable"] = dispersion >= least
    out.loc[seen, "dispersion"] = dispersion
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
    """Return ``X`` (cells x ``genes``) with the ``wanted`` columns;
    a gene it does not have is 0.
    """
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
    n_top_genes: int,
    n_pcs: int,
    n_neighbors: int,
    resolution: float,
    exact_below: int,
    over_samples: bool,
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

    Components from the products of all genes (:func:`~alsmuscle.cells.components.leading`); Harmony
    (Korsunsky et al. 2019, Nat Methods 16:1289) over samples where there are several; neighbours
    exact up to ``exact_below`` cells (there as fast, and deterministic), else by nearest-neighbour
    descent; Leiden in igraph (Traag et al. 2019, Sci Rep 9:5233), two iterations, rather too fine,
    since clusters of one name are one type while two rare types in one cluster lose a name; UMAP
    started from the first two components (Kobak and Linderman 2021, Nat Biotechnol 39:156), which
    is deterministic and saves the spectral start.
    Raises InputError for fewer than 10 cells.
    """
    import warnings

    import scanpy as sc
    from scipy import sparse

    n, n_genes = log_counts.shape
    if n < 10 or n_genes < 3:
        raise InputError(f"{n} cells and {n_genes} variable genes are too few to embed")
    n_pcs = min(n_pcs, n - 2, n_genes - 1)
    pca = leading(log_counts, n_pcs, centred=True, seed=seed).astype(np.float32)
    del log_counts  # of a large study some GiB, which nothing below needs
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
    light = AnnData(obs=pd.DataFrame(index=pd.RangeIndex(n).astype(str)))
    light.obsm["X_pca"] = pca
    exact = n <= exact_below
    neighbours(light, n_neighbors=n_neighbors, exact=exact, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.tl.leiden(
            light,
            # Each edge once, with the weight of both directions: scanpy makes objects of them.
            adjacency=2 * sparse.triu(light.obsp["connectivities"], k=1, format="csr"),
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


def compile_kernels() -> None:
    """Compile what clustering a study compiles: once, at installation, not in the first jobs."""
    from scipy import sparse

    counts = sparse.random(60, 40, density=0.5, format="csr", dtype=np.float32, random_state=0)
    options: dict[str, Any] = {
        "n_pcs": 5,
        "n_neighbors": 5,
        "resolution": 1.0,
        "over_samples": False,
        "seed": 0,
    }
    embed(counts, pd.Series(["a"] * 60), exact_below=60, **options)


def neighbours(data: AnnData, *, n_neighbors: int, exact: bool, seed: int) -> None:
    """Add the neighbour graph of ``obsm["X_pca"]`` to ``obsp``, exact or approximate."""
    import scanpy as sc

    compiled.load_umap()
    k = min(n_neighbors, data.n_obs - 1)
    sc.pp.neighbors(
        data,
        n_neighbors=k,
        use_rep="X_pca",
        transformer="sklearn" if exact else _Descent(k, seed),
        random_state=seed,
    )


class _Descent:
    """Finds neighbours by descent, without an index for the search of further cells.

    pynndescent's transformer, asked as scanpy does, also builds that, compiled anew in every
    process and made of all cells: half of its time, and nobody searches afterwards. The neighbours
    are the same.
    """

    def __init__(self, n_neighbors: int, seed: int) -> None:
        from pynndescent import PyNNDescentTransformer

        self._finding = PyNNDescentTransformer(
            n_neighbors=n_neighbors, random_state=seed, metric_kwds={}
        )

    def get_params(self) -> dict[str, Any]:
        """Return what scanpy asks of a transformer."""
        params: dict[str, Any] = self._finding.get_params()
        return params

    def fit_transform(self, X: npt.NDArray[np.float32]) -> csr_matrix:
        """Return the distances of each cell's neighbours and itself (n x n)."""
        return self._finding.fit(X, compress_index=False).transform(None)
