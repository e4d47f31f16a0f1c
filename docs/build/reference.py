"""The reference pages, made of what the program itself reads: schemas, command line, tables, cards.

`mkdocs.yml` names `hooks.py`, which puts these pages into the site; nothing of them is kept.
"""

from __future__ import annotations

import argparse
import ast
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from alsmuscle import cli
from alsmuscle.core import provenance
from alsmuscle.data import cards
from alsmuscle.report import methods
from alsmuscle.synthesis import dictionary as contents

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = {
    "config": ("Configuration", "Keys of `config/config.yaml`, and of a file laid over it."),
    "dataset": ("Study cards", "Keys of a file `<id>.yaml` of a registry."),
    "claims": ("Claims", "Keys of `config/claims.yaml`."),
    "collections": ("Gene sets", "Keys of `config/collections.yaml`."),
    "discovery": ("Searches", "Keys of `config/discovery.yaml`."),
}
PACKAGE = ROOT / "workflow" / "src" / "alsmuscle"


def pages() -> dict[str, str]:
    """Return path below `reference/` → Markdown of every generated page."""
    made = {f"{name}.md": schema_page(name) for name in SCHEMAS}
    made |= {
        "commands.md": command_page(),
        "columns.md": column_page(),
        "outputs.md": output_page(),
        "studies.md": study_page(),
        "steps.md": method_page(),
    }
    return made | {f"api/{wing}.md": text for wing, text in api_pages().items()}


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |"

    return [line(head), "|" + "---|" * len(head), *map(line, rows), ""]


# --- schemas --------------------------------------------------------------------------------------


def keys(
    node: Mapping[str, Any], defs: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yield every key of a schema with its description; `[]` stands for an item, `<name>` for a
    name.
    """
    node = {**defs.get(str(node.get("$ref", "")).rpartition("/")[2], {}), **node}
    for key, value in node.get("properties", {}).items():
        where = f"{path}.{key}" if path else key
        whole = {**defs.get(str(value.get("$ref", "")).rpartition("/")[2], {}), **value}
        yield where, whole
        yield from keys(value, defs, where)
    if isinstance(node.get("items"), Mapping):
        yield from keys(node["items"], defs, f"{path}[]")
    if isinstance(node.get("additionalProperties"), Mapping):
        named = f"{path}.<name>" if path else "<name>"
        yield from keys(node["additionalProperties"], defs, named)
    for part in node.get("oneOf", []):
        yield from keys(part, defs, path)


def _kind(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "oneOf" in node:
        return " or ".join(filter(None, (_kind(part) for part in node["oneOf"])))
    kind = node.get("type", "")
    words = {"array": "list", "object": "block", "string": "text", "boolean": "true or false"}
    return " or ".join(words.get(k, k) for k in ([kind] if isinstance(kind, str) else kind))


def schema_page(name: str) -> str:
    """Return the page of one schema: every key once, with kind, our value and meaning."""
    title, about = SCHEMAS[name]
    schema = cards.load_yaml(cards.SCHEMAS / f"{name}.schema.yaml")
    defs = schema.get("$defs", {})
    ours = cards.load_yaml(ROOT / "config" / "config.yaml") if name == "config" else None
    lines = [f"# {title}", "", about, "", schema.get("description", ""), ""]
    rows = []
    for key, node in keys(schema, defs):
        cells = [f"`{key}`", _kind(node)]
        if ours is not None:
            value: Any = ours
            for part in key.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            plain = value is not None and not isinstance(value, Mapping)
            cells.append(f"`{value}`" if plain and len(str(value)) < 60 else "")
        rows.append([*cells, node.get("description", "")])
    lines += _table(["key", "kind", *(["value"] if ours is not None else []), "meaning"], rows)
    return "\n".join(lines)


# --- command line ---------------------------------------------------------------------------------


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return name → parser of every command."""
    found = (a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(next(found).choices)


def command_page() -> str:
    """Return the page of the command line: every command and option, with its examples."""
    lines = [
        "# Command line",
        "",
        "`make` installs `alsmuscle` in `.venv/bin`. It works in any folder. `--json` prints one "
        "JSON document instead of text; an error is a document with the key `error`.",
        "",
    ]
    for name, parser in commands().items():
        lines += [f"## `alsmuscle {name}`", "", str(parser.description), ""]
        rows = [
            [
                ", ".join(f"`{o}`" for o in a.option_strings) or f"`{a.metavar or a.dest}`",
                str(a.help or ""),
            ]
            for a in parser._actions
            if a.dest != "help"
        ]
        lines += _table(["argument", "meaning"], rows)
        lines += ["```text", *str(parser.epilog).splitlines()[1:], "```", ""]
    lines += ["## Exit codes", ""]
    lines += _table(["code", "meaning"], [[str(c), m] for c, m in cli.EXIT_CODES.items()])
    targets = [
        (part.split(":", 1)[0], part.split("##", 1)[1].strip())
        for part in (ROOT / "Makefile").read_text().splitlines()
        if ":" in part and "  ## " in part and part[0].isalpha()
    ]
    lines += ["## Targets of `make`", ""]
    return "\n".join(lines + _table(["target", "does"], [[f"`make {t}`", d] for t, d in targets]))


# --- tables ---------------------------------------------------------------------------------------


def column_page() -> str:
    """Return the data dictionary: every column of every table."""
    dictionary = contents.dictionary(ROOT / "workflow" / "schemas" / "columns.tsv")
    lines = [
        "# Columns",
        "",
        "Every table's columns; a run writes the same as `synthesis/data_dictionary.tsv`.",
        "Tables are tab-separated text with six significant digits.",
        "",
    ]
    for table, rows in dictionary.groupby("table", sort=False):
        lines += [f"## `{table}`", ""]
        lines += _table(
            ["column", "kind", "meaning"],
            [
                [f"`{r.column}`" + (" (key)" if r.key else ""), r.kind, r.meaning]
                for r in rows.itertuples()
            ],
        )
    return "\n".join(lines)


def outputs() -> list[dict[str, str]]:
    """Return the rows of `docs/build/outputs.tsv`: path, content."""
    with (ROOT / "docs" / "build" / "outputs.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def output_page() -> str:
    """Return what a run writes."""
    lines = [
        "# What comes out",
        "",
        "Paths are relative to `results/`, or to the folder that the key `results` names.",
        "",
    ]
    rows = [[", ".join(f"`{p}`" for p in r["path"].split(", ")), r["content"]] for r in outputs()]
    return "\n".join(lines + _table(["path", "content"], rows))


def study_page() -> str:
    """Return the registry."""
    registry = cards.load_cards(ROOT / "config" / "datasets")
    lines = ["# Studies", "", "What a card's standing means:", ""]
    lines += _table(["standing", "meaning"], [[k, v] for k, v in STANDINGS.items()])
    return "\n".join([*lines, *cards.markdown(registry), ""])


STANDINGS = {
    "verified": "its files were read and agree with the card; analysed by default",
    "candidate": "written from public pages, and tested only with a stand-in made from the card. "
    "Analysed by default: the first run checks it against the archive, and leaves it out with the "
    "reason if the archive disagrees or does not answer",
    "private": "your own unpublished data, in a registry outside the project",
    "incomplete": "its groups, files or donors are not known yet; the card says what is "
    "missing, and nothing is guessed",
    "draft": "proposed by a program; not analysed until a person has read it",
    "not used": "switched off, with the reason on the card",
}


def method_page() -> str:
    """Return the steps in the words of the report's methods section, with the project's values."""
    settings = cards.load_yaml(ROOT / "config" / "config.yaml")
    known = cards.load_collections(
        ROOT / "config" / "collections.yaml", settings["enrichment"]["collections"]
    )
    lines = [
        "# Steps",
        "",
        "The methods section of every report, here with the values of `config/config.yaml` and the "
        "pinned versions.",
        "",
    ]
    for step in methods.steps(settings, provenance.versions(), known):
        lines += [f"## {step['step']}", "", step["text"], ""]
        if step["citation"]:
            dois = [f"<https://doi.org/{doi}>" for doi in step["doi"].split("; ") if doi]
            lines += [" · ".join([step["citation"], *dois]), ""]
    return "\n".join(lines)


# --- docstrings -----------------------------------------------------------------------------------


def api_pages() -> dict[str, str]:
    """Return wing → page of its modules; mkdocstrings fills them in."""
    made = {}
    for wing in sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")):
        modules = [p for p in sorted((PACKAGE / wing).rglob("*.py")) if p.name != "__init__.py"]
        names = [
            ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in modules
        ]
        lines = [f"# `{wing}`", ""]
        for name, path in zip(names, modules, strict=True):
            first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
            lines += [
                f"## `{name.removeprefix(f'alsmuscle.{wing}.')}`",
                "",
                first,
                "",
                f"::: {name}",
                "",
            ]
        made[wing] = "\n".join(lines)
    return made
