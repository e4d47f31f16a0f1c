"""Small files that once harmed a run, built here: each ends in a clear error."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.data.cards import load_yaml
from alsmuscle.data.readers.single_cell import read_sample


def tenx(path: Path, **change: object) -> Path:
    """Write a 10x file of two barcodes and two genes, with parts of it replaced."""
    parts: dict[str, object] = {
        "data": np.array([1, 2]),
        "indices": np.array([0, 1]),
        "indptr": np.array([0, 1, 2]),
        "shape": np.array([2, 2]),
        "barcodes": np.array([b"A-1", b"C-1"]),
        "features/id": np.array([b"ENSG00000000001", b"ENSG00000000002"]),
        "features/name": np.array([b"MYH7", b"TTN"]),
        "features/feature_type": np.array([b"Gene Expression"] * 2),
    }
    with h5py.File(path, "w") as file:
        for name, value in (parts | change).items():
            file[f"matrix/{name}"] = value
    return path


def test_the_sound_file_is_read(tmp_path: Path) -> None:
    assert read_sample(tenx(tmp_path / "a.h5")).X.sum() == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"indptr": np.array([0, 5, 2])}, "do not rise"),
        ({"indices": np.array([0, -1])}, "an index outside"),
        ({"barcodes": np.array([b"A\xff", b"C-1"])}, "not UTF-8"),
        ({"features/name": np.array([b"\xfe", b"TTN"])}, "not UTF-8"),
        ({"data": np.array([2**31, 1])}, "more than can be stored"),
        ({"data": np.array([2**40, 1])}, "more than can be stored"),
        ({"data": np.array([3e9, 1.0])}, "more than can be stored"),
        ({"data": np.array([np.inf, 1.0])}, "infinite"),
        ({"data": np.array([-1, 1])}, "negative"),
        ({"data": np.array([1j, 1])}, "complex"),
        # The same cell twice: each count fits, their sum does not.
        (
            {
                "data": np.array([2**31 - 1, 2**31 - 1], dtype="i8"),
                "indices": np.array([0, 0]),
                "indptr": np.array([0, 2, 2]),
            },
            "more than can be stored",
        ),
    ],
)
def test_no_count_wraps_and_no_pointer_leads_astray(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read_sample(tenx(tmp_path / "a.h5", **change))


def test_the_environment_is_not_read(tmp_path: Path) -> None:
    path = tenx(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["matrix/barcodes"]
        file["matrix"].create_dataset(
            "barcodes", (2,), dtype="S64", external=[("/proc/self/environ", 0, 128)]
        )
    with pytest.raises(InputError, match="external storage"):
        read_sample(path)


@pytest.mark.parametrize(
    ("size", "words"),
    [("2 2 1000000000000", "more than the file can hold"), ("1000000000000 2 1", "are named")],
)
def test_a_header_that_announces_too_much(tmp_path: Path, size: str, words: str) -> None:
    header = "%%MatrixMarket matrix coordinate integer general\n"
    (tmp_path / "matrix.mtx").write_text(f"{header}{size}\n1 1 1\n")
    (tmp_path / "barcodes.tsv").write_text("A-1\nC-1\n")
    (tmp_path / "features.tsv").write_text("ENSG00000000001\tMYH7\nENSG00000000002\tTTN\n")
    with pytest.raises(InputError, match=words):
        read_sample(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a [x, x]\nb: [*a, *a]\n", "alias"),
        ("a: &a [*a]\n", "alias"),
        ("[" * 100 + "]" * 100, "deep"),
        ("{" * 900 + "}" * 900, "deep"),
        ("a: " + "x" * 4_000_001, "longer than"),
        ("? [a, b]\n: 1\n", "YAML"),
        ("? {a: b}\n: 1\n", "YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", "YAML"),
    ],
)
def test_a_card_that_is_no_plain_yaml(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        load_yaml(path, aliases=False)
