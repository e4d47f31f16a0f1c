"""A study's libraries, from their reads to what is kept of them, one library after the other.

A library's reads are fetched with the hashes of ENA's record, quantified and deleted; what was made
of them stays in the cache, and is not made again.
"""

from __future__ import annotations

import filecmp
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.archives import ena
from alsmuscle.core import files, log
from alsmuscle.core.errors import InputError, PassingError
from alsmuscle.download.containers import hash_file
from alsmuscle.download.download import fetch, file_name, own_file
from alsmuscle.download.lock import Fetched
from alsmuscle.download.policy import FetchPolicy, stated
from alsmuscle.reads import cells, libraries, reference, tools
from alsmuscle.reads.collect import to_genes
from alsmuscle.reads.quantify import Single, quantify

if TYPE_CHECKING:
    import pandas as pd

# Of an archive's run: its reads, and not a file of what was left over.
_MATE = re.compile(r"_[12]\.f(?:ast)?q\.gz$")
SOURCE = "quantified here"


@dataclass(frozen=True)
class Place:
    """Where files are kept and taken from: the cache, a mirror, the downloader's patience."""

    cache: Path
    mirror: str | Path | None = None
    policy: FetchPolicy | None = None

    def terms(self, study: str) -> dict[str, Any]:
        """Return the arguments of a download."""
        return {"mirror": self.mirror, "policy": self.policy, "study": study}


def held(
    card: Mapping[str, Any], name: str, place: Place, *, threads: int = 1
) -> reference.Reference:
    """Return what a study's reads are held against; made if it is not there.

    Parameters
    ----------
    card
        Keys ``id``, ``organism``, ``files``, ``cells`` of the study card.
    name
        Name under ``files`` of the reads.

    Raises
    ------
    InputError
        It cannot be had, or is not what is pinned.
    """
    spec = card["files"][name]
    introns = card.get("cells", {}).get("material") == "nuclei"
    wanted = reference.source(card["organism"], spec, introns=introns)
    return reference.prepare(
        wanted, place.cache / "reference", **place.terms("reference"), threads=threads
    )


def quantified(
    card: Mapping[str, Any],
    name: str,
    library: str,
    listed: pd.DataFrame,
    place: Place,
    *,
    threads: int = 1,
) -> dict[str, Any]:
    """Fetch and quantify one library, unless the same was made before.

    Parameters
    ----------
    card
        Keys ``id``, ``organism``, ``files``, ``cells`` of the study card.
    name, library
        Name under ``files`` of the reads; one of the libraries listed there.
    listed
        Its files: ``run_accession, url, md5, bytes`` (:func:`alsmuscle.archives.ena.ena_files`).

    Returns
    -------
    dict
        Its quality (:data:`alsmuscle.reads.tables.READS`).

    Raises
    ------
    InputError
        It cannot be had, or cannot be quantified; names the library.
    """
    spec, study = card["files"][name], card["id"]
    ref = held(card, name, place, threads=threads)
    folder = libraries.kept_in(place.cache, study, name)
    made = _Made(folder, library, is_cells="cells" in card)
    key = _key(card, name, ref) | {"files": _identity(listed)}
    if (known := made.known(key)) is not None:
        return known
    try:
        runs = _fetched(listed, library, folder / library, place.terms(study))
        (folder / library).mkdir(parents=True, exist_ok=True)
        if made.is_cells:
            quality = _cells(card, spec, runs, ref, made, place, threads)
        else:
            quality = _bulk(spec, runs, ref, made, threads)
    except InputError as error:
        # What broke off goes on where it stopped; what cannot be used takes no room.
        if not isinstance(error, PassingError) and not spec.get("keep", False):
            shutil.rmtree(folder / library, ignore_errors=True)
        error.args = (f"{library}: {error.args[0]}",)
        error.problem = f"{library}: {error.problem}"
        raise
    when = datetime.now(UTC).isoformat(timespec="seconds")
    quality |= {"dataset": study, "library": library, "quantified_on": when}
    quality |= {"tool": tools.named(made.is_cells), "reference": ref.name}
    files.write_json(made.facts, {"key": key, "quality": quality})
    if not spec.get("keep", False):
        shutil.rmtree(folder / library)
    log.get("reads").info(
        "%s: %s reads, %.1f %% on known transcripts",
        library,
        f"{quality['reads']:,}",
        quality["pct_aligned"],
    )
    return quality


def kept(card: Mapping[str, Any], name: str, library: str, place: Place) -> dict[str, Any] | None:
    """Return a library's quality where it was made in the same way,
    whatever the archive says now.
    """
    folder = libraries.kept_in(place.cache, card["id"], name)
    made = _Made(folder, library, is_cells="cells" in card)
    return made.known(_key(card, name, held(card, name, place)))


def collected(
    card: Mapping[str, Any], name: str, place: Place, ref: reference.Reference
) -> dict[str, Fetched]:
    """Put together what was made of all libraries of a study.

    Parameters
    ----------
    ref
        From :func:`held`.

    Returns
    -------
    dict
        Name of a file → where it is. Whole tissue: ``<name>``, a table of length-scaled estimated
        counts, genes in rows, libraries in columns. Cells: per library the matrix of its cells and
        that of all barcodes, named by :func:`matrices_of`.
    """
    import pandas as pd

    spec, study = card["files"][name], card["id"]
    folder, listed = libraries.kept_in(place.cache, study, name), libraries.of_file(spec)
    every = {library: _Made(folder, library, is_cells="cells" in card) for library in listed}
    when = max(made.quality()["quantified_on"] for made in every.values())
    what = f"{spec.get('accession', card.get('accession', study))}"
    said = f"reads of {what}, {tools.named('cells' in card)}, {ref.name}"
    if "cells" in card:
        return {
            key: _kept(path, said, when)
            for library, made in every.items()
            for key, path in zip(matrices_of(name, library), made.matrices, strict=True)
        }
    tables = {library: pd.read_csv(made.abundance, sep="\t") for library, made in every.items()}
    # Whole, as DESeq2 takes tximport's: hardly a scaled estimate is, and such a table reads as TPM.
    counts = to_genes(tables, ref.gene_of).length_scaled().round().astype("int64")
    path = place.cache / study / f"{name}.counts.tsv"
    with files.atomic(path) as part:
        counts.to_csv(part, sep="\t")
    return {name: _kept(path, said, when)}


def matrices_of(name: str, library: str) -> tuple[str, str]:
    """Return under which names a library's matrices of cells and of all barcodes are found."""
    return f"{name}/{library}", f"{name}/{library}/raw"


# Keys of a card's file that change what is made of a library.
_OPTIONS = {"first_reads", "fragment_length", "fragment_spread", "barcodes", "trimmed"}


@dataclass(frozen=True)
class _Made:
    """What is kept of a library."""

    folder: Path
    library: str
    is_cells: bool

    @property
    def facts(self) -> Path:
        return self.folder / f"{self.library}.json"

    @property
    def abundance(self) -> Path:
        return self.folder / f"{self.library}.abundance.tsv.gz"

    @property
    def matrices(self) -> tuple[Path, Path]:
        names = (f"{self.library}.cells.h5ad", f"{self.library}.raw.h5ad")
        return self.folder / names[0], self.folder / names[1]

    def known(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the library's quality where the same was made before: all that ``key`` holds."""
        paths = self.matrices if self.is_cells else (self.abundance,)
        if not all(path.is_file() for path in (self.facts, *paths)):
            return None
        found = files.read_json(self.facts)
        same = all(found["key"].get(k) == v for k, v in json.loads(json.dumps(key)).items())
        return dict(found["quality"]) if same else None

    def quality(self) -> dict[str, Any]:
        return dict(files.read_json(self.facts)["quality"])


def _key(card: Mapping[str, Any], name: str, ref: reference.Reference) -> dict[str, Any]:
    """Return what decides over what is made of a library, beside its files."""
    spec = card["files"][name]
    return {
        "reference": ref.digest,
        "kallisto": tools.version("kallisto"),
        "options": {k: spec[k] for k in sorted(set(spec) & _OPTIONS)},
        "chemistry": card.get("cells", {}).get("chemistry", ""),
    }


def _identity(listed: pd.DataFrame) -> list[str]:
    """Return what tells whether files are the same: the archive's hash, else size and time."""
    found = []
    for row in listed.itertuples():
        if row.md5:
            found.append(str(row.md5))
            continue
        path = Path(row.url)
        facts = path.stat() if path.is_file() else None
        found.append(f"{path.name} {facts.st_size} {facts.st_mtime_ns}" if facts else path.name)
    return found


def _fetched(
    listed: pd.DataFrame, library: str, folder: Path, terms: Mapping[str, Any]
) -> list[list[Path]]:
    """Fetch a library's files and return those of each run, in their order.

    Files of one's own are read where they lie.
    """
    runs = []
    for part in _runs(listed):
        paths = []
        for row in part.itertuples():
            if not row.md5:
                paths.append(own_file(row.url, policy=terms["policy"], study=terms["study"]))
                continue
            url = stated(row.url, f"ENA's record of {library}")
            pins = {"md5": row.md5, "bytes": int(row.bytes)}
            paths.append(fetch(url, folder / file_name(url), **pins, **terms).path)
        runs.append(paths)
    return runs


def _runs(listed: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for _, part in listed.groupby("run_accession", sort=False):
        mates = part[part["url"].str.contains(_MATE) & (part["md5"] != "")]
        # Single reads whose mate was lost lie beside the mates.
        yield mates if len(part) > 2 and len(mates) == 2 else part


def _bulk(
    spec: Mapping[str, Any],
    runs: Sequence[Sequence[Path]],
    ref: reference.Reference,
    made: _Made,
    threads: int,
) -> dict[str, Any]:
    single = Single()
    if "fragment_length" in spec:
        single = Single(spec["fragment_length"], spec.get("fragment_spread", single.spread))
    abundance, quality = quantify(
        runs,
        ref,
        beside=made.folder / made.library,
        single=single,
        first_reads=spec.get("first_reads", 0),
        trimmed=spec.get("trimmed", False),
        threads=threads,
    )
    with files.atomic(made.abundance) as part:
        abundance.to_csv(part, sep="\t", index=False, compression="gzip")
    return quality


def _cells(
    card: Mapping[str, Any],
    spec: Mapping[str, Any],
    runs: Sequence[Sequence[Path]],
    ref: reference.Reference,
    made: _Made,
    place: Place,
    threads: int,
) -> dict[str, Any]:
    kit = cells.Kit(
        card["cells"]["chemistry"],
        own=spec.get("barcodes", ""),
        folder=place.cache / "reference",
        terms=place.terms("reference"),
    )
    called, raw, quality = cells.count(
        runs,
        ref,
        kit,
        beside=made.folder / made.library,
        first_reads=spec.get("first_reads", 0),
        threads=threads,
    )
    for path, matrix in zip(made.matrices, (called, raw), strict=True):
        files.write_h5ad(path, matrix)
    return quality


def _kept(path: Path, said: str, when: str) -> Fetched:
    sha256, _ = hash_file(path)
    return Fetched(
        url=said,
        path=path,
        sha256=sha256,
        bytes=path.stat().st_size,
        retrieved=when,
        source=SOURCE,
    )


def listed_files(
    library: str, file: Mapping[str, Any], report: pd.DataFrame | None
) -> pd.DataFrame:
    """Return the files of a library: ``run_accession, url, md5, bytes``.

    Parameters
    ----------
    file
        The card's file of reads.
    report
        ENA's run table of the library; None for reads of one's own.

    Raises
    ------
    InputError
        ENA lists none, a mate is missing, or a file is the copy of another one.
    """
    import pandas as pd

    if report is None:
        _require_distinct(file["libraries"], library)
        runs = libraries.lanes(file["libraries"][library])
        rows = [(run, path, "", 0) for run, paths in runs.items() for path in paths]
        return pd.DataFrame(rows, columns=["run_accession", "url", "md5", "bytes"])
    listed = ena.ena_files(report)
    if listed.empty:
        raise InputError(
            f"ENA's record lists no FASTQ files of {library}",
            where="files.<reads>.runs of the card",
            expected="runs (or experiments, for cells) of which ENA holds FASTQ files",
            remedy="correct the runs; where the archive has no FASTQ, the study cannot be read",
        )
    _require_mates(report, listed)
    return listed.sort_values(["run_accession", "url"], ignore_index=True)


def _require_distinct(every: Mapping[str, Sequence[str]], library: str) -> None:
    """Stop where a library's file is a copy: it would count twice, in a sample or as another."""
    sizes = {
        p: Path(p).stat().st_size for files in every.values() for p in files if Path(p).is_file()
    }
    for path in (p for p in every[library] if p in sizes):
        for other, size in sizes.items():
            if other != path and size == sizes[path] and filecmp.cmp(path, other, shallow=False):
                raise InputError(
                    f"{path} and {other} are the same, byte for byte",
                    where="files.<reads>.libraries of the card",
                    expected="files of different reads",
                    remedy="find out which of the two is named wrongly, and leave it out",
                )


def _require_mates(report: pd.DataFrame, listed: pd.DataFrame) -> None:
    """Stop where the record says pairs, or a file's name does, and one of two is there.

    One mate alone would be quantified as single reads, without a word.
    """
    stated = report.reindex(columns=["run_accession", "library_layout"])
    paired = set(stated.loc[stated["library_layout"] == "PAIRED", "run_accession"])
    for run, part in listed.groupby("run_accession", sort=True):
        if len(part) == 1 and (run in paired or part["url"].str.contains(_MATE).all()):
            found = str(part["url"].iloc[0]).rsplit("/", 1)[-1]
            raise InputError(
                f"{run}: a mate is missing: of paired reads ENA lists {found} alone",
                where="ENA's record",
                expected="two files",
                remedy="look whether the submitted files hold both mates, and name these under "
                "`files` as reads of your own; else leave the run out",
            )
