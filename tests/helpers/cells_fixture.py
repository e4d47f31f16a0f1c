"""A small single-cell study for the tests of its pages: two named types, nuclei or spots."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import sparse

from alsmuscle.report.build import CellsData, ContrastData, StudyData
from alsmuscle.report.model import Levels

TYPES = ["FAP, pan", "Satellite cell, quiescent", "all nuclei"]


def contrast(cell_type: str, *, tested: bool = True, label: str = "ALS against controls"):
    p = [1e-6, 0.5] if tested else [np.nan, np.nan]
    de = pd.DataFrame(
        {
            "cell_type": cell_type,
            "gene_id": ["ENSG1", "ENSG2"],
            "symbol": ["MYOG", "PAX7"],
            "base_mean": [100.0, 50.0],
            "log2fc": [2.0, -0.1],
            "lfc_se": [0.2, 0.3] if tested else [np.nan] * 2,
            "df": np.nan,
            "pvalue": p,
            "padj": p,
            "n_target": 6,
            "n_reference": 6,
        }
    )
    effect, half = (1.2, 0.3) if cell_type.startswith("Sat") else (0.1, 0.3)
    effects = pd.DataFrame(
        {
            "cell_type": cell_type,
            "programme": "SC_ACTIVATION",
            "block": "activated_up",
            "stripped": [False],
            "effect": effect,
            "ci_low": effect - half if tested else np.nan,
            "ci_high": effect + half if tested else np.nan,
            "padj": 0.01 if tested else np.nan,
        }
    )
    meta = {
        **{"id": f"als-{cell_type}", "contrast": "als", "contrast_label": label},
        **{"cell_type": cell_type, "label": f"{cell_type}: {label}", "target": "als"},
        **{"reference": "control", "variable": "condition", "role": "als_patient"},
        **{"n_target": 6, "n_reference": 6},
    }
    return ContrastData(meta=meta, de=de, programmes=effects)


def study(material: str = "nuclei", *, tested: bool = True, title: str = "Nuclei") -> StudyData:
    rng = np.random.default_rng(0)
    n, names = 90, [*TYPES[:2], "unassigned"]
    table = pd.DataFrame(
        {
            "cell": [f"s{i % 2}:b{i}" for i in range(n)],
            "sample_id": [f"s{i % 2}" for i in range(n)],
            "condition": ["als" if i % 2 else "control" for i in range(n)],
            "cell_type": [names[i % 3] for i in range(n)],
            "umap1": rng.normal(size=n),
            "umap2": rng.normal(size=n),
            "SC_ACTIVATION/activated_up": rng.random(n),
        }
    )
    qc = pd.DataFrame(
        {
            "sample_id": ["s0", "s1", "s2"],
            "n_barcodes": [50, 50, 40],
            "n_kept": [45, 45, 3],
            "median_counts": 900.0,
            "median_genes": 500.0,
            "median_pct_mito": 1.0,
            "max_counts": np.inf,
            "doublet_share": 0.05,
            "ambient_share": 0.1,
            "flag": ["", "ambient_share 0.35 above 0.30", ""],
            "skipped": ["", "", "3 of 40 barcodes left, fewer than 50"],
        }
    )
    types = pd.DataFrame(
        [(s, t, c, 10, 0.3) for s, c in (("s0", "control"), ("s1", "als")) for t in names],
        columns=["sample_id", "cell_type", "condition", "n_cells", "share"],
    )
    markers = pd.DataFrame(
        [
            ("0", TYPES[0], "PDGFRA", TYPES[0], 0.9, 1.0),
            ("1", TYPES[1], "PAX7", TYPES[1], 0.7, 1.0),
        ],
        columns=["cluster", "cell_type", "gene", "listed_for", "detected", "scaled"],
    )
    clusters = pd.DataFrame(
        {
            **{"cluster": ["0", "1", "2"], "n_cells": 30, "cell_type": names, "score": 0.5},
            **{"reason": ["", "", "no type has two raised markers"], "top_genes": "A; B"},
        }
    )
    rows = [
        (c, g, "MYOG", n, 40, 20 if g == "TTN/NEB+" else 1)
        for c in ("als", "control")
        for g in ("PAX7+", "TTN/NEB+")
        for n in ("d1", "d2", "d3")
    ]
    coexpression = pd.DataFrame(
        rows, columns=["condition", "group", "gene", "subject_id", "n_nuclei", "n_positive"]
    ).assign(share=lambda t: t["n_positive"] / t["n_nuclei"])
    composition = pd.DataFrame(
        {
            "contrast": "als",
            "cell_type": names,
            "effect": [1.4, 0.0, -0.2],
            "mean_share": 1 / 3,
            "pvalue": [0.001, 0.9, 0.5] if tested else np.nan,
            "padj": [0.003, 0.9, 0.8],
        }
    )
    activity = pd.DataFrame(
        {
            "cell_type": TYPES[:2],
            "condition": "als",
            "programme": "SC_ACTIVATION",
            "block": "activated_up",
            "n_donors": 6,
            "n_cells": 60,
            "mean": [0.1, 0.9],
        }
    )
    barcodes = pd.DataFrame(
        {"sample_id": ["s0", "s0"], "reason": ["kept", "doublet"], "n": [45, 5]}
    )
    # MYOG in every third cell, the satellite cells, twice as much in the patients'.
    myog = np.where(np.arange(n) % 3 == 1, np.where(np.arange(n) % 2, 2.0, 1.0), 0.0)
    levels = sparse.csc_matrix(np.column_stack([myog, rng.random(n)]).astype(np.float32))
    data = CellsData(
        levels=Levels(["MYOG", "PAX7"], levels),
        **{"material": material, "map": table, "qc": qc, "barcodes": barcodes},
        **{"clusters": clusters, "markers": markers, "types": types, "activity": activity},
        **{"coexpression": coexpression, "composition": composition},
        files={name: f"../cells/sim/{name}.tsv" for name in ("qc", "completeness")},
    )
    card = {"id": "sim", "accession": "SIM", "title": title, "role": "als_patient"}
    parts = [contrast(t, tested=tested) for t in TYPES]
    said = "3 samples in the record, 3 obtained, 2 analysed."
    return StudyData(
        card={**card, "organism": "human"}, contrasts=parts, cells=data, completeness=said
    )


def on_sections(made: StudyData) -> StudyData:
    """Return the study with its spots on sections, each of another size and shape."""
    assert made.cells is not None
    table, step = made.cells.map, np.arange(len(made.cells.map)) // 2
    wide = np.where(table["sample_id"] == "s1", 2.0, 1.0)
    places = {"section_x": 500 + 100.0 * (step % 9) * wide, "section_y": 90.0 * (step // 9) + 40}
    return replace(made, cells=replace(made.cells, map=table.assign(**places)))


def hostile(attack: str) -> StudyData:
    """A study whose names are all an attack: samples, groups, cell types, genes, reasons."""
    one = study(title=attack)
    assert one.cells is not None
    names = ("sample_id", "condition", "cell_type", "reason", "flag", "gene", "top_genes")
    tables = {}
    for key in ("map", "qc", "barcodes", "clusters", "markers", "types", "activity", "composition"):
        table = getattr(one.cells, key).copy()
        for name in table.columns.intersection(list(names)):
            table[name] = attack + table[name].astype(str)
        tables[key] = table
    evil = replace(one.cells, **tables)
    for part in one.contrasts:
        part.meta.update(label=attack, cell_type=attack + part.meta["cell_type"])  # type: ignore[attr-defined]
    return replace(one, cells=evil, completeness=attack)
