"""Calibration: halves, the summary's arithmetic, the page, and one replicate with known answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.core import files
from alsmuscle.data import cards
from alsmuscle.genesets import programmes
from alsmuscle.simulate import bulk
from alsmuscle.simulate.calibrate import claims, nulls, replicates
from alsmuscle.simulate.calibrate.page import page as render
from alsmuscle.simulate.calibrate.summary import summarise, summarise_flags
from alsmuscle.synthesis.verdicts import Rules
from support import ROOT


def rows(scenario: str, fdp: list[float], **more: float) -> pd.DataFrame:
    base = {
        **dict.fromkeys(("null_p_below_05", "block_power", "power", "power_strong"), 0.5),
        **dict.fromkeys(("coverage", "block_coverage", "block_coverage_measured"), 0.95),
        **{
            f"{k}_{w}": 0
            for k in ("sex", "swap", "duplicate")
            for w in ("planted", "found", "false")
        },
        "samples": 10,
        "called": 0,
        **more,
    }
    return pd.DataFrame([{**base, "scenario": scenario, "fdp": value} for value in fdp])


def line(summary: pd.DataFrame, scenario: str, what: str) -> pd.Series:
    found = summary[(summary["scenario"] == scenario) & summary["what"].str.startswith(what)]
    assert len(found) == 1
    return found.iloc[0]


def test_halves_are_different_and_none_is_anothers_complement() -> None:
    halves = nulls.splits(10, 100, seed=1)
    assert len(set(halves)) == 100
    assert all(0 in half and len(half) == 5 for half in halves)
    assert nulls.splits(10, 100, seed=1) == halves
    assert len(nulls.splits(4, 100, seed=1)) == 3


def test_means_errors_and_targets() -> None:
    table = rows("alike", [0.02, 0.04, 0.06, 0.08])
    summary = summarise(table, pd.DataFrame(), pd.DataFrame(), None)
    found = line(summary, "all exact nulls", "false discovery rate")
    assert found["value"] == pytest.approx(0.05)
    assert found["se"] == pytest.approx(np.std([0.02, 0.04, 0.06, 0.08], ddof=1) / 2)
    assert found["met"] == "yes"
    bad = summarise(rows("alike", [0.1, 0.2]), pd.DataFrame(), pd.DataFrame(), None)
    assert line(bad, "all exact nulls", "false discovery rate")["met"] == "no"
    # Too good is off target as well: a method that calls nothing must not pass.
    none = summarise(rows("alike", [0.0, 0.0]), pd.DataFrame(), pd.DataFrame(), None)
    assert line(none, "all exact nulls", "false discovery rate")["met"] == "no"


def test_scenarios_without_exact_nulls_do_not_enter_the_false_discovery_rate() -> None:
    table = pd.concat([rows("alike", [0.04]), rows("swapped", [0.9]), rows("unequal", [0.9])])
    summary = summarise(table, pd.DataFrame(), pd.DataFrame(), None)
    assert line(summary, "all exact nulls", "false discovery rate")["value"] == 0.04


def test_rates_of_flags_are_over_planted_and_other_samples() -> None:
    table = rows("swapped", [0.1, 0.1], swap_planted=2, swap_found=1, swap_false=4)
    summary = summarise(table, pd.DataFrame(), pd.DataFrame(), None)
    flagged = line(summary, "swapped", "swapped samples flagged")
    assert (flagged["value"], flagged["n"], flagged["met"]) == (0.5, 4, "no")
    alarms = line(summary, "swapped", "swapped samples: false alarms")
    assert (alarms["value"], alarms["n"]) == (0.5, 16)


def test_lambda_and_real_null() -> None:
    axis = pd.DataFrame(
        {
            "stage": "day90",
            "planted": 0.4,
            "lambda": [0.5, 0.3],
            "ci_low": [0.3, 0.1],
            "ci_high": [0.7, 0.35],
        }
    )
    real = pd.DataFrame({"called": [0, 0, 5], "p_below_05": [0.05, 0.05, 0.05]})
    summary = summarise(rows("nothing", [0.0]), axis, pd.DataFrame(), real)
    name = "lambda 0.4 (day90)"
    assert line(summary, name, "mean error")["value"] == pytest.approx(0)
    assert line(summary, name, "root mean square")["value"] == pytest.approx(0.1)
    assert line(summary, name, "coverage")["value"] == 0.5
    real_name = "real null: GSE184951, 5 of 10 healthy"
    assert line(summary, real_name, "median genes")["met"] == "yes"
    assert line(summary, real_name, "share of halves")["value"] == pytest.approx(1 / 3)


def told(truth: str, verdict: str, n: int, *, held: bool = True) -> pd.DataFrame:
    row = {"truth": truth, "verdict": verdict, "level_held": held, "beyond_held": held}
    return pd.DataFrame([row] * n)


def test_verdicts_right_and_wrong() -> None:
    table = pd.concat(
        [
            told("intrinsic", "supported", 9),
            told("intrinsic", "not enough data", 1),
            told("denervation", "explained by denervation", 8),
            told("denervation", "changed, but denervation could explain it", 1),
            told("denervation", "supported", 1),
            told("random set", "not enough data", 10, held=False),
            told("no effect", "not enough data", 3),
        ]
    )
    nothing = pd.DataFrame()
    summary = summarise(rows("nothing", [0.0]), nothing, table, None)
    expected = {
        "true claims supported": (0.9, "yes"),
        "true claims contradicted": (0.0, "yes"),
        "wrong among supported": (0.1, "no"),
        "false claims supported": (1 / 23, "yes"),
        "pure denervation: supported": (0.1, "no"),
        "pure denervation: explained": (0.8, ""),
        "pure denervation: not more": (0.9, "no"),
        "random sets: supported": (0.0, "yes"),
        "no effect: supported": (0.0, "yes"),
        "coverage of pooled 95 % intervals beyond": (23 / 33, "no"),
    }
    for what, (value, met) in expected.items():
        found = line(summary, "verdicts", what)
        assert found["value"] == pytest.approx(value), what
        assert found["met"] == met, what
    # A tool that never tells must fail.
    silent = told("intrinsic", "not enough data", 5)
    summary = summarise(rows("nothing", [0.0]), nothing, silent, None)
    assert line(summary, "verdicts", "true claims supported")["met"] == "no"


def test_planted_truths_get_their_verdicts() -> None:
    settings = cards.load_yaml(ROOT / "config" / "config.yaml")["synthesis"]
    rules, axis = Rules(**settings["rules"]), settings["denervation"]
    told = [row for seed in (1, 2) for row in claims.verdict_replicate(rules, axis, seed=seed)]
    made = pd.DataFrame(told)
    assert made["truth"].value_counts().to_dict() == {
        "random set": 4, "no effect": 2, "denervation": 6, "intrinsic": 4,
    }  # fmt: skip
    # matched random sets took part, and hardly one goes as far as a planted effect
    assert made.loc[made["truth"] == "intrinsic", "random_share"].max() < 0.1
    supported = made.loc[made["verdict"] == "supported", "truth"]
    assert set(supported) == {"intrinsic"}
    assert len(supported) >= 3
    assert made[["level_held", "beyond_held"]].mean().min() >= 0.75
    assert made["level"].between(-2, 3).all()


def test_the_page_says_simulated_and_loads_nothing() -> None:
    table = told("intrinsic", "supported", 7)
    summary = summarise(rows("alike", [0.04, 0.05]), pd.DataFrame(), table, None)
    page = render(summary, table)
    assert "<th>supported</th>" in page
    assert '<tr><td>intrinsic</td><td class="n">7</td></tr>' in page
    assert "SIMULATED" in page
    assert "http" not in page
    assert "<script" not in page
    assert "false discovery rate of genes" in page


@pytest.fixture(scope="module")
def biology() -> pd.DataFrame:
    sources = {organism: files.read_gene_table(organism) for organism in ("human", "mouse")}
    return bulk.biology(
        files.read_plain(files.RESOURCES / "simulation_genes.tsv.gz"),
        **sources,
        orthologs=files.read_orthologs(),
        programmes=files.read_plain(ROOT / "config" / "programmes.tsv"),
        n_genes=5000,
        seed=1,
    )


def test_faults_of_samples_are_flagged_and_clean_ones_are_not(biology: pd.DataFrame) -> None:
    thresholds = cards.load_yaml(ROOT / "config" / "config.yaml")["bulk"]["qc"]
    thresholds["min_genes_detected"] = 1000  # of the 5,000 that are simulated here
    panels = files.read_plain(ROOT / "config" / "tissues.tsv")
    planted = replicates.flag_replicate(biology, panels, thresholds, "planted", seed=2)
    clean = replicates.flag_replicate(biology, panels, thresholds, "alike", seed=2)
    rows = pd.DataFrame(planted + clean)
    assert rows["wrong"].ne("").sum() == 6  # a pair, a wrong sex, a library twice, blood
    summary = pd.DataFrame(summarise_flags(rows)).set_index("what")["value"]
    for kind in ("sex_mismatch", "duplicate", "tissue_blood"):
        assert summary[f"planted {kind} flagged as such"] == 1
    assert summary["planted swap_suspect flagged as such"] >= 0.5  # of a pair, at least one
    assert summary["samples of 1 clean studies with any flag"] == 0
    assert summary["the same, alike"] == 0


def test_false_alarms_are_counted_by_kind() -> None:
    rows = pd.DataFrame({"scenario": "alike", "seed": [1, 1, 2, 2], "wrong": ""})
    rows["flags"] = ["", "outlier;level", "outlier", ""]
    summary = pd.DataFrame(summarise_flags(rows)).set_index("what")["value"]
    assert summary["samples of 2 clean studies with any flag"] == 0.5
    assert summary["of which outlier"] == 0.5
    assert summary["of which level"] == 0.25


def test_one_group_in_three_is_no_finding_and_chi_squared_is_bolder(
    biology: pd.DataFrame,
) -> None:
    row = nulls.null_thirds_simulated(biology, seed=3)
    assert row["called"] == 0
    assert float(row["p_below_05"]) < float(row["p_below_05_chi2"]) < 0.12
    summary = summarise(
        pd.DataFrame(columns=["scenario"]), pd.DataFrame(), pd.DataFrame(), None,
        omnibus=pd.DataFrame([row]),
    )  # fmt: skip
    assert line(summary, "omnibus test, null in three: simulated", "median genes called, chi")["n"]


def test_one_replicate_finds_what_is_planted(biology: pd.DataFrame) -> None:
    curated = files.read_plain(ROOT / "config" / "programmes.tsv")
    members = programmes.blocks(curated, "human", files.read_gene_table("human"))
    row = replicates.replicate(biology, members, "swapped", seed=4)
    for kind in ("sex", "swap", "duplicate"):
        assert row[f"{kind}_found"] == row[f"{kind}_planted"] > 0
        assert row[f"{kind}_false"] == 0
    assert row["samples"] == 16
    assert 0.7 < float(row["coverage"]) <= 1
