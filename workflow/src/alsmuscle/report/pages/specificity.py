"""The specificity page: programmes by conditions, the denervation axis, and what was pooled."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.html import plots
from alsmuscle.report.pages import calls
from alsmuscle.report.pages.claims import is_simulated
from alsmuscle.report.site import Site
from alsmuscle.synthesis.context import sign_agreement

AXIS = (
    c.Column("what", "ALS comparison"),
    c.Column("cell_type", "Cells"),
    c.Column("reference", "Denervation reference"),
    c.Column("lambda", "Like denervation (lambda)", "number"),
    c.Column("ci_low", "95 % from", "number"),
    c.Column("ci_high", "to", "number"),
    c.Column("correlation", "Correlation", "number"),
    c.Column("interval", "Interval by"),
    c.Column("reason", "Note"),
)
AGREEMENT = (
    c.Column("what", "Patients' muscle"),
    c.Column("reference", "Denervated mouse muscle"),
    c.Column("n", "Genes of the signature that move there", "count"),
    c.Column("same", "Same direction in patients", "count"),
    c.Column("share", "Share, 95 % interval"),
)
POOLED = (
    c.Column("what", "Comparison"),
    c.Column("role", "Condition"),
    c.Column("species", "Species"),
    c.Column("stage", "Stage"),
    c.Column("material", "Material"),
    c.Column("n_target", "Target", "count"),
    c.Column("n_reference", "Reference", "count"),
    c.Column("evidence", "Evidence"),
    c.Column("pooled", "Pooled"),
    c.Column("reason", "Why not"),
)


def page(site: Site, data: m.ReportData, synthesis: m.Synthesis) -> str:
    """Return ``specificity.html``."""
    present = set(synthesis.programmes["role"])
    missing = [title for role, title in m.ROLES.items() if role not in present]
    return site.render(
        "specificity.html.j2",
        path="specificity.html",
        heading="Specificity: what moves in which condition",
        simulated=is_simulated(synthesis),
        absent=f"No comparison that may be pooled for: {'; '.join(missing)}." if missing else "",
        body=_matrix(data, synthesis),
        full=c.local("Full table (TSV)", synthesis.files.get("specificity"), download=True)
        if synthesis.files.get("specificity")
        else "",
        called=calls.in_other_diseases(data),
        axis=_axis(data, synthesis),
        agreement=_agreement(data),
        contrasts=_contrasts(data, synthesis),
    )


def _matrix(data: m.ReportData, synthesis: m.Synthesis) -> Markup:
    pooled = synthesis.programmes
    rows = pooled[
        (pooled["stage"] == "")
        & (pooled["species"] != "all")
        & (pooled["cell_type"] == "muscle")
        & ~pooled["stripped"].astype(bool)
        & ~pooled["key"].str.startswith(("GENE/", "RATIO/"))
    ].copy()
    if rows.empty:
        return c.not_computed("pooled programme effects")
    most = rows.groupby(["role", "species"])["k"].max()
    order = {role: place for place, role in enumerate(m.ROLES)}
    rows["place"] = rows["role"].map(order).fillna(len(order))
    rows["column"] = [
        f"{m.role_title(role)}, {species} ({most[(role, species)]:.0f} "
        f"{'study' if most[(role, species)] == 1 else 'studies'})"
        for role, species in zip(rows["role"], rows["species"], strict=True)
    ]
    columns = list(dict.fromkeys(rows.sort_values(["place", "species"])["column"]))
    values = rows.pivot(index="key", columns="column", values="effect")[columns]
    rows["sure"] = [estimates.clear(row, data.alpha) != 0 for row in rows.to_dict("records")]
    sure = rows.pivot(index="key", columns="column", values="sure")[columns].eq(True)
    low, high = (
        rows.pivot(index="key", columns="column", values=end)[columns]
        for end in ("ci_low", "ci_high")
    )
    parts = [str(key).split("/", 1) for key in values.index]
    titles = [estimates.programme_title(data.programme_info, p) for p, _ in parts]
    known = data.programme_names
    return plots.heatmap(
        values.set_axis([estimates.block_title(data.programme_info, p, b) for p, b in parts]),
        caption=f"{'Pooled programme' if rows['k'].max() > 1 else 'Programme'} effects per "
        "condition, log2 units",
        head="Programme and block",
        sure=sure.set_axis(values.index),
        ends=(low, high),
        groups=titles,
        row_links={
            title: m.programme_path(p)
            for title, (p, _) in zip(titles, parts, strict=True)
            if p in known
        },
    )


def _axis(data: m.ReportData, synthesis: m.Synthesis) -> Markup:
    if synthesis.axis.empty:
        return c.not_computed("lambda: no ALS comparison and denervation reference to compare")
    names = _names(data)
    keys = zip(synthesis.axis["dataset"], synthesis.axis["contrast"], strict=True)
    frame = synthesis.axis.assign(
        what=[names.get(key, "/".join(map(str, key))) for key in keys],
        reference=[_reference(names, str(text)) for text in synthesis.axis["reference"]],
    )
    return c.table(
        frame,
        AXIS,
        caption="ALS comparisons against denervation references",
        name="denervation-axis",
        full=synthesis.files.get("denervation"),
    )


def agreements(data: m.ReportData) -> list[dict[str, Any]]:
    """Return signs of the signature's genes in patients and in denervated mice, pair by pair."""
    if data.programmes is None:
        return []
    listed = data.programmes
    own = (listed["programme"] == "DENERVATION") & (listed["block"] == "tier1_up")
    tissue = [
        (s, k, k.de)
        for s, k in data.contrasts()
        if k.de is not None and not k.meta.get("cell_type") and k.de["lfc_se"].gt(0).any()
    ]
    rows = []
    for study, contrast, de in tissue:
        if not _is(study, contrast, "als_patient", "human"):
            continue
        als = _by_gene(de)
        signature = als.index[de["symbol"].isin(listed.loc[own, "symbol"]).to_numpy()]
        for other, reference, table in tissue:
            if not _is(other, reference, "denervation", "mouse"):
                continue
            mouse = _by_gene(table)
            mouse.index = mouse.index.map(data.orthologs)
            found = sign_agreement(als, mouse[mouse.index.notna()], signature)
            if found.n:
                share = f"{found.share:.0%} ({found.low:.0%} to {found.high:.0%})"
                rows.append(
                    {
                        **found._asdict(),
                        "dataset": str(study.card["id"]),
                        "what": f"{study.name}: {wording.label(contrast.meta)}",
                        "reference": f"{other.name}: {wording.label(reference.meta)}",
                        "share": share,
                    }
                )
    return rows


def _agreement(data: m.ReportData) -> Markup | None:
    """The same as a table; ``None`` without either."""
    rows = agreements(data)
    if not rows:
        return None
    return c.table(
        pd.DataFrame(rows),
        AGREEMENT,
        caption="Genes of the denervation signature, patients against denervated mice",
        name="denervation-signs",
        full=None,
    )


def _is(study: m.StudyData, contrast: m.ContrastData, role: str, species: str) -> bool:
    own = contrast.meta.get("role") or study.card.get("role")
    return bool(own == role and study.card.get("organism") == species)


def _by_gene(de: pd.DataFrame) -> pd.DataFrame:
    table = de.set_index("gene_id")[["log2fc", "lfc_se"]]
    return table.set_axis(["effect", "se"], axis=1)


def _names(data: m.ReportData) -> dict[tuple[str, str], str]:
    return {
        (str(s.card["id"]), str(k.meta.get("contrast") or k.meta["id"])): (
            f"{s.name}: {k.meta.get('contrast_label') or wording.label(k.meta)}"
        )
        for s, k in data.contrasts()
    }


def _reference(names: dict[tuple[str, str], str], text: str) -> str:
    """Return the names of references that the table joins with ``+``."""
    parts = [part.strip().partition("/") for part in text.split("+")]
    return "; ".join(names.get((a, b), f"{a}{slash}{b}") for a, slash, b in parts)


def _unnamed(data: m.ReportData, dataset: str, contrast: str) -> str:
    """Return a comparison without a page, of a list of called genes, by its study and label."""
    for study in data.studies:
        if str(study.card["id"]) == dataset:
            entries = study.card.get("contrasts") or []
            label = next((k.get("label") for k in entries if k.get("id") == contrast), None)
            return f"{study.name}: {label or wording.words(contrast)}"
    return f"{dataset}: {wording.words(contrast)}"


def _contrasts(data: m.ReportData, synthesis: m.Synthesis) -> Markup:
    known = {(s.card["id"], k.meta["id"]): (s, k) for s, k in data.contrasts()}
    frame = synthesis.contrasts.copy()
    names = list(zip(frame["dataset"], frame["contrast"], strict=True))
    frame["what"] = [
        c.local(
            f"{known[n][0].name}: {wording.label(known[n][1].meta)}", m.contrast_path(*known[n])
        )
        if n in known
        else _unnamed(data, *n)
        for n in names
    ]
    frame["role"] = frame["role"].map(m.role_title)
    frame["pooled"] = frame["eligible"].map({True: "yes", False: "no"})
    return c.table(
        pd.DataFrame(frame),
        POOLED,
        caption="Comparisons and whether they may be pooled; groups in donors",
        name="contrasts",
        full=synthesis.files.get("contrasts"),
    )
