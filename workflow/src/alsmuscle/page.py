"""The report: from tables already read to the files of the report folder.

Pages hold no date except the provenance page: equal tables give equal bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from alsmuscle.errors import InputError
from alsmuscle.report import (
    about,
    cells,
    claim,
    contrast,
    gene,
    index,
    programme,
    specificity,
    study,
)
from alsmuscle.report.model import (
    CellsData,
    ContrastData,
    ReportData,
    StudyData,
    Synthesis,
    claim_path,
    contrast_path,
    programme_path,
    study_path,
)
from alsmuscle.report.site import Site

__all__ = ["CellsData", "ContrastData", "ReportData", "StudyData", "Synthesis", "build", "draw"]


def draw(data: StudyData, alpha: float) -> dict[str, bytes]:
    """Return every static figure of one study and its contrasts: path to bytes.

    Separate from :func:`build` so that studies can be drawn in parallel and only when they change.
    """
    made = study.figures(data) if data.cells is None else cells.figures(data)
    for item in data.contrasts:
        made |= contrast.figures(data, item, alpha)
    return made


def build(
    templates: Mapping[str, str], data: ReportData, drawn: Collection[str] | None = None
) -> dict[str, str | bytes]:
    """Return the whole report: path relative to the report folder, and text or bytes.

    Parameters
    ----------
    templates
        Name to text of every file of ``workflow/report``.
    data
        Cards and tables, already read and checked.
    drawn
        Paths of the figures that :func:`draw` made before; by default they are drawn here and
        returned with the pages.

    Raises
    ------
    InputError
        When templates are missing, two studies, contrasts or programmes would share a page, or a
        contrast holds several cell types.
    """
    site = Site(templates, data.title, data.synthesis is not None)
    files: dict[str, str | bytes] = {}

    def add(path: str, content: str | bytes) -> None:
        if path in files:
            raise InputError(
                f"two entries would write {path}",
                where="config/datasets",
                expected="ids that differ in letters, digits, _ and -",
                remedy="rename one of them",
            )
        files[path] = content

    if drawn is None:
        for item in data.studies:
            for path, content in draw(item, data.alpha).items():
                add(path, content)
        drawn = frozenset(files)
    add("index.html", index.page(site, data))
    for item in data.studies:
        one = study if item.cells is None else cells
        add(study_path(item), one.page(site, data, item, drawn))
    for item, part in data.contrasts():
        _one_cell_type(item, part)
        add(contrast_path(item, part), contrast.page(site, data, item, part, drawn))
        script = contrast.script(item, part, data.alpha)
        if script is not None:
            add(f"assets/data/{contrast.source(item, part)}.js", script)
    if data.synthesis is not None:
        for entry in data.synthesis.document["claims"]:
            add(claim_path(entry["id"]), claim.page(site, data, data.synthesis, entry))
        add("specificity.html", specificity.page(site, data, data.synthesis))
        add("changes.html", claim.changes(site, data.synthesis))
    add("programmes.html", programme.overview(site, data))
    for name in sorted(data.programme_names):
        add(programme_path(name), programme.page(site, data, name))
    add("gene.html", gene.page(site, data))
    for path, text in gene.scripts(site, data).items():
        add(path, text)
    add("methods.html", about.methods(site, data))
    add("provenance.html", about.provenance(site, data))
    add("glossary.html", about.glossary(site))
    return files


def _one_cell_type(item: StudyData, part: ContrastData) -> None:
    for name, table in (("de", part.de), ("gsea", part.gsea), ("effects", part.programmes)):
        if table is not None and "cell_type" in table and table["cell_type"].nunique() > 1:
            raise InputError(
                f"several cell types in one contrast's {name} table",
                where=f"{item.card['id']}: {part.meta['id']}",
                expected="one cell type per page",
                remedy="pass one ContrastData per cell type, each with its own id",
            )
