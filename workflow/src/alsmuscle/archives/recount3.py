"""recount3: uniformly processed counts and their metadata."""

from __future__ import annotations

import re

from alsmuscle.core.errors import InputError

# recount3's own list of mirrors (MoseleyBioinformaticsLab/recount3, README), the most robust first;
# the load balancer duffel answers over plain http only, and therefore comes last.
RECOUNT3 = (
    "https://recount-opendata.s3.amazonaws.com/recount3/release",
    "https://data.idies.jhu.edu/recount3/data",
    "http://duffel.rail.bio/recount3",
)


RECOUNT3_ANNOTATION = {"human": "G026", "mouse": "M023"}
RECOUNT3_TABLES = ("sra", "recount_project", "recount_qc", "recount_seq_qc", "recount_pred")


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
