"""The documents say what is there."""

from __future__ import annotations

import re

import yaml

from support import ROOT


def _leaves(tree, path=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_every_configuration_key_is_explained():
    text = (ROOT / "config" / "README.md").read_text()
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    for leaf in _leaves(config):
        parent, _, last = leaf.rpartition(".")
        assert f"`{leaf}`" in text or (f"`.{last}`" in text and parent in text), leaf


def test_every_make_target_of_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`make ([a-z-]+)`", (ROOT / "README.md").read_text())):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_the_table_of_cards_is_that_of_the_registry():
    """`alsmuscle studies --markdown` prints the table that belongs into the README."""
    from alsmuscle.data import cards as registry

    cards = registry.load_cards(ROOT / "config" / "datasets")
    assert "\n".join(registry.markdown(cards)) in (ROOT / "README.md").read_text()
