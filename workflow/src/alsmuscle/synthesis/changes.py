"""A claim's verdict over all its tests, and what moved between two runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alsmuscle.core import files
from alsmuscle.core.errors import InputError
from alsmuscle.synthesis.claims import MODELS, NECESSARY, PATIENTS, PRIMARY
from alsmuscle.synthesis.tables import CLAIMS
from alsmuscle.synthesis.verdicts import (
    COMPOSITION,
    CONTRADICTED,
    DENERVATION,
    EXPLAINED,
    MIXED,
    NOT_ENOUGH,
    SMALLER,
    SUGGESTED,
    SUPPORTED,
    VERDICTS,
)

FIRST_RUN = "first run"


def overall(claims: pd.DataFrame) -> pd.DataFrame:
    """Give every claim its verdict, for patients, for models and as a whole.

    The primary test speaks, and a claim is never better than the tests that its sentence needs:
    where the primary test moves as expected, whatever may explain it, and a necessary one has no
    data or says less, the claim gets the necessary one's verdict, or is mixed where that says the
    opposite. Patients come before models; where the two say the opposite of each other the claim
    is mixed. Tests that are neither primary nor necessary do not enter.

    Parameters
    ----------
    claims
        From :func:`alsmuscle.synthesis.claims.judge`.

    Returns
    -------
    DataFrame
        ``claim, statement, verdict, basis`` (the sides it rests on)``, patients, models`` (the
        verdict of each side, empty where the claim is not tested there)``, grade, test, context``
        (the row that speaks)``, reason, n_tests`` and one column per verdict with the number of
        tests; in order of first appearance.
    """
    rows = []
    for claim, part in claims.groupby("claim", sort=False):
        sides = {
            side: _side(part[part["side"] == side])
            for side in (PATIENTS, MODELS)
            if ((part["side"] == side) & (part["part"] == PRIMARY)).any()
        }
        informative = [side for side, row in sides.items() if row["verdict"] != NOT_ENOUGH]
        basis = informative or list(sides)
        first = sides[basis[0]]
        verdict, reason = first["verdict"], first["reason"]
        said = {side: sides[side]["verdict"] for side in informative}
        if len(said) == 2 and _opposite(*said.values()):
            verdict = MIXED
            reason = "; ".join(f"{side}: {sides[side]['reason']}" for side in said)
        elif informative:
            basis = [side for side in informative if said[side] == verdict]
        counts = part["verdict"].value_counts()
        rows.append(
            {
                "claim": claim,
                "statement": part["statement"].iloc[0],
                "verdict": verdict,
                "basis": " and ".join(basis),
                **{side: sides[side]["verdict"] if side in sides else "" for side in SIDES},
                "grade": first["grade"],
                "test": first["test"],
                "context": first["context"],
                "reason": reason,
                "n_tests": len(part),
                **{name: int(counts.get(name, 0)) for name in VERDICTS},
            }
        )
    return pd.DataFrame(rows)


SIDES = (PATIENTS, MODELS)
_POSITIVE = (SUPPORTED, SUGGESTED)
_WEAKEST_FIRST = (
    *(CONTRADICTED, SMALLER, MIXED, NOT_ENOUGH),
    *(EXPLAINED, DENERVATION, COMPOSITION, SUGGESTED, SUPPORTED),
)
_MOVES = _WEAKEST_FIRST[4:]
"""Verdicts of a measure that moves as the claim expects, whatever else may explain it."""


def _opposite(one: str, other: str) -> bool:
    pair = {one, other}
    return bool(pair & set(_POSITIVE)) and CONTRADICTED in pair


def _side(rows: pd.DataFrame) -> Mapping[str, Any]:
    """The row that speaks for one side: the primary one,
    or the necessary one that holds it back.
    """
    primary = rows[rows["part"] == PRIMARY].iloc[0]
    speaks = dict(primary[["test", "context", "verdict", "grade", "reason"]])
    speaks["reason"] = f"{_measure(primary)}: {primary['reason']}"
    necessary = rows[rows["part"] == NECESSARY]
    # A sentence that is refuted, or untested, is so whatever else it needs.
    if primary["verdict"] not in _MOVES or necessary.empty:
        return speaks
    row = necessary.iloc[necessary["verdict"].map(_WEAKEST_FIRST.index).to_numpy().argmin()]
    if _WEAKEST_FIRST.index(row["verdict"]) >= _WEAKEST_FIRST.index(primary["verdict"]):
        return speaks
    verdict = MIXED if row["verdict"] in (CONTRADICTED, SMALLER) else row["verdict"]
    why = (
        f"{_measure(primary)}: {primary['verdict']}, but the sentence also needs "
        f"{_measure(row)}: {row['verdict']}: {row['reason']}"
    )
    return speaks | {"verdict": verdict, "grade": row["grade"], "reason": why}


def _measure(row: pd.Series[Any]) -> str:
    return f"{row['target']} in {row['context']}"


def changes(old_claims: pd.DataFrame, new_claims: pd.DataFrame) -> pd.DataFrame:
    """Say what moved between two runs, and why.

    Parameters
    ----------
    old_claims, new_claims
        Tables of :func:`evaluate`.

    Returns
    -------
    DataFrame
        ``claim, test, context, change`` (new, removed, verdict, numbers)``, old_verdict,
        new_verdict, why``; rows that did not move are left out. ``numbers``: the same verdict, but
        other studies or an estimate that moved by more than a tenth of its interval.
    """
    key = ["claim", "test", "context"]
    old, new = old_claims.set_index(key), new_claims.set_index(key)
    for name, table in (("old", old), ("new", new)):
        if not table.index.is_unique:
            raise InputError(f"the {name} claims hold a test twice")
    rows = []
    for name in [*new.index, *old.index.difference(new.index, sort=True)]:
        entry = dict(zip(key, name, strict=True))
        if name not in old.index or name not in new.index:
            here = new.loc[name] if name in new.index else old.loc[name]
            added = name in new.index
            entry |= {
                "change": "new" if added else "removed",
                "old_verdict": "" if added else here["verdict"],
                "new_verdict": here["verdict"] if added else "",
                "why": "the claim or its test was " + ("added" if added else "removed"),
            }
            rows.append(entry)
            continue
        a, b = old.loc[name], new.loc[name]
        why = _why(a, b)
        verdict = a["verdict"] != b["verdict"]
        if not verdict and not why:
            continue
        entry |= {
            "change": "verdict" if verdict else "numbers",
            "old_verdict": a["verdict"],
            "new_verdict": b["verdict"],
            "why": "; ".join(why) or "other tests changed the adjustment for multiple testing",
        }
        rows.append(entry)
    columns = [*key, "change", "old_verdict", "new_verdict", "why"]
    return pd.DataFrame(rows, columns=columns)


def _why(a: pd.Series[Any], b: pd.Series[Any]) -> list[str]:
    why = [
        f"{column} was '{a[column]}', is '{b[column]}'"
        for column in ("target", "expected", "statement")
        if a[column] != b[column]
    ]
    before, after = (set(str(row["studies"]).split(";")) - {"", "nan"} for row in (a, b))
    for word, names in (("added", after - before), ("left", before - after)):
        if names:
            why.append(f"studies {word}: {', '.join(sorted(names))}")
    for name, label in (("", "effect"), ("delta_", "Delta")):
        point = "delta" if name else "effect"
        width = a[f"{name}ci_high"] - a[f"{name}ci_low"]
        if np.isfinite(a[point]) != np.isfinite(b[point]):
            why.append(f"{label} {'appeared' if np.isfinite(b[point]) else 'vanished'}")
        elif abs(b[point] - a[point]) > 0.1 * width:
            why.append(f"{label} from {a[point]:+.2f} to {b[point]:+.2f}")
        elif abs((b[f"{name}ci_high"] - b[f"{name}ci_low"]) - width) > 0.1 * width:
            why.append(f"{label}'s interval is {'narrower' if _narrower(a, b, name) else 'wider'}")
    return why


def _narrower(a: pd.Series[Any], b: pd.Series[Any], name: str) -> bool:
    widths = [row[f"{name}ci_high"] - row[f"{name}ci_low"] for row in (a, b)]
    return bool(widths[1] < widths[0])


def compare(
    current: pd.DataFrame, former: pd.DataFrame | None, before: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Say what moved since the verdicts last differed.

    Parameters
    ----------
    current
        Claims of this run.
    former, before
        Claims of the last run, and those it was compared with; ``None`` where there are none. A
        run that changes nothing keeps the last comparison, so that repeating it loses nothing.

    Returns
    -------
    previous, changes
        The claims to compare with (empty in a first run) and the table of changes; a first run is
        one row that says so.
    """
    nothing = current.iloc[:0]
    if former is None or former.empty:
        row = dict.fromkeys(("claim", "test", "context", "old_verdict", "new_verdict"), "")
        why = "there is no earlier run to compare with"
        return nothing, pd.DataFrame([{**row, "change": FIRST_RUN, "why": why}])
    moved = changes(former, current)
    if len(moved):
        return former, moved
    if before is None or before.empty:
        return compare(current, None, None)
    return before, changes(before, current)


def read_former(path: str | Path) -> pd.DataFrame | None:
    """Read a former run's claims; ``None`` where there are none, or none that hold the contract."""
    try:
        return files.read_table(path, CLAIMS)
    except InputError:
        return None
