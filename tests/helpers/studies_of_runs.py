"""Small studies of every form, and a project of two of them, for tests of whole runs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from anndata import AnnData

from alsmuscle.cells import annotate
from alsmuscle.core import files
from alsmuscle.simulate.cells import as_deposited, simulate_nuclei
from support import ROOT, Project, make_project, small_counts, write_arrays, write_study

CONTRAST = {"label": "ALS against healthy", "variable": "condition", "target": "als"}
CONTRAST |= {"id": "als_vs_healthy", "reference": "healthy"}


def _pinned(path: Path) -> dict[str, str]:
    return {"url": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def counts_study(folder: Path, study: str, n_side: int = 4) -> dict[str, Any]:
    counts = small_counts(n_genes=300, n_side=n_side, seed=int(study[3:]))
    return write_study(folder / study, counts)


def array_study(folder: Path, study: str) -> dict[str, Any]:
    card = write_arrays(folder / study, n_side=3, seed=int(study[3:]))
    return card | {"contrasts": [{**CONTRAST}]}


def effects_study(folder: Path, study: str, **columns: Any) -> dict[str, Any]:
    """A table as a paper publishes it."""
    genes = small_counts(seed=int(study[3:])).index
    chance = np.random.default_rng(int(study[3:]))
    (folder / study).mkdir(exist_ok=True)
    path = folder / study / "effects.csv"
    table = pd.DataFrame({"gene": genes, "log2fc": chance.normal(0, 1, len(genes)), "se": 0.2})
    table.assign(**columns).to_csv(path, index=False)
    card = write_study(folder / study / "form", small_counts(n_genes=20))
    card = {key: card[key] for key in card if key not in ("counts", "samples")}
    return card | {
        "modality": "effects",
        "role": "denervation",
        "files": {"table": _pinned(path)},
        "contrasts": [{**CONTRAST}],
        "effects": {
            **{"file": "table", "layout": "csv", "contrast": CONTRAST["id"]},
            **{"gene_column": "gene", "log2fc_column": "log2fc", "se_column": "se"},
        },
    }


def nuclei(per_donor: int = 150, n_genes: int = 900, **options: Any) -> AnnData:
    """Few nuclei of four donors a side; ``options``: of ``simulate_nuclei``."""
    panel = annotate.check_panel(files.read_plain(ROOT / "config" / "celltypes.tsv"), where="x")
    size = {"n_donors": 8, "nuclei_per_donor": per_donor, "n_genes": n_genes}
    return simulate_nuclei(panel, seed=1, affected={}, low_quality=False, **size, **options)


def cells_study(folder: Path, study: str, made: AnnData | None = None) -> dict[str, Any]:
    """``made``: nuclei; by default :func:`nuclei`."""
    (folder / study).mkdir(exist_ok=True)
    made = nuclei() if made is None else made
    path, sheet = folder / study / "nuclei.h5ad", folder / study / "sheet.csv"
    files.write_h5ad(path, as_deposited(made))
    columns = ["sample_id", "subject_id", "condition", "sex"]
    made.obs[columns].drop_duplicates().to_csv(sheet, index=False)
    levels = {"ALS": "als", "control": "healthy"}
    form = write_study(folder / study / "form", small_counts(n_genes=20))
    return {key: form[key] for key in form if key != "counts"} | {
        "modality": "cells",
        "files": {"counts": _pinned(path), "sheet": _pinned(sheet)},
        "cells": {
            **{"layout": "h5ad", "material": "nuclei", "file": "counts"},
            "sample_column": "sample_id",
        },
        "samples": {
            "sheet": {"file": "sheet", "layout": "csv"},
            "sample_id": "sample_id",
            "expected": 8,
            "columns": {
                "condition": {"from": "condition", "map": levels},
                "subject_id": {"from": "subject_id"},
                "sex": {"from": "sex"},
            },
        },
        "contrasts": [{**CONTRAST}],
    }


def add(project: Project, study: str, card: dict[str, Any]) -> None:
    card = card | {"id": study, "accession": study.upper()}
    path = project.folder / "config" / "datasets" / f"{study}.yaml"
    path.write_text(yaml.safe_dump(card, sort_keys=False))


def two_sound_studies(folder: Path) -> Project:
    project = make_project(folder, copy_code=False)
    project.quick()
    project.config(lambda config: config["cells"]["prepare"].update(min_genes=50))
    (folder / "config" / "celltypes.tsv").write_bytes(
        (ROOT / "config" / "celltypes.tsv").read_bytes()
    )
    (folder / "config" / "datasets" / "gse1.yaml").unlink()
    add(project, "gse1", counts_study(folder, "gse1"))
    add(project, "gse2", effects_study(folder, "gse2"))
    return project
