"""Several samples of one donor: put together, or a fit that knows how alike they are.

Which of both is decided in :mod:`alsmuscle.design.repeats`. Where samples of one person (both legs,
regions, visits) are on one side of a comparison, so that no block can take the person out, the
errors of a person's samples are given one correlation, the same for all genes: the consensus of
each gene's own, by restricted maximum likelihood, as limma's ``duplicateCorrelation`` (Smyth,
Michaud and Scott 2005, Bioinformatics 21:2067, 10.1093/bioinformatics/bti270). Checked against
limma in ``tests/reference/donors``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core import log
from alsmuscle.core.contracts import measure
from alsmuscle.core.types import Floats
from alsmuscle.design import matrix, repeats
from alsmuscle.stats import distributions, linear

if TYPE_CHECKING:
    from anndata import AnnData

# Bounds of a gene's own correlation, and the share of genes cut off at either end of their mean.
MAX_CORRELATION = 0.99
TRIM = 0.15
_CHUNK = 1000


class Correlation(NamedTuple):
    """``consensus`` of all genes, and ``genes`` (g,):
    each gene's own, missing where it has none.
    """

    consensus: float
    genes: Floats


def indicator(donor: npt.ArrayLike) -> Floats:
    """Return samples × donors, 1 where the sample is the donor's."""
    names, code = np.unique(np.asarray(donor, dtype=str), return_inverse=True)
    return np.asarray(np.eye(len(names))[code])


def correlation(
    values: Floats, X: Floats, donor: npt.ArrayLike, weights: Floats | None = None
) -> Correlation:
    """Estimate how far a donor's samples resemble each other beyond the design.

    Parameters
    ----------
    values
        Genes × samples, log2 expression.
    X
        Samples × terms, full rank.
    donor
        Per sample whose it is.
    weights
        Genes × samples, precisions; equal ones when left out.

    Returns
    -------
    Correlation
        A negative one is possible; the consensus is the hyperbolic tangent of the mean, 15 % cut
        off at either end, of the genes' inverse hyperbolic tangents.

    Raises
    ------
    ValueError
        No donor has two samples, every sample is of one donor, or the design leaves nothing.
    """
    Z = indicator(donor)
    n, p = X.shape
    size = Z.sum(axis=0).max()
    if size < 2 or Z.shape[1] < 2 or n <= p + 2:
        raise ValueError("no donor has two samples beside others, or too few samples are left")
    low = 1 / (1 - size) + 0.01
    found = np.full(len(values), np.nan)
    for start in range(0, len(values), _CHUNK):
        rows = slice(start, start + _CHUNK)
        root = np.ones((1, n)) if weights is None else np.sqrt(weights[rows])
        # The correlation is one of weighted errors, as in the fit that uses it: Z has no weights.
        own, squares = _independent(values[rows] * root, root[:, :, None] * X, Z)
        found[rows] = _restricted(own, squares, low)
    arc = np.sort(np.arctanh(found[np.isfinite(found)]))
    if not len(arc):
        raise ValueError("no gene varies within donors")
    cut = int(len(arc) * TRIM)
    return Correlation(float(np.tanh(arc[cut : len(arc) - cut].mean())), found)


def _independent(y: Floats, X: Floats, Z: Floats) -> tuple[Floats, Floats]:
    """Rotate each gene so that what the design leaves falls into independent parts.

    Returns
    -------
    own, squares
        Genes × (n - p): each part is of variance s0 + s1 own, and its square.
    """
    n, p = X.shape[1:]
    q = np.linalg.qr(X, mode="complete")[0][:, :, p:]
    u, s, _ = np.linalg.svd(np.einsum("gnr,nb->grb", q, Z), full_matrices=True)
    own = np.zeros((len(X), n - p))
    own[:, : s.shape[1]] = s**2
    left = np.einsum("gnr,grk->gnk", q, u)
    if len(X) == 1:
        return np.broadcast_to(own, (len(y), n - p)), (y @ left[0]) ** 2
    return own, np.einsum("gn,gnk->gk", y, left) ** 2


def _restricted(own: Floats, squares: Floats, low: float) -> Floats:
    """Maximise each gene's restricted likelihood over its correlation; missing without variance."""

    def loss(rho: Floats) -> Floats:
        relative = 1 - rho[:, None] + rho[:, None] * own
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = (squares / relative).mean(axis=1)
            value = np.log(scale) + np.log(relative).mean(axis=1)
        return np.where((relative > 0).all(axis=1) & np.isfinite(value), value, np.inf)

    grid = np.linspace(low, MAX_CORRELATION, 41)
    losses = np.array([loss(np.full(len(squares), rho)) for rho in grid])
    best = losses.argmin(axis=0)
    a, b = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
    golden = (5**0.5 - 1) / 2
    for _ in range(40):
        c, d = b - golden * (b - a), a + golden * (b - a)
        left = loss(c) < loss(d)
        a, b = np.where(left, a, c), np.where(left, d, b)
    usable = np.isfinite(losses.min(axis=0)) & (squares.sum(axis=1) > 1e-12)
    return np.where(usable, (a + b) / 2, np.nan)


def whitener(donor: npt.ArrayLike, rho: float) -> Floats:
    """Return the matrix that turns samples of correlated donors into independent ones.

    The inverse of the Cholesky factor of a correlation matrix with ``rho`` between the samples of a
    donor and 0 elsewhere: least squares of the transformed expression on the transformed design is
    generalised least squares of the original ones.
    """
    Z = indicator(donor)
    V = Z @ Z.T * rho
    np.fill_diagonal(V, 1.0)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(V)))


class Model(NamedTuple):
    """Expression and design as independent samples, and what made them so.

    ``values`` (g, n) and ``X`` (n, p), or (g, n, p) with weights: transformed; ``mean`` (g,) mean
    log expression before; ``consensus`` the donors' correlation; ``passes`` what it was before,
    too.
    """

    values: Floats
    X: Floats
    mean: Floats
    consensus: float
    passes: tuple[float, ...]


def of_log(
    values: Floats, X: Floats, donor: npt.ArrayLike, *, passes: Sequence[float] = ()
) -> Model:
    """Transform log expression (genes × samples) so that its samples are independent.

    ``passes``: the correlation, where it is known.
    """
    rho = passes[0] if len(passes) else correlation(values, X, donor).consensus
    white = whitener(donor, rho)
    return Model(values @ white.T, white @ X, values.mean(axis=1), rho, (rho,))


def of_counts(
    counts: Floats,
    X: Floats,
    donor: npt.ArrayLike,
    lib_size: Floats | None,
    *,
    passes: Sequence[float] = (),
) -> Model:
    """Transform counts (genes × samples): two passes of voom and of the correlation.

    The weights depend on the fit, the fit on the correlation, the correlation on the weights;
    limma's manual (section 18.1.9) goes through it twice. ``passes``: the correlations, where they
    are known.
    """
    white: Floats | None = None
    rhos = list(passes)
    for i in range(2):
        values, weights = linear.voom(counts, X, lib_size, whitener=white)
        if len(rhos) == i:
            rhos.append(correlation(values, X, donor, weights).consensus)
        white = whitener(donor, rhos[i])
    root, last = np.sqrt(weights), whitener(donor, rhos[1])
    return Model(
        (root * values) @ last.T,
        np.einsum("mn,gnp->gmp", last, root[:, :, None] * X, optimize=True),
        values.mean(axis=1),
        rhos[1],
        tuple(rhos),
    )


# --- samples put together -------------------------------------------------------------------


def units(adata: AnnData, contrast: Mapping[str, Any], *, mean: bool) -> AnnData:
    """Put samples of a donor together where the contrast's model treats them as one.

    Parameters
    ----------
    adata
        Samples × genes.
    contrast
        As ``cards.contrast`` returns it.
    mean
        Average (logarithms) instead of adding up (counts).

    Returns
    -------
    AnnData
        The same where nothing is to be put together, else the samples used: a donor's samples under
        the name, and with the description, of the first.
    """
    from alsmuscle.core.annotated import anndata

    used = matrix.used_samples(adata.obs, contrast)
    first = repeats.members(used, contrast)
    if not first.duplicated().any():
        return adata
    names = list(dict.fromkeys(first))
    share = (first.to_numpy()[None, :] == np.asarray(names)[:, None]).astype(float)
    if mean:
        share /= share.sum(axis=1, keepdims=True)
    X = share @ np.asarray(adata[used.index].X, dtype=float)
    return anndata.AnnData(
        X=X if mean else np.rint(X).astype(np.int64),
        obs=adata.obs.loc[names].copy(),
        var=adata.var.copy(),
        uns={key: value for key, value in adata.uns.items() if key == "measure"},
    )


def describe(fitted: AnnData, used: pd.DataFrame, contrast: Mapping[str, Any]) -> None:
    """Note in a fit whose its samples are, what was done about repeats, and their correlation.

    ``obs["donor"]``; ``uns["donors"]``, in words; ``uns["donor_correlation"]`` where a donor's
    samples are correlated in the model, missing where it cannot be estimated.

    Parameters
    ----------
    used
        The samples used, before any were put together.
    """
    found = repeats.handling(used, contrast)
    fitted.obs["donor"] = matrix.donor(used.loc[fitted.obs_names], contrast).to_numpy()
    put = "averaged" if measure(fitted) == "intensities" else "summed"
    words = {
        "one": "" if found.together else "one sample each",
        "blocked": "blocked",
        "correlated": "correlated",
        "independent": f"independent: {dict(contrast.get('repeats') or {}).get('independent', '')}"
        if found.rest == "independent"
        else "",
    }[found.rest]
    fitted.uns["donors"] = ", ".join(filter(None, [put if found.together else "", words]))
    if found.rest == "correlated":
        fitted.uns["donor_correlation"] = np.nan
        try:
            if fitted.uns["fitted"]:
                model = _model(fitted)
                fitted.uns["donor_correlation"] = float(model.consensus)
                fitted.uns["donor_passes"] = np.array(model.passes)
        except ValueError as error:
            log.get("donors").warning("a donor's samples: %s", error)


def correlated(fitted: AnnData) -> bool:
    """Whether a donor's samples are correlated in a stored fit."""
    return "donor_correlation" in fitted.uns


def testable(fitted: AnnData) -> bool:
    """Whether samples are independent, or the correlation of those of one donor is known."""
    return not correlated(fitted) or bool(np.isfinite(fitted.uns["donor_correlation"]))


def subject(fitted: AnnData) -> pd.Series | None:
    """Return the donor of each sample where the model needs a correlation for them, else None."""
    return fitted.obs["donor"].astype(str) if correlated(fitted) and testable(fitted) else None


def independent(
    expression: pd.DataFrame, design: pd.DataFrame, donor: pd.Series | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Transform expression (genes × samples) and design so that samples are independent.

    The same where ``donor`` is None (:func:`subject`).
    """
    if donor is None:
        return expression, design
    model = of_log(expression.to_numpy(float), design.to_numpy(float), donor)
    values = pd.DataFrame(model.values, expression.index, expression.columns)
    return values, pd.DataFrame(model.X, design.index, design.columns)


# --- tests of correlated samples ------------------------------------------------------------


def _model(fitted: AnnData) -> Model:
    """Transform a fit's samples: intensities, or the expressed genes' counts."""
    X = fitted.obsm["design_matrix"].to_numpy(float)
    values = np.asarray(fitted.X, dtype=float)
    donor = fitted.obs["donor"].astype(str)
    passes = fitted.uns.get("donor_passes", ())
    if measure(fitted) == "intensities":
        return of_log(values.T, X, donor, passes=passes)
    factors = fitted.obs["size_factors"].to_numpy(float)
    # Library sizes as the size factors see them, on the scale of the sums.
    size = factors * np.exp(np.mean(np.log(values.sum(axis=1)) - np.log(factors)))
    counts = values[:, fitted.var["expressed"].to_numpy(bool)].T
    return of_counts(counts, X, donor, size, passes=passes)


def linear_fit(fitted: AnnData) -> linear.Fit:
    """Fit the linear model of a stored fit whose samples are correlated within donors.

    Genes are all of an array's, or the expressed ones of counts (``var["expressed"]``).
    """
    model = _model(fitted)
    return linear.fit(model.values, model.X)._replace(mean=model.mean)


def test(fitted: AnnData, table: pd.DataFrame, vector: Floats, *, tested: bool) -> pd.DataFrame:
    """Replace a table's tests of counts by those that know the donors.

    Parameters
    ----------
    fitted
        As :func:`describe` leaves it.
    table
        Contract ``de``, of the negative binomial. Genes that are hardly expressed keep its effect,
        without error or test.
    vector
        The contrast over the design's terms.
    tested
        Whether there are donors enough for a test.
    """
    numbers = ["log2fc", "lfc_se", "stat", "df", "pvalue", "padj"]
    out = table.set_index("gene_id")
    out[["log2fc_shrunk", *numbers[1:]]] = np.nan
    if tested and testable(fitted):
        found = linear.moderated_t(linear_fit(fitted), vector, trend=False)
        found = found.rename(columns={"effect": "log2fc", "se": "lfc_se"})
        found["padj"] = distributions.adjust(found["pvalue"])
        found.index = fitted.var_names[fitted.var["expressed"].to_numpy(bool)]
        out.loc[found.index, numbers] = found[numbers]
    out = out.reset_index()[list(table.columns)]
    return out.sort_values(["pvalue", "gene_id"], kind="stable", ignore_index=True)


def omnibus(fitted: AnnData, table: pd.DataFrame) -> pd.DataFrame:
    """Replace likelihood-ratio tests of counts by F tests that know the donors (contract
    ``omnibus``).
    """
    parts = []
    genes = fitted.var_names[fitted.var["expressed"].to_numpy(bool)]
    model = linear_fit(fitted) if testable(fitted) else None
    for name, dropped in json.loads(str(fitted.uns["omnibus"])).items():
        part = table[table["test"] == name].set_index("gene_id")
        few = part["pvalue"].isna().all()
        part[["stat", "df_residual", "pvalue", "padj"]] = np.nan
        if model is not None and not few:
            columns = [list(fitted.uns["terms"]).index(term) for term in dropped]
            found = linear.moderated_f(model, columns, trend=False).set_index(genes)
            part.loc[genes, "stat"] = found["stat"] * len(dropped)
            part.loc[genes, "df_residual"] = found["df_residual"]
            part.loc[genes, "pvalue"] = found["pvalue"]
            part.loc[genes, "padj"] = distributions.adjust(found["pvalue"])
        part = part.reset_index()[list(table.columns)]
        parts.append(part.sort_values(["pvalue", "gene_id"], kind="stable"))
    return pd.concat(parts, ignore_index=True) if parts else table


# --- errors of sums over genes --------------------------------------------------------------


def between(X: Floats, donor: npt.ArrayLike) -> int:
    """Return the rank of what a design says of donors, not of their single samples."""
    Z = indicator(donor)
    means = Z @ ((Z.T @ X) / Z.sum(axis=0)[:, None])
    constant = np.isclose(means, X).all(axis=0)
    return int(np.linalg.matrix_rank(X[:, constant])) if constant.any() else 0


def inflation(root: Floats, X: Floats, vector: Floats, donor: npt.ArrayLike, rho: float) -> Floats:
    """How many times larger the variance of an effect is than independent samples would have it.

    Parameters
    ----------
    root
        Genes × samples: square roots of the working weights.
    """
    Z = indicator(donor)
    V = Z @ Z.T * rho
    np.fill_diagonal(V, 1.0)
    design = root[:, :, None] * X
    bread = np.linalg.inv(np.einsum("gnp,gnq->gpq", design, design, optimize=True))
    side = np.einsum("gnp,gpq,q->gn", design, bread, vector, optimize=True)
    return np.asarray(((side @ V) * side).sum(axis=1) / (side**2).sum(axis=1))


def by_donor(influence: Floats, donor: npt.ArrayLike) -> Floats:
    """Sum samples' shares in an effect (genes × samples) over each donor.

    Scaled so that the squares of their sum over genes, summed over donors and divided by the
    donors' residual degrees of freedom (donors less :func:`between`), is its variance: with as many
    samples of every donor that is least squares on the donors' means, whatever their correlation
    is.
    """
    Z = indicator(donor)
    return np.asarray((influence @ Z) * np.sqrt(Z.shape[1]))
