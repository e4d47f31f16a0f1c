"""One small study from files to pages, run once and looked at from many sides."""

from __future__ import annotations

import re
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import yaml

import census
from alsmuscle.bulk.tables import DE
from alsmuscle.core import contracts, files
from alsmuscle.data.tables import MANIFEST, SAMPLES, WARNINGS
from alsmuscle.genesets.tables import GSEA, SETS
from alsmuscle.synthesis.dictionary import TABLES as CONTRACTS
from alsmuscle.synthesis.tables import CHANGES, CLAIM_STUDIES, CLAIMS, CONTRASTS
from support import make_project, small_counts, write_study

pytestmark = pytest.mark.pipeline

# PyDESeq2's own engine takes 13 ms a gene.
N_GENES = 640
SYNTHESIS = {
    "synthesis_contrasts",
    "synthesis_pool",
    "synthesis_denervation",
    "synthesis_claims",
    "synthesis_calls",
    "synthesis_export",
}
AFTER_DE = {"bulk_contrast", "data_outcome", "provenance_run", "report_pages", "all"} | SYNTHESIS


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    made = make_project(tmp_path_factory.mktemp("run"), copy_code=True, n_genes=N_GENES)

    def own_engine(config):
        # Compiling the batched engine for a copy of the code would take longer than this run.
        config["bulk"]["de"]["inference"] = "default"

    made.config(own_engine)
    made.own_sets(small_counts(N_GENES).index)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in census.place(made.folder.parent / "census-of-run").items():
            environment.setenv(name, value)
        run = made.snakemake("--quiet", "host", jobs="light")
    assert run.returncode == 0, run.stderr
    return made


@pytest.fixture
def results(done):
    return done.folder / "results"


@pytest.fixture
def restored(done):
    """The finished project; what a test changes in its code and configuration is put back."""
    kept = done.folder.parent / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    for name in ("config", "workflow"):
        shutil.copytree(done.folder / name, kept / name)
    yield done
    for name in ("config", "workflow"):
        shutil.rmtree(done.folder / name)
        shutil.copytree(kept / name, done.folder / name)


TABLES = {
    "manifest": "provenance/data/gse1.tsv",
    "outcome": "provenance/outcome.tsv",
    "checks": "provenance/checks.tsv",
    "admission": "provenance/admission.tsv",
    "completeness": "provenance/completeness.tsv",
    "samples": "bulk/gse1/samples.tsv",
    "excluded": "bulk/gse1/excluded.tsv",
    "warnings": "bulk/gse1/warnings.tsv",
    "qc": "bulk/gse1/qc.tsv",
    "pca": "bulk/gse1/pca.tsv",
    "pca_covariates": "bulk/gse1/pca_covariates.tsv",
    "de": "bulk/gse1/als_vs_healthy/de.tsv",
    "engines": "bulk/gse1/als_vs_healthy/engines.tsv",
    "omnibus": "bulk/gse1/als_vs_healthy/omnibus.tsv",
    "gsea": "enrichment/gse1/als_vs_healthy/gsea.tsv",
    "sets": "enrichment/gse1/als_vs_healthy/sets.tsv",
    "coverage": "programmes/coverage.tsv",
    "scores": "programmes/gse1/scores.tsv",
    "effects": "programmes/gse1/als_vs_healthy/effects.tsv",
    "block_effects": "programmes/gse1/als_vs_healthy/block_effects.tsv",
    "called_genes_all": "synthesis/called_genes.tsv",
    "called_blocks_all": "synthesis/called_blocks.tsv",
    "call_agreement": "synthesis/call_agreement.tsv",
    "contrasts": "synthesis/contrasts.tsv",
    "blocks": "synthesis/blocks.tsv",
    "pooled_genes": "synthesis/genes.tsv",
    "pooled_programmes": "synthesis/programmes.tsv",
    "specificity": "synthesis/specificity.tsv",
    "denervation": "synthesis/denervation.tsv",
    "deltas": "synthesis/deltas.tsv",
    "random_sets": "synthesis/random_sets.tsv",
    "claims": "synthesis/claims.tsv",
    "claim_studies": "synthesis/claim_studies.tsv",
    "changes": "synthesis/changes.tsv",
    "dictionary": "synthesis/data_dictionary.tsv",
}
# One ALS study, confounded with its site, has nothing to be pooled or compared with.
MAY_BE_EMPTY = {
    "outcome",
    "called_genes_all",
    "called_blocks_all",
    "call_agreement",
    "excluded",
    "omnibus",
    "pca_covariates",
    "pooled_genes",
    "pooled_programmes",
    "specificity",
    "denervation",
    "deltas",
    "random_sets",
}


# Of published lists of called genes; held by tests/unit/genesets/test_calls.py and the verify
# tests.
OF_LISTS = {"called", "called_blocks", "imported"}
# Held by test_demo_cells.py.
OF_CELLS = {
    *("cells_qc", "barcodes", "clusters", "markers", "types", "activity", "coexpression"),
    "composition",
}


# Where nuclei describe tissue; held by tests/unit/synthesis/test_proportions.py.
OF_NUCLEI = {"shares", "proportions"}
# Held by test_reads.py.
OF_READS = {"reads"}


def test_every_contract_is_exercised():
    assert set(TABLES) == set(CONTRACTS) - OF_CELLS - OF_LISTS - OF_READS - OF_NUCLEI


@pytest.mark.parametrize("contract", TABLES)
def test_tables_hold_their_contract(results, contract):
    frame = files.read_table(results / TABLES[contract], CONTRACTS[contract])
    assert len(frame) or contract in MAY_BE_EMPTY


def test_counts_arrive_unchanged(results):
    counts = contracts.check_counts(files.read_h5ad(results / "bulk/gse1/counts.h5ad"), "x")
    expected = small_counts(N_GENES)
    assert (
        counts.to_df()
        .T.loc[expected.index, expected.columns]
        .equals(expected.astype(counts.X.dtype))
    )
    assert counts.uns["provenance"]["samples_in_source"] == 10


def test_the_planted_genes_are_found(results):
    de = files.read_table(results / TABLES["de"], DE).set_index("gene_id")
    planted = de.index.isin(small_counts(N_GENES).index[::10])
    called = (de["padj"] < 0.05) & (de["log2fc"] > 0)
    assert called[planted].mean() > 0.7
    assert (de["padj"] < 0.05)[~planted].mean() < 0.05
    assert (np.sign(de["log2fc"]) == np.sign(de["stat"])).all()
    assert de["n_target"].unique() == [5]


def test_the_planted_set_of_a_users_own_file_is_found(results):
    sets = files.read_table(results / TABLES["sets"], SETS).set_index("term")
    assert list(sets["collection"].unique()) == ["own"]
    assert sets.loc["PLANTED", "effect"] > 1
    assert sets.loc["PLANTED", "pvalue_competitive"] < 0.001
    assert sets.loc["OTHER", "pvalue_competitive"] > 0.01
    assert sets.loc["PLANTED", "ora_up_pvalue"] < 1e-6
    gsea = files.read_table(results / TABLES["gsea"], GSEA)
    assert set(gsea["collection"]) == {"own", "programmes"}
    assert "Version mine. Licence: ours." in (results / "report/methods.html").read_text()


def test_the_confounded_column_is_marked_in_table_and_page(results):
    warned = files.read_table(results / TABLES["warnings"], WARNINGS)
    assert ("confounded", "site") in set(zip(warned["kind"], warned["column"], strict=True))
    page = (results / "report/contrasts/gse1.als_vs_healthy.html").read_text()
    assert "Every ‘ALS’ sample has site B" in page


def test_sex_is_read_from_expression(results):
    samples = files.read_table(results / TABLES["samples"], SAMPLES)
    assert samples["sex_inferred"].tolist() == samples["sex"].tolist()
    assert samples["sex_raw"].tolist() == ["F", "M"] * 5


def test_the_pages_are_there_and_refer_to_nothing_that_is_not(results):
    report = results / "report"
    pages = list(report.rglob("*.html"))
    assert {p.relative_to(report).as_posix() for p in pages} >= {
        "index.html",
        "studies/gse1.html",
        "contrasts/gse1.als_vs_healthy.html",
        "methods.html",
        "provenance.html",
    }
    for page in pages:
        text = page.read_text()
        assert page.stat().st_size < 5e6
        # Links may lead out, and XML namespaces look like addresses; nothing else may.
        plain = re.sub(r'href="[^"]*"|http://www\.w3\.org/[a-zA-Z0-9/]+', "", text)
        assert "http://" not in plain
        for target in re.findall(r'(?:href|src)="([^"#:?]+)[#?"]', text):
            found = (page.parent / target).resolve()
            assert found.exists(), f"{page.name}: {target}"
            # The folder is whole: it can be mailed, or packed by `snakemake --report`.
            assert found.is_relative_to(report.resolve()), f"{page.name}: {target}"


def test_the_methods_name_the_versions_that_ran(results):
    import pydeseq2

    assert f"PyDESeq2 {pydeseq2.__version__}" in (results / "report/methods.html").read_text()


def test_the_lock_lists_every_file_with_its_hash(results):
    lock = files.read_table(results / "provenance/data_lock.tsv", MANIFEST)
    assert set(lock["name"]) == {"counts", "sheet", "own"}
    assert lock["sha256"].str.fullmatch("[0-9a-f]{64}").all()


def test_a_second_run_does_nothing_and_says_so(done):
    run = done.snakemake()
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout + run.stderr


def test_the_confounded_study_decides_no_claim(results):
    contrasts = files.read_table(results / TABLES["contrasts"], CONTRASTS)
    assert not contrasts["eligible"].any()
    assert "site" in contrasts["reason"].iloc[0]
    told = files.read_table(results / TABLES["claims"], CLAIMS)
    assert set(told["verdict"]) == {"not enough data"}
    assert told.loc[told["context"] == "human_biopsy", "reason"].str.contains("site").any()
    studies = files.read_table(results / TABLES["claim_studies"], CLAIM_STUDIES)
    assert set(studies["dataset"]) == {"gse1"} and not studies["eligible"].any()


def test_a_first_run_says_so(results):
    changes = files.read_table(results / TABLES["changes"], CHANGES)
    assert changes["change"].tolist() == ["first run"]
    assert "first run" in (results / "report/changes.html").read_text()


def test_the_effects_of_all_contrasts_are_one_parquet(results):
    effects = pd.read_parquet(results / "synthesis/effects.parquet")
    assert len(effects) == len(files.read_table(results / TABLES["de"], DE))
    assert (effects["human_gene_id"] == effects["gene_id"]).all()


def _edit(project, module, old, new):
    path = project.folder / "workflow" / "src" / "alsmuscle" / module
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_changed_computation_reruns_the_rules_that_reach_it(restored):
    _edit(restored, "genesets/pathways.py", "\nSEPARATOR = ", '\nSEPARATOR = "" or ')
    assert set(restored.planned()) == AFTER_DE
    mapped = "    if organism not in {"
    _edit(restored, "genesets/programmes.py", mapped, f"    _edited = 1\n{mapped}")
    # So do those that read, fit and score samples (and say how complete their data are), and check
    # the genes of programmes.
    also = {"programmes_check", "bulk_fit", "provenance_run"}
    assert set(restored.planned()) == also | AFTER_DE


def test_a_comment_or_docstring_reruns_nothing(restored):
    for module in (
        "genesets/pathways.py",
        "genesets/programmes.py",
        "bulk/deseq2.py",
        "core/files.py",
    ):
        path = restored.folder / "workflow" / "src" / "alsmuscle" / module
        path.write_text("# a comment\n" + path.read_text() + "\n# another\n")
    _edit(restored, "bulk/deseq2.py", '"""The negative', '"""About the negative')
    assert restored.planned() == {}


def test_a_threshold_of_the_pages_refits_nothing(restored):
    restored.config(lambda config: config["report"].update(padj=0.1))
    assert set(restored.planned()) == {"provenance_run", "report_pages", "all"}


def test_the_level_of_filtering_refits_nothing_either(restored):
    restored.config(lambda config: config["bulk"]["de"].update(alpha=0.1))
    assert set(restored.planned()) == {"provenance_run"} | AFTER_DE


def test_a_new_title_makes_new_pages_only(restored):
    restored.card(lambda card: card.update(title="Another title"))
    assert set(restored.planned()) == {"report_pages", "all"}


def test_a_machine_fact_changes_nothing(restored, monkeypatch):
    monkeypatch.setenv("ALSMUSCLE_MIRROR", str(restored.folder))
    assert restored.planned() == {}


def test_changed_rules_judge_again_and_fit_nothing(restored):
    restored.config(lambda config: config["synthesis"]["rules"].update(block_margin=0.3))
    # Margins also say from when on a pooled effect counts.
    assert set(restored.planned()) == {
        "synthesis_claims",
        "synthesis_pool",
        "report_pages",
        "provenance_run",
        "all",
    }
    # The pages, built in other tests, take longer than all before them.
    claims = "results/synthesis/claims.tsv"
    run = restored.snakemake(claims, "--quiet", "host")
    assert run.returncode == 0, run.stderr
    # The same verdicts: the former comparison stands, and the claims outlived the new run.
    folder = restored.folder / "results" / "synthesis"
    assert files.read_table(folder / "changes.tsv", CHANGES)["change"].tolist() == ["first run"]
    text = (folder / "claims.tsv").read_text()
    (folder / "claims.tsv").write_text(text.replace("not enough data", "supported", 1))
    run = restored.snakemake(claims, "--quiet", "host", "--forcerun", "synthesis_claims")
    assert run.returncode == 0, run.stderr
    moved = files.read_table(folder / "changes.tsv", CHANGES)
    assert moved["old_verdict"].tolist() == ["supported"]
    assert moved["new_verdict"].tolist() == ["not enough data"]
    assert "supported" in (folder / "claims.previous.tsv").read_text()


def test_tables_open_in_a_spreadsheet_with_six_significant_digits(results):
    text = (results / TABLES["de"]).read_text().splitlines()
    frame = pd.read_csv(results / TABLES["de"], sep="\t")
    assert len(text) == len(frame) + 1
    numbers = [cell for line in text[1:50] for cell in line.split("\t")[5:12] if cell]
    assert all(len(re.sub(r"e.*|[-.]", "", n).lstrip("0")) <= 6 for n in numbers)


# Last, since it admits another study into the results.
def test_changed_downloading_is_no_reason_to_fit_again_and_a_new_study_runs_alone(restored):
    # What other tests of the finished project left to do, if any.
    left = restored.planned()
    assert not any(name.startswith(("data_", "bulk_")) for name in left)
    # The files are the same: only what looks at them runs, and it finds them as they were.
    local = "    local = _allowed("
    _edit(restored, "download/download.py", local, f"    _edited = 1\n{local}")
    fetched = restored.folder / "results" / "provenance" / "fetched" / "gse1.tsv"
    before = fetched.stat().st_mtime_ns
    assert restored.admit().returncode == 0
    assert fetched.stat().st_mtime_ns > before
    assert restored.planned() == left
    card = write_study(restored.folder / "other", small_counts(N_GENES, seed=2))
    card |= {"id": "gse2", "accession": "GSE2"}
    path = restored.folder / "config" / "datasets" / "gse2.yaml"
    path.write_text(yaml.safe_dump(card, sort_keys=False))
    jobs = restored.planned()
    assert {jobs[name] for name in ("data_fetch", "data_verify", "data_admit")} == {1}
    assert "bulk_fit" not in jobs
    assert restored.admit().returncode == 0
    jobs = restored.planned()
    assert all(count == 1 for count in jobs.values())
    assert {"bulk_fit", "report_pages", "provenance_run"} | SYNTHESIS < set(jobs)


def test_jobs_load_no_package_that_they_do_not_need_and_read_no_table_over_and_over(done):
    jobs = census.taken(done.folder.parent / "census-of-run")
    assert {"bulk_fit", "bulk_contrast", "synthesis_pool", "report_pages"} <= {j.rule for j in jobs}
    assert census.beyond(jobs) == {}
    # A job that reads one study's files is two processes, every other one.
    processes = Counter((job.rule, *job.wildcards.values()) for job in jobs)
    alone = {"data_admit", "data_outcome", "provenance_run", "report_pages", "programmes_check"}
    assert max(processes.values()) <= 2
    assert all(n == 1 for (rule, *_), n in processes.items() if rule in alone)
    # Once to read it, once to hash it or to lay it beside the pages.
    assert [(job.rule, path) for job in jobs for path, n in job.opened.items() if n > 2] == []
