"""Bayesian random effects: against adaptive quadrature, and how often intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, special, stats

from alsmuscle.core.errors import InputError
from alsmuscle.stats import bayes

SCALE, MARGIN = 0.35, 0.2


def frames(y: np.ndarray, s: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.DataFrame(y), pd.DataFrame(s)


def exact(y: np.ndarray, s: np.ndarray) -> dict[str, float]:
    """The same posterior by adaptive quadrature of the textbook formulas, one key at a time."""

    def at(tau: float) -> tuple[float, float, float]:
        w = 1 / (s**2 + tau**2)
        mean, sd = (w * y).sum() / w.sum(), 1 / np.sqrt(w.sum())
        # Densities by their formulas: those of scipy.stats check their arguments at every point.
        density = np.prod(np.sqrt(w / (2 * np.pi)) * np.exp(-w * (y - mean) ** 2 / 2)) * sd
        half_normal = np.sqrt(2 / np.pi) / SCALE * np.exp(-((tau / SCALE) ** 2) / 2)
        return density * half_normal, mean, sd

    def over(f) -> float:
        points = [0.005, 0.02, 0.05, 0.1, 0.3, 0.6, 1.0]
        options = {"points": points, "limit": 500, "epsabs": 0, "epsrel": 1e-10}
        return integrate.quad(f, 0, 12 * SCALE, **options)[0]

    total = over(lambda t: at(t)[0])

    def below(x: float, extra: float = 0.0) -> float:
        def f(t: float) -> float:
            density, mean, sd = at(t)
            return density * special.ndtr((x - mean) / np.hypot(sd, extra * t))

        return over(f) / total

    def quantile(p: float, extra: float = 0.0) -> float:
        return optimize.brentq(lambda x: below(x, extra) - p, -20, 20, xtol=1e-8)

    mean = over(lambda t: at(t)[0] * at(t)[1]) / total
    side = np.sign(mean)
    return {
        "bayes_effect": mean,
        "bayes_ci_low": quantile(0.025),
        "bayes_ci_high": quantile(0.975),
        "tau": over(lambda t: at(t)[0] * t) / total,
        "pi_low": quantile(0.025, 1.0),
        "pi_high": quantile(0.975, 1.0),
        "prob_direction": 1 - below(0) if side > 0 else below(0),
        "prob_beyond": 1 - below(MARGIN) if side > 0 else below(-MARGIN),
    }


@pytest.mark.parametrize("k", [2, 3, 6])
@pytest.mark.parametrize("spread", [0.0, 0.6])
def test_numbers_are_those_of_adaptive_quadrature(k: int, spread: float) -> None:
    rng = np.random.default_rng(k)
    s = np.exp(rng.normal(np.log(0.12), 0.8, k))
    y = 0.4 + rng.normal(0, np.hypot(s, spread))
    found = bayes.random_effects(*frames(y[None], s[None]), scale=SCALE, margin=MARGIN).iloc[0]
    for name, value in exact(y, s).items():
        assert found[name] == pytest.approx(value, abs=2e-6), name


def test_a_single_very_precise_study_is_handled() -> None:
    y, s = np.array([0.5, 0.9]), np.array([0.005, 0.3])
    found = bayes.random_effects(*frames(y[None], s[None]), scale=SCALE, margin=MARGIN).iloc[0]
    for name, value in exact(y, s).items():
        assert found[name] == pytest.approx(value, abs=2e-3), name


def test_missing_pairs_shift_and_sign() -> None:
    rng = np.random.default_rng(0)
    y, s = rng.normal(0, 0.5, (50, 4)), rng.uniform(0.05, 0.4, (50, 4))
    y[:, 3] = np.nan
    three = bayes.random_effects(*frames(y[:, :3], s[:, :3]), scale=SCALE, margin=MARGIN)
    with_gap = bayes.random_effects(*frames(y, s), scale=SCALE, margin=MARGIN)
    pd.testing.assert_frame_equal(three, with_gap)
    flipped = bayes.random_effects(*frames(-y, s), scale=SCALE, margin=MARGIN)
    np.testing.assert_allclose(
        flipped["bayes_ci_low"], -with_gap["bayes_ci_high"], atol=1e-6, rtol=0
    )
    np.testing.assert_allclose(flipped["prob_direction"], with_gap["prob_direction"], atol=1e-9)
    y[0, 1:] = np.nan
    alone = bayes.random_effects(*frames(y, s), scale=SCALE, margin=MARGIN)
    assert alone.iloc[0].isna().all() and not alone.iloc[1:].isna().any().any()


def test_few_degrees_of_freedom_widen() -> None:
    y, s = frames(np.array([[0.5, 0.6]]), np.array([[0.1, 0.1]]))
    known = bayes.random_effects(y, s, scale=SCALE, margin=MARGIN).iloc[0]
    few = bayes.random_effects(y, s, s * 0 + 4, scale=SCALE, margin=MARGIN).iloc[0]
    assert few["bayes_ci_low"] < known["bayes_ci_low"]
    assert bayes.normal_variance([0.1], [np.nan])[0] == pytest.approx(0.01)
    assert np.sqrt(bayes.normal_variance([0.1], [4.0])[0]) * stats.norm.ppf(0.975) == pytest.approx(
        0.1 * stats.t.ppf(0.975, 4)
    )


@pytest.mark.parametrize("k", [2, 3, 4, 5])
@pytest.mark.parametrize("tau", [0.0, 0.2, 0.4])
def test_intervals_hold_the_truth(k: int, tau: float) -> None:
    rng = np.random.default_rng(100 * k + int(10 * tau))
    n, df = 3000, 8
    sd = np.exp(rng.normal(np.log(0.15), 0.3, (n, k)))
    y = rng.normal(0, tau, (n, k)) + sd * rng.normal(size=(n, k))
    s = sd * np.sqrt(rng.chisquare(df, (n, k)) / df)
    found = bayes.random_effects(
        *frames(y, s), pd.DataFrame(np.full((n, k), float(df))), scale=SCALE, margin=MARGIN
    )
    inside = (found["bayes_ci_low"] <= 0) & (found["bayes_ci_high"] >= 0)
    assert inside.mean() >= 0.90
    new = rng.normal(0, np.hypot(tau, 1e-9), n)
    assert ((found["pi_low"] <= new) & (new <= found["pi_high"])).mean() >= 0.90


def test_a_probable_direction_is_seldom_wrong() -> None:
    rng = np.random.default_rng(5)
    n, k = 12_000, 2
    tau = np.abs(rng.normal(0, SCALE, n))
    sd = np.exp(rng.normal(np.log(0.15), 0.3, (n, k)))
    y = tau[:, None] * rng.normal(size=(n, k)) + sd * rng.normal(size=(n, k))
    found = bayes.random_effects(*frames(y, sd), scale=SCALE, margin=MARGIN)
    sure = found["prob_direction"] > 0.975
    for side in (1, -1):
        assert (sure & (np.sign(found["bayes_effect"]) == side)).mean() <= 0.025


def test_twenty_thousand_genes_in_seconds() -> None:
    import time

    rng = np.random.default_rng(1)
    y, s = rng.normal(0, 0.5, (20_000, 4)), rng.uniform(0.05, 0.4, (20_000, 4))
    start = time.process_time()
    bayes.random_effects(*frames(y, s), scale=SCALE, margin=MARGIN)
    assert time.process_time() - start < 30


def test_errors_speak() -> None:
    y, s = frames(np.ones((1, 2)), np.ones((1, 2)))
    with pytest.raises(InputError, match="scale is 0"):
        bayes.random_effects(y, s, scale=0.0, margin=MARGIN)
    with pytest.raises(InputError, match="labels"):
        bayes.random_effects(y, s[[0]], scale=SCALE, margin=MARGIN)
    with pytest.raises(InputError, match="not positive"):
        bayes.random_effects(y, s * 0, scale=SCALE, margin=MARGIN)


def test_a_study_without_a_key_changes_nothing_for_it():
    effect = pd.DataFrame({"a": [0.5, -0.2], "b": [0.7, 0.1], "c": [np.nan, 0.4]})
    se = pd.DataFrame({"a": [0.2, 0.3], "b": [0.1, 0.2], "c": [np.nan, 0.25]})
    both = bayes.random_effects(effect, se, scale=0.5, margin=0.1)
    alone = bayes.random_effects(effect[["a", "b"]], se[["a", "b"]], scale=0.5, margin=0.1)
    pd.testing.assert_series_equal(both.loc[0], alone.loc[0], rtol=1e-12)
    assert not np.allclose(both.loc[1], alone.loc[1])
