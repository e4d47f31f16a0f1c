"""Which genes an effect rests on: how many, which where they are few, and one that carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from alsmuscle.report import model as m
from alsmuscle.report.html import components as c

if TYPE_CHECKING:
    from collections.abc import Iterable

FEW = 10
"""Most genes that are named one by one, and of which one may carry the mean."""
HALF = 0.5
"""Share of the sum of the genes' effects above which one gene carries it."""


def contrasts(data: m.ReportData, row: pd.Series[Any]) -> list[m.ContrastData]:
    """Return the comparisons that a test (a row of ``claims.tsv``) was pooled from."""
    return [contrast for _, contrast in data.named(str(row["studies"]).split(";"))]


def place_of(data: m.ReportData, row: pd.Series[Any]) -> str | None:
    """Return where the comparison shows a test's effect that it alone makes; else ``None``."""
    found = data.named(str(row["studies"]).split(";"))
    if len(found) != 1 or c.is_missing(row["effect"]):
        return None
    return m.effect_path(*found[0], str(row["target"]))


def of_effect(data: m.ReportData, row: pd.Series[Any]) -> str:
    """Say which genes a test's effect rests on; empty where it has none, or is of one gene."""
    if c.is_missing(row["effect"]):
        return ""
    programme, block = str(row["target"]).split("/", 1)
    found = (k.members.get(str(row["target"])) for k in contrasts(data, row))
    tables = [table for table in found if table is not None]
    if not tables or data.programmes is None:
        return ""
    listed = data.programmes
    n = int(((listed["programme"] == programme) & (listed["block"] == block)).sum())
    return in_words([table.set_index("symbol")["log2fc"] for table in tables], n)


def in_words(effects: Iterable[pd.Series[float]], listed: int) -> str:
    """Say of how many of a block's ``listed`` genes a mean is made, and whether of one alone.

    ``effects``: per comparison, symbol → log2 fold change; the mean over comparisons is named.
    """
    tables = list(effects)
    sizes = sorted({len(table) for table in tables})
    n = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    mean = pd.concat(tables).groupby(level=0).mean()
    mean = mean.sort_values(key=abs, ascending=False, kind="stable")
    said = f"{n} of {listed} genes measured"
    if len(mean) > FEW:
        return said
    names = ", ".join(f"{name} {c.number(x, sign=True)}" for name, x in mean.items())
    one = carried_by_one(mean)
    return f"{said}: {names}{'; ' * bool(one)}{one}"


def carried_by_one(effects: pd.Series[float]) -> str:
    """Say that one gene makes more than half of the sum of few genes' effects; else nothing.

    ``effects``: symbol → log2 fold change.
    """
    total = float(effects.sum())
    if not 2 <= len(effects) <= FEW or total == 0:
        return ""
    shares = effects / total
    if not shares.max() > HALF:
        return ""
    name = str(shares.idxmax())
    share = "all" if shares.max() >= 1 else f"{100 * shares.max():.0f} %"
    rest = c.number(effects.drop(name).mean(), sign=True)
    return f"{name} alone makes {share} of their mean, which is {rest} without it"
