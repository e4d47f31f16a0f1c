"""Where public archives keep their files, and what their small answers say.

Pure functions: accessions in, URLs out; text in, tables out. Nothing here opens a file or a
connection. Each builder names its evidence: public code that uses the pattern, or the archive's
own documentation. A pattern without a seen file is marked as such.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

import pandas as pd

from alsmuscle.core.errors import InputError, PassingError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

GEO = "https://ftp.ncbi.nlm.nih.gov/geo"
GEO_WWW = "https://www.ncbi.nlm.nih.gov/geo"
EUTILS = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"
ENA = "https://www.ebi.ac.uk/ena/portal/api"
BIOSTUDIES = "https://www.ebi.ac.uk/biostudies"
CELLXGENE = "https://api.cellxgene.cziscience.com/curation/v1"
# recount3's own list of mirrors (MoseleyBioinformaticsLab/recount3, README), the most robust first;
# the load balancer duffel answers over plain http only, and therefore comes last.
RECOUNT3 = (
    "https://recount-opendata.s3.amazonaws.com/recount3/release",
    "https://data.idies.jhu.edu/recount3/data",
    "http://duffel.rail.bio/recount3",
)
RECOUNT3_ANNOTATION = {"human": "G026", "mouse": "M023"}
RECOUNT3_TABLES = ("sra", "recount_project", "recount_qc", "recount_seq_qc", "recount_pred")
ENA_FIELDS = (
    "run_accession",
    "experiment_accession",
    "sample_accession",
    "secondary_study_accession",
    "sample_alias",
    "sample_title",
    "scientific_name",
    "library_strategy",
    "library_source",
    "library_layout",
    "instrument_model",
    "read_count",
    "base_count",
    "fastq_ftp",
    "fastq_md5",
    "fastq_bytes",
    "submitted_ftp",
    "submitted_md5",
    "submitted_bytes",
)


# --- GEO ------------------------------------------------------------------------------------------


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

    Sub-folders, links elsewhere and the page's own links are left out. Sizes are rounded as the page
    shows them (``2.9G`` is 3113851289 bytes at best).

    Raises
    ------
    PassingError
        The page is no listing: maintenance, a login, a limit on requests.
    """
    if not re.search(r"index of|parent directory|<pre", text[:100_000], flags=re.IGNORECASE):
        raise PassingError(f"no listing of a folder: {_words(text[:2000])!r}", remedy=_LATER)
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


# --- E-utilities ----------------------------------------------------------------------------------


def gds_uid(accession: str) -> str:
    """Return the identifier of a series in Entrez ``gds``: 200000000 plus its number.

    Evidence: the answer for GSE93374, 200093374. Samples: 300000000, platforms: 100000000.
    """
    accession = _geo(accession)
    base = {"GPL": 100_000_000, "GSE": 200_000_000, "GSM": 300_000_000}[accession[:3]]
    return str(base + int(accession[3:]))


def esearch(term: str, *, db: str = "gds", start: int = 0, size: int = 200) -> str:
    """Return the URL of a search; page through with ``start`` (NBK25499)."""
    return _eutils("esearch", db=db, retmode="json", retstart=start, retmax=size, term=term)


def esummary(identifiers: Iterable[str], *, db: str = "gds") -> str:
    """Return the URL of the summaries of up to 200 identifiers (NBK25499)."""
    return _eutils("esummary", db=db, retmode="json", id=",".join(identifiers))


def elink(identifiers: Iterable[str], *, source: str = "pubmed", db: str = "gds") -> str:
    """Return the URL of the links from one database to another (NBK25499)."""
    return _eutils("elink", dbfrom=source, db=db, retmode="json", id=",".join(identifiers))


def _eutils(tool: str, **parameters: str | int) -> str:
    # NCBI asks clients to name themselves.
    return f"{EUTILS}/{tool}.fcgi?{urlencode({**parameters, 'tool': 'alsmuscle'})}"


def parse_esearch(text: str) -> tuple[int, list[str]]:
    """Return the number of hits of a search and the identifiers on this page.

    Raises :class:`InputError` with NCBI's words if the answer is an error.
    """
    result = _json(text, "esearch").get("esearchresult")
    if not isinstance(result, Mapping) or "idlist" not in result:
        raise PassingError(f"E-utilities: {_said(text, result)}", expected="a list of identifiers")
    if "ERROR" in result:
        raise PassingError(f"E-utilities: {result['ERROR']}")
    return int(result["count"]), [str(item) for item in result["idlist"]]


def esearch_warnings(text: str) -> list[str]:
    """Return what NCBI ignored in a search: it drops phrases that it does not know."""
    result = _json(text, "esearch").get("esearchresult", {})
    return [
        f"{kind}: {word}"
        for place in ("errorlist", "warninglist")
        for kind, words in (result.get(place) or {}).items()
        for word in words
    ]


def parse_esummary(text: str) -> pd.DataFrame:
    """Return one row per record of an ``esummary`` answer of ``gds``.

    Columns: ``uid, accession, type`` (GSE, GSM…)``, title, summary, organism, study_type,
    n_samples, files, published, pubmed, bioproject, sra, platforms, folder``; lists joined by
    ``;``. A record that NCBI could not find raises :class:`InputError`.
    """
    rows = []
    for uid, record in _records(text):
        sra = [
            str(relation.get("targetobject", ""))
            for relation in record.get("extrelations", [])
            if relation.get("relationtype") == "SRA"
        ]
        platforms = [f"GPL{number}" for number in str(record.get("gpl", "")).split(";") if number]
        samples = record.get("n_samples", len(record.get("samples", [])))
        rows.append(
            {
                "uid": uid,
                "accession": str(record.get("accession", "")),
                "type": str(record.get("entrytype", "")),
                "title": str(record.get("title", "")),
                "summary": str(record.get("summary", "")),
                "organism": str(record.get("taxon", "")),
                "study_type": str(record.get("gdstype", "")),
                "n_samples": int(samples or 0),
                "files": str(record.get("suppfile", "")),
                "published": str(record.get("pdat", "")).replace("/", "-"),
                "pubmed": ";".join(str(item) for item in record.get("pubmedids", [])),
                "bioproject": str(record.get("bioproject", "")),
                "sra": ";".join(item for item in sra if item),
                "platforms": ";".join(platforms),
                "folder": str(record.get("ftplink", "")).replace("ftp://", "https://", 1),
            }
        )
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


SUMMARY_COLUMNS = (
    "uid",
    "accession",
    "type",
    "title",
    "summary",
    "organism",
    "study_type",
    "n_samples",
    "files",
    "published",
    "pubmed",
    "bioproject",
    "sra",
    "platforms",
    "folder",
)


def summary_samples(text: str) -> pd.DataFrame:
    """Return the samples that an ``esummary`` answer lists: ``series, sample, title``."""
    rows = [
        (str(record.get("accession", "")), str(item["accession"]), str(item.get("title", "")))
        for _, record in _records(text)
        for item in record.get("samples", [])
    ]
    return pd.DataFrame(rows, columns=["series", "sample", "title"])


def parse_elink(text: str) -> list[str]:
    """Return the identifiers that an ``elink`` answer names, each once, in order."""
    sets = _json(text, "elink").get("linksets")
    if not isinstance(sets, list):
        raise PassingError(f"E-utilities: {_said(text, None)}", expected="link sets")
    links = [
        str(link)
        for item in sets
        for database in item.get("linksetdbs", [])
        for link in database.get("links", [])
    ]
    return list(dict.fromkeys(links))


def _records(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    answer = _json(text, "esummary")
    result = answer.get("result", answer)
    if not isinstance(result, Mapping):
        raise PassingError(f"E-utilities: {_said(text, None)}", expected="document summaries")
    uids = result.get("uids", [key for key in result if key.isdigit()])
    if not uids and "uids" not in result:
        raise PassingError(f"E-utilities: {_said(text, None)}", expected="document summaries")
    for uid in uids:
        record = result.get(uid)
        if not isinstance(record, Mapping) or "error" in record:
            said = record.get("error") if isinstance(record, Mapping) else "no record"
            raise InputError(f"E-utilities, {uid}: {said}", expected="a document summary")
        yield str(uid), record


# A maintenance page, a busy service or a limit on requests comes with status 200, too.
_LATER = "try again later; the service may be down"


def _json(text: str, what: str) -> Mapping[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise PassingError(
            f"{what}: the answer is not JSON: {_words(text)!r}", remedy=_LATER
        ) from error
    if not isinstance(answer, Mapping):
        raise PassingError(f"{what}: the answer is not an object: {_words(text)!r}", remedy=_LATER)
    return answer


def _said(text: str, result: object) -> str:
    """Return an error's own words, wherever the service put them."""
    answer = json.loads(text)
    for place in (result, answer):
        if isinstance(place, Mapping):
            for key in ("ERROR", "error", "esummaryresult"):
                if key in place:
                    return _words(str(place[key]))
    return _words(text)


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^<>]*>", " ", text[:20_000])).strip()[:200]


# --- ENA ------------------------------------------------------------------------------------------


def ena_file_report(accession: str, fields: Sequence[str] = ENA_FIELDS) -> str:
    """Return the URL of ENA's run table of a project, study, sample, experiment or run.

    Evidence: nf-core/fetchngs, ``bin/sra_ids_to_runinfo.py``. HTTP 204 means that there is no such
    public record.
    """
    if not re.fullmatch(r"(PRJ[A-Z]{2}|[SED]R[APRSXZ]|SAM[A-Z]{1,3})\d+", accession):
        raise InputError(
            f"{accession!r} is no accession of ENA or SRA", expected="as PRJNA1, SRP1, SRX1, SRR1"
        )
    query = {"accession": accession, "result": "read_run", "fields": ",".join(fields)}
    return f"{ENA}/filereport?{urlencode({**query, 'format': 'tsv'}, safe=',')}"


def ena_files(report: pd.DataFrame, kind: str = "fastq") -> pd.DataFrame:
    """Return one row per file of a run table: ``run_accession, url, md5, bytes``.

    ``kind``: ``fastq`` or ``submitted``. Runs without such files have no row. Raises
    :class:`InputError` if a run's lists of names, hashes and sizes differ in length.
    """
    names = [f"{kind}_{what}" for what in ("ftp", "md5", "bytes")]
    missing = [name for name in names if name not in report.columns]
    if missing and len(report):
        raise InputError(f"the run table has no {', '.join(missing)}", expected=", ".join(names))
    rows = []
    for record in report.to_dict("records"):
        parts = [str(record[name]).split(";") if record[name] else [] for name in names]
        if len({len(part) for part in parts}) != 1:
            raise InputError(
                f"{record['run_accession']}: {names[0]}, {names[1]} and {names[2]} list "
                f"{' / '.join(str(len(part)) for part in parts)} files"
            )
        for path, md5, size in zip(*parts, strict=True):
            url = path if "://" in path else f"https://{path}"
            rows.append((record["run_accession"], url, md5, int(size)))
    return pd.DataFrame(rows, columns=["run_accession", "url", "md5", "bytes"])


def parse_archive_xml(text: str) -> pd.DataFrame:
    """Read the XML of SRA (``efetch``) or ENA: one row per run, experiment, sample or study.

    Returns ``kind, accession, alias, title, study, experiment, sample, organism, attributes``;
    ``attributes`` is a JSON object of the submitter's tags. Links between the records are those
    that the XML states; empty where it does not. Raises :class:`InputError` on other documents.
    """
    from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import (  # type: ignore[import-untyped]
        ParseError,
        fromstring,
    )

    try:
        root = fromstring(text.encode())
    except (ParseError, DefusedXmlException) as error:
        raise InputError(f"not an XML record of SRA or ENA: {error}") from error
    rows = []
    for package in list(root.iter("EXPERIMENT_PACKAGE")) or [root]:
        records = [
            element
            for element in package.iter()
            if element.tag in ("STUDY", "SAMPLE", "EXPERIMENT", "RUN") and element.get("accession")
        ]
        known = {element.tag: element.get("accession", "") for element in records}
        shared = known if package.tag == "EXPERIMENT_PACKAGE" else {}
        rows += [_xml_row(element, shared) for element in records]
    if not rows:
        raise InputError(
            f"no run, experiment, sample or study in the XML (root {root.tag})",
            expected="as from efetch db=sra, or ENA's browser",
        )
    return pd.DataFrame(rows).drop_duplicates(["kind", "accession"], ignore_index=True)


def _xml_row(element: Element, shared: Mapping[str, str]) -> dict[str, str]:
    def link(kind: str, tag: str) -> str:
        found = element.find(f".//{tag}")
        stated = found.get("accession", "") if found is not None else ""
        return stated or ("" if element.tag == kind else shared.get(kind, ""))

    titles = ("TITLE", "DESCRIPTOR/STUDY_TITLE")
    tags = {
        (item.findtext("TAG") or "").strip(): (item.findtext("VALUE") or "").strip()
        for item in element.findall(f"{element.tag}_ATTRIBUTES/{element.tag}_ATTRIBUTE")
    }
    return {
        "kind": element.tag.lower(),
        "accession": element.get("accession", ""),
        "alias": element.get("alias", ""),
        "title": next((item for tag in titles if (item := element.findtext(tag))), "").strip(),
        "study": link("STUDY", "STUDY_REF"),
        "experiment": link("EXPERIMENT", "EXPERIMENT_REF"),
        "sample": link("SAMPLE", "SAMPLE_DESCRIPTOR"),
        "organism": (element.findtext("SAMPLE_NAME/SCIENTIFIC_NAME") or "").strip(),
        "attributes": json.dumps(tags, ensure_ascii=False, sort_keys=True),
    }


# --- recount3 -------------------------------------------------------------------------------------


def recount3_gene_sums(
    project: str, organism: str, *, source: str = "sra", annotation: str | None = None
) -> list[str]:
    """Return the URLs (equivalent mirrors) of a project's gene sums.

    The sums are base-pair coverage, not counts: scale them before any count model
    (recount3's ``transform_counts``). Evidence: LieberInstitute/recount3-docs,
    ``docs/06_raw_files.Rmd``. ``annotation``: G026 (Gencode v26) and M023 by default.
    """
    annotation = annotation or _recount3_organism(organism)
    name = f"{source}.gene_sums.{project}.{annotation}.gz"
    path = f"{organism}/data_sources/{source}/gene_sums/{project[-2:]}/{project}/{name}"
    return _recount3(project, path)


def recount3_metadata(project: str, organism: str, table: str, *, source: str = "sra") -> list[str]:
    """Return the URLs (equivalent mirrors) of one of a project's metadata tables.

    ``table``: one of ``RECOUNT3_TABLES``. Evidence: recount3-docs, ``obtain_abstracts.R``.
    """
    _recount3_organism(organism)
    name = f"{source}.{table}.{project}.MD.gz"
    path = f"{organism}/data_sources/{source}/metadata/{project[-2:]}/{project}/{name}"
    return _recount3(project, path)


def recount3_genes(organism: str, annotation: str | None = None) -> list[str]:
    """Return the URLs (equivalent mirrors) of the gene annotation behind the gene sums."""
    annotation = annotation or _recount3_organism(organism)
    return _recount3(
        "SRP00",
        f"{organism}/annotations/gene_sums/{organism}.gene_sums.{annotation}.gtf.gz",
    )


def _recount3_organism(organism: str) -> str:
    if organism not in RECOUNT3_ANNOTATION:
        raise InputError(f"recount3 has no {organism!r}", expected=" or ".join(RECOUNT3_ANNOTATION))
    return RECOUNT3_ANNOTATION[organism]


def _recount3(project: str, path: str) -> list[str]:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]+", project):
        raise InputError(f"{project!r} is no project of recount3", expected="as SRP140795")
    return [f"{mirror}/{path}" for mirror in RECOUNT3]


# --- BioStudies, ArrayExpress ---------------------------------------------------------------------


def biostudies_info(accession: str) -> str:
    """Return the URL that tells where a study's files are (ArrayExpress, ``R/getAE.r``)."""
    return f"{BIOSTUDIES}/api/v1/studies/{_biostudies(accession)}/info"


def biostudies_study(accession: str) -> str:
    """Return the URL of a study's whole record (ArrayExpress, ``R/getAE.r``)."""
    return f"{BIOSTUDIES}/api/v1/studies/{_biostudies(accession)}"


def biostudies_file(accession: str, path: str = "") -> str:
    """Return the URL of one file of a study, or without ``path`` their folder.

    Evidence: ArrayExpress, ``R/getAE.r``, for array designs; the folder that ``info`` names
    (:func:`parse_biostudies_info`) holds the same files under a longer address.
    """
    return f"{BIOSTUDIES}/files/{_biostudies(accession)}/{quote(path)}"


def parse_biostudies_info(text: str) -> str:
    """Return the folder of a study's files, as https and ending in ``/Files/``."""
    link = _json(text, "BioStudies").get("ftpLink")
    if not isinstance(link, str) or not urlsplit(link).hostname:
        raise InputError(f"BioStudies: {_words(text)!r}", expected="an ftpLink")
    return re.sub(r"^ftp://", "https://", link).rstrip("/") + "/Files/"


def parse_biostudies_study(text: str) -> pd.DataFrame:
    """Return the files that a study's record names: ``path, bytes, section``.

    ``bytes`` is missing (``<NA>``) where the record does not say.
    """
    rows: list[tuple[str, int | None, str]] = []

    def walk(node: object, section: str) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item, section)
        elif isinstance(node, Mapping):
            section = str(node.get("type", section)) if "accno" in node else section
            for item in _flat(node.get("files", [])):
                if isinstance(item, Mapping) and "path" in item:
                    size = item.get("size")
                    known = int(str(size)) if str(size).isdigit() else None
                    rows.append((str(item["path"]), known, section))
            for key in ("section", "subsections"):
                walk(node.get(key, []), section)

    record = _json(text, "BioStudies")
    if "section" not in record:
        raise PassingError(f"BioStudies: {_words(text)!r}", expected="a study with sections")
    walk(record, "Study")
    table = pd.DataFrame(rows, columns=["path", "bytes", "section"])
    return table.astype({"bytes": "Int64"})


def _flat(node: object) -> Iterator[object]:
    for item in node if isinstance(node, list) else [node]:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item


def _biostudies(accession: str) -> str:
    if not re.fullmatch(r"[ES]-[A-Z0-9]+(-\d+)?", accession):
        raise InputError(f"{accession!r} is no accession of BioStudies", expected="as E-MTAB-13874")
    return accession


# --- CELLxGENE ------------------------------------------------------------------------------------


def cellxgene_dataset(collection: str, dataset: str) -> str:
    """Return the URL of a dataset's record (single-cell-curation, ``get_dataset.ipynb``)."""
    for identifier in (collection, dataset):
        if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", identifier):
            raise InputError(f"{identifier!r} is no CELLxGENE identifier", expected="a UUID")
    return f"{CELLXGENE}/collections/{collection}/datasets/{dataset}"


def parse_cellxgene(text: str, filetype: str = "H5AD") -> tuple[str, int]:
    """Return URL and bytes of a dataset's file; the URL is that of this version for ever."""
    record = _json(text, "CELLxGENE")
    for asset in record.get("assets", []):
        if asset.get("filetype") == filetype:
            return str(asset["url"]), int(asset["filesize"])
    raise InputError(f"CELLxGENE: no {filetype} file: {_words(text)!r}")


# --- files of a card --------------------------------------------------------------------------------


def addresses(file: Mapping[str, Any], *, accession: str, organism: str) -> list[str]:
    """Return the equivalent URLs of a card's file that is named by ``source``.

    ``accession`` and ``organism`` are the card's. A folder's file without ``name`` gives the folder.
    CELLxGENE has no lasting address without its record: :func:`parse_cellxgene`.
    """
    accession = file.get("accession", accession)
    kind = file["source"]
    if kind == "recount3":
        table = file.get("table", "gene_sums")
        if table == "gene_sums":
            return recount3_gene_sums(accession, organism)
        return recount3_metadata(accession, organism, table)
    builders: dict[str, Callable[[], str]] = {
        "geo_supplement": lambda: geo_supplementary(accession, file.get("name", "")),
        "geo_raw": lambda: geo_raw_tar(accession),
        "geo_matrix": lambda: geo_series_matrix(accession, file.get("platform")),
        "geo_soft": lambda: geo_soft_family(accession),
        "geo_annotation": lambda: geo_annotation(file["platform"]),
        "ncbi_counts": lambda: ncbi_counts(accession, organism=organism),
        "ncbi_annotation": lambda: ncbi_annotation(organism),
        "ena_report": lambda: ena_file_report(accession),
        "biostudies": lambda: biostudies_file(accession, file.get("name", "")),
    }
    return [builders[kind]()]


# --- accessions -----------------------------------------------------------------------------------


def _geo(accession: str) -> str:
    """Return a GEO accession in upper case, or raise :class:`InputError`."""
    name = accession.strip().upper()
    if not re.fullmatch(r"(GSE|GSM|GPL)[1-9]\d*", name):
        raise InputError(f"{accession!r} is no accession of GEO", expected="as GSE67196")
    return name
