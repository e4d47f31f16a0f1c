"""Moderated variances against limma (frozen; see squeeze_var/README.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alsmuscle.stats.moderation import squeeze_var

VALUES = pd.read_csv(Path(__file__).parent / "squeeze_var" / "values.tsv", sep="\t")


@pytest.mark.parametrize("case", VALUES["case"].unique())
def test_squeeze_var_equals_limma(case: str) -> None:
    ref = VALUES[VALUES["case"] == case]
    fit = squeeze_var(ref["s2"].to_numpy(), ref["df"].to_numpy())
    assert fit.df_prior == pytest.approx(ref["df_prior"].iloc[0], rel=1e-7)
    assert fit.var_prior == pytest.approx(ref["var_prior"].iloc[0], rel=1e-7)
    np.testing.assert_allclose(fit.var_post, ref["var_post"], rtol=1e-7)


def test_the_reference_covers_finite_and_infinite_priors() -> None:
    assert np.isinf(VALUES["df_prior"]).any()
    assert np.isfinite(VALUES["df_prior"]).any()
