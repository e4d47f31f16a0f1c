"""How much genes vary among cells of one sample, for their mean."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.types import Floats, Singles

BINS = 20


def normalised_dispersions(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Return log means and normalised dispersions of genes (Satija et al. 2015, "Seurat").

    The logarithm of variance over mean, less its mean over the genes of a like mean (20 bins of
    equal width of the log mean), over their standard deviation; a gene alone in its bin has 1. As
    ``scanpy.pp.highly_variable_genes(flavor="seurat")`` does it, without its imports.

    Parameters
    ----------
    mean, variance
        Of genes that are seen, over cells whose counts are scaled to one sum; no logarithms.

    Returns
    -------
    means
        log(1 + mean), per gene.
    normalised
        Missing for a gene that does not vary, or where no gene of the bin does.
    """
    mean = np.maximum(mean, 1e-12)
    ratio = variance / mean
    dispersion = np.log(np.where(ratio == 0, np.nan, ratio))
    log_mean = np.log1p(mean)
    bins = pd.cut(pd.Series(log_mean), bins=BINS)
    grouped = pd.Series(dispersion).groupby(bins, observed=True)
    average, spread = grouped.mean(), grouped.std()
    alone = spread.isna()
    spread[alone], average[alone] = average[alone], 0.0
    centre, width = (table.reindex(bins).to_numpy(dtype=np.float64) for table in (average, spread))
    return log_mean, np.asarray((dispersion - centre) / width)


def moments(
    indices: npt.NDArray[np.int32], data: Singles, shape: tuple[int, int]
) -> tuple[Floats, Floats]:
    """Return mean and variance (n - 1) of the columns of a sparse matrix, in double precision."""
    n, columns = shape
    total, squares = np.zeros(columns), np.zeros(columns)
    for low in range(0, len(data), 1 << 22):  # in parts, for the copies in double precision
        here = slice(low, low + (1 << 22))
        column, part = indices[here].astype(np.intp), data[here].astype(np.float64)
        total += np.bincount(column, part, columns)
        squares += np.bincount(column, part * part, columns)
    mean = total / n
    return mean, (squares / n - mean**2) * (n / max(n - 1, 1))
