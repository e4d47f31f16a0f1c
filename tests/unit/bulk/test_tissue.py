"""Purity, limb, fibre type and transgene; wasted muscle stays muscle."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.bulk import tissue
from alsmuscle.core import files
from support import ROOT

PANELS = files.read_plain(ROOT / "config" / "tissues.tsv")
LIMITS = {"min_muscle": 8.0, "min_tissue": 6.0, "max_tissue_excess": 3.0}
# Medians of healthy vastus lateralis (GSE184951), log2 counts per million.
NORMAL = {"muscle": 14.7, "blood": 2.6, "leukocyte": 2.1, "fat": 2.7, "tendon": 3.6, "nerve": 3.5}
NORMAL |= {"skin": 0.8, "slow": 12.0, "fast": 12.2, "leg": 2.0, "arm": 0.6, "sod1": 8.0}


def _study(change, n=10, organism="human", more=()):
    """Log2 counts per million of n samples; ``change``: sample → panel → new level."""
    rng = np.random.default_rng(5)
    rows = PANELS[PANELS[organism] != ""].drop_duplicates(organism)
    names = [*rows[organism], *more]
    level = np.array([*(NORMAL[panel] for panel in rows["panel"]), *(0.0 for _ in more)])
    values = np.tile(level, (n, 1)) + rng.normal(0, 0.4, (n, len(names)))
    for sample, panels in change.items():
        for panel, value in panels.items():
            here = [*(rows["panel"] == panel), *(name == panel for name in more)]
            values[sample, here] = value
    ids = [f"G{i}" for i in range(len(names))]
    var = pd.DataFrame({"symbol": names, "source_id": names}, index=ids)
    expression = pd.DataFrame(np.maximum(values, 0), columns=ids)
    expression.index = [f"s{i}" for i in range(n)]
    table = tissue.measure(expression, var, PANELS, organism)
    return table.assign(muscle_declared="vastus lateralis", transgenic=np.nan)


def _flags(table):
    found = tissue.flags(table, **LIMITS)
    return {sample: [name for name, _ in own] for sample, own in found.items() if own}


def test_scores_are_means_over_the_panel():
    table = _study({0: {"fat": 9.0, "slow": 13.0, "fast": 10.0}})
    assert table.loc["s0", "fat"] == pytest.approx(9.0)
    assert table.loc["s0", "slow_fast"] == pytest.approx(3.0)
    assert table.loc["s1", "slow_fast"] == pytest.approx(-0.2, abs=0.5)
    assert _flags(table) == {"s0": ["tissue_fat"]}


def test_clean_muscle_has_no_flag():
    assert _flags(_study({})) == {}


@pytest.mark.parametrize("name", tissue.FOREIGN)
def test_a_tube_with_another_tissue_is_flagged(name):
    table = _study({3: {name: 9.5}})
    assert _flags(table) == {"s3": [f"tissue_{name}"]}
    reason = tissue.flags(table, **LIMITS)["s3"][0][1]
    assert f"{name} 9.5 log2" in reason
    assert ">= 3" in reason


def test_hardly_any_muscle():
    # GSM4158555 of GSE140261: connective tissue and blood, ACTA1, TTN and NEB at 5.4.
    found = _flags(_study({2: {"muscle": 5.4, "tendon": 8.2, "blood": 8.3}}))
    assert found == {"s2": ["not_muscle", "tissue_blood", "tissue_tendon"]}


def test_severely_atrophic_muscle_is_not_called_impure():
    # Fibres lost to a sixteenth, MYH1 and TNNT3 almost silent, and per RNA four times the fat,
    # connective tissue, nerve sheath and macrophages: wasted muscle, and muscle.
    wasted = {"muscle": NORMAL["muscle"] - 4, "fast": 4.0, "slow": 8.0}
    wasted |= {name: NORMAL[name] + 2 for name in ("fat", "tendon", "nerve", "leukocyte")}
    assert _flags(_study(dict.fromkeys(range(3), wasted))) == {}
    assert _flags(_study({0: wasted})) == {}


def test_a_whole_group_of_wasted_muscle_is_not_flagged_against_healthy():
    wasted = {"muscle": 10.0, "fat": 5.9, "tendon": 6.4, "nerve": 6.2, "fast": 4.0}
    assert _flags(_study(dict.fromkeys(range(5), wasted))) == {}


@pytest.mark.parametrize(
    ("muscle", "limb"),
    [
        ("vastus lateralis", "leg"),
        ("Tibialis anterior", "leg"),
        ("lower limb (not stated)", "leg"),
        ("deltoid", "arm"),
        ("biceps brachii", "arm"),
        ("biceps femoris", ""),
        ("quadriceps, deltoid", ""),
        ("diaphragm", ""),
        ("", ""),
    ],
)
def test_limbs_by_name(muscle, limb):
    assert tissue.limb(muscle) == limb


def test_a_leg_that_is_an_arm():
    table = _study({1: {"leg": 0.3, "arm": 4.0}, 2: {"leg": 0.5, "arm": 0.4}})
    assert table["site_inferred"].tolist()[:3] == ["leg", "arm", "unclear"]
    assert _flags(table) == {"s1": ["site_mismatch"]}
    assert _flags(table.assign(muscle_declared="")) == {}


def test_the_human_gene_in_mice():
    obs = pd.DataFrame({"condition": ["sod1_day60"] * 5 + ["wildtype_day60"] * 5})
    carries = tissue.transgenic(obs).to_numpy()
    assert carries.tolist() == [True] * 5 + [False] * 5
    human = {i: {"ENSG00000142168": 9.0} for i in [0, 1, 2, 3, 7]}
    table = _study(human, organism="mouse", more=["ENSG00000142168"])
    assert table["sod1_gene"].unique().tolist() == ["human"]
    assert _flags(table.assign(transgenic=carries)) == {
        "s4": ["transgene_mismatch"],
        "s7": ["transgene_mismatch"],
    }
    # Without the human gene in the matrix, mouse Sod1 says nothing: human reads spill onto it.
    own = _study({}, organism="mouse").assign(transgenic=carries)
    assert own["sod1_gene"].unique().tolist() == ["own"]
    assert _flags(own) == {}


def test_only_named_conditions_carry_a_transgene():
    obs = pd.DataFrame({"condition": ["sod1_wt", "sod1_g93a", "healthy"]})
    assert tissue.transgenic(obs).tolist() == [False, True, False]
    assert tissue.transgenic(obs.iloc[2:]).isna().all()
