"""How far an edit reaches: which rules run again when one definition changes.

Measured on the digests that the rules carry, over every definition of the package.
"""

from __future__ import annotations

import importlib
import shutil

import pytest

from alsmuscle.core import contracts, digest
from support import ROOT

WORKFLOW = ROOT / "workflow"
SCRIPTS = sorted((WORKFLOW / "scripts").glob("*.py"))


@pytest.fixture(scope="module")
def rules():
    """``(module, definition)`` → rules that run again when it changes."""
    code, found = digest.Code(), {}
    for script in SCRIPTS:
        for node in code.reached(script):
            found.setdefault(node, set()).add(script.stem)
    return found


def _rerun(rules, module, *names):
    """Rules that an edit of the definitions reruns; all of the module's where none is named."""
    whole = f"alsmuscle.{module}"
    chosen = [rules[whole, name] for name in names] or [
        found for (where, name), found in rules.items() if where == whole and name
    ]
    assert chosen, f"no rule reaches {module}"
    return set().union(*chosen)


@pytest.mark.parametrize(
    ("module", "names", "most"),
    [
        ("bulk.qc", ["flag"], 1),
        ("data.card_files", [], 2),
        ("stats.meta_analysis", [], 4),
        ("stats.moderated_pooling", [], 4),
        ("synthesis.verdicts", ["decide"], 2),
        ("synthesis.changes", [], 2),
    ],
    ids=[
        *("a QC flag", "checks of study cards", "the pooling", "the moderated pooling"),
        *("the rules of verdicts", "a claim's verdict over its tests"),
    ],
)
def test_an_edit_reaches_few_rules(rules, module, names, most):
    found = _rerun(rules, module, *names)
    assert len(found) <= most, sorted(found)


# What the files of a study are, and effects of genes: nearly every step reads or writes them.
SHARED = {"manifest", "de", "samples", "contrasts", "blocks"}


@pytest.mark.parametrize("wing", ["data", "bulk", "genesets", "cells", "synthesis"])
def test_a_table_reaches_the_rules_that_read_or_write_it(rules, wing):
    declared = importlib.import_module(f"alsmuscle.{wing}.tables")
    tables = {
        name: table.name
        for name, table in vars(declared).items()
        if isinstance(table, contracts.Table)
    }
    assert tables
    for constant, name in tables.items():
        # The data dictionary lists all tables.
        found = _rerun(rules, f"{wing}.tables", constant) - {"synthesis_export"}
        assert len(found) <= (6 if name not in SHARED else 12), (name, sorted(found))


def test_the_meaning_of_a_column_is_read_by_one_rule():
    """Meanings are data: no code holds them, and one rule has them as its input."""
    texts = [path.read_text() for path in (WORKFLOW / "rules").glob("*.smk")]
    assert sum(text.count("columns.tsv") for text in texts) == 1
    assert "about" not in contracts.Table.__dataclass_fields__


def test_an_edit_on_disk_reruns_the_same_rules(tmp_path, monkeypatch, rules):
    """The measure itself: the digests before and after an edit of a function."""
    shutil.copytree(WORKFLOW / "src" / "alsmuscle", tmp_path / "alsmuscle")
    monkeypatch.setattr(digest, "PACKAGE", tmp_path / "alsmuscle")

    def digests():
        code = digest.Code()
        return {script.stem: code.digest(script) for script in SCRIPTS}

    before = digests()
    path = tmp_path / "alsmuscle" / "bulk" / "qc.py"
    text = path.read_text()
    assert text.count("def flag(") == 1
    head, _, body = text.partition("def flag(")
    start = body.index('"""', body.index('"""') + 3) + 3
    path.write_text(f"{head}def flag({body[:start]}\n    print()\n{body[start:]}")
    after = digests()
    changed = {rule for rule in before if before[rule] != after[rule]}
    assert changed == _rerun(rules, "bulk.qc", "flag")
