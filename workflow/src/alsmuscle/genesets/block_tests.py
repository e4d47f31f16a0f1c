"""Effect of a contrast on every block: moderated, standardised, and against matched sets.

Two questions are asked of a block, with two p-values, because they have two answers:

* ``pvalue`` (self-contained): does the block's mean move at all? Linear model on the block's score,
  variance moderated over blocks (limma, Smyth 2004).
* ``pvalue_competitive``: does it move more than genes of equal expression do in this contrast?
  Where half the transcriptome moves, nearly every set of genes does, so that a small ``pvalue``
  alone says nothing about the programme (Goeman & Buehlmann 2007, Bioinformatics 23:980).

The moderation's prior comes from the complete blocks alone, so that listing the stripped
versions too changes nothing; limma's ``eBayes`` on the matrix of complete scores gives the same
numbers. Hedges g = J(df) effect / s with variance c'(X'X)^-1 c + g^2 / (2 df), s the
unmoderated residual standard deviation (Hedges & Olkin 1985). With ``groups`` the first term
is multiplied by the ratio of residual to raw variance, which is 2 (1 - r) / n for plain pairs
(Becker 1988).

Competitive test: a block's score is centred on the average of its matched sets in every
sample, which removes shifts common to genes of that expression. The centred effect is compared
with zero under Var = se^2 + tau^2, where se is the moderated standard error of the centred
score (so that correlation among the block's own genes counts) and tau^2 the variance of the
matched sets' effects beyond their own sampling error. t with Satterthwaite's degrees of
freedom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.core.types import Floats, Ints
from alsmuscle.genesets.programmes import KEY, BlockKey
from alsmuscle.genesets.scoring import Sets, direction, finite_values, locate, matched_sets, means
from alsmuscle.stats import distributions
from alsmuscle.stats.moderation import squeeze_var


class LinearContrast(NamedTuple):
    """A contrast as two linear maps of the samples: its estimate and the residual space."""

    estimate: Floats  # (n,)
    residual: Floats  # (n, df)
    unscaled: float  # c' (X' V^-1 X)^-1 c

    @property
    def df(self) -> int:
        """Residual degrees of freedom."""
        return int(self.residual.shape[1])

    def fit(self, values: Floats) -> tuple[Floats, Floats]:
        """Estimates and residual variances of rows of samples."""
        effect = values @ self.estimate
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = ((values @ self.residual) ** 2).sum(axis=1) / np.float64(self.df)
        return effect, variance


def _model(X: Floats, c: Floats, V: Floats | None = None) -> LinearContrast:
    n, p = X.shape
    lower = np.eye(n) if V is None else np.linalg.cholesky(V)
    white = np.linalg.solve(lower, np.eye(n))
    q, r = np.linalg.qr(white @ X, mode="complete")
    half = np.linalg.solve(r[:p].T, c)
    return LinearContrast(white.T @ q[:, :p] @ half, white.T @ q[:, p:], float(half @ half))


def _check_design(
    expression: pd.DataFrame, design: pd.DataFrame, contrast: pd.Series[float] | npt.ArrayLike
) -> tuple[Floats, Floats]:
    if design.index.has_duplicates or set(design.index) != set(expression.columns):
        unmatched = sorted(map(str, set(design.index) ^ set(expression.columns)))[:5]
        raise InputError(
            f"design and expression differ in their samples: {', '.join(unmatched)}",
            expected="each sample once in both",
        )
    X: Floats = design.loc[expression.columns].to_numpy(dtype=np.float64)
    if isinstance(contrast, pd.Series):
        unknown = [str(k) for k in contrast.index if k not in design.columns]
        if unknown:
            raise InputError(
                f"contrast names unknown coefficients: {', '.join(unknown)}",
                expected=", ".join(map(str, design.columns)),
            )
        contrast = contrast.reindex(design.columns).fillna(0.0).to_numpy()
    c: Floats = np.asarray(contrast, dtype=np.float64)
    if c.shape != (X.shape[1],) or not c.any():
        raise InputError(
            f"contrast has shape {c.shape}", expected=f"{X.shape[1]} weights, not all zero"
        )
    if not np.isfinite(X).all():
        raise InputError("design has missing values", expected="numbers for every sample")
    if X.shape[0] < X.shape[1] or np.linalg.matrix_rank(X) < X.shape[1]:
        raise InputError(
            "design is not of full rank: some coefficients cannot be told apart",
            where=", ".join(map(str, design.columns)),
            remedy="drop a covariate, or give repeated donors as `subject` rather than as columns",
        )
    return X, c


def linear_contrast(
    expression: pd.DataFrame,
    design: pd.DataFrame,
    contrast: pd.Series[float] | npt.ArrayLike,
) -> LinearContrast:
    """Check a design and contrast against the samples of ``expression`` and prepare the fit.

    Raises InputError for samples that do not match, a rank-deficient design, unknown coefficients.
    """
    return _model(*_check_design(expression, design, contrast))


COLUMNS = [
    *(*KEY, "sign", "effect", "se", "ci_low", "ci_high", "pvalue", "padj"),
    *("hedges_g", "hedges_g_var", "n_genes", "n_mapped", "df", "gene_correlation"),
    *("background", "background_sd", "se_competitive", "pvalue_competitive", "padj_competitive"),
]


def effects(
    expression: pd.DataFrame,
    design: pd.DataFrame,
    contrast: pd.Series[float] | npt.ArrayLike,
    members: pd.DataFrame,
    *,
    subject: pd.Series[str] | None = None,
    groups: pd.Series[str] | None = None,
    tested: bool = True,
    confidence: float = 0.95,
    n_matched: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Effect of a contrast on every block, in log2 units.

    Parameters
    ----------
    expression
        Genes x samples, log2 variance-stabilised, index gene ids.
    design
        Samples x coefficients, full rank.
    contrast
        Weights of the coefficients: a Series by name (others 0) or an array in column order.
    members
        From ``blocks`` (or ``control_blocks``).
    subject
        Donor per sample, for donors measured repeatedly where the design holds no donor columns:
        a random effect with one correlation for all blocks, as limma's ``duplicateCorrelation``
        (Smyth, Michaud & Scott 2005, Bioinformatics 21:2067). Paired designs with donor columns
        need none.
    groups
        For paired designs: the two groups compared (other samples missing). Hedges g is then in
        units of the raw standard deviation within groups, not of the differences.
    tested
        False where the rule on group sizes forbids a test: p-values and intervals are missing.
    confidence
        Of the interval.
    n_matched, seed
        Matched random sets per block for the competitive test; 0 leaves it out.

    Returns
    -------
    DataFrame
        One row per block and version: ``programme, block, stripped, sign, effect, se, ci_low,
        ci_high, pvalue, padj, hedges_g, hedges_g_var, n_genes, n_mapped, df, gene_correlation,
        background, background_sd, se_competitive, pvalue_competitive, padj_competitive``.
        ``effect`` is the contrast of the block's score; ``se`` its moderated standard error with
        ``df`` degrees of freedom; ``gene_correlation`` the mean correlation of its genes' errors,
        which turns their variances into the block's; ``background`` the mean effect of the matched
        sets and ``background_sd`` the standard deviation of their true effects; (effect -
        background) / ``se_competitive`` is the statistic of the competitive test. ``padj`` is
        Benjamini-Hochberg over the complete blocks, and over the stripped ones.

    Raises
    ------
    InputError
        For samples that do not match, a rank-deficient design, missing values.
    """
    X, c = _check_design(expression, design, contrast)
    sets = locate(members, expression.index)
    values = finite_values(expression)
    score = means(values, sets.rows) * direction(sets.sign)[:, None]
    complete = np.array([not key[2] for key in sets.keys]) & ~np.isnan(score).any(axis=1)

    V = None
    if subject is not None:
        donors = subject.reindex(expression.columns)
        V = _donor_correlation(score[complete], X, donors)
    model = _model(X, c, V)
    effect, s2 = model.fit(score)
    var, df = _moderated(s2, complete, model.df)
    se = np.sqrt(var * model.unscaled)
    if not tested:
        df = np.nan
    g, g_var = _hedges(effect, s2, model, _raw(score, groups, expression.columns))
    out = pd.DataFrame(sets.keys, columns=KEY).assign(
        sign=sets.sign.astype(int),
        effect=effect,
        se=se,
        **_test(effect, se, df, confidence),
        hedges_g=g,
        hedges_g_var=g_var,
        n_genes=sets.n_genes,
        n_mapped=[len(r) for r in sets.rows],
        df=df,
        gene_correlation=_gene_correlation(s2, model.fit(values)[1], sets),
    )
    background = np.full((len(out), 4), np.nan)
    if n_matched > 0 and model.df > 0:
        drawn = matched_sets(expression.mean(axis=1), members, n_matched, seed)
        background = _competitive(values, score, sets, drawn, model=model, complete=complete)
    out[["background", "background_sd", "se_competitive"]] = background[:, :3]
    out["pvalue_competitive"] = background[:, 3] if tested else np.nan
    for p, q in (("pvalue", "padj"), ("pvalue_competitive", "padj_competitive")):
        out[q] = out.groupby("stripped")[p].transform(distributions.adjust)
    return out[COLUMNS]


def _moderated(s2: Floats, prior: npt.NDArray[np.bool_], df: int) -> tuple[Floats, float]:
    """Posterior variances with a prior from the rows marked, and the total degrees of freedom."""
    if df == 0 or not prior.any() or not (s2[prior] > 0).any():
        return s2, float(df) if df else np.nan
    fit = squeeze_var(s2[prior], df)
    total = min(df + fit.df_prior, float(df * prior.sum()))
    if np.isinf(fit.df_prior):
        return np.where(np.isnan(s2), np.nan, fit.var_prior), total
    return (df * s2 + fit.df_prior * fit.var_prior) / (df + fit.df_prior), total


def _gene_correlation(block_variance: Floats, gene_variance: Floats, sets: Sets) -> Floats:
    """Correlation r of a block's n genes in n^2 Var(mean) = sum s^2 + r ((sum s)^2 - sum s^2)."""
    square = np.array([gene_variance[rows].sum() for rows in sets.rows])
    total = np.array([np.sqrt(gene_variance[rows]).sum() for rows in sets.rows]) ** 2
    size = np.array([len(rows) for rows in sets.rows], dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        out: Floats = (size**2 * block_variance - square) / (total - square)
    out[size < 2] = np.nan
    return out


def _test(effect: Floats, se: Floats, df: float, confidence: float) -> Mapping[str, Floats]:
    with np.errstate(invalid="ignore", divide="ignore"):
        half = distributions.t_quantile((1 + confidence) / 2, df) * se
        return {
            "ci_low": effect - half,
            "ci_high": effect + half,
            "pvalue": distributions.t_pvalue(effect / se, df),
        }


def _raw(score: Floats, groups: pd.Series[str] | None, samples: pd.Index) -> tuple[Floats, int]:
    """Variance within the two groups, ignoring pairing, and its degrees of freedom."""
    if groups is None:
        return np.empty(0), 0
    label = groups.reindex(samples)
    levels = list(label.dropna().unique())
    if len(levels) != 2:
        raise InputError(f"groups has {len(levels)} levels", expected="the two groups compared")
    total, df = np.zeros(len(score)), 0
    for level in levels:
        part = score[:, (label == level).to_numpy()]
        total += ((part - part.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        df += part.shape[1] - 1
    return total / max(df, 1), df


def _hedges(
    effect: Floats, s2: Floats, model: LinearContrast, raw: tuple[Floats, int]
) -> tuple[Floats, Floats]:
    """Hedges g and its variance; missing where fewer than two degrees of freedom are left."""
    from scipy.special import gammaln

    scale2, df = raw if raw[1] else (s2, model.df)
    if df < 2 or model.df < 1:
        return np.full_like(effect, np.nan), np.full_like(effect, np.nan)
    correction = np.exp(gammaln(df / 2) - gammaln((df - 1) / 2) - np.log(df / 2) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        g: Floats = correction * effect / np.sqrt(scale2)
        return g, model.unscaled * s2 / scale2 + g**2 / (2 * df)


def _competitive(
    values: Floats,
    score: Floats,
    sets: Sets,
    drawn: dict[BlockKey, Ints],
    *,
    model: LinearContrast,
    complete: npt.NDArray[np.bool_],
) -> Floats:
    """Mean of the matched sets, standard deviation of their true effects, se and p of the test."""
    centred = np.full_like(score, np.nan)
    mean, tau2 = np.full(len(score), np.nan), np.full(len(score), np.nan)
    values = np.ascontiguousarray(values)  # else each product makes a copy that is
    n = 0
    for i, key in enumerate(sets.keys):
        if len(sets.rows[i]) == 0:
            continue
        control = means(values, drawn[key]) * direction(sets.sign[i : i + 1])[0]
        average = control.mean(axis=0)
        centred[i] = score[i] - average
        n = len(control)
        effect, s2 = model.fit(control - average)
        mean[i] = average @ model.estimate
        # Sampling error of the centred scores is smaller by what they share: estimated on them.
        tau2[i] = max(0.0, effect.var(ddof=1) - s2.mean() * model.unscaled * n / (n - 1))
    effect, s2 = model.fit(centred)
    var, df = _moderated(s2, complete, model.df)
    sampling = var * model.unscaled
    with np.errstate(invalid="ignore", divide="ignore"):
        total = sampling + tau2
        df_total = total**2 / (sampling**2 / df + tau2**2 / (n - 1))
        p = distributions.t_pvalue(effect / np.sqrt(total), df_total)
    out: Floats = np.column_stack([mean, np.sqrt(tau2), np.sqrt(total), p])
    return out


def _donor_correlation(score: Floats, X: Floats, donors: pd.Series[Any]) -> Floats:
    """Correlation matrix of the samples with one within-donor correlation, by REML.

    Per block the correlation that maximises the restricted likelihood; their consensus is the
    hyperbolic tangent of the 15 % trimmed mean of the arc tangents, as limma does it.
    """
    from scipy.linalg import eigh
    from scipy.optimize import minimize_scalar
    from scipy.stats import trim_mean

    if donors.isna().any():
        raise InputError("subject is missing for some samples", expected="a donor per sample")
    same = (donors.to_numpy()[:, None] == donors.to_numpy()[None, :]).astype(float)
    largest = int(same.sum(axis=1).max())
    n, p = X.shape
    if largest == 1 or n - p < 2:
        return np.eye(n)
    q = np.linalg.qr(X, mode="complete")[0][:, p:]
    d, u = eigh(q.T @ same @ q)
    if np.ptp(d) < 1e-8:
        raise InputError(
            "the within-donor correlation cannot be estimated",
            expected="donors with several samples that the design does not already account for",
            remedy="leave out `subject` where the design has donor columns",
        )
    squared = (score @ (q @ u)) ** 2

    def criterion(rho: float, row: Floats) -> float:
        v = 1 + rho * (d - 1)
        return float((n - p) * np.log((row / v).sum()) + np.log(v).sum())

    low, high = 1 / (1 - largest) + 0.01, 0.99
    rho = np.array(
        [
            minimize_scalar(
                criterion,
                bounds=(low, high),
                args=(row,),
                method="bounded",
                options={"xatol": 1e-9},
            ).x
            for row in squared
        ]
    )
    consensus = float(np.tanh(trim_mean(np.arctanh(rho), 0.15)))
    V: Floats = np.where(same > 0, consensus, 0.0)
    np.fill_diagonal(V, 1.0)
    return V
