"""Reads of a run that is killed: the next goes on, ends in the same bytes, and fills no disk."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import psutil
import pytest

import made_up_reads
from alsmuscle.core import files
from alsmuscle.data.tables import MANIFEST
from faultserver import Reply, certificate
from small_reads import Served, bulk_study, quick
from support import make_project

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.verify,  # four starts of the workflow
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate"),
    pytest.mark.skipif(sys.platform != "linux", reason="jobs end with their run on Linux"),
]
TARGET = "results/provenance/data/srp1.tsv"


class Disk(threading.Thread):
    """Looks again and again how many bytes of FASTQ lie in a folder, and of how many libraries."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.most, self.libraries, self.looks = folder, 0, 0, 0
        self._ended = threading.Event()

    def run(self):
        while not self._ended.wait(0.002):
            held = {}
            for path in self.folder.glob("*/*.fastq*"):
                try:
                    size = path.stat().st_size
                except FileNotFoundError:
                    continue
                held[path.parent] = held.get(path.parent, 0) + size
            self.most = max(self.most, sum(held.values()))
            self.libraries = max(self.libraries, len(held))
            self.looks += 1

    def end(self):
        self._ended.set()
        self.join()


@contextmanager
def started(project):
    """A run with cores for four libraries at once; what is left of it at the end is killed."""
    command = [sys.executable, "-m", "snakemake", "--cores", "16", "--rerun-incomplete", TARGET]
    run = subprocess.Popen(
        command, cwd=project.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield run
    finally:
        jobs = psutil.Process(run.pid).children(recursive=True) if run.poll() is None else []
        run.kill()
        run.wait()
        _, alive = psutil.wait_procs(jobs, timeout=30)
        assert not alive, alive


def killed_once(project, seen):
    with started(project) as run:
        while not seen():
            assert run.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)


def test_killed_while_fetching_and_while_quantifying(tmp_path_factory):
    source = tmp_path_factory.mktemp("made")
    genome = made_up_reads.genome([f"ENSG{i:011d}.1" for i in range(40)])
    study = bulk_study(
        *(source, "SRP1", genome),
        **{"paired": True, "strand": "reverse", "seed": 2, "n_side": 2, "reads": 6_000},
        transcripts=genome.write(source)["transcripts"],
    )
    project = make_project(tmp_path_factory.mktemp("run"), copy_code=False)
    (project.folder / "config" / "datasets" / "gse1.yaml").unlink()
    project.config(lambda config: quick(config, source))
    served = Served(project, [study], certificate(tmp_path_factory.mktemp("tls")))
    reads = project.folder / "data" / "srp1" / "reads"
    counts = reads.parent / "reads.counts.tsv"

    def tables():
        return {path.name: gzip.decompress(path.read_bytes()) for path in reads.glob("*.tsv.gz")}

    def finished():
        with started(project) as run:
            assert run.wait(timeout=1800) == 0
        found = files.read_table(project.folder / TARGET, MANIFEST).drop(columns="retrieved")
        return tables(), counts.read_bytes(), found.to_dict("records")

    with served.serving():
        whole = finished()
        assert len(whole[0]) == 5
        for folder in (reads.parent, project.folder / "results"):
            shutil.rmtree(folder)
        disk = Disk(reads)
        disk.start()

        for url, content in study.files.items():  # slowly
            served.archive.serve(url, Reply(content, pause=0.2, block=len(content) // 10))
        killed_once(project, lambda: any(p.stat().st_size for p in reads.glob("*/*.part")))
        begun = {path.name for path in reads.iterdir() if path.is_dir()}
        assert begun and not list(reads.glob("*.json"))
        asked = len(served.archive.seen)

        study.serve(served.archive)
        killed_once(project, lambda: any(reads.glob("*/.work")))
        again = served.archive.seen[asked:]
        assert any("range" in headers for _, headers, _ in again), "no download was taken up"
        # What was begun comes first: else it would lie beside the libraries that follow.
        first = next(path.parts[-2] for path in reads.glob("*/.work"))
        assert first in begun
        assert finished() == whole
        disk.end()
    assert disk.looks > 100 and 0 < disk.libraries <= 2
    sizes = [
        sum(len(c) for url, c in study.files.items() if f"/{run}/" in url) for run in study.origin
    ]
    assert max(sizes) * 0.2 < disk.most <= sum(sorted(sizes)[-2:])
    assert not list(reads.glob("**/*.fastq*"))
