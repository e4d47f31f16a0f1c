"""Shrunken effects against R's apeglm, frozen in ``apeglm/`` (see its README)."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from alsmuscle.bulk import deseq2

FOLDER = Path(__file__).parent / "apeglm"
BASE = {"id": "c", "variable": "condition", "target": "B", "reference": "A"}
BASE |= {"block": None, "within": {}}
CONTRASTS = {
    "single_factor": {**BASE, "adjust": []},
    "multi_factor": {**BASE, "adjust": ["group"]},
    "continuous": {
        **BASE,
        **{"kind": "continuous", "variable": "measurement", "adjust": ["group", "condition"]},
    },
}


def _case(case):
    name = "continuous" if case == "continuous" else "synthetic"
    counts, obs = (
        pd.read_csv(FOLDER / f"{what}_{name}.tsv", sep="\t", index_col=0)
        for what in ("counts", "obs")
    )
    values = pd.read_csv(FOLDER / "values.tsv", sep="\t")
    var = pd.DataFrame({"symbol": counts.index, "source_id": counts.index}, index=counts.index)
    adata = anndata.AnnData(X=counts.T.to_numpy(), obs=obs, var=var)
    return adata, values[values["case"] == case].set_index("gene_id")


def _shrunken(fitted, obs, contrast):
    table = deseq2.test(
        fitted,
        obs,
        contrast,
        dataset="x",
        distribution="normal",
        alpha=0.05,
        min_replicates=3,
        shrink=True,
        inference="batched",
    )
    return table.set_index("gene_id")


def _hold(ours, theirs, what):
    off = (ours["log2fc_shrunk"] - theirs["log2fc_shrunk"]).abs()
    print(what, f"largest difference {off.max():.5f}")
    assert off.max() <= 0.001
    # Shrinkage does something here, or this test would say nothing.
    assert (theirs["log2fc"] - theirs["log2fc_shrunk"]).abs().max() > 0.03


@pytest.mark.parametrize("case", CONTRASTS)
def test_from_r_s_own_fit(case):
    adata, theirs = _case(case)
    contrast = CONTRASTS[case]
    fitted = deseq2.fit(adata, contrast, min_total=1, inference="batched")
    assert list(fitted.var_names) == list(theirs.index)
    fitted.obs["size_factors"] = adata.obs["size_factor"]
    fitted.var["dispersions"] = theirs["dispersion"]
    vector = deseq2.stored_vector(fitted, contrast)
    (term,) = np.flatnonzero(vector)
    # Numbers are standardised in our model: R's effect is per unit.
    fitted.varm["LFC"].iloc[:, term] = theirs["log2fc"] * np.log(2) / vector[term]
    ours = _shrunken(fitted, adata.obs, contrast).loc[theirs.index]
    _hold(ours, theirs, case)


@pytest.mark.parametrize("case", CONTRASTS)
def test_from_our_own_fit(case):
    adata, theirs = _case(case)
    contrast = CONTRASTS[case]
    fitted = deseq2.fit(adata, contrast, min_total=1, inference="batched")
    np.testing.assert_allclose(fitted.obs["size_factors"], adata.obs["size_factor"], rtol=1e-10)
    ours = _shrunken(fitted, adata.obs, contrast).loc[theirs.index]
    _hold(ours, theirs, f"{case}, own fit:")
