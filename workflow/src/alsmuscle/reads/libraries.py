"""Which libraries a card's file of reads lists; light, for the workflow's parsing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alsmuscle.core.errors import InputError

# Values of `source` of a card's file: reads of an archive, and reads of one's own.
SOURCES = ("ena_fastq", "fastq")
_MOST_RUNS = 10_000


def of_file(file: Mapping[str, Any]) -> list[str]:
    """Return the libraries of an entry of ``files``; none where it holds no reads."""
    if file.get("source") == "fastq":
        return list(file["libraries"])
    return run_names(file["runs"]) if file.get("source") == "ena_fastq" else []


def file_of(card: Mapping[str, Any]) -> str:
    """Return the name of a card's file of reads, empty where it has none."""
    files = card.get("files", {})
    return next((name for name, file in files.items() if file.get("source") in SOURCES), "")


def kept_in(cache: str | Path, study: str, name: str) -> Path:
    """Return where is kept what is made of a study's libraries; a library's reads lie below it.

    The folder of that library is there from the first byte that is fetched until it is quantified.
    """
    return Path(cache) / study / name


def lanes(paths: Sequence[str]) -> dict[str, list[str]]:
    """Return a library's files of one's own run by run, by what sequencers and trimmers call them.

    Runs (lanes) are told apart by what names hold beside the mate's mark; a run's files are in the
    order of their marks. Where a name has no mark, all files are one run, as they are listed.

    Examples
    --------
    >>> lanes(["a_L1_R2.fq", "a_L1_R1.fq", "a_L2_R1.fq", "a_L2_R2.fq"])
    {'a_L1': ['a_L1_R1.fq', 'a_L1_R2.fq'], 'a_L2': ['a_L2_R1.fq', 'a_L2_R2.fq']}
    >>> lanes(["barcodes.fastq", "cdna.fastq"])
    {'': ['barcodes.fastq', 'cdna.fastq']}
    """
    marked = [_marked(path) for path in paths]
    if not all(mark for _, mark in marked):
        return {"": list(paths)}
    found: dict[str, dict[str, str]] = {}
    for path, (run, mark) in zip(paths, marked, strict=True):
        files = found.setdefault(run, {})
        if mark in files:
            raise InputError(
                f"{files[mark]} and {path} are both read {mark} of one run, by their names",
                expected="runs or lanes whose names differ",
                remedy="give the files of each run a name of their own",
            )
        files[mark] = path
    for run, files in found.items():
        if set(files) == {"R2"}:
            raise InputError(
                f"a mate is missing: of run {run} there is {files['R2']} alone",
                expected="its other mate, R1",
                remedy="name both on the card, or rename the file if its reads have no mates",
            )
    return {run: [files[mark] for mark in sorted(files)] for run, files in found.items()}


def _marked(path: str) -> tuple[str, str]:
    """Return a file's path without its mate's mark, and the mark: R1, I1 or 1; empty if none."""
    stem = re.sub(r"(\.(fastq|fq|txt))?(\.gz)?$", "", path, flags=re.IGNORECASE)
    stem = re.sub(r"_val_[12]$", "", stem)  # as Trim Galore adds
    match = re.search(r"[._-]([RI][1-4])(?=[._-][^/]*$|$)", stem, re.IGNORECASE)
    match = match or re.search(r"[._-]([12])$", stem)
    return (stem[: match.start()] + stem[match.end() :], match[1].upper()) if match else (stem, "")


def run_names(listed: Sequence[str]) -> list[str]:
    """Return runs one by one; an entry is a run, an experiment, or a range such as ``SRR1-SRR3``.

    Examples
    --------
    >>> run_names(["SRR9-SRR11", "ERR5", "SRR10"])
    ['SRR9', 'SRR10', 'SRR11', 'ERR5']
    """
    found: list[str] = []
    for entry in listed:
        match = re.fullmatch(r"([A-Z]+)(\d{1,12})-\1(\d{1,12})", entry)
        if match is None:
            found.append(entry)
            continue
        first, last = int(match[2]), int(match[3])
        if last - first >= _MOST_RUNS:
            raise InputError(
                f"the range {entry} has {last - first + 1:,} runs",
                expected=f"at most {_MOST_RUNS:,}, those of one study",
            )
        found += [f"{match[1]}{n:0{len(match[2])}d}" for n in range(first, last + 1)]
    return list(dict.fromkeys(found))
