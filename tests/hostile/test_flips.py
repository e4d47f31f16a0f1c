"""Copies of sound files with a few bytes overwritten: an error or a sound result, never a death.

Fifty copies of each container in `make test`, a thousand under `make verify`. Each is read as a job
reads it, in a child with bounds: even a crash of a library is that study's failure, and is told.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import io as scipy_io
from scipy import sparse

from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import arrays, matrices, results, tables
from alsmuscle.data.readers.single_cell import read_sample
from alsmuscle.download import sandbox

GENES = [f"ENSG{number:011d}" for number in range(1, 41)]
COUNTS = np.random.default_rng(1).poisson(20, (40, 6))
FRAME = pd.DataFrame(COUNTS, index=GENES, columns=[f"GSM{n}" for n in range(1, 7)])
TABLE = FRAME.rename_axis("gene").reset_index()
TEXT = TABLE.to_csv(sep="\t", index=False)
Seen = list[float]
LIBRARY = re.compile("took longer|ended the reader|without an answer")


def _extremes(values: Any) -> Seen:
    numbers = np.asarray(values, dtype=float)
    numbers = numbers[~np.isnan(numbers)]
    return [float(numbers.min()), float(numbers.max())] if numbers.size else [0.0, 0.0]


def _cells(path: Path) -> Seen:
    return _extremes(read_sample(path).X.data)


def _table(path: Path) -> Seen:
    matrix, *_ = matrices.read_matrix(path, {"layout": "table", "type": "counts"}, {})
    return _extremes(matrix)


def _members(path: Path) -> Seen:
    spec = {"layout": "tar_tables", "type": "counts", "header": False, "gene_column": 0}
    spec |= {"count_column": 1, "member": r"^(?P<sample_id>GSM\d+)\.txt"}
    return _extremes(matrices.read_matrix(path, spec, {})[0])


def _results(path: Path) -> Seen:
    frame = results.read_effects(path, {"layout": "rdata", "gene_column": "gene"})
    return _extremes(frame.select_dtypes("number"))


def _workbook(path: Path) -> Seen:
    shape = tables.form({}, "counts", text=True)
    return [0.0, float(len(tables.read(path.read_bytes(), str(path), shape)))]


def _soft(path: Path) -> Seen:
    platforms, samples = arrays.read_soft_tables(path)
    return [0.0, float(len(platforms) + len(samples))]


def _h5(folder: Path) -> Path:
    from hostile_files import tenx

    X = sparse.csc_matrix(COUNTS)
    return tenx(
        folder / "a.h5",
        data=X.data,
        indices=X.indices,
        indptr=X.indptr,
        shape=np.array(X.shape),
        barcodes=np.array([f"ACGT{n}-1" for n in range(6)], "S"),
        **{
            "features/id": np.array(GENES, "S"),
            "features/name": np.array(GENES, "S"),
            "features/feature_type": np.array(["Gene Expression"] * 40, "S"),
        },
    )


def _h5ad(folder: Path) -> Path:
    path = folder / "a.h5ad"
    cells = AnnData(sparse.csr_matrix(COUNTS.T.astype("float32")))
    cells.var_names = GENES
    cells.obs["sample"] = "GSM1"
    cells.write_h5ad(path)
    return path


def _xlsx(folder: Path) -> Path:
    TABLE.to_excel(folder / "a.xlsx", index=False)
    return folder / "a.xlsx"


def _tar(folder: Path) -> Path:
    with tarfile.open(folder / "a.tar", "w") as archive:
        for name in FRAME:
            content = FRAME[name].to_csv(sep="\t", header=False).encode()
            entry = tarfile.TarInfo(f"{name}.txt")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return folder / "a.tar"


def _gz(folder: Path) -> Path:
    (folder / "a.tsv.gz").write_bytes(gzip.compress(TEXT.encode()))
    return folder / "a.tsv.gz"


def _zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in FRAME:
            archive.writestr(f"{name}.txt", FRAME[name].to_csv(sep="\t", header=False))
    return folder / "a.zip"


def _rdata(folder: Path) -> Path:
    import rdata

    frame = TABLE.astype(dict.fromkeys(FRAME, float))
    rdata.write_rda(folder / "a.RData", {"x": frame})
    return folder / "a.RData"


def _mtx(folder: Path) -> Path:
    # One file, so that a flip may hit each part of the triplet.
    parts = {"barcodes.tsv": "".join(f"ACGT{n}-1\n" for n in range(6))}
    parts["features.tsv"] = "".join(f"{gene}\t{gene}\tGene Expression\n" for gene in GENES)
    text = io.BytesIO()
    scipy_io.mmwrite(text, sparse.coo_matrix(COUNTS), field="integer")
    parts["matrix.mtx"] = text.getvalue().decode()
    with tarfile.open(folder / "a.tar", "w") as archive:
        for name, content in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
    return folder / "a.tar"


def _family(folder: Path) -> Path:
    lines = ["^PLATFORM = GPL1", "!platform_table_begin", "ID\tGene Symbol"]
    lines += [f"{gene}\tMYH7" for gene in GENES] + ["!platform_table_end"]
    for name in FRAME:
        lines += [f"^SAMPLE = {name}", "!Sample_platform_id = GPL1", "!sample_table_begin"]
        lines += ["ID_REF\tVALUE", *(f"{g}\t{v}" for g, v in FRAME[name].items())]
        lines.append("!sample_table_end")
    (folder / "a.soft").write_text("\n".join(lines) + "\n")
    return folder / "a.soft"


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Seen]]] = {
    "h5": (_h5, _cells),
    "h5ad": (_h5ad, _cells),
    "xlsx": (_xlsx, _workbook),
    "tar": (_tar, _members),
    "gz": (_gz, _table),
    "zip": (_zip, _members),
    "RData": (_rdata, _results),
    "mtx": (_mtx, _cells),
    "SOFT": (_family, _soft),
}


def outcome(work: Callable[[], Any]) -> tuple[str, Any]:
    """Return ``read`` and the result, or ``refused`` and the words; nothing else may happen."""
    try:
        return "read", sandbox.call(work, where="a copy", max_bytes=1 << 30, seconds=20)
    except InputError as error:
        return "refused", str(error)


def outcomes(read: Callable[[Path], Seen], copies: list[Path]) -> list[tuple[str, Any]]:
    """Return the outcome of each copy: all in one child, since a fork takes longer than most.

    Unless the child dies of one of them: then each has a child, whose end is its own outcome.
    """

    def one(path: Path) -> tuple[str, Any]:
        try:
            return "read", read(path)
        except Exception as error:
            return "refused", str(sandbox.plainly(error))

    what, found = outcome(lambda: [one(path) for path in copies])
    return found if what == "read" else [outcome(lambda path=path: read(path)) for path in copies]


@pytest.mark.parametrize(
    "copies", [50, pytest.param(1000, marks=pytest.mark.verify)], ids=["some", "many"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_copy_is_refused_or_sound(tmp_path: Path, kind: str, copies: int) -> None:
    build, read = KINDS[kind]
    source = build(tmp_path)
    sound = source.read_bytes()
    read(source)  # also imports what the children then share
    assert outcome(lambda: read(source))[0] == "read"
    rng = np.random.default_rng(7)
    damaged = []
    for number in range(copies):
        content = bytearray(sound)
        for place in rng.integers(0, len(content), 1 + number % 16):
            content[place] = int(rng.integers(0, 256))
        damaged.append(tmp_path / f"copy{number}" / source.name)
        damaged[-1].parent.mkdir()
        damaged[-1].write_bytes(content)
    seen = {"read": 0, "refused": 0}
    together = (damaged[start : start + 25] for start in range(0, copies, 25))
    found_of_all = [found for some in together for found in outcomes(read, some)]
    for number, (what, found) in enumerate(found_of_all):
        seen[what] += 1
        if what == "read":
            assert 0 <= found[0] <= found[1] or kind == "RData", (number, found)
            assert found[1] < 2**31 or kind in ("RData", "gz", "tar", "zip"), (number, found)
        else:
            assert found and "Traceback" not in found and "\x00" not in found, number
            # The HDF5 library itself may crash or go round and round (three of a thousand copies of
            # an .h5ad did): the bounds of the child end it, and the words say so.
            assert kind in ("h5", "h5ad") or not LIBRARY.search(found), (number, found)
    assert seen["refused"] > 0, json.dumps(seen)
