"""Two real 10x files (Visium spots, mouse muscle 2 and 5 days after notexin), file to labels.

Reads the data mirror (ALSMUSCLE_MIRROR, else ../shared/mirror beside the repository). One section
per day: directions known from regeneration are asserted, no difference is tested.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import by_config
from alsmuscle.cells import carried
from alsmuscle.cells.cluster import each_sample
from alsmuscle.core import files
from alsmuscle.data import genes
from alsmuscle.data.readers.single_cell import read_sample
from alsmuscle.data.readers.sparse_counts import rename_genes
from support import ROOT

annotate_module = by_config.annotate
annotate = by_config.annotate.annotate
integrate = by_config.cluster.integrate
prepare_sample = by_config.prepare.prepare_sample

MIRROR = Path(os.environ.get("ALSMUSCLE_MIRROR", ROOT.parent / "shared" / "mirror"))
pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(not (MIRROR / "index.tsv").exists(), reason=f"no data mirror at {MIRROR}"),
]
FILES = {
    "day2": "Vis5A_filtered_feature_bc_matrix.h5",
    "day5": "Vis7B_filtered_feature_bc_matrix.h5",
}


@cache
def study() -> AnnData:
    table = files.read_gene_table("mouse")
    prepared = []
    for sample_id, name in FILES.items():
        sample = read_sample(MIRROR / "files" / "scMuscle_visium" / name)
        found = genes.identify(sample.var["source_id"], table, symbols=sample.var["symbol"])
        sample = rename_genes(sample, found)
        prepared.append(prepare_sample(sample, sample_id=sample_id, material="spots"))
    panel = pd.read_csv(ROOT / "config" / "celltypes.tsv", sep="\t")
    cells = integrate(prepared, keep=set(panel["gene"]))
    annotate(cells, panel, organism="mouse", material="spots")
    return anndata.concat(list(each_sample(cells, prepared)), merge="same")


def per_million(day: str) -> pd.Series:
    cells = study()
    counts = cells.layers["counts"][(cells.obs["sample_id"] == day).to_numpy()]
    total = np.asarray(counts.sum(axis=0)).ravel()
    return pd.Series(total / total.sum() * 1e6, index=cells.var["symbol"])


def test_the_files_are_read_whole() -> None:
    sizes = study().obs["sample_id"].value_counts()
    assert 900 <= sizes["day2"] <= 982
    assert 900 <= sizes["day5"] <= 1011
    assert study().obs["doublet_score"].isna().all()  # spots are mixtures


@pytest.mark.parametrize("gene", ["Spp1", "Ccl2", "Ly6c2", "Cd68", "Gpnmb"])
def test_early_macrophages_at_two_days(gene: str) -> None:
    assert per_million("day2")[gene] > 2 * per_million("day5")[gene]


@pytest.mark.parametrize("gene", ["Myog", "Mymk", "Mymx", "Myh3", "Myh8", "Pax7", "Chrng"])
def test_new_fibres_at_five_days(gene: str) -> None:
    assert per_million("day5")[gene] > 2 * per_million("day2")[gene]


def test_names_are_carried_by_the_genes_that_stand_out() -> None:
    cells = study()
    named = cells.obs[["cluster", "cell_type"]].astype(str).drop_duplicates()
    first = annotate_module.top_genes(carried.cluster_sums([cells]), n=50)
    own = {
        "type IIB fibres": {"Myh4", "Actn3", "Pvalb", "Mybpc2", "Tnni2", "Pygm"},
        "type I fibres": {"Myh7", "Tnnt1", "Tnnc1", "Tnni1", "Myl2", "Myl3"},
        "regenerating": {"Myh3", "Myh8", "Actc1", "Myl4", "H19", "Igf2"},
        "macrophage, lipid": {"Spp1", "Lgals3", "Gpnmb", "Fabp5", "Trem2"},
        "Schwann": {"Mpz", "Mbp", "Pmp22"},
    }
    checked = 0
    for cluster, name in zip(named["cluster"], named["cell_type"], strict=True):
        assert not any(word in name for word in ("NMJ", "IFN"))  # none of their markers lead here
        for word, genes_of_type in own.items():
            if word in name:
                checked += 1
                assert len(genes_of_type & set(first[cluster].split("; "))) >= 2, (cluster, name)
    assert checked >= 5


def test_labels_follow_the_day() -> None:
    obs = study().obs
    share = pd.crosstab(obs["lineage"].astype(str), obs["sample_id"], normalize="index")["day5"]
    assert share["Myogenic cells"] > 0.9
    macrophages = obs["cell_type"].astype(str).str.contains("lipid-associated|IFN")
    assert (obs.loc[macrophages, "sample_id"] == "day2").mean() > 0.8
