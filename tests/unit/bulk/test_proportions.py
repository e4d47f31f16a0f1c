"""Proportions by a reference of nuclei: known mixtures come back, and what they explain goes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from alsmuscle.bulk import block_effects, engines, proportions
from alsmuscle.cells.pseudobulk import pseudobulk
from alsmuscle.core import files
from alsmuscle.simulate import cells
from support import ROOT

CONTRAST: dict[str, Any] = {
    **{"id": "a_vs_b", "variable": "condition", "target": "a", "reference": "b"},
    **{"kind": "difference", "adjust": [], "block": None, "within": {}, "across": None},
}
ALS = {"variable": "condition", "target": "als", "reference": "control"}
PANEL = files.read_plain(ROOT / "config" / "celltypes.tsv")
FIBRE = ("Type I myonuclei", "Type IIA myonuclei")
KEY = ["programme", "block", "stripped"]


class Nuclei(NamedTuple):
    """Sums of simulated nuclei; a reference from their controls, one from the other donors."""

    sums: AnnData
    reference: proportions.Reference
    held_out: proportions.Reference


@pytest.fixture(scope="module")
def nuclei() -> Nuclei:
    study = cells.simulate_nuclei(
        PANEL, seed=3, n_donors=12, nuclei_per_donor=400, low_quality=False, null=True
    )
    study.layers["counts"] = study.X
    study.obs["cell_type"] = study.obs["true_type"]
    study.obs["condition"] = study.obs["condition"].str.lower()
    sums = pseudobulk([study], min_cells=10, whole="all nuclei")
    own = proportions.reference(sums, [ALS], PANEL, dataset="nuclei1")
    reverse = {**ALS, "target": "control", "reference": "als"}
    return Nuclei(sums, own, proportions.reference(sums, [reverse], PANEL, dataset="nuclei2"))


def tissue(mean: np.ndarray, genes: pd.Index, rng: np.random.Generator) -> AnnData:
    """Counts of samples × genes around these means; the first half is group ``a``."""
    mean = mean / mean.sum(axis=1, keepdims=True) * 2e7
    counts = rng.poisson(mean * rng.gamma(50, 1 / 50, mean.shape))
    names = [f"s{i}" for i in range(len(mean))]
    group = np.repeat(["a", "b"], len(mean) // 2)
    obs = pd.DataFrame({"sample_id": names, "subject_id": names, "condition": group}, index=names)
    var = pd.DataFrame({"symbol": genes, "source_id": genes}, index=genes)
    return AnnData(counts, obs=obs, var=var)


def by_component(lineages: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: np.log(lineages[lineages.columns.intersection(list(own))].sum(axis=1) + 0.01)
            for name, own in proportions.COMPONENTS.items()
        }
    )


def mixed(
    nuclei: Nuclei, n: int, rng: np.random.Generator, *, fibre: np.ndarray, bias: float
) -> tuple[AnnData, pd.DataFrame]:
    """Tissue of held-out donors' types with known shares, each gene off by a factor of its own."""
    profiles = nuclei.held_out.profiles
    weight = np.array([fibre.mean() * 8 if name in FIBRE else 1.5 for name in profiles.index])
    true = rng.dirichlet(weight, n)
    is_fibre = profiles.index.isin(FIBRE)
    for part, total in ((is_fibre, fibre), (~is_fibre, 1 - fibre)):
        true[:, part] *= (total / true[:, part].sum(axis=1))[:, None]
    factor = np.exp(rng.normal(0, bias, profiles.shape[1]))
    study = tissue(true @ profiles.to_numpy() * factor, profiles.columns, rng)
    wide = pd.DataFrame(true, study.obs_names, profiles.index)
    return study, wide.T.groupby(nuclei.held_out.lineages).sum().T


def test_the_least_squares_of_a_case_by_hand():
    profiles = np.array([[10.0, 0.0], [0.0, 20.0], [5.0, 5.0]])
    # Exact: 3 of the first type and 1 of the second. Not exact: over their largest values the
    # genes are 3, 0 and 2; without a bound the weights would be 8/3 and -1/3, with one 5/2 and 0.
    observed = np.array([[30.0, 20.0, 20.0], [30.0, 0.0, 10.0]])
    weights = proportions.least_squares(observed, profiles)
    assert weights == pytest.approx(np.array([[3.0, 1.0], [2.5, 0.0]]))
    both, fit = proportions.mixture(observed[:1], profiles)
    assert both == pytest.approx(np.array([[3.0, 1.0]]))
    assert fit == pytest.approx([1.0])


def test_a_gene_of_which_tissue_holds_more_does_not_decide_alone():
    profiles = np.array([[10.0, 0.0], [10.0, 0.0], [0.0, 10.0], [0.0, 10.0]])
    shares = np.array([[0.2, 0.8], [0.5, 0.5], [0.8, 0.2]])
    # One gene of the first type is 30 times as high in tissue, and scatters.
    observed = shares @ profiles.T * np.array([30.0, 1.0, 1.0, 1.0])
    observed[:, 0] *= [2.0, 1.0, 0.5]
    once = proportions.least_squares(observed, profiles)
    again, _ = proportions.mixture(observed, profiles)

    def slope(weights):
        return np.polyfit(np.log(shares[:, 0]), np.log(weights[:, 0]), 1)[0]

    assert slope(once) < 0.1
    assert slope(again) > 0.4


@pytest.mark.parametrize("bias", [0.0, 1.4])
def test_known_shares_of_other_donors_come_back(nuclei, bias):
    rng = np.random.default_rng(11)
    study, true = mixed(nuclei, 20, rng, fibre=rng.uniform(0.4, 0.9, 20), bias=bias)
    found = proportions.shares(study, nuclei.reference, frozenset())
    assert found.reason == ""
    assert found.lineages.sum(axis=1).to_numpy() == pytest.approx(np.ones(20))
    ours, truth = by_component(found.lineages), by_component(true)
    agree = {name: np.corrcoef(ours[name], truth[name])[0, 1] for name in truth}
    print(bias, round(found.overall, 2), {name: round(r, 2) for name, r in agree.items()})
    # What differs between samples is recovered although a gene is off by a factor of 4 (1.4 in
    # natural logarithms); how high a share is, is not.
    assert min(agree.values()) > (0.9 if bias == 0 else 0.75)
    assert found.overall > 0.75


def test_a_reference_of_another_tissue_is_refused(nuclei):
    rng = np.random.default_rng(12)
    study, _ = mixed(nuclei, 12, rng, fibre=rng.uniform(0.4, 0.9, 12), bias=0.5)
    profiles = nuclei.reference.profiles
    for _ in range(3):
        genes = rng.permutation(profiles.shape[1])
        other = pd.DataFrame(profiles.to_numpy()[:, genes], profiles.index, profiles.columns)
        found = proportions.shares(study, nuclei.reference._replace(profiles=other), frozenset())
        assert found.overall < 0.25
        assert found.reason.startswith("the reference does not describe this tissue")
        assert f"{found.overall:.2f}" in found.reason
        assert proportions.effects(study, CONTRAST, pd.DataFrame(), found) == (None, found.reason)


@pytest.fixture(scope="module")
def members(nuclei) -> pd.DataFrame:
    """A block of fibre genes, one of genes that all types have, and one that will change."""
    profiles, _ = proportions.signature(nuclei.reference, nuclei.sums.var_names, frozenset())
    fibre = profiles[list(FIBRE)].max(axis=1) > 3 * profiles.drop(columns=list(FIBRE)).max(axis=1)
    levels = nuclei.reference.profiles
    level = levels.max(axis=0) / levels.clip(lower=1).min(axis=0)
    flat = level[(levels.min(axis=0) > 50)].nsmallest(40).index
    blocks = {
        "fibre": list(fibre[fibre].index[::2][:20]),
        "flat": list(flat[:20]),
        "changed": list(flat[20:]),
    }
    rows = [("P", name, False, 1, gene) for name, genes in blocks.items() for gene in genes]
    return pd.DataFrame(rows, columns=[*KEY, "sign", "gene_id"])


def test_no_gene_that_is_tested_decides_the_proportions(nuclei, members):
    barred = frozenset(members["gene_id"])
    free, _ = proportions.signature(nuclei.reference, nuclei.sums.var_names, frozenset())
    held, reason = proportions.signature(nuclei.reference, nuclei.sums.var_names, barred)
    assert not reason
    assert set(free.index) & barred
    assert not set(held.index) & barred
    # Each gene tells its type from all types of other lineages.
    full, lineages = nuclei.reference.profiles, nuclei.reference.lineages
    for gene in held.index:
        own = full[gene].idxmax()
        others = [name for name in full.index if lineages[name] != lineages[own]]
        assert full.loc[own, gene] >= max(20, 2 * full.loc[others, gene].max())


def test_missing_fibres_are_adjusted_for_and_a_true_effect_stays(nuclei, members):
    rng = np.random.default_rng(21)
    fibre = np.r_[rng.uniform(0.3, 0.6, 10), rng.uniform(0.6, 0.9, 10)]
    study, _ = mixed(nuclei, 20, rng, fibre=fibre, bias=1.0)
    changed = study.var_names.isin(members.loc[members["block"] == "changed", "gene_id"])
    planted = study.X[:10].copy()
    planted[:, changed] = rng.binomial(planted[:, changed], 2**-0.6)
    study.X[:10] = planted
    fitted = engines.fit(study, CONTRAST, min_total=10, inference="batched")
    found = proportions.shares(fitted, nuclei.reference, frozenset(members["gene_id"]))
    assert found.reason == ""
    table, reason = proportions.effects(fitted, CONTRAST, members, found)
    assert table is not None, reason
    raw = block_effects.raw_and_adjusted(fitted, CONTRAST, members, trend=False, tested=True)
    both = table.set_index("block").join(raw.set_index("block"), rsuffix="_raw")
    print(both[["effect_raw", "effect", "se", "pvalue_raw", "pvalue"]].round(3))
    assert both.loc["fibre", "effect_raw"] < -0.4
    assert both.loc["fibre", "pvalue_raw"] < 0.01
    assert abs(both.loc["fibre", "effect"]) < 0.15
    assert both.loc["fibre", "ci_low"] < 0 < both.loc["fibre", "ci_high"]
    assert abs(both.loc["flat", "effect"]) < 0.15
    assert both.loc["changed", "effect"] - both.loc["flat", "effect"] == pytest.approx(
        -0.6, abs=0.15
    )
    assert both.loc["changed", "ci_high"] < 0


# --- the reference ---------------------------------------------------------------------------


def test_controls_are_references_and_never_targets():
    obs = pd.DataFrame({"condition": ["als", "control", "asymptomatic", "control"]})
    late = {"variable": "condition", "target": "als", "reference": "asymptomatic"}
    early = {"variable": "condition", "target": "asymptomatic", "reference": "control"}
    sex = {"variable": "sex", "target": "female", "reference": "als"}

    def marked(*contrasts):
        return proportions.controls(obs, contrasts).tolist()

    assert marked(ALS, sex) == [False, True, False, True]
    assert marked(late, early) == [False, True, False, True]
    assert marked(late) == [False, False, True, False]
    assert marked(sex) == marked() == [True] * 4


def test_a_profile_is_the_mean_over_donors_of_counts_per_million():
    rows = [
        ("x1", "d1", "FAP, pan", [9, 1], 20),
        ("x2", "d1", "FAP, pan", [7, 3], 20),  # the same donor again
        ("x3", "d2", "FAP, pan", [2, 2], 20),
        ("x3", "d2", "Type I myonuclei", [0, 4], 10),
        ("x3", "d2", "all nuclei", [50, 4], 99),
        ("x3", "d2", "Unlisted", [50, 4], 99),
        ("x4", "d3", "FAP, pan", [0, 0], 30),  # empty
    ]
    obs = pd.DataFrame(
        [(s, d, "c", t, n) for s, d, t, _, n in rows],
        columns=["sample_id", "subject_id", "condition", "cell_type", "n_cells"],
    ).rename(str)
    sums = AnnData(np.array([row[3] for row in rows]), obs=obs)
    found = proportions.reference(sums, [], PANEL, dataset="n")
    assert list(found.profiles.index) == ["FAP, pan", "Type I myonuclei"]
    assert found.profiles.loc["FAP, pan"].tolist() == [650_000, 350_000]
    assert (found.donors, found.nuclei, found.reason) == (2, 70, "")


def test_the_reference_of_most_donors_is_taken_and_one_that_can_be_used_first():
    def one(name: str, donors: int, nuclei: int, reason: str = "") -> proportions.Reference:
        return proportions.Reference(name, pd.DataFrame(), {}, donors, nuclei, reason)

    few, many, larger = one("a", 3, 900), one("b", 6, 100), one("c", 6, 200)
    broken = one("d", 9, 900, "no fibres")
    assert proportions.best([few, many, larger, broken]) == larger
    assert proportions.best([broken]) == broken
    assert proportions.best([]) is None


# --- what cannot be adjusted -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        (FIBRE, "its controls hold no myofibre nuclei"),
        (("FAP, pan", "Adipocyte"), "its controls hold no fibro-adipogenic nuclei"),
    ],
)
def test_without_fibres_or_fat_a_study_of_nuclei_is_no_reference(nuclei, left_out, said):
    sums = nuclei.sums[~nuclei.sums.obs["cell_type"].isin(left_out).to_numpy()]
    poor = proportions.reference(sums, [ALS], PANEL, dataset="n")
    assert poor.reason == said
    rng = np.random.default_rng(1)
    study, _ = mixed(nuclei, 8, rng, fibre=rng.uniform(0.4, 0.9, 8), bias=0)
    found = proportions.shares(study, poor, frozenset())
    assert found.reason == said
    assert found.lineages.empty and np.isnan(found.overall)


def test_other_odd_input_gives_a_reason(nuclei, members):
    rng = np.random.default_rng(2)
    study, _ = mixed(nuclei, 8, rng, fibre=rng.uniform(0.4, 0.9, 8), bias=0)
    few = study[:, :60]
    found = proportions.shares(few, nuclei.reference, frozenset())
    assert "fewer than 5 measured genes" in found.reason
    nothing = proportions.shares(study, nuclei.reference, frozenset(study.var_names))
    assert "fewer than 5 measured genes" in nothing.reason
    empty = study.copy()
    empty.X[0] = 0
    found = proportions.shares(empty, nuclei.reference, frozenset())
    assert "no mixture" in found.reason
    assert found.lineages.iloc[0].isna().all()
    # All samples alike: nothing to adjust by.
    alike = study.copy()
    alike.X[:] = study.X[0]
    found = proportions.shares(alike, nuclei.reference, frozenset())
    assert found.reason == ""
    table, reason = proportions.effects(alike, CONTRAST, members, found)
    assert table is None and "do not differ" in reason


def test_proportions_that_leave_no_degree_of_freedom_adjust_nothing(nuclei, members):
    rng = np.random.default_rng(4)
    study, _ = mixed(nuclei, 4, rng, fibre=np.array([0.4, 0.6, 0.7, 0.9]), bias=0)
    fitted = engines.fit(study, CONTRAST, min_total=10, inference="batched")
    found = proportions.shares(fitted, nuclei.reference, frozenset(members["gene_id"]))
    assert found.reason == ""
    table, reason = proportions.effects(fitted, CONTRAST, members, found)
    assert table is None and "no residual degree of freedom" in reason
