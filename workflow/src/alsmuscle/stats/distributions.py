"""P-values, interval half-widths and their like, from ``scipy.special``.

``scipy.stats`` answers with the same functions, but takes a second to import, as long as many a job
takes. Degrees of freedom of infinity stand for the normal distribution everywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from alsmuscle.core.late import light_scipy
from alsmuscle.core.types import Floats

with light_scipy():
    from scipy.special import chdtrc, fdtrc, gammaln, ndtri, pdtr, pdtrik, stdtr, stdtrit


def t_pvalue(statistic: npt.ArrayLike, df: npt.ArrayLike) -> Floats:
    """Return two-sided p-values of t statistics; missing where either is missing."""
    return np.asarray(2 * stdtr(df, -np.abs(np.asarray(statistic, dtype=float))), dtype=float)


_MANY = 50


def t_quantile(probability: npt.ArrayLike, df: npt.ArrayLike) -> Floats:
    """Return quantiles of t."""
    free = np.asarray(df, dtype=float)
    if np.ndim(probability) == 0 and free.size > _MANY:
        # Genes mostly share their degrees of freedom, and a quantile costs a search.
        known, place = np.unique(free, return_inverse=True)
        return np.asarray(stdtrit(known, probability)[place].reshape(free.shape), dtype=float)
    return np.asarray(stdtrit(df, probability), dtype=float)


def half_width(se: npt.ArrayLike, df: npt.ArrayLike, level: float = 0.95) -> Floats:
    """Return half the width of an interval: ``se`` times a quantile of t, of the normal without df.

    ``se``, ``df``: one per effect, as in a ``de`` table; a missing ``df`` stands for the normal
    distribution.
    """
    free = np.asarray(df, dtype=float)
    quantile = t_quantile((1 + level) / 2, np.where(np.isnan(free), np.inf, free))
    return np.asarray(np.asarray(se, dtype=float) * quantile, dtype=float)


def normal_size(pvalue: npt.ArrayLike) -> Floats:
    """Return the sizes of the normal statistics that have these two-sided p-values."""
    return np.asarray(-ndtri(np.asarray(pvalue, dtype=float) / 2), dtype=float)


def f_pvalue(statistic: npt.ArrayLike, df: npt.ArrayLike, df_residual: npt.ArrayLike) -> Floats:
    """Return upper tails of F; with infinite residual degrees of freedom those of chi-squared."""
    stat, rest = np.asarray(statistic, dtype=float), np.asarray(df_residual, dtype=float)
    scaled = chi2_pvalue(stat * np.asarray(df, dtype=float), df)
    return np.where(np.isinf(rest), scaled, fdtrc(df, rest, stat))


def chi2_pvalue(statistic: npt.ArrayLike, df: npt.ArrayLike) -> Floats:
    """Return upper tails of chi-squared."""
    return np.asarray(chdtrc(df, statistic), dtype=float)


def hypergeometric_pvalue(
    found: npt.ArrayLike, population: npt.ArrayLike, marked: npt.ArrayLike, drawn: npt.ArrayLike
) -> Floats:
    """Return P(X >= found), X the number of marked ones among those drawn without replacement.

    One-sided, Fisher's exact test. Whole numbers of any shapes that go together; the probabilities
    of all tables in question are added up at once.
    """
    counts = np.broadcast_arrays(found, population, marked, drawn)
    x, N, K, n = (np.asarray(count, dtype=np.int64).ravel() for count in counts)
    first = np.maximum(np.maximum(x, 0), n + K - N)
    terms = np.maximum(np.minimum(K, n) - first + 1, 0)
    row = np.repeat(np.arange(len(x)), terms)
    k = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(terms) - terms, terms)

    def log_choose(total: npt.NDArray[np.int64], part: npt.NDArray[np.int64]) -> Floats:
        out: Floats = gammaln(total + 1.0) - gammaln(part + 1.0) - gammaln(total - part + 1.0)
        return out

    chance = log_choose(K[row], k) + log_choose((N - K)[row], n[row] - k)
    chance -= log_choose(N, n)[row]
    tail = np.bincount(row, np.exp(chance), minlength=len(x))
    # All that is possible is certain, to the last digit.
    tail[x <= np.maximum(0, n + K - N)] = 1.0
    return np.minimum(tail, 1.0).reshape(counts[0].shape)


def poisson_quantile(probability: float, mean: npt.ArrayLike) -> Floats:
    """Return the least counts that Poisson counts stay at or below with a probability."""
    above = np.ceil(pdtrik(probability, mean))
    below = np.maximum(above - 1, 0)
    return np.asarray(np.where(pdtr(below, mean) >= probability, below, above), dtype=float)


def adjust(pvalues: npt.ArrayLike) -> Floats:
    """Benjamini-Hochberg adjusted p-values; missing ones stay missing and are not counted.

    Benjamini and Hochberg 1995, J R Stat Soc B 57:289.
    """
    p = np.asarray(pvalues, dtype=float)
    out = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    n = int(known.sum())
    if n == 0:
        return out
    order = np.argsort(p[known], kind="stable")[::-1]
    stepped = np.minimum.accumulate(p[known][order] * n / np.arange(n, 0, -1))
    back = np.empty(n)
    back[order] = np.minimum(stepped, 1.0)
    out[known] = back
    return out
