"""A made-up table of all genes, as limma's ``topTable`` writes it; every tenth gene moves.

python docs/examples/top_table.py paper.tsv
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

RESOURCES = Path(__file__).resolve().parents[2] / "workflow" / "resources"


def table(n_genes: int = 6000, seed: int = 2) -> pd.DataFrame:
    """Return columns ``gene, logFC, AveExpr, t, P.Value, adj.P.Val, B``."""
    rng = np.random.default_rng(seed)
    known = pd.read_csv(RESOURCES / "simulation_genes.tsv.gz", sep="\t", nrows=20000)
    genes = known["symbol"].drop_duplicates().head(n_genes)
    effect = rng.normal(0, 0.25, len(genes))
    effect[::10] += 1
    t = effect / 0.25
    p = 2 * stats.t.sf(abs(t), 14)
    return pd.DataFrame(
        {
            "gene": genes,
            "logFC": effect,
            "AveExpr": rng.normal(6, 2, len(genes)),
            "t": t,
            "P.Value": p,
            "adj.P.Val": stats.false_discovery_control(p),
            "B": 0.0,
        }
    )


if __name__ == "__main__":
    table().to_csv(Path(sys.argv[1]), sep="\t", index=False)
