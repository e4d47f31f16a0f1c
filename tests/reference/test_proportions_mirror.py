"""Adjustment by estimated proportions on real counts: a reference of two kinds of real tissue.

No study of muscle nuclei is in the mirror. Biopsies stand for cell types: those that hardly hold
muscle for fat and connective tissue, the most muscular ones for fibres. People and fat that are
mixed are others than those of the reference. What this cannot show is how far RNA of nuclei differs
from that of tissue (tests/unit/bulk/test_proportions.py simulates it).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import biopsies
from alsmuscle.bulk import proportions
from alsmuscle.core import files
from alsmuscle.simulate import planting
from biopsies import OXPHOS
from support import ROOT, mirror

MIRROR = mirror()
pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(MIRROR is None, reason="no mirror of public data"),
]
FIBRE, FAT = "Type I myonuclei", "FAP, pan"


@pytest.fixture(scope="module")
def members() -> pd.DataFrame:
    return biopsies.complete_blocks()


@pytest.fixture(scope="module")
def tissue() -> dict[str, pd.DataFrame]:
    """Genes x samples: ``people`` and ``fat`` to mix, and those of the reference."""
    table, order, holding = biopsies.biopsies()
    muscle = [name for name in order if name in holding]
    first = muscle[-1::-2][:6]  # every second of the most muscular
    return {
        FAT: table[order[:4:2]],
        FIBRE: table[first],
        "fat": table[order[1:4:2]],
        "people": table[[name for name in muscle if name not in first]],
    }


@pytest.fixture(scope="module")
def reference(tissue) -> proportions.Reference:
    parts = {name: tissue[name].T for name in (FIBRE, FAT)}
    counts = pd.concat(parts.values())
    obs = pd.DataFrame(
        {
            "sample_id": counts.index,
            "subject_id": counts.index,
            "condition": "healthy",
            "cell_type": np.repeat(list(parts), [len(part) for part in parts.values()]),
            "n_cells": 100,
        },
        index=counts.index,
    )
    sums = AnnData(counts.to_numpy(), obs=obs, var=pd.DataFrame(index=counts.columns))
    panel = files.read_plain(ROOT / "config" / "celltypes.tsv")
    return proportions.reference(sums, [], panel, dataset="gse140261")


def adjusted(counts, genes, target, members, reference):
    """Samples x genes to raw and adjusted effects, and the estimated share of fat."""
    fitted, other = biopsies.fitted_effects(counts, genes, target, members)
    found = proportions.shares(fitted, reference, frozenset(members["gene_id"]))
    table, reason = proportions.effects(fitted, biopsies.CONTRAST, members, found)
    assert table is not None, reason
    for name in ("effect", "pvalue"):
        table[f"{name}_raw"], table[f"{name}_markers"] = other[name], other[f"{name}_adjusted"]
    return table[table["n_mapped"] >= 3], found


def test_fat_among_patients_is_adjusted_for_and_a_true_effect_stays(tissue, reference, members):
    people, fat = tissue["people"], tissue["fat"]
    genes, rng, found, agree = people.index, np.random.default_rng(20261202), [], []
    side = min(8, people.shape[1] // 2)
    target = np.repeat([False, True], side)
    own = members[(members["programme"] == OXPHOS[0]) & (members["block"] == OXPHOS[1])]
    for planted in (0.0, -0.6):
        effect = np.where(genes.isin(own["gene_id"]), planted, 0.0)
        for _ in range(10):
            chosen = people.to_numpy().T[rng.permutation(people.shape[1])[: 2 * side]]
            thinned = planting.thin(chosen, effect, target, rng)
            share = np.where(target, rng.uniform(0.1, 0.5, 2 * side), rng.uniform(0, 0.1, 2 * side))
            counts = planting.mix(thinned, share, fat.to_numpy().T, rng)
            table, told = adjusted(counts, genes, target, members, reference)
            found.append(table.assign(planted=planted))
            agree.append((np.corrcoef(share, told.lineages["FAP"])[0, 1], told.overall))
    table = pd.concat(found)
    null = table[table["planted"] == 0]
    false = (null[["pvalue_raw", "pvalue_markers", "pvalue"]] < 0.05).mean()
    # What is left of single blocks over all splits: a split's own noise is no bias.
    size = null.groupby(["programme", "block"])[["effect_raw", "effect"]].mean().abs().mean()
    oxphos = table[(table["programme"] == OXPHOS[0]) & (table["block"] == OXPHOS[1])]
    mean = oxphos.groupby("planted")[["effect_raw", "effect"]].mean()
    share, fit = np.array(agree).T
    print(
        f"{side} v {side} of {people.shape[1]}; p < 0.05: {false.round(3).to_dict()}; mean bias "
        f"{size.round(3).to_dict()}; oxphos {mean.round(2).to_dict('index')}; share of fat "
        f"correlates by {share.mean():.3f} (least {share.min():.3f}); fit {fit.mean():.2f}"
    )
    assert share.mean() > 0.8
    assert false["pvalue"] < false["pvalue_raw"] / 3
    assert size["effect"] < size["effect_raw"] / 2
    assert abs(mean.loc[0.0, "effect"]) < 0.2
    assert mean.loc[-0.6, "effect_raw"] < -0.8  # the raw effect is that of the fat too
    assert -0.8 <= mean.loc[-0.6, "effect"] <= -0.3
