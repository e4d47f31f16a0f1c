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
    from alsmuscle import registry

    cards = registry.load_cards(ROOT / "config" / "datasets")
    assert "\n".join(registry.markdown(cards)) in (ROOT / "README.md").read_text()


def test_every_import_is_among_the_pinned_packages():
    import ast
    import sys

    pins = (ROOT / "envs" / "requirements.txt").read_text()
    names = set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", pins, re.M))
    known = {name.lower().replace("-", "_") for name in names}
    packages = {"yaml": "pyyaml", "sklearn": "scikit_learn", "umap": "umap_learn"}
    for path in (ROOT / "workflow").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            for module in modules:
                top = module.split(".")[0]
                if top in sys.stdlib_module_names or top == "alsmuscle":
                    continue
                assert packages.get(top, top).lower() in known, f"{path.name}: {top}"


def test_the_lock_has_hashes_and_names_no_index():
    text = (ROOT / "envs" / "requirements.txt").read_text()
    assert "index-url" not in text
    assert "://" not in text
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        if "==" in block.split("\n")[0]:
            assert "--hash=sha256:" in block, block.split("\n")[0]


def test_conda_and_pip_have_the_same_pins():
    import importlib.util

    spec = importlib.util.spec_from_file_location("lock", ROOT / "envs" / "lock.py")
    lock = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lock)
    requirements = (ROOT / "envs" / "requirements.txt").read_text()
    expected = lock.conda_environment(requirements)
    assert (ROOT / "envs" / "analysis.yaml").read_text() == expected
