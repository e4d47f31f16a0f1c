"""Static figures: matplotlib figures from tables, and their reproducible bytes.

Every figure is drawn once, as SVG; the page's script makes PDF and PNG of it when they are asked
for.

Colours are Okabe and Ito's (2008), which all common forms of colour vision tell apart; groups also
differ in marker shape. Axes hold every value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
MARKERS = ("o", "^", "s", "D", "v", "o", "^", "s")
UP, DOWN, NEUTRAL = "#B84A00", "#0067A5", "#8A8F98"
MINUS = "\u2212"
THIN = "\u202f"
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


def library_sizes(frame: pd.DataFrame) -> Figure:
    """Draw reads per sample as bars from zero, coloured by group; those of flagged ones are hollow.

    ``frame``: one row per sample with ``sample_id, library_size`` (reads), ``group``, ``flagged``.
    """
    with _style():
        fig, ax = _new(6.4, max(2.4, 1.0 + 0.16 * len(frame)), left=1.3)
        ordered = frame.sort_values(["group", "sample_id"], kind="stable", ascending=False)
        groups, place = _names(ordered["group"]), np.arange(len(ordered))
        names = sorted(groups.unique())
        for i, name in enumerate(names):
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


def _short(name: object, limit: int = 20) -> str:
    text = str(name)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def scatter(frame: pd.DataFrame, *, x: str, y: str, xlabel: str, ylabel: str, group: str) -> Figure:
    """Draw samples as points by group (colour and shape); rows with true ``ring`` are ringed."""
    with _style():
        fig, ax = _new()
        groups = _names(frame[group])
        names = sorted(groups.unique())
        for i, name in enumerate(names):
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
        image = ax.imshow(data, cmap="cividis", vmax=1.0, interpolation="nearest", aspect="auto")
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
            for x, y, name in zip(
                strongest["log2fc"], strongest["nlp"], strongest["label"], strict=True
            ):
                ax.annotate(_short(name), (x, y), (3, 3), textcoords="offset points", fontsize=7.5)
    return fig


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


def _genes(fig: Figure, ax: Axes, frame: pd.DataFrame, alpha: float) -> None:
    # Points become one bitmap inside the SVG: 20,000 vector marks would take megabytes.
    called = frame["padj"] < alpha
    tested = bool(frame["padj"].notna().any())
    kinds: Sequence[tuple[pd.Series, str, str, str]] = (
        (~called, NEUTRAL, "o", f"adjusted p not < {alpha:g}" if tested else "not tested"),
        (called & (frame["log2fc"] > 0), UP, "^", "higher"),
        (called & (frame["log2fc"] <= 0), DOWN, "v", "lower"),
    )
    for mask, colour, marker, label in kinds if tested else kinds[:1]:
        part = frame[mask]
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
    fig.legend(loc="upper right", ncols=3, frameon=False, fontsize=8.5, markerscale=2)


# Okabe and Ito's eight do not reach for a dozen types: matplotlib's two sets of twenty follow.
def _many(names: Sequence[str], last: str = "") -> dict[str, Any]:
    """Name → colour; ``last`` is grey."""
    from matplotlib import colormaps

    more = [*colormaps["tab20b"].colors, *colormaps["tab20c"].colors]  # type: ignore[attr-defined]
    colours = [*PALETTE[:6], *more[::2], *more[1::2]]
    found = {
        name: colours[i % len(colours)] for i, name in enumerate(n for n in names if n != last)
    }
    return found | ({last: "#C9CED6"} if last in names else {})


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
            label=f"{_short(name, 34)} ({_count(len(part))})",
        )


def umap(frame: pd.DataFrame, label: pd.Series, *, last: str = "") -> Figure:
    """Draw cells on ``umap1, umap2`` by label; the commonest first, so that rare ones stay visible.

    ``last`` names the label that is none; it is drawn grey, below the others.
    """
    with _style():
        fig, ax = _new(8.6, 5.2, left=0.1, right=3.0)
        counts = label.value_counts()
        order = sorted(counts.index, key=lambda name: (name != last, -counts[name], name))
        colours = _many(sorted(counts.index), last)
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
) -> Figure:
    """Draw spots at their places (``section_x, section_y``) by label, sections beside each other.

    ``titles``: name of a section → where it stands; ``last``: the label that is none, drawn grey.
    """
    with _style():
        fig, ax = _new(8.6, 5.2, left=0.1, right=3.0)
        names = sorted(label.unique())
        colours = _many(names, last)
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
                cmap="cividis",
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


def stacked_shares(types: pd.DataFrame, *, last: str = "") -> Figure:
    """Draw the share of each cell type per sample, samples by condition (contract ``types``)."""
    wide = types.pivot(index=["condition", "sample_id"], columns="cell_type", values="share")
    wide = wide.sort_index().fillna(0)
    names = sorted(wide.columns, key=lambda name: (name == last, -wide[name].mean(), name))
    colours = _many(sorted(wide.columns), last)
    with _style():
        fig, ax = _new(8.6, max(2.2, 1.0 + 0.22 * len(wide)), left=1.8, right=3.0)
        place, left = np.arange(len(wide))[::-1], np.zeros(len(wide))
        for name in names:
            share = wide[name].to_numpy()
            ax.barh(
                place, share, left=left, color=colours[name], label=_short(name, 34), height=0.8
            )
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

    names = [_short(name, 46) for name in types]
    # Room for the longest names, which stand beside and below.
    left, bottom = (0.3 + 0.062 * max(map(len, words)) for words in (names, genes))
    width = max(6.0, left + 1.2 + 0.2 * len(genes))
    height = max(0.3 + bottom + 0.24 * len(types), bottom + 2.2)  # the scale's label needs as much
    with _style():
        fig = Figure(figsize=(width, height), dpi=100)
        box = (left / width, bottom / height, 1 - (left + 0.8) / width, 1 - (bottom + 0.2) / height)
        ax = fig.add_axes(box)
        drawn = ax.scatter(
            x, -y, s=2 + 70 * frame["detected"], c=frame["scaled"], cmap="cividis_r", vmin=0, vmax=1
        )
        ax.set_xticks(range(len(genes)), genes, rotation=90, fontsize=7)
        ax.set_yticks(-np.arange(len(types)), names, fontsize=7)
        ax.set_ylim(-len(types) + 0.4, 0.6)
        ax.set_xlim(-0.7, len(genes) - 0.3)
        fig.colorbar(drawn, ax=ax, fraction=0.03, pad=0.02, label=label)
    return fig
