"""What of a study's measurements does not reach its genes: said, and past a share flagged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

# A study of sound files loses some hundredths of its reads, or of its genes, on the way.
LIMIT = 0.1
WITHOUT_GENE = ("unmapped", "ambiguous")


class Loss(NamedTuple):
    """Sentences for the study's page: on what is lost, and where that is more than is usual."""

    notes: list[str]
    flagged: list[str]


def of_counts(counts: pd.DataFrame, identity: pd.DataFrame) -> Loss:
    """Say how many reads lie in rows that lead to no gene.

    Parameters
    ----------
    counts
        Rows of the source × samples.
    identity
        Row by row ``status``.
    """
    lost = identity["status"].isin(WITHOUT_GENE).to_numpy()
    reads = counts.to_numpy().sum(axis=1)
    share = float(reads[lost].sum() / max(reads.sum(), 1))
    return _loss(
        f"{int(lost.sum()):,} of {len(lost):,} rows lead to no gene of our table, or to several; "
        f"they hold {share:.1%} of the reads",
        int(lost.sum()),
        share,
        "the reads",
    )


def of_probes(expression: pd.DataFrame, identity: pd.DataFrame) -> Loss:
    """Say how many genes are lost because their probes lack a value in some sample.

    Parameters
    ----------
    expression
        Probes × the samples that are used.
    identity
        Row by row ``gene_id`` and ``status``.
    """
    measures = ~identity["status"].isin(WITHOUT_GENE).to_numpy()
    gaps = expression.isna().any(axis=1).to_numpy() & measures
    genes = set(identity["gene_id"].to_numpy()[measures])
    lost = genes - set(identity["gene_id"].to_numpy()[measures & ~gaps])
    share = len(lost) / max(len(genes), 1)
    return _loss(
        f"{int(gaps.sum()):,} of {int(measures.sum()):,} probes of a gene lack a value in some "
        f"sample and were left out; {len(lost):,} of {len(genes):,} genes are lost by that",
        int(gaps.sum()),
        share,
        "the genes",
    )


def _loss(text: str, number: int, share: float, what: str) -> Loss:
    if not number:
        return Loss([], [])
    if share <= LIMIT:
        return Loss([f"{text}."], [])
    said = f"{text}, more than a tenth of {what}."
    return Loss([said], [said])
