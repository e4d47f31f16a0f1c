"""Several samples of one donor: how alike they are, and a fit that knows it.

Samples of one person (both legs, regions, visits) are no independent witnesses. Where they stand on
one side of a comparison, so that no block can take the person out, the errors of a person's samples
are given one correlation, the same for all genes: the consensus of each gene's own, by restricted
maximum likelihood, as limma's ``duplicateCorrelation`` (Smyth, Michaud and Scott 2005, Bioinformatics
21:2067, 10.1093/bioinformatics/bti270). Checked against limma in ``tests/reference/donors``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alsmuscle.stats import linear

Floats = npt.NDArray[np.float64]

# Bounds of a gene's own correlation, and the share of genes cut off at either end of their mean.
MAX_CORRELATION = 0.99
TRIM = 0.15
_CHUNK = 1000


class Correlation(NamedTuple):
    """``consensus`` of all genes, and ``genes`` (g,): each gene's own, missing where it has none."""

    consensus: float
    genes: Floats


def indicator(donor: npt.ArrayLike) -> Floats:
    """Return samples × donors, 1 where the sample is the donor's."""
    names, code = np.unique(np.asarray(donor, dtype=str), return_inverse=True)
    return np.asarray(np.eye(len(names))[code])


def correlation(
    values: Floats, X: Floats, donor: npt.ArrayLike, weights: Floats | None = None
) -> Correlation:
    """Estimate how far a donor's samples resemble each other beyond the design.

    Parameters
    ----------
    values
        Genes × samples, log2 expression.
    X
        Samples × terms, full rank.
    donor
        Per sample whose it is.
    weights
        Genes × samples, precisions; equal ones when left out.

    Returns
    -------
    Correlation
        A negative one is possible; the consensus is the hyperbolic tangent of the mean, 15 % cut off
        at either end, of the genes' inverse hyperbolic tangents.

    Raises
    ------
    ValueError
        No donor has two samples, every sample is of one donor, or the design leaves nothing.
    """
    Z = indicator(donor)
    n, p = X.shape
    size = Z.sum(axis=0).max()
    if size < 2 or Z.shape[1] < 2 or n <= p + 2:
        raise ValueError("no donor has two samples beside others, or too few samples are left")
    low = 1 / (1 - size) + 0.01
    found = np.full(len(values), np.nan)
    for start in range(0, len(values), _CHUNK):
        rows = slice(start, start + _CHUNK)
        root = np.ones((1, n)) if weights is None else np.sqrt(weights[rows])
        # The correlation is one of weighted errors, as in the fit that uses it: Z has no weights.
        own, squares = _independent(values[rows] * root, root[:, :, None] * X, Z)
        found[rows] = _restricted(own, squares, low)
    arc = np.sort(np.arctanh(found[np.isfinite(found)]))
    if not len(arc):
        raise ValueError("no gene varies within donors")
    cut = int(len(arc) * TRIM)
    return Correlation(float(np.tanh(arc[cut : len(arc) - cut].mean())), found)


def _independent(y: Floats, X: Floats, Z: Floats) -> tuple[Floats, Floats]:
    """Rotate each gene so that what the design leaves falls into independent parts.

    Returns
    -------
    own, squares
        Genes × (n - p): each part is of variance s0 + s1 own, and its square.
    """
    n, p = X.shape[1:]
    q = np.linalg.qr(X, mode="complete")[0][:, :, p:]
    u, s, _ = np.linalg.svd(np.einsum("gnr,nb->grb", q, Z), full_matrices=True)
    own = np.zeros((len(X), n - p))
    own[:, : s.shape[1]] = s**2
    left = np.einsum("gnr,grk->gnk", q, u)
    if len(X) == 1:
        return np.broadcast_to(own, (len(y), n - p)), (y @ left[0]) ** 2
    return own, np.einsum("gn,gnk->gk", y, left) ** 2


def _restricted(own: Floats, squares: Floats, low: float) -> Floats:
    """Maximise each gene's restricted likelihood over its correlation; missing without variance."""

    def loss(rho: Floats) -> Floats:
        relative = 1 - rho[:, None] + rho[:, None] * own
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = (squares / relative).mean(axis=1)
            value = np.log(scale) + np.log(relative).mean(axis=1)
        return np.where((relative > 0).all(axis=1) & np.isfinite(value), value, np.inf)

    grid = np.linspace(low, MAX_CORRELATION, 41)
    losses = np.array([loss(np.full(len(squares), rho)) for rho in grid])
    best = losses.argmin(axis=0)
    a, b = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
    golden = (5**0.5 - 1) / 2
    for _ in range(40):
        c, d = b - golden * (b - a), a + golden * (b - a)
        left = loss(c) < loss(d)
        a, b = np.where(left, a, c), np.where(left, d, b)
    usable = np.isfinite(losses.min(axis=0)) & (squares.sum(axis=1) > 1e-12)
    return np.where(usable, (a + b) / 2, np.nan)


def whitener(donor: npt.ArrayLike, rho: float) -> Floats:
    """Return the matrix that turns samples of correlated donors into independent ones.

    The inverse of the Cholesky factor of a correlation matrix with ``rho`` between the samples of a
    donor and 0 elsewhere: least squares of the transformed expression on the transformed design is
    generalised least squares of the original ones.
    """
    Z = indicator(donor)
    V = Z @ Z.T * rho
    np.fill_diagonal(V, 1.0)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(V)))


class Model(NamedTuple):
    """Expression and design as independent samples, and what made them so.

    ``values`` (g, n) and ``X`` (n, p), or (g, n, p) with weights: transformed; ``mean`` (g,) mean
    log expression before; ``consensus`` the donors' correlation.
    """

    values: Floats
    X: Floats
    mean: Floats
    consensus: float


def of_log(values: Floats, X: Floats, donor: npt.ArrayLike) -> Model:
    """Transform log expression (genes × samples) so that its samples are independent."""
    rho = correlation(values, X, donor).consensus
    white = whitener(donor, rho)
    return Model(values @ white.T, white @ X, values.mean(axis=1), rho)


def of_counts(counts: Floats, X: Floats, donor: npt.ArrayLike, lib_size: Floats | None) -> Model:
    """Transform counts (genes × samples): two passes of voom and of the correlation.

    The weights depend on the fit, the fit on the correlation, the correlation on the weights; limma's
    manual (section 18.1.9) goes through it twice.
    """
    white, rho = np.eye(len(X)), 0.0
    for _ in range(2):
        values, weights = linear.voom(counts, X, lib_size, whitener=white)
        rho = correlation(values, X, donor, weights).consensus
        white = whitener(donor, rho)
    root = np.sqrt(weights)
    return Model(
        (root * values) @ white.T,
        np.einsum("mn,gnp->gmp", white, root[:, :, None] * X, optimize=True),
        values.mean(axis=1),
        rho,
    )
