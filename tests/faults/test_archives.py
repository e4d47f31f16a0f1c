"""Every source of a card, against a server that answers as the archives do."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from alsmuscle.archives import biostudies, catalogue, cellxgene, ena, geo, recount3
from alsmuscle.core.errors import InputError
from alsmuscle.data import fetch
from alsmuscle.download.policy import FetchPolicy
from faultserver import PACKED, Archives, Reply, sha256

ACCESSION = "GSE183802"
SUPPL = "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE183nnn/GSE183802/suppl/"
S3 = "https://recount-opendata.s3.amazonaws.com/recount3/release"


def card(**file: Any) -> dict[str, Any]:
    return {
        "id": "gse183802",
        "accession": ACCESSION,
        "organism": "human",
        "citation": {"text": "nobody"},
        "files": {"counts": file},
    }


def get(tmp_path: Path, policy: FetchPolicy, **file: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Fetch one file as its card names it: row of the manifest (or {}), row of the checks."""
    manifest, checks = fetch.study_files(card(**file), cache=tmp_path, policy=policy)
    found = next(row for row in checks if row["check"] == "files.counts")
    return (manifest[0] if manifest else {}), found


# Address → content, by source: what the archives were seen to serve (see sources.py for evidence).
CELLXGENE = {"accession": f"{'a' * 8}-aaaa-aaaa-aaaa-{'a' * 12}"}
CELLXGENE |= {"dataset": f"{'b' * 8}-bbbb-bbbb-bbbb-{'b' * 12}"}
PLACES = [
    (
        {"source": "geo_supplement", "name": "GSE183802_a b.txt.gz"},
        f"{SUPPL}GSE183802_a%20b.txt.gz",
    ),
    ({"source": "geo_raw"}, f"{SUPPL}GSE183802_RAW.tar"),
    (
        {"source": "geo_supplement", "accession": "GSM7", "name": "GSM7_x.txt.gz"},
        "https://ftp.ncbi.nlm.nih.gov/geo/samples/GSMnnn/GSM7/suppl/GSM7_x.txt.gz",
    ),
    (
        {"source": "geo_matrix"},
        "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE183nnn/GSE183802/matrix/"
        "GSE183802_series_matrix.txt.gz",
    ),
    (
        {"source": "geo_matrix", "platform": "GPL570"},
        "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE183nnn/GSE183802/matrix/"
        "GSE183802-GPL570_series_matrix.txt.gz",
    ),
    (
        {"source": "geo_soft"},
        "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE183nnn/GSE183802/soft/GSE183802_family.soft.gz",
    ),
    (
        {"source": "geo_annotation", "platform": "GPL97"},
        "https://ftp.ncbi.nlm.nih.gov/geo/platforms/GPLnnn/GPL97/annot/GPL97.annot.gz",
    ),
    (
        {"source": "ncbi_counts"},
        "https://www.ncbi.nlm.nih.gov/geo/download/?type=rnaseq_counts&acc=GSE183802&format=file"
        "&file=GSE183802_raw_counts_GRCh38.p13_NCBI.tsv.gz",
    ),
    (
        {"source": "ncbi_annotation"},
        "https://www.ncbi.nlm.nih.gov/geo/download/?format=file&type=rnaseq_counts"
        "&file=Human.GRCh38.p13.annot.tsv.gz",
    ),
    (
        {"source": "recount3", "accession": "SRP140795"},
        f"{S3}/human/data_sources/sra/gene_sums/95/SRP140795/sra.gene_sums.SRP140795.G026.gz",
    ),
    (
        {"source": "recount3", "accession": "SRP140795", "table": "recount_qc"},
        f"{S3}/human/data_sources/sra/metadata/95/SRP140795/sra.recount_qc.SRP140795.MD.gz",
    ),
    (
        {"source": "ena_report", "accession": "SRP140795"},
        ena.ena_file_report("SRP140795"),
    ),
    (
        {"source": "biostudies", "accession": "E-MTAB-13874", "name": "E-MTAB-13874.sdrf.txt"},
        "https://www.ebi.ac.uk/biostudies/files/E-MTAB-13874/E-MTAB-13874.sdrf.txt",
    ),
]


@pytest.mark.parametrize(("file", "url"), PLACES, ids=lambda value: value.get("source", "")
                         if isinstance(value, dict) else "")  # fmt: skip
def test_a_source_leads_to_the_archives_address(
    archives: Archives, policy: FetchPolicy, tmp_path: Path, file: dict[str, Any], url: str
) -> None:
    plain = url.endswith((".txt", "format=tsv"))
    content = b"run_accession\tx\nSRR1\ty\n" if plain else _tar() if "RAW" in url else PACKED
    archives.serve(url, content)
    row, check = get(tmp_path, policy, **file)
    assert row["url"] == url
    assert row["sha256"] == sha256(content)
    assert check["state"] == "not verified"  # arrived, and nothing to hold it against
    # The second time the lock file tells.
    asked = len(archives.seen)
    again, _ = get(tmp_path, policy, **file)
    assert again == row
    assert all(url not in seen for seen, _, _ in archives.seen[asked:])
    wrong, check = get(tmp_path / "other", policy, **file, sha256="0" * 64)
    assert not wrong
    assert check["state"] == "failed"
    said = check["card"] + check["found"]
    assert "0" * 64 in said and sha256(content) in said


def _tar() -> bytes:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("GSM1_a.txt")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"a\t1\n"))
    return buffer.getvalue()


# --- names that nobody has seen -------------------------------------------------------------------


def test_a_name_is_found_by_its_pattern(
    archives: Archives, policy: FetchPolicy, tmp_path: Path
) -> None:
    archives.folder(SUPPL, {"GSE183802_raw_counts.txt.gz": PACKED, "filelist.txt": b"x"})
    row, _ = get(tmp_path, policy, source="geo_supplement", match=r".*counts.*\.txt\.gz")
    assert row["url"] == f"{SUPPL}GSE183802_raw_counts.txt.gz"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), ["0 names match"]),
        (("a_counts.gz", "b_counts.gz"), ["2 names match", "a_counts.gz, b_counts.gz"]),
        (("a_Counts.txt",), ["0 names match", "a_Counts.txt"]),
    ],
)
def test_a_pattern_must_fit_exactly_one_name(
    archives: Archives,
    policy: FetchPolicy,
    tmp_path: Path,
    names: tuple[str, ...],
    expected: list[str],
) -> None:
    archives.folder(SUPPL, dict.fromkeys(names, PACKED))
    row, check = get(tmp_path, policy, source="geo_supplement", match=r".*counts\.gz")
    assert not row
    assert check["state"] == "failed"
    for words in expected:
        assert words in f"{check['found']} {check['card']}"
    assert SUPPL in check["found"]


def test_a_series_without_supplementary_files_says_so(
    archives: Archives, policy: FetchPolicy, tmp_path: Path
) -> None:
    archives.serve(SUPPL, Reply(b"<title>403 Forbidden</title>", 403, etag=None))
    row, check = get(tmp_path, policy, source="geo_supplement", match=".*")
    assert not row
    # NCBI also says 403 when it is busy.
    assert check["state"] == "unreachable"
    assert "403" in check["found"] and SUPPL in check["found"]


def test_a_mirror_answers_for_a_folder(
    archives: Archives, policy: FetchPolicy, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "c.gz").write_bytes(PACKED)
    url = f"{SUPPL}GSE183802_counts.txt.gz"
    (mirror / "index.tsv").write_text(
        f"url\tpath\tsha256\tbytes\tnote\n{url}\tc.gz\t{sha256(PACKED)}\t{len(PACKED)}\t\n"
    )
    named = card(source="geo_supplement", match=".*counts.*")
    manifest, _ = fetch.study_files(named, cache=tmp_path / "cache", mirror=mirror, policy=policy)
    assert (manifest[0]["url"], manifest[0]["source"]) == (url, "mirror")
    assert not any(SUPPL in seen for seen, _, _ in archives.seen)


def test_files_of_biostudies_are_found_in_the_studys_record(
    archives: Archives, policy: FetchPolicy, tmp_path: Path
) -> None:
    record = {"section": {"files": [{"path": "E-MTAB-1.sdrf.txt", "size": 9}, {"path": "b.txt"}]}}
    archives.serve(biostudies.biostudies_study("E-MTAB-1"), json.dumps(record))
    url = biostudies.biostudies_file("E-MTAB-1", "E-MTAB-1.sdrf.txt")
    archives.serve(url, "Source Name\tx\na\tb\n")
    row, _ = get(
        tmp_path, policy, source="biostudies", accession="E-MTAB-1", match=r".*\.sdrf\.txt"
    )
    assert row["url"] == url


def test_cellxgene_gives_the_address_of_this_version(
    archives: Archives, policy: FetchPolicy, tmp_path: Path
) -> None:
    h5ad = "https://datasets.cellxgene.cziscience.com/1234.h5ad"
    asset = {"filetype": "H5AD", "url": h5ad, "filesize": 9}
    record = cellxgene.cellxgene_dataset(CELLXGENE["accession"], CELLXGENE["dataset"])
    archives.serve(record, json.dumps({"assets": [{"filetype": "RDS", "url": "x"}, asset]}))
    archives.serve(h5ad, _h5(tmp_path))
    row, _ = get(tmp_path, policy, source="cellxgene", **CELLXGENE)
    assert row["url"] == h5ad
    archives.serve(record, json.dumps({"message": "no such dataset", "status": 404}))
    row, check = get(tmp_path, policy, source="cellxgene", **CELLXGENE)
    assert not row and "no such dataset" in check["found"]


def _h5(folder: Path) -> bytes:
    import h5py

    with h5py.File(folder / "x.h5", "w") as file:
        file["a"] = [1]
    return (folder / "x.h5").read_bytes()


# --- what archives do at times --------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 500, 503])
def test_recount3_is_taken_from_the_mirror_that_answers(
    archives: Archives, policy: FetchPolicy, tmp_path: Path, status: int
) -> None:
    first, second, _ = recount3.recount3_gene_sums("SRP140795", "human")
    archives.serve(first, Reply(b"", status, etag=None))
    archives.serve(second, PACKED)
    row, _ = get(tmp_path, policy, source="recount3", accession="SRP140795")
    assert row["url"] == second


def test_recount3_over_plain_http_is_the_last_resort(
    archives: Archives, policy: FetchPolicy, tmp_path: Path
) -> None:
    last = recount3.recount3_gene_sums("SRP140795", "human")[-1]
    archives.serve(last, PACKED)
    row, _ = get(tmp_path, policy, source="recount3", accession="SRP140795")
    assert row["url"] == last and last.startswith("http://")


def test_an_absent_project_names_every_address(
    archives: Archives, policy: FetchPolicy, tmp_path: Path
) -> None:
    row, check = get(tmp_path, policy, source="recount3", accession="SRP1407")
    assert not row and check["state"] == "failed"
    for url in recount3.recount3_gene_sums("SRP1407", "human"):
        assert url in check["found"]


def test_the_annotation_link_that_gives_a_page_is_named(
    archives: Archives, policy: FetchPolicy, tmp_path: Path
) -> None:
    page = "<html><head><title>GEO Download</title></head><body>choose a file</body></html>"
    archives.serve(geo.ncbi_annotation("human"), page)
    row, check = get(tmp_path, policy, source="ncbi_annotation")
    assert not row
    assert "a web page came instead of the file: “GEO Download”" in check["found"]


def test_a_series_without_ncbi_counts(
    archives: Archives, policy: FetchPolicy, tmp_path: Path
) -> None:
    row, check = get(tmp_path, policy, source="ncbi_counts")
    assert not row and "404" in check["found"] and ACCESSION in check["found"]


def test_ena_knows_nothing(archives: Archives, policy: FetchPolicy, tmp_path: Path) -> None:
    archives.serve(ena.ena_file_report("SRP1"), Reply(b"", 204, etag=None, length=False))
    row, check = get(tmp_path, policy, source="ena_report", accession="SRP1")
    assert not row and check["state"] == "failed"
    assert "204" in check["found"]


def test_one_file_that_fails_leaves_the_others(
    archives: Archives, policy: FetchPolicy, tmp_path: Path
) -> None:
    archives.serve(f"{SUPPL}a.txt.gz", PACKED)
    study = card(source="geo_supplement", name="b.txt.gz")
    study["files"]["sheet"] = {"source": "geo_supplement", "name": "a.txt.gz"}
    manifest, checks = fetch.study_files(study, cache=tmp_path, policy=policy)
    assert [row["name"] for row in manifest] == ["sheet"]
    states = {row["check"]: row["state"] for row in checks}
    assert states["files.counts"] == "failed"


def test_without_a_network_nothing_is_asked(
    archives: Archives, policy: FetchPolicy, tmp_path: Path
) -> None:
    from dataclasses import replace

    row, check = get(tmp_path, replace(policy, offline=True), source="geo_raw")
    assert not row and check["state"] == "unreachable"
    assert "network is switched off" in check["found"]
    assert not archives.seen


def test_two_files_of_one_name_do_not_overwrite_each_other(
    archives: Archives, policy: FetchPolicy, tmp_path: Path
) -> None:
    other = gzip.compress(b"other\n", mtime=0)
    archives.serve("https://ftp.ncbi.nlm.nih.gov/geo/samples/GSMnnn/GSM1/suppl/x.txt.gz", PACKED)
    archives.serve("https://ftp.ncbi.nlm.nih.gov/geo/samples/GSMnnn/GSM2/suppl/x.txt.gz", other)
    study = card(source="geo_supplement", accession="GSM1", name="x.txt.gz")
    study["files"]["more"] = {"source": "geo_supplement", "accession": "GSM2", "name": "x.txt.gz"}
    manifest, _ = fetch.study_files(study, cache=tmp_path, policy=policy)
    assert [Path(row["path"]).read_bytes() for row in manifest] == [PACKED, other]


def test_an_unknown_accession_is_an_error_not_a_crash() -> None:
    with pytest.raises(InputError, match="no accession of GEO"):
        catalogue.addresses({"source": "geo_raw"}, accession="SRP1", organism="human")
