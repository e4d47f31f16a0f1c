"""The page of a single-cell study: what is said of nuclei and spots, and what never is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alsmuscle.report import model
from alsmuscle.report.build import ReportData, StudyData, build
from alsmuscle.report.html import components
from alsmuscle.report.pages import cell_maps, cells
from cells_fixture import hostile, study
from report_fixture import HOSTILE, templates


def report(one: StudyData, **options: Any) -> dict[str, str | bytes]:
    head = [("SC_ACTIVATION", "activated_up")]
    return build(templates(), ReportData(studies=[one], headline=head), **options)


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
    assert "90 nuclei of 2 samples, 2 named cell types; 33 % stay unassigned" in words


def test_every_type_has_a_page_of_genes(made):
    for name in ("FAP, pan", "Satellite cell, quiescent", "all nuclei"):
        page = made[f"contrasts/sim.{components.file_name(f'als-{name}')}.html"]
        assert "summed per sample" in page
        assert "Bulk muscle shows its mixture" not in page
    assert f"figures/sim.{components.file_name('als-FAP, pan')}.volcano.svg" in made


def test_satellite_cells_and_myonuclei_are_told_apart_over_donors(made):
    page = text(made["studies/sim.html"])
    assert "TTN/NEB+ only MYOG 3 120 60 50.00 50.00 50.00" in page


def test_a_group_that_no_barcode_is_in_has_its_row():
    one = study()
    assert one.cells is not None
    table = one.cells.coexpression
    others = table[table["group"] != "PAX7+"]
    mixed = pd.concat([others, others.assign(group="none"), others.assign(group="several")])
    asked = {"PAX7+": ["PAX7"], "TTN/NEB+": ["TTN", "NEB"]}
    data = ReportData(
        studies=[replace(one, cells=replace(one.cells, coexpression=mixed))],
        parameters={"cells": {"coexpression": {"defining": asked}}},
        headline=[("SC_ACTIVATION", "activated_up")],
    )
    page = text(build(templates(), data, drawn=())["studies/sim.html"])
    assert re.search(r"PAX7\+ only MYOG 0 0 0 –", page)
    assert "neither PAX7+ nor TTN/NEB+ MYOG" in page and "PAX7+ and TTN/NEB+ MYOG" in page
    assert " none MYOG" not in page and " several MYOG" not in page


def test_without_an_effect_no_matrix_of_dashes_is_drawn():
    one = study("spots", tested=False, title="Visium")
    contrasts = [
        replace(k, programmes=None if k.programmes is None else k.programmes.assign(effect=np.nan))
        for k in one.contrasts
    ]
    page = text(report(replace(one, contrasts=contrasts))["studies/sim.html"])
    assert "programme effects per cell type: an effect needs its error" in page
    assert "All spots” is" not in page and "The same with intervals" not in page
    assert "bold: the 95 % interval" not in page


def test_quality_and_what_was_left_out_are_shown(made):
    page = text(made["studies/sim.html"])
    assert "3 of 40 barcodes left, fewer than 50" in page
    assert "1 sample left out" in page
    assert "3 samples in the record, 3 obtained, 2 analysed. Every sample, accounted for" in page
    assert 'href="../../cells/sim/completeness.tsv"' in made["studies/sim.html"]
    assert "ambient share 0.35 above 0.30" in page
    assert "doublet" in page


def test_figures_are_small_and_kept_for_the_script_that_saves_them(made):
    figures = {k: v for k, v in made.items() if re.fullmatch(r"figures/sim\.[a-z-]+\.svg", k)}
    for name, drawing in figures.items():  # points become a bitmap, axes and words stay vectors
        assert len(drawing) < 6e5 and b"<text" in drawing
        script = made.get(f"assets/data/{components.drawing_name(name)}.js")
        if ".umap-type." in name:  # drawn in the page, which saves every view
            assert script is None
        else:
            held = script.removeprefix("alsmuscle.receive(").removesuffix(");\n")
            assert json.loads(f"[{held}]")[1] == drawing.decode()
    kinds = {"umap-type", "umap-sample", "umap-programmes", "composition", "markers"}
    kinds |= {"genes-by-group", "programmes-by-group"}
    assert {name.split(".")[1] for name in figures} == kinds
    assert sum(len(v) for v in made.values() if isinstance(v, bytes)) < 5e6


def test_a_large_study_is_thinned_in_the_drawing():
    one = study()
    assert one.cells is not None
    many = pd.concat([one.cells.map] * 1000, ignore_index=True)
    drawn = many.iloc[cell_maps.drawn(replace(one.cells, map=many))]
    assert cell_maps.MAX_DRAWN / 2 < len(drawn) <= cell_maps.MAX_DRAWN


def test_spots_are_never_called_cells():
    spots = study("spots", tested=False, title="Visium")
    page = text(report(spots, drawn=())["studies/sim.html"])
    assert "Visium spots, not cells" in page
    assert "2 named groups of spots" in page
    assert "no group of spots can be tested: too few samples a side" in page.lower()
    assert "Spots cannot answer" in page


def test_the_first_page_leads_to_the_cells_and_lists_no_type(made):
    page = made["index.html"]
    assert "In which cells?" in page and "studies/sim.html" in page
    assert "contrasts/sim.als-FAP-pan" not in page


def test_hostile_names_stay_text():
    for path, page in report(hostile(HOSTILE)).items():
        if path.endswith(".html"):
            assert isinstance(page, str)
            assert "<script>window.pwned" not in page and "<img src=x" not in page, path


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
