"""What is written down about files: the lock of an earlier run, and the index of a mirror."""

from __future__ import annotations

import csv
import errno
import fcntl
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from alsmuscle.core import log
from alsmuscle.core.redaction import secrets as redact
from alsmuscle.download.policy import FetchError, lookup_key

LOCK_COLUMNS = ("url", "sha256", "bytes", "retrieved", "source")
MIRROR_COLUMNS = ("url", "path", "sha256", "bytes")


@dataclass(frozen=True)
class Fetched:
    """A verified file: where it came from and what it is.

    ``source`` is ``network``, ``mirror``, ``local`` or ``present`` (it was there already and
    matches its hash); ``retrieved`` is UTC, ISO 8601.
    """

    url: str
    path: Path
    sha256: str
    bytes: int
    retrieved: str
    source: str


class Rows(dict[str, dict[str, str]]):
    """URL to its row; ``by_key`` finds one however its URL is spelled."""

    def __init__(self, by_key: Mapping[str, dict[str, str]]) -> None:
        """Take rows by :func:`lookup_key` of their URL."""
        super().__init__((row["url"], row) for row in by_key.values())
        self.by_key = by_key


def read_lock(path: str | Path) -> dict[str, dict[str, str]]:
    """Read a lock file: URL to its row (``url, sha256, bytes, retrieved, source``).

    A missing file is an empty lock. Raises :class:`FetchError` on a malformed one.
    """
    path = Path(path)
    if not path.exists():
        return {}
    rows = _read_table(path, LOCK_COLUMNS)
    found: dict[str, dict[str, str]] = {}
    for number, row in rows:
        if not re.fullmatch(r"[0-9a-f]{64}", row["sha256"]) or not row["bytes"].isdigit():
            raise FetchError(
                f"{path.name}, line {number}: no valid sha256 or size",
                url=row["url"],
                remedy="restore the lock file from version control, or delete that line",
            )
        key = lookup_key(row["url"])
        if key in found and found[key]["sha256"] != row["sha256"]:
            raise FetchError(
                f"{path.name}, line {number}: the URL is there twice with different hashes",
                url=row["url"],
                remedy="delete the line that is wrong",
            )
        found[key] = row
    return Rows(found)


def first_source(lock: str | Path, fetched: Fetched) -> str:
    """Return where a file came from when it was recorded; its own source if it never was."""
    row = row_for(read_lock(lock), fetched.url)
    return row["source"] if row else fetched.source


def record_lock(
    path: str | Path, fetched: Fetched, *, study: str = "", replace: bool = False
) -> None:
    """Add one file to the lock: atomic, safe under concurrent processes, first record kept.

    Raises :class:`FetchError` if the lock holds another hash for the URL, unless ``replace``: then
    the new record takes its place, with a warning.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(path.with_name(f".{path.name}.busy")):
        rows = {lookup_key(url): row for url, row in read_lock(path).items()}
        before = rows.get(lookup_key(fetched.url))
        if before is not None and replace and before["sha256"] != fetched.sha256:
            log.get("fetch").warning(
                "%s: the archive has rewritten %s since %s; the new hash is recorded",
                study,
                redact(fetched.url),
                before["retrieved"],
            )
        elif before is not None:
            agree(before, fetched.sha256, path, fetched.url, study)
            return
        rows[lookup_key(fetched.url)] = {
            "url": redact(fetched.url),
            "sha256": fetched.sha256,
            "bytes": str(fetched.bytes),
            "retrieved": fetched.retrieved,
            "source": fetched.source,
        }
        text = io.StringIO()
        writer = csv.DictWriter(text, LOCK_COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows.values(), key=lambda row: row["url"]))
        temporary = path.with_name(f".{path.name}.new")
        with temporary.open("w", encoding="utf-8") as handle:
            handle.write(text.getvalue())
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)


def agree(row: Mapping[str, str], sha256: str, path: Path, url: str, study: str) -> None:
    """Stop where a file differs from what an earlier run recorded."""
    if row["sha256"] != sha256:
        raise FetchError(
            f"sha256 is {sha256}, but {path.name} recorded {row['sha256']} "
            f"({row['retrieved']}, from {row['source']})",
            url=url,
            study=study,
            expected="the file that earlier runs used",
            remedy=f"find out what changed; if the new file is right, delete its line in {path}",
        )


def read_mirror(folder: str | Path) -> dict[str, dict[str, str]]:
    """Read ``index.tsv`` of a mirror folder: URL to its row (``url, path, sha256, bytes``).

    Raises :class:`FetchError` if the index is missing, malformed, or names a path outside the
    folder.
    """
    index = Path(folder) / "index.tsv"
    try:
        stamp = index.stat().st_mtime_ns
    except OSError:
        stamp = 0
    return _read_mirror(str(folder), index, stamp)


@lru_cache(maxsize=4)
def _read_mirror(folder: str, index: Path, _stamp: int) -> Rows:
    if not index.is_file():
        raise FetchError(
            "the mirror has no index.tsv",
            url=str(folder),
            expected="a folder with index.tsv: url, path, sha256, bytes, note",
            remedy="correct the mirror's path or leave it empty",
        )
    found: dict[str, dict[str, str]] = {}
    for number, row in _read_table(index, MIRROR_COLUMNS):
        relative = PurePosixPath(row["path"])
        bad = (
            "a path inside the mirror"
            if not row["path"] or relative.is_absolute() or ".." in relative.parts
            else "a sha256 of 64 hexadecimal digits"
            if not re.fullmatch(r"[0-9a-fA-F]{64}", row["sha256"])
            else "a size in bytes"
            if not row["bytes"].isdigit()
            else ""
        )
        key = lookup_key(row["url"])
        if key in found and found[key]["sha256"].lower() != row["sha256"].lower():
            bad = "each URL once"
        if bad:
            raise FetchError(f"{index}, line {number} is malformed", url=row["url"], expected=bad)
        found[key] = {**row, "sha256": row["sha256"].lower()}
    return Rows(found)


def _read_table(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Read a tab-separated table with at least ``columns``: line number and row."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle, delimiter="\t", strict=True)
            missing = [name for name in columns if name not in (reader.fieldnames or [])]
            if missing:
                raise FetchError(
                    f"no column {', '.join(missing)}",
                    url=str(path),
                    expected=f"tab-separated columns {', '.join(columns)}",
                )
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FetchError(f"cannot be read as a table: {error}", url=str(path)) from error
    for number, row in rows:
        if any(row[name] is None for name in columns) or not row["url"]:
            raise FetchError(f"line {number} has too few fields", url=str(path))
    return rows


def row_for(rows: Mapping[str, dict[str, str]], url: str) -> dict[str, str] | None:
    """Return the row of a URL, however it is spelled."""
    key = lookup_key(url)
    if isinstance(rows, Rows):
        return rows.by_key.get(key)
    return next((row for name, row in rows.items() if lookup_key(name) == key), None)


# --- locks between processes ---------------------------------------------------------------------


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold ``path`` as a lock file; the system frees it when its owner dies, also by kill -9."""
    while True:
        handle = path.open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                # Lustre and NFS may be mounted without locks; one process alone is safe there too.
                log.get("fetch").warning("%s: this file system has no locks", path.parent)
                break
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                handle.close()
                raise
            log.get("fetch").info("waiting for another process that holds %s", path.name)
            fcntl.flock(handle, fcntl.LOCK_EX)
        # The owner before us removes the file: only a lock on the file of that name counts.
        try:
            held = os.fstat(handle.fileno()).st_ino == path.stat().st_ino
        except FileNotFoundError:
            held = False
        if held:
            break
        handle.close()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        handle.close()
