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
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from alsmuscle import discover
from alsmuscle.errors import InputError
from alsmuscle.fetch import FetchError, FetchPolicy, get_text, redact

if TYPE_CHECKING:
    import pandas as pd

AGREES, DIFFERS, UNREACHED, NO_RECORD = "agrees", "differs", "not reached", "no such record"
UNCHECKED, BROKEN = "not checked", "broken card"

_README = """What alsmuscle saw when it held its study cards against the public archives.

cards.tsv     one line per card: agrees, differs, not reached, no such record, not checked
facts.tsv     what was compared: the card's value, the archive's value
samples.tsv   what the archive says of each sample
files.tsv     what the archive's folders hold
requests.tsv  each request: status, bytes, seconds, problem
versions.json versions of the software

Nothing here is about the machine or the person that ran it. Please attach it to an issue.
"""


@dataclass
class Archives:
    """A client (URL in, text out) that notes what it asked, and asks no dead host twice.

    Attributes
    ----------
    policy
        Patience and pace of :func:`alsmuscle.fetch.get_text`.
    asked
        One row per request: ``url, status, bytes, seconds, problem``.
    """

    policy: FetchPolicy = field(
        default_factory=lambda: FetchPolicy(attempts=3, connect_timeout=10, retry_after_max=60)
    )
    asked: list[dict[str, object]] = field(default_factory=list)
    _down: set[str] = field(default_factory=set)

    def __call__(self, url: str) -> str:
        """Return the text of ``url``; HTTP 204 is an empty one.

        Raises
        ------
        FetchError
            The archive did not answer, or refused.
        """
        host = urlsplit(url).hostname or ""
        if host in self._down:
            raise FetchError(f"{host} could not be reached", url=url)
        begun, row = time.monotonic(), {"url": redact(url), "status": "", "bytes": 0, "problem": ""}
        try:
            answer = get_text(url, ok=(200, 204), policy=self.policy)
            row |= {"status": answer.status, "bytes": len(answer.text.encode())}
            return answer.text
        except FetchError as error:
            row |= {"status": error.status or "", "problem": error.problem}
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
    client: discover.Client,
    broken: Mapping[str, str] | None = None,
) -> Survey:
    """Hold each card against its archive; nothing that an archive does stops the others.

    ``broken`` (id → message) are cards that could not be read; they are listed as such.
    """
    import pandas as pd

    rows: list[tuple[str, str, str, str, str]] = []
    facts: list[pd.DataFrame] = []
    for name, card in cards.items():
        result, detail = AGREES, ""
        try:
            table = discover.compare(card, client)
            facts.append(table.assign(id=name))
            if not table["agrees"].all():
                result = DIFFERS
                detail = ", ".join(table.loc[~table["agrees"], "field"])
        except FetchError as error:
            result, detail = UNREACHED, error.problem
        except InputError as error:
            result, detail = NO_RECORD, error.problem
        rows.append((name, card["accession"], card["status"], result, detail))
    rows += [(name, "", "", BROKEN, text.split("\n")[0]) for name, text in (broken or {}).items()]
    columns = ["id", "field", "card", "archive", "agrees"]
    return Survey(
        pd.DataFrame(rows, columns=["id", "accession", "status", "result", "detail"]),
        pd.concat(facts)[columns] if facts else pd.DataFrame(columns=columns),
        pd.DataFrame(columns=["id", "sample", "field", "value"]),
        pd.DataFrame(columns=["id", "folder", "name", "bytes"]),
    )


def pack(found: Survey, asked: list[dict[str, object]], versions: Mapping[str, str]) -> bytes:
    """Return the bundle: a zip of tables that open anywhere."""
    import pandas as pd

    requests = pd.DataFrame(asked, columns=["url", "status", "bytes", "seconds", "problem"])
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
    return str(table.replace(r"[\t\r\n]+", " ", regex=True).to_csv(sep="\t", index=False))
