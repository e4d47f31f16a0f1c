"""Studies of which only reads are public: what goes wrong with one library is noted, not raised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from alsmuscle.archives import ena
from alsmuscle.core.errors import InputError, PassingError
from alsmuscle.data import admit
from alsmuscle.data.readers import sample_sheets
from alsmuscle.download.download import get_text
from alsmuscle.reads import libraries, study
from alsmuscle.reads.study import Place

Checks = list[dict[str, str]]


def reference(card: Mapping[str, Any], place: Place, *, threads: int = 1) -> Checks:
    """Make what the reads of a study are held against.

    Returns
    -------
    list
        One row of contract ``checks``.
    """

    def made() -> str:
        return study.held(card, libraries.file_of(card), place, threads=threads).name

    return _tried(card, "reference", made)


def quantify(
    card: Mapping[str, Any], library: str, place: Place, *, threads: int = 1
) -> tuple[list[dict[str, Any]], Checks]:
    """Fetch and quantify one library of a study.

    Returns
    -------
    quality
        Contract :data:`alsmuscle.reads.tables.READS`: its row, or none where it failed.
    checks
        One row of contract ``checks``.
    """
    found: list[dict[str, Any]] = []

    def made() -> str:
        found.append(_library(card, library, place, threads))
        return f"{found[0]['tool']}, {found[0]['reference']}"

    return found, _tried(card, library, made)


def collect(
    card: Mapping[str, Any], name: str, place: Place, given: Sequence[Mapping[str, str]]
) -> tuple[list[dict[str, Any]], Checks]:
    """Put a study's libraries together; those that nobody quantified yet are quantified here.

    Parameters
    ----------
    name
        Name under ``files`` of the reads.
    given
        Rows of contract ``checks`` of the study's reference and libraries, where jobs made them.

    Returns
    -------
    manifest
        Rows of contract ``manifest``; none where a library failed.
    checks
        Rows of contract ``checks``.
    """
    if bad := [dict(row) for row in given if row["state"] in admit.BAD]:
        return [], bad
    manifest: list[dict[str, Any]] = []

    def made() -> str:
        for library in libraries.of_file(card["files"][name]):
            _library(card, library, place, 1)
        ref = study.held(card, name, place)
        for key, got in study.collected(card, name, place, ref).items():
            manifest.append({"study": card["id"], "name": key, **asdict(got), "pinned": "file"})
        return str(manifest[0]["url"])

    return manifest, _tried(card, name, made)


def _library(card: Mapping[str, Any], library: str, place: Place, threads: int) -> dict[str, Any]:
    name = libraries.file_of(card)
    file, report = card["files"][name], None
    if file["source"] == "ena_fastq":
        url = ena.ena_file_report(library)
        # ENA says 204 where it knows nothing.
        try:
            answer = get_text(url, ok=(200, 204), **place.terms(card["id"]))
        except PassingError:
            # Without the archive, what was made before is as good as ever.
            if (made := study.kept(card, name, library, place)) is not None:
                return made
            raise
        report = sample_sheets.parse_file_report(answer.text)
    listed = study.listed_files(library, file, report)
    return study.quantified(card, name, library, listed, place, threads=threads)


def _tried(card: Mapping[str, Any], what: str, made: Callable[[], str]) -> Checks:
    name = f"files.{what}" if what in card["files"] else f"reads.{what}"
    try:
        return [admit.check(card["id"], name, admit.AGREES, found=made())]
    except InputError as error:
        state = admit.UNREACHABLE if isinstance(error, PassingError) else admit.FAILED
        return [admit.failure(card["id"], name, error, state)]
