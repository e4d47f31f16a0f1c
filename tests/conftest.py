"""Hooks and fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from alsmuscle.core import files
from support import Project, make_project

# Folders of files that take long, the longest first; a file of a folder that is not listed takes
# seconds.
LONG = ("pipeline", "workflow", "hostile", "faults", "unit/simulate", "unit/cells", "project")


def pytest_configure(config: pytest.Config) -> None:
    # Workers would be given the files with most tests first, and those that run the workflow, which
    # have few, last: one core would end alone.
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def place(item: pytest.Item) -> int:
    """Return where an item's file stands in the order of the run."""
    if item.get_closest_marker("pipeline"):
        return -1
    folder = item.path.parent.relative_to(Path(__file__).parent).as_posix()
    return LONG.index(folder) if folder in LONG else len(LONG)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def gene_tables_read_once() -> Iterator[None]:
    """Hundreds of tests read studies, each with the same table of 60,000 genes."""
    read = cache(files.read_gene_table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "read_gene_table", lambda organism: read(organism).copy())
        yield


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small project, whose code is the checkout's."""
    return make_project(tmp_path, copy_code=False)
