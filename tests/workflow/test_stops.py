"""Through Snakemake: a mistake stops the run before anything is computed, with one message."""

from __future__ import annotations

import pytest

from support import small_counts, write_study


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


def _wrong_hash(card):
    name = next(iter(card["files"]["counts"]["members"]))
    card["files"]["counts"]["members"][name] = "0" * 64


def _unknown_level(card):
    del card["samples"]["columns"]["condition"]["map"]
    card["contrasts"][0] |= {"target": "mnd", "reference": "healthy"}


def _missing_sample(card):
    card["counts"]["member"] = r"^(?P<sample_id>GSM[1-9])_"  # leaves GSM10 out
    card["files"]["counts"]["members"].pop("GSM10_x.txt.gz")


def _inestimable(card):
    card["contrasts"][0]["adjust"] = ["site"]


def test_fpkm_instead_of_counts_is_refused(project):
    fpkm = write_study(project.folder / "fpkm", small_counts() * 0.317)
    project.card(lambda card: card.update(files=fpkm["files"]))
    run = project.snakemake("--quiet", "all")
    assert run.returncode != 0
    for words in ("gse1", "not raw counts", "FPKM", "use the study's raw counts"):
        assert words in run.stderr[-1500:], run.stderr
    assert not (project.folder / "results" / "bulk" / "gse1").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_wrong_hash, ["GSM1_x.txt.gz", "sha256", "expected: "]),
        (_unknown_level, ["contrasts.als_vs_healthy", "'mnd'", "ALS, healthy"]),
        (_missing_sample, ["GSM10", "not in the matrix", "exclude"]),
        (_inestimable, ["cannot be separated from 'site'", "drop 'site'"]),
    ],
    ids=["hash", "level", "sample", "inestimable"],
)
def test_a_wrong_study_stops_before_any_fit(project, change, expected):
    project.card(change)
    run = project.snakemake("--quiet", "all")
    assert run.returncode != 0
    message = run.stderr[-1500:]  # repeated last, where a user looks
    for words in expected:
        assert words in message, f"{words!r} not in:\n{run.stderr}"
    assert "Traceback" not in run.stderr
    assert not (project.folder / "results" / "bulk" / "gse1" / "fits.h5").exists()
