from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from alsmuscle.bulk.tables import PCA
from alsmuscle.cells.tables import TYPES
from alsmuscle.core import contracts, files
from alsmuscle.core.errors import InputError
from alsmuscle.core.redaction import printable
from alsmuscle.data.tables import SAMPLES
from alsmuscle.genesets.tables import EFFECTS
from alsmuscle.synthesis.tables import POOLED_GENES


def _file(tmp_path, text, name="m.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_text_for_a_number_breaks_the_contract(tmp_path):
    frame = pd.DataFrame({"sample_id": ["a"], "pc1": ["far"], "pc2": [1.0]})
    with pytest.raises(InputError, match="column 'pc1' breaks the contract 'pca'"):
        files.write_table(tmp_path / "p.tsv", frame, PCA)

    path = _file(tmp_path, "sample_id\tpc1\tpc2\na\tfar\t1\n", "p.tsv")
    with pytest.raises(InputError, match="breaks the contract 'pca'.*far"):
        files.read_table(path, PCA)


@pytest.mark.parametrize(
    ("column", "values", "fine"),
    [
        ("k", [3, 2], True),
        ("k", [3.0, 2.0], True),
        ("k", [1.5, 2], False),
        ("k", [-1, 2], False),
        ("k", [np.nan, 2], False),
        ("effect", [np.nan, -np.inf], True),
        ("effect", ["1.5", 2], True),
        ("effect", ["", 2], False),
        ("key", [1, 2], True),
        ("key", [None, "a"], False),
    ],
)
def test_kinds_of_columns(column, values, fine):
    table = POOLED_GENES
    plain = {"text": ["a", "b"], "number": [0.5, 1.0], "share": [0.5, 1.0], "count": [1, 2]}
    frame = pd.DataFrame({name: plain[kind] for name, kind in table.columns.items()})
    frame[column] = pd.Series(values)
    if not fine:
        with pytest.raises(InputError, match=f"'{column}'"):
            contracts.check_table(frame, POOLED_GENES, "x")
        return
    checked = contracts.check_table(frame, POOLED_GENES, "x")
    dtype = {"text": object, "count": np.int64}.get(table.columns[column], np.float64)
    assert checked[column].dtype == dtype


@pytest.mark.parametrize(
    ("column", "value", "fine"),
    [("share", 1.0, True), ("share", np.nan, True), ("share", 1.2, False), ("used", "no", False)],
)
def test_shares_and_flags(column, value, fine):
    plain = {"text": "a", "count": 1, "share": 0.5, "flag": True}
    columns = TYPES.columns
    frame = pd.DataFrame([{**{c: plain[k] for c, k in columns.items()}, column: value}])
    if fine:
        contracts.check_table(frame, TYPES, "x")
        return
    with pytest.raises(InputError, match=f"'{column}' breaks the contract"):
        contracts.check_table(frame, TYPES, "x")


def test_flags_are_true_or_false(tmp_path):
    columns = EFFECTS.columns
    plain = {"text": "a", "number": 0.5, "share": 0.5, "count": 1, "flag": True}
    frame = pd.DataFrame([{name: plain[kind] for name, kind in columns.items()}])
    files.write_table(tmp_path / "e.tsv", frame, EFFECTS)
    assert files.read_table(tmp_path / "e.tsv", EFFECTS)["stripped"].tolist() == [True]
    path = _file(tmp_path, (tmp_path / "e.tsv").read_text().replace("True", "yes"), "f.tsv")
    with pytest.raises(InputError, match="column 'stripped'"):
        files.read_table(path, EFFECTS)


def test_nothing_half_written_is_left(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("whole")
    with pytest.raises(RuntimeError), files.atomic(path) as part:
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
    files.write_table(tmp_path / "s.tsv", frame, SAMPLES)
    again = files.read_table(tmp_path / "s.tsv", SAMPLES)
    assert again["sample_id"].tolist() == ["NA", "s2"]  # a name, not a missing value
    assert again["batch"].tolist() == ["007", "8"]
    assert np.isnan(again["age"][1])
    assert again["note"].tolist() == ["kept", ""]
    with pytest.raises(InputError, match="'sex' is missing"):
        files.write_table(tmp_path / "t.tsv", frame.drop(columns="sex"), SAMPLES)
    with pytest.raises(InputError, match="is duplicated"):
        files.write_table(tmp_path / "t.tsv", pd.concat([frame, frame]), SAMPLES)
    assert not (tmp_path / "t.tsv").exists()


@pytest.mark.parametrize("linkable", [True, False])
def test_a_file_stands_in_two_places(tmp_path, monkeypatch, linkable):
    if not linkable:
        monkeypatch.setattr("os.link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    source = _file(tmp_path, "x\n", "a.tsv")
    files.link(source, tmp_path / "there" / "a.tsv")
    files.link(source, tmp_path / "there" / "a.tsv")
    assert (tmp_path / "there" / "a.tsv").read_text() == "x\n"
    assert source.samefile(tmp_path / "there" / "a.tsv") == linkable
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["a.tsv"]


def test_numbers_are_the_text_that_six_digits_give(tmp_path):
    values = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        1 / 3,
        1e-300,
        1.2345678e-7,
        123456789.0,
        np.inf,
        -np.inf,
        np.nan,
    ]
    frame = pd.DataFrame({"contrast": "a", "effect": values})
    path, plain = tmp_path / "a.tsv", tmp_path / "b.tsv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files.contracts, "check_table", lambda frame, *_: frame)
        files.write_table(path, frame, "any")
    frame.to_csv(plain, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    assert path.read_text() == plain.read_text()
    assert frame["effect"].dtype == float  # the caller's own stays as it was


@pytest.mark.parametrize(
    "values",
    [
        ["a", ""],
        ['say "so"', "b"],
        ["a\tb", "c"],
        ["two\nlines", "c"],
        ["carriage\rreturn", "c"],
        ["\x1b[31mred", "µ"],
        [None, "b"],
        [True, np.nan],
        [1, 2],
        [0.1, None],
        pd.array([1, None], "Int64"),
        pd.Categorical(["x", None]),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_cells_are_written_as_pandas_writes_them(tmp_path, values, alone):
    frame = pd.DataFrame({"made": values} if alone else {"made": values, 'the "other"': "x"})
    path, plain = tmp_path / "a.tsv", tmp_path / "b.tsv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files.contracts, "check_table", lambda frame, *_: frame)
        files.write_table(path, frame, "any")
    seen = frame.map(lambda v: printable(v) if isinstance(v, str) else v)
    if frame["made"].dtype.kind == "f":
        seen = frame
    seen.to_csv(plain, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    assert path.read_bytes() == plain.read_bytes()


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("sample_id\tpc1\tpc2\na\t0.1\t\nNA\t-inf\t2.2250738585072014e-308\n", True),
        ("sample_id\tpc1\tpc2\nµ\t1e-5\t 2 \n\nb\t3\t17976931348623157e292\n", True),
        ("sample_id\tpc1\tpc2\tnote\na\t1\t2\t\nb\t1\t2\t01\n", True),
        ("sample_id\tpc1\tpc2\n", True),
        ('sample_id\tpc1\tpc2\n"a ""b"""\t1\t2\n', False),
        ("sample_id\tpc1\tpc2\r\na\t1\t2\r\n", False),
        ("sample_id\tpc1\tpc2\na\t+1\t2\nb\t1\n", False),
    ],
)
def test_both_readers_of_tables_agree(tmp_path, text, plain):
    numbers = ["pc1", "pc2"]
    quick = files._plain_table(text.encode(), numbers)
    sure = files._any_table(text.encode(), "p.tsv", PCA, numbers)
    assert (quick is not None) == plain
    if quick is not None:
        pd.testing.assert_frame_equal(quick, sure, check_exact=True)
    again = files.read_table(_file(tmp_path, text, "p.tsv"), PCA)
    pd.testing.assert_frame_equal(again, sure, check_exact=True)


@pytest.mark.parametrize("text", ["", "\n", "sample_id\tpc1\na\t1\n", "sample_id\na\tb\tc\td\n"])
def test_what_is_no_table_of_the_contract_is_refused(tmp_path, text):
    with pytest.raises(InputError):
        files.read_table(_file(tmp_path, text, "p.tsv"), PCA)


def test_a_checked_table_shares_nothing_with_the_one_given():
    frame = pd.DataFrame({"pc2": [1.0, 2.0], "sample_id": ["a", "b"], "n": 1, "pc1": [3.0, 4.0]})
    checked = contracts.check_table(frame.iloc[::-1], PCA, "x")
    assert list(checked) == ["sample_id", "pc1", "pc2", "n"]
    assert list(checked.index) == [0, 1]
    checked.loc[:, ["pc1", "pc2", "n"]] = 0
    checked["sample_id"] = checked["sample_id"].str.upper()
    assert frame["pc1"].tolist() == [3.0, 4.0]
    assert frame["sample_id"].tolist() == ["a", "b"]


def test_named_parts_in_one_file(tmp_path):
    parts = {f"condition|donor/{i}": anndata.AnnData(np.full((2, 2), float(i))) for i in range(2)}
    files.write_h5ads(tmp_path / "fits.h5", parts)
    assert files.read_h5ads(tmp_path / "fits.h5", "condition|donor/1").X[0, 0] == 1
    with pytest.raises(InputError, match="no part 'other'"):
        files.read_h5ads(tmp_path / "fits.h5", "other")


def test_a_cached_file_that_changed_is_noticed(tmp_path):
    path = _file(tmp_path, "abc", "x.csv")
    row = {"study": "s", "name": "counts", "url": "u", "path": str(path), "bytes": 3}
    manifest = pd.DataFrame([row | {"sha256": files.sha256(path)}])
    assert files.cached(manifest, "counts") == path
    path.write_text("abcd")
    with pytest.raises(InputError, match="gone or changed"):
        files.cached(manifest, "counts")
    path.write_text("abd")  # of the same size
    with pytest.raises(InputError, match="gone or changed"):
        files.cached(manifest, "counts")


def test_equal_data_give_equal_bytes_and_keep_single_values(tmp_path):
    X = np.random.default_rng(0).poisson(3, (40, 300)).astype(np.float32)
    data = anndata.AnnData(X, uns={"embedding": {"neighbours": "exact", "n": 15}})
    written = set()
    for number in range(20):
        # What lies in freed memory differs each time.
        np.random.default_rng(number).bytes(1_000_000 + 1000 * number)
        files.write_h5ad(tmp_path / "x.h5ad", data)
        written.add((tmp_path / "x.h5ad").read_bytes())
    assert len(written) == 1
    again = files.read_h5ad(tmp_path / "x.h5ad")
    assert (again.X == X).all()
    assert again.uns["embedding"] == {"neighbours": "exact", "n": 15}


@pytest.mark.parametrize("head", ["", "a\tb\n1\t"])
@pytest.mark.parametrize("quote", ["", '"', "  ", '" '])
@pytest.mark.parametrize(
    "cell",
    [
        *("=1+1", "@x", "+x", "-x", "-", "+", "--1", "-1.5.2", "-1e", "+1=", "-inf"),
        *("-1.5", "+2e-10", "-.5", "1e-05", "HLA-A", "a=b", "x@y", "-3.", "", "0"),
    ],
)
@pytest.mark.parametrize("tail", ["", "\t2\n", "\r\n"])
def test_the_quick_look_for_formulas_finds_what_the_pattern_does(head, quote, cell, tail):
    table = f"{head}{quote}{cell}{tail}".encode()
    assert files._has_formula(table) == bool(files._FORMULA.search(table))
