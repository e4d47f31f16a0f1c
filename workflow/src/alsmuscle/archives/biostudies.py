"""BioStudies and ArrayExpress."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

import pandas as pd

from alsmuscle.archives.answers import plain_words, read_json
from alsmuscle.core.errors import InputError, PassingError

BIOSTUDIES = "https://www.ebi.ac.uk/biostudies"


def biostudies_info(accession: str) -> str:
    """Return the URL that tells where a study's files are (ArrayExpress, ``R/getAE.r``)."""
    return f"{BIOSTUDIES}/api/v1/studies/{_biostudies(accession)}/info"


def biostudies_study(accession: str) -> str:
    """Return the URL of a study's whole record (ArrayExpress, ``R/getAE.r``)."""
    return f"{BIOSTUDIES}/api/v1/studies/{_biostudies(accession)}"


def biostudies_file(accession: str, path: str = "") -> str:
    """Return the URL of one file of a study, or without ``path`` their folder.

    Evidence: ArrayExpress, ``R/getAE.r``, for array designs; the folder that ``info`` names
    (:func:`parse_biostudies_info`) holds the same files under a longer address.
    """
    return f"{BIOSTUDIES}/files/{_biostudies(accession)}/{quote(path)}"


def parse_biostudies_info(text: str) -> str:
    """Return the folder of a study's files, as https and ending in ``/Files/``."""
    link = read_json(text, "BioStudies").get("ftpLink")
    if not isinstance(link, str) or not urlsplit(link).hostname:
        raise InputError(f"BioStudies: {plain_words(text)!r}", expected="an ftpLink")
    return re.sub(r"^ftp://", "https://", link).rstrip("/") + "/Files/"


def parse_biostudies_study(text: str) -> pd.DataFrame:
    """Return the files that a study's record names: ``path, bytes, section``.

    ``bytes`` is missing (``<NA>``) where the record does not say.
    """
    rows: list[tuple[str, int | None, str]] = []

    def walk(node: object, section: str) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item, section)
        elif isinstance(node, Mapping):
            section = str(node.get("type", section)) if "accno" in node else section
            for item in _flat(node.get("files", [])):
                if isinstance(item, Mapping) and "path" in item:
                    size = item.get("size")
                    known = int(str(size)) if str(size).isdigit() else None
                    rows.append((str(item["path"]), known, section))
            for key in ("section", "subsections"):
                walk(node.get(key, []), section)

    record = read_json(text, "BioStudies")
    if "section" not in record:
        raise PassingError(f"BioStudies: {plain_words(text)!r}", expected="a study with sections")
    walk(record, "Study")
    table = pd.DataFrame(rows, columns=["path", "bytes", "section"])
    return table.astype({"bytes": "Int64"})


def _flat(node: object) -> Iterator[object]:
    for item in node if isinstance(node, list) else [node]:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item


def _biostudies(accession: str) -> str:
    if not re.fullmatch(r"[ES]-[A-Z0-9]+(-\d+)?", accession):
        raise InputError(f"{accession!r} is no accession of BioStudies", expected="as E-MTAB-13874")
    return accession
