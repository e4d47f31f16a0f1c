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


def test_the_readme_is_short_and_has_its_picture():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 110
    for image in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
        assert (ROOT / image).is_file()


def test_version_address_and_contact_have_one_place():
    import tomllib

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"version", "repository-code", "contact", "title", "authors"} <= set(cited)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"] and "version" not in project["project"]
    source = project["tool"]["hatch"]["version"]
    text = (ROOT / source["path"]).read_text()
    assert re.search(source["pattern"], text, re.M)["version"] == str(cited["version"])
    log = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## (Unreleased|{re.escape(str(cited['version']))}\b)", log, re.M)
    place = cited["repository-code"]
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        assert place not in path.read_text(), path
