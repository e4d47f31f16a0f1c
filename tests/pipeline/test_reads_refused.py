"""Runs that cannot be read: each is a clear error of its study, through the workflow's own jobs."""

from __future__ import annotations

import gzip
import hashlib
import shutil

import pytest

import made_up_reads
from alsmuscle.core import files
from alsmuscle.data.tables import ADMISSION
from faultserver import certificate
from small_reads import Served, bulk_study, quick
from support import make_project, small_counts

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.verify,  # some thirty jobs
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate"),
]


def _other(study, change):
    """Have the archive's own copy of the second mates broken: its record agrees with it."""
    row = study.rows[0]
    url = next(url for url in study.files if url.endswith("_2.fastq.gz"))
    old, new = study.files[url], change(study.files[url])
    study.files[url] = new
    md5s = [hashlib.md5(old).hexdigest(), hashlib.md5(new).hexdigest()]
    row["fastq_md5"] = row["fastq_md5"].replace(*md5s)
    row["fastq_bytes"] = ";".join(str(len(content)) for content in study.files.values())


def _md5(study):
    row = study.rows[0]
    row["fastq_md5"] = row["fastq_md5"][:-1] + ("0" if row["fastq_md5"][-1] != "0" else "1")


def _half(study):
    for name in ("fastq_ftp", "fastq_md5", "fastq_bytes"):
        study.rows[0][name] = study.rows[0][name].split(";")[0]


def _fewer(study):
    _other(study, lambda c: gzip.compress(gzip.decompress(c).rsplit(b"@r", 1)[0]))


def _truncated(study):
    _other(study, lambda content: content[: len(content) // 2])


def _shorter(content):
    lines = gzip.decompress(content).split(b"\n")
    lines[1], lines[3] = lines[1][:60], lines[3][:60]
    return gzip.compress(b"\n".join(lines))


def _mixed(study):
    _other(study, _shorter)


def _empty(study):
    _other(study, lambda _: gzip.compress(b""))


FAULTS = {
    "SRP11": (_md5, "md5"),
    "SRP12": (
        _half,
        "SRR1200: a mate is missing: of paired reads ENA lists SRR1200_1.fastq.gz alone",
    ),
    "SRP13": (_fewer, "the mates differ in their number of reads"),
    "SRP14": (_truncated, "the gzip is broken or truncated"),
    "SRP15": (_mixed, "reads of 60 to 75 nucleotides"),
    "SRP16": (_empty, "there is no read in it"),
}


@pytest.fixture(scope="module")
def admission(tmp_path_factory):
    source = tmp_path_factory.mktemp("made")
    genome = made_up_reads.genome([f"{name}.1" for name in small_counts(n_genes=300).index[:40]])
    transcripts = genome.write(source)["transcripts"]
    sound = bulk_study(
        *(source, "SRP10", genome),
        **{"paired": True, "strand": "reverse", "seed": 1, "n_side": 1, "reads": 1_000},
        transcripts=transcripts,
    )
    studies = [sound]
    for name, (fault, _) in FAULTS.items():
        study = bulk_study(
            *(source, name, genome),
            **{"paired": True, "strand": "reverse", "seed": 1, "n_side": 1, "reads": 500},
            transcripts=transcripts,
        )
        # One run says it.
        run = study.rows[0]["run_accession"]
        study.card["files"]["reads"]["runs"] = [run]
        study.rows = study.rows[:1]
        study.files = {url: c for url, c in study.files.items() if f"/{run}/" in url}
        fault(study)
        studies.append(study)
    project = make_project(tmp_path_factory.mktemp("run"), copy_code=False)
    (project.folder / "config" / "datasets" / "gse1.yaml").unlink()
    project.config(lambda config: quick(config, source))
    run = Served(project, studies, certificate(tmp_path_factory.mktemp("tls"))).run("fetch")
    assert run.returncode == 0, run.stderr
    table = files.read_table(project.folder / "results/provenance/admission.tsv", ADMISSION)
    return project, table.set_index("dataset")


@pytest.mark.parametrize("name", FAULTS)
def test_a_run_that_cannot_be_read_leaves_its_study_out(admission, name):
    project, table = admission
    row = table.loc[name.lower()]
    assert not row["admitted"]
    library = f"SRR{name.removeprefix('SRP')}00"
    assert library in row["reason"] and FAULTS[name][1] in row["reason"]
    assert not list((project.folder / "data" / name.lower()).rglob("*.fastq*"))


def test_the_others_go_on(admission):
    _, table = admission
    assert table.index[table["admitted"]].tolist() == ["srp10"]
