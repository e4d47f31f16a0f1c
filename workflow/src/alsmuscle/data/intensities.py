"""Intensities of microarrays: to log2, between arrays, over chips, from probes to genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from alsmuscle.core.annotated import AnnData
from alsmuscle.core.errors import InputError
from alsmuscle.data import genes

Scale = Literal["log2", "log10", "ln", "linear", "auto"]
# No log2 intensity of a 16-bit scanner exceeds 16; a linear one of an expressed gene always does.
LOG2_MAX = 25.0
# The largest natural logarithm of such a scanner's values is 11.1, the largest log10 4.8; the
# brightest probes of an array reach 13 to 16 in log2.
LN_MAX, LOG10_MAX = 11.1, 4.9
# Linear (MAS5) intensities below this are noise, and their logarithms would be the largest effects.
FLOOR = 16.0
_TO_LOG2 = {"log2": 1.0, "log10": float(np.log2(10)), "ln": float(np.log2(np.e))}


def to_log2(intensities: pd.DataFrame, scale: Scale, where: str) -> tuple[pd.DataFrame, str]:
    """Return log2 intensities, and a sentence that says what was done.

    Parameters
    ----------
    intensities
        Probes × samples.
    scale
        What the numbers are; ``auto`` decides by the range of every array.
    where
        Study and file, for messages.

    Raises
    ------
    InputError
        The numbers do not fit the scale, arrays are on several, values are infinite, or are ratios
        (negative in the middle of a sample).
    """
    values = intensities.to_numpy(float)
    if not np.isfinite(values).any():
        raise InputError("no number in the table of intensities", where=where)
    infinite = np.isinf(values).any(axis=0)
    if infinite.any():
        raise InputError(
            f"infinite values in {infinite.sum()} array(s), such as "
            f"{intensities.columns[infinite][0]}",
            where=where,
            expected="a number, or nothing, for every probe",
            remedy="leave these arrays out under `samples.exclude`, or correct the file",
        )
    low, high = np.nanquantile(values, [0.05, 1.0])
    if np.nanmedian(values) <= 0 or (high <= LOG2_MAX and low < 0):
        raise InputError(
            "these are ratios or centred values, not intensities: the middle of the values is "
            f"{np.nanmedian(values):.3g}, a twentieth lies below {low:.3g}",
            where=where,
            expected="log2 intensities, or linear ones such as MAS5 gives",
        )
    found = _one_scale(intensities.max(), where)
    if scale == "auto" and found not in ("log2", "linear"):
        guess = "log10 values" if found == "log10" else "natural logarithms"
        raise InputError(
            f"the largest value is {high:.3g}, below the brightest probes of any array in log2 "
            f"(13 to 16): {guess}?",
            where=where,
            expected=f"log2 intensities that reach {LN_MAX:g}, or linear ones",
            remedy=f"set `scale: {found}` if they are that, or `scale: log2`",
        )
    if (scale == "linear") != (found == "linear") and scale != "auto":
        raise InputError(
            f"the card says {scale}, but the largest value is {high:,.4g}",
            where=where,
            expected=f"at most {LOG2_MAX:g} on a scale of logarithms, more on a linear one",
            remedy="set `scale: linear`" if found == "linear" else "set `scale: log2`, or `auto`",
        )
    if found != "linear":
        stated = found if scale == "auto" else scale
        said = {"log10": "log10 values", "ln": "natural logarithms"}.get(stated)
        if said is None:
            return intensities, f"Intensities were log2 already (largest {high:.1f})."
        log2 = intensities * _TO_LOG2[stated]
        return log2, f"Intensities were {said} (largest {high:.1f}), brought to log2."
    floored = float(np.nanmean(values < FLOOR))
    return np.log2(intensities.clip(lower=FLOOR)), (
        f"Intensities were linear (largest {high:,.0f}): log2 after raising the {floored:.0%} "
        f"below {FLOOR:g} to it."
    )


def quantile_normalise(expression: pd.DataFrame) -> pd.DataFrame:
    """Give every sample the mean distribution of all (Bolstad et al. 2003).

    Equal values of a sample get the mean of what their ranks would, as limma's
    ``normalizeQuantiles(ties=TRUE)`` does. Probes with a missing value are missing altogether.
    """
    whole = expression.dropna()
    values = whole.to_numpy(float)
    target = np.sort(values, axis=0).mean(axis=1)
    ranks = whole.rank().to_numpy() - 1
    normalised = np.interp(ranks, np.arange(len(target)), target)
    found = pd.DataFrame(np.nan, index=expression.index, columns=expression.columns)
    found[expression.notna().all(axis=1)] = normalised
    return found


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


def identify(probes: pd.DataFrame, table: pd.DataFrame, *, where: str) -> pd.DataFrame:
    """Map probes to genes by the annotation's gene id, or else by its symbol.

    Parameters
    ----------
    probes
        Index probe; ``symbol`` and ``gene_id`` as the annotation has them, empty where it has none.
    table
        Gene table of the organism.

    Returns
    -------
    DataFrame
        Row by row ``gene_id, symbol, status``. A probe of several genes (`` /// ``) is ambiguous.
    """
    text = probes[["gene_id", "symbol"]].fillna("").astype(str)
    ids, symbols = text["gene_id"].str.strip(), text["symbol"].str.strip()
    found = pd.DataFrame({"gene_id": probes.index.astype(str), "symbol": "", "status": "unmapped"})
    several = (ids.str.contains("///") | symbols.str.contains("///")).to_numpy()

    def settle(keys: pd.Series, id_type: str) -> None:
        named = ~genes.is_nameless(keys).to_numpy()
        open_ = ~several & named & (found["status"] == "unmapped").to_numpy()
        if not open_.any():
            return
        mapped = genes.identify(keys[open_], table, id_type=id_type, where=where)
        found.loc[open_, ["gene_id", "symbol", "status"]] = mapped[
            ["gene_id", "symbol", "status"]
        ].to_numpy()

    settle(ids, "auto")
    settle(symbols, "symbol")
    found.loc[several, "status"] = "ambiguous"
    return found


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
    expression
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
    measured = pd.DataFrame(
        values[chosen.index], index=pd.Index(chosen["gene_id"], name="gene_id")
    ).set_axis(expression.columns, axis=1)
    var = chosen.set_index("gene_id")[["symbol", "probe", "status"]]
    return measured, var.rename(columns={"probe": "source_id"}).assign(n_probes=count)


def assemble(
    expression: pd.DataFrame,
    identity: pd.DataFrame,
    samples: pd.DataFrame,
    provenance: Mapping[str, Any],
    *,
    sex_symbols: Sequence[str],
) -> AnnData:
    """Put intensities, genes and samples together.

    Parameters
    ----------
    expression
        Probes × samples, log2; columns are sample ids.
    identity
        Row by row as :func:`identify` returns it.
    samples
        Contract ``samples``, in the order of the result.
    provenance
        Goes to ``uns["provenance"]``, with the numbers of probes added.
    sex_symbols
        Genes all of whose probes are kept, to tell a sample's sex.

    Returns
    -------
    AnnData
        Contract ``bulk/<dataset>/intensities.h5ad``: samples × genes, log2; ``obsm["sex_probes"]``
        samples × probes of the sex genes, named ``symbol:probe``.
    """
    order = samples["sample_id"].tolist()
    measured, var = to_genes(expression[order], identity)
    obs = samples.set_index("sample_id")
    for column in obs.columns:
        if obs[column].dtype.kind not in "fiu":
            obs[column] = obs[column].astype(str)
    status = identity["status"].value_counts()
    rows = np.flatnonzero(identity["symbol"].isin(sex_symbols))
    probes = [f"{identity['symbol'].iloc[i]}:{expression.index[i]}" for i in rows]
    of_sex = pd.DataFrame(
        expression[order].to_numpy(float)[rows].T, index=obs.index, columns=probes
    )
    return AnnData(
        X=measured.to_numpy(float).T,
        obs=obs,
        var=var,
        obsm={"sex_probes": of_sex.loc[:, ~of_sex.columns.duplicated()]},
        uns={
            "measure": "intensities",
            "provenance": {
                **provenance,
                "rows_in_source": len(expression),
                "rows_summed": 0,
                "rows_by_status": {str(name): int(n) for name, n in status.items()},
            },
        },
    )


def _one_scale(highest: pd.Series, where: str) -> str:
    """Return the scale that the arrays' largest values show; stop where they show several."""
    scales = pd.Series("log2", index=highest.index).mask(highest > LOG2_MAX, "linear")
    scales = scales.mask(highest <= LN_MAX, "ln").mask(highest <= LOG10_MAX, "log10")
    # Dim arrays beside bright ones are no other scale; the next scale but one is.
    wide = {"linear", "log10"} & set(scales) and scales.nunique() > 1
    if wide:
        examples = scales.groupby(scales).apply(
            lambda group: (
                f"{len(group)}, such as {group.index[0]}, look like {group.iloc[0]} values"
            )
        )
        raise InputError(
            "arrays on different scales: " + "; ".join(examples),
            where=where,
            expected="one scale for all arrays",
            remedy="leave out the arrays of one scale under `samples.exclude`, or use the raw data",
        )
    return "log2" if (scales == "log2").any() else str(scales.iloc[0])
