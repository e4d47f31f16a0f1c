"""Files that mean harm or are broken, built in code; none holds anything secret.

The first ten are those that once harmed a run: read the environment into the report, took all
memory, crashed the interpreter or ended the run of all studies.
"""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

PARTS: dict[str, object] = {
    "data": np.array([1, 2]),
    "indices": np.array([0, 1]),
    "indptr": np.array([0, 1, 2]),
    "shape": np.array([2, 2]),
    "barcodes": np.array([b"A-1", b"C-1"]),
    "features/id": np.array([b"ENSG00000000001", b"ENSG00000000002"]),
    "features/name": np.array([b"MYH7", b"TTN"]),
    "features/feature_type": np.array([b"Gene Expression"] * 2),
}
HEADER = "%%MatrixMarket matrix coordinate integer general\n"


def tenx(path: Path, **change: object) -> Path:
    """Write a 10x file of two barcodes and two genes, with parts of it replaced (None:
    left out).
    """
    with h5py.File(path, "w") as file:
        for name, value in (PARTS | change).items():
            if value is not None:
                file[f"matrix/{name}"] = value
    return path


def edited(path: Path, edit: Callable[[h5py.File], None]) -> Path:
    """Write a sound 10x file and edit it."""
    with h5py.File(tenx(path), "r+") as file:
        edit(file)
    return path


def environment(path: Path) -> Path:
    """Barcodes whose storage is the environment of the process that reads them."""

    def edit(file: h5py.File) -> None:
        del file["matrix/barcodes"]
        file["matrix"].create_dataset(
            "barcodes", (2,), dtype="S64", external=[("/proc/self/environ", 0, 128)]
        )

    return edited(path, edit)


def unwritten(path: Path) -> Path:
    """Data of 14.6 TiB that were declared and never written."""

    def edit(file: h5py.File) -> None:
        del file["matrix/data"]
        file["matrix"].create_dataset("data", (2 * 10**12,), "f8", chunks=(1 << 20,))

    return edited(path, edit)


def workbook(path: Path, sheet: str) -> Path:
    """Write a workbook whose one sheet is this XML."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default '
        'Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.'
        'openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="a" '
        'sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="rId1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": sheet.replace("MAIN", main),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def cells(*places: str) -> str:
    """Return a sheet with a number in each of these cells, such as ``XFD1048576``."""
    rows = "".join(
        f'<row r="{place.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}"><c r="{place}"><v>1</v></c></row>'
        for place in places
    )
    return f'<worksheet xmlns="MAIN"><sheetData>{rows}</sheetData></worksheet>'


def tar(
    path: Path, files: Mapping[str, bytes], mode: Literal["w", "w:gz", "w:bz2", "w:xz"] = "w"
) -> Path:
    """Write a tar of these files; ``mode`` as of :mod:`tarfile`."""
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def entry(path: Path, **fields: object) -> Path:
    """Write a tar with one sound file and one entry with these fields of its header."""
    tar(path, {"GSM1.txt": b"ENSG00000000001\t1\nENSG00000000002\t2\n"})
    with tarfile.open(path, "a") as archive:
        odd = tarfile.TarInfo("GSM2.txt")
        for key, value in fields.items():
            setattr(odd, key, value)
        archive.addfile(odd)  # its header alone
    return path


def bomb(n_bytes: int, pack: Callable[[bytes], bytes] = gzip.compress) -> bytes:
    """Return so many bytes packed by gzip, bzip2 or xz; streams that follow each other are one."""
    return _megabyte(pack) * (n_bytes >> 20)


@cache
def _megabyte(pack: Callable[[bytes], bytes]) -> bytes:
    return pack(b"0\t" * (1 << 19))


def triplet(folder: Path, matrix: str, barcodes: str = "A-1\nC-1\n", features: str = "") -> Path:
    """Write a 10x triplet into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "matrix.mtx").write_text(matrix)
    (folder / "barcodes.tsv").write_text(barcodes)
    features = features or "ENSG00000000001\tMYH7\nENSG00000000002\tTTN\n"
    (folder / "features.tsv").write_text(features)
    return folder


def rdata_of(size: int) -> bytes:
    """Return R data (XDR, version 2) that announce a vector of numbers of this size."""
    start = b"RDX2\nX\n" + struct.pack(">iii", 2, 0x00040201, 0x00020300)
    return start + struct.pack(">ii", 14, size)


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


def listing(n: int) -> str:
    """Return a folder listing whose links never end: parsers went back and forth over it."""
    return "<h1>Index of /geo</h1>" + "<a href='" * n + "<a href=" * n
