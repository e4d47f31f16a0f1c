"""Block effects on counts whose truth is known: unbiased at low counts, intervals that cover."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.bulk import block_effects, tissue_content

SIZE, BLOCKS = 20, 60


def _study(rng: np.random.Generator) -> tuple[block_effects.GeneFit, np.ndarray]:
    """Five against five, 10 to 60 reads a gene, genes of a block correlated by 0, 0.1 or 0.5."""
    design = np.column_stack([np.ones(10), np.repeat([0.0, 1.0], 5)])
    block, n = np.repeat(np.arange(BLOCKS), SIZE), BLOCKS * SIZE
    shift = rng.choice([0.0, 0.6, -0.6], BLOCKS)
    rho = rng.choice([0.0, 0.1, 0.5], BLOCKS)[block][:, None]
    shared, own = rng.normal(size=(BLOCKS, 10))[block], rng.normal(size=(n, 10))
    noise = np.sqrt(0.14) * (np.sqrt(rho) * shared + np.sqrt(1 - rho) * own) - 0.07
    mean = np.exp(rng.uniform(np.log(10), np.log(60), n))[:, None]
    counts = rng.poisson(mean * np.exp(noise + np.log(2) * shift[block][:, None] * design[:, 1]))
    fit = tissue_content.fit_log_linear(counts, np.ones(10), design, np.full(n, 0.15))
    effect, se, errors = tissue_content.log_linear_errors(fit, counts, np.array([0.0, 1.0]))
    ids = pd.Index([f"g{i}" for i in range(n)])
    return block_effects.GeneFit(ids, effect, se, np.full(n, 20.0), errors, 8), shift


def _members() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "programme": "P",
            "block": np.repeat([f"b{i}" for i in range(BLOCKS)], SIZE),
            "stripped": False,
            "sign": -1,
            "gene_id": [f"g{i}" for i in range(BLOCKS * SIZE)],
        }
    )


def test_effects_are_unbiased_and_covered_whatever_the_correlation() -> None:
    rng = np.random.default_rng(3)
    covered, ratio = [], []
    for _ in range(40):
        fit, truth = _study(rng)
        table = block_effects.block_effects(fit, _members(), confidence=0.95, tested=True)
        covered.append((table["ci_low"] <= truth) & (truth <= table["ci_high"]))
        ratio.append(np.mean(table["effect"][truth != 0] / truth[truth != 0]))
    assert 0.92 < np.mean(covered) < 0.97
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.03)


def test_the_sign_of_a_block_turns_nothing_and_single_genes_keep_their_error() -> None:
    fit, _ = _study(np.random.default_rng(1))
    one = _members().iloc[:1].assign(block="one")
    table = block_effects.block_effects(
        fit, pd.concat([_members(), one]), confidence=0.95, tested=True
    ).set_index("block")
    assert table.loc["b0", "effect"] == pytest.approx(fit.effect[:SIZE].mean())
    assert table.loc["one", ["effect", "se", "df"]].tolist() == pytest.approx(
        [fit.effect[0], fit.se[0], 20.0]
    )


def test_ratios_know_that_two_genes_move_together_and_want_both() -> None:
    fit, _ = _study(np.random.default_rng(2))
    pair = pd.DataFrame(
        {
            "programme": "RATIO",
            "block": ["g0:g1", "g0:g1", "g0:none", "g0:none"],
            "stripped": False,
            "sign": 0,
            "gene_id": ["g0", "g1", "g0", "none"],
            "weight": [1.0, -1.0, 1.0, -1.0],
        }
    )
    members = pd.concat([_members(), pair])
    table = block_effects.block_effects(fit, members, confidence=0.95, tested=True).set_index(
        "block"
    )
    assert table.loc["g0:g1", "effect"] == pytest.approx(fit.effect[0] - fit.effect[1])
    assert np.isnan(table.loc["g0:none", "effect"])


def test_without_replicates_no_error_is_claimed() -> None:
    fit, _ = _study(np.random.default_rng(1))
    table = block_effects.block_effects(fit, _members(), confidence=0.95, tested=False)
    assert table["effect"].notna().all()
    assert table[["se", "df", "ci_low", "ci_high", "pvalue"]].isna().all(axis=None)


def test_genes_without_a_read_in_one_group_have_finite_effects() -> None:
    design = np.column_stack([np.ones(6), np.repeat([0.0, 1.0], 3)])
    fit = tissue_content.fit_log_linear(
        np.array([[0, 0, 0, 8, 12, 10]]), np.ones(6), design, np.array([1e-8])
    )
    # Firth's estimate for counts is that of half a read more per group.
    assert fit.beta[0, 1] == pytest.approx(np.log(30.5 / 0.5), rel=1e-5)


def test_programmes_get_the_scale_and_the_direction_of_their_genes() -> None:
    """A block whose genes fall by 1.5 reads -1.5, whatever its programme expects of them."""
    keys = {"dataset": "d", "contrast": "c", "cell_type": "muscle", "programme": "P"}
    effects = pd.DataFrame(
        {
            **keys, "block": ["on", "off", "off"], "stripped": [False, False, True],
            "sign": [1.0, -1.0, -1.0], "effect": 0.9, "se": 9.0, "ci_low": 9.0, "ci_high": 9.0,
            "df": 9.0, "pvalue": 0.9, "padj": 0.9, "pvalue_competitive": [0.1, 0.2, 0.3],
            "hedges_g": [1.0, 2.0, 2.0], "n_genes": 5, "background": "9.0", "background_sd": 4.5,
        }
    )  # fmt: skip
    blocks = effects[[*keys, "block", "stripped"]].assign(
        effect=[0.5, -1.5, -1.2], se=0.1, df=8.0, ci_low=-2.0, ci_high=2.0, pvalue=[0.04, 0.01, 0.5]
    )
    for name in block_effects.NUMBERS:
        blocks[f"{name}_adjusted"] = blocks[name] / 2
    single = blocks.iloc[:1].assign(programme="GENE", block="MYOG")
    out = block_effects.in_gene_units(effects, pd.concat([blocks, single], ignore_index=True))
    assert out["effect"].tolist() == [0.5, -1.5, -1.2]
    assert out["effect_adjusted"].tolist() == [0.25, -0.75, -0.6]
    assert out["padj"].tolist() == pytest.approx([0.04, 0.02, 0.5])  # stripped ones apart
    assert out["hedges_g"].tolist() == [1.0, -2.0, -2.0]
    assert out["pvalue_competitive"].tolist() == [0.1, 0.2, 0.3]
    # scores have errors of 9, the genes of 0.1
    assert out["background"].tolist() == pytest.approx([0.1, -0.1, -0.1])
    assert out["background_sd"].tolist() == pytest.approx([0.05] * 3)
