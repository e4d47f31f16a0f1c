"""Lists of called genes against the blocks of the programmes: an exact test per block.

A list was cut at a threshold, so that its effects are the large ones only: they are never averaged
or pooled. What it can say is how many of a block's genes are in it, and whether so many would be
there by chance. The test takes genes as independent; genes of one block are not, so that its p is
too small where they move together. It is evidence of its own kind, and shown as such.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alsmuscle.genesets import programmes

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

BLOCK = ["programme", "block", "stripped"]
DIRECTIONS = ("up", "down")


def count_blocks(
    called: pd.DataFrame, background: Collection[str], members: pd.DataFrame
) -> pd.DataFrame:
    """Count the called genes of every block and test each direction.

    Parameters
    ----------
    called
        Contract ``called`` of one contrast: ``gene_id, symbol, direction``, a row per gene.
    background
        Gene ids that the platform measures; called genes are measured by definition and join it.
    members
        Blocks as ``programmes.blocks`` returns them: ``programme, block, stripped, gene_id``.

    Returns
    -------
    DataFrame
        A row per block and version: ``n_genes, n_measured, n_background``, ``called_up`` and
        ``background_up`` (the same for ``down``), ``p_up`` (probability of as many or more by a
        draw without replacement: one-sided hypergeometric, Fisher's exact test), ``padj_up``
        (Benjamini–Hochberg over the complete blocks that are usable), ``usable``, ``genes_up``.
    """
    import numpy as np
    import pandas as pd

    from alsmuscle.stats import distributions

    direction = called.set_index("gene_id")["direction"]
    names = called.set_index("gene_id")["symbol"]
    platform = pd.Index(sorted({*background, *direction.index}))
    totals = {side: int((direction == side).sum()) for side in DIRECTIONS}
    rows = []
    for key, group in members.groupby(BLOCK, sort=False, observed=True):
        own = pd.Index(group["gene_id"].unique())
        measured = own.intersection(platform)
        hits = direction.reindex(measured).dropna()
        row = dict(zip(BLOCK, key, strict=True)) | {
            "n_genes": len(own),
            "n_measured": len(measured),
            "n_background": len(platform),
        }
        for side in DIRECTIONS:
            found = hits.index[hits == side]
            row[f"called_{side}"] = len(found)
            row[f"background_{side}"] = totals[side]
            row[f"p_{side}"] = (
                distributions.hypergeometric_pvalue(
                    len(found), len(platform), totals[side], len(measured)
                ).item()
                if len(measured)
                else np.nan
            )
            row[f"genes_{side}"] = ";".join(sorted(names[found]))
        rows.append(row)
    out = pd.DataFrame(rows)
    out["usable"] = programmes.well_measured(out["n_measured"], out["n_genes"])
    tested = out["usable"] & ~out["stripped"].astype(bool)
    for side in DIRECTIONS:
        out[f"padj_{side}"] = distributions.adjust(out[f"p_{side}"].where(tested))
    return out


def agreement(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, float]:
    """Compare the directions of a list with those of a list or of a table of effects.

    Parameters
    ----------
    one
        ``gene_id, direction, log2fc`` of called genes.
    other
        ``gene_id, log2fc`` and, for a list, ``direction``; a gene of a table of effects has the
        direction of its effect.

    Returns
    -------
    dict
        ``n_called``, ``n_shared``, ``n_same``, ``share_same`` (missing without shared genes);
        ``expected_same``: how many would agree if directions were drawn from the shares of up and
        down of both sides; ``p_more, p_fewer``: probability of as many or more, or fewer, by such
        a draw (binomial, genes as independent); ``spearman`` of the stated effects (missing below
        three genes).
    """
    import numpy as np
    from scipy import stats

    if "direction" not in other:
        other = other[other["log2fc"].notna() & other["log2fc"].ne(0)]
        other = other.assign(direction=np.where(other["log2fc"] > 0, "up", "down"))
    both = one.merge(other, on="gene_id", suffixes=("", "_other"))
    n, same = len(both), int((both["direction"] == both["direction_other"]).sum())
    up, up_other = (float((table["direction"] == "up").mean()) for table in (one, other))
    alike = up * up_other + (1 - up) * (1 - up_other)
    effects = both[["log2fc", "log2fc_other"]].dropna()
    enough = len(effects) >= 3 and bool((effects.nunique() > 1).all())
    ranks = effects.rank()
    return {
        "n_called": len(one),
        "n_shared": n,
        "n_same": same,
        "share_same": same / n if n else np.nan,
        "expected_same": alike * n if n else np.nan,
        "p_more": float(stats.binom.sf(same - 1, n, alike)) if n else np.nan,
        "p_fewer": float(stats.binom.cdf(same, n, alike)) if n else np.nan,
        "spearman": float(ranks["log2fc"].corr(ranks["log2fc_other"])) if enough else np.nan,
    }


def of_contrasts(
    called: pd.DataFrame, background: Collection[str], members: pd.DataFrame
) -> pd.DataFrame:
    """Return contract ``called_blocks``: :func:`count_blocks` of every contrast of a study."""
    import pandas as pd

    parts = []
    for (dataset, contrast), own in called.groupby(["dataset", "contrast"], sort=False):
        counted = count_blocks(own, background, members)
        for position, (name, value) in enumerate(
            (("dataset", dataset), ("contrast", contrast), ("cell_type", "muscle"))
        ):
            counted.insert(position, name, value)
        parts.append(counted)
    return pd.concat(parts, ignore_index=True)
