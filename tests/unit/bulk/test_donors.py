"""Repeated samples of a donor, against limma."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alsmuscle.bulk import donors
from alsmuscle.stats import linear

HERE = Path(__file__).parents[2] / "reference" / "donors"


@pytest.fixture(scope="module")
def frozen():
    samples = pd.read_csv(HERE / "samples.tsv", sep="\t")
    counts = pd.read_csv(HERE / "counts.tsv", sep="\t").to_numpy(float)
    X = np.column_stack([np.ones(len(samples)), samples["side"], samples["region"]]).astype(float)
    consensus = pd.read_csv(HERE / "consensus.tsv", sep="\t", index_col=0)["value"]
    return samples["donor"], counts, X, pd.read_csv(HERE / "values.tsv", sep="\t"), consensus


def test_consensus_correlation_and_moderated_t_are_limmas(frozen):
    donor, counts, X, values, consensus = frozen
    model = donors.of_log(np.log2(counts + 0.5), X, donor)
    assert model.consensus == pytest.approx(float(consensus["plain"]), abs=1e-3)
    found = linear.moderated_t(linear.fit(model.values, model.X), [0, 1, 0], trend=False)
    np.testing.assert_allclose(found["effect"], values["plain_effect"], atol=1e-3)
    np.testing.assert_allclose(found["stat"], values["plain_t"], atol=1e-3)
    np.testing.assert_allclose(found["df"], values["plain_df"], atol=1e-3)


def test_two_passes_of_voom_are_limmas(frozen):
    donor, counts, X, values, consensus = frozen
    model = donors.of_counts(counts, X, donor, None)
    assert model.consensus == pytest.approx(float(consensus["second"]), abs=1e-3)
    found = linear.moderated_t(linear.fit(model.values, model.X), [0, 1, 0], trend=False)
    np.testing.assert_allclose(found["effect"], values["voom_effect"], atol=1e-3)
    np.testing.assert_allclose(found["stat"], values["voom_t"], atol=1e-3)
    np.testing.assert_allclose(found["pvalue"], values["voom_p"], atol=1e-3)


def test_a_genes_own_correlation_is_limmas_where_its_iterations_end(frozen):
    donor, counts, X, values, _ = frozen
    own = donors.correlation(np.log2(counts + 0.5), X, donor).genes
    assert np.abs(own - values["plain_rho"]).quantile(0.95) < 1e-3


@pytest.mark.parametrize("rho", [0.3, 0.8])
def test_a_donors_samples_are_no_independent_witnesses(rho):
    """Without a difference, naive tests find one; those that know the donors do not."""
    rng = np.random.default_rng(int(10 * rho))
    donor = np.repeat(np.arange(16), 3)
    side = (donor < 8).astype(float)
    X = np.column_stack([np.ones(48), side])
    person = rng.normal(size=(3000, 16))[:, donor] * np.sqrt(rho)
    values = 8 + person + rng.normal(size=(3000, 48)) * np.sqrt(1 - rho)
    naive = linear.moderated_t(linear.fit(values, X), [0, 1], trend=False)["pvalue"]
    model = donors.of_log(values, X, donor)
    ours = linear.moderated_t(linear.fit(model.values, model.X), [0, 1], trend=False)["pvalue"]
    assert model.consensus == pytest.approx(rho, abs=0.05)
    assert (naive < 0.05).mean() > 0.1
    assert 0.03 < (ours < 0.05).mean() < 0.07


def test_correlation_needs_repeats():
    values, X = np.ones((3, 6)), np.ones((6, 1))
    with pytest.raises(ValueError, match="no donor has two samples"):
        donors.correlation(values, X, list("abcdef"))
