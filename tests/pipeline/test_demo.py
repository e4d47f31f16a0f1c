"""Two of the demo's studies from nothing to the report: contracts hold, the truth is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from alsmuscle.core import contracts, files
from alsmuscle.synthesis.dictionary import TABLES as CONTRACTS
from support import ROOT, Project

pytestmark = pytest.mark.pipeline
DEMO = ("--configfile", "config/demo.yaml")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "config" / "demo").mkdir(parents=True)
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "workflow").symlink_to(ROOT / "workflow")
    (folder / "envs").symlink_to(ROOT / "envs")
    for path in (ROOT / "config").glob("*.*"):
        shutil.copy(path, folder / "config")
    for study in ("simden1", "simnull1"):
        shutil.copy(ROOT / "config" / "demo" / f"{study}.yaml", folder / "config" / "demo")
    card = folder / "config" / "demo" / "simden1.yaml"
    document = yaml.safe_load(card.read_text())
    document["contrasts"] = [c for c in document["contrasts"] if c["id"] == "denervated_day28"]
    card.write_text(yaml.safe_dump(document, sort_keys=False))
    made = Project(folder)
    made.quick()
    made.config(lambda config: config["bulk"]["de"].update(shrink=True))
    # One thread per job: two cores are better used by two jobs.
    run = made.snakemake(*DEMO, "--max-threads", "1", "--quiet", "all")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return made


def _table(demo: Project, path: str, contract: str) -> pd.DataFrame:
    return files.read_table(demo.folder / "results" / "demo" / path, CONTRACTS[contract])


def _truth(demo: Project, path: str) -> pd.DataFrame:
    return pd.read_csv(demo.folder / "results" / "demo" / "truth" / path, sep="\t")


def test_every_table_keeps_its_contract(demo: Project) -> None:
    results = demo.folder / "results" / "demo"
    for study in ("simden1", "simnull1"):
        contracts.check_counts(files.read_h5ad(results / "bulk" / study / "counts.h5ad"), study)
        for name in ("samples", "qc", "pca", "warnings", "excluded"):
            _table(demo, f"bulk/{study}/{name}.tsv", name)
        _table(demo, f"programmes/{study}/scores.tsv", "scores")
    lock = _table(demo, "provenance/data_lock.tsv", "manifest")
    assert set(lock["study"]) == {"simden1", "simnull1"}
    assert set(lock["source"]) == {"simulated"}


def test_planted_genes_are_found_with_their_direction(demo: Project) -> None:
    de = _table(demo, "bulk/simden1/denervated_day28/de.tsv", "de")
    both = de.merge(_truth(demo, "simden1/genes.tsv.gz"), on="gene_id", suffixes=("", "_true"))
    called = both["padj"] < 0.05
    strong = both["log2fc_true"].abs() >= 1
    assert called[strong].mean() > 0.8
    agree = (both["log2fc"] > 0) == (both["log2fc_true"] > 0)
    assert agree[called & strong].mean() > 0.99
    # A single study: its false discovery proportion scatters far about the mean of 0.05.
    assert (both["log2fc_true"] == 0)[called].mean() < 0.3


def test_the_denervation_programme_rises_as_planted(demo: Project) -> None:
    effects = _table(demo, "programmes/simden1/denervated_day28/effects.tsv", "effects")
    truth = _truth(demo, "simden1/blocks.tsv.gz")
    key = ["programme", "block", "stripped"]
    both = effects.merge(truth, on=key, suffixes=("", "_true"))
    row = both[both["block"] == "tier1_up"].iloc[0]
    assert row["padj"] < 0.01
    assert row["effect"] == pytest.approx(row["effect_true"], abs=0.6)
    assert row["effect_true"] > 1


def test_where_nothing_happens_nothing_is_called(demo: Project) -> None:
    de = _table(demo, "bulk/simnull1/placebo_vs_untreated/de.tsv", "de")
    assert (de["padj"] < 0.05).sum() <= 10
    effects = _table(demo, "programmes/simnull1/placebo_vs_untreated/effects.tsv", "effects")
    assert (effects["padj"] < 0.05).mean() < 0.1


def test_gene_set_tests_use_the_curated_programmes_alone(demo: Project) -> None:
    gsea = _table(demo, "enrichment/simden1/denervated_day28/gsea.tsv", "gsea")
    assert set(gsea["collection"]) == {"programmes"}
    up = gsea.set_index("term").loc["DENERVATION: tier1_up"]
    assert up["nes"] > 0
    assert up["padj"] < 0.05


def test_pages_say_that_the_data_is_simulated(demo: Project) -> None:
    report = demo.folder / "results" / "demo" / "report"
    index = (report / "index.html").read_text()
    assert "imulated data" in index
    own = [page for page in report.rglob("*.html") if "sim" in page.name]
    assert own
    for page in own:
        assert "imulated" in page.read_text(), page


def test_no_file_came_from_a_network(demo: Project) -> None:
    assert not (demo.folder / "data").exists()
    cache = demo.folder / "results" / "demo" / "data"
    assert sorted(Path(p).name for p in cache.iterdir()) == ["simden1", "simnull1"]


def test_a_second_run_does_nothing(demo: Project) -> None:
    assert demo.planned(*DEMO) == {}
