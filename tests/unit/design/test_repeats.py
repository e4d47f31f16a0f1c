"""Repeated samples of donors: which are put together, modelled, or taken as independent."""

import pandas as pd
import pytest

from alsmuscle.design import checks, matrix, repeats

CONTRAST = {
    **{"id": "als_vs_healthy", "kind": "difference", "variable": "condition", "target": "als"},
    **{"reference": "healthy", "adjust": [], "block": None, "within": {}, "repeats": ""},
}


def _samples(**columns):
    """Four donors a side, two samples each."""
    frame = pd.DataFrame(
        {
            "condition": ["als"] * 8 + ["healthy"] * 8,
            "subject_id": [f"p{i // 2}" for i in range(16)],
        }
        | columns,
        index=[f"s{i}" for i in range(16)],
    )
    return frame.assign(sample_id=frame.index)


LEGS = ["left", "right"] * 8


@pytest.mark.parametrize(
    ("columns", "changed", "together", "rest"),
    [
        ({"subject_id": ""}, {}, False, "one"),
        # Nothing tells the two samples apart.
        ({}, {}, True, "one"),
        ({"library_size": range(16), "title_raw": range(16)}, {}, True, "one"),
        ({"leg": LEGS}, {}, False, "correlated"),
        ({"leg": LEGS}, {"adjust": ["leg"]}, False, "correlated"),
        ({"leg": LEGS}, {"repeats": "technical"}, True, "one"),
        # Technical ones of two legs that the model tells apart stay two.
        ({"leg": LEGS}, {"repeats": "technical", "adjust": ["leg"]}, False, "correlated"),
        ({}, {"repeats": "correlated"}, False, "correlated"),
        ({}, {"repeats": {"independent": "clones of one line"}}, False, "independent"),
        # Each leg before and after: the block is the donor.
        (
            {"condition": ["als", "als", "healthy", "healthy"] * 4, "leg": LEGS}
            | {"subject_id": [f"p{i // 4}" for i in range(16)]},
            {"block": "subject_id"},
            False,
            "blocked",
        ),
    ],
)
def test_how_repeats_are_treated(columns, changed, together, rest):
    found = repeats.handling(_samples(**columns), CONTRAST | changed)
    assert found == (together, rest)


def test_donors_are_counted_not_samples():
    samples = _samples(leg=LEGS)
    assert matrix.smallest_cell(samples, CONTRAST) == 4
    assert matrix.smallest_group(samples, CONTRAST) == 4
    alone = CONTRAST | {"repeats": {"independent": "clones of one line"}}
    assert matrix.smallest_cell(samples, alone) == 8


def test_a_donors_samples_go_by_the_name_of_the_first():
    samples = _samples()
    found = repeats.members(samples, CONTRAST)
    assert found.tolist() == [f"s{i - i % 2}" for i in range(16)]
    assert repeats.members(_samples(leg=LEGS), CONTRAST).tolist() == samples.index.tolist()


@pytest.mark.parametrize(
    ("repeat", "words"),
    [
        ("", "The model takes a donor's samples as correlated."),
        ("technical", "They were put together before the fit."),
        ({"independent": "clones of one line"}, "taken as independent: clones of one line"),
    ],
)
def test_repeats_are_said(repeat, words):
    found = checks.design_warnings(_samples(leg=LEGS), CONTRAST | {"repeats": repeat}, "x", 3)
    text = found.set_index("kind").loc["repeated_donors", "text"]
    assert "8 of 8 donors have up to 2 samples in one group" in text
    assert words in text


def test_nobody_knows_the_donors_of_two_legs():
    samples = _samples(subject_id=[f"s{i}" for i in range(16)], leg=LEGS)
    kinds = checks.design_warnings(samples, CONTRAST, "x", 3, columns=["condition", "leg"])["kind"]
    assert kinds.tolist() == ["donors_unknown"]
    known = checks.design_warnings(samples, CONTRAST, "x", 3, columns=["subject_id", "leg"])
    assert known.empty


def test_a_second_name_of_a_donor_is_no_confounder():
    samples = _samples(leg=LEGS, number=[str(100 + i // 2) for i in range(16)])
    kinds = checks.design_warnings(samples, CONTRAST, "x", 3)["kind"]
    assert kinds.tolist() == ["repeated_donors"]
