"""The run on one page: everything stands on the paper, nothing on something else."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

import report_fixture as fx
from alsmuscle.report.pages import onepage


@pytest.fixture(scope="module")
def data():
    return replace(fx.whole(2, n_genes=60), commit="abc1234", versions={"numpy": "2.0"})


def test_page_holds_question_claims_verdicts_and_versions(data):
    words = [text.get_text() for text in onepage.draw(data).texts]
    together = " ".join(words)
    verdicts = data.synthesis.overall.set_index("claim")["verdict"]
    for entry in data.synthesis.document["claims"]:
        assert entry["id"] in words and verdicts[entry["id"]] in words
    assert "is it more than denervation?" in together
    assert "abc1234" in together and "numpy 2.0" in together
    assert all(study.name in together for study in data.studies)


@pytest.mark.parametrize("n", [7, 90])
def test_however_many_claims_they_stay_on_the_page(data, n):
    document = dict(data.synthesis.document)
    first = document["claims"][0]
    document["claims"] = [{**first, "id": f"C{i}"} for i in range(n)]
    overall = data.synthesis.overall.iloc[[0] * n].assign(claim=[f"C{i}" for i in range(n)])
    own = data.synthesis.claims[data.synthesis.claims["claim"] == first["id"]]
    table = pd.concat([own.assign(claim=f"C{i}") for i in range(n)], ignore_index=True)
    synthesis = replace(data.synthesis, document=document, overall=overall, claims=table)
    page = onepage.draw(replace(data, synthesis=synthesis))
    lowest = min(text.get_position()[1] for text in page.texts)
    assert 0.02 < lowest < 0.8


def test_many_caveats_stay_on_the_page(data, monkeypatch):
    lowest = []
    for n in (1, 40):
        said = [
            f"Caveat {i} of lists: " + "the groups differ in one more thing. " for i in range(n)
        ]
        monkeypatch.setattr(onepage.calls, "caveats", lambda _, said=said: said)
        page = onepage.draw(data)
        lowest.append(min(text.get_position()[1] for text in page.texts))
        assert said[-1].strip() in " ".join(text.get_text() for text in page.texts)
    assert lowest[0] > lowest[1] > 0.02


def test_the_same_run_gives_the_same_bytes(data):
    assert onepage.pdf(data) == onepage.pdf(data)
