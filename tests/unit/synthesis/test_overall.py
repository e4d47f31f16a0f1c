"""A claim's verdict: primary and necessary tests, patients and models."""

from __future__ import annotations

from itertools import product

import pandas as pd
import pytest

from alsmuscle.synthesis import changes
from alsmuscle.synthesis.verdicts import VERDICTS


def rows(*verdicts: tuple[str, str, str]) -> pd.DataFrame:
    """Rows of (side, part, verdict)."""
    return pd.DataFrame(
        [
            {
                "claim": "C1", "test": f"t{i}", "context": f"c{i}", "side": side, "part": part,
                "statement": "s", "target": "P/b", "verdict": verdict, "grade": "pooled",
                "reason": f"reason {i}",
            }
            for i, (side, part, verdict) in enumerate(verdicts)
        ]
    )  # fmt: skip


def verdict(*verdicts: tuple[str, str, str]) -> str:
    return str(changes.overall(rows(*verdicts))["verdict"][0])


P, M = "patients", "models"
BY_NERVE = "changed, but denervation could explain it"
BY_CELLS = "changed, but tissue composition could explain it"


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ([(P, "primary", "supported")], "supported"),
        ([(P, "primary", "supported"), (P, "necessary", "supported")], "supported"),
        ([(P, "primary", "supported"), (P, "necessary", "suggested")], "suggested"),
        ([(P, "primary", "supported"), (P, "necessary", "not enough data")], "not enough data"),
        ([(P, "primary", "supported"), (P, "necessary", "contradicted")], "mixed"),
        ([(P, "primary", "supported"), (P, "necessary", "smaller than the margin")], "mixed"),
        ([(P, "primary", "contradicted"), (P, "necessary", "supported")], "contradicted"),
        ([(P, "primary", "supported"), (P, "secondary", "contradicted")], "supported"),
        # what moves, whatever may explain it, is held back too
        ([(P, "primary", BY_NERVE), (P, "necessary", "not enough data")], "not enough data"),
        ([(P, "primary", BY_CELLS), (P, "necessary", "contradicted")], "mixed"),
        ([(P, "primary", BY_NERVE), (P, "necessary", "supported")], BY_NERVE),
        ([(P, "primary", "supported"), (P, "necessary", BY_NERVE)], BY_NERVE),
        # the weakest of several speaks: no data says less than what moves
        (
            [
                (P, "primary", "supported"),
                (P, "necessary", "explained by denervation"),
                (P, "necessary", "not enough data"),
            ],
            "not enough data",
        ),
        ([(P, "primary", "not enough data"), (P, "secondary", "supported")], "not enough data"),
        # patients before models
        ([(P, "primary", "suggested"), (M, "primary", "supported")], "suggested"),
        ([(P, "primary", "not enough data"), (M, "primary", "supported")], "supported"),
        ([(P, "primary", "supported"), (M, "primary", "contradicted")], "mixed"),
        ([(P, "primary", "not enough data"), (M, "primary", "not enough data")], "not enough data"),
        # a necessary test of the other side does not hold this one back
        ([(P, "primary", "supported"), (M, "necessary", "contradicted")], "supported"),
    ],
)
def test_overall(tests: list[tuple[str, str, str]], expected: str) -> None:
    assert verdict(*tests) == expected


def test_contradicted_only_where_a_primary_test_is() -> None:
    triples = list(product(VERDICTS, repeat=3))
    table = pd.concat(
        [
            rows(
                (P, "primary", primary), (P, "necessary", necessary), (M, "secondary", other)
            ).assign(claim=f"C{number}")
            for number, (primary, necessary, other) in enumerate(triples)
        ],
        ignore_index=True,
    )
    verdicts = changes.overall(table).set_index("claim")["verdict"]
    for number, (primary, necessary, _) in enumerate(triples):
        found = verdicts[f"C{number}"]
        assert (found == "contradicted") == (primary == "contradicted")
        if found == "supported":
            assert primary == "supported" and necessary == "supported"
        if necessary == "not enough data":
            assert found in {"not enough data", "contradicted", "smaller than the margin", "mixed"}


def test_both_sides_and_their_words_are_kept() -> None:
    out = changes.overall(
        rows((P, "primary", "not enough data"), (M, "primary", "supported"))
    ).iloc[0]
    assert (out["patients"], out["models"]) == ("not enough data", "supported")
    assert (out["basis"], out["test"]) == ("models", "t1")
    assert out["n_tests"] == 2 and out["supported"] == 1
    held = changes.overall(
        rows((P, "primary", "supported"), (P, "necessary", "not enough data"))
    ).iloc[0]
    assert "the sentence also needs P/b in c1: not enough data" in held["reason"]
    assert held["models"] == "" and held["test"] == "t0"
