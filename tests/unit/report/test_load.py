"""Reading a finished run for its report: what published studies get from the synthesis."""

from __future__ import annotations

import pandas as pd

from alsmuscle.core import files
from alsmuscle.data.tables import IMPORTED
from alsmuscle.report import estimates, load
from alsmuscle.report.model import ContrastData, ReportData, StudyData


def test_published_studies_show_the_effects_that_the_synthesis_pools():
    row = {"dataset": "pub", "contrast": "als_vs_normal", "cell_type": "muscle", "stripped": False}
    effects = pd.DataFrame(
        [
            {**row, "programme": "P", "block": "up", "effect": 0.5, "ci_low": 0.1, "ci_high": 0.9}
            | {"n_mapped": 6},
            {**row, "programme": "P", "block": "down", "effect": 2.0, "ci_low": 1.0, "ci_high": 3.0}
            | {"n_mapped": 2},
            {**row, "programme": "P", "block": "up", "effect": 9.0, "ci_low": 8.0, "ci_high": 10.0}
            | {"n_mapped": 6, "dataset": "other"},
            {**row, "programme": "GENE", "block": "MYOG", "effect": 4.0, "ci_low": 3.0}
            | {"ci_high": 5.0, "n_mapped": 1},
        ]
    )
    members = pd.DataFrame(
        {"programme": "P", "block": ["up"] * 8 + ["down"] * 8, "n_genes": 8, "gene_id": range(16)}
    )
    study = StudyData(
        card={"id": "pub", "modality": "effects"},
        contrasts=[
            ContrastData(meta={"id": "als_vs_normal"}),
            ContrastData(meta={"id": "not_pooled"}),
        ],
    )
    first, second = load._with_effects(study, effects, members).contrasts
    assert second.programmes is None
    assert first.programmes is not None
    rows = estimates.effects(first.programmes, ReportData(studies=[]))
    found = estimates.verdict(rows, 0.05)
    # Of the second block too few genes are in the table.
    assert rows["effect"].tolist()[0] == 0.5 and pd.isna(rows["effect"].tolist()[1])
    assert rows["instead"].tolist() == [None, "2 of 8 genes measured"]
    assert found["higher"] == ["P (up)"] and found["few"] == ["P (down) (2 of 8)"]


def test_control_probes_that_moved_are_a_mark_of_the_published_table(tmp_path):
    (tmp_path / "bulk" / "s" / "c").mkdir(parents=True)
    files.write_table(
        tmp_path / "bulk" / "s" / "c" / "imported.tsv",
        pd.DataFrame(
            [
                ("s", "c", "control_probes", 1.4, "Control probes moved.", True),
                ("s", "c", "second_probes", 7.0, "7 rows are second probes.", False),
            ],
            columns=["dataset", "contrast", "metric", "value", "text", "flagged"],
        ),
        IMPORTED,
    )
    found = load._imported(tmp_path, {"id": "s"}, "c")
    assert found["marks"] == [("technical", "Control probes moved.")]
    assert found["caveat"] == "7 rows are second probes."  # what the mark says is said once
