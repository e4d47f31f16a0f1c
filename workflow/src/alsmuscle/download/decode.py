"""The bytes of a downloaded file as text and as plain tables, within limits on what they unpack to."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

MAX_UNPACKED, MAX_RATIO = 1 << 36, 400.0
_SMALL = 1 << 28
_BLOCK = 1 << 20
_MAX_LAYERS = 4
_STREAMS: dict[str, tuple[bytes, Any]] = {
    "gzip": (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    "bzip2": (b"BZh", bz2.BZ2File),
    "xz": (b"\xfd7zXZ\0", lzma.LZMAFile),
}


def size_in_words(count: float) -> str:
    """Return a number of bytes as a person reads it."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def bomb(
    unpacked: int, packed: int, *, max_unpacked: int = MAX_UNPACKED, max_ratio: float = MAX_RATIO
) -> str:
    """Say why content of this size is refused, or return nothing.

    The ratio is looked at above 256 MiB of content: small files may well shrink a thousandfold.
    """
    ratio = unpacked / max(packed, 1)
    if unpacked <= max_unpacked and (unpacked <= _SMALL or ratio <= max_ratio):
        return ""
    return (
        f"unpacks to more than {size_in_words(min(unpacked, max_unpacked))} from "
        f"{size_in_words(packed)}: refused as a decompression bomb"
    )


class _Bounded(io.RawIOBase):
    """A reader that objects once its content outgrows the limits."""

    def __init__(self, stream: IO[bytes], object_to: Callable[[int], None]) -> None:
        self._stream, self._object_to, self._seen = stream, object_to, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        self._seen += len(block)
        self._object_to(self._seen)
        return len(block)


def bounded(stream: IO[bytes], object_to: Callable[[int], None]) -> IO[bytes]:
    """Wrap a decompressing stream; ``object_to`` is told how many bytes came, and may raise."""
    return io.BufferedReader(_Bounded(stream, object_to), _BLOCK)


def unpacked(content: bytes, where: str) -> bytes:
    """Return content without its packing (gzip, bzip2, xz), within the downloader's limits.

    The first bytes decide, not the name; files are packed twice at times.

    Raises
    ------
    InputError
        The packing is damaged, or unpacks to more than is believable.
    """
    for _ in range(_MAX_LAYERS):
        kind = next((k for k, (magic, _) in _STREAMS.items() if content.startswith(magic)), None)
        if kind is None:
            return content
        content = _without_layer(content, kind, where)
    raise InputError(f"packed more than {_MAX_LAYERS} times", where=where)


def _without_layer(content: bytes, kind: str, where: str) -> bytes:
    def object_to(seen: int) -> None:
        if problem := bomb(seen, len(content)):
            raise InputError(problem, where=where)

    try:
        stream: Any = _STREAMS[kind][1](io.BytesIO(content))
        return bounded(stream, object_to).read()
    except InputError:
        raise
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"damaged {kind}: {error}", where=where) from None


def opened(content: bytes, where: str) -> IO[bytes]:
    """Return content as a stream, unpacked while it is read, within the downloader's limits.

    The first bytes decide; reading raises :class:`InputError` once it is more than is believable,
    and what the packing raises where it is damaged.
    """
    kind = next((k for k, (magic, _) in _STREAMS.items() if content.startswith(magic)), None)
    if kind is None:
        return io.BytesIO(content)

    def object_to(seen: int) -> None:
        if problem := bomb(seen, len(content)):
            raise InputError(problem, where=where)

    return bounded(_STREAMS[kind][1](io.BytesIO(content)), object_to)


def read_text(path: Path) -> str:
    r"""Return a text file, packed or not: UTF-8, or Windows-1252, where submitters wrote that.

    Line ends become ``\n``: also lone carriage returns, where there is no other line end.
    """
    content = unpacked(path.read_bytes(), str(path))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Five of 256 bytes mean nothing in Windows-1252; Latin-1 has a meaning for all.
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
    text = text.replace("\r\n", "\n")
    return text if "\n" in text else text.replace("\r", "\n")


def lines_of(text: str) -> list[str]:
    r"""Return lines, which end at ``\n`` only: ``str.splitlines`` cuts at ten other characters."""
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def plain_table(lines: Sequence[str], where: str) -> pd.DataFrame:
    """Read lines of a tab- or comma-separated table as text, without a belief in quotes."""
    import pandas as pd

    if not lines:
        raise InputError("the table is empty", where=where)
    separator = "\t" if "\t" in lines[0] else ","
    quoting = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
    try:
        return pd.read_csv(
            io.StringIO("\n".join(lines)),
            sep=separator,
            dtype=str,
            keep_default_na=False,
            quoting=quoting,
            index_col=False,
        )
    except pd.errors.ParserError as error:
        raise InputError(f"not a regular table: {error}", where=where) from None


def some(names: Any, most: int = 12) -> str:
    """Return the first of some names as one text, and how many there are."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
