"""How far the sides of a contrast lean along the strongest hidden factor of their samples.

People of one diagnosis differ along few common factors: severity, fat and fibrosis, quality of the
RNA. Drawn at random into two groups they are seldom balanced in them, and where they are far from
it, thousands of genes that follow the factor are called together: p-values hold over many draws,
not given an unlucky one (Efron 2007, 10.1198/016214506000001211). The factor can be seen in what a
design leaves of the expression (Leek and Storey 2007, 10.1371/journal.pgen.0030161), and how far
the sides lean along it in the effects of the genes that follow it (Wang, Zhao, Hastie and Owen
2017, 10.1214/16-AOS1511). The same would be seen of a condition that acts along the factor, as a
disease does that is worse in some patients than in others. So nothing is corrected: what is said is
how far the sides lean, how often chance does that, and which calls do not depend on it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core.types import Floats
from alsmuscle.stats import distributions, linear

# Below, little of the samples' own differences is left to find a factor in, and to test without it.
MIN_DF = 4
# Residuals beyond so many standard deviations pull the lean no more (Huber's constant).
BEND = 1.345


class Hidden(NamedTuple):
    """The strongest hidden factor, and a contrast without it.

    ``share`` of the genes' variance within groups; ``lean`` of the sides, over what chance gives
    (standard deviations), and its two-sided ``pvalue``; ``without``: ``effect, se, stat, df,
    pvalue`` per gene of the contrast with the factor in the model.
    """

    share: float
    lean: float
    pvalue: float
    without: pd.DataFrame


def factor(values: Floats, X: Floats, vector: Floats) -> Hidden | None:
    """Find the strongest factor that a design leaves, and take it out of a contrast.

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
        None with fewer than ``MIN_DF`` residual degrees of freedom.
    """
    from scipy.optimize import least_squares

    plain = linear.fit(values, X)
    if plain.df < MIN_DF:
        return None
    left = values - plain.coef @ X.T
    varies = plain.s2 > 0
    error = np.sqrt(plain.s2[varies])
    _, size, directions = np.linalg.svd(left[varies] / error[:, None], full_matrices=False)
    scores = directions[0] * plain.df**0.5
    loading = left[varies] @ scores / plain.df
    effect = plain.coef[varies] @ vector

    def off(lean: Floats) -> Floats:
        return np.asarray((effect - lean * loading) / error)

    start = (effect * loading / error**2).sum() / (loading**2 / error**2).sum()
    spread = float(np.median(np.abs(off(start)))) / 0.6745
    lean = float(least_squares(off, start, loss="huber", f_scale=BEND * spread).x[0])
    by_chance = float(vector @ np.linalg.inv(X.T @ X) @ vector) ** 0.5
    whole = scores + X @ vector * lean / (vector @ vector)
    without = linear.moderated_t(
        linear.fit(values, np.column_stack([X, whole])), np.append(vector, 0.0), trend=True
    )
    return Hidden(
        float(size[0] ** 2 / (size**2).sum()),
        lean / by_chance,
        float(distributions.t_pvalue(lean / by_chance, plain.df)),
        without,
    )
