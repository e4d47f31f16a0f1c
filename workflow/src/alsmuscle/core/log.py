"""Logging: one line per event, to the rule's log file and the terminal's error stream."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alsmuscle.core.errors import InputError
from alsmuscle.core.redaction import shown


def get(name: str = "alsmuscle") -> logging.Logger:
    """Return the package's logger or a child of it."""
    return logging.getLogger(name if name.startswith("alsmuscle") else f"alsmuscle.{name}")


class _Shown(logging.Formatter):
    """Lines that hold nothing of the machine and nothing that steers a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record))


def to_file(path: str | Path | None, level: int = logging.INFO) -> None:
    """Send the package's log to ``path`` (truncated first) and warnings also to stderr."""
    root = logging.getLogger("alsmuscle")
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    line = _Shown("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setLevel(logging.WARNING)
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, mode="w", encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(line)
        root.addHandler(handler)


# Process ids of the parent and of this process, known before anything else is loaded.
_LINE = [os.getppid(), os.getpid()]


def _as_child() -> None:
    _LINE[:] = [_LINE[1], os.getpid()]


os.register_at_fork(after_in_child=_as_child)


def end_with_parent() -> None:
    """Ask Linux to end this process with the one that started it, even if that one is killed.

    A job that outlives its run would write beside the same job of the next run. Where the parent is
    gone already, no signal will come any more: this process ends at once.
    """
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != _LINE[0]:
            os.kill(os.getpid(), signal.SIGKILL)


def _one_blas_thread() -> None:
    """Keep sums in one order: the number of cores must not change a digit."""
    from threadpoolctl import threadpool_limits

    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"):
        os.environ[name] = "1"  # for libraries that are loaded later
    threadpool_limits(1, user_api="blas")


@contextmanager
def job(path: str | Path) -> Iterator[logging.Logger]:
    """Run a rule's script: log to ``path``; turn an ``InputError`` into one readable message.

    The message goes to stderr and to ``<path>.error``, from where the workflow repeats it last; the
    process then ends with status 1 and no traceback.
    """
    end_with_parent()
    _one_blas_thread()
    # A job makes hundreds of thousands of objects that stay: looking for cycles among them seldom
    # takes 6 % off a contrast.
    gc.set_threshold(50_000, 20, 100)
    to_file(path)
    logger = get()
    message = Path(f"{path}.error")
    message.unlink(missing_ok=True)
    try:
        yield logger
    except InputError as error:
        message.write_text(f"{shown(str(error))}\n", encoding="utf-8")
        logger.error("%s", error)
        raise SystemExit(1) from None
    except Exception:
        logger.exception("the job failed; this is a bug in alsmuscle, please report it")
        raise
