"""Several samples of one donor: which there are, and how a contrast treats them.

The donor is the unit. Samples of one donor in one group (both legs, regions, visits, lanes) are no
independent witnesses. Where nothing in the sample sheet tells them apart, or the card says that
they are technical, they are put together before the fit; where the donor is the model's block, the
block takes care of them; otherwise the correlation of a donor's samples is part of the model
(:mod:`alsmuscle.bulk.donors`), unless the card says why they are independent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from alsmuscle.design import matrix

if TYPE_CHECKING:
    import pandas as pd

# Columns that say nothing of how two samples of a donor differ: names, and what was measured.
_SAYS_NOTHING = {
    "dataset",
    "sample_id",
    "sample_label",
    "run_id",
    "sex_inferred",
    *matrix.TECHNICAL,
}

# Harmonised columns that tell parts of one person apart.
PARTS = ("side", "leg", "limb", "region", "muscle", "visit")
_LEFT, _RIGHT = (
    re.compile(rf"(?:^|[^a-z]){word}(?:[^a-z]|$)", re.IGNORECASE) for word in ("left", "right")
)


class Repeats(NamedTuple):
    """How repeated samples of donors are treated.

    ``together``: those of a donor that the model cannot tell apart are put together before the fit;
    ``rest``: what is done about repeats that are left: ``one`` (there are none), ``blocked``,
    ``correlated`` or ``independent``.
    """

    together: bool
    rest: str


def groups(samples: pd.DataFrame, contrast: Mapping[str, Any]) -> pd.Series:
    """Return what the model can tell of each sample beside its donor, as one text."""
    across = contrast.get("across")
    terms = [*contrast["adjust"], *([contrast["block"]] if contrast["block"] else [])]
    columns = [contrast["variable"], *([across] if across else []), *terms]
    parts = [matrix.level_text(samples[column]) for column in dict.fromkeys(columns)]
    found = parts[0]
    for part in parts[1:]:
        found = found + "\t" + part
    return found


def handling(samples: pd.DataFrame, contrast: Mapping[str, Any]) -> Repeats:
    """Decide how a contrast's model treats repeated samples of donors.

    Parameters
    ----------
    samples
        Those used (:func:`alsmuscle.design.matrix.used_samples`).
    contrast
        As ``cards.contrast`` returns it; its ``repeats`` is the card's word on them.
    """
    who, side = _people(samples, contrast), matrix.strata(samples, contrast)
    if not _repeated(who, side):
        return Repeats(False, "one")
    said = contrast.get("repeats", "")
    if isinstance(said, Mapping):
        return Repeats(False, "independent")
    key = who + "\t" + groups(samples, contrast)
    together = bool(key.duplicated().any()) and (
        said == "technical" or (said == "" and _alike(samples, key))
    )
    if together:
        first = ~key.duplicated()
        who, side, samples = who[first], side[first], samples[first]
        if not _repeated(who, side):
            return Repeats(True, "one")
    block = contrast["block"]
    if block and (who.groupby(matrix.level_text(samples[block])).nunique() == 1).all():
        return Repeats(together, "blocked")
    return Repeats(together, "correlated")


def _people(samples: pd.DataFrame, contrast: Mapping[str, Any]) -> pd.Series:
    """Whose each sample is, whatever the card says of their independence."""
    return matrix.donor(samples, {**contrast, "repeats": ""})


def _repeated(who: pd.Series, side: pd.Series) -> bool:
    return bool((who + "\t" + side).duplicated().any())


def _alike(samples: pd.DataFrame, key: pd.Series) -> bool:
    """Whether no column of the sheet tells apart samples of one donor that the model cannot."""
    columns = [c for c in samples if c not in _SAYS_NOTHING and not str(c).endswith("_raw")]
    texts = samples[columns].apply(matrix.level_text)
    return bool((texts.groupby(key.to_numpy()).nunique() == 1).to_numpy().all())


def members(samples: pd.DataFrame, contrast: Mapping[str, Any]) -> pd.Series:
    """Return for each sample used the one under whose name its donor's samples are put together."""
    key = _people(samples, contrast) + "\t" + groups(samples, contrast)
    first = samples.index.to_series().groupby(key.to_numpy()).transform("first")
    return first if handling(samples, contrast).together else samples.index.to_series()


def warning(samples: pd.DataFrame, contrast: Mapping[str, Any]) -> str:
    """Say how many donors have how many samples in one group, and how the model takes it."""
    found = handling(samples, contrast)
    if not found.together and found.rest in ("one", "blocked"):
        return ""
    who, side = _people(samples, contrast), matrix.strata(samples, contrast)
    size = (who + "\t" + side).value_counts()
    said = contrast.get("repeats", "")
    how = {
        "one": "",
        "blocked": " Donors are part of the model.",
        "correlated": " The model takes a donor's samples as correlated.",
        "independent": " They are taken as independent: "
        + (str(said["independent"]) if isinstance(said, Mapping) else ""),
    }[found.rest]
    put = " They were put together before the fit." if found.together else ""
    return (
        f"{int((size > 1).sum())} of {who.nunique()} donors have up to {int(size.max())} "
        f"samples in one group.{put}{how}"
    )


def unknown(samples: pd.DataFrame, columns: Collection[str]) -> str:
    """Say where nobody can know which samples are of one donor, though there may be such.

    Parameters
    ----------
    samples
        Those used.
    columns
        Harmonised columns that the card has a rule for.
    """
    if "subject_id" in columns:
        return ""
    parts = [c for c in PARTS if c in samples and matrix.level_text(samples[c]).nunique() > 1]
    labels = samples["sample_label"].astype(str) if "sample_label" in samples else None
    if (
        labels is not None
        and labels.str.contains(_LEFT).any()
        and labels.str.contains(_RIGHT).any()
    ):
        parts.append("names of left and right")
    if not parts:
        return ""
    return (
        f"The samples differ in {' and '.join(parts)}, and the card does not say which are of one "
        "donor (`subject_id`): if some are, there are fewer independent samples than are counted."
    )
