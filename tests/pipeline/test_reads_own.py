"""Reads of one's own as core facilities hand them over, through the workflow's own jobs."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import made_up_reads
from alsmuscle.core import files
from alsmuscle.data.tables import ADMISSION
from alsmuscle.reads.tables import READS
from small_reads import card, quick
from support import make_project, small_counts

pytestmark = [pytest.mark.pipeline, pytest.mark.verify]  # some forty jobs

SAMPLES = {"A1": "healthy", "A2": "healthy", "B1": "ALS", "B2": "ALS"}


def _own(folder, name, genome, transcripts, seed):
    """Two lanes of mates per sample; names with spaces, a sheet with Windows line ends."""
    draw = np.random.default_rng(seed)
    place = folder / f"{name} of the core facility"
    place.mkdir()
    libraries = {}
    amounts = {transcript: draw.gamma(1.5, 10) for transcript in genome.transcripts}
    for sample in SAMPLES:
        for lane in (1, 2):
            pieces, _ = made_up_reads.fragments(genome, amounts, int(draw.integers(400, 700)), draw)
            made = made_up_reads.bulk(
                place, f"{sample}{lane}", pieces, paired=True, strand="reverse", draw=draw
            )
            for mate, path in enumerate(made, start=1):
                new = place / f"Mr {sample}_S3_L00{lane}_R{mate}_001.fastq.gz"
                libraries.setdefault(sample, []).append(str(path.rename(new)))
    rows = "".join(f"{sample},{group}\r\n" for sample, group in SAMPLES.items())
    (place / "sheet.csv").write_bytes(b"sample,group\r\n" + rows.encode())
    made = card(
        name.upper(),
        "bulk",
        {},
        counts={"file": "reads", "layout": "reads", "type": "expected_counts"},
    )
    made["files"] = {
        "reads": {"source": "fastq", "libraries": libraries, "transcripts": str(transcripts)},
        "sheet": {"url": str(place / "sheet.csv")},
    }
    made["samples"] = {
        "sheet": {"file": "sheet", "layout": "csv"},
        "sample_id": "sample",
        "columns": {"condition": {"from": "group", "map": {"healthy": "healthy", "ALS": "als"}}},
    }
    return made


def _unpacked(path, change):
    """Have lines of a packed file changed."""
    lines = gzip.decompress(path.read_bytes()).split(b"\n")
    path.write_bytes(gzip.compress(b"\n".join(change(lines))))


def _short_quality(path):
    _unpacked(path, lambda lines: [*lines[:403], lines[403][:-5], *lines[404:]])


def _cut(path):
    _unpacked(path, lambda lines: [line[:25] for line in lines])


# What is done to the first file of sample A1; what is said then.
FAULTS = {
    "empty": (lambda path: path.write_bytes(b""), "there is no read in it"),
    "garbage": (lambda path: path.write_bytes(path.read_bytes() + b"x" * 9), "the gzip is broken"),
    "quality": (_short_quality, "line 401: no read of FASTQ"),
    "short": (_cut, "reads of 25 nucleotides at most"),
    "mates": (lambda path: path.write_bytes(_second(path)), "are the same, byte for byte"),
    "gone": (Path.unlink, "there is no such file"),
}


def _second(path):
    return path.with_name(path.name.replace("_R1_", "_R2_")).read_bytes()


@pytest.fixture(scope="module")
def admission(tmp_path_factory):
    source = tmp_path_factory.mktemp("made")
    genome = made_up_reads.genome([f"{name}.1" for name in small_counts(n_genes=300).index[:40]])
    transcripts = genome.write(source)["transcripts"]
    project = make_project(tmp_path_factory.mktemp("run"), copy_code=False)
    (project.folder / "config" / "datasets" / "gse1.yaml").unlink()
    project.config(lambda config: quick(config, source))
    for seed, name in enumerate(["sound", *FAULTS]):
        made = _own(source, name, genome, transcripts, seed)
        if name in FAULTS:
            libraries = made["files"]["reads"]["libraries"]
            FAULTS[name][0](Path(libraries["A1"][0]))
            del libraries["A2"], libraries["B2"]
        path = project.folder / "config" / "datasets" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(made, sort_keys=False))
    before = sorted(path for path in source.rglob("*") if path.is_file())
    run = project.snakemake("fetch", "--quiet", "host")
    assert run.returncode == 0, run.stderr
    assert sorted(path for path in source.rglob("*") if path.is_file()) == before
    table = files.read_table(project.folder / "results/provenance/admission.tsv", ADMISSION)
    return project, table.set_index("dataset")


def test_lanes_with_odd_names_are_libraries(admission):
    project, table = admission
    assert table.index[table["admitted"]].tolist() == ["sound"]
    paths = sorted((project.folder / "results/reads/sound/quality").iterdir())
    quality = pd.concat([files.read_table(path, READS) for path in paths])
    assert quality["library"].tolist() == list(SAMPLES)
    assert set(quality["layout"]) == {"paired"} and quality["reads"].between(800, 1_400).all()
    counts = pd.read_csv(project.folder / "data/sound/reads.counts.tsv", sep="\t", index_col=0)
    assert (counts.sum().sub(quality.set_index("library")["reads"]).abs() < 20).all()


@pytest.mark.parametrize("name", FAULTS)
def test_a_file_that_cannot_be_used_leaves_its_study_out(admission, name):
    project, table = admission
    row = table.loc[name]
    assert not row["admitted"] and FAULTS[name][1] in row["reason"], row["reason"]
    assert not list((project.folder / "data" / name).rglob("*.counts.tsv"))
    assert not list((project.folder / "data" / name).rglob("*.fastq*"))
