"""Sample sheets as archives and authors write them: one row per sample, as text."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core import files
from alsmuscle.core.errors import InputError, PassingError
from alsmuscle.data.readers import tables
from alsmuscle.download.decode import lines_of, read_text, some, unpacked

if TYPE_CHECKING:
    import pandas as pd

# Of one name in a sheet or in a sample.
_MOST_COPIES = 1000
# Of a sheet: samples × columns.
_MOST_CELLS = 5_000_000


def of_study(card: Mapping[str, Any], manifest: pd.DataFrame) -> pd.DataFrame:
    """Read a study's sample sheet, one or several of its fetched files, as :func:`read_sheet`."""
    spec = card["samples"]["sheet"]
    names = [spec["file"]] if isinstance(spec["file"], str) else spec["file"]
    return read_sheet([files.cached(manifest, name) for name in names], spec)


def read_sheet(paths: Path | Sequence[Path], spec: Mapping[str, Any]) -> pd.DataFrame:
    """Read a sample sheet as text, one row per sample, values untouched but for outer blanks.

    Parameters
    ----------
    paths
        The file, or several whose rows are put below each other.
    spec
        ``samples.sheet`` of the card.

    Raises
    ------
    InputError
        A file is not what the card says.
    """
    import pandas as pd

    paths = [paths] if isinstance(paths, Path) else list(paths)
    where = ", ".join(map(str, paths))
    frame = pd.concat([_sheet(path, spec) for path in paths], ignore_index=True).fillna("")
    frame = frame.apply(lambda column: column.str.strip())
    for column, value in spec.get("rows", {}).items():
        if column not in frame.columns:
            raise InputError(
                f"no column '{column}' to select rows by",
                where=where,
                expected=some(frame.columns),
            )
        frame = frame[frame[column] == value]
    if frame.empty:
        raise InputError("no sample row is left", where=where, remedy="check `samples.sheet.rows`")
    # Identical rows are one sample (a third party's table of GSE186045).
    return frame.drop_duplicates(ignore_index=True)


def _sheet(path: Path, spec: Mapping[str, Any]) -> pd.DataFrame:
    layout = spec["layout"]
    try:
        if layout == "series_matrix":
            return parse_series_matrix(read_text(path), str(path))
        if layout == "soft":
            return parse_soft_samples(read_text(path))
        if layout == "miniml":
            return parse_miniml(unpacked(path.read_bytes(), str(path)), str(path))
        if layout == "recount3":
            return expand_attributes(read_recount3(path))
        if layout == "ena":
            return parse_file_report(read_text(path))
        # The content decides what separates the fields, and whether it is a workbook.
        shape = tables.form(spec, "samples.sheet", text=True)
        return tables.read(path.read_bytes(), str(path), shape)
    except (ValueError, OSError) as error:
        if isinstance(error, InputError):
            if error.where is None:
                raise InputError(
                    error.problem, where=path, expected=error.expected, remedy=error.remedy
                ) from None
            raise
        raise InputError(f"not readable as {layout}: {error}", where=path) from None


def parse_series_matrix(text: str, where: str) -> pd.DataFrame:
    """Read the sample lines of a GEO series matrix: one row per sample.

    Characteristics become columns ``<name>:ch1`` (``:ch2`` for a second channel), as GEOquery names
    them; one without a name becomes ``characteristics_ch1``. What is there twice is numbered from
    the second on (``disease:ch1.1``). Other lines keep their GEO name, numbered when repeated.

    Raises
    ------
    InputError
        There is no ``!Sample_geo_accession`` line, or a line has fewer samples than others.
    """
    import pandas as pd

    columns: dict[str, list[str]] = {}
    characteristics: list[dict[str, str]] = []
    size = 0
    for line in _whole_lines(text):
        whole = io.StringIO(line, newline="\n")
        name, *values = next(tables.csv_rows(whole, "\t", where))
        name = name.removeprefix("!Sample_")
        size = size or len(values)
        characteristics = characteristics or [{} for _ in range(size)]
        if len(values) != size:
            raise InputError(
                f"the line !Sample_{name} has {len(values)} samples, the first one {size}",
                where=where,
                remedy="fetch it again: the file is damaged or truncated",
            )
        if name.startswith("characteristics"):
            # The order of characteristics may differ from sample to sample: go by their names.
            for number, (sample, value) in enumerate(zip(characteristics, values, strict=True)):
                key, content = _characteristic(name, value)
                if key:
                    key = _free(key, sample)
                    sample[key] = content
                    if key not in columns:
                        _refuse_large(size, len(columns), where)
                        columns[key] = [""] * size
                    columns[key][number] = content
            continue
        columns[_free(name, columns)] = values
    if "geo_accession" not in columns:
        raise InputError("no line `!Sample_geo_accession`: not a series matrix", where=where)
    return pd.DataFrame(columns)


def _whole_lines(text: str) -> list[str]:
    """Return the ``!Sample_`` lines before the table; a quoted field may hold line breaks."""
    found: list[list[str]] = []
    for line in lines_of(text):
        if line.startswith("!series_matrix_table_begin"):
            break
        if line.startswith(("!", "^", "#")) or not found:
            found.append([line])
        else:
            found[-1].append(line)
    # Lone carriage returns end a line to the csv module.
    whole = ("\n".join(lines) for lines in found if lines[0].startswith("!Sample_"))
    return [line.replace("\r", " ") for line in whole]


def _refuse_large(rows: int, columns: int, where: str | None) -> None:
    """Stop where each sample has names of its own: their table would be the square of the file."""
    if rows * columns > _MOST_CELLS:
        raise InputError(
            f"a sheet of {rows:,} samples and {columns:,} columns",
            where=where,
            expected="characteristics that samples share",
        )


def _of_rows(rows: list[dict[str, str]], where: str | None = None) -> pd.DataFrame:
    """Return samples as a table; what one does not say is empty."""
    import pandas as pd

    _refuse_large(len(rows), len({name for row in rows for name in row}), where)
    return pd.DataFrame(rows).fillna("")


def _characteristic(line: str, value: str) -> tuple[str, str]:
    """Return column and content of a characteristic; nothing for an empty one."""
    if not value.strip():
        return "", ""
    key, colon, content = value.partition(":")
    if not colon:
        return line, value.strip()
    channel = line.removeprefix("characteristics_") if "_" in line else "ch1"
    return f"{key.strip()}:{channel}", content.strip()


def _free(key: str, taken: Collection[str]) -> str:
    """Return a name that is not taken yet: ``key``, ``key.1``, …; no sheet has a thousand."""
    names = (f"{key}.{number}" if number else key for number in range(_MOST_COPIES))
    free = next((name for name in names if name not in taken), None)
    if free is None:
        raise InputError(f"'{key[:80]}' is there {_MOST_COPIES:,} times", expected="each once")
    return free


def read_recount3(path: Path) -> pd.DataFrame:
    """Read a metadata table of recount3 as text, columns in lower case.

    Older files name two columns otherwise; they are renamed as recount3's ``read_metadata`` does.
    """
    shape = tables.Form("samples.sheet", separator="\t", text=True)
    frame = tables.parse(read_text(path), str(path), shape).rename(columns=str.lower)
    older = {"study_acc": "study", "run_acc": "external_id"}
    return frame.rename(columns={old: new for old, new in older.items() if new not in frame})


def expand_attributes(frame: pd.DataFrame) -> pd.DataFrame:
    """Add a column ``<tag>:ch1`` per tag of ``sample_attributes`` (``tag;;value|tag;;value``)."""
    import pandas as pd

    if "sample_attributes" not in frame:
        return frame
    tags = pd.DataFrame(
        [
            {
                f"{tag}:ch1": value
                for item in str(cell).split("|")
                for tag, found, value in [item.partition(";;")]
                if found
            }
            for cell in frame["sample_attributes"]
        ],
        index=frame.index,
    ).fillna("")
    return frame.join(tags)


def parse_soft_samples(text: str) -> pd.DataFrame:
    """Read the samples of SOFT text: one row each, columns named as GEOquery names phenodata.

    Characteristics become ``<name>:ch1`` (channel by channel), as :func:`parse_series_matrix` has
    them; other lines keep their GEO name,
    numbered from the second on (``description.1``). Missing values are empty. Raises
    :class:`InputError` if there is no sample.
    """
    rows: list[dict[str, str]] = []
    for line in lines_of(text):
        if line.startswith("^"):
            kind, _, accession = line[1:].partition("=")
            is_sample = kind.strip().upper() == "SAMPLE"
            rows += [{"geo_accession": accession.strip()}] if is_sample else []
            continue
        found = re.match(r"!Sample_(\w+)\s*=\s*(.*)", line)
        if not found or not rows:
            continue
        name, value = found[1], found[2].strip()
        if re.fullmatch(r"characteristics_ch\d+", name):
            key, content = _characteristic(name, value)
            if key:
                rows[-1][_free(key, rows[-1])] = content
            continue
        key = _free(name, rows[-1])
        if not (name == "geo_accession" and value == rows[-1]["geo_accession"]):
            rows[-1][key] = value
    if not rows:
        page = text.lstrip()[:1] == "<"  # it came instead
        raise (PassingError if page else InputError)(
            f"no sample in the SOFT text: {text[:200]!r}", expected="^SAMPLE = GSM…"
        )
    return _of_rows(rows)


def parse_miniml(content: bytes, where: str) -> pd.DataFrame:
    """Read the samples of GEO's MINiML: one row each, columns named as those of SOFT.

    Characteristics become ``<tag>:ch1`` (channel by channel), as :func:`parse_series_matrix` has
    them. Raises :class:`InputError` for what is no such XML, and where there is no sample.
    """
    from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import ParseError, fromstring  # type: ignore[import-untyped]

    try:
        root = fromstring(content)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise InputError(f"not readable as MINiML: {error}", where=where) from None

    def named(element: Any) -> str:
        return str(element.tag).rpartition("}")[2]

    rows = []
    for sample in (child for child in root if named(child) == "Sample"):
        row = {"geo_accession": str(sample.get("iid", ""))}
        for part in sample:
            if named(part) == "Channel":
                channel = f"ch{part.get('position', '1')}"
                for one in part:
                    text = " ".join((one.text or "").split())
                    if named(one) == "Characteristics" and text:
                        tag = one.get("tag")
                        key = f"{tag}:{channel}" if tag else f"characteristics_{channel}"
                        row[_free(key, row)] = text
                    elif named(one) == "Source":
                        row[_free(f"source_name_{channel}", row)] = text
            elif text := " ".join((part.text or "").split()):
                row[_free(named(part).lower().replace("-", "_"), row)] = text
        rows.append(row)
    if not rows:
        raise InputError(
            "no sample in the MINiML",
            where=where,
            expected="elements Sample; in an archive of several files, unpack the one .xml",
        )
    return _of_rows(rows, where)


def parse_file_report(text: str, *, status: int = 200) -> pd.DataFrame:
    """Read ENA's run table; all columns are text, empty where ENA knows nothing.

    HTTP 204 (no such public record) gives a table without rows. Raises :class:`InputError` if the
    answer is no table of runs, or a run occurs twice.
    """
    import pandas as pd

    if status == 204 or not text.strip():
        return pd.DataFrame(columns=["run_accession"], dtype=str)
    if "run_accession" not in text.split("\n", 1)[0].split("\t"):
        kind = PassingError if text.lstrip()[:1] in ("<", "{") else InputError  # not ENA's table
        raise kind(
            f"ENA's answer is no table of runs: {text[:200]!r}",
            expected="a column run_accession",
        )
    _refuse_large(text.count("\n"), text.partition("\n")[0].count("\t"), None)
    table = pd.read_csv(io.StringIO(text), sep="\t", dtype=str, keep_default_na=False, quoting=3)
    twice = table["run_accession"][table["run_accession"].duplicated()].tolist()
    if twice:
        raise InputError(f"ENA's table has runs twice: {', '.join(twice[:5])}")
    return table
