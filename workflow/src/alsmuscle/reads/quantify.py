"""One library of bulk reads: which strand, how much of it belongs to known transcripts, and how
much each.

kallisto tells none of what is wrong with its files: an empty or truncated file, or mates of
different number, give numbers like any other. See :mod:`alsmuscle.reads.fastq` for those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core.errors import InputError
from alsmuscle.reads import fastq, tools
from alsmuscle.reads.fastq import Fastq
from alsmuscle.reads.reference import Reference
from alsmuscle.reads.tables import NOTHING

if TYPE_CHECKING:
    import pandas as pd

# Reads by which the strand is told.
SUBSAMPLE = 200_000
# Share of strand-specific reads that lie forward: above, or below its complement, the library is
# stranded; RSeQC's and nf-core/rnaseq's limits are alike.
STRANDED = 0.8
UNSTRANDED = (0.4, 0.6)
# Shorter reads hold no k-mer of the index.
SHORTEST = 31
_FLAGS = {"forward": ["--fr-stranded"], "reverse": ["--rf-stranded"], "unstranded": []}


@dataclass(frozen=True)
class Single:
    """Fragment length (nucleotides) and its spread that kallisto is told for single reads."""

    length: float = 200.0
    spread: float = 30.0


def quantify(
    runs: Sequence[Sequence[Path]],
    reference: Reference,
    *,
    beside: Path | None = None,
    single: Single | None = None,
    first_reads: int = 0,
    trimmed: bool = False,
    threads: int = 1,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Quantify one library.

    Parameters
    ----------
    runs
        Of each of its runs (or lanes) the FASTQ file, or the two files of mates.
    reference
        The transcripts.
    beside
        Folder for what is written between; that of the reads when left out.
    single
        Fragments of single reads, which do not tell their length.
    first_reads
        Take so many reads of each run only, for a trial; 0 takes all.
    trimmed
        Reads may differ in length.

    Returns
    -------
    abundance
        kallisto's table: ``target_id, length, eff_length, est_counts, tpm``.
    quality
        What :data:`alsmuscle.reads.tables.READS` tells of a library of whole tissue: ``reads`` of
        the library and ``quantified`` of them; duplicates are copies among the first reads.

    Raises
    ------
    InputError
        The files are broken, empty, differ in their number of reads, or hold reads too short.
    """
    import pandas as pd

    looked = [_readable(files, trimmed) for files in runs]
    paired, every = _layout(looked), [file for run in looked for file in run]
    single = single or Single()
    fragment = (
        []
        if paired
        else ["--single", "--single-overhang", "-l", single.length, "-s", single.spread]
    )
    with tools.workspace(beside or every[0].path.parent) as folder:
        used = _firsts(every, folder, "first", first_reads)
        sample = [f.path for f in _firsts(used, folder, "sample", SUBSAMPLE // len(runs))]
        taken = sum(file.reads for file in used) // (1 + paired)
        found = {
            strand: _run(sample, reference, folder / strand, [*_FLAGS[strand], *fragment], threads)
            for strand in ("forward", "reverse")
        }
        forward, backward = (found[strand][1]["n_pseudoaligned"] for strand in found)
        strand, share = strandedness(forward, backward)
        duplicated = fastq.share_duplicated(sample[: 1 + paired], SUBSAMPLE)
        options = [*_FLAGS[strand], *fragment]
        whole = folder / "whole"
        said, info = _run([f.path for f in used], reference, whole, options, threads)
        fastq.read_whole(info["n_processed"], taken, [f.path for f in used])
        abundance = pd.read_csv(whole / "abundance.tsv", sep="\t")
    if not info["n_pseudoaligned"]:
        raise InputError(
            f"none of {taken:,} reads belongs to a transcript of {reference.name}",
            where=every[0].path,
            expected="reads of this organism's RNA",
            remedy="compare the card's organism with the archive's record",
        )
    length = re.search(r"estimated average fragment length: ([\d.]+)", said)
    quality = NOTHING | {
        "layout": "paired" if paired else "single",
        "reads": sum(run[0].reads for run in looked),
        "quantified": taken,
        "read_length": min(file.longest for file in every),
        "mixed_lengths": any(file.mixed for file in every),
        "strandedness": strand,
        "share_forward": round(share, 4),
        "pct_aligned": info["p_pseudoaligned"],
        "pct_unique": info["p_unique"],
        "pct_duplicated": round(100 * duplicated, 2),
        "fragment_length": float(length[1]) if length and paired else single.length,
    }
    return abundance, quality


def _readable(files: Sequence[Path], trimmed: bool) -> list[Fastq]:
    """Look at a run's files from end to end, and stop where kallisto would go on without a word."""
    if len(files) not in (1, 2):
        raise InputError(
            f"{len(files)} files of reads",
            where=", ".join(map(str, files)) or None,
            expected="one file of single reads, or two of mates",
            remedy="leave the run out, or name its files on the card",
        )
    looked = [fastq.look(path) for path in files]
    fastq.pair(looked)
    least = min(looked, key=lambda file: file.longest)
    if least.longest < SHORTEST:
        raise InputError(
            f"reads of {least.longest} nucleotides at most",
            where=least.path,
            expected=f"at least {SHORTEST}, the length of the index's words",
            remedy="leave the run out",
        )
    if any(file.mixed for file in looked) and not trimmed:
        shortest = min(file.shortest for file in looked)
        raise InputError(
            f"reads of {shortest} to {max(file.longest for file in looked)} nucleotides",
            where=files[0],
            expected="reads of one length, as a sequencer writes them",
            remedy="find out whether they were trimmed, or put together from several runs; if they "
            "were trimmed, say `trimmed: true` beside the card's reads",
        )
    return looked


def strandedness(forward: int, backward: int) -> tuple[str, float]:
    """Return the library's strand, and the share of strand-specific reads that lie forward.

    A share between the limits of stranded and unstranded libraries is quantified as unstranded,
    which loses no read; the share tells.
    """
    if not forward + backward:
        return "unstranded", 0.5
    share = forward / (forward + backward)
    if share >= STRANDED:
        return "forward", share
    return ("reverse" if share <= 1 - STRANDED else "unstranded"), share


def _layout(runs: Sequence[Sequence[Fastq]]) -> bool:
    """Return whether reads have mates, and stop where some have and some have not."""
    if len(numbers := {len(run) for run in runs}) != 1:
        found = "no run" if not runs else "runs of single reads, and runs of mates"
        raise InputError(
            found,
            where=runs[0][0].path.parent if runs else None,
            expected="runs of one kind",
            remedy="look whether a mate's file is missing; else make two libraries of them",
        )
    return numbers == {2}


def _firsts(files: Sequence[Fastq], folder: Path, name: str, reads: int) -> list[Fastq]:
    targets = (folder / f"{name}_{number}.fastq" for number in range(len(files)))
    return [
        fastq.at_most(file, target, reads) for file, target in zip(files, targets, strict=False)
    ]


def _run(
    files: Sequence[Path], reference: Reference, out: Path, options: Sequence[Any], threads: int
) -> tuple[str, dict[str, Any]]:
    """Run kallisto; return what it said and its ``run_info.json``.

    It ends with an error where no read is aligned, once its tables are written: that is an answer
    here, since of a stranded library nothing may lie on the other strand.
    """
    try:
        said = tools.call(
            *("kallisto", "quant", "-i", reference.index, "-o", out, "--plaintext"),
            *("-t", threads, *options, *files),
        )
    except InputError as error:
        if not (out / "run_info.json").is_file() or "no reads pseudoaligned" not in error.problem:
            raise
        said = error.problem
    return said, json.loads((out / "run_info.json").read_text(encoding="utf-8"))
