"""Which contrasts may be pooled, and why others may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MARKS = {
    "confounded": "condition is confounded with {}",
    "near_confounded": "{}",
    "library_sizes_apart": "{}",
    "ages_apart": "{}",
    "labels_in_doubt": "{}",
    "probes_chosen": "{}",
}
"""Marks of a contrast that keep it out of every pool unless the configuration asks for them, and
how they are said; the value of ``confounded`` is the column's name, of the others a sentence."""


def reasons(
    contrast: Mapping[str, Any],
    *,
    min_donors: int,
    include_confounded: bool,
    real_studies: bool,
) -> list[str]:
    """Say why a contrast is not pooled; an empty list where it is.

    Parameters
    ----------
    contrast
        ``role, n_target, n_reference`` (donors)``, simulated, problem`` (why a study gave no
        effects, or empty) and the marks of :data:`MARKS` (empty where there is nothing to say, or
        left out).
    min_donors
        Donors a side below which a contrast is shown, but not pooled.
    include_confounded
        Pool contrasts whatever their marks say.
    real_studies
        Whether the run holds any study that is not simulated.
    """
    why = []
    if contrast.get("problem"):
        why.append(str(contrast["problem"]))
    smaller = min(contrast["n_target"], contrast["n_reference"])
    if not smaller >= min_donors:
        why.append(
            f"{contrast['n_target']:g} v {contrast['n_reference']:g} donors, "
            f"fewer than {min_donors} a side"
        )
    if not include_confounded:
        why += [
            words.format(str(contrast[mark]).rstrip("."))
            for mark, words in MARKS.items()
            if contrast.get(mark)
        ]
    if contrast["simulated"] and real_studies:
        why.append("simulated, and real studies are present")
    if contrast["role"] in {"", "not_muscle"}:
        why.append("not a muscle study" if contrast["role"] else "no role given")
    return why
