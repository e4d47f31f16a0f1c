"""Pathways across comparisons: dots say p, colours direction, numbers the tables' effects."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import report_fixture as fx
from alsmuscle.report.html import components as c
from alsmuscle.report.html import plots
from alsmuscle.report.pages import pathways
from alsmuscle.report.site import Site
from parsed_page import Tables, read_number


def test_every_comparison_with_sets_has_a_column_and_its_numbers():
    data = fx.report(2, n_genes=60)
    page = pathways.page(Site(fx.templates(), "x"), data)
    (table,) = Tables(page).of("dots")
    heads = [cell["text"] for cell in table["rows"][0]["cells"]]
    assert heads == ["Gene set", "GSE000001: ALS v healthy", "GSE000002: ALS v healthy"]
    known = fx.sets().set_index("term")["effect"]
    seen = {row["cells"][0]["text"]: row["cells"][1]["text"] for row in table["rows"][1:]}
    assert len(seen) == len(known)
    for term, effect in known.items():
        shown, half = read_number(seen[c.set_name(term)])
        assert abs(shown - effect) <= half
    # the highest stand first
    assert next(iter(seen)) == "Inflammatory response"


def test_a_page_without_als_says_why():
    data = fx.report(2, n_genes=60)
    site = Site(fx.templates(), "x")
    assert "No column is about ALS" not in pathways.page(site, data)
    first, second = data.studies
    other = replace(second, card={**second.card, "role": "myopathy"})
    other = replace(
        other, contrasts=[replace(k, meta={**k.meta, "role": "myopathy"}) for k in second.contrasts]
    )
    published = replace(
        first,
        contrasts=[
            replace(k, sets=None, meta={**k.meta, "evidence": "published"})
            for k in first.contrasts[:1]
        ],
    )
    page = pathways.page(site, replace(data, studies=[published, other]))
    assert "No column is about ALS: <a href=" in page
    assert "has published effects, without the samples" in page
    assert "holds no comparison of ALS" in pathways.page(site, replace(data, studies=[other]))


def test_colour_needs_p_and_size_grows_with_it():
    values = pd.DataFrame([[0.5, -0.5, 0.5, np.nan]], index=["set"], columns=list("abcd"))
    made = plots.dot_matrix(values, np.array([[1e-6, 0.01, 0.2, 0.001]]), caption="x", head="y")
    found = re.findall(r'dot-main (\w+)" cx="9" cy="9" r="([\d.]+)"', made)
    assert [side for side, _ in found] == ["up", "down", "none"]
    radii = [float(r) for _, r in found]
    assert radii == sorted(radii, reverse=True) and len(set(radii)) == 3


def test_without_sets_there_is_no_page():
    bare = fx.report(1, n_genes=30)
    assert pathways.has_sets(bare) and str(pathways.link(bare, "../"))
    study = bare.studies[0]
    none = replace(
        bare,
        studies=[replace(study, contrasts=[replace(k, sets=None) for k in study.contrasts])],
    )
    assert not pathways.has_sets(none) and not pathways.link(none, "")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HALLMARK_TNFA_SIGNALING_VIA_NFKB", "TNFA signaling via NFKB"),
        ("HALLMARK_MYOGENESIS", "Myogenesis"),
        ("mitotic spindle organization (GO:0007052)", "mitotic spindle organization (GO:0007052)"),
        ("go_bp", "Gene Ontology, biological process"),
        ("MY_own_set", "MY own set"),
    ],
)
def test_sets_are_named_for_reading(name, words):
    assert c.set_name(name) == words
