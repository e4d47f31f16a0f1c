"""Cell-type composition at donor level.

Propeller (Phipson et al. 2022, Bioinformatics 38:4720): transform each donor's proportions, fit a
linear model per cell type, moderate the residual variances over types as limma does, test. The
donor is the unit; cells are never counted as replicates. Proportions sum to one, so a rise of one
type lowers the others: read the largest change first.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.stats import distributions
from alsmuscle.stats.moderation import squeeze_var

TRANSFORMS = ("logit", "arcsine")


def donor_counts(
    obs: pd.DataFrame, *, unit: str = "subject_id", by: str = "cell_type"
) -> pd.DataFrame:
    """Count cells per donor and cell type (donors x types, whole numbers).

    Several samples of a donor are added. For paired designs (a donor before and after) pass
    ``unit="sample_id"`` and give the donor as a term of the design. Raises InputError for missing
    columns or values.
    """
    for column in (unit, by):
        if column not in obs:
            raise InputError(f"no column '{column}'", where="cells", expected=f"{unit} and {by}")
    if obs[unit].isna().any():
        raise InputError(
            f"cells without a {unit}", where="cells", remedy="complete the sample table"
        )
    table = pd.crosstab(obs[unit].astype(str), obs[by].astype(str))
    return table.rename_axis(index=unit, columns=by)


def transform_proportions(counts: pd.DataFrame, *, transform: str) -> pd.DataFrame:
    """Transform proportions so that their variance depends less on their mean.

    ``logit``: log(p / (1 - p)) of proportions with half a cell added to every count; ``arcsine``:
    asin(sqrt(p)). Both as in speckle. Input and output are units x types. Raises InputError for a
    unit without cells, fewer than two types, or an unknown transform.
    """
    values = counts.to_numpy(dtype=np.float64)
    if transform not in TRANSFORMS:
        raise InputError(f"unknown transform '{transform}'", expected=" or ".join(TRANSFORMS))
    if values.shape[1] < 2:
        raise InputError("composition needs at least two cell types", expected="two or more types")
    empty = counts.index[values.sum(axis=1) == 0]
    if len(empty):
        raise InputError(f"no cells for {', '.join(map(str, empty))}", remedy="leave them out")
    if transform == "logit":
        values = values + 0.5
    share = values / values.sum(axis=1, keepdims=True)
    out = np.log(share / (1 - share)) if transform == "logit" else np.arcsin(np.sqrt(share))
    return pd.DataFrame(out, index=counts.index, columns=counts.columns)


def composition_test(
    counts: pd.DataFrame,
    design: pd.DataFrame,
    contrast: pd.Series,
    *,
    n_target: int,
    n_reference: int,
    transform: str,
    min_donors: int = 3,
    level: float = 0.95,
) -> pd.DataFrame:
    """Test each cell type's proportion for a contrast, with moderated t.

    Parameters
    ----------
    counts
        Cells per donor and type (:func:`donor_counts`). ``unassigned`` cells belong in it: they
        are part of the whole.
    design
        Model matrix, donors x coefficients, full rank, same index as ``counts``.
    contrast
        Weights over the design's columns; the effect is their weighted sum.
    n_target, n_reference
        Donors on the contrast's two sides (a design with covariates or further groups does not
        say).
    transform
        ``logit`` (effects are log odds ratios) or ``arcsine``.
    min_donors
        With fewer donors on either side, effects are given without a test, as everywhere.
    level
        Coverage of the interval.

    Returns
    -------
    DataFrame
        One row per type: ``cell_type, effect, se, ci_low, ci_high, stat, df, pvalue, padj
        (Benjamini-Hochberg), mean_share, n_target, n_reference``; missing test columns where
        donors are too few.

    Raises
    ------
    InputError
        When rows do not match, the design is not of full rank, or the contrast names other
        columns.

    Notes
    -----
    Checked against limma ``lmFit``, ``contrasts.fit``, ``eBayes`` (not robust, no trend) on the
    same transformed matrix: ``tests/reference/composition``.
    """
    if not counts.index.equals(design.index):
        raise InputError("counts and design have different donors", expected="the same index")
    unknown = sorted(set(contrast.index) ^ set(design.columns))
    if unknown:
        raise InputError(f"contrast and design differ in {', '.join(map(str, unknown))}")
    X = design.to_numpy(dtype=np.float64)
    n, p = X.shape
    if np.linalg.matrix_rank(X) < p:
        raise InputError(
            f"the design is not of full rank: {', '.join(map(str, design.columns))}",
            remedy="drop the covariate that is determined by the others",
        )
    c = contrast.reindex(design.columns).to_numpy(dtype=np.float64)
    Y = transform_proportions(counts, transform=transform).to_numpy()
    inverse = np.linalg.inv(X.T @ X)
    beta = inverse @ X.T @ Y
    effect = c @ beta
    unscaled = float(np.sqrt(c @ inverse @ c))
    share = counts.div(counts.sum(axis=1), axis=0).mean(axis=0)
    out = pd.DataFrame(
        {
            "cell_type": counts.columns.astype(str),
            "effect": effect,
            "mean_share": share.to_numpy(),
            "n_target": n_target,
            "n_reference": n_reference,
        }
    )
    tested = ["se", "ci_low", "ci_high", "stat", "df", "pvalue", "padj"]
    out[tested] = np.nan
    residual_df = n - p
    if residual_df > 0 and min(n_target, n_reference) >= min_donors:
        s2 = ((Y - X @ beta) ** 2).sum(axis=0) / residual_df
        moderated = squeeze_var(s2, residual_df)
        # Types share the donors: no more information than all residuals together (as limma).
        df = min(residual_df + moderated.df_prior, residual_df * Y.shape[1])
        se = unscaled * np.sqrt(moderated.var_post)
        stat = effect / se
        pvalue = distributions.t_pvalue(stat, df)
        half = distributions.t_quantile((1 + level) / 2, df) * se
        out["se"], out["stat"], out["df"], out["pvalue"] = se, stat, df, pvalue
        out["ci_low"], out["ci_high"] = effect - half, effect + half
        out["padj"] = distributions.adjust(pvalue)
    order = ["cell_type", "effect", *tested, "mean_share", "n_target", "n_reference"]
    return out[order]
