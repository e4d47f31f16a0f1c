"""The first page: answers, then what went in, then what was left out and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.core import outcome
from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.html import plots
from alsmuscle.report.pages import against, calls, cells, claims
from alsmuscle.report.pages.study import excluded_table, flagged
from alsmuscle.report.site import Site

MOST_NAMED = 20
"""Studies left out that the first page names at its top; the table below names them all."""


def page(site: Site, data: m.ReportData) -> str:
    """Return ``index.html``."""
    # A single-cell study has a page of its own for its many cell types.
    tissue = [(s, k) for s, k in data.contrasts() if not k.meta.get("cell_type")]
    heads = {id(k): estimates.headline(data, k) for _, k in tissue}
    drawn = [f for f in heads.values() if len(f)]
    return site.render(
        "index.html.j2",
        path="index.html",
        heading=data.title,
        claims=claims.summary(data, data.synthesis) if data.synthesis is not None else None,
        als=calls.first_page(data),
        against=[text for x in calls.of_signature(data) for text in against.of_list(data, x)],
        als_caveats=calls.caveats(data),
        sampled=_sampled(data),
        clear=estimates.CLEAR,
        matrix=_matrix(data, heads),
        caveats=_caveats(drawn),
        simulated=any(wording.is_marked(s, k, "simulated") for s, k in data.contrasts()),
        n_studies=len({id(s) for s, _ in tissue}),
        n_contrasts=len(tissue),
        cells=[cells.line(s) for s in data.studies if s.cells is not None],
        studies=_studies(data),
        lost=_lost(data),
        absent=_absent(_linked(data)),
        excluded=_rest(_linked(data)),
    )


def _sampled(data: m.ReportData) -> str:
    """Say of how many studies the values of single samples are there, and whether of any of ALS."""
    with_samples = [study for study in data.studies if study.expression is not None]
    als = [s for s in with_samples if str(s.card.get("role")).startswith("als_")]
    n = estimates.studies(len(with_samples))
    return f"{n}, {len(als) if als else 'none'} of them of ALS"


def _lost(data: m.ReportData) -> Markup:
    """Say which of the selected studies and comparisons are not in the results; else nothing."""
    if data.excluded is None:
        return Markup("")
    failed = data.excluded[data.excluded["what"].astype(str).str.endswith("failed in the analysis")]
    whole = [study.name for study in data.left_out]
    parts = [f"{row['dataset']} {row['id']}" for row in failed.to_dict("records")]
    parts = [part for part, kind in zip(parts, failed["kind"], strict=True) if kind == "contrast"]
    said = []
    if whole:
        total = len(whole) + len(data.studies)
        names = f": {', '.join(whole)}" if len(whole) <= MOST_NAMED else ""
        own = data.excluded[data.excluded["dataset"].isin([s.card["id"] for s in data.left_out])]
        why = "; ".join(f"{len(places)} {reason}" for reason, places in _reasons(own).items())
        said.append(f"{len(whole)} of {total} selected studies did not take part{names} ({why}).")
    if parts:
        verb = "is" if len(parts) == 1 else "are"
        what = _count(len(parts), "comparison", "comparisons")
        said.append(f"{what} {verb} left out: {', '.join(parts)}.")
    if len(failed):
        said.append("An analysis failed.")
    if not said:
        return Markup("")
    return Markup('{} <a href="#out">Which, and why</a>').format(" ".join(said))


def _linked(data: m.ReportData) -> pd.DataFrame | None:
    """Return what was left out, with titles of studies that were selected, and links to them."""
    if data.excluded is None:
        return None
    if "dataset" not in data.excluded:
        return data.excluded.assign(title="")
    out = {str(study.card["id"]): study for study in data.left_out}
    ids = data.excluded["dataset"]
    derived: dict[str, list[str]] = {}
    for study in data.studies:
        of = str(study.card.get("route_of") or "")
        derived.setdefault(of, []).append(str(wording.method(study.card)))
    whole = data.excluded["kind"] == "study"
    more = [
        f" Taken in its place: {', '.join(derived[name])}." if is_study and name in derived else ""
        for name, is_study in zip(ids.astype(str), whole, strict=True)
    ]
    return data.excluded.assign(
        dataset=[c.local(x, m.study_path(out[x])) if x in out else x for x in ids],
        title=[
            f"{out[x].card.get('title', '') if x in out else data.titles.get(str(x), '')}{text}"
            for x, text in zip(ids, more, strict=True)
        ],
    )


def _matrix(data: m.ReportData, heads: Mapping[int, pd.DataFrame]) -> Markup:
    """Every comparison in one line: donors, and the chosen programmes with their intervals."""
    labels: dict[tuple[str, str], str] = {}
    for frame in heads.values():
        for row in frame.to_dict("records"):
            labels.setdefault((str(row["programme"]), str(row["block"])), str(row["label"]))
    order = [pair for pair in data.headline if pair in labels] or list(labels)
    columns = [
        plots.EffectColumn(
            labels[pair],
            m.programme_path(pair[0]),
            caveat=_has_caveat(data, pair),
            anchor=m.block_anchor(*pair),
        )
        for pair in order
    ]
    lines = []
    for role, members in data.by_role():
        for study, contrast in members:
            frame = heads.get(id(contrast))
            if frame is None:
                continue
            found = {
                (str(r["programme"]), str(r["block"])): r["instead"]
                or (r["effect"], r["ci_low"], r["ci_high"], estimates.clear(r, data.alpha))
                for r in frame.to_dict("records")
            }
            lines.append(
                plots.EffectRow(
                    group=role,
                    label=wording.label(contrast.meta),
                    href=m.contrast_path(study, contrast),
                    note=c.local(study.name, m.study_path(study)),
                    more=wording.what(study.card, contrast.meta),
                    badges=wording.badges(study, contrast),
                    n=wording.sizes(study, contrast),
                    # A block without a row has no gene on the chip or in the table.
                    cells=tuple(found.get(pair, "not measured") for pair in order),
                )
            )
    if not lines:
        return c.not_computed("any comparison of whole tissue")
    return plots.effect_table(
        lines,
        columns,
        caption="Every comparison: change of chosen programmes in log2 units, 95 % interval below",
    )


def _has_caveat(data: m.ReportData, pair: tuple[str, str]) -> bool:
    return estimates.caveat(data.programme_info, *pair) is not None


def _caveats(frames: Sequence[pd.DataFrame]) -> list[tuple[str, Markup]]:
    found = {
        str(r["label"]): str(r["caveat"])
        for frame in frames
        for r in frame.to_dict("records")
        if not c.is_missing(r["caveat"])
    }
    return [(name, c.folded(text)) for name, text in found.items()]


COLUMNS = (
    c.Column("study", "Study"),
    c.Column("title", "Title"),
    c.Column("role", "Role"),
    c.Column("organism", "Organism"),
    c.Column("modality", "Method"),
    c.Column("muscle", "Muscle"),
    c.Column("donors", "Donors", "count"),
    c.Column("samples", "Samples", "count"),
    c.Column("marks", "Marks"),
)


def _studies(data: m.ReportData) -> Markup:
    rows = []
    for study in data.studies:
        card, samples, flags = study.card, study.samples, flagged(study)
        marks = [c.badge(k) for k in ("simulated", "experimental") if card.get(k)]
        if flags is not None and len(flags):
            n = flags["sample_id"].nunique()
            bare = int((flags["flag"] == wording.flag("not_muscle")).sum())
            said = f"{n} sample{'s' * (n != 1)}"
            marks.append(c.badge("flagged", said + (f", {bare} hardly muscle" if bare else "")))
        subjects = (
            [] if samples is None or "subject_id" not in samples else list(samples["subject_id"])
        )
        rows.append(
            {
                "study": c.local(study.name, m.study_path(study)),
                "title": card.get("title"),
                "role": m.role_title(card.get("role")),
                "organism": card.get("organism"),
                "modality": wording.method(card),
                "muscle": card.get("muscle"),
                "samples": _arrays(data, study) if samples is None else len(samples),
                "donors": len(set(subjects))
                if subjects and not any(map(c.is_missing, subjects))
                else None,
                "marks": Markup(" ").join(marks),
            }
        )
    frame = pd.DataFrame(rows, columns=[column.key for column in COLUMNS])
    order = "in the order of the configuration"
    return c.table(frame, COLUMNS, caption="Studies that went in", name="studies", order=order)


def _arrays(data: m.ReportData, study: m.StudyData) -> int | None:
    """Return how many samples a published table or list rests on, as its card says.

    Lists of one study share their controls, which are counted once.
    """
    if study.contrasts:
        known = [m.donors(study, contrast) for contrast in study.contrasts]
        sizes = [(group.target, group.reference) for group in known]
    elif calls.has_lists(data.synthesis):
        assert data.synthesis is not None and data.synthesis.called_genes is not None
        own = data.synthesis.called_genes
        own = own[own["dataset"] == study.card["id"]].drop_duplicates("contrast")
        sizes = list(zip(own["n_target"], own["n_reference"], strict=True))
    else:
        return None
    if not sizes or any(c.is_missing(n) for pair in sizes for n in pair):
        return None
    targets, references = zip(*sizes, strict=True)
    return int(sum(targets)) + int(max(references))


INCOMPLETE = "files, groups or donors are not known yet"
# Why a study did not take part, in the reader's words; the first that its reason holds.
_WHY = (
    ("failed in the analysis", r"failed in the analysis"),
    (
        "could not be fetched in this run",
        r"does not answer|none of \d+ address|HTTP|timed out|offline",
    ),
    (INCOMPLETE, r"card is incomplete"),
    ("no samples of muscle", r"not muscle"),
    ("differs from what its card says", r"expected|differ|does not (fit|match)|disagree"),
)
_OTHER = "other reasons"
ABSENT_COLUMNS = (
    c.Column("dataset", "Study"),
    c.Column("title", "Title"),
    c.Column("reason", "Reason"),
)


def _reasons(excluded: pd.DataFrame) -> dict[str, list[Any]]:
    """Return why studies did not take part, in words, each with its rows; the commonest first."""
    rows = excluded[excluded["kind"] == "study"]
    found: dict[str, list[Any]] = {}
    texts = rows["what"].astype(str) + " " + rows["reason"].astype(str)
    for place, text in zip(rows.index, texts, strict=True):
        why = next((name for name, pattern in _WHY if re.search(pattern, text)), _OTHER)
        found.setdefault(why, []).append(place)
    order = sorted(found, key=lambda why: (why == _OTHER, -len(found[why])))
    return {why: found[why] for why in order}


def _in_short(what: str, reason: str) -> str | Markup:
    """Return the servers that do not answer, if that is all; what was asked of them unfolds."""
    hosts = outcome.silent(what, reason)
    if not hosts:
        return reason
    said = f"{', '.join(hosts)} {'does' if len(hosts) == 1 else 'do'} not answer"
    return Markup("<details><summary>{}</summary>{}</details>").format(said, reason)


def _absent(excluded: pd.DataFrame | None) -> list[tuple[str, int, Markup]]:
    """Return studies that did not take part, by reason: reason in words, number, table."""
    if excluded is None:
        return []
    said = zip(excluded["id"].astype(str), excluded["reason"].astype(str), strict=True)
    rows = excluded.assign(reason=[_in_short(*each) for each in said])
    titled = [column for column in ABSENT_COLUMNS if column.key != "title"]
    return [
        (
            why,
            len(places),
            c.table(
                rows.loc[places],
                ABSENT_COLUMNS if rows.loc[places, "title"].any() else titled,
                caption=f"Studies: {why}",
                name=f"left-out-{c.slug(why)[:30]}",
            ),
        )
        for why, places in _reasons(excluded).items()
    ]


def _rest(excluded: pd.DataFrame | None) -> Markup:
    """Return what else was left out: samples and comparisons of studies that took part."""
    if excluded is None:
        return excluded_table(excluded)
    rest = excluded[excluded["kind"] != "study"]
    return excluded_table(rest) if len(rest) or excluded.empty else Markup("")


def text_summary(data: m.ReportData) -> str:
    """Return the report in a few lines for the terminal: studies done, left out, flagged;
    verdicts.
    """
    names = [study.name for study in data.studies]
    names = [
        f"{name} ({wording.method(study.card)})" if names.count(name) > 1 else name
        for name, study in zip(names, data.studies, strict=True)
    ]
    lines = [f"{_count(len(names), 'study', 'studies')} done: {', '.join(names) or 'none'}"]
    out = data.excluded
    if out is not None:
        whole = out[out["kind"] == "study"]
        what = whole["what"].astype(str)
        passed = what.str.contains("not selected") | what.str.contains("cannot be used")
        refused = ~passed
        lines.append(f"{_count(int(refused.sum()), 'study', 'studies')} left out")
        if passed.any():
            waiting = len(_reasons(whole[passed]).get(INCOMPLETE, []))
            lines.append(
                f"{_count(int(passed.sum()), 'study', 'studies')} not selected"
                + (f", {waiting} of them with an incomplete card" if waiting else "")
            )
        lost = whole.loc[refused, ["id", "reason"]].astype(str).itertuples(index=False, name=None)
        lines += [f"  {line}" for line in outcome.in_lines(lost)]
        n = int((out["kind"] == "sample").sum())
        if n:
            lines.append(f"{_count(n, 'sample', 'samples')} left out")
    flags = {
        s.name: f["sample_id"].nunique() for s in data.studies if (f := flagged(s)) is not None
    }
    found = ", ".join(f"{name} {n}" for name, n in flags.items() if n)
    n = sum(flags.values())
    lines.append(f"{_count(n, 'sample', 'samples')} flagged" + (f": {found}" if found else ""))
    doubtful = sum(wording.barred(k.meta) for _, k in data.contrasts())
    if doubtful:
        lines.append(
            f"{_count(doubtful, 'comparison', 'comparisons')} confounded or in doubt, not pooled"
        )
    if data.synthesis is not None:
        counts = data.synthesis.overall["verdict"].value_counts()
        said = ", ".join(f"{counts[v]} {v}" for v in claims.SIGNS if counts.get(v, 0))
        lines.append(f"{_count(len(data.synthesis.overall), 'claim', 'claims')}: {said or 'none'}")
    return "\n".join(lines) + "\n"


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
