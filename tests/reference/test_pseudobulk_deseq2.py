"""Sums of one cell type through our code against frozen values of R's DESeq2 on the same sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from alsmuscle.cells import contrasts

HERE = Path(__file__).parent / "pseudobulk"


def ours(adjust: list[str]) -> pd.DataFrame:
    counts = pd.read_csv(HERE / "counts.tsv", sep="\t", index_col=0)
    obs = pd.read_csv(HERE / "obs.tsv", sep="\t").assign(cell_type="FAP, pan")
    obs["subject_id"] = obs["sample_id"]
    var = pd.DataFrame({"symbol": counts.index, "source_id": counts.index}, index=counts.index)
    sums = AnnData(counts.T.to_numpy(), obs=obs.set_index("sample_id", drop=False), var=var)
    contrast = {
        **{"id": "c", "kind": "difference", "variable": "condition", "target": "als"},
        **{"reference": "control", "adjust": adjust, "block": None, "within": {}},
        **{"defined_by": [], "across": None},
    }
    genes = pd.DataFrame(
        [
            ("P", b, False, 1, g)
            for b, part in (("a", counts.index[:20]), ("b", counts.index[20:40]))
            for g in part
        ],
        columns=["programme", "block", "stripped", "sign", "gene_id"],
    )
    found = contrasts.contrasts_by_type(
        sums,
        contrast,
        genes,
        genes,
        dataset="s",
        counts={"min_total": 10},
        de_options={
            **{"inference": "batched", "distribution": "normal", "alpha": 0.05},
            **{"min_replicates": 3, "shrink": False, "hidden_factor": True},
        },
        programme_options={"n_matched": 0},
        seed=0,
    )
    return found.de.set_index("gene_id")


@pytest.mark.parametrize(("design", "adjust"), [("condition", []), ("sex+condition", ["sex"])])
def test_pseudobulk_agrees_with_deseq2(design: str, adjust: list[str]) -> None:
    values = pd.read_csv(HERE / "values.tsv", sep="\t", skipinitialspace=True)
    values = values[values["design"].str.strip() == design]
    theirs = values.set_index(values["gene_id"].str.strip())
    mine = ours(adjust).loc[theirs.index]
    assert len(theirs) > 500
    assert mine["stat"].corr(theirs["stat"], method="spearman") > 0.9999
    np.testing.assert_allclose(mine["base_mean"], theirs["baseMean"], rtol=1e-6)
    difference = (mine["log2fc"] - theirs["log2FoldChange"]).abs()
    assert difference.quantile(0.99) < 0.01
    called, expected = (set(t.index[t["padj"] < 0.05]) for t in (mine, theirs))
    assert len(expected) >= 35
    assert len(called & expected) / len(called | expected) > 0.95
