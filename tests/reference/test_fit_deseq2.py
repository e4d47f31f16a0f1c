"""The fit against frozen values of R's DESeq2, and against PyDESeq2's default on a real study."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from pydeseq2.ds import DeseqStats

from alsmuscle import de
from alsmuscle.fit import fit_dataset

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ALPHA = 0.05

pytestmark = pytest.mark.filterwarnings("ignore")


def analyse(
    counts: pd.DataFrame,
    obs: pd.DataFrame,
    design: str,
    contrast: list[str],
    inference: Any,
    *,
    wald_min_mu: float = 0.0,
) -> pd.DataFrame:
    """Return the result table with dispersions; counts are samples x genes."""
    dds = fit_dataset(counts, obs, design, inference=inference, n_cpus=2, wald_min_mu=wald_min_mu)
    stats = DeseqStats(dds, contrast=contrast, alpha=ALPHA, inference=dds.inference, quiet=True)
    stats.summary()
    table = stats.results_df.assign(dispersion=dds.var["dispersions"])
    for column in ("_genewise_converged", "_MAP_converged", "_LFC_converged"):
        table[column] = dds.var[column].fillna(True).astype(bool)
    return table.rename(
        columns={"log2FoldChange": "log2fc", "lfcSE": "lfc_se", "baseMean": "base_mean"}
    )


@pytest.fixture(scope="module", params=["two_group", "covariate", "five_a_side"])
def pair(request: pytest.FixtureRequest) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return our table and R's for one design."""
    folder = HERE / "fit"
    counts = pd.read_csv(folder / "counts.tsv", sep="\t", index_col=0).T
    obs = pd.read_csv(folder / "obs.tsv", sep="\t", index_col=0)
    values = pd.read_csv(folder / "values.tsv", sep="\t")
    if request.param == "five_a_side":
        obs = obs[obs["small"]]
        counts = counts.loc[obs.index]
    design = "~batch + condition" if request.param == "covariate" else "~condition"
    ours = analyse(
        counts, obs, design, ["condition", "treated", "control"], "batched", wald_min_mu=0.5
    )
    theirs = values[values["case"] == request.param].set_index("gene_id")
    assert len(theirs) == counts.shape[1]
    return ours.loc[theirs.index], theirs


def test_base_mean(pair: Any) -> None:
    ours, theirs = pair
    np.testing.assert_allclose(ours["base_mean"], theirs["base_mean"], rtol=1e-6)


def test_rank_of_the_statistic(pair: Any) -> None:
    ours, theirs = pair
    assert ours["stat"].corr(theirs["stat"], method="spearman") > 0.9999


def test_effects(pair: Any) -> None:
    ours, theirs = pair
    both = theirs["log2fc"].notna()
    assert (ours["log2fc"].notna() == both).all()
    difference = (ours["log2fc"] - theirs["log2fc"]).abs()[both]
    assert (difference <= 0.005 + 0.02 * theirs["log2fc"].abs()[both]).mean() >= 0.99


def test_p_values(pair: Any) -> None:
    ours, theirs = pair
    both = theirs["pvalue"].notna()
    assert (ours["pvalue"].notna() == both).all()
    difference = (np.log10(ours["pvalue"]) - np.log10(theirs["pvalue"])).abs()[both]
    assert (difference <= 0.1).mean() >= 0.99


def test_dispersions(pair: Any) -> None:
    ours, theirs = pair
    relative = (ours["dispersion"] / theirs["dispersion"] - 1).abs().dropna()
    assert len(relative) == 298
    assert (relative <= 0.05).mean() >= 0.95  # R stops its own line search early


def test_calls(pair: Any) -> None:
    ours, theirs = pair
    a, b = ours["padj"] < ALPHA, theirs["padj"] < ALPHA
    assert b.sum() >= 5
    assert (a & b).sum() / (a | b).sum() >= 0.98


@pytest.mark.parametrize("case", ["covariate", "five_a_side"])
def test_student_t(case: str) -> None:
    """Degrees of freedom, p-values and calls of the whole way, where R reads the same t."""
    folder = HERE / "fit"
    counts = pd.read_csv(folder / "counts.tsv", sep="\t", index_col=0).T
    obs = pd.read_csv(folder / "obs.tsv", sep="\t", index_col=0)
    if case == "five_a_side":
        obs = obs[obs["small"]]
    counts = counts.loc[obs.index]
    contrast = {
        **{"id": "c", "variable": "condition", "target": "treated", "reference": "control"},
        **{"adjust": ["batch"] if case == "covariate" else [], "block": None, "within": {}},
    }
    var = pd.DataFrame({"symbol": "", "source_id": ""}, index=counts.columns)
    data = anndata.AnnData(counts.to_numpy(), obs=obs, var=var)
    fitted = de.fit(data, contrast, min_total=1, inference="batched")
    ours = de.test(
        fitted,
        obs,
        contrast,
        dataset="x",
        distribution="t",
        alpha=ALPHA,
        min_replicates=3,
        shrink=False,
        inference="batched",
    ).set_index("gene_id")
    values = pd.read_csv(folder / "t.tsv", sep="\t")
    theirs = values[values["case"] == case].set_index("gene_id").loc[ours.index]
    # R's line search for the gene-wise dispersions, which decide the prior, stops early.
    np.testing.assert_allclose(ours["df"], theirs["df"], rtol=0.02)
    both = theirs["pvalue"].notna()
    assert (ours["pvalue"].notna() == both).all()
    difference = (np.log10(ours["pvalue"]) - np.log10(theirs["pvalue"])).abs()[both]
    assert (difference <= 0.1).mean() >= 0.99
    a, b = ours["padj"] < ALPHA, theirs["padj"] < ALPHA
    print(
        f"{case}: df {ours['df'].iloc[0]:.3f} v {theirs['df'].iloc[0]:.3f}, calls {a.sum()} v {b.sum()}"
    )
    assert b.sum() >= 3
    assert (a & b).sum() / (a | b).sum() >= 0.98


# ---------------------------------------------------------------------- a real study


def mirror() -> Path | None:
    """Return the data mirror's folder, if there is one."""
    for place in (os.environ.get("ALSMUSCLE_MIRROR"), ROOT.parent / "shared" / "mirror"):
        if place and (Path(place) / "files").is_dir():
            return Path(place)
    return None


def benchmark() -> ModuleType:
    """Load the benchmark, which knows how to read the mirrored studies."""
    spec = importlib.util.spec_from_file_location("fit_benchmark", ROOT / "benchmarks" / "fit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.verify
@pytest.mark.parametrize("study", ["GSE140261", "GLDS-103"])
def test_real_study_has_the_default_s_calls(study: str) -> None:
    place = mirror()
    if place is None:
        pytest.skip("no data mirror")
    counts, obs = benchmark().read_study(study, place)
    levels = obs["group"].unique()
    contrast = ["group", str(levels[1]), str(levels[0])]
    ours = analyse(counts.T, obs, "~group", contrast, "batched")
    default = analyse(counts.T, obs, "~group", contrast, "default")
    columns = ["_genewise_converged", "_MAP_converged", "_LFC_converged"]
    converged = default[columns].all(axis=1)
    assert converged.mean() > 0.99
    differ = (ours["padj"] < ALPHA) != (default["padj"] < ALPHA)
    assert not (differ & converged).any()
    for column in ("dispersion", "log2fc"):
        relative = (ours[column] / default[column] - 1).abs()[converged].dropna()
        assert (relative <= 1e-4).mean() >= 0.999, column
