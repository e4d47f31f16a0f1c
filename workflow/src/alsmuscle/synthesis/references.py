"""Several denervation references of a species and kind of platform, taken together as one.

One reference is one laboratory's nerve injury in a few animals: what its animals happen to differ
in enters lambda in the same way for every ALS study that is compared with it, so that lambda is
wrong everywhere at once. References of independent studies are therefore joined, and an ALS
contrast is compared with their weighted mean. What they have in common is the signal: the product
of two independent studies holds no noise of either, so that each is the other's instrument (as in
two-sample instrumental variables) and lambda is not diluted by errors that a study's own standard
errors do not tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.core.types import Floats
from alsmuscle.stats import moderated_pooling
from alsmuscle.synthesis.axis import Parts

JOINED = " + "


class Reference(NamedTuple):
    """Effects of one reference, or of several together.

    ``effects``: by gene, ``effect, se`` (log2 units); ``replicates``: bootstrap × genes, or
    ``None`` where a reference has no samples; ``df``: degrees of freedom of its errors; ``parts``:
    of several together.
    """

    effects: pd.DataFrame
    replicates: pd.DataFrame | None
    df: float
    parts: Parts | None = None


def _shared(references: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return effects and errors, genes or blocks of all references × references."""
    names = sorted(references)
    shared = references[names[0]].dropna().index
    for name in names[1:]:
        shared = shared.intersection(references[name].dropna().index)
    effect, se = (
        pd.DataFrame({name: references[name].loc[shared, column] for name in names})
        for column in ("effect", "se")
    )
    return effect, se


def combine(references: Mapping[str, Reference]) -> Reference:
    """Join references of independent studies into one.

    The weighted mean of their effects. A study's noise is what it does not share with the others:
    its mean square less the mean product with them, so that errors which many genes of a small
    study have in common count in full, which their standard errors do not tell. The weight is its
    inverse, at most twenty times the signal.

    Parameters
    ----------
    references
        Name → reference; one per study (of several time points the one that matches best).

    Returns
    -------
    Reference
        Genes of all references; those that some lack are left out, since a gene's weight would
        change with the reference.

    Raises
    ------
    InputError
        No reference is given, or they share too few genes, or no signal.
    """
    if not references:
        raise InputError("no denervation reference to combine")
    if len(references) == 1:
        return next(iter(references.values()))
    names = sorted(references)
    effect, se = _shared({name: own.effects for name, own in references.items()})
    if len(effect) < moderated_pooling.MIN_KEYS:
        raise InputError(
            f"the denervation references share {len(effect)} genes",
            expected=f"at least {moderated_pooling.MIN_KEYS}",
            remedy="check that they use the same gene ids",
        )
    m = len(names)
    weights, inflation = _weights(effect, se)
    drawn = [references[name].replicates for name in names]
    kept = [table for table in drawn if table is not None]
    replicates, tables = None, None
    if len(kept) == m:
        n = min(len(table) for table in kept)
        tables = [table[effect.index].iloc[:n] for table in kept]
        joint = sum(w * table.to_numpy() for w, table in zip(weights, tables, strict=True))
        replicates = pd.DataFrame(joint, columns=effect.index)
    joined = pd.DataFrame(
        {"effect": effect.to_numpy() @ weights, "se": np.sqrt((se**2).to_numpy() @ weights**2)},
        index=effect.index,
    )
    df = float(min(references[name].df for name in names) + m - 1)
    return Reference(joined, replicates, df, Parts(weights, inflation, effect, tables))


def _weights(effect: pd.DataFrame, se: pd.DataFrame) -> tuple[Floats, Floats]:
    """Weights of studies, and by how much each one's variance exceeds what its errors tell."""
    D, m = effect.to_numpy(dtype=float), effect.shape[1]
    precision = (1 / (se**2).mean(axis=1)).to_numpy()
    products = (D * precision[:, None]).T @ D
    stated = precision @ (se**2).to_numpy()
    signal = (products.sum() - np.trace(products)) / (m * (m - 1))
    if signal <= 0:
        # Nothing in common: no weight is better than another, and lambda will say so.
        return np.full(m, 1 / m), np.maximum(np.diag(products) / stated, 1.0)
    shared = (products.sum(axis=1) - np.diag(products)) / (m - 1)
    noise = np.maximum(np.diag(products) - shared.clip(0), 0.0)
    bounded = np.maximum(noise, signal / 20)
    return (1 / bounded) / (1 / bounded).sum(), np.maximum(noise / stated, 1.0)


def combine_blocks(references: Mapping[str, pd.DataFrame], parts: Parts) -> pd.DataFrame:
    """Join the references' block effects with the weights that their genes got.

    ``references``: name → ``effect, se`` by block; errors are widened by as much as the genes' were
    found to fall short (``parts.inflation``). Returns ``effect, se`` by block.
    """
    effect, se = _shared(references)
    variance = (se**2).to_numpy() @ (parts.weights**2 * parts.inflation)
    return pd.DataFrame(
        {"effect": effect.to_numpy() @ parts.weights, "se": np.sqrt(variance)}, index=effect.index
    )


def best_of_each_study(axis: pd.DataFrame, clusters: Mapping[str, str]) -> pd.DataFrame:
    """Keep of every independent study the reference that matches each ALS contrast best.

    Several time points of one denervation series share animals or a laboratory; of them the one
    that correlates best with the contrast is kept, since what explains most is the hardest null for
    a claim of more than denervation. Ties go to the alphabetically first.

    Parameters
    ----------
    axis
        Rows of ``denervation.tsv``: ``dataset, contrast, cell_type, reference, lambda,
        correlation``; rows without lambda are dropped.
    clusters
        Reference (``dataset/contrast``) → cluster.
    """
    usable = axis.dropna(subset=["lambda"])
    # As the table writes it: the choice is then the same before writing and after reading.
    shown = usable["correlation"].astype(float).fillna(-np.inf).map("{:.6g}".format)
    usable = usable.assign(_rank=shown.astype(float), _cluster=usable["reference"].map(clusters))
    ordered = usable.sort_values(["_rank", "reference"], ascending=[False, True])
    kept = ordered.drop_duplicates(["dataset", "contrast", "cell_type", "_cluster"])
    kept = kept.drop(columns=["_rank", "_cluster"])
    return kept.sort_values(["dataset", "contrast", "cell_type", "reference"], ignore_index=True)


class Tables(NamedTuple):
    """Input of :func:`alsmuscle.synthesis.axis.axes`, with combined references in it."""

    pairs: pd.DataFrame
    contrasts: pd.DataFrame
    genes: pd.DataFrame
    blocks: pd.DataFrame
    replicates: dict[tuple[str, str, str], pd.DataFrame]
    parts: Mapping[tuple[str, str, str], Parts]


def with_combined(kept: pd.DataFrame, tables: Tables) -> Tables:
    """Put in place of each contrast's references the one that they make together.

    Parameters
    ----------
    kept
        From :func:`best_of_each_study`.
    tables
        ``pairs``: ``dataset, contrast, reference_dataset, reference_contrast, mode, reason``;
        ``contrasts``: ``contrasts.tsv``; ``genes, blocks``: effects of all contrasts, blocks with
        their matched random sets; ``replicates``: (dataset, contrast, cell type) → bootstrap;
        ``parts``: the same → the studies of a combined reference, none before.

    Returns
    -------
    Tables
        ``pairs``: one row per ALS contrast, with mode ``lambda``. A combined reference is named
        after its parts, joined by ``+``, and stands in the other tables under that name; its
        degrees of freedom are held as donors in ``contrasts``.
    """
    groups = kept.groupby(["dataset", "contrast", "cell_type"], sort=False)["reference"]
    sets = {name: tuple(sorted(own)) for name, own in groups}
    pairs, facts, genes, blocks = [], [], [], []
    replicates, parts = dict(tables.replicates), dict(tables.parts)
    by_gene, by_block = (
        dict(list(table.groupby(["dataset", "contrast", "cell_type"], sort=False)))
        for table in (tables.genes, tables.blocks)
    )
    key = ["programme", "block", "stripped"]
    rows = tables.contrasts.set_index(["dataset", "contrast"])
    done: set[tuple[tuple[str, ...], str]] = set()
    for (dataset, contrast, cell_type), names in sets.items():
        combined = _name(names)
        reason = "same species, kind of platform and material"
        if len(names) > 1:
            reason += f"; {len(names)} references together"
        pairs.append((dataset, contrast, *combined, "lambda", reason))
        if len(names) == 1 or (names, cell_type) in done:
            continue
        done.add((names, cell_type))
        split = [tuple(name.split("/", 1)) for name in names]
        df = [max(float(rows.loc[s, ["n_target", "n_reference"]].sum()) - 2, 1.0) for s in split]
        found = combine(
            {
                name: Reference(
                    by_gene[(*s, cell_type)].set_index("gene_id")[["effect", "se"]],
                    tables.replicates.get((s[0], s[1], cell_type)),
                    free,
                )
                for name, s, free in zip(names, split, df, strict=True)
            }
        )
        assert found.parts is not None
        own = combine_blocks(
            {
                name: by_block[(*s, cell_type)].set_index(key)[["effect", "se"]]
                for name, s in zip(names, split, strict=True)
            },
            found.parts,
        )
        labels = {"dataset": combined[0], "contrast": combined[1], "cell_type": cell_type}
        genes.append(found.effects.rename_axis("gene_id").reset_index().assign(**labels))
        table = own.reset_index(names=key)
        blocks.append(table.assign(**labels))
        if found.replicates is not None:
            replicates[(*combined, cell_type)] = found.replicates
        parts[(*combined, cell_type)] = found.parts
        fact = rows.loc[split[0]].to_dict() | labels
        facts.append(
            fact | {"n_target": found.df + 2, "n_reference": 0, "cluster": "+".join(names)}
        )
    columns = ["dataset", "contrast", "reference_dataset", "reference_contrast", "mode", "reason"]
    more = pd.DataFrame(facts).reindex(columns=tables.contrasts.columns)
    return Tables(
        pd.DataFrame(pairs, columns=columns),
        pd.concat([tables.contrasts, more], ignore_index=True) if facts else tables.contrasts,
        pd.concat([tables.genes, *genes], ignore_index=True),
        pd.concat([tables.blocks, *blocks], ignore_index=True),
        replicates,
        parts,
    )


def _name(names: tuple[str, ...]) -> tuple[str, str]:
    """Dataset and contrast under which references stand together; joined they are the full name."""
    first, rest = JOINED.join(names).split("/", 1)
    return first, rest
