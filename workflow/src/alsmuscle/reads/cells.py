"""One library of cells or nuclei: which chemistry, whose reads, and which barcodes are cells.

As ``kb count`` of kb-python does: kallisto finds the genes of each read, bustools mends barcodes by
the kit's list, counts every molecule once, and leaves out those that several genes may have given
(Melsted et al. 2021, Nat Biotechnol 39:813). The reference decides whether introns count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alsmuscle.core import files
from alsmuscle.core.errors import InputError
from alsmuscle.download.download import fetch, file_name
from alsmuscle.reads import fastq, tools
from alsmuscle.reads.reference import Reference
from alsmuscle.reads.tables import NOTHING

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

BARCODE = 16
_LISTS = "https://raw.githubusercontent.com/nf-core/scrnaseq/4.0.0/assets/whitelist"
# A read of an index (the sample's, not the cell's) is at most so long.
_INDEX = 20
# Share of barcodes that have to be on a kit's list; of another kit's, or of cDNA, one in 500 is.
_ON_LIST = 0.5


@dataclass(frozen=True)
class Chemistry:
    """A kit of 10x Genomics (3'): length of its molecules' tags, and its list of barcodes.

    Its key below is also kallisto's name of it. The lists are 10x Genomics' own, as
    nf-core/scrnaseq 4.0.0 gives them out.
    """

    umi: int
    url: str
    sha256: str


CHEMISTRIES = {
    "10xv2": Chemistry(
        10,
        f"{_LISTS}/10x_V2_barcode_whitelist.txt.gz",
        "4101687b6cbb947b8ace340c38eecf872a1a59f230eab23becacd038a46c6fb5",
    ),
    "10xv3": Chemistry(
        12,
        f"{_LISTS}/10x_V3_barcode_whitelist.txt.gz",
        "6f5c08bd6c0c63e7cd4f62bc5ec47024baaf6b230524f313799b9f5431df7b37",
    ),
    "10xv4": Chemistry(
        12,
        f"{_LISTS}/10x_V4_barcode_whitelist.txt.gz",
        "649c5cc14a2b449db16867e9772cc7a115ac971563a6a4a9097156ff8c84940a",
    ),
}


class Kit:
    """Which kit made a library: stated, or found by its barcodes.

    Parameters
    ----------
    stated
        A key of :data:`CHEMISTRIES`, or ``auto``.
    own
        Address or path of a list of barcodes in place of the kit's; empty for the kit's.
    folder, terms
        Where lists are kept; arguments of a download.
    """

    def __init__(
        self, stated: str, *, own: str = "", folder: Path, terms: Mapping[str, Any]
    ) -> None:
        self._stated, self._own, self._folder, self._terms = stated, own, folder, terms

    def of(self, barcode_reads: Path) -> tuple[str, Path, float]:
        """Return chemistry, path of the barcodes' list (unpacked or not), and share on it.

        Raises
        ------
        InputError
            No kit fits: quotes lengths, and shares of barcodes on each list.
        """
        reads = _first(barcode_reads)
        length = min(map(len, reads))
        fitting = [name for name, kit in CHEMISTRIES.items() if BARCODE + kit.umi <= length]
        names = fitting if self._stated == "auto" else [self._stated]
        if self._stated != "auto" and self._stated not in fitting:
            raise self._unfit(barcode_reads, length, {})
        if self._own and self._stated == "auto":
            # One list for all: the length alone tells.
            names = [n for n in names if BARCODE + CHEMISTRIES[n].umi == length][:1]
        shares = {}
        for name in names:
            path = self._list(name)
            shares[name] = (_share(reads, path), path)
        best = max(shares, key=lambda name: shares[name][0], default="")
        if not best or shares[best][0] < _ON_LIST:
            raise self._unfit(barcode_reads, length, {n: s for n, (s, _) in shares.items()})
        return best, shares[best][1], shares[best][0]

    def _list(self, name: str) -> Path:
        kit = CHEMISTRIES[name]
        url, pin = (self._own, None) if self._own else (kit.url, kit.sha256)
        lock = self._folder / "lock.tsv"
        return fetch(url, self._folder / file_name(url), sha256=pin, lock=lock, **self._terms).path

    def _unfit(self, path: Path, length: int, shares: Mapping[str, float]) -> InputError:
        found = ", ".join(f"{share:.0%} of {name}" for name, share in shares.items())
        wanted = "; ".join(f"{name}: {BARCODE + kit.umi}" for name, kit in CHEMISTRIES.items())
        return InputError(
            f"unknown chemistry: the reads of barcodes have {length} nucleotides"
            + (f", and on the kits' lists are {found}" if found else ""),
            where=path,
            expected=f"chemistry `{self._stated}`, nucleotides: {wanted}",
            remedy="state `cells.chemistry`; kits other than 10x Genomics 3' are not read from "
            "reads",
        )


def count(
    runs: Sequence[Sequence[Path]],
    reference: Reference,
    kit: Kit,
    *,
    beside: Path | None = None,
    first_reads: int = 0,
    threads: int = 1,
) -> tuple[AnnData, AnnData, dict[str, Any]]:
    """Count the molecules of one library.

    Parameters
    ----------
    runs
        The files of each run, in any order: reads of barcodes, of cDNA, perhaps of indices.
    reference
        Transcripts, for nuclei with introns.
    kit
        The chemistry.
    beside
        Folder for what is written between; that of the reads when left out.
    first_reads
        Take so many reads of each run only, for a trial; 0 takes all.

    Returns
    -------
    called, raw
        Barcodes × genes, whole numbers: barcodes that are cells, and all on the kit's list.
    quality
        What :data:`alsmuscle.reads.tables.READS` tells of a library of cells.

    Raises
    ------
    InputError
        Files are broken or missing, or the chemistry is unknown.
    """
    pairs = [_pair(run) for run in runs]
    if not pairs:
        raise InputError("no run", expected="at least one, of two files")
    chemistry, listed, share = kit.of(pairs[0][0].path)
    with tools.workspace(beside or pairs[0][0].path.parent) as folder:
        used = [
            fastq.at_most(file, folder / f"{number}.fastq", first_reads)
            for number, file in enumerate(file for pair in pairs for file in pair)
        ]
        paths = [file.path for file in used]
        raw, info = _bus(paths, reference, chemistry, listed, folder, threads)
        taken = sum(file.reads for file in used) // 2
        fastq.read_whole(info["n_processed"], taken, paths)
    if not raw.n_obs:
        raise InputError(
            f"none of {taken:,} reads belongs to a gene of {reference.name}",
            where=pairs[0][1].path,
            expected="reads of this organism's RNA",
            remedy="compare the card's organism with the archive's record",
        )
    molecules = np.asarray(raw.X.sum(axis=1)).ravel()
    called = raw[molecules >= least_molecules(molecules)].copy()
    quality = NOTHING | {
        "layout": "cells",
        "reads": sum(barcodes.reads for barcodes, _ in pairs),
        "quantified": taken,
        "read_length": min(cdna.longest for _, cdna in pairs),
        "mixed_lengths": any(cdna.mixed for _, cdna in pairs),
        "pct_aligned": info["p_pseudoaligned"],
        "pct_unique": info["p_unique"],
        "chemistry": chemistry,
        "pct_barcodes": round(100 * share, 2),
        "barcodes": raw.n_obs,
        "cells": called.n_obs,
    }
    return called, raw, quality


def least_molecules(molecules: NDArray[Any]) -> float:
    """Return from how many molecules on a barcode is taken for a cell.

    A tenth of what the richest cells hold (the 99th percentile of as many barcodes as there are
    cells); that number is the one which this rule itself comes nearest to.

    Source: 10x Genomics, Cell Ranger's gene expression algorithms, first step of the calling of
    cells ("OrdMag").
    """
    ranked = np.sort(molecules[molecules > 0])[::-1]
    if not len(ranked):
        return 1.0
    most = min(len(ranked), 45_000)
    tried = np.unique(np.geomspace(1, most, 2000).astype(int))
    limits = np.array([np.quantile(ranked[:n], 0.99) / 10 for n in tried])
    found = np.searchsorted(-ranked, -limits, side="right")
    best = np.argmin((found - tried) ** 2 / tried)
    return float(max(limits[best], 1.0))


def _pair(run: Sequence[Path]) -> tuple[fastq.Fastq, fastq.Fastq]:
    """Return a run's reads of barcodes and of cDNA, by their lengths."""
    looked = [fastq.look(path) for path in run]
    real = [file for file in looked if file.longest > _INDEX]
    if len(real) != 2:
        lengths = ", ".join(f"{file.path.name} {file.longest}" for file in looked)
        raise InputError(
            f"{len(real)} file(s) of reads beside those of indices (nucleotides: {lengths})",
            where=run[0].parent if run else None,
            expected="two: barcodes, and cDNA",
            remedy="archives often drop the reads of barcodes; look whether the submitted files "
            "hold them, and name these under `files` as reads of your own",
        )
    fastq.pair(real)
    # Kits write 26 or 28; who sequences both reads as long names the barcodes' first.
    barcodes, cdna = sorted(real, key=lambda file: file.longest)
    if barcodes.longest == cdna.longest:
        barcodes, cdna = real
    if barcodes.mixed:
        raise InputError(
            f"reads of barcodes have {barcodes.shortest} to {barcodes.longest} nucleotides",
            where=barcodes.path,
            expected="one length: barcode and tag of the molecule stand at fixed places",
            remedy="take the files as the sequencer wrote them, not trimmed",
        )
    return barcodes, cdna


def _room_to_sort(size: int) -> int:
    """Return the memory, in MiB, in which bustools sorts a file of ``size`` bytes.

    All of the file, up to 2 GiB: bustools fills what it is given with zeros before it reads, which
    takes seconds. Its least is 64.
    """
    return min(max((size >> 20) + 1, 64), 2048)


def _bus(
    used: Sequence[Path],
    reference: Reference,
    chemistry: str,
    listed: Path,
    folder: Path,
    threads: int,
) -> tuple[AnnData, dict[str, Any]]:
    """Run kallisto and bustools; return barcodes × genes and kallisto's ``run_info.json``."""
    out, plain = folder / "bus", folder / "barcodes.txt"
    words = ("kallisto", "bus", "-i", reference.index, "-o", out, "-x", chemistry, "-t", threads)
    tools.call(*map(str, words), *used)
    with fastq.open_packed(listed) as source:
        plain.write_bytes(source.read())
    genes = folder / "genes.tsv"
    rows = (f"{name}\t{gene}\n" for name, gene in reference.gene_of.items())
    genes.write_text("".join(rows), encoding="utf-8")

    def bus(step: str, source: str, target: str, *options: Any) -> None:
        tools.call("bustools", step, "-o", folder / target, *options, folder / source)
        (folder / source).unlink()  # as large as the reads: one of them at a time

    def sort(source: str, target: str) -> None:
        room = _room_to_sort((folder / source).stat().st_size)
        bus("sort", source, target, "-T", folder / "sort", "-t", threads, "-m", f"{room}M")

    sort("bus/output.bus", "sorted.bus")
    bus("correct", "sorted.bus", "mended.bus", "-w", plain)
    sort("mended.bus", "counted.bus")
    names = ("-g", genes, "-e", out / "matrix.ec", "-t", out / "transcripts.txt")
    bus("count", "counted.bus", "counts", "--genecounts", "--umi-gene", *names)
    return _matrix(folder / "counts"), files.read_json(out / "run_info.json")


def _matrix(stem: Path) -> AnnData:
    import pandas as pd
    from scipy import io, sparse

    from alsmuscle.core.annotated import anndata

    def lines(kind: str) -> list[str]:
        return stem.with_suffix(f".{kind}.txt").read_text(encoding="utf-8").split()

    barcodes, genes = lines("barcodes"), lines("genes")
    path = stem.with_suffix(".mtx")
    with path.open("rb") as file:  # two lines of header and the sizes come first
        filled = barcodes and len(list(islice(file, 4))) > 3
    X = io.mmread(path) if filled else sparse.coo_matrix((len(barcodes), len(genes)))
    return anndata.AnnData(
        sparse.csr_matrix(X, dtype=np.float32),
        obs=pd.DataFrame(index=barcodes),
        var=pd.DataFrame(index=genes),
    )


def _first(path: Path) -> list[bytes]:
    with fastq.open_packed(path) as file:
        records = ([file.readline() for _ in range(4)] for _ in range(fastq.LOOKED_AT))
        return [record[1].rstrip() for record in records if record[1]]


def _share(reads: Sequence[bytes], listed: Path) -> float:
    """Return the share of reads whose first bases are on a list."""
    with fastq.open_packed(listed) as file:
        content = np.frombuffer(file.read().replace(b"\r", b"").rstrip(b"\n") + b"\n", np.uint8)
    if len(content) % (BARCODE + 1) or (content[BARCODE :: BARCODE + 1] != 10).any():
        raise InputError(
            "not a list of barcodes", where=listed, expected=f"{BARCODE} nucleotides a line"
        )
    known = content.reshape(-1, BARCODE + 1)[:, :BARCODE].copy().view(f"S{BARCODE}").ravel()
    found = np.isin(np.array([read[:BARCODE] for read in reads]), known)
    return float(found.mean())
