"""Pooling: hand-computed cases, properties, errors. Numbers against R are in tests/reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsmuscle.core.errors import InputError
from by_config import meta_analysis


def frame(*rows: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [list(map(float, row)) for row in rows],
        index=[f"g{i}" for i in range(len(rows))],
        columns=[f"s{i}" for i in range(len(rows[0]))],
    )


def test_two_equal_precisions_by_hand() -> None:
    # var of (0, 2) is 2; tau2 = 2 - 1 = 1 for REML; mean 1, variance (1 + 1) / 2
    out = meta_analysis.random_effects(frame([0, 2]), frame([1, 1]), knapp_hartung="none").iloc[0]
    assert out["tau2"] == pytest.approx(1.0)
    assert out["effect"] == pytest.approx(1.0)
    assert out["se"] == pytest.approx(1.0)
    assert out["ci_high"] == pytest.approx(1 + 1.959963984540054)
    assert out["status"] == meta_analysis.TWO_STUDIES


def test_modified_knapp_hartung_does_not_collapse_when_studies_agree_by_chance() -> None:
    effect, se = frame([0.5, 0.5, 0.5]), frame([0.3, 0.3, 0.3])
    plain = meta_analysis.random_effects(effect, se, knapp_hartung="plain").iloc[0]
    modified = meta_analysis.random_effects(effect, se, knapp_hartung="modified").iloc[0]
    assert plain["se"] == 0
    assert modified["se"] == pytest.approx(0.3 / np.sqrt(3))
    assert modified["ci_high"] - modified["effect"] == pytest.approx(
        4.302653 * 0.3 / np.sqrt(3), 1e-6
    )


def test_one_study_is_shown_as_itself_and_none_as_missing() -> None:
    out = meta_analysis.random_effects(
        frame([0.7, np.nan], [np.nan, np.nan]), frame([0.2, 0.1], [1, 1])
    )
    assert out.loc["g0", ["k", "effect", "se", "status"]].tolist() == [
        1,
        0.7,
        0.2,
        meta_analysis.ONE_STUDY,
    ]
    assert np.isnan(out.loc["g0", "tau2"]) and np.isnan(out.loc["g0", "loo_low"])
    assert out.loc["g1", "k"] == 0
    assert out.loc["g1", ["effect", "se", "pvalue", "ci_low"]].isna().all()
    assert out.loc["g1", "status"] == ""


def test_missing_studies_keep_their_own_k_and_do_not_touch_other_keys() -> None:
    effect = frame([0.1, 0.4, 0.9, 0.3], [0.1, np.nan, 0.9, 0.3])
    se = frame([0.2, 0.3, 0.2, 0.5], [0.2, 0.3, 0.2, 0.5])
    both = meta_analysis.random_effects(effect, se)
    alone = meta_analysis.random_effects(
        effect.loc[["g1"], ["s0", "s2", "s3"]], se.loc[["g1"], ["s0", "s2", "s3"]]
    )
    assert both["k"].tolist() == [4, 3]
    pd.testing.assert_series_equal(both.loc["g1"], alone.loc["g1"])


def test_leave_one_out_names_the_study_that_moves_the_estimate() -> None:
    out = meta_analysis.random_effects(
        frame([0.1, 0.1, 0.1, 5.0]), frame([0.1, 0.1, 0.1, 0.1])
    ).iloc[0]
    assert out["influential"] == "s3"
    assert out["loo_low"] == pytest.approx(0.1)


studies = st.lists(st.tuples(st.floats(-3, 3), st.floats(0.05, 2)), min_size=2, max_size=8)


@settings(max_examples=60, deadline=None)
@given(studies, st.floats(0.01, 100), st.floats(-5, 5), st.sampled_from(meta_analysis.ESTIMATORS))
def test_scale_shift_sign_and_order(
    data: list[tuple[float, float]], scale: float, shift: float, estimator: str
) -> None:
    y, s = map(np.array, zip(*data, strict=True))
    base = meta_analysis.random_effects(frame(list(y)), frame(list(s)), estimator=estimator).iloc[0]
    moved = meta_analysis.random_effects(
        frame(list(-scale * y[::-1] + shift)), frame(list(scale * s[::-1])), estimator=estimator
    ).iloc[0]
    close = {"rel": 1e-5, "abs": 1e-6 * scale}
    assert moved["effect"] == pytest.approx(-scale * base["effect"] + shift, **close)
    assert moved["se"] == pytest.approx(scale * base["se"], **close)
    assert moved["tau2"] == pytest.approx(scale**2 * base["tau2"], rel=1e-5, abs=1e-6 * scale**2)
    assert moved["ci_low"] == pytest.approx(-scale * base["ci_high"] + shift, **close)
    assert base["pi_low"] <= base["ci_low"] <= base["effect"] <= base["ci_high"] <= base["pi_high"]
    assert base["se"] ** 2 >= 1 / (1 / (s**2 + base["tau2"])).sum() * (1 - 1e-9)


def test_reml_solves_its_equation_where_fisher_scoring_cycles() -> None:
    # the refit of the reference set on which full Fisher steps do not converge in metafor
    y = [0.194994, 0.497692, 0.571302, 0.392631, 0.360076, 0.394245, -0.034038, -0.097861]
    y += [0.391747, 0.464805, 0.353961, 0.370099, 0.388585, 0.416458, 0.304772]
    v = [0.060092, 0.022985, 0.045161, 0.05127, 0.020366, 0.004401, 0.116928, 0.185428]
    v += [0.020487, 0.023815, 0.013996, 0.01677, 0.055087, 0.001444, 0.002287]
    out = meta_analysis.random_effects(frame(y), frame(list(np.sqrt(v)))).iloc[0]
    w = 1 / (np.array(v) + out["tau2"])
    residual = np.array(y) - (w * y).sum() / w.sum()
    score = (w**2 * residual**2).sum() - (w.sum() - (w**2).sum() / w.sum())
    assert out["tau2"] > 1e-4
    assert abs(score) < 1e-4 * w.sum()


def test_interval_covers_the_planted_mean() -> None:
    rng = np.random.default_rng(3)
    n, k = 4000, 5
    s = rng.uniform(0.1, 0.4, (n, k))
    y = rng.normal(0.3, np.sqrt(0.2**2 + s**2))
    out = meta_analysis.random_effects(frame(*y.tolist()), frame(*s.tolist()), leave_one_out=False)
    cover = ((out["ci_low"] < 0.3) & (out["ci_high"] > 0.3)).mean()
    assert 0.94 < cover < 0.985  # Wald intervals give about 0.90 here
    wald = meta_analysis.random_effects(
        frame(*y.tolist()), frame(*s.tolist()), knapp_hartung="none", leave_one_out=False
    )
    assert ((wald["ci_low"] < 0.3) & (wald["ci_high"] > 0.3)).mean() < 0.93


def test_cluster_by_hand() -> None:
    effect, se = meta_analysis.combine_cluster(frame([1, 3]), frame([1, 1]), rho=0.5)
    assert effect["g0"] == pytest.approx(2.0)
    assert se["g0"] == pytest.approx(np.sqrt((1 + 0.5) / 2))  # (1 + rho) / 2
    effect, se = meta_analysis.combine_cluster(frame([1, 4]), frame([1, 2]), rho=0.0)
    assert effect["g0"] == pytest.approx(8 / 5)  # weights 4:1
    assert se["g0"] == pytest.approx(np.sqrt(4 / 5))


def test_cluster_with_exact_covariance_equals_rho_where_they_say_the_same() -> None:
    e, s = frame([1, 3, 2], [0.5, np.nan, 1]), frame([0.5, 1, 2], [0.5, 1, 2])
    d = np.array([0.5, 1, 2])
    V = 0.8 * np.outer(d, d) + 0.2 * np.diag(d**2)
    by_rho, by_v = (
        meta_analysis.combine_cluster(e, s, rho=0.8),
        meta_analysis.combine_cluster(e, s, covariance=V),
    )
    for left, right in zip(by_rho, by_v, strict=True):
        np.testing.assert_allclose(left, right)
    each = meta_analysis.combine_cluster(e, s, covariance=np.stack([V, V]))
    np.testing.assert_allclose(each[1], by_v[1])
    assert by_rho[1]["g0"] > meta_analysis.combine_cluster(e, s, rho=0.0)[1]["g0"]


def test_cluster_variance_against_simulation_of_a_shared_reference() -> None:
    rng = np.random.default_rng(0)
    na, nb, nr = 6, 10, 5
    rho = meta_analysis.shared_reference_rho(na, nb, nr)
    reference = rng.normal(0, 1 / np.sqrt(nr), 200_000)
    a = rng.normal(0, 1 / np.sqrt(na), 200_000) - reference
    b = rng.normal(0, 1 / np.sqrt(nb), 200_000) - reference
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(rho, abs=0.01)
    s = [[np.sqrt(1 / na + 1 / nr), np.sqrt(1 / nb + 1 / nr)]]
    _, se = meta_analysis.combine_cluster(frame([0, 0]), frame(*s), rho=rho)
    w = np.array([1 / s[0][0] ** 2, 1 / s[0][1] ** 2])
    observed = np.std((w[0] * a + w[1] * b) / w.sum())
    assert se["g0"] == pytest.approx(observed, rel=0.01)


def test_dependent_contrasts_count_once() -> None:
    effect, se = frame([0.5, 0.5, 0.1, 0.2]), frame([0.1, 0.1, 0.2, 0.2])
    clusters = {"s0": "a", "s1": "a", "s2": "b", "s3": "c"}
    out = meta_analysis.pool(effect, se, clusters).iloc[0]
    assert (out["k"], out["n_contrasts"]) == (3, 4)
    assert out["rho_ci_low"] < out["ci_low"] and out["rho_ci_high"] > out["ci_high"]
    assert out["rho_pvalue_max"] >= out["pvalue"]
    alone = meta_analysis.pool(effect, se, {name: name for name in clusters}).iloc[0]
    assert alone["k"] == 4
    assert alone["rho_ci_low"] == alone["ci_low"]


def test_exact_covariance_leaves_no_rho_range() -> None:
    effect, se = frame([0.5, 0.5, 0.1, 0.2]), frame([0.1, 0.1, 0.2, 0.2])
    clusters = {"s0": "a", "s1": "a", "s2": "b", "s3": "c"}
    out = meta_analysis.pool(effect, se, clusters, covariances={"a": np.diag([0.01, 0.01])}).iloc[0]
    assert out["rho_ci_low"] == out["ci_low"]


def test_two_studies_get_numbers_but_no_adjusted_p() -> None:
    effect = frame([0.5, 0.6, np.nan], [0.5, 0.6, 0.4])
    out = meta_analysis.pool(
        effect, frame([0.1] * 3, [0.1] * 3), {f"s{i}": f"s{i}" for i in range(3)}
    )
    assert np.isnan(out.loc["g0", "padj"]) and np.isfinite(out.loc["g0", "pvalue"])
    assert out.loc["g1", "padj"] == out.loc["g1", "pvalue"]  # g0 is not counted among the tests


def test_errors_speak() -> None:
    effect, se = frame([1, 2]), frame([1, 1])
    with pytest.raises(InputError, match=r"standard error 0\.0 of 'g0' in 's1'"):
        meta_analysis.random_effects(effect, frame([1, 0]))
    with pytest.raises(InputError, match="unknown estimator 'DL'"):
        meta_analysis.random_effects(effect, se, estimator="DL")
    with pytest.raises(InputError, match="knapp_hartung"):
        meta_analysis.random_effects(effect, se, knapp_hartung="yes")
    with pytest.raises(InputError, match="labels"):
        meta_analysis.random_effects(effect, se.rename(columns={"s0": "x"}))
    with pytest.raises(InputError, match="no cluster given for 's1'"):
        meta_analysis.pool(effect, se, {"s0": "a"})
    with pytest.raises(InputError, match=r"rho 1.5"):
        meta_analysis.combine_cluster(effect, se, rho=1.5)
    with pytest.raises(InputError, match=r"covariance has shape \(3, 3\)"):
        meta_analysis.combine_cluster(effect, se, covariance=np.eye(3))


@pytest.mark.parametrize("n", [0, 1, 7])
def test_keys_in_parts_are_pooled_as_together(monkeypatch, n):
    rng = np.random.default_rng(5)
    effect, se = pd.DataFrame(rng.normal(size=(n, 4))), pd.DataFrame(np.full((n, 4), 0.3))
    effect = effect.mask(rng.random((n, 4)) < 0.3)
    whole = meta_analysis.random_effects(effect, se)
    monkeypatch.setattr(meta_analysis, "_CHUNK", 3)
    pd.testing.assert_frame_equal(meta_analysis.random_effects(effect, se), whole)
