"""Where spots of tissue lie on their section: what an ``.h5ad`` or Space Ranger says of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.download import decode

if TYPE_CHECKING:
    from anndata import AnnData

PLACES = ("section_x", "section_y")
"""Columns of ``obs``: pixels of the section's picture to the right and downwards."""
_SPACE_RANGER = (
    *("barcode", "in_tissue", "array_row", "array_col"),
    *("pxl_row_in_fullres", "pxl_col_in_fullres"),
)


def with_places(obs: pd.DataFrame, study: AnnData) -> pd.DataFrame:
    """Return ``obs`` with the places that ``obsm["spatial"]`` holds;
    as it is where there are none.
    """
    held = study.obsm.get("spatial") if "spatial" in study.obsm else None
    values = None if held is None else np.asarray(held, dtype=float)
    if values is None or values.ndim != 2 or values.shape[1] < 2:
        return obs
    return obs.assign(**dict(zip(PLACES, values[:, :2].T, strict=True)))


def read_positions(path: Path) -> pd.DataFrame:
    """Read Space Ranger's ``tissue_positions.csv``, or the list without heads of its older
    versions.

    Returns
    -------
    DataFrame
        :data:`PLACES` by barcode.

    Raises
    ------
    InputError
        The file is no such table, or names a barcode twice.
    """
    rows = [line.split(",") for line in decode.read_text(path).splitlines() if line.strip()]
    if rows and rows[0][0] == _SPACE_RANGER[0]:
        rows = rows[1:]
    expected = ", ".join(_SPACE_RANGER)
    if not rows or any(len(row) != len(_SPACE_RANGER) for row in rows):
        raise InputError("no table of places of spots", where=path, expected=expected)
    table = pd.DataFrame(rows, columns=list(_SPACE_RANGER)).set_index("barcode")
    if table.index.has_duplicates:
        again = str(table.index[table.index.duplicated()][0])
        raise InputError(f"the barcode '{again}' occurs twice", where=path)
    places = table[["pxl_col_in_fullres", "pxl_row_in_fullres"]].apply(
        pd.to_numeric, errors="coerce"
    )
    if not np.isfinite(places.to_numpy(dtype=float)).all():
        raise InputError("places that are no numbers", where=path, expected=expected)
    return places.astype(float).set_axis(list(PLACES), axis=1)


def placed(obs: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return ``obs`` with the places of its barcodes; those that the file lacks have none.

    Raises InputError when the file holds none of the barcodes.
    """
    places = read_positions(path)
    found = places.reindex(obs.index)
    if len(obs) and found.isna().all(axis=None):
        raise InputError(
            "none of the sample's barcodes is listed",
            where=path,
            expected=f"barcodes as {obs.index[0]}",
            remedy="take the positions and the matrix from the same Space Ranger run",
        )
    return obs.join(places)
