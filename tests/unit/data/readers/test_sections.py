"""Places of spots: from an .h5ad, from Space Ranger's table, to the map of a study."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from alsmuscle.cells import activity
from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import sections
from alsmuscle.data.readers.single_cell import Matrices
from by_config import prepare

HEAD = "barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres\n"
ROWS = "AAA-1,1,0,0,100,2000\nCCC-1,1,0,2,100.5,2600\nGGG-1,0,1,1,400,2300\n"


@pytest.mark.parametrize("text", [ROWS, HEAD + ROWS])
@pytest.mark.parametrize("packed", [False, True])
def test_both_forms_of_the_table_give_pixels_right_and_down(tmp_path, text, packed):
    path = tmp_path / "positions.csv"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    found = sections.placed(pd.DataFrame(index=["CCC-1", "AAA-1", "TTT-1"]), path)
    assert found.loc["CCC-1"].tolist() == [2600.0, 100.5]
    assert found.loc["AAA-1"].tolist() == [2000.0, 100.0]
    assert found.loc["TTT-1"].isna().all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "no table of places"),
        ("", "no table of places"),
        (HEAD + ROWS + "AAA-1,1,0,0,1,1\n", "occurs twice"),
        (ROWS.replace("2600", "far"), "no numbers"),
        (ROWS.replace("-1,", "-2,"), "none of the sample's barcodes"),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path, text, says):
    path = tmp_path / "positions.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        sections.placed(pd.DataFrame(index=["AAA-1"]), path)


def spots(n: int = 60, seed: int = 0) -> AnnData:
    rng = np.random.default_rng(seed)
    counts = sparse.csr_matrix(rng.poisson(3, (n, 300)).astype(np.int32))
    ids = [f"ENSG{i:011d}" for i in range(300)]
    var = pd.DataFrame({"gene_ids": ids, "symbol": [f"G{i}" for i in range(300)]}, index=ids)
    obs = pd.DataFrame({"section": ["a", "b"] * (n // 2)}, index=[f"S{i}-1" for i in range(n)])
    return AnnData(counts.astype(np.float32), obs=obs, var=var, layers={"counts": counts})


def test_places_of_an_h5ad_reach_the_map(tmp_path: Path) -> None:
    study = spots()
    places = np.column_stack([np.arange(60.0), 1000 - np.arange(60.0)])
    study.obsm["spatial"] = places
    study.write_h5ad(tmp_path / "visium.h5ad")
    spec = {"layout": "h5ad", "material": "spots", "file": "x", "sample_column": "section"}
    matrices = Matrices(spec, lambda _: tmp_path / "visium.h5ad")
    counts, _ = matrices.read("b")
    sample = prepare.prepare_sample(counts, sample_id="b", material="spots", min_cells=5)
    labels = ["sample_id", "subject_id", "condition", "cell_type", "lineage", "cluster"]
    cells = AnnData(
        obs=sample.cells.obs.assign(**dict.fromkeys(labels, "x")),
        obsm={"X_umap": np.zeros((sample.cells.n_obs, 2))},
    )
    drawn = activity.cell_map(cells, pd.DataFrame(index=cells.obs_names)).set_index("cell")
    kept = [int(name[1:].split("-")[0]) for name in drawn.index]
    assert len(kept) > 20 and all(i % 2 for i in kept)
    np.testing.assert_array_equal(drawn[[*sections.PLACES]].to_numpy(), places[kept])


def test_a_sample_takes_its_places_from_its_own_table(tmp_path: Path) -> None:
    spots(10).write_h5ad(tmp_path / "s.h5ad")
    lines = "".join(f"S{i}-1,1,0,{i},7,{10 * i}\n" for i in range(10))
    (tmp_path / "p.csv").write_text(lines)
    listed = [{"sample_id": "a", "file": "s.h5ad", "positions": "p.csv"}]
    spec = {"layout": "h5ad", "material": "spots", "samples": listed}
    counts, _ = Matrices(spec, lambda name: tmp_path / name).read("a")
    assert counts.obs["section_x"].tolist() == [10.0 * i for i in range(10)]
    assert set(counts.obs["section_y"]) == {7.0}


def test_without_places_there_are_no_columns(tmp_path: Path) -> None:
    spots(10).write_h5ad(tmp_path / "s.h5ad")
    spec = {"layout": "h5ad", "material": "spots", "samples": [{"sample_id": "a", "file": "s"}]}
    counts, _ = Matrices(spec, lambda _: tmp_path / "s.h5ad").read("a")
    assert not set(sections.PLACES) & set(counts.obs)
