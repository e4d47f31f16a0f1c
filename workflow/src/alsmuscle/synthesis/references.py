"""Several denervation references of a species and kind of platform, taken together as one.

One reference is one laboratory's nerve injury in a few animals: what its animals happen to differ
in enters lambda in the same way for every ALS study that is compared with it, so that lambda is
wrong everywhere at once. References of independent studies are therefore pooled gene by gene, with
the spread between them in the error, and an ALS contrast is compared with the result. The spread
counts as noise of the reference: it lowers the reliability, corrects lambda for it, and widens its
interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.stats import moderated_pooling

JOINED = " + "


class Reference(NamedTuple):
    """Effects of one reference, or of several together.

    ``effects``: by gene or block, ``effect, se`` (log2 units); ``replicates``: bootstrap × genes,
    or ``None`` where a reference has no samples; ``df``: degrees of freedom of its errors.
    """

    effects: pd.DataFrame
    replicates: pd.DataFrame | None
    df: float


def combine(references: Mapping[str, Reference], *, seed: int) -> Reference:
    """Pool references of independent studies into one.

    Parameters
    ----------
    references
        Name → reference; one per study (of several time points the one that matches best).
    seed
        Of the multipliers behind the replicates.

    Returns
    -------
    Reference
        Genes of all references; those that some lack are left out, since a gene's weight would
        change with the reference. ``replicates`` hold both sources of error: resampled donors of
        every reference, and the differences between references, which are drawn with one normal
        multiplier per reference and replicate (multiplier bootstrap), so that what genes have in
        common stays together. Of the differences only the share beyond the donors' own errors is
        drawn.

    Raises
    ------
    InputError
        No reference is given, or they share too few genes.
    """
    if not references:
        raise InputError("no denervation reference to combine")
    if len(references) == 1:
        return next(iter(references.values()))
    names = sorted(references)
    shared = references[names[0]].effects.dropna().index
    for name in names[1:]:
        shared = shared.intersection(references[name].effects.dropna().index)
    effect, se = (
        pd.DataFrame({name: references[name].effects.loc[shared, column] for name in names})
        for column in ("effect", "se")
    )
    prior = moderated_pooling.learn(effect, se)
    if prior is None:
        raise InputError(
            f"the denervation references share {len(shared)} genes",
            expected=f"at least {moderated_pooling.MIN_KEYS}",
            remedy="check that they use the same gene ids",
        )
    pooled = moderated_pooling.pool(effect, se, prior=prior)[["effect", "se"]]
    within = min(references[name].df for name in names)
    df = float(within + len(names) - 1)
    drawn = [references[name].replicates for name in names]
    kept = [table for table in drawn if table is not None]
    if len(kept) < len(names):
        return Reference(pooled, None, df)
    weight = (1 / (se.to_numpy() ** 2 + prior.tau2)).T  # references × genes
    weight /= weight.sum(axis=0)
    n = min(len(table) for table in kept)
    noise = np.zeros((n, len(shared)))
    for own, table in zip(weight, kept, strict=True):
        values = table[shared].to_numpy()[:n]
        noise += own * (values - values.mean(axis=0))
    deviation = effect.to_numpy().T - pooled["effect"].to_numpy()
    multiplier = np.random.default_rng(seed).standard_normal((n, len(names)))
    noise += multiplier @ (weight * deviation * np.sqrt(_between(deviation, se)))
    replicates = pd.DataFrame(noise + pooled["effect"].to_numpy(), columns=shared)
    return Reference(pooled, replicates, df)


def _between(deviation: np.ndarray, se: pd.DataFrame) -> float:
    """Share of the references' differences that their donors do not account for, times m / (m - 1)."""
    m = deviation.shape[0]
    observed = (deviation**2).sum(axis=0).mean() / (m - 1)
    sampling = (se.to_numpy() ** 2).mean()
    return float(max(0.0, 1 - sampling / observed) * m / (m - 1)) if observed > 0 else 0.0


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


def with_combined(
    kept: pd.DataFrame,
    tables: Tables,
    *,
    seed: int,
) -> Tables:
    """Put in place of each contrast's references the one that they make together.

    Parameters
    ----------
    kept
        From :func:`best_of_each_study`.
    tables
        ``pairs``: ``dataset, contrast, reference_dataset, reference_contrast, mode, reason``;
        ``contrasts``: ``contrasts.tsv``; ``genes, blocks``: effects of all contrasts, blocks with
        their matched random sets; ``replicates``: (dataset, contrast, cell type) → bootstrap.

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
    replicates = dict(tables.replicates)
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
            },
            seed=seed,
        )
        own = combine(
            {
                name: Reference(
                    by_block[(*s, cell_type)].set_index(key)[["effect", "se"]], None, free
                )
                for name, s, free in zip(names, split, df, strict=True)
            },
            seed=seed,
        )
        labels = {"dataset": combined[0], "contrast": combined[1], "cell_type": cell_type}
        genes.append(found.effects.rename_axis("gene_id").reset_index().assign(**labels))
        table = own.effects.reset_index(names=key)
        blocks.append(table.assign(**labels))
        if found.replicates is not None:
            replicates[(*combined, cell_type)] = found.replicates
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
    )


def _name(names: tuple[str, ...]) -> tuple[str, str]:
    """Dataset and contrast under which references stand together; joined they are the full name."""
    first, rest = JOINED.join(names).split("/", 1)
    return first, rest
