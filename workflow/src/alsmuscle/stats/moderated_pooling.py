"""Random-effects pooling of many keys over few studies that borrows their spread from each other.

With three or four studies a key's own Knapp-Hartung factor has two or three degrees of freedom, and
nothing is ever found. Hundreds of keys (genes, programme blocks) are pooled over the same studies,
though, as thousands of genes share one design in limma. So the weights come from one variance
between studies that is common to the keys, and each key's factor

    q = sum w (y - mu)^2 / (k - 1),  w = 1 / (s^2 + tau^2),

is squeezed over keys as limma squeezes residual variances (Smyth 2004, Stat Appl Genet Mol Biol
3:3), never below 1 (Roever, Knapp and Friede 2015, BMC Med Res Methodol 15:99); the estimate is
read against t on k - 1 plus the prior's degrees of freedom.

Where studies differ in how far the disease has gone, each holds a share of every effect, and large
effects differ more between studies than small ones. So the variance between studies grows with the
square of the effect, ``tau^2 + share2 * theta^2`` (a location-scale model: Viechtbauer and
Lopez-Lopez 2022, Res Synth Methods 13:697, 10.1002/jrsm.1562). An effect of 0 has no shares:
whether there is one is asked of ``tau^2`` alone. The interval holds every theta that the estimate
does not reject with the error which that theta would have (the roots of a quadratic, as Fieller's:
1954, J R Stat Soc B 16:175); it is longer away from 0 than towards it, and leaves 0 out where the
test does.

Squeezing the factors of each key's own REML fit, the nearer idea, covers 77 to 92 % at nominal 95:
where REML puts tau^2 at 0 the factor is small because the studies happened to agree, and where it
does not the factor is 1 by construction. With a common tau^2 coverage is 94 to 97 % at k = 2 to 5,
whether tau is the same for all keys or not, and for keys that depend on each other
(``tests/unit/stats/test_moderated_pooling.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.core.late import light_scipy
from alsmuscle.core.types import Floats
from alsmuscle.stats import distributions
from alsmuscle.stats.moderation import squeeze_var

with light_scipy():
    from scipy.special import chdtri

MIN_KEYS = 10
"""Keys with two or more studies below which nothing can be learned from the others."""

_MOST_TAU2 = 16.0  # log2 units squared
_HALVINGS = 60
_PRECISION = 1e-7  # of what is found by halving, relative
CLEAR = 3.0
"""Errors from 0 beyond which an effect can tell how its studies' shares differ."""
MIN_CLEAR = 10
"""Keys with such an effect below which shares are taken as equal."""
MOST_SHARE2 = 0.25  # one study holds half of an effect, another one and a half of it


class Prior(NamedTuple):
    """What the keys of one set of studies have in common.

    ``tau2``: variance between studies of effects around 0, behind the weights; ``scale, df``: of
    the factors' scaled inverse chi-squared distribution; ``df_total``: the degrees of freedom of
    all keys together, which no single key may exceed; ``share2``: variance between studies of the
    share of an effect that each holds.
    """

    tau2: float
    scale: float
    df: float
    df_total: float
    share2: float


ALONE = Prior(0.0, 1.0, 0.0, np.inf, 0.0)
"""Of keys that learn nothing from each other: each one's own factor, never below 1."""


def learn(effect: pd.DataFrame, se: pd.DataFrame) -> Prior | None:
    """Learn from many keys how much studies differ; ``None`` where there are too few keys.

    Parameters
    ----------
    effect, se
        Keys × independent studies, log2 units; a pair in which either is missing is left out.

    Notes
    -----
    ``tau2`` makes the median of the keys' factors that of chi-squared over its degrees of freedom:
    a few keys in which studies differ wildly then widen their own intervals, not everybody's.
    ``share2`` then does the same among keys that are clearly moved. It takes nothing from ``tau2``:
    where chance moves some keys far (a hidden factor), too small a ``tau2`` would call them.
    """
    y, v, present = _arrays(effect, se)
    many = present.sum(axis=1) >= 2
    if many.sum() < MIN_KEYS:
        return None
    y, v, present = y[many], v[many], present[many]
    free = present.sum(axis=1) - 1.0
    middle = chdtri(free, 0.5) / free

    def too_small(tau2: float) -> bool:
        mean, _ = _weighted(y, v, present, tau2)
        return bool(np.median(_factor(y, v, present, mean, tau2) / middle) > 1)

    tau2 = _least(too_small, _MOST_TAU2)
    mean, precision = _weighted(y, v, present, tau2)
    squeezed = squeeze_var(_factor(y, v, present, mean, tau2), free)
    scale, total = float(np.mean(squeezed.var_prior)), float(free.sum())
    clear = np.abs(mean) * np.sqrt(precision) > CLEAR
    some = y[clear], v[clear], present[clear], mean[clear]
    share2 = _share2(*some, tau2, middle[clear]) if clear.sum() >= MIN_CLEAR else 0.0
    return Prior(tau2, scale, squeezed.df_prior, total, share2)


def _share2(
    y: Floats, v: Floats, present: Floats, mean: Floats, tau2: float, middle: Floats
) -> float:
    """Variance of the shares that the studies hold of these keys' effects."""

    def too_small(share2: float) -> bool:
        factor = _factor(y, v, present, mean, tau2 + share2 * mean**2)
        return bool(np.median(factor / middle) > 1)

    return _least(too_small, MOST_SHARE2)


def _least(too_small: Callable[[float], bool], high: float) -> float:
    """Return the least value from 0 to ``high`` that is not too small, by halving."""
    low = 0.0
    if too_small(low):
        for _ in range(_HALVINGS):
            half = (low + high) / 2
            low, high = (half, high) if too_small(half) else (low, half)
            if high - low <= _PRECISION * high:
                break
    return low


def pool(
    effect: pd.DataFrame,
    se: pd.DataFrame,
    df: pd.DataFrame | None = None,
    *,
    prior: Prior,
    level: float = 0.95,
) -> pd.DataFrame:
    """Pool each row over its columns with a prior from :func:`learn`.

    Parameters
    ----------
    effect, se
        Keys × independent studies.
    df
        Degrees of freedom of every ``se``, for keys with one study, whose own t interval it is;
        normal where missing.

    Returns
    -------
    DataFrame
        Indexed as ``effect``: ``effect, se, df, ci_low, ci_high, pvalue, q_post`` (the squeezed
        factor)``, tau2`` (variance between studies as it enters: what shares and the factor add
        included, at a typical study's error)``, grows`` (what the variance of the estimate grows
        by, per square of the effect). ``se`` and ``pvalue`` are those of an effect of 0.

    Raises
    ------
    InputError
        Labels differ, or a standard error is not positive.
    """
    y, v, present = _arrays(effect, se)
    k = present.sum(axis=1)
    mean, precision = _weighted(y, v, present, prior.tau2)
    with np.errstate(invalid="ignore"):
        tau2 = prior.tau2 + prior.share2 * np.where(k >= 2, mean, 0.0) ** 2
    own = np.maximum(k - 1.0, 0.0)
    weight = 1.0 if np.isinf(prior.df) else prior.df / np.maximum(own + prior.df, 1e-300)
    q = _factor(y, v, present, mean, tau2)
    squeezed = weight * prior.scale + (1 - weight) * np.where(k >= 2, q, 0.0)
    factor = np.maximum(1.0, squeezed)
    w = present / (v + prior.tau2)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(factor / precision)
        grows = np.where(k >= 2, factor * prior.share2 * (w**2).sum(axis=1) / precision**2, 0.0)
        typical = np.where(present, v, 0.0).sum(axis=1) / k
        between = factor * (typical + tau2) - typical
    free = np.minimum(own + prior.df, prior.df_total)
    one = k == 1
    if one.any():
        alone = np.where(present, v, 0.0).sum(axis=1)
        error = np.where(one, np.sqrt(alone), error)
        free = np.where(one, _own_df(df, present), free)
    error, free, grows = (np.where(k == 0, np.nan, part) for part in (error, free, grows))
    low, high = interval(mean, error, grows, free, level)
    return pd.DataFrame(
        {
            "effect": mean,
            "se": error,
            "df": free,
            "ci_low": low,
            "ci_high": high,
            "pvalue": distributions.t_pvalue(mean / error, free),
            "q_post": np.where(k >= 2, factor, np.nan),
            "tau2": np.where(k >= 2, between, np.nan),
            "grows": grows,
        },
        index=effect.index,
    )


MOST_GROWTH = 0.8
"""Of ``t^2 * grows``: from 1 on no effect, however large, would be too large for the data."""


def interval(
    effect: npt.ArrayLike, se: npt.ArrayLike, grows: npt.ArrayLike, df: npt.ArrayLike, level: float
) -> tuple[Floats, Floats]:
    """Return the effects that an estimate does not reject, log2 units.

    Those theta with ``|effect - theta| <= t * sqrt(se^2 + grows * theta^2)``: longer away from 0
    than towards it; symmetric where nothing grows.

    Parameters
    ----------
    effect, se, grows, df
        As in :func:`pool`.
    level
        Of confidence.
    """
    y, g = np.asarray(effect, dtype=float), np.asarray(grows, dtype=float)
    t = distributions.t_quantile((1 + level) / 2, np.asarray(df, dtype=float))
    with np.errstate(invalid="ignore"):
        growth = np.minimum(t**2 * g, MOST_GROWTH)
        half = np.sqrt((t * np.asarray(se, dtype=float)) ** 2 * (1 - growth) + growth * y**2)
        return (y - half) / (1 - growth), (y + half) / (1 - growth)


def _own_df(df: pd.DataFrame | None, present: Floats) -> Floats:
    if df is None:
        return np.full(present.shape[0], np.inf)
    free = df.to_numpy(dtype=float)
    free = np.where(np.isnan(free), np.inf, free)
    return np.asarray(np.where(present, free, -np.inf).max(axis=1), dtype=float)


def _arrays(effect: pd.DataFrame, se: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    if not (effect.index.equals(se.index) and effect.columns.equals(se.columns)):
        raise InputError("effect and se differ in their row or column labels")
    y, s = effect.to_numpy(dtype=float), se.to_numpy(dtype=float)
    present = np.isfinite(y) & np.isfinite(s)
    if (present & (s <= 0)).any():
        row = np.argwhere(present & (s <= 0))[0][0]
        raise InputError(
            f"a standard error of '{effect.index[row]}' is not positive",
            expected="positive, or missing where it is unknown",
        )
    return np.where(present, y, 0.0), np.where(present, s * s, 1.0), present


def _weighted(y: Floats, v: Floats, present: Floats, tau2: float) -> tuple[Floats, Floats]:
    """Mean and precision per key."""
    w = present / (v + tau2)
    precision = w.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (w * y).sum(axis=1) / precision, precision


def _factor(y: Floats, v: Floats, present: Floats, mean: Floats, tau2: Floats | float) -> Floats:
    """How many times more studies differ than their errors and ``tau2`` (perhaps per key) tell."""
    own = np.broadcast_to(np.asarray(tau2), mean.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = present / (v + own[:, None]) * (y - mean[:, None]) ** 2
        return np.asarray(squares.sum(axis=1) / (present.sum(axis=1) - 1.0))
