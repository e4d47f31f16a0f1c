"""Static figures: matplotlib figures from tables, and their reproducible SVG and PNG bytes.

Colours are Okabe and Ito's (2008), which all common forms of colour vision tell apart; groups also
differ in marker shape. Axes hold every value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
UP, DOWN, NEUTRAL = "#B84A00", "#0067A5", "#8A8F98"
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "alsmuscle",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.parse_math": False,
}


def to_svg(figure: Figure) -> bytes:
    """Return SVG bytes without date or random ids: the same table gives the same bytes."""
    return _save(figure, "svg", metadata={"Date": None, "Creator": None})


def to_png(figure: Figure, dpi: int = 200) -> bytes:
    """Return PNG bytes for slides, at ``dpi`` dots per inch."""
    return _save(figure, "png", dpi=dpi, metadata={"Software": None})


def _save(figure: Figure, kind: str, **options: Any) -> bytes:
    import matplotlib as mpl

    buffer = BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _new(width: float = 6.4, height: float = 4.2) -> tuple[Figure, Axes]:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        fig = Figure(figsize=(width, height), layout="constrained", dpi=100)
        return fig, fig.add_subplot()


def _groups(values: Sequence[object]) -> list[str]:
    return sorted({"unknown" if pd.isna(v) else str(v) for v in values})  # type: ignore[call-overload]


def library_sizes(frame: pd.DataFrame) -> Figure:
    """Draw reads per sample as bars from zero, coloured by group; flagged samples are hatched.

    ``frame``: one row per sample with ``sample_id, library_size`` (reads), ``group`` and ``flagged``.
    """
    fig, ax = _new(6.4, max(2.2, 0.9 + 0.17 * len(frame)))
    ordered = frame.sort_values(["group", "sample_id"], kind="stable", ascending=[False, False])
    names = _groups(list(frame["group"]))
    place = np.arange(len(ordered))
    for i, name in enumerate(names):
        chosen = (ordered["group"].astype(str) == name).to_numpy()
        bars = ax.barh(
            place[chosen],
            ordered.loc[chosen, "library_size"] / 1e6,
            color=PALETTE[i % len(PALETTE)],
            label=name,
        )
        for bar, flagged in zip(bars, ordered.loc[chosen, "flagged"], strict=True):
            if flagged:
                bar.set_hatch("////")
                bar.set_edgecolor("white")
    ax.set_yticks(place, [str(s) for s in ordered["sample_id"]], fontsize=7)
    ax.set_ylim(-0.7, len(ordered) - 0.3)
    ax.set_xlim(left=0)
    ax.set_xlabel("million reads in genes (hatched: flagged)")
    fig.legend(loc="outside upper right", ncols=min(4, len(names)), frameon=False, fontsize=9)
    return fig


def scatter(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    xlabel: str,
    ylabel: str,
    group: str = "group",
    ringed: str | None = None,
    from_zero: bool = False,
) -> Figure:
    """Draw samples as points by group (colour and shape); ``ringed`` marks a boolean column.

    ``frame`` has one row per sample with the columns named; ``from_zero`` starts both axes at 0.
    """
    fig, ax = _new()
    labels = frame[group].map(lambda v: "unknown" if pd.isna(v) else str(v))
    for i, name in enumerate(_groups(list(frame[group]))):
        part = frame[labels == name]
        ax.scatter(
            part[x], part[y], s=34, c=PALETTE[i % len(PALETTE)], marker=MARKERS[i % len(MARKERS)],
            label=name, linewidths=0.5, edgecolors="white",
        )  # fmt: skip
    if ringed is not None and frame[ringed].any():
        part = frame[frame[ringed].astype(bool)]
        ax.scatter(part[x], part[y], s=130, facecolors="none", edgecolors="black", label="flagged")
    if from_zero:
        ax.set_xlim(left=min(0.0, float(frame[x].min())))
        ax.set_ylim(bottom=min(0.0, float(frame[y].min())))
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    fig.legend(loc="outside upper right", ncols=4, frameon=False, fontsize=9)
    return fig


def correlation(matrix: pd.DataFrame, group: Mapping[str, str]) -> Figure:
    """Draw a sample-by-sample correlation matrix, samples ordered by group.

    The colour scale runs from the smallest value in the matrix to 1 and is shown beside it.
    """
    order = sorted(matrix.index, key=lambda s: (str(group.get(str(s), "")), str(s)))
    data = matrix.loc[order, order].to_numpy(dtype=float)
    side = min(8.0, max(4.2, 1.8 + 0.13 * len(order)))
    fig, ax = _new(side + 0.8, side)
    image = ax.imshow(data, cmap="cividis", vmax=1.0, interpolation="nearest")
    names = [f"{s} ({group[str(s)]})" if str(s) in group else str(s) for s in order]
    ax.set_yticks(range(len(order)), names, fontsize=6)
    ax.set_xticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    fig.colorbar(image, ax=ax, shrink=0.7, label="correlation of log expression")
    return fig


def volcano(frame: pd.DataFrame, alpha: float = 0.05) -> Figure:
    """Draw every tested gene: log2 fold change against -log10 p.

    ``frame``: ``log2fc, nlp`` (-log10 p) and ``padj``; genes at ``padj < alpha`` are coloured by sign.
    """
    fig, ax = _new()
    _genes(ax, frame["log2fc"], frame["nlp"], frame, alpha)
    top = float(frame["log2fc"].abs().max()) * 1.05 or 1.0
    ax.set_xlim(-top, top)
    ax.set_ylim(bottom=0)
    ax.axvline(0, color="#444", lw=0.8)
    ax.set_xlabel("log2 fold change")
    ax.set_ylabel("−log10 p")
    return fig


def ma(frame: pd.DataFrame, alpha: float = 0.05) -> Figure:
    """Draw every tested gene: mean normalised expression (log10) against log2 fold change."""
    fig, ax = _new()
    _genes(ax, np.log10(frame["base_mean"].clip(lower=1e-3)), frame["log2fc"], frame, alpha)
    top = float(frame["log2fc"].abs().max()) * 1.05 or 1.0
    ax.set_ylim(-top, top)
    ax.axhline(0, color="#444", lw=0.8)
    ax.set_xlabel("log10 mean normalised count")
    ax.set_ylabel("log2 fold change")
    return fig


def _genes(ax: Axes, x: pd.Series, y: pd.Series, frame: pd.DataFrame, alpha: float) -> None:
    # Points are drawn as one bitmap inside the SVG: 20,000 vector marks would take megabytes.
    called = frame["padj"] < alpha
    for mask, colour, marker, label in (
        (~called, NEUTRAL, "o", f"not below {alpha:g}"),
        (called & (frame["log2fc"] > 0), UP, "^", f"higher, adjusted p < {alpha:g}"),
        (called & (frame["log2fc"] <= 0), DOWN, "v", f"lower, adjusted p < {alpha:g}"),
    ):
        ax.scatter(
            x[mask], y[mask], s=7, c=colour, marker=marker, lw=0, alpha=0.6, rasterized=True,
            label=f"{label} ({int(mask.sum()):,})",
        )  # fmt: skip
    figure = ax.get_figure()
    assert figure is not None
    figure.legend(loc="outside upper right", ncols=3, frameon=False, fontsize=8)  # type: ignore[call-arg]
