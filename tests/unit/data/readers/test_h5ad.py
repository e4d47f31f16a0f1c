"""An .h5ad of all samples: each comes out as it went in, and no more is read than that takes."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import h5ad
from alsmuscle.data.readers.single_cell import Matrices, read_sample
from alsmuscle.download import hdf5

GENES = [f"ENSG{i:011d}" for i in range(30)]
NAMES = ["a", "b", "c"]
FORMS: dict[str, Callable[[Any], Any]] = {
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "dense": lambda X: X,
}
ORDERS = {"contiguous": np.repeat(NAMES, 20), "scattered": np.tile(NAMES, 20)}
SPEC = {"layout": "h5ad", "material": "nuclei", "file": "x", "sample_column": "sample"}


def counts(n: int = 60) -> np.ndarray:
    """Barcodes × genes; some barcodes have no count, one has many genes."""
    X = np.random.default_rng(3).poisson(0.3, (n, len(GENES)))
    X[[0, 7, 8, n - 1]] = 0
    X[11] = 9
    return X


def write(path: Path, form: str, place: str, sample: np.ndarray, X: np.ndarray) -> Path:
    """Write counts in one of the three places; what is before it holds none."""
    obs = pd.DataFrame({"sample": sample, "author": "x"}, index=[f"B{i}" for i in range(len(X))])
    var = pd.DataFrame({"gene_ids": GENES}, index=[f"G{i}" for i in range(len(GENES))])
    held, other = FORMS[form](X.astype(np.float32)), FORMS[form](np.log1p(np.abs(X)))
    study = AnnData(held if place == "X" else other, obs=obs, var=var)
    study.layers["spliced"] = other
    if place == "layer":
        study.layers["counts"] = held
    if place == "raw":
        study.layers["counts"] = other
        # A sample's genes are those of the place where its counts are.
        study = study[:, :20].copy()
        study.raw = AnnData(held, obs=obs, var=var)
    study.write_h5ad(path, compression="gzip")
    return path


def check(found: AnnData, X: np.ndarray, names: list[str]) -> None:
    expected = sparse.csr_matrix(X.astype(np.int32))
    assert found.X.format == "csr" and found.X.has_canonical_format
    for part in ("data", "indices", "indptr"):
        got, wanted = getattr(found.X, part), getattr(expected, part)
        assert got.dtype == np.int32 and got.tobytes() == wanted.tobytes(), part
    assert list(found.obs_names) == names
    assert list(found.var_names) == GENES
    assert dict(found.uns) == {"n_other_features": 0, "n_summed_features": 0}


@pytest.mark.parametrize("block", [25, hdf5.BLOCK])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("place", ["layer", "raw", "X"])
@pytest.mark.parametrize("form", FORMS)
def test_every_sample_of_every_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, place: str, order: str, block: int
) -> None:
    monkeypatch.setattr(hdf5, "BLOCK", block)
    monkeypatch.setattr(h5ad, "HELD", 16 if block == hdf5.BLOCK else 0)
    X, sample = counts(), ORDERS[order]
    path = write(tmp_path / "s.h5ad", form, place, sample, X)
    matrices = Matrices(SPEC | {"label_column": "author"}, lambda _: path)
    assert matrices.names == NAMES
    assert list(matrices.sheet()["author"]) == ["x"] * 3
    for name in NAMES:
        own = np.flatnonzero(sample == name)
        found, raw = matrices.read(name)
        check(found, X[own], [f"B{i}" for i in own])
        assert raw is None and list(found.obs["author_type"]) == ["x"] * 20
    check(read_sample(path), X, [f"B{i}" for i in range(60)])


def test_a_packed_file_with_nothing_for_x(tmp_path: Path) -> None:
    X, sample = counts(), ORDERS["scattered"]
    path = write(tmp_path / "s.h5ad", "csr", "raw", sample, X)
    with h5py.File(path, "r+") as file:
        del file["X"], file["layers/counts"]
        file["X"] = h5py.Empty("f4")
        file["X"].attrs.update({"encoding-type": "null", "encoding-version": "0.1.0"})
    (tmp_path / "s.h5ad.gz").write_bytes(gzip.compress(path.read_bytes()))
    matrices = Matrices(SPEC, lambda _: tmp_path / "s.h5ad.gz")
    for name in NAMES:
        own = np.flatnonzero(sample == name)
        check(matrices.read(name)[0], X[own], [f"B{i}" for i in own])


def test_a_file_of_an_old_anndata(tmp_path: Path) -> None:
    """Before 0.7, obs and var were tables of one type, and what is sparse was named otherwise."""
    X, path = counts(), tmp_path / "s.h5ad"
    sample = ORDERS["scattered"].astype("S")
    held = sparse.csr_matrix(X.astype(np.float32))
    obs = np.array(
        [(f"B{i}".encode(), name) for i, name in enumerate(sample)],
        dtype=[("index", "S4"), ("sample", "S1")],
    )
    with h5py.File(path, "w") as file:
        file["obs"] = obs
        file["var"] = np.array([(gene.encode(),) for gene in GENES], dtype=[("index", "S15")])
        group = file.create_group("X")
        group.attrs.update({"h5sparse_format": "csr", "h5sparse_shape": X.shape})
        for part in ("data", "indices", "indptr"):
            group[part] = getattr(held, part)
    matrices = Matrices(SPEC, lambda _: path)
    for name in NAMES:
        own = np.flatnonzero(ORDERS["scattered"] == name)
        found, _ = matrices.read(name)
        check(found, X[own], [f"B{i}" for i in own])


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_entries_of_one_place_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(hdf5, "BLOCK", 4)
    X, sample = counts(), ORDERS["scattered"]
    path = write(tmp_path / "s.h5ad", form, "X", sample, X)
    held = FORMS[form](X)
    data, indices = (np.repeat(part, 2) for part in (held.data, held.indices))
    for low, high in zip(2 * held.indptr, 2 * held.indptr[1:], strict=False):
        data[low:high], indices[low:high] = data[low:high][::-1], indices[low:high][::-1]
    with h5py.File(path, "r+") as file:
        for part, values in {
            "data": (100 * data).astype(np.uint16),
            "indices": indices,
            "indptr": 2 * held.indptr,
        }.items():
            del file[f"X/{part}"]
            file[f"X/{part}"] = values
    matrices = Matrices(SPEC, lambda _: path)
    for name in NAMES:
        own = np.flatnonzero(sample == name)
        found, _ = matrices.read(name)
        check(found, 200 * X[own], [f"B{i}" for i in own])


VALUES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "TPM": (lambda X: X / X.sum(axis=1, keepdims=True).clip(1) * 1e6, "TPM or CPM"),
    "logarithms": (np.log1p, "log-normalised"),
    "corrected": (lambda X: X * 31.7, "FPKM"),
    "one of the last": (lambda X: np.where(np.arange(60)[:, None] == 58, X * 25.5, X), "FPKM"),
    "negative and missing": (
        lambda X: np.where(X == 9, np.nan, X - 1.0),
        "missing or infinite values",
    ),
    "negative at the end": (
        lambda X: np.where(np.arange(60)[:, None] == 58, -1.0, X),
        "negative values",
    ),
    "ones": (lambda X: np.ones((60, 30)), "the same value, 1, wherever"),
    "none": (lambda X: np.zeros((60, 30)), "nothing but zeros"),
    "more than fits": (lambda X: np.where(X == 9, 2.0**31, X), "more than can be stored"),
}


@pytest.mark.parametrize("case", VALUES)
@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_count_is_found_in_any_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, case: str
) -> None:
    monkeypatch.setattr(hdf5, "BLOCK", 40)
    change, words = VALUES[case]
    X = change(counts().astype(float))
    path = write(tmp_path / "s.h5ad", form, "X", ORDERS["contiguous"], X)
    with pytest.raises(InputError, match=words):
        Matrices(SPEC, lambda _: path).read("a")


@pytest.mark.parametrize(("part", "n"), [("obs", 59), ("var", 29)])
def test_names_must_fit_the_matrix(tmp_path: Path, part: str, n: int) -> None:
    path = write(tmp_path / "s.h5ad", "csr", "X", ORDERS["contiguous"], counts())
    with h5py.File(path, "r+") as file:
        for name in list(file[part]):
            stored = file[part][name]
            at = stored["codes"] if isinstance(stored, h5py.Group) else stored
            values, attrs, where = at[:n], dict(at.attrs), at.name
            del file[where]
            file[where] = values
            file[where].attrs.update(attrs)
    with pytest.raises(InputError, match=r"cannot be read as \.h5ad.*X is \(60, 30\)"):
        Matrices(SPEC, lambda _: path).read("a")


@pytest.fixture
def read_at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of values that were read of a matrix, one for each time it was read from."""
    seen: list[int] = []
    plain = h5py.Dataset.__getitem__

    def spied(self: h5py.Dataset, *args: Any, **options: Any) -> Any:
        values = plain(self, *args, **options)
        if self.name.endswith(("/data", "/indices")) or self.name == "/X":
            seen.append(int(np.size(values)))
        return values

    monkeypatch.setattr(h5py.Dataset, "__getitem__", spied)
    return seen


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", ORDERS)
def test_a_block_at_most_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_at_once: list[int], form: str, order: str
) -> None:
    monkeypatch.setattr(hdf5, "BLOCK", 60)
    monkeypatch.setattr(h5ad, "HELD", 0)
    X = counts()
    path = write(tmp_path / "s.h5ad", form, "X", ORDERS[order], X)
    matrices = Matrices(SPEC, lambda _: path)
    for name in NAMES:
        matrices.read(name)
    assert sum(read_at_once) >= np.count_nonzero(X)
    assert max(read_at_once) <= 60


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_a_small_file_of_mixed_samples_is_read_once_for_all(
    tmp_path: Path, read_at_once: list[int], form: str
) -> None:
    X = counts()
    path = write(tmp_path / "s.h5ad", form, "X", ORDERS["scattered"], X)
    matrices = Matrices(SPEC, lambda _: path)
    assert matrices.names == NAMES
    read_at_once.clear()
    for name in NAMES:
        matrices.read(name)
    assert read_at_once == [np.count_nonzero(X)] * 2  # values and indices


def test_of_a_sample_that_lies_together_only_its_rows_are_read(
    tmp_path: Path, read_at_once: list[int]
) -> None:
    X, sample = counts(), ORDERS["contiguous"]
    path = write(tmp_path / "s.h5ad", "csr", "X", sample, X)
    matrices = Matrices(SPEC, lambda _: path)
    for name in matrices.names:
        read_at_once.clear()
        matrices.read(name)
        # Its rows without a count at the start and the end included, values and indices.
        assert read_at_once == [np.count_nonzero(X[sample == name])] * 2


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_memory_holds_a_sample_and_not_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(hdf5, "BLOCK", 10_000)
    X = sparse.random(1500, 400, 0.5, format="csr", random_state=1, dtype=np.float32)
    X.data = np.ceil(9 * X.data)
    sample = np.repeat([f"s{i:02d}" for i in range(15)], 100)
    obs = pd.DataFrame({"sample": sample}, index=[f"B{i}" for i in range(1500)])
    AnnData(FORMS[form](X), obs=obs).write_h5ad(tmp_path / "s.h5ad")

    def read() -> int:
        matrices = Matrices(SPEC, lambda _: tmp_path / "s.h5ad")
        return sum(int(matrices.read(name)[0].X.sum()) for name in matrices.names)

    assert read() == X.data.sum()  # also imports what it needs
    tracemalloc.start()
    try:
        read()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (X.data.nbytes + X.indices.nbytes) / 2
