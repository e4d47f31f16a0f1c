"""Wrong configurations and cards: one message that names file and key; selection; designs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from alsmuscle.cells import cluster, pseudobulk
from alsmuscle.core.errors import InputError
from alsmuscle.data import cards as registry
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


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ({"source": "geo_raw"}, []),
        ({"source": "geo_supplement", "match": r".*counts\.txt\.gz", "accession": "GSM7"}, []),
        ({"source": "geo_matrix", "platform": "GPL570", "sha256": "0" * 64}, []),
        ({"source": "recount3", "accession": "SRP1", "table": "sra"}, []),
        ({"source": "cellxgene", "accession": "a" * 36, "dataset": "b" * 36}, []),
        ({"url": "https://host/x.gz", "md5": "0" * 32, "bytes": 7}, []),
        ({"sha256": "0" * 64}, ["files.counts", "exactly one of `url` and `source`"]),
        ({"url": "x.gz", "source": "geo_raw"}, ["exactly one of `url` and `source`"]),
        ({"url": "x.gz", "match": "x"}, ["files.counts.match", "belongs to `source`"]),
        ({"source": "geo_supplement"}, ["needs name or match"]),
        ({"source": "geo_supplement", "name": "a", "match": "a"}, ["needs name or match"]),
        ({"source": "geo_supplement", "match": "(a"}, ["files.counts.match", "regular expression"]),
        ({"source": "geo_raw", "platform": "GPL570"}, ["files.counts.platform", "accession"]),
        ({"source": "geo_annotation"}, ["needs platform"]),
        ({"source": "nowhere"}, ["files.counts.source", "geo_supplement"]),
    ],
)
def test_a_file_is_named_by_address_or_by_place_in_an_archive(tmp_path, good, file, expected):
    card = {**good, "files": {**good["files"], "counts": file}}
    if not expected:
        assert _load(tmp_path, card)["gse1"]["files"]["counts"] == file
    else:
        _complains(lambda: _load(tmp_path, card), ["gse1.yaml", *expected])


def _modality(good, kind, block):
    card = {key: value for key, value in good.items() if key != "counts"}
    name = {"bulk": "counts", "array": "intensities"}.get(kind, kind)
    return {**card, "modality": kind, **({name: block} if block else {})}


STAR = {"file": "counts", "layout": "tar_tables", "type": "counts", "member": "(?P<sample_id>.)"}
GENES = {"file": "sheet", "id_column": "ID", "symbol_column": "Gene symbol"}


@pytest.mark.parametrize(
    ("kind", "block", "expected"),
    [
        ("bulk", {**STAR, "tool": "htseq"}, []),
        ("bulk", {**STAR, "tool": "star", "strand": "reverse"}, []),
        ("bulk", {**STAR, "tool": "star"}, ["counts.strand"]),
        ("bulk", {**STAR, "tool": "htseq", "strand": "reverse"}, ["only `tool: star`"]),
        ("bulk", STAR, ["counts.count_column"]),
        ("bulk", {"file": "counts", "layout": "recount3", "type": "counts"}, ["belong together"]),
        ("bulk", {"file": "counts", "layout": "recount3", "type": "coverage"}, ["counts.quality"]),
        (
            "bulk",
            {"file": "counts", "layout": "table", "type": "counts", "annotation": GENES},
            [],
        ),
        ("array", [{"platform": "GPL1", "file": "counts", "layout": "soft"}], []),
        ("array", [{"platform": "GPL1", "file": "counts", "layout": "table"}], ["GPL1.annotation"]),
        ("array", [{"platform": "GPL1", "file": "x", "layout": "soft"}], ["GPL1.file", "'x'"]),
        ("array", None, ["intensities"]),
        ("cells", {"layout": "10x_h5", "material": "nuclei"}, ["exactly one of"]),
        ("cells", {"layout": "10x_h5", "material": "x", "file": "counts"}, ["cells.material"]),
        ("cells", {"layout": "10x_h5", "material": "cells", "file": "counts"}, ["cells.member"]),
        (
            "cells",
            {"layout": "h5ad", "material": "cells", "file": "counts", "sample_column": "donor"},
            [],
        ),
        ("cells", {"layout": "h5ad", "material": "cells", "file": "counts"}, ["sample_column"]),
        (
            "cells",
            {
                "layout": "10x_triplets",
                "material": "spots",
                "samples": [{"sample_id": "GSM1", "file": "counts", "prefix": "GSM1_"}],
            },
            [],
        ),
        ("cells", None, ["cells"]),
    ],
)
def test_every_modality_says_how_its_files_are_laid_out(tmp_path, good, kind, block, expected):
    card = _modality(good, kind, block)
    if not expected:
        assert _load(tmp_path, card)["gse1"]["modality"] == kind
    else:
        _complains(lambda: _load(tmp_path, card), ["gse1.yaml", *expected])


def test_groups_may_be_told_by_expressions(tmp_path, good):
    card = copy.deepcopy(good)
    card["samples"]["columns"]["condition"] = {
        "from": "title",
        "match": {r"\bALS\b": "als", "control|healthy": "healthy"},
    }
    _load(tmp_path, card)
    card["contrasts"][0]["target"] = "mnd"
    _complains(lambda: _load(tmp_path, card), ["no level 'mnd'", "als, healthy"])
    card["samples"]["columns"]["condition"]["map"] = {"a": "als"}
    _complains(lambda: _load(tmp_path, card), ["`map` or `match`"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kind": "interaction", "across": "sex", "at": "male"}, ["against", "missing"]),
        ({"kind": "interaction", "across": "sex"}, ["unit", "missing", "`interaction`"]),
        ({"kind": "interaction"}, ["across", "missing"]),
        ({"across": "sex"}, [".at", "missing"]),
        ({"at": "male"}, ["across", "missing"]),
        ({"across": "sex", "at": "neither"}, ["'sex' has no level 'neither'", "female, male"]),
        ({"across": "tissue", "at": "1"}, ["across", "no column 'tissue'"]),
        ({"across": "sex", "at": "male", "adjust": ["sex"]}, ["adjust", "in the model already"]),
        ({"across": "condition", "at": "als"}, ["cannot interact with itself"]),
        ({"kind": "trend", "across": "sex"}, ["unit", "missing"]),
        ({"kind": "continuous", "unit": "point"}, ["reference", "no such key"]),
        ({"unit": "day"}, ["unit", "`difference` has no such key"]),
        (
            {"kind": "interaction", "across": "sex", "at": "male", "against": "male"},
            ["at and against are the same level"],
        ),
    ],
)
def test_a_contrast_has_the_keys_of_its_kind(tmp_path, good, change, expected):
    card = {**good, "contrasts": [{**good["contrasts"][0], **change}]}
    _complains(lambda: _load(tmp_path, card), ["contrasts.als_vs_healthy", *expected])


def test_a_label_ends_with_its_unit(tmp_path, good):
    sided = ("target", "reference")
    entry = {key: value for key, value in good["contrasts"][0].items() if key not in sided}
    entry |= {"kind": "continuous", "variable": "condition", "unit": "point of severity"}
    card = _load(tmp_path, {**good, "contrasts": [entry]})["gse1"]
    full = registry.contrast(card, entry["id"])
    assert full["label"] == "ALS against healthy (per point of severity)"
    assert registry.design_id(full) == "condition (number)"


def test_a_key_that_stands_twice_is_refused(tmp_path, good):
    _load(tmp_path, good)
    path = tmp_path / "gse1.yaml"
    path.write_text(path.read_text() + "\nrole: ageing\n")
    _complains(lambda: registry.load_cards(tmp_path), ["gse1.yaml", "'role' is duplicated"])


def test_an_empty_registry_says_what_to_do(tmp_path):
    _complains(lambda: registry.load_cards(tmp_path), ["no study card", "README"])


def _cards():
    def card(role, organism="human", **more):
        common = {"modality": "bulk", "use": True, "status": "verified"}
        return {"role": role, "organism": organism, **common, **more}

    return {
        "a": card("ageing"),
        "b": card("disuse", "mouse"),
        "c": card("ageing", use=False, use_reason="not muscle"),
        "d": card("disuse", status="candidate"),
        "e": card("disuse", status="candidate", use=False, missing={"groups": "who is who"}),
    }


NONE: dict[str, Any] = {
    "ids": [],
    "roles": [],
    "organisms": [],
    "modalities": [],
    "statuses": ["verified"],
    "raw_reads": False,
}


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({}, ["a", "b"]),
        ({"roles": ["ageing"]}, ["a"]),
        ({"organisms": ["mouse"]}, ["b"]),
        ({"ids": ["b"]}, ["b"]),
        ({"ids": ["B"]}, ["b"]),
        ({"modalities": ["bulk"], "roles": ["disuse", "ageing"]}, ["a", "b"]),
        ({"statuses": ["verified", "candidate"]}, ["a", "b", "d"]),
        ({"statuses": ["candidate"]}, ["d"]),
        ({"statuses": []}, ["a", "b", "d"]),
        ({"ids": ["a", "d"], "statuses": ["verified", "candidate"]}, ["a", "d"]),
    ],
)
def test_selection(lists, expected):
    assert list(registry.select(_cards(), NONE | lists)) == expected


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({"ids": ["z"]}, ["no study 'z'", "a, b, c, d, e"]),
        ({"ids": ["c"]}, ["switched off", "not muscle"]),
        ({"ids": ["d"]}, ["'d' is a candidate", "statuses"]),
        ({"ids": ["e"]}, ["switched off", "incomplete: groups (who is who)"]),
        ({"roles": ["regeneration"]}, ["roles", "regeneration", "ageing, disuse"]),
        ({"roles": ["ageing"], "organisms": ["mouse"]}, ["no study passes"]),
    ],
)
def test_selection_that_cannot_be_met(lists, expected):
    _complains(lambda: registry.select(_cards(), NONE | lists), expected)


def test_raw_reads_take_part_only_where_they_are_asked_for():
    cards = _cards()
    cards["b"]["files"] = {"reads": {"source": "ena_fastq", "runs": ["SRR1-SRR3"]}}
    assert list(registry.select(cards, NONE)) == ["a"]
    assert list(registry.select(cards, NONE | {"ids": ["b"]})) == ["b"]
    assert list(registry.select(cards, NONE | {"raw_reads": True})) == ["a", "b"]
    rows = registry.left_out(cards, registry.select(cards, NONE))
    (reason,) = [row["reason"] for row in rows if row["dataset"] == "b"]
    assert "name it under `studies.ids`" in reason and "studies.raw_reads: true" in reason


def test_what_is_left_out_has_its_reason():
    chosen = registry.select(_cards(), NONE | {"ids": ["a"]})
    rows = {row["dataset"]: row["reason"] for row in registry.left_out(_cards(), chosen)}
    assert rows == {
        "b": "not selected in the configuration",
        "c": "not muscle",
        "d": "not selected: a candidate, written from public pages and not yet run",
        "e": "The card is incomplete: groups (who is who)",
    }


def test_an_incomplete_card_may_leave_parts_out_but_is_never_used(tmp_path, good):
    card = {key: good[key] for key in good if key not in ("files", "counts", "samples")}
    _complains(lambda: _load(tmp_path, card), ["files"])
    card = {**card, "use": False, "missing": {"files": "name of the count file"}}
    del card["contrasts"]
    assert "count file" in registry.unusable(_load(tmp_path, card)["gse1"])
    _complains(lambda: _load(tmp_path, {**card, "use": True}), ["gse1.yaml", "use"])
    _complains(lambda: _load(tmp_path, {**card, "missing": {"colour": "of it"}}), ["colour"])


def test_a_fact_may_say_where_it_was_seen(tmp_path, good):
    facts = {"groups": {"verified": "page", "seen": "the series' page"}, "counts": "no"}
    assert _load(tmp_path, {**good, "facts": facts})["gse1"]["facts"] == facts
    _complains(
        lambda: _load(tmp_path, {**good, "facts": {"groups": {"verified": "page"}}}), ["seen"]
    )


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


def test_collections_are_found_by_name():
    path = ROOT / "config" / "collections.yaml"
    assert registry.load_collections(path, ["hallmark"])["hallmark"]["sha256"]
    assert registry.load_collections(path, ["wikipathways"])["wikipathways"]["sha256"] is None
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

    from alsmuscle.bulk import deseq2, engines, metrics, qc, tissue
    from alsmuscle.cells import activity, annotate, composition, prepare
    from alsmuscle.genesets import block_tests, pathways, set_tests
    from alsmuscle.synthesis import blocks, contrasts, denervation, verdicts

    config = registry.load_yaml(ROOT / "config" / "config.yaml")

    def fits(block, *functions):
        known = {
            name: parameter
            for function in functions
            for name, parameter in signature(function).parameters.items()
        }
        assert set(block) <= set(known), set(block) - set(known)
        # The configuration is the one home of its values; 0 stands for "leave it out".
        twice = [key for key in block if known[key].default not in (known[key].empty, 0)]
        assert not twice, f"{functions}: defaults beside the configuration: {twice}"

    fits(config["bulk"]["counts"], deseq2.fit)
    fits(config["bulk"]["counts"], deseq2.vst)
    fits(config["bulk"]["de"], deseq2.test, engines.test)
    fits(config["bulk"]["de"] | config["bulk"]["arrays"], engines.test)
    fits(config["bulk"]["arrays"], engines.omnibus)
    of_metrics = {metric.limit for metric in (*metrics.OF_SAMPLE, *metrics.OF_STUDY)} - {""}
    of_tissue = set(signature(tissue.flags).parameters)
    assert of_metrics <= set(config["bulk"]["qc"])
    own = {key: value for key, value in config["bulk"]["qc"].items() if key not in of_metrics}
    fits({key: value for key, value in own.items() if key not in of_tissue}, qc.metrics)
    fits(config["cells"]["prepare"], prepare.prepare_sample)
    for function in (prepare.prepare_sample, cluster.integrate):
        fits(config["cells"]["variable"], function)
    fits(config["cells"]["embed"], cluster.integrate)
    fits(config["cells"]["annotate"], annotate.annotate)
    fits(config["cells"]["pseudobulk"], pseudobulk.pseudobulk)
    fits(config["cells"]["composition"], composition.composition_test)
    fits(config["cells"]["coexpression"], activity.coexpression_by_donor)
    fits(config["enrichment"]["gsea"], pathways.gsea)
    fits(config["enrichment"]["sizes"], pathways.gsea)
    for block in ("sizes", "sets", "ora"):
        fits(config["enrichment"][block], set_tests.test_sets)
    fits(config["programmes"], block_tests.effects)
    fits(config["synthesis"]["contrasts"], contrasts.contrast_table, blocks.gather)
    fits(
        config["synthesis"]["denervation"], denervation.compare_with_denervation, denervation.refit
    )
    fits(config["synthesis"]["rules"], verdicts.Rules)


# --- the cards of this repository -----------------------------------------------------------------

REGISTRY = ROOT / "config" / "datasets"


@pytest.mark.parametrize("path", sorted(REGISTRY.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_card_passes(path):
    card = registry.load_card(path)
    verified = {known for _, known, _ in registry.facts(card)}
    if card["status"] == "verified":
        assert "file" in verified
    else:
        assert card["status"] == "candidate"
        # Whoever knows a fact from a page says from which; a bare `page` is for verified cards.
        assert all(seen or known != "page" for _, known, seen in registry.facts(card)), path.stem
    assert registry.standing(card) in ("verified", "candidate", "incomplete", "not used")
    assert bool(registry.unusable(card)) == (not card["use"])
    if card["use"]:
        assert sum(map(len, registry.designs(card).values())) == len(card["contrasts"])


def test_the_default_selection_runs_candidates_too_and_no_draft():
    settings = registry.load_yaml(ROOT / "config" / "config.yaml")
    cards = registry.load_cards(REGISTRY)
    chosen = registry.select(cards, settings["studies"])
    assert {card["status"] for card in chosen.values()} == {"verified", "candidate"}
    rest = registry.left_out(cards, chosen)
    assert all(row["what"].startswith("whole study, ") for row in rest)
    assert not [row for row in rest if "left out" in row["what"]]


def test_levels_alone_are_for_incomplete_cards(tmp_path, good):
    card = _set(good, "samples.columns.condition", {"levels": ["als", "healthy"]})
    _complains(lambda: _load(tmp_path, card), ["samples.columns.condition", "missing"])
    card = {**card, "use": False, "missing": {"groups": "who has which disease"}}
    assert registry.standing(_load(tmp_path, card)["gse1"]) == "incomplete"
    card = _set(card, "contrasts.0.target", "sbma")
    _complains(lambda: _load(tmp_path, card), ["no level 'sbma'"])


def test_the_cards_serve_the_contexts_of_the_claims():
    """Once their data is there, ALS contrasts reach the contexts that claims ask for."""
    import pandas as pd

    from alsmuscle.synthesis import claims, contrasts

    rows = []
    for name, card in registry.load_cards(REGISTRY).items():
        material = card.get("samples", {}).get("columns", {}).get("material", {}).get("value", "")
        for entry in card.get("contrasts", []):
            role = entry.get("role", card["role"])
            kind = contrasts.sample_kind(material, card["modality"], role)
            more = {"stage": entry.get("stage", ""), "tag": entry.get("tag", "")}
            row = {"id": f"{name}.{entry['id']}", "role": role, "species": card["organism"]}
            rows.append({**row, "sample_kind": kind, **more})
    table = pd.DataFrame(rows)
    contexts = registry.load_yaml(ROOT / "config" / "claims.yaml")["contexts"]

    def served(context, tag=""):
        return set(table.loc[claims.matching(table, contexts[context], tag), "id"])

    assert {"gse3307.als_vs_healthy", "gse26276.als_vs_healthy"} <= served("human_biopsy")
    assert "gse122261.als_vs_healthy" in served("patient_cultures")
    assert served("patient_cultures", tag="versus_neurogenic") == {
        "gse122261.als_vs_sbma",
        "gse122261.als_vs_sma4",
    }
    # Patients before and after exercise say nothing about ALS against health.
    assert not any(name.startswith("gse250455") for name in served("human_biopsy"))


@pytest.mark.parametrize(
    ("name", "column", "raw", "expected"),
    [
        ("gse3307", "condition", ["GSM74246", "GSM74410", "GSM74411"], "als healthy quadriplegic"),
        ("gse250455", "condition", ["P-1-Pre", "P-1-Post"], "before after"),
        ("gse111016", "condition", ["yes", "no"], "sarcopenia old"),
        ("gse220915", "condition", ["Normal muscle", "Myositis (IBM)"], "healthy ibm"),
        ("gse143437", "condition", ["D0_A", "D7_C"], "day0 day7"),
        ("gse113165", "condition", ["pre bed rest", "post bed rest"], "before after"),
        ("emtab13874", "sex", ["Female", "M"], "female male"),
        ("gse167186nuclei", "condition", ["GSM5098741", "GSM5098737"], "young old"),
    ],
)
def test_the_rules_of_candidates_read_what_was_seen(name, column, raw, expected):
    import pandas as pd

    from alsmuscle.data import samples

    rule = registry.load_card(REGISTRY / f"{name}.yaml")["samples"]["columns"][column]
    sheet = pd.DataFrame({rule["from"]: raw})
    values, _ = samples._column(sheet, column, rule, name)
    assert all(map(str.startswith, values, expected.split())), list(values)


def test_cards_read_alike_where_yaml_has_no_compiled_loader():
    """The compiled loader lets some errors of quoting pass, which the other one refuses."""
    import yaml

    for path in sorted(REGISTRY.glob("*.yaml")):
        assert yaml.safe_load(path.read_text()) == registry.load_yaml(path), path.name
