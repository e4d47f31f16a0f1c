"""Programmes on real muscle studies: levels of the tests and what biology must show.

Reads the data mirror (ALSMUSCLE_MIRROR, else ../shared/mirror beside the repository).
"""

from __future__ import annotations

import gzip
import io
import itertools
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alsmuscle.genesets import block_tests, programmes, scoring
from by_config import camera, pathways, set_tests
from support import ROOT

MIRROR = Path(os.environ.get("ALSMUSCLE_MIRROR", ROOT.parent / "shared" / "mirror"))
RESOURCES = ROOT / "workflow" / "resources"
pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(not (MIRROR / "index.tsv").exists(), reason=f"no data mirror at {MIRROR}"),
    pytest.mark.skipif(not RESOURCES.exists(), reason="no gene tables in workflow/resources"),
]
Study = tuple[pd.DataFrame, pd.Series]
DM1 = "Myotonic dystrophy type 1 (DM1)_untreated"
TRAINED = "Myotonic dystrophy type 1 (DM1)_12-weeks of cycle ergometry"
HEALTHY = "healthy_untreated"


def log_counts(counts: pd.DataFrame) -> pd.DataFrame:
    """Log2 of size-factor-scaled counts, damped by 4, of genes that are expressed."""
    counts = counts.groupby(counts.index.str.split(".").str[0]).sum()
    counts = counts[(counts / counts.sum() * 1e6 >= 0.5).mean(axis=1) >= 0.25]
    logs = np.log(counts[(counts > 0).all(axis=1)])
    factors = np.exp(logs.sub(logs.mean(axis=1), axis=0).median())
    return np.log2(counts / (factors / np.exp(np.log(factors).mean())) + 4)


def genes(organism: str) -> pd.DataFrame:
    return pd.read_csv(RESOURCES / f"genes_{organism}.tsv.gz", sep="\t", dtype=str)


@pytest.fixture(scope="module")
def listed() -> pd.DataFrame:
    path = ROOT / "config" / "programmes.tsv"
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3)


@pytest.fixture(scope="module")
def members(listed) -> Callable[[str], pd.DataFrame]:
    both = {o: programmes.blocks(listed, o, genes(o)) for o in ("human", "mouse")}
    return lambda organism: both[organism][~both[organism]["stripped"]]


@pytest.fixture(scope="module")
def fshd() -> Study:
    folder = MIRROR / "files" / "GSE140261"
    counts = pd.read_csv(folder / "GSE140261_year2_genecounts.csv", index_col=0)
    meta = pd.read_csv(folder / "GSE140261.meta.csv", index_col=0)
    group = meta.set_index(meta["title"].str.removesuffix("_control") + "_II")["disease state:ch1"]
    return log_counts(counts), group[counts.columns]


@pytest.fixture(scope="module")
def dm1() -> tuple[pd.DataFrame, pd.DataFrame]:
    folder = MIRROR / "files" / "GSE184951"
    meta = pd.read_csv(folder / "GSE184951.meta.csv", index_col=0)
    columns = {}
    with tarfile.open(folder / "GSE184951_RAW.tar") as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            assert stream is not None
            text = gzip.decompress(stream.read()).decode()
            table = pd.read_csv(io.StringIO(text), sep="\t", header=None, dtype={0: str})
            table = table[~table[0].str.startswith("__")].set_index(0)
            columns[member.name.split("_")[0]] = table.iloc[:, -1].groupby(level=0).sum()
    x = log_counts(pd.DataFrame(columns).dropna())
    meta = meta.loc[x.columns]
    number = meta["title"].str.extract(r"[Ss]ample (\d+)")[0]
    group = meta["disease state:ch1"] + "_" + meta["treatment:ch1"]
    return x, pd.DataFrame({"group": group, "donor": number.where(group != HEALTHY, "h" + number)})


@pytest.fixture(scope="module")
def flight() -> Study:
    name = "GLDS-103_rna_seq_Unnormalized_Counts.csv"
    counts = pd.read_csv(MIRROR / "files" / "GLDS-103" / name, index_col=0)
    group = pd.Series(["flight" if "_FLT_" in c else "ground" for c in counts], counts.columns)
    return log_counts(counts), group


def contrast(study: Study, target: str, reference: str) -> dict:
    x, group = study
    return {
        "expression": x,
        "design": pd.get_dummies(group, dtype=float),
        "contrast": pd.Series({target: 1.0, reference: -1.0}),
    }


def random_shares(model: dict, blocks: pd.DataFrame) -> pd.Series:
    """Share of p < 0.05 over 20 fresh matched sets per block, through the same outermost call."""
    fresh = scoring.control_blocks(model["expression"].mean(axis=1), blocks, 20, seed=7)
    draw = fresh["block"].str.rsplit("~", n=1).str[1]
    rows = [
        block_tests.effects(**model, members=part, n_matched=300, seed=2)
        for _, part in fresh.groupby(draw)
    ]
    table = pd.concat(rows)
    assert len(table) > 2000
    return (table[["pvalue", "pvalue_competitive"]] < 0.05).mean()


def test_random_sets_hold_the_level_of_the_programme_test_in_every_study(
    fshd, dm1, flight, members
):
    x, donors = dm1
    pairs = donors[donors["group"] != HEALTHY]
    paired = pd.get_dummies(pairs["donor"], dtype=float)
    paired["trained"] = (pairs["group"] == TRAINED).astype(float)
    models = {
        "FSHD v control": (contrast(fshd, "FSHD", "Control"), "human"),
        "DM1 v healthy": (contrast((x, donors["group"]), DM1, HEALTHY), "human"),
        "DM1 after v before training": (
            {
                "expression": x[pairs.index],
                "design": paired,
                "contrast": pd.Series({"trained": 1.0}),
            },
            "human",
        ),
        "flight v ground": (contrast(flight, "flight", "ground"), "mouse"),
    }
    shares = pd.DataFrame(
        {name: random_shares(model, members(o)) for name, (model, o) in models.items()}
    ).T
    assert shares["pvalue_competitive"].between(0.03, 0.07).all(), shares.to_string()
    # Why the self-contained p alone is no evidence for a programme: any set of genes moves here.
    assert shares.loc["FSHD v control", "pvalue"] > 0.3, shares.to_string()


def test_splits_of_the_healthy_hold_both_levels(dm1, members):
    x, donors = dm1
    healthy = x.loc[:, donors["group"] == HEALTHY]
    assert healthy.shape[1] == 10
    found = []
    for four in itertools.combinations(range(1, 10), 4):
        target = np.zeros(10)
        target[[0, *four]] = 1
        design = pd.DataFrame({"mean": 1.0, "target": target}, index=healthy.columns)
        e = block_tests.effects(
            healthy, design, [0.0, 1.0], members("human"), n_matched=100, seed=1
        )
        p = e[["pvalue", "pvalue_competitive"]]
        found.append([*(p < 0.05).mean(), (e["padj"] < 0.05).sum()])
    assert len(found) == 126
    table = pd.DataFrame(found, columns=["self", "competitive", "significant"])
    assert table["self"].mean() == pytest.approx(0.05, abs=0.02)
    assert table["competitive"].mean() == pytest.approx(0.05, abs=0.02)
    assert table["significant"].median() == 0


def test_pathways_on_splits_of_the_healthy(dm1):
    """Gene permutation and a fixed correlation of 0.01 fail; samples as the unit do not."""
    x, donors = dm1
    healthy = x.loc[:, donors["group"] == HEALTHY]
    names = genes("human").set_index("gene_id")["symbol"]
    gmt = MIRROR / "files" / "genesets" / "h.all.v7.0.symbols.gmt"
    sets = {"hallmark": pathways.parse_gmt(gmt.read_text())}
    by_name = healthy.set_axis(names.reindex(healthy.index).to_numpy()).dropna()
    by_name = by_name[by_name.index.notna() & ~by_name.index.duplicated()]
    splits = list(itertools.combinations(range(1, 10), 4))[::8]
    found = []
    for four in splits:
        target = np.zeros(10)
        target[[0, *four]] = 1
        design = pd.DataFrame({"mean": 1.0, "target": target}, index=healthy.columns)
        model = block_tests.linear_contrast(by_name, design, [0.0, 1.0])
        effect, s2 = model.fit(by_name.to_numpy())
        # Damped, so that a gene of tiny variance does not lead the ranking.
        t = pd.Series(effect / np.sqrt((s2 + np.median(s2)) / 2), index=by_name.index)
        ours = set_tests.set_effects(healthy, design, [0.0, 1.0], sets, names=names, n_matched=100)
        found.append(
            {
                "set_effects": ours["pvalue_competitive"],
                "camera": camera.camera(by_name, design, [0.0, 1.0], sets)["pvalue"],
                "camera_0.01": camera.camera_pr(t, sets)["pvalue"],
                "gsea": pathways.gsea(t, sets, seed=1, permutations=100, eps=1e-4)["pvalue"],
            }
        )
    shares = pd.DataFrame({k: [(f[k] < 0.05).mean() for f in found] for k in found[0]}).mean()
    assert 0.03 <= shares["set_effects"] <= 0.07, shares
    assert shares["camera"] <= 0.07, shares
    assert shares["camera_0.01"] > 0.15, shares
    assert shares["gsea"] > 0.25, shares


@pytest.fixture(scope="module")
def denervation() -> pd.Series:
    """Log2 fold change three days after denervation; per gene the probe of highest mean."""
    import rdata

    source = MIRROR / "files" / "denervation_TA" / "muscleData.RData"
    objects = rdata.read_rda(source)
    table = next(v for v in objects.values() if hasattr(v, "columns") and "Symbol" in v)
    mean = table["den.AveExpr"] + table["inn.AveExpr"]
    best = table.assign(mean=mean).sort_values("mean", ascending=False).drop_duplicates("Symbol")
    return best.set_index("Symbol")["denvinn.logFC"].astype(float)


def test_denervation_shows_what_denervation_is(denervation):
    up = ["Chrna1", "Chrnb1", "Chrnd", "Chrng", "Myog", "Runx1", "Gadd45a", "Musk", "Ncam1"]
    assert (denervation[up] > 1).all(), denervation[up]
    assert (denervation[["Dach2", "Hdac9"]] < -1).all()


def test_unloading_does_not_look_like_denervation(flight, denervation, members, listed):
    model = contrast(flight, "flight", "ground")
    e = block_tests.effects(**model, members=members("mouse")).set_index(["programme", "block"])
    tier1 = listed[(listed["programme"] == "DENERVATION") & (listed["block"] == "tier1_up")]
    assert denervation.reindex(tier1["mouse"]).mean() > 3
    row = e.loc[("DENERVATION", "tier1_up")]
    assert row["n_mapped"] >= 14
    assert abs(row["effect"]) < 0.3
    assert row["pvalue"] > 0.2
    x, group = flight
    change = x.loc[:, group == "flight"].mean(axis=1) - x.loc[:, group == "ground"].mean(axis=1)
    symbol = genes("mouse").set_index("gene_id")["symbol"]
    change.index = change.index.map(symbol)
    both = pd.concat([change.groupby(level=0).mean(), denervation], axis=1, join="inner")
    assert len(both) > 9000
    assert abs(both.corr(method="spearman").iloc[0, 1]) < 0.1


def test_fshd_shows_immune_fibrotic_and_fatty_change(fshd, members):
    model = contrast(fshd, "FSHD", "Control")
    e = block_tests.effects(**model, members=members("human"), n_matched=300, seed=1)
    e = e.set_index(["programme", "block"])
    for key in (
        ("COMPLEMENT", "activation"),
        ("MACROPHAGE", "pan"),
        ("FIBROSIS_TGFB", "ecm"),
        ("FAP", "adipogenic"),
    ):
        assert e.loc[key, "effect"] > 1, key
        assert e.loc[key, "padj_competitive"] < 0.05, key
    # A myopathy that is not neurogenic: no change of the receptors' mean.
    assert e.loc[("NMJ_POSTSYN", "achr_subunits"), "pvalue"] > 0.2


def test_dm1_shows_slow_fibre_loss_and_genes_once_called_specific_to_als(dm1, members):
    x, donors = dm1
    model = contrast((x, donors["group"]), DM1, HEALTHY)
    e = block_tests.effects(**model, members=members("human"), n_matched=300, seed=1)
    e = e.set_index(["programme", "block"])
    assert e.loc[("FIBER_SLOW", "slow"), "effect"] < -0.5  # type I atrophy
    assert e.loc[("FIBER_SLOW", "slow"), "pvalue_competitive"] < 0.05
    assert e.loc[("ALS_VS_MMN", "als_only_up"), "effect"] > 1
    assert e.loc[("ALS_VS_MMN", "als_only_up"), "padj_competitive"] < 0.1
