"""The demo's nuclei study from nothing to contrasts per cell type: what was planted is found.

Accuracy over several seeds, without the workflow, is in ``test_cells_recovery.py``.
"""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

import census
from alsmuscle.core import contracts, files
from alsmuscle.synthesis.dictionary import TABLES as CONTRACTS
from support import ROOT, Project

pytestmark = pytest.mark.pipeline
STUDY = "results/demo/cells/simnuclei1"
EFFECTS = "results/demo/programmes/simnuclei1"
DEMO = ("--configfile", "config/demo.yaml")
WANTED = [f"{STUDY}/{name}/de.tsv" for name in ("als_vs_control", "female_vs_male")]
SATELLITE = "Satellite cell, quiescent"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("cells")
    (folder / "config" / "demo").mkdir(parents=True)
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "workflow").symlink_to(ROOT / "workflow")
    (folder / "envs").symlink_to(ROOT / "envs")
    for path in (ROOT / "config").glob("*.*"):
        shutil.copy(path, folder / "config")
    shutil.copy(ROOT / "config" / "demo" / "simnuclei1.yaml", folder / "config" / "demo")
    made = Project(folder)
    made.quick()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in census.place(folder / "census").items():
            environment.setenv(name, value)
        threads = ("--max-threads", "1", "--quiet", "all", "--")
        run = made.snakemake(*DEMO, *threads, *WANTED, jobs="light")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return made


def table(demo: Project, path: str, contract: str) -> pd.DataFrame:
    return files.read_table(demo.folder / path, CONTRACTS[contract])


def truth(demo: Project, name: str) -> pd.DataFrame:
    return pd.read_csv(demo.folder / f"results/demo/truth/simnuclei1/{name}.tsv.gz", sep="\t")


@pytest.fixture(scope="module")
def labels(demo: Project) -> pd.DataFrame:
    obs = files.read_h5ad(demo.folder / STUDY / "cells.h5ad").obs
    true = truth(demo, "nuclei").set_index("barcode")
    found = pd.DataFrame(
        {"named": obs["cell_type"].astype(str), "true": true["true_type"].reindex(obs.index)}
    )
    assert found["true"].notna().all()
    return found


def test_every_table_keeps_its_contract(demo: Project) -> None:
    names = ("samples", "excluded", "warnings", "barcodes", "clusters", "markers", "types")
    for name in (*names, "activity", "coexpression"):
        assert len(table(demo, f"{STUDY}/{name}.tsv", name)) or name in ("excluded", "warnings")
    table(demo, f"{STUDY}/qc.tsv", "cells_qc")
    contracts.check_cells(files.read_h5ad(demo.folder / STUDY / "cells.h5ad"), "cells")
    contracts.check_counts(files.read_h5ad(demo.folder / STUDY / "pseudobulk.h5ad"), "sums")


def test_every_sample_is_accounted_for(demo: Project) -> None:
    account = table(demo, f"{STUDY}/completeness.tsv", "completeness")
    samples = table(demo, f"{STUDY}/samples.tsv", "samples")
    assert len(account) == 12
    assert set(account.loc[account["analysed"], "sample_id"]) == set(samples["sample_id"])
    assert (account["analysed"] | account["reason"].ne("")).all()
    assert account.loc[account["analysed"], "counts_sha256"].is_unique


def test_types_are_named_right(labels: pd.DataFrame) -> None:
    from sklearn.metrics import adjusted_rand_score, f1_score

    known = ~labels["true"].str.startswith("Unlisted")
    listed = labels[known]
    assert adjusted_rand_score(listed["true"], listed["named"]) >= 0.85
    for cell_type, share in listed["true"].value_counts(normalize=True).items():
        if share > 0.01:
            f1 = f1_score(labels["true"] == cell_type, labels["named"] == cell_type)
            assert f1 >= 0.8, f"{cell_type} ({share:.1%}): F1 {f1:.2f}"
    assert (labels.loc[~known, "named"] == "unassigned").mean() > 0.8


def test_planted_genes_move_in_their_type_and_hardly_elsewhere(demo: Project) -> None:
    de = table(demo, WANTED[0], "de")
    planted = truth(demo, "genes").rename(columns={"log2fc": "log2fc_true"})
    de = de[de["cell_type"] != "all nuclei"].merge(planted, on=["cell_type", "symbol"], how="left")
    called, real = de["padj"] < 0.05, de["log2fc_true"].notna()
    for cell_type in ("FAP, pan", "Type IIA myonuclei"):
        here = de["cell_type"] == cell_type
        assert called[here & real].mean() > 0.8
        # One study of 80 true genes: its false discovery proportion scatters about 0.05.
        assert (~real)[here & called].mean() < 0.3
    right = de["log2fc"] * de["log2fc_true"] > 0
    assert right[called & real].all()
    affected = de["cell_type"].isin(planted["cell_type"])
    assert called[~affected].mean() < 0.002


def test_the_planted_programme_rises_in_satellite_cells_alone(demo: Project) -> None:
    effects = table(demo, f"{EFFECTS}/als_vs_control/effects.tsv", "effects")
    own = effects[(effects["block"] == "activated_up") & ~effects["stripped"]]
    own = own.set_index("cell_type")
    assert own.loc[SATELLITE, "padj"] < 0.05
    assert own.loc[SATELLITE, "ci_low"] > 0
    others = own.drop(index=SATELLITE)
    assert not (others["padj"] < 0.05).any()
    assert (others["effect"].abs() < own.loc[SATELLITE, "effect"] / 2).all()


def test_the_composition_shift_is_found(demo: Project) -> None:
    shares = table(demo, f"{STUDY}/als_vs_control/composition.tsv", "composition")
    first = shares.sort_values("pvalue").iloc[0]
    assert first["cell_type"] == "Macrophage, resident LYVE1+"
    assert first["padj"] < 0.01
    assert first["effect"] == pytest.approx(1.39, abs=0.6)  # odds times four


def test_where_nothing_happens_nothing_is_called(demo: Project) -> None:
    de = table(demo, WANTED[1], "de")
    rate = (de["padj"] < 0.05).mean()
    assert rate < 0.002, f"{rate:.2%} of genes called"
    effects = table(demo, f"{EFFECTS}/female_vs_male/effects.tsv", "effects")
    assert (effects["padj"] < 0.05).mean() < 0.02
    shares = table(demo, f"{STUDY}/female_vs_male/composition.tsv", "composition")
    assert shares["padj"].min() > 0.05


def test_the_poor_sample_is_flagged(demo: Project) -> None:
    qc = table(demo, f"{STUDY}/qc.tsv", "cells_qc").set_index("sample_id")
    assert qc.loc["S12", "flag"] != ""
    assert (qc["flag"] != "").sum() <= 3


def test_no_truth_goes_into_the_deposited_file(demo: Project) -> None:
    deposited = files.read_h5ad(demo.folder / "results/demo/data/simnuclei1/nuclei.h5ad")
    assert list(deposited.obs.columns) == ["sample_id"]
    assert not deposited.uns


def test_jobs_of_cells_load_no_package_that_they_do_not_need(demo):
    jobs = census.taken(demo.folder / "census")
    assert {"cells_prepare", "cells_cluster", "cells_contrast"} <= {job.rule for job in jobs}
    assert census.beyond(jobs) == {}
