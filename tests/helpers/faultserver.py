"""Local HTTP and FTP servers that misbehave on purpose, and payloads to serve."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import random
import shlex
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

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
    start_at: int | None = None  # serve another range than the one asked for


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
        scripts, missing = self.server.scripts, Reply(b"not here", 404, etag=None)
        script = scripts.get(self.path, scripts.get(path, missing))
        reply = script(number, headers) if callable(script) else script
        body, status, extra = reply.body, reply.status, dict(reply.headers)
        wanted = headers.get("range", "")
        unchanged = headers.get("if-range") in (None, reply.etag, MODIFIED)
        if wanted and reply.ranges and status == 200 and (unchanged or not reply.check_if_range):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            start = start if reply.start_at is None else reply.start_at
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


class _ArchiveHandler(_Handler):
    """Answers for any host, by its whole address: it stands in for the network, as a proxy does."""

    server: Archives
    host = ""

    def do_CONNECT(self) -> None:
        self.host = self.path.removesuffix(":443")
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb")
        self.close_connection = False

    def do_GET(self) -> None:
        self._located(lambda: self._answer(""))

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self._located(lambda: self._answer(form))

    def _located(self, answer: Callable[[], None]) -> None:
        if self.host:
            self.path = f"https://{self.host}{self.path}"
        answer()


class FaultServer(ThreadingHTTPServer):
    """Serves ``scripts`` (path to reply) and notes the requests in ``seen``."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, handler: type[_Handler] = _Handler) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.scripts: dict[str, Script] = {}
        self.seen: list[tuple[str, dict[str, str], str]] = []
        self.guard = threading.Lock()

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the exercise."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Archives(FaultServer):
    """The public archives on this machine: ``scripts`` by whole address, TLS and all.

    Set as the proxy of the environment it receives what is meant for the archives, so that the code
    under test asks its true addresses.
    """

    HOSTS = (
        "ftp.ncbi.nlm.nih.gov",
        "www.ncbi.nlm.nih.gov",
        "eutils.ncbi.nlm.nih.gov",
        "www.ebi.ac.uk",
        "ftp.ebi.ac.uk",
        "ftp.sra.ebi.ac.uk",
        "api.cellxgene.cziscience.com",
        "datasets.cellxgene.cziscience.com",
        "recount-opendata.s3.amazonaws.com",
        "data.idies.jhu.edu",
    )

    def __init__(self, certificate: Path) -> None:
        super().__init__(_ArchiveHandler)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate)

    def serve(self, url: str, content: bytes | str | Reply) -> None:
        """Give out ``content`` under an address."""
        if not isinstance(content, Reply):
            content = Reply(content.encode() if isinstance(content, str) else content)
        self.scripts[url] = content

    def folder(self, url: str, files: dict[str, bytes]) -> None:
        """Give out a folder: its files, and their listing as Apache writes it."""
        lines = [
            f'<a href="{quote(name)}">{name}</a>   2024-05-01 10:00  {max(1, len(content) >> 10)}K'
            for name, content in files.items()
        ]
        head = '<pre>Name Last modified Size<hr><a href="/geo/">Parent Directory</a>   -'
        self.serve(url, "\n".join([f"<html><body>{head}", *lines, "<hr></pre></body></html>"]))
        for name, content in files.items():
            self.serve(url + quote(name), content)


def certificate(folder: Path) -> Path:
    """Make a key and a certificate for all hosts of :class:`Archives`; needs openssl."""
    names = ",".join(f"DNS:{host}" for host in Archives.HOSTS)
    subprocess.run(
        shlex.split(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=archives "
            f"-addext subjectAltName={names} -out cert.pem -keyout key.pem"
        ),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    pair = folder / "archives.pem"
    pair.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return pair


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


class FtpServer(socketserver.ThreadingTCPServer):
    """The few commands that a download needs; ``files`` by path, cut once at ``stop_at``."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _FtpHandler)
        self.files: dict[str, bytes] = {}
        self.stop_at: int | None = None
        self.seen: list[str] = []

    def url(self, path: str) -> str:
        return f"ftp://127.0.0.1:{self.server_address[1]}{path}"


class _FtpHandler(socketserver.StreamRequestHandler):
    server: FtpServer

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        self.say("220 ready")
        rest, data = 0, socket.socket()
        for raw in self.rfile:
            line = raw.decode().strip()
            self.server.seen.append(line)
            command, _, value = line.partition(" ")
            content = self.server.files.get(value)
            if command in ("SIZE", "MDTM", "RETR") and content is None:
                self.say("550 no such file")
            elif command == "SIZE":
                self.say(f"213 {len(content or b'')}")
            elif command == "MDTM":
                self.say("213 20240501100000")
            elif command in ("EPSV", "PASV"):
                data = socket.create_server(("127.0.0.1", 0))
                port = data.getsockname()[1]
                passive = f"227 Entering (127,0,0,1,{port // 256},{port % 256})"
                self.say(f"229 Entering (|||{port}|)" if command == "EPSV" else passive)
            elif command == "REST":
                rest = int(value)
                self.say("350 restarting")
            elif command == "RETR":
                self.say("150 here it comes")
                stop, self.server.stop_at = self.server.stop_at, None
                with data.accept()[0] as line_out:
                    line_out.sendall((content or b"")[rest:stop])
                rest = 0
                if stop is not None:
                    return
                self.say("226 done")
            elif command == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("331 go on" if command == "USER" else "200 ok")
