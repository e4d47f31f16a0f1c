"""Time and peak memory of the single-cell path, ours and scanpy's, on simulated counts.

    python benchmarks/cells.py 20000 [--folder results/benchmarks/cells] > rows.tsv

Counts (20,000 genes, 3,000 per cell, about 1,500 genes seen) are written once per size, one file
per sample of 12,500. Each way then runs in its own process, one after the other, from files to
clusters, UMAP, the clusters' marker genes and pseudobulk: compare ratios, the seconds belong to the
machine and its load.

``scanpy_defaults`` is what scanpy's tutorial does, with default arguments; ``scanpy_faster`` the
same with what scanpy and its users have that is faster: components from the products of genes,
exact neighbours, Leiden in igraph, ranks of genes by illico. What only they use is not in our
environment: ``pip install illico leidenalg``.

With ``--limit`` scanpy is stopped when it has used that many times the CPU seconds of ours, if ours
ran before it in the same call; its row then says ``finished`` False, and its figures are lower
bounds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

if TYPE_CHECKING:
    from alsmuscle.cells.prepare import PreparedSample

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
        below = np.cumsum(donor / donor.sum(axis=1, keepdims=True), axis=1)
        kind = drawn.choice(N_TYPES, n, p=shares)
        totals = (3000 * drawn.lognormal(0, 0.4, n)).astype(int)
        blocks: list[sparse.csr_matrix] = []
        for start in range(0, n, 2_500):
            rows = slice(start, min(start + 2_500, n))
            # Uniform numbers come sorted, as sums of exponential ones: searched ten times faster.
            gaps = (drawn.exponential(size=t + 1).cumsum() for t in totals[rows])
            genes = [
                np.searchsorted(below[k], u[:-1] / u[-1])
                for k, u in zip(kind[rows], gaps, strict=True)
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
    """Run this package's path as the rules do, sample by sample through files; seconds per step."""
    from alsmuscle.cells.annotate import annotate, top_genes
    from alsmuscle.cells.carried import Adding
    from alsmuscle.cells.cluster import each_sample, integrate
    from alsmuscle.cells.prepare import prepare_sample
    from alsmuscle.cells.pseudobulk import pseudobulk
    from alsmuscle.cells.store import read_cells, read_prepared, write_cells, write_prepared
    from alsmuscle.data import cards

    options = cards.load_yaml(ROOT / "config" / "config.yaml")["cells"]
    panel = pd.read_csv(ROOT / "config" / "celltypes.tsv", sep="\t")
    summaries = []

    def prepare() -> Iterator[PreparedSample]:
        for path in paths:
            done = prepare_sample(
                read(path),
                sample_id=path.stem,
                material="nuclei",
                **options["prepare"],
                **options["variable"],
                seed=0,
            )
            summaries.append(done.summary)
            yield done

    with tempfile.TemporaryDirectory(dir=paths[0].parent) as folder:
        stored, result = Path(folder) / "prepared.h5", Path(folder) / "cells.h5ad"
        marks = [time.perf_counter()]
        write_prepared(stored, prepare())
        marks.append(time.perf_counter())
        prepared = read_prepared(stored, pd.DataFrame(summaries))
        cells = integrate(
            prepared, keep=set(panel["gene"]), **options["variable"], **options["embed"]
        )
        marks.append(time.perf_counter())
        annotate(cells, panel, organism="human", material="nuclei", **options["annotate"])
        for column in ("dataset", "subject_id", "condition"):
            cells.obs[column] = cells.obs["sample_id"]
        parts = Adding(each_sample(cells, prepared))
        write_cells(result, cells, parts)
        top_genes(parts.sums())
        pseudobulk(read_cells(result), by="cluster", **options["pseudobulk"])
        marks.append(time.perf_counter())
    steps = ("per_sample_s", "integrate_s", "annotate_pseudobulk_s")
    return dict(zip(steps, np.diff(marks), strict=True)) | {
        "n_clusters": cells.obs["cluster"].nunique()
    }


def scanpy(paths: list[Path], *, faster: bool) -> dict[str, float]:
    """Run the steps of scanpy's tutorial with all cells in memory; seconds per step."""
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
    sc.pp.pca(cells, **{"svd_solver": "covariance_eigh"} if faster else {})
    fit = run_harmony(cells.obsm["X_pca"], cells.obs, ["sample_id"], verbose=False)
    cells.obsm["X_harmony"] = np.asarray(fit.Z_corr)
    sc.pp.neighbors(cells, use_rep="X_harmony", transformer="sklearn" if faster else None)
    igraph = {"flavor": "igraph", "n_iterations": 2, "directed": False}
    sc.tl.leiden(cells, **igraph if faster else {})
    sc.tl.umap(cells)
    marks.append(time.perf_counter())
    if faster:
        from illico import asymptotic_wilcoxon

        asymptotic_wilcoxon(cells, group_keys="leiden", reference=None, is_log1p=True)
    else:
        sc.tl.rank_genes_groups(cells, "leiden", method="wilcoxon")
    sc.get.aggregate(cells, ["sample_id", "leiden"], "sum", layer="counts")
    marks.append(time.perf_counter())
    steps = ("per_sample_s", "integrate_s", "annotate_pseudobulk_s")
    return dict(zip(steps, np.diff(marks), strict=True)) | {
        "n_clusters": cells.obs.leiden.nunique()
    }


WAYS = {
    "alsmuscle": ours,
    "scanpy_defaults": partial(scanpy, faster=False),
    "scanpy_faster": partial(scanpy, faster=True),
}


def run(way: str, paths: list[Path], connection: Connection) -> None:
    """Run one way in this process, and send what it took."""
    warnings.simplefilter("ignore")
    wall, cpu = time.perf_counter(), time.process_time()
    steps = WAYS[way](paths)
    total = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    connection.send(total | {"peak_gib": peak_gib(os.getpid())} | steps)


def peak_gib(pid: int) -> float:
    """Return a process's peak memory so far (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and its threads so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(way: str, paths: list[Path], limit: float) -> dict[str, float | bool]:
    """Run one way in a process of its own, for ``limit`` CPU seconds at most."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=run, args=(way, paths, sender))
    begin = time.perf_counter()
    process.start()
    pid = process.pid
    assert pid is not None
    cpu, peak = 0.0, 0.0
    while not receiver.poll(0.5) and process.is_alive():
        try:
            cpu, peak = cpu_seconds(pid), peak_gib(pid)
        except (OSError, IndexError):  # it ended meanwhile
            break
        if cpu > limit:
            process.terminate()
            break
    # Without figures of its own (stopped, or killed for memory) there are those seen from here.
    seen = {"wall_s": time.perf_counter() - begin, "cpu_s": cpu, "peak_gib": peak}
    found = receiver.recv() if receiver.poll(0.5) else seen
    process.join()
    return {"finished": process.exitcode == 0} | found


def main() -> None:
    """Measure both ways with so many cells; a row per way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_cells", type=int)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--folder", type=Path, help="for the simulated counts; they are kept")
    parser.add_argument("--limit", type=float, default=np.inf, help="their CPU seconds over ours")
    args = parser.parse_args()
    folder = args.folder or ROOT / "results" / "benchmarks" / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    paths = write_counts(folder, args.n_cells)
    limit, rows = np.inf, []
    for way in args.ways:
        figures = measure(way, paths, limit)
        if way == "alsmuscle":
            limit = args.limit * figures["cpu_s"]
        rows.append(
            {"n_cells": args.n_cells, "n_genes": N_GENES, "way": way}
            | {key: round(float(value), 2) for key, value in figures.items()}
        )
        print(rows[-1], file=sys.stderr, flush=True)
    print(pd.DataFrame(rows).to_csv(sep="\t", index=False), end="")


if __name__ == "__main__":
    main()
