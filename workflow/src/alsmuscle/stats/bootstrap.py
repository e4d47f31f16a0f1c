"""A contrast refitted on resampled donors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from alsmuscle.core.errors import InputError
from alsmuscle.core.types import Floats


def bootstrap_effects(
    values: npt.ArrayLike,
    design: npt.ArrayLike,
    contrast: npt.ArrayLike,
    *,
    subjects: npt.ArrayLike,
    strata: npt.ArrayLike,
    n_replicates: int,
    seed: int,
) -> Floats:
    """Refit a contrast on resampled donors.

    From n donors of a stratum n - 1 are drawn with replacement: then the variance over replicates
    is unbiased, where drawing n would lose a share 1 / n of it, much at 3 or 4 donors (Rao and Wu
    1988, J Am Stat Assoc 83:231).

    Parameters
    ----------
    values
        Samples × genes, log2 scale (variance-stabilised counts, or intensities).
    design, contrast
        Samples × coefficients, and the weights of the coefficients.
    subjects
        Donor of each sample; all samples of a donor are drawn together.
    strata
        Level of the compared variable per sample; donors are drawn within their (set of) levels, so
        that the groups keep their proportions.
    n_replicates, seed
        Number of bootstrap samples, and the generator's seed.

    Returns
    -------
    ndarray
        Replicates × genes, log2 units. Draws in which the contrast cannot be estimated are redrawn.

    Raises
    ------
    InputError
        Shapes disagree, or hardly any draw allows an estimate (too few donors for the covariates).
    """
    Y, X = np.asarray(values, dtype=float), np.asarray(design, dtype=float)
    c = np.asarray(contrast, dtype=float)
    donor_of, level_of = np.asarray(subjects), np.asarray(strata)
    n = Y.shape[0]
    if not (X.shape == (n, c.size) and donor_of.shape == level_of.shape == (n,)):
        raise InputError(
            f"{n} samples, but design {X.shape}, contrast {c.shape}, subjects {donor_of.shape}, "
            f"strata {level_of.shape}"
        )
    donors, position = np.unique(donor_of, return_inverse=True)
    levels = [
        "|".join(sorted(set(level_of[position == i].astype(str)))) for i in range(donors.size)
    ]
    groups = [np.flatnonzero(np.array(levels) == level) for level in sorted(set(levels))]
    rng = np.random.default_rng(seed)
    H = np.empty((n_replicates, n))
    kept = 0
    for _ in range(20 * n_replicates):
        if kept == n_replicates:
            break
        times = np.zeros(donors.size)
        for group in groups:
            drawn = rng.choice(group, max(group.size - 1, 1))
            times += np.bincount(drawn, minlength=donors.size)
        root = np.sqrt(times[position])
        weighted = X * root[:, None]
        inverse = np.linalg.pinv(weighted, rcond=1e-10)
        row = c @ inverse
        if np.abs(row @ weighted - c).max() < 1e-8:  # estimable in this draw
            H[kept] = row * root
            kept += 1
    if kept < n_replicates:
        raise InputError(
            f"the contrast could be estimated in {kept} of {20 * n_replicates} resamples",
            remedy="drop covariates, or use the analytic interval",
        )
    return np.asarray(H @ Y, dtype=float)
