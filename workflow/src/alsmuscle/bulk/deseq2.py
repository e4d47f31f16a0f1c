"""The negative-binomial fit and the contrasts read from it; one code for bulk and pseudobulk.

The fit is DESeq2's (Love, Huber, Anders 2014, 10.1186/s13059-014-0550-8) as PyDESeq2 implements it
(Muzellec et al. 2023, 10.1093/bioinformatics/btad547), shrinkage is apeglm's (Zhu, Ibrahim, Love
2019, 10.1093/bioinformatics/bty895). What is here: the hand-over between fit and contrast, tests by
quasi-likelihood (:mod:`alsmuscle.bulk.quasi`) or as DESeq2 makes them, and omnibus tests. Designs
are in :mod:`alsmuscle.design.matrix`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from alsmuscle.bulk import quasi
from alsmuscle.bulk.tables import HIDDEN, NO_TEST, OMNIBUS
from alsmuscle.core import contracts
from alsmuscle.data.cards import design_id
from alsmuscle.design.matrix import (
    Contrast,
    contrast_vector,
    design_matrix,
    side_sizes,
    smallest_cell,
    smallest_group,
    used_samples,
)
from alsmuscle.stats import distributions

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData

Engine = Literal["batched", "default"]
Distribution = Literal["quasi", "normal"]


# How size factors were found where no gene has reads in every sample, for the study's page.
ITERATED = (
    "Every gene has a zero in some sample: size factors were found by iteration, between "
    "dispersions and size factors."
)
POSCOUNTS = (
    "Every gene has a zero in some sample: size factors were found from the samples in which a "
    "gene has reads (poscounts)."
)
# R's DESeq2 floors fitted means at this value also where the standard errors are computed; PyDESeq2
# does not, so that genes with almost no read in one group get standard errors up to twice R's.
WALD_MIN_MU = 0.5


def _inference(name: Engine, threads: int) -> Any:
    from alsmuscle.bulk.inference import make_inference

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
        ``var["n_replaced"]`` counts that Cook's distance replaced, ``var["expressed"]`` whether a
        gene is adjusted for, ``var["quasi_factor", "quasi_df"]`` and ``varm["quasi"]`` the fit at
        the trend's dispersions (:mod:`alsmuscle.bulk.quasi`), ``uns["prior_disp_var"]`` the
        variance of log dispersions around their trend, ``uns["notes"]`` what the fit warned of;
        ``varm["omnibus"]`` the likelihood-ratio statistic of every hypothesis of
        :func:`hypotheses`, ``varm["omnibus_quasi"]`` the same at the trend's dispersions,
        ``uns["omnibus"]`` their terms.
    """
    import numpy as np
    import pandas as pd

    from alsmuscle.core.annotated import anndata

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
        dds, how = _fitted(
            pd.DataFrame(X[:, keep], index=used.index, columns=part.var_names[keep]),
            design,
            inference=inference,
            n_cpus=threads,
            wald_min_mu=WALD_MIN_MU,
        )
    _add_fit(result, dds)
    result.uns["notes"] = sorted({str(w.message).split("\n")[0] for w in caught})
    result.uns["size_factors"] = how
    result.uns["fitted"] = True
    asked = hypotheses(terms, contrast)
    result.uns["omnibus"] = json.dumps(asked)
    kept = _kept_counts(dds)
    if asked:
        result.varm["omnibus"] = _likelihood_ratios(dds, kept, design, terms, asked).loc[
            result.var_names
        ]
    _add_quasi(result, kept.loc[result.obs_names, result.var_names], asked, dds.inference)
    result.var["expressed"] = quasi.expressed(
        np.asarray(result.X) / result.obs["size_factors"].to_numpy(float)[:, None],
        smallest_group(used, contrast),
    )
    return result


def _add_fit(result: AnnData, dds: Any) -> None:
    """Copy PyDESeq2's fit; it works in the order of labels: the input's order changes no digit."""
    import pandas as pd

    for column in (
        "_normed_means",
        "genewise_dispersions",
        "fitted_dispersions",
        "dispersions",
        "replaced",
        "_pvalue_cooks_outlier",
    ):
        result.var[column] = dds.var[column].loc[result.var_names].to_numpy()
    zeroed = getattr(dds, "new_all_zeroes_genes", pd.Index([]))
    result.var["new_all_zero"] = result.var_names.isin(zeroed)
    result.obs["size_factors"] = dds.obs["size_factors"].loc[result.obs_names].to_numpy()
    coefficients = pd.DataFrame(dds.varm["LFC"]).set_axis(
        result.obsm["design_matrix"].columns, axis=1
    )
    result.varm["LFC"] = coefficients.loc[result.var_names]
    result.uns["prior_disp_var"] = float(dds.uns["prior_disp_var"])


def _fitted(counts: pd.DataFrame, design: pd.DataFrame, **options: Any) -> tuple[Any, str]:
    """Fit, and say how size factors were found where it is not by the median of ratios.

    Where every gene has a zero in some sample there is no geometric mean to take ratios to.
    PyDESeq2 then iterates between dispersions and size factors, for which it must not save memory;
    if that fails, means are taken over the samples with reads (DESeq2's ``poscounts``).
    """
    import pandas as pd

    from alsmuscle.bulk.inference import fit_dataset

    obs = pd.DataFrame(index=counts.index)
    if not bool((counts == 0).any(axis=0).all()):
        return fit_dataset(counts, obs, design, low_memory=True, **options), ""
    try:
        return fit_dataset(counts, obs, design, low_memory=False, **options), ITERATED
    except (ValueError, ArithmeticError, LookupError):
        given = {"low_memory": True, "size_factors_fit_type": "poscounts", **options}
        return fit_dataset(counts, obs, design, **given), POSCOUNTS


def _kept_counts(dds: Any) -> pd.DataFrame:
    """Counts of a fit, samples × genes, with outlying ones replaced where the fit replaced them."""
    import numpy as np
    import pandas as pd

    counts = pd.DataFrame(np.asarray(dds.X), index=dds.obs_names, columns=dds.var_names)
    refitted = getattr(dds, "counts_to_refit", None)
    if refitted is not None and refitted.n_vars:
        counts[refitted.var_names] = np.asarray(refitted.X)
    return counts


def _add_quasi(
    result: AnnData, kept: pd.DataFrame, asked: Mapping[str, Sequence[str]], inference: Any
) -> None:
    """Fit once more at the trend's dispersions, and count what Cook's distance replaced."""
    import numpy as np
    import pandas as pd

    replaced = (kept.to_numpy() != np.asarray(result.X)).sum(axis=0)
    result.var["n_replaced"] = replaced
    dispersion = result.var["fitted_dispersions"].to_numpy(float)
    usable = np.isfinite(dispersion) & (kept.to_numpy().sum(axis=0) > 0)
    terms = list(result.uns["terms"])
    found = quasi.fit(
        kept.to_numpy(float)[:, usable],
        result.obs["size_factors"].to_numpy(float),
        result.obsm["design_matrix"].to_numpy(float),
        dispersion[usable],
        inference=inference,
        n_replaced=replaced[usable],
        dropped=[[terms.index(term) for term in dropped] for dropped in asked.values()],
    )
    coef = np.full((result.n_vars, len(terms)), np.nan)
    coef[usable] = found.coef
    columns = result.obsm["design_matrix"].columns
    result.varm["quasi"] = pd.DataFrame(coef, index=result.var_names, columns=columns)
    for name, values in (("quasi_factor", found.factor), ("quasi_df", found.df)):
        result.var[name] = 0.0
        result.var.loc[usable, name] = values
    if asked:
        gains = np.full((result.n_vars, len(asked)), np.nan)
        gains[usable] = found.gains
        result.varm["omnibus_quasi"] = pd.DataFrame(
            gains, index=result.var_names, columns=list(asked)
        )


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
    variable, across = contrast["variable"], contrast.get("across")
    own = [t for t in terms if t == variable or t.startswith(f"{variable}[")]
    products = [t for t in own if across and f":{across}" in t]
    found = {variable: own, f"{variable}:{across}": products}
    return {name: dropped for name, dropped in found.items() if len(dropped) > 1}


def _likelihood_ratios(
    dds: Any,
    kept: pd.DataFrame,
    design: pd.DataFrame,
    terms: Sequence[str],
    asked: Mapping[str, Sequence[str]],
) -> pd.DataFrame:
    """Twice the gain in log likelihood over models without terms, at the full fit's dispersions.

    As DESeq2's ``nbinomLRT``: outlying counts replaced where the full fit replaced them (``kept``).

    Returns
    -------
    DataFrame
        Genes × hypotheses.
    """
    import numpy as np
    import pandas as pd
    from scipy.special import xlog1py, xlogy

    y = kept.to_numpy(float)
    size = dds.obs["size_factors"].to_numpy(float)
    dispersion = dds.var["dispersions"].to_numpy(float)
    usable = np.isfinite(dispersion) & (y.sum(axis=0) > 0)
    y, dispersion = y[:, usable], dispersion[usable]
    X = design.loc[dds.obs_names].to_numpy(float)

    def likelihood(beta: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        mu = size[:, None] * np.exp(matrix @ beta.T)
        # What depends on the counts and the dispersion alone is the same in both models.
        terms = xlogy(y, mu) - xlog1py(y + 1 / dispersion, mu * dispersion)
        return np.asarray(terms.sum(axis=0))

    lfc = pd.DataFrame(dds.varm["LFC"], index=dds.var_names).to_numpy(float)[usable]
    full = likelihood(lfc, X)
    table = pd.DataFrame(np.nan, index=dds.var_names, columns=list(asked))
    for name, dropped in asked.items():
        reduced = X[:, [term not in dropped for term in terms]]
        beta, *_ = dds.inference.irls(
            counts=kept.to_numpy()[:, usable],
            size_factors=size,
            design_matrix=reduced,
            disp=dispersion,
            min_mu=dds.min_mu,
            beta_tol=dds.beta_tol,
        )
        gain = 2 * (full - likelihood(np.asarray(beta), reduced))
        table.loc[usable, name] = np.maximum(gain, 0.0)
    return table


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

    Under ``normal`` as DESeq2: twice the gain in log likelihood against chi-squared, which takes
    the dispersion as known. Under ``quasi`` the gain in deviance at the trend's dispersions, over
    the gene's squeezed factor of variation and the number of terms k, is read against F with k and
    that factor's degrees of freedom.

    Parameters
    ----------
    fitted
        As :func:`fit` returns it.
    samples
        Contract ``samples`` (index: sample id).
    contrast
        Any contrast of the design.
    distribution
        ``quasi`` or ``normal``, as above.
    alpha
        Level for which independent filtering is optimised.
    min_replicates
        With fewer samples in the smallest group the statistics come without p-values.

    Returns
    -------
    DataFrame
        Contract ``omnibus``: every tested gene per hypothesis, smallest p-value first. Genes are
        filtered as in the test of a contrast.
    """
    import numpy as np
    import pandas as pd

    from alsmuscle.bulk.pydeseq import DeseqStats

    asked = json.loads(str(fitted.uns.get("omnibus", "{}")))
    if not asked or not fitted.uns["fitted"]:
        return no_omnibus()
    engine = _inference(inference, threads)
    any_term = np.eye(fitted.obsm["design_matrix"].shape[1])[-1]
    dds = _reload(fitted, engine)
    stats = DeseqStats(dds, contrast=any_term, alpha=alpha, inference=engine, quiet=True)
    posterior, df_quasi = _squeezed(fitted)
    groups = samples.loc[fitted.obs_names]
    few = smallest_group(groups, contrast) < min_replicates
    parts = []
    for name, dropped in asked.items():
        k = len(dropped)
        if distribution == "quasi":
            statistic = fitted.varm["omnibus_quasi"][name].to_numpy(float) / posterior
            df = df_quasi
            pvalue = distributions.f_pvalue(statistic / k, k, df)
            padj = _adjusted(fitted, pvalue)
        else:
            statistic = fitted.varm["omnibus"][name].to_numpy(float)
            df = np.full(fitted.n_vars, np.nan)
            pvalue, padj = _as_deseq2(fitted, stats, distributions.chi2_pvalue(statistic, k))
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
                "pvalue": np.nan if few else pvalue,
                "padj": np.nan if few else padj,
            }
        )
        parts.append(part.sort_values(["pvalue", "gene_id"], kind="stable"))
    return pd.concat(parts, ignore_index=True)


def _as_deseq2(fitted: AnnData, stats: Any, pvalue: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cook's filter and independent filtering, as DESeq2 applies them."""
    import pandas as pd

    stats.p_values = pd.Series(pvalue, index=stats.dds.var_names)
    stats.p_values[fitted.var["new_all_zero"].to_numpy(bool)] = 1.0
    stats._cooks_filtering()
    stats._independent_filtering()
    return stats.p_values.to_numpy(), stats.padj.to_numpy()


def _squeezed(fitted: AnnData) -> tuple[np.ndarray, np.ndarray]:
    """Per gene the squeezed factor of variation, and its degrees of freedom."""
    import numpy as np

    keep = fitted.var["expressed"].to_numpy(bool) & np.isfinite(
        fitted.varm["quasi"].to_numpy(float)
    ).all(axis=1)
    return quasi.squeezed(
        fitted.var["quasi_factor"].to_numpy(float),
        fitted.var["quasi_df"].to_numpy(float),
        fitted.var["_normed_means"].to_numpy(float),
        keep,
    )


def _adjusted(fitted: AnnData, pvalue: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg over the genes that are expressed."""
    import numpy as np

    return np.asarray(
        distributions.adjust(np.where(fitted.var["expressed"].to_numpy(bool), pvalue, np.nan))
    )


def no_omnibus() -> pd.DataFrame:
    """Return an empty table of omnibus tests."""
    return contracts.rows([], OMNIBUS)


def _reload(fitted: AnnData, inference: Any) -> Any:
    """Make PyDESeq2's object of a stored fit."""
    import numpy as np

    from alsmuscle.bulk.pydeseq import DeseqDataSet

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
    """Read one contrast from a fit: effects, errors, a test, shrunken effects.

    Parameters
    ----------
    fitted
        As :func:`fit` returns it.
    samples
        Contract ``samples`` (index: sample id), to count the sides.
    contrast
        Target and reference levels.
    distribution
        ``quasi``: by quasi-likelihood, p-values adjusted over the expressed genes;
        ``normal``: DESeq2's Wald test, with Cook's filter and independent filtering.
    alpha
        Level for which independent filtering is optimised.
    min_replicates
        With fewer donors on a side effects are given alone: no error, no p-value, nothing shrunken.
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
    enough = smallest_cell(used, contrast) >= min_replicates
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
        values = _wald(
            *(fitted, contrast, alpha, shrink and enough, engine),
            only_shrunk=distribution == "quasi",
        )
        if distribution == "quasi":
            values |= _quasi_test(fitted, contrast)
    else:
        values = _unreplicated(fitted, contrast)
    for column in (
        *("base_mean", "log2fc", "lfc_se", "log2fc_shrunk"),
        *("stat", "df", "pvalue", *HIDDEN, "padj"),
    ):
        frame[column] = values.get(column, empty)
    frame["n_replaced"] = fitted.var["n_replaced"].to_numpy() if "n_replaced" in fitted.var else 0
    for column, size in side_sizes(used, contrast).items():
        frame[column] = size
    if not enough:
        frame[NO_TEST] = np.nan
    wrong = np.sign(frame["log2fc"]) * np.sign(frame["stat"]) < 0
    if wrong.any():
        raise RuntimeError(f"log2fc and stat disagree in sign for {int(wrong.sum())} genes")
    return frame.sort_values(["pvalue", "gene_id"], kind="stable", ignore_index=True)


def _quasi_test(fitted: AnnData, contrast: Contrast) -> dict[str, np.ndarray]:
    import numpy as np

    vector = stored_vector(fitted, contrast)
    coef = fitted.varm["quasi"].to_numpy(float)
    usable = np.isfinite(coef).all(axis=1)
    posterior, df = _squeezed(fitted)
    se = np.full(fitted.n_vars, np.nan)
    se[usable] = quasi.errors(
        coef[usable],
        fitted.obs["size_factors"].to_numpy(float),
        fitted.obsm["design_matrix"].to_numpy(float),
        fitted.var["fitted_dispersions"].to_numpy(float)[usable],
        vector,
        posterior[usable],
    )
    # Where every read of a gene was replaced nothing is left that could differ.
    effect = np.where(usable, np.nan_to_num(coef) @ vector, 0.0)
    stat = np.where(usable, effect / se, 0.0)
    pvalue = np.where(usable, distributions.t_pvalue(stat, df), 1.0)
    # One wild count among few is no evidence: where too few samples are left to replace it,
    # DESeq2's filter by Cook's distance holds here too.
    pvalue[fitted.var["_pvalue_cooks_outlier"].to_numpy(bool)] = np.nan
    return {
        "log2fc": effect / np.log(2),
        "lfc_se": se / np.log(2),
        "stat": stat,
        "df": df,
        "pvalue": pvalue,
        "padj": _adjusted(fitted, pvalue),
    }


def _wald(
    fitted: AnnData,
    contrast: Contrast,
    alpha: float,
    shrink: bool,
    inference: Any,
    *,
    only_shrunk: bool,
) -> dict[str, np.ndarray]:
    """DESeq2's Wald test; ``only_shrunk`` of it mean and shrunken effects, the rest is unused."""
    import numpy as np
    import pandas as pd

    from alsmuscle.bulk.pydeseq import DeseqStats

    vector = stored_vector(fitted, contrast)
    dds = _reload(fitted, inference)
    stats = DeseqStats(dds, contrast=vector, alpha=alpha, inference=inference, quiet=True)
    values = {"base_mean": fitted.var["_normed_means"].to_numpy(float)}
    if only_shrunk and not shrink:
        return values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Shrinkage wants the standard errors only.
        (stats.run_wald_test if only_shrunk else stats.summary)()
    if not only_shrunk:
        table = stats.results_df
        values |= {
            "log2fc": table["log2FoldChange"].to_numpy(),
            "lfc_se": table["lfcSE"].to_numpy(),
            "stat": table["stat"].to_numpy(),
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


def _unreplicated(fitted: AnnData, contrast: Contrast) -> dict[str, np.ndarray]:
    """Effects from normalised log counts, for designs without a residual degree of freedom."""
    import numpy as np

    from alsmuscle.bulk.pydeseq import deseq2_norm

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
    import numpy as np
    import pandas as pd

    from alsmuscle.bulk.inference import Dataset
    from alsmuscle.core.annotated import anndata

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
