"""A card against the archive's own record: organism, number of samples, ids, characteristics,
files.

Nothing here opens a connection: a ``client`` (URL in, text out) is handed in. Each archive tells
what it knows as a :class:`Record`; the comparison is the same for all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import pandas as pd

from alsmuscle.archives import biostudies, catalogue, ena, eutils, geo
from alsmuscle.core import deadline, log
from alsmuscle.core.errors import InputError, PassingError
from alsmuscle.data import admit
from alsmuscle.data.readers import sample_sheets
from alsmuscle.data.samples import sample_ids
from alsmuscle.download import sandbox
from alsmuscle.download.policy import FetchError
from alsmuscle.reads import libraries

Client = Callable[[str], str]

ORGANISMS = {"Homo sapiens": "human", "Mus musculus": "mouse", "Rattus norvegicus": "rat"}
COLUMNS = ("field", "card", "archive", "agrees")
MOST_IDS = 100_000
_LATER = "try again later"


@dataclass(frozen=True)
class Record:
    """What an archive says of a study.

    Attributes
    ----------
    organisms
        As the archive writes them.
    n_samples
        Samples (GEO) or runs (SRA, ENA); None where the record does not count them.
    ids
        Their accessions, as far as they are listed.
    characteristics
        Name → values that occur.
    pubmed
        PubMed identifiers.
    files
        Names of the study's files by the folder's address; empty where nobody asked.
    """

    organisms: list[str]
    n_samples: int | None
    ids: list[str] = field(default_factory=list)
    characteristics: dict[str, list[str]] = field(default_factory=dict)
    pubmed: list[str] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)


def compare(card: Mapping[str, Any], client: Client) -> pd.DataFrame:
    """Hold a card's facts against the archive's record.

    Returns
    -------
    DataFrame
        ``field, card, archive, agrees``: organism, number of samples, PubMed identifier, ids,
        characteristics and files, as far as the card states and the archive lists them. Both sides
        are quoted as they are.

    Raises
    ------
    InputError
        The archive has no such study, or none of ours holds this accession.
    FetchError
        The archive did not answer.
    """
    accession = card["accession"]
    if name := holder(accession):
        return _compared(card, _ARCHIVES[name][1](card, client))
    raise InputError(
        f"no archive that alsmuscle asks holds {accession}",
        expected="an accession of GEO, SRA, ENA, ArrayExpress or BioStudies",
    )


def checks(card: Mapping[str, Any], client: Client) -> list[dict[str, str]]:
    """Return :func:`compare` as rows of contract ``checks``;
    an archive out of reach is no fault.
    """
    name = card["id"]
    if not any(_archival(file) for file in card.get("files", {}).values()):
        found = "no file of it is named by the archive's address"
        return [admit.check(name, "archive", admit.NOT_VERIFIED, card["accession"], found)]
    try:
        table = compare(card, client)
    except PassingError as error:
        said = "not reached" if isinstance(error, FetchError) else "did not answer as it should"
        found = f"archive {said}: {error.problem}"
        return [admit.check(name, "archive", admit.NOT_VERIFIED, card["accession"], found, _LATER)]
    except FetchError as error:
        found = f"archive not reached: {error.problem}"
        return [admit.check(name, "archive", admit.NOT_VERIFIED, card["accession"], found)]
    except InputError as error:
        known = holder(card["accession"])
        state = admit.DIFFERS if known else admit.NOT_VERIFIED
        return [admit.check(name, "archive", state, card["accession"], error.problem)]
    except Exception as error:
        log.get("fetch").exception("%s: the archive's record", name)
        found = f"the archive's answer is not understood: {sandbox.plainly(error).problem}"
        return [admit.check(name, "archive", admit.NOT_VERIFIED, card["accession"], found)]
    return _rows(name, "archive", table)


def sheet_checks(card: Mapping[str, Any], sheet: pd.DataFrame) -> list[dict[str, str]]:
    """Hold a card against a sample sheet that is the archive's own (series matrix, SOFT family).

    This is what can be said where the archive itself is out of reach. The sheet of a series on
    several platforms holds the samples of one, so ``archive.samples`` says nothing about it.
    """
    wanted = {key: value for key, value in card.get("archive", {}).items() if key != "samples"}
    names = ("geo_accession", "organism_ch1")
    ids, organisms = (sheet.get(name, pd.Series(dtype=str)) for name in names)
    record = Record(
        organisms=sorted(set(organisms) - {""}),
        # Of a sheet that lists runs or arrays the samples count.
        n_samples=sample_ids(sheet, card).nunique()
        if "run_id" in card.get("samples", {})
        else len(sheet),
        ids=ids.tolist(),
        characteristics=_characteristics(sheet),
    )
    return _rows(
        card["id"],
        "sheet",
        _compared({**card, "archive": wanted, "files": {}, "citation": {}}, record),
    )


def _rows(name: str, source: str, table: pd.DataFrame) -> list[dict[str, str]]:
    return [
        admit.check(
            name,
            f"{source}.{row.field}",
            admit.AGREES if row.agrees else admit.DIFFERS,
            row.card,
            row.archive,
            "" if row.agrees else "find out which side is right, then correct the card",
        )
        for row in table.itertuples()
    ]


def _archival(file: Mapping[str, Any]) -> bool:
    if file.get("source") == "fastq":  # reads of one's own
        return False
    return "source" in file or re.match(r"(?i)(https?|ftp)://", file.get("url", "")) is not None


# --- the comparison -------------------------------------------------------------------------------


def _compared(card: Mapping[str, Any], record: Record) -> pd.DataFrame:
    rows: list[tuple[str, str, str, bool]] = []
    organisms = {ORGANISMS.get(name, name) for name in record.organisms}
    if organisms:
        said = ", ".join(record.organisms)
        rows.append(("organism", card["organism"], said, card["organism"] in organisms))
    wanted = card.get("archive", {})
    expected = wanted.get("samples", card.get("samples", {}).get("expected"))
    if expected is not None and record.n_samples is not None:
        same = expected == record.n_samples
        rows.append(("samples", str(expected), str(record.n_samples), same))
    pmid = card["citation"].get("pmid")
    if pmid and record.pubmed:
        rows.append(("pmid", pmid, ", ".join(record.pubmed), pmid in record.pubmed))
    if "ids" in wanted:
        known = set(record.ids)
        lacking = [one for one in expand_ids(wanted["ids"]) if one not in known]
        said = (
            f"no {', '.join(lacking[:5])}" if lacking else f"all of them, among {len(record.ids)}"
        )
        rows.append(("ids", ", ".join(wanted["ids"]), said, not lacking))
    for name, values in wanted.get("characteristics", {}).items():
        there = record.characteristics.get(name)
        said = "; ".join(there) if there else "only " + ", ".join(record.characteristics)
        same = there is not None and set(values) <= set(there)
        rows.append((f"characteristics.{name}", "; ".join(values), said, same))
    listed = sorted({name for names in record.files.values() for name in names})
    for name in wanted.get("files", []) if record.files else []:
        rows.append((f"files:{name}", name, ", ".join(listed[:20]) or "no files", name in listed))
    for key, file in card.get("files", {}).items():
        if (place := _place(file, card)) and place[0] in record.files:
            folder, name, pattern = place
            names = record.files[folder]
            with deadline.of_pattern(pattern, f"files.{key}.match"):
                hits = [n for n in names if re.fullmatch(pattern, n)]
            said = ", ".join(hits or names[:20]) or "no files"
            rows.append((f"files.{key}", name, said, len(hits) == 1))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def expand_ids(ids: Iterable[str]) -> list[str]:
    """Return single ids of a list that may hold ranges such as ``GSM1-GSM3``.

    Examples
    --------
    >>> expand_ids(["GSM9-GSM11", "SRR1"])
    ['GSM9', 'GSM10', 'GSM11', 'SRR1']
    """
    found: list[str] = []
    for item in ids:
        ends = re.fullmatch(r"([A-Z]+)(\d{1,12})-([A-Z]+)(\d{1,12})", item)
        if not ends or ends[1] != ends[3]:
            found.append(item)
            continue
        numbers = range(int(ends[2]), int(ends[4]) + 1)
        if len(numbers) > MOST_IDS:
            raise InputError(f"the range {item} has {len(numbers):,} ids", expected="a study's own")
        found += [f"{ends[1]}{number}" for number in numbers]
    return found


def _place(file: Mapping[str, Any], card: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return folder, name and the name's pattern of a file that lies in an archive's folder."""
    if "match" in file:
        folder = catalogue.addresses(
            {**file, "name": ""}, accession=card["accession"], organism=card["organism"]
        )[0]
        return folder, f"a name that matches {file['match']}", file["match"]
    if file.get("source") in ("cellxgene", *libraries.SOURCES):
        return None
    url = (
        file.get("url")
        or catalogue.addresses(file, accession=card["accession"], organism=card["organism"])[0]
    )
    url = re.sub(r"^ftp://", "https://", url)
    if not url.startswith((geo.GEO, biostudies.BIOSTUDIES)):
        return None
    folder, _, last = url.rpartition("/")
    name = unquote(PurePosixPath(urlsplit(last).path).name)
    return f"{folder}/", name, re.escape(name)


def _folders(card: Mapping[str, Any], prefix: str) -> list[str]:
    """Return the archive's folders that a card's files lie in, each once."""
    places = [_place(file, card) for file in card.get("files", {}).values()]
    found = [place[0] for place in places if place and place[0].startswith(prefix)]
    return list(dict.fromkeys(found))


# --- the archives ---------------------------------------------------------------------------------


def _geo(card: Mapping[str, Any], client: Client) -> Record:
    """Ask GEO: the summary always, the samples where the card states ids or characteristics."""
    accession = card["accession"]
    summary = geo_summary(accession, client)
    samples = pd.DataFrame()
    wanted = card.get("archive", {})
    if "ids" in wanted or "characteristics" in wanted:
        samples = sample_sheets.parse_soft_samples(client(geo.geo_brief(accession, "gsm")))
    folders = _folders(card, geo.GEO)
    if "files" in wanted and not any(folder.endswith("/suppl/") for folder in folders):
        folders.append(geo.geo_folder(accession, "suppl"))
    return Record(
        organisms=[name.strip() for name in str(summary["organism"]).split(";")],
        n_samples=int(summary["n_samples"]),
        ids=samples.get("geo_accession", pd.Series(dtype=str)).tolist(),
        characteristics=_characteristics(samples),
        pubmed=[one for one in str(summary["pubmed"]).split(";") if one],
        files={folder: listed(folder, client) for folder in folders},
    )


def geo_summary(accession: str, client: Client) -> dict[str, Any]:
    """Return GEO's summary of one series (a row of
    :func:`alsmuscle.archives.eutils.parse_esummary`).

    Raises
    ------
    InputError
        The accession is not a series, or there is no such public one.
    FetchError
        The archive did not answer.
    """
    uid = geo.gds_uid(accession)
    if not uid.startswith("2"):
        raise InputError(f"{accession} is not a series", expected="an accession as GSE67196")
    table = eutils.parse_esummary(client(eutils.esummary([uid])))
    if table.empty or table.loc[0, "type"] != "GSE":
        raise InputError("the archive has no such public series", where=accession)
    return {str(name): value for name, value in table.iloc[0].items()}


def _characteristics(samples: pd.DataFrame) -> dict[str, list[str]]:
    """Return characteristic → sorted values, of a table with columns ``<name>:ch1``."""
    return {
        str(column).rpartition(":ch")[0]: sorted(set(samples[column]) - {""})
        for column in samples.columns
        if re.search(r":ch\d+$", str(column))
    }


def listed(url: str, client: Client) -> list[str]:
    """Return the names in a folder; GEO answers 403 or 404 where there is none."""
    try:
        return [item.name for item in geo.parse_listing(client(url))]
    except FetchError as error:
        if error.status in (403, 404):
            return []
        raise


def _reads(card: Mapping[str, Any], client: Client) -> Record:
    """Ask ENA for the runs of a study; recount3 and ENA's report list the same ones."""
    accession = card["accession"]
    report = sample_sheets.parse_file_report(client(ena.ena_file_report(accession)))
    if report.empty:
        raise InputError("the archive has no such public study", where=accession)
    ids = [
        one
        for column in ("run_accession", "experiment_accession", "sample_accession", "sample_alias")
        for one in report.get(column, pd.Series(dtype=str))
        if one
    ]
    unit = "run_accession" if "run_id" not in card.get("samples", {}) else "sample_accession"
    names = report.get("scientific_name", pd.Series(dtype=str))
    return Record(
        organisms=sorted(set(names) - {""}),
        n_samples=report[unit if unit in report else "run_accession"].nunique(),
        ids=ids,
        characteristics={"sample_title": sorted(set(report.get("sample_title", [])) - {""})},
    )


def _biostudies(card: Mapping[str, Any], client: Client) -> Record:
    """Ask BioStudies for a study's organism and files."""
    accession = card["accession"]
    text = client(biostudies.biostudies_study(accession))
    files = biostudies.parse_biostudies_study(text)["path"].tolist()
    organisms: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item)
        elif isinstance(node, Mapping):
            if str(node.get("name", "")).lower() == "organism" and node.get("value"):
                organisms.append(str(node["value"]))
            for value in node.values():
                walk(value)

    walk(json.loads(text))
    return Record(
        organisms=list(dict.fromkeys(organisms)),
        n_samples=None,
        files={biostudies.biostudies_file(accession): [PurePosixPath(p).name for p in files]},
    )


_ARCHIVES: dict[str, tuple[str, Callable[[Mapping[str, Any], Client], Record]]] = {
    "GEO": (r"GSE\d+", _geo),
    "ENA": (r"(PRJ[A-Z]{2}|[SED]RP)\d+", _reads),
    "BioStudies": (r"[ES]-[A-Z0-9]+(-\d+)?", _biostudies),
}


def holder(accession: str) -> str:
    """Return the archive that is asked about an accession (`GEO`, `ENA`, `BioStudies`), or ""."""
    fits = (name for name, (form, _) in _ARCHIVES.items() if re.fullmatch(form, accession))
    return next(fits, "")
