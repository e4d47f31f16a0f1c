from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from alsmuscle.bulk import deseq2
from alsmuscle.bulk.tables import NO_TEST
from alsmuscle.core.errors import InputError
from alsmuscle.design import checks, matrix

CONTRAST = {
    "id": "c",
    "variable": "condition",
    "target": "als",
    "reference": "healthy",
    "adjust": [],
    "block": None,
    "within": {},
}
FIT = {"min_total": 10, "inference": "batched"}
TEST = {
    "dataset": "x",
    "distribution": "quasi",
    "alpha": 0.05,
    "min_replicates": 3,
    "shrink": False,
    "inference": "batched",
}


def _samples(n=4, groups=("healthy", "als"), **columns):
    frame = pd.DataFrame({"condition": np.repeat(groups, n)})
    frame["subject_id"] = [f"d{i}" for i in range(len(frame))]
    frame["dataset"] = "x"
    for name, values in columns.items():
        frame[name] = values
    frame.index = [f"s{i}" for i in range(len(frame))]
    return frame


def _counts(samples, n_genes=300, effect=2.0, seed=0, group="als"):
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.normal(5, 1, n_genes))
    mu = np.tile(mean, (len(samples), 1))
    mu[np.ix_((samples["condition"] == group).to_numpy(), np.arange(n_genes) < 30)] *= effect
    X = rng.negative_binomial(20, 20 / (20 + mu))
    var = pd.DataFrame(
        {"symbol": [f"S{i}" for i in range(n_genes)], "source_id": "x"},
        index=[f"G{i}" for i in range(n_genes)],
    )
    return anndata.AnnData(X=X, obs=samples, var=var)


def _run(samples, counts, contrast=CONTRAST, **test):
    fitted = deseq2.fit(counts, contrast, **FIT)
    return deseq2.test(fitted, samples, contrast, **(TEST | test)).set_index("gene_id")


# --- designs ---


def test_treatment_coding_with_the_reference_as_baseline():
    samples = _samples(2, groups=("healthy", "als", "sma"), age=[30, 40, 50, 60, 70, 80.0])
    design = matrix.design_matrix(samples, {**CONTRAST, "adjust": ["age"]})
    assert list(design) == ["Intercept", "condition[als]", "condition[sma]", "age"]
    assert design["condition[als]"].tolist() == [0, 0, 1, 1, 0, 0]
    assert design["age"].mean() == pytest.approx(0)
    assert design["age"].std(ddof=0) == pytest.approx(1)
    assert matrix.contrast_vector(design, CONTRAST).tolist() == [0, 1, 0, 0]
    other = {**CONTRAST, "target": "sma", "reference": "als"}
    assert matrix.contrast_vector(design, other).tolist() == [0, -1, 1, 0]


def test_terms_that_earlier_ones_determine_are_left_out():
    samples = _samples(2, donor=["a", "b", "a", "b"], same=["u", "u", "v", "v"])
    design = matrix.design_matrix(samples, {**CONTRAST, "adjust": ["same"], "block": "donor"})
    assert list(design) == ["Intercept", "condition[als]", "donor[b]"]


def test_unknown_covariates_and_within_leave_samples_out():
    samples = _samples(2, sex=["male", "", "female", "male"], batch=["1", "1", "1", "2"])
    used = matrix.used_samples(samples, {**CONTRAST, "adjust": ["sex"], "within": {"batch": ["1"]}})
    assert used.index.tolist() == ["s0", "s2"]


@pytest.mark.parametrize(
    ("columns", "contrast", "expected"),
    [
        ({}, {"target": "mnd"}, ["condition = 'mnd'", "als, healthy"]),
        ({"sex": "male"}, {"adjust": ["sex"]}, ["'sex' has the same value", "drop 'sex'"]),
        (
            {"batch": ["1", "1", "2", "2"]},
            {"adjust": ["batch"]},
            ["cannot be separated from 'batch'", "'als' sample has batch 2", "drop 'batch'"],
        ),
        ({}, {"adjust": ["site"]}, ["no column 'site'"]),
        ({"sex": ["", "", "male", "male"]}, {"adjust": ["sex"]}, ["'healthy' is left", "'sex'"]),
        (
            {"donor": ["a", "b", "c", "d"]},
            {"block": "donor"},
            ["cannot be separated from 'donor'"],
        ),
    ],
)
def test_a_design_that_cannot_answer_says_why(columns, contrast, expected):
    samples = _samples(2, **columns)
    with pytest.raises(InputError) as caught:
        checks.check_contrast(samples, {**CONTRAST, **contrast}, "card: contrasts.c")
    for words in ["card: contrasts.c", *expected]:
        assert words in str(caught.value)


def test_one_of_two_covariates_is_named_as_the_guilty_one():
    samples = _samples(4, batch=list("11112222"), sex=list("mfmfmfmf"))
    with pytest.raises(InputError) as caught:
        checks.check_contrast(samples, {**CONTRAST, "adjust": ["sex", "batch"]}, "x")
    assert "'batch'" in str(caught.value)
    assert "'sex'" not in str(caught.value)


def test_a_paired_design_is_estimable():
    samples = _samples(2, donor=["a", "b", "a", "b"])
    checks.check_contrast(samples, {**CONTRAST, "block": "donor"}, "x")


def _kinds(samples, contrast=CONTRAST):
    found = checks.design_warnings(samples, contrast, "x", 3)
    return sorted(zip(found["kind"], found["column"], strict=True))


def test_confounding_is_seen_in_columns_that_are_not_listed():
    samples = _samples(
        4,
        batch=list("11222"[:4]) + list("3344"),
        muscle=["deltoid"] * 4 + ["vastus"] * 3 + ["deltoid"],
        age=[20, 25, 30, 35, 60, 61, 62, 63.0],
        sex=list("mfmfmfmf"),
        library_size=[10, 11, 12, 13, 30, 31, 32, 33],
        label=list("abcdefgh"),
    )
    assert _kinds(samples) == [
        ("ages_apart", "age"),
        ("confounded", "batch"),
        ("library_sizes_apart", "library_size"),
        ("near_confounded", "muscle"),
    ]
    text = checks.design_warnings(samples, CONTRAST, "x", 3).set_index("column")["text"]
    assert "every 'als' sample has batch 3, 4" in text["batch"]
    assert "30 to 33 in 'als', 10 to 13 in 'healthy'" in text["library_size"]
    assert "Mean age 61.5 in 'als' and 27.5 in 'healthy'" in text["age"]


def test_a_column_that_defines_the_groups_is_no_confounder():
    samples = _samples(4, age=[20, 25, 30, 35, 60, 61, 62, 63.0])
    assert _kinds(samples) == [("ages_apart", "age")]
    assert _kinds(samples, {**CONTRAST, "defined_by": ["age"]}) == []


def test_a_balanced_design_has_no_warning():
    samples = _samples(4, batch=list("12121212"), age=[20, 30, 40, 50, 25, 35, 45, 55.0])
    assert _kinds(samples) == []


def test_few_samples_and_unused_pairs_are_said():
    samples = _samples(2, subject_id=["a", "b", "a", "b"])
    assert _kinds(samples) == [("few_samples", "condition"), ("unpaired", "subject_id")]
    assert _kinds(samples, {**CONTRAST, "block": "subject_id"}) == [("few_samples", "condition")]


# --- the fit ---


def test_planted_effects_are_found_with_their_sign():
    samples = _samples(5)
    table = _run(samples, _counts(samples, effect=3))
    planted = table.loc[[f"G{i}" for i in range(30)]]
    assert (planted["padj"] < 0.05).mean() > 0.9
    others = table.loc[[f"G{i}" for i in range(30, 300)]]
    # A tenth of the genes goes one way, which shifts the size factors: compare with the others.
    difference = planted["log2fc"].median() - others["log2fc"].median()
    assert difference == pytest.approx(np.log2(3), abs=0.15)
    assert (others["padj"] < 0.05).mean() < 0.05
    assert table["n_target"].unique() == [5]


def test_swapping_the_labels_flips_every_sign():
    samples = _samples(4)
    counts = _counts(samples)
    swapped = {**CONTRAST, "target": "healthy", "reference": "als"}
    one, two = _run(samples, counts), _run(samples, counts, swapped)
    two = two.loc[one.index]
    np.testing.assert_allclose(one["log2fc"], -two["log2fc"], atol=1e-6)
    np.testing.assert_allclose(one["pvalue"], two["pvalue"], rtol=1e-5)


def test_the_order_of_samples_does_not_matter():
    samples = _samples(4)
    counts = _counts(samples)
    order = np.random.default_rng(3).permutation(len(samples))
    one = _run(samples, counts)
    two = _run(samples.iloc[order], counts[order].copy()).loc[one.index]
    np.testing.assert_allclose(one["stat"], two["stat"], rtol=1e-10)


def test_any_two_levels_are_read_from_one_fit():
    samples = _samples(4, groups=("healthy", "als", "sma"))
    counts = _counts(samples, group="sma")
    fitted = deseq2.fit(counts, CONTRAST, **FIT)
    other = {**CONTRAST, "id": "d", "target": "sma", "reference": "als"}
    table = deseq2.test(fitted, samples, other, **(TEST | {"shrink": True})).set_index("gene_id")
    refitted = _run(samples, counts, other, shrink=True).loc[table.index]
    np.testing.assert_allclose(table["log2fc"], refitted["log2fc"], atol=1e-5)
    np.testing.assert_allclose(table["log2fc_shrunk"], refitted["log2fc_shrunk"], atol=5e-3)
    assert (table["log2fc_shrunk"].abs() <= table["log2fc"].abs() + 1e-6).mean() > 0.95
    assert table.loc[[f"G{i}" for i in range(30)], "log2fc"].median() == pytest.approx(1, abs=0.15)


def test_both_inferences_agree():
    samples = _samples(4)
    counts = _counts(samples, n_genes=60)
    one = _run(samples, counts)
    fitted = deseq2.fit(counts, CONTRAST, min_total=10, inference="default")
    two = deseq2.test(fitted, samples, CONTRAST, **(TEST | {"inference": "default"}))
    two = two.set_index("gene_id").loc[one.index]
    np.testing.assert_allclose(one["log2fc"], two["log2fc"], rtol=1e-4, atol=1e-5)


def test_quasi_likelihood_calls_less_than_the_normal_distribution():
    samples = _samples(4)
    fitted = deseq2.fit(_counts(samples), CONTRAST, **FIT)
    quasi = deseq2.test(fitted, samples, CONTRAST, **TEST).set_index("gene_id")
    normal = deseq2.test(fitted, samples, CONTRAST, **(TEST | {"distribution": "normal"}))
    normal = normal.set_index("gene_id").loc[quasi.index]
    assert normal["df"].isna().all()
    np.testing.assert_allclose(quasi["log2fc"], normal["log2fc"], atol=0.05)
    np.testing.assert_allclose(quasi["stat"], quasi["log2fc"] / quasi["lfc_se"])
    np.testing.assert_allclose(quasi["pvalue"], 2 * stats.t.sf(quasi["stat"].abs(), quasi["df"]))
    np.testing.assert_allclose(normal["pvalue"], 2 * stats.norm.sf(normal["stat"].abs()))
    # Six residual degrees of freedom, and what the prior is worth.
    assert (quasi["df"] > 6).all()


def test_pairing_uses_the_pairs():
    samples = _samples(5)
    samples["donor"] = list("abcde") * 2
    rng = np.random.default_rng(1)
    counts = _counts(samples, effect=2.5)
    donor = np.exp(rng.normal(0, 1, (5, counts.n_vars)))
    counts.X = np.round(counts.X * np.vstack([donor, donor])).astype(int)
    paired = _run(samples, counts, {**CONTRAST, "block": "donor"})
    unpaired = _run(samples, counts)
    planted = [f"G{i}" for i in range(30)]
    assert (paired.loc[planted, "padj"] < 0.05).sum() > 15
    assert (unpaired.loc[planted, "padj"] < 0.05).sum() < 5


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_samples_give_effects_without_a_test(n):
    samples = _samples(n)
    table = _run(samples, _counts(samples))
    assert table["log2fc"].notna().all()
    # An error invites an interval; an effect shrunken by two samples is 0.
    assert table[NO_TEST].isna().all(axis=None)
    assert table.loc[[f"G{i}" for i in range(30)], "log2fc"].median() > 0.4


def test_rare_genes_are_left_out_and_odd_ones_are_sane():
    samples = _samples(4)
    counts = _counts(samples)
    counts.X[:, 40] = 0
    counts.X[:, 41] = [0] * 4 + [500] * 4
    counts.X[0, 42] = 10_000_000
    table = _run(samples, counts)
    assert "G40" not in table.index
    assert np.isfinite(table.loc["G41", "log2fc"])
    assert table.loc["G41", "log2fc"] > 5
    assert not table.loc["G42", "padj"] < 0.05


def test_the_transformed_counts_do_not_see_the_groups():
    samples = _samples(5)
    counts = _counts(samples)
    one = deseq2.vst(counts, **FIT)
    relabelled = counts.copy()
    relabelled.obs["condition"] = ["als", "healthy"] * 5
    assert np.array_equal(one.X, deseq2.vst(relabelled, **FIT).X)
    assert one.shape == counts.shape
