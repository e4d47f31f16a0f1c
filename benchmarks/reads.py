"""Time and peak memory of reads: the index per megabase, quantification per million reads.

    python benchmarks/reads.py 2000 [--reads 500000] [--steps cells …] > rows.tsv

Made-up genes (five exons, up to three isoforms, four introns) and reads of 75 nucleotides. Each
step is a process of its own on one thread; CPU seconds are what to read on a shared machine.
`programs_s` are CPU seconds of kallisto and bustools alone, the rest of `cpu_s` is reading FASTQ
from end to end in Python; `peak_mb` is that of the largest program. `megabases` are those of the
index: transcripts (shared exons once), or genes from start to end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
STEPS = ("index of transcripts", "index with introns", "whole tissue, pairs")
STEPS += ("whole tissue, single", "cells", "nuclei")
sys.path[:0] = [str(ROOT / "workflow" / "src"), str(ROOT / "tests" / "helpers")]


def measured(step: Callable[[], object]) -> tuple[float, float, float, float]:
    """Run a step in a process: CPU seconds, those of its programs, wall seconds, peak megabytes."""
    receiving, sending = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        began = time.perf_counter()
        step()
        own, programs = (
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        inside = programs.ru_utime + programs.ru_stime
        cpu = own.ru_utime + own.ru_stime + inside
        sending.send((cpu, inside, time.perf_counter() - began, programs.ru_maxrss / 1024))

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    return receiving.recv()


def main() -> None:
    """Measure, and write the table to standard output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("genes", type=int)
    parser.add_argument("--reads", type=int, default=500_000)
    parser.add_argument("--steps", nargs="+", default=STEPS, choices=STEPS)
    asked = parser.parse_args()
    print("step\tgenes\tmegabases\tmillion_reads\tcpu_s\tprograms_s\twall_s\tpeak_mb", flush=True)
    with tempfile.TemporaryDirectory() as place:
        steps(Path(place), asked.genes, asked.reads, asked.steps)


def steps(folder: Path, genes: int, reads: int, wanted: Sequence[str]) -> None:
    """Measure steps with an index of so many genes."""
    import made_up_reads
    from alsmuscle.download.policy import FetchPolicy
    from alsmuscle.reads import cells, quantify, reference

    made = made_up_reads.genome([f"ENSG{i:011d}.1" for i in range(genes)])
    paths = {key: str(path) for key, path in made.write(folder).items()}
    policy = FetchPolicy(folders=(str(folder),))
    draw = np.random.default_rng(1)
    exons = sum(len(made.transcripts[name]) for name in made.transcripts if name.endswith("0.1"))
    size = {False: exons / 1e6, True: len(made.sequence) / 1e6}

    def held(introns: bool) -> reference.Reference:
        wanted = reference.source("human", paths, introns=introns)
        return reference.prepare(wanted, folder / "cache", policy=policy)

    def row(step: str, introns: bool, n: float, run: Callable[[], object]) -> None:
        if step not in wanted:
            return
        numbers = [f"{value:.4g}" for value in (size[introns], n, *measured(run))]
        print("\t".join([step, str(genes), *numbers]), flush=True)

    row("index of transcripts", False, 0, lambda: held(False))
    row("index with introns", True, 0, lambda: held(True))
    for introns in (False, *([True] if "nuclei" in wanted else [])):
        held(introns)  # no part of what follows
    pieces, _ = made_up_reads.fragments(made, dict.fromkeys(made.transcripts, 1.0), reads, draw)
    mates = made_up_reads.bulk(folder, "B", pieces, paired=True, strand="reverse", draw=draw)
    row("whole tissue, pairs", False, reads / 1e6, lambda: quantify.quantify([mates], held(False)))
    row(
        "whole tissue, single",
        False,
        reads / 1e6,
        lambda: quantify.quantify([mates[:1]], held(False)),
    )
    if not {"cells", "nuclei"} & set(wanted):
        return
    known = made_up_reads.barcodes(2_000, draw)
    (folder / "list.txt").write_bytes(b"\n".join(known) + b"\n")
    names = list(made.genes)
    chosen = draw.integers(0, genes, (len(known), reads * 3 // 4 // len(known)))
    profiles = {
        code: {names[g]: int(n) for g, n in zip(*np.unique(row, return_counts=True), strict=True)}
        for code, row in zip(known, chosen, strict=True)
    }
    files = made_up_reads.tenx(folder, "C", made, profiles, nascent=0.4, draw=draw)
    kit = cells.Kit(
        "10xv3",
        own=str(folder / "list.txt"),
        folder=folder / "cache",
        terms={"policy": policy, "study": "benchmark"},
    )
    for introns, step in ((False, "cells"), (True, "nuclei")):
        row(step, introns, reads / 1e6, lambda i=introns: cells.count([files], held(i), kit))


if __name__ == "__main__":
    main()
