"""Designs, the negative-binomial fit, contrasts read from it; one code for bulk and pseudobulk.

The fit is DESeq2's (Love, Huber, Anders 2014, 10.1186/s13059-014-0550-8) as PyDESeq2 implements it
(Muzellec et al. 2023, 10.1093/bioinformatics/btad547), shrinkage is apeglm's (Zhu, Ibrahim, Love
2019, 10.1093/bioinformatics/bty895). What is here: designs from column names (no formula text is
evaluated), estimability and confounding in words, and the hand-over between fit and contrast.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from alsmuscle.errors import InputError

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


def used_samples(samples: pd.DataFrame, contrast: Contrast) -> pd.DataFrame:
    """Return the samples that enter a contrast's model.

    These are all samples with a known value of the variable, every covariate and the block, less
    those that ``within`` leaves out: all groups of a study are fitted in one model.
    """
    keep = samples[contrast["variable"]].astype(str) != ""
    for column in [*contrast["adjust"], *([contrast["block"]] if contrast["block"] else [])]:
        values = samples[column]
        keep &= values.notna() & (values.astype(str) != "")
    for column, levels in contrast["within"].items():
        keep &= samples[column].astype(str).isin(levels)
    return samples[keep]


def sides(samples: pd.DataFrame, contrast: Contrast) -> tuple[pd.Series, pd.Series]:
    """Return boolean masks of the target and the reference samples among those used."""
    values = samples[contrast["variable"]].astype(str)
    return values == contrast["target"], values == contrast["reference"]


def design_matrix(samples: pd.DataFrame, contrast: Contrast) -> pd.DataFrame:
    """Build a design matrix from column names: treatment coding, numeric covariates standardised.

    Parameters
    ----------
    samples
        The samples used, one row each.
    contrast
        Its variable, adjust and block define the columns; its reference is the baseline.

    Returns
    -------
    DataFrame
        Samples × terms, full column rank, first column ``Intercept``. Terms that earlier ones
        already determine are left out; the variable's come first.
    """
    import numpy as np
    import pandas as pd

    parts: dict[str, Any] = {"Intercept": np.ones(len(samples))}
    for column in [
        contrast["variable"],
        *contrast["adjust"],
        *([contrast["block"]] if contrast["block"] else []),
    ]:
        values = samples[column]
        if pd.api.types.is_numeric_dtype(values) and column != contrast["variable"]:
            spread = values.std(ddof=0)
            parts[column] = ((values - values.mean()) / (spread if spread > 0 else 1)).to_numpy()
            continue
        levels = sorted(values.astype(str).unique())
        baseline = contrast["reference"] if column == contrast["variable"] else levels[0]
        for level in levels:
            if level != baseline:
                parts[f"{column}[{level}]"] = (values.astype(str) == level).to_numpy(float)
    full = pd.DataFrame(parts, index=samples.index)
    kept: list[str] = []
    rank = 0
    for term in full.columns:
        if np.linalg.matrix_rank(full[[*kept, term]].to_numpy()) > rank:
            kept.append(term)
            rank += 1
    return full[kept]


def contrast_vector(design: pd.DataFrame, contrast: Contrast) -> np.ndarray:
    """Return the contrast over the design's terms (any two levels of the variable)."""
    import numpy as np

    vector = np.zeros(design.shape[1])
    for level, weight in ((contrast["target"], 1.0), (contrast["reference"], -1.0)):
        term = f"{contrast['variable']}[{level}]"
        if term in design.columns:
            vector[design.columns.get_loc(term)] = weight
    return vector


def _estimable(samples: pd.DataFrame, contrast: Contrast, columns: Sequence[str]) -> bool:
    """Whether the contrast can be separated from the given columns."""
    import numpy as np

    # The contrast is estimable when, among target and reference samples and all others, no
    # combination of the columns reproduces it: compare the rank with and without the variable.
    reduced = {**contrast, "adjust": list(columns), "block": None}
    design = design_matrix(samples, reduced)
    values = samples[contrast["variable"]].astype(str)
    merged = samples.assign(
        **{contrast["variable"]: values.where(values != contrast["target"], contrast["reference"])}
    )
    null = design_matrix(merged, reduced)
    return bool(np.linalg.matrix_rank(design.to_numpy()) > np.linalg.matrix_rank(null.to_numpy()))


def check_contrast(samples: pd.DataFrame, contrast: Contrast, where: str) -> None:
    """Stop where a contrast cannot be computed, saying which columns stand in the way.

    Raises
    ------
    InputError
        A level has no sample, a covariate is constant or unknown for a whole side, or the listed
        covariates make the contrast inestimable.
    """
    for column in [*contrast["adjust"], *([contrast["block"]] if contrast["block"] else [])]:
        if column not in samples:
            raise InputError(f"the samples have no column '{column}'", where=where)
    used = used_samples(samples, contrast)
    target, reference = sides(used, contrast)
    for side, mask in (("target", target), ("reference", reference)):
        level = contrast[side]
        if mask.any():
            continue
        everywhere = samples[contrast["variable"]].astype(str)
        if not (everywhere == level).any():
            raise InputError(
                f"no sample has {contrast['variable']} = '{level}'",
                where=f"{where}.{side}",
                expected="one of: " + ", ".join(sorted(set(everywhere) - {""})),
            )
        raise InputError(
            f"no {side} sample is left: the columns {_words(_terms(contrast))} are unknown for all "
            f"of them, or `within` leaves them out",
            where=where,
            remedy="drop the covariate or widen `within`",
        )
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
            f"'{contrast['target']}' against '{contrast['reference']}' cannot be separated from "
            f"{_words(guilty or terms)}: {_explain(used, contrast, (guilty or terms)[0])}",
            where=where,
            remedy=f"drop {_words(helps or terms)} from `adjust` or `block`; the contrast is then "
            "computed and marked as confounded",
        )


def _terms(contrast: Contrast) -> list[str]:
    return [*contrast["adjust"], *([contrast["block"]] if contrast["block"] else [])]


def _words(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return " and ".join(quoted) if len(quoted) < 3 else ", ".join(quoted)


def _explain(samples: pd.DataFrame, contrast: Contrast, column: str) -> str:
    """Say in one sentence how a column and the two sides of a contrast go together."""
    target, reference = sides(samples, contrast)

    def levels(mask: pd.Series) -> str:
        found = sorted(samples.loc[mask, column].astype(str).unique())
        return ", ".join(found[:6]) + (" …" if len(found) > 6 else "")

    return (
        f"every '{contrast['target']}' sample has {column} {levels(target)}; "
        f"every '{contrast['reference']}' sample has {column} {levels(reference)}"
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def design_warnings(
    samples: pd.DataFrame, contrast: Contrast, dataset: str, min_replicates: int
) -> pd.DataFrame:
    """List what a reader must know about a contrast's design.

    A column is ``confounded`` when none of its levels holds both a target and a reference sample
    (for a number: when the ranges do not overlap): the contrast cannot be told from it. It is
    ``near_confounded`` when Cramér's V between column and side is at least 0.7. Measures of
    processing that do not overlap (library size, mitochondrial share) get a kind of their own,
    ``technical``. Columns that define the groups (``defined_by``) are not looked at.

    Returns
    -------
    DataFrame
        Contract ``warnings``.
    """
    import pandas as pd
    from scipy.stats.contingency import association

    used = used_samples(samples, contrast)
    target, reference = sides(used, contrast)
    both = used[target | reference]
    side = target[target | reference]
    rows = []

    def warn(kind: str, column: str, text: str) -> None:
        rows.append((dataset, contrast["id"], kind, column, text))

    for column in both.columns:
        known_already = (*NOT_COVARIATES, contrast["variable"], *_terms(contrast))
        if column in (*known_already, *contrast.get("defined_by", [])) or column.endswith("_raw"):
            continue
        values = both[column]
        if pd.api.types.is_numeric_dtype(values):
            a, b = values[side].dropna(), values[~side].dropna()
            if len(a) and len(b) and (a.min() > b.max() or a.max() < b.min()):
                ranges = (
                    f"{_figure(a.min())} to {_figure(a.max())} in '{contrast['target']}', "
                    f"{_figure(b.min())} to {_figure(b.max())} in '{contrast['reference']}'"
                )
                if column in TECHNICAL:
                    warn(
                        "technical",
                        column,
                        f"{TECHNICAL[column]} does not overlap ({ranges}): the two sides were "
                        "probably not processed together. Part of the difference may be one "
                        "between runs.",
                    )
                else:
                    warn(
                        "confounded",
                        column,
                        f"{column} does not overlap: {ranges}. The difference may be one of "
                        f"{column}.",
                    )
            continue
        values = values.astype(str)
        known = values != ""
        if not (known & side).any() or not (known & ~side).any() or values[known].nunique() < 2:
            continue
        if values[known].nunique() == known.sum():
            continue  # a label of its own for every sample tells nothing
        table = pd.crosstab(values[known], side[known])
        if (table > 0).sum(axis=1).max() == 1:
            warn(
                "confounded",
                column,
                _explain(both, contrast, column)
                + f". The difference cannot be told from one of {column}.",
            )
        elif min(table.shape) > 1 and association(table.to_numpy()) >= 0.7:
            warn(
                "near_confounded",
                column,
                f"{column} and {contrast['variable']} go together almost completely "
                f"(Cramér's V {association(table.to_numpy()):.2f}).",
            )
    n_target, n_reference = int(target.sum()), int(reference.sum())
    if min(n_target, n_reference) < min_replicates:
        warn(
            "few_samples",
            contrast["variable"],
            f"{n_target} against {n_reference} samples: effects are given, no test is claimed.",
        )
    if not contrast["block"]:
        shared = set(used.loc[target, "subject_id"]) & set(used.loc[reference, "subject_id"])
        if shared:
            warn(
                "unpaired",
                "subject_id",
                f"{len(shared)} donors stand on both sides, yet the model does not pair them.",
            )
    return pd.DataFrame(rows, columns=["dataset", "contrast", "kind", "column", "text"])


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
        terms' names, ``uns["prior_disp_var"]`` the variance of log dispersions around their trend,
        ``uns["notes"]`` what the fit warned of.
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
    return result


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

    target, reference = sides(samples.loc[fitted.obs_names], contrast)
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
        values = _ratio(fitted, target.to_numpy(), reference.to_numpy())
    for column in (
        *("base_mean", "log2fc", "lfc_se", "log2fc_shrunk"),
        *("stat", "df", "pvalue", "padj"),
    ):
        frame[column] = values.get(column, empty)
    frame["n_target"] = int(target.sum())
    frame["n_reference"] = int(reference.sum())
    if min(target.sum(), reference.sum()) < min_replicates:
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

    terms = pd.DataFrame(columns=list(fitted.uns["terms"]))
    vector = contrast_vector(terms, contrast)
    dds = _reload(fitted, inference)
    stats = DeseqStats(dds, contrast=vector, alpha=alpha, inference=inference, quiet=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats.run_wald_test()
        df = np.nan
        if distribution == "t":
            df = degrees_of_freedom(fitted)
            stats.p_values = 2 * pd.Series(t.sf(stats.statistics.abs(), df), stats.statistics.index)
        stats.summary()
    table = stats.results_df
    values = {
        "base_mean": table["baseMean"].to_numpy(),
        "log2fc": table["log2FoldChange"].to_numpy(),
        "lfc_se": table["lfcSE"].to_numpy(),
        "stat": table["stat"].to_numpy(),
        "df": np.full(len(table), df),
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


def degrees_of_freedom(fitted: AnnData) -> float:
    """Degrees of freedom of a fit's Wald statistics: residual, and what shrinkage adds to them.

    A gene's dispersion is estimated, and the normal approximation takes it as known: with few
    samples its tails are too light. DESeq2 offers Student's t for that (``nbinomWaldTest(useT =
    TRUE, df = ...)``) and leaves the degrees of freedom to the user. Here they are those of a
    moderated t (Smyth 2004, Stat Appl Genet Mol Biol 3:3, 10.2202/1544-6115.1027): residual ones
    plus those that the prior is worth. The prior of DESeq2 is normal on log dispersion with variance
    sigma2; a variance whose inverse is chi-square with d0 degrees of freedom has a logarithm of
    variance trigamma(d0 / 2); so d0 solves trigamma(d0 / 2) = sigma2. DESeq2 bounds sigma2 at 0.25
    from below, d0 therefore at 9 from above.
    """
    from alsmuscle.moderate import trigamma_inverse

    n_samples, n_terms = fitted.obsm["design_matrix"].shape
    return float(n_samples - n_terms + 2 * trigamma_inverse(fitted.uns["prior_disp_var"]))


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


def _ratio(fitted: AnnData, target: np.ndarray, reference: np.ndarray) -> dict[str, np.ndarray]:
    """Log2 ratio of mean normalised counts, for designs without a residual degree of freedom."""
    import numpy as np
    from pydeseq2.preprocessing import deseq2_norm

    normed, _ = deseq2_norm(np.asarray(fitted.X))
    normed = np.asarray(normed)
    high, low = normed[target].mean(axis=0), normed[reference].mean(axis=0)
    return {"base_mean": normed.mean(axis=0), "log2fc": np.log2((high + 0.5) / (low + 0.5))}


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
