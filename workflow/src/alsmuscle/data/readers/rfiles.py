"""Data frames and matrices in R's own files (``.RData``, ``.rda``, ``.rds``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core.errors import InputError
from alsmuscle.download.decode import some, unpacked

if TYPE_CHECKING:
    import pandas as pd


def read_frame(path: Path, spec: Mapping[str, Any], key: str, row_names: str = "row_names") -> Any:
    """Read one data frame, or matrix with names of its rows and columns.

    Parameters
    ----------
    path
        The file.
    spec
        Part of the card; ``object`` names the frame where the file holds several.
    key
        Name of that part, for messages.
    row_names
        Name of the first column, which holds the rows' names; left out where they are numbers.

    Returns
    -------
    DataFrame
        Column names are text.

    Raises
    ------
    InputError
        The file is no R data, or holds no such object.
    """
    frames = {
        name: frame
        for name, value in _objects(path).items()
        if (frame := _frame(value)) is not None
    }
    name = spec.get("object")
    if name is None and len(frames) == 1:
        name = next(iter(frames))
    if name not in frames:
        raise InputError(
            f"no data frame '{name}'" if name else f"{len(frames) or 'no'} data frames",
            where=f"{path}: {key}.object",
            expected=some(frames) if frames else "a data frame, or a matrix of numbers",
            remedy=f"set `{key}.object`"
            if frames
            else "export the table in R: write.csv(counts(x), 'counts.csv')",
        )
    frame = frames[name].rename(columns=str)
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise _twice(twice, f"{path}: {name}")
    if odd := [column for column, kind in frame.dtypes.items() if kind.kind == "c"]:
        raise InputError(f"complex numbers in column '{odd[0]}'", where=path, expected="numbers")
    if frame.index.dtype == object:
        frame = frame.rename_axis(row_names).reset_index()
    return frame.reset_index(drop=True)


def _objects(path: Path) -> dict[str, Any]:
    import warnings

    import rdata

    content = unpacked(path.read_bytes(), str(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # classes that rdata does not know become plain data
            parsed = rdata.parser.parse_data(content)
            found = rdata.conversion.convert(parsed, _constructors(path))
    except InputError:
        raise
    except Exception as error:
        # Some of the parser's errors have no words.
        words = f"{type(error).__name__}: {error}".rstrip(": ")
        raise InputError(f"not readable as R data ({words})", where=path) from None
    # An .rds holds one object without a name.
    return found if isinstance(found, dict) else {"(the one object)": found}


def _constructors(path: Path) -> dict[str, Any]:
    """Return what makes data frames, and stops where rdata would keep the last column of a name."""
    from rdata.conversion import DEFAULT_CLASS_MAP

    def data_frame(columns: Any, attributes: Mapping[str, Any]) -> Any:
        names = list(attributes.get("names", []))
        if len(set(names)) < len(names):
            raise _twice(next(n for n in names if names.count(n) > 1), path)
        return DEFAULT_CLASS_MAP["data.frame"](columns, attributes)

    return {**DEFAULT_CLASS_MAP, "data.frame": data_frame}


def _twice(name: str, where: str | Path) -> InputError:
    return InputError(
        f"column '{name}' is duplicated in the data frame",
        where=where,
        expected="one column per name",
        remedy="find out from the source which of them it is, and export the table as text",
    )


def _frame(value: Any) -> pd.DataFrame | None:
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return value
    if hasattr(value, "to_pandas") and getattr(value, "ndim", 0) == 2:  # a named matrix
        found = value.to_pandas()
        return found if isinstance(found, pd.DataFrame) else None
    return None
