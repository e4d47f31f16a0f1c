"""What pages say is words: no key of a configuration, no name of a column."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd

import report_fixture as fx
from alsmuscle.report import methods, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components
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
    assert study._listed("pct_hb;not_muscle") == "haemoglobin; hardly any muscle"
    assert wording.flag_reason("pct_hb 10.333 > 5.0") == "haemoglobin 10.3 % of reads > 5.0"
    said = wording.flag_reason("median_correlation 0.894: 1 - r is 2.0 times")
    assert said == "median correlation 0.894: 1 - r is 2.0 times"
    assert wording.words("als_late, sample S_1, x.tsv") == "ALS late, sample S_1, x.tsv"
    plain = {"variable": "condition", "across": "", "adjust": ["sex"], "block": "subject_id"}
    said = methods._model({**plain, "within": {"condition": ["dm1", "dm1_trained"]}})
    assert said.endswith("paired by donor, on the samples with condition in dm1, DM1 trained")
    one = fx.study(1, 30)
    named = replace(one, samples=one.samples.assign(condition="ageing_old"))
    shown = Visible(str(study.samples_table(named, ""))).words
    assert "ageing old" in shown and "ageing_old" not in shown


def test_reasons_name_files_not_addresses_and_no_errors_of_the_system():
    text = (
        "gse1: https://www.ncbi.nlm.nih.gov/geo/download/?type=rnaseq_counts&acc=GSE1&format=file"
        "&file=GSE1_raw_counts.tsv.gz: www.ncbi.nlm.nih.gov does not answer (connect error: "
        "[Errno -2] Name or service not known; found out once for this run); to do: try again "
        "where there is a network, use `make fetch` elsewhere, or a mirror."
    )
    assert wording.reason(text) == (
        "gse1: GSE1_raw_counts.tsv.gz of www.ncbi.nlm.nih.gov could not be fetched; to do: try "
        "again where there is a network, or bring the files."
    )
    assert wording.reason("12 samples >= 3 were lost") == "12 samples ≥ 3 were lost"


def test_labels_inside_sentences_have_small_letters_but_for_names():
    assert wording.inside("Old men") == "old men"
    assert wording.inside("Facioscapulohumeral dystrophy") == "facioscapulohumeral dystrophy"
    for text in ("ALS", "DM1 untrained", "Duchenne dystrophy", "FSHD", "C9orf72 carriers"):
        assert wording.inside(text) == text
    meta = {"label": "Myotonic dystrophy type 1, untrained, against healthy", "target": "dm1"}
    assert wording.ends({**meta, "reference": "h"})[0] == (
        "Higher in myotonic dystrophy type 1, untrained"
    )


def test_hashes_that_agree_are_not_printed_twice():
    one = fx.study(1, 30)
    checks = pd.DataFrame(
        {
            "check": ["files.counts", "files.sheet", "reading"],
            "state": ["agrees", "disagrees", "agrees"],
            "card": ["a" * 64, "b" * 64, None],
            "found": ["a" * 64, "c" * 64, "35 samples"],
        }
    )
    shown = Visible(str(study.checks_table(replace(one, checks=checks)))).words
    assert "a" * 64 not in shown and "the same" in shown
    assert {"b" * 64, "c" * 64, "35 samples"} <= set(shown)


def test_an_interval_that_just_leaves_zero_shows_its_side():
    assert components.interval_text(0.74, 0.003, 1.48) == "+0.74 (+0.003 to +1.48)"
    assert components.interval_text(-0.5, -1.0, -0.0004) == "−0.50 (−1.00 to −0.0004)"
    assert components.interval_text(0.5, 0.0, 1.0) == "+0.50 (0.00 to +1.00)"
