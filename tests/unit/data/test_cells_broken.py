"""Single-cell studies with broken files: each is left out before the run, with a clear reason."""

from __future__ import annotations

import copy
import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from alsmuscle.core import contracts
from alsmuscle.data import verify
from alsmuscle.data.tables import CHECKS
from deposits import counts, genes, tar, tenx_h5, text, triplet

NAMES = ["ALS1", "ALS2", "CTL1", "CTL2"]
GROUPS = {"^ALS": "als", "^CTL": "healthy"}
CARD: dict[str, Any] = {
    "id": "gse2",
    "accession": "GSE2",
    "organism": "human",
    "modality": "cells",
    "role": "als_patient",
    "samples": {
        "sheet": {"layout": "count_columns"},
        "sample_id": "name",
        "expected": 4,
        "columns": {"condition": {"from": "name", "match": GROUPS}},
    },
    "contrasts": [
        {
            "id": "als_vs_healthy",
            "label": "x",
            "variable": "condition",
            "target": "als",
            "reference": "healthy",
        }
    ],
}


@dataclass
class Study:
    """Files, and the parts ``cells`` and ``samples`` of the card that describes them."""

    files: dict[str, bytes]
    cells: dict[str, Any]
    samples: dict[str, Any] = field(default_factory=dict)

    def __add__(self, more: dict[str, Any]) -> Study:
        return Study(self.files, self.cells, self.samples | more)


def trial_reading(study: Study, folder: Path) -> dict[str, str]:
    card = copy.deepcopy(CARD)
    card["samples"] |= study.samples
    card["cells"] = {"material": "nuclei", **study.cells}
    rows = []
    for name, content in study.files.items():
        (folder / name).write_bytes(content)
        row = {"study": "gse2", "name": name, "url": name, "path": str(folder / name)}
        rows.append({**row, "bytes": len(content)})
    manifest = pd.DataFrame(rows).assign(sha256="", retrieved="", source="", pinned="")
    (row,) = verify.checks(card, manifest, contracts.rows([], CHECKS))
    return row


# --- the layouts ----------------------------------------------------------------------------------


def h5s(raw: bytes = b"", **change: bytes) -> Study:
    """A 10x .h5 per sample; ``raw`` is the first one's unfiltered matrix."""
    files = {f"{name}.h5": tenx_h5(6, seed=i) for i, name in enumerate(NAMES)}
    listed: list[dict[str, str]] = [{"sample_id": name, "file": f"{name}.h5"} for name in NAMES]
    if raw:
        listed[0]["raw"] = "raw.h5"
        files["raw.h5"] = raw
    files |= {f"{name}.h5": content for name, content in change.items()}
    return Study(files, {"layout": "10x_h5", "samples": listed})


def h5s_in_tar(cut: int | None = None, **change: bytes) -> Study:
    files = {name: tenx_h5(6, seed=i) for i, name in enumerate(NAMES)} | change
    packed = tar({f"{name}_filtered.h5": content for name, content in files.items()})
    member = r"^(?P<sample_id>[A-Z]+\d)_filtered\.h5$"
    return Study(
        {"RAW.tar": packed[:cut]}, {"layout": "10x_h5", "file": "RAW.tar", "member": member}
    )


def triplets(without: str = "", n_named: int | None = None) -> Study:
    parts = {
        f"{name}_{part}": content
        for i, name in enumerate(NAMES)
        for part, content in triplet(6, seed=i, n_named=None if i else n_named).items()
    }
    parts.pop(without, None)
    member = r"^(?P<sample_id>[A-Z]+\d)_matrix"
    spec = {"layout": "10x_triplets", "file": "RAW.tar", "member": member}
    return Study({"RAW.tar": tar(parts)}, spec)


def h5ad(
    folder: Path,
    values: Callable[[np.ndarray], np.ndarray] = lambda X: X,
    obs: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
) -> Study:
    """One .h5ad of all samples, whose sheet is its ``obs``."""
    about = pd.DataFrame({"sample": np.repeat(NAMES, 6), "group": np.repeat(["als", "ctl"], 12)})
    about.index = [f"{name}_AC{i}" for name in NAMES for i in range(6)]
    var = pd.DataFrame({"gene_ids": list(genes()["gene_id"])}, index=list(genes()["symbol"]))
    X = sparse.csr_matrix(values(counts(24).T.astype(np.float64)).astype(np.float32))
    path = folder / "made.h5ad"
    AnnData(X, obs=obs(about), var=var).write_h5ad(path)
    spec = {"layout": "h5ad", "file": "all.h5ad", "sample_column": "sample"}
    rule = {"condition": {"from": "group", "map": {"als": "als", "ctl": "healthy"}}}
    samples = {"sheet": {"layout": "obs"}, "sample_id": "sample", "columns": rule}
    return Study({"all.h5ad": path.read_bytes()}, spec, samples)


def table(
    matrix: Callable[[bytes], bytes] = gzip.compress,
    about: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
    **spec: str,
) -> Study:
    """A text table of genes by barcodes, and one of the barcodes, which is also the sheet."""
    barcodes = [f"{name}_AC{i}" for name in NAMES for i in range(6)]
    rows = about(pd.DataFrame({"": barcodes, "sample": [name[:4] for name in barcodes]}))
    files = {
        "matrix.txt.gz": matrix(text(genes()["symbol"], barcodes, head="")),
        "about.txt": rows.to_csv(sep="\t", index=False).encode(),
    }
    cells = {
        "layout": "table",
        "file": "matrix.txt.gz",
        "metadata": "about.txt",
        "barcode_column": "",
        "sample_column": "sample",
    }
    rule = {"condition": {"from": "sample", "match": GROUPS}}
    samples = {"sheet": {"layout": "obs"}, "sample_id": "sample", "columns": rule}
    return Study(files, cells | spec, samples)


def test_sound_studies_of_every_layout_are_read(tmp_path: Path) -> None:
    raw = tenx_h5(30, seed=9)
    for made in (h5s(), h5s(raw), h5s_in_tar(), triplets(), h5ad(tmp_path), table()):
        row = trial_reading(made, tmp_path)
        assert (row["state"], row["found"]) == ("agrees", "4 samples, 24 barcodes"), row


def _fpkm(content: bytes) -> bytes:
    frame = pd.read_csv(pd.io.common.BytesIO(content), sep="\t", index_col=0) * 0.317
    return gzip.compress(frame.to_csv(sep="\t").encode())


def _no_number(content: bytes) -> bytes:
    head, first, rest = content.split(b"\n", 2)
    return gzip.compress(b"\n".join([head, first.rpartition(b"\t")[0] + b"\tmany", rest]))


def _repeated(frame: pd.DataFrame) -> pd.DataFrame:
    """Samples joined without a suffix: each has the same barcodes."""
    return frame.set_axis([name.partition("_")[2] for name in frame.index])


EMPTY = tenx_h5(0, seed=0)
BROKEN: dict[str, tuple[Callable[[Path], Study], list[str]]] = {
    "truncated h5": (lambda _: h5s(ALS1=tenx_h5(6, seed=0)[:2000]), ["ALS1.h5", "truncated"]),
    "web page for h5": (lambda _: h5s(ALS1=b"<html>busy</html>"), ["ALS1.h5", "10x .h5"]),
    "h5 without barcodes": (
        lambda _: h5s(CTL2=EMPTY),
        ["CTL2.h5", "sample is empty", "0 barcodes"],
    ),
    "raw of other genes": (
        lambda _: h5s(tenx_h5(30, seed=9, n_genes=50)),
        ["raw.h5", "'ALS1'", "different genes"],
    ),
    "truncated h5 in tar": (
        lambda _: h5s_in_tar(ALS2=tenx_h5(6, seed=0)[:2000]),
        ["ALS2_filtered.h5", "truncated"],
    ),
    "truncated tar": (lambda _: h5s_in_tar(cut=20_000), ["RAW.tar"]),
    "empty h5 in tar": (lambda _: h5s_in_tar(CTL1=EMPTY), ["CTL1_filtered.h5", "sample is empty"]),
    "sample without matrix": (
        lambda _: triplets(without="CTL2_matrix.mtx.gz"),
        ["3 samples", "4"],
    ),
    "barcodes of another run": (
        lambda _: triplets(n_named=5),
        ["ALS1_matrix.mtx.gz", "6 barcodes but 5 are named"],
    ),
    "no features": (
        lambda _: triplets(without="ALS2_features.tsv.gz"),
        ["RAW.tar", "no features file with prefix 'ALS2_'"],
    ),
    "log-normalised h5ad": (lambda p: h5ad(p, np.log1p), ["all.h5ad", "log-normalised", "counts"]),
    "TPM in h5ad": (
        lambda p: h5ad(p, lambda X: X / X.sum(axis=1, keepdims=True) * 1e6),
        ["all.h5ad", "TPM or CPM"],
    ),
    "no sample column": (
        lambda p: h5ad(p, obs=lambda frame: frame.rename(columns={"sample": "library"})),
        ["cells.sample_column", "no column 'sample' in obs", "library"],
    ),
    "group differs within a sample": (
        lambda p: h5ad(p, obs=lambda frame: frame.assign(group=["als", "ctl"] * 12)),
        ["group"],
    ),
    "FPKM table": (lambda _: table(_fpkm), ["matrix.txt.gz", "not whole numbers", "FPKM"]),
    "text in table": (lambda _: table(_no_number), ["matrix.txt.gz", "many"]),
    "truncated table": (lambda _: table(lambda c: gzip.compress(c)[:-200]), ["matrix.txt.gz"]),
    "empty table": (
        lambda _: table(lambda _: gzip.compress(b"\tA\n")),
        ["matrix.txt.gz", "not a regular table of numbers"],
    ),
    "barcodes without metadata": (
        lambda _: table(about=lambda frame: frame.iloc[:-2]),
        ["2 of 24 barcodes are not in the metadata", "CTL2_AC4", "barcode_column"],
    ),
    "metadata without barcodes": (
        lambda _: table(barcode_column="cell"),
        ["no column 'cell'", "sample"],
    ),
    "a group that the card does not know": (
        lambda _: h5s() + {"columns": {"condition": {"from": "name", "match": {"^ALS": "als"}}}},
        ["no expression is found in 'CTL1', 'CTL2'"],
    ),
    "more samples expected": (lambda _: h5s() + {"expected": 5}, ["4 samples", "5"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_study_is_left_out_with_the_reason(case: str, tmp_path: Path) -> None:
    make, words = BROKEN[case]
    row = trial_reading(make(tmp_path), tmp_path)
    assert row["state"] == "failed", row
    said = f"{row['found']} {row['card']} {row['remedy']}"
    for word in words:
        assert word in said, said


def test_barcodes_that_repeat_between_samples_are_read(tmp_path: Path) -> None:
    row = trial_reading(h5ad(tmp_path, obs=_repeated), tmp_path)
    assert row["state"] == "agrees", row
