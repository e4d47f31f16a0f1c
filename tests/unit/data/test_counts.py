from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.core import contracts
from alsmuscle.core.errors import InputError
from alsmuscle.data import counts

RNG = np.random.default_rng(0)
RAW = RNG.negative_binomial(2, 0.01, (300, 4)).astype(float)


def _frame(values):
    return pd.DataFrame(values, index=[f"G{i}" for i in range(len(values))], columns=list("abcd"))


def _with(value):
    values = RAW.copy()
    values[7, 2] = value
    return values


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (RAW / RAW.sum(axis=0) * 1e6, "counts", "TPM or CPM"),
        (RAW / RAW.sum(axis=0) * 1e6, "expected_counts", "TPM or CPM"),
        (RAW * 0.317, "counts", "FPKM"),
        (RAW * 0.317, "expected_counts", "FPKM"),
        (np.log2(RAW + 1), "counts", "logarithms"),
        (np.log2(RAW + 0.5) - 5, "counts", "log ratios"),
        (_with(-3), "counts", "raw counts"),
        (_with(np.nan), "counts", "'G7', sample 'c'"),
        (_with(np.inf), "expected_counts", "'G7', sample 'c'"),
        (_with(3.5), "counts", "not whole numbers"),
        (RAW * [1, 1, 0, 1], "counts", "'c' has no read"),
        (RAW[:0], "counts", "empty"),
    ],
)
def test_what_only_looks_like_counts_is_refused(values, kind, expected):
    with pytest.raises(InputError, match=expected) as caught:
        counts.as_counts(_frame(values), kind, "gse1: file.csv")
    assert "gse1: file.csv" in str(caught.value)


def test_counts_stay_as_they_are():
    made, notes = counts.as_counts(_frame(RAW), "counts", "x")
    assert (made.to_numpy() == RAW).all()
    assert made.to_numpy().dtype == np.int32
    assert notes == []


def test_expected_counts_are_rounded_and_said_to_be():
    values = RAW.copy()
    values[::9] += 0.4
    made, notes = counts.as_counts(_frame(values), "expected_counts", "x")
    assert (made.to_numpy() == RAW).all()
    assert "rounded" in notes[0]


def test_counts_beyond_32_bits():
    made, _ = counts.as_counts(_frame(_with(3e9)), "counts", "x")
    assert made.iloc[7, 2] == 3_000_000_000


def _samples():
    return pd.DataFrame(
        {"dataset": "x", "sample_id": ["b", "a"], "condition": ["u", "v"], "subject_id": "d"}
    )


def test_rows_of_one_gene_are_summed_in_the_order_of_the_sheet():
    matrix = pd.DataFrame({"a": [1, 2, 4], "b": [10, 20, 40]}, index=["E1.1", "E2.1", "E1.2"])
    identity = pd.DataFrame(
        {
            "gene_id": ["E1", "E2", "E1"],
            "symbol": ["ONE", "", "ONE"],
            "status": ["ensembl", "ensembl_unlisted", "ensembl"],
        }
    )
    made = counts.assemble(matrix, identity, _samples(), {"files": {}})
    assert made.obs_names.tolist() == ["b", "a"]
    assert made.to_df().to_dict("list") == {"E1": [50, 5], "E2": [20, 2]}
    assert made.var.loc["E1", "source_id"] == "E1.1;E1.2"
    assert made.uns["provenance"]["rows_summed"] == 1
    assert made.uns["provenance"]["rows_by_status"] == {"ensembl": 2, "ensembl_unlisted": 1}
    contracts.check_counts(made, "x")


def test_a_broken_matrix_fails_its_contract():
    matrix = pd.DataFrame({"a": [1], "b": [10]}, index=["E1"])
    identity = pd.DataFrame({"gene_id": ["E1"], "symbol": ["ONE"], "status": ["ensembl"]})
    made = counts.assemble(matrix, identity, _samples(), {})
    with pytest.raises(InputError, match="no column 'symbol'"):
        contracts.check_counts(_without(made, "symbol"), "x")
    half = made.copy()
    half.X = half.X + 0.5
    with pytest.raises(InputError, match="not whole numbers"):
        contracts.check_counts(half, "x")


def _without(adata, column):
    adata = adata.copy()
    del adata.var[column]
    return adata
