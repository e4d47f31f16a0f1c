"""Readers of single-cell and spot matrices: 10x ``.h5``, 10x triplets (folder or tar), ``.h5ad``.

:class:`Matrices` finds a study's samples as its card describes them. Every reader returns barcodes x features as sparse CSR with int32 counts, ``var`` indexed by
Ensembl gene id without version (or by what the file has, where it has no ids) with columns
``symbol`` and ``source_id``. Matrices that do not hold counts are refused, never rounded.
"""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from alsmuscle.cells.prepare import PreparedSample, rename_genes, split_samples
from alsmuscle.core import files
from alsmuscle.core.contracts import check_cells
from alsmuscle.core.errors import InputError
from alsmuscle.download import containers, decode, hdf5

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

GENE_EXPRESSION = "Gene Expression"
_RAW = "use the raw count matrix (10x 'filtered_feature_bc_matrix', or counts in a layer)"
_AGAIN = "fetch the file again; if it stays broken the archive's copy is broken"
# In memory; the declared size is also held against the file's own.
_MOST_BYTES = 1 << 34
_OURS = ("cell_type", "lineage", "cluster", "cell_type_score", "doublet_score", "kept")
_SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";"}
_TRIPLET = re.compile(
    r"^(?P<prefix>.*?)(?P<part>matrix\.mtx|barcodes\.tsv|(?:features|genes)\.tsv)"
)
_ENSEMBL_VERSION = re.compile(r"^(ENS[A-Z]*G\d{11})\.\d+(_PAR_Y)?$")


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
        return list(self._members if in_archive else self._whole)

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
        for name, sample in self._whole.items():
            constant = sample.obs.nunique(dropna=False) == 1
            # As objects: a category that is missing cannot be filled with text.
            row = sample.obs.loc[:, constant.to_numpy()].astype(object).iloc[0]
            rows.append({**row.fillna("").astype(str), self._spec["sample_column"]: name})
        return pd.DataFrame(rows).fillna("")

    def read(self, name: str) -> tuple[AnnData, AnnData | None]:
        """Return one sample's counts and, where the card names it, its unfiltered matrix.

        The authors' cell types, where the card names their column, are ``obs["author_type"]``; no
        other column of theirs is kept. Raises InputError as the readers do.
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
                        expected=f"the {counts.n_vars} genes of {self._path_of(entry['file']).name}",
                        remedy="take both from the same Cell Ranger run",
                    )
        elif self._spec["layout"] == "10x_h5":
            counts = read_10x_h5_in_tar(self._path_of(self._spec["file"]), self._members[name])
        elif self._spec["layout"] == "10x_triplets":
            path = self._path_of(self._spec["file"])
            counts = read_10x_tar(path, prefix=self._members[name])
        else:
            counts = self._whole.pop(name)  # released once it was handed out
        label = self._spec.get("label_column")
        kept = counts.obs[[label]].astype(str) if label in counts.obs else counts.obs[[]]
        counts.obs = kept.rename(columns={label: "author_type"})
        return counts, raw

    @cached_property
    def _members(self) -> dict[str, str]:
        """Sample → its member's name (``.h5``) or its files' prefix (triplets) in the archive."""
        path, pattern = self._path_of(self._spec["file"]), re.compile(self._spec["member"])
        triplets = self._spec["layout"] == "10x_triplets"
        found: dict[str, str] = {}
        names = _tar_names(path)
        for name in names:
            base = Path(name).name
            part = _TRIPLET.match(base) if triplets else None
            match = pattern.search(base)
            if match is None or (triplets and (part is None or part["part"] != "matrix.mtx")):
                continue
            value = part["prefix"] if part else name
            if found.setdefault(match["sample_id"], value) != value:
                raise InputError(
                    f"two matrices give sample '{match['sample_id']}': '{value}' and "
                    f"'{found[match['sample_id']]}'",
                    where=path,
                    remedy="make `cells.member` narrower",
                )
        if not found:
            raise InputError(
                "no matrix matches `cells.member`",
                where=path,
                expected=self._spec["member"],
                remedy=f"members such as {', '.join(names[:3])}",
            )
        return found

    @cached_property
    def _whole(self) -> dict[str, AnnData]:
        """Samples of the one file that holds all."""
        spec, path = self._spec, self._path_of(self._spec["file"])
        if spec["layout"] == "table":
            metadata = _read_text_table(self._path_of(spec["metadata"]), spec)
            study = read_table(path, metadata, spec)
        else:
            study = read_h5ad(path)
        try:
            return split_samples(study, spec["sample_column"])
        except InputError as error:
            raise InputError(
                error.problem,
                where=f"{path}: cells.sample_column",
                expected=error.expected,
            ) from None


def write_prepared(path: str | Path, prepared: Iterable[PreparedSample]) -> None:
    """Write samples that are not skipped, one after the other, so that one is in memory."""
    import h5py
    from anndata.io import write_elem

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
        from anndata.io import read_elem

        with h5py.File(self.path, "r") as file:
            return cast("AnnData", read_elem(file[self.group]))


def read_prepared(path: str | Path, summaries: pd.DataFrame) -> list[StoredSample]:
    """Return the samples that :func:`write_prepared` wrote; ``summaries``: contract ``cells_qc``."""
    import h5py
    from anndata.io import read_elem

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
    from anndata import AnnData
    from anndata.io import sparse_dataset, write_elem

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
    from anndata import AnnData
    from anndata.io import read_elem, sparse_dataset

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


def read_sample(path: str | Path, *, prefix: str = "") -> AnnData:
    """Read one sample by what the path is: ``.h5``, ``.h5ad``, a triplet folder or a ``.tar[.gz]``.

    ``prefix`` selects one sample's files in a folder or tar that holds several. Raises InputError
    as the readers do, and for a path that is none of these.
    """
    path = Path(path)
    name = path.name.lower()
    if path.is_dir():
        return read_10x_folder(path, prefix=prefix)
    if not path.exists():
        raise InputError("no such file", where=path, remedy="check the study's card and `fetch`")
    if name.endswith(".h5ad"):
        return read_h5ad(path)
    if name.endswith((".h5", ".hdf5")):
        return read_10x_h5(path)
    if name.endswith((".tar", ".tar.gz", ".tgz")):
        return read_10x_tar(path, prefix=prefix)
    raise InputError(
        "unknown single-cell file format",
        where=path,
        expected=".h5 (10x), .h5ad, a folder or .tar with matrix.mtx, barcodes.tsv, features.tsv",
        remedy=_RAW,
    )


def read_10x_h5(path: str | Path, *, content: IO[bytes] | None = None) -> AnnData:
    """Read a 10x Genomics ``.h5`` (Cell Ranger 2: one group per genome; 3 and later: ``matrix``).

    Features other than gene expression (antibodies, guides) are left out and counted in
    ``uns["n_other_features"]``. ``content`` is read in place of the file where it lies in an
    archive. Raises InputError for a truncated file, a missing or inconsistent part, an empty matrix, or values that are not counts.
    """
    import h5py

    path = Path(path)
    hdf5.check(content or path, where=path, max_bytes=_MOST_BYTES, kind="a 10x .h5 file")
    try:
        with h5py.File(content or path, "r") as file:
            if "matrix" in file:
                group, names = file["matrix"], ("features/id", "features/name")
                kinds = (
                    group["features/feature_type"][:] if "features/feature_type" in group else None
                )
            else:
                genomes = [k for k, v in file.items() if isinstance(v, h5py.Group) and "genes" in v]
                if len(genomes) != 1:
                    raise InputError(
                        f"found {len(genomes)} genomes {genomes}"
                        if genomes
                        else "not a 10x matrix",
                        where=path,
                        expected="a group 'matrix' (version 3) or one genome's group (version 2)",
                        remedy=_RAW,
                    )
                group, names, kinds = file[genomes[0]], ("genes", "gene_names"), None
            n_features, n_barcodes = (int(n) for n in group["shape"][:])
            parts = {k: group[k][:] for k in ("data", "indices", "indptr", "barcodes", *names)}
    except InputError:
        raise
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(
            f"cannot be read as a 10x .h5 file, truncated or incomplete ({error})",
            where=path,
            remedy=_AGAIN,
        ) from error

    ids, symbols = (hdf5.text(parts[name], path) for name in names)
    _check_sizes(path, n_barcodes, len(parts["barcodes"]), n_features, len(ids))
    if len(symbols) != len(ids):
        raise InputError(f"{len(ids)} gene ids but {len(symbols)} gene names", where=path)
    indptr, indices, data = parts["indptr"], parts["indices"], parts["data"]
    sound = len(indptr) == n_barcodes + 1 and len(indices) == len(data) == indptr[-1]
    if not sound or (len(indices) and int(indices.max()) >= n_features):
        raise InputError("index arrays and values do not fit together", where=path, remedy=_AGAIN)
    X = _csr(path, data, indices, indptr, (n_barcodes, n_features))
    keep = None if kinds is None else np.array(hdf5.text(kinds, path)) == GENE_EXPRESSION
    return _assemble(path, X, hdf5.text(parts["barcodes"], path), ids, symbols, keep=keep)


def read_10x_folder(path: str | Path, *, prefix: str = "") -> AnnData:
    """Read ``[prefix]matrix.mtx``, ``barcodes.tsv`` and ``features.tsv`` (or ``genes.tsv``).

    Files may be gzipped. Raises InputError naming the missing part, for sizes that differ, and
    for values that are not counts.
    """
    path = Path(path)
    files = {f.name: f for f in sorted(path.iterdir()) if f.is_file()}
    chosen = _choose_triplet(path, list(files), prefix)
    contents = {part: files[name].read_bytes() for part, name in chosen.items()}
    return _read_triplet(path, chosen, contents)


def read_10x_tar(path: str | Path, *, prefix: str = "") -> AnnData:
    """Read one sample's triplet from a tar (as GEO's ``_RAW.tar``), without unpacking it to disk.

    ``prefix`` is what precedes ``matrix.mtx`` in the sample's file names
    (``GSM5098789_ctrl_``). Raises InputError as :func:`read_10x_folder`.
    """
    path = Path(path)
    members = {Path(name).name: name for name in _tar_names(path)}
    chosen = _choose_triplet(path, list(members), prefix)
    contents = {}
    with tarfile.open(path) as tar:
        for part, name in chosen.items():
            stream = tar.extractfile(members[name])
            if stream is None:
                raise InputError(f"'{name}' is not a regular file", where=path)
            contents[part] = stream.read()
    return _read_triplet(path, chosen, contents)


def read_10x_h5_in_tar(path: str | Path, member: str) -> AnnData:
    """Read one sample's 10x ``.h5`` from a tar, without unpacking it to disk."""
    path = Path(path)
    with tarfile.open(path) as tar:
        stream = tar.extractfile(member)
        if stream is None:
            raise InputError(f"'{member}' is not a regular file", where=path)
        return read_10x_h5(path / member, content=io.BytesIO(stream.read()))


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
    blocks, ids, barcodes = [], [], []
    try:
        stream = decode.opened(path.read_bytes(), str(path))
        for part in pd.read_csv(
            stream, sep=_SEPARATORS[spec.get("separator", "tab")], index_col=0, chunksize=2000
        ):
            barcodes = [str(name) for name in part.columns]
            ids += [str(name) for name in part.index]
            blocks.append(sparse.csr_matrix(part.to_numpy(dtype=np.float64)))
    except InputError:
        raise
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"not a regular table of numbers ({error})", where=path, remedy=_RAW
        ) from error
    if not blocks:
        raise InputError("the table has no row", where=path, remedy=_AGAIN)
    X = sparse.vstack(blocks).T.tocsr()
    study = _assemble(path, _csr(path, X.data, X.indices, X.indptr, X.shape), barcodes, ids, ids)
    rows = metadata.drop_duplicates(column).set_index(column).reindex(barcodes)
    lost = rows.isna().all(axis=1)
    if lost.any():
        raise InputError(
            f"{int(lost.sum())} of {len(barcodes)} barcodes are not in the metadata, such as "
            f"{rows.index[lost][0]}",
            where=path,
            remedy="check `cells.barcode_column`; names may differ in a suffix",
        )
    study.obs = rows.set_axis(study.obs_names)
    return study


def _read_text_table(path: Path, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Read barcodes' metadata as text; a column without a name, as R's row names, is ``""``."""
    separator = _SEPARATORS[spec.get("separator", "tab")]
    try:
        content = io.BytesIO(decode.unpacked(path.read_bytes(), str(path)))
        table = pd.read_csv(content, sep=separator, dtype=str, keep_default_na=False)
    except InputError:
        raise
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(f"not a regular table ({error})", where=path, remedy=_AGAIN) from error
    if not isinstance(table.index, pd.RangeIndex):  # the header has no cell for the row names
        table = table.rename_axis("").reset_index()
    return table.rename(columns={"Unnamed: 0": ""})


def read_h5ad(path: str | Path) -> AnnData:
    """Read the counts of an ``.h5ad``.

    Taken from the first of ``layers['counts']``, ``raw.X`` and ``X`` that holds counts; ``obs`` is
    kept, its columns of names that we give become ``author_<name>``. Raises InputError when the file is truncated or empty, or when none of the
    three holds non-negative whole numbers, stating what they look like.
    """
    import anndata
    from scipy import sparse

    path = Path(path)
    hdf5.check(path, where=path, max_bytes=_MOST_BYTES, kind=".h5ad")
    try:
        study = anndata.read_h5ad(path)
    except Exception as error:  # the parser raises many kinds; all mean the file is at fault
        raise InputError(
            f"cannot be read as .h5ad, truncated or not AnnData ({error})",
            where=path,
            remedy=_AGAIN,
        ) from error
    candidates: dict[str, tuple[Any, pd.DataFrame]] = {}
    if "counts" in study.layers:
        candidates["layers['counts']"] = (study.layers["counts"], study.var)
    if study.raw is not None:
        candidates["raw.X"] = (study.raw.X, study.raw.var)
    if study.X is not None:
        candidates["X"] = (study.X, study.var)
    found = {}
    for name, (values, var) in candidates.items():
        X = sparse.csr_matrix(values)
        found[name] = describe_values(X)
        if found[name] == "counts":
            ids = list(var["gene_ids"]) if "gene_ids" in var else list(var.index)
            symbols = next(
                (list(var[c]) for c in ("symbol", "gene_name") if c in var), list(var.index)
            )
            counts = _csr(path, X.data, X.indices, X.indptr, X.shape)
            out = _assemble(path, counts, list(study.obs_names), ids, symbols)
            out.obs = study.obs.rename(columns={c: f"author_{c}" for c in _OURS})
            return out
    raise InputError(
        "no raw counts: " + "; ".join(f"{k} holds {v}" for k, v in found.items()),
        where=path,
        expected="whole numbers in layers['counts'], raw.X or X",
        remedy=_RAW,
    )


def describe_values(X: csr_matrix) -> str:
    """Say what kind of values a matrix holds: ``counts`` or, for a message, what else it may be.

    Judged by the stored values: whole and not negative are counts; equal row sums are a fixed-sum
    normalisation (TPM and CPM sum to a million); values below about 20 are log-transformed; the
    rest may be FPKM or corrected values.
    """
    values = np.asarray(X.data)
    if values.size == 0:
        kind = "nothing but zeros"
    elif not np.all(np.isfinite(values)):
        kind = "missing or infinite values"
    elif values.min() < 0:
        kind = "negative values (scaled or log ratios)"
    elif values.dtype.kind in "iub" or bool(np.all(values == np.rint(values))):
        kind = "counts"
    else:
        sums = np.asarray(X.sum(axis=1)).ravel()
        sums = sums[sums > 0]
        if len(sums) > 1 and sums.std() < 1e-3 * sums.mean():
            what = "TPM or CPM" if abs(sums.mean() - 1e6) < 1e4 else "normalised values"
            kind = f"{what} (every barcode sums to {sums.mean():.4g})"
        elif values.max() < 20:
            kind = f"log-normalised values (not whole numbers, maximum {values.max():.3g})"
        else:
            kind = "values that are not whole numbers (FPKM, TPM or ambient-corrected)"
    return kind


def _tar_names(path: Path) -> list[str]:
    try:
        with tarfile.open(path) as tar:
            return [m.name for m in containers.safe_members(tar) if m.isfile()]
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"not a readable tar ({error})", where=path, remedy=_AGAIN) from error


def _choose_triplet(where: Path, names: list[str], prefix: str) -> dict[str, str]:
    """Map matrix, barcodes and features to file names that start with exactly this prefix."""
    chosen: dict[str, str] = {}
    prefixes = set()
    for name in names:
        match = _TRIPLET.match(name)
        if match is None:
            continue
        prefixes.add(match["prefix"])
        if match["prefix"] == prefix:
            part = match["part"].split(".")[0]
            chosen["features" if part == "genes" else part] = name
    missing = {"matrix", "barcodes", "features"} - set(chosen)
    if missing:
        raise InputError(
            f"no {', '.join(sorted(missing))} file with prefix '{prefix}'",
            where=where,
            expected="matrix.mtx, barcodes.tsv and features.tsv (or genes.tsv), plain or gzipped",
            remedy=f"prefixes found: {', '.join(map(repr, sorted(prefixes))) or 'none'}",
        )
    return chosen


def _read_triplet(where: Path, chosen: Mapping[str, str], contents: dict[str, bytes]) -> AnnData:
    from scipy.io import mmread

    def stream(part: str) -> Any:
        return decode.opened(contents[part], str(where / chosen[part]))

    file = where / chosen["matrix"]
    try:
        barcodes = [line.decode().split("\t")[0].strip() for line in stream("barcodes")]
        rows = [line.decode().rstrip("\r\n").split("\t") for line in stream("features")]
        barcodes = [b for b in barcodes if b]
        rows = [r for r in rows if r != [""]]
        if shape := containers.announced(stream("matrix"), len(contents["matrix"]), file):
            _check_sizes(file, shape[1], len(barcodes), shape[0], len(rows))
        X = mmread(stream("matrix"), spmatrix=True)
    except InputError:
        raise
    except (OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
        raise InputError(
            f"cannot be read, truncated or not a MatrixMarket file ({error})",
            where=file,
            remedy=_AGAIN,
        ) from error
    if not hasattr(X, "tocsr"):
        raise InputError("a dense MatrixMarket array", where=file, expected="coordinate format")
    _check_sizes(file, X.shape[1], len(barcodes), X.shape[0], len(rows))
    X = X.T.tocsr()
    ids = [r[0] for r in rows]
    symbols = [r[1] if len(r) > 1 else r[0] for r in rows]
    kinds = np.array([r[2] if len(r) > 2 else GENE_EXPRESSION for r in rows])
    X = _csr(file, X.data, X.indices, X.indptr, X.shape)
    return _assemble(file, X, barcodes, ids, symbols, keep=kinds == GENE_EXPRESSION)


def _check_sizes(where: Path, n_barcodes: int, found: int, n_features: int, named: int) -> None:
    if n_barcodes != found:
        raise InputError(
            f"the matrix has {n_barcodes} barcodes but {found} are named",
            where=where,
            remedy="barcodes and matrix come from different runs: fetch them together",
        )
    if n_features != named:
        raise InputError(
            f"the matrix has {n_features} features but {named} are named",
            where=where,
            remedy="features and matrix come from different runs: fetch them together",
        )


def _csr(where: Path, data: Any, indices: Any, indptr: Any, shape: tuple[int, int]) -> csr_matrix:
    """Build an int32 CSR matrix, refusing what is empty or not counts."""
    from scipy import sparse

    if shape[0] == 0 or shape[1] == 0:
        raise InputError(
            f"the sample is empty ({shape[0]} barcodes x {shape[1]} features)",
            where=where,
            remedy="remove the sample from the study's card, with the reason",
        )
    X = sparse.csr_matrix((data, indices, indptr), shape=shape)
    kind = describe_values(X)
    if kind == "nothing but zeros":
        raise InputError("the sample is empty (no counts)", where=where, remedy=_AGAIN)
    if kind != "counts":
        raise InputError(
            f"the matrix holds {kind}", where=where, expected="raw counts", remedy=_RAW
        )
    X.sum_duplicates()
    if X.data.max() > np.iinfo(np.int32).max:
        raise InputError(
            f"a count of {X.data.max():,}: more than can be stored", where=where, remedy=_AGAIN
        )
    X.data = X.data.astype(np.int32, copy=False)
    return X


def _assemble(
    where: Path,
    X: csr_matrix,
    barcodes: list[str],
    ids: list[str],
    symbols: list[str],
    *,
    keep: np.ndarray[Any, Any] | None = None,
) -> AnnData:
    from anndata import AnnData

    if len(set(barcodes)) != len(barcodes):
        twice = pd.Series(barcodes)
        raise InputError(
            f"{int(twice.duplicated().sum())} barcodes occur twice, e.g. "
            f"{twice[twice.duplicated()].iloc[0]}",
            where=where,
            expected="unique barcodes within one sample",
            remedy="several samples were joined without a suffix: read them one by one",
        )
    index = [_ENSEMBL_VERSION.sub(r"\1\2", str(i)) for i in ids]
    var = pd.DataFrame({"symbol": symbols, "source_id": ids}, index=pd.Index(index, name="gene_id"))
    n_other = 0
    if keep is not None and not keep.all():
        n_other = int((~keep).sum())
        X, var = X[:, keep], var[keep]
        if X.shape[1] == 0:
            raise InputError("no gene-expression features", where=where, remedy=_RAW)
    obs = pd.DataFrame(index=pd.Index(barcodes, name="barcode"))
    plain = AnnData(X, obs=obs, var=var.set_axis(pd.RangeIndex(len(var)).astype(str)))
    out = rename_genes(plain, var.rename_axis("gene_id").reset_index())
    out.uns["n_other_features"] = n_other
    return out
