"""What stands in doubt about a comparison, and about published results by their import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle.data.tables import SEX_GENES_MOVE
from alsmuscle.design import marks

if TYPE_CHECKING:
    import pandas as pd


def of_contrast(
    warned: pd.DataFrame | None, card: Mapping[str, Any], contrast: str
) -> dict[str, list[Any]]:
    """Return what stands in doubt about a contrast: confounded columns, and every mark."""
    columns = marks.facts(warned, card, contrast)["confounded"]
    return {
        "confounded": [name for name in columns.split(", ") if name],
        "marks": marks.listed(warned, card, contrast),
    }


def on_card(card: Mapping[str, Any], notes: pd.DataFrame) -> dict[str, Any]:
    """Return a card with what its import says against it among its caveats.

    A doubt about lists of ALS is said in full, of other lists by their names.
    """
    own = notes[notes["metric"].eq(SEX_GENES_MOVE)]
    entries = {entry["id"]: entry for entry in card["contrasts"]}
    said, others = list[str](), list[str]()
    for contrast, text in zip(own["contrast"], own["text"], strict=True):
        if (entry := entries.get(contrast)) is None:
            continue
        if entry.get("role", card["role"]) == card["role"]:
            said.append(f"{entry['label']}: {text[:1].lower()}{text[1:]}")
        else:
            others.append(str(entry["label"]).split(" against")[0])
    if others:
        said.append(f"By the same genes the sides differ in sex in lists of {', '.join(others)}.")
    return {**card, "caveats": [*card.get("caveats", []), *said]}
