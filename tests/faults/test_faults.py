"""Bad networks, bad servers, bad files: either the right bytes arrive or a clear error says why.

In every case: the error names study and URL, no partial file stands under the final name, and a
finished file that was there before is still there.
"""

from __future__ import annotations

import functools
import gzip
import io
import itertools
import json
import logging
import os
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.download import transport
from alsmuscle.download.containers import check_content, safe_members
from alsmuscle.download.download import fetch, get_text
from alsmuscle.download.lock import read_lock
from alsmuscle.download.policy import FetchError, FetchPolicy
from faultserver import MODIFIED, PACKED, TABLE, FaultServer, FtpServer, Reply, Script, sha256
from support import ROOT

STUDY = "GSE999999"
PAGE = b"<!DOCTYPE html><html><head><title>Just a moment</title></head><body>Busy</body></html>"
HALF = len(PACKED) // 2
OTHER = gzip.compress(TABLE[::-1], mtime=0)


def first(count: int, bad: Reply, good: Reply | None = None) -> Callable[..., Reply]:
    """Answer badly ``count`` times, then well."""
    return lambda number, _: bad if number <= count else good or Reply(PACKED)


def leftovers(folder: Path) -> set[str]:
    return {item.name for item in folder.iterdir()}


# --- the right bytes arrive -----------------------------------------------------------------------

ARRIVES: dict[str, tuple[Script, dict[str, object]]] = {
    "well behaved": (Reply(PACKED), {}),
    **{
        f"cut after {offset} bytes": (first(1, Reply(PACKED, stop_at=offset)), {})
        for offset in (0, 1, 4095, 4096, HALF, len(PACKED) - 1)
    },
    "cut twice, resumed twice": (
        lambda number, _: Reply(PACKED, stop_at=50_000 if number < 3 else None),
        {},
    ),
    "reset at once": (first(1, Reply(PACKED, stop_at=0, reset=True)), {}),
    "reset half way": (first(1, Reply(PACKED, stop_at=HALF, reset=True)), {}),
    "cut, no length announced, no hash": (
        first(1, Reply(PACKED, stop_at=HALF, length=False)),
        {},
    ),
    "cut, no length announced, pinned": (
        first(1, Reply(PACKED, stop_at=HALF, length=False)),
        {"sha256": sha256(PACKED)},
    ),
    "429 with Retry-After in seconds": (
        first(1, Reply(status=429, headers={"Retry-After": "1"})),
        {},
    ),
    "429 with Retry-After as a date": (
        first(
            1,
            Reply(
                status=429,
                headers={
                    "Retry-After": format_datetime(
                        datetime.now(UTC) - timedelta(hours=1), usegmt=True
                    )
                },
            ),
        ),
        {},
    ),
    "429 with nonsense in Retry-After": (
        first(1, Reply(status=429, headers={"Retry-After": "soon"})),
        {},
    ),
    "500 then success": (first(1, Reply(b"oops", 500)), {}),
    "502 and 504, then success": (
        lambda number, _: Reply(status={1: 502, 2: 504}.get(number, 200), body=PACKED),
        {},
    ),
    "503 between two halves": (
        lambda number, _: (
            Reply(status=503)
            if number == 2
            else Reply(PACKED, stop_at=HALF if number == 1 else None)
        ),
        {},
    ),
    "stalls, then whole": (first(1, Reply(PACKED, block=10_000, pause=1.3)), {}),
    "trickles, then whole": (first(1, Reply(PACKED, block=100, pause=0.05)), {}),
    "server ignores Range": (
        lambda number, _: Reply(PACKED, ranges=False, stop_at=HALF if number == 1 else None),
        {},
    ),
    "no ETag, Last-Modified only": (
        lambda number, _: Reply(
            PACKED,
            etag=None,
            headers={"Last-Modified": MODIFIED},
            stop_at=HALF if number == 1 else None,
        ),
        {},
    ),
    "no validator, pinned": (
        lambda number, _: Reply(PACKED, etag=None, stop_at=HALF if number == 1 else None),
        {"sha256": sha256(PACKED)},
    ),
    "no validator, unpinned": (
        lambda number, _: Reply(PACKED, etag=None, stop_at=HALF if number == 1 else None),
        {},
    ),
    "changed while resuming, seen by If-Range": (
        lambda number, _: Reply(OTHER, stop_at=HALF) if number == 1 else Reply(PACKED, etag='"v2"'),
        {},
    ),
    "changed while resuming, If-Range ignored": (
        lambda number, _: (
            Reply(OTHER, stop_at=HALF)
            if number == 1
            else Reply(PACKED, etag='"v2"', check_if_range=False)
        ),
        {},
    ),
    "changed while resuming, no validator, pinned": (
        lambda number, _: Reply(
            OTHER if number == 1 else PACKED,
            etag=None,
            stop_at=HALF if number == 1 else None,
        ),
        {"sha256": sha256(PACKED)},
    ),
    "shorter while resuming": (
        lambda number, _: (
            Reply(OTHER + OTHER, stop_at=len(PACKED) + 10) if number == 1 else Reply(PACKED)
        ),
        {},
    ),
    "206 with a wrong Content-Range": (
        lambda number, _: Reply(
            PACKED,
            stop_at=HALF if number == 1 else None,
            content_range="bytes 5-9/10" if number == 2 else None,
        ),
        {},
    ),
    "labelled Content-Encoding: gzip although it is the file": (
        Reply(PACKED, headers={"Content-Encoding": "gzip"}),
        {},
    ),
    "wrong Content-Type": (Reply(PACKED, headers={"Content-Type": "text/html"}), {}),
}


@pytest.mark.parametrize("case", ARRIVES)
def test_the_right_bytes_arrive(
    case: str, server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    script, pin = ARRIVES[case]
    server.scripts["/f.gz"] = script
    lock = tmp_path / "lock.tsv"
    got = fetch(
        server.url("/f.gz"),
        tmp_path / "data" / "f.gz",
        policy=policy,
        lock=lock,
        study=STUDY,
        **pin,  # type: ignore[arg-type]
    )
    assert got.path.read_bytes() == PACKED
    assert (got.sha256, got.bytes) == (sha256(PACKED), len(PACKED))
    assert leftovers(got.path.parent) == {"f.gz"}
    assert read_lock(lock)[got.url]["sha256"] == sha256(PACKED)


TEXT_CASES: dict[str, Script] = {
    "changed, and nothing to tell the versions apart": lambda number, _: (
        Reply(TABLE[::-1], etag=None, stop_at=HALF)
        if number == 1
        else Reply(TABLE, etag=None, check_if_range=False)
    ),
    "changed, weak ETag": lambda number, _: (
        Reply(TABLE[::-1], etag='W/"1"', stop_at=HALF)
        if number == 1
        else Reply(TABLE, etag='W/"1"', check_if_range=False)
    ),
    "changed to another length, same ETag": lambda number, _: (
        Reply(TABLE[::-1] + b"more", stop_at=HALF) if number == 1 else Reply(TABLE)
    ),
    "an earlier range than asked for, said so": lambda number, _: Reply(
        TABLE, stop_at=HALF if number == 1 else None, start_at=5 if number == 2 else None
    ),
    "an earlier range than asked for, not said": lambda number, _: Reply(
        TABLE,
        stop_at=HALF if number == 1 else None,
        start_at=5 if number == 2 else None,
        content_range=f"bytes {HALF}-{len(TABLE) - 1}/{len(TABLE)}" if number == 2 else None,
    ),
    "a later range than asked for": lambda number, _: Reply(
        TABLE, stop_at=HALF if number == 1 else None, start_at=HALF + 7 if number == 2 else None
    ),
    "cut, then an answer that the range is too far": lambda number, _: (
        Reply(TABLE[::-1], stop_at=HALF) if number == 1 else Reply(b"x" if number == 2 else TABLE)
    ),
    "changed, new ETag, If-Range ignored": lambda number, _: (
        Reply(TABLE[::-1], stop_at=HALF)
        if number == 1
        else Reply(TABLE, etag='"v2"', check_if_range=False)
    ),
}


@pytest.mark.parametrize("case", TEXT_CASES)
def test_text_that_has_no_check_sum_of_its_own_arrives_unmixed(
    case: str, server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/f.csv"] = TEXT_CASES[case]
    got = fetch(server.url("/f.csv"), tmp_path / "f.csv", policy=policy, study=STUDY)
    assert got.path.read_bytes() == TABLE


def test_only_the_missing_half_is_asked_for(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/f.gz"] = first(1, Reply(PACKED, stop_at=HALF))
    fetch(server.url("/f.gz"), tmp_path / "f.gz", policy=policy)
    asked = [headers.get("range") for _, headers, _ in server.seen]
    assert asked == [None, f"bytes={HALF}-"]
    assert server.seen[1][1]["if-range"] == '"v1"'


def test_servers_behind_one_name_that_disagree_on_the_etag_do_not_stop_a_pinned_file(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/f.gz"] = lambda number, _: Reply(
        PACKED, etag=f'"{number}"', stop_at=20_000, check_if_range=True
    )
    got = fetch(server.url("/f.gz"), tmp_path / "f.gz", policy=policy, sha256=sha256(PACKED))
    assert got.path.read_bytes() == PACKED
    assert server.seen[-1][1]["range"] == "bytes=180000-"


def test_tries_that_bring_bytes_do_not_use_up_the_patience(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/f.gz"] = lambda *_: Reply(PACKED, stop_at=20_000)
    got = fetch(server.url("/f.gz"), tmp_path / "f.gz", policy=policy)
    assert got.path.read_bytes() == PACKED
    assert len(server.seen) > policy.attempts


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_waited_for(
    as_date: bool, server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    busy = Reply(status=503, headers={"Retry-After": soon if as_date else "1"})
    server.scripts["/f.gz"] = first(1, busy)
    begin = time.monotonic()
    fetch(server.url("/f.gz"), tmp_path / "f.gz", policy=policy)
    # A date has whole seconds: 2 s ahead may be little more than 1 s.
    assert time.monotonic() - begin >= 0.9


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_and_the_asked_url_is_recorded(
    status: int, server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/old.gz"] = Reply(status=status, headers={"Location": "/mid.gz"})
    server.scripts["/mid.gz"] = Reply(status=302, headers={"Location": server.url("/new.gz")})
    server.scripts["/new.gz"] = first(1, Reply(PACKED, stop_at=HALF))
    got = fetch(server.url("/old.gz"), tmp_path / "f.gz", policy=policy)
    assert got.path.read_bytes() == PACKED
    assert got.url == server.url("/old.gz")


def test_compression_on_the_fly_is_undone(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/t.csv"] = Reply(PACKED, headers={"Content-Encoding": "gzip"})
    assert fetch(server.url("/t.csv"), tmp_path / "t.csv", policy=policy).path.read_bytes() == TABLE


# --- a clear error --------------------------------------------------------------------------------

REFUSED: dict[str, tuple[str, Script, dict[str, object], str]] = {
    "404": ("f.gz", Reply(b"", 404), {}, "HTTP 404"),
    "404 with a page": ("f.gz", Reply(PAGE, 404), {}, "HTTP 404.*Just a moment"),
    "403": ("f.gz", Reply(b"denied", 403), {}, "HTTP 403.*denied"),
    "401": ("f.gz", Reply(b"", 401), {}, "needs a login"),
    "410": ("f.gz", Reply(b"", 410), {}, "withdrawn"),
    "400 with a message": ("f.gz", Reply(b'{"error":"bad term"}', 400), {}, "bad term"),
    "204 without content": ("f.gz", Reply(b"", 204), {}, "HTTP 204"),
    "503 for ever": ("f.gz", Reply(b"", 503), {}, "HTTP 503.*gave up after 3 tries"),
    "429 for longer than we wait": (
        "f.gz",
        Reply(b"", 429, headers={"Retry-After": "86400"}),
        {},
        "come back in 86400 s",
    ),
    "reset every time at the same place": (
        "f.gz",
        Reply(PACKED, ranges=False, stop_at=HALF, reset=True),
        {},
        "gave up",
    ),
    "stalls every time": ("f.gz", Reply(PACKED, stop_at=0, announce=10), {}, "gave up"),
    "trickles every time": (
        "f.gz",
        Reply(PACKED, block=100, pause=0.05, ranges=False),
        {},
        "too slow",
    ),
    "wrong sha256": ("f.gz", Reply(PACKED), {"sha256": "0" * 64}, "sha256 is"),
    "wrong md5": ("f.gz", Reply(PACKED), {"md5": "0" * 32}, "md5 is"),
    "wrong sha256 after resuming": (
        "f.gz",
        lambda number, _: Reply(PACKED, stop_at=HALF if number % 2 else None),
        {"sha256": "0" * 64},
        "sha256 is",
    ),
    "announces too few bytes": ("f.gz", Reply(PACKED), {"bytes": len(PACKED) + 1}, "announces"),
    "announces too many bytes": ("f.gz", Reply(PACKED), {"bytes": len(PACKED) - 1}, "announces"),
    "too short, not announced": (
        "f.gz",
        Reply(PACKED, length=False),
        {"bytes": len(PACKED) + 1},
        f"has {len(PACKED)} bytes",
    ),
    "too long, not announced": (
        "f.gz",
        Reply(PACKED, length=False),
        {"bytes": len(PACKED) - 1},
        "longer than",
    ),
    "page instead of gzip": ("f.gz", Reply(PAGE), {}, "web page.*Just a moment"),
    "page instead of gzip, pinned": (
        "f.gz",
        Reply(PAGE),
        {"sha256": sha256(PACKED), "bytes": len(PACKED)},
        "web page.*Just a moment",
    ),
    "page of unknown length instead of gzip": ("f.gz", Reply(PAGE, length=False), {}, "web page"),
    "long page instead of tar": ("f.tar", Reply(PAGE + b" " * 99_999), {}, "Just a moment"),
    "page with 200 for a csv": ("f.csv", Reply(b"\n\n" + PAGE), {}, "web page.*Just a moment"),
    "page for an h5": ("f.h5", Reply(PAGE), {}, "web page"),
    "storage error with 200": (
        "f.csv",
        Reply(b"<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code></Error>"),
        {},
        "AccessDenied",
    ),
    "empty": ("f.gz", Reply(b""), {}, "empty"),
    "text named gzip": ("f.gz", Reply(TABLE), {}, "content is text"),
    "gzip named csv": ("f.csv", Reply(PACKED), {}, "content is gzip"),
    "gzip truncated on the server": ("f.gz", Reply(PACKED[:HALF]), {}, "truncated or damaged"),
    "gzip with a flipped byte": (
        "f.gz",
        Reply(PACKED[:HALF] + bytes([PACKED[HALF] ^ 1]) + PACKED[HALF + 1 :]),
        {},
        "truncated or damaged",
    ),
    "gzip always cut, no length announced": (
        "f.gz",
        Reply(PACKED, length=False, stop_at=HALF),
        {},
        "truncated or damaged",
    ),
    "gzip bomb": (
        "f.gz",
        Reply(gzip.compress(bytes(30_000_000))),
        {"max_unpacked": 20_000_000},
        "decompression bomb",
    ),
    "larger than allowed": ("f.gz", Reply(PACKED), {"max_bytes": 1000}, "more than allowed"),
    "endless": ("f.gz", Reply(PACKED, length=False), {"max_bytes": 1000}, "longer than"),
    "redirect loop": ("f.gz", Reply(status=302, headers={"Location": "/f.gz"}), {}, "redirects"),
    "redirect to a local file": (
        "f.gz",
        Reply(status=302, headers={"Location": "file:///etc/hostname"}),
        {},
        "not http",
    ),
    "redirect to nowhere": ("f.gz", Reply(status=302), {}, "not http"),
    "unpinned with pinned_only": ("f.gz", Reply(PACKED), {"pinned_only": True}, "no recorded hash"),
    "network switched off": ("f.gz", Reply(PACKED), {"offline": True}, "switched off"),
    "disk without the announced space": (
        "f.gz",
        Reply(PACKED),
        {"keep_free": 1 << 60},
        "disk is full",
    ),
}


@pytest.mark.parametrize("older", [False, True], ids=["new", "over an older file"])
@pytest.mark.parametrize("case", REFUSED)
def test_a_clear_error_and_nothing_lost(
    case: str, older: bool, server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    name, script, options, message = REFUSED[case]
    server.scripts["/" + name] = script
    fields = FetchPolicy.__dataclass_fields__
    policy = replace(policy, **{key: value for key, value in options.items() if key in fields})
    pins = {key: value for key, value in options.items() if key not in fields}
    dest, lock = tmp_path / "data" / name, tmp_path / "lock.tsv"
    if older:
        dest.parent.mkdir()
        dest.write_bytes(b"an older, finished file")
    with pytest.raises(FetchError, match=f"(?s){message}") as caught:
        fetch(server.url("/" + name), dest, policy=policy, lock=lock, study=STUDY, **pins)  # type: ignore[arg-type]
    assert isinstance(caught.value, InputError)
    assert STUDY in str(caught.value)
    assert server.url("/" + name) in str(caught.value)
    if older:
        assert dest.read_bytes() == b"an older, finished file"
    else:
        assert not dest.exists()
    assert read_lock(lock) == {}
    # What is left is a part that says so, or nothing.
    assert (
        leftovers(tmp_path / "data") <= {name, f"{name}.part", f"{name}.part.json"}
        if (tmp_path / "data").exists()
        else True
    )


def test_after_any_error_a_good_server_gives_the_right_bytes(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    """No leftover of a failed try can spoil a later one."""
    for number, (name, script, options, _) in enumerate(REFUSED.values()):
        if name != "f.gz":
            continue
        path, dest = f"/{number}.gz", tmp_path / f"{number}.gz"
        server.scripts[path] = script
        pins = {key: options[key] for key in ("sha256", "md5", "bytes") if key in options}
        with pytest.raises(FetchError):
            fetch(
                server.url(path),
                dest,
                policy=replace(policy, attempts=1, keep_free=1 << 60),
                **pins,
            )  # type: ignore[arg-type]
        server.scripts[path] = Reply(PACKED)
        assert fetch(server.url(path), dest, policy=policy).path.read_bytes() == PACKED


def test_nobody_listens(policy: FetchPolicy, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=f"(?s){STUDY}.*does not answer.*connect error"):
        fetch("http://127.0.0.1:1/f.gz", tmp_path / "f.gz", policy=policy, study=STUDY)


@pytest.mark.parametrize("url", ["s3://bucket/key", "gopher://h/x", "http://", "http://[bad/x"])
def test_urls_that_cannot_work(url: str, policy: FetchPolicy, tmp_path: Path) -> None:
    with pytest.raises(FetchError):
        fetch(url, tmp_path / "f.gz", policy=policy, study=STUDY)
    assert leftovers(tmp_path) == set()


# --- TLS, downgrade, secrets ----------------------------------------------------------------------


def _answering(
    monkeypatch: pytest.MonkeyPatch, handler: Callable[[httpx.Request], httpx.Response]
) -> list[httpx.Request]:
    """Let ``handler`` play all hosts of the internet."""
    seen: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return handler(request)

    monkeypatch.setattr(
        transport, "http_client", lambda _: httpx.Client(transport=httpx.MockTransport(note))
    )
    return seen


def test_https_is_never_left_for_http(
    monkeypatch: pytest.MonkeyPatch, policy: FetchPolicy, tmp_path: Path
) -> None:
    seen = _answering(
        monkeypatch,
        lambda _: httpx.Response(302, headers={"Location": "http://mirror.example.org/f.gz"}),
    )
    with pytest.raises(FetchError, match="unprotected http"):
        fetch("https://example.org/f.gz", tmp_path / "f.gz", policy=policy, study=STUDY)
    assert [request.url.host for request in seen] == ["example.org"]


def test_ftp_of_ncbi_is_fetched_by_https(
    monkeypatch: pytest.MonkeyPatch, policy: FetchPolicy, tmp_path: Path
) -> None:
    seen = _answering(monkeypatch, lambda _: httpx.Response(200, stream=httpx.ByteStream(PACKED)))
    got = fetch("ftp://ftp.ncbi.nlm.nih.gov/geo/f.gz", tmp_path / "f.gz", policy=policy)
    assert str(seen[0].url) == got.url == "https://ftp.ncbi.nlm.nih.gov/geo/f.gz"


KEY = "5ecre7keyf0rt3st5"


@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_the_ncbi_key_reaches_eutils_and_nothing_else(
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    policy: FetchPolicy,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("NCBI_API_KEY", KEY)

    def handler(request: httpx.Request) -> httpx.Response:
        body = request.read().decode()
        said = f"{request.url} {body} api_key={KEY}".encode()
        return httpx.Response(status, stream=httpx.ByteStream(said))

    seen = _answering(monkeypatch, handler)
    eutils = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils/esearch.fcgi?db=gds&term=a+b%26c"
    error = ""
    try:
        get_text(eutils, policy=policy, study=STUDY)
    except FetchError as caught:
        error = str(caught) + repr(caught.__cause__)
    sent = dict(httpx.QueryParams(seen[0].content.decode()))
    assert sent == {"db": "gds", "term": "a b&c", "api_key": KEY}
    assert all(KEY not in str(request.url) for request in seen)
    assert KEY not in error
    assert KEY not in caplog.text
    seen.clear()
    with pytest.raises(FetchError) as other:
        fetch("https://ftp.ncbi.nlm.nih.gov/x.gz", tmp_path / "x.gz", policy=policy)
    assert all(item.method == "GET" and not item.content for item in seen)
    assert all(KEY not in str(item.url) + str(item.headers) for item in seen)
    assert KEY not in str(other.value)


def test_the_key_is_not_written_to_lock_part_or_error_of_a_url_that_contains_it(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/f.gz"] = first(1, Reply(PACKED, stop_at=HALF))
    lock = tmp_path / "lock.tsv"
    fetch(server.url(f"/f.gz?api_key={KEY}&a=1"), tmp_path / "f.gz", policy=policy, lock=lock)
    assert KEY not in lock.read_text()
    with pytest.raises(FetchError) as caught:
        fetch(server.url(f"/none.gz?api_key={KEY}"), tmp_path / "g.gz", policy=policy)
    assert KEY not in str(caught.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    pair = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        shlex.split(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 "
            "-addext subjectAltName=IP:127.0.0.1 -out cert.pem -keyout key.pem"
        ),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return pair


def test_tls_is_verified_and_a_private_root_can_be_named(
    server: FaultServer,
    policy: FetchPolicy,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.scripts["/f.gz"] = Reply(PACKED)
    url = server.url("/f.gz").replace("http:", "https:")
    with pytest.raises(FetchError, match="certificate could not be verified"):
        fetch(url, tmp_path / "f.gz", policy=policy, study=STUDY)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert fetch(url, tmp_path / "f.gz", policy=policy).path.read_bytes() == PACKED


def test_proxies_are_taken_from_the_environment(
    server: FaultServer,
    policy: FetchPolicy,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("http_proxy", server.url(""))
    server.scripts["http://archive.invalid/f.gz"] = Reply(PACKED)
    got = fetch("http://archive.invalid/f.gz", tmp_path / "f.gz", policy=policy)
    assert got.path.read_bytes() == PACKED


# --- ftp ------------------------------------------------------------------------------------------


def test_ftp_is_resumed_by_rest(ftp: FtpServer, policy: FetchPolicy, tmp_path: Path) -> None:
    ftp.files["/pub/a b.gz"] = PACKED
    ftp.stop_at = HALF
    got = fetch(ftp.url("/pub/a%20b.gz"), tmp_path / "f.gz", policy=policy, study=STUDY)
    assert got.path.read_bytes() == PACKED
    assert f"REST {HALF}" in ftp.seen
    assert leftovers(tmp_path) == {"f.gz"}


def test_ftp_without_the_file_or_with_another(
    ftp: FtpServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    ftp.files["/f.gz"] = PACKED
    with pytest.raises(FetchError, match=f"(?s){STUDY}.*550"):
        fetch(ftp.url("/none.gz"), tmp_path / "f.gz", policy=policy, study=STUDY)
    with pytest.raises(FetchError, match="sha256 is"):
        fetch(ftp.url("/f.gz"), tmp_path / "f.gz", policy=policy, study=STUDY, sha256="0" * 64)
    assert leftovers(tmp_path) == set()


def test_ftp_line_breaks_and_dead_servers(policy: FetchPolicy, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="line break"):
        fetch("ftp://127.0.0.1:1/a%0d%0aDELE x", tmp_path / "f.gz", policy=policy, study=STUDY)
    with pytest.raises(FetchError, match=f"(?s){STUDY}.*gave up"):
        fetch("ftp://127.0.0.1:1/f.gz", tmp_path / "f.gz", policy=policy, study=STUDY)


# --- archives -------------------------------------------------------------------------------------


def _hostile(name: str = "a.txt", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        good = tarfile.TarInfo("GSM1_counts.txt")
        good.size = 4
        archive.addfile(good, io.BytesIO(b"good"))
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        info.size = 3 if kind == tarfile.REGTYPE else 0
        archive.addfile(info, io.BytesIO(b"bad"))
    return buffer.getvalue()


HOSTILE = {
    "absolute path": _hostile("/etc/cron.d/x"),
    "path upwards": _hostile("../x"),
    "path upwards in the middle": _hostile("a/../../x"),
    "path upwards and back": _hostile("a/../x"),
    "windows path": _hostile("C:\\x"),
    "backslashes": _hostile("..\\x"),
    "symlink to an absolute path": _hostile("l", tarfile.SYMTYPE, "/etc/passwd"),
    "symlink upwards": _hostile("d/l", tarfile.SYMTYPE, "../../x"),
    "hard link to an absolute path": _hostile("l", tarfile.LNKTYPE, "/etc/passwd"),
    "hard link upwards": _hostile("l", tarfile.LNKTYPE, "../x"),
    "character device": _hostile("l", tarfile.CHRTYPE),
    "block device": _hostile("l", tarfile.BLKTYPE),
    "fifo": _hostile("l", tarfile.FIFOTYPE),
    "the same name twice": _hostile("GSM1_counts.txt"),
    "the same name spelt differently": _hostile("./GSM1_counts.txt"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["tar", "tar.gz"])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_tar_is_refused(
    case: str, packed: bool, server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    name = "f.tar.gz" if packed else "f.tar"
    server.scripts["/f"] = Reply(gzip.compress(HOSTILE[case]) if packed else HOSTILE[case])
    with pytest.raises(FetchError, match=f"(?s){STUDY}.*member.*is refused"):
        fetch(server.url("/f"), tmp_path / name, policy=policy, study=STUDY)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("case", HOSTILE)
def test_a_reader_of_a_pinned_hostile_tar_is_warned_too(case: str) -> None:
    with (
        tarfile.open(fileobj=io.BytesIO(HOSTILE[case])) as archive,
        pytest.raises(FetchError, match="refused"),
    ):
        list(safe_members(archive, study=STUDY))


def test_a_tar_that_claims_to_be_huge(policy: FetchPolicy, tmp_path: Path) -> None:
    info = tarfile.TarInfo("huge.txt")
    info.size = 1 << 40
    path = tmp_path / "f.tar"
    path.write_bytes(info.tobuf() + bytes(10_240))
    with pytest.raises(FetchError, match="decompression bomb"):
        check_content(path, policy=policy, study=STUDY)


def test_a_tar_with_too_many_members(policy: FetchPolicy, tmp_path: Path) -> None:
    path = tmp_path / "f.tar"
    with tarfile.open(path, "w") as archive:
        for number in range(30):
            archive.addfile(tarfile.TarInfo(f"{number}.txt"))
    check_content(path, policy=replace(policy, max_members=30))
    with pytest.raises(FetchError, match="more than 29 members"):
        check_content(path, policy=replace(policy, max_members=29), study=STUDY)


def test_a_ratio_bomb_is_stopped_early(policy: FetchPolicy, tmp_path: Path) -> None:
    path = tmp_path / "zeros.gz"
    block = gzip.compress(bytes(1 << 24), 9)
    path.write_bytes(block * 80)  # 1.3 GB of zeros in 1.3 MB
    with pytest.raises(FetchError, match="decompression bomb"):
        check_content(path, policy=policy, study=STUDY)


# --- disk -----------------------------------------------------------------------------------------


def test_the_disk_fills_up_while_writing_and_the_part_is_resumed(
    server: FaultServer, policy: FetchPolicy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.scripts["/f.gz"] = Reply(PACKED)
    limit = [100_000]
    true_open = Path.open

    class Full:
        """A file on a disk with ``limit`` bytes left: writes what fits, as the kernel does."""

        def __init__(self, raw: io.FileIO) -> None:
            self.raw = raw

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.raw.close()

        def write(self, data: memoryview) -> int:
            room = limit[0] - self.raw.tell()
            if room <= 0:
                raise OSError(28, "No space left on device")
            return self.raw.write(data[: min(room, 30_001)])

        def fileno(self) -> int:
            return self.raw.fileno()

    def opened(path: Path, mode: str = "r", *args: int, **more: object) -> object:
        handle = true_open(path, mode, *args, **more)  # type: ignore[call-overload]
        return Full(handle) if path.suffix == ".part" and mode == "ab" else handle

    monkeypatch.setattr(Path, "open", opened)
    dest = tmp_path / "f.gz"
    with pytest.raises(FetchError, match=f"(?s){STUDY}.*disk is full"):
        fetch(server.url("/f.gz"), dest, policy=policy, study=STUDY)
    assert not dest.exists()
    assert (tmp_path / "f.gz.part").stat().st_size == 100_000
    limit[0] = 1 << 30
    assert fetch(server.url("/f.gz"), dest, policy=policy).path.read_bytes() == PACKED
    assert server.seen[-1][1]["range"] == "bytes=100000-"


def test_the_free_space_is_watched_during_the_download(
    server: FaultServer, policy: FetchPolicy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.scripts["/f.gz"] = Reply(PACKED, length=False, block=20_000, pause=0.02)
    free = itertools.chain([1 << 40] * 2, itertools.repeat(0))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=next(free)))
    with pytest.raises(FetchError, match="disk is full"):
        fetch(
            server.url("/f.gz"),
            tmp_path / "f.gz",
            policy=replace(policy, progress_seconds=0.01, keep_free=10),
            study=STUDY,
        )


def test_a_folder_that_cannot_be_written(policy: FetchPolicy, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FetchError, match="cannot write"):
        fetch("http://127.0.0.1:1/f.gz", tmp_path / "file" / "f.gz", policy=policy, study=STUDY)


# --- processes ------------------------------------------------------------------------------------


def _process(url: str, dest: Path, lock: Path, **options: object) -> subprocess.Popen[str]:
    code = f"""
        from alsmuscle.download.download import fetch
        from alsmuscle.download.policy import FetchPolicy
        policy = FetchPolicy(wait_initial=0.01, per_second=1000, keep_free=0)
        got = fetch({url!r}, {str(dest)!r}, lock={str(lock)!r}, policy=policy, **{options!r})
        print(got.source)
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow" / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("pinned", [False, True])
def test_kill_9_in_mid_download_then_rerun(
    pinned: bool, server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/f.gz"] = first(1, Reply(PACKED, block=20_000, pause=0.2))
    dest, lock = tmp_path / "f.gz", tmp_path / "lock.tsv"
    part = tmp_path / "f.gz.part"
    process = _process(server.url("/f.gz"), dest, lock)
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size >= 40_000):
        assert time.monotonic() < deadline, process.poll()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not dest.exists()
    assert 0 < part.stat().st_size < len(PACKED)
    pin = {"sha256": sha256(PACKED)} if pinned else {}
    got = fetch(server.url("/f.gz"), dest, policy=policy, lock=lock, study=STUDY, **pin)
    assert got.path.read_bytes() == PACKED
    assert server.seen[-1][1]["range"].startswith("bytes=")
    assert leftovers(tmp_path) == {"f.gz", "lock.tsv"}


def test_kill_9_between_record_and_placement_loses_nothing(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    """The state after a crash in between: recorded, complete, still called ``.part``."""
    server.scripts["/f.gz"] = Reply(PACKED)
    dest, lock = tmp_path / "f.gz", tmp_path / "lock.tsv"
    fetch(server.url("/f.gz"), dest, policy=policy, lock=lock)
    dest.rename(tmp_path / "f.gz.part")
    (tmp_path / "f.gz.part.json").write_text(
        f'{{"url": "{server.url("/f.gz")}", "validator": "", "total": {len(PACKED)}}}'
    )
    server.scripts.clear()
    assert fetch(server.url("/f.gz"), dest, policy=policy, lock=lock).path.read_bytes() == PACKED


def test_a_part_of_another_url_or_without_description_is_not_continued(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/f.csv"] = Reply(TABLE)
    other = json.dumps({"url": "http://other/", "validator": '"v1"', "total": len(TABLE)})
    for description in (None, "{torn", "[]", other):
        (tmp_path / "f.csv.part").write_bytes(b"junk")
        if description:
            (tmp_path / "f.csv.part.json").write_text(description)
        got = fetch(server.url("/f.csv"), tmp_path / "f.csv", policy=policy)
        assert got.path.read_bytes() == TABLE


def test_two_processes_fetch_the_same_file_once(server: FaultServer, tmp_path: Path) -> None:
    server.scripts["/f.gz"] = Reply(PACKED, block=20_000, pause=0.1)
    dest, lock = tmp_path / "f.gz", tmp_path / "lock.tsv"
    both = [_process(server.url("/f.gz"), dest, lock) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert sorted(out.strip() for out, _ in said) == ["network", "present"], said
    assert dest.read_bytes() == PACKED
    assert len(server.seen) == 1
    assert leftovers(tmp_path) == {"f.gz", "lock.tsv"}


def test_many_threads_write_one_lock_file(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    lock, errors = tmp_path / "lock.tsv", []
    for number in range(24):
        server.scripts[f"/{number}.csv"] = Reply(f"a\n{number}\n".encode())

    def one(number: int) -> None:
        try:
            path = f"/{number}.csv"
            fetch(server.url(path), tmp_path / "d" / path[1:], policy=policy, lock=lock)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(read_lock(lock)) == 24


def test_connections_to_one_host_are_limited_over_all_threads(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    guard, open_now, most = threading.Lock(), [0], [0]

    def script(*_: object) -> Reply:
        with guard:
            open_now[0] += 1
            most[0] = max(most[0], open_now[0])
        time.sleep(0.15)
        with guard:
            open_now[0] -= 1
        return Reply(b"a\n")

    paths = [f"/{number}.csv" for number in range(6)]
    server.scripts.update(dict.fromkeys(paths, script))
    two = replace(policy, per_host=2)
    threads = [
        threading.Thread(
            target=fetch, args=(server.url(path), tmp_path / path[1:]), kwargs={"policy": two}
        )
        for path in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2
    assert len(leftovers(tmp_path)) == 6


def test_requests_to_one_host_are_paced(
    policy: FetchPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    monkeypatch.setattr(time, "sleep", waits.append)
    for host in ("one", "one", "two", "one"):
        transport._pace(host, replace(policy, per_second=10))
    for _ in range(2):
        transport._pace("eutils.ncbi.nlm.nih.gov", replace(policy, per_second=10))
    monkeypatch.setenv("NCBI_API_KEY", KEY)
    transport._pace("eutils.ncbi.nlm.nih.gov", replace(policy, per_second=10))
    # Without a key at most 3 requests per second; the third starts where the second's turn ended.
    assert waits == pytest.approx([0, 0.1, 0, 0.2, 0, 1 / 2.8, 2 / 2.8])


def test_a_403_of_ncbi_may_pass_and_one_that_stays_is_an_error(
    monkeypatch: pytest.MonkeyPatch, policy: FetchPolicy, tmp_path: Path
) -> None:
    statuses = iter([403, 403, 200])
    _answering(
        monkeypatch, lambda _: httpx.Response(next(statuses), stream=httpx.ByteStream(PACKED))
    )
    url = "https://ftp.ncbi.nlm.nih.gov/geo/f.gz"
    assert fetch(url, tmp_path / "f.gz", policy=policy).path.read_bytes() == PACKED
    seen = _answering(monkeypatch, lambda _: httpx.Response(403, stream=httpx.ByteStream(PAGE)))
    with pytest.raises(FetchError, match="Just a moment") as caught:
        get_text(url, policy=policy, study=STUDY)
    assert caught.value.status == 403
    assert len(seen) == policy.attempts


# --- lock and mirror ------------------------------------------------------------------------------


def test_the_archive_changed_a_file_that_the_lock_knows(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/f.gz"] = Reply(PACKED)
    dest, lock = tmp_path / "f.gz", tmp_path / "lock.tsv"
    fetch(server.url("/f.gz"), dest, policy=policy, lock=lock)
    server.scripts["/f.gz"] = Reply(OTHER, etag='"v2"')
    before = lock.read_text()
    assert fetch(server.url("/f.gz"), dest, policy=policy, lock=lock).source == "present"
    with pytest.raises(FetchError, match=sha256(PACKED)):
        fetch(server.url("/f.gz"), tmp_path / "g.gz", policy=policy, lock=lock, study=STUDY)
    assert not (tmp_path / "g.gz").exists()
    assert dest.read_bytes() == PACKED
    assert lock.read_text() == before


def test_a_file_that_the_archive_rewrites_is_recorded_anew_but_a_pin_still_binds(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    url, lock = server.url("/f.gz"), tmp_path / "lock.tsv"
    server.scripts["/f.gz"] = Reply(PACKED)
    fetch(url, tmp_path / "f.gz", policy=policy, lock=lock, volatile=True)
    server.scripts["/f.gz"] = Reply(OTHER, etag='"v2"')
    kept = fetch(url, tmp_path / "f.gz", policy=policy, lock=lock, volatile=True)
    assert (kept.source, kept.sha256) == ("present", sha256(PACKED))
    strict = replace(policy, pinned_only=True)
    for options in ({"policy": strict}, {"policy": policy, "sha256": sha256(PACKED)}):
        with pytest.raises(FetchError, match="sha256 is"):
            fetch(url, tmp_path / "g.gz", lock=lock, volatile=True, **options)  # type: ignore[arg-type]
    assert read_lock(lock)[url]["sha256"] == sha256(PACKED)
    new = fetch(url, tmp_path / "g.gz", policy=policy, lock=lock, volatile=True)
    assert read_lock(lock)[url]["sha256"] == new.sha256 == sha256(OTHER)
    server.scripts["/f.gz"] = Reply(PAGE)
    with pytest.raises(FetchError, match="web page"):
        fetch(url, tmp_path / "h.gz", policy=policy, lock=lock, volatile=True)
    assert read_lock(lock)[url]["sha256"] == sha256(OTHER)


def test_geo_matrices_are_known_to_be_rewritten_and_counts_are_not(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    lock = tmp_path / "lock.tsv"
    folder = "/geo/series/GSE1nnn/GSE1234"
    for path in (f"{folder}/matrix/GSE1234_series_matrix.txt.gz", f"{folder}/suppl/counts.txt.gz"):
        server.scripts[path] = Reply(PACKED)
        fetch(server.url(path), tmp_path / "a.gz", policy=policy, lock=lock)
        server.scripts[path] = Reply(OTHER, etag='"v2"')
        again = functools.partial(fetch, server.url(path), policy=policy, lock=lock)
        if "matrix" in path:
            assert again(tmp_path / "b.gz").sha256 == sha256(OTHER)
        else:
            with pytest.raises(FetchError, match="sha256 is"):
                again(tmp_path / "c.gz")


def test_a_damaged_finished_file_is_replaced_by_a_verified_one(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/f.gz"] = Reply(PACKED)
    dest, lock = tmp_path / "f.gz", tmp_path / "lock.tsv"
    fetch(server.url("/f.gz"), dest, policy=policy, lock=lock)
    dest.write_bytes(PACKED[:HALF])
    assert fetch(server.url("/f.gz"), dest, policy=policy, lock=lock).path.read_bytes() == PACKED


def _mirror(folder: Path, url: str, content: bytes, digest: str) -> Path:
    folder.mkdir()
    (folder / "f.gz").write_bytes(content)
    (folder / "index.tsv").write_text(
        f"url\tpath\tsha256\tbytes\tnote\n{url}\tf.gz\t{digest}\t{len(content)}\t\n"
    )
    return folder


def test_a_mirror_is_verified_and_never_silently_bypassed(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/f.gz"] = Reply(PACKED)
    url, dest = server.url("/f.gz"), tmp_path / "f.gz"
    damaged = _mirror(tmp_path / "m1", url, PACKED[:HALF], sha256(PACKED))
    other = _mirror(tmp_path / "m2", url, OTHER, sha256(OTHER))
    hollow = _mirror(tmp_path / "m3", url, PACKED, sha256(PACKED))
    (hollow / "f.gz").unlink()
    for mirror, pins, message in (
        (damaged, {}, "bytes|sha256"),
        (other, {"sha256": sha256(PACKED)}, "mirror holds"),
        (hollow, {}, "does not exist"),
        (tmp_path / "m4", {}, r"no index\.tsv"),
    ):
        with pytest.raises(FetchError, match=message):
            fetch(url, dest, mirror=mirror, policy=policy, study=STUDY, **pins)  # type: ignore[arg-type]
        assert not dest.exists()
    assert server.seen == []


def test_what_the_mirror_lacks_comes_from_the_network(
    server: FaultServer, policy: FetchPolicy, tmp_path: Path
) -> None:
    server.scripts["/g.gz"] = Reply(PACKED)
    mirror = _mirror(tmp_path / "m", server.url("/f.gz"), OTHER, sha256(OTHER))
    got = fetch(server.url("/g.gz"), tmp_path / "g.gz", mirror=mirror, policy=policy)
    assert got.source == "network"
    assert fetch(server.url("/f.gz"), tmp_path / "f.gz", mirror=mirror, policy=policy).source == (
        "mirror"
    )
    assert len(server.seen) == 1


# --- small documents ------------------------------------------------------------------------------


def test_get_text_retries_and_takes_204_as_an_answer(
    server: FaultServer, policy: FetchPolicy
) -> None:
    server.scripts["/list"] = first(2, Reply(b"", 503), Reply("é".encode()))
    server.scripts["/none"] = Reply(b"", 204)
    assert get_text(server.url("/list"), policy=policy).text == "é"
    assert get_text(server.url("/none"), ok=(200, 204), policy=policy).status == 204
    with pytest.raises(FetchError, match=f"(?s){STUDY}.*HTTP 404"):
        get_text(server.url("/other"), policy=policy, study=STUDY)


def test_progress_of_large_files_is_logged(
    server: FaultServer,
    policy: FetchPolicy,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.INFO, "alsmuscle")
    server.scripts["/f.gz"] = Reply(PACKED, block=40_000, pause=0.05)
    fetch(server.url("/f.gz"), tmp_path / "f.gz", policy=replace(policy, progress_seconds=0.05))
    assert any("of 191.9 kB" in record.getMessage() for record in caplog.records)
