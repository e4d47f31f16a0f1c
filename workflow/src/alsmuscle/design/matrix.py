"""Designs from column names: who takes part, the model's matrix, and what is read from it.

No formula text is ever evaluated. Whether a design can answer its question, and what goes along
with it, is looked at in :mod:`alsmuscle.design.checks`.

A contrast is a mapping with the keys of ``cards.contrast``. Its ``kind`` says what is read:

difference
    target minus reference of `variable`; with `across` and `at`, at that level only
interaction
    the difference at level `at` of `across` minus that at level `against`; without levels `across`
    is a number, and the difference's change per unit of it
trend
    change of the difference per unit of `across`, whose levels are numbers (days)
continuous
    change per unit of `variable`, a number
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Contrast = Mapping[str, Any]

# Measures of how a sample was processed, as ``qc.technical`` gives them, in words.
TECHNICAL = {"library_size": "Number of reads", "pct_mito": "Mitochondrial share (per cent)"}


def kind_of(contrast: Contrast) -> str:
    """Return what is read: see above."""
    return str(contrast.get("kind", "difference"))


def across_of(contrast: Contrast) -> str | None:
    """Return the column that the variable interacts with, if any."""
    return contrast.get("across")


def numeric_across(contrast: Contrast) -> bool:
    """Whether ``across`` is a number and not a set of levels."""
    return kind_of(contrast) == "interaction" and not contrast.get("at")


def terms_of(contrast: Contrast) -> list[str]:
    """Return the covariates of the model and its block."""
    return [*contrast["adjust"], *([contrast["block"]] if contrast["block"] else [])]


def level_text(values: pd.Series) -> pd.Series:
    """Levels as text; whole numbers without a decimal point, so that day 60.0 is level 60."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values):
        return values.map(lambda value: "" if pd.isna(value) else f"{value:.12g}")
    return values.astype(str).where(values.notna(), "")


def used_samples(samples: pd.DataFrame, contrast: Contrast) -> pd.DataFrame:
    """Return the samples that enter a contrast's model.

    These are all samples with a known value of the variable, of what it interacts with, of every
    covariate and of the block, less those that ``within`` leaves out: all groups of a study are
    fitted in one model.
    """
    across = across_of(contrast)
    keep = samples[contrast["variable"]].notna()
    for column in [contrast["variable"], *([across] if across else []), *terms_of(contrast)]:
        keep &= level_text(samples[column]) != ""
    for column, levels in contrast["within"].items():
        keep &= level_text(samples[column]).isin(levels)
    return samples[keep]


def cells(samples: pd.DataFrame, contrast: Contrast) -> dict[str, pd.Series]:
    """Return the groups of samples that a contrast compares: name in words → boolean mask.

    Each must hold samples, and the smallest decides whether a test is claimed. A continuous
    variable has no groups: its samples above the median and the others are counted, not compared.
    """
    variable, across = contrast["variable"], across_of(contrast)
    if kind_of(contrast) == "continuous":
        above = samples[variable] > samples[variable].median()
        return {f"higher {variable}": above, f"lower {variable}": ~above}
    values = level_text(samples[variable])
    if across is None or numeric_across(contrast):
        return {f"'{level}'": values == level for level in side_names(contrast)}
    where = level_text(samples[across])
    levels = (
        [level for level in (contrast.get("at"), contrast.get("against")) if level]
        if kind_of(contrast) != "trend"
        else sorted(set(where), key=as_number)
    )
    return {
        f"'{side}' with {across} '{level}'": (values == side) & (where == level)
        for level in levels
        for side in side_names(contrast)
    }


def side_names(contrast: Contrast) -> tuple[str, str]:
    """Return target and reference."""
    return contrast["target"], contrast["reference"]


def as_number(level: str) -> float:
    """Return a level as the number that it is, or nan."""
    try:
        return float(level)
    except ValueError:
        return float("nan")


def donor(samples: pd.DataFrame, contrast: Contrast) -> pd.Series:
    """Return the independent unit that each sample is of.

    That is its donor; the sample itself where its donor is not known, or where the card says that a
    donor's samples are independent.
    """
    own = samples.index.to_series().astype(str)
    if "subject_id" not in samples or isinstance(contrast.get("repeats"), Mapping):
        return own
    ids = samples["subject_id"].astype(str)
    return ids.where(ids != "", own)


def smallest_cell(samples: pd.DataFrame, contrast: Contrast) -> int:
    """Return the number of donors in the smallest group that a contrast compares."""
    who = donor(samples, contrast)
    return min(int(who[mask].nunique()) for mask in cells(samples, contrast).values())


def side_sizes(samples: pd.DataFrame, contrast: Contrast) -> dict[str, int]:
    """Return samples and donors of either side: ``n_target, n_reference, donors_target, …``.

    ``samples`` are the ones used. Donors as in :func:`donor`.
    """
    who = donor(samples, contrast)
    masks = dict(zip(("target", "reference"), sides(samples, contrast), strict=True))
    return {f"n_{side}": int(mask.sum()) for side, mask in masks.items()} | {
        f"donors_{side}": int(who[mask].nunique()) for side, mask in masks.items()
    }


def smallest_group(samples: pd.DataFrame, contrast: Contrast) -> int:
    """Return the number of donors in the smallest group of a design."""
    across = across_of(contrast)
    columns = [contrast["variable"], *([across] if across else [])]
    who = donor(samples, contrast)
    return int(who.groupby([level_text(samples[c]) for c in columns]).nunique().min())


def sides(samples: pd.DataFrame, contrast: Contrast) -> tuple[pd.Series, pd.Series]:
    """Return boolean masks of the target and the reference samples among those used."""
    masks = list(cells(samples, contrast).values())
    target, reference = masks[0].copy(), masks[1].copy()
    for mask in masks[2::2]:
        target |= mask
    for mask in masks[3::2]:
        reference |= mask
    return target, reference


def strata(samples: pd.DataFrame, contrast: Contrast) -> pd.Series:
    """Return the group of each sample within which donors may be exchanged; one for a number."""
    import pandas as pd

    across = across_of(contrast)
    columns = [contrast["variable"]] if kind_of(contrast) != "continuous" else []
    columns += [across] if across and not numeric_across(contrast) else []
    parts = [level_text(samples[column]) for column in columns]
    return pd.concat([*parts, pd.Series("", index=samples.index)], axis=1).agg(" ".join, axis=1)


def full_design(samples: pd.DataFrame, contrast: Contrast) -> pd.DataFrame:
    """All terms of a design, also those that others determine; see :func:`design_matrix`."""
    import numpy as np
    import pandas as pd

    parts: dict[str, Any] = {"Intercept": np.ones(len(samples))}
    scale: dict[str, float] = {}
    across_levels: list[str] = []
    variable, across = contrast["variable"], across_of(contrast)

    def columns(column: str, *, numeric: bool, baseline: str | None = None) -> dict[str, Any]:
        values = samples[column]
        if numeric:
            spread = float(values.std(ddof=0))
            scale[column] = spread if spread > 0 else 1.0
            return {column: ((values - values.mean()) / scale[column]).to_numpy(float)}
        text = level_text(values)
        levels = sorted(text.unique())
        baseline = levels[0] if baseline not in levels else baseline
        return {f"{column}[{v}]": (text == v).to_numpy(float) for v in levels if v != baseline}

    own = columns(
        variable, numeric=kind_of(contrast) == "continuous", baseline=contrast.get("reference")
    )
    parts |= own
    if across:
        if not numeric_across(contrast):
            across_levels = sorted(set(level_text(samples[across])))
        other = columns(across, numeric=numeric_across(contrast))
        parts |= other
        parts |= {f"{a}:{b}": own[a] * other[b] for b in other for a in own}
    for column in contrast["adjust"]:
        parts |= columns(column, numeric=pd.api.types.is_numeric_dtype(samples[column]))
    if contrast["block"]:
        parts |= columns(contrast["block"], numeric=False)
    full = pd.DataFrame(parts, index=samples.index)
    full.attrs |= {"scale": scale, "across_levels": across_levels}
    return full


def design_matrix(samples: pd.DataFrame, contrast: Contrast) -> pd.DataFrame:
    """Build a design matrix from column names: treatment coding, numbers standardised.

    Parameters
    ----------
    samples
        The samples used, one row each.
    contrast
        Its variable, across, adjust and block define the columns; its reference is the baseline.

    Returns
    -------
    DataFrame
        Samples × terms, full column rank: ``Intercept``, the variable's, those of ``across``,
        their products, covariates, block. Terms that earlier ones already determine are left out.
        ``attrs``: ``scale``, the standard deviation that each number was divided by, and
        ``across_levels``; :func:`contrast_vector` needs both.
    """
    import numpy as np

    full = full_design(samples, contrast)
    kept: list[str] = []
    rank = 0
    for term in full.columns:
        if np.linalg.matrix_rank(full[[*kept, term]].to_numpy()) > rank:
            kept.append(term)
            rank += 1
    design = full[kept]
    design.attrs = full.attrs
    return design


def contrast_vector(design: pd.DataFrame, contrast: Contrast) -> np.ndarray:
    """Return the contrast over the design's terms (any levels that the design has).

    A term that is not there weighs nothing: it is the baseline, or was determined by others, whose
    choice changes no estimable contrast.
    """
    import numpy as np

    vector = np.zeros(design.shape[1])
    variable, across = contrast["variable"], across_of(contrast)

    def add(term: str, weight: float) -> None:
        if term in design.columns:
            vector[design.columns.get_loc(term)] += weight

    if kind_of(contrast) == "continuous":
        add(variable, 1 / design.attrs["scale"][variable])
        return vector
    signed = list(zip(side_names(contrast), (1.0, -1.0), strict=True))
    if kind_of(contrast) == "difference":
        for side, weight in signed:
            add(f"{variable}[{side}]", weight)
            if across:
                add(f"{variable}[{side}]:{across}[{contrast['at']}]", weight)
    elif numeric_across(contrast):
        for side, weight in signed:
            add(f"{variable}[{side}]:{across}", weight / design.attrs["scale"][across])
    else:
        for level, factor in _level_weights(design, contrast).items():
            for side, weight in signed:
                add(f"{variable}[{side}]:{across}[{level}]", factor * weight)
    return vector


def _level_weights(design: pd.DataFrame, contrast: Contrast) -> dict[str, float]:
    """Weight of the difference at each level of ``across``; they sum to zero."""
    import numpy as np

    if kind_of(contrast) == "interaction":
        return {contrast["at"]: 1.0, contrast["against"]: -1.0}
    # The least-squares slope of the levels' differences on the levels.
    levels = design.attrs["across_levels"]
    centred = np.array([float(level) for level in levels])
    centred = centred - centred.mean()
    return dict(zip(levels, centred / (centred**2).sum(), strict=True))
