"""Signs of the denervation signature in patients and in denervated mice."""

from __future__ import annotations

import pandas as pd

from alsmuscle.report import model as m
from alsmuscle.report.pages import specificity


def _study(name: str, organism: str, role: str, genes: dict[str, float]) -> m.StudyData:
    de = pd.DataFrame(
        {"gene_id": list(genes), "symbol": [gene[-1] for gene in genes], "log2fc": genes.values()}
    ).assign(lfc_se=0.1, base_mean=1.0, pvalue=0.5, padj=0.5, df=9.0)
    meta = {"id": "c", "label": "a against b", "role": role, "target": "a", "reference": "b"}
    card = {"id": name, "accession": name, "title": name, "organism": organism, "role": role}
    return m.StudyData(card=card, contrasts=[m.ContrastData(meta=meta, de=de)])


def test_only_moving_genes_of_the_signature_are_compared() -> None:
    patients = _study("s1", "human", "als_patient", {"hA": 1.0, "hB": -1.0, "hC": 2.0, "hD": 3.0})
    mice = _study("s2", "mouse", "denervation", {"mA": 1.0, "mB": 1.0, "mC": 0.01, "mD": 1.0})
    listed = pd.DataFrame(
        {"programme": "DENERVATION", "block": ["tier1_up"] * 3 + ["down"], "symbol": list("ABCD")}
    )
    data = m.ReportData(
        studies=[patients, mice],
        headline=[],
        programmes=listed,
        orthologs={f"m{gene}": f"h{gene}" for gene in "ABCD"},
    )
    table = str(specificity._agreement(data))
    # A agrees, B does not, C hardly moves in mice, D is not in the tier
    assert "50% (9% to 91%)" in table.replace("\N{NARROW NO-BREAK SPACE}", "")
    assert "s1" in table and "s2" in table


def test_without_denervated_mice_nothing_is_said() -> None:
    patients = _study("s1", "human", "als_patient", {"hA": 1.0})
    listed = pd.DataFrame({"programme": ["DENERVATION"], "block": "tier1_up", "symbol": "A"})
    assert specificity._agreement(m.ReportData([patients], [], programmes=listed)) is None
