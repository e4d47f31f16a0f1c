"""HDF5 from outside is walked before it is read: nothing points elsewhere, all that is declared
fits.

An HDF5 file can name other files as storage of its datasets (the process's environment, a key), can
declare petabytes that it never wrote, and its sparse matrices can hold pointers that make compiled
code read memory that is not theirs. The walk looks at declarations only, and then at the pointers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    import h5py

MAX_OBJECTS = 100_000
MAX_DEPTH = 32
MAX_NAME = 1000
# A deflate stream cannot shrink further than this (zlib's technical details: 1032 : 1).
MAX_RATIO = 1032
# What may be declared and never written: fill values of small datasets.
FREE_BYTES = 1 << 20
# A block is unpacked as a whole, and may be larger than what has been written into it so far.
FREE_CHUNK = 1 << 26
# Entries of a matrix that are read at once, here and where samples are taken from a file of many:
# 32 to 64 MB of a sparse matrix, and several of HDF5's own blocks.
BLOCK = 1 << 22
_AGAIN = "fetch the file again; if it stays so, the archive's copy is broken or means harm"


def check(
    source: str | Path | IO[bytes], *, where: str | Path, max_bytes: int, kind: str = "HDF5"
) -> None:
    """Walk a file and refuse what reaches outside it, does not fit, or is no sound sparse matrix.

    Parameters
    ----------
    source
        Path or binary stream.
    where
        Named in errors.
    max_bytes
        Most that one file's datasets may come to in memory.
    kind
        What the file should be, for the message about one that is no HDF5.

    Raises
    ------
    InputError
        External storage or links, virtual datasets, user-defined links or types; more objects or
        deeper groups than any study has; declared sizes that the file cannot hold or the memory
        cannot; sparse matrices whose ``indptr`` or ``indices`` do not describe one.
    """
    import h5py

    try:
        with h5py.File(source, "r") as file:
            size = int(file.id.get_filesize())
            total = 0
            sparse: list[h5py.Group] = []
            for name, item in _objects(file, where):
                if isinstance(item, h5py.Group):
                    if {"data", "indices", "indptr"} <= set(item):
                        sparse.append(item)
                    continue
                total += _check_dataset(item, _at(where, name), size)
                if total > max_bytes:
                    raise InputError(
                        f"its datasets come to {total:,} bytes and more in memory",
                        where=where,
                        expected=f"at most {max_bytes:,} bytes",
                        remedy="give the job more memory, or leave the study out",
                    )
            for group in sparse:
                _check_sparse(group, _at(where, group.name))
    except InputError:
        raise
    # The library raises many kinds for damaged bytes; all mean that the file is at fault.
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(
            f"cannot be read as {kind}, truncated or damaged ({type(error).__name__}: {error})",
            where=where,
            remedy=_AGAIN,
        ) from error


def _at(where: str | Path, name: str) -> str:
    """Name an object in the file; without its first slash, it is no path of this machine."""
    return f"{where}: {name.lstrip('/') or 'its root'}"


def _objects(file: h5py.File, where: str | Path) -> Iterator[tuple[str, Any]]:
    """Yield every object once, however many names lead to it; without following outside links."""
    import h5py

    seen: set[Any] = set()
    waiting: list[tuple[str, Any, int]] = [("/", file["/"], 0)]
    count = 0
    while waiting:
        name, item, depth = waiting.pop()
        info = h5py.h5o.get_info(item.id)
        if (key := (info.fileno, info.addr)) in seen:
            continue
        seen.add(key)
        if isinstance(item, h5py.Datatype):
            continue
        _check_attributes(item, _at(where, name))
        yield name, item
        if not isinstance(item, h5py.Group):
            continue
        if depth >= MAX_DEPTH:
            raise InputError(f"groups more than {MAX_DEPTH} deep", where=_at(where, name[:200]))
        for child in item:
            count += 1
            if count > MAX_OBJECTS:
                raise InputError(f"more than {MAX_OBJECTS:,} objects", where=where)
            path = f"{name.rstrip('/')}/{child}"
            if len(child) > MAX_NAME:
                raise InputError(
                    f"a name of {len(child):,} characters", where=_at(where, path[:200])
                )
            link = item.get(child, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise InputError(
                    "a link into another file is refused",
                    where=_at(where, path),
                    expected="a file that holds its own data",
                    remedy=_AGAIN,
                )
            if isinstance(link, h5py.SoftLink):
                # Its goal has a name of its own, or lies behind a link that is refused there; to
                # follow it here could open another file before that one was seen.
                continue
            found = item.get(child)
            if found is None:
                raise InputError("a link of an unknown kind", where=_at(where, path), remedy=_AGAIN)
            waiting.append((path, found, depth + 1))


def _check_attributes(item: Any, where: str) -> None:
    """Object to attributes that are larger than any description of data."""
    if len(item.attrs) > 10_000:
        raise InputError(f"{len(item.attrs):,} attributes", where=where, remedy=_AGAIN)
    for name in item.attrs:
        space = item.attrs.get_id(name).shape
        if np.prod([float(n) for n in space]) > 10_000_000:
            raise InputError(
                f"attribute '{name[:80]}' is larger than any description of data",
                where=where,
                remedy=_AGAIN,
            )


def _check_dataset(item: h5py.Dataset, where: str, file_size: int) -> int:
    """Return the bytes that a dataset takes in memory;
    refuse storage elsewhere and sizes that lie.
    """
    import h5py

    plist = item.id.get_create_plist()
    if plist.get_external_count() > 0:
        raise InputError(
            "its storage lies in another file (external storage): refused",
            where=where,
            expected="a file that holds its own data",
            remedy=_AGAIN,
        )
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        raise InputError(
            "a virtual dataset, which lies in other files: refused",
            where=where,
            expected="a file that holds its own data",
            remedy=_AGAIN,
        )
    known = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
    known |= {h5py.h5z.FILTER_SZIP, h5py.h5z.FILTER_NBIT, h5py.h5z.FILTER_SCALEOFFSET, 32000}
    for number in range(plist.get_nfilters()):
        if (code := plist.get_filter(number)[0]) not in known:
            raise InputError(
                f"packed by filter {code}, which only a plug-in reads",
                where=where,
                expected="deflate, LZF or no compression",
                remedy="ask the authors for a file without plug-in filters",
            )
    if item.dtype.kind == "c":
        raise InputError("complex numbers", where=where, expected="counts", remedy=_AGAIN)
    if item.shape is None:
        return 0
    declared = int(item.dtype.itemsize)
    for length in item.shape:
        declared *= int(length)
    stored = int(item.id.get_storage_size())
    if stored > file_size or declared > FREE_BYTES + stored * MAX_RATIO:
        raise InputError(
            f"declares {declared:,} bytes and stores {stored:,}",
            where=where,
            expected="data that were written",
            remedy=_AGAIN,
        )
    chunk = int(item.dtype.itemsize)
    for length in item.chunks or ():
        chunk *= int(length)
    if chunk > FREE_CHUNK + declared:
        raise InputError(
            f"blocks of {chunk:,} bytes for {declared:,} bytes of data", where=where, remedy=_AGAIN
        )
    return max(declared, chunk)


def _check_sparse(group: h5py.Group, where: str) -> None:
    """Check that ``data``, ``indices`` and ``indptr`` describe a sparse matrix of their shape."""
    data, indices, indptr = (group[name] for name in ("data", "indices", "indptr"))
    for name, part in (("indices", indices), ("indptr", indptr)):
        if getattr(part, "ndim", 0) != 1 or part.dtype.kind not in "iu":
            raise InputError("not a list of whole numbers", where=f"{where}/{name}", remedy=_AGAIN)
    if getattr(data, "ndim", 0) != 1 or data.dtype.kind not in "iufb":
        raise InputError("not a list of numbers", where=f"{where}/data", remedy=_AGAIN)
    pointers = indptr[:]
    if pointers.dtype.kind == "u":
        if pointers.size and int(pointers.max()) > np.iinfo(np.int64).max:
            raise InputError("pointers beyond any size", where=f"{where}/indptr", remedy=_AGAIN)
        pointers = pointers.astype(np.int64)
    if pointers.size == 0 or pointers[0] != 0 or bool((pointers[1:] < pointers[:-1]).any()):
        raise InputError(
            "not a sparse matrix: its pointers do not rise from 0",
            where=f"{where}/indptr",
            remedy=_AGAIN,
        )
    if not pointers[-1] == indices.shape[0] == data.shape[0]:
        raise InputError(
            f"not a sparse matrix: {indices.shape[0]:,} indices, {data.shape[0]:,} values, and "
            f"pointers up to {int(pointers[-1]):,}",
            where=where,
            remedy=_AGAIN,
        )
    across = _across(group, len(pointers) - 1, where)
    for start in range(0, indices.shape[0], BLOCK):
        block = indices[start : start + BLOCK]
        if block.size and (int(block.min()) < 0 or int(block.max()) >= across):
            raise InputError(
                f"not a sparse matrix: an index outside 0..{across - 1:,}",
                where=f"{where}/indices",
                remedy=_AGAIN,
            )


def _across(group: h5py.Group, n_pointers: int, where: str) -> int:
    """Return how many values an index may take; the shape must agree with the pointers."""
    if "shape" in group:  # 10x: features x barcodes, by barcode
        shape, major = group["shape"][:], 1
    elif "shape" in group.attrs or "h5sparse_shape" in group.attrs:  # AnnData
        shape = np.asarray(group.attrs.get("shape", group.attrs.get("h5sparse_shape")))
        kind = group.attrs.get("encoding-type", group.attrs.get("h5sparse_format", "csr_matrix"))
        kind = kind.decode("utf-8", "replace") if isinstance(kind, bytes) else str(kind)
        major = 1 if kind.startswith("csc") else 0
    else:
        raise InputError("a sparse matrix without a shape", where=where, remedy=_AGAIN)
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or int(shape.min()) < 0:
        raise InputError("a shape that is no two whole numbers", where=where, remedy=_AGAIN)
    if int(shape[major]) != n_pointers:
        raise InputError(
            f"the shape says {int(shape[major]):,}, the pointers {n_pointers:,}",
            where=where,
            remedy=_AGAIN,
        )
    return int(shape[1 - major])


def text(values: Any, where: str | Path) -> list[str]:
    """Decode the text of a dataset.

    Raises
    ------
    InputError
        It is no list of text, or not UTF-8.
    """
    if getattr(values, "ndim", 1) != 1 or not all(isinstance(v, bytes | str) for v in values):
        raise InputError("not a list of text", where=where, remedy=_AGAIN)
    try:
        return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    except UnicodeDecodeError as error:
        raise InputError(
            f"text that is not UTF-8 ({error.object[:40]!r})", where=where, remedy=_AGAIN
        ) from None
