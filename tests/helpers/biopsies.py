"""Real muscle to mix: biopsies of GSE140261, and the block effects of what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from alsmuscle.bulk import block_effects, engines, tissue_content
from alsmuscle.core import files
from alsmuscle.genesets import programmes
from support import ROOT, mirror

CONTRAST: dict[str, Any] = {
    **{"id": "b_vs_a", "kind": "difference", "variable": "condition", "target": "b"},
    **{"reference": "a", "adjust": [], "block": "", "within": {}},
}
COUNTS = {"min_total": 10, "inference": "batched", "threads": 1}
OXPHOS = ("MITO_OXPHOS", "oxphos")


def complete_blocks() -> pd.DataFrame:
    """Genes of the curated blocks, those without denervation genes left out."""
    listed = files.read_plain(ROOT / "config" / "programmes.tsv")
    found = programmes.blocks(listed, "human", files.read_gene_table("human"))
    return found[~found["stripped"]]


def biopsies() -> tuple[pd.DataFrame, list[str], list[str]]:
    """GSE140261, genes x samples; all samples by their fibres; those that hold muscle."""
    path = mirror() / "files" / "GSE140261" / "GSE140261_year2_genecounts.csv"
    table = pd.read_csv(path, index_col=0).select_dtypes("number")
    table.index = table.index.astype(str).str.replace(r"\..*", "", regex=True)
    table = table.groupby(level=0).sum().round().astype(int)
    known = files.read_gene_table("human").set_index("symbol")["gene_id"]
    fibre = np.log2(table / table.sum() * 1e6 + 1).loc[known[["ACTA1", "TTN", "NEB"]]].mean()
    order = list(fibre.sort_values().index)
    return table, order, [name for name in table if fibre[name] > fibre.median() - 1.2]


def fitted_effects(
    counts: np.ndarray, genes: pd.Index, target: np.ndarray, members: pd.DataFrame
) -> tuple[AnnData, pd.DataFrame]:
    """Samples x genes to a fit and its block effects, raw and adjusted, as a run does."""
    names = [f"s{i}" for i in range(len(counts))]
    var = pd.DataFrame({"symbol": genes, "source_id": genes}, index=genes)
    obs = pd.DataFrame({"condition": np.where(target, "b", "a")}, index=names)
    study = AnnData(X=counts, obs=obs, var=var)
    fitted = engines.fit(study, CONTRAST, **COUNTS)
    panel = files.read_plain(ROOT / "config" / "content.tsv")
    return fitted, block_effects.raw_and_adjusted(
        fitted,
        CONTRAST,
        members,
        expression=engines.expression(study, **COUNTS).to_df().T,
        markers=tissue_content.markers(panel, "human", files.read_gene_table("human")),
        trend=True,
        tested=True,
    )
