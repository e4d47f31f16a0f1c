"""Tables of raw reads. What their columns mean is in ``schemas/columns.tsv``."""

from __future__ import annotations

from alsmuscle.core.contracts import Table

READS = Table(
    name="reads",
    columns={
        "dataset": "text",
        "library": "text",
        "layout": "text",
        "reads": "count",
        "quantified": "count",
        "read_length": "count",
        "mixed_lengths": "flag",
        "strandedness": "text",
        "share_forward": "number",
        "pct_aligned": "number",
        "pct_unique": "number",
        "pct_duplicated": "number",
        "fragment_length": "number",
        "chemistry": "text",
        "pct_barcodes": "number",
        "barcodes": "count",
        "cells": "count",
        "tool": "text",
        "reference": "text",
        "quantified_on": "text",
    },
    key=("dataset", "library"),
)
NOTHING = {
    **{"strandedness": "", "share_forward": float("nan"), "pct_duplicated": float("nan")},
    **{"fragment_length": float("nan"), "chemistry": "", "pct_barcodes": float("nan")},
    **{"barcodes": 0, "cells": 0},
}
"""Columns of :data:`READS` of which one of the two kinds of library has nothing to tell."""
