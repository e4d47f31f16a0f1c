"""Block effects on real counts: real nulls, effects planted by thinning,
foreign tissue mixed in.
"""

from __future__ import annotations

import gzip
import io
import tarfile

import numpy as np
import pandas as pd
import pytest

import biopsies
from alsmuscle.bulk import block_effects
from alsmuscle.simulate import planting
from biopsies import OXPHOS
from support import mirror

MIRROR = mirror()
pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(MIRROR is None, reason="no mirror of public data"),
]


@pytest.fixture(scope="module")
def members() -> pd.DataFrame:
    return biopsies.complete_blocks()


@pytest.fixture(scope="module")
def healthy() -> pd.DataFrame:
    """Ten healthy people of GSE184951, genes x samples."""
    found = {}
    with tarfile.open(MIRROR / "files" / "GSE184951" / "GSE184951_RAW.tar") as tar:
        for member in tar.getmembers():
            if "Control" not in member.name:
                continue
            text = gzip.decompress(tar.extractfile(member).read())
            table = pd.read_csv(io.BytesIO(text), sep="\t", header=None)
            table = table[table[0].str.startswith("ENSG")]
            ids = table[0].str.replace(r"\..*", "", regex=True)
            found[member.name] = table.set_index(ids)[2].groupby(level=0).sum()
    assert len(found) == 10
    return pd.DataFrame(found).fillna(0).astype(int)


@pytest.fixture(scope="module")
def mixed() -> tuple[pd.DataFrame, pd.DataFrame]:
    """GSE140261: samples that hold muscle, and the four that hardly do; genes x samples."""
    table, order, muscle = biopsies.biopsies()
    return table[muscle], table[order[:4]]


def effects(counts: np.ndarray, genes: pd.Index, target: np.ndarray, members: pd.DataFrame):
    """Samples x genes to block effects, raw and adjusted, as a run does."""
    table = biopsies.fitted_effects(counts, genes, target, members)[1]
    level = pd.Series(counts.mean(axis=0), index=genes)
    table["counts"] = (
        members.assign(level=members["gene_id"].map(level))
        .groupby(block_effects.KEY, sort=False)["level"]
        .median()
        .to_numpy()
    )
    return table[table["n_mapped"] >= 3]


@pytest.mark.parametrize("side", [4, 5])
def test_random_halves_of_healthy_people_differ_as_seldom_as_stated(healthy, members, side):
    rng, found = np.random.default_rng(20261129), []
    target = np.repeat([False, True], side)
    for _ in range(20):
        people = rng.permutation(healthy.shape[1])[: 2 * side]
        found.append(effects(healthy.to_numpy().T[people], healthy.index, target, members))
    table = pd.concat(found)
    shares = (table[["pvalue", "pvalue_adjusted"]] < 0.05).mean()
    print(f"{side} v {side}:", shares.round(4).to_dict())
    # Blocks of one split share its people, so that shares scatter by more than their number says.
    assert (shares <= 0.10).all()


def test_thinned_effects_come_back_and_are_covered(healthy, members):
    rng, found = np.random.default_rng(20261130), []
    keys = members[["programme", "block"]].drop_duplicates()
    target = np.repeat([False, True], 5)
    for _ in range(6):
        for depth in (1.0, 0.1, 0.03):
            moving = members.merge(keys.sample(frac=0.3, random_state=rng))["gene_id"]
            planted = np.where(healthy.index.isin(moving), -0.6, 0.0)
            people = rng.permutation(healthy.shape[1])
            shallow = rng.binomial(healthy.to_numpy().T[people], depth)
            counts = planting.thin(shallow, planted, target, rng)
            table = effects(counts, healthy.index, target, members)
            truth = planting.block_truth(pd.Series(planted, healthy.index), members)
            names = table["programme"] + "/" + table["block"]
            found.append(table.assign(truth=names.map(truth).to_numpy()))
    table = pd.concat(found)
    table = table[table["counts"].between(10, 100)]
    covered = (table["ci_low"] <= table["truth"]) & (table["truth"] <= table["ci_high"])
    strong = table[table["truth"].abs() > 0.3]
    ratio = (strong["effect"] * strong["truth"]).sum() / (strong["truth"] ** 2).sum()
    print(f"{len(table)} blocks, coverage {covered.mean():.3f}, ratio {ratio:.3f}")
    assert covered.mean() >= 0.90
    assert 0.85 <= ratio <= 1.15


def test_fat_among_patients_is_mostly_adjusted_for(mixed, members):
    people, fat = mixed
    genes, rng, found = people.index, np.random.default_rng(20261201), []
    target = np.repeat([False, True], 8)
    oxphos = members[(members["programme"] == OXPHOS[0]) & (members["block"] == OXPHOS[1])]
    for planted in (0.0, -0.6):
        effect = np.where(genes.isin(oxphos["gene_id"]), planted, 0.0)
        for _ in range(10):
            chosen = people.to_numpy().T[rng.permutation(people.shape[1])[:16]]
            thinned = planting.thin(chosen, effect, target, rng)
            share = np.where(target, rng.uniform(0.1, 0.5, 16), rng.uniform(0, 0.1, 16))
            counts = planting.mix(thinned, share, fat.to_numpy().T, rng)
            found.append(effects(counts, genes, target, members).assign(planted=planted))
    table = pd.concat(found)
    null = table[table["planted"] == 0]
    false = (null[["pvalue", "pvalue_adjusted"]] < 0.05).mean()
    own = table[(table["programme"] == OXPHOS[0]) & (table["block"] == OXPHOS[1])]
    mean = own.groupby("planted")[["effect", "effect_adjusted"]].mean()
    print("p < 0.05:", false.round(3).to_dict(), "oxphos:", mean.round(2).to_dict("index"))
    assert false["pvalue_adjusted"] < false["pvalue"] / 3
    assert mean.loc[-0.6, "effect"] < -0.8  # the raw effect is that of the fat too
    assert -0.8 <= mean.loc[-0.6, "effect_adjusted"] <= -0.3
