"""Cards for tables of one's own: what is read, what is guessed, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.data import cards, own_study, own_tables
from support import ROOT, small_counts

sys.path.insert(0, str(ROOT / "docs" / "examples"))
from lab_tables import write as write_tables


def _tables(folder: Path, counts: pd.DataFrame, sheet: dict[str, list[str]]) -> tuple[Path, Path]:
    counts.to_csv(folder / "counts.tsv", sep="\t")
    pd.DataFrame(sheet).to_csv(folder / "sheet.csv", index=False)
    return folder / "counts.tsv", folder / "sheet.csv"


def _counts(n_side: int = 3) -> pd.DataFrame:
    return small_counts(n_genes=300, n_side=n_side)


def test_messy_tables_become_a_card_that_reads(tmp_path):
    counts, sheet = write_tables(tmp_path / "lab")
    made = own_study.write(
        counts, sheet, folder=tmp_path / "private", study="My Lab", contrast=["als:healthy"]
    )
    assert made.card == tmp_path / "private" / "studies" / "mylab.yaml"
    card = cards.load_card(made.card)
    assert cards.standing(card) == "private"
    assert {"accession", "citation", "facts"} & set(cards.load_yaml(made.card)) == set()
    assert (card["role"], card["organism"]) == ("als_patient", "human")
    rule = card["samples"]["columns"]["condition"]
    assert rule["from"] == "Diagnosis"
    assert {raw for raw, level in rule["map"].items() if level == "als"} == {
        "ALS (bulbar)",
        "als",
        "ALS",
        "ALS (spinal)",
        "Als",
    }
    assert set(rule["map"].values()) == {"als", "healthy"}
    assert card["samples"]["columns"]["sex"]["map"] == {"F": "female", "m": "male"}
    assert card["samples"]["columns"]["subject_id"] == {"from": "Pat. code"}
    assert [(c["target"], c["reference"]) for c in card["contrasts"]] == [("als", "healthy")]
    # The sheet's clean copy leads from the names of the counts to its own rows.
    clean = pd.read_csv(made.sheet, sep="\t", dtype=str)
    assert clean.loc[clean["matrix_column"] == "S7", "Diagnosis"].tolist() == ["ALS (bulbar)"]
    assert len(clean) == 12
    assert any("* ages at biopsy" in line for line in made.said)
    assert made.read == "12 samples, 1,297 genes, 1,297 of them known"
    assert Path(card["files"]["counts"]["url"]).samefile(counts)


def test_the_private_configuration_names_registry_and_folder(tmp_path):
    counts, sheet = write_tables(tmp_path / "lab")
    made = own_study.write(counts, sheet, folder=tmp_path / "private", study="one")
    config = cards.load_yaml(made.config)
    assert config["registry"] == ["project", "studies"]
    assert config["studies"]["statuses"] == ["private"]
    assert (made.config.parent / config["data"]["folders"][0]).samefile(tmp_path / "lab")
    other, _ = write_tables(tmp_path / "other")
    again = own_study.write(other, sheet, folder=tmp_path / "private", study="two")
    assert any("data.folders" in line for line in again.said)
    with pytest.raises(InputError, match="there already"):
        own_study.write(counts, sheet, folder=tmp_path / "private", study="one")


def test_the_reference_is_known_by_its_name(tmp_path):
    names = list(_counts().columns)
    tables = _tables(
        tmp_path,
        _counts(),
        {"sample": names, "genotype": ["WT"] * 3 + ["SOD1-G93A"] * 3, "batch": ["a", "b"] * 3},
    )
    proposal = own_tables.draft(*tables, study="x", role="als_model")
    (contrast,) = proposal.card["contrasts"]
    assert (contrast["target"], contrast["reference"]) == ("sod1_g93a", "wildtype")
    assert proposal.card["samples"]["columns"]["batch"] == {"from": "batch"}


def test_donors_on_both_sides_are_pairs(tmp_path):
    names = list(_counts().columns)
    sheet = {"id": names, "subject": ["a", "b", "c"] * 2, "group": ["control"] * 3 + ["ALS"] * 3}
    proposal = own_tables.draft(*_tables(tmp_path, _counts(), sheet), study="x")
    assert proposal.card["contrasts"][0]["block"] == "subject_id"
    assert any("within donors" in line for line in proposal.said)


def test_samples_without_a_group_are_left_out_with_the_reason(tmp_path):
    names = list(_counts(4).columns)
    groups = ["control"] * 3 + ["n/a"] + ["ALS"] * 4
    proposal = own_tables.draft(
        *_tables(tmp_path, _counts(4), {"id": names, "group": groups}), study="x"
    )
    (out,) = proposal.card["samples"]["exclude"]
    assert out["sample_id"] == names[3] and "'group'" in out["reason"]


def test_columns_that_are_no_samples_are_left_out(tmp_path):
    counts = _counts()
    names = list(counts.columns)
    counts.insert(0, "Length", 1000)
    counts.insert(0, "Chr", "chr1")
    counts["GSM99"] = counts[names[0]]
    proposal = own_tables.draft(
        *_tables(tmp_path, counts, {"id": names, "group": ["control"] * 3 + ["ALS"] * 3}), study="x"
    )
    assert proposal.card["counts"]["skip_columns"] == ["Chr", "Length", "GSM99"]
    assert proposal.card["samples"]["expected"] == 6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.apply(lambda s: s / s.sum() * 1e6), "add up to a million"),
        (lambda c: (c + 1).map(lambda v: len(str(v)) + 0.5), "as logarithms have"),
        (lambda c: c - 5, "negative numbers"),
        (lambda c: c.rename(columns=lambda n: f"run_{n[3:]}_x"), "names the samples"),
    ],
    ids=["TPM", "logarithms", "negative", "other names"],
)
def test_what_is_no_table_of_counts_is_refused(tmp_path, change, words):
    names = list(_counts().columns)
    sheet = {"id": names, "group": ["control"] * 3 + ["ALS"] * 3}
    with pytest.raises(InputError, match=words):
        own_tables.draft(*_tables(tmp_path, change(_counts()), sheet), study="x")


def test_groups_that_nobody_can_tell_are_asked_for(tmp_path):
    names = list(_counts().columns)
    tables = _tables(tmp_path, _counts(), {"id": names, "note": list("abcdef")})
    with pytest.raises(InputError, match="no column of the sheet tells groups apart"):
        own_tables.draft(*tables, study="x")
    tables = _tables(tmp_path, _counts(), {"id": names, "group": ["old"] * 3 + ["young"] * 3})
    with pytest.raises(InputError, match="--role"):
        own_tables.draft(*tables, study="x")
    with pytest.raises(InputError, match="that are called"):
        own_tables.draft(*tables, study="x", contrast=["als:healthy"])


# --- as people keep their counts ------------------------------------------------------------------

_GROUPS = ["control"] * 3 + ["ALS (bulbar)", "als ", "ALS"]


def _drafted(folder: Path, counts: Path, samples: list[str]) -> tuple[dict, str, list[str]]:
    """Card, what reading gave, what was said; the sheet is a text file."""
    sheet = folder / "sheet.csv"
    pd.DataFrame({"sample": samples, "group": _GROUPS}).to_csv(sheet, index=False)
    made = own_study.write(counts, sheet, folder=folder / "private", study="x")
    return cards.load_yaml(made.card), made.read, made.said


def _named(names: list[str]) -> pd.DataFrame:
    return _counts().set_axis(names, axis=1)


_S = [f"S{n}" for n in range(1, 7)]


def test_title_rows_above_the_counts_are_skipped(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("Raw counts of 2024,,,\n\n" + _named(_S).to_csv())
    card, read, said = _drafted(tmp_path, path, _S)
    assert card["counts"]["skip_rows"] == 2
    assert read.startswith("6 samples, ")
    assert any("Raw counts of 2024" in line for line in said)


def test_a_workbook_of_counts_is_read_from_its_longest_sheet(tmp_path):
    path = tmp_path / "counts.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"ask": ["Anna"]}).to_excel(book, sheet_name="notes", index=False)
        title = pd.DataFrame({"": ["Raw counts, muscle"]})
        title.to_excel(book, sheet_name="counts", header=False, index=False)
        _named(_S).to_excel(book, sheet_name="counts", startrow=2, index_label="gene")
    card, read, _ = _drafted(tmp_path, path, _S)
    assert (card["counts"]["worksheet"], card["counts"]["skip_rows"]) == ("counts", 2)
    assert read.startswith("6 samples, ")


def test_what_featurecounts_wrote_is_read_and_its_paths_are_known(tmp_path):
    counts = _named([f"/runs/7/S{n}_L001.sorted.bam" for n in range(1, 7)])
    for name, value in (("Length", 9), ("Strand", "+"), ("End", 9), ("Start", 1), ("Chr", "chr1")):
        counts.insert(0, name, value)
    path = tmp_path / "counts.txt"
    path.write_text(
        "# Program:featureCounts v2.0.1\n" + counts.to_csv(sep="\t", index_label="Geneid")
    )
    card, read, said = _drafted(tmp_path, path, [f"S {n:02d}" for n in range(1, 7)])
    assert "skip_rows" not in card["counts"]
    assert card["counts"]["skip_columns"] == ["Chr", "Start", "End", "Strand", "Length"]
    assert read.startswith("6 samples, ")
    assert any("part of the names that differs" in line for line in said)


def test_commas_before_decimals_and_semicolons_are_known(tmp_path):
    counts = _named(_S).astype(float)
    counts.iloc[::9] += counts.iloc[::9].gt(0) * 0.25
    path = tmp_path / "counts.csv"
    counts.to_csv(path, sep=";", decimal=",", encoding="latin-1", index_label="Gène")
    card, read, _ = _drafted(tmp_path, path, _S)
    found = card["counts"]
    assert (found["separator"], found["decimal"]) == ("semicolon", "comma")
    assert found["type"] == "expected_counts"
    assert read.startswith("6 samples, ")


def test_genes_in_columns_are_refused_at_once(tmp_path):
    path = tmp_path / "counts.csv"
    small_counts(n_genes=2500).T.to_csv(path)
    with pytest.raises(InputError, match="genes seem to stand in columns"):
        _drafted(tmp_path, path, _S)


def test_groups_that_are_numbers_can_be_compared(tmp_path):
    names = list(_counts().columns)
    tables = _tables(tmp_path, _counts(), {"id": names, "status": ["0"] * 3 + ["1"] * 3})
    proposal = own_tables.draft(*tables, study="x", contrast=["1:0"], role="als_patient")
    (contrast,) = proposal.card["contrasts"]
    assert (contrast["target"], contrast["reference"]) == ("group_1", "group_0")
