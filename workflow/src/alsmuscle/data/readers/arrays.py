"""Arrays as archives keep them: intensities, and the tables that lead from probes to genes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import formats, tables
from alsmuscle.download.decode import ZIP, decoded, lines_of, read_text, some, unpacked

if TYPE_CHECKING:
    import pandas as pd


# What GenomeStudio writes beside every array, as GEO asks for it.
DETECTION = r"(?i)(.*[ _.-])?detection[ _.-]*(p[ _.-]*val(ue)?s?|call)?"


class Intensities(NamedTuple):
    """The arrays of one chip design as their source has them.

    ``values``: probes × samples (GSM); a value that is missing in the source is missing here.
    ``probes``: as :func:`read_annotation`, or None where there is none. ``notes``: sentences on
    what was left out, or put together, in reading.
    """

    values: pd.DataFrame
    probes: pd.DataFrame | None
    notes: list[str]


def read_intensities(
    path: Path, chip: Mapping[str, Any], beside: Path | None = None
) -> Intensities:
    """Read the intensities of one chip design, and what its probes measure.

    Parameters
    ----------
    path
        Series matrix, SOFT family or table.
    chip
        One entry of the card's ``intensities``.
    beside
        File of the platform's annotation; the SOFT family holds its own.

    Raises
    ------
    InputError
        The file holds no table of this platform, or is not what the card says.
    """
    notes: list[str] = []
    key = f"intensities.{chip['platform']}"
    probes = None
    if chip["layout"] == "soft":
        platforms, samples = read_soft_tables(path)
        if chip["platform"] not in platforms:
            raise InputError(
                f"no platform {chip['platform']}", where=path, expected=some(platforms)
            )
        values = _soft_values(samples, chip["platform"], path, notes)
        own = platforms[chip["platform"]]
        if beside is None:
            probes = annotation(own, chip.get("annotation") or _soft_columns(own, path), str(path))
    elif chip["layout"] == "series_matrix":
        values = series_matrix_values(read_text(path), str(path), notes)
    else:
        shape = tables.form({"separator": "tab", **chip}, key, notes=notes, beside=DETECTION)
        values = _by_probe(tables.read(path.read_bytes(), str(path), shape), chip, str(path), shape)
    if beside is not None:
        probes = read_annotation(beside, chip["annotation"], key)
    return Intensities(values, probes, notes)


def series_matrix_values(text: str, where: str, notes: list[str] | None = None) -> pd.DataFrame:
    """Return the table of a series matrix: probes × samples.

    Raises
    ------
    InputError
        There is no table, it is empty (as for RNA-seq), or it is cut off.
    """
    begin = re.search(r"^!series_matrix_table_begin.*\n", text, flags=re.MULTILINE)
    if not begin:
        raise InputError("no line `!series_matrix_table_begin`", where=where)
    table, end, _ = text[begin.end() :].partition("!series_matrix_table_end")
    if not end:
        raise InputError(
            "the table has no end mark: the file is truncated", where=where, remedy="fetch it again"
        )
    if table.count("\n") < 2:
        raise InputError(
            "the series matrix holds no values, as is usual for sequencing",
            where=where,
            remedy="use the supplementary files",
        )
    shape = tables.Form("intensities", separator="\t", notes=notes if notes is not None else [])
    return _by_probe(tables.parse(table, where, shape), {}, where, shape)


def _by_probe(
    frame: pd.DataFrame, chip: Mapping[str, Any], where: str, shape: tables.Form
) -> pd.DataFrame:
    skip = chip.get("skip_columns", [])
    unknown = [name for name in skip if name not in frame.columns]
    if unknown:
        raise InputError(
            f"no column '{unknown[0]}' to skip", where=where, expected=some(frame.columns)
        )
    probes = frame.iloc[:, 0].astype(str).str.strip().rename("source_id")
    values = frame.iloc[:, 1:].drop(columns=skip).set_axis(probes, axis=0)
    return tables.numeric(values, where, shape, missing=True).astype(float)


def read_soft_tables(
    path: Path,
) -> tuple[dict[str, pd.DataFrame], dict[str, tuple[str, pd.DataFrame]]]:
    """Read the tables of a SOFT family file.

    Returns
    -------
    platforms
        Platform → its table, as text.
    samples
        Sample → its platform and its table, as text.

    Raises
    ------
    InputError
        The file is no SOFT, or a table has no end mark (truncated).
    """
    platforms: dict[str, pd.DataFrame] = {}
    samples: dict[str, tuple[str, pd.DataFrame]] = {}
    name = platform = ""
    lines: list[str] | None = None
    for line in lines_of(read_text(path)):
        if lines is not None:
            if not line.startswith(("!sample_table_end", "!platform_table_end")):
                lines.append(line)
                continue
            table = tables.parse(
                "\n".join(lines),
                f"{path}: {name}",
                tables.Form("intensities", separator="\t", text=True),
            )
            if line.startswith("!sample"):
                samples[name] = (platform, table)
            else:
                platforms[name] = table
            lines = None
        elif line.startswith("^"):
            name, platform = line.partition("=")[2].strip(), ""
        elif line.startswith("!Sample_platform_id"):
            platform = line.partition("=")[2].strip()
        elif line.startswith(("!sample_table_begin", "!platform_table_begin")):
            lines = []
    if lines is not None:
        raise InputError(
            f"the table of {name} has no end mark: the file is truncated",
            where=path,
            remedy="fetch it again",
        )
    if not name:
        raise InputError("not a SOFT file", where=path, expected="lines such as ^SAMPLE = GSM…")
    return platforms, samples


def _soft_values(
    samples: Mapping[str, tuple[str, pd.DataFrame]], platform: str, path: Path, notes: list[str]
) -> pd.DataFrame:
    import pandas as pd

    columns, repeated = {}, 0
    for name, (used, table) in samples.items():
        if used != platform:
            continue
        if not {"ID_REF", "VALUE"} <= set(table.columns):
            raise InputError(
                "no columns ID_REF and VALUE",
                where=f"{path}: {name}",
                expected=some(table.columns),
            )
        columns[name], again = _soft_numbers(table, f"{path}: {name}")
        repeated += again
    if not columns:
        raise InputError(f"no sample of platform {platform}", where=path)
    if repeated:
        notes.append(
            f"{repeated} values of probes that a sample lists again were averaged with the others."
        )
    # Samples may list the probes in different orders; a probe that one lacks is missing there.
    return pd.DataFrame(columns).rename_axis("source_id")


def _soft_numbers(table: pd.DataFrame, where: str) -> tuple[pd.Series, int]:
    """Return a sample's values by probe, those of a repeated probe averaged, and how many these
    are.
    """
    shape = tables.Form("intensities")
    values = table[["VALUE"]].set_axis(table["ID_REF"].astype(str).str.strip(), axis=0)
    series = tables.numeric(values, where, shape, missing=True)["VALUE"].astype(float)
    again = int(series.index.duplicated().sum())
    return (series.groupby(level=0, sort=False).mean() if again else series), again


def _soft_columns(table: pd.DataFrame, path: Path) -> dict[str, str]:
    """Find the columns of a platform's table that name genes, as Affymetrix and Illumina do."""
    wanted = {
        "symbol_column": ("Gene Symbol", "Gene symbol", "GENE_SYMBOL", "Symbol", "SYMBOL"),
        "gene_column": ("ENTREZ_GENE_ID", "Gene ID", "Entrez_Gene_ID", "GENE"),
    }
    found = {
        key: next((name for name in names if name in table.columns), "")
        for key, names in wanted.items()
    }
    if not found["symbol_column"]:
        raise InputError(
            "no column of the platform's table is known to hold gene symbols",
            where=path,
            expected=some(table.columns, 40),
            remedy="name the columns under `annotation` of the card",
        )
    return {"id_column": "ID", **{key: name for key, name in found.items() if name}}


# --- annotation ---------------------------------------------------------------------------------


def read_annotation(path: Path, spec: Mapping[str, Any], key: str = "counts") -> pd.DataFrame:
    """Read what a table says of a matrix's ids: GEO's platform annotation, NCBI's genes, or any.

    Parameters
    ----------
    path
        Text (tab or comma) or workbook; the lines around GEO's table are skipped.
    spec
        ``annotation`` of the card.
    key
        The part of the card that it belongs to, for messages.

    Returns
    -------
    DataFrame
        Index = id; ``symbol`` and ``gene_id`` (empty where unknown). Of several genes in one cell
        (`` /// ``) all are kept, as they stand.

    Raises
    ------
    InputError
        A column is missing.
    """
    shape = tables.form(spec, f"{key}.annotation", text=True)
    content = unpacked(path.read_bytes(), str(path))
    if content.startswith(ZIP):
        return annotation(tables.read(content, str(path), shape), spec, str(path))
    formats.refuse_other_content(content, str(path))
    text = decoded(content)
    if begin := re.search(r"^!platform_table_begin.*\n", text, flags=re.MULTILINE):
        text = text[begin.end() :].partition("!platform_table_end")[0]
    lines = [line for line in lines_of(text) if not line.startswith(("#", "^", "!"))]
    return annotation(tables.parse("\n".join(lines), str(path), shape), spec, str(path))


def annotation(frame: pd.DataFrame, spec: Mapping[str, Any], where: str) -> pd.DataFrame:
    """Return what a table, as text, says of ids; as :func:`read_annotation`."""
    import pandas as pd

    for key in ("id_column", "symbol_column", "gene_column"):
        if key in spec and spec[key] not in frame.columns:
            raise InputError(
                f"no column '{spec[key]}'",
                where=f"{where}: annotation.{key}",
                expected=some(frame.columns, 40),
            )
    nothing = pd.Series("", index=frame.index)
    named = pd.DataFrame(
        {
            "symbol": frame[spec["symbol_column"]],
            "gene_id": frame[spec["gene_column"]] if "gene_column" in spec else nothing,
        }
    ).set_axis(frame[spec["id_column"]].astype(str), axis=0)
    named = named.map(_assigned).rename_axis("id")
    twice = named.index.duplicated(keep=False)
    if not twice.any():
        return named
    # An id may have a row per gene: its rows are joined before they are judged.
    joined = named[twice].groupby(level=0, sort=False).agg(_joined)
    rows = pd.concat([named[~twice], joined])
    return rows.reindex(named.index.unique()).rename_axis("id")


def _joined(cells: pd.Series) -> str:
    return " /// ".join(dict.fromkeys(cell for cell in cells if cell.strip()))


def _assigned(cell: str) -> str:
    """Return the symbols of a gene_assignment of Affymetrix (``NM_1 // SOD1 // … /// …``)."""
    if " // " not in cell:
        return cell
    parts = [part.split(" // ") for part in cell.split("///")]
    symbols = [part[1].strip() for part in parts if len(part) > 1]
    return " /// ".join(dict.fromkeys(s for s in symbols if s not in ("", "---")))
