"""What the tables say to each test of a claim: pooled effects, Deltas, adjusted effects, controls.

All blocks of a context's contrasts are pooled together, claimed or not
(:mod:`alsmuscle.synthesis.pooled`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from alsmuscle.core.types import Floats
from alsmuscle.stats import bayes, distributions, moderated_pooling
from alsmuscle.synthesis.pooled import Pooled, Pooling, clusters_of, interval, margins
from alsmuscle.synthesis.pooled import pool as pool_rows
from alsmuscle.synthesis.verdicts import EXPECTED, Estimate, Rules


def pooling(rules: Rules) -> Pooling:
    """Return the rules' part that the pooling needs."""
    return Pooling(*(getattr(rules, name) for name in Pooling._fields))


def pool(rows: pd.DataFrame, rules: Rules, **columns: Any) -> Pooled | None:
    """Pool every target of ``rows`` (:func:`alsmuscle.synthesis.pooled.pool`) under the rules."""
    return pool_rows(rows, pooling(rules), **columns)


def labelled(table: pd.DataFrame, contrasts: pd.DataFrame) -> pd.DataFrame:
    """Add to block effects what their contrasts are, and ``target``, ``pair`` and ``label``.

    Matched random sets stand under their block's name, with ``draw`` as their number.
    """
    facts = contrasts[["dataset", "contrast", "cluster", "eligible"]]
    out = table.merge(facts, on=["dataset", "contrast"], how="inner")
    if "usable" in out:
        out = out[out["usable"].astype(bool)]
    out["pair"] = out["dataset"].astype(str) + "/" + out["contrast"].astype(str)
    other = out["cell_type"] != "muscle"
    out["label"] = out["pair"].where(~other, out["pair"] + "/" + out["cell_type"].astype(str))
    name = out["block"].astype(str).str.split("~", n=1, expand=True).reindex(columns=[0, 1])
    out["target"] = out["programme"] + "/" + name[0]
    out["draw"] = name[1].fillna("")
    out["stripped"] = out["stripped"].astype(bool)
    return out


def chosen(rows: pd.DataFrame, pairs: set[str], cell_types: Sequence[str]) -> pd.DataFrame:
    """Return the rows of a context: its contrasts, in its cell types."""
    return rows[rows["pair"].isin(pairs) & rows["cell_type"].isin(cell_types)]


def with_shared_error(pooled: Pooled, rows: pd.DataFrame, rules: Rules) -> Pooled:
    """Widen pooled Deltas by the error that their contrasts share.

    Contrasts compared with one reference share its error. While pooling it would look like
    agreement; so each contrast's own part is pooled, and the shared part enters once, with the
    weighted mean of its signed sizes, on degrees of freedom mixed after Satterthwaite.
    """
    table = pooled.table.copy()
    weight = 1 / (rows["own"] + rows["target"].map(table["tau2"]).fillna(0).clip(lower=0))
    rows = rows.assign(_w=weight, _ws=weight * rows["shared_sd"])
    grouped = rows.groupby("target")
    extra = ((grouped["_ws"].sum() / grouped["_w"].sum()) ** 2).reindex(table.index).fillna(0.0)
    shared_df = grouped["shared_df"].min().reindex(table.index).fillna(np.inf)
    own = table["se"] ** 2
    total = own + extra
    with np.errstate(divide="ignore", invalid="ignore"):
        table["df"] = total**2 / (own**2 / table["df"] + extra**2 / shared_df)
    table["se"] = np.sqrt(total)
    rho = table["pvalue_rho"]
    _read_anew(table, rules)
    table["pvalue_rho"] = np.fmax(table["pvalue"], rho)
    return pooled._replace(table=table)


def _read_anew(table: pd.DataFrame, rules: Rules) -> None:
    """Put in place the intervals and p-values that follow from effects and errors."""
    for ends, level in ((("ci_low", "ci_high"), 1 - rules.alpha), (("ci90_low", "ci90_high"), 0.9)):
        found = interval(table, level)
        table[ends[0]], table[ends[1]] = found
    table["pvalue"] = distributions.t_pvalue(table["effect"] / table["se"], table["df"])
    table["pvalue_rho"] = table["pvalue"]


def pool_deltas(
    rows: pd.DataFrame, rules: Rules, delta: str = "delta", se: str = "delta_se"
) -> Pooled | None:
    """Pool Deltas against denervation references; see :func:`with_shared_error`."""
    if rows.empty:
        return None
    rows = rows[np.isfinite(rows[delta]) & np.isfinite(rows[se]) & (rows[se] > 0)]
    if rows.empty:
        return None
    # at least a tenth of the variance stays own: replicate estimates may round the other way
    variance = rows[se] ** 2
    own = np.maximum(variance - rows["shared_sd"] ** 2, 0.1 * variance)
    rows = rows.assign(own=own, own_se=np.sqrt(own))
    pooled = pool(rows, rules, effect=delta, se="own_se", df="delta_df")
    return None if pooled is None else with_shared_error(pooled, rows, rules)


def adjusted_deltas(deltas: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """Add to Deltas what they are with tissue composition adjusted for, where available.

    The reference keeps its own effect: Delta moves by as much as the contrast's effect does, and
    its variance by the difference of the two variances.
    """
    keys = ["label", "target", "stripped", "draw"]
    if "effect_adjusted" not in effects:
        return deltas.assign(delta_adjusted=np.nan, delta_adjusted_se=np.nan)
    own = effects[[*keys, "effect", "se", "effect_adjusted", "se_adjusted"]]
    out = deltas.drop(columns=["effect", "se"], errors="ignore").merge(own, on=keys, how="left")
    variance = out["delta_se"] ** 2 - out["se"] ** 2 + out["se_adjusted"] ** 2
    variance = np.maximum(variance, out["se_adjusted"] ** 2)
    out["delta_adjusted"] = out["delta"] + out["effect_adjusted"] - out["effect"]
    out["delta_adjusted_se"] = np.sqrt(variance)
    return out


def estimate(
    pooled: Pooled | None, target: str, padj: float = float("nan"), source: str = ""
) -> Estimate | None:
    """Return a target's pooled effect as the rules see it; ``None`` where it has none."""
    if pooled is None or target not in pooled.table.index:
        return None
    row = pooled.table.loc[target]
    return Estimate(
        k=int(row["k"]),
        effect=float(row["effect"]),
        ci=(float(row["ci_low"]), float(row["ci_high"])),
        ci90=(float(row["ci90_low"]), float(row["ci90_high"])),
        padj=padj,
        prob_direction=float(row["prob_direction"]),
        n=int(row["n_contrasts"]),
        source=source,
    )


def in_conflict(pooled: Pooled, target: str, alpha: float) -> bool:
    """Whether a quarter or more of the clusters move significantly against others that do.

    t intervals per cluster at alpha / k, so that chance alone rarely makes a conflict; normal ones
    where a cluster's degrees of freedom are not known.
    """
    ratio = (pooled.effect.loc[target] / pooled.se.loc[target]).dropna()
    if len(ratio) < 2:
        return False
    free = pooled.df.loc[target, ratio.index].fillna(np.inf)
    bound = distributions.t_quantile(1 - alpha / len(ratio) / 2, free)
    up, down = int((ratio > bound).sum()), int((ratio < -bound).sum())
    return min(up, down) >= max(1, len(ratio) / 4)


MIN_SETS = 20  # matched random sets, below which nothing is said of a share of 5 %


def random_effects(sets: pd.DataFrame, columns: tuple[str, str], rules: Rules) -> Floats:
    """Return the pooled effects of one target's matched random sets, log2 units.

    ``sets``: rows of these sets; ``columns``: effect and its error. Empty where they are too few.
    """
    sets = sets[np.isfinite(sets[columns[0]]) & (sets[columns[1]] > 0)]
    if sets.empty or sets["draw"].nunique() < MIN_SETS:
        return np.empty(0)
    y, s, _ = clusters_of(sets, rules.rho, columns[0], columns[1], "df", "draw")
    prior = moderated_pooling.learn(y, s) or moderated_pooling.ALONE
    found = moderated_pooling.pool(y, s, prior=prior)["effect"]
    return np.asarray(found, dtype=float)


Drawn = Callable[[str, str, str], Floats]
"""Context, number (``effect`` or ``delta``) and target → :func:`random_effects` of its sets."""


def drawn(sets: Mapping[tuple[str, str], pd.DataFrame], rules: Rules) -> Drawn:
    """Return a function that pools each target's matched random sets once.

    Several tests ask about one target in one context. ``sets``: by context and number.
    """
    errors = {"effect": "se", "delta": "delta_se"}

    @cache
    def places(context: str, number: str) -> Mapping[Any, Any]:
        found: Mapping[Any, Any] = sets[context, number].groupby("target").indices
        return found

    @cache
    def effects(context: str, number: str, target: str) -> Floats:
        rows = sets[context, number]
        if rows.empty:
            return np.empty(0)
        own = rows.iloc[places(context, number).get(target, [])]
        return random_effects(own, (number, errors[number]), rules)

    return effects


def share_as_far(sizes: Floats, pooled: Pooled | None, target: str, expected: str) -> float:
    """Return the share of random sets, by :func:`forward`, that go as far as a target does."""
    if not len(sizes) or pooled is None or target not in pooled.table.index:
        return float("nan")
    own = forward(np.array([float(pooled.table.loc[target, "effect"])]), expected)
    return float(((sizes >= own).sum() + 1) / (len(sizes) + 1))


def forward(effects: Floats, expected: str) -> Floats:
    """Return how far effects go in the expected direction, log2 units."""
    sign = EXPECTED[expected]
    return np.asarray(sign * effects if sign in (1, -1) else np.abs(effects), dtype=float)


LOCATIONS = ["effect", "reml_effect", "reml_ci_low", "reml_ci_high"]
LOCATIONS += ["pi_low", "pi_high", "loo_low", "loo_high"]


def moved(pooled: Pooled | None, target: str, by: float, rules: Rules) -> Pooled | None:
    """Return what one target's numbers would be if every study's effect were larger by ``by``.

    The errors of an effect of 0 stay, and what other targets learn from this one; intervals are
    those of the effect that results.
    """
    if pooled is None or target not in pooled.table.index:
        return None
    row = [target]
    effect, se, df = (part.loc[row] for part in (pooled.effect + by, pooled.se, pooled.df))
    table = pooled.table.loc[row].copy()
    columns = table.columns.intersection(LOCATIONS)
    table[columns] += by
    _read_anew(table, rules)
    error, free = table["reml_se"], table["k"] - 1
    table["reml_pvalue"] = distributions.t_pvalue(table["reml_effect"] / error, free)
    margin = margins(row, pooling(rules))
    level, scale = 1 - rules.alpha, rules.tau_scale
    posterior = bayes.random_effects(effect, se, df, scale=scale, margin=margin, level=level)
    table[posterior.columns] = posterior
    return Pooled(table, effect, se, df, {target: pooled.studies[target]})
