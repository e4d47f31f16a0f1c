"""Files in and out. Beside it only ``download`` and ``data.readers`` open data files.

Whatever is written goes to a temporary name in the same folder and is renamed when it is whole.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import math
import os
import re
import secrets
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core import contracts, redaction
from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

# Of HDF5. LZF is hardly faster, and gives equal data different bytes: its table is not initialised.
COMPRESSION = {"compression": "gzip", "compression_opts": 1}
RESOURCES = Path(__file__).resolve().parents[3] / "resources"


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Nodes of a cluster may have the same process ids. The suffix stays: writers such as anndata's
    # choose their format by it.
    part = path.with_name(f".{secrets.token_hex(4)}.part.{path.name}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str | bytes) -> None:
    """Write text (UTF-8) or bytes."""
    with atomic(path) as part:
        part.write_bytes(text.encode() if isinstance(text, str) else text)


def link(source: str | Path, target: str | Path) -> None:
    """Let a file stand in a second place: a hard link, a copy where the file system has none."""
    with atomic(target) as part:
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)


# A cell that a spreadsheet may take for a formula: no number, and not a lone sign.
_FORMULA = re.compile(
    rb"(?:^|\t)\"?[ \r\v\f]{0,99}(?=[=+\-@])"
    rb"(?![+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:[\t\r\n]|$))",
    re.MULTILINE,
)


# Whatever the pattern above finds has this inside, which is found several times as fast: it begins
# with a few characters, and most tables have none of them where a cell begins.
_PERHAPS = re.compile(
    rb"[=+\-@](?<=[\t\n\" \r\v\f].)"
    rb"(?!(?<=[+-])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:[\t\r\n]|$))"
)


def _has_formula(table: bytes) -> bool:
    return bool(_PERHAPS.search(b"\n" + table) and _FORMULA.search(table))


def publish(source: str | Path, target: str | Path) -> None:
    """Let a table stand in the report, which is mailed: no spreadsheet takes a cell for a formula.

    A link where nothing has to change, as in nearly all tables; pages and figures are linked.
    """
    source = Path(source)
    if source.suffix not in (".tsv", ".csv") or not _has_formula(source.read_bytes()):
        link(source, target)
        return
    separator = "\t" if source.suffix == ".tsv" else ","
    made = io.StringIO(newline="")
    writer = csv.writer(made, delimiter=separator, lineterminator="\n")
    with source.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file, delimiter=separator):
            writer.writerow([redaction.cell(value) for value in row])
    write_text(target, made.getvalue())


def read_text(path: str | Path) -> str:
    """Read text (UTF-8)."""
    return Path(path).read_text(encoding="utf-8")


def write_json(path: str | Path, document: Any) -> None:
    """Write JSON with sorted keys."""
    write_text(path, json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_table(path: str | Path, frame: pd.DataFrame, contract: contracts.Table) -> None:
    """Write a table as tab-separated text, six significant digits, checked against its contract."""
    checked = contracts.check_table(frame, contract, str(path))
    write_text(path, _lines([_cells(checked[column]) for column in checked.columns], checked))


def _lines(cells: Sequence[Sequence[str]], frame: pd.DataFrame) -> str:
    """Return columns of cells as lines below the names of ``frame``, as the CSV writer has them."""
    names = [str(name) for name in frame.columns]
    # Cells that need no quotes are only joined: a third of the writer's time.
    text = "\n".join(["\t".join(names), *map("\t".join, zip(*cells, strict=True)), ""])
    lines = len(frame) + 1
    plain = text.count("\t") == lines * (len(names) - 1) and text.count("\n") == lines
    if plain and len(names) > 1 and '"' not in text and "\r" not in text:
        return text
    made = io.StringIO(newline="")
    writer = csv.writer(made, delimiter="\t", lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*cells, strict=True))
    return made.getvalue()


def _cells(column: pd.Series) -> list[str]:
    """Return the text of a column's cells, fit to be seen; empty where a value is missing."""
    import pandas as pd

    kind = column.dtype.kind if column.dtype in _PLAIN else "O"
    values: list[Any] = column.tolist()
    if kind == "f":
        return ["" if math.isnan(number) else f"{number:.6g}" for number in values]
    if kind != "O":
        return list(map(str, values))
    try:
        if "".join(values).isprintable():
            return values
    except TypeError:  # not all are text
        missing = pd.isna(column)
        values = ["" if none else str(value) for value, none in zip(values, missing, strict=True)]
    return list(map(redaction.printable, values))


_PLAIN = ("float64", "float32", "int64", "int32", "bool")  # all others may have missing values


def read_table(path: str | Path, contract: contracts.Table) -> pd.DataFrame:
    """Read a table of ours and check it against its contract.

    Raises
    ------
    InputError
        The file is missing or breaks the contract.
    """
    kinds = contract.columns
    numbers = [column for column, kind in kinds.items() if kind not in ("text", "flag")]
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    frame = _plain_table(data, numbers)
    if frame is None:
        frame = _any_table(data, path, contract, numbers)
    for column in frame.columns.intersection([c for c, kind in kinds.items() if kind == "flag"]):
        values = frame[column].to_numpy()
        true = values == "True"
        fine = bool((true | (values == "False")).all())
        frame[column] = true if fine else frame[column].map({"True": True, "False": False})
    return contracts.check_table(frame, contract, str(path))


def _plain_table(data: bytes, numbers: Collection[str]) -> pd.DataFrame | None:
    """Read a table without quotes by Arrow, in a third of the time that pandas takes.

    ``None``: it is not that plain, or has text for a number; pandas is to read it, or to say why
    not. Both give the nearest double of a number's text.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    first = data[: max(data.find(b"\n"), 0)]
    names = first.decode(errors="replace").split("\t")
    if not first or b'"' in data or b"\r" in data or len(set(names)) < len(names) or "" in names:
        return None
    types = {name: pa.float64() if name in numbers else pa.string() for name in names}
    try:
        table = arrow.read_csv(
            pa.BufferReader(data),
            # One block: the rows of each column stay in one piece.
            arrow.ReadOptions(use_threads=False, block_size=len(data) + 1),
            arrow.ParseOptions(delimiter="\t", quote_char=False),
            arrow.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False),
        )
    except (pa.ArrowInvalid, OverflowError):  # the latter of a block above 2 GB
        return None
    return table.to_pandas(use_threads=False)


def _any_table(
    data: bytes, path: str | Path, contract: contracts.Table, numbers: Sequence[str]
) -> pd.DataFrame:
    """Read a table by pandas, or say in words what is wrong with it."""
    import pandas as pd

    read_as: defaultdict[str, type] = defaultdict(lambda: str, dict.fromkeys(numbers, float))
    try:
        return pd.read_csv(
            io.BytesIO(data),
            sep="\t",
            dtype=read_as,
            na_values={column: [""] for column in numbers},
            keep_default_na=False,
            float_precision="round_trip",
        )
    except pd.errors.EmptyDataError:
        raise InputError("the file is empty", where=path) from None
    except ValueError as error:
        raise InputError(
            f"breaks the contract '{contract.name}': {error}",
            where=path,
            expected=f"numbers in {', '.join(numbers)}",
        ) from None


def write_parquet(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a table as parquet, compressed."""
    with atomic(path) as part:
        frame.to_parquet(part, index=False, compression="zstd")


def read_parquet(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a parquet table, or some of its columns: those that it lacks are left out."""
    import pandas as pd
    import pyarrow.parquet as pq

    if columns is not None:
        known = set(pq.read_schema(path).names)
        columns = [column for column in columns if column in known]
    return pd.read_parquet(path, columns=columns)


def write_h5ad(path: str | Path, adata: AnnData) -> None:
    """Write an AnnData, lightly compressed."""
    with atomic(path) as part:
        adata.write_h5ad(part, **COMPRESSION)


def read_h5ad(path: str | Path) -> AnnData:
    """Read an AnnData."""
    from alsmuscle.core.annotated import anndata

    return anndata.read_h5ad(path)


_ROWS_AT_ONCE = 5000


def read_levels(path: str | Path, symbols: Collection[str]) -> tuple[pd.Index, list[str], Any]:
    """Read some genes of an AnnData with sparse rows, without its other genes in memory.

    Parameters
    ----------
    symbols
        In any spelling of case; of several rows of one symbol the first counts.

    Returns
    -------
    cells, genes, levels
        Names of all observations; symbols that were found, sorted; values of ``X``, sparse by
        column, observations × genes.
    """
    import h5py
    import numpy as np
    from scipy import sparse

    from alsmuscle.core.annotated import read_elem

    with h5py.File(path, "r") as file:
        var, cells = read_elem(file["var"]), read_elem(file["obs"]).index
        wanted = {symbol.upper() for symbol in symbols}
        names = var["symbol"].astype(str)
        chosen = names.str.upper().isin(wanted) & ~names.str.upper().duplicated()
        genes = sorted(names[chosen])
        place = {name: i for i, name in zip(np.flatnonzero(chosen), names[chosen], strict=True)}
        columns = [place[name] for name in genes]
        held, parts = file["X"], []
        indptr = held["indptr"][:]
        for start in range(0, len(cells), _ROWS_AT_ONCE):
            ends = indptr[start : start + _ROWS_AT_ONCE + 1]
            span = slice(ends[0], ends[-1])
            rows = sparse.csr_matrix(
                (held["data"][span], held["indices"][span], ends - ends[0]),
                shape=(len(ends) - 1, len(var)),
            )
            parts.append(rows.tocsc()[:, columns])
        levels = sparse.vstack(parts).tocsc() if parts else sparse.csc_matrix((0, len(genes)))
    return cells, genes, levels


def write_h5ads(path: str | Path, parts: Mapping[str, AnnData]) -> None:
    """Write several named AnnData into one HDF5 file, a group each."""
    import h5py

    from alsmuscle.core.annotated import write_elem

    with atomic(path) as part, h5py.File(part, "w") as file:
        for number, (name, adata) in enumerate(parts.items()):
            # Names may hold any character, a group's name may not: number the groups.
            write_elem(file, f"part{number}", adata)
            file[f"part{number}"].attrs["name"] = name


def read_h5ads(path: str | Path, name: str) -> AnnData:
    """Read one named AnnData of a file written by :func:`write_h5ads`.

    Raises
    ------
    InputError
        The file has no part of that name.
    """
    import h5py

    from alsmuscle.core.annotated import read_elem

    with h5py.File(path, "r") as file:
        for group in file.values():
            if group.attrs["name"] == name:
                return read_elem(group)
        known = [str(group.attrs["name"]) for group in file.values()]
    raise InputError(f"no part '{name}'", where=path, expected=", ".join(known))


def sha256(path: str | Path) -> str:
    """Return the sha256 of a file, in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached(manifest: pd.DataFrame, name: str) -> Path:
    """Return the path of a fetched file, checked to be the one that was recorded.

    Raises
    ------
    InputError
        The file was moved or changed since it was fetched.
    """
    row = manifest.set_index("name").loc[name]
    path = Path(row["path"])
    there = path.is_file() and path.stat().st_size == row["bytes"]
    if not there or row["sha256"] not in ("", _known(path, path.stat().st_mtime_ns)):
        raise InputError(
            f"the file of {row['study']} that was fetched from {row['url']} is gone or changed",
            where=path,
            expected=f"{row['bytes']} bytes with sha256 {row['sha256']}",
            remedy=f"fetch it again: snakemake --forcerun data_fetch (study {row['study']})",
        )
    return path


@cache
def _known(path: Path, _mtime: int) -> str:
    """Return a file's sha256, once per process."""
    return sha256(path)


# --- tables of the workflow -----------------------------------------------------------------


def read_gene_table(organism: str) -> pd.DataFrame:
    """Read the pinned gene table of an organism (see ``workflow/resources/README.md``)."""
    return _resource(f"genes_{organism}.tsv.gz").copy()


def read_orthologs() -> pd.DataFrame:
    """Read the pinned table of 1:1 human–mouse orthologs."""
    return _resource("orthologs_human_mouse.tsv.gz").copy()


@cache
def _resource(name: str) -> pd.DataFrame:
    """Read a table of the workflow, once per process."""
    data = gzip.decompress((RESOURCES / name).read_bytes())
    frame = _plain_table(data, ())
    assert frame is not None, f"{name} has quotes or ragged rows"  # it is a file of ours
    return frame


def read_plain(path: str | Path) -> pd.DataFrame:
    """Read a tab-separated table of the configuration as text."""
    import pandas as pd

    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, comment="#")


def human_names() -> pd.Series:
    """Return mouse gene id → symbol of its 1:1 human ortholog."""
    orthologs = read_orthologs()
    return orthologs.set_index("mouse_gene_id")["human_symbol"]


def write_square(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a samples × samples table, first column ``sample_id``."""
    with atomic(path) as part:
        frame.rename_axis("sample_id").to_csv(part, sep="\t", float_format="%.6g")


def read_square(path: str | Path) -> pd.DataFrame:
    """Read what :func:`write_square` wrote."""
    import pandas as pd

    frame = pd.read_csv(path, sep="\t", dtype={"sample_id": str}).set_index("sample_id")
    return frame.set_axis(frame.index, axis=1)
