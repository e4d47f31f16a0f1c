"""Groups in which nothing differs, real and simulated: what is called there is false."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from alsmuscle.simulate.bulk import study
from alsmuscle.simulate.calibrate.scenarios import (
    ALPHA,
    DISTRIBUTION,
    INFERENCE,
    MIN_TOTAL,
    SCENARIOS,
    as_counts,
)

if TYPE_CHECKING:
    from anndata import AnnData


def splits(n: int, count: int, seed: int) -> list[tuple[int, ...]]:
    """Return different halves of n samples (a half and its complement count once)."""
    halves = [half for half in itertools.combinations(range(n), n // 2) if n % 2 or 0 in half]
    order = np.random.default_rng(seed).permutation(len(halves))
    return [halves[i] for i in order[:count]]


def null_split(counts: AnnData, half: Sequence[int]) -> dict[str, float | int | str]:
    """Compare one half of a homogeneous group with the other: nothing should be found."""
    from alsmuscle.bulk import deseq2, engines

    part = counts.copy()
    chosen = np.isin(np.arange(part.n_obs), list(half))
    part.obs["condition"] = np.where(chosen, "one", "other")
    contrast: dict[str, Any] = {
        **{"id": "split", "variable": "condition", "target": "one", "reference": "other"},
        **{"adjust": [], "block": None, "within": {}},
    }
    fitted = deseq2.fit(part, contrast, min_total=MIN_TOTAL, inference=INFERENCE)
    table = deseq2.test(
        fitted,
        part.obs,
        contrast,
        dataset="real_null",
        distribution=DISTRIBUTION,
        alpha=ALPHA,
        min_replicates=3,
        shrink=False,
        inference=INFERENCE,
    )
    table = engines.with_hidden_factor(fitted, contrast, table, alpha=ALPHA)
    tested = table["pvalue"].dropna()
    return {
        "half": ",".join(part.obs_names[chosen]),
        "called": int((table["padj"] < ALPHA).sum()),
        "tested": len(tested),
        "p_below_05": float((tested < 0.05).mean()),
    }


def null_thirds(counts: AnnData, data: str, *, seed: int) -> dict[str, float | int | str]:
    """Divide one homogeneous group at random in three and test all three at once: nothing differs.

    Returns
    -------
    dict
        One row of ``omnibus.tsv``: what the omnibus test calls, and how it would with DESeq2's
        chi-squared.
    """
    from alsmuscle.bulk import deseq2

    part = counts.copy()
    thirds = np.resize(["one", "two", "three"], part.n_obs)
    part.obs["condition"] = np.random.default_rng(seed).permutation(thirds)
    contrast: dict[str, Any] = {
        **{"id": "thirds", "variable": "condition", "target": "two", "reference": "one"},
        **{"adjust": [], "block": None, "within": {}},
    }
    fitted = deseq2.fit(part, contrast, min_total=MIN_TOTAL, inference=INFERENCE)
    row: dict[str, float | int | str] = {"data": data, "seed": seed, "samples": part.n_obs}
    read: tuple[tuple[Literal["quasi", "normal"], str], ...] = (
        ("quasi", ""),
        ("normal", "_chi2"),
    )
    for distribution, suffix in read:
        table = deseq2.omnibus(
            fitted,
            part.obs,
            contrast,
            dataset=data,
            distribution=distribution,
            alpha=ALPHA,
            min_replicates=3,
            inference=INFERENCE,
        )
        tested = table["pvalue"].dropna()
        row[f"called{suffix}"] = int((table["padj"] < ALPHA).sum())
        row[f"p_below_05{suffix}"] = float((tested < 0.05).mean())
    return row


def _nothing(biology: pd.DataFrame, seed: int) -> AnnData:
    """Return the counts of a simulated study in which nothing differs."""
    scenario = SCENARIOS["nothing"]
    made = study(biology, scenario.plan, [scenario.contrast], dataset="nothing", seed=seed)
    return as_counts(made, "nothing")


def null_thirds_simulated(biology: pd.DataFrame, *, seed: int) -> dict[str, float | int | str]:
    """Apply :func:`null_thirds` to a simulated study in which nothing differs."""
    return null_thirds(_nothing(biology, seed), "simulated", seed=seed)


def healthy(mirror: Any) -> AnnData:
    """Read the ten healthy of GSE184951 from a data mirror, as its card says."""
    from alsmuscle.core.annotated import anndata
    from alsmuscle.data import cards, samples
    from alsmuscle.data import counts as raw
    from alsmuscle.data.readers import matrices, sample_sheets
    from alsmuscle.download import lock, policy

    card = cards.load_yaml("config/datasets/gse184951.yaml")
    index = lock.read_mirror(mirror)
    path = {
        name: mirror / index[policy.canonical(file["url"])]["path"]
        for name, file in card["files"].items()
    }
    spec = card["counts"]
    matrix = matrices.read_matrix(path["counts"], spec, card["files"]["counts"]["members"]).values
    kept, excluded = samples.harmonise(
        sample_sheets.read_sheet(path["sheet"], card["samples"]["sheet"]), card
    )
    columns, _ = samples.match_matrix(list(matrix.columns), kept, excluded, card)
    whole, _ = raw.as_counts(
        matrix[list(columns)].rename(columns=columns), spec["type"], "GSE184951"
    )
    healthy = kept[kept["condition"] == "healthy"].set_index("sample_id")
    own = whole[healthy.index]
    return anndata.AnnData(
        X=own.T.to_numpy(dtype=np.int64),
        obs=healthy[["dataset", "condition", "subject_id"]],
        var=pd.DataFrame({"symbol": "", "source_id": own.index}, index=own.index),
    )
