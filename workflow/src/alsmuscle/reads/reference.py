"""The transcripts that reads are held against, and kallisto's index of them, built once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alsmuscle.core.errors import InputError
from alsmuscle.download.download import fetch, file_name
from alsmuscle.download.lock import exclusive
from alsmuscle.download.policy import FetchPolicy
from alsmuscle.reads import tools
from alsmuscle.reads.collect import transcript_genes
from alsmuscle.reads.fastq import open_packed

_GENCODE = "https://ftp.ebi.ac.uk/pub/databases/gencode"
_K = 31


@dataclass(frozen=True)
class Source:
    """Transcripts of one release; ``digest``: sha256 of all sequences, one after the other.

    That is salmon's ``SeqHash``; those of GENCODE are listed by Bioconductor's tximeta
    (``inst/extdata/hashtable.csv`` at 836698c), so that the pin does not come from a download of
    ours. Empty: the file's own hash is all there is.
    """

    name: str
    url: str
    digest: str


GENCODE = {
    # The release of the project's human gene table.
    "human": Source(
        "GENCODE 44",
        f"{_GENCODE}/Gencode_human/release_44/gencode.v44.transcripts.fa.gz",
        "fd88296600b98e1333273e657145662fd489a41f40296d387ab4265db2dc0f1c",
    ),
    "mouse": Source(
        "GENCODE M33",
        f"{_GENCODE}/Gencode_mouse/release_M33/gencode.vM33.transcripts.fa.gz",
        "7567da814f0b61a0ab237f81c5cb013885eae14af499585a4c065ae789da7fe8",
    ),
}


@dataclass(frozen=True)
class Reference:
    """An index on disk, what it was made of, and the gene of each of its transcripts."""

    name: str
    index: Path
    digest: str
    gene_of: dict[str, str]


def source(organism: str, transcripts: str = "") -> Source:
    """Return what to quantify against: ``transcripts`` (address or path), or GENCODE's.

    Raises
    ------
    InputError
        No release is pinned for the organism.
    """
    if transcripts:
        return Source(file_name(transcripts), transcripts, "")
    if organism not in GENCODE:
        raise InputError(
            f"no transcripts are pinned for {organism}",
            expected=" or ".join(GENCODE),
            remedy="give `transcripts`, the address of a FASTA file, beside the card's reads",
        )
    return GENCODE[organism]


def prepare(
    wanted: Source,
    folder: Path,
    *,
    mirror: str | Path | None = None,
    policy: FetchPolicy | None = None,
    threads: int = 1,
) -> Reference:
    """Fetch transcripts, check them against their digest, and build the index if it is not there.

    ``folder`` keeps both; an index of other transcripts, or of another kallisto, is built anew.
    Transcripts that a card names have a folder of their own in it: files of one name are not one
    file. Studies that are fetched at once wait for the one that builds.

    Raises
    ------
    InputError
        The transcripts are not those that are pinned, or cannot be had.
    """
    if not wanted.digest:
        folder = folder / hashlib.sha256(wanted.url.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / "index.lock"):
        return _prepared(wanted, folder, mirror, policy, threads)


def _prepared(
    wanted: Source,
    folder: Path,
    mirror: str | Path | None,
    policy: FetchPolicy | None,
    threads: int,
) -> Reference:
    got = fetch(
        wanted.url,
        folder / file_name(wanted.url),
        mirror=mirror,
        lock=folder / "lock.tsv",
        policy=policy,
        study="reference",
    )
    index, facts = got.path.with_suffix(".idx"), got.path.with_suffix(".json")
    key = {"sha256": got.sha256, "kallisto": tools.version("kallisto"), "k": _K}
    if facts.is_file() and index.is_file():
        known = json.loads(facts.read_text(encoding="utf-8"))
        if known["key"] == key and wanted.digest in ("", known["digest"]):
            return Reference(wanted.name, index, known["digest"], known["gene_of"])
    headers, digest = [], hashlib.sha256()
    for header, bases in _records(got.path):
        headers.append(header)
        digest.update(bases)
    found = digest.hexdigest()
    if wanted.digest and found != wanted.digest:
        raise InputError(
            f"the sequences have the digest {found}",
            where=got.path,
            expected=f"{wanted.digest}, that of {wanted.name}",
            remedy="delete the file; if it stays so, the archive has changed the release",
        )
    try:
        gene_of = transcript_genes(headers)
    except ValueError as error:
        raise InputError(
            str(error), where=got.path, expected="headers as GENCODE or Ensembl write them"
        ) from None
    part = index.with_suffix(".part")
    tools.call(
        "kallisto", "index", "-i", part, "-k", _K, "-t", threads, "-T", folder / "tmp", got.path
    )
    part.replace(index)
    facts.write_text(
        json.dumps({"key": key, "digest": found, "gene_of": gene_of}), encoding="utf-8"
    )
    return Reference(wanted.name, index, found, gene_of)


def _records(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield header and sequence of each record of a FASTA file, sequence as it is written."""
    header, parts = "", list[bytes]()
    with open_packed(path) as file:
        for line in file:
            if line.startswith(b">"):
                if header:
                    yield header, b"".join(parts)
                header, parts = line[1:].decode().strip(), []
            else:
                parts.append(line.strip())
    if not header:
        raise InputError("there is no sequence in it", where=path, expected="a FASTA file")
    yield header, b"".join(parts)
