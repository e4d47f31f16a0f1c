"""What the replicates measured, its Monte Carlo error, and whether the target is met."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from alsmuscle.simulate.calibrate.scenarios import CLEAN, EXACT
from alsmuscle.synthesis.verdicts import (
    CONTRADICTED,
    DENERVATION,
    EXPLAINED,
    NOT_ENOUGH,
    SMALLER,
    SUPPORTED,
)


def summarise_flags(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return lines of the summary: faults found, and false alarms of every kind.

    Parameters
    ----------
    rows
        Rows of :func:`flag_replicate`.
    """
    flags = rows["flags"].str.split(";").map(lambda names: set(names) - {""})
    lines = []
    for kind in ("swap_suspect", "sex_mismatch", "duplicate", "tissue_blood"):
        planted = rows["wrong"].str.split(";").map(lambda names, kind=kind: kind in names)
        if planted.any():
            found = flags[planted].map(lambda names, kind=kind: kind in names)
            what = f"planted {kind} flagged as such"
            lines.append(entry(what, float(found.mean()), len(found), low=0.9))
    clean = rows["scenario"].isin(CLEAN)
    if clean.any():
        studies = rows[clean].groupby(["scenario", "seed"]).ngroups
        share = float(flags[clean].map(bool).mean())
        what = f"samples of {studies} clean studies with any flag"
        lines.append(entry(what, share, int(clean.sum())))
        for name, part in flags[clean].map(bool).groupby(rows.loc[clean, "scenario"], sort=False):
            # Donors as unlike as FSHD patients are outliers by design.
            target = {} if name == "wide" else {"high": 0.02}
            lines.append(entry(f"the same, {name}", float(part.mean()), len(part), **target))
        alarms = flags[clean].explode().dropna().value_counts()
        lines += [
            entry(f"of which {kind}", float(n / clean.sum()), int(clean.sum()))
            for kind, n in alarms.items()
        ]
    return [{"scenario": "flags of quality", **line} for line in lines]


def entry(
    what: str,
    value: float,
    n: int,
    *,
    se: float = np.nan,
    low: float = np.nan,
    high: float = np.nan,
) -> dict[str, Any]:
    """Return a line of the summary; ``met`` is empty where neither bound is given."""
    inside = (np.isnan(low) or value >= low) and (np.isnan(high) or value <= high)
    asked = not (np.isnan(low) and np.isnan(high))
    met = ("yes" if inside else "no") if asked else ""
    return {"what": what, "value": value, "se": se, "n": n, "low": low, "high": high, "met": met}


def _verdict_lines(verdicts: pd.DataFrame) -> list[dict[str, Any]]:
    """Say how often planted truths got their verdicts, and whether pooled intervals hold them."""
    if verdicts.empty:
        return []
    true = verdicts[verdicts["truth"] == "intrinsic"]
    false = verdicts[verdicts["truth"] != "intrinsic"]
    pure = verdicts[verdicts["truth"] == "denervation"]
    sets = verdicts[verdicts["truth"] == "random set"]
    idle = verdicts[verdicts["truth"] == "no effect"]
    honest = [EXPLAINED, DENERVATION, NOT_ENOUGH, SMALLER]

    def share(rows: pd.DataFrame, *told: str) -> float:
        return float(rows["verdict"].isin(told).mean())

    level, beyond = (float(verdicts[f"{name}_held"].mean()) for name in ("level", "beyond"))
    near, apart = EXPLAINED, DENERVATION
    lines = [
        entry("true claims supported", share(true, SUPPORTED), len(true), low=0.8),
        entry("true claims contradicted", share(true, CONTRADICTED), len(true), high=0.05),
        entry("wrong among supported claims", *_wrong(verdicts), high=0.05),
        entry("false claims supported", share(false, SUPPORTED), len(false), high=0.05),
        entry("pure denervation: supported", share(pure, SUPPORTED), len(pure), high=0.0),
        entry(f"pure denervation: {near}", share(pure, near), len(pure)),
        entry(f"pure denervation: {apart}", share(pure, apart), len(pure)),
        entry("pure denervation: not more than that", share(pure, *honest), len(pure), low=0.95),
        entry("random sets: supported", share(sets, SUPPORTED), len(sets), high=0.0),
        entry("no effect: supported", share(idle, SUPPORTED), len(idle), high=0.05),
        entry("coverage of pooled 95 % intervals", level, len(verdicts), low=0.90, high=0.98),
        entry(
            "coverage of pooled 95 % intervals beyond denervation",
            *(beyond, len(verdicts)),
            low=0.90,
            high=0.98,
        ),
    ]
    return [{"scenario": "verdicts", **line} for line in lines]


def _wrong(verdicts: pd.DataFrame) -> tuple[float, int]:
    """Return the share of supported claims that are not true, and how many were supported."""
    supported = verdicts[verdicts["verdict"] == SUPPORTED]
    wrong = int((supported["truth"] != "intrinsic").sum())
    return wrong / max(len(supported), 1), len(supported)


def _mean(rows: pd.DataFrame, column: str, what: str, **target: float) -> dict[str, Any]:
    values = rows[column].dropna()
    se = float(values.std() / np.sqrt(len(values))) if len(values) > 1 else np.nan
    return entry(what, float(values.mean()), len(values), se=se, **target)


def _study_lines(name: str, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Say what one scenario's studies showed of genes, programmes and samples."""
    part: list[dict[str, Any]] = []
    target = {"low": 0.03, "high": 0.07} if name == "all exact nulls" else {}
    cover = {"low": 0.90, "high": 0.98} if name in ("all exact nulls", *EXACT) else {}
    if name == "nothing":
        calls = rows["called"]
        part.append(entry("median genes called", float(calls.median()), len(rows), high=0))
        part.append(entry("share of studies with any call", float((calls > 0).mean()), len(rows)))
    else:
        part.append(_mean(rows, "fdp", "false discovery rate of genes at 0.05", **target))
        part.append(
            entry("median false discovery proportion", float(rows["fdp"].median()), len(rows))
        )
        part.append(_mean(rows, "power", "power over all genes with an effect"))
        part.append(_mean(rows, "power_strong", "power over genes with |log2fc| of 1 and more"))
    part.append(_mean(rows, "null_p_below_05", "share of p < 0.05 among genes without effect"))
    part.append(_mean(rows, "coverage", "coverage of 95 % intervals of log2fc", **cover))
    part.append(
        _mean(
            rows,
            "block_coverage_measured",
            "coverage of 95 % intervals of programme effects, all genes of 100 reads and more",
            **cover,
        )
    )
    part.append(
        _mean(rows, "block_coverage", "coverage of 95 % intervals of programme effects, all")
    )
    if name != "nothing":
        part.append(_mean(rows, "block_power", "power over programme effects of 0.4 and more"))
    for kind, word in (
        ("sex", "sex mismatches"),
        ("swap", "swapped samples"),
        ("duplicate", "duplicates"),
    ):
        planted = int(rows[f"{kind}_planted"].sum())
        others = int(rows["samples"].sum()) - planted
        if planted:
            share = rows[f"{kind}_found"].sum() / planted
            part.append(entry(f"{word} flagged", float(share), planted, low=0.9))
        alarms = rows[f"{kind}_false"].sum() / max(others, 1)
        part.append(entry(f"{word}: false alarms per sample", float(alarms), others, high=0.02))
    return part


def _lambda_lines(lambdas: pd.DataFrame) -> list[dict[str, Any]]:
    """Say how far lambda was from what was planted, and how often its interval held that."""
    lines: list[dict[str, Any]] = []
    for stage, rows in lambdas.groupby("stage", sort=False):
        size = float(rows["planted"].iloc[0])
        error = rows["lambda"] - rows["planted"]
        inside = rows["planted"].between(rows["ci_low"], rows["ci_high"])
        se = float(error.std() / np.sqrt(len(rows)))
        label = f"lambda {size:g} ({stage})"
        rmse = float(np.sqrt((error**2).mean()))
        lines += [
            {
                "scenario": label,
                **entry("mean error of lambda", float(error.mean()), len(rows), se=se),
            },
            {"scenario": label, **entry("root mean square error", rmse, len(rows))},
            {
                "scenario": label,
                **entry("coverage of 95 % intervals", float(inside.mean()), len(rows), low=0.9),
            },
        ]
    return lines


def _omnibus_lines(omnibus: pd.DataFrame) -> list[dict[str, Any]]:
    """Say what omnibus tests called where nothing differs."""
    lines: list[dict[str, Any]] = []
    for name, rows in omnibus.groupby("data", sort=False):
        part = [
            entry("median genes called", float(rows["called"].median()), len(rows), high=0),
            _mean(rows, "p_below_05", "share of p < 0.05, F", low=0.03, high=0.07),
            entry(
                "median genes called, chi-squared as DESeq2",
                float(rows["called_chi2"].median()),
                len(rows),
            ),
            _mean(rows, "p_below_05_chi2", "share of p < 0.05, chi-squared"),
        ]
        lines += [{"scenario": f"omnibus test, null in three: {name}", **line} for line in part]
    return lines


def summarise(
    replicates: pd.DataFrame,
    lambdas: pd.DataFrame,
    verdicts: pd.DataFrame,
    real: pd.DataFrame | None,
    flags: pd.DataFrame | None = None,
    omnibus: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return what was asked, what was measured, its Monte Carlo error, and whether the target is
    met.

    Parameters
    ----------
    replicates, lambdas, verdicts, real, flags, omnibus
        Rows of :func:`replicate`, :func:`lambda_replicate`, :func:`verdict_replicate`,
        :func:`null_split`, :func:`flag_replicate` and :func:`null_thirds`.

    Returns
    -------
    DataFrame
        ``scenario, what, value, se`` (of a mean over replicates)``, n, low, high`` (the target)``,
        met`` (yes, no, or empty where there is no target).
    """

    lines: list[dict[str, Any]] = []
    exact = replicates[replicates["scenario"].isin(EXACT)]
    groups = [("all exact nulls", exact)] + [
        (str(name), rows) for name, rows in replicates.groupby("scenario", sort=False)
    ]
    for name, rows in groups:
        if rows.empty:
            continue
        lines += [{"scenario": name, **line} for line in _study_lines(str(name), rows)]
    if len(lambdas):
        lines += _lambda_lines(lambdas)
    lines += _verdict_lines(verdicts)
    if real is not None and len(real):
        called = float(real["called"].median())
        part = [
            entry("median genes called", called, len(real), high=0),
            entry("share of halves with any call", float((real["called"] > 0).mean()), len(real)),
            _mean(real, "p_below_05", "share of p < 0.05", low=0.03, high=0.07),
        ]
        lines += [{"scenario": "real null: GSE184951, 5 of 10 healthy", **line} for line in part]
    if flags is not None and len(flags):
        lines += summarise_flags(flags)
    if omnibus is not None and len(omnibus):
        lines += _omnibus_lines(omnibus)
    columns = ["scenario", "what", "value", "se", "n", "low", "high", "met"]
    return pd.DataFrame(lines, columns=columns)
