"""Claims: eligibility, every rule of the verdict, the claims file, changes, calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from alsmuscle.core.errors import InputError
from alsmuscle.synthesis import axis as denervation
from alsmuscle.synthesis import claims
from alsmuscle.synthesis.claims import Estimate, Evidence, Rules
from support import ROOT

RULES = Rules()


# --- contrasts ---------------------------------------------------------------------------------


def facts(**changed: Any) -> dict[str, Any]:
    base = {
        "dataset": "a1", "contrast": "c", "role": "als_patient", "species": "human", "stage": "",
        "muscle": "deltoid", "material": "biopsy", "modality": "bulk", "platform": "HiSeq",
        "n_target": 8, "n_reference": 7, "cluster": "", "confounded": "", "simulated": False,
        "published": False,
    }  # fmt: skip
    return base | changed


def table(*rows: dict[str, Any], **settings: Any) -> pd.DataFrame:
    return claims.contrast_table(pd.DataFrame(list(rows)), **settings)


def test_every_ineligible_contrast_states_its_reason() -> None:
    out = table(
        facts(dataset="good"),
        facts(dataset="few", n_reference=2),
        facts(dataset="batch", confounded="batch"),
        facts(dataset="fake", simulated=True),
        facts(dataset="brain", role="not_muscle"),
        facts(dataset="paper", published=True),
        facts(dataset="broken", problem="file hash differs"),
        facts(dataset="both", confounded="batch", n_target=1),
        facts(dataset="older", doubts="ages apart: mean age 60 and 30."),
    ).set_index("dataset")
    assert out.loc["older", "reason"] == "ages apart: mean age 60 and 30."
    assert out.index[out["eligible"]].tolist() == ["good", "paper"]
    assert (out["reason"] == "").equals(out["eligible"])
    assert out.loc["few", "reason"] == "8 v 2 donors, fewer than 3 a side"
    assert "cannot be told from batch" in out.loc["batch", "reason"]
    assert "simulated" in out.loc["fake", "reason"]
    assert "not a muscle study" in out.loc["brain", "reason"]
    assert "hash" in out.loc["broken", "reason"]
    assert out.loc["both", "reason"].count(";") == 1
    assert out["evidence"].to_dict() | {"good": "reanalysed"} == out["evidence"].to_dict()
    assert (out.loc["paper", "evidence"], out.loc["fake", "evidence"]) == ("published", "simulated")


def test_confounded_contrasts_enter_only_when_asked_for_and_demos_stand_alone() -> None:
    assert table(facts(confounded="batch"), include_confounded=True)["eligible"].all()
    assert table(facts(simulated=True), facts(dataset="a2", simulated=True))["eligible"].all()


def test_dependence_clusters_default_to_the_study_and_follow_the_card() -> None:
    out = table(
        facts(dataset="a1", contrast="c1"),
        facts(dataset="a1", contrast="c2"),
        facts(dataset="a2", cluster="wellstone"),
        facts(dataset="a3", cluster="wellstone"),
    )
    assert out["cluster"].tolist() == ["a1", "a1", "wellstone", "wellstone"]


@pytest.mark.parametrize(
    ("material", "modality", "role", "kind"),
    [
        ("biopsy", "bulk", "als_patient", "bulk_tissue"),
        ("", "array", "als_model", "bulk_tissue"),
        ("", "array", "als_cells", "cultured_cells"),
        ("iPSC myotubes", "bulk", "other_mnd", "cultured_cells"),
        ("sorted satellite cells", "bulk", "als_model", "sorted_cells"),
        ("nuclei", "cells", "als_patient", "single_nucleus"),
        ("cells", "cells", "als_patient", "single_cell"),
        ("nuclei", "cells", "als_cells", "cultured_cells"),
    ],
)
def test_sample_kind(material: str, modality: str, role: str, kind: str) -> None:
    assert claims.sample_kind(material, modality, role) == kind


def test_contrast_errors_speak() -> None:
    with pytest.raises(InputError, match="lack the column 'role'"):
        claims.contrast_table(pd.DataFrame([facts()]).drop(columns="role"))
    with pytest.raises(InputError, match="a1/c stands twice"):
        table(facts(), facts())


def test_references_pair_by_species_and_platform() -> None:
    out = claims.reference_pairs(
        table(
            facts(dataset="m", role="als_model", species="mouse"),
            facts(dataset="d1", role="denervation", species="mouse"),
            facts(dataset="d2", role="denervation", species="mouse", modality="array"),
            facts(dataset="x", role="ageing"),
        )
    ).set_index("reference_dataset")
    assert out["mode"].to_dict() == {"d1": "lambda", "d2": "correlation"}


# --- the rules ---------------------------------------------------------------------------------


def estimate(
    effect: float, half: float, k: int = 5, padj: float | None = None, **more: Any
) -> Estimate:
    p = (0.001 if abs(effect) > half else 0.5) if padj is None else padj
    return Estimate(
        k,
        effect,
        (effect - half, effect + half),
        (effect - 0.8 * half, effect + 0.8 * half),
        p,
        **more,
    )


def evidence(**changed: Any) -> Evidence:
    base: dict[str, Any] = {
        "subject": "myofibre", "kind": "bulk_tissue", "question": "level",
        "denervation_sensitive": True, "expected": 1, "margin": 0.2, "level": estimate(0.6, 0.2),
        "delta": estimate(0.5, 0.2, source="reference"), "conflict": False,
        "random_share": float("nan"), "no_data": "no data: none", "no_delta": "no reference",
    }  # fmt: skip
    return Evidence(**(base | changed))


def verdict(**changed: Any) -> str:
    return claims.decide(evidence(**changed), RULES)[0]


def ref(effect: float, half: float, k: int = 5) -> Estimate:
    return estimate(effect, half, k, source="reference")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        # a claim about the level, in muscle that can lose its nerve
        ({}, "supported"),
        ({"delta": ref(0.02, 0.1)}, "not distinguishable from denervation"),
        ({"delta": ref(0.1, 0.4)}, "cannot separate from denervation"),
        ({"delta": None}, "cannot separate from denervation"),
        ({"delta": ref(0.5, 0.2, k=2)}, "cannot separate from denervation"),
        ({"delta": ref(-0.5, 0.2)}, "mixed"),
        ({"level": estimate(-0.6, 0.2), "delta": ref(-0.5, 0.2)}, "contradicted"),
        ({"level": estimate(-0.6, 0.2), "delta": ref(0.0, 0.1)}, "contradicted"),
        ({"level": estimate(-0.6, 0.2), "delta": ref(0.1, 0.4)}, "cannot separate from denervation"),
        ({"level": estimate(-0.6, 0.2), "delta": ref(0.5, 0.2)}, "mixed"),
        ({"level": estimate(-0.6, 0.2), "delta": None}, "cannot separate from denervation"),
        ({"level": estimate(0.1, 0.4), "delta": ref(0.1, 0.4)}, "cannot tell"),
        ({"level": estimate(0.1, 0.4), "delta": ref(0.5, 0.2)}, "cannot tell"),
        ({"level": estimate(0.0, 0.1), "delta": ref(0.0, 0.1)}, "contradicted"),
        ({"level": estimate(0.0, 0.1), "delta": ref(0.1, 0.4)}, "cannot tell"),
        ({"level": estimate(0.0, 0.1), "delta": ref(0.5, 0.2)}, "mixed"),
        ({"level": estimate(0.0, 0.1), "delta": None}, "cannot tell"),
        # a p-value that does not survive adjustment is no support
        ({"level": estimate(0.6, 0.5, padj=0.2)}, "cannot tell"),
        ({"delta": estimate(0.5, 0.4, padj=0.2, source="reference")}, "cannot separate from denervation"),
        # an effect that is significant, but smaller than what counts
        ({"level": estimate(0.15, 0.04), "delta": ref(0.0, 0.1)}, "contradicted"),
        ({"level": estimate(0.15, 0.1)}, "cannot tell"),
        ({"delta": ref(0.15, 0.04)}, "not distinguishable from denervation"),
        ({"delta": ref(0.15, 0.1)}, "cannot separate from denervation"),
        # significant, and perhaps smaller than what counts
        ({"delta": ref(0.3, 0.2)}, "cannot separate from denervation"),
        ({"delta": ref(-0.3, 0.2)}, "cannot separate from denervation"),
        ({"delta": ref(0.3, 0.1)}, "supported"),
        ({"kind": "cultured_cells", "delta": None, "level": estimate(0.15, 0.1)}, "cannot tell"),
        # one direct contrast with another neurogenic disease counts
        ({"delta": estimate(0.5, 0.2, 1, source="direct")}, "supported"),
        # where denervation is no alternative, the level decides
        ({"denervation_sensitive": False, "delta": None}, "supported"),
        ({"kind": "cultured_cells", "delta": None}, "supported"),
        ({"kind": "cultured_cells", "delta": None, "level": estimate(-0.6, 0.2)}, "contradicted"),
        ({"kind": "cultured_cells", "delta": None, "level": estimate(0.0, 0.1)}, "contradicted"),
        ({"kind": "cultured_cells", "delta": None, "level": estimate(0.1, 0.4)}, "cannot tell"),
        # directions
        ({"expected": -1}, "contradicted"),
        ({"expected": 0}, "supported"),
        ({"expected": 0, "level": estimate(-0.6, 0.2), "delta": ref(-0.5, 0.2)}, "supported"),
        # a claim about what goes beyond denervation
        ({"question": "beyond_denervation", "level": estimate(0.0, 0.1)}, "supported"),
        ({"question": "beyond_denervation", "delta": ref(-0.5, 0.2)}, "contradicted"),
        ({"question": "beyond_denervation", "delta": ref(0.0, 0.1)}, "not distinguishable from denervation"),
        ({"question": "beyond_denervation", "delta": ref(0.1, 0.4)}, "cannot separate from denervation"),
        ({"question": "beyond_denervation", "delta": None}, "cannot separate from denervation"),
        ({"question": "beyond_denervation", "level": estimate(0.0, 0.1), "delta": ref(0.0, 0.1)}, "contradicted"),
        ({"question": "beyond_denervation", "level": estimate(0.1, 0.4), "delta": None}, "cannot tell"),
        ({"question": "beyond_denervation", "kind": "cultured_cells", "delta": None}, "supported"),
        # too few studies, disagreement, random sets
        ({"level": None}, "cannot tell"),
        ({"level": estimate(0.6, 0.2, k=1)}, "cannot tell"),
        ({"level": estimate(0.6, 0.2, k=2)}, "cannot tell"),
        ({"conflict": True}, "mixed"),
        ({"random_share": 0.3}, "cannot tell"),
        ({"random_share": 0.01}, "supported"),
    ],
)  # fmt: skip
def test_verdict(changed: dict[str, Any], expected: str) -> None:
    assert verdict(**changed) == expected


def test_bulk_tissue_never_decides_a_satellite_cell_claim() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        k = int(rng.integers(1, 20))
        found, reason = claims.decide(
            evidence(
                subject="satellite_cell",
                question=str(rng.choice(["level", "beyond_denervation"])),
                denervation_sensitive=bool(rng.integers(2)),
                expected=int(rng.integers(-1, 2)),
                level=estimate(rng.normal(0, 1), rng.uniform(0, 1), k),
                delta=estimate(rng.normal(0, 1), rng.uniform(0, 1), k, source="direct"),
                conflict=bool(rng.integers(2)),
            ),
            RULES,
        )
        assert found == "cannot tell" and "satellite" in reason
    assert verdict(subject="satellite_cell", kind="cultured_cells") == "supported"


def test_support_never_comes_without_significance_in_the_expected_direction() -> None:
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(3000):
        e = evidence(
            question=str(rng.choice(["level", "beyond_denervation"])),
            expected=int(rng.choice([-1, 1])),
            level=estimate(rng.normal(0, 0.5), rng.uniform(0, 0.6), int(rng.integers(1, 6))),
            delta=ref(rng.normal(0, 0.5), rng.uniform(0, 0.6), int(rng.integers(1, 6))),
        )
        found, reason = claims.decide(e, RULES)
        seen.add(found)
        assert reason
        if found == "supported":
            assert e.delta is not None and e.delta.effect * e.expected >= e.margin
            assert min(abs(x) for x in e.delta.ci90) >= e.margin and e.delta.k >= 3
            if e.question == "level":
                assert e.level is not None and e.level.effect * e.expected > 0
    assert seen == set(claims.VERDICTS)


def test_detectable_effect_by_simulation() -> None:
    size = claims.detectable_effect(0.1, 1)
    assert size == pytest.approx(0.1 * (1.959964 + 0.841621), rel=1e-5)
    rng = np.random.default_rng(0)
    k, sd = 6, 0.3
    size = claims.detectable_effect(sd / np.sqrt(k), k)
    y = rng.normal(size, sd, (10_000, k))
    from scipy.stats import t

    statistic = y.mean(axis=1) / (y.std(axis=1, ddof=1) / np.sqrt(k))
    assert (statistic > t.ppf(0.975, k - 1)).mean() == pytest.approx(0.8, abs=0.03)
    assert np.isnan(claims.detectable_effect(float("nan"), 3))


# --- evaluation --------------------------------------------------------------------------------

DOCUMENT: dict[str, Any] = {
    "contexts": {
        "biopsy": {
            "role": "als_patient", "species": "human", "sample_kinds": ["bulk_tissue"],
            "cell_types": ["muscle"],
        },
    },
    "claims": [
        {
            "id": "C1", "statement": "s", "subject": "myofibre", "denervation_sensitive": True,
            "tests": [{"id": "t", "target": "P/b", "expected": "up", "contexts": ["biopsy"]}],
        },
    ],
}  # fmt: skip


def effects(values: dict[str, float], se: float = 0.1, **more: Any) -> pd.DataFrame:
    base = {"contrast": "c", "cell_type": "muscle", "programme": "P", "block": "b"}
    return pd.DataFrame({"dataset": list(values), "effect": list(values.values())}).assign(
        **(base | {"stripped": False, "se": se} | more)
    )


def human(*names: str, **changed: Any) -> list[dict[str, Any]]:
    return [facts(dataset=name, **changed) for name in names]


def test_level_without_reference_cannot_be_separated() -> None:
    out = claims.evaluate(
        DOCUMENT, effects({"a": 0.6, "b": 0.7, "d": 0.65}), table(*human("a", "b", "d"))
    ).iloc[0]
    assert list(out.index) == claims.CLAIM_COLUMNS
    assert out["verdict"] == claims.NOT_SEPARATED
    assert (out["k"], out["studies"]) == (3, "a/c;b/c;d/c")
    assert "no comparable denervation reference" in out["reason"]
    none = claims.evaluate(
        DOCUMENT,
        effects({"a": 0.6, "b": 0.7, "d": 0.65}),
        table(*human("a", "b", "d")),
        pd.DataFrame(),
    )
    assert none["verdict"][0] == claims.NOT_SEPARATED


def test_direct_contrast_outranks_the_reference() -> None:
    contrasts = table(
        *human("a", "b", "d"), facts(dataset="a", contrast="v_sbma", tag="versus_neurogenic")
    )
    level = effects({"a": 0.6, "b": 0.7, "d": 0.65})
    direct = effects({"a": -0.4}, contrast="v_sbma")
    deltas = effects({"a": 0.5, "b": 0.5, "d": 0.5}).rename(columns={"effect": "delta"})
    deltas = deltas.assign(delta_se=0.05, shared_sd=0.01, shared_df=8.0, reference="den/c")
    with_lambda = claims.evaluate(DOCUMENT, level, contrasts, deltas).iloc[0]
    assert (with_lambda["verdict"], with_lambda["delta_source"]) == ("supported", "reference")
    both = claims.evaluate(DOCUMENT, pd.concat([level, direct]), contrasts, deltas).iloc[0]
    assert (both["verdict"], both["delta_source"]) == ("mixed", "direct")
    assert both["k"] == 3  # the tagged contrast is not pooled with the others


def test_the_common_error_of_one_reference_is_not_averaged_away() -> None:
    names = {f"s{i}": 0.3 for i in range(12)}
    contrasts = table(*human(*names))
    deltas = effects(names).rename(columns={"effect": "delta"})
    deltas = deltas.assign(delta_se=np.hypot(0.1, 0.3), shared_sd=0.3, shared_df=8.0)
    deltas = deltas.assign(reference="den/c")
    common = claims.evaluate(DOCUMENT, effects(names), contrasts, deltas).iloc[0]
    own = claims.evaluate(DOCUMENT, effects(names), contrasts, deltas.assign(shared_sd=0.0)).iloc[0]
    assert (common["delta_ci_high"] - common["delta"]) > 0.6
    assert (own["delta_ci_high"] - own["delta"]) < 0.25


def test_matched_random_sets_that_move_as_far_take_the_support_away() -> None:
    document = {**DOCUMENT, "claims": [{**DOCUMENT["claims"][0], "denervation_sensitive": False}]}
    contrasts = table(*human("a", "b", "d"))
    block = effects({"a": 0.6, "b": 0.7, "d": 0.65})
    rng = np.random.default_rng(0)
    for centre, found in ((0.0, "supported"), (0.65, "cannot tell")):
        sets = [
            effects({n: rng.normal(centre, 0.05) for n in "abd"}, block=f"b~{i}") for i in range(40)
        ]
        out = claims.evaluate(document, pd.concat([block, *sets]), contrasts).iloc[0]
        assert out["verdict"] == found
    assert "random gene sets" in out["reason"]


def test_random_sets_are_compared_where_the_verdict_rests() -> None:
    claim = DOCUMENT["claims"][0]
    beyond = {**claim["tests"][0], "question": "beyond_denervation"}
    document = {**DOCUMENT, "claims": [{**claim, "tests": [beyond]}]}
    contrasts = table(*human("a", "b", "d"))

    def delta(values: dict[str, float], **more: Any) -> pd.DataFrame:
        out = effects(values, **more).rename(columns={"effect": "delta", "se": "delta_se"})
        return out.assign(shared_sd=0.01, shared_df=8.0, reference="den/c")

    rng = np.random.default_rng(0)

    def sets(centre: float) -> list[dict[str, float]]:
        return [{n: rng.normal(centre, 0.05) for n in "abd"} for _ in range(40)]

    level = [effects(values, block=f"b~{i}") for i, values in enumerate(sets(0.9))]
    for centre, found in ((0.0, "supported"), (0.9, "cannot tell")):
        rest = [delta(values, block=f"b~{i}") for i, values in enumerate(sets(centre))]
        out = claims.evaluate(
            document,
            pd.concat([effects({"a": 0.1, "b": 0.1, "d": 0.1}), *level]),
            contrasts,
            pd.concat([delta({"a": 0.8, "b": 0.8, "d": 0.8}), *rest]),
        ).iloc[0]
        assert out["verdict"] == found


def test_one_and_two_studies_show_numbers_without_a_verdict() -> None:
    for names in ("a", "ab"):
        out = claims.evaluate(
            DOCUMENT, effects(dict.fromkeys(names, 2.0), se=0.01), table(*human(*names))
        ).iloc[0]
        assert (out["verdict"], out["k"]) == ("cannot tell", len(names))
        assert out["effect"] == pytest.approx(2.0) and np.isnan(out["padj"])
        assert out["detectable_effect"] > 0 and "could have shown" in out["reason"]


def test_repeated_contrasts_of_one_study_stay_one_study() -> None:
    rows = [facts(dataset="a", contrast=f"c{i}") for i in range(5)]
    data = pd.concat([effects({"a": 0.8}, contrast=f"c{i}", se=0.01) for i in range(5)])
    out = claims.evaluate(DOCUMENT, data, table(*rows)).iloc[0]
    assert (out["k"], out["n_contrasts"], out["verdict"]) == (1, 5, "cannot tell")


def test_opposite_studies_are_mixed() -> None:
    values = {"a": 0.6, "b": 0.7, "d": -0.8, "e": -0.7}
    contrasts = table(*human(*values))
    out = claims.evaluate(DOCUMENT, effects(values, se=0.05), contrasts).iloc[0]
    assert out["verdict"] == "mixed"
    # on 2 degrees of freedom even t = 10 is short of the level 0.05 / 4 that four studies ask for
    few = claims.evaluate(DOCUMENT, effects(values, se=0.08, df=2.0), contrasts).iloc[0]
    many = claims.evaluate(DOCUMENT, effects(values, se=0.08, df=20.0), contrasts).iloc[0]
    assert (few["verdict"], many["verdict"]) == ("cannot tell", "mixed")


def test_study_order_does_not_matter_and_swapped_labels_flip_the_sign() -> None:
    values = {"a": 0.6, "b": 0.2, "d": 0.4}
    contrasts, data = table(*human("a", "b", "d")), effects(values)
    base = claims.evaluate(DOCUMENT, data, contrasts)
    pd.testing.assert_frame_equal(base, claims.evaluate(DOCUMENT, data.iloc[::-1], contrasts))
    flipped = claims.evaluate(DOCUMENT, data.assign(effect=-data["effect"]), contrasts)
    assert flipped["effect"][0] == pytest.approx(-base["effect"][0])
    assert flipped["ci_low"][0] == pytest.approx(-base["ci_high"][0])


def test_what_is_pooled_for_one_test_does_not_depend_on_the_others() -> None:
    claim = DOCUMENT["claims"][0]
    test, biopsy = claim["tests"][0], DOCUMENT["contexts"]["biopsy"]
    nuclei = {**biopsy, "sample_kinds": ["single_nucleus"], "cell_types": ["I", "II"]}
    contexts = {"biopsy": biopsy, "nuclei": nuclei}
    tests = [
        {**test, "id": target, "target": target, "contexts": list(contexts)}
        for target in ("P/b", "P/d")
    ]
    cells = {"modality": "cells", "material": "nuclei"}
    contrasts = table(
        *human("a", "b", "d", "e"), facts(dataset="a", contrast="c2"), *human("x", "y", **cells)
    )
    few = {"a": 0.2, "d": 0.9, "e": -0.4}
    data = pd.concat(
        [
            effects({"a": 0.6, "b": 0.2, "d": 0.4, "e": 0.5}),
            effects({"a": 0.9}, contrast="c2", se=0.2),  # a second contrast for one target only
            effects(few, block="d", se=0.3),
            effects({"a": 0.4, "b": 0.1}, stripped=True),
            effects({"x": 0.5, "y": 0.1}, cell_type="I"),
            effects({"x": 0.7}, cell_type="II"),
        ]
    )
    deltas = effects(few, block="d").rename(columns={"effect": "delta", "se": "delta_se"})
    deltas = deltas.assign(shared_sd=0.05, shared_df=8.0, reference="den/c")

    def evaluate(*tests: dict[str, Any]) -> pd.DataFrame:
        document = {"contexts": contexts, "claims": [{**claim, "tests": list(tests)}]}
        out = claims.evaluate(document, data, contrasts, deltas)
        # what is adjusted over all tests does depend on them
        return out.drop(columns=["padj", "delta_padj", "verdict", "reason"])

    alone = [evaluate({**test, "contexts": [name]}) for test in tests for name in test["contexts"]]
    together = evaluate(*tests)
    assert together["k"].tolist() == [4, 2, 3, 0]
    assert together["n_contrasts"].tolist() == [5, 3, 3, 0]
    for number, expected in enumerate(alone):
        row = together.iloc[[number]].reset_index(drop=True)
        pd.testing.assert_frame_equal(row, expected, check_dtype=False, rtol=1e-9)


def test_evaluation_errors_speak() -> None:
    contrasts = table(*human("a"))
    with pytest.raises(InputError, match="effects lack the column 'block'"):
        claims.evaluate(DOCUMENT, effects({"a": 1.0}).drop(columns="block"), contrasts)
    deltas = effects({"a": 1.0}).rename(columns={"effect": "delta"}).assign(reference="r")
    with pytest.raises(InputError, match="several denervation references"):
        claims.evaluate(DOCUMENT, effects({"a": 1.0}), contrasts, pd.concat([deltas, deltas]))


def test_genes_and_ratios_become_targets() -> None:
    de = pd.DataFrame(
        {
            "dataset": "a", "contrast": "c", "cell_type": "muscle", "gene_id": ["g1", "g2"],
            "log2fc": [2.0, 0.5], "lfc_se": [0.3, 0.4], "df": [10.0, 20.0],
        }
    )  # fmt: skip
    ids = {"CHRNG": "g1", "CHRNE": "g2", "HDAC4": "absent"}
    targets = ["GENE/CHRNG", "RATIO/CHRNG:CHRNE", "GENE/HDAC4", "GENE/UNKNOWN"]
    out = claims.gene_effects(de, targets, ids).set_index("block")
    assert out.loc["CHRNG", ["effect", "se"]].tolist() == [2.0, 0.3]
    assert out.loc["CHRNG:CHRNE", "effect"] == 1.5
    assert out.loc["CHRNG:CHRNE", "se"] == pytest.approx(0.5)
    assert out.loc["CHRNG", "df"] == 10
    # Satterthwaite: 0.25^2 / (0.09^2 / 10 + 0.16^2 / 20)
    assert out.loc["CHRNG:CHRNE", "df"] == pytest.approx(29.9043, abs=1e-4)
    assert len(out) == 2
    members = claims.gene_members(targets, ids)
    assert members.loc[members["programme"] == "RATIO", "sign"].tolist() == [1, -1]


def test_reference_with_the_highest_correlation_is_kept() -> None:
    axis = pd.DataFrame(
        {
            "dataset": "a", "contrast": "c", "cell_type": "muscle",
            "reference": ["d1", "d2", "d3"], "lambda": [0.4, 0.5, np.nan],
            "correlation": [0.3, 0.6, 0.9],
        }
    )  # fmt: skip
    assert denervation.choose_reference(axis)["reference"].tolist() == ["d2"]


# --- the claims file ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    with (ROOT / "config" / "claims.yaml").open(encoding="utf-8") as file:
        loaded: dict[str, Any] = yaml.safe_load(file)
    return loaded


@pytest.fixture(scope="module")
def blocks() -> pd.DataFrame:
    return pd.read_csv(ROOT / "config" / "programmes.tsv", sep="\t", dtype=str)


def test_claims_keep_the_schema_and_name_what_exists(
    document: dict[str, Any], blocks: pd.DataFrame
) -> None:
    from jsonschema import Draft202012Validator

    with (ROOT / "workflow" / "schemas" / "claims.schema.yaml").open(encoding="utf-8") as file:
        schema = yaml.safe_load(file)
    Draft202012Validator.check_schema(schema)
    assert not list(Draft202012Validator(schema).iter_errors(document))
    claims.check_claims(document, blocks)
    assert [claim["id"] for claim in document["claims"]] == [f"C{i}" for i in range(1, 31)]
    used = {name for c in document["claims"] for t in c["tests"] for name in t["contexts"]}
    assert used == set(document["contexts"])
    reviews = {r["review"] for c in document["claims"] for r in c["reviews"]}
    assert reviews == set(document["reviews"])


def test_the_schema_describes_every_key_and_refuses_unknown_ones(document: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator

    with (ROOT / "workflow" / "schemas" / "claims.schema.yaml").open(encoding="utf-8") as file:
        schema = yaml.safe_load(file)

    def walk(node: dict[str, Any], path: str) -> None:
        assert node.get("description"), path
        if node.get("type") == "object":
            assert "additionalProperties" in node, path
        for key, child in node.get("properties", {}).items():
            walk(child, f"{path}.{key}")
        for key in ("additionalProperties", "items"):
            if (
                isinstance(node.get(key), dict)
                and "type" in node[key]
                and (node[key]["type"] == "object")
            ):
                walk(node[key], f"{path}.{key}")

    walk(schema, "claims")
    broken = yaml.safe_load(yaml.safe_dump(document))
    broken["claims"][0]["tests"][0]["expcted"] = "up"
    assert len(list(Draft202012Validator(schema).iter_errors(broken))) == 1


def test_names_that_do_not_exist_are_refused(
    document: dict[str, Any], blocks: pd.DataFrame
) -> None:
    def broken(**changed: Any) -> dict[str, Any]:
        copy: dict[str, Any] = yaml.safe_load(yaml.safe_dump(document))
        copy["claims"][0]["tests"][0].update(changed)
        return copy

    with pytest.raises(InputError, match="no block 'DENERVATION/tier9'"):
        claims.check_claims(broken(target="DENERVATION/tier9"), blocks)
    with pytest.raises(InputError, match="no context 'moon'"):
        claims.check_claims(broken(contexts=["moon"]), blocks)
    with pytest.raises(InputError, match="has sign '-'"):
        claims.check_claims(broken(target="DENERVATION/down"), blocks)


def test_without_als_studies_every_claim_cannot_tell_with_reason_and_size(
    document: dict[str, Any], blocks: pd.DataFrame
) -> None:
    contrasts = table(
        facts(dataset="f1", role="myopathy"),
        facts(dataset="f2", role="ageing"),
        facts(dataset="m1", role="denervation", species="mouse"),
    )
    names = blocks[["programme", "block"]].drop_duplicates()
    keys = [tuple(name) for name in names.to_numpy()]
    keys += [tuple(t.split("/", 1)) for t in claims.gene_targets(document["claims"])]
    data = pd.concat(
        effects({"f1": 0.3, "f2": -0.2, "m1": 1.0}, programme=p, block=b) for p, b in keys
    )
    out = claims.evaluate(document, data, contrasts)
    assert set(out["verdict"]) == {"cannot tell"}
    assert (out["detectable_effect"] > 0).all()
    assert (out["reason"].str.len() > 20).all()
    told = out["reason"].str.contains("no data") | out["reason"].str.contains("bulk tissue cannot")
    assert told.all()


def test_no_satellite_cell_claim_is_decided_by_a_bulk_context(document: dict[str, Any]) -> None:
    satellite = [c for c in document["claims"] if c["subject"] == "satellite_cell"]
    assert {c["id"] for c in satellite} == {"C5", "C6", "C7", "C9"}
    only = {**document, "claims": satellite}
    targets = {t["target"] for c in satellite for t in c["tests"]}
    names = [f"s{i}" for i in range(6)]
    contrasts = table(
        *human(*names),
        *[
            facts(dataset=f"m{stage}{i}", role="als_model", species="mouse", stage=stage)
            for stage in ("presymptomatic", "symptomatic", "end")
            for i in range(4)
        ],
    )
    data = pd.concat(
        effects(dict.fromkeys(contrasts["dataset"], 2.0), se=0.01, programme=p, block=b)
        for p, b in (t.split("/", 1) for t in targets)
    )
    out = claims.evaluate(only, data, contrasts)
    assert (out["k"] >= 4).any()
    assert set(out["verdict"]) == {"cannot tell"}


# --- overall and changes -----------------------------------------------------------------------


def row(verdict: str, test: str = "t", **changed: Any) -> dict[str, Any]:
    base: dict[str, Any] = dict.fromkeys(claims.CLAIM_COLUMNS, np.nan)
    base |= {
        "claim": "C1", "test": test, "context": "biopsy", "statement": "s", "target": "P/b",
        "expected": "up", "counted": True, "studies": "a/c;b/c", "effect": 0.5, "ci_low": 0.1,
        "ci_high": 0.9, "verdict": verdict, "reason": "because",
    }  # fmt: skip
    return base | changed


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["supported", "cannot tell"], "supported"),
        (["supported", "contradicted"], "mixed"),
        (["cannot tell", "cannot separate from denervation"], "cannot separate from denervation"),
        (["mixed", "supported"], "mixed"),
        (["cannot tell"], "cannot tell"),
    ],
)
def test_overall(verdicts: list[str], expected: str) -> None:
    rows = [row(v, test=f"t{i}") for i, v in enumerate(verdicts)]
    rows.append(row("contradicted", test="control", counted=False))
    out = claims.overall(pd.DataFrame(rows)).iloc[0]
    assert out["verdict"] == expected
    assert out["n_tests"] == len(verdicts)


def test_changes_say_what_moved_and_why() -> None:
    old = pd.DataFrame([row("cannot tell", "a"), row("supported", "b"), row("mixed", "gone")])
    new = pd.DataFrame(
        [
            row("supported", "a", studies="a/c;b/c;d/c", effect=0.8, ci_low=0.5, ci_high=1.1),
            row("supported", "b"),
            row("cannot tell", "fresh"),
        ]
    )
    out = claims.changes(old, new).set_index("test")
    assert out["change"].to_dict() == {"a": "verdict", "fresh": "new", "gone": "removed"}
    assert out.loc["a", ["old_verdict", "new_verdict"]].tolist() == ["cannot tell", "supported"]
    assert "studies added: d/c" in out.loc["a", "why"]
    assert "effect from +0.50 to +0.80" in out.loc["a", "why"]
    assert claims.changes(new, new).empty


def test_changes_notice_a_delta_that_appears_and_multiple_testing() -> None:
    old = pd.DataFrame([row(claims.NOT_SEPARATED, "a"), row("supported", "b")])
    new = pd.DataFrame(
        [
            row("supported", "a", delta=0.4, delta_ci_low=0.1, delta_ci_high=0.7),
            row("cannot tell", "b"),
        ]
    )
    out = claims.changes(old, new).set_index("test")
    assert "Delta appeared" in out.loc["a", "why"]
    assert "multiple testing" in out.loc["b", "why"]


# --- calibration -------------------------------------------------------------------------------
