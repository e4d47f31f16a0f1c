"""Repeated samples of a donor, against limma."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from alsmuscle.bulk import block_effects, donors, engines
from alsmuscle.bulk.tables import DE
from alsmuscle.core import contracts
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


# --- through the engines of a run -----------------------------------------------------------

CONTRAST = {
    **{"id": "als_vs_healthy", "kind": "difference", "variable": "condition", "target": "als"},
    **{"reference": "healthy", "adjust": [], "block": None, "within": {}, "repeats": ""},
}
OPTIONS = {"alpha": 0.05, "min_replicates": 3, "inference": "batched", "trend": False}
FIT = {"min_total": 10, "inference": "batched"}


def _repeated_counts(n_donors=6, n_each=2, n_genes=600, spread=0.5, noise=0.2, seed=1, **columns):
    """Counts of donors a side, several samples each;
    30 genes go up by 2 and 30 down, natural log.
    """
    rng = np.random.default_rng(seed)
    donor = np.repeat(np.arange(2 * n_donors), n_each)
    als = donor < n_donors
    log = rng.normal(6, 1, n_genes) + spread * rng.normal(size=(2 * n_donors, n_genes))[donor]
    log = log + noise * rng.normal(size=log.shape)
    log[:, :60] += np.where(np.arange(60) < 30, 2.0, -2.0) * als[:, None]
    names = [f"G{i:03d}" for i in range(n_genes)]
    obs = pd.DataFrame(
        {
            "condition": np.where(als, "als", "healthy"),
            "subject_id": [f"p{d}" for d in donor],
            "dataset": "x",
        }
        | {name: value(len(donor)) for name, value in columns.items()},
        index=[f"s{i}" for i in range(len(donor))],
    )
    var = pd.DataFrame({"symbol": names, "source_id": names}, index=names)
    return anndata.AnnData(X=rng.poisson(np.exp(log)), obs=obs, var=var)


def _legs(n):
    return ["left", "right"] * (n // 2)


def _run(counts, contrast=CONTRAST):
    fitted = engines.fit(counts, contrast, **FIT)
    table = engines.test(
        fitted,
        counts.obs,
        contrast,
        **OPTIONS
        | {"dataset": "x", "distribution": "quasi", "shrink": True, "hidden_factor": True},
    )
    return fitted, contracts.check_table(table, DE, "x").set_index("gene_id")


def test_a_run_models_donors_and_the_naive_one_calls_them():
    counts = _repeated_counts(leg=_legs)
    fitted, table = _run(counts)
    _, naive = _run(counts, CONTRAST | {"repeats": {"independent": "for comparison"}})
    assert fitted.uns["donors"] == "correlated"
    assert 0.6 < fitted.uns["donor_correlation"] < 0.95
    planted = [f"G{i:03d}" for i in range(60)]
    false = table.drop(planted)["pvalue"].dropna()
    assert 0.02 < (false < 0.05).mean() < 0.08
    assert (naive.drop(planted)["pvalue"].dropna() < 0.05).mean() > 0.1
    assert (table.loc[planted, "padj"] < 0.05).mean() > 0.9
    up = table.loc[planted[:30], "log2fc"].mean()
    assert up == pytest.approx(2.0 / np.log(2), abs=0.15)
    # The second engine knows the donors too.
    name, other = engines.second(fitted, counts.obs, CONTRAST, trend=True)
    assert name == "moderated t with trend"
    assert (other.drop(planted, errors="ignore")["pvalue"] < 0.05).mean() < 0.08


def test_what_nothing_tells_apart_is_summed():
    counts = _repeated_counts()
    fitted, table = _run(counts)
    assert fitted.uns["donors"] == "summed"
    assert fitted.n_obs == 12
    assert fitted.X.sum() == counts.X.sum()
    assert (table["n_target"] == 6).all()
    sums = anndata.AnnData(
        X=counts.X[::2] + counts.X[1::2], obs=counts.obs[::2], var=counts.var.copy()
    )
    _, by_hand = _run(sums)
    np.testing.assert_allclose(table["pvalue"], by_hand.loc[table.index, "pvalue"])
    averaged = donors.units(counts, CONTRAST, mean=True)
    np.testing.assert_allclose(averaged.X, (counts.X[::2] + counts.X[1::2]) / 2)


def test_too_few_donors_are_too_few_however_many_samples():
    counts = _repeated_counts(n_donors=2, n_each=4, leg=_legs)
    _, table = _run(counts)
    assert table["log2fc"].notna().all()
    assert table[["lfc_se", "stat", "pvalue", "padj"]].isna().all(axis=None)


def test_arrays_know_their_donors():
    counts = _repeated_counts(leg=_legs)
    arrays = anndata.AnnData(
        X=np.log2(counts.X + 1.0), obs=counts.obs, var=counts.var, uns={"measure": "intensities"}
    )
    fitted, table = _run(arrays)
    X = fitted.obsm["design_matrix"].to_numpy(float)
    model = donors.of_log(fitted.X.T, X, counts.obs["subject_id"])
    found = linear.moderated_t(linear.fit(model.values, model.X), [0, 1], trend=False)
    found.index = fitted.var_names
    np.testing.assert_allclose(table["stat"], found.loc[table.index, "stat"])


def test_errors_of_blocks_are_those_of_the_donors_means():
    """Balanced donors: the sum over genes is tested as least squares on donors' means would."""
    counts = _repeated_counts(leg=_legs)
    arrays = anndata.AnnData(
        X=np.log2(counts.X + 1.0), obs=counts.obs, var=counts.var, uns={"measure": "intensities"}
    )
    fitted, _ = _run(arrays)
    fit = block_effects.gene_fit(fitted, CONTRAST, trend=False)
    assert fit.df_residual == 10
    weights = np.zeros(len(fit.gene_ids))
    weights[100:130] = 1 / 30
    score = pd.Series(arrays.X[:, 100:130].mean(axis=1), counts.obs_names)
    means = score.groupby(counts.obs["subject_id"], sort=False).mean().to_numpy()
    by_hand = stats.ttest_ind(means[:6], means[6:])
    se = np.sqrt(((weights @ fit.errors) ** 2).sum() / fit.df_residual)
    assert weights @ fit.effect == pytest.approx(means[:6].mean() - means[6:].mean())
    # Welch's error and the pooled one agree for sides of one size.
    assert weights @ fit.effect / se == pytest.approx(by_hand.statistic)


def test_counts_blocks_are_as_sure_as_their_donors():
    covered = []
    for seed in range(8):
        counts = _repeated_counts(n_donors=5, n_each=3, n_genes=200, seed=seed, leg=_three)
        fitted = engines.fit(counts, CONTRAST, **FIT)
        fit = block_effects.gene_fit(fitted, CONTRAST, trend=False)
        null = np.flatnonzero(fit.gene_ids.isin([f"G{i:03d}" for i in range(60, 200)]))
        own = np.sqrt((fit.errors[null] ** 2).sum(axis=1) / fit.df_residual)
        half = stats.t.ppf(0.975, fit.df_residual) * own
        covered.append((np.abs(fit.effect[null]) < half).mean())
    assert 0.92 < np.mean(covered) < 0.98


def _three(n):
    return ["a", "b", "c"] * (n // 3)
