"""The form of a table changes no number, and what cannot be read is never left out unsaid."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import small_studies as s
from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import matrices, members, sample_sheets, tables

PACKINGS = {
    "none": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "twice": lambda content: gzip.compress(bz2.compress(content)),
    "zip": lambda content: s.zipped({"__MACOSX/._t": b"\0", "t.tsv": content}),
}
FORMS = st.fixed_dictionaries(
    {
        "mark": st.booleans(),
        "ends": st.sampled_from(["\n", "\r\n", "\r"]),
        "quotes": st.sampled_from(["none", "all", "names"]),
        "separator": st.sampled_from(["tab", "comma", "semicolon"]),
        "index": st.sampled_from(["named", "unnamed", "short"]),
        "row_numbers": st.booleans(),
        "last_empty": st.booleans(),
        "blank_lines": st.booleans(),
        "footer": st.sampled_from(["", "* see the methods", "# made by hand"]),
        "packing": st.sampled_from(sorted(PACKINGS)),
        "encoding": st.sampled_from(["utf-8", "utf-16"]),
        "workbook": st.booleans(),
    }
)
SIZES = st.tuples(st.integers(3, 12), st.integers(2, 6))


def _content(ids, names, values, form) -> bytes:
    """The same matrix in one of many forms."""
    sep = tables.SEPARATORS[form["separator"]]
    rows = [["gene", *names], *([g, *map(str, row)] for g, row in zip(ids, values, strict=True))]
    if form["quotes"] != "none":
        rows = [
            [f'"{c}"' if form["quotes"] == "all" or not c.isdigit() else c for c in row]
            for row in rows
        ]
    if form["index"] == "unnamed":
        rows[0][0] = '""' if form["quotes"] != "none" else ""
    if form["index"] == "short":
        rows[0] = rows[0][1:]
    lines = [sep.join(row) for row in rows]
    if form["last_empty"] and form["index"] != "short":
        lines = [lines[0], *(line + sep for line in lines[1:])]
    elif form["row_numbers"] and form["index"] == "named":
        lines = [lines[0], *(f"{n}{sep}{line}" for n, line in enumerate(lines[1:], 1))]
    if form["blank_lines"]:
        lines.insert(2, "")
    lines += [form["footer"]] if form["footer"] else []
    text = form["ends"].join(lines) + form["ends"]
    if form["encoding"] == "utf-16":
        raw = text.encode("utf-16")
    else:
        raw = (b"\xef\xbb\xbf" if form["mark"] else b"") + text.encode()
    return PACKINGS[form["packing"]](raw)


@settings(max_examples=60, deadline=None)
@given(form=FORMS, size=SIZES, seed=st.integers(0, 999))
def test_no_form_changes_a_number(tmp_path_factory, form, size, seed):
    chance = np.random.default_rng(seed)
    values = chance.integers(0, 10**6, size)
    ids, names = s.IDS[: size[0]], [f"s{n}" for n in range(size[1])]
    path = tmp_path_factory.mktemp("form") / "counts"
    if form["workbook"]:
        path.write_bytes(PACKINGS[form["packing"]](s.workbook(s.grid(ids, names, values))))
    else:
        path.write_bytes(_content(ids, names, values, form))
    found = matrices.read_matrix(path, {"layout": "table", "separator": form["separator"]}, {})
    assert found.values.to_numpy().tolist() == values.tolist()
    assert list(found.values.index) == ids and list(found.values.columns) == names
    if form["footer"] and not form["workbook"]:
        assert form["footer"] in " ".join(found.notes)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), packed=st.sampled_from(sorted(PACKINGS)))
def test_order_changes_no_number(tmp_path_factory, seed, packed):
    """Rows, columns and members in any order: the same count of a gene in a sample."""
    chance = random.Random(seed)
    rows, columns = list(range(12)), list(range(8))
    chance.shuffle(rows)
    chance.shuffle(columns)
    folder = tmp_path_factory.mktemp("order")
    text = s.table(
        [s.IDS[r] for r in rows], [s.NAMES[c] for c in columns], s.COUNTS[rows][:, columns]
    )
    (folder / "counts").write_bytes(PACKINGS[packed](text.encode()))
    whole = matrices.read_matrix(folder / "counts", {"layout": "table"}, {}).values

    def one(n: int) -> bytes:
        own = rows.copy()
        chance.shuffle(own)
        return "".join(f"{s.IDS[r]}\t{s.COUNTS[r, n]}\n" for r in own).encode()

    parts = {f"{s.NAMES[c]}.txt": one(c) for c in columns}
    (folder / "raw.zip").write_bytes(s.zipped(parts))
    spec = {"layout": "tar_tables", "member": r"(?P<sample_id>GSM\d+)", "header": False}
    joined = matrices.read_matrix(folder / "raw.zip", {**spec, "count_column": 1}, {}).values
    for found in (whole, joined):
        for r in range(12):
            assert found.loc[s.IDS[r], s.NAMES].tolist() == s.COUNTS[r].tolist()


NOT_NUMBERS = [
    "",
    "NA",
    "-",
    "1,234",
    "1.234,5",
    "1 234",
    "12e",
    "x",
    "#N/A",
    "1_000",
    "0x1A",
    "TRUE",
]


@settings(max_examples=40, deadline=None)
@given(
    text=st.sampled_from(NOT_NUMBERS),
    row=st.integers(0, 11),
    column=st.integers(0, 7),
    workbook=st.booleans(),
)
def test_a_cell_that_is_no_number_is_never_left_out(tmp_path_factory, text, row, column, workbook):
    values = s.COUNTS[:12].astype(object)
    values[row, column] = text
    path = tmp_path_factory.mktemp("cell") / "counts"
    if workbook:
        rows = [
            ["gene", *s.NAMES],
            *([g, *v] for g, v in zip(s.IDS, values.tolist(), strict=False)),
        ]
        path.write_bytes(s.workbook(rows))
    else:
        path.write_text(s.table(s.IDS[:12], values=values))
    with pytest.raises(InputError, match="is not a number") as caught:
        matrices.read_matrix(path, {"layout": "table"}, {})
    assert s.IDS[row] in str(caught.value) and s.NAMES[column] in str(caught.value)


@settings(max_examples=40, deadline=None)
@given(form=FORMS)
def test_no_form_changes_a_sheet(tmp_path_factory, form):
    values = [["a b", "51"], ["c, d", "52"], ["e; f", "53"], ['5" g', "54"]]
    form = {**form, "quotes": "none", "row_numbers": False}
    sep = tables.SEPARATORS[form["separator"]]
    kept = [row for row in values if sep not in row[0] and ('"' not in row[0])]
    rows = [["sample", "group", "age"], *([f"s{n}", *row] for n, row in enumerate(kept))]
    lines = [sep.join(row) for row in rows]
    if form["last_empty"]:
        lines = [lines[0], *(line + sep for line in lines[1:])]
    elif form["index"] == "short":
        lines = [lines[0], *(f"{n}{sep}{line}" for n, line in enumerate(lines[1:], 1))]
    path = tmp_path_factory.mktemp("sheet") / "sheet"
    path.write_bytes(PACKINGS[form["packing"]]((form["ends"].join(lines) + form["ends"]).encode()))
    sheet = sample_sheets.read_sheet(path, {"layout": "tsv", "separator": form["separator"]})
    assert sheet[["group", "age"]].to_numpy().tolist() == kept


def test_members_of_archives_in_archives_are_named_with_both(tmp_path):
    inner = s.zipped({"x/a.txt": b"1", "__MACOSX/x/._a.txt": b"2"})
    (tmp_path / "raw.zip").write_bytes(
        s.zipped({"one.zip": inner, "b.txt": b"3", ".DS_Store": b""})
    )
    assert members.names(tmp_path / "raw.zip") == ["one.zip/x/a.txt", "b.txt"]
    found = dict(members.each(tmp_path / "raw.zip", {"one.zip/x/a.txt"}))
    assert found == {"one.zip/x/a.txt": b"1"}
