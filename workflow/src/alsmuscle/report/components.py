"""Parts that every report page is made of: escaped, accessible, readable without scripts.

Each function returns ``Markup``. Whatever comes in as plain ``str`` is escaped; only ``Markup``
passes unchanged. Nothing here carries inline styles or handlers, so that the pages can forbid both.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import pandas as pd
from markupsafe import Markup, escape

from alsmuscle.errors import InputError

ROW_LIMIT = 500
"""Most rows a page embeds per table; the rest is in the linked file."""

MISSING, MINUS, TIMES = "\u2013", "\u2212", "\u00d7"

BADGES: dict[str, tuple[str, str]] = {
    "confounded": ("▲ confounded", "Groups also differ in a technical column."),
    "simulated": (
        "◆ simulated",
        "Invented data with a known answer.",
    ),
    "published": ("■ published only", "Effects taken from a publication; no data to recompute."),
    "excluded": ("✕ excluded", "Left out of pooled estimates."),
    "experimental": ("○ experimental", "The method is not validated yet."),
    "small": ("▽ few donors", "Fewer than three donors in a group: effects only, no test."),
    "flagged": ("⚑ flagged", "At least one quality flag was raised."),
    "caveat": ("※ caveat", "Read the note before interpreting."),
}
"""Kind of badge: its text (a sign and words, never colour alone) and its explanation."""

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNSAFE = re.compile("[<>&\u2028\u2029]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)

Format = Literal["text", "number", "p", "count", "percent"]


# ---- safety -------------------------------------------------------------------------------------


def safe_url(url: object) -> str | None:
    """Return ``url`` when it is a plain http(s) address, else ``None`` (shown as text instead)."""
    if not isinstance(url, str):
        return None
    text = url.strip()
    if re.search(r"[\x00-\x20\x7f\\]", text):
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme.lower() in {"http", "https"} and parts.netloc else None


def safe_path(path: object) -> str | None:
    """Return a percent-encoded relative link, or ``None`` for anything that is not one."""
    if not isinstance(path, str) or not path or re.search(r"[\x00-\x1f\x7f\\:]", path):
        return None
    return None if path.startswith("/") else quote(path, safe="/._-~#=+")


def embed_json(value: object) -> str:
    """Return JSON that is safe inside HTML and script files (no ``<``, ``>``, ``&``, U+2028/9).

    Missing and infinite numbers become ``null``: JSON has neither.
    """
    try:  # most payloads are plain already, and cleaning long lists is slow
        text = _dump(value)
    except (TypeError, ValueError):
        text = _dump(_plain(value))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def data_script(name: str, payload: object) -> str:
    """Return a script file that hands ``payload`` to the page under ``name`` (works from disk)."""
    return f"alsmuscle.receive({embed_json(name)},{embed_json(payload)});\n"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return value
    if hasattr(value, "item"):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if value is pd.NA or value is pd.NaT else str(value)


def tsv_cell(value: object) -> str:
    """Return a cell for a tab-separated download that no spreadsheet takes for a formula.

    Text starting with ``= + - @``, tab or carriage return gets a leading apostrophe
    (OWASP, CSV injection); numbers keep their sign.
    """
    if is_missing(value):
        return ""
    text = re.sub(r"[\t\r\n]+", " ", str(value))
    if re.match(r"\s*[=+\-@]", text) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def to_tsv(frame: pd.DataFrame) -> str:
    """Return ``frame`` as guarded tab-separated text with a header and no index."""
    lines = ["\t".join(tsv_cell(c) for c in frame.columns)]
    lines += ["\t".join(map(tsv_cell, row)) for row in frame.itertuples(index=False)]
    return "\n".join(lines) + "\n"


def digest(text: str) -> str:
    """Return the Content-Security-Policy source of an inline script or style."""
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def slug(text: str) -> str:
    """Return ``text`` as part of a file name: letters, digits, ``_`` and ``-`` only."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", str(text)).strip("-") or "x"


# ---- numbers ------------------------------------------------------------------------------------


def is_missing(value: object) -> bool:
    """Return whether a scalar is absent (``None``, NaN, NA, empty text)."""
    if value is None or value is pd.NA or value is pd.NaT or value == "":
        return True
    return isinstance(value, float) and math.isnan(value)


def number(value: object, digits: int = 2, sign: bool = False) -> str:
    """Return a number for reading: fixed decimals, a true minus, thin steps; dash when missing."""
    if is_missing(value):
        return MISSING
    x = float(value)  # type: ignore[arg-type]
    if not math.isfinite(x):
        return "∞" if x > 0 else f"{MINUS}∞"
    text = f"{x:{'+' if sign else ''},.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = f"{0:.{digits}f}"
    return text.replace("-", MINUS).replace(",", "\u202f")


def pvalue(value: object) -> str:
    """Return a p-value with two significant digits, small ones as powers of ten."""
    if is_missing(value):
        return MISSING
    p = float(value)  # type: ignore[arg-type]
    if p == 0:
        return "< 10⁻³⁰⁰"
    if p >= 0.001:
        return f"{p:.2g}" if p < 0.1 else f"{p:.2f}"
    mantissa, exponent = f"{p:.1e}".split("e")
    raised = str(int(exponent)).translate(_RAISED)
    return f"{mantissa} {TIMES} 10{raised}"


def interval_text(effect: object, low: object, high: object, digits: int = 2) -> str:
    """Return ``effect (low to high)``; a dash when the effect is missing."""
    if is_missing(effect):
        return MISSING
    if is_missing(low) or is_missing(high):
        return f"{number(effect, digits, sign=True)} (no interval)"
    return (
        f"{number(effect, digits, sign=True)} "
        f"({number(low, digits, sign=True)} to {number(high, digits, sign=True)})"
    )


def direction(low: object, high: object) -> int:
    """Return 1 or -1 when the interval lies above or below zero, else 0 (also without interval)."""
    if is_missing(low) or is_missing(high):
        return 0
    return int(float(low) > 0) - int(float(high) < 0)  # type: ignore[arg-type]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round tick values inside ``[low, high]``, about ``count`` of them, zero included."""
    if not high > low:
        return [low]
    raw = (high - low) / max(count, 1)
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


# ---- small parts --------------------------------------------------------------------------------


def badge(kind: str, text: str | None = None) -> Markup:
    """Return a badge; ``kind`` is one of :data:`BADGES`, ``text`` adds what exactly is meant."""
    if kind not in BADGES:
        raise InputError(f"no badge of kind {kind!r}", expected=", ".join(BADGES))
    words, why = BADGES[kind]
    label = f"{words}: {text}" if text else words
    return Markup('<span class="badge badge-{}" title="{}">{}</span>').format(kind, why, label)


def callout(kind: Literal["warning", "note", "answer"], title: str, body: str | Markup) -> Markup:
    """Return a boxed paragraph with a heading word, announced as a note by screen readers."""
    return Markup(
        '<div class="callout callout-{}" role="note"><p class="callout-title">{}</p>'
        "<div>{}</div></div>"
    ).format(kind, title, body)


def not_computed(what: str) -> Markup:
    """Return the visible statement that a part of the page has no data."""
    return Markup('<p class="absent"><strong>Not computed:</strong> {}.</p>').format(what)


def link(text: object, url: object) -> Markup:
    """Return an external link if ``url`` is http(s), else the text alone."""
    href = safe_url(url)
    if href is None:
        return escape(text)
    return Markup('<a href="{}" rel="noopener noreferrer external">{}</a>').format(href, text)


def local(text: object, path: object, download: bool = False) -> Markup:
    """Return a link to a file of the results folder, or the text alone for an unsafe path."""
    href = safe_path(path)
    if href is None:
        return escape(text)
    return Markup('<a href="{}"{}>{}</a>').format(
        href, Markup(" download") if download else "", text
    )


def folded(text: object, shown: int = 60) -> Markup:
    """Return a text whose first sentences (``shown`` characters at least) stand, the rest unfolds."""
    whole = str(text)
    for match in re.finditer(r"[.!?] +(?=[A-Z0-9])", whole):
        if match.start() >= shown:
            first, rest = whole[: match.start() + 1], whole[match.end() :]
            return Markup("<details><summary>{}</summary>{}</details>").format(first, rest)
    return Markup("<p>{}</p>").format(whole)


def definitions(pairs: Iterable[tuple[str, object]], *, compact: bool = False) -> Markup:
    """Return a definition list; missing values are said to be unknown, not dropped.

    ``compact``: terms above their values, several beside each other.
    """
    rows = [
        Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(k, "not stated" if is_missing(v) else v)
        for k, v in pairs
    ]
    return Markup('<dl class="facts{}">{}</dl>').format(
        " compact" if compact else "", Markup("").join(rows)
    )


# ---- tables -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """How one column is shown: its key in the frame, heading, format and decimals."""

    key: str
    head: str
    kind: Format = "text"
    digits: int = 2
    sign: bool = False
    title: str = ""


def _cell(value: object, column: Column) -> str:
    # Reports have a million cells: escaped one by one, as Markup.format costs many times more.
    if isinstance(value, Markup):
        return f"<td>{value}</td>"
    if column.kind == "text":
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return f"<td>{MISSING if is_missing(value) else escape(value)}</td>"
    if is_missing(value):
        return f'<td class="num">{MISSING}</td>'
    try:
        x = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return f"<td>{escape(value)}</td>"
    if column.kind == "p":
        shown = pvalue(x)
    elif column.kind == "count":
        shown = number(x, 0)
    elif column.kind == "percent":
        shown = number(x, column.digits) + " %"
    else:
        shown = number(x, column.digits, column.sign)
    return f'<td class="num" data-v="{x:.6g}">{escape(shown)}</td>'


def table(
    frame: pd.DataFrame,
    columns: Sequence[Column],
    *,
    caption: str,
    name: str,
    full: str | None = None,
    total: int | None = None,
    limit: int = ROW_LIMIT,
    order: str = "as in the file",
) -> Markup:
    """Return a table that scripts make sortable, filterable and downloadable.

    Parameters
    ----------
    frame
        Rows in the order to be shown; at most ``limit`` are embedded.
    columns
        What is shown; columns absent from ``frame`` are left out.
    caption, name
        What the table holds (also its accessible name), and its file name on download.
    full
        Relative path of the complete TSV; linked, and required in spirit when rows are cut.
    total
        Rows of the complete table when ``frame`` was cut before.
    order
        In words, by what the shown rows were chosen and ordered.
    """
    shown = [c for c in columns if c.key in frame.columns]
    n_total = len(frame) if total is None else total
    cut = frame.head(limit)
    head = Markup("").join(
        Markup('<th scope="col"{}{}>{}</th>').format(
            Markup(' class="num"') if c.kind != "text" else "",
            Markup(' title="{}"').format(c.title) if c.title else "",
            c.head,
        )
        for c in shown
    )
    lines = [
        f"<tr>{''.join(_cell(v, c) for v, c in zip(row, shown, strict=True))}</tr>"
        for row in cut[[c.key for c in shown]].itertuples(index=False, name=None)
    ]
    if len(cut) < n_total:
        note: str = f"{number(len(cut), 0)} of {number(n_total, 0)} rows, {order}"
    else:
        note = f"{number(n_total, 0)} row{'' if n_total == 1 else 's'}, {order}"
    more = (
        Markup(" · {}").format(local("full table (TSV)", full, download=True))
        if full and safe_path(full)
        else ""
    )
    return Markup(
        '<div class="table" data-name="{name}"><div class="scroll" tabindex="0" role="region" '
        'aria-label="{caption}"><table><caption>{caption}</caption><thead><tr>{head}</tr></thead>'
        '<tbody>{body}</tbody></table></div><p class="table-note">{note}{more}</p></div>'
    ).format(
        name=slug(name),
        caption=caption,
        head=head,
        body=Markup("\n".join(lines)),
        note=note,
        more=more,
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
    values = [0.0]
    for frame in frames:
        for key in _DRAWN:
            if key in frame:
                column = pd.to_numeric(frame[key], errors="coerce")
                values += [float(v) for v in column if math.isfinite(v)]
    low, high = min(values), max(values)
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
    thin, (pi_low, pi_high) = Markup(""), (row.get("pi_low"), row.get("pi_high"))
    if not (is_missing(pi_low) or is_missing(pi_high)):
        thin = Markup('<line class="ci ci-new {}" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
            side,
            _at(float(pi_low), span),  # type: ignore[arg-type]
            _at(float(pi_high), span),  # type: ignore[arg-type]
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
        f'<svg class="interval" height="{height}" width="100%" aria-hidden="true" focusable="false">'
        f'{_band(row, height, span)}<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="{height}"/>'
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
        (true: drawn as a bar) with ``pi_low, pi_high`` (prediction interval, a thin line).
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
    body, group = [], None
    for row in rows.to_dict("records"):
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
        body.append(_forest_row({str(k): v for k, v in row.items()}, has, span))
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
        body=Markup("\n").join(body),
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


def _forest_row(row: Mapping[str, Any], has: set[str], span: tuple[float, float]) -> Markup:
    label = local(row["label"], row["href"]) if row.get("href") else escape(row["label"])
    if row.get("badges"):
        label = Markup("{} {}").format(label, row["badges"])
    text = Markup('<span class="est">{}</span>').format(
        interval_text(row["effect"], row["ci_low"], row["ci_high"])
    )
    if "alt_effect" in has:
        second = "not computed"
        if not is_missing(row.get("alt_effect")):
            second = interval_text(row["alt_effect"], row.get("alt_ci_low"), row.get("alt_ci_high"))
        text += Markup('<br><span class="est est-alt">○ {}</span>').format(second)
    cells = [Markup('<th role="rowheader" scope="row">{}</th>').format(label)]
    cells += [_role_cell("Donors", row.get("n"))] if "n" in has else []
    cells.append(Markup('<td role="cell" class="plot-cell">{}</td>').format(interval(row, span)))
    cells.append(Markup('<td role="cell" class="est-cell">{}</td>').format(text))
    cells += [_role_cell("Genes", row.get("genes"), "num")] if "genes" in has else []
    cells += [_role_cell("Adjusted p", pvalue(row.get("padj")), "num")] if "padj" in has else []
    if "null_p" in has:
        cells.append(_role_cell("p v random sets", pvalue(row.get("null_p")), "num"))
    if "caveat" in has:
        caveat = "" if is_missing(row.get("caveat")) else folded(f"※ {row['caveat']}")
        cells.append(Markup('<td role="cell" class="caveat">{}</td>').format(caveat))
    drawn = [_numbers(row, key) for key in ("", "alt_")]
    return Markup('<tr role="row" data-drawn="{}"{}>{}</tr>').format(
        ";".join(drawn),
        Markup(" data-pooled") if _is_pooled(row) else "",
        Markup("").join(cells),
    )


def _numbers(row: Mapping[str, Any], prefix: str) -> str:
    """Effect and interval for the downloads of the drawn figure; empty where missing."""
    found = (row.get(f"{prefix}{key}") for key in ("effect", "ci_low", "ci_high"))
    return ",".join("" if is_missing(x) else f"{float(x):.6g}" for x in found)  # type: ignore[arg-type]


def _role_cell(head: str, value: object, css: str = "") -> Markup:
    blank = is_missing(value) or value == MISSING
    css = f"{css} blank".strip() if blank else css
    text = escape(MISSING if blank else value)
    return Markup(f'<td role="cell" data-head="{escape(head)}" class="{css}">{text}</td>')


def mini_forest(rows: pd.DataFrame, span: tuple[float, float], label: str) -> Markup:
    """Return a compact forest plot as a list; rows as for :func:`forest_plot`.

    ※ marks the rows with a caveat, unless all have one.
    """
    marked = "caveat" in rows and bool(rows["caveat"].map(is_missing).any())
    items = [
        Markup(
            '<li><span class="mini-label">{}{}</span>{}<span class="mini-number">{}</span></li>'
        ).format(
            local(row["label"], row["href"]) if row.get("href") else row["label"],
            Markup(' <abbr class="mark" title="{}">※</abbr>').format(row["caveat"])
            if marked and not is_missing(row.get("caveat"))
            else "",
            interval(row, span),  # type: ignore[arg-type]
            interval_text(row["effect"], row["ci_low"], row["ci_high"]),
        )
        for row in rows.to_dict("records")
    ]
    return Markup(
        '<ul class="mini" aria-label="{}">{}<li aria-hidden="true" class="mini-axis">'
        "<span></span>{}<span></span></li></ul>"
    ).format(label, Markup("").join(items), axis(span))


def heatmap(
    values: pd.DataFrame,
    *,
    caption: str,
    head: str,
    sure: pd.DataFrame | None = None,
    groups: Sequence[str] | None = None,
    row_links: Mapping[str, str] | None = None,
    column_links: Mapping[str, str] | None = None,
) -> Markup:
    """Return a table whose cells carry number and colour (blue below, orange above zero).

    Parameters
    ----------
    values
        Numbers; index and columns are the labels shown.
    sure
        Same shape, true where the interval excludes zero: only those cells are coloured and bold.
    groups
        Per row the subheading it stands under; rows of one group are adjacent. The only row of a
        group takes the group's name before its own.
    row_links, column_links
        Label (with ``groups``: subheading) to relative path.
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
        for name, x in row.items():
            if is_missing(x):
                cells.append(Markup('<td class="num">{}</td>').format(MISSING))
                continue
            bold = sure is not None and bool(sure.iloc[place][name])  # type: ignore[call-overload]
            text = number(x, 2, sign=True)
            cells.append(
                Markup('<td class="num{}">{}</td>').format(
                    f" {shade(float(x), top)}" if bold or sure is None else "",
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


# ---- effects in cells ---------------------------------------------------------------------------


@dataclass(frozen=True)
class EffectColumn:
    """One column of :func:`effect_table`: its label, page, and whether a caveat belongs to it."""

    label: str
    href: str
    caveat: bool = False


@dataclass(frozen=True)
class EffectRow:
    """One row of :func:`effect_table`.

    ``cells`` holds ``(effect, ci_low, ci_high)`` per column, ``None`` where there is none; ``note``
    and ``more`` stand below the label, ``n`` is the number of donors in words.
    """

    group: str
    label: str
    href: str
    note: Markup
    more: str
    badges: Markup
    n: str
    cells: tuple[tuple[Any, Any, Any] | None, ...]


def shade(x: float, top: float) -> str:
    """Return the class of a cell's colour: five steps each side of 0, full at ``top``."""
    level = max(-5, min(5, round(5 * x / top)))
    return f"heat heat-{'p' if level >= 0 else 'n'}{abs(level)}"


def effect_table(
    rows: Sequence[EffectRow], columns: Sequence[EffectColumn], *, caption: str
) -> Markup:
    """Return rows of effects as numbers with intervals; the colour says how far and which way.

    A cell is coloured only where its interval excludes 0, so that what is settled stands out.
    """
    known = [abs(float(x[0])) for row in rows for x in row.cells if x and not is_missing(x[0])]
    top = max(known, default=1.0) or 1.0
    head = Markup("").join(
        Markup('<th scope="col" class="num">{}{}</th>').format(
            local(k.label, k.href), " ※" if k.caveat else ""
        )
        for k in columns
    )
    body, group = [], None
    for row in rows:
        if row.group != group:
            group = row.group
            body.append(
                Markup('<tr class="group"><th scope="rowgroup" colspan="{}">{}</th></tr>').format(
                    2 + len(columns), group
                )
            )
        cells = []
        for cell in row.cells:
            if cell is None or is_missing(cell[0]):
                cells.append(Markup('<td class="num">{}</td>').format(MISSING))
                continue
            effect, low, high = cell
            css = f" {shade(float(effect), top)}" if direction(low, high) else ""
            ends = (
                "no interval"
                if is_missing(low) or is_missing(high)
                else f"{number(low, sign=True)} to {number(high, sign=True)}"
            )
            cells.append(
                Markup('<td class="num{}"><b>{}</b><small>{}</small></td>').format(
                    css, number(effect, sign=True), ends
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
        '<caption>{c}</caption><thead><tr><th scope="col">Comparison</th><th scope="col">Donors</th>'
        "{h}</tr></thead><tbody>{b}</tbody></table></div>"
    ).format(c=caption, h=head, b=Markup("\n").join(body))


# ---- figures ------------------------------------------------------------------------------------


def figure(
    *,
    name: str,
    image: str,
    alt: str,
    caption: str | Markup,
    downloads: Sequence[tuple[str, str]] = (),
    plot: Mapping[str, Any] | None = None,
    width: int = 640,
    height: int = 420,
) -> Markup:
    """Return a picture with alternative text, caption and downloads; interactive where scripts run.

    Parameters
    ----------
    name
        Unique on the page.
    image
        Relative path of the static SVG, which stays when scripts do not run.
    alt
        What the picture shows, in words.
    downloads
        ``(text, relative path)`` of SVG, PNG and data.
    plot
        Specification for the scatter plot of ``app.js``: ``x, y`` column names, ``xlabel, ylabel``,
        ``groups`` (names), ``groupColumn``, ``symmetric``, and either ``source`` (name of a data
        script) or ``columns`` (embedded values).
    width, height
        Pixels of the picture at full size; reserves its place while loading.
    """
    links = Markup(" · ").join(local(text, path, download=True) for text, path in downloads)
    script = (
        Markup('<script type="application/json" class="plot-spec">{}</script>').format(
            Markup(embed_json(plot))
        )
        if plot is not None
        else ""
    )
    return Markup(
        '<figure class="figure" id="{name}"><img src="{src}" alt="{alt}" width="{w}" height="{h}" '
        'loading="lazy"><figcaption>{caption}{links}</figcaption>{script}</figure>'
    ).format(
        name=slug(name),
        src=safe_path(image) or "",
        alt=alt,
        w=width,
        h=height,
        caption=caption,
        links=Markup('<span class="downloads">Download: {}</span>').format(links) if links else "",
        script=script,
    )


# ---- courses over time --------------------------------------------------------------------------

_COLOURS = 6
"""Colours and shapes of series; further ones repeat them."""
_LEFT, _RIGHT = 13.0, 95.0
"""Where the first and the last time lie, in per cent of the width."""


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
            '<line class="{}" x1="0" x2="100%" y1="{y}" y2="{y}"/><text class="y" x="0" y="{t}">{}</text>'
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
        css, before = f"s{which % _COLOURS}", None
        drawn = [p for p in item["points"] if not is_missing(p[1])]
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
    legend = Markup("").join(
        Markup('<li class="s{}">{}</li>').format(i % _COLOURS, item["name"])
        for i, item in enumerate(series)
    )
    return Markup(
        '<figure class="course"><figcaption>{title}</figcaption>'
        '<svg role="img" aria-label="{title}, {unit}. {spoken}" width="100%" height="{height}">{parts}'
        '</svg><ul class="course-key">{legend}</ul></figure>'
    ).format(
        title=title,
        unit=unit,
        spoken="; ".join(spoken),
        height=height,
        parts=Markup("").join(parts),
        legend=legend,
    )
