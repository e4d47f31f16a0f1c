"""Claims and their verdicts: the words, and what the first page says about all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.design.marks import MARKS
from alsmuscle.report import behind, estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.html import plots
from alsmuscle.report.pages import calls
from alsmuscle.synthesis.context import patients_and_denervation
from alsmuscle.synthesis.verdicts import CALLED, NOT_ENOUGH, VERDICTS

SIGNS = dict(zip(VERDICTS, "✔◔✘·◐≈∥∦?", strict=True))
"""Verdict and its sign, in the order in which the first page groups claims."""

MEANING = dict(
    zip(
        VERDICTS,
        (
            "Enough independent studies agree, it is more than denervation and tissue composition "
            "explain, and random gene sets move less.",
            "One or two independent studies say so, or a list of called genes; the page says how "
            "many.",
            "The interval lies beyond 0 on the other side, by more than the margin.",
            "Whatever there is, is too small to count.",
            "Studies, or tests that the sentence needs, say opposite things.",
            "It moves, and next to nothing is left beyond denervation.",
            "It moves; what is left beyond denervation is unknown, or may be nothing.",
            "It moves; adjusted for fibre, fat and macrophage content its interval reaches 0, "
            "or it cannot be adjusted.",
            "No data, the wrong material, or too wide an interval; the page says how small an "
            "effect would have been seen.",
        ),
        strict=True,
    )
)
"""What each verdict means; the rules are in :func:`alsmuscle.synthesis.verdicts.decide`."""

EXPECTED = {
    "up": "higher",
    "down": "lower",
    "changed": "different, in either direction",
    "unchanged": "no different",
}
PARTS = {
    "primary": "decides the claim",
    "necessary": "the claim's sentence needs it",
    "secondary": "beside the claim, decides nothing",
}


def verdict_badge(verdict: str) -> Markup:
    """Return a verdict as sign and words."""
    return Markup('<span class="verdict-badge verdict-{}">{} {}</span>').format(
        c.slug(verdict), SIGNS.get(verdict, ""), verdict
    )


def target_title(data: m.ReportData, target: str) -> str:
    """Return the reading name of ``PROGRAMME/block``, ``GENE/symbol`` or ``RATIO/a:b``."""
    programme, block = target.split("/", 1)
    if programme == "GENE":
        return block
    if programme == "RATIO":
        return " over ".join(block.split(":"))
    return estimates.programme_title(data.programme_info, programme, block)


def is_simulated(synthesis: m.Synthesis) -> bool:
    """Return whether simulated studies are among those pooled."""
    table = synthesis.contrasts
    return bool((table["eligible"].astype(bool) & (table["evidence"] == "simulated")).any())


def summary(data: m.ReportData, synthesis: m.Synthesis) -> dict[str, Any]:
    """Return what the first page shows: the count of every verdict, what it rests on,
    the claims.
    """
    overall = synthesis.overall.set_index("claim")
    entries = {entry["id"]: entry for entry in synthesis.document["claims"]}
    names = [name for name in entries if name in overall.index]
    counts = overall["verdict"].value_counts()
    decided = [n for n in names if overall.loc[n, "verdict"] != NOT_ENOUGH]
    telling = {n: telling_row(rows_of(synthesis, n), overall.loc[n]) for n in names}
    span = plots.domain([_plain(telling[n]) for n in decided])
    groups = []
    for verdict in SIGNS:
        members = [n for n in decided if overall.loc[n, "verdict"] == verdict]
        lines = [
            _line(data, synthesis, entries[n], telling[n], overall.loc[n], span) for n in members
        ]
        if lines:
            groups.append({"badge": verdict_badge(verdict), "lines": lines})
    open_claims = [n for n in names if n not in decided]
    return {
        "counts": [
            {"verdict": v, "sign": SIGNS[v], "n": int(counts.get(v, 0)), "css": c.slug(v)}
            for v in SIGNS
        ],
        "total": len(names),
        "reviews": _attribution(synthesis, names),
        "basis": _basis(synthesis, decided=bool(decided)),
        "denervation": patients_and_denervation(synthesis.contrasts),
        "groups": groups,
        "axis": plots.axis(span),
        "open": _cannot_tell(data, synthesis, open_claims, entries) if open_claims else None,
        "n_open": len(open_claims),
        "why": _why_open(synthesis, open_claims),
    }


NOT_READ = "not read"
"""What ``claims.yaml`` says of a review whose passage on a claim nobody has seen."""


def _attribution(synthesis: m.Synthesis, names: list[str]) -> str:
    """In words, for how many claims the passage of a review has been seen."""
    entries = [entry for entry in synthesis.document["claims"] if entry["id"] in names]
    unseen = sum(all(x["basis"] == NOT_READ for x in entry["reviews"]) for entry in entries)
    if not unseen:
        return ""
    return (
        f"The reviews were read in part: the passage that makes the claim was seen for "
        f"{len(entries) - unseen} of {len(entries)}; the others are attributed to a review by its "
        "subject, as each claim's page says."
    )


def _basis(synthesis: m.Synthesis, *, decided: bool) -> str:
    """In words, on how much ALS data the verdicts rest."""
    table = synthesis.contrasts
    als = table[table["role"].str.startswith("als_") & table["eligible"].astype(bool)]
    if als.empty:
        return (
            "This run holds no ALS muscle that could be pooled, so no claim can be decided. What "
            "follows is the background that any ALS finding must be held against."
        )
    first = als.sort_values("n_target").drop_duplicates("dataset", keep="last")
    cases, controls = first[["n_target", "n_reference"]].astype("Float64").sum()
    n, k = len(als), als["dataset"].nunique()
    text = (
        f"The verdicts rest on {n} comparison{'s' * (n != 1)} of ALS with controls from {k} "
        f"stud{'ies' if k != 1 else 'y'} ({c.number(cases, 0)} with ALS against "
        f"{c.number(controls, 0)})"
    )
    if calls.has_lists(synthesis):
        assert synthesis.called_genes is not None
        called = synthesis.called_genes
        called = called[called["role"].str.startswith("als_")]
        lists = called.drop_duplicates(["dataset", "contrast"])
        known = set(als["cluster"]) if "cluster" in als else set()
        text += "".join(
            f", and on a list of called genes of {'the same' if x.cluster in known else 'other'} "
            f"patients ({calls.sizes(x.n_target, x.n_reference).replace(' v ', ' against ')})"
            for x in lists.itertuples()
        )
    return text + ("." if decided else "; that is not enough for a verdict on any claim.")


def _plain(row: pd.Series[Any]) -> pd.DataFrame:
    return pd.DataFrame([{key: row[key] for key in ("effect", "ci_low", "ci_high")}])


def _line(
    data: m.ReportData,
    synthesis: m.Synthesis,
    entry: Mapping[str, Any],
    row: pd.Series[Any],
    overall: pd.Series[Any],
    span: tuple[float, float],
) -> dict[str, Any]:
    """One claim that has a verdict: what it rests on, drawn, and how its tests came out."""
    drawn = {str(k): row[k] for k in ("effect", "ci_low", "ci_high")} | {"pooled": True}
    return {
        "id": entry["id"],
        "statement": entry["statement"],
        "href": m.claim_path(entry["id"]),
        "measure": target_title(data, row["target"]),
        "where": context_label(synthesis, row["context"]),
        "studies": _grade(data, row, overall),
        "plot": Markup("") if c.is_missing(row["effect"]) else plots.interval(drawn, span),
        "genes": behind.of_effect(data, row) or calls.genes_called(calls.of_test(data, row)),
        "estimate": calls.counted(calls.of_test(data, row))
        if c.is_missing(row["effect"])
        else c.number_link(
            c.interval_text(row["effect"], row["ci_low"], row["ci_high"]),
            behind.place_of(data, row),
            f"{target_title(data, row['target'])}, in its comparison",
        ),
        "tests": _tests(rows_of(synthesis, entry["id"])),
    }


def _grade(data: m.ReportData, row: pd.Series[Any], overall: pd.Series[Any]) -> str:
    """On what a claim's verdict rests, for whom, and what is in doubt about it, in words."""
    number = "a list of called genes" if row["grade"] == CALLED else estimates.studies(row["k"])
    own = behind.contrasts(data, row)
    doubts = dict.fromkeys(MARKS[kind].label for k in own for kind, _ in k.meta.get("marks", []))
    return f"{overall['basis']}: {', '.join([number, *doubts])}"


def deciding(rows: pd.DataFrame) -> pd.DataFrame:
    """Tests that decide a claim, or that its sentence needs."""
    return rows[rows["part"] != "secondary"]


def undecided(rows: pd.DataFrame) -> pd.DataFrame:
    """Those of the :func:`deciding` tests that cannot tell."""
    rows = deciding(rows)
    return rows[rows["verdict"] == NOT_ENOUGH]


def _tests(rows: pd.DataFrame) -> str:
    """How the tests that decide a claim came out, in words."""
    counts = deciding(rows)["verdict"].value_counts()
    return ", ".join(f"{counts[v]} {v}" for v in SIGNS if counts.get(v, 0))


REASONS = (
    ("no data", "no study of this kind in this run"),
    ("no eligible data", "no comparison that may be pooled"),
    ("not measured", "not measured, or too few of its genes"),
    ("bulk tissue cannot decide", "bulk tissue cannot decide it"),
    ("fewer than the", "too few studies"),
)
"""What a reason holds, and what it comes to in a few words; anything else is too uncertain."""


def short_reason(reason: object) -> str:
    """Return in a few words why a test cannot tell."""
    text = str(reason)
    return next((words for mark, words in REASONS if mark in text), "too uncertain")


def _why_open(synthesis: m.Synthesis, names: list[str]) -> str:
    """Why the tests of the undecided claims cannot tell: each reason with its number of tests."""
    rows = synthesis.claims
    rows = undecided(rows[rows["claim"].isin(names)])
    counts = rows["reason"].map(short_reason).value_counts()
    return "; ".join(f"{reason}: {n} test{'s' * (n != 1)}" for reason, n in counts.items())


OPEN = (
    c.Column("claim", "Claim"),
    c.Column("why", "Why"),
    c.Column("seen", "Best evidence so far"),
    c.Column("detectable", "Detectable effect", "number", title="Smallest, log2 units"),
)


def _cannot_tell(
    data: m.ReportData,
    synthesis: m.Synthesis,
    names: list[str],
    entries: Mapping[str, Mapping[str, Any]],
) -> Markup:
    """The undecided claims, one line each: why, what was seen, what could have been seen."""
    lines, overall = [], synthesis.overall.set_index("claim")
    for name in names:
        own = rows_of(synthesis, name)
        row = telling_row(own, overall.loc[name])
        beside = own[own["effect"].notna()]
        seen = "no data"
        if c.is_missing(row["effect"]) and len(beside):
            row = beside.sort_values("k", ascending=False, kind="stable").iloc[0]
        if not c.is_missing(row["effect"]):
            seen = "" if row["part"] != "secondary" else "beside the claim, "
            title = target_title(data, row["target"])
            said = c.interval_text(row["effect"], row["ci_low"], row["ci_high"])
            said = c.number_link(said, behind.place_of(data, row), f"{title}, in its comparison")
            seen = Markup("{}{}: {}, {}").format(seen, title, said, estimates.studies(row["k"]))
        link = Markup('<a href="{}">{}: {}</a>').format(
            m.claim_path(name), name, entries[name]["statement"]
        )
        lines.append(
            {
                "claim": link,
                "why": _why(data, undecided(own), row),
                "seen": seen,
                "detectable": row["detectable_effect"],
            }
        )
    return c.table(
        pd.DataFrame(lines),
        OPEN,
        caption="Claims that cannot be decided",
        name="claims-cannot-tell",
        full=synthesis.files.get("claims"),
        order="in the order of the claims file",
        stacked=True,
    )


def _why(data: m.ReportData, open_tests: pd.DataFrame, row: pd.Series[Any]) -> str:
    """Why a claim cannot be decided; where its own test could be, what else the sentence needs."""
    if row["verdict"] != NOT_ENOUGH:
        open_tests = open_tests[open_tests["side"] == row["side"]]
        reasons = open_tests.groupby("target", sort=False)["reason"].first().map(short_reason)
        return "; ".join(
            f"{target_title(data, str(target))}, which the sentence needs: {reason}"
            for target, reason in reasons.items()
        )
    reasons = open_tests["reason"].map(short_reason).value_counts()
    return "; ".join(str(reason) for reason in reasons.index)


def rows_of(synthesis: m.Synthesis, claim: str) -> pd.DataFrame:
    """Return a claim's rows of ``claims.tsv``: one per test and context."""
    return synthesis.claim_rows.get(claim, synthesis.claims.iloc[:0])


def context_label(synthesis: m.Synthesis, name: object) -> str:
    """Return the reading name of where a test is made."""
    return str(synthesis.document["contexts"].get(str(name), {}).get("label", name))


def telling_row(rows: pd.DataFrame, overall: pd.Series[Any]) -> pd.Series[Any]:
    """The row of ``claims.tsv`` that speaks for the claim."""
    own = rows[(rows["test"] == overall["test"]) & (rows["context"] == overall["context"])]
    return own.iloc[0]


_P = re.compile(r"\bpadj ([0-9.e+-]+)")
_K = re.compile(r"\bk = (\d+)")
_ELIGIBLE = re.compile(r"\b(\d+) eligible contrasts?")


def reason_of(data: m.ReportData, row: pd.Series[Any], reason: object) -> str:
    """Return a test's reason as it is read; a p of groups processed apart is never without that.

    ``row``: of ``claims.tsv``.
    """
    said = typeset(data, reason)
    if not any(wording.apart(contrast.meta) for contrast in behind.contrasts(data, row)):
        return said
    return re.sub(r"adjusted p [^,;()]+", lambda found: f"{found[0]}, {wording.APART}", said)


def typeset(data: m.ReportData, reason: object) -> str:
    """Return a reason as it is read: words for keys, typeset numbers, no full stop."""
    text = str(reason).removeprefix("no data: ")
    for key, name in data.labels.items():
        text = text.replace(key, name)
    text = _P.sub(lambda found: f"adjusted p {c.pvalue(found[1])}", text)
    text = _K.sub(lambda found: estimates.studies(float(found[1])), text)
    text = _ELIGIBLE.sub(
        lambda found: f"{found[1]} comparison{'s' * (found[1] != '1')} that may be pooled", text
    )
    return re.sub(r"(?<![\w)])-(?=\d)", c.MINUS, text).rstrip(".")


def capital(text: str) -> str:
    """Return a text that starts with a capital letter."""
    return text[:1].upper() + text[1:]
