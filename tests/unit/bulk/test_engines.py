from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.bulk import deseq2, engines
from alsmuscle.bulk.tables import ENGINES
from alsmuscle.core import contracts
from alsmuscle.stats import linear
from made_up_designs import AT60, PLANTED, TEST, make_counts, make_samples

# Of a fit in which no donor is repeated.
ABOUT = {"donors": "one sample each"}


def _both(log2, n=4, **more):
    samples = make_samples(n)
    fitted = deseq2.fit(
        make_counts(samples, log2(samples)), AT60, min_total=10, inference="batched"
    )
    table = deseq2.test(fitted, samples, AT60, shrink=False, distribution="normal", **TEST | more)
    name, other = engines.second(fitted, samples, AT60, trend=True)
    assert name == "voom"
    return table, other


def test_two_engines_find_what_is_planted():
    table, other = _both(lambda f: 1.5 * (f["genotype"] == "sod1"))
    assert (other.loc[PLANTED, "padj"] < 0.05).all()
    row = contracts.check_table(
        engines.agreement(table, other, about=ABOUT, engine="voom", alpha=0.05), ENGINES, "x"
    ).iloc[0]
    assert row["n_genes"] == 300
    assert row["spearman_effect"] > 0.97
    assert row["spearman_stat"] > 0.97
    assert row["called_both"] >= 18
    assert row["called_both"] <= min(row["called"], row["called_other"])


def test_agreement_by_hand():
    table = pd.DataFrame({"dataset": "x", "contrast": "c", "cell_type": "muscle"}, index=range(4))
    table["gene_id"], table["log2fc"] = list("abcd"), [1.0, 2, 3, -4]
    table["stat"], table["padj"] = [1.0, 2, 3, -4], [0.01, 0.2, 0.01, np.nan]
    other = pd.DataFrame({"effect": [3.0, 2, -1, 9], "stat": [3.0, 2, -1, 9]}, index=list("abce"))
    other["padj"] = [0.01, 0.01, 0.3, 0.01]
    row = engines.agreement(table, other, about=ABOUT, engine="voom", alpha=0.05).iloc[0]
    assert (row["n_genes"], row["spearman_effect"]) == (3, -1)
    assert row["same_direction"] == pytest.approx(2 / 3)
    assert (row["called"], row["called_other"], row["called_both"]) == (2, 2, 1)


def test_without_a_test_or_a_fit_there_is_no_claim():
    table, other = _both(lambda f: 0 * f["severity"], n=2)
    row = engines.agreement(table, other, about=ABOUT, engine="voom", alpha=0.05).iloc[0]
    assert row["n_genes"] > 0
    assert np.isnan(row["called"])
    table, other = _both(lambda f: 0 * f["severity"], n=1)
    assert other is None
    row = engines.agreement(table, other, about=ABOUT, engine="voom", alpha=0.05).iloc[0]
    assert row["n_genes"] == 0


def test_genes_with_few_reads_are_left_to_the_first_engine():
    counts = np.array([[20, 20, 0], [20, 2, 0], [20, 20, 90], [40, 4, 0]])
    size = np.array([1.0, 1.0, 1.0, 2.0])
    assert engines.expressed(counts, size, 3).tolist() == [True, False, False]
    assert engines.expressed(counts, size, 2).tolist() == [True, True, False]


def test_weighted_least_squares_by_hand():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(8), np.arange(8)])
    values, weights = rng.normal(size=(3, 8)), rng.uniform(0.5, 2, (3, 8))
    model = linear.fit(values, X, weights)
    for g in range(3):
        W = np.diag(weights[g])
        beta = np.linalg.solve(X.T @ W @ X, X.T @ W @ values[g])
        np.testing.assert_allclose(model.coef[g], beta)
        r = values[g] - X @ beta
        assert model.s2[g] == pytest.approx(r @ W @ r / 6)
    same = linear.fit(values, X, np.ones_like(values))
    np.testing.assert_allclose(same.s2, linear.fit(values, X).s2)
    with pytest.raises(ValueError, match="rank"):
        linear.fit(values, np.ones((8, 2)))


class MadeUp:
    """An engine that says what it is asked."""

    averages = True

    def expression(self, measured, **options):
        return "expression", sorted(options)

    def fit(self, parts, contrast, **options):
        fitted = parts.copy()
        fitted.uns["fitted"] = False
        return fitted

    def test(self, fitted, samples, contrast, **options):
        return "test", options["alpha"]

    def omnibus(self, fitted, samples, contrast, **options):
        return "omnibus", options["dataset"]

    def second(self, fitted, obs, contrast, *, trend):
        return "made up", None


def test_a_further_engine_is_a_class_and_its_registration(monkeypatch):
    monkeypatch.setitem(engines.ENGINES, "made up", MadeUp())
    samples = make_samples()
    adata = make_counts(samples, np.zeros(len(samples)))
    adata.uns["measure"] = "made up"
    options = {"min_total": 10, "inference": "batched"}
    assert engines.expression(adata, **options)[0] == "expression"
    fitted = engines.fit(adata, AT60, **options)
    assert fitted.uns["fitted"] is False and "donors" in fitted.uns
    testing = {**TEST, "distribution": "quasi", "trend": True}
    own = {"shrink": False, "hidden_factor": False}
    assert engines.test(fitted, samples, AT60, **own, **testing) == ("test", 0.05)
    assert engines.omnibus(fitted, samples, AT60, **testing) == ("omnibus", "x")
    assert engines.second(fitted, samples, AT60, trend=True) == ("made up", None)
