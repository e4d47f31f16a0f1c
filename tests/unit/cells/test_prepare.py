from __future__ import annotations

import tracemalloc

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import by_config
from alsmuscle.cells.ambient import ambient_profile, ambient_share, correct_ambient
from alsmuscle.cells.cluster import (
    align_genes,
    each_sample,
    embed,
    log_normalise,
    sample_variable_genes,
    stack_genes,
    variable_genes,
)
from alsmuscle.cells.prepare import (
    PreparedSample,
    flag_samples,
    qc_barcodes,
    qc_metrics,
    score_doublets,
)
from alsmuscle.core.errors import InputError
from alsmuscle.data.readers.sparse_counts import rename_genes, split_samples
from made_up_cells import counts_of, prepared, sample_of

integrate = by_config.cluster.integrate
prepare_sample = by_config.prepare.prepare_sample
pseudobulk = by_config.pseudobulk.pseudobulk

QC = {"n_mads": 5, "n_mads_mito": 3, "min_genes": 20, "floor_pct_mito": 1.0}
CAPS = {"nuclei": 5.0, "cells": 25.0, "spots": 100.0}


# genes


def test_genes_get_current_names_and_rows_of_one_gene_are_added() -> None:
    X = sparse.csr_matrix(np.array([[1, 2, 4], [0, 0, 8]], dtype=np.int32))
    sample = sample_of(X, ["Tmem8c", "Gm7325", "Old"])
    names = pd.DataFrame({"gene_id": ["B", "A", "B"], "symbol": ["Mymk", "Mymx", "Mymk"]})
    found = rename_genes(sample, names)
    assert found.var_names.tolist() == ["B", "A"]
    assert found.var["symbol"].tolist() == ["Mymk", "Mymx"]
    assert found.var["source_id"].tolist() == ["G0000", "G0001"]
    np.testing.assert_array_equal(found.X.toarray(), [[5, 2], [8, 0]])
    assert found.uns["n_summed_features"] == 1
    assert found.X.dtype == np.int32
    with pytest.raises(InputError, match="2 gene names for 3 genes"):
        rename_genes(sample, names.iloc[:2])


def test_a_study_is_split_by_sample() -> None:
    study = sample_of(counts_of(4))
    study.obs["sample"] = ["b", "a", "b", "a"]
    parts = split_samples(study.obs, "sample")
    assert {name: list(own) for name, own in parts.items()} == {"a": [1, 3], "b": [0, 2]}
    with pytest.raises(InputError, match="no column 'donor'"):
        split_samples(study.obs, "donor")
    study.obs.loc["B0", "sample"] = None
    with pytest.raises(InputError, match="1 barcodes without 'sample'"):
        split_samples(study.obs, "sample")


# quality control


def test_metrics_by_hand() -> None:
    X = sparse.csr_matrix(np.array([[1, 1, 2, 0], [0, 0, 0, 5]], dtype=np.int32))
    found = qc_metrics(sample_of(X, ["MT-CO1", "mt-Nd1", "RPL3", "RPA1"]))
    assert found["n_counts"].tolist() == [4, 5]
    assert found["n_genes"].tolist() == [3, 1]
    assert found["pct_mito"].tolist() == pytest.approx([50, 0])
    assert found["pct_ribo"].tolist() == pytest.approx([50, 0])


def metrics(pct_mito: list[float], n_genes: list[int] | None = None) -> pd.DataFrame:
    n = len(pct_mito)
    genes = n_genes or [500 + i for i in range(n)]
    counts = [2 * g for g in genes]
    return pd.DataFrame({"n_counts": counts, "n_genes": genes, "pct_mito": pct_mito})


def test_nuclei_without_mitochondrial_reads_survive_a_zero_deviation() -> None:
    table, limits = qc_barcodes(
        metrics([0.0] * 20 + [0.5, 4.0]), material="nuclei", max_pct_mito=CAPS, **QC
    )
    assert limits["max_pct_mito"] == 1.0
    assert table["kept"].tolist() == [True] * 21 + [False]
    assert table["reason"].iloc[-1] == "mitochondrial"


def test_thresholds_differ_by_material() -> None:
    pct = list(np.linspace(6, 14, 21))
    kept = {
        m: qc_barcodes(metrics(pct), material=m, max_pct_mito=CAPS, **QC)[0]["kept"].sum()
        for m in CAPS
    }
    assert kept == {"nuclei": 0, "cells": 21, "spots": 21}


def test_a_sparse_and_a_giant_barcode_are_removed_with_their_reasons() -> None:
    table, _ = qc_barcodes(
        metrics([0.0] * 22, [*range(500, 520), 10, 60_000]),
        material="cells",
        max_pct_mito=CAPS,
        **QC,
    )
    assert table["kept"].sum() == 20
    assert "few genes" in table["reason"].iloc[20]
    assert "many genes" in table["reason"].iloc[21]


def test_too_few_barcodes_are_not_scored_and_it_is_said() -> None:
    scores, called, info = score_doublets(counts_of(20), rate_per_1000=0.008, min_cells=50, seed=0)
    assert np.isnan(scores).all() and not called.any()
    assert "20 barcodes" in info["note"]


# ambient RNA


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


def test_the_planted_ambient_share_and_profile_are_recovered() -> None:
    X, raw, soup = soup_study(0.1)
    profile, source = ambient_profile(X, raw)
    assert source == "empty droplets"
    np.testing.assert_allclose(profile, soup, atol=0.01)
    assert ambient_share(X, profile, np.arange(100) < 5) == pytest.approx(0.1, abs=0.015)


def test_without_empty_droplets_all_barcodes_stand_in() -> None:
    X, _, _ = soup_study()
    profile, source = ambient_profile(X)
    assert source == "all barcodes pooled"
    assert profile.sum() == pytest.approx(1)
    assert ambient_profile(X, X)[1] == source  # a "raw" matrix without empty droplets


def test_no_exclusive_genes_give_no_estimate() -> None:
    X, raw, _ = soup_study()
    profile, _ = ambient_profile(X, raw)
    assert np.isnan(ambient_share(X, profile, np.zeros(100, dtype=bool)))


def test_correction_removes_the_soup_and_nothing_else() -> None:
    X, raw, _ = soup_study(0.1)
    profile, _ = ambient_profile(X, raw)
    groups = np.repeat(["fibre", "other"], 150)
    clean = correct_ambient(X, profile, 0.1, groups, seed=1)
    assert clean.dtype == np.int32 and clean.format == "csr"
    assert (clean.toarray() <= X.toarray()).all()
    before, after = X[150:, :5].sum(), clean[150:, :5].sum()
    assert after < 0.2 * before  # fibre transcripts in other nuclei
    assert clean[:150, :5].sum() > 0.9 * X[:150, :5].sum()  # and in fibres
    assert clean.sum() == pytest.approx(0.9 * X.sum(), rel=0.02)
    np.testing.assert_array_equal(
        clean.toarray(), correct_ambient(X, profile, 0.1, groups, seed=1).toarray()
    )


# one sample


def test_spots_have_no_doublets_and_no_ambient_estimate() -> None:
    found = prepared(material="spots")
    assert found.barcodes["doublet_score"].isna().all()
    assert np.isnan(found.summary["ambient_share"])
    assert found.cells.n_obs == 120


@pytest.mark.parametrize("n", [1, 30])
def test_a_sample_of_few_barcodes_is_skipped_visibly(n: int) -> None:
    found = prepared(n)
    assert found.cells.n_obs == 0
    assert f"of {n} barcodes left, fewer than 50" in found.summary["skipped"]


def test_a_sample_in_which_nothing_passes_is_skipped_visibly() -> None:
    found = prepared(min_genes=10_000)
    assert found.summary["skipped"].startswith("0 of 120")
    with pytest.raises(InputError, match="no sample is left after quality control"):
        integrate([found])


def test_a_sample_of_doublets_only_is_skipped_visibly(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_called(counts: sparse.csr_matrix, **_: object) -> tuple[object, object, dict]:
        n = counts.shape[0]
        info = {"expected_rate": 0.04, "threshold": 0.0, "note": ""}
        return np.ones(n), np.ones(n, dtype=bool), info

    monkeypatch.setattr("alsmuscle.cells.prepare.score_doublets", all_called)
    found = prepared(material="cells")
    assert found.summary["skipped"].startswith("0 of 120 barcodes left")
    assert found.summary["doublet_share"] == 1
    assert set(found.barcodes["reason"]) <= {"doublet", "few counts"}
    assert found.cells.n_obs == 0


def test_prepare_sample_refuses_with_reasons() -> None:
    sample = sample_of(counts_of(60))
    with pytest.raises(InputError, match="unknown material 'tissue'"):
        prepare_sample(sample, sample_id="s", material="tissue")
    with pytest.raises(InputError, match="no barcodes"):
        prepare_sample(sample[:0].copy(), sample_id="s", material="cells")
    with pytest.raises(InputError, match="different genes"):
        prepare_sample(sample, sample_id="s", material="cells", raw=sample[:, :9].copy())


def test_a_poor_sample_is_flagged_with_metric_value_and_threshold() -> None:
    rows = [
        {
            "sample_id": f"s{i}",
            "n_barcodes": 100,
            "n_kept": 90,
            "median_counts": 1000 + 5 * i,
            "median_genes": 500 + i,
            "median_pct_mito": 0.5,
            "ambient_share": 0.1,
        }
        for i in range(6)
    ]
    assert (flag_samples(rows)["flag"] == "").all()
    rows[2] |= {"median_genes": 200, "ambient_share": 0.4, "n_kept": 30}
    found = flag_samples(rows).set_index("sample_id")["flag"]
    assert (found.drop("s2") == "").all()
    for part in ("median_genes 200 below", "ambient_share 0.4 above", "kept share 0.30 below 0.5"):
        assert part in found["s2"]
    assert (flag_samples(rows[3:])["flag"] == "").all()


# several samples


def test_log_normalise_by_hand_and_without_copying_the_indices() -> None:
    X = sparse.csr_matrix(np.array([[1, 0, 3], [0, 5, 0]], dtype=np.int32))
    found = log_normalise(X, [4, 10])
    expected = np.log1p([[2500, 0, 7500], [0, 5000, 0]])
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6)
    assert found.dtype == np.float32
    assert np.shares_memory(found.indices, X.indices)
    assert X.data.tolist() == [1, 3, 5]


def test_variable_genes_follow_scanpys_rule_over_batches() -> None:
    import scanpy as sc

    samples = {f"s{i}": sample_of(counts_of(90, seed=i), tag=f"s{i}") for i in range(3)}
    tables = []
    for sample in samples.values():
        sample.obs["n_counts"] = np.asarray(sample.X.sum(axis=1)).ravel()
        tables.append(sample_variable_genes(sample, n_top_genes=50))
    ours = variable_genes(tables, n_top_genes=50)
    both = anndata.concat(samples, label="sample_id")
    both.X = log_normalise(both.X, both.obs["n_counts"])
    both.uns["log1p"] = {"base": None}
    sc.pp.highly_variable_genes(both, n_top_genes=50, batch_key="sample_id")
    theirs = both.var_names[both.var["highly_variable"]]
    assert len(ours.intersection(theirs)) >= 49


def test_mitochondrial_genes_are_never_variable() -> None:
    sample = sample_of(counts_of(90), ["MT-CO1", "mt-Nd1"])
    sample.obs["n_counts"] = np.asarray(sample.X.sum(axis=1)).ravel()
    table = sample_variable_genes(sample, n_top_genes=299)
    assert not table["variable"].iloc[:2].any()
    assert table["variable"].iloc[2:].sum() > 250


def test_genes_are_aligned_by_name() -> None:
    X = sparse.csr_matrix(np.array([[1, 0, 3], [0, 5, 2]], dtype=np.int32))
    genes = pd.Index(["b", "a", "c"])
    assert align_genes(X, genes, genes) is X
    found = align_genes(X, genes, pd.Index(["c", "absent", "a"]))
    assert found.toarray().tolist() == [[3, 0, 0], [2, 0, 5]]
    assert found.has_sorted_indices and found.dtype == np.int32
    assert align_genes(X, genes, pd.Index([])).shape == (2, 0)


def test_genes_of_samples_are_united() -> None:
    one = pd.DataFrame({"symbol": ["B", "A"]}, index=["b", "a"])
    assert stack_genes([one, one]).index.tolist() == ["b", "a"]
    other = pd.DataFrame({"symbol": ["C", "B2"]}, index=["c", "b"])
    found = stack_genes([one, other])
    assert found["symbol"].to_dict() == {"a": "A", "b": "B", "c": "C"}
    assert found.index.tolist() == ["a", "b", "c"]


def test_samples_of_a_study_come_one_by_one_with_all_their_genes() -> None:
    samples = []
    for sample_id in ("a", "b", "c"):  # with the same barcodes
        cells = sample_of(counts_of(5 + len(samples), seed=ord(sample_id)))
        cells = cells[:, 10 * len(samples) :].copy()
        cells.obs["n_counts"] = np.asarray(cells.X.sum(axis=1)).ravel()
        summary = {"skipped": "too few" if sample_id == "b" else ""}
        samples.append(PreparedSample(sample_id, cells, pd.DataFrame(), summary))
    a, _, c = (sample.cells for sample in samples)
    names = [f"a:B{i}" for i in range(5)] + [f"c:B{i}" for i in range(7)]
    obs = pd.DataFrame({"n_counts": [*a.obs["n_counts"], *c.obs["n_counts"]]}, index=names)
    var = pd.DataFrame({"variable": [True, False]}, index=["G0100", "G0200"])
    study = AnnData(obs=obs, var=var, obsm={"X_umap": np.arange(24.0).reshape(12, 2)})
    first, last = each_sample(study, samples)
    assert first.n_vars == last.n_vars == 300
    assert last.obs_names.tolist() == names[5:] and first.n_obs == 5
    np.testing.assert_array_equal(last.layers["counts"][:, 20:].toarray(), c.X.toarray())
    assert last.layers["counts"][:, :20].nnz == 0
    expected = np.log1p(1e4 * a.X.toarray() / np.asarray(a.X.sum(axis=1)))
    np.testing.assert_allclose(first.X.toarray(), expected, rtol=1e-5)
    np.testing.assert_array_equal(last.obsm["X_umap"], study.obsm["X_umap"][5:])
    assert first.var_names[first.var["variable"]].tolist() == ["G0100"]


def test_a_study_in_parts_has_the_sums_of_the_whole() -> None:
    study = labelled()
    parts = [study[6:].copy(), study[:6].copy()]
    whole, found = (pseudobulk(x, min_cells=2, whole="all") for x in ([study], parts))
    assert sorted(whole.obs_names) == ["s1|a", "s1|all", "s1|b", "s2|a", "s2|all", "s2|b"]
    found = found[whole.obs_names].copy()
    np.testing.assert_array_equal(whole.X, found.X)
    pd.testing.assert_frame_equal(whole.obs, found.obs)
    counts = study.layers["counts"].toarray()
    np.testing.assert_array_equal(whole["s1|all"].X[0], counts[:6].sum(axis=0))


def test_integrate_refuses_mixed_materials_and_unknown_samples() -> None:
    nuclei = prepared(sample_id="s22")
    nuclei.summary["material"] = "nuclei"
    with pytest.raises(InputError, match="different materials: nuclei, spots"):
        integrate([prepared(), nuclei])
    with pytest.raises(InputError, match="sample table: s1"):
        integrate([prepared()], pd.DataFrame({"sample_id": ["other"], "condition": ["ALS"]}))


def test_too_few_cells_cannot_be_embedded() -> None:
    arguments = {
        "n_pcs": 5,
        "n_neighbors": 5,
        "resolution": 1.0,
        "exact_below": 100,
        "over_samples": True,
        "seed": 0,
    }
    X = log_normalise(counts_of(6), np.full(6, 600))
    with pytest.raises(InputError, match="6 cells"):
        embed(X, pd.Series(list("aaaaaa")), **arguments)  # type: ignore[arg-type]


# pseudobulk


def labelled() -> AnnData:
    X = sparse.csr_matrix(np.arange(1, 37, dtype=np.int32).reshape(12, 3))
    study = sample_of(X)
    study.layers["counts"] = X
    study.obs["sample_id"] = ["s1"] * 6 + ["s2"] * 6
    study.obs["condition"] = ["ALS"] * 6 + ["control"] * 6
    study.obs["n_counts"] = np.arange(12)
    study.obs["cell_type"] = ["a", "a", "b", "b", "b", "unassigned"] * 2
    return study


def test_pseudobulk_sums_by_hand() -> None:
    study = labelled()
    found = pseudobulk([study], min_cells=3)
    assert list(found.obs_names) == ["s1|b", "s2|b"]
    X = study.layers["counts"].toarray()
    np.testing.assert_array_equal(found.X, [X[2:5].sum(axis=0), X[8:11].sum(axis=0)])
    assert found.X.dtype == np.int64
    assert found.obs["n_cells"].tolist() == [3, 3]
    assert found.obs["condition"].tolist() == ["ALS", "control"]
    assert "n_counts" not in found.obs  # differs between cells of one sample
    dropped = found.uns["dropped"]
    assert dropped[["sample_id", "cell_type", "n_cells"]].to_numpy().tolist() == [
        ["s1", "a", 2],
        ["s2", "a", 2],
    ]


def test_pseudobulk_equals_scanpys_aggregate() -> None:
    import scanpy as sc

    study = labelled()
    found = pseudobulk([study], min_cells=1)
    theirs = sc.get.aggregate(study, ["sample_id", "cell_type"], "sum", layer="counts")
    theirs = theirs[theirs.obs["cell_type"] != "unassigned"]
    order = theirs.obs["sample_id"].astype(str) + "|" + theirs.obs["cell_type"].astype(str)
    np.testing.assert_array_equal(found[order].X, theirs.layers["sum"])


def test_pseudobulk_sums_stay_exact_above_float32() -> None:
    study = labelled()
    study.layers["counts"].data[:] = 2**24 + 1
    found = pseudobulk([study], min_cells=3)
    assert (found.X == 3 * (2**24 + 1)).all()


def test_pseudobulk_of_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="no sample has 50 cells"):
        pseudobulk([labelled()], min_cells=50)


# bounds


def test_nothing_becomes_dense() -> None:
    """Peak memory of normalising, combining and summing stays near the sparse size."""
    rng = np.random.default_rng(0)
    n, n_genes = 4000, 20_000
    X = sparse.random(n, n_genes, density=0.01, format="csr", random_state=rng)
    X = sparse.csr_matrix(
        (np.ones(X.nnz, np.int32), X.indices.astype(np.int32), X.indptr.astype(np.int32)), X.shape
    )
    samples = {"a": sample_of(X[:2000], tag="a"), "b": sample_of(X[2000:], tag="b")}
    sparse_bytes, dense_bytes = 8 * X.nnz, 4 * n * n_genes
    tracemalloc.start()
    prepared_samples = []
    for name, cells in samples.items():
        summary = {"skipped": ""}
        prepared_samples.append(PreparedSample(name, cells, pd.DataFrame(), summary))
    names = [*samples["a"].obs_names, *samples["b"].obs_names]
    obs = pd.DataFrame({"n_counts": 200, "cell_type": "a"}, index=names)
    obs["sample_id"] = ["a"] * 2000 + ["b"] * 2000
    no_genes = pd.DataFrame({"variable": []}, index=pd.Index([], dtype=str), dtype=bool)
    study = AnnData(obs=obs, var=no_genes)
    pseudobulk(each_sample(study, prepared_samples))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * sparse_bytes < dense_bytes / 4


def test_pseudobulk_meets_the_contract_of_bulk_counts() -> None:
    from alsmuscle.core.contracts import check_counts

    study = labelled()
    study.obs["dataset"], study.obs["subject_id"] = "demo", study.obs["sample_id"]
    found = pseudobulk([study], min_cells=3)
    found.uns["provenance"] = {}
    assert check_counts(found, "pseudobulk.h5ad") is found
