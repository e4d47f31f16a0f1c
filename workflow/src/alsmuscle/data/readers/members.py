"""The files in an archive (tar, packed or not, or zip), and in archives that lie in it.

A file system's own notes (``._name``, ``__MACOSX``) are no members. A file of an archive in the
archive has the name of both, with a slash between: ``GSM1.tar.gz/matrix.mtx.gz``.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from alsmuscle.core.errors import InputError
from alsmuscle.download.containers import safe_members
from alsmuscle.download.decode import DAMAGED, ZIP, Header, bomb, is_clutter

Read = Callable[[], bytes]
_ARCHIVE = re.compile(r"\.(tar|tgz|tbz2?|txz|zip|tar\.(gz|bz2|xz))$", re.IGNORECASE)


def names(path: Path) -> list[str]:
    """Return the names of an archive's files. Raises InputError as :func:`each`."""
    return [name for name, _ in _walk(path, None)]


def each(path: Path, wanted: Collection[str] | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of an archive's files, one at a time; ``wanted``: of these only.

    Raises
    ------
    InputError
        The archive is damaged, is none, or unpacks to more than is believable.
    """
    for name, read in _walk(path, wanted):
        if wanted is None or name in wanted:
            try:
                yield name, read()
            except DAMAGED as error:
                raise _broken(error, path) from None


def _walk(path: Path, wanted: Collection[str] | None) -> Iterator[tuple[str, Read]]:
    try:
        with path.open("rb") as stream:
            yield from _members(stream, path, path.stat().st_size, wanted, depth=1)
    except DAMAGED as error:
        raise _broken(error, path) from None


def _broken(error: Exception, path: Path) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(
        f"not a whole tar or zip archive: {error}",
        where=path,
        remedy="fetch the file again; if it stays broken the archive's copy is broken",
    )


def _members(
    stream: IO[bytes], where: Path, packed: int, wanted: Collection[str] | None, depth: int
) -> Iterator[tuple[str, Read]]:
    for name, read in _files(stream, where, packed):
        if is_clutter(name):
            continue
        if not depth or not _ARCHIVE.search(name):
            yield name, read
        elif wanted is None or any(other.startswith(f"{name}/") for other in wanted):
            content = read()
            inner = _members(io.BytesIO(content), where / name, len(content), None, depth - 1)
            yield from ((f"{name}/{within}", one) for within, one in inner)


def _files(stream: IO[bytes], where: Path, packed: int) -> Iterator[tuple[str, Read]]:
    head = stream.read(4)
    stream.seek(0)
    if head == ZIP:
        with zipfile.ZipFile(stream) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            if problem := bomb(sum(info.file_size for info in infos), packed):
                raise InputError(problem, where=where)
            for info in infos:
                yield info.filename, partial(archive.read, info)
        return
    with tarfile.open(fileobj=stream, tarinfo=Header) as tar:
        for member in safe_members(tar, packed=packed, url=str(where)):
            if member.isfile():
                yield member.name, partial(_content, tar, member)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return stream.read() if stream else b""
