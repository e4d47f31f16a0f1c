"""A study of cells, nuclei or spots: every sample read and checked, and what that says of the
study.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from alsmuscle.cells import prepare, pseudobulk
from alsmuscle.data import completeness, derived, study_cells
from alsmuscle.data.readers import sparse_counts

if TYPE_CHECKING:
    from anndata import AnnData

    from alsmuscle.data.readers.single_cell import Matrices


class Preparation:
    """Samples of a study, prepared one after the other; afterwards the tables about them.

    Parameters
    ----------
    card
        The study card.
    matrices, names
        From :func:`alsmuscle.data.study_cells.cell_samples`.
    genes
        Gene table of the organism.
    options
        Of :func:`alsmuscle.cells.prepare.prepare_sample`.
    say
        Told of each sample, as a logger's ``info``.
    """

    def __init__(
        self,
        card: Mapping[str, Any],
        matrices: Matrices,
        names: Mapping[str, str],
        genes: pd.DataFrame,
        *,
        options: Mapping[str, Any],
        say: Callable[..., None],
    ) -> None:
        self.card, self.matrices, self.names = card, matrices, names
        self._genes, self._options, self._say = genes, options, say
        self._summaries: list[dict[str, Any]] = []
        self._barcodes: list[pd.DataFrame] = []
        self._sums: dict[str, pd.DataFrame] = {}
        self._identities: dict[tuple[tuple[str, ...], tuple[str, ...]], pd.DataFrame] = {}

    def samples(self) -> Iterator[prepare.PreparedSample]:
        """Yield each sample once; one is in memory at a time."""
        dataset, material = self.card["id"], self.card["cells"]["material"]
        for name, sample_id in self.names.items():
            counts, raw = self.matrices.read(name)
            identity = self._identity(counts, f"{dataset}: {sample_id}")
            sample = prepare.prepare_sample(
                sparse_counts.rename_genes(counts, identity),
                raw=None if raw is None else sparse_counts.rename_genes(raw, identity),
                sample_id=sample_id,
                material=material,
                **self._options,
            )
            self._summaries.append(sample.summary)
            reasons = prepare.count_reasons(sample.barcodes)
            self._barcodes.append(reasons.assign(sample_id=sample_id))
            if sample.cells.n_obs:
                self._sums[sample_id] = pseudobulk.sum_sample(sample.cells)
            self._say("%s: %s", sample_id, sample.summary["skipped"] or sample.cells.shape)
            yield sample

    def _identity(self, counts: AnnData, where: str) -> pd.DataFrame:
        """Lead a sample's features to genes; samples mostly share one list of features."""
        features = tuple(counts.var["source_id"]), tuple(counts.var["symbol"])
        if features not in self._identities:
            self._identities[features] = study_cells.gene_identity(counts, self._genes, where)
        return self._identities[features]

    def tables(
        self, kept: pd.DataFrame, excluded: pd.DataFrame, *, min_replicates: int
    ) -> dict[str, pd.DataFrame]:
        """Return what the samples that were yielded say of the study.

        Parameters
        ----------
        kept, excluded
            From :func:`alsmuscle.data.study_cells.cell_samples`.
        min_replicates
            Samples a side below which no test is claimed.

        Returns
        -------
        dict
            ``qc`` and ``barcodes`` (contracts ``cells_qc`` and ``barcodes``), ``samples`` with what
            is derived from their counts, ``excluded`` with those skipped, ``completeness`` and
            ``warnings``.

        Raises
        ------
        InputError
            A contrast of the card cannot be computed from the samples.
        """
        dataset = self.card["id"]
        quality = prepare.flag_samples(self._summaries).assign(dataset=dataset)
        whole = pseudobulk.stack_sums(self._sums, where=dataset)
        found = derived.technical(whole)
        sexes = derived.sex_expression(whole, self.card["organism"])
        found["sex_inferred"] = sexes["sex_inferred"]
        kept = kept.set_index("sample_id", drop=False)
        used = kept.loc[list(whole.obs_names)].join(found).reset_index(drop=True)
        skipped = quality.loc[quality["skipped"] != "", ["dataset", "sample_id", "skipped"]]
        skipped["sample_id"] = skipped["sample_id"].map(kept["sample_label"])
        excluded = pd.concat([excluded, skipped.rename(columns={"skipped": "reason"})])
        whole.obs = used.set_index("sample_id")
        whole.uns["provenance"] = {"columns_in_source": self.matrices.names}
        return {
            "qc": quality,
            "barcodes": pd.concat(self._barcodes, ignore_index=True).assign(dataset=dataset),
            "samples": used,
            "excluded": excluded,
            "completeness": completeness.completeness(self.card, whole, excluded),
            "warnings": completeness.design_faults(self.card, used, min_replicates),
        }
