"""The strongest hidden factor of a contrast's samples, and what is called with it in mind.

People of one diagnosis differ along few common factors: severity, fat and fibrosis, quality of the
RNA. Drawn at random into two groups they are seldom balanced in them, and where they are far from
it, thousands of genes that follow the factor are called together: a gene's p-value holds over many
draws, not given an unlucky one (Efron 2007, 10.1198/016214506000001211). The factor can be seen in
what a design leaves of the expression (Leek and Storey 2007, 10.1371/journal.pgen.0030161), and how
far the sides lean along it in the effects of the genes that follow it (Wang, Zhao, Hastie and Owen
2017, 10.1214/16-AOS1511).

A condition may act along the factor, as a disease does that is worse in some patients than in
others, and looks the same. So effects stay as they are; only where many genes are called together,
of the lean as much is taken off as chance gives in 95 of 100 draws, and what goes beyond it stays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core.types import Floats
from alsmuscle.stats import distributions, linear
from alsmuscle.stats.moderation import squeeze_var

# Below, little of the samples' own differences is left to find a factor in, and to test without it.
MIN_DF = 4
# Below, calls do not gain by the factor: three a side show it too poorly (a trial whose code is not
# kept, 40 draws of real people: three called a few genes, all false, and the others none).
MIN_DF_CALLS = 6
# With fewer genes a factor is a few of them, and what it takes away is theirs.
MIN_GENES = 100
# Residuals beyond so many standard deviations pull the lean no more (Huber's constant).
BEND = 1.345
_STEPS, _ARRIVED = 100, 1e-10
_ROUNDING = 1e-9
# The draws of chance whose lean is taken off.
CHANCE = 0.95


class Hidden(NamedTuple):
    """The strongest hidden factor.

    ``df`` that the design leaves; ``share`` of the genes' variance within groups; ``lean`` of the
    sides, over what chance gives (standard deviations), and its two-sided ``pvalue``; ``by_chance``
    (g,) what of each gene's effect is the lean that chance gives, in units of the effect; ``noise``
    (g,) the genes' variance without the factor over that with it, both moderated, at most 1;
    ``scores`` (n,) the samples' places on the factor, the sides' lean included.
    """

    df: int
    share: float
    lean: float
    pvalue: float
    by_chance: Floats
    noise: Floats
    scores: Floats


def factor(values: Floats, X: Floats, vector: Floats) -> Hidden | None:
    """Find the strongest factor that a design leaves.

    Parameters
    ----------
    values
        Genes × independent samples, log expression.
    X
        Samples × terms.
    vector
        The contrast over the terms.

    Returns
    -------
    Hidden or None
        None with fewer than ``MIN_DF`` residual degrees of freedom, or than ``MIN_GENES`` genes
        that vary within groups by more than one factor.
    """
    plain = linear.fit(values, X)
    # What rounding leaves of a variance is none.
    varies = plain.s2 > _ROUNDING * (1 + plain.mean**2)
    if plain.df < MIN_DF or varies.sum() < MIN_GENES:
        return None
    left = values - plain.coef @ X.T
    error = np.sqrt(plain.s2[varies])
    scaled = left[varies] / error[:, None]
    # Few samples and many genes: their products hold the same directions.
    size, directions = np.linalg.eigh(scaled.T @ scaled)
    scores = directions[:, -1] * plain.df**0.5
    loading = left @ scores / plain.df
    effect = plain.coef @ vector
    lean = _slope(effect[varies], loading[varies], error)
    sd = float(vector @ np.linalg.inv(X.T @ X) @ vector) ** 0.5
    most = float(distributions.t_quantile((1 + CHANCE) / 2, plain.df))
    rest = np.maximum(plain.df * (plain.s2 - loading**2), 0.0) / (plain.df - 1)
    if (rest[varies] > _ROUNDING * plain.s2[varies]).sum() < MIN_GENES:
        return None
    noise = np.ones(len(values))
    noise[varies] = (
        squeeze_var(rest[varies], plain.df - 1).var_post
        / squeeze_var(plain.s2[varies], plain.df).var_post
    )
    return Hidden(
        df=plain.df,
        share=float(size[-1] / size.sum()),
        lean=lean / sd,
        pvalue=float(distributions.t_pvalue(lean / sd, plain.df)),
        by_chance=loading * sd * np.clip(lean / sd, -most, most),
        noise=np.minimum(noise, 1.0),
        scores=scores + X @ vector * lean / (vector @ vector),
    )


def _slope(effect: Floats, loading: Floats, error: Floats) -> float:
    """Robust slope of effects on loadings: those that the factor does not explain pull less."""
    weight = loading / error**2
    lean = float(effect @ weight / (loading @ weight))
    bend = BEND * float(np.median(np.abs(effect - lean * loading) / error)) / 0.6745
    for _ in range(_STEPS):
        off = np.abs(effect - lean * loading) / error
        bent = weight * np.minimum(1.0, bend / np.maximum(off, 1e-300))
        former, lean = lean, float(effect @ bent / (loading @ bent))
        if abs(lean - former) < _ARRIVED * max(1.0, abs(lean)):
            break
    return lean


def without(values: Floats, X: Floats, vector: Floats, found: Hidden) -> pd.DataFrame:
    """Test the contrast with the whole factor in the model, however far the sides lean.

    Parameters
    ----------
    values, X, vector
        As for :func:`factor`.

    Returns
    -------
    DataFrame
        ``effect, se, stat, df, pvalue`` per gene.
    """
    wider = np.column_stack([X, found.scores])
    return linear.moderated_t(linear.fit(values, wider), np.append(vector, 0.0), trend=True)


def beyond_chance(found: Hidden, effect: Floats, se: Floats, df: Floats) -> pd.DataFrame:
    """Test what of the effects goes beyond a lean that chance gives.

    What the factor adds to a gene's variance is taken off with it. Further factors, and whatever
    else genes have in common, make the statistics of most genes wider than chance: errors are
    widened until the middle of the statistics is as it should be (Efron 2004,
    10.1198/016214504000000089), at most to what they are with the factor.

    Parameters
    ----------
    effect, se, df
        The tested genes' log2 fold changes, standard errors and degrees of freedom, in the order of
        ``found``; missing ones stay missing.

    Returns
    -------
    DataFrame
        ``log2fc_hidden, lfc_se_hidden, pvalue_hidden``.
    """
    rest, free = effect - found.by_chance, df - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        z = distributions.normal_size(distributions.t_pvalue(rest / se / found.noise**0.5, free))
        known = z[np.isfinite(z)]
        wider = max(1.0, float(np.median(known)) / 0.6745) if len(known) else 1.0
        own = se * np.sqrt(np.minimum(1.0, found.noise * wider**2))
        pvalue = distributions.t_pvalue(rest / own, free)
    return pd.DataFrame({"log2fc_hidden": rest, "lfc_se_hidden": own, "pvalue_hidden": pvalue})


def calls(found: Hidden, tested: pd.DataFrame, *, alpha: float) -> pd.DataFrame | None:
    """Adjust p-values over genes by what of their effects goes beyond a lean that chance gives.

    Parameters
    ----------
    tested
        ``log2fc, lfc_se, df, pvalue`` of the genes of ``found``, in their order; genes that are not
        tested are missing.
    alpha
        Level of calls. A gene is never called in a direction that its own fold change does not have
        at this level, one-sided.

    Returns
    -------
    DataFrame or None
        That of :func:`beyond_chance` and ``padj``, with the index of ``tested``. None where too few
        samples show the factor (``MIN_DF_CALLS``).
    """
    if found.df < MIN_DF_CALLS:
        return None
    numbers = (tested[name].to_numpy(float) for name in ("log2fc", "lfc_se", "df"))
    beyond = beyond_chance(found, *numbers).set_index(tested.index)
    stands = np.sign(beyond["log2fc_hidden"]) == np.sign(tested["log2fc"])
    stands &= tested["pvalue"] / 2 < alpha
    pvalue = beyond["pvalue_hidden"]
    return beyond.assign(padj=distributions.adjust(pvalue.where(stands | pvalue.isna(), 1.0)))
