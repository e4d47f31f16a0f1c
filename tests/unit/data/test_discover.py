"""Discovery, drafts and comparison against a stand-in for the archive that replays answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alsmuscle.archives import geo
from alsmuscle.core.errors import InputError
from alsmuscle.data import cards
from alsmuscle.data.discover import WITH_COUNTS, card_text, compare, discover, draft
from alsmuscle.download.policy import FetchError
from standin import Archive, record, series


@pytest.fixture
def archive() -> Archive:
    return Archive()


# --- discover -------------------------------------------------------------------------------------


def test_pages_are_read_to_the_end_and_each_series_is_listed_once(archive: Archive) -> None:
    many = [record(number) for number in range(1, 451)]
    archive.add(*many)
    archive.hits = {
        "one": [item["uid"] for item in many],
        "two": [many[3]["uid"]],
        f"(one) AND {WITH_COUNTS}": [many[3]["uid"]],
    }
    table = discover({"a": "one", "b": "two"}, archive, known=["gse5"])
    assert len(table) == 450
    assert table["accession"].is_unique
    row = table.set_index("accession").loc["GSE4"]
    assert (row["found_by"], row["ncbi_counts"], row["sra"]) == ("a;b", "no", "SRP4")
    assert table.set_index("accession").loc["GSE5", "in_registry"]
    assert table["in_registry"].sum() == 1
    assert table.attrs["problems"] == []


def test_ncbi_counts_are_yes_no_or_unknown(archive: Archive) -> None:
    archive.add(record(1), record(2), record(3))
    archive.hits = {
        "t": ["200000001", "200000002"],
        f"(t) AND {WITH_COUNTS}": ["200000002"],
    }
    archive.links = ["200000003", "100024676", "302452128"]
    table = discover({"q": "t"}, archive, papers=["30050118"]).set_index("accession")
    assert table["ncbi_counts"].to_dict() == {"GSE1": "no", "GSE2": "yes", "GSE3": "unknown"}
    assert table.loc["GSE3", "found_by"] == "paper"


def test_one_failing_search_does_not_take_the_others_down(archive: Archive) -> None:
    archive.add(record(1))
    archive.hits = {"good": ["200000001"]}

    def client(url: str) -> str:
        if "term=bad" in url:
            return '{"esearchresult": {"ERROR": "Search Backend failed"}}'
        if "term=down" in url:
            raise FetchError("HTTP 503 (gave up after 6 tries)", url=url)
        return archive(url)

    table = discover({"x": "bad", "y": "good", "z": "down"}, client)
    assert table["accession"].tolist() == ["GSE1"]
    assert len(table.attrs["problems"]) == 2
    assert "Search Backend failed" in table.attrs["problems"][0]
    with pytest.raises(InputError, match=r"no search was answered.*503"):
        discover({"z": "down"}, client)


def test_what_ncbi_dropped_or_cut_is_reported(archive: Archive) -> None:
    archive.add(*(record(number) for number in range(1, 301)))
    uids = list(archive.records)
    archive.hits = {"t": uids}

    def client(url: str) -> str:
        answer = archive(url)
        if "term=t&" in url and "esearch" in url:
            document = json.loads(answer)
            if "retstart=0&" in url:
                document["esearchresult"]["errorlist"] = {"phrasesnotfound": ["G93A"]}
            else:
                document["esearchresult"]["idlist"] = []
            return json.dumps(document)
        return answer

    table = discover({"q": "t"}, client)
    assert len(table) == 200
    assert table.attrs["problems"] == [
        "q: NCBI says phrasesnotfound: G93A",
        "q: 300 hits, but only 200 were given out",
    ]
    limited = discover({"q": "t"}, archive, limit=50)
    assert len(limited) == 50
    assert "first 50" in limited.attrs["problems"][0]


def test_a_server_that_repeats_itself_is_not_asked_for_ever(archive: Archive) -> None:
    archive.add(record(1))

    def client(url: str) -> str:
        if "esearch" in url:
            return json.dumps({"esearchresult": {"count": "13", "idlist": ["200000001"]}})
        return archive(url)

    table = discover({"q": "t"}, client)
    assert table["accession"].tolist() == ["GSE1"]
    assert table.attrs["problems"] == ["q: 13 hits, but only 1 were given out"]


def test_nothing_found_is_an_empty_table(archive: Archive) -> None:
    table = discover({"a": "one", "b": "two"}, archive)
    assert len(table) == 0
    assert {"accession", "found_by"} <= set(table.columns)


# --- draft ----------------------------------------------------------------------------------------


def checked(card: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The card as it comes back from its file, through all checks of the registry."""
    path = tmp_path / f"{card['id']}.yaml"
    path.write_text(card_text(card), encoding="utf-8")
    read = cards.load_yaml(path)
    cards.validate(read, "dataset", path)
    cards.check_card(read, path)
    assert read == card
    return read


def test_a_draft_proposes_groups_and_passes_all_checks(archive: Archive, tmp_path: Path) -> None:
    groups = ["ALS"] * 3 + ["healthy control"] * 3
    accession = series(
        archive, 12, groups, "GSE12_raw_counts.csv.gz", "filelist.txt", title="Muscle in ALS"
    )
    card = checked(draft(accession, archive), tmp_path)
    assert (card["status"], card["use"]) == ("draft", False)
    assert (card["organism"], card["modality"], card["role"]) == ("human", "bulk", "als_patient")
    assert card["counts"]["separator"] == "comma"
    assert card["files"][card["counts"]["file"]]["name"] == "GSE12_raw_counts.csv.gz"
    columns = card["samples"]["columns"]
    assert columns["condition"] == {
        "from": "disease:ch1",
        "map": {"ALS": "als", "healthy control": "healthy_control"},
    }
    assert columns["sex"]["map"] == {"F": "female", "male": "male"}
    assert columns["age"]["numeric"]
    assert [(item["target"], item["reference"]) for item in card["contrasts"]] == [
        ("als", "healthy_control")
    ]
    assert card["samples"]["expected"] == 6
    assert card["facts"]["role"] == "no"
    assert any("guess" in caveat for caveat in card["caveats"])


def test_a_draft_can_never_be_used_unread(archive: Archive, tmp_path: Path) -> None:
    card = draft(series(archive, 12, ["a", "a", "b", "b"], "GSE12_counts.tsv.gz"), archive)
    card["use"] = True
    with pytest.raises(InputError, match="draft"):
        cards.check_card(card, tmp_path / f"{card['id']}.yaml")
    assert card_text(card).startswith("# A draft")


def test_a_draft_takes_ncbi_counts_where_they_exist(archive: Archive, tmp_path: Path) -> None:
    accession = series(archive, 13, ["a", "a", "b", "b"], "GSE13_RAW.tar")
    archive.pages[geo.ncbi_counts_page(accession)] = (
        f'<a href="{geo.ncbi_counts(accession).replace("&", "&amp;")}">counts</a>'
    )
    card = checked(draft(accession, archive), tmp_path)
    assert card["files"][card["counts"]["file"]] == {"source": "ncbi_counts"}


def test_a_draft_of_per_sample_files(archive: Archive, tmp_path: Path) -> None:
    accession = series(archive, 14, ["sham"] * 2 + ["cut"] * 2, "GSE14_RAW.tar", "filelist.txt")
    archive.pages[geo.geo_supplementary(accession, "filelist.txt")] = (
        "#Archive/File\tName\tTime\tSize\tType\nArchive\tGSE14_RAW.tar\tt\t9\tTAR\n"
        "File\tGSM1_a-1.counts.txt.gz\tt\t2\tTXT\nFile\tGSM2_b.counts.txt.gz\tt\t2\tTXT\n"
    )
    card = checked(draft(accession, archive), tmp_path)
    assert card["counts"]["layout"] == "tar_tables"
    found = re.match(card["counts"]["member"], "GSM2_b.counts.txt.gz")
    assert found
    assert found["sample_id"] == "GSM2"
    assert card["contrasts"][0]["reference"] == "sham"


def test_drafts_of_cells_and_arrays(archive: Archive, tmp_path: Path) -> None:
    cells = series(
        archive, 15, ["a", "b"] * 2, "GSE15_RAW.tar", title="snRNA-seq of denervated muscle",
        taxon="Mus musculus",
    )  # fmt: skip
    card = checked(draft(cells, archive), tmp_path)
    assert (card["modality"], card["organism"], card["role"]) == ("cells", "mouse", "denervation")
    assert (card["cells"]["material"], card["cells"]["layout"]) == ("nuclei", "10x_triplets")
    array = series(archive, 16, ["a", "b"] * 2, gdstype="Expression profiling by array")
    card = checked(draft(array, archive), tmp_path)
    assert card["modality"] == "array"
    assert "counts" not in card
    assert card["files"]["soft_family"] == {"source": "geo_soft"}


def test_a_draft_without_groups_says_so(archive: Archive, tmp_path: Path) -> None:
    accession = series(archive, 17, ["only one"] * 4, "GSE17_counts.txt.gz")
    card = checked(draft(accession, archive), tmp_path)
    assert card["contrasts"] == []
    assert "No characteristic groups the samples" in cards.unusable(card)


def test_labels_that_clash_or_look_odd_stay_apart(archive: Archive, tmp_path: Path) -> None:
    groups = ["7 d", "7-d", "Ödem", "7 d", "7-d", "Ödem"]
    card = checked(draft(series(archive, 18, groups, "GSE18_counts.txt.gz"), archive), tmp_path)
    levels = card["samples"]["columns"]["condition"]["map"]
    assert len(set(levels.values())) == 3
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", level) for level in levels.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda archive: archive.records.clear(), "no such public series"),
        (
            lambda archive: archive.records["200000019"].update(n_samples=5),
            r"4 different samples(?s:.*)5 samples",
        ),
        (
            lambda archive: archive.records["200000019"].update(taxon="Danio rerio"),
            "Danio rerio",
        ),
        (
            lambda archive: archive.records["200000019"].update(taxon="Homo sapiens; Mus musculus"),
            "one species",
        ),
        (
            lambda archive: archive.pages.pop(geo.geo_folder("GSE19", "suppl")),
            "no processed file",
        ),
    ],
)
def test_what_cannot_be_drafted(archive: Archive, change, message: str) -> None:  # type: ignore[no-untyped-def]
    accession = series(archive, 19, ["a", "a", "b", "b"], "GSE19_counts.txt.gz")
    change(archive)
    with pytest.raises(InputError, match=message):
        draft(accession, archive)


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(archive: Archive) -> None:
    accession = series(archive, 20, ["a", "a", "b", "b"], "GSE20_counts.txt.gz")

    def client(url: str) -> str:
        if url.endswith("/suppl/"):
            raise FetchError("HTTP 503 (gave up after 6 tries)", url=url, status=503)
        return archive(url)

    with pytest.raises(FetchError, match="503"):
        draft(accession, client)


# --- compare --------------------------------------------------------------------------------------


def test_a_card_against_the_archive(archive: Archive) -> None:
    accession = series(archive, 21, ["a", "a", "b", "b"], "GSE21_counts.txt.gz")
    card = draft(accession, archive)
    assert compare(card, archive)["agrees"].all()
    card = yaml.safe_load(card_text(card))
    card["organism"] = "mouse"
    card["samples"]["expected"] = 5
    card["files"]["old"] = {"url": geo.geo_supplementary(accession, "GSE21_old.txt.gz")}
    card["files"]["elsewhere"] = {"url": "https://example.org/x"}
    table = compare(card, archive).set_index("field")
    assert table.index[~table["agrees"]].tolist() == ["organism", "samples", "files.old"]
    assert table.loc["samples", ["card", "archive"]].tolist() == ["5", "4"]
    assert table.loc["files.old", "archive"] == "GSE21_counts.txt.gz"
    assert "files.elsewhere" not in table.index
