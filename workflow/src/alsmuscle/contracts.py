"""What passes between rules: one contract per table and AnnData, checked by writer and reader.

A broken hand-over thus fails where it happens, with the column's name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from alsmuscle.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

Kind = Literal["text", "number", "count", "flag", "share"]


@dataclass(frozen=True)
class Table:
    """Contract of one table.

    Parameters
    ----------
    columns
        Required column → kind. ``text`` is never missing (unknown is empty), ``number`` may be
        missing, ``count`` is a whole number from 0, ``share`` lies in 0..1, ``flag`` is a boolean.
    key
        Columns that identify a row.
    about
        Column → meaning and unit; goes into the data dictionary.
    """

    columns: dict[str, Kind]
    key: tuple[str, ...] = ()
    about: dict[str, str] = field(default_factory=dict)


_EFFECT: dict[str, Kind] = {"se": "number", "ci_low": "number", "ci_high": "number"}

TABLES: dict[str, Table] = {
    "manifest": Table(
        {
            "study": "text",
            "name": "text",
            "url": "text",
            "path": "text",
            "sha256": "text",
            "bytes": "count",
            "retrieved": "text",
            "source": "text",
            "pinned": "text",
        },
        ("study", "name"),
        {
            "path": "where the file lies, relative to the working directory",
            "retrieved": "UTC time at which the file was obtained",
            "source": "mirror, network or local",
            "pinned": "what is pinned on the card: file, members, or nothing",
        },
    ),
    "samples": Table(
        {
            "dataset": "text",
            "sample_id": "text",
            "subject_id": "text",
            "condition": "text",
            "stage": "text",
            "sex": "text",
            "age": "number",
            "age_unit": "text",
            "muscle": "text",
            "material": "text",
            "batch": "text",
        },
        ("sample_id",),
        {
            "subject_id": "donor; several samples of one donor share it",
            "condition": "harmonised group",
            "sex": "declared sex: female, male, or empty where not declared",
            "age_unit": "unit of age: years, days or weeks",
        },
    ),
    "excluded": Table(
        {"dataset": "text", "sample_id": "text", "reason": "text"}, ("dataset", "sample_id")
    ),
    "qc": Table(
        {
            "dataset": "text",
            "sample_id": "text",
            "library_size": "count",
            "genes_detected": "count",
            "pct_mito": "number",
            "pct_ribo": "number",
            "pct_hb": "number",
            "top_gene_share": "share",
            "top_gene": "text",
            "xist": "number",
            "y_genes": "number",
            "sex_inferred": "text",
            "sex_declared": "text",
            "median_correlation": "number",
            "outlier_distance": "number",
            "flags": "text",
            "reasons": "text",
        },
        ("sample_id",),
        {
            "library_size": "reads counted in genes",
            "pct_mito": "per cent of reads in mitochondrial genes",
            "pct_ribo": "per cent of reads in genes of ribosomal proteins",
            "pct_hb": "per cent of reads in haemoglobin genes",
            "xist": "log2(counts per million + 1) of XIST",
            "y_genes": "mean log2(counts per million + 1) of Y-linked genes",
            "median_correlation": "median Spearman correlation with samples of its condition",
            "outlier_distance": "distance from the components' centre, multiples of the median",
            "flags": "names of raised flags, joined with ;",
            "reasons": "per flag: metric, value and threshold, joined with ;",
        },
    ),
    "pca": Table({"sample_id": "text", "pc1": "number", "pc2": "number"}, ("sample_id",)),
    "de": Table(
        {
            "dataset": "text",
            "contrast": "text",
            "cell_type": "text",
            "gene_id": "text",
            "symbol": "text",
            "base_mean": "number",
            "log2fc": "number",
            "lfc_se": "number",
            "log2fc_shrunk": "number",
            "stat": "number",
            "pvalue": "number",
            "padj": "number",
            "n_target": "count",
            "n_reference": "count",
        },
        ("dataset", "contrast", "cell_type", "gene_id"),
        {
            "base_mean": "mean of counts divided by size factors",
            "log2fc": "log2 fold change, target over reference, not shrunken",
            "lfc_se": "standard error of log2fc",
            "log2fc_shrunk": "log2fc shrunken with the apeglm prior",
            "stat": "Wald statistic",
            "padj": "Benjamini–Hochberg over genes passing independent filtering, else empty",
            "n_target": "samples in the target group",
            "n_reference": "samples in the reference group",
        },
    ),
    "gsea": Table(
        {
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
        ("dataset", "contrast", "cell_type", "collection", "term"),
        {
            "size": "genes of the set among the ranked genes",
            "es": "enrichment score",
            "nes": "enrichment score over the mean of its null",
            "leading_edge": "symbols that make up the score, joined with ;",
        },
    ),
    "sets": Table(
        {
            "dataset": "text",
            "contrast": "text",
            "cell_type": "text",
            "collection": "text",
            "term": "text",
            "size": "count",
            "effect": "number",
            **_EFFECT,
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
        ("dataset", "contrast", "cell_type", "collection", "term"),
        {
            "size": "genes of the set among the tested genes",
            "effect": "mean difference of the set's genes, log2 units, target minus reference",
            "pvalue": "does the set's mean move?",
            "pvalue_competitive": "does it move more than random sets of its size and expression?",
            "padj_competitive": "Benjamini–Hochberg within the collection",
            "background": "mean effect of the random sets, log2 units",
            "camera_pvalue": "camera with correlation between genes estimated per set",
            "ora_up_pvalue": "over-representation among genes called up; background: tested genes",
            "ora_down_pvalue": "over-representation among genes called down",
            "group": "the term that stands for this one and others like it in a display",
        },
    ),
    "coverage": Table(
        {
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
        ("programme", "block", "organism"),
        {
            "n_listed": "genes listed for the block (human symbols)",
            "n_mapped": "distinct genes of the organism that they lead to",
            "former": "symbols that are no longer current, found under their new one",
            "unknown": "symbols that the gene table does not hold",
            "no_counterpart": "human symbols listed without a mouse counterpart",
            "differs": "mouse symbols that the 1:1 ortholog table pairs otherwise",
        },
    ),
    "scores": Table(
        {
            "dataset": "text",
            "sample_id": "text",
            "programme": "text",
            "block": "text",
            "stripped": "flag",
            "score": "number",
        },
        ("sample_id", "programme", "block", "stripped"),
        {"score": "mean of sign × variance-stabilised log2 expression over the block's genes"},
    ),
    "effects": Table(
        {
            "dataset": "text",
            "contrast": "text",
            "cell_type": "text",
            "programme": "text",
            "block": "text",
            "stripped": "flag",
            "sign": "number",
            "effect": "number",
            **_EFFECT,
            "pvalue": "number",
            "padj": "number",
            "pvalue_competitive": "number",
            "padj_competitive": "number",
            "hedges_g": "number",
            "hedges_g_var": "number",
            "df": "number",
            "n_genes": "count",
            "n_mapped": "count",
        },
        ("dataset", "contrast", "cell_type", "programme", "block", "stripped"),
        {
            "effect": "difference of the block's score, log2 units, target minus reference",
            "sign": "expected direction of the block's genes when the programme is more active; 0: none",
            "pvalue": "does the block move?",
            "pvalue_competitive": "does it move more than random sets of its size and expression?",
            "df": "degrees of freedom of the moderated standard error",
            "hedges_g": "standardised mean difference, comparable within a species only",
            "n_genes": "genes of the block",
            "n_mapped": "genes of the block measured in the study",
            "stripped": "true: genes of the denervation signature left out",
        },
    ),
    "warnings": Table(
        {"dataset": "text", "contrast": "text", "kind": "text", "column": "text", "text": "text"},
        (),
        {"kind": "confounded, near_confounded, technical, few_samples, unpaired"},
    ),
}


def dtypes(name: str) -> dict[str, str]:
    """Return pandas dtypes with which a table of this contract is read from text."""
    return {
        column: {"text": "string[python]", "count": "Int64", "flag": "boolean"}.get(kind, "float64")
        for column, kind in TABLES[name].columns.items()
    }


def check_table(frame: pd.DataFrame, name: str, where: str) -> pd.DataFrame:
    """Check a table against its contract and return it, columns of the contract first.

    Parameters
    ----------
    frame
        The table; further columns are allowed and kept behind the contract's.
    name
        Name in :data:`TABLES`.
    where
        File, for the message.

    Raises
    ------
    InputError
        A column is missing, has the wrong kind, or the key repeats.
    """
    import pandera.pandas as pa

    table = TABLES[name]
    kinds = {
        "text": pa.Column(str, nullable=False, coerce=True),
        "number": pa.Column(float, nullable=True, coerce=True),
        "share": pa.Column(float, pa.Check.in_range(0, 1), nullable=True, coerce=True),
        "count": pa.Column(int, pa.Check.ge(0), nullable=False, coerce=True),
        "flag": pa.Column(bool, nullable=False, coerce=True),
    }
    missing = [column for column in table.columns if column not in frame.columns]
    if missing:
        raise InputError(
            f"column '{missing[0]}' is missing", where=where, expected=", ".join(table.columns)
        )
    empty = [c for c, kind in table.columns.items() if kind == "text" and frame[c].isna().any()]
    if empty:
        raise InputError(f"column '{empty[0]}' has missing values", where=where, expected="text")
    schema = pa.DataFrameSchema(
        {column: kinds[kind] for column, kind in table.columns.items()},
        strict=False,
    )
    if table.key and frame.duplicated(list(table.key)).any():
        first = frame.loc[frame.duplicated(list(table.key)), list(table.key)].iloc[0]
        raise InputError(
            f"the row {dict(first)} stands twice", where=where, expected=f"one row per {table.key}"
        )
    try:
        checked = schema.validate(frame.reset_index(drop=True), lazy=True)
    except pa.errors.SchemaErrors as error:
        first = error.failure_cases.iloc[0]
        raise InputError(
            f"column '{first['column']}' breaks the contract '{name}' "
            f"({first['check']}; for example {first['failure_case']!r})",
            where=where,
        ) from None
    rest = [column for column in frame.columns if column not in table.columns]
    return checked[[*table.columns, *rest]]


def check_counts(adata: AnnData, where: str) -> AnnData:
    """Check the AnnData of raw counts.

    ``X`` holds whole numbers from 0; ``obs`` the harmonised columns; ``var`` is indexed by gene id
    with ``symbol`` and ``source_id``; ``uns["provenance"]`` says where the counts come from.

    Raises
    ------
    InputError
        Names the part that is wrong.
    """
    import numpy as np
    import scipy.sparse as sp

    def fail(problem: str) -> None:
        raise InputError(problem, where=where)

    for column in ("dataset", "condition", "subject_id"):
        if column not in adata.obs:
            fail(f"obs has no column '{column}'")
    for column in ("symbol", "source_id"):
        if column not in adata.var:
            fail(f"var has no column '{column}'")
    if "provenance" not in adata.uns:
        fail("uns has no 'provenance'")
    for axis, index in (("sample", adata.obs_names), ("gene", adata.var_names)):
        if not index.is_unique:
            fail(f"{axis} '{index[index.duplicated()][0]}' stands twice")
    values = adata.X.data if sp.issparse(adata.X) else np.asarray(adata.X)
    if values.size and (not np.isfinite(values).all() or (values < 0).any()):
        fail("X has missing, infinite or negative values")
    if values.size and not np.array_equal(values, np.floor(values)):
        fail("X has values that are not whole numbers")
    return adata
