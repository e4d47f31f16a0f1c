"""Tables of rows and columns as people deposit them, as text or in a workbook: one reader for all.

Matrices, sample sheets, annotations, the tables inside SOFT files and published effects all pass
here, so that what one of them survives (a mark at the beginning, quotes, row names without a
header, a field too many) all do. What is not a regular table is refused with the line at fault;
nothing is dropped that is not said.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alsmuscle.core import log
from alsmuscle.core.errors import InputError
from alsmuscle.download.decode import OLD_WORKBOOK, WORKBOOK, decoded, lines_of, some, unpacked

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";"}
# Names that a column of ids has; a column of values is named after a sample.
_ID_NAMES = re.compile(
    r"(?i)#?\W*(gene|ensembl|ensg|entrez|symbol|hgnc|mgi|ids?\b|name|probe|transcript|feature|target"
    r"|unnamed|tracking|refseq|locus|row)"
)
_PROBED = 200  # rows looked at to learn how many fields a row has


@dataclass(frozen=True)
class Form:
    """What a card says of a table's form.

    ``separator``: of the fields; None: a tab where the first line has one, else a comma. ``header``:
    whether a row names the columns. ``skip_rows``: lines (rows of a worksheet) before that row.
    ``comment``: lines that begin with it are left out. ``worksheet``: of a workbook; None: the
    first. ``text``: cells stay text, and a name that stands twice is numbered (``.1``); else
    numbers are read as such, and a name that stands twice is refused. ``text_columns``: positions
    that stay text in any case. ``key``: part of the card, for messages.
    """

    separator: str | None = None
    header: bool = True
    skip_rows: int = 0
    comment: str = ""
    worksheet: str | None = None
    text: bool = False
    text_columns: tuple[int, ...] = (0,)
    key: str = "counts"


def form(spec: Mapping[str, Any], **given: Any) -> Form:
    """Return the form of a table from the keys of a card."""
    known = {key: spec[key] for key in ("skip_rows", "comment", "worksheet") if key in spec}
    if "separator" in spec:
        known["separator"] = SEPARATORS[spec["separator"]]
    return Form(**{**known, **given})


def read_table(content: bytes, where: str, shape: Form) -> pd.DataFrame:
    """Read a table, packed or not, text or workbook.

    Parameters
    ----------
    content
        The bytes of the file.
    where
        File, and member, for messages.
    shape
        What the card says of its form.

    Returns
    -------
    DataFrame
        One row per row; column names are text (positions where there is no header). Rows' names
        that have no column name are the column ``""``.

    Raises
    ------
    InputError
        Not a regular table: names the line, what is there, and the card's key that would mend it.
    """
    content = unpacked(content, where)
    if not content.strip():
        raise InputError("the file is empty", where=where)
    if content.startswith(WORKBOOK):
        return _from_workbook(content, where, shape)
    refuse_other_content(content, where)
    return parse_table(decoded(content, where), where, shape)


def refuse_other_content(content: bytes, where: str) -> None:
    """Say what a file is that is no text.

    Raises
    ------
    InputError
        A web page, an old workbook, or something binary.
    """
    head = content[:512].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if head.startswith((b"<!doctype", b"<html")):
        raise InputError(
            "a web page, not a table",
            where=where,
            remedy="look at the address in a browser: the archive may have moved the file",
        )
    if content.startswith(OLD_WORKBOOK):
        raise InputError(
            "a workbook of the old kind (.xls)",
            where=where,
            expected="text, or .xlsx",
            remedy="open it in a spreadsheet, save it as .xlsx, and give that file's path as `url`",
        )
    if b"\0" in content[:4096] and content[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(
            "not text (some binary file)",
            where=where,
            expected="text, or a workbook (.xlsx), packed or not",
            remedy="look at what the file is; R data and single-cell files have layouts of their own",
        )


# --- text -----------------------------------------------------------------------------------------


def parse_table(text: str, where: str, shape: Form) -> pd.DataFrame:
    """Read a table of text whose lines end with a line feed; as :func:`read_table`."""
    import pandas as pd

    lines = lines_of(text)
    first = _first_line(lines, where, shape)
    rows = lines[first:]
    if shape.comment:
        rows = [line for line in rows if not line.startswith(shape.comment)]
    rows = [line for line in rows if line.strip()]
    if not rows:
        raise InputError("the table is empty", where=where)
    separator = shape.separator or ("\t" if "\t" in rows[0] else ",")
    rows, quoting = _quoting(rows, separator)
    if quoting == csv.QUOTE_NONE:
        rows = _without_footer(rows, separator, where)
    names, skip_last = _names(rows, separator, quoting, where, shape)
    body = rows[1:] if shape.header else rows
    if not body:
        raise InputError("no row below the header", where=where)
    if len(names) < 2 and not shape.text:
        raise InputError(
            "only one column",
            where=where,
            expected=f"columns separated by {_spoken(separator)}",
            remedy=f"set `{shape.key}.separator` on the card",
        )
    if quoting == csv.QUOTE_NONE:
        _refuse_irregular(rows, len(names) + skip_last, separator, where, shape)
    width = len(names) + skip_last
    kinds: Any = str if shape.text else dict.fromkeys(shape.text_columns, str)
    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(body)),
            sep=separator,
            header=None,
            names=range(width),
            index_col=False,
            dtype=kinds,
            na_filter=False,
            quoting=quoting,
            lineterminator="\n",
            low_memory=False,
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise InputError(f"not a regular table: {error}", where=where) from None
    if quoting == csv.QUOTE_MINIMAL:
        _refuse_swallowed(frame, separator, where)
    frame = frame.iloc[:, : len(names)]
    if quoting == csv.QUOTE_NONE and '"' in text:
        frame = _without_quotes(frame)
    return _named(frame, names, where, shape)


def _first_line(lines: Sequence[str], where: str, shape: Form) -> int:
    """Return the line where the table begins: below what is skipped, comments and GCT's marks."""
    start = shape.skip_rows
    while start < len(lines) and not lines[start].strip():
        start += 1
    if start >= len(lines):
        raise InputError(
            f"the file has {len(lines)} lines, all of which are skipped",
            where=f"{where}: {shape.key}.skip_rows",
        )
    if re.match(r"#1\.[23]\s*$", lines[start]):
        return start + 2  # GCT: version, then the numbers of rows and columns
    separator = shape.separator or "\t"
    while (
        start + 1 < len(lines)
        and lines[start].startswith("#")
        and lines[start].count(separator) < lines[start + 1].count(separator)
    ):
        start += 1
    return start


def _quoting(rows: list[str], separator: str) -> tuple[list[str], int]:
    """Decide whether quotes mean something, and put the lines of a quoted field together.

    Where every row has as many separators as the others, no field hides one: quotes around fields
    are then taken off, and a stray one (5" of something) swallows nothing.
    """
    quoted = [line for line in rows if '"' in line]
    if not quoted:
        return rows, csv.QUOTE_NONE
    if len({line.count(separator) for line in rows[1:]}) <= 1:
        return rows, csv.QUOTE_NONE
    return rows, csv.QUOTE_MINIMAL


def _without_footer(rows: list[str], separator: str, where: str) -> list[str]:
    """Leave out remarks below a table: last lines of one field, in words."""
    kept = len(rows)
    while kept > 2 and separator not in rows[kept - 1] and separator in rows[kept - 2 :][0]:
        if not re.match(r"[#*!]|.*\w\s+\w", rows[kept - 1]):
            break
        kept -= 1
        log.get("tables").warning("%s: left out below the table: '%s'", where, rows[kept][:100])
    return rows[:kept]


def _fields(line: str, separator: str, quoting: int) -> list[str]:
    if quoting == csv.QUOTE_NONE:
        return [_bare(cell) for cell in line.split(separator)]
    return next(csv.reader([line], delimiter=separator), [])


def _bare(cell: str) -> str:
    cell = cell.strip()
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"').strip()
    return cell


def _names(
    rows: list[str], separator: str, quoting: int, where: str, shape: Form
) -> tuple[list[str], int]:
    """Return the columns' names, and how many empty fields end every row."""
    some_rows = [_fields(line, separator, quoting) for line in rows[1 : _PROBED + 1]]
    if not shape.header:
        width = Counter(map(len, [_fields(rows[0], separator, quoting), *some_rows])).most_common(1)
        return [str(number) for number in range(width[0][0])], 0
    names = [name.strip() for name in _fields(rows[0], separator, quoting)]
    if not some_rows:
        return names, 0
    width = Counter(map(len, some_rows)).most_common(1)[0][0]
    if width == len(names) + 1:
        usual = [row for row in some_rows if len(row) == width]
        numbered = [row[0] for row in usual] == [str(n + 1) for n in range(len(usual))]
        if all(not row[-1] for row in usual) and not numbered:
            return names, 1
        if not shape.text and not numbered and _ID_NAMES.match(names[0]):
            raise InputError(
                f"rows have {width} fields, the header {len(names)}",
                where=where,
                expected=f"as many names as fields; the header begins with '{names[0]}', so that "
                "its first name is not that of the second field",
                remedy="find out from the source which column has no name, and correct the file",
            )
        return ["", *names], 0
    while len(names) > width and not names[-1]:
        names.pop()
    if len(names) > width + 1 or len(names) < width:
        _refuse_title(rows, len(names), separator, quoting, where, shape)
    return names, 0


def _refuse_title(
    rows: list[str], found: int, separator: str, quoting: int, where: str, shape: Form
) -> None:
    """Say in which line the header seems to be, where the first line is none."""
    widths = [len(_fields(line, separator, quoting)) for line in rows[:_PROBED]]
    usual = Counter(widths).most_common(1)[0][0]
    line = next(n for n, width in enumerate(widths) if width in (usual, usual - 1) and width > 1)
    if usual == found or line == 0:
        raise InputError(
            f"not a regular table: rows have {usual} fields, the header {found}",
            where=where,
            expected=f"fields separated by {_spoken(separator)}",
        )
    raise InputError(
        f"not a regular table: the first row has {found} field(s), later ones {usual}; the header "
        f"seems to be in row {line + 1}: {some(_fields(rows[line], separator, quoting), 5)}",
        where=where,
        remedy=f"set `{shape.key}.skip_rows: {shape.skip_rows + line}`",
    )


def _refuse_irregular(
    rows: list[str], width: int, separator: str, where: str, shape: Form
) -> None:
    """Stop at a row that has other fields than the rest; text may leave out empty ones at its end."""
    body = rows[1:] if shape.header else rows
    for number, line in enumerate(body, start=2 if shape.header else 1):
        fields = line.count(separator) + 1
        if fields == width or (shape.text and fields < width):
            continue
        if fields > width and not line.split(separator, width)[width].strip(separator + ' "'):
            continue  # nothing but empty fields
        raise InputError(
            f"not a regular table: row {number} has {fields} fields, the others {width}: "
            f"'{line[:60]}'",
            where=where,
            expected=f"{width} fields separated by {_spoken(separator)} in every row",
            remedy="fetch it again if it is cut off; else correct the file",
        )


def _refuse_swallowed(frame: pd.DataFrame, separator: str, where: str) -> None:
    """Stop at a field that has taken in whole rows, for want of a closing quote."""
    most = max(2, frame.shape[1] - 1)
    for column in frame.columns[[not _is_number(frame[c]) for c in frame.columns]]:
        hit = frame[column].astype(str)
        hit = hit[hit.str.contains("\n", regex=False)]
        hit = hit[hit.str.count(re.escape(separator)) >= most]
        if len(hit):
            raise InputError(
                f"not a regular table: a quote is opened and not closed in row {hit.index[0] + 2}: "
                f"'{hit.iloc[0][:60]}'",
                where=where,
                remedy="correct the file",
            )


def _is_number(column: pd.Series) -> bool:
    import pandas as pd

    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _without_quotes(frame: pd.DataFrame) -> pd.DataFrame:
    text = [c for c in frame.columns if not _is_number(frame[c])]
    return frame.assign(**{}) if not text else frame.apply(
        lambda column: column.map(_bare) if column.name in text else column
    )


def _spoken(separator: str) -> str:
    return {"\t": "tab", ",": "comma", ";": "semicolon"}[separator]


def _named(frame: pd.DataFrame, names: Sequence[str], where: str, shape: Form) -> pd.DataFrame:
    """Give the columns their names; columns without name and content go."""
    frame = frame.set_axis(range(len(names)), axis=1)
    empty = [
        n
        for n, name in enumerate(names)
        if not name and n and not _is_number(frame[n]) and frame[n].astype(str).eq("").all()
    ]
    frame = frame.drop(columns=empty)
    names = [name for n, name in enumerate(names) if n not in empty]
    twice = [name for name, times in Counter(names).items() if name and times > 1]
    if twice and not shape.text:
        raise InputError(
            f"column '{twice[0]}' stands twice in the header",
            where=where,
            expected="one column per sample",
            remedy="find out from the source which of them it is, and correct the file",
        )
    return frame.set_axis(numbered(names), axis=1).reset_index(drop=True)


def numbered(names: Sequence[str]) -> list[str]:
    """Return names of which repeated ones are numbered from the second on: ``a, a.1, a.2``.

    Examples
    --------
    >>> numbered(["a", "b", "a"])
    ['a', 'b', 'a.1']
    """
    seen: Counter[str] = Counter()
    taken, found = set(names), []
    for name in names:
        new = name
        while seen[name] and (new in taken or new == name):
            new = f"{name}.{seen[name]}"
            seen[name] += 1
            if new not in taken:
                break
        seen[name] += 0 if seen[name] else 1
        taken.add(new)
        found.append(new)
    return found


# --- workbooks ------------------------------------------------------------------------------------


def _from_workbook(content: bytes, where: str, shape: Form) -> pd.DataFrame:
    import zipfile

    import pandas as pd

    try:
        with pd.ExcelFile(io.BytesIO(content), engine="openpyxl") as book:
            if shape.worksheet is not None and shape.worksheet not in book.sheet_names:
                raise InputError(
                    f"no sheet '{shape.worksheet}'",
                    where=f"{where}: {shape.key}.worksheet",
                    expected=some(book.sheet_names),
                )
            sheet = book.sheet_names[0] if shape.worksheet is None else shape.worksheet
            grid = pd.read_excel(book, sheet_name=sheet, header=None, dtype=object, na_filter=False)
            others = [name for name in book.sheet_names if name != sheet]
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"not readable as a workbook: {error}", where=where) from None
    grid = grid.iloc[shape.skip_rows :]
    filled = grid.ne("") & grid.notna()
    grid = grid.loc[filled.any(axis=1)]
    filled = filled.loc[grid.index]
    # An unnamed last column that is empty is the spreadsheet's, not the table's.
    columns = filled.any(axis=0).to_numpy().nonzero()[0]
    if len(grid) < (2 if shape.header else 1) or len(columns) < (1 if shape.text else 2):
        raise InputError(
            f"the sheet '{sheet}' holds no table",
            where=where,
            expected=f"other sheets: {some(others)}" if others else None,
            remedy=f"set `{shape.key}.worksheet`",
        )
    grid = grid.iloc[:, : columns[-1] + 1]
    if not shape.header:
        names, body = [str(n) for n in range(grid.shape[1])], grid
    else:
        _refuse_title_row(filled.iloc[:, : columns[-1] + 1], grid, where, shape)
        names, body = [cell_text(cell) for cell in grid.iloc[0]], grid.iloc[1:]
    body = body.set_axis(range(body.shape[1]), axis=1).reset_index(drop=True)
    body = body.apply(
        lambda column: column.map(cell_text)
        if shape.text or column.name in shape.text_columns
        else column
    )
    return _named(body.infer_objects(), names, where, shape)


def _refuse_title_row(filled: pd.DataFrame, grid: pd.DataFrame, where: str, shape: Form) -> None:
    counts = filled.sum(axis=1).to_numpy()[:_PROBED]
    usual = int(Counter(counts[1:].tolist()).most_common(1)[0][0])
    if counts[0] >= min(usual - 1, 2) and counts[0] * 2 > usual:
        return
    line = next((n for n, count in enumerate(counts) if count >= usual - 1 and n), 0)
    if not line:
        return
    raise InputError(
        f"the first row has {counts[0]} filled cell(s), later ones {usual}; the header seems to be "
        f"in row {grid.index[line] + 1}: {some((cell_text(c) for c in grid.iloc[line]), 5)}",
        where=where,
        remedy=f"set `{shape.key}.skip_rows: {grid.index[line]}`",
    )


def cell_text(cell: object) -> str:
    """Return a cell of a workbook as the same table in text form has it: 101, not 101.0."""
    if cell is None or cell != cell:  # noqa: PLR0124 - a missing number is unlike itself
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if hasattr(cell, "isoformat"):
        text = cell.isoformat(sep=" ") if hasattr(cell, "hour") and hasattr(cell, "year") else (
            cell.isoformat()
        )
        return str(text).removesuffix(" 00:00:00")
    return str(cell).strip()
