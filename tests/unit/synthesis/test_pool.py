"""Genes and blocks pooled per role: columns, species, stages, and how many genes are called."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.synthesis import pool
from alsmuscle.synthesis.pooled import Pooling

SETTINGS = Pooling(0.05, 0.8, 0.35, 0.2, 0.5)


def contrasts(*names: str, role: str = "als_patient", species: str = "human") -> pd.DataFrame:
    table = pd.DataFrame({"dataset": list(names)})
    return table.assign(
        contrast="c", role=role, species=species, stage="", tag="", eligible=True,
        cluster=table["dataset"],
    )  # fmt: skip


def genes(*names: str, n: int = 3000, changed: int = 300, seed: int = 0) -> pd.DataFrame:
    """de rows: the first genes change by 1.2 log2 units in every study, more or less."""
    rng = np.random.default_rng(seed)
    truth = np.where(np.arange(n) < changed, 1.2, 0.0)
    parts = []
    for name in names:
        se = rng.uniform(0.15, 0.4, n)
        effect = truth + rng.normal(0, 0.15, n) + se * rng.normal(size=n)
        parts.append(
            pd.DataFrame(
                {
                    "dataset": name,
                    "contrast": "c",
                    "cell_type": "muscle",
                    "gene_id": [f"E{i}" for i in range(n)],
                    "symbol": [f"S{i}" for i in range(n)],
                    "log2fc": effect,
                    "lfc_se": se,
                    "df": 12.0,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_three_studies_call_genes_and_few_of_them_are_wrong() -> None:
    out = pool.pool_genes(
        genes("a", "b", "d"), contrasts("a", "b", "d"), {}, SETTINGS, min_studies=3
    )
    called = out["padj"] < 0.05
    wrong = called & (out["key"].str[1:].astype(int) >= 300)
    assert called.sum() > 100 and wrong.sum() <= 0.08 * called.sum()
    inside = (out["ci_low"] <= 1.2) & (out["ci_high"] >= 1.2)
    assert 0.9 <= inside[out["key"].str[1:].astype(int) < 300].mean() <= 0.985
    assert list(out.columns[:6]) == [*pool.KEYS, "symbol"]
    assert set(out["status"]) == {"pooled"} and (out["symbol"] != "").all()
    assert (out["reml_se"] > 0).all() and out["prob_beyond"].between(0, 1).all()


def test_one_study_has_its_own_t_and_no_adjusted_p() -> None:
    out = pool.pool_genes(genes("a"), contrasts("a"), {}, SETTINGS, min_studies=3)
    assert out["padj"].isna().all() and set(out["status"]) == {"one study"}
    assert (out["df"] == 12).all() and out["reml_effect"].isna().all()


def test_species_are_kept_apart_and_pooled_through_orthologs() -> None:
    both = pd.concat([contrasts("a", "b"), contrasts("m", species="mouse")], ignore_index=True)
    to_human = {"mouse": {f"E{i}": f"E{i}" for i in range(100)}}
    out = pool.pool_genes(
        genes("a", "b", "m", n=200, changed=0), both, to_human, SETTINGS, min_studies=3
    )
    counts = out.groupby("species")["k"].max().to_dict()
    assert counts == {"all": 3, "human": 2, "mouse": 1}
    assert (out["species"] == "all").sum() == 200


def test_blocks_stages_and_what_is_left_out() -> None:
    rng = np.random.default_rng(1)
    names = ["a", "b", "d"]
    rows = [
        {
            "dataset": name, "contrast": "c", "cell_type": "muscle", "programme": f"P{i}",
            "block": "b", "stripped": stripped, "effect": rng.normal(), "se": 0.2, "df": 9.0,
            "usable": not (i == 0 and name == "a"),
        }
        for name in names for i in range(15) for stripped in (False, True)
    ]  # fmt: skip
    table = contrasts(*names, role="als_model", species="mouse").assign(stage=["end", "end", ""])
    out = pool.pool_programmes(pd.DataFrame(rows), table, SETTINGS, min_studies=3)
    whole = out[(out["stage"] == "") & ~out["stripped"]].set_index("key")
    assert (whole.loc["P0/b", "k"], whole.loc["P1/b", "k"]) == (2, 3)
    assert set(out["stage"]) == {"", "end"} and set(out["stripped"]) == {False, True}
    wide = pool.specificity(out)
    assert wide.columns.tolist() == ["programme", "block", "als_model (mouse)"] and len(wide) == 15
    nothing = pool.pool_programmes(
        pd.DataFrame(rows), table.assign(eligible=False), SETTINGS, min_studies=3
    )
    assert nothing.empty and {"key", "stripped", "padj"} <= set(nothing.columns)


def test_errors_speak() -> None:
    data = genes("a", n=20)
    with pytest.raises(InputError, match="listed twice"):
        pool.pool_genes(pd.concat([data, data]), contrasts("a"), {}, SETTINGS, min_studies=3)
    with pytest.raises(InputError, match="lack the column 'se'"):
        pool.pool_by_role(
            data.rename(columns={"gene_id": "key", "log2fc": "effect"}),
            contrasts("a"),
            SETTINGS,
            min_studies=3,
        )
