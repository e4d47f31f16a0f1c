"""Context for patients: agreement of signature genes, and the first page's sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from alsmuscle.synthesis import context


def table(values: dict[str, float], se: float = 0.1) -> pd.DataFrame:
    return pd.DataFrame({"effect": pd.Series(values), "se": se})


def test_sign_agreement_counts_genes_that_move_in_the_reference() -> None:
    reference = table({"a": 1.0, "b": -1.0, "c": 0.05, "d": 2.0, "x": 3.0})
    als = table({"a": 0.3, "b": -0.1, "c": -1.0, "d": -0.2, "x": 1.0})
    out = context.sign_agreement(als, reference, ["a", "b", "c", "d", "absent"])
    assert (out.n, out.same) == (3, 2)
    assert out.share == pytest.approx(2 / 3)
    # Wilson's interval for 2 of 3, as R's prop.test(2, 3, correct = FALSE) gives it
    assert (out.low, out.high) == pytest.approx((0.2077, 0.9385), abs=1e-4)
    nothing = context.sign_agreement(als, reference, ["c"])
    assert nothing.n == 0 and np.isnan(nothing.share)


def contrasts(*rows: dict[str, Any]) -> pd.DataFrame:
    base = {
        "dataset": "a", "species": "human", "role": "als_patient", "tag": "", "eligible": True,
    }  # fmt: skip
    return pd.DataFrame([base | row for row in rows])


def test_the_sentence_says_what_is_missing_until_it_is_there() -> None:
    neurogenic = {"tag": "versus_neurogenic"}
    alone = context.patients_and_denervation(contrasts({}))
    assert alone.startswith("No study of human muscle that lost its nerve takes part")
    mouse = contrasts({}, {"dataset": "m", "species": "mouse", "role": "denervation"})
    assert context.patients_and_denervation(mouse) == alone
    one = context.patients_and_denervation(contrasts({}, neurogenic))
    assert "it takes two" in one
    two = contrasts({}, neurogenic, neurogenic | {"dataset": "b"})
    assert context.patients_and_denervation(two) == ""
    human = contrasts({}, {"dataset": "d", "role": "denervation"})
    assert context.patients_and_denervation(human) == ""
    barred = contrasts({}, {"dataset": "d", "role": "denervation", "eligible": False})
    assert context.patients_and_denervation(barred) == alone
    other = contrasts({}, {"dataset": "gse3307", "tag": "versus_other_disease"})
    assert "gse3307 also compares ALS" in context.patients_and_denervation(other)
