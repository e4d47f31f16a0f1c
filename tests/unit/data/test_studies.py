"""A study from its files, and the account of its samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from alsmuscle.core import contracts
from alsmuscle.core.errors import InputError
from alsmuscle.data import completeness, counts, verify
from alsmuscle.data.tables import CHECKS, COMPLETENESS
from alsmuscle.report import load

CONTRAST = {
    "id": "als_vs_healthy",
    "label": "x",
    "variable": "condition",
    "target": "als",
    "reference": "healthy",
    "within": {"condition": ["als", "healthy"]},
}
CARD = {"id": "gse1", "role": "als_patient", "modality": "bulk", "contrasts": [CONTRAST]}


def _counts(conditions, *, columns=None, X=None):
    n = len(conditions)
    X = np.arange(n * 3).reshape(n, 3) if X is None else np.array(X)
    obs = pd.DataFrame(
        {"condition": conditions, "sample_label": [f"lab {i}" for i in range(n)]},
        index=[f"lab_{i}" for i in range(n)],
    )
    adata = AnnData(X=X.astype(np.int32), obs=obs)
    adata.var_names = ["g1", "g2", "g3"][: X.shape[1]]
    adata.uns["provenance"] = {"columns_in_source": columns or list(obs["sample_label"])}
    return adata


def _excluded(*rows):
    return pd.DataFrame(rows, columns=["dataset", "sample_id", "reason"])


def test_every_sample_is_accounted_for():
    adata = _counts(["als", "healthy", "mmn"], columns=["lab 0", "lab 1", "lab 2", "x", "y"])
    gone = _excluded(("gse1", "x", "a repeat of lab 0"), ("gse1", "z", "never deposited"))
    table = completeness.completeness(CARD, adata, gone)
    contracts.check_table(table, COMPLETENESS, "x")
    by = table.set_index("sample_label")
    assert by["analysed"].to_dict() == {
        "lab 0": True, "lab 1": True, "lab 2": False, "x": False, "z": False,
    }  # fmt: skip
    assert by.loc["lab 2", "reason"].startswith("in no contrast (condition 'mmn'")
    assert by.loc["x", "reason"] == "a repeat of lab 0"
    assert by.loc["x", "obtained"]
    assert by.loc["lab 0", "sample_id"] == "lab_0"


def test_a_sample_that_did_not_come_is_said_not_to_have_come():
    table = completeness.completeness(
        CARD, _counts(["als", "healthy"]), _excluded(("gse1", "z", "never deposited"))
    )
    assert not table.set_index("sample_label").loc["z", "obtained"]


def test_equal_counts_are_found_within_and_across_studies():
    one = completeness.completeness(
        CARD, _counts(["als", "healthy"], X=[[1, 0, 2], [1, 0, 2]]), _excluded()
    )
    assert one["identical_to"].tolist() == ["gse1/lab 1", "gse1/lab 0"]
    # The same library elsewhere: other order of genes, one gene without reads more.
    other = _counts(["als", "healthy"], X=[[2, 1, 0], [2, 1, 1]])
    other.var_names = ["g3", "g1", "g9"]
    two = completeness.completeness({**CARD, "id": "gse2"}, other, _excluded())
    assert two["identical_to"].tolist() == ["", ""]
    both = completeness.mark_identical(pd.concat([one, two], ignore_index=True))
    assert both.loc[2, "identical_to"] == "gse1/lab 0;gse1/lab 1"
    assert both.loc[3, "identical_to"] == ""


def test_fingerprints_tell_counts_apart():
    prints = counts.fingerprints(_counts(["a", "b"], X=[[1, 2, 0], [2, 1, 0]]))
    assert len(set(prints.values())) == 2


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ([], "as the card says; the archive's record was not seen"),
        ([("sheet.samples", "3")], "the archive's own sheet says 3"),
        ([("archive.samples", "3"), ("sheet.samples", "2")], "the archive's record says 3"),
    ],
)
def test_the_account_in_words(checks, words):
    table = completeness.completeness(CARD, _counts(["als", "healthy", "mmn"]), _excluded())
    rows = [
        {"dataset": "gse1", "check": name, "state": "agrees", "card": "3", "found": found}
        for name, found in checks
    ]
    said = load.completeness_sentence(
        table, contracts.rows([{**row, "remedy": ""} for row in rows], CHECKS)
    )
    assert said.startswith("3 samples in the record, ")
    assert words in said
    assert "3 obtained, 2 analysed; each of the other 1 has its reason" in said


def test_reading_fails_with_a_row_and_not_with_a_crash(monkeypatch):
    def broken(card, manifest):
        raise InputError("no column 'x'", where="sheet.csv", expected="a, b")

    monkeypatch.setattr(verify.account, "of_study", broken)
    good = contracts.rows(
        [{"dataset": "gse1", "check": "files.a", "state": "agrees"}], CHECKS
    ).fillna("")
    (row,) = verify.checks(CARD, pd.DataFrame({"bytes": [1]}), good)
    assert (row["state"], row["card"]) == ("failed", "a, b")
    lost = good.assign(state="unreachable")
    assert verify.checks(CARD, pd.DataFrame(), lost) == []
