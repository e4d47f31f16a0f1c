"""Truth planted in real counts: effects by binomial thinning, composition by mixing reads.

Real counts keep their own dispersions, correlations, outliers and depths; only what is asked for is
changed. Every function takes and returns whole numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]


def thin(counts: Ints, effect: Floats, target: Bools, rng: np.random.Generator) -> Ints:
    """Plant log2 fold changes by binomial thinning.

    A gene that is to rise loses reads in the reference, one that is to fall in the target: a
    binomial share of a count has the distribution that a smaller expected count would have given
    (Gerard 2020, BMC Bioinformatics 21:206).

    Parameters
    ----------
    counts
        Samples x genes, whole numbers from 0.
    effect
        Log2 fold change per gene, target against reference.
    target
        Which samples are the target's.

    Returns
    -------
    array
        Samples x genes, whole numbers, none larger than before.

    Raises
    ------
    InputError
        An effect is not finite.
    """
    if not np.isfinite(effect).all():
        raise InputError("an effect to be planted is not finite", expected="a log2 fold change")
    out = counts.copy()
    for side, moved in ((~target, effect > 0), (target, effect < 0)):
        chosen = np.ix_(side, moved)
        out[chosen] = rng.binomial(counts[chosen], np.exp2(-np.abs(effect[moved])))
    return out


def mix(counts: Ints, share: Floats, foreign: Ints, rng: np.random.Generator) -> Ints:
    """Replace a share of every sample's reads by reads of other tissue.

    Parameters
    ----------
    counts
        Samples x genes, whole numbers from 0.
    share
        Per sample, 0 to below 1: the share of its reads that the other tissue gives afterwards.
    foreign
        Tissues x genes, real counts of the same genes; each sample draws its own proportions of
        them (uniform over all proportions).

    Returns
    -------
    array
        Samples x genes, whole numbers; library sizes are as before, up to the noise of sampling.
    """
    if not ((share >= 0) & (share < 1)).all():
        raise InputError("a share of foreign reads lies outside 0 to 1")
    depth = counts.sum(axis=1)
    own = rng.binomial(counts, 1 - share[:, None])
    weight = rng.dirichlet(np.ones(len(foreign)), len(counts))
    profile = weight @ (foreign / foreign.sum(axis=1, keepdims=True))
    added = np.vstack(
        [
            rng.multinomial(n, p / p.sum())
            for n, p in zip(rng.binomial(depth, share), profile, strict=True)
        ]
    )
    mixed: Ints = own + added
    return mixed


class Split(NamedTuple):
    """One pseudo-study: the people's source, and who is target and who reference."""

    source: str
    target: list[str]
    reference: list[str]


def split(
    people: Mapping[str, Sequence[str]], parts: Mapping[str, int], rng: np.random.Generator
) -> list[Split]:
    """Split groups of people at random into pseudo-studies of two sides, no person in two.

    Parameters
    ----------
    people
        Source → its persons, one sample each.
    parts
        Source → pseudo-studies to make of it.

    Returns
    -------
    list of Split
        In random order; sides differ by one person at most.

    Raises
    ------
    InputError
        A person stands in two sources, or a side would have fewer than three.
    """
    everybody = [person for persons in people.values() for person in persons]
    if len(set(everybody)) < len(everybody):
        raise InputError("a person stands in two groups that are to be split")
    made = []
    for source, persons in people.items():
        shuffled = [persons[i] for i in rng.permutation(len(persons))]
        for group in np.array_split(np.array(shuffled, dtype=object), parts.get(source, 1)):
            half = len(group) // 2
            if half < 3:
                raise InputError(f"{source}: {len(group)} people do not make two sides of three")
            made.append(Split(source, list(group[:half]), list(group[half:])))
    return [made[i] for i in rng.permutation(len(made))]


def block_truth(effect: pd.Series[float], members: pd.DataFrame) -> pd.Series[float]:
    """Mean planted effect of every complete block's measured genes, in the genes' own direction.

    Parameters
    ----------
    effect
        Log2 fold change by gene id.
    members
        ``programme, block, stripped, gene_id``.

    Returns
    -------
    Series
        By target, ``PROGRAMME/block``.
    """
    complete = members[~members["stripped"].astype(bool)]
    target = complete["programme"] + "/" + complete["block"]
    return complete["gene_id"].map(effect).groupby(target).mean()


def other_time_course(
    profile: pd.Series[float], members: pd.DataFrame, rng: np.random.Generator
) -> pd.Series[float]:
    """Turn a signature of three days of denervation into one of another time.

    Groups of genes that answer together fade, stay or rise: each block of a programme, and each
    gene in none, is early (0.1 of its effect is left), sustained (as it is) or late (twice), with
    probability a quarter, a half and a quarter. Rescaled so that its slope on the first is 1.
    """
    factor = pd.Series(
        rng.choice([0.1, 1.0, 2.0], len(profile), p=[0.25, 0.5, 0.25]), profile.index
    )
    for _, block in members.groupby(["programme", "block"], sort=True):
        own = profile.index.intersection(block["gene_id"])
        factor[own] = rng.choice([0.1, 1.0, 2.0], p=[0.25, 0.5, 0.25])
    moved = profile * factor
    return moved * float((profile**2).sum() / (moved * profile).sum())
