"""Doubts about a contrast that travel with its numbers.

A warning of a study (contract ``warnings``) is of one kind. What the kind means for everybody who
uses the contrast is here: its name on pages, one sentence that explains it, and whether the
contrast may be pooled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Mark(NamedTuple):
    """``label`` on pages, ``meaning`` in a sentence; what ``bars`` is not pooled by default."""

    label: str
    meaning: str
    bars: bool = False


MARKS: dict[str, Mark] = {
    "confounded": Mark(
        "confounded",
        "The two sides differ in something else as completely as in what is compared, so that no "
        "analysis can tell the two apart.",
        True,
    ),
    "near_confounded": Mark(
        "nearly confounded",
        "The two sides differ in something else almost as completely as in what is compared "
        "(Cramér's V of 0.7 or more).",
        True,
    ),
    "labels_in_doubt": Mark(
        "labels in doubt",
        "In more than one sample of ten the declared sex is not the one that XIST and the Y genes "
        "show, so that other labels may be wrong too.",
        True,
    ),
    "library_sizes_apart": Mark(
        "library sizes apart",
        "The libraries of one side are all deeper, and half as deep again or more in the middle: "
        "the sides were probably not processed together.",
        True,
    ),
    "ages_apart": Mark(
        "ages apart",
        "The mean ages of the two sides differ by more than one standard deviation, and by more "
        "than chance explains (p < 0.05).",
        True,
    ),
    "probes_chosen": Mark(
        "probes chosen by p",
        "Of several probes of a gene the source kept the one of smallest p: effects are too large, "
        "and p-values do not hold their level.",
        True,
    ),
    "third_party_copy": Mark(
        "third-party copy",
        "The numbers come from somebody's copy of the deposited data, not from the archive.",
    ),
    "genes_lost": Mark(
        "genes lost",
        "More than a tenth of the reads lies in rows that lead to no gene, or more than a tenth of "
        "the genes has no probe with a value in every sample.",
    ),
    "size_factors": Mark(
        "sparse counts",
        "No gene has reads in every sample, so that libraries were made comparable in another way "
        "than by the median of ratios.",
    ),
    "technical": Mark(
        "processed apart",
        "A measure of how samples were processed does not overlap between the two sides, or, on "
        "arrays, one control probe in ten differs between them by more than a log2 unit.",
    ),
    "few_samples": Mark(
        "too few samples",
        "One side has fewer samples than a test needs: effects are given, no test is claimed.",
    ),
    "unpaired": Mark(
        "unpaired", "Donors have samples on both sides, and the model does not pair them."
    ),
    "repeated_donors": Mark(
        "repeated donors", "Donors have several samples on one side of the comparison."
    ),
    "donors_unknown": Mark(
        "donors unknown", "The study's card does not say which samples are of one donor."
    ),
}

BARRING = tuple(kind for kind, mark in MARKS.items() if mark.bars)
# What becomes a column of the table of contrasts.
FACTS = (*BARRING, "third_party_copy")
# What stands beside a contrast's numbers wherever they are.
SHOWN = (*FACTS, "technical")


def of_contrast(warnings: pd.DataFrame, contrast: str) -> pd.DataFrame:
    """Return a contrast's marks, the gravest first: ``kind, label, column, text``."""
    order = list(MARKS)
    own = warnings[(warnings["contrast"] == contrast) & warnings["kind"].isin(order)]
    own = own.sort_values("kind", key=lambda kinds: kinds.map(order.index), kind="stable")
    own = own.assign(label=own["kind"].map(lambda kind: MARKS[kind].label))
    return own[["kind", "label", "column", "text"]].reset_index(drop=True)


def listed(
    warnings: pd.DataFrame | None, card: Mapping[str, Any], contrast: str
) -> list[tuple[str, str]]:
    """Return everything to be said of a contrast, the gravest first: kinds and sentences.

    What the card says (``marks``) comes before what was found of the same kind.
    """
    said = [(kind, str(text)) for kind, text in card.get("marks", {}).items()]
    if warnings is not None:
        own = of_contrast(warnings, contrast)
        said += list(zip(own["kind"], own["text"], strict=True))
    order = list(MARKS)
    return sorted(said, key=lambda one: order.index(one[0]))


def facts(warnings: pd.DataFrame | None, card: Mapping[str, Any], contrast: str) -> dict[str, str]:
    """Return for each kind of ``FACTS`` what is to be said of a contrast; empty where nothing is.

    For ``confounded`` the columns' names, for the others sentences; what the card says itself
    (``marks``) comes first.
    """
    found = {kind: [text] if (text := card.get("marks", {}).get(kind)) else [] for kind in FACTS}
    if warnings is not None:
        for row in of_contrast(warnings, contrast).itertuples():
            if row.kind in found:
                found[row.kind].append(row.column if row.kind == "confounded" else row.text)
    return {
        kind: (", " if kind == "confounded" else " ").join(texts) for kind, texts in found.items()
    }
