"""Two brain regions of the same people (GSE67196): the donor is the unit of a real study."""

from __future__ import annotations

import pytest

from alsmuscle.bulk import engines
from alsmuscle.core import files
from alsmuscle.data import cards, completeness, studies
from alsmuscle.data.fetch import study_files
from alsmuscle.data.tables import MANIFEST
from alsmuscle.design import matrix
from support import ROOT, mirror

pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(mirror() is None, reason="needs the data mirror (ALSMUSCLE_MIRROR)"),
]


def test_both_regions_of_a_person_are_correlated_and_the_mutated_gene_comes_first(tmp_path):
    card = cards.load_cards(ROOT / "config" / "datasets")["gse67196"]
    manifest, _ = study_files(card, cache=tmp_path, mirror=mirror())
    files.write_table(tmp_path / "m.tsv", files.contracts.rows(manifest, MANIFEST), MANIFEST)
    adata, _, _ = studies.read_bulk(card, files.read_table(tmp_path / "m.tsv", MANIFEST))
    contrast = cards.contrast(card, "c9als_vs_healthy")
    used = matrix.used_samples(adata.obs, contrast)
    # 16 and 17 samples of 8 and 9 people.
    assert [int(mask.sum()) for mask in matrix.sides(used, contrast)] == [16, 17]
    assert matrix.smallest_cell(used, contrast) == 8
    warned = completeness.design_faults(card, adata.obs, 3)
    own = warned[warned["contrast"] == "c9als_vs_healthy"]
    assert own["kind"].tolist() == ["repeated_donors"]

    fitted = engines.fit(adata, contrast, min_total=10, inference="batched")
    assert fitted.uns["donors"] == "correlated"
    assert fitted.uns["donor_correlation"] == pytest.approx(0.363, abs=0.02)
    table = engines.test(
        fitted,
        adata.obs,
        contrast,
        **{"dataset": card["id"], "distribution": "quasi", "alpha": 0.05, "min_replicates": 3},
        **{"shrink": False, "hidden_factor": True, "inference": "batched", "trend": False},
    )
    # Carriers of the repeat expansion express less C9orf72 (10.1016/j.neuron.2011.09.011).
    first = table.iloc[0]
    assert first["symbol"] == "C9orf72"
    assert first["log2fc"] < -0.5
    assert first["padj"] < 1e-3
