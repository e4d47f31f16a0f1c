"""The denervation axis: hand-computed cases, properties, planted truth, errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.core.errors import InputError
from by_config import axis as denervation
from by_config import log_scale


def table(effect: np.ndarray, se: np.ndarray | float) -> pd.DataFrame:
    names = [f"g{i}" for i in range(len(effect))]
    return pd.DataFrame({"effect": effect, "se": se}, index=names)


def planted(
    slope: float, n: int = 4000, se: float = 0.5, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    beta = np.where(rng.random(n) < 0.3, rng.normal(0, 1, n), 0)
    den = beta + rng.normal(0, se, n)
    als = slope * beta + rng.normal(0, 0.2, n)
    return table(als, 0.2), table(den, se)


def test_lambda_by_hand() -> None:
    # equal weights: sum(bD bA) = 50 * (2*1 + 1*2) = 200; sum(bD^2 - sD^2) = 50 * (4 + 1 - 2*0.25)
    den, als = table(np.tile([2.0, 1.0], 50), 0.5), table(np.tile([1.0, 2.0], 50), 0.3)
    axis = denervation.denervation_axis(als, den)
    assert axis["lambda"] == pytest.approx(200 / 225)
    assert axis["reliability"] == pytest.approx(4.5 / 5)
    assert axis["n_genes"] == 100
    assert axis["interval"] == denervation.ANALYTIC


def test_noise_correction_removes_the_attenuation() -> None:
    als, den = planted(0.6)
    axis = denervation.denervation_axis(als, den)
    assert axis["lambda"] == pytest.approx(0.6, abs=0.03)
    naive = (den["effect"] * als["effect"]).sum() / (den["effect"] ** 2).sum()
    assert naive < 0.4  # what an uncorrected slope would say
    assert axis["lambda"] * axis["reliability"] == pytest.approx(naive)


def test_lambda_scales_and_flips_with_the_als_effects() -> None:
    als, den = planted(0.6)
    base = denervation.denervation_axis(als, den)
    flipped = denervation.denervation_axis(als.assign(effect=-als["effect"]), den)
    assert flipped["lambda"] == pytest.approx(-base["lambda"])
    assert flipped["ci_low"] == pytest.approx(-base["ci_high"])
    assert flipped["correlation"] == pytest.approx(-base["correlation"])
    shuffled = denervation.denervation_axis(als.sample(frac=1, random_state=1), den)
    assert shuffled["lambda"] == pytest.approx(base["lambda"])


def test_noise_corrected_correlation_recovers_the_correlation_of_the_true_effects() -> None:
    rng = np.random.default_rng(2)
    n, r = 8000, 0.7
    true_d = rng.normal(0, 1, n)
    true_a = r * true_d + np.sqrt(1 - r**2) * rng.normal(0, 1, n)
    als, den = table(true_a + rng.normal(0, 0.8, n), 0.8), table(true_d + rng.normal(0, 1, n), 1.0)
    raw, corrected = denervation.noise_corrected_correlation(als, den)
    assert raw == pytest.approx(r / np.sqrt(2 * 1.64), abs=0.03)
    assert corrected == pytest.approx(r, abs=0.04)


def test_pure_noise_gives_no_lambda_and_says_why() -> None:
    rng = np.random.default_rng(1)
    als, den = table(rng.normal(0, 1, 500), 1.0), table(rng.normal(0, 1, 500), 1.0)
    axis = denervation.denervation_axis(als, den)
    assert np.isnan(axis["lambda"]) and np.isnan(axis["ci_low"]) and np.isnan(axis["correlation"])
    assert "mostly noise" in axis["reason"]


def test_the_tested_block_is_left_out() -> None:
    als, den = planted(0.5, se=0.2)
    block = [f"g{i}" for i in range(40)]
    als.loc[block, "effect"], den.loc[block, "effect"] = 5.0, 4.0  # would pull the slope
    assert denervation.denervation_axis(als, den)["lambda"] > 0.6
    blocks = pd.DataFrame(
        {"programme": ["P"], "block": ["b"], "stripped": False, "effect": 5.0, "se": 0.1}
    )
    members = pd.DataFrame({"programme": "P", "block": "b", "gene_id": block, "sign": 1})
    out = denervation.block_delta(als, den, blocks, blocks.assign(effect=4.0), members).iloc[0]
    direct = denervation.denervation_axis(als, den, exclude=block)
    assert out["lambda"] == pytest.approx(direct["lambda"])
    assert out["lambda_se"] == pytest.approx(direct["se"], rel=0.05)
    assert out["delta"] == pytest.approx(5 - 4 * direct["lambda"])
    variance = 0.1**2 + out["lambda"] ** 2 * 0.1**2 + 4**2 * out["lambda_se"] ** 2
    assert out["delta_se"] == pytest.approx(np.sqrt(variance))
    assert out["ci_low"] < out["ci90_low"] < out["delta"] < out["ci90_high"] < out["ci_high"]


def test_errors_speak() -> None:
    als, den = planted(0.5)
    with pytest.raises(InputError, match="0 genes are measured in both"):
        denervation.denervation_axis(als, den.set_index("x" + den.index))
    with pytest.raises(InputError, match="gene 'g0' is duplicated in the ALS"):
        denervation.denervation_axis(pd.concat([als, als.head(1)]), den)
    with pytest.raises(InputError, match="lack the column 'se'"):
        denervation.denervation_axis(als, den.drop(columns="se"))
    few = pd.DataFrame(np.zeros((5, len(als))), columns=als.index)
    with pytest.raises(InputError, match="5 bootstrap replicates"):
        denervation.denervation_axis(als, den, als_replicates=few)
    with pytest.raises(InputError, match="replicates lack 3999"):
        denervation.denervation_axis(als, den, als_replicates=few[["g0"]])
    blocks = pd.DataFrame(
        {"programme": ["P"], "block": ["b"], "stripped": False, "effect": 1.0, "se": 0.1}
    )
    members = pd.DataFrame({"programme": ["Q"], "block": "b", "gene_id": "g0", "sign": 1})
    with pytest.raises(InputError, match="no member genes given for block 'P/b'"):
        denervation.block_delta(als, den, blocks, blocks, members)


def test_axes_over_all_pairs_with_every_reason() -> None:
    biology = log_scale.simulate_biology(seed=3)
    common = {"n_target": 8, "n_reference": 8}
    als = log_scale.simulate_study(biology, effect=0.5 * biology.denervation, **common, seed=1)
    den = log_scale.simulate_study(biology, effect=biology.denervation, **common, seed=2)

    def long(table: pd.DataFrame, dataset: str, prefix: str = "") -> pd.DataFrame:
        out = table.copy()
        if "programme" not in out:
            out = out.rename_axis("gene_id").reset_index()
            out["gene_id"] = prefix + out["gene_id"]
        return out.assign(dataset=dataset, contrast="c", cell_type="muscle")

    genes = pd.concat(
        [long(als.effects, "als"), long(den.effects, "den"), long(den.effects, "rat", "R")]
    )
    blocks = pd.concat([long(als.blocks, "als"), long(den.blocks, "den")])
    contrasts = pd.DataFrame(
        {"dataset": ["als", "den", "rat"], "contrast": "c", "species": ["mouse", "mouse", "rat"],
         "n_target": 8, "n_reference": 8}
    )  # fmt: skip
    pairs = pd.DataFrame(
        [("den", "lambda", "same"), ("rat", "correlation", "species differs"), ("x", "none", "no")],
        columns=["reference_dataset", "mode", "reason"],
    ).assign(dataset="als", contrast="c", reference_contrast="c")
    axis, deltas = denervation.axes(
        pairs, contrasts, genes, blocks, {"mouse": biology.members},
        replicates={("als", "c", "muscle"): als.replicates},
        to_human={"rat": {f"Rg{i}": f"g{i}" for i in range(800)}},
    )  # fmt: skip
    axis = axis.set_index("reference")
    assert list(axis.columns) == [c for c in denervation.AXIS_COLUMNS if c != "reference"]
    assert axis.loc["den/c", "ci_low"] < 0.5 < axis.loc["den/c", "ci_high"]
    assert axis.loc["den/c", "interval"] == denervation.MIXED
    assert pd.isna(axis.loc["rat/c", "lambda"])
    assert axis.loc["rat/c", "correlation"] == pytest.approx(axis.loc["den/c", "correlation"])
    assert axis.loc["x/c", ["mode", "reason"]].tolist() == ["none", "no"]
    assert len(deltas) == 8 and set(deltas["reference"]) == {"den/c"}
    assert deltas["shared_df"].eq(14).all()


def test_genes_that_follow_the_reference_loosely_widen_delta_where_the_reference_moves():
    rng = np.random.default_rng(11)
    genes = [f"g{i}" for i in range(2000)]
    truth = np.where(rng.random(2000) < 0.3, rng.normal(0, 2, 2000), 0.0)
    den = pd.DataFrame({"effect": truth + rng.normal(0, 0.1, 2000), "se": 0.1}, index=genes)
    blocks = pd.DataFrame(
        {"programme": ["P", "Q"], "block": "b", "stripped": False, "effect": 0.6, "se": 0.1}
    )
    den_blocks = blocks.assign(effect=[2.0, 0.0])
    members = pd.DataFrame(
        {"programme": ["P", "Q"], "block": "b", "gene_id": ["g0", "g1"], "sign": 1}
    )
    found = {}
    for spread in (0.0, 0.4):
        own = rng.normal(0.5, spread, 2000) if spread else np.full(2000, 0.5)
        als = den.assign(effect=own * truth + rng.normal(0, 0.1, 2000))
        axis = denervation.denervation_axis(als, den)
        assert axis["slope_spread"] == pytest.approx(spread, abs=0.06)
        found[spread] = denervation.block_delta(als, den, blocks, den_blocks, members)
    tight, loose = found[0.0].set_index("programme"), found[0.4].set_index("programme")
    extra = loose["delta_se"] ** 2 - tight["delta_se"] ** 2
    assert extra["P"] == pytest.approx((0.4 * 2.0) ** 2, rel=0.3)
    assert loose.loc["Q", "delta_se"] == pytest.approx(tight.loc["Q", "delta_se"], rel=0.05)
    assert (
        loose.loc["P", "shared_sd"] > 0.6
    )  # all contrasts share it: more studies do not average it out
