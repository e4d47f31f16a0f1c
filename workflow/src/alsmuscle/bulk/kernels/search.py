"""What the kernels share: compilation, series, Cholesky factors and the line search of L-BFGS-B."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_Function = TypeVar("_Function", bound=Callable[..., Any])
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_EPS = float(np.finfo(np.float64).eps)
_ASYMPTOTIC = 10.0  # from here on the series below are exact to rounding
_MAX_ITERATIONS = 15_000
_MAX_LINE_SEARCH = 20
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
