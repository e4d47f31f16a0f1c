"""The gene look-up page, its data scripts, and the search index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from markupsafe import Markup

from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.pages import calls
from alsmuscle.report.site import Site

BUCKETS = 128
"""Gene data is spread over this many script files, so that one look-up loads little."""


def page(site: Site, data: m.ReportData) -> str:
    """Return ``gene.html``: one page that draws any gene from its data script (``#id``)."""
    return site.render(
        "gene.html.j2", path="gene.html", heading="Gene look-up", spec=_spec(data, {})
    )


def set_page(site: Site, data: m.ReportData) -> str:
    """Return ``geneset.html``: heat maps of any genes (``#MYOG,CHRNA1``) or block
    (``#PROGRAMME/block``).
    """
    more = {"sets": _sets(data), "alpha": data.alpha}
    return site.render(
        "geneset.html.j2", path="geneset.html", heading="Sets of genes", spec=_spec(data, more)
    )


def _spec(data: m.ReportData, more: Mapping[str, object]) -> Markup:
    """Return what the scripts of the gene pages need to know of comparisons, as JSON."""
    contrasts = [
        {
            "label": wording.label(k.meta),
            "study": s.name,
            "href": m.contrast_path(s, k),
            "role": role,
            "sizes": wording.sizes(s, k),
            "marks": [c.BADGES[kind][0] for kind, _ in wording.marks(s, k)],
            "cells": bool(k.meta.get("cell_type")),
        }
        for role, members in data.by_role()
        for s, k in members
    ]
    spec = {
        "contrasts": contrasts,
        "roles": list(map(m.role_title, m.ROLES)),
        "als": [title for role, title in m.ROLES.items() if role.startswith("als_")],
        "buckets": BUCKETS,
        "pooled": data.synthesis is not None,
        "lists": calls.lists(data),
        "signature": _signature(data),
        **more,
    }
    return Markup(c.embed_json(spec))


def _signature(data: m.ReportData) -> list[str]:
    """Return the human symbols of the denervation signature."""
    table = data.programmes
    if table is None:
        return []
    own = (table["programme"] == calls.DENERVATION[0]) & (table["block"] == calls.DENERVATION[1])
    return [str(symbol) for symbol in table.loc[own, "symbol"]]


def _sets(data: m.ReportData) -> list[tuple[str, str, list[str]]]:
    """Return title, key and human symbols of every block of a programme."""
    table = data.programmes
    if table is None:
        return []
    found = []
    for (programme, block), part in table.groupby(["programme", "block"], sort=False):
        names = [str(x) for x in part["symbol"] if not c.is_missing(x)]
        title = estimates.programme_title(data.programme_info, str(programme), str(block))
        found.append((title, f"{programme}/{block}", list(dict.fromkeys(names))))
    return found


@cache
def bucket(gene: str) -> int:
    """Return which data script holds a gene; ``genes.js`` computes the same."""
    h = 0
    for char in gene:
        h = (h * 31 + ord(char)) % 65521
    return h % BUCKETS


Measured = tuple[list[str], list[str], list[str]]
"""Of one contrast: gene ids, labels, and the numbers of each gene as JSON."""


def measured(contrast: m.ContrastData) -> Measured | None:
    """Return what the gene page shows of a contrast, ``None`` without genes."""
    if contrast.de is None or contrast.de.empty:
        return None
    frame = estimates.gene_frame(contrast.de)
    frame["half"] = frame["ci_high"] - frame["log2fc"]
    values = frame[["log2fc", "half", "pvalue", "padj"]].astype(float).to_numpy()
    return (
        frame["gene_id"].astype(str).tolist(),
        frame["label"].astype(str).tolist(),
        _cells(values, 2),
    )


def scripts(
    site: Site, data: m.ReportData, found: Sequence[Measured | None] | None = None
) -> dict[str, str]:
    """Return the data scripts of the gene page and of the search: path to text.

    Per gene: symbol, organism; per contrast its place in the page's list, log2 fold change, half of
    its 95 % interval, p and adjusted p; per role pooled over it the place of the role, species,
    cell type, studies, effect, interval and adjusted p; the id of its counterpart in the other
    organism. A gene that published lists call has one part more: per list its place, 1 (up) or -1
    (down), the log2 fold change and the p that the list states. Genes that only lists hold have an
    entry too. ``found``: :func:`measured` of ``data.contrasts()``, where that is at hand.
    """
    records: dict[str, list[str]] = {}
    names: dict[str, tuple[str, str]] = {}
    pooled = _pooled(data)
    twins = {**data.orthologs, **{human: mouse for mouse, human in data.orthologs.items()}}
    contrasts = [k for _, k in data.contrasts()]
    if found is None:
        found = [measured(k) for k in contrasts]
    known = {id(k): genes for k, genes in zip(contrasts, found, strict=True)}
    members = [pair for _, pairs in data.by_role() for pair in pairs]
    for place, (study, contrast) in enumerate(members):
        genes = known[id(contrast)]
        organism = str(study.card.get("organism") or "")
        for gene, symbol, cells in zip(*genes, strict=True) if genes else ():
            records.setdefault(gene, []).append(f"[{place},{cells}]")
            names.setdefault(gene, (symbol, organism))
    listed = calls.by_gene(data)
    for gene, (symbol, organism, _) in listed.items():
        names.setdefault(gene, (symbol, organism))
    files: dict[int, list[str]] = {}
    for gene in sorted(names):
        head = c.embed_json([*names[gene]])[1:-1]
        twin = c.embed_json(twins.get(gene) if twins.get(gene) in names else None)
        called = f",{c.embed_json(listed[gene][2])}" if gene in listed else ""
        entry = (
            f"{c.embed_json(gene)}:[{head},[{','.join(records.get(gene, []))}],"
            f"[{','.join(pooled.get(gene, []))}],{twin}{called}]"
        )
        files.setdefault(bucket(gene), []).append(entry)
    made = {
        f"assets/data/gene-{i}.js": f'alsmuscle.receive("gene-{i}",{{{",".join(files[i])}}});\n'
        if i in files
        else f'alsmuscle.receive("gene-{i}",{{}});\n'
        for i in range(BUCKETS)
    }
    made["assets/data/search.js"] = c.data_script(
        "search",
        {
            "pages": _pages(site, data),
            "genes": _lines(names, data.former),
            "names": [[row["name"], row["means"], row["kind"]] for row in site.names],
        },
    )
    return made


def _cells(values: np.ndarray, estimated: int) -> list[str]:
    """Return each row of numbers as JSON; the ``estimated`` first columns with digits enough that
    pages which compute an interval's ends, or read them elsewhere, round to the same.
    """
    columns = []
    for place, column in enumerate(values.T):
        digits = "%.5g" if place < estimated else "%.3g"
        known = np.isfinite(column).tolist()
        columns.append(
            [
                digits % value if fine else "null"
                for value, fine in zip(column.tolist(), known, strict=True)
            ]
        )
    return list(map(",".join, zip(*columns, strict=True)))


def _pooled(data: m.ReportData) -> dict[str, list[str]]:
    """Gene id → its rows over all stages, one per role, species and cell type."""
    found: dict[str, list[str]] = {}
    if data.synthesis is None or data.synthesis.genes is None:
        return found
    table = data.synthesis.genes
    table = table[(table["stage"] == "") & table["role"].isin(m.ROLES)]
    place = {role: i for i, role in enumerate(m.ROLES)}
    keys = [table[k].astype(str) for k in ("key", "species", "cell_type")]
    columns = ["k", "effect", "ci_low", "ci_high", "padj"]
    values = table[columns].astype(float).to_numpy()
    heads: dict[tuple[str, str, str], str] = {}
    for gene, species, cells, role, row in zip(
        *keys, table["role"], _cells(values, 4), strict=True
    ):
        what = (role, species, cells)
        if what not in heads:
            heads[what] = c.embed_json([place[role], species, cells])[1:-1]
        found.setdefault(gene, []).append(f"[{heads[what]},{row}]")
    return found


def _lines(names: Mapping[str, tuple[str, str]], former: Mapping[str, str]) -> str:
    """Return one line per gene: symbol, id, organism, and former symbols and aliases."""
    rows = sorted(
        (symbol, gene, organism, former.get(gene, "")) for gene, (symbol, organism) in names.items()
    )
    return "\n".join("\t".join(" ".join(part.split()) for part in row).rstrip() for row in rows)


def _about(claim: Mapping[str, Any]) -> str:
    """Return in words what a claim is about, for the search."""
    return " ".join(str(claim.get(key) or "") for key in ("topic", "subject")).replace("_", " ")


def _not_selected(data: m.ReportData) -> list[list[str]]:
    """Return studies that were left out and have no page of their own, whatever the reason."""
    if data.excluded is None or "dataset" not in data.excluded:
        return []
    known = {str(study.card["id"]) for study in (*data.studies, *data.left_out)}
    rows = data.excluded[data.excluded["kind"] == "study"].drop_duplicates("dataset")
    return [
        [
            ": ".join(filter(None, (name.upper(), data.titles.get(name, "")))),
            "study left out",
            "index.html#out",
            str(reason),
        ]
        for name, reason in zip(rows["dataset"].astype(str), rows["reason"], strict=True)
        if name not in known
    ]


def _pages(site: Site, data: m.ReportData) -> list[list[str]]:
    pages = [
        [
            f"{s.name}: {s.card.get('title') or ''}",
            kind,
            m.study_path(s),
            f"{wording.what(s.card, {})} {m.role_title(s.card.get('role'))}",
        ]
        for kind, studies in (("study", data.studies), ("study left out", data.left_out))
        for s in studies
    ]
    pages += [
        [
            wording.label(k.meta),
            "comparison",
            m.contrast_path(s, k),
            f"{s.name} {wording.what(s.card, k.meta)}",
        ]
        for s, k in data.contrasts()
    ]
    pages += [
        [estimates.programme_title(data.programme_info, p), "programme", m.programme_path(p), p]
        for p in sorted(data.programme_names)
    ]
    if data.synthesis is not None:
        claims = [
            [f"{e['id']}: {e['statement']}", "claim", m.claim_path(e["id"]), _about(e)]
            for e in data.synthesis.document["claims"]
        ]
        pages = claims + pages
    pages += _not_selected(data)
    pages += [[e["term"], "glossary", f"glossary.html#{e['key']}", ""] for e in site.glossary]
    return pages
