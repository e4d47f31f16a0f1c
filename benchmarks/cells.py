"""Time and peak memory of the single-cell path, ours and plain scanpy's, on simulated counts.

    python benchmarks/cells.py 50000 --folder /tmp/bench --out benchmarks/cells.tsv

Counts (20,000 genes, 3,000 per cell, about 1,500 genes seen) are written once per size, one file
per sample of 12,500. Each way then runs in its own process, one after the other, from files to
clusters, UMAP and pseudobulk: compare ratios, the seconds belong to the machine and its load.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "src"))
N_GENES, PER_SAMPLE, N_TYPES = 20_000, 12_500, 12


def write_counts(folder: Path, n_cells: int, seed: int = 0) -> list[Path]:
    """Write one ``.npz`` per sample (skipped where it exists) and return their paths."""
    rng = np.random.default_rng(seed)
    base = rng.lognormal(0, 1.9, N_GENES)
    profiles = np.tile(base, (N_TYPES, 1))
    for k in range(N_TYPES):
        own = rng.choice(N_GENES, 400, replace=False)
        profiles[k, own] *= rng.lognormal(1.3, 0.6, 400)
    shares = rng.dirichlet(np.linspace(1, 6, N_TYPES))
    paths = []
    for i, low in enumerate(range(0, n_cells, PER_SAMPLE)):
        path = folder / f"{n_cells}_{i:02d}.npz"
        paths.append(path)
        n = min(PER_SAMPLE, n_cells - low)
        drawn = np.random.default_rng((seed, i))
        if path.exists():
            continue
        donor = profiles * drawn.lognormal(0, 0.15, N_GENES)
        donor /= donor.sum(axis=1, keepdims=True)
        kind = drawn.choice(N_TYPES, n, p=shares)
        totals = (3000 * drawn.lognormal(0, 0.4, n)).astype(int)
        blocks: list[sparse.csr_matrix] = []
        for start in range(0, n, 2_500):
            rows = slice(start, min(start + 2_500, n))
            genes = [
                np.searchsorted(np.cumsum(donor[k]), drawn.random(t))
                for k, t in zip(kind[rows], totals[rows], strict=True)
            ]
            cell = np.repeat(np.arange(len(genes)), totals[rows])
            column = np.minimum(np.concatenate(genes), N_GENES - 1).astype(np.int32)
            ones = np.ones(len(column), np.int32)
            blocks.append(sparse.coo_matrix((ones, (cell, column)), (len(genes), N_GENES)).tocsr())
        sparse.save_npz(path, sparse.vstack(blocks, format="csr"), compressed=False)
    return paths


def read(path: Path) -> AnnData:
    """Read one sample, its first genes named as the panel's markers."""
    X = sparse.load_npz(path)
    panel = pd.read_csv(ROOT / "config" / "celltypes.tsv", sep="\t")
    named = list(dict.fromkeys(panel.loc[panel["organism"] == "human", "gene"]))
    ids = [f"G{i:05d}" for i in range(X.shape[1])]
    var = pd.DataFrame({"symbol": named + ids[len(named) :], "source_id": ids}, index=ids)
    obs = pd.DataFrame(index=[f"{path.stem}:{i}" for i in range(X.shape[0])])
    return AnnData(X, obs=obs, var=var)


def ours(paths: list[Path]) -> dict[str, float]:
    """Run this package's path, sample by sample; seconds per step."""
    from alsmuscle.cells import integrate, prepare_sample, pseudobulk
    from alsmuscle.celltypes import annotate

    marks = [time.perf_counter()]
    prepared = []
    for path in paths:
        prepared.append(prepare_sample(read(path), sample_id=path.stem, material="nuclei"))
    marks.append(time.perf_counter())
    cells = integrate(prepared)
    marks.append(time.perf_counter())
    panel = pd.read_csv(ROOT / "config" / "celltypes.tsv", sep="\t")
    annotate(cells, panel, organism="human", material="nuclei")
    pseudobulk(cells, by="cluster")
    marks.append(time.perf_counter())
    steps = ("per_sample_s", "integrate_s", "annotate_pseudobulk_s")
    return dict(zip(steps, np.diff(marks), strict=True)) | {
        "n_clusters": cells.obs.cluster.nunique()
    }


def scanpy_defaults(paths: list[Path]) -> dict[str, float]:
    """Run the same steps as a scanpy tutorial does, all cells in memory, default arguments."""
    import anndata
    import scanpy as sc
    from harmonypy import run_harmony

    marks = [time.perf_counter()]
    cells = anndata.concat({p.stem: read(p) for p in paths}, label="sample_id", merge="same")
    cells.var["mt"] = cells.var["symbol"].str.startswith("MT-")
    sc.pp.calculate_qc_metrics(cells, qc_vars=["mt"], inplace=True)
    sc.pp.filter_cells(cells, min_genes=200)
    sc.pp.filter_genes(cells, min_cells=3)
    cells.X = cells.X.astype(np.float32)
    sc.pp.scrublet(cells, batch_key="sample_id")
    cells = cells[~cells.obs["predicted_doublet"].astype(bool)].copy()
    marks.append(time.perf_counter())
    cells.layers["counts"] = cells.X.copy()
    sc.pp.normalize_total(cells)
    sc.pp.log1p(cells)
    sc.pp.highly_variable_genes(cells, n_top_genes=2000, batch_key="sample_id")
    sc.pp.pca(cells)
    fit = run_harmony(cells.obsm["X_pca"], cells.obs, ["sample_id"], verbose=False)
    cells.obsm["X_harmony"] = np.asarray(fit.Z_corr)
    sc.pp.neighbors(cells, use_rep="X_harmony")
    sc.tl.leiden(cells)
    sc.tl.umap(cells)
    marks.append(time.perf_counter())
    sc.get.aggregate(cells, ["sample_id", "leiden"], "sum", layer="counts")
    marks.append(time.perf_counter())
    steps = ("per_sample_s", "integrate_s", "annotate_pseudobulk_s")
    return dict(zip(steps, np.diff(marks), strict=True)) | {
        "n_clusters": cells.obs.leiden.nunique()
    }


WAYS = {"alsmuscle": ours, "scanpy_defaults": scanpy_defaults}


def measure(way: str, paths: list[Path], queue: multiprocessing.Queue[dict[str, float]]) -> None:
    """Run one way and put its figures on the queue (in a process of its own)."""
    warnings.simplefilter("ignore")
    wall, cpu = time.perf_counter(), time.process_time()
    steps = WAYS[way](paths)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    total = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    queue.put(total | {"peak_gib": peak} | steps)


def main() -> None:
    """Measure the sizes and ways asked for; rows are added to the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_cells", type=int, nargs="+")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--folder", type=Path, required=True, help="for the simulated counts")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "cells.tsv")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    for n_cells in args.n_cells:
        paths = write_counts(args.folder, n_cells)
        for way in args.ways:
            queue: multiprocessing.Queue[dict[str, float]] = context.Queue()
            process = context.Process(target=measure, args=(way, paths, queue))
            process.start()
            process.join()
            # A process killed for memory leaves no figures, and that is the finding.
            figures = {} if queue.empty() else queue.get()
            row = {"n_cells": n_cells, "n_genes": N_GENES, "way": way, "exit": process.exitcode}
            table = pd.DataFrame([row | {k: round(v, 2) for k, v in figures.items()}])
            if args.out.exists():
                table = pd.concat([pd.read_csv(args.out, sep="\t"), table])
            table.to_csv(args.out, sep="\t", index=False)
            sys.stdout.write(table.tail(1).to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
