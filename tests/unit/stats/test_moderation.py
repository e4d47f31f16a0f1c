from __future__ import annotations

import numpy as np
import pytest
from scipy.special import polygamma

from alsmuscle.stats.moderation import squeeze_var, trigamma_inverse


@pytest.mark.parametrize("y", [1e-4, 0.01, 0.5, 1.0, 7.3, 1e3, 1e7])
def test_trigamma_inverse_inverts(y: float) -> None:
    assert trigamma_inverse(float(polygamma(1, y))) == pytest.approx(y, rel=1e-4)


@pytest.mark.parametrize("x", [0.0, -1.0, np.inf, np.nan])
def test_trigamma_inverse_refuses(x: float) -> None:
    with pytest.raises(ValueError, match="positive finite"):
        trigamma_inverse(x)


def test_planted_prior_is_recovered() -> None:
    rng = np.random.default_rng(1)
    n, df, df_prior, scale = 20_000, 8, 5.0, 0.7
    sigma2 = scale * df_prior / rng.chisquare(df_prior, n)
    s2 = sigma2 * rng.chisquare(df, n) / df
    fit = squeeze_var(s2, df)
    assert fit.df_prior == pytest.approx(df_prior, rel=0.1)
    assert fit.var_prior == pytest.approx(scale, rel=0.05)
    assert np.mean((fit.var_post - sigma2) ** 2) < np.mean((s2 - sigma2) ** 2)


def test_equal_true_variances_give_an_infinite_prior_and_one_posterior() -> None:
    fit = squeeze_var([0.9, 1.0, 1.1], 10)
    assert np.isinf(fit.df_prior)
    np.testing.assert_allclose(fit.var_post, 1.0)


def test_posterior_lies_between_own_and_prior_and_keeps_the_input() -> None:
    s2 = np.array([0.01, 1.0, 30.0, 0.2])
    before = s2.copy()
    fit = squeeze_var(s2, np.array([4.0, 4.0, 9.0, 0.0]))
    np.testing.assert_array_equal(s2, before)
    low, high = np.minimum(s2, fit.var_prior), np.maximum(s2, fit.var_prior)
    assert np.all((fit.var_post >= low - 1e-12) & (fit.var_post <= high + 1e-12))
    assert fit.var_post[3] == pytest.approx(fit.var_prior)  # no degrees of freedom: prior only


def test_order_of_features_does_not_matter() -> None:
    s2 = np.array([0.01, 1.0, 30.0, 0.2, 0.7])
    a, b = squeeze_var(s2, 5), squeeze_var(s2[::-1], 5)
    np.testing.assert_allclose(a.var_post, b.var_post[::-1])


def test_one_feature_learns_nothing() -> None:
    fit = squeeze_var([2.0], 4)
    assert (fit.df_prior, fit.var_post[0]) == (0.0, 2.0)


@pytest.mark.parametrize(
    ("s2", "df", "message"),
    [
        ([], 3, "non-empty"),
        ([1.0, -1.0], 3, "negative"),
        ([1.0, 2.0], -1, "df"),
        ([1.0, 2.0], np.inf, "df"),
        ([np.nan, np.nan], 3, "no feature"),
        ([1.0, 2.0], 0, "no feature"),
    ],
)
def test_bad_input_is_named(s2: list[float], df: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        squeeze_var(s2, df)
