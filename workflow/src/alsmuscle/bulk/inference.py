"""Compiled inference for PyDESeq2: the default's numbers, without its loop over genes in Python.

:class:`BatchedInference` implements PyDESeq2's ``Inference`` interface. It solves the optimisation
problems of PyDESeq2's default (Muzellec et al. 2023, doi:10.1093/bioinformatics/btad547), which
are those of DESeq2 (Love, Huber and Anders 2014, doi:10.1186/s13059-014-0550-8).

Why the same numbers: maximum-likelihood dispersions are flat functions, and the default stops its
optimiser early. A better optimum would therefore be a *different* answer in the third digit, and
for genes without overdispersion in the first. So the kernels take the same steps (iteratively
reweighted least squares; the L-BFGS-B iteration of Byrd et al. 1995, which in one dimension is a
projected secant method; the line search of Moré and Thuente 1994) and stop by the same rules.
Genes for which a kernel meets anything unusual are handed, one by one, to PyDESeq2's own function;
where iterations for the coefficients diverge, to a search for the optimum as DESeq2's.

Where the numbers differ: the default's likelihood carries the rounding of n / alpha log alpha. On the
plain towards zero dispersion that hides the slope, and a search that overshoots onto the plain may
be taken as ended there, tens of log-likelihood units below the optimum (DESeq2's search too). Which
genes it happens to depends on the order of the samples; it is a handful in 20,000, and shifts the
trend, and so every dispersion, in the fourth digit. The kernels' likelihood has no such rounding, and
they go on to the optimum. Where rounding makes the default's line search fail, its grid search leaves
out the prior; here such genes keep the optimum they had reached. And its search for coefficients
that diverge floors fitted means at 0.5, as its iterations do, but not their slope, and can stop anywhere:
tens of log-likelihood units below the optimum, where DESeq2 and the kernels' fallback go.

Why it is fast: each gene is one compiled loop over its samples, special functions share their
logarithms, and blocks of genes run on threads (the kernels release the GIL). Each gene is summed
in the order of the samples, whatever the thread or the block, so neither changes a value;
:func:`fit_dataset` also takes the order of samples and genes out of the result.

Importing this module imports numba and PyDESeq2: import it where it is used.

Compiled code is cached by numba beside this file, or where that is not writable in the user's cache
directory, or wherever ``NUMBA_CACHE_DIR`` points. Where nothing is writable the kernels are
compiled anew in each process, which costs some seconds and changes nothing else.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar, cast

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydeseq2 import utils
from pydeseq2.dds import DeseqDataSet
from pydeseq2.default_inference import DefaultInference
from pydeseq2.inference import Inference
from scipy.optimize import minimize
from scipy.special import ndtr
from threadpoolctl import threadpool_limits

from alsmuscle.core.errors import InputError

Array = NDArray[Any]
_Function = TypeVar("_Function", bound=Callable[..., Any])

_RIDGE = 1e-6  # PyDESeq2's and DESeq2's ridge on all coefficients
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_EPS = float(np.finfo(np.float64).eps)
_ASYMPTOTIC = 10.0  # from here on the series below are exact to rounding

# Stopping rules of scipy's L-BFGS-B, and of its line search.
_FTOL_ALPHA, _GTOL_ALPHA = 2.220446049250313e-09, 1e-5
_FTOL_SHRINK, _GTOL_SHRINK = 1e-8, 1e-8
_MAX_ITERATIONS = 15_000
_MAX_LINE_SEARCH = 20
_MEMORY = 10
_DECREASE, _CURVATURE, _WIDTH = 1e-3, 0.9, 0.1

# Line search state, a small array so that one compiled function serves both minimisers.
_BRACKETED, _STAGE, _G0, _F0, _GTEST = 0, 1, 2, 3, 4
_STX, _FX, _GX, _STY, _FY, _GY = 5, 6, 7, 8, 9, 10
_STMIN, _STMAX, _W0, _W1, _STPMAX = 11, 12, 13, 14, 15
_N_STATE = 16


def _compiled(function: _Function) -> _Function:
    """Compile without the GIL; cache on disk if any cache directory is writable."""
    try:
        jitted = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no directory for its cache
        jitted = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(_Function, jitted)


# ---------------------------------------------------------------------- special functions


@_compiled
def stirling_remainders(z: float) -> tuple[float, float]:
    """Return, for z > 0, lgamma(z) - [(z - 1/2) log z - z + log(2 pi)/2] and digamma(z) - log z.

    Series DLMF 5.11.1 and 5.11.2 from z = 10 on, below that by gamma(z) = gamma(z + 1) / z.
    The likelihood needs no more of the gamma function than these: the large terms cancel by
    algebra (Loader 2000), where PyDESeq2 and R subtract them in floating point.
    """
    product, derivative, first = 1.0, 0.0, z
    while z < _ASYMPTOTIC:
        derivative = derivative * z + product
        product *= z
        z += 1.0
    w = 1.0 / (z * z)
    lgamma = (
        (1.0 / 12)
        - w
        * (
            (1.0 / 360)
            - w
            * (
                (1.0 / 1260)
                - w * ((1.0 / 1680) - w * ((1.0 / 1188) - w * ((691.0 / 360360) - w / 156)))
            )
        )
    ) / z
    digamma = -0.5 / z - w * (
        (1.0 / 12)
        - w
        * (
            (1.0 / 120)
            - w
            * ((1.0 / 252) - w * ((1.0 / 240) - w * ((1.0 / 132) - w * ((691.0 / 32760) - w / 12))))
        )
    )
    if derivative > 0.0:
        log_ratio = math.log(z / first)
        lgamma += (z - 0.5) * log_ratio + (z - first) * (math.log(first) - 1.0) - math.log(product)
        digamma += log_ratio - derivative / product
    return lgamma, digamma


# ------------------------------------------------------------------ small dense matrices


@_compiled
def _cholesky(a: Array) -> bool:
    """Factor ``a`` in place (lower triangle); false if it is not positive definite."""
    p = a.shape[0]
    for j in range(p):
        pivot = a[j, j]
        for k in range(j):
            pivot -= a[j, k] * a[j, k]
        if not pivot > 0.0:  # also catches NaN
            return False
        root = math.sqrt(pivot)
        a[j, j] = root
        for i in range(j + 1, p):
            s = a[i, j]
            for k in range(j):
                s -= a[i, k] * a[j, k]
            a[i, j] = s / root
    return True


@_compiled
def _solve_cholesky(factor: Array, b: Array) -> None:
    """Solve in place for one right-hand side."""
    p = factor.shape[0]
    for i in range(p):
        s = b[i]
        for k in range(i):
            s -= factor[i, k] * b[k]
        b[i] = s / factor[i, i]
    for i in range(p - 1, -1, -1):
        s = b[i]
        for k in range(i + 1, p):
            s -= factor[k, i] * b[k]
        b[i] = s / factor[i, i]


@_compiled
def _invert_cholesky(factor: Array, inverse: Array) -> None:
    p = factor.shape[0]
    for j in range(p):
        for i in range(p):
            inverse[j, i] = 1.0 if i == j else 0.0
        _solve_cholesky(factor, inverse[j])


# ------------------------------------------------------------------------- line search


@_compiled
def _search_start(state: Array, f: float, g: float, stp: float, stpmax: float) -> None:
    state[_BRACKETED], state[_STAGE] = 0.0, 1.0
    state[_F0], state[_G0], state[_GTEST] = f, g, _DECREASE * g
    state[_STX], state[_FX], state[_GX] = 0.0, f, g
    state[_STY], state[_FY], state[_GY] = 0.0, f, g
    state[_STMIN], state[_STMAX] = 0.0, 5.0 * stp
    state[_W0], state[_W1] = stpmax, 2.0 * stpmax
    state[_STPMAX] = stpmax


@_compiled
def _safeguarded_step(state: Array, stp: float, f: float, g: float) -> float:
    """Return the next trial step and update the interval (section 4 of Moré and Thuente)."""
    new: float
    stx, fx, gx = state[_STX], state[_FX], state[_GX]
    sty, fy, gy = state[_STY], state[_FY], state[_GY]
    opposite = g * (gx / abs(gx)) < 0.0
    if f > fx:  # higher value: the minimum is bracketed
        theta = 3.0 * (fx - f) / (stp - stx) + gx + g
        scale = max(abs(theta), abs(gx), abs(g))
        gamma = scale * math.sqrt((theta / scale) ** 2 - (gx / scale) * (g / scale))
        if stp < stx:
            gamma = -gamma
        cubic = stx + ((gamma - gx) + theta) / (((gamma - gx) + gamma) + g) * (stp - stx)
        quadratic = stx + gx / ((fx - f) / (stp - stx) + gx) / 2.0 * (stp - stx)
        if abs(cubic - stx) < abs(quadratic - stx):
            new = cubic
        else:
            new = cubic + (quadratic - cubic) / 2.0
        state[_BRACKETED] = 1.0
    elif opposite:  # lower value, slopes of opposite sign: bracketed
        theta = 3.0 * (fx - f) / (stp - stx) + gx + g
        scale = max(abs(theta), abs(gx), abs(g))
        gamma = scale * math.sqrt((theta / scale) ** 2 - (gx / scale) * (g / scale))
        if stp > stx:
            gamma = -gamma
        cubic = stp + ((gamma - g) + theta) / (((gamma - g) + gamma) + gx) * (stx - stp)
        secant = stp + g / (g - gx) * (stx - stp)
        new = cubic if abs(cubic - stp) > abs(secant - stp) else secant
        state[_BRACKETED] = 1.0
    elif abs(g) < abs(gx):  # lower value, same sign, flatter
        theta = 3.0 * (fx - f) / (stp - stx) + gx + g
        scale = max(abs(theta), abs(gx), abs(g))
        gamma = scale * math.sqrt(max(0.0, (theta / scale) ** 2 - (gx / scale) * (g / scale)))
        if stp > stx:
            gamma = -gamma
        ratio = ((gamma - g) + theta) / ((gamma + (gx - g)) + gamma)
        if ratio < 0.0 and gamma != 0.0:
            cubic = stp + ratio * (stx - stp)
        elif stp > stx:
            cubic = state[_STMAX]
        else:
            cubic = state[_STMIN]
        secant = stp + g / (g - gx) * (stx - stp)
        if state[_BRACKETED] > 0.0:
            new = cubic if abs(cubic - stp) < abs(secant - stp) else secant
            limit = stp + 0.66 * (sty - stp)
            new = min(limit, new) if stp > stx else max(limit, new)
        else:
            new = cubic if abs(cubic - stp) > abs(secant - stp) else secant
            new = max(state[_STMIN], min(state[_STMAX], new))
    elif state[_BRACKETED] > 0.0:  # lower value, same sign, not flatter
        theta = 3.0 * (f - fy) / (sty - stp) + gy + g
        scale = max(abs(theta), abs(gy), abs(g))
        gamma = scale * math.sqrt((theta / scale) ** 2 - (gy / scale) * (g / scale))
        if stp > sty:
            gamma = -gamma
        new = stp + ((gamma - g) + theta) / (((gamma - g) + gamma) + gy) * (sty - stp)
    elif stp > stx:
        new = state[_STMAX]
    else:
        new = state[_STMIN]

    if f > fx:
        state[_STY], state[_FY], state[_GY] = stp, f, g
    else:
        if opposite:
            state[_STY], state[_FY], state[_GY] = stx, fx, gx
        state[_STX], state[_FX], state[_GX] = stp, f, g
    return new


@_compiled
def _search_next(state: Array, stp: float, f: float, g: float) -> tuple[float, bool]:
    """Return the next step and whether ``stp`` is accepted (or no further progress possible)."""
    gtest, stpmax = state[_GTEST], state[_STPMAX]
    ftest = state[_F0] + stp * gtest
    if state[_STAGE] == 1.0 and f <= ftest and g >= 0.0:
        state[_STAGE] = 2.0
    if state[_BRACKETED] > 0.0 and (
        stp <= state[_STMIN]
        or stp >= state[_STMAX]
        or state[_STMAX] - state[_STMIN] <= _WIDTH * state[_STMAX]
    ):
        return stp, True
    if stp == stpmax and f <= ftest and g <= gtest:
        return stp, True
    if stp == 0.0 and (f > ftest or g >= gtest):
        return stp, True
    if f <= ftest and abs(g) <= _CURVATURE * -state[_G0]:
        return stp, True

    if state[_STAGE] == 1.0 and f <= state[_FX] and f > ftest:
        # First stage: work on the function minus its sufficient-decrease line.
        state[_FX] -= state[_STX] * gtest
        state[_FY] -= state[_STY] * gtest
        state[_GX] -= gtest
        state[_GY] -= gtest
        new = _safeguarded_step(state, stp, f - stp * gtest, g - gtest)
        state[_FX] += state[_STX] * gtest
        state[_FY] += state[_STY] * gtest
        state[_GX] += gtest
        state[_GY] += gtest
    else:
        new = _safeguarded_step(state, stp, f, g)

    stx, sty = state[_STX], state[_STY]
    if state[_BRACKETED] > 0.0:
        width = abs(sty - stx)
        if width >= 0.66 * state[_W1]:
            new = stx + 0.5 * (sty - stx)
        state[_W1] = state[_W0]
        state[_W0] = width
        state[_STMIN], state[_STMAX] = min(stx, sty), max(stx, sty)
    else:
        state[_STMIN] = new + 1.1 * (new - stx)
        state[_STMAX] = new + 4.0 * (new - stx)
    new = min(max(new, 0.0), stpmax)
    if state[_BRACKETED] > 0.0 and (
        new <= state[_STMIN]
        or new >= state[_STMAX]
        or state[_STMAX] - state[_STMIN] <= _WIDTH * state[_STMAX]
    ):
        new = stx
    return new, False


# ------------------------------------------------------------------------- dispersions


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


# ------------------------------------------------------------------------ coefficients


@_compiled
def _information(X: Array, w: Array, ridge: float, H: Array) -> None:
    """Fill the lower triangle of X' diag(w) X + ridge I."""
    n, p = X.shape
    for j in range(p):
        for k in range(j + 1):
            H[j, k] = ridge if j == k else 0.0
    for i in range(n):
        for j in range(p):
            x = w[i] * X[i, j]
            if x != 0.0:
                for k in range(j + 1):
                    H[j, k] += x * X[i, k]


@_compiled
def _irls_block(
    start: int,
    stop: int,
    counts: Array,
    size_factors: Array,
    X: Array,
    initial: Array,
    disp: Array,
    min_mu: float,
    beta_tol: float,
    max_beta: float,
    maxiter: int,
    beta_out: Array,
    mu_out: Array,
    hat_out: Array,
    converged: Array,
) -> None:
    n, p = X.shape
    y, mu, w, eta = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    log_sf = np.log(size_factors)
    H, inverse = np.empty((p, p)), np.empty((p, p))
    beta, rhs = np.empty(p), np.empty(p)
    for gene in range(start, stop):
        alpha = disp[gene]
        r = 1.0 / alpha
        lgamma_r, _ = stirling_remainders(r)
        beta[:] = 0.0
        constant = 0.0
        for i in range(n):
            y[i] = counts[gene, i]
            start_value = math.log(y[i] / size_factors[i] + 0.1)
            for j in range(p):
                beta[j] += initial[j, i] * start_value
            if y[i] > 0.0:
                constant += _saturated(y[i]) + 0.5 * math.log1p(y[i] * alpha)
                constant += lgamma_r - stirling_remainders(y[i] + r)[0]
        deviance, change = 1000.0, 1.0
        iteration = 0
        ok = True
        for i in range(n):
            eta[i] = 0.0
            for j in range(p):
                eta[i] += X[i, j] * beta[j]
            mu[i] = max(size_factors[i] * math.exp(eta[i]), min_mu)
        while change > beta_tol:
            for j in range(p):
                rhs[j] = 0.0
            for i in range(n):
                w[i] = mu[i] / (1.0 + mu[i] * alpha)
                if mu[i] == min_mu:
                    eta[i] = math.log(min_mu) - log_sf[i]
                wz = w[i] * (eta[i] + (y[i] - mu[i]) / mu[i])
                for j in range(p):
                    rhs[j] += X[i, j] * wz
            _information(X, w, _RIDGE, H)
            if not _cholesky(H):
                ok = False
                break
            _solve_cholesky(H, rhs)
            iteration += 1
            for j in range(p):
                if not abs(rhs[j]) <= max_beta:
                    ok = False
            if iteration >= maxiter:
                ok = False
            if not ok:
                break
            for j in range(p):
                beta[j] = rhs[j]
            nll = constant
            for i in range(n):
                eta[i] = 0.0
                for j in range(p):
                    eta[i] += X[i, j] * beta[j]
                mu[i] = max(size_factors[i] * math.exp(eta[i]), min_mu)
                log_t = math.log1p((y[i] - mu[i]) / (mu[i] + r))
                nll += _half_deviance(y[i], mu[i], r, log_t)
            previous = deviance
            deviance = -2.0 * nll
            change = abs(deviance - previous) / (abs(deviance) + 0.1)
            if not math.isfinite(change):
                ok = False
                break
        if ok:
            for i in range(n):
                w[i] = mu[i] / (1.0 + mu[i] * alpha)
            _information(X, w, _RIDGE, H)
            ok = _cholesky(H)
        converged[gene] = ok
        if not ok:
            continue
        _invert_cholesky(H, inverse)
        for i in range(n):
            leverage = 0.0
            for j in range(p):
                s = 0.0
                for k in range(p):
                    s += inverse[j, k] * X[i, k]
                leverage += X[i, j] * s
            hat_out[gene, i] = w[i] * leverage
            mu_out[gene, i] = size_factors[i] * math.exp(eta[i])
        for j in range(p):
            beta_out[gene, j] = beta[j]


@_compiled
def _wald_block(
    start: int,
    stop: int,
    X: Array,
    disp: Array,
    mu: Array,
    min_mu: float,
    ridge: Array,
    contrast: Array,
    se: Array,
    ok: Array,
) -> None:
    n, p = X.shape
    w, M, H, c = np.empty(n), np.empty((p, p)), np.empty((p, p)), np.empty(p)
    for gene in range(start, stop):
        for i in range(n):
            m = max(mu[gene, i], min_mu)
            w[i] = m / (1.0 + m * disp[gene])
        _information(X, w, 0.0, M)
        for j in range(p):
            c[j] = contrast[j]
            for k in range(j + 1):
                H[j, k] = M[j, k] + ridge[j, k]
                M[k, j] = M[j, k]
        ok[gene] = _cholesky(H)
        if not ok[gene]:
            continue
        _solve_cholesky(H, c)
        variance = 0.0
        for j in range(p):
            for k in range(p):
                variance += c[j] * M[j, k] * c[k]
        se[gene] = math.sqrt(variance)


# --------------------------------------------------------------------------- shrinkage


@_compiled
def _shrinkage_loss(
    beta: Array,
    y: Array,
    X: Array,
    size: float,
    offset: Array,
    flat_scale: float,
    scale: float,
    index: int,
    scaling: float,
    gradient: Array,
) -> float:
    """Return the scaled negative log posterior (apeglm's, Zhu, Ibrahim and Love 2019)."""
    n, p = X.shape
    log_size = math.log(size)
    loss = 0.0
    for j in range(p):
        if j == index:
            loss += math.log1p((beta[j] / scale) ** 2)
            gradient[j] = 2.0 * beta[j] / (scale * scale + beta[j] * beta[j])
        else:
            loss += beta[j] * beta[j] / (2.0 * flat_scale * flat_scale)
            gradient[j] = beta[j] / (flat_scale * flat_scale)
    for i in range(n):
        eta = 0.0
        for j in range(p):
            eta += X[i, j] * beta[j]
        shifted = eta + offset[i] - log_size
        small = math.exp(-abs(shifted))
        total = y[i] + size
        loss -= y[i] * eta - total * (max(shifted, 0.0) + log_size + math.log1p(small))
        share = 1.0 / (1.0 + small) if shifted > 0.0 else small / (1.0 + small)
        residual = y[i] - total * share
        for j in range(p):
            gradient[j] -= X[i, j] * residual
    for j in range(p):
        gradient[j] /= scaling
    return loss / scaling


@_compiled
def _lbfgs_direction(
    g: Array, S: Array, Y: Array, rho: Array, stored: int, newest: int, d: Array, a: Array
) -> None:
    """Fill ``d`` with minus the inverse Hessian times ``g`` (two-loop recursion, Nocedal 1980)."""
    p = g.shape[0]
    for j in range(p):
        d[j] = -g[j]
    for step in range(stored):
        k = (newest - step) % _MEMORY
        s = 0.0
        for j in range(p):
            s += S[k, j] * d[j]
        a[k] = rho[k] * s
        for j in range(p):
            d[j] -= a[k] * Y[k, j]
    if stored > 0:
        yy = 0.0
        for j in range(p):
            yy += Y[newest, j] * Y[newest, j]
        for j in range(p):
            d[j] /= rho[newest] * yy
    for step in range(stored - 1, -1, -1):
        k = (newest - step) % _MEMORY
        s = 0.0
        for j in range(p):
            s += Y[k, j] * d[j]
        s *= rho[k]
        for j in range(p):
            d[j] += (a[k] - s) * S[k, j]


@_compiled
def _shrink_block(
    start: int,
    stop: int,
    counts: Array,
    X: Array,
    sizes: Array,
    offset: Array,
    flat_scale: float,
    scale: float,
    index: int,
    beta_out: Array,
    hessian: Array,
    converged: Array,
) -> None:
    n, p = X.shape
    y, state = np.empty(n), np.empty(_N_STATE)
    x, x_old, d = np.empty(p), np.empty(p), np.empty(p)
    g, g_new, a = np.empty(p), np.empty(p), np.empty(_MEMORY)
    S, Y, rho = np.empty((_MEMORY, p)), np.empty((_MEMORY, p)), np.empty(_MEMORY)
    for gene in range(start, stop):
        for i in range(n):
            y[i] = counts[gene, i]
        size = sizes[gene]
        x[:] = 0.0
        scaling = _shrinkage_loss(x, y, X, size, offset, flat_scale, scale, index, 1.0, g)
        scaling = max(scaling, 1.0)
        for j in range(p):
            x[j] = 0.1 if j % 2 == 0 else -0.1
        f = _shrinkage_loss(x, y, X, size, offset, flat_scale, scale, index, scaling, g)
        stored, newest, iteration = 0, -1, 0
        success, running = False, True
        if np.max(np.abs(g)) <= _GTOL_SHRINK:
            success, running = True, False
        while running and iteration < _MAX_ITERATIONS:
            _lbfgs_direction(g, S, Y, rho, stored, newest, d, a)
            g0, length = 0.0, 0.0
            for j in range(p):
                g0 += g[j] * d[j]
                length += d[j] * d[j]
                x_old[j] = x[j]
            f_old = f
            stp = min(1.0 / math.sqrt(length), 1e10) if iteration == 0 else 1.0
            failed = not g0 < 0.0
            trial = stp
            if not failed:
                _search_start(state, f, g0, stp, 1e10)
                accepted, n_eval = False, 0
                while not accepted:
                    n_eval += 1
                    if n_eval > _MAX_LINE_SEARCH:
                        failed = True
                        break
                    trial = stp
                    for j in range(p):
                        x[j] = x_old[j] + stp * d[j]
                    f = _shrinkage_loss(
                        x, y, X, size, offset, flat_scale, scale, index, scaling, g_new
                    )
                    if not math.isfinite(f):
                        break
                    slope = 0.0
                    for j in range(p):
                        slope += g_new[j] * d[j]
                    stp, accepted = _search_next(state, stp, f, slope)
            if not math.isfinite(f):
                break
            if failed:
                for j in range(p):
                    x[j] = x_old[j]
                f = f_old
                if stored == 0:
                    break
                stored = 0
                continue
            iteration += 1
            if np.max(np.abs(g_new)) <= _GTOL_SHRINK or (
                f_old - f <= _FTOL_SHRINK * max(abs(f_old), abs(f), 1.0)
            ):
                success = True
                break
            sy = 0.0
            for j in range(p):
                sy += trial * d[j] * (g_new[j] - g[j])
            if sy > _EPS * (-g0 * trial):
                newest = (newest + 1) % _MEMORY
                stored = min(stored + 1, _MEMORY)
                for j in range(p):
                    S[newest, j] = trial * d[j]
                    Y[newest, j] = g_new[j] - g[j]
                rho[newest] = 1.0 / sy
            for j in range(p):
                g[j] = g_new[j]
        converged[gene] = success
        if not success:
            continue
        for j in range(p):
            beta_out[gene, j] = x[j]
            for k in range(p):
                hessian[gene, j, k] = 0.0
        for i in range(n):
            eta = offset[i]
            for j in range(p):
                eta += X[i, j] * x[j]
            share = 1.0 / (1.0 + size * math.exp(-eta))
            weight = (y[i] + size) * share * (1.0 - share)
            for j in range(p):
                for k in range(p):
                    hessian[gene, j, k] += weight * X[i, j] * X[i, k]
        for k in range(p):
            # PyDESeq2 adds the prior's diagonal as a row vector to every row; so do we, because
            # these are meant to be its standard errors.
            if k == index:
                prior = 2.0 * (scale * scale - x[k] * x[k]) / (scale * scale + x[k] * x[k]) ** 2
            else:
                prior = 1.0 / (flat_scale * flat_scale)
            for j in range(p):
                hessian[gene, j, k] += prior


# ------------------------------------------------------------------------ linear model


@_compiled
def _linear_block(
    start: int, stop: int, values: Array, scale: Array, Q: Array, minimum: float, fitted: Array
) -> None:
    """Fill ``fitted`` with max(scale * projection of values / scale, minimum)."""
    n, p = Q.shape
    effects = np.empty(p)
    for gene in range(start, stop):
        effects[:] = 0.0
        for i in range(n):
            value = values[gene, i] / scale[i]
            for j in range(p):
                effects[j] += Q[i, j] * value
        for i in range(n):
            total = 0.0
            for j in range(p):
                total += Q[i, j] * effects[j]
            fitted[gene, i] = max(scale[i] * total, minimum)


def _coefficients(
    y: Array, size_factors: Array, X: Array, alpha: float, bounds: tuple[float, float]
) -> tuple[Array, bool]:
    """Return the coefficients of greatest likelihood of one gene, and whether they were found.

    For a fixed dispersion the log-likelihood is concave in the coefficients, so there is one optimum,
    and a search from zero finds it (as DESeq2's does where its iterations diverge). Means have no
    floor here: it would cut holes into the slope, in which PyDESeq2's search gets stuck.
    """
    r = 1.0 / alpha

    def loss(beta: Array) -> tuple[float, Array]:
        eta = X @ beta + np.log(size_factors)
        log_t = np.logaddexp(eta, math.log(r))  # log(mu + r)
        value = float(((y + r) * log_t - y * eta).sum() + 0.5 * _RIDGE * beta @ beta)
        return value, X.T @ ((y + r) * np.exp(eta - log_t) - y) + _RIDGE * beta

    found = minimize(
        loss,
        np.zeros(X.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=[bounds] * X.shape[1],
        options={"ftol": 1e-14, "gtol": 1e-7},
    )
    return found.x, bool(found.success)


# -------------------------------------------------------------------------- interface


class BatchedInference(Inference):  # type: ignore[misc]
    """PyDESeq2 inference that fits all genes in compiled code, on threads.

    Pass an instance as ``inference=`` to ``DeseqDataSet`` and ``DeseqStats``.

    Parameters
    ----------
    n_cpus
        Threads. Values do not depend on it. PyDESeq2 may set the attribute of this name.
    chunk_genes
        Genes per task. Work space is per task and per gene, so this bounds nothing but the
        granularity; values do not depend on it.
    wald_min_mu
        Means below it count as this much in the Wald test's standard errors. 0: PyDESeq2's
        numbers. 0.5: DESeq2's, which uses here the floor that both use while fitting. It matters
        for genes absent from one group: their statistics are up to a fifth larger with it.

    Attributes
    ----------
    fallbacks
        How often each step handed a gene to a search of its own, by name of the step.
    """

    def __init__(self, n_cpus: int = 1, chunk_genes: int = 512, wald_min_mu: float = 0.0) -> None:
        """See the class."""
        for name, value in (("n_cpus", n_cpus), ("chunk_genes", chunk_genes)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is {value!r}", expected="an integer of at least 1")
        self.n_cpus = n_cpus
        self.chunk_genes = chunk_genes
        if not 0.0 <= wald_min_mu < math.inf:
            raise InputError(f"wald_min_mu is {wald_min_mu!r}", expected="a number, 0 or above")
        self.wald_min_mu = float(wald_min_mu)
        self.fallbacks: Counter[str] = Counter()

    def _chunks(self, n_genes: int) -> Iterable[tuple[int, int]]:
        return (
            (start, min(start + self.chunk_genes, n_genes))
            for start in range(0, n_genes, self.chunk_genes)
        )

    def _run(self, kernel: Callable[..., Any], n_genes: int, *arguments: Any) -> None:
        """Run ``kernel(start, stop, ...)`` over all genes; the GIL is released inside."""
        with ThreadPoolExecutor(self.n_cpus) as pool:
            tasks = [pool.submit(kernel, *span, *arguments) for span in self._chunks(n_genes)]
            for task in tasks:
                task.result()

    def _fall_back(self, step: str, genes: Array) -> list[int]:
        self.fallbacks[step] += len(genes)
        return [int(gene) for gene in genes]

    def lin_reg_mu(
        self, counts: Array, size_factors: Array, design_matrix: Array, min_mu: float
    ) -> Array:
        """Return fitted means (samples x genes) of a linear model on normalised counts."""
        return self._linear(counts, size_factors, design_matrix, min_mu).T

    def _linear(self, values: Array, scale: Array, design_matrix: Array, minimum: float) -> Array:
        """Return fitted values, genes x samples."""
        _check_design(design_matrix)
        Q, _ = np.linalg.qr(_matrix(design_matrix))
        y = _by_gene(values)
        fitted = np.empty(y.shape)
        self._run(_linear_block, len(y), y, _matrix(scale), _matrix(Q), float(minimum), fitted)
        return fitted

    def irls(
        self,
        counts: Array,
        size_factors: Array,
        design_matrix: Array,
        disp: Array,
        min_mu: float,
        beta_tol: float,
        min_beta: float = -30,
        max_beta: float = 30,
        optimizer: Literal["BFGS", "L-BFGS-B"] = "L-BFGS-B",
        maxiter: int = 250,
    ) -> tuple[Array, Array, Array, Array]:
        """Fit the negative binomial GLM of each gene.

        Returns coefficients (genes x p, natural log), unthresholded means and leverages (samples x
        genes), and whether each gene converged. See ``Inference.irls``.
        """
        _check_design(design_matrix)
        y, X = _by_gene(counts), _matrix(design_matrix)
        size_factors = np.ascontiguousarray(size_factors, dtype=float)
        disp = np.ascontiguousarray(disp, dtype=float)
        n_genes = len(y)
        beta = np.full((n_genes, X.shape[1]), np.nan)
        mu, hat = np.empty(y.shape), np.empty(y.shape)
        converged = np.zeros(n_genes, dtype=np.bool_)
        self._run(
            _irls_block,
            n_genes,
            y,
            size_factors,
            X,
            np.ascontiguousarray(np.linalg.pinv(X)),
            disp,
            float(min_mu),
            float(beta_tol),
            float(max_beta),
            int(maxiter),
            beta,
            mu,
            hat,
            converged,
        )
        for gene in self._fall_back("irls", np.flatnonzero(~converged)):
            beta[gene], converged[gene] = _coefficients(
                y[gene], size_factors, X, disp[gene], (min_beta, max_beta)
            )
            mu[gene] = size_factors * np.exp(X @ beta[gene])
            floored = np.maximum(mu[gene], min_mu)
            w = floored / (1.0 + floored * disp[gene])
            inverse = np.linalg.inv((X.T * w) @ X + _RIDGE * np.eye(X.shape[1]))
            hat[gene] = w * np.einsum("ij,jk,ik->i", X, inverse, X)
        return beta, mu.T, hat.T, converged

    def alpha_mle(
        self,
        counts: Array,
        design_matrix: Array,
        mu: Array,
        alpha_hat: Array,
        min_disp: float,
        max_disp: float,
        prior_disp_var: float | None = None,
        cr_reg: bool = True,
        prior_reg: bool = False,
        optimizer: Literal["BFGS", "L-BFGS-B"] = "L-BFGS-B",
    ) -> tuple[Array, Array]:
        """Estimate each gene's dispersion, with Cox-Reid term and optional log-normal prior.

        Returns dispersions and whether each gene converged. See ``Inference.alpha_mle``.
        """
        _check_design(design_matrix)
        if prior_reg and prior_disp_var is None:
            raise ValueError("prior_reg needs prior_disp_var")
        y, X, fitted = _by_gene(counts), _matrix(design_matrix), _by_gene(mu)
        alpha_hat = np.ascontiguousarray(alpha_hat, dtype=float)
        n_genes = len(y)
        alpha = np.full(n_genes, np.nan)
        converged = np.zeros(n_genes, dtype=np.bool_)
        if optimizer == "L-BFGS-B":
            self._run(
                _alpha_block,
                n_genes,
                y,
                X,
                fitted,
                alpha_hat,
                math.log(min_disp),
                math.log(max_disp),
                1.0 / float(prior_disp_var) if prior_reg and prior_disp_var else 0.0,
                bool(cr_reg),
                alpha,
                converged,
            )
        for gene in self._fall_back("alpha_mle", np.flatnonzero(~converged)):
            alpha[gene], converged[gene] = utils.fit_alpha_mle(
                counts=y[gene],
                design_matrix=X,
                mu=fitted[gene],
                alpha_hat=alpha_hat[gene],
                min_disp=min_disp,
                max_disp=max_disp,
                prior_disp_var=prior_disp_var,
                cr_reg=cr_reg,
                prior_reg=prior_reg,
                optimizer=optimizer,
            )
        return alpha, converged

    def wald_test(
        self,
        design_matrix: Array,
        disp: Array,
        lfc: Array,
        mu: Array,
        ridge_factor: Array,
        contrast: Array,
        lfc_null: Any,
        alt_hypothesis: Literal["greaterAbs", "lessAbs", "greater", "less"] | None = None,
    ) -> tuple[Array, Array, Array]:
        """Return Wald p-values, statistics and standard errors. See ``Inference.wald_test``."""
        X, fitted = _matrix(design_matrix), _by_gene(mu)
        disp, lfc = np.ascontiguousarray(disp, dtype=float), np.asarray(lfc, dtype=float)
        contrast = np.ascontiguousarray(contrast, dtype=float)
        ridge = _matrix(ridge_factor)
        n_genes = len(fitted)
        se = np.full(n_genes, np.nan)
        done = np.zeros(n_genes, dtype=np.bool_)
        floor = self.wald_min_mu
        self._run(_wald_block, n_genes, X, disp, fitted, floor, ridge, contrast, se, done)
        # Genes without a fit (all zero) stay NaN; the rest is for the default.
        failed = np.flatnonzero(~done & np.isfinite(disp) & np.isfinite(fitted).all(axis=1))
        for gene in self._fall_back("wald_test", failed):
            _, _, se[gene] = utils.wald_test(
                X,
                disp[gene],
                lfc[gene],
                np.maximum(fitted[gene], floor),
                ridge,
                contrast,
                lfc_null,
                None,
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic, p_value = _wald_statistic(lfc, se, contrast, lfc_null, alt_hypothesis)
        return p_value, statistic, se

    def fit_rough_dispersions(self, normed_counts: Array, design_matrix: Array) -> Array:
        """Return rough dispersions from a linear model, in blocks of genes."""
        design = np.asarray(design_matrix, dtype=float)
        n_samples, n_vars = design.shape
        if n_samples == n_vars:
            raise InputError(
                f"the design has as many columns ({n_vars}) as there are samples",
                expected="more samples than columns, so that there are replicates to measure noise",
                remedy="drop design variables, or report effects without p-values",
            )
        y = _by_gene(normed_counts)
        fitted = self._linear(normed_counts, np.ones(n_samples), design, 1.0)
        rough = np.empty(len(y))
        for start, stop in self._chunks(len(y)):
            mean = fitted[start:stop]
            excess = ((y[start:stop] - mean) ** 2 - mean) / ((n_samples - n_vars) * mean**2)
            rough[start:stop] = excess.sum(axis=1)
        return np.maximum(rough, 0)

    def fit_moments_dispersions(self, normed_counts: Array, size_factors: Array) -> Array:
        """Return dispersions by the method of moments (PyDESeq2's function)."""
        return cast(Array, utils.fit_moments_dispersions(normed_counts, size_factors))

    def dispersion_trend_gamma_glm(
        self, covariates: pd.Series[float], targets: pd.Series[float]
    ) -> tuple[Array, Array, bool]:
        """Fit the trend's gamma GLM (PyDESeq2's function: it is one small problem)."""
        fitted = DefaultInference.dispersion_trend_gamma_glm(self, covariates, targets)
        return cast(tuple[Array, Array, bool], fitted)

    def lfc_shrink_nbinom_glm(
        self,
        design_matrix: Array,
        counts: Array,
        size: Array,
        offset: Array,
        prior_no_shrink_scale: float,
        prior_scale: float,
        optimizer: str,
        shrink_index: int,
    ) -> tuple[Array, Array, Array]:
        """Return shrunken coefficients, inverse Hessians (genes x p x p) and convergence."""
        _check_design(design_matrix)
        y, X = _by_gene(counts), _matrix(design_matrix)
        size = np.ascontiguousarray(size, dtype=float)
        offset = np.ascontiguousarray(offset, dtype=float)
        n_genes, p = len(y), X.shape[1]
        beta = np.full((n_genes, p), np.nan)
        inverse: Array = np.tile(np.eye(p), (n_genes, 1, 1))
        converged = np.zeros(n_genes, dtype=np.bool_)
        if optimizer == "L-BFGS-B":
            self._run(
                _shrink_block,
                n_genes,
                y,
                X,
                size,
                offset,
                float(prior_no_shrink_scale),
                float(prior_scale),
                int(shrink_index),
                beta,
                inverse,
                converged,
            )
        inverse = np.linalg.inv(inverse)
        for gene in self._fall_back("lfc_shrink", np.flatnonzero(~converged)):
            beta[gene], inverse[gene], converged[gene] = utils.nbinomGLM(
                design_matrix=X,
                counts=y[gene],
                size=size[gene],
                offset=offset,
                prior_no_shrink_scale=prior_no_shrink_scale,
                prior_scale=prior_scale,
                optimizer=optimizer,
                shrink_index=shrink_index,
            )
        return beta, inverse, converged


class Dataset(DeseqDataSet):  # type: ignore[misc]
    """PyDESeq2's data set; its trend is fitted to all genes at once.

    The original looks at the genes one by one for means of zero, which takes longer than all else
    of a fit together.
    """

    def _fit_parametric_dispersion_trend(self, vst: bool = False) -> None:
        column = "vst_genewise_dispersions" if vst else "genewise_dispersions"
        if column not in self.var:
            self.fit_genewise_dispersions(vst)
        genes = self.var.loc[self.non_zero_genes]
        dispersion = genes[column].to_numpy(dtype=float)
        with np.errstate(divide="ignore"):
            inverse = 1 / genes["_normed_means"].to_numpy(dtype=float)
        used = np.isfinite(inverse)
        before, now = np.full(2, 0.1), np.ones(2)
        while (np.log(now / before) ** 2).sum() >= 1e-6:
            before = now
            now, trend, converged = self.inference.dispersion_trend_gamma_glm(
                pd.Series(inverse[used]), pd.Series(dispersion[used])
            )
            if not converged or (now <= 1e-10).any():
                warnings.warn(
                    "The dispersion trend did not converge: the mean of dispersions stands for it.",
                    UserWarning,
                    stacklevel=2,
                )
                self._fit_mean_dispersion_trend(vst)
                return
            # Genes too far from the curve take no part in the next round.
            ratio = dispersion[used] / trend
            used[used] = (ratio >= 1e-4) & (ratio < 15)
        coefficients = pd.Series(now, index=["a0", "a1"])
        if vst:
            self.uns["vst_trend_coeffs"] = coefficients
            return
        self.uns["trend_coeffs"] = coefficients
        self.uns["disp_function_type"] = "parametric"
        self.var["fitted_dispersions"] = np.nan
        present = self.var["non_zero"]
        self.var.loc[present, "fitted_dispersions"] = self.disp_function(
            self.var.loc[present, "_normed_means"]
        )


def make_inference(
    inference: Literal["batched", "default"], n_cpus: int = 1, wald_min_mu: float = 0.0
) -> Inference:
    """Return the inference of this name: ours, or PyDESeq2's own for comparison.

    ``wald_min_mu`` is for ours alone, see :class:`BatchedInference`.
    """
    if inference == "batched":
        return BatchedInference(n_cpus=n_cpus, wald_min_mu=wald_min_mu)
    if inference == "default":
        return DefaultInference(n_cpus=n_cpus)
    raise InputError(f"inference is {inference!r}", expected="batched or default")


def fit_dataset(
    counts: pd.DataFrame,
    obs: pd.DataFrame,
    design: str | pd.DataFrame,
    *,
    inference: Literal["batched", "default"] = "batched",
    n_cpus: int = 1,
    wald_min_mu: float = 0.0,
    **options: Any,
) -> DeseqDataSet:
    """Fit PyDESeq2's model to ``counts`` (samples x genes), whatever the order of rows and columns.

    Sums in floating point depend on their order in the last digit, and a flat likelihood can turn
    that into the third. So samples and genes are sorted by their labels first: tables that differ
    only in order give identical values. Read the result by label; its order is the sorted one.

    Parameters
    ----------
    counts
        Raw integer counts, samples x genes, labelled.
    obs
        Samples in the index, any order.
    design
        A formula over columns of ``obs``, or a design matrix (rows labelled as in ``obs``).
    inference, n_cpus, wald_min_mu
        See :func:`make_inference`. Give ``dds.inference`` to ``DeseqStats``.
    options
        Further keyword arguments of ``pydeseq2.dds.DeseqDataSet``.

    Raises
    ------
    InputError
        If the samples of the tables differ, or the design is not of full rank or leaves no
        replicates.
    """
    samples = counts.index.sort_values()
    for name, table in (("obs", obs), ("the design matrix", design)):
        if isinstance(table, pd.DataFrame) and not table.index.sort_values().equals(samples):
            raise InputError(
                f"the samples of counts and of {name} differ",
                expected="the same sample ids in both, each once per sample",
            )
    if samples.has_duplicates:
        raise InputError("counts has duplicated sample ids", expected="each sample once")
    dds = Dataset(
        counts=counts.loc[samples].sort_index(axis=1, kind="stable"),
        metadata=obs.loc[samples],
        design=design.loc[samples] if isinstance(design, pd.DataFrame) else design,
        inference=make_inference(inference, n_cpus, wald_min_mu),
        quiet=True,
        **options,
    )
    # What is left to BLAS are vectors of two: its threads would wait for each other, and no more.
    with threadpool_limits(1, user_api="blas"):
        dds.deseq2()
    return dds


def compile_kernels() -> None:
    """Compile every kernel into numba's cache: once, at installation, not in the first jobs at once."""
    from pydeseq2.ds import DeseqStats

    rng = np.random.default_rng(0)
    obs = pd.DataFrame({"group": ["a", "b"] * 4}, [f"s{i}" for i in range(8)])
    counts = pd.DataFrame(rng.negative_binomial(5, 0.05, (8, 100)), obs.index)
    counts = counts.rename(columns="g{}".format)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dds = fit_dataset(counts, obs, "~group")
        contrast = ["group", "b", "a"]
        stats = DeseqStats(dds, contrast=contrast, inference=dds.inference, quiet=True)
        stats.summary()
        stats.lfc_shrink(coeff="group[T.b]")


def _matrix(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype=np.float64)


def _by_gene(values: Array) -> Array:
    """Return samples x genes as genes x samples, one gene's values side by side.

    No copy for what PyDESeq2 passes (columns taken from a matrix come in this order). Counts
    stay integers, so that those above 2^31 and 2^53 are what they were.
    """
    values = np.asarray(values).T
    integer = np.issubdtype(values.dtype, np.integer)
    return np.ascontiguousarray(values, dtype=np.int64 if integer else np.float64)


def _check_design(design_matrix: Array) -> None:
    design = np.asarray(design_matrix, dtype=float)
    rank = int(np.linalg.matrix_rank(design))
    if rank < design.shape[1]:
        raise InputError(
            f"the design has {design.shape[1]} columns but rank {rank}: its variables are "
            "confounded, and their effects cannot be told apart",
            expected="a design in which no column is a combination of others",
            remedy="drop a variable that is determined by the others",
        )


def _wald_statistic(
    lfc: Array, se: Array, contrast: Array, lfc_null: Any, alternative: str | None
) -> tuple[Array, Array]:
    """Return statistics and p-values; the clipping is per coefficient, as in PyDESeq2."""

    def project(values: Array) -> Array:
        return values @ contrast

    scale = se[:, None]
    if alternative is None:
        statistic = project(lfc - lfc_null) / se
        return statistic, 2 * ndtr(-np.abs(statistic))
    if alternative == "greaterAbs":
        excess = np.fmax((np.abs(lfc) - lfc_null) / scale, 0)
        statistic = project(np.sign(lfc) * excess)
        return statistic, 2 * ndtr(-np.abs(statistic))

    def greater(null: Any) -> tuple[Array, Array]:
        statistic = project(np.fmax((lfc - null) / scale, 0))
        return statistic, ndtr(-statistic)

    def less(null: Any) -> tuple[Array, Array]:
        statistic = project(np.fmin((lfc - null) / scale, 0))
        return statistic, ndtr(-np.abs(statistic))

    if alternative == "greater":
        return greater(lfc_null)
    if alternative == "less":
        return less(lfc_null)
    if alternative == "lessAbs":
        above, p_above = greater(-np.abs(lfc_null))
        below, p_below = less(np.abs(lfc_null))
        nearer = np.where(np.abs(above) <= np.abs(below), above, below)
        return nearer, np.maximum(p_above, p_below)
    raise InputError(
        f"alt_hypothesis is {alternative!r}",
        expected="one of greaterAbs, lessAbs, greater, less, or none",
    )
