"""Studies as people deposit them, from card and files: they come out right, or say what is wrong.

Each kind was described in a public bug report of some program. Two studies or more stand for a kind:
reading them gives the numbers that the plain form of the same tables gives, or a refusal that names
what a user has to mend.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import anndata
import numpy as np
import pandas as pd
import pytest

import deposits
import small_studies as s
from alsmuscle.core import files
from alsmuscle.core.errors import InputError
from alsmuscle.data import account, studies, study_arrays, study_cells, study_effects


class Case(NamedTuple):
    """A card, its files, and what reading them gives: figures, or words of the refusal."""

    card: dict[str, Any]
    files: dict[str, Any]
    gives: Any


def counts(
    content,
    gives=None,
    sheet=s.SHEET,
    name="counts.txt",
    samples=None,
    sheet_name="sheet.txt",
    **spec,
) -> Case:
    files = {"counts": (name, content), "sheet": (sheet_name, sheet)}
    return Case(s.bulk(samples, **spec), files, {"reads": s.READS} if gives is None else gives)


def lines(change) -> str:
    first, *rest = s.table().splitlines()
    return "\n".join([first, *(change(n, row) for n, row in enumerate(rest))]) + "\n"


def with_rows(*names: str) -> str:
    extra = "".join("\t".join([name, *["900"] * 8]) + "\n" for name in names)
    return s.table() + extra


def members(content, name="GSE1_RAW.tar", **spec) -> Case:
    tar = {"layout": "tar_tables", "member": r"(?P<sample_id>GSM\d+)\.txt", "header": False}
    return counts(content, name=name, **{**tar, "gene_column": 0, "count_column": 1, **spec})


def one_sample(n: int, ids=s.IDS, order=None) -> str:
    rows = [f"{g}\t{c}" for g, c in zip(ids, s.COUNTS[:, n], strict=True)]
    return "\n".join(rows if order is None else [rows[k] for k in order]) + "\n"


def shuffled(n: int, name: str) -> str:
    return one_sample(n, order=np.random.default_rng(n).permutation(len(s.IDS)))


ENTREZ = list(s.GENES["entrez"])
MIXED = [
    gene if n % 3 == 0 else symbol
    for n, (gene, symbol) in enumerate(zip(s.IDS, s.SYMBOLS, strict=True))
]
LANES = "# Program:featureCounts\n" + "\t".join(
    ["Geneid", "Chr", "Start", "End", "Strand", "Length", "L1.bam", "L2.bam"]
)


def lanes(n: int, name: str) -> str:
    half = s.COUNTS[:, n] // 2
    rows = [
        f"{g}\t1\t1\t9\t+\t9\t{a}\t{c - a}"
        for g, a, c in zip(s.IDS, half, s.COUNTS[:, n], strict=True)
    ]
    return "\n".join([LANES, *rows]) + "\n"


TABLES: dict[str, Case] = {
    # rows that are no genes
    "htseq's summary in a joined table": counts(with_rows("__no_feature", "__not_aligned"), {"reads": s.READS, "note": "__not_aligned"}),
    "STAR's summary and a total": counts(with_rows("N_unmapped", "N_multimapping", "Total"), {"reads": s.READS, "note": "N_unmapped, N_multimapping, Total"}),
    # ids
    "Ensembl ids with symbols": counts(s.table([f"{g}.7_{x}" for g, x in zip(s.IDS, s.SYMBOLS, strict=True)])),
    "symbols with Entrez ids": counts(s.table([f"{x}|{e}" for x, e in zip(s.SYMBOLS, ENTREZ, strict=True)])),
    "a genome before the ids": counts(s.table([f"GRCh38_{g}" for g in s.IDS])),
    "ids in single quotes": counts(s.table([f"'{g}'" for g in s.IDS])),
    "Ensembl ids for genes without a symbol": counts(s.table(MIXED), {"reads": s.READS, "status": {"symbol": 40, "ensembl": 20}}),
    "ids in two columns": counts(s.table([f"{g}\t{x}" for g, x in zip(s.IDS, s.SYMBOLS, strict=True)], head="id\tGeneSymbol"), symbol_column=1),
    "symbols beside ids that nobody knows": counts(s.table([f"locus{n}\t{x}" for n, x in enumerate(s.SYMBOLS)], head="locus\tGeneSymbol"), gene_column=1, skip_columns=["locus"]),
    "mouse's spelling": counts(s.table([x.capitalize() for x in s.SYMBOLS]), "spelling of another organism"),
    "transcripts": counts(s.table([f"ENST{n:011d}" for n in range(60)]), "these are transcripts"),
    "a microarray's probes": counts(s.table(s.PROBES), "0% of 60 rows lead to a gene"),
    "row numbers for genes": counts(s.table([f"{n + 1}\t{g}" for n, g in enumerate(s.IDS)], head="\tgene"), "holds the numbers of the rows"),
    # form of text
    "lone carriage returns": counts(s.table().replace("\n", "\r")),
    "carriage returns, packed": counts(gzip.compress(s.table().replace("\n", "\r").encode()), name="counts.txt.gz"),
    "a separator ends every row": counts(lines(lambda n, row: f"{row}\t")),
    "a field without a name": counts(lines(lambda n, row: f"{row}\t7"), "rows have 10 fields, the header 9"),
    "row numbers before the genes": counts(lines(lambda n, row: f"{n + 1}\t{row}")),
    "a mark, and quotes": counts("\ufeff" + "\n".join("\t".join(f'"{c}"' for c in row.split("\t")) for row in s.table().splitlines())),
    "Windows' own encoding": counts(s.table(head="gène").encode("cp1252")),
    "UTF-16": counts(s.table().encode("utf-16")),
    "GCT": counts("#1.2\n60\t8\n" + s.table([f"{g}\tx" for g in s.IDS], head="Name\tDescription"), skip_columns=["Description"]),
    "a title": counts("Table S1. Raw counts\n" + s.table(), "set `counts.skip_rows: 1`"),
    "a title that the card knows": counts("Table S1. Raw counts\n\n" + s.table(), skip_rows=2),
    "comments": counts("% made by hand\n" + s.table(), comment="%"),
    "remarks below": counts(s.table() + "* not normalised, see methods\n", {"reads": s.READS, "note": "not normalised"}),
    "commas for tabs": counts(s.table(sep=","), "set `counts.separator: comma`"),
    "decimal commas": counts(s.table(values=[[f"{c},0" for c in row] for row in s.COUNTS], sep=";"), decimal="comma", separator="semicolon", type="expected_counts"),
    "decimal commas unsaid": counts(s.table(values=[[f"{c},5" for c in row] for row in s.COUNTS]), "set `counts.decimal: comma`"),
    "a sample twice": counts(s.table(names=["GSM1", *s.NAMES[:1], *s.NAMES[2:]]), "column 'GSM1' is duplicated"),
    "a row cut off": counts(s.table().rpartition("\t")[0] + "\n", "has 8 fields, the others 9"),
    # packing
    "bzip2": counts(bz2.compress(s.table().encode()), name="counts.txt.bz2"),
    "xz": counts(lzma.compress(s.table().encode()), name="counts.txt.xz"),
    "packed twice": counts(gzip.compress(gzip.compress(s.table().encode())), name="counts.txt.gz"),
    "a zip of the table": counts(s.zipped({"counts.tsv": s.table().encode()}), name="counts.zip"),
    "a tar of the table, with macOS's notes": counts(gzip.compress(deposits.tar({"._c.tsv": b"\0\5", "c.tsv": s.table().encode()})), name="c.tar.gz"),
    "a zip of two": counts(s.zipped({"a.tsv": b"x", "b.tsv": b"y"}), "an archive of 2 files: a.tsv, b.tsv", name="counts.zip"),
    # workbooks
    "a packed workbook": counts(gzip.compress(s.workbook(s.grid())), name="counts.xlsx.gz"),
    "numbers for names": counts(s.workbook(s.grid(names=range(101, 109))), sheet=s.SHEET.replace("GSM", "10"), name="counts.xlsx"),
    "a name twice in a workbook": counts(s.workbook(s.grid(names=["GSM1", "GSM1", *s.NAMES[2:]])), "column 'GSM1' is duplicated", name="counts.xlsx"),
    "a title in a workbook": counts(s.workbook(s.grid(), before=[["Table S1"]]), "set `counts.skip_rows: 1`", name="counts.xlsx"),
    "a title that the card knows in a workbook": counts(s.workbook(s.grid(), before=[["Table S1"]]), name="counts.xlsx", skip_rows=1),
    # one table per sample
    "genes in another order": members(s.per_sample(shuffled)),
    "other genes": members(s.per_sample(lambda n, _: one_sample(n, ids=["MYOG", *s.IDS[1:]] if n == 3 else s.IDS)), gives="sample 'GSM4' lists other genes than 'GSM1': 2 are in one of them only"),
    "macOS's notes": members(deposits.tar({k: v for n, name in enumerate(s.NAMES) for k, v in ((f"._{name}.txt", b"\0\5\26\7"), (f"{name}.txt", one_sample(n).encode()))})),
    "macOS's folder in a zip": members(s.zipped({k: v for n, name in enumerate(s.NAMES) for k, v in ((f"__MACOSX/._{name}.txt", b"\0"), (f"x/{name}.txt", one_sample(n).encode()))}), name="GSE1_RAW.zip"),
    "a tar of tars": members(deposits.tar({f"{name}.tar.gz": gzip.compress(deposits.tar({f"{name}.txt": one_sample(n).encode()})) for n, name in enumerate(s.NAMES)})),
    "two lanes": members(s.per_sample(lanes), gives="2 columns of counts: L1.bam, L2.bam", tool="featurecounts", header=True, count_column=None),
    "two lanes that the card adds up": members(s.per_sample(lanes), tool="featurecounts", header=True, count_column=[6, 7]),
}  # fmt: skip


COLUMNS = {
    "featureCounts": ("Geneid\tChr\tStart\tEnd\tStrand\tLength\tx.bam", "{id}\t1;1\t1;5\t9;9\t+;+\t{length}\t{n}"),
    "salmon": ("Name\tLength\tEffectiveLength\tTPM\tNumReads", "{id}\t{length}\t{length}\t{tpm:.3f}\t{n}.000"),
    "RSEM": ("gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM", "{id}_{symbol}\tENST1,ENST2\t{length}.00\t9.00\t{n}.00\t{tpm:.2f}\t1.1"),
    "StringTie": ("Gene ID\tGene Name\tReference\tStrand\tStart\tEnd\tCoverage\tFPKM\tTPM", "{id}\t{symbol}\tchr1\t+\t{length}\t99999\t{fpkm:.4f}\t1.1\t{tpm:.3f}"),
    "Cufflinks": ("tracking_id\tclass_code\tgene_short_name\tlocus\tFPKM\tFPKM_status", "{id}\t-\t{symbol}\tchr1:1-2\t{fpkm:.4f}\tOK"),
}  # fmt: skip
TPM = s.COUNTS / s.COUNTS.sum(axis=0) * 1e6


def by(program: str, column: int, gives=None, **spec) -> Case:
    """Tables of a program, one per sample, of which the card takes a column."""
    head, row = COLUMNS[program]

    def one(n: int, name: str) -> str:
        genes = zip(s.IDS, s.SYMBOLS, s.COUNTS[:, n], TPM[:, n], strict=True)
        return "\n".join(
            [head]
            + [
                row.format(id=g, symbol=x, n=c, tpm=t, length=900 + 7 * k, fpkm=c / 7.3)
                for k, (g, x, c, t) in enumerate(genes)
            ]
        )

    return members(s.per_sample(one), gives=gives, header=True, count_column=column, **spec)


def edited_counts(change) -> str:
    values = s.COUNTS.astype(object)
    change(values)
    return s.table(values=values)


def named(names, sheet=s.SHEET, gives=None, **spec) -> Case:
    return counts(s.table(names=names), gives, sheet=sheet, **spec)


PATIENTS = "sample,group\n" + "".join(f"Pat {n},{g}\n" for n, g in enumerate(s.GROUPS))
THOUSANDS = [
    [f"{c * (1, 150)[n % 2] + 1:,}".replace(",", ".") for c in row]
    for n, row in enumerate(s.COUNTS)
]
CURATED: dict[str, Case] = {
    # what programs write, and the wrong column of it
    "featureCounts, its counts": by("featureCounts", 6),
    "featureCounts, its lengths": by("featureCounts", 5, "all 8 samples have the same number for every gene"),
    "salmon, its reads": by("salmon", 4, type="expected_counts"),
    "salmon, its TPM": by("salmon", 3, "every sample sums to one million", type="expected_counts"),
    "RSEM, its counts": by("RSEM", 4, type="expected_counts"),
    "RSEM, its lengths": by("RSEM", 2, "lengths or positions of genes", type="expected_counts"),
    "StringTie, its positions": by("StringTie", 4, "lengths or positions of genes"),
    "StringTie, its coverage": by("StringTie", 6, "as in FPKM", type="expected_counts"),
    "Cufflinks' FPKM": by("Cufflinks", 4, "as in FPKM", type="expected_counts"),
    # other units in whole numbers, and in some samples only
    "TPM, rounded": counts(s.table(values=np.rint(TPM).astype(int)), "every sample sums to one million"),
    "reads drawn to one depth": counts(s.table(values=np.array([np.random.default_rng(n).multinomial(20000, TPM[:, n] / 1e6) for n in range(8)]).T), "sums to 20,000"),
    "logarithms, rounded": counts(s.table(values=np.rint(np.log2(TPM + 1)).astype(int)), "no value is above 16, as in logarithms, ranks or calls"),
    "one sample in TPM": counts(edited_counts(lambda v: v.__setitem__((slice(None), 2), TPM[:, 2])), "of sample 'GSM3' 100.0% of the non-zero values are not whole numbers", type="expected_counts"),
    "points between thousands": counts(s.table(values=THOUSANDS), "points between thousands", type="expected_counts"),
    # one thing twice
    "a sample that is another": counts(edited_counts(lambda v: v.__setitem__((slice(None), 3), v[:, 0])), "samples 'GSM1' and 'GSM4' have the same number for every gene"),
    "rows joined to another table": counts(s.table([*s.IDS, *s.IDS[:30]], values=np.vstack([s.COUNTS, s.COUNTS[:30]])), {"reads": s.READS, "note": "30 rows repeat another row of their gene"}),
    "ids with and without versions": counts(s.table([*s.IDS, *(f"{g}.3" for g in s.IDS)], values=np.vstack([s.COUNTS, s.COUNTS])), {"reads": s.READS, "genes": 60}),
    "parts of a gene": counts(s.table([*s.IDS, *s.IDS], values=np.vstack([s.COUNTS // 3, s.COUNTS - s.COUNTS // 3])), {"reads": s.READS, "genes": 60}),
    # names that look alike
    "no-break spaces": named([f"Pat\xa0{n}" for n in range(8)], PATIENTS),
    "characters without width": named([f"\u200b{n}" for n in s.NAMES]),
    "another hyphen": named([f"Pat\u2013{n}" for n in range(8)], PATIENTS.replace("Pat ", "Pat-"), "in case, spaces, punctuation or zeros only"),
    "names in lower case": named([n.lower() for n in s.NAMES], gives="'gsm1' differs from 'GSM1' in case"),
    "R's X before numbers": named([f"X{n}" for n in range(101, 109)], s.SHEET.replace("GSM", "10"), 'set `counts.sample_template: "X{sample_id}"`'),
    "a group in two spellings": counts(s.table(), "differ only in case or spaces: 'Healthy', 'healthy'", sheet=s.SHEET.replace("healthy", "Healthy", 2)),
    "a no-break space behind a group": counts(s.table(), {"reads": s.READS, "groups": s.GROUPS}, sheet=s.SHEET.replace("healthy\n", "healthy\xa0\n", 2)),
    # where the genes are
    "numbers of NCBI's genes with the database": counts(s.table([f"GeneID:{e}" for e in ENTREZ])),
    "Entrez ids with decimals": counts(s.table([f"{e}.0" for e in ENTREZ])),
    "rows numbered from 0": counts(s.table([f"{n}\t{g}" for n, g in enumerate(s.IDS)], head="\tgene"), "set `counts.gene_column: 1`"),
    "genes in the last column": counts("\n".join("\t".join([*row[1:], row[0]]) for row in (line.split("\t") for line in s.table().splitlines())), "if 'gene' holds the genes, set `counts.gene_column`"),
    "a stray quote in a description": counts("\n".join(f'{line}\t{("remark", chr(53) + chr(34))[n in (5, 20)] if n else "Description"}' for n, line in enumerate(s.table().splitlines())), skip_columns=["Description"]),
}  # fmt: skip


SUMMED = [*s.COUNTS, s.COUNTS.sum(axis=0)]
ANYWHERE = s.SYMBOLS[:50] + ["NA"] * 10
DOTTED = ["MT.ND1" if n == 59 else f"{s.SYMBOLS[0]}.1" if n == 58 else x for n, x in enumerate(s.SYMBOLS)]  # fmt: skip
HEADED = [["", *(["Control"] + [""] * 3), *(["ALS"] + [""] * 3)], *s.grid()]
FORMULA = s.grid(values=s.COUNTS[:59], ids=s.IDS[:59])
PARTLY = [[f"{c},5" if n % 2 else f"{c}.{c:03d}" for c in row] for n, row in enumerate(s.COUNTS)]
IN_POWERS = [[f"{c:.2E}" if c > 99_999 else c for c in row] for row in s.COUNTS * np.array([5000] + [1] * 7)]  # fmt: skip
WIDE = pd.DataFrame(s.COUNTS, index=s.SYMBOLS, columns=s.NAMES).T.to_csv(sep="\t")
HTML = "<html><body><table><tr><td>gene</td></tr></table></body></html>"
XML_2003 = '<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>'
REMARKED = "gene,what," + ",".join(s.NAMES) + "\n" + "".join(f'{g},"a ""kinase"",\nlong",' + ",".join(map(str, row)) + "\n" for g, row in zip(s.IDS, s.COUNTS, strict=True))  # fmt: skip
WITH_GROUPS = [s.grid()[0], ["group", *s.GROUPS], *s.grid()[1:]]


def as_text(rows: list[list[Any]], sep: str = "\t") -> str:
    return "\n".join(sep.join(map(str, row)) for row in rows) + "\n"


def with_summaries(tool: str) -> Case:
    files = {}
    for n, name in enumerate(s.NAMES):
        files[f"{name}_c.txt"] = lanes(n, name).replace("\tL2.bam", "").encode()
        rows = files[f"{name}_c.txt"].decode().splitlines()
        kept = [row if k < 2 else row.rpartition("\t")[0] for k, row in enumerate(rows)]
        files[f"{name}_c.txt"] = "\n".join(kept).encode()
        files[f"{name}_c.txt.summary"] = b"Status\tL1.bam\nAssigned\t100\n"
    half = {"reads": [int(n) for n in (s.COUNTS // 2).sum(axis=0)]}
    own = {"tool": tool, "header": True, "count_column": None, "member": r"(?P<sample_id>GSM\d+)_c"}
    return members(deposits.tar(files), gives=half, **own)


SPREADSHEETS: dict[str, Case] = {
    # rows and columns that are no genes and no samples
    "NA for genes without a symbol": counts(s.table(ANYWHERE), {"genes": 50, "note": "10 rows without the name of a gene were left out", "status": {"symbol": 50, "unmapped": 10}}),
    "NaN for genes without a symbol": counts(s.table([x.replace("NA", "NaN") if x == "NA" else x for x in ANYWHERE]), {"genes": 50, "note": "10 rows without the name of a gene"}),
    "dashes for genes without a symbol": counts(s.table([x.replace("NA", "---") if x == "NA" else x for x in ANYWHERE]), {"genes": 50}),
    "a sum without a name": counts(s.table([*s.IDS, ""], values=SUMMED), {"reads": s.READS, "genes": 60, "note": "Row '' holds the sum of all others"}),
    "a sum under any name": counts(s.table([*s.IDS, "Library size"], values=SUMMED), {"reads": s.READS, "genes": 60, "note": "Row 'Library size' holds the sum"}),
    "a column of sums": counts(as_text([[*row, "Total" if n == 0 else sum(row[1:])] for n, row in enumerate(s.grid())]), "what is no sample (a total) belongs under `skip_columns`"),
    # names that programs rewrote
    "symbols as R rewrites them": counts(s.table(DOTTED), {"genes": 59, "reads": s.READS, "status": {"symbol": 58, "mangled": 2}}),
    "symbols with their ids in brackets": counts(s.table([f"{x} ({g})" for g, x in zip(s.IDS, s.SYMBOLS, strict=True)])),
    "symbols with Entrez ids in brackets": counts(s.table([f"{x} ({e})" for x, e in zip(s.SYMBOLS, ENTREZ, strict=True)])),
    "names without their zeros": named([f"S{n:02d}" for n in range(1, 9)], s.SHEET.replace("GSM", "S"), "in case, spaces, punctuation or zeros only"),
    # separators, lines and signs
    "R's write.table": counts("\n".join(" ".join(c if c.isdigit() else f'"{c}"' for c in row.split("\t")) for row in s.table(head=None).splitlines()), separator="space"),
    "columns set with blanks": counts("\n".join("".join(f"{c:>18}" for c in row.split("\t")) for row in s.table().splitlines()), separator="space"),
    "blanks that the card does not know of": counts(s.table(sep=" "), "set `counts.separator: space`"),
    "a word to Excel before the header": counts("sep=;\r\n" + s.table(sep=";").replace("\n", "\r\n"), separator="semicolon"),
    "DOS's end of a file": counts(s.table() + "\x1a"),
    "line ends in a quoted remark": counts(REMARKED, separator="comma", skip_columns=["what"]),
    "UTF-16 without a mark": counts(s.table().encode("utf-16-le")),
    "UTF-16 the other way round": counts(s.table().encode("utf-16-be")),
    "empty rows below a sheet": counts(s.table(), sheet=s.SHEET + ",\n,\n"),
    "points between thousands beside decimal commas": counts(s.table(values=PARTLY, sep=";"), "is not a number", decimal="comma", separator="semicolon", type="expected_counts"),
    "numbers as a spreadsheet showed them": counts(s.table(values=IN_POWERS), {"genes": 60, "note": "numbers are written in powers of ten, such as"}),
    # spreadsheets
    "merged cells above the header": counts(s.workbook(HEADED), "set `counts.skip_rows: 1`", name="c.xlsx"),
    "merged cells that the card knows": counts(s.workbook(HEADED), name="c.xlsx", skip_rows=1),
    "groups below the header": counts(as_text(WITH_GROUPS), "if that row is no gene, but groups, set `counts.comment: group`"),
    "groups below the header that the card knows": counts(as_text(WITH_GROUPS), comment="group"),
    "groups below the header of a workbook": counts(s.workbook(WITH_GROUPS), name="c.xlsx", comment="group"),
    "a formula without its value": counts(s.workbook([*FORMULA, [s.IDS[59], "=SUM(B2:B9)", *map(int, s.COUNTS[59, 1:])]]), "a formula that was never calculated", name="c.xlsx"),
    "a table on its side": counts(WIDE, "the matrix seems transposed"),
    # what is no table
    "a web page for a workbook": counts(HTML, "saved as a web page, whatever its name says", name="c.xls"),
    "a workbook of 2003": counts(XML_2003, "a workbook of the old kind", name="c.xls"),
    "a RAR archive": counts(b"Rar!\x1a\x07\x01\0" + b"\x11\0" * 99, "a RAR archive", name="c.rar"),
    "Zstandard": counts(b"\x28\xb5\x2f\xfd" + b"\x11\0" * 99, "packed with Zstandard", name="c.zst"),
    "a PDF": counts(b"%PDF-1.4\n1 0 obj\n" * 20, "a PDF, not a table", name="c.pdf"),
    # archives
    "featureCounts' summaries beside its tables": with_summaries("featurecounts"),
    "two tables of a sample": members(deposits.tar({f"{name}{end}.txt": one_sample(n).encode() for n, name in enumerate(s.NAMES) for end in ("", "_b")}), gives="make `counts.member` narrower", member=r"(?P<sample_id>GSM\d+)"),
}  # fmt: skip


def series(*given: str, gives=None, column="disease:ch1") -> Case:
    return counts(
        s.table(),
        {"reads": s.READS, "groups": s.GROUPS} if gives is None else gives,
        sheet=s.series_matrix(*given),
        samples=s.of_series(column),
    )


def soft_sheet(*given, column="disease:ch1", gives=None) -> Case:
    text = "".join(
        "\n".join([f"^SAMPLE = {name}", *(one(n) for one in given)]) + "\n"
        for n, name in enumerate(s.NAMES)
    )
    samples = s.of_series(column)
    samples["sheet"]["layout"] = "soft"
    return counts(
        s.table(), gives or {"reads": s.READS, "groups": s.GROUPS}, sheet=text, samples=samples
    )


def miniml(pack, name: str, column="disease:ch1", gives=None) -> Case:
    group = '<Characteristics tag="disease">{}</Characteristics>'
    text = "".join(
        f'<Sample iid="{name}"><Title>{name}</Title>'
        + "".join(
            f'<Channel position="{n}">{group.format(value)}</Channel>'
            for n, value in ((1, mine if column.endswith("ch1") else "pool"), (2, mine))
        )
        + "</Sample>"
        for name, mine in zip(s.NAMES, s.GROUPS, strict=True)
    )
    xmlns = 'xmlns="http://www.ncbi.nlm.nih.gov/geo/info/MINiML"'
    samples = s.of_series(column)
    samples["sheet"]["layout"] = "miniml"
    return counts(
        s.table(),
        {"reads": s.READS, "groups": s.GROUPS} if gives is None else gives,
        sheet=pack(f'<?xml version="1.0"?><MINiML {xmlns}>{text}</MINiML>'),
        samples=samples,
        sheet_name=name,
    )


OTHER = s.line("characteristics_ch1", [f"disease: {group}" for group in s.GROUPS[::-1]])
AGES = [51, 52, 53, 54, 71, 72, 73, 74]
WITH_AGE = {"columns": {"condition": {"from": "group"}, "age": {"from": "age", "numeric": True}}}
AGED = [f"{n}\t{g}\t{a}" for n, g, a in zip(s.NAMES, s.GROUPS, AGES, strict=True)]
RUNS = {
    "sheet": {"file": "sheet", "layout": "sdrf"},
    "sample_id": "Source Name",
    "run_id": "Comment[ENA_RUN]",
    "columns": {"condition": {"from": "group"}},
}
SDRF = ["Source Name\tgroup\tComment[ENA_RUN]\tComment[FASTQ_URI]"] + [
    f"{name}\t{group}\t{name}\tx_{read}.fastq"
    for name, group in zip(s.NAMES, s.GROUPS, strict=True)
    for read in (1, 2)
]


def aged(text, gives=None, sheet_name="sheet.txt", **sheet) -> Case:
    samples = {**WITH_AGE, "sheet": {"file": "sheet", "layout": "tsv", **sheet}}
    return counts(
        s.table(),
        gives or {"reads": s.READS, "ages": AGES},
        sheet=text,
        samples=samples,
        sheet_name=sheet_name,
    )


SHEETS: dict[str, Case] = {
    "two channels": series(s.DISEASE, s.line("characteristics_ch2", ["disease: pool"] * 8)),
    "the second channel is meant": series(s.line("characteristics_ch1", ["disease: pool"] * 8), s.DISEASE.replace("ch1", "ch2"), column="disease:ch2"),
    "a characteristic twice": series(s.DISEASE, OTHER),
    "the second of a characteristic": series(OTHER, s.DISEASE, column="disease:ch1.1"),
    "a characteristic twice in SOFT": soft_sheet(lambda n: f"!Sample_characteristics_ch1 = disease: {s.GROUPS[n]}", lambda n: f"!Sample_characteristics_ch1 = disease: {s.GROUPS[-1 - n]}"),
    "a characteristic without a key": series(s.line("characteristics_ch1", s.GROUPS), column="characteristics_ch1"),
    "the same in SOFT": soft_sheet(lambda n: f"!Sample_characteristics_ch1 = {s.GROUPS[n]}", column="characteristics_ch1"),
    "MINiML, in its archive": miniml(lambda text: gzip.compress(deposits.tar({"GSE1_family.xml": text.encode()})), "GSE1_family.xml.tgz"),
    "MINiML of two channels": miniml(str.encode, "GSE1_family.xml", column="disease:ch2"),
    "MINiML that is cut off": miniml(lambda text: text[:-30].encode(), "GSE1_family.xml", gives="not readable as MINiML"),
    "line breaks in a quoted field": series(s.line("description", ["a\nb", *"cdefghi"]), s.DISEASE),
    "other line breaks in a field": series(s.line("description", ["a\u2028b\x0bc\x85d", *"cdefghi"]), s.DISEASE),
    "row names of R": aged("\n".join(["sample\tgroup\tage", *(f"{n + 1}\t{row}" for n, row in enumerate(AGED))]) + "\n"),
    "a separator ends every row of a sheet": aged("\n".join(["sample\tgroup\tage", *(f"{row}\t" for row in AGED)]) + "\n"),
    "a title above a sheet": aged("\n".join(["Samples", "sample\tgroup\tage", *AGED]), skip_rows=1),
    "a title nobody knows of": aged("\n".join(["Samples", "sample\tgroup\tage", *AGED]), "set `samples.sheet.skip_rows: 1`"),
    "semicolons": aged("\n".join(["sample\tgroup\tage", *AGED]).replace("\t", ";")),
    "ages with decimal commas": aged("\n".join(["sample\tgroup\tage", *(row.replace("51", "51,5") for row in AGED)]), "no number as it is read here: '51,5'"),
    "a packed workbook of samples": aged(gzip.compress(s.workbook([["sample", "group", "age"], *([n, g, a] for n, g, a in zip(s.NAMES, s.GROUPS, AGES, strict=True))])), layout="xlsx", sheet_name="sheet.xlsx.gz"),
    "a row per file of a run": counts(s.table(), sheet="\n".join(SDRF), samples=RUNS),
    "a run of two samples": counts(s.table(), "belongs to several samples", sheet="\n".join([*SDRF, "GSM2\thealthy\tGSM1\tx"]), samples=RUNS),
    "values that the card does not know": counts(s.table(), "'als', 'healthy' are not in the map", samples={"columns": {"condition": {"from": "group", "map": {"x": "als", "y": "healthy"}}}}),
}  # fmt: skip


PLATFORM = "ID\tSymbol\n" + "".join(f"{p}\t{x}\n" for p, x in zip(s.PROBES, s.SYMBOLS, strict=True))


def array(values, gives, probes=PLATFORM, exclude=(), **chip) -> Case:
    card = s.array(**chip)
    if exclude:
        rules = [{"sample_id": name, "reason": "on another scale"} for name in exclude]
        card["samples"]["exclude"] = rules
    text = values if isinstance(values, str) else s.table(s.PROBES, values=values, head="ID")
    return Case(card, {"values": text, "probes": probes, "sheet": s.SHEET}, gives)


def soft_array(text: str, gives) -> Case:
    card = s.array(layout="soft")
    del card["intensities"][0]["annotation"]
    card["samples"] = {**s.of_series(), "expected": 8}
    card["samples"]["sheet"]["layout"] = "soft"
    return Case(card, {"values": ("m.soft", text), "sheet": ("s.soft", text)}, gives)


LONG = "".join(f"{p}\t{x}\n" for n, (p, x) in enumerate(zip(s.PROBES, s.SYMBOLS, strict=True)) for x in ([x, "MYOG"] if n < 6 else ["", x] if n < 12 else [x]))  # fmt: skip
ASSIGNED = "ID\tSymbol\n" + "".join(
    f"{p}\tNM_1 // {x} // a gene // 1p1 // 1 /// ENST1 // {x} // a gene // 1p1 // 1\n"
    for p, x in zip(s.PROBES, s.SYMBOLS, strict=True)
)
LINEAR = np.round(2**s.LOG2, 2)
GAPS = s.LOG2.astype(object).copy()
GAPS[np.arange(30), np.arange(30) % 8] = "null"
ONE_GAP = s.LOG2.astype(object).copy()
ONE_GAP[:40, 3] = ""
DETECTED = np.stack([s.LOG2, np.full_like(s.LOG2, 0.01)], axis=2).reshape(len(s.LOG2), -1)
INFINITE = s.LOG2.copy()
INFINITE[3, 3] = np.inf
WHOLE = {"genes": 60, "values": s.LOG2}

ARRAYS: dict[str, Case] = {
    "a row per probe and gene": array(s.LOG2, {"genes": 54, "status": {"symbol": 54, "ambiguous": 6}}, probes="ID\tSymbol\n" + LONG),
    "gene assignments of Affymetrix": array(s.LOG2, WHOLE, probes=ASSIGNED),
    "another platform's annotation": array(s.LOG2, "0% of 60 probes lead to a gene", probes=PLATFORM.replace("_at", "_x_at")),
    "log10": array(s.LOG2 * np.log10(2), "set `scale: log10` if they are that"),
    "natural logarithms": array(s.LOG2 * np.log(2), "set `scale: ln` if they are that"),
    "log10 that the card knows": array(s.LOG2 / np.log2(10), WHOLE, scale="log10"),
    "natural logarithms that the card knows": array(s.LOG2 / np.log2(np.e), WHOLE, scale="ln"),
    "half linear": array(np.hstack([s.LOG2[:, :4], LINEAR[:, 4:]]), "4, such as GSM5, look like linear values"),
    "some log10": array(np.hstack([s.LOG2[:, :6], s.LOG2[:, 6:] / np.log2(10)]), "2, such as GSM7, look like log10 values"),
    "another scale in an excluded array": array(np.hstack([s.LOG2[:, :7], LINEAR[:, 7:]]), {"genes": 60}, exclude=["GSM8"]),
    "values missing here and there": array(GAPS, {"genes": 30, "note": "30 of 60 genes are lost by that, more than a tenth", "flagged": True}),
    "values missing in an excluded array": array(ONE_GAP, {"genes": 60, "flagged": False}, exclude=["GSM4"]),
    "values missing, quantile-normalised": array(GAPS, {"genes": 30, "flagged": True}, normalise="quantile"),
    "infinite values": array(INFINITE, "infinite values in 1 array(s), such as GSM4"),
    "NA for probes without a gene": array(s.LOG2, {"genes": 50, "status": {"symbol": 50, "unmapped": 10}}, probes="ID\tSymbol\n" + "".join(f"{p}\t{x}\n" for p, x in zip(s.PROBES, ANYWHERE, strict=True))),
    "detection p-values, all of one name": array(s.table(s.PROBES, [x for n in s.NAMES for x in (n, "Detection Pval")], values=DETECTED, head="ID"), {**WHOLE, "note": "8 columns were left out, such as 'Detection Pval'"}),
    "detection p-values of every array": array(s.table(s.PROBES, [x for n in s.NAMES for x in (n, f"{n}.Detection Pval")], values=DETECTED, head="ID"), {**WHOLE, "note": "8 columns were left out"}),
    "thousands": array(s.table(s.PROBES, values=[[f"{v:,.1f}" for v in row] for row in LINEAR], head="ID"), "is not a number"),
    "SOFT": soft_array(s.soft(s.LOG2), WHOLE),
    "line breaks that are none": soft_array(s.soft(s.LOG2).replace("\tx\t", "\tprote\x85in\x0b\u2028\t"), WHOLE),
    "Windows' ellipsis": soft_array(s.soft(s.LOG2).replace("\tx\t", "\tprote\u2026in\t").encode("cp1252"), WHOLE),  # type: ignore[arg-type]
    "probes listed again": soft_array(s.soft(s.LOG2, repeat=(0, 1)), {**WHOLE, "note": "16 values of probes"}),
    "thousands in SOFT": soft_array(s.soft(np.vectorize(lambda v: f"{v:,.1f}")(LINEAR * 99)), "column 'VALUE' is not a number"),
    "a decimal comma in SOFT": soft_array(s.soft(s.LOG2).replace(".", ","), "column 'VALUE' is not a number"),
}  # fmt: skip


def triplets(change=lambda parts: parts, gives=None, name="{sample}_s_{part}", **spec) -> Case:
    files = {}
    for n in range(1, 5):
        plain = {
            k.removesuffix(".gz"): gzip.decompress(v).decode()
            for k, v in deposits.triplet(20, seed=n).items()
        }
        for part, content in change(plain).items():
            raw = content if isinstance(content, bytes) else content.encode()
            files[name.format(sample=f"GSM{n}", part=part)] = raw
    own = {"member": r"^(?P<sample_id>GSM\d+)", **spec}
    tar = ("GSE1_RAW.tar", deposits.tar(files))
    return Case(s.cells(**own), {"cells": tar}, CELLS if gives is None else gives)


CELLS = {"barcodes": [20] * 4, "features": 60, "sums": [int(deposits.counts(20, seed=n).sum()) for n in range(1, 5)]}  # fmt: skip


def edited(part: str, change):
    return lambda parts: {**parts, part: change(parts[part])}


def transposed(text: str) -> str:
    head, size, *cells = text.splitlines()
    rows, columns, n = size.split()
    turned = [" ".join([c, r, v]) for r, c, v in map(str.split, cells)]
    return "\n".join([head, f"{columns} {rows} {n}", *turned]) + "\n"


def nested(inner, name: str) -> Case:
    case = triplets()
    files: dict[str, dict[str, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(case.files["cells"][1])) as tar:
        for member in tar:
            sample, _, part = member.name.split("_")
            files.setdefault(sample, {})[f"filtered/{part}"] = tar.extractfile(member).read()  # type: ignore[union-attr]
    packed = deposits.tar({name.format(sample): inner(parts) for sample, parts in files.items()})
    return case._replace(files={"cells": ("GSE1_RAW.tar", packed)})


def h5ad(gives, pack=lambda content: content, name="s.h5ad", **change) -> Case:
    X = np.vstack([deposits.counts(20, seed=n).T for n in range(1, 5)])
    donors = np.repeat([f"GSM{n}" for n in range(1, 5)], 20)
    barcodes = (
        [f"AC{n}-1" for n in range(20)] * 4
        if change.get("repeated")
        else [f"AC{n}-1" for n in range(80)]
    )
    if change.get("twice"):
        barcodes[1] = barcodes[0]
    var = pd.DataFrame({"gene_ids": s.IDS}, index=s.SYMBOLS)
    if "kinds" in change:
        var["feature_types"] = change["kinds"]
    study = anndata.AnnData(
        X=X.astype(np.float32), obs=pd.DataFrame({"donor": donors}, index=barcodes), var=var
    )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.write_h5ad(Path(folder) / "s.h5ad")
        content = (Path(folder) / "s.h5ad").read_bytes()
    group = {"GSM[12]$": "healthy", "GSM[34]$": "als"}
    samples = {
        "sheet": {"layout": "obs"},
        "sample_id": "donor",
        "columns": {"condition": {"from": "donor", "match": group}},
    }
    card = s.cells(samples, layout="h5ad", sample_column="donor")
    return Case(card, {"cells": (name, pack(content))}, gives)


def h5_members(gives, change=lambda content: content, suffix="h5") -> Case:
    files = {f"GSM{n}_x.{suffix}": change(deposits.tenx_h5(20, seed=n)) for n in range(1, 5)}
    card = s.cells(layout="10x_h5", member=r"^(?P<sample_id>GSM\d+)_x")
    return Case(card, {"cells": ("GSE1_RAW.tar", deposits.tar(files))}, gives)


def quoted(text: str) -> str:
    return (
        "\n".join("\t".join(f'"{c}"' for c in row.split("\t")) for row in text.splitlines()) + "\n"
    )


TEN_OTHERS = ["Gene Expression"] * 50 + ["Antibody Capture"] * 10

BARCODES: dict[str, Case] = {
    "quotes in features": triplets(edited("features.tsv", quoted)),
    "commas in features": triplets(edited("features.tsv", lambda t: t.replace("\t", ","))),
    "R's row numbers in features": triplets(edited("features.tsv", lambda t: "".join(f'"{n + 1}"\t{row}\n' for n, row in enumerate(t.splitlines())))),
    "a header in features": triplets(edited("features.tsv", lambda t: "gene_id\tgene_name\tfeature_type\n" + t)),
    "headers of R": triplets(lambda p: {**p, "features.tsv": "x\n" + p["features.tsv"], "barcodes.tsv": "x\n" + p["barcodes.tsv"]}),
    "a chromosome for the kind": triplets(edited("features.tsv", lambda t: t.replace("Gene Expression", "chr1"))),
    "antibodies beside genes": triplets(edited("features.tsv", lambda t: "".join(f"{row.replace('Gene Expression', kind)}\n" for row, kind in zip(t.splitlines(), TEN_OTHERS, strict=True))), {"barcodes": [20] * 4, "features": 50, "others": 10}),
    "a feature too few": triplets(edited("features.tsv", lambda t: t.split("\n", 1)[1]), "60 features but 59 are named"),
    "barcodes in rows": triplets(edited("matrix.mtx", transposed)),
    "packed by name only": triplets(lambda p: {f"{k}.gz": v for k, v in p.items()}),
    "packed twice": triplets(lambda p: {f"{k}.gz": gzip.compress(gzip.compress(v.encode())) for k, v in p.items()}),
    "a matrix of ones": triplets(edited("matrix.mtx", lambda t: "\n".join([*t.splitlines()[:2], *(row.rpartition(" ")[0] + " 1" for row in t.splitlines()[2:])])), "the same value, 1, wherever it has one"),
    "a pattern": triplets(edited("matrix.mtx", lambda t: "\n".join([t.splitlines()[0].replace("integer", "pattern"), t.splitlines()[1], *(row.rpartition(" ")[0] for row in t.splitlines()[2:])])), "a pattern, or binarised"),
    "kb-python's names": triplets(lambda p: {"c.mtx": p["matrix.mtx"], "c.barcodes.txt": p["barcodes.tsv"], "c.genes.txt": p["features.tsv"]}),
    "names in capitals": triplets(lambda p: {k.upper(): v for k, v in p.items()}),
    "a matrix of another name": triplets(lambda p: {"counts.txt": p["matrix.mtx"], "barcodes.tsv": p["barcodes.tsv"], "features.tsv": p["features.tsv"]}, "that of the counts is called matrix.mtx"),
    "macOS's notes": triplets(lambda p: {**p, "._matrix.mtx": b"\0"}, name="{sample}/{part}"),
    "a folder per sample": triplets(name="{sample}/{part}"),
    "a tar per sample": nested(lambda parts: gzip.compress(deposits.tar(parts)), "{}_a.tar.gz"),
    "a zip per sample": nested(s.zipped, "{}_a.zip"),
    "no member matches": triplets(gives="correct the expression; members are such as GSM1_s_", member=r"^(?P<sample_id>X\d+)"),
    "a packed .h5 in a tar": h5_members(CELLS, gzip.compress, "h5.gz"),
    "a .h5 in a tar": h5_members(CELLS),
    "a packed .h5ad": h5ad(CELLS, gzip.compress, "s.h5ad.gz"),
    "an .h5ad packed as xz": h5ad(CELLS, lzma.compress, "s.h5ad.xz"),
    "barcodes repeated between samples": h5ad(CELLS, repeated=True),
    "barcodes repeated within a sample": h5ad("`cells.sample_column` has to name the column", twice=True),
    "antibodies in an .h5ad": h5ad({"barcodes": [20] * 4, "features": 50, "others": 10}, kinds=TEN_OTHERS),
    "biotypes in an .h5ad": h5ad(CELLS, kinds=["protein_coding"] * 60),
    "peaks alone": h5ad("no gene-expression features", kinds=["Peaks"] * 60),
}  # fmt: skip


def published(gives, change=lambda t: t, sep=",", name="e.csv", **spec) -> Case:
    chance = np.random.default_rng(1)
    frame = pd.DataFrame({"gene": s.SYMBOLS, "lfc": chance.normal(0, 1, 60), "se": 0.3, "p": np.linspace(0.001, 0.99, 60)})  # fmt: skip
    text = change(frame.astype(object)).to_csv(index=False, sep=sep)
    return Case(s.effects(pvalue_column="p", **spec), {"table": (name, text)}, gives)


def r_data(names=s.NAMES) -> bytes:
    import rdata

    frame = pd.DataFrame(s.COUNTS.astype("int32"), columns=names)
    frame.insert(0, "gene", s.IDS)
    with tempfile.TemporaryDirectory() as folder:
        rdata.write_rda(Path(folder) / "c.rda", {"counts": frame}, compression=None)
        return (Path(folder) / "c.rda").read_bytes()


def setting(column: str, rows: slice, value: Any):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame.index[rows], column] = value
        return frame

    return change


EFFECTS: dict[str, Case] = {
    "infinite effects": published({"genes": 51, "note": "9 genes have an infinite effect"}, setting("lfc", slice(9), "-inf")),
    "infinite errors": published({"genes": 58, "note": "2 genes have an infinite effect"}, setting("se", slice(2), "Inf")),
    "effects that are missing": published({"genes": 57, "note": "3 rows have no effect"}, setting("lfc", slice(3), "NA")),
    "effects in words": published("3 cells of column 'lfc' are no numbers: 1,5", setting("lfc", slice(3), "1,5")),
    "a title above results": Case(s.effects(pvalue_column="p", skip_rows=1), {"table": ("e.csv", "Table S2\ngene,lfc,se,p\n" + "".join(f"{x},{0.5 if n % 2 else -0.5},0.3,{n / 60}\n" for n, x in enumerate(s.SYMBOLS)))}, {"genes": 60}),
    "ratios for logarithms": published("have one sign, as ratios have", lambda f: f.assign(lfc=2.0 ** f["lfc"].astype(float))),
    "fold changes with a sign": published("no effect lies between -1 and 1", lambda f: f.assign(lfc=np.sign(f["lfc"].astype(float)) * 2 ** f["lfc"].astype(float).abs())),
    "logarithms of p": published("logarithms of p, or another column", lambda f: f.assign(p=-np.log10(f["p"].astype(float)))),
    "NA for genes": published({"genes": 50, "note": "10 rows name no gene"}, setting("gene", slice(10), "NA")),
    "probes for genes": published("0% of 60 rows lead to a gene", setting("gene", slice(60), "1_at")),
}  # fmt: skip

FIVE_ONE = (
    s.SHEET.replace("als", "other").replace("GSM6,other", "GSM6,als").replace("other", "healthy")
)
RARE: dict[str, Case] = {
    "five against one, a column of symbols": Case(
        s.bulk({"exclude": [{"sample_id": name, "reason": "not of this comparison"} for name in ("GSM7", "GSM8")]}, gene_column=0, symbol_column=0),
        {"counts": s.table(s.SYMBOLS, head="GeneSymbol"), "sheet": FIVE_ONE},
        {"reads": s.READS[:6], "status": {"symbol": 60}, "groups": ["healthy"] * 5 + ["als"]},
    ),
    "a matrix of R's": Case(
        s.bulk(layout="rdata"),
        {"counts": ("counts.rda", r_data()), "sheet": s.SHEET},
        {"reads": s.READS},
    ),
    # The package keeps the last of two columns, and writes none: a name is changed in the file.
    "a sample twice in a matrix of R's": Case(
        s.bulk(layout="rdata"),
        {"counts": ("counts.rda", r_data(["QQQ1", *s.NAMES[1:]]).replace(b"QQQ1", b"GSM2")), "sheet": s.SHEET},
        "column 'GSM2' is duplicated in the data frame",
    ),
}  # fmt: skip

ALL = {
    f"{group}: {name}": case
    for group, cases in (
        ("tables", TABLES),
        ("curated", CURATED),
        ("spreadsheets", SPREADSHEETS),
        ("sheets", SHEETS),
        ("arrays", ARRAYS),
        ("cells", BARCODES),
        ("effects", EFFECTS),
        ("rare", RARE),
    )
    for name, case in cases.items()
}


pytestmark = pytest.mark.usefixtures("looked_at_here")
TABLES_OF_GENES = {organism: files.read_gene_table(organism) for organism in ("human",)}


@pytest.fixture(autouse=True)
def _genes_read_once(monkeypatch):
    monkeypatch.setattr(files, "read_gene_table", TABLES_OF_GENES.__getitem__)


@pytest.mark.parametrize("name", ALL)
def test_case(name, tmp_path):
    case = ALL[name]
    spec = case.card.get("counts", {})
    spec = {key: value for key, value in spec.items() if value is not None}
    card = {**case.card, "counts": spec} if spec else case.card
    card, manifest = s.write(tmp_path, card, case.files)
    if isinstance(case.gives, str):
        with pytest.raises(InputError) as caught:
            account.of_study(card, manifest)
        assert case.gives in str(caught.value)
        return
    seen = _seen(card, manifest)
    assert case.gives.get("note", "") in seen.pop("note")
    for key in set(case.gives) - {"note"}:
        if key == "values":
            assert np.allclose(seen[key], case.gives[key][seen["order"]].T, atol=1e-9)
        else:
            assert seen[key] == case.gives[key], key


def _seen(card, manifest) -> dict[str, Any]:
    """What the reading that a run does gives."""
    if card["modality"] == "effects":
        found = study_effects.read_effects(card, manifest)
        assert np.isfinite(found.effects["log2fc"]).all()
        return {"genes": len(found.effects), "note": " ".join(found.notes["text"])}
    if card["modality"] == "cells":
        matrices, names, _, _ = study_cells.cell_samples(card, manifest)
        read = [matrices.read(name)[0] for name in names]
        return {
            "barcodes": [one.n_obs for one in read],
            "features": read[0].n_vars,
            "sums": [int(one.X.sum()) for one in read],
            "others": read[0].uns["n_other_features"],
            "note": "",
        }
    read = study_arrays.read_arrays if card["modality"] == "array" else studies.read_bulk
    adata, _, _ = read(card, manifest)
    origin = adata.uns["provenance"]
    return {
        "genes": adata.n_vars,
        "status": origin["rows_by_status"],
        "reads": np.asarray(adata.X).sum(axis=1).tolist(),
        "values": np.asarray(adata.X),
        "order": [s.IDS.index(gene) for gene in adata.var_names if gene in s.IDS],
        "groups": adata.obs["condition"].tolist(),
        "ages": adata.obs["age"].tolist(),
        "note": " ".join(map(str, origin["notes"])),
        "flagged": bool(origin["flagged"]),
    }


def test_five_against_one_is_too_few(tmp_path):
    case = RARE["five against one, a column of symbols"]
    card, manifest = s.write(tmp_path, case.card, case.files)
    found = account.of_study(card, manifest, min_replicates=3)
    assert found.summary == "6 samples, 60 genes"
    said = dict(found.lines)
    assert said["condition"] == "healthy 5, als 1" and said["rows"] == "60: 60 by symbol"
    assert "1 against 5 samples: effects are given, no test is claimed." in said.values()
    assert said["excluded: not of this comparison"] == "GSM7, GSM8"
