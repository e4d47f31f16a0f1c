"""Writes arrays.tsv.gz: simulated log2 intensities whose variance depends on their level."""

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
rng = np.random.default_rng(781)
n_genes, n = 600, 14
level = rng.uniform(3, 13, n_genes)
variance = (0.05 + 0.6 * np.exp(-(level - 3) / 2)) / rng.chisquare(6, n_genes) * 6
values = level[:, None] + rng.normal(0, 1, (n_genes, n)) * np.sqrt(variance)[:, None]
values[:60, n // 2 :] += rng.normal(0, 1, (60, 1))
columns = [f"a{i:02d}" for i in range(n)]
frame = pd.DataFrame(values.round(5), index=[f"g{i:03d}" for i in range(n_genes)], columns=columns)
frame.to_csv(HERE / "arrays.tsv.gz", sep="\t", compression={"method": "gzip", "mtime": 0})
