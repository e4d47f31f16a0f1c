"""A local HTTP server that misbehaves on purpose, and payloads to serve."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alsmuscle.fetch import FetchPolicy

MODIFIED = "Wed, 01 May 2024 10:00:00 GMT"


@dataclass
class Reply:
    """One answer of the server; the defaults are those of a well-behaved archive."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = '"v1"'
    length: bool = True  # announce Content-Length
    announce: int | None = None  # announce another length than the body has
    ranges: bool = True  # honour Range
    check_if_range: bool = True
    stop_at: int | None = None  # close the connection after so many bytes
    reset: bool = False  # ... with a TCP reset
    pause: float = 0.0  # seconds between blocks
    block: int = 1 << 16
    content_range: str | None = None  # send this instead of the true one


Script = Reply | Callable[[int, dict[str, str]], Reply]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultServer

    def log_message(self, *_: object) -> None:
        """Keep the test output clean."""

    def do_GET(self) -> None:
        self._answer("")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def _answer(self, form: str) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = self.path.partition("?")[0]
        with self.server.guard:
            self.server.seen.append((self.path, headers, form))
            number = sum(seen.partition("?")[0] == path for seen, _, _ in self.server.seen)
        script = self.server.scripts.get(path, Reply(b"not here", 404, etag=None))
        reply = script(number, headers) if callable(script) else script
        body, status, extra = reply.body, reply.status, dict(reply.headers)
        wanted = headers.get("range", "")
        unchanged = headers.get("if-range") in (None, reply.etag, MODIFIED)
        if wanted and reply.ranges and status == 200 and (unchanged or not reply.check_if_range):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                extra["Content-Range"] = f"bytes */{len(body)}"
                body, status = b"", 416
            else:
                true = f"bytes {start}-{len(body) - 1}/{len(body)}"
                extra["Content-Range"] = reply.content_range or true
                body, status = body[start:], 206
        self.send_response(status)
        if reply.etag:
            extra.setdefault("ETag", reply.etag)
        if reply.length:
            extra.setdefault("Content-Length", str(reply.announce or len(body)))
        else:
            extra["Connection"] = "close"
            self.close_connection = True
        for name, value in extra.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.stop_at is not None:
            body = body[: max(0, reply.stop_at)]
            self.close_connection = True
        try:
            for begin in range(0, len(body), reply.block):
                self.wfile.write(body[begin : begin + reply.block])
                self.wfile.flush()
                if reply.pause:
                    time.sleep(reply.pause)
            if reply.reset:
                self.close_connection = True
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
        except OSError:
            self.close_connection = True

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()


class FaultServer(ThreadingHTTPServer):
    """Serves ``scripts`` (path to reply) and notes the requests in ``seen``."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scripts: dict[str, Script] = {}
        self.seen: list[tuple[str, dict[str, str], str]] = []
        self.guard = threading.Lock()

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the exercise."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    server = FaultServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def own_limits(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the limits per host of one test away from all others; no proxies, no key."""
    folder = str(tmp_path_factory.mktemp("limits"))
    monkeypatch.setattr("tempfile.tempdir", folder)
    monkeypatch.setenv("TMPDIR", folder)
    for name in ("http_proxy", "https_proxy", "all_proxy", "NCBI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def policy() -> FetchPolicy:
    return FetchPolicy(
        attempts=3,
        connect_timeout=2,
        read_timeout=1,
        slow_seconds=0.4,
        slow_bytes_per_second=20_000,
        wait_initial=0.01,
        wait_max=0.05,
        retry_after_max=2,
        per_host=20,
        per_second=5000,
        keep_free=0,
    )


def _counts(rows: int) -> bytes:
    draw = random.Random(11)
    lines = ["gene\ts1\ts2"]
    lines += [
        f"ENSG{row:011d}\t{draw.randrange(10**6)}\t{draw.randrange(10**6)}" for row in range(rows)
    ]
    return ("\n".join(lines) + "\n").encode()


TABLE = _counts(20_000)
PACKED = gzip.compress(TABLE, mtime=0)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
