"""How studies lay out their files: expression matrices, intensities, published effects.

Everything that is read here came from somebody else. What a file is not is said with its name, the
member or column at fault, and the card's key that would mend it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core import log
from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import workbooks
from alsmuscle.data.readers.sample_sheets import read_recount3
from alsmuscle.download.containers import safe_members, within_bounds
from alsmuscle.download.decode import lines_of, plain_table, read_text, some, unpacked

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";"}
_WORKBOOK = b"PK\x03\x04"
# What each program writes: header, columns by position, and rows that are no genes. HTSeq's summary
# rows had no underscores before version 0.6.
TOOLS: dict[str, dict[str, Any]] = {
    "htseq": {"header": False, "gene_column": 0, "count_column": 1},
    "featurecounts": {"header": True, "gene_column": 0, "count_column": 6},
    "star": {"header": False, "gene_column": 0},
}
_SUMMARIES = {
    "htseq": r"__|(no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique)$",
    "star": r"N_(unmapped|multimapping|noFeature|ambiguous)$",
}
_FEATURECOUNTS = ("Chr", "Start", "End", "Strand", "Length")
_STAR_STRAND = {"unstranded": 1, "forward": 2, "reverse": 3}


# --- bytes ----------------------------------------------------------------------------------------


def _archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file in a tar (packed or not) or zip, one at a time."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                within_bounds((info.file_size for info in packed.infolist()), path)
                for info in packed.infolist():
                    if not info.is_dir():
                        yield info.filename, packed.read(info)
            return
        with tarfile.open(path) as archive:
            for member in safe_members(archive):
                if member.isfile() and (stream := archive.extractfile(member)):
                    yield member.name, stream.read()
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"not a whole tar archive: {error}", where=path) from None


def _is_stray(name: str) -> bool:
    """Say whether a member is what macOS adds beside the files: never data."""
    return "__MACOSX/" in name or name.rsplit("/", 1)[-1].startswith("._")


# --- matrices -------------------------------------------------------------------------------------


def read_matrix(
    path: Path,
    spec: Mapping[str, Any],
    members: Mapping[str, str],
    *,
    quality: Path | None = None,
    annotation: Path | None = None,
) -> tuple[pd.DataFrame, list[str] | None]:
    """Read an expression matrix as its card describes it.

    Parameters
    ----------
    path
        The fetched file.
    spec
        ``counts`` of the card.
    members
        For an archive: member name → expected sha256.
    quality
        ``recount3``: the table ``recount_qc`` of the project.
    annotation
        A table that names the matrix's ids, laid out as ``spec["annotation"]`` says.

    Returns
    -------
    matrix
        Genes × samples; index = gene ids as in the source (may repeat), name ``source_id``.
    symbols
        The source's own symbols beside its ids, row by row, or None.

    Raises
    ------
    InputError
        The file is not what the card says; the message names file, member or column.
    """
    spec = {**TOOLS.get(spec.get("tool", ""), {}), "chosen": "count_column" in spec, **spec}
    if spec["layout"] == "tar_tables":
        matrix, symbols = _tar_tables(path, spec, members)
    elif spec["layout"] == "recount3":
        if quality is None:
            raise InputError("no table `recount_qc`", where=path, remedy="set `counts.quality`")
        matrix, symbols = _recount3(path, quality), None
    else:
        matrix, symbols = _table(path, spec)
    if annotation is not None:
        names = read_annotation(annotation, spec["annotation"])["symbol"]
        symbols = names.reindex(matrix.index).fillna("").tolist()
    return matrix, symbols


def _table(path: Path, spec: Mapping[str, Any]) -> tuple[pd.DataFrame, list[str] | None]:
    frame = _read_delimited(path.read_bytes(), spec, str(path))
    if spec.get("header", True) is False:
        raise InputError("a matrix needs a header row with sample names", where=path)
    frame, symbols = _symbols_beside(frame, spec)
    gene = frame.columns[spec.get("gene_column", 0)]
    skip = list(spec.get("skip_columns", []))
    if spec.get("tool") == "featurecounts":
        skip += [name for name in _FEATURECOUNTS if name in frame.columns]
    unknown = [name for name in skip if name not in frame.columns]
    if unknown:
        raise InputError(
            f"no column '{unknown[0]}' to skip", where=path, expected=some(frame.columns)
        )
    matrix = frame.drop(columns=skip).set_index(gene)
    return _numeric(matrix, str(path)), symbols


def _symbols_beside(
    frame: pd.DataFrame, spec: Mapping[str, Any]
) -> tuple[pd.DataFrame, list[str] | None]:
    """Return the rows that are genes, and the source's symbols for them where it has a column."""
    patterns = [_SUMMARIES[spec["tool"]]] if spec.get("tool") in _SUMMARIES else []
    patterns += [re.escape(spec["summary_prefix"])] if "summary_prefix" in spec else []
    for pattern in patterns:
        genes = frame.iloc[:, spec.get("gene_column", 0)].astype(str)
        frame = frame[~genes.str.match(pattern)]
    if "symbol_column" not in spec:
        return frame, None
    return frame, frame.iloc[:, spec["symbol_column"]].astype(str).tolist()


def _tar_tables(
    path: Path, spec: Mapping[str, Any], members: Mapping[str, str]
) -> tuple[pd.DataFrame, list[str] | None]:
    import pandas as pd

    symbols: list[str] | None = None
    symbols_of: pd.Series | None = None
    pattern = re.compile(spec["member"])
    columns: dict[str, pd.Series] = {}
    seen = set()
    for name, content in _archive(path):
        match = pattern.search(name)
        if not match or _is_stray(name):
            continue
        sample = match["sample_id"]
        where = f"{path}: member {name}"
        expected = members.get(name)
        if members and expected is None:
            raise InputError(
                "the card pins no hash for this member",
                where=where,
                remedy="add it under `members` once you have checked the file",
            )
        if expected and hashlib.sha256(content).hexdigest() != expected:
            raise InputError(
                f"hash is {hashlib.sha256(content).hexdigest()}",
                where=where,
                expected=expected,
                remedy="the archive changed this file: compare, then update the card",
            )
        if sample in columns:
            raise InputError(f"two members give sample '{sample}'", where=where)
        seen.add(name)
        frame = _read_delimited(content, spec, where)
        frame, symbols = _symbols_beside(frame, spec)
        columns[sample] = _count_column(frame, spec, where).rename(sample)
        if symbols is not None:  # of the last member; put into the first one's order below
            symbols_of = pd.Series(symbols, index=columns[sample].index)
    lacking = sorted(set(members) - seen)
    if lacking:
        raise InputError(
            f"{len(lacking)} pinned member(s) not in the archive, such as {lacking[0]}",
            where=path,
            expected=f"{len(members)} members; found {len(seen)}",
        )
    if not columns:
        raise InputError("no member matches `counts.member`", where=path, expected=spec["member"])
    first, *others = columns.values()
    for other in others:
        if other.index.equals(first.index):
            continue
        unlike = first.index.symmetric_difference(other.index)
        if len(unlike) or first.index.has_duplicates or other.index.has_duplicates:
            raise InputError(
                f"sample '{other.name}' lists other genes than '{first.name}': {len(unlike)} are in "
                f"one of them only: {some(unlike, 3)}"
                if len(unlike)
                else f"samples '{first.name}' and '{other.name}' list genes several times, in "
                "another order",
                where=path,
                expected="the same genes in every member",
                remedy="make `counts.member` narrower, or use one joined table",
            )
        columns[str(other.name)] = other.reindex(first.index)
    if symbols is not None and symbols_of is not None and not symbols_of.index.equals(first.index):
        symbols = symbols_of.reindex(first.index).tolist()
    return pd.DataFrame(columns), symbols


def _count_column(frame: pd.DataFrame, spec: Mapping[str, Any], where: str) -> pd.Series:
    """Return the counts of one sample's table, by gene."""
    gene = spec.get("gene_column", 0)
    position = spec.get("count_column", _STAR_STRAND.get(spec.get("strand", ""), 0))
    if position >= frame.shape[1]:
        raise InputError(
            f"the table has {frame.shape[1]} columns", where=where, expected=f"column {position}"
        )
    _check_header(frame, position, spec, where)
    if spec.get("tool") == "featurecounts" and frame.shape[1] > position + 1 and not spec["chosen"]:
        raise InputError(
            f"{frame.shape[1] - position} columns of counts: {some(frame.columns[position:], 4)}",
            where=where,
            expected="one",
            remedy="set `counts.count_column` to the one that is meant; lanes of one library have to "
            "be added up first",
        )
    named = frame.set_axis([f"column {n}" for n in range(frame.shape[1])], axis=1)
    table = named.set_index(f"column {gene}")
    counts = _numeric(table[[f"column {position}"]], where).iloc[:, 0]
    other = {"forward": 3, "reverse": 2}.get(spec.get("strand", ""))
    if other is not None and "count_column" not in spec:
        opposite = _numeric(table[[f"column {other}"]], where).iloc[:, 0]
        if opposite.sum() > 2 * counts.sum():
            raise InputError(
                f"the other strand holds {opposite.sum():,} reads, this one {counts.sum():,}",
                where=where,
                expected=f"a library for which `counts.strand: {spec['strand']}` is right",
                remedy="correct `counts.strand`",
            )
    return counts


def _check_header(frame: pd.DataFrame, position: int, spec: Mapping[str, Any], where: str) -> None:
    """Object to a header that is taken for a gene, and to a gene that is taken for a header."""
    numbers = r"[-+]?\d+(\.\d+)?"
    if spec.get("header", True):
        if re.fullmatch(numbers, str(frame.columns[position])):
            raise InputError(
                f"the first row looks like data: '{frame.columns[position]}' stands for a name",
                where=where,
                remedy="set `counts.header: false`",
            )
    elif len(frame) > 1:
        first, second = (str(frame.iloc[row, position]).strip() for row in (0, 1))
        if not re.fullmatch(numbers, first) and re.fullmatch(numbers, second):
            raise InputError(
                f"the first row looks like a header: '{first}' stands where counts should",
                where=where,
                remedy="set `counts.header: true`",
            )


def _recount3(path: Path, quality: Path) -> pd.DataFrame:
    """Turn recount3's gene sums into read counts, rounded.

    A gene sum adds the depth of coverage over a gene's bases; divided by the mean mapped length of
    the run's reads it is about the number of reads (fragments, where they are paired). This is
    recount3's ``compute_read_counts`` (R/transform_counts.R), whose default length is
    ``recount_qc.star.average_mapped_length``.
    """
    import numpy as np
    import pandas as pd

    text = read_text(path)
    head = next((line for line in lines_of(text) if not line.startswith("##")), "")
    if not head.startswith("gene_id\t"):
        raise InputError(
            f"not recount3's gene sums, beginning with {text[:40]!r}",
            where=path,
            expected="a table gene_id, runs… below lines of ##",
        )
    sums = pd.read_csv(io.StringIO(text), sep="\t", comment="#", index_col=0)
    sums.index.name = "source_id"
    column = "star.average_mapped_length"
    known = read_recount3(quality)
    for needed in ("external_id", column):
        if needed not in known:
            raise InputError(f"no column '{needed}'", where=quality, expected=some(known.columns))
    lengths = pd.to_numeric(known.set_index("external_id")[column], errors="coerce")
    runs = lengths.reindex(sums.columns)
    bad = runs.index[~(runs > 0)]
    if len(bad):
        raise InputError(
            f"no mapped read length for run '{bad[0]}' ({len(bad)} such run(s))",
            where=f"{quality}: {column}",
            expected="a number above 0 for every run of the gene sums",
        )
    return np.rint(sums / runs).astype("int64")


def read_annotation(path: Path, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Read what a table says of a matrix's ids: GEO's platform annotation, NCBI's genes, or any.

    Parameters
    ----------
    path
        Text (tab or comma) or workbook; the lines around GEO's table are skipped.
    spec
        ``annotation`` of the card.

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

    content = path.read_bytes()
    if content[:4] == _WORKBOOK:
        frame = workbooks.read(path, path, dtype=str, keep_default_na=False)
    else:
        text = read_text(path)
        if begin := re.search(r"^!platform_table_begin.*\n", text, flags=re.MULTILINE):
            text = text[begin.end() :].partition("!platform_table_end")[0]
        lines = [line for line in lines_of(text) if not line.startswith(("#", "^", "!"))]
        frame = plain_table(lines, str(path))
    return _annotation(frame, spec, str(path))


def _annotation(frame: pd.DataFrame, spec: Mapping[str, Any], where: str) -> pd.DataFrame:
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


def _read_delimited(content: bytes, spec: Mapping[str, Any], where: str) -> pd.DataFrame:
    import pandas as pd

    content = unpacked(content, where)
    if content[:4] == _WORKBOOK:
        return _read_workbook(content, spec, where)
    if not content.strip():
        raise InputError("the file is empty", where=where)
    _refuse_other_content(content, where)
    separator = _SEPARATORS[spec.get("separator", "tab")]
    # featureCounts begins with its command line.
    skipped = 1 if spec.get("tool") == "featurecounts" and content.startswith(b"#") else 0
    if spec.get("header", True):
        _refuse_repeated_names(
            content.lstrip().split(b"\n", skipped + 1)[skipped], separator, where
        )
    try:
        frame = pd.read_csv(
            io.BytesIO(content),
            sep=separator,
            header=0 if spec.get("header", True) else None,
            skiprows=skipped,
            dtype={spec.get("gene_column", 0): str},
            na_filter=False,
            encoding="utf-8-sig",
            low_memory=False,
        )
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise InputError(f"not a regular table: {error}", where=where) from None
    if frame.index.nlevels > 1:
        raise InputError(
            "not a regular table: rows have more fields than the header names",
            where=where,
            expected=f"{frame.shape[1]} fields",
        )
    if not isinstance(frame.index, pd.RangeIndex):
        frame = _with_row_names(frame, where)
    if frame.empty:
        raise InputError("no row below the header", where=where)
    if frame.shape[1] < 2:
        raise InputError(
            "only one column",
            where=where,
            expected=f"columns separated by {spec.get('separator', 'tab')}",
            remedy="set `counts.separator` on the card",
        )
    return frame


def _with_row_names(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Make rows with one field more than the header regular: R's row names, or an empty last field."""
    names, last = [str(name) for name in frame.columns], frame.iloc[:, -1]
    if last.dtype.kind == "O" and last.astype(str).str.strip().eq("").all():
        return frame.reset_index().iloc[:, :-1].set_axis(names, axis=1)
    if re.match(r"(?i)#?(gene|ensembl|symbol|id$|ids$|name$|probe)", names[0]):
        raise InputError(
            f"rows have {len(names) + 1} fields, the header {len(names)}",
            where=where,
            expected=f"as many names as fields: the first name, '{names[0]}', is not that of the "
            "second field",
            remedy="find out from the source which column has no name, and correct the file",
        )
    frame = frame.rename_axis("gene").reset_index()
    return frame.assign(gene=frame["gene"].astype(str))


def _refuse_other_content(content: bytes, where: str) -> None:
    """Say what a file is that is no table of UTF-8 text."""
    head = content[:512].lstrip().lower()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(
            "the text is encoded as UTF-16",
            where=where,
            expected="UTF-8",
            remedy="save the file as UTF-8 text",
        )
    if head.startswith((b"<!doctype", b"<html")):
        raise InputError(
            "a web page, not a table",
            where=where,
            remedy="look at the address in a browser: the archive may have moved the file",
        )
    if b"\0" in content[:4096]:
        raise InputError(
            "not text (some binary file)",
            where=where,
            remedy="name the layout that the file has on the card",
        )


def _refuse_repeated_names(header: bytes, separator: str, where: str) -> None:
    """Stop at a header that names a column twice: pandas would rename the second."""
    text = header.decode("utf-8-sig", "replace").rstrip("\r")
    if "\r" in text:  # lone carriage returns end the lines
        text = text.split("\r", 1)[0]
    names = [name.strip() for name in next(csv.reader([text], delimiter=separator), [])]
    twice = [name for name in dict.fromkeys(names) if name and names.count(name) > 1]
    if twice:
        raise InputError(
            f"column '{twice[0]}' stands twice in the header",
            where=where,
            expected="one column per sample",
            remedy="find out from the source which of them it is, and correct the file",
        )


def _read_workbook(content: bytes, spec: Mapping[str, Any], where: str) -> pd.DataFrame:
    import pandas as pd

    sheet = spec.get("worksheet", 0)
    with workbooks.opened(content, where) as book:
        if sheet not in (0, *book.sheet_names):
            raise InputError(
                f"no sheet '{sheet}'",
                where=f"{where}: counts.worksheet",
                expected=some(book.sheet_names),
            )
        header = 0 if spec.get("header", True) else None
        frame = pd.read_excel(book, sheet_name=sheet, header=header, na_filter=False)
    if frame.shape[1] < 2 or frame.empty:
        raise InputError("the sheet holds no table", where=where, remedy="set `counts.worksheet`")
    gene = frame.columns[spec.get("gene_column", 0)]
    dates = [value for value in frame[gene] if hasattr(value, "year")]
    if dates:
        # MARCH1 and SEPT2 became dates in the spreadsheet: they cannot be told apart any more.
        log.get("layouts").warning(
            "%s: %d gene names were turned into dates (such as %s); they stay unmapped",
            where,
            len(dates),
            dates[0].date() if hasattr(dates[0], "date") else dates[0],
        )
    return frame.assign(**{str(gene): frame[gene].astype(str)})


def _numeric(matrix: pd.DataFrame, where: str) -> pd.DataFrame:
    """Turn the cells into numbers."""
    import pandas as pd

    matrix.index = matrix.index.astype(str).str.strip()
    matrix.index.name = "source_id"
    for column in matrix.columns:
        if not pd.api.types.is_numeric_dtype(matrix[column]):
            numbers = pd.to_numeric(matrix[column], errors="coerce")
            if numbers.isna().any():
                gene = numbers.index[numbers.isna()][0]
                value = matrix.loc[gene, column]
                value = value.iloc[0] if isinstance(value, pd.Series) else value
                raise InputError(
                    f"'{value}' at gene '{gene}', column '{column}' is not a number", where=where
                )
            matrix = matrix.assign(**{column: numbers})
    return matrix


# --- arrays ---------------------------------------------------------------------------------------


def read_intensities(
    path: Path, chip: Mapping[str, Any], annotation: Path | None = None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Read the intensities of one chip design, and what its probes measure.

    Parameters
    ----------
    path
        Series matrix, SOFT family or table.
    chip
        One entry of the card's ``intensities``.
    annotation
        File of the platform's annotation; the SOFT family holds its own.

    Returns
    -------
    intensities
        Probes × samples (GSM), as numbers; a value that is missing in the source is missing here.
    probes
        As :func:`read_annotation`, or None where there is none.

    Raises
    ------
    InputError
        The file holds no table of this platform, or is not what the card says.
    """
    if chip["layout"] == "soft":
        platforms, samples = read_soft_tables(path)
        if chip["platform"] not in platforms:
            raise InputError(
                f"no platform {chip['platform']}", where=path, expected=some(platforms)
            )
        values = _soft_values(samples, chip["platform"], path)
        spec = chip.get("annotation") or _soft_columns(platforms[chip["platform"]], path)
        probes = _annotation(platforms[chip["platform"]], spec, str(path))
        return values, read_annotation(annotation, spec) if annotation is not None else probes
    if chip["layout"] == "series_matrix":
        values = series_matrix_values(read_text(path), str(path))
    else:
        frame = _read_delimited(path.read_bytes(), chip, str(path))
        values = _numeric(frame.set_index(frame.columns[0]), str(path)).astype(float)
    if annotation is None:
        return values, None
    return values, read_annotation(annotation, chip["annotation"])


def series_matrix_values(text: str, where: str) -> pd.DataFrame:
    """Return the table of a series matrix: probes × samples.

    Raises
    ------
    InputError
        There is no table, it is empty (as for RNA-seq), or it is cut off.
    """
    import pandas as pd

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
    frame = pd.read_csv(io.StringIO(table), sep="\t", index_col=0, dtype={0: str})
    frame.index = frame.index.astype(str)
    frame.index.name = "source_id"
    other = [c for c in frame.columns if not pd.api.types.is_numeric_dtype(frame[c])]
    if other:
        raise InputError(f"column '{other[0]}' holds text", where=where, expected="numbers")
    return frame.astype(float)


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
            table = plain_table(lines, f"{path}: {name}")
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
    samples: Mapping[str, tuple[str, pd.DataFrame]], platform: str, path: Path
) -> pd.DataFrame:
    import pandas as pd

    columns = {}
    for name, (used, table) in samples.items():
        if used != platform:
            continue
        if not {"ID_REF", "VALUE"} <= set(table.columns):
            raise InputError(
                "no columns ID_REF and VALUE",
                where=f"{path}: {name}",
                expected=some(table.columns),
            )
        columns[name] = _soft_numbers(table, f"{path}: {name}")
    if not columns:
        raise InputError(f"no sample of platform {platform}", where=path)
    # Samples may list the probes in different orders; a probe that one lacks is missing there.
    return pd.DataFrame(columns).rename_axis("source_id")


# What GEO's tables hold where there is no value.
_NO_VALUE = ("", "null", "na", "n/a", "nan", "#n/a", "none", "-", "--")


def _soft_numbers(table: pd.DataFrame, where: str) -> pd.Series:
    """Return the values of a sample by probe; those of a probe that is listed again are averaged."""
    import pandas as pd

    text = table["VALUE"].str.strip()
    values = pd.to_numeric(text, errors="coerce")
    odd = values.isna() & ~text.str.lower().isin(_NO_VALUE)
    if odd.any():
        row = int(odd.to_numpy().argmax())
        raise InputError(
            f"'{text.iloc[row]}' of probe '{table['ID_REF'].iloc[row]}' is not a number "
            f"({int(odd.sum())} such value(s))",
            where=where,
            expected="a decimal point, and no separator of thousands",
            remedy="use the series matrix, or correct the file",
        )
    series = values.astype(float).set_axis(table["ID_REF"].astype(str), axis=0)
    repeated = int(series.index.duplicated().sum())
    if not repeated:
        return series
    log.get("layouts").warning("%s: %d probes listed again are averaged", where, repeated)
    return series.groupby(level=0, sort=False).mean()


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


# --- published effects ----------------------------------------------------------------------------


def read_effects(path: Path, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Read a published results table as its card describes it, gene ids as text.

    Raises
    ------
    InputError
        The file is not what the card says.
    """
    import pandas as pd

    if spec["layout"] == "rdata":
        frame = _read_rdata(path, spec.get("object"))
    elif spec["layout"] == "xlsx":
        dtype = {spec["gene_column"]: str}
        frame = workbooks.read(path, path, sheet=spec.get("worksheet", 0), dtype=dtype)
    else:
        separator = "," if spec["layout"] == "csv" else "\t"
        content = io.BytesIO(unpacked(path.read_bytes(), str(path)))
        frame = pd.read_csv(content, sep=separator, dtype={spec["gene_column"]: str})
    if not isinstance(frame.index, pd.RangeIndex):  # R writes row names without a header
        frame = frame.rename_axis("row names").reset_index()
    for key in ("gene_column", "probe_column"):
        if key in spec and spec[key] not in frame:
            raise InputError(
                f"no column '{spec[key]}'",
                where=f"{path}: effects.{key}",
                expected=some(frame.columns),
            )
    frame[spec["gene_column"]] = frame[spec["gene_column"]].fillna("").astype(str)
    return frame


def _read_rdata(path: Path, name: str | None) -> pd.DataFrame:
    import warnings

    import pandas as pd
    import rdata

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # classes that rdata does not know become plain data
            # Unpacked here, within bounds; `rdata` would take any amount.
            objects = rdata.read_rda(io.BytesIO(unpacked(path.read_bytes(), str(path))))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"not readable as R data: {error}", where=path) from None
    frames = {key: value for key, value in objects.items() if isinstance(value, pd.DataFrame)}
    if name is None and len(frames) == 1:
        return next(iter(frames.values())).reset_index(drop=True)
    if name not in frames:
        raise InputError(
            f"no data frame '{name}'" if name else "several data frames, or none",
            where=f"{path}: effects.object",
            expected=some(frames or objects),
        )
    return frames[name].reset_index(drop=True)
