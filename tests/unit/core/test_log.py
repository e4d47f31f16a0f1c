"""Processes that end with the one that started them."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from alsmuscle.core import log

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's signal")

# Loads the package, waits for a word, asks to end with its parent, and says that it went on.
JOB = """
import sys, time
from pathlib import Path
from alsmuscle.core import log
here = Path(sys.argv[1])
(here / "loaded").touch()
while not (here / "go").exists():
    time.sleep(0.01)
log.end_with_parent()
(here / "went on").touch()
time.sleep(60)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[2], sys.argv[1]])
print(child.pid, flush=True)
child.wait()
"""


def _until(seen):
    for _ in range(1000):
        if seen():
            return
        time.sleep(0.02)
    pytest.fail("waited in vain")


@pytest.fixture
def family(tmp_path):
    """A parent, and its child's process id and folder."""
    command = [sys.executable, "-c", PARENT, str(tmp_path), JOB]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        _until((tmp_path / "loaded").exists)
        yield parent, child, tmp_path
        parent.kill()
        child.kill() if child.is_running() else None


def test_a_child_goes_on_beside_its_parent_and_ends_with_it(family):
    parent, child, folder = family
    (folder / "go").touch()
    _until((folder / "went on").exists)
    assert child.is_running()
    parent.kill()
    child.wait(timeout=20)


def test_a_child_whose_parent_is_gone_already_does_not_go_on(family):
    parent, child, folder = family
    parent.kill()
    parent.wait()
    (folder / "go").touch()
    child.wait(timeout=20)
    assert not (folder / "went on").exists()


def test_a_forked_child_knows_its_parent(tmp_path):
    pid = os.fork()
    if not pid:
        log.end_with_parent()
        (tmp_path / "went on").touch()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0 and (tmp_path / "went on").exists()
    run = [sys.executable, "-c", "import os; print(os.getppid())"]
    said = subprocess.run(run, preexec_fn=log.end_with_parent, capture_output=True, check=True)
    assert int(said.stdout) == os.getpid()
