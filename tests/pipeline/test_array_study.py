"""A small array study on two chip designs, from series matrices to pages, run once."""

from __future__ import annotations

import pytest
import yaml

from alsmuscle.bulk.tables import DE
from alsmuscle.core import files
from alsmuscle.genesets.tables import EFFECTS
from alsmuscle.synthesis.dictionary import TABLES as CONTRACTS
from alsmuscle.synthesis.tables import CONTRASTS
from support import make_project, write_arrays

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    made = make_project(tmp_path_factory.mktemp("arrays"), copy_code=False)
    made.quick()
    cards = made.folder / "config" / "datasets"
    (cards / "gse1.yaml").unlink()
    card = write_arrays(made.folder / "source")
    (cards / "gse2.yaml").write_text(yaml.safe_dump(card, sort_keys=False))
    run = made.snakemake("--quiet", "host")
    assert run.returncode == 0, run.stderr
    return made.folder / "results"


BULK = {
    "samples": "samples.tsv",
    "completeness": "completeness.tsv",
    "warnings": "warnings.tsv",
    "qc": "qc.tsv",
    "pca": "pca.tsv",
    "pca_covariates": "pca_covariates.tsv",
    "omnibus": "als_vs_healthy/omnibus.tsv",
    "de": "als_vs_healthy/de.tsv",
    "engines": "als_vs_healthy/engines.tsv",
}


@pytest.mark.parametrize("contract", BULK)
def test_tables_hold_the_contracts_of_counts(results, contract):
    table = files.read_table(results / "bulk" / "gse2" / BULK[contract], CONTRACTS[contract])
    assert len(table) or contract == "warnings"


def test_what_is_planted_is_found_and_nothing_else(results):
    found = files.read_table(results / "bulk/gse2/als_vs_healthy/de.tsv", DE)
    assert 40 < (found["padj"] < 0.05).sum() < 70
    null = files.read_table(results / "bulk/gse2/other_vs_healthy/de.tsv", DE)
    assert (null["padj"] < 0.05).sum() <= 2


def test_programmes_and_synthesis_take_arrays_as_any_study(results):
    effects = files.read_table(results / "programmes/gse2/als_vs_healthy/effects.tsv", EFFECTS)
    assert effects["effect"].notna().all()
    contrasts = files.read_table(results / "synthesis/contrasts.tsv", CONTRASTS)
    assert set(contrasts["platform_kind"]) == {"array"}
    assert contrasts["eligible"].all()
    assert set(contrasts["modality"]) == {"array"}


def test_pages_say_that_these_are_arrays(results):
    page = (results / "report/contrasts/gse2.als_vs_healthy.html").read_text()
    assert "Array, log2 intensities" in page
    assert "limma-type moderated t" in page
    assert "Mean log2 intensity" in page
    assert "Mean count" not in page
    assert "moderated t without trend" in page  # the second engine
    assert "Is there any difference between the groups" in page
    study = (results / "report/studies/gse2.html").read_text()
    assert "Reads in genes" not in study
    assert "Intensities were linear" in study
