"""Interaction, several groups, continuous variables, time courses: what is read, and what stops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association

from alsmuscle.bulk import deseq2
from alsmuscle.core.errors import InputError
from alsmuscle.data import cards
from alsmuscle.design import checks
from alsmuscle.design import matrix as designs
from made_up_designs import (
    AT60,
    BASE,
    BY_AGE,
    CONTINUOUS,
    FIT,
    INTERACTION,
    PLANTED,
    SIDES,
    TEST,
    TREND,
    make_counts,
    make_samples,
)


def _effect(samples, log2, contrast, **more):
    counts = make_counts(samples, log2)
    fitted = deseq2.fit(counts, contrast, **FIT)
    table = deseq2.test(
        fitted, samples, contrast, shrink=False, distribution="normal", **TEST | more
    ).set_index("gene_id")
    others = table["log2fc"].drop([f"G{i}" for i in range(20)]).median()
    return table.loc[[f"G{i}" for i in range(20)], "log2fc"].median() - others, table


# --- what is read ---


def test_the_terms_of_an_interaction():
    samples = make_samples(1)
    design = designs.design_matrix(samples, AT60)
    assert list(design) == [
        *("Intercept", "genotype[sod1]", "day[60]", "day[90]"),
        *("genotype[sod1]:day[60]", "genotype[sod1]:day[90]"),
    ]
    assert designs.contrast_vector(design, AT60).tolist() == [0, 1, 0, 0, 1, 0]
    assert designs.contrast_vector(design, {**AT60, "at": "30"}).tolist() == [0, 1, 0, 0, 0, 0]
    assert designs.contrast_vector(design, INTERACTION).tolist() == [0, 0, 0, 0, 0, 1]
    # Slope of the three differences on 30, 60, 90: (d90 - d30) / 60.
    np.testing.assert_allclose(
        designs.contrast_vector(design, TREND), [0, 0, 0, 0, 0, 1 / 60], atol=1e-12
    )


def _true(samples, contrast):
    """The contrast of exact cell means, through the design: what a perfect fit would give."""
    sod1, day = samples["genotype"] == "sod1", samples["day"].astype(float)
    mean = 5 + 0.02 * day + sod1 * (1 + 0.1 * (day - 30))
    design = designs.design_matrix(samples, contrast)
    beta = np.linalg.lstsq(design.to_numpy(), mean.to_numpy(), rcond=None)[0]
    return designs.contrast_vector(design, contrast) @ beta


@pytest.mark.parametrize(
    ("contrast", "expected"),
    [
        (AT60, 4.0),
        ({**AT60, "at": "90"}, 7.0),
        (INTERACTION, 6.0),
        ({**INTERACTION, "at": "60", "against": "90"}, -3.0),
        (TREND, 0.1),
        ({**TREND, "target": "wildtype", "reference": "sod1"}, -0.1),
    ],
)
def test_contrasts_of_exact_means(contrast, expected):
    assert _true(make_samples(), contrast) == pytest.approx(expected)
    # Whatever covariate stands beside it: these means do not depend on it.
    assert _true(make_samples(), {**contrast, "adjust": ["sex", "age"]}) == pytest.approx(expected)


def test_missing_cells_leave_the_others_what_they_are():
    samples = make_samples()
    part = samples[~((samples["genotype"] == "wildtype") & (samples["day"] == "90"))]
    assert _true(part, AT60) == pytest.approx(4.0)
    checks.check_contrast(part, AT60, "x")
    with pytest.raises(InputError, match="no sample is 'wildtype' with day '90'"):
        checks.check_contrast(part, {**AT60, "at": "90"}, "x")
    with pytest.raises(InputError, match="no sample is 'wildtype' with day '90'"):
        checks.check_contrast(part, TREND, "x")


def test_a_slope_is_per_unit_whatever_the_scale():
    samples = make_samples()
    slope, _ = _effect(samples, 0.05 * samples["severity"], CONTINUOUS)
    assert slope == pytest.approx(0.05, abs=0.01)
    wide = samples.assign(severity=samples["severity"] * 1000)
    large, _ = _effect(wide, 0.05 * samples["severity"], CONTINUOUS)
    assert large * 1000 == pytest.approx(slope, rel=1e-3)


def test_a_difference_that_changes_with_age():
    samples = make_samples()
    sod1 = samples["genotype"] == "sod1"
    slope, table = _effect(samples, sod1 * 0.08 * (samples["age"] - 60), BY_AGE)
    assert slope == pytest.approx(0.08, abs=0.02)
    assert (table.loc[[f"G{i}" for i in range(20)], "padj"] < 0.05).mean() > 0.8


def test_a_fit_serves_every_contrast_of_its_design():
    samples = make_samples()
    sod1, day = samples["genotype"] == "sod1", samples["day"].astype(float)
    counts = make_counts(samples, sod1 * 0.03 * (day - 30))
    names = {cards.design_id(c) for c in (AT60, INTERACTION, TREND)}
    assert names == {"genotype*day"}
    fitted = deseq2.fit(counts, TREND, **FIT)
    for contrast, expected in ((AT60, 0.9), (INTERACTION, 1.8), (TREND, 0.03)):
        table = deseq2.test(
            fitted, samples, contrast, shrink=True, distribution="normal", **TEST
        ).set_index("gene_id")
        own = table.loc[[f"G{i}" for i in range(20)]]
        shift = table["log2fc"].drop(own.index).median()
        assert own["log2fc"].median() - shift == pytest.approx(expected, rel=0.25)
        assert (own["padj"] < 0.05).sum() >= 10
        assert table["log2fc_shrunk"].abs().sum() < table["log2fc"].abs().sum()


def test_interaction_and_sides_count_samples_of_their_levels_only():
    samples = make_samples(3)
    target, reference = designs.sides(samples, INTERACTION)
    assert (target.sum(), reference.sum()) == (6, 6)
    assert designs.smallest_cell(samples, INTERACTION) == 3
    assert designs.smallest_cell(samples, AT60) == 3
    assert designs.smallest_cell(samples, TREND) == 3
    above, below = designs.sides(samples, CONTINUOUS)
    assert (above.sum(), below.sum()) == (9, 9)
    assert (~(above & below)).all()


def test_a_cell_of_two_gives_no_test():
    samples = make_samples(2)
    _, table = _effect(samples, np.zeros(12), INTERACTION)
    assert table["log2fc"].notna().all()
    assert table["pvalue"].isna().all()


def test_one_sample_per_cell_gives_the_difference_of_differences():
    samples = make_samples(1)
    sod1, late = samples["genotype"] == "sod1", samples["day"] == "90"
    effect, table = _effect(samples, 2.0 * (sod1 & late), INTERACTION)
    assert effect == pytest.approx(2, abs=0.4)
    assert table[["stat", "pvalue", "padj"]].isna().all().all()


# --- omnibus ---


def _omnibus(samples, log2, contrast, **more):
    fitted = deseq2.fit(make_counts(samples, log2), contrast, **FIT)
    table = deseq2.omnibus(fitted, samples, contrast, **TEST | {"distribution": "quasi"} | more)
    return {name: part.set_index("gene_id") for name, part in table.groupby("test", sort=False)}


def test_a_constant_difference_moves_one_hypothesis_and_not_the_other():
    samples = make_samples()
    found = _omnibus(samples, 1.5 * (samples["genotype"] == "sod1"), AT60)
    assert list(found) == ["genotype", "genotype:day"]
    assert found["genotype"]["df"].unique() == [3]
    assert found["genotype:day"]["df"].unique() == [2]
    assert (found["genotype"].loc[PLANTED, "padj"] < 0.05).all()
    assert (found["genotype:day"].loc[PLANTED, "pvalue"] < 0.05).mean() < 0.3


def test_a_difference_that_changes_is_found():
    samples = make_samples()
    late = (samples["genotype"] == "sod1") & (samples["day"] == "90")
    found = _omnibus(samples, 2.0 * late, AT60)
    assert (found["genotype:day"].loc[PLANTED, "padj"] < 0.05).mean() > 0.9
    others = found["genotype:day"]["pvalue"].drop(PLANTED)
    assert (others < 0.05).mean() < 0.08


def test_three_groups_have_one_test_and_two_have_none():
    samples = make_samples()
    three = {**BASE, "variable": "day", "target": "60", "reference": "30"}
    found = _omnibus(samples, samples["day"] == "90", three)
    assert list(found) == ["day"]
    assert (found["day"].loc[PLANTED, "padj"] < 0.05).mean() > 0.9
    assert _omnibus(samples, np.zeros(24), {**BASE, **SIDES}) == {}
    assert _omnibus(samples, np.zeros(24), CONTINUOUS) == {}


def test_the_statistic_is_twice_the_gain_in_likelihood():
    from scipy.optimize import minimize
    from scipy.stats import nbinom

    samples = make_samples()
    late = (samples["genotype"] == "sod1") & (samples["day"] == "90")
    fitted = deseq2.fit(make_counts(samples, 1.0 * late), AT60, **FIT)
    X = fitted.obsm["design_matrix"].to_numpy(float)
    size = fitted.obs["size_factors"].to_numpy()
    for gene in (0, 5, 50):
        y, alpha = fitted.X[:, gene], fitted.var["dispersions"].iloc[gene]

        def best(matrix, y=y, alpha=alpha):
            def loss(beta):
                mu = size * np.exp(matrix @ beta)
                return -nbinom.logpmf(y, 1 / alpha, 1 / (1 + alpha * mu)).sum()

            start = np.zeros(matrix.shape[1])
            start[0] = np.log((y / size).mean())
            return -minimize(loss, start, method="BFGS").fun

        expected = 2 * (best(X) - best(X[:, :4]))
        assert fitted.varm["omnibus"]["genotype:day"].iloc[gene] == pytest.approx(
            expected, abs=2e-3
        )


def test_few_samples_give_statistics_without_a_test():
    found = _omnibus(make_samples(2), np.zeros(12), AT60)
    assert found["genotype"]["stat"].notna().all()
    assert found["genotype"]["pvalue"].isna().all()


# --- what stops ---


@pytest.mark.parametrize(
    ("change", "contrast", "expected"),
    [
        ({}, {**AT60, "at": "120"}, ["no sample has day = '120'", "30, 60, 90"]),
        ({}, {**AT60, "target": "fus"}, ["no sample has genotype = 'fus'"]),
        ({"severity": "bad"}, CONTINUOUS, ["'severity' does not hold numbers", "numeric: true"]),
        ({"severity": 1.0}, CONTINUOUS, ["1 different value(s)", "at least 3"]),
        ({"severity": np.nan}, CONTINUOUS, ["0 different value(s)"]),
        (
            {"site": lambda f: f["severity"].round(3).astype(str)},
            {**CONTINUOUS, "adjust": ["site"]},
            ["cannot be separated from 'site'", "does not vary among samples of the same site"],
        ),
        (
            {"double": lambda f: 2 * f["severity"] + 1},
            {**CONTINUOUS, "adjust": ["double"]},
            ["cannot be separated from 'double'", "drop 'double'"],
        ),
        (
            {"batch": lambda f: ((f["genotype"] == "sod1") & (f["day"] == "90")).astype(str)},
            {**INTERACTION, "adjust": ["batch"]},
            ["cannot be separated from 'batch'", "'sod1' with day '90' sample has batch True"],
        ),
        ({"day": lambda f: "d" + f["day"]}, TREND, ["'d30', which is no number"]),
        ({"day": lambda f: f["day"].replace("90", "60")}, TREND, ["only 2 level(s)"]),
        ({}, {**CONTINUOUS, "variable": "crp"}, ["no column 'crp'"]),
        ({}, {**AT60, "across": "week"}, ["no column 'week'"]),
    ],
)
def test_what_cannot_be_answered_stops_in_words(change, contrast, expected):
    samples = make_samples().assign(**change)
    with pytest.raises(InputError) as caught:
        checks.check_contrast(samples, contrast, "card: contrasts.c")
    for words in ["card: contrasts.c", *expected]:
        assert words in str(caught.value)


@pytest.mark.parametrize("contrast", [AT60, INTERACTION, TREND, CONTINUOUS, BY_AGE])
def test_sound_designs_pass_without_a_warning(contrast):
    samples = make_samples()
    checks.check_contrast(samples, contrast, "x")
    assert checks.design_warnings(samples, contrast, "x", 3).empty


def test_confounding_of_what_is_not_in_the_model():
    samples = make_samples().assign(
        lane=lambda f: ((f["genotype"] == "sod1") & (f["day"] == "90")).map(
            {True: "2", False: "1"}
        ),
        score=lambda f: f["severity"] + np.arange(len(f)) % 3,
        block=lambda f: pd.cut(f["severity"], 12).astype(str),
    )
    found = checks.design_warnings(samples, INTERACTION, "x", 3)
    assert found[["kind", "column"]].to_numpy().tolist() == [["confounded", "lane"]]
    assert "is confounded with lane" in found["text"].iloc[0]
    found = checks.design_warnings(samples, CONTINUOUS, "x", 3).set_index("column")
    assert found["kind"].to_dict() == {"score": "near_confounded", "block": "near_confounded"}
    twice = [f"p{i // 2}" for i in range(len(samples))]
    repeated = samples.assign(subject_id=twice)[list(make_samples())]
    found = checks.design_warnings(repeated, CONTINUOUS, "x", 3)
    assert found["kind"].tolist() == ["repeated_donors"]


def test_numbers_and_their_text_are_one_level():
    samples = make_samples().assign(day=lambda f: f["day"].astype(float))
    assert _true(samples, AT60) == pytest.approx(4.0)
    assert _true(samples, TREND) == pytest.approx(0.1)


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (4, 5)])
def test_cramers_v_is_scipy_s(shape: tuple[int, int]) -> None:
    table = np.random.default_rng(sum(shape)).integers(1, 30, shape)
    assert checks.cramers_v(table) == pytest.approx(association(table, correction=False))
