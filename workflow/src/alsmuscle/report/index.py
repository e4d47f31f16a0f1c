"""The first page: answers, then what went in, then what was left out and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.report import cells, claim
from alsmuscle.report import components as c
from alsmuscle.report import model as m
from alsmuscle.report.site import Site
from alsmuscle.report.study import excluded_table, flagged

ALL_OPEN = 12
"""With more contrasts than this only the first role is unfolded."""


def page(site: Site, data: m.ReportData) -> str:
    """Return ``index.html``."""
    # A single-cell study has a page of its own for its many cell types.
    tissue = [(s, k) for s, k in data.contrasts() if not k.meta.get("cell_type")]
    heads = {id(k): m.headline(data, k) for _, k in tissue}
    drawn = [f for f in heads.values() if len(f)]
    span = c.domain(drawn)
    n_contrasts = len(tissue)
    groups = [
        {
            "title": role,
            "open": place == 0 or n_contrasts <= ALL_OPEN,
            "answers": [
                _answer(data, s, k, heads[id(k)], span) for s, k in members if id(k) in heads
            ],
        }
        for place, (role, members) in enumerate(data.by_role())
        if any(id(k) in heads for _, k in members)
    ]
    return site.render(
        "index.html.j2",
        path="index.html",
        heading=data.title,
        claims=claim.summary(data, data.synthesis) if data.synthesis is not None else None,
        groups=groups,
        caveats=_caveats(drawn),
        simulated=any(m.is_marked(s, k, "simulated") for s, k in data.contrasts()),
        cells=[cells.line(s) for s in data.studies if s.cells is not None],
        n_studies=len(data.studies),
        n_contrasts=n_contrasts,
        studies=_studies(data),
        excluded=excluded_table(data.excluded),
    )


def _answer(
    data: m.ReportData,
    study: m.StudyData,
    contrast: m.ContrastData,
    rows: pd.DataFrame,
    span: tuple[float, float],
) -> dict[str, Any]:
    name = m.label(contrast.meta)
    return {
        "label": name,
        "href": m.contrast_path(study, contrast),
        "study": study.name,
        "study_href": m.study_path(study),
        "what": m.what(study.card, contrast.meta),
        "sizes": m.sizes(study, contrast),
        "sentence": m.sentence(study, contrast, rows),
        "genes": m.gene_sentence(contrast.de, data.alpha),
        "badges": m.badges(study, contrast),
        "plot": c.mini_forest(rows, span, f"Programme effects in log2 units, {name}")
        if len(rows)
        else c.not_computed("programme effects"),
    }


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
            marks.append(c.badge("flagged", f"{flags['sample_id'].nunique()} samples"))
        subjects = (
            [] if samples is None or "subject_id" not in samples else list(samples["subject_id"])
        )
        rows.append(
            {
                "study": c.local(study.name, m.study_path(study)),
                "title": card.get("title"),
                "role": m.role_title(card.get("role")),
                "organism": card.get("organism"),
                "modality": card.get("modality"),
                "muscle": card.get("muscle"),
                "samples": None if samples is None else len(samples),
                "donors": len(set(subjects))
                if subjects and not any(map(c.is_missing, subjects))
                else None,
                "marks": Markup(" ").join(marks),
            }
        )
    frame = pd.DataFrame(rows, columns=[column.key for column in COLUMNS])
    order = "in the order of the configuration"
    return c.table(frame, COLUMNS, caption="Studies that went in", name="studies", order=order)
