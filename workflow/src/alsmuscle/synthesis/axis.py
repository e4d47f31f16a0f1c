"""The denervation axis: how much of an ALS contrast lies along a pure-denervation reference.

lambda is the slope of the ALS effects on the denervation effects over genes, corrected for the
noise of the denervation effects (errors in variables, method of moments: Fuller 1987, Measurement
Error Models, ch. 1 and 3). Delta of a block is its ALS effect minus lambda times its denervation
effect: "not explained by this denervation reference", no more, since denervation is a mediator of
ALS. lambda has a meaning only relative to its reference, within one species and kind of platform.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.core.types import Floats
from alsmuscle.stats import distributions

BOOTSTRAP = "donor bootstrap"
ANALYTIC = "analytic, genes equally correlated"
MIXED = "donor bootstrap and analytic"


class Parts(NamedTuple):
    """What a reference of several studies is made of.

    ``weights``: per study, sum 1; ``inflation``: by how much a study's error variance exceeds what
    its standard errors tell, at least 1; ``effects``: genes × studies, log2 units; ``replicates``:
    per study a donor bootstrap × genes, or ``None`` where one has no samples.
    """

    weights: Floats
    inflation: Floats
    effects: pd.DataFrame
    replicates: Sequence[pd.DataFrame] | None


class _Parts(NamedTuple):
    """The parts of a side: weights, inflation (m,); effects m × genes, noise m × draws × genes."""

    weights: Floats
    inflation: Floats
    b: Floats
    noise: Floats | None


class _Side(NamedTuple):
    """One contrast's effects on the shared genes; ``noise`` is replicates × genes around 0."""

    b: Floats
    s2: Floats
    noise: Floats | None
    df: float
    parts: _Parts | None = None

    def signal(self) -> Floats:
        """Squared effect per gene without its noise: known in sum, not gene by gene."""
        return (
            self.b**2 - self.s2 if self.parts is None else _cross(self.parts.weights, self.parts.b)
        )


class _Slope(NamedTuple):
    """Slope without each block: arrays over blocks (the last entry leaves nothing out)."""

    value: Floats
    var_als: Floats
    var_den: Floats
    reliability: Floats
    df: Floats
    draws_als: Floats | None
    draws_den: Floats | None


def _cross(weights: Floats, b: Floats) -> Floats:
    """Weighted product of every two studies' effects: the square of what they have in common.

    ``weights``: (m,); ``b``: m × … effects. Errors of independent studies do not enter, whatever
    their size: each study is the others' instrument.
    """
    square = weights.reshape(-1, *[1] * (b.ndim - 1)) ** 2
    mean = np.tensordot(weights, b, axes=1)
    return np.asarray((mean**2 - (square * b**2).sum(axis=0)) / (1 - (weights**2).sum()))


def _side(
    effects: pd.DataFrame,
    genes: pd.Index,
    replicates: pd.DataFrame | None,
    df: float,
    parts: Parts | None = None,
) -> _Side:
    rows = effects.index.get_indexer(genes)
    b = effects["effect"].to_numpy(dtype=float)[rows]
    s2 = effects["se"].to_numpy(dtype=float)[rows] ** 2
    if parts is not None:
        noise = None
        if parts.replicates is not None:
            drawn = [table.loc[:, genes].to_numpy(dtype=float) for table in parts.replicates]
            noise = np.stack([values - values.mean(axis=0) for values in drawn])
        own = _Parts(
            parts.weights, parts.inflation, parts.effects.loc[genes].to_numpy(dtype=float).T, noise
        )
        joint = None if noise is None else np.tensordot(parts.weights, noise, axes=1)
        return _Side(b, s2, joint, df, own)
    if replicates is None:
        return _Side(b, s2, None, df)
    columns = replicates.columns.get_indexer(genes)
    lacking = genes[columns < 0]
    if lacking.size:
        raise InputError(
            f"the replicates lack {lacking.size} of {genes.size} genes, such as '{lacking[0]}'"
        )
    if len(replicates) < 30:
        raise InputError(f"{len(replicates)} bootstrap replicates", expected="at least 30")
    noise = replicates.to_numpy(dtype=float)[:, columns]
    return _Side(b, s2, noise - noise.mean(axis=0), df)


def _weights(als: _Side, den: _Side) -> Floats:
    # Only the typical variance of the reference enters: a gene's own sD^2 in its weight would be
    # correlated with the bD^2 - sD^2 it multiplies, and bias lambda towards 0 in small studies.
    return np.asarray(1 / (als.s2 + np.median(den.s2)), dtype=float)


def _variance(draws: Floats) -> Floats:
    return np.asarray(draws.var(axis=0, ddof=1), dtype=float)


def _quantiles(draws: Floats, q: Sequence[float]) -> Floats:
    """Quantiles per column, missing values left out; numpy's own takes such columns one by one."""
    ends = np.full((len(q), draws.shape[1]), np.nan)
    whole = ~np.isnan(draws).any(axis=0)
    for columns, of in ((whole, np.quantile), (~whole, np.nanquantile)):
        if columns.any():
            ends[:, columns] = of(draws[:, columns], q, axis=0)
    return ends


def _slope(als: _Side, den: _Side, blocks: Any, inter_gene_correlation: float) -> _Slope:
    """Leave-block-out slopes; ``blocks``: sparse genes × blocks of 0 and 1, the last column all 0.

    Sparse, because matched random sets come by the thousand and hold some tens of genes each.
    """
    w = _weights(als, den)

    def sums(per_gene: Floats) -> Floats:
        # totals minus block sums: cheap for blocks of some tens of genes out of thousands
        return np.asarray(per_gene.sum(axis=-1, keepdims=True) - per_gene @ blocks, dtype=float)

    top = sums((w * den.b * als.b)[None])[0]
    raw = sums((w * den.b**2)[None])[0]
    bottom = sums((w * den.signal())[None])[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(bottom > 0, top / bottom, np.nan)

    def analytic(coefficient: Floats, s2: Floats) -> Floats:
        # the correlation is taken along the axis (sign by sign), the worst case: donors differ in
        # how denervated they are
        each = np.abs(coefficient) * np.sqrt(s2)
        own = sums((each**2)[None])[0]
        rest = sums(each[None])[0] ** 2 - own
        return np.asarray((own + inter_gene_correlation * rest) / bottom**2, dtype=float)

    # In a resample the observed effects play the truth, but their size includes noise, which would
    # then count twice: the reference is scaled to the size of its signal, and the ALS effects are
    # given the component along it that keeps the slope.
    # One typical slope serves the variances of all blocks: they differ little from each other.
    one = slice(None, -1) if value.size > 1 else slice(None)
    typical = float(np.nan_to_num(np.nanmedian(value[one]))) if np.isfinite(value).any() else 0.0
    # The product of independent studies holds no noise that would count twice.
    signal = np.clip(np.median((bottom / raw)[one]), 0.0, 1.0) if den.parts is None else 1.0
    beta = den.b * np.sqrt(signal)
    alpha = als.b + typical * (1 - np.sqrt(signal)) * beta
    draws_als = draws_den = None
    if als.noise is not None:
        draws_als = sums(w * beta * als.noise) / bottom
        var_als = _variance(draws_als)
    else:
        var_als = analytic(w * beta, als.s2)
    if den.noise is not None:
        moved = beta + den.noise
        squares = moved**2 - _variance(den.noise)
        if den.parts is not None and den.parts.noise is not None:
            squares = _cross(den.parts.weights, den.parts.b[:, None] + den.parts.noise)
        bottoms = sums(w * squares)
        draws_den = np.where(bottoms > 0.1 * bottom, sums(w * moved * alpha) / bottoms, np.nan)
        # robust against the few resamples in which the denominator nearly vanishes
        low, high = _quantiles(draws_den, [0.1587, 0.8413])
        var_den = np.maximum(((high - low) / 2) ** 2, 0)
    else:
        var_den = analytic(w * (alpha - 2 * typical * beta), den.s2)
    if den.parts is not None:
        # Studies of denervation may differ by more than their donors tell.
        m, own = len(den.parts.b), sums(w * den.parts.b * als.b) / bottom
        shares = den.parts.weights[:, None] ** 2
        between = (shares * (own - value) ** 2).sum(axis=0) * m / (m - 1)
        var_den = np.maximum(var_den, between)
    total = var_als + var_den
    with np.errstate(divide="ignore", invalid="ignore"):
        df = total**2 / (var_als**2 / als.df + var_den**2 / den.df)
    reliability = np.asarray(bottom / raw, dtype=float)
    return _Slope(value, var_als, var_den, reliability, df, draws_als, draws_den)


MIN_GENES = 50  # shared by two contrasts, below which nothing is compared
MIN_Z = 3.0  # a gene tells its own slope where the reference's effect is this many errors large


def _slope_spread(als: _Side, den: _Side, slopes: Floats, blocks: Any) -> Floats:
    """Standard deviation of the genes' own slopes around lambda, beyond their errors.

    ALS muscle may be denervated in another way than the reference's animals, or for longer: early
    genes have faded, late ones are not up yet. Then no slope fits, and a block that the reference
    moves differs from lambda times its effect for that reason alone. Genes that the reference
    surely moves are read as studies of one slope with a variance between them (DerSimonian and
    Laird 1986, weighted as Paule and Mandel 1982 do).

    ``slopes, blocks``: of and as for :func:`_slope`; a block's genes do not enter its own number.
    """
    inflation = 1.0
    if den.parts is not None:
        squares = den.parts.weights**2
        inflation = float((squares * den.parts.inflation).sum() / squares.sum())
    sure = np.abs(den.b) > MIN_Z * np.sqrt(den.s2 * inflation)
    if sure.sum() < MIN_GENES or not np.isfinite(slopes).any():
        return np.zeros(blocks.shape[1])
    slope = float(np.nanmedian(slopes))
    b = den.b[sure]
    own, error = als.b[sure] / b, (als.s2[sure] + slope**2 * inflation * den.s2[sure]) / b**2
    excess = (own - slope) ** 2 - error
    inside = blocks.tocsr()[np.flatnonzero(sure)]
    between = 0.0
    for _ in range(50):
        weight = 1 / (error + between) ** 2
        previous, between = between, max(0.0, float(weight @ excess / weight.sum()))
        if abs(between - previous) < 1e-6:
            break

    def rest(values: Floats) -> Floats:
        return np.asarray(weight @ values - (weight * values) @ inside, dtype=float)

    square = rest(own**2 - error) - 2 * slopes * rest(own) + slopes**2 * rest(np.ones_like(own))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = square / rest(np.ones_like(own))
    return np.sqrt(np.maximum(np.nan_to_num(found), 0.0))


def noise_corrected_correlation(
    als: pd.DataFrame, den: pd.DataFrame, *, exclude: Collection[str] = ()
) -> tuple[float, float]:
    """Correlation of two effect vectors over genes, raw and corrected for their errors.

    Both variances lose the mean squared standard error before the correlation is formed
    (Spearman's correction for attenuation, 1904, Am J Psychol 15:72), with weights as for lambda.

    Parameters
    ----------
    als, den
        Genes × (``effect``, ``se``), log2 units; indexed by a common gene id.
    exclude
        Genes left out.

    Returns
    -------
    raw, corrected : float
        ``corrected`` is cut to [-1, 1], and missing where a vector shows no variance above its
        noise (a fifth of the raw one).

    Raises
    ------
    InputError
        Fewer than 50 shared genes.
    """
    genes = _shared(als, den, exclude)
    return _corrected(_side(als, genes, None, np.inf), _side(den, genes, None, np.inf))


def _corrected(a: _Side, d: _Side) -> tuple[float, float]:
    w = 1 / (np.median(a.s2) + np.median(d.s2) + (a.s2 + d.s2) / 2)
    w /= w.sum()
    x, y = d.b - w @ d.b, a.b - w @ a.b
    sxx, syy, sxy = w @ x**2, w @ y**2, w @ (x * y)
    true_x, true_y = sxx - w @ d.s2, syy - w @ a.s2
    raw = float(sxy / np.sqrt(sxx * syy))
    if true_x < 0.2 * sxx or true_y < 0.2 * syy:
        return raw, float("nan")
    return raw, float(np.clip(sxy / np.sqrt(true_x * true_y), -1, 1))


def _shared(als: pd.DataFrame, den: pd.DataFrame, exclude: Collection[str]) -> pd.Index:
    for name, table in (("ALS", als), ("denervation", den)):
        for column in ("effect", "se"):
            if column not in table:
                raise InputError(f"the {name} effects lack the column '{column}'")
        if not table.index.is_unique:
            twice = table.index[table.index.duplicated()][0]
            raise InputError(f"gene '{twice}' is duplicated in the {name} effects")
    ok = [
        table.index[np.isfinite(table[["effect", "se"]].to_numpy(dtype=float)).all(axis=1)]
        for table in (als, den)
    ]
    genes: pd.Index = ok[0].intersection(ok[1]).sort_values()
    if exclude:
        genes = genes[~genes.isin(list(exclude))]
    if genes.size < MIN_GENES:
        raise InputError(
            f"{genes.size} genes are measured in both contrasts",
            expected=f"at least {MIN_GENES}",
            remedy="check that both use the same gene ids",
        )
    return genes


def denervation_axis(
    als: pd.DataFrame,
    den: pd.DataFrame,
    *,
    exclude: Collection[str] = (),
    als_replicates: pd.DataFrame | None = None,
    den_replicates: pd.DataFrame | None = None,
    den_parts: Parts | None = None,
    als_df: float = np.inf,
    den_df: float = np.inf,
    inter_gene_correlation: float,
    min_reliability: float,
    level: float = 0.95,
) -> dict[str, Any]:
    """Estimate lambda = sum(w bD bA) / sum(w (bD^2 - sD^2)) with its interval.

    Parameters
    ----------
    als, den
        Genes × (``effect``, ``se``), log2 units; indexed by a common gene id.
    exclude
        Genes left out (the tested block).
    als_replicates, den_replicates
        Replicates × genes from ``stats.bootstrap``. Without them that side's share of the
        variance is analytic: every two genes' errors correlate by ``inter_gene_correlation``
        along the axis. limma's preset for gene sets, 0.01 (Wu and Smyth 2012, Nucleic Acids Res
        40:e133), is too small here, since donors differ in how denervated they are: in
        simulations (``simulate.log_scale``) it covers 64 % at nominal 95, 0.05 covers 95 %.
        ``interval`` says which way was taken.
    den_parts
        The studies behind a reference of several: the product of independent studies' effects
        takes the place of bD^2 - sD^2, and how far their own slopes lie apart bounds the
        reference's share of the variance from below.
    als_df, den_df
        Residual degrees of freedom of the contrasts; the interval uses Satterthwaite's mixture.
    min_reliability
        Below this share of signal in the weighted sum of bD^2 no lambda is given.
    level
        Coverage of the interval.

    Returns
    -------
    dict
        ``lambda, se, df, ci_low, ci_high, interval, reliability, slope_spread, n_genes,
        correlation_raw, correlation, reason`` (why there is no lambda, or empty).

    Raises
    ------
    InputError
        Fewer than 50 shared genes, a gene twice, replicates that lack genes or are too few.
    """
    genes = _shared(als, den, exclude)
    a = _side(als, genes, als_replicates, als_df)
    d = _side(den, genes, den_replicates, den_df, den_parts)
    raw, corrected = _corrected(a, d)
    nothing = _sparse([], [], [], (genes.size, 1))
    fit = _slope(a, d, nothing, inter_gene_correlation)
    out: dict[str, Any] = {
        "lambda": float(fit.value[0]),
        "se": float(np.sqrt(fit.var_als + fit.var_den)[0]),
        "df": float(fit.df[0]),
        "interval": _interval_name(a, d),
        "reliability": float(fit.reliability[0]),
        "slope_spread": float(_slope_spread(a, d, fit.value, nothing)[0]),
        "n_genes": int(genes.size),
        "correlation_raw": raw,
        "correlation": corrected,
        "reason": "",
    }
    if not out["reliability"] >= min_reliability:
        out |= {"lambda": np.nan, "se": np.nan, "df": np.nan}
        out["reason"] = (
            f"the reference is mostly noise: {max(out['reliability'], 0):.0%} of its weighted "
            f"squared effects is signal, less than {min_reliability:.0%}"
        )
    half = distributions.t_quantile((1 + level) / 2, out["df"]) * out["se"]
    out["ci_low"] = float(out["lambda"] - half)
    out["ci_high"] = float(out["lambda"] + half)
    return out


def _interval_name(als: _Side, den: _Side) -> str:
    given = (als.noise is not None) + (den.noise is not None)
    return (ANALYTIC, MIXED, BOOTSTRAP)[given]


def block_delta(
    als: pd.DataFrame,
    den: pd.DataFrame,
    als_blocks: pd.DataFrame,
    den_blocks: pd.DataFrame,
    members: pd.DataFrame,
    *,
    als_replicates: pd.DataFrame | None = None,
    den_replicates: pd.DataFrame | None = None,
    den_parts: Parts | None = None,
    als_df: float = np.inf,
    den_df: float = np.inf,
    inter_gene_correlation: float,
    min_reliability: float,
) -> pd.DataFrame:
    """Delta per block: E_A - lambda E_D, with lambda estimated without the block's genes.

    Var = V_A + lambda^2 V_D + E_D^2 (V_lambda + s^2), s being how far single genes' slopes lie from
    lambda (:func:`_slope_spread`), which the genes of a block are taken to share. Where replicates
    are given, the covariances of E_A and of E_D with lambda (same donors) are added with the
    correlation found in them; without, the interval errs on the wide side, since both mostly make
    it narrower.

    Parameters
    ----------
    als, den, als_replicates, den_replicates, den_parts, als_df, den_df
        As for :func:`denervation_axis`.
    inter_gene_correlation, min_reliability
        As for :func:`denervation_axis`.
    als_blocks, den_blocks
        Programme effects of the two contrasts, one cell type: ``programme, block, stripped, effect,
        se`` (log2 units).
    members
        ``programme, block, gene_id, sign`` (1 or -1; 0, no expected direction, counts as 1), in
        the id space of ``als``; of rows with ``stripped`` only the complete block's are used. A
        block without members is refused, since leaving it out would do nothing.

    Returns
    -------
    DataFrame
        One row per block in both tables: ``programme, block, stripped, effect, se, effect_den,
        se_den, lambda, lambda_se, delta, delta_se, delta_df, ci_low, ci_high`` (95 %)``, ci90_low,
        ci90_high, pvalue, shared_sd`` (the signed part of the error that comes from the reference
        and is common to all contrasts that use it)``, shared_df``.

    Raises
    ------
    InputError
        A block has no members; see also :func:`denervation_axis`.
    """
    keys = ["programme", "block", "stripped"]
    table = als_blocks[[*keys, "effect", "se"]].merge(
        den_blocks[[*keys, "effect", "se"]], on=keys, suffixes=("", "_den")
    )
    genes = _shared(als, den, ())
    a = _side(als, genes, als_replicates, als_df)
    d = _side(den, genes, den_replicates, den_df, den_parts)
    pairs = dict.fromkeys(zip(table["programme"], table["block"], strict=True))
    column = {pair: number for number, pair in enumerate(pairs)}
    signs = _signs(members, column, genes)
    fit = _slope(a, d, abs(signs), inter_gene_correlation)
    usable = fit.reliability >= min_reliability
    at = [column[pair] for pair in zip(table["programme"], table["block"], strict=True)]
    value = np.where(usable, fit.value, np.nan)[at]
    var_als, var_den, df_slope = fit.var_als[at], fit.var_den[at], fit.df[at]
    E_A, V_A = table["effect"].to_numpy(float), table["se"].to_numpy(float) ** 2
    E_D, V_D = table["effect_den"].to_numpy(float), table["se_den"].to_numpy(float) ** 2
    table["lambda"] = value
    table["lambda_se"] = np.where(usable[at], np.sqrt(var_als + var_den), np.nan)
    table["delta"] = E_A - value * E_D
    parts = np.array([V_A, value**2 * V_D, E_D**2 * (var_als + var_den)])
    shared_als = _correlation(a.noise, signs, fit.draws_als)[at]
    shared_den = _correlation(d.noise, signs, fit.draws_den)[at]
    misfit = E_D**2 * _slope_spread(a, d, fit.value, abs(signs))[at] ** 2
    variance = (
        parts.sum(axis=0)
        + misfit
        - 2 * E_D * shared_als * np.sqrt(V_A * var_als)
        + 2 * E_D * value * shared_den * np.sqrt(V_D * var_den)
    )
    table["delta_se"] = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = variance**2 / (
            parts[0] ** 2 / als_df + parts[1] ** 2 / den_df + parts[2] ** 2 / df_slope
        )
        table["delta_df"] = df
        for name, level in (("ci", 0.95), ("ci90", 0.90)):
            half = distributions.t_quantile((1 + level) / 2, df) * table["delta_se"]
            table[f"{name}_low"] = table["delta"] - half
            table[f"{name}_high"] = table["delta"] + half
        table["pvalue"] = distributions.t_pvalue(table["delta"] / table["delta_se"], df)
    # Delta's error from the reference is -lambda e_D - E_D dlambda, and dlambda scales with lambda:
    # one common error times lambda.
    # So is the misfit: patients resemble each other more than they do an injured nerve.
    table["shared_sd"] = np.sign(value) * np.sqrt(value**2 * V_D + E_D**2 * var_den + misfit)
    table["shared_df"] = den_df
    return table


def _signs(members: pd.DataFrame, column: Mapping[tuple[str, str], int], genes: pd.Index) -> Any:
    """Signs of the blocks' members: sparse genes × blocks, and a last column without any."""
    if "stripped" in members:
        members = members[~members["stripped"].astype(bool)]
    inside = members[members["gene_id"].isin(genes)]
    at_column = np.array(
        [column.get(pair, -1) for pair in zip(inside["programme"], inside["block"], strict=True)]
    )
    known = set(zip(members["programme"], members["block"], strict=True))
    for pair in column:
        if pair not in known:
            raise InputError(f"no member genes given for block '{pair[0]}/{pair[1]}'")
    at_gene = genes.get_indexer(pd.Index(inside["gene_id"]))
    direction = inside["sign"].replace(0, 1).to_numpy(dtype=float)
    used = at_column >= 0
    return _sparse(direction[used], at_gene[used], at_column[used], (genes.size, len(column) + 1))


def _sparse(values: Any, rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    from scipy.sparse import csc_array

    return csc_array((np.asarray(values, dtype=float), (rows, columns)), shape=shape)


def _correlation(noise: Floats | None, signs: Any, draws: Floats | None) -> Floats:
    """Correlation over replicates between block effects and slopes; 0 where there are none."""
    if noise is None or draws is None:
        return np.zeros(signs.shape[1])
    x, y = noise @ signs, np.where(np.isfinite(draws), draws, np.nanmedian(draws, axis=0))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (x * y).mean(axis=0) / (x.std(axis=0) * y.std(axis=0))
    return np.asarray(np.nan_to_num(r), dtype=float)


AXIS_COLUMNS = [
    *("dataset", "contrast", "cell_type", "reference", "mode", "lambda", "se", "ci_low", "ci_high"),
    *(
        "df",
        "interval",
        "reliability",
        "slope_spread",
        "n_genes",
        "correlation_raw",
        "correlation",
        "reason",
    ),
]

Contrast = tuple[str, str, str]  # dataset, contrast, cell_type


def axes(
    pairs: pd.DataFrame,
    contrasts: pd.DataFrame,
    genes: pd.DataFrame,
    blocks: pd.DataFrame,
    members: Mapping[str, pd.DataFrame],
    *,
    replicates: Mapping[Contrast, pd.DataFrame] | None = None,
    parts: Mapping[Contrast, Parts] | None = None,
    to_human: Mapping[str, Mapping[str, str]] | None = None,
    inter_gene_correlation: float,
    min_reliability: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare every ALS contrast with every denervation reference: ``denervation.tsv``.

    Parameters
    ----------
    pairs
        From :func:`alsmuscle.synthesis.contrasts.reference_pairs`.
    contrasts
        From :func:`alsmuscle.synthesis.contrasts.contrast_table`; donors give the df.
    genes
        ``dataset, contrast, cell_type, gene_id, effect, se`` (log2 units, own species' ids). Cell
        types are compared with the same cell type of the reference.
    blocks
        ``dataset, contrast, cell_type, programme, block, stripped, effect, se``.
    members
        Species → members of the blocks (see :func:`block_delta`).
    replicates
        (dataset, contrast, cell_type) → donor-bootstrap replicates × genes, where a matrix exists.
    parts
        The same → the studies of a combined reference.
    to_human
        Species → {gene id: human gene id}, 1:1 orthologs, for correlations across species.
    inter_gene_correlation, min_reliability
        As for :func:`denervation_axis`.

    Returns
    -------
    axis, deltas
        ``axis``: :data:`AXIS_COLUMNS`, one row per pair and cell type, also for pairs that cannot
        be compared, with the reason. ``deltas``: rows of :func:`block_delta` with ``dataset,
        contrast, cell_type, reference``, for pairs with a lambda.
    """
    replicates, parts, to_human = replicates or {}, parts or {}, to_human or {}
    facts = contrasts.set_index(["dataset", "contrast"])
    by_contrast = _by_contrast(genes)

    def settings(als: Contrast, den: Contrast) -> dict[str, Any]:
        return {
            "als_replicates": replicates.get(als),
            "den_replicates": replicates.get(den),
            "den_parts": parts.get(den),
            "als_df": _residual_df(facts.loc[als[:2]]),
            "den_df": _residual_df(facts.loc[den[:2]]),
            "inter_gene_correlation": inter_gene_correlation,
            "min_reliability": min_reliability,
        }

    rows: list[dict[str, Any]] = []
    keys: list[tuple[Contrast, Contrast]] = []
    for pair in pairs.itertuples():
        als_name = (pair.dataset, pair.contrast)
        for cell_type in [key[2] for key in by_contrast if key[:2] == als_name]:
            als_key = (*als_name, cell_type)
            den_key = (pair.reference_dataset, pair.reference_contrast, cell_type)
            keys.append((als_key, den_key))
            row: dict[str, Any] = dict.fromkeys(AXIS_COLUMNS)
            row |= dict(zip(("dataset", "contrast", "cell_type"), als_key, strict=True))
            row |= {"reference": "/".join(den_key[:2]), "mode": pair.mode, "reason": pair.reason}
            rows.append(row)
            if pair.mode != "none" and den_key not in by_contrast:
                row |= {"mode": "none", "reason": f"the reference has no '{cell_type}'"}
            if row["mode"] == "none":
                continue
            als, den = _in_common_ids(als_key, den_key, by_contrast, facts["species"], to_human)
            if pair.mode == "correlation":
                raw, corrected = noise_corrected_correlation(als, den)
                row |= {"correlation_raw": raw, "correlation": corrected}
                continue
            found = denervation_axis(als, den, **settings(als_key, den_key))
            row |= found | {"reason": found["reason"] or pair.reason}
    deltas: list[pd.DataFrame] = []
    by_blocks = _by_contrast(blocks)
    for row, (als_key, den_key) in zip(rows, keys, strict=True):
        known = als_key in by_blocks and den_key in by_blocks
        if not known or row["lambda"] is None or np.isnan(row["lambda"]):
            continue
        own = block_delta(
            by_contrast[als_key].set_index("gene_id"),
            by_contrast[den_key].set_index("gene_id"),
            by_blocks[als_key],
            by_blocks[den_key],
            members[facts.loc[als_key[:2], "species"]],
            **settings(als_key, den_key),
        )
        named = ("dataset", "contrast", "cell_type", "reference")
        deltas.append(own.assign(**{key: row[key] for key in named}))
    axis = pd.DataFrame(rows, columns=AXIS_COLUMNS)
    return axis, pd.concat(deltas, ignore_index=True) if deltas else pd.DataFrame()


def _by_contrast(table: pd.DataFrame) -> dict[Contrast, pd.DataFrame]:
    return dict(list(table.groupby(["dataset", "contrast", "cell_type"], sort=False)))


def _residual_df(facts: pd.Series[Any]) -> float:
    return float(max(facts["n_target"] + facts["n_reference"] - 2, 1))


def _in_common_ids(
    als: Contrast,
    den: Contrast,
    genes: Mapping[Contrast, pd.DataFrame],
    species: pd.Series[Any],
    to_human: Mapping[str, Mapping[str, str]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables by gene id: the species' own, or human ones where the species differ."""
    tables = genes[als].set_index("gene_id"), genes[den].set_index("gene_id")
    organisms = species[als[:2]], species[den[:2]]
    if organisms[0] == organisms[1]:
        return tables
    first, second = (
        _in_human(table, to_human.get(name)) for table, name in zip(tables, organisms, strict=True)
    )
    return first, second


def _in_human(table: pd.DataFrame, orthologs: Mapping[str, str] | None) -> pd.DataFrame:
    if orthologs is None:
        return table
    renamed = table.set_index(pd.Index([orthologs.get(gene) for gene in table.index]))
    renamed = renamed[renamed.index.notna()]
    return renamed[~renamed.index.duplicated(keep=False)]
