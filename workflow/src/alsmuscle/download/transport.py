"""Bytes from http(s) and ftp servers into an unfinished file: resumed, retried, polite, watched.

Sources for behaviour: RFC 9110 (ranges, ``If-Range``, ``Retry-After``), NCBI's usage rules for the
E-utilities (3 requests per second, 10 with a key).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ftplib
import json
import os
import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import (
    parse_qsl,
    unquote,
    urlsplit,
    urlunsplit,
)

from alsmuscle.core import deadline, log
from alsmuscle.core.redaction import secrets as redact
from alsmuscle.download import certificates, hosts
from alsmuscle.download.containers import refuse_page
from alsmuscle.download.decode import bomb, size_in_words
from alsmuscle.download.policy import (
    EUTILS_HOST,
    KEY_VARIABLE,
    FetchError,
    FetchPolicy,
    TransientError,
    Want,
    is_private,
)

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
T = TypeVar("T")


@dataclass
class Part:
    """The unfinished file, with what is needed to resume it in ``<name>.part.json``."""

    path: Path
    url: str
    validator: str = ""
    total: int | None = None
    resumed: bool = False
    announced: bool = False
    meta: Path = field(init=False)

    def __post_init__(self) -> None:
        """Take up what an earlier attempt at the same URL left."""
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
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def clear(self) -> None:
        """Start from nothing."""
        self.path.unlink(missing_ok=True)
        self.meta.unlink(missing_ok=True)
        self.validator, self.total, self.resumed = "", None, False

    def begin(self, validator: str, total: int | None) -> None:
        """Start a file that the server describes so."""
        self.clear()
        self.validator, self.total = validator, total
        saved = {"url": self.url, "validator": validator, "total": total}
        self.meta.write_text(json.dumps(saved), encoding="utf-8")
        self.path.touch()


# --- limits shared between processes -------------------------------------------------------------


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
        per_second = min(per_second, 9.0 if os.environ.get(KEY_VARIABLE, "").strip() else 2.8)
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


def insist_on_host(want: Want) -> str:
    """Return the host of a URL; fail at once where this run found that it does not answer.

    Raises
    ------
    TransferError
        No connection to the host could be made earlier in this run.
    """
    host = urlsplit(want.url).netloc.rpartition("@")[2].lower()
    if problem := hosts.dead(host, _shared_folder()):
        raise want.passing(
            f"{host} does not answer ({problem}; found out once for this run)",
            remedy="try again where there is a network, use `make fetch` elsewhere, or a mirror",
        )
    return host


# --- http ----------------------------------------------------------------------------------------


def download(want: Want, name: str, part: Part, policy: FetchPolicy) -> None:
    """Fill ``part`` from the network, over as many connections as it takes."""
    scheme = urlsplit(want.url).scheme
    if scheme == "ftp":
        persist(lambda: _ftp_once(want, name, part, policy), lambda: part.size, want, policy)
    elif scheme in ("http", "https"):
        with http_client(policy) as client:
            persist(
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


def http_client(policy: FetchPolicy) -> httpx.Client:
    """Return an HTTP client: TLS verified, proxies and certificates from the environment."""
    import httpx

    timeout = httpx.Timeout(
        policy.read_timeout, connect=policy.connect_timeout, pool=policy.connect_timeout
    )
    return httpx.Client(
        verify=certificates.trusted(),
        timeout=timeout,
        follow_redirects=False,
        headers={"User-Agent": "alsmuscle", "Accept": "*/*", "Accept-Encoding": "gzip"},
    )


def persist(
    once: Callable[[], T], progress: Callable[[], int], want: Want, policy: FetchPolicy
) -> T:
    """Call ``once`` until it succeeds; tries that brought new bytes do not count."""
    import tenacity

    best, fruitless, unconnected = progress(), 0, 0
    host, folder = insist_on_host(want), _shared_folder()

    def attempt() -> T:
        nonlocal best, fruitless, unconnected
        begun = time.monotonic()
        try:
            result = once()
            hosts.answered(host, folder)
            return result
        except TransientError as error:
            unconnected = unconnected + 1 if error.unconnected else 0
            if not error.unconnected:
                hosts.answered(host, folder)
            elif unconnected >= hosts.TRIES:
                hosts.gave_up(host, str(error), folder)
                insist_on_host(want)
            # A trickle is no progress: a byte per try would keep a job for days.
            gained, least = progress() - best, policy.slow_bytes_per_second
            trickle = gained < least * (time.monotonic() - begun)
            fruitless = fruitless + 1 if gained <= 0 or trickle else 0
            best += max(0, gained)
            raise

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        mean = min(policy.wait_max, policy.wait_initial * 2.0 ** min(fruitless, 30))
        # Jitter, so that many jobs do not come back at the same moment.
        pause = random.uniform(0.5, 1.5) * mean
        return max(pause, error.wait if isinstance(error, TransientError) else 0.0)

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
        retry=tenacity.retry_if_exception_type(TransientError),
        wait=wait,
        stop=stop,
        before_sleep=tell,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except TransientError as error:
        tries = retrying.statistics.get("attempt_number", policy.attempts)
        raise want.passing(
            f"{error} (gave up after {tries} tries)",
            status=error.status,
            remedy="try again later: what has arrived is kept and resumed; "
            "without a network, use `make fetch` elsewhere or a mirror",
        ) from error


def _patience(policy: FetchPolicy) -> float:
    """Return the seconds after which an answer must have begun."""
    return policy.connect_timeout + 2 * policy.read_timeout


@contextmanager
def request(
    client: httpx.Client,
    want: Want,
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
            left = _patience(policy)  # of all redirects together
            for _ in range(policy.max_redirects + 1):
                _pace(request.url.host, policy)
                begun = time.monotonic()
                with _within(left, "the head of the answer"):
                    response = client.send(request, stream=True)
                left = max(0.1, left - (time.monotonic() - begun))
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
        never = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        raise TransientError(
            f"{words}: {error}" if str(error) else words, unconnected=never
        ) from error


def _build(client: httpx.Client, url: str, headers: Mapping[str, str]) -> httpx.Request:
    """Make the request; an NCBI key travels in a form body, so that no URL ever contains it.

    The E-utilities accept POST wherever they accept GET (NBK25499).
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
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
    want: Want,
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
    # A host that the card names is the card's; one that an answer names must be public.
    if following.host != urlsplit(want.url).hostname and is_private(following.host):
        raise want.error(f"redirected into a private network: {following}")
    return client.build_request("GET", following, headers=dict(headers))


def _refuse(response: httpx.Response, want: Want, policy: FetchPolicy) -> None:
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
        raise TransientError(said, wait=wait, status=status)
    if status == 403 and response.url.host.endswith(".ncbi.nlm.nih.gov"):
        # NCBI also answers so when it sheds load: only a refusal that stays is one.
        raise TransientError(f"{said}{_excerpt(response)}", status=status)
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
    if (seconds := whole_number(value)) is not None:
        return float(seconds)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def whole_number(value: str) -> int | None:
    """Return the number that a header states; None where it states none, or one of no use."""
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None


def _http_once(
    client: httpx.Client, want: Want, name: str, part: Part, policy: FetchPolicy
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
    with request(client, want, headers, policy, ok=(200, 206, 416)) as response:
        if response.status_code == 416:
            part.clear()
            raise TransientError("the server has no bytes beyond those that arrived")
        # Some servers compress on the fly whatever is asked; a .gz labelled so is the file itself.
        packed = name.lower().endswith((".gz", ".tgz", ".bgz"))
        decode = not packed and coding(response, want) != "identity"
        stream = decoded(response, want, policy) if decode else response.iter_raw()
        length = whole_number(response.headers.get("content-length", ""))
        if response.status_code == 206:
            start, total = content_range(response.headers.get("content-range", ""))
            same = want.hashed or _validator(response) in ("", part.validator)
            if start != have or not same or decode or part.total not in (None, total):
                part.clear()
                raise TransientError("the file changed on the server while it was resumed")
            part.resumed = True
        else:
            total = None if decode else length
            part.begin("" if decode else _validator(response), total)
        part.total, part.announced = total, total is not None
        _receive(want, name, part, stream, policy)


def coding(response: httpx.Response, want: Want) -> str:
    """Return the one coding of an answer's body: each further one unpacks a thousandfold again.

    Raises
    ------
    FetchError
        It has several, or one that was not asked for.
    """
    said = response.headers.get("content-encoding", "").strip().lower() or "identity"
    if said not in ("identity", "gzip", "x-gzip", "deflate"):
        raise want.refused(f"the answer is packed as '{said[:80]}'", expected="gzip, once at most")
    return str(said)


def decoded(response: httpx.Response, want: Want, policy: FetchPolicy) -> Iterator[bytes]:
    """Yield an answer's body without its coding; its blocks arrive, and so unpack, in steps.

    Raises
    ------
    FetchError
        As :func:`coding`, and for a body that unpacks to more than is believable.
    """
    coding(response, want)
    seen = 0
    for chunk in response.iter_bytes():
        seen += len(chunk)
        problem = bomb(
            seen,
            response.num_bytes_downloaded,
            max_unpacked=policy.max_unpacked,
            max_ratio=policy.max_ratio,
        )
        if problem:
            raise want.refused(problem)
        yield chunk


def _within(seconds: float, what: str) -> AbstractContextManager[None]:
    """End what takes longer: a server that sends a byte a minute keeps every other limit."""
    return deadline.within(
        seconds, lambda: TransientError(f"{what} took longer than {seconds:.0f} s")
    )


def _validator(response: httpx.Response) -> str:
    """Return what identifies this version of the file: a strong ETag, else Last-Modified."""
    etag = str(response.headers.get("etag", ""))
    chosen = (
        etag if etag and not etag.startswith("W/") else response.headers.get("last-modified", "")
    )
    # It goes back to the server, in a header of ours.
    return str(chosen) if str(chosen).isascii() and str(chosen).isprintable() else ""


def content_range(value: str) -> tuple[int, int | None]:
    """Return start and total of ``Content-Range``; start -1 if it is missing or malformed."""
    found = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", value.strip())
    if not found:
        return -1, None
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _check_length(want: Want, total: int | None, policy: FetchPolicy) -> None:
    """Raise before a download that can only fail: announced length wrong or too large."""
    if total is None:
        return
    if want.bytes is not None and total != want.bytes:
        raise want.refused(f"the server announces {total} bytes", expected=f"{want.bytes} bytes")
    if total > policy.max_bytes:
        raise want.refused(f"the server announces {size_in_words(total)}, more than allowed")


# --- the bytes -----------------------------------------------------------------------------------


def _receive(
    want: Want, name: str, part: Part, stream: Iterator[bytes], policy: FetchPolicy
) -> None:
    """Append the stream to ``part``, watching content, size, speed and free space."""
    have = part.size
    head = b"" if have == 0 else None
    watch = Watch(policy, name=name, have=have, total=part.total)
    checked = False
    with part.path.open("ab", buffering=0) as sink:
        for chunk in stream:
            if head is not None:
                head = (head + chunk)[:4096]
                if len(head) == 4096:
                    refuse_page(want, name, head)
                    head = None
            if head is None and not checked:
                _check_length(want, part.total, policy)
                need_space(want, part.path.parent, (part.total or have) - have, policy)
                checked = True
            view = memoryview(chunk)
            while view:
                view = view[sink.write(view) :]
            have += len(chunk)
            if have > policy.max_bytes or (want.bytes is not None and have > want.bytes):
                if head is not None:
                    refuse_page(want, name, head)
                limit = want.bytes if want.bytes is not None else policy.max_bytes
                raise want.refused(
                    f"the file is longer than {limit} bytes",
                    expected=f"{limit} bytes at most",
                )
            if watch.saw(len(chunk)):
                need_space(want, part.path.parent, (part.total or have) - have, policy)
        if head is not None:
            refuse_page(want, name, head)
            _check_length(want, part.total, policy)
        os.fsync(sink.fileno())
    if part.total is not None and have > part.total:
        part.clear()
        raise TransientError(f"the server sent {have} bytes of a file of {part.total}")
    if part.total is not None and have < part.total:
        raise TransientError(f"the connection ended after {have} of {part.total} bytes")


class Watch:
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
                raise TransientError(f"too slow: {rate:.0f} bytes per second over {span:.0f} s")
            self.window, self.recent = now, 0
        if now - self.told < self.policy.progress_seconds:
            return False
        self.told = now
        speed = (self.have - self.first) / max(now - self.begin, 1e-6)
        left = ""
        if self.total:
            left = (
                f" of {size_in_words(self.total)}, "
                f"{(self.total - self.have) / max(speed, 1):.0f} s left"
            )
        log.get("fetch").info(
            "%s: %s%s, %s/s", self.name, size_in_words(self.have), left, size_in_words(speed)
        )
        return True


# --- ftp -----------------------------------------------------------------------------------------


def _ftp_once(want: Want, name: str, part: Part, policy: FetchPolicy) -> None:
    """Open one ftp connection; resumes by REST if size and time stamp are unchanged."""
    parts = urlsplit(want.url)
    host, path = parts.hostname or "", unquote(parts.path)
    if re.search(r"[\r\n]", path):
        raise want.error("a line break in the path")
    try:
        # Closed without a farewell, whose answer might never end.
        session = contextlib.closing(ftplib.FTP(timeout=policy.read_timeout))
        with _host_slot(host, policy), session as ftp:
            _pace(host, policy)
            with _within(_patience(policy), "the server's greeting"):
                ftp.connect(host, parts.port or 21, timeout=policy.connect_timeout)
                ftp.login(unquote(parts.username or "anonymous"), unquote(parts.password or ""))
                ftp.voidcmd("TYPE I")
                total = whole_number(ftp.sendcmd(f"SIZE {path}")[3:].strip())
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
            with _within(_patience(policy), "the beginning of the file"):
                connection = ftp.transfercmd(f"RETR {path}", rest=have or None)
            with connection:
                connection.settimeout(policy.read_timeout)
                chunks = iter(lambda: connection.recv(1 << 16), b"")
                _receive(want, name, part, chunks, policy)
    except ftplib.error_perm as error:
        raise want.error(f"ftp: {error}", remedy="check the path on the server") from error
    except (ftplib.Error, EOFError, TimeoutError, ConnectionError) as error:
        raise TransientError(f"ftp: {error or type(error).__name__}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TransientError(f"ftp: {error}") from error


# --- disk ----------------------------------------------------------------------------------------


def need_space(want: Want, folder: Path, more: int, policy: FetchPolicy) -> None:
    """Stop before the disk is full."""
    if shutil.disk_usage(folder).free < more + policy.keep_free:
        raise disk_full(want, folder, more)


def disk_full(want: Want, folder: Path, more: int = 0) -> FetchError:
    """Return the error of a full disk."""
    free = shutil.disk_usage(folder).free
    need = f"{size_in_words(more)} more are needed, " if more else ""
    return want.passing(
        f"the disk is full: {need}{size_in_words(free)} are free in {folder}",
        remedy="free some space and run again: what has arrived is kept and resumed",
    )
