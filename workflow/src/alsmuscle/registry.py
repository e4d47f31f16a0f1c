"""Study cards and the configuration: strict reading, cross-checks, selection.

This module is imported while Snakemake parses, so it stays light: standard library, PyYAML and
jsonschema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from alsmuscle.errors import InputError

Card = dict[str, Any]
Fail = Callable[..., None]

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


class _StrictLoader(yaml.SafeLoader):
    """YAML without silent overwriting of a repeated key."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
        if key in seen:
            line = key_node.start_mark.line + 1
            raise yaml.YAMLError(f"key '{key}' stands twice (second time in line {line})")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_yaml(path: str | Path) -> Any:
    """Read a YAML file, refusing repeated keys.

    Raises
    ------
    InputError
        The file is missing or is not YAML.
    """
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            return yaml.load(file, _StrictLoader)
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"not readable as YAML: {error}", where=path) from None


def validate(document: Any, schema: str, where: str | Path) -> None:
    """Check a document against ``workflow/schemas/<schema>.schema.yaml``.

    Raises
    ------
    InputError
        With every violation: the key's path, what was expected, and the key's description.
    """
    from jsonschema import Draft202012Validator

    rules = load_yaml(SCHEMAS / f"{schema}.schema.yaml")
    errors = sorted(Draft202012Validator(rules).iter_errors(document), key=lambda e: list(e.path))
    if not errors:
        return
    problems = []
    for error in errors:
        key = ".".join(str(part) for part in error.absolute_path) or "(top level)"
        about = error.schema.get("description") if isinstance(error.schema, Mapping) else None
        message = error.message if len(error.message) < 300 else error.message[:297] + "..."
        if error.validator == "additionalProperties" and isinstance(error.schema, Mapping):
            known = ", ".join(sorted(error.schema.get("properties", {})))
            message = f"{message.split(' (')[0]} {_unknown(error)}; known keys: {known}"
            about = None
        problems.append(f"{key}: {message}" + (f"  [{about}]" if about else ""))
    raise InputError(
        problems[0] if len(problems) == 1 else "\n  - ".join(["several problems", *problems]),
        where=where,
        remedy=f"correct the key; workflow/schemas/{schema}.schema.yaml describes each one",
    )


def _unknown(error: Any) -> str:
    known = set(error.schema.get("properties", {}))
    return "(" + ", ".join(repr(key) for key in error.instance if key not in known) + ")"


def load_config(config: Mapping[str, Any], where: str | Path) -> dict[str, Any]:
    """Validate the configuration and return it as a plain dict.

    Raises
    ------
    InputError
        See :func:`validate`.
    """
    document = dict(config)
    validate(document, "config", where)
    return document


def load_cards(folder: str | Path) -> dict[str, Card]:
    """Read and check every study card of a folder.

    Returns
    -------
    dict
        Study id → card, in alphabetical order of ids.

    Raises
    ------
    InputError
        A card breaks the schema or contradicts itself; the message names file and key.
    """
    paths = sorted(Path(folder).glob("*.yaml"))
    if not paths:
        raise InputError(
            "no study card found", where=folder, remedy="add a file <id>.yaml; see config/README.md"
        )
    cards = {}
    for path in paths:
        card = load_yaml(path)
        validate(card, "dataset", path)
        check_card(card, path)
        cards[card["id"]] = card
    return cards


def check_card(card: Card, path: str | Path) -> None:
    """Check what a schema cannot: names that must refer to something on the same card.

    Raises
    ------
    InputError
        With the key and the remedy.
    """

    def fail(key: str, problem: str, expected: str | None = None) -> None:
        raise InputError(problem, where=f"{path}: {key}", expected=expected)

    if card["id"] != Path(path).stem:
        fail("id", f"'{card['id']}' differs from the file's name '{Path(path).stem}'")
    plain = re.sub(r"[^a-z0-9]", "", card["accession"].lower())
    if card["id"] != plain and not card.get("simulated"):
        fail("id", f"'{card['id']}' is not the accession '{card['accession']}'", f"'{plain}'")
    if card["status"] == "draft" and card["use"]:
        fail(
            "status",
            "a draft cannot be used",
            "`use: false`, or a person reads the card and sets `status: candidate`",
        )
    files = card["files"]
    for key in ("counts", "effects"):
        if key in card and card[key]["file"] not in files:
            fail(f"{key}.file", f"'{card[key]['file']}' is not under `files`", _one_of(files))
    for key in ("cells", "material"):
        if key in card and card["modality"] != "cells":
            fail(key, f"only for studies of modality 'cells', not '{card['modality']}'")
    if "cells" in card:
        _check_cells(card["cells"], files, fail)
    columns = card["samples"]["columns"] if "samples" in card else {}
    sheet = card["samples"]["sheet"] if "samples" in card else {"layout": "count_columns"}
    if sheet["layout"] == "count_columns":
        if "file" in sheet:
            fail("samples.sheet.file", "`count_columns` takes no file")
    elif sheet.get("file") not in files:
        fail("samples.sheet.file", f"'{sheet.get('file')}' is not under `files`", _one_of(files))
    if card.get("counts", {}).get("layout") == "tar_tables":
        for needed in ("member", "count_column"):
            if needed not in card["counts"]:
                fail(f"counts.{needed}", "missing; the layout `tar_tables` needs it")
        if "(?P<sample_id>" not in card["counts"]["member"]:
            fail("counts.member", "the expression has no group `sample_id`", "(?P<sample_id>...)")
    for key, pattern in _patterns(card):
        try:
            re.compile(pattern)
        except re.error as error:
            fail(key, f"not a regular expression: {error}")
    for name, rule in columns.items():
        if ("from" in rule) == ("value" in rule):
            fail(f"samples.columns.{name}", "give exactly one of `from` and `value`")
    seen: set[str] = set()
    for contrast in card.get("contrasts", []):
        key = f"contrasts.{contrast['id']}"
        if contrast["id"] in seen:
            fail(key, "two contrasts have this id")
        seen.add(contrast["id"])
        if contrast["target"] == contrast["reference"]:
            fail(key, "target and reference are the same level")
        if card["modality"] == "effects":
            continue
        for field in ("variable", "block"):
            if field in contrast and contrast[field] not in (*columns, *DERIVED):
                fail(f"{key}.{field}", f"no column '{contrast[field]}'", _one_of(columns))
        for field in ("adjust", "within", "defined_by"):
            for column in contrast.get(field, []):
                if column not in (*columns, *DERIVED):
                    fail(f"{key}.{field}", f"no column '{column}'", _one_of([*columns, *DERIVED]))
        if contrast["variable"] in contrast.get("adjust", []):
            fail(f"{key}.adjust", f"'{contrast['variable']}' is what is compared")
        for column, wanted in [
            (contrast["variable"], [contrast["target"], contrast["reference"]]),
            *contrast.get("within", {}).items(),
        ]:
            levels = possible_levels(columns.get(column, {}))
            for level in wanted:
                if levels is not None and level not in levels:
                    fail(key, f"'{column}' has no level '{level}'", _one_of(levels))
    if "effects" in card and card["effects"]["contrast"] not in seen:
        fail("effects.contrast", f"no contrast '{card['effects']['contrast']}'", _one_of(seen))


def _check_cells(spec: Mapping[str, Any], files: Mapping[str, Any], fail: Fail) -> None:
    """Check where a `cells` card says its matrices are."""
    if ("matrices" in spec) == ("file" in spec):
        fail("cells", "give exactly one of `matrices` and `file`")
    named = {
        f"matrices.{sample}.{key}": matrix[key]
        for sample, matrix in spec.get("matrices", {}).items()
        for key in ("file", "raw")
        if key in matrix
    }
    for key, name in (named or {"file": spec["file"]}).items():
        if name not in files:
            fail(f"cells.{key}", f"'{name}' is not under `files`", _one_of(files))
    if "file" in spec and ("member" in spec) == ("sample_column" in spec):
        fail("cells", "`file` needs exactly one of `member` (archive) and `sample_column` (.h5ad)")
    if "(?P<sample_id>" not in spec.get("member", "(?P<sample_id>"):
        fail("cells.member", "the expression has no group `sample_id`", "(?P<sample_id>...)")


# Columns that the workflow adds to the harmonised sheet.
DERIVED = ("sex_inferred",)


def possible_levels(rule: Mapping[str, Any]) -> list[str] | None:
    """Return the levels that a column's rule can yield, or None where only the data can tell."""
    if "map" in rule:
        return sorted(set(rule["map"].values()))
    if "value" in rule:
        return [str(rule["value"])]
    return None


def _patterns(card: Card) -> list[tuple[str, str]]:
    found = [
        (f"samples.columns.{name}.pattern", rule["pattern"])
        for name, rule in card.get("samples", {}).get("columns", {}).items()
        if "pattern" in rule
    ]
    for part in ("counts", "cells"):
        if "member" in card.get(part, {}):
            found.append((f"{part}.member", card[part]["member"]))
    return found


def _one_of(names: Iterable[str]) -> str:
    return "one of: " + ", ".join(sorted(names))


def load_collections(path: str | Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read the gene-set collections that the configuration names.

    Raises
    ------
    InputError
        The file breaks the schema, a name is unknown, or a collection has no pinned hash.
    """
    known = load_yaml(path)
    validate(known, "collections", path)
    for name in names:
        if name not in known:
            raise InputError(
                f"no collection '{name}'",
                where="config: enrichment.collections",
                expected=_one_of(known),
                remedy=f"correct the name, or add it to {path}",
            )
        if not known[name]["sha256"]:
            raise InputError(
                f"collection '{name}' has no pinned hash",
                where=f"{path}: {name}.sha256",
                remedy="download the file, look at it, and set `sha256` and `verified: true`",
            )
    return {name: known[name] for name in names}


def select(cards: Mapping[str, Card], studies: Mapping[str, list[str]]) -> dict[str, Card]:
    """Return the cards that pass every non-empty list of ``studies``.

    Cards with ``use: false`` are left out of filters; naming one under ``ids`` is an error that
    quotes its reason.

    Raises
    ------
    InputError
        An id is unknown or switched off, or nothing is left.
    """
    where = "config: studies"
    for name in studies["ids"]:
        if name not in cards:
            raise InputError(f"no study '{name}'", where=f"{where}.ids", expected=_one_of(cards))
        if not cards[name]["use"]:
            raise InputError(
                f"study '{name}' is switched off on its card: {cards[name]['use_reason']}",
                where=f"{where}.ids",
            )
    for key, field in (("roles", "role"), ("organisms", "organism"), ("modalities", "modality")):
        unknown = set(studies[key]) - {card[field] for card in cards.values()}
        if unknown:
            raise InputError(
                f"no study has {field} '{min(unknown)}'",
                where=f"{where}.{key}",
                expected=_one_of({card[field] for card in cards.values()}),
            )
    chosen = {
        name: card
        for name, card in cards.items()
        if card["use"]
        and (not studies["ids"] or name in studies["ids"])
        and (not studies["roles"] or card["role"] in studies["roles"])
        and (not studies["organisms"] or card["organism"] in studies["organisms"])
        and (not studies["modalities"] or card["modality"] in studies["modalities"])
    }
    if not chosen:
        raise InputError("no study passes the selection", where=where, remedy="widen the lists")
    return chosen


def left_out(cards: Mapping[str, Card], chosen: Mapping[str, Card]) -> list[dict[str, str]]:
    """Return the cards that are not analysed, each with its reason."""
    return [
        {
            "dataset": name,
            "reason": "not selected in the configuration" if card["use"] else card["use_reason"],
        }
        for name, card in cards.items()
        if name not in chosen
    ]


def contrast(card: Card, contrast_id: str) -> dict[str, Any]:
    """Return one contrast of a card with every optional key filled in."""
    for entry in card["contrasts"]:
        if entry["id"] == contrast_id:
            return {
                "adjust": [],
                "block": None,
                "within": {},
                "defined_by": [],
                "role": card["role"],
                "stage": "",
                **entry,
            }
    raise KeyError(contrast_id)


def design_id(contrast: Mapping[str, Any]) -> str:
    """Name the model of a contrast; contrasts with one name share one fit.

    Examples
    --------
    >>> design_id({"variable": "condition", "adjust": ["sex"], "block": None, "within": {}})
    'condition+sex'
    """
    name = "+".join([contrast["variable"], *contrast["adjust"]])
    if contrast["block"]:
        name += f"|{contrast['block']}"
    for column, levels in sorted(contrast["within"].items()):
        name += f"@{column}={','.join(sorted(levels))}"
    return name


def designs(card: Card) -> dict[str, list[dict[str, Any]]]:
    """Group a card's contrasts by the model that serves them: design id → contrasts."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in card["contrasts"]:
        full = contrast(card, entry["id"])
        groups.setdefault(design_id(full), []).append(full)
    return groups
