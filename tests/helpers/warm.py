"""Runs of Snakemake's command line from a process that has its packages loaded already.

Half of what a dry run costs is the loading of Snakemake. A server loads it once and is forked for
each run; the fork then does what ``python -m snakemake`` does, in the folder and the environment
that it is given, and ends as that would. Nothing of this project is loaded before the fork, so each
run takes the code of its own folder.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

# What a run of this workflow loads of other packages, whatever it is asked for.
PACKAGES = ("snakemake.cli", "snakemake.report.html_reporter", "snakemake.storage", "jsonschema")


def run(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Return what ``python -m snakemake`` with ``arguments`` says, run in ``folder``."""
    with tempfile.TemporaryDirectory() as place:
        said = [Path(place) / name for name in ("stdout", "stderr")]
        request = {"arguments": list(arguments), "folder": str(folder), "said": [*map(str, said)]}
        server = _server(environment.get("PYTHONPATH", ""))
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(request | {"environment": dict(environment)}) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, *(path.read_text() for path in said))


@cache
def _server(path: str) -> subprocess.Popen[str]:
    """Return the server for a ``PYTHONPATH``, which Python reads as it starts."""
    server = subprocess.Popen(
        [sys.executable, __file__],
        cwd="/",
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)
    return server


def serve() -> None:
    """Fork for each line of the input, and say how the fork ended; the input's end is the end."""
    for name in PACKAGES:
        importlib.import_module(name)
    assert not any(name.partition(".")[0] == "alsmuscle" for name in sys.modules)
    gc.freeze()
    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            become(**json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def become(arguments: list[str], folder: str, said: list[str], environment: dict[str, str]) -> None:
    """Be ``python -m snakemake`` from here on, for an hour at most."""
    signal.alarm(3600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["snakemake", *arguments]
    sys.path[0] = folder
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve()
