"""Every rule of the verdict, and the effect that the whole rule finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from alsmuscle.synthesis import verdicts
from alsmuscle.synthesis.verdicts import UNCHANGED, Estimate, Evidence, Part, Rules

RULES = Rules(
    alpha=0.05,
    block_margin=0.2,
    gene_margin=0.5,
    min_studies=3,
    min_direct=2,
    power=0.8,
    random_share=0.05,
    rho=0.8,
    tau_scale=0.35,
    small_share=1 / 3,
    kept_share=0.7,
)
SUPPORTED, SUGGESTED, CONTRADICTED = "supported", "suggested", "contradicted"
SMALLER, MIXED, EXPLAINED = "smaller than the margin", "mixed", "explained by denervation"
DENERVATION = "changed, but denervation could explain it"
COMPOSITION = "changed, but tissue composition could explain it"
NOT_ENOUGH = "not enough data"


def estimate(
    effect: float, half: float, k: int = 5, padj: float | None = None, **more: Any
) -> Estimate:
    p = (0.001 if abs(effect) > half else 0.5) if padj is None else padj
    ends = (effect - half, effect + half), (effect - 0.8 * half, effect + 0.8 * half)
    return Estimate(k, effect, *ends, p, **({"n": k} | more))


def ref(effect: float, half: float, k: int = 5) -> Estimate:
    return estimate(effect, half, k, source="reference")


def direct(effect: float, half: float, k: int, n: int) -> Estimate:
    return estimate(effect, half, k, n=n, source="direct")


def evidence(**changed: Any) -> Evidence:
    base: dict[str, Any] = {
        "subject": "myofibre", "kind": "bulk_tissue", "question": "level",
        "denervation_sensitive": True, "content": False, "expected": 1, "margin": 0.2,
        "level": estimate(0.6, 0.2), "adjusted": estimate(0.5, 0.3), "delta": ref(0.5, 0.2),
        "delta_adjusted": ref(0.4, 0.3), "conflict": False, "random_share": float("nan"),
        "no_data": "no data: none", "no_delta": "no reference",
    }  # fmt: skip
    return Evidence(**(base | changed))


def decide(**changed: Any) -> verdicts.Decision:
    return verdicts.decide(evidence(**changed), RULES)


LOST = {"level": estimate(-0.6, 0.2), "adjusted": estimate(-0.5, 0.3)}
CULTURE = {"kind": "cultured_cells", "delta": None, "delta_adjusted": None, "adjusted": None}
BEYOND = {"question": "beyond_denervation"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        # a claim about the level, in muscle that can lose its nerve
        ({}, SUPPORTED),
        ({"delta": ref(0.02, 0.1)}, EXPLAINED),
        ({"delta": ref(0.02, 0.1, k=2)}, DENERVATION),
        ({"delta": ref(0.1, 0.4)}, DENERVATION),
        ({"delta": None}, DENERVATION),
        ({"delta": ref(-0.5, 0.2)}, MIXED),
        (LOST | {"delta": ref(-0.5, 0.2), "delta_adjusted": ref(-0.4, 0.2)}, CONTRADICTED),
        (LOST | {"delta": ref(0.1, 0.4)}, DENERVATION),
        (LOST | {"delta": ref(0.5, 0.2)}, MIXED),
        (LOST | {"delta": None}, DENERVATION),
        ({"level": estimate(0.1, 0.4), "delta": ref(0.1, 0.4)}, NOT_ENOUGH),
        ({"level": estimate(0.1, 0.4), "delta": ref(0.5, 0.2)}, NOT_ENOUGH),
        ({"level": estimate(0.0, 0.1), "delta": ref(0.0, 0.1)}, SMALLER),
        ({"level": estimate(0.0, 0.1), "delta": ref(0.5, 0.2)}, MIXED),
        ({"level": estimate(0.0, 0.1), "delta": None}, SMALLER),
        # a p-value that does not survive adjustment is no support
        ({"level": estimate(0.6, 0.5, padj=0.2)}, NOT_ENOUGH),
        ({"delta": estimate(0.5, 0.4, padj=0.2, source="reference")}, DENERVATION),
        # small, and on the claim's side: neither contradicted nor explained by denervation
        ({"level": estimate(0.15, 0.04), "delta": ref(0.0, 0.1)}, SMALLER),
        ({"level": estimate(0.15, 0.04)} | CULTURE, SMALLER),
        ({"level": estimate(0.15, 0.1)} | CULTURE, NOT_ENOUGH),
        ({"delta": ref(0.15, 0.04)}, DENERVATION),
        ({"delta": ref(0.3, 0.2)}, DENERVATION),
        ({"delta": ref(-0.3, 0.2)}, DENERVATION),
        ({"delta": ref(0.3, 0.1)}, SUPPORTED),
        # what may be left of a small effect is a third of it
        ({"level": estimate(0.3, 0.1), "delta": ref(0.0, 0.15)}, DENERVATION),
        ({"level": estimate(0.6, 0.1), "delta": ref(0.0, 0.15)}, EXPLAINED),
        # two direct contrasts with another neurogenic disease decide, one does not
        ({"delta": direct(0.5, 0.2, 2, 2), "delta_adjusted": direct(0.5, 0.2, 2, 2)}, SUPPORTED),
        ({"delta": direct(0.5, 0.2, 1, 2), "delta_adjusted": direct(0.5, 0.2, 1, 2)}, SUGGESTED),
        ({"delta": direct(0.5, 0.2, 1, 1)}, DENERVATION),
        # where denervation is no alternative, the level decides
        ({"denervation_sensitive": False, "delta": None}, SUPPORTED),
        (CULTURE, SUPPORTED),
        (CULTURE | {"level": estimate(-0.6, 0.2)}, CONTRADICTED),
        (CULTURE | {"level": estimate(-0.3, 0.2)}, NOT_ENOUGH),
        (CULTURE | {"level": estimate(0.0, 0.1)}, SMALLER),
        (CULTURE | {"level": estimate(-0.1, 0.25)}, NOT_ENOUGH),
        # directions
        ({"expected": -1}, CONTRADICTED),
        ({"expected": 0}, SUPPORTED),
        (
            LOST | {"expected": 0, "delta": ref(-0.5, 0.2), "delta_adjusted": ref(-0.4, 0.2)},
            SUPPORTED,
        ),
        ({"expected": UNCHANGED, "level": estimate(0.0, 0.1)}, SUPPORTED),
        ({"expected": UNCHANGED}, CONTRADICTED),
        ({"expected": UNCHANGED, "level": estimate(0.3, 0.2)}, NOT_ENOUGH),
        # a claim about what goes beyond denervation
        (BEYOND | {"level": estimate(0.0, 0.1)}, SUPPORTED),
        (BEYOND | {"delta": ref(-0.5, 0.2), "delta_adjusted": ref(-0.4, 0.2)}, CONTRADICTED),
        (BEYOND | {"delta": ref(0.0, 0.1)}, EXPLAINED),
        (BEYOND | {"delta": ref(0.1, 0.4)}, DENERVATION),
        (BEYOND | {"delta": None}, DENERVATION),
        (BEYOND | {"level": estimate(0.0, 0.1), "delta": ref(0.0, 0.1)}, SMALLER),
        (BEYOND | {"level": estimate(0.1, 0.4), "delta": None}, NOT_ENOUGH),
        (BEYOND | CULTURE, SUPPORTED),
        # tissue composition
        ({"adjusted": estimate(0.2, 0.3)}, COMPOSITION),
        ({"adjusted": estimate(-0.5, 0.3)}, COMPOSITION),
        # beyond 0, but a third of 0.6 is taken away
        ({"adjusted": estimate(0.4, 0.1)}, COMPOSITION),
        ({"adjusted": estimate(0.43, 0.1)}, SUPPORTED),
        ({"adjusted": None}, COMPOSITION),
        ({"delta_adjusted": ref(0.2, 0.3)}, COMPOSITION),
        ({"delta_adjusted": None}, COMPOSITION),
        ({"content": True, "adjusted": None, "delta_adjusted": None}, SUPPORTED),
        ({"kind": "single_nucleus", "adjusted": None, "delta_adjusted": None}, SUPPORTED),
        (BEYOND | {"adjusted": None}, SUPPORTED),
        # estimated proportions, where as many studies have them as a verdict needs
        ({"proportions": estimate(0.5, 0.3, k=3)}, SUPPORTED),
        ({"proportions": estimate(0.2, 0.3, k=3)}, COMPOSITION),
        ({"proportions": estimate(-0.5, 0.3, k=3)}, COMPOSITION),
        ({"proportions": estimate(0.2, 0.1, k=3)}, SUPPORTED),
        ({"proportions": estimate(0.2, 0.3, k=2)}, SUPPORTED),
        ({"proportions": estimate(-0.5, 0.3, k=2)}, SUPPORTED),
        ({"expected": -1, "proportions": estimate(0.2, 0.3)}, COMPOSITION),
        ({"content": True, "proportions": estimate(0.2, 0.3)}, SUPPORTED),
        ({"kind": "single_nucleus", "proportions": estimate(0.2, 0.3)}, SUPPORTED),
        (BEYOND | {"proportions": estimate(0.2, 0.3)}, SUPPORTED),
        ({"expected": -1, "adjusted": estimate(0.1, 0.3)}, COMPOSITION),
        # few studies, disagreement, random sets
        ({"level": None}, NOT_ENOUGH),
        ({"level": estimate(0.6, 0.2, k=1)}, SUGGESTED),
        ({"level": estimate(0.6, 0.2, k=2)}, SUGGESTED),
        ({"level": estimate(0.6, 0.2, k=2, prob_direction=0.96)}, NOT_ENOUGH),
        ({"level": estimate(0.6, 0.2, k=2, prob_direction=0.99)}, SUGGESTED),
        ({"delta": ref(0.5, 0.2, k=1)}, SUGGESTED),
        ({"adjusted": estimate(0.5, 0.3, k=2)}, SUGGESTED),
        (CULTURE | {"level": estimate(-0.6, 0.2, k=1)}, NOT_ENOUGH),
        ({"conflict": True}, MIXED),
        ({"random_share": 0.3}, NOT_ENOUGH),
        ({"random_share": 0.01}, SUPPORTED),
    ],
)  # fmt: skip
def test_verdict(changed: dict[str, Any], expected: str) -> None:
    found = decide(**changed)
    assert found.verdict == expected, found.reason
    assert found.reason


def test_a_verdict_is_as_strong_as_its_weakest_part() -> None:
    assert decide().grade == "pooled"
    found = decide(delta=ref(0.5, 0.2, k=1))
    assert (found.verdict, found.grade) == (SUGGESTED, "one study")
    assert found.reason.startswith("one independent study: ")
    two = decide(adjusted=estimate(0.5, 0.3, k=2))
    assert two.grade == "two studies" and two.reason.startswith("2 independent studies: ")


def test_a_claim_about_cell_content_says_so() -> None:
    found = decide(content=True, adjusted=None, delta_adjusted=None)
    assert "judged on the raw effect" in found.reason
    assert "composition" in decide(adjusted=estimate(0.1, 0.3)).reason


def test_the_second_adjustment_is_named_where_it_decides() -> None:
    name = "effect adjusted by estimated proportions"
    assert f"; {name} +0.20 (-0.10 to +0.50)" in decide(proportions=estimate(0.2, 0.3)).reason
    assert f"; {name} +0.50 (+0.20 to +0.80)" in decide(proportions=estimate(0.5, 0.3)).reason
    assert name not in decide(proportions=estimate(0.2, 0.3, k=2)).reason
    # What the markers say comes first, and suffices.
    both = decide(adjusted=estimate(0.1, 0.3), proportions=estimate(0.2, 0.3))
    assert both.verdict == COMPOSITION and name not in both.reason
    # Denervation is the verdict already: composition is not excluded either.
    lacking = decide(delta=None, proportions=estimate(0.2, 0.3))
    assert lacking.verdict == DENERVATION
    assert f"nor is tissue composition excluded: {name}" in lacking.reason


def test_bulk_tissue_never_decides_a_satellite_cell_claim() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        k = int(rng.integers(1, 20))
        found = decide(
            subject="satellite_cell",
            question=str(rng.choice(["level", "beyond_denervation"])),
            denervation_sensitive=bool(rng.integers(2)),
            expected=int(rng.integers(-1, 3)),
            level=estimate(rng.normal(0, 1), rng.uniform(0, 1), k),
            delta=direct(rng.normal(0, 1), rng.uniform(0, 1), k, k),
            conflict=bool(rng.integers(2)),
        )
        assert found.verdict == NOT_ENOUGH and "satellite" in found.reason
    assert decide(subject="satellite_cell", **CULTURE).verdict == SUPPORTED


def test_support_and_contradiction_hold_what_they_promise() -> None:
    rng = np.random.default_rng(1)
    seen = set()

    def some(**more: Any) -> Estimate:
        return estimate(rng.normal(0, 0.5), rng.uniform(0, 0.6), int(rng.integers(1, 6)), **more)

    for _ in range(6000):
        e = evidence(
            question=str(rng.choice(["level", "beyond_denervation"])),
            expected=int(rng.choice([-1, 1])),
            level=some(),
            adjusted=some(),
            delta=some(source="reference"),
            delta_adjusted=some(source="reference"),
        )
        found = verdicts.decide(e, RULES)
        seen.add(found.verdict)
        assert e.level and e.delta and e.adjusted and e.delta_adjusted
        deciding = e.level if e.question == "level" else e.delta
        if found.verdict in (SUPPORTED, SUGGESTED):
            assert e.delta.effect * e.expected >= e.margin
            assert min(abs(x) for x in e.delta.ci90) >= e.margin
            assert min(x * e.expected for x in e.delta_adjusted.ci) > 0
            parts = [e.delta, e.delta_adjusted]
            if e.question == "level":
                assert min(x * e.expected for x in e.level.ci) > 0
                assert min(x * e.expected for x in e.adjusted.ci) > 0
                parts += [e.level, e.adjusted]
            assert (found.verdict == SUPPORTED) == (min(part.k for part in parts) >= 3)
        if found.verdict == CONTRADICTED:
            assert max(x * e.expected for x in deciding.ci) < -e.margin and deciding.k >= 3
        if found.verdict == SMALLER:
            assert max(abs(x) for x in deciding.ci90) < e.margin
        if found.verdict == EXPLAINED:
            low, high = e.delta.ci90
            assert low <= 0 <= high and max(-low, high) < abs(e.level.effect) / 3
    assert seen == set(verdicts.VERDICTS)


def test_the_detectable_effect_is_found_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    n = 20_000
    df, own, se, margin = 7.0, 2.0, 0.2, 0.2
    parts = [
        Part(se, df, own, 0.01, margin),
        Part(0.3, df, own, 0.02, -np.inf, margin),
        Part(0.25, df, own, 0.05, -np.inf),
    ]
    size = verdicts.detectable_effect(parts, power=0.8)
    from scipy.stats import t

    base = rng.normal(0, se, n)
    passed = np.ones(n, dtype=bool)
    for number, part in enumerate(parts):
        noise = np.sqrt(part.se**2 - se**2) * rng.normal(size=n) if number else 0.0
        found = size + base + noise
        error = part.se * np.sqrt((rng.chisquare(own, n) + df - own) / df)
        passed &= found / error > t.ppf(1 - part.pvalue / 2, df)
        passed &= found >= part.least
        if np.isfinite(part.beyond):
            passed &= found - t.ppf(0.95, df) * error >= part.beyond
    assert passed.mean() == pytest.approx(0.8, abs=0.02)
    assert np.isnan(verdicts.detectable_effect([], power=0.8))
    assert verdicts.detectable_effect(parts, power=0.9) > size


def test_the_detectable_effect_knows_that_large_effects_scatter_more() -> None:
    from scipy.stats import t

    rng = np.random.default_rng(5)
    n, df, se, grows, margin = 40_000, 60.0, 0.2, 0.05, 0.3
    part = Part(se, df, df, 0.01, -np.inf, margin, grows=grows)
    size = verdicts.detectable_effect([part], power=0.8)
    found = size + np.sqrt(se**2 + grows * size**2) * rng.normal(size=n)
    scale = np.sqrt(rng.chisquare(df, n) / df)
    passed = found > t.ppf(0.995, df) * se * scale
    # the lower end is at the margin where the margin itself is just not rejected
    passed &= found - margin > t.ppf(0.95, df) * scale * np.sqrt(se**2 + grows * margin**2)
    assert passed.mean() == pytest.approx(0.8, abs=0.01)
    assert size > verdicts.detectable_effect([part._replace(grows=0.0)], power=0.8) + 0.01


def test_the_detectable_effect_keeps_its_size_under_adjustment() -> None:
    rng = np.random.default_rng(4)
    n, df, kept = 40_000, 200.0, 0.7
    parts = [
        Part(0.1, df, df, 0.05, 0.2),
        Part(0.15, df, df, 0.05, -np.inf, 0.2),
        Part(0.4, df, df, 0.05, -np.inf, kept=kept, of=1),
        Part(0.35, df, df, 0.05, -np.inf, kept=kept),
    ]
    size = verdicts.detectable_effect(parts, power=0.8)
    # the effect, Delta and both adjusted: what the adjustment adds is one noise
    level = size + rng.normal(0, 0.1, n)
    delta = level + rng.normal(0, np.sqrt(0.15**2 - 0.1**2), n)
    noise = rng.normal(size=n)
    adjusted = level + np.sqrt(0.35**2 - 0.1**2) * noise
    rest = delta + np.sqrt(0.4**2 - 0.15**2) * noise
    passed = (adjusted > 1.97 * 0.35) & (rest > 1.97 * 0.4) & (level > 0.2)
    passed &= (adjusted >= kept * level) & (rest >= kept * delta) & (delta > 0.2 + 1.65 * 0.15)
    assert passed.mean() == pytest.approx(0.8, abs=0.02)
    free = [part._replace(kept=1e-9) if part.kept > 0 else part for part in parts]
    assert size > verdicts.detectable_effect(free, power=0.8) + 0.02
