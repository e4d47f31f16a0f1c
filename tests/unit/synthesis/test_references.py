"""Several denervation references as one: by hand, and lambda where references differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import by_config
from alsmuscle.core.errors import InputError
from alsmuscle.synthesis.references import (
    Reference,
    Tables,
    best_of_each_study,
    combine,
    combine_blocks,
    with_combined,
)

denervation_axis = by_config.axis.denervation_axis

GENES = [f"g{i}" for i in range(400)]


def reference(
    rng: np.random.Generator, truth: np.ndarray, own: float, se: float = 0.15, n: int = 200
) -> Reference:
    """A reference whose effects are the truth, changes of its own, and noise."""
    effect = truth + rng.normal(0, own, truth.size) + rng.normal(0, se, truth.size)
    replicates = pd.DataFrame(effect + rng.normal(0, se, (n, truth.size)), columns=GENES)
    table = pd.DataFrame({"effect": effect, "se": se}, index=GENES)
    return Reference(table, replicates, 6.0)


def test_one_reference_is_itself_and_none_is_refused() -> None:
    rng = np.random.default_rng(0)
    one = reference(rng, rng.normal(0, 1, 400), 0.0)
    assert combine({"a": one}) is one
    with pytest.raises(InputError, match="no denervation reference"):
        combine({})


def test_the_noisier_study_weighs_less_whatever_its_errors_say() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 1, 400)
    alike = combine({n: reference(rng, truth, 0.0) for n in "ab"})
    assert alike.parts is not None
    np.testing.assert_allclose(alike.parts.weights, [0.5, 0.5], atol=0.1)
    assert alike.effects["se"].median() == pytest.approx(0.15 / np.sqrt(2), rel=0.1)
    # The same standard errors, but genes that moved together by chance.
    apart = combine({"a": reference(rng, truth, 1.0), "b": reference(rng, truth, 0.0)})
    assert apart.parts is not None and apart.replicates is not None
    assert apart.parts.weights[0] < 0.15
    mixed = apart.parts.effects.to_numpy() @ apart.parts.weights
    np.testing.assert_allclose(apart.effects["effect"], mixed)
    assert apart.df == 7
    # The noisy study's variance is far above its stated 0.15², the other's as stated.
    assert apart.parts.inflation[0] > 10 and apart.parts.inflation[1] < 2
    blocks = {
        n: pd.DataFrame({"effect": [e], "se": 0.2}, index=["b"])
        for n, e in (("a", 2.0), ("b", 1.0))
    }
    joined = combine_blocks(blocks, apart.parts).loc["b"]
    w, inflation = apart.parts.weights, apart.parts.inflation
    assert joined["effect"] == pytest.approx(2 * w[0] + w[1])
    assert joined["se"] == pytest.approx(0.2 * np.sqrt((w**2 * inflation).sum()))


def als_side(rng: np.random.Generator, truth: np.ndarray, share: float) -> pd.DataFrame:
    effect = share * truth + rng.normal(0, 0.2, truth.size)
    return pd.DataFrame({"effect": effect, "se": 0.2}, index=GENES)


def test_lambda_from_several_references_is_nearer_than_from_one() -> None:
    rng = np.random.default_rng(2)
    errors: dict[int, list[float]] = {1: [], 2: [], 4: []}
    held: dict[int, list[bool]] = {2: [], 4: []}
    for _ in range(60):
        truth = np.where(rng.random(400) < 0.3, rng.normal(0, 1, 400), 0.0)
        als = als_side(rng, truth, 0.4)
        found = [reference(rng, truth, 0.4) for _ in range(4)]
        for m, found_errors in errors.items():
            joined = combine(dict(zip("abcd", found[:m], strict=False)))
            axis = denervation_axis(
                als,
                joined.effects,
                den_replicates=joined.replicates,
                den_parts=joined.parts,
                als_df=8,
                den_df=joined.df,
                inter_gene_correlation=0.0,
                min_reliability=0.0,
            )
            found_errors.append(axis["lambda"] - 0.4)
            if m > 1:
                held[m].append(axis["ci_low"] <= 0.4 <= axis["ci_high"])
    size = {m: float(np.sqrt(np.mean(np.square(own)))) for m, own in errors.items()}
    assert size[4] < size[2] < size[1] and size[4] < 0.6 * size[1]
    # Differences between references dilute one of them; each is the other's instrument.
    assert np.mean(errors[1]) < -0.05
    assert abs(np.mean(errors[2])) < 0.03 and abs(np.mean(errors[4])) < 0.03
    assert np.mean(held[2]) >= 0.9 and np.mean(held[4]) >= 0.9


def test_references_without_anything_in_common_give_no_lambda() -> None:
    rng = np.random.default_rng(5)
    als = als_side(rng, rng.normal(0, 1, 400), 0.4)
    joined = combine({n: reference(rng, rng.normal(0, 1, 400), 0.0) for n in "ab"})
    axis = denervation_axis(als, joined.effects, den_parts=joined.parts)
    assert np.isnan(axis["lambda"]) and "mostly noise" in axis["reason"]


def test_without_samples_there_are_no_replicates_and_lacking_genes_stay_out() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 1, 400)
    a, b = reference(rng, truth, 0.1), reference(rng, truth, 0.1)._replace(replicates=None)
    fewer = b._replace(effects=b.effects.iloc[:300])
    out = combine({"a": a, "b": fewer})
    assert out.replicates is None and len(out.effects) == 300
    with pytest.raises(InputError, match="share 5 genes"):
        combine({"a": a, "b": b._replace(effects=b.effects.iloc[:5])})


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
        [
            *(("als", "c", "muscle", "s/d3"), ("als", "c", "muscle", "t/d3")),
            ("als2", "c", "muscle", "s/d3"),
        ],
        columns=["dataset", "contrast", "cell_type", "reference"],
    )  # fmt: skip
    before = Tables(pd.DataFrame(), contrasts, pd.concat(genes), pd.concat(blocks), replicates, {})
    out = with_combined(kept, before)
    full = out.pairs["reference_dataset"] + "/" + out.pairs["reference_contrast"]
    assert full.tolist() == ["s/d3 + t/d3", "s/d3"]
    key = ("s", "d3 + t/d3")
    fact = out.contrasts.set_index(["dataset", "contrast"]).loc[key]
    assert fact["n_target"] + fact["n_reference"] - 2 == 7  # of six and six, and two studies
    own = out.genes[(out.genes["dataset"] == key[0]) & (out.genes["contrast"] == key[1])]
    assert len(own) == 400 and (*key, "muscle") in out.replicates
    assert list(out.parts) == [(*key, "muscle")]
    together = out.blocks[out.blocks["contrast"] == key[1]].set_index("programme")
    parts = [table.set_index("programme")["effect"] for table in blocks[2:]]
    w = out.parts[(*key, "muscle")].weights
    np.testing.assert_allclose(together["effect"], w[0] * parts[0] + w[1] * parts[1])
