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
from alsmuscle.core.types import Floats

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
    _to_total(observed, 1e6)
    _to_total(simulated, 1e6)
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

    seen = np.bincount(counts.indices, minlength=counts.shape[1]) >= LEAST_CELLS
    part = sparse.csr_matrix(counts[:, seen], dtype=np.float32)
    normal = part.copy()
    total = _sums(normal)
    _to_total(normal, float(np.median(total)))
    logged = sparse.csr_matrix((np.log1p(normal.data), part.indices, part.indptr), part.shape)
    mean, dispersion = normalised_dispersions(logged)
    chosen = (mean > LEAST_MEAN) & (mean < MOST_MEAN)
    chosen &= np.nan_to_num(dispersion) > LEAST_DISPERSION
    return normal[:, chosen], part[:, chosen]


def _sums(matrix: csr_matrix) -> npt.NDArray[np.float32]:
    """Return the rows' sums, added in double precision."""
    sums: npt.NDArray[np.float32] = (matrix @ np.ones(matrix.shape[1])).astype(np.float32)
    return sums


def _to_total(matrix: csr_matrix, total: float) -> None:
    """Scale rows to one sum, in place; a row without counts stays."""
    factor = _sums(matrix) / np.float32(total)
    factor[factor == 0] = 1
    matrix.data /= np.repeat(factor, np.diff(matrix.indptr))


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
