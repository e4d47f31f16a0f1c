"""FASTQ files before anything is made of them: whole, of reads, and of how long ones.

kallisto reads a truncated gzip to where it breaks, files of mates to the end of the shorter one,
and any file to the first read that is none, without a word: all are found here.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, cast

from alsmuscle.core.errors import InputError

_BLOCK = 1 << 20
# The longest reads of any machine are some million bases.
_MOST_LINE = 1 << 24
# Reads from which lengths are read; files of a sequencer are alike from end to end.
LOOKED_AT = 20_000
# Of so many mates the names are compared.
_COMPARED = 1_000
_AGAIN = "get the file again from where it came; if it stays so, that copy is broken: leave it out"
# How files begin that are given for FASTQ.
_OTHERS = {
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"BAM\x01": "BAM",
    b"CRAM": "CRAM",
    b"NCBI.sra": "an SRA archive",
    b">": "FASTA",
}


@dataclass(frozen=True)
class Fastq:
    """One file: its number of reads, and the lengths (nucleotides) of its first ones.

    ``first``: name and bases of the very first ones.
    """

    path: Path
    reads: int
    shortest: int
    longest: int
    first: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)

    @property
    def mixed(self) -> bool:
        """Whether reads differ in length: they were trimmed, or several runs were put together."""
        return self.shortest != self.longest


def look(path: Path) -> Fastq:
    """Read a FASTQ file from end to end.

    Raises
    ------
    InputError
        It is truncated, holds no read, or is no FASTQ.
    """
    lengths: list[int] = []
    first: list[tuple[bytes, bytes]] = []
    lines, more, ends = 0, False, 0  # ends: of lines after the last that holds anything
    try:
        with open_packed(path) as file:
            for record in _records(file):
                lengths.append(_length(record, path, lines))
                if len(first) < _COMPARED:
                    first.append((_name(record), record[1].rstrip()))
                lines += 4
                if len(lengths) == LOOKED_AT:
                    break
            while block := file.read(_BLOCK):
                content = block.rstrip()
                if content:
                    lines, more, ends = lines + ends + content.count(b"\n"), True, 0
                ends += block.count(b"\n", len(content))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _broken(f"the gzip is broken or truncated ({error})", path) from None
    except OSError as error:
        raise _broken(f"cannot be read: {error.strerror or error}", path) from None
    if not lines:
        raise _broken("there is no read in it", path, "a FASTQ file with reads")
    lines += more
    if lines % 4 and (lines % 4 < 3 or ends < 2):  # the last read may be trimmed to nothing
        raise _broken(f"{lines} lines: the last read is incomplete", path, "four lines a read")
    return Fastq(path, -(-lines // 4), min(lengths), max(lengths), tuple(first))


def pair(files: Sequence[Fastq]) -> None:
    """Stop where the two files of one run are not mates, read by read.

    Raises
    ------
    InputError
        They differ in their number of reads, are the same, or name different reads; quotes both.
    """
    numbers = {file.reads for file in files}
    if len(numbers) > 1:
        found = ", ".join(f"{file.path.name} {file.reads:,}" for file in files)
        raise InputError(
            f"the mates differ in their number of reads: {found}",
            where=files[0].path.parent,
            expected="as many reads in each",
            remedy=_AGAIN,
        )
    if len(files) < 2:
        return
    one, two = files
    both = f"{one.path.name} and {two.path.name}"
    if [bases for _, bases in one.first] == [bases for _, bases in two.first]:
        raise InputError(
            f"{both} hold the same reads",
            where=one.path.parent,
            expected="the two mates of each fragment",
            remedy="find out which of the two is named wrongly",
        )
    for number, ((name, _), (other, _)) in enumerate(zip(one.first, two.first, strict=True)):
        if not _mates(name, other):
            shown = " and ".join(word.decode(errors="replace")[:60] for word in (name, other))
            raise InputError(
                f"{both} are not mates: their read {number + 1:,} is {shown}",
                where=one.path.parent,
                expected="the same fragments in the same order",
                remedy="give files of one lane, as the sequencer wrote them or trimmed together",
            )


def read_whole(processed: int, expected: int, files: Sequence[Path]) -> None:
    """Stop where a program took fewer reads than files hold: it ends at one that is broken.

    Raises
    ------
    InputError
        Naming file and line.
    """
    if processed == expected:
        return
    for path in files:
        with open_packed(path) as file:
            for number, record in enumerate(_records(file)):
                _length(record, path, 4 * number)
    raise InputError(
        f"{processed:,} of {expected:,} reads were taken",
        where=files[0].parent if files else None,
        remedy=_AGAIN,
    )


def at_most(file: Fastq, target: Path, reads: int) -> Fastq:
    """Return a file of the first ``reads`` reads: the file itself if it holds no more (0: all)."""
    if not 0 < reads < file.reads:
        return file
    head(file.path, target, reads)
    return replace(file, path=target, reads=reads)


def head(path: Path, target: Path, reads: int) -> None:
    """Write the first ``reads`` reads of a file, unpacked."""
    with open_packed(path) as source, target.open("wb") as sink:
        for _ in range(4 * reads):
            line = source.readline(_MOST_LINE)
            if not line:
                break
            if len(line) == _MOST_LINE:
                raise _broken(f"a line of more than {_MOST_LINE:,} characters", path)
            sink.write(line)


def share_duplicated(files: Sequence[Path], reads: int) -> float:
    """Return the share of the first reads whose bases (of both mates) another one has before it.

    Looked at are the first 50 of each, as FastQC does: later ones hold more errors.
    """
    seen, n = set[bytes](), 0
    handles = [open_packed(path) for path in files]
    try:
        while n < reads:
            records = [[handle.readline(_MOST_LINE) for _ in range(4)] for handle in handles]
            if not records[0][0]:
                break
            seen.add(b"|".join(record[1].rstrip()[:50] for record in records))
            n += 1
    finally:
        for handle in handles:
            handle.close()
    return 1 - len(seen) / n if n else 0.0


def open_packed(path: Path) -> IO[bytes]:
    """Open a file for reading, gzipped or not."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path, "rb") if packed else path.open("rb"))


def _records(file: IO[bytes]) -> Iterator[list[bytes]]:
    """Yield four lines at a time, up to the end or to empty lines."""
    while True:
        record = [file.readline(_MOST_LINE) for _ in range(4)]
        if not b"".join(record).strip():
            return
        yield record


def _name(record: Sequence[bytes]) -> bytes:
    return (record[0][1:].split() or [b""])[0]


def _mates(one: bytes, two: bytes) -> bool:
    """Say whether names are of one fragment: alike, but for a character such as 1 and 2."""
    if one == two:
        return True
    one, two = (name[:-2] if name[-2:] in (b"/1", b"/2") else name for name in (one, two))
    return len(one) == len(two) and sum(a != b for a, b in zip(one, two, strict=True)) <= 1


def _broken(problem: str, path: Path, expected: str | None = None) -> InputError:
    return InputError(problem, where=path, expected=expected, remedy=_AGAIN)


def _length(record: Sequence[bytes], path: Path, line: int) -> int:
    name, bases, plus, quality = (part.rstrip(b"\r\n") for part in record)
    other = next((kind for start, kind in _OTHERS.items() if name.startswith(start)), "")
    if other:
        raise _broken(f"not FASTQ, but {other}", path, "FASTQ, as text or packed with gzip")
    if not name.startswith(b"@") or not plus.startswith(b"+") or len(bases) != len(quality):
        raise _broken(
            f"line {line + 1}: no read of FASTQ: {name[:60].decode(errors='replace')!r}",
            path,
            "a name after @, bases, +, and as many qualities as bases",
        )
    return len(bases)
