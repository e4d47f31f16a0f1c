"""Levels of genes per sample: coded for the pages, as matrices to download."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose

import report_fixture as fx
from alsmuscle.report import load
from alsmuscle.report.build import ContrastData, ReportData, StudyData
from alsmuscle.report.html import figures
from alsmuscle.report.model import Expression
from alsmuscle.report.pages import expression, gene
from alsmuscle.report.pages import study as bulk_study


def decoded(text: str, low: float, step: float) -> list[float]:
    """The reading side, written anew: digits of base 64, two per value, 4095 for none."""
    order = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    codes = [
        64 * order.index(a) + order.index(b) for a, b in zip(text[::2], text[1::2], strict=True)
    ]
    return [np.nan if code == 4095 else low + step * code for code in codes]


def test_codes_hold_values_to_half_a_step_and_say_what_is_missing():
    rng = np.random.default_rng(1)
    values = rng.uniform(-3.2, 19, (50, 7))
    values[4, 2] = np.nan
    low, step = expression.scale(values)
    back = np.array([decoded(t, low, step) for t in expression.encode(values, low, step)])
    assert low == -4 and step == 0.01
    assert_allclose(back, values, atol=0.00501)


def test_a_wide_range_gets_a_wider_step_instead_of_being_cut():
    values = np.array([[-30.0, 70.0, 0.0]])
    low, step = expression.scale(values)
    assert step > 0.02
    assert_allclose(
        decoded(expression.encode(values, low, step)[0], low, step), values[0], atol=step
    )


def test_counts_become_log2_of_counts_per_million_over_all_genes():
    counts = np.array([[10, 90, 900], [0, 500, 500]])
    measured = AnnData(
        counts,
        obs=pd.DataFrame({"subject_id": ["a", "b"]}, index=["s1", "s2"]),
        var=pd.DataFrame({"symbol": ["A", "", "C"]}, index=["g1", "g2", "g3"]),
    )
    tested = ContrastData(meta={}, de=pd.DataFrame({"gene_id": ["g2", "g1"]}))
    found = load._expression(measured, [tested], "counts")
    assert found.genes == ["g1", "g2"] and found.symbols == ["A", "g2"]
    # 10 of 1,000 counts are 10,000 per million; the untested gene counts in the total.
    assert_allclose(found.values, np.log2([[10001, 1], [90001, 500001]]), rtol=1e-6)
    assert load._expression(measured, [], "counts") is None


def test_intensities_stay_what_they_are():
    measured = AnnData(
        np.array([[7.5, 3.25]]),
        obs=pd.DataFrame({"subject_id": ["a"]}, index=["s1"]),
        var=pd.DataFrame({"symbol": ["A", "B"]}, index=["g1", "g2"]),
    )
    tested = ContrastData(meta={}, de=pd.DataFrame({"gene_id": ["g1", "g2"]}))
    found = load._expression(measured, [tested], "intensities")
    assert found.values.tolist() == [[7.5], [3.25]] and found.unit == "log2 intensity"


def test_download_holds_every_value_and_the_same_bytes_each_time():
    study = fx.study(n_genes=30)
    path, content = expression.download(study)
    assert content == expression.download(study)[1]
    lines = [line.split("\t") for line in gzip.decompress(content).decode().splitlines()]
    assert path == "tables/expression/gse000001.tsv.gz"
    assert lines[0] == ["gene_id", "symbol", *study.samples["sample_id"]]
    numbers = np.array([[float(x) for x in row[2:]] for row in lines[1:]])
    assert_allclose(numbers, study.expression.values, atol=0.000501)


def test_missing_values_stay_empty_in_the_download():
    study = fx.study(n_genes=10)
    values = study.expression.values.copy()
    values[1, 0] = np.nan
    study = replace(study, expression=replace(study.expression, values=values))
    row = gzip.decompress(expression.download(study)[1]).decode().splitlines()[2].split("\t")
    assert row[2] == "" and float(row[3]) > 0


def grouped(sheet: pd.DataFrame, *metas: dict[str, object]) -> StudyData:
    held = Expression(np.zeros((1, len(sheet))), ["g"], ["G"], sheet, "log2")
    return StudyData(
        card={"id": "x"}, contrasts=[ContrastData(meta=k) for k in metas], expression=held
    )


def test_groups_are_those_that_contrasts_compare_references_first():
    sheet = pd.DataFrame({"condition": ["als", "healthy", "mimic", "als"], "sex": list("fmmf")})
    study = grouped(
        sheet,
        {"variable": "condition", "target": "als", "reference": "mimic"},
        {"variable": "condition", "target": "als", "reference": "healthy"},
        {"variable": "sex", "target": "f", "reference": "m"},
    )
    # The first reference is blue and its target orange, as lower and higher are; each has its own.
    paint = ["#0072B2", "#D55E00", "#009E73"]
    assert expression.groups(study) == (["mimic", "ALS", "healthy"], [1, 2, 0, 1], paint)


def test_a_group_has_one_colour_in_all_figures_of_a_study():
    one = fx.study(1, n_genes=40)
    names, _, paint = expression.groups(one)
    frame = bulk_study.sample_view(one)
    order = bulk_study.group_order(one, frame)
    fig = figures.library_sizes(frame, order=order)
    spec = bulk_study._plot(
        bulk_study._pca_view(frame), "pc1", "pc2", labels=("", ""), group="group", order=order
    )
    assert spec["groups"] == order[: len(spec["groups"])]
    for name, colour in zip(names, paint, strict=True):
        assert figures.PALETTE[order.index(name)] == colour
        bar = next(b for k in fig.axes[0].containers if k.get_label() == name for b in k)
        shown = {to_hex(bar.get_facecolor()).upper(), to_hex(bar.get_edgecolor()).upper()}
        assert colour in shown, name


def test_groups_part_by_what_a_contrast_stays_within():
    sheet = pd.DataFrame({"condition": ["als", "wt"] * 2, "stage": ["d90", "d90", "d30", "d30"]})
    metas = [
        {"variable": "condition", "target": "als", "reference": "wt", "within": {"stage": day}}
        for day in ("d30", "d90")
    ]
    names, place, paint = expression.groups(grouped(sheet, *metas))
    assert names == ["wt, d30", "ALS, d30", "wt, d90", "ALS, d90"]
    assert place == [3, 2, 1, 0] and paint == ["#0072B2", "#D55E00"] * 2


def test_cell_types_of_muscle_come_first():
    sheet = pd.DataFrame(
        {
            "cell_type": ["T cell", "Satellite cell, quiescent", "Type I myonuclei"],
            "condition": ["als", "als", "als"],
        }
    )
    meta = {"variable": "condition", "target": "als", "reference": "control"}
    names, _, _ = expression.groups(grouped(sheet, meta))
    assert names == ["Type I myonuclei", "Satellite cell, quiescent", "T cell"]


def test_scripts_hold_every_gene_of_every_study_in_its_bucket():
    data = ReportData(studies=[fx.study(1, n_genes=40), fx.study(2, n_genes=20)])
    files = expression.scripts(data, gene.bucket, gene.BUCKETS)
    about = json.loads(
        re.fullmatch(r'alsmuscle\.receive\("samples",(.*)\);\n', files["assets/data/samples.js"])[1]
    )
    assert [k["study"] for k in about] == ["GSE000001", "GSE000002"]
    assert about[0]["flags"] and set(about[0]["flags"].values()) >= {
        "library size 1.4 million < 5 million"
    }
    name = "ENSG00000000003"
    text = files[f"assets/data/samples-{gene.bucket(name)}.js"]
    found = json.loads(re.fullmatch(r'alsmuscle\.receive\("samples-\d+",(.*)\);\n', text)[1])[name]
    for place, study in enumerate(data.studies):
        known = study.expression.values[3]
        assert_allclose(
            decoded(found[str(place)], about[place]["low"], about[place]["step"]),
            known,
            atol=0.0051,
        )
