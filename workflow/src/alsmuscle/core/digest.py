"""A digest of the code that a rule's script reaches, so that an edit of it reruns the rule.

Snakemake reruns a rule when its script changes, not when a module that the script imports does.
Each rule therefore carries this digest as a parameter. It is taken over the syntax trees of the
definitions that the script reaches, without docstrings: neither a comment nor a function that the
rule never calls reruns anything.

A name is followed to the definition that it is bound to, at any depth, through imports from this
package. Importing a module also runs those of its statements that define nothing, so these always
count. A module that is used as a value (``getattr(module, name)``, ``globals()``) counts as a
whole. Not followed are names in text (``importlib``), and decorators that register what they
decorate elsewhere: the package has neither.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import symtable
import sys
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

from alsmuscle.core import memory
from alsmuscle.core.errors import InputError

PACKAGE = Path(__file__).resolve().parents[1]
MOST_KEPT = 1000  # parsed files in a store; the package and its scripts have fewer than 250

# Name → digest of its definition, and what that refers to: names of the same module, or full ones
# that begin with "alsmuscle."; ">" before one means that it is imported and no more. An imported
# name is a definition without a digest of its own. BASE are the statements that define nothing.
Module = dict[str, tuple[str, list[str]]]
BASE, ALL = "", "*"
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def code_digest(script: str | Path, store: str | Path | None = None) -> str:
    """Return a hex digest over a script and all that it reaches of the package.

    See :class:`Code`, which takes the digests of many scripts in less time.
    """
    return Code(store).digest(script)


class Code:
    """The package's code as it is now.

    Parameters
    ----------
    store
        File that keeps between processes what parsing found, since every job of a cluster reads
        the Snakefile anew. It goes by the bytes of the files, so it is never out of date; one that
        is lost, damaged or not writable costs time only.
    """

    def __init__(self, store: str | Path | None = None) -> None:
        self._store = None if store is None else Path(store).absolute()
        self._known = {} if self._store is None else _remembered(self._store)
        self._modules: dict[str, Module] = {}
        self._next: dict[tuple[str, str], list[tuple[str, str]]] = {}

    def digest(self, script: str | Path) -> str:
        """Return the digest of a rule's script.

        Raises
        ------
        InputError
            For a relative import, or one of everything (``*``): it could not be followed.
        """
        parts = self.reached(script)
        whole = "\n".join(f"{module}:{name} {digest}" for (module, name), digest in parts.items())
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    def reached(self, script: str | Path) -> dict[tuple[str, str], str]:
        """Return ``(module, definition)`` → digest of all that a script reaches, sorted.

        The script itself is the module without a name.
        """
        before = len(self._known)
        self._modules[""] = self._read(Path(script))
        found: dict[tuple[str, str], str] = {}
        # All of it but what it imports without using it.
        todo = [("", name) for name, (digest, _) in self._modules[""].items() if digest]
        todo.append(("", BASE))
        while todo:
            node = todo.pop()
            if node in found:
                continue
            module, name = node
            found[node] = self._modules[module][name][0] if name != ALL else ""
            if not module:
                todo.extend(self._follow(node))
                continue
            if node not in self._next:
                self._next[node] = self._follow(node)
            todo.extend(self._next[node])
        if self._store is not None and len(self._known) > before:
            _remember(self._store, self._known)
        return dict(sorted((node, digest) for node, digest in found.items() if digest))

    def _follow(self, node: tuple[str, str]) -> list[tuple[str, str]]:
        """Return what one definition refers to."""
        module, name = node
        own = self._modules[module]
        if name == ALL:
            return [(module, each) for each in own]
        found = [(module, BASE)]
        for target in own[name][1]:
            if target in own or target == ALL:
                found.append((module, target))
            else:
                found.extend(self._resolve(target))
        return found

    def _resolve(self, target: str) -> list[tuple[str, str]]:
        """Return what a full name stands for, with all modules that importing it runs."""
        names = target.lstrip(">").split(".")
        found, depth = [], 0
        for k in range(1, len(names) + 1):
            module = ".".join(names[:k])
            if module not in self._files:
                break
            if module not in self._modules:
                self._modules[module] = self._read(self._files[module])
            found.append((module, BASE))
            depth = k
        module = ".".join(names[:depth])
        if target.startswith(">") or not depth:
            return found
        if depth == len(names):
            found.append((module, ALL))
        elif names[depth] in self._modules[module]:
            found.append((module, names[depth]))
        return found

    @cached_property
    def _files(self) -> dict[str, Path | None]:
        """Return the package's modules by full name; a folder without ``__init__`` has none."""
        found: dict[str, Path | None] = {}
        for path in PACKAGE.rglob("*.py"):
            names = ["alsmuscle", *path.relative_to(PACKAGE).with_suffix("").parts]
            found[".".join(names[:-1] if names[-1] == "__init__" else names)] = path
        # Folders are modules, with or without a file that says so.
        folders = {
            ".".join(name.split(".")[:k]) for name in found for k in range(1, name.count(".") + 1)
        }
        return dict.fromkeys(folders, None) | found

    def _read(self, path: Path | None) -> Module:
        if path is None:
            return {BASE: ("", [])}
        content = path.read_bytes()
        key = hashlib.sha256(content).hexdigest()
        if key not in self._known:
            self._known[key] = _parse(content, path)
        return self._known[key]


def _parse(content: bytes, path: Path) -> Module:
    """Return the definitions of a module with their digests, and what they refer to."""
    text = content.decode("utf-8")
    tree = ast.parse(text, str(path))
    _drop_docstring(tree)
    within = {id(statement): _nodes(statement, path) for statement in tree.body}
    imported: dict[str, set[str]] = {}
    foreign: dict[str, str] = {}
    statements: dict[str, list[ast.stmt]] = {BASE: []}
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for name, target in _bindings(statement):
                imported.setdefault(name, set()).add(target)
            for name, target in _foreign(statement):
                foreign[name] = foreign.get(name, "") + target
        for name in [] if _for_types(statement) else _defined(statement):
            statements.setdefault(name, []).append(statement)
    # Bound within a statement of its own, such as `try`, which always counts.
    for statement in statements[BASE]:
        for node in within[id(statement)]:
            if isinstance(node, ast.Import | ast.ImportFrom):
                for name, target in _bindings(node):
                    imported.setdefault(name, set()).add(target)
    scopes: dict[str, set[str]] = {}
    for scope in symtable.symtable(text, str(path), "exec").get_children():
        scopes.setdefault(scope.get_name(), set()).update(_globals(scope))
    module: Module = {}
    for name, parts in statements.items():
        refers: set[str] = set()
        for part in parts:
            used = scopes.get(name) if isinstance(part, ast.FunctionDef) else None
            refers |= _references(within[id(part)], imported, used)
        if name == BASE:
            refers |= {f">{target}" for targets in imported.values() for target in targets}
        dump = "".join(_dump(part) for part in parts)
        module[name] = (_hashed(dump), sorted(refers - {name}))
    for name, target in foreign.items():
        module.setdefault(name, (_hashed(target), []))
    for name, targets in imported.items():
        module.setdefault(name, ("", sorted(targets)))
    for name, (digest, refers_to) in module.items():
        kept = [target for target in refers_to if target in module or target.startswith(_OWN)]
        module[name] = (digest, kept)
    return module


_OWN = ("alsmuscle", ">", ALL)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def _nodes(statement: ast.stmt, path: Path) -> list[ast.AST]:
    """Return all nodes of a statement, parents first, and drop its docstrings on the way."""
    found: list[ast.AST] = [statement]
    for node in found:
        if isinstance(node, _Definition):
            _drop_docstring(node)
        elif isinstance(node, ast.ImportFrom) and (node.level or node.names[0].name == "*"):
            # It would be followed nowhere: an edit of what it names would leave stale results.
            raise InputError(
                "a relative import" if node.level else "an import of everything",
                where=f"{path}:{node.lineno}",
                expected="imports from alsmuscle, which the digest of the code follows",
            )
        for field in node._fields:
            value = getattr(node, field)
            if isinstance(value, list):
                found += [each for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                found.append(value)
    return found


def _dump(value: object) -> str:
    """Return a node as text, as ``ast.dump`` does, in half the time."""
    if isinstance(value, ast.AST):
        inner = ",".join([_dump(getattr(value, field)) for field in value._fields])
        return f"{type(value).__name__}({inner})"
    if isinstance(value, list):
        return f"[{','.join([_dump(each) for each in value])}]"
    return repr(value)


def _drop_docstring(node: ast.Module | _Definition) -> None:
    first = node.body[0] if node.body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        node.body = node.body[1:] or [ast.Pass()]


def _defined(statement: ast.stmt) -> list[str]:
    """Return the names that a statement only defines; BASE where it does anything else."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return []
    if isinstance(statement, _Definition):
        return [statement.name]
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    flat = [
        part
        for target in targets
        for part in (target.elts if isinstance(target, ast.Tuple | ast.List) else [target])
    ]
    names = [part.id for part in flat if isinstance(part, ast.Name)]
    return names if names and len(names) == len(flat) else [BASE]


def _bindings(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Yield the names that an import binds, with the full names that they stand for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.split(".")[0] == "alsmuscle":
                yield (alias.asname or "alsmuscle"), (alias.name if alias.asname else "alsmuscle")
                if not alias.asname:
                    yield f"import {alias.name}", alias.name
    elif node.module and node.module.split(".")[0] == "alsmuscle":
        for alias in node.names:
            yield (alias.asname or alias.name), f"{node.module}.{alias.name}"


def _foreign(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Yield the names that an import from elsewhere binds, with what they stand for."""
    source = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    for alias in node.names:
        if not f"{source}{alias.name}".startswith(("alsmuscle", "__future__")):
            yield (alias.asname or alias.name.split(".")[0]), f"{source}{alias.name}"


def _for_types(statement: ast.stmt) -> bool:
    """Return whether a statement is ``if TYPE_CHECKING:``, which runs nothing."""
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"


def _globals(scope: symtable.SymbolTable) -> set[str]:
    """Return the names that a scope, or one within it, looks up in the module."""
    found = {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
    return found.union(*(_globals(inner) for inner in scope.get_children()))


def _references(
    nodes: list[ast.AST], imported: dict[str, set[str]], used: set[str] | None
) -> set[str]:
    """Return what a statement refers to, given its nodes, parents first.

    ``used`` are names that its body takes from the module.
    """
    bound = dict(imported)
    found: set[str] = set()
    local: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, target in _bindings(node):
                bound[name] = bound.get(name, set()) | {target}
                local.add(name)
                found.add(f">{target}")
    outside: set[str] = set()
    statement = nodes[0]
    if isinstance(statement, ast.FunctionDef):
        # Decorators, defaults and annotations are looked up where the function is defined.
        heads = [*statement.decorator_list, statement.args, statement.returns]
        outside = {
            node.id
            for head in heads
            if head
            for node in ast.walk(head)
            if isinstance(node, ast.Name)
        }
    followed: set[int] = set()  # names that stand before a dot, and what is between
    for node in nodes:
        if id(node) in followed or not isinstance(node, ast.Attribute | ast.Name):
            continue
        names: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
            followed.add(id(inner))
        if not isinstance(inner, ast.Name):
            continue
        name = inner.id
        if used is not None and name not in used | local | outside:
            continue
        if name in ("globals", "eval", "exec"):
            found.add(ALL)
        if name in bound:
            found.update(".".join([target, *reversed(names)]) for target in bound[name])
        else:
            found.add(name)
    return found


@cache
def _remembered(store: Path) -> dict[str, Module]:
    """Return what a store keeps: nothing unless it is whole and of this algorithm and Python."""
    text = memory.kept(store, _maker())
    if text is None:
        return {}
    return {
        key: {name: (digest, names) for name, (digest, names) in module.items()}
        for key, module in json.loads(text).items()
    }


def _remember(store: Path, known: dict[str, Module]) -> None:
    # Files that were edited leave their entries behind; the latest come last.
    memory.keep(store, _maker(), json.dumps(dict(list(known.items())[-MOST_KEPT:])))


def _maker() -> str:
    """Return what reads the code: this module, and the Python that parses."""
    return f"{sys.version}\n{_read_own()}"


def _read_own() -> str:
    return Path(__file__).read_text(encoding="utf-8")


def put_first(folder: str) -> None:
    """Let processes that this one starts import from ``folder`` before anything installed."""
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if folder not in others:
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *others])
