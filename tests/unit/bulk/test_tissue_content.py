"""Content as a covariate: it removes what composition alone explains
and leaves what it does not.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from alsmuscle.bulk import block_effects, engines, tissue_content
from alsmuscle.core import files as io
from support import ROOT

CONTRAST = {
    **{"id": "a_vs_b", "variable": "condition", "target": "a", "reference": "b"},
    **{"kind": "difference", "adjust": [], "block": None, "within": {}, "across": None},
}


def members() -> pd.DataFrame:
    """Block ``up`` shares three genes with the markers of fibres; ``flat`` and ``low`` none."""
    rows = [("UP", "up", False, 1, f"G{i:03d}") for i in range(10)]
    rows += [("FLAT", "flat", False, 1, f"G{i:03d}") for i in range(50, 70)]
    rows += [("FLAT", "low", False, 1, f"G{i:03d}") for i in range(80, 95)]
    return pd.DataFrame(rows, columns=["programme", "block", "stripped", "sign", "gene_id"])


def mixed(n: int, true: float, seed: int = 5) -> AnnData:
    """Counts of ``n`` a side: ``a`` lacks a tenth to a half of its fibres, ten genes change by
    ``true``.
    """
    rng = np.random.default_rng(seed)
    group = np.repeat(["a", "b"], n)
    fibre = np.where(group == "a", rng.uniform(0.5, 0.9, 2 * n), rng.uniform(0.9, 1.0, 2 * n))
    stroma = (1 - fibre) / 0.3 + 0.1
    kind = np.arange(300) < 120  # genes of the fibre; 120 to 150 of the stroma; the others of both
    share = np.where(kind[:, None], fibre, 1.0)
    share[120:150] = stroma
    mean = rng.lognormal(5, 0.5, 300)[:, None] * share
    mean[:10] *= 2 ** (true * (group == "a"))
    counts = rng.negative_binomial(25, 25 / (25 + mean))
    names = [f"s{i}" for i in range(2 * n)]
    obs = pd.DataFrame({"sample_id": names, "subject_id": names, "condition": group}, index=names)
    obs["material"] = "biopsy"
    ids = [f"G{i:03d}" for i in range(300)]
    var = pd.DataFrame({"symbol": ids, "source_id": ids}, index=pd.Index(ids, name="gene_id"))
    adata = AnnData(counts.T.astype(np.int64), obs=obs, var=var)
    return adata


MARKERS = pd.DataFrame(
    {
        "component": ["myofibre"] * 8 + ["fibro-adipogenic"] * 8,
        "gene_id": [f"G{i:03d}" for i in [*range(8, 11), *range(100, 105), *range(130, 138)]],
    }
)


def table(adata: AnnData, *, tested: bool = True) -> pd.DataFrame:
    options = {"min_total": 10, "inference": "batched"}
    fitted = engines.fit(adata, CONTRAST, **options)
    return block_effects.raw_and_adjusted(
        fitted,
        CONTRAST,
        members(),
        expression=engines.expression(adata, **options).to_df().T,
        markers=MARKERS,
        trend=True,
        tested=tested,
    ).set_index("block")


def test_missing_fibres_are_adjusted_for_and_a_true_effect_stays() -> None:
    found = table(mixed(12, -1.0))
    flat, up = found.loc["flat"], found.loc["up"]
    assert flat["ci_high"] < 0
    assert flat["ci_low_adjusted"] < 0 < flat["ci_high_adjusted"]
    assert up["effect"] < -1.2
    assert up["ci_low_adjusted"] < -1.0 < up["ci_high_adjusted"]
    assert up["ci_high_adjusted"] < 0
    assert found["df_adjusted"].notna().all()


def test_too_few_samples_are_shown_unadjusted_and_untested_ones_without_error() -> None:
    two = table(mixed(2, 0.0))
    assert two["se"].notna().all()
    assert two["se_adjusted"].isna().all()
    untested = table(mixed(2, 0.0), tested=False)
    assert untested["effect"].notna().all()
    assert untested[["se", "effect_adjusted"]].isna().all(axis=None)


def test_marker_scores_leave_out_the_tested_genes() -> None:
    expression = pd.DataFrame(
        [[1.0, 2.0, 3.0], [5.0, 1.0, 0.0]], index=["a", "b"], columns=["s1", "s2", "s3"]
    )
    markers = pd.DataFrame({"component": ["myofibre"] * 2, "gene_id": ["a", "b"]})
    left = tissue_content.marker_scores(expression, markers, frozenset({"b"}))["myofibre"]
    assert left.tolist() == pytest.approx([-np.sqrt(1.5), 0.0, np.sqrt(1.5)])
    assert tissue_content.marker_scores(expression, markers, frozenset({"a", "b"})).empty


def test_every_marker_is_a_gene_of_both_species() -> None:
    panels = io.read_plain(ROOT / "config" / "content.tsv")
    for organism in ("human", "mouse"):
        found = tissue_content.markers(panels, organism, io.read_gene_table(organism))
        assert found.groupby("component").size().min() >= 5
        assert len(found) >= len(panels)
