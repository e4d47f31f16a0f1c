"""Tables of programmes, pathways and lists of called genes. What their columns mean is in
``schemas/columns.tsv``.
"""

from __future__ import annotations

from alsmuscle.core.contracts import INTERVAL, Kind, Table

BLOCK_KEY: dict[str, Kind] = {
    "dataset": "text",
    "contrast": "text",
    "cell_type": "text",
    "programme": "text",
    "block": "text",
    "stripped": "flag",
}
CALLED_COLUMNS: dict[str, Kind] = {
    "dataset": "text",
    "contrast": "text",
    "gene_id": "text",
    "symbol": "text",
    "direction": "text",
    "log2fc": "number",
    "pvalue": "number",
    "n_rows": "count",
    "threshold": "text",
}
CALLED_BLOCKS_COLUMNS: dict[str, Kind] = {
    **BLOCK_KEY,
    "n_genes": "count",
    "n_measured": "count",
    "n_background": "count",
    "called_up": "count",
    "called_down": "count",
    "background_up": "count",
    "background_down": "count",
    "p_up": "number",
    "p_down": "number",
    "padj_up": "number",
    "padj_down": "number",
    "usable": "flag",
    "genes_up": "text",
    "genes_down": "text",
}
CALLED = Table(name="called", columns=CALLED_COLUMNS, key=("dataset", "contrast", "gene_id"))
CALLED_BLOCKS = Table(
    name="called_blocks",
    columns=CALLED_BLOCKS_COLUMNS,
    key=("dataset", "contrast", "cell_type", "programme", "block", "stripped"),
)
GSEA = Table(
    name="gsea",
    columns={
        "dataset": "text",
        "contrast": "text",
        "cell_type": "text",
        "collection": "text",
        "term": "text",
        "size": "count",
        "es": "number",
        "nes": "number",
        "pvalue": "number",
        "padj": "number",
        "leading_edge": "text",
    },
    key=("dataset", "contrast", "cell_type", "collection", "term"),
)
SETS = Table(
    name="sets",
    columns={
        "dataset": "text",
        "contrast": "text",
        "cell_type": "text",
        "collection": "text",
        "term": "text",
        "size": "count",
        "effect": "number",
        **INTERVAL,
        "pvalue": "number",
        "padj": "number",
        "pvalue_competitive": "number",
        "padj_competitive": "number",
        "background": "number",
        "camera_pvalue": "number",
        "ora_up_pvalue": "number",
        "ora_down_pvalue": "number",
        "group": "text",
    },
    key=("dataset", "contrast", "cell_type", "collection", "term"),
)
COVERAGE = Table(
    name="coverage",
    columns={
        "programme": "text",
        "block": "text",
        "organism": "text",
        "n_listed": "count",
        "n_mapped": "count",
        "former": "text",
        "unknown": "text",
        "no_counterpart": "text",
        "differs": "text",
    },
    key=("programme", "block", "organism"),
)
SCORES = Table(
    name="scores",
    columns={
        "dataset": "text",
        "sample_id": "text",
        "programme": "text",
        "block": "text",
        "stripped": "flag",
        "score": "number",
    },
    key=("sample_id", "programme", "block", "stripped"),
)
EFFECTS = Table(
    name="effects",
    columns={
        "dataset": "text",
        "contrast": "text",
        "cell_type": "text",
        "programme": "text",
        "block": "text",
        "stripped": "flag",
        "sign": "number",
        "effect": "number",
        **INTERVAL,
        "pvalue": "number",
        "padj": "number",
        "pvalue_competitive": "number",
        "padj_competitive": "number",
        "hedges_g": "number",
        "hedges_g_var": "number",
        "df": "number",
        "n_genes": "count",
        "n_mapped": "count",
        "gene_correlation": "number",
    },
    key=("dataset", "contrast", "cell_type", "programme", "block", "stripped"),
)
