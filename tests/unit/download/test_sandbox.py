"""A child that dies, hangs, takes all memory or raises is an explanation to its parent."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.download import sandbox


def run(work: Callable[[], Any]) -> Any:
    return sandbox.call(work, where="a file", max_bytes=1 << 29, seconds=2.0)


def test_a_result_comes_back_as_plain_data() -> None:
    assert run(lambda: {"a": [1, "x"]}) == {"a": [1, "x"]}
    assert run(lambda: None) is None
    assert len(run(lambda: "x" * 1_000_000)) == 1_000_000


def recursion() -> Any:
    return recursion()


def not_text() -> str:
    return b"\xff".decode()


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda: ctypes.string_at(0), "ended the reader .SIGSEGV"),
        (os.abort, "ended the reader .SIGABRT"),
        (lambda: np.ones(1 << 34).sum().item(), "more memory than the job asked for"),
        (lambda: len([0] * (1 << 30)), "more memory than the job asked for"),
        (lambda: time.sleep(30), "longer than 2 s"),
        (recursion, "RecursionError in test_sandbox.py"),
        (not_text, "UnicodeDecodeError in test_sandbox.py"),
        (lambda: os._exit(0), "without an answer"),
        (object, "not JSON serializable"),
        (lambda: "x" * (1 << 25), "longer than 2 s"),
    ],
)
def test_every_end_is_an_input_error(work: Callable[[], Any], words: str) -> None:
    begun = time.monotonic()
    with pytest.raises(InputError, match=words):
        run(work)
    assert time.monotonic() - begun < 8


def test_an_input_error_keeps_its_parts() -> None:
    def work() -> None:
        raise InputError("wrong", where="x.tsv", expected="right", remedy="mend it")

    with pytest.raises(InputError) as caught:
        run(work)
    assert str(caught.value) == str(
        InputError("wrong", where="x.tsv", expected="right", remedy="mend it")
    )


def test_the_allowance_grows_with_the_files_and_stays_below_the_machine() -> None:
    assert sandbox.allowance(10**9, 1000) == 10**9
    assert sandbox.allowance(10**6, 10**7) == sandbox.PER_BYTE * 10**7
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert sandbox.allowance(10**18, 0) < whole
