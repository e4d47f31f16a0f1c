"""What reads are held against: transcripts, for nuclei with introns,
and kallisto's index of them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alsmuscle.core import files
from alsmuscle.core.errors import InputError
from alsmuscle.download.download import fetch, file_name, get_text
from alsmuscle.download.lock import exclusive
from alsmuscle.download.policy import FetchPolicy
from alsmuscle.reads import tools
from alsmuscle.reads.collect import transcript_genes
from alsmuscle.reads.fastq import open_packed

_GENCODE = "https://ftp.ebi.ac.uk/pub/databases/gencode"
_K = 31
_COMPLEMENT = bytes.maketrans(b"ACGTNacgtn", b"TGCANtgcan")


@dataclass(frozen=True)
class Source:
    """Transcripts of one release; ``digest``: sha256 of all sequences, one after the other.

    That is salmon's ``SeqHash``; those of GENCODE are listed by Bioconductor's tximeta
    (``inst/extdata/hashtable.csv`` at 836698c), so that the pin does not come from a download of
    ours. Empty: the file's own hash is all there is.

    ``genome`` and ``annotation`` (GTF) lead to introns; where they lie beside GENCODE's
    transcripts, they are held to the release's ``MD5SUMS``. Empty: no introns.
    """

    name: str
    url: str
    digest: str
    genome: str = ""
    annotation: str = ""

    @property
    def stem(self) -> str:
        """Name of the index's files."""
        return re.sub(r"[^A-Za-z0-9]+", "_", self.name)

    def place(self, folder: Path) -> Path:
        """Return where it is kept: files of one name that a card names are not one file."""
        if self.digest:
            return folder
        key = "\n".join((self.url, self.genome, self.annotation))
        return folder / hashlib.sha256(key.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Release:
    name: str
    folder: str
    version: str
    assembly: str
    digest: str

    def source(self, *, introns: bool) -> Source:
        base = f"{_GENCODE}/{self.folder}"
        genome = f"{base}/{self.assembly}.primary_assembly.genome.fa.gz"
        genes = f"{base}/gencode.{self.version}.primary_assembly.annotation.gtf.gz"
        return Source(
            f"{self.name} with introns" if introns else self.name,
            f"{base}/gencode.{self.version}.transcripts.fa.gz",
            self.digest,
            *((genome, genes) if introns else ()),
        )


GENCODE = {
    # The release of the project's human gene table.
    "human": _Release(
        "GENCODE 44",
        "Gencode_human/release_44",
        "v44",
        "GRCh38",
        "fd88296600b98e1333273e657145662fd489a41f40296d387ab4265db2dc0f1c",
    ),
    "mouse": _Release(
        "GENCODE M33",
        "Gencode_mouse/release_M33",
        "vM33",
        "GRCm39",
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


def source(
    organism: str, spec: Mapping[str, str] | None = None, *, introns: bool = False
) -> Source:
    """Return what to quantify against: the card's own files, or GENCODE's.

    Parameters
    ----------
    spec
        Addresses or paths ``transcripts`` and, for introns, ``genome`` and ``annotation``.
    introns
        Whether reads of introns count, as they do in nuclei.

    Raises
    ------
    InputError
        No release is pinned for the organism, or a file of one's own is missing.
    """
    own = {key: (spec or {}).get(key, "") for key in ("transcripts", "genome", "annotation")}
    if own["transcripts"]:
        if not introns:
            return Source(file_name(own["transcripts"]), own["transcripts"], "")
        if lacking := [key for key in ("genome", "annotation") if not own[key]]:
            raise InputError(
                f"`transcripts` without {' and '.join(lacking)}",
                expected="all three: nuclei hold RNA with introns, whose reads are counted too",
                remedy=f"give {' and '.join(f'`{key}`' for key in lacking)} beside the card's "
                "reads",
            )
        name = f"{file_name(own['transcripts'])} with introns"
        return Source(name, own["transcripts"], "", own["genome"], own["annotation"])
    if organism not in GENCODE:
        raise InputError(
            f"no transcripts are pinned for {organism}",
            expected=" or ".join(GENCODE),
            remedy="give `transcripts`, the address of a FASTA file, beside the card's reads",
        )
    return GENCODE[organism].source(introns=introns)


def prepare(
    wanted: Source,
    folder: Path,
    *,
    mirror: str | Path | None = None,
    policy: FetchPolicy | None = None,
    study: str = "reference",
    threads: int = 1,
) -> Reference:
    """Fetch transcripts, check them against their digest, and build the index if it is not there.

    ``folder`` keeps both; an index of other sequences, or of another kallisto, is built anew. Who
    needs it at the same time waits for the one that builds.

    Raises
    ------
    InputError
        The sequences are not those that are pinned, or cannot be had.
    """
    terms = {"mirror": mirror, "policy": policy, "study": study}
    folder = wanted.place(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / f"{wanted.stem}.lock"):
        got = _fetch(wanted.url, folder, terms)
        beside = [_fetch(url, folder, terms) for url in (wanted.genome, wanted.annotation) if url]
        index, facts = folder / f"{wanted.stem}.idx", folder / f"{wanted.stem}.json"
        key = {
            "files": [one.sha256 for one in (got, *beside)],
            "kallisto": tools.version("kallisto"),
            "k": _K,
        }
        if facts.is_file() and index.is_file():
            known = json.loads(facts.read_text(encoding="utf-8"))
            if known["key"] == key and wanted.digest in ("", known["transcripts"]):
                return Reference(wanted.name, index, known["digest"], known["gene_of"])
        transcripts, gene_of = _transcripts(wanted, got.path)
        digest = transcripts
        introns, between = (folder / f"{wanted.stem}.{what}" for what in ("introns.fa.gz", "tmp"))
        try:
            if beside:
                whole, genes = _unspliced(beside[0].path, beside[1].path, introns)
                digest = hashlib.sha256(f"{digest} {whole}".encode()).hexdigest()
                gene_of |= genes
            sequences = [got.path, *([introns] if beside else [])]
            part = index.with_suffix(".part")
            tools.call(
                *("kallisto", "index", "-i", part, "-k", _K, "-t", threads),
                *("-T", between, *sequences),
            )
            part.replace(index)
        finally:
            introns.unlink(missing_ok=True)
            shutil.rmtree(between, ignore_errors=True)
        known = {"key": key, "transcripts": transcripts, "digest": digest, "gene_of": gene_of}
        files.write_json(facts, known)
    return Reference(wanted.name, index, digest, gene_of)


def _fetch(url: str, folder: Path, terms: Mapping[str, Any]) -> Any:
    """Fetch one file; a genome or annotation of GENCODE at first with the hash that the release
    states.

    Later the hash that was recorded then holds.
    """
    md5, name = None, file_name(url)
    pinned = name.endswith(".transcripts.fa.gz") or (folder / name).is_file()
    if url.startswith(_GENCODE) and not pinned:
        listed = get_text(url.removesuffix(name) + "MD5SUMS", **terms).text
        stated = [line.split() for line in listed.splitlines()]
        md5 = next((words[0] for words in stated if words[-1:] == [name]), None)
        if md5 is None:
            raise InputError(
                f"the release's MD5SUMS does not list {name}",
                where=url,
                remedy="try again later; GENCODE may be moving its files",
            )
    return fetch(url, folder / name, md5=md5, lock=folder / "lock.tsv", **terms)


def _transcripts(wanted: Source, path: Path) -> tuple[str, dict[str, str]]:
    """Return the digest of the transcripts, checked, and the gene of each."""
    headers, digest = [], hashlib.sha256()
    for header, bases in _records(path):
        headers.append(header)
        digest.update(bases)
    found = digest.hexdigest()
    if wanted.digest and found != wanted.digest:
        raise InputError(
            f"the sequences have the digest {found}",
            where=path,
            expected=f"{wanted.digest}, that of {wanted.name}",
            remedy="delete the file; if it stays so, the archive has changed the release",
        )
    try:
        return found, transcript_genes(headers)
    except ValueError as error:
        raise InputError(
            str(error), where=path, expected="headers as GENCODE or Ensembl write them"
        ) from None


def _unspliced(genome: Path, annotation: Path, target: Path) -> tuple[str, dict[str, str]]:
    """Write every gene from its start to its end; return a digest, and name → gene.

    Exons are among them once more, which changes nothing: a read of either counts for the gene.
    """
    genes: dict[str, list[tuple[int, int, str, str]]] = {}
    with open_packed(annotation) as file:
        for line in file:
            fields = line.decode().split("\t")
            if len(fields) < 9 or fields[2] != "gene":
                continue
            named = re.search(r'gene_id "([^"]+)"', fields[8])
            if named:
                place = (int(fields[3]), int(fields[4]), fields[6], named[1])
                genes.setdefault(fields[0], []).append(place)
    if not genes:
        raise InputError("there is no gene in it", where=annotation, expected="a GTF with genes")
    digest, headers = hashlib.sha256(), []
    with gzip.open(target, "wb", compresslevel=1) as sink:
        for header, bases in _records(genome):
            for start, end, strand, gene in genes.pop(header.split()[0], []):
                piece = bases[start - 1 : end]
                piece = piece if strand == "+" else piece.translate(_COMPLEMENT)[::-1]
                headers.append(f"unspliced_{gene}|{gene}|")
                sink.write(b">%s\n%s\n" % (headers[-1].encode(), piece))
                digest.update(piece)
    if genes:
        raise InputError(
            f"the genome has no sequence '{min(genes)}', on which genes lie",
            where=genome,
            expected=f"the sequences that {annotation.name} names",
            remedy="take genome and annotation from the same release",
        )
    return digest.hexdigest(), transcript_genes(headers)


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
