"""Compiled inference for PyDESeq2: the default's numbers, without its loop over genes in Python.

:class:`BatchedInference` implements PyDESeq2's ``Inference`` interface. It solves the optimisation
problems of PyDESeq2's default (Muzellec et al. 2023, doi:10.1093/bioinformatics/btad547), which
are those of DESeq2 (Love, Huber and Anders 2014, doi:10.1186/s13059-014-0550-8).

Why the same numbers: maximum-likelihood dispersions are flat functions, and the default stops its
optimiser early. A better optimum would therefore be a *different* answer in the third digit, and
for genes without overdispersion in the first. So the kernels take the same steps (iteratively
reweighted least squares; the L-BFGS-B iteration of Byrd et al. 1995, which in one dimension is a
projected secant method; the line search of Moré and Thuente 1994) and stop by the same rules.
Genes for which a kernel meets anything unusual are handed, one by one, to PyDESeq2's own function;
where iterations for the coefficients diverge, to a search for the optimum as DESeq2's.

Where the numbers differ: the default's likelihood carries the rounding of n / alpha log alpha. On
the plain towards zero dispersion that hides the slope, and a search that overshoots onto the plain
may be taken as ended there, tens of log-likelihood units below the optimum (DESeq2's search too).
Which genes it happens to depends on the order of the samples; it is a handful in 20,000, and shifts
the trend, and so every dispersion, in the fourth digit. The kernels' likelihood has no such
rounding, and they go on to the optimum. Where rounding makes the default's line search fail, its
grid search leaves out the prior; here such genes keep the optimum they had reached. And its search
for coefficients that diverge floors fitted means at 0.5, as its iterations do, but not their slope,
and can stop anywhere: tens of log-likelihood units below the optimum, where DESeq2 and the kernels'
fallback go.

Why it is fast: each gene is one compiled loop over its samples, special functions share their
logarithms, and blocks of genes run on threads (the kernels release the GIL). Each gene is summed
in the order of the samples, whatever the thread or the block, so neither changes a value;
:func:`fit_dataset` also takes the order of samples and genes out of the result.

Importing this module imports numba and PyDESeq2: import it where it is used.

Compiled code is cached by numba beside this file, or where that is not writable in the user's cache
directory, or wherever ``NUMBA_CACHE_DIR`` points. Where nothing is writable the kernels are
compiled anew in each process, which costs some seconds and changes nothing else.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from scipy.special import ndtr
from threadpoolctl import threadpool_limits

from alsmuscle.bulk.kernels.coefficients import _RIDGE, _irls_block, _linear_block, _wald_block
from alsmuscle.bulk.kernels.dispersion import _alpha_block
from alsmuscle.bulk.kernels.search import (
    Array,
)
from alsmuscle.bulk.kernels.shrinkage import _shrink_block
from alsmuscle.bulk.pydeseq import (
    DefaultInference,
    DeseqDataSet,
    DeseqStats,
    Inference,
    utils,
)
from alsmuscle.core.errors import InputError

# ---------------------------------------------------------------------- special functions


# ------------------------------------------------------------------ small dense matrices


# ------------------------------------------------------------------------- line search


# ------------------------------------------------------------------------- dispersions


# ------------------------------------------------------------------------ coefficients


# --------------------------------------------------------------------------- shrinkage


# ------------------------------------------------------------------------ linear model


def _coefficients(
    y: Array, size_factors: Array, X: Array, alpha: float, bounds: tuple[float, float]
) -> tuple[Array, bool]:
    """Return the coefficients of greatest likelihood of one gene, and whether they were found.

    For a fixed dispersion the log-likelihood is concave in the coefficients, so there is one
    optimum, and a search from zero finds it (as DESeq2's does where its iterations diverge). Means
    have no floor here: it would cut holes into the slope, in which PyDESeq2's search gets stuck.
    """
    from scipy.optimize import minimize

    r = 1.0 / alpha

    def loss(beta: Array) -> tuple[float, Array]:
        eta = X @ beta + np.log(size_factors)
        log_t = np.logaddexp(eta, math.log(r))  # log(mu + r)
        value = float(((y + r) * log_t - y * eta).sum() + 0.5 * _RIDGE * beta @ beta)
        return value, X.T @ ((y + r) * np.exp(eta - log_t) - y) + _RIDGE * beta

    found = minimize(
        loss,
        np.zeros(X.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=[bounds] * X.shape[1],
        options={"ftol": 1e-14, "gtol": 1e-7},
    )
    return found.x, bool(found.success)


# -------------------------------------------------------------------------- interface


class BatchedInference(Inference):  # type: ignore[misc]
    """PyDESeq2 inference that fits all genes in compiled code, on threads.

    Pass an instance as ``inference=`` to ``DeseqDataSet`` and ``DeseqStats``.

    Parameters
    ----------
    n_cpus
        Threads. Values do not depend on it. PyDESeq2 may set the attribute of this name.
    chunk_genes
        Genes per task. Work space is per task and per gene, so this bounds nothing but the
        granularity; values do not depend on it.
    wald_min_mu
        Means below it count as this much in the Wald test's standard errors. 0: PyDESeq2's
        numbers. 0.5: DESeq2's, which uses here the floor that both use while fitting. It matters
        for genes absent from one group: their statistics are up to a fifth larger with it.

    Attributes
    ----------
    fallbacks
        How often each step handed a gene to a search of its own, by name of the step.
    """

    def __init__(self, n_cpus: int = 1, chunk_genes: int = 512, wald_min_mu: float = 0.0) -> None:
        """See the class."""
        for name, value in (("n_cpus", n_cpus), ("chunk_genes", chunk_genes)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is {value!r}", expected="an integer of at least 1")
        self.n_cpus = n_cpus
        self.chunk_genes = chunk_genes
        if not 0.0 <= wald_min_mu < math.inf:
            raise InputError(f"wald_min_mu is {wald_min_mu!r}", expected="a number, 0 or above")
        self.wald_min_mu = float(wald_min_mu)
        self.fallbacks: Counter[str] = Counter()

    def _chunks(self, n_genes: int) -> Iterable[tuple[int, int]]:
        return (
            (start, min(start + self.chunk_genes, n_genes))
            for start in range(0, n_genes, self.chunk_genes)
        )

    def _run(self, kernel: Callable[..., Any], n_genes: int, *arguments: Any) -> None:
        """Run ``kernel(start, stop, ...)`` over all genes; the GIL is released inside."""
        with ThreadPoolExecutor(self.n_cpus) as pool:
            tasks = [pool.submit(kernel, *span, *arguments) for span in self._chunks(n_genes)]
            for task in tasks:
                task.result()

    def _fall_back(self, step: str, genes: Array) -> list[int]:
        self.fallbacks[step] += len(genes)
        return [int(gene) for gene in genes]

    def lin_reg_mu(
        self, counts: Array, size_factors: Array, design_matrix: Array, min_mu: float
    ) -> Array:
        """Return fitted means (samples x genes) of a linear model on normalised counts."""
        return self._linear(counts, size_factors, design_matrix, min_mu).T

    def _linear(self, values: Array, scale: Array, design_matrix: Array, minimum: float) -> Array:
        """Return fitted values, genes x samples."""
        _check_design(design_matrix)
        Q, _ = np.linalg.qr(_matrix(design_matrix))
        y = _by_gene(values)
        fitted = np.empty(y.shape)
        self._run(_linear_block, len(y), y, _matrix(scale), _matrix(Q), float(minimum), fitted)
        return fitted

    def irls(
        self,
        counts: Array,
        size_factors: Array,
        design_matrix: Array,
        disp: Array,
        min_mu: float,
        beta_tol: float,
        min_beta: float = -30,
        max_beta: float = 30,
        optimizer: Literal["BFGS", "L-BFGS-B"] = "L-BFGS-B",
        maxiter: int = 250,
    ) -> tuple[Array, Array, Array, Array]:
        """Fit the negative binomial GLM of each gene.

        Returns coefficients (genes x p, natural log), unthresholded means and leverages (samples x
        genes), and whether each gene converged. See ``Inference.irls``.
        """
        _check_design(design_matrix)
        y, X = _by_gene(counts), _matrix(design_matrix)
        size_factors = np.ascontiguousarray(size_factors, dtype=float)
        disp = np.ascontiguousarray(disp, dtype=float)
        n_genes = len(y)
        beta = np.full((n_genes, X.shape[1]), np.nan)
        mu, hat = np.empty(y.shape), np.empty(y.shape)
        converged = np.zeros(n_genes, dtype=np.bool_)
        self._run(
            _irls_block,
            n_genes,
            y,
            size_factors,
            X,
            np.ascontiguousarray(np.linalg.pinv(X)),
            disp,
            float(min_mu),
            float(beta_tol),
            float(max_beta),
            int(maxiter),
            beta,
            mu,
            hat,
            converged,
        )
        for gene in self._fall_back("irls", np.flatnonzero(~converged)):
            beta[gene], converged[gene] = _coefficients(
                y[gene], size_factors, X, disp[gene], (min_beta, max_beta)
            )
            mu[gene] = size_factors * np.exp(X @ beta[gene])
            floored = np.maximum(mu[gene], min_mu)
            w = floored / (1.0 + floored * disp[gene])
            inverse = np.linalg.inv((X.T * w) @ X + _RIDGE * np.eye(X.shape[1]))
            hat[gene] = w * np.einsum("ij,jk,ik->i", X, inverse, X)
        return beta, mu.T, hat.T, converged

    def alpha_mle(
        self,
        counts: Array,
        design_matrix: Array,
        mu: Array,
        alpha_hat: Array,
        min_disp: float,
        max_disp: float,
        prior_disp_var: float | None = None,
        cr_reg: bool = True,
        prior_reg: bool = False,
        optimizer: Literal["BFGS", "L-BFGS-B"] = "L-BFGS-B",
    ) -> tuple[Array, Array]:
        """Estimate each gene's dispersion, with Cox-Reid term and optional log-normal prior.

        Returns dispersions and whether each gene converged. See ``Inference.alpha_mle``.
        """
        _check_design(design_matrix)
        if prior_reg and prior_disp_var is None:
            raise ValueError("prior_reg needs prior_disp_var")
        y, X, fitted = _by_gene(counts), _matrix(design_matrix), _by_gene(mu)
        alpha_hat = np.ascontiguousarray(alpha_hat, dtype=float)
        n_genes = len(y)
        alpha = np.full(n_genes, np.nan)
        converged = np.zeros(n_genes, dtype=np.bool_)
        if optimizer == "L-BFGS-B":
            self._run(
                _alpha_block,
                n_genes,
                y,
                X,
                fitted,
                alpha_hat,
                math.log(min_disp),
                math.log(max_disp),
                1.0 / float(prior_disp_var) if prior_reg and prior_disp_var else 0.0,
                bool(cr_reg),
                alpha,
                converged,
            )
        for gene in self._fall_back("alpha_mle", np.flatnonzero(~converged)):
            alpha[gene], converged[gene] = utils.fit_alpha_mle(
                counts=y[gene],
                design_matrix=X,
                mu=fitted[gene],
                alpha_hat=alpha_hat[gene],
                min_disp=min_disp,
                max_disp=max_disp,
                prior_disp_var=prior_disp_var,
                cr_reg=cr_reg,
                prior_reg=prior_reg,
                optimizer=optimizer,
            )
        return alpha, converged

    def wald_test(
        self,
        design_matrix: Array,
        disp: Array,
        lfc: Array,
        mu: Array,
        ridge_factor: Array,
        contrast: Array,
        lfc_null: Any,
        alt_hypothesis: Literal["greaterAbs", "lessAbs", "greater", "less"] | None = None,
    ) -> tuple[Array, Array, Array]:
        """Return Wald p-values, statistics and standard errors. See ``Inference.wald_test``."""
        X, fitted = _matrix(design_matrix), _by_gene(mu)
        disp, lfc = np.ascontiguousarray(disp, dtype=float), np.asarray(lfc, dtype=float)
        contrast = np.ascontiguousarray(contrast, dtype=float)
        ridge = _matrix(ridge_factor)
        n_genes = len(fitted)
        se = np.full(n_genes, np.nan)
        done = np.zeros(n_genes, dtype=np.bool_)
        floor = self.wald_min_mu
        self._run(_wald_block, n_genes, X, disp, fitted, floor, ridge, contrast, se, done)
        # Genes without a fit (all zero) stay NaN; the rest is for the default.
        failed = np.flatnonzero(~done & np.isfinite(disp) & np.isfinite(fitted).all(axis=1))
        for gene in self._fall_back("wald_test", failed):
            _, _, se[gene] = utils.wald_test(
                X,
                disp[gene],
                lfc[gene],
                np.maximum(fitted[gene], floor),
                ridge,
                contrast,
                lfc_null,
                None,
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic, p_value = _wald_statistic(lfc, se, contrast, lfc_null, alt_hypothesis)
        return p_value, statistic, se

    def fit_rough_dispersions(self, normed_counts: Array, design_matrix: Array) -> Array:
        """Return rough dispersions from a linear model, in blocks of genes."""
        design = np.asarray(design_matrix, dtype=float)
        n_samples, n_vars = design.shape
        if n_samples == n_vars:
            raise InputError(
                f"the design has as many columns ({n_vars}) as there are samples",
                expected="more samples than columns, so that there are replicates to measure noise",
                remedy="drop design variables, or report effects without p-values",
            )
        y = _by_gene(normed_counts)
        fitted = self._linear(normed_counts, np.ones(n_samples), design, 1.0)
        rough = np.empty(len(y))
        for start, stop in self._chunks(len(y)):
            mean = fitted[start:stop]
            excess = ((y[start:stop] - mean) ** 2 - mean) / ((n_samples - n_vars) * mean**2)
            rough[start:stop] = excess.sum(axis=1)
        return np.maximum(rough, 0)

    def fit_moments_dispersions(self, normed_counts: Array, size_factors: Array) -> Array:
        """Return dispersions by the method of moments (PyDESeq2's function)."""
        return cast(Array, utils.fit_moments_dispersions(normed_counts, size_factors))

    def dispersion_trend_gamma_glm(
        self, covariates: pd.Series[float], targets: pd.Series[float]
    ) -> tuple[Array, Array, bool]:
        """Fit the trend's gamma GLM (PyDESeq2's function: it is one small problem)."""
        fitted = DefaultInference.dispersion_trend_gamma_glm(self, covariates, targets)
        return cast(tuple[Array, Array, bool], fitted)

    def lfc_shrink_nbinom_glm(
        self,
        design_matrix: Array,
        counts: Array,
        size: Array,
        offset: Array,
        prior_no_shrink_scale: float,
        prior_scale: float,
        optimizer: str,
        shrink_index: int,
    ) -> tuple[Array, Array, Array]:
        """Return shrunken coefficients, inverse Hessians (genes x p x p) and convergence."""
        _check_design(design_matrix)
        y, X = _by_gene(counts), _matrix(design_matrix)
        size = np.ascontiguousarray(size, dtype=float)
        offset = np.ascontiguousarray(offset, dtype=float)
        n_genes, p = len(y), X.shape[1]
        beta = np.full((n_genes, p), np.nan)
        inverse: Array = np.tile(np.eye(p), (n_genes, 1, 1))
        converged = np.zeros(n_genes, dtype=np.bool_)
        if optimizer == "L-BFGS-B":
            self._run(
                _shrink_block,
                n_genes,
                y,
                X,
                size,
                offset,
                float(prior_no_shrink_scale),
                float(prior_scale),
                int(shrink_index),
                beta,
                inverse,
                converged,
            )
        inverse = np.linalg.inv(inverse)
        for gene in self._fall_back("lfc_shrink", np.flatnonzero(~converged)):
            beta[gene], inverse[gene], converged[gene] = utils.nbinomGLM(
                design_matrix=X,
                counts=y[gene],
                size=size[gene],
                offset=offset,
                prior_no_shrink_scale=prior_no_shrink_scale,
                prior_scale=prior_scale,
                optimizer=optimizer,
                shrink_index=shrink_index,
            )
        return beta, inverse, converged


class Dataset(DeseqDataSet):  # type: ignore[misc]
    """PyDESeq2's data set; its trend is fitted to all genes at once.

    The original looks at the genes one by one for means of zero, which takes longer than all else
    of a fit together.
    """

    def _fit_parametric_dispersion_trend(self, vst: bool = False) -> None:
        column = "vst_genewise_dispersions" if vst else "genewise_dispersions"
        if column not in self.var:
            self.fit_genewise_dispersions(vst)
        genes = self.var.loc[self.non_zero_genes]
        dispersion = genes[column].to_numpy(dtype=float)
        with np.errstate(divide="ignore"):
            inverse = 1 / genes["_normed_means"].to_numpy(dtype=float)
        used = np.isfinite(inverse)
        before, now = np.full(2, 0.1), np.ones(2)
        while (np.log(now / before) ** 2).sum() >= 1e-6:
            before = now
            now, trend, converged = self.inference.dispersion_trend_gamma_glm(
                pd.Series(inverse[used]), pd.Series(dispersion[used])
            )
            if not converged or (now <= 1e-10).any():
                warnings.warn(
                    "The dispersion trend did not converge: the mean of dispersions stands for it.",
                    UserWarning,
                    stacklevel=2,
                )
                self._fit_mean_dispersion_trend(vst)
                return
            # Genes too far from the curve take no part in the next round.
            ratio = dispersion[used] / trend
            used[used] = (ratio >= 1e-4) & (ratio < 15)
        coefficients = pd.Series(now, index=["a0", "a1"])
        if vst:
            self.uns["vst_trend_coeffs"] = coefficients
            return
        self.uns["trend_coeffs"] = coefficients
        self.uns["disp_function_type"] = "parametric"
        self.var["fitted_dispersions"] = np.nan
        present = self.var["non_zero"]
        self.var.loc[present, "fitted_dispersions"] = self.disp_function(
            self.var.loc[present, "_normed_means"]
        )


def make_inference(
    inference: Literal["batched", "default"], n_cpus: int = 1, wald_min_mu: float = 0.0
) -> Inference:
    """Return the inference of this name: ours, or PyDESeq2's own for comparison.

    ``wald_min_mu`` is for ours alone, see :class:`BatchedInference`.
    """
    if inference == "batched":
        return BatchedInference(n_cpus=n_cpus, wald_min_mu=wald_min_mu)
    if inference == "default":
        return DefaultInference(n_cpus=n_cpus)
    raise InputError(f"inference is {inference!r}", expected="batched or default")


def fit_dataset(
    counts: pd.DataFrame,
    obs: pd.DataFrame,
    design: str | pd.DataFrame,
    *,
    inference: Literal["batched", "default"],
    n_cpus: int = 1,
    wald_min_mu: float = 0.0,
    **options: Any,
) -> DeseqDataSet:
    """Fit PyDESeq2's model to ``counts`` (samples x genes), whatever the order of rows and columns.

    Sums in floating point depend on their order in the last digit, and a flat likelihood can turn
    that into the third. So samples and genes are sorted by their labels first: tables that differ
    only in order give identical values. Read the result by label; its order is the sorted one.

    Parameters
    ----------
    counts
        Raw integer counts, samples x genes, labelled.
    obs
        Samples in the index, any order.
    design
        A formula over columns of ``obs``, or a design matrix (rows labelled as in ``obs``).
    inference, n_cpus, wald_min_mu
        See :func:`make_inference`. Give ``dds.inference`` to ``DeseqStats``.
    options
        Further keyword arguments of ``pydeseq2.dds.DeseqDataSet``.

    Raises
    ------
    InputError
        If the samples of the tables differ, or the design is not of full rank or leaves no
        replicates.
    """
    samples = counts.index.sort_values()
    for name, table in (("obs", obs), ("the design matrix", design)):
        if isinstance(table, pd.DataFrame) and not table.index.sort_values().equals(samples):
            raise InputError(
                f"the samples of counts and of {name} differ",
                expected="the same sample ids in both, each once per sample",
            )
    if samples.has_duplicates:
        raise InputError("counts has duplicated sample ids", expected="each sample once")
    dds = Dataset(
        counts=counts.loc[samples].sort_index(axis=1, kind="stable"),
        metadata=obs.loc[samples],
        design=design.loc[samples] if isinstance(design, pd.DataFrame) else design,
        inference=make_inference(inference, n_cpus, wald_min_mu),
        quiet=True,
        **options,
    )
    # What is left to BLAS are vectors of two: its threads would wait for each other, and no more.
    with threadpool_limits(1, user_api="blas"):
        dds.deseq2()
    return dds


def compile_kernels() -> None:
    """Compile every kernel into numba's cache: once, at installation, not in the first jobs at
    once.
    """
    rng = np.random.default_rng(0)
    obs = pd.DataFrame({"group": ["a", "b"] * 4}, [f"s{i}" for i in range(8)])
    counts = pd.DataFrame(rng.negative_binomial(5, 0.05, (8, 100)), obs.index)
    counts = counts.rename(columns="g{}".format)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dds = fit_dataset(counts, obs, "~group", inference="batched")
        contrast = ["group", "b", "a"]
        stats = DeseqStats(dds, contrast=contrast, inference=dds.inference, quiet=True)
        stats.summary()
        stats.lfc_shrink(coeff="group[T.b]")


def _matrix(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype=np.float64)


def _by_gene(values: Array) -> Array:
    """Return samples x genes as genes x samples, one gene's values side by side.

    No copy for what PyDESeq2 passes (columns taken from a matrix come in this order). Counts
    stay integers, so that those above 2^31 and 2^53 are what they were.
    """
    values = np.asarray(values).T
    integer = np.issubdtype(values.dtype, np.integer)
    return np.ascontiguousarray(values, dtype=np.int64 if integer else np.float64)


def _check_design(design_matrix: Array) -> None:
    design = np.asarray(design_matrix, dtype=float)
    rank = int(np.linalg.matrix_rank(design))
    if rank < design.shape[1]:
        raise InputError(
            f"the design has {design.shape[1]} columns but rank {rank}: its variables are "
            "confounded, and their effects cannot be told apart",
            expected="a design in which no column is a combination of others",
            remedy="drop a variable that is determined by the others",
        )


def _wald_statistic(
    lfc: Array, se: Array, contrast: Array, lfc_null: Any, alternative: str | None
) -> tuple[Array, Array]:
    """Return statistics and p-values; the clipping is per coefficient, as in PyDESeq2."""

    def project(values: Array) -> Array:
        return values @ contrast

    scale = se[:, None]
    if alternative is None:
        statistic = project(lfc - lfc_null) / se
        return statistic, 2 * ndtr(-np.abs(statistic))
    if alternative == "greaterAbs":
        excess = np.fmax((np.abs(lfc) - lfc_null) / scale, 0)
        statistic = project(np.sign(lfc) * excess)
        return statistic, 2 * ndtr(-np.abs(statistic))

    def greater(null: Any) -> tuple[Array, Array]:
        statistic = project(np.fmax((lfc - null) / scale, 0))
        return statistic, ndtr(-statistic)

    def less(null: Any) -> tuple[Array, Array]:
        statistic = project(np.fmin((lfc - null) / scale, 0))
        return statistic, ndtr(-np.abs(statistic))

    if alternative == "greater":
        return greater(lfc_null)
    if alternative == "less":
        return less(lfc_null)
    if alternative == "lessAbs":
        above, p_above = greater(-np.abs(lfc_null))
        below, p_below = less(np.abs(lfc_null))
        nearer = np.where(np.abs(above) <= np.abs(below), above, below)
        return nearer, np.maximum(p_above, p_below)
    raise InputError(
        f"alt_hypothesis is {alternative!r}",
        expected="one of greaterAbs, lessAbs, greater, less, or none",
    )
