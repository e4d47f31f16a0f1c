"""Samples of a small factorial design, and counts whose first 20 genes follow what is planted."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd

BASE = {"id": "c", "adjust": [], "block": None, "within": {}}
SIDES = {"variable": "genotype", "target": "sod1", "reference": "wildtype"}
AT60 = {**BASE, **SIDES, "kind": "difference", "across": "day", "at": "60"}
INTERACTION = {**BASE, **SIDES, "kind": "interaction", "across": "day", "at": "90", "against": "30"}
TREND = {**BASE, **SIDES, "kind": "trend", "across": "day", "unit": "day"}
CONTINUOUS = {**BASE, "kind": "continuous", "variable": "severity", "unit": "point"}
BY_AGE = {**BASE, **SIDES, "kind": "interaction", "across": "age", "unit": "year"}
FIT = {"min_total": 10, "inference": "batched"}
TEST = {
    "dataset": "x",
    "alpha": 0.05,
    "min_replicates": 3,
    "inference": "batched",
}
PLANTED = [f"G{i}" for i in range(20)]


def make_samples(n=4):
    rows = [(g, d) for g in ("wildtype", "sod1") for d in ("30", "60", "90") for _ in range(n)]
    frame = pd.DataFrame(rows, columns=["genotype", "day"])
    frame.index = [f"s{i}" for i in range(len(frame))]
    frame["subject_id"], frame["dataset"] = frame.index, "x"
    rng = np.random.default_rng(3)
    frame["severity"] = rng.uniform(0, 48, len(frame))
    # The same ages in every group: groups of unlike ages are warned of.
    frame["age"] = np.tile(np.linspace(40, 80, n), len(frame) // n)
    frame["sex"] = ["female", "male"] * (len(frame) // 2)
    return frame


def make_counts(samples, log2, n_genes=300, seed=1, size=30):
    """Counts whose first 20 genes follow ``log2``, per sample; the others nothing."""
    rng = np.random.default_rng(seed)
    mu = np.exp(rng.normal(6, 0.5, n_genes)) * np.ones((len(samples), 1))
    mu[:, :20] *= 2 ** np.asarray(log2, float)[:, None]
    X = rng.negative_binomial(size, size / (size + mu))
    names = [f"G{i}" for i in range(n_genes)]
    var = pd.DataFrame({"symbol": names, "source_id": names}, index=names)
    return anndata.AnnData(X=X, obs=samples, var=var)
