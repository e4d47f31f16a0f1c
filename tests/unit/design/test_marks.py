"""Marks of a contrast: ages, library sizes and labels that put its numbers in doubt."""

import pandas as pd
import pytest

from alsmuscle.design import checks, marks

CONTRAST = {
    **{"id": "als_vs_healthy", "kind": "difference", "variable": "condition", "target": "als"},
    **{"reference": "healthy", "adjust": [], "block": None, "within": {}},
}


def _samples(**columns):
    n = 4
    base = {
        "condition": ["als"] * n + ["healthy"] * n,
        "subject_id": [f"p{i}" for i in range(2 * n)],
        "age_unit": ["years"] * 2 * n,
        "sex": ["male", "female"] * n,
    }
    return pd.DataFrame(base | columns, index=[f"s{i}" for i in range(2 * n)])


def _kinds(samples):
    found = checks.design_warnings(samples, CONTRAST, "study", 3)
    return dict(zip(found["kind"], found["text"], strict=True))


@pytest.mark.parametrize(("old", "marked"), [([66, 60, 70, 64], True), ([31, 24, 35, 26], False)])
def test_ages_apart_are_more_than_one_standard_deviation(old, marked):
    found = _kinds(_samples(age=[*map(float, old), 29.0, 25.0, 33.0, 28.0]))
    assert ("ages_apart" in found) == marked
    assert "confounded" not in found


@pytest.mark.parametrize(
    ("deep", "kind"), [([43, 52, 60, 65], "library_sizes_apart"), ([32, 33, 34, 35], "technical")]
)
def test_library_sizes_apart_need_half_as_much_again(deep, kind):
    sizes = [size * 10**6 for size in [21, 25, 28, 31, *deep]]
    assert kind in _kinds(_samples(library_size=sizes))


def test_labels_are_in_doubt_where_more_than_one_of_ten_is_of_the_other_sex():
    shown = ["male", "female"] * 4
    assert "labels_in_doubt" not in _kinds(_samples(sex_inferred=shown))
    assert "1 of 8" in _kinds(_samples(sex_inferred=["female", *shown[1:]]))["labels_in_doubt"]


def test_facts_join_what_the_card_says_and_what_was_found():
    warnings = pd.DataFrame(
        [("d", "c", "confounded", "batch", "x"), ("d", "c", "confounded", "site", "y")],
        columns=["dataset", "contrast", "kind", "column", "text"],
    )
    found = marks.facts(warnings, {"marks": {"third_party_copy": "A copy."}}, "c")
    assert found["confounded"] == "batch, site"
    assert found["third_party_copy"] == "A copy."
    assert found["ages_apart"] == ""
    assert set(found) == set(marks.FACTS)
    assert marks.facts(warnings, {}, "other")["confounded"] == ""
