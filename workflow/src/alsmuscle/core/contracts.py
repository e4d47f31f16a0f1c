"""What passes between rules: contracts of tables and AnnData, checked by writer and reader.

Tables are declared in the wings, in ``tables.py`` of each.

A broken hand-over thus fails where it happens, with the column's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from anndata import AnnData

Kind = Literal["text", "number", "count", "flag", "share"]


@dataclass(frozen=True)
class Table:
    """Contract of one table.

    Parameters
    ----------
    name
        In messages and in the data dictionary; ``schemas/columns.tsv`` says what its columns mean.
    columns
        Required column → kind. ``text`` is never missing (unknown is empty), ``number`` may be
        missing, ``count`` is a whole number from 0, ``share`` lies in 0..1, ``flag`` is a boolean.
    key
        Columns that identify a row.
    """

    name: str
    columns: dict[str, Kind]
    key: tuple[str, ...] = ()


INTERVAL: dict[str, Kind] = {"se": "number", "ci_low": "number", "ci_high": "number"}


def dtypes(table: Table) -> dict[str, str]:
    """Return pandas dtypes with which a table of this contract is read from text."""
    return {
        column: {"text": "string[python]", "count": "Int64", "flag": "boolean"}.get(kind, "float64")
        for column, kind in table.columns.items()
    }


def rows(found: Sequence[Mapping[str, object]], table: Table) -> pd.DataFrame:
    """Make a table of rows, with the contract's columns also where there is no row."""
    import pandas as pd

    return pd.DataFrame(list(found), columns=list(table.columns))


def check_table(frame: pd.DataFrame, table: Table, where: str) -> pd.DataFrame:
    """Check a table against its contract and return it, columns of the contract first.

    Parameters
    ----------
    frame
        The table; further columns are allowed and kept behind the contract's.
    table
        Its contract.
    where
        File, for the message.

    Raises
    ------
    InputError
        A column is missing, has the wrong kind, or the key repeats.
    """
    missing = [column for column in table.columns if column not in frame.columns]
    if missing:
        raise InputError(
            f"column '{missing[0]}' is missing", where=where, expected=", ".join(table.columns)
        )
    import pandas as pd

    texts = [column for column, kind in table.columns.items() if kind == "text"]
    plain = {column for column in texts if _all_text(frame[column])}
    empty = [column for column in texts if column not in plain and frame[column].isna().any()]
    if empty:
        raise InputError(f"column '{empty[0]}' has missing values", where=where, expected="text")
    # Most keys end in what is unique by itself; a look at that alone is cheap.
    if table.key and not frame[table.key[-1]].is_unique:
        repeated = frame.duplicated(list(table.key))
        if repeated.any():
            first = frame.loc[repeated, list(table.key)].iloc[0]
            raise InputError(
                f"the row {dict(first)} is duplicated",
                where=where,
                expected=f"one row per {table.key}",
            )
    checked: dict[str, Any] = {}
    for column, kind in table.columns.items():
        values, wrong = (frame[column], None) if column in plain else _of_kind(frame[column], kind)
        if wrong is not None and wrong.any():
            raise InputError(
                f"column '{column}' breaks the contract '{table.name}' "
                f"(for example {frame.loc[wrong, column].iloc[0]!r})",
                where=where,
                expected=_MEANING[kind],
            )
        checked[column] = values.array
    checked |= {column: frame[column].array for column in frame.columns if column not in checked}
    return pd.DataFrame(checked, index=pd.RangeIndex(len(frame)))


_MEANING: dict[Kind, str] = {
    "text": "text",
    "number": "numbers, or nothing where unknown",
    "share": "numbers from 0 to 1, or nothing where unknown",
    "count": "whole numbers from 0",
    "flag": "True or False",
}


def _all_text(column: pd.Series) -> bool:
    import pandas as pd

    if column.dtype != object:
        return False
    return bool(pd.api.types.infer_dtype(column, skipna=False) == "string")


def _of_kind(column: pd.Series, kind: Kind) -> tuple[pd.Series, npt.NDArray[np.bool_] | None]:
    """Return a column in its kind's dtype, and which of its values are not of that kind, if any."""
    import numpy as np
    import pandas as pd

    if kind == "text":
        return column.astype(str).astype(object), None
    if kind == "flag":
        if column.dtype == bool:
            return column, None
        wrong = ~column.isin([True, False]).to_numpy()
        return (column if wrong.any() else column.astype(bool)), wrong
    if column.dtype == "float64":
        numbers, wrong = column, None
    else:
        numbers = pd.to_numeric(column, errors="coerce").astype("float64")
        wrong = (numbers.isna() & column.notna()).to_numpy()
    values = numbers.to_numpy()
    if kind == "share":
        outside = (values < 0) | (values > 1)
        wrong = outside if wrong is None else wrong | outside
    if kind != "count":
        return numbers, wrong
    with np.errstate(invalid="ignore"):
        odd = ~((values >= 0) & (values % 1 == 0))
    wrong = odd if wrong is None else wrong | odd
    return (column if wrong.any() else column.astype("int64")), wrong


Measure = Literal["counts", "intensities"]


def measure(adata: AnnData) -> Measure:
    """Return what an AnnData of a bulk study holds: read counts, or log2 intensities of arrays."""
    return "intensities" if adata.uns.get("measure") == "intensities" else "counts"


def check_counts(adata: AnnData, where: str) -> AnnData:
    """Check the AnnData of a bulk study, read counts or intensities.

    ``X`` holds whole numbers from 0, or log2 intensities; ``obs`` the harmonised columns; ``var``
    is indexed by gene id with ``symbol`` and ``source_id``; ``uns["provenance"]`` says where they
    come from.

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
            fail(f"{axis} '{index[index.duplicated()][0]}' is duplicated")
    values = adata.X.data if sp.issparse(adata.X) else np.asarray(adata.X)
    if values.size and not np.isfinite(values).all():
        fail("X has missing or infinite values")
    if measure(adata) == "intensities":
        return adata
    if values.size and (values < 0).any():
        fail("X has negative values")
    if values.size and not np.array_equal(values, np.floor(values)):
        fail("X has values that are not whole numbers")
    return adata


def check_cells(adata: AnnData, where: str) -> AnnData:
    """Check the AnnData of an annotated single-cell study.

    ``layers["counts"]`` holds whole numbers from 0; ``obs`` sample, donor, condition, cell type and
    its score, and the metrics; ``obsm`` components and UMAP; ``var`` is indexed by gene id.

    Raises
    ------
    InputError
        Names the part that is wrong.
    """

    def fail(problem: str) -> None:
        raise InputError(problem, where=where)

    if "counts" not in adata.layers:
        fail("there is no layer 'counts'")
    if adata.layers["counts"].dtype.kind != "i":
        fail("layer 'counts' does not hold whole numbers")
    for column in CELL_COLUMNS:
        if column not in adata.obs:
            fail(f"obs has no column '{column}'")
    for key in ("X_pca", "X_umap"):
        if key not in adata.obsm:
            fail(f"obsm has no '{key}'")
    for axis, index in (("cell", adata.obs_names), ("gene", adata.var_names)):
        if not index.is_unique:
            fail(f"{axis} '{index[index.duplicated()][0]}' is duplicated")
    return adata


CELL_COLUMNS = (
    *("dataset", "sample_id", "subject_id", "condition", "cell_type", "cell_type_score"),
    *("n_counts", "n_genes", "pct_mito", "doublet_score", "kept"),
)
