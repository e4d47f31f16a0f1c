"""Files of studies as archives lay them out, good and bad."""

from __future__ import annotations

import gzip
import hashlib
import io as stdio
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.data.readers import arrays, matrices, sample_sheets

TABLE = {"layout": "table", "separator": "comma", "gene_column": 0}
TAR = {
    "layout": "tar_tables",
    "member": r"^(?P<sample_id>S\d+)\.txt",
    "header": False,
    "gene_column": 0,
    "symbol_column": 1,
    "count_column": 2,
    "summary_prefix": "__",
}


def _file(tmp_path, text, name="m.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _tar(tmp_path, members):
    path = tmp_path / "RAW.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            content = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, stdio.BytesIO(content))
    return path


def test_a_table_with_byte_order_mark_and_annotation_columns(tmp_path):
    path = _file(tmp_path, "\ufeffgene,symbol,s1,s2\nG1,A,1,2\nG2,B,3,4\n")
    matrix, symbols, _ = matrices.read_matrix(
        path, {**TABLE, "symbol_column": 1, "skip_columns": ["symbol"]}, {}
    )
    assert matrix.to_dict() == {"s1": {"G1": 1, "G2": 3}, "s2": {"G1": 2, "G2": 4}}
    assert symbols == ["A", "B"]


def test_a_tar_of_tables(tmp_path):
    one = gzip.compress(b"G1\tA\t1\nG2\tB\t3\n__no_feature\t\t9\n")
    path = _tar(tmp_path, {"S1.txt.gz": one, "S2.txt": "G1\tA\t2\nG2\tB\t4\n", "notes.doc": "x"})
    pins = {
        "S1.txt.gz": hashlib.sha256(one).hexdigest(),
        "S2.txt": hashlib.sha256(b"G1\tA\t2\nG2\tB\t4\n").hexdigest(),
    }
    matrix, symbols, _ = matrices.read_matrix(path, TAR, pins)
    assert matrix.to_dict() == {"S1": {"G1": 1, "G2": 3}, "S2": {"G1": 2, "G2": 4}}
    assert symbols == ["A", "B"]


@pytest.mark.parametrize(
    ("members", "pins", "expected"),
    [
        ({"S1.txt": "G1\tA\t1\n"}, {"S1.txt": "0" * 64}, ["S1.txt", "hash is"]),
        ({"S1.txt": "G1\tA\t1\n"}, {"S9.txt": "0" * 64}, ["S1.txt", "pins no hash"]),
        ({"S1.txt": "G1\tA\t1\n", "S2.txt": "G2\tA\t1\n"}, {}, ["S2", "other genes than 'S1'"]),
        ({"S1.txt": "G1\tA\t1\n", "S1.txt.gz": "G1\tA\t1\n"}, {}, ["two members", "S1"]),
        ({"S1.txt.gz": b"\x1f\x8b\x08\x00"}, {}, ["S1.txt.gz", "damaged gzip"]),
        ({"other": "x"}, {}, ["no member matches"]),
        ({"S1.txt": "G1\tA\tmany\n"}, {}, ["'many'", "G1"]),
        ({"S1.txt": ""}, {}, ["S1.txt", "empty"]),
    ],
)
def test_a_bad_tar(tmp_path, members, pins, expected):
    with pytest.raises(InputError) as caught:
        matrices.read_matrix(_tar(tmp_path, members), TAR, pins)
    for words in expected:
        assert words in str(caught.value)


def test_a_pinned_member_that_is_missing(tmp_path):
    content = "G1\tA\t1\n"
    pins = {"S1.txt": hashlib.sha256(content.encode()).hexdigest(), "S2.txt": "0" * 64}
    with pytest.raises(InputError, match="1 pinned member.*S2.txt"):
        matrices.read_matrix(_tar(tmp_path, {"S1.txt": content}), TAR, pins)


@pytest.mark.parametrize(
    ("text", "spec", "expected"),
    [
        ("gene\ts1\nG1\t1\n", TABLE, ["only one column", "comma", "counts.separator"]),
        ("gene,s1\nG1,x\n", TABLE, ["'x'", "G1", "s1"]),
        ("gene,s1\nG1,\n", TABLE, ["not a number", "G1"]),
        ("", TABLE, ["empty"]),
        ("gene,s1\nG1,1,2,3\n", TABLE, ["regular table"]),
        ("gene,s1\nG1,1\n", {**TABLE, "skip_columns": ["name"]}, ["'name'", "s1"]),
        ("G1,1\n", {**TABLE, "header": False}, ["header row"]),
        (b"\xff\xfe\x00g", TABLE, ["m.csv"]),
        (b"not a tar", TAR, ["tar"]),
    ],
)
def test_a_bad_table(tmp_path, text, spec, expected):
    with pytest.raises(InputError) as caught:
        matrices.read_matrix(_file(tmp_path, text), spec, {})
    for words in [*expected, "m.csv"]:
        assert words in str(caught.value)


def test_row_names_without_a_header_as_r_writes_them(tmp_path):
    matrix, _, _ = matrices.read_matrix(_file(tmp_path, "s1,s2\nG1,1,2\n"), TABLE, {})
    assert matrix.to_dict() == {"s1": {"G1": 1}, "s2": {"G1": 2}}


SERIES_MATRIX = """!Series_title\t"x"
!Sample_title\t"a, b"\t"c"
!Sample_geo_accession\t"GSM1"\t"GSM2"
!Sample_characteristics_ch1\t"tissue: muscle"\t"genotype: C9"
!Sample_characteristics_ch1\t"genotype: WT"\t"tissue: nerve"
!Sample_relation\t"SRA"\t"SRB"
!Sample_relation\t"B1"\t"B2"
!series_matrix_table_begin
"""


def test_a_series_matrix_goes_by_names_not_by_order():
    sheet = sample_sheets.parse_series_matrix(SERIES_MATRIX, "x")
    assert sheet["geo_accession"].tolist() == ["GSM1", "GSM2"]
    assert sheet["tissue:ch1"].tolist() == ["muscle", "nerve"]
    assert sheet["genotype:ch1"].tolist() == ["WT", "C9"]
    assert sheet["title"].tolist() == ["a, b", "c"]
    assert sheet["relation.1"].tolist() == ["B1", "B2"]
    with pytest.raises(InputError, match="series matrix"):
        sample_sheets.parse_series_matrix("!Sample_title\tx", "here")


def test_a_sheet_with_selected_rows(tmp_path):
    path = _file(tmp_path, "id,study\n a ,X\nb,Y\n")
    sheet = sample_sheets.read_sheet(path, {"layout": "csv", "rows": {"study": "X"}})
    assert sheet.to_dict("records") == [{"id": "a", "study": "X"}]
    with pytest.raises(InputError, match="no column 'series'"):
        sample_sheets.read_sheet(path, {"layout": "csv", "rows": {"series": "X"}})
    with pytest.raises(InputError, match="no sample row is left"):
        sample_sheets.read_sheet(path, {"layout": "csv", "rows": {"study": "Z"}})


HTSEQ = "G1\t5\nG2\t0\n__no_feature\t7\n"
OLD_HTSEQ = "G1\t5\nG2\t0\nno_feature\t7\nalignment_not_unique\t1\n"
STAR = "N_unmapped\t9\t9\t9\nN_ambiguous\t1\t1\t1\nG1\t12\t2\t10\nG2\t5\t0\t5\n"
FEATURECOUNTS = (
    '# Program:featureCounts v2.0.1; Command:"featureCounts" "-o" "x"\n'
    "Geneid\tChr\tStart\tEnd\tStrand\tLength\tb/{0}.bam\nG1\t1;1\t1;5\t2;9\t+;+\t7\t5\n"
    "G2\t2\t1\t2\t-\t2\t0\n"
)
MEMBER = {"layout": "tar_tables", "member": r"^(?P<sample_id>S\d+)"}


@pytest.mark.parametrize(
    ("text", "spec", "counts"),
    [
        (HTSEQ, {"tool": "htseq"}, [5, 0]),
        (OLD_HTSEQ, {"tool": "htseq"}, [5, 0]),
        (FEATURECOUNTS, {"tool": "featurecounts"}, [5, 0]),
        (STAR, {"tool": "star", "strand": "unstranded"}, [12, 5]),
        (STAR, {"tool": "star", "strand": "reverse"}, [10, 5]),
        ("gene\tn\nG1\t5\nG2\t0\n", {"count_column": 1, "header": True}, [5, 0]),
        ("G1\tA\t5\nG2\tB\t0\n", {"count_column": 2, "header": False}, [5, 0]),
        ("G1;5\nG2;0\n", {"tool": "htseq", "separator": "semicolon"}, [5, 0]),
    ],
)
@pytest.mark.parametrize("packing", ["tar", "gz in tar", "tar.gz", "zip"])
def test_tables_of_every_program(tmp_path, text, spec, counts, packing):
    members = {f"S{n}_x.txt": text.format(f"S{n}").encode() for n in (1, 2)}
    if packing == "zip":
        path = tmp_path / "RAW.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        if packing == "gz in tar":
            members = {f"{name}.gz": gzip.compress(text) for name, text in members.items()}
        path = _tar(tmp_path, members)
        if packing == "tar.gz":
            path.write_bytes(gzip.compress(path.read_bytes()))
    matrix, _, _ = matrices.read_matrix(path, {**MEMBER, **spec}, {})
    assert matrix.to_dict("list") == {"S1": counts, "S2": counts}
    assert matrix.index.tolist() == ["G1", "G2"]


@pytest.mark.parametrize(
    ("text", "spec", "expected"),
    [
        ("gene\tn\nG1\t5\n", {"tool": "htseq"}, ["looks like a header: 'n'", "header: true"]),
        ("G1\t5\nG2\t0\n", {"count_column": 1}, ["looks like data: '5'", "header: false"]),
        (STAR, {"tool": "star", "strand": "forward"}, ["other strand holds 15", "counts.strand"]),
        ("G1\t5\n", {"count_column": 3, "header": False}, ["2 columns", "column 3"]),
        ("G1\t5\nG2\tx\n", {"tool": "htseq"}, ["'x'", "'G2'", "not a number"]),
    ],
)
def test_a_table_of_another_kind_says_what_to_change(tmp_path, text, spec, expected):
    with pytest.raises(InputError) as caught:
        matrices.read_matrix(_tar(tmp_path, {"S1.txt": text}), {**MEMBER, **spec}, {})
    for words in ["S1.txt", *expected]:
        assert words in str(caught.value)


def test_a_table_of_featurecounts_for_all_samples(tmp_path):
    text = FEATURECOUNTS.replace("b/{0}.bam", "a.bam")
    matrix, _, _ = matrices.read_matrix(
        _file(tmp_path, text), {"layout": "table", "tool": "featurecounts"}, {}
    )
    assert matrix.to_dict("list") == {"a.bam": [5, 0]}


def test_a_workbook(tmp_path, caplog):
    frame = pd.DataFrame({"gene": ["G1", pd.Timestamp("2024-03-01")], "s-1": [1, 2], "s 2": [3, 4]})
    path = tmp_path / "m.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"note": ["read me"]}).to_excel(book, sheet_name="about", index=False)
        frame.to_excel(book, sheet_name="counts", index=False)
    matrix, _, _ = matrices.read_matrix(path, {"layout": "table", "worksheet": "counts"}, {})
    assert matrix.loc["G1"].to_dict() == {"s-1": 1, "s 2": 3}
    assert (
        "1 names of genes were turned into dates by a spreadsheet, such as 2024-03-01"
        in caplog.text
    )
    with pytest.raises(InputError, match="no sheet 'data'") as caught:
        matrices.read_matrix(path, {"layout": "table", "worksheet": "data"}, {})
    assert "about, counts" in str(caught.value)
    with pytest.raises(InputError, match="holds no table"):
        matrices.read_matrix(path, {"layout": "table"}, {})


def test_ids_are_named_by_the_annotation_that_belongs_to_them(tmp_path):
    path = _file(tmp_path, "GeneID,GSM1\n100287102,3\n653635,4\n7,5\n")
    genes = tmp_path / "annot.tsv.gz"
    genes.write_bytes(gzip.compress(b"GeneID\tSymbol\n100287102\tDDX11L1\n653635\tWASH7P\n"))
    spec = {**TABLE, "annotation": {"id_column": "GeneID", "symbol_column": "Symbol"}}
    matrix, symbols, _ = matrices.read_matrix(path, spec, {}, annotation=genes)
    assert symbols == ["DDX11L1", "WASH7P", ""]
    assert matrix["GSM1"].tolist() == [3, 4, 5]
    spec["annotation"] |= {"symbol_column": "Name"}
    with pytest.raises(InputError, match="annotation.symbol_column: no column 'Name'") as caught:
        matrices.read_matrix(path, spec, {}, annotation=genes)
    assert "GeneID, Symbol" in str(caught.value)


# --- recount3 -------------------------------------------------------------------------------------

SUMS = (
    "##annotation=G026\n##date.generated=2020\n"
    "gene_id\tSRR1\tSRR2\nENSG1.5\t1000\t150\nENSG2.1\t51\t0\n"
)
QUALITY = (
    "rail_id\texternal_id\tstudy\tstar.average_mapped_length\n"
    "1\tSRR2\tSRP1\t150.0\n2\tSRR1\tSRP1\t100\n"
)


def test_gene_sums_become_read_counts(tmp_path):
    path, quality = _file(tmp_path, SUMS, "sums.gz"), _file(tmp_path, QUALITY, "qc.gz")
    matrix, _, _ = matrices.read_matrix(path, {"layout": "recount3"}, {}, quality=quality)
    # 1000 / 100, 150 / 150; 51 / 100 rounds up, as R's round() does.
    assert matrix.to_dict("list") == {"SRR1": [10, 1], "SRR2": [1, 0]}
    assert matrix.index.tolist() == ["ENSG1.5", "ENSG2.1"]


@pytest.mark.parametrize(
    ("sums", "quality", "expected"),
    [
        (SUMS, QUALITY.replace("SRR1", "SRR9"), ["run 'SRR1'", "average_mapped_length"]),
        (SUMS, QUALITY.replace("150.0", "0"), ["run 'SRR2'"]),
        (SUMS, QUALITY.replace("average_mapped", "x"), ["no column 'star.average_mapped_length'"]),
        ("gene\tSRR1\n", QUALITY, ["not recount3's gene sums"]),
    ],
)
def test_gene_sums_that_cannot_be_scaled(tmp_path, sums, quality, expected):
    path, lengths = _file(tmp_path, sums, "sums.gz"), _file(tmp_path, quality, "qc.gz")
    with pytest.raises(InputError) as caught:
        matrices.read_matrix(path, {"layout": "recount3"}, {}, quality=lengths)
    for words in expected:
        assert words in str(caught.value)


# --- arrays ---------------------------------------------------------------------------------------

ARRAY = SERIES_MATRIX + '"ID_REF"\t"GSM1"\t"GSM2"\n"1007_s_at"\t7.5\t\n"117_at"\t5\t6\n'
END = "!series_matrix_table_end\n"
ANNOT = (
    "^Annotation\n!Annotation_platform = GPL97\n#ID = ID\n!platform_table_begin\n"
    "ID\tGene title\tGene symbol\tGene ID\n1007_s_at\tx 'y\tDDR1\t780\n"
    "117_at\tz\tHSPA6///HSPA7\t3310///3311\n!platform_table_end\n"
)
CHIP = {
    "platform": "GPL97",
    "layout": "series_matrix",
    "annotation": {"id_column": "ID", "symbol_column": "Gene symbol", "gene_column": "Gene ID"},
}


def test_intensities_of_a_series_matrix_with_its_probes(tmp_path):
    path, annot = _file(tmp_path, ARRAY + END, "m.txt"), _file(tmp_path, ANNOT, "a.annot")
    values, probes, _ = arrays.read_intensities(path, CHIP, annot)
    assert values.loc["117_at"].to_dict() == {"GSM1": 5.0, "GSM2": 6.0}
    assert np.isnan(values.loc["1007_s_at", "GSM2"])
    assert probes.loc["117_at"].to_dict() == {"symbol": "HSPA6///HSPA7", "gene_id": "3310///3311"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ARRAY, ["no end mark", "truncated"]),
        (SERIES_MATRIX + '"ID_REF"\t"GSM1"\n' + END, ["holds no values", "supplementary"]),
        ("!Series_title\tx\n", ["no line `!series_matrix_table_begin`"]),
        (
            ARRAY.replace("7.5", "high") + END,
            ["'high' at probe '1007_s_at', column 'GSM1' is not a number"],
        ),
    ],
)
def test_a_series_matrix_without_good_values(tmp_path, text, expected):
    with pytest.raises(InputError) as caught:
        arrays.read_intensities(_file(tmp_path, text, "m.txt"), CHIP)
    for words in ["m.txt", *expected]:
        assert words in str(caught.value)


SOFT = (
    "^DATABASE = GeoMiame\n^SERIES = GSE9\n^PLATFORM = GPL1\n!platform_table_begin\n"
    "ID\tGene Symbol\tENTREZ_GENE_ID\np1\tDDR1\t780\np2\t\t\n!platform_table_end\n"
    "^SAMPLE = GSM1\n!Sample_title = a\n!Sample_characteristics_ch1 = sex: F\n"
    "!Sample_platform_id = GPL1\n!sample_table_begin\nID_REF\tVALUE\tABS_CALL\n"
    "p1\t1.5\tP\np2\tnull\tA\n!sample_table_end\n"
    "^SAMPLE = GSM2\n!Sample_platform_id = GPL1\n!sample_table_begin\nID_REF\tVALUE\n"
    "p2\t3\np1\t2\n!sample_table_end\n"
)


def test_intensities_of_a_soft_family(tmp_path):
    path = _file(tmp_path, SOFT, "f.soft")
    chip = {"platform": "GPL1", "layout": "soft"}
    values, probes, _ = arrays.read_intensities(path, chip)
    assert values["GSM1"].tolist()[0] == 1.5 and np.isnan(values.loc["p2", "GSM1"])
    assert values["GSM2"].to_dict() == {"p1": 2.0, "p2": 3.0}
    assert probes["symbol"].tolist() == ["DDR1", ""]
    sheet = sample_sheets.read_sheet(path, {"layout": "soft"})
    assert sheet["geo_accession"].tolist() == ["GSM1", "GSM2"]
    assert sheet["sex:ch1"].tolist() == ["F", ""]
    with pytest.raises(InputError, match="no platform GPL2"):
        arrays.read_intensities(path, {**chip, "platform": "GPL2"})
    cut = _file(tmp_path, SOFT[:-30], "cut.soft")
    with pytest.raises(InputError, match="table of GSM2 has no end mark: the file is truncated"):
        arrays.read_intensities(cut, chip)


# --- sample sheets --------------------------------------------------------------------------------


def test_a_row_that_stands_twice_word_for_word_is_one_sample(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_text("id,group\nS1,a\nS1,a\nS2,b\nS2,c\n")
    sheet = sample_sheets.read_sheet(path, {"layout": "csv"})
    assert sheet["id"].tolist() == ["S1", "S2", "S2"]  # what differs stays, and is refused later


def test_several_sheets_are_put_below_each_other(tmp_path):
    one = _file(tmp_path, "id\tsex\na\tF\n", "1.tsv")
    two = _file(tmp_path, "id\tage\nb\t7\n", "2.tsv")
    sheet = sample_sheets.read_sheet([one, two], {"layout": "tsv"})
    assert sheet.to_dict("records") == [
        {"id": "a", "sex": "F", "age": ""},
        {"id": "b", "sex": "", "age": "7"},
    ]


def test_attributes_of_recount3_become_columns(tmp_path):
    text = (
        "rail_id\trun_acc\tstudy_acc\tSAMPLE_ATTRIBUTES\n1\tSRR1\tSRP1\tage;;7|tissue;;TA\n"
        "2\tSRR2\tSRP1\ttissue;;EDL\n"
    )
    sheet = sample_sheets.read_sheet(_file(tmp_path, text, "sra.MD"), {"layout": "recount3"})
    assert sheet["external_id"].tolist() == ["SRR1", "SRR2"]
    assert sheet["tissue:ch1"].tolist() == ["TA", "EDL"]
    assert sheet["age:ch1"].tolist() == ["7", ""]


def test_sdrf_and_run_table(tmp_path):
    sdrf = "Source Name\tCharacteristics[sex]\tComment[ENA_RUN]\na\tfemale\tERR1\n"
    sheet = sample_sheets.read_sheet(_file(tmp_path, sdrf, "x.sdrf.txt"), {"layout": "sdrf"})
    assert sheet["Characteristics[sex]"].tolist() == ["female"]
    runs = _file(tmp_path, 'run_accession\tsample_title\nSRR1\tMüller "1"\n', "filereport")
    sheet = sample_sheets.read_sheet(runs, {"layout": "ena"})
    assert sheet["sample_title"].tolist() == ['Müller "1"']
    with pytest.raises(InputError, match="no table of runs"):
        sample_sheets.read_sheet(
            _file(tmp_path, "<html>busy</html>", "filereport"), {"layout": "ena"}
        )


def test_a_truncated_line_of_a_series_matrix_is_noticed():
    cut = SERIES_MATRIX.replace('"GSM1"\t"GSM2"', '"GSM1"')
    with pytest.raises(
        InputError, match="line !Sample_geo_accession has 1 samples, the first one 2"
    ):
        sample_sheets.parse_series_matrix(cut, "x")
