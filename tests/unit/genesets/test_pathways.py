"""Gene-set tests: independent enrichment score, brute-force p-values, hand-computed cases."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alsmuscle.core.errors import InputError
from by_config import camera as camera_test
from by_config import pathways, set_tests
from support import ROOT


def running_sum(values: list[float], inside: list[bool], weight: float) -> float:
    """Enrichment score from its definition (Subramanian 2005), gene by gene."""
    total = sum(abs(v) ** weight for v, hit in zip(values, inside, strict=True) if hit)
    misses = inside.count(False)
    here = best = 0.0
    for v, hit in zip(values, inside, strict=True):
        here += abs(v) ** weight / total if hit else -1 / misses
        if abs(here) > abs(best):
            best = here
    return best


@pytest.fixture(scope="module")
def study() -> tuple[pd.Series, dict[str, dict[str, list[str]]]]:
    rng = np.random.default_rng(5)
    names = [f"Gene{i}" for i in range(1000)]
    statistic = pd.Series(rng.standard_t(6, 1000), index=names)
    ranked = statistic.sort_values(ascending=False).index
    sets = {
        f"random {i}": list(rng.choice(names, rng.integers(10, 60), replace=False))
        for i in range(24)
    }
    sets["top; odd, name"] = list(ranked[:15])
    sets["bottom"] = list(ranked[-20:])
    sets["mostly up"] = list(ranked[:12]) + list(rng.choice(names, 20, replace=False))
    sets["both ends"] = list(ranked[:15]) + list(ranked[-15:])
    sets["too small"] = names[:9]
    sets["absent"] = ["Nothing", *names[100:112]]
    return statistic, {"A": sets, "B": {"random 1": sets["random 1"]}}


@pytest.fixture(scope="module")
def result(study) -> pd.DataFrame:
    return pathways.gsea(*study, seed=1)


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_enrichment_scores_agree_with_their_definition(study, weight):
    statistic, collections = study
    ours = pathways.gsea(statistic, {"A": collections["A"]}, seed=1, weight=weight)
    ranked = statistic.sort_values(ascending=False)
    assert len(ours) == 29
    for row in ours.itertuples():
        genes = set(collections["A"][row.term])
        expected = running_sum(list(ranked), [g in genes for g in ranked.index], weight)
        assert row.es == pytest.approx(expected, abs=1e-12)
        assert row.size == len(genes & set(ranked.index))


def test_p_values_agree_with_brute_force(study, result):
    """Random sets of equal size; the share of those of the score's sign that are as extreme."""
    statistic, _ = study
    values = np.sort(statistic.to_numpy())[::-1]
    rng = np.random.default_rng(8)
    n = len(values)
    checked = result[result["collection"].eq("A") & result["pvalue"].between(0.02, 0.9)].head(6)
    assert len(checked) == 6
    for row in checked.itertuples():
        draws = np.empty(3000)
        for i in range(len(draws)):
            at = np.sort(rng.choice(n, row.size, replace=False))
            hit = np.cumsum(np.abs(values[at]))
            hit /= hit[-1]
            miss = (at - np.arange(row.size)) / (n - row.size)
            high, low = (hit - miss).max(), (np.r_[0, hit[:-1]] - miss).min()
            draws[i] = high if high > -low else low
        side = draws[np.sign(draws) == np.sign(row.es)]
        p = (np.abs(side) >= abs(row.es)).mean()
        error = np.sqrt(p * (1 - p) / len(side) + row.pvalue * (1 - row.pvalue) / 1000)
        assert abs(p - row.pvalue) < 4 * error
        assert row.nes == pytest.approx(row.es / abs(side.mean()), rel=0.06)


def test_planted_sets_lead_with_their_direction(result):
    a = result[result["collection"] == "A"].set_index("term")
    assert a.loc["top; odd, name", "es"] == pytest.approx(1, abs=1e-12)
    assert a.loc["bottom", "nes"] < -2.5
    assert a.loc[["top; odd, name", "bottom"], "padj"].max() < 1e-8
    assert result["pvalue"].min() == 1e-10  # the stated floor, never 0
    assert "too small" not in a.index
    assert a.loc["absent", "size"] == 12


def test_leading_edge_starts_at_the_extreme_and_stays_in_the_set(study, result):
    statistic, collections = study
    for row in result[result["term"].isin(["bottom", "mostly up"])].itertuples():
        edge = row.leading_edge.split(";")
        assert set(edge) <= set(collections["A"][row.term])
        ordered = statistic[edge].sort_values(ascending=row.es < 0).index
        assert list(ordered) == edge


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_numbers_and_leading_edges_are_those_of_gseapy(study, weight):
    """The package's own door, which sorts, renames and tabulates around what both call."""
    import gseapy

    statistic, collections = study
    ranked = statistic.sort_values(ascending=False)
    sets = {
        term: [gene for gene in genes if gene in ranked.index]
        for term, genes in collections["A"].items()
    }
    options = {"weight": weight, "permutation_num": 1000, "seed": 1, "min_size": 10, "threads": 1}
    options["eps"] = 1e-10  # as ours; theirs, 1e-50, takes seconds
    theirs = gseapy.prerank(
        ranked, sets, outdir=None, no_plot=True, method="multilevel", ascending=None, **options
    ).res2d.set_index("Term")
    ours = pathways.gsea(statistic, {"A": sets}, seed=1, weight=weight, permutations=1000)
    ours = ours.set_index("term").loc[theirs.index]
    assert len(ours) == 29
    assert (ours["leading_edge"] == theirs["Lead_genes"]).all()
    np.testing.assert_allclose(ours["es"], theirs["ES"].astype(float), rtol=1e-12)
    # Random sets are drawn by the order of names, which differs.
    np.testing.assert_allclose(ours["nes"], theirs["NES"].astype(float), rtol=0.05)


def test_order_of_genes_sets_and_collections_changes_no_byte(study, result):
    statistic, collections = study
    turned = {"B": collections["B"], "A": dict(reversed(list(collections["A"].items())))}
    again = pathways.gsea(statistic.sample(frac=1, random_state=3), turned, seed=1)
    assert list(again["collection"].unique()) == ["B", "A"]
    merged = [
        t.sort_values(["collection", "term"]).to_csv(index=False, sep="\t") for t in (result, again)
    ]
    assert merged[0] == merged[1]
    other = pathways.gsea(statistic, {"A": collections["A"]}, seed=2)
    assert (other["pvalue"].to_numpy() != result["pvalue"].to_numpy()[:-1]).any()


def test_swapped_contrast_mirrors_the_scores(study, result):
    statistic, collections = study
    mirror = pathways.gsea(-statistic, collections, seed=1, permutations=100)
    both = result.merge(mirror, on=["collection", "term"])
    np.testing.assert_allclose(both["es_x"], -both["es_y"], atol=1e-12)


def test_padj_is_per_collection(result):
    for _, part in result.groupby("collection"):
        expected = stats.false_discovery_control(part["pvalue"])
        np.testing.assert_allclose(part["padj"], expected)


def test_a_statistic_of_ties_is_refused(study, capfd):
    statistic, collections = study
    with pytest.raises(InputError, match=r"cannot rank these statistics: \d+% are tied"):
        pathways.gsea(statistic.round(0), collections, seed=1)


def test_a_few_ties_are_ordered_by_name(study):
    statistic, collections = study
    tied = statistic.copy()
    tied.iloc[:60] = tied.iloc[0]
    a = pathways.gsea(tied, {"B": collections["B"]}, seed=1)
    b = pathways.gsea(tied.iloc[::-1], {"B": collections["B"]}, seed=1)
    pd.testing.assert_frame_equal(a, b)


def test_bad_rankings_speak(study):
    statistic, collections = study
    with pytest.raises(InputError, match="named twice"):
        pathways.gsea(pd.concat([statistic, statistic[:2]]), collections, seed=1)
    with pytest.raises(InputError, match="missing or infinite"):
        pathways.gsea(statistic.mask(statistic > 3), collections, seed=1)
    with pytest.raises(InputError, match="sizes 20 to 10"):
        pathways.gsea(statistic, collections, seed=1, min_size=20, max_size=10)


def test_no_set_of_the_right_size_gives_an_empty_table(study, result):
    statistic, collections = study
    none = pathways.gsea(statistic, collections, seed=1, min_size=800, max_size=900)
    assert none.empty
    assert list(none.columns) == list(result.columns)


# --- ranking -------------------------------------------------------------------------------------


def test_ranking_keeps_the_most_expressed_gene_of_a_name():
    de = pd.DataFrame(
        {
            "gene_id": ["e1", "e2", "e3", "e4", "e5", "e6"],
            "symbol": ["A", "A", "B", None, "C", "D"],
            "base_mean": [10.0, 50.0, 5.0, 3.0, 3.0, 9.0],
            "stat": [9.0, -1.0, 2.0, 2.0, np.nan, 2.0],
        }
    )
    r = pathways.ranking(de)
    # A by its more expressed gene, not the larger effect; C untested; ties by name.
    assert r.to_dict() == {"B": 2.0, "D": 2.0, "e4": 2.0, "A": -1.0}
    assert list(r.index) == ["B", "D", "e4", "A"]
    human = pathways.ranking(de, names=pd.Series({"e3": "HB"}))
    assert set(human.index) == {"HB", "e1", "e2", "e4", "e6"}
    with pytest.raises(InputError, match="infinite"):
        pathways.ranking(de.assign(stat=np.inf))


def test_ranked_genes_are_those_of_two_sorts_by_number_and_text():
    rng = np.random.default_rng(5)
    n = 400
    de = pd.DataFrame(
        {
            "gene_id": rng.permutation([f"e{i}" for i in range(n)]),
            "symbol": rng.choice([f"S{i}" for i in range(250)], n),
            "base_mean": rng.choice([np.nan, 0.0, -0.0, *range(1, 30)], n),
            "stat": rng.choice([np.nan, 0.0, -0.0, *rng.normal(size=60)], n),
        }
    )
    table = de[de["stat"].notna()].rename(columns={"symbol": "name"})
    for number, text in (("base_mean", "gene_id"), ("stat", "name")):
        table = table.sort_values([number, text], ascending=[False, True], kind="stable")
        table = table.drop_duplicates("name")
    expected = table[["gene_id", "name", "stat"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(pathways.ranked_genes(de), expected)


# --- GMT -----------------------------------------------------------------------------------------


def test_gmt():
    sets = pathways.parse_gmt("S one\tna\tA\tB,1.0\tA\t\n\nT\t\tC\r\n")
    assert sets == {"S one": ["A", "B"], "T": ["C"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("S\tna\n", "without name or genes"),
        ("S\tx\tA\nS\tx\tB", "appears twice"),
        ("\n", "no gene"),
    ],
)
def test_bad_gmt_speaks(text, message):
    with pytest.raises(InputError, match=message):
        pathways.parse_gmt(text)


def test_a_damaged_collection_is_skipped(caplog):
    found = pathways.parse_collections({"a": "S\tna\tA\n", "b": "<html>busy</html>", "c": "S\tna"})
    assert found == {"a": {"S": ["A"]}}
    assert "'b' are skipped" in caplog.text and "'c' are skipped" in caplog.text


def test_the_registry_of_collections_pins_what_was_verified():
    path = ROOT / "config" / "collections.yaml"
    registry = yaml.safe_load(path.read_text())
    assert {"hallmark", "go_bp", "reactome", "wikipathways"} <= set(registry)
    for entry in registry.values():
        assert entry["licence"]
        assert str(entry["version"]) in entry["url"]
        assert bool(entry["sha256"]) == entry["verified"]


# --- over-representation -------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_over_representation_is_fishers_exact_test(size, chosen, start):
    tested = [f"g{i}" for i in range(60)]
    genes, selected = tested[:size], tested[start : start + chosen]
    row = pathways.ora(selected, tested, {"C": {"t": genes}}, min_size=1).iloc[0]
    both = len(set(genes) & set(selected))
    cells = [[both, size - both], [chosen - both, 60 - size - chosen + both]]
    assert row["pvalue"] == pytest.approx(stats.fisher_exact(cells, "greater").pvalue)
    assert row["overlap"] == both
    assert row["fold"] == pytest.approx(both / (size * chosen / 60))


def test_untested_genes_do_not_count():
    collections = {"C": {"t": ["a", "b", "never measured"]}}
    row = pathways.ora(["a"], ["a", "b", "c", "d"], collections, min_size=1).iloc[0]
    assert row["size"] == 2
    assert row["pvalue"] == pytest.approx(0.5)
    assert row["genes"] == "a"
    with pytest.raises(InputError, match="were not tested: z"):
        pathways.ora(["z"], ["a"], collections)


# --- camera --------------------------------------------------------------------------------------


def test_camera_without_correlation_is_the_two_sample_t_test(study):
    statistic, collections = study
    ours = camera_test.camera_pr(statistic, {"A": collections["A"]}, inter_gene_cor=0)
    for row in ours.head(5).itertuples():
        inside = statistic.index.isin(collections["A"][row.term])
        t = stats.ttest_ind(statistic[inside], statistic[~inside])
        assert row.pvalue == pytest.approx(t.pvalue, rel=1e-9)
        assert row.delta == pytest.approx(statistic[inside].mean() - statistic[~inside].mean())


def test_correlation_costs_certainty(study):
    statistic, collections = study
    sets = {"A": collections["A"]}
    p = [
        camera_test.camera_pr(statistic, sets, inter_gene_cor=r).set_index("term")["pvalue"]
        for r in (0, 0.01, 0.1)
    ]
    for low, high in itertools.pairwise(p):
        assert (high >= low[high.index] * (1 - 1e-12)).all()


def test_normal_scores_are_those_of_the_t_distribution():
    t = np.array([-8.0, -2.5, -0.1, 0.0, 1.0, 4.0])
    for df in (3.0, 10.0, 200.0):
        exact = -stats.norm.isf(stats.t.cdf(t, df))
        np.testing.assert_allclose(camera_test._normal_score(t, df), exact, rtol=2e-3, atol=1e-9)


def test_camera_holds_its_level_where_gsea_does_not():
    """Null study, sets of correlated genes: camera about 5 %, preranked permutation far above."""
    rng = np.random.default_rng(6)
    names = [f"g{i}" for i in range(900)]
    module = np.arange(900) // 30
    sets = {"M": {f"m{k}": [names[i] for i in np.flatnonzero(module == k)] for k in range(30)}}
    samples = [f"s{i}" for i in range(16)]
    design = pd.DataFrame({"i": 1.0, "t": np.repeat([0.0, 1.0], 8)}, index=samples)
    contrast = pd.Series({"t": 1.0})
    camera, ranked = [], []
    for _ in range(2):
        noise = 0.7 * rng.normal(size=(30, 16))[module] + 0.7 * rng.normal(size=(900, 16))
        x = pd.DataFrame(noise, index=names, columns=samples)
        camera.append(camera_test.camera(x, design, contrast, sets)["pvalue"])
        t = stats.ttest_ind(x.iloc[:, 8:], x.iloc[:, :8], axis=1).statistic
        found = pathways.gsea(pd.Series(t, index=names), sets, seed=1, permutations=100)
        ranked.append(found["pvalue"])
    assert (pd.concat(camera) < 0.05).mean() < 0.1
    assert (pd.concat(ranked) < 0.05).mean() > 0.3


def test_camera_refuses_what_it_cannot_compare(study):
    statistic, _ = study
    with pytest.raises(InputError, match="every gene"):
        camera_test.camera_pr(statistic[:20], {"A": {"all": list(statistic.index[:20])}})
    with pytest.raises(InputError, match="inter_gene_cor is 1"):
        camera_test.camera_pr(statistic, {}, inter_gene_cor=1)
    assert camera_test.camera_pr(statistic, {}).empty


# --- sets as blocks ------------------------------------------------------------------------------


def test_set_effects_by_hand_and_against_matched_sets():
    rng = np.random.default_rng(7)
    ids = [f"e{i}" for i in range(600)]
    samples = [f"s{i}" for i in range(12)]
    x = pd.DataFrame(rng.normal(6, 1.5, (600, 1)) + rng.normal(0, 0.4, (600, 12)), ids, samples)
    x.iloc[:300, 6:] += rng.normal(0, 1, (300, 1))  # half the genes move, either way
    x.iloc[:20, 6:] += 1.2
    x.loc["e0"] = x.loc["e599"] - 9  # a second, lowly expressed gene of the name
    names = pd.Series([f"N{i}" for i in range(600)], index=ids)
    names["e0"] = names["e599"]
    design = pd.DataFrame({"i": 1.0, "t": np.repeat([0.0, 1.0], 6)}, index=samples)
    collections = {
        "A": {"moved": [f"N{i}" for i in range(1, 20)], "idle": [f"N{i}" for i in range(400, 430)]},
        "B": {"shared name": ["N599", *(f"N{i}" for i in range(500, 520))], "tiny": ["N1"]},
    }
    r = set_tests.set_effects(x, design, [0.0, 1.0], collections, names=names, seed=1)
    assert list(r["collection"]) == ["A", "A", "B"]
    r = r.set_index("term")
    change = x.iloc[:, 6:].mean(axis=1) - x.iloc[:, :6].mean(axis=1)
    assert r.loc["moved", "effect"] == pytest.approx(change.iloc[1:20].mean())
    genes = ["e599", *(f"e{i}" for i in range(500, 520))]
    assert r.loc["shared name", "effect"] == pytest.approx(change[genes].mean())
    assert r.loc["moved", "pvalue_competitive"] < 1e-3
    assert r.loc["idle", "pvalue_competitive"] > 0.05
    assert set_tests.set_effects(x, design, [0.0, 1.0], {}, names=names).empty


def test_matched_sets_hold_only_genes_that_a_set_could_hold():
    rng = np.random.default_rng(8)
    ids = [f"e{i}" for i in range(400)]
    samples = [f"s{i}" for i in range(10)]
    x = pd.DataFrame(6 + rng.normal(0, 0.1, (400, 10)), ids, samples)
    x.iloc[200:, 5:] += 5  # genes of another kind: no name, or an empty one
    names = pd.Series([f"N{i}" for i in range(200)] + [""] * 100, index=ids[:300])
    design = pd.DataFrame({"i": 1.0, "t": np.repeat([0.0, 1.0], 5)}, index=samples)
    sets = {"A": {"idle": [f"N{i}" for i in range(20)], "other": [f"N{i}" for i in range(50, 80)]}}
    r = set_tests.set_effects(x, design, [0.0, 1.0], sets, names=names, seed=1)
    assert (r["background"].abs() < 0.2).all()


def study_of_sets() -> dict:
    """600 genes, 12 samples, 20 genes up; two ids share a name; the last 100 genes not callable."""
    rng = np.random.default_rng(3)
    ids = [f"e{i}" for i in range(600)]
    samples = [f"s{i}" for i in range(12)]
    x = pd.DataFrame(rng.normal(6, 1.5, (600, 1)) + rng.normal(0, 0.4, (600, 12)), ids, samples)
    x.iloc[:20, 6:] += 1.2
    x.iloc[20:30, 6:] -= 1.2
    design = pd.DataFrame({"i": 1.0, "t": np.repeat([0.0, 1.0], 6)}, index=samples)
    t, p = stats.ttest_ind(x.iloc[:, 6:], x.iloc[:, :6], axis=1)
    padj = stats.false_discovery_control(p)
    padj[500:] = np.nan
    names = pd.Series([f"N{i}" for i in range(600)], index=ids)
    names["e599"], names["e598"] = "N598", ""
    de = pd.DataFrame(
        {"gene_id": ids, "symbol": names.to_numpy(), "base_mean": 2.0 ** x.mean(axis=1).to_numpy()}
    ).assign(stat=t, log2fc=t, pvalue=p, padj=padj)
    collections = {
        "A": {
            "up": [f"N{i}" for i in range(15)],
            "copy": [f"N{i}" for i in range(2, 14)],
            "down": [f"N{i}" for i in range(20, 30)],
            "idle": [f"N{i}" for i in range(480, 520)],
        }
    }
    ranked = pathways.gsea(pathways.ranking(de), collections, seed=1, permutations=101)
    arguments = (x, design, [0.0, 1.0], de, collections, ranked)
    return {"arguments": arguments, "names": names, "padj": 0.05, "n_matched": 50, "seed": 1}


def test_sets_stand_side_by_side_with_what_each_test_gives_alone():
    given_ = study_of_sets()
    x, design, contrast, de, collections, _ = given_["arguments"]
    r = set_tests.test_sets(*given_.pop("arguments"), **given_).set_index("term")
    names = given_["names"]
    alone = set_tests.set_effects(
        x, design, contrast, collections, names=names, n_matched=50, seed=1
    ).set_index("term")
    for column in ("size", "effect", "ci_low", "pvalue_competitive", "padj_competitive"):
        assert r[column].equals(alone[column].loc[r.index])
    assert r.loc["up", "pvalue_competitive"] < 1e-3
    assert r.loc["idle", "pvalue_competitive"] > 0.05

    by_name = x.drop(index="e599" if x.loc["e599"].mean() < x.loc["e598"].mean() else "e598")
    camera = camera_test.camera(
        by_name.set_axis([f"N{g[1:]}" for g in by_name.index]), design, contrast, collections
    ).set_index("term")["pvalue"]
    assert r["camera_pvalue"].to_numpy() == pytest.approx(camera[r.index].to_numpy(), rel=0.05)

    # Over-representation by Fisher's test, on the 500 genes that could be called.
    callable_ = de.head(500)
    up = ((callable_["padj"] < 0.05) & (callable_["stat"] > 0)).to_numpy()
    for term, members in collections["A"].items():
        inside = callable_["symbol"].isin(members).to_numpy()
        cells = [[(up & inside).sum(), (up & ~inside).sum()]]
        cells.append([(~up & inside).sum(), (~up & ~inside).sum()])
        expected = stats.fisher_exact(cells, "greater").pvalue
        assert r.loc[term, "ora_up_pvalue"] == pytest.approx(expected)
    assert r.loc["down", "ora_down_pvalue"] < 1e-6 < r.loc["down", "ora_up_pvalue"]

    first = r[r.index.isin(["up", "copy"])].index[0]
    assert r.loc["up", "group"] == r.loc["copy", "group"] == f"A: {first}"
    assert r.loc["down", "group"] == "A: down"


def test_sets_without_the_right_to_test_keep_effects_only():
    given_ = study_of_sets()
    r = set_tests.test_sets(*given_.pop("arguments"), **given_, tested=False)
    assert r["effect"].notna().all() and (r["group"] != "").all()
    assert r.filter(regex="pvalue|padj").isna().all(axis=None)


def test_sets_leave_out_genes_without_a_statistic_and_may_be_none():
    given_ = study_of_sets()
    x, design, contrast, de, collections, ranked = given_.pop("arguments")
    blank = de.assign(stat=de["stat"].mask(de["gene_id"] == "e0"))
    r = set_tests.test_sets(x, design, contrast, blank, collections, ranked, **given_)
    assert r.set_index("term").loc["up", "size"] == 14
    none = set_tests.test_sets(x, design, contrast, de, {}, ranked.head(0), **given_)
    assert none.empty and list(none.columns) == set_tests.SETS


# --- display -------------------------------------------------------------------------------------


def test_redundant_terms_join_the_strongest_of_their_direction():
    table = pd.DataFrame(
        {
            "collection": ["A", "A", "B", "A", "A"],
            "term": ["weak copy", "strong", "copy", "opposite", "other"],
            "nes": [1.5, 2.5, 2.0, -2.0, 1.2],
            "pvalue": [0.01, 1e-5, 1e-3, 1e-4, 0.02],
            "leading_edge": ["a;b;z", "a;b;c;d", "c;d", "a;b;c;d", "x;y;a"],
        },
        index=[10, 11, 12, 13, 14],
    )
    group = set_tests.group_terms(table, overlap=0.5)
    assert group.to_dict() == {
        10: "A: strong",
        11: "A: strong",
        12: "A: strong",
        13: "A: opposite",
        14: "A: other",
    }
    assert (set_tests.group_terms(table, overlap=1.0) == "A: strong").sum() == 2
    unknown = set_tests.group_terms(table.assign(leading_edge=""))
    assert unknown.is_unique  # nothing known to be shared
    with pytest.raises(InputError, match="overlap is 0"):
        set_tests.group_terms(table, overlap=0)


def test_nothing_to_rank_gives_an_empty_table(study):
    # A contrast of too few samples has no statistic; the run goes on.
    nothing = pathways.gsea(pd.Series([], dtype=float), {"own": {"a": ["x"]}}, seed=0)
    assert nothing.empty and {"term", "nes", "padj"} <= set(nothing.columns)
