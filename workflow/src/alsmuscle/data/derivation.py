"""The standard error of a published effect, from whatever its table states.

Tables of named tools (limma, GEO2R, edgeR, DESeq2) differ in what they say beside the effect. In
this order: the error itself, a 95 % interval, t, an F or likelihood ratio of one coefficient, and
last the p-value, read against t on the stated degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from alsmuscle.core.errors import InputError
from alsmuscle.data.readers.tables import NO_VALUE
from alsmuscle.download.decode import some

if TYPE_CHECKING:
    import pandas as pd

# Columns as each tool names them; a card may name others.
TOOLS: dict[str, dict[str, str]] = {
    "limma": {
        "log2fc_column": "logFC",
        "t_column": "t",
        "pvalue_column": "P.Value",
        "padj_column": "adj.P.Val",
        "expression_column": "AveExpr",
    },
    "geo2r": {
        "gene_column": "Gene.symbol",
        "probe_column": "ID",
        "log2fc_column": "logFC",
        "t_column": "t",
        "pvalue_column": "P.Value",
        "padj_column": "adj.P.Val",
    },
    "edger": {
        "log2fc_column": "logFC",
        "pvalue_column": "PValue",
        "padj_column": "FDR",
        "expression_column": "logCPM",
    },
    "deseq2": {
        "log2fc_column": "log2FoldChange",
        "se_column": "lfcSE",
        "pvalue_column": "pvalue",
        "padj_column": "padj",
        "expression_column": "baseMean",
    },
}
# edgeR: of quasi-likelihood tests F, of likelihood-ratio tests LR.
SQUARED = ("F", "LR")
SPREAD = ("se_column", "half_width_column", "ci_low_column", "t_column", "f_column")
# A 95 % interval's half width over this is the standard error, where no degrees of freedom tell.
Z = 1.96


class Derived(NamedTuple):
    """Standard errors, their degrees of freedom (missing: normal), and how they came about."""

    se: pd.Series
    df: float
    how: str


def with_tool(spec: Mapping[str, Any], columns: pd.Index) -> dict[str, Any]:
    """Fill in the columns that the card's ``tool`` gives and the card does not name.

    ``columns``: those of the table; limma without AveExpr, as GEO2R gives it, is no fault.
    """
    own = dict(spec)
    named = TOOLS.get(str(spec.get("tool", "")), {})
    for key, column in named.items():
        optional = key in ("expression_column", "padj_column", "t_column")
        if key not in own and not (optional and column not in columns):
            own[key] = column
    if own.get("tool") == "edger" and not set(SPREAD) & set(own):
        found = [name for name in SQUARED if name in columns]
        own |= {"f_column": found[0]} if found else {}
    if "expression_column" in own and "expression_columns" not in own:
        own["expression_columns"] = [own["expression_column"]]
    return own


def residual_df(spec: Mapping[str, Any]) -> float:
    """Return the degrees of freedom: the card's, or donors less two groups, or missing."""
    if "df" in spec:
        return float(spec["df"])
    donors = spec.get("n_target", 0) + spec.get("n_reference", 0)
    return float(donors - 2) if donors > 2 else float("nan")


def standard_error(
    table: pd.DataFrame, spec: Mapping[str, Any], log2fc: pd.Series, *, where: str
) -> Derived:
    """Derive the standard error of every effect.

    Parameters
    ----------
    table
        As published.
    spec
        ``effects`` of the card, after :func:`with_tool`.
    log2fc
        Effects, one per row of ``table``.
    where
        File, for messages.

    Returns
    -------
    Derived
        Missing where a row does not tell (t of 0, p of 1 or 0).

    Raises
    ------
    InputError
        A column is missing, or nothing in the table tells an error.
    """
    import numpy as np
    from scipy import stats

    def number(key: str) -> pd.Series:
        return numbers(table, spec[key], where=f"{where}: effects.{key}")

    df = residual_df(spec)
    known = np.isfinite(df)
    on = f"t on {df:g} degrees of freedom" if known else "the normal distribution"
    if "se_column" in spec:
        return Derived(number("se_column"), df, f"stated, column '{spec['se_column']}'")
    if "half_width_column" in spec or "ci_low_column" in spec:
        if "half_width_column" in spec:
            half = number("half_width_column")
        else:
            half = (number("ci_high_column") - number("ci_low_column")) / 2
        quantile = float(stats.t.ppf(0.975, spec["df"])) if "df" in spec else Z
        how = f"half the stated 95 % interval over {quantile:.3g}"
        return Derived(half / quantile, float(spec["df"]) if "df" in spec else np.nan, how)
    if "t_column" in spec:
        t = number("t_column").abs().replace(0, np.nan)
        return Derived(log2fc.abs() / t, df, f"effect over t, column '{spec['t_column']}'")
    if "f_column" in spec:
        root = np.sqrt(number("f_column").clip(lower=0)).replace(0, np.nan)
        how = (
            f"effect over the square root of '{spec['f_column']}', which is |t| of one coefficient"
        )
        return Derived(log2fc.abs() / root, df, how)
    if "pvalue_column" in spec:
        p = number("pvalue_column")
        p = p.where((p > 0) & (p < 1))
        size = stats.t.isf(p / 2, df) if known else stats.norm.isf(p / 2)
        return Derived(
            log2fc.abs() / size, df, f"effect over the statistic that its p has, read against {on}"
        )
    raise InputError(
        "the card names no measure of spread",
        where=f"{where}: effects",
        expected="`tool`, or one of `se_column`, `half_width_column`, `ci_low_column` with "
        "`ci_high_column`, `t_column`, `f_column`, `pvalue_column`",
    )


def numbers(table: pd.DataFrame, column: str, *, where: str) -> pd.Series:
    """Return a column as numbers.

    Raises
    ------
    InputError
        The column is missing, holds no numbers, or something else than numbers and empty cells.
    """
    import pandas as pd

    if column not in table:
        raise InputError(f"no column '{column}'", where=where, expected=", ".join(table))
    values = pd.to_numeric(table[column], errors="coerce").astype(float)
    text = table[column].fillna("").astype(str).str.strip()
    odd = text[values.isna() & ~text.str.lower().isin(NO_VALUE)]
    if len(odd) and not values.isna().all():
        raise InputError(
            f"{len(odd)} cells of column '{column}' are no numbers: {some(dict.fromkeys(odd), 6)}",
            where=where,
            expected="numbers with a decimal point, or empty cells",
            remedy="correct the file",
        )
    if values.isna().all():
        raise InputError(f"column '{column}' holds no numbers", where=where)
    return values
