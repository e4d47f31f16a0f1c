"""What comparisons share: the lists that the page counts."""

from __future__ import annotations

import json
import re

import pandas as pd

from alsmuscle.report.build import ContrastData, ReportData, StudyData
from alsmuscle.report.pages import shared


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
    assert found["blocks"] == ["P (up)", "Q"]
    # The interval of Q includes 0; its stripped version is no block of its own.
    assert found["moves"] == [[[0], []], [[0], []]]
