"""The committed page is what the tables give, and no number stands in its template."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from support import ROOT, load_benchmark

page = load_benchmark("page")
HERE = ROOT / "benchmarks"


def test_the_page_is_what_the_tables_give() -> None:
    said = "run `python benchmarks/run.py --page`"
    assert page.build(HERE) == (HERE / "README.md").read_text(encoding="utf-8"), said


def test_sentences_of_the_template_hold_no_measured_number() -> None:
    """What is looked up, code, addresses and names (DESeq2) may; small numbers are words."""
    text = (HERE / "README.md.j2").read_text(encoding="utf-8")
    text = re.sub(
        r"\{\{.*?\}\}|\{%.*?%\}|`[^`]*`|\]\([^)]*\)|\b[A-Za-z]+\d+\b", "", text, flags=re.S
    )
    lines = [line for line in text.splitlines() if re.search(r"\d", line)]
    assert not lines


def test_every_table_and_every_piece_of_it_is_stamped() -> None:
    stamps = pd.read_csv(HERE / "stamps.tsv", sep="\t", dtype=str, keep_default_na=False)
    assert not stamps.duplicated(["part", "piece"]).any()
    assert (stamps["date"].str.fullmatch(r"\d{4}-\d\d-\d\d") & (stamps["commit"] != "")).all()
    tables = {path.stem for path in HERE.glob("*.tsv")} - {"stamps"}
    assert set(stamps["part"]) == tables
    text = (HERE / "README.md").read_text(encoding="utf-8")
    for name, lines in page.LINES.items():
        pieces = {line.piece for line in lines(page.Page(HERE).read(name))} - {""}
        assert pieces == set(stamps.loc[stamps["part"] == name, "piece"]), name
        assert all(f"`{name}:{piece}`" in text for piece in pieces), name


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0602, "0.0602"),
        (1.5, "1.50"),
        (100.57, "101"),
        (4953.5, "4,950"),
        (0, "0"),
        (float("nan"), "–"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert page.number(value) == text


def test_a_changed_table_changes_the_page_and_the_bar(tmp_path: Path) -> None:
    shutil.copytree(HERE, tmp_path / "b", ignore=shutil.ignore_patterns("*.py", "*.R"))
    table = tmp_path / "b" / "cells.tsv"
    cells = pd.read_csv(table, sep="\t")
    mine = (cells["way"] == "alsmuscle") & (cells["n_cells"] == 20000)
    for seconds, said in ((59.0, "| 59.0 | met |"), (61.0, "| 61.0 | **missed** |")):
        cells.loc[mine, "cpu_s"] = seconds
        cells.to_csv(table, sep="\t", index=False)
        built = page.build(tmp_path / "b")
        assert f"| 20,000 nuclei: CPU s | 60 {said}" in built


def test_a_number_that_is_not_there_is_no_blank(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cells: 0 rows"):
        page.Page(HERE).value("cells", "cpu_s", n_cells=1, way="alsmuscle")
    with pytest.raises(ValueError, match="cells: 3 rows"):
        page.Page(HERE).value("cells", "cpu_s", n_cells=20000)
