"""Pool 20,000 genes × 20 studies; the same model in R metafor on a random subset, extrapolated.

Run: python benchmarks/meta.py [--genes 20000] [--studies 20] [--subset 400]
Prints seconds per task and the ratio. metafor is timed inside R, without its start-up, on one core,
on ``--subset`` genes; its total is that time × genes / subset, because it fits gene by gene.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "src"))
from alsmuscle import meta

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
plain <- system.time(for (i in seq_len(nrow(y))) one(i, FALSE))[["elapsed"]]
few <- seq_len(min(40, nrow(y)))
loo <- system.time(for (i in few) one(i, TRUE))[["elapsed"]] * nrow(y) / length(few)
cat(plain, loo)
"""


def main() -> None:
    """Simulate, time, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--subset", type=int, default=400)
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    shape = (given.genes, given.studies)
    errors = np.exp(rng.normal(-1.2, 0.6, shape))
    tau = rng.choice([0.0, 0.1, 0.4], given.genes)[:, None]
    effects = rng.normal(rng.normal(0, 0.3, given.genes)[:, None], np.sqrt(tau**2 + errors**2))
    effects[rng.random(shape) < 0.1] = np.nan
    index = [f"g{i}" for i in range(given.genes)]
    columns = [f"s{i}" for i in range(given.studies)]
    effect, se = (pd.DataFrame(table, index, columns) for table in (effects, errors))
    own_clusters = {name: name for name in columns}
    paired = {name: columns[i // 2] for i, name in enumerate(columns)}

    meta.random_effects(effect.head(100), se.head(100))  # imports
    took = {}
    for label, task in {
        "pool, no leave-one-out": lambda: meta.random_effects(effect, se, leave_one_out=False),
        "pool + leave-one-out (REML)": lambda: meta.pool(effect, se, own_clusters),
        "pool + leave-one-out (PM)": lambda: meta.pool(effect, se, own_clusters, estimator="PM"),
        "clusters of two, rho range": lambda: meta.pool(effect, se, paired),
    }.items():
        start = time.perf_counter()
        result = task()
        took[label] = time.perf_counter() - start
        print(f"alsmuscle {label:32s} {took[label]:8.2f} s for {given.genes} x {given.studies}")
        assert np.isfinite(result["effect"]).all()

    with tempfile.TemporaryDirectory() as folder:
        rows = rng.choice(given.genes, given.subset, replace=False)
        effect.iloc[rows].to_csv(Path(folder) / "effect.csv", na_rep="NA")
        se.iloc[rows].to_csv(Path(folder) / "se.csv", na_rep="NA")
        done = subprocess.run(
            ["Rscript", "-e", R_SCRIPT], cwd=folder, capture_output=True, text=True, check=True
        )
    plain, loo = (float(value) * given.genes / given.subset for value in done.stdout.split())
    for label, seconds, ours in (
        ("REML, adhoc, predict", plain, took["pool, no leave-one-out"]),
        ("the same + leave1out", loo, took["pool + leave-one-out (REML)"]),
    ):
        print(
            f"metafor   {label:32s} {seconds:8.0f} s extrapolated from {given.subset} genes"
            f" (leave1out from 40); ratio {seconds / ours:.0f}"
        )


if __name__ == "__main__":
    main()
