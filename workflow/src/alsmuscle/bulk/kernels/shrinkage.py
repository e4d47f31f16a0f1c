"""Shrunken effects: the apeglm posterior, minimised by L-BFGS."""

from __future__ import annotations

import math

import numpy as np

from alsmuscle.bulk.kernels.search import (
    _EPS,
    _MAX_ITERATIONS,
    _MAX_LINE_SEARCH,
    _N_STATE,
    Array,
    _compiled,
    _search_next,
    _search_start,
)

_FTOL_SHRINK, _GTOL_SHRINK = 1e-8, 1e-8
_MEMORY = 10


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
def _shrinkage_hessian(
    beta: Array,
    y: Array,
    X: Array,
    size: float,
    offset: Array,
    flat_scale: float,
    scale: float,
    index: int,
    out: Array,
) -> None:
    """Fill the Hessian of the shrinkage loss (p x p) at ``beta``."""
    n, p = X.shape
    out[:, :] = 0.0
    for i in range(n):
        eta = offset[i]
        for j in range(p):
            eta += X[i, j] * beta[j]
        share = 1.0 / (1.0 + size * math.exp(-eta))
        weight = (y[i] + size) * share * (1.0 - share)
        for j in range(p):
            for k in range(p):
                out[j, k] += weight * X[i, j] * X[i, k]
    for k in range(p):
        # PyDESeq2 adds the prior's diagonal as a row vector to every row; so do we, because
        # these are meant to be its standard errors.
        if k == index:
            square = beta[k] * beta[k]
            prior = 2.0 * (scale * scale - square) / (scale * scale + square) ** 2
        else:
            prior = 1.0 / (flat_scale * flat_scale)
        for j in range(p):
            out[j, k] += prior


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
        _shrinkage_hessian(x, y, X, size, offset, flat_scale, scale, index, hessian[gene])
