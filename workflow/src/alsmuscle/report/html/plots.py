"""Effects with their intervals: forest plots, matrices of numbers and colour, courses over time.

As :mod:`alsmuscle.report.html.components`: ``Markup``, escaped, readable without scripts and
drawing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from alsmuscle.report.html.components import (
    MISSING,
    direction,
    folded,
    interval_parts,
    interval_text,
    is_missing,
    local,
    number,
    number_link,
    pvalue,
    ticks,
)

# ---- intervals ----------------------------------------------------------------------------------


_DRAWN = (
    *("effect", "ci_low", "ci_high"),
    *("alt_effect", "alt_ci_low", "alt_ci_high"),
    *("null_low", "null_high"),
    *("pi_low", "pi_high"),
)


def domain(frames: Iterable[pd.DataFrame]) -> tuple[float, float]:
    """Return an axis range that holds zero and every effect and interval of ``frames``.

    Nothing is cut off: one wide interval widens the axis for all.
    """
    low = high = 0.0
    for frame in frames:
        for key in _DRAWN:
            if key in frame:
                values = pd.to_numeric(frame[key], errors="coerce").to_numpy(dtype=float)
                finite = values[np.isfinite(values)]
                low = min(low, float(finite.min(initial=0.0)))
                high = max(high, float(finite.max(initial=0.0)))
    if low == high:
        low, high = -1.0, 1.0
    pad = 0.06 * (high - low)
    return low - pad, high + pad


def _at(x: float, span: tuple[float, float]) -> str:
    return f"{100 * (x - span[0]) / (span[1] - span[0]):.2f}%"


def _mark(row: Mapping[str, Any], prefix: str, y: int, span: tuple[float, float]) -> Markup:
    effect, low, high = (row.get(f"{prefix}{k}") for k in ("effect", "ci_low", "ci_high"))
    if effect is None or is_missing(effect):
        return Markup("")
    side = ("none", "up", "down")[direction(low, high)]
    kind, line = "alt" if prefix else "main", Markup("")
    if low is not None and high is not None and not (is_missing(low) or is_missing(high)):
        if _is_pooled(row) and not prefix:
            return _bar(row, side, y, span)
        ends = f'x1="{_at(float(low), span)}" x2="{_at(float(high), span)}"'
        line = Markup(f'<line class="ci ci-{kind} {side}" {ends} y1="{y}" y2="{y}"/>')
    place = f'cx="{_at(float(effect), span)}" cy="{y}" r="{4 if prefix else 5}"'
    return line + Markup(f'<circle class="dot dot-{kind} {side}" {place}/>')


def _is_pooled(row: Mapping[str, Any]) -> bool:
    return not is_missing(row.get("pooled")) and bool(row["pooled"])


def _bar(row: Mapping[str, Any], side: str, y: int, span: tuple[float, float]) -> Markup:
    """A pooled estimate: its interval as a bar, where a new study would lie as a thin line."""
    effect, low, high = (float(row[key]) for key in ("effect", "ci_low", "ci_high"))
    thin = Markup("")
    pi_low, pi_high = (row.get(key, math.nan) for key in ("pi_low", "pi_high"))
    if not (is_missing(pi_low) or is_missing(pi_high)):
        thin = Markup('<line class="ci ci-new {}" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
            side,
            _at(float(pi_low), span),
            _at(float(pi_high), span),
            y=y,
        )
    width = 100 * (high - low) / (span[1] - span[0])
    bar = Markup('<rect class="pool {}" x="{}" width="{:.2f}%" y="{}" height="10"/>').format(
        side, _at(low, span), width, y - 5
    )
    middle = Markup('<line class="pool-middle" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
        _at(effect, span), y - 5, y + 5
    )
    return thin + bar + middle


def _band(row: Mapping[str, Any], height: int, span: tuple[float, float]) -> Markup:
    low, high = row.get("null_low"), row.get("null_high")
    if low is None or high is None or is_missing(low) or is_missing(high):
        return Markup("")
    width = 100 * (float(high) - float(low)) / (span[1] - span[0])
    return Markup('<rect class="null" x="{}" width="{}" y="0" height="{}"/>').format(
        _at(float(low), span), f"{width:.2f}%", height
    )


def interval(row: Mapping[str, Any], span: tuple[float, float]) -> Markup:
    """Return one row of a forest plot: the interval, and below it the alternative one (hollow).

    Decoration for the eye: the numbers stand beside it, so screen readers skip it.
    """
    both = not is_missing(row.get("alt_effect"))
    height = 30 if both else 22
    zero = _at(0.0, span)
    marks = _mark(row, "", 9 if both else 11, span)
    if both:
        marks += _mark(row, "alt_", 22, span)
    return Markup(
        f'<svg class="interval" height="{height}" width="100%" aria-hidden="true" '
        'focusable="false">'
        f'{_band(row, height, span)}<line class="zero" x1="{zero}" x2="{zero}" y1="0" '
        f'y2="{height}"/>'
        f"{marks}</svg>"
    )


def axis(span: tuple[float, float]) -> Markup:
    """Return the axis that belongs to :func:`interval`."""
    marks = []
    for tick in ticks(*span, count=4):
        place = _at(tick, span)
        text = number(tick, 2, sign=tick != 0).rstrip("0").rstrip(".") if tick else "0"
        marks.append(
            Markup('<line x1="{0}" x2="{0}" y1="0" y2="5"/><text x="{0}" y="18">{1}</text>').format(
                place, text
            )
        )
    return Markup(
        '<svg class="axis" height="22" width="100%" aria-hidden="true" focusable="false">'
        '<line x1="0" x2="100%" y1="0.5" y2="0.5"/>{}</svg>'
    ).format(Markup("").join(marks))


def forest_plot(
    rows: pd.DataFrame,
    *,
    caption: str,
    unit: str = "log2 units",
    left: str = "lower",
    right: str = "higher",
    head: str = "Programme",
    main: str = "complete",
    alt: str = "denervation-stripped",
    span: tuple[float, float] | None = None,
) -> Markup:
    """Return effects with intervals as a table with a drawn column; readable without the drawing.

    Parameters
    ----------
    rows
        In display order. Columns ``label, effect, ci_low, ci_high``; optional ``alt_effect,
        alt_ci_low, alt_ci_high`` (a second estimate, drawn hollow), ``n`` (donors, as text),
        ``padj``, ``null_p`` (against random gene sets), ``null_low, null_high`` (their range, a
        grey band), ``genes`` (text), ``caveat`` (text), ``href`` (relative), ``group``
        (subheading) with ``group_href`` and ``group_note``, ``badges`` (``Markup``), ``pooled``
        (true: drawn as a bar) with ``pi_low, pi_high`` (prediction interval, a thin line),
        ``instead`` (text where there is no effect; ``alt_instead``), ``source`` (relative path to
        which the effect's number leads), ``anchor`` (the row's id).
    caption, unit
        What is shown and in which unit.
    left, right
        What values below and above zero mean.
    head
        Heading of the first column.
    main, alt
        What the filled and the hollow mark are.
    span
        Axis range, to share one axis between plots; by default all of ``rows``.
    """
    span = domain([rows]) if span is None else span
    has = {k for k in _OPTIONAL if k in rows and rows[k].notna().any()}
    body: list[str] = []
    group = None
    # Column by column: `to_dict("records")` boxes every value of mixed columns by itself.
    columns = {str(key): rows[key].tolist() for key in rows}
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        if "group" in row and row["group"] != group:
            group = row["group"]
            title = local(group, row["group_href"]) if row.get("group_href") else group
            note = Markup('<div class="caveat">{}</div>').format(
                folded(row.get("group_note") or "")
            )
            body.append(
                Markup(
                    '<tr role="row" class="group"><th role="rowheader" scope="rowgroup" '
                    'colspan="{}">{}{}</th></tr>'
                ).format(
                    3 + len(has - {"alt_effect"}), title, note if row.get("group_note") else ""
                )
            )
        body.append(_forest_row(row, has, span))
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
        '<table class="forest" role="table" data-span="{low:.6g} {high:.6g}">'
        "<caption>{caption}</caption>"
        '<thead role="rowgroup">{head}</thead><tbody role="rowgroup">{body}</tbody></table></div>'
    ).format(
        caption=caption,
        low=span[0],
        high=span[1],
        head=_forest_head(has, span, head=head, unit=unit, ends=(left, right), keys=(main, alt)),
        body=Markup("\n".join(body)),
    )


_OPTIONAL = ("n", "genes", "padj", "null_p", "caveat", "alt_effect")


def _forest_head(
    has: set[str],
    span: tuple[float, float],
    *,
    head: str,
    unit: str,
    ends: tuple[str, str],
    keys: tuple[str, str],
) -> Markup:
    what = Markup("{} (95 % interval)").format(unit)
    if "alt_effect" in has:
        key = '<br><span class="key">● {}</span> <span class="key">○ {}</span>'
        what += Markup(key).format(*keys)
    drawn = Markup('<span class="ends"><span>← {}</span><span>{} →</span></span>{}').format(
        *ends, axis(span)
    )
    heads: list[tuple[object, str]] = [(head, "")]
    heads += [("Donors", "")] if "n" in has else []
    heads += [(drawn, "plot-cell"), (what, "")]
    heads += [("Genes", "num")] if "genes" in has else []
    heads += [("Adjusted p", "num")] if "padj" in has else []
    heads += [("p v random sets", "num")] if "null_p" in has else []
    heads += [("Caveat", "")] if "caveat" in has else []
    cell = Markup('<th scope="col" role="columnheader" class="{}">{}</th>')
    cells = Markup("").join(cell.format(css, text) for text, css in heads)
    return Markup('<tr role="row">{}</tr>').format(cells)


def _forest_row(row: Mapping[str, Any], has: set[str], span: tuple[float, float]) -> str:
    # Reports have ten thousands of rows: escaped one by one, as Markup.format costs many times
    # more.
    label = local(row["label"], row["href"]) if row.get("href") else escape(row["label"])
    badges = f" {escape(row['badges'])}" if row.get("badges") else ""
    effect, css = interval_text(row["effect"], row["ci_low"], row["ci_high"]), "est"
    if is_missing(row["effect"]) and not is_missing(row.get("instead")):
        effect, css = str(row["instead"]), "est instead"
    source = row.get("source")
    if not is_missing(source) and css == "est":
        effect = number_link(effect, str(source), str(row["label"]))
    text = f'<span class="{css}">{escape(effect)}</span>'
    if "alt_effect" in has:
        second = row.get("alt_instead")
        if not is_missing(row.get("alt_effect")):
            second = interval_text(row["alt_effect"], row.get("alt_ci_low"), row.get("alt_ci_high"))
        elif is_missing(second):
            second = "not computed"
        text += f'<br><span class="est est-alt">○ {escape(second)}</span>'
    cells = [f'<th role="rowheader" scope="row">{label}{badges}</th>']
    cells += [_role_cell("Donors", row.get("n"))] if "n" in has else []
    cells.append(f'<td role="cell" class="plot-cell">{interval(row, span)}</td>')
    cells.append(f'<td role="cell" class="est-cell">{text}</td>')
    cells += [_role_cell("Genes", row.get("genes"), "num")] if "genes" in has else []
    cells += [_role_cell("Adjusted p", pvalue(row.get("padj")), "num")] if "padj" in has else []
    if "null_p" in has:
        cells.append(_role_cell("p v random sets", pvalue(row.get("null_p")), "num"))
    if "caveat" in has:
        caveat = "" if is_missing(row.get("caveat")) else folded(f"※ {row['caveat']}")
        cells.append(f'<td role="cell" class="caveat">{caveat}</td>')
    drawn = ";".join(_numbers(row, key) for key in ("", "alt_"))
    pooled = " data-pooled" if _is_pooled(row) else ""
    anchor = "" if is_missing(row.get("anchor")) else f' id="{escape(row["anchor"])}"'
    return f'<tr role="row"{anchor} data-drawn="{drawn}"{pooled}>{"".join(cells)}</tr>'


def _numbers(row: Mapping[str, Any], prefix: str) -> str:
    """Effect and interval for the downloads of the drawn figure; empty where missing."""
    found = (row.get(f"{prefix}{key}", math.nan) for key in ("effect", "ci_low", "ci_high"))
    return ",".join("" if is_missing(x) else f"{float(x):.6g}" for x in found)


def _role_cell(head: str, value: object, css: str = "") -> str:
    blank = is_missing(value) or value == MISSING
    css = f"{css} blank".strip() if blank else css
    text = escape(MISSING if blank else value)
    return f'<td role="cell" data-head="{escape(head)}" class="{css}">{text}</td>'


def heatmap(
    values: pd.DataFrame,
    *,
    caption: str,
    head: str,
    sure: pd.DataFrame | None = None,
    instead: pd.DataFrame | None = None,
    ends: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    groups: Sequence[str] | None = None,
    row_links: Mapping[str, str] | None = None,
    column_links: Mapping[str, str] | None = None,
    anchors: Sequence[str] | None = None,
) -> Markup:
    """Return a table whose cells carry number and colour (blue below, orange above zero).

    Parameters
    ----------
    values
        Numbers; index and columns are the labels shown.
    sure
        Same shape, true where the change is clear: only those cells are coloured and bold.
    instead
        Same shape, what a cell without a number says.
    ends
        Same shape each, lower and upper ends of the intervals: not shown, but in the download.
    groups
        Per row the subheading it stands under; rows of one group are adjacent. The only row of a
        group takes the group's name before its own.
    row_links, column_links
        Label (with ``groups``: subheading) to relative path.
    anchors
        Per row where the column's page shows its numbers: they lead there.
    """
    links, tops = row_links or {}, column_links or {}
    top = float(values.abs().max().max()) if values.size else 0.0
    top = top if math.isfinite(top) and top > 0 else 1.0
    heads = Markup("").join(
        Markup('<th scope="col">{}</th>').format(local(c, tops[c]) if c in tops else c)
        for c in values.columns
    )
    body, last = [], None
    members = Counter(groups or ())
    for place, (label, row) in enumerate(values.iterrows()):
        alone = groups is not None and members[groups[place]] == 1
        if groups is not None and not alone and groups[place] != last:
            last = groups[place]
            body.append(
                Markup('<tr class="group"><th scope="rowgroup" colspan="{}">{}</th></tr>').format(
                    len(values.columns) + 1, local(last, links[last]) if last in links else last
                )
            )
        cells = []
        for column, x in enumerate(row):
            if is_missing(x):
                cells.append(_no_number(None if instead is None else instead.iat[place, column]))
                continue
            bold = sure is not None and bool(sure.iat[place, column])
            name = values.columns[column]
            text: str = number(x, 2, sign=True)
            if anchors is not None and name in tops:
                text = number_link(text, f"{tops[name]}#{anchors[place]}", f"{label}, {name}")
            cells.append(
                Markup('<td class="num{}"{}>{}</td>').format(
                    f" {shade(float(x), top)}" if bold or sure is None else "",
                    _ends(ends, place, column),
                    Markup("<strong>{}</strong>").format(text) if bold else text,
                )
            )
        key = str(label)
        head_cell: object = local(key, links[key]) if key in links else key
        if alone and groups is not None:
            whole = groups[place]
            title = local(whole, links[whole]) if whole in links else escape(whole)
            head_cell = Markup("{}, {}").format(title, head_cell)
        body.append(
            Markup('<tr><th scope="row">{}</th>{}</tr>').format(head_cell, Markup("").join(cells))
        )
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{c}"><table class="heatmap">'
        '<caption>{c}</caption><thead><tr><th scope="col">{h}</th>{t}</tr></thead>'
        "<tbody>{b}</tbody></table></div>"
    ).format(c=caption, h=head, t=heads, b=Markup("\n").join(body))


def _ends(ends: tuple[pd.DataFrame, pd.DataFrame] | None, row: int, column: int) -> Markup:
    """The interval of a matrix's cell for its download; nothing where there is none."""
    found = [] if ends is None else [frame.iat[row, column] for frame in ends]
    if not found or any(is_missing(x) for x in found):
        return Markup("")
    return Markup(' data-ci="{}"').format(",".join(f"{float(x):.4g}" for x in found))


def _no_number(said: object) -> Markup:
    """A cell of a matrix without a number: why, in muted words, or a dash."""
    if is_missing(said):
        return Markup('<td class="num">{}</td>').format(MISSING)
    return Markup('<td class="num instead">{}</td>').format(said)


def dot_matrix(
    values: pd.DataFrame,
    padj: np.ndarray,
    *,
    caption: str,
    head: str,
    column_links: Mapping[str, str] | None = None,
    alpha: float = 0.05,
) -> Markup:
    """Return a table of dots beside numbers: the larger the dot, the smaller the adjusted p.

    Parameters
    ----------
    values, padj
        Rows × columns, same shape; index and columns of ``values`` are the labels shown. Missing
        values leave a dash; a missing ``padj`` the smallest dot.
    alpha
        Below it a dot has the colour of its direction.
    """
    tops = column_links or {}
    heads = Markup("").join(
        Markup('<th scope="col">{}</th>').format(local(k, tops[k]) if k in tops else k)
        for k in values.columns
    )
    body = []
    for label, row, ps in zip(values.index, values.to_numpy(dtype=float), padj, strict=True):
        cells = []
        for x, p in zip(row.tolist(), ps.tolist(), strict=True):
            if is_missing(x):
                cells.append(f'<td class="num">{MISSING}</td>')
                continue
            side = "none" if not p < alpha else "up" if x > 0 else "down"
            radius = 2.0 if is_missing(p) else 2 + 1.5 * min(4.0, -math.log10(max(p, 1e-300)))
            cells.append(
                f'<td class="num"><svg class="of-p" width="18" height="18" aria-hidden="true">'
                f'<circle class="dot dot-main {side}" cx="9" cy="9" r="{radius:.1f}"/></svg> '
                f"{escape(number(x, 2, sign=True))}</td>"
            )
        body.append(f'<tr><th scope="row">{escape(label)}</th>{"".join(cells)}</tr>')
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{c}"><table class="heatmap '
        'dots">'
        '<caption>{c}</caption><thead><tr><th scope="col">{h}</th>{t}</tr></thead>'
        "<tbody>{b}</tbody></table></div>"
    ).format(c=caption, h=head, t=heads, b=Markup("\n".join(body)))


# ---- effects in cells ---------------------------------------------------------------------------


@dataclass(frozen=True)
class EffectColumn:
    """One column of :func:`effect_table`: its label, page, whether a caveat belongs to it, and the
    id under which the rows' pages show it.
    """

    label: str
    href: str
    caveat: bool = False
    anchor: str = ""


@dataclass(frozen=True)
class EffectRow:
    """One row of :func:`effect_table`.

    ``cells`` holds ``(effect, ci_low, ci_high)`` per column, ``None`` where there is none, or a
    text that says why; ``note``
    and ``more`` stand below the label, ``n`` is the number of donors in words.
    """

    group: str
    label: str
    href: str
    note: Markup
    more: str
    badges: Markup
    n: str
    cells: tuple[tuple[Any, Any, Any, int] | str | None, ...]
    """Effect, ends of its interval, and its direction where that is clear; or words instead."""


def shade(x: float, top: float) -> str:
    """Return the class of a cell's colour: five steps each side of 0, full at ``top``, none at 0
    alone.
    """
    level = min(5, max(round(5 * abs(x) / top), int(x != 0)))
    return f"heat heat-{'n' if x < 0 else 'p'}{level}"


def effect_table(
    rows: Sequence[EffectRow], columns: Sequence[EffectColumn], *, caption: str
) -> Markup:
    """Return rows of effects as numbers with intervals; the colour says how far and which way.

    A cell is coloured only where the direction is clear, so that what is settled stands out.
    """
    numbers = [x for row in rows for x in row.cells if isinstance(x, tuple)]
    known = [abs(float(x[0])) for x in numbers if not is_missing(x[0])]
    top = max(known, default=1.0) or 1.0
    head = Markup("").join(
        Markup('<th scope="col" class="num">{}{}</th>').format(
            local(k.label, k.href), " ※" if k.caveat else ""
        )
        for k in columns
    )
    body: list[str] = []
    group = None
    for row in rows:
        if row.group != group:
            group = row.group
            body.append(
                Markup('<tr class="group"><th scope="rowgroup" colspan="{}">{}</th></tr>').format(
                    2 + len(columns), group
                )
            )
        cells = []
        for cell, column in zip(row.cells, columns, strict=True):
            if not isinstance(cell, tuple) or is_missing(cell[0]):
                cells.append(_no_number(cell if isinstance(cell, str) else None))
                continue
            effect, low, high, sure = cell
            css = f" {shade(float(effect), top)}" if sure else ""
            shown, interval_ = interval_parts(effect, low, high)
            if column.anchor:
                shown = number_link(
                    shown, f"{row.href}#{column.anchor}", f"{column.label}, {row.label}"
                )
            cells.append(
                Markup('<td class="num{}"><b>{}</b><small>{}</small></td>').format(
                    css, shown, interval_
                )
            )
        about = Markup("<small>{}{}{}</small>").format(
            row.note, " · " if row.more else "", row.more
        )
        body.append(
            Markup('<tr><th scope="row">{}{}{}</th><td class="n">{}</td>{}</tr>').format(
                local(row.label, row.href),
                about,
                Markup("<div>{}</div>").format(row.badges) if row.badges else "",
                row.n,
                Markup("").join(cells),
            )
        )
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{c}"><table class="effects">'
        '<caption>{c}</caption><thead><tr><th scope="col">Comparison</th><th '
        'scope="col">Donors</th>'
        "{h}</tr></thead><tbody>{b}</tbody></table></div>"
    ).format(c=caption, h=head, b=Markup("\n").join(body))


# ---- courses over time --------------------------------------------------------------------------

_COLOURS = 6
"""Colours and shapes of series; further ones repeat them."""
_LEFT, _RIGHT = 13.0, 95.0
"""Where the first and the last time lie, in per cent of the width."""


def _course_of(
    item: Mapping[str, Any],
    which: int,
    times: Sequence[str],
    x: Callable[[int, int], str],
    y: Callable[[float], str],
) -> tuple[list[Markup], list[str]]:
    """Return the marks of one study in :func:`course`, lines below points, and their values."""
    css, before = f"s{which % _COLOURS}", None
    drawn = [p for p in item["points"] if not is_missing(p[1])]
    parts, spoken = [], []
    for place, effect, *_ in drawn:
        here = (x(place, which), y(effect))
        if before:
            parts.append(
                Markup('<line class="join {}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
                    css, *before, *here
                )
            )
        before = here
    for place, effect, low, high in drawn:
        if not (is_missing(low) or is_missing(high)):
            parts.append(
                Markup('<line class="ci {}" x1="{x}" x2="{x}" y1="{}" y2="{}"/>').format(
                    css, y(low), y(high), x=x(place, which)
                )
            )
        words = f"{item['name']}, {times[place]}: {interval_text(effect, low, high)}"
        spoken.append(words)
        parts.append(
            Markup(
                '<circle class="{}" cx="{}" cy="{}" r="4.5" data-series="{}" data-time="{}" '
                'data-drawn="{}"><title>{}</title></circle>'
            ).format(
                css,
                x(place, which),
                y(effect),
                item["name"],
                times[place],
                ",".join("" if is_missing(v) else f"{v:.6g}" for v in (effect, low, high)),
                words,
            )
        )
    return parts, spoken


def course(
    series: Sequence[Mapping[str, Any]],
    times: Sequence[str],
    *,
    title: str,
    span: tuple[float, float],
    unit: str = "log2 units",
) -> Markup:
    """Return effects over time as a drawing whose text keeps its size on any screen.

    Parameters
    ----------
    series
        Per study ``name`` and ``points``: ``(place in times, effect, ci_low, ci_high)``; lines join
        the points of one study.
    times
        Names of the times in order, evenly spaced.
    title, unit
        What the panel shows; it is also the drawing's accessible name, with the values.
    span
        Range of the values, shared by the panels beside each other.
    """
    top, bottom, height = 14.0, 186.0, 222

    def y(value: float) -> str:
        return f"{bottom - (value - span[0]) / (span[1] - span[0]) * (bottom - top):.1f}"

    def x(place: int, which: int) -> str:
        step = (_RIGHT - _LEFT) / max(len(times) - 1, 1)
        middle = (_LEFT + _RIGHT) / 2 if len(times) == 1 else _LEFT + step * place
        return f"{middle + 1.6 * (which - (len(series) - 1) / 2):.2f}%"

    parts = [
        Markup(
            '<line class="{}" x1="0" x2="100%" y1="{y}" y2="{y}"/><text class="y" x="0" '
            'y="{t}">{}</text>'
        ).format(
            "zero" if tick == 0 else "grid",
            number(tick, 2, sign=True).rstrip("0").rstrip(".") if tick else "0",
            y=y(tick),
            t=f"{float(y(tick)) - 3:.1f}",
        )
        for tick in ticks(*span, count=4)
    ]
    for place, name in enumerate(times):
        anchor = "end" if place == len(times) - 1 > 0 else "middle"
        where = x(place, 0) if len(times) > 1 else "54%"
        parts.append(
            Markup('<text class="x {}" x="{}" y="206">{}</text>').format(anchor, where, name)
        )
    spoken = []
    for which, item in enumerate(series):
        marks, words = _course_of(item, which, times, x, y)
        parts += marks
        spoken += words
    legend = Markup("").join(
        Markup('<li class="s{}">{}</li>').format(i % _COLOURS, item["name"])
        for i, item in enumerate(series)
    )
    return Markup(
        '<figure class="course"><figcaption>{title}</figcaption>'
        '<svg role="img" aria-label="{title}, {unit}. {spoken}" width="100%" '
        'height="{height}">{parts}'
        '</svg><ul class="course-key">{legend}</ul></figure>'
    ).format(
        title=title,
        unit=unit,
        spoken="; ".join(spoken),
        height=height,
        parts=Markup("").join(parts),
        legend=legend,
    )
