"""Hosts that do not answer, found out once per run and known to all its processes.

Twenty studies of one archive that cannot be reached would else each wait through all retries. A
host to which no connection could be made is noted for the run (``ALSMUSCLE_RUN``, set by the
workflow; a program of its own is a run of its own), and every further request to it fails at once.
The next run asks again. One that has answered in this run is never noted: its troubles pass.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

RUN_VARIABLE = "ALSMUSCLE_RUN"
_OWN_RUN = f"{os.getpid()}-{time.time():.0f}"
# Tries without a connection before a host counts as dead: a name server or a line may stumble once.
TRIES = 2
_UP = "up"


def dead(host: str, folder: Path | None) -> str:
    """Return why no connection to a host could be made in this run, or an empty text."""
    known = _read(host, folder)
    return "" if known == _UP else known


def answered(host: str, folder: Path | None) -> None:
    """Note that a host answered."""
    if folder is not None and not _read(host, folder):
        _path(host, folder).write_text(_UP, encoding="utf-8")


def gave_up(host: str, why: str, folder: Path | None) -> None:
    """Note that no connection could be made, unless the host has answered in this run."""
    if folder is not None and _read(host, folder) != _UP:
        forget(folder)
        _path(host, folder).write_text(why, encoding="utf-8")


def forget(folder: Path, older_than: float = 86400.0) -> None:
    """Remove what runs found out more than so many seconds ago."""
    for path in folder.glob("*.host"):
        try:
            if time.time() - path.stat().st_mtime > older_than:
                path.unlink()
        except OSError:
            continue


def _path(host: str, folder: Path) -> Path:
    run = os.environ.get(RUN_VARIABLE) or _OWN_RUN
    return folder / (re.sub(r"[^A-Za-z0-9.-]", "_", f"{run}.{host}") + ".host")


def _read(host: str, folder: Path | None) -> str:
    if folder is None:
        return ""
    try:
        return _path(host, folder).read_text(encoding="utf-8")
    except OSError:
        return ""
