"""Through Snakemake: a wrong configuration or card stops the run; a wrong study is left out."""

from __future__ import annotations

import pytest
import yaml

from alsmuscle.core import files
from alsmuscle.data.tables import CHECKS
from deposits import tenx_h5
from support import make_project, small_counts, write_study


def test_a_wrong_key_stops_while_parsing(project):
    def change(config):
        config["bulk"]["de"]["alhpa"] = 0.1

    project.config(change)
    run = project.snakemake("--dry-run")
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert "alhpa" in output
    assert "known keys: alpha" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        (
            "programmes.tsv",
            lambda text: f"{text}MYSET\tcore\t+\tRUNX1\tRunx1\t0\tS\tour list\n",
            "denervation flag differs between lines of one gene",
        ),
        (
            "claims.yaml",
            lambda text: text.replace("primary:", "necessary:", 1),
            "primary tests",
        ),
    ],
)
def test_programmes_and_claims_of_ones_own_are_checked_before_anything_runs(
    project, table, change, words
):
    """Every study would fail by them, one after the other, each as if it were its own fault."""
    text = (project.folder / "config" / table).read_text()
    own = project.folder / "own"
    own.mkdir()
    (own / table).write_text(change(text))
    name = table.split(".")[0]
    project.config(lambda config: config["tables"].update({name: str(own / table)}))
    run = project.snakemake("--dry-run")
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert words in output and f"own/{table}" in output
    assert "Traceback" not in output
    (own / table).write_text(text)
    assert project.snakemake("--dry-run").returncode == 0


def _wrong_hash(_, card):
    name = next(iter(card["files"]["counts"]["members"]))
    card["files"]["counts"]["members"][name] = "0" * 64


def _unknown_level(_, card):
    del card["samples"]["columns"]["condition"]["map"]
    card["contrasts"][0] |= {"target": "mnd", "reference": "healthy"}


def _missing_sample(_, card):
    card["counts"]["member"] = r"^(?P<sample_id>GSM[1-9])_"  # leaves GSM10 out
    card["files"]["counts"]["members"].pop("GSM10_x.txt.gz")


def _inestimable(_, card):
    card["contrasts"][0]["adjust"] = ["site"]


def _another(project, change, name="gse2"):
    card = write_study(project.folder / name, small_counts(seed=2))
    card |= {"id": name, "accession": name.upper()}
    change(project, card)
    path = project.folder / "config" / "datasets" / f"{name}.yaml"
    path.write_text(yaml.safe_dump(card, sort_keys=False))


def _broken_nuclei(project, card):
    """Two samples, one of them with a truncated file."""
    names = ["ALS1", "CTL1"]
    for seed, name in enumerate(names):
        content = tenx_h5(6, seed=seed)
        (project.folder / f"{name}.h5").write_bytes(content if seed else content[:2000])
    del card["counts"]
    listed = [{"sample_id": name, "file": name.lower()} for name in names]
    card |= {
        "modality": "cells",
        "files": {name.lower(): {"url": str(project.folder / f"{name}.h5")} for name in names},
        "cells": {"layout": "10x_h5", "material": "nuclei", "samples": listed},
        "samples": {
            "sheet": {"layout": "count_columns"},
            "sample_id": "name",
            "expected": 2,
            "columns": {"condition": {"from": "name", "match": {"^ALS": "als", "^CTL": "healthy"}}},
        },
    }


def _states(project):
    checks = files.read_table(project.folder / "results" / "provenance" / "checks.tsv", CHECKS)
    return {(row.dataset, row.check): row.state for row in checks.itertuples()}


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory):
    """A look at a sound study beside others that are wrong, or out of reach, as are gene sets."""
    project = make_project(tmp_path_factory.mktemp("looked_at"), copy_code=False)
    _another(project, _wrong_hash)
    _another(project, _broken_nuclei, "gse3")
    _another(project, lambda *_: None, "gse4")
    away = project.folder / "gse4" / "sheet.csv"
    away.rename(away.with_name("elsewhere.csv"))
    project.own_sets(small_counts().index)
    (project.folder / "config" / "own.gmt").unlink()
    run = project.admit()
    assert run.returncode == 0, run.stderr
    return project, run


def test_a_study_that_differs_from_its_card_is_left_out_and_the_others_go_on(looked_at):
    project, run = looked_at
    message = run.stderr[-2500:]
    assert "left out: gse2: " in message and "GSM1_x.txt.gz has sha256" in message
    assert "left out: gse3: " in message and "ALS1.h5: " in message and "truncated" in message
    states = _states(project)
    assert states["gse2", "files.counts"] == "failed"
    assert states["gse1", "reading"] == "agrees"


def test_gene_sets_that_cannot_be_had_are_skipped_and_said(looked_at):
    project, _ = looked_at
    (log,) = (project.folder / "results" / "logs" / "data_fetch").glob("collections.log")
    lines = [line for line in log.read_text().splitlines() if "could not be obtained" in line]
    assert len(lines) == 1
    assert "own.gmt" in lines[0] and "skipped" in lines[0]


# After those above, since it looks again.
def test_a_file_that_was_out_of_reach_is_tried_again_by_the_next_run(looked_at):
    project, run = looked_at
    assert "gse4" in run.stderr[-2500:] and "no such file" in run.stderr[-2500:]
    assert _states(project)["gse4", "files.sheet"] == "unreachable"
    sheet = project.folder / "gse4" / "sheet.csv"
    sheet.with_name("elsewhere.csv").rename(sheet)
    (project.folder / "config" / "own.gmt").write_text("SET\tmade for the tests\tMYOG\n")
    jobs = project.planned()
    # gse4 and the gene sets; what has been looked at and is wrong stays so.
    assert jobs["data_fetch"] == 2
    run = project.admit()
    assert "left out: gse4" not in run.stderr
    assert _states(project)["gse4", "reading"] == "agrees"
    # Of the studies that are left out nothing is planned.
    jobs = project.planned()
    assert "data_fetch" not in jobs
    assert not any(name.startswith("cells_") for name in jobs)
    assert jobs["bulk_fit"] == jobs["bulk_contrast"] == 2
    assert jobs["report_pages"] == 1


# The last, which takes none in.
def test_where_all_are_required_a_study_that_is_wrong_stops_the_run(looked_at):
    project, _ = looked_at
    project.config(lambda config: config["data"].update(all_required=True))
    run = project.admit()
    assert run.returncode != 0
    assert "2 of 4 studies could not be obtained" in run.stderr[-1500:]
    assert "Traceback" not in run.stderr


def _fpkm(project, card):
    card["files"] = write_study(project.folder / "fpkm", small_counts() * 0.317)["files"]


BAD = {
    "gse1": (_wrong_hash, ["GSM1_x.txt.gz", "sha256", "expected: "]),
    "gse2": (_unknown_level, ["contrasts.als_vs_healthy", "'mnd'", "ALS, healthy"]),
    "gse3": (_missing_sample, ["GSM10", "not in the matrix", "exclude"]),
    "gse4": (_inestimable, ["cannot be separated from 'site'", "drop 'site'"]),
    "gse5": (_fpkm, ["gse5", "not raw counts", "FPKM", "use the study's raw counts"]),
}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run of studies each of which is wrong, in a way of its own."""
    project = make_project(tmp_path_factory.mktemp("stopped"), copy_code=False)
    for name, (change, _) in BAD.items():
        _another(project, change, name)
    run = project.snakemake("--quiet", "all")
    assert run.returncode != 0
    return project, run


@pytest.mark.parametrize("study", BAD)
def test_without_a_good_study_nothing_is_fitted(stopped, study):
    project, run = stopped
    # Repeated last, where a user looks: one paragraph a study.
    last = run.stderr[-1500 * len(BAD) :].rpartition("no study could be obtained and verified")
    assert last[1], run.stderr
    for words in BAD[study][1]:
        assert words in last[2], f"{words!r} not in:\n{run.stderr}"
    assert "Traceback" not in run.stderr
    assert not (project.folder / "results" / "bulk" / study).exists()
