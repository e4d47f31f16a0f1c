"""Scores, threshold, components and neighbours against the libraries whose methods they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from alsmuscle.cells import doublets
from alsmuscle.cells.components import leading
from alsmuscle.cells.nearest import nearest
from alsmuscle.core.annotated import AnnData


def counts(n: int, seed: int = 0) -> sparse.csr_matrix:
    """Three types of cells and a tenth of doublets, 600 genes."""
    rng = np.random.default_rng(seed)
    means = rng.lognormal(-1, 1, 600) * np.where(rng.random((3, 600)) < 0.1, 8, 1)
    kinds = means[rng.integers(3, size=n)]
    kinds[: n // 10] += means[rng.integers(3, size=n // 10)]
    return sparse.csr_matrix(rng.poisson(kinds).astype(np.int32))


@pytest.mark.parametrize("n", [120, 900])  # below 200 barcodes pairs are drawn otherwise
def test_scores_are_those_of_scanpys_scrublet(n: int) -> None:
    import scanpy as sc

    X = counts(n)
    ours, simulated = doublets.scrublet(X, expected_rate=0.1, n_components=20, seed=3)
    cells = AnnData(X.astype(np.float32))
    sc.pp.scrublet(
        cells,
        expected_doublet_rate=0.1,
        use_approx_neighbors=False,
        mean_center=False,
        n_prin_comps=20,
        random_state=3,
        verbose=False,
    )
    theirs = cells.obs["doublet_score"].to_numpy()
    found = cells.uns["scrublet"]
    assert np.mean(np.isclose(ours, theirs, rtol=1e-9)) > 0.99
    np.testing.assert_allclose(ours, theirs, atol=0.03)  # one neighbour more or less
    np.testing.assert_array_equal(doublets._pairs(n, 3).T, found["doublet_parents"])
    pairs = np.sort(found["doublet_parents"], axis=1)
    if len(np.unique(pairs, axis=0)) < len(pairs):  # scanpy counts no doublet for itself then
        same = np.isclose(simulated, found["doublet_scores_sim"], rtol=1e-9)
        assert same.mean() > 0.99


def test_too_few_genes_that_vary_are_said() -> None:
    with pytest.raises(ValueError, match="components need more"):
        doublets.scrublet(counts(100)[:, :30], expected_rate=0.1, n_components=30, seed=0)


@pytest.mark.parametrize("apart", [0.0, 2.0, 6.0])
def test_the_valley_is_that_of_scikit_image(apart: float) -> None:
    from skimage.filters import threshold_minimum

    rng = np.random.default_rng(1)
    scores = np.round(np.concatenate([rng.normal(0, 1, 900), rng.normal(apart, 1, 400)]), 1)
    assert doublets.valley(scores) == threshold_minimum(scores)


def test_one_mode_has_no_valley() -> None:
    from skimage.filters import threshold_minimum

    scores = np.repeat(np.arange(256.0), np.arange(256, 0, -1))
    with pytest.raises(RuntimeError):
        threshold_minimum(scores)
    assert doublets.valley(scores) is None


@pytest.mark.parametrize("shape", [(300, 80), (80, 300)])
@pytest.mark.parametrize("centred", [True, False])
def test_components_are_those_of_the_dense_matrix(shape: tuple[int, int], centred: bool) -> None:
    X = sparse.random(*shape, density=0.2, format="csr", random_state=0, dtype=np.float32)
    dense = X.toarray().astype(float) - (X.toarray().mean(axis=0) if centred else 0)
    vectors = np.linalg.svd(dense, full_matrices=False)[2][:10].T
    vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(10)])
    np.testing.assert_allclose(
        leading(X, 10, centred=centred, seed=0), dense @ vectors, rtol=1e-5, atol=1e-5
    )


def test_components_of_some_rows_place_the_others_too() -> None:
    X = sparse.random(300, 60, density=0.2, format="csr", random_state=0)
    some = leading(X, 5, centred=False, seed=0, fitted=200)
    np.testing.assert_allclose(some[:200], leading(X[:200], 5, centred=False, seed=0), atol=1e-9)
    assert some.shape == (300, 5)


# The sample holds all points; it tells what is far.
@pytest.mark.parametrize(("n", "k"), [(500, 15), (7000, 15), (7000, 200)])
def test_neighbours_are_the_nearest(n: int, k: int) -> None:
    from sklearn.neighbors import NearestNeighbors

    points = np.random.default_rng(2).normal(size=(n, 8))
    points[: n // 2] *= 3
    points += 100
    expected = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points).kneighbors()[1]
    everyone = np.arange(n)[:, None]
    with_self = np.hstack([everyone, expected[:, : k - 1]])
    np.testing.assert_array_equal(np.sort(nearest(points, k)), np.sort(with_self))


def test_neighbours_that_the_sample_missed_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from alsmuscle.cells import nearest as module

    points = np.random.default_rng(2).normal(size=(6000, 5))
    whole = np.sort(nearest(points, 40))
    plain = module._candidates
    # With a rank of 1 in the sample nearly every row has fewer candidates than are asked for.
    monkeypatch.setattr(module, "_candidates", lambda a, b, k, s, _: plain(a, b, k, s, 1))
    np.testing.assert_array_equal(np.sort(nearest(points, 40)), whole)
