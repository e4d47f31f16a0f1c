"""Where a whole run's CPU seconds go: per rule, how much is imports, and what the rest does.

    python benchmarks/where.py demo > rows.tsv

The run is the plain command on two cores, from nothing to the report; all its Python processes are
sampled as ``sampled/sitecustomize.py`` says, which costs some per cent. ``cpu_s`` is what the
system says of a rule's processes (a job is two: one works, one waits for it), ``imports_s`` the
share of samples that were importing, ``where`` the functions of the package that were innermost
most often, with their seconds; what they call of libraries is theirs. Snakemake itself is a row.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd
from workflow import make_copy

HERE = Path(__file__).resolve().parent
SHOWN = 4  # functions a row


def rows_of(lines: list[str], run: str) -> pd.DataFrame:
    """Add up what processes have written, by rule; the most expensive first."""
    seconds: dict[str, float] = {}
    processes: Counter[str] = Counter()
    spent: dict[str, Counter[str]] = {}
    for line in lines:
        row = json.loads(line)
        name, samples = row["name"], sum(row["counts"].values())
        processes[name] += 1
        seconds[name] = seconds.get(name, 0.0) + row["cpu_s"]
        for what, count in row["counts"].items():
            of_rule = spent.setdefault(name, Counter())
            of_rule[what] += row["cpu_s"] * count / samples
    table = []
    for name in sorted(seconds, key=lambda rule: -seconds[rule]):
        own = spent.get(name, Counter())
        imports = own.pop("import", 0.0)
        own.pop("elsewhere", None)
        where = "; ".join(f"{what} {cpu:.1f}" for what, cpu in own.most_common(SHOWN))
        table.append(
            {
                **{"run": run, "rule": name, "processes": processes[name]},
                **{"cpu_s": seconds[name], "imports_s": imports, "where": where},
            }
        )
    return pd.DataFrame(table)


def main() -> None:
    """Sample one run; rows go to standard output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("run", choices=["demo", "real"])
    run = parser.parse_args().run
    options = ["--configfile", "config/demo.yaml"] if run == "demo" else []
    with tempfile.TemporaryDirectory() as scratch:
        folder, log = Path(scratch) / "run", Path(scratch) / "log"
        make_copy(folder)
        path = os.pathsep.join(filter(None, [str(HERE / "sampled"), os.environ.get("PYTHONPATH")]))
        subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all", *options],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path, "ALSMUSCLE_PROFILE": str(log)},
            stdout=sys.stderr,
            check=True,
        )
        lines = log.read_text().splitlines()
    table = rows_of(lines, run)
    print(table.to_csv(sep="\t", index=False, float_format="%.4g"), end="")


if __name__ == "__main__":
    main()
