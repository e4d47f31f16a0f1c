"""Claims: their verdicts on the first page, a page per claim, and what moved since the last run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.report import components as c
from alsmuscle.report import model as m
from alsmuscle.report.site import Site

SIGNS = {
    "supported": "✔",
    "contradicted": "✘",
    "mixed": "◐",
    "not distinguishable from denervation": "≈",
    "cannot separate from denervation": "∥",
    "cannot tell": "?",
}
"""Verdict and its sign, in the order in which the first page groups claims."""

EXPECTED = {"up": "higher", "down": "lower", "changed": "different, in either direction"}
DRAWN = 4
"""Most rows of the small plot beside a claim."""


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
    return m.programme_title(data.programme_info, programme, block)


def is_simulated(synthesis: m.Synthesis) -> bool:
    """Return whether simulated studies are among those pooled."""
    table = synthesis.contrasts
    return bool((table["eligible"].astype(bool) & (table["evidence"] == "simulated")).any())


def summary(data: m.ReportData, synthesis: m.Synthesis) -> dict[str, Any]:
    """Return what the first page shows: counts in words, and the claims grouped by verdict."""
    overall = synthesis.overall.set_index("claim")
    entries = {entry["id"]: entry for entry in synthesis.document["claims"]}
    groups = []
    for verdict in SIGNS:
        members = [name for name in entries if name in overall.index]
        members = [name for name in members if overall.loc[name, "verdict"] == verdict]
        if members:
            answers = [_answer(data, synthesis, entries[name], verdict) for name in members]
            groups.append({"title": verdict.capitalize(), "answers": answers, "open": True})
    if len(groups) > 1:
        groups[-1]["open"] = groups[-1]["title"] != "Cannot tell"
    counts = overall["verdict"].value_counts()
    said = ", ".join(f"{counts[v]} {v}" for v in SIGNS if counts.get(v, 0))
    table = synthesis.contrasts
    als = table["role"].str.startswith("als_") & table["eligible"].astype(bool)
    eligible = int(als.sum())
    basis = (
        f"{eligible} eligible ALS comparison{'s' * (eligible != 1)}"
        if eligible
        else "no eligible ALS comparison is in this run, so no claim can be decided; the other "
        "conditions show what an ALS finding must be held against"
    )
    return {
        "title": f"{len(overall)} claims: {said}",
        "text": f"Resting on {basis}." if eligible else f"{basis[0].upper()}{basis[1:]}.",
        "groups": groups,
    }


def _rows_of(synthesis: m.Synthesis, claim: str) -> pd.DataFrame:
    return synthesis.claims[synthesis.claims["claim"] == claim]


def _context(synthesis: m.Synthesis, name: object) -> str:
    return str(synthesis.document["contexts"].get(str(name), {}).get("label", name))


def _telling(rows: pd.DataFrame, verdict: str) -> pd.Series[Any]:
    """The test that speaks for the claim: of the overall verdict, with the most studies."""
    counted = rows[rows["counted"].astype(bool)]
    own = counted[counted["verdict"] == verdict]
    own = own if len(own) else counted[counted["verdict"].isin(["supported", "contradicted"])]
    own = own if len(own) else counted
    return own.sort_values("k", ascending=False, kind="stable").iloc[0]


def _sentence(data: m.ReportData, synthesis: m.Synthesis, row: pd.Series[Any]) -> str:
    where = _context(synthesis, row["context"])
    return f"{target_title(data, row['target'])} in {where}: {_typeset(row['reason'])}."


def _typeset(reason: object) -> str:
    """Return a reason with true minus signs before numbers and without a full stop."""
    return re.sub(r"(?<![\w)])-(?=\d)", c.MINUS, str(reason)).rstrip(".")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _answer(
    data: m.ReportData, synthesis: m.Synthesis, entry: Mapping[str, Any], verdict: str
) -> dict[str, Any]:
    rows = _rows_of(synthesis, entry["id"])
    seen = rows[rows["counted"].astype(bool) & rows["effect"].notna()]
    note = ""
    if len(seen):
        # what the verdict rests on first, then what rests on most studies
        telling = _telling(rows, verdict).name
        seen = seen.loc[sorted(seen.index, key=lambda i: (i != telling, -int(seen.loc[i, "k"])))]
        drawn = pd.DataFrame(
            {
                "label": [
                    f"{target_title(data, row.target)}, {_context(synthesis, row.context)}"
                    for row in seen.itertuples()
                ],
                **{key: seen[key].to_numpy() for key in ("effect", "ci_low", "ci_high")},
            }
        ).head(DRAWN)
    else:
        first = _telling(rows, verdict)
        drawn = _elsewhere(synthesis, str(first["target"])).head(DRAWN)
        note = f"No ALS data. {target_title(data, str(first['target']))} in other conditions:"
    n = int(rows["counted"].astype(bool).sum())
    return {
        "id": entry["id"],
        "statement": entry["statement"],
        "href": m.claim_path(entry["id"]),
        "badge": verdict_badge(verdict),
        "tests": f"{n} test{'s' * (n != 1)}, {len(seen)} with data",
        "reason": _sentence(data, synthesis, _telling(rows, verdict)),
        "note": note,
        "plot": c.mini_forest(drawn, c.domain([drawn]), f"Effects in log2 units, {entry['id']}")
        if len(drawn)
        else c.not_computed("this measure in any condition"),
    }


def _elsewhere(synthesis: m.Synthesis, target: str) -> pd.DataFrame:
    """The target pooled in every role that is not ALS, one row per role and species."""
    pooled = synthesis.programmes
    rows = pooled[
        (pooled["key"] == target)
        & (pooled["stage"] == "")
        & (pooled["species"] != "all")
        & ~pooled["stripped"].astype(bool)
        & ~pooled["role"].str.startswith("als_")
    ].copy()
    order = {role: place for place, role in enumerate(m.ROLES)}
    rows["place"] = rows["role"].map(order).fillna(len(order))
    rows = rows.sort_values(["place", "species", "cell_type"], kind="stable")
    rows["label"] = [
        f"{m.role_title(row.role)}, {row.species}, {_studies(row.k)}" for row in rows.itertuples()
    ]
    return rows[["label", "effect", "ci_low", "ci_high"]].reset_index(drop=True)


def _studies(k: float) -> str:
    return "1 study" if k == 1 else f"{k:.0f} studies"


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
    span = c.domain(frames.values())
    n = int(overall["n_tests"])
    return site.render(
        "claim.html.j2",
        path=path,
        heading=f"{entry['id']}: {entry['statement']}",
        claim=entry,
        simulated=is_simulated(synthesis),
        verdict=verdict_badge(verdict),
        tests=f"{n} test{'s' * (n != 1)} counted, {len(parts)} with data",
        reason=_sentence(data, synthesis, _telling(rows, verdict)),
        parts=parts,
        untested=_untested(data, synthesis, blank, entry["id"]),
        elsewhere=[
            c.forest_plot(
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
    found = {}
    for target in targets:
        programme, block = target.split("/", 1)
        text = m.caveat(data.programme_info, programme, block)
        if text:
            found[m.programme_title(data.programme_info, programme, block)] = text
    return list(found.items())


def _part(
    data: m.ReportData,
    synthesis: m.Synthesis,
    row: pd.Series[Any],
    studies: pd.DataFrame,
    to_root: str,
) -> dict[str, Any]:
    known = {m.place(s, k): (s, k) for s, k in data.contrasts()}
    lines = []
    for item in studies.itertuples():
        pair = known.get((item.dataset, item.contrast, item.cell_type))
        line = {
            "label": f"{pair[0].name}: {m.label(pair[1].meta)}"
            if pair
            else f"{item.dataset}: {item.contrast}",
            "href": to_root + m.contrast_path(*pair) if pair else None,
            "n": m.sizes(*pair) if pair else None,
            "group": "Studies" if item.eligible else "Shown, not pooled",
            "badges": m.badges(*pair) if pair else Markup(""),
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
            "label": f"Pooled, {_studies(row['k'])}",
            "group": "Pooled (random effects)",
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
    for column in ("effect", "ci_low", "ci_high", "alt_effect", "alt_ci_low", "alt_ci_high"):
        frame[column] = pd.to_numeric(frame[column], errors="coerce")
    title = f"{target_title(data, row['target'])}: {_context(synthesis, row['context'])}"
    expected = EXPECTED.get(row["expected"], row["expected"])
    if row["means"]:
        expected += f" ({row['means']})"
    return {
        "title": title,
        "badge": verdict_badge(row["verdict"]),
        "counted": bool(row["counted"]),
        "expected": expected,
        "reason": _capital(f"{_typeset(row['reason'])}."),
        "plot": c.forest_plot(
            frame,
            caption=title,
            head="Comparison",
            main="against controls",
            alt="beyond the denervation reference",
        ),
        "facts": c.definitions(_facts(row)),
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
