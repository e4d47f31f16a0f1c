"""Microarrays: from intensities of one or several chips to genes, and moderated statistics.

The same contracts as counts give, so that all that follows (programmes, synthesis, pages) need not
know. Linear models and moderation are limma's, in :mod:`alsmuscle.stats.linear`.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from alsmuscle.bulk import deseq2, donors
from alsmuscle.bulk.tables import HIDDEN, NO_TEST
from alsmuscle.core.annotated import AnnData, anndata
from alsmuscle.data.cards import design_id
from alsmuscle.design import matrix
from alsmuscle.stats import distributions, linear

# --- the model ------------------------------------------------------------------------------


def fit(expression: AnnData, contrast: matrix.Contrast) -> AnnData:
    """Prepare one linear model for all groups of a design.

    Parameters
    ----------
    expression
        Contract ``intensities.h5ad``: samples × genes, log2.
    contrast
        Any contrast of the design.

    Returns
    -------
    AnnData
        What a contrast needs: ``X`` log2 intensities of the samples used,
        ``obsm["design_matrix"]``, ``uns["terms"]``, ``uns["attrs"]``, ``uns["omnibus"]``.
    """
    used = matrix.used_samples(expression.obs, contrast)
    design = matrix.design_matrix(used, contrast)
    terms = list(design.columns)
    # Level names may hold any character; HDF5 keys may not.
    design.columns = [f"term{i}" for i in range(len(terms))]
    result = anndata.AnnData(
        X=np.asarray(expression[used.index].X, dtype=float),
        obs=pd.DataFrame(index=used.index),
        var=expression.var[["symbol", "source_id"]].copy(),
    )
    result.obsm["design_matrix"] = design
    result.uns["terms"] = terms
    result.uns["attrs"] = json.dumps(design.attrs)
    result.uns["omnibus"] = json.dumps(deseq2.hypotheses(terms, contrast))
    result.uns["measure"] = "intensities"
    result.uns["fitted"] = len(used) > len(terms)
    return result


def _model(fitted: AnnData) -> linear.Fit:
    if donors.subject(fitted) is not None:
        return donors.linear_fit(fitted)
    return linear.fit(
        np.asarray(fitted.X, dtype=float).T, fitted.obsm["design_matrix"].to_numpy(float)
    )


def moderated(fitted: AnnData, contrast: matrix.Contrast, *, trend: bool) -> pd.DataFrame:
    """Return ``effect, se, stat, df, pvalue, padj`` of a contrast, index gene id."""
    found = linear.moderated_t(_model(fitted), deseq2.stored_vector(fitted, contrast), trend=trend)
    found["padj"] = distributions.adjust(found["pvalue"])
    return found.set_axis(pd.Index(fitted.var_names, name="gene_id"))


def test(
    fitted: AnnData,
    samples: pd.DataFrame,
    contrast: matrix.Contrast,
    *,
    dataset: str,
    min_replicates: int,
    trend: bool,
    cell_type: str = "muscle",
) -> pd.DataFrame:
    """Test one contrast by moderated t.

    Parameters
    ----------
    fitted
        As :func:`fit` returns it.
    samples
        Contract ``samples`` (index: sample id), to count the sides.
    contrast
        As for counts: the same designs.
    min_replicates
        With fewer samples in the smallest group effects are given without p-values.
    trend
        Let the prior variance depend on mean expression (limma-trend).

    Returns
    -------
    DataFrame
        Contract ``de``: ``base_mean`` is the mean log2 intensity, ``log2fc_shrunk`` is empty,
        ``stat`` the moderated t on ``df`` degrees of freedom.
    """
    used = samples.loc[fitted.obs_names]
    found = moderated(fitted, contrast, trend=trend)
    frame = pd.DataFrame(
        {
            "dataset": dataset,
            "contrast": contrast["id"],
            "cell_type": cell_type,
            "gene_id": fitted.var_names,
            "symbol": fitted.var["symbol"].astype(str).to_numpy(),
            "base_mean": np.asarray(fitted.X).mean(axis=0),
            "log2fc": found["effect"].to_numpy(),
            "lfc_se": found["se"].to_numpy(),
            "log2fc_shrunk": np.nan,
            **{name: found[name].to_numpy() for name in ("stat", "df", "pvalue")},
            **dict.fromkeys(HIDDEN, np.nan),
            "padj": found["padj"].to_numpy(),
            "n_replaced": 0,
            **matrix.side_sizes(used, contrast),
        }
    )
    if not donors.testable(fitted) or matrix.smallest_cell(used, contrast) < min_replicates:
        frame[NO_TEST] = np.nan
    return frame.sort_values(["pvalue", "gene_id"], kind="stable", ignore_index=True)


def omnibus(
    fitted: AnnData,
    samples: pd.DataFrame,
    contrast: matrix.Contrast,
    *,
    dataset: str,
    min_replicates: int,
    trend: bool,
    cell_type: str = "muscle",
) -> pd.DataFrame:
    """Test several terms of a design at once by moderated F; as
    :func:`alsmuscle.bulk.deseq2.omnibus`.

    Returns
    -------
    DataFrame
        Contract ``omnibus``: ``stat`` is F times its ``df``, so that it is on the scale of the
        likelihood ratio of counts.
    """
    asked = json.loads(str(fitted.uns["omnibus"]))
    if not asked or not fitted.uns["fitted"]:
        return deseq2.no_omnibus()
    few = matrix.smallest_group(samples.loc[fitted.obs_names], contrast) < min_replicates
    few = few or not donors.testable(fitted)
    model, parts = _model(fitted), []
    for name, dropped in asked.items():
        columns = [list(fitted.uns["terms"]).index(term) for term in dropped]
        found = linear.moderated_f(model, columns, trend=trend)
        part = pd.DataFrame(
            {
                "dataset": dataset,
                "design": design_id(contrast),
                "test": name,
                "cell_type": cell_type,
                "gene_id": fitted.var_names,
                "symbol": fitted.var["symbol"].astype(str).to_numpy(),
                "base_mean": model.mean,
                "stat": found["stat"].to_numpy() * len(dropped),
                "df": len(dropped),
                "df_residual": found["df_residual"].to_numpy(),
                "pvalue": np.nan if few else found["pvalue"].to_numpy(),
                "padj": np.nan if few else distributions.adjust(found["pvalue"]),
            }
        )
        parts.append(part.sort_values(["pvalue", "gene_id"], kind="stable"))
    return pd.concat(parts, ignore_index=True)
