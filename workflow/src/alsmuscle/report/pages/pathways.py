"""Pathways across comparisons: which gene sets move where, as dots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from alsmuscle.report import model as m
from alsmuscle.report import wording
from alsmuscle.report.html import components as c
from alsmuscle.report.html import plots
from alsmuscle.report.pages import calls, pathway
from alsmuscle.report.site import Site

PATH = "pathways.html"
MOST = 50
"""Sets per collection that are drawn: those with the smallest p in any comparison."""


def has_sets(data: m.ReportData) -> bool:
    """Return whether any comparison has tested gene sets."""
    return any(k.sets is not None and len(k.sets) for _, k in data.contrasts())


def page(site: Site, data: m.ReportData) -> str:
    """Return ``pathways.html``: one dot plot per collection."""
    table, columns = _collected(data)
    return site.render(
        "pathways.html.j2",
        path=PATH,
        heading="Pathways in every comparison",
        alpha=f"{data.alpha:g}",
        without=_without_als(data),
        collections=[
            {"name": _words(name), **_dots(data, str(name), rows, columns)}
            for name, rows in table.groupby("collection", sort=False)
        ],
    )


def _without_als(data: m.ReportData) -> Markup:
    """Say why no column is about ALS; nothing where one is."""
    als = [
        (study, contrast)
        for study, contrast in data.contrasts()
        if str(contrast.meta.get("role") or study.card.get("role")).startswith("als_")
    ]
    if any(k.sets is not None and len(k.sets) for _, k in als):
        return Markup("")
    said = [
        Markup("{} {}").format(
            c.local(
                f"{study.name}: {wording.label(contrast.meta)}", m.contrast_path(study, contrast)
            ),
            "has published effects, without the samples that a test of gene sets needs"
            + ("; its genes are ranked on its own page" if _has_ranking(contrast) else "")
            if contrast.meta.get("evidence") == "published"
            else "could not be tested: too few samples, or too few genes of the sets",
        )
        for study, contrast in als
    ] or [Markup("this run holds no comparison of ALS with effects of all genes")]
    if calls.has_lists(data.synthesis):
        said.append(Markup("published lists of called genes hold no effects to rank"))
    return Markup("No column is about ALS: {}.").format(Markup("; ").join(said))


def _has_ranking(contrast: m.ContrastData) -> bool:
    """Return whether a comparison's genes were ranked and their sets scored (GSEA)."""
    return contrast.gsea is not None and len(contrast.gsea) > 0


def _collected(data: m.ReportData) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Return the tested sets of all comparisons, and what stands above each column."""
    parts, columns = [], dict[str, dict[str, Any]]()
    for _, pairs in data.by_role():
        for study, contrast in pairs:
            if contrast.sets is None or contrast.sets.empty:
                continue
            key = m.contrast_key(study, contrast)
            columns[key] = {
                "label": f"{study.name}: {wording.label(contrast.meta)}",
                "href": m.contrast_path(study, contrast),
                "study": study,
                "contrast": contrast,
                "doubt": wording.barred(contrast.meta) or wording.few(study, contrast),
            }
            part = contrast.sets[["collection", "term", "effect", "size"]].assign(key=key)
            # too few donors take every p
            padj = np.nan if wording.few(study, contrast) else contrast.sets["padj_competitive"]
            parts.append(part.assign(padj=padj))
    return pd.concat(parts, ignore_index=True), columns


def _dots(
    data: m.ReportData, name: str, rows: pd.DataFrame, columns: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    strength = rows.groupby("term")["padj"].min()
    if strength.isna().all():
        strength = -rows.assign(size_of=rows["effect"].abs()).groupby("term")["size_of"].max()
    chosen = strength.sort_values(kind="stable").head(MOST).index
    shown = rows[rows["term"].isin(chosen)]
    effect = shown.pivot(index="term", columns="key", values="effect")
    padj = shown.pivot(index="term", columns="key", values="padj").reindex_like(effect)
    order = effect.mean(axis=1).sort_values(ascending=False, kind="stable").index
    keys = [key for key in columns if key in effect]
    labels = [columns[key]["label"] + (" ▲" if columns[key]["doubt"] else "") for key in keys]
    # a set opens in the comparison where it is strongest
    first = (
        shown.sort_values("padj", kind="stable").drop_duplicates("term").set_index("term")["key"]
    )
    opened = {}
    for term in order:
        own = columns[first[term]]
        opened[term] = pathway.link(data, own["study"], own["contrast"], name, str(term), root="")
    return {
        "n": len(strength),
        "drawn": len(order),
        "plot": plots.dot_matrix(
            effect.loc[order, keys]
            .set_axis([opened[term] for term in order])
            .set_axis(labels, axis=1),
            padj.loc[order, keys].to_numpy(dtype=float),
            caption=f"{_words(name)}: mean change of a set's genes, log2 units",
            head="Gene set",
            column_links={
                label: columns[key]["href"] for label, key in zip(labels, keys, strict=True)
            },
        ),
    }


def _words(name: object) -> str:
    return c.set_name(str(name))


def link(data: m.ReportData, root: str) -> Markup:
    """Return the link to the page; nothing without gene sets."""
    return (
        c.local("The same sets in every comparison", root + PATH) if has_sets(data) else Markup("")
    )
