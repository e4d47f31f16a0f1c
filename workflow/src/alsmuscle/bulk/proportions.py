"""What cell types a piece of muscle consists of, by a reference of single nuclei; effects adjusted.

The second adjustment for tissue composition, beside the marker scores of
:mod:`alsmuscle.bulk.tissue_content`. Profiles of cell types, from the controls of a study of
nuclei, are mixed so that they come as near as possible to a sample's counts, with no negative part
(non-negative least squares: Lawson and Hanson 1974, 10.1137/1.9781611971217; for tissue and single
cells as in MuSiC: Wang, Park, Susztak, Zhang and Li 2019, Nat Commun 10:380,
10.1038/s41467-018-08023-x). No gene of a programme block or of a claim takes part in it, so that no
gene that is tested decides the proportions.

They are shares of RNA, not of cells, and RNA of nuclei is not that of whole tissue: a gene's level
in one may be many times that in the other. That factor is the same for all samples of a study;
differences between its samples are what the adjustment needs, the shares' own level is not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.bulk import block_effects
from alsmuscle.core.types import Floats

if TYPE_CHECKING:
    import numpy.typing as npt
    from anndata import AnnData

# The components that marker scores have, too: name → lineages of config/celltypes.tsv.
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "myofibre": ("Myonuclei",),
    "fibro-adipogenic": ("FAP", "Adipocyte"),
    "macrophage": ("Mononuclear phagocytes",),
}
NEEDED = ("myofibre", "fibro-adipogenic")
# Signature genes: how many of a type; counts per million in it, below which a few nuclei decide;
# how many times as much as in any type of another lineage. With fewer than so many a type is told
# from others by single genes, and takes no part.
MOST_GENES, LEAST_CPM, LEAST_FOLD, LEAST_GENES = 50, 20.0, 2.0, 5
# Correlation over signature genes between what is observed and what the mixture gives (logarithms):
# below, less than a quarter of what genes differ by is what the reference says of them. Shuffled
# profiles stay under 0.25; the right ones reach 0.8 where the RNA of nuclei is off from the
# tissue's by a factor of 4 either way (both in tests/unit/bulk/test_proportions.py).
LEAST_FIT = 0.5
# Added to a share before its logarithm: a type that is absent is not infinitely far from 1 %.
OFFSET = 0.01


class Reference(NamedTuple):
    """Mean expression of cell types in a study of nuclei.

    ``profiles``: types × genes, counts per million; ``lineages``: type → lineage; ``donors``,
    ``nuclei``: controls behind it; ``reason``: why it cannot be used, empty where it can.
    """

    dataset: str
    profiles: pd.DataFrame
    lineages: Mapping[str, str]
    donors: int
    nuclei: int
    reason: str = ""


class Shares(NamedTuple):
    """What RNA a study's samples consist of.

    ``lineages``: samples × lineages, shares of RNA that sum to 1, missing where nothing fits;
    ``fit``: per sample, correlation of observed and fitted signature genes (:data:`LEAST_FIT`);
    ``reason``: why nothing is adjusted by them, empty where it is.
    """

    lineages: pd.DataFrame
    fit: pd.Series[float]
    reason: str = ""

    @property
    def overall(self) -> float:
        """Median fit over samples; missing where no sample has one."""
        return float(self.fit.median()) if self.fit.notna().any() else float("nan")


# --- the reference ---------------------------------------------------------------------------


def controls(obs: pd.DataFrame, contrasts: Iterable[Mapping[str, Any]]) -> npt.NDArray[np.bool_]:
    """Mark samples of groups that are a reference of ``condition`` and never a target of it.

    All of them where no contrast compares conditions.
    """
    own = [entry for entry in contrasts if entry.get("variable") == "condition"]
    wanted = {entry.get("reference", "") for entry in own} - {""}
    wanted -= {entry.get("target", "") for entry in own}
    if not wanted:
        return np.ones(len(obs), dtype=bool)
    return np.asarray(obs["condition"].astype(str).isin(wanted))


def reference(
    sums: AnnData,
    contrasts: Iterable[Mapping[str, Any]],
    panel: pd.DataFrame,
    *,
    dataset: str,
) -> Reference:
    """Mean profile of every cell type over the control donors of a study of nuclei.

    Parameters
    ----------
    sums
        Counts per sample and cell type (:func:`alsmuscle.cells.pseudobulk.pseudobulk`).
    contrasts
        Those of the study's card.
    panel
        ``config/celltypes.tsv``; types that it does not name take no part.
    """
    lineages = dict(zip(panel["cell_type"], panel["lineage"], strict=True))
    types = sums.obs["cell_type"].astype(str)
    chosen = controls(sums.obs, contrasts) & types.isin(list(lineages)).to_numpy()
    counts = np.asarray(sums.X, dtype=float)
    chosen &= counts.sum(axis=1) > 0
    obs = sums.obs[chosen]
    donor = obs["subject_id"].astype(str)
    donor = donor.where(donor != "", obs["sample_id"].astype(str))
    per_million = pd.DataFrame(_per_million(counts[chosen]), columns=sums.var_names)
    by_donor = per_million.groupby([types[chosen].to_numpy(), donor.to_numpy()]).mean()
    profiles = by_donor.groupby(level=0).mean()
    found = {lineages[name] for name in profiles.index}
    missing = [name for name in NEEDED if not found & set(COMPONENTS[name])]
    return Reference(
        dataset,
        profiles,
        {name: lineages[name] for name in profiles.index},
        donors=int(donor.nunique()),
        nuclei=int(obs["n_cells"].sum()),
        reason=f"its controls hold no {' and no '.join(missing)} nuclei" if missing else "",
    )


def best(references: Iterable[Reference]) -> Reference | None:
    """Return the reference with most control donors, then most nuclei; one that can be used first.

    None where there is none at all.
    """
    return max(
        references,
        key=lambda one: (not one.reason, one.donors, one.nuclei, one.dataset),
        default=None,
    )


def signature(
    chosen: Reference, measured: pd.Index, barred: Collection[str]
) -> tuple[pd.DataFrame, str]:
    """Profiles over genes that tell a cell type from those of other lineages.

    Parameters
    ----------
    chosen
        The reference.
    measured
        Genes of the samples.
    barred
        Genes that are tested.

    Returns
    -------
    DataFrame, str
        Signature genes × types with at least :data:`LEAST_GENES` of them, counts per million; why
        they do not do, empty where they do.
    """
    usable = chosen.profiles.columns.intersection(measured).difference(list(barred))
    profiles = chosen.profiles[usable]
    lineage = profiles.index.map(chosen.lineages)
    genes: dict[str, list[str]] = {}
    for name, own in profiles.iterrows():
        others = profiles[lineage != chosen.lineages[str(name)]].max(axis=0).fillna(0.0)
        telling = (own >= LEAST_CPM) & (own >= LEAST_FOLD * others)
        fold = own[telling] / others[telling].clip(lower=1.0)
        if len(fold) >= LEAST_GENES:
            genes[str(name)] = list(fold.nlargest(MOST_GENES).index)
    rows = dict.fromkeys(gene for own_genes in genes.values() for gene in own_genes)
    found = {chosen.lineages[name] for name in genes}
    missing = [name for name in NEEDED if not found & set(COMPONENTS[name])]
    reason = (
        f"fewer than {LEAST_GENES} measured genes that are not tested tell "
        f"{' and '.join(missing)} nuclei from others"
        if missing
        else ""
    )
    return profiles.loc[list(genes), list(rows)].T, reason


# --- proportions -----------------------------------------------------------------------------


def shares(fitted: AnnData, chosen: Reference, barred: Collection[str]) -> Shares:
    """Estimate from a stored fit's counts what RNA its samples consist of.

    Parameters
    ----------
    fitted
        Samples × genes, read counts.
    chosen
        The reference.
    barred
        Genes that are tested.
    """
    nothing = Shares(
        pd.DataFrame(index=fitted.obs_names, dtype=float),
        pd.Series(np.nan, index=fitted.obs_names),
    )
    if chosen.reason:
        return nothing._replace(reason=chosen.reason)
    profiles, reason = signature(chosen, fitted.var_names, barred)
    if reason:
        return nothing._replace(reason=reason)
    counts = _per_million(np.asarray(fitted.X, dtype=float))
    observed = counts[:, fitted.var_names.get_indexer(profiles.index)]
    weights, fit = mixture(observed, profiles.to_numpy(float))
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        parts = pd.DataFrame(weights / total, fitted.obs_names, profiles.columns)
    lineages = (
        parts.T.groupby(profiles.columns.map(chosen.lineages)).sum(min_count=1).T.clip(upper=1.0)
    )
    found = Shares(lineages, pd.Series(fit, fitted.obs_names))
    if not (total > 0).all():
        return found._replace(reason="in some samples no mixture of the reference's types fits")
    if not found.overall >= LEAST_FIT:
        return found._replace(
            reason="the reference does not describe this tissue (its mixtures correlate with the "
            f"samples by {found.overall:.2f}, median, and {LEAST_FIT:g} is needed)"
        )
    return found


def mixture(observed: Floats, profiles: Floats) -> tuple[Floats, Floats]:
    """Mix profiles so that they come nearest to every sample, without a negative part.

    Every gene is divided by its largest value over the types, so that each weighs the same. A gene
    of which tissue holds ten times what nuclei do would still weigh ten times as much, and a few
    such genes would decide alone: the profiles are mixed once more after each gene was multiplied
    by the factor (the same for all samples) by which the first mixtures miss it.

    Parameters
    ----------
    observed
        Samples × genes.
    profiles
        Genes × types, on the same scale; no gene is 0 in all types.

    Returns
    -------
    array, array
        Samples × types, the weights; per sample the correlation of ``log(1 + x)`` of observed genes
        and the first mixture's, missing where either does not vary.
    """
    first = least_squares(observed, profiles) @ profiles.T
    seen, given = np.log1p(observed), np.log1p(first)
    factor = np.exp((seen - given).mean(axis=0))
    return least_squares(observed, profiles * factor[:, None]), _correlation(seen, given)


def least_squares(observed: Floats, profiles: Floats) -> Floats:
    """Return weights, samples × types, of which none is negative; see :func:`mixture`."""
    from scipy.optimize import nnls

    scale = profiles.max(axis=1)
    A = profiles / scale[:, None]
    weights = np.zeros((len(observed), profiles.shape[1]))
    for row, values in zip(weights, observed, strict=True):
        # A search that does not end leaves the sample without weights.
        with contextlib.suppress(RuntimeError):
            row[:] = nnls(A, values / scale)[0]
    return weights


def _correlation(a: Floats, b: Floats) -> Floats:
    """Return the correlation of each row of ``a`` with that of ``b``."""
    a, b = (values - values.mean(axis=1, keepdims=True) for values in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1)))


def content(found: Shares) -> pd.DataFrame:
    """Return covariates of :data:`COMPONENTS`: samples × components, standardised logarithms.

    In a log-linear model a gene that only one component makes then goes along with it. A component
    that the reference lacks, or that does not vary, is missing.
    """
    made = {}
    for name, lineages in COMPONENTS.items():
        own = found.lineages.columns.intersection(list(lineages))
        score = np.log(found.lineages[own].sum(axis=1) + OFFSET)
        # What rounding leaves of a constant is no spread.
        if len(own) and (spread := float(score.std(ddof=0))) > 1e-9:
            made[name] = (score - score.mean()) / spread
    return pd.DataFrame(made, index=found.lineages.index)


# --- effects ---------------------------------------------------------------------------------


def effects(
    fitted: AnnData, contrast: Mapping[str, Any], members: pd.DataFrame, found: Shares
) -> tuple[pd.DataFrame | None, str]:
    """Return every block's effect beside the estimated proportions, or why there is none.

    Parameters
    ----------
    fitted
        As :func:`alsmuscle.bulk.engines.fit` returns it for read counts.
    contrast
        What is read.
    members
        Genes of the blocks, and of the claims' genes and ratios.
    found
        Shares of the fit's samples.

    Returns
    -------
    DataFrame or None, str
        As :func:`alsmuscle.bulk.block_effects.block_effects`.
    """
    if found.reason:
        return None, found.reason
    covariates = content(found)
    if covariates.empty:
        return None, "the estimated proportions do not differ between samples"
    own = pd.Index(members["gene_id"].unique())
    try:
        fit = block_effects.gene_fit(fitted, contrast, trend=False, content=covariates, genes=own)
    except np.linalg.LinAlgError:
        return None, "the model with the estimated proportions has no solution"
    if fit.df_residual < 1:
        return None, "the proportions leave no residual degree of freedom"
    return block_effects.block_effects(fit, members, confidence=0.95, tested=True), ""


def _per_million(counts: Floats) -> Floats:
    """Counts per million (rows: samples); a sample without reads stays 0."""
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0) * 1e6)
