"""The bytes of a downloaded file without their packing, and as text, within limits of size."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Self, cast

from alsmuscle.core.errors import InputError

MAX_UNPACKED, MAX_RATIO = 1 << 36, 400.0
_SMALL = 1 << 28
_BLOCK = 1 << 20
_MAX_LAYERS = 4
ZIP = b"PK\x03\x04"
_CLUTTER = (".DS_Store", "Thumbs.db", "desktop.ini")
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)
# Of archives; their modules raise the last ones for headers that make no sense.
DAMAGED = (
    *(*_DAMAGED, tarfile.TarError, zipfile.BadZipFile),
    *(RuntimeError, ValueError, struct.error),
)
# What tar says of one member beyond its name: long names, attributes.
_MOST_HEADER = 1 << 15
_OF_HEADERS = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
_DISK_KEPT = 1 << 30
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


def bounded(stream: IO[bytes], object_to: Callable[[int], None]) -> io.BufferedReader:
    """Wrap a decompressing stream; ``object_to`` is told how many bytes came, and may raise."""
    return io.BufferedReader(_Bounded(stream, object_to), _BLOCK)


def unpacked(content: bytes, where: str) -> bytes:
    """Return content without its packing (gzip, bzip2, xz; an archive of one file), within limits.

    The first bytes decide, not the name; files are packed twice at times. A workbook, which is a
    zip itself, stays as it is.

    Raises
    ------
    InputError
        The packing is damaged, or unpacks to more than is believable; an archive of several files.
    """
    for _ in range(_MAX_LAYERS):
        kind = next((k for k, (magic, _) in _STREAMS.items() if content.startswith(magic)), None)
        if kind is not None:
            content = _without_layer(content, kind, where)
        elif content.startswith(ZIP) or content[257:262] == b"ustar":
            inner = _only_member(content, where)
            if inner is None:
                return content
            content = inner
        else:
            return content
    raise InputError(f"packed more than {_MAX_LAYERS} times", where=where)


class Header(tarfile.TarInfo):
    """A header of tar whose size is looked at before that much memory is asked for."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read one block, as ``tarfile`` does; a size that no header has is refused."""
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.type in _OF_HEADERS and header.size > _MOST_HEADER):
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header


def tar_members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a tar that was opened with :class:`Header`.

    Raises
    ------
    tarfile.TarError
        A header makes no sense, or leads backwards, and so round and round.
    """
    last = -1
    try:
        for member in tar:
            if member.size < 0 or member.offset <= last:
                raise tarfile.ReadError(f"a member of {member.size:,} bytes")
            last = member.offset
            yield member
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise tarfile.ReadError(f"a header that makes no sense ({error})") from None


def is_clutter(name: str) -> bool:
    """Say whether an archive's member is a file system's own note, such as macOS's ``._name``."""
    parts = name.replace("\\", "/").split("/")
    return parts[-1].startswith("._") or "__MACOSX" in parts or parts[-1] in _CLUTTER


def _only_member(content: bytes, where: str) -> bytes | None:
    """Return the one file of a zip or tar, or None for a workbook."""
    stream = io.BytesIO(content)
    try:
        if content.startswith(ZIP):
            with zipfile.ZipFile(stream) as archive:
                infos = {i.filename: i for i in archive.infolist() if not i.is_dir()}
                if "[Content_Types].xml" in infos:
                    return None
                name = _only([n for n in infos if not is_clutter(n)], where)
                return _read_bounded(archive.open(infos[name]), len(content), where)
        with tarfile.open(fileobj=stream, tarinfo=Header) as tar:
            files = {m.name: m for m in tar_members(tar) if m.isfile() and not is_clutter(m.name)}
            return _read_bounded(
                tar.extractfile(files[_only(list(files), where)]), len(content), where
            )
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"damaged archive: {error}", where=where) from None


def _only(names: list[str], where: str) -> str:
    if len(names) != 1:
        raise InputError(
            f"an archive of {len(names)} files: {some(names, 5)}",
            where=where,
            expected="one file",
            remedy="one table per sample is the layout `tar_tables`; else unpack it, and give the "
            "path of the file that is meant as `url`",
        )
    return names[0]


def _read_bounded(stream: Any, packed: int, where: str) -> bytes:
    def object_to(seen: int) -> None:
        if problem := bomb(seen, packed):
            raise InputError(problem, where=where)

    return bounded(stream, object_to).read()


def _without_layer(content: bytes, kind: str, where: str) -> bytes:
    try:
        return _read_bounded(_STREAMS[kind][1](io.BytesIO(content)), len(content), where)
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(f"damaged {kind}: {error}", where=where) from None


def opened(content: bytes, where: str) -> IO[bytes]:
    """Return content as a stream, unpacked while it is read, within the downloader's limits.

    The first bytes decide; reading raises :class:`InputError` once it is more than is believable,
    and what the packing raises where it is damaged.
    """

    def object_to(seen: int) -> None:
        if problem := bomb(seen, len(content)):
            raise InputError(problem, where=where)

    stream: Any = io.BufferedReader(io.BytesIO(content))
    for _ in range(_MAX_LAYERS):
        head = stream.peek(8)
        kind = next((k for k, (magic, _) in _STREAMS.items() if head.startswith(magic)), None)
        if kind is None:
            break
        stream = bounded(_STREAMS[kind][1](stream), object_to)
    return cast(IO[bytes], stream)


@contextlib.contextmanager
def unpacked_file(path: Path) -> Iterator[Path]:
    """Give the path of a file's content without its packing; a copy goes when it is done with.

    For formats that are read in place (HDF5), whose files are large. Raises InputError as
    :func:`unpacked`.
    """
    with path.open("rb") as handle:
        head = handle.read(8)
    kind = next((k for k, (magic, _) in _STREAMS.items() if head.startswith(magic)), None)
    if kind is None:
        yield path
        return
    packed = path.stat().st_size

    def object_to(seen: int) -> None:
        if problem := bomb(seen, packed):
            raise InputError(problem, where=path)
        if shutil.disk_usage(tempfile.gettempdir()).free < _DISK_KEPT:
            raise InputError(
                f"the disk for temporary files is full after {size_in_words(seen)} of its content",
                where=path,
                remedy="set TMPDIR to a folder with more space, or unpack the file by hand",
            )

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.stem
        try:
            with path.open("rb") as handle, copy.open("wb") as out:
                shutil.copyfileobj(bounded(_STREAMS[kind][1](handle), object_to), out, _BLOCK)
        except InputError:
            raise
        except _DAMAGED as error:
            raise InputError(f"damaged {kind}: {error}", where=path) from None
        yield copy


def read_text(path: Path) -> str:
    """Return a text file, packed or not, as :func:`decoded`."""
    return decoded(unpacked(path.read_bytes(), str(path)))


def decoded(content: bytes) -> str:
    r"""Return bytes as text: UTF-8 or -16, or Windows-1252, where submitters wrote that.

    Line ends become ``\n``: also lone carriage returns, where there is no other line end.
    """
    if wide := utf_16(content):
        text = content.decode(wide, "replace")
    else:
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


def utf_16(content: bytes) -> str:
    """Return the codec of text in UTF-16, with a mark or without one; empty for all else."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    low, high = content[0:4096:2], content[1:4096:2]  # of ASCII, one of two bytes is a zero
    for zeros, others, codec in ((high, low, "utf-16-le"), (low, high, "utf-16-be")):
        if zeros.count(0) > 0.8 * len(zeros) > 1 and not others.count(0):
            return codec
    return ""


def lines_of(text: str) -> list[str]:
    r"""Return lines, which end at ``\n`` only: ``str.splitlines`` cuts at ten other characters."""
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def some(names: Any, most: int = 12) -> str:
    """Return the first of some names as one text, and how many there are."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
