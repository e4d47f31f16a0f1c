"""A card against the archive's record, with recorded answers in place of a network."""

from __future__ import annotations

import json

import pytest

from alsmuscle.archives import biostudies, ena, eutils, geo
from alsmuscle.core import contracts
from alsmuscle.core.errors import InputError
from alsmuscle.data import admit
from alsmuscle.data import record as verify
from alsmuscle.data.tables import CHECKS
from alsmuscle.download.policy import FetchError

GSE = "GSE12"
SUPPL = geo.geo_folder(GSE, "suppl")


def _card(**more):
    return {
        "id": "gse12",
        "accession": GSE,
        "organism": "human",
        "citation": {"text": "x", "pmid": "77"},
        "samples": {"expected": 2},
        "files": {"counts": {"source": "geo_supplement", "match": ".*counts.*"}},
        **more,
    }


def _summary(**more):
    record = {"accession": GSE, "entrytype": "GSE", "taxon": "Homo sapiens", "n_samples": 2}
    record |= {"pubmedids": ["77"], **more}
    return json.dumps({"result": {"uids": ["200000012"], "200000012": record}})


SOFT = (
    "^SAMPLE = GSM1\n!Sample_characteristics_ch1 = disease: ALS\n"
    "^SAMPLE = GSM2\n!Sample_characteristics_ch1 = disease: healthy\n"
)
PAGES = {
    eutils.esummary([geo.gds_uid(GSE)]): _summary(),
    geo.geo_brief(GSE, "gsm"): SOFT,
    SUPPL: '<h1>Index of /geo</h1><a href="GSE12_counts.txt.gz">x</a> 2024-05-01 10:00 1K',
}


def _client(**changed):
    pages = {**PAGES, **changed.pop("pages", {})}

    def ask(url):
        if url not in pages:
            raise FetchError("HTTP 404", url=url, status=404)
        return pages[url]

    return ask


def _states(card, client):
    return {row["check"]: row["state"] for row in verify.checks(card, client)}


def test_a_card_that_is_right_agrees_in_every_point():
    archive = {"ids": ["GSM1-GSM2"], "characteristics": {"disease": ["ALS"]}}
    archive["files"] = ["GSE12_counts.txt.gz"]
    states = _states(_card(archive=archive), _client())
    assert set(states.values()) == {"agrees"}
    points = {"organism", "samples", "pmid", "ids", "characteristics.disease", "files.counts"}
    assert {f"archive.{point}" for point in points} < set(states)


@pytest.mark.parametrize(
    ("card", "pages", "point", "said"),
    [
        (_card(organism="mouse"), {}, "organism", ("mouse", "Homo sapiens")),
        (_card(samples={"expected": 3}), {}, "samples", ("3", "2")),
        (_card(archive={"samples": 9}), {}, "samples", ("9", "2")),
        (_card(citation={"text": "x", "pmid": "78"}), {}, "pmid", ("78", "77")),
        (_card(archive={"ids": ["GSM1-GSM3"]}), {}, "ids", ("GSM1-GSM3", "no GSM3")),
        (
            _card(archive={"characteristics": {"disease": ["MND"]}}),
            {},
            "characteristics.disease",
            ("MND", "ALS; healthy"),
        ),
        (
            _card(archive={"characteristics": {"age": []}}),
            {},
            "characteristics.age",
            ("", "only disease"),
        ),
        (_card(archive={"files": ["b.gz"]}), {}, "files:b.gz", ("b.gz", "GSE12_counts.txt.gz")),
        (_card(), {SUPPL: "<h1>Index of /geo</h1>"}, "files.counts", (".*counts.*", "no files")),
        (
            _card(files={"counts": {"source": "geo_supplement", "name": "old.gz"}}),
            {},
            "files.counts",
            ("old.gz", "GSE12_counts.txt.gz"),
        ),
    ],
)
def test_a_difference_quotes_both_sides(card, pages, point, said):
    rows = {row["check"]: row for row in verify.checks(card, _client(pages=pages))}
    row = rows[f"archive.{point}"]
    assert row["state"] == "differs"
    assert said[0] in row["card"] and said[1] in row["found"]
    reason = admit.admit(contracts.rows([row], CHECKS), ["gse12"])["reason"].iloc[0]
    assert f"the card says “{row['card']}”, the archive “{row['found']}”" in reason


def test_an_archive_out_of_reach_is_no_fault_of_the_study():
    def silent(url):
        raise FetchError("connect error", url=url)

    (row,) = verify.checks(_card(), silent)
    assert row["state"] == "not verified"
    assert row["found"] == "archive not reached: connect error"


def test_a_series_that_is_not_there_is_a_difference():
    empty = json.dumps({"result": {"uids": []}})
    pages = {eutils.esummary([geo.gds_uid(GSE)]): empty}
    (row,) = verify.checks(_card(), _client(pages=pages))
    assert row["state"] == "differs" and "no such public series" in row["found"]


def test_local_files_and_foreign_accessions_are_not_asked_for():
    def never(url):
        raise AssertionError(url)

    (row,) = verify.checks(_card(files={"counts": {"url": "data/x.tsv"}}), never)
    assert row["state"] == "not verified"
    foreign = _card(accession="GLDS-103", files={"counts": {"url": "https://x.org/a.csv"}})
    (row,) = verify.checks(foreign, never)
    assert row["state"] == "not verified" and "GLDS-103" in row["found"]


def test_runs_of_sra_are_asked_of_ena():
    report = (
        "run_accession\tsample_accession\tscientific_name\nSRR1\tS1\tMus musculus\n"
        "SRR2\tS1\tMus musculus\n"
    )
    card = _card(
        accession="SRP1",
        organism="mouse",
        citation={"text": "x"},
        files={"counts": {"source": "recount3"}},
        archive={"ids": ["SRR1-SRR2"]},
    )
    client = _client(pages={ena.ena_file_report("SRP1"): report})
    assert set(_states(card, client).values()) == {"agrees"}
    # With runs of one sample the card counts samples.
    card["samples"] = {"expected": 1, "run_id": "run_accession"}
    assert _states(card, client)["archive.samples"] == "agrees"
    (row,) = verify.checks(card, _client(pages={ena.ena_file_report("SRP1"): ""}))
    assert row["state"] == "differs" and "no such public study" in row["found"]


def test_a_study_of_biostudies():
    record = {
        "attributes": [{"name": "Title", "value": "x"}],
        "section": {
            "attributes": [{"name": "Organism", "value": "Homo sapiens"}],
            "files": [{"path": "sub/a.h5ad", "size": 9}],
        },
    }
    card = _card(
        accession="E-MTAB-1",
        samples={},
        files={"counts": {"source": "biostudies", "name": "a.h5ad"}},
    )
    client = _client(pages={biostudies.biostudies_study("E-MTAB-1"): json.dumps(record)})
    states = _states(card, client)
    assert states == {"archive.organism": "agrees", "archive.files.counts": "agrees"}


def test_ranges_of_ids():
    assert verify.expand_ids(["GSM9-GSM11", "SRR1", "A-B"]) == [
        "GSM9",
        "GSM10",
        "GSM11",
        "SRR1",
        "A-B",
    ]


def test_compare_leaves_it_to_the_caller_what_an_error_means():
    with pytest.raises(InputError, match="no archive that alsmuscle asks"):
        verify.compare(_card(accession="X1"), _client())
