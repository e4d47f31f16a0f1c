"""Made-up studies after public bug reports, one folder each: every one comes out right.

They lie beside the mirror, with their sources; `tests/unit/data/test_cases.py` makes studies of the
same kinds itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alsmuscle.core import contracts
from alsmuscle.core.errors import InputError
from alsmuscle.data import account, cards, fetch, studies, study_arrays, study_cells
from alsmuscle.data.tables import MANIFEST
from alsmuscle.download.policy import FetchPolicy
from support import ROOT, mirror

CASES = (mirror() or ROOT).parent / "cases"
pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(not CASES.is_dir(), reason="needs the shared cases beside the mirror"),
]

READS = [19900, 26812, 14171, 23408, 20088, 22535, 28733, 26374]
GROUPS = ["healthy"] * 4 + ["als"] * 4
# Case: what is to be true of it. A text stands for a refusal that holds these words.
EXPECTED: dict[str, Any] = {
    "annotation_long_form": {"genes": 54, "status": {"ambiguous": 6, "entrez": 54}},
    "appledouble_members": {"reads": READS},
    "array_gene_assignment": {"genes": 60},
    "array_log10": "log10 values",
    "array_mixed_scale": "4, such as GSM5, look like linear values; 4, such as GSM1, look "
    "like log2",
    "array_some_missing": {"genes": 28, "note": "32 of 60 genes are lost", "flagged": True},
    "characteristic_twice": {"reads": READS, "groups": GROUPS},
    "characteristic_without_key": {"reads": READS, "groups": GROUPS},
    "effects_infinite": "every row is significant",
    "every_gene_a_zero": {"genes": 300},
    "featurecounts_two_bams": "2 columns of counts: /x/GSM1_L1.bam, /x/GSM1_L2.bam",
    "features_quoted": {"barcodes": [40] * 4, "features": 60, "first_sum": 4809},
    "features_with_header": {"barcodes": [40] * 4, "features": 60, "first_sum": 4809},
    "gz_by_name_only": {"barcodes": [40] * 4, "features": 60, "first_sum": 4809},
    "h5ad_feature_types": {"barcodes": [40] * 4, "features": 50, "others": 10},
    "h5ad_gz": {"barcodes": [40] * 4, "features": 60},
    "h5ad_repeated_barcodes": {"barcodes": [40] * 4, "features": 60},
    "ids_composite": {"reads": READS, "status": {"ensembl": 60}},
    "ids_other_case": "symbols in the spelling of another organism",
    "mac_line_ends": {"reads": READS},
    "members_in_other_order": {"reads": READS},
    "sdrf_row_per_fastq": {"reads": READS},
    "series_matrix_line_break": {"reads": READS, "groups": GROUPS},
    "sheet_row_names": {"reads": READS, "ages": [51, 52, 53, 54, 71, 72, 73, 74]},
    "soft_other_line_breaks": {"genes": 60},
    "soft_repeated_ids": {"genes": 60, "note": "8 values of probes that a sample lists again"},
    "soft_thousands": "'1,246.5' at probe '3_at', column 'VALUE' is not a number",
    "summary_rows_htseq": {"reads": READS, "note": "__no_feature, __ambiguous, __not_aligned"},
    "symbols_and_ensembl": {"reads": READS, "status": {"symbol": 42, "ensembl": 18}},
    "tar_in_tar": {"barcodes": [40] * 4, "features": 60, "first_sum": 4809},
    "title_line_gct": {"reads": READS},
    "trailing_tab_gene": {"reads": READS},
    "two_channels_sheet": {"reads": READS, "groups": GROUPS},
    "workbook_gz": {"reads": READS},
    "workbook_numeric_names": {"reads": READS},
    "workbook_repeated_name": "column 'a' is duplicated in the header",
    "zip_of_a_table": {"reads": READS},
}


def test_every_case_is_looked_at():
    assert {path.parent.name for path in CASES.glob("*/expect.txt")} == set(EXPECTED)


@pytest.mark.parametrize("case", EXPECTED)
def test_shared_case(case, tmp_path, monkeypatch):
    monkeypatch.chdir(CASES / case)
    card = cards.load_card("gse1.yaml")
    found, looked = fetch.study_files(
        card, cache=tmp_path, policy=FetchPolicy(offline=True, folders=(".",))
    )
    assert {row["state"] for row in looked} <= {"agrees", "not verified"}
    manifest, expected = contracts.rows(found, MANIFEST), EXPECTED[case]
    if isinstance(expected, str):
        with pytest.raises(InputError) as caught:
            account.of_study(card, manifest)
        assert expected in str(caught.value)
        return
    account.of_study(card, manifest)
    seen = _cells(card, manifest) if card["modality"] == "cells" else _whole(card, manifest)
    note = expected.pop("note", "")
    assert note in " ".join(seen.pop("note", []))
    assert {key: seen[key] for key in expected} == expected


def _whole(card, manifest):
    read = study_arrays.read_arrays if card["modality"] == "array" else studies.read_bulk
    adata, _, _ = read(card, manifest)
    origin = adata.uns["provenance"]
    return {
        "genes": adata.n_vars,
        "status": origin["rows_by_status"],
        "reads": np.asarray(adata.X).sum(axis=1).tolist(),
        "groups": adata.obs["condition"].tolist(),
        "ages": adata.obs["age"].tolist(),
        "note": origin["notes"],
        "flagged": bool(origin["flagged"]),
    }


def _cells(card, manifest):
    matrices, names, _, _ = study_cells.cell_samples(card, manifest)
    read = [matrices.read(name)[0] for name in names]
    return {
        "barcodes": [one.n_obs for one in read],
        "features": read[0].n_vars,
        "others": read[0].uns["n_other_features"],
        "first_sum": int(read[0].X.sum()),
        "ids": list(read[0].var_names),
    }


def test_the_folder_of_each_case_says_where_it_comes_from():
    for case in EXPECTED:
        assert "source:" in Path(CASES / case / "README.md").read_text()
