"""Every recorded answer at hand goes through our readers; none is forgotten.

What an archive of ours said is read. What is no answer of one (other archives, bare lists, another
program's own output) is refused with words, never read as something that it is not.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from alsmuscle.archives import biostudies, cellxgene, ena, eutils, geo
from alsmuscle.core.errors import InputError
from alsmuscle.data import record
from alsmuscle.data.readers import arrays, sample_sheets
from alsmuscle.download.decode import read_text
from support import ROOT

pytestmark = pytest.mark.verify
FIXTURES = Path(os.environ.get("ALSMUSCLE_FIXTURES") or ROOT.parent / "shared" / "fixtures")
READERS = (
    sample_sheets.parse_file_report,
    sample_sheets.parse_soft_samples,
    ena.parse_archive_xml,
    eutils.parse_esearch,
    eutils.parse_esummary,
    biostudies.parse_biostudies_study,
    cellxgene.parse_cellxgene,
    geo.parse_filelist,
)


def archive_xml(accession: str, **rows: int) -> Callable[[Path], None]:
    """SRA's or ENA's XML: holds the accession, and so many rows of a kind."""

    def check(path: Path) -> None:
        table = ena.parse_archive_xml(path.read_text())
        assert accession in set(table["accession"])
        for kind, number in rows.items():
            assert (table["kind"] == kind).sum() == number, kind

    return check


def run_table(runs: int, files: int | None = None, kind: str = "fastq") -> Callable[[Path], None]:
    """ENA's report as it answers: tab-separated, perhaps with one column only."""

    def check(path: Path) -> None:
        report = sample_sheets.parse_file_report(path.read_text())
        assert len(report) == runs
        if files is not None:
            assert len(ena.ena_files(report, kind)) == files

    return check


def run_sheet(runs: int, column: str) -> Callable[[Path], None]:
    """A run table that another program saved with commas: a sample sheet like any other."""

    def check(path: Path) -> None:
        sheet = sample_sheets.read_sheet(path, {"layout": "csv"})
        assert len(sheet) == runs
        assert sheet[column].str.fullmatch(r"[ES]RR\d+").all()

    return check


def refused(accession: str = "") -> Callable[[Path], None]:
    """No answer of an archive that we ask: every reader says so, in words."""

    def check(path: Path) -> None:
        text = path.read_text()
        for reader in READERS:
            with pytest.raises(InputError) as caught:
                reader(text)
            assert len(str(caught.value)) > 20, reader
        if accession:
            assert record.holder(accession) == ""
            card = {"id": "x", "accession": accession, "organism": "human", "files": {}}
            with pytest.raises(
                InputError, match=f"no archive that alsmuscle asks holds {accession}"
            ):
                record.compare(card, lambda url: text)
            with pytest.raises(InputError, match="no accession of ENA or SRA"):
                ena.ena_file_report(accession)

    return check


def search(path: Path) -> None:
    count, uids = eutils.parse_esearch(path.read_text())
    assert count == 13
    assert geo.gds_uid("GSE93374") in uids


def series_summary(path: Path) -> None:
    summary = eutils.parse_esummary(path.read_text())
    assert summary[["accession", "n_samples"]].values.tolist() == [["GSE93374", 11]]
    assert len(eutils.summary_samples(path.read_text())) == 11


def sample_summary(path: Path) -> None:
    summary = eutils.parse_esummary(path.read_text())
    assert summary[["accession", "sra"]].values.tolist() == [["GSM3717978", "SRX5692097"]]


def soft(*accessions: str) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        assert sample_sheets.parse_soft_samples(read_text(path))["geo_accession"].tolist() == [
            *accessions
        ]

    return check


def soft_tables(path: Path) -> None:
    platforms, samples = arrays.read_soft_tables(path)
    text = path.read_text()
    assert len(platforms) == text.count("!platform_table_begin")
    assert list(samples) == sample_sheets.parse_soft_samples(text)["geo_accession"].tolist()
    assert all(len(table) for _, table in samples.values())


def sample_with_table(path: Path) -> None:
    soft("GSM11805")(path)
    with gzip.open(path, "rt", encoding="latin-1") as file:
        rows = file.read().partition("!sample_table_begin")[2].partition("!sample_table_end")[0]
    _, samples = arrays.read_soft_tables(path)
    assert len(samples["GSM11805"][1]) == len(rows.strip().splitlines()) - 1


def platform_annotation(path: Path) -> None:
    spec = {"id_column": "ID", "symbol_column": "Gene symbol", "gene_column": "Gene ID"}
    probes = arrays.read_annotation(path, spec)
    assert len(probes) == 22_645
    assert (probes["symbol"] != "").mean() > 0.5


ANSWERS: dict[str, Callable[[Path], None]] = {
    "ffq/CRX118013.txt": refused("CRX118013"),  # a BioProject page under an accession of the GSA
    "ffq/ENCBS941ZTJ.txt": refused("ENCBS941ZTJ"),
    "ffq/ENCDO072AAA.txt": refused("ENCDO072AAA"),
    "ffq/GSE93374_search.txt": search,
    "ffq/GSE93374_summary.txt": series_summary,
    "ffq/GSM3717978_summary.txt": sample_summary,
    "ffq/SRP096361_with_runlist.txt": archive_xml("SRP096361", study=1),
    "ffq/SRP178136.txt": archive_xml("SRP178136", study=1),
    "ffq/SRR5398235_keyed.json": refused(),  # links sorted by the program that saved them
    "ffq/SRR6835844.txt": archive_xml("SRR6835844", run=1),
    "ffq/SRR6835844_altlinks_new.txt": archive_xml("SRR6835844", run=1),
    "ffq/SRR6835844_altlinks_old.txt": archive_xml("SRR6835844", run=1),
    "ffq/SRR8426358.txt": archive_xml("SRR8426358", run=1),
    "ffq/SRS4237519.txt": archive_xml("SRS4237519", sample=1),
    "ffq/SRX3517583.txt": archive_xml("SRX3517583", experiment=1),
    "ffq/SRX5692097_xml.txt": archive_xml("SRX5692097", experiment=1),
    "ffq/bam.txt": run_table(1, 2, "submitted"),
    "ffq/bam_empty.txt": run_table(1, 0, "submitted"),
    "ffq/fastqs.txt": run_table(1, 2),
    "ffq/fastqs_empty.txt": run_table(1, 0),
    "geoparse/GPL97.annot.gz": platform_annotation,
    "geoparse/GSM11805.txt.gz": sample_with_table,
    "geoparse/GSM32878.txt": soft("GSM32878"),
    "geoparse/soft_ex_family.txt": soft_tables,
    "pysradb/ena_search_test1.txt": run_table(77),
    "pysradb/ena_test_verbosity_0.csv": run_sheet(1000, "run_accession"),
    "pysradb/ena_test_verbosity_1.csv": run_sheet(1000, "run_accession"),
    "pysradb/ena_test_verbosity_2.csv": run_sheet(1000, "run_accession"),
    "pysradb/ena_test_verbosity_3.csv": run_sheet(1000, "run_accession"),
    "pysradb/geo_search_test1.txt": refused(),
    "pysradb/sra_search_test1.txt": refused(),
    "pysradb/sra_test.xml": archive_xml("SRX7830165", run=92),
    "pysradb/sra_test_2_verbosity_0.csv": run_sheet(1, "run_accession"),
    "pysradb/sra_test_2_verbosity_1.csv": run_sheet(1, "run_accession"),
    "pysradb/sra_test_2_verbosity_2.csv": run_sheet(1, "run_1_accession"),
    "pysradb/sra_test_2_verbosity_3.csv": run_sheet(1, "run_1_accession"),
    "pysradb/sra_test_ERS3331676.xml": archive_xml("ERX4190585", run=1),
    "pysradb/sra_test_verbosity_0.csv": run_sheet(92, "run_accession"),
    "pysradb/sra_test_verbosity_1.csv": run_sheet(92, "run_accession"),
    "pysradb/sra_test_verbosity_2.csv": run_sheet(87, "run_1_accession"),
    "pysradb/sra_test_verbosity_3.csv": run_sheet(87, "run_1_accession"),
    "pysradb/sra_uids.txt": refused(),
}


def test_every_recorded_answer_has_a_reader_or_a_refusal():
    there = {
        path.relative_to(FIXTURES).as_posix() for path in FIXTURES.rglob("*") if path.is_file()
    }
    assert there == set(ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_recorded_answer(name):
    ANSWERS[name](FIXTURES / name)
