"""What would run: job counts, and which rules rerun after which change."""

from __future__ import annotations

import pytest

FULL = {
    "data_fetch": 1,
    "bulk_counts": 1,
    "bulk_design": 1,
    "bulk_qc": 1,
    "bulk_fit": 1,
    "bulk_de": 1,
    "enrichment_gsea": 1,
    "programmes_scores": 1,
    "programmes_effects": 1,
    "provenance_run": 1,
    "report_pages": 1,
    "all": 1,
}


def test_a_new_run_has_one_job_per_step(project):
    assert project.planned() == FULL


def test_a_second_contrast_adds_its_own_jobs_only(project):
    def paired(card):
        card["contrasts"].append(
            {**card["contrasts"][0], "id": "paired", "block": "subject_id"},
        )

    project.card(paired)
    assert project.planned() == {
        **FULL,
        "bulk_de": 2,
        "enrichment_gsea": 2,
        "programmes_effects": 2,
    }


@pytest.fixture
def pretended(project):
    """A project whose outputs are all there, as far as Snakemake can tell."""
    run = project.snakemake("--touch", "--quiet", "all")
    assert run.returncode == 0, run.stderr
    return project
