"""What would run in a fresh project."""

from __future__ import annotations

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
    "synthesis_contrasts": 1,
    "synthesis_pool": 1,
    "synthesis_denervation": 1,
    "synthesis_claims": 1,
    "synthesis_export": 1,
    "provenance_run": 1,
    "report_pages": 1,
    "all": 1,
}


def test_a_new_run_has_one_job_per_step(project):
    assert project.planned() == FULL


def test_a_contrast_adds_three_jobs_and_a_collection_one_download(project):
    def paired(card):
        card["contrasts"].append({**card["contrasts"][0], "id": "paired", "block": "subject_id"})

    def hallmark(config):
        config["enrichment"]["collections"] = ["hallmark"]

    project.card(paired)
    project.config(hallmark)
    assert project.planned() == {
        **FULL,
        "data_fetch": 2,
        "bulk_de": 2,
        "enrichment_gsea": 2,
        "programmes_effects": 2,
    }
