"""Dispersion of each gene: Cox-Reid adjusted likelihood, minimised."""

from __future__ import annotations

import math

import numpy as np

from alsmuscle.bulk.kernels.search import (
    _EPS,
    _HALF_LOG_2PI,
    _MAX_ITERATIONS,
    _MAX_LINE_SEARCH,
    _N_STATE,
    Array,
    _cholesky,
    _compiled,
    _search_next,
    _search_start,
    _solve_cholesky,
    stirling_remainders,
)

# Stopping rules of scipy's L-BFGS-B, and of its line search.
_FTOL_ALPHA, _GTOL_ALPHA = 2.220446049250313e-09, 1e-5


@_compiled
def _saturated(y: float) -> float:
    """Return log y! - y log y + y, for y > 0."""
    return 0.5 * math.log(y) + _HALF_LOG_2PI + stirling_remainders(y)[0]


@_compiled
def _half_deviance(y: float, mu: float, r: float, log_t: float) -> float:
    """Return y log(y / mu) - (y + r) log_t, without cancellation (log_t: see the caller)."""
    if y == 0.0:
        return -r * log_t
    return y * math.log1p(r * (y - mu) / (mu * (y + r))) - r * log_t


@_compiled
def _dispersion_loss(
    log_alpha: float,
    y: Array,
    mu: Array,
    X: Array,
    constant: float,
    center: float,
    precision: float,
    cox_reid: bool,
    A: Array,
    B: Array,
) -> tuple[float, float, bool]:
    """Return the penalised negative log-likelihood and its derivative in log alpha.

    ``precision`` is the inverse prior variance, 0 for no prior; ``A`` and ``B`` are p x p work
    space. False: the information matrix is not positive definite.
    """
    n, p = X.shape
    alpha = math.exp(log_alpha)
    r = 1.0 / alpha
    lgamma_r, digamma_r = stirling_remainders(r)
    f, g = constant, 0.0
    for i in range(n):
        t = (y[i] - mu[i]) / (mu[i] + r)
        log_t = math.log1p(t)  # log (y + r) / (mu + r)
        f += _half_deviance(y[i], mu[i], r, log_t)
        g += t - log_t
        if y[i] > 0.0:
            lgamma, digamma = stirling_remainders(y[i] + r)
            f += 0.5 * math.log1p(y[i] * alpha) + (lgamma_r - lgamma)
            g += digamma_r - digamma
    g *= -r
    if cox_reid:
        for j in range(p):
            for k in range(j + 1):
                A[j, k] = 0.0
                B[j, k] = 0.0
        for i in range(n):
            w = mu[i] / (1.0 + mu[i] * alpha)
            w2 = w * w
            for j in range(p):
                x = X[i, j]
                if x != 0.0:
                    for k in range(j + 1):
                        A[j, k] += w * (x * X[i, k])
                        B[j, k] -= w2 * (x * X[i, k])
        if not _cholesky(A):
            return f, g, False
        trace = 0.0
        for j in range(p):
            for k in range(j):
                B[k, j] = B[j, k]
        for j in range(p):
            f += math.log(A[j, j])  # half the log determinant
            _solve_cholesky(A, B[j])
            trace += B[j, j]
        g += 0.5 * trace * alpha
    if precision > 0.0:
        f += 0.5 * precision * (log_alpha - center) ** 2
        g += precision * (log_alpha - center)
    return f, g, math.isfinite(f) and math.isfinite(g)


@_compiled
def _fit_dispersion(
    x: float,
    lower: float,
    upper: float,
    y: Array,
    mu: Array,
    X: Array,
    precision: float,
    cox_reid: bool,
    A: Array,
    B: Array,
    state: Array,
) -> tuple[float, bool]:
    """Minimise over one bounded variable as L-BFGS-B does.

    With one variable the limited-memory matrix is the last secant slope, the Cauchy point is the
    minimiser of the model clipped to the bounds, and the subspace step is nil.
    """
    constant = 0.0
    for i in range(y.shape[0]):
        if y[i] > 0.0:
            constant += _saturated(y[i])
    center = x
    x = min(max(x, lower), upper)
    f, g, ok = _dispersion_loss(x, y, mu, X, constant, center, precision, cox_reid, A, B)
    if not ok:
        return x, False
    slope, has_slope = 1.0, False
    iteration = 0
    while True:
        projected = max(x - upper, g) if g < 0.0 else min(x - lower, g)
        if abs(projected) <= _GTOL_ALPHA:
            return x, True
        if iteration >= _MAX_ITERATIONS:
            return x, False
        target = min(max(x - g / slope, lower), upper)
        d = target - x
        g0 = g * d
        x_old, f_old = x, f
        failed = g0 >= 0.0
        stp = 1.0
        if not failed:
            stpmax = 1.0
            if iteration > 0:
                stpmax = ((lower if d < 0.0 else upper) - x) / d
            _search_start(state, f, g0, stp, stpmax)
            g_new, accepted, n_eval = g, False, 0
            while not accepted:
                n_eval += 1
                if n_eval > _MAX_LINE_SEARCH:
                    failed = True
                    break
                x = target if stp == 1.0 else min(max(stp * d + x_old, lower), upper)
                f, g_new, ok = _dispersion_loss(
                    x, y, mu, X, constant, center, precision, cox_reid, A, B
                )
                if not ok:
                    return x, False
                stp, accepted = _search_next(state, stp, f, g_new * d)
        if failed:
            x, f = x_old, f_old
            if has_slope and -g0 <= 2.0 * _FTOL_ALPHA * max(abs(f), 1.0):
                # Rounding hides a decrease that the rule below would stop at: this is the optimum.
                # (PyDESeq2 would go on to its grid search, which forgets the prior.)
                return x, True
            if not has_slope:
                return x, False
            slope, has_slope = 1.0, False
            continue
        iteration += 1
        projected = max(x - upper, g_new) if g_new < 0.0 else min(x - lower, g_new)
        if abs(projected) <= _GTOL_ALPHA:
            return x, True
        if f_old - f <= _FTOL_ALPHA * max(abs(f_old), abs(f), 1.0):
            return x, True
        change = g_new - g
        curvature = (g_new * d - g0) * stp
        if curvature > _EPS * (-g0 * stp):
            slope, has_slope = change * change / curvature, True
        g = g_new


@_compiled
def _alpha_block(
    start: int,
    stop: int,
    counts: Array,
    X: Array,
    mu: Array,
    alpha_hat: Array,
    lower: float,
    upper: float,
    precision: float,
    cox_reid: bool,
    alpha: Array,
    converged: Array,
) -> None:
    n, p = X.shape
    y, m = np.empty(n), np.empty(n)
    A, B, state = np.empty((p, p)), np.empty((p, p)), np.empty(_N_STATE)
    for gene in range(start, stop):
        for i in range(n):
            y[i] = counts[gene, i]
            m[i] = mu[gene, i]
        log_alpha, converged[gene] = _fit_dispersion(
            math.log(alpha_hat[gene]),
            lower,
            upper,
            y,
            m,
            X,
            precision,
            cox_reid,
            A,
            B,
            state,
        )
        alpha[gene] = math.exp(log_alpha)
