"""Addresses of the files of a study card, archive by archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from alsmuscle.archives.biostudies import biostudies_file
from alsmuscle.archives.ena import ena_file_report
from alsmuscle.archives.geo import (
    geo_annotation,
    geo_raw_tar,
    geo_series_matrix,
    geo_soft_family,
    geo_supplementary,
    ncbi_annotation,
    ncbi_counts,
)
from alsmuscle.archives.recount3 import recount3_gene_sums, recount3_metadata


def addresses(file: Mapping[str, Any], *, accession: str, organism: str) -> list[str]:
    """Return the equivalent URLs of a card's file that is named by ``source``.

    ``accession`` and ``organism`` are the card's. A folder's file without ``name`` gives the
    folder. CELLxGENE has no lasting address without its record: :func:`parse_cellxgene`.
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
