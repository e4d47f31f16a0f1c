"""URLs against names that were seen; parsers against recorded answers, shortened."""

from __future__ import annotations

import csv
import gzip
import json
import os
from pathlib import Path

import pytest

from alsmuscle.archives import biostudies, cellxgene, ena, eutils, geo, recount3
from alsmuscle.core.errors import InputError, PassingError
from alsmuscle.data.readers import sample_sheets
from support import ROOT

UUID = "283d65eb-dd53-496d-adb7-7570c7caa443"


def _mirror() -> Path:
    default = ROOT.parent / "shared" / "mirror"
    return Path(os.environ.get("ALSMUSCLE_MIRROR", default))


# --- URLs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accession", "stub"),
    [
        ("GSE183802", "GSE183nnn"),
        ("GSE3307", "GSE3nnn"),
        ("GSE1000", "GSE1nnn"),
        ("GSE781", "GSEnnn"),
        ("GSE9", "GSEnnn"),
        ("GSM4653863", "GSM4653nnn"),
        (" gse67196 ", "GSE67nnn"),
    ],
)
def test_series_stub(accession: str, stub: str) -> None:
    assert geo.series_stub(accession) == stub


# Each of these addresses was seen in public code, in a recorded answer or in the mirror's index.
SEEN = {
    "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE67nnn/GSE67196/suppl/"
    "GSE67196_Petrucelli2015_ALS_genes.rawcount.txt.gz": geo.geo_supplementary(
        "GSE67196", "GSE67196_Petrucelli2015_ALS_genes.rawcount.txt.gz"
    ),
    "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE67nnn/GSE67196/matrix/"
    "GSE67196_series_matrix.txt.gz": geo.geo_series_matrix("GSE67196"),
    "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE144nnn/GSE144396/matrix/"
    "GSE144396-GPL18480_series_matrix.txt.gz": geo.geo_series_matrix("GSE144396", "GPL18480"),
    "https://ftp.ncbi.nlm.nih.gov/geo/series/GSEnnn/GSE781/soft/GSE781_family.soft.gz": (
        geo.geo_soft_family("GSE781")
    ),
    "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE184nnn/GSE184951/suppl/GSE184951_RAW.tar": (
        geo.geo_raw_tar("GSE184951")
    ),
    "https://ftp.ncbi.nlm.nih.gov/geo/samples/GSM4653nnn/GSM4653863/suppl/": (
        geo.geo_supplementary("GSM4653863")
    ),
    "https://www.ncbi.nlm.nih.gov/geo/download/?type=rnaseq_counts&acc=GSE129643&format=file"
    "&file=GSE129643_raw_counts_GRCh38.p13_NCBI.tsv.gz": geo.ncbi_counts("GSE129643"),
    "https://www.ncbi.nlm.nih.gov/geo/download/?format=file&type=rnaseq_counts"
    "&file=Human.GRCh38.p13.annot.tsv.gz": geo.ncbi_annotation(),
    "https://www.ncbi.nlm.nih.gov/geo/download/?acc=GSE129643": (geo.ncbi_counts_page("GSE129643")),
    "https://recount-opendata.s3.amazonaws.com/recount3/release/human/data_sources/sra/gene_sums/"
    "95/SRP140795/sra.gene_sums.SRP140795.G026.gz": (
        recount3.recount3_gene_sums("SRP140795", "human")[0]
    ),
    "https://recount-opendata.s3.amazonaws.com/recount3/release/mouse/data_sources/sra/metadata/"
    "60/SRP196460/sra.recount_qc.SRP196460.MD.gz": (
        recount3.recount3_metadata("SRP196460", "mouse", "recount_qc")[0]
    ),
    "https://www.ebi.ac.uk/biostudies/api/v1/studies/E-MTAB-13874/info": (
        biostudies.biostudies_info("E-MTAB-13874")
    ),
    f"https://api.cellxgene.cziscience.com/curation/v1/collections/{UUID}/datasets/{UUID}": (
        cellxgene.cellxgene_dataset(UUID, UUID)
    ),
    "https://www.ebi.ac.uk/ena/portal/api/filereport?accession=SRP257509&result=read_run"
    "&fields=run_accession,fastq_ftp&format=tsv": ena.ena_file_report(
        "SRP257509", ("run_accession", "fastq_ftp")
    ),
    "https://eutils.ncbi.nlm.nih.gov/entrez/eutils/esummary.fcgi?db=gds&retmode=json"
    "&id=200093374%2C200067196&tool=alsmuscle": eutils.esummary(
        [geo.gds_uid("GSE93374"), geo.gds_uid("GSE67196")]
    ),
    "303717978": geo.gds_uid("GSM3717978"),
}


@pytest.mark.parametrize("address", SEEN)
def test_builders_give_the_addresses_that_were_seen(address: str) -> None:
    assert SEEN[address] == address


def test_names_are_quoted_and_terms_encoded() -> None:
    assert geo.geo_supplementary("GSE1", "a b+c.txt").endswith("/suppl/a%20b%2Bc.txt")
    url = eutils.esearch('ALS[Title] AND "Homo sapiens"[Organism]', start=200)
    assert "retstart=200" in url
    assert "term=ALS%5BTitle%5D+AND+%22Homo+sapiens%22%5BOrganism%5D" in url


@pytest.mark.parametrize(
    "call",
    [
        lambda: geo.geo_raw_tar("E-MTAB-1"),
        lambda: geo.geo_raw_tar("GSE12/../x"),
        lambda: geo.gds_uid("GSE"),
        lambda: geo.ncbi_counts("GSE1", organism="rat"),
        lambda: recount3.recount3_gene_sums("SRP1", "rat"),
        lambda: recount3.recount3_gene_sums("../x", "human"),
        lambda: biostudies.biostudies_info("GSE1"),
        lambda: ena.ena_file_report("GSE1"),
        lambda: cellxgene.cellxgene_dataset("a", UUID),
    ],
)
def test_wrong_accessions_are_named(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError):
        call()


# --- GEO pages ------------------------------------------------------------------------------------

LISTING = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html>
 <head>
  <title>Index of /geo/series/GSE131nnn/GSE131907/suppl</title>
 </head>
 <body>
<h1>Index of /geo/series/GSE131nnn/GSE131907/suppl</h1>
<pre>Name        Last modified      Size  <hr>\
<a href="/geo/series/GSE131nnn/GSE131907/">Parent Directory</a>                  -
<a href="GSE131907_Lung_Cancer_Feature_Summary.xlsx">GSE131907_Lung_Cancer_Feature_Summary.xlsx</a>\
             2021-01-18 22:37   19K
<a href="GSE131907%5Flog2TPM%5Fmatrix.txt.gz">GSE131907_log2TPM_mat..&gt;</a>\
 2019-05-29 12:17  2.9G
<a href="filelist.txt">filelist.txt</a>            2013-11-05 16:47  795
<a href="sub/">sub/</a>   2013-11-05 16:47    -
<hr></pre>
<a href="https://www.hhs.gov/vulnerability-disclosure-policy/index.html">HHS</a>
"""
FORBIDDEN = """<?xml version="1.0" encoding="UTF-8"?>
<html><head><title>Access forbidden!</title><link rev="made" href="mailto:webadmin@x.gov" /></head>
<body><h2>Error 403</h2><address><a href="/">ftp.ncbi.nlm.nih.gov</a></address></body></html>"""


def test_a_folder_listing() -> None:
    files = {item.name: item for item in geo.parse_listing(LISTING)}
    assert list(files) == [
        "GSE131907_Lung_Cancer_Feature_Summary.xlsx",
        "GSE131907_log2TPM_matrix.txt.gz",
        "filelist.txt",
    ]
    assert files["filelist.txt"].size == 795
    assert files["GSE131907_Lung_Cancer_Feature_Summary.xlsx"].size == 19 * 1024
    assert files["GSE131907_log2TPM_matrix.txt.gz"].size == round(2.9 * 1024**3)
    assert files["filelist.txt"].modified == "2013-11-05 16:47"


def test_an_error_page_is_no_listing_and_hostile_links_list_nothing() -> None:
    with pytest.raises(PassingError, match="no listing"):
        geo.parse_listing(FORBIDDEN)
    hostile = """<h1>Index of /geo</h1><a href="../../x">x</a><a href="%2e%2e%2fx">x</a>
    <a href="//h/x.gz">x</a>
        <a href="?C=N;O=D">Name</a><a href="#top">t</a><a href=".hidden">h</a>
        <a href="javascript:x">j</a><a href="..%5Cx">b</a>"""
    assert geo.parse_listing(hostile) == []


def test_filelist_gives_exact_sizes() -> None:
    text = (
        "#Archive/File\tName\tTime\tSize\tType\n"
        "Archive\tGSE1_RAW.tar\t01/01/2020 00:00:00\t71618560\tTAR\n"
        "File\tGSM1_a.txt.gz\t01/01/2020 00:00:00\t10\tTXT\n"
    )
    table = geo.parse_filelist(text)
    assert table.to_dict("list") == {
        "kind": ["Archive", "File"],
        "name": ["GSE1_RAW.tar", "GSM1_a.txt.gz"],
        "bytes": [71618560, 10],
    }
    for bad in ("", FORBIDDEN, text.replace("71618560", "")):
        with pytest.raises(InputError):
            geo.parse_filelist(bad)


def test_counts_page_with_and_without_counts() -> None:
    page = """<a href="/geo/download/?type=rnaseq_counts&amp;acc=GSE164073&amp;format=file&amp;\
file=GSE164073_raw_counts_GRCh38.p13_NCBI.tsv.gz">raw</a>
        <a href='/geo/download/?format=file&amp;type=rnaseq_counts&amp;\
file=Human.GRCh38.p13.annot.tsv.gz'>annotation</a>
        <a href="/geo/download/?acc=GSE164073&amp;format=file&amp;file=GSE164073%5Fx.csv.gz">x</a>
        <a href="/geo/info/rnaseqcounts.html">about</a>"""
    assert geo.parse_counts_page(page) == {
        "GSE164073_raw_counts_GRCh38.p13_NCBI.tsv.gz": geo.ncbi_counts("GSE164073"),
        "Human.GRCh38.p13.annot.tsv.gz": geo.ncbi_annotation("human"),
    }
    assert geo.parse_counts_page("<a href='/geo/'>none</a>") == {}


SOFT = """^SERIES = GSE1
!Series_title = A series
^SAMPLE = GSM1
!Sample_title = Müller: a = b
!Sample_geo_accession = GSM1
!Sample_characteristics_ch1 = disease: ALS: spinal
!Sample_characteristics_ch1 = age: 50
!Sample_description = one
!Sample_description = two
^SAMPLE = GSM2
!Sample_title = c
!Sample_geo_accession = GSM2
!Sample_characteristics_ch1 = disease: none
"""


def test_soft_samples() -> None:
    table = sample_sheets.parse_soft_samples(SOFT)
    assert table["geo_accession"].tolist() == ["GSM1", "GSM2"]
    assert table["title"].tolist() == ["Müller: a = b", "c"]
    assert table["disease:ch1"].tolist() == ["ALS: spinal", "none"]
    assert table["age:ch1"].tolist() == ["50", ""]
    assert table["description.1"].tolist() == ["two", ""]
    with pytest.raises(InputError, match="no sample"):
        sample_sheets.parse_soft_samples("<html>busy</html>")


# --- E-utilities ----------------------------------------------------------------------------------

SEARCH = {
    "header": {"type": "esearch", "version": "0.3"},
    "esearchresult": {
        "count": "13",
        "retmax": "1",
        "retstart": "0",
        "idlist": ["200093374"],
        "querytranslation": "GSE93374[GEO Accession]",
    },
}
RECORD = {
    "uid": "200093374",
    "accession": "GSE93374",
    "title": "A Molecular Census",
    "summary": "Drop-seq of mouse arcuate nucleus.",
    "gpl": "19057;13112",
    "gse": "93374",
    "taxon": "Mus musculus",
    "entrytype": "GSE",
    "gdstype": "Expression profiling by high throughput sequencing",
    "pdat": "2017/01/31",
    "suppfile": "TXT",
    "samples": [
        {"accession": "GSM2452128", "title": "fast refed 1"},
        {"accession": "GSM2452125", "title": "low fat diet 1"},
    ],
    "extrelations": [{"relationtype": "SRA", "targetobject": "SRP096361", "targetftplink": ""}],
    "n_samples": 2,
    "pubmedids": ["28166221"],
    "ftplink": "ftp://ftp.ncbi.nlm.nih.gov/geo/series/GSE93nnn/GSE93374/",
    "bioproject": "PRJNA360829",
}


def test_esearch_counts_and_lists() -> None:
    assert eutils.parse_esearch(json.dumps(SEARCH)) == (13, ["200093374"])


def test_esummary_becomes_a_row() -> None:
    text = json.dumps({"result": {"uids": ["200093374"], "200093374": RECORD}})
    row = eutils.parse_esummary(text).iloc[0]
    assert row["accession"] == "GSE93374"
    assert row["organism"] == "Mus musculus"
    assert row["n_samples"] == 2
    assert row["platforms"] == "GPL19057;GPL13112"
    assert (row["pubmed"], row["sra"], row["bioproject"]) == (
        "28166221",
        "SRP096361",
        "PRJNA360829",
    )
    assert row["folder"] == geo.geo_folder("GSE93374")
    assert row["published"] == "2017-01-31"
    samples = eutils.summary_samples(text)
    assert samples["sample"].tolist() == ["GSM2452128", "GSM2452125"]
    assert set(samples["series"]) == {"GSE93374"}


def test_esummary_without_hits_is_empty() -> None:
    table = eutils.parse_esummary('{"result": {"uids": []}}')
    assert len(table) == 0
    assert "accession" in table.columns


def test_elink_lists_each_identifier_once() -> None:
    text = json.dumps(
        {
            "linksets": [
                {"linksetdbs": [{"dbto": "gds", "links": ["200018390", "100000571"]}]},
                {"linksetdbs": [{"dbto": "gds", "links": ["200018390"]}]},
                {"ids": ["1"]},
            ]
        }
    )
    assert eutils.parse_elink(text) == ["200018390", "100000571"]


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (eutils.parse_esearch, '{"error":"API rate limit exceeded","count":"11"}', "rate limit"),
        (eutils.parse_esearch, '{"esearchresult":{"ERROR":"Invalid db name"}}', "Invalid db"),
        (eutils.parse_esearch, "<html><title>502</title>", "not JSON"),
        (eutils.parse_esearch, "[]", "not an object"),
        (eutils.parse_esummary, '{"error":"API rate limit exceeded"}', "rate limit"),
        (eutils.parse_esummary, '{"esummaryresult":["Invalid uid 1"]}', "Invalid uid"),
        (
            eutils.parse_esummary,
            '{"result":{"uids":["1"],"1":{"uid":"1","error":"cannot get document summary"}}}',
            "cannot get document summary",
        ),
        (eutils.parse_esummary, '{"result":{"uids":["1"]}}', "no record"),
        (eutils.parse_esummary, '{"accession": "ENCDO072AAA"}', "document summaries"),
        (eutils.parse_elink, '{"ERROR":"bad"}', "bad"),
    ],
)
def test_errors_of_the_e_utilities_keep_their_words(parse, text: str, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        parse(text)


# --- ENA ------------------------------------------------------------------------------------------

FASTQ = (
    "run_accession\tfastq_ftp\tfastq_md5\tfastq_bytes\n"
    "SRR8426358\tftp.sra.ebi.ac.uk/vol1/fastq/SRR842/008/SRR8426358/SRR8426358_1.fastq.gz;"
    "ftp.sra.ebi.ac.uk/vol1/fastq/SRR842/008/SRR8426358/SRR8426358_2.fastq.gz\t"
    "be7e88cf6f6fd90f1b1170f1cb367123;2124da22644d876c4caa92ffd9e2402e\t5507959060;7194107512\n"
    "SRR6835844\t\t\t\n"
)


def test_ena_run_table_and_its_files() -> None:
    report = sample_sheets.parse_file_report(FASTQ)
    assert report["run_accession"].tolist() == ["SRR8426358", "SRR6835844"]
    files = ena.ena_files(report)
    assert files["bytes"].tolist() == [5507959060, 7194107512]
    assert files["md5"].tolist()[1] == "2124da22644d876c4caa92ffd9e2402e"
    assert files["url"][0].startswith("https://ftp.sra.ebi.ac.uk/vol1/fastq/SRR842/")
    assert set(files["run_accession"]) == {"SRR8426358"}


def test_ena_quotes_and_na_are_text() -> None:
    text = 'run_accession\tsample_title\nSRR1\tNA\nSRR2\t"5 day" bed rest\n'
    assert sample_sheets.parse_file_report(text)["sample_title"].tolist() == [
        "NA",
        '"5 day" bed rest',
    ]


def test_ena_204_is_an_empty_table() -> None:
    empty = sample_sheets.parse_file_report("", status=204)
    assert len(empty) == 0
    assert len(ena.ena_files(empty)) == 0


@pytest.mark.parametrize(
    "text",
    [
        "<html>busy</html>",
        '{"message":"invalid accession"}',
        "run_accession\nSRR1\nSRR1\n",
    ],
)
def test_ena_answers_that_are_no_run_table(text: str) -> None:
    with pytest.raises(InputError):
        sample_sheets.parse_file_report(text)


def test_ena_lists_of_unequal_length_name_the_run() -> None:
    report = sample_sheets.parse_file_report(FASTQ.replace(";7194107512", ""))
    with pytest.raises(InputError, match=r"SRR8426358.*2 / 2 / 1"):
        ena.ena_files(report)
    with pytest.raises(InputError, match="submitted_ftp"):
        ena.ena_files(report, "submitted")


PACKAGE = """<?xml version="1.0"?><EXPERIMENT_PACKAGE_SET><EXPERIMENT_PACKAGE>
<EXPERIMENT accession="SRX1" alias="GSM1"><TITLE>GSM1: a; Mus musculus; RNA-Seq</TITLE>
<STUDY_REF accession="SRP1"/><DESIGN><SAMPLE_DESCRIPTOR accession="SRS1"/></DESIGN></EXPERIMENT>
<STUDY accession="SRP1" alias="GSE1"><DESCRIPTOR><STUDY_TITLE>T</STUDY_TITLE></DESCRIPTOR></STUDY>
<SAMPLE accession="SRS1" alias="GSM1"><SAMPLE_NAME><SCIENTIFIC_NAME>Mus musculus</SCIENTIFIC_NAME>
</SAMPLE_NAME><SAMPLE_ATTRIBUTES><SAMPLE_ATTRIBUTE><TAG>age</TAG><VALUE>24 months</VALUE>
</SAMPLE_ATTRIBUTE></SAMPLE_ATTRIBUTES></SAMPLE>
<RUN_SET><RUN accession="SRR1" alias="GSM1_r1"><EXPERIMENT_REF accession="SRX1"/></RUN></RUN_SET>
</EXPERIMENT_PACKAGE></EXPERIMENT_PACKAGE_SET>"""


def test_sra_xml_links_runs_to_samples() -> None:
    table = ena.parse_archive_xml(PACKAGE).set_index("accession")
    assert table.loc["SRR1", ["study", "experiment", "sample"]].tolist() == ["SRP1", "SRX1", "SRS1"]
    assert table.loc["SRX1", "sample"] == "SRS1"
    assert json.loads(table.loc["SRS1", "attributes"]) == {"age": "24 months"}
    assert table.loc["SRS1", "organism"] == "Mus musculus"
    assert table.loc["SRP1", "title"] == "T"


def test_hostile_or_other_xml_is_refused() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><RUN accession="SRR1">&d;</RUN>'
    for text in (bomb, "<a/>", "no xml"):
        with pytest.raises(InputError):
            ena.parse_archive_xml(text)


# --- EBI, CELLxGENE -------------------------------------------------------------------------------


def test_biostudies_folder_and_files() -> None:
    info = '{"ftpLink": "ftp://ftp.ebi.ac.uk/biostudies/fire/E-MTAB-/874/E-MTAB-13874"}'
    assert biostudies.parse_biostudies_info(info) == (
        "https://ftp.ebi.ac.uk/biostudies/fire/E-MTAB-/874/E-MTAB-13874/Files/"
    )
    study = {
        "accno": "E-MTAB-1",
        "section": {
            "accno": "s",
            "type": "Study",
            "files": [{"path": "E-MTAB-1.idf.txt", "size": 10}],
            "subsections": [
                [{"accno": "p", "type": "Processed Data", "files": [[{"path": "a.h5ad"}]]}],
                {"type": "Author"},
            ],
        },
    }
    table = biostudies.parse_biostudies_study(json.dumps(study))
    assert table["path"].tolist() == ["E-MTAB-1.idf.txt", "a.h5ad"]
    assert table["section"].tolist() == ["Study", "Processed Data"]
    assert table["bytes"].isna().tolist() == [False, True]
    for parse in (biostudies.parse_biostudies_info, biostudies.parse_biostudies_study):
        with pytest.raises(InputError, match="Study not found"):
            parse('{"errorMessage": "Study not found"}')


def test_cellxgene_h5ad() -> None:
    text = json.dumps(
        {
            "assets": [
                {"filetype": "RDS", "filesize": 8, "url": "https://d/x.rds"},
                {"filetype": "H5AD", "filesize": 7, "url": "https://d/x.h5ad"},
            ]
        }
    )
    assert cellxgene.parse_cellxgene(text) == ("https://d/x.h5ad", 7)
    with pytest.raises(InputError, match="no H5AD"):
        cellxgene.parse_cellxgene('{"assets": []}')


# --- the mirror and the recorded answers ----------------------------------------------------------


@pytest.mark.verify
def test_builders_give_the_mirrors_addresses() -> None:
    with (_mirror() / "index.tsv").open(newline="") as handle:
        known = {row["url"] for row in csv.DictReader(handle, delimiter="\t")}
    assert {
        geo.geo_series_matrix("GSE67196"),
        geo.geo_soft_family("GSE781"),
        geo.geo_raw_tar("GSE184951"),
        geo.ncbi_counts("GSE129643"),
    } <= known


@pytest.mark.verify
def test_a_real_soft_family() -> None:
    path = _mirror() / "files" / "GSE781" / "GSE781_family.soft.gz"
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as handle:
        table = sample_sheets.parse_soft_samples(
            "".join(line for line in handle if line[0] in "^!")
        )
    assert len(table) == 34
    assert table["geo_accession"].is_unique
    assert set(table["platform_id"]) == {"GPL96", "GPL97"}
