"""The rules of verdicts, fixed before any ALS data is seen.

One test of a claim in one context gets one verdict, a grade and a reason in words. A verdict is as
strong as its weakest part: the effect itself, what is left of it beyond denervation, and what is
left of it once tissue composition is adjusted for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from alsmuscle.core.types import Floats
from alsmuscle.stats import distributions

SUPPORTED = "supported"
SUGGESTED = "suggested"
CONTRADICTED = "contradicted"
SMALLER = "smaller than the margin"
MIXED = "mixed"
EXPLAINED = "explained by denervation"
DENERVATION = "changed, but denervation could explain it"
COMPOSITION = "changed, but tissue composition could explain it"
NOT_ENOUGH = "not enough data"
VERDICTS = (
    *(SUPPORTED, SUGGESTED, CONTRADICTED, SMALLER, MIXED),
    *(EXPLAINED, DENERVATION, COMPOSITION, NOT_ENOUGH),
)

# Cells that grew without a nerve: denervation is no alternative explanation there.
NERVE_FREE = {"cultured_cells"}
UNCHANGED = 2
EXPECTED = {"up": 1, "down": -1, "changed": 0, "unchanged": UNCHANGED}
LEVEL, BEYOND = "level", "beyond_denervation"
REFERENCE, DIRECT = "reference", "direct"


class Rules(NamedTuple):
    """``synthesis.rules`` of the configuration.

    ``alpha``: level of adjusted p-values and of intervals. ``block_margin``, ``gene_margin``:
    effects smaller than this (log2 units) count as none, for blocks and for genes and ratios.
    ``min_studies``: independent clusters behind "supported". ``min_direct``: direct contrasts with
    another neurogenic disease before they decide. ``power``: of the smallest detectable effect.
    ``random_share``: the largest share of matched random sets that may move as far. ``rho``:
    assumed correlation within clusters. ``tau_scale``: of the half-normal prior on the standard
    deviation between studies. ``small_share``: of the effect, what may be left beyond denervation.
    ``kept_share``: of an effect, what the adjustment for composition has to leave.
    """

    alpha: float
    block_margin: float
    gene_margin: float
    min_studies: int
    min_direct: int
    power: float
    random_share: float
    rho: float
    tau_scale: float
    small_share: float
    kept_share: float


class Estimate(NamedTuple):
    """A pooled effect as the rules see it: 95 % and 90 % intervals, log2 units.

    ``k``: independent clusters; ``n``: contrasts; ``prob_direction``: Bayesian, missing for one
    study; ``source``: of a Delta, :data:`REFERENCE` or :data:`DIRECT`.
    """

    k: int
    effect: float
    ci: tuple[float, float]
    ci90: tuple[float, float]
    padj: float
    prob_direction: float = float("nan")
    n: int = 0
    source: str = ""


class Called(NamedTuple):
    """What lists of called genes say of a block: the list that speaks, in the genes' direction.

    ``lists``: contrasts that are lists; ``studies``: independent ones; ``measured``: genes of the
    block on the platform; ``up, down``: called; ``padj_up, padj_down``: exact tests, adjusted.
    """

    lists: tuple[str, ...]
    studies: int
    measured: int
    up: int
    down: int
    padj_up: float
    padj_down: float


class Evidence(NamedTuple):
    """All that a verdict may depend on.

    ``expected``: 1, -1, 0 for any change, or :data:`UNCHANGED`. ``content``: the test is about how
    much of a cell type there is. ``adjusted``, ``delta_adjusted``: effect and Delta with tissue
    composition adjusted for, by marker scores; ``proportions``: effect adjusted by estimated
    proportions, where a reference of nuclei takes part. ``conflict``: a quarter or more of the
    clusters move significantly against the rest. ``random_share``: share of matched random sets
    that move as far, missing where none were run. ``no_data``, ``no_delta``: why there is nothing.
    """

    subject: str
    kind: str
    question: str
    denervation_sensitive: bool
    content: bool
    expected: int
    margin: float
    level: Estimate | None
    adjusted: Estimate | None
    delta: Estimate | None
    delta_adjusted: Estimate | None
    conflict: bool
    random_share: float
    no_data: str
    no_delta: str
    called: Called | None = None
    proportions: Estimate | None = None


class Decision(NamedTuple):
    """A verdict of :data:`VERDICTS`, the reason in words, and the number of studies it rests on.

    ``grade``: ``pooled``, ``two studies``, ``one study``, ``called genes`` (a list), or empty where
    nothing is said.
    """

    verdict: str
    reason: str
    grade: str


class _Finding(NamedTuple):
    """What effect and Delta say, before composition, random sets and the number of studies.

    ``parts``: the estimates on which it rests, each with the number of studies that it needs.
    """

    verdict: str
    reason: str
    parts: tuple[tuple[Estimate, int], ...] = ()


def decide(evidence: Evidence, rules: Rules) -> Decision:
    """Apply the pre-set rules to one test in one context.

    Notes
    -----
    In order: (1) bulk tissue never decides a satellite-cell claim; (2) significant effects in both
    directions are mixed; where no effect can be pooled, lists of called genes may suggest; (3) a
    claim about the level needs a significant effect of at least the margin, and, unless the cells
    never had a nerve or the claim is about denervation itself, a Delta of the same direction whose
    90 % interval lies beyond the margin; (4) a claim about what goes beyond denervation is decided
    by Delta alone; (5) only an interval beyond the margin on the other side contradicts, one within
    it is smaller than the margin; (6) Delta's 90 % interval around 0, within the margin and a third
    of the effect, is explained by denervation; (7) in bulk tissue, support and contradiction need
    the composition-adjusted effect to keep its sign with an interval beyond 0, and ``kept_share``
    of its size, and the effect adjusted by estimated proportions, where ``min_studies`` have one,
    to keep its sign likewise, unless the claim is about the amount of a cell type; (8) support
    also needs matched random sets to move less; (9) fewer than ``min_studies`` independent studies
    behind any part suggest, and do not support.
    """
    e = evidence
    if e.subject == "satellite_cell" and e.kind == "bulk_tissue":
        why = (
            "bulk tissue cannot decide a claim about satellite cells: their transcripts also come "
            "from myonuclei, induced by denervation"
        )
        return Decision(NOT_ENOUGH, why, "")
    if e.level is None or e.level.k == 0:
        return _judge_called(e, rules) or Decision(NOT_ENOUGH, e.no_data, "")
    if e.conflict:
        said = f"studies move significantly in both directions; {_say(e.level)}"
        return Decision(MIXED, said, _grade([e.level.k]))
    found = _judge(e, rules)
    verdict, reason = found.verdict, found.reason
    if verdict in (SUPPORTED, CONTRADICTED, DENERVATION):
        kept, why = _composition(e, rules)
        if not kept and verdict == DENERVATION:
            reason = f"{reason}; nor is tissue composition excluded: {why}"
        elif not kept:
            verdict, reason = COMPOSITION, f"{reason}; {why}"
        elif why and verdict != DENERVATION:
            reason = f"{reason}; {why}"
    if verdict == SUPPORTED and e.random_share > rules.random_share:
        verdict = NOT_ENOUGH
        reason = (
            f"{e.random_share:.0%} of random gene sets of equal size and expression move as far; "
            + reason
        )
    parts = [*found.parts, *_adjusted_parts(e, rules)] if verdict == SUPPORTED else found.parts
    fewest = min((part.k for part, _ in parts), default=e.level.k)
    short = any(part.k < needed for part, needed in parts)
    if short and verdict == SUPPORTED:
        return Decision(SUGGESTED, f"{_studies(fewest)}: {reason}", _grade([fewest]))
    if short and verdict == CONTRADICTED:
        why = f"{_studies(fewest)}, fewer than a contradiction needs: {reason}"
        return Decision(NOT_ENOUGH, why, _grade([fewest]))
    return Decision(verdict, reason, "pooled" if not short else _grade([fewest]))


CALLED = "called genes"


def _judge_called(e: Evidence, rules: Rules) -> Decision | None:
    """Say what a list of called genes suggests where no effect is available; ``None`` for nothing.

    A list answers only whether more of a block's genes were called in one direction than chance
    would call. It knows no size, nothing of what is beyond denervation, and nothing of composition,
    except that a loss of fibres cannot raise what fibres express.
    """
    c = e.called
    if c is None or e.question != LEVEL or e.content or e.expected == UNCHANGED:
        return None
    sure = {1: c.padj_up < rules.alpha, -1: c.padj_down < rules.alpha}
    said = (
        f"no pooled effect, but by the list of called genes of {_studies(c.studies)} "
        f"({', '.join(c.lists)}) {c.up} of {c.measured} measured genes are called up "
        f"(padj {c.padj_up:.2g}) and {c.down} down (padj {c.padj_down:.2g})"
    )
    if sure[1] == sure[-1]:
        return Decision(MIXED, f"{said}: both directions", CALLED) if sure[1] else None
    move = 1 if sure[1] else -1
    if not _fits(move, e.expected):
        why = f"{said}: against the expected direction, which a list alone does not decide"
        return Decision(NOT_ENOUGH, why, CALLED)
    if e.denervation_sensitive and e.kind not in NERVE_FREE:
        why = f"{said}; a list says nothing of what is beyond denervation"
        return Decision(DENERVATION, why, CALLED)
    if e.kind == "bulk_tissue" and not (e.subject == "myofibre" and move > 0):
        return Decision(COMPOSITION, f"{said}; a list cannot be adjusted for composition", CALLED)
    if e.kind == "bulk_tissue":
        said += "; a loss of fibres does not raise what fibres express"
    return Decision(SUGGESTED, said, CALLED)


def _judge(e: Evidence, rules: Rules) -> _Finding:
    assert e.level is not None  # decide() has returned otherwise
    nerve_free = e.kind in NERVE_FREE
    own = (e.level, rules.min_studies)
    if e.expected == UNCHANGED:
        return _judge_absence(e, e.level, rules)
    move, level = _direction(e.level, e.margin, rules), _say(e.level)
    if nerve_free or (e.question == LEVEL and not e.denervation_sensitive):
        why = (
            "cells in culture have no nerve to lose"
            if nerve_free
            else "denervation is not an alternative to this claim"
        )
        if _fits(move, e.expected):
            return _Finding(SUPPORTED, f"{level}, as expected; {why}", (own,))
        return _not_as_expected(e, e.level, level, rules)
    delta = e.delta
    if delta is None or not _usable(delta, rules):
        lacking = (
            e.no_delta
            if delta is None
            else f"{_say_delta(delta)}: fewer than {rules.min_direct} direct contrasts"
        )
        if move:
            against = "" if _fits(move, e.expected) else ", against the expected direction"
            return _Finding(DENERVATION, f"{level}{against}; {lacking}", (own,))
        if e.question == BEYOND:
            return _Finding(NOT_ENOUGH, f"{level}; {lacking}", (own,))
        return _not_as_expected(e, e.level, level, rules)
    needed = rules.min_direct if delta.source == DIRECT else rules.min_studies
    parts = (own, (delta, needed))
    moves = move, _beyond(delta, e.margin, rules)
    if e.question == BEYOND:
        said = f"{_say_delta(delta)}; {level}"
        return _judge_beyond(e, delta, moves, said, rules)._replace(parts=(parts[1],))
    return _judge_level(e, delta, moves, f"{level}; {_say_delta(delta)}", rules)._replace(
        parts=parts
    )


def _judge_absence(e: Evidence, level: Estimate, rules: Rules) -> _Finding:
    said, own = _say(level), ((level, rules.min_studies),)
    if _inside(level.ci90, e.margin):
        return _Finding(SUPPORTED, f"{said}: within ±{e.margin:g}, as expected", own)
    if _surely(level, e.margin, rules):
        return _Finding(CONTRADICTED, f"{said}: it moves by more than {e.margin:g}", own)
    return _Finding(NOT_ENOUGH, f"{said}: too uncertain to say that nothing moves", own)


def _judge_beyond(
    e: Evidence, delta: Estimate, moves: tuple[int, int], said: str, rules: Rules
) -> _Finding:
    move, beyond = moves
    if _fits(beyond, e.expected):
        return _Finding(SUPPORTED, f"{said}: more than {_explains(delta)}")
    if _against(delta, e, rules):
        return _Finding(CONTRADICTED, f"{said}: against the expected direction")
    if move and _explained(e, delta, rules):
        return _Finding(EXPLAINED, f"{said}: the rest is next to nothing")
    if _inside(delta.ci90, e.margin):
        return _Finding(SMALLER, f"{said}: the rest lies within ±{e.margin:g}")
    return _Finding(DENERVATION if move else NOT_ENOUGH, said)


def _judge_level(
    e: Evidence, delta: Estimate, moves: tuple[int, int], said: str, rules: Rules
) -> _Finding:
    assert e.level is not None
    move, beyond = moves
    if _fits(move, e.expected):
        if beyond == move:
            return _Finding(SUPPORTED, f"{said}: more than {_explains(delta)}")
        if beyond:
            return _Finding(
                MIXED, f"{said}: it moves as expected, but less than denervation would move it"
            )
        if _explained(e, delta, rules):
            return _Finding(EXPLAINED, f"{said}: the rest is next to nothing")
        return _Finding(DENERVATION, f"{said}: the rest may be nothing or large")
    if move:
        said = f"{said}: against the expected direction"
        if _fits(beyond, e.expected):
            return _Finding(MIXED, f"{said}, but less than denervation alone")
        if _against(e.level, e, rules) and _excluded(delta, e.expected, e.margin):
            return _Finding(CONTRADICTED, f"{said}, and so is the rest")
        if _explained(e, delta, rules):
            return _Finding(EXPLAINED, f"{said}; the rest is next to nothing")
        return _Finding(DENERVATION, f"{said}, but denervation may hide an opposite change")
    if _fits(beyond, e.expected) and _inside(e.level.ci90, e.margin):
        return _Finding(MIXED, f"{said}: no difference from controls, but one from denervation")
    return _not_as_expected(e, e.level, said, rules)


def _not_as_expected(e: Evidence, estimate: Estimate, said: str, rules: Rules) -> _Finding:
    """A level that does not move as expected: against it, too small to count, or uncertain."""
    own = ((estimate, rules.min_studies),)
    if _against(estimate, e, rules):
        return _Finding(CONTRADICTED, f"{said}, against the expected direction", own)
    if _inside(estimate.ci90, e.margin):
        return _Finding(SMALLER, f"{said}: within the ±{e.margin:g} that counts as none", own)
    if _excluded(estimate, e.expected, e.margin):
        why = f"{e.margin:g} or more in the expected direction is ruled out, the opposite is not"
        return _Finding(NOT_ENOUGH, f"{said}: {why}", own)
    return _Finding(NOT_ENOUGH, f"{said}: too uncertain", own)


# --- composition -------------------------------------------------------------------------------


def _adjusted_parts(e: Evidence, rules: Rules) -> list[tuple[Estimate, int]]:
    """The adjusted estimates that a verdict on ``e`` rests on."""
    if not _needs_adjustment(e):
        return []
    found = [e.adjusted] if e.question == LEVEL else []
    if e.delta is not None and _uses_delta(e):
        found.append(e.delta_adjusted)
    return [(part, _needed(part, rules)) for part in found if part is not None]


def _needed(part: Estimate, rules: Rules) -> int:
    return rules.min_direct if part.source == DIRECT else rules.min_studies


def _needs_adjustment(e: Evidence) -> bool:
    return e.kind == "bulk_tissue" and not e.content and e.expected != UNCHANGED


def _uses_delta(e: Evidence) -> bool:
    return e.kind not in NERVE_FREE and (e.question == BEYOND or e.denervation_sensitive)


def _composition(e: Evidence, rules: Rules) -> tuple[bool, str]:
    """Say whether the finding survives the adjustment for tissue composition, and how.

    Its sign with an interval beyond 0, and most of its size: markers measure content with error, so
    that where the adjustment takes much away, what it leaves may be composition, too. Where enough
    studies have an effect adjusted by estimated proportions, it has to keep its sign as well.
    """
    if e.kind == "bulk_tissue" and e.content:
        return True, "about the amount of a cell type, so judged on the raw effect"
    if not _needs_adjustment(e):
        return True, ""
    asked = []
    if e.question == LEVEL:
        asked.append(("effect", e.level, e.adjusted))
    if e.delta is not None and _uses_delta(e):
        asked.append(("rest beyond denervation", e.delta, e.delta_adjusted))
    said = []
    for name, raw, adjusted in asked:
        if raw is None:
            continue
        if adjusted is None:
            return False, f"no {name} adjusted for tissue composition is available"
        shown = f"{name} adjusted for composition {_span(adjusted)}"
        if not _kept_sign(raw, adjusted):
            return False, shown
        if adjusted.effect / raw.effect < rules.kept_share:
            return False, f"{shown}, less than {rules.kept_share:.0%} of it"
        said.append(shown)
    second = e.proportions
    if e.question == LEVEL and e.level is not None and second and counts_too(second, rules):
        shown = f"effect adjusted by estimated proportions {_span(second)}"
        if not _kept_sign(e.level, second):
            return False, shown
        said.append(shown)
    return True, "; ".join(said)


def counts_too(second: Estimate | None, rules: Rules) -> bool:
    """Whether an effect adjusted by proportions rests on as many studies as a verdict needs.

    With fewer it is shown and decides nothing: whether a reference of nuclei takes part is no
    reason to ask more of a study.
    """
    return second is not None and second.k >= _needed(second, rules)


def _kept_sign(raw: Estimate, adjusted: Estimate) -> bool:
    low, high = adjusted.ci
    return low > 0 if raw.effect > 0 else high < 0


def _span(estimate: Estimate) -> str:
    low, high = estimate.ci
    return f"{estimate.effect:+.2f} ({low:+.2f} to {high:+.2f})"


# --- estimates ---------------------------------------------------------------------------------


def _direction(estimate: Estimate, margin: float, rules: Rules) -> int:
    """Say where an effect goes: 0 where it is not significant, or too small to count."""
    if not _significant(estimate, rules) or abs(estimate.effect) < margin:
        return 0
    return 1 if estimate.ci[0] > 0 else -1


def _significant(estimate: Estimate, rules: Rules) -> bool:
    low, high = estimate.ci
    if not estimate.padj < rules.alpha or low <= 0 <= high:
        return False
    # two studies: their spread is hardly known, so the prior on it has to agree
    return estimate.k != 2 or not estimate.prob_direction <= 1 - rules.alpha / 2


def _surely(estimate: Estimate, margin: float, rules: Rules) -> int:
    """Say on which side the 95 % interval lies beyond the margin; 0 where on none."""
    low, high = estimate.ci
    if not _significant(estimate, rules):
        return 0
    return 1 if low > margin else (-1 if high < -margin else 0)


def _against(estimate: Estimate, e: Evidence, rules: Rules) -> bool:
    return e.expected in (1, -1) and _surely(estimate, e.margin, rules) == -e.expected


def _beyond(delta: Estimate, margin: float, rules: Rules) -> int:
    """Say where Delta goes: 0 where its 90 % interval leaves room for less than the margin.

    The reverse of an equivalence test: a one-sided minimum-effect test (Murphy and Myors 1999, J
    Appl Psychol 84:234).
    """
    low, high = delta.ci90
    if not _significant(delta, rules) or (low < margin and high > -margin):
        return 0
    return 1 if low > 0 else -1


def _explained(e: Evidence, delta: Estimate, rules: Rules) -> bool:
    """Whether nothing to speak of is left:
    around 0, within the margin and a share of the effect.
    """
    assert e.level is not None
    if min(e.level.k, delta.k) < rules.min_studies:
        return False
    margin = min(e.margin, abs(e.level.effect) * rules.small_share)
    return delta.ci90[0] <= 0 <= delta.ci90[1] and _inside(delta.ci90, margin)


def _usable(delta: Estimate, rules: Rules) -> bool:
    return delta.k > 0 and (delta.source != DIRECT or delta.n >= rules.min_direct)


def _fits(move: int, expected: int) -> bool:
    return move != 0 and expected in (0, move)


def _inside(interval: tuple[float, float], margin: float) -> bool:
    return -margin < interval[0] and interval[1] < margin


def _excluded(estimate: Estimate, expected: int, margin: float) -> bool:
    """Whether the 95 % interval leaves no effect of ``margin`` in the expected direction."""
    low, high = estimate.ci
    up, down = high < margin, low > -margin
    return up and down if expected == 0 else (up if expected > 0 else down)


# --- words -------------------------------------------------------------------------------------


def _studies(k: int) -> str:
    return "one independent study" if k == 1 else f"{k} independent studies"


def _grade(counts: Sequence[int]) -> str:
    return {1: "one study", 2: "two studies"}.get(min(counts), "pooled")


def _say(estimate: Estimate) -> str:
    low, high = estimate.ci
    shown = f"effect {estimate.effect:+.2f} ({low:+.2f} to {high:+.2f}, k = {estimate.k}"
    return shown + (f", padj {estimate.padj:.2g})" if np.isfinite(estimate.padj) else ")")


def _say_delta(delta: Estimate) -> str:
    low, high = delta.ci
    source = (
        "direct contrasts with other neurogenic disease"
        if delta.source == DIRECT
        else "beyond the denervation reference"
    )
    return f"{source} {delta.effect:+.2f} ({low:+.2f} to {high:+.2f}, k = {delta.k})"


def _explains(delta: Estimate) -> str:
    return (
        "in other neurogenic disease"
        if delta.source == DIRECT
        else "this denervation reference explains"
    )


# --- what could have been found ----------------------------------------------------------------


class Part(NamedTuple):
    """One condition of a verdict, as a test on an estimate with this error.

    ``own_df``: the part of ``df`` that comes from the studies themselves, on which the error will
    scatter in another sample. ``pvalue``: what the p-value has to fall below, with the other tests
    as they are. ``least``: what the estimate itself has to reach. ``beyond``: what the lower end of
    the 90 % interval has to reach (missing: nothing), where the variance is larger by ``grows``
    times its square. ``kept``: of an estimate that is adjusted for
    composition, the share of the unadjusted one that it has to keep (missing: not adjusted).
    ``of``: number of the part that it adjusts, or else of the one whose error it contains.
    """

    se: float
    df: float
    own_df: float
    pvalue: float
    least: float
    beyond: float = float("nan")
    kept: float = float("nan")
    of: int = 0
    grows: float = 0.0


def detectable_effect(parts: Sequence[Part], *, power: float, n: int = 4000) -> float:
    """Smallest effect that passes every part of the rule with this power, by simulation.

    The first part is the effect itself; the errors of the others (Delta, adjusted effects) contain
    its error, since all come from the same samples: each is the error of the part it belongs to,
    plus noise of its own; what the adjustment adds is the same for the effect and for Delta.
    An estimate moves with the effect, and what it is tested with does not, so that every simulated
    sample has one smallest effect that passes; the result is their quantile. How far estimates
    scatter depends on the effect that is sought, which is therefore found in a few rounds.
    """
    if not parts or not all(part.se > 0 for part in parts):
        return float("nan")
    found = 0.0
    for _ in range(_ROUNDS if any(part.grows for part in parts) else 1):
        found = float(np.quantile(_needed_sizes(parts, found, n), power))
    return found


_ROUNDS = 4


def _needed_sizes(parts: Sequence[Part], size: float, n: int) -> Floats:
    """Return the smallest effect that passes in each of n samples, which scatter as at ``size``."""
    rng = np.random.default_rng(0)
    scatters = [np.sqrt(part.se**2 + part.grows * size**2) for part in parts]
    errors = [scatters[0] * rng.standard_normal(n)]
    adjusting = rng.standard_normal(n)
    needed = np.full(n, -np.inf)
    for number, part in enumerate(parts):
        base = errors[part.of]
        if number:
            extra = scatters[number] ** 2 - scatters[part.of] ** 2
            own = adjusting if np.isfinite(part.kept) else rng.standard_normal(n)
            # one that is more precise than its base shares what it can
            scaled = base * scatters[number] / scatters[part.of]
            errors.append(base + np.sqrt(extra) * own if extra > 0 else scaled)
        prior = part.df - part.own_df
        known = np.ones(n)
        if 0 < part.own_df < np.inf and np.isfinite(prior):
            drawn = rng.chisquare(part.own_df, n)
            known = np.sqrt((drawn + max(prior, 0)) / part.df)
        critical = float(distributions.t_quantile(1 - part.pvalue / 2, part.df))
        wanted = np.maximum(critical * part.se * known, part.least)
        if np.isfinite(part.beyond):
            ninety = float(distributions.t_quantile(0.95, part.df))
            there = known * np.sqrt(part.se**2 + part.grows * part.beyond**2)
            wanted = np.maximum(wanted, part.beyond + ninety * there)
        needed = np.maximum(needed, wanted - errors[number])
        if np.isfinite(part.kept):
            # size + error >= kept * (size + error of what it adjusts)
            kept = (part.kept * base - errors[number]) / (1 - part.kept)
            needed = np.maximum(needed, kept)
    return needed
