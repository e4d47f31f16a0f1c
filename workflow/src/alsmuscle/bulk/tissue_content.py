"""What a tissue's composition explains of a contrast: the same model with marker scores beside it.

An ALS biopsy has fewer fibres and more fat and connective tissue, so that genes of the myofibre
fall in it without a change in any cell. Scores of myofibre, fibro-adipogenic and macrophage content
enter the model as covariates, without the genes of the block that is tested. It is a conservative
sensitivity analysis: composition follows from the disease too, and markers measure it with error.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core.types import Floats

_MAX_ITERATIONS = 100
_TOLERANCE = 1e-8
# A gene whose step is shorter, by the rounding of its last digits, moves no more.
_ARRIVED = 1e-13
# A coefficient (natural log) beyond this means that a group holds no read.
_BOUND = 30.0
# Natural log per standard deviation of a content score: markers themselves move by about 1.
CONTENT_SD = 2.0


class LogLinear(NamedTuple):
    """Negative-binomial fit of genes: coefficients, their covariance, working weights, fitted
    means.
    """

    beta: Floats  # (g, p), natural log
    covariance: Floats  # (g, p, p)
    weights: Floats  # (g, n)
    mu: Floats  # (g, n)


def fit_log_linear(
    counts: Floats, size: Floats, design: Floats, dispersion: Floats, n_content: int = 0
) -> LogLinear:
    """Fit every gene by penalised maximum likelihood at known dispersion.

    The penalty is Jeffreys' prior (Firth 1993, Biometrika 80:27): estimates stay finite where a
    group holds no read (Kosmidis and Firth 2021, Biometrika 108:71), and are nearly unbiased where
    counts are small. Adjusting the score for its exact bias instead has no solution where half the
    product of leverage and dispersion reaches 1, as in a group without reads of an overdispersed
    gene. Coefficients of tissue content get a weak normal prior
    (:data:`CONTENT_SD`): a handful of reads is easily separated by a few continuous covariates,
    and its effect would run away; where a gene has reads the prior says next to nothing.

    Parameters
    ----------
    counts
        Genes x samples.
    size
        Size factors (n,).
    design
        Samples x terms, full column rank.
    dispersion
        Per gene, positive.
    n_content
        Columns of tissue content, the last ones of ``design``, standardised.
    """
    prior = np.zeros(design.shape[1])
    prior[design.shape[1] - n_content :] = 1 / CONTENT_SD**2
    ridge = np.diag(prior)
    y = np.asarray(counts, dtype=np.float64)
    alpha = np.asarray(dispersion, dtype=np.float64)[:, None]
    offset = np.log(size)[None, :]
    products = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)  # (n, p * p)

    def fitted(beta: Floats, alpha: Floats) -> LogLinear:
        mu = np.exp(np.clip(beta @ design.T, -_BOUND, _BOUND) + offset)
        weights = mu / (1 + alpha * mu)
        information = (weights @ products).reshape(-1, *ridge.shape)
        covariance = np.asarray(np.linalg.inv(information + ridge), dtype=np.float64)
        return LogLinear(beta, covariance, weights, mu)

    start = np.log(y / size + 0.5)
    beta = start @ np.linalg.pinv(design).T
    moving = np.arange(len(y))
    for _ in range(_MAX_ITERATIONS):
        now, counted = fitted(beta[moving], alpha[moving]), y[moving]
        leverage = now.weights * (now.covariance.reshape(len(moving), -1) @ products.T)
        adjusted = counted + leverage / 2
        score = (now.weights * (adjusted - now.mu) / now.mu) @ design - now.beta * prior
        step = np.einsum("gpq,gq->gp", now.covariance, score)
        # Newton steps far from the optimum overshoot on the log scale.
        step *= np.minimum(1.0, 2.0 / np.maximum(np.abs(step @ design.T).max(axis=1), 1e-300))[
            :, None
        ]
        beta[moving] += step
        longest = np.abs(step).max(axis=1)
        if longest.max(initial=0.0) < _TOLERANCE:
            break
        # Most genes arrive long before the last ones.
        moving = moving[longest > _ARRIVED]
    return fitted(beta, alpha)


def marker_scores(
    expression: pd.DataFrame, markers: pd.DataFrame, leave_out: frozenset[str]
) -> pd.DataFrame:
    """Score every sample's content of myofibre, fibro-adipogenic and macrophage cells.

    Parameters
    ----------
    expression
        Genes x samples, log2 variance-stabilised, index gene ids.
    markers
        ``component, gene_id``.
    leave_out
        Genes of the tested block.

    Returns
    -------
    DataFrame
        Samples x components, standardised; a component without a marker or without any spread is
        missing.
    """
    kept = markers[~markers["gene_id"].isin(leave_out) & markers["gene_id"].isin(expression.index)]
    found = {}
    for component, part in kept.groupby("component", sort=False):
        score = expression.loc[part["gene_id"].drop_duplicates()].mean(axis=0)
        spread = float(score.std(ddof=0))
        if spread > 0:
            found[str(component)] = (score - score.mean()) / spread
    return pd.DataFrame(found, index=expression.columns)


def log_linear_errors(
    fit: LogLinear, counts: Floats, vector: Floats
) -> tuple[Floats, Floats, Floats]:
    """Effect, standard error and per-sample errors of a contrast of a log-linear fit, log2 units.

    The errors are standard error x Pearson residual: their squares sum to the squared standard
    error times the residual degrees of freedom where the dispersion fits.
    """
    effect = fit.beta @ vector / np.log(2)
    se = np.sqrt(np.einsum("p,gpq,q->g", vector, fit.covariance, vector)) / np.log(2)
    pearson = (counts - fit.mu) / fit.mu * np.sqrt(fit.weights)
    return effect, se, se[:, None] * pearson


def influence(fit: LogLinear, counts: Floats, design: Floats, vector: Floats) -> Floats:
    """Samples' shares in a contrast of a log-linear fit (genes × samples), log2 units.

    Their sum is zero for the fit's own estimate; that of independent samples' squares is the
    contrast's variance (White 1982, Econometrica 50:1).
    """
    side = np.einsum("np,gpq,q->gn", design, fit.covariance, vector, optimize=True)
    return np.asarray(side * (counts - fit.mu) / fit.mu * fit.weights / np.log(2))


def with_content(design: Floats, content: pd.DataFrame) -> Floats:
    """Add a sample's content to a design (samples x terms); what terms already determine is left
    out.
    """
    full = design
    for _, score in content.items():
        wider = np.column_stack([full, score.to_numpy(float)])
        if np.linalg.matrix_rank(wider) > full.shape[1]:
            full = wider
    return full


def markers(panels: pd.DataFrame, organism: str, genes: pd.DataFrame) -> pd.DataFrame:
    """Return ``component, gene_id`` of ``config/content.tsv`` for human or mouse.

    ``genes``: ``gene_id, symbol`` of the organism.
    """
    named = panels.assign(symbol=panels[organism]).merge(genes[["gene_id", "symbol"]], on="symbol")
    return named[["component", "gene_id"]].drop_duplicates()
