"""A study of whole tissue from its matrix to fits, expression, sample quality and scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from alsmuscle.bulk import engines, qc, swaps
from alsmuscle.core.contracts import measure
from alsmuscle.data import cards, completeness, derived
from alsmuscle.genesets import scoring

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


class Fits(NamedTuple):
    """``fits``: design → fit; ``vst``: log2 expression; ``warnings``: contract of that name."""

    fits: dict[str, AnnData]
    vst: AnnData
    warnings: pd.DataFrame


class Quality(NamedTuple):
    """Contracts ``qc``, ``pca``, ``pca_covariates`` and ``scores``; samples × samples."""

    qc: pd.DataFrame
    pca: pd.DataFrame
    covariates: pd.DataFrame
    correlation: pd.DataFrame
    scores: pd.DataFrame


def fit(
    card: Mapping[str, Any],
    measured: AnnData,
    *,
    min_replicates: int,
    options: Mapping[str, Any],
    say: Callable[..., None],
) -> Fits:
    """Fit every design of a study's card.

    Parameters
    ----------
    card
        The study card.
    measured
        Contract ``counts.h5ad`` or ``intensities.h5ad``.
    min_replicates
        Samples a side below which no test is claimed.
    options
        Of :func:`alsmuscle.bulk.engines.fit`.
    say
        Told of each fit, as a logger's ``info``.

    Raises
    ------
    InputError
        A contrast cannot be computed; nothing is fitted then.
    """
    import pandas as pd

    flagged = list(measured.uns["provenance"]["flagged"])
    faults = completeness.design_faults(card, measured.obs, min_replicates, flagged)
    designs = cards.designs(dict(card))
    fits = {}
    for name, contrasts in designs.items():
        fits[name] = engines.fit(measured, contrasts[0], **options)
        say("fitted %s: %d genes, %d samples", name, fits[name].n_vars, fits[name].n_obs)
    warnings = pd.concat(
        [faults, engines.fit_warnings(fits, designs, card["id"])], ignore_index=True
    )
    return Fits(fits, engines.expression(measured, **options), warnings)


def quality(
    card: Mapping[str, Any],
    measured: AnnData,
    vst: AnnData,
    *,
    panels: pd.DataFrame,
    members: pd.DataFrame,
    limits: Mapping[str, Any],
) -> Quality:
    """Measure and flag every sample of a study, and score the programmes' blocks in it.

    Parameters
    ----------
    card
        The study card.
    measured, vst
        Its matrix, and log2 expression of the same samples.
    panels
        ``config/tissues.tsv``.
    members
        From :func:`alsmuscle.genesets.programmes.blocks`.
    limits
        ``bulk.qc`` of the configuration.
    """
    organism, limits = card["organism"], dict(limits)
    size = {key: limits.pop(key) for key in ("n_variable_genes", "n_components")}
    metrics, pca, correlation = qc.metrics(measured, vst, organism, panels, **size)
    flagged = swaps.flag(
        qc.flag(metrics, measure=measure(measured), **limits),
        measured,
        vst,
        [cards.contrast(dict(card), entry["id"]) for entry in card["contrasts"]],
        exclude=derived.sex_gene_ids(measured, organism),
    )
    scores = scoring.scores(vst.to_df().T, members)
    scores.insert(0, "dataset", card["id"])
    return Quality(
        flagged.drop(columns=["muscle_declared", "transgenic"]),
        pca,
        qc.associations(pca, measured.obs, metrics),
        correlation,
        scores,
    )
