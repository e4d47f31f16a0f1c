"""Pooling of many keys over independent studies: moderated, by REML, and Bayesian, side by side.

All keys of one set of contrasts are pooled together: how much studies differ is learned from all of
them (:mod:`alsmuscle.stats.moderated_pooling`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core.types import Floats
from alsmuscle.genesets.targets import GENE, RATIO
from alsmuscle.stats import bayes, moderated_pooling
from alsmuscle.stats.meta_analysis import combine_clusters, random_effects

SINGLE = (f"{GENE}/", f"{RATIO}/")
RHO_HIGH = 0.95  # of dependent contrasts, the worst that is looked at


class Pooling(NamedTuple):
    """Settings of the pooling, from ``synthesis.rules``; sizes in log2 units.

    ``alpha``: intervals hold 1 - alpha. ``rho``: correlation assumed within a cluster.
    ``tau_scale``: of the half-normal prior on the standard deviation between studies.
    ``block_margin, gene_margin``: effects smaller than this count as none.
    """

    alpha: float
    rho: float
    tau_scale: float
    block_margin: float
    gene_margin: float


class Pooled(NamedTuple):
    """Pooled numbers of many targets over one set of contrasts.

    ``table``: by target, the columns of :func:`pool`; ``effect, se, df``: targets × clusters;
    ``studies``: target → contrasts behind it.
    """

    table: pd.DataFrame
    effect: pd.DataFrame
    se: pd.DataFrame
    df: pd.DataFrame
    studies: Mapping[str, list[str]]


def margins(targets: Sequence[str], settings: Pooling) -> Floats:
    """Return the size below which an effect counts as none, per target."""
    single = [str(target).startswith(SINGLE) for target in targets]
    return np.where(single, settings.gene_margin, settings.block_margin)


def clusters_of(
    rows: pd.DataFrame, rho: float, effect: str, se: str, df: str, key: str
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return effects, errors and degrees of freedom, keys × independent clusters."""
    # By position: a pivot per column costs more than the pooling, and runs once per random set.
    row, keys = pd.factorize(rows[key], sort=True)
    column, labels = pd.factorize(rows["label"], sort=True)
    if len(np.unique(row * len(labels) + column)) < len(rows):
        raise ValueError(f"a {key} is duplicated under one label")

    def wide(values: pd.Series[float]) -> pd.DataFrame:
        table = np.full((len(keys), len(labels)), np.nan)
        table[row, column] = values.to_numpy(dtype=float)
        return pd.DataFrame(table, pd.Index(keys, name=key), pd.Index(labels, name="label"))

    of = dict(zip(rows["label"], rows["cluster"], strict=True))
    combined = combine_clusters(wide(rows[effect]), wide(rows[se]), of, rho=rho)
    # a cluster's own error is known no better than that of its smallest contrast
    known = wide(rows[df].fillna(np.inf) if df in rows else pd.Series(np.inf, rows.index))
    free = known.T.groupby([of[label] for label in labels], sort=False).min().T
    return combined[0], combined[1], free[combined[0].columns]


def pool(
    rows: pd.DataFrame,
    settings: Pooling,
    *,
    effect: str = "effect",
    se: str = "se",
    df: str = "df",
    priors: Mapping[bool, moderated_pooling.Prior | None] | None = None,
) -> Pooled | None:
    """Pool every target of ``rows`` over its clusters; ``None`` where there is nothing to pool.

    ``rows``: ``target, label, cluster`` and the named columns, one row per target and label.
    Blocks learn from blocks, genes and ratios from each other, or from the blocks where they are
    too few. ``priors``: what was learned elsewhere, by whether the target is a gene or ratio.

    The table has, by target: ``k, n_contrasts, effect, se, df, ci_low, ci_high, ci90_low,
    ci90_high, pvalue, pvalue_rho, tau2, grows`` (:func:`moderated_pooling.pool`); of the key alone
    ``reml_effect, reml_se, reml_ci_low, reml_ci_high, reml_pvalue, i2, influential,
    sign_agreement, loo_low, loo_high``; and those of :func:`bayes.random_effects`.
    """
    if rows.empty:
        return None
    known = np.isfinite(rows[effect]) & np.isfinite(rows[se]) & (rows[se] > 0)
    rows = rows[known]
    if rows.empty:
        return None
    y, s, free = clusters_of(rows, settings.rho, effect, se, df, "target")
    single = y.index.str.startswith(SINGLE)
    learned = learn(y, s) if priors is None else priors
    own = random_effects(y, s, level=1 - settings.alpha)
    table = _moderated(y, s, free, own, learned, single, settings)
    dependent = rows.duplicated(["target", "cluster"], keep=False).any()
    table["pvalue_rho"] = table["pvalue"]
    if dependent:
        y2, s2, _ = clusters_of(rows, RHO_HIGH, effect, se, df, "target")
        other = random_effects(y2, s2, level=1 - settings.alpha, leave_one_out=False)
        again = _moderated(y2, s2, free, other, learned, single, settings)
        table["pvalue_rho"] = np.fmax(table["pvalue"], again["pvalue"])
    names = {"effect": "reml_effect", "ci_low": "reml_ci_low", "ci_high": "reml_ci_high"}
    names |= {"se": "reml_se", "pvalue": "reml_pvalue"}
    names |= {same: same for same in ("i2", "influential", "sign_agreement", "loo_low", "loo_high")}
    unmoderated = own[list(names)].rename(columns=names)
    alone = own["k"] < 2  # one study has no factor to moderate
    unmoderated.loc[alone, [name for name in names.values() if name.startswith("reml")]] = np.nan
    posterior = bayes.random_effects(
        y,
        s,
        free,
        scale=settings.tau_scale,
        margin=margins(y.index, settings),
        level=1 - settings.alpha,
    )
    table = pd.concat([table, unmoderated, posterior], axis=1)
    table.insert(0, "k", own["k"].astype(int))
    table.insert(1, "n_contrasts", rows.groupby("target")["label"].nunique())
    return Pooled(table, y, s, free, _Studies(rows[["target", "label"]]))


class _Studies(Mapping[str, list[str]]):
    """Target → its labels, sorted; put together when first asked for: genes nobody asks about."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows

    @cached_property
    def _labels(self) -> dict[str, list[str]]:
        ordered = self._rows.sort_values(["target", "label"]).groupby("target")["label"]
        return {str(name): list(part) for name, part in ordered}

    def __getitem__(self, target: str) -> list[str]:
        return self._labels[target]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)


def interval(table: pd.DataFrame, level: float) -> tuple[Floats, Floats]:
    """Return the ends of the intervals that a table's ``effect, se, grows, df`` make."""
    return moderated_pooling.interval(
        table["effect"], table["se"], table["grows"], table["df"], level
    )


def learn(y: pd.DataFrame, s: pd.DataFrame) -> dict[bool, moderated_pooling.Prior | None]:
    """Return what blocks, and genes and ratios, teach about the spread between studies."""
    single = np.asarray(y.index.str.startswith(SINGLE), dtype=bool)
    blocks = moderated_pooling.learn(y[~single], s[~single]) if (~single).any() else None
    genes = moderated_pooling.learn(y[single], s[single]) if single.any() else None
    return {False: blocks, True: genes if genes is not None else blocks}


def _moderated(
    y: pd.DataFrame,
    s: pd.DataFrame,
    free: pd.DataFrame,
    own: pd.DataFrame,
    learned: Mapping[bool, moderated_pooling.Prior | None],
    single: Any,
    settings: Pooling,
) -> pd.DataFrame:
    """Moderated numbers per target; a key's own where nothing could be learned."""
    columns = ["effect", "se", "df", "ci_low", "ci_high", "pvalue", "tau2", "grows"]
    parts = []
    for kind in (False, True):
        rows = y.index[np.asarray(single, dtype=bool) == kind]
        if rows.empty:
            continue
        prior = learned[kind]
        if prior is None:
            # the key's own modified Knapp-Hartung interval, on k - 1 degrees of freedom
            found = moderated_pooling.pool(
                y.loc[rows], s.loc[rows], free.loc[rows], prior=moderated_pooling.ALONE
            )
            many = own.index[(own["k"] >= 2) & own.index.isin(rows)]
            found.loc[many, "df"] = own.loc[many, "k"] - 1.0
            for column in ("effect", "se", "ci_low", "ci_high", "pvalue", "tau2"):
                found.loc[many, column] = own.loc[many, column]
        else:
            found = moderated_pooling.pool(
                y.loc[rows], s.loc[rows], free.loc[rows], prior=prior, level=1 - settings.alpha
            )
        parts.append(found[columns])
    table = pd.concat(parts).loc[y.index]
    low, high = interval(table, 0.9)
    table.insert(5, "ci90_low", low)
    table.insert(6, "ci90_high", high)
    return table
