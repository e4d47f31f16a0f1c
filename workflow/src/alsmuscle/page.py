"""The report: from tables already read to the files of the report folder.

Pages hold no date except the provenance page: equal tables give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

from alsmuscle.errors import InputError
from alsmuscle.report import about, claim, contrast, gene, index, programme, specificity, study
from alsmuscle.report import time as time_axis
from alsmuscle.report.model import (
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

__all__ = ["ContrastData", "ReportData", "StudyData", "Synthesis", "build", "draw"]


def draw(data: StudyData, alpha: float) -> dict[str, bytes]:
    """Return every static figure of one study and its contrasts: path to bytes."""
    return dict(_drawn([data], alpha, threads=1))


def _drawn(studies: Sequence[StudyData], alpha: float, threads: int) -> Iterator[tuple[str, bytes]]:
    """Yield every figure; several processes share them when there are ``threads``."""
    jobs: list[Callable[[], dict[str, bytes]]] = []
    for item in studies:
        alone = replace(item, contrasts=())  # a process gets no tables that it does not draw
        jobs.append(partial(study.figures, alone))
        jobs += [partial(contrast.figures, alone, part, alpha) for part in item.contrasts]
    if threads < 2 or len(jobs) < 2 * threads:
        for job in jobs:
            yield from job().items()
        return
    with ProcessPoolExecutor(threads) as pool:
        for made in pool.map(_call, jobs, chunksize=2):
            yield from made.items()


def _call(job: Callable[[], dict[str, bytes]]) -> dict[str, bytes]:
    return job()


def build(
    templates: Mapping[str, str],
    data: ReportData,
    drawn: Collection[str] | None = None,
    *,
    threads: int = 1,
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
    threads
        Processes that draw.

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
        for path, content in _drawn(data.studies, data.alpha, threads):
            add(path, content)
        drawn = frozenset(files)
    add("index.html", index.page(site, data))
    add("summary.txt", index.text_summary(data))
    for item in data.studies:
        add(study_path(item), study.page(site, data, item, drawn))
    for item, part in data.contrasts():
        _one_cell_type(item, part)
        add(contrast_path(item, part), contrast.page(site, data, item, part, drawn))
        script = contrast.script(item, part, data.alpha)
        if script is not None:
            add(f"assets/data/{contrast.source(item, part)}.js", script)
    times = time_axis.points(data)
    if data.synthesis is not None:
        for entry in data.synthesis.document["claims"]:
            add(claim_path(entry["id"]), claim.page(site, data, data.synthesis, entry))
        add("specificity.html", specificity.page(site, data, data.synthesis))
        add("time.html", time_axis.page(site, data, data.synthesis, times))
        add("changes.html", claim.changes(site, data.synthesis))
    add("programmes.html", programme.overview(site, data))
    for name in sorted(data.programme_names):
        add(programme_path(name), programme.page(site, data, name, times))
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
