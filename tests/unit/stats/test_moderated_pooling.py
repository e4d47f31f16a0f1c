"""Pooling that borrows the spread between studies: coverage, limits, single studies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from alsmuscle.core.errors import InputError
from alsmuscle.stats import moderated_pooling as mp


def draw(
    rng: np.random.Generator, n: int, k: int, tau: np.ndarray, dependence: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Effects around 0 with estimated errors; ``dependence`` between the keys of one study."""

    def noise() -> np.ndarray:
        shared = rng.normal(size=(n, 2)) / np.sqrt(2) @ rng.normal(size=(2, k))
        return np.sqrt(dependence) * shared + np.sqrt(1 - dependence) * rng.normal(size=(n, k))

    sd = np.exp(rng.normal(np.log(0.15), 0.3, (1, k)) + rng.normal(0, 0.3, (n, 1)))
    y = tau[:, None] * noise() + sd * noise()
    return pd.DataFrame(y), pd.DataFrame(sd * np.sqrt(rng.chisquare(10, (n, k)) / 10))


@pytest.mark.parametrize("k", [2, 3, 4, 5])
@pytest.mark.parametrize("taus", [[0.2], [0.0, 0.0, 0.3], [0.1, 0.2, 0.4]])
@pytest.mark.parametrize("dependence", [0.0, 0.5])
def test_intervals_hold_the_truth(k: int, taus: list[float], dependence: float) -> None:
    rng = np.random.default_rng(10 * k + len(taus))
    inside = []
    for _ in range(60):
        y, s = draw(rng, 120, k, rng.choice(taus, 120), dependence)
        prior = mp.learn(y, s)
        assert prior is not None
        found = mp.pool(y, s, prior=prior)
        inside += list((found["ci_low"] <= 0) & (found["ci_high"] >= 0))
    assert 0.925 <= np.mean(inside) <= 0.98


def test_the_factor_is_squeezed_by_hand() -> None:
    y = pd.DataFrame([[0.0, 0.6, 1.2], [0.4, 0.4, 0.4]])
    s = y * 0 + 0.2
    prior = mp.Prior(tau2=0.05, scale=1.5, df=4.0, df_total=100.0, share2=0.0)
    found = mp.pool(y, s, prior=prior)
    w = 1 / (0.04 + 0.05)
    q = w * (0.36 + 0 + 0.36) / 2
    factor = (2 * q + 4 * 1.5) / 6
    assert found["q_post"][0] == pytest.approx(factor)
    assert found["se"][0] == pytest.approx(np.sqrt(factor / (3 * w)))
    half = stats.t.ppf(0.975, 6) * found["se"][0]
    assert found["ci_high"][0] == pytest.approx(0.6 + half)
    assert found["q_post"][1] == pytest.approx(1.0)  # (2 * 0 + 6) / 6; never below 1
    low = mp.pool(y, s, prior=prior._replace(scale=0.2))
    assert low["q_post"][1] == 1.0


def test_one_study_keeps_its_own_degrees_of_freedom() -> None:
    y = pd.DataFrame([[0.5, np.nan, np.nan]], columns=list("abc"))
    s = pd.DataFrame([[0.2, np.nan, np.nan]], columns=list("abc"))
    df = pd.DataFrame([[4.0, 30.0, 30.0]], columns=list("abc"))
    found = mp.pool(y, s, df, prior=mp.Prior(0.1, 1.0, 10.0, 50.0, 0.1)).iloc[0]
    assert found["df"] == 4
    assert found["ci_high"] == pytest.approx(0.5 + stats.t.ppf(0.975, 4) * 0.2)
    assert found["pvalue"] == pytest.approx(2 * stats.t.sf(2.5, 4))
    assert np.isnan(found["q_post"])
    normal = mp.pool(y, s, prior=mp.Prior(0.1, 1.0, 10.0, 50.0, 0.1)).iloc[0]
    assert normal["ci_high"] == pytest.approx(0.5 + stats.norm.ppf(0.975) * 0.2)


def test_more_is_found_than_without_the_other_keys() -> None:
    rng = np.random.default_rng(3)
    y, s = draw(rng, 200, 3, np.full(200, 0.15), 0.0)
    y.iloc[:40] += 0.8
    prior = mp.learn(y, s)
    assert prior is not None
    found = mp.pool(y, s, prior=prior)
    assert (found["pvalue"][:40] < 0.001).mean() > 0.5
    assert (found["pvalue"][40:] < 0.001).mean() < 0.02


def test_too_few_keys_teach_nothing_and_missing_pairs_keep_their_k() -> None:
    rng = np.random.default_rng(4)
    y, s = draw(rng, 9, 3, np.zeros(9), 0.0)
    assert mp.learn(y, s) is None
    y, s = draw(rng, 50, 3, np.zeros(50), 0.0)
    y.iloc[0, 0] = np.nan
    y.iloc[1] = np.nan
    prior = mp.learn(y, s)
    assert prior is not None
    found = mp.pool(y, s, prior=prior)
    assert found.iloc[1].isna().all()
    assert found["df"][0] <= found["df"][2]


def test_the_order_of_studies_does_not_matter() -> None:
    rng = np.random.default_rng(6)
    y, s = draw(rng, 60, 4, np.full(60, 0.2), 0.3)
    prior, turned = mp.learn(y, s), mp.learn(y[y.columns[::-1]], s[s.columns[::-1]])
    assert prior is not None and turned is not None
    np.testing.assert_allclose(prior, turned, rtol=1e-6)


def shared(
    rng: np.random.Generator, n: int, k: int, share: float
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Effects of which every study holds its own share, a third of them none; their truth."""
    truth = rng.normal(0, 0.8, n) * (rng.random(n) < 2 / 3)
    holds = np.maximum(rng.normal(1, share, k), 0.1)
    s = np.exp(rng.normal(np.log(0.12), 0.2, (n, k)))
    return (
        pd.DataFrame(np.outer(truth, holds) + s * rng.normal(size=(n, k))),
        pd.DataFrame(s),
        truth,
    )


@pytest.mark.parametrize("k", [3, 4, 5])
def test_large_effects_are_covered_where_studies_hold_shares_of_them(k: int) -> None:
    rng = np.random.default_rng(k)
    told: dict[str, list[bool]] = {"with": [], "without": [], "null": []}
    for _ in range(150):
        y, s, truth = shared(rng, 150, k, 0.25)
        prior = mp.learn(y, s)
        assert prior is not None
        large = np.abs(truth) > 0.8
        for name, chosen in (("with", prior), ("without", prior._replace(share2=0.0))):
            found = mp.pool(y, s, prior=chosen)
            held = (found["ci_low"] <= truth) & (truth <= found["ci_high"])
            told[name] += list(held[large])
            if name == "with":
                told["null"] += list(found["pvalue"][truth == 0] < 0.05)
    assert np.mean(told["without"]) < 0.85
    assert np.mean(told["with"]) > np.mean(told["without"]) + 0.05
    # not 0.95: the shares are the same for all keys, so k of them say how they vary
    assert np.mean(told["with"]) > 0.86
    assert np.mean(told["null"]) < 0.06


def test_shares_are_learned_from_what_moves() -> None:
    rng = np.random.default_rng(8)
    found = [mp.learn(*shared(rng, 200, 5, share)[:2]) for share in [0.3] * 60 + [0.0] * 60]
    shares = np.array([np.nan if prior is None else prior.share2 for prior in found])
    assert np.mean(shares[:60]) == pytest.approx(0.09, rel=0.2)
    assert np.mean(shares[60:]) < 0.003
    y, s, _ = shared(rng, 200, 5, 0.3)
    few = mp.learn(y * 1e-3 + s * rng.normal(size=s.shape), s)
    assert few is not None and few.share2 == 0.0


def test_an_interval_holds_what_is_not_rejected() -> None:
    rng = np.random.default_rng(9)
    y = rng.normal(0, 1, 300)
    se, grows, df = rng.uniform(0.05, 0.6, 300), rng.uniform(0, 0.1, 300), rng.uniform(3, 30, 300)
    low, high = mp.interval(y, se, grows, df, 0.95)
    t = stats.t.ppf(0.975, df)
    for end in (low, high):
        np.testing.assert_allclose(np.abs(y - end), t * np.sqrt(se**2 + grows * end**2), rtol=1e-9)
    # 0 is left out exactly where the test of 0 rejects
    rejected = 2 * stats.t.sf(np.abs(y) / se, df) < 0.05
    np.testing.assert_array_equal((low > 0) | (high < 0), rejected)
    away, towards = np.where(y > 0, high, low), np.where(y > 0, low, high)
    assert (np.abs(away - y) >= np.abs(y - towards) - 1e-12).all()
    plain = mp.interval(y, se, 0 * grows, df, 0.95)
    np.testing.assert_allclose(plain[1] - y, t * se)
    assert np.isfinite(mp.interval(1.0, 0.1, 9.0, 3.0, 0.95)).all()


def test_errors_speak() -> None:
    y = pd.DataFrame([[0.1, 0.2]])
    with pytest.raises(InputError, match="not positive"):
        mp.learn(y, y * 0)
    with pytest.raises(InputError, match="labels"):
        mp.learn(y, y[[0]])
