"""Simulated nuclei studies through the whole path: is the planted truth found, and only that?

Two seeds, so that nothing rests on one draw; a null study of each. The measured rates are in the
assertion messages. Maps (UMAP) take half of the time of a study of this size and nothing is found
by them, so that only the small study, which is run twice, has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import stats

import by_config
from alsmuscle.cells import cluster
from alsmuscle.cells.annotate import UNASSIGNED
from alsmuscle.cells.cluster import each_sample
from alsmuscle.cells.composition import donor_counts
from alsmuscle.cells.prepare import flag_samples
from alsmuscle.simulate.cells import simulate_nuclei
from alsmuscle.stats.moderation import squeeze_var
from support import ROOT

annotate = by_config.annotate.annotate
integrate = by_config.cluster.integrate
composition_test = by_config.composition.composition_test
prepare_sample = by_config.prepare.prepare_sample
pseudobulk = by_config.pseudobulk.pseudobulk

pytestmark = pytest.mark.pipeline
PANEL = pd.read_csv(ROOT / "config" / "celltypes.tsv", sep="\t")
SEEDS = [1, 2]


@dataclass
class Run:
    truth: AnnData
    cells: AnnData
    clusters: pd.DataFrame
    samples: pd.DataFrame
    composition: pd.DataFrame
    de: pd.DataFrame


def moderated_de(bulk: AnnData) -> pd.DataFrame:
    """Log-CPM moderated t per cell type: enough to see where the planted genes move."""
    tables = []
    for cell_type in bulk.obs["cell_type"].unique():
        rows = bulk[bulk.obs["cell_type"] == cell_type]
        als = (rows.obs["condition"] == "ALS").to_numpy()
        if min(als.sum(), (~als).sum()) < 3:
            continue
        counts = rows.X[:, rows.X.sum(axis=0) >= 10 * len(als)]
        genes = rows.var_names[rows.X.sum(axis=0) >= 10 * len(als)]
        y = np.log2((counts + 0.5) / counts.sum(axis=1, keepdims=True) * 1e6)
        effect = y[als].mean(axis=0) - y[~als].mean(axis=0)
        df = len(als) - 2
        s2 = (y[als].var(axis=0) * als.sum() + y[~als].var(axis=0) * (~als).sum()) / df
        moderated = squeeze_var(s2, df)
        t = effect / np.sqrt(moderated.var_post * (1 / als.sum() + 1 / (~als).sum()))
        p = 2 * stats.t.sf(np.abs(t), df + min(moderated.df_prior, 1e6))
        tables.append(
            pd.DataFrame(
                {
                    "cell_type": cell_type,
                    "gene_id": genes,
                    "log2fc": effect,
                    "pvalue": p,
                    "padj": stats.false_discovery_control(p),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


@cache
def run(seed: int, null: bool = False) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "embed", partial(cluster.embed, with_umap=False))
        return analysed(simulate_nuclei(PANEL, seed=seed, null=null))


def analysed(study: AnnData) -> Run:
    """Take a simulated study through the whole path."""
    table = study.obs.drop_duplicates("sample_id")[["sample_id", "subject_id", "condition", "sex"]]
    truth = study.copy()
    study.obs = study.obs[["sample_id"]]
    prepared = [
        prepare_sample(
            study[study.obs["sample_id"] == s].copy(), sample_id=s, material="nuclei", seed=0
        )
        for s in table["sample_id"]
    ]
    samples = flag_samples([p.summary for p in prepared])
    cells = integrate(prepared, table, keep=set(PANEL["gene"]), seed=0)
    clusters = annotate(cells, PANEL, organism="human", material="nuclei")
    counts = donor_counts(cells.obs)
    als = table.set_index("subject_id")["condition"].reindex(counts.index).eq("ALS").astype(float)
    design = pd.DataFrame({"intercept": 1.0, "als": als})
    composition = composition_test(
        counts,
        design,
        pd.Series({"intercept": 0.0, "als": 1.0}),
        n_target=int(als.sum()),
        n_reference=int((1 - als).sum()),
    )
    sums = pseudobulk(each_sample(cells, prepared))
    return Run(truth, cells, clusters, samples, composition, moderated_de(sums))


def labels(found: Run) -> tuple[pd.Series, pd.Series, pd.Series]:
    true = found.truth.obs.loc[found.cells.obs_names, "true_type"]
    return true, found.cells.obs["cell_type"].astype(str), ~true.str.startswith("Unlisted")


@pytest.mark.parametrize("seed", SEEDS)
def test_types_are_recovered(seed: int) -> None:
    from sklearn.metrics import adjusted_rand_score, f1_score

    true, named, listed = labels(run(seed))
    ari = adjusted_rand_score(true[listed], named[listed])
    assert ari >= 0.85, f"adjusted Rand index {ari:.3f}"
    for cell_type, share in true[listed].value_counts(normalize=True).items():
        if share >= 0.01:
            f1 = f1_score(true == cell_type, named == cell_type)
            assert f1 >= 0.8, f"{cell_type} ({share:.1%}): F1 {f1:.3f}"


@pytest.mark.parametrize("seed", SEEDS)
def test_types_that_no_panel_lists_stay_unassigned(seed: int) -> None:
    found = run(seed)
    true, named, _ = labels(found)
    for unlisted in found.truth.uns["truth"]["unlisted"]:
        share = (named[true == unlisted] == UNASSIGNED).mean()
        assert share > 0.8, f"{unlisted}: {share:.1%} unassigned"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_poor_sample_is_flagged_and_no_other(seed: int) -> None:
    found = run(seed)
    flagged = found.samples.loc[found.samples["flag"] != "", "sample_id"].tolist()
    assert flagged == found.truth.uns["truth"]["low_quality"]


@pytest.mark.parametrize("seed", SEEDS)
def test_doublets_are_removed_more_than_others(seed: int) -> None:
    found = run(seed)
    kept = found.truth.obs_names.isin(found.cells.obs_names)
    doublet = found.truth.obs["true_doublet"].to_numpy()
    lost, lost_singlets = 1 - kept[doublet].mean(), 1 - kept[~doublet].mean()
    assert lost > 0.25, f"{lost:.1%} of doublets removed"
    assert lost_singlets < 0.05, f"{lost_singlets:.1%} of single nuclei removed"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_composition_shift_is_found(seed: int) -> None:
    found = run(seed)
    table = found.composition.set_index("cell_type")
    shifted, factor = next(iter(found.truth.uns["truth"]["shifted"].items()))
    assert table["pvalue"].idxmin() == shifted
    assert table.loc[shifted, "padj"] < 0.05
    # The simulated odds are relative to all other types, which keep theirs.
    low, high = table.loc[shifted, ["ci_low", "ci_high"]]
    assert low < np.log(factor) + 0.1 and high > np.log(factor) - 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_effects_are_found_in_the_right_type_and_not_elsewhere(seed: int) -> None:
    found = run(seed)
    planted = found.truth.uns["truth"]["de"].set_index(["cell_type", "gene_id"])["log2fc"]
    de = found.de.set_index(["cell_type", "gene_id"])
    called = de[de["padj"] < 0.05]
    power = called.index.isin(planted.index).sum() / len(planted)
    assert power > 0.5, f"{power:.1%} of planted genes found"
    false = (~called.index.isin(planted.index)).mean()
    assert false < 0.15, f"{false:.1%} of {len(called)} calls are false"
    hits = called[called.index.isin(planted.index)]
    assert (np.sign(hits["log2fc"]) == np.sign(planted[hits.index])).all()
    genes = planted.index.get_level_values("gene_id")
    elsewhere = de[de.index.get_level_values("gene_id").isin(genes) & ~de.index.isin(planted.index)]
    leak = (elsewhere["padj"] < 0.05).mean()
    assert leak < 0.05, f"{leak:.1%} of planted genes called in another type"


def test_null_studies_stay_null() -> None:
    found = [run(seed, null=True) for seed in SEEDS]
    de = pd.concat([f.de for f in found])
    composition = pd.concat([f.composition for f in found])
    de_rate, false_genes = (de["pvalue"] < 0.05).mean(), (de["padj"] < 0.05).sum()
    rate = (composition["pvalue"] < 0.05).mean()
    assert de_rate < 0.07, f"{de_rate:.2%} of genes at p < 0.05"
    assert false_genes <= 3, f"{false_genes} genes at padj < 0.05"
    assert rate <= 0.12, f"{rate:.1%} of {len(composition)} types at p < 0.05"
    assert (composition["padj"] >= 0.05).all()


def test_a_second_run_is_identical() -> None:
    first, second = (
        analysed(simulate_nuclei(PANEL, seed=1, n_donors=8, nuclei_per_donor=150)) for _ in range(2)
    )
    assert first.cells.obsm["X_umap"].std() > 1 and len(first.de) > 500
    pd.testing.assert_frame_equal(first.cells.obs, second.cells.obs)
    np.testing.assert_array_equal(first.cells.obsm["X_umap"], second.cells.obsm["X_umap"])
    pd.testing.assert_frame_equal(first.clusters, second.clusters)
    pd.testing.assert_frame_equal(first.de, second.de)
