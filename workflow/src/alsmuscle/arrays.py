"""Microarrays: from intensities of one or several chips to genes, and moderated t statistics.

The same contract as counts give, so that all that follows (programmes, synthesis, pages) need not
know. Linear models and moderation are limma's, in :mod:`alsmuscle.linear`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from alsmuscle import de, linear
from alsmuscle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

Scale = Literal["log2", "linear", "auto"]

# No log2 intensity of a 16-bit scanner exceeds 16; a linear one of an expressed gene always does.
LOG2_MAX = 25.0
# Linear (MAS5) intensities below this are noise, and their logarithms would be the largest effects.
FLOOR = 16.0


def to_log2(intensities: pd.DataFrame, scale: Scale, where: str) -> tuple[pd.DataFrame, str]:
    """Return log2 intensities, and a sentence that says what was done.

    Parameters
    ----------
    intensities
        Probes × samples.
    scale
        What the numbers are; ``auto`` decides by their range.
    where
        Study and file, for messages.

    Raises
    ------
    InputError
        The numbers do not fit the scale, or are ratios (negative in the middle of a sample).
    """
    values = intensities.to_numpy(float)
    if not np.isfinite(values).any():
        raise InputError("no number in the table of intensities", where=where)
    low, high = np.nanquantile(values, [0.05, 1.0])
    if np.nanmedian(values) <= 0 or (high <= LOG2_MAX and low < 0):
        raise InputError(
            "these are ratios or centred values, not intensities: the middle of the values is "
            f"{np.nanmedian(values):.3g}, a twentieth lies below {low:.3g}",
            where=where,
            expected="log2 intensities, or linear ones such as MAS5 gives",
        )
    found = "log2" if high <= LOG2_MAX else "linear"
    if scale not in ("auto", found):
        raise InputError(
            f"the card says {scale}, but the largest value is {high:,.4g}",
            where=where,
            expected=f"at most {LOG2_MAX:g} on a log2 scale, more on a linear one",
            remedy=f"set `scale: {found}`, or `auto`",
        )
    if found == "log2":
        return intensities, f"Intensities were log2 already (largest {high:.1f})."
    floored = float(np.nanmean(values < FLOOR))
    return np.log2(intensities.clip(lower=FLOOR)), (
        f"Intensities were linear (largest {high:,.0f}): log2 after raising the {floored:.0%} below "
        f"{FLOOR:g} to it."
    )


def merge_chips(chips: Sequence[pd.DataFrame], donor: pd.Series) -> tuple[pd.DataFrame, list[str]]:
    """Put the chips of one donor together.

    Parameters
    ----------
    chips
        Per chip design: probes × chips, log2.
    donor
        Chip → what it was hybridised with (one sample of one donor); several chips of one design
        and sample are averaged.

    Returns
    -------
    merged
        Probes of all designs × samples that every design has. A control probe that two designs
        share is kept once per design.
    lacking
        Samples left out because a design lacks them.
    """
    parts = []
    for chip in chips:
        names = donor.reindex(chip.columns)
        part = chip.loc[:, names.notna()].T.groupby(names.dropna().to_numpy(), sort=True).mean().T
        parts.append(part)
    shared = sorted(set.intersection(*(set(part.columns) for part in parts)))
    lacking = sorted(set.union(*(set(part.columns) for part in parts)) - set(shared))
    return pd.concat([part[shared] for part in parts]), lacking


def to_genes(expression: pd.DataFrame, identity: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Choose one probe per gene: the one of highest mean expression, never of largest effect.

    Parameters
    ----------
    expression
        Probes × samples, log2. Probes with a missing value are left out.
    identity
        Row by row ``gene_id, symbol, status``; probes that lead to no gene are left out.

    Returns
    -------
    genes
        Genes × samples, index gene id.
    var
        Per gene ``symbol``, ``source_id`` (the chosen probe) and ``n_probes``.
    """
    table = identity[["gene_id", "symbol", "status"]].reset_index(drop=True)
    table["probe"] = expression.index.astype(str)
    values = expression.to_numpy(float)
    table["mean"] = values.mean(axis=1)
    usable = ~table["status"].isin(["unmapped", "ambiguous"]) & np.isfinite(values).all(axis=1)
    kept = table[usable]
    count = kept.groupby("gene_id").size()
    # Ties are settled by the probe's name, so that the order of rows decides nothing.
    kept = kept.sort_values(["mean", "probe"], ascending=[False, True], kind="stable")
    chosen = kept.drop_duplicates("gene_id").sort_values("gene_id")
    genes = pd.DataFrame(
        values[chosen.index], index=pd.Index(chosen["gene_id"], name="gene_id")
    ).set_axis(expression.columns, axis=1)
    var = chosen.set_index("gene_id")[["symbol", "probe"]].rename(columns={"probe": "source_id"})
    return genes, var.assign(n_probes=count)


def test(
    expression: AnnData,
    contrast: de.Contrast,
    *,
    dataset: str,
    min_replicates: int,
    trend: bool,
    cell_type: str = "muscle",
) -> pd.DataFrame:
    """Test one contrast by moderated t.

    Parameters
    ----------
    expression
        Samples × genes, log2; ``obs`` harmonised samples, ``var["symbol"]``.
    contrast
        As for counts: the same designs.
    min_replicates
        With fewer samples in the smallest group effects are given without p-values.
    trend
        Let the prior variance depend on mean expression.

    Returns
    -------
    DataFrame
        Contract ``de``: ``base_mean`` is the mean log2 intensity, ``log2fc_shrunk`` is empty,
        ``stat`` the moderated t.
    """
    from scipy.stats import false_discovery_control

    used = de.used_samples(expression.obs, contrast)
    design = de.design_matrix(used, contrast)
    model = linear.fit(np.asarray(expression[used.index].X, dtype=float).T, design.to_numpy(float))
    found = linear.moderated_t(model, de.contrast_vector(design, contrast), trend=trend)
    target, reference = de.sides(used, contrast)
    frame = pd.DataFrame(
        {
            "dataset": dataset,
            "contrast": contrast["id"],
            "cell_type": cell_type,
            "gene_id": expression.var_names,
            "symbol": expression.var["symbol"].astype(str).to_numpy(),
            "base_mean": model.mean,
            "log2fc": found["effect"].to_numpy(),
            "lfc_se": found["se"].to_numpy(),
            "log2fc_shrunk": np.nan,
            "stat": found["stat"].to_numpy(),
            "pvalue": found["pvalue"].to_numpy(),
            "padj": np.nan,
            "n_target": int(target.sum()),
            "n_reference": int(reference.sum()),
        }
    )
    if de.smallest_cell(used, contrast) < min_replicates or found["pvalue"].isna().all():
        frame[["stat", "pvalue"]] = np.nan
    else:
        frame["padj"] = false_discovery_control(frame["pvalue"])
    return frame.sort_values(["pvalue", "gene_id"], kind="stable", ignore_index=True)
