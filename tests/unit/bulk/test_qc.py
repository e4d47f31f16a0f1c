from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from alsmuscle.bulk import qc
from alsmuscle.core import files
from alsmuscle.data import derived
from support import ROOT

THRESHOLDS = {
    "min_library_size": 1000,
    "min_genes_detected": 50,
    "max_top_gene_share": 0.5,
    "max_pct_hb": 5.0,
    "max_pct_mito": 60.0,
    "max_dissimilarity": 2.0,
    "max_outlier_distance": 3.0,
    "max_level": 0.5,
    "max_level_spread": 2.0,
    "min_muscle": {"counts": 8.0, "intensities": 4.0},
    "min_tissue": {"counts": 6.0, "intensities": 3.0},
    "max_tissue_excess": 3.0,
}
PANELS = files.read_plain(ROOT / "config" / "tissues.tsv")
SYMBOLS = ["XIST", "RPS4Y1", "DDX3Y", "KDM5D", "HBB", "MT-CO1", "RPL3", "RPS6KA1"]


def _study(n=8, seed=0):
    rng = np.random.default_rng(seed)
    genes = SYMBOLS + [f"S{i}" for i in range(400)]
    mean = np.exp(rng.normal(4, 1, len(genes)))
    X = rng.negative_binomial(20, 20 / (20 + np.tile(mean, (n, 1))))
    female = np.arange(n) % 2 == 0
    X[:, 0] = np.where(female, 60, 0)
    X[:, 1:4] = np.where(female, 0, 60)[:, None]
    obs = pd.DataFrame(
        {
            "dataset": "x",
            "condition": ["a", "b"] * (n // 2),
            "sex": np.where(female, "female", "male"),
            "muscle": "",
        },
        index=[f"s{i}" for i in range(n)],
    )
    var = pd.DataFrame(
        {"symbol": genes, "source_id": genes}, index=[f"G{i}" for i in range(len(genes))]
    )
    return anndata.AnnData(X=X, obs=obs, var=var)


def _measure(counts):
    vst = counts.copy()
    vst.X = np.log2(np.asarray(counts.X) / np.asarray(counts.X).sum(1, keepdims=True) * 1e6 + 1)
    table, pca, correlation = qc.metrics(
        counts, vst, "human", PANELS, n_variable_genes=100, n_components=3
    )
    return qc.flag(table, measure="counts", **THRESHOLDS).set_index("sample_id"), pca, correlation


def test_shares_by_hand():
    counts = _study()
    table, pca, correlation = _measure(counts)
    X = np.asarray(counts.X)
    assert table["library_size"].tolist() == X.sum(axis=1).tolist()
    assert table.loc["s1", "pct_hb"] == pytest.approx(100 * X[1, 4] / X[1].sum())
    assert table.loc["s1", "pct_mito"] == pytest.approx(100 * X[1, 5] / X[1].sum())
    # RPS6KA1 is a kinase, not a ribosomal protein; RPS4Y1 is one.
    assert table.loc["s1", "pct_ribo"] == pytest.approx(100 * X[1, [1, 6]].sum() / X[1].sum())
    assert list(pca) == [
        "sample_id", "pc1", "pc2", "pc3", "pc1_explained", "pc2_explained", "pc3_explained",
    ]  # fmt: skip
    assert pca["pc1_explained"].iloc[0] >= pca["pc2_explained"].iloc[0]
    assert np.allclose(np.diag(correlation), 1)


def test_clean_samples_are_not_flagged():
    table, _, _ = _measure(_study())
    assert table["flags"].tolist() == [""] * 8
    assert table["sex_inferred"].tolist() == ["female", "male"] * 4


@pytest.mark.parametrize(
    ("cells", "value", "flag", "reason"),
    [
        (slice(0, None), 2, "library_size", "< 1000"),
        (slice(20, None), 0, "genes_detected", "< 50"),
        (30, 300_000, "top_gene_share", "(S22)"),
        (4, 50_000, "pct_hb", "> 5.0"),
        (5, 300_000, "pct_mito", "> 60.0"),
        (slice(8, None), "reversed", "correlation", "times the study's median > 2.0"),
    ],
    ids=["library", "genes", "top", "blood", "mito", "correlation"],
)
def test_a_damaged_sample_is_flagged_with_metric_value_and_threshold(cells, value, flag, reason):
    counts = _study()
    X = np.asarray(counts.X).copy()
    X[2, cells] = X[2, cells][::-1] if value == "reversed" else value
    counts.X = X
    table, _, _ = _measure(counts)
    assert flag in table.loc["s2", "flags"].split(";")
    assert reason in table.loc["s2", "reasons"]
    assert flag not in ";".join(table.drop(index="s2")["flags"])


def test_declared_against_expressed_sex():
    counts = _study()
    counts.obs.loc["s0", "sex"] = "male"
    counts.obs.loc["s3", "sex"] = ""
    X = np.asarray(counts.X).copy()
    X[5, 0] = 60  # both sexes' genes
    X[6, :4] = 0  # neither
    counts.X = X
    table, _, _ = _measure(counts)
    assert table.loc["s0", "flags"] == "sex_mismatch"
    assert "declared male but expressed female" in table.loc["s0", "reasons"]
    assert table.loc["s3", "flags"] == ""
    assert table.loc["s3", "sex_inferred"] == "male"
    assert table.loc["s5", "flags"] == "sex_mixed"
    assert table.loc["s6", "flags"] == "sex_unclear"


def test_mouse_and_absent_sex_genes():
    counts = _study()
    counts.var["symbol"] = ["Xist", "Ddx3y", "Uty", "Kdm5d", *counts.var["symbol"][4:]]
    assert (
        derived.sex_expression(counts, "mouse")["sex_inferred"].tolist() == ["female", "male"] * 4
    )
    counts.var["symbol"] = [f"S{i}" for i in range(counts.n_vars)]
    assert set(derived.sex_expression(counts, "human")["sex_inferred"]) == {"unclear"}


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ([0, 1, 2, 3], "Neither XIST nor Y genes are in the matrix"),
        ([0], "XIST is not in the matrix"),
        ([1, 2, 3], "No Y gene is in the matrix"),
        ([], ""),
    ],
)
def test_sex_genes_that_a_matrix_lacks_are_said_once_and_flag_nobody(lost, words):
    counts = _study()
    symbols = counts.var["symbol"].astype(str).tolist()
    counts.var["symbol"] = [f"S{i}" if i in lost else name for i, name in enumerate(symbols)]
    note = derived.sex_note(derived.sex_expression(counts, "human"))
    assert note.startswith(words) and bool(note) == bool(words)
    table, _, _ = _measure(counts)
    assert not table["flags"].str.contains("sex_unclear").any()
    assert not table["reasons"].str.contains("nan").any()


def test_a_sex_that_one_kind_of_gene_contradicts_is_still_flagged():
    counts = _study()
    counts.var["symbol"] = ["S0", *counts.var["symbol"].astype(str)[1:]]
    male = derived.sex_expression(counts, "human")["sex_inferred"] == "male"
    counts.obs.loc[male[male].index[0], "sex"] = "female"
    table, _, _ = _measure(counts)
    row = table.loc[male[male].index[0]]
    assert row["flags"] == "sex_mismatch"
    assert "XIST" not in row["reasons"]


def test_components_do_not_depend_on_the_order_of_samples():
    counts = _study()
    counts.X = np.asarray(counts.X, dtype=float)
    order = np.random.default_rng(1).permutation(8)
    one = qc.components(counts, 100, 3).set_index("sample_id")
    two = qc.components(counts[order].copy(), 100, 3).set_index("sample_id").loc[one.index]
    np.testing.assert_allclose(one, two, atol=1e-6)


# --- components and covariates ---


def test_a_covariate_is_named_with_its_component():
    n = 24
    rng = np.random.default_rng(4)
    obs = pd.DataFrame({"dataset": "x", "batch": ["1", "2"] * (n // 2)})
    obs.index = pd.Index([f"s{i}" for i in range(n)], name="sample_id")
    obs["age"] = rng.uniform(30, 80, n)
    obs["age_raw"], obs["name"], obs["site"] = obs["age"], obs.index, "one"
    pca = pd.DataFrame({"sample_id": obs.index, "pc1_explained": 0.5})
    pca["pc1"] = np.where(obs["batch"] == "2", 5, -5) + rng.normal(0, 1, n)
    pca["pc2"] = 0.3 * obs["age"].to_numpy() + rng.normal(0, 1, n)
    table = pd.DataFrame({"library_size": rng.integers(1, 100, n)}, index=obs.index)
    found = qc.associations(pca, obs, table)
    assert set(found["covariate"]) == {"batch", "age", "library_size"}
    called = found[found["padj"] < 0.001]
    assert sorted(zip(called["component"], called["covariate"], strict=True)) == [
        ("pc1", "batch"),
        ("pc2", "age"),
    ]
    row = found[(found["component"] == "pc2") & (found["covariate"] == "age")].iloc[0]
    expected = np.corrcoef(pca["pc2"], obs["age"])[0, 1] ** 2
    assert row["r2"] == pytest.approx(expected)
    from scipy.stats import pearsonr

    assert row["pvalue"] == pytest.approx(pearsonr(pca["pc2"], obs["age"]).pvalue)


def test_what_most_samples_show_is_said_to_be_the_libraries() -> None:
    counts = _study()
    counts.X[:, counts.var["symbol"] == "MT-CO1"] = int(3 * counts.X.sum(axis=1).mean())
    table, *_ = _measure(counts)
    assert table["flags"].str.contains("pct_mito").all()
    assert table["reasons"].str.contains("as in 8 of 8 samples").all()
    # Mitochondrial reads are not flagged a second time as the most abundant gene.
    assert not table["flags"].str.contains("top_gene").any()
    assert (table["top_gene"] != "MT-CO1").all()


def test_a_sample_that_most_do_not_resemble_is_flagged_alone() -> None:
    counts = _study()
    counts.X[2, counts.var["symbol"] == "HBB"] = int(counts.X[2].sum())
    table, *_ = _measure(counts)
    assert "pct_hb" in table.loc["s2", "flags"]
    assert "as in" not in table.loc["s2", "reasons"]
