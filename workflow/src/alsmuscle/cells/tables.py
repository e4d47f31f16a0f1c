"""Tables of cells, nuclei and spots. What their columns mean is in ``schemas/columns.tsv``."""

from __future__ import annotations

from alsmuscle.core.contracts import INTERVAL, Table

CELLS_QC = Table(
    name="cells_qc",
    columns={
        "dataset": "text",
        "sample_id": "text",
        "material": "text",
        "n_barcodes": "count",
        "n_kept": "count",
        "median_counts": "number",
        "median_genes": "number",
        "median_pct_mito": "number",
        "min_counts": "number",
        "max_counts": "number",
        "min_genes": "number",
        "max_genes": "number",
        "max_pct_mito": "number",
        "doublet_share": "number",
        "doublet_expected": "number",
        "doublet_threshold": "number",
        "doublet_note": "text",
        "ambient_share": "number",
        "ambient_source": "text",
        "ambient_corrected": "flag",
        "skipped": "text",
        "flag": "text",
    },
    key=("sample_id",),
)
BARCODES = Table(
    name="barcodes",
    columns={"dataset": "text", "sample_id": "text", "reason": "text", "n": "count"},
    key=("sample_id", "reason"),
)
CLUSTERS = Table(
    name="clusters",
    columns={
        "dataset": "text",
        "cluster": "text",
        "n_cells": "count",
        "cell_type": "text",
        "lineage": "text",
        "score": "number",
        "runner_up": "text",
        "margin": "number",
        "near": "text",
        "reason": "text",
        "top_genes": "text",
    },
    key=("cluster",),
)
MARKERS = Table(
    name="markers",
    columns={
        "dataset": "text",
        "cluster": "text",
        "cell_type": "text",
        "gene": "text",
        "listed_for": "text",
        "mean": "number",
        "detected": "share",
        "scaled": "share",
    },
    key=("cluster", "gene"),
)
TYPES = Table(
    name="types",
    columns={
        "dataset": "text",
        "sample_id": "text",
        "subject_id": "text",
        "condition": "text",
        "cell_type": "text",
        "n_cells": "count",
        "share": "share",
        "used": "flag",
    },
    key=("sample_id", "cell_type"),
)
ACTIVITY = Table(
    name="activity",
    columns={
        "dataset": "text",
        "cell_type": "text",
        "condition": "text",
        "programme": "text",
        "block": "text",
        "n_donors": "count",
        "n_cells": "count",
        "mean": "number",
        "ci_low": "number",
        "ci_high": "number",
    },
    key=("cell_type", "condition", "programme", "block"),
)
COEXPRESSION = Table(
    name="coexpression",
    columns={
        "dataset": "text",
        "subject_id": "text",
        "condition": "text",
        "group": "text",
        "gene": "text",
        "n_nuclei": "count",
        "n_positive": "count",
        "share": "share",
    },
    key=("subject_id", "condition", "group", "gene"),
)
COMPOSITION = Table(
    name="composition",
    columns={
        "dataset": "text",
        "contrast": "text",
        "cell_type": "text",
        "effect": "number",
        **INTERVAL,
        "stat": "number",
        "df": "number",
        "pvalue": "number",
        "padj": "number",
        "mean_share": "share",
        "n_target": "count",
        "n_reference": "count",
    },
    key=("dataset", "contrast", "cell_type"),
)
