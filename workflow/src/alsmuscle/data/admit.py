"""Which studies take part: a study that cannot be obtained or trusted is left out.

Every look at a study leaves rows of contract ``checks``: what the card says, what was found, and
whether the two agree. A study is admitted if nothing failed and nothing differs; what could not be
checked (``not verified``) excludes no study, and is shown.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core import contracts, files, outcome
from alsmuscle.core.errors import InputError
from alsmuscle.core.redaction import shown
from alsmuscle.data.tables import CHECKS

if TYPE_CHECKING:
    import pandas as pd

AGREES, DIFFERS, NOT_VERIFIED = "agrees", "differs", "not verified"
# `unreachable` may pass by itself and is tried again by the next run; `failed` may not.
FAILED, UNREACHABLE = "failed", "unreachable"
BAD = (DIFFERS, FAILED, UNREACHABLE)
COLUMNS = ("dataset", "check", "state", "card", "found", "remedy")


def check(
    dataset: str, name: str, state: str, card: object = "", found: object = "", remedy: str = ""
) -> dict[str, str]:
    """Return one row of contract ``checks``; texts are kept to one line, and tell no secret."""
    cells = (dataset, name, state, str(card), str(found), remedy)
    return {k: shown(" ".join(cell.split())) for k, cell in zip(COLUMNS, cells, strict=True)}


def failure(dataset: str, name: str, error: InputError, state: str = FAILED) -> dict[str, str]:
    """Return the row of a look that ended in an error."""
    found = f"{error.where}: {error.problem}" if error.where else error.problem
    return check(dataset, name, state, error.expected or "", found, error.remedy or "")


def out_of_reach(states: Iterable[str]) -> bool:
    """Return whether files of a study could not be had, by the states of its checks."""
    return any(state in (FAILED, UNREACHABLE) for state in states)


def read_checks(path: str | Path) -> pd.DataFrame:
    """Read contract ``checks`` of one study;
    a mark of a look that broke off is a row of it, too.
    """
    mark = outcome.read(path)
    if mark is None:
        return files.read_table(path, CHECKS)
    return contracts.rows([check(mark.study, mark.step, FAILED, found=mark.sentence())], CHECKS)


def remember_failure(mark: str | Path, checks: Sequence[Mapping[str, str]]) -> None:
    """Write the time into ``mark`` if something was unreachable; the next run then tries again.

    A mark of an earlier run stays as it is: only another failure changes it.
    """
    if any(row["state"] == UNREACHABLE for row in checks):
        Path(mark).parent.mkdir(parents=True, exist_ok=True)
        Path(mark).write_text(f"{datetime.now(UTC).isoformat()}\n", encoding="utf-8")


def admit(checks: pd.DataFrame, studies: Collection[str]) -> pd.DataFrame:
    """Decide over every study.

    Parameters
    ----------
    checks
        Contract ``checks``, of all studies.
    studies
        All study ids; one without a row is admitted (simulated studies are made, not obtained).

    Returns
    -------
    DataFrame
        Contract ``admission``, a row per study.
    """
    import pandas as pd

    bad = checks[checks["state"].isin(BAD)]
    reasons = {
        str(name): " ".join(map(sentence, rows.to_dict("records")))
        for name, rows in bad.groupby("dataset", sort=False)
    }
    rows = [
        {"dataset": name, "admitted": name not in reasons, "reason": reasons.get(name, "")}
        for name in studies
    ]
    return pd.DataFrame(rows, columns=["dataset", "admitted", "reason"])


def sentence(row: Mapping[Any, str]) -> str:
    """Say what is wrong, quoting both sides."""
    if row["state"] == DIFFERS:
        return f"{row['check']}: the card says “{row['card']}”, the archive “{row['found']}”."
    expected = f" (expected: {row['card']})" if row["card"] else ""
    remedy = f"; to do: {row['remedy']}" if row["remedy"] else ""
    return f"{row['found']}{expected}{remedy}."


def require(admission: pd.DataFrame, *, all_required: bool) -> None:
    """Stop where the run cannot or must not go on.

    Raises
    ------
    InputError
        No study is left, or one is left out and ``all_required``.
    """
    out = admission[~admission["admitted"]]
    lines = "\n".join(f"  {row.dataset}: {row.reason}" for row in out.itertuples())
    if len(out) == len(admission):
        raise InputError(f"no study could be obtained and verified\n{lines}")
    if all_required and len(out):
        raise InputError(
            f"{len(out)} of {len(admission)} studies could not be obtained and verified\n{lines}",
            remedy="mend that, or set `data.all_required: false` to go on without them",
        )


def admitted(path: str | Path) -> list[str]:
    """Return the admitted studies of an admission table; light, for the workflow's parsing."""
    return [row["dataset"] for row in rows(path) if row["admitted"] == "True"]


def left_out(path: str | Path) -> list[tuple[str, str]]:
    """Return study and reason for each that is not; empty where there is no table yet."""
    return [(row["dataset"], row["reason"]) for row in rows(path) if row["admitted"] != "True"]


def rows(path: str | Path) -> list[dict[str, str]]:
    """Return a table's rows, none where there is no file; without pandas."""
    if not Path(path).is_file():
        return []
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quotechar='"'))
