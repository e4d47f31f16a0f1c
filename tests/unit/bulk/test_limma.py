from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from alsmuscle.bulk import limma
from alsmuscle.bulk.tables import DE, NO_TEST
from alsmuscle.core import contracts
from alsmuscle.core.errors import InputError
from alsmuscle.data import intensities


def _intensities(log2=True, n=6):
    rng = np.random.default_rng(2)
    values = rng.uniform(3, 14, (200, 1)) + rng.normal(0, 0.3, (200, n))
    table = pd.DataFrame(values, index=[f"p{i}" for i in range(200)])
    return table if log2 else 2**table


def test_the_scale_is_seen_in_the_numbers():
    log2, said = intensities.to_log2(_intensities(), "auto", "x")
    assert "log2 already" in said
    linear, said = intensities.to_log2(_intensities(log2=False), "auto", "x")
    assert "linear" in said
    high = log2 > 5
    np.testing.assert_allclose(linear.to_numpy()[high], log2.to_numpy()[high])
    assert linear.min().min() == 4  # log2 of the floor of 16


@pytest.mark.parametrize(
    ("values", "scale", "words"),
    [
        (_intensities(log2=False), "log2", ["the card says log2", "scale: linear"]),
        (_intensities(), "linear", ["the card says linear", "scale: log2"]),
        (_intensities() - 8, "auto", ["ratios or centred"]),
        (_intensities() * np.nan, "auto", ["no number"]),
    ],
)
def test_numbers_that_do_not_fit_the_scale(values, scale, words):
    with pytest.raises(InputError) as caught:
        intensities.to_log2(values, scale, "gse1: matrix.txt")
    for word in ["gse1: matrix.txt", *words]:
        assert word in str(caught.value)


def test_chips_of_one_donor_are_put_together():
    a = pd.DataFrame([[1.0, 3, 5, 9]], index=["p1"], columns=["a1", "a2", "a3", "a9"])
    b = pd.DataFrame([[2.0, 4], [6, 8]], index=["p1", "q1"], columns=["b1", "b2"])
    donor = pd.Series(
        {"a1": "ann", "a2": "ann", "a3": "bob", "a9": "cat", "b1": "ann", "b2": "bob"}
    )
    merged, lacking = intensities.merge_chips([a, b], donor)
    assert merged.columns.tolist() == ["ann", "bob"]
    assert merged.to_numpy().tolist() == [[2, 5], [2, 4], [6, 8]]
    assert lacking == ["cat"]


def test_the_probe_of_highest_expression_speaks_for_its_gene():
    expression = pd.DataFrame(
        [[5.0, 9.0], [8.0, 8.0], [7.0, 7.0], [9.0, np.nan], [3.0, 3.0]], columns=["s1", "s2"]
    )
    expression.index = ["p1", "p2", "p3", "p4", "p5"]
    identity = pd.DataFrame({"gene_id": ["G1", "G1", "G2", "G1", "p5"], "symbol": [*"AABA", ""]})
    identity["status"] = ["symbol", "symbol", "symbol", "symbol", "unmapped"]
    genes, var = intensities.to_genes(expression, identity)
    assert genes.index.tolist() == ["G1", "G2"]
    assert genes.loc["G1"].tolist() == [8, 8]  # p1 moves more, p2 is expressed more
    assert var["source_id"].tolist() == ["p2", "p3"]
    assert var["n_probes"].tolist() == [2, 1]
    shuffled = [2, 4, 0, 3, 1]
    again, _ = intensities.to_genes(expression.iloc[shuffled], identity.iloc[shuffled])
    pd.testing.assert_frame_equal(again, genes)


CONTRAST = {"id": "c", "variable": "condition", "target": "als", "reference": "healthy"}
CONTRAST |= {"adjust": [], "block": None, "within": {}}


def _study(n):
    rng = np.random.default_rng(1)
    obs = pd.DataFrame({"condition": ["healthy"] * n + ["als"] * n, "subject_id": ""})
    obs.index = [f"s{i}" for i in range(2 * n)]
    X = rng.uniform(4, 12, 300) + rng.normal(0, 0.3, (2 * n, 300))
    X[n:, :30] += 1.5
    var = pd.DataFrame({"symbol": "S"}, index=[f"G{i:03d}" for i in range(300)])
    var["source_id"] = [f"p{i}" for i in range(300)]
    return anndata.AnnData(X=X, obs=obs, var=var, uns={"measure": "intensities"})


def _tested(study, **more):
    fitted = limma.fit(study, CONTRAST)
    options = {"dataset": "x", "min_replicates": 3} | more
    return limma.test(fitted, study.obs, CONTRAST, **options)


@pytest.mark.parametrize("trend", [True, False])
def test_planted_effects_are_found(trend):
    table = _tested(_study(5), trend=trend)
    contracts.check_table(table, DE, "x")
    table = table.set_index("gene_id")
    planted = table.loc[[f"G{i:03d}" for i in range(30)]]
    assert (planted["padj"] < 0.05).all()
    assert planted["log2fc"].mean() == pytest.approx(1.5, abs=0.1)
    assert (table.drop(planted.index)["padj"] < 0.05).mean() < 0.03
    assert set(table["n_target"]) == {5}


@pytest.mark.parametrize("n", [1, 2])
def test_few_arrays_give_effects_without_a_test(n):
    table = _tested(_study(n), trend=True)
    assert table["log2fc"].notna().all()
    assert table[NO_TEST].isna().all(axis=None)
