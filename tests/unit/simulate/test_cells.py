from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.simulate.cells import TYPES, simulate_nuclei
from support import ROOT

PANEL = pd.read_csv(ROOT / "config" / "celltypes.tsv", sep="\t")
SMALL = {"n_donors": 8, "nuclei_per_donor": 150, "n_genes": 1200}


def test_the_study_is_as_described() -> None:
    study = simulate_nuclei(PANEL, seed=1, empty_droplets=20, **SMALL)
    truth = study.uns["truth"]
    assert study.X.format == "csr" and study.X.dtype == np.int32
    assert study.obs["subject_id"].nunique() == 8
    assert study.obs.groupby("condition")["subject_id"].nunique().tolist() == [4, 4]
    nuclei = study.obs[~study.obs["true_empty"]]
    assert len(nuclei) == 8 * 150 and study.n_obs == 8 * 170
    assert 0.03 < nuclei["true_doublet"].mean() < 0.1
    assert set(nuclei["true_type"]) == set(TYPES)
    satellite = (nuclei["true_type"] == "Satellite cell, quiescent").mean()
    assert satellite == pytest.approx(0.02, abs=0.012)
    listed = set(PANEL["cell_type"])
    assert [t for t in TYPES if t not in listed] == truth["unlisted"]
    assert len(TYPES) == 12 and len(truth["unlisted"]) == 2


def test_only_seventy_percent_of_markers_are_expressed() -> None:
    study = simulate_nuclei(PANEL, seed=2, **SMALL)
    positive = PANEL[(PANEL["organism"] == "human") & (PANEL["kind"] != "negative")]
    profiles = study.uns["truth"]["profiles"]
    on_by_type = study.uns["truth"]["markers_on"]
    assert on_by_type["Unlisted A"] == []
    for cell_type in set(on_by_type) - {"Unlisted A", "Unlisted B"}:
        on = on_by_type[cell_type]
        markers = set(positive.loc[positive["cell_type"] == cell_type, "gene"])
        assert len(on) == round(0.7 * len(markers))
        off = sorted(markers - set(on))
        assert profiles.loc[cell_type, on].min() > profiles.loc[cell_type, off].max()


def test_planted_genes_are_generic_and_move_in_their_type_only() -> None:
    study = simulate_nuclei(PANEL, seed=3, affected={"FAP, pan": 10}, **SMALL)
    de = study.uns["truth"]["de"]
    assert set(de["cell_type"]) == {"FAP, pan"} and len(de) == 10
    symbols = study.var.loc[de["gene_id"], "symbol"]
    assert symbols.str.startswith("GENE").all()
    up = de.loc[de["log2fc"] > 0, "gene_id"]
    share = pd.Series(
        np.asarray(study[:, up].X.sum(axis=1)).ravel() / np.asarray(study.X.sum(axis=1)).ravel(),
        index=study.obs_names,
    )
    means = share.groupby([study.obs["true_type"], study.obs["condition"]]).mean().unstack()
    ratio = np.log2(means["ALS"] / means["control"])
    assert ratio["FAP, pan"] > 0.8
    assert abs(ratio["Type I myonuclei"]) < 0.4


def test_a_null_study_has_no_truth_to_find() -> None:
    truth = simulate_nuclei(PANEL, seed=4, null=True, **SMALL).uns["truth"]
    assert truth["de"].empty and truth["shifted"] == {}


def test_the_seed_decides() -> None:
    a, b, c = (simulate_nuclei(PANEL, seed=s, **SMALL) for s in (5, 5, 6))
    assert (a.X != b.X).nnz == 0
    assert (a.X != c.X).nnz > 0


def test_too_small_a_study_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 8 donors"):
        simulate_nuclei(PANEL, seed=1, n_donors=6)
    with pytest.raises(ValueError, match="n_genes"):
        simulate_nuclei(PANEL, seed=1, n_genes=100)
