"""Published effects, where no matrix is public: a results table becomes a table of our contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from alsmuscle.core import deadline
from alsmuscle.core.errors import InputError
from alsmuscle.data import derivation
from alsmuscle.data.derived import sexes_differ
from alsmuscle.data.tables import CONTROL_PROBES, SEX_GENES_MOVE
from alsmuscle.stats import distributions

if TYPE_CHECKING:
    import pandas as pd

# Columns of a ``de`` table that need the samples.
NOT_PUBLISHED = ("log2fc_shrunk", "log2fc_hidden", "lfc_se_hidden", "pvalue_hidden")
# Probes and rows that measure no gene of the sample: Affymetrix, Agilent and spiked-in controls.
CONTROLS = r"(?i)^(?:AFFX[-_]|ERCC-\d|\(\+\)|\(-\)3x|DarkCorner|GE_BrightCorner|NegativeControl)"
# Log2 fold change that one control probe in ten may reach before the comparison is flagged.
CONTROL_LIMIT = 1.0
CONTROL_SHARE = 0.1
# False discovery rate below which a gene of the Y chromosome, or XIST, moves.
SEX_ALPHA = 0.05
# A table of all genes has p-values up to 1; a list that was cut has none above its threshold.
WHOLE_TABLE_P = 0.2
MIN_ROWS = 20


class Imported(NamedTuple):
    """Effects (contract ``de``) and what there is to say about their import (``imported``)."""

    effects: pd.DataFrame
    notes: pd.DataFrame


def note(metric: str, value: float, text: str, flagged: bool = False) -> dict[str, Any]:
    """Return one row of contract ``imported``, less its study and contrast."""
    return {"metric": metric, "value": value, "text": text, "flagged": flagged}


def notes_table(rows: list[dict[str, Any]], *, dataset: str, contrast: str) -> pd.DataFrame:
    """Return rows of :func:`note` as contract ``imported``."""
    import pandas as pd

    columns = ["dataset", "contrast", "metric", "value", "text", "flagged"]
    return pd.DataFrame(rows).assign(dataset=dataset, contrast=contrast)[columns]


def effects(
    table: pd.DataFrame,
    identity: pd.DataFrame,
    spec: Mapping[str, Any],
    *,
    dataset: str,
    where: str,
) -> Imported:
    """Turn a published results table into one row per gene.

    Of several probes of a gene the one of highest mean expression is kept or, where the table gives
    none, of the smallest standard error; never the one of largest effect or smallest p. Rows
    without a gene, control probes and infinite effects are left out and counted.

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
    Imported
        Contract ``de``; ``base_mean`` is the mean expression in the source's unit,
        ``log2fc_shrunk`` is empty; column ``probe_id`` where the source has probes.

    Raises
    ------
    InputError
        A column is missing or holds no numbers, there is no measure of spread, or every row is
        significant: a list, not a table of all genes.
    """
    import numpy as np

    spec = derivation.with_tool(spec, table.columns)
    missing = [c for c in spec.get("expression_columns", []) if c not in table]
    if missing:
        raise InputError(f"no column '{missing[0]}'", where=f"{where}: effects.expression_columns")
    _refuse_list(table, spec, where)
    log2fc = derivation.numbers(
        table, spec["log2fc_column"], where=f"{where}: effects.log2fc_column"
    )
    _refuse_other_scale(log2fc, f"{where}: effects.log2fc_column")
    derived = derivation.standard_error(table, spec, log2fc, where=where)
    frame = _as_de(table, identity, spec, log2fc, derived, dataset=dataset, where=where)
    names = frame["probe_id"] if "probe_id" in frame else table[spec["gene_column"]].astype(str)
    controls = spec.get("controls", CONTROLS)
    with deadline.of_pattern(controls, f"{where}: effects.controls"):
        control = names.str.contains(controls, regex=True).to_numpy()
    infinite = np.isinf(log2fc).to_numpy() | np.isinf(derived.se).to_numpy()
    mapped = ~identity["status"].isin(["unmapped", "ambiguous"]).to_numpy()
    told = log2fc.notna().to_numpy() & (derived.se > 0).to_numpy()
    kept = frame[mapped & told & ~infinite & ~control]
    if kept.empty:
        raise InputError("no row with a gene, an effect and its spread is left", where=where)
    first, rows = _one_row_per_gene(kept, expressed="expression_columns" in spec)
    rows = [
        note("rows", len(table), f"{len(table):,} published rows give {len(first):,} genes."),
        note("error", float("nan"), f"Standard error: {derived.how}."),
        *rows,
    ]
    for metric, what, text in (
        ("unmapped", ~mapped & ~control, "rows name no gene that is known, and are left out"),
        (
            "infinite_refused",
            infinite & ~control,
            "genes have an infinite effect, and are left out",
        ),
        ("no_error", mapped & ~told & ~infinite & ~control, "rows have no effect, or no error"),
        ("controls_left_out", control, "rows are control probes, and no genes"),
    ):
        if n := int(what.sum()):
            rows.append(note(metric, n, f"{n:,} {text}."))
    if control.any():
        rows += _controls(log2fc[control & ~infinite])
    rows += _sexes(first)
    return Imported(
        first.sort_values(["pvalue", "gene_id"], kind="stable", ignore_index=True),
        notes_table(rows, dataset=dataset, contrast=spec["contrast"]),
    )


def _as_de(
    table: pd.DataFrame,
    identity: pd.DataFrame,
    spec: Mapping[str, Any],
    log2fc: pd.Series,
    derived: derivation.Derived,
    *,
    dataset: str,
    where: str,
) -> pd.DataFrame:
    """Return every published row with the columns of contract ``de``."""
    import numpy as np
    import pandas as pd

    nothing = pd.Series(np.nan, index=table.index)

    def optional(key: str) -> pd.Series:
        if key not in spec or spec[key] not in table:
            return nothing
        return derivation.numbers(table, spec[key], where=f"{where}: effects.{key}")

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
            "lfc_se": derived.se,
            "stat": log2fc / derived.se,
            "df": derived.df,
            "pvalue": optional("pvalue_column"),
            **dict.fromkeys(NOT_PUBLISHED, np.nan),
            "padj": optional("padj_column"),
            "n_replaced": 0,
            "n_target": spec.get("n_target", 0),
            "n_reference": spec.get("n_reference", 0),
            "donors_target": spec.get("n_target", 0),
            "donors_reference": spec.get("n_reference", 0),
        }
    )
    if "probe_column" in spec:
        frame["probe_id"] = table[spec["probe_column"]].astype(str).to_numpy()
    return frame


def _one_row_per_gene(
    kept: pd.DataFrame, *, expressed: bool
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Return the row to keep of each gene, and a note where others were left out."""
    order = ["base_mean"] if expressed else ["lfc_se"]
    order += ["probe_id"] if "probe_id" in kept else []
    first = kept.sort_values(order, ascending=[not expressed, True][: len(order)], kind="stable")
    first = first.drop_duplicates("gene_id")
    if not (second := len(kept) - len(first)):
        return first, []
    which = "highest mean expression" if expressed else "smallest standard error"
    text = f"{second:,} rows are second probes of a gene: that of {which} is kept."
    return first, [note("several_rows", second, text)]


def tested(imported: Imported, min_replicates: int) -> Imported:
    """Return an import whose statistics and p-values are missing where a group is too small.

    The rule for studies that are computed here: below ``min_replicates`` samples a side (0: their
    number is unknown) effects are shown and no test is claimed, whoever did it.
    """
    import numpy as np
    import pandas as pd

    effects = imported.effects
    first = effects.iloc[0]
    sizes = int(first["n_target"]), int(first["n_reference"])
    if not 0 < min(sizes) < min_replicates:
        return imported
    text = (
        f"{sizes[0]} v {sizes[1]} samples are too few for a test (at least {min_replicates} a "
        "side): effects are shown without the p-values of the publication."
    )
    said = notes_table(
        [note("too_few", min(sizes), text)], dataset=first["dataset"], contrast=first["contrast"]
    )
    bare = effects.assign(stat=np.nan, pvalue=np.nan, padj=np.nan)
    return Imported(
        bare.sort_values("gene_id", kind="stable", ignore_index=True),
        pd.concat([imported.notes, said], ignore_index=True),
    )


def _controls(effects: pd.Series) -> list[dict[str, Any]]:
    """Say how far control probes moved, which no biology moves."""
    size = float(effects.abs().quantile(1 - CONTROL_SHARE))
    if not size >= 0:
        return []
    moved = size > CONTROL_LIMIT
    text = (
        f"One in ten of {len(effects)} control probes differs between the groups by {size:.1f} "
        f"log2 units or more (limit {CONTROL_LIMIT:g}; largest {effects.abs().max():.1f})"
    )
    text += (
        ": the groups were processed differently, so that p-values are not to be trusted."
        if moved
        else "."
    )
    return [note(CONTROL_PROBES, size, text, moved)]


def _sexes(effects: pd.DataFrame) -> list[dict[str, Any]]:
    """Say whether genes that one sex expresses move, by the table's own effects and errors."""
    p = distributions.t_pvalue(effects["stat"], effects["df"].fillna(float("inf")))
    found = effects[distributions.adjust(p) < SEX_ALPHA]
    text = sexes_differ(found.set_index("symbol")["log2fc"] > 0)
    return [note(SEX_GENES_MOVE, float("nan"), text, True)] if text else []


def _refuse_other_scale(log2fc: pd.Series, where: str) -> None:
    """Refuse fold changes that are no logarithms: genes that do not move lie at 0 there."""
    moved = log2fc[log2fc.notna() & (log2fc != 0)]
    if len(moved) < MIN_ROWS:
        return
    if (moved > 0).all() or (moved < 0).all():
        raise InputError(
            f"all {len(moved):,} effects have one sign, as ratios have, and no logarithms",
            where=where,
            expected="log2 fold changes of all genes, up and down",
            remedy="name the column of logarithms, or save the logarithms of this one in the file",
        )
    if (moved.abs() >= 1).all():
        raise InputError(
            "no effect lies between -1 and 1: fold changes with a sign (-2 for half), or a list "
            "that was cut at a fold change",
            where=where,
            expected="log2 fold changes of all genes",
            remedy="name the column of logarithms; a list of called genes is `modality: calls`",
        )


def _refuse_list(table: pd.DataFrame, spec: Mapping[str, Any], where: str) -> None:
    """Refuse a table that holds significant rows only, and p-values that are none."""
    import pandas as pd

    for key in ("pvalue_column", "padj_column"):
        if spec.get(key) not in table:
            continue
        p = pd.to_numeric(table[spec[key]], errors="coerce").dropna()
        if len(p) and not 0 <= p.min() <= p.max() <= 1:
            raise InputError(
                f"p-values from {p.min():.3g} to {p.max():.3g}: logarithms of p, or another "
                "column?",
                where=f"{where}: effects.{key}",
                expected="numbers from 0 to 1",
                remedy="name the column of p-values, or save them as such in the file",
            )
        if len(p) >= MIN_ROWS and p.max() < WHOLE_TABLE_P:
            raise InputError(
                f"every row is significant (largest '{spec[key]}' {p.max():.2g} in {len(p):,} "
                "rows): this is a list of called genes, not a table of all genes",
                where=where,
                remedy="use `modality: calls`: effects that were cut at a threshold are not pooled",
            )
