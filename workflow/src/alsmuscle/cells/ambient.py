"""Ambient RNA: its profile, its share of a sample's counts, and counts without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.types import Bools, Floats
from alsmuscle.stats.distributions import poisson_quantile

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


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
        use = seen <= poisson_quantile(0.99, np.maximum(share, 1e-4) * exposure)
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
