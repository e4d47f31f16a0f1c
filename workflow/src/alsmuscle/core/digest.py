"""A digest of the code that a rule's script reaches, so that an edited module reruns its rules.

Snakemake reruns a rule when its script changes, not when a module that the script imports does.
Each rule therefore carries this digest as a parameter. It is taken over syntax trees without
docstrings, so comments and formatting rerun nothing.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from alsmuscle.core.errors import InputError

PACKAGE = Path(__file__).resolve().parents[1]
MOST_KEPT = 1000  # parsed files in a store; the package and its scripts have fewer than 250


def code_digest(script: str | Path, store: str | Path | None = None) -> str:
    """Return a hex digest over a script and every package module it reaches, at any depth.

    Parameters
    ----------
    script
        File of a rule's script.
    store
        File that keeps between processes what parsing found, since every job of a cluster reads
        the Snakefile anew. It goes by the bytes of the files, so it is never out of date; one that
        is lost, damaged or not writable costs time only.

    Raises
    ------
    InputError
        For a relative import.
    """
    kept = None if store is None else Path(store).absolute()
    known = {} if kept is None else _remembered(kept)
    before = len(known)
    reached: dict[str, str] = {}
    todo = [("", Path(script))]
    while todo:
        name, path = todo.pop()
        if name in reached:
            continue
        reached[name], imports = _parsed(path, path.stat().st_mtime_ns, kept)
        todo.extend((module, _source(module)) for module in imports)
    if kept is not None and len(known) > before:
        _remember(kept, known)
    whole = "\n".join(f"{name} {digest}" for name, digest in sorted(reached.items()))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


@cache
def _parsed(path: Path, _mtime: int, store: Path | None) -> tuple[str, frozenset[str]]:
    content = path.read_bytes()
    key = hashlib.sha256(content).hexdigest()
    known = {} if store is None else _remembered(store)
    if key not in known:
        known[key] = _parse(content, path)
    digest, names = known[key]
    # Which of the names are modules depends on other files, so it is not kept.
    return digest, frozenset(name for name in names if _exists(name))


def _parse(content: bytes, path: Path) -> tuple[str, list[str]]:
    """Return the digest of a module's syntax tree and the names of this package it imports."""
    tree = ast.parse(content, str(path))
    modules: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            # It would be followed nowhere: an edit of what it names would leave stale results.
            raise InputError(
                "a relative import",
                where=f"{path}:{node.lineno}",
                expected="imports from alsmuscle, which the digest of the code follows",
            )
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
            modules.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
            and isinstance(node.body[0].value, ast.Constant)
            and isinstance(node.body[0].value.value, str)
        ):
            node.body = node.body[1:] or [ast.Pass()]
    own = sorted(name for name in modules if name.startswith("alsmuscle."))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), own


@cache
def _remembered(store: Path) -> dict[str, tuple[str, list[str]]]:
    """Return what a store keeps: nothing unless it is whole and of this algorithm and Python."""
    try:
        seal, _, text = store.read_text(encoding="utf-8").partition("\n")
    except (OSError, ValueError):
        return {}
    if seal != _seal(text):
        return {}
    return {key: (digest, names) for key, (digest, names) in json.loads(text).items()}


def _remember(store: Path, known: dict[str, tuple[str, list[str]]]) -> None:
    """Write a store in one step; a folder that cannot be written is left as it is."""
    # Files that were edited leave their entries behind; the latest come last.
    text = json.dumps(dict(list(known.items())[-MOST_KEPT:]))
    part = store.with_name(f".{store.name}.{uuid.uuid4().hex}")
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(f"{_seal(text)}\n{text}", encoding="utf-8")
        part.replace(store)
    except OSError:
        with suppress(OSError):
            part.unlink()


def _seal(text: str) -> str:
    """Return a checksum of a store's text, of this module and of the Python that parses."""
    made_by = f"{sys.version}\n{_read_own()}\n{text}"
    return hashlib.sha256(made_by.encode()).hexdigest()


@cache
def _read_own() -> str:
    return Path(__file__).read_text(encoding="utf-8")


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield a module and its statements at any depth, without their many more expressions.

    Every job that a cluster runs does this anew.
    """
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            if isinstance(inner := getattr(node, part, None), list):
                todo.extend(inner)


def _source(module: str) -> Path:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    return base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__init__.py"


def _exists(module: str) -> bool:
    return _source(module).is_file()


def put_first(folder: str) -> None:
    """Let processes that this one starts import from ``folder`` before anything installed."""
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if folder not in others:
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *others])
