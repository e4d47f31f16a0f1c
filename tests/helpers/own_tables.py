"""Tables as a laboratory keeps them: counts of S1 to S12, and a workbook for people."""

from __future__ import annotations

from pathlib import Path

import openpyxl

from support import small_counts

HEALTHY = ["Control", "control ", "healthy control", "Ctrl", "control", "CTRL"]
ALS = ["ALS (bulbar)", "als ", "ALS", "ALS (spinal)", "ALS", "Als"]


def write_tables(folder: Path, n_genes: int = 1200) -> tuple[Path, Path]:
    """Write ``counts.csv``, columns in no order, and ``sheet.xlsx``; return their paths.

    The samples of the first group are S1 to S6; every 10th gene triples in the second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = small_counts(n_genes=n_genes, n_side=6)
    counts.columns = [f"S{n + 1}" for n in range(12)]
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
