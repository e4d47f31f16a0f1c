from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from alsmuscle.core.errors import InputError
from alsmuscle.data import derivation

EFFECT = pd.Series([1.0, -2.0, 0.5])
SE = np.array([0.25, 0.5, 0.1])
DF = 10.0


def _derive(columns, **spec):
    table = pd.DataFrame(columns)
    full = derivation.with_tool({"df": DF, **spec}, table.columns)
    return derivation.standard_error(table, full, EFFECT, where="file")


T = EFFECT / SE
WAYS = {
    "t": ({"t": T}, {"t_column": "t"}),
    "F of edgeR": ({"F": T**2, "PValue": 0.5}, {"tool": "edger"}),
    "p": ({"p": 2 * stats.t.sf(T.abs(), DF)}, {"pvalue_column": "p"}),
    "interval": (
        {
            "low": EFFECT - stats.t.ppf(0.975, DF) * SE,
            "high": EFFECT + stats.t.ppf(0.975, DF) * SE,
        },
        {"ci_low_column": "low", "ci_high_column": "high"},
    ),
    "DESeq2": ({"lfcSE": SE}, {"tool": "deseq2"}),
    "limma": ({"t": T, "P.Value": 0.5}, {"tool": "limma"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_error_that_the_table_was_made_with(way):
    columns, spec = WAYS[way]
    found = _derive(columns, **spec)
    assert np.allclose(found.se, SE, rtol=1e-9)
    assert found.df == DF
    assert found.how


def test_without_degrees_of_freedom_donors_less_two_are_taken_and_said():
    p = 2 * stats.t.sf(T.abs(), 6)
    found = derivation.standard_error(
        pd.DataFrame({"p": p}),
        {"pvalue_column": "p", "n_target": 4, "n_reference": 4},
        EFFECT,
        where="file",
    )
    assert np.allclose(found.se, SE)
    assert "6 degrees of freedom" in found.how


def test_what_a_row_cannot_tell_is_missing_not_zero():
    found = _derive({"p": [0.0, 1.0, 0.5]}, pvalue_column="p")
    assert found.se.isna().tolist() == [True, True, False]
    assert _derive({"t": [0.0, 4.0, 5.0]}, t_column="t").se.isna().tolist() == [True, False, False]


def test_nothing_tells_an_error():
    with pytest.raises(InputError, match="no measure of spread"):
        _derive({"x": [1, 2, 3]})
