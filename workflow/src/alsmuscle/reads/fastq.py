"""FASTQ files before anything is made of them: whole, of reads, and of how long ones.

kallisto reads a truncated gzip to where it breaks, and files of mates to the end of the shorter
one, without a word: both are found here.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from alsmuscle.core.errors import InputError

_BLOCK = 1 << 20
# The longest reads of any machine are some million bases.
_MOST_LINE = 1 << 24
# Reads from which lengths are read; files of a sequencer are alike from end to end.
LOOKED_AT = 20_000
_AGAIN = "fetch the run again; if it stays so, its archive's copy is broken: leave the run out"


@dataclass(frozen=True)
class Fastq:
    """One file: its number of reads, and the lengths (nucleotides) of its first ones."""

    path: Path
    reads: int
    shortest: int
    longest: int

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
    lines, last = 0, b"\n"
    try:
        with open_packed(path) as file:
            for _ in range(LOOKED_AT):
                record = [file.readline(_MOST_LINE) for _ in range(4)]
                if not record[0]:
                    break
                lengths.append(_length(record, path, lines))
                lines += 4
            while block := file.read(_BLOCK):
                lines += block.count(b"\n")
                last = block[-1:]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _broken(f"the gzip is broken or truncated ({error})", path) from None
    except OSError as error:
        raise _broken(f"cannot be read: {error.strerror or error}", path) from None
    lines += last != b"\n"
    if not lines:
        raise _broken("there is no read in it", path, "a FASTQ file with reads")
    if lines % 4:
        raise _broken(f"{lines} lines: the last read is incomplete", path, "four lines a read")
    return Fastq(path, lines // 4, min(lengths), max(lengths))


def pair(files: Sequence[Fastq]) -> None:
    """Stop where files of one run do not hold the same number of reads.

    Raises
    ------
    InputError
        Quoting both.
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


def _broken(problem: str, path: Path, expected: str | None = None) -> InputError:
    return InputError(problem, where=path, expected=expected, remedy=_AGAIN)


def _length(record: Sequence[bytes], path: Path, line: int) -> int:
    name, bases, plus, quality = (part.rstrip(b"\r\n") for part in record)
    if not name.startswith(b"@") or not plus.startswith(b"+") or len(bases) != len(quality):
        raise _broken(
            f"line {line + 1}: no read of FASTQ: {name[:60].decode(errors='replace')!r}",
            path,
            "a name after @, bases, +, and as many qualities as bases",
        )
    return len(bases)
