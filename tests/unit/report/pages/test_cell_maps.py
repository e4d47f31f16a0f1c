"""The map of cells: every gene's values come back from the page's data, muscle's own cells stand
first.
"""

from __future__ import annotations

import json

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from matplotlib.colors import to_hex
from scipy import sparse

import cells_fixture
import report_fixture as fx
from alsmuscle.core import files
from alsmuscle.report.html import figures
from alsmuscle.report.pages import cell_maps, cells
from alsmuscle.report.pages.expression import ALPHABET


def payload(text: str) -> dict:
    return json.loads(text[text.index(",") + 1 : text.rindex(")")])


def test_values_come_back_to_one_part_in_sixty_three():
    study = cells_fixture.study()
    made = cell_maps.scripts(study)
    digits = ALPHABET.tobytes().decode()
    said = cell_maps.specification(study)
    assert said["source"] == "cells-sim" and "assets/data/cells-sim.js" in made
    for gene, name in said["genes"]:
        held = payload(made[f"assets/data/{name}.js"])
        shown = np.array([held["top"] * digits.index(x) / 63 for x in held["codes"]])
        known = study.cells.levels.values[:, [study.cells.levels.genes.index(gene)]].toarray()[:, 0]
        np.testing.assert_allclose(shown, known, atol=known.max() / 63)
        # seen stays seen, and not seen stays so
        assert ((shown > 0) == (known > 0)).all()


def test_each_cell_keeps_its_type_sample_and_group():
    study = cells_fixture.study()
    held = payload(cell_maps.scripts(study)["assets/data/cells-sim.js"])
    groups = cell_maps.specification(study)["groups"]
    table = study.cells.map
    assert [groups[i] for i in held["group"]] == table["cell_type"].tolist()
    sample = held["colours"][0]
    assert [sample["groups"][i] for i in sample["group"]] == table["sample_id"].tolist()
    assert held["umap1"] == table["umap1"].round(2).tolist()


def test_a_type_has_one_colour_in_map_and_bars():
    study = cells_fixture.study()
    said, paint = cell_maps.specification(study), cell_maps.colours(study.cells)
    assert [paint[name] for name in said["groups"]] == said["paint"]
    assert len(set(said["paint"])) == len(said["groups"])
    bars = figures.stacked_shares(study.cells.types, last=cell_maps.UNASSIGNED, colours=paint)
    for bar in bars.axes[0].containers:
        assert to_hex(bar.patches[0].get_facecolor()).upper() == paint[bar.get_label()].upper()


def test_levels_by_type_and_condition_by_hand():
    study = cells_fixture.study()
    table = cell_maps.by_group(study.cells, ["MYOG"]).set_index(["cell_type", "condition"])
    satellite = table.loc["Satellite cell, quiescent"]
    assert satellite["mean"].to_dict() == {"als": 2.0, "control": 1.0}
    np.testing.assert_allclose(satellite["detected"], 1.0)
    assert table.loc["FAP, pan"]["detected"].tolist() == [0.0, 0.0]
    assert table["n_cells"].sum() == len(study.cells.map)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (
            ["unassigned", "FAP, pan", "Satellite cell, quiescent", "Type IIX myonuclei"],
            ["Type IIX myonuclei", "Satellite cell, quiescent", "FAP, pan", "unassigned"],
        ),
    ],
)
def test_myonuclei_and_satellite_cells_come_first(names, order):
    assert sorted(names, key=cell_maps.type_order) == order


def test_dots_stand_in_the_order_of_the_types():
    rows, order = cells.gene_levels(cells_fixture.study().cells)
    assert order[0] == "Satellite cell, quiescent, ALS" and order[-1].startswith("unassigned")
    assert rows["scaled"].max() == 1.0 and set(rows["gene"]) == {"MYOG", "PAX7"}


def test_some_genes_of_many_cells_are_read_in_parts(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    dense = rng.poisson(0.4, (23, 6)).astype(np.float32)
    whole = AnnData(
        sparse.csr_matrix(dense),
        obs=pd.DataFrame(index=[f"c{i}" for i in range(23)]),
        var=pd.DataFrame(
            {"symbol": ["A", "Myog", "B", "", "MYOG", "Pax7"]}, index=[f"g{i}" for i in range(6)]
        ),
    )
    whole.write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr(files, "_ROWS_AT_ONCE", 5)
    barcodes, genes, levels = files.read_levels(tmp_path / "cells.h5ad", {"MYOG", "pax7", "NONE"})
    assert genes == ["Myog", "Pax7"] and list(barcodes) == list(whole.obs_names)
    np.testing.assert_array_equal(levels.toarray(), dense[:, [1, 5]])
    with h5py.File(tmp_path / "cells.h5ad") as file:
        assert file["X"].attrs["encoding-type"] == "csr_matrix"


def test_sections_lie_beside_each_other_and_keep_their_shape():
    study = cells_fixture.on_sections(cells_fixture.study("spots"))
    table = study.cells.map
    places, titles = cell_maps.sections(study.cells)
    samples = table["sample_id"].astype(str)
    spans = []
    for sample in sorted(samples.unique()):
        rows = (samples == sample).to_numpy()
        seen, pixels = places[rows].to_numpy(), table.loc[rows, ["section_x", "section_y"]]
        # one scale for all, right stays right, and what lies below in the picture lies below here
        scale = np.ptp(seen[:, 0]) / np.ptp(pixels["section_x"])
        np.testing.assert_allclose(
            seen - seen[0], (pixels - pixels.iloc[0]).to_numpy() * [scale, -scale], atol=1e-9
        )
        spans.append((seen[:, 0].min(), seen[:, 0].max(), scale))
        assert titles[sample][1] > seen[:, 1].max()
    assert spans[0][1] < spans[1][0] and spans[0][2] == pytest.approx(spans[1][2])


def test_sections_are_drawn_only_where_the_places_are_known():
    spots = cells_fixture.study("spots")
    data = fx.report(1, n_genes=20)
    assert not cell_maps.has_sections(spots.cells)
    assert "figures/sim.sections.svg" not in cells.figures(spots, data)
    placed = cells_fixture.on_sections(spots)
    made = cells.figures(placed, data)
    assert "figures/sim.sections.svg" in made
    held = payload(cell_maps.scripts(placed)["assets/data/cells-sim.js"])
    known = cell_maps.sections(placed.cells)[0]
    np.testing.assert_allclose(held["section_x"], known["section_x"], atol=1e-4)
    said = cell_maps.section_specification(placed)
    assert said["equal"] and [text for *_, text in said["titles"]] == ["s0", "s1"]
