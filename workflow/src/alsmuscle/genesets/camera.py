"""Competitive tests of gene sets that allow for correlation between genes, as limma's camera.

``camera`` and ``camera_pr`` (Wu & Smyth 2012, Nucleic Acids Res 40:e133) ask the same competitive
question as preranked tests and allow for correlation between the genes of a set. With the usual
fixed correlation of 0.01 they are still far too ready in muscle; estimated, they hold the level and
find little where many genes move, since they inflate the genes' true differences with the noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.core.types import Floats, Ints
from alsmuscle.genesets.block_tests import linear_contrast
from alsmuscle.genesets.pathways import Collections, frame, ordered, positions
from alsmuscle.stats import distributions
from alsmuscle.stats.moderation import squeeze_var

CAMERA = ["collection", "term", "size", "correlation", "direction", "delta", "pvalue", "padj"]


def camera_pr(
    statistic: pd.Series[float],
    collections: Collections,
    *,
    inter_gene_cor: float = 0.01,
    min_size: int,
    max_size: int,
) -> pd.DataFrame:
    """Competitive test on a ranking, allowing for a given correlation between a set's genes.

    limma's ``cameraPR`` with its default: a two-sample t test of the set's statistics against the
    others, the set's variance inflated by 1 + (m - 1) x correlation.

    Parameters
    ----------
    statistic
        Any roughly normal statistic by gene name (Wald, moderated t).
    collections
        ``{collection: {term: genes}}``.
    inter_gene_cor
        Assumed mean correlation between the genes of a set; limma's preset is 0.01.
    min_size, max_size
        Genes with a statistic a set must have.

    Returns
    -------
    DataFrame
        ``collection, term, size, correlation, direction, delta, pvalue, padj``; ``delta`` is the
        set's mean statistic minus that of the genes outside it.
    """
    values: Floats = np.asarray(statistic, dtype=np.float64)
    if len(values) < 3 or not np.isfinite(values).all():
        raise InputError("statistic has missing or infinite values", expected="finite numbers")
    if not -1 < inter_gene_cor < 1:
        raise InputError(f"inter_gene_cor is {inter_gene_cor}", expected="between -1 and 1")
    where = positions(statistic.index, collections, min_size, max_size)
    sets = [(c, term, rows) for c, found in where.items() for term, rows in found.items()]
    correlation = np.full(len(sets), inter_gene_cor, dtype=np.float64)
    return _camera(values, sets, correlation, len(values) - 2, collections)


def camera(
    expression: pd.DataFrame,
    design: pd.DataFrame,
    contrast: pd.Series[float] | npt.ArrayLike,
    collections: Collections,
    *,
    inter_gene_cor: float | None = None,
    allow_negative: bool = False,
    min_size: int,
    max_size: int,
) -> pd.DataFrame:
    """Competitive test from the expression matrix, as limma's ``camera``.

    Gene-wise moderated t statistics of the contrast, brought to the normal scale, compared between
    a set and all other genes. With ``inter_gene_cor=None`` the correlation is estimated per set
    from the residuals, which keeps the level and costs power in small studies; a number (limma's
    preset is 0.01) ranks better and is too optimistic for strongly co-regulated sets.

    Parameters
    ----------
    expression
        Genes x samples, log2, index the names used in ``collections``.
    design, contrast
        As for ``block_tests.effects``.
    collections
        ``{collection: {term: genes}}``.
    inter_gene_cor
        Correlation between genes of a set, or None to estimate it.
    allow_negative
        Let negative estimates narrow the test; otherwise they count as 0 (and are still shown).
    min_size, max_size
        Measured genes a set must have.

    Returns
    -------
    DataFrame
        As ``camera_pr``.
    """
    from scipy.sparse import csr_array

    model = linear_contrast(expression, design, contrast)
    if model.df < 1:
        raise InputError("no residual degrees of freedom", expected="more samples than terms")
    values = expression.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError("expression has missing or infinite values", expected="finite numbers")
    effect, s2 = model.fit(values)
    fit = squeeze_var(s2, model.df)
    t = effect / np.sqrt(fit.var_post * model.unscaled)
    z = _normal_score(t.astype(np.float64), min(model.df + fit.df_prior, float(len(t) * model.df)))
    where = positions(expression.index, collections, min_size, max_size)
    sets = [(c, term, rows) for c, found in where.items() for term, rows in found.items()]
    if inter_gene_cor is not None:
        fixed = np.full(len(sets), inter_gene_cor, dtype=np.float64)
        return _camera(z, sets, fixed, len(z) - 2, collections)
    sizes = np.array([len(rows) for _, _, rows in sets], dtype=np.int64)
    columns = np.concatenate([*(rows for _, _, rows in sets), np.array([], dtype=np.int64)])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    sums = csr_array((np.ones(len(columns)), columns, starts), shape=(len(sets), len(z)))
    residual = values @ model.residual / np.sqrt(s2)[:, None]
    vif = ((sums @ residual) ** 2).mean(axis=1) / sizes
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(sizes > 1, (vif - 1) / (sizes - 1), 0.0)
    df = min(model.df, len(z) - 2)
    return _camera(z, sets, correlation, df, collections, allow_negative=allow_negative)


def _normal_score(t: Floats, df: float) -> Floats:
    """Normal equivalents of t statistics: Hill's expansion (1970, Comm ACM 13:617), as limma."""
    if not np.isfinite(df) or df > 1e10:
        return t
    a = df - 0.5
    b = 48 * a**2
    u = a * np.log1p(t**2 / df)
    tail = (((-0.4 * u - 3.3) * u - 24) * u - 85.5) / (0.8 * u**2 + 100 + b)
    out: Floats = np.sign(t) * np.sqrt(u) * ((tail + u + 3) / b + 1)
    return out


def _camera(
    z: Floats,
    sets: Sequence[tuple[str, str, Ints]],
    correlation: Floats,
    df: float,
    collections: Collections,
    *,
    allow_negative: bool = True,
) -> pd.DataFrame:
    if not sets:
        return frame([], CAMERA)
    total, overall, variance = len(z), z.mean(), z.var(ddof=1)
    size = np.array([len(rows) for _, _, rows in sets], dtype=np.float64)
    mean = np.array([z[rows].mean() for _, _, rows in sets])
    rest = total - size
    if (rest == 0).any():
        raise InputError("a set holds every gene", expected="genes outside the set to compare with")
    delta = total / rest * (mean - overall)
    pooled = ((total - 1) * variance - delta**2 * size * rest / total) / (total - 2)
    vif = 1 + (size - 1) * (correlation if allow_negative else np.maximum(correlation, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = delta / np.sqrt(pooled * (vif / size + 1 / rest))
    p = distributions.t_pvalue(statistic, df)
    rows = [
        {
            "collection": collection,
            "term": term,
            "size": len(where),
            "correlation": correlation[i],
            "direction": "up" if delta[i] > 0 else "down",
            "delta": delta[i],
            "pvalue": p[i],
        }
        for i, (collection, term, where) in enumerate(sets)
    ]
    return ordered(frame(rows, CAMERA), collections)
