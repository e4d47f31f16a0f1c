"""Readers of single-cell and spot matrices: 10x ``.h5``, 10x triplets (folder or tar), ``.h5ad``.

:class:`Matrices` finds a study's samples as its card describes them. Every reader returns barcodes
x features as sparse CSR with int32 counts, ``var`` indexed by Ensembl gene id without version (or
by what the file has, where it has no ids) with columns ``symbol`` and ``source_id``. Matrices that
do not hold counts are refused, never rounded.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core import deadline
from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import members, sections, tables, tenx
from alsmuscle.data.readers.h5ad import H5ad, Positions
from alsmuscle.data.readers.sparse_counts import (
    AGAIN,
    RAW,
    assemble,
    csr,
    require_unique,
    split_samples,
)
from alsmuscle.download import decode
from alsmuscle.download.decode import some

if TYPE_CHECKING:
    from anndata import AnnData


class _Whole(NamedTuple):
    """A file of all samples: its barcodes, where each sample's are, and how to read some."""

    obs: pd.DataFrame
    samples: dict[str, Positions]
    rows: Callable[[Positions], AnnData]


class Matrices:
    """The count matrices of a study, one per sample, as ``cells`` of its card describes them.

    Parameters
    ----------
    spec
        ``cells`` of the card.
    path_of
        Name under ``files`` of the card to the fetched file's path.
    """

    def __init__(self, spec: Mapping[str, Any], path_of: Callable[[str], Path]) -> None:
        """Read nothing yet."""
        self._spec, self._path_of = spec, path_of
        self._listed = {entry["sample_id"]: entry for entry in spec.get("samples", [])}

    @property
    def names(self) -> list[str]:
        """Names of the samples that have a matrix."""
        if self._listed:
            return list(self._listed)
        in_archive = self._spec["layout"].startswith("10x")
        return list(self._members if in_archive else self._whole.samples)

    def sheet(self) -> pd.DataFrame:
        """Return what the barcodes' metadata says of the samples: columns constant within each.

        As text; the sample's own column is there under its name. Raises InputError for layouts that
        have no such metadata.
        """
        if self._spec["layout"] not in ("h5ad", "table") or self._listed:
            raise InputError(
                "`obs` needs one .h5ad, or one table with metadata, that holds all samples",
                where="samples.sheet",
            )
        rows = []
        for name, positions in self._whole.samples.items():
            obs = self._whole.obs.iloc[positions]
            constant = obs.nunique(dropna=False) == 1
            # As objects: a category that is missing cannot be filled with text.
            row = obs.loc[:, constant.to_numpy()].astype(object).iloc[0]
            rows.append({**row.fillna("").astype(str), self._spec["sample_column"]: name})
        return pd.DataFrame(rows).fillna("")

    def read(self, name: str) -> tuple[AnnData, AnnData | None]:
        """Return one sample's counts and, where the card names it, its unfiltered matrix.

        The authors' cell types, where the card names their column, are ``obs["author_type"]``;
        where spots lie on their section, if that is known, are ``sections.PLACES``; no other column
        of theirs is kept. Raises InputError as the readers do.
        """
        raw = None
        if self._listed:
            entry = self._listed[name]
            counts = read_sample(self._path_of(entry["file"]), prefix=entry.get("prefix", ""))
            if "raw" in entry:
                path = self._path_of(entry["raw"])
                raw = read_sample(path, prefix=entry.get("raw_prefix", ""))
                if not raw.var_names.equals(counts.var_names):
                    raise InputError(
                        f"raw and filtered matrices of '{name}' have different genes",
                        where=path,
                        expected=f"the {counts.n_vars} genes of "
                        f"{self._path_of(entry['file']).name}",
                        remedy="take both from the same Cell Ranger run",
                    )
        elif self._spec["layout"] == "10x_h5":
            counts = tenx.read_10x_h5_in_tar(self._path_of(self._spec["file"]), self._members[name])
        elif self._spec["layout"] == "10x_triplets":
            path = self._path_of(self._spec["file"])
            counts = tenx.read_10x_tar(path, prefix=self._members[name])
        else:
            counts = self._whole.rows(self._whole.samples[name])
        label = self._spec.get("label_column")
        kept = counts.obs[[label]].astype(str) if label in counts.obs else counts.obs[[]]
        places = {key: counts.obs[key].to_numpy() for key in sections.PLACES if key in counts.obs}
        counts.obs = kept.rename(columns={label: "author_type"})
        if "positions" in self._listed.get(name, {}):
            positions = self._path_of(self._listed[name]["positions"])
            counts.obs = sections.placed(counts.obs, positions)
        elif places:
            counts.obs = counts.obs.assign(**places)
        return counts, raw

    @cached_property
    def _members(self) -> dict[str, str]:
        """Sample → its member's name (``.h5``) or its files' prefix (triplets) in the archive."""
        path, pattern = self._path_of(self._spec["file"]), re.compile(self._spec["member"])
        triplets = self._spec["layout"] == "10x_triplets"
        found: dict[str, str] = {}
        names = members.names(path)
        for name in names:
            part = tenx.part_of(name) if triplets else None
            # One folder or archive per sample: what is in it is named alike in all.
            with deadline.of_pattern(self._spec["member"], f"{path}: cells.member"):
                match = pattern.search(Path(name).name) or pattern.search(name)
            if match is None or (triplets and (part is None or part[1] != "matrix")):
                continue
            value = part[0] if part else name
            if found.setdefault(match["sample_id"], value) != value:
                raise InputError(
                    f"two matrices give sample '{match['sample_id']}': '{value}' and "
                    f"'{found[match['sample_id']]}'",
                    where=path,
                    remedy="make `cells.member` narrower; it is matched with a file's name, then "
                    "against the name with its folders",
                )
        if not found:
            raise InputError(
                "no matrix matches `cells.member`",
                where=path,
                expected=self._spec["member"],
                remedy=f"correct the expression; members are such as {some(names, 3)}"
                + ("; of triplets, that of the counts is called matrix.mtx" if triplets else ""),
            )
        return found

    @cached_property
    def _whole(self) -> _Whole:
        """The one file that holds all samples."""
        spec, path = self._spec, self._path_of(self._spec["file"])
        if spec["layout"] == "table":
            table = read_table(path, _read_text_table(self._path_of(spec["metadata"]), spec), spec)
            obs, rows = table.obs, lambda positions: table[positions].copy()
        else:
            study = H5ad(path)
            obs, rows = study.obs, study.rows
        try:
            samples = split_samples(obs, spec["sample_column"])
        except InputError as error:
            raise InputError(
                error.problem,
                where=f"{path}: cells.sample_column",
                expected=error.expected,
            ) from None
        for name, positions in samples.items():
            require_unique(obs.index[positions], f"{path}: sample {name}")
        return _Whole(obs, samples, rows)


def read_sample(path: str | Path, *, prefix: str = "") -> AnnData:
    """Read one sample by what the path is: ``.h5``, ``.h5ad``, a triplet folder or a ``.tar[.gz]``.

    ``prefix`` selects one sample's files in a folder or tar that holds several. Raises InputError
    as the readers do, and for a path that is none of these.
    """
    path = Path(path)
    name = re.sub(r"\.(gz|bz2|xz)$", "", path.name.lower())
    if path.is_dir():
        return tenx.read_10x_folder(path, prefix=prefix)
    if not path.exists():
        raise InputError("no such file", where=path, remedy="check the study's card and `fetch`")
    if name.endswith(".h5ad"):
        whole = H5ad(path)
        return whole.rows(np.arange(len(whole.obs)))
    if name.endswith((".h5", ".hdf5")):
        return tenx.read_10x_h5(path)
    if name.endswith((".tar", ".tgz", ".zip")):
        return tenx.read_10x_tar(path, prefix=prefix)
    raise InputError(
        "unknown single-cell file format",
        where=path,
        expected=".h5 (10x), .h5ad, a folder or .tar with matrix.mtx, barcodes.tsv, features.tsv",
        remedy=RAW,
    )


def read_table(path: str | Path, metadata: pd.DataFrame, spec: Mapping[str, Any]) -> AnnData:
    """Read a text table, genes in rows and barcodes in columns, some thousand genes at a time.

    Parameters
    ----------
    metadata
        One row per barcode, text; joined to ``obs``.
    spec
        ``cells`` of the card: ``barcode_column`` of ``metadata``, and ``separator``.

    Raises
    ------
    InputError
        For a table that is not regular or holds no counts, and for barcodes without metadata.
    """
    from scipy import sparse

    path, column = Path(path), spec["barcode_column"]
    if column not in metadata:
        raise InputError(
            f"the metadata has no column '{column}'", where=path, expected=", ".join(metadata)
        )
    separator = tables.SEPARATORS[spec.get("separator", "tab")]
    barcodes = _barcodes(path, separator)
    blocks, ids = [], []
    try:
        stream = decode.opened(path.read_bytes(), str(path))
        for part in pd.read_csv(
            stream,
            sep=separator,
            header=None,
            skiprows=1,
            index_col=0,
            dtype={0: str},
            keep_default_na=False,
            chunksize=2000,
        ):
            ids += [str(name) for name in part.index]
            blocks.append(sparse.csr_matrix(part.to_numpy(dtype=np.float64)))
    except InputError:
        raise
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"not a regular table of numbers ({error})", where=path, remedy=RAW
        ) from error
    if not blocks:
        raise InputError("the table has no row", where=path, remedy=AGAIN)
    X = sparse.vstack(blocks).T.tocsr()
    if X.shape[0] == len(barcodes) - 1:
        barcodes = barcodes[1:]  # the first name is that of the genes
    if X.shape[0] != len(barcodes):
        raise InputError(
            f"rows have {X.shape[0]} counts, the header {len(barcodes)} barcodes", where=path
        )
    counts = csr(path, X.data, X.indices, X.indptr, X.shape)
    study = assemble(path, counts, barcodes, ids, ids)
    study.obs = _of_barcodes(metadata, column, barcodes, path).set_axis(study.obs_names)
    return study


def _barcodes(path: Path, separator: str) -> list[str]:
    """Return the names in the first row of a table."""
    try:
        line = decode.decoded(decode.opened(path.read_bytes(), str(path)).readline())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"damaged ({error})", where=path, remedy=AGAIN) from error
    return [cell.strip() for cell in next(tables.csv_rows([line.strip("\n")], separator, path), [])]


def _of_barcodes(
    metadata: pd.DataFrame, column: str, barcodes: list[str], path: Path
) -> pd.DataFrame:
    """Return the metadata of barcodes, in their order."""
    own = metadata[metadata[column].isin(barcodes)].drop_duplicates()
    twice = own.loc[own[column].duplicated(), column]
    if len(twice):
        raise InputError(
            f"the metadata has several rows for {len(twice)} barcodes, such as {twice.iloc[0]}",
            where=f"{path}: cells.barcode_column",
            expected="one row per barcode",
            remedy="name a column that tells the barcodes of all samples apart",
        )
    rows = own.set_index(column).reindex(barcodes)
    lost = ~pd.Index(barcodes).isin(own[column])
    if lost.any():
        raise InputError(
            f"{int(lost.sum())} of {len(barcodes)} barcodes are not in the metadata, such as "
            f"{rows.index[lost][0]}",
            where=path,
            remedy="check `cells.barcode_column`; names may differ in a suffix",
        )
    return rows


def _read_text_table(path: Path, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Read barcodes' metadata as text; a column without a name, as R's row names, is ``""``."""
    shape = tables.form(spec, "cells", text=True, row_names="")
    return tables.read(path.read_bytes(), str(path), shape)
