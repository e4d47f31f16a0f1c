"""One pathway in one comparison: the script holds the ranking that gseapy was given."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import report_fixture as fx
from alsmuscle.genesets import pathways as tests_of_sets
from alsmuscle.report.pages import contrast as contrast_page
from alsmuscle.report.pages import pathway, pathways
from alsmuscle.report.site import Site


@pytest.fixture(scope="module")
def data():
    return fx.with_pathways(fx.report(1, n_genes=600))


def payload(text: str) -> dict:
    return json.loads(re.fullmatch(r'alsmuscle\.receive\("[^"]+",(.*)\);\n', text)[1])


def walk(places: np.ndarray, statistic: np.ndarray, n: int) -> np.ndarray:
    """The running sum after every gene, as Subramanian et al. 2005 define it, weight 1."""
    step = np.full(n, -1 / (n - len(places)))
    step[places] = np.abs(statistic) / np.abs(statistic).sum()
    return np.cumsum(step)


def test_the_ranking_gives_the_scores_and_leading_genes_of_the_table(data):
    study = data.studies[0]
    contrast = study.contrasts[0]
    found = payload(pathway.script(data, study, contrast))
    assert found["n"] == contrast.de["stat"].notna().sum()
    genes = found["genes"]
    for row in contrast.gsea.to_dict("records"):
        *_, es, nes, members = found["sets"][row["collection"]][row["term"]]
        own = [genes[i] for i in members]
        assert len(own) == row["size"]
        places, statistic = (np.array([g[k] for g in own]) for k in (0, 3))
        line = walk(places, statistic, found["n"])
        peak = line[np.abs(line).argmax()]
        assert peak == pytest.approx(row["es"], abs=2e-3) and es == pytest.approx(row["es"], 1e-3)
        assert nes == pytest.approx(row["nes"], rel=1e-3)
        at = int(np.abs(line).argmax())
        leads = [g[2] for g in own if (g[0] <= at if peak > 0 else g[0] > at)]
        assert set(leads) == set(row["leading_edge"].split(";"))


def test_genes_carry_the_numbers_of_the_table(data):
    study = data.studies[0]
    contrast = study.contrasts[0]
    known = contrast.de.set_index("gene_id")
    order = contrast.de.sort_values("stat", ascending=False)["gene_id"].tolist()
    for place, gene, symbol, stat, change, _, padj in payload(
        pathway.script(data, study, contrast)
    )["genes"]:
        row = known.loc[gene]
        assert order[place] == gene and symbol == row["symbol"]
        assert (stat, change) == pytest.approx((row["stat"], row["log2fc"]), rel=1e-3)
        assert (padj is None) == np.isnan(row["padj"])


def test_mouse_genes_are_found_by_their_human_counterparts():
    data = fx.with_pathways(fx.report(1, n_genes=600))
    study = data.studies[0]
    de = study.contrasts[0].de
    # the mouse symbols say nothing; the table of counterparts does
    named = pd.Series(de["symbol"].to_numpy(), index=de["gene_id"])
    mouse = replace(
        study,
        card={**study.card, "organism": "mouse"},
        contrasts=[replace(study.contrasts[0], de=de.assign(symbol=[f"m{i}" for i in de.index]))],
    )
    other = replace(data, studies=[mouse], human_symbols=named)
    found = payload(pathway.script(other, mouse, mouse.contrasts[0]))
    same = payload(pathway.script(data, study, study.contrasts[0]))
    assert found["sets"] == same["sets"] and found["genes"][0][2].startswith("m")


def test_names_of_sets_open_them_where_their_genes_are_known(data):
    site, study = Site(fx.templates(), "x"), data.studies[0]
    page = contrast_page.page(site, data, study, study.contrasts[0], [])
    term = study.contrasts[0].gsea["term"].iloc[0]
    assert f'href="../pathway.html#gse000001.als_v_healthy/hallmark/{term}"' in page
    assert f"pathway.html#gse000001.als_v_healthy/hallmark/{term}" in pathways.page(site, data)
    bare = replace(data, gene_sets={})
    assert "pathway.html" not in contrast_page.page(site, bare, study, study.contrasts[0], [])
    assert pathway.script(bare, study, study.contrasts[0]) is None


def test_without_a_statistic_nothing_opens(data):
    study = data.studies[0]
    bare = replace(study.contrasts[0], de=study.contrasts[0].de.drop(columns="stat"))
    assert not pathway.can_open(data, bare) and pathway.script(data, study, bare) is None


def test_ranked_genes_are_those_of_the_ranking(data):
    de = data.studies[0].contrasts[0].de
    table = tests_of_sets.ranked_genes(de)
    ranking = tests_of_sets.ranking(de)
    assert table["name"].tolist() == ranking.index.tolist()
    assert table["stat"].tolist() == ranking.tolist()


def test_without_tested_sets_nothing_leads_to_their_page(data):
    study = data.studies[0]
    published = replace(
        data, studies=[replace(study, contrasts=[replace(study.contrasts[0], sets=None)])]
    )
    assert "pathways.html" in pathway.page(Site(fx.templates(), "x"), data)
    assert "pathways.html" not in pathway.page(Site(fx.templates(), "x"), published)
