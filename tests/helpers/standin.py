"""A stand-in for NCBI and GEO: answers in the shape of recorded ones, from memory or over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from alsmuscle.archives import geo
from alsmuscle.download.policy import FetchError

HEADER = {"type": "", "version": "0.3"}


def record(number: int, **fields: Any) -> dict[str, Any]:
    """A document summary with the fields that the real ones have."""
    return {
        "uid": f"2{number:08d}",
        "accession": f"GSE{number}",
        "gpl": "24676",
        "taxon": "Homo sapiens",
        "entrytype": "GSE",
        "gdstype": "Expression profiling by high throughput sequencing",
        "pdat": "2024/05/01",
        "suppfile": "CSV",
        "title": f"Muscle study {number}",
        "summary": "Biopsies of vastus lateralis.",
        "n_samples": 6,
        "samples": [],
        "pubmedids": ["28166221"],
        "extrelations": [{"relationtype": "SRA", "targetobject": f"SRP{number}"}],
        "ftplink": f"ftp://ftp.ncbi.nlm.nih.gov/geo/series/GSEnnn/GSE{number}/",
        "bioproject": "PRJNA1",
        **fields,
    }


class Archive:
    """Answers E-utilities from ``records`` and ``hits``, all else from ``pages``."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.hits: dict[str, list[str]] = {}
        self.pages: dict[str, str | bytes] = {}
        self.links: list[str] = []
        self.asked: list[str] = []

    def add(self, *records: dict[str, Any]) -> None:
        self.records |= {item["uid"]: item for item in records}

    def __call__(self, url: str) -> Any:
        self.asked.append(url)
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        if "esearch" in url:
            hits = self.hits.get(query["term"], [])
            start, size = int(query["retstart"]), int(query["retmax"])
            page = hits[start : start + size]
            result = {
                "count": str(len(hits)),
                "retmax": str(len(page)),
                "retstart": str(start),
                "idlist": page,
                "querytranslation": query["term"],
            }
            return json.dumps({"header": HEADER, "esearchresult": result})
        if "esummary" in url:
            uids = [uid for uid in query["id"].split(",") if uid in self.records]
            found = {uid: self.records[uid] for uid in uids}
            return json.dumps({"header": HEADER, "result": {"uids": uids, **found}})
        if "elink" in url:
            return json.dumps({"linksets": [{"linksetdbs": [{"links": self.links}]}]})
        if url not in self.pages:
            raise FetchError("HTTP 404 Not Found", url=url, status=404)
        return self.pages[url]


def soft(samples: list[dict[str, str]]) -> str:
    lines = []
    for number, characteristics in enumerate(samples, start=1):
        lines += [
            f"^SAMPLE = GSM{number}",
            f"!Sample_title = Müller-{number} 1a",
            f"!Sample_geo_accession = GSM{number}",
        ]
        lines += [
            f"!Sample_characteristics_ch1 = {name}: {value}"
            for name, value in characteristics.items()
        ]
    return "\n".join(lines)


def listing(*names: str) -> str:
    rows = "".join(f'<a href="{name}">{name}</a>  2024-05-01 10:00  1K\n' for name in names)
    return f"<pre>{rows}</pre>"


def series(archive: Archive, number: int, groups: list[str], *files: str, **fields: Any) -> str:
    accession = f"GSE{number}"
    archive.add(record(number, n_samples=len(groups), **fields))
    people = [
        {"disease": group, "Sex": "F" if index % 2 else "male", "age": f"{40 + index} years"}
        | {"tissue": "Vastus lateralis"}
        for index, group in enumerate(groups)
    ]
    archive.pages[geo.geo_brief(accession, "gsm")] = soft(people)
    archive.pages[geo.geo_folder(accession, "suppl")] = listing(*files)
    archive.pages[geo.geo_folder(accession, "matrix")] = listing(
        f"{accession}_series_matrix.txt.gz"
    )
    archive.pages[geo.ncbi_counts_page(accession)] = "<html></html>"
    return accession


# --- the same over HTTP ---------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def log_message(self, *_: object) -> None:
        """Keep the test output clean."""

    def do_GET(self) -> None:
        self._answer("")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def _answer(self, form: str) -> None:
        url = "https:/" + self.path
        self.server.asked.append((url, form))
        bare = "&".join(part for part in form.split("&") if not part.startswith("api_key="))
        status, headers, body = self.server.reply(f"{url}?{bare}" if bare else url)
        content = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class StandIn(ThreadingHTTPServer):
    """Serves an :class:`Archive` under ``/<host>/<path>``; ``faults`` come first.

    ``faults`` holds ``(part of the URL, replies)``: as long as replies ``(status, headers, body)``
    are left, a URL with that part gets the next one; an endless iterator is a lasting fault.
    """

    daemon_threads = True

    def __init__(self, archive: Archive) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.archive = archive
        self.faults: list[tuple[str, Iterator[tuple[int, dict[str, str], str]]]] = []
        self.asked: list[tuple[str, str]] = []

    def reply(self, url: str) -> tuple[int, dict[str, str], Any]:
        for part, replies in self.faults:
            if part in url and (reply := next(replies, None)):
                return reply
        try:
            return 200, {}, self.archive(url)
        except FetchError as error:
            return error.status or 404, {}, "<html>not here</html>"

    def client(self) -> Callable[..., httpx.Client]:
        """Return a stand-in for the downloader's client maker: every host leads to this server."""
        port = self.server_address[1]

        class Through(httpx.HTTPTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                path = f"/{request.url.host}".encode() + request.url.raw_path
                url = httpx.URL(scheme="http", host="127.0.0.1", port=port, raw_path=path)
                headers = [item for item in request.headers.raw if item[0].lower() != b"host"]
                return super().handle_request(
                    httpx.Request(request.method, url, headers=headers, content=request.read())
                )

        def make(_: object) -> httpx.Client:
            return httpx.Client(transport=Through(verify=False), timeout=5)

        return make


@contextmanager
def serving(archive: Archive) -> Iterator[StandIn]:
    """Run a stand-in on the loopback interface."""
    with StandIn(archive) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()
