"""What a comparison's page says of proportions that a reference of single nuclei estimates."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from alsmuscle.bulk.proportions import COMPONENTS
from alsmuscle.report import model as m
from alsmuscle.report import wording
from alsmuscle.report.html import components as c

KEY = ["programme", "block", "stripped"]
WORDS: Mapping[str, str] = {
    "myofibre": "fibres",
    "fibro-adipogenic": "connective tissue and fat",
    "macrophage": "macrophages",
}


def beside(
    data: m.ReportData, study: m.StudyData, contrast: m.ContrastData, rows: pd.DataFrame
) -> pd.DataFrame:
    """Add to blocks their effects adjusted by proportions, in words: ``proportions``.

    Without that column where the comparison has none.
    """
    own = _own(data, study, contrast, "proportions")
    if own is None or own["effect"].isna().all():
        return rows
    numbers = own[["effect", "ci_low", "ci_high"]].itertuples(index=False, name=None)
    told = own[KEY].assign(proportions=[c.interval_text(*row) for row in numbers])
    told["stripped"] = m.truth(told["stripped"])
    return rows.assign(stripped=m.truth(rows["stripped"])).merge(told, on=KEY, how="left")


def sentence(data: m.ReportData, study: m.StudyData, contrast: m.ContrastData) -> str:
    """Say what RNA both groups consist of, by which reference; or why nothing is adjusted by it."""
    own = _own(data, study, contrast, "proportions")
    if own is None:
        return ""
    first = own.iloc[0]
    name = next((s.name for s in data.studies if s.card["id"] == first["reference"]), None)
    name = name or str(first["reference"])
    if first["reason"]:
        reason = re.sub(r"-(?=\d)", c.MINUS, str(first["reason"]))
        return f"Not adjusted by proportions estimated from the nuclei of {name}: {reason}."
    shares = _own(data, study, contrast, "shares")
    if shares is None:
        return ""
    target, reference = wording.sides(contrast.meta)
    parts = []
    for component, lineages in COMPONENTS.items():
        part = shares[shares["lineage"].isin(lineages)]
        mean = part.groupby(["side", "sample_id"])["share"].sum().groupby(level=0).mean()
        if {"target", "reference"} <= set(mean.index):
            ends = f"{mean['target']:.0%} against {mean['reference']:.0%}"
            parts.append(f"{WORDS[component]} {ends}".replace("%", " %"))
    fit = shares.drop_duplicates("sample_id")["fit"].median()
    return (
        f"Adjusted by proportions: with cell types as in the nuclei of {name}, the RNA of "
        f"{target} against that of {reference} is estimated to come from {'; '.join(parts)} (means "
        "of the samples; shares of RNA, not of cells). Over the genes that tell the types apart, "
        f"these mixtures correlate with the samples by {c.number(fit, 2)}."
    )


def _own(
    data: m.ReportData, study: m.StudyData, contrast: m.ContrastData, table: str
) -> pd.DataFrame | None:
    """Return a comparison's rows of ``proportions`` or ``shares``; None where it has none."""
    found = None if data.synthesis is None else getattr(data.synthesis, table)
    if found is None or contrast.meta.get("cell_type"):
        return None
    own = found[(found["dataset"] == study.card["id"]) & (found["contrast"] == contrast.meta["id"])]
    return own if len(own) else None
