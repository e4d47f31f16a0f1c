from __future__ import annotations

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
        a="from alsmuscle import b\n",
        b='"""Doc."""\nimport alsmuscle.c\nX = 1\n',
        c="def f():\n    return 1\n",
        other="Y = 1\n",
    )
    script = tmp_path / "rule.py"
    script.write_text("def late():\n    from alsmuscle.a import thing\n")
    first = digest.code_digest(script)

    (package / "other.py").write_text("Y = 2\n")
    (package / "c.py").write_text('def f():\n    "Says more."\n    # and this\n    return  1\n')
    (package / "b.py").write_text('"""Another doc."""\nimport alsmuscle.c\n\nX = 1\n')
    assert digest.code_digest(script) == first

    (package / "c.py").write_text("def f():\n    return 2\n")
    second = digest.code_digest(script)
    assert second != first
    script.write_text("from alsmuscle import b\n")
    assert digest.code_digest(script) not in (first, second)


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
    script.write_text(place.format("import alsmuscle.a") + "\n")
    first = digest.code_digest(script)
    (package / "a.py").write_text("X = 2\n")
    assert digest.code_digest(script) != first


def test_modules_that_import_each_other_end(tmp_path, monkeypatch):
    _package(tmp_path, monkeypatch, a="from alsmuscle import b\n", b="from alsmuscle import a\n")
    script = tmp_path / "rule.py"
    script.write_text("import alsmuscle.a\n")
    assert digest.code_digest(script)


def test_a_subpackage_is_followed(tmp_path, monkeypatch):
    package = _package(tmp_path, monkeypatch)
    (package / "report").mkdir()
    (package / "report" / "__init__.py").write_text("")
    (package / "report" / "site.py").write_text("X = 1\n")
    script = tmp_path / "rule.py"
    script.write_text("from alsmuscle.report.site import X\n")
    first = digest.code_digest(script)
    (package / "report" / "site.py").write_text("X = 2\n")
    assert digest.code_digest(script) != first


def test_a_relative_import_is_refused(tmp_path, monkeypatch):
    _package(tmp_path, monkeypatch, a="from . import b\n", b="X = 1\n")
    script = tmp_path / "rule.py"
    script.write_text("from alsmuscle import a\n")
    with pytest.raises(InputError, match=r"a\.py:1.*relative import"):
        digest.code_digest(script)
