"""Does another method say the same? Each contrast once more through a second engine.

Counts: a linear model of log counts per million with voom's precision weights and moderated t
statistics, which shares neither likelihood nor dispersion estimates with the negative binomial.
Arrays: the same model with the other kind of prior variance. A finding that depends on the engine
is a weak one; agreement is no proof, since both see the same samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle import de, linear

if TYPE_CHECKING:
    from anndata import AnnData

Floats = npt.NDArray[np.float64]

# Reads, at the typical sequencing depth, that a gene needs in as many samples as the smallest group
# has: below, the logarithm of a count is mostly noise (the rule of edgeR's filterByExpr).
MIN_COUNT = 10


def expressed(counts: Floats, size: Floats, n_samples: int) -> npt.NDArray[np.bool_]:
    """Which genes (columns) have enough reads in at least so many samples."""
    typical = counts / (size / np.median(size))[:, None]
    return np.asarray((typical >= MIN_COUNT).sum(axis=0) >= max(n_samples, 1))


def voom_table(fitted: AnnData, contrast: de.Contrast, n_samples: int) -> pd.DataFrame:
    """Test a contrast of a stored fit by voom.

    Parameters
    ----------
    fitted
        As :func:`alsmuscle.de.fit` returns it: its counts, design and size factors are used.
    contrast
        What is read.
    n_samples
        Samples in which a gene must be expressed: the smallest group's.

    Returns
    -------
    DataFrame
        Index gene id (expressed genes); ``effect, se, stat, df, pvalue, padj``.
    """
    from scipy.stats import false_discovery_control

    counts = np.asarray(fitted.X, dtype=float)
    factors = fitted.obs["size_factors"].to_numpy(float)
    # Library sizes as the size factors see them, on the scale of the sums.
    size = factors * np.exp(np.mean(np.log(counts.sum(axis=1)) - np.log(factors)))
    keep = expressed(counts, size, n_samples)
    X = fitted.obsm["design_matrix"].to_numpy(float)
    vector = de.stored_vector(fitted, contrast)
    values, weights = linear.voom(counts[:, keep].T, X, size)
    table = linear.moderated_t(linear.fit(values, X, weights), vector, trend=False)
    table["padj"] = false_discovery_control(table["pvalue"]) if len(table) else np.nan
    return table.set_index(pd.Index(fitted.var_names[keep], name="gene_id"))


def agreement(
    table: pd.DataFrame, other: pd.DataFrame | None, *, engine: str, alpha: float
) -> pd.DataFrame:
    """Say in one row how far two engines agree.

    Parameters
    ----------
    table
        Contract ``de``.
    other
        ``effect, stat, padj`` of the second engine, index gene id; None where it cannot be fitted.
    engine
        The second engine's name.
    alpha
        Level of the calls that are compared.

    Returns
    -------
    DataFrame
        Contract ``engines``: correlations over the genes that both measure; calls over the genes
        that both test (none where no test is claimed).
    """
    row: dict[str, Any] = {
        **{key: table[key].iloc[0] for key in ("dataset", "contrast", "cell_type")},
        **{"engine": engine, "alpha": alpha, "n_genes": 0},
    }
    numbers = ("spearman_effect", "spearman_stat", "called", "called_other", "called_both")
    row |= dict.fromkeys((*numbers, "same_direction"), np.nan)
    if other is not None and len(other):
        first = table.set_index("gene_id")
        shared = other.index.intersection(first.index[first["log2fc"].notna()])
        a, b = first.loc[shared], other.loc[shared]
        row["n_genes"] = len(shared)
        row["spearman_effect"] = a["log2fc"].corr(b["effect"], method="spearman")
        row["same_direction"] = float((np.sign(a["log2fc"]) == np.sign(b["effect"])).mean())
        if a["padj"].notna().any():
            both = a["padj"].notna() & b["padj"].notna()
            row["spearman_stat"] = a["stat"][both].corr(b["stat"][both], method="spearman")
            called, called_other = a["padj"] < alpha, b["padj"] < alpha
            row["called"], row["called_other"] = int(called.sum()), int(called_other.sum())
            row["called_both"] = int((called & called_other).sum())
    return pd.DataFrame([row])


def second(fitted: AnnData, obs: pd.DataFrame, contrast: de.Contrast) -> pd.DataFrame | None:
    """Test a contrast by the second engine, or return None where nothing can be fitted."""
    if not fitted.uns["fitted"]:
        return None
    smallest = de.smallest_cell(obs.loc[fitted.obs_names], contrast)
    return voom_table(fitted, contrast, smallest)
