"""Runs of Snakemake, and their jobs, from a process that has its packages loaded already.

Most of what a dry run costs is the loading of Snakemake, and a third of what a small run costs is
the loading of other packages by each of its jobs. A server loads them once and is forked for each
run; the fork then does what ``python -m snakemake`` does, in the folder and the environment that it
is given, and ends as that would. Its jobs are forks of the same kind, each of which does what
``python script.py`` does. Nothing of this project is loaded before the fork, so each run and each
job takes the code of its own folder.

A job that is a fork has in memory what others load, and the same seed of hashes as they. Where a
test asks what a job loads, the process has loaded only what all jobs do (``light``). Each job is a
program (``started``) where ``test_warm.py`` compares, and on systems other than Linux;
``test_killed.py`` starts Snakemake itself so.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal, NoReturn

# What a run of this workflow loads of other packages, whatever it is asked for.
PACKAGES = ("snakemake.cli", "snakemake.report.html_reporter", "snakemake.storage", "jsonschema")
# What all of its jobs load, and what only Snakemake does.
OF_ALL_JOBS = ("pandas", "pyarrow.parquet", "pyarrow.csv", "pyarrow.pandas_compat")
OF_SNAKEMAKE = "jinja2"
# What many of its jobs load. Not umap, which the package has compiled in a way of its own.
OF_JOBS = (
    *("anndata", "h5py", "scipy.stats", "scipy.sparse.linalg", "scipy.io", "numba"),
    "sklearn.linear_model",
    *("pydeseq2.dds", "pydeseq2.ds", "pydeseq2.default_inference", "gseapy.gse"),
    *("statsmodels.nonparametric.smoothers_lowess", "matplotlib.figure", "fontTools.subset"),
    *("matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg", "jinja2"),
    *("openpyxl", "httpx", "tenacity", "defusedxml.ElementTree"),
)
Jobs = Literal["loaded", "light", "started"]


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    jobs: Jobs = "loaded",
) -> subprocess.CompletedProcess[str]:
    """Return what ``python -m snakemake`` with ``arguments`` says, run in ``folder``.

    ``jobs``: forks that have :data:`OF_JOBS` loaded; forks without, of which can be told what they
    load; or programs: Snakemake starts a Python for each, as it does by itself.
    """
    with tempfile.TemporaryDirectory() as place:
        said = [Path(place) / name for name in ("stdout", "stderr")]
        request = {"arguments": list(arguments), "folder": str(folder), "said": [*map(str, said)]}
        request |= {"environment": _keeping_compiled(environment), "jobs": jobs}
        server = _server(light=jobs == "light")
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, *(path.read_text() for path in said))


def _keeping_compiled(environment: Mapping[str, str]) -> dict[str, str]:
    """Let modules be compiled once, not by each job, also where Python is told to keep nothing."""
    return {k: v for k, v in environment.items() if k != "PYTHONDONTWRITEBYTECODE"}


@cache
def _server(*, light: bool) -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, __file__, *["light"] * light],
        cwd="/",
        env=_keeping_compiled({k: v for k, v in os.environ.items() if k != "PYTHONPATH"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)
    return server


def serve(*, light: bool) -> None:
    """Fork for each line of the input, and say how the fork ended; the input's end is the end."""
    for name in (*PACKAGES, *OF_ALL_JOBS, *(() if light else OF_JOBS)):
        importlib.import_module(name)
    if not light:
        # What numba loads and makes as it compiles for the first time.
        importlib.import_module("numba").njit(lambda value: value)(1)
    # It looks for plugins among all packages that there are, once in a process.
    importlib.import_module("snakemake.cli").get_argument_parser()
    assert not any(name.partition(".")[0] == "alsmuscle" for name in sys.modules)
    gc.freeze()
    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            end_after(partial(become_run, **json.loads(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def become_run(
    arguments: list[str], folder: str, said: list[str], environment: dict[str, str], jobs: Jobs
) -> None:
    """Be ``python -m snakemake`` from here on, for an hour at most."""
    signal.alarm(3600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(folder)
    # How a fork's end is waited for is Linux's way.
    started = jobs == "started" or sys.platform != "linux"
    with nullcontext() if started else forked_jobs(light=jobs == "light"):
        sys.argv = ["snakemake", *arguments]
        _settle(folder, environment)
        runpy.run_module("snakemake", run_name="__main__", alter_sys=True)


def become_job(script: str, folder: str, environment: dict[str, str]) -> None:
    """Be ``python script`` from here on."""
    os.chdir(folder)
    sys.argv = [script]
    _settle(str(Path(script).parent), environment)
    main = ModuleType("__main__")
    main.__file__ = script
    sys.modules["__main__"] = main
    exec(compile(Path(script).read_bytes(), script, "exec"), vars(main))


def _settle(first: str, environment: dict[str, str]) -> None:
    """Take an environment, and of it what Python reads as it starts; ``first``: where modules are
    looked for first.
    """
    os.environ.clear()
    os.environ.update(environment)
    places = [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[0:1] = [first, *places]
    if any(Path(place, "sitecustomize.py").exists() for place in places):
        sys.modules.pop("sitecustomize", None)
        importlib.import_module("sitecustomize")


def end_after(act: Callable[[], Any]) -> NoReturn:
    """End this process as Python would after ``act``, but for taking apart all that is loaded."""
    status: Any = 1
    try:
        act()
        status = 0
    except SystemExit as error:
        status = error.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    # As Python does before it ends: workers of executors are told to, and threads are waited for.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status & 0xFF)


@contextmanager
def forked_jobs(*, light: bool) -> Iterator[None]:
    """Let the Python scripts of Snakemake be forks of this process as it is now."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")  # Linux finds a name that no other has
    listener.listen(16)
    ours, theirs = os.pipe()
    server = os.fork()
    if not server:
        os.close(theirs)
        hidden = OF_SNAKEMAKE if light else None
        for name in [name for name in sys.modules if name.partition(".")[0] == hidden]:
            del sys.modules[name]
        _serve_jobs(listener, ours)
    os.close(ours)

    def popen(command: str, **options: Any) -> Any:
        words = shlex.split(command)
        if words[:-1] == ["set", "-euo", "pipefail;", sys.executable]:
            return _Job(listener.getsockname(), words[-1], options["env"])
        return subprocess.Popen(command, **options)

    # What a fork has in memory says nothing of a job; its measuring takes as long as a small job.
    importlib.import_module("snakemake.benchmark").BENCHMARK_INTERVAL_SHORT = 5.0
    known = vars(subprocess) | {"Popen": popen}
    importlib.import_module("snakemake.shell").sp = SimpleNamespace(**known)
    try:
        yield
    finally:
        os.close(theirs)
        os.waitpid(server, 0)


class _Job:
    """A job as Snakemake knows it: of :class:`subprocess.Popen` what it uses."""

    def __init__(self, address: bytes, script: str, environment: Mapping[str, str]) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.connect(address)
        request = {"script": script, "folder": str(Path.cwd())}
        request["environment"] = dict(environment)
        self._server.sendall(json.dumps(request).encode() + b"\n")
        self._answers = self._server.makefile("r")
        self.pid = int(self._answers.readline())

    def wait(self) -> int:
        with self._server, self._answers:
            return int(self._answers.readline())

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)


def _serve_jobs(listener: socket.socket, run: int) -> NoReturn:
    """Fork for each request, say the fork's process id, and how it ended.

    ``run``: a pipe that ends with the run, however that ends; jobs end with this process.
    """
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    waiting.register(run, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj == run:
                os._exit(0)
            if key.fileobj is listener:
                asking, _ = listener.accept()
                request = json.loads(asking.makefile("r").readline())
                job = os.fork()
                if not job:
                    waiting.close()
                    listener.close()
                    asking.close()
                    os.close(run)
                    end_after(partial(become_job, **request))
                asking.sendall(f"{job}\n".encode())
                waiting.register(os.pidfd_open(job), selectors.EVENT_READ, (job, asking))
            else:
                job, asking = key.data
                waiting.unregister(key.fileobj)
                os.close(key.fd)
                _, status = os.waitpid(job, 0)
                asking.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
                asking.close()


if __name__ == "__main__":
    serve(light=sys.argv[1:] == ["light"])
