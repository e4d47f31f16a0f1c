"""Planting, mixing and splitting of real counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.simulate import planting


def _counts(rng, samples=40, genes=60):
    mean = rng.lognormal(5, 1, genes)
    return rng.negative_binomial(10, 10 / (10 + mean), (samples, genes))


def test_thinning_plants_the_asked_fold_change():
    rng = np.random.default_rng(1)
    counts = np.full((400, 3), 200)
    target = np.arange(400) < 200
    out = planting.thin(counts, np.array([1.0, -0.6, 0.0]), target, rng)
    found = np.log2(out[target].mean(axis=0) / out[~target].mean(axis=0))
    assert found == pytest.approx([1.0, -0.6, 0.0], abs=0.02)
    assert np.issubdtype(out.dtype, np.integer)
    assert (out <= counts).all() and (out[:, 2] == 200).all()


def test_an_infinite_effect_is_refused():
    with pytest.raises(InputError, match="not finite"):
        planting.thin(
            np.ones((2, 1), dtype=int), np.array([np.inf]), np.array([True, False]), np.random
        )


def test_mixing_gives_the_intended_share_and_keeps_depth():
    rng = np.random.default_rng(2)
    own = np.hstack([_counts(rng), np.zeros((40, 5), dtype=int)])
    foreign = np.zeros((3, 65), dtype=int)
    foreign[:, 60:] = rng.integers(50, 500, (3, 5))  # genes that only the other tissue has
    share = rng.uniform(0, 0.5, 40)
    out = planting.mix(own, share, foreign, rng)
    assert np.issubdtype(out.dtype, np.integer) and (out >= 0).all()
    assert out[:, 60:].sum(axis=1) / out.sum(axis=1) == pytest.approx(share, abs=0.03)
    assert out.sum(axis=1) == pytest.approx(own.sum(axis=1), rel=0.03)
    untouched = planting.mix(own, np.zeros(40), foreign, rng)
    assert (untouched == own).all()


def test_nobody_is_in_two_pseudo_studies():
    people = {"a": [f"a{i}" for i in range(10)], "b": [f"b{i}" for i in range(21)]}
    made = planting.split(people, {"b": 2}, np.random.default_rng(3))
    placed = [person for study in made for person in (*study.target, *study.reference)]
    assert len(made) == 3 and sorted(placed) == sorted(people["a"] + people["b"])
    assert all(abs(len(s.target) - len(s.reference)) <= 1 for s in made)
    assert all({p[0] for p in (*s.target, *s.reference)} == {s.source} for s in made)
    again = planting.split(people, {"b": 2}, np.random.default_rng(3))
    assert again == made


def test_a_person_twice_or_too_few_people_are_refused():
    with pytest.raises(InputError, match="two groups"):
        planting.split({"a": list("pqrstu"), "b": list("uvwxyz")}, {}, np.random.default_rng(1))
    with pytest.raises(InputError, match="two sides of three"):
        planting.split({"a": list("pqrst")}, {}, np.random.default_rng(1))


def _members():
    return pd.DataFrame(
        {
            "programme": "P",
            "block": ["one", "one", "one", "two", "two"],
            "stripped": [False, False, True, False, False],
            "gene_id": ["g1", "g2", "g1", "g3", "unmeasured"],
            "sign": [-1, -1, -1, 1, 1],
        }
    )


def test_truth_of_a_block_is_the_mean_over_its_measured_genes_in_their_own_direction():
    truth = planting.block_truth(pd.Series({"g1": -1.0, "g2": 0.0, "g3": 0.4}), _members())
    assert truth.to_dict() == {"P/one": -0.5, "P/two": 0.4}


def test_another_time_course_moves_blocks_together_at_an_unchanged_slope():
    profile = pd.Series(1.0, index=["g1", "g2", "g3", *[f"h{i}" for i in range(50)]])
    moved = planting.other_time_course(profile, _members(), np.random.default_rng(5))
    assert moved["g1"] == moved["g2"]
    assert moved.nunique() > 1
    assert (moved * profile).sum() == pytest.approx((profile**2).sum())
