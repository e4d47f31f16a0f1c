"""Genes from transcripts: R's tximport on the same abundance files, frozen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alsmuscle.reads.collect import to_genes

FOLDER = Path(__file__).parent / "tximport"


@pytest.mark.parametrize("measure", ["counts", "abundance", "length", "length_scaled"])
def test_tximports_numbers_are_reproduced(measure):
    runs = {f"run{i}": pd.read_csv(FOLDER / f"abundance_{i}.tsv", sep="\t") for i in range(1, 5)}
    genes = pd.read_csv(FOLDER / "tx2gene.tsv", sep="\t")
    ours = to_genes(runs, dict(zip(genes["tx"], genes["gene"], strict=True)))
    values = ours.length_scaled() if measure == "length_scaled" else getattr(ours, measure)
    table = pd.read_csv(FOLDER / "values.tsv", sep="\t")
    theirs = table[table["measure"] == measure].pivot(index="gene", columns="run", values="value")
    assert list(values.index) == list(theirs.index) and list(values) == list(theirs)
    assert len(theirs) == 30
    np.testing.assert_allclose(values, theirs, rtol=1e-6, atol=1e-9)
