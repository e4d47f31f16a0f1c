from __future__ import annotations

import gzip
import hashlib
import io as stdio
import tarfile

import anndata
import numpy as np
import pandas as pd
import pytest

from alsmuscle import io
from alsmuscle.errors import InputError

TABLE = {"layout": "table", "separator": "comma", "gene_column": 0}
TAR = {
    "layout": "tar_tables",
    "member": r"^(?P<sample_id>S\d+)\.txt",
    "header": False,
    "gene_column": 0,
    "symbol_column": 1,
    "count_column": 2,
    "summary_prefix": "__",
}


def _file(tmp_path, text, name="m.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _tar(tmp_path, members):
    path = tmp_path / "RAW.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            content = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, stdio.BytesIO(content))
    return path


def test_a_table_with_byte_order_mark_and_annotation_columns(tmp_path):
    path = _file(tmp_path, "\ufeffgene,symbol,s1,s2\nG1,A,1,2\nG2,B,3,4\n")
    matrix, symbols = io.read_matrix(
        path, {**TABLE, "symbol_column": 1, "skip_columns": ["symbol"]}, {}
    )
    assert matrix.to_dict() == {"s1": {"G1": 1, "G2": 3}, "s2": {"G1": 2, "G2": 4}}
    assert symbols == ["A", "B"]


def test_a_tar_of_tables(tmp_path):
    one = gzip.compress(b"G1\tA\t1\nG2\tB\t3\n__no_feature\t\t9\n")
    path = _tar(tmp_path, {"S1.txt.gz": one, "S2.txt": "G1\tA\t2\nG2\tB\t4\n", "notes.doc": "x"})
    pins = {
        "S1.txt.gz": hashlib.sha256(one).hexdigest(),
        "S2.txt": hashlib.sha256(b"G1\tA\t2\nG2\tB\t4\n").hexdigest(),
    }
    matrix, symbols = io.read_matrix(path, TAR, pins)
    assert matrix.to_dict() == {"S1": {"G1": 1, "G2": 3}, "S2": {"G1": 2, "G2": 4}}
    assert symbols == ["A", "B"]


@pytest.mark.parametrize(
    ("members", "pins", "expected"),
    [
        ({"S1.txt": "G1\tA\t1\n"}, {"S1.txt": "0" * 64}, ["S1.txt", "hash is"]),
        ({"S1.txt": "G1\tA\t1\n"}, {"S9.txt": "0" * 64}, ["S1.txt", "pins no hash"]),
        ({"S1.txt": "G1\tA\t1\n", "S2.txt": "G2\tA\t1\n"}, {}, ["S2", "other genes than 'S1'"]),
        ({"S1.txt": "G1\tA\t1\n", "S1.txt.gz": "G1\tA\t1\n"}, {}, ["two members", "S1"]),
        ({"S1.txt.gz": b"\x1f\x8b\x08\x00"}, {}, ["S1.txt.gz", "damaged gzip"]),
        ({"other": "x"}, {}, ["no member matches"]),
        ({"S1.txt": "G1\tA\tmany\n"}, {}, ["'many'", "G1"]),
        ({"S1.txt": ""}, {}, ["S1.txt", "empty"]),
    ],
)
def test_a_bad_tar(tmp_path, members, pins, expected):
    with pytest.raises(InputError) as caught:
        io.read_matrix(_tar(tmp_path, members), TAR, pins)
    for words in expected:
        assert words in str(caught.value)


def test_a_pinned_member_that_is_missing(tmp_path):
    content = "G1\tA\t1\n"
    pins = {"S1.txt": hashlib.sha256(content.encode()).hexdigest(), "S2.txt": "0" * 64}
    with pytest.raises(InputError, match="1 pinned member.*S2.txt"):
        io.read_matrix(_tar(tmp_path, {"S1.txt": content}), TAR, pins)


@pytest.mark.parametrize(
    ("text", "spec", "expected"),
    [
        ("gene\ts1\nG1\t1\n", TABLE, ["only one column", "comma", "counts.separator"]),
        ("gene,s1\nG1,x\n", TABLE, ["'x'", "G1", "s1"]),
        ("gene,s1\nG1,\n", TABLE, ["not a number", "G1"]),
        ("", TABLE, ["empty"]),
        ("gene,s1\nG1,1,2,3\n", TABLE, ["regular table"]),
        ("gene,s1\nG1,1\n", {**TABLE, "skip_columns": ["name"]}, ["'name'", "s1"]),
        ("G1,1\n", {**TABLE, "header": False}, ["header row"]),
        (b"\xff\xfe\x00g", TABLE, ["m.csv"]),
        (b"not a tar", TAR, ["tar"]),
    ],
)
def test_a_bad_table(tmp_path, text, spec, expected):
    with pytest.raises(InputError) as caught:
        io.read_matrix(_file(tmp_path, text), spec, {})
    for words in [*expected, "m.csv"]:
        assert words in str(caught.value)


def test_row_names_without_a_header_as_r_writes_them(tmp_path):
    matrix, _ = io.read_matrix(_file(tmp_path, "s1,s2\nG1,1,2\n"), TABLE, {})
    assert matrix.to_dict() == {"s1": {"G1": 1}, "s2": {"G1": 2}}


def test_text_for_a_number_breaks_the_contract(tmp_path):
    frame = pd.DataFrame({"sample_id": ["a"], "pc1": ["far"], "pc2": [1.0]})
    with pytest.raises(InputError, match="column 'pc1' breaks the contract 'pca'"):
        io.write_table(tmp_path / "p.tsv", frame, "pca")


SERIES_MATRIX = """!Series_title\t"x"
!Sample_title\t"a, b"\t"c"
!Sample_geo_accession\t"GSM1"\t"GSM2"
!Sample_characteristics_ch1\t"tissue: muscle"\t"genotype: C9"
!Sample_characteristics_ch1\t"genotype: WT"\t"tissue: nerve"
!Sample_relation\t"SRA"\t"SRB"
!Sample_relation\t"B1"\t"B2"
!series_matrix_table_begin
"""


def test_a_series_matrix_goes_by_names_not_by_order():
    sheet = io.parse_series_matrix(SERIES_MATRIX, "x")
    assert sheet["geo_accession"].tolist() == ["GSM1", "GSM2"]
    assert sheet["tissue:ch1"].tolist() == ["muscle", "nerve"]
    assert sheet["genotype:ch1"].tolist() == ["WT", "C9"]
    assert sheet["title"].tolist() == ["a, b", "c"]
    assert sheet["relation.1"].tolist() == ["B1", "B2"]
    with pytest.raises(InputError, match="series matrix"):
        io.parse_series_matrix("!Sample_title\tx", "here")


def test_a_sheet_with_selected_rows(tmp_path):
    path = _file(tmp_path, "id,study\n a ,X\nb,Y\n")
    sheet = io.read_sheet(path, {"layout": "csv", "rows": {"study": "X"}})
    assert sheet.to_dict("records") == [{"id": "a", "study": "X"}]
    with pytest.raises(InputError, match="no column 'series'"):
        io.read_sheet(path, {"layout": "csv", "rows": {"series": "X"}})
    with pytest.raises(InputError, match="no sample row is left"):
        io.read_sheet(path, {"layout": "csv", "rows": {"study": "Z"}})


def test_nothing_half_written_is_left(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("whole")
    with pytest.raises(RuntimeError), io.atomic(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_tables_round_trip_and_hold_their_contract(tmp_path):
    frame = pd.DataFrame(
        {
            "dataset": ["a", "a"],
            "sample_id": ["NA", "s2"],
            "subject_id": ["1", "2"],
            "condition": ["x", ""],
            "stage": "",
            "sex": "",
            "age": [30.5, np.nan],
            "age_unit": "years",
            "muscle": "",
            "material": "",
            "batch": ["007", "8"],
            "note": ["kept", ""],
        }
    )
    io.write_table(tmp_path / "s.tsv", frame, "samples")
    again = io.read_table(tmp_path / "s.tsv", "samples")
    assert again["sample_id"].tolist() == ["NA", "s2"]  # a name, not a missing value
    assert again["batch"].tolist() == ["007", "8"]
    assert np.isnan(again["age"][1])
    assert again["note"].tolist() == ["kept", ""]
    with pytest.raises(InputError, match="'sex' is missing"):
        io.write_table(tmp_path / "t.tsv", frame.drop(columns="sex"), "samples")
    with pytest.raises(InputError, match="stands twice"):
        io.write_table(tmp_path / "t.tsv", pd.concat([frame, frame]), "samples")
    assert not (tmp_path / "t.tsv").exists()


def test_named_parts_in_one_file(tmp_path):
    parts = {f"condition|donor/{i}": anndata.AnnData(np.full((2, 2), float(i))) for i in range(2)}
    io.write_h5ads(tmp_path / "fits.h5", parts)
    assert io.read_h5ads(tmp_path / "fits.h5", "condition|donor/1").X[0, 0] == 1
    with pytest.raises(InputError, match="no part 'other'"):
        io.read_h5ads(tmp_path / "fits.h5", "other")


def test_a_cached_file_that_changed_is_noticed(tmp_path):
    path = _file(tmp_path, "abc", "x.csv")
    row = {"study": "s", "name": "counts", "url": "u", "path": str(path), "bytes": 3}
    manifest = pd.DataFrame([row])
    assert io.cached(manifest, "counts") == path
    path.write_text("abcd")
    with pytest.raises(InputError, match="gone or changed"):
        io.cached(manifest, "counts")
