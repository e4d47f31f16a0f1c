"""An ``.h5ad`` whose matrix stays in the file: rows are read when they are asked for.

A study's file of all samples may be larger than the memory. What is held of it are ``obs``,
``var`` and the pointers of one sparse matrix; everything else passes by in blocks.
"""

from __future__ import annotations

import tempfile
import warnings
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import sections, tenx
from alsmuscle.data.readers.sparse_counts import AGAIN, RAW, assemble, counted, describe_values
from alsmuscle.download import decode, hdf5

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData
    from scipy.sparse import csr_matrix

Positions = npt.NDArray[np.int64]

# So many blocks (0.5 GB with indices; twice that while they are sorted by row) are held at once
# rather than read again for every sample.
HELD = 16

_OURS = ("cell_type", "lineage", "cluster", "cell_type_score", "doublet_score", "kept")
_KINDS = ("feature_types", "feature_type")
# Where counts may be, the first that holds some is taken: the name for messages, and the places of
# the matrix and of its genes in the file.
_PLACES = {
    "layers['counts']": ("layers/counts", "var"),
    "raw.X": ("raw/X", "raw/var"),
    "X": ("X", "var"),
}


class H5ad:
    """Counts of an ``.h5ad``, some barcodes at a time.

    Taken from the first of ``layers['counts']``, ``raw.X`` and ``X`` that holds counts. Barcodes
    may occur twice: in several samples.

    Parameters
    ----------
    path
        The file, packed or not; an unpacked copy goes when this object does.

    Attributes
    ----------
    obs
        What the file says of its barcodes; columns of names that we give are ``author_<name>``, and
        places of spots are ``sections.PLACES``.

    Raises
    ------
    InputError
        The file is truncated or no AnnData, or none of the three holds non-negative whole numbers;
        states what they look like.
    """

    obs: pd.DataFrame

    def __init__(self, path: str | Path) -> None:
        """Read names and metadata, and see whether the values are counts."""
        import h5py

        self._path, stack = Path(path), ExitStack()
        weakref.finalize(self, stack.close)
        plain = stack.enter_context(decode.unpacked_file(self._path))
        hdf5.check(plain, where=self._path, max_bytes=tenx.MOST_BYTES, kind=".h5ad")
        found = {}
        with self._reading():
            file = stack.enter_context(h5py.File(_in_parts(plain, stack), "r"))
            # Of a place that is empty on purpose (a null of HDF5), the shape is None.
            places = {
                name: (file[at], var)
                for name, (at, var) in _PLACES.items()
                if at in file and getattr(file[at], "shape", ()) is not None
            }
            matrices = {name: _Stored(at) for name, (at, _) in places.items()}
            studies = {name: _without_matrix(file, var) for name, (_, var) in places.items()}
            for name, study in studies.items():
                if matrices[name].shape != study.shape:
                    raise ValueError(f"{name} is {matrices[name].shape}, its names {study.shape}")
            for name, matrix in matrices.items():
                found[name] = describe_values(matrix.values(), matrix.sums)
                if found[name] == "counts":
                    self._matrix, self._study = matrix, studies[name]
                    break
            else:
                raise InputError(
                    "no raw counts: " + "; ".join(f"{k} holds {v}" for k, v in found.items()),
                    where=self._path,
                    expected="whole numbers in layers['counts'], raw.X or X",
                    remedy=RAW,
                )
            obs = self._study.obs.rename(columns={c: f"author_{c}" for c in _OURS})
            self.obs = sections.with_places(obs, self._study)

    def rows(self, positions: Positions) -> AnnData:
        """Read some barcodes, in the file's order; features that are no genes are left out.

        Raises
        ------
        InputError
            A count is more than can be stored, or no feature is a gene.
        """
        var = self._study.var
        ids = list(var["gene_ids"]) if "gene_ids" in var else list(var.index)
        symbols = next((list(var[c]) for c in ("symbol", "gene_name") if c in var), list(var.index))
        kinds = next((list(var[c].astype(str)) for c in _KINDS if c in var), None)
        obs = self.obs.iloc[positions]
        with self._reading():
            X = self._matrix.rows(positions, self._path)
        out = assemble(self._path, X, list(obs.index), ids, symbols, kinds=kinds, several=True)
        out.obs = obs
        return out

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Say that the file is at fault: its parsers raise many kinds, and all mean that."""
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".* names are not unique")
                yield
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"cannot be read as .h5ad, truncated or not AnnData ({error})",
                where=self._path,
                remedy=AGAIN,
            ) from error


def _in_parts(plain: Path, stack: ExitStack) -> Path:
    """Return a file that can be read in parts: one from before anndata 0.7 is written anew."""
    import h5py

    from alsmuscle.core.annotated import anndata

    with h5py.File(plain, "r") as file:
        if isinstance(file["obs"], h5py.Group) and "raw.X" not in file:
            return plain
    new = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "new.h5ad"
    anndata.read_h5ad(plain).write_h5ad(new)
    return new


def _without_matrix(file: h5py.File, var: str) -> AnnData:
    """Return the names of a matrix's rows and columns, and where spots lie."""
    from alsmuscle.core.annotated import AnnData, read_elem

    obsm = {"spatial": read_elem(file["obsm/spatial"])} if "obsm/spatial" in file else {}
    return AnnData(obs=read_elem(file["obs"]), var=read_elem(file[var]), obsm=obsm)


class _Stored:
    """A matrix in a file, barcodes × features, sparse by row, sparse by column, or dense."""

    def __init__(self, stored: h5py.Group | h5py.Dataset) -> None:
        import h5py

        from alsmuscle.core.annotated import sparse_dataset

        self._stored, self._format = stored, ""
        if isinstance(stored, h5py.Group):
            matrix = sparse_dataset(stored)
            self.shape, self._format = matrix.shape, matrix.format
            # Before which entry each row (of "csc": column) begins.
            self._ends = stored["indptr"][:].astype(np.int64)
        else:
            self.shape = stored.shape
            self._ends = np.arange(self.shape[0] + 1) * self.shape[1]
        self._held: csr_matrix | None = None

    def values(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the values that are not 0 (in a sparse matrix, that are stored)."""
        for at, _ in self._blocks(np.arange(len(self._ends) - 1)):
            if self._format:
                yield self._stored["data"][self._ends[at.start] : self._ends[at.stop]]
            else:
                block = self._stored[at]
                yield block[block != 0]

    def sums(self) -> npt.NDArray[Any]:
        """Return each barcode's sum."""
        total: npt.NDArray[Any] = np.zeros(self.shape[0])
        for at, _ in self._blocks(np.arange(len(self._ends) - 1)):
            of = slice(None) if self._format == "csc" else at
            total[of] += np.asarray(self._read(at).sum(axis=1)).ravel()
        return total

    def rows(self, positions: Positions, where: Path) -> csr_matrix:
        """Read rows as counts; ``positions`` rise, ``where`` is for messages.

        Where each sample would read most of the file, and all of it is little, it is held.
        """
        from scipy import sparse

        if self._held is None and self._ends[-1] <= HELD * hdf5.BLOCK and self._apart(positions):
            self._held = sparse.csr_matrix(self._read(slice(0, len(self._ends) - 1)))
        if self._held is not None:
            return counted(where, self._held[positions])
        if self._format == "csc":
            every = np.arange(self.shape[1])
            blocks = [counted(where, self._read(at)[positions]) for at, _ in self._blocks(every)]
            return sparse.hstack(blocks, format="csc").tocsr()
        blocks = [counted(where, self._read(at)[own]) for at, own in self._blocks(positions)]
        return sparse.vstack(blocks, format="csr")

    def _apart(self, positions: Positions) -> bool:
        """Whether less than half of the rows that would be read are wanted."""
        every = len(positions) and int(positions[-1]) + 1 - int(positions[0])
        return 2 * len(positions) < (self.shape[0] if self._format == "csc" else every)

    def _blocks(self, wanted: Positions) -> Iterator[tuple[slice, Positions]]:
        """Yield which rows (columns) to read at once, and where the wanted ones are among these.

        Rows that follow each other are read together up to ``hdf5.BLOCK`` entries, with what lies
        between two that are not wanted: HDF5 unpacks whole blocks, so single rows would cost more.
        """
        first = 0
        while first < len(wanted):
            start = int(wanted[first])
            most = np.searchsorted(self._ends, self._ends[start] + hdf5.BLOCK, side="right") - 1
            last = max(first + 1, int(np.searchsorted(wanted, most)))
            yield slice(start, int(wanted[last - 1]) + 1), wanted[first:last] - start
            first = last

    def _read(self, at: slice) -> Any:
        """Read some rows (of "csc": columns) as a sparse matrix, in the type that the file has."""
        from scipy import sparse

        if not self._format:
            return sparse.csr_matrix(self._stored[at])
        low, high = self._ends[at.start], self._ends[at.stop]
        ends, n = self._ends[at.start : at.stop + 1] - low, at.stop - at.start
        parts = self._stored["data"][low:high], self._stored["indices"][low:high], ends
        if self._format == "csc":
            return sparse.csc_matrix(parts, shape=(self.shape[0], n))
        return sparse.csr_matrix(parts, shape=(n, self.shape[1]))
