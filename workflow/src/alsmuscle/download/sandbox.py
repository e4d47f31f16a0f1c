"""Foreign files are read in a child process with a bound on memory and time.

Parsers in compiled code can be brought to crash, to ask for all memory or never to end, by damage
as well as by intent. In a child that costs its own study an explanation and nobody else anything. A
fork takes milliseconds: what is loaded is shared, nothing is imported again. What the child found
comes back as JSON, never as pickled objects: the child may no longer be what it was.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from alsmuscle.core import log
from alsmuscle.core.errors import InputError

# Of the answer, which is a few sentences.
_MOST_ANSWER = 16 << 20
# Memory that reading may take for each byte of the files: sparse matrices unpack about fivefold,
# and their readers hold a few copies.
PER_BYTE = 24
_FREE_SHARE = 0.8
_REMEDY = "the file is damaged or means harm: fetch it again, or leave the study out"


def allowance(job_bytes: int, file_bytes: int) -> int:
    """Return how much memory reading may take, in bytes.

    What the job asked for, or more where the files are large; never nearly all of the machine's.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(max(job_bytes, PER_BYTE * file_bytes), int(_FREE_SHARE * machine))


def call(work: Callable[[], Any], *, where: str | Path, max_bytes: int, seconds: float) -> Any:
    """Run ``work`` in a child process and return its result, which must be plain (JSON).

    Parameters
    ----------
    work
        Reads foreign files; changes nothing that is needed afterwards.
    where
        Named in errors.
    max_bytes
        Memory that the child may take beyond what this process holds. Held by Linux alone.
    seconds
        Wall time.

    Raises
    ------
    InputError
        What ``work`` raised, whatever it was (a traceback of what is no ``InputError`` is in the
        log), or how the child ended.
    """
    with tempfile.TemporaryDirectory(prefix="alsmuscle-", ignore_cleanup_errors=True) as folder:
        return _called(work, folder, where=where, max_bytes=max_bytes, seconds=seconds)


def _called(
    work: Callable[[], Any], folder: str, *, where: str | Path, max_bytes: int, seconds: float
) -> Any:
    """Do as :func:`call`; what the child unpacks lies in ``folder``,
    and goes even if it is killed.
    """
    reader, writer = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with warnings.catch_warnings():
        # Python warns of threads, which the child does not need: those of BLAS are made anew.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(reader)
        tempfile.tempdir = folder
        _child(work, writer, max_bytes)
    os.close(writer)
    content, whole = b"", False
    try:
        content, whole = _received(reader, time.monotonic() + seconds)
    finally:
        os.close(reader)
        if not whole:
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    if not whole:
        raise InputError(
            f"reading it took longer than {seconds:.0f} s", where=where, remedy=_REMEDY
        )
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        raise InputError(f"reading it ended the reader ({name})", where=where, remedy=_REMEDY)
    try:
        answer = json.loads(content)
        if "error" in answer:
            given = answer["error"]
            raise InputError(
                given["problem"],
                where=given["where"] or where,
                expected=given["expected"],
                remedy=given["remedy"],
            )
        return answer["result"]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "reading it ended without an answer", where=where, remedy=_REMEDY
        ) from None


def plainly(error: BaseException) -> InputError:
    """Return any exception as one that a reader understands: its kind, its words, its place."""
    if isinstance(error, InputError):
        return error
    if isinstance(error, MemoryError):
        return InputError(
            "reading it takes more memory than the job asked for",
            remedy="if the file is sound, give the job more, as in `--set-resources "
            "data_verify:mem_mb=16000`",
        )
    # The place in our code, not where a library gave up.
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if "lib/python" not in f.filename
    ]
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    words = " ".join(str(error).split())[:300]
    return InputError(
        f"{type(error).__name__}{place}" + (f": {words}" if words else ""), remedy=_REMEDY
    )


def _child(work: Callable[[], Any], writer: int, max_bytes: int) -> NoReturn:
    """Do the work within its bounds, answer, and end without the parent's last acts."""
    status = 1
    try:
        faulthandler.disable()
        log.end_with_parent()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if (held := _data_bytes()) is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (held + max_bytes,) * 2)
        answer = _answer(work)
        with os.fdopen(writer, "wb") as sink:
            sink.write(answer)
        status = 0
    finally:
        os._exit(status)


def _answer(work: Callable[[], Any]) -> bytes:
    try:
        return json.dumps({"result": work()}).encode()
    # One study's failure is its own, whatever it is.
    except BaseException as error:
        if not isinstance(error, InputError):
            log.get("sandbox").info("reading failed", exc_info=error)
        said = plainly(error)
    given = {
        "problem": said.problem,
        "where": str(said.where) if said.where else None,
        "expected": said.expected,
        "remedy": said.remedy,
    }
    return json.dumps({"error": given}).encode()


def _data_bytes() -> int | None:
    """Return the memory that ``RLIMIT_DATA`` counts of this process; None off Linux."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmData:")), "")
    return int(line.split()[1]) << 10 if line else None


def _received(reader: int, deadline: float) -> tuple[bytes, bool]:
    """Return what the child wrote, and whether it came to its end: an answer, or its death."""
    content = bytearray()
    while len(content) <= _MOST_ANSWER:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return bytes(content), False
        if not (block := os.read(reader, 1 << 16)):
            return bytes(content), True
        content += block
    return b"", False
