"""The compiled fit against scipy, PyDESeq2's default, hand-made cases and its own invariances."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import numba
import numpy as np
import pandas as pd
import pytest
from numba.core import caching
from pydeseq2 import utils
from pydeseq2.dds import DeseqDataSet
from pydeseq2.default_inference import DefaultInference
from pydeseq2.ds import DeseqStats
from scipy import integrate, optimize, special, stats

from alsmuscle.bulk.inference import BatchedInference
from alsmuscle.bulk.kernels import dispersion, search
from alsmuscle.core.errors import InputError
from by_config import inference as fit

pytestmark = pytest.mark.filterwarnings("ignore")


def simulate(n_genes: int = 300, n_samples: int = 12, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    condition = np.repeat(["control", "treated"], [n_samples // 2, n_samples - n_samples // 2])
    base = np.exp(rng.normal(4.0, 2.0, n_genes))
    dispersion = np.exp(rng.normal(np.log(0.05 + 2 / base), 0.5))
    log2fc = np.where(rng.random(n_genes) < 0.3, rng.normal(0, 1.5, n_genes), 0.0)
    mean = base * 2.0 ** np.outer(condition == "treated", log2fc)
    mean *= np.exp(rng.normal(0, 0.3, n_samples))[:, None]
    counts = rng.poisson(rng.gamma(1 / dispersion, dispersion * mean))
    samples = [f"s{i}" for i in range(n_samples)]
    obs = pd.DataFrame(
        {
            "condition": pd.Categorical(condition, ["control", "treated"]),
            "batch": pd.Categorical(np.where(np.arange(n_samples) % 2, "b", "a")),
        },
        index=samples,
    )
    return pd.DataFrame(counts, samples, [f"g{i}" for i in range(n_genes)]), obs


def analyse(
    counts: pd.DataFrame,
    obs: pd.DataFrame,
    inference: Any,
    design: str = "~batch + condition",
    shrink: bool = True,
) -> pd.DataFrame:
    dds = DeseqDataSet(counts=counts, metadata=obs, design=design, inference=inference, quiet=True)
    dds.deseq2()
    test = DeseqStats(
        dds, contrast=["condition", "treated", "control"], inference=inference, quiet=True
    )
    test.summary()
    table = test.results_df.copy()
    if shrink:
        test.lfc_shrink("condition[T.treated]")
        table["shrunk"] = test.results_df["log2FoldChange"]
        table["shrunk_se"] = test.results_df["lfcSE"]
    for name in ("genewise_dispersions", "MAP_dispersions", "dispersions"):
        table[name] = dds.var[name]
    steps = ["_genewise_converged", "_MAP_converged", "_LFC_converged"]
    table["converged"] = dds.var[steps].fillna(True).all(axis=1)
    return table


def beyond(ours: pd.Series, other: pd.Series, tolerance: float) -> float:
    """Share of genes whose relative difference exceeds the tolerance; missing must match."""
    assert (ours.isna() == other.isna()).all()
    ours, other = ours.dropna(), other.dropna()
    return float(((ours - other).abs() > tolerance * other.abs()).mean())


# ------------------------------------------------------------------ special functions

POINTS = np.concatenate([np.geomspace(1e-3, 1e9, 400), np.arange(1, 200) / 8])


def test_stirling_remainders_give_scipy_s_gamma_functions() -> None:
    remainders = np.array([search.stirling_remainders(float(z)) for z in POINTS])
    large = (POINTS - 0.5) * np.log(POINTS) - POINTS + 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(
        remainders[:, 0] + large, special.gammaln(POINTS), rtol=3e-15, atol=2e-14
    )
    np.testing.assert_allclose(
        remainders[:, 1] + np.log(POINTS), special.digamma(POINTS), rtol=3e-15, atol=2e-14
    )


@pytest.mark.parametrize("z", [0.02, 0.5, 3.0, 9.99, 10.0, 40.0, 1e3, 1e6])
def test_stirling_remainders_are_binet_s_integral(z: float) -> None:
    # Binet's second formula; digamma by its derivative. Neither uses a gamma function.
    lgamma, digamma = search.stirling_remainders(z)
    first = integrate.quad(
        lambda t: 2 * np.arctan2(t, z) / np.expm1(2 * np.pi * t), 0, 12, epsabs=0, epsrel=1e-13,
        points=[z] if z < 12 else None, limit=400,
    )[0]  # fmt: skip
    second = integrate.quad(
        lambda t: 2 * t / ((t * t + z * z) * np.expm1(2 * np.pi * t)), 0, 12, epsabs=0,
        epsrel=1e-13, points=[z] if z < 12 else None, limit=400,
    )[0]  # fmt: skip
    assert lgamma == pytest.approx(first, rel=1e-9, abs=1e-14)
    assert digamma == pytest.approx(-0.5 / z - second, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("alpha", [1e-8, 1e-3, 0.09, 0.3, 8.0])
@pytest.mark.parametrize("cox_reid", [False, True])
def test_likelihood_is_the_textbook_s(alpha: float, cox_reid: bool) -> None:
    # log NB(y) as a sum over k < y, with no gamma function at all.
    rng = np.random.default_rng(1)
    y = rng.poisson(30.0, 9).astype(float)
    y[:2] = 0
    mu = np.exp(rng.normal(3, 0.5, 9))
    X = np.column_stack([np.ones(9), np.arange(9) % 3 == 0]).astype(float)

    def loss(log_a: float) -> float:
        a = np.exp(log_a)
        log_p = [
            sum(np.log1p(a * k) - np.log(k + 1) for k in range(int(count)))
            + count * np.log(m)
            - (count + 1 / a) * np.log1p(a * m)
            for count, m in zip(y, mu, strict=True)
        ]
        information = (X.T * (mu / (1 + a * mu))) @ X
        return -sum(log_p) + (0.5 * np.linalg.slogdet(information)[1] if cox_reid else 0.0)

    constant = sum(dispersion._saturated(count) for count in y if count)
    got = dispersion._dispersion_loss(
        np.log(alpha), y, mu, X, constant, 0.0, 0.0, cox_reid, np.empty((2, 2)), np.empty((2, 2))
    )
    h = 1e-5
    slope = (loss(np.log(alpha) + h) - loss(np.log(alpha) - h)) / (2 * h)
    assert got[2]
    assert got[0] == pytest.approx(loss(np.log(alpha)), rel=1e-11)
    assert got[1] == pytest.approx(slope, rel=1e-4, abs=1e-6)


# ----------------------------------------------------------------- against the default


@pytest.fixture(scope="module")
def both() -> tuple[pd.DataFrame, pd.DataFrame, BatchedInference]:
    counts, obs = simulate(300, 12)
    ours = BatchedInference(n_cpus=2, chunk_genes=64)
    return analyse(counts, obs, ours), analyse(counts, obs, DefaultInference(n_cpus=1)), ours


@pytest.mark.parametrize(
    "column",
    ["MAP_dispersions", "dispersions", "log2FoldChange", "lfcSE", "stat", "shrunk", "shrunk_se"],
)
def test_numbers_are_the_default_s(both: Any, column: str) -> None:
    ours, default, _ = both
    # Rounding decides for which genes the default's line search fails; its grid search is coarse.
    reached = default["converged"]
    assert reached.mean() > 0.98
    # The prior of the shrinkage is estimated from all genes, those included.
    tolerance = 1e-3 if column.startswith("shrunk") else 1e-4
    assert beyond(ours[column][reached], default[column][reached], tolerance) == 0


def test_genewise_dispersions_take_the_default_s_steps(both: Any) -> None:
    ours, default, _ = both
    a, b = ours["genewise_dispersions"], default["genewise_dispersions"]
    # Below 1e-5 the default's own rounding decides where it stops.
    regular = b > 1e-5
    assert regular.mean() > 0.9
    assert beyond(a[regular], b[regular], 1e-4) == 0
    assert beyond(a[regular], b[regular], 1e-9) < 0.05  # same path, not merely the same optimum


def test_calls_are_the_default_s(both: Any) -> None:
    ours, default, _ = both
    assert (default["padj"] < 0.05).sum() > 20
    assert ((ours["padj"] < 0.05) == (default["padj"] < 0.05)).all()


@pytest.mark.parametrize("vst", [False, True])
def test_trend_is_the_default_s(vst: bool) -> None:
    counts, obs = simulate(seed=5)
    counts["g7"] = 0
    counts["g8"] = [50_000, *[0] * 11]  # far off the curve: leaves it after the first round
    trends = []
    for kind in (DeseqDataSet, fit.Dataset):
        inference = BatchedInference(n_cpus=1)
        dds = kind(counts=counts, metadata=obs, design="~batch", inference=inference, quiet=True)
        if vst:
            dds.vst()
            trends.append([dds.uns["vst_trend_coeffs"]])
        else:
            dds.deseq2()
            trends.append([dds.uns["trend_coeffs"], dds.var["fitted_dispersions"]])
    for default, ours in zip(*trends, strict=True):
        pd.testing.assert_series_equal(ours, default, rtol=1e-12)


def test_without_a_trend_the_mean_of_dispersions_stands() -> None:
    counts, obs = simulate(seed=5)
    inference = BatchedInference(n_cpus=1)
    inference.dispersion_trend_gamma_glm = lambda *_: (np.full(2, np.nan), np.nan, False)  # type: ignore[method-assign]
    dds = fit.Dataset(counts=counts, metadata=obs, design="~batch", inference=inference, quiet=True)
    with pytest.warns(UserWarning, match="mean of dispersions stands"):
        dds.fit_size_factors()
        dds.fit_dispersion_trend()
    assert dds.var["fitted_dispersions"].nunique() == 1


def test_kernels_do_the_work(both: Any) -> None:
    assert sum(both[2].fallbacks.values()) < 10


@pytest.mark.parametrize("alternative", [None, "greaterAbs", "lessAbs", "greater", "less"])
def test_wald_alternatives(alternative: Any) -> None:
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(8), np.repeat([0.0, 1.0], 4), rng.normal(size=8)])
    mu, disp = np.exp(rng.normal(3, 1, (8, 40))), np.exp(rng.normal(-2, 1, 40))
    lfc = rng.normal(0, 1, (40, 3))
    arguments = {
        "ridge_factor": np.diag(np.repeat(1e-6, 3)),
        "contrast": np.array([0.0, 1.0, 0.0]),
        "lfc_null": 0.4 if alternative else 0.0,
        "alt_hypothesis": alternative,
    }
    ours = BatchedInference(n_cpus=2, chunk_genes=7).wald_test(X, disp, lfc, mu, **arguments)
    one_by_one = np.array(
        [utils.wald_test(X, disp[g], lfc[g], mu[:, g], **arguments) for g in range(40)]
    ).T
    np.testing.assert_allclose(ours, one_by_one, rtol=1e-10)


def test_floor_of_the_wald_test() -> None:
    # A group without counts: its fitted mean is next to nothing, and with it the weight.
    X = np.column_stack([np.ones(6), np.repeat([0.0, 1.0], 3)])
    mu = np.repeat([[20.0], [1e-6]], 3, axis=0)
    rest = (np.eye(2) * 1e-6, np.array([0.0, 1.0]), 0.0)
    lfc = np.log([[20.0, 1e-6 / 20]])
    se = {}
    for floor in (0.0, 0.5):
        inference = BatchedInference(wald_min_mu=floor)
        _, _, se[floor] = inference.wald_test(X, np.array([0.1]), lfc, mu, *rest)
    # Standard error of a log ratio of means: sqrt(1 / sum(w) + 1 / sum(w)), w = mu / (1 + a mu).
    by_hand = np.sqrt((1 / 20 + 0.1) / 3 + (1 / 0.5 + 0.1) / 3)
    assert se[0.5][0] == pytest.approx(by_hand, rel=1e-4)
    assert se[0.0][0] > 100 * by_hand


def test_unknown_alternative_is_explained() -> None:
    one = np.ones((4, 2))
    with pytest.raises(InputError, match="two-sided"):
        BatchedInference().wald_test(
            np.column_stack([np.ones(4), [0, 0, 1, 1]]),
            np.ones(2), np.ones((2, 2)), one, np.eye(2), np.array([0, 1]), 0.0, "two-sided",  # type: ignore[arg-type]
        )  # fmt: skip


# ------------------------------------------------------------------------ truth by hand


def test_group_means_are_the_coefficients() -> None:
    # Two groups, no overdispersion, equal size factors: the fit is log mean and log ratio.
    counts = np.array([[10, 100], [14, 140], [40, 20], [56, 28]])
    X = np.array([[1, 0], [1, 0], [1, 1], [1, 1]])
    beta, mu, hat, converged = BatchedInference().irls(
        counts, np.ones(4), X, np.full(2, 1e-8), min_mu=0.5, beta_tol=1e-12
    )
    assert converged.all()
    np.testing.assert_allclose(beta, np.log([[12, 4], [120, 0.2]]), rtol=1e-6)
    np.testing.assert_allclose(mu, [[12, 120]] * 2 + [[48, 24]] * 2, rtol=1e-6)
    np.testing.assert_allclose(hat, 0.5, rtol=1e-5)  # two samples share each mean


def test_planted_dispersion_is_found() -> None:
    rng = np.random.default_rng(0)
    n, alpha = 400, 0.25
    counts = rng.poisson(rng.gamma(1 / alpha, alpha * 100.0, (n, 50)))
    found, converged = BatchedInference().alpha_mle(
        counts, np.ones((n, 1)), np.full((n, 50), 100.0), np.full(50, 1.0), 1e-8, float(n)
    )
    assert converged.all()
    assert abs(np.mean(found) - alpha) < 0.01


def test_dispersion_is_at_the_optimum() -> None:
    # Independent of any optimiser: no point of a fine grid has a higher profile likelihood.
    rng = np.random.default_rng(4)
    counts = rng.poisson(rng.gamma(5.0, 10.0, (20, 1)))
    mu = np.full((20, 1), counts.mean())
    found, _ = BatchedInference().alpha_mle(
        counts, np.ones((20, 1)), mu, np.array([1.0]), 1e-8, 20.0, cr_reg=False
    )

    def loss(alpha: float) -> float:
        return float(utils.nb_nll(counts[:, 0], mu[:, 0], alpha))

    assert loss(found[0]) <= min(loss(a) for a in np.geomspace(1e-4, 10, 2000)) + 1e-6


def test_search_comes_back_from_the_plain() -> None:
    # Far above the optimum the first step overshoots to where the likelihood is all but flat.
    # The default takes rounding for a stop there, in some genes; the optimum is 0.02 or so.
    X, start = np.ones((40, 1)), np.array([0.5])
    lost = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        y = rng.poisson(rng.gamma(50.0, 4.0, 40))
        mu = np.full(40, y.mean())

        def loss(log_alpha: float, y: Any = y, mu: Any = mu) -> float:
            r = np.exp(-log_alpha)
            information = float((mu / (1 + mu / r)).sum())
            return 0.5 * np.log(information) - stats.nbinom.logpmf(y, r, r / (r + mu)).sum()

        best = optimize.minimize_scalar(
            loss, bounds=(np.log(1e-3), np.log(10)), method="bounded", options={"xatol": 1e-9}
        )
        found, converged = BatchedInference().alpha_mle(
            y[:, None], X, mu[:, None], start, 1e-8, 40.0
        )
        assert converged.all()
        assert found[0] == pytest.approx(np.exp(best.x), rel=1e-4)
        theirs, ok = utils.fit_alpha_mle(y, X, mu, start[0], 1e-8, 40.0)
        if ok and theirs < 1e-6:
            lost.append(loss(np.log(1e-3)) - best.fun)
    assert min(lost) > 1  # log-likelihood; if this is empty, the docstring of `fit` has aged


# ------------------------------------------------------------------------- invariances


@pytest.fixture(scope="module")
def reference() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    counts, obs = simulate(250, 10, seed=7)
    return counts, obs, analyse(counts, obs, BatchedInference())


@pytest.mark.parametrize(
    "inference",
    [
        BatchedInference(n_cpus=3, chunk_genes=16),
        BatchedInference(chunk_genes=1),
        BatchedInference(chunk_genes=10_000),
    ],
    ids=["threads", "chunk of one gene", "one chunk"],
)
def test_threads_and_chunks_change_nothing(reference: Any, inference: BatchedInference) -> None:
    counts, obs, before = reference
    pd.testing.assert_frame_equal(analyse(counts, obs, inference), before, rtol=0, atol=0)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("as_matrix", [False, True])
def test_order_changes_nothing(reference: Any, seed: int, as_matrix: bool) -> None:
    counts, obs, _ = reference
    design: Any = "~batch + condition"
    if as_matrix:
        design = pd.get_dummies(obs[["batch", "condition"]], drop_first=True, dtype=float)
        design.insert(0, "Intercept", 1.0)
    shuffle = np.random.default_rng(seed)
    samples, genes = shuffle.permutation(counts.index), shuffle.permutation(counts.columns)
    results = []
    for table, sheet in ((counts, obs), (counts.loc[samples, genes], obs.loc[samples])):
        dds = fit.fit_dataset(table, sheet, design)
        results.append(
            pd.concat([dds.var[["genewise_dispersions", "dispersions"]], dds.varm["LFC"]], axis=1)
        )
    pd.testing.assert_frame_equal(*results, rtol=0, atol=0)


def test_order_alone_changes_little(reference: Any) -> None:
    # Without sorting: rounding differs, and only that.
    counts, obs, before = reference
    after = analyse(counts.iloc[::-1, ::-1], obs.iloc[::-1], BatchedInference())
    for column in ("dispersions", "log2FoldChange", "lfcSE", "shrunk"):
        assert beyond(after[column][before.index], before[column], 1e-8) < 0.01


def test_swapped_labels_flip_the_sign(reference: Any) -> None:
    counts, obs, before = reference
    swapped = obs.assign(
        condition=pd.Categorical(
            obs["condition"].map({"control": "treated", "treated": "control"}).astype(str),
            ["control", "treated"],
        )
    )
    after = analyse(counts, swapped, BatchedInference(), shrink=False)
    ok = before["baseMean"] > 20
    np.testing.assert_allclose(
        after["log2FoldChange"][ok], -before["log2FoldChange"][ok], rtol=1e-3, atol=1e-3
    )


# -------------------------------------------------------------------------- edge cases


def same_as_default(counts: pd.DataFrame, obs: pd.DataFrame, **options: Any) -> pd.DataFrame:
    ours = analyse(counts, obs, BatchedInference(n_cpus=2), **options)
    default = analyse(counts, obs, DefaultInference(n_cpus=1), **options)
    for column in ("dispersions", "log2FoldChange", "stat"):
        assert beyond(ours[column], default[column], 1e-4) <= 0.02, column
    return ours


def test_all_zero_genes_stay_missing() -> None:
    counts, obs = simulate(60, 8)
    counts.iloc[:, [0, 30, 59]] = 0
    table = same_as_default(counts, obs, shrink=False)
    assert table.loc[["g0", "g30", "g59"], ["log2FoldChange", "stat", "pvalue"]].isna().all(None)
    assert table["log2FoldChange"].notna().sum() == 57


def test_group_of_zeros() -> None:
    counts, obs = simulate(60, 8)
    counts.loc[obs["condition"] == "treated", ["g1", "g2"]] = 0
    counts.loc[obs["condition"] == "control", ["g1", "g2"]] = 500
    table = same_as_default(counts, obs, design="~condition", shrink=False)
    assert (table.loc[["g1", "g2"], "log2FoldChange"] < -8).all()


def test_extreme_size_factors() -> None:
    # One library 20,000 times deeper must not change the effects. (The default loses digits here:
    # its gamma functions of 10^9 differ by little.)
    counts, obs = simulate(60, 8, seed=2)
    deep = counts.copy()
    deep.iloc[0] *= 20_000
    before = analyse(counts, obs, BatchedInference(), design="~condition", shrink=False)
    after = analyse(deep, obs, BatchedInference(), design="~condition", shrink=False)
    assert np.isfinite(after["stat"][before["baseMean"] > 1]).all()
    high = before["baseMean"] > 100
    assert high.sum() > 10
    assert (after["log2FoldChange"] - before["log2FoldChange"])[high].abs().max() < 0.1


def test_counts_above_two_to_the_31() -> None:
    # A large scale changes nothing but the mean: the same gene with a millionth of the counts has
    # the same effect. (R refuses such counts; the default's dispersion is then rounding noise.)
    counts, obs = simulate(60, 8, seed=3)
    counts = counts.astype("int64")
    counts["g5"] = np.array([5, 6, 7, 8, 10, 12, 14, 16]) * 2**13
    X = np.column_stack([np.ones(8), obs["condition"] == "treated"]).astype(float)
    inference, found = BatchedInference(), []
    for scale in (1, 2**20):
        y = counts[["g5"]].to_numpy() * scale
        mu = inference.lin_reg_mu(y, np.ones(8), X, 0.5)
        alpha, converged = inference.alpha_mle(y, X, mu, np.array([0.05]), 1e-8, 10.0)
        beta, *_ = inference.irls(y, np.ones(8), X, alpha, 0.5, 1e-8)
        assert converged.all()
        found.append((alpha[0], beta[0, 1]))
    assert y.max() > 2**31
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3)
    assert found[1][1] == pytest.approx(np.log(2), abs=1e-6)
    counts["g5"] *= 2**20
    table = analyse(counts, obs, BatchedInference(), design="~condition", shrink=False)
    assert np.isfinite(table.loc["g5", ["log2FoldChange", "stat", "pvalue"]].astype(float)).all()


def test_one_sample_against_many() -> None:
    counts, obs = simulate(60, 8)
    obs["condition"] = pd.Categorical(["control"] * 7 + ["treated"], ["control", "treated"])
    same_as_default(counts, obs, design="~condition", shrink=False)


@pytest.mark.parametrize("n_samples", [2, 3])
def test_without_replicates_the_error_says_so(n_samples: int) -> None:
    counts, obs = simulate(40, n_samples)
    obs["condition"] = pd.Categorical(
        ["control", "treated", "third"][:n_samples], ["control", "treated", "third"][:n_samples]
    )
    with pytest.raises(InputError, match="as many columns"):
        analyse(counts, obs, BatchedInference(), design="~condition")


def test_collinear_columns_are_named_as_confounded() -> None:
    counts, obs = simulate(40, 8)
    obs["batch"] = pd.Categorical(np.where(obs["condition"] == "treated", "b", "a"))
    with pytest.raises(InputError, match="confounded"):
        analyse(counts, obs, BatchedInference())


def test_genes_without_convergence_get_the_optimum() -> None:
    """An iteration limit of two sends every gene to the search,
    which ends where iterations would.
    """
    counts, obs = simulate(20, 8, seed=5)
    X = np.column_stack([np.ones(8), obs["condition"] == "treated"]).astype(float)
    inference = BatchedInference()
    common = {"size_factors": np.ones(8), "design_matrix": X, "min_mu": 1e-6, "beta_tol": 1e-12}
    values, disp = counts.to_numpy(), np.full(20, 0.1)
    searched = inference.irls(values, disp=disp, maxiter=2, **common)
    assert inference.fallbacks["irls"] == 20
    iterated = inference.irls(values, disp=disp, **common)
    assert inference.fallbacks["irls"] == 20
    assert searched[3].all()
    for a, b in zip(searched[:3], iterated[:3], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_other_optimizers_go_to_the_default() -> None:
    counts, _ = simulate(5, 8)
    inference, default = BatchedInference(), DefaultInference(n_cpus=1)
    arguments = (
        counts.to_numpy(), np.ones((8, 1)), np.tile(counts.mean().to_numpy(), (8, 1)) + 1,
        np.full(5, 0.1), 1e-8, 10.0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = inference.alpha_mle(*arguments, optimizer="BFGS")
        np.testing.assert_array_equal(ours, default.alpha_mle(*arguments, optimizer="BFGS"))
    assert inference.fallbacks["alpha_mle"] == 5


@pytest.mark.parametrize("arguments", [{"n_cpus": 0}, {"chunk_genes": 0}, {"n_cpus": 1.5}])
def test_impossible_settings_are_refused(arguments: Any) -> None:
    with pytest.raises(InputError, match="at least 1"):
        BatchedInference(**arguments)


def test_impossible_floor_is_refused() -> None:
    with pytest.raises(InputError, match="wald_min_mu"):
        BatchedInference(wald_min_mu=-1.0)


def test_pydeseq2_can_set_the_threads() -> None:
    counts, obs = simulate(20, 8)
    inference = BatchedInference()
    DeseqDataSet(
        counts=counts, metadata=obs, design="~condition", inference=inference, n_cpus=2, quiet=True
    )
    assert inference.n_cpus == 2


def test_inference_by_name() -> None:
    assert isinstance(fit.make_inference("batched", 2), BatchedInference)
    assert isinstance(fit.make_inference("default", 1), DefaultInference)
    with pytest.raises(InputError, match="fast"):
        fit.make_inference("fast")  # type: ignore[arg-type]


def test_differing_samples_are_refused() -> None:
    counts, obs = simulate(20, 8)
    with pytest.raises(InputError, match="obs differ"):
        fit.fit_dataset(counts, obs.rename({"s0": "t0"}), "~condition")
    with pytest.raises(InputError, match="duplicated"):
        twice = {"s0": "s1"}
        fit.fit_dataset(counts.rename(twice), obs.rename(twice), "~condition")


def test_runs_where_no_cache_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def double(x: float) -> float:
        return 2.0 * x

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(double)
    assert search._compiled(double)(2.0) == 4.0


def test_installation_compiles_all_that_a_study_needs() -> None:
    # In a process of its own: other tests have compiled more.
    code = """
import numpy as np, pandas as pd
from pydeseq2.ds import DeseqStats
from alsmuscle.bulk import inference as fit
from alsmuscle.bulk.kernels import coefficients, dispersion, search, shrinkage
def compiled():
    modules = (search, dispersion, coefficients, shrinkage)
    kernels = {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if hasattr(value, "signatures")
    }
    return {name: len(kernel.signatures) for name, kernel in kernels.items()}
fit.compile_kernels()
before = compiled()
rng = np.random.default_rng(1)
names = [f"x{i}" for i in range(12)]
obs = pd.DataFrame({"kind": list("abc") * 4, "age": rng.normal(50, 9, 12)}, names)
counts = pd.DataFrame(rng.negative_binomial(3, 0.02, (12, 700)), names).rename(columns="g{}".format)
counts.iloc[0, :40] = 100_000
for design in ("~kind", "~kind + age", "~age"):
    dds = fit.fit_dataset(counts, obs, design, inference="batched", n_cpus=2)
    name = dds.obsm["design_matrix"].columns[-1]
    vector = (dds.obsm["design_matrix"].columns == name).astype(float)
    stats = DeseqStats(dds, contrast=vector, inference=dds.inference, quiet=True)
    stats.summary()
    stats.lfc_shrink(coeff=name)
assert before and compiled() == before, (before, compiled())
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
