from __future__ import annotations

from math import comb

import pandas as pd
import pytest

from alsmuscle.genesets import calls


def _members(**blocks):
    rows = [
        {"programme": "P", "block": name, "stripped": False, "gene_id": gene}
        for name, own in blocks.items()
        for gene in own
    ]
    return pd.DataFrame(rows)


def _called(**sides):
    rows = [
        {"gene_id": gene, "symbol": gene.upper(), "direction": side, "log2fc": 2.0}
        for side, own in sides.items()
        for gene in own
    ]
    return pd.DataFrame(rows)


def test_the_exact_p_is_that_of_a_draw_without_replacement():
    # 20 genes, 5 called up; of a block of 4 three are called: by hand
    platform = [f"g{i}" for i in range(20)]
    called = _called(up=["g0", "g1", "g2", "g10", "g11"], down=["g19"])
    table = calls.count_blocks(called, platform, _members(b=["g0", "g1", "g2", "g3"]))
    row = table.iloc[0]
    by_hand = sum(comb(5, k) * comb(15, 4 - k) for k in (3, 4)) / comb(20, 4)
    assert row["p_up"] == pytest.approx(by_hand, rel=1e-12)
    assert row["p_down"] == pytest.approx(1.0)
    assert (row["called_up"], row["called_down"], row["background_up"]) == (3, 0, 5)
    assert row["genes_up"] == "G0;G1;G2"
    assert row["usable"]


def test_a_gene_that_no_probe_measures_is_not_counted_and_a_thin_block_decides_nothing():
    platform = [f"g{i}" for i in range(20)]
    blocks = _members(thin=["g0", "x1", "x2", "x3"], fine=["g1", "g2", "g3"], small=["g4", "g5"])
    table = calls.count_blocks(_called(up=["g0", "g1"]), platform, blocks).set_index("block")
    assert table["n_measured"].to_dict() == {"thin": 1, "fine": 3, "small": 2}
    assert table["usable"].to_dict() == {"thin": False, "fine": True, "small": True}
    assert pd.isna(table.loc["thin", "padj_up"])


def test_a_list_that_is_up_as_a_whole_makes_no_block_special():
    # Every second gene is up, and so is every second one of the block.
    platform = [f"g{i}" for i in range(100)]
    called = _called(up=platform[::2])
    row = calls.count_blocks(called, platform, _members(b=platform[:10])).iloc[0]
    assert row["called_up"] == 5
    assert row["p_up"] > 0.5


def test_agreement_of_lists_and_of_a_list_with_effects():
    one = _called(up=["a", "b", "c"], down=["d"])
    two = _called(up=["a", "b"], down=["c", "z"])
    found = calls.agreement(one, two[["gene_id", "direction", "log2fc"]])
    assert (found["n_called"], found["n_shared"], found["n_same"]) == (4, 3, 2)
    effects = pd.DataFrame({"gene_id": list("abcd"), "log2fc": [1.0, -1.0, 0.0, -2.0]})
    found = calls.agreement(one, effects)
    assert (found["n_shared"], found["n_same"]) == (3, 2)
    # by hand: 3 of 4 are up in the list and 1 of 3 in the table, where the 0 has no direction
    assert found["expected_same"] == pytest.approx(3 * (3 / 4 * 1 / 3 + 1 / 4 * 2 / 3))


def test_lists_that_lean_to_opposite_sides_disagree_by_their_margins_alone():
    """Two lists with few genes on one side each: 3 of 26 alike is what their shares give."""
    genes = [f"g{i}" for i in range(241)]
    one = _called(up=genes[:215], down=genes[215:])
    shared = [*genes[:3], *genes[3:24], *genes[215:217]]
    alone = [f"x{i}" for i in range(195)]
    two = _called(up=[*shared[:3], *shared[24:], *alone[:11]], down=[*shared[3:24], *alone[11:]])
    found = calls.agreement(one, two)
    assert (found["n_shared"], found["n_same"]) == (26, 3)
    chance = 215 / 241 * 16 / 221 + 26 / 241 * 205 / 221
    assert found["expected_same"] == pytest.approx(26 * chance)
    by_hand = sum(comb(26, k) * chance**k * (1 - chance) ** (26 - k) for k in range(4))
    assert found["p_fewer"] == pytest.approx(by_hand) and by_hand > 0.3
    assert found["p_more"] == pytest.approx(
        1 - by_hand + comb(26, 3) * chance**3 * (1 - chance) ** 23
    )
