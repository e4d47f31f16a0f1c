"""Writes counts.tsv.gz and obs.tsv: simulated counts for the designs of script.R."""

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
rng = np.random.default_rng(20261125)
n_genes, days, n = 800, ("30", "60", "90"), 7
obs = pd.DataFrame(
    [
        (genotype, day, f"d{day}_{i}")
        for genotype in ("wildtype", "sod1")
        for day in days
        for i in range(n)
    ],
    columns=["genotype", "day", "donor"],
)
obs.index = [f"s{i:02d}" for i in range(len(obs))]
obs["sex"] = np.where(rng.permutation(len(obs)) % 2 == 0, "female", "male")
obs["batch"] = np.array(["a", "b", "c"])[rng.permutation(len(obs)) % 3]
obs["severity"] = np.round(rng.uniform(0, 48, len(obs)), 1)

mean = np.exp(rng.normal(4.5, 1.6, n_genes))
dispersion = 0.03 + 1.2 / mean + rng.gamma(2, 0.02, n_genes)
log2 = np.zeros((n_genes, len(obs)))
sod1 = (obs["genotype"] == "sod1").to_numpy()
late = obs["day"].astype(float).to_numpy() / 30 - 1
parts = np.array_split(rng.permutation(n_genes)[:480], 6)
log2[parts[0]] += rng.normal(0, 1, (80, 1)) * sod1
log2[parts[1]] += rng.normal(0, 0.8, (80, 1)) * sod1 * late
log2[parts[2]] += rng.normal(0, 0.04, (80, 1)) * (obs["severity"].to_numpy() - 24)
log2[parts[3]] += rng.normal(0, 1, (80, 1)) * sod1 * (obs["sex"] == "male").to_numpy()
log2[parts[4]] += rng.normal(0, 0.7, (80, 1)) * (obs["batch"] == "b").to_numpy()
donors = pd.factorize(obs["donor"])[0]
log2[parts[5]] += rng.normal(0, 0.8, (80, donors.max() + 1))[:, donors]
depth = rng.lognormal(0, 0.35, len(obs))
mu = mean[:, None] * 2**log2 * depth
counts = rng.poisson(mu * rng.gamma(1 / dispersion, dispersion, (len(obs), n_genes)).T)
# Outliers that Cook's distance should find, and genes without a read.
for gene, sample in zip(range(0, 60, 2), rng.integers(0, len(obs), 30), strict=True):
    counts[gene, sample] = int(counts[gene].mean() * 60 + 500)
counts[[101, 202]] = 0
frame = pd.DataFrame(counts, index=[f"g{i:03d}" for i in range(n_genes)], columns=obs.index)
frame.to_csv(HERE / "counts.tsv.gz", sep="\t", compression={"method": "gzip", "mtime": 0})
obs.to_csv(HERE / "obs.tsv", sep="\t")
