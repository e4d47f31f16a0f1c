"""Overwhelming effects in every study that the registry can run: what would the verdicts say?

A rule that stays mute whatever the data say is of no use. Every contrast of the cards that run gets
an effect of 2 log2 units in the claimed direction, known to a tenth.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from alsmuscle.core import files
from alsmuscle.data import cards
from alsmuscle.synthesis import blocks, claims, contrasts, denervation, targets, verdicts
from support import ROOT

CONFIG = cards.load_yaml(ROOT / "config" / "config.yaml")
SIZE, ERROR = 2.0, 0.1


def registry_contrasts() -> pd.DataFrame:
    facts: list[dict[str, Any]] = []
    for path in sorted((ROOT / "config" / "datasets").glob("*.yaml")):
        card = cards.load_yaml(path)
        if not card.get("use", True) or card["status"] not in CONFIG["studies"]["statuses"]:
            continue
        if card["modality"] == "calls":
            facts += contrasts.list_facts(card)
            continue
        for entry in card["contrasts"]:
            row = contrasts.contrast_facts(card, cards.contrast(card, entry["id"]))
            material = "biopsy" if card["organism"] == "human" else "whole muscle"
            facts.append(row | {"n_target": 6, "n_reference": 6, "material": material})
    settings = CONFIG["synthesis"]["contrasts"]
    return contrasts.contrast_table(
        pd.DataFrame(facts),
        min_donors=settings["min_donors"],
        include_confounded=settings["include_confounded"],
    )


@pytest.fixture(scope="module")
def judged():
    listed = files.read_plain(ROOT / "config" / "programmes.tsv")
    document = targets.read_claims(ROOT / "config" / "claims.yaml", listed)
    table = registry_contrasts()
    asked = {
        test["target"]: verdicts.EXPECTED[test["expected"]]
        for claim in document["claims"]
        for test in claim["tests"]
    }
    rows = []
    als = table[table["role"].isin(denervation.ALS_ROLES) & (table["modality"] != "calls")]
    for row in als.itertuples():
        samples = row.modality in ("bulk", "array")
        for name, direction in asked.items():
            programme, block = name.split("/", 1)
            effect = SIZE * (direction if direction in (1, -1) else 1)
            numbers = {"effect": effect, "se": ERROR, "df": 20.0}
            numbers |= {"ci_low": effect - 2 * ERROR, "ci_high": effect + 2 * ERROR}
            adjusted = {f"{key}_adjusted": value for key, value in numbers.items() if samples}
            keys = {"dataset": row.dataset, "contrast": row.contrast, "cell_type": "muscle"}
            about = {"programme": programme, "block": block, "stripped": False, "usable": True}
            rows.append(keys | about | numbers | adjusted)
    evidence = pd.DataFrame(rows).reindex(columns=blocks.COLUMNS)
    rules = verdicts.Rules(**CONFIG["synthesis"]["rules"])
    return claims.judge(document, evidence, table, pd.DataFrame(), rules=rules)


def test_human_biopsies_give_informative_graded_statements(judged):
    human = judged[judged["context"] == "human_biopsy"]
    informative = human[human["verdict"] != verdicts.NOT_ENOUGH]
    assert len(informative) >= 0.9 * len(human)
    assert (informative["grade"] != "").all()


def test_only_satellite_cells_stay_without_an_answer(judged):
    human = judged[judged["context"] == "human_biopsy"]
    mute = human[human["verdict"] == verdicts.NOT_ENOUGH]
    assert len(mute) and mute["reason"].str.contains("satellite cells").all()
    told = human.loc[human["verdict"] != verdicts.NOT_ENOUGH, "verdict"]
    assert set(told) == {verdicts.DENERVATION, verdicts.SUGGESTED}
    # Where denervation is the claim, or no alternative to it, one study suggests.
    assert human.loc[human["verdict"] == verdicts.SUGGESTED, "claim"].eq("C1").all()


def test_one_study_supports_nothing_and_without_a_reference_denervation_stays_possible(judged):
    human = judged[judged["context"] == "human_biopsy"]
    assert verdicts.SUPPORTED not in set(human["verdict"])
    assert (human["verdict"] == verdicts.DENERVATION).any()
    assert human.loc[human["verdict"] == verdicts.DENERVATION, "reason"].str.contains("k = 1").all()


def test_what_is_not_decided_says_why(judged):
    human = judged[(judged["context"] == "human_biopsy") & (judged["grade"] == "")]
    assert human["reason"].str.len().gt(20).all()
