"""Cells between the steps: prepared samples and annotated studies, written and read in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from alsmuscle.cells.prepare import PreparedSample
from alsmuscle.core import files
from alsmuscle.core.contracts import check_cells

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix


def write_prepared(path: str | Path, prepared: Iterable[PreparedSample]) -> None:
    """Write samples that are not skipped, one after the other, so that one is in memory."""
    import h5py

    from alsmuscle.core.annotated import write_elem

    with files.atomic(path) as part, h5py.File(part, "w") as file:
        for number, sample in enumerate(prepared):
            if sample.summary["skipped"]:
                continue
            cells = sample.cells
            cells.var = cells.var.join(sample.variable)
            write_elem(file, f"{number:05d}", cells, dataset_kwargs=files.COMPRESSION)
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
    written of all of them together, checked as such (``contracts.check_cells``).
    """
    import h5py

    from alsmuscle.core.annotated import AnnData, sparse_dataset, write_elem

    matrices = ("X", "layers/counts")
    with files.atomic(path) as temporary, h5py.File(temporary, "w") as file:
        for number, part in enumerate(parts):
            check_cells(part, str(path))
            if number == 0:
                whole = AnnData(obs=study.obs, var=part.var, obsm=study.obsm, uns=study.uns)
                whole.strings_to_categoricals()
                write_elem(file, "/", whole, dataset_kwargs=files.COMPRESSION)
                for key, X in zip(matrices, (part.X, part.layers["counts"]), strict=True):
                    write_elem(file, key, _wide(X), dataset_kwargs=files.COMPRESSION)
            else:
                for key, X in zip(matrices, (part.X, part.layers["counts"]), strict=True):
                    sparse_dataset(file[key]).append(_wide(X))


def read_cells(path: str | Path) -> Iterator[AnnData]:
    """Read what :func:`write_cells` wrote, sample by sample."""
    import h5py

    from alsmuscle.core.annotated import AnnData, read_elem, sparse_dataset

    with h5py.File(path, "r") as file:
        obs, var, obsm = (read_elem(file[key]) for key in ("obs", "var", "obsm"))
        X, counts = sparse_dataset(file["X"]), sparse_dataset(file["layers/counts"])
        start = np.flatnonzero(obs["sample_id"].ne(obs["sample_id"].shift()))
        for low, high in zip(start, [*start[1:], len(obs)], strict=True):
            yield AnnData(
                X[low:high],
                obs=obs.iloc[low:high],
                var=var,
                obsm={key: values[low:high] for key, values in obsm.items()},
                layers={"counts": counts[low:high]},
            )


def _wide(X: csr_matrix) -> csr_matrix:
    """Return a matrix whose row pointers count beyond 2^31 entries when more are appended."""
    wide = X.copy()
    wide.indptr = wide.indptr.astype(np.int64)
    return wide
