"""Contrasts per cell type on sums per donor: which types are tested, and what the numbers are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from alsmuscle.bulk import deseq2, engines
from alsmuscle.bulk.tables import DE
from alsmuscle.cells import contrasts
from alsmuscle.cells.tables import COMPOSITION, TYPES
from alsmuscle.core import contracts
from alsmuscle.core.errors import InputError
from alsmuscle.genesets.tables import EFFECTS

CONTRAST = {
    **{
        "id": "a_vs_b",
        "variable": "condition",
        "target": "a",
        "reference": "b",
        "kind": "difference",
    },
    **{"adjust": [], "block": None, "within": {}, "defined_by": [], "across": None},
}
OPTIONS = {
    "inference": "batched",
    "distribution": "quasi",
    "alpha": 0.05,
    "min_replicates": 3,
    "shrink": False,
    "hidden_factor": True,
}


def sums(sizes: dict[str, tuple[int, int]], n_genes: int = 200, seed: int = 0) -> AnnData:
    """Counts per donor and type; in type ``x`` the first ten genes are four-fold in ``a``."""
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(4, 1, n_genes)
    rows, obs = [], []
    for cell_type, (n_a, n_b) in sizes.items():
        for side, n in (("a", n_a), ("b", n_b)):
            for donor in range(n):
                mu = mean * rng.lognormal(0, 0.1, n_genes)
                mu[:10] *= 4 if cell_type == "x" and side == "a" else 1
                rows.append(rng.poisson(mu))
                name = f"{side}{donor}"
                obs.append((name, name, side, cell_type, "nuclei"))
    columns = ["sample_id", "subject_id", "condition", "cell_type", "material"]
    table = pd.DataFrame(obs, columns=columns)
    table.index = table["sample_id"] + "|" + table["cell_type"]
    ids = [f"G{i:03d}" for i in range(n_genes)]
    var = pd.DataFrame({"symbol": ids, "source_id": ids}, index=pd.Index(ids, name="gene_id"))
    return AnnData(np.vstack(rows).astype(np.int64), obs=table, var=var)


def members() -> pd.DataFrame:
    rows = [("UP", "up", False, 1, f"G{i:03d}") for i in range(10)]
    rows += [("FLAT", "flat", False, 1, f"G{i:03d}") for i in range(50, 70)]
    rows += [("FLAT", "low", False, 1, f"G{i:03d}") for i in range(80, 95)]
    return pd.DataFrame(rows, columns=["programme", "block", "stripped", "sign", "gene_id"])


def run(counts: AnnData, **contrast: object) -> contrasts.TypeContrasts:
    return contrasts.contrasts_by_type(
        counts,
        {**CONTRAST, **contrast},
        members(),
        members(),
        dataset="s",
        counts={"min_total": 10},
        de_options=OPTIONS,
        programme_options={"n_matched": 0},
        seed=0,
    )


@pytest.fixture(scope="module")
def found() -> contrasts.TypeContrasts:
    return run(sums({"x": (4, 4), "y": (4, 4), "few": (2, 4), "one": (3, 0)}))


def test_the_planted_type_moves_and_no_other(found: contrasts.TypeContrasts) -> None:
    called = found.de[found.de["padj"] < 0.05].groupby("cell_type")["gene_id"].agg(set)
    assert called["x"] >= {f"G{i:03d}" for i in range(10)}
    assert len(called["x"]) <= 12
    assert len(called.get("y", ())) <= 1
    effects = found.effects.set_index(["cell_type", "programme", "block"])
    assert effects.loc[("x", "UP", "up"), "effect"] == pytest.approx(2, abs=0.3)
    assert abs(effects.loc[("y", "UP", "up"), "effect"]) < 0.3


def test_too_few_donors_give_effects_without_errors(found: contrasts.TypeContrasts) -> None:
    few = found.de[found.de["cell_type"] == "few"]
    assert few["log2fc"].notna().all()
    assert few[["lfc_se", "stat", "pvalue", "padj"]].isna().all(axis=None)
    blocks = found.effects[found.effects["cell_type"] == "few"]
    assert blocks["effect"].notna().all()
    assert blocks[["se", "ci_low", "pvalue"]].isna().all(axis=None)
    assert set(few["n_target"]) == {2}


def test_a_type_of_one_side_is_left_out_with_the_reason(found: contrasts.TypeContrasts) -> None:
    assert found.left_out == {"one": "3 v 0 samples with enough cells"}
    assert "one" not in set(found.de["cell_type"])


def test_tables_keep_their_contracts(found: contrasts.TypeContrasts) -> None:
    contracts.check_table(found.de, DE, "de")
    contracts.check_table(found.effects, EFFECTS, "effects")


def test_pseudobulk_goes_through_the_code_of_bulk(found: contrasts.TypeContrasts) -> None:
    """The same numbers as the bulk functions called by hand on one type's sums."""
    counts = sums({"x": (4, 4), "y": (4, 4), "few": (2, 4), "one": (3, 0)})
    own = counts[counts.obs["cell_type"] == "y"].copy()
    fitted = deseq2.fit(own, CONTRAST, min_total=10, inference="batched")
    options = {key: value for key, value in OPTIONS.items() if key != "hidden_factor"}
    table = deseq2.test(fitted, own.obs, CONTRAST, dataset="s", cell_type="y", **options)
    table = engines.with_hidden_factor(fitted, CONTRAST, table, alpha=OPTIONS["alpha"])
    mine = found.de[found.de["cell_type"] == "y"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, table)


def test_a_covariate_that_a_type_cannot_separate_leaves_it_out() -> None:
    counts = sums({"x": (4, 4), "y": (3, 3)})
    counts.obs["batch"] = ["1", "2"] * 4 + ["1"] * 3 + ["2"] * 3
    found = run(counts, adjust=["batch"])
    assert set(found.de["cell_type"]) == {"x"}
    assert "batch" in found.left_out["y"]


def test_one_section_a_side_gives_effects_only() -> None:
    found = run(sums({"all spots": (1, 1)}))
    assert found.de["log2fc"].notna().all()
    assert found.de["pvalue"].isna().all()
    up = found.effects.set_index("block")["effect"]
    assert np.isfinite(up).all()


def test_nothing_to_compare_is_said() -> None:
    with pytest.raises(InputError, match="no cell type has samples of both 'a' and 'b'"):
        run(sums({"x": (3, 0)}))


def test_types_are_counted_with_zeros_and_shares() -> None:
    obs = pd.DataFrame(
        {"sample_id": ["s1"] * 4 + ["s2"], "cell_type": ["x", "x", "x", "unassigned", "y"]}
    )
    samples = pd.DataFrame({"subject_id": ["d1", "d2"], "condition": ["a", "b"]}, ["s1", "s2"])
    table = contrasts.count_types(obs, samples, dataset="s", min_cells=2)
    rows = table.set_index(["sample_id", "cell_type"])
    assert rows.loc[("s1", "x"), "share"] == 0.75
    assert rows.loc[("s2", "x"), "n_cells"] == 0
    assert rows["used"].to_dict() == {key: key == ("s1", "x") for key in rows.index}
    assert set(rows.loc["s2", "subject_id"]) == {"d2"}
    contracts.check_table(table, TYPES, "types")


def test_composition_is_tested_over_samples_and_not_below_three() -> None:
    rng = np.random.default_rng(1)
    rows = []
    for i in range(10):
        side = "a" if i < 5 else "b"
        x = int(rng.integers(55, 65) if side == "a" else rng.integers(25, 35))
        rows += [(f"s{i}", "x", x), (f"s{i}", "y", 100 - x)]
    types = pd.DataFrame(rows, columns=["sample_id", "cell_type", "n_cells"])
    samples = pd.DataFrame(
        {"condition": ["a"] * 5 + ["b"] * 5, "subject_id": [f"d{i}" for i in range(10)]},
        index=[f"s{i}" for i in range(10)],
    )
    settings = {"dataset": "s", "min_donors": 3, "transform": "logit"}
    found = contrasts.compare_composition(types, samples, CONTRAST, **settings).set_index(
        "cell_type"
    )
    assert found.loc["x", "effect"] == pytest.approx(np.log(1.5) - np.log(3 / 7), abs=0.15)
    assert found.loc["x", "padj"] < 1e-4
    few = contrasts.compare_composition(types, samples.iloc[3:], CONTRAST, **settings)
    assert few["effect"].notna().all() and few["pvalue"].isna().all()
    contracts.check_table(few, COMPOSITION, "composition")
