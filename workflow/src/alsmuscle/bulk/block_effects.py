"""Effect of a contrast on a block of genes, on the scale of the genes themselves.

A block's effect is the mean of its genes' log2 fold changes. Its error knows that genes move
together: with standardised residuals r (genes x samples) of the study's own model and standard
errors s, the errors of a weighted sum of genes are read from sum_g w_g s_g r_gi over the samples i,
whose mean square on the residual degrees of freedom is its variance. Where a block is small, or the
study is, that variance is moderated: its ratio to what the genes' errors and one correlation,
pooled over blocks, would give is squeezed over blocks as limma squeezes variances (Smyth 2004, Stat
Appl Genet Mol Biol 3:3), never below the
block's own: genes of one cell type move together far more than others. Its degrees of freedom stay
the residual ones: all blocks share the few samples, so what is learned over blocks makes no error
surer than they can. The variance inflation by correlated genes is that of Wu and Smyth (2012,
Nucleic Acids Res 40:e133). Held to real counts by tests/reference/test_block_effects_mirror.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.bulk import tissue_content
from alsmuscle.core.types import Floats
from alsmuscle.genesets.programmes import KEY
from alsmuscle.genesets.targets import GENE, RATIO
from alsmuscle.stats import distributions, linear
from alsmuscle.stats.moderation import squeeze_var, trigamma_inverse

if TYPE_CHECKING:
    from anndata import AnnData

# Targets of claims that are no blocks: they take no part in learning the prior.
SINGLE = (GENE, RATIO)


class GeneFit(NamedTuple):
    """One contrast of one fit, gene by gene.

    ``effect``, ``se`` (g,) in log2 units, ``df`` (g,) degrees of freedom of ``se``; ``errors``
    (g, n) standard error x standardised residual, so that the sum over samples of
    ``(w @ errors) ** 2`` over ``df_residual`` is the variance of the weighted sum of effects.
    """

    gene_ids: pd.Index
    effect: Floats
    se: Floats
    df: Floats
    errors: Floats
    df_residual: int


class _Blocks(NamedTuple):
    """Weights of the measured genes, blocks x genes (sparse), and the blocks' keys."""

    frame: pd.DataFrame
    weights: Any


def block_effects(
    fit: GeneFit, members: pd.DataFrame, *, confidence: float, tested: bool
) -> pd.DataFrame:
    """Mean effect of every block, with an error that knows the correlation of its genes.

    Parameters
    ----------
    fit
        The genes of one contrast.
    members
        ``programme, block, stripped, sign, gene_id`` and, where the sum is no mean (ratios),
        ``weight``; random sets have the same shape.
    confidence
        Of the interval.
    tested
        False where groups are too small for a test: no error, interval or p-value.

    Returns
    -------
    DataFrame
        ``programme, block, stripped, sign, effect, se, df, ci_low, ci_high, pvalue, n_mapped,
        gene_correlation``, in the order of ``members``; blocks without a measured gene are missing
        values, a ratio that lacks one of its genes too.
    """
    blocks = _blocks(fit, members)
    table, weights = blocks.frame, blocks.weights
    n = table["n_mapped"].to_numpy(float)
    effect: Floats = np.asarray(weights @ np.nan_to_num(fit.effect), dtype=np.float64)
    effect[n == 0] = np.nan
    variance, df = _variance(fit, blocks)
    single = n == 1
    if single.any():
        # One gene's error is the gene's, to the digit.
        own = np.asarray(abs(weights) @ np.nan_to_num(fit.se))[single]
        variance[single] = own**2
        df[single] = np.asarray((weights != 0) @ np.nan_to_num(fit.df, posinf=1e9))[single]
    if not tested:
        variance[:], df[:] = np.nan, np.nan
    se = np.sqrt(variance)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = distributions.t_quantile((1 + confidence) / 2, df) * se
        pvalue = distributions.t_pvalue(effect / se, df)
    return table.assign(
        effect=effect,
        se=se,
        df=df,
        ci_low=effect - half,
        ci_high=effect + half,
        pvalue=pvalue,
        gene_correlation=_own_correlation(fit, blocks),
    )


def _blocks(fit: GeneFit, members: pd.DataFrame) -> _Blocks:
    from scipy.sparse import csr_array

    first = members.drop_duplicates(KEY)[[*KEY, "sign"]].reset_index(drop=True)
    row = members.groupby(KEY, sort=False).ngroup().to_numpy()
    known = pd.Series(np.isfinite(fit.effect) & (fit.se > 0), index=fit.gene_ids)
    place = fit.gene_ids.get_indexer(pd.Index(members["gene_id"]))
    usable = place >= 0
    usable[usable] = known.to_numpy()[place[usable]]
    n = np.bincount(row[usable], minlength=len(first))
    weight = 1 / np.maximum(n, 1)[row]
    if "weight" in members:
        given = members["weight"].to_numpy(float)
        weight = np.where(np.isnan(given), weight, given)
        lost = np.unique(row[~usable & ~np.isnan(given)])
        usable &= ~np.isin(row, lost)
        n[lost] = 0
    weights = csr_array(
        (weight[usable], (row[usable], place[usable])), shape=(len(first), len(fit.gene_ids))
    )
    return _Blocks(first.assign(n_mapped=n), weights)


def _sums(fit: GeneFit, blocks: _Blocks) -> tuple[Floats, Floats, Floats]:
    """Per block the observed variance, that of independent genes, and the pairs' share."""
    errors = np.nan_to_num(fit.errors)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = ((blocks.weights @ errors) ** 2).sum(axis=1) / np.float64(fit.df_residual)
    se = np.nan_to_num(fit.se)
    alone = np.asarray((blocks.weights.multiply(blocks.weights)) @ se**2)
    pairs = np.asarray(blocks.weights @ se) ** 2 - alone
    return np.asarray(observed), alone, pairs


def _own_correlation(fit: GeneFit, blocks: _Blocks) -> Floats:
    """Mean correlation of the errors of each block's genes; missing for one gene."""
    observed, alone, pairs = _sums(fit, blocks)
    out = np.full(len(alone), np.nan)
    several = (blocks.frame["n_mapped"].to_numpy() > 1) & (np.abs(pairs) > 0)
    out[several] = (observed[several] - alone[several]) / pairs[several]
    return out


def pooled_correlation(fit: GeneFit, members: pd.DataFrame) -> float:
    """Correlation of the genes' errors, pooled over blocks; at least 0."""
    return _pooled(fit, _blocks(fit, members))


def _learners(blocks: _Blocks) -> npt.NDArray[np.bool_]:
    """Complete blocks of several genes, which the prior is learned from."""
    frame = blocks.frame
    complete = ~frame["stripped"].astype(bool) & ~frame["programme"].isin(SINGLE)
    return np.asarray(complete & (frame["n_mapped"] > 1))


def _pooled(fit: GeneFit, blocks: _Blocks) -> float:
    observed, alone, pairs = _sums(fit, blocks)
    use = _learners(blocks)
    if not use.any() or fit.df_residual < 1:
        return 0.0
    # Every block weighs the same, whatever the size of its errors.
    ratio, slope = observed[use] / alone[use] - 1, pairs[use] / alone[use]
    return float(max(0.0, (ratio / (1 + slope)).sum() / (slope / (1 + slope)).sum()))


def _variance(fit: GeneFit, blocks: _Blocks) -> tuple[Floats, Floats]:
    """Moderated variances of the blocks' effects, and their degrees of freedom."""
    observed, alone, pairs = _sums(fit, blocks)
    missing = blocks.frame["n_mapped"].to_numpy() == 0
    df = np.full(len(alone), float(fit.df_residual))
    if fit.df_residual < 1:
        return np.full(len(alone), np.nan), np.full(len(alone), np.nan)
    expected = alone + _pooled(fit, blocks) * pairs
    use = _learners(blocks)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = observed / expected
    if use.sum() > 1:
        prior = squeeze_var(ratio[use], fit.df_residual)
        d0, centre = prior.df_prior, float(np.mean(prior.var_prior))
        if np.isinf(d0):
            ratio = np.full_like(ratio, centre)
        else:
            ratio = (fit.df_residual * ratio + d0 * centre) / (fit.df_residual + d0)
    variance = ratio * expected
    # A block whose genes move together more than others' do is not made surer by the others.
    variance = np.maximum(observed, variance)
    variance[missing], df[missing] = np.nan, np.nan
    return variance, df


# --- from a stored fit -----------------------------------------------------------------------

NUMBERS = ("effect", "se", "df", "ci_low", "ci_high", "pvalue")


def gene_fit(
    fitted: AnnData,
    contrast: Mapping[str, Any],
    *,
    trend: bool,
    content: pd.DataFrame | None = None,
    genes: pd.Index | None = None,
) -> GeneFit:
    """Effects, errors and residuals of every gene of a stored fit.

    Parameters
    ----------
    fitted
        As :func:`alsmuscle.bulk.engines.fit` returns it, with residual degrees of freedom.
    contrast
        What is read.
    trend
        For intensities: let the prior variance depend on mean expression.
    content
        Samples × components (:func:`alsmuscle.bulk.tissue_content.marker_scores`), as further
        covariates. Without any residual degree of freedom left all is missing.
    genes
        These only.
    """
    from alsmuscle.bulk import deseq2, donors
    from alsmuscle.core import contracts

    design = fitted.obsm["design_matrix"].to_numpy(float)
    vector = deseq2.stored_vector(fitted, contrast)
    if content is not None:
        design = tissue_content.with_content(design, content.loc[fitted.obs_names])
        vector = np.concatenate([vector, np.zeros(design.shape[1] - len(vector))])
    df = design.shape[0] - design.shape[1]
    keep = np.ones(fitted.n_vars, dtype=bool)
    if genes is not None:
        keep = np.asarray(fitted.var_names.isin(genes))
    counts = contracts.measure(fitted) == "counts"
    if counts:
        keep &= np.isfinite(fitted.var["dispersions"].to_numpy(float))
    ids = fitted.var_names[keep]
    if df < 1:
        missing = np.full(len(ids), np.nan)
        return GeneFit(ids, missing, missing, missing, np.full((len(ids), len(design)), np.nan), 0)
    values = np.asarray(fitted.X, dtype=float).T[keep]
    if counts:
        part = fitted.var.loc[keep]
        model = tissue_content.fit_log_linear(
            values,
            fitted.obs["size_factors"].to_numpy(float),
            design,
            part["dispersions"].to_numpy(float),
            n_content=design.shape[1] - fitted.obsm["design_matrix"].shape[1],
        )
        effect, se, errors = tissue_content.log_linear_errors(model, values, vector)
        prior = 2 * trigamma_inverse(float(fitted.uns["prior_disp_var"]))
        if donors.correlated(fitted):
            influence = tissue_content.influence(model, values, design, vector)
            return _of_donors(
                fitted, ids, effect, se, np.sqrt(model.weights), influence, vector, design
            )
        return GeneFit(ids, effect, se, np.full(len(ids), df + prior), errors, df)
    linear_fit = linear.fit(values, design)
    if donors.correlated(fitted):
        se = np.sqrt(linear_fit.s2 * (vector @ linear_fit.unscaled[0] @ vector))
        shares = (values - linear_fit.coef @ design.T) * (design @ linear_fit.unscaled[0] @ vector)
        ones = np.ones_like(values)
        return _of_donors(fitted, ids, linear_fit.coef @ vector, se, ones, shares, vector, design)
    table = linear.moderated_t(linear_fit, vector, trend=trend)
    se = table["se"].to_numpy(float)
    scale = np.sqrt(vector @ linear_fit.unscaled[0] @ vector)
    errors = scale * (values - linear_fit.coef @ design.T)
    return GeneFit(
        ids, table["effect"].to_numpy(float), se, table["df"].to_numpy(float), errors, df
    )


def _of_donors(
    fitted: AnnData,
    ids: pd.Index,
    effect: Floats,
    se: Floats,
    root: Floats,
    influence: Floats,
    vector: Floats,
    design: Floats,
) -> GeneFit:
    """Errors of effects where a donor's samples are correlated: donors are what is independent.

    A gene's own error is widened by the correlation of all genes; sums over genes are read from the
    sums over donors, whatever correlation a block's genes have.

    Parameters
    ----------
    root, influence
        Genes × samples: square roots of the working weights, and samples' shares in the effect.
    """
    from alsmuscle.bulk import donors

    donor = fitted.obs["donor"].astype(str)
    df = donor.nunique() - donors.between(design, donor)
    rho = float(fitted.uns["donor_correlation"])
    if df < 1 or not np.isfinite(rho):
        missing = np.full(len(ids), np.nan)
        return GeneFit(ids, effect, missing, missing, np.full((len(ids), 1), np.nan), 0)
    se = se * np.sqrt(donors.inflation(root, design, vector, donor, rho))
    errors = donors.by_donor(influence, donor)
    return GeneFit(ids, effect, se, np.full(len(ids), float(df)), errors, df)


def raw_and_adjusted(
    fitted: AnnData,
    contrast: Mapping[str, Any],
    members: pd.DataFrame,
    *,
    expression: pd.DataFrame | None = None,
    markers: pd.DataFrame | None = None,
    trend: bool,
    tested: bool,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return every block's effect as it is, and with the tissue's content adjusted for.

    Parameters
    ----------
    fitted, contrast, trend
        As for :func:`gene_fit`.
    members
        Genes of the blocks.
    expression, markers
        Genes × samples, and ``component, gene_id``, for the adjustment; none for samples of one
        cell type, which has no composition.
    tested, confidence
        As for :func:`block_effects`; what is not tested is not adjusted.

    Returns
    -------
    DataFrame
        Contract ``block_effects`` without the columns that name the contrast.
    """
    own = pd.Index(members["gene_id"].unique())
    if fitted.uns["fitted"]:
        fit = gene_fit(fitted, contrast, trend=trend, genes=own)
    else:
        nothing = np.empty(0)
        fit = GeneFit(own[:0], nothing, nothing, nothing, np.empty((0, fitted.n_obs)), 0)
    out = block_effects(fit, members, confidence=confidence, tested=tested)
    adjusted = [f"{name}_adjusted" for name in NUMBERS]
    if expression is None or markers is None or not (tested and fitted.uns["fitted"]):
        return out.assign(**dict.fromkeys(adjusted, np.nan))
    fit, renamed = _adjusted(fitted, contrast, members, expression, markers, trend)
    other = block_effects(fit, renamed, confidence=confidence, tested=True)
    return out.assign(**{name: other[name.removesuffix("_adjusted")] for name in adjusted})


def _adjusted(
    fitted: AnnData,
    contrast: Mapping[str, Any],
    members: pd.DataFrame,
    expression: pd.DataFrame,
    markers: pd.DataFrame,
    trend: bool,
) -> tuple[GeneFit, pd.DataFrame]:
    """Fit the genes of all blocks beside the samples' content, each block's own genes left out.

    A block that shares genes with the markers has its own covariates, and so a fit of its own,
    whose genes are renamed after the block.
    """
    marked = set(markers["gene_id"]) & set(expression.index)
    sharing = members[members["gene_id"].isin(marked)][KEY].drop_duplicates()
    tagged = members.merge(sharing.assign(_own=True), on=KEY, how="left")
    apart = tagged["_own"].notna()
    label = tagged[KEY].astype(str).agg("/".join, axis=1) + "\t" + tagged["gene_id"]
    renamed = members.assign(gene_id=np.where(apart, label, tagged["gene_id"]))
    parts = []
    common = members[~apart.to_numpy()]["gene_id"].unique()
    if len(common):
        content = tissue_content.marker_scores(expression, markers, frozenset())
        parts.append(
            gene_fit(fitted, contrast, trend=trend, content=content, genes=pd.Index(common))
        )
    for key, part in tagged[apart].groupby(KEY, sort=False):
        genes = frozenset(part["gene_id"])
        content = tissue_content.marker_scores(expression, markers, genes)
        fit = gene_fit(fitted, contrast, trend=trend, content=content, genes=pd.Index(genes))
        own = "/".join(map(str, key)) + "\t"
        parts.append(fit._replace(gene_ids=own + fit.gene_ids))
    df = min(part.df_residual for part in parts)
    if df < 1:
        parts = [part._replace(effect=np.full_like(part.effect, np.nan)) for part in parts]
    errors = [part.errors * np.sqrt(df / max(part.df_residual, 1)) for part in parts]
    joined = GeneFit(
        pd.Index(np.concatenate([part.gene_ids for part in parts])),
        effect=np.concatenate([part.effect for part in parts]),
        se=np.concatenate([part.se for part in parts]),
        df=np.concatenate([part.df for part in parts]),
        errors=np.concatenate(errors),
        df_residual=df,
    )
    return joined, renamed


def in_gene_units(effects: pd.DataFrame, blocks: pd.DataFrame) -> pd.DataFrame:
    """Give programme effects the scale and the direction of their genes.

    Parameters
    ----------
    effects
        Contract ``effects``: what its scores say against random sets, and how many genes there are.
    blocks
        Contract ``block_effects`` of the same contrast or contrasts.

    Returns
    -------
    DataFrame
        ``effects`` with ``effect, se, df, ci_low, ci_high, pvalue`` of the genes' log2 fold
        changes, raw and ``_adjusted``; ``padj`` (Benjamini-Hochberg) over the complete blocks of a
        cell type, and over the stripped ones; ``hedges_g`` in the genes' direction, too, and where
        random sets lie (``background, background_sd``), brought from the scale of scores by the
        ratio of the block's two standard errors.
    """
    names = [*NUMBERS, *(f"{name}_adjusted" for name in NUMBERS)]
    keys = ["dataset", "contrast", "cell_type", *KEY]
    scores = effects.rename(columns={"se": "_se"}).drop(columns=list(set(NUMBERS) - {"se"}))
    out = scores.merge(blocks[[*keys, *names]], on=keys, how="left")
    for _, rows in out.groupby(["contrast", "cell_type", "stripped"]):
        out.loc[rows.index, "padj"] = distributions.adjust(rows["pvalue"])
    sign = out["sign"].replace(0, 1)
    out["hedges_g"] *= sign
    if {"background", "background_sd"} <= set(out):
        scale = out["se"] / out["_se"]
        # No columns of the contract: a table that was read holds them as text.
        out["background"] = pd.to_numeric(out["background"]) * sign * scale
        out["background_sd"] = pd.to_numeric(out["background_sd"]) * scale
    return out.drop(columns="_se")
