"""A digest of the code that a rule's script reaches, so that an edited module reruns its rules.

Snakemake reruns a rule when its script changes, not when a module that the script imports does.
Each rule therefore carries this digest as a parameter. It is taken over syntax trees without
docstrings, so comments and formatting rerun nothing.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from alsmuscle.core.errors import InputError

PACKAGE = Path(__file__).resolve().parents[1]


def code_digest(script: str | Path) -> str:
    """Return a hex digest over a script and every package module it reaches, at any depth."""
    reached: dict[str, str] = {}
    todo = [("", Path(script))]
    while todo:
        name, path = todo.pop()
        if name in reached:
            continue
        reached[name], imports = _parsed(path, path.stat().st_mtime_ns)
        todo.extend((module, _source(module)) for module in imports)
    whole = "\n".join(f"{name} {digest}" for name, digest in sorted(reached.items()))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


@cache
def _parsed(path: Path, _mtime: int) -> tuple[str, frozenset[str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
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
    own = frozenset(name for name in modules if name.startswith("alsmuscle.") and _exists(name))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), own


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
