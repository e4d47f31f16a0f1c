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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from alsmuscle import obtain, sources, verify
from alsmuscle.errors import InputError
from alsmuscle.fetch import FetchError, FetchPolicy, get_text, peek, redact

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
    """A client (URL in, text out) that notes what it asked, and asks nothing and no dead host twice.

    Attributes
    ----------
    policy
        Patience and pace of :func:`alsmuscle.fetch.get_text`.
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
        """Return the size that a server announces for a file (:func:`alsmuscle.fetch.peek`)."""
        return self._noted(url, lambda: peek(url, policy=self.policy))

    def _noted(self, url: str, ask: Callable[[], T]) -> T:
        host = urlsplit(url).hostname or ""
        if host in self._down:
            raise FetchError(f"{host} could not be reached", url=url)
        begun, row = time.monotonic(), {"url": redact(url), "answer": "", "problem": ""}
        try:
            answer = ask()
            row["answer"] = f"{len(answer)} characters" if isinstance(answer, str) else "there"
            return answer
        except FetchError as error:
            row["problem"] = error.problem
            if error.status is None:
                self._down.add(host)
            raise
        finally:
            self.asked.append({**row, "seconds": round(time.monotonic() - begun, 2)})


@dataclass(frozen=True)
class Survey:
    """What the archives said.

    Attributes
    ----------
    cards
        ``id, accession, status, result, detail``, one row per card.
    facts
        ``id, field, card, archive, agrees``.
    samples
        ``id, sample, field, value``.
    files
        ``id, folder, name, bytes``.
    """

    cards: pd.DataFrame
    facts: pd.DataFrame
    samples: pd.DataFrame
    files: pd.DataFrame


def survey(
    cards: Mapping[str, Mapping[str, Any]],
    client: Archives,
    broken: Mapping[str, str] | None = None,
) -> Survey:
    """Hold each card against its archive; nothing that an archive does stops the others.

    ``broken`` (id → message) are cards that could not be read; they are listed as such.
    """
    import pandas as pd

    rows: list[tuple[str, str, str, str, str]] = []
    facts: list[pd.DataFrame] = []
    samples: list[pd.DataFrame] = []
    files: list[tuple[str, str, str, object]] = []
    for name, card in cards.items():
        answers: list[pd.DataFrame] = []
        unreached, refused = [], []
        looks: list[Callable[[], None]] = [
            lambda card=card, answers=answers: answers.append(verify.compare(card, client)),  # type: ignore[misc]
            lambda card=card, answers=answers: answers.append(_elsewhere(card, client)),  # type: ignore[misc]
            lambda card=card, name=name: _more(name, card["accession"], client, samples, files),  # type: ignore[misc]
        ]
        for look in looks[0 if verify.holder(card["accession"]) else 1 :]:
            try:
                look()
            except FetchError as error:
                unreached.append(error.problem)
            except InputError as error:
                refused.append(error.problem)
        table = _stacked(answers, list(verify.COLUMNS)).assign(id=name)
        facts.append(table)
        lacking = table.loc[~table["agrees"].astype(bool), "field"].tolist()
        if lacking:
            result, detail = DIFFERS, ", ".join(lacking)
        elif refused:
            result, detail = NO_RECORD, refused[0]
        elif unreached:
            result, detail = UNREACHED, unreached[0]
        else:
            result, detail = (AGREES if len(table) else UNCHECKED), ""
        rows.append((name, card["accession"], card["status"], result, detail))
    rows += [(name, "", "", BROKEN, text.split("\n")[0]) for name, text in (broken or {}).items()]
    return Survey(
        pd.DataFrame(rows, columns=["id", "accession", "status", "result", "detail"]),
        _stacked(facts, ["id", "field", "card", "archive", "agrees"]),
        _stacked(samples, ["id", "sample", "field", "value"]),
        pd.DataFrame(files, columns=["id", "folder", "name", "bytes"]),
    )


def _elsewhere(card: Mapping[str, Any], client: Archives) -> pd.DataFrame:
    """Knock at the files that lie in no folder that an archive lists: plain addresses, recount3…"""
    import pandas as pd

    rows: list[tuple[str, str, str, bool]] = []
    for name, file in card.get("files", {}).items():
        if str(file.get("source", "")).startswith(("geo_", "biostudies", "ena_")):
            continue
        urls = obtain.addresses(
            file, accession=card["accession"], organism=card["organism"], ask=client
        )
        if urls[0].startswith((sources.GEO, sources.BIOSTUDIES)) or "://" not in urls[0]:
            continue
        size, said = _first(urls, client)
        wanted = f"{urls[0]}, {file['bytes']:,} bytes" if "bytes" in file else urls[0]
        agrees = said.startswith("there") and size in (None, file.get("bytes", size))
        rows.append((f"files.{name}", wanted, said, agrees))
    return pd.DataFrame(rows, columns=list(verify.COLUMNS))


def _first(urls: Sequence[str], client: Archives) -> tuple[int | None, str]:
    """Return size and words for the first of equivalent addresses that serves the file."""
    refused: FetchError | None = None
    for url in urls:
        try:
            size = client.peek(url)
            return size, "there" if size is None else f"there, {size:,} bytes"
        except FetchError as error:
            if error.status is not None or refused is None:
                refused = error
    assert refused is not None
    if refused.status is None:
        raise refused
    return None, refused.problem


def _stacked(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([pd.DataFrame(columns=columns), *tables], ignore_index=True)[columns]


def _more(
    name: str,
    accession: str,
    client: Archives,
    samples: list[pd.DataFrame],
    files: list[tuple[str, str, str, object]],
) -> None:
    """Add what completes a card: what the archive says of each sample, and its files."""
    archive = verify.holder(accession)
    if archive == "GEO":
        sheet = sources.parse_soft_samples(client(sources.geo_brief(accession, "gsm")))
        samples.append(_long(sheet, "geo_accession").assign(id=name))
        for part in ("suppl", "matrix"):
            folder = sources.geo_folder(accession, part)
            names = verify.listed(folder, client)
            files += [(name, folder, file, "") for file in names]
            if "filelist.txt" in names:
                inside = sources.parse_filelist(client(f"{folder}filelist.txt"))
                files += [
                    (name, "filelist.txt", row.name, row.bytes) for row in inside.itertuples(False)
                ]
        page = sources.ncbi_counts_page(accession)
        files += [(name, page, file, "") for file in sources.parse_counts_page(client(page))]
    elif archive == "ENA":
        sheet = sources.parse_file_report(client(sources.ena_file_report(accession)))
        samples.append(_long(sheet, "run_accession").assign(id=name))
    elif archive == "BioStudies":
        listed = sources.parse_biostudies_study(client(sources.biostudies_study(accession)))
        files += [(name, "BioStudies", row.path, row.bytes) for row in listed.itertuples()]


def _long(sheet: pd.DataFrame, key: str) -> pd.DataFrame:
    long = sheet.melt(id_vars=key, var_name="field").rename(columns={key: "sample"})
    told = long["value"].ne("") & ~long["field"].str.match(_BORING)
    return long[told].sort_values(["sample", "field"], kind="stable")


# Laboratory protocols and addresses: long, the same for all samples, and of no use here.
_BORING = (
    r"contact|extract_protocol|data_processing|growth_protocol|treatment_protocol|status$|.*date"
)


def pack(found: Survey, asked: list[dict[str, object]], versions: Mapping[str, str]) -> bytes:
    """Return the bundle: a zip of tables that open anywhere."""
    import pandas as pd

    requests = pd.DataFrame(asked, columns=["url", "answer", "problem", "seconds"])
    tables = {**vars(found), "requests": requests}
    content = {f"{name}.tsv": tsv(table) for name, table in tables.items()}
    content["versions.json"] = json.dumps(dict(versions), indent=1, sort_keys=True) + "\n"
    content["README.txt"] = _README
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(f"alsmuscle-check/{name}", redact(text))
    return buffer.getvalue()


def tsv(table: pd.DataFrame) -> str:
    """Return a table as tab-separated text, one line a row."""
    plain = table.map(lambda cell: " ".join(cell.split()) if isinstance(cell, str) else cell)
    return str(plain.to_csv(sep="\t", index=False))
