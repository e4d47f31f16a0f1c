"""Evaluation of claims: pooling per context, multiplicity, controls, the claims file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from alsmuscle.core.errors import InputError
from alsmuscle.synthesis import claims
from alsmuscle.synthesis.verdicts import Rules

ROOT = Path(__file__).parents[3]
RULES = Rules(0.05, 0.2, 0.5, 3, 2, 0.8, 0.05, 0.8, 0.35, 1 / 3, 0.6)
N_BLOCKS = 40  # other blocks of the same contrasts, which teach how much studies differ


def contrasts(*names: str, **changed: Any) -> pd.DataFrame:
    base = {
        "contrast": "c", "role": "als_patient", "species": "human", "stage": "", "tag": "",
        "sample_kind": "bulk_tissue", "eligible": True, "reason": "",
    }  # fmt: skip
    table = pd.DataFrame({"dataset": list(names)}).assign(**(base | changed))
    return table.assign(cluster=table["dataset"])


CONTEXT = {
    "role": "als_patient", "species": "human", "sample_kinds": ["bulk_tissue"],
    "cell_types": ["muscle"],
}  # fmt: skip


def document(*tests: dict[str, Any], **claim: Any) -> dict[str, Any]:
    base = {"id": "C1", "statement": "s", "subject": "myofibre", "denervation_sensitive": True}
    test = {"id": "t", "target": "P/b", "expected": "up", "contexts": ["biopsy"]}
    listed = [test | {"primary": ["biopsy"]}, *tests]
    return {"contexts": {"biopsy": CONTEXT}, "claims": [base | claim | {"tests": listed}]}


FREE = document(denervation_sensitive=False)


def effects(
    values: dict[str, float], se: float = 0.1, others: float = 0.05, **more: Any
) -> pd.DataFrame:
    """The block P/b with these effects, and blocks O/* that are 0 but for noise."""
    base = {"contrast": "c", "cell_type": "muscle", "programme": "P", "block": "b"}
    own = pd.DataFrame({"dataset": list(values), "effect": list(values.values())})
    tables = [own.assign(**(base | {"stripped": False, "se": se, "df": 10.0} | more))]
    rng = np.random.default_rng(0)
    for number in range(N_BLOCKS if others else 0):
        table = tables[0].assign(programme="O", block=f"o{number}", se=others)
        tables.append(table.assign(effect=rng.normal(0, others, len(table))))
    out = pd.concat(tables, ignore_index=True)
    return out.assign(effect_adjusted=out["effect"], se_adjusted=out["se"], df_adjusted=9.0)


def deltas(values: dict[str, float], se: float = 0.1, **more: Any) -> pd.DataFrame:
    out = effects(values, se).rename(columns={"effect": "delta", "se": "delta_se"})
    out = out.drop(columns=["effect_adjusted", "se_adjusted", "df_adjusted", "df"])
    base = {"shared_sd": 0.01, "shared_df": 8.0, "reference": "den/c", "delta_df": 10.0}
    return out.assign(**(base | more))


THREE = {"a": 0.6, "b": 0.7, "d": 0.65}


def run(doc: dict[str, Any], *args: Any) -> pd.Series:
    return claims.judge(doc, *args, rules=RULES).iloc[0]


def test_three_studies_that_agree_support() -> None:
    out = run(FREE, effects(THREE), contrasts("a", "b", "d"))
    assert list(out.index) == claims.CLAIM_COLUMNS
    assert (out["verdict"], out["grade"], out["k"]) == ("supported", "pooled", 3)
    assert out["studies"] == "a/c;b/c;d/c" and out["side"] == "patients"
    assert out["df"] > 2 and out["prob_direction"] > 0.975
    # the key's own interval, on two degrees of freedom, is wider
    assert out["reml_ci_high"] - out["reml_ci_low"] > out["ci_high"] - out["ci_low"]


def test_denervation_without_reference_and_with_one() -> None:
    table = contrasts("a", "b", "d")
    none = run(document(), effects(THREE), table)
    assert none["verdict"] == "changed, but denervation could explain it"
    assert "no comparable denervation reference" in none["reason"]
    found = run(document(), effects(THREE), table, deltas(THREE))
    assert (found["verdict"], found["delta_source"]) == ("supported", "reference")
    nothing = run(
        document(), effects(THREE), table, deltas({"a": 0.0, "b": 0.01, "d": -0.01}, 0.05)
    )
    assert nothing["verdict"] == "explained by denervation"


def test_proportions_take_the_support_away_where_enough_studies_have_them() -> None:
    table, data = contrasts("a", "b", "d"), effects(THREE)
    none = run(FREE, data, table)
    assert none["verdict"] == "supported"
    assert none["proportions_k"] == 0 and np.isnan(none["proportions_effect"])
    kept = data.assign(effect_proportions=data["effect"] - 0.1, se_proportions=0.1)
    kept["df_proportions"] = 8.0
    same = run(FREE, kept, table)
    assert (same["verdict"], same["proportions_k"]) == ("supported", 3)
    assert same["proportions_effect"] == pytest.approx(same["effect"] - 0.1, abs=0.05)
    assert same["proportions_ci_low"] > 0
    gone = run(FREE, kept.assign(effect_proportions=0.02), table)
    assert gone["verdict"] == "changed, but tissue composition could explain it"
    assert "estimated proportions +0.02" in gone["reason"]
    # Two of three studies: shown, and decides nothing.
    two = kept.assign(effect_proportions=0.02)
    two.loc[two["dataset"] == "d", "effect_proportions"] = np.nan
    shown = run(FREE, two, table)
    assert (shown["verdict"], shown["proportions_k"]) == ("supported", 2)
    assert shown["proportions_ci_low"] < 0.02 < shown["proportions_ci_high"]


def test_what_would_have_been_found_knows_the_second_adjustment() -> None:
    table, data = contrasts("a", "b", "d"), effects(dict.fromkeys(THREE, 0.0))
    wide = data.assign(effect_proportions=0.0, se_proportions=0.4, df_proportions=8.0)
    found = [run(FREE, each, table)["detectable_effect"] for each in (data, wide)]
    assert found[1] > found[0] + 0.1


def test_composition_takes_the_support_away() -> None:
    data = effects(THREE).assign(effect_adjusted=0.02)
    out = run(FREE, data, contrasts("a", "b", "d"))
    assert out["verdict"] == "changed, but tissue composition could explain it"
    assert out["adjusted_k"] == 3 and out["effect"] > 0.5
    gone = effects(THREE).assign(effect_adjusted=np.nan, se_adjusted=np.nan)
    assert run(FREE, gone, contrasts("a", "b", "d"))["verdict"] == out["verdict"]
    # and Delta is held to it as well
    shifted = effects(THREE).assign(effect_adjusted=lambda t: t["effect"] - 0.4)
    held = run(
        document(), shifted, contrasts("a", "b", "d"), deltas({"a": 0.4, "b": 0.4, "d": 0.4})
    )
    assert held["verdict"] == out["verdict"]
    assert held["delta_adjusted"] == pytest.approx(0.0, abs=0.05)


def test_one_study_speaks_with_its_own_degrees_of_freedom() -> None:
    out = run(FREE, effects({"a": 0.9}, se=0.25, df=4.0), contrasts("a"))
    assert (out["verdict"], out["grade"], out["df"]) == ("suggested", "one study", 4.0)
    assert out["ci_high"] == pytest.approx(0.9 + stats.t.ppf(0.975, 4) * 0.25)
    assert "one independent study" in out["reason"]
    # beyond the normal's quantile, not beyond that of t
    weak = run(FREE, effects({"a": 0.6}, se=0.25, df=4.0), contrasts("a"))
    assert weak["verdict"] == "not enough data" and stats.norm.ppf(0.975) < 0.6 / 0.25
    assert weak["detectable_effect"] > 0.6 and "would have been suggested" in weak["reason"]


def test_what_one_study_could_see_as_a_change_does_not_depend_on_the_question() -> None:
    """Without a reference of denervation the level decides, also where the rest is asked for."""
    data = effects({"a": 0.6}, se=0.25, df=27.0)
    level = run(document(), data, contrasts("a"))
    beyond = document()
    beyond["claims"][0]["tests"][0]["question"] = "beyond_denervation"
    rest = run(beyond, data, contrasts("a"))
    assert level["detectable_basis"].startswith("seen as a change")
    assert rest["detectable_basis"] == level["detectable_basis"]
    # (t's quantile at p 0.025 + that of 80 % of studies) x the error, about
    assert rest["detectable_effect"] == pytest.approx((2.05 + 0.86) * 0.25, rel=0.05)
    assert rest["detectable_effect"] == pytest.approx(level["detectable_effect"])


def test_two_studies_suggest_and_repeated_contrasts_stay_one() -> None:
    two = run(FREE, effects({"a": 0.9, "b": 0.8}), contrasts("a", "b"))
    assert (two["verdict"], two["grade"]) == ("suggested", "two studies")
    rows = pd.concat([contrasts("a", contrast=f"c{i}") for i in range(5)], ignore_index=True)
    data = pd.concat(
        [effects({"a": 0.8}, contrast=f"c{i}", se=0.05) for i in range(5)], ignore_index=True
    )
    one = run(FREE, data, rows)
    assert (one["k"], one["n_contrasts"], one["grade"]) == (1, 5, "one study")


def test_rows_with_few_studies_move_no_other_rows_adjusted_p() -> None:
    names = ["a", "b", "d"]
    more = [
        {"id": f"t{i}", "target": f"O/o{i}", "expected": "up", "contexts": ["biopsy"]}
        for i in range(6)
    ]
    doc = document(*more)
    for test in doc["claims"][0]["tests"][1:]:
        doc["claims"].append(
            doc["claims"][0] | {"id": f"C{test['id']}", "tests": [test | {"primary": ["biopsy"]}]}
        )
    doc["claims"][0]["tests"] = doc["claims"][0]["tests"][:1]
    data, rest = effects(THREE), deltas(THREE)
    few = rest[(rest["programme"] == "P") | (rest["dataset"] == "a")]  # six blocks: one study each
    full = claims.judge(doc, data, contrasts(*names), few, rules=RULES)
    alone = claims.judge(doc, data, contrasts(*names), rest[rest["programme"] == "P"], rules=RULES)
    assert (full["delta_k"].iloc[1:] == 1).all() and full["delta_k"].iloc[0] == 3
    # the pooled row is the only one of its family, whatever single studies say
    for table in (full, alone):
        assert table["delta_padj"].iloc[0] == pytest.approx(table["delta_pvalue"].iloc[0])
    data_few = data[(data["programme"] == "P") | (data["dataset"] == "a")]
    level = claims.judge(doc, data_few, contrasts(*names), rules=RULES)
    assert level["padj"].iloc[0] == pytest.approx(level["pvalue"].iloc[0])


def test_direct_contrasts_outrank_the_reference_when_there_are_two() -> None:
    table = pd.concat(
        [
            contrasts("a", "b", "d"),
            contrasts("a", "b", contrast="v_sbma", tag="versus_neurogenic"),
        ],
        ignore_index=True,
    )
    level = effects(THREE)
    both = effects({"a": 0.5, "b": 0.6}, contrast="v_sbma")
    out = run(document(), pd.concat([level, both]), table)
    assert (out["verdict"], out["delta_source"], out["delta_k"]) == ("supported", "direct", 2)
    assert out["k"] == 3  # the tagged contrasts are not pooled with the others
    one = run(document(), pd.concat([level, both[both["dataset"] == "a"]]), table)
    assert one["verdict"] == "changed, but denervation could explain it"
    assert "fewer than 2 direct contrasts" in one["reason"]


def test_the_common_error_of_one_reference_is_not_averaged_away() -> None:
    names = {f"s{i}": 0.3 for i in range(12)}
    rest = deltas(names, se=float(np.hypot(0.1, 0.3)), shared_sd=0.3)
    common = run(document(), effects(names), contrasts(*names), rest)
    own = run(document(), effects(names), contrasts(*names), rest.assign(shared_sd=0.0))
    assert (common["delta_ci_high"] - common["delta"]) > 0.55
    assert (own["delta_ci_high"] - own["delta"]) < 0.3


def test_matched_random_sets_that_move_as_far_take_the_support_away() -> None:
    rng = np.random.default_rng(0)
    table = contrasts("a", "b", "d")
    for centre, found in ((0.0, "supported"), (0.65, "not enough data")):
        sets = [
            effects({n: rng.normal(centre, 0.05) for n in "abd"}, others=0, block=f"b~{i}")
            for i in range(40)
        ]
        out = run(FREE, pd.concat([effects(THREE), *sets], ignore_index=True), table)
        assert out["verdict"] == found
    assert "random gene sets" in out["reason"]


@pytest.mark.parametrize("by", [0.5, -1.2, 0.0])
def test_a_moved_case_is_decided_as_if_every_study_had_moved(by: float) -> None:
    names = ("a", "b", "d")
    table, doc = contrasts(*names), document({"id": "other", "target": "O/o1", "expected": "up",
                                              "contexts": ["biopsy"]})  # fmt: skip
    rng = np.random.default_rng(0)
    sets = [effects({n: rng.normal(0, 0.1) for n in names}, others=0, block=f"b~{i}")
            for i in range(40)]  # fmt: skip
    data = pd.concat([effects({"a": 0.1, "b": -0.1, "d": 0.2}), *sets], ignore_index=True)
    rest = deltas({"a": 0.1, "b": -0.2, "d": 0.1})
    gathered = claims.cases(doc, data, table, rest, rules=RULES)
    there = [claims.moved(case, by, RULES) if case.target == "P/b" else case for case in gathered]
    found = claims.decided(there, RULES)
    own = (data["programme"] == "P") & (data["block"] == "b")
    data.loc[own, ["effect", "effect_adjusted"]] += by
    rest.loc[(rest["programme"] == "P") & (rest["block"] == "b"), "delta"] += by
    wanted = claims.judge(doc, data, table, rest, rules=RULES)
    same = [name for name in claims.CLAIM_COLUMNS if name not in ("i2", "reason")]
    text = wanted[same].select_dtypes("object").columns
    numbers = [name for name in same if name not in text]
    left, right = (t[numbers].to_numpy(dtype=float) for t in (found, wanted))
    np.testing.assert_allclose(left, right, atol=2e-3)
    assert found[text].fillna("").equals(wanted[text])
    assert claims.decided(there, RULES, [1])["test"].tolist() == ["other"]


def test_opposite_studies_are_mixed() -> None:
    values = {"a": 0.6, "b": 0.7, "d": -0.8, "e": -0.7}
    out = run(FREE, effects(values, se=0.05), contrasts(*values))
    assert out["verdict"] == "mixed"
    few = run(FREE, effects(values, se=0.08, df=2.0), contrasts(*values))
    assert few["verdict"] == "not enough data"


def test_unusable_blocks_take_no_part() -> None:
    data = effects(THREE).assign(usable=lambda t: (t["programme"] != "P") | (t["dataset"] == "a"))
    assert run(FREE, data, contrasts("a", "b", "d"))["k"] == 1


def test_order_does_not_matter_and_swapped_labels_flip_the_sign() -> None:
    table, data = contrasts("a", "b", "d"), effects({"a": 0.6, "b": 0.2, "d": 0.4})
    base = claims.judge(FREE, data, table, rules=RULES)
    again = claims.judge(FREE, data.iloc[::-1], table, rules=RULES)
    pd.testing.assert_frame_equal(base, again)
    turned = data.assign(effect=-data["effect"], effect_adjusted=-data["effect_adjusted"])
    flipped = claims.judge(FREE, turned, table, rules=RULES)
    assert flipped["effect"][0] == pytest.approx(-base["effect"][0])
    assert flipped["ci_low"][0] == pytest.approx(-base["ci_high"][0])


# --- the claims file ---------------------------------------------------------------------------


def read() -> tuple[dict[str, Any], pd.DataFrame]:
    listed = pd.read_csv(ROOT / "config/programmes.tsv", sep="\t", dtype=str)
    return yaml.safe_load((ROOT / "config/claims.yaml").read_text()), listed


def test_the_claims_file_holds() -> None:
    doc, listed = read()
    claims.check_claims(doc, listed)
    for claim in doc["claims"]:
        primary = [test for test in claim["tests"] if test.get("primary")]
        assert len(primary) == 1, claim["id"]
        for test in claim["tests"]:
            # a presymptomatic context alone speaks of time, so its claim says so
            if test.get("content"):
                assert claim["subject"] in {"immune_cell", "stroma"}, claim["id"]
    ids = {claim["id"] for claim in doc["claims"]}
    assert {"C1", "C1b", "C30c"} <= ids
    severity = next(claim for claim in doc["claims"] if claim["id"] == "C1")
    assert "severity" not in severity["statement"]


def test_faults_of_the_claims_file_are_named() -> None:
    doc, listed = read()
    doc["claims"][0]["tests"][0]["target"] = "DENERVATION/unknown"
    with pytest.raises(InputError, match="no block"):
        claims.check_claims(doc, listed)
    doc, _ = read()
    doc["claims"][0]["tests"][0]["primary"] = ["patient_cultures"]
    with pytest.raises(InputError, match="not among the test's contexts"):
        claims.check_claims(doc, listed)
    doc, _ = read()
    del doc["claims"][0]["tests"][0]["primary"]
    with pytest.raises(InputError, match="0 primary tests"):
        claims.check_claims(doc, listed)
    doc, _ = read()
    doc["claims"][0]["tests"][1]["primary"] = ["human_biopsy"]
    with pytest.raises(InputError, match="3 primary tests"):
        claims.check_claims(doc, listed)
    doc, _ = read()
    doc["claims"][1]["id"] = "C1"
    with pytest.raises(InputError, match="listed twice"):
        claims.check_claims(doc, listed)
