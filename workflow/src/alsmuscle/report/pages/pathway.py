"""One gene set in one comparison: where its genes lie in the ranking,
and which of them drive it.
"""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from alsmuscle.design.marks import BARRING
from alsmuscle.genesets.pathways import positions, ranked_genes
from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.site import Site

PATH = "pathway.html"
MOST = 500
"""Sets per comparison and collection that can be opened: those with the smallest p."""
STEPS = 200
"""Points of the drawn ranking."""


def link(
    data: m.ReportData,
    study: m.StudyData,
    contrast: m.ContrastData,
    collection: str,
    term: str,
    *,
    root: str,
) -> Markup:
    """Return a set's reading name, linked to where it opens."""
    title = c.set_name(term)
    if collection not in data.gene_sets or not can_open(data, contrast):
        return escape(title)
    parts = (m.contrast_key(study, contrast), collection, term)
    # names of sets hold colons and slashes, which a plain relative link must not
    place = "/".join(quote(part, safe="") for part in parts)
    return Markup('<a href="{}{}#{}">{}</a>').format(root, PATH, place, title)


def doubt(study: m.StudyData, contrast: m.ContrastData) -> str:
    """Return the marks that bar a comparison, in words: each says which doubt it is."""
    barring = {"small", *BARRING}
    found = [
        f"{c.BADGES[kind][0]}{f': {text}' if text else ''}"
        for kind, text in wording.marks(study, contrast)
        if kind in barring
    ]
    return "; ".join(text.lstrip("▲▽ ") for text in found)


def page(site: Site, data: m.ReportData) -> str:
    """Return ``pathway.html``, which draws a set from its comparison's data script."""
    spec = [
        {
            "key": m.contrast_key(study, contrast),
            "label": f"{study.name}: {wording.label(contrast.meta)}",
            "sizes": wording.sizes(study, contrast),
            "href": m.contrast_path(study, contrast),
            "role": role,
            "doubt": doubt(study, contrast),
        }
        for role, members in data.by_role()
        for study, contrast in members
        if can_open(data, contrast)
    ]
    return site.render(
        "pathway.html.j2",
        path=PATH,
        heading="One pathway",
        spec=Markup(c.embed_json(spec)),
        # published effects alone are ranked, but have no samples to test sets with
        everywhere=any(k.sets is not None and len(k.sets) for _, k in data.contrasts()),
    )


def can_open(data: m.ReportData, contrast: m.ContrastData) -> bool:
    """Return whether a comparison's sets can be opened:
    it was ranked, and their genes are known.
    """
    ranked = contrast.gsea is not None and len(contrast.gsea) > 0
    return bool(data.gene_sets) and ranked and contrast.de is not None and "stat" in contrast.de


def source(study: m.StudyData, contrast: m.ContrastData) -> str:
    """Return the name of the data script with a comparison's ranking and sets."""
    return f"ranks-{m.contrast_key(study, contrast)}"


def script(data: m.ReportData, study: m.StudyData, contrast: m.ContrastData) -> str | None:
    """Return the data script of a comparison's sets; ``None`` where none can be opened.

    ``n`` genes are ranked by the test's statistic, as the table of pathways was; ``steps``: the
    statistic at even distances; ``genes``: every gene of the sets in the order of the ranking
    (place, id, symbol, statistic, log2 fold change, half of its interval, adjusted p); ``sets``:
    collection → name → reading name, numbers of the tables, and which of ``genes`` it holds.
    """
    if not can_open(data, contrast):
        return None
    assert contrast.de is not None and contrast.gsea is not None
    human = str(study.card.get("organism") or "human") == "human"
    ranked = ranked_genes(contrast.de, names=None if human else data.human_symbols)
    names = pd.Index(ranked["name"])
    rows = _rows(contrast, tested=not wording.few(study, contrast))
    wanted = {
        collection: {term: data.gene_sets[collection].get(term, ()) for term in part}
        for collection, part in rows.items()
        if collection in data.gene_sets
    }
    placed = positions(names, wanted, 1, max(len(names), 1))
    member = np.zeros(len(names), dtype=bool)
    for sets in placed.values():
        for where in sets.values():
            member[where] = True
    order = np.cumsum(member) - 1
    statistic = ranked["stat"].to_numpy(dtype=float)
    steps = np.unique(np.linspace(0, len(statistic) - 1, STEPS).round().astype(int))
    payload = {
        "n": len(names),
        "steps": [[int(i), _short(statistic[i])] for i in steps],
        "genes": _genes(contrast.de, ranked, np.flatnonzero(member)),
        "sets": {
            collection: {
                term: [*rows[collection][term], order[where].tolist()]
                for term, where in sets.items()
            }
            for collection, sets in placed.items()
        },
    }
    return c.data_script(source(study, contrast), payload)


def _rows(contrast: m.ContrastData, *, tested: bool) -> dict[str, dict[str, list[Any]]]:
    """Collection → set → its reading name and numbers: effect, its interval, adjusted p, score,
    NES.
    """
    table = contrast.gsea
    assert table is not None
    table = table[["collection", "term", "es", "nes", "pvalue"]]
    columns = ["effect", "ci_low", "ci_high", "padj_competitive", "pvalue_competitive"]
    keys = ["collection", "term"]
    if contrast.sets is not None and len(contrast.sets):
        table = table.merge(contrast.sets[[*keys, *columns]], on=keys, how="left")
    table = table.reindex(columns=[*keys, "es", "nes", "pvalue", *columns])
    strength = table["pvalue_competitive"].fillna(table["pvalue"])
    table = table.loc[strength.sort_values(kind="stable").index]
    if not tested:
        table = table.assign(padj_competitive=np.nan)
    found: dict[str, dict[str, list[Any]]] = {}
    shown = ["effect", "ci_low", "ci_high", "padj_competitive", "es", "nes"]
    for collection, part in table.groupby("collection", sort=False):
        kept = part.head(MOST)
        values = kept[shown].astype(float).to_numpy().tolist()
        found[str(collection)] = {
            str(term): [c.set_name(str(term)), *map(_short, row)]
            for term, row in zip(kept["term"], values, strict=True)
        }
    return found


def _genes(de: pd.DataFrame, ranked: pd.DataFrame, where: np.ndarray) -> list[list[Any]]:
    chosen = ranked.iloc[where]
    frame = estimates.gene_frame(de).set_index("gene_id").loc[chosen["gene_id"]]
    half = (frame["ci_high"] - frame["log2fc"]).astype(float)
    values = zip(
        where.tolist(),
        chosen["gene_id"].astype(str),
        frame["label"],
        *(
            map(_short, column.astype(float).tolist())
            for column in (chosen["stat"], frame["log2fc"], half, frame["padj"])
        ),
        strict=True,
    )
    return [list(row) for row in values]


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
