"""Leading singular vectors of sparse matrices, from the products of their columns or rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from alsmuscle.core.types import Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

ROWS = 4096  # made dense at a time


def leading(
    matrix: csr_matrix, n: int, *, centred: bool, seed: int, fitted: int | None = None
) -> Floats:
    """Return the matrix along its ``n`` leading right singular vectors (rows x ``n``).

    The vectors are those of the products of all columns with each other (or of all rows, where
    these are fewer), added up in double precision over some thousand rows at a time: one pass of
    dense products, where an iterative method passes over the sparse matrix several hundred times.
    What squaring costs (a singular value below 1e-8 of the largest is lost) is far below the first
    components of any sample.

    Parameters
    ----------
    matrix
        Rows x columns, CSR.
    n
        Below the number of rows and of columns.
    centred
        Of the matrix less its columns' means, which is never made: principal components.
    seed
        Of the eigensolver's first vector.
    fitted
        How many of the first rows the vectors are those of; all by default.

    Returns
    -------
    Columns by decreasing singular value; the vector's entry of largest size is positive.
    """
    from scipy.sparse.linalg import eigsh

    basis = matrix[:fitted] if fitted is not None else matrix
    mean = np.zeros(matrix.shape[1])
    if centred:
        mean = np.asarray(basis.mean(axis=0, dtype=np.float64)).ravel()
    by_row = basis.shape[0] < basis.shape[1]
    if by_row:
        dense = basis.toarray().astype(np.float64) - mean
        products = dense @ dense.T
    else:
        products = -basis.shape[0] * np.outer(mean, mean)
        for part in _parts(basis):
            dense = part.toarray()
            products += dense.T @ dense
    start = np.random.default_rng(seed).standard_normal(len(products))
    values, vectors = eigsh(products, k=n, v0=start)
    order = np.argsort(-values)
    vectors = vectors[:, order]
    if by_row:
        vectors = dense.T @ vectors
        vectors /= np.maximum(np.linalg.norm(vectors, axis=0), np.finfo(float).tiny)
    vectors *= _signs(vectors)
    scores: Floats = np.concatenate([part @ vectors for part in _parts(matrix)]) - mean @ vectors
    return scores


def _signs(vectors: Floats) -> npt.NDArray[np.float64]:
    """Return the sign of the entry of largest size per column."""
    largest = np.abs(vectors).argmax(axis=0)
    return np.where(vectors[largest, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)


def _parts(matrix: csr_matrix) -> Iterator[csr_matrix]:
    """Yield some rows after the others, in double precision."""
    from scipy import sparse

    for low in range(0, matrix.shape[0], ROWS):
        pointers = matrix.indptr[low : low + ROWS + 1]
        part = slice(pointers[0], pointers[-1])
        shape = (len(pointers) - 1, matrix.shape[1])
        data = matrix.data[part].astype(np.float64)
        yield sparse.csr_matrix((data, matrix.indices[part], pointers - pointers[0]), shape)
