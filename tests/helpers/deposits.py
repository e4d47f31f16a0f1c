"""Files of studies as programs and archives write them, with made-up counts of real genes."""

from __future__ import annotations

import gzip
import io
import tarfile
from functools import cache
from typing import Any

import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from support import ROOT

N_GENES = 60


def genes(organism: str = "human") -> pd.DataFrame:
    return _genes(organism).copy()


@cache
def _genes(organism: str) -> pd.DataFrame:
    path = ROOT / "workflow" / "resources" / f"genes_{organism}.tsv.gz"
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    table = table[table["primary"].eq("1") & table["entrez"].ne("") & table["symbol"].ne("")]
    sexed = table["symbol"].str.upper().isin(["XIST", "DDX3Y", "KDM5D"])
    return pd.concat([table[sexed], table[~sexed].head(N_GENES - sexed.sum())])


def counts(n: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).negative_binomial(5, 0.02, (N_GENES, n))


def text(index: pd.Series, columns: list[str], *, head: str, sep: str = "\t", **more: Any) -> bytes:
    """A table of counts: ids, further columns before, samples, further columns behind."""
    table = pd.DataFrame(counts(len(columns)), columns=columns)
    for name, values in reversed(more.get("before", {}).items()):
        table.insert(0, name, list(values))
    table.insert(0, head, list(index))
    for name, values in more.get("behind", {}).items():
        table[name] = values
    return table.to_csv(sep=sep, index=False).encode()


def workbook(sheet: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    sheet.to_excel(stream, index=False)
    return stream.getvalue()


def triplet(n_barcodes: int, *, seed: int, n_named: int | None = None) -> dict[str, bytes]:
    """Name to content of one sample's three files; ``n_named`` barcodes are listed."""
    return dict(_triplet(n_barcodes, seed, n_named))


@cache
def _triplet(n_barcodes: int, seed: int, n_named: int | None) -> dict[str, bytes]:
    X, table = sparse.coo_matrix(counts(n_barcodes, seed=seed)), genes()
    cells = "".join(f"{r + 1} {c + 1} {v}\n" for r, c, v in zip(X.row, X.col, X.data, strict=True))
    head = f"%%MatrixMarket matrix coordinate integer general\n{X.shape[0]} {X.shape[1]} {X.nnz}\n"
    named = zip(table["gene_id"], table["symbol"], strict=True)
    parts = {
        "matrix.mtx": head + cells,
        "barcodes.tsv": "".join(f"AC{i}-1\n" for i in range(n_named or n_barcodes)),
        "features.tsv": "".join(f"{gene}\t{symbol}\tGene Expression\n" for gene, symbol in named),
    }
    return {f"{name}.gz": gzip.compress(content.encode()) for name, content in parts.items()}


def series_matrix(sheet: pd.DataFrame, table: str = '"ID_REF"') -> bytes:
    """The sample lines of a series matrix; characteristics stand in the columns ``<name>:ch1``.

    ``table`` is what stands between the marks: of arrays, nothing for sequencing.
    """
    lines = ['!Series_title\t"made for the tests"']
    for column in sheet:
        values = [str(value) for value in sheet[column]]
        name = f"!Sample_{column}"
        if column.endswith(":ch1"):
            key = column.removesuffix(":ch1")
            name = "!Sample_characteristics_ch1"
            values = [f"{key}: {value}" if value else "" for value in values]
        lines.append("\t".join([name, *(f'"{value}"' for value in values)]))
    lines += ["!series_matrix_table_begin", table, "!series_matrix_table_end"]
    return gzip.compress("\n".join(lines).encode())


def platform_annotation(probes: list[str], table: pd.DataFrame) -> bytes:
    """GEO's annotation of a chip; the first probe measures two genes."""
    symbols, ids = list(table["symbol"]), list(table["entrez"])
    symbols[0], ids[0] = f"{symbols[0]}///{symbols[1]}", f"{ids[0]}///{ids[1]}"
    rows = pd.DataFrame({"ID": probes, "Gene title": "x", "Gene symbol": symbols, "Gene ID": ids})
    head = "^Annotation\n!Annotation_platform = GPL96\n#ID = probe\n!platform_table_begin\n"
    body = rows.to_csv(sep="\t", index=False)
    return gzip.compress(f"{head}{body}!platform_table_end\n".encode())


def soft(sheet: pd.DataFrame) -> str:
    """The same samples as the archive's brief record has them."""
    lines = []
    for row in sheet.to_dict("records"):
        lines += [f"^SAMPLE = {row['geo_accession']}"]
        for column, value in row.items():
            if column.endswith(":ch1") and value:
                key = column.removesuffix(":ch1")
                lines.append(f"!Sample_characteristics_ch1 = {key}: {value}")
    return "\n".join(lines)


def tenx_h5(n_barcodes: int, *, seed: int, n_genes: int = N_GENES) -> bytes:
    table, X = genes().head(n_genes), sparse.csc_matrix(counts(n_barcodes, seed=seed)[:n_genes])
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        parts = {
            "data": X.data,
            "indices": X.indices,
            "indptr": X.indptr,
            "shape": np.array(X.shape),
            "barcodes": np.array([f"AC{i}-1" for i in range(n_barcodes)], "S"),
            "features/id": np.array(list(table["gene_id"]), "S"),
            "features/name": np.array(list(table["symbol"]), "S"),
            "features/feature_type": np.array(["Gene Expression"] * n_genes, "S"),
        }
        for name, value in parts.items():
            file[f"matrix/{name}"] = value
    return stream.getvalue()


def tar(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()
