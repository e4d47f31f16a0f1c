"""Can a design answer its question, and what goes along with what it compares?

Whether a contrast can be estimated, and what it is confounded with, is said in words that a
biologist can act on. What each kind of warning means is in :mod:`alsmuscle.design.marks`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from alsmuscle.core.errors import InputError
from alsmuscle.design import repeats
from alsmuscle.design.matrix import (
    TECHNICAL,
    Contrast,
    across_of,
    as_number,
    cells,
    contrast_vector,
    design_matrix,
    donor,
    full_design,
    kind_of,
    level_text,
    numeric_across,
    sides,
    smallest_cell,
    terms_of,
    used_samples,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# Measures of processing that do not overlap are said from so many samples a side on: of two a side
# they do so by chance in a third of all cases. Library sizes are a mark of their own from this
# ratio of the medians on.
DEPTH_RATIO, FEW = 1.5, 3
# Ages are apart where chance alone would give such a difference of means less often than this.
AGE_ALPHA = 0.05

# Share of samples whose declared sex expression contradicts, above which a study's labels are in
# doubt.
MAX_MISLABELLED = 0.1

SEXES = ("female", "male")

# Columns that describe a sample without being a possible cause of a difference.
NOT_COVARIATES = ("dataset", "sample_id", "subject_id", "condition", "age_unit", "stage")


def _estimable(samples: pd.DataFrame, contrast: Contrast, columns: Sequence[str]) -> bool:
    """Whether the contrast can be separated from the given columns.

    It can when its vector lies in the row space of the design with all terms.
    """
    import numpy as np

    blocked = contrast["block"] if contrast["block"] in columns else None
    reduced = {**contrast, "adjust": [c for c in columns if c != blocked], "block": blocked}
    full = full_design(samples, reduced)
    vector = contrast_vector(full, reduced)
    X = full.to_numpy()
    # Rows of the size of the design's, so that the rank's tolerance suits both.
    vector = vector * np.linalg.norm(X, axis=1).max() / np.linalg.norm(vector)
    rank = np.linalg.matrix_rank(X)
    return bool(np.linalg.matrix_rank(np.vstack([X, vector])) == rank)


def check_contrast(samples: pd.DataFrame, contrast: Contrast, where: str) -> None:
    """Stop where a contrast cannot be computed, saying which columns stand in the way.

    Raises
    ------
    InputError
        A level has no sample, a covariate is constant or unknown for a whole side, a number is not
        one, or the listed covariates make the contrast inestimable.
    """
    import pandas as pd

    across = across_of(contrast)
    for column in [contrast["variable"], *([across] if across else []), *terms_of(contrast)]:
        if column not in samples:
            raise InputError(f"the samples have no column '{column}'", where=where)
    number = contrast["variable"] if kind_of(contrast) == "continuous" else None
    number = across if numeric_across(contrast) else number
    if number and not pd.api.types.is_numeric_dtype(samples[number]):
        raise InputError(
            f"column '{number}' does not hold numbers",
            where=where,
            remedy=f"set `numeric: true` under samples.columns.{number}, or compare its levels",
        )
    used = used_samples(samples, contrast)
    if number and used[number].nunique() < 3:
        raise InputError(
            f"'{number}' has {used[number].nunique()} different value(s) in the samples used",
            where=where,
            expected="at least 3 for a change per unit",
            remedy="compare its levels instead (kind `difference`)",
        )
    if kind_of(contrast) == "trend":
        _check_trend(used, contrast, where)
    _check_cells(samples, used, contrast, where)
    for column in contrast["adjust"]:
        if used[column].astype(str).nunique() < 2:
            raise InputError(
                f"covariate '{column}' has the same value in every sample",
                where=f"{where}.adjust",
                remedy=f"drop '{column}'",
            )
    terms = terms_of(contrast)
    if terms and not _estimable(used, contrast, terms):
        guilty = [t for t in terms if not _estimable(used, contrast, [t])]
        helps = guilty or [
            t for t in terms if _estimable(used, contrast, [u for u in terms if u != t])
        ]
        raise InputError(
            f"{_comparison(contrast)} cannot be separated from "
            f"{_words(guilty or terms)}: {_explain(used, contrast, (guilty or terms)[0])}",
            where=where,
            remedy=f"drop {_words(helps or terms)} from `adjust` or `block`; the contrast is then "
            "computed and marked as confounded",
        )


def _check_trend(used: pd.DataFrame, contrast: Contrast, where: str) -> None:
    import math

    across = contrast["across"]
    levels = sorted(set(level_text(used[across])))
    wrong = [level for level in levels if math.isnan(as_number(level))]
    if wrong or len(levels) < 3:
        raise InputError(
            f"'{across}' has the level '{wrong[0]}', which is no number"
            if wrong
            else f"'{across}' has only {len(levels)} level(s)",
            where=f"{where}.across",
            expected="at least three levels that are numbers, such as days",
            remedy="map its values to numbers, or compare levels with kind `interaction`",
        )


def _check_cells(samples: pd.DataFrame, used: pd.DataFrame, contrast: Contrast, where: str) -> None:
    """Stop where one of the groups that are compared has no sample."""
    empty = [name for name, mask in cells(used, contrast).items() if not mask.any()]
    if not empty:
        return
    variable, across = contrast["variable"], across_of(contrast)
    known = [(side, variable, contrast[side]) for side in ("target", "reference")]
    if across:
        known += [(key, across, contrast[key]) for key in ("at", "against") if contrast.get(key)]
    for key, column, level in known:
        everywhere = level_text(samples[column])
        if not (everywhere == level).any():
            raise InputError(
                f"no sample has {column} = '{level}'",
                where=f"{where}.{key}",
                expected="one of: " + ", ".join(sorted(set(everywhere) - {""})),
            )
    filled = cells(samples, contrast).get(empty[0])
    if filled is None or not filled.any():
        raise InputError(
            f"no sample is {empty[0]}",
            where=where,
            expected="samples in " + ", ".join(cells(used, contrast)),
            remedy="compare levels that have samples, or leave the others out with `within`",
        )
    needed = [variable, *([across] if across else []), *terms_of(contrast)]
    raise InputError(
        f"no sample that is {empty[0]} is left: {_words(needed)} are never all known, or `within` "
        "leaves them out",
        where=where,
        remedy="drop the covariate or widen `within`",
    )


def _comparison(contrast: Contrast) -> str:
    """Say what a contrast compares."""
    across = across_of(contrast)
    if kind_of(contrast) == "continuous":
        return f"the change with '{contrast['variable']}'"
    text = f"'{contrast['target']}' against '{contrast['reference']}'"
    if kind_of(contrast) == "difference":
        return text + (f" at {across} '{contrast['at']}'" if across else "")
    if contrast.get("at"):
        return f"{text}, {across} '{contrast['at']}' against '{contrast['against']}',"
    return f"the change of {text} with '{across}'"


def _words(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return " and ".join(quoted) if len(quoted) < 3 else ", ".join(quoted)


def _explain(samples: pd.DataFrame, contrast: Contrast, column: str) -> str:
    """Say in one sentence how a column and what is compared go together."""
    if kind_of(contrast) == "continuous":
        variable = contrast["variable"]
        return f"{variable} does not vary among samples of the same {column}"

    def levels(mask: pd.Series) -> str:
        found = sorted(level_text(samples.loc[mask, column]).unique())
        return ", ".join(found[:6]) + (" …" if len(found) > 6 else "")

    return "; ".join(
        f"every {name} sample has {column} {levels(mask)}"
        for name, mask in cells(samples, contrast).items()
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def design_warnings(
    samples: pd.DataFrame,
    contrast: Contrast,
    dataset: str,
    min_replicates: int,
    columns: Collection[str] = ("subject_id",),
) -> pd.DataFrame:
    """List what a reader must know about a contrast's design.

    For a difference between groups a column is ``confounded`` when none of its levels holds both a
    target and a reference sample (for a number: when the ranges do not overlap): the contrast
    is confounded with it. It is ``near_confounded`` when Cramér's V between column and side is at
    least 0.7. For the other kinds a column is confounded when adding it to the model would leave
    the contrast inestimable, and nearly so when it explains 80 % of a continuous variable.
    Ages and measures of processing that do not overlap (library size, mitochondrial share) get
    kinds of their own. Columns that define the groups (``defined_by``) are not looked at. What the
    kinds mean is in :mod:`alsmuscle.design.marks`. ``columns``: harmonised columns that the card
    has a rule for; without a donor's, repeated donors cannot be known.

    Returns
    -------
    DataFrame
        Contract ``warnings``.
    """
    import pandas as pd

    used = used_samples(samples, contrast)
    rows = []

    def warn(kind: str, column: str, text: str) -> None:
        rows.append((dataset, contrast["id"], kind, column, text))

    known_already = {
        *NOT_COVARIATES,
        contrast["variable"],
        across_of(contrast),
        *terms_of(contrast),
    }
    known_already |= set(contrast.get("defined_by", []))
    # Sex is the declared one where there is any.
    if "sex" in used and used["sex"].isin(SEXES).any():
        known_already.add("sex_inferred")
    look = _side_warning if kind_of(contrast) == "difference" else _model_warning
    for column in used.columns:
        if column not in known_already and not column.endswith("_raw"):
            found = look(used, contrast, column)
            if found:
                warn(found[0], column, found[1])
    ages = kind_of(contrast) == "difference" and "age" not in known_already
    if ages and (text := _age_warning(used, contrast)):
        warn("ages_apart", "age", text)
    if text := labels_in_doubt(samples):
        warn("labels_in_doubt", "sex", text)
    groups = cells(used, contrast)
    if smallest_cell(used, contrast) < min_replicates:
        warn(
            "few_samples",
            contrast["variable"],
            " against ".join(str(int(mask.sum())) for mask in groups.values())
            + " samples: effects are given, no test is claimed.",
        )
    target, reference = sides(used, contrast)
    if not contrast["block"] and kind_of(contrast) != "continuous":
        shared = set(used.loc[target, "subject_id"]) & set(used.loc[reference, "subject_id"])
        if shared:
            warn(
                "unpaired",
                "subject_id",
                f"{len(shared)} donors have samples on both sides, yet the model does not pair "
                "them.",
            )
    if text := repeats.warning(used, contrast):
        warn("repeated_donors", "subject_id", text)
    if text := repeats.unknown(used, columns):
        warn("donors_unknown", "subject_id", text)
    return pd.DataFrame(rows, columns=["dataset", "contrast", "kind", "column", "text"])


def _side_warning(used: pd.DataFrame, contrast: Contrast, column: str) -> tuple[str, str] | None:
    """Kind and text where a column goes with the two sides of a difference."""
    import pandas as pd

    target, reference = sides(used, contrast)
    both = used[target | reference]
    side = target[target | reference]
    values = both[column]
    if pd.api.types.is_numeric_dtype(values):
        a, b = values[side].dropna(), values[~side].dropna()
        if not len(a) or not len(b) or (a.min() <= b.max() and a.max() >= b.min()):
            return None
        if column == "age":
            return None  # see _age_warning
        ranges = (
            f"{_figure(a.min())} to {_figure(a.max())} in '{contrast['target']}', "
            f"{_figure(b.min())} to {_figure(b.max())} in '{contrast['reference']}'"
        )
        if column in TECHNICAL:
            if min(len(a), len(b)) < FEW:
                return None  # two samples a side do not overlap in one of three pairs of runs
            low, high = sorted([float(a.median()), float(b.median())])
            apart = column == "library_size" and high >= DEPTH_RATIO * low
            text = (
                f"{TECHNICAL[column]} does not overlap ({ranges}): the two sides were "
                "probably not processed together. Part of the difference may be one between runs."
            )
            if column == "library_size" and not apart:
                text += (
                    f" The medians differ {high / low:.2g}-fold; from {DEPTH_RATIO:g}-fold on the "
                    "comparison would not be pooled."
                )
            return "library_sizes_apart" if apart else "technical", text
        return (
            "confounded",
            f"{column} does not overlap: {ranges}. The difference may be one of {column}.",
        )
    values = values.astype(str)
    known = values.isin(SEXES) if column == "sex_inferred" else values != ""
    if (
        not (known & side).any()
        or not (known & ~side).any()
        or not _tells(values[known], donor(used, contrast))
    ):
        return None
    table = pd.crosstab(values[known], side[known])
    if (table > 0).sum(axis=1).max() == 1:
        return (
            "confounded",
            _explain(both, contrast, column) + f". The difference is confounded with {column}.",
        )
    if min(table.shape) > 1 and (v := cramers_v(table.to_numpy())) >= 0.7:
        return (
            "near_confounded",
            f"{column} and {contrast['variable']} go together almost completely "
            f"(Cramér's V {v:.2f}).",
        )
    return None


def _age_warning(used: pd.DataFrame, contrast: Contrast) -> str:
    """Say how far apart the mean ages are where it is more than one pooled standard deviation.

    Few people differ by that much by chance: Welch's t test has to agree.
    """
    units = used["age_unit"].unique() if "age_unit" in used else [""]
    if "age" not in used or len(units) > 1:
        return ""
    a, b = (used.loc[side, "age"].astype(float).dropna() for side in sides(used, contrast))
    if min(len(a), len(b)) < 2:
        return ""
    spread = ((a.var() * (len(a) - 1) + b.var() * (len(b) - 1)) / (len(a) + len(b) - 2)) ** 0.5
    if abs(a.mean() - b.mean()) <= spread or not _unlike(a, b):
        return ""
    unit = f" {units[0]}" if units[0] else ""
    return (
        f"Mean age {_figure(a.mean())} in '{contrast['target']}' and {_figure(b.mean())} in "
        f"'{contrast['reference']}'{unit} (standard deviation {_figure(spread)}), and the model "
        "does not adjust for it."
    )


def _unlike(a: pd.Series, b: pd.Series) -> bool:
    """Whether two means differ by Welch's t test at ``AGE_ALPHA``; without any spread they do."""
    from scipy.special import stdtr

    parts = [float(x.var()) / len(x) for x in (a, b)]
    total = sum(parts)
    if total == 0:
        return True
    df = total**2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, (a, b), strict=True))
    t = abs(a.mean() - b.mean()) / total**0.5
    return bool(2 * stdtr(df, -t) < AGE_ALPHA)


def labels_in_doubt(samples: pd.DataFrame) -> str:
    """Say in how many samples expression contradicts the declared sex, where they are too many."""
    if not {"sex", "sex_inferred"} <= set(samples):
        return ""
    declared, shown = samples["sex"].astype(str), samples["sex_inferred"].astype(str)
    known = declared.isin(SEXES) & shown.isin(SEXES)
    wrong = int((declared[known] != shown[known]).sum())
    if not known.any() or wrong <= MAX_MISLABELLED * known.sum():
        return ""
    return (
        f"In {wrong} of {int(known.sum())} samples the sex that XIST and the Y genes show is "
        "not the declared one: the study's other labels may be wrong too."
    )


def cramers_v(table: np.ndarray) -> float:
    """Return Cramér's V of a contingency table without empty rows or columns.

    ``scipy.stats`` has it, for a second of imports that nothing else in reading a study needs.
    """
    n = table.sum()
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    chi2 = ((table - expected) ** 2 / expected).sum()
    return float((chi2 / n / (min(table.shape) - 1)) ** 0.5)


def _tells(values: pd.Series, who: pd.Series) -> bool:
    """Whether a column of text can go with anything: one value, or a label per donor, cannot."""
    return bool(1 < values.nunique() < who[values.index].nunique())


def _model_warning(used: pd.DataFrame, contrast: Contrast, column: str) -> tuple[str, str] | None:
    """Kind and text where adding a column to the model would leave nothing of the contrast."""
    import numpy as np
    import pandas as pd

    values = used[column]
    numeric = pd.api.types.is_numeric_dtype(values)
    known = values.notna() & (values.astype(str) != "")
    part = used[known]
    if any(not mask.any() for mask in cells(part, contrast).values()):
        return None
    if part[column].nunique() < 2 or not (
        numeric or _tells(part[column].astype(str), donor(part, contrast))
    ):
        return None
    if column in TECHNICAL:
        return None
    if not _estimable(part, contrast, [*terms_of(contrast), column]):
        return (
            "confounded",
            f"{_comparison(contrast)} is confounded with {column}: "
            f"{_explain(part, contrast, column)}.",
        )
    if kind_of(contrast) == "continuous":
        plain = {**contrast, "kind": "difference", "variable": column, "reference": ""}
        plain |= {"across": None, "adjust": [], "block": None, "target": ""}
        if numeric:
            plain["kind"] = "continuous"
        X = design_matrix(part, plain).to_numpy()
        y = part[contrast["variable"]].to_numpy(float)
        residual = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
        spare = len(y) - X.shape[1]
        if spare <= 0:
            return None
        explained = 1 - (residual @ residual / spare) / y.var(ddof=1)
        if explained >= 0.8:
            return (
                "near_confounded",
                f"{column} explains {explained:.0%} of the differences in "
                f"{contrast['variable']}: the change may be one with {column}.",
            )
    return None
