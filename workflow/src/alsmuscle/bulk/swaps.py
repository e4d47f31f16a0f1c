"""Is a sample of the group that its sheet says, and is no library there twice?

Two checks that single-sample metrics cannot make. A *swap suspect* looks like the other side of its
contrast: left out, it is placed on the line between the two sides' centroids, over the genes that
tell the sides apart in the remaining samples (diagonal linear discriminant; Dudoit, Fridlyand and
Speed 2002, 10.1198/016214502753479248). Nothing is said where the sides hardly differ or where more
than a few samples would be on the wrong one, and a mild case of a disease looks like a healthy
person: a suspect is a reason to ask, never to exclude.
A *duplicate* differs from another sample by no more than sequencing the same library again would.

:func:`alsmuscle.simulate.calibrate.replicates.replicate` counts how often both find what was
planted, and how often they speak where nothing was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.contracts import measure
from alsmuscle.core.types import Floats
from alsmuscle.stats import distributions, linear

if TYPE_CHECKING:
    from anndata import AnnData

# Adjusted p below which a gene tells the sides apart.
CALLED = 0.05

# Median of a chi-squared variable with one degree of freedom.
_MEDIAN_CHI2 = 0.4549


def _positions(Y: Floats, side: npt.NDArray[np.bool_], n_leading: int) -> Floats:
    """Place each sample, left out, between the reference's centroid (0) and the target's (1)."""
    found = np.full(len(Y), np.nan)
    for i in range(len(Y)):
        rest = np.arange(len(Y)) != i
        target, reference = Y[rest & side], Y[rest & ~side]
        low = reference.mean(axis=0)
        gap = target.mean(axis=0) - low
        variance = (target.var(axis=0) * len(target) + reference.var(axis=0) * len(reference)) / (
            len(target) + len(reference) - 2
        )
        # Few samples: a gene's own variance is drawn halfway to the typical one.
        variance = (variance + np.median(variance)) / 2
        leading = np.argsort(-np.abs(gap) / np.sqrt(variance), kind="stable")[:n_leading]
        weight = gap[leading] / variance[leading]
        found[i] = weight @ (Y[i, leading] - low[leading]) / (weight @ gap[leading])
    return found


def _n_called(Y: Floats, side: npt.NDArray[np.bool_]) -> int:
    """Count the genes that differ between two sides."""
    design = np.column_stack([np.ones(len(Y)), side])
    found = linear.moderated_t(linear.fit(Y.T, design), [0, 1], trend=False)
    return int((distributions.adjust(found["pvalue"]) < CALLED).sum())


def swap_suspects(
    expression: pd.DataFrame,
    target: pd.Series,
    *,
    covariates: pd.DataFrame | None = None,
    exclude: Collection[str] = (),
    n_leading: int = 100,
    min_separation: float = 2.5,
    min_position: float = 0.8,
    max_misplaced: float = 0.1,
    min_called: int = 20,
) -> pd.DataFrame:
    """Find samples that look like the other side of a contrast.

    Parameters
    ----------
    expression
        Samples x genes, log2 variance-stabilised: the samples of both sides.
    target
        Per sample whether it is of the target's side.
    covariates
        Samples x columns (numbers) whose effect is taken out first, such as batch.
    exclude
        Gene ids that do not take part (the sex genes).
    n_leading
        Genes that place a sample.
    min_separation
        Least distance of the sides' medians, in pooled deviations (1.4826 MAD) of the left-out
        positions; below it nobody is suspected.
    min_position
        How far towards the other side's median a suspect lies (0: its own, 1: the other's).
    max_misplaced
        Share of the other samples that may lie nearer to the other side's median (two always may: a
        swap has a partner, and somebody lies between). Where the line misplaces more of them it
        tells the sides apart badly, as where a batch within both sides moves more than their
        difference.
    min_called
        Genes that the samples nearer to their own side call between the sides (moderated t,
        adjusted p below 0.05); with fewer, what places a sample is chance.

    Returns
    -------
    DataFrame
        Index sample; ``position`` (0: like its own side, 1: like the other), ``separation`` (the
        same for all, without the sample itself where it is suspected), ``suspect``. Missing
        positions where a side has fewer than four samples.
    """
    side = target.reindex(expression.index).to_numpy(dtype=bool)
    table = pd.DataFrame(
        {"position": np.nan, "separation": np.nan, "suspect": False}, index=expression.index
    )
    if min(side.sum(), (~side).sum()) < 4:
        return table
    Y = expression.loc[:, ~expression.columns.isin(list(exclude))].to_numpy(dtype=float)
    if covariates is not None and covariates.shape[1]:
        Z = covariates.loc[expression.index].to_numpy(dtype=float)
        Z = Z - Z.mean(axis=0)
        design = np.column_stack([np.ones(len(Y)), side, Z])
        Y = Y - Z @ np.linalg.lstsq(design, Y, rcond=None)[0][2:]
    place = _positions(Y, side, n_leading)
    centre = {value: np.median(place[side == value]) for value in (True, False)}
    halfway = (centre[True] + centre[False]) / 2
    misplaced = np.where(side, place < halfway, place > halfway)
    allowed = max(2.0, max_misplaced * (len(Y) - 1))
    # A suspect's partner would hide the genes that tell the sides apart.
    clear = ~misplaced
    for i in range(len(Y)):
        rest = np.arange(len(Y)) != i
        high, low = place[rest & side], place[rest & ~side]
        own, other = (high, low) if side[i] else (low, high)
        gap = np.median(other) - np.median(own)
        spread = 1.4826 * np.median(
            np.concatenate([np.abs(high - np.median(high)), np.abs(low - np.median(low))])
        )
        position = (place[i] - np.median(own)) / gap if gap else np.nan
        apart = (np.median(high) - np.median(low)) / spread if spread > 0 else np.nan
        suspect = bool(
            apart >= min_separation
            and position >= min_position
            and misplaced[rest].sum() <= allowed
            and _n_called(Y[clear], side[clear]) >= min_called
        )
        table.iloc[i] = [position, apart, suspect]
    return table.astype({"position": float, "separation": float, "suspect": bool})


def duplicates(
    counts: pd.DataFrame, *, min_count: int = 100, max_ratio: float = 1.5
) -> pd.DataFrame:
    """Find pairs of samples that are one library.

    Parameters
    ----------
    counts
        Samples x genes, raw counts.
    min_count
        Least mean count of a gene that is looked at.
    max_ratio
        Largest ratio of observed to Poisson variance between the two.

    Returns
    -------
    DataFrame
        ``sample_id, other, ratio``: pairs below ``max_ratio``. 1 is what sequencing one library
        twice gives, 0 what equal counts give; two donors give far more, since genes of 100
        reads with a dispersion of 0.02 already give 3.
    """
    X = counts.to_numpy(dtype=float)
    X = X[:, X.mean(axis=0) >= min_count]
    rows = []
    if X.shape[1] >= 200:
        share = X / X.sum(axis=1, keepdims=True)
        depth = X.sum(axis=1)
        for i in range(len(X)):
            for j in range(i + 1, len(X)):
                mean = (X[i] + X[j]) / (depth[i] + depth[j])
                variance = mean * (1 / depth[i] + 1 / depth[j])
                measured = mean > 0
                squared = (share[i] - share[j])[measured] ** 2 / variance[measured]
                ratio = float(np.median(squared) / _MEDIAN_CHI2)
                if ratio < max_ratio:
                    rows.append((str(counts.index[i]), str(counts.index[j]), ratio))
    return pd.DataFrame(rows, columns=["sample_id", "other", "ratio"])


def same_arrays(expression: pd.DataFrame, *, max_ratio: float = 0.25) -> pd.DataFrame:
    """Find pairs of samples that are one array, perhaps processed twice.

    Parameters
    ----------
    expression
        Samples x genes, log2 intensities.
    max_ratio
        Largest ratio of a pair's distance to the study's median pair. The distance is the median
        absolute difference over the more strongly expressed half of the genes: two chips of one RNA
        differ by their noise, about half of what two people of one kind of tissue do.

    Returns
    -------
    DataFrame
        ``sample_id, other, ratio``: pairs below ``max_ratio``.
    """
    X = expression.to_numpy(dtype=float)
    level = X.mean(axis=0)
    X = X[:, level >= np.median(level)]
    first, second = np.triu_indices(len(X), k=1)
    distance = np.array(
        [np.median(np.abs(X[i] - X[j])) for i, j in zip(first, second, strict=True)]
    )
    typical = np.median(distance) if len(distance) else 0.0
    if typical <= 0:
        return pd.DataFrame(columns=["sample_id", "other", "ratio"])
    names = expression.index.astype(str).to_numpy()
    table = pd.DataFrame(
        {"sample_id": names[first], "other": names[second], "ratio": distance / typical}
    )
    return table[table["ratio"] < max_ratio].reset_index(drop=True)


def flag(
    table: pd.DataFrame,
    counts: AnnData,
    vst: AnnData,
    contrasts: Iterable[Mapping[str, Any]],
    *,
    exclude: Collection[str] = (),
) -> pd.DataFrame:
    """Add the flags ``swap_suspect`` and ``duplicate`` to a quality table.

    Parameters
    ----------
    table
        Contract ``qc``, index sample id, as :func:`alsmuscle.bulk.qc.flag` returns it.
    counts, vst
        Raw and variance-stabilised counts of the same samples, or intensities twice.
    contrasts
        The study's contrasts, every key filled in (``cards.contrast``). Paired ones (with a
        block) are left out: a donor's own other sample says more than a centroid.
    exclude
        Gene ids that place nobody (the sex genes).
    """
    from alsmuscle.design import matrix

    found: dict[str, list[tuple[str, str]]] = {sample: [] for sample in table.index}
    for contrast in contrasts:
        if contrast["block"] or contrast.get("kind", "difference") != "difference":
            continue
        used = matrix.used_samples(vst.obs, contrast)
        target, reference = matrix.sides(used, contrast)
        both = used[target | reference]
        design = matrix.design_matrix(both, contrast)
        own = f"{contrast['variable']}[{contrast['target']}]"
        suspects = swap_suspects(
            vst[both.index].to_df(),
            target[both.index],
            covariates=design.drop(columns=["Intercept", own], errors="ignore"),
            exclude=exclude,
        )
        for sample, row in suspects[suspects["suspect"]].iterrows():
            is_target = bool(target[sample])
            other = contrast["reference"] if is_target else contrast["target"]
            found[str(sample)].append(
                (
                    "swap_suspect",
                    f"declared {both.loc[sample, contrast['variable']]} but expressed like {other} "
                    f"(position {row['position']:.2f} >= 0.8, where 0 is its own side and 1 the "
                    f"other; the sides lie {row['separation']:.1f} deviations apart)",
                )
            )
    arrays = measure(counts) == "intensities"
    for row in (same_arrays if arrays else duplicates)(counts.to_df()).itertuples():
        words = (
            f"differs {row.ratio:.2f} < 0.25 times as much as a typical pair of the study"
            if arrays
            else f"variance {row.ratio:.2f} < 1.5 times Poisson"
        )
        for sample, other in ((row.sample_id, row.other), (row.other, row.sample_id)):
            reason = f"the same {'array' if arrays else 'library'} as {other} ({words})"
            found[sample].append(("duplicate", reason))
    flags, reasons = [], []
    for sample, flag_text, reason_text in zip(
        table.index, table["flags"], table["reasons"], strict=True
    ):
        extra = list(dict.fromkeys(found[sample]))
        names = dict.fromkeys(name for name, _ in extra)
        flags.append(";".join(filter(None, [flag_text, *names])))
        reasons.append(";".join(filter(None, [reason_text, *(text for _, text in extra)])))
    return table.assign(flags=flags, reasons=reasons)
