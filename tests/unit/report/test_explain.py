"""Results in words: whatever columns the tables have."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from alsmuscle import cli
from alsmuscle.core.errors import InputError
from alsmuscle.report import explain


@pytest.fixture
def results(tmp_path):
    tables = {
        "synthesis/claims": {
            "claim": ["C1", "C1", "C2"],
            "test": ["level", "level", "level"],
            "context": ["human_biopsy", "mouse_muscle", "human_biopsy"],
            "statement": ["Denervation genes rise", "Denervation genes rise", "Other"],
            "effect": ["0.41234", "", "0.1"],
            "proportions_k": ["3", "", "0"],
            "proportions_effect": ["0.31", "", ""],
            "proportions_ci_low": ["0.1", "", ""],
            "proportions_ci_high": ["0.52", "", ""],
            "a_column_of_tomorrow": ["7", "", ""],
            "verdict": ["suggested", "not enough data", "contradicted"],
            "reason": ["One study says so.", "No study.", "Two studies."],
        },
        "synthesis/claim_studies": {
            "claim": ["C1"],
            "dataset": ["gse1"],
            "contrast": ["als_vs_healthy"],
            "effect": ["0.4"],
        },
        "synthesis/proportions": {
            "dataset": ["gse1", "gse1", "gse2"],
            "contrast": ["als_vs_healthy", "als_vs_healthy", "old_vs_young"],
            "programme": ["MITO", "MITO", ""],
            "block": ["oxphos", "oxphos", ""],
            "stripped": ["False", "True", "False"],
            "effect": ["-0.2", "-0.1", ""],
            "reference": ["nuclei1", "nuclei1", "nuclei1"],
            "reason": ["", "", "the reference does not describe this tissue"],
        },
        "synthesis/contrasts": {
            "dataset": ["gse1", "gse2"],
            "contrast": ["als_vs_healthy", "old_vs_young"],
            "role": ["als_patient", "ageing"],
            "reason": ["", "two donors"],
        },
        "synthesis/genes": {
            "role": ["als_patient"],
            "key": ["ENSG00000122180"],
            "symbol": ["MYOG"],
            "effect": ["1.5"],
        },
        "provenance/admission": {
            "dataset": ["gse1", "gse2", "gse3"],
            "admitted": ["True", "True", "False"],
            "reason": ["", "", "files.counts: HTTP 404"],
        },
        "bulk/gse1/warnings": {
            "dataset": ["gse1"],
            "contrast": ["als_vs_healthy"],
            "text": ["Sex differs."],
        },
        "bulk/gse1/als_vs_healthy/de": {
            "dataset": ["gse1"] * 12,
            "symbol": [f"G{n}" for n in range(12)],
            "pvalue": [f"{(n + 1) / 100}" for n in range(12)],
        },
    }
    for name, columns in tables.items():
        path = tmp_path / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(columns).to_csv(path, sep="\t", index=False)
    frame = pd.DataFrame(
        {
            "dataset": ["gse1", "gse9"],
            "contrast": ["als_vs_healthy", "sod1"],
            "gene_id": ["ENSG00000122180", "ENSMUSG00000026459"],
            "symbol": ["MYOG", "Myog"],
            "human_gene_id": ["ENSG00000122180"] * 2,
            "log2fc": [1.25, float("nan")],
        }
    )
    frame.to_parquet(tmp_path / "synthesis" / "effects.parquet")
    return tmp_path


def test_a_claim_with_its_verdicts_and_studies(results):
    found = explain.explain("c1", results)
    assert (found["kind"], found["title"]) == ("claim", "Denervation genes rise")
    assert [row["verdict"] for row in found["sections"]["Verdicts"]] == [
        "suggested",
        "not enough data",
    ]
    text = "\n".join(explain.in_words(found))
    assert "level · human_biopsy: suggested" in text
    assert "One study says so." in text
    assert "effect 0.412; adjusted by proportions 0.31 (0.1 to 0.52); a_column_of_" in text
    assert "proportions_k" not in text
    assert "gse1 · als_vs_healthy" in text


def test_estimates_are_told_with_interval_and_sizes(tmp_path):
    row = {
        "dataset": "gse1",
        "programme": "P",
        "block": "up",
        "effect": "0.51234",
        "ci_low": "-0.1",
        "ci_high": "1.1",
        "donors_target": "3",
        "donors_reference": "4",
        "n_target": "3",
        "n_reference": "4",
        "df": "5",
        "padj": "1e-07",
        "eligible": "False",
    }
    found = {"kind": "gene", "id": "X", "title": "", "sections": {"Each": [row]}}
    assert list(explain.in_words(found))[-2:] == [
        "  gse1 · P · up",
        "      effect 0.512 (-0.1 to 1.1); 3 against 4 donors; not pooled; adjusted p 1e-07",
    ]


def test_a_gene_with_its_ortholog(results):
    found = explain.explain("myog", results)
    assert found["kind"] == "gene" and found["id"] == "MYOG"
    assert [row["dataset"] for row in found["sections"]["Each contrast"]] == ["gse1", "gse9"]
    assert explain.explain("ENSG00000122180", results)["id"] == "MYOG"


def test_a_study_that_was_left_out(results):
    text = "\n".join(explain.in_words(explain.explain("gse3", results)))
    assert "files.counts: HTTP 404" in text
    assert "Warnings" in explain.explain("GSE1", results)["sections"]


@pytest.mark.parametrize("name", ["gse1.als_vs_healthy", "gse1/als_vs_healthy", "als_vs_healthy"])
def test_a_contrast(results, name):
    found = explain.explain(name, results)
    assert (found["kind"], found["id"]) == ("contrast", "gse1.als_vs_healthy")
    assert [row["symbol"] for row in found["sections"]["Genes with the smallest p-values"]] == [
        f"G{n}" for n in range(10)
    ]
    # Complete blocks, as in the section of unadjusted ones.
    (row,) = found["sections"]["Programmes adjusted by proportions"]
    assert (row["effect"], row["reference"]) == ("-0.2", "nuclei1")
    other = explain.explain("gse2.old_vs_young", results)
    assert "the reference does not describe this tissue" in "\n".join(explain.in_words(other))


def test_an_unknown_name_is_answered_with_near_ones(results):
    with pytest.raises(InputError, match="near it: .*myog"):
        explain.explain("MYOGG", results)


def test_the_command_and_its_json(results, capsys):
    assert cli.main(["explain", "C1", "--results", str(results)]) == cli.DONE
    assert "claim C1: Denervation genes rise" in capsys.readouterr().out
    assert cli.main(["explain", "C1", "--results", str(results), "--json"]) == cli.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["sections"]["Verdicts"][0]["a_column_of_tomorrow"] == "7"


def test_in_the_wrong_folder_the_right_one_is_named(results, tmp_path, monkeypatch, capsys):
    (tmp_path / "run").mkdir()
    results.joinpath("synthesis").rename(tmp_path / "run" / "synthesis")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["explain", "C1"]) == cli.WRONG
    assert "--results run" in capsys.readouterr().err
