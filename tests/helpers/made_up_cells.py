"""Small samples of cells of a few distinct types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

import by_config
from alsmuscle.cells.prepare import PreparedSample


def counts_of(n: int, n_genes: int = 300, seed: int = 0, n_types: int = 3) -> sparse.csr_matrix:
    """Poisson counts of a few distinct types; the type of barcode i is i % n_types."""
    rng = np.random.default_rng(seed)
    mean = np.random.default_rng(99).lognormal(0, 1, (n_types, n_genes))
    for k in range(n_types):
        mean[k, k * 30 : k * 30 + 30] *= 6
    mean *= 600 / mean.sum(axis=1, keepdims=True)
    return sparse.csr_matrix(rng.poisson(mean[np.arange(n) % n_types]).astype(np.int32))


def sample_of(X: sparse.csr_matrix, symbols: list[str] | None = None, tag: str = "") -> AnnData:
    """Return a sample of these counts, barcodes × genes; ``tag`` begins its barcodes."""
    ids = [f"G{i:04d}" for i in range(X.shape[1])]
    names = ids if symbols is None else symbols + ids[len(symbols) :]
    var = pd.DataFrame({"symbol": names, "source_id": ids}, index=ids)
    obs = pd.DataFrame(index=[f"{tag}B{i}" for i in range(X.shape[0])])
    return AnnData(X.copy(), obs=obs, var=var)


def prepared(
    n: int = 120, sample_id: str = "s1", material: str = "spots", **kwargs: Any
) -> PreparedSample:
    """Prepare one sample; spots pass without doublet scoring, which takes seconds to load."""
    sample = sample_of(counts_of(n, seed=len(sample_id)))
    arguments = {"min_genes": 20, "n_top_genes": 100} | kwargs
    return by_config.prepare.prepare_sample(
        sample, sample_id=sample_id, material=material, **arguments
    )
