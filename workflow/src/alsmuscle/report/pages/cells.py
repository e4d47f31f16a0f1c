"""Pages of single-cell studies: which cells there are, which of them carry what, and how sure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.html import plots
from alsmuscle.report.pages import cell_maps, expression, raw_reads
from alsmuscle.report.pages import study as bulk
from alsmuscle.report.pages.cell_maps import UNASSIGNED, type_order
from alsmuscle.report.site import Site
from alsmuscle.stats import distributions

QC_COLUMNS = (
    c.Column("sample_id", "Sample"),
    c.Column("condition", "Group"),
    c.Column("n_barcodes", "Barcodes read", "count"),
    c.Column("n_kept", "Kept", "count"),
    c.Column("median_counts", "Median counts", "count"),
    c.Column("median_genes", "Median genes", "count"),
    c.Column("median_pct_mito", "Mitochondrial %", "number", 1),
    c.Column("min_counts", "Counts from", "count", title="Threshold from this sample's spread"),
    c.Column("max_counts", "Counts to", "count"),
    c.Column("min_genes", "Genes from", "count"),
    c.Column("max_pct_mito", "Mitochondrial % to", "number", 1),
    c.Column("doublets", "Doublets %", "number", 1, title="Called / expected from the load"),
    c.Column("ambient", "Ambient RNA %", "number", 1, title="Estimated share of counts"),
    c.Column("ambient_source", "Ambient RNA from"),
    c.Column("flag", "Unlike the other samples"),
    c.Column("skipped", "Left out because"),
)
CLUSTER_COLUMNS = (
    c.Column("cluster", "Cluster"),
    c.Column("n_cells", "Barcodes", "count"),
    c.Column("cell_type", "Name"),
    c.Column("score", "Score", "number", 2),
    c.Column("margin", "Lead", "number", 2, title="Over the best type of another lineage"),
    c.Column("runner_up", "Runner-up"),
    c.Column("near", "Fits almost as well"),
    c.Column("reason", "Why not named"),
    c.Column("top_genes", "Genes that stand out", title="Against all other barcodes"),
)
SHARE_COLUMNS = (
    c.Column("cell_type", "Cell type"),
    c.Column("share", "Mean share %", "number", 1),
    c.Column("effect", "Log odds ratio", "number", 2, True),
    c.Column("ci_low", "95 % from", "number", 2, True),
    c.Column("ci_high", "95 % to", "number", 2, True),
    c.Column("pvalue", "p", "p"),
    c.Column("padj", "Adjusted p", "p"),
)
GROUP_COLUMNS = (
    c.Column("condition", "Group of donors"),
    c.Column("group", "Barcodes with"),
    c.Column("gene", "Gene"),
    c.Column("n_donors", "Donors", "count"),
    c.Column("n_nuclei", "Barcodes", "count"),
    c.Column("n_positive", "Of them positive", "count"),
    c.Column("share", "Mean share %", "number", 2),
    c.Column("low", "95 % from", "number", 2),
    c.Column("high", "95 % to", "number", 2),
)


def carried(data: m.ReportData) -> list[tuple[str, str]]:
    """Return ``(programme, block)`` that only cells can decide: tested in a context of cell types.

    Without claims the headline is taken.
    """
    if data.synthesis is None:
        return list(data.headline)
    document = data.synthesis.document
    single = {
        name
        for name, context in document["contexts"].items()
        if context["cell_types"] != [m.TISSUE]
    }
    found = [
        tuple(test["target"].split("/", 1))
        for claim in document["claims"]
        for test in claim["tests"]
        if single & set(test["contexts"])
    ]
    return list(dict.fromkeys([*found, *data.headline]))


def line(study: m.StudyData) -> dict[str, Any]:
    """Return a study's line on the first page."""
    assert study.cells is not None
    found = study.cells.types.loc[study.cells.types["cell_type"] != UNASSIGNED, "cell_type"]
    return {
        "label": f"{study.name}: {study.card.get('title') or 'untitled study'}",
        "href": m.study_path(study),
        "text": f"{c.number(len(study.cells.map), 0)} {study.cells.material}, {found.nunique()} "
        f"named types, {len(study.contrasts)} comparisons of a cell type",
        "simulated": bool(study.card.get("simulated")),
        "badges": c.badge("simulated") if study.card.get("simulated") else Markup(""),
    }


def page(site: Site, data: m.ReportData, study: m.StudyData, drawn: Collection[str]) -> str:
    """Return a single-cell study's page; ``drawn``: paths of the figures that exist."""
    cells = study.cells
    assert cells is not None
    path = m.study_path(study)
    root = m.root(path)
    full = {name: root + link for name, link in cells.files.items()}
    return site.render(
        "cells.html.j2",
        path=path,
        heading=f"{study.name}: {study.card.get('title') or 'untitled study'}",
        failures=[wording.reason(x) for x in study.failures],
        material=cells.material,
        spots=cells.material == "spots",
        simulated=bool(study.card.get("simulated")),
        caveats=[wording.spaced(x) for x in bulk.as_list(study.card.get("caveats"))],
        n_cells=c.number(len(cells.map), 0),
        n_samples=cells.types["sample_id"].nunique(),
        n_types=cells.types.loc[cells.types["cell_type"] != UNASSIGNED, "cell_type"].nunique(),
        unassigned=f"{(cells.map['cell_type'].astype(str) == UNASSIGNED).mean() * 100:.0f} %",
        contrasts=[_contrast(data, study, name, root, full) for name in contrast_ids(study)],
        coexpression=_coexpression(data, cells, full.get("coexpression")),
        pictures={
            name: _picture(study, name, root, drawn, *words) for name, words in _WORDS.items()
        },
        clusters=c.table(
            cells.clusters,
            CLUSTER_COLUMNS,
            caption="Clusters and how they got their names",
            name=f"{study.card['id']}-clusters",
            full=full.get("clusters"),
        ),
        activity=full.get("activity"),
        qc=_qc(study, full.get("qc")),
        lost=_lost(cells, full.get("barcodes")),
        reads=raw_reads.section(study, data.parameters),
        n_flagged=int((cells.qc["flag"] != "").sum()),
        n_skipped=int((cells.qc["skipped"] != "").sum()),
        facts=bulk.card_facts(study),
        checked=bulk.checked_facts(study.card.get("facts")),
        samples=bulk.samples_table(study, root),
        levels=expression.link(study, root),
        checks=bulk.checks_table(study),
        completeness=study.completeness,
        account=full.get("completeness", ""),
        excluded=bulk.excluded_table(bulk.own(data.excluded, str(study.card["id"]))),
        files=[(name, full[name]) for name in sorted(full)],
    )


def contrast_ids(study: m.StudyData) -> list[str]:
    """Return the card's contrasts that were computed, in order."""
    return list(dict.fromkeys(str(k.meta["contrast"]) for k in study.contrasts))


# ---- contrasts ----------------------------------------------------------------------------------


def _contrast(
    data: m.ReportData, study: m.StudyData, name: str, root: str, full: Mapping[str, str]
) -> dict[str, Any]:
    """Return the section of one contrast: cell types × programmes, composition, links."""
    assert study.cells is not None
    own = [k for k in study.contrasts if k.meta["contrast"] == name]
    meta = own[0].meta
    long = _long(data, own)
    tested = [k for k in own if estimates.calls(k.de, data.alpha) is not None]
    shares = study.cells.composition[study.cells.composition["contrast"] == name].copy()
    shares["share"] = 100 * shares["mean_share"]
    title = str(meta["contrast_label"])
    # Without an effect of any programme a matrix of dashes would say nothing.
    empty = bool(long["effect"].isna().all())
    spots = study.cells.material == "spots"
    kind, kinds = ("group of spots", "groups of spots") if spots else ("cell type", "cell types")
    return {
        "id": c.slug(name),
        "label": title,
        "text": f"{len(tested)} of {len(own)} {kinds} can be tested"
        if tested
        else f"no {kind} can be tested: too few samples a side. What differs between them is "
        "described gene by gene, without an error",
        "whole": any(str(k.meta["cell_type"]).startswith("all ") for k in own) and not empty,
        "map": c.not_computed(
            "programme effects per cell type: an effect needs its error, and that more samples"
        )
        if empty
        else _map(data, study, long, title, root),
        "table": None
        if empty
        else c.table(
            long,
            (
                c.Column("what", "Programme or gene"),
                c.Column("cell_type", "Cell type"),
                c.Column("effect", "Effect (log2)", "number", 2, True),
                c.Column("ci_low", "95 % from", "number", 2, True),
                c.Column("ci_high", "95 % to", "number", 2, True),
                c.Column("padj", "Adjusted p", "p", title="Over all blocks of the cell type"),
                c.Column("sizes", "Samples"),
            ),
            caption=f"Which cells carry it: {title}",
            name=f"{study.card['id']}-{name}-cells",
            full=full.get(f"{name}/effects"),
        ),
        "types": [
            {
                "label": str(k.meta["cell_type"]),
                "href": root + m.contrast_path(study, k),
                "sizes": wording.sizes(study, k),
                "genes": estimates.gene_sentence(k, data.alpha),
                "badges": wording.badges(study, k),
            }
            for k in own
        ],
        "shares": c.table(
            shares.sort_values("pvalue", kind="stable"),
            SHARE_COLUMNS,
            caption=f"Composition: {title}",
            name=f"{study.card['id']}-{name}-composition",
            full=full.get(f"{name}/composition"),
            order="smallest p first" if shares["pvalue"].notna().any() else "as in the file",
        )
        if len(shares)
        else c.not_computed("composition: there is one cell type only"),
    }


def _long(data: m.ReportData, contrasts: list[m.ContrastData]) -> pd.DataFrame:
    """Return what only cells decide: one row per target and cell type, with its interval."""
    rows: list[dict[str, Any]] = []
    blocks = [
        None
        if k.programmes is None
        else estimates.effects(k.programmes, data).set_index(["programme", "block"])
        for k in contrasts
    ]
    for programme, block in carried(data):
        for k, table in zip(contrasts, blocks, strict=True):
            if programme == "GENE":
                found, title = _gene(k, block), f"gene {block}"
            elif programme == "RATIO" or table is None:
                continue
            else:
                key = (programme, block)
                found = table.loc[key].to_dict() if key in table.index else None
                title = estimates.programme_title(data.programme_info, programme, block)
            if found is None or (c.is_missing(found["effect"]) and not found.get("instead")):
                continue
            keys = ("effect", "ci_low", "ci_high", "padj", "instead")
            rows.append(
                {"what": title, "cell_type": str(k.meta["cell_type"])}
                | {key: found.get(key) for key in keys}
                | {"sizes": f"{k.meta['n_target']} v {k.meta['n_reference']}"}
            )
    columns = ["what", "cell_type", "effect", "ci_low", "ci_high", "padj", "instead", "sizes"]
    return pd.DataFrame(rows, columns=columns)


def _gene(contrast: m.ContrastData, symbol: str) -> dict[str, float] | None:
    """Return effect, Wald interval and adjusted p of a human symbol, in any spelling of case."""
    if contrast.de is None:
        return None
    rows = contrast.de[contrast.de["symbol"].astype(str).str.upper() == symbol.upper()]
    if rows.empty:
        return None
    row = estimates.gene_frame(rows.head(1)).iloc[0]
    found = {key: row[key] for key in ("ci_low", "ci_high", "padj")}
    return {"effect": row["log2fc"], **found}


def _map(
    data: m.ReportData, study: m.StudyData, long: pd.DataFrame, title: str, root: str
) -> Markup:
    if long.empty:
        return c.not_computed("programme effects per cell type")
    order = list(dict.fromkeys(long["what"]))
    wide = long.pivot(index="what", columns="cell_type", values="effect").loc[order]
    ends = zip(long["ci_low"], long["ci_high"], strict=True)
    sure = long.assign(sure=[c.direction(low, high) != 0 for low, high in ends])
    # All cells together first: what bulk tissue would show.
    wide = wide[sorted(wide.columns, key=lambda name: (not name.startswith("all "), name))]
    pages = {str(k.meta["cell_type"]): root + m.contrast_path(study, k) for k in study.contrasts}
    return plots.heatmap(
        wide,
        caption=f"Effects per cell type, log2 units; bold: the 95 % interval excludes 0. {title}",
        head="Programme",
        sure=sure.pivot(index="what", columns="cell_type", values="sure").loc[order, wide.columns],
        instead=long.pivot(index="what", columns="cell_type", values="instead").loc[
            order, wide.columns
        ],
        column_links=pages,
    )


# ---- tables -------------------------------------------------------------------------------------


def _all_groups(table: pd.DataFrame, defining: Collection[str]) -> pd.DataFrame:
    """Return the table with a row of nought for every defining group that no barcode is in.

    Names: ``none`` of the groups is "neither", ``several`` is "both".
    """
    found = [name for name in table["group"].unique() if name not in ("none", "several")]
    defining = list(dict.fromkeys([*defining, *found]))
    wanted = pd.MultiIndex.from_product(
        [table["condition"].unique(), defining, table["gene"].unique()],
        names=["condition", "group", "gene"],
    )
    there = pd.MultiIndex.from_frame(table[["condition", "group", "gene"]])
    none = wanted.difference(there, sort=False).to_frame(index=False)
    full = pd.concat([table, none.assign(n_nuclei=0, n_positive=0, share=np.nan)])
    said = {"none": f"neither {' nor '.join(defining)}", "several": " and ".join(defining)}
    only = {name: f"{name} only" for name in defining}
    return full.assign(group=full["group"].map(said | only).fillna(full["group"]))


def _coexpression(data: m.ReportData, cells: m.CellsData, full: str | None) -> Markup:
    """Return who expresses the myogenic factors: mean over donors, with an interval."""
    asked = data.parameters.get("cells", {}).get("coexpression", {}).get("defining", {})
    table = cells.coexpression
    if table.empty:
        return c.not_computed("who expresses MYOD1 and MYOG: a defining gene is not measured")
    rows = []
    every = _all_groups(table, list(asked))
    for keys, part in every.groupby(["condition", "group", "gene"], sort=False):
        x = 100 * part["share"].dropna().to_numpy(float)
        n = len(x)
        half = np.nan
        if n >= 3:
            half = float(distributions.half_width(x.std(ddof=1) / np.sqrt(n), n - 1))
        rows.append(
            dict(zip(("condition", "group", "gene"), keys, strict=True))
            | {"n_donors": n, "n_nuclei": part["n_nuclei"].sum()}
            | {"n_positive": part["n_positive"].sum(), "share": x.mean() if n else np.nan}
            # np.maximum keeps a missing end missing.
            | {"low": np.maximum(0.0, x.mean() - half) if n else np.nan}
            | {"high": x.mean() + half if n else np.nan}
        )
    order = {gene: place for place, gene in enumerate(dict.fromkeys(table["gene"]))}
    frame = pd.DataFrame(rows)
    frame["condition"] = frame["condition"].map(wording.level)
    frame = frame.sort_values(
        ["gene", "group", "condition"],
        key=lambda column: column.map(order) if column.name == "gene" else column,
        kind="stable",
    )
    return c.table(
        frame,
        GROUP_COLUMNS,
        caption="Who expresses the myogenic factors",
        name="coexpression",
        full=full,
        order="by gene, then by the genes that define the group; shares are means over donors",
    )


MOST_GENES = 40
"""Genes of the dot plot by type and group; the map can be coloured by any."""


def asked_genes(cells: m.CellsData) -> list[str]:
    """Return the genes of the dot plot: the myogenic factors,
    then markers of muscle's own cells.
    """
    own = cells.markers[cells.markers["cell_type"] != UNASSIGNED]
    types = sorted(own["cell_type"].astype(str).unique(), key=type_order)
    best = chosen_markers(cells.markers)
    found = list(dict.fromkeys(cells.coexpression["gene"].astype(str)))
    for kind in types:
        listed = own[(own["cell_type"] == kind) & own["gene"].isin(best["gene"].astype(str))]
        mine = [kind in str(names).split("; ") for names in listed["listed_for"]]
        found += listed.loc[mine, "gene"].astype(str).tolist()
    return list(dict.fromkeys(found))[:MOST_GENES]


def _group_names(types: pd.Series, conditions: pd.Series) -> tuple[pd.Series, list[str]]:
    """Name every cell type in every group of donors, in the order of the rows."""
    pairs = list(zip(types.astype(str), conditions.astype(str), strict=True))
    order = sorted(set(pairs), key=lambda pair: (type_order(pair[0]), pair[1]))
    names = {pair: f"{pair[0]}, {wording.level(pair[1])}" for pair in order}
    return pd.Series([names[pair] for pair in pairs], index=types.index), list(names.values())


def gene_levels(cells: m.CellsData) -> tuple[pd.DataFrame, list[str]]:
    """Return rows of the dot plot of genes by cell type and group, and the order of its lines."""
    table = cell_maps.by_group(cells, asked_genes(cells))
    if table.empty:
        return table, []
    highest = table.groupby("gene")["mean"].transform("max")
    names, order = _group_names(table["cell_type"], table["condition"])
    genes = list(dict.fromkeys(table["gene"]))
    rows = table.assign(
        cell_type=names,
        scaled=(table["mean"] / highest).fillna(0.0),
        gene=pd.Categorical(table["gene"], categories=genes, ordered=True),
    )
    return rows, order


def programme_levels(data: m.ReportData, cells: m.CellsData) -> tuple[pd.DataFrame, list[str]]:
    """Return rows of the dot plot of the first page's programmes by cell type and group."""
    wanted = pd.DataFrame(list(data.headline), columns=["programme", "block"])
    rows = wanted.merge(cells.activity, on=["programme", "block"])
    if rows.empty:
        return rows, []
    titles = [
        estimates.programme_title(data.programme_info, p, b)
        for p, b in zip(rows["programme"], rows["block"], strict=True)
    ]
    low, high = (rows.groupby(["programme", "block"])["mean"].transform(k) for k in ("min", "max"))
    names, order = _group_names(rows["cell_type"], rows["condition"])
    rows = rows.assign(
        cell_type=names,
        gene=pd.Categorical(titles, categories=list(dict.fromkeys(titles)), ordered=True),
        scaled=((rows["mean"] - low) / (high - low)).fillna(0.0),
        detected=np.sqrt(rows["n_cells"] / rows["n_cells"].max()),
    )
    return rows, order


def _qc(study: m.StudyData, full: str | None) -> Markup:
    assert study.cells is not None
    frame = study.cells.qc.copy()
    if study.samples is not None:
        groups = study.samples.set_index("sample_id")["condition"]
        frame["condition"] = frame["sample_id"].map(groups)
    frame["doublets"] = 100 * frame["doublet_share"]
    frame["flag"] = frame["flag"].map(wording.words, na_action="ignore")
    frame["ambient"] = 100 * frame["ambient_share"]
    frame.loc[~np.isfinite(frame["max_counts"]), "max_counts"] = np.nan
    return c.table(
        frame, QC_COLUMNS, caption="Quality per sample", name=f"{study.card['id']}-qc", full=full
    )


def _lost(cells: m.CellsData, full: str | None) -> Markup:
    wide = cells.barcodes.pivot(index="sample_id", columns="reason", values="n").fillna(0)
    reasons = [name for name in wide.sum().sort_values(ascending=False).index if name != "kept"]
    reasons = (["kept"] if "kept" in wide else []) + reasons
    columns = [c.Column("sample_id", "Sample"), *(c.Column(r, r, "count") for r in reasons)]
    return c.table(
        wide[reasons].reset_index(),
        columns,
        caption="Barcodes kept and left out, by reason",
        name="barcodes",
        full=full,
    )


# ---- figures ------------------------------------------------------------------------------------

_WORDS: dict[str, tuple[str, str, tuple[int, int]]] = {
    "umap-type": (
        "UMAP of all barcodes, coloured by {types}. The cluster table holds the names.",
        "Every point is one of the {cells}, coloured by {types}; near means alike. Distances "
        "between groups mean little.",
        (860, 520),
    ),
    "sections": (
        "Spots at their places on the tissue sections, coloured by {types}.",
        "Spots where they lie on their section, by {types}; "
        "{cells} of different sections are not aligned.",
        (860, 520),
    ),
    "umap-sample": (
        "UMAP of all barcodes, coloured by sample: types should mix samples.",
        "The same by sample. A group of one colour is one sample's own, or a batch.",
        (860, 520),
    ),
    "umap-programmes": (
        "UMAPs coloured by the score of each programme of the first page.",
        "Scores of single barcodes, for orientation. Differences between donors stand in the "
        "tables.",
        (960, 760),
    ),
    "genes-by-group": (
        "Dot plot: expression of the myogenic factors and of markers, by {types} and group.",
        "Genes by {types} and group of donors. Size: share of {cells} that show the gene; "
        "colour: mean, relative to the gene's highest. All donors of a group together: read "
        "differences in the tables of effects.",
        (960, 560),
    ),
    "programmes-by-group": (
        "Dot plot: level of each programme of the first page, by {types} and group.",
        "Programmes by {types} and group of donors. Size: number of {cells}; colour: level, "
        "from the programme's lowest to its highest.",
        (860, 560),
    ),
    "composition": (
        "Stacked bars: every sample, by {types}.",
        "Shares of every sample, by {types}.",
        (860, 420),
    ),
    "markers": (
        "Dot plot: mean expression and detection of panel markers in the named types.",
        "Panel markers by name. Size: share of barcodes that show it; colour: mean, relative "
        "to the highest cluster.",
        (960, 520),
    ),
}


def _base(study: m.StudyData, name: str) -> str:
    return f"figures/{c.file_name(study.card['id'])}.{name}"


def figures(study: m.StudyData, data: m.ReportData) -> dict[str, str | bytes]:
    """Return the static figures of a single-cell study: path below the report folder to bytes.

    Cells become one bitmap inside them: a vector mark each would take many megabytes.
    """
    from alsmuscle.report.html import figures as f

    cells = study.cells
    assert cells is not None
    table = cells.map.iloc[cell_maps.drawn(cells)]
    types, samples = table["cell_type"].astype(str), table["sample_id"].astype(str)
    blocks = {
        name: estimates.programme_title(data.programme_info, *name.split("/", 1))
        for name in map(str, table.columns)
        if "/" in name
    }
    paint = cell_maps.colours(cells)
    made = {
        "umap-type": f.umap(table, types, last=UNASSIGNED, colours=paint),
        "umap-sample": f.umap(table, samples),
        "composition": f.stacked_shares(cells.types, last=UNASSIGNED, colours=paint),
    }
    if cell_maps.has_sections(cells):
        places, titles = cell_maps.sections(cells)
        own = table[["sample_id"]].join(places.loc[table.index])
        made["sections"] = f.sections(own, types, titles, last=UNASSIGNED, colours=paint)
    if blocks:
        made["umap-programmes"] = f.umap_scores(table, blocks)
    chosen = chosen_markers(cells.markers)
    if len(chosen):
        made["markers"] = f.dots(chosen, order=sorted(set(chosen["cell_type"]), key=type_order))
    genes, lines = gene_levels(cells)
    if lines:
        made["genes-by-group"] = f.dots(genes, order=lines)
    programmes, lines = programme_levels(data, cells)
    if lines:
        label = "level, from lowest to highest"
        made["programmes-by-group"] = f.dots(programmes, order=lines, label=label)
    files: dict[str, str | bytes] = {}
    for name, figure in made.items():
        path = f"{_base(study, name)}.svg"
        if name in _DRAWN_BY:
            files[path] = f.to_svg(figure)
        else:
            files |= c.drawing_files(path, f.to_svg(figure, dpi=300))
    return files


def chosen_markers(markers: pd.DataFrame, per_type: int = 3) -> pd.DataFrame:
    """Return mean and detection, per type, of the listed markers that each named type shows most.

    Clusters of one name are averaged. Columns ``cell_type, gene, detected, scaled``.
    """
    table = markers.groupby(["cell_type", "gene", "listed_for"], as_index=False)[
        ["detected", "scaled"]
    ].mean()
    named = table[table["cell_type"] != UNASSIGNED]
    listed = [
        t in str(names).split("; ")
        for t, names in zip(named["cell_type"], named["listed_for"], strict=True)
    ]
    own = named[listed].assign(strength=lambda t: t["scaled"] * t["detected"])
    own = own.sort_values(["cell_type", "strength"], ascending=[True, False], kind="stable")
    genes = list(dict.fromkeys(own.groupby("cell_type", sort=False).head(per_type)["gene"]))
    out = table[table["gene"].isin(genes)].copy()
    out["gene"] = pd.Categorical(out["gene"], categories=genes, ordered=True)
    return out.sort_values(["cell_type", "gene"], ignore_index=True)


_DRAWN_BY = {
    "umap-type": cell_maps.specification,
    "sections": cell_maps.section_specification,
}
"""What draws a figure in the page, which saves every view; others are pictures."""


def _picture(
    study: m.StudyData,
    name: str,
    root: str,
    drawn: Collection[str],
    alt: str,
    caption: str,
    size: tuple[int, int],
) -> Markup:
    path = _base(study, name)
    if f"{path}.svg" not in drawn:
        return Markup("")
    width, height = size
    cells = study.cells
    assert cells is not None
    types = "what spots are rich in" if cells.material == "spots" else "cell type"
    return c.figure(
        name=name,
        image=f"{root}{path}.svg",
        alt=alt.format(cells=cells.material, types=types),
        caption=caption.format(cells=cells.material, types=types),
        plot=draw(study) if (draw := _DRAWN_BY.get(name)) else None,
        drawing=None if draw else c.drawing_name(f"{path}.svg"),
        downloads=[("SVG", f"{root}{path}.svg")],
        width=width,
        height=height,
    )
