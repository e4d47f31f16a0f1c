"""Scores of blocks per sample, the genes that carry an effect, and matched random sets."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.core.types import Floats, Ints
from alsmuscle.genesets.programmes import KEY, BlockKey


class Sets(NamedTuple):
    """Sets as row positions in the expression matrix."""

    keys: list[BlockKey]
    sign: Floats
    n_genes: Ints
    rows: list[Ints]


def locate(members: pd.DataFrame, gene_ids: pd.Index) -> Sets:
    """Positions of each block's genes; blocks without any measured gene keep an empty array."""
    if gene_ids.has_duplicates:
        raise InputError("expression has duplicate gene ids", expected="one row per gene")
    # Random sets come by the ten thousand: all at once, not block by block.
    group = members.groupby(KEY, sort=False).ngroup().to_numpy()
    first = members.drop_duplicates(KEY)
    place = gene_ids.get_indexer(pd.Index(members["gene_id"]))
    known = place >= 0
    order = np.lexsort((place[known], group[known]))
    sizes = np.bincount(group[known], minlength=len(first))
    rows = np.split(place[known][order].astype(np.int64), np.cumsum(sizes))[: len(first)]
    listed = first["n_genes"] if "n_genes" in members else np.bincount(group, minlength=len(first))
    keys = [(str(p), str(b), bool(s)) for p, b, s in first[KEY].itertuples(index=False, name=None)]
    return Sets(keys, first["sign"].to_numpy(float), np.asarray(listed, dtype=np.int64), rows)


def means(values: Floats, rows: Ints | Iterable[Ints]) -> Floats:
    """Mean over each set's rows of a genes x samples matrix; NaN for an empty set.

    ``rows``: positions per set; where all sets are of one size also as one array, sets x positions.
    """
    from scipy.sparse import csr_array

    if isinstance(rows, np.ndarray):
        sets, sizes = [rows.ravel()], np.full(len(rows), rows.shape[1], dtype=np.int64)
    else:
        sets = [*rows, np.array([], dtype=np.int64)]
        sizes = np.array([len(r) for r in sets[:-1]], dtype=np.int64)
    weights = np.repeat(1 / np.maximum(sizes, 1), sizes)
    columns = np.concatenate(sets)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    average = csr_array((weights, columns, starts), shape=(len(sizes), values.shape[0]))
    out: Floats = np.asarray(average @ values, dtype=np.float64)
    out[sizes == 0] = np.nan
    return out


def finite_values(expression: pd.DataFrame) -> Floats:
    """Return genes x samples as an array; InputError where a value is missing or infinite."""
    values: Floats = expression.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError(
            "expression has missing or infinite values",
            expected="log2 variance-stabilised values for every gene and sample",
            remedy="drop such genes before scoring",
        )
    return values


def scores(expression: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Score of every block in every sample: mean of sign x log2 expression over its genes.

    Parameters
    ----------
    expression
        Genes x samples, log2 variance-stabilised, index gene ids.
    members
        From ``blocks``.

    Returns
    -------
    DataFrame
        ``sample_id, programme, block, stripped, score, n_genes, n_mapped``. Blocks without an
        expected direction (sign 0) are the plain mean. No measured gene: score missing.
    """
    sets = locate(members, expression.index)
    values = means(finite_values(expression), sets.rows) * direction(sets.sign)[:, None]
    wide = pd.DataFrame(values.T, columns=pd.MultiIndex.from_tuples(sets.keys, names=KEY))
    wide.index = pd.Index(expression.columns, name="sample_id")
    long = wide.melt(ignore_index=False, value_name="score").reset_index()
    counts = pd.DataFrame(sets.keys, columns=KEY).assign(
        n_genes=sets.n_genes, n_mapped=[len(r) for r in sets.rows]
    )
    return long.merge(counts, on=KEY, how="left", sort=False)


def drivers(de: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Show which genes carry a block in one contrast and cell type.

    Parameters
    ----------
    de
        ``gene_id, base_mean, log2fc, lfc_se, df, padj`` and, where computed, ``log2fc_shrunk``;
        every tested gene once.
    members
        From ``blocks``.

    Returns
    -------
    DataFrame
        ``programme, block, stripped, gene_id, symbol, sign, base_mean, log2fc, lfc_se, df,
        padj, contribution``, the largest contributions of a block first. A contribution is
        sign x fold change / number of tested genes, shrunken fold changes where there are any, so
        that noise in rare transcripts does not lead the list; their sum is near the block's effect
        but not equal to it, since effects come from variance-stabilised values.
    """
    columns = ["gene_id", "base_mean", "log2fc", "lfc_se", "df", "padj"]
    if de["gene_id"].duplicated().any():
        raise InputError("de has a gene twice", expected="one contrast and cell type")
    present = de.loc[de["log2fc"].notna(), columns].copy()
    present["change"] = present["log2fc"]
    if "log2fc_shrunk" in de:
        present["change"] = de["log2fc_shrunk"].fillna(de["log2fc"])
    table = members.merge(present, on="gene_id")
    tested = table.groupby(KEY)["gene_id"].transform("size")
    table["contribution"] = direction(table["sign"].to_numpy()) * table["change"] / tested
    table["_size"] = -table["contribution"].abs()
    table = table.sort_values([*KEY, "_size", "gene_id"], kind="stable").reset_index(drop=True)
    return table[[*KEY, "gene_id", "symbol", "sign", *columns[1:], "contribution"]]


def direction(sign: Floats) -> Floats:
    """Return signs as factors; 0, no expected direction, counts as 1."""
    out: Floats = np.where(sign == 0, 1.0, sign)
    return out


def matched_sets(
    mean_expression: pd.Series[float],
    members: pd.DataFrame,
    n: int,
    seed: int,
    window: int = 200,
) -> dict[BlockKey, Ints]:
    """Random sets of each block's size, matched gene by gene on mean expression.

    Every gene is replaced by one drawn from the ``window`` genes nearest to it in the order of mean
    expression; the block's own genes are never drawn, and no gene twice within a set.

    Parameters
    ----------
    mean_expression
        Mean log2 expression per gene, index gene ids.
    members
        From ``blocks``; genes that are not in ``mean_expression`` are left out.
    n
        Number of sets per block.
    seed
        Together with the block's name it seeds the block's own stream, so that adding or removing
        another block changes nothing.
    window
        Neighbours to draw from.

    Returns
    -------
    dict
        Block key to an integer array (n, genes measured) of positions in ``mean_expression``.

    Raises
    ------
    InputError
        When a block leaves too few genes to draw from.
    """
    gene_ids = mean_expression.index
    order: Ints = np.lexsort((np.arange(len(gene_ids)), mean_expression.to_numpy()))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    sets = locate(members, gene_ids)
    out: dict[BlockKey, Ints] = {}
    for key, rows in zip(sets.keys, sets.rows, strict=True):
        rng = np.random.default_rng([seed, zlib.crc32("\t".join(map(str, key)).encode())])
        own = np.zeros(len(order), dtype=bool)
        own[rows] = True
        free = order[~own[order]]
        if len(free) < max(2 * len(rows), min(window, 2)):
            raise InputError(
                f"block {key[0]}/{key[1]}: {len(free)} genes to draw matched sets from",
                expected=f"at least twice the block's {len(rows)} measured genes",
            )
        # Where the gene would stand among the drawable genes, and a window clipped to their range.
        place = rank[rows] - np.searchsorted(np.sort(rank[rows]), rank[rows])
        width = min(max(window, 2 * len(rows)), len(free))
        start = np.clip(place - width // 2, 0, len(free) - width)
        drawn = start + rng.integers(0, width, size=(n, len(rows)))
        left = np.arange(n)
        for _ in range(1000):
            left = left[_has_repeats(drawn[left])]
            if not len(left):
                break
            fresh = start + rng.integers(0, width, size=drawn.shape)
            drawn[left] = np.where(_repeated(drawn[left]), fresh[left], drawn[left])
        out[key] = free[drawn] if len(rows) else np.empty((n, 0), dtype=np.int64)
    return out


def _has_repeats(drawn: Ints) -> npt.NDArray[np.bool_]:
    """Say of every row whether it holds a value twice."""
    ordered = np.sort(drawn.astype(np.int32), axis=1)
    out: npt.NDArray[np.bool_] = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    return out


def _repeated(drawn: Ints) -> npt.NDArray[np.bool_]:
    """Mark, row by row, every value that stands further left already."""
    order = np.argsort(drawn, axis=1, kind="stable")
    ordered = np.take_along_axis(drawn, order, axis=1)
    same = np.zeros(drawn.shape, dtype=bool)
    same[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    out = np.zeros(drawn.shape, dtype=bool)
    np.put_along_axis(out, order, same, axis=1)
    return out


def control_blocks(
    mean_expression: pd.Series[float], members: pd.DataFrame, n: int, seed: int, window: int = 200
) -> pd.DataFrame:
    """Matched random sets in the shape of ``blocks``, to send through everything that blocks pass.

    Each set keeps its block's sign and name with ``~1`` to ``~n`` appended to ``block``. For use
    across studies give a mean expression over those studies, so that all see the same sets.
    """
    gene_ids = mean_expression.index.to_numpy()
    signs = members.groupby(KEY, sort=False)["sign"].first()
    parts = []
    for key, drawn in matched_sets(mean_expression, members, n, seed, window).items():
        if drawn.shape[1] == 0:
            continue
        parts.append(
            pd.DataFrame(
                {
                    "programme": key[0],
                    "block": np.repeat([f"{key[1]}~{i + 1}" for i in range(n)], drawn.shape[1]),
                    "stripped": key[2],
                    "sign": signs[key],
                    "gene_id": gene_ids[drawn.ravel()],
                    "n_genes": drawn.shape[1],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
