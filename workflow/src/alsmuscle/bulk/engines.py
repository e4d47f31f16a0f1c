"""The main engine of what a study measured, and a second one beside it.

Counts: the negative binomial (:mod:`alsmuscle.bulk.deseq2`); arrays: a linear model with moderated
t (:mod:`alsmuscle.bulk.limma`). Both give the same tables. Each contrast goes once more through a
second engine. Counts: a linear model of log counts per million with voom's precision weights and
moderated t statistics, which shares neither likelihood nor dispersion estimates with the negative
binomial. Arrays: the same model with the other kind of prior variance. A finding that depends on
the engine is a weak one; agreement is no proof, since both see the same samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.bulk import deseq2, donors, hidden, limma
from alsmuscle.bulk.tables import HIDDEN
from alsmuscle.core.contracts import measure
from alsmuscle.core.types import Floats
from alsmuscle.design import matrix
from alsmuscle.stats import distributions, linear

if TYPE_CHECKING:
    from anndata import AnnData

# Reads, at the typical sequencing depth, that a gene needs in as many samples as the smallest group
# has: below, the logarithm of a count is mostly noise (the rule of edgeR's filterByExpr).
MIN_COUNT = 10
LEANING = ("hidden_share", "hidden_lean", "hidden_pvalue", "called_alone", "called_without")


def expressed(counts: Floats, size: Floats, n_samples: int) -> npt.NDArray[np.bool_]:
    """Which genes (columns) have enough reads in at least so many samples."""
    typical = counts / (size / np.median(size))[:, None]
    return np.asarray((typical >= MIN_COUNT).sum(axis=0) >= max(n_samples, 1))


def voom_table(fitted: AnnData, contrast: matrix.Contrast, n_samples: int) -> pd.DataFrame:
    """Test a contrast of a stored fit by voom.

    Parameters
    ----------
    fitted
        As :func:`alsmuscle.bulk.deseq2.fit` returns it: its counts, design and size factors are
        used.
    contrast
        What is read.
    n_samples
        Samples in which a gene must be expressed: the smallest group's.

    Returns
    -------
    DataFrame
        Index gene id (expressed genes); ``effect, se, stat, df, pvalue, padj``.
    """
    counts = np.asarray(fitted.X, dtype=float)
    factors = fitted.obs["size_factors"].to_numpy(float)
    # Library sizes as the size factors see them, on the scale of the sums.
    size = factors * np.exp(np.mean(np.log(counts.sum(axis=1)) - np.log(factors)))
    keep = expressed(counts, size, n_samples)
    X = fitted.obsm["design_matrix"].to_numpy(float)
    vector = deseq2.stored_vector(fitted, contrast)
    values, weights = linear.voom(counts[:, keep].T, X, size)
    table = linear.moderated_t(linear.fit(values, X, weights), vector, trend=False)
    table["padj"] = distributions.adjust(table["pvalue"])
    return table.set_index(pd.Index(fitted.var_names[keep], name="gene_id"))


def agreement(
    table: pd.DataFrame,
    other: pd.DataFrame | None,
    *,
    about: Mapping[str, Any],
    engine: str,
    alpha: float,
    leaning: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Say in one row how many genes were tested, what was done about donors, how far engines agree.

    Parameters
    ----------
    table
        Contract ``de``.
    other
        ``effect, stat, padj`` of the second engine, index gene id; None where it cannot be fitted.
    about
        ``uns`` of the fit.
    engine
        The second engine's name.
    alpha
        Level of the calls that are compared.
    leaning
        Of :func:`leaning`.

    Returns
    -------
    DataFrame
        Contract ``engines``: correlations over the genes that both measure; calls over the genes
        that both test (none where no test is claimed).
    """
    row: dict[str, Any] = {
        **{key: table[key].iloc[0] for key in ("dataset", "contrast", "cell_type")},
        **{"engine": engine, "alpha": alpha, "n_genes": 0},
    }
    numbers = ("spearman_effect", "spearman_stat", "called", "called_other", "called_both")
    row |= dict.fromkeys((*numbers, "same_direction"), np.nan)
    row["n_tested"] = int(table["padj"].notna().sum())
    row["n_filtered"] = len(table) - row["n_tested"] if row["n_tested"] else 0
    row["donors"] = str(about["donors"])
    row["donor_correlation"] = float(about.get("donor_correlation", np.nan))
    row |= leaning or dict.fromkeys(LEANING, np.nan)
    if other is not None and len(other):
        first = table.set_index("gene_id")
        shared = other.index.intersection(first.index[first["log2fc"].notna()])
        a, b = first.loc[shared], other.loc[shared]
        row["n_genes"] = len(shared)
        row["spearman_effect"] = _rank_correlation(a["log2fc"], b["effect"])
        row["same_direction"] = float((np.sign(a["log2fc"]) == np.sign(b["effect"])).mean())
        if a["padj"].notna().any():
            both = a["padj"].notna() & b["padj"].notna()
            row["spearman_stat"] = _rank_correlation(a["stat"][both], b["stat"][both])
            called, called_other = a["padj"] < alpha, b["padj"] < alpha
            row["called"], row["called_other"] = int(called.sum()), int(called_other.sum())
            row["called_both"] = int((called & called_other).sum())
    return pd.DataFrame([row])


def _rank_correlation(a: pd.Series[float], b: pd.Series[float]) -> float:
    """Spearman's correlation over one index; pandas asks ``scipy.stats``, a second to import."""
    known = a.notna() & b.notna()
    if known.sum() < 2:
        return np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(a[known].rank().corr(b[known].rank()))


def second(
    fitted: AnnData, obs: pd.DataFrame, contrast: matrix.Contrast, *, trend: bool
) -> tuple[str, pd.DataFrame | None]:
    """Test a contrast by the second engine.

    Parameters
    ----------
    trend
        What the main engine does for arrays; the second one does the other.

    Returns
    -------
    engine
        Its name.
    table
        Index gene id, ``effect, stat, padj``; None where nothing can be fitted.
    """
    return engine_of(fitted).second(fitted, obs, contrast, trend=trend)


def _second_of_correlated(fitted: AnnData, contrast: matrix.Contrast) -> pd.DataFrame | None:
    """Moderated t of log counts per million, without weights; donors' samples correlated."""
    if not donors.testable(fitted):
        return None
    keep = fitted.var["expressed"].to_numpy(bool)
    normed = np.asarray(fitted.X, dtype=float) / fitted.obs["size_factors"].to_numpy(float)[:, None]
    model = donors.of_log(
        np.log2(normed[:, keep].T + 0.5),
        fitted.obsm["design_matrix"].to_numpy(float),
        fitted.obs["donor"].astype(str),
    )
    least = linear.fit(model.values, model.X)._replace(mean=model.mean)
    table = linear.moderated_t(least, deseq2.stored_vector(fitted, contrast), trend=True)
    table["padj"] = distributions.adjust(table["pvalue"])
    return table.set_index(pd.Index(fitted.var_names[keep], name="gene_id"))


# --- what groups differ in unseen ---


def leaning(
    fitted: AnnData, contrast: matrix.Contrast, table: pd.DataFrame, *, alpha: float
) -> dict[str, float]:
    """Say how far a contrast's sides lean along their samples' strongest hidden factor.

    Parameters
    ----------
    table
        Contract ``de`` of the contrast.
    alpha
        Level of its calls.

    Returns
    -------
    dict
        ``hidden_share, hidden_lean, hidden_pvalue`` of :class:`alsmuscle.bulk.hidden.Hidden`, and
        ``called_alone``, genes that their own p-values would call where the table's calls know of
        the factor, and ``called_without``, genes called that are called in the same direction with
        the whole factor in the model.
        Missing where nothing is tested or too few samples are left.
    """
    missing = dict.fromkeys(LEANING, np.nan)
    if not _tested(fitted, table):
        return missing
    model = _log_model(fitted, contrast)
    found = hidden.factor(model.values, model.X, model.vector)
    if found is None:
        return missing
    without = hidden.without(model.values, model.X, model.vector, found).set_index(model.genes)
    called = table[table["padj"] < alpha].set_index("gene_id")["log2fc"]
    padj = pd.Series(distributions.adjust(without["pvalue"]), model.genes).reindex(called.index)
    same = np.sign(without["effect"].reindex(called.index)) == np.sign(called)
    stay = int(((padj < alpha) & same).sum())
    alone = np.nan
    if table["pvalue_hidden"].notna().any():
        own = distributions.adjust(table["pvalue"].where(table["padj"].notna()))
        alone = int((own < alpha).sum())
    said = (found.share, found.lean, found.pvalue, alone, stay)
    return dict(zip(LEANING, said, strict=True))


def with_hidden_factor(
    fitted: AnnData, contrast: matrix.Contrast, table: pd.DataFrame, *, alpha: float
) -> pd.DataFrame:
    """Adjust p-values for many tests with the samples' strongest hidden factor in mind.

    Parameters
    ----------
    table
        Contract ``de``, its ``padj`` over the genes that are tested.
    alpha
        Level of calls.

    Returns
    -------
    DataFrame
        The table with ``log2fc_hidden, lfc_se_hidden, pvalue_hidden``
        and ``padj`` from these (:func:`alsmuscle.bulk.hidden.calls`). The table as it is where
        nothing is tested, too few samples are left, or those of a donor are correlated: how far
        chance leans is not known then.
    """
    if not _tested(fitted, table) or donors.correlated(fitted):
        return table
    model = _log_model(fitted, contrast)
    if (found := hidden.factor(model.values, model.X, model.vector)) is None:
        return table
    tested = table[table["padj"].notna()].set_index("gene_id")
    called = hidden.calls(found, tested.reindex(model.genes), alpha=alpha)
    if called is None:
        return table
    columns = [*HIDDEN, "padj"]
    return table.assign(**called[columns].reindex(table["gene_id"]).set_index(table.index))


class _LogModel(NamedTuple):
    """Log expression of independent samples (genes × samples), its design and contrast."""

    values: Floats
    X: Floats
    vector: Floats
    genes: pd.Index


def _tested(fitted: AnnData, table: pd.DataFrame) -> bool:
    if not fitted.uns["fitted"] or not donors.testable(fitted):
        return False
    return bool(table["padj"].notna().any())


def _log_model(fitted: AnnData, contrast: matrix.Contrast) -> _LogModel:
    """Return what a hidden factor is looked for in: of counts, the expressed genes."""
    X, values = fitted.obsm["design_matrix"].to_numpy(float), np.asarray(fitted.X, dtype=float).T
    genes = fitted.var_names
    if measure(fitted) == "counts":
        keep = fitted.var["expressed"].to_numpy(bool)
        size = fitted.obs["size_factors"].to_numpy(float)
        values, genes = np.log2(values[keep] / size + 0.5), genes[keep]
    if donors.correlated(fitted):
        values, X = donors.of_log(values, X, fitted.obs["donor"].astype(str))[:2]
    return _LogModel(values, X, deseq2.stored_vector(fitted, contrast), genes)


# --- one engine per kind of measurement ---


class Engine(Protocol):
    """How one kind of measurement is fitted and tested.

    A further engine is a class like these in a module of its own, and a line in :data:`ENGINES`.
    All take the options of the module's functions of the same names and leave aside what is not
    theirs.
    """

    averages: bool
    """Whether samples of one donor are averaged (else added up)."""

    def expression(self, measured: AnnData, **options: Any) -> AnnData:
        """Return log2 expression of every sample."""

    def fit(self, parts: AnnData, contrast: matrix.Contrast, **options: Any) -> AnnData:
        """Fit one model for all groups of a design."""

    def test(
        self, fitted: AnnData, samples: pd.DataFrame, contrast: matrix.Contrast, **options: Any
    ) -> pd.DataFrame:
        """Read one contrast from a fit (contract ``de``)."""

    def omnibus(
        self, fitted: AnnData, samples: pd.DataFrame, contrast: matrix.Contrast, **options: Any
    ) -> pd.DataFrame:
        """Test a design as a whole (contract ``omnibus``)."""

    def second(
        self, fitted: AnnData, obs: pd.DataFrame, contrast: matrix.Contrast, *, trend: bool
    ) -> tuple[str, pd.DataFrame | None]:
        """Test a contrast another way; name of that and its table."""


class Counts:
    """Read counts: the negative binomial; voom beside it."""

    averages = False
    # What the test of a contrast and that of all groups both ask for.
    shared = ("dataset", "distribution", "alpha", "min_replicates", "inference", "threads")

    def expression(self, measured: AnnData, **options: Any) -> AnnData:
        """Return variance-stabilised counts."""
        return deseq2.vst(measured, **options)

    def fit(self, parts: AnnData, contrast: matrix.Contrast, **options: Any) -> AnnData:
        """Fit as :func:`alsmuscle.bulk.deseq2.fit`."""
        return deseq2.fit(parts, contrast, **options)

    def test(
        self, fitted: AnnData, samples: pd.DataFrame, contrast: matrix.Contrast, **options: Any
    ) -> pd.DataFrame:
        """Test as :func:`alsmuscle.bulk.deseq2.test`; correlated donors by a linear model."""
        table = deseq2.test(
            fitted,
            samples,
            contrast,
            shrink=options["shrink"] and not donors.correlated(fitted),
            cell_type=options["cell_type"],
            **{name: options[name] for name in self.shared},
        )
        if not donors.correlated(fitted):
            return table
        enough = (
            matrix.smallest_cell(samples.loc[fitted.obs_names], contrast)
            >= options["min_replicates"]
        )
        return donors.test(fitted, table, deseq2.stored_vector(fitted, contrast), tested=enough)

    def omnibus(
        self, fitted: AnnData, samples: pd.DataFrame, contrast: matrix.Contrast, **options: Any
    ) -> pd.DataFrame:
        """Test as :func:`alsmuscle.bulk.deseq2.omnibus`; correlated donors by a linear model."""
        table = deseq2.omnibus(
            fitted,
            samples,
            contrast,
            **{name: options[name] for name in self.shared},
        )
        return donors.omnibus(fitted, table) if donors.correlated(fitted) else table

    def second(
        self, fitted: AnnData, obs: pd.DataFrame, contrast: matrix.Contrast, *, trend: bool
    ) -> tuple[str, pd.DataFrame | None]:
        """Test by voom, or without weights where donors are correlated."""
        if not fitted.uns["fitted"]:
            return "voom", None
        if donors.correlated(fitted):
            return "moderated t with trend", _second_of_correlated(fitted, contrast)
        smallest = matrix.smallest_cell(obs.loc[fitted.obs_names], contrast)
        return "voom", voom_table(fitted, contrast, smallest)


class Arrays:
    """Intensities: a linear model with moderated t; the other kind of prior variance beside it."""

    averages = True

    def expression(self, measured: AnnData, **options: Any) -> AnnData:
        """Return the intensities."""
        kept = measured.copy()
        kept.X = np.asarray(kept.X, dtype=np.float32)
        kept.var = kept.var[["symbol", "source_id"]].copy()
        del kept.uns["provenance"]
        return kept

    def fit(self, parts: AnnData, contrast: matrix.Contrast, **options: Any) -> AnnData:
        """Fit as :func:`alsmuscle.bulk.limma.fit`."""
        return limma.fit(parts, contrast)

    def test(
        self, fitted: AnnData, samples: pd.DataFrame, contrast: matrix.Contrast, **options: Any
    ) -> pd.DataFrame:
        """Test as :func:`alsmuscle.bulk.limma.test`."""
        own = {key: options[key] for key in ("dataset", "min_replicates", "trend")}
        return limma.test(fitted, samples, contrast, **own)

    def omnibus(
        self, fitted: AnnData, samples: pd.DataFrame, contrast: matrix.Contrast, **options: Any
    ) -> pd.DataFrame:
        """Test as :func:`alsmuscle.bulk.limma.omnibus`."""
        own = {key: options[key] for key in ("dataset", "min_replicates", "trend")}
        return limma.omnibus(fitted, samples, contrast, **own)

    def second(
        self, fitted: AnnData, obs: pd.DataFrame, contrast: matrix.Contrast, *, trend: bool
    ) -> tuple[str, pd.DataFrame | None]:
        """Test with a trended prior where the main test has none, and without where it has."""
        name = f"moderated t with{'out' if trend else ''} trend"
        if not donors.testable(fitted):
            return name, None
        table = limma.moderated(fitted, contrast, trend=not trend)
        return name, table if fitted.uns["fitted"] else None


ENGINES: dict[str, Engine] = {"counts": Counts(), "intensities": Arrays()}
"""What was measured (``uns["measure"]``; without it, counts) → its engine."""


def engine_of(adata: AnnData) -> Engine:
    """Return the engine of what a study measured."""
    return ENGINES.get(str(adata.uns.get("measure")), ENGINES["counts"])


# --- the main engine ------------------------------------------------------------------------


def expression(
    measured: AnnData, *, min_total: int, inference: deseq2.Engine, threads: int = 1
) -> AnnData:
    """Return log2 expression of every sample for scores and components.

    Counts are variance-stabilised (:func:`alsmuscle.bulk.deseq2.vst`), intensities are what they
    are.
    """
    return engine_of(measured).expression(
        measured, min_total=min_total, inference=inference, threads=threads
    )


def fit(
    measured: AnnData,
    contrast: matrix.Contrast,
    *,
    min_total: int,
    inference: deseq2.Engine,
    threads: int = 1,
) -> AnnData:
    """Fit one model for all groups of a design: :func:`alsmuscle.bulk.deseq2.fit` or that of
    arrays.

    Repeated samples of donors are put together, or their correlation is estimated, as
    :mod:`alsmuscle.design.repeats` decides.
    """
    engine = engine_of(measured)
    parts = donors.units(measured, contrast, mean=engine.averages)
    fitted = engine.fit(parts, contrast, min_total=min_total, inference=inference, threads=threads)
    donors.describe(fitted, matrix.used_samples(measured.obs, contrast), contrast)
    return fitted


def test(
    fitted: AnnData,
    samples: pd.DataFrame,
    contrast: matrix.Contrast,
    *,
    dataset: str,
    distribution: deseq2.Distribution,
    alpha: float,
    min_replicates: int,
    shrink: bool,
    inference: deseq2.Engine,
    trend: bool,
    hidden_factor: bool,
    threads: int = 1,
    cell_type: str = "muscle",
) -> pd.DataFrame:
    """Read one contrast from a fit: :func:`alsmuscle.bulk.deseq2.test` or
    :func:`alsmuscle.bulk.limma.test`, and :func:`with_hidden_factor`.

    ``hidden_factor``: False, or DESeq2's own test (``normal``), adjusts each gene's p-value as it
    is.
    """
    table = engine_of(fitted).test(
        fitted,
        samples,
        contrast,
        dataset=dataset,
        distribution=distribution,
        alpha=alpha,
        min_replicates=min_replicates,
        shrink=shrink,
        inference=inference,
        trend=trend,
        threads=threads,
        cell_type=cell_type,
    )
    if not hidden_factor or (distribution == "normal" and measure(fitted) == "counts"):
        return table
    return with_hidden_factor(fitted, contrast, table, alpha=alpha)


def omnibus(
    fitted: AnnData,
    samples: pd.DataFrame,
    contrast: matrix.Contrast,
    *,
    dataset: str,
    distribution: deseq2.Distribution,
    alpha: float,
    min_replicates: int,
    inference: deseq2.Engine,
    trend: bool,
    threads: int = 1,
) -> pd.DataFrame:
    """Omnibus tests of a design: of :func:`alsmuscle.bulk.deseq2.omnibus` or
    :func:`alsmuscle.bulk.limma.omnibus`.
    """
    return engine_of(fitted).omnibus(
        fitted,
        samples,
        contrast,
        dataset=dataset,
        distribution=distribution,
        alpha=alpha,
        min_replicates=min_replicates,
        inference=inference,
        trend=trend,
        threads=threads,
    )


def fit_warnings(
    fits: Mapping[str, AnnData], designs: Mapping[str, Sequence[Mapping[str, Any]]], dataset: str
) -> pd.DataFrame:
    """Return what a reader must know of how contrasts were fitted (contract ``warnings``).

    Parameters
    ----------
    fits
        Design → result of :func:`fit`.
    designs
        Design → its contrasts.
    dataset
        Study id.
    """
    rows = [
        {
            "dataset": dataset,
            "contrast": contrast["id"],
            "kind": "size_factors",
            "column": "",
            "text": str(fit.uns["size_factors"]),
        }
        for name, fit in fits.items()
        for contrast in designs[name]
        if fit.uns.get("size_factors")
    ]
    return pd.DataFrame(rows, columns=["dataset", "contrast", "kind", "column", "text"])
