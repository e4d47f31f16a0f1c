"""Studies and comparisons that are not in the results have their say on page one and on pages."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

import report_fixture as fx
from alsmuscle.report import model as m
from alsmuscle.report.pages import index, study
from alsmuscle.report.site import Site

WHY = "gse9 met an error that the program did not foresee: <b>ZeroDivisionError</b>"


def _data(*kinds: str) -> m.ReportData:
    rows = [
        {
            "kind": kind,
            "dataset": "gse9",
            "id": "gse9" if kind == "study" else "als_vs_healthy",
            "what": "whole study, failed in the analysis"
            if kind == "study"
            else "one comparison, failed in the analysis",
            "reason": WHY,
        }
        for kind in kinds
    ]
    lost = m.StudyData(card={"id": "gse9", "accession": "GSE9", "title": "Nine"}, failures=[WHY])
    return replace(
        fx.report(1, n_genes=60),
        left_out=[lost] if "study" in kinds else [],
        excluded=pd.DataFrame(rows, columns=["kind", "dataset", "id", "what", "reason"]),
    )


def _site() -> Site:
    return Site(fx.templates(), "A report")


def test_the_first_page_names_what_is_not_in_the_results():
    text = index.page(_site(), _data("study"))
    assert "1 of 2 selected studies did not take part: GSE9 (1 failed in the analysis)." in text
    assert 'href="studies/gse9.html"' in text
    assert ">Nine<" in text  # its title
    assert "1 comparison is left out: gse9 als_vs_healthy." in index.page(
        _site(), _data("contrast")
    )
    assert "did not take part" not in index.page(_site(), _data())


def test_many_names_are_left_to_the_table():
    data = _data("study")
    many = replace(data, left_out=[*data.left_out] * (index.MOST_NAMED + 1))
    text = index.page(_site(), many)
    assert "21 of 22 selected studies did not take part (1 failed in the analysis). An" in text


def test_servers_that_do_not_answer_are_named_once_and_the_rest_unfolds():
    reason = "gse9: https://a.org/x: a.org does not answer (y). gse9: https://a.org/z: a.org does "
    data = _data("study")
    silent = data.excluded.assign(what="a study", reason=f"{reason}not answer (y).")
    text = index.page(_site(), replace(data, excluded=silent))
    assert "<summary>a.org does not answer</summary>" in text and "https://a.org/z" in text
    assert "1 could not be fetched in this run" in text
    # What else is wrong is no less of a reason.
    mixed = silent.assign(reason=f"{silent['reason'].iloc[0]} gse9: its sheet has no groups.")
    text = index.page(_site(), replace(data, excluded=mixed))
    assert "<summary>a.org" not in text and "its sheet has no groups" in text


def test_a_study_that_is_left_out_has_a_page_with_the_reason():
    text = study.left_out_page(_site(), _data("study").left_out[0])
    assert "This study is not in the results" in text and "GSE9: Nine" in text
    assert "&lt;b&gt;ZeroDivisionError" in text and "<b>Zero" not in text


def test_a_study_of_which_a_comparison_is_left_out_says_so():
    data = fx.report(1, n_genes=60)
    lost = replace(data.studies[0], failures=[WHY])
    text = study.page(_site(), replace(data, studies=[lost]), lost, [])
    assert "A comparison of this study is left out" in text
