"""Two-group studies simulated on the log2 scale, and what the denervation axis makes of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core.types import Floats
from alsmuscle.stats.bootstrap import bootstrap_effects
from alsmuscle.synthesis.axis import block_delta, denervation_axis


class SimulatedStudy(NamedTuple):
    """A two-group study on the log2 scale with what a contrast function would give.

    ``effects``: genes × (effect, se); ``blocks``: as :func:`block_delta` wants them;
    ``replicates``: bootstrap replicates × genes; ``df``: residual degrees of freedom.
    """

    effects: pd.DataFrame
    blocks: pd.DataFrame
    replicates: pd.DataFrame
    df: float


class SimulatedBiology(NamedTuple):
    """What the simulated studies share: truth and the structure of their noise.

    ``denervation``: effect per gene; ``loadings``: factors × genes; ``noise_sd``: per gene;
    ``members``: ``programme, block, gene_id, sign``.
    """

    denervation: Floats
    loadings: Floats
    noise_sd: Floats
    members: pd.DataFrame


def simulate_biology(
    *, n_genes: int = 800, n_blocks: int = 8, block_size: int = 15, seed: int
) -> SimulatedBiology:
    """Draw a denervation vector, correlated noise and blocks.

    A third of the genes respond to denervation; the noise has six latent factors (composition,
    region), each with its own genes, besides a heavy-tailed part of every gene. Odd blocks are made
    of responding genes of one direction, even ones of genes at random.
    """
    rng = np.random.default_rng(seed)
    responds = rng.random(n_genes) < 1 / 3
    denervation = np.where(responds, rng.normal(0, 1.0, n_genes), 0.0)
    loadings = rng.normal(0, 0.25, (6, n_genes)) * (rng.random((6, n_genes)) < 0.3)
    noise_sd = np.exp(rng.normal(-1.1, 0.5, n_genes))
    free = rng.permutation(n_genes)
    up = [i for i in free if denervation[i] > 0.2]
    rows: list[tuple[str, str, str, int]] = []
    used: set[int] = set()
    for number in range(n_blocks):
        source = up if number % 2 else list(free)
        chosen = [i for i in source if i not in used][:block_size]
        used.update(chosen)
        rows += [(f"P{number}", "b", f"g{i}", 1) for i in chosen]
    members = pd.DataFrame(rows, columns=["programme", "block", "gene_id", "sign"])
    return SimulatedBiology(denervation, loadings, noise_sd, members)


def simulate_study(
    biology: SimulatedBiology,
    *,
    effect: Floats,
    n_target: int,
    n_reference: int,
    severity_sd: float = 0.3,
    n_replicates: int = 200,
    seed: int,
) -> SimulatedStudy:
    """Draw donors, and fit the contrast, its blocks and its bootstrap.

    ``severity_sd`` spreads the target donors along the denervation axis, which is what correlates
    genes along it. Standard errors of genes are moderated towards a rough guess of each gene's
    variance with 4 prior degrees of freedom, as a mean-variance trend would; those of blocks are
    not.
    """
    rng = np.random.default_rng(seed)
    n, genes = n_target + n_reference, biology.denervation.size
    target = np.repeat([1.0, 0.0], [n_target, n_reference])
    severity = rng.normal(0, severity_sd, n) * target
    Y = (
        np.outer(target, effect)
        + np.outer(severity, biology.denervation)
        + rng.normal(size=(n, biology.loadings.shape[0])) @ biology.loadings
        + rng.standard_t(8, (n, genes)) * np.sqrt(6 / 8) * biology.noise_sd
    )
    names = [f"g{i}" for i in range(genes)]
    design = np.column_stack([np.ones(n), target])
    df = n - 2

    def contrast(values: Floats) -> tuple[Floats, Floats]:
        b = values[target == 1].mean(axis=0) - values[target == 0].mean(axis=0)
        residual = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        return b, (residual**2).sum(axis=0) / df

    unit = 1 / n_target + 1 / n_reference
    b, s2 = contrast(Y)
    trend = biology.noise_sd**2 + (biology.loadings**2).sum(axis=0)
    trend = trend * np.exp(rng.normal(0, 0.3, genes) - 0.045)
    moderated = (df * s2 + 4 * trend) / (df + 4)
    effects = pd.DataFrame({"effect": b, "se": np.sqrt(moderated * unit)}, index=names)
    place = {name: i for i, name in enumerate(names)}
    members = biology.members.groupby(["programme", "block"], sort=False)["gene_id"]
    scores = np.column_stack([Y[:, [place[g] for g in own]].mean(axis=1) for _, own in members])
    score_b, score_s2 = contrast(scores)
    blocks = biology.members[["programme", "block"]].drop_duplicates(ignore_index=True)
    blocks = blocks.assign(stripped=False, effect=score_b, se=np.sqrt(score_s2 * unit))
    replicates = bootstrap_effects(
        Y,
        design,
        [0.0, 1.0],
        subjects=np.arange(n),
        strata=target,
        n_replicates=n_replicates,
        seed=seed + 1,
    )
    return SimulatedStudy(effects, blocks, pd.DataFrame(replicates, columns=names), float(df))


def calibrate_axis(
    *,
    n_datasets: int,
    seed: int,
    true_lambda: float = 0.5,
    n_als: tuple[int, int] = (12, 10),
    n_den: tuple[int, int] = (5, 5),
    intrinsic: float = 0.5,
    bootstrap: bool = True,
    inter_gene_correlation: float,
    min_reliability: float,
) -> dict[str, float]:
    """Plant lambda and block effects, and count how often the intervals hold them.

    ALS = lambda × denervation + ``intrinsic`` (log2 units, in the first two blocks). Every data set
    draws biology, donors and reference anew.

    Returns
    -------
    dict
        ``lambda_bias, lambda_rmse, lambda_coverage`` (nominal 95 %)``, lambda_uncorrected`` (mean
        of the slope without noise correction)``, delta_coverage, delta_null_rejected`` (share of
        blocks without intrinsic part with p < 0.05)``, delta_power, n``.
    """
    estimates, inside, naive, delta_in, null_p, true_p = [], [], [], [], [], []
    for number in range(n_datasets):
        start = seed + 1000 * number
        biology = simulate_biology(seed=start)
        own = np.zeros(biology.denervation.size)
        planted = biology.members.loc[biology.members["programme"].isin(["P0", "P1"]), "gene_id"]
        own[[int(gene[1:]) for gene in planted]] = intrinsic
        als = simulate_study(
            biology,
            effect=true_lambda * biology.denervation + own,
            n_target=n_als[0],
            n_reference=n_als[1],
            seed=start + 10,
        )
        den = simulate_study(
            biology,
            effect=biology.denervation,
            n_target=n_den[0],
            n_reference=n_den[1],
            severity_sd=0.1,
            seed=start + 20,
        )
        settings: dict[str, Any] = {
            "als_df": als.df,
            "den_df": den.df,
            "inter_gene_correlation": inter_gene_correlation,
            "min_reliability": min_reliability,
        }
        if bootstrap:
            settings |= {"als_replicates": als.replicates, "den_replicates": den.replicates}
        axis = denervation_axis(als.effects, den.effects, exclude=list(planted), **settings)
        estimates.append(axis["lambda"])
        inside.append(axis["ci_low"] <= true_lambda <= axis["ci_high"])
        naive.append(axis["lambda"] * axis["reliability"])
        blocks = block_delta(
            als.effects, den.effects, als.blocks, den.blocks, biology.members, **settings
        )
        truth = np.where(np.arange(len(blocks)) < 2, intrinsic, 0.0)
        delta_in += list((blocks["ci_low"] <= truth) & (truth <= blocks["ci_high"]))
        null_p += list(blocks["pvalue"][2:])
        true_p += list(blocks["pvalue"][:2])
    found = np.array(estimates)
    return {
        "lambda_bias": float(found.mean() - true_lambda),
        "lambda_rmse": float(np.sqrt(((found - true_lambda) ** 2).mean())),
        "lambda_coverage": float(np.mean(inside)),
        "lambda_uncorrected": float(np.mean(naive)),
        "delta_coverage": float(np.mean(delta_in)),
        "delta_null_rejected": float((np.array(null_p) < 0.05).mean()),
        "delta_power": float((np.array(true_p) < 0.05).mean()),
        "n": float(n_datasets),
    }
