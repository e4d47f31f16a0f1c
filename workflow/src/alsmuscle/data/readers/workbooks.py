"""Workbooks (``.xlsx``): looked at before they are unfolded into memory."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from xml.parsers import expat

from alsmuscle.core.errors import InputError
from alsmuscle.download.decode import bomb

if TYPE_CHECKING:
    import pandas as pd

# A sheet is read as a rectangle up to its last row and column, whatever lies between.
_MOST_EMPTY, _EMPTY_PER_CELL, _MOST_ROWS = 4_000_000, 20, 500_000
_MOST_MEMBERS, _MOST_DEEP, _SPARE_TEXTS = 10_000, 100, 1_000_000
_BLOCK = 1 << 20
_PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
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
        cells = texts = 0
        for info in members:
            with archive.open(info) as part:
                found = _look(part, f"{where}: {info.filename}")
            found.check(f"{where}: {info.filename}")
            cells, texts = cells + found.cells, texts + found.texts
        if texts > _SPARE_TEXTS + cells:
            raise InputError(f"{texts:,} texts for {cells:,} cells", where=where, remedy=_AGAIN)


@dataclass
class _Found:
    """What a part of a workbook holds: cells and the rectangle that they span, shared texts."""

    cells: int = 0
    rows: int = 0
    columns: int = 0
    texts: int = 0

    def check(self, where: str) -> None:
        """Hold the rectangle that a sheet spans against the cells that it has."""
        spare = _EMPTY_PER_CELL * self.cells
        if self.rows * max(self.columns, 1) > _MOST_EMPTY + spare or self.rows > _MOST_ROWS + spare:
            raise InputError(
                f"{self.cells:,} cells in a sheet of {self.rows:,} rows and {self.columns:,} "
                "columns",
                where=where,
                expected="cells that fill their sheet",
                remedy="delete the stray cells far from the table, or save the table as text",
            )


def _look(part: IO[bytes], where: str) -> _Found:
    """Count what a part holds, by the parser that will read it; nothing where it is no XML."""
    found, depth = _Found(), 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_DEEP:
            raise InputError(f"elements more than {_MOST_DEEP} deep", where=where, remedy=_AGAIN)
        name = name.rpartition(":")[2]
        if name == "c":
            found.cells += 1
            if place := _PLACE.fullmatch(attributes.get("r", "")):
                found.columns = max(found.columns, _column(place[1]))
                found.rows = max(found.rows, int(place[2]))
        elif name == "row" and re.fullmatch("[0-9]{1,7}", attributes.get("r", "")):
            found.rows = max(found.rows, int(attributes["r"]))
        elif name == "si":
            found.texts += 1

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def declared(*_: Any) -> None:
        raise InputError(
            "it declares a document type, which no spreadsheet writes", where=where, remedy=_AGAIN
        )

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = declared
    try:
        while block := part.read(_BLOCK):
            parser.Parse(block, False)
    except expat.ExpatError:
        pass  # a picture, or damaged: what needs the part will say so, at the same place
    return found


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    return number
