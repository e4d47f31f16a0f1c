"""Sums of counts per sample, and per sample and cell type.

From here on the donor is the unit, and the code of bulk studies applies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData


def pseudobulk(
    parts: Iterable[AnnData],
    *,
    by: str = "cell_type",
    min_cells: int,
    leave_out: str = "unassigned",
    whole: str = "",
) -> AnnData:
    """Sum raw counts per sample and cell type, to the contract of bulk counts.

    Parameters
    ----------
    parts
        A study in parts of whole samples, all with the same genes: ``layers["counts"]`` CSR;
        ``obs``: ``sample_id``, ``by``, and sample columns.
    by, leave_out
        Column of cell types, and the label that is none.
    whole
        Name under which all cells of a sample, unassigned ones too, are summed as well.
    min_cells
        Sums over fewer cells are dropped (Squair et al. 2021 and muscat use 10) and listed in
        ``uns["dropped"]``.

    Returns
    -------
    AnnData
        ``X`` dense int64 (sums x genes); ``obs`` index ``<sample_id>|<cell_type>``, the columns
        that are constant within each sample, ``cell_type`` and ``n_cells``; ``var`` as in the
        parts.

    Raises
    ------
    InputError
        When no sample has a cell type with ``min_cells`` cells.
    """
    from scipy import sparse

    from alsmuscle.core.annotated import AnnData

    sums, rows, dropped = [], [], []
    varying: set[str] = set()
    for part in parts:
        var = part.var[["symbol", "source_id"]]
        sample = part.obs["sample_id"].astype(str)
        by_sample = part.obs.groupby(sample)
        varying |= {c for c in part.obs if by_sample[c].nunique(dropna=False).max() > 1}
        for sample_id in sorted(set(sample)):
            here = np.flatnonzero((sample == sample_id).to_numpy())
            code, names = pd.factorize(part.obs[by].iloc[here].astype(str), sort=True)
            n_cells = np.bincount(code)
            # Sums in int64: float32 would lose exactness above 16.7 million.
            member = sparse.csr_matrix(
                (np.ones(len(here), np.int64), (code, np.arange(len(here)))),
                shape=(len(names), len(here)),
            )
            of_type = np.asarray((member @ part.layers["counts"][here]).todense())
            table = pd.DataFrame({"cell_type": names, "n_cells": n_cells})
            if whole:
                of_type = np.vstack([of_type.sum(axis=0), of_type])
                table = pd.concat(
                    [pd.DataFrame({"cell_type": [whole], "n_cells": len(here)}), table],
                    ignore_index=True,
                )
            wanted = table["cell_type"] != leave_out
            enough = table["n_cells"] >= min_cells
            first = part.obs.iloc[here[0]].to_dict()
            rows += [first | row for row in table[wanted & enough].to_dict("records")]
            sums.append(of_type[wanted & enough])
            dropped.append(table[wanted & ~enough & (table["cell_type"] != whole)])
            dropped[-1].insert(0, "sample_id", sample_id)
    if not rows:
        raise InputError(
            f"no sample has {min_cells} cells of one type",
            remedy="lower cells.pseudobulk.min_cells, or exclude the study",
        )
    obs = pd.DataFrame(rows).drop(columns=sorted(varying - {"cell_type", "n_cells"}))
    obs.index = pd.Index(
        obs["sample_id"].astype(str) + "|" + obs["cell_type"], name="pseudobulk_id"
    )
    out = AnnData(np.vstack(sums).astype(np.int64), obs=obs, var=var)
    out.uns["dropped"] = pd.concat(dropped, ignore_index=True)
    return out


def sum_sample(cells: AnnData) -> pd.DataFrame:
    """Sum one sample's counts over its cells: index gene id, ``count`` and ``symbol``."""
    total = np.asarray(cells.X.sum(axis=0, dtype=np.int64)).ravel()
    return pd.DataFrame({"count": total, "symbol": cells.var["symbol"]}, index=cells.var_names)


def stack_sums(sums: Mapping[str, pd.DataFrame], *, where: str) -> AnnData:
    """Put sums of :func:`sum_sample` into one matrix, samples x genes, a missing gene as 0.

    Raises InputError when every sample was skipped.
    """
    from alsmuscle.core.annotated import AnnData

    if not sums:
        raise InputError(
            "no sample has enough cells left after quality control",
            where=where,
            remedy="look at the sample table's `skipped` column; check material and matrices",
        )
    wide = pd.DataFrame({name: table["count"] for name, table in sums.items()}).fillna(0).T
    symbols = pd.concat([table["symbol"] for table in sums.values()])
    symbols = symbols[~symbols.index.duplicated()].reindex(wide.columns)
    return AnnData(wide.to_numpy(np.int64), obs=wide[[]], var=symbols.to_frame())
