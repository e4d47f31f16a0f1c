"""Bayesian random-effects meta-analysis of many keys over few studies.

With only two to five studies the likelihood says little about the variance between them, and REML
often estimates it as 0. A half-normal prior on the standard deviation between studies says how much
effects on this scale usually differ (Roever 2020, J Stat Softw 93:6; Roever et al. 2021, Res
Synth Methods 12:448); the mean has a flat prior. Given that standard deviation the posterior of the
mean is normal, so that one integral per key is left, taken on fixed nodes for all keys at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.core.late import light_scipy
from alsmuscle.core.types import Floats
from alsmuscle.stats import distributions

with light_scipy():
    from scipy.special import ndtr, ndtri

_NODES = 64
_SPAN = 6.0  # multiples of the prior's scale; beyond it holds 2e-9 of the prior
_STEPS = 30
_CHUNK = 256  # keys at a time: nodes × keys stay in the processor's cache


def normal_variance(se: npt.ArrayLike, df: npt.ArrayLike | None) -> Floats:
    """Return variances of the normal whose 95 % interval is as wide as that of t on ``df``.

    A study's own error is known on few degrees of freedom, and the model below takes it for known.
    Missing ``df`` stand for the normal distribution.
    """
    variance = np.asarray(se, dtype=float) ** 2
    if df is None:
        return variance
    free = np.asarray(df, dtype=float)
    quantile = distributions.t_quantile(0.975, np.where(np.isnan(free), np.inf, free))
    return np.asarray(variance * (quantile / ndtri(0.975)) ** 2, dtype=float)


def random_effects(
    effect: pd.DataFrame,
    se: pd.DataFrame,
    df: pd.DataFrame | None = None,
    *,
    scale: float,
    margin: float | npt.ArrayLike,
    level: float = 0.95,
) -> pd.DataFrame:
    """Pool each row over its columns; the posterior of the mean effect and of a new study's.

    Parameters
    ----------
    effect, se
        Keys × studies, log2 units; a pair in which either is missing is left out for that key.
    df
        Degrees of freedom of every ``se``; normal errors where missing.
    scale
        Scale of the half-normal prior on the standard deviation between studies, log2 units.
    margin
        Effects up to this size count as none; one number, or one per key.
    level
        Probability of the central intervals.

    Returns
    -------
    DataFrame
        Indexed as ``effect``: ``bayes_effect`` (posterior mean)``, bayes_ci_low, bayes_ci_high,
        tau`` (posterior mean of the standard deviation between studies)``, pi_low, pi_high``
        (effect in a new study)``, prob_direction`` (that the mean has the sign of
        ``bayes_effect``)``, prob_beyond`` (that it lies beyond ``margin`` on that side). Keys with
        fewer than two studies are missing.

    Raises
    ------
    InputError
        Labels differ, the scale is not positive, or a standard error is not.
    """
    if not (effect.index.equals(se.index) and effect.columns.equals(se.columns)):
        raise InputError("effect and se differ in their row or column labels")
    if not scale > 0:
        raise InputError(f"the prior's scale is {scale}", expected="a positive number")
    y, variance = effect.to_numpy(dtype=float), normal_variance(se, df)
    present = np.isfinite(y) & np.isfinite(variance)
    if (present & ~(variance > 0)).any():
        raise InputError("a standard error is not positive", expected="positive, or missing")
    margins = np.broadcast_to(np.asarray(margin, dtype=float), y.shape[:1])
    columns = ["bayes_effect", "bayes_ci_low", "bayes_ci_high", "tau", "pi_low", "pi_high"]
    columns += ["prob_direction", "prob_beyond"]
    out = np.full((y.shape[0], len(columns)), np.nan)
    rows = np.flatnonzero(present.sum(axis=1) >= 2)
    tau, weight = _nodes(scale)
    for start in range(0, rows.size, _CHUNK):
        own = rows[start : start + _CHUNK]
        out[own] = _posterior(y[own], variance[own], present[own], tau, weight, margins[own], level)
    return pd.DataFrame(out, index=effect.index, columns=columns)


def _nodes(scale: float) -> tuple[Floats, Floats]:
    """Return standard deviations between studies, and the log of prior times width, per node.

    Gauss-Legendre in the square root, so that nodes are dense near 0, where precise studies need
    them.
    """
    x, width = np.polynomial.legendre.leggauss(_NODES)
    root = (x + 1) / 2
    tau = _SPAN * scale * root**2
    return tau, np.log(width * root) - 0.5 * (tau / scale) ** 2


def _posterior(
    y: Floats,
    variance: Floats,
    present: npt.NDArray[np.bool_],
    tau: Floats,
    log_prior: Floats,
    margin: Floats,
    level: float,
) -> Floats:
    """Posterior numbers per key (rows), in the order of the columns of :func:`random_effects`."""
    centre = np.where(present, y, 0).sum(axis=1) / present.sum(axis=1)
    deviation = np.where(present, y - centre[:, None], 0.0)  # keeps digits
    # Study by study: keys × nodes at a time stay in the processor's cache, all studies do not. A
    # missing one has no weight, and a variance of 1 in the determinant.
    shape = (len(y), len(tau))
    precision, mean, squares, logs = (np.zeros(shape) for _ in range(4))
    weights = []
    for study in range(y.shape[1]):
        there = present[:, study, None]
        total = (
            variance[:, study, None] + tau**2
            if there.all()
            else np.where(there, variance[:, study, None] + tau**2, 1.0)
        )
        weights.append(there / total)
        precision += weights[-1]
        mean += weights[-1] * deviation[:, study, None]
        logs += np.log(total)
    mean /= precision
    for study, w in enumerate(weights):
        squares += w * (deviation[:, study, None] - mean) ** 2
    log_weight = log_prior - 0.5 * (logs + np.log(precision) + squares)
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    sd, wide = np.sqrt(1 / precision), np.sqrt(1 / precision + tau**2)
    ends = ((1 - level) / 2, (1 + level) / 2)
    mu = (weight * mean).sum(axis=1)
    side = np.where(mu + centre < 0, -1.0, 1.0)

    def beyond(bound: Floats) -> Floats:
        z = side[:, None] * (mean + centre[:, None] - (side * bound)[:, None]) / sd
        return np.asarray((weight * ndtr(z)).sum(axis=1), dtype=float)

    return np.column_stack(
        [
            mu + centre,
            *(_quantile(p, weight, mean, sd) + centre for p in ends),
            weight @ tau,
            *(_quantile(p, weight, mean, wide) + centre for p in ends),
            beyond(np.zeros_like(margin)),
            beyond(margin),
        ]
    )


def _quantile(p: float, weight: Floats, mean: Floats, sd: Floats) -> Floats:
    """Quantile of a mixture of normals per row: Newton steps kept inside a bracket."""
    ends = mean + ndtri(p) * sd
    low, high = ends.min(axis=1), ends.max(axis=1)
    x = (weight * ends).sum(axis=1)
    # Rows that have arrived stay: another step would take them out of their bracket, and to its
    # middle.
    going = np.arange(len(x))
    for _ in range(_STEPS):
        own, m, s = weight[going], mean[going], sd[going]
        z = (x[going, None] - m) / s
        gap = (own * ndtr(z)).sum(axis=1) - p
        low[going] = np.where(gap < 0, x[going], low[going])
        high[going] = np.where(gap < 0, high[going], x[going])
        slope = (own * np.exp(-0.5 * z**2) / s).sum(axis=1) / np.sqrt(2 * np.pi)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = x[going] - gap / slope
        inside = (step >= low[going]) & (step <= high[going])
        new = np.where(inside, step, (low[going] + high[going]) / 2)
        moved = np.abs(new - x[going]) > 1e-9
        x[going] = new
        going = going[moved]
        if not going.size:
            break
    return np.asarray(x, dtype=float)
