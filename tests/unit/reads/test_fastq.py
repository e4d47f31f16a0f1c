"""FASTQ files that are whole, and all the ways in which they are not."""

from __future__ import annotations

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
    fastq.pair([one, one])
    with pytest.raises(InputError, match=r"x_1\.fastq\.gz 3, x_2\.fastq\.gz 2"):
        fastq.pair([one, two])


def test_the_first_reads(tmp_path):
    path = write(tmp_path / "a.gz", ["ACGT", "AC", "A"])
    fastq.head(path, tmp_path / "b", 2)
    assert fastq.look(tmp_path / "b").reads == 2
    fastq.head(path, tmp_path / "b", 9)
    assert fastq.look(tmp_path / "b").reads == 3
