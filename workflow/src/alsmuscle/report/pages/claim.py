"""One claim's page: its tests in one table first, then study by study; and what moved since the
last run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.report import behind, estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.html import plots
from alsmuscle.report.pages import against, calls
from alsmuscle.report.pages.claims import (
    EXPECTED,
    NOT_READ,
    PARTS,
    SIGNS,
    capital,
    context_label,
    is_simulated,
    reason_of,
    rows_of,
    short_reason,
    target_title,
    telling_row,
    verdict_badge,
)
from alsmuscle.report.site import Site
from alsmuscle.synthesis.verdicts import BEYOND, CALLED, NOT_ENOUGH


def _sentence(
    data: m.ReportData,
    synthesis: m.Synthesis,
    rows: pd.DataFrame,
    row: pd.Series[Any],
    reason: object,
) -> str:
    """Say why the claim has its verdict; ``rows``: of its tests, of which ``row`` speaks."""
    said = str(reason).removeprefix(f"{row['target']} in {row['context']}: ")
    for target, context in zip(rows["target"], rows["context"], strict=True):
        said = said.replace(
            f"{target} in {context}:", f"{_measure(data, synthesis, target, context)}:"
        )
    said = reason_of(data, row, said)
    return f"{_measure(data, synthesis, row['target'], row['context'])}: {said}."


def _measure(data: m.ReportData, synthesis: m.Synthesis, target: object, context: object) -> str:
    return f"{target_title(data, str(target))} in {context_label(synthesis, context)}"


def _elsewhere(
    data: m.ReportData, synthesis: m.Synthesis, target: str, to_root: str
) -> pd.DataFrame:
    """The target in every role that is not ALS: pooled, one row per role and species, and what
    may not be pooled.
    """
    rows = estimates.pooled_rows(synthesis, target)
    rows = rows[~rows["role"].str.startswith("als_")]
    single = _not_pooled(data, target, to_root)
    if single.empty:
        return rows
    rows = rows.assign(group=rows.get("group", "Pooled"))
    return pd.concat([rows, single], ignore_index=True) if len(rows) else single


def _not_pooled(data: m.ReportData, target: str, to_root: str) -> pd.DataFrame:
    """The target in comparisons of whole tissue that are not ALS and may not be pooled."""
    programme, _, block = target.partition("/")
    rows = []
    for study, contrast in data.contrasts():
        meta, table = contrast.meta, contrast.programmes
        role = str(meta.get("role") or study.card.get("role"))
        if role.startswith("als_") or meta.get("eligible") is not False or table is None:
            continue
        own = table[(table["programme"] == programme) & (table["block"] == block)]
        own = own[~m.truth(own["stripped"])]
        if meta.get("cell_type") or own.empty or not estimates.is_measured(own.iloc[0].to_dict()):
            continue
        effect = own.iloc[0]
        rows.append(
            {
                "role": role,
                "label": f"{study.name}: {wording.label(meta)} ({m.role_title(role)})",
                **{key: effect[key] for key in ("effect", "ci_low", "ci_high")},
                "source": to_root + m.effect_path(study, contrast, target),
                "pooled": False,
                "group": "Shown, not pooled",
            }
        )
    return pd.DataFrame(rows)


def page(site: Site, data: m.ReportData, synthesis: m.Synthesis, entry: Mapping[str, Any]) -> str:
    """Return a claim's page: verdict, all tests in one table, then each measure study by study."""
    path = m.claim_path(entry["id"])
    rows = rows_of(synthesis, entry["id"])
    overall = synthesis.overall.set_index("claim").loc[entry["id"]]
    own = synthesis.studies[synthesis.studies["claim"] == entry["id"]]
    known = {m.place(s, k): (s, k) for s, k in data.contrasts()}
    of = {
        key: list(studies.itertuples())
        for key, studies in own.groupby(["test", "context"], sort=False)
    }
    # The test that decides comes first, and with it its measure.
    order = {part: place for place, part in enumerate(PARTS)}
    rows = rows.sort_values("part", key=lambda x: x.map(order), kind="stable")
    tests = [
        _Test(row, of.get((row["test"], row["context"]), []), known) for _, row in rows.iterrows()
    ]
    speaks = telling_row(rows, overall)
    measures = _measures(data, synthesis, tests, m.root(path))
    return site.render(
        "claim.html.j2",
        path=path,
        heading=f"{entry['id']}: {entry['statement']}",
        claim=entry,
        simulated=is_simulated(synthesis),
        verdict=verdict_badge(str(overall["verdict"])),
        tests=_counted(tests),
        sides=[
            (side, verdict_badge(str(overall[side])))
            for side in ("patients", "models")
            if overall[side]
        ],
        words=in_words(synthesis, next(t for t in tests if _same(t.row, speaks))),
        genes=behind.of_effect(data, speaks) or calls.genes_called(calls.of_test(data, speaks)),
        against=against.of_test(data, speaks),
        reason=_sentence(data, synthesis, rows, speaks, overall["reason"]),
        lacking=_lacking(data, synthesis, tests),
        table=_tests_table(
            data, synthesis, tests, {x["target"]: x["id"] for x in measures}, entry["id"]
        ),
        measures=measures,
        wrong=c.definitions(
            [
                ("Conflict in the literature", entry["conflict"]),
                ("Control that could refute it", entry["refuting_control"]),
                ("What would refute it", entry["falsifier"]),
                ("Denervation could explain it", "yes" if entry["denervation_sensitive"] else "no"),
                ("About", str(entry["subject"]).replace("_", " ")),
            ]
        ),
        caveats=_caveats(data, list(dict.fromkeys(rows["target"]))),
        reviews=[_review(synthesis, item) for item in entry["reviews"]],
        evidence=[
            f"{item['text']} "
            f"({'seen at its page' if item['mark'] == 'S' else 'from memory, verify'})"
            for item in entry["evidence"]
        ],
    )


def _same(row: pd.Series[Any], other: pd.Series[Any]) -> bool:
    return bool(row["test"] == other["test"] and row["context"] == other["context"])


class _Test:
    """One test in one context: its row of ``claims.tsv`` and the studies behind it."""

    def __init__(
        self,
        row: pd.Series[Any],
        studies: list[Any],
        known: Mapping[tuple[str, str, str], tuple[m.StudyData, m.ContrastData]],
    ) -> None:
        self.row, self.studies = row, studies
        self.pairs = [known.get((s.dataset, s.contrast, s.cell_type)) for s in studies]

    @property
    def has_data(self) -> bool:
        """Whether a study that may be pooled has the measure, or a list of called genes speaks."""
        return not c.is_missing(self.row["effect"]) or self.row["grade"] == CALLED

    def people(self) -> str | None:
        """Donors of both groups of the studies that were pooled, together, in words."""
        found = self.groups()
        return None if found is None else f"{found.target} v {found.reference} {found.unit}"

    def groups(self) -> m.Groups | None:
        """Donors of both groups of the studies that were pooled, together."""
        pooled = [pair for s, pair in zip(self.studies, self.pairs, strict=True) if s.eligible]
        if not pooled or None in pooled:
            return None
        # a study of several comparisons is counted once, by its largest
        groups: dict[str, m.Groups] = {}
        for study, contrast in filter(None, pooled):
            found = m.donors(study, contrast)
            before = groups.get(str(study.card["id"]))
            if before is None or (found.target or 0) > (before.target or 0):
                groups[str(study.card["id"])] = found
        return _together(list(groups.values()))


def _counted(tests: list[_Test]) -> str:
    n, known = len(tests), sum(test.has_data for test in tests)
    return f"{n} test{'s' * (n != 1)}, {known} with data"


def _lacking(data: m.ReportData, synthesis: m.Synthesis, tests: list[_Test]) -> str:
    """Name the tests that the claim's sentence needs and for which there are no data."""
    names = [
        _measure(data, synthesis, test.row["target"], test.row["context"])
        for test in tests
        if test.row["part"] != "secondary" and not test.has_data
    ]
    names = list(dict.fromkeys(names))
    if not names:
        return ""
    if not any(test.has_data for test in tests):
        return "No test that the claim needs has data in this run."
    return f"Needed for the claim, but without data to pool in this run: {'; '.join(names)}."


TESTS = (
    c.Column("target", "Measure"),
    c.Column("context", "Where"),
    c.Column("expected", "Expected"),
    c.Column("verdict", "Verdict"),
    c.Column("raw", "Effect", "number", title="log2 units, with 95 % interval"),
    c.Column(
        "adjusted",
        "Adjusted for composition",
        "number",
        title="The same with fibre, fat and macrophage content in the model",
    ),
    c.Column(
        "proportions",
        "Adjusted by proportions",
        "number",
        title="The same with proportions in the model that a study of nuclei estimates",
    ),
    c.Column("delta", "Beyond denervation", "number", title="Effect minus that of denervation"),
    c.Column("k", "Studies", "count", title="Independent studies"),
    c.Column("people", "Donors"),
    c.Column(
        "detectable_effect",
        "Detectable effect",
        "number",
        title="Smallest that would have been seen, log2 units",
    ),
)
TWO_LINES = Markup("{}<small>{}</small>")


def _tests_table(
    data: m.ReportData,
    synthesis: m.Synthesis,
    tests: list[_Test],
    anchors: Mapping[str, str],
    claim: str,
) -> Markup:
    """Every test in every context in one row each; those with data first within their part."""
    rows = []
    for test in sorted(tests, key=lambda t: (not t.has_data, t.row["part"] == "secondary")):
        row, title = test.row, target_title(data, test.row["target"])
        part = PARTS[str(row["part"])]
        if row["question"] == BEYOND:
            part = f"what is beyond denervation; {part}"
        lists = calls.of_test(data, row)
        if genes := behind.of_effect(data, row) or calls.genes_called(lists):
            part = f"{part}. {capital(genes)}"
        anchor = anchors.get(str(row["target"]))
        rows.append(
            {
                "target": TWO_LINES.format(c.local(title, f"#{anchor}") if anchor else title, part),
                "context": context_label(synthesis, row["context"]),
                "expected": EXPECTED.get(row["expected"], row["expected"]).split(",")[0],
                "verdict": TWO_LINES.format(
                    f"{SIGNS[row['verdict']]} {row['verdict']}",
                    short_reason(row["reason"]) if row["verdict"] == NOT_ENOUGH else "",
                ),
                "raw": _called(lists) or _effect(data, row, title),
                "adjusted": _numbers(row, "adjusted_effect", "adjusted_ci"),
                "proportions": _numbers(row, "proportions_effect", "proportions_ci"),
                "delta": _numbers(row, "delta", "delta_ci"),
                "k": len({found.dataset for found in lists}) or row["k"] or None,
                "people": _sizes_of(lists) or test.people(),
                "detectable_effect": row["detectable_effect"],
            }
        )
    frame = pd.DataFrame(rows)
    if frame["proportions"].isna().all():
        frame = frame.drop(columns="proportions")
    return c.table(
        frame,
        TESTS,
        caption="Every test of this claim",
        name=f"{claim}-tests",
        full=_from(synthesis.files.get("claims"), m.root(m.claim_path(claim))),
        order="tests with data first",
        whole=True,
        stacked=True,
    )


def _from(path: str | None, to_root: str) -> str | None:
    return None if path is None else to_root + path


def _numbers(row: pd.Series[Any], effect: str, stem: str) -> c.Sorted | None:
    """An effect over its interval."""
    if c.is_missing(row[effect]):
        return None
    shown, ends = c.interval_parts(row[effect], row[f"{stem}_low"], row[f"{stem}_high"])
    return c.Sorted(row[effect], Markup("<b>{}</b><small>{}</small>").format(shown, ends))


def _effect(data: m.ReportData, row: pd.Series[Any], title: str) -> c.Sorted | None:
    """A test's effect over its interval; that of one comparison leads to its page."""
    if (place := behind.place_of(data, row)) is None:
        return _numbers(row, "effect", "ci")
    shown, ends = c.interval_parts(row["effect"], row["ci_low"], row["ci_high"])
    linked = c.number_link(
        shown, m.root(m.claim_path("any")) + place, f"{title}, in its comparison"
    )
    return c.Sorted(row["effect"], Markup("<b>{}</b><small>{}</small>").format(linked, ends))


def _called(lists: list[Any]) -> c.Sorted | None:
    """How many of a block's genes the lists call, in place of an effect."""
    if not lists:
        return None
    told = TWO_LINES.format(Markup("<b>{}</b>").format(calls.counted(lists)), "called, no effect")
    return c.Sorted(0.0, told)


def _sizes_of(lists: list[Any]) -> str:
    """Donors of both groups of lists of called genes, in words."""
    return "; ".join(f"{calls.sizes(x.n_target, x.n_reference)} donors" for x in lists)


def _measures(
    data: m.ReportData, synthesis: m.Synthesis, tests: list[_Test], to_root: str
) -> list[dict[str, Any]]:
    """Each measure once: its tests study by study, and the same measure in other conditions."""
    found: list[dict[str, Any]] = []
    for target in dict.fromkeys(test.row["target"] for test in tests):
        own = [test for test in tests if test.row["target"] == target and test.studies]
        frame = _elsewhere(data, synthesis, target, to_root)
        if not own and frame.empty:
            continue
        title = target_title(data, target)
        found.append(
            {
                "target": str(target),
                "id": f"measure-{len(found) + 1}",
                "title": title,
                "badges": [verdict_badge(test.row["verdict"]) for test in own],
                "parts": [_part(data, synthesis, test, to_root) for test in own],
                "elsewhere": plots.forest_plot(
                    frame, caption=f"{title} in other conditions", head="Condition"
                )
                if len(frame)
                else None,
            }
        )
    return found


def _review(synthesis: m.Synthesis, item: Mapping[str, Any]) -> str:
    review = synthesis.document["reviews"].get(item["review"], {})
    seen = (
        "which passage says so has not been seen"
        if item["basis"] == NOT_READ
        else f"seen in: {item['basis']}"
    )
    return (
        f"{review.get('citation', item['review'])}: {seen} "
        f"(of this review were read: {review.get('read', 'not stated')})"
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


def _together(sizes: list[m.Groups]) -> m.Groups | None:
    """Group sizes of several studies, added up where all are known and counted alike."""
    if len({size.unit for size in sizes}) != 1:
        return None
    target = [size.target for size in sizes if size.target is not None]
    reference = [size.reference for size in sizes if size.reference is not None]
    if len(target) < len(sizes) or len(reference) < len(sizes):
        return None
    return m.Groups(sum(target), sum(reference), sizes[0].unit, paired=False)


_NOUNS = {"GENE": "this gene was", "RATIO": "this ratio was"}


def in_words(synthesis: m.Synthesis, test: _Test) -> str:
    """Say a test's estimate as times, with studies and people; empty where there is none.

    Where it is not settled, what these data would have shown. Differences of differences are no
    times of anything.
    """
    row, said = test.row, ""
    context = synthesis.document["contexts"].get(str(row["context"]), {})
    if context.get("tag"):
        return ""
    if not c.is_missing(row["effect"]):
        times = _times(row["effect"], row["ci_low"], row["ci_high"], "in controls")
        what = _NOUNS.get(str(row["target"]).split("/", 1)[0], "these genes were")
        said = f"In {estimates.studies(row['k'])}{_who(context, test)} {what} {times}"
        if not c.is_missing(row["delta"]):
            ends = row["delta"], row["delta_ci_low"], row["delta_ci_high"]
            said += f", and {_times(*ends, 'denervation alone would make it')}"
        said += ". "
    if row["verdict"] == NOT_ENOUGH and not c.is_missing(row["detectable_effect"]):
        fold = c.number(2.0 ** float(row["detectable_effect"]), 2)
        said += f"These data would have shown a change of {fold} times or more. "
    return said


def _who(context: Mapping[str, Any], test: _Test) -> str:
    found = test.groups()
    if found is None:
        return ""
    if context.get("role") == "als_patient" and found.unit == "donors":
        return f" ({found.target} patients, {found.reference} controls)"
    return f" ({found.target} v {found.reference} {found.unit})"


def _times(effect: Any, low: Any, high: Any, what: str) -> str:
    """Return an effect in log2 units as a ratio with its interval."""
    ratio = f"{c.number(2.0 ** float(effect), 2)} times as high as {what}"
    if c.is_missing(low) or c.is_missing(high):
        return ratio
    ends = (c.number(2.0 ** float(x), 2) for x in (low, high))
    return f"{ratio} (95 % interval {' to '.join(ends)})"


ESTIMATES = ("effect", "ci_low", "ci_high", "alt_effect", "alt_ci_low", "alt_ci_high")
NUMBERS = frozenset({"pi_low", "pi_high", *ESTIMATES})


def _part(data: m.ReportData, synthesis: m.Synthesis, test: _Test, to_root: str) -> dict[str, Any]:
    """One test study by study, with its pooled estimate."""
    row, lines = test.row, []
    for item, pair in zip(test.studies, test.pairs, strict=True):
        line = {
            "label": f"{pair[0].name}: {wording.label(pair[1].meta)}"
            if pair
            else f"{item.dataset}: {item.contrast}",
            "href": to_root + m.contrast_path(*pair) if pair else None,
            "source": to_root + m.effect_path(*pair, row["target"]) if pair else None,
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
        if pair and (few := estimates.instead_of(pair[1], row["target"])):
            line |= dict.fromkeys(ESTIMATES) | {"instead": few}
        lines.append(line)
    lines.sort(key=lambda line: line["group"] != "Studies")
    if not c.is_missing(row["effect"]) and row["k"] > 1:
        pooled = {
            "label": f"Pooled, {estimates.studies(row['k'])}",
            "n": test.people(),
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
    frame = _frame(lines)
    where = context_label(synthesis, row["context"])
    title = f"{target_title(data, row['target'])}: {where}"
    expected = EXPECTED.get(row["expected"], row["expected"])
    if row["means"]:
        expected += f" ({row['means']})"
    return {
        "title": where,
        "badge": verdict_badge(row["verdict"]),
        "part": PARTS[str(row["part"])],
        "expected": expected,
        "reason": capital(f"{reason_of(data, row, row['reason'])}."),
        "plot": plots.forest_plot(
            frame,
            caption=title,
            head="Comparison",
            main="against controls",
            alt="beyond the denervation reference",
        ),
        "facts": c.definitions(_facts(data, row), compact=True),
    }


def _frame(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """Return lines of a forest plot as a table: numbers as such, ``None`` for anything missing."""
    columns: dict[str, Any] = {}
    for key in dict.fromkeys(name for line in lines for name in line):
        values: list[Any] = [line.get(key) for line in lines]
        if key in NUMBERS:
            columns[key] = [math.nan if c.is_missing(x) else float(x) for x in values]
        else:
            known = [x if isinstance(x, str) or not c.is_missing(x) else None for x in values]
            columns[key] = pd.Series(known, dtype=object)
    return pd.DataFrame(columns)


def _facts(data: m.ReportData, row: pd.Series[Any]) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = [
        (
            "Independent studies",
            f"{row['k']} ({row['n_contrasts']} comparison{'s' * (row['n_contrasts'] != 1)})",
        ),
    ]
    if row["k"] >= 3:
        i2 = "not known" if c.is_missing(row["i2"]) else f"{row['i2']:.0f} %"
        pairs.append(("Variance between studies (I²)", i2))
        span = f"{c.number(row['pi_low'], sign=True)} to {c.number(row['pi_high'], sign=True)}"
        pairs.append(("A new study would lie in", span))
        name = str(row["influential"])
        pairs.append(("Most influential comparison", data.labels.get(name, name)))
    if row["k"] >= 2 and not c.is_missing(row["prob_direction"]):
        pairs.append(
            (
                "Bayesian estimate",
                c.interval_text(row["bayes_effect"], row["bayes_ci_low"], row["bayes_ci_high"])
                + "; "
                f"probability of this direction {row['prob_direction']:.3g}, of more than "
                f"{row['margin']:g} {row['prob_beyond']:.3g}",
            )
        )
    if not c.is_missing(row["delta_adjusted"]):
        text = c.interval_text(
            row["delta_adjusted"], row["delta_adjusted_ci_low"], row["delta_adjusted_ci_high"]
        )
        pairs.append(("Beyond denervation, adjusted for composition", text))
    if not c.is_missing(row["proportions_effect"]):
        text = c.interval_text(
            row["proportions_effect"], row["proportions_ci_low"], row["proportions_ci_high"]
        )
        text += f", {estimates.studies(row['proportions_k'])}"
        pairs.append(("Adjusted by estimated proportions", text))
    if not c.is_missing(row["stripped_effect"]):
        text = c.interval_text(
            row["stripped_effect"], row["stripped_ci_low"], row["stripped_ci_high"]
        )
        pairs.append(("Without denervation genes", text))
    if not c.is_missing(row["random_share"]):
        pairs.append(("Random gene sets that move as far", f"{row['random_share']:.0%}"))
    if not c.is_missing(row["detectable_effect"]):
        size = c.number(row["detectable_effect"], 2)
        pairs.append((f"An effect of {size} would have been", row["detectable_basis"]))
    return pairs


MOVED = (
    c.Column("claim", "Claim"),
    c.Column("test", "Test"),
    c.Column("context", "Where"),
    c.Column("change", "Change"),
    c.Column("old_verdict", "Was"),
    c.Column("new_verdict", "Is"),
    c.Column("why", "Why"),
)


def has_changes(synthesis: m.Synthesis | None) -> bool:
    """Return whether anything moved since the last run."""
    if synthesis is None or synthesis.changes.empty:
        return False
    return not bool((synthesis.changes["change"] == "first run").any())


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
        frame["context"] = [context_label(synthesis, name) for name in frame["context"]]
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
