"""Designs, the negative-binomial fit, contrasts read from it; one code for bulk and pseudobulk.

The fit is DESeq2's (Love, Huber, Anders 2014, 10.1186/s13059-014-0550-8) as PyDESeq2 implements it
(Muzellec et al. 2023, 10.1093/bioinformatics/btad547), shrinkage is apeglm's (Zhu, Ibrahim, Love
2019, 10.1093/bioinformatics/bty895). What is here: designs from column names (no formula text is
evaluated), estimability and confounding in words, and the hand-over between fit and contrast.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from alsmuscle import contracts
from alsmuscle.errors import InputError
from alsmuscle.registry import design_id

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import ArrayLike

Contrast = Mapping[str, Any]
Engine = Literal["batched", "default"]
Distribution = Literal["t", "normal"]

# Measures of how a sample was processed, as ``qc.technical`` gives them, in words.
TECHNICAL = {"library_size": "Number of reads", "pct_mito": "Mitochondrial share (per cent)"}

# Columns that describe a sample without being a possible cause of a difference.
NOT_COVARIATES = ("dataset", "sample_id", "subject_id", "condition", "age_unit", "stage")


# --- designs --------------------------------------------------------------------------------
#
# A contrast is a mapping with the keys of ``registry.contrast``. Its ``kind`` says what is read:
#   difference   target minus reference of `variable`; with `across` and `at`, at that level only
#   interaction  the difference at level `at` of `across` minus that at level `against`; without
#                levels `across` is a number, and the difference's change per unit of it
#   trend        change of the difference per unit of `across`, whose levels are numbers (days)
#   continuous   change per unit of `variable`, a number


def _kind(contrast: Contrast) -> str:
    return str(contrast.get("kind", "difference"))


def _across(contrast: Contrast) -> str | None:
    return contrast.get("across")


def _numeric_across(contrast: Contrast) -> bool:
    """Whether ``across`` is a number and not a set of levels."""
    return _kind(contrast) == "interaction" and not contrast.get("at")


def _terms(contrast: Contrast) -> list[str]:
    return [*contrast["adjust"], *([contrast["block"]] if contrast["block"] else [])]


def _text(values: pd.Series) -> pd.Series:
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
    across = _across(contrast)
    keep = samples[contrast["variable"]].notna()
    for column in [contrast["variable"], *([across] if across else []), *_terms(contrast)]:
        keep &= _text(samples[column]) != ""
    for column, levels in contrast["within"].items():
        keep &= _text(samples[column]).isin(levels)
    return samples[keep]


def cells(samples: pd.DataFrame, contrast: Contrast) -> dict[str, pd.Series]:
    """Return the groups of samples that a contrast compares: name in words → boolean mask.

    Each must hold samples, and the smallest decides whether a test is claimed. A continuous
    variable has no groups: its samples above the median and the others are counted, not compared.
    """
    variable, across = contrast["variable"], _across(contrast)
    if _kind(contrast) == "continuous":
        above = samples[variable] > samples[variable].median()
        return {f"higher {variable}": above, f"lower {variable}": ~above}
    values = _text(samples[variable])
    if across is None or _numeric_across(contrast):
        return {f"'{level}'": values == level for level in _sides(contrast)}
    where = _text(samples[across])
    levels = (
        [level for level in (contrast.get("at"), contrast.get("against")) if level]
        if _kind(contrast) != "trend"
        else sorted(set(where), key=_number)
    )
    return {
        f"'{side}' with {across} '{level}'": (values == side) & (where == level)
        for level in levels
        for side in _sides(contrast)
    }


def _sides(contrast: Contrast) -> tuple[str, str]:
    return contrast["target"], contrast["reference"]


def _number(level: str) -> float:
    try:
        return float(level)
    except ValueError:
        return float("nan")


def smallest_cell(samples: pd.DataFrame, contrast: Contrast) -> int:
    """Return the size of the smallest group that a contrast compares."""
    return min(int(mask.sum()) for mask in cells(samples, contrast).values())


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

    across = _across(contrast)
    columns = [contrast["variable"]] if _kind(contrast) != "continuous" else []
    columns += [across] if across and not _numeric_across(contrast) else []
    parts = [_text(samples[column]) for column in columns]
    return pd.concat([*parts, pd.Series("", index=samples.index)], axis=1).agg(" ".join, axis=1)


def _full_design(samples: pd.DataFrame, contrast: Contrast) -> pd.DataFrame:
    """All terms of a design, also those that others determine; see :func:`design_matrix`."""
    import numpy as np
    import pandas as pd

    parts: dict[str, Any] = {"Intercept": np.ones(len(samples))}
    scale: dict[str, float] = {}
    across_levels: list[str] = []
    variable, across = contrast["variable"], _across(contrast)

    def columns(column: str, *, numeric: bool, baseline: str | None = None) -> dict[str, Any]:
        values = samples[column]
        if numeric:
            spread = float(values.std(ddof=0))
            scale[column] = spread if spread > 0 else 1.0
            return {column: ((values - values.mean()) / scale[column]).to_numpy(float)}
        text = _text(values)
        levels = sorted(text.unique())
        baseline = levels[0] if baseline not in levels else baseline
        return {f"{column}[{v}]": (text == v).to_numpy(float) for v in levels if v != baseline}

    own = columns(
        variable, numeric=_kind(contrast) == "continuous", baseline=contrast.get("reference")
    )
    parts |= own
    if across:
        if not _numeric_across(contrast):
            across_levels = sorted(set(_text(samples[across])))
        other = columns(across, numeric=_numeric_across(contrast))
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

    full = _full_design(samples, contrast)
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
    variable, across = contrast["variable"], _across(contrast)

    def add(term: str, weight: float) -> None:
        if term in design.columns:
            vector[design.columns.get_loc(term)] += weight

    if _kind(contrast) == "continuous":
        add(variable, 1 / design.attrs["scale"][variable])
        return vector
    signed = list(zip(_sides(contrast), (1.0, -1.0), strict=True))
    if _kind(contrast) == "difference":
        for side, weight in signed:
            add(f"{variable}[{side}]", weight)
            if across:
                add(f"{variable}[{side}]:{across}[{contrast['at']}]", weight)
    elif _numeric_across(contrast):
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

    if _kind(contrast) == "interaction":
        return {contrast["at"]: 1.0, contrast["against"]: -1.0}
    # The least-squares slope of the levels' differences on the levels.
    levels = design.attrs["across_levels"]
    centred = np.array([float(level) for level in levels])
    centred = centred - centred.mean()
    return dict(zip(levels, centred / (centred**2).sum(), strict=True))


def _estimable(samples: pd.DataFrame, contrast: Contrast, columns: Sequence[str]) -> bool:
    """Whether the contrast can be separated from the given columns.

    It can when its vector lies in the row space of the design with all terms.
    """
    import numpy as np

    blocked = contrast["block"] if contrast["block"] in columns else None
    reduced = {**contrast, "adjust": [c for c in columns if c != blocked], "block": blocked}
    full = _full_design(samples, reduced)
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

    across = _across(contrast)
    for column in [contrast["variable"], *([across] if across else []), *_terms(contrast)]:
        if column not in samples:
            raise InputError(f"the samples have no column '{column}'", where=where)
    number = contrast["variable"] if _kind(contrast) == "continuous" else None
    number = across if _numeric_across(contrast) else number
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
    if _kind(contrast) == "trend":
        _check_trend(used, contrast, where)
    _check_cells(samples, used, contrast, where)
    for column in contrast["adjust"]:
        if used[column].astype(str).nunique() < 2:
            raise InputError(
                f"covariate '{column}' has the same value in every sample",
                where=f"{where}.adjust",
                remedy=f"drop '{column}'",
            )
    terms = _terms(contrast)
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
    levels = sorted(set(_text(used[across])))
    wrong = [level for level in levels if math.isnan(_number(level))]
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
    variable, across = contrast["variable"], _across(contrast)
    known = [(side, variable, contrast[side]) for side in ("target", "reference")]
    if across:
        known += [(key, across, contrast[key]) for key in ("at", "against") if contrast.get(key)]
    for key, column, level in known:
        everywhere = _text(samples[column])
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
    needed = [variable, *([across] if across else []), *_terms(contrast)]
    raise InputError(
        f"no sample that is {empty[0]} is left: {_words(needed)} are never all known, or `within` "
        "leaves them out",
        where=where,
        remedy="drop the covariate or widen `within`",
    )


def _comparison(contrast: Contrast) -> str:
    """Say what a contrast compares."""
    across = _across(contrast)
    if _kind(contrast) == "continuous":
        return f"the change with '{contrast['variable']}'"
    text = f"'{contrast['target']}' against '{contrast['reference']}'"
    if _kind(contrast) == "difference":
        return text + (f" at {across} '{contrast['at']}'" if across else "")
    if contrast.get("at"):
        return f"{text}, {across} '{contrast['at']}' against '{contrast['against']}',"
    return f"the change of {text} with '{across}'"


def _words(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return " and ".join(quoted) if len(quoted) < 3 else ", ".join(quoted)


def _explain(samples: pd.DataFrame, contrast: Contrast, column: str) -> str:
    """Say in one sentence how a column and what is compared go together."""
    if _kind(contrast) == "continuous":
        variable = contrast["variable"]
        return f"{variable} does not vary among samples of the same {column}"

    def levels(mask: pd.Series) -> str:
        found = sorted(_text(samples.loc[mask, column]).unique())
        return ", ".join(found[:6]) + (" …" if len(found) > 6 else "")

    return "; ".join(
        f"every {name} sample has {column} {levels(mask)}"
        for name, mask in cells(samples, contrast).items()
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def design_warnings(
    samples: pd.DataFrame, contrast: Contrast, dataset: str, min_replicates: int
) -> pd.DataFrame:
    """List what a reader must know about a contrast's design.

    For a difference between groups a column is ``confounded`` when none of its levels holds both a
    target and a reference sample (for a number: when the ranges do not overlap): the contrast
    cannot be told from it. It is ``near_confounded`` when Cramér's V between column and side is at
    least 0.7. For the other kinds a column is confounded when adding it to the model would leave
    the contrast inestimable, and nearly so when it explains 80 % of a continuous variable.
    Measures of processing that do not overlap (library size, mitochondrial share) get a kind of
    their own, ``technical``. Columns that define the groups (``defined_by``) are not looked at.

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

    known_already = {*NOT_COVARIATES, contrast["variable"], _across(contrast), *_terms(contrast)}
    known_already |= set(contrast.get("defined_by", []))
    look = _side_warning if _kind(contrast) == "difference" else _model_warning
    for column in used.columns:
        if column not in known_already and not column.endswith("_raw"):
            found = look(used, contrast, column)
            if found:
                warn(found[0], column, found[1])
    groups = cells(used, contrast)
    if smallest_cell(used, contrast) < min_replicates:
        warn(
            "few_samples",
            contrast["variable"],
            " against ".join(str(int(mask.sum())) for mask in groups.values())
            + " samples: effects are given, no test is claimed.",
        )
    target, reference = sides(used, contrast)
    if not contrast["block"] and _kind(contrast) != "continuous":
        shared = set(used.loc[target, "subject_id"]) & set(used.loc[reference, "subject_id"])
        if shared:
            warn(
                "unpaired",
                "subject_id",
                f"{len(shared)} donors stand on both sides, yet the model does not pair them.",
            )
    if not contrast["block"] and _kind(contrast) == "continuous":
        repeated = int(used["subject_id"].duplicated(keep=False).sum())
        if repeated:
            warn(
                "unpaired",
                "subject_id",
                f"{repeated} samples share their donor with another one, yet the model takes them "
                "as independent.",
            )
    return pd.DataFrame(rows, columns=["dataset", "contrast", "kind", "column", "text"])


def _side_warning(used: pd.DataFrame, contrast: Contrast, column: str) -> tuple[str, str] | None:
    """Kind and text where a column goes with the two sides of a difference."""
    import pandas as pd
    from scipy.stats.contingency import association

    target, reference = sides(used, contrast)
    both = used[target | reference]
    side = target[target | reference]
    values = both[column]
    if pd.api.types.is_numeric_dtype(values):
        a, b = values[side].dropna(), values[~side].dropna()
        if not len(a) or not len(b) or (a.min() <= b.max() and a.max() >= b.min()):
            return None
        ranges = (
            f"{_figure(a.min())} to {_figure(a.max())} in '{contrast['target']}', "
            f"{_figure(b.min())} to {_figure(b.max())} in '{contrast['reference']}'"
        )
        if column in TECHNICAL:
            return (
                "technical",
                f"{TECHNICAL[column]} does not overlap ({ranges}): the two sides were "
                "probably not processed together. Part of the difference may be one between runs.",
            )
        return (
            "confounded",
            f"{column} does not overlap: {ranges}. The difference may be one of {column}.",
        )
    values = values.astype(str)
    known = values != ""
    if not (known & side).any() or not (known & ~side).any() or not _tells(values[known]):
        return None
    table = pd.crosstab(values[known], side[known])
    if (table > 0).sum(axis=1).max() == 1:
        return (
            "confounded",
            _explain(both, contrast, column)
            + f". The difference cannot be told from one of {column}.",
        )
    if min(table.shape) > 1 and association(table.to_numpy()) >= 0.7:
        return (
            "near_confounded",
            f"{column} and {contrast['variable']} go together almost completely "
            f"(Cramér's V {association(table.to_numpy()):.2f}).",
        )
    return None


def _tells(values: pd.Series) -> bool:
    """Whether a column of text can go with anything: one value, or a label per sample, cannot."""
    return bool(1 < values.nunique() < len(values))


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
    if part[column].nunique() < 2 or not (numeric or _tells(part[column].astype(str))):
        return None
    if column in TECHNICAL:
        return None
    if not _estimable(part, contrast, [*_terms(contrast), column]):
        return (
            "confounded",
            f"{_comparison(contrast)} cannot be told from {column}: "
            f"{_explain(part, contrast, column)}.",
        )
    if _kind(contrast) == "continuous":
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


# --- the fit and the contrasts --------------------------------------------------------------


# R's DESeq2 floors fitted means at this value also where the standard errors are computed; PyDESeq2
# does not, so that genes with almost no read in one group get standard errors up to twice R's.
WALD_MIN_MU = 0.5


def _inference(name: Engine, threads: int) -> Any:
    from alsmuscle.fit import make_inference

    return make_inference(name, n_cpus=threads, wald_min_mu=WALD_MIN_MU)


def fit(
    counts: AnnData,
    contrast: Contrast,
    *,
    min_total: int,
    inference: Engine,
    threads: int = 1,
) -> AnnData:
    """Fit one negative-binomial model for all groups of a design.

    Parameters
    ----------
    counts
        Contract ``counts.h5ad``: samples × genes.
    contrast
        Any contrast of the design.
    min_total
        Genes with fewer reads over the samples used are left out.
    inference
        ``batched`` (ours) or ``default`` (PyDESeq2's).
    threads
        Threads of the fit; values do not depend on it.

    Returns
    -------
    AnnData
        What a contrast needs: ``X`` counts, ``obs["size_factors"]``, ``var`` dispersions,
        ``varm["LFC"]`` natural-log coefficients, ``obsm["design_matrix"]``, ``uns["terms"]`` the
        terms' names, ``uns["attrs"]`` what :func:`contrast_vector` needs beside them,
        ``uns["prior_disp_var"]`` the variance of log dispersions around their trend,
        ``uns["notes"]`` what the fit warned of; ``varm["omnibus"]`` the likelihood-ratio statistic
        of every hypothesis of :func:`hypotheses` and ``varm["omnibus_share"]`` how much of it hangs
        on dispersion, ``uns["omnibus"]`` their terms.
    """
    import anndata
    import numpy as np
    import pandas as pd

    from alsmuscle.fit import fit_dataset

    used = used_samples(counts.obs, contrast)
    part = counts[used.index]
    X = np.asarray(part.X, dtype=np.int64)
    keep = X.sum(axis=0) >= min_total
    design = design_matrix(used, contrast)
    terms = list(design.columns)
    # Level names may hold any character; HDF5 keys may not.
    design.columns = [f"term{i}" for i in range(len(terms))]
    result = anndata.AnnData(
        X=X[:, keep],
        obs=pd.DataFrame(index=used.index),
        var=part.var.loc[keep, ["symbol", "source_id"]].copy(),
    )
    result.obsm["design_matrix"] = design
    result.uns["terms"] = terms
    result.uns["attrs"] = json.dumps(design.attrs)
    if len(used) <= len(terms):
        result.uns["notes"] = ["No residual degree of freedom: effects only, from size factors."]
        result.uns["fitted"] = False
        return result
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dds = fit_dataset(
            pd.DataFrame(X[:, keep], index=used.index, columns=part.var_names[keep]),
            pd.DataFrame(index=used.index),
            design,
            inference=inference,
            n_cpus=threads,
            wald_min_mu=WALD_MIN_MU,
            low_memory=True,
        )
    zeroed = getattr(dds, "new_all_zeroes_genes", pd.Index([]))
    for column in (
        "_normed_means",
        "genewise_dispersions",
        "fitted_dispersions",
        "dispersions",
        "replaced",
        "_pvalue_cooks_outlier",
    ):
        # The fit works in the order of labels, so that the order of the input changes no digit.
        result.var[column] = dds.var[column].loc[result.var_names].to_numpy()
    result.var["new_all_zero"] = result.var_names.isin(zeroed)
    result.obs["size_factors"] = dds.obs["size_factors"].loc[result.obs_names].to_numpy()
    result.varm["LFC"] = (
        pd.DataFrame(dds.varm["LFC"]).set_axis(design.columns, axis=1).loc[result.var_names]
    )
    result.uns["prior_disp_var"] = float(dds.uns["prior_disp_var"])
    result.uns["notes"] = sorted({str(w.message).split("\n")[0] for w in caught})
    result.uns["fitted"] = True
    asked = hypotheses(terms, contrast)
    result.uns["omnibus"] = json.dumps(asked)
    if asked:
        for key, part in _likelihood_ratios(dds, design, terms, asked).items():
            result.varm[key] = part.loc[result.var_names]
    return result


def stored_vector(fitted: AnnData, contrast: Contrast) -> np.ndarray:
    """Return the contrast over the terms of a stored fit."""
    import pandas as pd

    terms = pd.DataFrame(columns=list(fitted.uns["terms"]))
    terms.attrs = json.loads(str(fitted.uns["attrs"]))
    return contrast_vector(terms, contrast)


# --- omnibus tests --------------------------------------------------------------------------


def hypotheses(terms: Sequence[str], contrast: Contrast) -> dict[str, list[str]]:
    """Return the omnibus hypotheses of a design: name → terms that are zero under it.

    With more than two groups: ``condition``, no group differs from any other. With ``across``:
    ``condition``, no difference at any level, and ``condition:day``, the same one at every level.
    What a single contrast tests alone is left out.
    """
    variable, across = contrast["variable"], _across(contrast)
    own = [t for t in terms if t == variable or t.startswith(f"{variable}[")]
    products = [t for t in own if across and f":{across}" in t]
    found = {variable: own, f"{variable}:{across}": products}
    return {name: dropped for name, dropped in found.items() if len(dropped) > 1}


def _likelihood_ratios(
    dds: Any, design: pd.DataFrame, terms: Sequence[str], asked: Mapping[str, Sequence[str]]
) -> dict[str, pd.DataFrame]:
    """Twice the gain in log likelihood over models without terms, at the full fit's dispersions.

    As DESeq2's ``nbinomLRT``: outlying counts replaced where the full fit replaced them.

    Returns
    -------
    dict
        ``omnibus`` the statistic, genes × hypotheses; ``omnibus_share`` its -d log / d log dispersion
        (0 to 1). Both models' coefficients maximise their likelihoods, so that only the direct
        dependence on dispersion counts.
    """
    import numpy as np
    import pandas as pd
    from scipy.special import xlog1py, xlogy

    counts = pd.DataFrame(np.asarray(dds.X), index=dds.obs_names, columns=dds.var_names)
    refitted = getattr(dds, "counts_to_refit", None)
    if refitted is not None and refitted.n_vars:
        counts[refitted.var_names] = np.asarray(refitted.X)
    y = counts.to_numpy(float)
    size = dds.obs["size_factors"].to_numpy(float)
    dispersion = dds.var["dispersions"].to_numpy(float)
    usable = np.isfinite(dispersion) & (y.sum(axis=0) > 0)
    y, dispersion = y[:, usable], dispersion[usable]
    X = design.loc[dds.obs_names].to_numpy(float)

    step = 1e-3

    def likelihood(beta: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """At the dispersions, and at slightly larger ones."""
        mu = size[:, None] * np.exp(matrix @ beta.T)
        # What depends on the counts and the dispersion alone is the same in both models.
        return np.array(
            [
                (xlogy(y, mu) - xlog1py(y + 1 / alpha, mu * alpha)).sum(axis=0)
                for alpha in (dispersion, dispersion * np.exp(step))
            ]
        )

    lfc = pd.DataFrame(dds.varm["LFC"], index=dds.var_names).to_numpy(float)[usable]
    full = likelihood(lfc, X)
    table = pd.DataFrame(np.nan, index=dds.var_names, columns=list(asked))
    share = table.copy()
    for name, dropped in asked.items():
        reduced = X[:, [term not in dropped for term in terms]]
        beta, *_ = dds.inference.irls(
            counts=counts.to_numpy()[:, usable],
            size_factors=size,
            design_matrix=reduced,
            disp=dispersion,
            min_mu=dds.min_mu,
            beta_tol=dds.beta_tol,
        )
        gain, moved = np.maximum(2 * (full - likelihood(np.asarray(beta), reduced)), 0.0)
        table.loc[usable, name] = gain
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = -np.log(moved / gain) / step
        # Where nothing is gained the statistic is 0 whatever the share is.
        share.loc[usable, name] = np.clip(np.nan_to_num(lost, nan=1.0, posinf=1.0), 0.0, 1.0)
    return {"omnibus": table, "omnibus_share": share}


def omnibus(
    fitted: AnnData,
    samples: pd.DataFrame,
    contrast: Contrast,
    *,
    dataset: str,
    distribution: Distribution,
    alpha: float,
    min_replicates: int,
    inference: Engine,
    threads: int = 1,
    cell_type: str = "muscle",
) -> pd.DataFrame:
    """Likelihood-ratio tests of a design: does anything differ, does the difference change?

    DESeq2 reads twice the gain in log likelihood against chi-squared, which takes the dispersion as
    known; with few samples its tail is too light, as the normal one of a single contrast is. Under
    ``t`` the statistic over its number of terms k is read against F with k and :func:`degrees_of_freedom`
    degrees of freedom: the quasi-likelihood F test (Lund et al. 2012, Stat Appl Genet Mol Biol
    11:5, 10.1515/1544-6115.1826) with the reference of this module's t. For one term both agree.

    Parameters
    ----------
    fitted
        As :func:`fit` returns it.
    samples
        Contract ``samples`` (index: sample id).
    contrast
        Any contrast of the design.
    distribution
        ``t``: F, as above; ``normal``: chi-squared, as DESeq2.
    alpha
        Level for which independent filtering is optimised.
    min_replicates
        With fewer samples in the smallest group the statistics come without p-values.

    Returns
    -------
    DataFrame
        Contract ``omnibus``: every tested gene per hypothesis, smallest p-value first. Cook's
        filter and independent filtering are those of the Wald test.
    """
    import numpy as np
    import pandas as pd
    from pydeseq2.ds import DeseqStats
    from scipy.stats import chi2, f

    asked = json.loads(str(fitted.uns.get("omnibus", "{}")))
    if not asked or not fitted.uns["fitted"]:
        return no_omnibus()
    engine = _inference(inference, threads)
    dds = _reload(fitted, engine)
    any_term = np.eye(fitted.obsm["design_matrix"].shape[1])[-1]
    stats = DeseqStats(dds, contrast=any_term, alpha=alpha, inference=engine, quiet=True)
    groups = samples.loc[fitted.obs_names]
    few = smallest_group(groups, contrast) < min_replicates
    parts = []
    for name, dropped in asked.items():
        statistic = fitted.varm["omnibus"][name].to_numpy(float)
        k = len(dropped)
        if distribution == "t":
            df = degrees_of_freedom(fitted, fitted.varm["omnibus_share"][name])
            pvalue = f.sf(statistic / k, k, df)
        else:
            df = np.full(fitted.n_vars, np.nan)
            pvalue = chi2.sf(statistic, k)
        stats.p_values = pd.Series(pvalue, index=dds.var_names)
        stats.p_values[fitted.var["new_all_zero"].to_numpy(bool)] = 1.0
        stats._cooks_filtering()
        stats._independent_filtering()
        part = pd.DataFrame(
            {
                "dataset": dataset,
                "design": design_id(contrast),
                "test": name,
                "cell_type": cell_type,
                "gene_id": fitted.var_names,
                "symbol": fitted.var["symbol"].astype(str).to_numpy(),
                "base_mean": stats.base_mean.to_numpy(),
                "stat": statistic,
                "df": k,
                "df_residual": df,
                "pvalue": np.nan if few else stats.p_values.to_numpy(),
                "padj": np.nan if few else stats.padj.to_numpy(),
            }
        )
        parts.append(part.sort_values(["pvalue", "gene_id"], kind="stable"))
    return pd.concat(parts, ignore_index=True)


def no_omnibus() -> pd.DataFrame:
    """Return an empty table of omnibus tests."""
    return contracts.rows([], "omnibus")


def smallest_group(samples: pd.DataFrame, contrast: Contrast) -> int:
    """Return the size of the smallest group of a design."""
    columns = [contrast["variable"], *([_across(contrast)] if _across(contrast) else [])]
    return int(samples.groupby([_text(samples[c]) for c in columns]).size().min())


def _reload(fitted: AnnData, inference: Any) -> Any:
    """Make PyDESeq2's object of a stored fit."""
    import numpy as np
    from pydeseq2.dds import DeseqDataSet

    dds = DeseqDataSet(
        adata=fitted.copy(),
        design=fitted.obsm["design_matrix"],
        refit_cooks=True,
        inference=inference,
        quiet=True,
    )
    dds.non_zero_idx = np.arange(dds.n_vars)
    dds.non_zero_genes = dds.var_names
    dds.new_all_zeroes_genes = dds.var_names[fitted.var["new_all_zero"].to_numpy(bool)]
    return dds


def test(
    fitted: AnnData,
    samples: pd.DataFrame,
    contrast: Contrast,
    *,
    dataset: str,
    distribution: Distribution,
    alpha: float,
    min_replicates: int,
    shrink: bool,
    inference: Engine,
    threads: int = 1,
    cell_type: str = "muscle",
) -> pd.DataFrame:
    """Read one contrast from a fit: Wald test, Cook's filter, independent filtering, shrinkage.

    Parameters
    ----------
    fitted
        As :func:`fit` returns it.
    samples
        Contract ``samples`` (index: sample id), to count the sides.
    contrast
        Target and reference levels.
    distribution
        What the Wald statistic is read against: ``t`` (see :func:`degrees_of_freedom`), or
        ``normal`` as DESeq2 does by default. Effects, errors and statistics are the same.
    alpha
        Level for which independent filtering is optimised.
    min_replicates
        With fewer samples on a side effects are given without p-values.
    shrink
        Fill ``log2fc_shrunk``.

    Returns
    -------
    DataFrame
        Contract ``de``: every tested gene, smallest p-value first.
    """
    import numpy as np
    import pandas as pd

    used = samples.loc[fitted.obs_names]
    target, reference = sides(used, contrast)
    frame = pd.DataFrame(
        {
            "dataset": dataset,
            "contrast": contrast["id"],
            "cell_type": cell_type,
            "gene_id": fitted.var_names,
            "symbol": fitted.var["symbol"].astype(str).to_numpy(),
        }
    )
    empty = np.full(len(frame), np.nan)
    if fitted.uns["fitted"]:
        engine = _inference(inference, threads)
        values = _wald(fitted, contrast, distribution, alpha, shrink, engine)
    else:
        values = _unreplicated(fitted, contrast)
    for column in (
        *("base_mean", "log2fc", "lfc_se", "log2fc_shrunk"),
        *("stat", "df", "pvalue", "padj"),
    ):
        frame[column] = values.get(column, empty)
    frame["n_target"] = int(target.sum())
    frame["n_reference"] = int(reference.sum())
    if smallest_cell(used, contrast) < min_replicates:
        frame[["stat", "pvalue", "padj"]] = np.nan
    wrong = np.sign(frame["log2fc"]) * np.sign(frame["stat"]) < 0
    if wrong.any():
        raise RuntimeError(f"log2fc and stat disagree in sign for {int(wrong.sum())} genes")
    return frame.sort_values(["pvalue", "gene_id"], kind="stable", ignore_index=True)


def _wald(
    fitted: AnnData,
    contrast: Contrast,
    distribution: Distribution,
    alpha: float,
    shrink: bool,
    inference: Any,
) -> dict[str, np.ndarray]:
    import numpy as np
    import pandas as pd
    from pydeseq2.ds import DeseqStats
    from scipy.stats import t

    vector = stored_vector(fitted, contrast)
    dds = _reload(fitted, inference)
    stats = DeseqStats(dds, contrast=vector, alpha=alpha, inference=inference, quiet=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        df = np.full(fitted.n_vars, np.nan)
        if distribution == "t":
            df = degrees_of_freedom(fitted, _wald_with_share(stats))
            stats.p_values = 2 * pd.Series(t.sf(stats.statistics.abs(), df), stats.statistics.index)
        stats.summary()
    table = stats.results_df
    values = {
        "base_mean": table["baseMean"].to_numpy(),
        "log2fc": table["log2FoldChange"].to_numpy(),
        "lfc_se": table["lfcSE"].to_numpy(),
        "stat": table["stat"].to_numpy(),
        "df": df,
        "pvalue": table["pvalue"].to_numpy(),
        "padj": table["padj"].to_numpy(),
    }
    if shrink:
        # Shrinkage acts on one coefficient: rewrite the model so that the contrast is one.
        rotation = np.eye(len(vector))
        pivot = int(np.flatnonzero(vector)[0])
        rotation[pivot] = vector
        names = [f"term{i}" for i in range(len(vector))]
        stats.design_matrix = pd.DataFrame(
            stats.design_matrix.to_numpy() @ np.linalg.inv(rotation),
            index=stats.design_matrix.index,
            columns=names,
        )
        stats.LFC = pd.DataFrame(
            stats.LFC.to_numpy() @ rotation.T, index=stats.LFC.index, columns=names
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stats.lfc_shrink(names[pivot])
        values["log2fc_shrunk"] = stats.LFC.iloc[:, pivot].to_numpy() / np.log(2)
    return values


def degrees_of_freedom(fitted: AnnData, share: ArrayLike) -> np.ndarray:
    """Degrees of freedom of a fit's Wald statistics: how well their standard errors are known.

    The normal approximation takes a gene's estimated dispersion as known: with few, unlike people its
    tails are too light. DESeq2 offers Student's t for that (``nbinomWaldTest(useT = TRUE, df =
    ...)``) and leaves the degrees of freedom to the user. Here they are those of a moderated t (Smyth
    2004, Stat Appl Genet Mol Biol 3:3, 10.2202/1544-6115.1027), residual ones and d0 that the prior
    is worth: DESeq2's prior is normal on log dispersion with variance sigma2, and a variance whose
    inverse is chi-square with d0 degrees of freedom has a logarithm of variance trigamma(d0 / 2), so
    trigamma(d0 / 2) = sigma2. (DESeq2 bounds sigma2 at 0.25 from below, d0 at 9 from above.)

    Only a ``share`` f of a statistic's variance comes from dispersion, the rest is counting noise and
    known. The data then know log dispersion with precision f^2 (n - p) / 2, the prior with d0 / 2,
    and log SE^2 varies by f^2 over their sum. A mean square on df degrees varies by 2 / df; so
    df = n - p + d0 / f^2.

    Parameters
    ----------
    fitted
        As :func:`fit` returns it.
    share
        Per gene d log SE^2 / d log dispersion, 0 to 1.

    Returns
    -------
    ndarray
        Per gene; infinite where dispersion plays no part.
    """
    import numpy as np

    from alsmuscle.moderate import trigamma_inverse

    n_samples, n_terms = fitted.obsm["design_matrix"].shape
    prior = 2 * trigamma_inverse(fitted.uns["prior_disp_var"])
    with np.errstate(divide="ignore"):
        return np.asarray(n_samples - n_terms + prior / np.asarray(share, dtype=float) ** 2)


def _wald_with_share(stats: Any) -> np.ndarray:
    """Run PyDESeq2's Wald test, and return d log SE^2 / d log dispersion of each gene."""
    import numpy as np

    step = 1e-3
    own = stats.dds.var["dispersions"].copy()
    stats.dds.var["dispersions"] = own * np.exp(step)
    stats.run_wald_test()
    moved = stats.SE
    stats.dds.var["dispersions"] = own
    stats.run_wald_test()
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 2 * np.log(moved / stats.SE) / step
    # Genes without a read after replacement have no error; their statistic is 0 whatever it is.
    return np.asarray(share.fillna(1.0).clip(0.0, 1.0), dtype=float)


def half_width(se: ArrayLike, df: ArrayLike, level: float = 0.95) -> np.ndarray:
    """Return half the width of an interval: ``se`` times a quantile of t, of the normal without df.

    ``se``, ``df``: one per effect, as in a ``de`` table; a missing ``df`` stands for the normal
    distribution.
    """
    import numpy as np
    from scipy.stats import t

    free = np.asarray(df, dtype=float)
    quantile = t.ppf((1 + level) / 2, np.where(np.isnan(free), np.inf, free))
    return np.asarray(np.asarray(se, dtype=float) * quantile, dtype=float)


def _unreplicated(fitted: AnnData, contrast: Contrast) -> dict[str, np.ndarray]:
    """Effects from normalised log counts, for designs without a residual degree of freedom."""
    import numpy as np
    from pydeseq2.preprocessing import deseq2_norm

    normed, _ = deseq2_norm(np.asarray(fitted.X))
    normed = np.asarray(normed)
    X = fitted.obsm["design_matrix"].to_numpy(float)
    vector = stored_vector(fitted, contrast)
    log2fc = vector @ np.linalg.pinv(X) @ np.log2(normed + 0.5)
    return {"base_mean": normed.mean(axis=0), "log2fc": log2fc}


def vst(counts: AnnData, *, min_total: int, inference: Engine, threads: int = 1) -> AnnData:
    """Variance-stabilise counts without looking at the groups (DESeq2's ``vst(blind=TRUE)``).

    Returns
    -------
    AnnData
        ``X``: samples × genes with at least ``min_total`` reads, log2-like scale, float32.
    """
    import anndata
    import numpy as np
    import pandas as pd

    from alsmuscle.fit import Dataset

    X = np.asarray(counts.X, dtype=np.int64)
    keep = X.sum(axis=0) >= min_total
    slim = anndata.AnnData(
        X=X[:, keep], obs=pd.DataFrame(index=counts.obs_names), var=counts.var.loc[keep].copy()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dds = Dataset(
            adata=slim,
            design=pd.DataFrame({"Intercept": np.ones(len(slim))}, index=slim.obs_names),
            inference=_inference(inference, threads),
            quiet=True,
        )
        dds.vst()
    return anndata.AnnData(
        X=np.asarray(dds.layers["vst_counts"], dtype=np.float32),
        obs=counts.obs.copy(),
        var=counts.var.loc[keep, ["symbol", "source_id"]].copy(),
    )
