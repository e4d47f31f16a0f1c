"""The strongest hidden factor: found, its lean calibrated, and what is planted stays without it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from alsmuscle.bulk import deseq2, engines, hidden
from alsmuscle.bulk.tables import HIDDEN
from alsmuscle.stats import distributions, linear
from made_up_designs import AT60, PLANTED, TEST, make_counts, make_samples

N, GENES = 6, 600
SIDE = np.repeat([1.0, 0.0], N)
X = np.column_stack([np.ones(2 * N), SIDE])
VECTOR = np.array([0.0, 1.0])


def _expression(rng, people, strength=1.0):
    loading = rng.normal(0, strength, GENES)
    return np.outer(loading, people) + rng.normal(0, 0.4, (GENES, 2 * N))


def test_an_unlucky_split_is_seen_and_what_is_planted_stays():
    rng = np.random.default_rng(1)
    people = rng.normal(0, 1, 2 * N) + 2.2 * SIDE
    values = _expression(rng, people)
    values[:30, :N] += 2
    found = hidden.factor(values, X, VECTOR)
    plain = stats.ttest_ind(values[:, :N], values[:, N:], axis=1).pvalue
    # Most genes are called, and most of them follow the factor alone.
    assert (distributions.adjust(plain) < 0.05).mean() > 0.5
    assert found.pvalue < 0.01
    assert 0.4 < found.share < 0.75
    without = hidden.without(values, X, VECTOR, found)
    padj = distributions.adjust(without["pvalue"])
    assert (padj[:30] < 0.05).mean() > 0.85
    assert (padj[30:] < 0.05).mean() < 0.02
    np.testing.assert_allclose(without["effect"][:30].mean(), 2, atol=0.15)


def test_the_lean_is_what_the_known_factor_s_own_t_test_says():
    rng = np.random.default_rng(2)
    for shift in np.repeat([0.0, 1.0, -2.0], 10):
        people = rng.normal(0, 1, 2 * N) + shift * SIDE
        found = hidden.factor(_expression(rng, people), X, VECTOR)
        own = stats.ttest_ind(people[:N], people[N:])
        # The direction of a factor is arbitrary. What t is to chance, the lean is, too.
        assert abs(found.lean) == pytest.approx(abs(own.statistic), rel=0.1, abs=0.15)
        assert found.pvalue == pytest.approx(own.pvalue, rel=0.4, abs=0.05)


def _calls(values, *, calls_know):
    """Share called of the planted genes, the first 30, and of the others."""
    table = linear.moderated_t(linear.fit(values, X), VECTOR, trend=False)
    pvalue = table["pvalue"]
    if calls_know:
        found = hidden.factor(values, X, VECTOR)
        numbers = (table[name].to_numpy() for name in ("effect", "se", "df"))
        pvalue = hidden.beyond_chance(found, *numbers)["pvalue_hidden"]
    called = distributions.adjust(pvalue) < 0.05
    return called[:30].mean(), called[30:].mean()


def _people(rng, t):
    """Draw people whose two sides differ by this t statistic."""
    people = rng.normal(0, 1, 2 * N)
    people -= X @ np.linalg.lstsq(X, people, rcond=None)[0]
    sd = (people @ people / (2 * N - 2)) ** 0.5
    return people / sd + t * (2 / N) ** 0.5 * SIDE


def test_calls_of_an_unlucky_split_are_planted_genes_and_more_of_them():
    rng = np.random.default_rng(5)
    alone, knowing = [], []
    for t in np.linspace(-2.8, 2.8, 15):
        values = _expression(rng, _people(rng, t))
        values[:30, :N] += 1.5
        alone.append(_calls(values, calls_know=False))
        knowing.append(_calls(values, calls_know=True))
    assert max(false for _, false in alone) > 0.4
    assert max(false for _, false in knowing) < 0.02
    assert np.mean(knowing, 0)[0] > np.mean(alone[4:11], 0)[0] + 0.2


def test_what_a_condition_does_along_the_factor_beyond_chance_stays_called():
    rng = np.random.default_rng(6)
    values = _expression(rng, _people(rng, 12))
    assert hidden.factor(values, X, VECTOR).pvalue < 1e-4
    assert _calls(values, calls_know=True)[1] > 0.6


def test_errors_are_never_wider_than_a_gene_s_own_nor_without_its_other_noise():
    rng = np.random.default_rng(7)
    values = _expression(rng, rng.normal(0, 1, 2 * N))
    table = linear.moderated_t(linear.fit(values, X), VECTOR, trend=False)
    found = hidden.factor(values, X, VECTOR)
    numbers = [table[name].to_numpy() for name in ("effect", "se", "df")]
    beyond = hidden.beyond_chance(found, *numbers)
    ratio = beyond["lfc_se_hidden"] / table["se"]
    assert ratio.max() <= 1 + 1e-12
    assert (ratio >= found.noise**0.5 - 1e-12).all()
    # A middle that is already as wide as with the factor leaves the errors as they are.
    wide = hidden.beyond_chance(found, *[numbers[0] * 5, *numbers[1:]])
    np.testing.assert_allclose(wide["lfc_se_hidden"], table["se"])
    numbers[0][3] = np.nan
    assert hidden.beyond_chance(found, *numbers)["pvalue_hidden"].isna().sum() == 1


def test_a_lean_is_taken_off_up_to_what_chance_gives():
    rng = np.random.default_rng(8)
    most = stats.t.ppf(0.975, 2 * N - 2)
    loading = rng.normal(0, 1, GENES)
    for t, taken in ((1.0, 1.0), (-1.0, -1.0), (9.0, most), (-9.0, -most)):
        values = np.outer(loading, _people(rng, t)) + rng.normal(0, 0.01, (GENES, 2 * N))
        found = hidden.factor(values, X, VECTOR)
        # In units of the factor's standard deviation a t of 1 is (2 / N) ** 0.5.
        np.testing.assert_allclose(found.by_chance, loading * taken * (2 / N) ** 0.5, atol=0.05)


def test_a_gene_is_called_only_in_the_direction_of_its_own_fold_change():
    samples = make_samples(6)
    rng = np.random.default_rng(9)
    factor = rng.normal(0, 1, len(samples)) + 1.2 * (samples["genotype"] == "sod1")
    counts = make_counts(samples, 1.5 * (samples["genotype"] == "sod1"))
    follow = rng.normal(0, 1, counts.n_vars) * (np.arange(counts.n_vars) % 2)
    counts.X = rng.poisson(counts.X * 2 ** np.outer(factor, follow)).astype(np.int64)
    fitted = deseq2.fit(counts, AT60, min_total=10, inference="batched")
    fitted.uns["donors"] = "one sample each"
    plain = deseq2.test(fitted, samples, AT60, shrink=False, distribution="quasi", **TEST)
    table = engines.with_hidden_factor(fitted, AT60, plain, alpha=0.05)
    pd.testing.assert_frame_equal(
        table.drop(columns=[*HIDDEN, "padj"]), plain.drop(columns=[*HIDDEN, "padj"])
    )
    called = table[table["padj"] < 0.05]
    assert len(called)
    assert (np.sign(called["log2fc"]) == np.sign(called["log2fc_hidden"])).all()
    assert (called["pvalue"] < 0.1).all()
    turned = np.sign(table["log2fc"]) != np.sign(table["log2fc_hidden"])
    assert (table.loc[turned & table["padj"].notna(), "padj"] > 0.05).all()
    # Which genes are tested is decided before.
    assert (table["padj"].notna() == plain["padj"].notna()).all()


@pytest.mark.parametrize(
    "values",
    [
        np.ones((GENES, 2 * N)),
        np.outer(np.arange(GENES), np.arange(2 * N)),
        np.random.default_rng(1).normal(size=(hidden.MIN_GENES - 1, 2 * N)),
        np.vstack([np.random.default_rng(1).normal(size=(20, 2 * N)), np.ones((GENES, 2 * N))]),
    ],
    ids=["nothing varies", "one factor is all", "a panel of genes", "hardly a gene varies"],
)
def test_what_shows_no_factor_is_left_as_it_is(values):
    assert hidden.factor(values, X, VECTOR) is None


def test_genes_that_do_not_vary_stay_as_they_are_beside_a_factor():
    rng = np.random.default_rng(10)
    values = _expression(rng, rng.normal(0, 1, 2 * N))
    values[:50] = 3.0
    found = hidden.factor(values, X, VECTOR)
    assert (found.noise[:50] == 1).all() and np.abs(found.by_chance[:50]).max() < 1e-12
    assert np.isfinite(found.noise).all() and np.isfinite(found.by_chance).all()


def test_too_few_samples_show_no_factor():
    rng = np.random.default_rng(4)
    few = np.r_[0:2, N : N + 3]
    assert hidden.factor(rng.normal(size=(50, 5)), X[few], VECTOR) is None


def test_a_contrast_says_how_many_calls_stay():
    samples = make_samples(4)
    counts = make_counts(samples, 1.5 * (samples["genotype"] == "sod1"))
    fitted = deseq2.fit(counts, AT60, min_total=10, inference="batched")
    fitted.uns["donors"] = "one sample each"
    table = deseq2.test(fitted, samples, AT60, shrink=False, distribution="quasi", **TEST)
    found = engines.leaning(fitted, AT60, table, alpha=0.05)
    called = table.set_index("gene_id")["padj"] < 0.05
    assert np.isnan(found["called_alone"])
    assert 0 < found["hidden_share"] < 1
    assert 0 < found["hidden_pvalue"] <= 1
    assert called[PLANTED].sum() * 0.8 <= found["called_without"] <= called.sum()
    knowing = engines.with_hidden_factor(fitted, AT60, table, alpha=0.05)
    assert engines.leaning(fitted, AT60, knowing, alpha=0.05)["called_alone"] == called.sum()
    untested = table.assign(padj=np.nan)
    assert pd.Series(engines.leaning(fitted, AT60, untested, alpha=0.05)).isna().all()
