"""What pages say is words: no key of a configuration, no name of a column."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd

import report_fixture as fx
from alsmuscle.report import methods, wording
from alsmuscle.report import model as m
from alsmuscle.report.pages import programme, study
from parsed_page import Tables, Visible

# Lower-case words joined by underscores, but for those in addresses and names of files.
KEY = re.compile(r"(?<![\w./=-])[a-z][a-z0-9]*(?:_[A-Za-z0-9]+)+(?![\w-]*[./=])")
# Parameters are shown as the configuration names them, there.
QUOTED = {"methods.html"}


def test_no_page_shows_a_raw_key(report_files):
    found = {
        (path, key)
        for path, text in report_files.items()
        if path.endswith(".html") and path not in QUOTED
        for words in Visible(str(text)).words
        for key in KEY.findall(words)
    }
    assert found == set()


def test_names_of_blocks_flags_and_levels_are_read():
    info = {"P": {"title": "One", "blocks": {"tier1_up": "early"}}}
    table = pd.DataFrame(
        {"programme": "P", "block": ["tier1_up", "tier2_up"], "sign": 1, "symbol": ["A", "B"]}
    )
    data = m.ReportData(studies=[], programmes=table, programme_info=info)
    (genes,) = Tables(str(programme._genes(data, "P"))).found
    assert [row["cells"][0]["text"] for row in genes["rows"][1:]] == ["early", "tier2 up"]
    assert study._listed("pct_hb;not_muscle") == "pct hb; not muscle"
    assert wording.words("als_late, sample S_1, x.tsv") == "ALS late, sample S_1, x.tsv"
    plain = {"variable": "condition", "across": "", "adjust": ["sex"], "block": "subject_id"}
    said = methods._model({**plain, "within": {"condition": ["dm1", "dm1_trained"]}})
    assert said.endswith("paired by donor, on the samples with condition in dm1, DM1 trained")
    one = fx.study(1, 30)
    named = replace(one, samples=one.samples.assign(condition="ageing_old"))
    shown = Visible(str(study.samples_table(named, ""))).words
    assert "ageing old" in shown and "ageing_old" not in shown
