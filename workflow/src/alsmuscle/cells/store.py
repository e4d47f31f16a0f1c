"""Cells between the steps: prepared samples and annotated studies, written and read in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.cells.prepare import PreparedSample
from alsmuscle.core import files
from alsmuscle.core.contracts import check_cells

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData
    from scipy.sparse import csr_matrix


# What marks a group of HDF5 as a sparse matrix of AnnData.
SPARSE = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0"}


def write_prepared(path: str | Path, prepared: Iterable[PreparedSample]) -> None:
    """Write samples that are not skipped, one after the other, so that one is in memory."""
    import h5py

    from alsmuscle.core.annotated import AnnData, write_elem

    with files.atomic(path) as part, h5py.File(part, "w") as file:
        for number, sample in enumerate(prepared):
            if sample.summary["skipped"]:
                continue
            cells = sample.cells
            light = AnnData(obs=cells.obs, var=cells.var.join(sample.variable), uns=cells.uns)
            write_elem(file, f"{number:05d}", light, dataset_kwargs=files.COMPRESSION)
            _write_rows(file[f"{number:05d}"], "X", cells.X)
            file[f"{number:05d}"].attrs["sample_id"] = sample.sample_id


@dataclass(frozen=True)
class StoredSample:
    """A prepared sample in a file: its ``cells`` are read at every access and not kept."""

    path: Path
    group: str
    sample_id: str
    summary: dict[str, Any]
    genes: pd.DataFrame

    @property
    def var(self) -> pd.DataFrame:
        """Genes of the sample: index gene id, ``symbol`` and ``source_id``."""
        return self.genes[["symbol", "source_id"]]

    @property
    def variable(self) -> pd.DataFrame:
        """Per gene ``variable`` and ``dispersion`` within the sample."""
        return self.genes[["variable", "dispersion"]]

    @property
    def cells(self) -> AnnData:
        """Cells kept, ``X`` int32 CSR counts."""
        import h5py

        from alsmuscle.core.annotated import read_elem

        with h5py.File(self.path, "r") as file:
            return cast("AnnData", read_elem(file[self.group]))


def read_prepared(path: str | Path, summaries: pd.DataFrame) -> list[StoredSample]:
    """Return the samples that :func:`write_prepared` wrote;
    ``summaries``: contract ``cells_qc``.
    """
    import h5py

    from alsmuscle.core.annotated import read_elem

    by_sample = summaries.set_index("sample_id", drop=False)
    found = []
    with h5py.File(path, "r") as file:
        for key, group in file.items():
            name = str(group.attrs["sample_id"])
            summary = by_sample.loc[name].to_dict()
            genes = read_elem(group["var"])
            found.append(StoredSample(Path(path), key, name, summary, genes))
    return found


def write_cells(path: str | Path, study: AnnData, parts: Iterable[AnnData]) -> None:
    """Write a study whose samples come one by one, with all genes, as one ``.h5ad``.

    ``parts``: from ``cells.each_sample``. The file is what ``AnnData.write_h5ad`` would have
    written of all of them together, checked as such (``contracts.check_cells``), but that the
    values and the counts, which are in the same places, share the arrays that say where.
    """
    import h5py

    from alsmuscle.core.annotated import AnnData, write_elem

    with files.atomic(path) as temporary, h5py.File(temporary, "w") as file:
        for number, part in enumerate(parts):
            check_cells(part, str(path))
            counts = part.layers["counts"]
            if number == 0:
                whole = AnnData(obs=study.obs, var=part.var, obsm=study.obsm, uns=study.uns)
                whole.strings_to_categoricals()
                write_elem(file, "/", whole, dataset_kwargs=files.COMPRESSION)
                _write_rows(file, "layers/counts", counts)
                _write_values(file, "X", "layers/counts", part.X.data)
            else:
                _append_rows(file["layers/counts"], counts)
                _append(file["X/data"], part.X.data)
        for key in ("X", "layers/counts"):
            file[key].attrs["shape"] = (len(study.obs), file[key].attrs["shape"][1])


def read_cells(path: str | Path) -> Iterator[AnnData]:
    """Read what :func:`write_cells` wrote, sample by sample."""
    import h5py

    from alsmuscle.core.annotated import AnnData, read_elem

    with h5py.File(path, "r") as file:
        obs, var, obsm = (read_elem(file[key]) for key in ("obs", "var", "obsm"))
        stored, values = file["layers/counts"], file["X/data"]
        pointers = stored["indptr"][:]
        start = np.flatnonzero(obs["sample_id"].ne(obs["sample_id"].shift()))
        for low, high in zip(start, [*start[1:], len(obs)], strict=True):
            counts = _read_rows(stored, pointers[low : high + 1], len(var))
            here = slice(pointers[low], pointers[high])
            yield AnnData(
                _alike(counts, values[here]),
                obs=obs.iloc[low:high],
                var=var,
                obsm={key: part[low:high] for key, part in obsm.items()},
                layers={"counts": counts},
            )


def _write_rows(file: h5py.Group, key: str, X: csr_matrix) -> None:
    """Write a sparse matrix to which rows can be appended, beyond 2^31 entries."""
    if key in file:
        del file[key]
    group = file.create_group(key)
    group.attrs.update(SPARSE)
    group.attrs["shape"] = X.shape
    options = files.COMPRESSION | {"maxshape": (None,)}
    # Bytes of like weight side by side: whole numbers take a third less, in half the time.
    for name, part in (("data", X.data), ("indices", X.indices)):
        group.create_dataset(name, data=part, shuffle=True, **options)
    group.create_dataset("indptr", data=X.indptr.astype(np.int64), **options)


def _write_values(file: h5py.Group, key: str, like: str, values: npt.NDArray[np.float32]) -> None:
    """Write other values for the entries of a written matrix."""
    if key in file:
        del file[key]
    group = file.create_group(key)
    group.attrs.update(file[like].attrs)
    for name in ("indices", "indptr"):
        group[name] = file[like][name]  # a hard link
    group.create_dataset("data", data=values, maxshape=(None,), **files.COMPRESSION)


def _append_rows(group: h5py.Group, X: csr_matrix) -> None:
    """Append rows to a matrix of :func:`_write_rows`."""
    _append(group["indptr"], X.indptr[1:].astype(np.int64) + group["indices"].shape[0])
    _append(group["data"], X.data)
    _append(group["indices"], X.indices)


def _append(stored: h5py.Dataset, values: npt.NDArray[Any]) -> None:
    """Append values to a dataset."""
    length = stored.shape[0]
    stored.resize((length + len(values),))
    stored[length:] = values


def _read_rows(group: h5py.Group, pointers: npt.NDArray[np.int64], columns: int) -> csr_matrix:
    """Read the rows between some pointers of a sparse matrix."""
    from scipy import sparse

    here = slice(pointers[0], pointers[-1])
    parts = (group["data"][here], group["indices"][here], pointers - pointers[0])
    return sparse.csr_matrix(parts, shape=(len(pointers) - 1, columns), copy=False)


def _alike(X: csr_matrix, values: npt.NDArray[np.float32]) -> csr_matrix:
    """Return a matrix of other values in the same places."""
    from scipy import sparse

    return sparse.csr_matrix((values, X.indices, X.indptr), shape=X.shape, copy=False)
