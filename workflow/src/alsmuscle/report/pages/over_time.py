"""The time axis: models of ALS from before onset to the end, muscle by days after denervation."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.html import plots
from alsmuscle.report.pages.claims import is_simulated
from alsmuscle.report.site import Site

STAGES = ("presymptomatic", "onset", "symptomatic", "end")
"""Stages of a model in their order."""

AXES = (
    ("als_model", "ALS models, by stage"),
    ("denervation", "Denervated muscle, by days"),
)
"""Roles that have a time axis, and the title of their panel."""

_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.0}


def place(stage: object) -> float | None:
    """Return where a stage lies on its axis: rank of a named stage, or days; ``None`` if unknown.

    Days are read from texts such as ``day 3``, ``3 d``, ``14 days``, ``2 weeks``.
    """
    text = str(stage).strip().lower()
    if text in STAGES:
        return float(STAGES.index(text))
    found = re.search(r"(\d+(?:\.\d+)?)", text)
    if not found:
        return None
    unit = next((u for u in _DAYS if re.search(rf"\b{u[0]}(?:{u[1:]}s?)?\b", text)), "day")
    return float(found[1]) * _DAYS[unit]


def has_courses(data: m.ReportData) -> bool:
    """Return whether a study has two times to be joined: else the page has nothing to draw."""
    seen: dict[tuple[str, str], set[float]] = {}
    roles = [role for role, _ in AXES]
    for study, contrast in data.contrasts():
        role = str(contrast.meta.get("role") or study.card.get("role") or "")
        where = place(contrast.meta.get("stage") or "")
        if role in roles and where is not None and not contrast.meta.get("cell_type"):
            seen.setdefault((role, study.name), set()).add(where)
    return any(len(places) > 1 for places in seen.values())


def points(data: m.ReportData) -> pd.DataFrame:
    """Return programme effects of every comparison that has a place on a time axis.

    Columns: ``role, dataset, study, stage, place, what, href, n, marks, programme, block, effect,
    ci_low, ci_high``; complete blocks of whole tissue only, in order of role, study and place.
    """
    columns = ["role", "dataset", "study", "stage", "place", "what", "href", "n", "marks"]
    columns += ["programme", "block", "effect", "ci_low", "ci_high"]
    if data.synthesis is None or data.synthesis.blocks is None:
        return pd.DataFrame(columns=columns)
    table = data.synthesis.blocks
    table = table[
        ~m.truth(table["stripped"])
        & (table["cell_type"] == "muscle")
        & ~table["programme"].isin(["GENE", "RATIO"])
    ]
    if "usable" in table:  # too few of a block's genes measured: no point of a course
        table = table[m.truth(table["usable"])]
    about = []
    roles = [role for role, _ in AXES]
    for study, contrast in data.contrasts():
        role = str(contrast.meta.get("role") or study.card.get("role") or "")
        where = place(contrast.meta.get("stage") or "")
        if role in roles and where is not None and not contrast.meta.get("cell_type"):
            about.append(
                {
                    "role": role,
                    "dataset": study.card["id"],
                    "contrast": contrast.meta["id"],
                    "study": study.name,
                    "stage": str(contrast.meta["stage"]),
                    "place": where,
                    "what": wording.label(contrast.meta),
                    "href": m.contrast_path(study, contrast),
                    "n": wording.sizes(study, contrast),
                    "marks": wording.badges(study, contrast),
                }
            )
    if not about:
        return pd.DataFrame(columns=columns)
    frame = pd.DataFrame(about).merge(table, on=["dataset", "contrast"])
    frame["rank"] = frame["role"].map(roles.index)
    frame = frame.sort_values(["rank", "dataset", "place"], kind="stable", ignore_index=True)
    return frame[columns]


def course(rows: pd.DataFrame, title: str, span: tuple[float, float]) -> Markup:
    """Return one programme's course on one axis as a drawing with its legend."""
    order = sorted({(p, s) for p, s in zip(rows["place"], rows["stage"], strict=True)})
    names = [stage for _, stage in order]
    series = [
        {
            "name": str(study),
            "points": [
                (names.index(r["stage"]), r["effect"], r["ci_low"], r["ci_high"])
                for r in part[["stage", "effect", "ci_low", "ci_high"]].to_dict("records")
            ],
        }
        for study, part in rows.groupby("study", sort=False)
    ]
    return plots.course(series, names, title=title, span=span)


def panels(rows: pd.DataFrame) -> Markup | None:
    """Return a block's drawings, one per axis, on one scale;
    ``None`` without two times in a study.
    """
    span = plots.domain([rows])
    drawn = []
    for role, title in AXES:
        part = rows[rows["role"] == role]
        if len(part):
            drawn.append(course(part, title, span))
    several = rows.groupby(["role", "study"])["place"].nunique()
    if not drawn or not (several > 1).any():
        return None
    return Markup('<div class="courses">{}</div>').format(Markup("").join(drawn))


def page(site: Site, data: m.ReportData, synthesis: m.Synthesis, frame: pd.DataFrame) -> str:
    """Return ``time.html``; ``frame``: from :func:`points`."""
    info = data.programme_info
    shown = data.headline or list(
        dict.fromkeys(zip(frame["programme"].astype(str), frame["block"].astype(str), strict=True))
    )
    blocks: list[dict[str, Any]] = []
    for programme, block in shown:
        rows = frame[(frame["programme"] == programme) & (frame["block"] == block)]
        drawn = panels(rows) if len(rows) else None
        if drawn is not None:
            blocks.append(
                {
                    "title": estimates.programme_title(info, programme, block),
                    "href": m.programme_path(programme),
                    "drawn": drawn,
                }
            )
    return site.render(
        "time.html.j2",
        path="time.html",
        heading="Time: when does what move",
        simulated=is_simulated(synthesis),
        blocks=blocks,
        matrix=_matrix(data, frame),
        studies=_studies(frame),
    )


def _matrix(data: m.ReportData, frame: pd.DataFrame) -> Markup:
    """Every block at every time point, one column per comparison."""
    if frame.empty:
        return c.not_computed("a time course: no comparison of this run states a stage or day")
    info, titles = data.programme_info, dict(AXES)
    values: dict[str, dict[tuple[str, str], float]] = {}
    sure: dict[str, dict[tuple[str, str], bool]] = {}
    heads = {}
    for row in frame.to_dict("records"):
        name = f"{titles[row['role']].split(',')[0]}: {row['stage']}, {row['study']} ({row['n']})"
        heads[name] = row["href"]
        key = (str(row["programme"]), str(row["block"]))
        values.setdefault(name, {})[key] = row["effect"]
        sure.setdefault(name, {})[key] = c.direction(row["ci_low"], row["ci_high"]) != 0
    table = pd.DataFrame(values).sort_index(level=0, sort_remaining=False, kind="stable")
    marked = pd.DataFrame(sure).reindex_like(table).eq(True)
    parts = [estimates.block_title(info, p, b) for p, b in table.index]
    groups = [estimates.programme_title(info, p) for p, _ in table.index]
    links = {
        title: m.programme_path(p)
        for title, (p, _) in zip(groups, table.index, strict=True)
        if p in data.programme_names
    }
    return plots.heatmap(
        table.set_axis(parts),
        caption="Programme effects at every time point in log2 units; bold: the 95 % interval "
        "excludes 0",
        head="Programme and block",
        sure=marked.set_axis(parts),
        groups=groups,
        row_links=links,
        column_links=heads,
    )


COLUMNS = (
    c.Column("axis", "Axis"),
    c.Column("stage", "Time"),
    c.Column("what", "Comparison"),
    c.Column("n", "Donors"),
    c.Column("marks", "Marks"),
)


def _studies(frame: pd.DataFrame) -> Markup | None:
    if frame.empty:
        return None
    rows = frame.drop_duplicates("href").copy()
    rows["axis"] = rows["role"].map(dict(AXES))
    rows["what"] = [
        c.local(f"{study}: {what}", href)
        for study, what, href in zip(rows["study"], rows["what"], rows["href"], strict=True)
    ]
    return c.table(
        rows, COLUMNS, caption="Comparisons on a time axis", name="times", order="in order of time"
    )
