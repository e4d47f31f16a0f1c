"""Several denervation references as one: by hand, and lambda where references differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.synthesis.references import (
    Reference,
    Tables,
    best_of_each_study,
    combine,
    with_combined,
)

GENES = [f"g{i}" for i in range(400)]


def reference(
    rng: np.random.Generator, truth: np.ndarray, own: float, se: float = 0.15, n: int = 200
) -> Reference:
    """A reference whose effects are the truth, changes of its own, and noise."""
    effect = truth + rng.normal(0, own, truth.size) + rng.normal(0, se, truth.size)
    replicates = pd.DataFrame(effect + rng.normal(0, se, (n, truth.size)), columns=GENES)
    table = pd.DataFrame({"effect": effect, "se": se}, index=GENES)
    return Reference(table, replicates, 6.0)


def slope(als: np.ndarray, effects: pd.DataFrame) -> float:
    b, s2 = effects["effect"].to_numpy(), effects["se"].to_numpy() ** 2
    return float((b * als).sum() / (b**2 - s2).sum())


def test_one_reference_is_itself_and_none_is_refused() -> None:
    rng = np.random.default_rng(0)
    one = reference(rng, rng.normal(0, 1, 400), 0.0)
    assert combine({"a": one}, seed=1) is one
    with pytest.raises(InputError, match="no denervation reference"):
        combine({}, seed=1)


def test_the_error_holds_donors_and_differences_between_references() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 1, 400)
    same = combine({n: reference(rng, truth, 0.0) for n in "ab"}, seed=1)
    apart = combine({n: reference(rng, truth, 0.5) for n in "ab"}, seed=1)
    assert same.effects["se"].median() == pytest.approx(0.15 / np.sqrt(2), rel=0.15)
    expected = np.sqrt((0.15**2 + 0.5**2) / 2)
    assert apart.effects["se"].median() == pytest.approx(expected, rel=0.2)
    assert apart.replicates is not None
    spread = np.sqrt(apart.replicates.var(axis=0).mean())
    assert spread == pytest.approx(expected, rel=0.25)
    assert apart.df == 7


def test_lambda_from_several_references_is_nearer_than_from_one() -> None:
    rng = np.random.default_rng(2)
    errors: dict[int, list[float]] = {1: [], 4: []}
    for _ in range(60):
        truth = np.where(rng.random(400) < 0.3, rng.normal(0, 1, 400), 0.0)
        als = 0.4 * truth + rng.normal(0, 0.2, 400)
        found = [reference(rng, truth, 0.4) for _ in range(4)]
        for m, found_errors in errors.items():
            effects = combine(dict(zip("abcd", found[:m], strict=False)), seed=1).effects
            found_errors.append(slope(als, effects) - 0.4)
    assert np.sqrt(np.mean(np.square(errors[4]))) < 0.6 * np.sqrt(np.mean(np.square(errors[1])))
    assert abs(np.mean(errors[4])) < 0.03  # differences between references attenuate one of them
    assert np.mean(errors[1]) < -0.05


def test_without_samples_there_are_no_replicates_and_lacking_genes_stay_out() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 1, 400)
    a, b = reference(rng, truth, 0.1), reference(rng, truth, 0.1)._replace(replicates=None)
    fewer = b._replace(effects=b.effects.iloc[:300])
    out = combine({"a": a, "b": fewer}, seed=1)
    assert out.replicates is None and len(out.effects) == 300
    with pytest.raises(InputError, match="share 5 genes"):
        combine({"a": a, "b": b._replace(effects=b.effects.iloc[:5])}, seed=1)


def test_of_a_series_the_best_matching_time_is_kept() -> None:
    axis = pd.DataFrame(
        {
            "dataset": "als", "contrast": "c", "cell_type": "muscle",
            "reference": ["s/d1", "s/d3", "s/d90", "t/d3", "u/d3"],
            "lambda": [0.1, 0.4, 0.3, 0.5, np.nan],
            "correlation": [0.2, 0.6, 0.6, 0.3, 0.9],
        }
    )  # fmt: skip
    clusters = {name: name.split("/")[0] for name in axis["reference"]}
    kept = best_of_each_study(axis.sample(frac=1, random_state=1), clusters)
    assert kept["reference"].tolist() == ["s/d3", "t/d3"]


def test_contrasts_get_the_references_of_all_studies_under_one_name() -> None:
    rng = np.random.default_rng(4)
    truth = rng.normal(0, 1, 400)
    names = [("als", "c"), ("als2", "c"), ("s", "d3"), ("t", "d3")]
    genes, blocks, replicates = [], [], {}
    for name in names:
        own = reference(rng, truth, 0.2)
        labels = {"dataset": name[0], "contrast": name[1], "cell_type": "muscle"}
        genes.append(own.effects.rename_axis("gene_id").reset_index().assign(**labels))
        table = pd.DataFrame({"effect": rng.normal(0, 0.5, 20), "se": 0.1})
        table = table.assign(programme=[f"P{i}" for i in range(20)], block="b", stripped=False)
        blocks.append(table.assign(**labels))
        replicates[(*name, "muscle")] = own.replicates
    contrasts = pd.DataFrame(names, columns=["dataset", "contrast"]).assign(
        n_target=4, n_reference=4, cluster=[name[0] for name in names], species="mouse"
    )
    kept = pd.DataFrame(
        [("als", "c", "muscle", "s/d3"), ("als", "c", "muscle", "t/d3"), ("als2", "c", "muscle", "s/d3")],
        columns=["dataset", "contrast", "cell_type", "reference"],
    )  # fmt: skip
    before = Tables(pd.DataFrame(), contrasts, pd.concat(genes), pd.concat(blocks), replicates)
    out = with_combined(kept, before, seed=1)
    full = out.pairs["reference_dataset"] + "/" + out.pairs["reference_contrast"]
    assert full.tolist() == ["s/d3 + t/d3", "s/d3"]
    key = ("s", "d3 + t/d3")
    fact = out.contrasts.set_index(["dataset", "contrast"]).loc[key]
    assert fact["n_target"] + fact["n_reference"] - 2 == 7  # of six and six, and two studies
    own = out.genes[(out.genes["dataset"] == key[0]) & (out.genes["contrast"] == key[1])]
    assert len(own) == 400 and (*key, "muscle") in out.replicates
    together = out.blocks[out.blocks["contrast"] == key[1]].set_index("programme")
    parts = [table.set_index("programme")["effect"] for table in blocks[2:]]
    np.testing.assert_allclose(together["effect"], (parts[0] + parts[1]) / 2)
