"""Python starts with this module where ``benchmarks/where.py`` puts its folder on the path.

A timer of CPU time interrupts the process a few hundred times a second; what it is doing then is
counted: importing, or the innermost function of the package on the stack. At its end each process
adds a line to the file that ``ALSMUSCLE_PROFILE`` names: its name, CPU seconds, and the counts.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import NoReturn

INTERVAL = 0.005
counts: Counter[str] = Counter()
# The process that has added its line: one that ends by ``os._exit`` may come by here twice.
said: list[int] = []


def doing(frame: FrameType | None) -> str:
    """Name what a stack is busy with: ``import``, a function of the package, or ``elsewhere``."""
    inner = ""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib"):
            return "import"
        if not inner and "/alsmuscle/" in name:
            inner = f"{name.rpartition('/alsmuscle/')[2]} {frame.f_code.co_name}"
        frame = frame.f_back
    return inner or "elsewhere"


def _count(_signal: int, frame: FrameType | None) -> None:
    counts[doing(frame)] += 1


def _begin() -> None:
    said.clear()
    counts.clear()
    signal.signal(signal.SIGPROF, _count)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)


def _end() -> None:
    if said:
        return
    said.append(os.getpid())
    signal.setitimer(signal.ITIMER_PROF, 0.0)
    used = resource.getrusage(resource.RUSAGE_SELF)
    words = Path("/proc/self/cmdline").read_text().split("\0")
    scripts = [Path(word).name for word in words if "/.snakemake/scripts/" in word]
    row = {
        "name": scripts[0].split(".")[1] if scripts else "snakemake",
        "cpu_s": used.ru_utime + used.ru_stime,
        "counts": dict(counts),
    }
    with Path(os.environ["ALSMUSCLE_PROFILE"]).open("a") as file:
        file.write(json.dumps(row) + "\n")


if "ALSMUSCLE_PROFILE" in os.environ and sys.platform == "linux":
    _begin()
    # A job's child has spent nothing yet, and ends without what is registered.
    os.register_at_fork(after_in_child=_begin)
    atexit.register(_end)
    _leave = os._exit

    def _exit(status: int) -> NoReturn:
        _end()
        _leave(status)

    os._exit = _exit
