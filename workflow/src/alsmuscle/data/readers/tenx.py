"""10x Genomics' matrices: ``.h5``, and triplets of matrix, barcodes and features; in archives, too.

What a file is, and how it is packed, is judged by its first bytes, not by its name.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import members, tables
from alsmuscle.data.readers.sparse_counts import (
    AGAIN,
    RAW,
    assemble,
    check_sizes,
    csr,
    require_counts,
)
from alsmuscle.download import containers, decode, hdf5
from alsmuscle.download.decode import some

if TYPE_CHECKING:
    from anndata import AnnData

# In memory; the declared size is also held against the file's own.
MOST_BYTES = 1 << 34
# As 10x's programs, STARsolo and kb-python (cells_x_genes.mtx, .barcodes.txt, .genes.txt) name
# them.
_TRIPLET = re.compile(
    r"(?i)(?P<prefix>.*?)(?P<part>(?:matrix\.)?mtx|(?:barcodes|features|genes)\.(?:tsv|txt|csv))[^/]*"
)
_BARCODE = re.compile(r"[ACGTN]{8,}")
_HEADER = re.compile(r"(?i)(x|v1|\W*|.*(gene|feature|symbol|ensembl|name|\bid).*)$")


def part_of(name: str) -> tuple[str, str] | None:
    """Return what precedes a part's name and which part it is; None for other files.

    Examples
    --------
    >>> part_of("GSM1_genes.tsv.gz")
    ('GSM1_', 'features')
    """
    found = _TRIPLET.fullmatch(name)
    if found is None:
        return None
    part = found["part"].lower().split(".")[0]
    return found["prefix"], {"mtx": "matrix", "genes": "features"}.get(part, part)


def read_10x_h5(path: str | Path, *, content: IO[bytes] | None = None) -> AnnData:
    """Read a 10x Genomics ``.h5`` (Cell Ranger 2: one group per genome; 3 and later: ``matrix``).

    Features other than gene expression (antibodies, guides) are left out and counted in
    ``uns["n_other_features"]``. ``content`` is read in place of the file where it lies in an
    archive. Raises InputError for a truncated file, a missing or inconsistent part, an empty
    matrix, or values that are not counts.
    """
    path = Path(path)
    if content is not None:
        return _read_h5(path, content)
    with decode.unpacked_file(path) as plain:
        return _read_h5(path, plain)


def _read_h5(path: Path, source: Path | IO[bytes]) -> AnnData:
    import h5py

    hdf5.check(source, where=path, max_bytes=MOST_BYTES, kind="a 10x .h5 file")
    try:
        with h5py.File(source, "r") as file:
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
                        remedy=RAW,
                    )
                group, names, kinds = file[genomes[0]], ("genes", "gene_names"), None
            n_features, n_barcodes = (int(n) for n in group["shape"][:])
            parts = {k: group[k][:] for k in ("data", "indices", "indptr", "barcodes", *names)}
    except InputError:
        raise
    # What is a scalar, a group or empty where a list should be raises the latter two.
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise InputError(
            f"cannot be read as a 10x .h5 file, truncated or incomplete ({error})",
            where=path,
            remedy=AGAIN,
        ) from error

    ids, symbols = (hdf5.text(parts[name], path) for name in names)
    check_sizes(path, n_barcodes, len(parts["barcodes"]), n_features, len(ids))
    if len(symbols) != len(ids):
        raise InputError(f"{len(ids)} gene ids but {len(symbols)} gene names", where=path)
    indptr, indices, data = parts["indptr"], parts["indices"], parts["data"]
    sound = len(indptr) == n_barcodes + 1 and len(indices) == len(data) == indptr[-1]
    if not sound or (len(indices) and int(indices.max()) >= n_features):
        raise InputError("index arrays and values do not fit together", where=path, remedy=AGAIN)
    X = csr(path, data, indices, indptr, (n_barcodes, n_features))
    named = None if kinds is None else hdf5.text(kinds, path)
    return assemble(path, X, hdf5.text(parts["barcodes"], path), ids, symbols, kinds=named)


def read_10x_folder(path: str | Path, *, prefix: str = "") -> AnnData:
    """Read ``[prefix]matrix.mtx``, ``barcodes.tsv`` and ``features.tsv`` (or ``genes.tsv``).

    Files may be packed. Raises InputError naming the missing part, for sizes that differ, and
    for values that are not counts.
    """
    path = Path(path)
    files = {f.name: f for f in sorted(path.iterdir()) if f.is_file()}
    chosen = _choose(path, [name for name in files if not decode.is_clutter(name)], prefix)
    contents = {part: files[name].read_bytes() for part, name in chosen.items()}
    return _read_triplet(path, chosen, contents)


def read_10x_tar(path: str | Path, *, prefix: str = "") -> AnnData:
    """Read one sample's triplet from an archive (as GEO's ``_RAW.tar``), in memory.

    ``prefix`` is what precedes ``matrix.mtx`` in the sample's file names
    (``GSM5098789_ctrl_``), with or without their folder. Raises InputError as
    :func:`read_10x_folder`.
    """
    path = Path(path)
    chosen = _choose(path, members.names(path), prefix)
    found = dict(members.each(path, set(chosen.values())))
    return _read_triplet(path, chosen, {part: found[name] for part, name in chosen.items()})


def read_10x_h5_in_tar(path: str | Path, member: str) -> AnnData:
    """Read one sample's 10x ``.h5`` from an archive, in memory."""
    path = Path(path)
    for name, content in members.each(path, {member}):
        where = path / name
        return read_10x_h5(where, content=io.BytesIO(decode.unpacked(content, str(where))))
    raise InputError(f"no member '{member}'", where=path)


def _choose(where: Path, names: Iterable[str], prefix: str) -> dict[str, str]:
    """Map matrix, barcodes and features to the names that start with exactly this prefix."""
    found = [(*part, name) for name in names if (part := part_of(name))]
    prefixes = {start for start, _, _ in found}
    wanted = {prefix} & prefixes or {p for p in prefixes if p.rpartition("/")[2] == prefix}
    if len(wanted) > 1:
        raise InputError(
            f"files with prefix '{prefix}' lie in {len(wanted)} folders",
            where=where,
            remedy=f"give the folder, too: {some(sorted(wanted), 5)}",
        )
    chosen = {part: name for start, part, name in found if start in wanted}
    missing = {"matrix", "barcodes", "features"} - set(chosen)
    if missing:
        raise InputError(
            f"no {', '.join(sorted(missing))} file with prefix '{prefix}'",
            where=where,
            expected="matrix.mtx, barcodes.tsv and features.tsv (or genes.tsv), plain or packed",
            remedy=f"prefixes found: {', '.join(map(repr, sorted(prefixes))) or 'none'}",
        )
    return chosen


def _read_triplet(where: Path, chosen: Mapping[str, str], contents: Mapping[str, bytes]) -> AnnData:
    from scipy.io import mmread

    def stream(part: str) -> Any:
        return decode.opened(contents[part], str(where / chosen[part]))

    file = where / chosen["matrix"]
    try:
        barcodes = _names(contents["barcodes"], where / chosen["barcodes"])
        rows = _names(contents["features"], where / chosen["features"])
        announced = containers.announced(stream("matrix"), len(contents["matrix"]), file)
        if announced:
            barcodes, rows = _fitting(file, announced, barcodes, rows)
        X = mmread(stream("matrix"), spmatrix=True)
    except InputError:
        raise
    except (OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
        raise InputError(
            f"cannot be read, truncated or not a MatrixMarket file ({error})",
            where=file,
            remedy=AGAIN,
        ) from error
    if not hasattr(X, "tocsr"):
        raise InputError("a dense MatrixMarket array", where=file, expected="coordinate format")
    require_counts(file, X)  # before entries of one place are added
    turned = X.shape != (len(rows), len(barcodes)) and X.shape == (len(barcodes), len(rows))
    X = X.tocsr() if turned else X.T.tocsr()  # some programs write barcodes in rows
    check_sizes(file, X.shape[0], len(barcodes), X.shape[1], len(rows))
    X = csr(file, X.data, X.indices, X.indptr, X.shape)
    ids = [row[0] for row in rows]
    symbols = [row[1] if len(row) > 1 else row[0] for row in rows]
    kinds = [row[2] if len(row) > 2 else "" for row in rows]
    return assemble(file, X, [row[0] for row in barcodes], ids, symbols, kinds=kinds)


def _names(content: bytes, where: Path) -> list[list[str]]:
    """Return the fields of the lines of barcodes or features.

    People export them by hand, with quotes, commas, and the rows' numbers before them.
    """
    text = decode.decoded(decode.unpacked(content, str(where)))
    lines = [line for line in decode.lines_of(text) if line.strip()]
    if not lines:
        return []
    last = lines[-1]
    separator = next((s for s in "\t," if s in last), " " if '"' in last else "\t")
    rows = [[cell.strip() for cell in row] for row in tables.csv_rows(lines, separator, where)]
    for start in (0, 1):  # below a header, too
        numbers = [row[0] for row in rows[start:]]
        if len(numbers) > 1 and numbers == [str(n + 1) for n in range(len(numbers))]:
            return rows[:start] + [row[1:] or row for row in rows[start:]]
    return rows


def _fitting(
    where: Path, shape: tuple[int, int], barcodes: list[list[str]], rows: list[list[str]]
) -> tuple[list[list[str]], list[list[str]]]:
    """Return names without a header: a line too many that is unlike the others."""
    if len(barcodes) in (shape[1] + 1, shape[0] + 1) and not _BARCODE.search(barcodes[0][0]):
        barcodes = barcodes[1:]
    if len(rows) in (shape[0] + 1, shape[1] + 1) and _HEADER.match(rows[0][0]):
        rows = rows[1:]
    if shape != (len(barcodes), len(rows)):
        check_sizes(where, shape[1], len(barcodes), shape[0], len(rows))
    return barcodes, rows
