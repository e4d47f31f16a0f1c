"""Files that once harmed a run, and their relatives: each ends in a clear error, soon and small.

Every file is read as a job reads it: in a child with 1 GB and 10 s.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import hostile_files as made
from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import arrays, matrices, results, sample_sheets
from alsmuscle.data.readers.single_cell import read_sample
from alsmuscle.download import decode, sandbox

Build = Callable[[Path], Path]
# Bombs here are small, and so is the size from which the ratio is looked at.
SMALL, BOMB = 1 << 23, 1 << 25


@pytest.fixture(autouse=True)
def small_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the ratio of packing from 8 MiB on."""
    monkeypatch.setattr(decode, "_SMALL", SMALL)


def refused(work: Callable[[], Any], words: str) -> None:
    """Assert that reading ends in an error with these words, within the bounds of a small job."""
    with pytest.raises(InputError, match=words) as caught:
        sandbox.call(lambda: bool(work() is None), where="a file", max_bytes=1 << 30, seconds=10)
    said = str(caught.value)
    assert "took longer" not in said and "ended the reader" not in said
    assert "HOME=" not in said and "PATH=" not in said


def _h5(**change: object) -> Build:
    return lambda folder: made.tenx(folder / "a.h5", **change)


def _edit(edit: Callable[[h5py.File], None]) -> Build:
    return lambda folder: made.edited(folder / "a.h5", edit)


def _mtx(size: str, entries: str = "1 1 1\n", header: str = made.HEADER) -> Build:
    return lambda folder: made.triplet(folder / "a", f"{header}{size}\n{entries}")


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(2,), dtype="i8")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", shape=(2,))
    del file["matrix/data"]
    file["matrix"].create_virtual_dataset("data", layout)


def _external(file: h5py.File) -> None:
    del file["matrix/barcodes"]
    file["matrix/barcodes"] = h5py.ExternalLink("/etc/hostname", "/")


def _soft(file: h5py.File) -> None:
    file["outside"] = h5py.ExternalLink("/proc/self/environ", "/")
    del file["matrix/barcodes"]
    file["matrix/barcodes"] = h5py.SoftLink("/outside/x")


def _bomb_in_chunks(file: h5py.File) -> None:
    del file["matrix/data"]
    file["matrix"].create_dataset(
        "data", (1 << 40,), "u1", chunks=(1 << 22,), compression="gzip", fillvalue=1
    )


HUGE = np.array([0, 0], dtype=np.int64)

CELLS: dict[str, tuple[Build, str]] = {
    "environment": (lambda folder: made.environment(folder / "a.h5"), "external storage"),
    "unwritten": (lambda folder: made.unwritten(folder / "a.h5"), "declares 16,000,000,000,000"),
    "negative pointers": (_h5(indptr=np.array([0, -5, 2])), "do not rise"),
    "not utf-8": (_h5(barcodes=np.array([b"A\xff", b"C-1"])), "not UTF-8"),
    "mtx of 10^12 cells": (_mtx("1000000 1000000 1"), "are named"),
    "virtual dataset": (_edit(_virtual), "virtual dataset"),
    "external link": (_edit(_external), "link into another file"),
    "soft link to an external one": (_edit(_soft), "link into another file"),
    "bomb in chunks": (_edit(_bomb_in_chunks), "declares 1,099,511,627,776"),
    "pointers fall": (_h5(indptr=np.array([0, 5, 2])), "do not rise"),
    "pointers start at 1": (_h5(indptr=np.array([1, 1, 2])), "do not rise"),
    "pointers beyond the values": (_h5(indptr=np.array([0, 1, 9])), "pointers up to 9"),
    "pointers beyond int64": (_h5(indptr=np.array([0, 1, 2**64 - 1], "u8")), "beyond any size"),
    "pointers of decimals": (_h5(indptr=np.array([0.0, 1, 2])), "whole numbers"),
    "pointers of two dimensions": (_h5(indptr=np.zeros((3, 1), "i8")), "whole numbers"),
    "too few pointers": (_h5(indptr=np.array([0, 2])), "the shape says 2"),
    "negative index": (_h5(indices=np.array([0, -1])), "an index outside"),
    "index beyond the genes": (_h5(indices=np.array([0, 2])), "an index outside"),
    "fewer indices": (_h5(indices=np.array([0])), "not a sparse matrix"),
    "fewer values": (_h5(data=np.array([1])), "not a sparse matrix"),
    "values of text": (_h5(data=np.array([b"1", b"2"])), "not a list of numbers"),
    "complex values": (_h5(data=np.array([1j, 1])), "complex"),
    "infinite": (_h5(data=np.array([np.inf, 1.0])), "infinite"),
    "not a number": (_h5(data=np.array([np.nan, 1.0])), "missing or infinite"),
    "negative count": (_h5(data=np.array([-1, 1])), "negative"),
    "2^31": (_h5(data=np.array([2**31, 1])), "more than can be stored"),
    "2^40": (_h5(data=np.array([2**40, 1])), "more than can be stored"),
    "2^63": (_h5(data=np.array([2**63, 1], "u8")), "more than can be stored"),
    "3e9 as a decimal": (_h5(data=np.array([3e9, 1.0])), "more than can be stored"),
    "a sum beyond int32": (
        _h5(
            data=np.array([2**31 - 1, 2**31 - 1]),
            indices=np.array([0, 0]),
            indptr=np.array([0, 2, 2]),
        ),
        "more than can be stored",
    ),
    "no shape": (_h5(shape=None), "without a shape"),
    "negative shape": (_h5(shape=np.array([2, -2])), "no two whole numbers"),
    "shape of three": (_h5(shape=np.array([2, 2, 2])), "no two whole numbers"),
    "shape of 10^12 genes": (_h5(shape=np.array([10**12, 2])), "are named"),
    "no barcodes": (_h5(barcodes=None), "cannot be read as a 10x"),
    "no names": (_h5(**{"features/name": None}), "cannot be read as a 10x"),
    "names not utf-8": (_h5(**{"features/name": np.array([b"\xfe", b"T"])}), "not UTF-8"),
    "kinds not utf-8": (_h5(**{"features/feature_type": np.array([b"\xff"] * 2)}), "not UTF-8"),
    "no HDF5": (
        lambda folder: _written(folder / "a.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 4000),
        "truncated or damaged",
    ),
    "cut": (
        lambda folder: _written(folder / "b.h5", made.tenx(folder / "a.h5").read_bytes()[:3000]),
        "truncated or damaged",
    ),
    "mtx with 10^12 entries": (_mtx("2 2 1000000000000"), "more than the file can hold"),
    "mtx with digits for ever": (_mtx("2 2 " + "9" * 4000), "more than the file can hold"),
    "mtx with negative sizes": (_mtx("-2 -2 -1"), "not a MatrixMarket|named"),
    "mtx with an index of 0": (_mtx("2 2 1", "0 1 1\n"), "not a MatrixMarket"),
    "mtx with an index beyond": (_mtx("2 2 1", "3 1 1\n"), "not a MatrixMarket"),
    "mtx cut": (_mtx("2 2 3"), "not a MatrixMarket"),
    "mtx dense": (
        _mtx("2 2", "1\n1\n1\n1\n", made.HEADER.replace("coordinate", "array")),
        "dense",
    ),
    "mtx complex": (
        _mtx("2 2 1", "1 1 1 1\n", made.HEADER.replace("integer", "complex")),
        "complex numbers",
    ),
    "mtx beyond int32": (_mtx("2 2 1", "1 1 3000000000\n"), "more than can be stored"),
    "mtx beyond int64": (_mtx("2 2 1", f"1 1 {10**30}\n"), "not a MatrixMarket|more than"),
    "mtx negative": (_mtx("2 2 1", "1 1 -7\n"), "negative"),
    "mtx not a number": (
        _mtx("2 2 1", "1 1 nan\n", made.HEADER.replace("integer", "real")),
        "missing or infinite|not a MatrixMarket",
    ),
    "mtx empty": (_mtx("2 2 0", ""), "no counts"),
    "mtx bomb": (
        lambda folder: _packed_triplet(folder / "a", made.bomb(BOMB)),
        "bomb|not a MatrixMarket",
    ),
}


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _packed_triplet(folder: Path, matrix: bytes) -> Path:
    made.triplet(folder, "")
    (folder / "matrix.mtx").unlink()
    (folder / "matrix.mtx.gz").write_bytes(matrix)
    return folder


def test_the_sound_file_is_read(tmp_path: Path) -> None:
    assert read_sample(made.tenx(tmp_path / "a.h5")).X.sum() == 3
    assert read_sample(made.triplet(tmp_path / "a", f"{made.HEADER}2 2 1\n1 1 3\n")).X.sum() == 3


@pytest.mark.parametrize("case", CELLS)
def test_matrices_of_cells(tmp_path: Path, case: str) -> None:
    build, words = CELLS[case]
    path = build(tmp_path)
    refused(lambda: read_sample(path), words)


# --- .h5ad ----------------------------------------------------------------------------------------


def _h5ad(edit: Callable[[h5py.File], None]) -> Build:
    def build(folder: Path) -> Path:
        path = folder / "a.h5ad"
        cells = AnnData(sparse.csr_matrix(np.array([[1.0, 0.0], [0.0, 2.0]], dtype="float32")))
        cells.obs["sample"] = pd.Categorical(["a", "b"])
        cells.write_h5ad(path)
        with h5py.File(path, "r+") as file:
            edit(file)
        return path

    return build


def _replace(name: str, value: object) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        attributes = dict(file[name].attrs)
        del file[name]
        file[name] = value
        file[name].attrs.update(attributes)

    return edit


def _outside(name: str) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, (2,), "S64", external=[("/proc/self/environ", 0, 128)])

    return edit


H5AD: dict[str, tuple[Build, str]] = {
    "environment as names": (_h5ad(_outside("obs/_index")), "external storage"),
    "environment as genes": (_h5ad(_outside("var/_index")), "external storage"),
    "pointers fall": (_h5ad(_replace("X/indptr", np.array([0, 9, 2], "i4"))), "do not rise"),
    "negative index": (_h5ad(_replace("X/indices", np.array([0, -1], "i4"))), "an index outside"),
    "2^31": (_h5ad(_replace("X/data", np.array([2.0**31, 1]))), "more than can be stored"),
    "negative": (_h5ad(_replace("X/data", np.array([-1.0, 1]))), "negative"),
    "codes beyond the categories": (
        _h5ad(_replace("obs/sample/codes", np.array([0, 100], "i1"))),
        "not AnnData",
    ),
    "fewer names": (_h5ad(_replace("obs/_index", np.array([b"a"]))), "not AnnData"),
}


@pytest.mark.parametrize("case", H5AD)
def test_files_of_anndata(tmp_path: Path, case: str) -> None:
    build, words = H5AD[case]
    path = build(tmp_path)
    refused(lambda: read_sample(path), words)


# --- workbooks ------------------------------------------------------------------------------------

MANY = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12)
)

WORKBOOKS: dict[str, tuple[Build, str]] = {
    "cut in its XML": (
        lambda folder: made.workbook(folder / "a.xlsx", made.cells("A1", "B2")[:60]),
        "not readable as a workbook",
    ),
    "a cell in the last corner": (
        lambda folder: made.workbook(folder / "a.xlsx", made.cells("A1", "XFD1048576")),
        "2 cells in a sheet of 1,048,576 rows",
    ),
    "entities of entities": (
        lambda folder: made.workbook(
            folder / "a.xlsx", f"{MANY}]>{made.cells('A1').replace('<v>1', '<v>&m;')}"
        ),
        "not readable as a workbook",
    ),
    "an entity of a local file": (
        lambda folder: made.workbook(
            folder / "a.xlsx",
            '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
            + made.cells("A1").replace("<v>1", "<v>&a;"),
        ),
        "not readable as a workbook",
    ),
    "a bomb": (
        lambda folder: made.workbook(folder / "a.xlsx", made.cells("A1") + " " * BOMB),
        "bomb",
    ),
    "no workbook": (lambda folder: _zip(folder / "a.xlsx", {"a": b"x"}), "workbook|archive"),
    "cut": (
        lambda folder: _written(
            folder / "b.xlsx",
            made.workbook(folder / "a.xlsx", made.cells("A1", "B2")).read_bytes()[:900],
        ),
        "workbook|archive",
    ),
}


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("reader", ["sheet", "effects"])
@pytest.mark.parametrize("case", WORKBOOKS)
def test_workbooks(tmp_path: Path, case: str, reader: str) -> None:
    build, words = WORKBOOKS[case]
    path = build(tmp_path)
    if reader == "sheet":
        refused(lambda: sample_sheets.read_sheet(path, {"layout": "xlsx"}), words)
    else:
        refused(lambda: results.read_effects(path, {"layout": "xlsx", "gene_column": "a"}), words)


# --- archives -------------------------------------------------------------------------------------

SPEC = {"layout": "tar_tables", "type": "counts", "header": False, "gene_column": 0}
SPEC |= {"count_column": 1, "member": r"^(?P<sample_id>GSM\d+)\.txt"}


def _nested(depth: int) -> Build:
    def build(folder: Path) -> Path:
        content = b"ENSG00000000001\t1\n"
        for _ in range(depth):
            content = gzip.compress(content)
        return made.tar(folder / "a.tar", {"GSM1.txt.gz": content})

    return build


ARCHIVES: dict[str, tuple[Build, str]] = {
    "absolute": (lambda f: made.entry(f / "a.tar", name="/etc/cron.d/x"), "absolute path"),
    "leaves": (lambda f: made.entry(f / "a.tar", name="../../x"), "leaves the archive"),
    "back slash": (lambda f: made.entry(f / "a.tar", name="..\\x"), "absolute path"),
    "drive": (lambda f: made.entry(f / "a.tar", name="C:x"), "absolute path"),
    "device": (lambda f: made.entry(f / "a.tar", type=tarfile.CHRTYPE), "refused"),
    "pipe": (lambda f: made.entry(f / "a.tar", type=tarfile.FIFOTYPE), "refused"),
    "link": (
        lambda f: made.entry(f / "a.tar", type=tarfile.SYMTYPE, linkname="/etc/hostname"),
        "refused",
    ),
    "hard link": (
        lambda f: made.entry(f / "a.tar", type=tarfile.LNKTYPE, linkname="../../x"),
        "refused",
    ),
    "twice": (lambda f: made.entry(f / "a.tar", name="GSM1.txt"), "occurs twice|two members"),
    "a size of 8 EB": (lambda f: made.entry(f / "a.tar", size=1 << 62), "bomb|not a whole"),
    "bomb": (
        lambda f: made.tar(f / "a.tgz", {"GSM1.txt": b"0\t" * (BOMB >> 1)}, "w:gz"),
        "bomb",
    ),
    "bomb in a zip": (lambda f: _zip(f / "a.zip", {"GSM1.txt": b"0\t" * (BOMB >> 1)}), "bomb"),
    "bomb in a member": (
        lambda f: made.tar(f / "a.tar", {"GSM1.txt.gz": made.bomb(BOMB)}),
        "bomb",
    ),
    "packed five times": (_nested(5), "packed more than 4 times"),
    "cut": (
        lambda f: _written(
            f / "b.tar", made.tar(f / "a.tar", {"GSM1.txt": b"x" * 5000}).read_bytes()[:1500]
        ),
        "not a whole",
    ),
    "no archive": (lambda f: _written(f / "a.tar", b"x" * 2000), "not a whole"),
    "negative": (
        lambda f: made.tar(f / "a.tar", {"GSM1.txt": b"ENSG00000000001\t-1\nENSG00000000002\t1\n"}),
        "",
    ),
}


@pytest.mark.parametrize("case", [name for name in ARCHIVES if name != "negative"])
def test_archives(tmp_path: Path, case: str) -> None:
    build, words = ARCHIVES[case]
    path = build(tmp_path)
    refused(lambda: matrices.read_matrix(path, SPEC, {}), words)


# --- text -----------------------------------------------------------------------------------------

TEXTS: dict[str, tuple[bytes, str]] = {
    "gzip bomb": (made.bomb(BOMB), "bomb"),
    "bzip2 bomb": (made.bomb(BOMB, bz2.compress), "bomb"),
    "xz bomb": (made.bomb(BOMB, lzma.compress), "bomb"),
    "gzip in gzip": (gzip.compress(made.bomb(BOMB)), "bomb"),
    "packed five times": (
        gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(b"x"))))),
        "packed more than 4 times",
    ),
    "cut gzip": (gzip.compress(b"gene\tGSM1\nx\t1\n" * 99)[:-20], "damaged"),
    "cut xz": (lzma.compress(b"gene\tGSM1\nx\t1\n" * 99)[:60], "damaged"),
    "a page": (b"<!DOCTYPE html><html><title>Log in</title></html>", "web page"),
    "binary": (b"gene\tGSM1\n\0\0\0\0", "not text"),
    "empty": (b"", "empty"),
    "blank": (b" \n\n", "empty"),
    "one line": (b"gene\tGSM1\n", "no row"),
    "text for a number": (b"gene\tGSM1\nMYH7\t=1+1\n", "not a number"),
    "rows of other lengths": (b"gene\tGSM1\nMYH7\t1\nTTN\t1\t2\t3\n", "regular|fields"),
    "a name twice": (b"gene\tGSM1\tGSM1\nMYH7\t1\t2\n", "twice"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_tables_of_text(tmp_path: Path, case: str) -> None:
    content, words = TEXTS[case]
    path = _written(tmp_path / "a.tsv", content)
    refused(lambda: matrices.read_matrix(path, {"layout": "table", "type": "counts"}, {}), words)


# --- R data, SOFT, series matrices ----------------------------------------------------------------

OTHERS: dict[str, tuple[bytes, Callable[[Path], Any], str]] = {
    "R data of 2^31 numbers": (made.rdata_of(2**31 - 1), None, "no data frames"),
    "R data of -2 numbers": (made.rdata_of(-2), None, "no data frames"),
    "R data, a bomb": (made.bomb(BOMB), None, "bomb"),
    "R data, no such": (b"RDX2\nX\nxxxx", None, "R data"),
    "SOFT without an end": (
        b"^SAMPLE = GSM1\n!sample_table_begin\nID_REF\tVALUE\n1\t2\n",
        arrays.read_soft_tables,
        "no end mark",
    ),
    "SOFT that is none": (b"hello\n", arrays.read_soft_tables, "not a SOFT"),
    "a name 2,000 times": (
        b"^SAMPLE = GSM1\n" + b"!Sample_description = x\n" * 2000,
        lambda path: sample_sheets.read_sheet(path, {"layout": "soft"}),
        "1,000 times",
    ),
    "a line 2,000 times": (
        b'!Sample_geo_accession\t"GSM1"\n' + b'!Sample_x\t"a"\n' * 2000,
        lambda path: sample_sheets.read_sheet(path, {"layout": "series_matrix"}),
        "1,000 times",
    ),
    "lines of other lengths": (
        b'!Sample_geo_accession\t"GSM1"\n!Sample_title\t"a"\t"b"\n',
        lambda path: sample_sheets.read_sheet(path, {"layout": "series_matrix"}),
        "2 samples, the first one 1",
    ),
    "a series matrix without samples": (
        b'!Series_title\t"x"\n',
        lambda path: sample_sheets.read_sheet(path, {"layout": "series_matrix"}),
        "not a series matrix",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_files(tmp_path: Path, case: str) -> None:
    content, read, words = OTHERS[case]
    path = _written(tmp_path / "a.txt", content)
    read = read or (lambda p: results.read_effects(p, {"layout": "rdata", "gene_column": "g"}))
    refused(lambda: read(path), words)


def test_the_real_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert decode.opened(gzip.compress(b"abc"), "a file").read() == b"abc"

    def work() -> None:
        stream = decode.opened(made.bomb(1 << 29), "a file")
        while stream.read(1 << 20):
            pass

    refused(work, "bomb")
    with pytest.raises(InputError, match="bomb"):
        decode.unpacked(made.bomb(1 << 29), "a file")
