"""Time grows with the text, not with its square: twice the size, at most 2.5 times as long."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from alsmuscle.archives import eutils, geo
from alsmuscle.core import files, redaction
from alsmuscle.core.errors import InputError
from alsmuscle.data import genes, record, samples
from alsmuscle.data.readers import arrays, sample_sheets, tables, tenx
from alsmuscle.download import containers, lock, policy

# Ratios of times scatter on a loaded machine: held by `make verify`, where tests run one by one.
pytestmark = pytest.mark.verify

SAMPLES = "".join(f'\t"GSM{n}"' for n in range(30))


def _matrix(n: int) -> str:
    lines = f"!Sample_geo_accession{SAMPLES}\n"
    return lines + "".join(
        f"!Sample_characteristics_ch1{SAMPLES.replace('GSM', f'a{k}: b')}\n" for k in range(n)
    )


def _table(text: str) -> None:
    tables.read(text.encode(), "a file", tables.form({}, "counts"))


def _blanks(text: str) -> None:
    tables.read(text.encode(), "a file", tables.form({"separator": "space"}, "counts"))


def _ids(text: str) -> None:
    genes.identify([text, "SOD1"], files.read_gene_table("mouse").head(10), id_type="symbol")


WANT = policy.Want("https://example.org/a.tsv", "x", None, None, None)

# Of each parser of outside text: what reads it, and a text of size n that once was slow, or may be.
PARSERS: dict[str, tuple[Callable[[str], Any], Callable[[int], str], int]] = {
    "listing, links without an end": (
        geo.parse_listing,
        lambda n: "<h1>Index of</h1>" + "<a href='" * n,
        20_000,
    ),
    "listing, tags without an end": (
        geo.parse_listing,
        lambda n: "<h1>Index of</h1>" + "<a " * n,
        40_000,
    ),
    "listing, names without an end": (
        geo.parse_listing,
        lambda n: "<h1>Index of</h1>" + "<a href='x'>" * n,
        20_000,
    ),
    "listing, sound": (
        geo.parse_listing,
        lambda n: (
            "<h1>Index of</h1>"
            + "".join(f'<a href="f{k}.gz">f</a>  2024-05-01 10:00  1K\n' for k in range(n))
        ),
        10_000,
    ),
    "page of counts": (geo.parse_counts_page, lambda n: "href='" * n, 30_000),
    "page of counts, spaces": (geo.parse_counts_page, lambda n: "href" + " " * n, 200_000),
    "page of counts, names": (
        geo.parse_counts_page,
        lambda n: "<a href='?file=" + "_raw_counts_" * 100 + "'>" + "x" * n,
        200_000,
    ),
    "answer, open tags": (eutils.parse_esummary, lambda n: "<" * n, 200_000),
    "answer, many records": (
        eutils.parse_esearch,
        lambda n: '{"esearchresult": {"count": "1", "idlist": ["1"' + ', "1"' * n + "]}}",
        200_000,
    ),
    "SOFT samples": (
        sample_sheets.parse_soft_samples,
        lambda n: "".join(f"^SAMPLE = GSM{k}\n!Sample_title = x\n" for k in range(n)),
        20_000,
    ),
    "SOFT, one sample of many names": (
        sample_sheets.parse_soft_samples,
        lambda n: "^SAMPLE = GSM1\n" + "".join(f"!Sample_a{k} = x\n" for k in range(n)),
        5_000,
    ),
    "SOFT, one name for ever": (
        sample_sheets.parse_soft_samples,
        lambda n: "^SAMPLE = GSM1\n" + "!Sample_a = x\n" * n,
        20_000,
    ),
    "SOFT, no equals sign": (
        sample_sheets.parse_soft_samples,
        lambda n: "^SAMPLE = GSM1\n!Sample_" + "a" * n + " " * n,
        100_000,
    ),
    "series matrix": (lambda text: sample_sheets.parse_series_matrix(text, "x"), _matrix, 300),
    "series matrix, quotes without an end": (
        lambda text: sample_sheets.parse_series_matrix(text, "x"),
        lambda n: f'!Sample_geo_accession{SAMPLES}\n!Sample_title\t"' + 'a\n"' * n,
        20_000,
    ),
    "names of columns, all alike": (
        lambda text: tables.numbered(text.split(",")),
        lambda n: "a," * n,
        100_000,
    ),
    "names of samples, alike but for their marks": (
        lambda text: samples.safe_names(text.split(",")),
        lambda n: ",".join(
            f"a{chr(0x4E00 + k % 20_000)}{chr(0x4E00 + k // 20_000)}" for k in range(n)
        ),
        20_000,
    ),
    "ids of a card against those of a sheet": (
        lambda text: record.sheet_checks(
            {"id": "x", "organism": "human", "archive": {"ids": text.split(",")}},
            pd.DataFrame({"geo_accession": text.split(",")}),
        ),
        lambda n: ",".join(f"GSM{k}" for k in range(n)),
        4_000,
    ),
    "run table": (
        sample_sheets.parse_file_report,
        lambda n: "run_accession\tx\n" + "".join(f"SRR{k}\ty\n" for k in range(n)),
        20_000,
    ),
    "table, a long header": (
        _table,
        lambda n: "gene\t" + "\t".join(f"s{k}" for k in range(n)) + "\nx" + "\t1" * n + "\n",
        8_000,
    ),
    "table, many rows": (_table, lambda n: "gene\ts\n" + "x\t1\n" * n, 40_000),
    "table, quotes": (_table, lambda n: 'gene\ts\n"' + '"x\t1\n' * n, 20_000),
    "table, quotes that are closed": (_table, lambda n: "gene\ts\n" + 'x\t"1\n"\n' * n, 20_000),
    "table, blanks": (_blanks, lambda n: "gene s\n" + 'x "1 1\n' * n, 60_000),
    "table, powers of ten": (_table, lambda n: "gene\ts\nx\t" + "1.1E+" * n, 20_000),
    "table, one long number": (_table, lambda n: "gene\ts\nE+\t1." + "1" * n, 400_000),
    "ids, symbols without an end": (
        lambda text: genes.is_summary([text]),
        lambda n: "a_" * n,
        200_000,
    ),
    "ids, written together": (_ids, lambda n: "x|" + "a_(" * n, 100_000),
    "names of a triplet": (tenx.part_of, lambda n: "genes.tsv/" * n, 400),
    "names of detection": (
        lambda text: tables.parse(text, "x", tables.Form("x", beside=arrays.DETECTION)),
        lambda n: "gene\ts\t" + "detection_" * n + "\nx\t1\t2\n",
        40_000,
    ),
    "redaction, words": (redaction.shown, lambda n: "a.b=c/d:e " * n, 4_000),
    "redaction, one word": (redaction.shown, lambda n: "key" * n + "=", 40_000),
    "redaction, slashes": (redaction.shown, lambda n: "/a" * n, 20_000),
    "redaction, addresses": (redaction.shown, lambda n: "a://" * n, 20_000),
    "redaction, logins": (redaction.shown, lambda n: "a://" + "x" * n, 100_000),
    "redaction, commands": (redaction.printable, lambda n: "\x1b]" * n, 20_000),
    "a page's beginning": (
        lambda text: containers.refuse_page(WANT, "a.tsv", text.encode()[:4096]),
        lambda n: "<!--" * n,
        100_000,
    ),
}


def seconds(read: Callable[[str], Any], text: str) -> float:
    """Return the least time of three, of this process alone: others share the machine."""
    times = []
    for _ in range(3):
        gc.collect()
        begun = time.process_time()
        with suppress(InputError):
            read(text)
        times.append(time.process_time() - begun)
    return min(times)


@pytest.mark.parametrize("case", PARSERS)
def test_twice_the_text_takes_twice_the_time(case: str) -> None:
    read, text, n = PARSERS[case]
    ratios = []
    for _ in range(3):  # what is quadratic stays so; a busy machine is not always busy
        once, twice = seconds(read, text(n)), seconds(read, text(2 * n))
        # Below some milliseconds the clock says little.
        if twice <= 2.5 * once or twice < 0.02:
            return
        ratios.append(twice / once)
    raise AssertionError(ratios)


def _index(folder: Path, n: int) -> Path:
    folder.mkdir()
    rows = [f"https://host/{k}\tf{k}\t{'0' * 64}\t1\t\n" for k in range(n)]
    (folder / "index.tsv").write_text("url\tpath\tsha256\tbytes\tnote\n" + "".join(rows))
    return folder


def test_looking_up_many_files_in_a_mirror_is_linear(tmp_path: Path) -> None:
    def look(folder: Path, n: int) -> float:
        begun = time.process_time()
        for k in range(n):
            assert lock.row_for(lock.read_mirror(folder), f"https://host/{k}")
        return time.process_time() - begun

    once, twice = (look(_index(tmp_path / str(n), n), n) for n in (400, 800))
    assert twice <= 2.5 * once or twice < 0.05, f"{once:.4f} s, {twice:.4f} s"
