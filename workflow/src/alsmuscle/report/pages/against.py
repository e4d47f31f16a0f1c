"""What speaks against reading a list's calls as a finding about ALS, in sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd

from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.pages import calls, specificity

MOST = 4
"""Other diseases that a sentence names."""


def of_list(data: m.ReportData, found: Any) -> list[str]:
    """Return what speaks against a list's calls in a block, the first page's and a claim's.

    ``found``: a row of ``called_blocks.tsv``.
    """
    target = (str(found.programme), str(found.block))
    said = [_sources(data, found), _other_lists(data, found)]
    if target == calls.DENERVATION:
        said += _mice(data, found)
    return [text for text in [*said, _other_table(data, found)] if text]


def of_test(data: m.ReportData, row: pd.Series[Any]) -> list[str]:
    """Return what speaks against a test (a row of ``claims.tsv``) by the lists of called genes.

    Those that decide it, else those of the same patients that measure its block.
    """
    found = calls.of_test(data, row) or calls.of_same_patients(data, row)
    return list(dict.fromkeys(text for one in found for text in of_list(data, one)))


def _sources(data: m.ReportData, found: Any) -> str:
    """Name called genes of which no source is independent of what the list is about."""
    table = data.programmes
    names = [name for name in str(found.genes_up or "").split(";") if name]
    if table is None or not names:
        return ""
    own = table[(table["programme"] == found.programme) & (table["block"] == found.block)]
    own = own[own["symbol"].isin(names)]
    n = "the called gene" if len(names) == 1 else f"the {len(names)} called genes"
    if (found.programme, found.block) != calls.DENERVATION:
        shared = own.loc[own["in_denervation_signature"].astype(str) == "1", "symbol"]
        return f"{_of(shared, n)} of the denervation signature, too." if len(shared) else ""
    if not {"evidence", "source"} <= set(own):
        return ""
    unseen = own.loc[~own["evidence"].astype(str).str.contains("S"), "symbol"]
    circular = own.loc[own["source"].astype(str).str.contains(r"\bALS\b"), "symbol"].tolist()
    weak = [name for name in names if name in {*unseen, *circular}]
    if not weak:
        return ""
    text = f"{len(weak)} of {n} have no source that is independent of ALS: {', '.join(weak)}"
    own_source = [name for name in weak if name in circular]
    if own_source:
        text += f" (the source of {', '.join(own_source)} compares ALS itself"
        text += "; of the others none was seen)" if len(weak) > len(own_source) else ")"
    return text + "."


def _of(names: pd.Series[Any], n: str) -> str:
    verb = "is" if len(names) == 1 else "are"
    return f"{len(names)} of {n} ({', '.join(names)}) {verb}"


def _other_lists(data: m.ReportData, found: Any) -> str:
    """Name other lists of the same study that call more of the block than chance gives."""
    table = calls.of_block(data, found.programme, found.block)
    own = table[(table["cluster"] == found.cluster) & (table["role"] != found.role)]
    called = own[m.truth(own["usable"]) & (own["padj_up"] < data.alpha)]
    if called.empty:
        return ""
    called = called.sort_values("called_up", ascending=False, kind="stable")
    names = ", ".join(
        f"{calls.label(data, r.dataset, r.contrast).split(' against')[0]} {r.called_up}"
        for r in called.head(MOST).itertuples()
    )
    more = f" and {len(called) - MOST} more" if len(called) > MOST else ""
    n = len(called)
    return (
        f"It is not specific: the same block is called in {n} of {len(own)} other diseases on the "
        f"same arrays (of {found.n_measured} genes: {names}{more}; ALS {found.called_up})."
    )


def _mice(data: m.ReportData, found: Any) -> list[str]:
    """Say how far the effects of patients go with those of denervated mice."""
    assert data.synthesis is not None
    axis, contrasts = data.synthesis.axis, data.synthesis.contrasts
    of = contrasts.drop_duplicates(["dataset", "contrast"]).set_index(["dataset", "contrast"])
    said = []
    for row in axis.itertuples():
        key = (row.dataset, row.contrast)
        if c.is_missing(row.correlation) or key not in of.index:
            continue
        if of.loc[key, "role"] != found.role or row.cell_type != m.TISSUE:
            continue
        signs = next((x for x in specificity.agreements(data) if x["dataset"] == row.dataset), None)
        text = (
            f"Over all genes the effects of {data.labels.get('/'.join(key), '/'.join(key))} "
            f"correlate by {c.number(row.correlation)} with those of denervated mouse muscle"
        )
        if signs:
            text += (
                f"; of {signs['n']} signature genes that move there {signs['same']} move alike "
                f"(95 % interval {signs['low']:.0%} to {signs['high']:.0%})"
            )
        said.append(text + ".")
    return list(dict.fromkeys(said))


def _other_table(data: m.ReportData, found: Any) -> str:
    """Say how often the list and a table of the same patients contradict each other."""
    assert data.synthesis is not None
    table = data.synthesis.agreement
    if table is None:
        return ""
    of = data.synthesis.contrasts.drop_duplicates(["dataset", "contrast"])
    role = {(r.dataset, r.contrast): r.role for r in of.itertuples()}
    own = table[
        (table["dataset"] == found.dataset)
        & (table["contrast"] == found.contrast)
        & (table["other_kind"] != "calls")
        & m.truth(table["same_study"])
        & (table["n_shared"] > 0)
    ]
    said = [
        f"The list and the table of all genes of the same patients agree in direction on "
        f"{r.n_same} of {r.n_shared} genes (by their shares of up and down chance gives "
        f"{r.expected_same:.0f}) and contradict each other on {r.n_shared - r.n_same}."
        for r in own.itertuples()
        if role.get((r.other_dataset, r.other_contrast)) == found.role
    ]
    return " ".join(said)
