"""Files that once harmed a run, and their relatives: each ends in a clear error, soon and small.

Every file is read as a job reads it: in a child with 1 GB and 10 s.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import rdata
from anndata import AnnData
from scipy import sparse

import hostile_files as made
from alsmuscle.core.errors import InputError
from alsmuscle.data import counts
from alsmuscle.data.readers import arrays, matrices, results, sample_sheets
from alsmuscle.data.readers.single_cell import read_sample
from alsmuscle.download import containers, decode, sandbox
from alsmuscle.download.policy import FetchError

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


def _barcodes(value: object, **how: object) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        del file["matrix/barcodes"]
        file["matrix"].create_dataset("barcodes", data=value, **how)

    return edit


def _references(file: h5py.File) -> None:
    place = file["matrix"].ref
    _barcodes([place, place], dtype=h5py.ref_dtype)(file)


def _group(file: h5py.File) -> None:
    del file["matrix/barcodes"]
    file["matrix"].create_group("barcodes")


def _of_itself(file: h5py.File) -> None:
    file["other"] = file["matrix"]
    del file["matrix"]
    file["matrix"] = h5py.SoftLink("/matrix")


def _large_block(file: h5py.File) -> None:
    del file["matrix/data"]
    file["matrix"].create_dataset(
        "data", (2,), "u8", maxshape=(None,), chunks=(1 << 28,), compression="gzip"
    )


def _one_text_for_all(file: h5py.File) -> None:
    """Let 200,000 barcodes point to one text of a million characters in the file's heap."""
    n, text = 200_000, h5py.string_dtype()
    del file["matrix/barcodes"]
    many = file["matrix"].create_dataset("barcodes", (n,), text, chunks=(n,), compression="gzip")
    many[0] = "x" * 1_000_000
    first = zlib.decompress(many.id.read_direct_chunk((0,))[1])[:16]
    many.id.write_direct_chunk((0,), zlib.compress(first * n), 0)


ONE_PLACE = {"indices": np.zeros(4, "i8"), "indptr": np.array([0, 4, 4])}

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
    "2^62 four times in one place": (
        _h5(data=np.full(4, 2**62), **ONE_PLACE),
        "more than can be stored",
    ),
    "two rows of one gene beyond int32": (
        _h5(
            data=np.full(2, 2**31 - 1),
            indptr=np.array([0, 2, 2]),
            **{"features/id": np.array([b"ENSG00000000001"] * 2)},
        ),
        "more than can be stored",
    ),
    "barcodes of a thousand parts": (
        _edit(_barcodes(np.zeros(2, dtype=[(f"f{n}", "S1000") for n in range(60)]))),
        "not a list of text",
    ),
    "barcodes of bytes without meaning": (
        _edit(_barcodes(np.array([b"ab", b"cd"], "V2"))),
        "not a list of text",
    ),
    "barcodes in two dimensions": (
        _edit(_barcodes(np.array([[b"a", b"b"], [b"c", b"d"]]))),
        "not a list of text",
    ),
    "barcodes that point to groups": (_edit(_references), "not a list of text"),
    "one barcode, no list": (_edit(_barcodes("A-1")), "cannot be read as a 10x"),
    "barcodes without a space": (_edit(_barcodes(h5py.Empty("S3"))), "cannot be read as a 10x"),
    "a group of barcodes": (_edit(_group), "cannot be read as a 10x"),
    "names are numbers": (_h5(**{"features/name": np.array([1, 2])}), "not a list of text"),
    "fewer kinds": (
        _h5(**{"features/feature_type": np.array([b"Antibody Capture"])}),
        "2 gene ids but 1 kinds",
    ),
    "a matrix that links to itself": (_edit(_of_itself), "cannot be read as a 10x"),
    "a block of 2 GiB": (_edit(_large_block), "blocks of 2,147,483,648 bytes"),
    "200,000 names that are one of a MB": (_edit(_one_text_for_all), "cannot be read as a 10x"),
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
    "mtx, 2^62 four times in one place": (
        _mtx("2 2 4", f"1 1 {2**62}\n" * 4),
        "more than can be stored",
    ),
    "mtx whose size hides behind a long remark": (
        _mtx(f"%{'x' * 5000}\n1000000 1000000 1000000000000"),
        "more than the file can hold|are named",
    ),
    "mtx whose size hides behind blank lines": (
        _mtx("\n\n\n1000000 1000000 1000000000000"),
        "more than the file can hold|are named",
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


def test_counts_of_one_place_are_added_in_a_wider_type(tmp_path: Path) -> None:
    path = made.tenx(tmp_path / "a.h5", data=np.array([200, 100, 0, 0], "u1"), **ONE_PLACE)
    assert read_sample(path).X.sum() == 300


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


def _sheet(sheet: str, place: str = "worksheets/sheet1.xml") -> Build:
    """Return a workbook of this sheet, which its relationships say is at ``place``."""

    def build(folder: Path) -> Path:
        path = made.workbook(folder / "a.xlsx", sheet)
        if place == "worksheets/sheet1.xml":
            return path
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        links = parts["xl/_rels/workbook.xml.rels"]
        parts["xl/_rels/workbook.xml.rels"] = links.replace(
            b"worksheets/sheet1.xml", place.encode()
        )
        if not place.startswith(".."):
            parts[f"xl/{place}"] = parts.pop("xl/worksheets/sheet1.xml")
        return _zip(path, parts)

    return build


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
        "document type",
    ),
    "an entity of a local file": (
        lambda folder: made.workbook(
            folder / "a.xlsx",
            '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
            + made.cells("A1").replace("<v>1", "<v>&a;"),
        ),
        "document type",
    ),
    "a bomb": (
        lambda folder: made.workbook(folder / "a.xlsx", made.cells("A1") + " " * BOMB),
        "bomb",
    ),
    "the last corner in single quotes": (
        _sheet(made.cells("A1", "XFD1048576").replace('"XFD1048576"', "'XFD1048576'")),
        "2 cells in a sheet of 1,048,576 rows",
    ),
    "the last corner behind a line break": (
        _sheet(made.cells("A1", "XFD1048576").replace("<c ", "<c\n")),
        "2 cells in a sheet of 1,048,576 rows",
    ),
    "the last corner in a sheet elsewhere": (
        _sheet(made.cells("A1", "XFD1048576"), "other/b.xml"),
        "2 cells in a sheet of 1,048,576 rows",
    ),
    "a row of two cells far below": (
        _sheet(made.cells("A1", "B1", "A1048576", "B1048576")),
        "4 cells in a sheet of 1,048,576 rows",
    ),
    "a sheet on the web": (
        _sheet(made.cells("A1", "B2"), 'sheet1.xml" TargetMode="External'),
        "not readable as a workbook",
    ),
    "a sheet in a local file": (
        _sheet(made.cells("A1", "B2"), "../../../../etc/hostname"),
        "not readable as a workbook",
    ),
    "elements without end": (
        _sheet(f'<worksheet xmlns="MAIN">{"<a>" * 100_000}{"</a>" * 100_000}</worksheet>'),
        "more than 100 deep",
    ),
    "two million texts for two cells": (
        _sheet(
            made.cells("A1", "B2").replace("<sheetData>", f"{'<si/>' * 2_000_000}<sheetData>"),
        ),
        "2,000,000 texts for 2 cells|bomb",
    ),
    "a cell of 40,000 characters": (
        _sheet(
            made.cells("A1", "B1", "A2", "B2").replace(
                '<c r="A1"><v>1', f'<c r="A1" t="str"><v>{"x" * 40_000}'
            )
        ),
        "a cell of 40,000 characters",
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


TWO = {f"GSM{n}.txt": b"ENSG00000000001\t1\nENSG00000000002\t2\n" for n in (1, 2)}


def _patched(path: Path, *places: tuple[int, int]) -> Path:
    """Overwrite bytes of the first entry in a zip's directory."""
    content = bytearray(path.read_bytes())
    start = content.find(b"PK\x01\x02")
    for offset, value in places:
        content[start + offset] = value
    path.write_bytes(content)
    return path


def _header_of_headers(n: int) -> bytes:
    header = tarfile.TarInfo("x")
    header.type = tarfile.XHDTYPE
    return header.tobuf(tarfile.USTAR_FORMAT) * n + bytes(1024)


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
    "a member of negative size": (
        lambda f: made.entry(f / "a.tar", pax_headers={"size": "-1000"}),
        "-1,000 bytes|not a whole",
    ),
    "a size in words": (
        lambda f: made.entry(f / "a.tar", pax_headers={"GNU.sparse.map": "0,1,x,2"}),
        "not a whole",
    ),
    "holes of a TB": (
        lambda f: made.entry(
            f / "a.tar", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": str(10**12)}
        ),
        "bomb",
    ),
    "a name with a null": (
        lambda f: made.entry(f / "a.tar", pax_headers={"path": "GSM2.txt\0x"}),
        "a name that is none",
    ),
    "a name of 5,000 characters": (
        lambda f: made.entry(f / "a.tar", pax_headers={"path": "x/" * 2500 + "GSM2.txt"}),
        "a name that is none",
    ),
    "attributes without end": (
        lambda f: made.entry(f / "a.tar", pax_headers={"comment": "1" * 5_000_000}),
        "a header of 5,000,",
    ),
    "headers of headers": (
        lambda f: _written(f / "a.tar", _header_of_headers(10_000)),
        "not a whole",
    ),
    "a header of 8 GB": (
        lambda f: made.entry(f / "a.tar", type=tarfile.XHDTYPE, size=(1 << 33) - 1),
        "a header of 8,589,934,591",
    ),
    "a password": (lambda f: _patched(_zip(f / "a.zip", TWO), (8, 1)), "not a whole|encrypted"),
    "a packing that nobody knows": (
        lambda f: _patched(_zip(f / "a.zip", TWO), (10, 97)),
        "not a whole",
    ),
    "a size that is another": (lambda f: _patched(_zip(f / "a.zip", TWO), (24, 5)), "not a whole"),
    "a name that is not UTF-8": (
        lambda f: _patched(_zip(f / "a.zip", TWO), (9, 8), (46, 0xFF)),
        "not a whole",
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


@pytest.mark.parametrize("case", ARCHIVES)
def test_the_look_at_a_downloaded_archive(tmp_path: Path, case: str) -> None:
    path = ARCHIVES[case][0](tmp_path)

    def work() -> str:
        with suppress(FetchError):  # in words of its own; nothing else may happen
            containers.check_content(path)
        return "looked at"

    assert sandbox.call(work, where="a file", max_bytes=1 << 30, seconds=20) == "looked at"


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
    "a name twice": (b"gene\tGSM1\tGSM1\nMYH7\t1\t2\n", "duplicated"),
    "a number in other digits": ("gene\tGSM1\nMYH7\t\uff11\uff12\n".encode(), "not a number"),
    "a number with underscores": (b"gene\tGSM1\nMYH7\t1_000\n", "not a number"),
    "a number of 5,000 digits": (b"gene\tGSM1\nMYH7\t" + b"1" * 5000 + b"\n", "not a number"),
    "a field of 200,000 characters": (
        b'gene\t"GSM1\nMYH7\t"1' + b"x" * 200_000 + b'"\n',
        "regular|not a number|fields",
    ),
}
LARGE = ["1e30", "1e19", str(2**63 - 1), str(2**64 - 1), str(2**53 + 3), "Infinity", "1e309"]


@pytest.mark.parametrize("number", LARGE)
def test_counts_beyond_what_is_stored_exactly(tmp_path: Path, number: str) -> None:
    path = _written(
        tmp_path / "a.tsv", f"gene\tGSM1\tGSM2\nMYH7\t{number}\t1\nTTN\t1\t1\n".encode()
    )

    def work() -> Any:
        matrix, *_ = matrices.read_matrix(path, {"layout": "table", "type": "counts"}, {})
        return counts.as_counts(matrix, "counts", "a file")

    refused(work, "more than can be stored exactly|infinite|not a number")


@pytest.mark.parametrize("case", TEXTS)
def test_tables_of_text(tmp_path: Path, case: str) -> None:
    content, words = TEXTS[case]
    path = _written(tmp_path / "a.tsv", content)
    refused(lambda: matrices.read_matrix(path, {"layout": "table", "type": "counts"}, {}), words)


# --- R data, SOFT, series matrices ----------------------------------------------------------------

RDATA3 = b"RDX3\nX\n" + struct.pack(">iiii", 3, 0x00040201, 0x00030500, 5) + b"UTF-8"


def _integers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}i", *values)


def _symbol(name: bytes) -> bytes:
    return _integers(1, 0x00040009, len(name)) + name


def _named(value: bytes) -> bytes:
    """Return R data that hold one object, ``e``."""
    return RDATA3 + _integers(0x402) + _symbol(b"e") + value + _integers(254)


def _compact(kind: bytes, state: bytes) -> bytes:
    """Return a vector in one of R's compact forms (ALTREP)."""
    about = _integers(2) + _symbol(kind) + _integers(2) + _symbol(b"base")
    return _integers(238) + about + _integers(2, 13, 1, 13, 254) + state + _integers(254)


OTHERS: dict[str, tuple[bytes, Callable[[Path], Any], str]] = {
    "R data of 2^31 numbers": (made.rdata_of(2**31 - 1), None, "no data frames"),
    "R data of -2 numbers": (made.rdata_of(-2), None, "no data frames"),
    "R data, a bomb": (made.bomb(BOMB), None, "bomb"),
    "R data, no such": (b"RDX2\nX\nxxxx", None, "R data"),
    "R data, a closure": (_named(_integers(0x403, 0xFD, 254, 254, 254)), None, "R data|no data"),
    "R data, a promise": (_named(_integers(5, 254, 254, 254)), None, "R data"),
    "R data, an environment in itself": (
        _named(_integers(4, 0, 0xFD, 0x402) + _symbol(b"x") + _integers(0x2FF, 254, 254, 254)),
        None,
        "R data|no data",
    ),
    "R data, lists in lists": (_named(_integers(19, 1) * 100_000), None, "R data"),
    "R data, pairs of pairs": (_named(_integers(2, 254) * 100_000), None, "R data"),
    "R data, 10^12 numbers in brief": (
        _named(_compact(b"compact_intseq", _integers(14, 3) + struct.pack(">ddd", 1e12, 1, 1))),
        None,
        "R data",
    ),
    "R data, a file in place of numbers": (
        _named(_compact(b"mmap_real", _integers(16, 1, 0x00040009, 13) + b"/etc/hostname")),
        None,
        "R data",
    ),
    "R data, a text of 2^31": (_named(_integers(16, 1, 0x00040009, 2**31 - 1)), None, "R data"),
    "R data, a text of -5": (_named(_integers(16, 1, 0x00040009, -5)), None, "R data"),
    "R data, code": (_named(_integers(21, 1, 254, 0)), None, "R data|no data"),
    "R data, a pointer": (_named(_integers(22, 254, 254)), None, "R data|no data"),
    "R data in letters": (
        b"RDA2\nA\n2\n262657\n131840\n1026\n1\n262153\n1\nx\n14\n1000000000\n",
        None,
        "R data",
    ),
    "names of their own in 9,000 samples": (
        b"!Sample_geo_accession" + b"".join(b'\t"GSM%d"' % n for n in range(9000)) + b"\n"
        b"!Sample_characteristics_ch1" + b"".join(b'\t"a%d: x"' % n for n in range(9000)) + b"\n",
        lambda path: sample_sheets.read_sheet(path, {"layout": "series_matrix"}),
        "a sheet of 9,000 samples",
    ),
    "names of their own in 9,000 samples of SOFT": (
        b"".join(
            b"^SAMPLE = GSM%d\n!Sample_characteristics_ch1 = a%d: x\n" % (n, n) for n in range(9000)
        ),
        lambda path: sample_sheets.read_sheet(path, {"layout": "soft"}),
        "a sheet of 9,000 samples",
    ),
    "a field of 200,000 characters": (
        b'!Sample_geo_accession\t"GSM1"\n!Sample_title\t"' + b"x" * 200_000 + b'"\n',
        lambda path: sample_sheets.read_sheet(path, {"layout": "series_matrix"}),
        "not a regular table",
    ),
    "MINiML of entities": (
        b'<!DOCTYPE a [<!ENTITY b "c">]><MINiML><Sample iid="GSM1">&b;</Sample></MINiML>',
        lambda path: sample_sheets.read_sheet(path, {"layout": "miniml"}),
        "not readable as MINiML",
    ),
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


def test_complex_numbers_of_r(tmp_path: Path) -> None:
    frame = pd.DataFrame({"gene": ["MYH7", "TTN"], "GSM1": [1 + 2j, 3], "GSM2": [1.0, 2.0]})
    rdata.write_rda(tmp_path / "a.RData", {"x": frame})
    spec = {"layout": "rdata", "type": "counts"}
    refused(lambda: matrices.read_matrix(tmp_path / "a.RData", spec, {}), "complex numbers")


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
