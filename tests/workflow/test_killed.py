"""A run that was killed is taken up by the same command; `make survive` tries far more."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

from alsmuscle.core import files
from alsmuscle.genesets.tables import COVERAGE

TARGET = "results/programmes/coverage.tsv"


def _jobs(project):
    mark = f"{project.folder}/.snakemake/scripts/"
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(word.startswith(mark) for word in process.info["cmdline"] or [])
    ]


def test_nothing_outlives_a_killed_run_and_nobody_unlocks_by_hand(project):
    unfinished = project.folder / "results" / "programmes" / ".0123abcd.part.coverage.tsv"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_text("half a li")
    run = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", TARGET],
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (jobs := _jobs(project)) and run.poll() is None:
        time.sleep(0.1)  # looking through all processes is work itself; a job loads for longer
    log = project.folder / "results" / "logs" / "programmes_check" / "all.log"
    while not log.exists() and run.poll() is None:
        time.sleep(0.02)  # from here on the job watches its parent
    assert run.poll() is None, "the job was over too soon to be disturbed"
    run.kill()
    run.wait()
    psutil.wait_procs(jobs, timeout=20)
    assert not _jobs(project)
    assert list((project.folder / ".snakemake" / "locks").iterdir())

    again = project.snakemake(TARGET, "--quiet", "all", "--rerun-incomplete")
    assert again.returncode == 0, again.stderr
    assert len(files.read_table(project.folder / TARGET, COVERAGE))
    assert not unfinished.exists()
