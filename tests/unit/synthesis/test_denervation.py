"""The synthesis around the statistics: its inputs, its tables, its pages."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import report_fixture as fx
from alsmuscle.bulk.block_effects import GeneFit, block_effects
from alsmuscle.core import contracts
from alsmuscle.data import cards
from alsmuscle.genesets import targets
from alsmuscle.report import build
from alsmuscle.synthesis import blocks as block_tables
from alsmuscle.synthesis import (
    changes,
    claim_studies,
    claims,
    contrasts,
    denervation,
    dictionary,
    pool,
)
from alsmuscle.synthesis.blocks import BLOCK, KEY
from alsmuscle.synthesis.pooled import Pooling
from alsmuscle.synthesis.tables import (
    BLOCKS,
    CHANGES,
    CLAIM_STUDIES,
    CLAIMS,
    DELTAS,
    DENERVATION,
    DICTIONARY,
    POOLED_GENES,
    POOLED_PROGRAMMES,
    RANDOM_SETS,
    SPECIFICITY,
)
from alsmuscle.synthesis.verdicts import VERDICTS, Rules
from parsed_page import Parsed
from support import ROOT

CARD = {"id": "s1", "organism": "human", "modality": "bulk", "platform": "HiSeq"}
CONTRAST = {
    "id": "c", "role": "myopathy", "stage": "", "variable": "condition", "target": "ill",
    "reference": "well", "adjust": [], "block": None, "within": {},
}  # fmt: skip


SETTINGS = cards.load_yaml(ROOT / "config" / "config.yaml")["synthesis"]["rules"]
RULES = Rules(**SETTINGS)
POOLING = Pooling(**{name: SETTINGS[name] for name in Pooling._fields})


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "config" / "claims.yaml").read_text())
    return loaded


def facts(*studies: tuple[str, str, str], simulated: bool = False) -> pd.DataFrame:
    rows = [
        {
            "dataset": dataset, "contrast": "c", "role": role, "species": species, "stage": "",
            "muscle": "", "material": "biopsy" if species == "human" else "whole muscle",
            "modality": "bulk", "platform": "HiSeq", "n_target": 6, "n_reference": 6,
            "cluster": "", "confounded": "", "simulated": simulated, "published": False,
        }
        for dataset, role, species in studies
    ]  # fmt: skip
    return contrasts.contrast_table(pd.DataFrame(rows), min_donors=3, include_confounded=False)


MIRROR_LIKE = [
    ("f1", "myopathy", "human"),
    ("f2", "ageing", "human"),
    ("m1", "disuse", "mouse"),
    ("m2", "denervation", "mouse"),
]


def block_table(document: dict[str, Any], studies: dict[str, float]) -> pd.DataFrame:
    """Every target moves as much in every gene;
    nothing changes when composition is adjusted for.
    """
    asked = sorted({t["target"] for claim in document["claims"] for t in claim["tests"]})
    rows = [
        (name, "c", "muscle", *target.split("/", 1), False, value, 0.1, 10.0)
        for name, value in studies.items()
        for target in asked
    ]
    table = pd.DataFrame(rows, columns=[*KEY, *BLOCK, "effect", "se", "df"])
    table = table.assign(ci_low=table["effect"] - 0.2, ci_high=table["effect"] + 0.2)
    for name in ("effect", "se", "df", "ci_low", "ci_high"):
        table[f"{name}_adjusted"] = table[name]
    return table.assign(n_mapped=5, usable=True, source="samples")[block_tables.COLUMNS]


# --- inputs ------------------------------------------------------------------------------------


def test_donors_are_counted_and_only_those_of_the_model() -> None:
    samples = pd.DataFrame(
        {
            "sample_id": list("abcdefg"),
            "subject_id": ["1", "1", "2", "3", "", "", "9"],
            "condition": ["ill", "ill", "ill", "well", "well", "well", "other"],
            "muscle": ["deltoid"] * 6 + ["soleus"],
            "material": "biopsy",
        }
    )
    warned = pd.DataFrame(
        [
            {"contrast": "c", "kind": "confounded", "column": "batch"},
            {"contrast": "c", "kind": "technical", "column": "x"},
            {"contrast": "d", "kind": "confounded", "column": "site"},
            {"contrast": "c", "kind": "ages_apart", "column": "age", "text": "Mean age 60 and 30."},
        ]
    ).fillna("")
    row = contrasts.contrast_facts(CARD, CONTRAST, samples=samples, warnings=warned)
    assert (row["n_target"], row["n_reference"]) == (2, 3)
    assert (row["muscle"], row["material"], row["confounded"]) == ("deltoid", "biopsy", "batch")
    assert row["ages_apart"] == "Mean age 60 and 30."
    assert not row["published"]


def test_published_contrasts_take_their_group_sizes_from_the_table() -> None:
    effects = pd.DataFrame({"n_target": [3, 3], "n_reference": [4, 4]})
    row = contrasts.contrast_facts({**CARD, "modality": "effects"}, CONTRAST, effects=effects)
    assert (row["n_target"], row["n_reference"], row["published"]) == (3, 4, True)


def test_published_blocks_by_hand() -> None:
    effects = pd.DataFrame(
        {
            "dataset": "d", "contrast": "c", "cell_type": "muscle",
            "gene_id": ["g1", "g2", "g3", "g4"],
            "log2fc": [1.0, -3.0, 5.0, 7.0],
            "lfc_se": [0.3, 0.4, np.nan, 0.0],
        }
    )  # fmt: skip
    # What the programme expects of a gene turns nothing: effects keep the genes' own direction.
    members = pd.DataFrame(
        {
            "programme": "P", "block": "b", "stripped": False,
            "gene_id": ["g1", "g2", "g3", "g4", "g5"], "sign": [1, -1, 1, 1, 1],
        }
    )  # fmt: skip
    out = block_tables.published_blocks(effects, members, inter_gene_correlation=0.5).iloc[0]
    # g3 and g4 have no usable error: mean of 1 and -3; variance (0.09 + 0.16 + 2 * 0.5 * 0.12) / 4
    assert out["effect"] == pytest.approx(-1)
    assert out["se"] == pytest.approx(np.sqrt((0.25 + 0.12) / 4))
    key = pd.MultiIndex.from_tuples([("P", "b", False)], names=BLOCK)
    told = block_tables.published_blocks(
        effects, members, inter_gene_correlation=0.5, measured=pd.Series([1.0], index=key)
    ).iloc[0]
    assert told["se"] == pytest.approx((0.3 + 0.4) / 2)  # genes that err as one
    less = block_tables.published_blocks(
        effects, members, inter_gene_correlation=0.5, measured=pd.Series([0.1], index=key)
    ).iloc[0]
    assert less["se"] == out["se"]  # what other studies say makes no table surer


def test_blocks_that_a_published_chip_hardly_measures_are_no_evidence() -> None:
    genes = [f"g{i}" for i in range(17)]
    effects = pd.DataFrame({"gene_id": genes[:3], "log2fc": 1.0, "lfc_se": 0.2}).assign(
        dataset="d", contrast="c", cell_type="muscle", df=5.0
    )
    sets = {"3 of 17": genes, "3 of 6": genes[:6], "2 of 3": genes[1:4], "1 of 1": genes[:1]}
    members = pd.concat(
        pd.DataFrame({"programme": "P", "block": name, "stripped": False, "gene_id": own})
        for name, own in sets.items()
    )
    out = block_tables.of_published(
        effects,
        members,
        targets.gene_effects(effects, ["GENE/A"], {"A": "g1"}),
        block_correlation=0.1,
        measured=None,
    ).set_index("block")
    assert out["usable"].to_dict() == {
        "3 of 17": False, "3 of 6": True, "2 of 3": False, "1 of 1": True, "A": True
    }  # fmt: skip
    assert (out["df"] == 5).all() and out["effect_adjusted"].isna().all()
    contracts.check_table(out.reset_index()[block_tables.COLUMNS], BLOCKS, "x")
    # one gene: t on 5 degrees of freedom
    assert out.loc["A", "ci_high"] == pytest.approx(1 + 2.570582 * 0.2, abs=1e-5)


def test_gene_correlation_is_the_median_over_studies() -> None:
    rows = [("a", "one", 0.2), ("a", "two", 0.4), ("b", "one", 0.5), ("c", "one", -0.9)]
    effects = pd.DataFrame(rows, columns=["dataset", "contrast", "gene_correlation"])
    effects = effects.assign(programme="P", block="b", stripped=False)
    parts = [part for _, part in effects.groupby(["dataset", "contrast"])]
    assert block_tables.gene_correlation(parts).loc[("P", "b", False)] == pytest.approx(0.3)
    assert block_tables.gene_correlation(parts[-1:]).loc[("P", "b", False)] == -0.9
    assert block_tables.gene_correlation([]) is None


def test_correlation_of_published_blocks_comes_from_muscle_of_the_species() -> None:
    """Not from single cells, cultures, other organisms or other tissue."""
    own = pd.DataFrame(
        {
            "contrast": "c", "cell_type": "muscle", "programme": "P", "block": "b",
            "stripped": False, "effect": 0.1, "se": 0.1, "df": 5.0, "ci_low": 0.0, "ci_high": 0.2,
            **dict.fromkeys(block_tables.ADJUSTED, np.nan), "n_mapped": 4,
        },
        index=[0],
    )  # fmt: skip
    correlation = {"human": 0.5, "mouse": 0.9, "brain": 0.9, "cells": 0.9, "culture": 0.9}
    studies = {
        "human": ("human", "bulk", "ageing"),
        "mouse": ("mouse", "bulk", "ageing"),
        "brain": ("human", "bulk", "not_muscle"),
        "cells": ("human", "cells", "ageing"),
        "culture": ("human", "bulk", "als_cells"),
        "table": ("human", "effects", "als_patient"),
    }
    known = {
        name: {"organism": organism, "modality": modality, "role": role}
        for name, (organism, modality, role) in studies.items()
    }
    effects = [own.assign(dataset=n, gene_correlation=r) for n, r in correlation.items()]
    genes = ["g1", "g2", "g3", "g4"]
    members = pd.DataFrame({"gene_id": genes, "n_genes": 4}).assign(
        programme="P", block="b", stripped=False
    )
    de = pd.DataFrame({"gene_id": genes, "log2fc": 1.0, "lfc_se": 0.2, "df": 5.0}).assign(
        dataset="table", contrast="c", cell_type="muscle"
    )
    out = block_tables.gather(
        known, effects, [de], {"human": members, "mouse": members},
        {"human": {}, "mouse": {}}, [], block_correlation=0.0,
    ).set_index("dataset")  # fmt: skip
    assert out.loc["table", "se"] == pytest.approx(np.sqrt((0.5 * 4 * 0.04 + 0.5 * 0.64) / 16))


def test_a_cell_type_of_too_few_donors_is_no_evidence() -> None:
    rows = [("muscle", np.nan), ("muscle", 0.1), ("FAP, pan", np.nan), ("FAP, pan", 0.2)]
    table = pd.DataFrame(rows, columns=["cell_type", "se"])
    table = table.assign(
        **dict.fromkeys([*KEY[:2], *BLOCK[:2]], "x"), stripped=False, n_mapped=[0, 2, 9, 9]
    )
    for column in set(block_tables.COLUMNS) - set(table) - {"usable", "source"}:
        table[column] = 0.0
    out = block_tables.of_samples(table, {("x", "x", False): 10})
    assert out.index.tolist() == [0, 1, 3]
    assert out["usable"].tolist() == [False, False, True]


def test_cells_are_not_held_against_a_denervated_tissue() -> None:
    table = facts(("a", "als_patient", "human"), ("n", "als_patient", "human"))
    table["modality"] = ["bulk", "cells"]
    pairs = denervation.comparable_pairs(table)
    assert {name for name, _ in denervation.needed_contrasts(table, pairs)} == {"a"}


def test_human_ids_of_mouse_genes() -> None:
    table = pd.DataFrame({"gene_id": ["ENSG1", "ENSMUSG1", "ENSMUSG2"]})
    out = targets.with_human_ids(table, {"ENSMUSG1": "ENSG7"})
    assert out["human_gene_id"].tolist() == ["ENSG1", "ENSG7", ""]


def test_material_is_compared_by_kind_not_by_word() -> None:
    table = facts(("a", "als_patient", "human"), ("m", "denervation", "mouse"))
    assert denervation.comparable_pairs(table)["mode"].tolist() == ["correlation"]
    cultured = table.assign(sample_kind=["cultured_cells", "bulk_tissue"])
    assert denervation.comparable_pairs(cultured)["mode"].tolist() == ["none"]


# --- the denervation axis from matrices -----------------------------------------------------------


def fitted(effect: np.ndarray, seed: int) -> denervation.Fitted:
    """A contrast of 8 v 8 donors with known effects, as :func:`denervation.refit` gives it."""
    rng = np.random.default_rng(seed)
    n, genes = 8, effect.size
    ill = np.repeat([1, 0], n)
    values = (8 + rng.normal(0, 0.3, (2 * n, genes)) + np.outer(ill, effect)).T
    names = pd.Index([f"g{i}" for i in range(genes)])
    found = values[:, :n].mean(axis=1) - values[:, n:].mean(axis=1)
    centred = values - np.where(
        ill, *(values[:, part].mean(axis=1)[:, None] for part in (ill == 1, ill == 0))
    )
    sd = np.sqrt((centred**2).sum(axis=1) / (2 * n - 2))
    se = sd * np.sqrt(2 / n)
    drawn = found + rng.normal(0, se, (60, genes))
    return denervation.Fitted(
        GeneFit(names, found, se, np.full(genes, 14.0), se[:, None] * centred / sd[:, None], 14),
        pd.DataFrame({"gene_id": names, "effect": found, "se": se}),
        pd.DataFrame(drawn, columns=names),
        pd.DataFrame(values, index=names),
    )


@pytest.fixture(scope="module")
def compared() -> denervation.Compared:
    rng = np.random.default_rng(3)
    shift = np.where(rng.random(400) < 0.4, rng.normal(0, 1, 400), 0.0)
    intrinsic = np.zeros(400)
    intrinsic[:15] = 0.8
    table = facts(("als", "als_model", "mouse"), ("den", "denervation", "mouse"))
    members = pd.DataFrame(
        {
            "programme": "P", "block": "b", "stripped": False, "sign": 1,
            "gene_id": [f"g{i}" for i in range(15)], "n_genes": 15,
        }
    )  # fmt: skip
    tests = [{"id": "t", "target": "P/b", "expected": "up", "contexts": []}]
    sources = {
        ("als", "c"): fitted(0.5 * shift + intrinsic, 1),
        ("den", "c"): fitted(shift, 2),
    }
    rows = [
        block_effects(source.fit, members, confidence=0.95, tested=True).assign(
            dataset=name[0], contrast="c", cell_type="muscle"
        )
        for name, source in sources.items()
    ]
    return denervation.compare_with_denervation(
        sources,
        table,
        denervation.comparable_pairs(table),
        pd.concat(rows),
        {"mouse": members},
        {"claims": [{"tests": tests}]},
        to_human={},
        n_random=25,
        inter_gene_correlation=0.05,
        min_reliability=0.3,
        seed=5,
    )


def test_a_planted_slope_and_an_intrinsic_block_are_recovered(compared) -> None:
    axis = compared.axis.iloc[0]
    assert axis["mode"] == "lambda" and axis["interval"] == "donor bootstrap"
    assert axis["ci_low"] < 0.5 < axis["ci_high"] and axis["ci_high"] - axis["ci_low"] < 0.4
    block = compared.deltas.set_index("block").loc["b"]
    assert abs(block["delta"] - 0.8) < 0.2  # five standard errors of the block's mean
    assert block["ci_low"] > 0


def test_random_sets_take_every_step_of_their_block(compared) -> None:
    assert len(compared.random_sets) == 25
    assert set(compared.random_sets["dataset"]) == {"als"}  # a reference is judged by no claim
    random = compared.deltas[compared.deltas["block"].str.contains("~")]
    assert len(random) == 25
    own = compared.deltas.set_index("block").loc["b", "delta"]
    assert (random["delta"].abs() < own).mean() > 0.9


def test_tables_of_the_axis_hold_their_contracts(compared) -> None:
    contracts.check_table(compared.axis, DENERVATION, "x")
    contracts.check_table(compared.deltas, DELTAS, "x")
    contracts.check_table(compared.random_sets, RANDOM_SETS, "x")


def test_without_als_studies_the_axis_is_empty_and_holds_its_contracts() -> None:
    table = facts(*MIRROR_LIKE)
    pairs = denervation.comparable_pairs(table)
    assert denervation.needed_contrasts(table, pairs) == []
    none = denervation.compare_with_denervation(
        {}, table, pairs, pd.DataFrame(), {}, {"claims": []}, to_human={}, n_random=25,
        inter_gene_correlation=0.05, min_reliability=0.3, seed=5,
    )  # fmt: skip
    for frame, name in zip(none, ("denervation", "deltas", "random_sets"), strict=True):
        assert contracts.check_table(frame, dictionary.TABLES[name], "x").empty


# --- with the studies of the mirror: no ALS muscle ------------------------------------------------


@pytest.fixture(scope="module")
def told(document) -> build.Synthesis:
    return whole(document, MIRROR_LIKE, {"f1": 0.3, "f2": -0.1, "m1": 0.0, "m2": 1.2})


def only(document: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {**document, "claims": [c for c in document["claims"] if c["id"] in names]}


def whole(
    document: dict[str, Any],
    studies: list[tuple[str, str, str]],
    effects: dict[str, float],
    *,
    simulated: bool = False,
) -> build.Synthesis:
    table = facts(*studies, simulated=simulated)
    blocks = block_table(document, effects)
    pooled = pool.pool_programmes(blocks, table, POOLING, min_studies=3)
    deltas = pd.DataFrame(columns=list(DELTAS.columns))
    judged = claims.judge(document, blocks, table, deltas, rules=RULES)
    contracts.check_table(judged, CLAIMS, "x")
    contracts.check_table(pooled, POOLED_PROGRAMMES, "x")
    seen = claim_studies.claim_studies(document, blocks, table, deltas)
    contracts.check_table(seen, CLAIM_STUDIES, "x")
    return build.Synthesis(
        document=document,
        contrasts=table,
        claims=judged,
        studies=seen,
        programmes=pooled,
        axis=pd.DataFrame(columns=list(DENERVATION.columns)),
        changes=changes.compare(judged, None, None)[1],
        overall=changes.overall(judged),
    )


def test_with_nothing_to_pool_the_tables_are_empty_and_hold_their_contracts(document) -> None:
    table = facts(("s", "not_muscle", "human"))
    pooled = pool.pool_programmes(block_table(document, {"s": 1.0}), table, POOLING, min_studies=3)
    assert contracts.check_table(pooled, POOLED_PROGRAMMES, "x").empty
    assert contracts.check_table(pool.specificity(pooled), SPECIFICITY, "x").empty
    de = pd.DataFrame([("s", "c", "muscle", "g", "G", 1.0, 0.1)])
    de.columns = [*KEY, "gene_id", "symbol", "log2fc", "lfc_se"]
    genes = pool.pool_genes(de, table, {}, POOLING, min_studies=3)
    assert contracts.check_table(genes, POOLED_GENES, "x").empty


def test_no_als_claim_has_data_while_the_matrix_is_filled(told, document) -> None:
    assert set(told.claims["verdict"]) == {"not enough data"}
    assert told.claims["reason"].str.len().gt(20).all()
    matrix = pool.specificity(told.programmes)
    assert set(matrix.columns[2:]) == {
        "myopathy (human)", "ageing (human)", "disuse (mouse)", "denervation (mouse)",
    }  # fmt: skip
    assert matrix.notna().all().all()
    assert (matrix["denervation (mouse)"] - 1.2).abs().max() < 1e-9
    targets = {t["target"] for claim in document["claims"] for t in claim["tests"]}
    blocks = {t for t in targets if not t.startswith(("GENE/", "RATIO/"))}
    assert set(matrix["programme"] + "/" + matrix["block"]) == blocks


def test_bulk_tissue_never_decides_a_satellite_cell_claim(document) -> None:
    studies = [(f"a{i}", "als_patient", "human") for i in range(5)]
    satellite = {c["id"] for c in document["claims"] if c["subject"] == "satellite_cell"}
    assert satellite and len(VERDICTS) == 9
    out = whole(
        only(document, {"C1", *satellite}),
        studies,
        dict.fromkeys((name for name, *_ in studies), 2.0),
    )
    mine = out.claims[out.claims["claim"].isin(satellite)]
    assert set(mine["verdict"]) == {"not enough data"} and mine["k"].max() == 5
    assert (out.claims["verdict"] != "not enough data").any()  # others are decided by the same data


def test_a_block_that_is_hardly_measured_is_shown_as_not_pooled(document) -> None:
    table = facts(("a", "als_patient", "human"))
    blocks = block_table(only(document, {"C1"}), {"a": 1.0}).assign(usable=False)
    seen = claim_studies.claim_studies(only(document, {"C1"}), blocks, table, pd.DataFrame())
    assert len(seen) and not seen["eligible"].any()
    assert set(seen["reason"]) == {"too few of the genes are measured"}


# --- changes -----------------------------------------------------------------------------------


def test_a_first_run_says_so_and_a_repeated_one_keeps_the_last_comparison(told) -> None:
    first = told.claims
    previous, moved = changes.compare(first, None, None)
    assert previous.empty and moved["change"].tolist() == ["first run"]
    contracts.check_table(moved, CHANGES, "x")

    again, moved = changes.compare(first, first, previous)
    assert again.empty and moved["change"].tolist() == ["first run"]

    second = first.copy()
    second.loc[0, ["verdict", "reason"]] = ["supported", "for the test"]
    previous, moved = changes.compare(second, first, again)
    assert moved["new_verdict"].tolist() == ["supported"]
    assert previous.equals(first)

    previous, moved = changes.compare(second, second, previous)
    assert moved["new_verdict"].tolist() == ["supported"] and previous.equals(first)


def test_the_dictionary_explains_every_column() -> None:
    table = dictionary.dictionary(ROOT / "workflow" / "schemas" / "columns.tsv")
    contracts.check_table(table, DICTIONARY, "x")
    assert len(table) == sum(len(t.columns) for t in dictionary.TABLES.values())
    assert table.loc[table["meaning"] == "", "column"].tolist() == []


# --- pages -------------------------------------------------------------------------------------


def pages(told: build.Synthesis) -> dict[str, Parsed]:
    report = replace(fx.report(1, n_genes=60), synthesis=told)
    files = build.build(fx.templates(), report, drawn=[])
    return {name: Parsed(text) for name, text in files.items() if name.endswith(".html")}


@pytest.fixture(scope="module")
def made(told) -> dict[str, Parsed]:
    return pages(told)


def test_claims_come_first_with_verdict_reason_and_detectable_effect(made, document) -> None:
    text = made["index.html"].text
    n = len(document["claims"])
    assert text.index(f"What public data say about {n} claims") < text.index("Every comparison")
    assert f"{n} ? not enough data" in text and "0 ✔ supported" in text
    assert "no ALS muscle that could be pooled" in text
    for claim in document["claims"]:
        assert claim["statement"] in text


def test_every_claim_has_a_page_with_controls_doubts_and_sources(made, document) -> None:
    for claim in document["claims"]:
        text = made[f"claims/{claim['id']}.html"].text
        assert claim["statement"] in text and "? not enough data" in text
        assert claim["falsifier"] in text and claim["refuting_control"] in text
        assert "Denervation, mouse, 1 study" in text
        assert "Duranti" in text or "Pikatza" in text


def test_specificity_and_changes_pages(made) -> None:
    text = made["specificity.html"].text
    assert "Denervation, mouse (1 study)" in text and "+1.20" in text
    assert "No comparison that may be pooled for: ALS, patients' muscle" in text
    assert "This is the first run here" in made["changes.html"].text
    for parsed in made.values():
        assert any(a.get("href", "").endswith("specificity.html") for a in parsed.all("a"))


def test_pages_keep_the_headings_in_order_and_one_h1(made) -> None:
    for path, parsed in made.items():
        tags = [t for t, _ in parsed.tags]
        levels = [int(t[1]) for t in tags if len(t) == 2 and t[0] == "h" and t[1].isdigit()]
        assert levels.count(1) == 1, path
        assert all(b - a <= 1 for a, b in pairwise(levels)), path
        assert tags.count("table") == tags.count("caption"), path


def test_decided_claims_show_studies_and_pooled_effect_and_simulated_data_is_marked(
    document,
) -> None:
    studies = [(f"a{i}", "als_patient", "human") for i in range(4)]
    effects = {name: 0.6 + 0.05 * i for i, (name, *_) in enumerate(studies)}
    made = pages(whole(only(document, {"C1"}), studies, effects, simulated=True))
    first = made["claims/C1.html"].text
    assert "✔ supported" in first and "Pooled, 4 studies" in first and "a3: c" in first
    assert "invented studies" in first and "invented studies" in made["specificity.html"].text
    assert "1 ✔ supported" in made["index.html"].text
