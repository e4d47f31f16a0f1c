"""The methods in words: they follow the configuration."""

from __future__ import annotations

from alsmuscle.data import cards
from alsmuscle.report import methods
from support import ROOT

PACKAGES = {"pydeseq2": "1", "gseapy": "2"}


def text_of(change=None) -> dict[str, dict[str, str]]:
    settings = cards.load_yaml(ROOT / "config" / "config.yaml")
    if change:
        change(settings)
    known = cards.load_collections(ROOT / "config" / "collections.yaml", ["hallmark"])
    return {row["step"]: row for row in methods.steps(settings, PACKAGES, known)}


def test_collections_are_named_with_version_and_licence():
    row = text_of()["Gene sets: MSigDB Hallmark"]
    assert "Version 7.0. 50 sets. Licence: CC BY 4.0. sha256 4803c09a" in row["text"]
    assert "Liberzon" in row["citation"]


def test_the_numbers_are_those_of_the_configuration():
    def change(settings):
        settings["enrichment"]["sizes"]["min_size"] = 17
        settings["enrichment"]["sets"]["n_matched"] = 333
        settings["enrichment"]["ora"]["padj"] = 0.013

    text = text_of(change)["Pathways"]["text"]
    assert "17 to 500" in text and "with 333 sets" in text and "p < 0.013" in text


def test_every_citation_has_its_own_doi():
    rows = [row for name, row in text_of().items() if not name.startswith("Gene sets")]
    cited = [row for row in rows if row["citation"]]
    assert len(cited) >= 10
    for row in cited:
        dois = row["doi"].split("; ")
        assert len(row["citation"].split("; ")) == len(dois), row["step"]
        assert all(doi.startswith("10.") for doi in dois), row["step"]
