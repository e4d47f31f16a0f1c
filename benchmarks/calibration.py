"""What the verdicts say where the truth is known, as a table (:mod:`simulate.calibrate_real`).

    python benchmarks/calibration.py chosen > calibration.tsv
    python benchmarks/calibration.py fresh > calibration-fresh.tsv

``chosen`` are the seeds that the rules were chosen with, ``fresh`` others. Replicates are kept
below `results/calibration`, by the code that made them: a run that was stopped goes on where it
was.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path

from alsmuscle.core.digest import code_digest
from alsmuscle.simulate import calibrate_real

SEEDS = {"chosen": (20260, 10), "fresh": (40400, 3)}


def main() -> None:
    """Run or resume; the table goes to standard output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("seeds", choices=SEEDS)
    which = parser.parse_args().seeds
    seed, replicates = SEEDS[which]
    folder = Path("results") / "calibration" / f"{which}-{code_digest(__file__)}"
    words = ["--out", str(folder), "--seed", str(seed), "--replicates", str(replicates)]
    with contextlib.redirect_stdout(sys.stderr):
        calibrate_real.main(words)
    said, date = " ".join(words[2:]), time.strftime("%Y-%m-%d", time.gmtime())
    print(f"# Calibration on real counts: python -m alsmuscle.simulate.calibrate_real {said}")
    print(f"# {date}, verdicts of the rules in config/config.yaml")
    print("# Under composition tests of cell content count as right.")
    print((folder / "summary.tsv").read_text(), end="")


if __name__ == "__main__":
    main()
