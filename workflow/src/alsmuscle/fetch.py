"""Bring files from public archives to disk: verified, resumable, and polite to the servers.

One entry, :func:`fetch`, serves http(s), ftp, local paths and an offline mirror through the same
verification. A file appears under its final name only when it is complete: bytes go to
``<name>.part``, are synchronised and checked, and are then renamed. What proves completeness, in
this order: a hash from the dataset's card, the hash recorded by an earlier run (``data.lock.tsv``),
and, where neither exists, the announced length and the integrity of the container format.

Sources for behaviour: RFC 9110 (ranges, ``If-Range``, ``Retry-After``), NCBI's usage rules for the
E-utilities (3 requests per second, 10 with a key).
"""

from __future__ import annotations

import bz2
import csv
import errno
import fcntl
import ftplib
import gzip
import hashlib
import io
import json
import lzma
import os
import random
import re
import shutil
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast
from urllib.parse import (
    parse_qs,
    parse_qsl,
    quote,
    unquote,
    unquote_to_bytes,
    urlencode,
    urlsplit,
    urlunsplit,
)

from alsmuscle import log, texts
from alsmuscle.errors import InputError
from alsmuscle.texts import size_in_words

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

LOCK_COLUMNS = ("url", "sha256", "bytes", "retrieved", "source")
MIRROR_COLUMNS = ("url", "path", "sha256", "bytes")
EUTILS_HOST = "eutils.ncbi.nlm.nih.gov"
_KEY_VARIABLE = "NCBI_API_KEY"
# Both archives serve the same tree over https, where proxies, TLS and Range work.
_FTP_AS_HTTPS = (".ncbi.nlm.nih.gov", ".ebi.ac.uk")
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
_BLOCK = 1 << 20
_TEXT_LIMIT = 64 << 20
_ROUNDS = 3
_REWRITTEN = r"/geo/\w+/.*(_series_matrix\.txt\.gz|_family\.soft\.gz|_family\.xml\.tgz)$"
T = TypeVar("T")


class FetchError(InputError):
    """A file could not be obtained or is not what was asked for; names study and URL.

    ``status`` is the HTTP status where the server's answer was the reason, else None.
    """

    def __init__(
        self,
        problem: str,
        *,
        url: str = "",
        study: str = "",
        status: int | None = None,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> None:
        """Take the parts of the message; secrets are removed from each."""
        self.url, self.study, self.status = redact(url), study, status
        where = ": ".join(part for part in (study, self.url) if part)
        super().__init__(
            redact(problem),
            where=where or None,
            expected=redact(expected) if expected else None,
            remedy=redact(remedy) if remedy else None,
        )


class TransferError(FetchError):
    """The bytes did not come for a reason that may pass: no network, a busy server, a full disk."""


class _ContentError(FetchError):
    """The bytes arrived and are refused: nothing of them is worth keeping."""


class _MismatchError(_ContentError):
    """The bytes fail verification; worth another try if they came in pieces."""


class _TransientError(Exception):
    """Something that often passes: a time-out, a reset, HTTP 503."""

    def __init__(self, problem: str, *, wait: float = 0.0, status: int | None = None) -> None:
        self.wait, self.status = wait, status
        super().__init__(redact(problem))


@dataclass(frozen=True)
class FetchPolicy:
    """How patient, how polite and how careful a download is.

    Attributes
    ----------
    attempts
        Tries in a row that bring nothing new before giving up.
    connect_timeout, read_timeout
        Seconds without a connection, or without a byte.
    slow_bytes_per_second, slow_seconds
        A connection that stays below this rate over this time is dropped and resumed.
    wait_initial, wait_max
        First and largest mean pause between tries, in seconds; doubled each time, with jitter.
    retry_after_max
        Longest ``Retry-After`` that is waited for, in seconds; a longer one is reported.
    per_host, per_second
        Simultaneous connections and requests per second to one host, over all processes of this
        user on this machine.
    max_redirects
        Redirects followed. From https only to https.
    max_bytes
        Largest file accepted, as downloaded.
    max_unpacked, max_ratio
        Largest size of a compressed file's content, and largest ratio to its packed size (looked
        at above 1 GiB of content).
    max_members
        Largest number of members of an archive.
    keep_free
        Bytes that stay free on the disk.
    progress_seconds
        Time between progress lines.
    offline
        Never use the network: mirror, local paths and files already there only.
    pinned_only
        Refuse files whose hash is neither in the card nor in the lock file.
    """

    attempts: int = 6
    connect_timeout: float = 20.0
    read_timeout: float = 60.0
    slow_bytes_per_second: float = 1024.0
    slow_seconds: float = 60.0
    wait_initial: float = 1.0
    wait_max: float = 60.0
    retry_after_max: float = 600.0
    per_host: int = 3
    per_second: float = 5.0
    max_redirects: int = 10
    max_bytes: int = 1 << 40
    max_unpacked: int = texts.MAX_UNPACKED
    max_ratio: float = texts.MAX_RATIO
    max_members: int = 200_000
    keep_free: int = 100_000_000
    progress_seconds: float = 10.0
    offline: bool = False
    pinned_only: bool = False


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


@dataclass(frozen=True)
class Answer:
    """A small text document: status of the last response and its body."""

    url: str
    status: int
    text: str


@dataclass(frozen=True)
class _Want:
    """What is known about a file before it is fetched."""

    url: str
    study: str
    sha256: str | None
    md5: str | None
    bytes: int | None
    members: Mapping[str, str] | None = None

    @property
    def hashed(self) -> bool:
        return self.sha256 is not None or self.md5 is not None

    @property
    def pinned(self) -> bool:
        return self.hashed or bool(self.members)

    def error(self, problem: str, *, status: int | None = None, **more: str | None) -> FetchError:
        return FetchError(problem, url=self.url, study=self.study, status=status, **more)

    def passing(
        self, problem: str, *, status: int | None = None, remedy: str | None = None
    ) -> FetchError:
        return TransferError(problem, url=self.url, study=self.study, status=status, remedy=remedy)

    def refused(
        self, problem: str, *, expected: str | None = None, remedy: str | None = None
    ) -> FetchError:
        return _ContentError(
            problem, url=self.url, study=self.study, expected=expected, remedy=remedy
        )

    def mismatch(
        self, problem: str, *, expected: str | None = None, remedy: str | None = None
    ) -> FetchError:
        return _MismatchError(
            problem, url=self.url, study=self.study, expected=expected, remedy=remedy
        )


@dataclass
class _Part:
    """The unfinished file, with what is needed to resume it in ``<name>.part.json``."""

    path: Path
    url: str
    validator: str = ""
    total: int | None = None
    resumed: bool = False
    announced: bool = False
    meta: Path = field(init=False)

    def __post_init__(self) -> None:
        self.meta = self.path.with_name(self.path.name + ".json")
        try:
            saved = json.loads(self.meta.read_text(encoding="utf-8"))
            same = saved["url"] == self.url and self.path.is_file()
            if same:
                self.validator, self.total = str(saved["validator"]), saved["total"]
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        if not same:
            self.clear()

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)
        self.meta.unlink(missing_ok=True)
        self.validator, self.total, self.resumed = "", None, False

    def begin(self, validator: str, total: int | None) -> None:
        self.clear()
        self.validator, self.total = validator, total
        saved = {"url": self.url, "validator": validator, "total": total}
        self.meta.write_text(json.dumps(saved), encoding="utf-8")
        self.path.touch()


# --- URLs and secrets -----------------------------------------------------------------------------


def redact(text: str) -> str:
    """Return ``text`` without the NCBI key, passwords in URLs and signatures of signed URLs."""
    key = os.environ.get(_KEY_VARIABLE, "").strip()
    if key:
        text = text.replace(key, "***")
    text = re.sub(
        r"(?i)\b(api_key|apikey|token|access_token|signature|x-amz-[a-z-]+|x-goog-[a-z-]+)=[^&\s'\"]+",
        r"\1=***",
        text,
    )
    return re.sub(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s@'\"]+@", r"\1***@", text)


def canonical(url: str) -> str:
    """Return the URL that is requested, recorded and looked up.

    Scheme and host in lower case, no fragment, no ``api_key``, spaces quoted; ``ftp://`` of NCBI
    and EBI becomes ``https://`` on the same host. Local paths are returned as they are.
    """
    url = url.strip()
    if not re.match(r"(?i)^(https?|ftp)://", url):
        return url
    parts = urlsplit(url)
    scheme, netloc = parts.scheme.lower(), parts.netloc.lower()
    if "@" in parts.netloc:
        login, _, host = parts.netloc.rpartition("@")
        netloc = f"{login}@{host.lower()}"
    if scheme == "ftp" and (parts.hostname or "").endswith(_FTP_AS_HTTPS):
        scheme = "https"
    query = "&".join(
        item for item in parts.query.split("&") if not item.lower().startswith("api_key=")
    )
    keep = "%/:=&?~#+!$,;'@()*[]"
    return urlunsplit(
        (scheme, netloc, quote(parts.path or "/", safe=keep), quote(query, safe=keep), "")
    )


def _lookup_key(url: str) -> str:
    """Make two spellings of one URL equal: escapes resolved, query in alphabetic order."""
    url = canonical(url)
    if "://" not in url:
        return url
    parts = urlsplit(url)
    query = sorted(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((parts.scheme, parts.netloc, unquote(parts.path), repr(query), ""))


def _local_path(url: str) -> Path | None:
    """Return the path that a ``file://`` URL or a plain path names; None for other schemes."""
    if url.lower().startswith("file://"):
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            return None
        return Path(os.fsdecode(unquote_to_bytes(parts.path)))
    return None if re.match(r"^[A-Za-z][A-Za-z0-9+.-]+://", url) else Path(url)


# --- locks between processes ----------------------------------------------------------------------


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
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


def _shared_folder() -> Path | None:
    """Return this user's folder for limits shared between processes; None if there is none."""
    folder = Path(tempfile.gettempdir()) / f"alsmuscle-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return None
    except OSError:
        return None
    return folder


@contextmanager
def _host_slot(host: str, policy: FetchPolicy) -> Iterator[None]:
    """Hold one of the ``per_host`` connections that this machine may open to ``host``."""
    folder = _shared_folder()
    if folder is None:
        yield
        return
    stem = re.sub(r"[^A-Za-z0-9.-]", "_", host)
    while True:
        for number in range(max(1, policy.per_host)):
            with (folder / f"{stem}.{number}.slot").open("a") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue
                yield
                return
        time.sleep(0.1)


def _pace(host: str, policy: FetchPolicy) -> None:
    """Wait for this machine's next turn at ``host``."""
    per_second = policy.per_second
    if host == EUTILS_HOST:
        # A little under the published limits: clocks and network delays are not exact.
        per_second = min(per_second, 9.0 if os.environ.get(_KEY_VARIABLE, "").strip() else 2.8)
    folder = _shared_folder()
    if folder is None or per_second <= 0:
        return
    stem = re.sub(r"[^A-Za-z0-9.-]", "_", host)
    with (folder / f"{stem}.pace").open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        now = time.time()
        try:
            due = float(handle.read() or 0)
        except ValueError:
            due = 0.0
        due = min(max(due, now), now + 60)  # a clock that was set back must not stop us for hours
        handle.truncate(0)
        handle.write(repr(due + 1 / per_second))
    time.sleep(max(0.0, due - now))


# --- lock file and mirror -------------------------------------------------------------------------


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
        key = _lookup_key(row["url"])
        if key in found and found[key]["sha256"] != row["sha256"]:
            raise FetchError(
                f"{path.name}, line {number}: the URL is there twice with different hashes",
                url=row["url"],
                remedy="delete the line that is wrong",
            )
        found[key] = row
    return {row["url"]: row for row in found.values()}


def first_source(lock: str | Path, fetched: Fetched) -> str:
    """Return where a file came from when it was recorded; its own source if it never was."""
    row = _row_for(read_lock(lock), fetched.url)
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
    with _exclusive(path.with_name(f".{path.name}.busy")):
        rows = {_lookup_key(url): row for url, row in read_lock(path).items()}
        before = rows.get(_lookup_key(fetched.url))
        if before is not None and replace and before["sha256"] != fetched.sha256:
            log.get("fetch").warning(
                "%s: the archive has rewritten %s since %s; the new hash is recorded",
                study,
                redact(fetched.url),
                before["retrieved"],
            )
        elif before is not None:
            _agree(before, fetched.sha256, path, fetched.url, study)
            return
        rows[_lookup_key(fetched.url)] = {
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


def _agree(row: Mapping[str, str], sha256: str, path: Path, url: str, study: str) -> None:
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
        key = _lookup_key(row["url"])
        if key in found and found[key]["sha256"].lower() != row["sha256"].lower():
            bad = "each URL once"
        if bad:
            raise FetchError(f"{index}, line {number} is malformed", url=row["url"], expected=bad)
        found[key] = {**row, "sha256": row["sha256"].lower()}
    return {row["url"]: row for row in found.values()}


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


def _row_for(rows: Mapping[str, dict[str, str]], url: str) -> dict[str, str] | None:
    key = _lookup_key(url)
    return next((row for name, row in rows.items() if _lookup_key(name) == key), None)


# --- the entry ------------------------------------------------------------------------------------


def fetch(
    url: str,
    dest: str | Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    bytes: int | None = None,
    members: Mapping[str, str] | None = None,
    mirror: str | Path | None = None,
    lock: str | Path | None = None,
    policy: FetchPolicy | None = None,
    study: str = "",
    volatile: bool | None = None,
) -> Fetched:
    """Place the verified file of ``url`` at ``dest``.

    Parameters
    ----------
    url
        http, https, ftp or file URL, or a local path. ``ftp://`` of NCBI and EBI is fetched as
        https from the same host.
    dest
        Final path. A file there with the right hash is kept; one without or with another hash is
        replaced, after its successor has been verified, never before.
    sha256, md5, bytes
        Known hash and size (the card's pin).
    members
        Known sha256 of files in a tar, by name: a pin for archives that are packed anew from time
        to time. The archive may hold further files.
    mirror
        Folder with ``index.tsv``; its files are verified like downloads. A URL that is not in it
        is taken from the network, unless ``policy.offline``.
    lock
        ``data.lock.tsv``: recorded on the first fetch, verified by later ones.
    policy
        Patience and limits; defaults of :class:`FetchPolicy`.
    study
        Accession, named in errors and log lines.
    volatile
        The archive rewrites this file from time to time: a change against the lock is recorded
        with a warning. A hash in the card, or ``policy.pinned_only``, still binds. By default true
        for GEO's series matrix, SOFT and MINiML files (their listings show recent dates for old
        series) and for archives pinned by ``members``.

    Raises
    ------
    FetchError
        Naming study and URL; ``dest`` is then as it was before.
    """
    policy = policy or FetchPolicy()
    try:
        url, dest = canonical(url), Path(dest)
    except ValueError as error:
        raise FetchError(f"not a valid URL: {error}", url=url, study=study) from error
    sha256, md5 = (value.strip().lower() if value else None for value in (sha256, md5))
    for name, value, digits in (("sha256", sha256, 64), ("md5", md5, 32)):
        if value is not None and not re.fullmatch(rf"[0-9a-f]{{{digits}}}", value):
            raise FetchError(f"the card's {name} is not a hash: {value}", url=url, study=study)
    want = _Want(url, study, sha256, md5, bytes, members)
    if volatile is None:
        volatile = bool(members) or re.search(_REWRITTEN, url) is not None
    mirror = mirror or None
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(dest.with_name(f".{dest.name}.busy")):
            return _fetch_held(
                want, dest, mirror=mirror, lock=lock, policy=policy, volatile=volatile
            )
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(want, dest.parent) from error
        raise want.error(f"cannot write {dest}: {error.strerror or error}") from error


def file_name(url: str) -> str:
    """Return a safe file name for what a URL or path serves.

    Examples
    --------
    >>> file_name("https://www.ncbi.nlm.nih.gov/geo/download/?acc=GSE1&format=file&file=a_b.tsv.gz")
    'a_b.tsv.gz'
    """
    parts = urlsplit(url)
    named = parse_qs(parts.query)
    last = PurePosixPath(unquote(parts.path)).name
    name = next(
        (named[key][0] for key in ("file", "filename", "libraryName") if key in named), last
    )
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".") or "file"


def fetch_first(
    urls: Sequence[str], dest: str | Path, *, study: str = "", **options: Any
) -> Fetched:
    """Try equivalent URLs in turn (mirrors of one archive); options as for :func:`fetch`.

    Raises :class:`FetchError` with every URL's problem if none of them serves the file.
    """
    if len(urls) == 1:
        return fetch(urls[0], dest, study=study, **options)
    errors = []
    for url in urls:
        try:
            return fetch(url, dest, study=study, **options)
        except FetchError as error:
            errors.append(error)
            log.get("fetch").warning("%s", error)
    passing = any(isinstance(error, TransferError) for error in errors)
    raise (TransferError if passing else FetchError)(
        f"none of {len(urls)} addresses served the file: "
        + "; ".join(
            f"{error.url}: {error.problem}"
            + (f" (expected: {error.expected})" if error.expected else "")
            for error in errors
        ),
        url=urls[0] if urls else "",
        study=study,
    )


def _fetch_held(
    want: _Want,
    dest: Path,
    *,
    mirror: str | Path | None,
    lock: str | Path | None,
    policy: FetchPolicy,
    volatile: bool,
) -> Fetched:
    known = want
    # Read only now: the process that was waited for may have recorded this very file.
    locked = _row_for(read_lock(lock), want.url) if lock is not None else None
    if locked is not None and lock is not None:
        if want.sha256 is not None:
            _agree(locked, want.sha256, Path(lock), want.url, want.study)
        want = replace(want, sha256=locked["sha256"])
    if policy.pinned_only and not want.pinned:
        raise want.error(
            "the file has no recorded hash, and only pinned files are allowed",
            expected="sha256 or md5 in the study's card, or a line in the lock file",
            remedy="fetch once without that restriction, check the file, and pin its hash",
        )
    present = _present(want, dest, locked)
    if present is not None:
        if lock is not None:
            record_lock(lock, present, study=want.study)
        return present
    volatile = volatile and not known.hashed and (known.pinned or not policy.pinned_only)
    if volatile:
        want = known
    part = _Part(dest.with_name(dest.name + ".part"), want.url)
    row = _row_for(read_mirror(mirror), want.url) if mirror is not None else None
    for round_ in range(_ROUNDS):
        try:
            if row is not None and mirror is not None:
                source = "mirror"
                want = _from_mirror(want, row, Path(mirror) / row["path"], part, policy)
            else:
                source = _from_origin(want, dest.name, part, policy)
            digest = _verify(want, part.path, dest.name, policy)
            break
        except _ContentError as error:
            pieces = part.resumed or not part.announced
            part.clear()
            if not (isinstance(error, _MismatchError) and pieces and round_ < _ROUNDS - 1):
                raise
            log.get("fetch").warning("%s\n  starting afresh", error)
    fetched = Fetched(want.url, dest, digest, part.size, _now(), source)
    # Recorded before it is placed: a crash in between must not leave a file without a record.
    if lock is not None:
        record_lock(lock, fetched, study=want.study, replace=volatile)
    part.path.replace(dest)
    part.meta.unlink(missing_ok=True)
    _sync_folder(dest.parent)
    log.get("fetch").info(
        "%s%s: %s from %s, sha256 %s",
        f"{want.study}: " if want.study else "",
        dest.name,
        size_in_words(fetched.bytes),
        source,
        digest[:12],
    )
    return fetched


def _present(want: _Want, dest: Path, locked: Mapping[str, str] | None) -> Fetched | None:
    """Return the file at ``dest`` if a hash proves it; without a hash nothing proves it."""
    if not dest.is_file() or not want.pinned:
        return None
    size = dest.stat().st_size
    if want.bytes is None or size == want.bytes:
        sha256, md5 = hash_file(dest)
        same = want.sha256 in (None, sha256) and want.md5 in (None, md5)
        if not want.hashed and want.members:
            same = not _wrong_members(dest, want)
        if same:
            made = datetime.fromtimestamp(dest.stat().st_mtime, UTC).isoformat(timespec="seconds")
            retrieved = locked["retrieved"] if locked else made
            return Fetched(want.url, dest, sha256, size, retrieved, "present")
    log.get("fetch").warning(
        "%s: %s differs from its recorded hash; it is fetched again", want.study, dest
    )
    return None


def _from_mirror(
    want: _Want, row: Mapping[str, str], path: Path, part: _Part, policy: FetchPolicy
) -> _Want:
    if not path.is_file():
        raise want.error(
            f"the mirror's index names {path}, which does not exist",
            remedy="complete the mirror or remove the line from its index.tsv",
        )
    if want.sha256 not in (None, row["sha256"]):
        raise want.error(
            f"the mirror holds a file with sha256 {row['sha256']}",
            expected=f"sha256 {want.sha256}",
            remedy="replace the mirror's copy, or run without a mirror",
        )
    _copy(want, path, part, policy)
    return replace(want, sha256=row["sha256"], bytes=want.bytes or int(row["bytes"]))


def _from_origin(want: _Want, name: str, part: _Part, policy: FetchPolicy) -> str:
    """Fill ``part`` from where the URL points; return ``local`` or ``network``."""
    local = _local_path(want.url)
    if local is not None:
        _copy(want, local, part, policy)
        return "local"
    if policy.offline:
        raise want.passing(
            "the network is switched off, and the file is neither here nor in a mirror",
            remedy="run `make fetch` where there is a network, or add the file to a mirror",
        )
    _download(want, name, part, policy)
    return "network"


def _copy(want: _Want, path: Path, part: _Part, policy: FetchPolicy) -> None:
    """Copy a local file to ``part``; the original is never moved or linked."""
    if not path.is_file():
        # A disk that is not mounted, a file still to be copied: worth another look by the next run.
        raise want.passing("there is no such file", remedy="put it there, or correct the path")
    part.begin("", path.stat().st_size)
    part.announced = True
    _need_space(want, part.path.parent, path.stat().st_size, policy)
    with path.open("rb") as source, part.path.open("wb") as sink:
        shutil.copyfileobj(source, sink, _BLOCK)
        sink.flush()
        os.fsync(sink.fileno())


# --- network --------------------------------------------------------------------------------------


def _download(want: _Want, name: str, part: _Part, policy: FetchPolicy) -> None:
    """Fill ``part`` from the network, over as many connections as it takes."""
    scheme = urlsplit(want.url).scheme
    if scheme == "ftp":
        _persist(lambda: _ftp_once(want, name, part, policy), lambda: part.size, want, policy)
    elif scheme in ("http", "https"):
        with _client(policy) as client:
            _persist(
                lambda: _http_once(client, want, name, part, policy),
                lambda: part.size,
                want,
                policy,
            )
    else:
        raise want.error(
            f"the scheme {scheme or '(none)'} is not supported",
            expected="http, https, ftp or file",
        )


def get_text(
    url: str,
    *,
    ok: Sequence[int] = (200,),
    mirror: str | Path | None = None,
    policy: FetchPolicy | None = None,
    study: str = "",
) -> Answer:
    """Return a small text document (a directory listing, an E-utilities or ENA answer).

    Same patience, pace and mirror as :func:`fetch`; nothing is written. ``ok`` lists the statuses
    that are answers (ENA: 200 and 204). Raises :class:`FetchError` on any other.
    """
    policy = policy or FetchPolicy()
    want = _Want(canonical(url), study, None, None, None)
    row = _row_for(read_mirror(mirror), want.url) if mirror is not None else None
    if row is not None and mirror is not None:
        content = (Path(mirror) / row["path"]).read_bytes()
        if hashlib.sha256(content).hexdigest() != row["sha256"]:
            raise want.error("the mirror's file differs from the sha256 in its index.tsv")
        return Answer(want.url, 200, content.decode("utf-8", "replace"))
    local = _local_path(want.url)
    if local is not None:
        try:
            return Answer(want.url, 200, local.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            raise want.error(f"cannot be read: {error.strerror}") from error
    if policy.offline:
        raise want.passing("the network is switched off and the answer is not in the mirror")

    def once() -> Answer:
        with _request(client, want, {}, policy, ok=ok) as response:
            content = bytearray()
            watch = _Watch(policy)
            for chunk in response.iter_bytes():
                content += chunk
                watch.saw(len(chunk))
                if len(content) > _TEXT_LIMIT:
                    raise want.error(f"the answer is larger than {size_in_words(_TEXT_LIMIT)}")
            return Answer(want.url, response.status_code, content.decode("utf-8", "replace"))

    with _client(policy) as client:
        return _persist(once, lambda: 0, want, policy)


def peek(url: str, *, policy: FetchPolicy | None = None, study: str = "") -> int | None:
    """Return the size in bytes that a server announces for a file, without downloading it.

    None where it announces none. Raises :class:`FetchError` if it does not serve the file, or
    answers with a page instead.
    """
    policy = policy or FetchPolicy()
    want = _Want(canonical(url), study, None, None, None)

    def once() -> int | None:
        # One byte is asked for; a server that knows no ranges sends all, and is hung up on.
        with _request(client, want, {"Range": "bytes=0-0"}, policy, ok=(200, 206)) as response:
            if "html" in response.headers.get("content-type", ""):
                raise want.error("a page was served instead of the file")
            if response.status_code == 206:
                return _content_range(response.headers.get("content-range", ""))[1]
            length = response.headers.get("content-length", "")
            return int(length) if length.isdigit() else None

    with _client(policy) as client:
        return _persist(once, lambda: 0, want, policy)


def _client(policy: FetchPolicy) -> httpx.Client:
    """Return an HTTP client: TLS verified, proxies and certificates from the environment."""
    import httpx

    timeout = httpx.Timeout(
        policy.read_timeout, connect=policy.connect_timeout, pool=policy.connect_timeout
    )
    return httpx.Client(
        timeout=timeout,
        follow_redirects=False,
        headers={"User-Agent": "alsmuscle", "Accept": "*/*"},
    )


def _persist(
    once: Callable[[], T], progress: Callable[[], int], want: _Want, policy: FetchPolicy
) -> T:
    """Call ``once`` until it succeeds; tries that brought new bytes do not count."""
    import tenacity

    best, fruitless = progress(), 0

    def attempt() -> T:
        nonlocal best, fruitless
        try:
            return once()
        except _TransientError:
            fruitless = fruitless + 1 if progress() <= best else 0
            best = max(best, progress())
            raise

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        mean = min(policy.wait_max, policy.wait_initial * 2.0 ** min(fruitless, 30))
        # Jitter, so that many jobs do not come back at the same moment.
        pause = random.uniform(0.5, 1.5) * mean
        return max(pause, error.wait if isinstance(error, _TransientError) else 0.0)

    def stop(state: RetryCallState) -> bool:
        return fruitless >= policy.attempts or state.attempt_number >= 100 * policy.attempts

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        log.get("fetch").warning(
            "%s%s: %s; next try in %.0f s",
            f"{want.study}: " if want.study else "",
            redact(want.url),
            error,
            pause,
        )

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_TransientError),
        wait=wait,
        stop=stop,
        before_sleep=tell,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except _TransientError as error:
        tries = retrying.statistics.get("attempt_number", policy.attempts)
        raise want.passing(
            f"{error} (gave up after {tries} tries)",
            status=error.status,
            remedy="try again later: what has arrived is kept and resumed; "
            "without a network, use `make fetch` elsewhere or a mirror",
        ) from error


@contextmanager
def _request(
    client: httpx.Client,
    want: _Want,
    headers: Mapping[str, str],
    policy: FetchPolicy,
    *,
    ok: Sequence[int],
) -> Iterator[httpx.Response]:
    """Send one request, follow redirects, and sort the answer: good, transient or final."""
    import httpx

    try:
        request = _build(client, want.url, headers)
        with _host_slot(request.url.host, policy):
            for _ in range(policy.max_redirects + 1):
                _pace(request.url.host, policy)
                response = client.send(request, stream=True)
                if response.status_code not in _REDIRECT_STATUS:
                    break
                following = _redirected(client, request, response, headers, want)
                response.close()
                request = following
            else:
                raise want.error(f"more than {policy.max_redirects} redirects")
            try:
                if response.status_code not in ok:
                    _refuse(response, want, policy)
                yield response
            finally:
                response.close()
    except httpx.InvalidURL as error:
        raise want.error(f"not a valid URL: {error}") from error
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.DecodingError) as error:
        raise want.error(f"{type(error).__name__}: {error}") from error
    except httpx.TransportError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise want.error(
                f"the server's certificate could not be verified: {error}",
                remedy="behind an intercepting proxy set SSL_CERT_FILE to its root certificate",
            ) from error
        words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__).lower()
        raise _TransientError(f"{words}: {error}" if str(error) else words) from error


def _build(client: httpx.Client, url: str, headers: Mapping[str, str]) -> httpx.Request:
    """Make the request; an NCBI key travels in a form body, so that no URL ever contains it.

    The E-utilities accept POST wherever they accept GET (NBK25499).
    """
    key = os.environ.get(_KEY_VARIABLE, "").strip()
    parts = urlsplit(url)
    if key and parts.hostname == EUTILS_HOST and parts.scheme == "https":
        form = dict(parse_qsl(parts.query, keep_blank_values=True)) | {"api_key": key}
        bare = urlunsplit(parts._replace(query=""))
        return client.build_request("POST", bare, data=form, headers=dict(headers))
    return client.build_request("GET", url, headers=dict(headers))


def _redirected(
    client: httpx.Client,
    request: httpx.Request,
    response: httpx.Response,
    headers: Mapping[str, str],
    want: _Want,
) -> httpx.Request:
    import httpx

    target = response.headers.get("location", "")
    try:
        following = request.url.join(target)
    except (httpx.InvalidURL, ValueError):
        following = httpx.URL("")
    if not target or following.scheme not in ("http", "https") or not following.host:
        raise want.error(f"redirected to an address that is not http(s): {target or '(none)'}")
    if request.url.scheme == "https" and following.scheme == "http":
        raise want.error(f"redirected from https to unprotected http: {following}")
    return client.build_request("GET", following, headers=dict(headers))


def _refuse(response: httpx.Response, want: _Want, policy: FetchPolicy) -> None:
    """Raise what an unwelcome status means."""
    status = response.status_code
    said = f"HTTP {status} {response.reason_phrase}".strip()
    if status in _RETRY_STATUS:
        wait = _retry_after(response.headers.get("retry-after", ""))
        if wait > policy.retry_after_max:
            raise want.passing(
                f"{said}: the server asks to come back in {wait:.0f} s",
                status=status,
                remedy="try again after that time",
            )
        raise _TransientError(said, wait=wait, status=status)
    if status == 403 and response.url.host.endswith(".ncbi.nlm.nih.gov"):
        # NCBI also answers so when it sheds load: only a refusal that stays is one.
        raise _TransientError(f"{said}{_excerpt(response)}", status=status)
    remedy = {
        401: "the file needs a login: download it by hand and give its local path",
        403: "access is controlled, or the archive blocks this address: try in a browser",
        404: "the archive may have renamed the file: look at the folder that holds it",
        410: "the archive has withdrawn the file",
    }.get(status)
    raise want.error(f"{said}{_excerpt(response)}", status=status, remedy=remedy)


def _excerpt(response: httpx.Response) -> str:
    """Return the first words of an error's body: a page's title, or an interface's message."""
    import httpx

    try:
        head = next(response.iter_bytes(4096), b"").decode("utf-8", "replace")
    except httpx.HTTPError:
        return ""
    title = re.search(r"(?is)<(?:title|h1)[^>]*>(.*?)</", head)
    words = re.sub(r"\s+", " ", title[1] if title else re.sub(r"<[^>]*>", " ", head)).strip()
    return f": “{words[:200]}”" if words else ""


def _retry_after(value: str) -> float:
    """Return seconds to wait from ``Retry-After``: a number or an HTTP date; 0 if neither."""
    value = value.strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _http_once(
    client: httpx.Client, want: _Want, name: str, part: _Part, policy: FetchPolicy
) -> None:
    """Open one connection and write what it brings; resumes where that is provably safe."""
    have = part.size
    if have and part.total is not None and have >= part.total:
        if have == part.total:
            part.resumed = part.announced = True
            return
        part.clear()
        have = 0
    if have and not part.validator and not want.pinned:
        part.clear()  # nothing would show that both halves belong to one file
        have = 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        # A known hash proves the whole; and servers behind one name may disagree on their ETags.
        if part.validator and not want.hashed:
            headers["If-Range"] = part.validator
    with _request(client, want, headers, policy, ok=(200, 206, 416)) as response:
        if response.status_code == 416:
            part.clear()
            raise _TransientError("the server has no bytes beyond those that arrived")
        # Some servers compress on the fly whatever is asked; a .gz labelled so is the file itself.
        coded = response.headers.get("content-encoding", "identity").lower() != "identity"
        decode = coded and not name.lower().endswith((".gz", ".tgz", ".bgz"))
        stream = response.iter_bytes() if decode else response.iter_raw()
        length = response.headers.get("content-length", "")
        if response.status_code == 206:
            start, total = _content_range(response.headers.get("content-range", ""))
            same = want.hashed or _validator(response) in ("", part.validator)
            if start != have or not same or decode or part.total not in (None, total):
                part.clear()
                raise _TransientError("the file changed on the server while it was resumed")
            part.resumed = True
        else:
            total = int(length) if length.isdigit() and not decode else None
            part.begin("" if decode else _validator(response), total)
        part.total, part.announced = total, total is not None
        _receive(want, name, part, stream, policy)


def _validator(response: httpx.Response) -> str:
    """Return what identifies this version of the file: a strong ETag, else Last-Modified."""
    etag = str(response.headers.get("etag", ""))
    if etag and not etag.startswith("W/"):
        return etag
    return str(response.headers.get("last-modified", ""))


def _content_range(value: str) -> tuple[int, int | None]:
    """Return start and total of ``Content-Range``; start -1 if it is missing or malformed."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", value.strip())
    if not found:
        return -1, None
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _receive(
    want: _Want, name: str, part: _Part, stream: Iterator[bytes], policy: FetchPolicy
) -> None:
    """Append the stream to ``part``, watching content, size, speed and free space."""
    have = part.size
    head = b"" if have == 0 else None
    watch = _Watch(policy, name=name, have=have, total=part.total)
    checked = False
    with part.path.open("ab", buffering=0) as sink:
        for chunk in stream:
            if head is not None:
                head = (head + chunk)[:4096]
                if len(head) == 4096:
                    _refuse_page(want, name, head)
                    head = None
            if head is None and not checked:
                _check_length(want, part.total, policy)
                _need_space(want, part.path.parent, (part.total or have) - have, policy)
                checked = True
            view = memoryview(chunk)
            while view:
                view = view[sink.write(view) :]
            have += len(chunk)
            if have > policy.max_bytes or (want.bytes is not None and have > want.bytes):
                if head is not None:
                    _refuse_page(want, name, head)
                limit = want.bytes if want.bytes is not None else policy.max_bytes
                raise want.refused(
                    f"the file is longer than {limit} bytes",
                    expected=f"{limit} bytes at most",
                )
            if watch.saw(len(chunk)):
                _need_space(want, part.path.parent, (part.total or have) - have, policy)
        if head is not None:
            _refuse_page(want, name, head)
            _check_length(want, part.total, policy)
        os.fsync(sink.fileno())
    if part.total is not None and have > part.total:
        part.clear()
        raise _TransientError(f"the server sent {have} bytes of a file of {part.total}")
    if part.total is not None and have < part.total:
        raise _TransientError(f"the connection ended after {have} of {part.total} bytes")


class _Watch:
    """Notes progress; objects to a connection that only trickles."""

    def __init__(
        self, policy: FetchPolicy, *, name: str = "", have: int = 0, total: int | None = None
    ) -> None:
        self.policy, self.name, self.have, self.total = policy, name, have, total
        self.begin = self.window = self.told = time.monotonic()
        self.first, self.recent = have, 0

    def saw(self, count: int) -> bool:
        """Add ``count`` bytes; return True when it is time for the occasional checks."""
        now = time.monotonic()
        self.have, self.recent = self.have + count, self.recent + count
        span = now - self.window
        if span >= self.policy.slow_seconds:
            rate = self.recent / span
            if rate < self.policy.slow_bytes_per_second:
                raise _TransientError(f"too slow: {rate:.0f} bytes per second over {span:.0f} s")
            self.window, self.recent = now, 0
        if now - self.told < self.policy.progress_seconds:
            return False
        self.told = now
        speed = (self.have - self.first) / max(now - self.begin, 1e-6)
        left = ""
        if self.total:
            left = f" of {size_in_words(self.total)}, {(self.total - self.have) / max(speed, 1):.0f} s left"
        log.get("fetch").info(
            "%s: %s%s, %s/s", self.name, size_in_words(self.have), left, size_in_words(speed)
        )
        return True


def _ftp_once(want: _Want, name: str, part: _Part, policy: FetchPolicy) -> None:
    """Open one ftp connection; resumes by REST if size and time stamp are unchanged."""
    parts = urlsplit(want.url)
    host, path = parts.hostname or "", unquote(parts.path)
    if re.search(r"[\r\n]", path):
        raise want.error("a line break in the path")
    try:
        with _host_slot(host, policy), ftplib.FTP(timeout=policy.read_timeout) as ftp:
            _pace(host, policy)
            ftp.connect(host, parts.port or 21, timeout=policy.connect_timeout)
            ftp.login(unquote(parts.username or "anonymous"), unquote(parts.password or ""))
            ftp.voidcmd("TYPE I")
            total = ftp.size(path)
            try:
                stamp = ftp.voidcmd(f"MDTM {path}")
            except ftplib.error_perm:
                stamp = ""
            have = part.size
            safe = (stamp and stamp == part.validator) or want.pinned
            if not safe or part.total != total or have >= (total or 0):
                part.begin(stamp, total)
                have = 0
            part.resumed = part.resumed or have > 0
            part.announced = total is not None
            with ftp.transfercmd(f"RETR {path}", rest=have or None) as connection:
                connection.settimeout(policy.read_timeout)
                chunks = iter(lambda: connection.recv(1 << 16), b"")
                _receive(want, name, part, chunks, policy)
    except ftplib.error_perm as error:
        raise want.error(f"ftp: {error}", remedy="check the path on the server") from error
    except (ftplib.Error, EOFError, TimeoutError, ConnectionError) as error:
        raise _TransientError(f"ftp: {error or type(error).__name__}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _TransientError(f"ftp: {error}") from error


# --- verification ---------------------------------------------------------------------------------


def hash_file(path: str | Path) -> tuple[str, str]:
    """Return sha256 and md5 of a file, in lower-case hexadecimal digits."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with Path(path).open("rb") as handle:
        while block := handle.read(_BLOCK):
            sha256.update(block)
            md5.update(block)
    return sha256.hexdigest(), md5.hexdigest()


def _verify(want: _Want, path: Path, name: str, policy: FetchPolicy) -> str:
    """Return the sha256 of a complete file, or raise; a known hash outweighs all other signs."""
    size = path.stat().st_size
    sha256, md5 = hash_file(path)
    right_size = want.bytes in (None, size)
    right_hash = want.sha256 in (None, sha256) and want.md5 in (None, md5)
    if want.hashed and right_size and right_hash:
        if want.members and (wrong := _wrong_members(path, want)):
            raise want.mismatch(wrong, expected="the members that the card names")
        return sha256
    with path.open("rb") as handle:
        _refuse_page(want, name, handle.read(4096))
    if not right_size:
        raise want.mismatch(f"the file has {size} bytes", expected=f"{want.bytes} bytes")
    for kind, known, got in (("sha256", want.sha256, sha256), ("md5", want.md5, md5)):
        if known not in (None, got):
            raise want.mismatch(
                f"{kind} is {got} ({size} bytes)",
                expected=f"{kind} {known}",
                remedy="the archive's file differs from the one this analysis was written for: "
                "compare both before you change the hash in the card or the lock file",
            )
    check_content(path, name, policy=policy, url=want.url, study=want.study)
    if want.members and (wrong := _wrong_members(path, want)):
        raise want.mismatch(wrong, expected="the members that the card names")
    return sha256


def _wrong_members(path: Path, want: _Want) -> str:
    """Say which pinned members of a tar are missing or differ; empty if none."""
    left = dict(want.members or {})
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name in left else None
                if content is None:
                    continue
                known = left.pop(member.name)
                got = hashlib.file_digest(cast(Any, content), "sha256").hexdigest()
                if got != known:
                    return f"the archive's member {member.name} has sha256 {got}, not {known}"
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
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
    want = _Want(url or str(path), study, None, None, None)
    with path.open("rb") as handle:
        head = handle.read(4096)
    if not head:
        raise want.mismatch("the file is empty")
    _refuse_page(want, name, head)
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
    except (
        EOFError,
        OSError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        tarfile.TarError,
    ) as error:
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


def _refuse_page(want: _Want, name: str, head: bytes) -> None:
    """Raise if a web page or a storage service's error arrived in place of a file."""
    if name.lower().endswith((".html", ".htm")):
        return
    text = head.lstrip(b"\xef\xbb\xbf\r\n\t ").decode("utf-8", "replace")
    start = re.sub(r"^(<\?xml[^>]*\?>|<!--.*?-->|\s)+", "", text, flags=re.DOTALL)
    if re.match(r"(?i)<(!doctype html|html|head|body|title|script)\b", start):
        title = re.search(r"(?is)<(?:title|h1)[^>]*>(.*?)</", text)
        words = re.sub(r"\s+", " ", title[1]).strip() if title else "no title"
        raise want.refused(
            f"a web page came instead of the file: “{words[:200]}”",
            expected=f"the content of {name}",
            remedy="open the address in a browser: it may need a login, or the file was moved",
        )
    if re.match(r"<Error>\s*<Code>", start):
        words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", start)).strip()
        raise want.refused(f"the storage service answered with an error: {words[:200]}")


def _check_length(want: _Want, total: int | None, policy: FetchPolicy) -> None:
    """Raise before a download that can only fail: announced length wrong or too large."""
    if total is None:
        return
    if want.bytes is not None and total != want.bytes:
        raise want.refused(f"the server announces {total} bytes", expected=f"{want.bytes} bytes")
    if total > policy.max_bytes:
        raise want.refused(f"the server announces {size_in_words(total)}, more than allowed")


def _check_stream(path: Path, kind: str, want: _Want, policy: FetchPolicy) -> None:
    opener: Any = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}[kind]
    with opener(path, "rb") as handle:
        packed = path.stat().st_size
        reader = texts.bounded(handle, lambda seen: _refuse_bomb(want, seen, packed, policy))
        while reader.read(_BLOCK):
            pass


def _check_zip(path: Path, want: _Want, policy: FetchPolicy) -> None:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        unpacked = sum(info.file_size for info in infos)
        _refuse_bomb(want, unpacked, path.stat().st_size, policy)
        if len(infos) > policy.max_members:
            raise want.refused(f"the archive has {len(infos)} members")
        bad = archive.testzip()
    if bad is not None:
        raise want.mismatch(f"the archive's member {bad} is damaged")


def _check_tar(path: Path, want: _Want, policy: FetchPolicy) -> None:
    with tarfile.open(path) as archive:
        for _ in safe_members(archive, policy=policy, url=want.url, study=want.study):
            pass
        # tarfile takes a missing end mark, or half a header, for the end of the archive.
        stream = cast(BinaryIO, archive.fileobj)
        stream.seek(archive.offset)
        end = stream.read(tarfile.BLOCKSIZE)
    if len(end) < tarfile.BLOCKSIZE or any(end):
        raise want.mismatch("the tar file is truncated: it has no end mark")


def _refuse_bomb(want: _Want, unpacked: int, packed: int, policy: FetchPolicy) -> None:
    problem = texts.bomb(
        unpacked, packed, max_unpacked=policy.max_unpacked, max_ratio=policy.max_ratio
    )
    if problem:
        raise want.refused(problem, remedy="if the file is sound, raise max_unpacked or max_ratio")


def safe_members(
    tar: tarfile.TarFile,
    *,
    policy: FetchPolicy | None = None,
    url: str = "",
    study: str = "",
) -> Iterator[tarfile.TarInfo]:
    """Yield the members of an archive, refusing those that reach outside or are no plain files.

    Rests on the standard library's ``data`` filter (PEP 706), and is stricter: absolute names are
    refused, not trimmed; so are names that occur twice. The sum of the sizes and the number of
    members are limited by the policy.

    Raises
    ------
    FetchError
        Naming the member: absolute path, ``..``, link that leaves the archive, device, fifo,
        name that occurs twice, more or larger members than allowed.
    """
    policy = policy or FetchPolicy()
    want = _Want(url or str(tar.name or ""), study, None, None, None)
    packed = Path(str(tar.name)).stat().st_size if tar.name and Path(str(tar.name)).exists() else 1
    # Any absolute path serves: the filter compares paths and opens nothing.
    root = str(Path(tempfile.gettempdir()) / "alsmuscle-unpacked")
    seen: set[str] = set()
    unpacked = 0
    for member in tar:
        name = member.name
        plain = str(PurePosixPath(name))
        unpacked += max(0, member.size)
        if name.startswith("/") or "\\" in name or re.match(r"^[A-Za-z]:", name):
            problem = "an absolute path"
        elif ".." in PurePosixPath(name).parts:
            problem = "a path that leaves the archive"
        elif plain in seen and not member.isdir():
            problem = "a name that occurs twice"
        elif len(seen) >= policy.max_members:
            problem = f"more than {policy.max_members} members"
        else:
            problem = ""
            try:
                tarfile.data_filter(member, root)
            except tarfile.FilterError as error:
                problem = str(error).replace(root, "the archive")
        if problem:
            raise want.refused(
                f"the archive's member {name!r} is refused: {problem}",
                remedy="unpack it by hand in a safe place, and give the files' local paths",
            )
        seen.add(plain)
        _refuse_bomb(want, unpacked, packed, policy)
        yield member


# --- small helpers --------------------------------------------------------------------------------


def _need_space(want: _Want, folder: Path, more: int, policy: FetchPolicy) -> None:
    if shutil.disk_usage(folder).free < more + policy.keep_free:
        raise _disk_full(want, folder, more)


def _disk_full(want: _Want, folder: Path, more: int = 0) -> FetchError:
    free = shutil.disk_usage(folder).free
    need = f"{size_in_words(more)} more are needed, " if more else ""
    return want.passing(
        f"the disk is full: {need}{size_in_words(free)} are free in {folder}",
        remedy="free some space and run again: what has arrived is kept and resumed",
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems cannot synchronise folders
    finally:
        os.close(handle)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def with_query(url: str, **parameters: str | int) -> str:
    """Return ``url`` with ``parameters`` as its query, in the order given."""
    return f"{url}?{urlencode(parameters)}"
