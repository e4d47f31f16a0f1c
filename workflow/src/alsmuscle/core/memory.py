"""What a process worked out before, kept between processes as long as nothing it rests on changed.

Every job of a cluster reads the Snakefile anew: with the cards, their schema and the code that
reads them as they were, the outcome is as it was, too.
"""

from __future__ import annotations

import hashlib
import json
import sys
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any


def digest_of(paths: Iterable[str | Path], *more: str) -> str:
    """Return a hex digest over names and bytes of files, of further texts, of Python and this
    place.

    Files that are missing count as missing.
    """
    whole = hashlib.sha256("\n".join([sys.version, str(Path.cwd()), *more]).encode())
    for path in sorted({str(path) for path in paths}):
        try:
            content = Path(path).read_bytes()
        except OSError:
            content = b"missing"
        whole.update(f"\n{path}\n{len(content)}\n".encode())
        whole.update(content)
    return whole.hexdigest()


def remembered(store: str | Path, key: str, make: Callable[[], Any]) -> Any:
    """Return what ``make`` returned for this key before, else what it returns now, and keep that.

    Parameters
    ----------
    store
        File that keeps the last outcome. One that is lost, damaged or not writable costs time only.
    key
        From :func:`digest_of`: changes with everything that the outcome rests on.
    make
        Works it out. What JSON would not give back as it was is not kept.
    """
    text = kept(store, key)
    if text is not None:
        return json.loads(text)
    found = make()
    try:
        text = json.dumps(found)
        if json.loads(text) != found:
            return found
    except (TypeError, ValueError):
        return found
    keep(store, key, text)
    return found


def kept(store: str | Path, key: str) -> str | None:
    """Return the text that a store keeps for this key;
    ``None`` where it is another's, or damaged.
    """
    try:
        seal, _, text = Path(store).read_text(encoding="utf-8").partition("\n")
    except (OSError, ValueError):
        return None
    return text if seal == _seal(key, text) else None


def keep(store: str | Path, key: str, text: str) -> None:
    """Write a store in one step; a folder that cannot be written is left as it is."""
    path = Path(store).absolute()
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(f"{_seal(key, text)}\n{text}", encoding="utf-8")
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()


def _seal(key: str, text: str) -> str:
    return hashlib.sha256(f"{key}\n{text}".encode()).hexdigest()
