"""Claims of the reviews, tested by rules fixed in advance.

A claim holds one or more tests: a target (programme block, gene or ratio of two genes), the
direction that the claim expects, and the contexts (role, species, kind of sample, stage) in which
expression can speak. Every test in every context gets one verdict (:mod:`.verdicts`). One test is
the claim's primary one, some are necessary to its sentence; the others are shown beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.core.types import Floats
from alsmuscle.genesets.targets import GENE, RATIO
from alsmuscle.stats import distributions
from alsmuscle.synthesis import evidence as ev
from alsmuscle.synthesis.pooled import Pooled, margins
from alsmuscle.synthesis.verdicts import (
    BEYOND,
    CALLED,
    DIRECT,
    EXPECTED,
    LEVEL,
    NERVE_FREE,
    NOT_ENOUGH,
    REFERENCE,
    Called,
    Evidence,
    Part,
    Rules,
    counts_too,
    decide,
    detectable_effect,
)

PRIMARY, NECESSARY, SECONDARY = "primary", "necessary", "secondary"
PATIENTS, MODELS = "patients", "models"

CLAIM_COLUMNS = [
    *("claim", "test", "context", "side", "part", "question", "content", "statement", "target"),
    *("expected", "means", "margin", "k", "n_contrasts", "studies"),
    *("effect", "se", "df", "ci_low", "ci_high", "pvalue", "padj"),
    *("reml_effect", "reml_ci_low", "reml_ci_high", "reml_pvalue"),
    *("bayes_effect", "bayes_ci_low", "bayes_ci_high", "prob_direction", "prob_beyond"),
    *("tau", "i2", "pi_low", "pi_high", "influential"),
    *("stripped_effect", "stripped_ci_low", "stripped_ci_high", "random_share"),
    *("adjusted_k", "adjusted_effect", "adjusted_ci_low", "adjusted_ci_high"),
    *("proportions_k", "proportions_effect", "proportions_ci_low", "proportions_ci_high"),
    *("delta", "delta_ci_low", "delta_ci_high", "delta_k", "delta_pvalue", "delta_padj"),
    *("delta_source", "delta_adjusted", "delta_adjusted_ci_low", "delta_adjusted_ci_high"),
    *("detectable_effect", "detectable_basis", "grade", "verdict", "reason"),
]


def check_claims(
    document: Mapping[str, Any], blocks: pd.DataFrame, *, where: str = "config/claims.yaml"
) -> None:
    """Check what the schema cannot: names that must exist, and which tests decide.

    Parameters
    ----------
    document
        ``config/claims.yaml``.
    blocks
        ``programme, block`` of the curated programmes.
    where
        The file, for messages.

    Raises
    ------
    InputError
        A test names an unknown block or context, ids repeat, a claim has no primary test or two on
        one side, or a primary or necessary context is not among the test's contexts.
    """
    known = set(zip(blocks["programme"], blocks["block"], strict=True))
    ids = [claim["id"] for claim in document["claims"]]
    repeated = {name for name in ids if ids.count(name) > 1}
    if repeated:
        raise InputError(f"claim '{min(repeated)}' is listed twice", where=where)
    for claim in document["claims"]:
        tests = [test["id"] for test in claim["tests"]]
        if len(set(tests)) < len(tests):
            raise InputError("two tests have the same id", where=f"{where}: {claim['id']}")
        for test in claim["tests"]:
            key = f"{where}: {claim['id']}.{test['id']}"
            pair = tuple(test["target"].split("/", 1))
            if pair[0] not in {GENE, RATIO} and pair not in known:
                raise InputError(f"no block '{test['target']}'", where=key)
            _check_contexts(test, document["contexts"], key)
        sides = [
            side_of(document["contexts"][name])
            for test in claim["tests"]
            for name in test.get(PRIMARY, [])
        ]
        if not sides or len(set(sides)) < len(sides):
            raise InputError(
                f"{len(sides)} primary tests",
                where=f"{where}: {claim['id']}",
                expected="one, or one for patients and one for models",
            )


def _check_contexts(test: Mapping[str, Any], contexts: Mapping[str, Any], key: str) -> None:
    for context in test["contexts"]:
        if context not in contexts:
            raise InputError(
                f"no context '{context}'",
                where=key,
                expected="one of: " + ", ".join(sorted(contexts)),
            )
    for part in (PRIMARY, NECESSARY):
        for context in test.get(part, []):
            if context not in test["contexts"]:
                raise InputError(
                    f"'{context}' is {part}, but not among the test's contexts", where=key
                )


def side_of(context: Mapping[str, Any]) -> str:
    """Return whether a context speaks of patients (their muscle or cells) or of animal models."""
    return PATIENTS if context.get("species", "human") == "human" else MODELS


def part_of(test: Mapping[str, Any], context: str) -> str:
    """Return what a test in a context is to its claim."""
    return next((part for part in (PRIMARY, NECESSARY) if context in test.get(part, [])), SECONDARY)


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


class _Context(NamedTuple):
    """A context with everything that its contrasts say, all blocks pooled at once."""

    name: str
    kind: str
    side: str
    no_data: str
    level: Pooled | None
    adjusted: Pooled | None
    stripped: Pooled | None
    direct: Pooled | None
    direct_adjusted: Pooled | None
    delta: Pooled | None
    delta_adjusted: Pooled | None
    random_sets: pd.DataFrame
    random_deltas: pd.DataFrame
    called: pd.DataFrame | None = None
    proportions: Pooled | None = None


class Case(NamedTuple):
    """One test of one claim in one context, before multiplicity is accounted for."""

    claim: Mapping[str, Any]
    test: Mapping[str, Any]
    context: _Context
    delta: Pooled | None
    delta_adjusted: Pooled | None
    source: str
    random_level: Floats
    random_delta: Floats

    @property
    def random_share(self) -> float:
        """Share of matched random sets that go as far: of what the verdict rests on, the larger."""
        expected = self.test["expected"]
        shares = [
            ev.share_as_far(sizes, pooled, self.target, expected)
            for sizes, pooled in (
                (self.random_level, self.context.level),
                (self.random_delta, self.delta),
            )
        ]
        return max((share for share in shares if np.isfinite(share)), default=float("nan"))

    @property
    def target(self) -> str:
        """The block, gene or ratio that is tested."""
        return str(self.test["target"])

    @property
    def part(self) -> str:
        """What the test is to its claim, here."""
        return part_of(self.test, self.context.name)

    @property
    def question(self) -> str:
        """Whether it asks for the level, or for what goes beyond denervation."""
        return str(self.test.get("question", LEVEL))

    @property
    def uses_delta(self) -> bool:
        """Whether denervation could be all of it, so that Delta has to speak, too."""
        return self.context.kind not in NERVE_FREE and (
            self.question == BEYOND or self.claim["denervation_sensitive"]
        )

    @property
    def can_decide(self) -> bool:
        """Whether a p-value of the level can bring a verdict at all."""
        satellite = self.claim["subject"] == "satellite_cell"
        return not (satellite and self.context.kind == "bulk_tissue")


def cases(
    document: Mapping[str, Any],
    effects: pd.DataFrame,
    contrasts: pd.DataFrame,
    deltas: pd.DataFrame | None = None,
    called: pd.DataFrame | None = None,
    *,
    rules: Rules,
) -> list[Case]:
    """Gather what the tables say to every test of every claim, in every context.

    Parameters
    ----------
    document
        ``config/claims.yaml``: ``claims`` and ``contexts``.
    effects
        ``blocks.tsv`` and matched random sets (blocks named ``<block>~<number>``): ``dataset,
        contrast, cell_type, programme, block, stripped, effect, se``, and where known ``df,
        effect_adjusted, se_adjusted, df_adjusted, effect_proportions, se_proportions,
        df_proportions, usable``.
    contrasts
        ``contrasts.tsv``.
    deltas
        ``deltas.tsv``, one reference per contrast.
    called
        ``called_blocks.tsv``: blocks of lists of called genes.
    rules
        Fixed in advance.

    Raises
    ------
    InputError
        A needed column is missing, or one contrast has two references.
    """
    keys = ["dataset", "contrast", "cell_type", "programme", "block", "stripped"]
    for name, table, columns in (
        ("effects", effects, keys),
        ("contrasts", contrasts, ["sample_kind", "tag", "eligible", "cluster", "stage"]),
    ):
        missing = [column for column in columns if column not in table]
        if missing:
            raise InputError(f"{name} lack the column '{missing[0]}'")
    rows = ev.labelled(effects, contrasts)
    rest = pd.DataFrame()
    if deltas is not None and len(deltas):
        if deltas.duplicated(keys).any():
            row = deltas[deltas.duplicated(keys)].iloc[0]
            raise InputError(
                f"{row['dataset']}/{row['contrast']} has several denervation references",
                expected="one per contrast",
            )
        rest = ev.adjusted_deltas(ev.labelled(deltas, contrasts), rows)
    contexts = {
        name: _context(name, declared, rows, rest, contrasts, rules)._replace(
            called=_called(declared, contrasts, called)
        )
        for name, declared in document["contexts"].items()
    }
    drawn = ev.drawn(
        {
            (name, number): sets
            for name, c in contexts.items()
            for number, sets in (("effect", c.random_sets), ("delta", c.random_deltas))
        },
        rules,
    )
    return [
        _case(claim, test, contexts[name], drawn)
        for claim in document["claims"]
        for test in claim["tests"]
        for name in test["contexts"]
    ]


def decided(
    gathered: Sequence[Case], rules: Rules, chosen: Sequence[int] | None = None
) -> pd.DataFrame:
    """Decide gathered cases together: ``synthesis/claims.tsv``, :data:`CLAIM_COLUMNS`.

    ``chosen``: numbers of the cases to give rows of, in this order; all of them otherwise.

    Notes
    -----
    p-values are adjusted in families that can decide: the level of primary tests with enough
    studies, of the other tests with enough, and the same for fewer studies; and so for Delta. A row
    without enough studies moves no other row's adjusted p-value.
    """
    level = _adjust(gathered, [_level(case) for case in gathered], rules.min_studies, rules)
    needed = [rules.min_direct if case.source == DIRECT else rules.min_studies for case in gathered]
    delta = _adjust(gathered, [_delta(case) for case in gathered], needed, rules)
    out = [
        _row(gathered[n], (level[0][n], level[1][n]), (delta[0][n], delta[1][n]), rules)
        for n in (range(len(gathered)) if chosen is None else chosen)
    ]
    return pd.DataFrame(out, columns=CLAIM_COLUMNS)


def _context(
    name: str,
    declared: Mapping[str, Any],
    rows: pd.DataFrame,
    deltas: pd.DataFrame,
    contrasts: pd.DataFrame,
    rules: Rules,
) -> _Context:
    """Pool everything that the context's contrasts say."""
    matched = contrasts[matching(contrasts, declared)]
    pairs = _pairs(matched)
    neurogenic = _pairs(contrasts[matching(contrasts, declared, tag="versus_neurogenic")])
    types = declared["cell_types"]
    level, stripped, random_sets = _split(ev.chosen(rows, pairs, types))
    direct = _split(ev.chosen(rows, neurogenic, types))[0]
    delta, _, random_deltas = _split(ev.chosen(deltas, pairs, types) if len(deltas) else deltas)

    def adjusted(own: pd.DataFrame, how: str = "adjusted") -> Pooled | None:
        names = {name: f"{name}_{how}" for name in ("effect", "se", "df")}
        return ev.pool(own, rules, **names) if names["effect"] in own else None

    return _Context(
        name=name,
        kind=declared["sample_kinds"][0],
        side=side_of(declared),
        no_data=_no_data(matched, len(pairs)),
        level=ev.pool(level, rules),
        adjusted=adjusted(level),
        stripped=ev.pool(stripped, rules),
        direct=ev.pool(direct, rules),
        direct_adjusted=adjusted(direct),
        delta=ev.pool_deltas(delta, rules),
        delta_adjusted=ev.pool_deltas(delta, rules, "delta_adjusted", "delta_adjusted_se"),
        random_sets=random_sets,
        random_deltas=random_deltas,
        proportions=adjusted(level, "proportions"),
    )


def _called(
    declared: Mapping[str, Any], contrasts: pd.DataFrame, called: pd.DataFrame | None
) -> pd.DataFrame | None:
    """Complete, usable blocks of the context's lists of called genes, with ``target``."""
    if called is None or called.empty or "modality" not in contrasts:
        return None
    lists = contrasts[matching(contrasts, declared) & (contrasts["modality"] == "calls")]
    kept = called[called["usable"].astype(bool) & ~called["stripped"].astype(bool)]
    kept = kept.merge(lists[["dataset", "contrast"]], on=["dataset", "contrast"])
    return kept.assign(target=kept["programme"] + "/" + kept["block"])


def _lists(context: _Context, target: str) -> Called | None:
    """What the lists say of one block: the list with most genes of it, and how many there are."""
    if context.called is None:
        return None
    rows = context.called[context.called["target"] == target]
    if rows.empty:
        return None
    order = ["n_measured", "dataset", "contrast"]
    row = rows.sort_values(order, ascending=[False, True, True]).iloc[0]
    return Called(
        lists=tuple((rows["dataset"] + "/" + rows["contrast"]).sort_values()),
        studies=int(rows["cluster"].nunique()),
        measured=int(row["n_measured"]),
        up=int(row["called_up"]),
        down=int(row["called_down"]),
        padj_up=float(row["padj_up"]),
        padj_down=float(row["padj_down"]),
    )


def _split(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return complete blocks, stripped blocks, and matched random sets of complete blocks."""
    if rows.empty:
        return rows, rows, rows
    random = rows["draw"] != ""
    return (
        rows[~random & ~rows["stripped"]],
        rows[~random & rows["stripped"]],
        rows[random & ~rows["stripped"]],
    )


def _pairs(contrasts: pd.DataFrame) -> set[str]:
    eligible = contrasts[contrasts["eligible"].astype(bool)]
    return set(eligible["dataset"] + "/" + eligible["contrast"])


def _no_data(matched: pd.DataFrame, n_chosen: int) -> str:
    if matched.empty:
        return "no data: no study of this kind is in this run"
    if n_chosen == 0:
        first = matched.iloc[0]
        more = f" (and {len(matched) - 1} more)" if len(matched) > 1 else ""
        return f"no eligible data: {first['dataset']}/{first['contrast']}: {first['reason']}{more}"
    several = "s" * (n_chosen > 1)
    return f"not measured, or too few of its genes, in the {n_chosen} eligible contrast{several}"


def _case(
    claim: Mapping[str, Any], test: Mapping[str, Any], context: _Context, drawn: ev.Drawn
) -> Case:
    target = test["target"]
    delta, adjusted, source = context.delta, context.delta_adjusted, REFERENCE
    if ev.estimate(context.direct, target) is not None:
        delta, adjusted, source = context.direct, context.direct_adjusted, DIRECT
    if ev.estimate(delta, target) is None:
        delta, adjusted, source = None, None, ""
    case = Case(claim, test, context, delta, adjusted, source, np.empty(0), np.empty(0))
    return case._replace(
        random_level=_random(case, "effect", drawn),
        random_delta=_random(case, "delta", drawn),
    )


def _random(case: Case, number: str, drawn: ev.Drawn) -> Floats:
    """How far matched random sets go in a number on which the verdict rests."""
    if number == "delta":
        wanted = case.uses_delta and case.delta is not None and case.source == REFERENCE
    else:
        wanted = case.question == LEVEL or case.context.kind in NERVE_FREE
    if not wanted or ev.estimate(case.context.level, case.target) is None:
        return np.empty(0)
    return ev.forward(drawn(case.context.name, number, case.target), case.test["expected"])


def moved(case: Case, by: float, rules: Rules) -> Case:
    """Return a case in which every study's effect is larger by ``by``.

    Before and beyond denervation, and adjusted for composition or not.
    """

    def shifted(pooled: Pooled | None) -> Pooled | None:
        return ev.moved(pooled, case.target, by, rules)

    c = case.context
    context = c._replace(level=shifted(c.level), stripped=shifted(c.stripped))
    context = context._replace(adjusted=shifted(c.adjusted), proportions=shifted(c.proportions))
    delta, adjusted = shifted(case.delta), shifted(case.delta_adjusted)
    return case._replace(context=context, delta=delta, delta_adjusted=adjusted)


# --- multiplicity ------------------------------------------------------------------------------


def _level(case: Case) -> tuple[int, float]:
    return _k_and_p(case.context.level, case.target)


def _delta(case: Case) -> tuple[int, float]:
    return _k_and_p(case.delta, case.target)


def _k_and_p(pooled: Pooled | None, target: str) -> tuple[int, float]:
    if pooled is None or target not in pooled.table.index:
        return 0, float("nan")
    row = pooled.table.loc[target]
    return int(row["k"]), float(row["pvalue"])


def _adjust(
    gathered: Sequence[Case],
    found: Sequence[tuple[int, float]],
    needed: int | Sequence[int],
    rules: Rules,
) -> tuple[np.ndarray, np.ndarray]:
    """Adjust p-values in families, and say below which p-value a row would be significant.

    Families: primary tests or others, with enough studies or fewer; rows that cannot decide are in
    none. Returned per case: adjusted p-value, and the bound as things are (Benjamini and Hochberg:
    one more rejection than there is).
    """
    wanted = [needed] * len(gathered) if isinstance(needed, int) else list(needed)
    family = np.array(
        [
            (case.part == PRIMARY) * 2 + (k >= n) if case.can_decide and k else -1
            for case, (k, _), n in zip(gathered, found, wanted, strict=True)
        ]
    )
    p = np.array([value for _, value in found])
    padj, bound = np.full(len(gathered), np.nan), np.full(len(gathered), rules.alpha)
    for name in range(4):
        own = family == name
        if own.any():
            padj[own] = distributions.adjust(p[own])
            n, hits = int(np.isfinite(p[own]).sum()), int((padj[own] < rules.alpha).sum())
            more = np.where(padj[own] < rules.alpha, hits, hits + 1)
            bound[own] = rules.alpha * np.minimum(more, n) / max(n, 1)
    return padj, bound


# --- rows --------------------------------------------------------------------------------------


def _row(
    case: Case, level: tuple[float, float], delta: tuple[float, float], rules: Rules
) -> dict[str, Any]:
    claim, test, context, target = case.claim, case.test, case.context, case.target
    margin = float(margins([target], ev.pooling(rules))[0])
    evidence = Evidence(
        subject=claim["subject"],
        kind=context.kind,
        question=case.question,
        denervation_sensitive=claim["denervation_sensitive"],
        content=test.get("content", False),
        expected=EXPECTED[test["expected"]],
        margin=margin,
        level=ev.estimate(context.level, target, level[0]),
        adjusted=ev.estimate(context.adjusted, target),
        delta=ev.estimate(case.delta, target, delta[0], case.source),
        delta_adjusted=ev.estimate(case.delta_adjusted, target, source=case.source),
        conflict=context.level is not None
        and target in context.level.table.index
        and ev.in_conflict(context.level, target, rules.alpha),
        random_share=case.random_share,
        no_data=context.no_data,
        no_delta="no comparable denervation reference exists for these studies",
        called=_lists(context, target),
        proportions=ev.estimate(context.proportions, target),
    )
    decision = decide(evidence, rules)
    reason = decision.reason
    detectable, basis = _detectable(case, evidence, (level[1], delta[1]), rules)
    if decision.verdict == NOT_ENOUGH and np.isfinite(detectable):
        reason += f"; an effect of {detectable:.2f} would have been {basis}"
    if evidence.level is not None and context.level is not None:
        numbers = context.level.table.loc[target]
        if numbers["pvalue_rho"] >= rules.alpha > numbers["pvalue"]:
            reason += "; depends on the correlation assumed between dependent contrasts"
    out: dict[str, Any] = dict.fromkeys(CLAIM_COLUMNS, np.nan)
    out |= {
        "claim": claim["id"],
        "test": test["id"],
        "context": context.name,
        "side": context.side,
        "part": case.part,
        "question": case.question,
        "content": evidence.content,
        "statement": claim["statement"],
        "target": target,
        "expected": test["expected"],
        "means": test.get("means", ""),
        "margin": margin,
        "k": 0,
        "n_contrasts": 0,
        "studies": ";".join(evidence.called.lists)
        if decision.grade == CALLED and evidence.called
        else "",
        "padj": level[0],
        "influential": "",
        "random_share": case.random_share,
        "adjusted_k": 0,
        "proportions_k": 0,
        "delta_k": 0,
        "delta_padj": delta[0],
        "delta_source": case.source,
        "detectable_effect": detectable,
        "detectable_basis": basis,
        "grade": decision.grade,
        "verdict": decision.verdict,
        "reason": reason,
    }
    return out | dict(_numbers(case, evidence))


LEVEL_NUMBERS = (
    *("k", "n_contrasts", "effect", "se", "df", "ci_low", "ci_high", "pvalue"),
    *("reml_effect", "reml_ci_low", "reml_ci_high", "reml_pvalue"),
    *("bayes_effect", "bayes_ci_low", "bayes_ci_high", "prob_direction", "prob_beyond"),
    *("tau", "i2", "pi_low", "pi_high", "influential"),
)


def _numbers(case: Case, evidence: Evidence) -> Iterator[tuple[str, Any]]:
    """The row's numbers, as far as there are any."""
    level, target = case.context.level, case.target
    if evidence.level is not None and level is not None:
        for column in LEVEL_NUMBERS:
            yield column, level.table.loc[target, column]
        yield "studies", ";".join(level.studies[target])
    stripped = ev.estimate(case.context.stripped, target)
    parts = {"stripped": stripped, "adjusted": evidence.adjusted}
    parts |= {"proportions": evidence.proportions, "delta_adjusted": evidence.delta_adjusted}
    for name, part in parts.items():
        if part is not None:
            point = name if name.startswith("delta") else f"{name}_effect"
            yield from zip(
                (point, f"{name}_ci_low", f"{name}_ci_high"), (part.effect, *part.ci), strict=True
            )
    if evidence.adjusted is not None:
        yield "adjusted_k", evidence.adjusted.k
    if evidence.proportions is not None:
        yield "proportions_k", evidence.proportions.k
    if evidence.delta is not None and case.delta is not None:
        yield "delta", evidence.delta.effect
        yield from zip(("delta_ci_low", "delta_ci_high"), evidence.delta.ci, strict=True)
        yield "delta_k", evidence.delta.k
        yield "delta_pvalue", case.delta.table.loc[target, "pvalue"]


def _detectable(
    case: Case, evidence: Evidence, reach: tuple[float, float], rules: Rules
) -> tuple[float, str]:
    """Smallest effect that the whole rule would have found, and what it would have been called."""
    if evidence.level is None or not case.can_decide or EXPECTED[case.test["expected"]] == 2:
        return float("nan"), ""
    margin, target = evidence.margin, case.target

    def part(
        pooled: Pooled | None, pvalue: float, least: float = -np.inf, **more: Any
    ) -> list[Part]:
        if pooled is None or target not in pooled.table.index:
            return []
        row = pooled.table.loc[target]
        own = float(row["k"] - 1) if row["k"] > 1 else float(row["df"])
        more["grows"] = float(row["grows"])
        return [Part(float(row["se"]), float(row["df"]), own, pvalue, least, **more)]

    def least(sizes: Floats) -> float:
        """What only few of the random sets reach."""
        return float(np.quantile(sizes, 1 - rules.random_share)) if len(sizes) else -np.inf

    # Where nothing says what denervation would do, the level alone shows a change.
    uses_delta = case.uses_delta and not (
        evidence.delta is None or (case.source == DIRECT and evidence.delta.n < rules.min_direct)
    )
    decided_by_level = case.question == LEVEL or not uses_delta
    parts = part(
        case.context.level,
        reach[0] if decided_by_level else 1.0,
        max(margin, least(case.random_level)) if decided_by_level else -np.inf,
    )
    composition = case.context.kind == "bulk_tissue" and not evidence.content
    word = "supported" if evidence.level.k >= rules.min_studies else "suggested"
    if uses_delta:
        parts += part(case.delta, reach[1], least(case.random_delta), beyond=margin)
        if composition:
            more = {"kept": rules.kept_share, "of": len(parts) - 1}
            parts += part(case.delta_adjusted, rules.alpha, **more)
    if case.uses_delta != uses_delta or (composition and evidence.adjusted is None):
        word = "seen as a change"
    elif composition and decided_by_level:
        parts += part(case.context.adjusted, rules.alpha, kept=rules.kept_share)
        if counts_too(evidence.proportions, rules):
            parts += part(case.context.proportions, rules.alpha)
    found = detectable_effect(parts, power=rules.power)
    return found, f"{word} by {rules.power:.0%} of studies like these"


def judge(
    document: Mapping[str, Any],
    effects: pd.DataFrame,
    contrasts: pd.DataFrame,
    deltas: pd.DataFrame | None = None,
    called: pd.DataFrame | None = None,
    *,
    rules: Rules,
) -> pd.DataFrame:
    """Gather the cases of all claims and decide them, with empty text for missing text."""
    out = decided(cases(document, effects, contrasts, deltas, called, rules=rules), rules)
    text = ["means", "studies", "influential", "delta_source", "detectable_basis", "grade"]
    out[text] = out[text].fillna("").astype(str)
    return out
