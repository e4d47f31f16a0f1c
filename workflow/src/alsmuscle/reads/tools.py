"""kallisto and bustools: where they are, and how they are called.

The programs come inside the PyPI package ``kb-python`` (BSD-2, as kallisto and bustools are), whose
Python part is not used.
"""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from alsmuscle.core import log
from alsmuscle.core.errors import InputError

_LINES = 6


def binary(name: str) -> Path:
    """Return the program ``kallisto`` or ``bustools`` for this machine.

    The one that ``kb-python`` brought, or else one on the search path (Linux on ARM has none in the
    package).

    Raises
    ------
    InputError
        There is none.
    """
    system, machine = platform.system().lower(), platform.machine().lower()
    folder = {
        ("linux", "x86_64"): "linux",
        ("darwin", "x86_64"): "darwin",
        ("darwin", "arm64"): "darwin/m1",
    }.get((system, machine))
    spec = importlib.util.find_spec("kb_python")
    if folder and spec and spec.submodule_search_locations:
        found = Path(spec.submodule_search_locations[0]) / "bins" / folder / name / name
        if found.is_file():
            return found
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    raise InputError(
        f"the program {name} is not there for {system} on {machine}",
        expected="the package kb-python of envs/requirements.txt, or the program on the PATH",
        remedy="install the environment (`make run` does), or put the program on the PATH",
    )


def call(name: str, *arguments: str | Path | int | float, cwd: Path | None = None) -> str:
    """Run a program to its end and return what it wrote to standard error.

    Raises
    ------
    InputError
        It failed; quotes its last lines.
    MemoryError
        The system killed it.
    """
    words = [str(binary(name)), *map(str, arguments)]
    # A program ends with a job that is killed: it would write beside the same job of the next run.
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        preexec_fn=log.end_with_parent,
    )
    if done.returncode == -signal.SIGKILL:
        # As a rule the system's answer to a lack of memory; the job may be tried again with more.
        raise MemoryError(f"{name} was killed by the system")
    if done.returncode:
        said = _last(done.stderr) or _last(done.stdout) or "nothing"
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        raise InputError(
            f"{name} {arguments[0] if arguments else ''} ended with {how} and said: {said}",
            remedy="see the log",
        )
    return done.stderr


@contextlib.contextmanager
def workspace(beside: Path) -> Iterator[Path]:
    """Give a folder for what programs write between, and remove it; also one that a killed job
    left.

    Parameters
    ----------
    beside
        Folder of one library's reads, at which one job works at a time.
    """
    place = beside / ".work"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def version(name: str) -> str:
    """Return the version that a program states, such as ``0.52.0``."""
    done = subprocess.run(
        [str(binary(name)), "version"], capture_output=True, text=True, check=False
    )
    return (done.stdout or done.stderr).strip().split()[-1]


def named(for_cells: bool) -> str:
    """Return the programs that quantify, with their versions."""
    names = ("kallisto", "bustools") if for_cells else ("kallisto",)
    return ", ".join(f"{name} {version(name)}" for name in names)


def _last(said: str) -> str:
    """Return the last lines of what a program said, as one."""
    return " / ".join(row.strip() for row in said.splitlines()[-_LINES:] if row.strip())
