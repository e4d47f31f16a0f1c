"""Wrong configurations and cards: one message that names file and key; selection; designs."""

from __future__ import annotations

import copy
import re

import pytest
import yaml

from alsmuscle import registry
from alsmuscle.errors import InputError
from support import ROOT, small_counts, write_study


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("source"), small_counts(50, 2))


def _load(folder, card, name="gse1"):
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(card, sort_keys=False))
    return registry.load_cards(folder)


def _set(document, path, value):
    document = copy.deepcopy(document)
    *parents, last = path.split(".")
    inner = document
    for key in parents:
        inner = inner[int(key)] if key.isdigit() else inner[key]
    inner[last] = value
    return document


def _complains(call, expected):
    with pytest.raises(InputError) as caught:
        call()
    for words in expected:
        assert words in str(caught.value), f"{words!r} not in:\n{caught.value}"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("bulk.de.alhpa", 0.1, ["bulk.de", "alhpa", "known keys", "alpha"]),
        ("bulk.de.alpha", 2, ["bulk.de.alpha", "2", "independent filtering"]),
        ("bulk.de.inference", "fast", ["bulk.de.inference", "batched"]),
        ("report.top", 5000, ["report.top", "500"]),
        ("seed", "x", ["seed", "integer"]),
    ],
)
def test_a_wrong_configuration_names_the_key(key, value, expected):
    config = _set(registry.load_yaml(ROOT / "config" / "config.yaml"), key, value)
    _complains(lambda: registry.load_config(config, "config.yaml"), ["config.yaml", *expected])


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("id", "gse2", ["gse2", "gse1"]),
        ("accession", "GSE2", ["id", "'gse2'"]),
        ("role", "als", ["role", "als_patient"]),
        ("colour", "red", ["colour", "known keys"]),
        ("counts.file", "matrix", ["counts.file", "matrix", "counts, sheet"]),
        ("counts.member", "(?P<sample_id>GSM", ["counts.member", "regular expression"]),
        ("counts.member", "GSM", ["counts.member", "sample_id"]),
        ("counts.type", "fpkm", ["counts.type", "expected_counts"]),
        ("samples.sheet.file", "table", ["samples.sheet.file", "table"]),
        ("samples.columns.sex", {"from": "Sex:ch1", "value": "male"}, ["samples.columns.sex"]),
        ("contrasts.0.target", "mnd", ["contrasts.als_vs_healthy", "no level 'mnd'", "als"]),
        ("contrasts.0.adjust", ["btach"], ["als_vs_healthy.adjust", "no column 'btach'", "site"]),
        ("contrasts.0.adjust", ["condition"], ["adjust", "is what is compared"]),
        ("contrasts.0.reference", "als", ["same level"]),
        ("status", "draft", ["status", "draft"]),
        ("use", False, ["use_reason"]),
        ("files.counts.sha256", "abc", ["files.counts.sha256"]),
        ("citation.doi", "https://doi.org/10.1/x", ["citation.doi"]),
    ],
)
def test_a_wrong_card_names_file_and_key(tmp_path, good, key, value, expected):
    card = _set(good, key, value)
    card["simulated"] = key != "accession"
    _complains(lambda: _load(tmp_path, card), ["gse1.yaml", *expected])


def test_a_key_that_stands_twice_is_refused(tmp_path, good):
    _load(tmp_path, good)
    path = tmp_path / "gse1.yaml"
    path.write_text(path.read_text() + "\nrole: ageing\n")
    _complains(lambda: registry.load_cards(tmp_path), ["gse1.yaml", "'role' stands twice"])


def test_an_empty_registry_says_what_to_do(tmp_path):
    _complains(lambda: registry.load_cards(tmp_path), ["no study card", "README"])


def _cards():
    def card(role, organism="human", **more):
        return {"role": role, "organism": organism, "modality": "bulk", "use": True, **more}

    return {
        "a": card("ageing"),
        "b": card("disuse", "mouse"),
        "c": card("ageing", use=False, use_reason="not muscle"),
    }


NONE: dict[str, list[str]] = {"ids": [], "roles": [], "organisms": [], "modalities": []}


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({}, ["a", "b"]),
        ({"roles": ["ageing"]}, ["a"]),
        ({"organisms": ["mouse"]}, ["b"]),
        ({"ids": ["b"]}, ["b"]),
        ({"modalities": ["bulk"], "roles": ["disuse", "ageing"]}, ["a", "b"]),
    ],
)
def test_selection(lists, expected):
    assert list(registry.select(_cards(), NONE | lists)) == expected


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({"ids": ["z"]}, ["no study 'z'", "a, b, c"]),
        ({"ids": ["c"]}, ["switched off", "not muscle"]),
        ({"roles": ["regeneration"]}, ["roles", "regeneration", "ageing, disuse"]),
        ({"roles": ["ageing"], "organisms": ["mouse"]}, ["no study passes"]),
    ],
)
def test_selection_that_cannot_be_met(lists, expected):
    _complains(lambda: registry.select(_cards(), NONE | lists), expected)


def test_what_is_left_out_has_its_reason():
    chosen = registry.select(_cards(), NONE | {"ids": ["a"]})
    rows = {row["dataset"]: row["reason"] for row in registry.left_out(_cards(), chosen)}
    assert rows == {"b": "not selected in the configuration", "c": "not muscle"}


def test_contrasts_of_one_model_share_a_design(good):
    first = good["contrasts"][0]
    card = {
        **good,
        "contrasts": [
            first,
            {**first, "id": "other", "target": "healthy", "reference": "als"},
            {**first, "id": "paired", "block": "subject_id"},
            {**first, "id": "part", "within": {"site": ["B", "A"]}},
        ],
    }
    groups = registry.designs(card)
    assert {name: [c["id"] for c in group] for name, group in groups.items()} == {
        "condition": ["als_vs_healthy", "other"],
        "condition|subject_id": ["paired"],
        "condition@site=A,B": ["part"],
    }


def test_unpinned_collections_cannot_be_used():
    path = ROOT / "config" / "collections.yaml"
    assert registry.load_collections(path, ["hallmark"])["hallmark"]["sha256"]
    _complains(lambda: registry.load_collections(path, ["reactome"]), ["reactome", "sha256"])
    _complains(lambda: registry.load_collections(path, ["kegg"]), ["kegg", "hallmark"])


def test_every_key_of_every_schema_is_described():
    def walk(node, path):
        for key, value in node.get("properties", {}).items():
            if not path.endswith("$defs"):
                assert "description" in value, f"{path}.{key} has no description"
            walk(value, f"{path}.{key}")
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                walk(node[key], path)

    for path in registry.SCHEMAS.glob("*.schema.yaml"):
        walk(registry.load_yaml(path), path.stem)


def test_leaf_blocks_are_the_arguments_of_their_functions():
    from inspect import signature

    from alsmuscle import (
        activity,
        cells,
        celltypes,
        claims,
        composition,
        de,
        enrichment,
        programmes,
        qc,
        synthesis,
    )

    config = registry.load_yaml(ROOT / "config" / "config.yaml")

    def fits(block, *functions):
        known = set().union(*(signature(function).parameters for function in functions))
        assert set(block) <= known, set(block) - known

    fits(config["bulk"]["counts"], de.fit)
    fits(config["bulk"]["counts"], de.vst)
    fits(config["bulk"]["de"], de.test)
    fits(config["bulk"]["qc"], qc.metrics, qc.flag)
    fits(config["cells"]["prepare"], cells.prepare_sample)
    for function in (cells.prepare_sample, cells.integrate):
        fits(config["cells"]["variable"], function)
    fits(config["cells"]["embed"], cells.integrate)
    fits(config["cells"]["annotate"], celltypes.annotate)
    fits(config["cells"]["pseudobulk"], cells.pseudobulk)
    fits(config["cells"]["composition"], composition.composition_test)
    fits(config["cells"]["coexpression"], activity.coexpression_by_donor)
    fits(config["enrichment"]["gsea"], enrichment.gsea)
    fits(config["enrichment"]["sizes"], enrichment.gsea)
    for block in ("sizes", "sets", "ora"):
        fits(config["enrichment"][block], enrichment.test_sets)
    fits(config["programmes"], programmes.effects)
    fits(config["synthesis"]["contrasts"], claims.contrast_table)
    fits(config["synthesis"]["denervation"], synthesis.compare_with_denervation)
    fits(config["synthesis"]["rules"], claims.Rules)
    assert claims.Rules(**config["synthesis"]["rules"]) == claims.Rules()


def test_the_shipped_cards_are_good():
    cards = registry.load_cards(ROOT / "config" / "datasets")
    assert "gse184951" in cards
    for card in cards.values():
        registry.designs(card) if card["modality"] == "bulk" else None


def cells_card():
    return {
        "id": "gse7",
        "accession": "GSE7",
        "title": "Nuclei",
        "organism": "human",
        "modality": "cells",
        "material": "nuclei",
        "role": "als_patient",
        "platform": "10x",
        "use": True,
        "status": "candidate",
        "citation": {"text": "nobody"},
        "files": {"raw": {"url": "raw.tar"}},
        "cells": {"file": "raw", "member": "^(?P<sample_id>GSM[0-9]+)_"},
        "samples": {
            "sheet": {"layout": "count_columns"},
            "sample_id": "name",
            "columns": {"condition": {"from": "name"}},
        },
        "contrasts": [
            {"id": "a", "label": "A", "variable": "condition", "target": "x", "reference": "y"}
        ],
        "facts": {},
    }


def test_a_cells_card_says_where_its_matrices_are():
    card = cells_card()
    registry.validate(card, "dataset", "gse7.yaml")
    registry.check_card(card, "gse7.yaml")
    both = {"S1": {"file": "raw", "raw": "raw", "prefix": "a_", "raw_prefix": "b_"}}
    registry.check_card({**card, "cells": {"matrices": both}}, "gse7.yaml")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"file": "raw"}, "exactly one of `member`"),
        ({"file": "nothing", "sample_column": "s"}, "cells.file: 'nothing'"),
        ({"file": "raw", "member": "GSM"}, "no group `sample_id`"),
        ({"file": "raw", "member": "(?P<sample_id>"}, "cells.member: not a regular expression"),
        ({"file": "raw", "sample_column": "s", "member": "x"}, "exactly one of `member`"),
        ({"matrices": {"S1": {"file": "raw", "raw": "lost"}}}, "cells.matrices.S1.raw: 'lost'"),
        ({"matrices": {"S1": {"file": "raw"}}, "file": "raw"}, "exactly one of `matrices`"),
    ],
)
def test_a_cells_card_that_contradicts_itself_is_refused(cells, words):
    with pytest.raises(InputError, match=re.escape(words)):
        registry.check_card({**cells_card(), "cells": cells}, "gse7.yaml")


def test_material_belongs_to_cells_and_they_need_it():
    card = cells_card()
    del card["material"]
    with pytest.raises(InputError, match="'material' is a required property"):
        registry.validate(card, "dataset", "gse7.yaml")
    bulk = registry.load_yaml(ROOT / "config" / "datasets" / "glds103.yaml")
    with pytest.raises(InputError, match="material: only for studies of modality 'cells'"):
        registry.check_card({**bulk, "material": "cells"}, "glds103.yaml")
