"""What comparisons share: genes and blocks that go up or down in any of them, for the page to
count.
"""

from __future__ import annotations

from markupsafe import Markup

from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.site import Site

CHOSEN = 4
"""Comparisons that are chosen when the page opens."""


def page(site: Site, data: m.ReportData) -> str:
    """Return ``shared.html``: the reader chooses comparisons, the page counts what they share."""
    chosen: list[int] = []
    place = 0
    for _, members in data.by_role():
        whole = [i for i, (_, k) in enumerate(members, place) if not k.meta.get("cell_type")]
        # Two of the first condition, ALS where it takes part, and one of what it is held against.
        chosen += whole[: 1 if chosen else 2]
        place += len(members)
    spec = {
        "contrasts": [
            {
                "role": role,
                "study": s.name,
                "label": wording.label(k.meta),
                "sizes": wording.sizes(s, k),
                "href": m.contrast_path(s, k),
                "cells": bool(k.meta.get("cell_type")),
                "simulated": wording.is_marked(s, k, "simulated"),
            }
            for role, members in data.by_role()
            for s, k in members
        ],
        "chosen": chosen[:CHOSEN],
        "alpha": data.alpha,
    }
    return site.render(
        "shared.html.j2",
        path="shared.html",
        heading="Shared changes",
        alpha=f"{data.alpha:g}",
        spec=Markup(c.embed_json(spec)),
    )


def script(data: m.ReportData) -> str:
    """Return the data script of the page.

    ``genes``: symbols, of a mouse gene that of its human counterpart; ``blocks``: names;
    ``calls`` and ``moves``: per comparison the places of the genes (blocks) that are higher and
    that are lower; ``tested``: how many genes it tested. Genes are called at the threshold on
    adjusted p, blocks as :func:`alsmuscle.report.estimates.verdict` does.
    """
    names: dict[str, int] = {}
    blocks: dict[str, int] = {}
    calls, moves, tested = [], [], []
    symbols = _human_symbols(data)
    for _, members in data.by_role():
        for _, k in members:
            up: list[int] = []
            down: list[int] = []
            n = 0
            if k.de is not None and "padj" in k.de and len(k.de):
                n = int(k.de["padj"].notna().sum())
                hit = k.de[(k.de["padj"] < data.alpha) & k.de["log2fc"].notna()]
                ids = hit["gene_id"].astype(str)
                twins = [data.orthologs.get(g, g) for g in ids]
                own = hit["symbol"].where(hit["symbol"].notna() & (hit["symbol"] != ""), ids)
                for gene, symbol, x in zip(twins, own.astype(str), hit["log2fc"], strict=True):
                    place = names.setdefault(symbols.get(gene, symbol), len(names))
                    (up if x > 0 else down).append(place)
            calls.append([sorted(up), sorted(down)])
            tested.append(n)
            higher: list[int] = []
            lower: list[int] = []
            if k.programmes is not None and len(k.programmes):
                rows = estimates.effects(k.programmes, data).drop(columns="caveat")
                found = estimates.verdict(rows, data.alpha)  # as the comparison's own page says
                for label in rows["label"].astype(str):
                    blocks.setdefault(label, len(blocks))
                higher = [blocks[label] for label in found["higher"]]
                lower = [blocks[label] for label in found["lower"]]
            moves.append([sorted(higher), sorted(lower)])
    payload = {
        "genes": list(names),
        "blocks": list(blocks),
        "calls": calls,
        "moves": moves,
        "tested": tested,
    }
    return c.data_script("shared", payload)


def _human_symbols(data: m.ReportData) -> dict[str, str]:
    """Return human gene id → symbol, of the genes that any comparison of human muscle measured."""
    found: dict[str, str] = {}
    for study in data.studies:
        if study.card.get("organism") != "human":
            continue
        for k in study.contrasts[:1]:  # all of a study measure the same genes
            if k.de is not None:
                known = k.de[k.de["symbol"].notna() & (k.de["symbol"] != "")]
                ids = known["gene_id"].astype(str)
                found |= dict(zip(ids, known["symbol"].astype(str), strict=True))
    return found
