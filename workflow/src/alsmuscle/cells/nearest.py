"""Nearest neighbours among some ten thousand points, exact, by blocks of products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from alsmuscle.core.types import Floats

ROWS, COLUMNS = 256, 1024  # of the distances that are in memory at a time
DOUBTFUL = 4  # ranks by which single precision may err


def nearest(points: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.int64]:
    """Return the ``k`` nearest points of every point, itself among them, in no order.

    All distances are computed, in single precision, and none is kept: those to a sample of the
    points tell what is surely too far. So a block costs a product of matrices and a comparison,
    and only some hundred candidates per point are ordered. Which of them are the last that count
    is decided in double precision.

    ``points``: n x dimensions. Returns n x ``k``, ``k`` at most n.
    """
    n = len(points)
    order = np.random.default_rng(0).permutation(n)
    centred = np.asarray(points, np.float64)
    centred = (centred - centred.mean(axis=0))[order]
    squares = (centred**2).sum(axis=1, keepdims=True)
    # One product gives |y|^2 - 2xy, which orders the points y as their distances from x do.
    left = np.hstack([-2 * centred, np.ones_like(squares)]).astype(np.float32)
    right = np.ascontiguousarray(np.hstack([centred, squares]).astype(np.float32).T)
    sample = min(n, max(4096, 8 * k))
    # So many of the sample are nearer than the k-th of all points with five standard deviations.
    expected = k * sample / n
    rank = min(sample, k, int(expected + 5 * np.sqrt(expected) + 5))
    found = np.empty((n, k), np.int64)
    for low in range(0, n, ROWS):
        rows = slice(low, min(low + ROWS, n))
        values, places = _candidates(left[rows], right, k, sample, rank)
        found[order[rows]] = order[_least(values, places, k, centred[rows], centred)]
    return found


def _candidates(
    left: npt.NDArray[np.float32], right: npt.NDArray[np.float32], k: int, sample: int, rank: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return, per row, values of what may be among its ``k`` least columns, and which these are.

    Rows have different numbers of them; the rest of a row is infinite.
    """
    n = right.shape[1]
    first = left @ right[:, :sample]
    if sample == n:
        return first, np.broadcast_to(np.arange(n), first.shape)
    limit = np.partition(first, rank - 1, axis=1)[:, rank - 1 : rank]
    kept: list[tuple[npt.NDArray[Any], ...]] = []
    for low in (0, *range(sample, n, COLUMNS)):
        tile = left @ right[:, low : low + COLUMNS] if low else first
        place = np.flatnonzero(tile <= limit)
        row = place // tile.shape[1]
        kept.append((row, place - row * tile.shape[1] + low, tile.ravel()[place]))
    row, column, value = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    held = np.bincount(row, minlength=len(left))
    if held.min() < k:  # the sample misled
        return left @ right, np.broadcast_to(np.arange(n), (len(left), n))
    by_row = np.argsort(row, kind="stable")
    row = row[by_row]
    place = np.arange(len(row)) - (np.cumsum(held) - held)[row]
    values = np.full((len(left), int(held.max())), np.inf, np.float32)
    places = np.zeros(values.shape, np.int64)
    values[row, place], places[row, place] = value[by_row], column[by_row]
    return values, places


def _least(
    values: npt.NDArray[np.float32],
    places: npt.NDArray[np.int64],
    k: int,
    points: Floats,
    others: Floats,
) -> npt.NDArray[np.int64]:
    """Return the places of the ``k`` least per row, those around the k-th by their distances."""
    sure, end = max(k - DOUBTFUL, 0), min(k + DOUBTFUL, values.shape[1])
    split = np.argpartition(values, sorted({max(sure - 1, 0), end - 1}), axis=1)[:, :end]
    nearer = np.take_along_axis(places, split, axis=1)
    last = nearer[:, sure:]
    distance = ((points[:, None] - others[last]) ** 2).sum(axis=2)
    distance[np.isinf(np.take_along_axis(values, split[:, sure:], axis=1))] = np.inf
    chosen = np.argsort(distance, axis=1, kind="stable")[:, : k - sure]
    return np.hstack([nearer[:, :sure], np.take_along_axis(last, chosen, axis=1)])
