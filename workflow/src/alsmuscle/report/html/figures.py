"""Static figures: matplotlib figures from tables, and their reproducible bytes.

Every figure is drawn once, as SVG; the page's script makes PDF and PNG of it when they are asked
for.

Colours are Okabe and Ito's (2008), which all common forms of colour vision tell apart; groups also
differ in marker shape. Axes hold every value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
MARKERS = ("o", "^", "s", "D", "v", "o", "^", "s")
UP, DOWN, NEUTRAL = "#B84A00", "#0067A5", "#8A8F98"
MINUS = "\u2212"
THIN = "\u202f"
CALLED_COLOURS = ("#D5D9DE", NEUTRAL, UP, DOWN)
"""Colours of genes: not tested, tested without a call, higher, lower."""
SCALE = "cividis_r"
"""Colours of numbers: dark is high, in every figure (``scatter.js`` has the same)."""
NAMED = 10
"""Genes that a volcano plot names."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "alsmuscle",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.parse_math": False,
}


def to_svg(figure: Figure, dpi: int = 150) -> bytes:
    """Return SVG bytes without date or random ids: the same table gives the same bytes.

    ``dpi``: dots per inch of what is drawn as a bitmap inside.
    """
    drawn = _save(figure, "svg", dpi=dpi, metadata={"Date": None, "Creator": None})
    # The policy of the pages lets no script read a drawing with styles, but one with attributes.
    drawn = re.sub(rb"<style[^>]*>\*\{[^}]*\}</style>", b"", drawn)
    drawn = drawn.replace(b"<svg ", b'<svg stroke-linejoin="round" ', 1)
    return re.sub(rb'(<\w[^<>]*?) style="([^"]*)"', _attributes, drawn)


def _attributes(found: re.Match[bytes]) -> bytes:
    pairs = dict(pair.split(b":", 1) for pair in found[2].split(b";") if b":" in pair)
    own = b"".join(b' %s="%s"' % (key.strip(), value.strip()) for key, value in pairs.items())
    return found[1] + own


def to_pdf(figure: Figure) -> bytes:
    """Return PDF bytes without a date, text as text."""
    return _save(figure, "pdf", dpi=300, metadata={"CreationDate": None, "Creator": None})


def _save(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    with _style():
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _style() -> AbstractContextManager[None]:
    import matplotlib as mpl

    return mpl.rc_context(_STYLE)


def _new(
    width: float = 6.4, height: float = 4.2, *, left: float = 0.75, right: float = 0.15
) -> tuple[Figure, Axes]:
    """Return a figure with one axes; margins in inches, fixed because layout engines are slow."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), dpi=100)
    top, bottom = 0.35, 0.55
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)
    return fig, fig.add_axes(box)


def _names(values: pd.Series) -> pd.Series:
    # matplotlib leaves names that start with _ out of legends
    known = values.notna() & (values.astype(str) != "")
    return values.where(known, "unknown").astype(str).str.replace("^_", " _", regex=True)


def _count(n: int) -> str:
    return f"{n:,}".replace(",", THIN)  # as on the pages


def _legend(fig: Figure, count: int) -> None:
    fig.legend(loc="upper right", ncols=min(4, count), frameon=False, fontsize=8.5)


def _in_order(names: Iterable[str], order: Sequence[str]) -> dict[str, int]:
    """Return each name's place among the colours: those of ``order`` first, others by name."""
    known = set(names)
    found = [*order, *sorted(known - set(order))]
    return {name: i for i, name in enumerate(found) if name in known}


def library_sizes(frame: pd.DataFrame, *, order: Sequence[str] = ()) -> Figure:
    """Draw reads per sample as bars from zero, coloured by group; those of flagged ones are hollow.

    ``frame``: one row per sample with ``sample_id, library_size`` (reads), ``group``, ``flagged``;
    ``order``: of the groups among the colours.
    """
    with _style():
        fig, ax = _new(6.4, max(2.4, 1.0 + 0.16 * len(frame)), left=1.3)
        ordered = frame.sort_values(["group", "sample_id"], kind="stable", ascending=False)
        groups, place = _names(ordered["group"]), np.arange(len(ordered))
        names = _in_order(groups.unique(), order)
        for name, i in names.items():
            chosen = (groups == name).to_numpy()
            colour = PALETTE[i % len(PALETTE)]
            bars = ax.barh(
                place[chosen],
                ordered.loc[chosen, "library_size"].to_numpy() / 1e6,
                color=colour,
                label=name,
            )
            for bar, flagged in zip(bars, ordered.loc[chosen, "flagged"], strict=True):
                if flagged:
                    bar.set(facecolor="white", edgecolor=colour, linewidth=1.5)
        ax.set_yticks(place, [_short(s) for s in ordered["sample_id"]], fontsize=7)
        ax.set_ylim(-0.7, len(ordered) - 0.3)
        ax.set_xlim(left=0)
        ax.set_xlabel("million reads in genes (hollow: flagged)")
        _legend(fig, len(names))
    return fig


def _type(name: object) -> str:
    """A type in a legend; of spots only what they are rich in, which the caption says."""
    return _short(str(name).removeprefix("Spots rich in "), 70)


def _short(name: object, limit: int = 20) -> str:
    text = str(name)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def scatter(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    xlabel: str,
    ylabel: str,
    group: str,
    order: Sequence[str] = (),
) -> Figure:
    """Draw samples as points by group (colour and shape, in ``order``); rows with true ``ring`` are
    ringed.
    """
    with _style():
        fig, ax = _new()
        groups = _names(frame[group])
        names = _in_order(groups.unique(), order)
        for name, i in names.items():
            part = frame[groups == name]
            ax.scatter(
                part[x],
                part[y],
                s=34,
                c=PALETTE[i % len(PALETTE)],
                marker=MARKERS[i % len(MARKERS)],
                label=name,
                linewidths=0.5,
                edgecolors="white",
            )
        ringed = frame[frame["ring"].astype(bool)]
        if len(ringed):
            ax.scatter(ringed[x], ringed[y], s=130, facecolors="none", edgecolors="black")
        ax.set_xlabel(xlabel)
        ax.set_ylabel(ylabel)
        _legend(fig, len(names))
    return fig


def correlation(matrix: pd.DataFrame, group: Mapping[str, str]) -> Figure:
    """Draw a sample-by-sample correlation matrix, samples ordered by ``group``.

    The colour scale runs from the smallest value in the matrix to 1 and is shown beside it.
    """
    order = sorted(matrix.index, key=lambda s: (str(group.get(str(s), "")), str(s)))
    names = [_short(f"{s} {group.get(str(s), '')}".strip(), 28) for s in order]
    side = min(8.0, max(3.6, 1.4 + 0.13 * len(order)))
    with _style():
        fig, ax = _new(side + 2.4, side, left=1.7, right=1.0)
        data = matrix.loc[order, order].to_numpy(dtype=float)
        image = ax.imshow(data, cmap=SCALE, vmax=1.0, interpolation="nearest", aspect="auto")
        ax.set_yticks(range(len(order)), names, fontsize=6)
        ax.set_xticks([])
        ax.spines[:].set_visible(False)
        ax.set_xlabel("samples in the same order")
        fig.colorbar(image, ax=ax, fraction=0.06, pad=0.03, label="correlation, log expression")
    return fig


def volcano(frame: pd.DataFrame, alpha: float) -> Figure:
    """Draw every tested gene: log2 fold change against -log10 p.

    ``frame``: ``log2fc, nlp`` (-log10 p), ``padj``; genes at ``padj < alpha`` coloured by sign.
    """
    with _style():
        fig, ax = _new()
        _genes(fig, ax, frame.assign(x=frame["log2fc"], y=frame["nlp"]), alpha)
        top = 1.05 * float(frame["log2fc"].abs().max()) or 1.0
        ax.set_xlim(-top, top)
        ax.set_ylim(bottom=0)
        ax.axvline(0, color="#444444", lw=0.8)
        ax.set_xlabel("log2 fold change")
        ax.set_ylabel(f"{MINUS}log10 p")
        if "label" in frame:
            strongest = frame.assign(size=frame["log2fc"].abs())
            strongest = strongest.sort_values(["nlp", "size"], ascending=False).head(NAMED)
            _name_points(ax, strongest)
    return fig


def _name_points(ax: Axes, frame: pd.DataFrame) -> None:
    """Write names beside their points, moved down where they would cover each other."""
    taken: list[tuple[float, float, float]] = []
    middle = sum(ax.get_xlim()) / 2
    per_point = 72 / ax.figure.dpi
    for x, y, name in zip(frame["log2fc"], frame["nlp"], frame["label"], strict=True):
        text, at = _short(name), ax.transData.transform((x, y)) * per_point
        right = x > middle  # towards the middle of the axes, so that no name leaves them
        width = 4.8 * len(text)
        start, dy = at[0] + (-3 - width if right else 3), 3.0
        while any(
            start < end and start + width > begin and abs(at[1] + dy - height) < 9
            for begin, end, height in taken
        ):
            dy -= 3
        taken.append((start, start + width, at[1] + dy))
        ax.annotate(
            text,
            (x, y),
            (-3 if right else 3, dy),
            textcoords="offset points",
            fontsize=7.5,
            ha="right" if right else "left",
        )


def ma(frame: pd.DataFrame, alpha: float, *, x: pd.Series, label: str) -> Figure:
    """Draw every tested gene: mean expression ``x``, labelled so, against log2 fold change."""
    with _style():
        fig, ax = _new()
        _genes(fig, ax, frame.assign(x=x, y=frame["log2fc"]), alpha)
        top = 1.05 * float(frame["log2fc"].abs().max()) or 1.0
        ax.set_ylim(-top, top)
        ax.axhline(0, color="#444444", lw=0.8)
        ax.set_xlabel(label)
        ax.set_ylabel("log2 fold change")
    return fig


def call_groups(frame: pd.DataFrame, alpha: float) -> npt.NDArray[np.int_]:
    """Return per gene 0 not tested, 1 tested and not called, 2 higher, 3 lower.

    Tested is what has an adjusted p; one at least ``alpha`` says nothing of genes without one.
    """
    called = np.where(frame["log2fc"] > 0, 2, 3)
    return np.where(frame["padj"].isna(), 0, np.where(frame["padj"] < alpha, called, 1))


def _genes(fig: Figure, ax: Axes, frame: pd.DataFrame, alpha: float) -> None:
    # Points become one bitmap inside the SVG: 20,000 vector marks would take megabytes.
    group = call_groups(frame, alpha)
    labels = ("not tested", f"adjusted p ≥ {alpha:g}", "higher", "lower")
    for i, (colour, marker, label) in enumerate(zip(CALLED_COLOURS, "oo^v", labels, strict=True)):
        part = frame[group == i]
        if not len(part) and (i == 0 or not (group > 0).any()):
            continue
        ax.plot(
            part["x"],
            part["y"],
            marker,
            color=colour,
            ms=2.6,
            mew=0,
            alpha=0.6,
            rasterized=True,
            label=f"{label} ({_count(len(part))})",
        )
    fig.legend(loc="upper right", ncols=2, frameon=False, fontsize=8.5, markerscale=2)


# Okabe and Ito's eight do not reach for a dozen types: matplotlib's tab20b and tab20c follow, every
# second first, without their greys.
_MORE = (
    *("#393B79", "#6B6ECF", "#637939", "#B5CF6B", "#8C6D31", "#E7BA52", "#843C39", "#D6616B"),
    *("#7B4173", "#CE6DBD", "#3182BD", "#9ECAE1", "#E6550D", "#FDAE6B", "#31A354", "#A1D99B"),
    *("#756BB1", "#BCBDDC", "#5254A3", "#9C9EDE", "#8CA252", "#CEDB9C", "#BD9E39", "#E7CB94"),
    *("#AD494A", "#E7969C", "#A55194", "#DE9ED6", "#6BAED6", "#C6DBEF", "#FD8D3C", "#FDD0A2"),
    *("#74C476", "#C7E9C0", "#9E9AC8", "#DADAEB"),
)


def named_colours(names: Iterable[str], last: str = "") -> dict[str, str]:
    """Return name → colour, the same for the same set of names; ``last`` is grey."""
    colours = [*PALETTE[:6], *_MORE]
    known = sorted(set(names))
    found = {
        name: colours[i % len(colours)] for i, name in enumerate(k for k in known if k != last)
    }
    return found | ({last: "#C9CED6"} if last in known else {})


def _plane(ax: Axes, title: str = "") -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_title(title, fontsize=8, loc="left")


def _points(
    ax: Axes,
    places: pd.DataFrame,
    label: pd.Series,
    order: Sequence[str],
    colours: Mapping[str, Any],
    size: float,
) -> None:
    """Draw points by label, one after the other, with their numbers in the legend."""
    for name in order:
        part = places[(label == name).to_numpy()].to_numpy()
        ax.scatter(
            part[:, 0],
            part[:, 1],
            s=size,
            color=colours[name],
            linewidths=0,
            rasterized=True,
            label=f"{_type(name)} ({_count(len(part))})",
        )


def umap(
    frame: pd.DataFrame,
    label: pd.Series,
    *,
    last: str = "",
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Draw cells on ``umap1, umap2`` by label; the commonest first, so that rare ones stay visible.

    ``last`` names the label that is none; it is drawn grey, below the others.
    """
    with _style():
        fig, ax = _new(9.8, 5.2, left=0.1, right=4.2)
        counts = label.value_counts()
        order = sorted(counts.index, key=lambda name: (name != last, -counts[name], name))
        colours = colours or named_colours(counts.index, last)
        size = float(np.clip(6e4 / max(len(frame), 1), 1.5, 14))
        _points(ax, frame[["umap1", "umap2"]], label, order, colours, size)
        _plane(ax)
        handles, texts = ax.get_legend_handles_labels()
        # By name alone: two long names may be shortened to the same.
        by_name = sorted(zip(texts, handles, strict=True), key=lambda pair: pair[0])
        fig.legend(
            [h for _, h in by_name],
            [t for t, _ in by_name],
            loc="center right",
            frameon=False,
            fontsize=7.5,
            markerscale=max(1.0, 5 / size**0.5),
            ncols=1 if len(by_name) <= 30 else 2,
        )
    return fig


def sections(
    frame: pd.DataFrame,
    label: pd.Series,
    titles: Mapping[str, tuple[float, float]],
    *,
    last: str = "",
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Draw spots at their places (``section_x, section_y``) by label, sections beside each other.

    ``titles``: name of a section → where it stands; ``last``: the label that is none, drawn grey.
    """
    with _style():
        fig, ax = _new(9.8, 5.2, left=0.1, right=4.2)
        names = sorted(label.unique())
        colours = colours or named_colours(names, last)
        across = max(1.0, float(frame["section_x"].max()), float(frame["section_y"].max()))
        # as large as the distance between the spots of one section, which hold some fifty a side
        size = float(np.clip((260 / (60 * across)) ** 2, 1.0, 30))
        places = frame[["section_x", "section_y"]]
        _points(ax, places, label, names, colours, size)
        for name, (x, y) in titles.items():
            ax.text(x, y, name, fontsize=8)
        _plane(ax)
        fig.legend(loc="center right", frameon=False, fontsize=7.5, markerscale=2)
    return fig


def umap_scores(frame: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw cells coloured by the score of each block, scaled to its 1st and 99th percentile.

    ``titles``: column of ``frame`` → what stands above its panel.
    """
    from matplotlib.figure import Figure

    columns = min(3, len(titles))
    rows = -(-len(titles) // columns)
    with _style():
        fig = Figure(figsize=(3.2 * columns, 2.5 * rows + 0.1), dpi=100)
        size = float(np.clip(2e4 / max(len(frame), 1), 0.8, 8))
        for place, (block, title) in enumerate(titles.items()):
            ax = fig.add_subplot(rows, columns, place + 1)
            values = frame[block].to_numpy(dtype=float)
            low, high = np.nanpercentile(values, [1, 99])
            order = np.argsort(values, kind="stable")
            drawn = ax.scatter(
                frame["umap1"].to_numpy()[order],
                frame["umap2"].to_numpy()[order],
                c=values[order],
                s=size,
                cmap=SCALE,
                vmin=low,
                vmax=high if high > low else low + 1,
                linewidths=0,
                rasterized=True,
            )
            _plane(ax, _short(title, 46))
            fig.colorbar(drawn, ax=ax, fraction=0.04, pad=0.01).ax.tick_params(labelsize=6)
        width, height = fig.get_size_inches()
        # Room for the last column's scale and the first row's titles, however few panels there are.
        fig.subplots_adjust(
            left=0.01,
            right=1 - 0.4 / width,
            bottom=0.01,
            top=1 - 0.25 / height,
            wspace=0.12,
            hspace=0.12,
        )
    return fig


def stacked_shares(
    types: pd.DataFrame, *, last: str = "", colours: Mapping[str, str] | None = None
) -> Figure:
    """Draw the share of each cell type per sample, samples by condition (contract ``types``)."""
    wide = types.pivot(index=["condition", "sample_id"], columns="cell_type", values="share")
    wide = wide.sort_index().fillna(0)
    names = sorted(wide.columns, key=lambda name: (name == last, -wide[name].mean(), name))
    colours = colours or named_colours(wide.columns, last)
    with _style():
        fig, ax = _new(9.8, max(2.2, 1.0 + 0.22 * len(wide)), left=1.8, right=4.2)
        place, left = np.arange(len(wide))[::-1], np.zeros(len(wide))
        for name in names:
            share = wide[name].to_numpy()
            ax.barh(place, share, left=left, color=colours[name], label=_type(name), height=0.8)
            left = left + share
        ax.set_yticks(place, [_short(f"{s} {g}", 26) for g, s in wide.index], fontsize=7)
        ax.set_xlim(0, 1)
        ax.set_xlabel("share of the sample")
        fig.legend(loc="center right", frameon=False, fontsize=7.5)
    return fig


def dots(
    frame: pd.DataFrame,
    *,
    order: Sequence[str] | None = None,
    label: str = "mean, relative to the highest",
) -> Figure:
    """Draw genes or programmes × cell types: size = share of cells, colour = scaled mean.

    ``frame``: ``cell_type``, ``gene`` (ordered categorical), ``detected``, ``scaled`` (both 0 to
    1); ``order``: of the rows, by default that of the alphabet; ``label``: of the colours.
    """
    genes = list(frame["gene"].cat.categories)
    types = sorted(frame["cell_type"].unique()) if order is None else list(order)
    x = frame["gene"].cat.codes.to_numpy()
    y = np.array([types.index(name) for name in frame["cell_type"]])
    from matplotlib.figure import Figure

    names = [_short(name, 90) for name in types]
    # Room for the longest names, which stand beside and below.
    left, bottom = (0.3 + 0.062 * max(map(len, words)) for words in (names, genes))
    width = max(6.0, left + 1.2 + 0.2 * len(genes))
    height = max(0.3 + bottom + 0.24 * len(types), bottom + 2.2)  # the scale's label needs as much
    with _style():
        fig = Figure(figsize=(width, height), dpi=100)
        box = (left / width, bottom / height, 1 - (left + 0.8) / width, 1 - (bottom + 0.2) / height)
        ax = fig.add_axes(box)
        drawn = ax.scatter(
            x, -y, s=2 + 70 * frame["detected"], c=frame["scaled"], cmap=SCALE, vmin=0, vmax=1
        )
        ax.set_xticks(range(len(genes)), genes, rotation=90, fontsize=7)
        ax.set_yticks(-np.arange(len(types)), names, fontsize=7)
        ax.set_ylim(-len(types) + 0.4, 0.6)
        ax.set_xlim(-0.7, len(genes) - 0.3)
        fig.colorbar(drawn, ax=ax, fraction=0.03, pad=0.02, label=label)
    return fig
