"""The European Nucleotide Archive: runs, their files and their samples."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pandas as pd

from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


ENA = "https://www.ebi.ac.uk/ena/portal/api"


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
