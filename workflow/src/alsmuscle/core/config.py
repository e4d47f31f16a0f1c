"""The effective configuration: the project's values, with those of a user's file laid over them.

Paths in a configuration file are relative to that file, so that it works from any folder: copied
outside the checkout, or handed to this workflow by another one. Output (``results``,
``data.cache``) goes below the working folder, as everywhere in Snakemake.

This module is imported while Snakemake parses: standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePath
from typing import Any

Document = dict[str, Any]

# A folder of `registry` that is written so is the project's own, wherever the file lies.
PROJECT = "project"


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Document:
    """Return ``below`` with the keys of ``above`` in place of its own; only mappings are merged.

    Examples
    --------
    >>> laid_over({"a": {"b": 1, "c": [2]}}, {"a": {"c": [3]}})
    {'a': {'b': 1, 'c': [3]}}
    """
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        merged[key] = laid_over(old, value) if both else value  # type: ignore[arg-type]
    return merged


def folder_of(
    key: Sequence[str], value: object, files: Iterable[Path], read: Callable[[Path], Any]
) -> Path:
    """Return the folder that a path of the configuration is relative to.

    Parameters
    ----------
    key, value
        The key, as a path into the configuration, and its effective value.
    files
        Configuration files, the last one laid over the others.
    read
        Path → parsed YAML.

    Returns
    -------
    Path
        Folder of the last file that gives the key this value, be it inside a block that another
        workflow hands over; the working folder where none does (``--config`` on a command line).
    """
    for file in reversed(list(files)):
        if _gives(read(file), key, value):
            return file.parent
    return Path()


def _gives(document: object, key: Sequence[str], value: object) -> bool:
    if not isinstance(document, Mapping):
        return False
    found: object = document
    for part in key:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found == value or any(_gives(part, key, value) for part in document.values())


def placed(path: str | PurePath, folder: Path) -> str:
    """Return a path of the configuration, below the working folder where it lies there.

    Relative paths keep what is recorded the same when a whole project is moved.

    Examples
    --------
    >>> placed("datasets", Path("config"))
    'config/datasets'
    """
    whole = os.path.normpath(folder / Path(path).expanduser())
    here = os.path.relpath(whole) if Path(whole).is_absolute() else whole
    return whole if here.startswith("..") else here


def places(
    settings: Mapping[str, Any], files: Sequence[Path], read: Callable[[Path], Any]
) -> tuple[list[str], dict[str, str], list[str]]:
    """Return the folders of study cards, name → path of tables, and the folders of local files.

    Parameters
    ----------
    settings
        The effective configuration.
    files
        Configuration files, the project's own first, the last one laid over the others.
    read
        Path → parsed YAML.
    """
    project, kept = files[0].parent, cache(read)
    value = settings["registry"]
    folder = folder_of(("registry",), value, files, kept)
    names = [value] if isinstance(value, str) else value
    registries = [
        placed("datasets", project) if name == PROJECT else placed(name, folder) for name in names
    ]
    tables = {
        name: placed(path, folder_of(("tables", name), path, files, kept))
        for name, path in settings["tables"].items()
    }
    local = settings["data"]["folders"]
    folder = folder_of(("data", "folders"), local, files, kept)
    return registries, tables, [placed(name, folder) for name in local]


def to_share(settings: Mapping[str, Any]) -> Document:
    """Return the configuration as pages may show it: of folders elsewhere only the name is left.

    Examples
    --------
    >>> to_share({"registry": ["project", "/home/me/patients"], "data": {"mirror": ""}})
    {'registry': ['project', 'patients'], 'data': {'mirror': ''}}
    """
    data = settings["data"]
    changed = {
        "registry": _name(settings["registry"]),
        "data": {**data, **{key: _name(data[key]) for key in _FOLDERS if key in data}},
    }
    for key in ("results", "tables"):
        if key in settings:
            changed[key] = _name(settings[key])
    return {**settings, **changed}


_FOLDERS = ("cache", "folders", "mirror")


def _name(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _name(item) for key, item in value.items()}
    if not isinstance(value, str):
        return [_name(item) for item in value]
    elsewhere = value.startswith(("/", "~")) or ".." in PurePath(value).parts
    return PurePath(value).name if elsewhere else value
