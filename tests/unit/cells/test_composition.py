from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import by_config
from alsmuscle.cells.composition import donor_counts
from alsmuscle.core.errors import InputError

full_test = by_config.composition.composition_test
transform_proportions = by_config.composition.transform_proportions


def study(seed: int, factor: float = 1.0, n: int = 10) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    p = np.array([0.5, 0.25, 0.15, 0.06, 0.04])
    index = pd.Index([f"D{i}" for i in range(n)])
    als = np.arange(n) % 2
    rows = [
        rng.multinomial(600, rng.dirichlet(120 * p * [1, 1, 1, factor if a else 1, 1])) for a in als
    ]
    design = pd.DataFrame({"intercept": 1.0, "als": als.astype(float)}, index=index)
    return pd.DataFrame(rows, index=index, columns=list("ABCDE")), design


def composition_test(
    counts: pd.DataFrame, design: pd.DataFrame, contrast: pd.Series
) -> pd.DataFrame:
    n_target = int(design["als"].sum())
    return full_test(
        counts, design, contrast, n_target=n_target, n_reference=len(design) - n_target
    )


ALS = pd.Series({"intercept": 0.0, "als": 1.0})


def test_donor_counts_adds_the_samples_of_a_donor() -> None:
    obs = pd.DataFrame(
        {"subject_id": ["d1", "d1", "d2"], "cell_type": ["a", "b", "a"], "sample_id": list("xyz")}
    )
    table = donor_counts(obs)
    assert table.loc["d1"].to_dict() == {"a": 1, "b": 1}
    assert table.loc["d2"].to_dict() == {"a": 1, "b": 0}
    assert list(donor_counts(obs, unit="sample_id").index) == ["x", "y", "z"]


def test_transforms_by_hand() -> None:
    counts = pd.DataFrame({"a": [30, 0], "b": [70, 10]})
    logit = transform_proportions(counts)
    assert logit.loc[0, "a"] == pytest.approx(np.log(30.5 / 70.5))
    assert np.isfinite(logit.loc[1, "a"])
    arcsine = transform_proportions(counts, transform="arcsine")
    assert arcsine.loc[0, "a"] == pytest.approx(np.arcsin(np.sqrt(0.3)))


def test_a_planted_shift_is_found_and_swapped_labels_flip_its_sign() -> None:
    counts, design = study(1, factor=4)
    found = composition_test(counts, design, ALS).set_index("cell_type")
    assert found["padj"].idxmin() == "D"
    assert found.loc["D", "padj"] < 0.05
    assert found.loc["D", "ci_low"] < np.log(4) < found.loc["D", "ci_high"]
    swapped = design.assign(als=1 - design["als"])
    other = composition_test(counts, swapped, ALS).set_index("cell_type")
    np.testing.assert_allclose(other["effect"], -found["effect"])
    np.testing.assert_allclose(other["pvalue"], found["pvalue"])


def test_donor_order_does_not_matter() -> None:
    counts, design = study(2, factor=2)
    a = composition_test(counts, design, ALS)
    b = composition_test(counts.iloc[::-1], design.iloc[::-1], ALS)
    np.testing.assert_allclose(a["stat"], b["stat"])


def test_without_a_shift_p_values_are_uniform() -> None:
    p = np.concatenate([composition_test(*study(s), ALS)["pvalue"] for s in range(200)])
    assert 0.035 < np.mean(p < 0.05) < 0.065


def test_two_donors_a_side_give_effects_without_a_test() -> None:
    counts, design = study(3, n=4)
    found = composition_test(counts, design, ALS)
    assert found["effect"].notna().all()
    assert found[["se", "stat", "pvalue", "padj"]].isna().all(axis=None)
    assert set(found["n_target"]) == {2}


def test_errors_speak() -> None:
    counts, design = study(4)
    with pytest.raises(InputError, match="different donors"):
        composition_test(counts, design.iloc[::-1], ALS)
    with pytest.raises(InputError, match="full rank"):
        composition_test(counts, design.assign(copy=design["als"]), pd.Series({**ALS, "copy": 0.0}))
    with pytest.raises(InputError, match="differ in sex"):
        composition_test(counts, design, pd.Series({**ALS, "sex": 0.0}))
    with pytest.raises(InputError, match="no cells for D0"):
        transform_proportions(counts.assign(**dict.fromkeys("ABCDE", 0)).iloc[:1])
    with pytest.raises(InputError, match="two cell types"):
        transform_proportions(counts[["A"]])
    with pytest.raises(InputError, match="unknown transform"):
        transform_proportions(counts, transform="clr")
    with pytest.raises(InputError, match="subject_id"):
        donor_counts(pd.DataFrame({"cell_type": ["a"]}))
