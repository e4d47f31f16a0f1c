"""Programme activity per cell and cell type, with the donor as the unit.

Scores of single cells are for drawing (UMAP) and for levels per cell type; effects of a condition
come from pseudobulk through the code of bulk studies, never from cells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.data.readers.sections import PLACES
from alsmuscle.stats import distributions

if TYPE_CHECKING:
    from anndata import AnnData


def signed_blocks(members: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return ``PROGRAMME/block`` -> gene id -> sign of the complete blocks, for
    :func:`score_cells`.

    ``members``: from ``programmes.blocks``; genes of blocks without a direction count as positive.
    """
    complete = members[~members["stripped"].astype(bool)]
    names = complete["programme"] + "/" + complete["block"]
    return {
        str(name): dict(zip(rows["gene_id"], rows["sign"].replace(0, 1).astype(float), strict=True))
        for name, rows in complete.groupby(names, sort=False)
    }


def split_block(levels: pd.DataFrame) -> pd.DataFrame:
    """Give ``PROGRAMME/block`` back its two columns,
    and leave out blocks that were not measured.
    """
    parts = levels["block"].str.split("/", n=1, expand=True).reindex(columns=[0, 1])
    out = levels.assign(programme=parts[0], block=parts[1])
    return out[out["mean"].notna()]


def cell_map(cells: AnnData, scores: pd.DataFrame) -> pd.DataFrame:
    """Return what drawings need of every cell: UMAP, labels and block scores, one row per cell.

    Spots have their places on the section too, where the files hold them (``sections.PLACES``).
    """
    labels = ["sample_id", "subject_id", "condition", "cell_type", "lineage", "cluster"]
    places = [key for key in PLACES if key in cells.obs]
    out = cells.obs[[*labels, *places]].copy()
    out["umap1"], out["umap2"] = cells.obsm["X_umap"][:, 0], cells.obsm["X_umap"][:, 1]
    out = out.join(scores.dropna(axis=1, how="all"))
    return out.rename_axis("cell").reset_index()


def score_cells(
    cells: AnnData, blocks: Mapping[str, Mapping[str, float]], *, chunk: int = 10_000
) -> pd.DataFrame:
    """Score blocks in every cell: mean over genes of sign x log-normalised expression.

    Parameters
    ----------
    cells
        ``X`` log-normalised CSR (cells x genes).
    blocks
        Block -> gene (``var`` index or ``symbol``) -> sign (+1 or -1).
    chunk
        Cells per step; the sparse product never holds more than a chunk's scores beside the result.

    Returns
    -------
    DataFrame
        Cells x blocks, float32; missing where none of a block's genes are in the study.

    Raises
    ------
    InputError
        When no block has a gene in the study.
    """
    from scipy import sparse

    places: defaultdict[str, list[int]] = defaultdict(list)
    for names in (cells.var_names, cells.var["symbol"].astype(str)):
        for position, name in enumerate(names):
            places[name].append(position)
    rows, columns, weights = [], [], []
    for column, genes in enumerate(blocks.values()):
        found = {
            position: float(sign)
            for gene, sign in genes.items()
            for position in places.get(gene, ())
        }
        rows += list(found)
        columns += [column] * len(found)
        weights += [sign / len(found) for sign in found.values()]
    if not rows:
        raise InputError(
            "no block has a gene in the study", expected="gene ids or symbols of the organism"
        )
    W = sparse.csr_matrix(
        (np.array(weights, np.float32), (rows, columns)), shape=(cells.n_vars, len(blocks))
    )
    scores = np.empty((cells.n_obs, len(blocks)), dtype=np.float32)
    for low in range(0, cells.n_obs, chunk):
        scores[low : low + chunk] = (cells.X[low : low + chunk] @ W).toarray()
    scores[:, np.setdiff1d(np.arange(len(blocks)), columns)] = np.nan
    return pd.DataFrame(scores, index=cells.obs_names, columns=list(blocks))


def activity_by_type(
    scores: pd.DataFrame,
    obs: pd.DataFrame,
    *,
    by: str = "cell_type",
    unit: str = "subject_id",
    condition: str = "condition",
    min_cells: int,
    level: float = 0.95,
) -> pd.DataFrame:
    """Summarise scores per cell type and condition over donors.

    Cells are averaged within donor and type (donors with fewer than ``min_cells`` cells of a type
    leave it out); mean and t interval are over donors. Returns ``cell_type, condition, block,
    n_donors, n_cells, mean, ci_low, ci_high``; the interval is missing below 3 donors.
    """
    keys = [obs[by].astype(str), obs[condition].astype(str), obs[unit].astype(str)]
    grouped = scores.groupby([k.rename(n) for k, n in zip(keys, ("t", "c", "u"), strict=True)])
    means, sizes = grouped.mean(), grouped.size()
    means = means[sizes >= min_cells]
    sizes = sizes[sizes >= min_cells]
    rows = []
    for (cell_type, group), values in means.groupby(level=["t", "c"]):
        n = len(values)
        n_cells = int(sizes.loc[values.index].sum())
        for block in scores.columns:
            x = values[block].to_numpy(dtype=np.float64)
            half = np.nan
            if n >= 3:
                half = float(distributions.half_width(x.std(ddof=1) / np.sqrt(n), n - 1, level))
            rows.append((cell_type, group, block, n, n_cells, x.mean(), x.mean() - half))
    columns = ["cell_type", condition, "block", "n_donors", "n_cells", "mean", "ci_low"]
    out = pd.DataFrame(rows, columns=columns)
    out["ci_high"] = 2 * out["mean"] - out["ci_low"]
    return out


def coexpression(
    cells: AnnData,
    *,
    defining: Mapping[str, Sequence[str]],
    targets: Sequence[str],
    min_counts: Mapping[str, int] | None = None,
    unit: str = "subject_id",
) -> pd.DataFrame:
    """Cross-tabulate who expresses a gene: for MYOD1 and MYOG in PAX7+ against TTN/NEB+ nuclei.

    A nucleus belongs to a group when the defining genes' counts reach ``min_counts[group]``
    (default 1); to ``several`` when it belongs to more than one, to ``none`` otherwise. Where
    ambient RNA holds a defining gene (TTN in muscle), ask for more counts.

    Returns ``subject_id, group, gene, n_nuclei, n_positive, share``. Raises InputError when a
    group's genes or all targets are absent from the study.
    """
    counts = cells.layers["counts"]
    symbols = pd.Index(cells.var["symbol"].astype(str))
    floor = dict.fromkeys(defining, 1) | dict(min_counts or {})
    member = {}
    for name, genes in defining.items():
        position = np.flatnonzero(symbols.isin(list(genes)))
        if len(position) == 0:
            raise InputError(f"none of {', '.join(genes)} is in the study", where=name)
        total = np.asarray(counts[:, position].sum(axis=1)).ravel()
        member[name] = total >= floor[name]
    belongs = pd.DataFrame(member, index=cells.obs_names)
    n_groups = belongs.sum(axis=1)
    group = belongs.idxmax(axis=1).where(n_groups == 1, "several").where(n_groups > 0, "none")
    present = [gene for gene in targets if gene in symbols]
    if not present:
        raise InputError(f"none of {', '.join(targets)} is in the study")
    tables = []
    for gene in present:
        total = np.asarray(counts[:, np.flatnonzero(symbols == gene)].sum(axis=1)).ravel()
        keys = [cells.obs[unit].astype(str).rename(unit), group.rename("group")]
        table = pd.Series(total > 0, index=cells.obs_names).groupby(keys).agg(["size", "sum"])
        table = table.set_axis(["n_nuclei", "n_positive"], axis=1).reset_index()
        tables.append(table.assign(gene=gene, share=table["n_positive"] / table["n_nuclei"]))
    columns = [unit, "group", "gene", "n_nuclei", "n_positive", "share"]
    return pd.concat(tables, ignore_index=True)[columns]


def select_genes(
    cells: AnnData, wanted: Collection[str], *, names: pd.Series | None = None
) -> AnnData:
    """Return the cells with the counts of some genes alone, named by human symbols.

    Parameters
    ----------
    cells
        ``layers["counts"]`` CSR, ``var["symbol"]``.
    wanted
        Human symbols; those that are not in the study are left out.
    names
        For another species: gene id -> symbol of the 1:1 human ortholog.
    """
    from alsmuscle.core.annotated import AnnData

    symbols = cells.var["symbol"].astype(str)
    if names is not None:
        symbols = pd.Series(cells.var_names.map(names), index=cells.var_names).fillna(symbols)
    chosen = symbols.isin(wanted).to_numpy()
    return AnnData(
        layers={"counts": cells.layers["counts"][:, chosen]},
        obs=cells.obs,
        var=symbols[chosen].to_frame("symbol"),
        obsm=dict(cells.obsm),
    )


def coexpression_by_donor(
    cells: AnnData,
    *,
    defining: Mapping[str, Sequence[str]],
    targets: Sequence[str],
    min_counts: Mapping[str, int],
) -> pd.DataFrame:
    """Run :func:`coexpression` per condition (contract ``coexpression``).

    ``cells``: with human symbols (:func:`select_genes`). The table is empty where a defining gene
    or all targets are not measured: there is nothing to tell apart.
    """
    columns = ["subject_id", "condition", "group", "gene", "n_nuclei", "n_positive", "share"]
    tables = []
    for condition in sorted(cells.obs["condition"].astype(str).unique()):
        part = cells[(cells.obs["condition"].astype(str) == condition).to_numpy()]
        try:
            found = coexpression(part, defining=defining, targets=targets, min_counts=min_counts)
        except InputError:
            continue
        tables.append(found.assign(condition=condition))
    return (
        pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
    )


class Passing:
    """Parts of a study on their way to the sums, with what is kept of each: scores and some genes.

    Parameters
    ----------
    parts
        Cells of one sample after the other (:func:`alsmuscle.cells.store.read_cells`).
    blocks
        Signed blocks, see :func:`signed_blocks`.
    genes
        Symbols of the genes to keep.
    names
        Gene id → human symbol, where the organism is another.
    """

    def __init__(
        self,
        parts: Iterable[AnnData],
        blocks: Mapping[str, Mapping[str, float]],
        genes: set[str],
        *,
        names: pd.Series[str] | None,
    ) -> None:
        """Read nothing yet."""
        self._parts, self._blocks, self._genes, self._names = parts, blocks, genes, names
        self._scores: list[pd.DataFrame] = []
        self._chosen: list[AnnData] = []

    def __iter__(self) -> Iterator[AnnData]:
        """Yield the parts, once."""
        for part in self._parts:
            self._scores.append(score_cells(part, self._blocks))
            self._chosen.append(select_genes(part, self._genes, names=self._names))
            yield part

    def kept(self) -> tuple[AnnData, pd.DataFrame]:
        """Return the kept genes of all cells, and their scores, after the parts have passed."""
        from alsmuscle.core.annotated import anndata

        return anndata.concat(self._chosen, merge="same"), pd.concat(self._scores)
