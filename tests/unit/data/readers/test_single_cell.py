from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from scipy.io import mmwrite

from alsmuscle.core.errors import InputError
from alsmuscle.data.readers.single_cell import read_sample
from alsmuscle.data.readers.tenx import read_10x_folder, read_10x_h5, read_10x_tar

# barcodes x genes
COUNTS = np.array([[0, 3, 0, 1], [2, 0, 0, 0], [0, 0, 5, 7]])
BARCODES = ["AAA-1", "CCC-1", "GGG-1"]
IDS = ["ENSG00000000001.4", "ENSG00000000002", "ENSG00000000003", "ENSG00000000004_PAR"]
NAMES = ["MYH7", "TTN", "PAX7", "CD68"]


def write_h5(path: Path, counts: np.ndarray = COUNTS, version: int = 3, **change: object) -> Path:
    X = sparse.csc_matrix(counts.T)
    parts = {
        "data": X.data,
        "indices": X.indices,
        "indptr": X.indptr,
        "shape": np.array(X.shape),
        "barcodes": np.array(BARCODES[: counts.shape[0]], dtype="S"),
    }
    ids, names = np.array(IDS, dtype="S"), np.array(NAMES, dtype="S")
    kinds = np.array(["Gene Expression"] * len(IDS), dtype="S")
    if version == 3:
        parts |= {"features/id": ids, "features/name": names, "features/feature_type": kinds}
    else:
        parts |= {"genes": ids, "gene_names": names}
    parts |= change
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        for name, value in parts.items():
            group[name] = value
    return path


def triplet(counts: np.ndarray = COUNTS, barcodes: list[str] = BARCODES) -> dict[str, bytes]:
    stream = io.BytesIO()
    mmwrite(stream, sparse.coo_matrix(counts.T))
    features = "".join(f"{i}\t{n}\tGene Expression\n" for i, n in zip(IDS, NAMES, strict=True))
    return {
        "matrix.mtx.gz": gzip.compress(stream.getvalue()),
        "barcodes.tsv.gz": gzip.compress("".join(f"{b}\n" for b in barcodes).encode()),
        "features.tsv.gz": gzip.compress(features.encode()),
    }


def write_triplet(folder: Path, prefix: str = "", **change: object) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in triplet(**change).items():  # type: ignore[arg-type]
        (folder / f"{prefix}{name}").write_bytes(content)
    return folder


def check(found: AnnData) -> None:
    np.testing.assert_array_equal(found.X.toarray(), COUNTS)
    assert found.X.format == "csr" and found.X.dtype == np.int32
    assert list(found.obs_names) == BARCODES
    assert list(found.var["symbol"]) == NAMES
    assert list(found.var["source_id"]) == IDS
    assert found.var_names[0] == "ENSG00000000001"


@pytest.mark.parametrize("version", [2, 3])
def test_10x_h5(tmp_path: Path, version: int) -> None:
    check(read_sample(write_h5(tmp_path / "a.h5", version=version)))


def test_10x_h5_leaves_out_antibodies(tmp_path: Path) -> None:
    kinds = np.array(["Gene Expression"] * 3 + ["Antibody Capture"], dtype="S")
    found = read_10x_h5(write_h5(tmp_path / "a.h5", **{"features/feature_type": kinds}))
    assert found.n_vars == 3
    assert found.uns["n_other_features"] == 1


def test_triplet_folder_and_prefix(tmp_path: Path) -> None:
    check(read_sample(write_triplet(tmp_path / "one")))
    folder = write_triplet(tmp_path / "two", prefix="GSM1_")
    write_triplet(folder, prefix="GSM2_", counts=COUNTS * 2)
    check(read_10x_folder(folder, prefix="GSM1_"))
    with pytest.raises(InputError, match="'GSM1_', 'GSM2_'"):
        read_10x_folder(folder)


def test_triplets_in_a_tar(tmp_path: Path) -> None:
    path = tmp_path / "GSE1_RAW.tar"
    with tarfile.open(path, "w") as tar:
        for prefix, factor in (("GSM1_", 1), ("GSM2_", 3)):
            for name, content in triplet(COUNTS * factor).items():
                info = tarfile.TarInfo(f"{prefix}{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        tar.addfile(tarfile.TarInfo("GSM3_barcodes.tsv.gz"))
    check(read_10x_tar(path, prefix="GSM1_"))
    assert read_sample(path, prefix="GSM2_").X.sum() == 3 * COUNTS.sum()
    with pytest.raises(InputError, match="features, matrix"):
        read_10x_tar(path, prefix="GSM3_")


def test_h5ad_takes_the_first_place_that_holds_counts(tmp_path: Path) -> None:
    var = pd.DataFrame({"gene_ids": IDS, "symbol": NAMES}, index=NAMES)
    obs = pd.DataFrame({"donor": ["a", "a", "b"], "cell_type": "x"}, index=BARCODES)
    log = np.log1p(COUNTS).astype(np.float32)
    study = AnnData(log, obs=obs, var=var, layers={"counts": COUNTS.astype(np.float32)})
    study.write_h5ad(tmp_path / "layer.h5ad")
    found = read_sample(tmp_path / "layer.h5ad")
    check(found)
    assert list(found.obs["donor"]) == ["a", "a", "b"]
    assert list(found.obs.columns) == ["donor", "author_cell_type"]
    raw = AnnData(log, obs=obs, var=var)
    raw.raw = AnnData(sparse.csr_matrix(COUNTS), obs=obs, var=var)
    raw.write_h5ad(tmp_path / "raw.h5ad")
    check(read_sample(tmp_path / "raw.h5ad"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.log1p(COUNTS), "log-normalised"),
        (COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e6 * 1.0000001, "TPM or CPM"),
        (COUNTS * 31.7, "FPKM"),
        (COUNTS - 1.0, "negative"),
        (np.where(COUNTS == 3, np.nan, COUNTS), "missing"),
    ],
)
def test_what_is_not_counts_is_refused_by_name(
    tmp_path: Path, values: np.ndarray, message: str
) -> None:
    AnnData(values.astype(np.float64)).write_h5ad(tmp_path / "x.h5ad")
    with pytest.raises(InputError, match=message):
        read_sample(tmp_path / "x.h5ad")
    with pytest.raises(InputError, match=message):
        read_10x_h5(write_h5(tmp_path / "x.h5", counts=values.astype(np.float64)))


def test_a_truncated_h5_says_so(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="truncated"):
        read_10x_h5(path)
    path.rename(tmp_path / "a.h5ad")
    with pytest.raises(InputError, match="truncated"):
        read_sample(tmp_path / "a.h5ad")


def test_a_truncated_triplet_says_so(tmp_path: Path) -> None:
    folder = write_triplet(tmp_path / "t")
    matrix = folder / "matrix.mtx.gz"
    matrix.write_bytes(matrix.read_bytes()[:-12])
    with pytest.raises(InputError, match="truncated"):
        read_10x_folder(folder)


def test_an_incomplete_h5_says_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["matrix/data"] = [1]
    with pytest.raises(InputError, match="incomplete"):
        read_10x_h5(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = [1]
    with pytest.raises(InputError, match="not a 10x matrix"):
        read_10x_h5(tmp_path / "b.h5")


def test_barcodes_and_features_must_fit_the_matrix(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 barcodes but 2 are named"):
        read_10x_folder(write_triplet(tmp_path / "t", barcodes=BARCODES[:2]))
    short = {"features/id": np.array(IDS[:3], "S"), "features/name": np.array(NAMES[:3], "S")}
    with pytest.raises(InputError, match="4 features but 3 are named"):
        read_10x_h5(write_h5(tmp_path / "a.h5", **short))
    with pytest.raises(InputError, match="an index outside"):
        read_10x_h5(write_h5(tmp_path / "b.h5", indices=np.array([0, 1, 2, 3, 9])))


def test_empty_samples_and_repeated_barcodes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no counts"):
        read_10x_h5(write_h5(tmp_path / "a.h5", counts=COUNTS * 0))
    with pytest.raises(InputError, match="0 barcodes"):
        read_10x_h5(write_h5(tmp_path / "b.h5", counts=COUNTS[:0]))
    with pytest.raises(InputError, match=r"1 barcodes occur twice, e\.g\. AAA-1"):
        read_10x_folder(write_triplet(tmp_path / "t", barcodes=["AAA-1", "AAA-1", "C"]))


def test_repeated_gene_rows_are_added(tmp_path: Path) -> None:
    ids = np.array(["ENSG00000000001.1", "ENSG00000000001.2", "B", "C"], "S")
    found = read_10x_h5(write_h5(tmp_path / "a.h5", **{"features/id": ids}))
    assert found.n_vars == 3
    assert found.uns["n_summed_features"] == 1
    gene = found[:, "ENSG00000000001"].X.toarray().ravel()
    np.testing.assert_array_equal(gene, COUNTS[:, 0] + COUNTS[:, 1])
    assert found.X.sum() == COUNTS.sum()


def test_unknown_formats_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(InputError, match="unknown single-cell file format"):
        read_sample(tmp_path / "a.csv")
    with pytest.raises(InputError, match="no such file"):
        read_sample(tmp_path / "gone.h5")
    (tmp_path / "a.tar").write_bytes(b"no tar")
    with pytest.raises(InputError, match="not a whole tar or zip archive"):
        read_sample(tmp_path / "a.tar")
