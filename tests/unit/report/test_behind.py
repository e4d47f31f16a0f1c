"""How many genes an effect rests on, and whether one of them carries it."""

from __future__ import annotations

import pandas as pd
import pytest

from alsmuscle.report import behind


def test_one_gene_that_makes_most_of_a_mean_is_named_with_what_is_left():
    effects = pd.Series({"FST": 2.51, "LRRK2": 1.22, "SESN3": 0.10})
    # 2.51 of 3.83; the others' mean is 0.66
    assert behind.in_words([effects], 5) == (
        "3 of 5 genes measured: FST +2.51, LRRK2 +1.22, SESN3 +0.10; "
        "FST alone makes 66 % of their mean, which is +0.66 without it"
    )


@pytest.mark.parametrize(
    ("effects", "said"),
    [
        ({"A": 1.0, "B": 1.1, "C": 0.9}, ""),  # each a third
        ({"A": -2.0, "B": -0.5, "C": 0.1}, "A alone makes 83 % of their mean"),
        ({"A": 2.0, "B": -0.5}, "A alone makes all of their mean, which is −0.50 without it"),
        ({"A": 2.0}, ""),  # a single gene is the effect
        ({f"G{i}": 9.0 if i == 0 else 0.1 for i in range(11)}, ""),  # not few
    ],
)
def test_the_rule_is_a_share_of_the_genes_effects(effects, said):
    found = behind.carried_by_one(pd.Series(effects))
    assert found.startswith(said) if said else found == ""


def test_of_several_comparisons_numbers_are_a_range_and_effects_the_mean():
    one, two = pd.Series({"A": 1.0, "B": 1.0}), pd.Series({"A": 3.0})
    assert behind.in_words([one, two], 4).startswith("1 to 2 of 4 genes measured: A +2.00, B +1.00")


def test_many_genes_are_counted_and_not_named():
    many = pd.Series({f"G{i}": 1.0 for i in range(12)})
    assert behind.in_words([many], 20) == "12 of 20 genes measured"
