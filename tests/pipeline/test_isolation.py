"""One study that fails, wherever and however, never takes the others down, and is explained."""

from __future__ import annotations

import importlib
import re
from typing import NamedTuple

import pandas as pd
import pytest

from alsmuscle.bulk.tables import DE
from alsmuscle.core import files
from alsmuscle.core.outcome import OUTCOME
from alsmuscle.genesets.tables import GSEA
from sabotage import Fault, place
from studies_of_runs import (
    CONTRAST,
    add,
    array_study,
    cells_study,
    counts_study,
    effects_study,
    two_sound_studies,
)
from support import Project, write_arrays

pytestmark = pytest.mark.pipeline

CRASH, KILLED = "os.kill(os.getpid(), 11)", "os.kill(os.getpid(), 9)"
# Study → its form, the rule that fails, where in it, how, and what its page says of that.
WAYS = {
    "gse11": (counts_study, "data_fetch", "data.fetch:study_files", "1 / 0", "ZeroDivisionError"),
    "gse12": (
        *(counts_study, "data_verify", "data.studies:read_bulk"),
        *("b'\\xff'.decode()", "Unicode"),
    ),
    "gse13": (counts_study, "data_verify", "data.studies:read_bulk", CRASH, "SIGSEGV"),
    "gse14": (counts_study, "bulk_fit", "bulk.engines:fit", "1 / 0", "ZeroDivisionError"),
    "gse15": (counts_study, "bulk_fit", "bulk.engines:fit", KILLED, "memory ran out"),
    "gse16": (counts_study, "bulk_contrast", "bulk.engines:test", "raise MemoryError", "memory"),
    "gse17": (counts_study, "bulk_contrast", "genesets.set_tests:test_sets", "[][1]", "IndexError"),
    "gse18": (counts_study, "bulk_contrast", "genesets.pathways:gsea", "{}['x']", "KeyError"),
    "gse19": (array_study, "bulk_fit_array", "bulk.engines:fit", "1 / 0", "ZeroDivisionError"),
    "gse20": (effects_study, "effects_import", "data.study_effects:read_effects", "1 / 0", "Zero"),
    "gse21": (effects_study, "enrichment_gsea", "genesets.pathways:gsea", "1 / 0", "ZeroDivision"),
    "gse22": (cells_study, "cells_prepare", "cells.prepare:prepare_sample", "1 / 0", "ZeroDiv"),
    "gse23": (cells_study, "cells_cluster", "cells.cluster:integrate", KILLED, "SIGKILL"),
    "gse24": (
        *(cells_study, "cells_pseudobulk", "cells.pseudobulk:pseudobulk"),
        *("[][1]", "IndexError"),
    ),
    "gse25": (cells_study, "cells_contrast", "cells.contrasts:contrasts_by_type", "1 / 0", "Zero"),
}  # fmt: skip
FAULTS = {
    study: Fault(f"alsmuscle.{where}", rule, study, how)
    for study, (_, rule, where, how, _) in WAYS.items()
}
FAST = ["gse14", "gse17", "gse20"]


class Failed(NamedTuple):
    """What a run said, and the tables of the two sound studies before it."""

    project: Project
    stderr: str
    before: dict[str, bytes]


AGAIN = Fault(
    *("alsmuscle.bulk.engines:test", "bulk_contrast", "gse31"),
    "job.wildcards.contrast == 'again' and 1 / 0",
)
"""One of two comparisons of a study."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two sound studies, analysed each by itself; others are added by each test."""
    project = two_sound_studies(tmp_path_factory.mktemp("two"))
    names = [("bulk/gse1", "de.tsv"), ("bulk/gse2", "de.tsv"), ("enrichment/gse2", "gsea.tsv")]
    run = project.snakemake(
        *("--quiet", "host", "--"),
        *(f"results/{folder}/{CONTRAST['id']}/{name}" for folder, name in names),
    )
    assert run.returncode == 0, run.stderr
    return project


@pytest.fixture(scope="module")
def failed(two: Project) -> Failed:
    """A run of the two beside studies that fail, each in a way of its own."""
    before = tables_of_sound(two)
    with pytest.MonkeyPatch.context() as environment:
        faults = [AGAIN, *(FAULTS[study] for study in FAST)]
        for name, value in place(two.folder / "hook", faults).items():
            environment.setenv(name, value)
        card = counts_study(two.folder, AGAIN.study)
        card["contrasts"].append({**card["contrasts"][0], "id": "again", "adjust": ["sex"]})
        add(two, AGAIN.study, card)
        for study in FAST:
            add(two, study, WAYS[study][0](two.folder, study))
        run = two.snakemake("--quiet", "host")
    assert run.returncode == 0, run.stderr
    return Failed(two, run.stderr, before)


def tables_of_sound(project: Project) -> dict[str, bytes]:
    results = project.folder / "results"
    return {
        str(path.relative_to(results)): path.read_bytes()
        for name in ("gse1", "gse2")
        for folder in ("bulk", "programmes", "enrichment")
        for path in sorted((results / folder / name).rglob("*.tsv"))
    }


def check_explained(project: Project, study: str, stderr: str) -> None:
    """The third study: in the table, on its page, on the first page, on the terminal,
    in the log.
    """
    results = project.folder / "results"
    rule, words = WAYS[study][1], WAYS[study][4]
    found = files.read_table(results / "provenance" / "outcome.tsv", OUTCOME)
    rows = found[found["dataset"] == study]
    assert not rows["kept"].any()
    admitted = rule not in ("data_fetch", "data_verify")
    assert set(rows["step"]) == {rule if admitted else "data_admit"}
    (reason,) = rows["reason"].unique()
    assert words in reason and (study in reason or not admitted)
    page = (results / "report" / "studies" / f"{study}.html").read_text()
    first = (results / "report" / "index.html").read_text()
    assert "This study is not in the results" in page
    for text in (page, first):
        assert words in text
    assert re.search(rf"selected studies did not take part: [^.]*{study.upper()}", first)
    assert f'href="studies/{study}.html"' in first
    said = [line for line in stderr.splitlines() if line.startswith("left out: ")]
    assert any(study in line and words in line for line in said)
    assert "left out, as said above" in stderr
    if admitted:
        (log,) = rows["log"].unique()
        text = (results / log).read_text()
        assert ("SIGKILL" in text) if "os.kill" in WAYS[study][3] else ("Traceback" in text)
    # Nothing of it is in what rests on all studies.
    assert study not in (results / "synthesis" / "contrasts.tsv").read_text()


def check_reported(project: Project) -> None:
    """The two others."""
    report = project.folder / "results" / "report"
    for name in ("gse1", "gse2"):
        assert (report / "contrasts" / f"{name}.als_vs_healthy.html").is_file()
        assert "not in the results" not in (report / "studies" / f"{name}.html").read_text()
    contrasts = (project.folder / "results" / "synthesis" / "contrasts.tsv").read_text()
    assert "gse1\t" in contrasts and "gse2\t" in contrasts


@pytest.mark.parametrize("study", WAYS)
def test_the_place_of_each_error_exists(study):
    module, _, name = FAULTS[study].function.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_other_studies_fail_and_the_two_are_reported_as_before(failed):
    for study in FAST:
        check_explained(failed.project, study, failed.stderr)
    check_reported(failed.project)
    assert len(failed.before) > 10
    assert tables_of_sound(failed.project) == failed.before


def test_a_comparison_that_fails_leaves_its_study_in(failed):
    study = AGAIN.study
    assert f"left out: {study}/again met an error" in failed.stderr
    report = failed.project.folder / "results" / "report"
    page = (report / "studies" / f"{study}.html").read_text()
    assert "A comparison of this study is left out" in page and "ZeroDivisionError" in page
    assert f"1 comparison is left out: {study} again" in (report / "index.html").read_text()
    assert (report / "contrasts" / f"{study}.als_vs_healthy.html").is_file()
    assert not (report / "contrasts" / f"{study}.again.html").exists()


# The last of the run with failures: all of them are mended.
def test_what_failed_is_tried_again_by_the_next_run_and_nothing_else(failed, monkeypatch):
    project = failed.project
    cards = project.folder / "config" / "datasets"
    try:
        jobs = project.planned()
        of_all = ("data_outcome", "provenance_", "synthesis_", "report_", "all")
        own = {rule: n for rule, n in jobs.items() if not rule.startswith(of_all)}
        # Of gse14 the fit and what rests on it; comparisons of gse17 and gse31; the effects of
        # gse20 and what rests on them.
        assert own == {
            "bulk_fit": 1,
            "bulk_contrast": 3,
            "effects_import": 1,
            "enrichment_gsea": 1,
        }
        assert jobs["data_outcome"] == 1
        # Mended, though Snakemake sees neither code nor data that changed.
        for name, value in place(project.folder / "hook", []).items():
            monkeypatch.setenv(name, value)
        run = project.snakemake("--quiet", "host")
        assert run.returncode == 0, run.stderr
        assert "left out: " not in run.stderr
        report = project.folder / "results" / "report"
        assert (report / "contrasts" / f"{AGAIN.study}.again.html").is_file()
        check_reported(project)
        contrasts = (project.folder / "results" / "synthesis" / "contrasts.tsv").read_text()
        assert all(f"{study}\t" in contrasts for study in (AGAIN.study, *FAST))
        assert project.planned() == {}
    finally:
        for study in (AGAIN.study, *FAST):
            (cards / f"{study}.yaml").unlink()


@pytest.mark.verify
@pytest.mark.parametrize("study", WAYS)
def test_another_study_fails_and_the_two_are_reported_as_before(two, study, monkeypatch):
    before = tables_of_sound(two)
    for name, value in place(two.folder / "hook", [FAULTS[study]]).items():
        monkeypatch.setenv(name, value)
    add(two, study, WAYS[study][0](two.folder, study))
    try:
        run = two.snakemake("--quiet", "host")
        assert run.returncode == 0, run.stderr
        check_explained(two, study, run.stderr)
        check_reported(two)
        assert tables_of_sound(two) == before
    finally:
        (two.folder / "config" / "datasets" / f"{study}.yaml").unlink()


@pytest.mark.verify
def test_all_ways_at_once(tmp_path, monkeypatch):
    project = two_sound_studies(tmp_path)
    for name, value in place(tmp_path / "hook", list(FAULTS.values())).items():
        monkeypatch.setenv(name, value)
    for study in WAYS:
        add(project, study, WAYS[study][0](tmp_path, study))
    run = project.snakemake("--quiet", "host")
    assert run.returncode == 0, run.stderr
    for study in WAYS:
        check_explained(project, study, run.stderr)
    check_reported(project)


@pytest.mark.verify
def test_references_that_compare_nothing_have_a_page_or_are_explained(tmp_path, monkeypatch):
    project = two_sound_studies(tmp_path)
    fault = Fault("alsmuscle.cells.cluster:integrate", "cells_cluster", "gse23", "1 / 0")
    for name, value in place(tmp_path / "hook", [fault]).items():
        monkeypatch.setenv(name, value)
    for study, made in (("gse51", counts_study), ("gse52", cells_study), ("gse23", cells_study)):
        add(project, study, made(tmp_path, study) | {"contrasts": [], "role": "reference"})
    run = project.snakemake("--quiet", "host")
    assert run.returncode == 0, run.stderr
    results = project.folder / "results"
    found = files.read_table(results / "provenance" / "outcome.tsv", OUTCOME)
    nothing = found[found["contrast"] == ""].set_index("dataset")["kept"]
    assert nothing.to_dict() == {"gse51": True, "gse52": True, "gse23": False}
    pages = {
        study: (results / "report" / "studies" / f"{study}.html").read_text()
        for study in nothing.index
    }
    assert "This study is not in the results" in pages["gse23"]
    assert "ZeroDivisionError" in pages["gse23"]
    assert "Satellite" in pages["gse52"] and "not in the results" not in pages["gse52"]
    assert "library" in pages["gse51"].lower() and "not in the results" not in pages["gse51"]
    assert (
        "1 of 5 selected studies did not take part: GSE23"
        in (results / "report" / "index.html").read_text()
    )
    check_reported(project)
    assert not set(project.planned()) & {"data_fetch", "cells_prepare", "bulk_fit"}


@pytest.mark.verify
def test_too_few_of_every_kind_is_said_and_the_run_goes_on(tmp_path):
    project = two_sound_studies(tmp_path)
    nuclei = cells_study(tmp_path, "gse43")
    nuclei["samples"]["exclude"] = [
        {"sample_id": name, "reason": "two a side are left"}
        for name in ("S05", "S06", "S07", "S08")
    ]
    effects = effects_study(tmp_path, "gse44", p=0.5)
    effects["effects"] |= {"n_target": 2, "n_reference": 2, "pvalue_column": "p"}
    arrays = write_arrays(tmp_path / "gse42", n_side=2) | {"contrasts": [{**CONTRAST}]}
    add(project, "gse41", counts_study(tmp_path, "gse41", n_side=2))
    add(project, "gse42", arrays)
    add(project, "gse43", nuclei)
    add(project, "gse44", effects)
    run = project.snakemake("--quiet", "host")
    assert run.returncode == 0, run.stderr
    assert "left out: gse" not in run.stderr
    check_reported(project)
    results = project.folder / "results"
    for kind, study in (
        ("bulk", "gse41"),
        ("bulk", "gse42"),
        ("cells", "gse43"),
        ("bulk", "gse44"),
    ):
        de = files.read_table(results / kind / study / CONTRAST["id"] / "de.tsv", DE)
        assert de["log2fc"].notna().any()
        assert de[["pvalue", "padj", "stat"]].isna().all(axis=None)
        if kind == "bulk":
            gsea = results / "enrichment" / study / CONTRAST["id"] / "gsea.tsv"
            assert files.read_table(gsea, GSEA).empty
        pages = list((results / "report" / "contrasts").glob(f"{study}.*.html"))
        assert pages
        for page in pages:
            assert "few donors" in page.read_text() or "too few" in page.read_text()
    contrasts = pd.read_csv(results / "synthesis" / "contrasts.tsv", sep="\t")
    few = contrasts[contrasts["dataset"].isin(["gse41", "gse42", "gse43", "gse44"])]
    assert len(few) and not few["eligible"].any()
