"""Claims: their verdicts on the first page, a page per claim, and what moved since the last run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.html import plots
from alsmuscle.report.site import Site
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
            "It moves; adjusted for fibre, fat and macrophage content its interval reaches 0, or it "
            "cannot be adjusted.",
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
    "secondary": "shown beside the claim, decides nothing",
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
    """Return what the first page shows: the count of every verdict, what it rests on, the claims."""
    overall = synthesis.overall.set_index("claim")
    entries = {entry["id"]: entry for entry in synthesis.document["claims"]}
    names = [name for name in entries if name in overall.index]
    counts = overall["verdict"].value_counts()
    decided = [n for n in names if overall.loc[n, "verdict"] != NOT_ENOUGH]
    telling = {n: _telling(_rows_of(synthesis, n), overall.loc[n]) for n in names}
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
        "basis": _basis(synthesis, decided=bool(decided)),
        "denervation": patients_and_denervation(synthesis.contrasts),
        "groups": groups,
        "axis": plots.axis(span),
        "open": _cannot_tell(data, synthesis, open_claims, entries) if open_claims else None,
        "n_open": len(open_claims),
        "why": _why_open(synthesis, open_claims),
    }


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
    donors = int(first[["n_target", "n_reference"]].astype("Float64").sum().sum())
    n, k = len(als), als["dataset"].nunique()
    text = (
        f"They rest on {n} comparison{'s' * (n != 1)} of ALS with controls from {k} "
        f"stud{'ies' if k != 1 else 'y'} with about {c.number(donors, 0)} donors"
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
        "where": _context(synthesis, row["context"]),
        "studies": _grade(row, overall),
        "plot": Markup("") if c.is_missing(row["effect"]) else plots.interval(drawn, span),
        "estimate": ""
        if c.is_missing(row["effect"])
        else c.interval_text(row["effect"], row["ci_low"], row["ci_high"]),
        "tests": _tests(_rows_of(synthesis, entry["id"])),
    }


def _grade(row: pd.Series[Any], overall: pd.Series[Any]) -> str:
    """On what a claim's verdict rests, and for whom, in words."""
    number = "a list of called genes" if row["grade"] == CALLED else estimates.studies(row["k"])
    return f"{overall['basis']}: {number}"


def _deciding(rows: pd.DataFrame) -> pd.DataFrame:
    """Tests that decide a claim, or that its sentence needs."""
    return rows[rows["part"] != "secondary"]


def _tests(rows: pd.DataFrame) -> str:
    """How the tests that decide a claim came out, in words."""
    counts = _deciding(rows)["verdict"].value_counts()
    return ", ".join(f"{counts[v]} {v}" for v in SIGNS if counts.get(v, 0))


REASONS = (
    ("no data", "no study of this kind in this run"),
    ("no eligible data", "no comparison that may be pooled"),
    ("not measured", "not measured"),
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
    rows = _deciding(rows[rows["claim"].isin(names)])
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
        rows = _deciding(_rows_of(synthesis, name))
        row = _telling(rows, overall.loc[name])
        reasons = rows["reason"].map(short_reason).value_counts()
        seen = "no data"
        if not c.is_missing(row["effect"]):
            seen = (
                f"{target_title(data, row['target'])}: "
                f"{c.interval_text(row['effect'], row['ci_low'], row['ci_high'])}, "
                f"{estimates.studies(row['k'])}"
            )
        link = Markup('<a href="{}">{}: {}</a>').format(
            m.claim_path(name), name, entries[name]["statement"]
        )
        lines.append(
            {
                "claim": link,
                "why": "; ".join(str(r) for r in reasons.index),
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
    )


def _rows_of(synthesis: m.Synthesis, claim: str) -> pd.DataFrame:
    return synthesis.claims[synthesis.claims["claim"] == claim]


def _context(synthesis: m.Synthesis, name: object) -> str:
    return str(synthesis.document["contexts"].get(str(name), {}).get("label", name))


def _telling(rows: pd.DataFrame, overall: pd.Series[Any]) -> pd.Series[Any]:
    """The row of ``claims.tsv`` that speaks for the claim."""
    own = rows[(rows["test"] == overall["test"]) & (rows["context"] == overall["context"])]
    return own.iloc[0]


def _sentence(
    data: m.ReportData, synthesis: m.Synthesis, row: pd.Series[Any], reason: object
) -> str:
    where = _context(synthesis, row["context"])
    said = _typeset(str(reason).removeprefix(f"{row['target']} in {row['context']}: "))
    return f"{target_title(data, row['target'])} in {where}: {said}."


def _typeset(reason: object) -> str:
    """Return a reason with true minus signs before numbers and without a full stop."""
    text = str(reason).removeprefix("no data: ")
    return re.sub(r"(?<![\w)])-(?=\d)", c.MINUS, text).rstrip(".")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _elsewhere(synthesis: m.Synthesis, target: str) -> pd.DataFrame:
    """The target pooled in every role that is not ALS, one row per role and species."""
    rows = estimates.pooled_rows(synthesis, target)
    return rows[~rows["role"].str.startswith("als_")]


def page(site: Site, data: m.ReportData, synthesis: m.Synthesis, entry: Mapping[str, Any]) -> str:
    """Return a claim's page: verdict, effects per context, controls, doubts, sources."""
    path = m.claim_path(entry["id"])
    rows = _rows_of(synthesis, entry["id"])
    overall = synthesis.overall.set_index("claim").loc[entry["id"]]
    verdict = str(overall["verdict"])
    own = synthesis.studies[synthesis.studies["claim"] == entry["id"]]
    parts, blank = [], []
    for _, row in rows.iterrows():
        studies = own[(own["test"] == row["test"]) & (own["context"] == row["context"])]
        if studies.empty:
            blank.append(row)
            continue
        parts.append(_part(data, synthesis, row, studies, m.root(path)))
    targets = list(dict.fromkeys(rows["target"]))
    frames = {target: _elsewhere(synthesis, target) for target in targets}
    frames = {target: frame for target, frame in frames.items() if len(frame)}
    span = plots.domain(frames.values())
    n = int(overall["n_tests"])
    return site.render(
        "claim.html.j2",
        path=path,
        heading=f"{entry['id']}: {entry['statement']}",
        claim=entry,
        simulated=is_simulated(synthesis),
        verdict=verdict_badge(verdict),
        tests=f"{n} test{'s' * (n != 1)}, {len(parts)} with data",
        sides=[
            (side, verdict_badge(str(overall[side])))
            for side in ("patients", "models")
            if overall[side]
        ],
        reason=_sentence(data, synthesis, _telling(rows, overall), overall["reason"]),
        parts=parts,
        untested=_untested(data, synthesis, blank, entry["id"]),
        elsewhere=[
            plots.forest_plot(
                frame,
                caption=f"{target_title(data, target)} in other conditions",
                head="Condition",
                span=span,
            )
            for target, frame in frames.items()
        ],
        wrong=c.definitions(
            [
                ("Conflict in the literature", entry["conflict"]),
                ("Control that could refute it", entry["refuting_control"]),
                ("What would refute it", entry["falsifier"]),
                ("Denervation could explain it", "yes" if entry["denervation_sensitive"] else "no"),
                ("About", str(entry["subject"]).replace("_", " ")),
            ]
        ),
        caveats=_caveats(data, targets),
        reviews=[_review(synthesis, item) for item in entry["reviews"]],
        evidence=[
            f"{item['text']} ({'seen at its page' if item['mark'] == 'S' else 'from memory, verify'})"
            for item in entry["evidence"]
        ],
    )


def _review(synthesis: m.Synthesis, item: Mapping[str, Any]) -> str:
    review = synthesis.document["reviews"].get(item["review"], {})
    return (
        f"{review.get('citation', item['review'])}. Attribution: {item['basis']}; "
        f"read of the review: {review.get('read', 'not stated')}"
    )


def _caveats(data: m.ReportData, targets: list[str]) -> list[tuple[str, str]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for target in targets:
        programme, block = target.split("/", 1)
        text = estimates.caveat(data.programme_info, programme, block)
        if text:
            found.setdefault(text, []).append(
                (programme, estimates.programme_title(data.programme_info, programme, block))
            )
    # one caveat of several blocks stands once, under their programme
    return [
        (
            names[0][1]
            if len(names) == 1
            else estimates.programme_title(data.programme_info, names[0][0]),
            text,
        )
        for text, names in found.items()
    ]


def _together(sizes: list[m.Groups]) -> str | None:
    """Group sizes of several studies, added up where all are known and counted alike."""
    if len({size.unit for size in sizes}) != 1:
        return None
    target = [size.target for size in sizes if size.target is not None]
    reference = [size.reference for size in sizes if size.reference is not None]
    if len(target) < len(sizes) or len(reference) < len(sizes):
        return None
    return f"{sum(target)} v {sum(reference)} {sizes[0].unit}"


def _part(
    data: m.ReportData,
    synthesis: m.Synthesis,
    row: pd.Series[Any],
    studies: pd.DataFrame,
    to_root: str,
) -> dict[str, Any]:
    known = {m.place(s, k): (s, k) for s, k in data.contrasts()}
    lines, sizes = [], dict[str, m.Groups]()
    for item in studies.itertuples():
        pair = known.get((item.dataset, item.contrast, item.cell_type))
        if pair and item.eligible:
            sizes[str(item.dataset)] = m.donors(*pair)
        line = {
            "label": f"{pair[0].name}: {wording.label(pair[1].meta)}"
            if pair
            else f"{item.dataset}: {item.contrast}",
            "href": to_root + m.contrast_path(*pair) if pair else None,
            "n": wording.sizes(*pair) if pair else None,
            "group": "Studies" if item.eligible else "Shown, not pooled",
            "badges": wording.badges(*pair) if pair else Markup(""),
            "caveat": None if item.eligible else item.reason,
            "effect": item.effect,
            "ci_low": item.ci_low,
            "ci_high": item.ci_high,
            "alt_effect": item.delta,
            "alt_ci_low": item.delta_ci_low,
            "alt_ci_high": item.delta_ci_high,
        }
        lines.append(line)
    lines.sort(key=lambda line: line["group"] != "Studies")
    if not c.is_missing(row["effect"]) and row["k"] > 1:
        pooled = {
            "label": f"Pooled, {estimates.studies(row['k'])}",
            "n": _together(list(sizes.values())) if len(sizes) == row["n_contrasts"] else None,
            "group": "Pooled (random effects)",
            "pooled": True,
            "pi_low": row["pi_low"],
            "pi_high": row["pi_high"],
            "badges": Markup(""),
            "effect": row["effect"],
            "ci_low": row["ci_low"],
            "ci_high": row["ci_high"],
            "alt_effect": row["delta"],
            "alt_ci_low": row["delta_ci_low"],
            "alt_ci_high": row["delta_ci_high"],
        }
        lines.append(pooled)
    frame = pd.DataFrame(lines).astype(object).where(lambda t: t.notna(), None)
    numbers = ("effect", "ci_low", "ci_high", "alt_effect", "alt_ci_low", "alt_ci_high")
    for column in (*numbers, "pi_low", "pi_high"):
        if column in frame:
            frame[column] = pd.to_numeric(frame[column], errors="coerce")
    title = f"{target_title(data, row['target'])}: {_context(synthesis, row['context'])}"
    expected = EXPECTED.get(row["expected"], row["expected"])
    if row["means"]:
        expected += f" ({row['means']})"
    return {
        "title": title,
        "badge": verdict_badge(row["verdict"]),
        "part": PARTS[str(row["part"])],
        "expected": expected,
        "reason": _capital(f"{_typeset(row['reason'])}."),
        "plot": plots.forest_plot(
            frame,
            caption=title,
            head="Comparison",
            main="against controls",
            alt="beyond the denervation reference",
        ),
        "facts": c.definitions(_facts(row), compact=True),
    }


def _facts(row: pd.Series[Any]) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = [
        ("Independent studies", f"{row['k']} ({row['n_contrasts']} comparisons)"),
    ]
    if row["k"] >= 3:
        i2 = "not known" if c.is_missing(row["i2"]) else f"{row['i2']:.0f} %"
        pairs.append(("Variance between studies (I²)", i2))
        span = f"{c.number(row['pi_low'], sign=True)} to {c.number(row['pi_high'], sign=True)}"
        pairs.append(("A new study would lie in", span))
        pairs.append(("Most influential comparison", row["influential"]))
    if row["k"] >= 2 and not c.is_missing(row["prob_direction"]):
        pairs.append(
            (
                "Bayesian estimate",
                f"{c.interval_text(row['bayes_effect'], row['bayes_ci_low'], row['bayes_ci_high'])}; "
                f"probability of this direction {row['prob_direction']:.3g}, of more than "
                f"{row['margin']:g} {row['prob_beyond']:.3g}",
            )
        )
    for name, label in (
        ("adjusted_effect", "Adjusted for tissue composition"),
        ("delta_adjusted", "Beyond denervation, adjusted for tissue composition"),
    ):
        if not c.is_missing(row[name]):
            stem = name.removesuffix("_effect")
            text = c.interval_text(row[name], row[f"{stem}_ci_low"], row[f"{stem}_ci_high"])
            pairs.append((label, text))
    if not c.is_missing(row["stripped_effect"]):
        text = c.interval_text(
            row["stripped_effect"], row["stripped_ci_low"], row["stripped_ci_high"]
        )
        pairs.append(("Without denervation genes", text))
    if not c.is_missing(row["random_share"]):
        pairs.append(("Random gene sets that move as far", f"{row['random_share']:.0%}"))
    if not c.is_missing(row["detectable_effect"]):
        text = f"{row['detectable_effect']:.2f} log2 units ({row['detectable_basis']})"
        pairs.append(("Smallest detectable effect", text))
    return pairs


UNTESTED = (
    c.Column("target", "Measure"),
    c.Column("context", "Where"),
    c.Column("verdict", "Verdict"),
    c.Column("reason", "Why"),
    c.Column("detectable_effect", "Detectable effect", "number"),
)


def _untested(
    data: m.ReportData, synthesis: m.Synthesis, rows: list[pd.Series[Any]], claim: str
) -> Markup | None:
    if not rows:
        return None
    frame = pd.DataFrame(rows)[["target", "context", "verdict", "reason", "detectable_effect"]]
    frame["target"] = [target_title(data, name) for name in frame["target"]]
    frame["reason"] = [
        _capital(_typeset(str(text).split("; for comparison")[0])) for text in frame["reason"]
    ]
    frame["context"] = [_context(synthesis, name) for name in frame["context"]]
    return c.table(
        frame,
        UNTESTED,
        caption="Tests without data, and the smallest effect one typical study could have shown",
        name=f"{claim}-untested",
        full=None,
        order="in the order of the claims file",
    )


MOVED = (
    c.Column("claim", "Claim"),
    c.Column("test", "Test"),
    c.Column("context", "Where"),
    c.Column("change", "Change"),
    c.Column("old_verdict", "Was"),
    c.Column("new_verdict", "Is"),
    c.Column("why", "Why"),
)


def changes(site: Site, synthesis: m.Synthesis) -> str:
    """Return ``changes.html``: which verdicts and numbers moved since they last did, and why."""
    table = synthesis.changes
    first = bool((table["change"] == "first run").any())
    moved = int((table["change"] == "verdict").sum())
    if first:
        lead = "This is the first run here: there is nothing to compare with."
        body = Markup("")
    elif table.empty:
        lead, body = "Nothing moved.", Markup("")
    else:
        lead = (
            f"{moved} verdict{'s' * (moved != 1)} moved since the results last changed; in "
            f"{len(table) - moved} further tests numbers moved, or tests came or went."
        )
        frame = table.sort_values("change", key=lambda x: x != "verdict", kind="stable").copy()
        known = {entry["id"] for entry in synthesis.document["claims"]}
        frame["context"] = [_context(synthesis, name) for name in frame["context"]]
        frame["claim"] = [
            c.local(name, m.claim_path(name)) if name in known else name for name in frame["claim"]
        ]
        body = c.table(
            frame,
            MOVED,
            caption="What moved",
            name="changes",
            full=synthesis.files.get("changes"),
            order="verdicts first",
        )
    return site.render(
        "changes.html.j2",
        path="changes.html",
        heading="What changed since the last run",
        lead=lead,
        body=body,
    )
