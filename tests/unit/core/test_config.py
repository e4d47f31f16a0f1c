"""Which file a path of the configuration is relative to."""

from __future__ import annotations

from pathlib import Path

import pytest

from alsmuscle.core import config
from alsmuscle.data import cards

DATA = {"folders": ["lab"]}
PROJECT = Path("project/config/config.yaml")
OWN = Path("/elsewhere/mine.yaml")
TABLES = {"claims": "claims.yaml", "programmes": "programmes.tsv"}


def _places(documents, settings):
    return config.places(settings, list(documents), documents.__getitem__)


def test_paths_are_relative_to_the_file_that_names_them():
    project = {"registry": ["datasets"], "tables": TABLES, "data": DATA}
    own = {"registry": ["project", "patients", "/abs"], "tables": {"claims": "claims.yaml"}}
    own["data"] = DATA
    registries, tables, folders = _places(
        {PROJECT: project, OWN: own}, config.laid_over(project, own)
    )
    assert registries == ["project/config/datasets", "/elsewhere/patients", "/abs"]
    assert folders == ["/elsewhere/lab"]
    assert tables == {
        "claims": "/elsewhere/claims.yaml",
        "programmes": "project/config/programmes.tsv",
    }


def test_a_block_that_another_workflow_hands_over_is_found_inside_its_file():
    project = {"registry": ["datasets"], "tables": TABLES, "data": DATA}
    outer = {"samples": 3, "muscle": {"registry": "cards"}}
    settings = config.laid_over(project, outer["muscle"])
    assert _places({PROJECT: project, OWN: outer}, settings)[0] == ["/elsewhere/cards"]


def test_what_a_command_line_gives_is_relative_to_the_working_folder():
    project = {"registry": ["datasets"], "tables": TABLES, "data": DATA}
    settings = config.laid_over(project, {"registry": "here"})
    assert _places({PROJECT: project}, settings)[0] == ["here"]


def test_only_mappings_are_merged_and_nothing_is_changed():
    below = {"a": {"b": [1], "c": 2}}
    assert config.laid_over(below, {"a": {"b": [3]}}) == {"a": {"b": [3], "c": 2}}
    assert below == {"a": {"b": [1], "c": 2}}


def test_pages_name_no_folder_of_this_machine():
    settings = {
        "results": "results",
        "registry": ["project", "../patients", "/home/me/lab"],
        "tables": {"claims": "/home/me/claims.yaml"},
        "data": {"cache": "data", "mirror": "/mnt/mirror", "offline": True},
    }
    shown = config.to_share(settings)
    assert "/" not in str(shown)
    assert shown["registry"] == ["project", "patients", "lab"]
    assert shown["data"] == {"cache": "data", "mirror": "mirror", "offline": True}
    assert settings["registry"][1] == "../patients"


def test_two_registries_have_no_id_in_common(tmp_path):
    source = Path(__file__).resolve().parents[3] / "config" / "datasets" / "gse250455.yaml"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / source.name).write_text(source.read_text())
    assert list(cards.load_cards(tmp_path / "one")) == ["gse250455"]
    with pytest.raises(cards.InputError, match=r"is also .*one/gse250455.yaml"):
        cards.load_cards(tmp_path / "one", tmp_path / "two")
