"""From what a card names to verified files: archives' folders and answers meet the downloader.

``archives`` knows addresses, ``download`` how to fetch; here they are put together for one
study, and what goes wrong with one file is noted instead of ending the run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from alsmuscle.archives import biostudies, catalogue, cellxgene, geo
from alsmuscle.core import deadline, log
from alsmuscle.core.errors import InputError, PassingError
from alsmuscle.core.redaction import shown
from alsmuscle.data import admit, cards, embedded, raw_reads
from alsmuscle.data import record as verify
from alsmuscle.download import sandbox
from alsmuscle.download.containers import hash_file
from alsmuscle.download.download import fetch_first, file_name, get_text
from alsmuscle.download.lock import Fetched, first_source, read_mirror
from alsmuscle.download.policy import FetchPolicy, stated
from alsmuscle.reads import libraries
from alsmuscle.reads.study import Place

Client = Callable[[str], str]


def place(params: Any) -> Place:
    """Return where a job of the workflow fetches to and from.

    ``params``: the job's, with ``cache, pinned_only, offline, folders``.
    """
    policy = FetchPolicy(
        pinned_only=params.pinned_only, offline=params.offline, folders=tuple(params.folders)
    )
    return Place(Path(params.cache), os.environ.get("ALSMUSCLE_MIRROR") or None, policy)


def client(
    *, mirror: str | Path | None = None, policy: FetchPolicy | None = None, study: str = ""
) -> Client:
    """Return a function from URL to text, with the downloader's patience and mirror."""

    def ask(url: str) -> str:
        # ENA says 204 where it knows nothing.
        return get_text(url, ok=(200, 204), mirror=mirror, policy=policy, study=study).text

    return ask


def addresses(
    file: Mapping[str, Any],
    *,
    accession: str,
    organism: str,
    ask: Client,
    mirrored: tuple[str, ...] = (),
) -> list[str]:
    """Return equivalent URLs of a card's file, the first to be tried first.

    Parameters
    ----------
    file
        An entry of ``files``.
    accession, organism
        Of the card.
    ask
        URL → text; asked only where an archive has to be looked at (``match``, CELLxGENE).
    mirrored
        URLs that a mirror holds: a name in it that matches needs no look at the archive.

    Raises
    ------
    InputError
        No name, or more than one, matches; the archive's answer is not understood.
    FetchError
        The archive did not answer.
    """
    if "url" in file:
        return [file["url"]]
    if file["source"] == "cellxgene":
        record = cellxgene.cellxgene_dataset(file["accession"], file["dataset"])
        return [stated(cellxgene.parse_cellxgene(ask(record))[0], record)]
    if "match" not in file:
        return catalogue.addresses(file, accession=accession, organism=organism)
    return [_matching(file, accession, ask, mirrored)]


def _matching(
    file: Mapping[str, Any], accession: str, ask: Client, mirrored: tuple[str, ...]
) -> str:
    """Return the URL of the one name in the archive's folder that matches."""
    accession = file.get("accession", accession)

    def url(name: str) -> str:
        return catalogue.addresses({**file, "name": name}, accession=accession, organism="")[0]

    folder = url("")
    held = [u.removeprefix(folder) for u in mirrored if u.startswith(folder)]
    names = _fitting(file["match"], held, folder)
    if len(names) != 1:
        if file["source"] == "biostudies":
            record = ask(biostudies.biostudies_study(accession))
            listed = biostudies.parse_biostudies_study(record)["path"].tolist()
        else:
            listed = [item.name for item in geo.parse_listing(ask(folder))]
        names = _fitting(file["match"], listed, folder)
        if len(names) != 1:
            raise InputError(
                f"{len(names)} names match '{file['match']}'"
                + (f": {', '.join(names[:5])}" if names else ""),
                where=folder,
                expected="exactly one of: " + ", ".join(listed[:20]),
                remedy="correct `match` on the card, or give the `name`",
            )
    return url(names[0])


def _fitting(pattern: str, names: Iterable[str], where: str) -> list[str]:
    with deadline.of_pattern(pattern, f"{where}: match"):
        return [name for name in names if re.fullmatch(pattern, name)]


def _embedded(study: str, name: str, path: Path) -> dict[str, Any]:
    """Return the manifest's row of a derived table that stands in for an original."""
    sha256, _ = hash_file(path)
    return {
        "study": study,
        "name": name,
        "path": str(path),
        "url": f"workflow/resources/published/{path.name}",
        "sha256": sha256,
        "bytes": path.stat().st_size,
        "source": embedded.SOURCE,
        "retrieved": "",
        "pinned": "",
    }


def _fetched(
    card: Mapping[str, Any],
    name: str,
    urls: list[str],
    *,
    cache: Path,
    mirror: str | Path | None,
    policy: FetchPolicy,
) -> Fetched:
    file, lock = card["files"][name], cache / "lock.tsv"
    got = fetch_first(
        urls,
        # The key is part of the name: two files of a study never take one place.
        cache / card["id"] / f"{name}.{file_name(urls[0])}",
        sha256=file.get("sha256"),
        md5=file.get("md5"),
        bytes=file.get("bytes"),
        members=file.get("members"),
        mirror=mirror,
        lock=lock,
        policy=policy,
        study=card["id"],
        # A file of one's own may be edited: its new hash is recorded, and the study read anew.
        volatile=True if cards.is_local(file) else None,
    )
    if got.source == "present":
        # Where it came from at first: a second look leaves the manifest as it was.
        got = replace(got, source=first_source(lock, got))
    return got


def study_files(
    card: Mapping[str, Any],
    *,
    cache: str | Path,
    mirror: str | Path | None = None,
    policy: FetchPolicy | None = None,
    reads: Sequence[Mapping[str, str]] = (),
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Fetch all files of a study, and compare its card with the archive if that can be reached.

    A file that fails does not keep the others from arriving. The archive's record is asked for only
    if some file came from the network: with a complete mirror there is no request at all.

    Parameters
    ----------
    card
        The study card.
    cache
        Folder that keeps the files, and the lock file.
    mirror
        Folder with an ``index.tsv``.
    policy
        Patience and limits.
    reads
        Rows of contract ``checks`` of the study's raw reads, where jobs of their own quantified
        them.

    Returns
    -------
    manifest
        Rows of contract ``manifest``, for the files that are there.
    checks
        Rows of contract ``checks``: one per file, and what the archive's record said.
    """
    study = card["id"]
    policy = policy or FetchPolicy()
    mirrored = tuple(read_mirror(mirror)) if mirror else ()
    ask = client(mirror=mirror, policy=policy, study=study)
    manifest: list[dict[str, Any]] = []
    checks: list[dict[str, str]] = []

    def fetched(name: str, file: Mapping[str, Any]) -> Fetched:
        urls = addresses(
            file,
            accession=card["accession"],
            organism=card["organism"],
            ask=ask,
            mirrored=mirrored,
        )
        return _fetched(card, name, urls, cache=Path(cache), mirror=mirror, policy=policy)

    for name, file in card["files"].items():
        members = file.get("members")
        try:
            if file.get("source") in libraries.SOURCES:
                rows, said = raw_reads.collect(
                    card, name, Place(Path(cache), mirror, policy), reads
                )
                manifest += rows
                checks += said
                continue
            got = fetched(name, file)
        except InputError as error:
            passing = isinstance(error, PassingError)
            if passing and (held := embedded.table_of(study)):
                manifest.append(_embedded(study, name, held))
                found = f"{error.problem}; the project's own derived table is used"
                checks.append(admit.check(study, f"files.{name}", admit.NOT_VERIFIED, found=found))
                continue
            state = admit.UNREACHABLE if passing else admit.FAILED
            checks.append(admit.failure(study, f"files.{name}", error, state))
            continue
        except Exception as error:
            # An answer that nobody foresaw is this file's failure, not that of all studies.
            log.get("fetch").exception("%s: files.%s", study, name)
            checks.append(admit.failure(study, f"files.{name}", sandbox.plainly(error)))
            continue
        known = file.get("sha256") or file.get("md5") or ""
        pinned = "file" if known else "members" if members else ""
        row = {"study": study, "name": name, **asdict(got), "pinned": pinned}
        manifest.append({**row, "url": shown(got.url)})
        known = known or (f"hashes of {len(members)} members" if members else "")
        state = admit.AGREES if pinned else admit.NOT_VERIFIED
        checks.append(admit.check(study, f"files.{name}", state, known, got.sha256))
    if all(row["state"] != admit.UNREACHABLE for row in checks):
        # The record is welcome, not needed: little patience, and none where nothing of the study
        # came from the network. A mirror may hold the record, too.
        hasty = replace(policy, attempts=2, wait_initial=0.5, connect_timeout=10.0)
        if not any(row["source"] == "network" for row in manifest):
            hasty = replace(hasty, offline=True)
        checks += verify.checks(card, client(mirror=mirror, policy=hasty, study=study))
    return manifest, checks
