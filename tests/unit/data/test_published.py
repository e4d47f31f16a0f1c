from __future__ import annotations

import pandas as pd
import pytest

from alsmuscle.bulk.tables import DE
from alsmuscle.core import contracts
from alsmuscle.core.errors import InputError
from alsmuscle.data import derived, published, study_effects
from alsmuscle.data.readers import calls as lists
from alsmuscle.data.readers import results
from alsmuscle.data.tables import IMPORTED

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
    return _import(table, spec).effects


def _import(table, spec, identity=IDENTITY):
    return published.effects(table, identity, spec, dataset="x", where="file.csv")


def test_the_most_expressed_probe_speaks_for_the_gene_not_the_largest_effect():
    made = contracts.check_table(_run(), DE, "x").set_index("gene_id")
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
    spreads = ("half_width_column", "pvalue_column")
    spec = {key: value for key, value in SPEC.items() if key not in spreads}
    with pytest.raises(InputError, match="no measure of spread"):
        _run(spec=spec)


def test_r_data_files(tmp_path):
    import rdata

    path = tmp_path / "two.rda"
    rdata.write_rda(path, {"one": TABLE, "two": TABLE})
    spec = {**SPEC, "layout": "rdata"}
    with pytest.raises(InputError, match="2 data frames"):
        results.read_effects(path, spec)
    frame = results.read_effects(path, {**spec, "object": "two"})
    assert frame["lfc"].tolist() == TABLE["lfc"].tolist()
    path.write_bytes(b"nothing of R")
    with pytest.raises(InputError, match="R data"):
        results.read_effects(path, spec)


def _wide(n=60, **columns):
    """A table of ``n`` genes with p-values over the whole range."""
    table = pd.DataFrame(
        {
            "ID": [f"{i}_at" for i in range(n)],
            "logFC": [0.1 * (i - n / 2) + 0.05 for i in range(n)],
            "t": [0.2 * (i - n / 2) + 0.1 for i in range(n)],
            "P.Value": [(i + 0.5) / n for i in range(n)],
            "Gene.symbol": [f"G{i}" for i in range(n)],
        }
    )
    identity = pd.DataFrame(
        {"gene_id": [f"E{i}" for i in range(n)], "symbol": table["Gene.symbol"], "status": "symbol"}
    )
    return table.assign(**columns), identity


GEO2R = {
    "tool": "geo2r",
    "gene_column": "Gene.symbol",
    "contrast": "c",
    "n_target": 9,
    "n_reference": 18,
}


def test_a_table_of_geo2r_needs_no_columns_named_and_says_how_its_error_came_about():
    table, identity = _wide()
    made = _import(table, GEO2R, identity)
    contracts.check_table(made.effects, DE, "x")
    notes = contracts.check_table(made.notes, IMPORTED, "x").set_index("metric")
    assert made.effects["lfc_se"].round(9).eq(0.5).all()
    assert made.effects["df"].eq(25).all()
    assert "effect over t" in notes.loc["error", "text"]


def test_infinite_effects_are_left_out_and_counted():
    table, identity = _wide()
    table.loc[:8, "logFC"] = float("inf")
    made = _import(table, GEO2R, identity)
    notes = made.notes.set_index("metric")
    assert notes.loc["infinite_refused", "value"] == 9
    assert len(made.effects) == 51
    assert made.effects["log2fc"].abs().max() < 10


@pytest.mark.parametrize(("shift", "flagged"), [(0.01, False), (6.0, True)])
def test_control_probes_are_no_genes_and_tell_whether_the_groups_were_processed_alike(
    shift, flagged
):
    table, identity = _wide()
    table.loc[:9, "ID"] = [f"AFFX-{i}_at" for i in range(10)]
    table.loc[:9, "logFC"] = [shift] * 10
    made = _import(table, GEO2R, identity)
    notes = made.notes.set_index("metric")
    assert len(made.effects) == 50
    assert notes.loc["controls_left_out", "value"] == 10
    assert bool(notes.loc["control_probes", "flagged"]) is flagged


def test_of_several_probes_the_smallest_error_speaks_where_no_expression_is_given():
    table, identity = _wide()
    identity.loc[1, ["gene_id", "symbol"]] = ["E0", "G0"]
    table.loc[0, ["logFC", "t"]] = [8.0, 2.0]  # the larger effect, and the larger error
    table.loc[1, ["logFC", "t"]] = [0.4, 2.0]
    made = _import(table, GEO2R, identity).effects.set_index("gene_id")
    assert made.loc["E0", "log2fc"] == 0.4


def test_a_table_of_significant_rows_alone_is_a_list():
    table, identity = _wide(**{"P.Value": 0.01})
    with pytest.raises(InputError, match="list of called genes") as caught:
        _import(table, GEO2R, identity)
    assert "modality: calls" in str(caught.value)


def test_groups_that_are_too_small_have_effects_and_no_test_whoever_made_it():
    small = _import(TABLE, SPEC | {"n_target": 2})
    bare = published.tested(small, 3)
    made = contracts.check_table(bare.effects, DE, "x")
    assert made[["stat", "pvalue", "padj"]].isna().all(axis=None)
    assert made["log2fc"].notna().all() and made["lfc_se"].notna().all()
    notes = contracts.check_table(bare.notes, IMPORTED, "x").set_index("metric")
    assert notes.loc["too_few", "text"].startswith("2 v 4 samples are too few for a test")
    # Enough, or nobody knows how many.
    for sizes in ({}, {"n_target": 0, "n_reference": 0}):
        whole = _import(TABLE, SPEC | sizes)
        assert published.tested(whole, 3) is whole


@pytest.mark.parametrize(
    ("named", "stat", "said"),
    [
        ("DDX3Y", 9.0, "DDX3Y up"),
        ("XIST", -9.0, "XIST down"),
        ("XIST", 0.1, ""),
        ("MYOG", 9.0, ""),
    ],
)
def test_genes_of_one_sex_that_move_are_said_of_a_table(named, stat, said):
    table, identity = _wide()
    identity.loc[0, "symbol"] = named
    table.loc[0, ["logFC", "t"]] = [stat / 4, stat]
    notes = contracts.check_table(_import(table, GEO2R, identity).notes, IMPORTED, "x")
    own = notes[notes["metric"] == "sex_genes"]
    assert own["flagged"].all() and len(own) == bool(said)
    assert all(f"The two sides differ in sex: {said} " in text for text in own["text"])


def test_the_sexes_differ_only_where_its_genes_agree():
    told = derived.sexes_differ
    assert told(pd.Series({"XIST": True, "UTY": False, "A": True})).startswith("The two sides")
    assert told(pd.Series({"Xist": False, "Uty": True})).startswith("The two sides")
    assert "contradict" in told(pd.Series({"XIST": True, "UTY": True}))
    assert told(pd.Series({"A": True})) == ""


@pytest.mark.parametrize(("named", "said"), [("RPS4Y1", True), ("MYOG", False)])
def test_genes_of_one_sex_that_are_called_are_said_of_a_list(named, said):
    rows = pd.DataFrame({"gene": [named, "A"], "lfc": [-1.5, 1.2]})
    identity = pd.DataFrame({"gene_id": ["E0", "E1"], "symbol": [named, "A"], "status": "symbol"})
    spec = {"log2fc_column": "lfc", "threshold": "none"}
    found = lists.called_genes(rows, identity, spec, dataset="x", contrast="c", where="file")
    notes = study_effects.call_notes({"c": found}, "x")
    own = contracts.check_table(notes, IMPORTED, "x").set_index("metric")["flagged"]
    assert own.to_dict() == {"rows": False} | ({"sex_genes": True} if said else {})
