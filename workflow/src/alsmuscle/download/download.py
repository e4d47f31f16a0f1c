"""Bring files from public archives to disk: verified, resumable, and polite to the servers.

One entry, :func:`fetch`, serves http(s), ftp, local paths and an offline mirror through the same
verification. A file appears under its final name only when it is complete: bytes go to
``<name>.part``, are synchronised and checked, and are then renamed. What proves completeness, in
this order: a hash from the dataset's card, the hash recorded by an earlier run (``data.lock.tsv``),
and, where neither exists, the announced length and the integrity of the container format.

The parts: ``transport`` (servers), ``archives`` (formats), ``records`` (lock file, mirror),
``fetch_terms`` (policy, URLs, errors).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import (
    parse_qs,
    unquote,
    urlsplit,
)

from alsmuscle.core import log
from alsmuscle.core.errors import InputError, PassingError
from alsmuscle.download import sandbox, transport
from alsmuscle.download.containers import (
    BLOCK,
    check_content,
    hash_file,
    refuse_page,
    wrong_members,
)
from alsmuscle.download.decode import size_in_words
from alsmuscle.download.lock import (
    Fetched,
    agree,
    exclusive,
    read_lock,
    read_mirror,
    record_lock,
    row_for,
)
from alsmuscle.download.policy import (
    ContentError,
    FetchError,
    FetchPolicy,
    MismatchError,
    PageError,
    TransferError,
    Want,
    canonical,
    local_path,
)

_TEXT_LIMIT = 64 << 20
_ROUNDS = 3
_MOST_NAME = 150
# A check of content unpacks in blocks: little memory, and time by the file's size.
_CHECK_BYTES, _CHECK_SECONDS, _CHECK_PACE = 1 << 30, 600.0, 1e6
_REWRITTEN = r"/geo/\w+/.*(_series_matrix\.txt\.gz|_family\.soft\.gz|_family\.xml\.tgz)$"


@dataclass(frozen=True)
class Answer:
    """A small text document: status of the last response and its body."""

    url: str
    status: int
    text: str


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
    want = Want(url, study, sha256, md5, bytes, members)
    if volatile is None:
        volatile = bool(members) or re.search(_REWRITTEN, url) is not None
    mirror = mirror or None
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(dest.with_name(f".{dest.name}.busy")):
            return _fetch_held(
                want, dest, mirror=mirror, lock=lock, policy=policy, volatile=volatile
            )
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise transport.disk_full(want, dest.parent) from error
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
    # The end tells the format, and file systems take 255 bytes with what is added.
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".")[-_MOST_NAME:] or "file"


def own_file(path: str, *, policy: FetchPolicy | None = None, study: str = "") -> Path:
    """Return a local file that a card names, to be read where it lies; too large for a copy.

    Raises
    ------
    FetchError
        It is not there, or not to be read.
    """
    want = Want(canonical(path), study, None, None, None)
    found = _allowed(want, policy or FetchPolicy())
    if found is None or not found.is_file():
        raise want.passing("there is no such file", remedy="put it there, or correct the path")
    return found


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
    passing = any(isinstance(error, PassingError) for error in errors)
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
    want: Want,
    dest: Path,
    *,
    mirror: str | Path | None,
    lock: str | Path | None,
    policy: FetchPolicy,
    volatile: bool,
) -> Fetched:
    known = want
    # Read only now: the process that was waited for may have recorded this very file.
    locked = row_for(read_lock(lock), want.url) if lock is not None else None
    if locked is not None and lock is not None:
        if want.sha256 is not None:
            agree(locked, want.sha256, Path(lock), want.url, want.study)
        want = replace(want, sha256=locked["sha256"])
    if policy.pinned_only and not want.pinned:
        raise want.error(
            "the file has no recorded hash, and only pinned files are allowed",
            expected="sha256 or md5 in the study's card, or a line in the lock file",
            remedy="fetch once without that restriction, check the file, and pin its hash",
        )
    present = _present(want, dest, locked)
    if present is not None and volatile and not known.hashed:
        # A file of one's own that was edited is another file: the copy here is of no use.
        original = _allowed(want, policy)
        if original is not None and original.is_file():
            present = present if hash_file(original)[0] == present.sha256 else None
    if present is not None:
        if lock is not None:
            record_lock(lock, present, study=want.study)
        return present
    volatile = volatile and not known.hashed and (known.pinned or not policy.pinned_only)
    if volatile:
        want = known
    part = transport.Part(dest.with_name(dest.name + ".part"), want.url)
    row = row_for(read_mirror(mirror), want.url) if mirror is not None else None
    for round_ in range(_ROUNDS):
        try:
            if row is not None and mirror is not None:
                source = "mirror"
                want = _from_mirror(want, row, Path(mirror) / row["path"], part, policy)
            else:
                source = _from_origin(want, dest.name, part, policy)
            digest = _verify(want, part.path, dest.name, policy)
            break
        except ContentError as error:
            pieces = part.resumed or not part.announced
            part.clear()
            if not (isinstance(error, MismatchError) and pieces and round_ < _ROUNDS - 1):
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


def _present(want: Want, dest: Path, locked: Mapping[str, str] | None) -> Fetched | None:
    """Return the file at ``dest`` if a hash proves it; without a hash nothing proves it."""
    if not dest.is_file() or not want.pinned:
        return None
    size = dest.stat().st_size
    if want.bytes is None or size == want.bytes:
        sha256, md5 = hash_file(dest)
        same = want.sha256 in (None, sha256) and want.md5 in (None, md5)
        if not want.hashed and want.members:
            same = not _wrong_apart(dest, want)
        if same:
            made = datetime.fromtimestamp(dest.stat().st_mtime, UTC).isoformat(timespec="seconds")
            retrieved = locked["retrieved"] if locked else made
            return Fetched(want.url, dest, sha256, size, retrieved, "present")
    log.get("fetch").warning(
        "%s: %s differs from its recorded hash; it is fetched again", want.study, dest
    )
    return None


def _from_mirror(
    want: Want, row: Mapping[str, str], path: Path, part: transport.Part, policy: FetchPolicy
) -> Want:
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


def _from_origin(want: Want, name: str, part: transport.Part, policy: FetchPolicy) -> str:
    """Fill ``part`` from where the URL points; return ``local`` or ``network``."""
    local = _allowed(want, policy)
    if local is not None:
        _copy(want, local, part, policy)
        return "local"
    if policy.offline:
        raise want.passing(
            "the network is switched off, and the file is neither here nor in a mirror",
            remedy="run `make fetch` where there is a network, or add the file to a mirror",
        )
    transport.download(want, name, part, policy)
    return "network"


def _allowed(want: Want, policy: FetchPolicy) -> Path | None:
    """Return the local path that a card names, None for an address elsewhere.

    A card that somebody else wrote must not bring this machine's files into the report. The path
    that is looked at is the one that is opened; links that lie in the project are its owner's.

    Raises
    ------
    FetchError
        It lies outside the project and the configured folders, is hidden, or is no plain file.
    """
    named = local_path(want.url)
    if named is None:
        return None
    # Not `resolve`, which would follow the owner's links.
    path = Path(os.path.abspath(named))  # noqa: PTH100
    roots = [Path(os.path.abspath(folder)) for folder in policy.folders]  # noqa: PTH100
    below = [path.relative_to(root) for root in roots if path.is_relative_to(root)]
    if not below or all(any(part.startswith(".") for part in one.parts) for one in below):
        raise want.error(
            "a local file outside the project, or a hidden one, is not read",
            expected="a path below the project's folder or a folder of `data.folders`",
            remedy="copy the file into the project, or name its folder in the configuration",
        )
    real = path.resolve()
    system = any(real.is_relative_to(place) for place in ("/proc", "/sys", "/dev"))
    if system or (path.exists() and not path.is_file()):
        raise want.error("not a plain file", expected="a file, no folder, device or pipe")
    return path


def _copy(want: Want, path: Path, part: transport.Part, policy: FetchPolicy) -> None:
    """Copy a local file to ``part``; the original is never moved or linked."""
    if not path.is_file():
        # A disk that is not mounted, a file still to be copied: worth another look by the next run.
        raise want.passing("there is no such file", remedy="put it there, or correct the path")
    part.begin("", path.stat().st_size)
    part.announced = True
    transport.need_space(want, part.path.parent, path.stat().st_size, policy)
    with path.open("rb") as source, part.path.open("wb") as sink:
        shutil.copyfileobj(source, sink, BLOCK)
        sink.flush()
        os.fsync(sink.fileno())


# --- small answers -------------------------------------------------------------------------------


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
    want = Want(canonical(url), study, None, None, None)
    row = row_for(read_mirror(mirror), want.url) if mirror is not None else None
    if row is not None and mirror is not None:
        content = _small(Path(mirror) / row["path"], want)
        if hashlib.sha256(content).hexdigest() != row["sha256"]:
            raise want.error("the mirror's file differs from the sha256 in its index.tsv")
        return Answer(want.url, 200, content.decode("utf-8", "replace"))
    local = _allowed(want, policy)
    if local is not None:
        return Answer(want.url, 200, _small(local, want).decode("utf-8", "replace"))
    if policy.offline:
        raise want.passing("the answer is not in the mirror, and the network is not to be used")

    def once() -> Answer:
        with transport.request(client, want, {}, policy, ok=ok) as response:
            content = bytearray()
            watch = transport.Watch(policy)
            for chunk in transport.decoded(response, want, policy):
                content += chunk
                watch.saw(len(chunk))
                if len(content) > _TEXT_LIMIT:
                    raise want.error(f"the answer is larger than {size_in_words(_TEXT_LIMIT)}")
            return Answer(want.url, response.status_code, content.decode("utf-8", "replace"))

    with transport.http_client(policy) as client:
        return transport.persist(once, lambda: 0, want, policy)


def _small(path: Path, want: Want) -> bytes:
    """Return the bytes of a local file that stands for an archive's answer."""
    if not path.is_file():  # missing, or a device or pipe, which never ends
        raise want.error(f"{path.name} is not a file")
    try:
        with path.open("rb") as file:
            content = file.read(_TEXT_LIMIT + 1)
    except OSError as error:
        raise want.error(f"cannot be read: {error.strerror}") from error
    if len(content) > _TEXT_LIMIT:
        raise want.error(f"the answer is larger than {size_in_words(_TEXT_LIMIT)}")
    return content


def peek(url: str, *, policy: FetchPolicy | None = None, study: str = "") -> int | None:
    """Return the size in bytes that a server announces for a file, without downloading it.

    None where it announces none. Raises :class:`FetchError` if it does not serve the file, or
    answers with a page instead.
    """
    policy = policy or FetchPolicy()
    want = Want(canonical(url), study, None, None, None)

    def once() -> int | None:
        # One byte is asked for; a server that knows no ranges sends all, and is hung up on.
        with transport.request(
            client, want, {"Range": "bytes=0-0"}, policy, ok=(200, 206)
        ) as response:
            if "html" in response.headers.get("content-type", ""):
                raise want.error("a page was served instead of the file")
            if response.status_code == 206:
                return transport.content_range(response.headers.get("content-range", ""))[1]
            return transport.whole_number(response.headers.get("content-length", ""))

    with transport.http_client(policy) as client:
        return transport.persist(once, lambda: 0, want, policy)


# --- verification --------------------------------------------------------------------------------


def _verify(want: Want, path: Path, name: str, policy: FetchPolicy) -> str:
    """Return the sha256 of a complete file, or raise; a known hash outweighs all other signs."""
    size = path.stat().st_size
    sha256, md5 = hash_file(path)
    right_size = want.bytes in (None, size)
    right_hash = want.sha256 in (None, sha256) and want.md5 in (None, md5)
    if want.hashed and right_size and right_hash:
        if want.members and (wrong := _wrong_apart(path, want)):
            raise want.mismatch(wrong, expected="the members that the card names")
        return sha256
    with path.open("rb") as handle:
        refuse_page(want, name, handle.read(4096))
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
    _check_apart(want, path, name, policy)
    return sha256


def _wrong_apart(path: Path, want: Want) -> str:
    """Return :func:`wrong_members`, found out in a child process."""
    seconds = _CHECK_SECONDS + path.stat().st_size / _CHECK_PACE
    try:
        return str(
            sandbox.call(
                lambda: wrong_members(path, want),
                where=path.name,
                max_bytes=_CHECK_BYTES,
                seconds=seconds,
            )
        )
    except InputError as error:
        return error.problem


def _check_apart(want: Want, path: Path, name: str, policy: FetchPolicy) -> None:
    """Check the content in a child process: libraries that open a damaged file may crash."""

    def look() -> dict[str, Any] | None:
        try:
            check_content(path, name, policy=policy, url=want.url, study=want.study)
            if want.members and (wrong := wrong_members(path, want)):
                raise want.mismatch(wrong, expected="the members that the card names")
        except FetchError as error:
            said = {"expected": error.expected, "remedy": error.remedy}
            kind = "mismatch" if isinstance(error, MismatchError) else "refused"
            kind = "page" if isinstance(error, PageError) else kind
            return {"kind": kind, "problem": error.problem, **said}
        return None

    seconds = _CHECK_SECONDS + path.stat().st_size / _CHECK_PACE
    try:
        found = sandbox.call(look, where=path.name, max_bytes=_CHECK_BYTES, seconds=seconds)
    except InputError as error:
        raise want.mismatch(error.problem, remedy=error.remedy) from None
    if found is None:
        return
    kind = found.pop("kind")
    if kind == "page":
        raise want.page(found["problem"], expected=found["expected"])
    raise (want.mismatch if kind == "mismatch" else want.refused)(**found)


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
