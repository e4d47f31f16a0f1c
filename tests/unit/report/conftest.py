"""One report of made-up studies, built once for all tests that read its pages."""

from __future__ import annotations

from dataclasses import replace

import pytest

import cells_fixture
import report_fixture as fx
from alsmuscle.report import build
from alsmuscle.report import model as m


@pytest.fixture(scope="session")
def with_cells() -> m.ReportData:
    """Bulk, time courses, cells and a synthesis."""
    data = fx.whole(2, n_genes=300)
    return replace(
        data,
        studies=[*data.studies, cells_fixture.study()],
        headline=[*data.headline, ("SC_ACTIVATION", "activated_up")],
    )


@pytest.fixture(scope="session")
def report_files(with_cells) -> dict[str, str | bytes]:
    """Every file of its report; figures are left out."""
    return build.build(fx.templates(), with_cells, drawn=())
