"""Study cards and the configuration: strict reading, cross-checks, selection.

This module is imported while Snakemake parses, so it stays light: standard library, PyYAML and
jsonschema.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from alsmuscle.core import config
from alsmuscle.core.errors import InputError
from alsmuscle.core.redaction import printable
from alsmuscle.data import card_files
from alsmuscle.data.card_files import one_of
from alsmuscle.reads import libraries

Card = dict[str, Any]

# Modalities of cards that hold published results and no samples.
PUBLISHED = ("effects", "calls")

SCHEMAS = Path(__file__).resolve().parents[3] / "schemas"


# Far beyond any card or schema.
_MOST_YAML, _MOST_DEEP, _MOST_TEXT = 4_000_000, 50, 20_000
# Folders of the cache that belong to no study.
_RESERVED = ("collections", "reference")


# libyaml reads the cards ten times faster than the loader in Python; not every build has it.
class _StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML without silent overwriting of a repeated key."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
        if key in seen:
            line = key_node.start_mark.line + 1
            raise yaml.YAMLError(f"key '{key}' is duplicated (again in line {line})")
        seen.add(key)
    return dict(loader.construct_mapping(node, deep=True))


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_yaml(path: str | Path, *, aliases: bool = True) -> Any:
    """Read a YAML file, refusing repeated keys, deep nesting, excessive size and, if told, aliases.

    Raises
    ------
    InputError
        The file is missing or is not such YAML.
    """
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            text = file.read(_MOST_YAML + 1)
        if len(text) > _MOST_YAML:
            raise InputError(f"longer than {_MOST_YAML:,} characters", where=path)
        _refuse_tricks(text, path, aliases)
        return yaml.load(text, _StrictLoader)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    # A number of 5,000 digits, a key that is a list, a nesting without end.
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"not readable as YAML: {error}", where=path) from None


def _refuse_tricks(text: str, where: str | Path, aliases: bool) -> None:
    """Refuse aliases, of which a few lines unfold to billions, and nesting that no stack holds."""
    depth = 0
    for event in yaml.parse(text, _StrictLoader):
        if isinstance(event, yaml.AliasEvent) and not aliases:
            raise InputError(
                f"the alias *{event.anchor} is refused",
                where=where,
                expected="plain YAML",
                remedy="write the value out",
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_DEEP:
            raise InputError(f"nested more than {_MOST_DEEP} deep", where=where)


def check_plain(document: Any, where: str | Path) -> None:
    """Check that a card holds nothing but text, numbers, lists and mappings of a sensible size.

    Raises
    ------
    InputError
        A key that is no text, a date or another object of YAML, a number that is none, control
        characters, or a text or key that is longer than anybody writes.
    """
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            if odd := [name for name in value if not isinstance(name, str)]:
                raise InputError(
                    f"the key {odd[0]!r} is no text",
                    where=f"{where}: {key}" if key else where,
                    remedy="write it in quotes",
                )
            waiting += [(name, name) for name in value]
            waiting += [(f"{key}.{name}" if key else name, part) for name, part in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{key}.{number}", part) for number, part in enumerate(value)]
        elif isinstance(value, str):
            if len(value) > _MOST_TEXT:
                problem = f"a text of {len(value):,} characters"
            elif printable(value) != value:
                problem = "control characters, or marks that change the direction of writing"
            else:
                continue
            raise InputError(problem, where=f"{where}: {key[:100]}", remedy="write plain text")
        elif isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{value} is no number", where=f"{where}: {key[:100]}")
        elif not isinstance(value, int | float | None):
            raise InputError(
                f"{value!r} is neither text nor number",
                where=f"{where}: {key[:100]}",
                remedy="write it in quotes",
            )


def validate(document: Any, schema: str, where: str | Path) -> None:
    """Check a document against ``workflow/schemas/<schema>.schema.yaml``.

    Raises
    ------
    InputError
        With every violation: the key's path, what was expected, and the key's description.
    """
    errors = sorted(_validator(schema).iter_errors(document), key=lambda e: list(e.path))
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


@cache
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def pattern(_: Any, wanted: str, instance: Any, __: Any) -> Iterator[ValidationError]:
        # `$` of Python also stands before a line end, and names of files would hold it.
        if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", wanted), instance):
            yield ValidationError(f"{instance[:80]!r} does not match '{wanted}'")

    strict: Any = extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"pattern": pattern}
    )
    return strict(load_yaml(SCHEMAS / f"{schema}.schema.yaml"))


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


def load_cards(*folders: str | Path) -> dict[str, Card]:
    """Read and check every study card of the registries.

    Returns
    -------
    dict
        Study id → card, in alphabetical order of ids.

    Raises
    ------
    InputError
        A card breaks the schema or contradicts itself, two have one id, or a folder has none; the
        message names file and key.
    """
    paths: dict[str, Path] = {}
    for folder in folders:
        found = sorted(Path(folder).glob("*.yaml"))
        if not found:
            raise InputError(
                "no study card found",
                where=folder,
                remedy="add a file <id>.yaml, or correct `registry`; see config/README.md",
            )
        for path in found:
            if path.stem in paths:
                raise InputError(
                    f"a card of this id is also {paths[path.stem]}",
                    where=path,
                    remedy="rename one, or take its folder out of `registry`",
                )
            paths[path.stem] = path
    return {name: load_card(path) for name, path in sorted(paths.items())}


# What a card of unpublished data need not say.
UNPUBLISHED = {"accession": "", "citation": {"text": "unpublished"}, "facts": {}}


def load_card(path: str | Path) -> Card:
    """Read and check one study card; paths of local files become those seen from here.

    Raises
    ------
    InputError
        The card breaks the schema or contradicts itself; the message names file and key.
    """
    card = load_yaml(path, aliases=False)
    check_plain(card, path)
    validate(card, "dataset", path)
    card = dict(card)
    if card["status"] == "private":
        card = {**UNPUBLISHED, **card}
    check_card(card, path)
    if "files" in card:
        folder = Path(path).parent
        card["files"] = {
            name: card_files.from_here(file, lambda path: config.placed(path, folder))
            for name, file in card["files"].items()
        }
    return card


def is_local(file: Mapping[str, Any]) -> bool:
    """Say whether an entry of ``files`` is a file of one's own, named by its path.

    Examples
    --------
    >>> [is_local({"url": url}) for url in ("counts.csv", "https://host/a.csv", "simulated:a")]
    [True, False, False]
    """
    return "url" in file and card_files.is_path(file["url"])


def check_card(card: Card, path: str | Path) -> None:
    """Check what a schema cannot: names that must refer to something on the same card.

    Raises
    ------
    InputError
        With the key and the remedy.
    """

    def fail(key: str, problem: str, expected: str | None = None) -> None:
        raise InputError(problem, where=f"{path}: {key}", expected=expected)

    if card["id"] in _RESERVED:
        fail("id", f"'{card['id']}' is a folder of the cache", "another id")
    if card["id"] != Path(path).stem:
        fail("id", f"'{card['id']}' differs from the file's name '{Path(path).stem}'")
    # Unpublished data has no accession yet.
    wanted = plain(card["accession"]) or card["id"]
    # One accession can hold two studies, such as GSE167186: bulk, and `gse167186nuclei`.
    if not re.fullmatch(rf"{wanted}[a-z]*", card["id"]) and not card.get("simulated"):
        fail("id", f"'{card['id']}' is not the accession '{card['accession']}'", f"'{wanted}'")
    if card["status"] == "draft" and card["use"]:
        fail(
            "status",
            "a draft cannot be used",
            "`use: false`, or a person reads the card and sets `status: candidate`",
        )
    files = card.get("files", {})
    for name, file in files.items():
        card_files.check_file(f"files.{name}", file, fail)
    for key, name in card_files.named_files(card):
        if name not in files:
            fail(key, f"'{name}' is not under `files`", one_of(files))
    card_files.check_layout(card, fail)
    columns = card["samples"]["columns"] if "samples" in card else {}
    sheet = card["samples"]["sheet"] if "samples" in card else {"layout": "count_columns"}
    if sheet["layout"] in ("count_columns", "obs"):
        if "file" in sheet:
            fail("samples.sheet.file", f"`{sheet['layout']}` takes no file")
    elif "file" not in sheet:
        fail("samples.sheet.file", "missing", one_of(files))
    for key, pattern in card_files.patterns(card):
        try:
            re.compile(pattern)
        # Brackets without end, and repetitions without measure.
        except (re.error, RecursionError, OverflowError, MemoryError) as error:
            fail(key, f"not a regular expression: {error or type(error).__name__}")
    for name, rule in columns.items():
        given = [key for key in ("from", "value", "levels") if key in rule]
        if len(given) != 1 or (given == ["levels"] and "missing" not in card):
            fail(
                f"samples.columns.{name}",
                "give exactly one of `from` and `value`",
                "(`levels` alone only where `missing` says what is not known yet)",
            )
        if "map" in rule and "match" in rule:
            fail(f"samples.columns.{name}", "give `map` or `match`, not both")
    seen: set[str] = set()
    for contrast in card.get("contrasts", []):
        key = f"contrasts.{contrast['id']}"
        if contrast["id"] in seen:
            fail(key, "two contrasts have this id")
        seen.add(contrast["id"])
        for field, problem in _kind_faults(contrast):
            fail(f"{key}.{field}", problem)
        if card["modality"] in PUBLISHED:
            continue
        for field in ("variable", "block", "across"):
            if field in contrast and contrast[field] not in (*columns, *DERIVED):
                fail(f"{key}.{field}", f"no column '{contrast[field]}'", one_of(columns))
        for field in ("adjust", "within", "defined_by"):
            for column in contrast.get(field, []):
                if column not in (*columns, *DERIVED):
                    fail(f"{key}.{field}", f"no column '{column}'", one_of([*columns, *DERIVED]))
        if contrast["variable"] in contrast.get("adjust", []):
            fail(f"{key}.adjust", f"'{contrast['variable']}' is what is compared")
        named = [
            (contrast[column], [contrast[key] for key in keys if key in contrast])
            for column, keys in (
                ("variable", ("target", "reference")),
                ("across", ("at", "against")),
            )
            if column in contrast
        ]
        for column, wanted in [*named, *contrast.get("within", {}).items()]:
            levels = possible_levels(columns.get(column, {}))
            for level in wanted:
                if levels is not None and level not in levels:
                    fail(key, f"'{column}' has no level '{level}'", one_of(levels))
    if "calls" in card:
        for name, entry in card["calls"]["comparisons"].items():
            if name not in seen:
                fail(f"calls.comparisons.{name}", f"no contrast '{name}'", one_of(seen))
            if ("rows" in entry) != ("comparison_column" in card["calls"]):
                fail(f"calls.comparisons.{name}", "`rows` and `comparison_column` belong together")
        if lacking := seen - set(card["calls"]["comparisons"]):
            fail("calls.comparisons", f"contrast '{min(lacking)}' has no entry")
    if "effects" in card and card["effects"]["contrast"] not in seen:
        fail("effects.contrast", f"no contrast '{card['effects']['contrast']}'", one_of(seen))


# What each kind of contrast needs beside `variable`, and what it may have. An interaction without
# levels of `across` takes it as a number.
KINDS: dict[str, tuple[set[str], set[str]]] = {
    "difference": ({"target", "reference"}, {"across", "at"}),
    "interaction": ({"target", "reference", "across"}, {"at", "against", "unit"}),
    "trend": ({"target", "reference", "across", "unit"}, set()),
    "continuous": ({"unit"}, set()),
}


def _kind_faults(contrast: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield key and problem where a contrast lacks a key of its kind, or has one too many."""
    kind = contrast.get("kind", "difference")
    needed, allowed = KINDS[kind]
    if kind == "difference" and {"across", "at"} & set(contrast):
        needed = needed | {"across", "at"}
    if kind == "interaction":
        needed = needed | ({"at", "against"} if {"at", "against"} & set(contrast) else {"unit"})
    for field in sorted(needed - set(contrast)):
        yield field, f"missing; a contrast of kind `{kind}` needs it"
    every: set[str] = set().union(*(a | b for a, b in KINDS.values()))
    for field in sorted((every & set(contrast)) - needed - allowed):
        yield field, f"a contrast of kind `{kind}` has no such key"
    if kind == "interaction" and {"at", "unit"} <= set(contrast):
        yield "unit", "an interaction between levels has no unit"
    for one, other in (("target", "reference"), ("at", "against")):
        if one in contrast and contrast[one] == contrast.get(other):
            yield one, f"{one} and {other} are the same level"
    if contrast.get("across") == contrast["variable"]:
        yield "across", "the variable cannot interact with itself"
    if contrast.get("across") in contrast.get("adjust", []):
        yield "adjust", f"'{contrast['across']}' is in the model already, as `across`"


def plain(accession: str) -> str:
    """Return the id that belongs to an accession.

    Examples
    --------
    >>> plain("E-MTAB-13874")
    'emtab13874'
    """
    return re.sub(r"[^a-z0-9]", "", accession.lower())


# Columns that the workflow adds to the harmonised sheet.
DERIVED = ("sex_inferred",)


def possible_levels(rule: Mapping[str, Any]) -> list[str] | None:
    """Return the levels that a column's rule can yield, or None where only the data can tell."""
    if "map" in rule:
        return sorted(set(rule["map"].values()))
    if "match" in rule:
        return sorted(set(rule["match"].values()))
    if "value" in rule:
        return [str(rule["value"])]
    return list(rule["levels"]) if "levels" in rule else None


def load_collections(path: str | Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read the gene-set collections that the configuration names.

    Raises
    ------
    InputError
        The file breaks the schema, or a name is unknown. A collection without a pinned hash is
        held to that of its first download, or refused under ``data.pinned_only``, like any file.
    """
    known = load_yaml(path)
    validate(known, "collections", path)
    for name in names:
        if name not in known:
            raise InputError(
                f"no collection '{name}'",
                where="config: enrichment.collections",
                expected=one_of(known),
                remedy=f"correct the name, or add it to {path}",
            )
    folder = Path(path).parent
    return {
        name: {**known[name], "url": config.placed(known[name]["url"], folder)}
        if is_local(known[name])
        else known[name]
        for name in names
    }


def select(cards: Mapping[str, Card], studies: Mapping[str, Any]) -> dict[str, Card]:
    """Return the cards that pass every non-empty list of ``studies``.

    Cards with ``use: false`` are left out of filters; naming one under ``ids`` is an error that
    quotes its reason. Of what is quantified here from raw reads only that takes part which ``ids``
    names, unless ``raw_reads`` is true.

    Raises
    ------
    InputError
        An id is unknown or switched off, or nothing is left.
    """
    where = "config: studies"
    # An accession names the study that is called after it.
    wanted = [name if name in cards else plain(name) for name in studies["ids"]]
    for given, name in zip(studies["ids"], wanted, strict=True):
        if name not in cards:
            raise InputError(f"no study '{given}'", where=f"{where}.ids", expected=one_of(cards))
        if reason := unusable(cards[name]):
            raise InputError(
                f"study '{name}' is switched off on its card: {reason}", where=f"{where}.ids"
            )
        if studies["statuses"] and cards[name]["status"] not in studies["statuses"]:
            raise InputError(
                f"study '{name}' is a {cards[name]['status']}",
                where=f"{where}.ids",
                expected="a status of `studies.statuses`: " + ", ".join(studies["statuses"]),
                remedy=f"add `{cards[name]['status']}` to `studies.statuses` to try it",
            )
    for key, field in (("roles", "role"), ("organisms", "organism"), ("modalities", "modality")):
        unknown = set(studies[key]) - {card[field] for card in cards.values()}
        if unknown:
            raise InputError(
                f"no study has {field} '{min(unknown)}'",
                where=f"{where}.{key}",
                expected=one_of({card[field] for card in cards.values()}),
            )
    chosen = {
        name: card
        for name, card in cards.items()
        if card["use"]
        and (not wanted or name in wanted)
        and (not studies["roles"] or card["role"] in studies["roles"])
        and (not studies["organisms"] or card["organism"] in studies["organisms"])
        and (not studies["modalities"] or card["modality"] in studies["modalities"])
        and (not studies["statuses"] or card["status"] in studies["statuses"])
        # Tens of gigabytes are never fetched unasked.
        and (studies["raw_reads"] or name in wanted or not libraries.file_of(card))
    }
    if not chosen:
        raise InputError("no study passes the selection", where=where, remedy="widen the lists")
    return chosen


def left_out(cards: Mapping[str, Card], chosen: Mapping[str, Card]) -> list[dict[str, str]]:
    """Return the cards that are not analysed: not selected, or not usable; each with its title and
    reason.
    """
    return [
        {
            "dataset": name,
            "title": str(card.get("title", "")),
            "what": "whole study, cannot be used yet"
            if unusable(card)
            else "whole study, not selected",
            "reason": unusable(card) or _unselected(card),
        }
        for name, card in cards.items()
        if name not in chosen
    ]


def unusable(card: Mapping[str, Any]) -> str:
    """Say why a card cannot be analysed as it stands; empty where it can."""
    if card["use"]:
        return ""
    gaps = [f"{part} ({what})" for part, what in card.get("missing", {}).items()]
    reasons = [
        *([card["use_reason"]] if "use_reason" in card else []),
        *(["The card is incomplete: " + "; ".join(gaps)] if gaps else []),
    ]
    return " ".join(reasons)


def standing(card: Mapping[str, Any]) -> str:
    """Return in a word what a run would do with a card.

    ``verified``, ``candidate``, ``private`` and ``draft`` as its status; ``incomplete`` where
    something is missing, ``not used`` where a person switched it off.
    """
    if "missing" in card and card["status"] != "draft":
        return "incomplete"
    return str(card["status"]) if card["use"] or card["status"] == "draft" else "not used"


def markdown(cards: Mapping[str, Card]) -> list[str]:
    """Return the registry as the lines of a Markdown table, ALS first, then by role."""
    order = load_yaml(SCHEMAS / "dataset.schema.yaml")["$defs"]["role"]["enum"]
    rows = sorted(cards.items(), key=lambda item: (order.index(item[1]["role"]), item[0]))
    return [
        "| card | what | role | standing |",
        "|---|---|---|---|",
        *(f"| `{n}` | {c['title']} | {c['role']} | {standing(c)} |" for n, c in rows),
    ]


def facts(card: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return how each fact of a card is known:
    fact, ``file``/``page``/``no``, where it was seen.
    """
    return [
        (name, value, "") if isinstance(value, str) else (name, value["verified"], value["seen"])
        for name, value in card["facts"].items()
    ]


def _unselected(card: Mapping[str, Any]) -> str:
    if libraries.file_of(card):
        return (
            "not selected: only its raw reads are public, tens of gigabytes; to have them "
            "fetched and quantified, name it under `studies.ids`, or set `studies.raw_reads: true`"
        )
    if card["status"] == "candidate":
        return "not selected: a candidate, written from public pages and not yet run"
    return "not selected in the configuration"


def contrast(card: Card, contrast_id: str) -> dict[str, Any]:
    """Return one contrast of a card with every optional key filled in.

    The label of what has a unit ends with it: a log2 fold change *per* something is no difference
    between groups, and must never be read as one.
    """
    for entry in card["contrasts"]:
        if entry["id"] == contrast_id:
            unit = f" (per {entry['unit']})" if "unit" in entry else ""
            variable = entry.get("variable", "")
            return {
                "kind": "difference",
                "target": f"higher {variable}",
                "reference": f"lower {variable}",
                "across": None,
                "at": None,
                "against": None,
                "unit": "",
                "adjust": [],
                "block": None,
                "within": {},
                "defined_by": [],
                "role": card["role"],
                "stage": "",
                "repeats": card.get("samples", {}).get("repeats", ""),
                **entry,
                "label": entry.get("label", "") + unit,
            }
    raise KeyError(contrast_id)


def design_id(contrast: Mapping[str, Any]) -> str:
    """Name the model of a contrast; contrasts with one name share one fit.

    Examples
    --------
    >>> design_id({"variable": "condition", "adjust": ["sex"], "block": None, "within": {}})
    'condition+sex'
    """
    kind, own = contrast.get("kind", "difference"), contrast["variable"]
    if kind == "continuous":
        own += " (number)"
    if contrast.get("across"):
        number = kind == "interaction" and not contrast.get("at")
        own += f"*{contrast['across']}" + (" (number)" if number else "")
    name = "+".join([own, *contrast["adjust"]])
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
