"""Methods, provenance and glossary pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.core.redaction import shown
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.pages.claims import MEANING, verdict_badge
from alsmuscle.report.pages.study import citation
from alsmuscle.report.site import Site


def methods(site: Site, data: m.ReportData) -> str:
    """Return how it was done: steps with citations, parameters, versions, studies to cite."""
    steps = [
        {
            "step": row["step"],
            "text": row["text"],
            "citations": [
                citation({"text": text, "doi": doi})
                for text, doi in zip_longest(row["citation"].split("; "), row["doi"].split("; "))
            ],
        }
        for row in data.methods or site.methods
    ]
    flat = pd.DataFrame(list(flatten(data.parameters)), columns=["key", "value"])
    columns = [c.Column("key", "Parameter"), c.Column("value", "Value")]
    caption = "Parameters of the effective configuration"
    sources = [
        (s.name, m.study_path(s), citation(s.card.get("citation") or {})) for s in data.studies
    ]
    return site.render(
        "methods.html.j2",
        path="methods.html",
        heading="Methods",
        steps=steps,
        parameters=c.table(flat, columns, caption=caption, name="parameters")
        if len(flat)
        else c.not_computed("the list of parameters"),
        versions=_versions(data),
        sources=sources,
        title=data.title,
        software=f"{software(data)} (CITATION.cff in its repository)",
    )


def software(data: m.ReportData) -> str:
    """Return the software that made the report, with what is known of version and commit."""
    version = f" {data.versions['alsmuscle']}" if "alsmuscle" in data.versions else ""
    return f"alsmuscle{version}" + (f", commit {data.commit}" if data.commit else "")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``(dotted key, value)`` of a nested configuration, lists joined."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, name + ".")
        elif isinstance(value, (list, tuple)):
            yield name, shown(", ".join(map(str, value))) or "(empty)"
        else:
            yield name, "(none)" if value is None else shown(str(value))


def _versions(data: m.ReportData) -> Markup:
    if not data.versions:
        return c.not_computed("the list of versions")
    frame = pd.DataFrame(sorted(data.versions.items()), columns=["package", "version"])
    columns = [c.Column("package", "Package"), c.Column("version", "Version")]
    return c.table(frame, columns, caption="Software versions", name="versions", limit=5000)


LOCK_COLUMNS = (
    c.Column("study", "Study"),
    c.Column("file", "Deposited at"),
    c.Column("origin", "Came from"),
    c.Column("retrieved", "On"),
    c.Column("bytes", "Bytes", "count"),
    c.Column("sha256", "SHA-256"),
)
_ORIGIN = {
    "mirror": "a local copy (mirror), not that address",
    "network": "that address",
    "local": "a file of this computer",
    "present": "was here from an earlier run",
}
"""What the manifest's ``source`` says of a file."""


def _lock(data: m.ReportData, frame: pd.DataFrame, caption: str, name: str) -> Markup:
    """Return the files of one table: where they are deposited, and where this run had them from."""
    source = frame["source"] if "source" in frame else pd.Series("", index=frame.index)
    names = {str(s.card["id"]): s.name for s in (*data.studies, *data.left_out)}
    shown = frame.assign(
        study=[names.get(str(name), str(name)) for name in frame["study"]],
        file=[c.link(u, u) for u in frame["url"]],
        origin=[_ORIGIN.get(str(s), str(s) or "not recorded") for s in source],
    )
    return c.table(shown, LOCK_COLUMNS, caption=caption, name=name, limit=5000)


def provenance(site: Site, data: m.ReportData) -> str:
    """Return where everything came from; the only page with dates."""
    lock, unused = c.not_computed("the data lock"), Markup("")
    if data.lock is not None and len(data.lock):
        apart = data.lock["study"].isin([str(study.card["id"]) for study in data.left_out])
        lock = _lock(data, data.lock[~apart], "Data lock: every file that went in", "data-lock")
        if apart.any():
            caption = "Fetched, and not used: files of studies that were left out"
            unused = _lock(data, data.lock[apart], caption, "unused-files")
    runtimes = c.not_computed("run times")
    if data.runtimes is not None and len(data.runtimes):
        columns = [
            c.Column(
                str(k),
                str(k).replace("_", " "),
                "number" if pd.api.types.is_numeric_dtype(data.runtimes[k]) else "text",
            )
            for k in data.runtimes.columns
        ]
        # The jobs' names are those of the rules in the code.
        coded = data.runtimes.assign(
            **{
                str(k): [Markup("<code>{}</code>").format(v) for v in data.runtimes[k]]
                for k in data.runtimes
                if not pd.api.types.is_numeric_dtype(data.runtimes[k])
            }
        )
        runtimes = c.table(coded, columns, caption="Run times", name="run-times")
    return site.render(
        "provenance.html.j2",
        path="provenance.html",
        heading="Provenance",
        commit=data.commit,
        config=data.config,
        lock=lock,
        unused=unused,
        moved=data.synthesis is not None,
        versions=_versions(data),
        runtimes=runtimes,
    )


def glossary(site: Site) -> str:
    """Return the words used, for readers who are not bioinformaticians."""
    entries = sorted(site.glossary, key=lambda e: e["term"].lower())
    heading = "Words used here"
    return site.render(
        "glossary.html.j2",
        path="glossary.html",
        heading=heading,
        entries=entries,
        marks=[(kind, why) for kind, (_, why) in c.BADGES.items()],
        verdicts=[(verdict_badge(verdict), text) for verdict, text in MEANING.items()],
    )
