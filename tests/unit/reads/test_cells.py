"""Molecules of known cells and genes: counted, mended, and told from empty droplets."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

import made_up_reads
from alsmuscle.core.errors import InputError
from alsmuscle.download.policy import FetchPolicy
from alsmuscle.reads import cells, reference, tools


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    genome = made_up_reads.genome([f"ENSG{i:011d}.2" for i in range(40)])
    paths = {key: str(path) for key, path in genome.write(folder).items()}
    terms = {"mirror": None, "policy": FetchPolicy(folders=(str(folder),)), "study": "x"}
    held = {
        introns: reference.prepare(
            reference.source("human", paths, introns=introns), folder / "cache", **terms
        )
        for introns in (False, True)
    }
    draw = np.random.default_rng(3)
    known = made_up_reads.barcodes(400, draw)
    (folder / "list.txt").write_bytes(b"\n".join(known) + b"\n")
    rich = {
        code: dict(zip(genome.genes, draw.poisson(draw.gamma(1, 6, 40)).tolist(), strict=True))
        for code in known[:40]
    }
    poor = {code: dict.fromkeys(draw.choice(list(genome.genes), 3), 1) for code in known[40:]}
    files = made_up_reads.tenx(folder, "R", genome, rich | poor, nascent=0.4, draw=draw)
    kit = cells.Kit("auto", own=str(folder / "list.txt"), folder=folder / "cache", terms=terms)
    return held, files, kit, rich, folder


def table(profiles):
    frame = pd.DataFrame(profiles).T
    frame.index = [code.decode() for code in frame.index]
    return frame.rename(columns=lambda gene: gene.split(".")[0]).sort_index()


def test_molecules_of_nuclei_are_counted_with_their_introns(made):
    held, files, kit, rich, _ = made
    called, raw, quality = cells.count([files], held[True], kit)
    truth = table(rich)
    assert sorted(called.obs_names) == list(truth.index)
    found = called.to_df().loc[truth.index, truth.columns]
    assert abs(found.to_numpy().sum() / truth.to_numpy().sum() - 1) < 0.01
    errors = (found - truth).abs().to_numpy()
    assert (errors <= 1).mean() > 0.99
    assert raw.n_obs == quality["barcodes"] and 390 <= raw.n_obs <= 400
    assert raw.var_names.equals(called.var_names)
    assert quality["chemistry"] == "10xv3" and quality["cells"] == 40
    assert quality["pct_barcodes"] > 95 and quality["pct_aligned"] > 99


def test_without_introns_the_reads_within_them_are_lost(made):
    held, files, kit, rich, _ = made
    called, _, quality = cells.count([files], held[False], kit)
    share = called.to_df().to_numpy().sum() / table(rich).to_numpy().sum()
    assert 0.6 < share < 0.85
    assert 60 < quality["pct_aligned"] < 85


def test_the_first_reads_alone(made):
    held, files, kit, _, _ = made
    _, raw, quality = cells.count([files], held[True], kit, first_reads=2_000)
    assert quality["quantified"] == 2_000 < quality["reads"]
    assert raw.X.sum() <= 2_000


def test_two_runs_of_a_library_are_one(made):
    held, files, kit, _, _ = made
    once, raw, _ = cells.count([files], held[True], kit)
    twice, both, quality = cells.count([files, files[::-1]], held[True], kit)
    # The same molecules again: each counts once.
    assert both.X.sum() == raw.X.sum()
    assert quality["reads"] == quality["quantified"]
    assert twice.n_obs == once.n_obs


def test_libraries_that_cannot_be_read(made, tmp_path):
    held, files, kit, _, folder = made
    one, two = files

    def stated(name):
        return cells.Kit(
            name, own=str(folder / "list.txt"), folder=folder / "cache", terms=kit._terms
        )

    with pytest.raises(InputError, match=r"1 file\(s\) of reads") as error:
        cells.count([[two]], held[True], kit)
    assert "archives often drop" in str(error.value)
    short = made_up_reads.write_reads(tmp_path / "s_1.fastq.gz", [b"ACGT" * 6] * 200)
    long = made_up_reads.write_reads(tmp_path / "s_2.fastq.gz", [b"ACGT" * 15] * 200)
    with pytest.raises(InputError, match="unknown chemistry: the reads of barcodes have 24"):
        cells.count([[short, long]], held[True], kit)
    alien = made_up_reads.write_reads(tmp_path / "a_1.fastq.gz", [b"ACGT" * 7] * 200)
    with pytest.raises(InputError, match="unknown chemistry.*0% of 10xv3"):
        cells.count([[alien, long]], held[True], stated("10xv3"))
    mixed = made_up_reads.write_reads(tmp_path / "m_1.fastq.gz", [b"ACGT" * 7, b"ACGT" * 6])
    pair = made_up_reads.write_reads(tmp_path / "m_2.fastq.gz", [b"ACGT" * 15] * 2)
    with pytest.raises(InputError, match="24 to 28 nucleotides"):
        cells.count([[mixed, pair]], held[True], kit)
    fewer = made_up_reads.write_reads(tmp_path / "f_2.fastq.gz", [b"ACGT" * 15] * 199)
    with pytest.raises(InputError, match="mates differ"):
        cells.count([[alien, fewer]], held[True], kit)
    broken = tmp_path / "b_1.fastq.gz"
    broken.write_bytes(one.read_bytes()[:-500])
    with pytest.raises(InputError, match="truncated"):
        cells.count([[broken, two]], held[True], kit)
    (folder / "bad.txt").write_text("ACGT\n")
    with pytest.raises(InputError, match="not a list of barcodes"):
        cells.Kit("10xv3", own=str(folder / "bad.txt"), folder=tmp_path, terms=kit._terms).of(one)


def test_a_library_is_sorted_in_as_much_memory_as_it_needs(made, monkeypatch):
    held, files, kit, _, _ = made
    called = []
    real = tools.call
    monkeypatch.setattr(tools, "call", lambda *words: (called.append(words), real(*words))[1])
    cells.count([files], held[True], kit, first_reads=500)
    given = [words[words.index("-m") + 1] for words in called if words[:2] == ("bustools", "sort")]
    assert given == ["64M", "64M"]
    assert cells._room_to_sort(100 << 20) == 101
    assert cells._room_to_sort(5 << 30) == 2048


def test_from_how_many_molecules_on_a_barcode_is_a_cell():
    draw = np.random.default_rng(1)
    rich = draw.lognormal(np.log(5000), 0.4, 1200)
    poor = draw.poisson(60, 30_000) + 1
    limit = cells.least_molecules(np.concatenate([rich, poor]))
    assert 300 < limit < 2500
    assert cells.least_molecules(np.array([])) == 1
    assert cells.least_molecules(np.array([7])) == 1


def test_a_reference_of_nuclei_needs_genome_and_annotation(made, tmp_path):
    _, _, _, _, folder = made
    with pytest.raises(InputError, match="without genome and annotation"):
        reference.source("human", {"transcripts": "x.fa"}, introns=True)
    # A genome that lacks the chromosome of the genes.
    other = folder / "other.fa.gz"
    other.write_bytes(gzip.compress(b">chr2\nACGT\n"))
    paths = {
        "transcripts": str(folder / "transcripts.fa.gz"),
        "genome": str(other),
        "annotation": str(folder / "genes.gtf.gz"),
    }
    wanted = reference.source("human", paths, introns=True)
    with pytest.raises(InputError, match="no sequence 'chr1'"):
        reference.prepare(wanted, tmp_path / "cache", policy=FetchPolicy(folders=(str(folder),)))
    assert not list((tmp_path / "cache").glob("*.idx"))
