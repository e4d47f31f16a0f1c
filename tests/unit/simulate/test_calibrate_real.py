"""The calibration's own judgement: what counts as true, as wrong, and as a bar that was met."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.simulate import calibrate_real as real
from alsmuscle.simulate import pseudo_studies as pseudo
from alsmuscle.synthesis import claims, verdicts

MEMBERS = pd.DataFrame(
    [
        ("P", "a", False, "g1", 1),
        ("P", "a", False, "g2", 1),
        ("P", "b", False, "g3", 1),
        ("P", "b", True, "g3", 1),
        ("GENE", "X", False, "g4", 1),
        ("RATIO", "X:Y", False, "g4", 1),
        ("RATIO", "X:Y", False, "g5", -1),
    ],
    columns=["programme", "block", "stripped", "gene_id", "sign"],
)


def claim(name, subject, sensitive, *tests):
    return {
        "id": name,
        "subject": subject,
        "denervation_sensitive": sensitive,
        "tests": [
            {"id": f"t{n}", "target": t, "expected": e, "contexts": ["human_biopsy"]}
            for n, (t, e) in enumerate(tests)
        ],
    }


def material(*claims):
    return pseudo.Material({}, None, pd.Series({"g3": 2.0}), MEMBERS, None, {"claims": claims}, {})


def test_blocks_are_means_and_ratios_differences():
    effect = pd.Series({"g1": 1.0, "g2": 0.0, "g3": -0.5, "g4": 1.0, "g5": -1.0})
    truth = pseudo.target_truth(effect, MEMBERS)
    assert truth.to_dict() == {"P/a": 0.5, "P/b": -0.5, "GENE/X": 1.0, "RATIO/X:Y": 2.0}


def test_a_plan_without_effects_holds_none_and_one_with_them_moves_oxphos():
    made = material(claim("C", "myofibre", True, ("P/a", "up"), ("GENE/X", "changed")))
    nothing = pseudo.plan(made, pseudo.ARMS["nothing planted"], 1)
    assert not nothing.intrinsic.any() and not nothing.denervation.any()
    oxphos = MEMBERS.assign(
        programme=MEMBERS["programme"].replace("P", "MITO_OXPHOS"),
        block=MEMBERS["block"].replace("a", "oxphos"),
    )
    plans = [
        pseudo.plan(made._replace(members=oxphos), pseudo.ARMS["planted"], seed)
        for seed in range(30)
    ]
    falls = pd.Series([plan.intrinsic[["g1", "g2"]].mean() for plan in plans])
    assert falls.mean() == pytest.approx(pseudo.OXPHOS_EFFECT, abs=0.1) and (falls < 0).all()
    genes = pd.Series([plan.intrinsic["g4"] for plan in plans])
    assert (genes == 0).any() and (genes > 0.5).any() and (genes < -0.5).any(), "changed: any way"


def rows(*said):
    columns = ["claim", "test", "target", "expected", "question", "verdict"]
    return pd.DataFrame(said, columns=columns).assign(context="human_biopsy", content=False)


def test_what_denervation_could_explain_is_true_only_where_something_is_left():
    made = material(
        claim("C", "myofibre", True, ("P/a", "up"), ("P/b", "up"), ("GENE/X", "down")),
        claim("D", "myofibre", False, ("P/b", "up")),
    )
    expected = pd.DataFrame(
        {"level": {"P/a": 0.6, "P/b": 1.2, "GENE/X": 0.6}, "beyond": {"P/a": 0.6, "GENE/X": 0.6}}
    ).fillna(0.0)
    said = rows(
        ("C", "t0", "P/a", "up", verdicts.LEVEL, verdicts.SUPPORTED),
        ("C", "t1", "P/b", "up", verdicts.LEVEL, verdicts.SUPPORTED),
        ("C", "t2", "GENE/X", "down", verdicts.LEVEL, verdicts.SUPPORTED),
        ("D", "t0", "P/b", "up", verdicts.LEVEL, verdicts.SUPPORTED),
        ("D", "t0", "P/b", "up", verdicts.BEYOND, verdicts.SUPPORTED),
    )
    out = real.with_truth(said, made, expected)
    assert out["is_true"].tolist() == [True, False, False, True, False]
    assert out["strong"].tolist() == [True, False, False, True, False]
    assert out["true_size"].tolist() == [0.6, 0.0, -0.6, 1.2, 0.0]
    single = real.with_truth(
        rows(("C", "t2", "GENE/X", "up", verdicts.LEVEL, verdicts.SUPPORTED)), made, expected
    )
    assert single["is_true"].all() and not single["strong"].any(), "genes need twice as much"


def summary(arm, **more):
    part = pd.DataFrame(
        {
            "arm": arm,
            "k_planned": 3,
            "seed": [1, 1, 2, 2],
            "verdict": [verdicts.SUPPORTED, verdicts.SUPPORTED, verdicts.NOT_ENOUGH] * 1
            + [verdicts.CONTRADICTED],
            "is_true": [True, False, True, True],
            "strong": [True, False, True, False],
            "sensitive": [False, True, True, True],
            "content": [False, True, False, False],
            "subject": "myofibre",
            "target": ["P/a", "P/b", "P/a", "P/b"],
            "delta": [0.1, np.nan, 0.3, 0.2],
            "delta_ci_low": 0.0,
            "delta_ci_high": 0.5,
            "true_beyond": [0.4, 0.0, 0.6, 0.2],
        }
    ).assign(**more)
    none = pd.DataFrame(columns=["arm", "k_planned", "verdict", "called", "false", "k", "truth"])
    return real.summarise(
        real.Replicate(part, none, none, pd.DataFrame(), none), pd.DataFrame()
    ).set_index("what")


def test_wrong_rows_are_counted_and_content_is_right_under_composition():
    planted = summary("planted")
    assert planted.loc["wrong share of supported rows", ["value", "n", "met"]].tolist() == [
        *(0.5, 2, "no")
    ]
    mixed = summary("composition and planted")
    assert mixed.loc["wrong share of supported rows", ["value", "n", "met"]].tolist() == [
        *(0.0, 2, "yes")
    ]
    alone = summary("composition", is_true=False, content=[False, True, False, False])
    assert alone.loc["wrong share of supported rows", ["value", "met"]].tolist() == [0.5, "no"]
    assert alone.loc["wrongly supported of all rows asked", "value"] == 0.25
    strong = planted.loc["strong true rows supported"]
    assert strong[["value", "n", "met"]].tolist() == [0.5, 2, "yes"]
    intrinsic = planted.loc["strong intrinsic rows supported"]
    assert intrinsic[["value", "n", "met"]].tolist() == [0.0, 1, "no"]
    assert planted.loc["rows contradicted", "value"] == 0.25
    delta = planted.loc["coverage of pooled 95 % intervals of Delta"]
    assert delta[["value", "n"]].tolist() == [pytest.approx(2 / 3), 3]


def test_where_nothing_is_true_replicates_are_counted_that_say_something():
    none = summary("nothing planted", is_true=False)
    counted = none.loc["replicates with a wrongly supported row"]
    assert counted[["value", "n"]].tolist() == [0.5, 2]
    assert "replicates with a wrongly supported row" not in summary("planted").index


def test_effects_as_large_as_stated_are_tried_in_another_replicate():
    names, rng = ["a", "b", "d"], np.random.default_rng(0)
    facts = {"contrast": "c", "stage": "", "tag": "", "sample_kind": "bulk_tissue"}
    facts |= {"role": "als_patient", "species": "human", "eligible": True, "reason": ""}
    table = pd.DataFrame({"dataset": names, "cluster": names}).assign(**facts)
    blocks = pd.MultiIndex.from_product([names, ["a", *(f"o{n}" for n in range(40))]])
    data = blocks.to_frame(index=False, name=["dataset", "block"])
    data["effect"] = data["effect_adjusted"] = rng.normal(0, 0.05, len(data))
    data = data.assign(se=0.05, se_adjusted=0.05, df=10.0, df_adjusted=9.0, contrast="c")
    data = data.assign(programme="P", stripped=False, cell_type="muscle")
    context = {"role": "als_patient", "species": "human", "sample_kinds": ["bulk_tissue"]}
    document = {
        "contexts": {"human_biopsy": {**context, "cell_types": ["muscle"]}},
        "claims": [claim("C", "myofibre", False, ("P/a", "up")) | {"statement": ""}],
    }
    rules = verdicts.Rules(0.05, 0.2, 0.5, 3, 2, 0.8, 0.05, 0.8, 0.35, 1 / 3, 0.6)
    asked = claims.cases(document, data, table, rules=rules)
    stated = claims.decided(asked, rules)
    found = real.reached(asked, stated, rules)
    assert found["verdict"].tolist() == [verdicts.SUPPORTED] and found["passed"].all()
    assert not real.reached(asked, stated.assign(detectable_effect=0.05), rules)["passed"].any()
    down = real.reached(asked, stated.assign(expected="down", detectable_effect=0.5), rules)
    assert down["verdict"].tolist() == [verdicts.CONTRADICTED] and not down["passed"].any()


def test_nothing_to_judge_on_is_no_bar_met():
    lines = real._Lines()
    lines.add("planted", 3, "coverage", float("nan"), 0, low=0.93, high=0.98)
    assert lines.lines[0]["met"] == "not measured"


def test_a_replicate_is_kept_whole(tmp_path):
    table = pd.DataFrame({"dataset": ["s1"], "value": [1.5]})
    one, tables = real.Replicate(*[table] * 5), real.Tables(*[table] * 4)
    real._keep(tmp_path / "planted_1", one, tables)
    assert [path.name for path in tmp_path.iterdir()] == ["planted_1"]
    read, others = real._kept(tmp_path / "planted_1")
    assert all(part.equals(table) for part in (*read, *others))
