"""Time and peak memory of the gene-set tests: 5,000 sets on 20,000 genes.

    python benchmarks/enrichment.py usual [--sets 5000] [--genes 20000] > rows.tsv

Every method runs in a process of its own on one thread and the same input: set sizes log-uniform
from 10 to 500, a t-distributed statistic, one set in twenty shifted (`set_effects`: 24 samples
whose differences have that size). CPU seconds are what to read on a shared machine; imports are not
counted; `ratio` is CPU time relative to `gsea` (this package's wrapper of gseapy's multilevel
method); `peak_mb` of `limma_cameraPR` is that of R with the input.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "src"))
RUNS = {
    "usual": ["gsea", "camera_pr", "limma_cameraPR", "set_effects"],
    "permutations": ["gsea", "gseapy_permutation"],  # seven minutes
}
METHODS = sorted(set().union(*RUNS.values()))


def make_input(n_genes: int, n_sets: int) -> tuple[pd.Series, dict[str, list[str]]]:
    """Statistic by gene and the sets, the same in every process."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(1)
    names = np.array([f"G{i}" for i in range(n_genes)])
    statistic = rng.standard_t(8, n_genes)
    sets = {}
    for i in range(n_sets):
        size = int(np.exp(rng.uniform(np.log(10), np.log(500))))
        rows = rng.choice(n_genes, size, replace=False)
        if i % 20 == 0:
            statistic[rows] += rng.normal(0, 0.5)
        sets[f"S{i}"] = list(names[rows])
    return pd.Series(statistic, index=names), sets


def make_study(statistic: pd.Series) -> tuple[tuple, pd.Series]:
    """Twelve against twelve samples whose differences have the statistic's size."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(2)
    samples = [f"s{i}" for i in range(24)]
    values = rng.normal(6, 2, (len(statistic), 1)) + rng.normal(size=(len(statistic), 24))
    values[:, 12:] += statistic.to_numpy()[:, None] / np.sqrt(6)
    target = np.repeat([0.0, 1.0], 12)
    design = pd.DataFrame({"mean": 1.0, "target": target}, index=samples)
    study = (pd.DataFrame(values, statistic.index, samples), design, [0.0, 1.0])
    return study, pd.Series(statistic.index, statistic.index)


SIZES = {"min_size": 10, "max_size": 500}


def run(method: str, n_genes: int, n_sets: int, permutations: int) -> None:
    """Run one method and print CPU seconds, wall seconds, peak MB, sets tested, sets at FDR 5 %."""
    import scipy.stats  # noqa: F401 - loaded late by the package

    statistic, sets = make_input(n_genes, n_sets)
    if method == "limma_cameraPR":
        return run_limma(statistic, sets)
    if method == "gseapy_permutation":
        import gseapy
    else:
        if method == "gsea":
            import gseapy
        from alsmuscle.genesets import camera, pathways, set_tests
    if method == "set_effects":
        study, names = make_study(statistic)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu, wall = time.process_time(), time.perf_counter()
    if method == "gsea":
        table = pathways.gsea(statistic, {"B": sets}, seed=1, permutations=permutations, **SIZES)
        tested, called = len(table), int((table["padj"] < 0.05).sum())
    elif method == "camera_pr":
        table = camera.camera_pr(statistic, {"B": sets}, **SIZES)
        tested, called = len(table), int((table["padj"] < 0.05).sum())
    elif method == "set_effects":
        table = set_tests.set_effects(
            *study, {"B": sets}, names=names, seed=1, n_matched=200, **SIZES
        )
        tested, called = len(table), int((table["padj_competitive"] < 0.05).sum())
    else:
        table = gseapy.prerank(
            rnk=statistic, gene_sets=sets, outdir=None, no_plot=True, min_size=10, max_size=500,
            permutation_num=permutations, threads=1, seed=1,
        ).res2d  # fmt: skip
        tested, called = len(table), int((table["FDR q-val"].astype(float) < 0.05).sum())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report(method, cpu, wall, before, peak, tested, called)


def run_limma(statistic: pd.Series, sets: dict[str, list[str]]) -> None:
    """limma's own cameraPR in R, without reading the input."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        statistic.to_csv(here / "t.tsv", sep="\t", header=False)
        (here / "s.gmt").write_text(
            "".join("\t".join([k, "", *v]) + "\n" for k, v in sets.items()), encoding="utf-8"
        )
        script = (
            "suppressMessages(library(limma)); d <- read.table('t.tsv');"
            "l <- strsplit(readLines('s.gmt'), '\\t'); g <- lapply(l, function(x) x[-(1:2)]);"
            "names(g) <- vapply(l, `[`, '', 1); t0 <- proc.time();"
            "s <- setNames(d[[2]], d[[1]]); r <- cameraPR(s, ids2indices(g, names(s)));"
            "u <- proc.time() - t0; cat(u[[1]] + u[[2]], u[[3]], nrow(r), sum(r$FDR < 0.05))"
        )
        done = subprocess.run(
            ["Rscript", "-e", script], cwd=here, capture_output=True, text=True, check=True
        )
        cpu, wall, tested, called = (float(x) for x in done.stdout.split())
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        report("limma_cameraPR", cpu, wall, float("nan"), peak, int(tested), int(called))


def report(method: str, *numbers: float) -> None:
    """One line of the table: times with two decimals, the rest whole."""
    cpu, wall, *rest = numbers
    print(method, f"{cpu:.2f}", f"{wall:.2f}", *(f"{x:.0f}" for x in rest), sep="\t")


def main() -> None:
    """Run every method in a process of its own; a row per method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", choices=RUNS)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--sets", type=int, default=5_000)
    parser.add_argument("--permutations", type=int, default=1_000)
    parser.add_argument("--one", choices=METHODS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        return run(args.one, args.genes, args.sets, args.permutations)
    columns = ["method", "cpu_s", "wall_s", "start_mb", "peak_mb", "tested", "fdr_5pct", "ratio"]
    print("run", "sets", "genes", *columns, sep="\t")
    base = None
    for method in RUNS[args.run]:
        command = [sys.executable, __file__, args.run, "--one", method, "--genes", str(args.genes)]
        command += ["--sets", str(args.sets), "--permutations", str(args.permutations)]
        pools = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        done = subprocess.run(
            command,
            env=os.environ | dict.fromkeys(pools, "1"),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        line = done.stdout.strip().splitlines()[-1]
        cpu = float(line.split("\t")[1])
        base = cpu if method == "gsea" else base
        ratio = f"{cpu / base:.3g}" if base else ""
        print(args.run, args.sets, args.genes, line, ratio, sep="\t", flush=True)
    return None


if __name__ == "__main__":
    main()
