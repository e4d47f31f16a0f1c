"""What comparisons share: the lists that the page counts."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pandas as pd

import report_fixture as fx
from alsmuscle.report.build import ContrastData, ReportData, StudyData
from alsmuscle.report.pages import shared
from alsmuscle.report.pages.expression import ALPHABET
from alsmuscle.report.site import Site


def contrast(rows: list[tuple[str, str, float, float]], **meta: object) -> ContrastData:
    de = pd.DataFrame(rows, columns=["gene_id", "symbol", "log2fc", "padj"])
    programmes = pd.DataFrame(
        {
            "programme": ["P", "Q", "Q"],
            "block": ["up", "all", "all"],
            "stripped": [False, False, True],
            "effect": [0.5, -0.2, 9.0],
            "ci_low": [0.1, -0.5, 8.0],
            "ci_high": [0.9, 0.1, 10.0],
        }
    )
    return ContrastData(
        meta={"id": "k", "target": "a", "reference": "b", **meta}, de=de, programmes=programmes
    )


def measured(found: dict, kind: str) -> list[list[bool]]:
    names = found["genes" if kind == "calls" else "blocks"]
    digits = ALPHABET.tobytes().decode()

    def one(mask: str, i: int) -> bool:
        return i // 6 < len(mask) and bool(digits.index(mask[i // 6]) >> i % 6 & 1)

    return [[one(found["masks"][k], i) for i in range(len(names))] for k in found["known"][kind]]


def test_a_list_of_called_genes_is_a_column_that_measured_nothing():
    data = fx.with_lists(fx.whole(1, n_genes=60))
    text = re.fullmatch(r'alsmuscle\.receive\("shared",(.*)\);\n', shared.script(data))
    found = json.loads(text[1])
    page = shared.page(Site(fx.templates(), "A report"), data)
    spec = json.loads(re.search(r'id="shared-spec">(.*?)</script>', page, re.DOTALL)[1])
    columns = spec["contrasts"]
    assert len(columns) == len(found["calls"]) == len(found["known"]["calls"])
    als = next(i for i, k in enumerate(columns) if k.get("called") and k["role"].startswith("ALS"))
    assert als in spec["chosen"]
    up, down = ([found["genes"][i] for i in part] for part in found["calls"][als])
    assert (up, down) == (["ONLYLIST"], ["MYOG"])
    known = measured(found, "calls")
    only = found["genes"].index("ONLYLIST")
    assert not any(row[only] for row in known) and not any(known[als])
    assert known[0][found["genes"].index("MYOG")]


def test_blocks_of_which_few_genes_are_measured_are_not_measured():
    few = contrast([("ENSG1", "MYOG", 1.0, 0.01)])
    few = replace(few, programmes=few.programmes.assign(n_mapped=[9, 2, 2], n_genes=[9, 9, 9]))
    card = {"id": "h", "organism": "human", "role": "als_patient"}
    data = ReportData(studies=[StudyData(card=card, contrasts=[few])])
    text = re.fullmatch(r'alsmuscle\.receive\("shared",(.*)\);\n', shared.script(data))
    assert measured(json.loads(text[1]), "moves") == [[True, False]]


def test_genes_count_under_their_human_counterpart_with_direction():
    human = contrast([("ENSG1", "MYOG", 1.0, 0.01), ("ENSG2", "TTN", -1.0, 0.2)])
    mouse = contrast(
        [
            ("ENSMUSG1", "Myog", -2.0, 0.001),
            ("ENSMUSG9", "Gm9", 1.0, 0.04),
            ("ENSMUSG3", "", 1.0, None),
        ]
    )
    data = ReportData(
        studies=[
            StudyData(
                card={"id": "h", "organism": "human", "role": "als_patient"}, contrasts=[human]
            ),
            StudyData(
                card={"id": "m", "organism": "mouse", "role": "als_model"}, contrasts=[mouse]
            ),
        ],
        orthologs={"ENSMUSG1": "ENSG1"},
    )
    text = re.fullmatch(r'alsmuscle\.receive\("shared",(.*)\);\n', shared.script(data))
    found = json.loads(text[1])
    assert found["genes"] == ["MYOG", "Gm9"]
    assert found["calls"] == [[[0], []], [[1], [0]]]
    assert found["tested"] == [2, 2]
    # What the human comparison did not measure is told from what did not change.
    assert measured(found, "calls") == [[True, False], [True, True]]
    assert measured(found, "moves") == [[True, True], [True, True]]
    assert found["blocks"] == ["P (up)", "Q"]
    # The interval of Q includes 0; its stripped version is no block of its own.
    assert found["moves"] == [[[0], []], [[0], []]]
