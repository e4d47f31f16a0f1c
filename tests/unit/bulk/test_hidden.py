"""The strongest hidden factor: found, its lean calibrated, and what is planted stays without it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from alsmuscle.bulk import deseq2, engines, hidden
from alsmuscle.stats import distributions
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
    padj = distributions.adjust(found.without["pvalue"])
    assert (padj[:30] < 0.05).mean() > 0.85
    assert (padj[30:] < 0.05).mean() < 0.02
    np.testing.assert_allclose(found.without["effect"][:30].mean(), 2, atol=0.15)


def test_the_lean_is_what_the_known_factor_s_own_t_test_says():
    rng = np.random.default_rng(2)
    for shift in np.repeat([0.0, 1.0, -2.0], 10):
        people = rng.normal(0, 1, 2 * N) + shift * SIDE
        found = hidden.factor(_expression(rng, people), X, VECTOR)
        own = stats.ttest_ind(people[:N], people[N:])
        # The direction of a factor is arbitrary. What t is to chance, the lean is, too.
        assert abs(found.lean) == pytest.approx(abs(own.statistic), rel=0.1, abs=0.15)
        assert found.pvalue == pytest.approx(own.pvalue, rel=0.4, abs=0.05)


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
    assert 0 < found["hidden_share"] < 1
    assert 0 < found["hidden_pvalue"] <= 1
    assert called[PLANTED].sum() * 0.8 <= found["called_without"] <= called.sum()
    untested = table.assign(padj=np.nan)
    assert pd.Series(engines.leaning(fitted, AT60, untested, alpha=0.05)).isna().all()
