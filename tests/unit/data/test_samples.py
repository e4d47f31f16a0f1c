from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.data import samples


def _card(**spec):
    return {
        "id": "gse1",
        "counts": spec.pop("counts", {}),
        "samples": {
            "sheet": {"layout": "csv"},
            "sample_id": "id",
            "columns": {"condition": {"from": "group", "map": {"ctl": "healthy", "ALS": "als"}}},
            **spec,
        },
    }


def _sheet(**columns):
    return pd.DataFrame({"id": ["s1", "s2"], "group": ["ctl", "ALS"], **columns})


def _columns(**rules):
    return {**_card()["samples"]["columns"], **rules}


def test_harmonised_columns_keep_their_raw_values():
    table, excluded = samples.harmonise(
        _sheet(donor=["Subject 7 left", "Subject 8 left"], years=["61", "n/a"]),
        _card(
            columns=_columns(
                subject_id={"from": "donor", "pattern": r"^(Subject \d+)"},
                age={"from": "years", "numeric": True},
                muscle={"value": "deltoid"},
                arm={"from": ["group", "donor"]},
            )
        ),
    )
    assert table["condition"].tolist() == ["healthy", "als"]
    assert table["condition_raw"].tolist() == ["ctl", "ALS"]
    assert table["subject_id"].tolist() == ["Subject 7", "Subject 8"]
    assert table["age"][0] == 61
    assert np.isnan(table["age"][1])
    assert table["age_raw"][1] == "n/a"
    assert table["muscle"].tolist() == ["deltoid", "deltoid"]
    assert "muscle_raw" not in table
    assert table["arm"][1] == "ALS | Subject 8 left"
    assert table["sex"].tolist() == ["", ""]
    assert excluded.empty


def test_without_donors_every_sample_is_its_own():
    table, _ = samples.harmonise(_sheet(), _card())
    assert table["subject_id"].tolist() == ["s1", "s2"]


@pytest.mark.parametrize(
    ("sheet", "spec", "expected"),
    [
        (_sheet().rename(columns={"group": "Group"}), {}, ["no column 'group'", "Group"]),
        (_sheet(group=["ctl", "FTD"]), {}, ["'FTD' is not in the map", "ctl", "spelling"]),
        (_sheet(id=["s1", "s1"]), {}, ["not unique", "'s1' twice"]),
        (_sheet(id=["s1", ""]), {}, ["not unique", "empty"]),
        (_sheet(), {"expected": 3}, ["has 2 samples", "3", "truncated"]),
        (_sheet(), {"columns": _columns(sex={"from": "group"})}, ["'ALS'", "vocabulary of 'sex'"]),
        (_sheet(), {"columns": _columns(sex={"from": "Sex"})}, ["no column 'Sex'"]),
        (
            _sheet(),
            {"exclude": [{"sample_id": "s9", "reason": "long enough"}]},
            ["no sample match"],
        ),
        (_sheet(), {"exclude": [{"reason": "long enough"}]}, ["exactly one of"]),
        (_sheet(), {"exclude": [{"where": {"site": "x"}, "reason": "long enough"}]}, ["'site'"]),
        (
            _sheet(),
            {"exclude": [{"where": {"dataset": "gse1"}, "reason": "long enough"}]},
            ["every sample"],
        ),
        (
            _sheet(group=["ctl", ""]),
            {"columns": {"condition": {"from": "group", "map": {"ctl": "healthy", "": ""}}}},
            ["no condition", "s2", "exclude"],
        ),
    ],
)
def test_a_sheet_that_does_not_fit_the_card(sheet, spec, expected):
    with pytest.raises(InputError) as caught:
        samples.harmonise(sheet, _card(**spec))
    for words in ["config/datasets/gse1.yaml: samples", *expected]:
        assert words in str(caught.value)


def test_excluded_samples_carry_their_reason():
    table, excluded = samples.harmonise(
        _sheet(group=["ctl", ""]),
        _card(
            columns={"condition": {"from": "group", "map": {"ctl": "healthy", "": ""}}},
            exclude=[{"where": {"condition": ""}, "reason": "no group label in the sheet"}],
        ),
    )
    assert table["sample_id"].tolist() == ["s1"]
    assert excluded.to_dict("records") == [
        {"dataset": "gse1", "sample_id": "s2", "reason": "no group label in the sheet"}
    ]


def test_matrix_columns_are_found_by_template():
    card = _card(
        counts={"sample_template": "{label}_II"},
        columns=_columns(label={"from": "title", "pattern": "^(.*?)(?:_control)?$"}),
    )
    table, excluded = samples.harmonise(_sheet(title=["01-41_control", "01-22b"]), card)
    names = ["01-22b_II", "01-41_II"]
    columns, _ = samples.match_matrix(names, table, excluded, card)
    assert columns == {"01-41_II": "s1", "01-22b_II": "s2"}


def test_columns_that_the_sheet_does_not_list_are_counted_and_excluded():
    card = _card(expected=3, exclude=[{"unlisted": 1, "reason": "not in the sheet"}])
    table, excluded = samples.harmonise(_sheet(), card)
    columns, excluded = samples.match_matrix(["s1", "s2", "s3"], table, excluded, card)
    assert columns == {"s1": "s1", "s2": "s2"}
    assert excluded.to_dict("records") == [
        {"dataset": "gse1", "sample_id": "s3", "reason": "not in the sheet"}
    ]
    for names in (["s1", "s2"], ["s1", "s2", "s3", "s4"]):
        with pytest.raises(InputError, match="belong to no sample"):
            samples.match_matrix(names, table, excluded.iloc[:0], card)


@pytest.mark.parametrize(
    ("names", "template", "expected"),
    [
        (["s1"], "{sample_id}", ["'s2' is in the sheet", "exclude"]),
        (["s1", "s2", "s3"], "{sample_id}", ["belong to no sample", "'s3'"]),
        (["s1", "s2"], "{donor}", ["'donor'"]),
    ],
)
def test_a_sheet_that_does_not_fit_the_matrix(names, template, expected):
    card = _card(counts={"sample_template": template})
    table, excluded = samples.harmonise(_sheet(), card)
    with pytest.raises(InputError) as caught:
        samples.match_matrix(names, table, excluded, card)
    for words in expected:
        assert words in str(caught.value)


def test_labels_are_made_safe_once_and_kept_for_display():
    labels = ["GSM1", "Müller-1", "Müller 1", "3 weeks", "ß+", "Muller_1", "日本"]
    names = samples.safe_names(labels)
    assert names == ["GSM1", "Muller_1.2", "Muller_1.3", "S3_weeks", "ss", "Muller_1", "sample"]
    assert len(set(names)) == len(names)
    assert samples.safe_names(names) == names


RUNS = {
    "id": "srp1",
    "samples": {
        "sample_id": "sample",
        "run_id": "run",
        "columns": {"condition": {"from": "group"}, "lane": {"value": "x"}},
    },
}


def test_runs_of_one_sample_are_added():
    sheet = pd.DataFrame(
        {"run": ["R1", "R2", "R3"], "sample": ["A", "B", "A"], "group": ["x", "y", "x"]}
    )
    matrix = pd.DataFrame({"R3": [10, 0], "R1": [1, 2], "R2": [5, 5], "R9": [7, 7]})
    merged, counts = samples.merge_runs(sheet, matrix, RUNS)
    assert merged["sample"].tolist() == ["A", "B"]
    assert counts.to_dict("list") == {"A": [11, 2], "B": [5, 5], "R9": [7, 7]}
    with pytest.raises(InputError, match="runs of sample 'A' differ in 'condition': x, z"):
        samples.merge_runs(sheet.assign(group=["x", "y", "z"]), matrix, RUNS)
    with pytest.raises(InputError, match="run 'R3' is in the sheet but not in the matrix"):
        samples.merge_runs(sheet, matrix.drop(columns="R3"), RUNS)


def test_runs_of_samples_that_are_left_out_need_no_column():
    columns = {"condition": {"from": "group", "map": {"x": "control", "y": "als", "z": "other"}}}
    exclude = [{"where": {"condition": "other"}, "reason": "no muscle"}]
    card = {"id": "srp1", "samples": {**RUNS["samples"], "columns": columns, "exclude": exclude}}
    sheet = pd.DataFrame({"run": ["R1", "R2", "R3"], "sample": list("ABC"), "group": list("xyz")})
    matrix = pd.DataFrame({"R1": [1, 2], "R2": [5, 5]})
    merged, counts = samples.merge_runs(sheet, matrix, card)
    assert merged["sample"].tolist() == ["A", "B", "C"]
    assert counts.to_dict("list") == {"A": [1, 2], "B": [5, 5]}
    kept, excluded = samples.harmonise(merged, card)
    found, _ = samples.match_matrix(list(counts), kept, excluded, card)
    assert found == {"A": "A", "B": "B"}
    with pytest.raises(InputError, match=r"run 'R2' is in the sheet but not .* \(1 such"):
        samples.merge_runs(sheet, matrix[["R1"]], card)


def test_groups_are_told_by_expressions_that_must_be_unambiguous():
    rule = {"from": "t", "match": {r"\bals\b": "als", "control|healthy": "healthy"}}
    sheet = pd.DataFrame({"t": ["ALS 1", "Control 2"]})
    values, raw = samples._column(sheet, "condition", rule, "here")
    assert values.tolist() == ["als", "healthy"] and raw.tolist() == ["ALS 1", "Control 2"]
    for text, words in (
        ("FALS", "no expression is found in 'FALS'"),
        ("ALS control", "als and healthy"),
    ):
        with pytest.raises(InputError, match=words):
            samples._column(pd.DataFrame({"t": [text]}), "condition", rule, "here")
