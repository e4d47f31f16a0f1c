"""What the jobs of reads ask of a machine, by the size of the index and the volume of reads.

The figures are those of ``benchmarks/reads.py`` on made-up sequences (``benchmarks/reads.tsv``).
Light, for the workflow's parsing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alsmuscle.reads import libraries

# Distinct words of 31 nucleotides, in millions, that kallisto found in human transcripts, and in
# these with introns (pachterlab/kallisto#153, pachterlab/kallistobustools#22); mouse has fewer.
TRANSCRIPTS, WITH_INTRONS = 130, 1_600
# A library of ENA is planned for before its record is asked: the largest that is meant to be read.
UNKNOWN_GB = 30.0
# Measured on words that hardly repeat; the genome's repeats belong to thousands of genes.
_MARGIN = 2.5
# Measured per megabase: an index takes 4.2 CPU seconds, 0.5 each time that it is loaded, and at
# most 11 MB of memory, built or loaded; some 200 MB are buffers.
_INDEX_SECONDS, _LOAD_SECONDS, _MB, _BESIDE_MB = 4.2, 0.5, 11, 200
# A library of tissue loads it for either strand before all its reads are taken.
_LOADS = 3
# Python with pandas; and for cells the table of molecules, and what bustools sorts in (2 GB).
_PYTHON_MB, _CELLS_MB = 1_000, 6_000
# A gigabyte of packed reads is some eight million pairs of 75 nucleotides: of 22 (cells: 29) CPU
# seconds a million three to four minutes on one thread, and four for a download at 4 MB a second.
_MINUTES_GB, _START = 8, 30
# Text is a quarter of its size once packed.
_PACKED = 4


def megabases(file: Mapping[str, Any], *, introns: bool) -> float:
    """Return the size of the index: of GENCODE's human sequences, or at most that of one's own.

    Parameters
    ----------
    file
        The card's file of reads.
    """
    own = file.get("genome" if introns else "transcripts", "")
    size = _text(own)
    return size / 1e6 if size else float(WITH_INTRONS if introns else TRANSCRIPTS)


def gigabytes(file: Mapping[str, Any], library: str) -> float:
    """Return a library's FASTQ files in gigabytes, as if packed; a guess for those elsewhere."""
    sizes = [_text(path) for path in file.get("libraries", {}).get(library, [])]
    return sum(sizes) / _PACKED / 1e9 if sizes and all(sizes) else UNKNOWN_GB


def index(card: Mapping[str, Any]) -> tuple[int, int]:
    """Return memory (MB) and time (minutes) for making what a study's reads are held against."""
    size = _megabases(card)
    return _index_mb(size), round(20 + _MARGIN * _INDEX_SECONDS / 60 * size)


def library(card: Mapping[str, Any], name: str) -> tuple[int, int]:
    """Return memory (MB) and time (minutes) for fetching and quantifying one library.

    Memory does not grow with the reads: kallisto and bustools go through them in blocks.
    """
    volume, size = gigabytes(card["files"][libraries.file_of(card)], name), _megabases(card)
    is_cells = "cells" in card
    loading = _MARGIN * _LOAD_SECONDS / 60 * size * (1 if is_cells else _LOADS)
    memory = _index_mb(size) + (_CELLS_MB if is_cells else 0)
    return memory, round(_START + loading + _MINUTES_GB * volume)


def _megabases(card: Mapping[str, Any]) -> float:
    introns = card.get("cells", {}).get("material") == "nuclei"
    return megabases(card["files"][libraries.file_of(card)], introns=introns)


def _index_mb(size: float) -> int:
    return round(_PYTHON_MB + _MARGIN * (_BESIDE_MB + _MB * size))


def _text(address: str) -> int:
    """Return a local file's size in bytes, unpacked; 0 where it is elsewhere or missing."""
    path = Path(address)
    if not address or not path.is_file():
        return 0
    return path.stat().st_size * (_PACKED if path.suffix == ".gz" else 1)
