"""GEO: where it keeps the files of a series, and what its listings and pages say.

As in all modules of this wing, functions are pure: accessions in, URLs out; text in, tables out.
Nothing opens a file or a connection. Each builder names its evidence: public code that uses the
pattern, or the archive's own documentation. A pattern without a seen file is marked as such.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urljoin

import pandas as pd

from alsmuscle.archives.answers import TRY_LATER, plain_words
from alsmuscle.core.errors import InputError, PassingError

GEO = "https://ftp.ncbi.nlm.nih.gov/geo"
GEO_WWW = "https://www.ncbi.nlm.nih.gov/geo"


def series_stub(accession: str) -> str:
    """Return GEO's folder name for an accession: its last one to three digits become ``nnn``.

    GSE183802 is in GSE183nnn, GSE781 in GSEnnn. Evidence: seandavi/GEOquery,
    ``R/getGEOSuppFiles.R``; the folders of GSE67196 and GSE781.
    """
    return re.sub(r"\d{1,3}$", "nnn", _geo(accession))


def geo_folder(accession: str, part: str = "") -> str:
    """Return the folder of a series, sample or platform, or its ``part`` (``suppl``, ``matrix``…).

    Evidence: GEOquery, ``R/getGEOSuppFiles.R``. A part without files answers HTTP 403, not 404.
    """
    accession = _geo(accession)
    kind = {"GSE": "series", "GSM": "samples", "GPL": "platforms"}[accession[:3]]
    return f"{GEO}/{kind}/{series_stub(accession)}/{accession}/" + (f"{part}/" if part else "")


def geo_supplementary(accession: str, name: str = "") -> str:
    """Return the URL of a supplementary file, or without ``name`` of their listing.

    ``filelist.txt`` there gives the exact sizes of an archive and its members
    (:func:`parse_filelist`).
    """
    return geo_folder(accession, "suppl") + quote(name)


def geo_raw_tar(accession: str) -> str:
    """Return the URL of the tar of all per-sample files, ``<GSE>_RAW.tar``."""
    return geo_supplementary(accession, f"{_geo(accession)}_RAW.tar")


def geo_series_matrix(accession: str, platform: str | None = None) -> str:
    """Return the URL of the series matrix; series on several platforms have one file for each.

    Evidence: GEOquery, ``R/parseGEO.R``; the mirror's GSE67196. GEO rewrites these files from time
    to time (listings show new dates for old series): fetch them as ``volatile``.
    """
    name = _geo(accession) + (f"-{_geo(platform)}" if platform else "")
    return geo_folder(accession, "matrix") + f"{name}_series_matrix.txt.gz"


def geo_soft_family(accession: str) -> str:
    """Return the URL of the SOFT family file: series, platforms, samples and their tables.

    Evidence: GEOquery, ``R/getGEOfile.R``; the mirror's GSE781. Rewritten like the series matrix.
    """
    return geo_folder(accession, "soft") + f"{_geo(accession)}_family.soft.gz"


def geo_annotation(platform: str) -> str:
    """Return the URL of GEO's annotation of a platform.

    Evidence: GEOquery, ``R/getGEOfile.R``; GEOparse's recorded GPL97. Only curated platforms have
    one; the SOFT family holds the submitter's table for all.
    """
    return geo_folder(platform, "annot") + f"{_geo(platform)}.annot.gz"


def geo_brief(accession: str, target: str = "self") -> str:
    """Return the URL of a record as SOFT text without tables.

    ``target``: ``self``, or ``gsm`` for all samples of a series. Evidence: GEOquery,
    ``R/getGEOfile.R``; GEO's page on programmatic access (``geo_paccess.html``).
    """
    query = urlencode({"acc": _geo(accession), "targ": target, "form": "text", "view": "brief"})
    return f"{GEO_WWW}/query/acc.cgi?{query}"


def ncbi_counts_page(accession: str) -> str:
    """Return the URL of the page that links NCBI-generated counts, if a series has them."""
    return f"{GEO_WWW}/download/?{urlencode({'acc': _geo(accession)})}"


def ncbi_counts(accession: str, *, organism: str = "human", kind: str = "raw_counts") -> str:
    """Return the URL of counts that NCBI made with HISAT2 and featureCounts.

    ``kind``: ``raw_counts``, ``norm_counts_FPKM`` or ``norm_counts_TPM``. Evidence: the mirror's
    GSE129643. Mouse: the name is expected by public code, no such file has been seen; look at
    :func:`ncbi_counts_page` first.
    """
    accession = _geo(accession)
    name = f"{accession}_{kind}_{_ncbi_build(organism)}_NCBI.tsv.gz"
    query = {"type": "rnaseq_counts", "acc": accession, "format": "file", "file": name}
    return f"{GEO_WWW}/download/?{urlencode(query)}"


def ncbi_annotation(organism: str = "human") -> str:
    """Return the URL of the gene annotation that belongs to :func:`ncbi_counts`.

    Evidence: GEOquery, ``R/rnaseq.R``. A scripted request was once reported to return no gzip:
    the fetcher's look at the content says so.
    """
    name = f"{organism.capitalize()}.{_ncbi_build(organism)}.annot.tsv.gz"
    query = {"format": "file", "type": "rnaseq_counts", "file": name}
    return f"{GEO_WWW}/download/?{urlencode(query)}"


def _ncbi_build(organism: str) -> str:
    builds = {"human": "GRCh38.p13", "mouse": "GRCm39"}
    if organism not in builds:
        raise InputError(f"NCBI generates no counts for {organism!r}", expected=" or ".join(builds))
    return builds[organism]


@dataclass(frozen=True)
class ListedFile:
    """One line of a folder listing: name, date as written, size in bytes as far as it is shown."""

    name: str
    modified: str
    size: int | None


def parse_listing(text: str) -> list[ListedFile]:
    """Return the files of an Apache folder listing, as GEO and EBI serve it.

    Sub-folders, links elsewhere and the page's own links are left out. Sizes are rounded as the
    page shows them (``2.9G`` is 3113851289 bytes at best).

    Raises
    ------
    PassingError
        The page is no listing: maintenance, a login, a limit on requests.
    """
    if not re.search(r"index of|parent directory|<pre", text[:100_000], flags=re.IGNORECASE):
        raise PassingError(
            f"no listing of a folder: {plain_words(text[:2000])!r}", remedy=TRY_LATER
        )
    found: dict[str, ListedFile] = {}
    # Piece by piece, each from one link to the next: an expression over the whole would go back and
    # forth over a page that is not closed.
    for piece in re.split(r"<a\s", text, flags=re.IGNORECASE)[1:]:
        tag, closed, rest = piece[:_MOST_LINK].partition(">")
        href = re.search(r"(?:^|\s)href\s{0,9}=\s{0,9}([\"'])(.*?)\1", tag, flags=re.I | re.S)
        _, ended, after = re.sub(r"(?i)</A>", "</a>", rest).partition("</a>")
        if not (closed and href and ended):
            continue
        name = unquote(html.unescape(href[2]))
        if not name or re.search(r"[/\\\x00-\x1f\x7f]", name) or name[0] in "?#." or ":" in name:
            continue
        words = after.partition("<")[0].split()
        stamp = " ".join(words[-3:-1])
        dated = re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", stamp)
        amount = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)([KMGT]?)", words[-1]) if words else None
        size = None
        if amount:
            size = round(float(amount[1]) * 1024 ** " KMGT".index(amount[2] or " "))
        modified = stamp if dated and amount else ""
        found.setdefault(name, ListedFile(name, modified, size))
    return list(found.values())


# Of a link in a listing, with its date and size behind it.
_MOST_LINK = 5000


def parse_filelist(text: str) -> pd.DataFrame:
    """Read GEO's ``filelist.txt``: exact sizes of an archive and of the files in it.

    Returns ``kind`` (``Archive`` or ``File``), ``name``, ``bytes``; raises :class:`InputError` if
    the text is something else.
    """
    lines = [line.split("\t") for line in text.splitlines() if line.strip()]
    if not lines or [cell.strip() for cell in lines[0][:4]] != [
        "#Archive/File",
        "Name",
        "Time",
        "Size",
    ]:
        raise InputError("not a GEO filelist.txt", expected="#Archive/File, Name, Time, Size, Type")
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) < 4 or not cells[3].strip().isdigit():
            raise InputError(f"filelist.txt, line {number}: no size", expected="bytes")
        rows.append((cells[0].strip(), cells[1].strip(), int(cells[3])))
    return pd.DataFrame(rows, columns=["kind", "name", "bytes"])


def parse_counts_page(text: str) -> dict[str, str]:
    """Return the links of a series' download page to NCBI-generated counts: name to URL.

    Empty if NCBI has generated none. Evidence: GEOquery, ``R/rnaseq.R``.
    """
    found = {}
    for match in re.finditer(
        r"href\s{0,9}=\s{0,9}([\"'])(.{0,2000}?)\1", text, flags=re.IGNORECASE | re.DOTALL
    ):
        url = urljoin(f"{GEO_WWW}/download/", html.unescape(match[2]).strip())
        url = re.sub(r"^ftp://", "https://", url)
        name = re.search(r"[?&]file=([^&]+)", url)
        if name and re.search(r"_(raw|norm)_counts_.*_NCBI\.tsv\.gz$|\.annot\.tsv\.gz$", name[1]):
            found[unquote(name[1])] = url
    return found


def _geo(accession: str) -> str:
    """Return a GEO accession in upper case, or raise :class:`InputError`."""
    name = accession.strip().upper()
    if not re.fullmatch(r"(GSE|GSM|GPL)[1-9]\d*", name):
        raise InputError(f"{accession!r} is no accession of GEO", expected="as GSE67196")
    return name


def gds_uid(accession: str) -> str:
    """Return the identifier of a series in Entrez ``gds``: 200000000 plus its number.

    Evidence: the answer for GSE93374, 200093374. Samples: 300000000, platforms: 100000000.
    """
    accession = _geo(accession)
    base = {"GPL": 100_000_000, "GSE": 200_000_000, "GSM": 300_000_000}[accession[:3]]
    return str(base + int(accession[3:]))
