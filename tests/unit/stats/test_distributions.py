"""Tails against scipy.stats, tables and sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from alsmuscle.stats import distributions


def test_tails_are_those_of_scipy_stats() -> None:
    x = np.array([0.0, 0.5, -2.0, 40.0, 1e4, np.nan])
    for df in (1.5, 30.0, np.inf):
        np.testing.assert_allclose(
            distributions.t_pvalue(x, df), 2 * stats.t.sf(np.abs(x), df), rtol=1e-12
        )
        np.testing.assert_allclose(
            distributions.t_quantile(0.975, df), stats.t.ppf(0.975, df), rtol=1e-12
        )
    assert distributions.t_pvalue(1.959963985, np.inf) == pytest.approx(0.05, abs=1e-9)
    assert np.isnan(distributions.t_pvalue([1.0, 1.0], [np.nan, 0.0])).all()
    y = np.array([0.0, 0.7, 9.0, np.nan])
    np.testing.assert_allclose(distributions.f_pvalue(y, 2, 10), stats.f.sf(y, 2, 10), rtol=1e-12)
    np.testing.assert_allclose(
        distributions.f_pvalue(y, 2, np.inf), stats.chi2.sf(2 * y, 2), rtol=1e-12
    )
    np.testing.assert_allclose(distributions.chi2_pvalue(y, 3), stats.chi2.sf(y, 3), rtol=1e-12)


def test_draws_without_replacement_are_those_of_scipy_stats() -> None:
    rng = np.random.default_rng(3)
    population = rng.integers(2, 25_000, 2000)
    marked = (population * rng.random(2000)).astype(int)
    drawn = (population * rng.random(2000) ** 3).astype(int)
    by_chance = rng.hypergeometric(marked, population - marked, drawn)
    found = np.clip(by_chance + rng.integers(-3, 30, 2000), 0, np.minimum(marked, drawn))
    ours = distributions.hypergeometric_pvalue(found, population, marked, drawn)
    theirs = stats.hypergeom.sf(found - 1, population, marked, drawn)
    assert theirs.min() < 1e-30
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-300)
    # By hand: both of 2 drawn among 3 of 10, 3/10 * 2/9; more than there are; nothing asked for.
    assert distributions.hypergeometric_pvalue(2, 10, 3, 2) == pytest.approx(1 / 15, rel=1e-12)
    assert distributions.hypergeometric_pvalue([3, 0], 10, 3, 2).tolist() == [0.0, 1.0]


def test_half_widths_are_quantiles_of_t_and_of_the_normal_without_df() -> None:
    np.testing.assert_allclose(
        distributions.half_width([1.0, 2.0, 1.0], [10, np.nan, np.inf]),
        [2.228139, 2 * 1.959964, 1.959964],
        atol=1e-6,
    )  # tables of t
    assert distributions.half_width(1.0, 10, level=0.9) == pytest.approx(1.812461, abs=1e-6)


def test_adjust_by_hand_and_against_scipy() -> None:
    np.testing.assert_allclose(
        distributions.adjust([0.01, np.nan, 0.04, 0.03]), [0.03, np.nan, 0.04, 0.04]
    )
    p = np.random.default_rng(1).random(500)
    np.testing.assert_allclose(distributions.adjust(p), stats.false_discovery_control(p))
    assert np.isnan(distributions.adjust([np.nan])).all()


def test_quantiles_of_shared_degrees_of_freedom_are_those_of_each():
    free = np.tile([3.0, 4.5, np.inf, np.nan, 300.0, 3.0], 40).reshape(20, 12)
    each = [distributions.t_quantile(0.975, value) for value in free.ravel()]
    found = distributions.t_quantile(0.975, free)
    assert np.array_equal(found, np.reshape(each, free.shape), equal_nan=True)


def test_counts_below_which_are_those_of_scipy_stats() -> None:
    means = np.array([1e-4, 0.3, 1.0, 17.5, 400.0])
    np.testing.assert_array_equal(
        distributions.poisson_quantile(0.99, means), stats.poisson.ppf(0.99, means)
    )
