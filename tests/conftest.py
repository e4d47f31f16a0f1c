"""Hooks and fixtures of all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import Project, make_project


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The long ones first, so that they do not end alone on one core.
    items.sort(key=lambda item: item.get_closest_marker("pipeline") is None)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small project; its modules are copies, so a test may edit them."""
    return make_project(tmp_path, copy_code=True)
