"""How well the workflow recovers a planted truth, and whether it stays silent where there is none.

Every replicate simulates a study anew (:mod:`alsmuscle.simulate`) and sends it through the same
functions as a real one. ``python -m alsmuscle.simulate.calibrate`` (``make calibrate``) writes
``replicates.tsv``, ``denervation.tsv``, ``verdicts.tsv``, ``flags.tsv``, ``omnibus.tsv``,
``summary.tsv`` and ``index.html``; with a data mirror also ``real_null.tsv``, random halves of one
homogeneous real group.

What counts as a false call. A gene is null when nothing was planted in it: its expected count is
the same on both sides, to the last digit. A faint effect (a gene that answers to denervation early,
four weeks later: 0.05 log2 units) is an effect, and calling it is no error. Scenarios enter the
false discovery rate only where that makes the null exact
(:data:`alsmuscle.simulate.calibrate.scenarios.EXACT`): both sides are equally spread (else size
factors, which look at typical logs, move the expected counts of all genes alike: ``unequal``), no
sample is swapped, and every factor that differs between samples is random with respect to the
groups or in the model. Genes of a study move together, so that a study's false discovery proportion
scatters widely about the rate that is its mean: many studies have none, few have many. The rate is
the mean over replicates and scenarios, each scenario being given by itself, too. It contains the
true share of nulls (about 0.84): a perfect test would give 0.042 at 0.05.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from alsmuscle.simulate.calibrate.claims import (
    verdict_replicate,
)
from alsmuscle.simulate.calibrate.nulls import (
    healthy,
    null_split,
    null_thirds,
    null_thirds_simulated,
    splits,
)
from alsmuscle.simulate.calibrate.page import page
from alsmuscle.simulate.calibrate.replicates import flag_replicate, lambda_replicate, replicate
from alsmuscle.simulate.calibrate.scenarios import (
    CLEAN,
    SCENARIOS,
)
from alsmuscle.simulate.calibrate.summary import summarise
from alsmuscle.synthesis.verdicts import (
    Rules,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the calibration and write its folder."""
    import argparse
    import os
    from concurrent.futures import ProcessPoolExecutor
    from functools import partial
    from multiprocessing import get_context
    from pathlib import Path

    from alsmuscle.core import files
    from alsmuscle.data import cards
    from alsmuscle.genesets import programmes
    from alsmuscle.simulate import bulk

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/calibration"))
    parser.add_argument("--replicates", type=int, default=60)
    parser.add_argument("--verdicts", type=int, default=200)
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--flags", type=int, default=4, help="studies of every clean kind")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=20260)
    parser.add_argument("--mirror", default=os.environ.get("ALSMUSCLE_MIRROR", ""))
    options = parser.parse_args(arguments)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"

    tables = {organism: files.read_gene_table(organism) for organism in ("human", "mouse")}
    curated = files.read_plain("config/programmes.tsv")
    biology = bulk.biology(
        files.read_plain(files.RESOURCES / "simulation_genes.tsv.gz"),
        tables["human"],
        tables["mouse"],
        files.read_orthologs(),
        curated,
        n_genes=bulk.DEMO_GENES,
        seed=options.seed,
    )
    members = programmes.blocks(curated, "human", tables["human"])
    seeds = range(options.seed, options.seed + options.replicates)
    context = get_context("spawn")
    with ProcessPoolExecutor(options.cores, mp_context=context) as pool:
        studies = [
            pool.submit(partial(replicate, biology, members, name, seed=seed))
            for seed in seeds
            for name in SCENARIOS
        ]
        settings = cards.load_yaml("config/config.yaml")
        thresholds, rules = settings["bulk"]["qc"], Rules(**settings["synthesis"]["rules"])
        axis = settings["synthesis"]["denervation"]
        panels = files.read_plain("config/tissues.tsv")
        looked = [
            pool.submit(partial(flag_replicate, biology, panels, thresholds, name, seed=seed))
            for seed in range(options.seed, options.seed + options.flags)
            for name in (*CLEAN, "planted")
        ]
        thirds = [
            pool.submit(partial(null_thirds_simulated, biology, seed=seed))
            for seed in range(options.seed, options.seed + min(20, options.replicates))
        ]
        axes = [pool.submit(partial(lambda_replicate, biology, axis, seed=seed)) for seed in seeds]
        told = [
            pool.submit(partial(verdict_replicate, rules, axis, seed=options.seed + number))
            for number in range(options.verdicts)
        ]
        real = None
        if options.mirror:
            counts = healthy(Path(options.mirror))
            halves = splits(counts.n_obs, options.splits, options.seed)
            real = [pool.submit(null_split, counts, half) for half in halves]
            thirds += [
                pool.submit(partial(null_thirds, counts, "ten healthy of GSE184951", seed=seed))
                for seed in range(options.seed, options.seed + min(20, options.splits))
            ]
        rows = {
            "replicates": pd.DataFrame([job.result() for job in studies]),
            "denervation": pd.DataFrame([row for job in axes for row in job.result()]),
            "verdicts": pd.DataFrame([row for job in told for row in job.result()]),
            "flags": pd.DataFrame([row for job in looked for row in job.result()]),
            "omnibus": pd.DataFrame([job.result() for job in thirds]),
        }
        if real is not None:
            rows["real_null"] = pd.DataFrame([job.result() for job in real])
    summary = summarise(
        rows["replicates"],
        rows["denervation"],
        rows["verdicts"],
        rows.get("real_null"),
        rows["flags"],
        rows["omnibus"],
    )
    for name, table in {**rows, "summary": summary}.items():
        text = table.to_csv(sep="\t", index=False, float_format="%.6g", lineterminator="\n")
        files.write_text(options.out / f"{name}.tsv", text)
    files.write_text(options.out / "index.html", page(summary, rows["verdicts"]))
    print(summary.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    print(options.out / "index.html")


if __name__ == "__main__":
    main()
