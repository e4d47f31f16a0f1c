"""How studies lay out their counts: one table of all samples, one per sample in an archive, R's
files.

All of these files were written by others. An error names the file, the member or column at fault,
and the key of the card that would correct it.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from alsmuscle.core import deadline
from alsmuscle.core.errors import InputError
from alsmuscle.data.genes import is_summary
from alsmuscle.data.readers import members as archive
from alsmuscle.data.readers import rfiles, tables
from alsmuscle.data.readers.arrays import read_annotation
from alsmuscle.data.readers.sample_sheets import read_recount3
from alsmuscle.download.decode import lines_of, read_text, some

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

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


class Matrix(NamedTuple):
    """An expression matrix as its source has it.

    ``values``: genes × samples; index = gene ids as in the source (may repeat), name ``source_id``.
    ``symbols``: the source's own symbols beside its ids, row by row, or None. ``notes``: sentences
    on what was left out in reading.
    """

    values: pd.DataFrame
    symbols: list[str] | None
    notes: list[str]


# --- matrices -------------------------------------------------------------------------------------


def read_matrix(
    path: Path,
    spec: Mapping[str, Any],
    members: Mapping[str, str],
    *,
    quality: Path | None = None,
    annotation: Path | None = None,
) -> Matrix:
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

    Raises
    ------
    InputError
        The file is not what the card says; the message names file, member or column.
    """
    spec = {**TOOLS.get(spec.get("tool", ""), {}), **spec, "chosen": "count_column" in spec}
    notes: list[str] = []
    symbols: list[str] | None = None
    if spec["layout"] == "tar_tables":
        matrix, symbols = _tar_tables(path, spec, members, notes)
    elif spec["layout"] == "recount3":
        if quality is None:
            raise InputError("no table `recount_qc`", where=path, remedy="set `counts.quality`")
        matrix = _recount3(path, quality)
    elif spec["layout"] == "rdata":
        shape = tables.Form("counts", notes=notes)
        matrix, symbols = _matrix(rfiles.read_frame(path, spec, "counts"), spec, str(path), shape)
    else:
        shape = _form(spec, notes)
        frame = tables.read(path.read_bytes(), str(path), shape)
        if not shape.header:
            raise InputError("a matrix needs a header row with sample names", where=path)
        matrix, symbols = _matrix(frame, spec, str(path), shape)
    if annotation is not None:
        names = read_annotation(annotation, spec["annotation"])["symbol"]
        symbols = names.reindex(matrix.index).fillna("").tolist()
    return Matrix(matrix, symbols, notes)


def _form(spec: Mapping[str, Any], notes: list[str]) -> tables.Form:
    """Return the form of a table of counts;
    a matrix is separated by tabs unless the card says so.
    """
    text = tuple({spec.get("gene_column", 0), spec.get("symbol_column", 0)})
    return tables.form(
        {"separator": "tab", **spec},
        "counts",
        header=spec.get("header", True),
        text_columns=text,
        notes=notes,
    )


def _matrix(
    frame: pd.DataFrame, spec: Mapping[str, Any], where: str, shape: tables.Form
) -> tuple[pd.DataFrame, list[str] | None]:
    """Turn a table of all samples into numbers by gene, and its symbols."""
    _check_column(frame, "gene_column", spec, where)
    gene = frame.columns[spec.get("gene_column", 0)]
    if _numbered(frame[gene]):
        raise InputError(
            f"the column of genes, '{gene}', holds the numbers of the rows",
            where=f"{where}: counts.gene_column",
            expected="ids of genes",
            remedy=f"set `counts.gene_column: 1` if the genes are in '{frame.columns[1]}'",
        )
    frame, symbols = _symbols_beside(frame, spec, where, shape.notes, _Screen(spec))
    skip = set(spec.get("skip_columns", []))
    unknown = sorted(skip - set(frame.columns))
    if unknown:
        raise InputError(
            f"no column '{unknown[0]}' to skip", where=where, expected=some(frame.columns)
        )
    if spec.get("tool") == "featurecounts":
        skip |= set(_FEATURECOUNTS)
    if "symbol_column" in spec:
        skip.add(frame.columns[spec["symbol_column"]])
    matrix = frame[[c for c in frame.columns if c not in skip and c != gene]]
    return _by_gene(matrix, frame[gene], where, shape), symbols


def _check_column(frame: pd.DataFrame, key: str, spec: Mapping[str, Any], where: str) -> None:
    if spec.get(key, 0) >= frame.shape[1]:
        raise InputError(
            f"the table has {frame.shape[1]} columns",
            where=f"{where}: counts.{key}",
            expected=f"a position below that; the card says {spec[key]}",
        )


def _numbered(ids: pd.Series) -> bool:
    """Say whether ids are 1, 2, 3, … or 0, 1, 2, …:
    row numbers, which would pass for Entrez ids.
    """
    found = ids.tolist()
    return len(ids) > 2 and any(
        found == [str(n + start) for n in range(len(ids))] for start in (0, 1)
    )


def _by_gene(
    frame: pd.DataFrame, genes: pd.Series, where: str, shape: tables.Form, *, missing: bool = False
) -> pd.DataFrame:
    index = genes.astype(str).str.strip().rename("source_id")
    return tables.numeric(frame.set_axis(index, axis=0), where, shape, missing=missing)


class _Screen:
    """Which rows are no genes; samples of an archive share their ids, which are looked at once."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._patterns = [_SUMMARIES[spec["tool"]]] if spec.get("tool") in _SUMMARIES else []
        self._patterns += [re.escape(spec["summary_prefix"])] if "summary_prefix" in spec else []
        self._last: tuple[pd.Series, npt.NDArray[np.bool_]] | None = None

    def no_genes(self, ids: pd.Series) -> npt.NDArray[np.bool_]:
        if self._last is None or not self._last[0].equals(ids):
            out = is_summary(ids).to_numpy()
            for pattern in self._patterns:
                out |= ids.str.match(pattern).to_numpy()
            self._last = (ids, out)
        return self._last[1]


def _symbols_beside(
    frame: pd.DataFrame, spec: Mapping[str, Any], where: str, notes: list[str], screen: _Screen
) -> tuple[pd.DataFrame, list[str] | None]:
    """Return the rows that are genes, and the source's symbols for them where it has a column."""
    genes = frame.iloc[:, spec.get("gene_column", 0)].astype(str)
    out = screen.no_genes(genes)
    if out.any():
        names = list(dict.fromkeys(genes[out]))
        said = f"Rows that are no genes were left out: {some(names, 6)}."
        notes += [] if said in notes else [said]  # every sample of an archive has the same
    frame = frame[~out]
    if "symbol_column" not in spec:
        return frame, None
    _check_column(frame, "symbol_column", spec, where)
    return frame, frame.iloc[:, spec["symbol_column"]].astype(str).tolist()


def _tar_tables(
    path: Path, spec: Mapping[str, Any], members: Mapping[str, str], notes: list[str]
) -> tuple[pd.DataFrame, list[str] | None]:
    import pandas as pd

    pattern, screen = re.compile(spec["member"]), _Screen(spec)
    columns: dict[str, pd.Series] = {}
    symbols: dict[str, pd.Series] = {}
    seen: dict[str, str] = {}
    listed = []
    for name, content in archive.each(path):
        listed.append(name)
        with deadline.of_pattern(spec["member"], f"{path}: counts.member"):
            match = pattern.search(name)
        if not match or (spec.get("tool") == "featurecounts" and name.endswith(".summary")):
            continue
        sample = match["sample_id"]
        where = f"{path}: member {name}"
        _check_hash(content, members, name, where)
        if sample in columns:
            raise InputError(
                f"two members give sample '{sample}'",
                where=where,
                expected=f"one; the other is {seen[sample]}",
                remedy="make `counts.member` narrower: let it end as the tables' names do, with $",
            )
        seen[sample] = name
        frame = tables.read(content, where, _form(spec, notes))
        _check_column(frame, "gene_column", spec, where)
        frame, names = _symbols_beside(frame, spec, where, notes, screen)
        columns[sample] = _count_column(frame, spec, where).rename(sample)
        if names is not None:
            symbols[sample] = pd.Series(names, index=columns[sample].index)
    lacking = sorted(set(members) - set(seen.values()))
    if lacking:
        raise InputError(
            f"{len(lacking)} pinned member(s) not in the archive, such as {lacking[0]}",
            where=path,
            expected=f"{len(members)} members; found {len(seen)}",
        )
    if not columns:
        raise InputError(
            "no member matches `counts.member`",
            where=path,
            expected=spec["member"],
            remedy=f"correct the expression; the members are {some(listed, 5)}",
        )
    matrix = _side_by_side(columns, path)
    first = next(iter(symbols.values()), None)  # of the same genes, in the same order
    return matrix, None if first is None else first.tolist()


def _check_hash(content: bytes, members: Mapping[str, str], name: str, where: str) -> None:
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


def _side_by_side(columns: Mapping[str, pd.Series], path: Path) -> pd.DataFrame:
    """Put samples together by gene; the order of the genes may differ."""
    import pandas as pd

    first, *others = columns.values()
    aligned = {str(first.name): first}
    for other in others:
        unlike_order = not other.index.equals(first.index)
        if unlike_order:
            unlike = first.index.symmetric_difference(other.index)
            if len(unlike) or first.index.has_duplicates or other.index.has_duplicates:
                problem = (
                    f"sample '{other.name}' lists other genes than '{first.name}': "
                    f"{len(unlike)} are in one of them only: {some(unlike, 3)}"
                    if len(unlike)
                    else f"samples '{first.name}' and '{other.name}' list genes several times, in "
                    "another order"
                )
                raise InputError(
                    problem,
                    where=path,
                    expected="the same genes in every member",
                    remedy="make `counts.member` narrower, or use one joined table",
                )
        aligned[str(other.name)] = other.reindex(first.index) if unlike_order else other
    return pd.DataFrame(aligned)


def _count_column(frame: pd.DataFrame, spec: Mapping[str, Any], where: str) -> pd.Series:
    """Return the counts of one sample's table, by gene; several columns (lanes) are added up."""
    given = spec.get("count_column", _STAR_STRAND.get(spec.get("strand", ""), 0))
    positions = [given] if isinstance(given, int) else list(given)
    if max(positions) >= frame.shape[1]:
        raise InputError(
            f"the table has {frame.shape[1]} columns",
            where=where,
            expected=f"column {max(positions)}",
        )
    _check_header(frame, positions[0], spec, where)
    if spec.get("tool") == "featurecounts" and frame.shape[1] > 7 and not spec["chosen"]:
        raise InputError(
            f"{frame.shape[1] - 6} columns of counts: {some(frame.columns[6:], 4)}",
            where=where,
            expected="one",
            remedy="set `counts.count_column` to the position that is meant (the first is 6), "
            "or to several that are to be added up, such as [6, 7] for two lanes of one library",
        )
    shape = _form(spec, [])
    gene = frame.iloc[:, spec.get("gene_column", 0)]

    def reads(position: int) -> pd.Series:
        return _by_gene(frame.iloc[:, [position]], gene, where, shape).iloc[:, 0]

    counts = sum((reads(position) for position in positions[1:]), start=reads(positions[0]))
    other = {"forward": 3, "reverse": 2}.get(spec.get("strand", ""))
    if other is not None and not spec["chosen"]:
        opposite = reads(other)
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
