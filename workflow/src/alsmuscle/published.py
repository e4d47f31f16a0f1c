"""Published effects, where no matrix is public: a results table becomes a table of our contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

# A 95 % interval's half width over this is the standard error.
Z = 1.96


def effects(
    table: pd.DataFrame,
    identity: pd.DataFrame,
    spec: Mapping[str, Any],
    *,
    dataset: str,
    where: str,
) -> pd.DataFrame:
    """Turn a published results table into one row per gene.

    Of several probes of a gene the one of highest mean expression is kept, never the one of largest
    effect. Rows without a gene are left out.

    Parameters
    ----------
    table
        As published.
    identity
        Row by row for ``table``: ``gene_id``, ``symbol``, ``status``.
    spec
        ``effects`` of the card.
    dataset
        Study id.
    where
        File, for messages.

    Returns
    -------
    DataFrame
        Contract ``de``; ``base_mean`` is the mean expression in the source's unit, ``log2fc_shrunk``
        is empty; column ``probe_id`` where the source has probes.

    Raises
    ------
    InputError
        A column is missing or holds no numbers, or there is no measure of spread.
    """
    import numpy as np
    import pandas as pd

    def number(key: str) -> pd.Series:
        column = spec[key]
        if column not in table:
            raise InputError(
                f"no column '{column}'", where=f"{where}: effects.{key}", expected=", ".join(table)
            )
        values = pd.to_numeric(table[column], errors="coerce").astype(float)
        if values.isna().all():
            raise InputError(f"column '{column}' holds no numbers", where=where)
        return values

    if not {"half_width_column", "se_column"} & set(spec):
        raise InputError(
            "the card names no measure of spread",
            where=f"{where}: effects",
            expected="`se_column` or `half_width_column`",
        )
    missing = [c for c in spec.get("expression_columns", []) if c not in table]
    if missing:
        raise InputError(f"no column '{missing[0]}'", where=f"{where}: effects.expression_columns")
    log2fc = number("log2fc_column")
    se = number("se_column") if "se_column" in spec else number("half_width_column") / Z
    nothing = pd.Series(np.nan, index=table.index)
    frame = pd.DataFrame(
        {
            "dataset": dataset,
            "contrast": spec["contrast"],
            "cell_type": "muscle",
            "gene_id": identity["gene_id"].to_numpy(),
            "symbol": identity["symbol"].to_numpy(),
            "base_mean": table[spec["expression_columns"]].astype(float).mean(axis=1)
            if "expression_columns" in spec
            else nothing,
            "log2fc": log2fc,
            "lfc_se": se,
            "log2fc_shrunk": np.nan,
            "stat": log2fc / se,
            "df": np.nan,
            "pvalue": number("pvalue_column") if "pvalue_column" in spec else nothing,
            "padj": number("padj_column") if "padj_column" in spec else nothing,
            "n_target": spec.get("n_target", 0),
            "n_reference": spec.get("n_reference", 0),
        }
    )
    if "probe_column" in spec:
        frame["probe_id"] = table[spec["probe_column"]].astype(str).to_numpy()
    mapped = ~identity["status"].isin(["unmapped", "ambiguous"]).to_numpy()
    frame = frame[mapped & log2fc.notna().to_numpy() & (se > 0).to_numpy()]
    if frame.empty:
        raise InputError("no row with a gene, an effect and its spread is left", where=where)
    order = ["base_mean", *(["probe_id"] if "probe_id" in frame else [])]
    frame = frame.sort_values(order, ascending=[False, True][: len(order)], kind="stable")
    frame = frame.drop_duplicates("gene_id")
    return frame.sort_values(["pvalue", "gene_id"], kind="stable", ignore_index=True)
