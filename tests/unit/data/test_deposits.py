"""Files as people deposit them: sound ones are read, the others are refused with the reason."""

from __future__ import annotations

import bz2
import gzip
import lzma

import numpy as np
import pandas as pd
import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.data import intensities, samples
from alsmuscle.data.readers import arrays, matrices, sample_sheets
from alsmuscle.download import decode

TABLE = "gene\tGSM1\tGSM2\nENSG00000122180\t1\t2\nENSG00000129152\t3\t4\n"
SPEC = {"layout": "table"}


def _read(folder, content, spec=SPEC):
    path = folder / "counts.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return matrices.read_matrix(path, spec, {})[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\t", '"\t"').replace("\n", '"\n"').join(['"', ""])[:-1],
        lambda text: "\n".join(
            f"{line}\t" if n else line for n, line in enumerate(text.split("\n")[:-1])
        ),
        lambda text: text.replace("gene\t", "", 1),
        lambda text: gzip.compress(gzip.compress(text.encode())),
        lambda text: bz2.compress(text.encode()),
        lambda text: lzma.compress(text.encode()),
    ],
    ids=["mark", "crlf", "cr", "quotes", "last field empty", "row names", "gz twice", "bz2", "xz"],
)
def test_form_changes_no_number(tmp_path, change):
    found = _read(tmp_path, change(TABLE))
    assert found.to_numpy().tolist() == [[1, 2], [3, 4]]
    assert found.index.tolist() == ["ENSG00000122180", "ENSG00000129152"]
    assert list(found.columns) == ["GSM1", "GSM2"]


def test_a_field_without_a_name_is_refused(tmp_path):
    with pytest.raises(InputError, match="rows have 4 fields, the header 3"):
        _read(tmp_path, TABLE.replace("\t2\n", "\t2\t9\n").replace("\t4\n", "\t4\t9\n"))


def test_lines_end_at_line_feeds_only():
    text = "a\x0bb\x85c\u2028d\ne\n"
    assert decode.lines_of(text) == ["a\x0bb\x85c\u2028d", "e"]


def test_windows_characters(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"prot\x85ein\n")
    assert decode.read_text(path) == "prot\u2026ein\n"


def _sheet(*lines):
    ids = '!Sample_geo_accession\t"GSM1"\t"GSM2"'
    return sample_sheets.parse_series_matrix("\n".join([ids, *lines]) + "\n", "a file")


def test_channels_and_repeated_characteristics_stay_apart():
    sheet = _sheet(
        '!Sample_characteristics_ch1\t"disease: none"\t"disease: ALS"',
        '!Sample_characteristics_ch1\t"disease: ALS"\t"disease: none"',
        '!Sample_characteristics_ch2\t"disease: pool"\t"disease: pool"',
        '!Sample_characteristics_ch1\t"biopsy"\t"autopsy"',
    )
    assert sheet["disease:ch1"].tolist() == ["none", "ALS"]
    assert sheet["disease:ch1.1"].tolist() == ["ALS", "none"]
    assert sheet["disease:ch2"].tolist() == ["pool", "pool"]
    assert sheet["characteristics_ch1"].tolist() == ["biopsy", "autopsy"]


def test_a_quoted_field_may_hold_line_breaks():
    sheet = _sheet('!Sample_description\t"one\ntwo"\t"b"', '!Sample_title\t"x"\t"y"')
    assert sheet["description"].tolist() == ["one\ntwo", "b"]
    assert sheet["title"].tolist() == ["x", "y"]


def test_row_names_of_r_shift_no_column(tmp_path):
    path = tmp_path / "sheet.tsv"
    path.write_text("sample\trin\tage\nH0\tH0\t7.1\t51\nA1\tA1\t8.8\t71\n")
    sheet = sample_sheets.read_sheet(path, {"layout": "tsv"})
    assert sheet["age"].tolist() == ["51", "71"] and sheet["sample"].tolist() == ["H0", "A1"]


def _runs():
    return {
        "id": "gse1",
        "samples": {
            "run_id": "run",
            "sample_id": "sample",
            "columns": {"condition": {"from": "disease"}},
        },
    }


def test_a_run_counts_once_however_many_rows_name_it():
    sheet = pd.DataFrame({"sample": list("aab"), "run": ["r1", "r1", "r2"], "disease": list("xxy")})
    matrix = pd.DataFrame({"r1": [5, 6], "r2": [7, 8]})
    first, added = samples.merge_runs(sheet, matrix, _runs())
    assert len(first) == 2 and added["a"].tolist() == [5, 6]


def test_a_run_of_two_samples_is_refused():
    sheet = pd.DataFrame({"sample": list("ab"), "run": ["r1", "r1"], "disease": list("xx")})
    with pytest.raises(InputError, match="run 'r1' belongs to several samples"):
        samples.merge_runs(sheet, pd.DataFrame({"r1": [5]}), _runs())


@pytest.mark.parametrize("value", ["7,1", "1,234.5", "inf"])
def test_numbers_written_otherwise_do_not_become_missing(value):
    with pytest.raises(InputError, match="no number as it is read here"):
        samples._numbers(pd.Series(["51", value]), "gse1.yaml")


def test_words_become_missing():
    assert samples._numbers(pd.Series(["51", "unknown", ""]), "x").isna().tolist() == [0, 1, 1]


def test_rows_of_one_probe_are_joined_before_they_are_judged():
    frame = pd.DataFrame({"ID": ["p", "p", "q", "q"], "s": ["SOD1", "FUS", "", "MYOG"]}, dtype=str)
    found = arrays.annotation(frame, {"id_column": "ID", "symbol_column": "s"}, "a file")
    assert found["symbol"].to_dict() == {"p": "SOD1 /// FUS", "q": "MYOG"}


def test_gene_assignments_of_affymetrix_are_read():
    cell = "NM_1 // SOD1 // superoxide // 21q22 // 6647 /// ENST1 // SOD1 // x // 21q22 // 6647"
    assert arrays._assigned(cell) == "SOD1"


def test_spots_listed_again_are_averaged_and_text_is_refused():
    table = pd.DataFrame({"ID_REF": ["p", "q", "p"], "VALUE": ["1", "null", "3"]})
    found, again = arrays._soft_numbers(table, "GSM1")
    assert again == 1
    assert found["p"] == 2 and np.isnan(found["q"])
    with pytest.raises(InputError, match="'1,234.5' at probe 'q', column 'VALUE' is not a number"):
        arrays._soft_numbers(table.assign(VALUE=["1", "1,234.5", "3"]), "GSM1")


def test_array_scales_are_judged_per_array():
    log2 = pd.DataFrame({"a": [4.0, 8, 14], "b": [4.0, 8, 13]})
    assert intensities.to_log2(log2, "auto", "x")[0].equals(log2)
    with pytest.raises(InputError, match="different scales.*such as b.*such as a"):
        intensities.to_log2(log2.assign(b=2 ** log2["b"]), "auto", "x")
    with pytest.raises(InputError, match="log10 values"):
        intensities.to_log2(log2 * np.log10(2), "auto", "x")
    with pytest.raises(InputError, match="infinite values in 1 array"):
        intensities.to_log2(log2.assign(b=[4, 8, np.inf]), "auto", "x")
