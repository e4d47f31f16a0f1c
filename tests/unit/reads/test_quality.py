"""Flags of libraries, and the part of a study's page about its reads."""

from __future__ import annotations

from alsmuscle.core import contracts
from alsmuscle.reads.quality import flagged
from alsmuscle.reads.tables import NOTHING, READS
from alsmuscle.report import methods
from alsmuscle.report.model import StudyData
from alsmuscle.report.pages import raw_reads

LIMITS = {"min_pct_aligned": 40.0, "max_pct_duplicated": 80.0}
SETTINGS = {"reads": {"quality": LIMITS}}


def table(*libraries, **shared):
    sound = {
        **{"dataset": "srp1", "layout": "paired", "reads": 1000, "quantified": 1000},
        **{"read_length": 75, "mixed_lengths": False, "pct_aligned": 80.0, "pct_unique": 20.0},
        **{"tool": "kallisto 0.52.0", "reference": "GENCODE 44", "quantified_on": "2026-11-29"},
    }
    told = NOTHING | sound | {"strandedness": "reverse", "share_forward": 0.02} | shared
    rows = [told | {"library": f"SRR{i}"} | own for i, own in enumerate(libraries)]
    return contracts.check_table(contracts.rows(rows, READS), READS, "here")


def test_libraries_are_flagged_with_metric_value_and_threshold():
    sound, poor, copies, odd, trial = flagged(
        table(
            {},
            {"pct_aligned": 30.0},
            {"pct_duplicated": 90.0},
            {"share_forward": 0.3},
            {"quantified": 10},
        ),
        **LIMITS,
    )
    assert sound == ""
    assert "30.0 % of the reads belong to known transcripts, below 40 %" in poor
    assert "90.0 % of the first reads are copies, above 80 %" in copies
    assert "30 % of the reads lie forward: neither stranded" in odd
    assert "a trial: 10 of 1,000 reads" in trial


def test_libraries_of_one_study_that_differ_in_kind_are_all_flagged():
    found = flagged(table({}, {"layout": "single"}), **LIMITS)
    assert all("differ in kind" in said for said in found)
    assert "single, reverse" in found[1]


def test_the_page_says_what_was_quantified_with_what():
    study = StudyData(card={"id": "srp1"}, reads=table({}, {"pct_aligned": 30.0}))
    text = str(raw_reads.section(study, SETTINGS))
    assert "Quantified here from raw reads with kallisto 0.52.0 against GENCODE 44" in text
    assert "1 of 2 libraries are flagged" in text and "SRR1" in text
    assert "Chemistry" not in text and "Taken for cells" not in text
    assert str(raw_reads.section(StudyData(card={"id": "gse1"}), {})) == ""


def test_a_page_of_cells_has_their_columns():
    own = {"layout": "cells", "strandedness": "", "share_forward": float("nan")}
    own |= {"chemistry": "10xv3", "pct_barcodes": 97.0, "barcodes": 900, "cells": 90}
    study = StudyData(card={"id": "srp1", "cells": {}}, reads=table(own))
    text = str(raw_reads.section(study, SETTINGS))
    assert "10xv3" in text and "Taken for cells" in text
    assert "Strand" not in text and "0 of 1 libraries are flagged" in text


def test_methods_name_tools_and_references_of_all_studies():
    assert methods.of_reads([None]) == []
    (row,) = methods.of_reads([None, table({}), table({}, reference="GENCODE M33")])
    assert "kallisto 0.52.0; GENCODE 44; GENCODE M33" in row["text"]
    assert row["citation"].count(";") == row["doi"].count(";") == 2
