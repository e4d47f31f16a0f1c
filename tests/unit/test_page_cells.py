"""The page of a single-cell study: what is said of nuclei and spots, and what never is."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from report_fixture import HOSTILE, templates

from alsmuscle.page import CellsData, ContrastData, ReportData, StudyData, build
from alsmuscle.report import cells, model

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
    data = CellsData(
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


def report(one: StudyData) -> dict[str, str | bytes]:
    head = [("SC_ACTIVATION", "activated_up")]
    return build(templates(), ReportData(studies=[one], headline=head))


@pytest.fixture(scope="module")
def made() -> dict[str, str | bytes]:
    return report(study())


def text(page: str | bytes) -> str:
    assert isinstance(page, str)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_type_that_carries_it_stands_out(made):
    page = made["studies/sim.html"]
    assert "<strong>+1.20</strong>" in page
    assert "<strong>+0.10</strong>" not in page
    assert "Log odds ratio" in page
    words = text(page)
    assert "3 of 3 cell types can be tested" in words
    assert "90 nuclei of 2 samples, 2 named cell types; 33% stay unassigned" in words


def test_every_type_has_a_page_of_genes(made):
    for name in ("FAP-pan", "Satellite-cell-quiescent", "all-nuclei"):
        page = made[f"contrasts/sim.als-{name}.html"]
        assert "summed per sample" in page
        assert "Bulk muscle shows its mixture" not in page
    assert "figures/sim.als-FAP-pan.volcano.svg" in made


def test_satellite_cells_and_myonuclei_are_told_apart_over_donors(made):
    page = text(made["studies/sim.html"])
    assert "TTN/NEB+ MYOG 3 120 60 50.00 50.00 50.00" in page


def test_quality_and_what_was_left_out_are_shown(made):
    page = text(made["studies/sim.html"])
    assert "3 of 40 barcodes left, fewer than 50" in page
    assert "1 sample left out" in page
    assert "3 samples in the record, 3 obtained, 2 analysed. Every sample, accounted for" in page
    assert 'href="../../cells/sim/completeness.tsv"' in made["studies/sim.html"]
    assert "ambient_share 0.35 above 0.30" in page
    assert "doublet" in page


def test_figures_are_small_bitmaps(made):
    figures = {k: v for k, v in made.items() if k.startswith("figures/sim.") and k.endswith(".png")}
    kinds = {"umap-type", "umap-sample", "umap-programmes", "composition", "markers"}
    assert {name.split(".")[1] for name in figures} == kinds
    assert all(content[:4] == b"\x89PNG" for content in figures.values())
    assert sum(len(v) for v in made.values() if isinstance(v, bytes)) < 5e6


def test_a_large_study_is_thinned_in_the_drawing():
    one = study()
    assert one.cells is not None
    many = pd.concat([one.cells.map] * 1000, ignore_index=True)
    drawn = many.iloc[:: -(-len(many) // cells.MAX_DRAWN)]
    assert cells.MAX_DRAWN / 2 < len(drawn) <= cells.MAX_DRAWN


def test_spots_are_never_called_cells():
    page = text(report(study("spots", tested=False, title="Visium"))["studies/sim.html"])
    assert "Visium spots, not cells" in page
    assert "2 named signatures" in page
    assert "no cell type can be tested: effects are described, no test is claimed" in page.lower()


def test_the_first_page_leads_to_the_cells_and_lists_no_type(made):
    page = made["index.html"]
    assert "In which cells?" in page and "studies/sim.html" in page
    assert "contrasts/sim.als-FAP-pan.html" not in page


def test_hostile_names_stay_text():
    one = study(title=HOSTILE)
    assert one.cells is not None
    evil = replace(one.cells, clusters=one.cells.clusters.assign(top_genes=HOSTILE))
    page = report(replace(one, cells=evil))["studies/sim.html"]
    assert isinstance(page, str)
    assert "<script>window.pwned" not in page and "<img src=x" not in page


def test_what_only_cells_decide_comes_from_the_claims():
    claims = [
        {"target": "A/a", "contexts": ["bulk"]},
        {"target": "B/b", "contexts": ["bulk", "nuclei"]},
    ]
    document = {
        "contexts": {"bulk": {"cell_types": ["muscle"]}, "nuclei": {"cell_types": ["x"]}},
        "claims": [{"tests": claims}],
    }
    synthesis = SimpleNamespace(document=document)
    data = ReportData(studies=[], headline=[("C", "c")], synthesis=synthesis)  # type: ignore[arg-type]
    assert cells.carried(data) == [("B", "b"), ("C", "c")]


def test_a_contrast_is_found_by_study_contrast_and_type():
    one = study()
    assert model.place(one, one.contrasts[0]) == ("sim", "als", "FAP, pan")
