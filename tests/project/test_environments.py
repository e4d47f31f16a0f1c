"""The environments: pip's lock, conda's file and the container hold what the code imports."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support import ROOT

ENVS = ROOT / "envs"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)",
        (ENVS / "requirements.txt").read_text() + "\n" + (ENVS / "docs.txt").read_text(),
        re.M,
    )
}
RUN = [Requirement(text) for text in PROJECT["dependencies"]]
DOCS = [Requirement(text) for text in PROJECT["optional-dependencies"]["docs"]]
# What comes with a declared package (mkdocs with its theme), and a module that is not called as its
# package.
COME_ALONG = [Requirement(name) for name in ("mkdocs", "requests", "rocrate-validator")]
TEST = [Requirement(text) for text in PROJECT["optional-dependencies"]["test"]]
PEERS = [Requirement(text) for text in PROJECT["optional-dependencies"]["peers"]]


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below ``node``: walking all expressions, too, takes three times as long."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, name, ()):
            yield inner
            yield from _statements(inner)


def _imports(path: Path) -> set[str]:
    """Top-level modules that a Python or Snakemake file imports, at whatever depth."""
    if path.suffix == ".py":
        nodes = list(_statements(ast.parse(path.read_text())))
        names = {alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
        names |= {
            n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module and not n.level
        }
    else:
        names = set(re.findall(r"^\s*(?:import|from) ([\w.]+)", path.read_text(), re.M))
    return {name.split(".")[0] for name in names}


def _foreign(files: list[Path], own: set[str]) -> dict[str, set[str]]:
    """Distribution → files that import it; an unknown module stands under its own name."""
    known = importlib.metadata.packages_distributions()
    found: dict[str, set[str]] = {}
    for path in files:
        for module in _imports(path) - set(sys.stdlib_module_names) - own:
            name = canonicalize_name(known.get(module, [module])[0])
            found.setdefault(name, set()).add(path.name)
    return found


def _own(*folders: Path) -> set[str]:
    return {path.stem for folder in folders for path in folder.rglob("*.py")} | {"alsmuscle"}


@pytest.mark.parametrize(
    ("files", "own", "declared"),
    [
        (
            [
                ROOT / "Snakefile",
                *(ROOT / "workflow").rglob("*.smk"),
                *(ROOT / "workflow").rglob("*.py"),
            ],
            {"alsmuscle"},
            RUN + DOCS,
        ),
        (
            [
                *(ROOT / "tests").rglob("*.py"),
                *(ROOT / "benchmarks").rglob("*.py"),
                *ENVS.glob("*.py"),
                *(ROOT / "docs").rglob("*.py"),
            ],
            _own(ROOT / "tests", ROOT / "benchmarks", ENVS, ROOT / "docs"),
            RUN + TEST + DOCS + PEERS + COME_ALONG,
        ),
    ],
    ids=["workflow", "tests"],
)
def test_every_import_is_declared(files, own, declared):
    names = {canonicalize_name(requirement.name) for requirement in declared}
    lacking = {name: where for name, where in _foreign(files, own).items() if name not in names}
    assert not lacking, "declare in pyproject.toml, then `make lock`"


def test_every_declared_package_is_pinned_within_its_range():
    for requirement in RUN + TEST + DOCS:
        pin = PINS.get(canonicalize_name(requirement.name))
        assert pin is not None, requirement
        assert requirement.specifier.contains(pin, prereleases=True), f"{requirement}: {pin}"


def test_what_runs_here_is_what_is_pinned():
    if not (ROOT / ".venv" / ".installed").exists() or Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("not the environment that make installs")
    for name, pin in PINS.items():
        try:
            assert importlib.metadata.version(name) == pin, name
        except importlib.metadata.PackageNotFoundError:
            continue  # a pin for another system


def test_the_container_installs_the_same_pins_and_runs_without_root():
    text = (ENVS / "Dockerfile").read_text()
    assert re.search(r"pip install .*--no-deps --require-hashes -r /opt/requirements.txt", text)
    assert re.search(r"^COPY requirements.txt /opt/requirements.txt$", text, re.M)
    assert "==" not in text, "versions stand in requirements.txt"
    python = re.search(r"^FROM python:(\d+\.\d+)-[\w-]+@sha256:[0-9a-f]{64}$", text, re.M)
    conda = yaml.safe_load((ENVS / "analysis.yaml").read_text())["dependencies"][0]
    assert python and conda == f"python={python[1]}"
    assert re.findall(r"^USER (\w+)$", text, re.M)[-1] not in ("root", "0")
    # The command names a profile of the checkout that is mounted where the image works.
    assert (ROOT / re.search(r'"(config/profiles/\w+)"', text)[1]).is_dir()
    assert re.search(r"^WORKDIR /project$", text, re.M) and ':/project"' in text


def test_the_lock_has_hashes_and_names_no_index():
    text = (ENVS / "requirements.txt").read_text()
    assert "index-url" not in text
    assert "://" not in text
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        if "==" in block.split("\n")[0]:
            assert "--hash=sha256:" in block, block.split("\n")[0]


def test_conda_and_pip_have_the_same_pins():
    spec = importlib.util.spec_from_file_location("lock", ENVS / "lock.py")
    lock = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lock)
    requirements = (ENVS / "requirements.txt").read_text()
    expected = lock.conda_environment(requirements)
    assert (ENVS / "analysis.yaml").read_text() == expected


def test_documentation_adds_packages_and_changes_none():
    def pins(lock):
        # What is pinned for some systems only is another's to add, in the same version.
        found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)( ;)?", (ENVS / lock).read_text(), re.M)
        return {canonicalize_name(name): (pin, bool(marker)) for name, pin, marker in found}

    docs, runs = pins("docs.txt"), pins("requirements.txt")
    both = docs.keys() & runs.keys()
    assert docs and all(runs[name][1] and runs[name][0] == docs[name][0] for name in both)
