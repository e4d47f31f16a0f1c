"""The page of a calibration."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from alsmuscle.simulate.calibrate.claims import ALS_SIZES, BEYOND, DENERVATION_SIZE, TRUTHS
from alsmuscle.simulate.calibrate.scenarios import EXACT, SCENARIOS
from alsmuscle.synthesis.verdicts import VERDICTS

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 0 0 2rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #ccc; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.no { background: #fbe3e0; } .yes { background: #e3f3e3; }
.banner { border: 2px solid #5c3a94; padding: .5rem 1rem; }
"""


def page(summary: pd.DataFrame, verdicts: pd.DataFrame) -> str:
    """Return the self-contained page of a calibration.

    ``summary``: of :func:`summarise`; ``verdicts``: rows of :func:`verdict_replicate`.
    """
    from html import escape

    about = {name: scenario.about for name, scenario in SCENARIOS.items()}
    about["all exact nulls"] = "the scenarios " + ", ".join(EXACT) + " together"
    about["verdicts"] = (
        f"five ALS studies of {_sizes(ALS_SIZES)} and one denervation reference of "
        f"{_sizes([DENERVATION_SIZE])} samples, simulated on the log2 scale; true claims: "
        f"{BEYOND:g} log2 units beyond denervation"
    )

    def number(value: float) -> str:
        return "" if pd.isna(value) else f"{value:.3g}"

    parts = []
    for name, rows in summary.groupby("scenario", sort=False):
        body = ""
        for row in rows.itertuples():
            target = ""
            if row.met:
                low, high = number(row.low), number(row.high)
                target = f"{low} to {high}" if low and high else f"≥ {low}" if low else f"≤ {high}"
            error = f" ± {number(row.se)}" if number(row.se) else ""
            body += (
                f'<tr class="{row.met}"><td>{escape(row.what)}</td><td '
                f'class="n">{number(row.value)}'
                f'{error}</td><td class="n">{row.n}</td><td class="n">{target}</td>'
                f"<td>{row.met}</td></tr>"
            )
        sub = f"<p>{escape(about[str(name)])}</p>" if str(name) in about else ""
        if name == "verdicts":
            sub += _verdict_table(verdicts)
        parts.append(
            f"<h2>{escape(str(name))}</h2>{sub}<table><tr><th>what</th><th>measured ± error of the "
            f"mean</th><th>n</th><th>target</th><th>met</th></tr>{body}</table>"
        )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Calibration</title>'
        f"<style>{_STYLE}</style><h1>Calibration</h1>"
        '<p class="banner"><b>SIMULATED data</b> with planted truth, except where a line says real '
        "null.</p><p>Each replicate is a new simulated study that ran through the same code as a "
        "real one. Where one strong factor happens to go with the groups, a single study's false "
        "discovery proportion can be far above the mean: the mean and the median are both given."
        f"</p>{''.join(parts)}</html>\n"
    )


def _sizes(groups: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{target} v {reference}" for target, reference in groups)


def _verdict_table(verdicts: pd.DataFrame) -> str:
    """Tests by planted truth and verdict, as a table of the page."""
    counts = pd.crosstab(verdicts["truth"], verdicts["verdict"])
    told = [verdict for verdict in VERDICTS if verdict in counts]
    head = "".join(f"<th>{verdict}</th>" for verdict in told)
    body = "".join(
        f"<tr><td>{truth}</td>"
        + "".join(f'<td class="n">{counts.loc[truth, verdict]}</td>' for verdict in told)
        + "</tr>"
        for truth in dict.fromkeys(TRUTHS)
        if truth in counts.index
    )
    return f"<table><tr><th>planted</th>{head}</tr>{body}</table>"
