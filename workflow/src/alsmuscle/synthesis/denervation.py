"""ALS contrasts against denervation references:
lambda, what is left beyond, matched random sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.bulk.block_effects import GeneFit, block_effects, gene_fit
from alsmuscle.core import contracts
from alsmuscle.design import matrix as designs
from alsmuscle.genesets import block_tests, scoring
from alsmuscle.genesets.targets import GENE, RATIO
from alsmuscle.stats import bootstrap
from alsmuscle.stats.moderation import squeeze_var
from alsmuscle.synthesis import axis as denervation
from alsmuscle.synthesis import references
from alsmuscle.synthesis.blocks import BLOCK, KEY, published_blocks
from alsmuscle.synthesis.contrasts import reference_pairs
from alsmuscle.synthesis.tables import DELTAS

if TYPE_CHECKING:
    from anndata import AnnData


ALS_ROLES = ("als_patient", "als_model", "als_cells")


MIN_MEAN = (
    10.0  # normalised reads: genes with fewer are mostly noise, and lambda takes it for signal
)


class Fitted(NamedTuple):
    """One contrast of a stored fit: everything the denervation axis wants.

    ``fit``: all genes, on the scale of the block effects; ``genes``: ``gene_id, effect, se`` of
    those with enough reads; ``replicates``: donor bootstrap × these genes, or ``None``;
    ``expression``: genes × samples, variance-stabilised.
    """

    fit: GeneFit
    genes: pd.DataFrame
    replicates: pd.DataFrame | None
    expression: pd.DataFrame


def refit(
    vst: AnnData,
    fitted: AnnData,
    contrast: Mapping[str, Any],
    *,
    trend: bool,
    n_replicates: int,
    seed: int,
) -> Fitted:
    """Read a contrast from its stored fit, with resampled donors.

    The same model and scale as the block effects, so that Delta subtracts like from like. Donors
    are resampled on variance-stabilised values, where a refit costs little; a gene's deviations are
    then brought to the scale of its maximum-likelihood fold change by the ratio of the two standard
    errors. ``n_replicates`` 0 leaves the bootstrap out.
    """
    used = designs.used_samples(vst.obs, contrast)
    expression = vst[used.index].to_df().T
    fit = gene_fit(fitted, contrast, trend=trend)
    table = pd.DataFrame({"gene_id": fit.gene_ids, "effect": fit.effect, "se": fit.se})
    good = (table["se"] > 0) & np.isfinite(table["effect"]) & table["gene_id"].isin(vst.var_names)
    if contracts.measure(fitted) == "counts":
        size = fitted.obs["size_factors"].to_numpy(float)
        means = pd.Series((np.asarray(fitted.X) / size[:, None]).mean(axis=0), fitted.var_names)
        good &= (table["gene_id"].map(means) >= MIN_MEAN).to_numpy()
    genes = table[good].reset_index(drop=True)
    replicates = None
    if n_replicates and len(genes):
        design = designs.design_matrix(used, contrast)
        vector = designs.contrast_vector(design, contrast)
        values = expression.loc[genes["gene_id"]].to_numpy(dtype=float)
        model = block_tests.linear_contrast(expression.loc[genes["gene_id"]], design, vector)
        effect, s2 = model.fit(values)
        if model.df > 0:
            s2 = squeeze_var(s2, model.df).var_post
        donors = used["subject_id"].astype(str)
        drawn = bootstrap.bootstrap_effects(
            values.T,
            design.to_numpy(),
            vector,
            subjects=donors.where(donors != "", used.index.to_series().astype(str)).to_numpy(),
            strata=designs.strata(used, contrast).to_numpy(),
            n_replicates=n_replicates,
            seed=seed,
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = genes["se"].to_numpy() / np.sqrt(s2 * model.unscaled)
        ratio = np.where(np.isfinite(ratio), ratio, 0.0)
        shifted = genes["effect"].to_numpy() + (drawn - effect) * ratio
        replicates = pd.DataFrame(shifted, columns=genes["gene_id"])
    return Fitted(fit, genes, replicates, expression)


def comparable_pairs(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Pair ALS contrasts with references by the *kind* of sample.

    What cards call the material ("biopsy", "whole muscle") differs in words, not in substance; what
    must agree is tissue, culture, sorted cells or nuclei. Lists of called genes have no effects to
    compare.
    """
    contrasts = contrasts[contrasts["modality"] != "calls"]
    return reference_pairs(contrasts.assign(material=contrasts["sample_kind"]))


def needed_contrasts(contrasts: pd.DataFrame, pairs: pd.DataFrame) -> list[tuple[str, str]]:
    """Contrasts to refit: eligible ones of an ALS role, and references of a comparable pair.

    Tissue only: there is no cell type in which a denervation reference is public.
    """
    tissue = contrasts[~contrasts["modality"].isin(["cells", "calls"])]
    als = tissue[tissue["role"].isin(ALS_ROLES) & tissue["eligible"].astype(bool)]
    paired = pairs[pairs["mode"] != "none"]
    names = [
        *zip(als["dataset"], als["contrast"], strict=True),
        *zip(paired["dataset"], paired["contrast"], strict=True),
        *zip(paired["reference_dataset"], paired["reference_contrast"], strict=True),
    ]
    return list(dict.fromkeys(names))


def claimed_blocks(document: Mapping[str, Any], members: pd.DataFrame) -> pd.DataFrame:
    """Complete blocks that a claim tests, for which matched random sets are drawn."""
    targets = {test["target"] for claim in document["claims"] for test in claim["tests"]}
    asked = (members["programme"] + "/" + members["block"]).isin(targets)
    single = members["programme"].isin([GENE, RATIO])
    return members[asked & ~single & ~members["stripped"].astype(bool)]


def random_members(
    expressions: Sequence[pd.DataFrame], members: pd.DataFrame, *, n_random: int, seed: int
) -> pd.DataFrame:
    """Matched random sets on the mean expression over studies of one species, the same for all."""
    shared = expressions[0].index
    for other in expressions[1:]:
        shared = shared.intersection(other.index)
    means = [frame.loc[shared].mean(axis=1) for frame in expressions]
    mean = pd.concat(means, axis=1).mean(axis=1)
    return scoring.control_blocks(mean, members, n_random, seed)


class Compared(NamedTuple):
    """``denervation.tsv``, ``deltas.tsv`` and the effects of matched random sets."""

    axis: pd.DataFrame
    deltas: pd.DataFrame
    random_sets: pd.DataFrame


def compare_with_denervation(
    sources: Mapping[tuple[str, str], Fitted | pd.DataFrame],
    contrasts: pd.DataFrame,
    pairs: pd.DataFrame,
    blocks: pd.DataFrame,
    members: Mapping[str, pd.DataFrame],
    document: Mapping[str, Any],
    *,
    to_human: Mapping[str, Mapping[str, str]],
    n_random: int,
    inter_gene_correlation: float,
    min_reliability: float,
    seed: int,
) -> Compared:
    """Run the denervation axis over all pairs; blocks and matched random sets alike.

    Every reference is compared on its own; Deltas are taken against the references of a contrast
    together (:mod:`alsmuscle.synthesis.references`).

    Parameters
    ----------
    sources
        Contrast → its fit (:func:`refit`), or the ``de`` table where no matrix is public, which
        gets analytic intervals.
    contrasts, pairs, blocks
        Tables of :func:`alsmuscle.synthesis.contrasts.contrast_table`, :func:`comparable_pairs`,
        and ``blocks.tsv``.
    members
        Species → genes of blocks and of the claims' genes and ratios.
    document
        ``config/claims.yaml``: random sets are drawn for the blocks it names.
    to_human
        Species → {gene id: human gene id}.
    n_random, inter_gene_correlation, min_reliability, seed
        Configuration.
    """
    species = contrasts.set_index(["dataset", "contrast"])["species"]
    random: dict[str, pd.DataFrame] = {}
    for organism in members:
        own = [
            source.expression
            for name, source in sources.items()
            if isinstance(source, Fitted) and species[name] == organism
        ]
        if own and n_random:
            asked = claimed_blocks(document, members[organism])
            random[organism] = random_members(own, asked, n_random=n_random, seed=seed)
    genes, random_effects = [], []
    for name, source in sources.items():
        labels = {"dataset": name[0], "contrast": name[1], "cell_type": "muscle"}
        sets = random.get(species[name])
        if isinstance(source, Fitted):
            genes.append(source.genes.assign(**labels))
            if sets is not None:
                found = block_effects(source.fit, sets, confidence=0.95, tested=True)
                random_effects.append(found.assign(**labels)[[*KEY, *BLOCK, "effect", "se"]])
        else:
            table = source.rename(columns={"log2fc": "effect", "lfc_se": "se"})
            genes.append(table.loc[table["se"] > 0, [*KEY, "gene_id", "effect", "se"]])
            if sets is not None:
                found = published_blocks(
                    source, sets, inter_gene_correlation=inter_gene_correlation
                )
                random_effects.append(found[[*KEY, *BLOCK, "effect", "se"]])
    columns = [*KEY, *BLOCK, "effect", "se"]
    random_table = pd.concat(random_effects) if random_effects else pd.DataFrame(columns=columns)
    axis, deltas = pd.DataFrame(columns=denervation.AXIS_COLUMNS), pd.DataFrame()
    if genes:
        axis, deltas = _against_references(
            pairs,
            contrasts,
            pd.concat(genes, ignore_index=True),
            pd.concat([blocks[columns], *random_effects], ignore_index=True),
            {
                name: pd.concat([own, random[name]]) if name in random else own
                for name, own in members.items()
            },
            {
                (*name, "muscle"): source.replicates
                for name, source in sources.items()
                if isinstance(source, Fitted) and source.replicates is not None
            },
            to_human=to_human,
            inter_gene_correlation=inter_gene_correlation,
            min_reliability=min_reliability,
        )
    axis = axis.astype({"reason": str, "mode": str})
    axis["interval"] = axis["interval"].fillna("")
    if deltas.empty:
        deltas = pd.DataFrame(columns=list(DELTAS.columns))
    als = contrasts[contrasts["role"].isin(ALS_ROLES)]
    judged = set(zip(als["dataset"], als["contrast"], strict=True))
    names = zip(random_table["dataset"], random_table["contrast"], strict=True)
    kept = np.array([name in judged for name in names], dtype=bool)
    return Compared(axis, deltas, random_table[kept])


def _against_references(
    pairs: pd.DataFrame,
    contrasts: pd.DataFrame,
    genes: pd.DataFrame,
    blocks: pd.DataFrame,
    members: Mapping[str, pd.DataFrame],
    replicates: dict[tuple[str, str, str], pd.DataFrame],
    **settings: Any,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare with every reference, then take Deltas against each contrast's references
    together.
    """
    single, _ = denervation.axes(
        pairs, contrasts, genes, blocks.iloc[:0], members, replicates=replicates, **settings
    )
    names = contrasts["dataset"] + "/" + contrasts["contrast"]
    clusters = dict(zip(names, contrasts["cluster"], strict=True))
    kept = references.best_of_each_study(single, clusters)
    if kept.empty:
        return single, pd.DataFrame()
    together = references.with_combined(
        kept, references.Tables(pairs, contrasts, genes, blocks, replicates, {})
    )
    axis, deltas = denervation.axes(
        together.pairs,
        together.contrasts,
        together.genes,
        together.blocks,
        members,
        replicates=together.replicates,
        parts=together.parts,
        **settings,
    )
    joined = axis[axis["reference"].str.contains(references.JOINED, regex=False)]
    return pd.concat([single, joined], ignore_index=True) if len(joined) else single, deltas
