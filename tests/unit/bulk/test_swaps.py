"""Swap suspects and duplicates on data made by hand."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from alsmuscle.bulk import swaps


def two_sides(n: int, shift: float, seed: int = 1) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.5, (2 * n, 800))
    values[:n, :80] += shift
    names = [f"s{i}" for i in range(2 * n)]
    target = pd.Series([True] * n + [False] * n, index=names)
    return pd.DataFrame(values, index=names, columns=[f"g{i}" for i in range(800)]), target


def test_a_swapped_pair_is_suspected_and_nobody_else() -> None:
    values, target = two_sides(7, 1.5)
    target[["s2", "s9"]] = [False, True]
    found = swaps.swap_suspects(values, target)
    assert list(found.index[found["suspect"]]) == ["s2", "s9"]
    assert found.loc[["s2", "s9"], "position"].min() > 0.8
    assert found["position"].drop(["s2", "s9"]).max() < 0.4


def test_the_order_of_samples_does_not_matter() -> None:
    values, target = two_sides(6, 1.5)
    target[["s1", "s8"]] = [False, True]
    one = swaps.swap_suspects(values, target)
    other = swaps.swap_suspects(values.iloc[::-1], target)
    pd.testing.assert_frame_equal(one, other.loc[one.index])


@pytest.mark.parametrize("seed", range(8))
def test_without_a_difference_nobody_is_suspected(seed: int) -> None:
    values, target = two_sides(8, 0.0, seed)
    assert not swaps.swap_suspects(values, target)["suspect"].any()


def test_a_batch_in_the_model_does_not_make_suspects() -> None:
    values, target = two_sides(8, 1.2)
    batch = pd.DataFrame(
        {"batch": [1.0, 0, 0, 0, 0, 0, 0, 0] + [1.0] * 7 + [0]}, index=values.index
    )
    shifted = values.copy()
    shifted.iloc[:, 40:400] += 2.0 * batch.to_numpy()
    assert swaps.swap_suspects(shifted, target)["suspect"].any()
    assert not swaps.swap_suspects(shifted, target, covariates=batch)["suspect"].any()


def test_where_many_lie_on_the_wrong_side_the_line_is_not_believed() -> None:
    # As in GSE129643: some of both sides are unlike their own in what tells the sides apart.
    values, target = two_sides(10, 1.5)
    odd = ["s1", "s3", "s5", "s12", "s14", "s16"]
    target[odd] = ~target[odd]
    found = swaps.swap_suspects(values, target)
    assert found["position"].max() > 0.8
    assert not found["suspect"].any()


def test_a_side_that_few_genes_tell_apart_has_no_suspects() -> None:
    values, target = two_sides(7, 1.5)
    target[["s2", "s9"]] = [False, True]
    few = values.copy()
    few.iloc[:, 12:80] -= np.where(np.arange(14) < 7, 1.5, 0.0)[:, None]
    assert swaps.swap_suspects(few, target, min_called=0)["suspect"].any()
    assert not swaps.swap_suspects(few, target)["suspect"].any()


def test_too_few_samples_give_no_position() -> None:
    values, target = two_sides(3, 3.0)
    found = swaps.swap_suspects(values, target)
    assert found["position"].isna().all()
    assert not found["suspect"].any()


def test_excluded_genes_place_nobody() -> None:
    values, target = two_sides(6, 1.5)
    found = swaps.swap_suspects(values, target, exclude=[f"g{i}" for i in range(80)])
    assert not (found["separation"] > 2.5).any() or found["position"].abs().max() < 50
    assert not found["suspect"].any()


def libraries(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.normal(6, 1, 1500))
    rates = mean * rng.gamma(1 / 0.02, 0.02, (5, 1500))
    rates[4] = rates[1] * 0.6
    return pd.DataFrame(rng.poisson(rates), index=[f"s{i}" for i in range(5)])


def test_one_library_twice_is_found_at_another_depth() -> None:
    pairs = swaps.duplicates(libraries())
    assert pairs[["sample_id", "other"]].to_numpy().tolist() == [["s1", "s4"]]
    assert pairs["ratio"].iloc[0] == pytest.approx(1, abs=0.15)


def test_equal_counts_have_ratio_zero() -> None:
    counts = libraries().drop("s4")
    counts.loc["s9"] = counts.loc["s0"]
    assert swaps.duplicates(counts)["ratio"].tolist() == [0.0]


def test_too_few_counted_genes_say_nothing() -> None:
    assert swaps.duplicates(libraries() // 200).empty


def test_flags_join_those_that_are_there() -> None:
    values, target = two_sides(6, 1.5)
    obs = pd.DataFrame({"condition": np.where(target, "als", "healthy")}, index=values.index)
    obs.loc[["s1", "s8"], "condition"] = ["healthy", "als"]
    rng = np.random.default_rng(3)
    raw = pd.DataFrame(
        rng.poisson(500 * rng.gamma(50, 0.02, values.shape)), values.index, values.columns
    )
    raw.loc["s5"] = raw.loc["s4"]
    table = pd.DataFrame({"flags": "", "reasons": ""}, index=values.index)
    table.loc["s1"] = ["pct_hb", "pct_hb 9 > 5"]
    contrast = {
        **{"id": "c", "variable": "condition", "target": "als", "reference": "healthy"},
        **{"adjust": [], "block": None, "within": {}},
    }
    found = swaps.flag(
        table, anndata.AnnData(raw, obs=obs), anndata.AnnData(values, obs=obs), [contrast]
    )
    assert found.loc["s1", "flags"] == "pct_hb;swap_suspect"
    assert "declared healthy but expressed like als" in found.loc["s1", "reasons"]
    assert found.loc["s8", "flags"] == "swap_suspect"
    assert found.loc["s4", "flags"] == found.loc["s5", "flags"] == "duplicate"
    assert "the same library as s5" in found.loc["s4", "reasons"]
    assert (found["flags"] != "").sum() == 4
    paired = swaps.flag(
        table,
        anndata.AnnData(raw, obs=obs),
        anndata.AnnData(values, obs=obs),
        [{**contrast, "block": "subject_id"}],
    )
    assert paired.loc["s8", "flags"] == ""
