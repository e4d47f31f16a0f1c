"""What comparisons share: genes and blocks that go up or down in any of them, for the page to
count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.pages import calls
from alsmuscle.report.pages.expression import ALPHABET
from alsmuscle.report.site import Site

CHOSEN = 5
"""Most comparisons that are chosen when the page opens."""

_Member = tuple[m.StudyData, m.ContrastData] | int
"""A column of the page: a comparison, or the place of a list of called genes."""


def _members(data: m.ReportData) -> list[tuple[str, list[_Member]]]:
    """Return the columns under their roles: comparisons, then lists of called genes."""
    held, lists = dict(data.by_role()), calls.lists(data)
    found: list[tuple[str, list[_Member]]] = []
    for role in dict.fromkeys([*map(m.role_title, m.ROLES), *held]):
        own = [place for place, entry in enumerate(lists) if entry["role"] == role]
        members: list[_Member] = [*held.get(role, []), *own]
        if members:
            found.append((role, members))
    return found


def page(site: Site, data: m.ReportData) -> str:
    """Return ``shared.html``: the reader chooses comparisons, the page counts what they share."""
    chosen: list[int] = []
    columns: list[dict[str, Any]] = []
    lists = calls.lists(data)
    for role, members in _members(data):
        whole, called = [], []
        for member in members:
            if isinstance(member, int):
                called.append(len(columns))
                columns.append({**lists[member], "role": role, "called": True})
                continue
            study, contrast = member
            if not contrast.meta.get("cell_type"):
                whole.append(len(columns))
            columns.append(
                {
                    "role": role,
                    "study": study.name,
                    "label": wording.label(contrast.meta),
                    "sizes": wording.sizes(study, contrast),
                    "href": m.contrast_path(study, contrast),
                    "cells": bool(contrast.meta.get("cell_type")),
                    "simulated": wording.is_marked(study, contrast, "simulated"),
                }
            )
        # Of the first condition, ALS where it takes part, two and a list of called genes; one of
        # each of those it is held against.
        chosen += [*whole[:2], *called[:1]] if not chosen else whole[:1]
    spec = {"contrasts": columns, "chosen": chosen[:CHOSEN], "alpha": data.alpha}
    return site.render(
        "shared.html.j2",
        path="shared.html",
        heading="Shared changes",
        alpha=f"{data.alpha:g}",
        lists=bool(lists),
        spec=Markup(c.embed_json(spec)),
    )


def script(data: m.ReportData) -> str:
    """Return the data script of the page.

    ``genes``: symbols, of a mouse gene that of its human counterpart; ``blocks``: names;
    ``calls`` and ``moves``: per column the places of the genes (blocks) that are higher and that
    are lower; ``tested``: how many genes it tested; ``known``: per column which of ``masks`` says
    what it measured, a bit per gene (block), six in a character. Genes are called at the threshold
    on adjusted p, or by a published list, which says nothing of the others; blocks as
    :func:`alsmuscle.report.estimates.verdict` does.
    """
    names = _Names(data)
    blocks: dict[str, int] = {}
    listed: dict[int, tuple[list[int], list[int]]] = {}
    for gene, (symbol, _, found) in calls.by_gene(data).items():
        for place, side, *_ in found:
            listed.setdefault(place, ([], []))[side < 0].append(names.place(gene, symbol))
    columns = [member for _, members in _members(data) for member in members]
    changed: list[list[list[int]]] = []
    moves: list[list[list[int]]] = []
    tested, seen = list[int](), list[list[int]]()
    for member in columns:
        if isinstance(member, int):
            changed.append([sorted(part) for part in listed[member]])
            moves.append([[], []])
            tested.append(0)
            seen.append([])
            continue
        contrast = member[1]
        up, down, n = _called(contrast, data.alpha, names)
        changed.append([sorted(up), sorted(down)])
        tested.append(n)
        higher, lower, held = _moved(contrast, data, blocks)
        moves.append([sorted(higher), sorted(lower)])
        seen.append(held)
    masks: dict[str, int] = {}
    places = [[] if isinstance(k, int) else names.measured(k[1]) for k in columns]
    payload = {
        "genes": list(names.known),
        "blocks": list(blocks),
        "calls": changed,
        "moves": moves,
        "tested": tested,
        "known": {
            "calls": [masks.setdefault(_bits(x, len(names.known)), len(masks)) for x in places],
            "moves": [masks.setdefault(_bits(x, len(blocks)), len(masks)) for x in seen],
        },
        "masks": list(masks),
    }
    return c.data_script("shared", payload)


class _Names:
    """Places of the genes that change in any comparison, by the symbol of the human gene."""

    def __init__(self, data: m.ReportData) -> None:
        self.known: dict[str, int] = {}
        self._twins, self._symbols = data.orthologs, _human_symbols(data)
        self._names: dict[str, str] = {}

    def _name(self, gene: str, symbol: str) -> str:
        if gene not in self._names:
            self._names[gene] = self._symbols.get(self._twins.get(gene, gene), symbol)
        return self._names[gene]

    def place(self, gene: str, symbol: str) -> int:
        return self.known.setdefault(self._name(gene, symbol), len(self.known))

    def measured(self, contrast: m.ContrastData) -> list[int]:
        """Return the places of the genes that a comparison measured."""
        if contrast.de is None:
            return []
        rows = contrast.de[contrast.de["log2fc"].notna()]
        found = (self.known.get(self._name(*pair)) for pair in _named(rows))
        return [place for place in found if place is not None]


def _named(de: pd.DataFrame) -> Iterable[tuple[str, str]]:
    ids = de["gene_id"].astype(str)
    symbols = de["symbol"].where(de["symbol"].notna() & (de["symbol"] != ""), ids).astype(str)
    return zip(ids, symbols, strict=True)


def _called(
    contrast: m.ContrastData, alpha: float, names: _Names
) -> tuple[list[int], list[int], int]:
    """Return the places of the genes called up and down, and how many were tested."""
    up: list[int] = []
    down: list[int] = []
    de = contrast.de
    if de is None or "padj" not in de or not len(de):
        return up, down, 0
    hit = de[(de["padj"] < alpha) & de["log2fc"].notna()]
    for pair, x in zip(_named(hit), hit["log2fc"], strict=True):
        (up if x > 0 else down).append(names.place(*pair))
    return up, down, int(de["padj"].notna().sum())


def _moved(
    contrast: m.ContrastData, data: m.ReportData, blocks: dict[str, int]
) -> tuple[list[int], list[int], list[int]]:
    """Return the places of the blocks that are higher, lower, and measured well enough."""
    if contrast.programmes is None or not len(contrast.programmes):
        return [], [], []
    rows = estimates.effects(contrast.programmes, data).drop(columns="caveat")
    found = estimates.verdict(rows, data.alpha)  # as the comparison's own page says
    for label in rows["label"].astype(str):
        blocks.setdefault(label, len(blocks))
    held = rows.loc[rows["instead"].isna() & rows["effect"].notna(), "label"].astype(str)
    return (
        [blocks[label] for label in found["higher"]],
        [blocks[label] for label in found["lower"]],
        [blocks[label] for label in held],
    )


def _bits(places: list[int], n: int) -> str:
    """Return which of ``n`` are set, six in a character; empty where none is."""
    if not places:
        return ""
    held = np.zeros(-(-n // 6) * 6, dtype=np.int64)
    held[places] = 1
    codes = held.reshape(-1, 6) @ (1 << np.arange(6))
    return ALPHABET[codes].tobytes().decode("ascii")


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
