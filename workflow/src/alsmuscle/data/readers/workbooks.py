"""Workbooks (``.xlsx``): looked at before they are unfolded into memory."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core.errors import InputError
from alsmuscle.download.decode import bomb

if TYPE_CHECKING:
    import pandas as pd

# A sheet is read as a rectangle up to its last row and column, whatever lies between.
_MOST_EMPTY, _EMPTY_PER_CELL = 4_000_000, 20
_MOST_MEMBERS = 10_000
_BLOCK = 1 << 20
_CELL = re.compile(rb"<(?:\w{1,20}:)?c [^<>]{0,200}?r=\"([A-Z]{1,3})(\d{1,7})\"")
_ROW = re.compile(rb"<(?:\w{1,20}:)?row [^<>]{0,200}?r=\"(\d{1,7})\"")
_AGAIN = "save the table as text, or fetch the file again"


@contextmanager
def opened(source: bytes | Path, where: str | Path) -> Iterator[pd.ExcelFile]:
    """Yield a workbook whose sheets may be read; whatever it raises is an :class:`InputError`.

    Raises
    ------
    InputError
        It is no workbook, damaged, unpacks to more than is believable, or holds a few cells in a
        rectangle that no memory holds.
    """
    import pandas as pd

    content = source if isinstance(source, bytes) else source.read_bytes()
    try:
        _check(content, where)
        with pd.ExcelFile(io.BytesIO(content), engine="openpyxl") as book:
            yield book
    except InputError:
        raise
    # openpyxl raises what its XML, its zip and its own code raise, and none of it says where.
    except Exception as error:
        raise InputError(
            f"not readable as a workbook ({type(error).__name__}: {error})",
            where=where,
            remedy=_AGAIN,
        ) from error


def _check(content: bytes, where: str | Path) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise InputError(f"a workbook of {len(members):,} parts", where=where, remedy=_AGAIN)
        if problem := bomb(sum(info.file_size for info in members), len(content)):
            raise InputError(problem, where=where)
        for info in members:
            if re.search(r"worksheets/[^/]+\.xml$", info.filename):
                with archive.open(info) as sheet:
                    _check_sheet(sheet, f"{where}: {info.filename}")


def _check_sheet(sheet: Any, where: str) -> None:
    """Hold the rectangle that a sheet spans against the cells that it has."""
    cells, rows, columns = 0, 0, 0
    tail = b""
    while block := sheet.read(_BLOCK):
        text = tail + block
        # What is cut at a block's end is seen with the next one.
        cut = text.rfind(b"<")
        tail, text = (
            (text[cut:], text[:cut]) if cut >= 0 and len(text) - cut < 4096 else (b"", text)
        )
        for found in _CELL.finditer(text):
            cells += 1
            columns = max(columns, _column(found[1]))
            rows = max(rows, int(found[2]))
        rows = max([rows, *(int(found[1]) for found in _ROW.finditer(text))])
    if rows * max(columns, 1) > _MOST_EMPTY + _EMPTY_PER_CELL * cells:
        raise InputError(
            f"{cells:,} cells in a sheet of {rows:,} rows and {columns:,} columns",
            where=where,
            expected="cells that fill their sheet",
            remedy="delete the stray cells far from the table, or save the table as text",
        )


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number
