"""Published results, as tables of all genes or lists of called ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import rfiles, tables
from alsmuscle.download.decode import some

if TYPE_CHECKING:
    import pandas as pd

# R writes row names without a header; cards call them so.
ROW_NAMES = "row names"


def read_effects(path: Path, spec: Mapping[str, Any], key: str = "effects") -> pd.DataFrame:
    """Read a published results table as its card describes it, gene ids as text.

    Parameters
    ----------
    path
        The file.
    spec
        ``effects`` or ``calls`` of the card.
    key
        Which of the two, for messages.

    Returns
    -------
    DataFrame
        Columns of numbers as numbers; of others, an empty cell is missing.

    Raises
    ------
    InputError
        The file is not what the card says.
    """
    if spec["layout"] == "rdata":
        frame = rfiles.read_frame(path, spec, key, ROW_NAMES)
    else:
        separator = {"csv": "comma", "tsv": "tab"}.get(spec["layout"])
        stated = {"separator": separator} if separator else {}
        shape = tables.form({**stated, **spec}, key, text=True, row_names=ROW_NAMES)
        frame = tables.read(path.read_bytes(), str(path), shape)
    for column in ("gene_column", "probe_column"):
        if column in spec and spec[column] not in frame:
            raise InputError(
                f"no column '{spec[column]}'",
                where=f"{path}: {key}.{column}",
                expected=some(frame.columns, 40),
            )
    gene = spec["gene_column"]
    frame = frame.apply(lambda column: column if column.name == gene else _typed(column))
    frame[gene] = frame[gene].fillna("").map(tables.cell_text)
    return frame


def _typed(column: pd.Series) -> pd.Series:
    """Return a column of text as numbers where all that is there is one."""
    import pandas as pd

    if column.dtype != object:
        return column
    empty = column.isna() | column.astype(str).str.strip().str.lower().isin(tables.NO_VALUE)
    if empty.all():
        return column.mask(empty).astype(float)
    values = pd.to_numeric(column.mask(empty), errors="coerce")
    if (values.notna() | empty).all():
        return values
    return column.mask(column.isna() | column.astype(str).str.strip().eq(""))
