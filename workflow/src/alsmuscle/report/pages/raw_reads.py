"""The part of a study's page about reads that were quantified here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from alsmuscle.reads import quality
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c

COLUMNS = (
    c.Column("library", "Library"),
    c.Column("layout", "Kind"),
    c.Column("reads", "Reads", "count", title="Pairs of reads count once"),
    c.Column("quantified", "Quantified", "count"),
    c.Column("pct_aligned", "Aligned (%)", "number", 1, title="Reads that fit known transcripts"),
    c.Column("pct_unique", "One transcript (%)", "number", 1, title="… and only one of them"),
    c.Column("strandedness", "Strand"),
    c.Column("share_forward", "Forward", "number", 2, title="Share of reads along the transcript"),
    c.Column("fragment_length", "Fragment", "number", 0, title="Mean length, nucleotides"),
    c.Column("read_length", "Read length", "count", title="Nucleotides"),
    c.Column("pct_duplicated", "Copies (%)", "number", 1, title="Among the first 200,000 reads"),
    c.Column("chemistry", "Chemistry"),
    c.Column("pct_barcodes", "Barcodes on list (%)", "number", 1),
    c.Column("barcodes", "Barcodes", "count"),
    c.Column("cells", "Taken for cells", "count"),
    c.Column("flags", "Flags"),
)


def section(study: m.StudyData, parameters: Mapping[str, Any]) -> Markup:
    """Return what is told of a study's reads; empty where they were not quantified here.

    Parameters
    ----------
    parameters
        The effective configuration.
    """
    table = study.reads
    if table is None:
        return Markup("")
    shown = table.dropna(axis=1, how="all")
    shown = shown.drop(columns=[k for k in shown if (shown[k].astype(str) == "").all()])
    if "cells" not in study.card:
        shown = shown.drop(columns=["barcodes", "cells"])
    shown = shown.assign(flags=quality.flagged(table, **parameters["reads"]["quality"]))
    n_flagged = int((shown["flags"] != "").sum())
    made = " and ".join(table["tool"].unique())
    held = " and ".join(table["reference"].unique())
    said = (
        f"Quantified here from raw reads with {made} against {held}, not deposited by the authors. "
    )
    said += f"{n_flagged} of {len(table)} libraries are flagged; a flag removes nothing."
    return Markup("<h3>Raw reads</h3><p>{}</p>{}").format(
        said,
        c.table(
            shown,
            COLUMNS,
            caption="Reads of every library",
            name=f"{study.card['id']}-reads",
        ),
    )
