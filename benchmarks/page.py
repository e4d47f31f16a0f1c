"""One page of all benchmark tables: python benchmarks/page.py results/benchmarks."""

from __future__ import annotations

import html
import sys
from pathlib import Path

import pandas as pd

TITLES = {
    "workflow": "Whole runs: time, overhead, jobs per study",
    "fit": "Differential expression: fit and test",
    "enrichment": "Gene sets",
    "cells": "Single cells",
    "reads": "Raw reads: index and quantification",
    "meta": "Synthesis: pooling over contrasts",
}
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>alsmuscle: benchmarks</title>
<style>
body {{
  font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
}}
div {{ overflow-x: auto }}
table {{ border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums }}
th, td {{
  border-bottom: 1px solid #ccc; padding: .2rem .6rem; text-align: left; white-space: nowrap;
}}
</style>
<h1>Benchmarks</h1>
<p>Measured on one machine, in one run per table: read the ratios, not the seconds. Columns are
explained in <code>benchmarks/README.md</code>.</p>
{sections}
</html>
"""


def build(folder: Path) -> str:
    """Return the page of all tables in ``folder``; lines with # become notes."""
    known = [folder / f"{name}.tsv" for name in TITLES]
    found = [path for path in known if path.exists()]
    found += sorted(set(folder.glob("*.tsv")) - set(known))
    if not found:
        sys.exit(f"{folder}: no .tsv to show; run `make benchmark`")
    sections = []
    for path in found:
        notes = [line[1:].strip() for line in path.read_text().splitlines() if line[:1] == "#"]
        table = pd.read_csv(path, sep="\t", comment="#", dtype=str, keep_default_na=False)
        sections.append(
            f"<h2>{html.escape(TITLES.get(path.stem, path.stem))}</h2>"
            + "".join(f"<p>{html.escape(note)}</p>" for note in notes)
            + f"<div>{table.to_html(index=False, border=0)}</div>"
            + f'<p><a href="{html.escape(path.name)}">{html.escape(path.name)}</a></p>'
        )
    return PAGE.format(sections="\n".join(sections))


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "index.html").write_text(build(place), encoding="utf-8")
    sys.stdout.write(f"{place / 'index.html'}\n")
