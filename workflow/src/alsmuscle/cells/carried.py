"""Which types' own markers are among the genes that tell a cluster from the others.

A marker can be raised against the lowest clusters and still stand far behind the genes that make a
cluster what it is: the soup, or a neighbour, gives it. A name therefore needs its markers among
the first genes of the cluster, ranked as in a table of its marker genes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from anndata import AnnData


@dataclass(frozen=True)
class ClusterSums:
    """Per cluster (rows) and gene (columns): what ranks of genes need.

    ``size`` cells; ``total`` of log-normalised values, ``squares`` of their squares (zero where
    they were not asked for); ``seen`` cells that show the gene.
    """

    clusters: list[str]
    symbols: npt.NDArray[np.str_]
    size: npt.NDArray[np.float64]
    total: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]
    seen: npt.NDArray[np.float64]

    def first_genes(
        self, cluster: int, others: npt.NDArray[np.bool_], *, n: int, min_detected: float
    ) -> set[str]:
        """Return the ``n`` genes that stand out most in a cluster against other clusters.

        Ranked by the difference of means over its standard error (Welch), among genes that
        ``min_detected`` of the cluster's cells show and that lie two standard errors higher. Cells
        are no replicates: this ranks, and tests nothing.
        """
        size, rest = self.size[cluster], self.size[others].sum()
        mean = self.total[cluster] / size
        mean_rest = self.total[others].sum(axis=0) / max(rest, 1)
        spread = (self.squares[cluster] / size - mean**2) / size
        spread_rest = self.squares[others].sum(axis=0) / max(rest, 1) - mean_rest**2
        # The least spread keeps a gene that a few cells show alike from leading.
        error = np.sqrt(np.maximum(spread + spread_rest / max(rest, 1), 0.0) + 1e-9)
        rank = (mean - mean_rest) / error
        rank[(self.seen[cluster] < min_detected * size) | (rank < 2)] = -np.inf
        order = np.argsort(-rank, kind="stable")[:n]
        return set(self.symbols[order[np.isfinite(rank[order])]])


class Adding:
    """Parts of a study on their way elsewhere, whose values are added up per cluster meanwhile.

    Parameters
    ----------
    parts
        A study in one or more parts, all with the same genes and the same categories of ``by``;
        ``X`` log-normalised CSR, ``var["symbol"]`` names.
    by
        Column of the clusters.
    squares
        Whether squares are added up too.
    """

    def __init__(
        self, parts: Iterable[AnnData], *, by: str = "cluster", squares: bool = False
    ) -> None:
        """Read nothing yet."""
        self._parts, self._by, self._squares = parts, by, squares
        self._sums = ClusterSums([], np.array([], dtype=str), *[np.zeros((1, 1))] * 4)

    def __iter__(self) -> Iterator[AnnData]:
        """Yield the parts, once."""
        for part in self._parts:
            self._add(part)
            yield part

    def _add(self, part: AnnData) -> None:
        from scipy import sparse

        groups = part.obs[self._by].astype("category").cat
        code, levels = groups.codes.to_numpy(), list(groups.categories.astype(str))
        symbols, X = part.var["symbol"].astype(str).to_numpy(), part.X
        ones = np.ones(len(code), dtype=np.float32)
        member = sparse.csr_matrix((ones, (code, np.arange(len(code)))), (len(levels), len(code)))

        def added(data: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
            values = sparse.csr_matrix((data, X.indices, X.indptr), X.shape, copy=False)
            return np.asarray((member @ values).todense(), dtype=np.float64)

        old = self._sums
        self._sums = ClusterSums(
            levels,
            symbols,
            size=old.size + np.bincount(code, minlength=len(levels))[:, None],
            total=old.total + added(X.data),
            squares=old.squares + (added(X.data**2) if self._squares else 0.0),
            seen=old.seen + added(np.ones_like(X.data)),
        )

    def sums(self) -> ClusterSums:
        """Return the sums over the parts that have passed."""
        return replace(self._sums, size=self._sums.size[:, 0])


def cluster_sums(
    parts: Iterable[AnnData], *, by: str = "cluster", squares: bool = False
) -> ClusterSums:
    """Add up log-normalised values per cluster; parameters as of :class:`Adding`."""
    adding = Adding(parts, by=by, squares=squares)
    for _ in adding:
        pass
    return adding.sums()


def carried_share(
    sums: ClusterSums,
    scores: pd.DataFrame,
    markers: pd.DataFrame,
    *,
    n_first: int,
    min_detected: float,
) -> pd.DataFrame:
    """Say how much of every type's markers is among the first genes of every cluster.

    A cluster is ranked against the clusters that the type does not fit best, so that several
    clusters of one type do not hide its markers from each other; and again against those of them
    that another type of its lineage fits best: what fibres have in common would otherwise lead all
    fibre types. The better of the two counts. Without such clusters it is ranked against all
    others.

    Parameters
    ----------
    sums
        From :func:`cluster_sums`.
    scores
        ``cluster, cell_type, lineage, score, admissible``, one row per pair.
    markers
        ``cell_type, gene, kind, weight`` of one organism.
    n_first, min_detected
        See :meth:`ClusterSums.first_genes`.

    Returns
    -------
    DataFrame
        In the order of ``scores``: ``carried`` (weighted share of the type's measured positive
        markers that are among the cluster's first genes, 0 to 1) and ``n_carried``.
    """
    measured = set(sums.symbols)
    place = {name: i for i, name in enumerate(sums.clusters)}
    own = markers[(markers["kind"] != "negative") & markers["gene"].isin(measured)]
    weights = {str(t): rows.set_index("gene")["weight"] for t, rows in own.groupby("cell_type")}
    fits = scores[scores["admissible"]].sort_values("score", ascending=False, kind="stable")
    fits = fits.drop_duplicates("cluster").set_index(fits["cluster"].astype(str).unique())
    best, family = (
        fits[key].astype(str).reindex(sums.clusters).to_numpy() for key in ("cell_type", "lineage")
    )

    @cache  # most types are ranked against the same clusters
    def first(here: int, against: tuple[int, ...]) -> set[str]:
        others = np.isin(np.arange(len(sums.clusters)), against)
        return sums.first_genes(here, others, n=n_first, min_detected=min_detected)

    found = []
    keys = (scores[key].astype(str) for key in ("cluster", "cell_type", "lineage"))
    for cluster, cell_type, lineage in zip(*keys, strict=True):
        here = place[cluster]
        elsewhere = np.arange(len(sums.clusters)) != here
        others = elsewhere & (best != cell_type)
        weight = weights[cell_type]
        shares = []
        for against in (others if others.any() else elsewhere, others & (family == lineage)):
            if against.any():
                has = weight.index.isin(first(here, tuple(np.flatnonzero(against))))
                shares.append((float(weight[has].sum() / weight.sum()), int(has.sum())))
        found.append(max(shares, default=(0.0, 0)))
    return pd.DataFrame(found, columns=["carried", "n_carried"], index=scores.index)
