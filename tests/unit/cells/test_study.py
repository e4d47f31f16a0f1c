"""A study's samples, read and prepared one after the other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from alsmuscle.cells.prepare import PreparedSample
from alsmuscle.cells.study import Preparation
from alsmuscle.data import genes

TABLE = pd.DataFrame(
    {
        "gene_id": [f"ENSG{i:011d}" for i in range(4)],
        "symbol": list("ABCD"),
        "entrez": "",
        "primary": "1",
        "previous": "",
    }
)


def sample(symbols: str) -> AnnData:
    names = pd.DataFrame({"symbol": list(symbols), "source_id": list(symbols)}, index=list(symbols))
    X = sparse.csr_matrix(np.ones((3, len(symbols)), np.int32))
    return AnnData(X, obs=pd.DataFrame(index=list("xyz")), var=names)


def test_genes_are_looked_up_once_per_list_of_features(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"1": sample("ABC"), "2": sample("ABC"), "3": sample("ABD"), "4": sample("ABC")}
    looked_up = []
    plain = genes.identify

    def identify(ids: Any, *args: Any, **options: Any) -> pd.DataFrame:
        looked_up.append("".join(ids))
        return plain(ids, *args, **options)

    def prepare(cells: AnnData, *, sample_id: str, **_: Any) -> PreparedSample:
        barcodes = pd.DataFrame({"reason": ["", "", ""]})
        return PreparedSample(sample_id, cells, barcodes, {"skipped": ""})

    monkeypatch.setattr("alsmuscle.data.genes.identify", identify)
    monkeypatch.setattr("alsmuscle.cells.prepare.prepare_sample", prepare)
    study = Preparation(
        {"id": "x", "cells": {"material": "nuclei"}},
        SimpleNamespace(read=lambda name: (files[name], None)),
        {name: f"S{name}" for name in files},
        TABLE,
        options={},
        say=lambda *_: None,
    )
    found = [prepared.cells.var_names.tolist() for prepared in study.samples()]
    assert looked_up == ["ABC", "ABD"]
    ids = dict(zip("ABCD", TABLE["gene_id"], strict=True))
    assert found == [[ids[g] for g in names] for names in ("ABC", "ABC", "ABD", "ABC")]
