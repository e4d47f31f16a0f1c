"""What would run in a fresh project."""

from __future__ import annotations

import shutil

import pandas as pd
import yaml

from alsmuscle.core import files
from alsmuscle.data.tables import MANIFEST
from support import ROOT, Project, give_parsed_code, make_project, small_counts, write_study

GATE = {"data_fetch": 1, "data_verify": 1, "data_admit": 1}
STUDY = {
    "bulk_fit": 1,
    "bulk_contrast": 1,
}
REST = {
    "programmes_check": 1,
    "data_outcome": 1,
    "synthesis_contrasts": 1,
    "synthesis_pool": 1,
    "synthesis_denervation": 1,
    "synthesis_claims": 1,
    "synthesis_calls": 1,
    "synthesis_export": 1,
    "provenance_run": 1,
    "report_pages": 1,
    "all": 1,
}


def test_a_new_run_has_one_job_per_step(project):
    store = give_parsed_code(project.folder)
    given = store.stat().st_mtime_ns
    # What a study needs is known once it is admitted.
    assert project.planned() == {**GATE, **REST}
    # Code that is parsed already is taken as it is, from where the workflow keeps it.
    assert [*store.parent.glob("*-parsed")] == [store]
    assert store.stat().st_mtime_ns == given
    assert project.admit().returncode == 0
    assert project.planned() == {**STUDY, **REST}


def _published(project):
    """Add a study of effects that somebody has published, beside the one of counts."""
    card = write_study(project.folder / "source", small_counts())
    for key in ("counts", "samples"):
        card.pop(key)
    path = project.folder / "effects.csv"
    table = pd.DataFrame({"gene": ["XIST", "MYOG"], "log2fc": [1.0, 2.0], "se": [0.1, 0.2]})
    table.to_csv(path, index=False)
    card |= {"id": "gse2", "accession": "GSE2", "modality": "effects"}
    card["files"] = {"table": {"url": str(path)}}
    card["effects"] = {
        "file": "table",
        "layout": "csv",
        "contrast": card["contrasts"][0]["id"],
        "gene_column": "gene",
        "log2fc_column": "log2fc",
        "se_column": "se",
    }
    path = project.folder / "config" / "datasets" / "gse2.yaml"
    path.write_text(yaml.safe_dump(card, sort_keys=False))


def test_a_contrast_adds_a_job_a_collection_one_download_and_published_effects_the_ranking(project):
    def paired(card):
        card["contrasts"].append({**card["contrasts"][0], "id": "paired", "block": "subject_id"})

    def hallmark(config):
        config["enrichment"]["collections"] = ["hallmark"]

    _published(project)
    project.card(paired)
    project.card(lambda card: card["contrasts"].append({**card["contrasts"][0], "id": "third"}))
    assert project.admit().returncode == 0
    project.config(hallmark)
    # Of the published effects the ranking only: all three contrasts are of the counts.
    assert project.planned() == {
        **STUDY,
        **REST,
        "data_fetch": 1,
        "bulk_contrast": 3,
        "effects_import": 1,
        "enrichment_gsea": 1,
    }
    # Of a study's own, with download and check: imports are not paid for a job per table.
    own = {**STUDY, "bulk_contrast": 3, "data_fetch": 1, "data_verify": 1}
    assert sum(own.values()) <= 6


def test_nothing_runs_beside_the_checkpoint_in_the_demo(tmp_path):
    """A group of jobs that runs while a checkpoint ends stops Snakemake on a cluster."""
    for name in ("Snakefile", "workflow", "envs", "config"):
        (tmp_path / name).symlink_to(ROOT / name)
    wanted = ("results/demo/provenance/admission.tsv", "--configfile", "config/demo.yaml")
    jobs = Project(tmp_path).planned(*wanted)
    assert jobs == {"data_admit": 1, "data_simulate": 10, "data_simulate_cells": 1}


def test_a_users_own_gmt_is_fetched_and_read_like_any_other(project):
    project.own_sets(small_counts().index)
    assert project.planned() == {**GATE, **REST, "data_fetch": 2}
    manifest = project.folder / "results" / "provenance" / "data" / "collections.tsv"
    run = project.snakemake(str(manifest.relative_to(project.folder)), "--quiet", "all")
    assert run.returncode == 0, run.stderr
    row = files.read_table(manifest, MANIFEST).iloc[0]
    assert (row["name"], row["source"], row["pinned"]) == ("own", "local", "file")
    text = (project.folder / row["path"]).read_text()
    assert {line.split("\t")[0] for line in text.splitlines()} == {"PLANTED", "OTHER"}


def test_a_candidate_on_arrays_is_planned_like_counts(project):
    shutil.copy(ROOT / "config" / "datasets" / "gse3307.yaml", project.folder / "config/datasets")
    project.config(lambda config: config["studies"].update(statuses=["candidate"]))
    wanted = [
        f"results/{path}"
        for path in (
            "bulk/gse3307/qc.tsv",
            "bulk/gse3307/als_vs_healthy/de.tsv",
            "programmes/gse3307/als_vs_healthy/effects.tsv",
        )
    ]
    jobs = project.planned(*wanted)
    assert jobs["bulk_fit_array"] == jobs["bulk_contrast"] == 1
    assert "bulk_fit" not in jobs


def test_a_block_that_mapping_empties_stops_with_its_name(project):
    path = project.folder / "config" / "programmes.tsv"
    head, first, *rest = path.read_text().splitlines()
    cells = first.split("\t")
    cells[1], cells[3], cells[4] = "new_block", "NOSUCHGENE", "Nosuchgene"
    path.write_text("\n".join([head, "\t".join(cells), first, *rest]) + "\n")
    run = project.snakemake("results/programmes/coverage.tsv", "--quiet", "all")
    assert run.returncode != 0
    assert f"{cells[0]}/new_block/human" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_code_that_is_digested_is_the_code_that_runs(tmp_path):
    project = make_project(tmp_path, copy_code=True)
    # The tests' environment holds an installed package: that of the checkout, not of this project.
    module = project.folder / "workflow" / "src" / "alsmuscle" / "genesets" / "programmes.py"
    module.write_text(module.read_text() + '\n\nopen("ran", "w").write(__file__)\n')
    run = project.snakemake("results/programmes/coverage.tsv", "--quiet", "all")
    assert run.returncode == 0, run.stderr
    assert (project.folder / "ran").read_text() == str(module)
