"""Programme pages: the overview, and one page per programme."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.report import components as c
from alsmuscle.report import model as m
from alsmuscle.report.site import Site

GENE_COLUMNS = (
    c.Column("block", "Block"),
    c.Column("sign", "Sign"),
    c.Column("human_symbol", "Human gene"),
    c.Column("human", "Human gene"),
    c.Column("symbol", "Human gene"),
    c.Column("mouse_symbol", "Mouse gene"),
    c.Column("mouse", "Mouse gene"),
    c.Column("in_denervation_signature", "Denervation gene"),
    c.Column("source", "Source"),
)


def overview(site: Site, data: m.ReportData) -> str:
    """Return ``programmes.html``: programmes by contrasts as numbers and colour."""
    values: dict[str, dict[tuple[str, str], float]] = {}
    sure: dict[str, dict[tuple[str, str], bool]] = {}
    heads: dict[str, str] = {}
    links: dict[str, str] = {}
    legend, caveats = [], set()
    for _, members in data.by_role():
        for study, contrast in members:
            if contrast.programmes is None or contrast.programmes.empty:
                continue
            signs = "".join(c.BADGES[k][0][0] for k, _ in m.marks(study, contrast))
            name = f"{signs} {study.name}: {m.label(contrast.meta)}".strip()
            heads[name] = m.contrast_path(study, contrast)
            legend.append((name, m.sizes(study, contrast), m.badges(study, contrast)))
            for row in m.effects(contrast.programmes, data).to_dict("records"):
                key = (str(row["title"]), str(row["part"]))
                values.setdefault(name, {})[key] = row["effect"]
                known = c.direction(row["ci_low"], row["ci_high"]) != 0
                sure.setdefault(name, {})[key] = known
                links[key[0]] = m.programme_path(str(row["programme"]))
                if row["caveat"]:
                    caveats.add((key[0], links[key[0]], row["caveat"]))
    body = c.not_computed("programme effects")
    if values:
        frame = pd.DataFrame(values).sort_index(level=0, sort_remaining=False, kind="stable")
        marked = pd.DataFrame(sure).reindex_like(frame).eq(True)
        body = c.heatmap(
            frame.droplevel(0),
            caption="Programme effects in log2 units; bold: the 95 % interval excludes 0",
            head="Programme and block",
            sure=marked.droplevel(0),
            groups=[str(k[0]) for k in frame.index],
            row_links=links,
            column_links=heads,
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
        body=body,
        legend=legend,
        caveats=sorted(caveats),
        rest=[
            (m.programme_title(data.programme_info, p), m.programme_path(p)) for p in sorted(rest)
        ],
    )


def page(site: Site, data: m.ReportData, programme: str) -> str:
    """Return a programme's page: its caveat, its effect in every contrast, its genes."""
    path, info = m.programme_path(programme), data.programme_info.get(programme, {})
    parts: dict[str, list[dict[str, Any]]] = {}
    for role, members in data.by_role():
        for study, contrast in members:
            table = contrast.programmes
            if table is None or not (own := table["programme"].astype(str) == programme).any():
                continue
            for row in m.effects(table[own], data).to_dict("records"):
                entry: dict[str, Any] = {str(k): v for k, v in row.items()}
                entry |= {
                    "label": f"{study.name}: {m.label(contrast.meta)}",
                    "href": m.root(path) + m.contrast_path(study, contrast),
                    "n": m.sizes(study, contrast),
                    "group": role,
                    "caveat": None,
                    "badges": m.badges(study, contrast),
                    "null_p": None if m.few(study, contrast) else _as_number(row),
                    "padj": None if m.few(study, contrast) else row.get("padj"),
                }
                parts.setdefault(str(row["block"]), []).append(entry)
    frames = {block: pd.DataFrame(rows) for block, rows in parts.items()}
    span = c.domain(frames.values())
    title = {b: m.programme_title(data.programme_info, programme, b) for b in frames}
    blocks = [
        {
            "title": title[block],
            "caveat": info.get("caveats", {}).get(block),
            "plot": c.forest_plot(
                frame,
                caption=f"{title[block]}, all contrasts",
                head="Contrast",
                span=span,
            ),
        }
        for block, frame in frames.items()
    ]
    return site.render(
        "programme.html.j2",
        path=path,
        heading=m.programme_title(data.programme_info, programme),
        key=programme,
        description=info.get("description", ""),
        caveat=info.get("caveat", ""),
        blocks=blocks,
        genes=_genes(data, programme),
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
    caption = "Genes of the programme"
    return c.table(own, GENE_COLUMNS, caption=caption, name=f"{programme}-genes", order="by block")
