"""Programs and their files end with the job that started them."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from alsmuscle.reads import tools

WAITS = """
from pathlib import Path
from alsmuscle.reads import tools
tools.binary = lambda name: Path("/bin/sleep")
tools.call("sleep", "600")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell of a parent's death")
def test_a_program_ends_with_the_job_that_was_killed():
    job = subprocess.Popen([sys.executable, "-c", WAITS])
    watched = psutil.Process(job.pid)
    while not (found := watched.children()) and job.poll() is None:
        time.sleep(0.02)
    job.kill()
    job.wait()
    assert found, "it ended before it was killed"
    gone, alive = psutil.wait_procs(found, timeout=20)
    assert gone and not alive


def test_what_a_killed_job_left_between_is_removed(tmp_path):
    with tools.workspace(tmp_path) as place:
        (place / "half").write_text("a bus")
        left = place
        with tools.workspace(tmp_path) as again:
            assert again == left and not list(again.iterdir())
    assert not list(tmp_path.iterdir())
