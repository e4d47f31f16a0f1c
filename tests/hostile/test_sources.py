"""Where data may come from, and what an archive's answer may be; servers here are local."""

from __future__ import annotations

import gzip
import json
import os
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

import hostile_files as made
from alsmuscle.archives import biostudies, eutils, geo
from alsmuscle.core.errors import InputError, PassingError
from alsmuscle.data import admit, fetch, record
from alsmuscle.data.readers import sample_sheets
from alsmuscle.download import download, lock, policy

HASTY = policy.FetchPolicy(
    attempts=1, connect_timeout=1, read_timeout=0.5, wait_initial=0.01, per_second=0, keep_free=0
)
# For those that talk without end: 0.9 s for all of a greeting or a head, which is waited for.
IMPATIENT = replace(HASTY, connect_timeout=0.1, read_timeout=0.4)


# --- local files ----------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text("a key\n")
    (folder / "sound.csv").write_text("a,b\n")
    (folder / "linked.csv").symlink_to("sound.csv")
    os.mkfifo(folder / "pipe.csv")
    (folder / "zero.csv").symlink_to("/dev/zero")
    (folder / "environ.csv").symlink_to("/proc/self/environ")
    (tmp_path / "secret.csv").write_text("a key\n")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "b.csv").write_text("a,b\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "url",
    [
        "/etc/hostname",
        "file:///etc/hostname",
        "FILE:///etc/hostname",
        "file://localhost/etc/hostname",
        "/proc/self/environ",
        "file:///proc/self/environ",
        "/dev/zero",
        "/dev/stdin",
        "/sys/kernel/notes",
        "../secret.csv",
        "a/../../secret.csv",
        "sound.csv/../../secret.csv",
        "%2e%2e/secret.csv",
        "file:%2f%2f/etc/hostname",
        ".git/config",
        "pipe.csv",
        "zero.csv",
        "environ.csv",
        ".",
        "~/secret.csv",
    ],
)
def test_a_local_file_that_is_none_of_the_project(project: Path, url: str) -> None:
    begun = time.monotonic()
    with pytest.raises(InputError):
        download.fetch(url, project / "cache" / "x.csv", policy=HASTY)
    assert time.monotonic() - begun < 5
    assert not (project / "cache" / "x.csv").exists()


@pytest.mark.parametrize("url", ["sound.csv", "linked.csv", "./sound.csv", "../shared/b.csv"])
def test_files_of_the_project_and_of_configured_folders_are_read(project: Path, url: str) -> None:
    allowed = policy.FetchPolicy(keep_free=0, folders=(".", "../shared"))
    got = download.fetch(url, project / "cache" / "x.csv", policy=allowed)
    assert got.path.read_text() == "a,b\n"


# --- addresses that answers state -----------------------------------------------------------------

STATED = [
    "file:///etc/passwd",
    "http://datasets.example.org/a.h5ad",
    "https://localhost/a",
    "https://LOCALHOST./a",
    "https://127.0.0.1/a",
    "https://127.1/a",
    "https://0x7f000001/a",
    "https://2130706433/a",
    "https://[::1]/a",
    "https://[::ffff:127.0.0.1]/a",
    "https://0.0.0.0/a",
    "https://0/a",
    "https://0177.0.0.1/a",
    "https://[::7f00:1]/a",
    "https://[64:ff9b::7f00:1]/a",
    "https://[64:ff9b::a00:1]/a",
    "https://[2002:7f00:1::]/a",
    "https://[fe80::1]/a",
    "https://[fd00::1]/a",
    "https://100.64.0.1/a",
    "https://224.0.0.1/a",
    "https://10.1.2.3/a",
    "https://172.16.0.1/a",
    "https://192.168.0.1/a",
    "https://169.254.169.254/latest/meta-data",
    "https://metadata.google.internal/a",
    "https://printer.local/a",
    "https://user@127.0.0.1/a",
    "ftp://127.0.0.1/a",
    "javascript:alert(1)",
    "data:text/plain,x",
    "gopher://example.org/",
    "/etc/passwd",
    "//example.org/a",
    "",
]


@pytest.mark.parametrize("url", STATED)
def test_an_answer_sends_nowhere_private(url: str) -> None:
    answer = json.dumps({"assets": [{"filetype": "H5AD", "url": url, "filesize": 1}]})
    uuid = "00000000-0000-0000-0000-000000000000"
    file = {"source": "cellxgene", "accession": uuid, "dataset": uuid}
    with pytest.raises(InputError, match="the answer names an address"):
        fetch.addresses(file, accession="x", organism="human", ask=lambda _: answer)


def test_a_public_address_passes() -> None:
    for url in ("https://datasets.cellxgene.cziscience.com/a.h5ad", "https://8.8.8.8/a"):
        assert policy.stated(url, "x") == url


# --- pages and limits with status 200 -------------------------------------------------------------

PAGE = "<!DOCTYPE html><html><title>Scheduled maintenance</title><a href='help.gz'>Help</a></html>"
LIMIT = json.dumps({"error": "API rate limit exceeded", "count": "4"})


@pytest.mark.parametrize("text", [PAGE, LIMIT, "", "null", "[]", "Service busy", "[" * 100_000])
@pytest.mark.parametrize(
    "parse",
    [
        eutils.parse_esearch,
        eutils.parse_esummary,
        eutils.parse_elink,
        biostudies.parse_biostudies_study,
    ],
)
def test_an_answer_that_is_none_may_pass(parse: Any, text: str) -> None:
    with pytest.raises(PassingError):
        parse(text)


@pytest.mark.parametrize("parse", [geo.parse_listing, sample_sheets.parse_soft_samples])
def test_a_page_is_no_listing_and_no_record(parse: Any) -> None:
    with pytest.raises(PassingError):
        parse(PAGE)


@pytest.mark.parametrize(
    ("accession", "text"),
    [
        *((a, PAGE) for a in ("GSE1", "PRJNA1", "E-MTAB-1")),
        ("GSE1", LIMIT),
        ("GSE1", "[" * 100_000),
        ("E-MTAB-1", LIMIT),
        ("PRJNA1", LIMIT),
        ("E-MTAB-1", '{"section": ' + '{"subsections": [' * 20_000),
    ],
)
def test_maintenance_is_not_a_difference(accession: str, text: str) -> None:
    card = {
        "id": "x",
        "accession": accession,
        "organism": "human",
        "citation": {},
        "files": {"counts": {"source": "geo_raw"}},
        "archive": {"samples": 3},
    }
    (row,) = record.checks(card, lambda _: text)
    assert row["state"] == admit.NOT_VERIFIED
    assert "\n" not in row["found"] and len(row["found"]) < 600


# --- mirrors --------------------------------------------------------------------------------------


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("a key\n")
    (folder / "zero").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../secret.txt", "malformed"),
        ("/etc/hostname", "malformed"),
        ("zero", "not a file"),
        ("pipe", "not a file"),
        ("missing", "not a file"),
        (".", "not a file"),
    ],
)
def test_an_index_of_a_mirror_leads_nowhere_else(mirror: Path, path: str, words: str) -> None:
    row = f"https://host/a\t{path}\t{'0' * 64}\t1\t\n"
    (mirror / "index.tsv").write_text(f"url\tpath\tsha256\tbytes\tnote\n{row}")
    begun = time.monotonic()
    with pytest.raises(InputError, match=words):
        download.get_text("https://host/a", mirror=mirror, policy=HASTY)
    with pytest.raises(InputError, match=f"{words}|does not exist"):
        download.fetch("https://host/a", mirror / "x", mirror=mirror, policy=HASTY)
    assert time.monotonic() - begun < 10


LOCKS = {
    "another hash": f"https://host/a\t{'1' * 64}\t1\t\t\nhttps://host/a\t{'2' * 64}\t1\t\t\n",
    "no hash": "https://host/a\tabc\t1\t\t\n",
    "no size": f"https://host/a\t{'1' * 64}\t-1\t\t\n",
    "half a line": "https://host/a\t\n",
    "no address": f"\t{'1' * 64}\t1\t\t\n",
    "a quote": f'"https://host/a\t{"1" * 64}\t1\t\t\n',
    "not text": "\udcff\n",
}


@pytest.mark.parametrize("case", LOCKS)
def test_a_lock_that_was_tampered_with_stops(tmp_path: Path, case: str) -> None:
    path = tmp_path / "lock.tsv"
    text = f"url\tsha256\tbytes\tretrieved\tsource\n{LOCKS[case]}"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError):
        lock.read_lock(path)


# --- servers --------------------------------------------------------------------------------------


class Server(BaseHTTPRequestHandler):
    """Serve what is under :attr:`answers`: status, headers, body; a body may be a generator."""

    answers: ClassVar[dict[str, tuple[int, dict[str, str], Any]]] = {}

    def do_GET(self) -> None:
        status, headers, body = self.answers[self.path]
        if callable(body):
            body(self)
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made_up = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=made_up.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{made_up.server_port}"
    made_up.shutdown()
    made_up.server_close()


def _trickle(handler: Server) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    try:
        for number in range(200):
            handler.wfile.write(f"X-{number}: x\r\n".encode())
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        pass


def _for_ever(line: bytes) -> Any:
    """Return a body that repeats a line of the head."""

    def send(handler: Server) -> None:
        try:
            while True:
                handler.wfile.write(line)
        except OSError:
            pass

    return send


ANSWERS: dict[str, tuple[tuple[int, dict[str, str], Any], str]] = {
    "two codings": (
        (200, {"Content-Encoding": "gzip, gzip"}, gzip.compress(made.bomb(1 << 24))),
        "packed as 'gzip, gzip'",
    ),
    "a coding of its own": ((200, {"Content-Encoding": "br"}, b"x"), "packed as 'br'"),
    "a bomb": (
        (200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(80 << 20), 1)),
        "larger than|bomb",
    ),
    "a head that trickles": ((200, {}, _trickle), "head of the answer took longer"),
    "a head without end": ((200, {}, _for_ever(b"HTTP/1.1 100 Continue\r\n\r\n")), "head|gave up"),
    "a header of 10 MB": (
        (
            200,
            {},
            lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 10_000_000),
        ),
        "gave up",
    ),
    "to wait for a superscript": ((503, {"Retry-After": "\u00b2"}, b""), "HTTP 503"),
    "to wait for ever": ((503, {"Retry-After": "9" * 400}, b""), "HTTP 503"),
    "to wait until the year 99999": (
        (503, {"Retry-After": "Mon, 01 Jan 99999 00:00:00 GMT"}, b""),
        "HTTP 503",
    ),
    "to itself": ((302, {"Location": "/a.tsv"}, b""), "redirects"),
    "to nowhere": ((302, {}, b""), "not http"),
    "to half an address": ((302, {"Location": "http://[::1"}, b""), "not http|Invalid URL"),
    "to a mapped address": (
        (302, {"Location": "http://[::ffff:10.0.0.1]/"}, b""),
        "private network",
    ),
    "to an address in octal": (
        (302, {"Location": "http://012.0.0.1/"}, b""),
        "private network|Invalid URL",
    ),
    "to a number": ((302, {"Location": "http://167772161/"}, b""), "private network"),
    "to a neighbour": ((302, {"Location": "//10.0.0.1/"}, b""), "private network"),
    "to a file": ((302, {"Location": "file:///etc/passwd"}, b""), "not http"),
    "to this machine": ((302, {"Location": "http://localhost:1/"}, b""), "private network"),
    "to metadata": ((302, {"Location": "http://169.254.169.254/"}, b""), "private network"),
    "to a private network": ((302, {"Location": "http://10.0.0.1/"}, b""), "private network"),
    "a page for a file": ((200, {}, PAGE.encode()), "web page|larger"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_that_means_harm(server: str, tmp_path: Path, case: str) -> None:
    answer, words = ANSWERS[case]
    Server.answers = {"/a.tsv": answer}
    begun = time.monotonic()
    hasty = IMPATIENT if "a head" in case else HASTY
    with pytest.raises(InputError, match=words):
        if "page" in case:
            download.fetch(f"{server}/a.tsv", tmp_path / "a.tsv", policy=hasty)
        else:
            download.get_text(f"{server}/a.tsv", policy=hasty)
    assert time.monotonic() - begun < 10


HEADERS: list[dict[str, str]] = [
    {"ETag": '"\u00e9"'},
    {"Last-Modified": "\u00b2"},
    {"ETag": '"a\tb"'},
    {"Content-Range": f"bytes 0-9/{'9' * 5000}"},
    {"Content-Type": "text/html; charset=\u00b2"},
    {"Set-Cookie": "a=b; domain=.org; expires=\u00b2"},
]


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("status", [200, 206, 416])
def test_odd_headers_end_in_words(
    server: str, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    """The connection ends too soon, so that the file is asked for again with what was said."""
    Server.answers = {"/a.tsv": (status, {"Content-Length": "30", **headers}, b"gene\tGSM1\n")}
    with pytest.raises(InputError, match="gave up|announces|longer"):
        download.fetch(f"{server}/a.tsv", tmp_path / "a.tsv", policy=replace(HASTY, attempts=2))


def test_a_byte_per_try_is_no_progress(server: str, tmp_path: Path) -> None:
    def drip(handler: Server) -> None:
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        handler.wfile.write(
            f"HTTP/1.1 206 A\r\nETag: a\r\nContent-Range: bytes {start}-999/1000\r\n"
            f"Content-Length: {1000 - start}\r\n\r\nx".encode()
        )
        time.sleep(0.1)

    Server.answers = {"/a.tsv": (200, {}, drip)}
    slow = replace(HASTY, attempts=3, slow_bytes_per_second=1000.0)
    begun = time.monotonic()
    with pytest.raises(InputError, match="gave up after 3 tries"):
        download.fetch(f"{server}/a.tsv", tmp_path / "a.tsv", sha256="0" * 64, policy=slow)
    assert time.monotonic() - begun < 10


class Talker(socketserver.StreamRequestHandler):
    """An ftp server that answers as it should until it is asked for the file,
    and then never ends.
    """

    words: ClassVar[dict[str, str]] = {"SIZE": "213 10", "MDTM": "213 20240101000000"}

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        for raw in self.rfile:
            command = raw.split()[0].decode()
            if command in ("EPSV", "PASV"):
                data = socket.create_server(("127.0.0.1", 0))
                port = data.getsockname()[1]
                said = f"229 Entering (|||{port}|)" if command == "EPSV" else ""
                said = said or f"227 Entering (10,0,0,1,{port // 256},{port % 256})"
                self.wfile.write(f"{said}\r\n".encode())
            elif command in ("RETR", "QUIT"):
                with suppress(OSError):
                    while True:
                        self.wfile.write(b"150-and so on\r\n")
            else:
                said = self.words.get(command, "331 go on" if command == "USER" else "200 ok")
                self.wfile.write(f"{said}\r\n".encode())


@pytest.mark.parametrize("size", ["213 10", "213 abc", "213 -5", f"213 {'9' * 500}", "213 \u00b2"])
def test_an_ftp_server_that_talks_for_ever(
    size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setitem(Talker.words, "SIZE", size)
    made_up = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talker)
    made_up.daemon_threads = True
    threading.Thread(target=made_up.serve_forever, args=(0.02,), daemon=True).start()
    begun = time.monotonic()
    try:
        with pytest.raises(InputError, match="gave up"):
            download.fetch(
                f"ftp://127.0.0.1:{made_up.server_address[1]}/a.tsv",
                tmp_path / "a.tsv",
                policy=IMPATIENT,
            )
    finally:
        made_up.shutdown()
        made_up.server_close()
    assert time.monotonic() - begun < 10


def test_a_page_for_a_file_is_tried_again_by_the_next_run(server: str, tmp_path: Path) -> None:
    Server.answers = {"/a.tsv": ANSWERS["a page for a file"][0]}
    files = {"counts": {"url": f"{server}/a.tsv"}}
    card = {"id": "x", "accession": "x", "organism": "human", "files": files, "citation": {}}
    manifest, rows = fetch.study_files(card, cache=tmp_path, policy=HASTY)
    assert not manifest
    assert rows[0]["state"] == admit.UNREACHABLE


def test_what_nobody_foresaw_is_one_files_failure(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fetch.addresses

    def odd(file: Any, **more: Any) -> list[str]:
        if file["url"] == "odd.csv":
            raise RecursionError("too deep /root/secret/place")
        return real(file, **more)

    monkeypatch.setattr(fetch, "addresses", odd)
    files = {"odd": {"url": "odd.csv"}, "sound": {"url": "sound.csv"}}
    card = {"id": "x", "accession": "x", "organism": "human", "files": files, "citation": {}}
    manifest, rows = fetch.study_files(card, cache=project / "cache", policy=HASTY)
    assert [row["name"] for row in manifest] == ["sound"]
    assert rows[0]["state"] == admit.FAILED and "RecursionError" in rows[0]["found"]
    assert "/root" not in rows[0]["found"]


def test_names_in_the_cache_never_collide(project: Path) -> None:
    (project / "a").mkdir()
    (project / "a" / "sound.csv").write_text("other\n")
    files = {"one": {"url": "sound.csv"}, "two": {"url": "a/sound.csv"}}
    files["sound"] = {"url": f"linked.csv?file={'x' * 400}.csv"}
    card = {"id": "x", "accession": "x", "organism": "human", "files": files, "citation": {}}
    manifest, _ = fetch.study_files(card, cache=project / "cache", policy=HASTY)
    paths = [row["path"] for row in manifest]
    assert len(set(paths)) == 2
    assert all(len(Path(path).name) < 200 for path in paths)
