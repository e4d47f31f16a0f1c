"""Quasi-likelihood tests: how much more than the dispersion trend says does a gene vary?

DESeq2's Wald test takes a gene's dispersion as known. Read against the normal distribution it calls
far too many genes in small, heterogeneous groups (8 to 25 % false among its calls on
thinned real counts, ``benchmarks/calls.tsv``). Here, as in edgeR's quasi-likelihood tests (Lund et
al. 2012, Stat Appl Genet Mol Biol 11:5, 10.1515/1544-6115.1826; Chen, Lun and Smyth 2016,
10.12688/f1000research.8987.2), coefficients are fitted at the dispersion that DESeq2's *trend*
gives a gene of its mean, and its residual deviance per degree of freedom says how many times more,
or less, it varies than that. These factors are squeezed towards those of genes of the same mean, as
limma squeezes variances, and multiply the errors: t on the residual degrees of freedom and those of
the prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alsmuscle.core.types import Floats
from alsmuscle.stats.moderation import squeeze_var

Flags = npt.NDArray[np.bool_]

# Counts, divided by size factors, that a gene needs in as many samples as the smallest group has:
# below, a call is hardly possible (the rule of edgeR's filterByExpr).
MIN_COUNT = 10.0
# Share of the tested genes that the rule may leave out at most (shallow libraries).
MAX_FILTERED = 0.4
# Fitted means below it are raised to it where errors are computed, as DESeq2 does in R.
MIN_MU = 0.5


class Fit(NamedTuple):
    """Coefficients at the trend's dispersions, and the deviances that they leave.

    ``coef`` (g, p) natural log; ``factor`` (g,) residual deviance per degree of freedom, ``df``
    (g,); ``gains`` (g, hypotheses): what leaving terms out costs in deviance.
    """

    coef: Floats
    factor: Floats
    df: Floats
    gains: Floats


def expressed(normed: Floats, n_samples: int) -> Flags:
    """Which genes (columns of counts over size factors) are worth correcting for in many tests.

    The rule looks at counts alone, never at p-values: a filter that is chosen by what it calls
    decides the answer. At most ``MAX_FILTERED`` of the genes are left out: where the rule would
    leave out more, the least expressed ones are.
    """
    k = min(max(n_samples, 1), len(normed))
    level = -np.partition(-normed, k - 1, axis=0)[k - 1]
    return np.asarray(level >= min(MIN_COUNT, float(np.quantile(level, MAX_FILTERED))))


def _deviance(y: Floats, mu: Floats, dispersion: Floats) -> Floats:
    """Deviance of negative-binomial counts (samples × genes), summed over samples."""
    from scipy.special import xlogy

    with np.errstate(divide="ignore", invalid="ignore"):
        own = xlogy(y, y / mu)
    rest = (y + 1 / dispersion) * (np.log1p(dispersion * y) - np.log1p(dispersion * mu))
    return np.asarray(2 * np.maximum(own - rest, 0.0).sum(axis=0))


def fit(
    counts: Floats,
    size: Floats,
    X: Floats,
    dispersion: Floats,
    *,
    inference: Any,
    n_replaced: npt.NDArray[np.int64],
    dropped: Sequence[Sequence[int]] = (),
) -> Fit:
    """Fit every gene at its trend's dispersion.

    Parameters
    ----------
    counts
        Samples × genes, outlying ones replaced; at least one read per gene.
    size
        Size factors.
    X
        Samples × terms.
    dispersion
        Per gene, of the trend.
    inference
        Whose ``irls`` fits.
    n_replaced
        Per gene, counts that were replaced: each is a degree of freedom less.
    dropped
        Columns of X that each omnibus hypothesis leaves out.
    """

    def solve(design: Floats) -> tuple[Floats, Floats]:
        beta, *_ = inference.irls(
            counts=counts,
            size_factors=size,
            design_matrix=design,
            disp=dispersion,
            min_mu=MIN_MU,
            beta_tol=1e-8,
        )
        beta = np.asarray(beta, dtype=float)
        mu = size[:, None] * np.exp(np.clip(design @ beta.T, -30, 30))
        return beta, _deviance(counts, np.maximum(mu, 1e-8), dispersion)

    coef, left = solve(X)
    df = _residual_df(counts, X) - n_replaced
    factor = np.where(df > 0, left / np.maximum(df, 1), 0.0)
    gains = np.full((counts.shape[1], len(dropped)), np.nan)
    for i, columns in enumerate(dropped):
        _, more = solve(np.delete(X, list(columns), axis=1))
        gains[:, i] = np.maximum(more - left, 0.0)
    return Fit(coef, factor, np.maximum(df, 0).astype(float), gains)


def _residual_df(counts: Floats, X: Floats) -> npt.NDArray[np.int64]:
    """Residual degrees of freedom per gene: none from samples that nothing but zeros determine.

    A group without a single read is fitted by zero and shows no variation, whatever its size (Lun
    and Smyth 2017, 10.1515/sagmb-2017-0010).
    """
    n, p = X.shape
    found = np.full(counts.shape[1], n - p)
    _, group = np.unique(X, axis=0, return_inverse=True)
    group = np.ravel(group)
    silent = np.array([(counts[group == g] == 0).all(axis=0) for g in range(group.max() + 1)])
    patterns, where = np.unique(silent.T, axis=0, return_inverse=True)
    where = np.ravel(where)
    for i, pattern in enumerate(patterns):
        kept = ~pattern[group]
        rank = np.linalg.matrix_rank(X[kept]) if kept.any() else 0
        found[where == i] = kept.sum() - rank
    return found


def squeezed(factor: Floats, df: Floats, mean: Floats, keep: Flags) -> tuple[Floats, Floats]:
    """Squeeze the factors of variation towards those of genes of the same mean.

    Parameters
    ----------
    factor, df
        Of :func:`fit`.
    mean
        Per gene mean of counts over size factors.
    keep
        Genes that the prior is learned from.

    Returns
    -------
    posterior, df
        Per gene; the degrees of freedom are the gene's and the prior's, capped at all genes'
        together.
    """
    trend = np.log2(np.nan_to_num(mean) + 0.5)
    found = squeeze_var(np.where(keep, factor, np.nan), df, trend=trend)
    prior, d0 = np.broadcast_to(found.var_prior, factor.shape), found.df_prior
    if np.isinf(d0):
        return np.asarray(prior, dtype=float), np.full(len(df), df[keep].sum())
    with np.errstate(invalid="ignore"):
        posterior = (df * factor + d0 * prior) / (df + d0)
    return posterior, np.minimum(df + d0, df[keep].sum())


def errors(
    coef: Floats, size: Floats, X: Floats, dispersion: Floats, vector: Floats, posterior: Floats
) -> Floats:
    """Return the standard error of a contrast per gene, natural log.

    Never below what counting alone leaves, however little a gene varies.
    """
    mu = np.maximum(size[:, None] * np.exp(np.clip(X @ coef.T, -30, 30)), MIN_MU)

    def variance(weight: Floats) -> Floats:
        information = np.einsum("ng,np,nq->gpq", weight, X, X, optimize=True)
        solved = np.linalg.solve(information, np.broadcast_to(vector, coef.shape)[..., None])
        return np.asarray(solved[..., 0] @ vector)

    with np.errstate(invalid="ignore"):
        own = variance(mu / (1 + dispersion * mu)) * posterior
        return np.sqrt(np.maximum(own, variance(mu)))
