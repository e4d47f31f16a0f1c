"""What every contrast is, what it may be pooled with, and why not: ``synthesis/contrasts.tsv``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.data import cards
from alsmuscle.design import marks
from alsmuscle.design import matrix as designs
from alsmuscle.synthesis import eligibility
from alsmuscle.synthesis.comparable import comparability, platform_kind

SAMPLE_KINDS = (
    *("bulk_tissue", "cultured_cells", "sorted_cells"),
    *("single_nucleus", "single_cell", "spots"),
)


def sample_kind(material: str, modality: str, role: str) -> str:
    """Return one of :data:`SAMPLE_KINDS` for a contrast's declared material.

    Role ``als_cells`` (patient-derived cultures) is ``cultured_cells`` whatever the modality;
    unknown material counts as ``bulk_tissue``, the kind that may decide least.
    """
    text = material.lower()
    if role == "als_cells":
        return "cultured_cells"
    if modality == "cells":
        if "spot" in text:  # many cells share one: no claim about a cell type rests on it
            return "spots"
        return "single_nucleus" if re.search(r"nucle", text) else "single_cell"
    if re.search(r"sort|facs|isolated (?:satellite|musc)", text):
        return "sorted_cells"
    if re.search(r"cultur|myotube|myoblast|ipsc|in vitro", text):
        return "cultured_cells"
    return "bulk_tissue"


def contrast_facts(
    card: Mapping[str, Any],
    contrast: Mapping[str, Any],
    *,
    samples: pd.DataFrame | None = None,
    warnings: pd.DataFrame | None = None,
    effects: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Return one row for :func:`contrast_table`.

    Parameters
    ----------
    card
        ``id, organism, modality, platform`` and, where known, ``cluster, simulated``.
    contrast
        With every optional key, as ``cards.contrast`` returns it.
    samples, warnings
        The study's tables; donors are counted among the samples that enter the model. A sample
        without a donor id counts as its own donor.
    effects
        ``de`` table of a published contrast, which has no samples: its group sizes are taken.
    """
    row: dict[str, Any] = {
        "dataset": card["id"],
        "contrast": contrast["id"],
        "role": contrast["role"],
        "species": card["organism"],
        "stage": contrast["stage"],
        "muscle": "",
        "material": "",
        "modality": card["modality"],
        "platform": card["platform"],
        "cluster": card.get("cluster", ""),
        "simulated": card.get("simulated", False),
        "published": card["modality"] == "effects",
        "tag": contrast.get("tag", ""),
        "problem": "",
        "n_target": 0,
        "n_reference": 0,
    }
    if contrast.get("kind", "difference") != "difference" and not row["tag"]:
        row["problem"] = "no difference between two groups: its effects mean something else"
    if effects is not None and len(effects):
        row["n_target"] = int(effects["n_target"].max())
        row["n_reference"] = int(effects["n_reference"].max())
    if samples is not None:
        used = designs.used_samples(samples, contrast)
        sides = designs.sides(used, contrast)
        donor = used["subject_id"].where(used["subject_id"] != "", used["sample_id"])
        row["n_target"], row["n_reference"] = (donor[side].nunique() for side in sides)
        compared = used[sides[0] | sides[1]]
        for column in ("muscle", "material"):
            row[column] = ", ".join(sorted(set(compared[column]) - {""}))
    return row | marks.facts(warnings, card, contrast["id"])


def superseded(card: Mapping[str, Any], admitted: Iterable[str]) -> str:
    """Say why published results are not pooled where their own study takes part; else empty.

    One study counts once, by its fullest route: its samples, then a table, then a list.
    """
    route = card.get("route_of", "")
    if route and route in set(admitted):
        return f"the same study is analysed from its samples ({route})"
    return ""


def list_facts(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for :func:`contrast_table` per list of called genes."""
    rows = []
    for key, sizes in card["calls"]["comparisons"].items():
        facts = contrast_facts(card, cards.contrast(dict(card), key))
        rows.append(
            {
                **facts,
                "published": True,
                "n_target": sizes["n_target"],
                "n_reference": sizes["n_reference"],
                "problem": "a list of called genes: shown as its own evidence, never pooled",
            }
        )
    return rows


def all_facts(
    cards_of: Mapping[str, Mapping[str, Any]],
    contrasts: Iterable[tuple[str, str]],
    published: Mapping[tuple[str, str], pd.DataFrame],
    samples: Mapping[str, pd.DataFrame],
    warnings: Mapping[str, pd.DataFrame],
    lists: Iterable[str],
) -> pd.DataFrame:
    """Return the rows for :func:`contrast_table` of every contrast and list of the run.

    ``contrasts``: (dataset, contrast) with gene effects; ``published``: of them, ``de`` tables
    without samples; ``samples, warnings``: by dataset; ``lists``: datasets of called genes.
    """
    names = list(contrasts)
    admitted = {dataset for dataset, _ in names}
    facts = [row for dataset in lists for row in list_facts(cards_of[dataset])]
    for dataset, contrast in names:
        card = cards_of[dataset]
        row = contrast_facts(
            card,
            cards.contrast(dict(card), contrast),
            samples=samples.get(dataset),
            warnings=warnings.get(dataset),
            effects=published.get((dataset, contrast)),
        )
        problem = superseded(card, admitted)
        facts.append(row | ({"problem": problem} if problem else {}))
    return pd.DataFrame(facts)


def contrast_table(
    facts: pd.DataFrame, *, min_donors: int, include_confounded: bool
) -> pd.DataFrame:
    """State per contrast what it is, what it may be pooled with, and why not: ``contrasts.tsv``.

    Parameters
    ----------
    facts
        One row per contrast, from study cards and what the runs flagged: ``dataset, contrast, role,
        species, stage, muscle, material, modality, platform, n_target, n_reference`` (donors)``,
        cluster`` (the card's, or empty)``, confounded`` (name of the column, or empty)``,
        simulated, published`` (flags). Optional: ``tag`` (what sets a contrast apart from diseased
        against healthy, such as ``progression``; tagged contrasts are never pooled with untagged
        ones)``, problem`` (why a study gave no effects, or empty) and the marks of
        :data:`alsmuscle.design.marks.FACTS`.
    min_donors
        Donors a side below which a contrast is shown, but not pooled.
    include_confounded
        Pool contrasts whatever their marks say.

    Returns
    -------
    DataFrame
        ``dataset, contrast, role, species, stage, muscle, material, platform, n_target,
        n_reference, cluster, confounded, evidence`` (reanalysed, published, simulated)``, eligible,
        reason, modality, sample_kind, platform_kind, tag`` and the marks; sorted. Without a cluster
        on the card the study is its own: its contrasts share donors, controls or at least a
        laboratory. Simulated studies are never pooled with real ones: they are eligible only among
        themselves.

    Raises
    ------
    InputError
        A column is missing or a contrast is listed twice.
    """
    needed = ["dataset", "contrast", "role", "species", "stage", "muscle", "material", "modality"]
    needed += ["platform", "n_target", "n_reference", "cluster", "confounded"]
    needed += ["simulated", "published"]
    missing = [column for column in needed if column not in facts]
    if missing:
        raise InputError(f"contrast facts lack the column '{missing[0]}'")
    table = facts.copy()
    optional = ("tag", "problem", *marks.FACTS)
    for column in optional:
        if column not in table:
            table[column] = ""
    text = [c for c in dict.fromkeys((*needed, *optional)) if not c.startswith("n_")]
    text = [c for c in text if c not in {"simulated", "published"}]
    table[text] = table[text].fillna("").astype(str)
    twice = table.duplicated(["dataset", "contrast"])
    if twice.any():
        row = table[twice].iloc[0]
        raise InputError(f"contrast {row['dataset']}/{row['contrast']} is listed twice")
    simulated, published = (table[c].fillna(False).astype(bool) for c in ("simulated", "published"))
    table["cluster"] = table["cluster"].where(table["cluster"] != "", table["dataset"])
    table["evidence"] = np.select(
        [simulated, published], ["simulated", "published"], default="reanalysed"
    )
    table["sample_kind"] = [
        sample_kind(row.material, row.modality, row.role) for row in table.itertuples()
    ]
    table["platform_kind"] = [
        platform_kind(row.platform, row.modality) for row in table.itertuples()
    ]
    real = bool((~simulated).any())
    table["reason"] = [
        "; ".join(
            eligibility.reasons(
                {**row._asdict(), "simulated": made_up},
                min_donors=min_donors,
                include_confounded=include_confounded,
                real_studies=real,
            )
        )
        for row, made_up in zip(table.itertuples(index=False), simulated, strict=True)
    ]
    table["eligible"] = table["reason"] == ""
    order = ["dataset", "contrast", "role", "species", "stage", "muscle", "material", "platform"]
    order += ["n_target", "n_reference", "cluster", "confounded", "evidence", "eligible", "reason"]
    order += ["modality", "sample_kind", "platform_kind", "tag"]
    order += [mark for mark in marks.FACTS if mark not in order]
    return table[order].sort_values(["dataset", "contrast"], ignore_index=True)


def reference_pairs(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Pair every contrast of an ALS role with every denervation reference.

    Returns
    -------
    DataFrame
        ``dataset, contrast, reference_dataset, reference_contrast, mode, reason``; ``mode`` is
        ``lambda``, ``correlation`` or ``none`` (see
        :func:`alsmuscle.synthesis.comparable.comparability`).
    """
    als = contrasts[contrasts["role"].isin(["als_patient", "als_model", "als_cells"])]
    references = contrasts[contrasts["role"] == "denervation"]
    columns = ["dataset", "contrast", "reference_dataset", "reference_contrast", "mode", "reason"]
    rows = []
    for _, a in als.iterrows():
        for _, d in references.iterrows():
            mode, reason = comparability(a.to_dict(), d.to_dict())
            names = (a["dataset"], a["contrast"], d["dataset"], d["contrast"])
            rows.append(dict(zip(columns, (*names, mode, reason), strict=True)))
    return pd.DataFrame(rows, columns=columns)
