"""What is measured of every sample of whole tissue, a record each.

Columns of the table, flags, page and methods are read from these records: a new metric is a record
here, its limit in ``config/config.yaml`` with its schema, and its meaning in
``schemas/columns.tsv``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from alsmuscle.core.contracts import Kind
from alsmuscle.data import derived

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData

    from alsmuscle.core.types import Floats

HAEMOGLOBIN = (
    *("HBA1", "HBA2", "HBB", "HBD", "HBE1", "HBG1", "HBG2", "HBM", "HBQ1", "HBZ"),
    *("Hba-a1", "Hba-a2", "Hbb-bs", "Hbb-bt", "Hbb-b1", "Hbb-b2", "Hbb-y", "Hbb-bh1"),
)


class Matrix:
    """A study's matrix, samples × genes, and what several metrics need of it."""

    def __init__(self, measured: AnnData) -> None:
        import numpy as np

        self.adata = measured
        self.X: Floats = np.asarray(measured.X, dtype=float)
        self.symbols: pd.Series = measured.var["symbol"].astype(str)
        self.upper: pd.Series = self.symbols.str.upper()

    @cached_property
    def total(self) -> Floats:
        """Sum per sample."""
        import numpy as np

        return np.asarray(self.X.sum(axis=1))

    @cached_property
    def nuclear(self) -> Floats:
        """Values without mitochondrial genes, which have a metric of their own."""
        import numpy as np

        return np.where(self.upper.str.startswith("MT-").to_numpy(), 0.0, self.X)

    @cached_property
    def technical(self) -> pd.DataFrame:
        """Measures of processing (:func:`alsmuscle.data.derived.technical`)."""
        return derived.technical(self.adata)

    @cached_property
    def relative(self) -> Floats:
        """Quartiles of relative log expression: each value less its gene's median; 3 × samples."""
        import numpy as np

        return np.quantile(self.X - np.median(self.X, axis=0), [0.25, 0.5, 0.75], axis=1)

    def percent(self, genes: pd.Series | np.ndarray) -> Floats:
        """Per cent of a sample's sum in some genes."""
        import numpy as np

        return np.asarray(100 * self.X[:, np.asarray(genes)].sum(axis=1) / self.total)

    def most_abundant(self) -> list[str]:
        """Return each sample's most abundant nuclear gene."""
        names = self.symbols.where(self.symbols != "", self.adata.var_names.to_series())
        return list(names.to_numpy()[self.nuclear.argmax(axis=1)])

    def share_of_top(self, n: int) -> Floats:
        """Return the share of a sample's sum in its ``n`` most abundant genes."""
        import numpy as np

        return np.asarray(np.sort(self.X, axis=1)[:, -n:].sum(axis=1) / self.total)


@dataclass(frozen=True)
class Metric:
    """A metric of a sample.

    Parameters
    ----------
    name
        Column of the table.
    head, title, shown, digits, sign
        Heading on the page (without one it is not shown), its tooltip, format and decimals.
    of
        What it is measured from; elsewhere it is missing. Metrics of a sample beside the study's
        others are measured by :mod:`alsmuscle.bulk.qc`.
    measured
        Matrix → a value per sample.
    kind
        Of the column.
    limit
        Key of ``bulk.qc``: flagged is what lies below (``min_``) or above (``max_``) it.
    flag
        Name of the flag, where it is not the column's.
    compared
        What is compared with the limit: the value, its size, its multiple of the study's median, or
        the same of 1 - value.
    reason
        Why a sample is flagged: ``{value}, {compared}, {limit}, {top_gene}`` are filled in.
    by_library
        Said of a flag that a quarter of the study and more share: it is the libraries'.
    method
        The same limit in the methods: keys of ``bulk.qc`` are filled in.
    covariate
        Whether principal components are compared with it.
    """

    name: str
    head: str
    title: str = ""
    shown: Literal["number", "count"] = "number"
    digits: int = 2
    sign: bool = False
    of: Literal["counts", "intensities", "study"] = "counts"
    measured: Callable[[Matrix], Any] | None = None
    kind: Kind = "number"
    limit: str = ""
    flag: str = ""
    compared: Literal["value", "size", "multiple", "dissimilarity"] = "value"
    reason: str = ""
    by_library: bool = False
    method: str = ""
    covariate: bool = False

    def held(self, values: np.ndarray) -> np.ndarray:
        """Return the part of these values that is compared with the limit."""
        import numpy as np

        if self.compared == "value":
            return np.asarray(values)
        if self.compared == "size":
            return np.asarray(np.abs(values))
        return multiple(values if self.compared == "multiple" else 1 - values)


def multiple(values: np.ndarray) -> np.ndarray:
    """Return values in multiples of their median; ones where that is not positive."""
    import numpy as np

    centre = np.median(values)
    return np.asarray(values / centre) if centre > 0 else np.ones_like(values)


OF_SAMPLE = (
    Metric(
        "library_size",
        "Reads in genes",
        shown="count",
        measured=lambda matrix: matrix.technical["library_size"],
        limit="min_library_size",
        reason="library_size {value} < {limit}",
        method="library below {min_library_size:,} reads",
        covariate=True,
    ),
    Metric(
        "genes_detected",
        "Genes detected",
        shown="count",
        measured=lambda matrix: (matrix.X > 0).sum(axis=1),
        limit="min_genes_detected",
        reason="genes_detected {value} < {limit}",
        method="fewer than {min_genes_detected:,} genes detected",
        covariate=True,
    ),
    Metric(
        "pct_mito",
        "Mitochondrial %",
        digits=1,
        measured=lambda matrix: matrix.technical["pct_mito"],
        limit="max_pct_mito",
        reason="pct_mito {value:.3f} > {limit}",
        by_library=True,
        method="mitochondrial reads above {max_pct_mito:g} %",
        covariate=True,
    ),
    Metric(
        "pct_ribo",
        "Ribosomal %",
        digits=1,
        measured=lambda matrix: matrix.percent(
            matrix.upper.str.fullmatch(r"RP[SL]\d+[A-Z]?\d*(?:L\d*)?")
        ),
        covariate=True,
    ),
    Metric(
        "pct_hb",
        "Haemoglobin %",
        measured=lambda matrix: matrix.percent(matrix.symbols.isin(HAEMOGLOBIN)),
        limit="max_pct_hb",
        reason="pct_hb {value:.3f} > {limit}",
        by_library=True,
        method="haemoglobin above {max_pct_hb:g} %",
    ),
    Metric(
        "top_gene_share",
        "Top gene share",
        digits=3,
        kind="share",
        measured=lambda matrix: matrix.nuclear.max(axis=1) / matrix.total,
        limit="max_top_gene_share",
        reason="top_gene_share {value:.3f} > {limit} ({top_gene})",
        by_library=True,
        method="one gene above {max_top_gene_share:.0%} of reads",
    ),
    Metric(
        "top_gene",
        "",
        kind="text",
        measured=lambda matrix: matrix.most_abundant(),
    ),
    Metric(
        "top50_share",
        "Top 50 genes' share",
        digits=3,
        measured=lambda matrix: matrix.share_of_top(50),
        covariate=True,
    ),
    # Bolstad et al. 2005, 10.1007/0-387-29362-0_3: 0 for an array like the others.
    Metric(
        "level",
        "Level",
        "Median of relative log expression, log2",
        sign=True,
        of="intensities",
        measured=lambda matrix: matrix.relative[1],
        limit="max_level",
        compared="size",
        reason="level {value:+.2f} log2 beside the other arrays, beyond {limit}: set "
        "`normalise: quantile` on the card, or leave it out",
        method="an array whose middle lies more than {max_level:g} log2 beside the others'",
    ),
    Metric(
        "level_spread",
        "Spread",
        "Its interquartile range, log2",
        of="intensities",
        measured=lambda matrix: matrix.relative[2] - matrix.relative[0],
        limit="max_level_spread",
        compared="multiple",
        reason="level_spread {value:.2f} log2, {compared:.1f} times the study's median > {limit}",
        method="one whose values spread more than {max_level_spread:g} times as far as the "
        "study's median",
    ),
)
"""What each sample's own values tell."""

OF_STUDY = (
    Metric(
        "median_correlation",
        "Median correlation",
        digits=3,
        of="study",
        limit="max_dissimilarity",
        flag="correlation",
        compared="dissimilarity",
        reason="median_correlation {value:.3f}: 1 - r is {compared:.1f} times the study's median > "
        "{limit}",
        method="1 minus the correlation with the group above {max_dissimilarity:g} times the "
        "study's median",
    ),
    Metric(
        "outlier_distance",
        "Outlier distance",
        of="study",
        limit="max_outlier_distance",
        flag="outlier",
        reason="outlier_distance {value:.1f} times the median > {limit}",
        method="distance on the first {n_components} components above {max_outlier_distance:g} "
        "times the median",
    ),
)
"""What a sample is beside the others of its study."""


def columns(metrics: tuple[Metric, ...]) -> dict[str, Kind]:
    """Return the columns of the table that these metrics fill."""
    return {metric.name: metric.kind for metric in metrics}


def methods(limits: Mapping[str, Any], *, arrays: bool) -> list[str]:
    """Return what is flagged, a phrase each; ``limits``: ``bulk.qc`` of the configuration."""
    return [
        metric.method.format_map(limits)
        for metric in (*OF_SAMPLE, *OF_STUDY)
        if metric.method and (metric.of == "intensities") == arrays
    ]
