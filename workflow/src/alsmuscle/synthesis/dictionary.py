"""Every table of the workflow, and the dictionary that describes their columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from alsmuscle.bulk import tables as bulk
from alsmuscle.cells import tables as cells
from alsmuscle.core import files, outcome
from alsmuscle.core.contracts import Kind, Table
from alsmuscle.data import tables as data
from alsmuscle.genesets import tables as genesets
from alsmuscle.reads import tables as reads
from alsmuscle.synthesis import tables as synthesis

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        data.CHECKS,
        data.COMPLETENESS,
        data.ADMISSION,
        outcome.OUTCOME,
        data.MANIFEST,
        reads.READS,
        data.SAMPLES,
        data.EXCLUDED,
        bulk.QC,
        bulk.PCA_COVARIATES,
        bulk.PCA,
        bulk.DE,
        data.IMPORTED,
        genesets.CALLED,
        genesets.CALLED_BLOCKS,
        synthesis.CALLED_GENES_ALL,
        synthesis.CALLED_BLOCKS_ALL,
        synthesis.CALL_AGREEMENT,
        bulk.ENGINES,
        bulk.OMNIBUS,
        genesets.GSEA,
        genesets.SETS,
        genesets.COVERAGE,
        genesets.SCORES,
        bulk.BLOCK_EFFECTS,
        genesets.EFFECTS,
        cells.CELLS_QC,
        cells.BARCODES,
        cells.CLUSTERS,
        cells.MARKERS,
        cells.TYPES,
        cells.ACTIVITY,
        cells.COEXPRESSION,
        cells.COMPOSITION,
        data.WARNINGS,
        synthesis.CONTRASTS,
        synthesis.BLOCKS,
        synthesis.POOLED_GENES,
        synthesis.POOLED_PROGRAMMES,
        synthesis.SPECIFICITY,
        synthesis.DENERVATION,
        synthesis.DELTAS,
        synthesis.RANDOM_SETS,
        synthesis.SHARES,
        synthesis.PROPORTIONS,
        synthesis.CLAIMS,
        synthesis.CLAIM_STUDIES,
        synthesis.CHANGES,
        synthesis.DICTIONARY,
    )
}
EVERY = "*"
KINDS: dict[Kind, str] = {
    "text": "text, empty when unknown",
    "number": "number, empty when missing",
    "count": "whole number from 0",
    "flag": "True or False",
    "share": "number from 0 to 1",
}


def meanings(path: str | Path) -> dict[tuple[str, str], str]:
    """Return (table, column) → meaning and unit, for every column of every table.

    ``path`` is ``schemas/columns.tsv``; its table ``*`` speaks for a column wherever a table says
    nothing of its own.
    """
    said = {
        (row["table"], row["column"]): row["meaning"]
        for row in files.read_plain(path).to_dict("records")
    }
    return {
        (name, column): said.get((name, column), said.get((EVERY, column), ""))
        for name, table in TABLES.items()
        for column in table.columns
    }


def dictionary(path: str | Path) -> pd.DataFrame:
    """Describe every column of every table: ``table, column, kind, key, meaning``."""
    said = meanings(path)
    rows = [
        {
            "table": name,
            "column": column,
            "kind": KINDS[kind],
            "key": column in table.key,
            "meaning": said[name, column],
        }
        for name, table in TABLES.items()
        for column, kind in table.columns.items()
    ]
    return pd.DataFrame(rows)
