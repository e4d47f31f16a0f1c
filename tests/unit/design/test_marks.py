"""Marks of a contrast: ages, library sizes and labels that put its numbers in doubt."""

import numpy as np
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
    found = _kinds(_samples(library_size=sizes))
    # one that is pooled although the sizes do not overlap says why
    assert ("would not be pooled" in found[kind]) == (kind == "technical")


def test_ages_of_few_people_are_not_apart_by_chance():
    ages = [30.0, 45.0, 60.0, 48.0, 52.0, 63.0]
    few = _samples().iloc[[0, 1, 2, 4, 5, 6]].assign(age=ages)
    # 9 years and 0.8 standard deviations; then 1.5 of them, p 0.14; then 50 years.
    assert "ages_apart" not in _kinds(few)
    assert "ages_apart" not in _kinds(few.assign(age=[30.0, 45, 60, 56, 63, 70]))
    assert "ages_apart" in _kinds(few.assign(age=[30.0, 45, 60, 90, 95, 100]))


def test_ages_of_one_group_split_at_random_are_seldom_apart():
    rng = np.random.default_rng(1)
    studies = [_samples(age=rng.normal(60, 10, 8).round()) for _ in range(300)]
    found = [bool(checks._age_warning(samples, CONTRAST)) for samples in studies]
    assert 0 < np.mean(found) < 0.08
    # All warnings of a study take a hundred times as long: of those marked, and of as many others.
    for number in (*np.flatnonzero(found)[:10], *np.flatnonzero(np.logical_not(found))[:10]):
        assert ("ages_apart" in _kinds(studies[number])) == found[number]


def test_two_samples_a_side_are_not_processed_apart():
    sizes = pd.Series([21e6, 25e6, 41e6, 43e6], index=["s0", "s1", "s4", "s5"])
    two = _samples().loc[sizes.index].assign(library_size=sizes, pct_mito=[1.0, 2.0, 8.0, 9.0])
    assert set(_kinds(two)) == {"few_samples"}


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
