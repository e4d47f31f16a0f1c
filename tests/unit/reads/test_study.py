"""From a card that names runs to counts: reads behind a stand-in for ENA."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import made_up_reads
from alsmuscle.archives import ena
from alsmuscle.data import fetch, raw_reads
from alsmuscle.data.counts import as_counts
from alsmuscle.download.policy import FetchPolicy
from alsmuscle.reads.libraries import run_names
from alsmuscle.reads.study import Place
from standin import Archive, serving

POLICY = FetchPolicy(attempts=1, wait_initial=0.01, connect_timeout=2)
DEPTHS = {"SRR1": 18_000, "SRR2": 20_000, "SRR3": 22_000}
RUNS = {"SRR1": (True, "reverse"), "SRR2": (True, "reverse"), "SRR3": (False, "forward")}


@pytest.fixture
def study(monkeypatch, tmp_path):
    monkeypatch.setattr("alsmuscle.download.transport._pace", lambda *_: None)
    genome = made_up_reads.genome([f"ENSG{i:011d}.1" for i in range(60)])
    (tmp_path / "made").mkdir()
    paths = genome.write(tmp_path / "made")
    draw = np.random.default_rng(2)
    amounts = {name: draw.gamma(0.6, 10) for name in genome.transcripts}
    truth, archive = {}, Archive()
    for run, (paired, strand) in RUNS.items():
        pieces, origin = made_up_reads.fragments(genome, amounts, DEPTHS[run], draw)
        truth[run] = origin
        reads = made_up_reads.bulk(
            tmp_path / "made", run, pieces, paired=paired, strand=strand, draw=draw
        )
        urls = [f"ftp.sra.ebi.ac.uk/vol1/fastq/{run}/{path.name}" for path in reads]
        for url, path in zip(urls, reads, strict=True):
            archive.pages[f"https://{url}"] = path.read_bytes()
        contents = [path.read_bytes() for path in reads]
        row = {
            "run_accession": run,
            "fastq_ftp": ";".join(urls),
            "fastq_md5": ";".join(hashlib.md5(c).hexdigest() for c in contents),
            "fastq_bytes": ";".join(str(len(c)) for c in contents),
        }
        report = pd.DataFrame([row]).to_csv(sep="\t", index=False)
        archive.pages[ena.ena_file_report(run)] = report
    archive.pages[ena.ena_file_report("SRR4")] = ""
    card = {
        "id": "srp1",
        "accession": "SRP1",
        "organism": "human",
        "files": {
            "reads": {
                "source": "ena_fastq",
                "runs": ["SRR1-SRR3"],
                "transcripts": str(paths["transcripts"]),
            }
        },
    }
    with serving(archive) as server:
        monkeypatch.setattr("alsmuscle.download.transport.http_client", server.client())
        yield card, archive, genome, truth


def obtain(card, cache):
    policy = replace(POLICY, folders=(str(cache.parent),))
    manifest, checks = fetch.study_files(card, cache=cache, policy=policy)
    return manifest, next(row for row in checks if row["check"] == "files.reads")


def test_runs_become_one_table_of_counts_and_their_reads_are_deleted(study, tmp_path):
    card, archive, genome, truth = study
    (row,), check = obtain(card, tmp_path / "data")
    assert check["state"] == "agrees"
    assert row["source"] == "quantified here" and "kallisto 0.52.0" in row["url"]
    counts = pd.read_csv(row["path"], sep="\t", index_col="gene_id")
    assert list(counts) == list(RUNS)
    np.testing.assert_allclose(counts.sum(), list(DEPTHS.values()), rtol=0.01)
    read, _ = as_counts(counts, "expected_counts", "here")  # not taken for TPM
    pd.testing.assert_frame_equal(read.astype("int64"), counts)
    place = Place(tmp_path / "data", policy=replace(POLICY, folders=(str(tmp_path),)))
    for run, (paired, strand) in RUNS.items():
        (quality,), _ = raw_reads.quantify(card, run, place)
        assert quality["strandedness"] == strand
        assert quality["layout"] == ("paired" if paired else "single")
        assert quality["tool"] == "kallisto 0.52.0" and quality["reference"] == "transcripts.fa.gz"
    assert not list((tmp_path / "data").rglob("*.fastq.gz"))
    # A second look fetches no reads again, and gives the same bytes.
    asked = len([url for url in archive.asked if "fastq/" in url])
    (again,), _ = obtain(card, tmp_path / "data")
    assert again == row
    assert len([url for url in archive.asked if "fastq/" in url]) == asked
    # Nor is the archive needed any more.
    policy = replace(POLICY, folders=(str(tmp_path),), offline=True)
    (offline,), _ = fetch.study_files(card, cache=tmp_path / "data", policy=policy)
    assert offline["sha256"] == row["sha256"]
    card["files"]["reads"]["first_reads"] = 100
    manifest, checks = fetch.study_files(card, cache=tmp_path / "data", policy=policy)
    assert manifest == [] and checks[0]["state"] == "unreachable"
    # The genes that one run's molecules say, in every run.
    for run, origin in truth.items():
        gene = pd.Series(origin).groupby(lambda name: genome.gene_of[name].split(".")[0]).sum()
        assert counts[run].corr(gene) > 0.95


@pytest.mark.parametrize("fault", ["md5", "truncated", "mate", "empty", "unknown run"])
def test_what_is_wrong_with_a_run_is_said_and_leaves_no_table(study, tmp_path, fault):
    import gzip

    card, archive, _, _ = study
    url = next(url for url in archive.pages if url.endswith("SRR2_2.fastq.gz"))
    report = ena.ena_file_report("SRR2")
    content = archive.pages[url]
    words = {
        "md5": "md5",
        "truncated": "truncated",
        "mate": "mates differ",
        "empty": "no read",
        "unknown run": "SRR4",
    }[fault]
    new = {
        "md5": content[:-9] + bytes(9),
        "truncated": content[: len(content) // 2],
        "mate": gzip.compress(gzip.decompress(content).split(b"@r19999\n")[0]),
        "empty": gzip.compress(b""),
        "unknown run": content,
    }[fault]
    archive.pages[url] = new
    if fault == "unknown run":
        card["files"]["reads"]["runs"] = ["SRR1", "SRR4"]
    elif fault != "md5":
        # The archive's own copy is broken: its record agrees with it.
        table = archive.pages[report].replace(
            hashlib.md5(content).hexdigest(), hashlib.md5(new).hexdigest()
        )
        archive.pages[report] = table.replace(str(len(content)), str(len(new)))
    manifest, check = obtain(card, tmp_path / "data")
    assert manifest == []
    assert check["state"] == "failed", check
    assert words in check["found"] + check["card"], check
    assert fault == "unknown run" or "SRR2" in check["found"]
    assert not (tmp_path / "data" / "srp1" / "reads.counts.tsv").exists()
    assert not list((tmp_path / "data" / "srp1").rglob("*.fastq.gz"))


def test_ranges_of_runs():
    assert run_names(["SRR9-SRR11", "ERR5", "SRR10"]) == ["SRR9", "SRR10", "SRR11", "ERR5"]
