"""Time and agreement of the workflow's fit against PyDESeq2's default and R, in one run.

Simulated counts (two groups and a batch) and, where the data mirror is found, real studies. Each
engine runs in a process of its own; its time is fit + test on counts in memory, without imports;
its peak memory is that of the whole process. Compile time is reported apart: cold (empty cache)
and warm (the cache is read). Figures depend on the machine: read the ratios.

    python benchmarks/fit.py 40 > rows.tsv
    python benchmarks/fit.py GLDS-103 > rows.tsv

The input is a number of simulated samples, or a study of the data mirror. Columns beside times and
memory: ``ratio_to_batched``, and agreement with our result (:func:`agreement`).
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
PYTHON_ENGINES = ("batched", "default")
R_ENGINES = ("DESeq2", "edgeR", "limma")
# PyDESeq2's default is by far the slowest: it runs once, with the most threads.
THREADED = ("batched", "DESeq2")
ALPHA = 0.05


# ------------------------------------------------------------------------------ inputs


def simulate(n_genes: int, n_samples: int, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return counts (genes x samples) and obs with columns batch and condition.

    Negative binomial; means log-normal, dispersions around 0.05 + 2 / mean, library sizes over a
    factor of about four, a fifth of the genes changed, one gene in a hundred with an outlier.
    """
    rng = np.random.default_rng(seed)
    samples = [f"s{i}" for i in range(n_samples)]
    treated = np.arange(n_samples) >= n_samples // 2
    second = np.arange(n_samples) % 2 == 1
    base = np.exp(rng.normal(4.0, 2.2, n_genes))
    dispersion = np.exp(rng.normal(np.log(0.05 + 2.0 / base), 0.6))
    log2fc = np.where(rng.random(n_genes) < 0.2, rng.normal(0.0, 1.0, n_genes), 0.0)
    batch = rng.normal(0.0, 0.3, n_genes)
    size = np.exp(rng.normal(0.0, 0.3, n_samples))
    mean = (base * 2.0 ** np.outer(treated, log2fc) * np.exp(np.outer(second, batch))).T * size
    counts = rng.poisson(rng.gamma(1.0 / dispersion[:, None], dispersion[:, None] * mean))
    hit = rng.integers(0, n_genes, n_genes // 100)
    counts[hit, rng.integers(0, n_samples, len(hit))] *= 50
    obs = pd.DataFrame(
        {
            "batch": np.where(second, "b2", "b1"),
            "condition": np.where(treated, "treated", "control"),
        },
        index=samples,
    )
    return pd.DataFrame(counts, index=[f"g{i}" for i in range(n_genes)], columns=samples), obs


def read_study(name: str, mirror: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return counts and obs (``group``, reference first) of a mirrored study, as in its reference.

    All labelled groups are in the model; rows with a sum below 10 are dropped.
    """
    folder = mirror / "files" / name
    if name == "GSE140261":
        counts = pd.read_csv(folder / "GSE140261_year2_genecounts.csv", index_col=0)
        meta = pd.read_csv(folder / "GSE140261.meta.csv")
        column = meta["title"].str.removesuffix("_control") + "_II"
        group = pd.Series(meta["disease state:ch1"].to_numpy(), index=column)
        order = ["Control", "FSHD"]
    elif name == "GSE184951":
        parts = {}
        with tarfile.open(folder / "GSE184951_RAW.tar") as archive:
            for member in archive.getmembers():
                content = archive.extractfile(member)
                if content is None:
                    continue
                part = pd.read_csv(
                    io.BytesIO(content.read()), compression="gzip", sep="\t", header=None
                )
                part = part[~part[0].str.startswith("__")]
                parts[Path(member.name).name.split("_")[0]] = part.set_index(0)[2].astype(int)
        counts = pd.DataFrame(parts)
        meta = pd.read_csv(folder / "GSE184951.meta.csv").set_index("geo_accession")
        pre = meta["title"].str.contains("pre treatment")
        post = meta["title"].str.contains("post treatment")
        group = pd.Series(
            np.select([pre, post], ["DM1_untreated", "DM1_post"], "healthy"), index=meta.index
        )
        order = ["healthy", "DM1_untreated", "DM1_post"]
    elif name == "GSE129643":
        counts = pd.read_csv(
            folder / "GSE129643_raw_counts_GRCh38.p13_NCBI.tsv.gz", sep="\t", index_col=0
        )
        meta = pd.read_excel(folder / "df_metadata.xlsx")
        meta = meta[meta["Pheno"].astype(str).str.startswith("ageing")]
        group = meta.set_index("Sample Name")["Pheno"]
        group = group[group.index.isin(counts.columns)]
        order = ["ageing_young", "ageing_old", "ageing_middle"]
    elif name == "GLDS-103":
        counts = pd.read_csv(folder / "GLDS-103_rna_seq_Unnormalized_Counts.csv", index_col=0)
        counts = counts.round().astype(int)
        group = pd.Series(
            ["FLT" if "_FLT_" in sample else "GC" for sample in counts], index=counts.columns
        )
        order = ["GC", "FLT"]
    else:
        raise ValueError(f"unknown study {name}")
    group = pd.concat([group[group == level] for level in order])
    counts = counts.loc[:, group.index]
    counts = counts[counts.sum(axis=1) >= 10]
    counts.index = counts.index.astype(str)
    return counts, group.rename("group").to_frame()


def write_input(counts: pd.DataFrame, obs: pd.DataFrame, folder: Path) -> None:
    """Write what both languages read in the same way, samples and genes in the order of their
    names.

    Ours sorts them so. The order of samples decides where the default's optimiser stops on plains.
    """
    levels = [(column, level) for column in obs for level in obs[column].unique()]
    pd.DataFrame(levels).to_csv(folder / "levels.tsv", sep="\t", index=False, header=False)
    counts, obs = counts[sorted(counts)].sort_index(kind="stable"), obs.sort_index()
    counts.to_numpy().T.astype("<i4").tofile(folder / "counts.bin")
    (folder / "genes.txt").write_text("\n".join(counts.index) + "\n")
    obs.to_csv(folder / "obs.tsv", sep="\t")


def read_input(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return counts (samples x genes) and obs with ordered categories."""
    obs = pd.read_csv(folder / "obs.tsv", sep="\t", index_col=0, dtype=str)
    levels = pd.read_csv(folder / "levels.tsv", sep="\t", header=None, dtype=str)
    for column in obs:
        obs[column] = pd.Categorical(obs[column], categories=levels.loc[levels[0] == column, 1])
    genes = (folder / "genes.txt").read_text().split("\n")[:-1]
    values = np.fromfile(folder / "counts.bin", dtype="<i4").reshape(len(obs), len(genes))
    return pd.DataFrame(values, index=obs.index, columns=genes), obs


# ----------------------------------------------------------------------------- engines


def run_python(engine: str, threads: int, folder: Path) -> None:
    """Fit and test in this process; print wall, CPU and compile seconds."""
    import warnings

    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.default_inference import DefaultInference
    from pydeseq2.ds import DeseqStats

    warnings.simplefilter("ignore")

    def fit(counts: pd.DataFrame, obs: pd.DataFrame) -> pd.DataFrame:
        design = "~" + "+".join(obs.columns)
        if engine == "batched":
            dds = fit_dataset(counts, obs, design, inference="batched", n_cpus=threads)
        else:
            inference = DefaultInference(n_cpus=threads)
            dds = DeseqDataSet(
                counts=counts, metadata=obs, design=design, inference=inference, quiet=True
            )
            dds.deseq2()
        tested = str(obs.columns[-1])
        levels = obs[tested].cat.categories
        stats = DeseqStats(
            dds,
            contrast=[tested, levels[1], levels[0]],
            alpha=ALPHA,
            inference=dds.inference,
            quiet=True,
        )
        stats.summary()
        found = stats.results_df
        return pd.DataFrame(
            {
                "log2fc": found["log2FoldChange"],
                "stat": found["stat"],
                "pvalue": found["pvalue"],
                "padj": found["padj"],
                "dispersion": dds.var["dispersions"],
                "genewise": dds.var["genewise_dispersions"],
                "base_mean": found["baseMean"],
                "converged": ~(
                    (dds.var["_genewise_converged"] == False)  # noqa: E712
                    | (dds.var["_MAP_converged"] == False)  # noqa: E712
                    | (dds.var["_LFC_converged"] == False)  # noqa: E712
                ),
            }
        ).rename_axis("gene_id")

    compile_seconds = 0.0
    if engine == "batched":
        sys.path.insert(0, str(HERE.parent / "workflow" / "src"))
        from alsmuscle.bulk.inference import fit_dataset

        small, small_obs = simulate(60, 12)
        for column in small_obs:
            small_obs[column] = pd.Categorical(small_obs[column])
        times = []
        for _ in range(2):
            begin = time.perf_counter()
            fit(small.T, small_obs)
            # A design that is just groups takes another first step (a linear model).
            fit(small.T, small_obs[["condition"]])
            times.append(time.perf_counter() - begin)
        compile_seconds = times[0] - times[1]
    counts, obs = read_input(folder)
    begin, cpu = time.perf_counter(), time.process_time()
    table = fit(counts, obs)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    if engine == "default" and threads > 1:
        cpu = float("nan")  # spent in worker processes
    table.to_csv(folder / f"{engine}{threads}.tsv", sep="\t", float_format="%.17g")
    print(peak_mb(), seconds, cpu, compile_seconds)


def peak_mb() -> float:
    """Return this process's peak memory, workers not counted.

    From /proc: the maximum that the parent is told of a child includes the parent's own size.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(engine: str, threads: int, folder: Path, cache: Path) -> dict[str, float]:
    """Run one engine in its own process; return seconds and peak memory in MB."""
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(cache))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[name] = str(threads)
    if engine in R_ENGINES:
        command = ["Rscript", str(HERE / "fit.R"), engine, str(threads), str(folder)]
    else:
        command = [sys.executable, __file__, "--engine", engine, str(threads), str(folder)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        done = subprocess.run(command, stdout=out, stderr=err, env=environment, check=False)
        out.seek(0)
        err.seek(0)
        if done.returncode != 0:
            raise RuntimeError(f"{engine} failed:\n{err.read()[-2000:]}")
        numbers = [float(x) for x in out.read().split("\n")[-2].split()]
    return {
        "seconds": numbers[1],
        # Of the fit, all threads and workers; steadier than wall time on a shared machine.
        "cpu_seconds": numbers[2],
        "compile_seconds": numbers[3] if len(numbers) > 3 else 0.0,
        # Of the main process; workers come on top of it.
        "peak_mb": numbers[0],
    }


# --------------------------------------------------------------------------- agreement


def agreement(ours: pd.DataFrame, other: pd.DataFrame) -> dict[str, float | str]:
    """Compare two result tables of the same genes.

    ``false_stops``: the default says that it converged, and its gene-wise dispersion differs from
    ours by more than 1 %. (That ours is the optimum is for the tests.)
    """
    found: dict[str, float | str] = {}
    converged = None
    if "converged" in other:
        # Genes that were not fitted have no entry; they did not converge either.
        converged = other["converged"].astype("boolean").fillna(False).astype(bool)
        found["not_converged"] = float((~converged).sum())
        relative = (ours["genewise"] / other["genewise"] - 1).abs()
        found["false_stops"] = float((converged & (relative > 0.01)).sum())
    for key in ("log2fc", "dispersion"):
        if key in other:
            a, b = ours[key], other[key]
            relative = ((a - b).abs() / b.abs()).where(a != b, 0.0)[a.notna() & b.notna()]
            found[f"{key}_beyond_1e-4"] = float((relative > 1e-4).mean())
            if converged is not None:
                found[f"{key}_beyond_1e-4_converged"] = float(
                    (relative[converged[relative.index]] > 1e-4).mean()
                )
    a, b = ours["padj"] < ALPHA, other["padj"] < ALPHA
    found["called"] = float(b.sum())
    found["calls_differ"] = float((a != b).sum())
    if converged is not None:
        found["calls_differ_converged"] = float(((a != b) & converged).sum())
        found["genes_that_differ"] = " ".join(a.index[a != b])
    found["jaccard"] = float((a & b).sum() / max((a | b).sum(), 1))
    found["stat_spearman"] = float(ours["stat"].corr(other["stat"], method="spearman"))
    difference = (ours["log2fc"] - other["log2fc"]).abs()
    both = difference.notna()
    within = difference[both] <= 0.005 + 0.02 * other["log2fc"][both].abs()
    found["log2fc_within"] = float(within.mean())
    with np.errstate(divide="ignore"):
        log_p = (np.log10(ours["pvalue"]) - np.log10(other["pvalue"])).abs()
    log_p = log_p.where(ours["pvalue"] != other["pvalue"], 0.0)
    found["log10p_within"] = float((log_p.dropna() <= 0.1).mean())
    return found


def _threads(engine: str, wanted: list[int]) -> list[int]:
    if engine in THREADED:
        return wanted
    return [max(wanted)] if engine == "default" else [1]


def main() -> None:
    """Run all engines on one input; one row per run, with ratios to our best time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("input", nargs="?", default="40")
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--engines", nargs="+", default=[*PYTHON_ENGINES, *R_ENGINES])
    parser.add_argument("--engine", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        engine, threads, folder = arguments.engine
        run_python(engine, int(threads), Path(folder))
        return
    name = arguments.input
    if name.isdigit():
        counts, obs = simulate(arguments.genes, int(name))
    else:
        counts, obs = read_study(name, Path(os.environ["ALSMUSCLE_MIRROR"]))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_input(counts, obs, folder)
        tables: dict[str, pd.DataFrame] = {}
        for engine in arguments.engines:
            for threads in _threads(engine, arguments.threads):
                row: dict[str, object] = {
                    "input": name,
                    "genes": len(counts),
                    "samples": len(obs),
                    "engine": engine,
                    "threads": threads,
                }
                row |= measure(engine, threads, folder, folder / "numba")
                tables[engine] = pd.read_csv(
                    folder / f"{engine}{threads}.tsv", sep="\t", index_col=0
                )
                if engine not in ("batched", "edgeR", "limma") and "batched" in tables:
                    row |= agreement(tables["batched"], tables[engine])
                rows.append(row)
                print(row, file=sys.stderr, flush=True)
    table = pd.DataFrame(rows)
    ours = table.loc[table["engine"] == "batched", "seconds"].min()
    table["ratio_to_batched"] = table["seconds"] / ours
    print(table.to_csv(sep="\t", index=False, float_format="%.6g"), end="")


if __name__ == "__main__":
    main()
