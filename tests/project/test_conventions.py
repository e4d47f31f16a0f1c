"""What the files of the project keep to."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator

import pytest

from support import ROOT

WORKFLOW = ROOT / "workflow"
PACKAGE = WORKFLOW / "src" / "alsmuscle"
SCRIPTS = sorted((WORKFLOW / "scripts").glob("*.py"))
MODULES = sorted(PACKAGE.rglob("*.py"))


FUNCTION_LINES = 100


def _rules():
    """Name and text of every rule that runs a script."""
    found = {}
    for path in sorted((WORKFLOW / "rules").glob("*.smk")):
        parts = re.split(r"^(?:rule|checkpoint) (\w+):\n", path.read_text(), flags=re.M)[1:]
        found.update(zip(parts[::2], parts[1::2], strict=True))
    return {name: text for name, text in found.items() if re.search(r"^    script:", text, re.M)}


RULES = _rules()


def test_files_that_run_the_workflow_are_tested_first(request):
    """Otherwise they end alone on one core: a file's tests stay together, and these take long."""
    assert not request.config.getoption("loadscopereorder", default=False)
    first = [item.get_closest_marker("pipeline") is not None for item in request.session.items]
    assert first == sorted(first, reverse=True)


@pytest.mark.parametrize("rule", RULES)
def test_script_log_benchmark_and_digest_bear_the_name_of_the_rule(rule):
    text = RULES[rule]
    assert re.findall(r'^    script:\n\s+"([^"]+)"', text, re.M) == [f"../scripts/{rule}.py"]
    assert re.findall(r'^    log:\n\s+log_of\("(\w+)"', text, re.M) == [rule]
    assert re.findall(r'^    benchmark:\n\s+time_of\("(\w+)"', text, re.M) == [rule]
    assert re.findall(r'\bcode=code\("(\w+)"\)', text) == [rule]


def test_no_rule_names_a_file_of_the_checkout_by_its_place_in_the_working_folder():
    """The workflow runs from any folder, also as a module of another one."""
    for path in sorted((WORKFLOW / "rules").glob("*.smk")):
        code = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.M)
        assert not re.findall(r"""["'](?:config|workflow|envs)/[^"']*["']""", code), path.name


def test_every_script_is_that_of_a_rule():
    assert {path.stem for path in SCRIPTS} == set(RULES)


def _relative_imports(text):
    if not re.search(r"\bfrom\s*\.", text):  # most files: parsing them takes seconds
        return []
    nodes = ast.walk(ast.parse(text))
    return [node.lineno for node in nodes if isinstance(node, ast.ImportFrom) and node.level]


def test_imports_are_absolute():
    """The digest that reruns the rules follows no others."""
    assert _relative_imports("import a\nfrom . import b\n") == [2]
    for path in [*MODULES, *SCRIPTS]:
        assert not _relative_imports(path.read_text()), path


REFERENCE = re.compile(r":(?:func|class|data|mod|meth):`~?(alsmuscle\.[\w.]+)`")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_refer_to_what_is_there(path):
    for target in REFERENCE.findall(path.read_text()):
        module, _, name = target.rpartition(".")
        there = hasattr(importlib.import_module(module), name)
        assert there or importlib.util.find_spec(target), f"{path.name}: {target}"


def test_folders_of_the_package_have_an_empty_init():
    assert {path.parent for path in MODULES} == {
        path.parent for path in MODULES if path.name == "__init__.py"
    }
    for path in MODULES:
        assert path.name != "__init__.py" or not path.read_text().strip(), path


def _long(paths, most):
    return {path.name for path in paths if len(path.read_text().splitlines()) > most}


@pytest.mark.parametrize(
    ("paths", "most"),
    [(SCRIPTS, 40), (MODULES, 700), ([WORKFLOW / "rules" / "common.smk"], 120)],
    ids=["scripts", "modules", "common.smk"],
)
def test_no_file_is_long(paths, most):
    """A script reads, makes one call and writes;
    what decides something is a function with a test.
    """
    assert not _long(paths, most), f"longer than {most} lines: split them"


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below ``node``: walking all expressions, too, takes three times as long."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, name, ()):
            yield inner
            yield from _statements(inner)


def _long_functions(paths, base, most):
    return {
        f"{path.relative_to(base)}:{node.name}"
        for path in paths
        for node in _statements(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= most
    }


def test_no_function_is_long():
    long = _long_functions(MODULES, PACKAGE, FUNCTION_LINES)
    assert not long, f"longer than {FUNCTION_LINES} lines: split them"


def test_a_long_function_is_found(tmp_path):
    (tmp_path / "a.py").write_text("def f():\n    x = 1\n    return x\n\n\ndef g():\n    pass\n")
    assert _long_functions(tmp_path.rglob("*.py"), tmp_path, 2) == {"a.py:f"}


def test_a_long_file_is_found(tmp_path):
    (tmp_path / "a.py").write_text("X = 1\n" * 5)
    (tmp_path / "b.py").write_text("X = 1\n" * 4)
    assert _long(tmp_path.rglob("*.py"), 4) == {"a.py"}
