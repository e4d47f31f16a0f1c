"""Fixtures of the tests of studies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from alsmuscle.download import sandbox


@pytest.fixture
def looked_at_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at fetched files in this process: a fork for each takes longer than what is tested.

    That a child looks, and what its end means, is tested with the sandbox and the downloads.
    """

    def call(work: Callable[[], Any], **_: object) -> Any:
        try:
            return json.loads(json.dumps(work()))
        except Exception as error:
            raise sandbox.plainly(error) from error

    monkeypatch.setattr(sandbox, "call", call)
