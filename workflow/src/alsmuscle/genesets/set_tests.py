"""All tests of one gene set side by side: effect, camera, over-representation.

``set_effects`` treats a set as a programme block: an effect in log2 units, its sampling error from
the samples, compared with sets matched on expression. It holds the level and keeps its power.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.genesets.block_tests import effects
from alsmuscle.genesets.camera import camera
from alsmuscle.genesets.pathways import SEPARATOR, Collections, ora, positions, ranked_genes


def set_effects(
    expression: pd.DataFrame,
    design: pd.DataFrame,
    contrast: pd.Series[float] | npt.ArrayLike,
    collections: Collections,
    *,
    names: pd.Series[str],
    n_matched: int,
    seed: int = 0,
    min_size: int,
    max_size: int,
    **options: Any,
) -> pd.DataFrame:
    """Effect of a contrast on whole gene sets, tested against sets matched on expression.

    Parameters
    ----------
    expression, design, contrast
        As for ``block_tests.effects``: genes x samples, log2 variance-stabilised, index gene ids.
    collections
        ``{collection: {term: genes}}``.
    names
        Gene id to the name used in the collections. Of several genes with one name that of the
        highest mean expression is taken.
    n_matched, seed
        Matched random sets per term, drawn from the genes with a name.
    min_size, max_size
        Measured genes a set must have.
    options
        ``subject``, ``tested`` and ``confidence`` of ``block_tests.effects``.

    Returns
    -------
    DataFrame
        ``collection, term, size, effect, se, ci_low, ci_high, background, pvalue, padj,
        pvalue_competitive, padj_competitive``, sorted by collection, competitive p-value and term;
        both padj within the collection. A set's genes count as going in one direction: a pathway
        whose members go both ways shows a small effect.
    """
    mean = expression.mean(axis=1)
    known = names.reindex(expression.index).dropna()
    known = known[known.astype(str) != ""]
    best = known[mean[known.index].sort_values(ascending=False, kind="stable").index]
    best = best[~best.duplicated()]
    # Matched sets come from genes that a set could hold: those without a name or without an
    # ortholog are of another kind (many are no protein genes) and would not be a fair comparison.
    expression = expression.loc[expression.index.isin(best.index)]
    gene_ids = np.asarray(best.index)
    columns = ["effect", "se", "ci_low", "ci_high", "background", "pvalue", "padj"]
    columns += ["pvalue_competitive", "padj_competitive"]
    parts = [pd.DataFrame(columns=["collection", "term", "size", *columns])]
    for collection, sets in positions(
        pd.Index(best.astype(str)), collections, min_size, max_size
    ).items():
        if not sets:
            continue
        sizes = [len(rows) for rows in sets.values()]
        members = pd.DataFrame(
            {
                "programme": collection,
                "block": np.repeat(list(sets), sizes),
                "stripped": False,
                "sign": 1,
                "gene_id": gene_ids[np.concatenate(list(sets.values()))],
            }
        )
        part = effects(
            expression, design, contrast, members, n_matched=n_matched, seed=seed, **options
        ).rename(columns={"programme": "collection", "block": "term", "n_mapped": "size"})
        part = part.sort_values(["pvalue_competitive", "term"], kind="stable")
        parts.append(part[["collection", "term", "size", *columns]])
    return pd.concat(parts[1:] or parts, ignore_index=True)


SETS = [
    *("collection", "term", "size", "effect", "se", "ci_low", "ci_high", "pvalue", "padj"),
    *("pvalue_competitive", "padj_competitive", "background", "camera_pvalue"),
    *("ora_up_pvalue", "ora_down_pvalue", "group"),
]


def test_sets(
    expression: pd.DataFrame,
    design: pd.DataFrame,
    contrast: pd.Series[float] | npt.ArrayLike,
    de: pd.DataFrame,
    collections: Collections,
    enriched: pd.DataFrame,
    *,
    names: pd.Series[str],
    padj: float,
    tested: bool = True,
    n_matched: int,
    seed: int = 0,
    min_size: int,
    max_size: int,
) -> pd.DataFrame:
    """Put the tests that look at the samples side by side: one row per set of a contrast.

    Parameters
    ----------
    expression, design, contrast
        As for ``set_effects``. Genes without a statistic in ``de`` are left out, so that every test
        has the same genes.
    de
        Contract ``de`` of the contrast, one cell type.
    collections
        ``{collection: {term: genes}}``.
    enriched
        From ``gsea`` on the same genes and collections: its leading edges group the terms.
    names
        Gene id to the name used in the collections; genes it lacks stay in the background.
    padj
        Adjusted p below which a gene is called, for over-representation.
    tested
        False where the rule on group sizes forbids a test: every p-value is missing.
    n_matched, seed, min_size, max_size
        As for ``set_effects``.

    Returns
    -------
    DataFrame
        ``collection, term, size, effect, se, ci_low, ci_high, pvalue, padj, pvalue_competitive,
        padj_competitive, background, camera_pvalue, ora_up_pvalue, ora_down_pvalue, group`` in the
        order of ``set_effects``. The evidence is ``pvalue_competitive``; ``camera_pvalue`` is
        ``camera`` with estimated correlation; the ``ora`` columns test the genes called up and
        down among those with an adjusted p-value. ``group``: see ``group_terms``, by competitive
        p-value and direction of ``effect``.
    """
    keys = ["collection", "term"]
    with_statistic = de.loc[de["stat"].notna(), "gene_id"]
    values = expression.loc[expression.index.isin(with_statistic)]
    out = set_effects(
        values,
        design,
        contrast,
        collections,
        names=names,
        n_matched=n_matched,
        seed=seed,
        tested=tested,
        min_size=min_size,
        max_size=max_size,
    )
    columns = ["camera_pvalue", "ora_up_pvalue", "ora_down_pvalue"]
    if tested and len(out):
        name = names.reindex(values.index)
        name = name.mask(name.isna() | (name == ""), values.index.to_series())
        ordered = values.mean(axis=1).sort_values(ascending=False, kind="stable").index
        once = name[ordered].drop_duplicates()
        named = values.loc[once.index].set_axis(pd.Index(once.astype(str)))
        found = {
            columns[0]: camera(
                named, design, contrast, collections, min_size=min_size, max_size=max_size
            )
        }
        possible = de[de["padj"].notna()]
        ranked = ranked_genes(possible, names=names)
        called = ranked["gene_id"].map(possible.set_index("gene_id")["padj"]) < padj
        for column, sign in ((columns[1], 1), (columns[2], -1)):
            found[column] = ora(
                ranked.loc[called & (np.sign(ranked["stat"]) == sign), "name"],
                ranked["name"],
                collections,
                min_size=1,
                max_size=max_size,
            )
        for column, table in found.items():
            out = out.merge(
                table[[*keys, "pvalue"]].rename(columns={"pvalue": column}), on=keys, how="left"
            )
    out = out.reindex(columns=[*out.columns, *(c for c in columns if c not in out)])
    edges = out[keys].merge(enriched[[*keys, "leading_edge"]], on=keys, how="left")
    out["group"] = group_terms(
        edges.assign(
            pvalue=out["pvalue_competitive"],
            nes=out["effect"],
            leading_edge=edges["leading_edge"].fillna(""),
        )
    )
    return out[SETS]


def group_terms(results: pd.DataFrame, overlap: float = 0.5) -> pd.Series[str]:
    """Name for each row of ``gsea`` the term that stands for it in a display.

    Terms are taken in order of p-value (then |nes|, then name). A term joins the first
    representative of the same direction with which it shares at least ``overlap`` of the smaller
    leading edge, whatever their collections; otherwise it represents itself. Nothing is tested
    again: all terms stay in the table.

    Parameters
    ----------
    results
        From ``gsea``, as a rule cut to the significant terms.
    overlap
        Share of the smaller leading edge, above 0 and at most 1.

    Returns
    -------
    Series
        Index as ``results``, value ``collection: term`` of the representative.
    """
    if not 0 < overlap <= 1:
        raise InputError(f"overlap is {overlap}", expected="above 0 and at most 1")
    order = results.assign(_=-results["nes"].abs()).sort_values(
        ["pvalue", "_", "collection", "term"], kind="stable"
    )
    kept: list[tuple[str, bool, set[str]]] = []
    group: dict[Any, str] = {}
    for row in order.itertuples():
        edge, up = set(str(row.leading_edge).split(SEPARATOR)) - {""}, float(str(row.nes)) > 0
        for name, direction, other in kept:
            shared = len(edge & other) if direction == up else 0
            if shared and shared >= overlap * min(len(edge), len(other)):
                group[row.Index] = name
                break
        else:
            group[row.Index] = f"{row.collection}: {row.term}"
            kept.append((group[row.Index], up, edge))
    return pd.Series(group, dtype=object).reindex(results.index)
