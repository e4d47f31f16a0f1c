"""Cards that mean harm: every one ends in an InputError, soon, or does nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import hostile_files as made
from alsmuscle.core import deadline
from alsmuscle.core.errors import InputError
from alsmuscle.data import cards, fetch, record, samples
from alsmuscle.reads import libraries as reads

CARD: dict[str, Any] = {
    "id": "gse1",
    "accession": "GSE1",
    "title": "A study",
    "organism": "human",
    "modality": "bulk",
    "role": "als_patient",
    "platform": "none",
    "use": True,
    "status": "verified",
    "citation": {"text": "nobody"},
    "files": {"counts": {"url": "https://example.org/a.tsv", "sha256": "0" * 64}},
    "counts": {"file": "counts", "layout": "table", "type": "counts"},
    "samples": {
        "sheet": {"layout": "count_columns"},
        "sample_id": "name",
        "columns": {"condition": {"from": "name"}},
    },
    "contrasts": [
        {"id": "a_vs_b", "label": "A", "variable": "condition", "target": "a", "reference": "b"}
    ],
    "facts": {"accession": "file"},
}

TEXTS: dict[str, tuple[str, str]] = {
    "laughs": (made.LAUGHS, "alias"),
    "an alias of itself": ("a: &a [*a]\n", "alias"),
    "a merged alias": ("a: &a {x: 1}\nb: {<<: *a}\n", "alias"),
    "deep lists": ("[" * 100 + "]" * 100, "deep"),
    "deep mappings": ("{a: " * 900 + "}" * 900, "deep"),
    "deep and not closed": ("[" * 100_000, "deep|YAML"),
    "too long": ("a: " + "x" * 4_000_001, "longer than"),
    "a list as key": ("? [a, b]\n: 1\n", "YAML"),
    "a mapping as key": ("? {a: b}\n: 1\n", "YAML"),
    "a number as key": ("1: a\n", "is no text"),
    "nothing as key": ("~: a\n", "is no text"),
    "a truth as key": ("on: a\n", "is no text"),
    "a key twice": ("a: 1\na: 2\n", "duplicated"),
    "a command": ("a: !!python/object/apply:os.getcwd []\n", "YAML"),
    "a name": ("a: !!python/name:os.system\n", "YAML"),
    "bytes": ("a: !!binary aGVsbG8=\n", "neither text nor number"),
    "a set": ("a: !!set {x, y}\n", "neither text nor number"),
    "a date": ("a: 2020-01-01\n", "neither text nor number"),
    "not a number": ("a: .nan\n", "is no number"),
    "infinite": ("a: -.inf\n", "is no number"),
    "a number of 5,000 digits": (f"a: {'9' * 5000}\n", "YAML|is not|Additional"),
    "not UTF-8": ("a: \udcff\n", "YAML"),
    "a control character": ('a: "x\\e[31m"\n', "control characters"),
    "a null": ('a: "x\\0"\n', "control characters"),
    "a mark of direction": ('a: "x\\u202egnp.exe"\n', "control characters"),
    "a mark of direction in a key": ('"a\\u2066": 1\n', "control characters"),
    "a lone surrogate": ('a: "\\ud800"\n', "YAML|control characters"),
    "a text of 30,000 characters": (f"a: {'x ' * 15_000}\n", "a text of"),
    "a list": ("- a\n", "is not of type 'object'"),
    "nothing": ("", "is not of type 'object'"),
    "a text": ("hello\n", "is not of type 'object'"),
    "two documents": ("a: 1\n---\nb: 2\n", "YAML"),
    "a merge in place": ("a: {<<: {x: 1}, x: 2}\n", "YAML|Additional|is a required"),
    "pairs": ("a: !!pairs [b: 1]\n", "neither text nor number"),
    "pairs in order": ("a: !!omap [b: 1]\n", "neither text nor number"),
    "a tag of one's own": ("a: !x 1\n", "YAML"),
    "a version of YAML to come": ("%YAML 9.9\n---\na: 1\n", "YAML|Additional|is a required"),
    "5,000 unknown keys": ("".join(f"k{n}: 1\n" for n in range(5_000)), "k0"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_what_is_no_plain_card(tmp_path: Path, case: str) -> None:
    text, words = TEXTS[case]
    path = tmp_path / "gse1.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape" if "UTF" in case else "surrogatepass"))
    begun = time.monotonic()
    with pytest.raises(InputError, match=words):
        cards.load_card(path)
    assert time.monotonic() - begun < 10


def _set(*where: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(card: dict[str, Any]) -> None:
        part: Any = card
        for key in where[:-1]:
            part = part[int(key)] if isinstance(part, list) else part[key]
        part[where[-1]] = to

    return change


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a line end behind the id": (_set("id", to="gse1\n"), "does not match"),
    "a path as id": (_set("id", to="../gse1"), "does not match"),
    "a folder of the cache as id": (_set("id", to="collections"), "folder of the cache"),
    "a line end behind a contrast": (_set("contrasts", "0", "id", to="a\n"), "does not match"),
    "a path as contrast": (_set("contrasts", "0", "id", to="a/../../b"), "does not match"),
    "a line end behind a file's name": (
        lambda card: card["files"].update({"b\n": card["files"]["counts"]}),
        "does not match|expected",
    ),
    "a path as file's name": (
        lambda card: card["files"].update({"../b": card["files"]["counts"]}),
        "does not match|expected",
    ),
    "a line end behind a hash": (
        _set("files", "counts", "sha256", to="0" * 64 + "\n"),
        "does not match",
    ),
    "a line end behind a column": (
        lambda card: card["samples"]["columns"].update({"sex\n": {"value": "male"}}),
        "does not match|expected",
    ),
    "a pattern of brackets without end": (
        _set("samples", "columns", "condition", to={"from": "name", "pattern": "(" * 9000}),
        "not a regular expression",
    ),
    "a pattern that repeats without measure": (
        _set("samples", "columns", "condition", to={"from": "name", "pattern": "a{99999999999}"}),
        "not a regular expression",
    ),
    "a pattern that is none": (
        _set("samples", "columns", "condition", to={"from": "name", "pattern": "("}),
        "not a regular expression",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_a_card_may_not_say(tmp_path: Path, case: str) -> None:
    change, words = CHANGES[case]
    path = tmp_path / "gse1.yaml"
    path.write_text(yaml.safe_dump(CARD, sort_keys=False))
    cards.load_card(path)
    card = yaml.safe_load(path.read_text())
    change(card)
    path.write_text(yaml.safe_dump(card, sort_keys=False))
    with pytest.raises(InputError, match=words):
        cards.load_card(path)


SLOW = [
    "(a+)+$",
    "(a|a)*$",
    "(a|aa)+$",
    "(.*a){25}$",
    "([a-z]+)*$",
    r"(\w*\w*)*$",
    "(?:a?){60}a{60}$",
]


@pytest.mark.parametrize("pattern", SLOW[:5])
def test_a_pattern_that_goes_back_and_forth_ends(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real limit, two seconds, is waited for below.
    monkeypatch.setattr(deadline, "PATTERN_SECONDS", 0.25)
    sheet = pd.DataFrame({"name": ["a" * 60 + "!"], "id": ["s1"]})
    card = {
        "id": "gse1",
        "samples": {
            "sample_id": "id",
            "columns": {"condition": {"from": "name", "pattern": f"({pattern})"}},
        },
    }
    begun = time.monotonic()
    with pytest.raises(InputError, match="takes longer than 0 s"):
        samples.harmonise(sheet, card)
    assert 0.25 < time.monotonic() - begun < 5


def test_a_pattern_for_names_in_a_folder_ends() -> None:
    listing = "<h1>Index of /geo</h1><a href='" + "a" * 60 + "!'>x</a>"
    file = {"source": "geo_supplement", "match": "(a+)+b"}
    with pytest.raises(InputError, match="takes longer than 2 s"):
        fetch.addresses(file, accession="GSE1", organism="human", ask=lambda _: listing)


def test_ranges_of_ids_end() -> None:
    with pytest.raises(InputError, match="1,000,000,000 ids"):
        record.expand_ids(["GSM1-GSM1000000000"])
    with pytest.raises(InputError, match="runs"):
        reads.run_names(["SRR1-SRR1000000000"])


def test_ids_of_samples_are_no_novels() -> None:
    sheet = pd.DataFrame({"name": ["a", "b"], "id": ["s1", "x" * 5000]})
    card = {
        "id": "gse1",
        "samples": {"sample_id": "id", "columns": {"condition": {"from": "name"}}},
    }
    with pytest.raises(InputError, match="5,000 characters"):
        samples.harmonise(sheet, card)
