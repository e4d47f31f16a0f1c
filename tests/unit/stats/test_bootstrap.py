"""Resampled donors: variance of a mean difference, donors with several samples, errors."""

from __future__ import annotations

import numpy as np
import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.stats import bootstrap


def test_bootstrap_by_the_variance_of_a_mean_difference() -> None:
    rng = np.random.default_rng(4)
    Y = rng.normal(size=(7, 3)) * [1, 2, 3]
    group = np.array([1, 1, 1, 0, 0, 0, 0])
    design = np.column_stack([np.ones(7), group])
    draws = bootstrap.bootstrap_effects(
        Y, design, [0, 1], subjects=np.arange(7), strata=group, n_replicates=10_000, seed=1
    )
    expected = Y[:3].var(axis=0, ddof=1) / 3 + Y[3:].var(axis=0, ddof=1) / 4
    np.testing.assert_allclose(draws.var(axis=0), expected, rtol=0.05)
    np.testing.assert_allclose(
        draws.mean(axis=0), Y[:3].mean(axis=0) - Y[3:].mean(axis=0), atol=0.12
    )


def test_bootstrap_moves_a_donor_with_all_its_samples() -> None:
    rng = np.random.default_rng(5)
    donor = np.repeat(np.arange(6), 2)
    after = np.tile([0, 1], 6)
    Y = (
        10 * rng.normal(size=6)[donor, None] + 2.0 * after[:, None]
    )  # donors differ, effect is exact
    design = np.column_stack([after, *(donor == i for i in range(6))]).astype(float)
    draws = bootstrap.bootstrap_effects(
        Y, design, np.eye(7)[0], subjects=donor, strata=after, n_replicates=50, seed=1
    )
    np.testing.assert_allclose(draws, 2.0, atol=1e-9)


def test_bootstrap_is_reproducible_and_refuses_what_it_cannot_estimate() -> None:
    Y = np.random.default_rng(0).normal(size=(4, 2))
    group = np.array([1, 1, 0, 0])
    design = np.column_stack([np.ones(4), group])
    common = {"subjects": np.arange(4), "strata": group, "n_replicates": 5}
    first = bootstrap.bootstrap_effects(Y, design, [0, 1], **common, seed=3)
    np.testing.assert_array_equal(
        first, bootstrap.bootstrap_effects(Y, design, [0, 1], **common, seed=3)
    )
    full = np.column_stack([design, [0, 1, 2, 3]])  # one draw of two donors cannot tell
    with pytest.raises(InputError, match="resamples"):
        bootstrap.bootstrap_effects(Y, full, [0, 1, 0], **common, seed=3)
    with pytest.raises(InputError, match="4 samples, but design"):
        bootstrap.bootstrap_effects(Y, design[:3], [0, 1], **common, seed=3)
