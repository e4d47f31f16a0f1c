"""Moderated t and F, with and without trend, and voom against R's limma, frozen in ``limma/``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alsmuscle.stats import linear

FOLDER = Path(__file__).parent / "limma"
AGE = np.tile([50, 61, 47, 70, 66, 58, 63], 2) + 3 * np.repeat([0, 1], 7)
DESIGN = np.column_stack([np.ones(14), np.repeat([0, 1], 7), AGE]).astype(float)


def _values(case):
    table = pd.read_csv(FOLDER / "values.tsv.gz", sep="\t")
    return table[table["case"] == case].set_index("gene_id")


@pytest.mark.parametrize(("case", "trend"), [("plain", False), ("trend", True)])
def test_moderated_statistics(case, trend):
    arrays = pd.read_csv(FOLDER / "arrays.tsv.gz", sep="\t", index_col=0)
    model = linear.fit(arrays.to_numpy(), DESIGN)
    ours = linear.moderated_t(model, [0, 1, 0], trend=trend)
    theirs = _values(case)
    for column in ("effect", "se", "stat", "df", "pvalue"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-6, err_msg=column)
    f = linear.moderated_f(model, [1, 2], trend=trend)
    np.testing.assert_allclose(f["stat"], theirs["F"], rtol=1e-6)
    np.testing.assert_allclose(f["pvalue"], theirs["F_pvalue"], rtol=1e-6)


def test_the_trend_changes_the_answer():
    assert not np.allclose(_values("plain")["stat"], _values("trend")["stat"], rtol=0.01)


def test_voom():
    counts = pd.read_csv(FOLDER.parent / "designs" / "counts.tsv.gz", sep="\t", index_col=0)
    obs = pd.read_csv(FOLDER.parent / "designs" / "obs.tsv", sep="\t", index_col=0)
    counts = counts[counts.sum(axis=1) > 0]
    male, sod1 = obs["sex"] == "male", obs["genotype"] == "sod1"
    batches = [obs["batch"] == level for level in "bc"]
    X = np.column_stack([np.ones(len(obs)), male, *batches, sod1]).astype(float)
    values, weights = linear.voom(counts, X)
    frozen = pd.read_csv(FOLDER / "weights.tsv.gz", sep="\t", index_col=0)
    ours = pd.DataFrame(weights, index=counts.index, columns=counts.columns).loc[frozen.index]
    relative = ((ours - frozen[ours.columns]).abs() / frozen[ours.columns]).to_numpy()
    print("weights: largest relative difference", relative.max())
    assert relative.max() < 1e-7
    table = linear.moderated_t(linear.fit(values, X, weights), [0, 0, 0, 0, 1], trend=False)
    theirs = _values("voom").loc[counts.index]
    for column in ("effect", "se", "stat"):
        off = (table[column].to_numpy() - theirs[column]).abs() / theirs[column].abs()
        print(column, off.max())
        assert off.max() < 1e-5
