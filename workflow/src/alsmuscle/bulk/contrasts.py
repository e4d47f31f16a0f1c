"""One contrast of whole tissue: genes by two engines, pathways, programmes and block effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from alsmuscle.bulk import block_effects, donors, engines
from alsmuscle.design import matrix
from alsmuscle.genesets import block_tests, pathways, programmes, set_tests

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


class Genes(NamedTuple):
    """Contracts ``de``, ``engines`` and ``omnibus``."""

    de: pd.DataFrame
    engines: pd.DataFrame
    omnibus: pd.DataFrame


class Sets(NamedTuple):
    """Contracts ``gsea``, ``sets``, ``effects`` and ``block_effects``."""

    gsea: pd.DataFrame
    sets: pd.DataFrame
    effects: pd.DataFrame
    block_effects: pd.DataFrame


def genes(
    fitted: AnnData,
    obs: pd.DataFrame,
    contrast: matrix.Contrast,
    *,
    dataset: str,
    options: Mapping[str, Any],
    trend: bool,
    threads: int,
) -> Genes:
    """Test every gene by the main engine and a second one, and the design as a whole.

    Parameters
    ----------
    fitted
        Fit of the contrast's design.
    obs
        Samples, index sample id.
    options
        ``bulk.de`` of the configuration.
    trend
        ``bulk.arrays.trend``.
    """
    common: dict[str, Any] = {"dataset": dataset, "trend": trend, "threads": threads}
    table = engines.test(fitted, obs, contrast, **common, **options)
    engine, other = engines.second(fitted, obs, contrast, trend=trend)
    alpha = options["alpha"]
    agreement = engines.agreement(
        table,
        other,
        about=fitted.uns,
        engine=engine,
        alpha=alpha,
        leaning=engines.leaning(fitted, contrast, table, alpha=alpha),
    )
    of_design = {
        key: value for key, value in options.items() if key not in ("shrink", "hidden_factor")
    }
    omnibus = engines.omnibus(fitted, obs, contrast, **common, **of_design)
    return Genes(table, agreement, omnibus)


def sets(
    fitted: AnnData,
    vst: AnnData,
    contrast: matrix.Contrast,
    de: pd.DataFrame,
    *,
    collections: Mapping[str, Mapping[str, Any]],
    curated: pd.DataFrame,
    names: pd.Series,
    members: pd.DataFrame,
    targets: pd.DataFrame,
    markers: pd.DataFrame,
    trend: bool,
    min_replicates: int,
    seed: int,
    enrichment: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Sets:
    """Test pathways, programmes and the blocks' effects, raw and adjusted for tissue content.

    Parameters
    ----------
    fitted, vst
        Fit of the contrast's design; log2 expression of the same samples.
    de
        Contract ``de`` of the contrast.
    collections
        Name → ``{term: genes}``.
    curated
        ``config/programmes.tsv``.
    names
        Gene id → name in the collections.
    members, targets
        Genes of the blocks; the same with the genes and ratios of claims.
    markers
        From :func:`alsmuscle.bulk.tissue_content.markers`.
    trend
        ``bulk.arrays.trend``.
    min_replicates
        Samples a side below which no test is claimed.
    seed
        Of random sets.
    enrichment, options
        ``enrichment`` and ``programmes`` of the configuration.
    """
    sizes = enrichment["sizes"]
    ranked = pathways.gsea(
        pathways.ranking(de, names=names),
        {**collections, "programmes": programmes.as_sets(curated)},
        seed=seed,
        **sizes,
        **enrichment["gsea"],
    )
    used = matrix.used_samples(vst.obs, contrast)
    expression = vst.to_df().T[used.index]
    enough = matrix.smallest_cell(used, contrast) >= min_replicates and donors.testable(fitted)
    subject = donors.subject(fitted)
    design = matrix.design_matrix(used, contrast)
    # Programmes have a table of their own, with signs and stripped versions.
    values, X = donors.independent(expression, design, subject)
    tested = set_tests.test_sets(
        values,
        X,
        matrix.contrast_vector(design, contrast),
        de,
        collections,
        ranked,
        names=names,
        tested=enough,
        seed=seed,
        **sizes,
        **enrichment["sets"],
        **enrichment["ora"],
    )
    blocks = block_effects.raw_and_adjusted(
        fitted,
        contrast,
        targets,
        expression=expression,
        markers=markers,
        trend=trend,
        tested=enough,
    )
    effects = programme_effects(
        expression, used, contrast, members, subject=subject, tested=enough, seed=seed, **options
    )
    found = Sets(ranked, tested, effects, blocks)
    for table in found:
        for position, column in enumerate(("dataset", "contrast", "cell_type")):
            table.insert(position, column, de[column].iloc[0])
    return found


def programme_effects(
    expression: pd.DataFrame,
    samples: pd.DataFrame,
    contrast: matrix.Contrast,
    members: pd.DataFrame,
    **options: Any,
) -> pd.DataFrame:
    """Return a contrast's effect on every block; standardised only between two groups.

    Parameters
    ----------
    expression
        Genes × samples, log2, index gene ids.
    samples
        The same samples, index sample id.
    members
        From :func:`alsmuscle.genesets.programmes.blocks`.
    options
        Of :func:`alsmuscle.genesets.block_tests.effects`.
    """
    design = matrix.design_matrix(samples, contrast)
    target, reference = matrix.sides(samples, contrast)
    paired = contrast["block"] and contrast["kind"] == "difference"
    groups = samples[contrast["variable"]].astype(str).where(target | reference) if paired else None
    table = block_tests.effects(
        expression,
        design,
        matrix.contrast_vector(design, contrast),
        members,
        groups=groups,
        **options,
    )
    if contrast["kind"] != "difference":
        table[["hedges_g", "hedges_g_var"]] = float("nan")
    return table
