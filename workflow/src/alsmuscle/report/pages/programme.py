"""Programme pages: the overview, and one page per programme."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.html import plots
from alsmuscle.report.pages import calls, pathways
from alsmuscle.report.pages.over_time import panels
from alsmuscle.report.pages.selection import Selection
from alsmuscle.report.site import Site

GENE_COLUMNS = (
    c.Column("block", "Block"),
    c.Column("sign", "Sign"),
    c.Column("symbol", "Human gene"),
    c.Column("mouse", "Mouse gene"),
    c.Column("in_denervation_signature", "Denervation gene"),
    c.Column("source", "Source"),
)

DRIVER_COLUMNS = (
    c.Column("contrast", "Comparison"),
    c.Column("gene", "Gene"),
    c.Column("log2fc", "Log2 fold change", "number", 2, True, source="source"),
    c.Column("ci_low", "95 % from", "number", 2, True),
    c.Column("ci_high", "95 % to", "number", 2, True),
    c.Column("padj", "Adjusted p", "p"),
    c.Column("base_mean", "Mean level", "number", 0, title="Normalised count, or log2 intensity"),
    c.Column("share", "Share", "percent", 0, title="Of the sum of all its genes' sizes of change"),
)
ROOT = m.root(m.programme_path("any"))
"""From a programme's page to the report's folder."""
DRIVERS = 5
"""Genes shown per block and contrast."""

COVERAGE_COLUMNS = (
    c.Column("title", "Programme"),
    c.Column("part", "Block"),
    c.Column("organism", "Organism"),
    c.Column("n_listed", "Genes listed", "count"),
    c.Column("n_mapped", "Genes found", "count"),
    c.Column("former", "Former symbols"),
    c.Column("unknown", "Unknown symbols"),
    c.Column("no_counterpart", "No mouse counterpart"),
    c.Column("differs", "Other mouse gene in the 1:1 table"),
)


def overview(site: Site, data: m.ReportData) -> str:
    """Return ``programmes.html``: programmes by contrasts as numbers and colour."""
    values: dict[str, dict[tuple[str, str], float]] = {}
    sure: dict[str, dict[tuple[str, str], bool]] = {}
    said: dict[str, dict[tuple[str, str], str | None]] = {}
    heads: dict[str, str] = {}
    links: dict[str, str] = {}
    anchors: dict[tuple[Any, ...], str] = {}
    legend, caveats = [], set()
    for _, members in data.by_role():
        for study, contrast in members:
            if contrast.programmes is None or contrast.programmes.empty:
                continue
            signs = "".join(c.BADGES[k][0][0] for k, _ in wording.marks(study, contrast))
            name = f"{signs} {study.name}: {wording.label(contrast.meta)}".strip()
            heads[name] = m.contrast_path(study, contrast)
            legend.append((name, wording.sizes(study, contrast), wording.badges(study, contrast)))
            for row in estimates.effects(contrast.programmes, data).to_dict("records"):
                key = (str(row["title"]), str(row["part"]))
                values.setdefault(name, {})[key] = row["effect"]
                sure.setdefault(name, {})[key] = estimates.clear(row, data.alpha) != 0
                said.setdefault(name, {})[key] = row["instead"]
                links[key[0]] = m.programme_path(str(row["programme"]))
                anchors[key] = m.block_anchor(str(row["programme"]), str(row["block"]))
                if row["caveat"]:
                    caveats.add((key[0], links[key[0]], row["caveat"]))
    body = c.not_computed("programme effects")
    if values:
        frame = pd.DataFrame(values).sort_index(level=0, sort_remaining=False, kind="stable")
        marked = pd.DataFrame(sure).reindex_like(frame).eq(True)
        body = plots.heatmap(
            frame.droplevel(0),
            caption="Programme effects in log2 units; bold: a clear change",
            head="Programme and block",
            sure=marked.droplevel(0),
            instead=pd.DataFrame(said, dtype=object).reindex_like(frame).droplevel(0),
            groups=[str(k[0]) for k in frame.index],
            row_links=links,
            column_links=heads,
            anchors=[anchors[key] for key in frame.index],
        )
    rest = data.programme_names - {
        str(p)
        for _, k in data.contrasts()
        if k.programmes is not None
        for p in k.programmes["programme"]
    }
    return site.render(
        "programmes.html.j2",
        path="programmes.html",
        heading="Gene programmes",
        clear=estimates.CLEAR,
        body=body,
        legend=legend,
        caveats=sorted(caveats),
        rest=[
            (estimates.programme_title(data.programme_info, p), m.programme_path(p))
            for p in sorted(rest)
        ],
        coverage=_coverage(data),
        everywhere=pathways.link(data, ""),
    )


def pages(site: Site, data: m.ReportData, times: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield path and content of every programme's page.

    ``times``: from :func:`alsmuscle.report.pages.over_time.points`.
    """
    effects, drivers, selection = _effects(data), _drivers(data), Selection(data)
    keys = [times["programme"].astype(str), times["block"].astype(str)]
    courses = {(str(k[0]), str(k[1])): rows for k, rows in times.groupby(keys, sort=False)}
    for name in sorted(data.programme_names):
        content = _page(site, data, name, effects.get(name, {}), drivers, courses, selection)
        yield m.programme_path(name), content


def _page(
    site: Site,
    data: m.ReportData,
    programme: str,
    parts: Mapping[str, list[dict[str, Any]]],
    drivers: Mapping[tuple[str, str], pd.DataFrame],
    courses: Mapping[tuple[str, str], pd.DataFrame],
    selection: Selection,
) -> str:
    """Return a programme's page: its caveat, its effect pooled, in every contrast and over time."""
    path, info = m.programme_path(programme), data.programme_info.get(programme, {})
    frames = {block: pd.DataFrame(rows) for block, rows in parts.items()}
    span = plots.domain(frames.values())
    title = {b: estimates.programme_title(data.programme_info, programme, b) for b in frames}
    blocks = [
        {
            "title": title[block],
            "name": _capital(estimates.block_title(data.programme_info, programme, block)),
            "caveat": info.get("caveats", {}).get(block),
            "pooled": _pooled(data, f"{programme}/{block}", title[block]),
            "selection": selection.of(programme, block, title[block]),
            "course": panels(courses[programme, block]) if (programme, block) in courses else None,
            "drivers": c.table(
                drivers[programme, block],
                DRIVER_COLUMNS,
                caption=f"Genes that carry {title[block]}",
                name=f"{programme}-{block}-drivers",
                order=f"up to {DRIVERS} per comparison, largest contribution first",
            )
            if (programme, block) in drivers
            else None,
            "plot": plots.forest_plot(
                frame[~frame["cells"]],
                caption=f"{title[block]}, every comparison",
                head="Comparison",
                span=span,
            )
            if not frame["cells"].all()
            else None,
            "cells": plots.forest_plot(
                frame[frame["cells"]],
                caption=f"{title[block]}, every comparison of a cell type",
                head="Comparison",
                span=span,
            )
            if frame["cells"].any()
            else None,
            "n_cells": int(frame["cells"].sum()),
            "id": c.slug(f"block-{block}"),
            "set": quote(f"{programme}/{block}"),
        }
        for block, frame in frames.items()
    ]
    return site.render(
        "programme.html.j2",
        path=path,
        heading=estimates.programme_title(data.programme_info, programme),
        description=info.get("description", ""),
        caveat=info.get("caveat", ""),
        blocks=blocks,
        synthesis=data.synthesis is not None,
        called=calls.of_programme(data, programme),
        repool=any(block["selection"] for block in blocks),
        genes=_genes(data, programme),
    )


def _pooled(data: m.ReportData, target: str, title: str) -> Markup | None:
    """The block per condition: what moves in ALS beside what moves elsewhere."""
    if data.synthesis is None or (rows := estimates.pooled_rows(data.synthesis, target)).empty:
        return None
    return plots.forest_plot(rows, caption=f"{title}, pooled per condition", head="Condition")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _effects(data: m.ReportData) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return programme → block → rows of its forest plot, every contrast with its marks."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for role, members in data.by_role():
        for study, contrast in members:
            if contrast.programmes is None or contrast.programmes.empty:
                continue
            few = wording.few(study, contrast)
            page = ROOT + m.contrast_path(study, contrast)
            same = {
                "label": f"{study.name}: {wording.label(contrast.meta)}",
                "href": page,
                "n": wording.sizes(study, contrast),
                "group": role,
                "caveat": None,
                "badges": wording.badges(study, contrast),
                "cells": study.cells is not None,
            }
            for row in estimates.effects(contrast.programmes, data).to_dict("records"):
                entry: dict[str, Any] = {str(k): v for k, v in row.items()} | same
                anchor = m.block_anchor(str(row["programme"]), str(row["block"]))
                entry |= {
                    "source": f"{page}#{anchor}",
                    "null_p": None if few else _as_number(row),
                    "padj": None if few else row.get("padj"),
                }
                blocks = found.setdefault(str(row["programme"]), {})
                blocks.setdefault(str(row["block"]), []).append(entry)
    return found


def _drivers(data: m.ReportData) -> dict[tuple[str, str], pd.DataFrame]:
    """Return programme and block → the genes that carry it, the strongest of every contrast."""
    key, parts = ["programme", "block"], []
    for _, members in data.by_role():
        for study, contrast in members:
            if contrast.drivers is None or contrast.drivers.empty:
                continue
            table = contrast.drivers.astype(dict.fromkeys(key, str))
            size = table["contribution"].abs()
            whole = size.groupby([table[k] for k in key]).transform("sum")
            table = table.assign(share=100 * size / whole, pvalue=float("nan"))
            order = size.sort_values(ascending=False, kind="stable").index
            frame = estimates.gene_frame(table.loc[order].groupby(key).head(DRIVERS))
            name = f"{study.name}: {wording.label(contrast.meta)}"
            page = ROOT + m.contrast_path(study, contrast)
            frame["contrast"] = c.local(name, page)
            frame["gene"] = [
                c.local(s, f"{ROOT}gene.html#{g}")
                for s, g in zip(frame["label"], frame["gene_id"].astype(str), strict=True)
            ]
            frame["source"] = f"{page}#genes"
            if wording.few(study, contrast):
                frame["padj"] = float("nan")
            parts.append(frame)
    if not parts:
        return {}
    whole = pd.concat(parts, ignore_index=True)
    return {(str(k[0]), str(k[1])): rows for k, rows in whole.groupby(key)}


def _coverage(data: m.ReportData) -> Markup | None:
    """Return how many of the listed genes are known, block by block."""
    if data.coverage is None:
        return None
    info = data.programme_info
    frame = data.coverage.assign(
        title=[estimates.programme_title(info, p) for p in data.coverage["programme"]],
        part=[
            estimates.block_title(info, p, b)
            for p, b in zip(data.coverage["programme"], data.coverage["block"], strict=True)
        ],
    )
    for column in ("former", "unknown", "no_counterpart", "differs"):
        frame[column] = frame[column].str.replace("|", ", ")
    return c.table(
        frame,
        COVERAGE_COLUMNS,
        caption="Genes of the programmes that are known in each organism",
        name="programme-coverage",
        order="as listed",
    )


def _as_number(row: Mapping[Hashable, Any]) -> float | None:
    value = row.get("pvalue_competitive")
    return None if value is None or c.is_missing(value) else float(value)


def _genes(data: m.ReportData, programme: str) -> Markup:
    if data.programmes is None:
        return c.not_computed("the list of genes")
    own = data.programmes[data.programmes["programme"].astype(str) == programme].copy()
    if "in_denervation_signature" in own:
        flag = m.truth(own["in_denervation_signature"])
        own["in_denervation_signature"] = flag.map({True: "yes", False: "no"})
    own["block"] = [
        estimates.block_title(data.programme_info, programme, block) for block in own["block"]
    ]
    caption = "Genes of the programme"
    return c.table(own, GENE_COLUMNS, caption=caption, name=f"{programme}-genes", order="by block")
