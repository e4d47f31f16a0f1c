"""From transcripts to genes: counts that are free of changes in transcript use.

A gene whose longer isoform takes over gives more fragments without being transcribed more. As
tximport does, the abundances of a gene's transcripts are added, and are put back on the scale of
counts with one length per gene for all runs (``countsFromAbundance = "lengthScaledTPM"``).

Source: Soneson, Love and Robinson 2015, F1000Research 4:1521. Checked against R tximport 1.26.1 in
``tests/reference/tximport``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
COLUMNS = ("target_id", "length", "eff_length", "est_counts", "tpm")


@dataclass(frozen=True)
class GeneCounts:
    """Genes x runs: estimated ``counts``, ``abundance`` (TPM) and mean effective ``length``."""

    counts: pd.DataFrame
    abundance: pd.DataFrame
    length: pd.DataFrame

    def length_scaled(self) -> pd.DataFrame:
        """Return counts as from abundances, each run with the total that it had.

        Abundance x the gene's mean length over the runs, scaled to the run's sum of counts. A run
        without a single count stays without.
        """
        scaled = self.abundance.mul(self.length.mean(axis=1), axis=0)
        total = scaled.sum()
        factor = (self.counts.sum() / total.where(total > 0)).fillna(0.0)
        return cast("pd.DataFrame", scaled * factor)


def to_genes(runs: Mapping[str, pd.DataFrame], gene_of: Mapping[str, str]) -> GeneCounts:
    """Add the transcripts of each gene.

    Parameters
    ----------
    runs
        Run → its abundances as kallisto writes them: columns ``target_id``, ``length``,
        ``eff_length`` (nucleotides), ``est_counts`` (fragments), ``tpm``; the same transcripts in
        the same order for all runs.
    gene_of
        Transcript → gene.

    Returns
    -------
    GeneCounts
        Genes in alphabetic order. A gene's length in a run is the mean effective length of its
        transcripts, weighted by their abundance. Where a run has none of the gene, it is the
        geometric mean over the other runs; where no run has any, the mean over its transcripts.

    Raises
    ------
    ValueError
        The runs list different transcripts, or a transcript has no gene.
    """
    import pandas as pd

    if not runs:
        raise ValueError("no run to collect")
    names = list(runs)
    transcripts = runs[names[0]]["target_id"].tolist()
    for name in names[1:]:
        if runs[name]["target_id"].tolist() != transcripts:
            raise ValueError(
                f"runs {names[0]} and {name} were quantified against different transcripts"
            )
    lost = [name for name in transcripts if name not in gene_of]
    if lost:
        raise ValueError(
            f"{len(lost)} transcript(s) of the index belong to no gene, such as '{lost[0]}'"
        )
    genes, code = np.unique([gene_of[name] for name in transcripts], return_inverse=True)

    def matrix(column: str) -> Array:
        return np.column_stack([runs[name][column].to_numpy(float) for name in names])

    effective, tpm = matrix("eff_length"), matrix("tpm")
    abundance = _sums(tpm, code, len(genes))
    weighted = _sums(tpm * effective, code, len(genes))
    with np.errstate(invalid="ignore", divide="ignore"):
        length = np.where(abundance > 0, weighted / abundance, np.nan)
    size = np.bincount(code, minlength=len(genes))
    plain = np.bincount(code, weights=effective.mean(axis=1), minlength=len(genes)) / size
    length = _fill(length, plain)

    def frame(values: Array) -> pd.DataFrame:
        return pd.DataFrame(values, index=pd.Index(genes, name="gene_id"), columns=names)

    counts = _sums(matrix("est_counts"), code, len(genes))
    return GeneCounts(frame(counts), frame(abundance), frame(length))


def transcript_genes(headers: Sequence[str]) -> dict[str, str]:
    """Return transcript → gene from FASTA headers of GENCODE or Ensembl, without gene versions.

    GENCODE: ``ENST…|ENSG…|…``; Ensembl: ``ENST… cdna … gene:ENSG… …``. The transcript is what
    kallisto takes for its name, all up to the first blank.

    Raises
    ------
    ValueError
        A header names no gene.
    """
    found = {}
    for header in headers:
        name = header.split()[0] if header.split() else ""
        fields = name.split("|")
        gene = fields[1] if len(fields) > 1 else ""
        if not gene:
            gene = next((word[5:] for word in header.split()[1:] if word.startswith("gene:")), "")
        if not name or not gene:
            raise ValueError(f"the FASTA header '{header[:80]}' names no gene")
        found[name] = _without_version(gene)
    return found


def _without_version(gene: str) -> str:
    """Drop ``.12`` of ``ENSG….12``; the Y copy of a pseudoautosomal gene counts as the gene."""
    return gene.split(".", maxsplit=1)[0] if gene.startswith("ENS") else gene


def _sums(values: Array, code: NDArray[np.intp], n: int) -> Array:
    """Add the rows of ``values`` (transcripts x runs) by their gene's number."""
    return np.column_stack([np.bincount(code, weights=column, minlength=n) for column in values.T])


def _fill(length: Array, plain: Array) -> Array:
    """Replace lengths that a run does not tell (NaN), from the other runs or else ``plain``."""
    known = ~np.isnan(length)
    n = known.sum(axis=1)
    logs = np.where(known, np.log(np.where(known, length, 1.0)), 0.0).sum(axis=1)
    other = np.where(n > 0, np.exp(logs / np.maximum(n, 1)), plain)
    return np.where(known, length, other[:, None])
