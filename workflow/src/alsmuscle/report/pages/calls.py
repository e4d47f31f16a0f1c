"""The page of published lists of called genes, and what they say on the first page.

A list was cut at a threshold: it says which genes moved far, never by how much a programme moved.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.report import estimates
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.site import Site
from alsmuscle.synthesis.verdicts import CALLED

PATH = "calls.html"
DENERVATION = ("DENERVATION", "tier1_up")
ARROW = {"up": "↑", "down": "↓"}
KINDS = {"calls": "list", "effects": "published table", "samples": "samples"}
"""What a list is compared with, in words."""

BLOCKS = (
    c.Column("list", "List"),
    c.Column("role", "Role"),
    c.Column("n", "Donors"),
    c.Column("block", "Programme, block"),
    c.Column("up", "Called up"),
    c.Column("expected", "Expected by chance"),
    c.Column("p", "Exact p (adjusted)"),
    c.Column("genes", "Genes"),
)
OF_PROGRAMME = (
    c.Column("list", "List"),
    c.Column("role", "Role"),
    c.Column("n", "Donors"),
    c.Column("block", "Block"),
    c.Column("measured", "Measured genes"),
    c.Column("up", "Called up", title="Of the measured genes; in brackets, expected by chance"),
    c.Column("p_up", "Exact p, up", "p"),
    c.Column("down", "Called down", title="Of the measured genes; in brackets, expected by chance"),
    c.Column("p_down", "Exact p, down", "p"),
    c.Column("genes", "Genes"),
    c.Column("note", "Note"),
)
AGREEMENT = (
    c.Column("list", "List"),
    c.Column("other", "Compared with"),
    c.Column("shared", "Shared genes", "count"),
    c.Column("same", "Same direction"),
    c.Column("chance", "By chance", title="From the shares of up and down of both sides"),
    c.Column("study", "Independent?"),
)


def page(site: Site, data: m.ReportData, synthesis: m.Synthesis) -> str:
    """Return ``calls.html``."""
    genes, blocks = synthesis.called_genes, synthesis.called_blocks
    assert genes is not None and blocks is not None
    return site.render(
        "calls.html.j2",
        path=PATH,
        heading="Called genes",
        threshold="; ".join(sorted(set(genes["threshold"]))),
        caveats=caveats(data),
        genes=_genes(data, genes),
        blocks=_blocks(data, blocks),
        agreement=_agreement(data, synthesis.agreement),
    )


def has_lists(synthesis: m.Synthesis | None) -> bool:
    """Say whether any list of called genes takes part."""
    return (
        synthesis is not None
        and synthesis.called_genes is not None
        and len(synthesis.called_genes) > 0
    )


def lists(data: m.ReportData) -> list[dict[str, Any]]:
    """Return what the gene page says of every list, ALS first."""
    if not has_lists(data.synthesis):
        return []
    assert data.synthesis is not None and data.synthesis.called_genes is not None
    table = data.synthesis.called_genes.drop_duplicates(["dataset", "contrast"])
    rows = {(str(r.dataset), str(r.contrast)): r for r in table.itertuples()}
    return [
        {
            "study": study_name(data, key[0]),
            "label": label(data, *key),
            "role": m.role_title(rows[key].role),
            "als": str(rows[key].role).startswith("als_"),
            "species": str(rows[key].species),
            "sizes": sizes(rows[key].n_target, rows[key].n_reference),
            "threshold": str(rows[key].threshold),
            "href": PATH,
            "table": _table_of(data, rows[key]),
            "signature": _signature(data, key),
        }
        for key in _keys(data.synthesis.called_genes)
    ]


def _table_of(data: m.ReportData, row: Any) -> list[int]:
    """Return places, on the gene page, of comparisons of the same patients that have effects."""
    assert data.synthesis is not None
    of = data.synthesis.contrasts
    own = of[(of["cluster"] == row.cluster) & (of["role"] == row.role)]
    keys = set(zip(own["dataset"].astype(str), own["contrast"].astype(str), strict=True))
    members = [pair for _, pairs in data.by_role() for pair in pairs]
    return [i for i, pair in enumerate(members) if m.place(*pair)[:2] in keys]


def _signature(data: m.ReportData, key: tuple[str, str]) -> list[int] | None:
    """Return how many genes of the denervation signature a list's arrays measure, of how many."""
    found = [x for x in of_signature(data) if (x.dataset, x.contrast) == key]
    return [int(found[0].n_measured), int(found[0].n_genes)] if found else None


Call = tuple[int, int, float | None, float | None]
"""Of a gene in a list: the list's place, 1 (up) or -1 (down), stated log2 fold change and p."""


def by_gene(data: m.ReportData) -> dict[str, tuple[str, str, list[Call]]]:
    """Return gene id → symbol, organism and calls, in the order of :func:`lists`."""
    found: dict[str, tuple[str, str, list[Call]]] = {}
    if not has_lists(data.synthesis):
        return found
    assert data.synthesis is not None and data.synthesis.called_genes is not None
    place = {key: i for i, key in enumerate(_keys(data.synthesis.called_genes))}
    for r in data.synthesis.called_genes.itertuples():
        gene = str(r.gene_id)
        symbol = gene if c.is_missing(r.symbol) or not r.symbol else str(r.symbol)
        side = 1 if r.direction == "up" else -1
        call = (place[str(r.dataset), str(r.contrast)], side, _stated(r.log2fc), _stated(r.pvalue))
        found.setdefault(gene, (symbol, str(r.species), []))[2].append(call)
    for _, _, rows in found.values():
        rows.sort(key=lambda row: row[0])
    return found


def of_programme(data: m.ReportData, programme: str) -> Markup | None:
    """Return per list and complete block the genes called up and down, ``None`` without lists."""
    if data.synthesis is None or (table := data.synthesis.called_blocks) is None:
        return None
    table = table[(table["programme"].astype(str) == programme) & ~m.truth(table["stripped"])]
    if table.empty:
        return None
    table = table.assign(
        first=table["role"].ne("als_patient"), usable=m.truth(table["usable"])
    ).sort_values(["first", "dataset", "contrast"], kind="stable")
    rows = []
    for r in table.itertuples():
        sides = {}
        for side in ("up", "down"):
            chance = getattr(r, f"background_{side}") * r.n_measured / r.n_background
            sides[side] = f"{getattr(r, f'called_{side}')} ({chance:.1f})"
            sides[f"genes_{side}"] = str(getattr(r, f"genes_{side}") or "").replace(";", ", ")
        named = [f"{ARROW[s]} {sides[f'genes_{s}']}" for s in ARROW if getattr(r, f"called_{s}")]
        rows.append(
            {
                "list": f"{study_name(data, str(r.dataset))}: {label(data, r.dataset, r.contrast)}",
                "role": m.role_title(r.role),
                "n": sizes(r.n_target, r.n_reference),
                "block": estimates.block_title(data.programme_info, programme, str(r.block)),
                "measured": f"{r.n_measured} of {r.n_genes}",
                "up": sides["up"],
                "p_up": r.p_up,
                "down": sides["down"],
                "p_down": r.p_down,
                "genes": "; ".join(named),
                "note": "" if r.usable else "too few of its genes measured",
            }
        )
    return c.table(
        pd.DataFrame(rows, columns=[k.key for k in OF_PROGRAMME]),
        OF_PROGRAMME,
        caption="Genes of the programme that published lists call",
        name=f"{programme}-called",
        order="ALS first",
    )


def of_block(data: m.ReportData, programme: object, block: object) -> pd.DataFrame:
    """Return what all lists say of one block, complete: rows of ``called_blocks.tsv``; ``data`` has
    lists.
    """
    assert data.synthesis is not None and data.synthesis.called_blocks is not None
    table = data.synthesis.called_blocks
    return table[
        (table["programme"].astype(str) == str(programme))
        & (table["block"].astype(str) == str(block))
        & ~m.truth(table["stripped"])
    ]


def of_test(data: m.ReportData, row: pd.Series[Any]) -> list[Any]:
    """Return what the lists behind a test (a row of ``claims.tsv``) say of its block.

    Rows of ``called_blocks.tsv``; none for a test that effects decide.
    """
    if row["grade"] != CALLED or data.synthesis is None or data.synthesis.called_blocks is None:
        return []
    table = of_block(data, *str(row["target"]).split("/", 1))
    names = table["dataset"].astype(str) + "/" + table["contrast"].astype(str)
    return list(table[names.isin(str(row["studies"]).split(";"))].itertuples())


def of_same_patients(data: m.ReportData, row: pd.Series[Any]) -> list[Any]:
    """Return what lists of the studies behind a test with an effect say of its block.

    Rows of ``called_blocks.tsv`` of the role and the study, or studies, that the test was made of.
    """
    if c.is_missing(row["effect"]) or not has_lists(data.synthesis):
        return []
    assert data.synthesis is not None
    table, contrasts = of_block(data, *str(row["target"]).split("/", 1)), data.synthesis.contrasts
    names = contrasts["dataset"].astype(str) + "/" + contrasts["contrast"].astype(str)
    behind = contrasts[names.isin(str(row["studies"]).split(";"))]
    own = table[
        table["cluster"].isin(behind["cluster"])
        & table["role"].isin(behind["role"])
        & m.truth(table["usable"])
    ]
    return list(own.itertuples())


def named_genes(symbols: object) -> str:
    """Return symbols that a table joins by ``;`` as a reader's list."""
    return "" if c.is_missing(symbols) else str(symbols).replace(";", ", ")


def genes_called(lists: list[Any]) -> str:
    """Return which of a block's genes its lists (:func:`of_test`) call."""
    sides = [
        f"called {side}: {names}"
        for x in lists
        for side in ARROW
        if (names := named_genes(getattr(x, f"genes_{side}")))
    ]
    return "; ".join(sides)


def counted(lists: list[Any]) -> str:
    """Return in words how many of a block's genes its lists (:func:`of_test`) call."""
    return "; ".join(
        f"{x.called_up} up, {x.called_down} down of {x.n_measured} genes" for x in lists
    )


def in_other_diseases(data: m.ReportData) -> Markup | None:
    """Return the genes that lists call in ALS muscle beside all other lists, ``None`` without."""
    if not has_lists(data.synthesis):
        return None
    assert data.synthesis is not None and data.synthesis.called_genes is not None
    genes = data.synthesis.called_genes
    return _genes(data, genes) if genes["role"].eq("als_patient").any() else None


def _stated(value: object) -> float | None:
    """Three digits of a number that a list may state."""
    return None if c.is_missing(value) else float(f"{float(str(value)):.3g}")


def _keys(genes: pd.DataFrame) -> list[tuple[str, str]]:
    """Return dataset and contrast of every list, ALS first."""
    table = genes.drop_duplicates(["dataset", "contrast"])
    table = table.assign(first=table["role"].ne("als_patient"))
    table = table.sort_values(["first", "dataset", "contrast"], kind="stable")
    return [(str(d), str(k)) for d, k in zip(table["dataset"], table["contrast"], strict=True)]


def sizes(target: object, reference: object) -> str:
    """Return donors of both groups in words, ``9 v 18``."""
    return " v ".join("?" if c.is_missing(n) else c.number(n, 0) for n in (target, reference))


def study_name(data: m.ReportData, dataset: str) -> str:
    """Return what a study is called in running text."""
    return next((s.name for s in data.studies if s.card["id"] == dataset), dataset)


def first_page(data: m.ReportData) -> list[Markup]:
    """Return what the lists of ALS muscle say, in sentences for the first page."""
    if not has_lists(data.synthesis):
        return []
    synthesis = data.synthesis
    assert synthesis is not None
    genes, blocks = synthesis.called_genes, of_block(data, *DENERVATION)
    assert genes is not None
    said = []
    for key, own in genes[genes["role"] == "als_patient"].groupby(["dataset", "contrast"]):
        row = blocks[(blocks["dataset"] == key[0]) & (blocks["contrast"] == key[1])]
        n = (
            f"{own['n_target'].iloc[0]} patients against {own['n_reference'].iloc[0]} normal "
            "muscles"
        )
        denervated = False
        if len(row):
            found = row.iloc[0]
            denervated = bool(m.truth(row["usable"]).iloc[0] and found["padj_up"] < data.alpha)
            said.append(
                Markup(
                    "{}: {} of {} measured genes of the denervation "
                    "signature are called up{} and {} down, where chance gives {:.1f} ({}; "
                    "adjusted exact p {}, too small because genes move together; one study). "
                    "Called means: beyond the threshold ({}) of a published "
                    "<a href='{}'>list of genes</a>."
                ).format(
                    "ALS muscle looks denervated"
                    if denervated
                    else "This list does not show that ALS muscle looks denervated",
                    found["called_up"],
                    found["n_measured"],
                    f" ({names})" if (names := named_genes(found["genes_up"])) else "",
                    found["called_down"],
                    found["background_up"] * found["n_measured"] / found["n_background"],
                    n,
                    c.pvalue(found["padj_up"]),
                    own["threshold"].iloc[0],
                    PATH,
                )
            )
        others = _shared_with(data, key, synthesis.agreement)
        if denervated and others:
            said.append(
                Markup(
                    "Whether it is more than that, this study cannot tell: of the genes that its "
                    "ALS list shares with lists of other diseases on the same arrays, more move "
                    "alike than the lists' shares of up and down give by chance {}."
                ).format(others)
            )
    return said


def of_signature(data: m.ReportData) -> list[Any]:
    """Return what lists of ALS muscle say of the denervation signature: rows of
    ``called_blocks.tsv``.
    """
    if not has_lists(data.synthesis):
        return []
    table = of_block(data, *DENERVATION)
    return list(table[table["role"] == "als_patient"].itertuples())


def findings(data: m.ReportData, study: m.StudyData, root: str) -> list[dict[str, Any]]:
    """Return the main findings of a study of lists, a line per list."""
    if not has_lists(data.synthesis):
        return []
    assert data.synthesis is not None and data.synthesis.called_genes is not None
    blocks, lines = data.synthesis.called_blocks, []
    assert blocks is not None
    genes = data.synthesis.called_genes
    genes = genes[genes["dataset"] == study.card["id"]]
    for key in _keys(genes):
        own = genes[genes["contrast"] == key[1]]
        up = int((own["direction"] == "up").sum())
        table = blocks[(blocks["dataset"] == key[0]) & (blocks["contrast"] == key[1])]
        table = table[~m.truth(table["stripped"]) & m.truth(table["usable"])]
        said = []
        for side in ARROW:
            rows = table[table[f"padj_{side}"] < data.alpha].sort_values(f"p_{side}").head(3)
            named = [
                f"{estimates.programme_title(data.programme_info, r.programme, r.block)} "
                f"({getattr(r, f'called_{side}')} of {r.n_measured})"
                for r in rows.itertuples()
            ]
            said += [f"{side}: {', '.join(named)}"] if named else []
        lines.append(
            {
                "label": label(data, *key),
                "href": root + PATH,
                "sizes": f"{sizes(own['n_target'].iloc[0], own['n_reference'].iloc[0])} donors",
                "sentence": f"More genes called than chance gives, {'; '.join(said)}."
                if said
                else "No block has more called genes than chance gives.",
                "genes": f"{len(own)} genes called, {up} up and {len(own) - up} down",
                "badges": Markup(""),
            }
        )
    return lines


def caveats(data: m.ReportData) -> list[str]:
    """Return the caveats of the studies whose lists of ALS muscle take part."""
    if not has_lists(data.synthesis):
        return []
    assert data.synthesis is not None and data.synthesis.called_genes is not None
    genes = data.synthesis.called_genes
    own = set(genes.loc[genes["role"] == "als_patient", "dataset"])
    cards = (study.card for study in data.studies if study.card["id"] in own)
    return [str(text) for card in cards for text in card.get("caveats", ())]


def _shared_with(data: m.ReportData, key: tuple[str, str], agreement: pd.DataFrame | None) -> str:
    if agreement is None:
        return ""
    own = agreement[
        (agreement["dataset"] == key[0])
        & (agreement["contrast"] == key[1])
        & (agreement["other_kind"] == "calls")
        & (agreement["n_shared"] > 0)
    ].sort_values("n_shared", ascending=False)
    alike, apart = own["p_more"] < data.alpha, own["p_fewer"] < data.alpha
    if not alike.any():
        return ""

    def named(rows: pd.DataFrame) -> str:
        return "; ".join(
            f"{label(data, r.other_dataset, r.other_contrast).split(' against')[0]}: "
            f"{r.n_same} of {r.n_shared}, by chance {r.expected_same:.0f}"
            for r in rows.itertuples()
        )

    text = f"({named(own[alike].head(3))})"
    text += f", but not all ({named(own[apart])})" if apart.any() else ""
    plain = own[~alike & ~apart]
    if len(plain):
        text += f"; no more and no less than chance gives ({named(plain)})"
    return text


def label(data: m.ReportData, dataset: str, contrast: str) -> str:
    """Return what a list is called."""
    for study in data.studies:
        if study.card["id"] == dataset:
            for entry in study.card.get("contrasts", ()):
                if entry["id"] == contrast:
                    return str(entry["label"])
    return f"{dataset}, {contrast}"


def _genes(data: m.ReportData, genes: pd.DataFrame) -> Markup:
    """Genes of the ALS lists against all lists: arrow and stated effect."""
    als = genes[genes["role"] == "als_patient"]
    shown = genes[genes["gene_id"].isin(als["gene_id"])]
    keys = list(dict.fromkeys(zip(shown["dataset"], shown["contrast"], strict=True)))
    keys.sort(key=lambda k: (k not in set(zip(als["dataset"], als["contrast"], strict=True)), k))
    columns = [c.Column("symbol", "Gene")]
    columns += [c.Column(f"l{i}", label(data, *k).split(" against")[0]) for i, k in enumerate(keys)]
    cells: dict[str, dict[str, object]] = {}
    order = als.sort_values("log2fc", ascending=False)["gene_id"].drop_duplicates()
    for gene in order:
        cells[gene] = {"symbol": ""}
    place = {k: f"l{i}" for i, k in enumerate(keys)}
    for r in shown.itertuples():
        cells[r.gene_id]["symbol"] = c.local(str(r.symbol or r.gene_id), f"gene.html#{r.gene_id}")
        effect = "" if c.is_missing(r.log2fc) else f" {abs(r.log2fc):.1f}"
        cells[r.gene_id][place[(r.dataset, r.contrast)]] = ARROW[str(r.direction)] + effect
    frame = pd.DataFrame(list(cells.values()), columns=[k.key for k in columns]).fillna("")
    return c.table(
        frame,
        columns,
        caption="Genes called in ALS muscle, and in the other lists",
        name="called_genes",
        order="by the effect that the ALS list states",
    )


def _blocks(data: m.ReportData, blocks: pd.DataFrame) -> Markup:
    table = blocks[~m.truth(blocks["stripped"]) & m.truth(blocks["usable"])]
    table = table[(table["padj_up"] < data.alpha) | (table["padj_down"] < data.alpha)]
    first = table["role"].ne("als_patient")
    table = table.assign(first=first, least=table[["p_up", "p_down"]].min(axis=1))
    table = table.sort_values(["first", "dataset", "contrast", "least"], kind="stable")
    rows = []
    for r in table.itertuples():
        side = "up" if r.p_up <= r.p_down else "down"
        n, total = getattr(r, f"called_{side}"), getattr(r, f"background_{side}")
        rows.append(
            {
                "list": label(data, r.dataset, r.contrast),
                "role": m.role_title(r.role),
                "n": f"{r.n_target} v {r.n_reference}",
                "block": c.local(
                    estimates.programme_title(data.programme_info, r.programme, r.block),
                    m.programme_path(r.programme),
                ),
                "up": f"{ARROW[side]} {n} of {r.n_measured}",
                "expected": f"{total * r.n_measured / r.n_background:.1f}",
                "p": f"{c.pvalue(getattr(r, f'p_{side}'))} "
                f"({c.pvalue(getattr(r, f'padj_{side}'))})",
                "genes": str(getattr(r, f"genes_{side}")).replace(";", ", "),
            }
        )
    frame = pd.DataFrame(rows, columns=[k.key for k in BLOCKS])
    return c.table(
        frame,
        BLOCKS,
        caption="Blocks of which more genes are called than chance gives",
        name="called_blocks",
        order="ALS first, then by p",
    )


def _agreement(data: m.ReportData, table: pd.DataFrame | None) -> Markup:
    roles = {
        (s.card["id"], e["id"]): e.get("role", s.card["role"])
        for s in data.studies
        for e in s.card.get("contrasts", ())
    }
    rows = []
    for r in () if table is None else table.itertuples():
        if roles.get((r.dataset, r.contrast)) != "als_patient" or not r.n_shared:
            continue
        rows.append(
            {
                "list": label(data, r.dataset, r.contrast),
                "other": f"{label(data, r.other_dataset, r.other_contrast)} "
                f"({KINDS.get(str(r.other_kind), r.other_kind)})",
                "shared": r.n_shared,
                "same": f"{r.n_same} ({100 * r.share_same:.1f} %)",
                "chance": f"{r.expected_same:.1f}",
                "study": "no: the same study" if r.same_study else "yes",
            }
        )
    frame = pd.DataFrame(rows, columns=[k.key for k in AGREEMENT])
    return c.table(
        frame,
        AGREEMENT,
        caption="Do the directions agree?",
        name="call_agreement",
        order="as imported",
    )
