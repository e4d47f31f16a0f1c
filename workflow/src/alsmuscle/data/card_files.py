"""What a study card says of its files and their layouts: names that exist, keys that belong
together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from alsmuscle.reads import libraries

Card = dict[str, Any]

# Files beside reads, by address or path; and how reads are quantified.
_BESIDE = ("transcripts", "genome", "annotation", "barcodes")
_READS = (*_BESIDE, "first_reads", "trimmed", "fragment_length", "fragment_spread")
# Where an archive keeps a file: `source` of a card → keys that it needs, and keys that it may have
# beside the pins; `accession` is the card's unless it is given.
SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "geo_supplement": (("name|match",), ("accession",)),
    "geo_raw": ((), ("accession",)),
    "geo_matrix": ((), ("accession", "platform")),
    "geo_soft": ((), ("accession",)),
    "geo_annotation": (("platform",), ()),
    "ncbi_counts": ((), ("accession",)),
    "ncbi_annotation": ((), ()),
    "recount3": ((), ("accession", "table")),
    "ena_report": ((), ("accession",)),
    "ena_fastq": (("runs",), ("accession", *_READS, "keep")),
    "fastq": (("libraries",), _READS),
    "biostudies": (("name|match",), ("accession",)),
    "cellxgene": (("accession", "dataset"), ()),
}
_PINS = {"source", "sha256", "md5", "bytes", "members"}


def one_of(names: Iterable[str]) -> str:
    """Return what was expected, where only these names are known."""
    return "one of: " + ", ".join(sorted(names))


def is_path(address: str) -> bool:
    """Say whether an address is the path of a file of one's own."""
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", address) is None


def own_paths(file: Mapping[str, Any]) -> list[str]:
    """Return the paths of files of one's own that an entry of ``files`` names."""
    found: list[str] = []

    def noted(path: str) -> str:
        found.append(path)
        return path

    from_here(file, noted)
    return found


def from_here(file: Mapping[str, Any], placed: Callable[[str], str]) -> dict[str, Any]:
    """Return an entry of ``files`` with each path of one's own as ``placed`` makes it."""
    changed: dict[str, Any] = {
        key: placed(file[key]) for key in ("url", *_BESIDE) if key in file and is_path(file[key])
    }
    if "libraries" in file:
        changed["libraries"] = {
            name: [placed(path) for path in paths] for name, paths in file["libraries"].items()
        }
    return {**file, **changed}


def check_file(key: str, file: Mapping[str, Any], fail: Callable[..., None]) -> None:
    """Check that a file is named by its address or by its place in an archive."""
    if ("url" in file) == ("source" in file):
        fail(key, "give exactly one of `url` and `source`")
    if "url" in file:
        if odd := set(file) - _PINS - {"url"}:
            fail(f"{key}.{min(odd)}", "this key belongs to `source`; a `url` is complete")
        return
    needed, allowed = SOURCES[file["source"]]
    for group in needed:
        if len(set(group.split("|")) & set(file)) != 1:
            fail(key, f"`source: {file['source']}` needs " + " or ".join(group.split("|")))
    known = {part for group in needed for part in group.split("|")} | set(allowed) | _PINS
    if odd := set(file) - known:
        fail(f"{key}.{min(odd)}", f"`source: {file['source']}` has no such key", one_of(known))


def named_files(card: Card) -> list[tuple[str, str]]:
    """Return key → name for every place of a card that names one of its files."""
    found = [
        (f"{key}.file", card[key]["file"]) for key in ("counts", "effects", "calls") if key in card
    ]
    counts, cells = card.get("counts", {}), card.get("cells", {})
    found += [(f"counts.{key}", counts[key]) for key in ("quality",) if key in counts]
    found += [(f"cells.{key}", cells[key]) for key in ("file", "metadata") if key in cells]
    found += [
        ("cells.samples", entry[key])
        for entry in cells.get("samples", [])
        for key in ("file", "raw", "positions")
        if key in entry
    ]
    blocks = [("counts", counts)]
    blocks += [(f"intensities.{c['platform']}", c) for c in card.get("intensities", [])]
    found += [(f"{key}.file", chip["file"]) for key, chip in blocks[1:]]
    found += [
        (f"{key}.annotation", block["annotation"]["file"])
        for key, block in blocks
        if "annotation" in block
    ]
    sheet = card.get("samples", {}).get("sheet", {}).get("file", [])
    return found + [
        ("samples.sheet.file", n) for n in ([sheet] if isinstance(sheet, str) else sheet)
    ]


def check_layout(card: Card, fail: Callable[..., None]) -> None:
    """Check that each layout has the keys that it needs."""
    counts, cells = card.get("counts", {}), card.get("cells", {})
    effects = card.get("effects", {})
    for key in ("gene_column", "log2fc_column"):
        if effects and key not in effects and not _of_tool(effects, key):
            fail(f"effects.{key}", "missing; `tool` does not give it")
    if counts.get("layout") == "tar_tables":
        needed = ["member", *([] if "tool" in counts else ["count_column"])]
        needed += (
            ["strand"] if counts.get("tool") == "star" and "count_column" not in counts else []
        )
        for key in needed:
            if key not in counts:
                fail(f"counts.{key}", "missing; the layout `tar_tables` needs it")
        if "(?P<sample_id>" not in counts["member"]:
            fail("counts.member", "the expression has no group `sample_id`", "(?P<sample_id>...)")
    _check_reads(card, fail)
    if "strand" in counts and counts.get("tool") != "star":
        fail("counts.strand", "only `tool: star` has columns by strand")
    if (counts.get("layout") == "recount3") != (counts.get("type") == "coverage"):
        fail("counts.type", "`coverage` and the layout `recount3` belong together")
    if counts.get("layout") == "recount3" and "quality" not in counts:
        fail("counts.quality", "missing; gene sums become counts by the lengths in `recount_qc`")
    for chip in card.get("intensities", []):
        if "annotation" not in chip and chip["layout"] != "soft":
            fail(f"intensities.{chip['platform']}.annotation", "missing: what leads to genes?")
    if cells:
        if ("file" in cells) == ("samples" in cells):
            fail("cells", "give exactly one of `file` and `samples`")
        whole = cells["layout"] if "file" in cells else ""  # one file holds all samples
        if whole.startswith("10x") and "(?P<sample_id>" not in cells.get("member", ""):
            fail("cells.member", "no expression with a group `sample_id`", "(?P<sample_id>...)")
        if whole in ("h5ad", "table") and "sample_column" not in cells:
            fail("cells.sample_column", "missing: which column says whose cell it is?")
        for key in ("metadata", "barcode_column") if whole == "table" else ():
            if key not in cells:
                fail(f"cells.{key}", "missing; the layout `table` needs it")


def _check_reads(card: Card, fail: Callable[..., None]) -> None:
    """Check that reads are quantified once, and that what they become is what is read."""
    files = card.get("files", {})
    found = [name for name, file in files.items() if file.get("source") in libraries.SOURCES]
    if len(found) > 1:
        fail(f"files.{found[1]}", f"reads are also `files.{found[0]}`; a study has one such entry")
    owner: dict[str, str] = {}
    for name in found:
        for library, paths in files[name].get("libraries", {}).items():
            for path in paths:
                if path in owner:
                    fail(f"files.{name}.libraries.{library}", f"{path} is also {owner[path]}'s")
                owner[path] = library
    for key in ("counts", "cells"):
        block = card.get(key, {})
        is_reads = block.get("layout") == "reads"
        if is_reads != (block.get("file") in found):
            fail(f"{key}.layout", "`reads` and a file of reads (`files`) belong together")
    cells, counts = card.get("cells", {}), card.get("counts", {})
    if ("chemistry" in cells) != (cells.get("layout") == "reads"):
        fail("cells.chemistry", "the layout `reads` needs it, and no other has it")
    if cells.get("layout") == "reads" and "file" not in cells:
        fail("cells.file", "missing: which entry of `files` are the reads?")
    if counts.get("layout") == "reads" and counts["type"] != "expected_counts":
        fail("counts.type", "counts from reads are estimates", "expected_counts")


def _of_tool(effects: Mapping[str, Any], key: str) -> bool:
    """Say whether the tool that wrote a table gives a column its name."""
    from alsmuscle.data.derivation import TOOLS

    return key in TOOLS.get(str(effects.get("tool", "")), {})


def patterns(card: Card) -> list[tuple[str, str]]:
    """Return key → regular expression for every one on a card."""
    found = []
    if isinstance(rule := card.get("samples", {}).get("sample_id"), dict):
        found.append(("samples.sample_id.pattern", rule["pattern"]))
    for name, rule in card.get("samples", {}).get("columns", {}).items():
        key = f"samples.columns.{name}"
        found += [(f"{key}.pattern", rule["pattern"])] if "pattern" in rule else []
        found += [(f"{key}.match", pattern) for pattern in rule.get("match", {})]
    for block, key in (("counts", "member"), ("cells", "member"), ("effects", "controls")):
        if key in card.get(block, {}):
            found.append((f"{block}.{key}", card[block][key]))
    found += [
        (f"files.{name}.match", file["match"])
        for name, file in card.get("files", {}).items()
        if "match" in file
    ]
    return found
