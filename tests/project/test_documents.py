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


def test_contributing_leads_to_files_and_names_that_exist():
    """Each path of the table, and each name in brackets behind it, which the file defines."""
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("## Where to look")[2]
    rows = [line for line in table.partition("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 15
    package = ROOT / "workflow" / "src" / "alsmuscle"
    for row in rows:
        found = re.findall(r"`([^`]+/[^`]*|cli\.py)`(?: \(([^)]*)\))?", row)
        assert found, row
        for place, behind in found:
            path = next((p for p in (package / place, ROOT / place) if p.exists()), None)
            assert path is not None, f"{place}: {row}"
            for name in re.findall(r"`(\w+)`", behind):
                text = path.read_text()
                assert re.search(rf"^(def|class) {name}\b|^[\w, ]*\b{name}\b.* = ", text, re.M), (
                    name
                )
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    keys = set(_leaves(config))
    for key in re.findall(r"`((?:cells|synthesis)\.[\w.]+)`", table):
        assert any(leaf == key or leaf.startswith(f"{key}.") for leaf in keys), key
