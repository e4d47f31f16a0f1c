"""GSE781, arrays of two chip designs, from its card to moderated t against R's limma
(``gse781/``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alsmuscle.bulk import engines
from alsmuscle.core import contracts
from alsmuscle.data import cards, study_arrays
from alsmuscle.data.fetch import study_files
from alsmuscle.data.tables import MANIFEST
from support import ROOT, mirror

pytestmark = pytest.mark.verify
FOLDER = Path(__file__).parent / "gse781"
CONTRASTS = {"": "carcinoma_vs_normal", "_paired": "carcinoma_vs_normal_paired"}


@pytest.fixture(scope="module")
def card():
    return cards.load_card(ROOT / "config" / "datasets" / "gse781.yaml")


@pytest.fixture(scope="module")
def read(card, tmp_path_factory):
    folder = mirror()
    if folder is None:
        pytest.skip("no data mirror")
    cache = tmp_path_factory.mktemp("gse781")
    rows, checks = study_files(card, cache=cache, mirror=folder)
    assert checks[0]["state"] == "agrees"
    return study_arrays.read_arrays(card, contracts.rows(rows, MANIFEST))


def test_34_arrays_are_17_samples_of_10_people(read):
    adata, kept, excluded = read
    assert (adata.n_obs, len(excluded)) == (17, 0)
    assert kept["condition"].value_counts().to_dict() == {"carcinoma": 9, "normal": 8}
    assert kept["subject_id"].nunique() == 10
    assert adata.n_vars > 17_000
    # Both samples of donor 035, recorded as a woman, express Y genes and no XIST.
    wrong = kept[kept["sex"] != kept["sex_inferred"]]
    assert set(wrong["sample_id"]) == {"N035", "C035"}
    assert set(wrong["sex_inferred"]) == {"male"}


@pytest.mark.parametrize("trend", [True, False])
@pytest.mark.parametrize("paired", CONTRASTS)
def test_moderated_t(read, card, trend, paired):
    adata, *_ = read
    contrast = cards.contrast(card, CONTRASTS[paired])
    options = cards.load_yaml(ROOT / "config" / "config.yaml")["bulk"]["de"] | {"trend": trend}
    fitted = engines.fit(adata, contrast, min_total=10, inference="batched")
    ours = engines.test(fitted, adata.obs, contrast, dataset="gse781", **options)
    ours = ours.set_index("gene_id")
    frozen = pd.read_csv(FOLDER / "values.tsv.gz", sep="\t")
    theirs = frozen[frozen["case"] == f"{'trend' if trend else 'plain'}{paired}"]
    theirs = theirs.set_index("gene_id")
    assert len(theirs) > 1000
    assert (adata.var.loc[theirs.index, "source_id"] == theirs["probe"]).all()
    ours = ours.loc[theirs.index]
    names = {"base_mean": "mean", "log2fc": "effect", "lfc_se": "se"}
    names |= {"stat": "stat", "df": "df", "pvalue": "pvalue"}
    for own, their in names.items():
        relative = (ours[own] - theirs[their]).abs() / theirs[their].abs()
        print(contrast["id"], trend, own, f"largest relative difference {relative.max():.1e}")
        np.testing.assert_allclose(ours[own], theirs[their], rtol=1e-6, err_msg=own)
