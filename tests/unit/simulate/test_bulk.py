"""The simulator: reproducible, like the real study where it claims to be, and true to its truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from alsmuscle.core import files
from alsmuscle.core.errors import InputError
from alsmuscle.data import cards as registry
from alsmuscle.data import derived
from alsmuscle.genesets import programmes
from alsmuscle.simulate import bulk
from alsmuscle.simulate.bulk import DEMO, Group, Plan
from alsmuscle.simulate.calibrate import scenarios
from support import ROOT

PAIR = [{"id": "c", "target": "als", "reference": "healthy"}]


@pytest.fixture(scope="module")
def sources() -> dict[str, pd.DataFrame]:
    return {
        "reference": files.read_plain(files.RESOURCES / "simulation_genes.tsv.gz"),
        "human": files.read_gene_table("human"),
        "mouse": files.read_gene_table("mouse"),
        "orthologs": files.read_orthologs(),
        "programmes": files.read_plain(ROOT / "config" / "programmes.tsv"),
    }


@pytest.fixture(scope="module")
def genes(sources: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return bulk.biology(**sources, n_genes=8000, seed=3)


def two(n: int, **options: float) -> Plan:
    als = Group("als", (n,), denervation=1.0, **options)
    return Plan("human", (als, Group("healthy", (n,), spread=als.spread)))


def log_rates(counts: pd.DataFrame, least: float = 50) -> pd.DataFrame:
    counts = counts[counts.mean(axis=1) >= least]
    ratio = np.log2(counts + 0.5)
    return ratio - np.median(ratio.sub(ratio.mean(axis=1), axis=0), axis=0)


def excess_correlation(counts: pd.DataFrame) -> float:
    """Mean square correlation between genes beyond that of independent ones."""
    values = log_rates(counts).to_numpy()
    values = values - values.mean(axis=1, keepdims=True)
    values /= np.sqrt((values**2).sum(axis=1, keepdims=True))
    chosen = np.random.default_rng(0).choice(len(values), 1000, replace=False)
    pairs = (values[chosen] @ values[chosen].T)[np.triu_indices(1000, 1)]
    return float((pairs**2).mean() - 1 / (values.shape[1] - 1))


def test_same_seed_same_bytes_and_other_seed_other_bytes(
    sources: dict[str, pd.DataFrame], genes: pd.DataFrame
) -> None:
    again = bulk.biology(**sources, n_genes=8000, seed=3)
    pd.testing.assert_frame_equal(again, genes)

    def drawn(dataset: str, seed: int) -> bytes:
        made = bulk.study(genes, two(3), PAIR, dataset=dataset, seed=seed)
        return bulk.packed(made.counts.reset_index(), "\t") + bulk.packed(made.genes, "\t")

    assert drawn("a", 1) == drawn("a", 1)
    assert drawn("a", 1) != drawn("a", 2)
    assert drawn("a", 1) != drawn("b", 1)


def test_tables_list_the_same_samples_in_the_same_order(genes: pd.DataFrame) -> None:
    plan = replace(DEMO["simals4"], sex_mismatch=True, duplicated=True, outlier=True)
    made = bulk.study(genes, plan, PAIR, dataset="a", seed=1)
    ids = list(made.counts.columns)
    assert ids == list(made.sheet["sample"]) == list(made.samples["sample_id"])
    assert made.counts.index.is_unique
    assert list(made.genes["gene_id"]) == list(made.counts.index)
    # Samples in another order are the same samples to the quality metrics.
    counts = scenarios.as_counts(made, "a")
    turned = counts[::-1].copy()
    one, other = derived.sex_expression(counts, "human"), derived.sex_expression(turned, "human")
    pd.testing.assert_frame_equal(one.iloc[::-1], other)


def test_both_organisms_have_real_ids_and_every_programme(
    sources: dict[str, pd.DataFrame], genes: pd.DataFrame
) -> None:
    mouse = genes["mouse_id"][genes["mouse_id"] != ""]
    assert genes["human_id"].is_unique
    assert mouse.is_unique
    assert set(genes["human_id"]) <= set(sources["human"]["gene_id"])
    assert set(mouse) <= set(sources["mouse"]["gene_id"])
    for organism, ids in (("human", genes["human_id"]), ("mouse", mouse)):
        members = programmes.blocks(sources["programmes"], organism, sources[organism])
        assert members["gene_id"].isin(ids).mean() > 0.95


@pytest.mark.parametrize(("spread", "low", "high"), [(0.25, 0.01, 0.07), (1.0, 0.12, 0.35)])
def test_residual_correlation_is_that_of_the_real_study(
    genes: pd.DataFrame, spread: float, low: float, high: float
) -> None:
    # GSE140261: controls 0.019, patients 0.224; GSE184951's healthy 0.034 (build_simulation.py's
    # residuals, 2,000 genes).
    plan = Plan("human", (Group("als", (27,), spread=spread), Group("healthy", (2,))))
    made = bulk.study(genes, plan, [], dataset="a", seed=5)
    assert low < excess_correlation(made.counts.iloc[:, :27]) < high


def test_planted_effects_are_in_the_counts(genes: pd.DataFrame) -> None:
    plan = Plan("mouse", (Group("als", (40,), denervation=1.0), Group("healthy", (40,))))
    made = bulk.study(genes, plan, PAIR, dataset="a", seed=1)
    counts = made.counts / made.counts.sum() * 1e6
    keep = (made.counts.mean(axis=1) >= 50).to_numpy()
    measured = np.log2(counts.iloc[:, :40].mean(axis=1) / counts.iloc[:, 40:].mean(axis=1))[keep]
    truth = made.genes["log2fc"].to_numpy()[keep]
    slope = np.polyfit(truth, measured, 1)[0]
    assert slope == pytest.approx(1, abs=0.05)
    assert np.corrcoef(truth, measured)[0, 1] > 0.9
    rates = log_rates(made.counts)
    geometric = made.genes.set_index("gene_id")["log2fc_geometric"][rates.index]
    difference = rates.iloc[:, :40].mean(axis=1) - rates.iloc[:, 40:].mean(axis=1)
    assert np.polyfit(geometric, difference, 1)[0] == pytest.approx(1, abs=0.05)


def test_als_is_lambda_times_denervation_and_an_intrinsic_part(genes: pd.DataFrame) -> None:
    als = Group("als", (3,), denervation=0.4, intrinsic=1.0)
    made = bulk.study(
        genes, Plan("human", (als, Group("healthy", (3,)))), PAIR, dataset="a", seed=1
    )
    table = made.genes
    np.testing.assert_allclose(table["log2fc"], table["denervation"] + table["intrinsic"])
    profile = bulk.denervation_profile(genes, 28)
    np.testing.assert_allclose(table["denervation"], 0.4 * profile)
    assert made.contrasts.loc[0, "lambda"] == 0.4
    by_symbol = table.set_index("symbol")
    assert by_symbol.loc["CHRNA1", "denervation"] > 0.3


def test_early_responders_fade_and_late_ones_rise() -> None:
    frame = pd.DataFrame({"early": [1.0, 0, 0], "sustained": [0, 1.0, 0], "late": [0, 0, 1.0]})
    day3, day28 = (bulk.denervation_profile(frame, day) for day in (3, 28))
    np.testing.assert_allclose(day3, [1, 3 / 7, 3 / 28])
    np.testing.assert_allclose(day28, [np.exp(-2.5), 1, 1])


def test_what_is_wrong_with_a_sample_is_in_the_counts_and_in_the_truth(genes: pd.DataFrame) -> None:
    plan = replace(DEMO["simals4"], sex_mismatch=True, duplicated=True, outlier=True)
    made = bulk.study(genes, plan, PAIR, dataset="a", seed=2)
    samples = made.samples.set_index("sample_id")
    sheet = made.sheet.set_index("sample")
    changed = sheet["group"] != samples["true_condition"]
    assert changed.sum() == 2
    pd.testing.assert_series_equal(changed, samples["swapped"], check_names=False)
    assert samples.loc[changed, "true_sex"].nunique() == 1
    expressed = derived.sex_expression(scenarios.as_counts(made, "a"), "human")["sex_inferred"]
    assert (expressed == samples["true_sex"]).all()
    wrong = sheet["sex"] != expressed
    pd.testing.assert_series_equal(wrong, samples["sex_mismatch"], check_names=False)
    assert wrong.sum() == samples["outlier"].sum() == 1
    copy = samples.index[samples["duplicate_of"] != ""]
    assert len(copy) == 1
    rates = log_rates(made.counts, 1000)
    nearest = rates.corr()[copy[0]].drop(copy[0]).idxmax()
    assert nearest == samples.loc[copy[0], "duplicate_of"]


def test_block_truth_is_the_signed_mean_of_its_genes() -> None:
    table = pd.DataFrame(
        {
            "contrast": "c",
            "gene_id": ["a", "b", "x"],
            "log2fc": [9.0, 9, 9],
            "log2fc_geometric": [1.0, 3, -2],
            "denervation": [1.0, 1, -1],
            "intrinsic": [0.0, 2, -1],
        }
    )
    members = pd.DataFrame(
        {
            "programme": "P",
            "block": ["up", "up", "up", "down"],
            "stripped": False,
            "sign": [1, 1, 1, -1],
            "gene_id": ["a", "b", "absent", "x"],
        }
    )
    found = bulk.block_truth(table, members).set_index("block")
    assert found.loc["up", ["effect", "denervation", "intrinsic"]].tolist() == [2, 1, 1]
    assert found.loc["down", ["effect", "denervation", "intrinsic"]].tolist() == [2, 1, 1]


def test_every_demo_card_has_its_plan() -> None:
    cards = registry.load_cards(ROOT / "config" / "demo")
    # Nuclei are simulated by simulate_cells.py, after a plan of their own.
    cards = {name: card for name, card in cards.items() if card["modality"] == "bulk"}
    assert set(cards) == set(DEMO)
    for name, card in cards.items():
        plan = DEMO[name]
        assert card["simulated"]
        assert card["organism"] == plan.organism
        assert card["samples"]["expected"] == sum(group.n for group in plan.groups)
        conditions = {group.condition for group in plan.groups}
        assert set(card["samples"]["columns"]["condition"]["map"]) == conditions
        for entry in card["contrasts"]:
            assert {entry["target"], entry["reference"]} <= conditions
        roles = [card["role"] for card in cards.values()]
    assert roles.count("als_patient") >= 5
    assert roles.count("als_model") == 2
    assert {"denervation", "disuse"} <= set(roles)


def test_errors_say_what_is_possible(sources: dict[str, pd.DataFrame], genes: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="500 genes cannot be simulated"):
        bulk.biology(**sources, n_genes=500, seed=1)
    other = [{"id": "c", "target": "fshd", "reference": "healthy"}]
    with pytest.raises(InputError, match="no condition 'fshd'"):
        bulk.study(genes, two(3), other, dataset="a", seed=1)
