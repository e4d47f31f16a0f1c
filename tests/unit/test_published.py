from __future__ import annotations

import pandas as pd
import pytest

from alsmuscle import contracts, layouts, published
from alsmuscle.errors import InputError

SPEC = {
    "gene_column": "gene",
    "probe_column": "probe",
    "log2fc_column": "lfc",
    "half_width_column": "half",
    "pvalue_column": "p",
    "expression_columns": ["a", "b"],
    "n_target": 3,
    "n_reference": 4,
    "contrast": "c",
}
TABLE = pd.DataFrame(
    {
        "probe": ["p1", "p2", "p3", "p4"],
        "gene": ["1", "1", "2", ""],
        "lfc": [5.0, 1.0, -2.0, 3.0],
        "half": [1.96, 0.98, 1.96, 1.0],
        "p": [1e-6, 1e-3, 0.01, 0.5],
        "a": [4.0, 9.0, 6.0, 9.0],
        "b": [6.0, 11.0, 8.0, 9.0],
    }
)
IDENTITY = pd.DataFrame(
    {
        "gene_id": ["E1", "E1", "E2", ""],
        "symbol": ["ONE", "ONE", "TWO", ""],
        "status": ["entrez", "entrez", "entrez", "unmapped"],
    }
)


def _run(table=TABLE, spec=SPEC):
    return published.effects(table, IDENTITY, spec, dataset="x", where="file.csv")


def test_the_most_expressed_probe_speaks_for_the_gene_not_the_largest_effect():
    made = contracts.check_table(_run(), "de", "x").set_index("gene_id")
    assert list(made.index) == ["E1", "E2"]
    assert made.loc["E1", ["probe_id", "log2fc", "lfc_se", "stat", "base_mean"]].tolist() == [
        "p2", 1.0, 0.5, 2.0, 10.0,
    ]  # fmt: skip
    assert made["n_reference"].tolist() == [4, 4]
    assert made["padj"].isna().all()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"log2fc_column": "logFC"}, ["no column 'logFC'", "effects.log2fc_column"]),
        ({"log2fc_column": "probe"}, ["holds no numbers"]),
        ({"expression_columns": ["z"]}, ["no column 'z'"]),
    ],
)
def test_a_table_that_does_not_fit(change, expected):
    with pytest.raises(InputError) as caught:
        _run(spec={**SPEC, **change})
    for words in ["file.csv", *expected]:
        assert words in str(caught.value)


def test_without_spread_there_is_no_effect():
    spec = {key: value for key, value in SPEC.items() if key != "half_width_column"}
    with pytest.raises(InputError, match="no measure of spread"):
        _run(spec=spec)


def test_r_data_files(tmp_path):
    import rdata

    path = tmp_path / "two.rda"
    rdata.write_rda(path, {"one": TABLE, "two": TABLE})
    spec = {**SPEC, "layout": "rdata"}
    with pytest.raises(InputError, match="several data frames"):
        layouts.read_effects(path, spec)
    frame = layouts.read_effects(path, {**spec, "object": "two"})
    assert frame["lfc"].tolist() == TABLE["lfc"].tolist()
    path.write_bytes(b"nothing of R")
    with pytest.raises(InputError, match="R data"):
        layouts.read_effects(path, spec)
