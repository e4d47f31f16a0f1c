"""Tables of rows and columns as people deposit them, as text or in a workbook: one reader for all.

Matrices, sample sheets, annotations, the tables inside SOFT files and published effects all pass
here, so that what one of them survives (a mark at the beginning, quotes, row names without a
header, an empty field too many) all do. What is not a regular table is refused with the row at
fault; nothing is left out that is not said.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core import log
from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import formats, workbooks
from alsmuscle.download.decode import ZIP, decoded, lines_of, some, unpacked

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " "}
# What archives and programs write where there is no value.
NO_VALUE = ("", "na", "n/a", "nan", "null", "none", "#n/a", "-", "--", ".")
_GCT = re.compile(r"#1\.[23]\s*$")
# Names that a column of ids has; a column of values is named after a sample.
_ID_NAMES = re.compile(r"(?i)#?\W*(gene|ensembl|ensg|entrez|symbol|hgnc|mgi|ids?\b|name|probe)")
# Blanks that are no space, and characters that nobody sees, in names that people copied.
_BLANK = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
_UNSEEN = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_TAB = "\t"
# Fields between blanks, as R's write.table has them: in quotes where they hold blanks.
_WORD = re.compile(r'"[^"]*"|\S+')
# What a spreadsheet shows of a large number in a narrow column, and saves as text.
_POWERS = re.compile(r"(?<![\w.])\d(?:\.(\d+))?E\+(\d\d)(?!\w)")
_LOOKED_AT = 20  # rows looked at to learn what separates fields
_MOST_CELL = 32_767  # what a spreadsheet takes
_PROBED = 200  # rows looked at to learn how many fields a row has


@dataclass(frozen=True)
class Form:
    """What a card says of a table's form, and what the reader is to make of it.

    Parameters
    ----------
    key
        Part of the card, for messages (``counts``).
    separator
        Of the fields; None: what the first row has, tabs before commas and semicolons.
    header
        Whether a row names the columns.
    skip_rows
        Lines (rows of a worksheet) before that row.
    comment
        Lines that begin with it are left out.
    worksheet
        Of a workbook; None: the first.
    decimal
        What stands before the decimals.
    text
        Cells stay text, and a repeated name is numbered; else a repeated name is refused.
    text_columns
        Positions that stay text in any case.
    skip
        Names of columns to leave out, each however often it stands in the header.
    beside
        Expression for names of columns that are no sample, and are left out with a note.
    row_names
        Name of the first column where it has none.
    notes
        Sentences on what was left out are added here.
    """

    key: str
    separator: str | None = None
    header: bool = True
    skip_rows: int = 0
    comment: str = ""
    worksheet: str | None = None
    decimal: str = "."
    text: bool = False
    text_columns: tuple[int, ...] = (0,)
    skip: tuple[str, ...] = ()
    beside: str = ""
    row_names: str = "row_names"
    notes: list[str] = field(default_factory=list)


def form(spec: Mapping[str, Any], key: str, **given: Any) -> Form:
    """Return the form of a table from the keys of a card; ``given`` comes first."""
    known = {name: spec[name] for name in ("skip_rows", "comment", "worksheet") if name in spec}
    if "separator" in spec:
        known["separator"] = SEPARATORS[spec["separator"]]
    if spec.get("decimal") == "comma":
        known["decimal"] = ","
    known["skip"] = tuple(spec.get("skip_columns", ()))
    return Form(key, **{**known, **given})


def read(content: bytes, where: str, shape: Form) -> pd.DataFrame:
    """Read a table, packed or not, text or workbook.

    Parameters
    ----------
    content
        The bytes of the file.
    where
        File, and member, for messages.
    shape
        What is known of its form.

    Returns
    -------
    DataFrame
        One row per row; column names are text, or positions as text where there is no header.

    Raises
    ------
    InputError
        Not a regular table: names the row, what is there, and the card's key that would mend it.
    """
    content = unpacked(content, where)
    if not content.strip():
        raise InputError("the file is empty", where=where)
    if content.startswith(ZIP):
        return _workbook(content, where, shape)
    formats.refuse_other_content(content, where)
    return parse(decoded(content), where, shape)


# --- text -----------------------------------------------------------------------------------------


def parse(text: str, where: str, shape: Form) -> pd.DataFrame:
    """Read a table of text whose lines end with a line feed; as :func:`read`."""
    import pandas as pd

    lines = _rows(text, where, shape)
    separator = shape.separator or separator_of(lines)
    if separator == SEPARATORS["space"]:
        lines, separator = [_TAB.join(_WORD.findall(line)) for line in lines], _TAB
    lines = _joined(lines, separator)
    lines = _without_footer(lines, separator, where, shape)
    if not shape.text:
        _say_rounded(text, where, shape)
    quoting = _quoting(lines, separator)
    names, lead, last = _names(lines, separator, quoting, where, shape)
    body = lines[1:] if shape.header else lines
    width = lead + len(names) + last
    if not body and shape.text:
        return pd.DataFrame(columns=numbered(names), dtype=str)
    if not body:
        raise InputError("no row below the header", where=where)
    if quoting == csv.QUOTE_NONE:
        _refuse_irregular(body, width, separator, where, shape)
    kinds: Any = str if shape.text else dict.fromkeys((n + lead for n in shape.text_columns), str)
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
            decimal=shape.decimal,
            lineterminator="\n",
            low_memory=False,
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise InputError(f"not a regular table: {error}", where=where) from None
    if last and not _blank(frame.iloc[:, -1]):
        raise _unnamed(width, len(names), names, where)
    frame = frame.iloc[:, lead : lead + len(names)]
    if quoting == csv.QUOTE_NONE and '"' in text:
        frame = frame.apply(lambda column: column.map(_bare) if column.dtype == object else column)
    return _named(frame, names, where, shape)


def separator_of(lines: Sequence[str]) -> str:
    """Return what separates the fields of the first rows; a title above them has none, or another.

    Comma or semicolon: the one that occurs equally often in most rows, outside of quotes; what
    stands in a column of words does not occur in the header, nor a decimal comma. Of two alike the
    semicolon, since commas are decimals.
    """
    first = lines[:_LOOKED_AT]
    if 2 * sum("\t" in line for line in first) >= len(first):
        return "\t"
    bare = [re.sub('"[^"]*"', "", line) if '"' in line else line for line in first]

    def regular(mark: str) -> tuple[int, int]:
        times = Counter(n for line in bare if (n := line.count(mark)))
        return max(times.values(), default=0), sum(n * rows for n, rows in times.items())

    return max(";,", key=regular)


def _rows(text: str, where: str, shape: Form) -> list[str]:
    """Return the lines of the table: below what is skipped, comments and GCT's marks."""
    lines = lines_of(text)
    if len(lines) <= shape.skip_rows:
        raise InputError(
            f"the file has {len(lines)} lines, all of which are skipped",
            where=f"{where}: {shape.key}.skip_rows",
        )
    # A line of separators alone is an empty row of a spreadsheet; \x1a ends a file of DOS.
    lines = [line for line in lines[shape.skip_rows :] if line.strip(' \t,;"\x1a')]
    if lines and re.fullmatch(r'"?sep=.?"?', lines[0].strip()):
        lines = lines[1:]  # a word to Excel
    if shape.comment:
        lines = [line for line in lines if not line.startswith(shape.comment)]
    if lines and _GCT.match(lines[0]):
        lines = lines[2:]  # its version, and the numbers of rows and columns
    separator = shape.separator or "\t"
    first = 0
    while first + 1 < len(lines) and lines[first].startswith("#"):
        if lines[first].count(separator) >= lines[first + 1].count(separator) > 0:
            break  # a header that begins with #
        first += 1
    if not lines[first:]:
        raise InputError("the table is empty", where=where)
    return lines[first:]


def _joined(lines: list[str], separator: str) -> list[str]:
    """Put together the lines of a row that has line ends in quotes,
    where that makes rows regular.
    """
    if not any(line.count('"') % 2 for line in lines):
        return lines
    rows, row, quotes = [], list[str](), 0
    for line in lines:
        row.append(line)
        quotes += line.count('"')
        if quotes % 2 == 0:
            rows.append(" ".join(row))
            row = []
    try:
        widths = {len(cells) for cells in csv.reader(rows[1:], delimiter=separator)}
    except csv.Error:
        return lines
    return lines if row or len(widths) != 1 else rows


def _without_footer(lines: list[str], separator: str, where: str, shape: Form) -> list[str]:
    """Leave out remarks below a table: last lines of one field, in words."""
    kept = len(lines)
    while kept > 2 and separator in lines[0] and separator not in lines[kept - 1]:
        if lines[kept - 1].count('"') % 2 or not re.match(r'"?([#*!]|.*\w\W+\w)', lines[kept - 1]):
            break
        kept -= 1
        said = f"Left out below the table: “{lines[kept][:100]}”."
        shape.notes.append(said)
        log.get("tables").warning("%s: %s", where, said)
    return lines[:kept]


def _say_rounded(text: str, where: str, shape: Form) -> None:
    """Say how many numbers a spreadsheet has saved as it showed them: 1.23E+05."""
    if "E+" not in text:
        return
    cells = [m[0] for m in _POWERS.finditer(text) if len(m[1] or "") < int(m[2])]
    if cells:
        shape.notes.append(
            f"{len(cells):,} numbers are written in powers of ten, such as {cells[0]}: a "
            "spreadsheet has rounded them."
        )
        log.get("tables").warning("%s: %s", where, shape.notes[-1])


def _quoting(lines: list[str], separator: str) -> int:
    """Decide whether quotes mean something.

    They do where that gives every row as many fields as the others. A stray one (5" of something)
    would swallow what follows it: where rows are regular without a belief in quotes, there is none.
    """
    if not any('"' in line for line in lines):
        return csv.QUOTE_NONE
    widths, rows = Counter[int](), 0
    try:
        for row in csv.reader(lines[1:], delimiter=separator):
            rows += 1
            widths[len(row)] += 1
    except csv.Error:
        return csv.QUOTE_NONE
    if len(widths) == 1 and rows == len(lines) - 1:
        return csv.QUOTE_MINIMAL
    plain = {line.count(separator) for line in lines[1:]}
    return csv.QUOTE_NONE if len(plain) == 1 else csv.QUOTE_MINIMAL


def csv_rows(lines: Iterable[str], separator: str, where: str | Path) -> Iterator[list[str]]:
    """Yield the fields of lines in which quotes mean something.

    Raises
    ------
    InputError
        A field is longer than any, or a line has line ends in it.
    """
    try:
        yield from csv.reader(lines, delimiter=separator)
    except csv.Error as error:
        raise InputError(f"not a regular table: {error}", where=where) from None


def _fields(line: str, separator: str, quoting: int, where: str) -> list[str]:
    if quoting == csv.QUOTE_NONE:
        return [_bare(cell) for cell in line.split(separator)]
    return [cell.strip() for cell in next(csv_rows([line], separator, where), [])]


def _bare(cell: str) -> str:
    cell = cell.strip()
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"').strip()
    return cell


def _names(
    lines: list[str], separator: str, quoting: int, where: str, shape: Form
) -> tuple[list[str], int, int]:
    """Return the columns' names, how many leading columns to drop, and how many at the end.

    R's row names leave the header one name short; a separator at the end of rows does, too.
    """
    probed = lines[1 : _PROBED + 1] if shape.header else lines[:_PROBED]
    rows = [_fields(line, separator, quoting, where) for line in probed]
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    if not shape.header:
        return [str(number) for number in range(width)], 0, 0
    names = _fields(lines[0], separator, quoting, where)
    while len(names) > max(width, 1) and not names[-1]:
        names.pop()
    if shape.text and len(names) >= width and sum(map(bool, names)) > 1:
        return names, 0, 0
    if sum(map(bool, names)) < 2 < width or (len(names) == 1 and width > 1):
        raise _title(lines, separator, quoting, where, shape)
    if len(names) < 2 and not shape.text:
        other = next((word for word, s in SEPARATORS.items() if s in lines[0].strip()), "")
        raise InputError(
            "only one column",
            where=where,
            expected=f"columns separated by {_spoken(separator)}",
            remedy=f"set `{shape.key}.separator: {other}`" if other else None,
        )
    if not rows or width == len(names):
        return names, 0, 0
    if width == len(names) + 1:
        usual = [row for row in rows if len(row) == width]
        numbered = [row[0] for row in usual] == [str(n + 1) for n in range(len(usual))]
        if all(not row[-1] for row in usual):
            return names, 0, 1
        if not shape.text and numbered:
            return names, 1, 0
        if not shape.text and _ID_NAMES.match(names[0]):
            raise _unnamed(width, len(names), names, where)
        return ["", *names], 0, 0
    raise _title(lines, separator, quoting, where, shape)


def _unnamed(width: int, found: int, names: Sequence[str], where: str) -> InputError:
    return InputError(
        f"rows have {width} fields, the header {found}",
        where=where,
        expected=f"as many names as fields: the first name, '{names[0]}', is not that of the "
        "second field",
        remedy="find out from the source which column has no name, and correct the file",
    )


def _title(lines: list[str], separator: str, quoting: int, where: str, shape: Form) -> InputError:
    """Say in which line the header seems to be, where the first line is none."""
    rows = [_fields(line, separator, quoting, where) for line in lines[:_PROBED]]
    filled = [sum(map(bool, row)) for row in rows]
    usual = Counter(filled[1:] or filled).most_common(1)[0][0]
    line = next((n for n, count in enumerate(filled) if n and count >= max(usual - 1, 2)), 0)
    found = len(rows[0])
    if not line or filled[0] >= max(usual - 1, 2):
        return InputError(
            f"not a regular table: rows have {usual} fields, the header {found}",
            where=where,
            expected=f"fields separated by {_spoken(separator)}",
        )
    return _header_below(filled[0], usual, line, rows[line], where, shape)


def _header_below(
    found: int, usual: int, line: int, row: Sequence[str], where: str, shape: Form
) -> InputError:
    return InputError(
        f"not a regular table: the first row has {found} filled field(s), later ones {usual}; the "
        f"header seems to be in row {line + 1}: {some(row, 5)}",
        where=where,
        remedy=f"set `{shape.key}.skip_rows: {shape.skip_rows + line}`",
    )


def _refuse_irregular(body: list[str], width: int, separator: str, where: str, shape: Form) -> None:
    """Stop at a row that has other fields than the rest;
    text may leave out empty ones at its end.
    """
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


def _spoken(separator: str) -> str:
    return {"\t": "tab", ",": "comma", ";": "semicolon"}[separator]


def _blank(column: pd.Series) -> bool:
    return bool(column.isna().all() or column.astype(str).str.strip().eq("").all())


def _refuse_long(frame: pd.DataFrame, where: str) -> None:
    for name, column in frame.select_dtypes("object").items():
        longest = max((len(cell) for cell in column if isinstance(cell, str)), default=0)
        if longest > _MOST_CELL:
            raise InputError(
                f"a cell of {longest:,} characters in column {str(name)[:80]}",
                where=where,
                expected=f"at most {_MOST_CELL:,}, as in a spreadsheet",
            )


def _named(frame: pd.DataFrame, names: Sequence[str], where: str, shape: Form) -> pd.DataFrame:
    """Give the columns their names; columns without name and content go."""
    frame = frame.set_axis(range(len(names)), axis=1)
    names = [visible(name) for name in names]
    if shape.text:
        frame = frame.fillna("")
        _refuse_long(frame, where)
    empty = [n for n, name in enumerate(names) if not name and n and _blank(frame[n])]
    # Of a column to skip that stands behind every sample, the first is enough.
    seen = {name: n for n, name in reversed(list(enumerate(names)))}
    empty += [n for n, name in enumerate(names) if name in shape.skip and n > seen[name]]
    if beside := [n for n, name in enumerate(names) if n and _is_beside(name, shape)]:
        shape.notes.append(f"{len(beside)} columns were left out, such as '{names[beside[0]]}'.")
    empty += beside
    frame = frame.drop(columns=empty)
    given = [
        name or (shape.row_names if n == 0 else f"column {n + 1}")
        for n, name in enumerate(names)
        if n not in empty
    ]
    twice = [name for name, times in Counter(given).items() if times > 1]
    if twice and not shape.text:
        raise InputError(
            f"column '{twice[0]}' is duplicated in the header",
            where=where,
            expected="one column per sample",
            remedy=f"if it is no sample, set `{shape.key}.skip_columns: [{twice[0]}]`; else find "
            "out from the source which of them it is, and correct the file",
        )
    return frame.set_axis(numbered(given), axis=1).reset_index(drop=True)


def _is_beside(name: str, shape: Form) -> bool:
    return bool(shape.beside and name not in shape.skip and re.fullmatch(shape.beside, name))


def visible(text: str) -> str:
    """Return a name as one sees it: every blank a space, without characters that have no width.

    Examples
    --------
    >>> visible("ALS\\u00a01\\u200b ")
    'ALS 1'
    """
    return _UNSEEN.sub("", _BLANK.sub(" ", text)).strip()


def numbered(names: Iterable[str]) -> list[str]:
    """Return names of which repeated ones are numbered from the second on.

    Examples
    --------
    >>> numbered(["a", "b", "a", "a.1"])
    ['a', 'b', 'a.2', 'a.1']
    """
    names = list(names)
    taken, seen, found = set(names), set[str](), []
    times = Counter[str]()
    for name in names:
        new = name
        while new in seen or (times[name] and new in taken):
            times[name] += 1
            new = f"{name}.{times[name]}"
        seen.add(new)
        found.append(new)
    return found


# --- workbooks ------------------------------------------------------------------------------------


def _workbook(content: bytes, where: str, shape: Form) -> pd.DataFrame:
    grid, others = _grid(content, where, shape)
    if shape.comment:
        grid = grid[~grid.iloc[:, 0].map(cell_text).str.startswith(shape.comment)]
    filled = grid.map(lambda cell: cell_text(cell) != "")
    grid, filled = grid.loc[filled.any(axis=1)], filled.loc[filled.any(axis=1)]
    columns = filled.any(axis=0).to_numpy().nonzero()[0]
    if len(grid) < (2 if shape.header else 1) or len(columns) < (1 if shape.text else 2):
        raise InputError(
            "the sheet holds no table",
            where=where,
            expected=f"other sheets: {some(others)}" if others else None,
            remedy=f"set `{shape.key}.worksheet`",
        )
    # Empty columns at the end are the spreadsheet's, not the table's.
    grid, filled = grid.iloc[:, : columns[-1] + 1], filled.iloc[:, : columns[-1] + 1]
    if shape.header:
        _refuse_title_row(filled, grid, where, shape)
        names, body = [cell_text(cell) for cell in grid.iloc[0]], grid.iloc[1:]
    else:
        names, body = [str(n) for n in range(grid.shape[1])], grid
    body = body.set_axis(range(body.shape[1]), axis=1).reset_index(drop=True)
    dates = [cell for n in shape.text_columns if n in body for cell in body[n] if _is_date(cell)]
    if dates and not shape.text:
        # MARCH1 and SEPT2 became dates in the spreadsheet.
        shape.notes.append(
            f"{len(dates)} names of genes were turned into dates by a spreadsheet, such as "
            f"{cell_text(dates[0])}; those that stand for several genes stay without one."
        )
        log.get("tables").warning("%s: %s", where, shape.notes[-1])
    text = set(range(body.shape[1])) if shape.text else set(shape.text_columns)
    body = body.apply(lambda column: column.map(cell_text) if column.name in text else column)
    return _named(body.infer_objects(), names, where, shape)


def _grid(content: bytes, where: str, shape: Form) -> tuple[pd.DataFrame, list[str]]:
    """Return the cells of a worksheet as they are, and the names of the other sheets."""
    import pandas as pd

    with workbooks.opened(content, where) as book:
        names = [str(name) for name in book.sheet_names]
        if shape.worksheet is not None and shape.worksheet not in names:
            raise InputError(
                f"no sheet '{shape.worksheet}'",
                where=f"{where}: {shape.key}.worksheet",
                expected=some(names),
            )
        sheet = names[0] if shape.worksheet is None else shape.worksheet
        grid = pd.read_excel(book, sheet_name=sheet, header=None, dtype=object, na_filter=False)
    _refuse_long(grid, where)
    return grid.iloc[shape.skip_rows :], [name for name in names if name != sheet]


def _refuse_title_row(filled: pd.DataFrame, grid: pd.DataFrame, where: str, shape: Form) -> None:
    counts = [int(n) for n in filled.sum(axis=1).to_numpy()[:_PROBED]]
    usual = Counter(counts[1:]).most_common(1)[0][0]
    if usual < 3 or counts[0] >= 2:
        return
    line = next((n for n, count in enumerate(counts) if n and count >= usual - 1), 0)
    row = [cell_text(cell) for cell in grid.iloc[line]]
    skipped = int(grid.index[line])  # rows of the worksheet, empty ones too
    raise InputError(
        f"the first row has {counts[0]} filled cell(s), later ones {usual}; the header seems to be "
        f"in row {skipped + 1}: {some(row, 5)}",
        where=where,
        remedy=f"set `{shape.key}.skip_rows: {skipped}`",
    )


def _is_date(cell: object) -> bool:
    return hasattr(cell, "year") and hasattr(cell, "month")


def cell_text(cell: object) -> str:
    """Return a cell of a workbook as the same table in text form has it: 101, not 101.0.

    Examples
    --------
    >>> [cell_text(cell) for cell in (101.0, " a ", None, True)]
    ['101', 'a', '', 'TRUE']
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip().removesuffix(" 00:00:00")


# --- numbers --------------------------------------------------------------------------------------


def numeric(frame: pd.DataFrame, where: str, shape: Form, *, missing: bool = False) -> pd.DataFrame:
    """Turn the cells of a matrix into numbers.

    Parameters
    ----------
    frame
        Index = names of the rows, for messages.
    where
        File, and member, for messages.
    shape
        What is known of the table's form.
    missing
        Whether a cell may be empty (or ``NA``, ``null``, …), and is missing then.

    Raises
    ------
    InputError
        A cell holds something else: nothing becomes missing because it cannot be read.
    """
    import pandas as pd

    columns = {}
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if number and (missing or not column.isna().any()):  # a workbook's #N/A is a missing number
            columns[name] = column
            continue
        values = pd.to_numeric(_with_point(column, shape), errors="coerce")
        odd = values.isna()
        if missing:
            odd &= ~column.map(cell_text).str.lower().isin(NO_VALUE)
        if odd.any():
            raise _no_number(frame, position, odd, where, shape)
        columns[name] = values
    return pd.DataFrame(columns, index=frame.index, columns=frame.columns)


def _with_point(column: pd.Series, shape: Form) -> pd.Series:
    text = column.map(cell_text)
    if shape.decimal == ".":
        return text
    # Beside decimal commas a point stands between thousands: 1.234 is no number below 2.
    grouped = column.map(lambda cell: isinstance(cell, str) and "." in cell)
    return text.mask(grouped, "").str.replace(shape.decimal, ".", regex=False)


def _no_number(
    frame: pd.DataFrame, position: int, odd: pd.Series, where: str, shape: Form
) -> InputError:
    name, cells = frame.columns[position], frame.iloc[:, position].map(cell_text)
    first = int(odd.to_numpy().argmax())
    row = "probe" if shape.key.startswith("intensities") else "gene"
    found = (
        f"'{cells.iloc[first][:100]}' at {row} '{str(frame.index[first])[:100]}', column "
        f"'{str(name)[:100]}' is not a number"
    )
    if (more := int(odd.sum())) > 1:
        found += f" ({more} such values in this column)"
    top = frame.iloc[0].map(cell_text)
    remedy = "correct the file"
    if cells[odd].eq("").all():
        remedy = (
            "fill the cell; in a workbook it may be a formula that was never calculated, or an "
            "error such as #REF!: open it in a spreadsheet and save it again"
        )
    elif cells[odd].str.fullmatch(r"[-+]?\d+,\d+(e[-+]?\d+)?").all():
        remedy = (
            f"if the comma stands before decimals, set `{shape.key}.decimal: comma`; a "
            "separator of thousands has to be taken out of the file"
        )
    elif odd.all() and _ID_NAMES.match(str(name)):
        remedy = (
            f"if '{name}' holds the genes, set `{shape.key}.gene_column` to its position (the "
            f"first is 0); if it is no sample, set `{shape.key}.skip_columns: [{name}]`"
        )
    elif odd.all():
        remedy = f"if '{name}' is no sample, set `{shape.key}.skip_columns: [{name}]`"
    elif first == 0 and not top.str.fullmatch(r"[-+.\d]*(e[-+]?\d+)?").any():
        rows = shape.skip_rows + 1
        remedy = f"if the header is one row below, set `{shape.key}.skip_rows: {rows}`"
        if top.duplicated().any() and (label := cell_text(frame.index[0])):
            remedy = f"if that row is no gene, but groups, set `{shape.key}.comment: {label}`"
    return InputError(
        found,
        where=where,
        expected="a number in every cell, with a decimal point and no separator of thousands",
        remedy=remedy,
    )
