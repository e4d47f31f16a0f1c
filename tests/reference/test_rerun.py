"""Runs R again on the frozen inputs: the frozen values must be what R gives (`make reference`)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support import mirror

pytestmark = pytest.mark.verify
HERE = Path(__file__).parent


@pytest.mark.parametrize("topic", ["designs", "limma", "gse781"])
def test_r_gives_the_frozen_values(tmp_path, topic):
    if shutil.which("Rscript") is None:
        pytest.skip("no R")
    source = []
    if topic == "gse781":
        folder = mirror()
        if folder is None:
            pytest.skip("no data mirror")
        source = [str(folder / "files" / "GSE781" / "GSE781_family.soft.gz")]
    subprocess.run(["Rscript", "script.R", *source, str(tmp_path)], cwd=HERE / topic, check=True)
    for path in sorted(tmp_path.glob("*.tsv*")):
        new, frozen = (pd.read_csv(p, sep="\t") for p in (path, HERE / topic / path.name))
        text = frozen.select_dtypes(exclude="number").columns
        pd.testing.assert_frame_equal(new[text], frozen[text])
        for column in frozen.columns.drop(text):
            np.testing.assert_allclose(
                new[column], frozen[column], rtol=1e-5, atol=1e-8, err_msg=f"{path.name} {column}"
            )
