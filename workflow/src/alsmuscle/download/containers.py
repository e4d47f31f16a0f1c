"""Is a file what its name says, and whole? Formats, check sums, and archives that mean harm."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

from alsmuscle.core.errors import InputError
from alsmuscle.download import decode
from alsmuscle.download.policy import FetchPolicy, Want

BLOCK = 1 << 20
_MOST_NAME = 4096


def hash_file(path: str | Path) -> tuple[str, str]:
    """Return sha256 and md5 of a file, in lower-case hexadecimal digits."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with Path(path).open("rb") as handle:
        while block := handle.read(BLOCK):
            sha256.update(block)
            md5.update(block)
    return sha256.hexdigest(), md5.hexdigest()


def wrong_members(path: Path, want: Want) -> str:
    """Say which pinned members of a tar are missing or differ; empty if none."""
    left = dict(want.members or {})
    try:
        with tarfile.open(path, tarinfo=decode.Header) as archive:
            for member in decode.tar_members(archive):
                content = archive.extractfile(member) if member.name in left else None
                if content is None:
                    continue
                known = left.pop(member.name)
                got = hashlib.file_digest(cast(Any, content), "sha256").hexdigest()
                if got != known:
                    return f"the archive's member {member.name} has sha256 {got}, not {known}"
    except decode.DAMAGED as error:
        return f"the archive cannot be read: {error}"
    if left:
        some = ", ".join(sorted(left)[:3]) + (", …" if len(left) > 3 else "")
        return f"the archive lacks {len(left)} of {len(want.members or {})} members: {some}"
    return ""


def check_content(
    path: str | Path,
    name: str | None = None,
    *,
    policy: FetchPolicy | None = None,
    url: str = "",
    study: str = "",
) -> None:
    """Check that a file is what its name says and is complete, as far as its format can tell.

    gzip, bzip2, xz and zip are read to the end against their check sums, HDF5 against its
    recorded length, tar to its end mark; within the policy's limits on unpacked size.

    Raises
    ------
    FetchError
        For a web page, another format, a truncated or damaged file, or a decompression bomb.
    """
    path, policy = Path(path), policy or FetchPolicy()
    name = (name or path.name).lower()
    want = Want(url or str(path), study, None, None, None)
    with path.open("rb") as handle:
        head = handle.read(4096)
    if not head:
        raise want.mismatch("the file is empty")
    refuse_page(want, name, head)
    found, meant = _format_of(head), _format_named(name)
    if meant == "text":
        if found:
            raise want.mismatch(f"the content is {found}, the name says text")
        return
    if meant and found != meant and not (meant == "tar" and tarfile.is_tarfile(path)):
        guess = found or ("unknown" if b"\0" in head else "text")
        raise want.mismatch(
            f"the content is {guess}, beginning with {head[:16]!r}",
            expected=f"{meant}, as the name {name} says",
        )
    try:
        if meant in ("gzip", "bzip2", "xz"):
            _check_stream(path, meant, want, policy)
        if meant == "zip":
            _check_zip(path, want, policy)
        if meant == "hdf5":
            import h5py

            with h5py.File(path, "r"):
                pass
        if meant == "tar" or name.endswith((".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")):
            _check_tar(path, want, policy)
    except InputError:
        raise
    except decode.DAMAGED as error:
        raise want.mismatch(f"the {meant} file is truncated or damaged: {error}") from error


def _format_of(head: bytes) -> str:
    """Name a format by its first bytes; empty for text and the unknown."""
    magic = {
        "gzip": b"\x1f\x8b",
        "bzip2": b"BZh",
        "xz": b"\xfd7zXZ\0",
        "zip": b"PK\x03\x04",
        "hdf5": b"\x89HDF\r\n\x1a\n",
        "pdf": b"%PDF-",
    }
    if head[257:262] == b"ustar":
        return "tar"
    return next((kind for kind, start in magic.items() if head.startswith(start)), "")


def _format_named(name: str) -> str:
    """Name the format that a file name promises; empty if it promises none that we check."""
    suffixes = {
        "gzip": (".gz", ".tgz", ".bgz"),
        "bzip2": (".bz2",),
        "xz": (".xz",),
        "zip": (".zip", ".xlsx"),
        "hdf5": (".h5", ".h5ad", ".hdf5", ".loom"),
        "tar": (".tar",),
        "text": (".txt", ".csv", ".tsv", ".tab", ".soft", ".gmt", ".json", ".xml", ".mtx", ".yaml"),
    }
    return next((kind for kind, ends in suffixes.items() if name.endswith(ends)), "")


def refuse_page(want: Want, name: str, head: bytes) -> None:
    """Raise if a web page or a storage service's error arrived in place of a file."""
    saved_as_page = name.lower().endswith(".xls") and b"<table" in head.lower()
    if name.lower().endswith((".html", ".htm")) or saved_as_page:
        return
    text = head.lstrip(b"\xef\xbb\xbf\r\n\t ").decode("utf-8", "replace")
    start = re.sub(r"^(<\?xml[^>]*\?>|<!--.*?-->|\s)+", "", text, flags=re.DOTALL)
    if re.match(r"(?i)<(!doctype html|html|head|body|title|script)\b", start):
        title = re.search(r"(?is)<(?:title|h1)[^>]*>(.*?)</", text)
        words = re.sub(r"\s+", " ", title[1]).strip() if title else "no title"
        raise want.page(
            f"a web page came instead of the file: “{words[:200]}”",
            expected=f"the content of {name}",
        )
    if re.match(r"<Error>\s*<Code>", start):
        words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", start)).strip()
        raise want.page(f"the storage service answered with an error: {words[:200]}")


def _check_stream(path: Path, kind: str, want: Want, policy: FetchPolicy) -> None:
    opener: Any = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}[kind]
    with opener(path, "rb") as handle:
        packed = path.stat().st_size
        reader = decode.bounded(handle, lambda seen: _refuse_bomb(want, seen, packed, policy))
        while reader.read(BLOCK):
            pass


def _check_zip(path: Path, want: Want, policy: FetchPolicy) -> None:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        unpacked = sum(info.file_size for info in infos)
        _refuse_bomb(want, unpacked, path.stat().st_size, policy)
        if len(infos) > policy.max_members:
            raise want.refused(f"the archive has {len(infos)} members")
        bad = archive.testzip()
    if bad is not None:
        raise want.mismatch(f"the archive's member {bad} is damaged")


def _check_tar(path: Path, want: Want, policy: FetchPolicy) -> None:
    with tarfile.open(path, tarinfo=decode.Header) as archive:
        for _ in safe_members(archive, policy=policy, url=want.url, study=want.study):
            pass
        # tarfile takes a missing end mark, or half a header, for the end of the archive.
        stream = cast(BinaryIO, archive.fileobj)
        stream.seek(archive.offset)
        end = stream.read(tarfile.BLOCKSIZE)
    if len(end) < tarfile.BLOCKSIZE or any(end):
        raise want.mismatch("the tar file is truncated: it has no end mark")


def _refuse_bomb(want: Want, unpacked: int, packed: int, policy: FetchPolicy) -> None:
    problem = decode.bomb(
        unpacked, packed, max_unpacked=policy.max_unpacked, max_ratio=policy.max_ratio
    )
    if problem:
        raise want.refused(problem, remedy="if the file is sound, raise max_unpacked or max_ratio")


def safe_members(
    tar: tarfile.TarFile,
    *,
    policy: FetchPolicy | None = None,
    packed: int | None = None,
    url: str = "",
    study: str = "",
) -> Iterator[tarfile.TarInfo]:
    """Yield the members of an archive, refusing those that reach outside or are no plain files.

    Rests on the standard library's ``data`` filter (PEP 706), and is stricter: absolute names are
    refused, not trimmed; so are names that occur twice. The sum of the sizes and the number of
    members are limited by the policy. ``packed``: the archive's own size, where it is no file.

    Raises
    ------
    FetchError
        Naming the member: absolute path, ``..``, link that leaves the archive, device, fifo,
        name that occurs twice, more or larger members than allowed.
    """
    policy = policy or FetchPolicy()
    want = Want(url or str(tar.name or ""), study, None, None, None)
    if packed is None:
        file = Path(str(tar.name))
        packed = file.stat().st_size if tar.name and file.exists() else 1
    seen: set[str] = set()
    unpacked = 0
    for member in decode.tar_members(tar):
        name = member.name
        plain = str(PurePosixPath(name))
        unpacked += max(0, member.size)
        if "\0" in name or len(name) > _MOST_NAME:
            problem = "a name that is none"
        elif name.startswith("/") or "\\" in name or re.match(r"^[A-Za-z]:", name):
            problem = "an absolute path"
        elif ".." in PurePosixPath(name).parts:
            problem = "a path that leaves the archive"
        elif plain in seen and not member.isdir():
            problem = "a name that occurs twice"
        elif len(seen) >= policy.max_members:
            problem = f"more than {policy.max_members} members"
        elif member.isdev():
            problem = "a device or a pipe"
        else:
            problem = "a link out of the archive" if _leads_out(member) else ""
        if problem:
            raise want.refused(
                f"the archive's member {name[:200]!r} is refused: {problem}",
                remedy="unpack it by hand in a safe place, and give the files' local paths",
            )
        seen.add(plain)
        _refuse_bomb(want, unpacked, packed, policy)
        yield member


def _leads_out(member: tarfile.TarInfo) -> bool:
    """Whether a link points beyond the archive; its text alone says so, nothing is opened."""
    if not (member.issym() or member.islnk()):
        return False
    target = PurePosixPath(member.linkname)
    depth = len(PurePosixPath(member.name).parts) - 1 if member.issym() else 0
    for part in target.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return target.is_absolute()


def announced(stream: IO[bytes], packed: int, where: str | Path) -> tuple[int, int] | None:
    """Hold the header of a MatrixMarket file against the file, before memory is asked for.

    Parameters
    ----------
    stream
        The file, unpacked.
    packed
        Bytes of the file as it is.

    Returns
    -------
    tuple or None
        Rows and columns; None where the header is none (the reader says what it is).

    Raises
    ------
    InputError
        It announces more entries than its shape or the file can hold.
    """
    line = stream.readline(4096)
    while line and (line.startswith(b"%") or not line.strip()):
        while line and not line.endswith(b"\n"):  # the rest of a long remark
            line = stream.readline(4096)
        line = stream.readline(4096)
    numbers = line.split()
    if len(numbers) != 3 or not all(number.isdigit() for number in numbers):
        return None
    rows, columns, entries = (int(number) for number in numbers)
    # An entry takes at least six bytes, and gzip packs no more than 1032 : 1.
    if entries > rows * columns or entries * 6 > packed * 1032:
        raise InputError(
            f"announces {entries:,} entries, more than the file can hold",
            where=where,
            remedy="fetch the file again; if it stays so, the archive's copy is broken",
        )
    return rows, columns
