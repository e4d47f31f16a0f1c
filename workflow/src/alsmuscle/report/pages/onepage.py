"""The run on one page of paper: question, answer, table of claims, method, versions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from alsmuscle.report import model as m
from alsmuscle.report import wording
from alsmuscle.report.html import figures
from alsmuscle.report.pages import about, against, calls, claims

PATH = "summary.pdf"
if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTION = (
    "What do public transcriptomes of skeletal muscle say about claims of two reviews on muscle in "
    "ALS (Pikatza-Menoio et al. 2021; Duranti et al. 2025), and is it more than denervation?"
)
MOST = 34
"""Claims that have room in full size; of more, the rows are smaller."""
HEADS = ("", "Claim", "Verdict", "Log2 effect; or called")
MOST_BEHIND = 8
"""Claims below the table with the genes and studies behind them."""
Text = tuple[float, str, str]
"""A paragraph: its size in points, its weight, its words."""
SCALES = (1.0, 0.94, 0.88, 0.82, 0.76, 0.7)
"""By how much text is made smaller until it fits; what does not fit then runs off the page."""
BOTTOM = 0.35
"""Margin below the last line, in inches."""
SMALL = 6.0
"""Size of what stands below the table."""
WIDTH, HEIGHT, LEFT = 8.27, 11.69, 0.6
"""A4 and its margin, in inches."""


def pdf(data: m.ReportData) -> bytes:
    """Return the page as PDF, without a date."""
    return figures.to_pdf(draw(data))


def draw(data: m.ReportData) -> Figure:
    """Return the page as a figure of A4; its text is as large as leaves all of it on the page."""
    said = None if data.synthesis is None else claims.summary(data, data.synthesis)
    head, rows = _head(data, said), _rows(data, said)
    foot = [(SMALL, "normal", x) for x in [*_behind(said), *_caveats(data), *_foot(data)]]
    for scale in SCALES:
        page, y = _drawn(head, rows, foot, scale)
        if y > BOTTOM:
            break
    return page


def _drawn(
    head: list[Text], rows: list[tuple[str, str, str, str]], foot: list[Text], scale: float
) -> tuple[Figure, float]:
    """Return the page with its text at ``scale``, and where it ends in inches from the bottom."""
    from matplotlib.figure import Figure

    page = Figure(figsize=(WIDTH, HEIGHT))
    y = HEIGHT - 0.5
    for size, weight, text in head:
        y = _paragraph(page, y, text, size=size * scale, weight=weight)
    # Smaller rows for more claims, so that they stay on one page.
    size = min(6.6, 6.6 * MOST / max(len(rows), 1))
    step = size * (1.1 + 0.8 * scale) * scale / 72
    columns = ((LEFT, 5), (LEFT + 0.35, 60), (LEFT + 3.65, 48), (LEFT + 5.95, 26))
    for place, row in enumerate([HEADS, *rows]):
        for (x, width), text in zip(columns, row, strict=True):
            page.text(
                x / WIDTH,
                y / HEIGHT,
                textwrap.shorten(text, round(width * 6.6 / size), placeholder="…"),
                fontsize=size,
                fontweight="bold" if place == 0 else "normal",
            )
        y -= step
    y -= 0.12
    for size, weight, text in foot:
        y = _paragraph(page, y, text, size=size * scale, weight=weight)
    return page, y


def _paragraph(page: Any, y: float, text: str, *, size: float, weight: str) -> float:
    """Write a paragraph with its top at ``y`` inches; return where the next begins."""
    width = round((WIDTH - 2 * LEFT) * 72 / (0.53 * size))
    lines = textwrap.wrap(text, width)
    for line in lines:
        page.text(LEFT / WIDTH, y / HEIGHT, line, fontsize=size, fontweight=weight)
        y -= size * 1.35 / 72
    return y - size * 0.5 / 72


def _head(data: m.ReportData, said: Mapping[str, Any] | None) -> list[tuple[float, str, str]]:
    found = [(13.0, "bold", data.title), (8.5, "normal", QUESTION)]
    if any(wording.is_marked(s, k, "simulated") for s, k in data.contrasts()):
        found.append(
            (8.5, "bold", "At least one study here is simulated: draw no biology from it.")
        )
    answer = [Markup(sentence).striptags() for sentence in calls.first_page(data)]
    if doubts := _against(data):
        answer.append(f"What speaks against it: {' '.join(doubts)}")
    if said is not None:
        answer.append(Markup(said["basis"]).striptags())
    found += [(8.5, "normal", text) for text in answer]
    return found


def _against(data: m.ReportData) -> list[str]:
    return [text for found in calls.of_signature(data) for text in against.of_list(data, found)]


def _behind(said: Mapping[str, Any] | None) -> list[str]:
    """Return on what the claims that have a verdict rest: measure, studies, doubts, genes."""
    lines = [] if said is None else [x for group in said["groups"] for x in group["lines"]]
    more = len(lines) - MOST_BEHIND
    return [
        f"{x['id']}: {x['measure']}; {x['studies']}{'; ' * bool(x['genes'])}{x['genes']}."
        for x in lines[:MOST_BEHIND]
    ] + ([f"Of {more} further claims the report says on what they rest."] if more > 0 else [])


def _caveats(data: m.ReportData) -> list[str]:
    said = calls.caveats(data)
    if data.left_out:
        total = len(data.left_out) + len(data.studies)
        said.append(f"{len(data.left_out)} of {total} selected studies did not take part.")
    return [f"Caveats: {' '.join(said)}"] if said else []


def _rows(data: m.ReportData, said: Mapping[str, Any] | None) -> list[tuple[str, str, str, str]]:
    """Return id, statement, verdict and drawn estimate of every claim,
    in the order of the claims.
    """
    if data.synthesis is None or said is None:
        return []
    verdicts = data.synthesis.overall.set_index("claim")["verdict"].astype(str)
    drawn = {
        line["id"]: str(line["estimate"]) for group in said["groups"] for line in group["lines"]
    }
    return [
        (
            str(entry["id"]),
            str(entry["statement"]),
            verdicts[entry["id"]],
            Markup(drawn.get(entry["id"], "")).striptags(),
        )
        for entry in data.synthesis.document["claims"]
        if entry["id"] in verdicts.index
    ]


def _foot(data: m.ReportData) -> list[str]:
    names = [
        s.name
        if [x.name for x in data.studies].count(s.name) == 1
        else f"{s.name} ({wording.method(s.card)})"
        for s in data.studies
    ]
    packages = ("pydeseq2", "scanpy", "numpy", "scipy")
    versions = ", ".join(f"{k} {data.versions[k]}" for k in packages if k in data.versions)
    return [
        f"Studies ({len(names)}): {', '.join(names)}.",
        "Method: one model per study, effects of gene programmes as mean log2 fold changes of "
        "their genes with errors that allow for their correlation, pooled over independent studies "
        "with random effects; every claim is held against denervation. Verdicts follow rules fixed "
        "before any data was seen.",
        f"Made with {about.software(data)}{'; ' + versions if versions else ''}. Details, "
        "caveats and citations: index.html and methods.html of the report. Not for clinical "
        "decisions.",
    ]
