"""FASTQ files that are whole, and all the ways in which they are not."""

from __future__ import annotations

import bz2
import gzip

import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.reads import fastq


def write(path, reads, packed=True):
    text = "".join(f"@r{i}\n{bases}\n+\n{'I' * len(bases)}\n" for i, bases in enumerate(reads))
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


def test_reads_are_counted_beyond_those_that_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(fastq, "LOOKED_AT", 3)
    found = fastq.look(write(tmp_path / "a.fastq.gz", ["ACGT"] * 4 + ["ACGTA"] * 3))
    assert (found.reads, found.shortest, found.longest, found.mixed) == (7, 4, 4, False)
    plain = fastq.look(write(tmp_path / "a.fastq", ["ACGT", "ACG"], packed=False))
    assert (plain.reads, plain.shortest, plain.longest, plain.mixed) == (2, 3, 4, True)


def test_a_last_line_may_end_without_a_newline(tmp_path, monkeypatch):
    monkeypatch.setattr(fastq, "LOOKED_AT", 1)
    path = tmp_path / "a.fastq"
    path.write_bytes(b"@a\nAC\n+\nII\n@b\nAC\n+\nII")
    assert fastq.look(path).reads == 2


def test_several_gzip_members_are_one_file(tmp_path):
    first, second = (write(tmp_path / name, ["ACGT"] * 5).read_bytes() for name in "ab")
    (tmp_path / "both").write_bytes(first + second)
    assert fastq.look(tmp_path / "both").reads == 10


@pytest.mark.parametrize("cut", [12, 2000, -1])
def test_a_truncated_gzip_is_found(tmp_path, cut):
    import random

    draw = random.Random(1)
    path = write(tmp_path / "a.gz", ["".join(draw.choices("ACGT", k=100)) for _ in range(500)])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match="truncated"):
        fastq.look(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no read"),
        (gzip.compress(b"", mtime=0), "no read"),
        (b"<html>sorry</html>\n", "no read of FASTQ"),
        (b"@a\nACGT\n+\nII\n", "no read of FASTQ"),
        (b"@a\nAC\n+\nII\n@b\nAC\n", "no read of FASTQ|incomplete"),
    ],
)
def test_what_is_no_fastq_is_refused(tmp_path, content, problem):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError, match=problem) as error:
        fastq.look(tmp_path / "a")
    assert str(tmp_path / "a") in str(error.value)


def test_an_incomplete_read_after_those_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(fastq, "LOOKED_AT", 1)
    (tmp_path / "a").write_bytes(b"@a\nAC\n+\nII\n@b\nAC\n")
    with pytest.raises(InputError, match="6 lines"):
        fastq.look(tmp_path / "a")


def test_mates_have_as_many_reads(tmp_path):
    one = fastq.look(write(tmp_path / "x_1.fastq.gz", ["ACGT"] * 3))
    two = fastq.look(write(tmp_path / "x_2.fastq.gz", ["ACGT"] * 2))
    other = fastq.look(write(tmp_path / "y_2.fastq.gz", ["AAGT"] * 3))
    fastq.pair([one, other])
    with pytest.raises(InputError, match=r"x_1\.fastq\.gz and x_1\.fastq\.gz hold the same reads"):
        fastq.pair([one, one])
    with pytest.raises(InputError, match=r"x_1\.fastq\.gz 3, x_2\.fastq\.gz 2"):
        fastq.pair([one, two])


def named(path, names, base):
    text = "".join(f"@{name}\n{base * 4}\n+\nIIII\n" for name in names)
    path.write_text(text)
    return fastq.look(path)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (["SRR1.9", "SRR1.10"], ["SRR1.9", "SRR1.10"]),
        (["SRR1.9 HWI:1/1", "x"], ["SRR1.9 HWI:1/2", "x"]),
        (["A:1:2/1", "A:1:3/1"], ["A:1:2/2", "A:1:3/2"]),
        (["A:1/1"], ["A:1"]),
        (["SRR1.7.1"], ["SRR1.7.2"]),
    ],
)
def test_names_of_mates_as_archives_and_sequencers_write_them(tmp_path, one, two):
    fastq.pair([named(tmp_path / "1", one, "A"), named(tmp_path / "2", two, "C")])


@pytest.mark.parametrize(
    ("one", "two", "shown"),
    [
        ([f"r{n}" for n in range(12)], [f"r{n + 1}" for n in range(12)], "read 10 is r9 and r10"),
        (["L1:7:99"], ["L2:8:99"], "read 1 is L1:7:99 and L2:8:99"),
    ],
)
def test_reads_that_are_no_mates_are_told_by_their_names(tmp_path, one, two, shown):
    with pytest.raises(InputError, match=shown):
        fastq.pair([named(tmp_path / "1", one, "A"), named(tmp_path / "2", two, "C")])


def test_empty_lines_at_the_end_and_windows_ends_are_no_reads(tmp_path, monkeypatch):
    text = b"@a\nACGT\n+\nIIII\n" * 5
    monkeypatch.setattr(fastq, "_BLOCK", 3)
    for looked_at in (2, 5, 20):
        monkeypatch.setattr(fastq, "LOOKED_AT", looked_at)
        for content in (text, text + b"\n\n", text.rstrip(), text.replace(b"\n", b"\r\n")):
            (tmp_path / "a").write_bytes(content)
            found = fastq.look(tmp_path / "a")
            assert (found.reads, found.longest, found.mixed) == (5, 4, False)
        # A last read that was trimmed to nothing is one.
        (tmp_path / "a").write_bytes(text + b"@b\n\n+\n\n")
        assert fastq.look(tmp_path / "a").reads == 6


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b">a\nACGT\n", "FASTA"), (bz2.compress(b"@a\nAC\n+\nII\n"), "packed with bzip2")],
)
def test_what_is_given_for_fastq_is_named(tmp_path, content, kind):
    (tmp_path / "a.fastq").write_bytes(content)
    with pytest.raises(InputError, match=f"not FASTQ, but {kind}"):
        fastq.look(tmp_path / "a.fastq")


def test_garbage_after_a_gzip_is_refused(tmp_path):
    path = write(tmp_path / "a.gz", ["ACGT"] * 5)
    path.write_bytes(path.read_bytes() + b"garbage")
    with pytest.raises(InputError, match="the gzip is broken"):
        fastq.look(path)


def test_a_broken_read_that_a_program_stopped_at_is_found(tmp_path):
    path = write(tmp_path / "a.fastq", ["ACGT"] * 9, packed=False)
    fastq.read_whole(9, 9, [path])
    with pytest.raises(InputError, match="7 of 9 reads"):
        fastq.read_whole(7, 9, [path])
    lines = path.read_bytes().split(b"\n")
    lines[4 * 7 + 3] = b"III"
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(InputError, match="line 29") as error:
        fastq.read_whole(7, 9, [path])
    assert str(path) in str(error.value)


def test_the_first_reads(tmp_path):
    path = write(tmp_path / "a.gz", ["ACGT", "AC", "A"])
    fastq.head(path, tmp_path / "b", 2)
    assert fastq.look(tmp_path / "b").reads == 2
    fastq.head(path, tmp_path / "b", 9)
    assert fastq.look(tmp_path / "b").reads == 3
    whole = fastq.look(path)
    assert fastq.at_most(whole, tmp_path / "c", 0) is fastq.at_most(whole, tmp_path / "c", 3)
    assert not (tmp_path / "c").exists()
    fewer = fastq.at_most(whole, tmp_path / "c", 1)
    assert (fewer.reads, fewer.path) == (1, tmp_path / "c") and fastq.look(fewer.path).reads == 1
