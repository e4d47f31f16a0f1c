"""Block effects, camera, over-representation and Hedges g against R (limma, metafor)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln

from alsmuscle.genesets import block_tests
from by_config import camera, pathways

HERE = Path(__file__).parent / "programmes"


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(HERE / name, sep="\t", float_precision="round_trip")


@pytest.fixture(scope="module")
def expression() -> pd.DataFrame:
    return table("expression.tsv").set_index("gene_id")


@pytest.fixture(scope="module")
def samples() -> pd.DataFrame:
    return table("samples.tsv").set_index("sample_id")


@pytest.fixture(scope="module")
def members() -> pd.DataFrame:
    return table("members.tsv").assign(stripped=False)


@pytest.fixture(scope="module")
def by_group(samples: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    design = pd.get_dummies(samples["group"], dtype=float)[["reference", "target"]]
    design["age"] = samples["age"].astype(float)
    return design, pd.Series({"target": 1.0, "reference": -1.0})


def compare(ours: pd.DataFrame, theirs: pd.DataFrame, columns: list[str], rtol: float) -> None:
    joined = theirs.set_index("block").join(ours.set_index("block"), lsuffix="_r")
    assert len(joined) == len(theirs)
    for column in columns:
        np.testing.assert_allclose(joined[column], joined[f"{column}_r"], rtol=rtol, err_msg=column)


COLUMNS = ["effect", "se", "ci_low", "ci_high", "pvalue", "padj", "df"]


def test_effects_with_a_covariate_agree_with_limma(expression, members, by_group):
    design, contrast = by_group
    ours = block_tests.effects(expression, design, contrast, members)
    theirs = table("effects.tsv").query("case == 'covariate'")
    compare(ours, theirs, COLUMNS, rtol=1e-9)


def test_paired_effects_with_donor_columns_agree_with_limma(expression, members, samples):
    design = pd.get_dummies(samples["donor"], dtype=float)
    design["after"] = (samples["time"] == "after").astype(float)
    ours = block_tests.effects(expression, design, pd.Series({"after": 1.0}), members)
    compare(ours, table("effects.tsv").query("case == 'paired'"), COLUMNS, rtol=1e-9)


def test_donors_as_random_effect_agree_with_duplicate_correlation(
    expression, members, by_group, samples
):
    design, contrast = by_group
    ours = block_tests.effects(expression, design, contrast, members, subject=samples["donor"])
    theirs = table("effects.tsv").query("case == 'donor_random'")
    compare(ours, theirs, COLUMNS, rtol=1e-6)


def test_stripped_versions_do_not_change_the_complete_ones(expression, members, by_group):
    design, contrast = by_group
    stripped = members[members["block"].isin(["up", "fac"])].assign(stripped=True).iloc[::2]
    both = pd.concat([members, stripped])
    ours = block_tests.effects(expression, design, contrast, both)
    assert ours["stripped"].sum() == 2
    theirs = table("effects.tsv").query("case == 'covariate'")
    compare(ours[~ours["stripped"]], theirs, COLUMNS, rtol=1e-9)


def test_hedges_g_agrees_with_metafor(expression, members, samples):
    before = samples[samples["time"] == "before"]
    design = pd.get_dummies(before["group"], dtype=float)
    contrast = pd.Series({"target": 1.0, "reference": -1.0})
    ours = block_tests.effects(expression[before.index], design, contrast, members)
    joined = table("hedges.tsv").set_index("block").join(ours.set_index("block"))
    np.testing.assert_allclose(joined["hedges_g"], joined["g"], rtol=1e-9)
    # metafor's large-sample variance has the number of donors where ours has the residual df.
    df = joined["n"] - 2
    theirs = joined["v"] - joined["g"] ** 2 / (2 * joined["n"]) + joined["g"] ** 2 / (2 * df)
    np.testing.assert_allclose(joined["hedges_g_var"], theirs, rtol=1e-9)


def test_hedges_g_of_pairs_is_in_raw_standard_deviations(expression, members, samples):
    design = pd.get_dummies(samples["donor"], dtype=float)
    design["after"] = (samples["time"] == "after").astype(float)
    ours = block_tests.effects(
        expression, design, pd.Series({"after": 1.0}), members, groups=samples["time"]
    )
    r = table("pairs.tsv").set_index("block").join(ours.set_index("block"))
    n, df = 8, 14
    correction = np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    g = correction * r["d_raw"]
    np.testing.assert_allclose(r["hedges_g"], g, rtol=1e-9)
    raw = (r["sd_pre"] ** 2 + r["sd_post"] ** 2) / 2
    differences = r["sd_pre"] ** 2 + r["sd_post"] ** 2 - 2 * r["r"] * r["sd_pre"] * r["sd_post"]
    np.testing.assert_allclose(r["hedges_g_var"], differences / n / raw + g**2 / (2 * df), 1e-9)


def sets() -> dict[str, dict[str, list[str]]]:
    return {"C": table("sets.tsv").groupby("term", sort=False)["gene_id"].agg(list).to_dict()}


def check_camera(ours: pd.DataFrame, case: str) -> None:
    theirs = table("camera.tsv").query("case == @case").set_index("term")
    joined = theirs.join(ours.set_index("term"), lsuffix="_r")
    assert len(joined) == 9
    for column in ("size", "pvalue", "padj"):
        np.testing.assert_allclose(joined[column], joined[f"{column}_r"], rtol=1e-9, err_msg=column)
    assert (joined["direction"] == joined["direction_r"]).all()
    known = joined["correlation_r"].notna()
    np.testing.assert_allclose(
        joined.loc[known, "correlation"], joined.loc[known, "correlation_r"], rtol=1e-9
    )


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("estimated", {}),
        ("estimated_negative", {"allow_negative": True}),
        ("fixed", {"inter_gene_cor": 0.01}),
    ],
)
def test_camera_agrees_with_limma(expression, by_group, case, options):
    design, contrast = by_group
    check_camera(camera.camera(expression, design, contrast, sets(), min_size=1, **options), case)


@pytest.mark.parametrize(("case", "cor"), [("preranked", 0.01), ("preranked_0.05", 0.05)])
def test_preranked_camera_agrees_with_limma(case, cor):
    statistic = table("statistic.tsv").set_index("gene_id")["t"]
    ours = camera.camera_pr(statistic, sets(), inter_gene_cor=cor, min_size=1)
    check_camera(ours, case)


def test_over_representation_agrees_with_phyper():
    statistic = table("statistic.tsv").set_index("gene_id")["t"]
    top = statistic.sort_values().index[-40:]
    ours = pathways.ora(top, statistic.index, sets(), min_size=1).set_index("term")
    theirs = table("ora.tsv").set_index("term")
    joined = theirs.join(ours, lsuffix="_r")
    assert (joined["overlap"] == joined["overlap_r"]).all()
    np.testing.assert_allclose(joined["pvalue"], joined["pvalue_r"], rtol=1e-10)
