"""Lists of called genes: which rows of a file belong to which contrast, and what they say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from alsmuscle.core.errors import InputError
from alsmuscle.data.derived import sexes_differ
from alsmuscle.data.tables import SEX_GENES_MOVE

if TYPE_CHECKING:
    import pandas as pd


class Called(NamedTuple):
    """Called genes of one contrast (contract ``called``), and what happened to the list's rows."""

    genes: pd.DataFrame
    notes: Mapping[str, tuple[float, str]]


def rows_of(
    table: pd.DataFrame, spec: Mapping[str, Any], contrast: str, *, where: str | Path
) -> pd.DataFrame:
    """Return the rows of a list that belong to a contrast.

    Parameters
    ----------
    table
        The whole list, as published.
    spec
        ``calls`` of the card: ``comparison_column`` and, under ``comparisons``, the values of that
        column by contrast. Without ``comparison_column`` the list holds one contrast.

    Raises
    ------
    InputError
        A column is missing, or a comparison has no row.
    """
    for key in ("gene_column", "log2fc_column", "direction_column", "comparison_column"):
        if key in spec and spec[key] not in table:
            raise InputError(
                f"no column '{spec[key]}'", where=f"{where}: calls.{key}", expected=", ".join(table)
            )
    if "comparison_column" not in spec:
        return table
    own = spec["comparisons"][contrast]["rows"]
    column = table[spec["comparison_column"]].astype(str)
    for value in own:
        if not (column == value).any():
            near = sorted(c for c in column.unique() if value.split("'")[1:2] == c.split("'")[1:2])
            raise InputError(
                f"no row for the comparison {value}",
                where=f"{where}: calls.comparisons.{contrast}",
                expected="one of: " + "; ".join(near or sorted(column.unique())[:20]),
            )
    return table[column.isin(own)]


def directions(rows: pd.DataFrame, spec: Mapping[str, Any], *, where: str | Path) -> pd.Series:
    """Return ``up``, ``down`` or empty per row, from the sign of the effect or a column of words.

    Raises
    ------
    InputError
        A word of ``direction_column`` is neither under ``up`` nor under ``down``.
    """
    import pandas as pd

    if "direction_column" in spec:
        words = {str(w).lower(): side for side in ("up", "down") for w in spec.get(side, [side])}
        given = rows[spec["direction_column"]].astype(str).str.strip().str.lower()
        if odd := sorted(set(given) - set(words)):
            raise InputError(
                f"'{odd[0]}' is no direction",
                where=f"{where}: calls.direction_column",
                expected="one of: " + ", ".join(words),
                remedy="name the words under `up` and `down`",
            )
        return given.map(words)
    effect = pd.to_numeric(rows[spec["log2fc_column"]], errors="coerce")
    side = pd.Series("", index=rows.index)
    return side.mask(effect > 0, "up").mask(effect < 0, "down")


def called_genes(
    rows: pd.DataFrame,
    identity: pd.DataFrame,
    spec: Mapping[str, Any],
    *,
    dataset: str,
    contrast: str,
    where: str | Path,
) -> Called:
    """Turn the rows of a contrast into one row per called gene.

    A gene in several rows (probes, chips) is called where all agree; with both directions it is
    left out and counted. Its effect is the mean over its rows.

    Parameters
    ----------
    rows
        From :func:`rows_of`.
    identity
        Row by row: ``gene_id, symbol, status``.

    Raises
    ------
    InputError
        No called gene is left.
    """
    import numpy as np
    import pandas as pd

    def number(key: str) -> pd.Series:
        if key not in spec:
            return pd.Series(np.nan, index=rows.index)
        return pd.to_numeric(rows[spec[key]], errors="coerce").astype(float)

    effect = number("log2fc_column")
    infinite = np.isinf(effect)
    frame = pd.DataFrame(
        {
            "gene_id": identity["gene_id"].to_numpy(),
            "symbol": identity["symbol"].to_numpy(),
            "direction": directions(rows, spec, where=where).to_numpy(),
            "log2fc": effect.mask(infinite).to_numpy(),
            "pvalue": number("pvalue_column").to_numpy(),
        }
    )
    mapped = ~identity["status"].isin(["unmapped", "ambiguous"]).to_numpy()
    frame = frame[mapped & frame["direction"].ne("").to_numpy()]
    sides = frame.groupby("gene_id")["direction"].nunique()
    both = set(sides.index[sides > 1])
    kept = frame[~frame["gene_id"].isin(both)]
    if kept.empty:
        raise InputError(
            "no called gene is left", where=where, remedy="correct `calls` on the card"
        )
    genes = kept.groupby("gene_id", sort=True).agg(
        symbol=("symbol", "first"),
        direction=("direction", "first"),
        log2fc=("log2fc", "mean"),
        pvalue=("pvalue", "min"),
        n_rows=("direction", "size"),
    )
    genes = genes.reset_index().assign(
        dataset=dataset, contrast=contrast, threshold=spec["threshold"]
    )
    order = ["dataset", "contrast", "gene_id", "symbol", "direction", "log2fc", "pvalue", "n_rows"]
    up = int((genes["direction"] == "up").sum())
    n_unmapped = int((~mapped).sum())
    sexes = sexes_differ(genes.set_index("symbol")["direction"] == "up")
    notes: dict[str, tuple[float, str]] = {
        "rows": (
            len(rows),
            f"{len(rows):,} rows of the list are {len(genes):,} called genes: {up:,} up, "
            f"{len(genes) - up:,} down ({spec['threshold']}).",
        ),
        "unmapped": (
            n_unmapped,
            f"{n_unmapped:,} rows name no gene that is known, and are left out.",
        ),
        "both_directions": (
            len(both),
            f"{len(both):,} genes are called up in one row and down in another, and are left out.",
        ),
        "infinite_refused": (
            int(infinite.sum()),
            f"{int(infinite.sum()):,} stated effects are infinite and not shown.",
        ),
    }
    said = {k: v for k, v in notes.items() if v[0] or k == "rows"}
    if sexes:
        said[SEX_GENES_MOVE] = (float("nan"), sexes)
    return Called(genes[[*order, "threshold"]], said)


def background(platforms: pd.DataFrame, names: Collection[str]) -> set[str]:
    """Return the gene ids that any of the named chips measures (``platform, gene_id``).

    Raises
    ------
    InputError
        The table of platforms has no such chip.
    """
    known = set(platforms["platform"])
    if odd := sorted(set(names) - known):
        raise InputError(
            f"the genes of platform '{odd[0]}' are not known",
            where="calls.background.platforms",
            expected="one of: " + ", ".join(sorted(known)),
            remedy="add it to workflow/resources/platform_genes.tsv.gz, or name a file",
        )
    return set(platforms.loc[platforms["platform"].isin(list(names)), "gene_id"])
