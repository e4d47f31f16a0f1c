"""Composition test against limma (frozen; see composition/README.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import by_config

composition_test = by_config.composition.composition_test


HERE = Path(__file__).parent / "composition"
COUNTS = pd.read_csv(HERE / "counts.tsv", sep="\t", index_col="donor")
VALUES = pd.read_csv(HERE / "values.tsv", sep="\t")


@pytest.mark.parametrize("case", ["logit", "arcsine", "logit_age", "logit_few"])
def test_moderated_t_equals_limma(case: str) -> None:
    table = COUNTS.iloc[:6] if case == "logit_few" else COUNTS
    design = pd.DataFrame({"intercept": 1.0, "als": (table["group"] == "ALS").astype(float)})
    if case == "logit_age":
        design["age"] = table["age"].astype(float)
    contrast = pd.Series(0.0, index=design.columns)
    contrast["als"] = 1.0
    found = composition_test(
        table.filter(regex=r"^T\d"),
        design,
        contrast,
        n_target=int(design["als"].sum()),
        n_reference=int((1 - design["als"]).sum()),
        transform=case.split("_", maxsplit=1)[0],
    ).set_index("cell_type")
    expected = VALUES[VALUES["case"] == case].set_index("cell_type")
    for column in ("effect", "se", "stat", "df", "pvalue", "padj"):
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-7, err_msg=column)
