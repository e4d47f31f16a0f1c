"""Whether a host answers at all, found out once per run and shared by all its processes.

Twenty studies of one archive that cannot be reached would else each wait through all retries. A host
that cannot be connected to is noted for the run (``ALSMUSCLE_RUN``, set by the workflow; a program
of its own is a run of its own), and every further request to it fails at once. The next run asks
again.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import time
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

RUN_VARIABLE = "ALSMUSCLE_RUN"
_OWN_RUN = f"{os.getpid()}-{time.time():.0f}"
# Seconds for a connection, and tries: a name server or a line may stumble once.
PATIENCE = 8.0
TRIES = 2
# Seconds between two tries.
PAUSE = 1.0


def trouble(host: str, port: int, scheme: str, folder: Path | None) -> str:
    """Return why a host cannot be connected to, or an empty text.

    Parameters
    ----------
    host, port, scheme
        Of the URL; a proxy that the environment names is asked in its place.
    folder
        Where processes of this user share what they know; None: nothing is shared.
    """
    if proxy := getproxies().get(scheme):
        if not proxy_bypass(host):
            return ""  # the proxy answers for everything, and says itself what it cannot reach
    if folder is None:
        return _connect(host, port)
    run = os.environ.get(RUN_VARIABLE) or _OWN_RUN
    name = re.sub(r"[^A-Za-z0-9.-]", "_", f"{run}.{host}.{port}")
    with (folder / f"{name}.host").open("a+", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # whoever comes second waits for the first one's answer
        handle.seek(0)
        if known := handle.read():
            return known.removeprefix("up").strip()
        found = _connect(host, port)
        handle.write(found or "up")
        return found


def forget(folder: Path, older_than: float = 86400.0) -> None:
    """Remove what earlier runs found out, older than so many seconds."""
    for path in folder.glob("*.host"):
        try:
            if time.time() - path.stat().st_mtime > older_than:
                path.unlink()
        except OSError:
            continue


def _connect(host: str, port: int) -> str:
    problem = ""
    for number in range(TRIES):
        if number:
            time.sleep(PAUSE)
        try:
            with socket.create_connection((host, port), timeout=PATIENCE):
                return ""
        except OSError as error:
            problem = f"{type(error).__name__}: {error.strerror or error}"
    return problem
