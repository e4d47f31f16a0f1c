from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse, stats

import by_config
from alsmuscle.cells.activity import Passing, coexpression, score_cells
from alsmuscle.core.errors import InputError

activity_by_type = by_config.activity.activity_by_type


def study() -> AnnData:
    counts = np.array([[1, 0, 0, 2], [1, 1, 0, 0], [0, 0, 9, 1], [0, 1, 8, 0], [2, 0, 9, 0]])
    X = sparse.csr_matrix(np.log1p(counts).astype(np.float32))
    obs = pd.DataFrame({"subject_id": ["d1", "d1", "d1", "d2", "d2"]}, index=list("abcde"))
    var = pd.DataFrame({"symbol": ["PAX7", "MYOD1", "TTN", "MYOG"]}, index=["g1", "g2", "g3", "g4"])
    out = AnnData(X, obs=obs, var=var)
    out.layers["counts"] = sparse.csr_matrix(counts.astype(np.int32))
    return out


def test_scores_by_hand_in_any_chunk() -> None:
    blocks = {"up": {"PAX7": 1.0, "g4": 1.0, "ABSENT": 1.0}, "both": {"TTN": 1.0, "MYOD1": -1.0}}
    blocks["none"] = {"ABSENT": 1.0}
    scores = score_cells(study(), blocks)
    assert scores.loc["a", "up"] == pytest.approx((np.log(2) + np.log(3)) / 2)
    assert scores.loc["d", "both"] == pytest.approx((np.log(9) - np.log(2)) / 2)
    assert scores["none"].isna().all()
    pd.testing.assert_frame_equal(scores, score_cells(study(), blocks, chunk=2))
    with pytest.raises(InputError, match="no block has a gene"):
        score_cells(study(), {"none": {"ABSENT": 1.0}})


def test_donors_are_the_unit_of_the_interval() -> None:
    donor_means = np.array([1.0, 2.0, 4.0])
    obs = pd.DataFrame(
        {
            "subject_id": np.repeat(["d1", "d2", "d3", "d4"], [20, 10, 40, 5]),
            "cell_type": "FAP",
            "condition": "ALS",
        }
    )
    scores = pd.DataFrame({"x": np.repeat([*donor_means, 99.0], [20, 10, 40, 5])})
    found = activity_by_type(scores, obs).iloc[0]
    assert (found["n_donors"], found["n_cells"]) == (3, 70)  # d4 has too few cells
    low, high = stats.t.interval(0.95, 2, donor_means.mean(), stats.sem(donor_means))
    assert (found["mean"], found["ci_low"], found["ci_high"]) == pytest.approx(
        (donor_means.mean(), low, high)
    )
    two = activity_by_type(scores, obs, min_cells=15).iloc[0]
    assert two["n_donors"] == 2 and np.isnan(two["ci_low"])


def test_coexpression_by_hand() -> None:
    found = coexpression(
        study(),
        defining={"PAX7+": ["PAX7"], "TTN+": ["TTN", "NEB"]},
        targets=["MYOD1", "MYOG", "ABSENT"],
        min_counts={"TTN+": 5},
    ).set_index(["subject_id", "group", "gene"])
    assert found.loc[("d1", "PAX7+", "MYOD1"), ["n_nuclei", "n_positive"]].tolist() == [2, 1]
    assert found.loc[("d1", "TTN+", "MYOG"), "share"] == 1
    assert found.loc[("d2", "several", "MYOD1"), "n_nuclei"] == 1
    assert "ABSENT" not in found.index.get_level_values("gene")
    with pytest.raises(InputError, match="none of CHRNG"):
        coexpression(study(), defining={"x": ["CHRNG"]}, targets=["MYOG"])


def test_what_passes_in_parts_is_kept_as_of_the_whole() -> None:
    whole = study()
    blocks = {"up": {"g1": 1.0, "g4": 1.0}}
    parts = Passing([whole[:3].copy(), whole[3:].copy()], blocks, {"PAX7", "TTN"}, names=None)
    assert [list(part.obs_names) for part in parts] == [list("abc"), list("de")]
    kept, scores = parts.kept()
    assert list(kept.obs_names) == list(whole.obs_names)
    assert set(kept.var["symbol"]) == {"PAX7", "TTN"}
    pd.testing.assert_frame_equal(scores, score_cells(whole, blocks))
