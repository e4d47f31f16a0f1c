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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from alsmuscle.core import redaction
from alsmuscle.core.errors import InputError
from alsmuscle.design import marks

ROW_LIMIT = 500
"""Most rows a page embeds per table; the rest is in the linked file."""

MISSING, MINUS, TIMES = "\u2013", "\u2212", "\u00d7"

BADGES: dict[str, tuple[str, str]] = {
    **{
        kind: (f"{'▲' if mark.bars else '※'} {mark.label}", mark.meaning)
        for kind, mark in marks.MARKS.items()
    },
    "simulated": (
        "◆ simulated",
        "Invented data with a known answer.",
    ),
    "published": (
        "■ published only",
        "Effects taken from a table that others computed; no samples to recompute them from.",
    ),
    "excluded": ("✕ excluded", "Left out of pooled estimates."),
    "experimental": ("○ experimental", "The method is not validated yet."),
    "small": ("▽ few donors", "Fewer than three donors in a group: effects only, no test."),
    "flagged": ("⚑ flagged", "At least one quality flag was raised."),
    "caveat": ("※ caveat", "Read the note before interpreting."),
}
"""Kind of badge: its text (a sign and words, never colour alone) and its explanation."""

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MOST_NAME = 100
_UNSAFE = re.compile("[<>&\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

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
    return _encoded(path) if isinstance(path, str) else None


@lru_cache(maxsize=100_000)  # pages lead to the same places again and again
def _encoded(path: str) -> str | None:
    if not path or path.startswith("/") or re.search(r"[\x00-\x1f\x7f\\:]", path):
        return None
    return quote(path, safe="/._-~#=+,")


def embed_json(value: object) -> str:
    """Return JSON that is safe inside HTML and script files (no ``<``, ``>``, ``&``, U+2028/9,
    marks of direction).

    Missing and infinite numbers become ``null``: JSON has neither.
    """
    try:  # most payloads are plain already, and cleaning long lists is slow
        text = _dump(value)
    except (TypeError, ValueError):
        text = _dump(_plain(value))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


# Made once: pages ask for the JSON of two hundred thousand short texts.
_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


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
    return "" if is_missing(value) else redaction.cell(str(value))


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


def file_name(text: str) -> str:
    """Return ``text`` as a file name that no other text has.

    Examples
    --------
    >>> file_name("als_vs_healthy"), file_name("B cell") == file_name("B-cell")
    ('als_vs_healthy', False)
    """
    plain = slug(text)[:_MOST_NAME]
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


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


def decimals(values: object, digits: int = 2) -> int:
    """Return decimals that show two digits of the largest value (slopes are small): ``digits`` to
    6.
    """
    sizes = np.abs(np.asarray(values, dtype=float))
    largest = sizes[np.isfinite(sizes)].max(initial=0)
    return min(max(digits, 1 - math.floor(math.log10(largest))), 6) if largest > 0 else digits


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


def interval_text(effect: object, low: object, high: object) -> str:
    """Return ``effect (low to high)``; a dash when the effect is missing."""
    if is_missing(effect):
        return MISSING
    shown, ends = interval_parts(effect, low, high)
    return f"{shown} ({ends})"


def interval_parts(effect: object, low: object, high: object) -> tuple[str, str]:
    """Return an effect that is not missing, and its interval, with the same decimals."""
    if is_missing(low) or is_missing(high):
        return number(effect, decimals(effect), sign=True), "no interval"
    digits = decimals((effect, low, high))
    ends = [number(x, _showing(x, digits), sign=True) for x in (low, high)]
    return number(effect, digits, sign=True), " to ".join(ends)


def _showing(end: Any, digits: int) -> int:
    """Return decimals of an interval's end: more where it is so near 0 that its side would go."""
    near = abs(float(end))
    if near == 0 or near >= 0.5 * 10**-digits:
        return digits
    return min(6, math.ceil(-math.log10(near)))


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


_SET_WORDS = {"hallmark": "Hallmark", "go_bp": "Gene Ontology, biological process"}
_SET_WORDS |= {"reactome": "Reactome", "wikipathways": "WikiPathways"}


def set_name(name: str) -> str:
    """Return the name of a gene set or collection for reading: no underscores, no collection twice.

    Examples
    --------
    >>> set_name("HALLMARK_TNFA_SIGNALING_VIA_NFKB"), set_name("mitotic spindle (GO:0007052)")
    ('TNFA signaling via NFKB', 'mitotic spindle (GO:0007052)')
    """
    if name in _SET_WORDS:
        return _SET_WORDS[name]
    plain = re.sub(r"^(HALLMARK|REACTOME|WP|GOBP)_", "", name)
    if plain == name or plain != plain.upper():
        return name.replace("_", " ")
    words = [word if _is_gene(word) else word.lower() for word in plain.split("_")]
    return (words[0] if _is_gene(words[0]) else words[0].capitalize()) + "".join(
        f" {word}" for word in words[1:]
    )


_SHORT_NAMES = frozenset(
    [
        "DNA",
        "RNA",
        "UV",
        "ROS",
        "MYC",
        "E2F",
        "MTORC1",
        "PI3K",
        "AKT",
        "MTOR",
        "NFKB",
        "TNFA",
        "TGF",
        "BETA1",
        "P53",
        "KRAS",
        "WNT",
        "IL2",
        "IL6",
        "STAT3",
        "STAT5",
        "JAK",
        "G2M",
        "V1",
        "V2",
        "DN",
        "TNF",
        "NOTCH",
        "HIF1A",
        "ATP",
        "ER",
        "MHC",
    ]
)


def _is_gene(word: str) -> bool:
    return word in _SHORT_NAMES


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
    # Reports have many: Markup.format costs many times more.
    kind = " download" if download else ""
    return Markup(f'<a href="{escape(href)}"{kind}>{escape(text)}</a>')


def number_link(text: str, path: str | None, of: str) -> Markup:
    """Return a number that leads to where it comes from; ``of``: what it is of, for its name."""
    if path is None:
        return escape(text)
    return Markup(
        f'<a class="from" href="{escape(safe_path(path) or "")}" '
        f'aria-label="{escape(text)}: {escape(of)}">{escape(text)}</a>'
    )


def folded(text: object, shown: int = 60) -> Markup:
    """Return a text whose first sentences (``shown`` characters at least) stand,
    the rest unfolds.
    """
    return _folded(str(text), shown)


@lru_cache(maxsize=10_000)  # a caveat stands beside every effect of its block
def _folded(whole: str, shown: int) -> Markup:
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

# Columns on one scale, which is small for slopes: shown with the same decimals.
_EFFECTS = frozenset(("effect", "log2fc", "log2fc_shrunk", "ci_low", "ci_high"))


@dataclass(frozen=True)
class Column:
    """How one column is shown: its key in the frame, heading, format and decimals.

    ``source``: key of the column with the paths to which its numbers lead.
    """

    key: str
    head: str
    kind: Format = "text"
    digits: int = 2
    sign: bool = False
    title: str = ""
    source: str = ""


_ROLES = ("table", "rowgroup", "row", "columnheader")


class Sorted(NamedTuple):
    """A cell that shows markup and sorts by a number."""

    value: float
    shown: Markup


def _cells(frame: pd.DataFrame, column: Column, *, stacked: bool) -> list[str]:
    """The cells of one column; ``stacked``: they name it themselves, and say whether they are
    empty.
    """
    values = frame[column.key].tolist()
    if column.source in frame:
        sources = frame[column.source].tolist()
        cells = [_cell(v, column, path) for v, path in zip(values, sources, strict=True)]
    else:
        cells = [_cell(value, column) for value in values]
    if not stacked:
        return cells
    named = f'<td role="cell" data-head="{escape(column.head)}"'
    return [
        f"{named}{' data-blank' * is_missing(value)}{cell[3:]}"
        for value, cell in zip(values, cells, strict=True)
    ]


def _cell(value: object, column: Column, source: str | None = None) -> str:
    # Reports have a million cells: escaped one by one, as Markup.format costs many times more.
    if isinstance(value, Sorted):
        return f'<td class="num" data-v="{value.value:.6g}">{value.shown}</td>'
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
    text = number_link(shown, source, column.head)
    return f'<td class="num" data-v="{x:.6g}">{text}</td>'


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
    whole: bool = False,
    stacked: bool = False,
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
    whole
        Show all rows at once, below headings that may take several lines.
    stacked
        On a small screen every row is a block with one line per column.
    """
    shown = [c for c in columns if c.key in frame.columns]
    effects = [c.key for c in shown if c.key in _EFFECTS]
    digits = decimals(frame[effects]) if effects else 0
    shown = [replace(c, digits=digits) if c.key in _EFFECTS else c for c in shown]
    n_total = len(frame) if total is None else total
    cut = frame.head(limit)
    # Blocks are no table to a browser: what they are is said.
    role = {key: Markup(' role="{}"').format(key) if stacked else "" for key in _ROLES}
    head = Markup("").join(
        Markup('<th scope="col"{}{}{}>{}</th>').format(
            role["columnheader"],
            Markup(' class="num"') if c.kind != "text" else "",
            Markup(' title="{}"').format(c.title) if c.title else "",
            c.head,
        )
        for c in shown
    )
    cells = [_cells(cut, c, stacked=stacked) for c in shown]
    lines = [f"<tr{role['row']}>{''.join(row)}</tr>" for row in zip(*cells, strict=True)]
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
        '<div class="table{css}" data-name="{name}"><div class="scroll" tabindex="0" role="region" '
        'aria-label="{caption}"><table{table}><caption>{caption}</caption>'
        "<thead{group}><tr{row}>{head}</tr></thead><tbody{group}>{body}</tbody></table></div>"
        '<p class="table-note">{note}{more}</p></div>'
    ).format(
        css=" whole" * whole + " stacked" * stacked,
        table=role["table"],
        group=role["rowgroup"],
        row=role["row"],
        name=slug(name),
        caption=caption,
        head=head,
        body=Markup("\n".join(lines)),
        note=note,
        more=more,
    )


# ---- figures ------------------------------------------------------------------------------------


def drawing_name(path: str) -> str:
    """Return the name of the data script with the drawing at ``path`` below the report folder.

    Scripts cannot read pictures beside a page that is opened from disk.
    """
    return f"figure-{path.removeprefix('figures/').removesuffix('.svg')}"


def drawing_files(path: str, svg: bytes) -> dict[str, str | bytes]:
    """Return a drawing as the picture at ``path`` and as the data script
    that saves it otherwise.
    """
    name = drawing_name(path)
    return {path: svg, f"assets/data/{name}.js": data_script(name, svg.decode())}


_WIDE = 700
"""Pixels above which a picture cannot be read on a small screen."""


def figure(
    *,
    name: str,
    image: str,
    alt: str,
    caption: str | Markup,
    downloads: Sequence[tuple[str, str]] = (),
    plot: Mapping[str, Any] | None = None,
    drawing: str | None = None,
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
        ``(text, relative path)`` of SVG and data.
    plot
        Specification for the scatter plot of ``scatter.js``: ``x, y`` column names, ``xlabel,
        ylabel``, ``groups`` (names), ``groupColumn``, ``symmetric``, and either ``source`` (name of
        a data script) or ``columns`` (embedded values).
    drawing
        Name of the data script that holds the SVG, of which scripts make PDF and PNG.
    width, height
        Pixels of the picture at full size; reserves its place while loading.
    """
    links = Markup(" · ").join(local(text, path, download=True) for text, path in downloads)
    wide = plot is None and width > _WIDE
    script = (
        Markup('<script type="application/json" class="plot-spec">{}</script>').format(
            Markup(embed_json(plot))
        )
        if plot is not None
        else ""
    )
    return Markup(
        '<figure class="figure" id="{name}"{drawing}>{before}<img src="{src}" alt="{alt}" '
        'width="{w}" height="{h}" '
        'loading="lazy">{after}<figcaption>{caption}{links}</figcaption>{script}</figure>'
    ).format(
        # Wide pictures keep the size at which they can be read, and scroll on a small screen.
        before=Markup('<div class="scroll" tabindex="0" role="region" aria-label="{}">').format(alt)
        if wide
        else "",
        after=Markup("</div>") if wide else "",
        name=slug(name),
        drawing=Markup(' data-drawing="{}"').format(drawing) if drawing else "",
        src=safe_path(image) or "",
        alt=alt,
        w=width,
        h=height,
        caption=caption,
        links=Markup('<span class="downloads">Download: {}</span>').format(links) if links else "",
        script=script,
    )
