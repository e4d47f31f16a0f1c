"""Linear models of log expression with moderated statistics, for arrays and as a second engine.

Moderated t and F are limma's (Smyth 2004, Statistical Applications in Genetics and Molecular
Biology 3:3; Ritchie et al. 2015, 10.1093/nar/gkv007); precision weights for counts are voom's (Law,
Chen, Shi and Smyth 2014, 10.1186/gb-2014-15-2-r29). Checked against limma in
``tests/reference/designs`` and ``tests/reference/gse781``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.types import Floats
from alsmuscle.stats import distributions
from alsmuscle.stats.moderation import squeeze_var


class Fit(NamedTuple):
    """Least squares of every row on one design.

    ``coef`` (g, p); ``s2`` (g,) residual variances on ``df`` degrees of freedom; ``unscaled``
    (g, p, p), or (1, p, p) without weights: the coefficients' covariance over the variance;
    ``mean`` (g,) mean expression.
    """

    coef: Floats
    s2: Floats
    df: int
    unscaled: Floats
    mean: Floats


def fit(values: Floats, X: Floats, weights: Floats | None = None) -> Fit:
    """Fit rows of ``values`` (genes × samples) on ``X`` (samples × terms, full rank).

    ``X`` may also be one design per gene (genes × samples × terms), as transformed samples have.

    Parameters
    ----------
    weights
        Genes × samples, proportional to precision; equal ones when left out.

    Raises
    ------
    ValueError
        The design is not of full column rank.
    """
    n, p = X.shape[-2:]
    if np.linalg.matrix_rank(X if X.ndim == 2 else X[0]) < p:
        raise ValueError("the design is not of full column rank")
    if X.ndim == 3:
        inverse = np.linalg.inv(np.einsum("gnp,gnq->gpq", X, X, optimize=True))
        coef = np.einsum("gpq,gnq,gn->gp", inverse, X, values, optimize=True)
        squares = ((values - np.einsum("gnp,gp->gn", X, coef)) ** 2).sum(axis=1)
    elif weights is None:
        inverse = np.linalg.inv(X.T @ X)[None]
        coef = values @ X @ inverse[0]
        squares = ((values - coef @ X.T) ** 2).sum(axis=1)
    else:
        inverse = np.linalg.inv(np.einsum("gn,np,nq->gpq", weights, X, X, optimize=True))
        coef = np.einsum("gpq,gq->gp", inverse, (weights * values) @ X)
        squares = (weights * (values - coef @ X.T) ** 2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        s2 = squares / np.float64(n - p)
    return Fit(coef, np.asarray(s2), n - p, np.asarray(inverse), values.mean(axis=1))


def _moderated(model: Fit, trend: bool) -> tuple[Floats, float]:
    """Posterior variances and total degrees of freedom, capped at the pooled ones as in limma."""
    squeezed = squeeze_var(model.s2, model.df, trend=model.mean if trend else None)
    pooled = float(model.df * np.isfinite(model.s2).sum())
    return squeezed.var_post, float(min(model.df + squeezed.df_prior, pooled))


def moderated_t(model: Fit, vector: npt.ArrayLike, *, trend: bool) -> pd.DataFrame:
    """Test one contrast of the coefficients per row.

    Parameters
    ----------
    vector
        Weights of the coefficients.
    trend
        Let the prior variance depend on mean expression (limma-trend).

    Returns
    -------
    DataFrame
        ``effect, se, stat, df, pvalue``; without residual degrees of freedom only ``effect``.
    """
    c = np.asarray(vector, dtype=float)
    table = pd.DataFrame({"effect": model.coef @ c})
    if model.df < 1:
        return table.assign(se=np.nan, stat=np.nan, df=0.0, pvalue=np.nan)
    var, df = _moderated(model, trend)
    table["se"] = np.sqrt(var * np.einsum("p,gpq,q->g", c, model.unscaled, c))
    table["stat"] = table["effect"] / table["se"]
    table["df"] = df
    table["pvalue"] = distributions.t_pvalue(table["stat"], df)
    return table


def moderated_f(model: Fit, columns: list[int], *, trend: bool) -> pd.DataFrame:
    """Test that the given coefficients are all zero.

    Returns
    -------
    DataFrame
        Per row ``stat`` (F) on ``df`` and ``df_residual`` degrees of freedom, ``pvalue``.
    """
    var, df = _moderated(model, trend)
    beta = model.coef[:, columns]
    inverse = np.linalg.inv(model.unscaled[:, columns][:, :, columns])
    inverse = np.broadcast_to(inverse, (len(beta), *inverse.shape[1:]))
    stat = np.einsum("gp,gpq,gq->g", beta, inverse, beta) / len(columns) / var
    pvalue = distributions.f_pvalue(stat, len(columns), df)
    return pd.DataFrame({"stat": stat, "df": len(columns), "df_residual": df, "pvalue": pvalue})


def voom(
    counts: npt.ArrayLike,
    X: Floats,
    lib_size: Floats | None = None,
    *,
    span: float = 0.5,
    whitener: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Log counts per million with precision weights.

    The square root of each gene's residual standard deviation is smoothed over its mean log count
    (lowess, Cleveland 1979); the inverse fourth power of that curve at an observation's fitted log
    count is its weight.

    Parameters
    ----------
    counts
        Genes × samples.
    X
        Samples × terms.
    lib_size
        Library sizes, times normalisation factors where there are any; sums when left out.
    span
        Share of genes that the curve looks at around each.
    whitener
        Samples × samples: makes correlated samples independent before the fit.

    Returns
    -------
    values, weights
        Genes × samples each.
    """
    from statsmodels.nonparametric.smoothers_lowess import lowess

    y = np.asarray(counts, dtype=float)
    size = y.sum(axis=0) if lib_size is None else np.asarray(lib_size, dtype=float)
    values = np.log2((y + 0.5) / (size + 1) * 1e6)
    white = np.eye(len(X)) if whitener is None else whitener
    model = fit(values @ white.T, white @ X)
    x = values.mean(axis=1) + np.mean(np.log2(size + 1)) - np.log2(1e6)
    root = np.sqrt(np.sqrt(model.s2))
    measured = y.sum(axis=1) > 0
    delta = 0.01 * float(np.ptp(x[measured]))
    curve = lowess(root[measured], x[measured], frac=span, it=3, delta=delta)
    knots, first = np.unique(curve[:, 0], return_index=True)
    fitted = model.coef @ X.T + np.log2(size + 1) - np.log2(1e6)
    level = np.interp(fitted, knots, curve[first, 1])
    return values, level**-4
