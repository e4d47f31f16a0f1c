"""What speaks against a list's calls: sources, other diseases, the other table of the patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import report_fixture as fx
from alsmuscle.design.marks import MARKS
from alsmuscle.report import doubts
from alsmuscle.report.pages import against, calls, claims, gene, onepage


@pytest.fixture(scope="module")
def data():
    """Lists in which two diseases of one study call the denervation signature."""
    whole = fx.with_lists(fx.whole(2, n_genes=60))
    said = whole.synthesis
    blocks = said.called_blocks.assign(
        programme="DENERVATION", block="tier1_up", usable=True, padj_up=0.001,
        called_up=[2, 2, 3, 3], genes_up="DEN0;DEN1", n_measured=8,
    )  # fmt: skip
    genes = pd.DataFrame(
        {
            "programme": "DENERVATION", "block": "tier1_up", "sign": "+",
            "symbol": ["DEN0", "DEN1", "DEN2"], "in_denervation_signature": 1,
            "evidence": ["S", "M", "S"], "source": ["shared ALS+MMN", "", "denervated mice"],
        }
    )  # fmt: skip
    agreement = pd.DataFrame(
        [
            {
                "dataset": "lists1", "contrast": "als", "other_dataset": "lists1",
                "other_contrast": "dmd", "other_kind": "calls", "same_study": True,
                "n_called": 30, "n_shared": shared, "n_same": same, "share_same": same / shared,
                "expected_same": 4.3, "p_more": more, "p_fewer": fewer, "spearman": 0.1,
            }
            for shared, same, more, fewer in ((26, 3, 0.8, 0.4), (150, 149, 1e-9, 1.0))
        ]
    )  # fmt: skip
    said = replace(said, called_blocks=blocks, agreement=agreement)
    listed = pd.concat([whole.programmes, genes], ignore_index=True)
    return replace(whole, synthesis=said, programmes=listed)


def test_genes_without_a_source_of_their_own_and_other_diseases_are_named(data):
    (found,) = calls.of_signature(data)
    sources, others = against.of_list(data, found)[:2]
    assert sources.startswith("2 of the 2 called genes have no source that is independent of ALS")
    assert "DEN0, DEN1 (the source of DEN0 compares ALS itself; of the others none was seen)" in (
        sources
    )
    assert "in 1 of 1 other diseases" in others and "Duchenne dystrophy 3; ALS 2" in others


def test_a_list_and_a_table_of_the_same_patients_that_disagree_are_counted(data):
    first = data.synthesis.contrasts.iloc[0]
    row = data.synthesis.agreement.iloc[0].to_dict() | {
        "other_dataset": first["dataset"], "other_contrast": first["contrast"],
        "other_kind": "effects", "n_shared": 148, "n_same": 118, "expected_same": 72.0,
    }  # fmt: skip
    role = data.synthesis.contrasts.assign(role="als_patient")
    made = replace(data.synthesis, agreement=pd.DataFrame([row]), contrasts=role)
    (found,) = calls.of_signature(data)
    text = against.of_list(replace(data, synthesis=made), found)[-1]
    assert "118 of 148 genes" in text and "chance gives 72" in text and "on 30." in text
    same = replace(made, agreement=pd.DataFrame([row | {"same_study": False}]))
    assert not any("118" in x for x in against.of_list(replace(data, synthesis=same), found))


def test_a_difference_that_the_margins_explain_is_no_disagreement(data):
    _, shared = calls.first_page(data)
    assert "149 of 150, by chance 4" in shared
    assert "but not all" not in shared
    assert "no more and no less than chance gives (Duchenne dystrophy: 3 of 26" in shared
    table = data.synthesis.agreement.assign(p_fewer=[0.001, 1.0])
    made = replace(data, synthesis=replace(data.synthesis, agreement=table))
    assert "but not all (Duchenne dystrophy: 3 of 26, by chance 4)" in calls.first_page(made)[1]


def test_the_sheet_says_what_speaks_against_it_and_the_caveats(data):
    words = " ".join(text.get_text() for text in onepage.draw(data).texts)
    assert "What speaks against it: 2 of the 2 called genes" in words.replace("\n", " ")
    assert "GSE900001" in words and "The verdicts rest on" in words


def test_a_p_of_groups_processed_apart_is_never_without_that(data):
    row = data.synthesis.claims.dropna(subset=["effect"]).iloc[0]
    assert claims.reason_of(data, row, "x (padj 0.0049); y") == "x (adjusted p 0.0049); y"
    study = data.studies[0]
    own = study.contrasts[0]
    row = row.replace({row["studies"]: f"{study.card['id']}/{own.meta['id']}"})
    own = replace(own, meta={**own.meta, "marks": [("technical", "probes differ")]})
    made = replace(data, studies=[replace(study, contrasts=[own])])
    said = claims.reason_of(made, row, "x (padj 0.0049); y")
    assert said == "x (adjusted p 0.0049, not to be trusted: groups processed apart); y"
    assert MARKS["technical"].label == "processed apart"


def test_doubts_about_sex_stand_with_the_caveats_of_the_study():
    card = {
        "role": "als_patient", "caveats": ["first"],
        "contrasts": [
            {"id": "als", "label": "ALS against normal"},
            {"id": "dmd", "label": "Duchenne against normal", "role": "myopathy"},
        ],
    }  # fmt: skip
    notes = pd.DataFrame(
        {
            "contrast": ["als", "dmd", "als"], "metric": ["sex_genes", "sex_genes", "rows"],
            "value": np.nan, "text": ["The two sides differ in sex: DDX3Y up.", "X.", "rows"],
            "flagged": [True, True, False],
        }
    )  # fmt: skip
    assert doubts.on_card(card, notes)["caveats"] == [
        "first",
        "ALS against normal: the two sides differ in sex: DDX3Y up.",
        "By the same genes the sides differ in sex in lists of Duchenne.",
    ]


def test_the_page_of_a_study_of_lists_has_findings(data):
    study = data.studies[-1]
    first = calls.findings(data, study, "../")[0]
    assert first["sizes"] == "9 v 18 donors" and first["href"] == "../calls.html"
    assert first["genes"] == "2 genes called, 1 up and 1 down"
    assert "up: Denervation response" in first["sentence"] and "(2 of 8)" in first["sentence"]


def test_the_gene_page_knows_which_table_is_of_a_lists_patients_and_the_signature(data):
    contrasts = data.synthesis.contrasts
    same = contrasts.assign(
        cluster=["lists1", *contrasts["cluster"][1:]], role=["als_patient", *contrasts["role"][1:]]
    )
    made = replace(data, synthesis=replace(data.synthesis, contrasts=same))
    als, other = calls.lists(made)
    members = [pair for _, pairs in made.by_role() for pair in pairs]
    assert [members[i][0].card["id"] for i in als["table"]] == [same["dataset"].iloc[0]]
    assert other["table"] == [] and (als["signature"], other["signature"]) == ([8, 8], None)
    assert gene._signature(data) == ["DEN0", "DEN1", "DEN2"]


def test_search_finds_claims_by_their_subject_and_studies_left_out_by_their_title(data):
    rows = pd.DataFrame(
        [{"kind": "study", "dataset": "gse122261", "id": "gse122261", "what": "", "reason": "R"}]
    )
    made = replace(data, excluded=rows, titles={"gse122261": "Myotubes of SBMA"})
    assert gene._not_selected(made) == [
        ["GSE122261: Myotubes of SBMA", "study left out", "index.html#out", "R"]
    ]
    assert gene._about({"topic": "myogenesis", "subject": "satellite_cell"}) == (
        "myogenesis satellite cell"
    )
