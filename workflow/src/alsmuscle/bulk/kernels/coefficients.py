"""Coefficients of each gene: iteratively reweighted least squares, Wald statistics."""

from __future__ import annotations

import math

import numpy as np

from alsmuscle.bulk.kernels.dispersion import _half_deviance, _saturated
from alsmuscle.bulk.kernels.search import (
    Array,
    _cholesky,
    _compiled,
    _invert_cholesky,
    _solve_cholesky,
    stirling_remainders,
)

_RIDGE = 1e-6  # PyDESeq2's and DESeq2's ridge on all coefficients


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
def _leverages(X: Array, w: Array, inverse: Array, out: Array) -> None:
    """Fill the diagonal of the weighted hat matrix, ``w x' (X' diag(w) X)^-1 x``."""
    n, p = X.shape
    for i in range(n):
        leverage = 0.0
        for j in range(p):
            s = 0.0
            for k in range(p):
                s += inverse[j, k] * X[i, k]
            leverage += X[i, j] * s
        out[i] = w[i] * leverage


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
        _leverages(X, w, inverse, hat_out[gene])
        for i in range(n):
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
