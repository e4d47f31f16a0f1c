"""NCBI's E-utilities: addresses of queries, and what their answers say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from alsmuscle.archives.answers import read_json, said_by
from alsmuscle.core.errors import InputError, PassingError

EUTILS = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"


def esearch(term: str, *, db: str = "gds", start: int = 0, size: int = 200) -> str:
    """Return the URL of a search; page through with ``start`` (NBK25499)."""
    return _eutils("esearch", db=db, retmode="json", retstart=start, retmax=size, term=term)


def esummary(identifiers: Iterable[str], *, db: str = "gds") -> str:
    """Return the URL of the summaries of up to 200 identifiers (NBK25499)."""
    return _eutils("esummary", db=db, retmode="json", id=",".join(identifiers))


def elink(identifiers: Iterable[str], *, source: str = "pubmed", db: str = "gds") -> str:
    """Return the URL of the links from one database to another (NBK25499)."""
    return _eutils("elink", dbfrom=source, db=db, retmode="json", id=",".join(identifiers))


def _eutils(tool: str, **parameters: str | int) -> str:
    # NCBI asks clients to name themselves.
    return f"{EUTILS}/{tool}.fcgi?{urlencode({**parameters, 'tool': 'alsmuscle'})}"


def parse_esearch(text: str) -> tuple[int, list[str]]:
    """Return the number of hits of a search and the identifiers on this page.

    Raises :class:`InputError` with NCBI's words if the answer is an error.
    """
    result = read_json(text, "esearch").get("esearchresult")
    if not isinstance(result, Mapping) or "idlist" not in result:
        raise PassingError(
            f"E-utilities: {said_by(text, result)}", expected="a list of identifiers"
        )
    if "ERROR" in result:
        raise PassingError(f"E-utilities: {result['ERROR']}")
    return int(result["count"]), [str(item) for item in result["idlist"]]


def esearch_warnings(text: str) -> list[str]:
    """Return what NCBI ignored in a search: it drops phrases that it does not know."""
    result = read_json(text, "esearch").get("esearchresult", {})
    return [
        f"{kind}: {word}"
        for place in ("errorlist", "warninglist")
        for kind, words in (result.get(place) or {}).items()
        for word in words
    ]


def parse_esummary(text: str) -> pd.DataFrame:
    """Return one row per record of an ``esummary`` answer of ``gds``.

    Columns: ``uid, accession, type`` (GSE, GSM…)``, title, summary, organism, study_type,
    n_samples, files, published, pubmed, bioproject, sra, platforms, folder``; lists joined by
    ``;``. A record that NCBI could not find raises :class:`InputError`.
    """
    rows = []
    for uid, record in _records(text):
        sra = [
            str(relation.get("targetobject", ""))
            for relation in record.get("extrelations", [])
            if relation.get("relationtype") == "SRA"
        ]
        platforms = [f"GPL{number}" for number in str(record.get("gpl", "")).split(";") if number]
        samples = record.get("n_samples", len(record.get("samples", [])))
        rows.append(
            {
                "uid": uid,
                "accession": str(record.get("accession", "")),
                "type": str(record.get("entrytype", "")),
                "title": str(record.get("title", "")),
                "summary": str(record.get("summary", "")),
                "organism": str(record.get("taxon", "")),
                "study_type": str(record.get("gdstype", "")),
                "n_samples": int(samples or 0),
                "files": str(record.get("suppfile", "")),
                "published": str(record.get("pdat", "")).replace("/", "-"),
                "pubmed": ";".join(str(item) for item in record.get("pubmedids", [])),
                "bioproject": str(record.get("bioproject", "")),
                "sra": ";".join(item for item in sra if item),
                "platforms": ";".join(platforms),
                "folder": str(record.get("ftplink", "")).replace("ftp://", "https://", 1),
            }
        )
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


SUMMARY_COLUMNS = (
    "uid",
    "accession",
    "type",
    "title",
    "summary",
    "organism",
    "study_type",
    "n_samples",
    "files",
    "published",
    "pubmed",
    "bioproject",
    "sra",
    "platforms",
    "folder",
)


def summary_samples(text: str) -> pd.DataFrame:
    """Return the samples that an ``esummary`` answer lists: ``series, sample, title``."""
    rows = [
        (str(record.get("accession", "")), str(item["accession"]), str(item.get("title", "")))
        for _, record in _records(text)
        for item in record.get("samples", [])
    ]
    return pd.DataFrame(rows, columns=["series", "sample", "title"])


def parse_elink(text: str) -> list[str]:
    """Return the identifiers that an ``elink`` answer names, each once, in order."""
    sets = read_json(text, "elink").get("linksets")
    if not isinstance(sets, list):
        raise PassingError(f"E-utilities: {said_by(text, None)}", expected="link sets")
    links = [
        str(link)
        for item in sets
        for database in item.get("linksetdbs", [])
        for link in database.get("links", [])
    ]
    return list(dict.fromkeys(links))


def _records(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    answer = read_json(text, "esummary")
    result = answer.get("result", answer)
    if not isinstance(result, Mapping):
        raise PassingError(f"E-utilities: {said_by(text, None)}", expected="document summaries")
    uids = result.get("uids", [key for key in result if key.isdigit()])
    if not uids and "uids" not in result:
        raise PassingError(f"E-utilities: {said_by(text, None)}", expected="document summaries")
    for uid in uids:
        record = result.get(uid)
        if not isinstance(record, Mapping) or "error" in record:
            said = record.get("error") if isinstance(record, Mapping) else "no record"
            raise InputError(f"E-utilities, {uid}: {said}", expected="a document summary")
        yield str(uid), record
