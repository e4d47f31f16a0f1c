"""Reads of known origin: counts, strand, fragments; and runs that cannot be read."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import made_up_reads
from alsmuscle.core.errors import InputError
from alsmuscle.download.policy import FetchPolicy
from alsmuscle.reads import quantify as q
from alsmuscle.reads import reference, tools
from alsmuscle.reads.collect import to_genes


def allowed(folder):
    """A policy under which local files of this folder are read."""
    return FetchPolicy(folders=(str(folder),))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    genome = made_up_reads.genome([f"ENSG{i:011d}.3" for i in range(150)])
    paths = genome.write(folder)
    wanted = reference.source("human", {"transcripts": str(paths["transcripts"])})
    return genome, reference.prepare(wanted, folder / "cache", policy=allowed(folder)), folder


def molecules(genome, draw):
    return {name: draw.gamma(0.6, 10) for name in genome.transcripts}


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("strand", ["forward", "reverse", "unstranded"])
def test_counts_of_genes_and_the_strand_are_found(made, tmp_path, paired, strand):
    genome, ref, _ = made
    draw = np.random.default_rng(5)
    pieces, origin = made_up_reads.fragments(genome, molecules(genome, draw), 15_000, draw)
    files = made_up_reads.bulk(tmp_path, "R", pieces, paired=paired, strand=strand, draw=draw)
    abundance, quality = q.quantify([files], ref, single=q.Single(200, 25))
    assert quality["strandedness"] == strand
    assert quality["layout"] == ("paired" if paired else "single")
    assert (quality["reads"], quality["read_length"]) == (15_000, 75)
    assert quality["pct_aligned"] > 99
    assert quality["fragment_length"] == pytest.approx(200, abs=2)
    genes = to_genes({"R": abundance}, ref.gene_of)
    truth: dict[str, int] = {}
    for name, n in origin.items():
        gene = genome.gene_of[name].split(".", maxsplit=1)[0]
        truth[gene] = truth.get(gene, 0) + n
    for gene, n in truth.items():
        if n > 50:
            assert genes.counts.loc[gene, "R"] == pytest.approx(n, rel=0.01)
    # With one run, length-scaled counts are the counts again.
    np.testing.assert_allclose(genes.length_scaled(), genes.counts, rtol=1e-3, atol=0.5)


def test_the_first_reads_alone(made, tmp_path):
    genome, ref, _ = made
    draw = np.random.default_rng(6)
    pieces, _ = made_up_reads.fragments(genome, molecules(genome, draw), 5_000, draw)
    files = made_up_reads.bulk(tmp_path, "R", pieces, paired=True, strand="forward", draw=draw)
    abundance, quality = q.quantify([files], ref, first_reads=1_000)
    assert (quality["reads"], quality["quantified"]) == (5_000, 1_000)
    assert abundance["est_counts"].sum() == pytest.approx(1_000, abs=5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["R_1.fastq.gz", "R_2.fastq.gz"]


def test_lanes_are_one_library(made, tmp_path):
    genome, ref, _ = made
    draw = np.random.default_rng(8)
    pieces, _ = made_up_reads.fragments(genome, molecules(genome, draw), 6_000, draw)

    def lane(name, part, paired=True):
        own = {"paired": paired, "strand": "reverse", "draw": draw}
        return made_up_reads.bulk(tmp_path, name, part, **own)

    whole, _ = q.quantify([lane("W", pieces)], ref)
    lanes = [lane("L1", pieces[:2_500]), lane("L2", pieces[2_500:])]
    (tmp_path / "beside").mkdir()
    parts, quality = q.quantify(lanes, ref, beside=tmp_path / "beside")
    assert (quality["reads"], quality["quantified"], quality["layout"]) == (6_000, 6_000, "paired")
    np.testing.assert_allclose(parts["est_counts"], whole["est_counts"], atol=0.5)
    _, quality = q.quantify(lanes, ref, first_reads=3_000)
    assert (quality["reads"], quality["quantified"]) == (6_000, 5_500)
    _, quality = q.quantify([run[:1] for run in lanes], ref)
    assert (quality["reads"], quality["layout"]) == (6_000, "single")
    with pytest.raises(InputError, match="runs of single reads, and runs of mates"):
        q.quantify([lanes[0], lanes[1][:1]], ref)


def test_text_windows_ends_and_more_first_reads_than_there_are(made, tmp_path):
    genome, ref, _ = made
    draw = np.random.default_rng(9)
    pieces, _ = made_up_reads.fragments(genome, molecules(genome, draw), 3_000, draw)
    files = made_up_reads.bulk(tmp_path, "R", pieces, paired=True, strand="forward", draw=draw)
    packed, _ = q.quantify([files], ref)
    odd = [tmp_path / "my reads 1.fq", tmp_path / "my reads 2.fq"]
    for path, target in zip(files, odd, strict=True):
        target.write_bytes(gzip.decompress(path.read_bytes()).replace(b"\n", b"\r\n"))
    plain, quality = q.quantify([odd], ref, first_reads=10_000)
    assert (quality["quantified"], quality["read_length"]) == (3_000, 75)
    np.testing.assert_allclose(plain["est_counts"], packed["est_counts"], atol=0.01)


@pytest.mark.parametrize("paired", [True, False])
def test_a_broken_read_far_within_is_not_the_end_of_the_reads(made, tmp_path, monkeypatch, paired):
    genome, ref, _ = made
    draw = np.random.default_rng(10)
    monkeypatch.setattr(q.fastq, "LOOKED_AT", 100)
    pieces, _ = made_up_reads.fragments(genome, molecules(genome, draw), 2_000, draw)
    files = made_up_reads.bulk(tmp_path, "R", pieces, paired=paired, strand="forward", draw=draw)
    lines = gzip.decompress(files[0].read_bytes()).split(b"\n")
    lines[4 * 1_500 + 3] = lines[4 * 1_500 + 3][:-5]
    files[0].write_bytes(gzip.compress(b"\n".join(lines)))
    with pytest.raises(InputError, match="line 6001"):
        q.quantify([files], ref)


def test_runs_that_cannot_be_read(made, tmp_path):
    genome, ref, _ = made
    draw = np.random.default_rng(7)
    pieces, _ = made_up_reads.fragments(genome, molecules(genome, draw), 2_000, draw)
    one, two = made_up_reads.bulk(tmp_path, "R", pieces, paired=True, strand="forward", draw=draw)
    with pytest.raises(InputError, match="0 files"):
        q.quantify([[]], ref)
    short = made_up_reads.write_reads(tmp_path / "s.fastq.gz", [p[:20] for p in pieces])
    with pytest.raises(InputError, match="reads of 20 nucleotides"):
        q.quantify([[short]], ref)
    fewer = made_up_reads.write_reads(tmp_path / "f.fastq.gz", [p[:75] for p in pieces[:-1]])
    with pytest.raises(InputError, match="mates differ"):
        q.quantify([[one, fewer]], ref)
    own = [piece[:75] for piece in pieces[:-1]] + [pieces[-1][:60]]
    mixed = made_up_reads.write_reads(tmp_path / "m.fastq.gz", own)
    with pytest.raises(InputError, match="reads of 60 to 75 nucleotides") as error:
        q.quantify([[mixed]], ref)
    assert "trimmed: true" in str(error.value)
    _, quality = q.quantify([[mixed]], ref, trimmed=True)
    assert quality["mixed_lengths"] and quality["reads"] == 2_000
    two.write_bytes(two.read_bytes()[:-500])
    with pytest.raises(InputError, match="truncated"):
        q.quantify([[one, two]], ref)
    alien = [bytes(draw.choice(made_up_reads.BASES, 75)) for _ in range(500)]
    with pytest.raises(InputError, match="none of 500 reads belongs"):
        q.quantify([[made_up_reads.write_reads(tmp_path / "a.fastq.gz", alien)]], ref)
    (tmp_path / "e.fastq.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(InputError, match="no read"):
        q.quantify([[tmp_path / "e.fastq.gz"]], ref)


def test_the_strand_by_the_share_that_lies_forward():
    assert q.strandedness(95, 5) == ("forward", 0.95)
    assert q.strandedness(5, 95) == ("reverse", 0.05)
    assert q.strandedness(50, 50) == ("unstranded", 0.5)
    assert q.strandedness(70, 30)[0] == "unstranded"
    assert q.strandedness(0, 0) == ("unstranded", 0.5)


def test_transcripts_of_one_name_are_not_one_index(made, tmp_path):
    _, ref, folder = made
    kept = ref.index.read_bytes()
    text = gzip.decompress((folder / "transcripts.fa.gz").read_bytes()).decode()
    fewer = ">".join(text.split(">")[:-1])
    (tmp_path / "transcripts.fa.gz").write_bytes(gzip.compress(fewer.encode()))
    wanted = reference.source("human", {"transcripts": str(tmp_path / "transcripts.fa.gz")})
    other = reference.prepare(wanted, folder / "cache", policy=allowed(tmp_path))
    assert other.digest != ref.digest and other.index != ref.index
    assert ref.index.read_bytes() == kept


def test_an_index_is_built_once_and_its_sequences_are_checked(made, tmp_path, monkeypatch):
    _, ref, folder = made
    wanted = reference.source("human", {"transcripts": str(folder / "transcripts.fa.gz")})
    before = ref.index.stat().st_mtime_ns
    assert reference.prepare(wanted, folder / "cache", policy=allowed(folder)) == ref
    assert ref.index.stat().st_mtime_ns == before
    pinned = reference.Source("made up", wanted.url, ref.digest)
    assert reference.prepare(pinned, tmp_path, policy=allowed(folder)).digest == ref.digest
    wrong = reference.Source("GENCODE 44", wanted.url, "0" * 64)
    with pytest.raises(InputError, match=f"digest {ref.digest}") as error:
        reference.prepare(wrong, tmp_path / "other", policy=allowed(folder))
    assert "GENCODE 44" in str(error.value)
    assert not list((tmp_path / "other").glob("*.idx"))
    # What an earlier index says of itself is held against the pin, too.
    with pytest.raises(InputError, match=f"digest {ref.digest}"):
        reference.prepare(wrong, tmp_path, policy=allowed(folder))
    with pytest.raises(InputError, match="no transcripts are pinned for rat"):
        reference.source("rat")


def test_the_digest_is_salmons(tmp_path):
    # salmon 1.10.1's SeqHash of these: lower case, N, a copy and a short sequence included.
    (tmp_path / "x.fa").write_text(
        ">t1|G1|\nACGTACGT\nAC\n>t2|G1|\nACGTACGTAC\n>t3|G2|\nacgtnACG\nNN\n"
    )
    import hashlib

    found = hashlib.sha256(b"ACGTACGTACACGTACGTACacgtnACGNN").hexdigest()
    digest = hashlib.sha256()
    for _, bases in reference._records(tmp_path / "x.fa"):
        digest.update(bases)
    assert digest.hexdigest() == found


def test_a_program_that_fails_says_why():
    with pytest.raises(InputError, match="kallisto quant ended with status 1"):
        tools.call("kallisto", "quant", "-i", "/nowhere", "-o", "/nowhere")
