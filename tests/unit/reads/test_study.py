"""From a card that names runs to counts: reads behind a stand-in for ENA."""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import made_up_reads
from alsmuscle.archives import ena
from alsmuscle.data import fetch, raw_reads
from alsmuscle.data.counts import as_counts
from alsmuscle.download.policy import FetchPolicy
from alsmuscle.reads import reference
from alsmuscle.reads.libraries import run_names
from alsmuscle.reads.study import Place
from standin import Archive, serving

POLICY = FetchPolicy(attempts=1, wait_initial=0.01, connect_timeout=2)
DEPTHS = {"SRR1": 5_400, "SRR2": 6_000, "SRR3": 6_600}
RUNS = {"SRR1": (True, "reverse"), "SRR2": (True, "reverse"), "SRR3": (False, "forward")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A genome, its files with an index beside them, and the files and fragments of each run."""
    folder = tmp_path_factory.mktemp("made")
    genome = made_up_reads.genome([f"ENSG{i:011d}.1" for i in range(60)])
    paths = genome.write(folder)
    wanted = reference.source("human", {"transcripts": str(paths["transcripts"])})
    policy = replace(POLICY, folders=(str(folder),))
    reference.prepare(wanted, folder / "reference", policy=policy)
    draw = np.random.default_rng(2)
    amounts = {name: draw.gamma(0.6, 10) for name in genome.transcripts}
    runs = {}
    for run, (paired, strand) in RUNS.items():
        pieces, origin = made_up_reads.fragments(genome, amounts, DEPTHS[run], draw)
        reads = made_up_reads.bulk(folder, run, pieces, paired=paired, strand=strand, draw=draw)
        runs[run] = ({path.name: path.read_bytes() for path in reads}, origin)
    return genome, paths["transcripts"], runs


@pytest.fixture
def study(made, monkeypatch, tmp_path):
    monkeypatch.setattr("alsmuscle.download.transport._pace", lambda *_: None)
    genome, transcripts, runs = made
    (tmp_path / "made").mkdir()
    shutil.copy(transcripts, tmp_path / "made")
    truth, archive = {}, Archive()
    for run, (reads, origin) in runs.items():
        truth[run] = origin
        urls = [f"ftp.sra.ebi.ac.uk/vol1/fastq/{run}/{name}" for name in reads]
        contents = list(reads.values())
        archive.pages |= {f"https://{u}": c for u, c in zip(urls, contents, strict=True)}
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
                "transcripts": str(tmp_path / "made" / transcripts.name),
            }
        },
    }
    with serving(archive) as server:
        monkeypatch.setattr("alsmuscle.download.transport.http_client", server.client())
        yield card, archive, genome, truth


def beside_an_index(card, made, tmp_path):
    """Let the card name transcripts whose index is there already: it takes longer than the runs."""
    transcripts = made[1]
    card["files"]["reads"]["transcripts"] = str(transcripts)
    shutil.copytree(transcripts.parent / "reference", tmp_path / "data" / "reference")
    return card


def obtain(card, cache):
    transcripts = Path(card["files"]["reads"]["transcripts"])
    policy = replace(POLICY, folders=(str(cache.parent), str(transcripts.parent)))
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
def test_what_is_wrong_with_a_run_is_said_and_leaves_no_table(study, made, tmp_path, fault):
    card, archive, _, _ = study
    beside_an_index(card, made, tmp_path)
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
        "mate": gzip.compress(gzip.decompress(content).split(b"@r5999\n")[0]),
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


@pytest.fixture
def own(made, tmp_path):
    """A card of reads of one's own: two lanes of mates, and single reads, oddly named."""
    genome = made[0]
    folder = tmp_path / "my reads"
    folder.mkdir()
    draw = np.random.default_rng(2)
    amounts = {name: draw.gamma(0.6, 10) for name in genome.transcripts}

    def sequenced(name, n, paired):
        pieces, _ = made_up_reads.fragments(genome, amounts, n, draw)
        own = {"paired": paired, "strand": "reverse", "draw": draw}
        return made_up_reads.bulk(folder, name, pieces, **own)

    named = {}
    for lane in (1, 2):
        for path, mate in zip(sequenced(f"x{lane}", 1_500 + lane, True), (1, 2), strict=True):
            new = path.rename(folder / f"M1 old_S1_L00{lane}_R{mate}_001.fastq.gz")
            named.setdefault("S1", []).append(str(new))
    (single,) = sequenced("y", 2_000, False)
    (folder / "M2.fq").write_bytes(gzip.decompress(single.read_bytes()))
    single.unlink()
    named["S2"] = [str(folder / "M2.fq")]
    card = {"id": "own1", "accession": "own1", "organism": "human"}
    card |= {"files": {"reads": {"source": "fastq", "libraries": named}}}
    return beside_an_index(card, made, tmp_path)


def test_reads_of_ones_own_are_read_where_they_lie(own, tmp_path):
    named = own["files"]["reads"]["libraries"]
    before = {path: Path(path).stat() for files in named.values() for path in files}
    (row,), check = obtain(own, tmp_path / "data")
    assert check["state"] == "agrees", check
    counts = pd.read_csv(row["path"], sep="\t", index_col="gene_id")
    np.testing.assert_allclose(counts[["S1", "S2"]].sum(), [3_003, 2_000], rtol=0.01)
    assert {path: Path(path).stat().st_mtime_ns for path in before} == {
        path: facts.st_mtime_ns for path, facts in before.items()
    }
    assert sorted(path.name for path in (tmp_path / "my reads").iterdir()) == sorted(
        Path(path).name for path in before
    )
    made = sorted(path.name for path in (tmp_path / "data" / "own1" / "reads").iterdir())
    assert made == ["S1.abundance.tsv.gz", "S1.json", "S2.abundance.tsv.gz", "S2.json"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("empty", "there is no read in it"),
        ("garbage", "the gzip is broken"),
        ("copy", "are the same, byte for byte"),
        ("lane without mate", "a mate is missing"),
        ("lanes as mates", "are not mates|mates differ"),
        ("missing", "there is no such file"),
        ("outside", "outside the project"),
    ],
)
def test_what_is_wrong_with_reads_of_ones_own_is_said(own, tmp_path, fault, said):
    named = own["files"]["reads"]["libraries"]
    first = Path(named["S1"][0])
    if fault == "empty":
        Path(named["S2"][0]).write_bytes(b"")
    elif fault == "garbage":
        first.write_bytes(first.read_bytes() + b"garbage")
    elif fault == "copy":
        copy = first.with_name("S3_R1.fastq.gz")
        copy.write_bytes(first.read_bytes())
        named["S3"] = [str(copy)]
    elif fault == "lane without mate":
        named["S1"].remove(str(first))
    elif fault == "lanes as mates":
        links = [first.with_name(f"lanes {n}.fastq.gz") for n in "ab"]
        for path, link in zip((named["S1"][0], named["S1"][2]), links, strict=True):
            Path(path).rename(link)
        named["S1"] = [str(link) for link in links]
    elif fault == "missing":
        first.unlink()
    else:
        place = tmp_path.parent / f"{tmp_path.name} elsewhere.fq"
        named["S2"] = [str(Path(named["S2"][0]).rename(place))]
    manifest, check = obtain(own, tmp_path / "data")
    assert manifest == []
    assert check["state"] == ("unreachable" if fault == "missing" else "failed")
    assert re.search(said, check["found"] + check["card"]), check
    assert not list((tmp_path / "data" / "own1").glob("*.counts.tsv"))
    assert not list((tmp_path / "data" / "own1").rglob("*.fastq*"))
