"""Made-up tables of a laboratory: counts of S1 to S12, and a workbook that was made for people.

    python docs/examples/lab_tables.py ../lab

In the last six samples every tenth gene is tripled.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd

HEALTHY = ["Control", "control ", "healthy control", "Ctrl", "control", "CTRL"]
ALS = ["ALS (bulbar)", "als ", "ALS", "ALS (spinal)", "ALS", "Als"]
RESOURCES = Path(__file__).resolve().parents[2] / "workflow" / "resources"


def write(folder: Path, n_genes: int = 6000, seed: int = 1) -> tuple[Path, Path]:
    """Write ``counts.csv``, its columns in no order, and ``sheet.xlsx``; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    known = pd.read_csv(RESOURCES / "simulation_genes.tsv.gz", sep="\t", nrows=20000)
    known = known.drop_duplicates("symbol").head(n_genes)
    mean = np.exp(rng.normal(5, 1.5, len(known)))[:, None]
    fold = np.ones((len(known), 12))
    fold[::10, 6:] = 3
    mu = mean * fold * rng.uniform(0.7, 1.4, 12)
    counts = pd.DataFrame(
        rng.negative_binomial(10, 10 / (10 + mu)),
        index=known["symbol"],
        columns=[f"S{n + 1}" for n in range(12)],
    )
    counts.sample(frac=1, axis=1, random_state=3).to_csv(folder / "counts.csv")
    book = openpyxl.Workbook()
    book.active.append(["ask Anna"])
    page = book.create_sheet("Biopsies 2023")
    page.append(["Muscle biopsies, neurology ward"])
    page.append(["compiled 2023, not for distribution"])
    page.append([])
    page.append(["Nr.", "Pat. code", "Diagnosis ", "Gender", "Age (y)", "Muscle", None, "Remark"])
    for n, group in enumerate(HEALTHY + ALS):
        sex, muscle = "F" if n % 2 == 0 else "m", "Vastus lat." if n % 3 else "vastus lateralis"
        page.append([n + 1, f"P{n + 1:02d}", group, sex, 50 + n, muscle, None, None])
    page.append([])
    page.append(["* ages at biopsy"])
    page.append(["P03: check consent"])
    book.save(folder / "sheet.xlsx")
    return folder / "counts.csv", folder / "sheet.xlsx"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
