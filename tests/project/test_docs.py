"""The documentation: it shows no command that is not run, and names every key once."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import reference
import yaml

from alsmuscle import cli
from alsmuscle.data import cards
from alsmuscle.synthesis.dictionary import TABLES
from support import ROOT, mirror

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))
generated = cache(reference.pages)  # each process would make them while it collects
BLOCK = re.compile(r"(<!-- not run here: (?P<reason>[^>]+) -->\n)?```sh\n(?P<code>.*?)```", re.S)
# Pages whose commands are run one after the other, in a fresh clone.
RUN = [path for path in PAGES if BLOCK.search(path.read_text())]


def _blocks(path: Path) -> list[tuple[str, str]]:
    """Commands of a page with the reason why they are not run, if they are not."""
    return [(m["code"], (m["reason"] or "").strip()) for m in BLOCK.finditer(path.read_text())]


def _commands(code: str) -> list[str]:
    """Lines that begin a command: no text of a here-document, no continuation."""
    code = re.sub(r"<<'END'.*?\nEND$", "", code, flags=re.S | re.M).replace("\\\n", " ")
    return [line for line in code.splitlines() if line.strip()]


# --- the reference --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", reference.SCHEMAS)
def test_every_key_of_a_schema_stands_once_in_the_reference(name):
    schema = cards.load_yaml(cards.SCHEMAS / f"{name}.schema.yaml")
    wanted = Counter(key for key, _ in reference.keys(schema, schema.get("$defs", {})))
    found = Counter(re.findall(r"^\| `([^`]+)` \|", generated()[f"{name}.md"], re.M))
    assert wanted == found
    assert max(wanted.values()) == 1
    for other, text in generated().items():
        if other.removesuffix(".md") not in (name, *reference.SCHEMAS):
            assert not [k for k in wanted if "." in k and f"| `{k}` |" in text], other


def test_every_leaf_of_the_configuration_is_a_key_of_its_page():
    def leaves(node, path=""):
        for key, value in node.items():
            where = f"{path}.{key}" if path else key
            yield from leaves(value, where) if isinstance(value, dict) else [where]

    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    known = set(re.findall(r"^\| `([^`]+)` \|", generated()["config.md"], re.M))
    free = {"cells.coexpression.defining", "cells.coexpression.min_counts"}
    named = {leaf for leaf in leaves(config) if not any(leaf.startswith(f) for f in free)}
    assert named <= known


def test_every_column_of_every_table_stands_once_with_its_meaning():
    parts = re.split(r"^## `([^`]+)`$", generated()["columns.md"], flags=re.M)[1:]
    found = {
        table: re.findall(r"^\| `([^`]+)`(?: \(key\))? \| [^|]+ \| (.+) \|$", text, re.M)
        for table, text in zip(parts[::2], parts[1::2], strict=True)
    }
    for table, contract in TABLES.items():
        assert [name for name, _ in found[table]] == list(contract.columns), table
        assert all(meaning.strip() for _, meaning in found[table]), table


def test_every_command_and_option_stands_once():
    text = generated()["commands.md"]
    for name, parser in reference.commands().items():
        assert len(re.findall(rf"^## `alsmuscle {name}`$", text, re.M)) == 1
        section = text.partition(f"## `alsmuscle {name}`\n")[2].partition("\n## ")[0]
        for action in parser._actions:
            for option in set(action.option_strings) - {"-h", "--help"}:
                assert section.count(f"| `{option}` |") == 1, f"{name} {option}"
    for code in cli.EXIT_CODES:
        assert f"| {code} |" in text


def test_every_table_that_a_rule_writes_is_among_the_outputs():
    listed = " ".join(row["path"] for row in reference.outputs())
    written: set[str] = set()
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        written |= set(
            re.findall(r'result\(\s*"((?:synthesis|calls|provenance)/[^"]+)"', path.read_text())
        )
    for name in written:
        plain = name.replace("{dataset}", "<study>").replace("{contrast}", "<contrast>")
        folder = re.search(r"provenance/(data|fetched|checks)/|\{table\}", plain)
        assert folder or plain in listed or plain.endswith((".json", ".yaml", "_lock.tsv")), plain


# --- commands -------------------------------------------------------------------------------------


def test_the_readme_and_the_pages_show_commands_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for path in [ROOT / "README.md", *PAGES]:
        text = path.read_text()
        for target in re.findall(r"\bmake ([a-z][a-z-]+)", " ".join(re.findall(r"`[^`]+`", text))):
            assert target in targets, f"{path.name}: make {target}"
        for code, _ in _blocks(path):
            for line in _commands(code):
                words = shlex.split(line.split(" > ")[0].split(" >> ")[0])
                words = [w for w in words if not re.fullmatch(r"[A-Z_]+=.*", w)]
                if words[0] == "make":
                    assert words[1] in targets, line
                elif words[0].endswith("alsmuscle"):
                    cli.parser().parse_args(words[1:])


@pytest.mark.parametrize(
    "page",
    [
        *PAGES,
        *(
            ROOT / name
            for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "config/README.md")
        ),
    ],
    ids=lambda page: f"{page.parent.name}-{page.stem}",
)
def test_commands_within_sentences_can_be_given(page):
    for found in re.findall(r"`(?:\.venv/bin/)?alsmuscle ([^`]+)`", page.read_text()):
        words = shlex.split(found.partition(" > ")[0])
        if not words[0].startswith("-"):
            cli.parser().parse_args(words if len(words) > 1 else [words[0], *_LEAST[words[0]]])


# What a command that is named alone needs.
_LEAST = {"discover": [], "draft": [], "studies": [], "check": [], "explain": ["C1"]} | {
    "completion": ["bash"]
}


def test_what_is_not_run_says_why():
    """Few, and only what no machine of ours has."""
    kept = [(path.name, reason) for path in PAGES for _, reason in _blocks(path) if reason]
    assert len(kept) <= 2, kept
    assert all(len(reason) > 10 for _, reason in kept)


@pytest.mark.verify
@pytest.mark.parametrize("page", RUN, ids=lambda path: path.stem)
def test_the_commands_of_a_page_work_in_a_fresh_clone(page, tmp_path):
    clone = tmp_path / "alsmuscle"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    # The installed environment, which is not to be made again: its stamps are newer than the clone.
    (clone / ".venv").mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith("."):
            (clone / ".venv" / entry.name).symlink_to(entry)
    for stamp in (".installed", ".docs"):
        (clone / ".venv" / stamp).touch()
    environment = {**os.environ, "PYTHONPATH": str(clone / "workflow" / "src")}
    if where := mirror():
        environment["ALSMUSCLE_MIRROR"] = str(where)
    for code, reason in _blocks(page):
        if reason:
            continue
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=7200,
        )
        assert run.returncode == 0, f"{code}\n{run.stdout[-2000:]}{run.stderr[-3000:]}"
    shutil.rmtree(clone / "results", ignore_errors=True)


@pytest.mark.verify
def test_the_site_builds_without_a_warning_and_asks_nobody(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0 and "WARNING" not in run.stderr, run.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]+src="([^"]+)"|<link[^>]+rel="(?:stylesheet|icon)"[^>]+href="([^"]+)"',
            page.read_text(),
        )
        assert not [
            u for pair in loaded for u in pair if u.startswith(("http:", "https:", "//"))
        ], page


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda p: p.stem
)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.parent / target).resolve()
        made = path.is_relative_to(DOCS / "reference") and (
            str(path.relative_to(DOCS / "reference")) in generated()
        )
        assert path.exists() or made, f"{page.name}: {target}"


def test_the_site_lists_every_page():
    nav = (ROOT / "mkdocs.yml").read_text()
    for path in PAGES:
        assert str(path.relative_to(DOCS)) in nav, path.name
    for name in generated():
        assert f"reference/{name}" in nav, name
