"""Random-effects meta-analysis of many keys (genes, programme blocks) over few contrasts.

Every key is pooled on its own, with its own number of contrasts k, and all keys are solved
together: matrices are held contrasts × keys, so that each iteration is a handful of array
operations. Numbers follow R's metafor (Viechtbauer 2010, J Stat Softw 36:3) to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.core.types import Floats
from alsmuscle.stats import distributions

Bools = npt.NDArray[np.bool_]

ESTIMATORS = ("REML", "PM")
KNAPP_HARTUNG = ("modified", "plain", "none")
ONE_STUDY, TWO_STUDIES, POOLED = "one study", "two studies, no pooled verdict", "pooled"

_TOLERANCE = 1e-10  # of tau2, relative to tau2 + mean sampling variance
_ITERATIONS = 300


class _Data(NamedTuple):
    """Effects and variances, contrasts × keys; missing pairs have effect 0, variance 1."""

    y: Floats
    v: Floats
    present: Bools


class _Method(NamedTuple):
    estimator: str
    knapp_hartung: str


class _Fit(NamedTuple):
    """Pooled estimate per key: arrays of length n_keys."""

    k: Floats
    mu: Floats
    se: Floats
    tau2: Floats
    critical_df: Floats


def random_effects(
    effect: pd.DataFrame,
    se: pd.DataFrame,
    *,
    estimator: str = "REML",
    knapp_hartung: str = "modified",
    level: float = 0.95,
    leave_one_out: bool = True,
) -> pd.DataFrame:
    """Pool each row over its columns by a random-effects model.

    Parameters
    ----------
    effect, se
        Keys × contrasts, same labels; effects in log2 units with their standard errors. A pair in
        which either is missing or infinite counts as missing; each key keeps its own k.
    estimator
        Between-study variance: ``REML`` (Fisher scoring from Hedges' estimate, as metafor) or
        ``PM`` (Paule and Mandel 1982; Newton steps on the generalised Q, monotone from 0).
    knapp_hartung
        ``modified`` scales the variance by max(1, q) (Roever, Knapp and Friede 2015, BMC Med Res
        Methodol 15:99; metafor's ``test="adhoc"``), ``plain`` by q (Knapp and Hartung 2003, Stat
        Med 22:2693), both with t quantiles on k - 1 degrees of freedom; ``none`` is Wald's.
    level
        Coverage of confidence and prediction intervals.
    leave_one_out
        Also refit without each contrast in turn.

    Returns
    -------
    DataFrame
        Indexed as ``effect``: ``k, effect, se, ci_low, ci_high, pvalue, tau2, i2`` (percent, as
        Higgins and Thompson 2002 with the typical within-study variance)``, q, q_pvalue, pi_low,
        pi_high`` (on k - 1 degrees of freedom, as metafor)``, sign_agreement`` (share of contrasts
        with the pooled sign)``, loo_low, loo_high`` (range of the estimate without one
        contrast)``, influential`` (the contrast whose omission moves it most)``, status``.
        k = 1 repeats the study with its normal interval; tau2 and what needs it are missing.

    Raises
    ------
    InputError
        Labels differ, an argument is unknown, or a standard error is not positive.
    """
    if estimator not in ESTIMATORS:
        raise InputError(f"unknown estimator '{estimator}'", expected=" or ".join(ESTIMATORS))
    if knapp_hartung not in KNAPP_HARTUNG:
        raise InputError(
            f"unknown knapp_hartung '{knapp_hartung}'", expected=", ".join(KNAPP_HARTUNG)
        )
    if not 0 < level < 1:
        raise InputError(f"level {level} is not between 0 and 1")
    data, method = _arrays(effect, se), _Method(estimator, knapp_hartung)
    fits, without = [], []
    for part in _chunks(data):
        fits.append(_fit(part, method))
        if leave_one_out:
            without.append(_leave_one_out(part, fits[-1], method))
    fit = _Fit(*map(np.concatenate, zip(*fits, strict=True)))
    loo = tuple(map(np.concatenate, zip(*without, strict=True))) if without else None
    return _table(effect, data, fit, level, loo)


_CHUNK = 512  # keys at a time: contrasts × keys stay in the processor's cache


def _chunks(data: _Data) -> Iterator[_Data]:
    """Yield the keys in parts; one part, perhaps empty, at least."""
    for start in range(0, max(data.y.shape[1], 1), _CHUNK):
        own = slice(start, start + _CHUNK)
        yield _Data(
            np.ascontiguousarray(data.y[:, own]),
            np.ascontiguousarray(data.v[:, own]),
            np.ascontiguousarray(data.present[:, own]),
        )


def _arrays(effect: pd.DataFrame, se: pd.DataFrame) -> _Data:
    """Check and transpose to contrasts × keys."""
    if not (effect.index.equals(se.index) and effect.columns.equals(se.columns)):
        raise InputError("effect and se differ in their row or column labels")
    y = np.ascontiguousarray(effect.to_numpy(dtype=float).T)
    s = np.ascontiguousarray(se.to_numpy(dtype=float).T)
    present = np.isfinite(y) & np.isfinite(s)
    wrong = present & (s <= 0)
    if wrong.any():
        column, row = np.argwhere(wrong)[0]
        raise InputError(
            f"standard error {s[column, row]} of '{effect.index[row]}' in "
            f"'{effect.columns[column]}' is not positive",
            expected="positive, or missing where it is unknown",
        )
    return _Data(np.where(present, y, 0.0), np.where(present, s * s, 1.0), present)


def _weighted(y: Floats, v: Floats, m: Floats, tau2: Floats) -> tuple[Floats, Floats, Floats]:
    """Return weights, their sum, and the weighted mean for a given tau2 per key."""
    w = m / (v + tau2)
    total = w.sum(axis=0)
    return w, total, np.einsum("ij,ij->j", w, y) / total


def _reml_step(y: Floats, v: Floats, m: Floats, tau2: Floats) -> Floats:
    """Fisher-scoring step of the restricted likelihood in tau2 (Viechtbauer 2005, JEBS 30:261)."""
    w, total, mu = _weighted(y, v, m, tau2)
    w2 = w * w
    s2, s3 = w2.sum(axis=0), np.einsum("ij,ij->j", w2, w)
    residual = y - mu
    ypp = np.einsum("ij,ij,ij->j", w2, residual, residual)
    trace_p = total - s2 / total
    trace_pp = s2 - 2 * s3 / total + (s2 / total) ** 2
    return np.asarray((ypp - trace_p) / trace_pp, dtype=float)


def _pm_step(y: Floats, v: Floats, m: Floats, tau2: Floats) -> Floats:
    """Newton step on Q(tau2) = k - 1 (DerSimonian and Kacker 2007, Contemp Clin Trials 28:105)."""
    w, _, mu = _weighted(y, v, m, tau2)
    wr = w * (y - mu)
    q = np.einsum("ij,ij->j", wr, y - mu)
    slope = np.einsum("ij,ij->j", wr, wr)
    # identical effects: q and slope are both 0, and no tau2 > 0 is wanted
    with np.errstate(divide="ignore", invalid="ignore"):
        step = (q - (m.sum(axis=0) - 1)) / slope
    return np.asarray(np.where(slope > 0, step, -1.0), dtype=float)


def _tau2(y: Floats, v: Floats, m: Floats, estimator: str) -> Floats:
    """Between-study variance per key; every key has at least two contrasts.

    The root of the estimating equation is sought by secant steps on the Fisher-scoring (REML) or
    Newton (PM) step, kept inside a bracket: plain Fisher scoring overshoots and cycles on some data
    (metafor stops there with "did not converge").
    """
    k = m.sum(axis=0)
    scale = np.einsum("ij,ij->j", m, v) / k
    tau2: Floats = np.zeros_like(k)
    if estimator == "REML":
        step = _reml_step
        mean = np.einsum("ij,ij->j", m, y) / k
        spread = np.einsum("ij,ij->j", m, (y - mean) ** 2) / (k - 1)
        tau2 = np.maximum(tau2, spread - scale, dtype=float)
    else:
        step = _pm_step
    active = np.arange(k.size)
    low, high = np.zeros_like(k), np.full(k.size, np.inf)
    previous, previous_move = np.full(k.size, np.nan), np.full(k.size, np.nan)
    for iteration in range(_ITERATIONS):
        full = active.size == k.size
        ya, va, ma = (y, v, m) if full else (y[:, active], v[:, active], m[:, active])
        t = tau2[active]
        move = step(ya, va, ma, t)
        rising = move > 0
        low[active] = np.where(rising, t, low[active])
        high[active] = np.where(rising, high[active], t)
        lo, hi = low[active], high[active]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (move - previous_move[active]) / (t - previous[active])
            new = t - move / slope
        new = np.where(np.isfinite(new) & (slope < 0), new, t + move)
        middle = (lo + np.where(np.isfinite(hi), hi, 2 * np.abs(t + move))) / 2
        outside = (new < lo) | (new > hi)
        # a proposal below 0 is answered by looking at 0 itself
        new = np.where(outside, np.where((new < 0) & (lo == 0), 0.0, middle), new)
        if iteration % 4 == 3:  # the bracket at least halves every fourth step
            new = np.where(np.isfinite(hi), middle, new)
        new = np.where((t == 0) & ~rising, 0.0, new)
        previous[active], previous_move[active] = t, move
        tau2[active] = new
        tolerance = _TOLERANCE * (new + scale[active])
        # A small proposal alone is not convergence: the equation's own step must be small too.
        # (Halving at the fourth steps can only end here once the bracket has closed.)
        small = (np.abs(new - t) <= tolerance) & (np.abs(move) <= 1e3 * tolerance)
        done = small | (hi - lo <= tolerance) | ((t == 0) & ~rising)
        active = active[~done]
        if active.size == 0:
            break
    tau2[active] = np.nan  # no such data is known; a missing value is better than a wrong one
    return tau2


def _fit(data: _Data, method: _Method) -> _Fit:
    """Fit all keys with at least one contrast."""
    y, v, m = data.y, data.v, data.present.astype(float)
    k = m.sum(axis=0)
    n = k.size
    mu, se, tau2, df = (np.full(n, np.nan) for _ in range(4))
    one = k == 1
    if one.any():
        mu[one] = np.einsum("ij,ij->j", m[:, one], y[:, one])
        se[one] = np.sqrt(np.einsum("ij,ij->j", m[:, one], v[:, one]))
        df[one] = np.inf
    many = k >= 2
    if many.any():
        everything = bool(many.all())
        ys, vs, ms = (y, v, m) if everything else (y[:, many], v[:, many], m[:, many])
        t = _tau2(ys, vs, ms, method.estimator)
        w, total, mean = _weighted(ys, vs, ms, t)
        residual = ys - mean
        variance = 1 / total
        free = k[many] - 1
        if method.knapp_hartung != "none":
            q = np.einsum("ij,ij,ij->j", w, residual, residual) / free
            variance *= np.maximum(1.0, q) if method.knapp_hartung == "modified" else q
        mu[many], se[many], tau2[many] = mean, np.sqrt(variance), t
        df[many] = np.inf if method.knapp_hartung == "none" else free
    return _Fit(k, mu, se, tau2, df)


def _table(
    effect: pd.DataFrame, data: _Data, fit: _Fit, level: float, loo: tuple[Any, ...] | None
) -> pd.DataFrame:
    y, v, present = data
    m = present.astype(float)
    many = fit.k >= 2
    critical = distributions.t_quantile((1 + level) / 2, fit.critical_df)
    with np.errstate(divide="ignore", invalid="ignore"):
        pvalue = distributions.t_pvalue(fit.mu / fit.se, fit.critical_df)
        w, total, fixed = _weighted(y, v, m, np.zeros(fit.k.size))
        residual = y - fixed
        q = np.where(many, np.einsum("ij,ij,ij->j", w, residual, residual), np.nan)
        typical = (fit.k - 1) * total / (total**2 - (w * w).sum(axis=0))
        i2 = 100 * fit.tau2 / (fit.tau2 + typical)
        q_pvalue = np.where(many, distributions.chi2_pvalue(q, np.maximum(fit.k - 1, 1)), np.nan)
        half = critical * np.sqrt(fit.se**2 + fit.tau2)
        agree = ((np.sign(y) == np.sign(fit.mu)) & present).sum(axis=0) / fit.k
    names = effect.columns.to_numpy(dtype=object)
    status = np.select([fit.k == 0, fit.k == 1, fit.k == 2], ["", ONE_STUDY, TWO_STUDIES], POOLED)
    columns: dict[str, Any] = {
        "k": fit.k.astype(int),
        "effect": fit.mu,
        "se": fit.se,
        "ci_low": fit.mu - critical * fit.se,
        "ci_high": fit.mu + critical * fit.se,
        "pvalue": pvalue,
        "tau2": fit.tau2,
        "i2": i2,
        "q": q,
        "q_pvalue": q_pvalue,
        "pi_low": fit.mu - half,
        "pi_high": fit.mu + half,
        "sign_agreement": agree,
    }
    if loo is not None:
        low, high, influential = loo
        columns |= {
            "loo_low": low,
            "loo_high": high,
            "influential": np.where(influential >= 0, names[influential], "")
            if names.size
            else np.full(fit.k.size, ""),
        }
    columns["status"] = status
    return pd.DataFrame(columns, index=effect.index)


def _leave_one_out(
    data: _Data, fit: _Fit, method: _Method
) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    y, v, present = data
    n = fit.k.size
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    moved, influential = np.full(n, -1.0), np.full(n, -1, dtype=np.intp)
    for j in range(y.shape[0]):
        keys = np.flatnonzero(present[j] & (fit.k >= 2))
        if keys.size == 0:
            continue
        rest = present[:, keys]
        rest[j] = False
        mu = _fit(_Data(y[:, keys], v[:, keys], rest), method).mu
        low[keys] = np.minimum(low[keys], mu)
        high[keys] = np.maximum(high[keys], mu)
        shift = np.abs(mu - fit.mu[keys])
        further = shift > moved[keys]
        moved[keys[further]] = shift[further]
        influential[keys[further]] = j
    low[np.isinf(low)], high[np.isinf(high)] = np.nan, np.nan
    return low, high, influential


def shared_reference_rho(n_target: float, n_other: float, n_reference: float) -> float:
    """Correlation of two contrasts' errors that share one reference group.

    Exact for group means with a common variance: the shared mean's variance 1 / n_reference over
    the geometric mean of both contrasts' variances (Gleser and Olkin 2009, in Cooper, Hedges and
    Valentine, ch. 19). Arguments are donors per group.

    Raises
    ------
    InputError
        A group is empty.
    """
    if min(n_target, n_other, n_reference) <= 0:
        raise InputError("every group needs at least one donor")
    shared = 1 / n_reference
    return float(shared / np.sqrt((1 / n_target + shared) * (1 / n_other + shared)))


def combine_cluster(
    effect: pd.DataFrame,
    se: pd.DataFrame,
    *,
    rho: float,
    covariance: npt.ArrayLike | None = None,
) -> tuple[pd.Series, pd.Series]:
    """Combine dependent effects of one cluster into one effect per key.

    The estimate is the inverse-variance weighted mean and does not depend on the assumed
    correlation; only its standard error sqrt(w'Vw) does (Borenstein et al. 2009, ch. 24, with
    weights). Optimal weights under a guessed high correlation can be negative and would let the
    guess choose the sign.

    Parameters
    ----------
    effect, se
        Keys × members of the cluster; missing members are left out per key.
    rho
        Correlation of the members' errors where ``covariance`` is not known, 0 to 1.
    covariance
        Exact error covariance, members × members (one for all keys) or keys × members × members;
        its diagonal replaces ``se``.

    Returns
    -------
    effect, se : Series
        Indexed by key; missing where no member is present.

    Raises
    ------
    InputError
        ``rho`` outside 0 to 1, a covariance of the wrong shape, or a non-positive variance.
    """
    if not 0 <= rho <= 1:
        raise InputError(f"rho {rho} is not between 0 and 1")
    n, members = effect.shape
    if covariance is not None:
        given = np.asarray(covariance, dtype=float)
        if given.shape not in ((members, members), (n, members, members)):
            raise InputError(
                f"covariance has shape {given.shape}",
                expected=f"({members}, {members}) or ({n}, {members}, {members})",
            )
        V = np.broadcast_to(given, (n, members, members))
        variances = np.einsum("nii->ni", V)
        se = pd.DataFrame(
            np.sqrt(np.where(variances >= 0, variances, np.nan)), effect.index, effect.columns
        )
    y, v, present = _arrays(effect, se)
    w = present / v
    total = w.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        w = w / total
    mean = (w * y).sum(axis=0)
    if covariance is None:
        spread = w * np.sqrt(v)
        own = (spread**2).sum(axis=0)
        variance = own + rho * (spread.sum(axis=0) ** 2 - own)
    else:
        weights = np.nan_to_num(w.T)
        variance = np.einsum("ni,nij,nj->n", weights, np.nan_to_num(V), weights)
    empty = ~present.any(axis=0)
    mean[empty], variance[empty] = np.nan, np.nan
    return (
        pd.Series(mean, index=effect.index, name="effect"),
        pd.Series(np.sqrt(variance), index=effect.index, name="se"),
    )


def combine_clusters(
    effect: pd.DataFrame,
    se: pd.DataFrame,
    clusters: Mapping[Any, str],
    *,
    rho: float,
    covariances: Mapping[str, npt.ArrayLike] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reduce contrasts to independent clusters.

    Parameters
    ----------
    effect, se
        Keys × contrasts.
    clusters
        Column label → cluster. Columns of one cluster are combined by :func:`combine_cluster`.
    rho
        Correlation assumed within a cluster.
    covariances
        Cluster → exact covariance of its columns, in column order, where it is known.

    Returns
    -------
    effect, se : DataFrame
        Keys × clusters, in order of first appearance.

    Raises
    ------
    InputError
        A column has no cluster; see also :func:`combine_cluster`.
    """
    missing = [column for column in effect.columns if column not in clusters]
    if missing:
        raise InputError(f"no cluster given for '{missing[0]}'")
    groups: dict[str, list[Any]] = {}
    for column in effect.columns:
        groups.setdefault(clusters[column], []).append(column)
    effects, errors = {}, {}
    for name, columns in groups.items():
        if len(columns) == 1:
            effects[name], errors[name] = effect[columns[0]], se[columns[0]]
        else:
            known = (covariances or {}).get(name)
            effects[name], errors[name] = combine_cluster(
                effect[columns], se[columns], rho=rho, covariance=known
            )
    return (
        pd.DataFrame(effects, index=effect.index, dtype=float),
        pd.DataFrame(errors, index=effect.index, dtype=float),
    )


def pool(
    effect: pd.DataFrame,
    se: pd.DataFrame,
    clusters: Mapping[Any, str],
    *,
    estimator: str = "REML",
    knapp_hartung: str = "modified",
    level: float = 0.95,
    rho: float,
    rho_range: Sequence[float] = (0.0, 0.5, 0.95),
    covariances: Mapping[str, npt.ArrayLike] | None = None,
    min_studies: int,
    leave_one_out: bool = True,
) -> pd.DataFrame:
    """Combine dependent contrasts, pool the clusters, adjust over keys.

    Returns
    -------
    DataFrame
        As :func:`random_effects` with k counting clusters, plus ``n_contrasts``; ``padj`` over keys
        with k >= ``min_studies`` (others have none); ``rho_effect_low, rho_effect_high,
        rho_ci_low, rho_ci_high, rho_pvalue_max``: the widest the result gets over ``rho`` and
        ``rho_range`` (equal to the result where nothing was combined by an assumed correlation).

    Raises
    ------
    InputError
        As :func:`random_effects` and :func:`combine_clusters`.
    """

    def at(value: float, *, loo: bool, rows: Any = slice(None)) -> pd.DataFrame:
        combined = combine_clusters(
            effect.loc[rows], se.loc[rows], clusters, rho=value, covariances=covariances
        )
        return random_effects(
            *combined,
            estimator=estimator,
            knapp_hartung=knapp_hartung,
            level=level,
            leave_one_out=loo,
        )

    result = at(rho, loo=leave_one_out)
    present = np.isfinite(effect.to_numpy(float)) & np.isfinite(se.to_numpy(float))
    result.insert(1, "n_contrasts", present.sum(axis=1))
    enough = (result["k"] >= min_studies).to_numpy()
    padj = distributions.adjust(np.where(enough, result["pvalue"], np.nan))
    result.insert(list(result.columns).index("pvalue") + 1, "padj", padj)

    names = {
        "rho_effect_low": ("effect", np.fmin),
        "rho_effect_high": ("effect", np.fmax),
        "rho_ci_low": ("ci_low", np.fmin),
        "rho_ci_high": ("ci_high", np.fmax),
        "rho_pvalue_max": ("pvalue", np.fmax),
    }
    for name, (source, _) in names.items():
        result[name] = result[source]
    guessed = [
        column
        for column in effect.columns
        if clusters[column] not in (covariances or {})
        and sum(clusters[other] == clusters[column] for other in effect.columns) > 1
    ]
    if guessed and rho_range:
        known = np.isfinite(effect[guessed].to_numpy(float)).any(axis=1)
        rows = effect.index[known]
        if rows.is_unique and rows.size:
            for value in rho_range:
                other = at(value, loo=False, rows=rows)
                for name, (source, widest) in names.items():
                    result.loc[rows, name] = widest(
                        result.loc[rows, name].to_numpy(), other[source].to_numpy()
                    )
    return result
