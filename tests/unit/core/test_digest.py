from __future__ import annotations

import os

import pytest

from alsmuscle.core import digest
from alsmuscle.core.errors import InputError


def _package(tmp_path, monkeypatch, **modules):
    package = tmp_path / "alsmuscle"
    package.mkdir()
    for name, text in modules.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.setattr(digest, "PACKAGE", package)
    return package


def test_semantic_edits_at_any_depth_count_and_comments_do_not(tmp_path, monkeypatch):
    package = _package(
        tmp_path,
        monkeypatch,
        a="from alsmuscle import b\n\ndef thing():\n    return b.again() + b.X\n",
        b='"""Doc."""\nimport alsmuscle.c\nX = 1\n\ndef again():\n    return alsmuscle.c.f()\n',
        c="def f():\n    return 1\n",
        other="Y = 1\n",
    )
    script = tmp_path / "rule.py"
    script.write_text("def late():\n    from alsmuscle.a import thing\n    thing()\n")
    first = digest.code_digest(script)

    (package / "other.py").write_text("Y = 2\n")
    (package / "c.py").write_text('def f():\n    "Says more."\n    # and this\n    return  1\n')
    b = (package / "b.py").read_text()
    (package / "b.py").write_text(b.replace("Doc", "Another doc"))
    assert digest.code_digest(script) == first

    (package / "c.py").write_text("def f():\n    return 2\n")
    second = digest.code_digest(script)
    assert second != first
    (package / "b.py").write_text(b.replace("X = 1", "X = 2"))
    third = digest.code_digest(script)
    assert third not in (first, second)
    script.write_text("from alsmuscle import b\n")
    assert digest.code_digest(script) not in (first, second, third)


LIBRARY = """\
import numpy as np
from alsmuscle import tables
from alsmuscle.kernel import fit as fitted

LIMIT = 1
WORDS, SIGNS = ("a",), ("+",)


def used(x, limit=LIMIT):
    def inner(tables):
        return tables.shape, np.sum(tables)

    return Half(inner(x)).value + fitted(x)


class Half:
    value = SIGNS

    def method(self):
        return later()


def later():
    from alsmuscle.lazy import late

    return late()


def unused():
    return tables.A
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    package = _package(
        tmp_path,
        monkeypatch,
        library=LIBRARY,
        tables="A = 1\n",
        kernel="import math\n\ndef fit(x):\n    return math.sqrt(x)\n\ndef other():\n    pass\n",
        lazy="BASE = 2\n\ndef late():\n    return BASE\n\ndef never():\n    pass\n",
    )
    script = tmp_path / "rule.py"
    script.write_text("from alsmuscle import library as lib\nlib.used(1)\n")
    return package, script


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("library", "LIMIT = 1", "LIMIT = 2"),  # a default
        ("library", '("+",)', '("-",)'),  # through a class, in a tuple
        ("library", "return later()", "return later"),  # a method
        ("library", "numpy as np", "cupy as np"),  # another library
        ("kernel", "math.sqrt(x)", "math.exp(x)"),  # under another name
        ("kernel", "import math", "import cmath as math"),
        ("lazy", "BASE = 2", "BASE = 3"),  # imported late
        ("tables", "A = 1", "A = 1\nprint(A)"),  # importing it runs that
    ],
)
def test_what_a_script_reaches_counts(library, module, old, new):
    package, script = library
    first = digest.code_digest(script)
    path = package / f"{module}.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert digest.code_digest(script) != first


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("library", "return tables.A", "return 0"),
        ("library", "def unused():", "def another():\n    pass\n\n\ndef unused():"),
        ("library", '("a",), ("+",)', '("a",), ("+",)  # a comment'),
        ("tables", "A = 1", "A = 2"),  # `tables` is an argument where it is used
        ("library", "LIMIT = 1", "if TYPE_CHECKING:\n    import pandas\n\nLIMIT = 1"),
        ("kernel", "pass", "return 1"),
        ("lazy", "pass", "return 1"),
    ],
)
def test_what_it_does_not_reach_does_not(library, module, old, new):
    package, script = library
    first = digest.code_digest(script)
    path = package / f"{module}.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert digest.code_digest(script) == first


@pytest.mark.parametrize("use", ["getattr(kernel, x)", "vars(kernel)", "run(kernel)"])
def test_a_module_used_as_a_value_counts_as_a_whole(library, use):
    package, script = library
    script.write_text(f"from alsmuscle import kernel\n{use}\n")
    first = digest.code_digest(script)
    (package / "kernel.py").write_text(
        (package / "kernel.py").read_text().replace("pass", "return 1")
    )
    assert digest.code_digest(script) != first


def test_names_looked_up_by_text_count_the_module_as_a_whole(library):
    package, script = library
    script.write_text("from alsmuscle.kernel import fit\nfit()\n")
    kernel = (package / "kernel.py").read_text().replace("math.sqrt(x)", "globals()[x]")
    (package / "kernel.py").write_text(kernel)
    first = digest.code_digest(script)
    (package / "kernel.py").write_text(kernel.replace("pass", "return 1"))
    assert digest.code_digest(script) != first


PLACES = (
    "if X:\n    pass\nelse:\n    {}",
    "try:\n    pass\nexcept OSError:\n    {}",
    "try:\n    pass\nfinally:\n    {}",
    "class A:\n    def f(self):\n        with X:\n            {}",
    "async def f():\n    async for x in X:\n        {}",
    "match X:\n    case 1:\n        {}",
    "while X:\n    pass\nelse:\n    {}",
)


@pytest.mark.parametrize("place", PLACES)
def test_imports_are_found_wherever_a_statement_may_stand(tmp_path, monkeypatch, place):
    package = _package(tmp_path, monkeypatch, a="X = 1\n")
    script = tmp_path / "rule.py"
    script.write_text(place.format("import alsmuscle.a; alsmuscle.a.X") + "\n")
    first = digest.code_digest(script)
    (package / "a.py").write_text("X = 2\n")
    assert digest.code_digest(script) != first


def test_modules_that_import_each_other_end(tmp_path, monkeypatch):
    _package(tmp_path, monkeypatch, a="from alsmuscle import b\n", b="from alsmuscle import a\n")
    script = tmp_path / "rule.py"
    script.write_text("import alsmuscle.a\n")
    assert digest.code_digest(script)


def test_imports_in_a_circle_of_names_end(tmp_path, monkeypatch):
    _package(
        tmp_path, monkeypatch, a="from alsmuscle.b import x\n", b="from alsmuscle.a import x\n"
    )
    script = tmp_path / "rule.py"
    script.write_text("from alsmuscle.a import x\nx()\n")
    assert digest.code_digest(script)


def test_a_subpackage_is_followed(tmp_path, monkeypatch):
    package = _package(tmp_path, monkeypatch)
    (package / "report").mkdir()
    (package / "report" / "__init__.py").write_text("")
    (package / "report" / "site.py").write_text("X = 1\n")
    script = tmp_path / "rule.py"
    script.write_text("from alsmuscle.report.site import X\nprint(X)\n")
    first = digest.code_digest(script)
    (package / "report" / "site.py").write_text("X = 2\n")
    assert digest.code_digest(script) != first


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("from . import b", "relative import"),
        ("from alsmuscle.b import *", "import of everything"),
    ],
)
def test_an_import_that_cannot_be_followed_is_refused(tmp_path, monkeypatch, statement, said):
    _package(tmp_path, monkeypatch, a=f"{statement}\n", b="X = 1\n")
    script = tmp_path / "rule.py"
    script.write_text("from alsmuscle import a\n")
    with pytest.raises(InputError, match=rf"a\.py:1.*{said}"):
        digest.code_digest(script)


def _anew(monkeypatch, script, store):
    """Digest as a new process takes it; return it with the files that were parsed."""
    digest._remembered.cache_clear()
    parsed = []
    parse = digest._parse
    with monkeypatch.context() as patch:
        patch.setattr(digest, "_parse", lambda text, path: parsed.append(path) or parse(text, path))
        return digest.code_digest(script, store), sorted(path.name for path in parsed)


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A script that reaches a module, and the store of their digest."""
    package = _package(tmp_path, monkeypatch, a="X = 1\n")
    script = tmp_path / "rule.py"
    script.write_text("from alsmuscle import a, b\nprint(a.X, b.Y)\n")
    store = tmp_path / "working" / "digests"
    first, parsed = _anew(monkeypatch, script, store)
    assert parsed == ["a.py", "rule.py"]
    assert first == digest.code_digest(script)
    return package, script, store, first


def test_a_new_process_parses_only_what_changed(stored, monkeypatch):
    package, script, store, first = stored
    assert _anew(monkeypatch, script, store) == (first, [])
    times = (package / "a.py").stat()
    (package / "a.py").write_text("X = 2\n")
    os.utime(
        package / "a.py", ns=(times.st_atime_ns, times.st_mtime_ns)
    )  # of the same age and size
    second, parsed = _anew(monkeypatch, script, store)
    assert parsed == ["a.py"]
    assert second != first
    (package / "a.py").write_text("X = 1\n")
    assert _anew(monkeypatch, script, store) == (first, [])
    assert [path.name for path in store.parent.iterdir()] == ["digests"]


def test_a_module_that_appears_or_goes_is_noticed(stored, monkeypatch):
    package, script, store, first = stored
    (package / "b.py").write_text("Y = 1\n")
    second, parsed = _anew(monkeypatch, script, store)
    assert parsed == ["b.py"]
    assert second != first
    (package / "b.py").unlink()
    assert _anew(monkeypatch, script, store) == (first, [])


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole.replace(b"alsmuscle.a", b"alsmuscle.c"),
        lambda whole: whole + b"\xff",
        lambda whole: b"\n[]",
    ],
)
def test_a_damaged_store_is_made_anew(stored, monkeypatch, damage):
    _package, script, store, first = stored
    store.write_bytes(damage(store.read_bytes()))
    assert _anew(monkeypatch, script, store) == (first, ["a.py", "rule.py"])
    assert _anew(monkeypatch, script, store) == (first, [])


def test_another_python_or_algorithm_parses_anew(stored, monkeypatch):
    _package, script, store, first = stored
    with monkeypatch.context() as patch:
        patch.setattr(digest.sys, "version", "4.0")
        assert _anew(patch, script, store) == (first, ["a.py", "rule.py"])
    with monkeypatch.context() as patch:
        patch.setattr(digest, "_read_own", lambda: "another algorithm")
        assert _anew(patch, script, store) == (first, ["a.py", "rule.py"])


@pytest.mark.parametrize("kind", ["folder in its place", "file for a folder"])
def test_a_store_that_cannot_be_written_costs_time_only(stored, tmp_path, monkeypatch, kind):
    _package, script, _store, first = stored
    store = tmp_path / "other"
    if kind == "file for a folder":
        store.write_text("a file")
        store = store / "digests"
    else:
        store.mkdir()
    before = sorted(tmp_path.iterdir())
    assert _anew(monkeypatch, script, store) == (first, ["a.py", "rule.py"])
    assert sorted(tmp_path.iterdir()) == before


def test_a_relative_import_is_refused_with_a_store_too(stored, monkeypatch):
    package, script, store, _first = stored
    (package / "a.py").write_text("from . import b\n")
    for _ in range(2):
        with pytest.raises(InputError, match="relative import"):
            _anew(monkeypatch, script, store)
