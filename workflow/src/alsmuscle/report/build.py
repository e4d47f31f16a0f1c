"""The report: from tables already read to the files of the report folder.

Pages hold no date except the provenance page: equal tables give equal bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from alsmuscle.core.errors import InputError
from alsmuscle.report.model import (
    CellsData,
    ContrastData,
    ReportData,
    StudyData,
    Synthesis,
    claim_path,
    contrast_path,
    study_path,
)
from alsmuscle.report.pages import (
    about,
    calls,
    cell_maps,
    cells,
    claim,
    contrast,
    expression,
    gene,
    index,
    onepage,
    pathway,
    pathways,
    programme,
    shared,
    specificity,
    study,
)
from alsmuscle.report.pages import over_time as time_axis
from alsmuscle.report.site import SCRIPTS, Site

__all__ = ["CellsData", "ContrastData", "ReportData", "StudyData", "Synthesis", "build"]

Files = dict[str, str | bytes]


def build(
    templates: Mapping[str, str],
    data: ReportData,
    drawn: Collection[str] | None = None,
    *,
    threads: int = 1,
) -> Files:
    """Return the whole report: path relative to the report folder, and text or bytes.

    Parameters
    ----------
    templates
        Name to text of every file of ``workflow/report``.
    data
        Cards and tables, already read and checked.
    drawn
        Paths of the figures that exist already; by default they are drawn here and returned with
        the pages.
    threads
        Processes that share the studies' pages and figures.

    Raises
    ------
    InputError
        When templates are missing, two studies, contrasts or programmes would share a page, or a
        contrast holds several cell types.
    """
    for item, part in data.contrasts():
        _one_cell_type(item, part)
    site = _site(templates, data)
    files: Files = {}

    def add(path: str, content: str | bytes) -> None:
        if path in files:
            raise InputError(
                f"two entries would write {path}",
                where="config/datasets",
                expected="ids that differ in letters, digits, _ and -",
                remedy="rename one of them",
            )
        files[path] = content

    with _parts(templates, data, drawn, threads) as parts:
        # Meanwhile, here, what needs all studies.
        add("index.html", index.page(site, data))
        add("summary.txt", index.text_summary(data))
        add(onepage.PATH, onepage.pdf(data))
        for lost in data.left_out:
            add(study_path(lost), study.left_out_page(site, lost))
        times = time_axis.points(data)
        if data.synthesis is not None:
            for entry in data.synthesis.document["claims"]:
                add(claim_path(entry["id"]), claim.page(site, data, data.synthesis, entry))
            if calls.has_lists(data.synthesis):  # published lists of called genes
                add(calls.PATH, calls.page(site, data, data.synthesis))
            add("specificity.html", specificity.page(site, data, data.synthesis))
            add("time.html", time_axis.page(site, data, data.synthesis, times))
            add("changes.html", claim.changes(site, data.synthesis))
        add("programmes.html", programme.overview(site, data))
        for path, text in programme.pages(site, data, times):
            add(path, text)
        if pathways.has_sets(data):
            add(pathways.PATH, pathways.page(site, data))
        if any(pathway.can_open(data, k) for _, k in data.contrasts()):
            add(pathway.PATH, pathway.page(site, data))
        add("gene.html", gene.page(site, data))
        add("geneset.html", gene.set_page(site, data))
        add("shared.html", shared.page(site, data))
        add("assets/data/shared.js", shared.script(data))
        add("methods.html", about.methods(site, data))
        add("provenance.html", about.provenance(site, data))
        add("glossary.html", about.glossary(site))
        measured: list[gene.Measured | None] = []
        for made, genes in parts:
            for path, content in made.items():
                add(path, content)
            measured += genes
    for path, text in gene.scripts(site, data, measured).items():
        add(path, text)
    for path, text in expression.scripts(data, gene.bucket, gene.BUCKETS).items():
        add(path, text)
    for name in SCRIPTS:
        add(f"assets/{name}", templates[name])
    return files


def _site(templates: Mapping[str, str], data: ReportData) -> Site:
    # What has nothing to show is no entry of the menu.
    present = set() if data.synthesis is None else {"specificity.html"}
    present |= {"time.html"} if data.synthesis and time_axis.has_courses(data) else set()
    present |= {"changes.html"} if claim.has_changes(data.synthesis) else set()
    present |= {calls.PATH} if calls.has_lists(data.synthesis) else set()
    present |= {pathways.PATH} if pathways.has_sets(data) else set()
    return Site(templates, data.title, present, data.commit)


# ---- what every study adds, in parallel ---------------------------------------------------------

# A study's index, and its contrast's index or None for the study itself.
_Job = tuple[int, int | None]
_Made = tuple[Files, list[gene.Measured | None]]
_Shared = tuple[Site, ReportData, Collection[str] | None]
# What every job of a process needs; set once per process.
_SHARED: list[_Shared] = []


@contextmanager
def _parts(
    templates: Mapping[str, str],
    data: ReportData,
    drawn: Collection[str] | None,
    threads: int,
) -> Iterator[Iterable[_Made]]:
    """Start making the files of every study and contrast; they come in the order of the studies."""
    jobs: list[_Job] = []
    for i, item in enumerate(data.studies):
        jobs += [(i, None), *((i, j) for j in range(len(item.contrasts)))]
    if threads < 2 or len(jobs) < 2 * threads:
        _share(templates, data, drawn)
        yield map(_part, jobs)
        _SHARED.clear()
        return
    # The tables go to a process once, not with every job.
    with ProcessPoolExecutor(
        threads, initializer=_share, initargs=(templates, data, drawn)
    ) as pool:
        yield pool.map(_part, jobs)


def _share(templates: Mapping[str, str], data: ReportData, drawn: Collection[str] | None) -> None:
    _SHARED[:] = [
        (
            _site(templates, data),
            data,
            drawn,
        )
    ]


def _part(job: _Job) -> _Made:
    site, data, known = _SHARED[0]
    item = data.studies[job[0]]
    if job[1] is None:
        maker = study if item.cells is None else cells
        figures: Mapping[str, str | bytes] = {}
        if known is None:
            figures = study.figures(item) if item.cells is None else cells.figures(item, data)
        page = maker.page(site, data, item, figures if known is None else known)
        made: Files = {study_path(item): page, **figures}
        matrix = expression.download(item)
        if matrix is not None:
            made[matrix[0]] = matrix[1]
        if item.cells is not None:
            made.update(cell_maps.scripts(item))
        return made, []
    part = item.contrasts[job[1]]
    figures = contrast.figures(item, part, data.alpha) if known is None else {}
    page = contrast.page(site, data, item, part, figures if known is None else known)
    files: Files = {contrast_path(item, part): page, **figures}
    scripts = {
        contrast.source(item, part): contrast.script(item, part, data.alpha),
        pathway.source(item, part): pathway.script(data, item, part),
    }
    files |= {f"assets/data/{name}.js": text for name, text in scripts.items() if text is not None}
    return files, [gene.measured(part)]


def _one_cell_type(item: StudyData, part: ContrastData) -> None:
    for name, table in (("de", part.de), ("gsea", part.gsea), ("effects", part.programmes)):
        if table is not None and "cell_type" in table and table["cell_type"].nunique() > 1:
            raise InputError(
                f"several cell types in one contrast's {name} table",
                where=f"{item.card['id']}: {part.meta['id']}",
                expected="one cell type per page",
                remedy="pass one ContrastData per cell type, each with its own id",
            )
