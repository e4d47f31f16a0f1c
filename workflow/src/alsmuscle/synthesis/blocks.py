"""Block effects of all studies in one shape: ``synthesis/blocks.tsv``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alsmuscle.genesets import programmes
from alsmuscle.genesets.targets import gene_effects
from alsmuscle.stats import distributions

KEY = ["dataset", "contrast", "cell_type"]


BLOCK = ["programme", "block", "stripped"]


def published_blocks(
    effects: pd.DataFrame,
    members: pd.DataFrame,
    *,
    inter_gene_correlation: float,
    measured: pd.Series[float] | None = None,
) -> pd.DataFrame:
    """Block effects of a contrast of which only gene effects are public.

    E = mean of the log2 fold changes of the block's genes, in their own direction. Its standard
    error is sqrt((1 - rho) sum s^2 + rho (sum s)^2) / n (Wu and Smyth 2012, Nucleic Acids Res
    40:e133), with a correlation rho of the genes' errors that a published table cannot tell. What
    other studies measured of a block is uncertain, and an interval that is too narrow is worse than
    one that is too wide: it can raise rho, but not lower it.

    Parameters
    ----------
    effects
        ``dataset, contrast, cell_type, gene_id, log2fc, lfc_se``.
    members
        From ``programmes.blocks``: ``programme, block, stripped, gene_id``.
    inter_gene_correlation
        Least rho, 0 to 1.
    measured
        rho by ``programme, block, stripped``, as :func:`gene_correlation` finds it in studies with
        a matrix.

    Returns
    -------
    DataFrame
        ``dataset, contrast, cell_type, programme, block, stripped, effect, se, n_measured,
        n_genes``.
    """
    usable = effects[effects["log2fc"].notna() & (effects["lfc_se"] > 0)]
    rows = members.merge(usable, on="gene_id")
    rows["square"] = rows["lfc_se"] ** 2
    grouped = rows.groupby([*KEY, *BLOCK], sort=False, observed=True)
    out = grouped.agg(
        effect=("log2fc", "mean"),
        total=("lfc_se", "sum"),
        squares=("square", "sum"),
        n=("gene_id", "size"),
    )
    out = out.reset_index()
    defined = members.groupby(BLOCK, observed=True)["gene_id"].nunique()
    out["n_genes"] = defined.reindex(pd.MultiIndex.from_frame(out[BLOCK])).to_numpy()
    rho = np.full(len(out), inter_gene_correlation)
    if measured is not None:
        found = measured.reindex(pd.MultiIndex.from_frame(out[BLOCK])).to_numpy()
        rho = np.fmax(rho, found)
    out["se"] = np.sqrt((1 - rho) * out["squares"] + rho * out["total"] ** 2) / out["n"]
    columns = [*KEY, *BLOCK, "effect", "se", "n_measured", "n_genes"]
    return out.rename(columns={"n": "n_measured"})[columns].assign(
        n_mapped=lambda t: t["n_measured"]
    )


def gene_correlation(effects: Sequence[pd.DataFrame]) -> pd.Series[float] | None:
    """Correlation of genes' errors per block: the median over studies.

    ``effects``: ``block_effects`` of muscle tissue of one species. A study's contrasts count once,
    as their mean: they share samples. Index ``programme, block, stripped``; blocks of one gene are
    missing. ``None`` without any study.
    """
    if not effects:
        return None
    table = pd.concat(effects, ignore_index=True)
    studies = table.groupby(["dataset", *BLOCK], sort=False)["gene_correlation"].mean()
    return studies.groupby(BLOCK, sort=False).median().dropna()


# Roles whose samples say nothing of how genes vary together in muscle: other tissue, and cultures.
NO_TISSUE = ("not_muscle", "als_cells")
MEASURED = "samples"
PUBLISHED = "published"


def of_samples(effects: pd.DataFrame, sizes: Mapping[tuple[str, str, bool], int]) -> pd.DataFrame:
    """Bring a contrast's ``block_effects`` into the shape of ``blocks.tsv``.

    Cell types that too few donors have for a standard error are left out; they are in the study's
    own table. ``sizes``: genes per block of the organism. A block of which fewer than three genes
    were read, unless it is defined with fewer, is not ``usable``.
    """
    kept = effects[effects["se"].notna() | (effects["cell_type"] == "muscle")]
    keys = kept[BLOCK].itertuples(index=False, name=None)
    defined = np.array([sizes.get(key, 1) for key in keys], dtype=float)
    usable = kept["n_mapped"].to_numpy(dtype=float) >= np.minimum(3, defined)
    return kept.assign(usable=usable, source=MEASURED)[COLUMNS]


def of_array(effects: pd.DataFrame, sizes: Mapping[tuple[str, str, bool], int]) -> pd.DataFrame:
    """Do as :func:`of_samples` for a platform that measures only some genes.

    Usable is a block of which it measures at least half.
    """
    out = of_samples(effects, sizes)
    kept = effects.loc[out.index]
    keys = kept[BLOCK].itertuples(index=False, name=None)
    defined = np.array([sizes.get(key, 1) for key in keys], dtype=float)
    well = programmes.well_measured(kept["n_mapped"].to_numpy(dtype=float), defined)
    return out.assign(usable=well)


def of_published(
    de: pd.DataFrame,
    members: pd.DataFrame,
    genes: pd.DataFrame,
    *,
    block_correlation: float,
    measured: pd.Series[float] | None,
) -> pd.DataFrame:
    """Block effects of published gene effects, with the claims' genes and ratios (``genes``)."""
    blocks = published_blocks(
        de, members, inter_gene_correlation=block_correlation, measured=measured
    )
    blocks["usable"] = programmes.well_measured(blocks["n_measured"], blocks["n_genes"])
    blocks["df"] = blocks.merge(de.groupby(KEY)["df"].median().reset_index(), on=KEY)["df"]
    n = genes["block"].str.count(":") + 1
    single = [genes.assign(usable=True, n_mapped=n)] if len(genes) else []
    rows = pd.concat([blocks, *single], ignore_index=True)
    half = distributions.half_width(rows["se"], rows["df"])
    rows = rows.assign(ci_low=rows["effect"] - half, ci_high=rows["effect"] + half)
    return rows.assign(source=PUBLISHED).reindex(columns=COLUMNS)


ADJUSTED = [f"{name}_adjusted" for name in ("effect", "se", "df", "ci_low", "ci_high")]
COLUMNS = [
    *(*KEY, *BLOCK, "effect", "se", "df", "ci_low", "ci_high"),
    *(*ADJUSTED, "n_mapped", "usable", "source"),
]


def block_sizes(members: pd.DataFrame) -> dict[tuple[str, str, bool], int]:
    """Return genes per block: (programme, block, stripped) → n, of ``programmes.blocks``."""
    first = members.drop_duplicates(BLOCK)
    keys = zip(first["programme"], first["block"], first["stripped"].astype(bool), strict=True)
    return dict(zip(keys, first["n_genes"].astype(int), strict=True))


def gather(
    cards: Mapping[str, Mapping[str, Any]],
    effects: Iterable[pd.DataFrame],
    published: Iterable[pd.DataFrame],
    members: Mapping[str, pd.DataFrame],
    targets: Mapping[str, Mapping[str, str]],
    asked: Sequence[str],
    *,
    block_correlation: float,
) -> pd.DataFrame:
    """Block effects of all contrasts: ``synthesis/blocks.tsv``.

    Parameters
    ----------
    cards
        Dataset → ``organism, modality, role``.
    effects, published
        ``block_effects`` of contrasts with samples, ``de`` of published ones.
    members, targets
        Organism → genes of the blocks (``programmes.blocks``), and of the claims' symbols.
    asked
        The claims' genes and ratios.
    block_correlation
        Least correlation of genes' errors in published blocks; studies with samples of the
        species' muscle may say more.
    """
    sizes = {name: block_sizes(table) for name, table in members.items()}
    parts: list[pd.DataFrame] = []
    muscle: dict[str, list[pd.DataFrame]] = {name: [] for name in members}
    for table in effects:
        if table.empty:
            continue
        card = cards[str(table["dataset"].iloc[0])]
        shape = of_array if card["modality"] == "array" else of_samples
        parts.append(shape(table, sizes[card["organism"]]))
        if card["modality"] != "cells" and card["role"] not in NO_TISSUE:
            muscle[card["organism"]].append(table)
    measured = {name: gene_correlation(tables) for name, tables in muscle.items()}
    for de in published:
        organism = cards[str(de["dataset"].iloc[0])]["organism"]
        genes = gene_effects(de[de["lfc_se"] > 0], asked, targets[organism])
        parts.append(
            of_published(
                de,
                members[organism],
                genes,
                block_correlation=block_correlation,
                measured=measured[organism],
            )
        )
    found = [part for part in parts if len(part)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)
