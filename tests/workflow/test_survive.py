"""The drill of killed runs judges by the files: each case is forced, none waits for chance."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support import ROOT

SPEC = importlib.util.spec_from_file_location("survive", ROOT / "tests" / "drills" / "survive.py")
assert SPEC is not None and SPEC.loader is not None
survive = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(survive)

# A run of one job, which waits to be killed; then the run does what it is told and ends well.
RUN = """
import pathlib, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
tries = folder / "tries"
first = not tries.exists()
tries.touch()
if first:
    job = folder / ".snakemake" / "scripts" / "tmp1.bulk_fit.py"
    job.parent.mkdir(parents=True, exist_ok=True)
    job.write_text("import time; time.sleep(600)")
    subprocess.run([sys.executable, str(job)], check=False)
(folder / "results" / "table.tsv").write_text(sys.argv[2 if first else 3])
print(sys.argv[4] if first else "")
"""


def _registry(folder: Path, *words: str):
    """``words``: the table after the first run and after the second, what the first one says."""
    (folder / "results").mkdir()
    program = folder / "run.py"
    program.write_text(textwrap.dedent(RUN))
    command = [sys.executable, str(program), str(folder), *words]
    registry = survive.Registry(folder, "results", command)
    (folder / "results" / "table.tsv").write_text("right")
    registry.reference = registry.state()
    return registry


class Still(random.Random):
    """The first job, at once."""

    def randrange(self, *_):
        return 0

    def uniform(self, *_):
        return 0.0


def _disturb(registry):
    return survive.disturb(registry, "job", Still())


def test_a_job_that_was_killed_as_it_ended_is_no_loss(tmp_path):
    # Every file is right, though its process was killed: as if it had written them all before.
    assert _disturb(_registry(tmp_path, "right", "right", "")) is None


def test_a_run_that_ends_well_with_a_wrong_file_is_a_loss(tmp_path):
    with pytest.raises(survive.RunLostError, match="all is well: 1 files differ: table.tsv"):
        _disturb(_registry(tmp_path, "wrong", "right", ""))


def test_a_study_that_was_left_out_is_taken_in_by_the_next_run(tmp_path):
    where = _disturb(_registry(tmp_path, "without gse1", "right", "left out: gse1"))
    assert where is not None and "the next took it in" in where


def test_a_study_that_stays_wrong_is_a_loss(tmp_path):
    with pytest.raises(survive.RunLostError, match="1 files differ"):
        _disturb(_registry(tmp_path, "without gse1", "without gse1", "left out: gse1"))


def test_a_run_of_its_own_accord_is_not_disturbed(tmp_path):
    registry = _registry(tmp_path, "right", "right", "")
    (tmp_path / "tries").touch()
    assert _disturb(registry) is None
    assert subprocess.run([*registry.command], check=False).returncode == 0
