"""Files in and out: the only module beside ``fetch`` that opens data files.

Whatever is written goes to a temporary name in the same folder and is renamed when it is whole.
"""

from __future__ import annotations

import gzip
import hashlib
import io as stdio
import json
import re
import secrets
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle import contracts
from alsmuscle.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

RESOURCES = Path(__file__).resolve().parents[2] / "resources"
_SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";"}


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


def read_text(path: str | Path) -> str:
    """Read text (UTF-8)."""
    return Path(path).read_text(encoding="utf-8")


def write_json(path: str | Path, document: Any) -> None:
    """Write JSON with sorted keys."""
    write_text(path, json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_table(path: str | Path, frame: pd.DataFrame, contract: str) -> None:
    """Write a table as tab-separated text, six significant digits, checked against its contract."""
    checked = contracts.check_table(frame, contract, str(path))
    with atomic(path) as part:
        checked.to_csv(part, sep="\t", index=False, float_format="%.6g", lineterminator="\n")


def read_table(path: str | Path, contract: str) -> pd.DataFrame:
    """Read a table of ours and check it against its contract.

    Raises
    ------
    InputError
        The file is missing or breaks the contract.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except pd.errors.EmptyDataError:
        raise InputError("the file is empty", where=path) from None
    kinds = contracts.TABLES[contract].columns
    for column in frame.columns:
        kind = kinds.get(column)
        if kind == "flag":
            frame[column] = frame[column].map({"True": True, "False": False})
        elif kind not in (None, "text"):
            frame[column] = pd.to_numeric(frame[column], errors="coerce")
    return contracts.check_table(frame, contract, str(path))


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
        adata.write_h5ad(part, compression="lzf")


def read_h5ad(path: str | Path) -> AnnData:
    """Read an AnnData."""
    import anndata

    return anndata.read_h5ad(path)


def write_h5ads(path: str | Path, parts: Mapping[str, AnnData]) -> None:
    """Write several named AnnData into one HDF5 file, a group each."""
    import h5py
    from anndata.io import write_elem

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
    from anndata.io import read_elem

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
    """Return the path of a fetched file, checked to be there with the size that was recorded.

    Raises
    ------
    InputError
        The file was moved or changed since it was fetched.
    """
    row = manifest.set_index("name").loc[name]
    path = Path(row["path"])
    if not path.is_file() or path.stat().st_size != row["bytes"]:
        raise InputError(
            f"the file of {row['study']} that was fetched from {row['url']} is gone or changed",
            where=path,
            expected=f"{row['bytes']} bytes",
            remedy=f"fetch it again: snakemake --forcerun data_fetch (study {row['study']})",
        )
    return path


# --- matrices -------------------------------------------------------------------------------


def read_matrix(
    path: Path, spec: Mapping[str, Any], members: Mapping[str, str]
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
    if spec["layout"] == "tar_tables":
        return _tar_tables(path, spec, members)
    frame = _read_delimited(path.read_bytes(), spec, str(path))
    if spec.get("header", True) is False:
        raise InputError("a matrix needs a header row with sample names", where=path)
    frame, symbols = _symbols_beside(frame, spec)
    gene = frame.columns[spec.get("gene_column", 0)]
    unknown = [c for c in spec.get("skip_columns", []) if c not in frame.columns]
    if unknown:
        raise InputError(
            f"no column '{unknown[0]}' to skip", where=path, expected=_some(frame.columns)
        )
    matrix = frame.drop(columns=spec.get("skip_columns", [])).set_index(gene)
    return _numeric(matrix, str(path)), symbols


def _symbols_beside(
    frame: pd.DataFrame, spec: Mapping[str, Any]
) -> tuple[pd.DataFrame, list[str] | None]:
    """Return the rows that are genes, and the source's symbols for them where it has a column."""
    if prefix := spec.get("summary_prefix"):
        genes = frame.iloc[:, spec.get("gene_column", 0)].astype(str)
        frame = frame[~genes.str.startswith(prefix)]
    if "symbol_column" not in spec:
        return frame, None
    return frame, frame.iloc[:, spec["symbol_column"]].astype(str).tolist()


def _tar_tables(
    path: Path, spec: Mapping[str, Any], members: Mapping[str, str]
) -> tuple[pd.DataFrame, list[str] | None]:
    import pandas as pd

    symbols: list[str] | None = None
    pattern = re.compile(spec["member"])
    columns: dict[str, pd.Series] = {}
    seen = set()
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                match = pattern.search(member.name)
                if not member.isfile() or not match:
                    continue
                sample = match["sample_id"]
                where = f"{path}: member {member.name}"
                content = archive.extractfile(member).read()  # type: ignore[union-attr]
                expected = members.get(member.name)
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
                seen.add(member.name)
                frame, symbols = _symbols_beside(_read_delimited(content, spec, where), spec)
                frame = frame.set_index(frame.columns[spec.get("gene_column", 0)])
                position = spec["count_column"] - (
                    spec["count_column"] > spec.get("gene_column", 0)
                )
                column = frame.iloc[:, [position]].set_axis([sample], axis=1)
                columns[sample] = _numeric(column, where)[sample]
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"not a whole tar archive: {error}", where=path) from None
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
        if not other.index.equals(first.index):
            raise InputError(
                f"sample '{other.name}' lists other genes than '{first.name}'",
                where=path,
                expected="the same genes in the same order in every member",
            )
    return pd.DataFrame(columns), symbols


def _read_delimited(content: bytes, spec: Mapping[str, Any], where: str) -> pd.DataFrame:
    import pandas as pd

    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise InputError(f"damaged gzip: {error}", where=where) from None
    if not content.strip():
        raise InputError("the file is empty", where=where)
    separator = _SEPARATORS[spec.get("separator", "tab")]
    try:
        frame = pd.read_csv(
            stdio.BytesIO(content),
            sep=separator,
            header=0 if spec.get("header", True) else None,
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
        # R writes row names without a header of their own.
        frame = frame.rename_axis("gene").reset_index()
        frame["gene"] = frame["gene"].astype(str)
    if frame.shape[1] < 2:
        raise InputError(
            "only one column",
            where=where,
            expected=f"columns separated by {spec.get('separator', 'tab')}",
            remedy="set `counts.separator` on the card",
        )
    return frame


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
    else:
        separator = "," if spec["layout"] == "csv" else "\t"
        frame = pd.read_csv(path, sep=separator, dtype={spec["gene_column"]: str})
    for key in ("gene_column", "probe_column"):
        if key in spec and spec[key] not in frame:
            raise InputError(
                f"no column '{spec[key]}'",
                where=f"{path}: effects.{key}",
                expected=_some(frame.columns),
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
            objects = rdata.read_rda(path)
    except Exception as error:
        raise InputError(f"not readable as R data: {error}", where=path) from None
    frames = {key: value for key, value in objects.items() if isinstance(value, pd.DataFrame)}
    if name is None and len(frames) == 1:
        return next(iter(frames.values())).reset_index(drop=True)
    if name not in frames:
        raise InputError(
            f"no data frame '{name}'" if name else "several data frames, or none",
            where=f"{path}: effects.object",
            expected=_some(frames or objects),
        )
    return frames[name].reset_index(drop=True)


# --- sample sheets --------------------------------------------------------------------------


def read_sheet(path: Path, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Read a sample sheet as text, one row per sample, values untouched but for outer blanks.

    Raises
    ------
    InputError
        The file is not what the card says.
    """
    import pandas as pd

    try:
        if spec["layout"] == "xlsx":
            frame = pd.read_excel(path, dtype=str, keep_default_na=False)
        elif spec["layout"] == "series_matrix":
            frame = parse_series_matrix(_text(path), str(path))
        else:
            frame = pd.read_csv(
                path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False
            )
    except (ValueError, UnicodeDecodeError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"not readable as {spec['layout']}: {error}", where=path) from None
    frame = frame.apply(lambda column: column.str.strip())
    for column, value in spec.get("rows", {}).items():
        if column not in frame.columns:
            raise InputError(
                f"no column '{column}' to select rows by", where=path, expected=_some(frame.columns)
            )
        frame = frame[frame[column] == value]
    if frame.empty:
        raise InputError("no sample row is left", where=path, remedy="check `samples.sheet.rows`")
    return frame.reset_index(drop=True)


def _text(path: Path) -> str:
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    return content.decode("utf-8")


def parse_series_matrix(text: str, where: str) -> pd.DataFrame:
    """Read the sample lines of a GEO series matrix: one row per sample.

    Characteristics become columns ``<name>:ch1``, as GEOquery names them; other lines keep their
    GEO name, numbered when repeated.

    Raises
    ------
    InputError
        There is no ``!Sample_geo_accession`` line.
    """
    import csv

    import pandas as pd

    columns: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.startswith("!Sample_"):
            continue
        name, *values = next(csv.reader([line], delimiter="\t"))
        name = name.removeprefix("!Sample_")
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


def read_gene_table(organism: str) -> pd.DataFrame:
    """Read the pinned gene table of an organism (see ``workflow/resources/README.md``)."""
    import pandas as pd

    path = RESOURCES / f"genes_{organism}.tsv.gz"
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def read_orthologs() -> pd.DataFrame:
    """Read the pinned table of 1:1 human–mouse orthologs."""
    import pandas as pd

    path = RESOURCES / "orthologs_human_mouse.tsv.gz"
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def read_plain(path: str | Path) -> pd.DataFrame:
    """Read a tab-separated table of the configuration as text."""
    import pandas as pd

    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, comment="#")


def read_collections(manifest: str | Path) -> dict[str, str]:
    """Read the fetched gene-set collections: collection → text in GMT form."""
    table = read_table(manifest, "manifest")
    return {name: read_text(cached(table, name)) for name in table["name"]}


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


def _some(names: Any, most: int = 12) -> str:
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
