"""CPU and wall seconds of the demo, beside the demo of a former commit, in turn.

    python benchmarks/demo.py 88e6a7a > rows.tsv

Each run is ``snakemake`` on two cores with the demo's configuration in a new folder, as ``make
demo`` calls it once everything is installed; kernels are compiled before. The former code runs on
the present environment. ``cpu_s`` counts all children; ``processes`` are Snakemake's jobs. Of the
former code there are fewer runs (they only say how many times more they take); medians stand on the
page.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pandas as pd
from run import command
from workflow import ROOT

PARTS = ("Snakefile", "Makefile", "workflow", "envs", "config", "pyproject.toml")


def checkout(commit: str, folder: Path) -> None:
    """Write what a run needs of a commit into a folder; compile kernels as its Makefile does."""
    packed = subprocess.run(
        ["git", "archive", "--format=tar", commit, *PARTS],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    kernels = re.search(r'-c "(.*compile_kernels\(\).*)"', (folder / "Makefile").read_text())
    if kernels:
        environment = os.environ | {"PYTHONPATH": str(folder / "workflow" / "src")}
        subprocess.run([sys.executable, "-c", kernels[1]], env=environment, check=True)


def run_once(code: Path, folder: Path) -> dict[str, float]:
    """Run the demo of the code in ``code`` in a new folder; return what it took."""
    folder.mkdir()
    for name in ("Snakefile", "workflow", "envs", "config"):
        (folder / name).symlink_to(code / name)
    # Jobs import the package of the workflow that they belong to.
    os.environ["PYTHONPATH"] = str(code / "workflow" / "src")
    words = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
    found = command([*words, "--configfile", "config/demo.yaml"], folder)[1]
    found["processes"] = len(list((folder / "results" / "demo" / "benchmarks").rglob("*.tsv")))
    return found


def main() -> None:
    """Run both in turn; rows go to standard output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("commit", help="the former code")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--of-former", type=int, default=2)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        codes = {"ours": Path(scratch) / "ours", given.commit: Path(scratch) / "former"}
        for commit, folder in zip(("HEAD", given.commit), codes.values(), strict=True):
            checkout(commit, folder)
        for repeat in range(given.repeats):
            for name, code in codes.items():
                if name == "ours" or repeat < given.of_former:
                    found = run_once(code, Path(scratch) / f"{code.name}{repeat}")
                    rows.append({"against": given.commit, "code": name, "repeat": repeat} | found)
    table = pd.DataFrame(rows)
    print(table.to_csv(sep="\t", index=False, float_format="%.4g"), end="")


if __name__ == "__main__":
    main()
