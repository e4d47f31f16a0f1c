"""Empirical-Bayes moderation of residual variances, as limma does.

Smyth GK (2004), Statistical Applications in Genetics and Molecular Biology 3:3. With
s2 | sigma2 ~ sigma2 chi2(df) / df and 1 / sigma2 ~ chi2(df_prior) / (df_prior var_prior), log(s2)
follows the logarithm of a scaled F distribution, whose first two moments give var_prior and
df_prior in closed form. Used where few features share one design: programme blocks, cell types.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alsmuscle.core.types import Floats


class SqueezedVariance(NamedTuple):
    """Moderated variances.

    ``var_post`` has one value per feature (df_prior-weighted mean of own and prior variance);
    ``var_prior`` (one number, or one per feature with a trend) and ``df_prior`` are the prior's
    scale and degrees of freedom. ``df_prior`` is
    ``inf`` where the variances scatter no more than sampling alone would make them, and 0 where
    nothing could be learned (fewer than two usable features).
    """

    var_post: Floats
    var_prior: float | Floats
    df_prior: float


def trigamma_inverse(x: float) -> float:
    """Solve trigamma(y) = x for y > 0 by Newton's method on 1 / trigamma (Smyth 2004, appendix).

    1 / trigamma is convex and nearly linear, so that a start below the root converges
    monotonically. Raises ValueError unless x is positive and finite.
    """
    from scipy.special import polygamma

    if not np.isfinite(x) or x <= 0:
        raise ValueError(f"trigamma_inverse needs a positive finite value, got {x}")
    if x > 1e7:  # trigamma(y) -> 1 / y^2 as y -> 0
        return float(1 / np.sqrt(x))
    if x < 1e-6:  # trigamma(y) -> 1 / y as y -> inf
        return 1 / x
    y = 0.5 + 1 / x
    for _ in range(50):
        tri = float(polygamma(1, y))
        step = tri * (1 - tri / x) / float(polygamma(2, y))
        y += step
        if -step / y < 1e-8:
            break
    return y


def natural_spline(x: Floats, data: Floats, n_terms: int) -> Floats:
    """Basis of natural cubic splines on the range of ``data``, at ``x``; shape (n, n_terms >= 2).

    Inner knots at equally spaced quantiles of ``data``: the space that R's ``ns(data, df=n_terms,
    intercept=TRUE)`` spans, in the basis of Hastie, Tibshirani and Friedman (2009, section 5.2.1).
    """
    knots = np.quantile(data, np.linspace(0, 1, n_terms))
    scaled = (x - knots[0]) / (knots[-1] - knots[0])
    knots = (knots - knots[0]) / (knots[-1] - knots[0])

    def bend(k: int) -> Floats:
        top = np.maximum(scaled - knots[k], 0) ** 3 - np.maximum(scaled - knots[-1], 0) ** 3
        return np.asarray(top / (knots[-1] - knots[k]))

    last = bend(n_terms - 2)
    bends = [bend(k) - last for k in range(n_terms - 2)]
    return np.column_stack([np.ones_like(x), scaled, *bends])


def squeeze_var(
    s2: npt.ArrayLike, df: float | npt.ArrayLike, *, trend: npt.ArrayLike | None = None
) -> SqueezedVariance:
    """Shrink residual variances towards a common prior, as limma's ``squeezeVar``.

    Parameters
    ----------
    s2
        Residual variances, one per feature, shape (n,). Missing or infinite values take no part
        in the fit and stay missing in the result (unless ``df_prior`` is infinite, where every
        posterior is the prior).
    df
        Residual degrees of freedom, a scalar or shape (n,). Features without any (0) take no part
        in the fit and receive the prior variance.
    trend
        Per feature a covariate, such as mean log expression, on which the prior variance depends
        through a natural cubic spline of at most four terms (limma-trend).

    Returns
    -------
    SqueezedVariance
        ``var_post`` (n,), ``var_prior``, ``df_prior``. A moderated t statistic has
        ``df + df_prior`` degrees of freedom (limma caps them at the pooled ``sum(df)``).

    Raises
    ------
    ValueError
        For an empty input, negative or non-finite ``df``, negative variances, or when no feature
        has a usable variance.

    Notes
    -----
    Method of moments of Smyth (2004), section 6.2; checked against limma in
    ``tests/reference/squeeze_var``. Variances below 1e-5 of the median are raised to that floor in
    the fit, as limma does, because their logarithm would dominate it.
    """
    from scipy.special import digamma, polygamma

    var: Floats = np.array(s2, dtype=np.float64, ndmin=1)
    if var.ndim != 1 or var.size == 0:
        raise ValueError("s2 must be a non-empty vector of variances")
    dof: Floats = np.broadcast_to(np.asarray(df, dtype=np.float64), var.shape).copy()
    if not np.all(np.isfinite(dof)) or np.any(dof < 0):
        raise ValueError("df must be finite and not negative")
    if np.any(var < 0):
        raise ValueError("variances must not be negative")

    usable = np.isfinite(var) & (dof > 1e-15)
    if not usable.any():
        raise ValueError("no feature has a finite variance with residual degrees of freedom")
    if usable.sum() == 1:
        return SqueezedVariance(var, float(var[usable][0]), 0.0)

    x, half = var[usable], dof[usable] / 2
    middle = float(np.median(x))
    x = np.maximum(x, 1e-5 * (middle if middle > 0 else 1.0))
    e = np.log(x) - digamma(half) + np.log(half)
    level: float | Floats
    if trend is None:
        level, scatter = float(np.mean(e)), float(np.var(e, ddof=1))
    else:
        level, scatter = _trend(e, np.asarray(trend, dtype=np.float64), usable)
    excess = scatter - float(np.mean(polygamma(1, half)))
    var_prior: float | Floats
    if excess > 0:
        df_prior = 2 * trigamma_inverse(excess)
        scale = np.exp(level + digamma(df_prior / 2) - np.log(df_prior / 2))
        var_prior = float(scale) if trend is None else scale
        # A variance without degrees of freedom carries no information, whatever its value.
        own: Any = np.where(dof > 0, var, 0.0)
        post = (dof * own + df_prior * var_prior) / (dof + df_prior)
    else:
        df_prior = np.inf
        # The maximum-likelihood scale when all sigma2 are equal.
        var_prior = float(np.mean(x)) if trend is None else np.exp(level)
        post = np.full(var.shape, var_prior)
    return SqueezedVariance(post, var_prior, float(df_prior))


def _trend(e: Floats, covariate: Floats, usable: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Level of log variances along the covariate, for all features, and the scatter around it."""
    if covariate.shape != usable.shape or not np.isfinite(covariate).all():
        raise ValueError("trend must be finite, one value per variance")
    n_terms = min(4, len(np.unique(covariate[usable])), int(usable.sum()) - 1)
    if n_terms < 2:
        return np.full(covariate.shape, np.mean(e)), float(np.var(e, ddof=1))
    basis = natural_spline(covariate, covariate[usable], n_terms)
    beta = np.linalg.lstsq(basis[usable], e, rcond=None)[0]
    residual = e - basis[usable] @ beta
    return basis @ beta, float(residual @ residual / (len(e) - n_terms))
