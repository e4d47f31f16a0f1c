"""What jobs of reads ask for, by the sizes of files and by what was measured."""

from __future__ import annotations

import pytest

from alsmuscle.reads import needs
from support import ROOT


def card(file, **more):
    return {"files": {"reads": {"source": "fastq", **file}}, **more}


def sized(path, size):
    with path.open("wb") as file:
        file.truncate(size)
    return str(path)


def test_an_index_grows_with_its_sequences(tmp_path):
    transcripts = sized(tmp_path / "t.fa.gz", 50_000_000)
    genome = sized(tmp_path / "g.fa", 900_000_000)
    own = {"transcripts": transcripts, "genome": genome, "libraries": {}}
    assert needs.megabases(own, introns=False) == 200
    assert needs.megabases(own, introns=True) == 900
    assert needs.megabases({}, introns=False) == needs.TRANSCRIPTS
    assert needs.megabases({"transcripts": "https://host/t.fa.gz"}, introns=False) == 130
    human, nuclei = needs.index(card({})), needs.index(card({}, cells={"material": "nuclei"}))
    mine = needs.index(card(own))
    assert human[0] < mine[0] < nuclei[0] and human[1] < mine[1] < nuclei[1]


def test_a_library_asks_for_time_by_its_reads_and_for_memory_by_its_index(tmp_path):
    paths = [sized(tmp_path / "a.fq.gz", 2_000_000_000), sized(tmp_path / "b.fq", 4_000_000_000)]
    file = {"libraries": {"S1": paths, "S2": [*paths, "missing.fq"]}}
    assert needs.gigabytes(file, "S1") == 3
    assert needs.gigabytes(file, "S2") == needs.UNKNOWN_GB
    assert needs.gigabytes({"runs": ["SRR1"]}, "SRR1") == needs.UNKNOWN_GB
    small, unknown = (needs.library(card(file), name) for name in ("S1", "S2"))
    assert small[0] == unknown[0] and small[1] < unknown[1] < 24 * 60
    cells = needs.library(card(file, cells={"material": "cells"}), "S1")
    assert cells[0] > small[0] + 2_000  # what bustools sorts in


def measured():
    lines = (ROOT / "benchmarks" / "reads.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


@pytest.mark.parametrize("row", measured(), ids=lambda row: f"{row['step']}, {row['genes']}")
def test_what_was_measured_fits(row, tmp_path):
    """With the margin that is left for the genome's repeats, but not many times more."""
    bases = sized(tmp_path / "x.fa", int(float(row["megabases"]) * 1e6))
    own = {"transcripts": bases, "genome": bases}
    kind = {"cells": {"cells": {"material": "cells"}}, "nuclei": {"cells": {"material": "nuclei"}}}
    peak, seconds = float(row["peak_mb"]), float(row["cpu_s"])
    if row["step"].startswith("index"):
        memory, minutes = needs.index(card(own))
    else:
        pairs = float(row["million_reads"]) * 1e9 / 8  # bytes of so many pairs, packed
        own["libraries"] = {"S": [sized(tmp_path / "x.fq.gz", int(pairs))]}
        memory, minutes = needs.library(card(own, **kind.get(row["step"], {})), "S")
    assert peak < memory and seconds < 60 * minutes
    assert memory < 1_000 + needs._CELLS_MB * (row["step"] in kind) + 20 * max(peak, 50)
