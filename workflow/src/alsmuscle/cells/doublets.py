"""Doublets of one sample: Scrublet (Wolock et al. 2019, Cell Syst 8:281), sparse throughout.

Step by step what ``scanpy.pp.scrublet(mean_center=False, use_approx_neighbors=False)`` does, with
the same random numbers. Components and neighbours are found otherwise (:mod:`.components`,
:mod:`.nearest`), so that scores differ where two neighbours are equally far but for rounding. A
simulated doublet does not count itself, as in the authors' code; scanpy counts it, unless two
doublets of the sample are of the same pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from alsmuscle.cells.components import leading
from alsmuscle.cells.dispersion import moments, normalised_dispersions
from alsmuscle.cells.nearest import nearest
from alsmuscle.core.types import Bools, Floats, Singles

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PER_BARCODE = 2  # simulated doublets
LEAST_CELLS, LEAST_MEAN, MOST_MEAN, LEAST_DISPERSION = 3, 0.0125, 3.0, 0.5
HISTOGRAM_BINS, MOST_SMOOTHED = 256, 10_000


def scrublet(
    counts: csr_matrix, *, expected_rate: float, n_components: int, seed: int
) -> tuple[Floats, Floats]:
    """Score barcodes by how many of their neighbours are simulated doublets.

    Parameters
    ----------
    counts
        Barcodes x genes of one sample, CSR.
    expected_rate
        Share of doublets that is expected.
    n_components
        Of which distances are taken.
    seed
        Of the pairs of barcodes that make doublets.

    Returns
    -------
    Scores of the barcodes and of the simulated doublets, 0 to 1.

    Raises
    ------
    ValueError
        Too few genes vary to find the components.
    """
    n = counts.shape[0]
    observed, raw = _variable(counts)
    pairs = _pairs(n, seed)
    simulated = raw[pairs[0]] + raw[pairs[1]]
    if not n_components < min(observed.shape):
        raise ValueError(
            f"{observed.shape[1]} genes vary, {n_components} components need more of them"
        )
    for matrix in (observed, simulated):
        matrix.data = _scaled(matrix, _factor(_sums(matrix), 1e6))
    scale = 1 / np.sqrt(moments(observed.indices, observed.data, observed.shape)[1])
    for matrix in (observed, simulated):
        matrix.data *= scale[matrix.indices].astype(np.float32)
    from scipy import sparse

    both = sparse.vstack([observed, simulated], format="csr")
    del observed, simulated
    points = leading(both, n_components, centred=False, seed=seed, fitted=n)
    k = round(0.5 * np.sqrt(n))
    k = round(k * (1 + PER_BARCODE))
    among = (nearest(points, min(k, len(points))) >= n).sum(axis=1)
    among[n:] -= 1  # itself
    share = (among + 1) / (k + 2)
    rate, ratio = expected_rate, float(PER_BARCODE)
    scores = share * rate / ratio / (1 - rate - share * (1 - rate - rate / ratio))
    return scores[:n], scores[n:]


def _variable(counts: csr_matrix) -> tuple[csr_matrix, csr_matrix]:
    """Return normalised values and counts of the genes that vary."""
    from scipy import sparse

    chosen = np.bincount(counts.indices, minlength=counts.shape[1]) >= LEAST_CELLS
    total = _sums(counts, chosen)
    factor = _factor(total, float(np.median(total)))
    mean, variance = moments(counts.indices, _scaled(counts, factor), counts.shape)
    log_mean, dispersion = normalised_dispersions(mean[chosen], variance[chosen])
    varies = (log_mean > LEAST_MEAN) & (log_mean < MOST_MEAN)
    chosen[chosen] = varies & (np.nan_to_num(dispersion) > LEAST_DISPERSION)
    raw = sparse.csr_matrix(counts[:, chosen], dtype=np.float32)
    normal = sparse.csr_matrix((_scaled(raw, factor), raw.indices, raw.indptr), raw.shape)
    return normal, raw


def _sums(matrix: csr_matrix, columns: Bools | None = None) -> Singles:
    """Return the rows' sums over some columns, added in double precision."""
    ones = np.ones(matrix.shape[1]) if columns is None else columns.astype(np.float64)
    sums: Singles = (matrix @ ones).astype(np.float32)
    return sums


def _factor(sums: Singles, total: float) -> Singles:
    """Return what rows are divided by to have one sum; a row without counts stays."""
    factor = sums / np.float32(total)
    factor[factor == 0] = 1
    return factor


def _scaled(matrix: csr_matrix, factor: Singles) -> Singles:
    """Return a matrix' entries, divided by the factor of their row."""
    repeated = np.repeat(factor, np.diff(matrix.indptr))
    scaled: Singles = np.divide(matrix.data, repeated, out=repeated, casting="unsafe")
    return scaled


def _pairs(n: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw the pairs (2 x many) of barcodes that make a doublet each, no pair twice.

    As scikit-learn's ``sample_without_replacement`` draws from the ``n`` x ``n`` pairs.
    """
    rng = np.random.RandomState(seed)
    wanted, all_pairs = n * PER_BARCODE, n * n
    if wanted > 0.01 * all_pairs:
        drawn = rng.permutation(all_pairs)[:wanted]
    else:
        drawn = np.empty(0, np.int64)
        while len(drawn) < wanted:
            drawn = np.concatenate([drawn, rng.randint(all_pairs, size=wanted - len(drawn))])
            drawn = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
    return np.stack([drawn // n, drawn % n])


def valley(scores: Floats) -> float | None:
    """Return the lowest place between the two modes of scores' histogram, None without two.

    Prewitt and Mendelsohn 1966, Ann N Y Acad Sci 128:1035: the histogram is smoothed until two
    maxima are left. As ``skimage.filters.threshold_minimum``, without its imports.
    """
    from scipy.ndimage import uniform_filter1d

    heights, edges = np.histogram(scores, HISTOGRAM_BINS)
    heights = heights.astype(np.float32)
    for _ in range(MOST_SMOOTHED):
        heights = uniform_filter1d(heights, 3)
        maxima = _maxima(heights)
        if len(maxima) < 3:
            break
    if len(maxima) != 2:
        return None
    lowest = maxima[0] + int(np.argmin(heights[maxima[0] : maxima[1] + 1]))
    return float((edges[lowest] + edges[lowest + 1]) / 2)


def _maxima(heights: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the last places of a histogram's rises; a level step ends no rise."""
    step = np.diff(heights)
    place = np.flatnonzero(step)
    falls = step[place] < 0
    ends: npt.NDArray[np.int64] = place[falls & np.concatenate([[True], ~falls[:-1]])]
    return ends
