from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import by_config
from alsmuscle.cells.annotate import (
    NEVER_SOLE,
    UNASSIGNED,
    check_panel,
    marker_table,
    name_spots,
    select_markers,
)
from alsmuscle.core.errors import InputError
from support import ROOT

annotate = by_config.annotate.annotate
name_clusters = by_config.annotate.name_clusters
score_clusters = by_config.annotate.score_clusters

PANEL = pd.read_csv(ROOT / "config" / "celltypes.tsv", sep="\t")


def rows(cell_type: str, lineage: str, genes: str, kind: str = "positive") -> list[dict[str, str]]:
    return [
        {
            "cell_type": cell_type,
            "lineage": lineage,
            "organism": "human",
            "gene": gene,
            "kind": kind,
            "material": "any",
            "source": "K (S)",
        }
        for gene in genes.split()
    ]


SMALL = pd.DataFrame(
    rows("Satellite", "Myogenic", "PAX7 MYF5 NCAM1 CHRNA1")
    + rows("Satellite", "Myogenic", "MYOG", "negative")
    + rows("Endothelial", "Vessel", "PECAM1 CDH5 FABP4")
    + rows("NMJ", "Myonuclei", "MUSK LRP4 CHRNA1")
    + rows("NMJ", "Myonuclei", "CHRNE COLQ", "required")
)


def study(raised: dict[str, str], size: int = 40, low: float = 0.0) -> AnnData:
    """Clusters that express the named genes (20 per 10,000) over a soup of ``low`` per 10,000."""
    genes = [*SMALL["gene"].unique(), "OTHER"]
    names = list(raised)
    mean = np.full((len(names), len(genes)), low)
    mean[:, -1] = 10_000
    for i, name in enumerate(names):
        for gene in raised[name].split():
            mean[i, genes.index(gene)] = 20
    values = np.repeat(mean, size, axis=0)
    obs = pd.DataFrame({"cluster": np.repeat(names, size)})
    obs.index = obs.index.astype(str)
    var = pd.DataFrame({"symbol": genes}, index=[f"G{i}" for i in range(len(genes))])
    return AnnData(sparse.csr_matrix(np.log1p(values).astype(np.float32)), obs=obs, var=var)


def named(raised: dict[str, str], low: float = 0.0) -> dict[str, str]:
    data = study({**raised, "x": "", "y": "", "z": ""}, low=low)
    found = annotate(data, SMALL, organism="human", material="nuclei")
    return found["cell_type"].drop(["x", "y", "z"]).to_dict()


# the panel that ships


def test_the_shipped_panel_is_valid_for_both_organisms() -> None:
    panel = check_panel(PANEL)
    assert set(panel["organism"]) == {"human", "mouse"}
    assert panel["cell_type"].nunique() >= 40
    human = set(panel.loc[panel["organism"] == "human", "cell_type"])
    assert "Type IIB myonuclei" not in human  # MYH4 is silent in human limb muscle


def test_the_shipped_panel_never_rests_on_a_shared_marker() -> None:
    positive = PANEL[PANEL["kind"] != "negative"]
    for (cell_type, organism), group in positive.groupby(["cell_type", "organism"]):
        own = set(group["gene"].str.upper()) - NEVER_SOLE
        assert len(own) >= 2, f"{cell_type} ({organism})"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "maybe"}, "unknown kind: maybe"),
        ({"organism": "rat"}, "unknown organism: rat"),
        ({"material": "blood"}, "unknown material: blood"),
        ({"source": "somewhere"}, "source without a mark"),
        ({"gene": ""}, "empty cells"),
        ({"gene": "PAX7"}, "PAX7 is listed twice"),
        ({"lineage": "Other"}, "more than one lineage"),
    ],
)
def test_a_broken_panel_is_named(change: dict[str, str], message: str) -> None:
    panel = SMALL.copy()
    for column, value in change.items():
        panel.loc[1, column] = value
    with pytest.raises(InputError, match=message):
        check_panel(panel)


def test_a_type_of_shared_markers_alone_is_refused() -> None:
    with pytest.raises(InputError, match="never stand alone"):
        check_panel(pd.DataFrame(rows("Odd", "Odd", "NCAM1 CHRNA1 CD34")))
    with pytest.raises(InputError, match="columns missing: source"):
        check_panel(SMALL.drop(columns="source"))


def test_markers_listed_by_several_types_weigh_less() -> None:
    markers = select_markers(SMALL, organism="human", material="nuclei")
    weight = markers.drop_duplicates("gene").set_index("gene")["weight"]
    assert weight["CHRNA1"] == 0.5
    assert weight["PAX7"] == 1
    with pytest.raises(InputError, match="mouse"):
        select_markers(SMALL, organism="mouse", material="nuclei")


def test_markers_of_another_material_are_left_out() -> None:
    panel = SMALL.copy()
    panel.loc[panel["gene"] == "MYF5", "material"] = "cells"
    assert "MYF5" not in set(select_markers(panel, organism="human", material="nuclei")["gene"])
    assert "MYF5" in set(select_markers(panel, organism="human", material="cells")["gene"])


# expression per cluster


def test_marker_table_by_hand() -> None:
    X = sparse.csr_matrix(np.log1p(np.array([[2, 0], [4, 0], [0, 0], [12, 8.0]], dtype=np.float32)))
    data = AnnData(X, obs=pd.DataFrame({"cluster": list("aabb")}, index=list("wxyz")))
    data.var["symbol"] = ["PAX7", "TTN"]
    table = marker_table(data, ["PAX7", "TTN", "ABSENT"]).set_index(["cluster", "gene"])
    assert table.loc[("a", "PAX7")].tolist() == pytest.approx([3, 1.0, 0.5])
    assert table.loc[("b", "PAX7")].tolist() == pytest.approx([6, 0.5, 1.0])
    assert table.loc[("a", "TTN")].tolist() == [0, 0, 0]
    assert len(table) == 4


# naming


def test_two_markers_name_a_type_and_one_does_not() -> None:
    found = named({"a": "PAX7 MYF5", "b": "PECAM1", "c": "PECAM1 CDH5"})
    assert found == {"a": "Satellite", "b": UNASSIGNED, "c": "Endothelial"}


def test_shared_markers_never_name_a_type_alone() -> None:
    assert named({"a": "NCAM1 CHRNA1"}) == {"a": UNASSIGNED}
    assert named({"a": "NCAM1 CHRNA1 PAX7"}) == {"a": "Satellite"}


def test_a_required_marker_is_required() -> None:
    assert named({"a": "MUSK LRP4 CHRNA1"}) == {"a": UNASSIGNED}
    assert named({"a": "MUSK LRP4 CHRNA1 CHRNE"}) == {"a": "NMJ"}


def test_a_raised_negative_marker_refuses_the_type() -> None:
    assert named({"a": "PAX7 MYF5 MYOG"}) == {"a": UNASSIGNED}


def test_soup_in_every_cluster_names_nothing() -> None:
    assert named({"a": "", "b": "PAX7 MYF5"}, low=3) == {"a": UNASSIGNED, "b": "Satellite"}
    assert named({"a": ""}, low=15) == {"a": UNASSIGNED}


def test_a_mixture_of_two_lineages_is_not_named() -> None:
    data = study({"a": "PAX7 MYF5 NCAM1 PECAM1 CDH5 FABP4", "x": "", "y": "", "z": ""})
    data = data[:, data.var["symbol"] != "CHRNA1"].copy()
    found = annotate(data, SMALL, organism="human", material="nuclei").loc["a"]
    assert found["cell_type"] == UNASSIGNED
    assert "within 0.00" in found["reason"]


def test_two_types_of_one_lineage_do_not_block_each_other() -> None:
    scores = pd.DataFrame(
        {
            "cluster": "a",
            "cell_type": ["FAP, pan", "FAP, stem", "Mural"],
            "lineage": ["FAP", "FAP", "Mural"],
            "score": [0.6, 0.59, 0.2],
            "admissible": True,
            "carried_enough": True,
        }
    )
    found = name_clusters(scores).loc["a"]
    assert (found["cell_type"], found["runner_up"]) == ("FAP, pan", "Mural")
    assert found["near"] == "FAP, stem"
    assert name_clusters(scores.assign(score=0.1)).loc["a", "reason"].endswith("below 0.25")


def test_doublet_clusters_stay_unassigned() -> None:
    data = study({"a": "PAX7 MYF5", "x": "", "y": "", "z": ""}, size=100)
    data.obs["doublet_score"] = 0.02
    data.obs.iloc[:10, data.obs.columns.get_loc("cluster")] = "d"
    data.obs.iloc[:10, data.obs.columns.get_loc("doublet_score")] = 0.3
    found = annotate(data, SMALL, organism="human", material="nuclei")
    assert found.loc["a", "cell_type"] == "Satellite"
    assert found.loc["d", "cell_type"] == UNASSIGNED
    assert "doublets" in found.loc["d", "reason"]


def test_cell_scores_are_each_cells_own() -> None:
    data = study({"a": "PAX7 MYF5 NCAM1 CHRNA1", "x": "", "y": "", "z": ""})
    annotate(data, SMALL, organism="human", material="nuclei")
    assert set(data.obs.loc[data.obs["cluster"] == "a", "cell_type_score"]) == {1.0}
    assert data.obs.loc[data.obs["cluster"] == "x", "cell_type_score"].isna().all()
    assert set(data.obs["lineage"]) == {"Myogenic", UNASSIGNED}


def test_wrong_identifiers_are_an_error() -> None:
    data = study({"a": "PAX7", "x": ""})
    data.var["symbol"] = [f"ENSG{i}" for i in range(data.n_vars)]
    with pytest.raises(InputError, match="0 of 12 human marker genes"):
        annotate(data, SMALL, organism="human", material="nuclei")


def test_cluster_order_does_not_matter() -> None:
    raised = {"a": "PAX7 MYF5", "b": "PECAM1 CDH5", "x": "", "y": ""}
    markers = select_markers(SMALL, organism="human", material="nuclei")
    one = study(raised)
    other = one[::-1].copy()
    genes = sorted(set(markers["gene"]))
    a = score_clusters(marker_table(one, genes), markers)
    b = score_clusters(marker_table(other, genes), markers)
    pd.testing.assert_frame_equal(a, b)


# a name is carried by its own markers


def mixture(
    levels: dict[str, dict[str, float]], size: int = 60, more: tuple[str, ...] = ()
) -> AnnData:
    """Clusters with the stated mean per gene (per 10,000), among 80 genes of no type."""
    genes = [*SMALL["gene"].unique(), *more, *(f"FIBRE{i}" for i in range(80))]
    rng = np.random.default_rng(1)
    mean = np.full((len(levels), len(genes)), 2.0)
    for i, own in enumerate(levels.values()):
        for gene, value in own.items():
            chosen = [j for j, name in enumerate(genes) if name == gene or gene == name[:5]]
            mean[i, chosen] = value
    values = rng.poisson(np.repeat(mean, size, axis=0)).astype(float)
    obs = pd.DataFrame({"cluster": np.repeat(list(levels), size)})
    obs.index = obs.index.astype(str)
    var = pd.DataFrame({"symbol": genes}, index=[f"G{i}" for i in range(len(genes))])
    return AnnData(sparse.csr_matrix(np.log1p(values).astype(np.float32)), obs=obs, var=var)


SOUP = dict.fromkeys(SMALL["gene"], 0.1)
"""All markers at a trace."""


def test_markers_that_do_not_lead_name_nothing() -> None:
    # Raised above the soup, as the markers of the endplate are in slow fibres, but behind 80 genes.
    trace = SOUP | dict.fromkeys(("MUSK", "LRP4", "CHRNE", "COLQ"), 0.6)
    found = annotate(
        mixture({"slow": trace | {"FIBRE": 40.0}, "x": SOUP, "y": SOUP, "z": SOUP}),
        SMALL,
        organism="human",
        material="nuclei",
    ).loc["slow"]
    assert found["cell_type"] == UNASSIGNED
    assert "best is NMJ, but only 0 of its 5 markers" in found["reason"]


def test_a_type_in_several_clusters_keeps_its_name_in_each() -> None:
    own = SOUP | dict.fromkeys(("PAX7", "MYF5"), 30.0)
    found = annotate(
        mixture({"a": own, "b": own | {"FIBRE": 4.0}, "c": own, "x": SOUP, "y": SOUP}),
        SMALL,
        organism="human",
        material="nuclei",
        n_first=10,
        min_detected=0.3,
    )
    assert found.loc[["a", "b", "c"], "cell_type"].tolist() == ["Satellite"] * 3, found["reason"]


def test_what_a_lineage_has_in_common_does_not_hide_its_types() -> None:
    panel = pd.concat([SMALL, pd.DataFrame(rows("Slow", "Myonuclei", "MYH7 TNNT1 TNNC1"))])
    shared = dict.fromkeys([*SMALL["gene"], "MYH7", "TNNT1", "TNNC1"], 0.1) | {"FIBRE": 40.0}
    levels = {
        "slow": shared | dict.fromkeys(("MYH7", "TNNT1", "TNNC1"), 3.0),
        "nmj": shared | dict.fromkeys(("MUSK", "LRP4", "CHRNE", "COLQ"), 3.0),
        **dict.fromkeys("xyz", dict.fromkeys(shared, 0.1) | {"FIBRE": 0.1}),
    }
    found = annotate(
        mixture(levels, more=("MYH7", "TNNT1", "TNNC1")),
        panel,
        organism="human",
        material="nuclei",
        min_detected=0.3,
    )
    assert found.loc[["slow", "nmj"], "cell_type"].tolist() == ["Slow", "NMJ"], found["reason"]


def test_spots_are_called_by_what_they_are_rich_in() -> None:
    both = SOUP | dict.fromkeys(("PAX7", "MYF5", "NCAM1", "PECAM1", "CDH5", "FABP4"), 30.0)
    vessel = SOUP | dict.fromkeys(("PECAM1", "CDH5", "FABP4"), 30.0)
    levels = {"both": both, "vessel": vessel, "none": SOUP | {"FIBRE": 40.0}, "x": SOUP}
    found = annotate(mixture(levels), SMALL, organism="human", material="spots", n_first=8)
    found = found["cell_type"]
    assert found["both"] in (
        "Spots rich in satellite and endothelial",
        "Spots rich in endothelial and satellite",
    )
    assert found["vessel"] == "Spots rich in endothelial"
    assert found["none"] == UNASSIGNED


def test_fibres_are_no_nuclei_in_spots() -> None:
    scores = pd.DataFrame(
        {
            "cluster": "a",
            "cell_type": ["Type IIB myonuclei", "Type IIA myonuclei", "Schwann, myelinating"],
            "lineage": ["Myonuclei", "Myonuclei", "Schwann"],
            "carried": [1.0, 0.8, 0.7],
            "chance": [1e-9, 1e-7, 1e-5],
            "carried_enough": True,
        }
    )
    found = name_spots(scores).loc["a"]
    assert found["cell_type"] == "Spots rich in type IIB fibres and Schwann, myelinating"
    assert found["near"] == "type IIA fibres"
