"""Whole runs of the workflow: wall time, what of it is overhead, jobs per study, growth with
studies.

    python benchmarks/workflow.py 50 [--plan-only] > rows.tsv
    python benchmarks/workflow.py demo > rows.tsv

Simulated studies have ten samples, 1,200 genes and one contrast, and are made at run time. Each run
is the plain command on a new folder, on one core, so that the seconds of the jobs add up:

- ``job_seconds``: what Snakemake measured around the jobs, from interpreter start to exit;
- ``overhead``: the share of wall time outside them (plan, scheduling, starting, checking files);
- ``start_seconds``: what a job of this run needs to start and to import pandas and anndata, which
  nearly all do, measured beside the run; ``start_share`` is its share of wall time, over all jobs;
- ``cpu_per_study``: CPU seconds of all processes, which say on a machine in use what wall seconds
  say on a quiet one;
- ``plan_seconds``: a dry run, all studies admitted and nothing else done;
- ``jobs_per_study``: jobs that belong to one study, on average and at most.

``--plan-only`` leaves out the runs themselves: jobs and plan of many studies in seconds.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import yaml
from run import command

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "helpers"), str(ROOT / "workflow" / "src")]
from support import make_project, small_counts, write_study  # noqa: E402

# Files of one study, or of one of its contrasts.
OWN = re.compile(
    r"/(?:bulk|cells|enrichment|programmes)/(?P<study>[a-z0-9]+)/(?:(?P<contrast>\w+)/)?[^/]+$"
    r"|/provenance/(?:data|checks)/(?P<fetched>[a-z0-9]+)\.tsv$"
)


def make_studies(folder: Path, n: int) -> None:
    """Write a project of ``n`` studies."""
    project = make_project(folder, copy_code=False)
    first = yaml.safe_load((folder / "config" / "datasets" / "gse1.yaml").read_text())
    for k in range(2, n + 1):
        card = write_study(folder / f"source{k}", small_counts(seed=k))
        card |= {"id": f"gse{k}", "accession": f"GSE{k}", "role": first["role"]}
        path = folder / "config" / "datasets" / f"gse{k}.yaml"
        path.write_text(yaml.safe_dump(card, sort_keys=False))

    def quick(config: dict) -> None:
        config["enrichment"]["gsea"]["permutations"] = 101
        config["synthesis"]["denervation"] |= {"n_replicates": 30, "n_random": 5}

    project.config(quick)


def jobs_of(summary: str) -> Counter[str]:
    """Count the jobs of each study in what ``snakemake --summary`` prints; "" is what all share."""
    jobs = set()
    for line in summary.splitlines():
        path, _, rule = line.split("\t")[:3] if line.count("\t") > 2 else ("", "", "")
        found = OWN.search(path)
        if not found:
            jobs.add((rule, "", ""))
            continue
        study = found["study"] or found["fetched"]
        jobs.add((rule, "" if study == "collections" else study, found["contrast"]))
    jobs -= {("", "", ""), ("rule", "", "")}
    return Counter(study for _, study, _ in jobs)


def make_copy(folder: Path) -> None:
    """Link the shipped configuration and code into a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Snakefile", "workflow", "envs", "config"):
        (folder / name).symlink_to(ROOT / name)


def snakemake(folder: Path, *options: str) -> tuple[str, dict[str, float]]:
    """Run the workflow in ``folder``; return what it printed, and what it took."""
    return command([sys.executable, "-m", "snakemake", "--cores", "1", *options], folder)


def start_seconds(repeats: int = 3) -> float:
    """Seconds to start an interpreter and import what nearly every job imports (the median)."""
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import pandas, anndata"], check=True)
        taken.append(time.perf_counter() - begin)
    return sorted(taken)[repeats // 2]


def measure(what: str, folder: Path, results: str, options: list[str], *, plan_only: bool) -> dict:
    """Run once from nothing; return a row of the table."""
    # What a study needs is planned once it is admitted; so the run has two parts.
    _, gate = snakemake(folder, "fetch", "--quiet", "all", *options)
    _, plan = snakemake(folder, "--dry-run", "--quiet", "all", *options)
    per_study = jobs_of(snakemake(folder, "--summary", *options)[0])
    total = per_study.total()
    per_study.pop("", None)
    row = {
        "run": what,
        "studies": len(per_study),
        "jobs": total,
        "jobs_per_study": sum(per_study.values()) / len(per_study),
        "jobs_per_study_max": max(per_study.values()),
        "plan_seconds": plan["wall_s"],
    }
    if plan_only:
        return row
    before = start_seconds()
    _, rest = snakemake(folder, "--quiet", "all", *options)
    wall = gate["wall_s"] + rest["wall_s"]
    started = (before + start_seconds()) / 2
    times = pd.concat(
        pd.read_csv(path, sep="\t", na_values="-").assign(rule=path.parent.name)
        for path in (folder / results / "benchmarks").rglob("*.tsv")
    )
    inside = float(times["s"].sum())
    largest = times.sort_values("max_rss").iloc[-1]
    return row | {
        "wall_seconds": wall,
        "seconds_per_study": wall / len(per_study),
        "cpu_per_study": (gate["cpu_s"] + rest["cpu_s"]) / len(per_study),
        "job_seconds": inside,
        "overhead": 1 - inside / wall,
        "start_seconds": started,
        "start_share": started * len(times) / wall,
        "peak_mb": largest["max_rss"],
        "peak_rule": largest["rule"],
        "slowest_rules": " ".join(
            f"{rule}:{seconds:.0f}"
            for rule, seconds in times.groupby("rule")["s"].sum().nlargest(5).items()
        ),
    }


def main() -> None:
    """Run once: so many simulated studies, the demo, or the real ones."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("run", help="a number of studies, demo, or real (ALSMUSCLE_MIRROR)")
    parser.add_argument("--plan-only", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    demo = given.run == "demo"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        if given.run.isdigit():
            make_studies(folder, int(given.run))
        else:
            make_copy(folder)
        row = measure(
            given.run,
            folder,
            "results/demo" if demo else "results",
            ["--configfile", "config/demo.yaml"] if demo else [],
            plan_only=given.plan_only,
        )
    print(pd.DataFrame([row]).to_csv(sep="\t", index=False, float_format="%.4g"), end="")


if __name__ == "__main__":
    main()
