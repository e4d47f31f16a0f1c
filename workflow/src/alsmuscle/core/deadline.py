"""An end to what may take for ever, by the alarm of the process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from alsmuscle.core.errors import InputError

PATTERN_SECONDS = 2.0


@contextmanager
def within(seconds: float, error: Callable[[], Exception]) -> Iterator[None]:
    """Raise ``error()`` in a block that takes longer.

    In the main thread only, where the work of a job is done; elsewhere there is no limit. The alarm
    also ends a regular expression that is going back and forth.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: object) -> None:
        raise error()

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def of_pattern(pattern: str, where: str) -> AbstractContextManager[None]:
    """Return the limit around matching with a card's regular expression.

    Python's engine may need time that doubles with each character, as for ``(a+)+$``.
    """
    return within(
        PATTERN_SECONDS,
        lambda: InputError(
            f"the regular expression '{pattern[:80]}' takes longer than {PATTERN_SECONDS:.0f} s",
            where=where,
            remedy="write it without a repetition inside a repetition",
        ),
    )
