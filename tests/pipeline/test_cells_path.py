"""The single-cell path on small matrices: what needs compiled code, and so seconds to start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import by_config
from alsmuscle.cells import compiled, store
from alsmuscle.cells.annotate import top_genes
from alsmuscle.cells.carried import Adding, cluster_sums
from alsmuscle.cells.cluster import each_sample, embed, neighbours
from alsmuscle.cells.prepare import score_doublets
from alsmuscle.simulate.cells import simulate_nuclei
from made_up_cells import counts_of, prepared, sample_of
from support import ROOT

annotate = by_config.annotate.annotate
integrate = by_config.cluster.integrate
prepare_sample = by_config.prepare.prepare_sample

pytestmark = pytest.mark.pipeline


def soup_study(share: float = 0.1) -> tuple[sparse.csr_matrix, sparse.csr_matrix, np.ndarray]:
    rng = np.random.default_rng(3)
    fibre, other = np.zeros(100), np.zeros(100)
    fibre[:5], fibre[5:50] = 0.06, 0.7 / 45
    other[50:] = 1 / 50
    soup = 0.7 * fibre + 0.3 * other
    own = np.vstack([np.tile(fibre, (150, 1)), np.tile(other, (150, 1))])
    X = rng.poisson(1000 * ((1 - share) * own + share * soup))
    empty = rng.poisson(50 * np.tile(soup, (200, 1)))
    return sparse.csr_matrix(X.astype(np.int32)), sparse.csr_matrix(np.vstack([X, empty])), soup


def test_doublets_are_scored_above_singlets_and_the_same_every_time() -> None:
    X = counts_of(300)
    mixed = (X[:30:3] + X[1:31:3]).tocsr()
    both = sparse.vstack([X, mixed], format="csr")
    scores, called, info = score_doublets(both, rate_per_1000=0.008, min_cells=50, seed=0)
    again, _, _ = score_doublets(both, rate_per_1000=0.008, min_cells=50, seed=0)
    np.testing.assert_array_equal(scores, again)
    assert np.median(scores[300:]) > np.quantile(scores[:300], 0.95)
    assert called.mean() <= 0.15
    assert info["expected_rate"] == 0.04


def test_raw_droplets_lead_to_a_correction_without_them_only_to_a_report() -> None:
    X, raw, _ = soup_study(0.15)
    fibre = ["ACTA1", "CKM", "TTN", "NEB", "MYH7"]
    arguments = {"sample_id": "s", "material": "nuclei", "min_genes": 10, "seed": 0}
    plain = prepare_sample(sample_of(X, fibre), **arguments)  # type: ignore[arg-type]
    with_raw = prepare_sample(
        sample_of(X, fibre),
        raw=sample_of(raw, fibre),
        **arguments,  # type: ignore[arg-type]
    )
    assert not plain.summary["ambient_corrected"]
    assert with_raw.summary["ambient_corrected"]
    assert with_raw.summary["ambient_share"] == pytest.approx(0.15, abs=0.03)
    names = plain.cells.obs_names
    np.testing.assert_array_equal(plain.cells.X.toarray(), sample_of(X)[names].X.toarray())
    assert with_raw.cells.X.sum() < 0.9 * plain.cells.X.sum()
    total = np.asarray(with_raw.cells.X.sum(axis=1)).ravel()
    np.testing.assert_array_equal(with_raw.cells.obs["n_counts"], total)


def test_prepare_sample_reports_what_it_did() -> None:
    found = prepared(material="cells")
    assert found.summary["n_barcodes"] == 120
    assert found.summary["n_kept"] == found.cells.n_obs == found.barcodes["kept"].sum()
    assert found.summary["skipped"] == ""
    assert found.cells.X.dtype == np.int32
    assert found.variable["variable"].sum() == 100
    assert set(found.barcodes.loc[~found.barcodes["kept"], "reason"]) <= {"doublet", "few counts"}


def small_study(keep: tuple[str, ...] = ()) -> AnnData:
    table = pd.DataFrame(
        {"sample_id": ["s1", "s22"], "subject_id": ["d1", "d2"], "condition": ["ALS", "control"]}
    )
    return integrate(
        [prepared(sample_id=name, material="cells") for name in ("s1", "s22")],
        table,
        keep=keep,
        n_top_genes=100,
        n_pcs=10,
    )


def test_integrate_meets_the_contract_and_repeats_itself() -> None:
    study, again = small_study(), small_study()
    assert study.X.dtype == np.float32
    assert study.n_vars == study.var["variable"].sum() == 100
    for column in ("sample_id", "subject_id", "condition", "n_counts", "pct_mito", "kept"):
        assert study.obs[column].notna().all(), column
    assert study.obsm["X_umap"].shape == (study.n_obs, 2)
    assert study.uns["embedding"] == {"neighbours": "exact", "integrated": True}
    pd.testing.assert_frame_equal(study.obs, again.obs)
    np.testing.assert_array_equal(study.obsm["X_umap"], again.obsm["X_umap"])
    # the three simulated types (barcode number modulo 3) are three groups of clusters
    kind = study.obs_names.str.extract(r"B(\d+)$")[0].astype(int).to_numpy() % 3
    purity = pd.crosstab(study.obs["cluster"], kind)
    assert purity.max(axis=1).sum() / study.n_obs > 0.95


def test_genes_that_are_kept_do_not_change_the_embedding() -> None:
    study = small_study()
    others = [f"G{i:04d}" for i in range(300) if f"G{i:04d}" not in study.var_names][:7]
    more = small_study(keep=(*others, "ABSENT"))
    assert more.n_vars == 107 and set(others) <= set(more.var_names)
    np.testing.assert_array_equal(more.obsm["X_umap"], study.obsm["X_umap"])
    pd.testing.assert_frame_equal(more.obs, study.obs)


def test_an_annotated_study_survives_writing(tmp_path: Path) -> None:
    import anndata
    import h5py

    panel = pd.read_csv(ROOT / "config" / "celltypes.tsv", sep="\t")
    study = simulate_nuclei(panel, seed=5, n_donors=8, nuclei_per_donor=120, n_genes=1500)
    study.uns.clear()  # the truth: thousands of entries, which each sample would be written with
    prepared_samples = [
        prepare_sample(
            study[study.obs["sample_id"] == s].copy(), sample_id=s, material="nuclei", min_genes=100
        )
        for s in study.obs["sample_id"].unique()
    ]
    # One after the other through a file, as the workflow does: nothing else comes out.
    store.write_prepared(tmp_path / "prepared.h5", prepared_samples)
    summaries = pd.DataFrame([p.summary for p in prepared_samples])
    stored = store.read_prepared(tmp_path / "prepared.h5", summaries)
    genes = set(panel["gene"])
    cells = integrate(prepared_samples, keep=genes)
    again = integrate(stored, keep=genes)
    assert (again.X != cells.X).nnz == 0
    np.testing.assert_array_equal(again.obsm["X_umap"], cells.obsm["X_umap"])

    cells.obs["dataset"] = "x"
    for column in ("subject_id", "condition"):
        cells.obs[column] = cells.obs["sample_id"].astype(str)
    named = annotate(cells, panel, organism="human", material="nuclei")
    assert named["n_cells"].sum() == cells.n_obs
    path = tmp_path / "cells.h5ad"
    passing = Adding(each_sample(cells, stored))
    store.write_cells(path, cells, passing)
    back = anndata.read_h5ad(path)
    raw = anndata.concat([p.cells for p in prepared_samples])
    assert (back.layers["counts"] != raw.X).nnz == 0
    assert (back[:, cells.var_names].X != cells.X).nnz == 0
    assert back.obs["cell_type"].astype(str).tolist() == cells.obs["cell_type"].astype(str).tolist()
    assert len(back.uns["cell_type_scores"]) == len(cells.uns["cell_type_scores"])
    np.testing.assert_array_equal(back.obsm["X_umap"], cells.obsm["X_umap"])

    parts = list(store.read_cells(path))
    assert [part.obs["sample_id"].iloc[0] for part in parts] == [p.sample_id for p in stored]
    whole = anndata.concat(parts, merge="same")
    assert (whole.X != back.X).nnz == 0 and whole.obs_names.equals(back.obs_names)
    assert top_genes(passing.sums()).equals(top_genes(cluster_sums([back])))
    with h5py.File(path) as file:  # written once
        assert file["X/indices"] == file["layers/counts/indices"]


# Of the approximate search, half a minute is compiled anew by numba in each process.
@pytest.mark.parametrize("exact", [True, pytest.param(False, marks=pytest.mark.verify)])
def test_neighbours_above_8192_cells(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version of the approximate-neighbour library breaks above 8,192 cells (see pyproject)."""
    compiled.load_umap()
    from pynndescent import NNDescent

    def index(self: NNDescent) -> None:
        raise AssertionError("an index for the search of further cells, which nobody searches")

    monkeypatch.setattr(NNDescent, "prepare", index)
    monkeypatch.setattr(NNDescent, "compress_index", index)
    n = 8_500
    rng = np.random.default_rng(0)
    centre = np.arange(n) % 5
    X = sparse.random(n, 60, density=0.2, format="lil", random_state=rng, dtype=np.float32)
    X = X.tocsr() + sparse.csr_matrix(
        (np.full(n, 4.0, np.float32), (np.arange(n), centre)), shape=(n, 60)
    )
    found = embed(
        X.tocsr(),
        pd.Series(["a"] * n),
        n_pcs=8,
        n_neighbors=10,
        resolution=0.1,
        exact_below=20_000 if exact else 1_000,
        over_samples=True,
        seed=0,
        with_umap=False,
    )
    assert found.neighbours == ("exact" if exact else "approximate")
    purity = pd.crosstab(found.cluster, centre).max(axis=1).sum() / n
    assert purity > 0.95
    if exact:
        return
    cells = AnnData(obs=pd.DataFrame(index=[f"c{i}" for i in range(n)]))
    cells.obsm["X_pca"] = found.pca
    near = []
    for sure in (False, True):
        neighbours(cells, n_neighbors=10, exact=sure, seed=0)
        near.append(cells.obsp["distances"] > 0)
    assert near[0].multiply(near[1]).sum() > 0.95 * near[1].sum() > 0.95 * 8 * n


def test_edges_given_once_make_the_clusters_of_edges_given_twice() -> None:
    import scanpy as sc

    n = 1_000
    rng = np.random.default_rng(4)
    points = rng.normal(size=(7, 8))[np.arange(n) % 7] + rng.normal(size=(n, 8))
    counts = sparse.csr_matrix(np.maximum(points, 0).astype(np.float32))
    options = {"n_pcs": 6, "n_neighbors": 10, "resolution": 1.5, "exact_below": n}
    found = embed(counts, pd.Series(["a"] * n), over_samples=False, seed=0, **options)
    cells = AnnData(obs=pd.DataFrame(index=[f"c{i}" for i in range(n)]))
    cells.obsm["X_pca"] = found.pca
    neighbours(cells, n_neighbors=10, exact=True, seed=0)
    twice = {"flavor": "igraph", "n_iterations": 2, "directed": False, "key_added": "cluster"}
    sc.tl.leiden(cells, resolution=1.5, random_state=0, **twice)
    assert cells.obs["cluster"].astype(str).tolist() == found.cluster.tolist()
    assert len(set(found.cluster)) > 4


def test_the_approximate_search_is_asked_for_neighbours_and_for_nothing_to_search_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled.load_umap()
    import pynndescent
    from sklearn.neighbors import KNeighborsTransformer

    asked: dict[str, object] = {}

    class Search:
        """What is asked of pynndescent's transformer, answered exactly."""

        def __init__(self, **options: Any) -> None:
            asked.update(options)

        def get_params(self) -> dict[str, Any]:
            return {"n_neighbors": asked["n_neighbors"]}

        def fit(self, X: np.ndarray, compress_index: bool = True) -> Search:
            asked["compress_index"] = compress_index
            self._X = X
            return self

        def transform(self, X: None) -> sparse.csr_matrix:
            exact = KNeighborsTransformer(n_neighbors=asked["n_neighbors"], algorithm="brute")
            return exact.fit_transform(self._X)

    monkeypatch.setattr(pynndescent, "PyNNDescentTransformer", Search)
    n = 1_000
    rng = np.random.default_rng(4)
    points = rng.normal(size=(7, 8))[np.arange(n) % 7] + rng.normal(size=(n, 8))
    counts = sparse.csr_matrix(np.maximum(points, 0).astype(np.float32))
    options = {"n_pcs": 6, "n_neighbors": 10, "resolution": 1.5, "over_samples": False, "seed": 3}
    samples = pd.Series(["a"] * n)
    exact, found = (embed(counts, samples, exact_below=k, **options) for k in (n, n - 1))
    assert (exact.neighbours, found.neighbours) == ("exact", "approximate")
    assert found.cluster.tolist() == exact.cluster.tolist()
    np.testing.assert_array_equal(found.umap, exact.umap)
    known = {"n_neighbors": 10, "random_state": 3, "metric_kwds": {}, "compress_index": False}
    assert asked == known
