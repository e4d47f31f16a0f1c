"""HDF5 that points elsewhere, lies about its size, or is no sparse matrix; each file built here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from alsmuscle.core.errors import InputError
from alsmuscle.download import hdf5

LIMIT = 1 << 24
COUNTS = sparse.csc_matrix(np.array([[0, 3, 0, 1], [2, 0, 0, 0], [0, 0, 5, 7]]).T)


def build(path: Path, **change: object) -> Path:
    """Write a sound 10x file of three barcodes and four genes, with parts of it replaced."""
    parts: dict[str, object] = {
        "data": COUNTS.data,
        "indices": COUNTS.indices,
        "indptr": COUNTS.indptr,
        "shape": np.array(COUNTS.shape),
        "barcodes": np.array(["AAA-1", "CCC-1", "GGG-1"], dtype="S"),
    }
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name, value in (parts | change).items():
            if value is not None:
                group[name] = value
    return path


def refused(path: Path, words: str) -> None:
    with pytest.raises(InputError, match=words):
        hdf5.check(path, where=path, max_bytes=LIMIT)


def test_sound_files_pass(tmp_path: Path) -> None:
    hdf5.check(build(tmp_path / "a.h5"), where="a", max_bytes=LIMIT)
    for number, X in enumerate((COUNTS.T.tocsr(), COUNTS.T.tocsc(), COUNTS.T.toarray())):
        path = tmp_path / f"{number}.h5ad"
        AnnData(X.astype("float32"), layers={"counts": X}).write_h5ad(path, compression="gzip")
        hdf5.check(path, where=path, max_bytes=LIMIT)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"indptr": np.array([1, 2, 3, 5])}, "do not rise from 0"),
        ({"indptr": np.array([0, 3, 1, 5])}, "do not rise from 0"),
        ({"indptr": np.array([0, -1, 1, 5])}, "do not rise from 0"),
        ({"indptr": np.array([0, 1, 2, 9])}, "pointers up to 9"),
        ({"indptr": np.array([0, 1, 5])}, "the shape says 3"),
        ({"indptr": np.array([], dtype="i8")}, "do not rise from 0"),
        ({"indptr": np.array([0, 2, 3, 2**64 - 1], dtype="u8")}, "beyond any size"),
        ({"indptr": np.array([0.0, 2, 3, 5])}, "not a list of whole numbers"),
        ({"indptr": np.zeros((2, 2), dtype="i8")}, "not a list of whole numbers"),
        ({"indices": np.array([0, 1, 2, 3, 4])}, "an index outside 0..3"),
        ({"indices": np.array([0, 1, 2, 3, -1])}, "an index outside 0..3"),
        ({"indices": np.array([0, 1])}, "not a sparse matrix: 2 indices"),
        ({"data": np.array([1, 2])}, "not a sparse matrix: 5 indices, 2 values"),
        ({"data": np.array([b"x"] * 5)}, "not a list of numbers"),
        ({"data": np.ones(5, dtype="c16")}, "complex numbers"),
        ({"shape": np.array([4, 3, 2])}, "no two whole numbers"),
        ({"shape": np.array([4, -3])}, "no two whole numbers"),
        ({"shape": np.array([4, 9])}, "the shape says 9"),
        ({"shape": None}, "without a shape"),
    ],
)
def test_what_is_no_sparse_matrix(tmp_path: Path, change: dict[str, object], words: str) -> None:
    refused(build(tmp_path / "a.h5", **change), words)


def external(file: h5py.File, secret: Path) -> None:
    del file["matrix/barcodes"]
    file["matrix"].create_dataset(
        "barcodes", (1,), dtype="S16", external=[(str(secret), 0, h5py.h5f.UNLIMITED)]
    )


def external_link(file: h5py.File, secret: Path) -> None:
    file["matrix/other"] = h5py.ExternalLink(str(secret), "/")


def behind_a_soft_link(file: h5py.File, secret: Path) -> None:
    file["a"] = h5py.SoftLink("/matrix/z/x")
    external_link(file, secret)
    file["matrix"].move("other", "z")


def virtual(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout(shape=(5,), dtype="i8")
    layout[:] = h5py.VirtualSource(str(secret), "x", shape=(5,))
    file["matrix"].create_virtual_dataset("v", layout)


def unwritten(file: h5py.File, _: Path) -> None:
    file.create_dataset("x", (2 * 10**12,), dtype="f8", chunks=(1 << 20,), compression="gzip")


def too_large(file: h5py.File, _: Path) -> None:
    # Written, and packed a thousandfold.
    data = file.create_dataset("x", (1 << 25,), dtype="u1", chunks=(1 << 22,), compression="gzip")
    for start in range(0, 1 << 25, 1 << 22):
        data[start : start + (1 << 22)] = 1


def deep(file: h5py.File, _: Path) -> None:
    file.create_group("/".join(["g"] * 40))


def long_name(file: h5py.File, _: Path) -> None:
    file.create_group("g" * 5000)


def plug_in(file: h5py.File, _: Path) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((4,))
    plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple((8,))
    h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_INT32, space, plist)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (external, "external storage"),
        (external_link, "a link into another file"),
        (behind_a_soft_link, "a link into another file"),
        (virtual, "a virtual dataset"),
        (unwritten, "declares 16,000,000,000,000 bytes and stores 0"),
        (too_large, "bytes and more in memory"),
        (deep, "groups more than 32 deep"),
        (long_name, "a name of 5,000 characters"),
        (plug_in, "packed by filter 32015"),
    ],
)
def test_what_reaches_outside_or_does_not_fit(
    tmp_path: Path, harm: Callable[[h5py.File, Path], None], words: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"the key of this machine")
    path = build(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        harm(file, secret)
    refused(path, words)


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    path = build(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["matrix/again"] = file["/"]
        file["matrix/nowhere"] = h5py.SoftLink("/nowhere")
        file["matrix/round"] = h5py.SoftLink("/matrix")
    hdf5.check(path, where=path, max_bytes=LIMIT)


def test_text_that_is_not_utf8() -> None:
    assert hdf5.text([b"a", "b"], "x") == ["a", "b"]
    with pytest.raises(InputError, match="not UTF-8"):
        hdf5.text([b"a\xff"], "x")


def test_damaged_bytes_are_an_input_error_or_sound(tmp_path: Path) -> None:
    """200 copies with a few bytes overwritten: the walk says so, or finds nothing;
    it never dies.
    """
    sound = build(tmp_path / "a.h5").read_bytes()
    rng = np.random.default_rng(1)
    path, n_refused = tmp_path / "b.h5", 0
    for _ in range(200):
        content = bytearray(sound)
        for place in rng.integers(0, len(content), 8):
            content[place] = int(rng.integers(0, 256))
        path.write_bytes(content)
        try:
            hdf5.check(path, where=path, max_bytes=LIMIT)
        except InputError:
            n_refused += 1
    assert n_refused > 0
