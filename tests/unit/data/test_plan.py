"""What rules ask of a run: paths, inputs, parameters and resources."""

from __future__ import annotations

from collections import UserDict

import pytest

from alsmuscle.data.plan import Plan, joined, one_of


class Wildcards(UserDict):
    """As Snakemake's: attributes that can also be asked as a mapping."""

    def __getattr__(self, name):
        return self.data[name]


def _card(name, modality, *contrasts, url="https://host/x", **more):
    listed = [{"id": contrast, "variable": "condition"} for contrast in contrasts]
    files = {"counts": {"url": url}}
    return {
        **{"id": name, "role": "als_patient", "organism": "human", "modality": modality},
        **{"files": files, "contrasts": listed},
        **more,
    }


@pytest.fixture
def plan(tmp_path):
    studies = {
        "a1": _card("a1", "bulk", "x", "y", samples={"expected": 12}),
        "b1": _card("b1", "array", "x", url="simulated:b1"),
        "c1": _card("c1", "cells", "x", url=str(tmp_path / "own.h5ad")),
        "d1": _card("d1", "effects", "x", role="ageing"),
        "e1": _card("e1", "calls", calls={"comparisons": {"x": 1}, "format": "xlsx"}),
    }
    claims = tmp_path / "claims.yaml"
    claims.write_text(
        "claims:\n"
        "- {statement: x, tests: [{target: GENE/RUNX1}, {target: RATIO/CHRNA1/CHRNG}]}\n"
        "- {statement: y, tests: [{target: NMJ/all}, {target: GENE/RUNX1}]}\n"
    )
    settings = {"results": "out", "data": {"cache": str(tmp_path / "data")}}
    sets = {"hallmark": {"url": "https://host/h.gmt", "sha256": "", "title": "H"}}
    return Plan(settings, studies, sets, {"claims": str(claims)}, ["/own"])


def test_studies_by_kind_and_what_is_fetched(plan):
    assert plan.of("bulk", "array") == ["a1", "b1"]
    assert plan.simulated == ["b1"]
    assert plan.fetched == ["a1", "c1", "d1", "e1", "collections"]
    assert plan.compared() == ["a1", "b1"]
    assert plan.manifests()[-2:] == [
        "out/provenance/data/collections.tsv",
        "out/provenance/data/b1.tsv",
    ]


def test_nuclei_describe_tissue_of_their_species(tmp_path):
    def described(*studies):
        return Plan({}, {card["id"]: card for card in studies}, {}, {}, []).described()

    def cells(name, material="nuclei", **more):
        return _card(name, "cells", "x", cells={"material": material}, **more)

    tissue, mouse = _card("a1", "bulk", "x"), _card("a2", "bulk", "x", organism="mouse")
    array, made_up = _card("b1", "array", "x"), _card("a3", "bulk", "x", simulated=True)
    everything = (tissue, mouse, array, made_up)
    assert described(*everything, cells("n1"), cells("c1", "cells")) == (["n1"], ["a1"])
    assert described(*everything, cells("n1", simulated=True)) == (["n1"], ["a3"])
    two = cells("n1"), cells("n2", organism="mouse")
    assert described(*everything, *two) == (["n1", "n2"], ["a1", "a2"])
    # A rule of nobody's is in no plan.
    for other in (cells("c1", "cells"), cells("s1", "spots")):
        assert described(*everything, other) == ([], [])
    assert described(mouse, array, cells("n1")) == ([], [])


def test_inputs_are_of_what_came_through(plan, tmp_path):
    admission, outcome = tmp_path / "admission.tsv", tmp_path / "outcome.tsv"
    admission.write_text("dataset\tadmitted\treason\na1\tTrue\t\nb1\tFalse\tno\nc1\tTrue\t\n")
    outcome.write_text(
        "dataset\tcontrast\tkept\treason\na1\tx\tTrue\t\na1\ty\tFalse\tno\nc1\tx\tFalse\tno\n"
    )
    names = ["a1", "b1", "c1"]
    admitted = plan.of_admitted("bulk/{dataset}/{contrast}/de.tsv", names, lambda: str(admission))
    assert admitted(None) == [f"out/bulk/{p}/de.tsv" for p in ("a1/x", "a1/y", "c1/x")]
    sound = plan.of_sound("bulk/{dataset}/qc.tsv", names, lambda: str(outcome))
    assert sound(None) == ["out/bulk/a1/qc.tsv"]
    assert joined(sound, sound)(None) == ["out/bulk/a1/qc.tsv"] * 2


def test_a_job_depends_on_what_it_uses_of_a_card(plan):
    own = Wildcards(dataset="a1", contrast="y")
    assert plan.card_part("id", "samples", "cells")(own) == {
        "id": "a1",
        "samples": {"expected": 12},
    }
    assert plan.contrast_of(own)["id"] == "y"
    assert set(plan.archive_of(own)) == {"id", "organism", "files", "samples"}
    sets = plan.archive_of(Wildcards(dataset="collections"))
    assert sets["files"] == {"hallmark": {"url": "https://host/h.gmt"}}
    facts = plan.facts_of_cards(own)
    assert facts["e1"]["calls"] == {"comparisons": {"x": 1}}
    assert "files" not in facts["a1"] and facts["a1"]["contrasts"][0]["id"] == "x"
    assert plan.claim_targets(own) == ["GENE/RUNX1", "RATIO/CHRNA1/CHRNG"]


def test_files_of_ones_own_open_the_folders_they_may_lie_in(plan, tmp_path):
    own = Wildcards(dataset="c1")
    assert (plan.local_files(own), plan.folders(own)) == ([], ["."])
    (tmp_path / "own.h5ad").touch()
    assert plan.local_files(own) == [str(tmp_path / "own.h5ad")]
    assert plan.folders(own) == [".", "/own"]


def test_reads_are_jobs_of_their_own(plan, tmp_path):
    here = tmp_path / "S1.fastq.gz"
    here.touch()
    plan.studies["a1"]["files"] = {"reads": {"source": "ena_fastq", "runs": ["SRR8-SRR9"]}}
    plan.studies["c1"] |= {
        "cells": {"material": "nuclei"},
        "files": {"mine": {"source": "fastq", "libraries": {"S1": [str(here), "gone"]}}},
    }
    a1, c1, b1 = (Wildcards(dataset=name) for name in ("a1", "c1", "b1"))
    assert plan.from_reads == ["a1", "c1"]
    assert plan.libraries_of("a1") == ["SRR8", "SRR9"] and plan.libraries_of("b1") == []
    assert plan.checks_of_reads(b1) == []
    assert plan.checks_of_reads(a1) == [
        "out/reads/a1/reference.tsv",
        "out/reads/a1/checks/SRR8.tsv",
        "out/reads/a1/checks/SRR9.tsv",
    ]
    assert plan.local_reads(Wildcards(dataset="c1", library="S1")) == [str(here)]
    assert plan.local_reads(Wildcards(dataset="a1", library="SRR8")) == []
    assert plan.begun(Wildcards(dataset="a1", library="SRR8")) == 0
    (tmp_path / "data" / "a1" / "reads" / "SRR8").mkdir(parents=True)
    assert plan.begun(Wildcards(dataset="a1", library="SRR8")) == 1
    assert plan.begun(Wildcards(dataset="a1", library="SRR9")) == 0
    assert plan.folders(c1) == [".", "/own"]
    library = Wildcards(dataset="a1", library="SRR8")
    assert plan.growing(plan.library_mb)(library, 2) == 2 * plan.library_mb(library)
    assert plan.index_mb(c1) > 5 * plan.index_mb(a1)
    assert plan.index_minutes(c1) > plan.index_minutes(a1)
    assert plan.library_minutes(Wildcards(dataset="c1", library="S1")) > 60  # one file is missing
    outcome = tmp_path / "outcome.tsv"
    outcome.write_text("dataset\tcontrast\tkept\treason\na1\tx\tFalse\tno\nc1\tx\tTrue\t\n")
    assert plan.quality_of_reads(lambda: str(outcome))(None) == ["out/reads/c1/quality/S1.tsv"]


def test_what_failed_is_tried_again(plan, tmp_path, monkeypatch):
    own = Wildcards(dataset="a1")
    assert plan.last_failure(own) == ""
    mark = tmp_path / "data" / "a1" / "unreachable"
    mark.parent.mkdir(parents=True)
    mark.write_text("2026-01-01")
    assert plan.last_failure(own) == "2026-01-01"
    monkeypatch.chdir(tmp_path)
    failed = tmp_path / "out" / "logs" / "bulk_fit" / "a1.log.failed"
    failed.parent.mkdir(parents=True)
    failed.write_text("then")
    assert plan.last_mark("bulk_fit", "{dataset}")(own) == "then"
    assert plan.last_mark("bulk_fit", "{dataset}")(Wildcards(dataset="c1")) == ""


def test_resources_grow_with_samples_contrasts_and_attempts(plan):
    own = Wildcards(dataset="a1")
    assert plan.growing(100)(own, 1) == 100
    assert plan.growing(100, per_sample=5)(own, 2) == 320
    assert plan.growing(100, per_contrast=10)(own, 1) == 150
    assert plan.expected_samples(Wildcards(dataset="d1")) == 0


def test_no_name_matches_where_there_are_none():
    assert one_of(["a", "b"]) == "a|b"
    assert one_of([]) == "(?!)"
