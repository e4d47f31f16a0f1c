"""Pool 20,000 genes over so many contrasts; the same model in R metafor, extrapolated.

    python benchmarks/meta.py 50 [--genes 20000] [--subset 100] > rows.tsv

metafor's CPU seconds are taken inside R, without its start-up, on ``--subset`` genes (leave-one-out
on 40 of them, of 50 contrasts 20); its total is that × genes / subset, because it fits gene by
gene. Of 500 contrasts it does not finish ten genes in five minutes, and is not asked. The ratio is
of CPU seconds. "all of these" is one process: each contrast left out in turn, then clusters of two
with the range of rho, then the Bayesian estimate.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "src"))
from alsmuscle.stats import bayes, meta_analysis

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


TASKS = ("pool", "pool + leave-one-out", "clusters of two, rho range", "Bayesian", "all of these")
MANY = 500  # contrasts, of which leave-one-out takes minutes: only the pool


def ours(task: str, effect: pd.DataFrame, se: pd.DataFrame) -> dict[str, float]:
    """Time one task of ours in this process."""
    columns = list(effect)
    few = effect.head(100), se.head(100)
    meta_analysis.random_effects(*few, leave_one_out=False)  # imports
    bayes.random_effects(*few, scale=0.5, margin=0.1)

    def pool(size: int) -> pd.DataFrame:
        clusters = {name: columns[i // size * size] for i, name in enumerate(columns)}
        return meta_analysis.pool(effect, se, clusters, rho=0.8, min_studies=3)

    def posterior() -> pd.DataFrame:
        found = bayes.random_effects(effect, se, scale=0.5, margin=0.1)
        return found.rename(columns={"bayes_effect": "effect"})

    steps: dict[str, list[Callable[[], pd.DataFrame]]] = {
        "pool": [lambda: meta_analysis.random_effects(effect, se, leave_one_out=False)],
        "pool + leave-one-out": [lambda: pool(1)],
        "clusters of two, rho range": [lambda: pool(2)],
        "Bayesian": [posterior],
        "all of these": [lambda: pool(1), lambda: pool(2), posterior],
    }
    wall, cpu = time.perf_counter(), time.process_time()
    results = [step() for step in steps[task]]
    took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    enough = (effect.notna().sum(axis=1) >= 4).to_numpy()  # two clusters at least
    if not all(np.isfinite(result["effect"][enough]).all() for result in results):
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


def main() -> None:
    """Each task in a process of its own; rows on standard output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("contrasts", type=int)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--subset", type=int, default=100, help="genes that metafor fits")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    n = given.contrasts
    effect, se = inputs(given.genes, n)
    if given.one:
        print(json.dumps(ours(given.one, effect, se)))
        return
    theirs = (
        {} if n >= MANY else metafor(*(t.head(given.subset) for t in (effect, se)), given.genes)
    )
    rows = []
    for task in TASKS[:1] if n >= MANY else TASKS:
        words = [sys.executable, __file__, str(n), "--genes", str(given.genes), "--one", task]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        row = {"task": task, "genes": given.genes, "contrasts": n} | json.loads(done.stdout)
        if task in theirs:
            row |= {"metafor_cpu_s": theirs[task], "ratio": theirs[task] / row["cpu_s"]}
        rows.append(row)
    print(pd.DataFrame(rows).to_csv(sep="\t", index=False, float_format="%.3g"), end="")


if __name__ == "__main__":
    main()
