"""Programme lists, block scores and effects: hand-computed cases, properties, edge cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from alsmuscle.core.errors import InputError
from alsmuscle.genesets import block_tests, programmes, scoring
from support import ROOT

CONFIG = ROOT / "config"


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(CONFIG / name, sep="\t", dtype=str, keep_default_na=False, quoting=3)


def listed(*rows: tuple[str, ...]) -> pd.DataFrame:
    """Rows of (programme, block, sign, human, mouse, denervation flag)."""
    table = pd.DataFrame(rows, columns=programmes.COLUMNS[:6])
    return table.assign(evidence="S", source="someone 2020 (S)")


@pytest.fixture
def toy() -> pd.DataFrame:
    return listed(
        ("P", "up", "+", "A1", "A1m", "0"),
        ("P", "up", "+", "B1", "B1m", "1"),
        ("P", "up", "+", "C1", "", "0"),
        ("P", "down", "-", "D1", "D1m|D2m", "1"),
        ("P", "down", "-", "E1", "D1m", "1"),
        ("P", "down", "-", "F1", "F1m", "0"),
        ("Q", "half", "0", "A1", "A1m", "0"),
        ("Q", "half", "0", "B1", "B1m", "1"),
    )


HUMAN = pd.DataFrame(
    {
        "gene_id": ["h1", "h2", "h3", "h4", "h5", "h6", "h7"],
        "symbol": ["A1", "B1", "C1", "D1", "E1", "NEWF", "A1"],
        "primary": ["1", "1", "1", "1", "1", "1", "0"],
        "previous": ["", "", "", "", "OLD", "F1;OLD", ""],
    }
)
MOUSE = pd.DataFrame(
    {
        "gene_id": ["m1", "m2", "m3", "m4", "m5"],
        "symbol": ["A1m", "B1m", "D1m", "D2m", "F1m"],
        "previous": ["", "", "", "", ""],
    }
)


# --- the lists -----------------------------------------------------------------------------------


def test_the_list_in_config_is_well_formed_and_every_programme_has_a_note():
    table, notes = read("programmes.tsv"), read("programme_notes.tsv")
    programmes.check(table)
    assert table["programme"].nunique() == 37
    whole = notes[notes["block"] == ""]
    assert list(whole["programme"]) == list(table["programme"].unique())
    assert (whole["caveat"].str.len() > 60).all()
    named = notes[notes["block"] != ""]
    blocks = table[["programme", "block"]].drop_duplicates()
    assert set(zip(named["programme"], named["block"], strict=True)) == set(
        blocks.itertuples(index=False, name=None)
    )
    assert (named["title"] != "").all()


def test_the_key_blocks_say_what_the_brief_says():
    table = read("programmes.tsv")
    plan = programmes.strip_plan(table).set_index(["programme", "block"])
    for key in (("MYOGENIC_DIFF", "mrf"), ("NMJ_POSTSYN", "achr_subunits")):
        assert not plan.loc[key, "stripped"]
        assert "not stripped" in plan.loc[key, "reason"]
    assert plan.loc[("REGENERATION", "regen_program"), "stripped"]
    genes = table.set_index(["programme", "block", "human"])
    assert genes.loc[("MYOGENIC_DIFF", "inhibitors", "DACH2"), "sign"] == "-"
    assert genes.loc[("DENERVATION", "tier1_up", "MYH3"), "evidence"] == "M"
    assert genes.loc[("DENERVATION", "tier1_up", "RUNX1"), "evidence"] == "S"
    unresolved = table[table["block"] == "UNRESOLVED_als_or_denervation"]
    assert set(unresolved["sign"]) == {"0"}  # known from ALS only: no part of the score


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("sign", "up", "unknown sign"),
        ("sign", "-", "several signs"),
        ("human", "B1", "listed twice"),
        ("human", "", "empty human"),
        ("source", " ", "empty source"),
        ("evidence", "X", "unknown evidence"),
        ("in_denervation_signature", "yes", "not a flag"),
        ("in_denervation_signature", "1", "differs between lines"),
    ],
)
def test_a_malformed_list_is_refused_and_names_the_line(toy, column, value, message):
    toy.loc[0, column] = value
    with pytest.raises(InputError, match=message) as error:
        programmes.check(toy)
    assert "P/" in str(error.value)


def test_a_missing_column_is_named(toy):
    with pytest.raises(InputError, match="missing columns evidence"):
        programmes.check(toy.drop(columns="evidence"))


def test_symbols_are_current_former_unknown_or_without_counterpart(toy):
    v = programmes.validate(toy, HUMAN, MOUSE).query("programme == 'P'")
    v = (
        v.drop_duplicates(["organism", "block", "symbol"])
        .set_index(["organism", "block", "symbol"])
        .sort_index()
    )
    assert v.loc[("human", "up", "A1"), "gene_id"] == "h1"  # the primary of two loci
    assert v.loc[("human", "down", "F1"), "status"] == "former"
    assert v.loc[("human", "down", "F1"), "gene_id"] == "h6"
    assert v.loc[("mouse", "up", ""), "status"] == "none"
    assert (v["status"] != "unknown").all()


def test_a_former_symbol_of_two_genes_maps_to_none(toy):
    toy.loc[0, "human"] = "OLD"
    v = programmes.validate(toy, HUMAN, MOUSE)
    assert v.query("organism == 'human' and symbol == 'OLD'")["status"].item() == "unknown"
    lost = programmes.coverage(v).set_index(["organism", "programme", "block"])
    assert lost.loc[("human", "P", "up"), "unknown"] == "OLD"
    assert lost.loc[("human", "P", "up"), "n_mapped"] == 2
    assert lost.loc[("mouse", "P", "up"), "no_counterpart"] == "C1"


def test_a_block_emptied_by_mapping_stops(toy):
    with pytest.raises(InputError, match="P/down/mouse"):
        programmes.validate(toy, HUMAN, MOUSE[MOUSE["symbol"].isin(["A1m", "B1m"])])


def test_mouse_symbols_are_checked_against_one_to_one_orthologs(toy):
    pairs = pd.DataFrame({"human_gene_id": ["h1", "h2", "h9"], "mouse_gene_id": ["m1", "m9", "m5"]})
    v = programmes.validate(toy, HUMAN, MOUSE, pairs).query("organism == 'mouse'")
    found = v.groupby("symbol")["ortholog"].agg(set).to_dict()
    assert found == {
        "A1m": {"agrees"},
        "B1m": {"differs"},  # the table pairs h2 with m9
        "F1m": {"differs"},  # and m5 with h9
        "D1m": {"not 1:1"},
        "D2m": {"not 1:1"},
        "": {""},
    }


def test_stripping_stops_above_one_half(toy):
    plan = programmes.strip_plan(toy).set_index("block")
    assert plan["stripped"].to_dict() == {"up": True, "down": False, "half": True}
    assert plan.loc["down", "reason"].startswith("2 of 3 genes are denervation genes")
    assert plan.loc["half", "reason"] == "1 of 2 genes removed"


def test_blocks_in_both_organisms(toy):
    b = programmes.blocks(toy, "human", HUMAN)
    complete = b[~b["stripped"]].groupby("block")["gene_id"].agg(list).to_dict()
    assert complete == {"up": ["h1", "h2", "h3"], "down": ["h4", "h5", "h6"], "half": ["h1", "h2"]}
    stripped = b[b["stripped"]].groupby("block")["gene_id"].agg(list).to_dict()
    assert stripped == {"up": ["h1", "h3"], "half": ["h1"]}
    assert b.set_index("block")["sign"].to_dict() == {"up": 1, "down": -1, "half": 0}
    m = programmes.blocks(toy, "mouse", MOUSE)
    down = m[(m["block"] == "down") & ~m["stripped"]]
    assert list(down["gene_id"]) == ["m3", "m4", "m5"]  # the shared counterpart enters once
    assert set(m.loc[m["block"] == "up", "n_genes"]) == {2, 1}  # C1 has no counterpart
    with pytest.raises(InputError, match="rat"):
        programmes.blocks(toy, "rat", MOUSE)


def test_blocks_as_human_gene_sets(toy):
    assert programmes.as_sets(toy) == {
        "P: up": ["A1", "B1", "C1"],
        "P: down": ["D1", "E1", "F1"],
        "Q: half": ["A1", "B1"],
    }


# --- scores --------------------------------------------------------------------------------------

SAMPLES = ["s1", "s2", "s3", "s4", "s5", "s6"]


def matrix(rows: dict[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, index=SAMPLES).T


@pytest.fixture
def small() -> pd.DataFrame:
    return matrix(
        {
            "h1": [1, 2, 3, 4, 6, 5],
            "h2": [0, 1, 0, 2, 2, 3],
            "h4": [5, 5, 4, 1, 2, 0],
            "h5": [4, 3, 5, 2, 1, 2],
            "x1": [7, 7, 8, 7, 8, 7],
        }
    )


TWO_GROUPS = pd.DataFrame(
    {"intercept": 1.0, "target": [0.0, 0, 0, 1, 1, 1]}, index=pd.Index(SAMPLES)
)
TARGET = pd.Series({"target": 1.0})


def test_scores_by_hand(toy, small):
    s = scoring.scores(small, programmes.blocks(toy, "human", HUMAN))
    first = s[s["sample_id"] == "s1"].set_index(["block", "stripped"])
    assert first.loc[("up", False), "score"] == 0.5  # (1 + 0) / 2, h3 not measured
    assert first.loc[("up", False), "n_genes"] == 3
    assert first.loc[("up", False), "n_mapped"] == 2
    assert first.loc[("up", True), "score"] == 1.0
    assert first.loc[("down", False), "score"] == -4.5
    assert first.loc[("half", False), "score"] == 0.5  # no direction: plain mean
    assert len(s) == 6 * 5


def test_a_single_block_gives_the_ordinary_t_test(toy, small):
    members = programmes.blocks(toy[toy["block"] == "down"], "human", HUMAN)
    e = block_tests.effects(small, TWO_GROUPS, TARGET, members).iloc[0]
    score = -(small.loc["h4"] + small.loc["h5"]) / 2
    t = stats.ttest_ind(score[3:], score[:3])
    low, high = t.confidence_interval()
    assert e["effect"] == pytest.approx(score[3:].mean() - score[:3].mean())
    assert [e["pvalue"], e["ci_low"], e["ci_high"]] == pytest.approx([t.pvalue, low, high])
    assert e["df"] == 4
    pooled = np.sqrt((score[3:].var() + score[:3].var()) / 2)
    g = (e["effect"] / pooled) * 0.7978845608  # J(4) = sqrt(2 / pi)
    assert e["hedges_g"] == pytest.approx(g, rel=1e-9)
    assert e["hedges_g_var"] == pytest.approx(2 / 3 + g**2 / 8, rel=1e-9)


def test_gene_correlation_of_two_genes_is_that_of_their_residuals(toy, small):
    e = block_tests.effects(small, TWO_GROUPS, TARGET, programmes.blocks(toy, "human", HUMAN))
    e = e.set_index(["block", "stripped"])["gene_correlation"]
    left = small.loc[["h4", "h5"]].T
    left -= left.groupby(TWO_GROUPS["target"]).transform("mean")
    assert e["down", False] == pytest.approx(left.corr().iloc[0, 1])
    assert np.isnan(e["up", True])  # one gene is left


def test_drivers_by_hand(toy):
    de = pd.DataFrame(
        {
            "gene_id": ["h1", "h2", "h4", "h5", "zz"],
            "base_mean": 1.0,
            "log2fc": [0.5, -2.0, 3.0, np.nan, 9.0],
            "lfc_se": 0.1,
            "df": 12.0,
            "padj": 0.5,
        }
    )
    d = scoring.drivers(de, programmes.blocks(toy, "human", HUMAN))
    up = d[(d["block"] == "up") & ~d["stripped"]]
    assert list(up["gene_id"]) == ["h2", "h1"]
    assert list(up["contribution"]) == [-1.0, 0.25]
    down = d[d["block"] == "down"]
    assert list(down["gene_id"]) == ["h4"]  # h5 was not tested
    assert down["contribution"].item() == -3.0
    shrunk = de.assign(log2fc_shrunk=[0.5, -0.1, np.nan, 0.0, 0.0])
    d = scoring.drivers(shrunk, programmes.blocks(toy, "human", HUMAN))
    up = d[(d["block"] == "up") & ~d["stripped"]]
    assert list(up["gene_id"]) == ["h1", "h2"]  # the noisy gene no longer leads
    assert list(up["log2fc"]) == [0.5, -2.0]
    assert d.loc[d["block"] == "down", "contribution"].item() == -3.0  # not shrunk: as it is
    with pytest.raises(InputError, match="gene twice"):
        scoring.drivers(pd.concat([de, de]), programmes.blocks(toy, "human", HUMAN))


def test_swapped_labels_flip_the_sign_and_order_does_not_matter(toy, small):
    members = programmes.blocks(toy, "human", HUMAN)
    a = block_tests.effects(small, TWO_GROUPS, TARGET, members)
    b = block_tests.effects(small, TWO_GROUPS, -TARGET, members)
    np.testing.assert_allclose(a["effect"], -b["effect"])
    np.testing.assert_allclose(a["ci_low"], -b["ci_high"])
    np.testing.assert_allclose(a["hedges_g"], -b["hedges_g"])
    np.testing.assert_allclose(a["pvalue"], b["pvalue"])
    shuffled = small.sample(frac=1, random_state=1).sample(frac=1, axis=1, random_state=2)
    c = block_tests.effects(shuffled, TWO_GROUPS, TARGET, members)
    pd.testing.assert_frame_equal(a, c)


def test_without_the_right_to_test_effects_stay(toy, small):
    members = programmes.blocks(toy, "human", HUMAN)
    e = block_tests.effects(small, TWO_GROUPS, TARGET, members, tested=False)
    assert e[["pvalue", "padj", "ci_low", "ci_high", "pvalue_competitive"]].isna().all(axis=None)
    assert e[["effect", "se", "hedges_g"]].notna().all(axis=None)


def test_one_against_one_gives_effects_only(toy, small):
    members = programmes.blocks(toy, "human", HUMAN)
    pair = ["s1", "s6"]
    e = block_tests.effects(small[pair], TWO_GROUPS.loc[pair], TARGET, members)
    assert e.set_index(["block", "stripped"]).loc[("up", False), "effect"] == 3.5
    assert e[["se", "pvalue", "hedges_g"]].isna().all(axis=None)


def test_a_block_without_measured_genes_is_a_row_of_missing_values(toy, small):
    members = programmes.blocks(toy, "human", HUMAN)
    e = block_tests.effects(small.drop(index=["h4", "h5"]), TWO_GROUPS, TARGET, members)
    row = e[e["block"] == "down"].iloc[0]
    assert row["n_mapped"] == 0
    assert row["n_genes"] == 3
    assert np.isnan(row["effect"])
    assert e.loc[e["block"] == "up", "pvalue"].notna().all()


def test_constant_scores_do_not_crash(toy, small):
    members = programmes.blocks(toy, "human", HUMAN)
    flat = small * 0 + 3
    e = block_tests.effects(flat, TWO_GROUPS, TARGET, members)
    np.testing.assert_allclose(e["effect"], 0, atol=1e-12)


@pytest.mark.parametrize(
    ("design", "contrast", "message"),
    [
        (TWO_GROUPS.iloc[:5], TARGET, "differ in their samples: s6"),
        (TWO_GROUPS.assign(copy=TWO_GROUPS["target"]), TARGET, "full rank"),
        (TWO_GROUPS, pd.Series({"treated": 1.0}), "unknown coefficients: treated"),
        (TWO_GROUPS, [0.0, 0.0], "contrast has shape"),
        (TWO_GROUPS.assign(target=np.nan), TARGET, "missing values"),
    ],
)
def test_bad_designs_speak(toy, small, design, contrast, message):
    members = programmes.blocks(toy, "human", HUMAN)
    with pytest.raises(InputError, match=message):
        block_tests.effects(small, design, contrast, members)


def test_bad_expression_speaks(toy, small):
    members = programmes.blocks(toy, "human", HUMAN)
    with pytest.raises(InputError, match="duplicate gene ids"):
        block_tests.effects(pd.concat([small, small]), TWO_GROUPS, TARGET, members)
    small.iloc[0, 0] = np.nan
    with pytest.raises(InputError, match="missing or infinite"):
        block_tests.effects(small, TWO_GROUPS, TARGET, members)


def test_donor_as_random_effect_needs_donors_beyond_the_design(toy, small):
    members = programmes.blocks(toy, "human", HUMAN)
    donor = pd.Series(["a", "b", "c", "a", "b", "c"], index=SAMPLES)
    columns = pd.get_dummies(donor, dtype=float).assign(target=TWO_GROUPS["target"])
    with pytest.raises(InputError, match="within-donor correlation"):
        block_tests.effects(small, columns, TARGET, members, subject=donor)
    with pytest.raises(InputError, match="subject is missing"):
        block_tests.effects(small, TWO_GROUPS, TARGET, members, subject=donor.drop("s1"))
    alone = pd.Series(SAMPLES, index=SAMPLES)
    pd.testing.assert_frame_equal(
        block_tests.effects(small, TWO_GROUPS, TARGET, members, subject=alone),
        block_tests.effects(small, TWO_GROUPS, TARGET, members),
    )


# --- random sets ---------------------------------------------------------------------------------


def block(name: str, genes: list[str], sign: int = 1) -> pd.DataFrame:
    return pd.DataFrame(
        {"programme": "P", "block": name, "stripped": False, "sign": sign, "gene_id": genes}
    )


def test_matched_sets_match_and_never_hold_the_block():
    mean = pd.Series(np.linspace(0, 10, 1000), index=[f"g{i}" for i in range(1000)])
    own = ["g0", "g500", "g501", "g999"]
    drawn = scoring.matched_sets(mean, block("b", own), 300, seed=1, window=50)
    rows = drawn["P", "b", False]
    assert rows.shape == (300, 4)
    assert not np.isin(rows, [0, 500, 501, 999]).any()
    assert (np.diff(np.sort(rows, axis=1), axis=1) > 0).all()  # nothing twice in a set
    assert np.abs(rows - np.array([0, 500, 501, 999])).max() <= 52
    assert len(np.unique(rows[:, 1])) > 40  # the window is used
    values = np.random.default_rng(2).normal(size=(1000, 5))
    np.testing.assert_allclose(scoring.means(values, rows), values[rows].mean(axis=1), atol=1e-12)
    assert (scoring.means(values, list(rows)) == scoring.means(values, rows)).all()


def test_matched_sets_are_seeded_per_block():
    mean = pd.Series(np.linspace(0, 10, 400), index=[f"g{i}" for i in range(400)])
    one, two = block("b", ["g3", "g200"]), block("c", ["g50"])
    alone = scoring.matched_sets(mean, one, 20, seed=1)
    beside = scoring.matched_sets(mean, pd.concat([two, one]), 20, seed=1)
    other = scoring.matched_sets(mean, one, 20, seed=2)
    key = ("P", "b", False)
    assert (alone[key] == beside[key]).all()
    assert (alone[key] != other[key]).any()


def test_too_few_genes_to_draw_from_speaks():
    mean = pd.Series([1.0, 2, 3, 4, 5], index=list("abcde"))
    with pytest.raises(InputError, match="P/b: 2 genes to draw"):
        scoring.matched_sets(mean, block("b", ["a", "b", "c"]), 5, seed=1)


def test_control_blocks_go_through_the_same_code():
    mean = pd.Series(np.linspace(0, 10, 400), index=[f"g{i}" for i in range(400)])
    members = pd.concat([block("b", ["g3", "g200", "nowhere"], -1), block("c", ["g50"])])
    control = scoring.control_blocks(mean, members, 3, seed=1)
    assert list(control["block"].unique()) == ["b~1", "b~2", "b~3", "c~1", "c~2", "c~3"]
    assert control.groupby("block").size().to_dict() == {
        "b~1": 2, "b~2": 2, "b~3": 2, "c~1": 1, "c~2": 1, "c~3": 1,
    }  # fmt: skip
    assert set(control.loc[control["block"].str.startswith("b"), "sign"]) == {-1}


@pytest.fixture(scope="module")
def shifted() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Study in which 40 % of the genes move, with correlated residuals; 6 against 6."""
    rng = np.random.default_rng(3)
    n, samples = 3000, 12
    level = rng.normal(6, 2, n)
    truth = np.where(rng.random(n) < 0.4, rng.normal(0.4, 0.8, n), 0.0)
    modules = rng.normal(size=(60, samples))[rng.integers(0, 60, n)]
    noise = 0.35 * modules + rng.normal(scale=0.45, size=(n, samples))
    values = level[:, None] + noise
    values[:, 6:] += truth[:, None]
    names = [f"s{i}" for i in range(samples)]
    expression = pd.DataFrame(values, index=[f"g{i}" for i in range(n)], columns=names)
    target = (np.arange(samples) >= 6).astype(float)
    return expression, pd.DataFrame({"i": 1.0, "target": target}, index=names)


def test_where_half_the_genes_move_only_the_competitive_test_holds_its_level(shifted):
    expression, design = shifted
    rng = np.random.default_rng(4)
    sets = [
        block(f"b{i}", list(rng.choice(expression.index, rng.integers(3, 30), replace=False)))
        for i in range(400)
    ]
    e = block_tests.effects(expression, design, TARGET, pd.concat(sets), n_matched=150, seed=9)
    assert (e["pvalue"] < 0.05).mean() > 0.3
    assert 0.02 < (e["pvalue_competitive"] < 0.05).mean() < 0.08
    assert (e["padj_competitive"] < 0.05).sum() <= 2


def test_a_block_that_moves_more_than_its_peers_is_found(shifted):
    expression, design = shifted
    moved = expression.copy()
    genes = list(expression.index[:15])
    moved.loc[genes, design["target"] == 1] += 1.5
    members = pd.concat([block("real", genes, -1), block("idle", list(expression.index[20:40]))])
    e = block_tests.effects(moved, design, TARGET, members, n_matched=200, seed=1)
    e = e.set_index("block")
    assert e.loc["real", "pvalue_competitive"] < 1e-3
    assert e.loc["real", "effect"] < -1  # signed: down-regulated programme
    assert e.loc["real", "background"] < 0  # the background carries the block's sign
    assert e.loc["idle", "pvalue_competitive"] > 0.01
    assert e["background_sd"].between(0.01, 1).all()
    statistic = (e["effect"] - e["background"]) / e["se_competitive"]
    assert (e["se_competitive"] > e["background_sd"]).all()
    normal = 2 * stats.norm.sf(statistic.abs())
    assert (e["pvalue_competitive"] > normal).all()  # a t, here with many degrees of freedom
    assert e.loc["idle", "pvalue_competitive"] == pytest.approx(normal[1], rel=0.02)
