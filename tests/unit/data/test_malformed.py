"""Malformed input, one fault at a time, through every step up to the design: one clear error each.

A row changes the text of a sound matrix, of its sheet, or the card. What is raised must be an
InputError whose first line names the file, key or column, in the words listed.
"""

from __future__ import annotations

import gzip

import pytest

from alsmuscle.core import files
from alsmuscle.core.errors import InputError
from alsmuscle.data import cards, counts, genes, samples
from alsmuscle.data.readers import matrices, sample_sheets
from alsmuscle.design import checks

GENES = ["ENSG00000142168", "ENSG00000129170", "ENSG00000122180", "ENSG00000109061"]
GENES += ["ENSG00000125414", "ENSG00000143632", "ENSG00000155657", "ENSG00000183091"]
SAMPLES = [f"GSM{i}" for i in range(1, 9)]
MATRIX = "\n".join(
    ["gene\t" + "\t".join(SAMPLES)]
    + [
        f"{gene}\t" + "\t".join(str(100 + 7 * i + 3 * j) for j in range(8))
        for i, gene in enumerate(GENES)
    ]
)
SHEET = "\n".join(
    ["sample,disease,sex,age,batch"]
    + [
        f"{s},{'ALS' if i % 2 else 'healthy'},{'FM'[i // 4]},{50 + i},{1 + i // 2 % 2}"
        for i, s in enumerate(SAMPLES)
    ]
)
CONTRAST = {
    "id": "c",
    "label": "ALS against healthy",
    "variable": "condition",
    "target": "als",
    "reference": "healthy",
}


def _card():
    return {
        "id": "gse1",
        "role": "als_patient",
        "counts": {"file": "counts", "layout": "table", "type": "counts"},
        "samples": {
            "sheet": {"file": "sheet", "layout": "csv"},
            "sample_id": "sample",
            "expected": 8,
            "columns": {
                "condition": {"from": "disease", "map": {"ALS": "als", "healthy": "healthy"}},
                "sex": {"from": "sex", "map": {"F": "female", "M": "male"}},
                "age": {"from": "age", "numeric": True},
                "batch": {"from": "batch"},
            },
        },
        "contrasts": [dict(CONTRAST)],
    }


def _run(folder, matrix=MATRIX, sheet=SHEET, change=None):
    """All steps from the files to a checked design, as the workflow takes them."""
    card = _card()
    if change:
        change(card)
    folder = folder / "gse1"
    folder.mkdir()
    for name, content in (("matrix.tsv", matrix), ("sheet.csv", sheet)):
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    path = folder / "matrix.tsv"
    table, symbols, _ = matrices.read_matrix(path, card["counts"], {})
    kept, excluded = samples.harmonise(
        sample_sheets.read_sheet(folder / "sheet.csv", card["samples"]["sheet"]), card
    )
    columns, _ = samples.match_matrix(list(table.columns), kept, excluded, card)
    raw, _ = counts.as_counts(
        table[list(columns)].rename(columns=columns), card["counts"]["type"], str(path)
    )
    genes.identify(raw.index, files.read_gene_table("human"), symbols=symbols, where=str(path))
    contrast = cards.contrast(card, "c")
    checks.check_contrast(kept.set_index("sample_id"), contrast, "gse1.yaml: contrasts.c")
    return raw


def cell(old, new):
    return MATRIX.replace(old, new, 1)


def on_card(*keys, value=None):
    def change(card):
        for key in keys[:-1]:
            card = card[key]
        card[keys[-1]] = value

    return change


def contrast(**values):
    return lambda card: card["contrasts"][0].update(values)


ROWS = MATRIX.splitlines()
PERSONS = SHEET.splitlines()
FIRST = ROWS[1].split("\t")[1]
TRANSPOSED = "\n".join("\t".join(row) for row in zip(*(r.split("\t") for r in ROWS), strict=True))

# Name of the case: what is given, and words of the one message.
CASES = {
    # the file
    "empty matrix": ({"matrix": ""}, ["matrix.tsv", "the file is empty"]),
    "blank matrix": ({"matrix": " \n\n "}, ["matrix.tsv", "the file is empty"]),
    "header without genes": ({"matrix": ROWS[0]}, ["matrix.tsv", "no row below the header"]),
    "wrong delimiter": (
        {"matrix": MATRIX.replace("\t", ",")},
        ["only one column", "separated by tab", "counts.separator"],
    ),
    "delimiter of the card": (
        {"change": on_card("counts", "separator", value="semicolon")},
        ["only one column", "separated by semicolon"],
    ),
    "a web page": ({"matrix": "<html><body>Not found</body></html>"}, ["matrix.tsv", "web page"]),
    "a workbook": (
        {"matrix": b"PK\x03\x04" + bytes(range(256)) * 4},
        ["matrix.tsv", "damaged archive"],
    ),
    "damaged gzip": ({"matrix": gzip.compress(MATRIX.encode())[:-12]}, ["damaged gzip"]),
    "a row too long": (
        {"matrix": "\n".join([*ROWS[:3], ROWS[3] + "\t5\t6", *ROWS[4:]])},
        ["not a regular table", "row 4 has 11 fields"],
    ),
    "a row too short": (
        {"matrix": "\n".join([*ROWS[:3], "\t".join(ROWS[3].split("\t")[:5]), *ROWS[4:]])},
        ["row 4 has 5 fields, the others 9", GENES[2]],
    ),
    # the header
    "a sample twice": ({"matrix": cell("GSM2", "GSM1")}, ["column 'GSM1'", "duplicated"]),
    "no header": ({"matrix": "\n".join(ROWS[1:])}, ["not in the matrix", "GSM1"]),
    "transposed": ({"matrix": TRANSPOSED}, ["transposed", "GSM1"]),
    "a column that is to be skipped is not there": (
        {"change": on_card("counts", "skip_columns", value=["Chr"])},
        ["no column 'Chr' to skip"],
    ),
    # the ids
    "gene ids of mixed type": (
        {"matrix": MATRIX.replace(GENES[0], "SOD1").replace(GENES[1], "6647")},
        ["matrix.tsv", "mixed type"],
    ),
    "no gene ids": (
        {"matrix": "\n".join([ROWS[0], *("\t" + r.split("\t", 1)[1] for r in ROWS[1:])])},
        ["no gene ids"],
    ),
    # the cells
    "a negative count": (
        {"matrix": cell(f"\t{FIRST}\t", "\t-3\t")},
        ["not raw counts", "negative"],
    ),
    "an empty cell": ({"matrix": cell(f"\t{FIRST}\t", "\t\t")}, ["''", GENES[0], "not a number"]),
    "NA": ({"matrix": cell(f"\t{FIRST}\t", "\tNA\t")}, ["'NA'", GENES[0], "GSM1"]),
    "NaN": ({"matrix": cell(f"\t{FIRST}\t", "\tNaN\t")}, ["'NaN'", GENES[0], "GSM1"]),
    "infinity": ({"matrix": cell(f"\t{FIRST}\t", "\tinf\t")}, ["infinite", GENES[0], "GSM1"]),
    "text": ({"matrix": cell(f"\t{FIRST}\t", "\tmany\t")}, ["'many'", "not a number"]),
    "a date of a spreadsheet": (
        {"matrix": cell(f"\t{FIRST}\t", "\t1-Mar\t")},
        ["'1-Mar'", "not a number"],
    ),
    "a decimal comma": ({"matrix": cell(f"\t{FIRST}\t", "\t12,5\t")}, ["'12,5'", "not a number"]),
    "a thousands separator": ({"matrix": cell(f"\t{FIRST}\t", "\t1 200\t")}, ["'1 200'"]),
    "fractions": (
        {"matrix": MATRIX.replace("\t1", "\t0.1")},
        ["not raw counts", "expected_counts"],
    ),
    "one fraction": ({"matrix": cell(f"\t{FIRST}\t", "\t100.5\t")}, ["not whole numbers"]),
    "logarithms": (
        {
            "matrix": "\n".join([ROWS[0], *(f"{g}\t" + "\t".join(["8.25"] * 8) for g in GENES)]),
            "change": on_card("counts", "type", value="expected_counts"),
        },
        ["as in logarithms"],
    ),
    "a sample without reads": (
        {"matrix": "\n".join([ROWS[0], *("\t".join([*r.split("\t")[:8], "0"]) for r in ROWS[1:])])},
        ["'GSM8' has no read"],
    ),
    # the sheet
    "an empty sheet": ({"sheet": ""}, ["sheet.csv"]),
    "a sheet without samples": ({"sheet": PERSONS[0]}, ["sheet.csv", "no sample row"]),
    "a sample id twice": (
        {"sheet": SHEET.replace("GSM2,", "GSM1,")},
        ["not unique", "'GSM1' twice"],
    ),
    "an empty sample id": ({"sheet": SHEET.replace("GSM2,", ",")}, ["not unique", "empty"]),
    "a truncated sheet": (
        {"sheet": "\n".join(PERSONS[:-1])},
        ["has 7 samples", "samples.expected"],
    ),
    "a sample that the matrix lacks": (
        {"matrix": "\n".join(r.rsplit("\t", 1)[0] for r in ROWS)},
        ["'GSM8'", "not in the matrix"],
    ),
    "a sample that the sheet lacks": (
        {
            "sheet": "\n".join(PERSONS[:-1]),
            "change": on_card("samples", "expected", value=7),
        },
        ["belong to no sample", "'GSM8'"],
    ),
    "a level that the map does not list": (
        {"sheet": SHEET.replace("ALS", "AlS", 1)},
        ["'AlS' is not in the map", "samples.columns.condition"],
    ),
    "a sex in other words": (
        {"change": on_card("samples", "columns", "sex", "map", value={"F": "f", "M": "m"})},
        ["'f', 'm': not in the vocabulary of 'sex'", "samples.columns.sex"],
    ),
    "a column that the sheet does not have": (
        {"change": on_card("samples", "columns", "batch", "from", value="lane")},
        ["no column 'lane'", "samples.columns.batch"],
    ),
    "an unlabelled sample": (
        {
            "change": on_card(
                "samples", "columns", "condition", "map", value={"ALS": "als", "healthy": ""}
            )
        },
        ["have no condition", "exclude"],
    ),
    "every sample excluded": (
        {
            "change": on_card(
                "samples", "exclude", value=[{"where": {"muscle": ""}, "reason": "all of it"}]
            )
        },
        ["every sample is excluded"],
    ),
    "an exclusion that fits nobody": (
        {
            "change": on_card(
                "samples", "exclude", value=[{"sample_id": "GSM99", "reason": "a slip of the pen"}]
            )
        },
        ["samples.exclude[0]", "GSM99"],
    ),
    "a template with an unknown column": (
        {"change": on_card("counts", "sample_template", value="{title}")},
        ["sample_template", "'title'"],
    ),
    # the design
    "a level with a typing error": (
        {"change": contrast(target="asl")},
        ["contrasts.c.target", "condition = 'asl'", "als, healthy"],
    ),
    "a constant covariate": (
        {"sheet": SHEET.replace(",M,", ",F,"), "change": contrast(adjust=["sex"])},
        ["'sex' has the same value", "drop 'sex'"],
    ),
    "a covariate that is the condition": (
        {
            "change": lambda card: (
                card["samples"]["columns"].update(group={"from": "disease"}),
                contrast(adjust=["group"])(card),
            )
        },
        ["cannot be separated from 'group'"],
    ),
    "pairs without pairs": (
        {"change": contrast(block="subject_id")},
        ["'subject_id'", "separated"],
    ),
    "a number that is text": (
        {"change": contrast(kind="continuous", variable="batch")},
        ["'batch' does not hold numbers", "numeric: true"],
    ),
}


@pytest.mark.parametrize(("given", "expected"), CASES.values(), ids=CASES)
def test_one_clear_error(tmp_path, given, expected):
    with pytest.raises(InputError) as caught:
        _run(tmp_path, **given)
    message = str(caught.value)
    for words in expected:
        assert words in message
    # One fault, one message: what and where first, then what was expected and what to do.
    assert len(message.splitlines()) <= 4
    assert ":" in message.splitlines()[0]


def test_there_are_enough_of_them():
    assert len(CASES) >= 40


def test_the_sound_files_pass(tmp_path):
    assert _run(tmp_path).shape == (8, 8)


@pytest.mark.parametrize(
    "given",
    [
        {"matrix": b"\xef\xbb\xbf" + MATRIX.encode(), "sheet": b"\xef\xbb\xbf" + SHEET.encode()},
        {"matrix": MATRIX.replace("\n", "\r\n"), "sheet": SHEET.replace("\n", "\r\n")},
        {"matrix": gzip.compress(MATRIX.encode())},
        {"matrix": cell("gene\t", "")},
        {"matrix": MATRIX.encode("utf-16"), "sheet": SHEET.encode("utf-16")},
        {"sheet": SHEET.replace(",", ";")},
    ],
    ids=[
        "byte order mark",
        "line ends of Windows",
        "gzip",
        "row names as R writes them",
        "utf-16",
        "a sheet of another delimiter",
    ],
)
def test_what_does_no_harm_is_read(tmp_path, given):
    assert (_run(tmp_path, **given) == 100).to_numpy().sum() >= 1
