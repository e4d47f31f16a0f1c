"""One replicate of the calibration on real counts, from real people to verdicts."""

from __future__ import annotations

import pandas as pd
import pytest

from alsmuscle.simulate import calibrate_real
from alsmuscle.synthesis import verdicts
from support import mirror

MIRROR = mirror()
pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(MIRROR is None, reason="no mirror of public data"),
]


def test_a_replicate_goes_from_real_people_to_verdicts(tmp_path):
    arguments = ["--mirror", str(MIRROR), "--out", str(tmp_path), "--replicates", "1"]
    calibrate_real.main([*arguments, "--seed", "5", "--arms", "planted"])
    rows = pd.read_csv(tmp_path / "rows.tsv", sep="\t")
    assert set(rows["k_planned"]) == {3, 4, 5}
    assert set(rows["verdict"]) <= set(verdicts.VERDICTS)
    supported = rows[rows["verdict"] == verdicts.SUPPORTED]
    # Planted strong effects are seen, and what is said of them is mostly true.
    assert len(supported) >= 5 and supported["is_true"].mean() > 0.8
    claims = pd.read_csv(tmp_path / "claims.tsv", sep="\t")
    assert set(claims["k_planned"]) == {3, 4, 5}
    assert (tmp_path / "index.html").is_file()
