"""Pooling again in the page starts from what the package pooled, and from what it learned."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import by_config
from alsmuscle.report import model as m
from alsmuscle.report.pages.selection import Selection
from alsmuscle.stats import moderated_pooling
from alsmuscle.synthesis.pool import pool_programmes
from alsmuscle.synthesis.pooled import Pooling

combine_clusters = by_config.meta_analysis.combine_clusters

RULES = {"alpha": 0.05, "rho": 0.8}
STUDIES = {"a/one": "a", "a/two": "a", "b/x": "b", "c/x": "c", "d/x": "d"}


def tables(n_blocks: int, seed: int = 11) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Blocks of five comparisons in four clusters, one of them measured in the last block only
    once.
    """
    rng = np.random.default_rng(seed)
    rows = [
        {
            "dataset": label.split("/")[0], "contrast": label.split("/")[1], "cell_type": "muscle",
            "programme": "P", "block": f"b{i}", "stripped": False, "effect": rng.normal(0.3, 0.4),
            "se": rng.uniform(0.05, 0.5), "df": rng.integers(4, 40), "usable": True,
        }
        for i in range(n_blocks)
        for label in STUDIES
    ]  # fmt: skip
    contrasts = pd.DataFrame(
        {
            "dataset": [label.split("/")[0] for label in STUDIES],
            "contrast": [label.split("/")[1] for label in STUDIES],
            "role": "als_patient", "species": "human", "stage": "", "tag": "",
            "cluster": list(STUDIES.values()), "eligible": True,
        }
    )  # fmt: skip
    return pd.DataFrame(rows), contrasts


def selection(blocks: pd.DataFrame, contrasts: pd.DataFrame) -> Selection:
    empty = pd.DataFrame()
    said = m.Synthesis(
        document={}, contrasts=contrasts, claims=empty, studies=empty, programmes=empty,
        axis=empty, changes=empty, overall=empty, blocks=blocks,
    )  # fmt: skip
    return Selection(
        m.ReportData(studies=[], synthesis=said, parameters={"synthesis": {"rules": RULES}})
    )


@pytest.mark.parametrize("n_blocks", [4, 30])
def test_with_all_studies_on_it_is_the_estimate_of_the_table(n_blocks):
    blocks, contrasts = tables(n_blocks)
    settings = Pooling(tau_scale=0.3, block_margin=0.2, gene_margin=0.5, **RULES)
    known = pool_programmes(blocks, contrasts, settings, min_studies=3).set_index("key")
    made = selection(blocks, contrasts)
    for block in blocks["block"].unique():
        (group,) = made.groups("P", block)
        assert (group["prior"] is None) == (n_blocks < moderated_pooling.MIN_KEYS)
        if group["prior"] is None:  # each block for itself: the browser test holds those formulas
            continue
        prior = moderated_pooling.Prior(
            *(math.inf if group["prior"][key] is None else group["prior"][key]
              for key in moderated_pooling.Prior._fields)
        )  # fmt: skip
        rows = pd.DataFrame(group["rows"])
        names = [str(i) for i in rows.index]
        y, s = (
            pd.DataFrame([rows[column].to_numpy()], columns=names) for column in ("effect", "se")
        )
        combined = combine_clusters(
            y, s, dict(zip(names, rows["cluster"], strict=True)), rho=RULES["rho"]
        )
        found = moderated_pooling.pool(*combined, prior=prior).iloc[0]
        columns = ["effect", "se", "ci_low", "ci_high", "pvalue"]
        np.testing.assert_allclose(
            found[columns].astype(float), known.loc[f"P/{block}", columns].astype(float), rtol=1e-12
        )


def test_what_may_not_be_pooled_is_no_choice():
    blocks, contrasts = tables(12)
    contrasts.loc[contrasts["dataset"] == "a", "eligible"] = False
    blocks.loc[blocks["dataset"] == "b", "usable"] = False
    (group,) = selection(blocks, contrasts).groups("P", "b0")
    assert [row["cluster"] for row in group["rows"]] == ["c", "d"]
    contrasts.loc[contrasts["dataset"] == "c", "eligible"] = False
    assert selection(blocks, contrasts).of("P", "b0", "x") is None
