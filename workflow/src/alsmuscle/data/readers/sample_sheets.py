"""Sample sheets as archives and authors write them: one row per sample, as text."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core import files
from alsmuscle.core.errors import InputError
from alsmuscle.download.decode import plain_table, read_text, some

if TYPE_CHECKING:
    import pandas as pd


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
    # A row that stands twice word for word is one sample (a third party's table of GSE186045).
    return frame.drop_duplicates(ignore_index=True)


def _sheet(path: Path, spec: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    layout = spec["layout"]
    try:
        if layout == "xlsx":
            return pd.read_excel(path, dtype=str, keep_default_na=False)
        if layout == "series_matrix":
            return parse_series_matrix(read_text(path), str(path))
        if layout == "soft":
            return parse_soft_samples(read_text(path))
        if layout == "recount3":
            return expand_attributes(read_recount3(path))
        if layout == "ena":
            return parse_file_report(read_text(path))
        separator = "," if layout == "csv" else "\t"
        return pd.read_csv(
            io.StringIO(read_text(path)),
            sep=separator,
            dtype=str,
            keep_default_na=False,
            index_col=False,
        )
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

    Characteristics become columns ``<name>:ch1``, as GEOquery names them; other lines keep their
    GEO name, numbered when repeated.

    Raises
    ------
    InputError
        There is no ``!Sample_geo_accession`` line, or a line has fewer samples than others.
    """
    import pandas as pd

    columns: dict[str, list[str]] = {}
    size = 0
    for line in text.splitlines():
        if not line.startswith("!Sample_"):
            continue
        name, *values = next(csv.reader([line], delimiter="\t"))
        name = name.removeprefix("!Sample_")
        size = size or len(values)
        if len(values) != size:
            raise InputError(
                f"the line !Sample_{name} has {len(values)} samples, the first one {size}",
                where=where,
                remedy="fetch it again: the file is damaged or truncated",
            )
        if name.startswith("characteristics"):
            # The order of characteristics may differ from sample to sample: go by their names.
            for number, value in enumerate(values):
                key, found, content = value.partition(":")
                if found:
                    column = columns.setdefault(f"{key.strip()}:ch1", [""] * len(values))
                    column[number] = content.strip()
            continue
        base, copies = name, 0
        while name in columns:
            copies += 1
            name = f"{base}.{copies}"
        columns[name] = values
    if "geo_accession" not in columns:
        raise InputError("no line `!Sample_geo_accession`: not a series matrix", where=where)
    return pd.DataFrame(columns)


def read_recount3(path: Path) -> pd.DataFrame:
    """Read a metadata table of recount3 as text, columns in lower case.

    Older files name two columns otherwise; they are renamed as recount3's ``read_metadata`` does.
    """
    frame = plain_table(read_text(path).splitlines(), str(path)).rename(columns=str.lower)
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

    Characteristics become ``<name>:ch1`` (channel by channel); other lines keep their GEO name,
    numbered from the second on (``description.1``). Missing values are empty. Raises
    :class:`InputError` if there is no sample.
    """
    import pandas as pd

    rows: list[dict[str, str]] = []
    for line in text.splitlines():
        if line.startswith("^"):
            kind, _, accession = line[1:].partition("=")
            is_sample = kind.strip().upper() == "SAMPLE"
            rows += [{"geo_accession": accession.strip()}] if is_sample else []
            continue
        found = re.match(r"!Sample_(\w+)\s*=\s*(.*)", line)
        if not found or not rows:
            continue
        name, value = found[1], found[2].strip()
        if characteristic := re.fullmatch(r"characteristics_(ch\d+)", name):
            key, colon, content = value.partition(":")
            if colon:
                rows[-1][f"{key.strip()}:{characteristic[1]}"] = content.strip()
            continue
        free = (f"{name}.{number}" if number else name for number in itertools.count())
        key = next(key for key in free if key not in rows[-1])
        if not (name == "geo_accession" and value == rows[-1]["geo_accession"]):
            rows[-1][key] = value
    if not rows:
        raise InputError(f"no sample in the SOFT text: {text[:200]!r}", expected="^SAMPLE = GSM…")
    return pd.DataFrame(rows).fillna("")


def parse_file_report(text: str, *, status: int = 200) -> pd.DataFrame:
    """Read ENA's run table; all columns are text, empty where ENA knows nothing.

    HTTP 204 (no such public record) gives a table without rows. Raises :class:`InputError` if the
    answer is no table of runs, or a run occurs twice.
    """
    import pandas as pd

    if status == 204 or not text.strip():
        return pd.DataFrame(columns=["run_accession"], dtype=str)
    if "run_accession" not in text.split("\n", 1)[0].split("\t"):
        raise InputError(
            f"ENA's answer is no table of runs: {text[:200]!r}",
            expected="a column run_accession",
        )
    table = pd.read_csv(io.StringIO(text), sep="\t", dtype=str, keep_default_na=False, quoting=3)
    twice = table["run_accession"][table["run_accession"].duplicated()].tolist()
    if twice:
        raise InputError(f"ENA's table has runs twice: {', '.join(twice[:5])}")
    return table
