"""Pool 20,000 genes over 5, 20, 50 and 500 contrasts; the same model in R metafor, extrapolated.

Run: python benchmarks/meta.py [--genes 20000] [--contrasts 5 20 50 500] [--subset 100]
Prints a table. metafor's CPU seconds are taken inside R, without its start-up, on ``--subset``
genes (leave-one-out on 40 of them, of 50 contrasts 20, of 500 two); its total is that × genes /
subset, because it fits gene by gene. The ratio is of CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "src"))
from alsmuscle.stats import meta_analysis

R_SCRIPT = """
suppressPackageStartupMessages(library(metafor))
y <- as.matrix(read.csv("effect.csv", row.names = 1))
s <- as.matrix(read.csv("se.csv", row.names = 1))
one <- function(i, loo) {
  ok <- !is.na(y[i, ]); if (sum(ok) < 3) return(NA)
  x <- try(rma(y[i, ok], s[i, ok]^2, method = "REML", test = "adhoc"), silent = TRUE)
  if (inherits(x, "try-error")) return(NA)
  predict(x)
  if (loo) try(leave1out(x), silent = TRUE)
  c(x$beta)
}
plain <- sum(system.time(for (i in seq_len(nrow(y))) one(i, FALSE))[1:2])
few <- seq_len(max(1, min(40, nrow(y), 1000 %/% ncol(y))))
loo <- sum(system.time(for (i in few) one(i, TRUE))[1:2]) * nrow(y) / length(few)
cat(plain, loo)
"""


def inputs(n_genes: int, n_contrasts: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return effects and standard errors, a tenth missing."""
    rng = np.random.default_rng(1)
    shape = (n_genes, n_contrasts)
    errors = np.exp(rng.normal(-1.2, 0.6, shape))
    tau = rng.choice([0.0, 0.1, 0.4], n_genes)[:, None]
    effects = rng.normal(rng.normal(0, 0.3, n_genes)[:, None], np.sqrt(tau**2 + errors**2))
    effects[rng.random(shape) < 0.1] = np.nan
    index = [f"g{i}" for i in range(n_genes)]
    columns = [f"s{i}" for i in range(n_contrasts)]
    return pd.DataFrame(effects, index, columns), pd.DataFrame(errors, index, columns)


def ours(task: str, effect: pd.DataFrame, se: pd.DataFrame) -> dict[str, float]:
    """Time one task of ours in this process."""
    columns = list(effect)
    meta_analysis.random_effects(effect.head(100), se.head(100), leave_one_out=False)  # imports
    wall, cpu = time.perf_counter(), time.process_time()
    if task == "pool":
        result = meta_analysis.random_effects(effect, se, leave_one_out=False)
    else:
        size = 1 if task == "pool + leave-one-out" else 2
        clusters = {name: columns[i // size * size] for i, name in enumerate(columns)}
        result = meta_analysis.pool(effect, se, clusters, rho=0.8, min_studies=3)
    took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    if not np.isfinite(result["effect"]).all():
        raise RuntimeError(f"{task}: genes without an effect")
    return took | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def metafor(effect: pd.DataFrame, se: pd.DataFrame, n_genes: int) -> dict[str, float]:
    """Return R's CPU seconds per task, for ``n_genes``, measured on the genes given."""
    with tempfile.TemporaryDirectory() as folder:
        effect.to_csv(Path(folder) / "effect.csv", na_rep="NA")
        se.to_csv(Path(folder) / "se.csv", na_rep="NA")
        done = subprocess.run(
            ["Rscript", "-e", R_SCRIPT], cwd=folder, capture_output=True, text=True, check=True
        )
    plain, loo = (float(value) * n_genes / len(effect) for value in done.stdout.split())
    return {"pool": plain, "pool + leave-one-out": loo}


TASKS = ("pool", "pool + leave-one-out", "clusters of two, rho range")


def main() -> None:
    """Each size and task in a process of its own; rows on stdout, tab-separated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--contrasts", type=int, nargs="+", default=[5, 20, 50, 500])
    parser.add_argument("--subset", type=int, default=100, help="genes that metafor fits")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        task, n = given.one
        print(json.dumps(ours(task, *inputs(given.genes, int(n)))))
        return
    print("# metafor: CPU seconds inside R, on a subset of the genes; it fits gene by gene")
    print(
        "task",
        "genes",
        "contrasts",
        "wall_s",
        "cpu_s",
        "peak_mb",
        "metafor_cpu_s",
        "ratio",
        sep="\t",
    )
    for n in given.contrasts:
        effect, se = inputs(given.genes, n)
        few = max(10, min(given.subset, 5000 // n))  # leave-one-out takes n fits a gene
        theirs = metafor(effect.head(few), se.head(few), given.genes)
        for task in TASKS:
            command = [sys.executable, __file__, "--genes", str(given.genes), "--one", task, str(n)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            took = json.loads(done.stdout) if done.returncode == 0 else {}
            figures = [f"{took[key]:.3g}" if took else "failed" for key in ("wall_s", "cpu_s")]
            figures.append(f"{took['peak_mb']:.0f}" if took else "")
            r = theirs.get(task)
            ratio = f"{r / took['cpu_s']:.3g}" if r and took else ""
            print(
                task, given.genes, n, *figures, f"{r:.3g}" if r else "", ratio, sep="\t", flush=True
            )


if __name__ == "__main__":
    main()
