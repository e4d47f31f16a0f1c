"""Claims of the reviews, tested by rules fixed in advance.

A claim holds one or more tests: a target (programme block, gene or ratio of two genes), the
direction that the claim expects, and the contexts (role, species, kind of sample, stage) in which
expression can speak. Every test in every context gets one verdict and a reason in words.

``supported``, ``contradicted``, ``mixed``, ``not distinguishable from denervation``, ``cannot
separate from denervation``, ``cannot tell``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.stats import distributions, meta_analysis
from alsmuscle.synthesis.axis import comparability, platform_kind

SUPPORTED = "supported"
CONTRADICTED = "contradicted"
MIXED = "mixed"
LIKE_DENERVATION = "not distinguishable from denervation"
NOT_SEPARATED = "cannot separate from denervation"
CANNOT_TELL = "cannot tell"
VERDICTS = (SUPPORTED, CONTRADICTED, MIXED, LIKE_DENERVATION, NOT_SEPARATED, CANNOT_TELL)

SAMPLE_KINDS = (
    *("bulk_tissue", "cultured_cells", "sorted_cells"),
    *("single_nucleus", "single_cell", "spots"),
)
# Cells that grew without a nerve: denervation is no alternative explanation there.
NERVE_FREE = {"cultured_cells"}
EXPECTED = {"up": 1, "down": -1, "changed": 0}
GENE, RATIO = "GENE", "RATIO"


# --- contrasts ---------------------------------------------------------------------------------


def sample_kind(material: str, modality: str, role: str) -> str:
    """Return one of :data:`SAMPLE_KINDS` for a contrast's declared material.

    Role ``als_cells`` (patient-derived cultures) is ``cultured_cells`` whatever the modality;
    unknown material counts as ``bulk_tissue``, the kind that may decide least.
    """
    text = material.lower()
    if role == "als_cells":
        return "cultured_cells"
    if modality == "cells":
        if "spot" in text:  # many cells share one: no claim about a cell type rests on it
            return "spots"
        return "single_nucleus" if re.search(r"nucle", text) else "single_cell"
    if re.search(r"sort|facs|isolated (?:satellite|musc)", text):
        return "sorted_cells"
    if re.search(r"cultur|myotube|myoblast|ipsc|in vitro", text):
        return "cultured_cells"
    return "bulk_tissue"


def contrast_table(
    facts: pd.DataFrame, *, min_donors: int = 3, include_confounded: bool = False
) -> pd.DataFrame:
    """State per contrast what it is, what it may be pooled with, and why not: ``contrasts.tsv``.

    Parameters
    ----------
    facts
        One row per contrast, from study cards and what the runs flagged: ``dataset, contrast, role,
        species, stage, muscle, material, modality, platform, n_target, n_reference`` (donors)``,
        cluster`` (the card's, or empty)``, confounded`` (name of the column, or empty)``, simulated,
        published`` (flags). Optional: ``tag`` (what sets a contrast apart from diseased against
        healthy, such as ``progression``; tagged contrasts are never pooled with untagged
        ones)``, problem`` (why a study gave no effects, or empty)``, doubts`` (further marks that bar
        pooling, :mod:`alsmuscle.design.marks`).
    min_donors
        Donors a side below which a contrast is shown, but not pooled.
    include_confounded
        Pool contrasts whose condition cannot be told from another column.

    Returns
    -------
    DataFrame
        ``dataset, contrast, role, species, stage, muscle, material, platform, n_target,
        n_reference, cluster, confounded, evidence`` (reanalysed, published, simulated)``, eligible,
        reason, modality, sample_kind, platform_kind, tag``; sorted. Without a cluster on the card
        the study is its own: its contrasts share donors, controls or at least a laboratory.
        Simulated studies are never pooled with real ones: they are eligible only among themselves.

    Raises
    ------
    InputError
        A column is missing or a contrast stands twice.
    """
    needed = ["dataset", "contrast", "role", "species", "stage", "muscle", "material", "modality"]
    needed += ["platform", "n_target", "n_reference", "cluster", "confounded"]
    needed += ["simulated", "published"]
    missing = [column for column in needed if column not in facts]
    if missing:
        raise InputError(f"contrast facts lack the column '{missing[0]}'")
    table = facts.copy()
    for column in ("tag", "problem", "doubts"):
        if column not in table:
            table[column] = ""
    text = [c for c in (*needed, "tag", "problem", "doubts") if not c.startswith("n_")]
    text = [c for c in text if c not in {"simulated", "published"}]
    table[text] = table[text].fillna("").astype(str)
    twice = table.duplicated(["dataset", "contrast"])
    if twice.any():
        row = table[twice].iloc[0]
        raise InputError(f"contrast {row['dataset']}/{row['contrast']} stands twice")
    simulated, published = (table[c].fillna(False).astype(bool) for c in ("simulated", "published"))
    table["cluster"] = table["cluster"].where(table["cluster"] != "", table["dataset"])
    table["evidence"] = np.select(
        [simulated, published], ["simulated", "published"], default="reanalysed"
    )
    table["sample_kind"] = [
        sample_kind(row.material, row.modality, row.role) for row in table.itertuples()
    ]
    table["platform_kind"] = [
        platform_kind(row.platform, row.modality) for row in table.itertuples()
    ]
    real = bool((~simulated).any())
    reasons = []
    for row, is_simulated in zip(table.itertuples(), simulated, strict=True):
        why = []
        if row.problem:
            why.append(row.problem)
        smaller = min(row.n_target, row.n_reference)
        if not smaller >= min_donors:
            why.append(
                f"{row.n_target:g} v {row.n_reference:g} donors, fewer than {min_donors} a side"
            )
        if row.confounded and not include_confounded:
            why.append(f"condition cannot be told from {row.confounded}")
        if row.doubts and not include_confounded:
            why.append(str(row.doubts))
        if is_simulated and real:
            why.append("simulated, and real studies are present")
        if row.role in {"", "not_muscle"}:
            why.append("not a muscle study" if row.role else "no role given")
        reasons.append("; ".join(why))
    table["reason"] = reasons
    table["eligible"] = table["reason"] == ""
    order = ["dataset", "contrast", "role", "species", "stage", "muscle", "material", "platform"]
    order += ["n_target", "n_reference", "cluster", "confounded", "evidence", "eligible", "reason"]
    order += ["modality", "sample_kind", "platform_kind", "tag"]
    return table[order].sort_values(["dataset", "contrast"], ignore_index=True)


def reference_pairs(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Pair every contrast of an ALS role with every denervation reference.

    Returns
    -------
    DataFrame
        ``dataset, contrast, reference_dataset, reference_contrast, mode, reason``; ``mode`` is
        ``lambda``, ``correlation`` or ``none`` (see :func:`alsmuscle.synthesis.axis.comparability`).
    """
    als = contrasts[contrasts["role"].isin(["als_patient", "als_model", "als_cells"])]
    references = contrasts[contrasts["role"] == "denervation"]
    columns = ["dataset", "contrast", "reference_dataset", "reference_contrast", "mode", "reason"]
    rows = []
    for _, a in als.iterrows():
        for _, d in references.iterrows():
            mode, reason = comparability(a.to_dict(), d.to_dict())
            names = (a["dataset"], a["contrast"], d["dataset"], d["contrast"])
            rows.append(dict(zip(columns, (*names, mode, reason), strict=True)))
    return pd.DataFrame(rows, columns=columns)


# --- genes and ratios as targets ---------------------------------------------------------------


def gene_targets(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the targets of all claims that are genes or ratios (``GENE/...``, ``RATIO/...``)."""
    found = {test["target"] for claim in claims for test in claim["tests"]}
    return sorted(name for name in found if name.split("/")[0] in {GENE, RATIO})


def gene_effects(
    de: pd.DataFrame, targets: Sequence[str], gene_ids: Mapping[str, str]
) -> pd.DataFrame:
    """Bring single genes and ratios into the shape of programme effects.

    Parameters
    ----------
    de
        ``dataset, contrast, cell_type, gene_id, log2fc, lfc_se, df``.
    targets
        ``GENE/<human symbol>`` or ``RATIO/<symbol>:<symbol>`` (log2 of first over second).
    gene_ids
        Human symbol → gene id of the study's species; symbols without one are left out.

    Returns
    -------
    DataFrame
        ``dataset, contrast, cell_type, programme, block, stripped, effect, se, df`` with programme
        ``GENE`` or ``RATIO``. A ratio's error takes both genes as independent; its degrees of
        freedom are mixed after Satterthwaite.
    """
    symbols = {symbol for target in targets for symbol in target.split("/", 1)[1].split(":")}
    de = de[de["gene_id"].isin([gene_ids[symbol] for symbol in symbols & set(gene_ids)])]
    wide = de.set_index(["dataset", "contrast", "cell_type", "gene_id"])[["log2fc", "lfc_se", "df"]]
    parts = []
    for target in targets:
        kind, name = target.split("/", 1)
        ids = [gene_ids.get(symbol) for symbol in name.split(":")]
        if any(gene is None for gene in ids):
            continue
        pieces = [
            wide.xs(gene, level="gene_id")
            for gene in ids
            if gene in wide.index.get_level_values("gene_id")
        ]
        if len(pieces) < len(ids):
            continue
        effect, variance = pieces[0]["log2fc"], pieces[0]["lfc_se"] ** 2
        df = pieces[0]["df"]
        if kind == RATIO:
            effect = effect - pieces[1]["log2fc"]
            own = [(piece["lfc_se"] ** 2, piece["df"].fillna(np.inf)) for piece in pieces]
            variance = own[0][0] + own[1][0]
            df = variance**2 / (own[0][0] ** 2 / own[0][1] + own[1][0] ** 2 / own[1][1])
            df = df.replace(np.inf, np.nan)
        rows = pd.DataFrame({"effect": effect, "se": np.sqrt(variance), "df": df}).reset_index()
        rows = rows.assign(programme=kind, block=name, stripped=False)
        parts.append(rows.dropna(subset=["effect", "se"]))
    columns = ["dataset", "contrast", "cell_type", "programme", "block", "stripped", "effect", "se"]
    columns += ["df"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def gene_members(targets: Sequence[str], gene_ids: Mapping[str, str]) -> pd.DataFrame:
    """Return ``programme, block, gene_id, sign`` of genes and ratios, for ``block_delta``."""
    rows = []
    for target in targets:
        kind, name = target.split("/", 1)
        for symbol, sign in zip(name.split(":"), (1, -1), strict=False):
            if symbol in gene_ids:
                rows.append((kind, name, gene_ids[symbol], sign))
    return pd.DataFrame(rows, columns=["programme", "block", "gene_id", "sign"])


# --- the rules ---------------------------------------------------------------------------------


class Rules(NamedTuple):
    """What is fixed before any data is seen.

    ``alpha``: level of adjusted p-values and intervals. ``block_margin``, ``gene_margin``: effects
    smaller than this (log2 units) count as none, for blocks and for genes and ratios.
    ``min_studies``: independent clusters for a pooled verdict. ``power``: of the smallest
    detectable effect. ``random_share``: the largest share of matched random sets that may move as
    far as a supported block. ``rho``: assumed correlation within clusters.
    """

    alpha: float = 0.05
    block_margin: float = 0.2
    gene_margin: float = 0.5
    min_studies: int = 3
    power: float = 0.8
    random_share: float = 0.05
    rho: float = 0.8


class Estimate(NamedTuple):
    """A pooled effect as the rules see it: 95 % and 90 % intervals, log2 units."""

    k: int
    effect: float
    ci: tuple[float, float]
    ci90: tuple[float, float]
    padj: float
    source: str = ""


class Evidence(NamedTuple):
    """All that a verdict may depend on.

    ``expected``: 1, -1, or 0 for any change. ``question``: ``level`` (against controls) or
    ``beyond_denervation``. ``conflict``: a quarter or more of the clusters move significantly
    against the rest. ``random_share``: share of matched random sets that move as far, missing where
    none were run. ``no_data``: why there is nothing to pool.
    """

    subject: str
    kind: str
    question: str
    denervation_sensitive: bool
    expected: int
    margin: float
    level: Estimate | None
    delta: Estimate | None
    conflict: bool
    random_share: float
    no_data: str
    no_delta: str


def decide(evidence: Evidence, rules: Rules) -> tuple[str, str]:
    """Apply the pre-set rules to one test in one context.

    Returns
    -------
    verdict, reason
        One of :data:`VERDICTS`, and why, in words.

    Notes
    -----
    In order: (1) bulk tissue never decides a satellite-cell claim; (2) no data, one study and two
    studies give no verdict; (3) significant effects in both directions are mixed; (4) a claim about
    the level needs a significant pooled effect, and, unless the cells never had a nerve or the
    claim is about denervation itself, a Delta of the same direction; (5) a claim about what goes
    beyond denervation is decided by Delta alone; (6) an estimate smaller than the margin has no
    direction, however narrow its interval, and an interval that excludes the expected direction by
    the margin contradicts; (7) Delta's 90 % interval beyond the margin is more than denervation,
    within it is not distinguishable, and across it cannot be separated: one test of each kind at
    5 %; (8) support also needs matched random sets to move less.
    Everything else is "cannot tell".
    """
    e = evidence
    if e.subject == "satellite_cell" and e.kind == "bulk_tissue":
        return CANNOT_TELL, (
            "bulk tissue cannot decide a claim about satellite cells: their transcripts also come "
            "from myonuclei, induced by denervation"
        )
    if e.level is None or e.level.k == 0:
        return CANNOT_TELL, e.no_data
    if e.level.k < rules.min_studies:
        count = "one independent study" if e.level.k == 1 else f"{e.level.k} independent studies"
        return CANNOT_TELL, (
            f"{count}, fewer than the {rules.min_studies} that a pooled verdict needs; "
            f"{_say(e.level, rules)}"
        )
    if e.conflict:
        return MIXED, f"studies move significantly in both directions; {_say(e.level, rules)}"
    verdict, reason = _judge(e, rules)
    if verdict == SUPPORTED and e.random_share > rules.random_share:
        return CANNOT_TELL, (
            f"{e.random_share:.0%} of random gene sets of equal size and expression move as far; "
            + reason
        )
    return verdict, reason


def _judge(e: Evidence, rules: Rules) -> tuple[str, str]:
    assert e.level is not None  # decide() has returned otherwise
    free = not e.denervation_sensitive or e.kind in NERVE_FREE
    move = _direction(e.level, e.margin, rules)
    level = _say(e.level, rules)
    if e.question == "level" and free:
        why = (
            "cells in culture have no nerve to lose"
            if e.kind in NERVE_FREE
            else "denervation is not an alternative to this claim"
        )
        if _fits(move, e.expected):
            return SUPPORTED, f"{level}, as expected; {why}"
        if move:
            return CONTRADICTED, f"{level}, against the expected direction"
        return _absent(e, e.level, level, rules)
    if e.kind in NERVE_FREE:  # beyond denervation, in cells without a nerve: the level is the test
        return _judge(e._replace(question="level"), rules)

    delta, usable = e.delta, e.delta is not None and _usable(e.delta, rules)
    if delta is None or not usable:
        lacking = e.no_delta if delta is None else f"{_say_delta(delta, rules)}: too few studies"
        if move:
            return NOT_SEPARATED, f"{level}, but {lacking}"
        if e.question == "level":
            verdict, reason = _absent(e, e.level, level, rules)
            if verdict == CONTRADICTED:
                # denervation may hide an intrinsic change of the opposite sign
                return CANNOT_TELL, f"{reason}, but {lacking}"
            return verdict, reason
        return CANNOT_TELL, f"{level}, and {lacking}"
    beyond, said = _beyond(delta, e.margin, rules), _say_delta(delta, rules)
    if e.question == "beyond_denervation":
        return _judge_beyond(e, delta, (move, beyond), f"{said}; {level}")
    return _judge_level(e, delta, (move, beyond), f"{level}; {said}", rules)


def _judge_beyond(
    e: Evidence, delta: Estimate, moves: tuple[int, int], said: str
) -> tuple[str, str]:
    move, beyond = moves
    if _fits(beyond, e.expected):
        return SUPPORTED, f"{said}: more than this denervation reference explains"
    if beyond:
        return CONTRADICTED, f"{said}: against the expected direction"
    if move and _inside(delta.ci90, e.margin):
        return LIKE_DENERVATION, f"{said}: the rest lies within ±{e.margin:g}"
    if not move and _excluded(delta, e.expected, e.margin):
        return CONTRADICTED, f"{said}: no rest as large as {e.margin:g} in the expected direction"
    return (NOT_SEPARATED if move else CANNOT_TELL), said


def _judge_level(
    e: Evidence, delta: Estimate, moves: tuple[int, int], said: str, rules: Rules
) -> tuple[str, str]:
    assert e.level is not None
    move, beyond = moves
    if _fits(move, e.expected):
        if beyond == move:
            return SUPPORTED, f"{said}: more than this denervation reference explains"
        if beyond:
            return MIXED, f"{said}: it moves as expected, but less than denervation would move it"
        if _inside(delta.ci90, e.margin):
            return LIKE_DENERVATION, f"{said}: the rest lies within ±{e.margin:g}"
        return NOT_SEPARATED, f"{said}: the rest may be nothing or large"
    if move:
        if _fits(beyond, e.expected):
            return MIXED, f"{said}: against the expected direction, but less than denervation alone"
        if _excluded(delta, e.expected, e.margin):
            return CONTRADICTED, f"{said}: against the expected direction, and so is the rest"
        return NOT_SEPARATED, (
            f"{said}: against the expected direction, but denervation may hide an opposite change"
        )
    if _fits(beyond, e.expected):
        if _excluded(e.level, e.expected, e.margin):
            return MIXED, f"{said}: no difference from controls, but one from denervation"
        return CANNOT_TELL, f"{said}: the difference from controls is too uncertain"
    verdict, reason = _absent(e, e.level, said, rules)
    if verdict == CONTRADICTED and not _excluded(delta, e.expected, e.margin):
        return CANNOT_TELL, f"{said}: denervation may hide a change"
    return verdict, reason


def _absent(e: Evidence, estimate: Estimate, said: str, rules: Rules) -> tuple[str, str]:
    if _excluded(estimate, e.expected, e.margin):
        return CONTRADICTED, f"{said}: no effect as large as {e.margin:g} in the expected direction"
    if abs(estimate.effect) < e.margin and estimate.padj < rules.alpha:
        return CANNOT_TELL, f"{said}: less than the {e.margin:g} that counts, and perhaps more"
    return CANNOT_TELL, f"{said}: too uncertain"


def _direction(estimate: Estimate, margin: float, rules: Rules) -> int:
    """Say where a pooled effect goes: 0 where it is not significant, or too small to count."""
    low, high = estimate.ci
    if not estimate.padj < rules.alpha or low <= 0 <= high or abs(estimate.effect) < margin:
        return 0
    return 1 if low > 0 else -1


def _beyond(delta: Estimate, margin: float, rules: Rules) -> int:
    """Say where Delta goes: 0 where its 90 % interval leaves room for less than the margin.

    The reverse of the equivalence test behind "not distinguishable from denervation": a one-sided
    minimum-effect test (Murphy and Myors 1999, J Appl Psychol 84:234).
    """
    low, high = delta.ci90
    if not delta.padj < rules.alpha or (low < margin and high > -margin):
        return 0
    return 1 if low > 0 else -1


def _usable(delta: Estimate, rules: Rules) -> bool:
    return delta.source == "direct" or delta.k >= rules.min_studies


def _fits(move: int, expected: int) -> bool:
    return move != 0 and (expected in (0, move))


def _inside(interval: tuple[float, float], margin: float) -> bool:
    return -margin < interval[0] and interval[1] < margin


def _excluded(estimate: Estimate, expected: int, margin: float) -> bool:
    """Whether the 95 % interval leaves no effect of ``margin`` in the expected direction."""
    low, high = estimate.ci
    up, down = high < margin, low > -margin
    return up and down if expected == 0 else (up if expected > 0 else down)


def _say(estimate: Estimate, rules: Rules) -> str:
    low, high = estimate.ci
    shown = f"effect {estimate.effect:+.2f} ({low:+.2f} to {high:+.2f}, k = {estimate.k}"
    return shown + (f", padj {estimate.padj:.2g})" if np.isfinite(estimate.padj) else ")")


def _say_delta(delta: Estimate, rules: Rules) -> str:
    low, high = delta.ci
    source = (
        "direct contrast with another neurogenic disease"
        if delta.source == "direct"
        else "beyond the denervation reference"
    )
    return f"{source} {delta.effect:+.2f} ({low:+.2f} to {high:+.2f}, k = {delta.k})"


def detectable_effect(se: float, k: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest effect that a pooled estimate with this standard error finds with this power.

    (t(1 - alpha / 2) + t(power)) se on k - 1 degrees of freedom, normal quantiles for k = 1; the
    usual approximation to the noncentral t (Julious 2004, Stat Med 23:1921).
    """
    if not se > 0 or k < 1:
        return float("nan")
    df = k - 1 if k > 1 else np.inf
    return float(
        (distributions.t_quantile(1 - alpha / 2, df) + distributions.t_quantile(power, df)) * se
    )


# --- evaluation --------------------------------------------------------------------------------


def check_claims(document: Mapping[str, Any], blocks: pd.DataFrame) -> None:
    """Check what the schema cannot: names that must exist.

    Parameters
    ----------
    document
        ``config/claims.yaml``.
    blocks
        ``programme, block, sign`` of the curated programmes.

    Raises
    ------
    InputError
        A test names an unknown block or context, ids repeat, or a test on a block whose genes fall
        with activity does not say in ``means`` what its direction means.
    """
    where = "config/claims.yaml"
    known = {
        (row.programme, row.block): str(row.sign)
        for row in blocks[["programme", "block", "sign"]].drop_duplicates().itertuples()
    }
    ids = [claim["id"] for claim in document["claims"]]
    repeated = {name for name in ids if ids.count(name) > 1}
    if repeated:
        raise InputError(f"claim '{min(repeated)}' stands twice", where=where)
    for claim in document["claims"]:
        tests = [test["id"] for test in claim["tests"]]
        if len(set(tests)) < len(tests):
            raise InputError("two tests have the same id", where=f"{where}: {claim['id']}")
        for test in claim["tests"]:
            key = f"{where}: {claim['id']}.{test['id']}"
            pair = tuple(test["target"].split("/", 1))
            if pair[0] not in {GENE, RATIO}:
                if pair not in known:
                    raise InputError(f"no block '{test['target']}'", where=key)
                if known[pair] == "-" and "means" not in test:
                    raise InputError(
                        f"'{test['target']}' has sign '-': its score rises when its genes fall",
                        where=key,
                        remedy="say in `means` what the expected direction means for the genes",
                    )
            for context in test["contexts"]:
                if context not in document["contexts"]:
                    raise InputError(
                        f"no context '{context}'",
                        where=key,
                        expected="one of: " + ", ".join(sorted(document["contexts"])),
                    )


def matching(contrasts: pd.DataFrame, context: Mapping[str, Any], tag: str = "") -> pd.Series[bool]:
    """Mark the rows of the contrast table that a context selects (eligible or not)."""
    found = (
        (contrasts["role"] == context["role"])
        & (contrasts["sample_kind"].isin(context["sample_kinds"]))
        & (contrasts["tag"] == (tag or context.get("tag", "")))
    )
    if "species" in context:
        found &= contrasts["species"] == context["species"]
    if context.get("stages"):
        found &= contrasts["stage"].isin(context["stages"])
    return found


class _Pooled(NamedTuple):
    estimate: Estimate
    pvalue: float
    row: pd.Series[Any]
    clusters: pd.DataFrame  # effect, se and degrees of freedom per cluster
    studies: list[str]


def _pool(
    rows: pd.DataFrame, rules: Rules, effect: str = "effect", se: str = "se", source: str = ""
) -> dict[int, _Pooled]:
    """Pool rows per case, all cases in one call; columns ``case, label, cluster`` and the effect."""
    if rows.empty:
        return {}
    rows = rows[np.isfinite(rows[effect]) & (rows[se] > 0) & np.isfinite(rows[se])]
    if rows.empty:
        return {}
    # in the table's order: of clusters whose omission moves a case equally, the first is influential
    labels = rows["label"].unique()
    wide, error = (
        rows.pivot(index="case", columns="label", values=column)[labels] for column in (effect, se)
    )
    clusters = dict(zip(rows["label"], rows["cluster"], strict=True))
    combined = meta_analysis.combine_clusters(wide, error, clusters, rho=rules.rho)
    table = meta_analysis.pool(
        wide,
        error,
        clusters,
        level=1 - rules.alpha,
        rho=rules.rho,
        min_studies=rules.min_studies,
    )
    # a cluster's own error is known no better than that of its smallest contrast
    dfs = rows.groupby(["case", "cluster"])["df"].min() if "df" in rows else None
    out = {}
    for case, studies in rows.groupby("case")["label"]:
        row = table.loc[case]
        each = pd.DataFrame({"effect": combined[0].loc[case], "se": combined[1].loc[case]}).dropna()
        each["df"] = np.inf if dfs is None else dfs.loc[case]
        mean, mean_se = float(row["effect"]), float(row["se"])
        estimate = Estimate(
            int(row["k"]),
            mean,
            (float(row["ci_low"]), float(row["ci_high"])),
            _interval(mean, mean_se, row["k"] - 1 if row["k"] > 1 else np.inf, 0.90),
            float("nan"),
            source,
        )
        out[int(case)] = _Pooled(estimate, float(row["pvalue"]), row, each, sorted(studies))
    return out


def _pool_deltas(rows: pd.DataFrame, rules: Rules) -> dict[int, _Pooled]:
    """Pool Deltas per case; the error of a common reference is added once, after pooling.

    Contrasts that use one reference share its error. Within :func:`meta.pool` it would look like
    agreement; so the pooling uses each contrast's own part, and the shared part enters with the
    weighted mean of its signed sizes, on degrees of freedom mixed after Satterthwaite.
    """
    rows = rows[np.isfinite(rows["delta"]) & np.isfinite(rows["delta_se"])]
    # at least a tenth of the variance stays own: replicate estimates may round the other way
    variance = rows["delta_se"] ** 2
    own = np.maximum(variance - rows["shared_sd"] ** 2, 0.1 * variance)
    rows = rows.assign(own=own, own_se=np.sqrt(own))
    pooled = _pool(rows, rules, "delta", "own_se", "reference")
    return {
        int(case): _with_shared_error(pooled[int(case)], its, rules)
        for case, its in rows.groupby("case")
        if case in pooled
    }


def _with_shared_error(pooled: _Pooled, rows: pd.DataFrame, rules: Rules) -> _Pooled:
    shared = rows["shared_sd"].to_numpy(float)
    weight = 1 / (rows["own"].to_numpy(float) + np.nan_to_num(pooled.row["tau2"]))
    weight = weight / weight.sum()
    own_variance, k = float(pooled.row["se"]) ** 2, pooled.estimate.k
    total, denominator = own_variance, own_variance**2 / (k - 1 if k > 1 else np.inf)
    for name in rows["reference"].unique():
        its = (rows["reference"] == name).to_numpy()
        extra = float((weight * shared)[its].sum()) ** 2
        total += extra
        denominator += extra**2 / float(rows["shared_df"][its].iloc[0])
    df = total**2 / denominator if denominator > 0 else np.inf
    se, effect = float(np.sqrt(total)), pooled.estimate.effect
    estimate = pooled.estimate._replace(
        ci=_interval(effect, se, df, 1 - rules.alpha), ci90=_interval(effect, se, df, 0.90)
    )
    return pooled._replace(estimate=estimate, pvalue=_pvalue(effect, se, df))


def _interval(effect: float, se: float, df: float, level: float) -> tuple[float, float]:
    half = distributions.t_quantile((1 + level) / 2, df) * se
    return float(effect - half), float(effect + half)


def _pvalue(effect: float, se: float, df: float) -> float:
    return float(distributions.t_pvalue(effect / se, df))


def _in_conflict(clusters: pd.DataFrame, alpha: float) -> bool:
    """Whether a quarter or more of the clusters move significantly against others that do.

    t intervals per cluster at alpha / k, so that chance alone rarely makes a conflict; normal ones
    where a cluster's degrees of freedom are not known.
    """
    if len(clusters) < 2:
        return False
    ratio = clusters["effect"] / clusters["se"]
    bound = distributions.t_quantile(1 - alpha / len(clusters) / 2, clusters["df"].fillna(np.inf))
    up, down = int((ratio > bound).sum()), int((ratio < -bound).sum())
    return min(up, down) >= max(1, len(clusters) / 4)


def evaluate(
    document: Mapping[str, Any],
    effects: pd.DataFrame,
    contrasts: pd.DataFrame,
    deltas: pd.DataFrame | None = None,
    *,
    rules: Rules | None = None,
) -> pd.DataFrame:
    """Test every claim in every context: ``synthesis/claims.tsv``.

    Parameters
    ----------
    document
        ``config/claims.yaml``: ``claims`` and ``contexts``.
    effects
        Programme effects of all contrasts with the rows of :func:`gene_effects` appended:
        ``dataset, contrast, cell_type, programme, block, stripped, effect, se``. Matched random
        sets travel along as blocks named ``<block>~<number>``.
    contrasts
        From :func:`contrast_table`.
    deltas
        Rows of :func:`alsmuscle.synthesis.axis.block_delta` with ``dataset, contrast, cell_type,
        reference``, one reference per contrast (see :func:`alsmuscle.synthesis.axis.choose_reference`).
    rules
        Fixed in advance; defaults of :class:`Rules`.

    Returns
    -------
    DataFrame
        One row per claim, test and context: ``claim, test, context, statement, target, expected,
        means, counted, k, n_contrasts, studies, effect, ci_low, ci_high, pvalue, padj, tau2, i2, pi_low,
        pi_high, influential, stripped_effect, stripped_ci_low, stripped_ci_high, random_share,
        delta, delta_ci_low, delta_ci_high, delta_padj, delta_source, detectable_effect,
        detectable_basis, verdict, reason``. padj is over all rows with enough studies, separately
        for the level and for Delta.

    Raises
    ------
    InputError
        A needed column is missing, or one contrast has two references.
    """
    rules = rules or Rules()
    for name, table, columns in (
        (
            "effects",
            effects,
            ["dataset", "contrast", "cell_type", "programme", "block", "stripped"],
        ),
        ("contrasts", contrasts, ["sample_kind", "tag", "eligible", "cluster", "stage"]),
    ):
        missing = [column for column in columns if column not in table]
        if missing:
            raise InputError(f"{name} lack the column '{missing[0]}'")
    effects = _labelled(effects, contrasts)
    if deltas is not None and deltas.empty:
        deltas = None
    if deltas is not None:
        keys = ["dataset", "contrast", "cell_type", "programme", "block", "stripped"]
        if deltas.duplicated(keys).any():
            row = deltas[deltas.duplicated(keys)].iloc[0]
            raise InputError(
                f"{row['dataset']}/{row['contrast']} has several denervation references",
                remedy="keep one per contrast with choose_reference",
            )
        deltas = _labelled(deltas, contrasts)
    contexts = {
        name: _context(name, declared, contrasts) for name, declared in document["contexts"].items()
    }
    asked = [
        _Asked(claim, test, contexts[name])
        for claim in document["claims"]
        for test in claim["tests"]
        for name in test["contexts"]
    ]
    chosen = _wanted(asked, [case.context.chosen for case in asked])
    direct = _wanted(asked, [case.context.direct for case in asked])
    complete, stripped, random_sets = _split(effects.merge(chosen))
    found = _Found(
        pooled=_pool(complete, rules),
        stripped=_pool(stripped, rules),
        deltas=_pool(_split(effects.merge(direct))[0], rules, source="direct"),
        random_sets=_by_case(random_sets),
        random_deltas={},
        planning_se=_planning_se(effects),
    )
    if deltas is not None:
        complete, _, random_sets = _split(deltas.merge(chosen))
        found = found._replace(
            deltas=_pool_deltas(complete, rules) | found.deltas,
            random_deltas=_by_case(random_sets),
        )
    cases = [_gather(case, number, found, rules) for number, case in enumerate(asked)]
    enough = [
        case.pooled is not None and case.pooled.estimate.k >= rules.min_studies for case in cases
    ]
    padj = distributions.adjust(
        [
            c.pooled.pvalue if ok and c.pooled else np.nan
            for c, ok in zip(cases, enough, strict=True)
        ]
    )
    delta_padj = distributions.adjust([c.delta.pvalue if c.delta else np.nan for c in cases])
    rows = [
        _row(case, float(p), float(q), rules)
        for case, p, q in zip(cases, padj, delta_padj, strict=True)
    ]
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


CLAIM_COLUMNS = [
    *("claim", "test", "context", "statement", "target", "expected", "means", "counted"),
    *(
        "k",
        "n_contrasts",
        "studies",
        "effect",
        "ci_low",
        "ci_high",
        "pvalue",
        "padj",
        "tau2",
        "i2",
        "pi_low",
    ),
    *("pi_high", "influential", "stripped_effect", "stripped_ci_low", "stripped_ci_high"),
    *("random_share", "delta", "delta_ci_low", "delta_ci_high", "delta_padj", "delta_source"),
    *("detectable_effect", "detectable_basis", "verdict", "reason"),
]


class _Context(NamedTuple):
    """A context of the document, and the contrasts it selects, as ``dataset/contrast``.

    ``chosen``: eligible ones; ``direct``: eligible ones with another neurogenic disease.
    """

    name: str
    kind: str
    cell_types: Sequence[str]
    chosen: set[str]
    direct: set[str]
    no_data: str


class _Asked(NamedTuple):
    claim: Mapping[str, Any]
    test: Mapping[str, Any]
    context: _Context


class _Found(NamedTuple):
    """What the tables say, by number of the case; cases without rows are missing.

    ``deltas`` are from direct contrasts with another neurogenic disease, else from references.
    ``planning_se`` is by target.
    """

    pooled: dict[int, _Pooled]
    stripped: dict[int, _Pooled]
    deltas: dict[int, _Pooled]
    random_sets: dict[int, pd.DataFrame]
    random_deltas: dict[int, pd.DataFrame]
    planning_se: dict[str, float]


class _Case(NamedTuple):
    asked: _Asked
    pooled: _Pooled | None
    stripped: _Pooled | None
    delta: _Pooled | None
    random_share: float
    planning_se: float


def _labelled(table: pd.DataFrame, contrasts: pd.DataFrame) -> pd.DataFrame:
    facts = contrasts[["dataset", "contrast", "cluster", "eligible"]]
    out = table.merge(facts, on=["dataset", "contrast"], how="inner")
    out["pair"] = out["dataset"].astype(str) + "/" + out["contrast"].astype(str)
    out["label"] = out["pair"]
    other = out["cell_type"] != "muscle"
    out.loc[other, "label"] = out["label"] + "/" + out["cell_type"].astype(str)
    # matched random sets stand under their block's name
    out["target"] = out["programme"] + "/" + out["block"].str.split("~").str[0]
    return out


def _wanted(asked: Sequence[_Asked], pairs: Sequence[set[str]]) -> pd.DataFrame:
    """List the rows that each case wants; merged with a table, these are its rows per case."""
    wanted = [
        (number, case.test["target"], pair, cell_type)
        for number, (case, own) in enumerate(zip(asked, pairs, strict=True))
        for pair in own
        for cell_type in case.context.cell_types
    ]
    return pd.DataFrame(wanted, columns=["case", "target", "pair", "cell_type"])


def _split(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return complete blocks, stripped blocks, and matched random sets of complete blocks."""
    random = rows["block"].str.contains("~", regex=False).astype(bool)
    stripped = rows["stripped"].astype(bool)
    return rows[~random & ~stripped], rows[~random & stripped], rows[random & ~stripped]


def _by_case(rows: pd.DataFrame) -> dict[int, pd.DataFrame]:
    return {int(case): own for case, own in rows.groupby("case")}


def _planning_se(effects: pd.DataFrame) -> dict[str, float]:
    """Return per target the median standard error of complete blocks in eligible tissue."""
    rows = _split(effects)[0]
    rows = rows[(rows["cell_type"] == "muscle") & rows["eligible"].astype(bool)]
    medians = rows.groupby("target")["se"].median()
    return dict(zip(medians.index, medians, strict=True))


def _context(name: str, declared: Mapping[str, Any], contrasts: pd.DataFrame) -> _Context:
    matched = contrasts[matching(contrasts, declared)]
    chosen = _pairs(matched)
    direct = _pairs(contrasts[matching(contrasts, declared, tag="versus_neurogenic")])
    kind, cell_types = declared["sample_kinds"][0], declared["cell_types"]
    return _Context(name, kind, cell_types, chosen, direct, _no_data(matched, len(chosen)))


def _pairs(contrasts: pd.DataFrame) -> set[str]:
    eligible = contrasts[contrasts["eligible"].astype(bool)]
    return set(eligible["dataset"] + "/" + eligible["contrast"])


def _gather(asked: _Asked, number: int, found: _Found, rules: Rules) -> _Case:
    return _Case(
        asked,
        found.pooled.get(number),
        found.stripped.get(number),
        found.deltas.get(number),
        _random_share(asked, number, found, rules),
        found.planning_se.get(asked.test["target"], float("nan")),
    )


def _random_share(asked: _Asked, number: int, found: _Found, rules: Rules) -> float:
    """Share of matched random sets that go as far in the expected direction.

    Of the level and of Delta, whichever the verdict rests on; the larger share where on both.
    """
    claim, test, context = asked
    pooled, delta = found.pooled.get(number), found.deltas.get(number)
    if pooled is None or pooled.estimate.k < rules.min_studies:
        return float("nan")
    nerve_free = context.kind in NERVE_FREE
    beyond = test.get("question", "level") == "beyond_denervation" and not nerve_free
    shares = []
    if not beyond:
        sets = found.random_sets.get(number)
        shares.append(_share(sets, ("effect", "se"), pooled, test, rules))
    separated = not nerve_free and (beyond or claim["denervation_sensitive"])
    if separated and delta is not None and delta.estimate.source == "reference":
        sets = found.random_deltas.get(number)
        shares.append(_share(sets, ("delta", "delta_se"), delta, test, rules))
    return max((share for share in shares if np.isfinite(share)), default=float("nan"))


def _share(
    sets: pd.DataFrame | None,
    columns: tuple[str, str],
    pooled: _Pooled,
    test: Mapping[str, Any],
    rules: Rules,
) -> float:
    if sets is None or sets["block"].nunique() < 20:  # too few to speak of 5 %
        return float("nan")
    wide = [sets.pivot(index="block", columns="label", values=column) for column in columns]
    clusters = dict(zip(sets["label"], sets["cluster"], strict=True))
    null = meta_analysis.random_effects(
        *meta_analysis.combine_clusters(wide[0], wide[1], clusters, rho=rules.rho),
        leave_one_out=False,
    )["effect"]
    sign = EXPECTED[test["expected"]]
    if sign == 0:
        as_far = null.abs() >= abs(pooled.estimate.effect)
    else:
        as_far = sign * null >= sign * pooled.estimate.effect
    return float((as_far.sum() + 1) / (len(null) + 1))


def _no_data(matched: pd.DataFrame, n_chosen: int) -> str:
    if matched.empty:
        return "no data: no study of this kind is in this run"
    if n_chosen == 0:
        first = matched.iloc[0]
        more = f" (and {len(matched) - 1} more)" if len(matched) > 1 else ""
        return f"no eligible data: {first['dataset']}/{first['contrast']}: {first['reason']}{more}"
    return f"not measured in the {n_chosen} eligible contrast{'s' * (n_chosen > 1)}"


def _row(case: _Case, padj: float, delta_padj: float, rules: Rules) -> dict[str, Any]:
    (claim, test, context), pooled, delta = case.asked, case.pooled, case.delta
    level = pooled.estimate._replace(padj=padj) if pooled else None
    beyond = delta.estimate._replace(padj=delta_padj) if delta else None
    single = test["target"].split("/")[0] in {GENE, RATIO}
    evidence = Evidence(
        subject=claim["subject"],
        kind=context.kind,
        question=test.get("question", "level"),
        denervation_sensitive=claim["denervation_sensitive"],
        expected=EXPECTED[test["expected"]],
        margin=rules.gene_margin if single else rules.block_margin,
        level=level,
        delta=beyond,
        conflict=pooled is not None and _in_conflict(pooled.clusters, rules.alpha),
        random_share=case.random_share,
        no_data=context.no_data,
        no_delta="" if delta else "no comparable denervation reference exists for these studies",
    )
    verdict, reason = decide(evidence, rules)
    if (
        pooled
        and verdict != CANNOT_TELL
        and pooled.row["rho_pvalue_max"] >= rules.alpha > (pooled.pvalue)
    ):
        reason += "; depends on the correlation assumed between dependent contrasts"
    detectable, basis = _detectable(case, rules)
    if verdict == CANNOT_TELL and np.isfinite(detectable):
        reason += f"; {basis} could have shown an effect of {detectable:.2f} or more"
    out: dict[str, Any] = dict.fromkeys(CLAIM_COLUMNS, np.nan)
    out |= {
        "claim": claim["id"],
        "test": test["id"],
        "context": context.name,
        "statement": claim["statement"],
        "target": test["target"],
        "expected": test["expected"],
        "means": test.get("means", ""),
        "counted": test.get("counted", True),
        "k": pooled.estimate.k if pooled else 0,
        "n_contrasts": len(pooled.studies) if pooled else 0,
        "studies": ";".join(pooled.studies) if pooled else "",
        "random_share": case.random_share,
        "padj": padj,
        "influential": pooled.row["influential"] if pooled else "",
        "delta_padj": delta_padj,
        "delta_source": delta.estimate.source if delta else "",
        "detectable_effect": detectable,
        "detectable_basis": basis,
        "verdict": verdict,
        "reason": reason,
    }
    if pooled:
        for column in ("effect", "ci_low", "ci_high", "pvalue", "tau2", "i2", "pi_low", "pi_high"):
            out[column] = pooled.row[column]
    if case.stripped:
        out["stripped_effect"] = case.stripped.estimate.effect
        out["stripped_ci_low"], out["stripped_ci_high"] = case.stripped.estimate.ci
    if delta:
        out["delta"] = delta.estimate.effect
        out["delta_ci_low"], out["delta_ci_high"] = delta.estimate.ci
    return out


def _detectable(case: _Case, rules: Rules) -> tuple[float, str]:
    settings = {"alpha": rules.alpha, "power": rules.power}
    if case.pooled is not None:
        k = case.pooled.estimate.k
        basis = "this one study" if k == 1 else f"these {k} studies"
        return detectable_effect(float(case.pooled.row["se"]), k, **settings), basis
    if np.isfinite(case.planning_se):
        basis = "for comparison, one study like those of other conditions in this analysis"
        return detectable_effect(case.planning_se, 1, **settings), basis
    return float("nan"), ""


# --- overall and over time ---------------------------------------------------------------------


def overall(claims: pd.DataFrame) -> pd.DataFrame:
    """Summarise the counted tests of a claim for the index page.

    Support and contradiction in different tests or contexts make ``mixed``; otherwise the most
    informative verdict stands: supported, contradicted, mixed, not distinguishable, cannot
    separate, cannot tell.

    Returns
    -------
    DataFrame
        ``claim, statement, verdict, reason, n_tests`` and one column per verdict with the number of
        its tests; in order of first appearance.
    """
    rows = []
    counted = claims[claims["counted"].astype(bool)]
    for claim, part in counted.groupby("claim", sort=False):
        counts = part["verdict"].value_counts()
        found = [verdict for verdict in VERDICTS if counts.get(verdict, 0)]
        verdict = found[0]
        if MIXED in found or (SUPPORTED in found and CONTRADICTED in found):
            verdict = MIXED
        telling = part[part["verdict"] == verdict]
        shown = telling if len(telling) else part[part["verdict"].isin(found[:2])]
        first = shown.iloc[0]
        rows.append(
            {
                "claim": claim,
                "statement": first["statement"],
                "verdict": verdict,
                "reason": f"{first['target']} in {first['context']}: {first['reason']}",
                "n_tests": len(part),
                **{name: int(counts.get(name, 0)) for name in VERDICTS},
            }
        )
    return pd.DataFrame(rows)


def changes(old_claims: pd.DataFrame, new_claims: pd.DataFrame) -> pd.DataFrame:
    """Say what moved between two runs, and why.

    Parameters
    ----------
    old_claims, new_claims
        Tables of :func:`evaluate`.

    Returns
    -------
    DataFrame
        ``claim, test, context, change`` (new, removed, verdict, numbers)``, old_verdict,
        new_verdict, why``; rows that did not move are left out. ``numbers``: the same verdict, but
        other studies or an estimate that moved by more than a tenth of its interval.
    """
    key = ["claim", "test", "context"]
    old, new = old_claims.set_index(key), new_claims.set_index(key)
    for name, table in (("old", old), ("new", new)):
        if not table.index.is_unique:
            raise InputError(f"the {name} claims hold a test twice")
    rows = []
    for name in [*new.index, *old.index.difference(new.index, sort=True)]:
        entry = dict(zip(key, name, strict=True))
        if name not in old.index or name not in new.index:
            here = new.loc[name] if name in new.index else old.loc[name]
            added = name in new.index
            entry |= {
                "change": "new" if added else "removed",
                "old_verdict": "" if added else here["verdict"],
                "new_verdict": here["verdict"] if added else "",
                "why": "the claim or its test was " + ("added" if added else "removed"),
            }
            rows.append(entry)
            continue
        a, b = old.loc[name], new.loc[name]
        why = _why(a, b)
        verdict = a["verdict"] != b["verdict"]
        if not verdict and not why:
            continue
        entry |= {
            "change": "verdict" if verdict else "numbers",
            "old_verdict": a["verdict"],
            "new_verdict": b["verdict"],
            "why": "; ".join(why) or "other tests changed the adjustment for multiple testing",
        }
        rows.append(entry)
    columns = [*key, "change", "old_verdict", "new_verdict", "why"]
    return pd.DataFrame(rows, columns=columns)


def _why(a: pd.Series[Any], b: pd.Series[Any]) -> list[str]:
    why = [
        f"{column} was '{a[column]}', is '{b[column]}'"
        for column in ("target", "expected", "statement")
        if a[column] != b[column]
    ]
    before, after = (set(str(row["studies"]).split(";")) - {"", "nan"} for row in (a, b))
    for word, names in (("added", after - before), ("left", before - after)):
        if names:
            why.append(f"studies {word}: {', '.join(sorted(names))}")
    for name, label in (("", "effect"), ("delta_", "Delta")):
        point = "delta" if name else "effect"
        width = a[f"{name}ci_high"] - a[f"{name}ci_low"]
        if np.isfinite(a[point]) != np.isfinite(b[point]):
            why.append(f"{label} {'appeared' if np.isfinite(b[point]) else 'vanished'}")
        elif abs(b[point] - a[point]) > 0.1 * width:
            why.append(f"{label} from {a[point]:+.2f} to {b[point]:+.2f}")
        elif abs((b[f"{name}ci_high"] - b[f"{name}ci_low"]) - width) > 0.1 * width:
            why.append(f"{label}'s interval is {'narrower' if _narrower(a, b, name) else 'wider'}")
    return why


def _narrower(a: pd.Series[Any], b: pd.Series[Any], name: str) -> bool:
    widths = [row[f"{name}ci_high"] - row[f"{name}ci_low"] for row in (a, b)]
    return bool(widths[1] < widths[0])
