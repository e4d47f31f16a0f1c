"""Hold every card against the live archives and pack what was seen into one file to share.

Made for the first contact: cards are written where no archive can be reached, and a user who can
reach them sends the bundle back. It holds the archives' public answers, versions and nothing of the
user: no path, no key, no name.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from alsmuscle.archives import biostudies, ena, geo
from alsmuscle.core import log, redaction
from alsmuscle.core.errors import InputError, PassingError
from alsmuscle.core.redaction import secrets as redact
from alsmuscle.data import fetch, record
from alsmuscle.data.readers import sample_sheets
from alsmuscle.download import sandbox
from alsmuscle.download.download import get_text, peek
from alsmuscle.download.policy import FetchError, FetchPolicy, TransferError

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
AGREES, DIFFERS, UNREACHED, NO_RECORD = "agrees", "differs", "not reached", "no such record"
UNCHECKED, BROKEN = "not checked", "broken card"

_README = """What alsmuscle saw when it held its study cards against the public archives.

cards.tsv     one line per card: agrees, differs, not reached, no such record, not checked
facts.tsv     what was compared: the card's value, the archive's value
samples.tsv   what the archive says of each sample
files.tsv     what the archive's folders hold
requests.tsv  each request: what came, or the problem; seconds
versions.json versions of the software

Nothing here is about the machine or the person that ran it. Please attach it to an issue.
"""


@dataclass
class Archives:
    """A client (URL in, text out) that notes what it asked, and asks nothing and no dead host
    twice.

    Attributes
    ----------
    policy
        Patience and pace of :func:`alsmuscle.download.download.get_text`.
    asked
        One row per request: ``url, answer, problem, seconds``.
    """

    policy: FetchPolicy = field(
        default_factory=lambda: FetchPolicy(attempts=3, connect_timeout=10, retry_after_max=60)
    )
    asked: list[dict[str, object]] = field(default_factory=list)
    _known: dict[str, str] = field(default_factory=dict)
    _down: set[str] = field(default_factory=set)

    def __call__(self, url: str) -> str:
        """Return the text of ``url``; HTTP 204 is an empty one.

        Raises
        ------
        FetchError
            The archive did not answer, or refused.
        """
        if url not in self._known:
            answer = self._noted(url, lambda: get_text(url, ok=(200, 204), policy=self.policy).text)
            self._known[url] = answer
        return self._known[url]

    def peek(self, url: str) -> int | None:
        """Return the size that a server announces for a file
        (:func:`alsmuscle.download.download.peek`).
        """
        return self._noted(url, lambda: peek(url, policy=self.policy))

    def _noted(self, url: str, ask: Callable[[], T]) -> T:
        host = urlsplit(url).hostname or ""
        if host in self._down:
            raise TransferError(f"{host} could not be reached", url=url)
        begun, row = time.monotonic(), {"url": redact(url), "answer": "", "problem": ""}
        try:
            answer = ask()
            row["answer"] = f"{len(answer)} characters" if isinstance(answer, str) else "there"
            return answer
        except FetchError as error:
            row["problem"] = error.problem
            if isinstance(error, TransferError) and error.status is None:
                self._down.add(host)
            raise
        finally:
            self.asked.append({**row, "seconds": round(time.monotonic() - begun, 2)})


@dataclass
class Look:
    """What one look at the archive gave for one card.

    Attributes
    ----------
    id, accession, status
        Of the card.
    facts
        Rows ``field, card, archive, agrees``.
    samples
        Rows ``sample, field, value``: what the archive says of each sample.
    files
        Rows ``folder, name, bytes``: what its folders hold.
    unreached, refused
        What could not be asked, and what the archive answered instead.
    """

    id: str
    accession: str = ""
    status: str = ""
    facts: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    broken: str = ""

    @property
    def result(self) -> tuple[str, str]:
        """The outcome in a word, and what stands behind it."""
        if self.broken:
            return BROKEN, self.broken
        if differing := [row["field"] for row in self.facts if not row["agrees"]]:
            return DIFFERS, ", ".join(differing)
        if self.refused:
            return NO_RECORD, self.refused[0]
        if self.unreached:
            return UNREACHED, self.unreached[0]
        return (AGREES if self.facts else UNCHECKED), ""


def survey(cards: Iterable[Mapping[str, Any]], client: Archives) -> Iterator[Look]:
    """Hold each card against its archive; nothing that an archive does stops the others."""
    for card in cards:
        look = Look(card["id"], card["accession"], card["status"])
        for part in (_record, _elsewhere, _more):
            try:
                part(card, client, look)
            except PassingError as error:
                look.unreached.append(error.problem)
            except InputError as error:
                look.refused.append(error.problem)
            except Exception as error:
                log.get("check").info("%s", look.id, exc_info=error)
                look.unreached.append(f"not understood: {sandbox.plainly(error).problem}")
        yield look


def _record(card: Mapping[str, Any], client: Archives, look: Look) -> None:
    """Compare the card with the archive's record."""
    if record.holder(card["accession"]):
        look.facts += record.compare(card, client).to_dict("records")


def _elsewhere(card: Mapping[str, Any], client: Archives, look: Look) -> None:
    """Knock at the files that lie in no folder that an archive lists: plain addresses, recount3…"""
    for name, file in card.get("files", {}).items():
        if str(file.get("source", "")).startswith(("geo_", "biostudies", "ena_")):
            continue
        urls = fetch.addresses(
            file, accession=card["accession"], organism=card["organism"], ask=client
        )
        if urls[0].startswith((geo.GEO, biostudies.BIOSTUDIES)) or "://" not in urls[0]:
            continue
        size, said = _first(urls, client)
        wanted = f"{urls[0]}, {file['bytes']:,} bytes" if "bytes" in file else urls[0]
        agrees = said.startswith("there") and size in (None, file.get("bytes", size))
        row = (f"files.{name}", wanted, said, agrees)
        look.facts.append(dict(zip(record.COLUMNS, row, strict=True)))


def _first(urls: Sequence[str], client: Archives) -> tuple[int | None, str]:
    """Return size and words for the first of equivalent addresses that serves the file."""
    refused: FetchError | None = None
    for url in urls:
        try:
            size = client.peek(url)
            return size, "there" if size is None else f"there, {size:,} bytes"
        except FetchError as error:
            if refused is None or not isinstance(error, TransferError):
                refused = error
    if refused is None or isinstance(refused, TransferError):
        raise refused or InputError("a file without an address")
    return None, refused.problem


def _more(card: Mapping[str, Any], client: Archives, look: Look) -> None:
    """Note what completes a card: what the archive says of each sample, and its files."""
    accession = card["accession"]
    archive = record.holder(accession)

    def note(folder: str, name: str, size: object = "") -> None:
        look.files.append({"folder": folder, "name": name, "bytes": size})

    if archive == "GEO":
        sheet = sample_sheets.parse_soft_samples(client(geo.geo_brief(accession, "gsm")))
        look.samples += _long(sheet, "geo_accession")
        for part in ("suppl", "matrix"):
            folder = geo.geo_folder(accession, part)
            names = record.listed(folder, client)
            for name in names:
                note(folder, name)
            if "filelist.txt" in names:
                inside = geo.parse_filelist(client(f"{folder}filelist.txt"))
                for row in inside.itertuples(index=False):
                    note("filelist.txt", str(row.name), row.bytes)
        page = geo.ncbi_counts_page(accession)
        for name in geo.parse_counts_page(client(page)):
            note(page, name)
    elif archive == "ENA":
        sheet = sample_sheets.parse_file_report(client(ena.ena_file_report(accession)))
        look.samples += _long(sheet, "run_accession")
    elif archive == "BioStudies":
        listed = biostudies.parse_biostudies_study(client(biostudies.biostudies_study(accession)))
        for row in listed.itertuples():
            note("BioStudies", str(row.path), row.bytes)


def _long(sheet: pd.DataFrame, key: str) -> list[dict[str, Any]]:
    """Return a sample sheet as rows ``sample, field, value``,
    without what is empty or of no use.
    """
    long = sheet.melt(id_vars=key, var_name="field").rename(columns={key: "sample"})
    told = long["value"].ne("") & ~long["field"].str.match(_BORING)
    rows = long[told].sort_values(["sample", "field"], kind="stable").to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


# Laboratory protocols and addresses: long, the same for all samples, and of no use here.
_BORING = (
    r"contact|extract_protocol|data_processing|growth_protocol|treatment_protocol|status$|.*date"
)


def pack(
    looks: Sequence[Look], asked: list[dict[str, object]], versions: Mapping[str, str]
) -> bytes:
    """Return the bundle: a zip of tables that open anywhere."""
    import pandas as pd

    def table(columns: list[str], part: str) -> pd.DataFrame:
        rows = [{"id": look.id, **row} for look in looks for row in getattr(look, part)]
        return pd.DataFrame(rows, columns=["id", *columns])

    cards = [(look.id, look.accession, look.status, *look.result) for look in looks]
    tables = {
        "cards": pd.DataFrame(cards, columns=["id", "accession", "status", "result", "detail"]),
        "facts": table(list(record.COLUMNS), "facts"),
        "samples": table(["sample", "field", "value"], "samples"),
        "files": table(["folder", "name", "bytes"], "files"),
        "requests": pd.DataFrame(asked, columns=["url", "answer", "problem", "seconds"]),
    }
    content = {f"{name}.tsv": tsv(frame) for name, frame in tables.items()}
    content["versions.json"] = json.dumps(dict(versions), indent=1, sort_keys=True) + "\n"
    content["README.txt"] = _README
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(f"alsmuscle-check/{name}", redaction.shown(text))
    return buffer.getvalue()


def shared(text: str) -> str:
    """Return a cell of a table that is sent to others: one line, no secret, no formula."""
    return redaction.cell(redaction.shown(" ".join(text.split())))


def tsv(table: pd.DataFrame) -> str:
    """Return a table as tab-separated text, one line a row."""
    plain = table.map(lambda cell: shared(cell) if isinstance(cell, str) else cell)
    return str(plain.to_csv(sep="\t", index=False))
