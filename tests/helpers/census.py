"""What the jobs of a run import and read, noted as each job ends: costs that need no clock.

Python imports ``sitecustomize`` when it starts, jobs of a run too; the one that :func:`place`
writes notes in a folder, per process, which heavy packages were loaded and how often each table of
results was opened.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

HEAVY = frozenset(
    {
        "anndata",
        "gseapy",
        "h5py",
        "harmonypy",
        "igraph",
        "jinja2",
        "matplotlib",
        "numba",
    }
    | {"numpy.f2py", "openpyxl", "plotly", "pydeseq2", "pynndescent", "rdata", "requests", "scanpy"}
    | {"scipy.stats", "sklearn", "statsmodels", "umap", "weasyprint", "xarray", "zarr"}
)
"""Packages that take a tenth of a second or more to import, but for pandas and what it loads."""
_FILES = {"anndata", "h5py"}
# Without what PyDESeq2 imports for plots and quantiles.
_FIT = _FILES | {"pydeseq2", "numba"}
MAY_LOAD: dict[str, set[str]] = {
    "data_simulate": _FILES,
    "data_simulate_cells": _FILES,
    "data_verify": _FILES | {"openpyxl"},
    # PyDESeq2's own engine starts from scikit-learn's regression; the compiled one needs none.
    "bulk_fit": _FIT | {"sklearn", "scipy.stats", "numpy.f2py"},
    # Of scipy.stats the correlation of repeated samples; a study without such loads none of it.
    "bulk_contrast": _FIT | {"gseapy", "scipy.stats", "statsmodels"},
    "cells_prepare": _FILES,
    "cells_cluster": _FILES
    | {"harmonypy", "igraph", "matplotlib", "numba", "numpy.f2py", "plotly"}
    | {"pynndescent", "scanpy", "scipy.stats", "sklearn", "umap"},
    "cells_pseudobulk": _FILES,
    "cells_contrast": _FIT | {"scipy.stats"},
    "synthesis_proportions": _FILES,
    "report_pages": _FILES | {"jinja2", "matplotlib"},
}
"""What a rule's job needs; others read and write tables only."""
HOOK = """
import atexit, json, os, sys
from collections import Counter

HEAVY, FOLDER = json.loads(os.environ["ALSMUSCLE_CENSUS"])
opened = Counter()


def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[1] in ("r", "rb", None):
        path = arguments[0]
        if path.endswith((".tsv", ".tsv.gz", ".parquet", ".h5ad")) and "results" in path:
            opened[os.path.relpath(path)] += 1


def note():
    job = getattr(sys.modules["__main__"], "snakemake", None)
    if job is not None:
        loaded = sorted(name for name in HEAVY if name in sys.modules)
        document = {"rule": job.rule, "wildcards": dict(job.wildcards.items())}
        document |= {"loaded": loaded, "opened": opened}
        with open(os.path.join(FOLDER, f"{job.rule}.{os.getpid()}.json"), "w") as file:
            json.dump(document, file)


sys.addaudithook(watch)
atexit.register(note)
# What is registered before a job's process is made is not done at its end.
os.register_at_fork(after_in_child=lambda: atexit.register(note))
"""


class Job(NamedTuple):
    """One process of a rule: heavy packages that it loaded,
    and tables of results that it opened.
    """

    rule: str
    wildcards: dict[str, str]
    loaded: set[str]
    opened: Counter[str]


def place(folder: Path) -> dict[str, str]:
    """Write the hook; return the environment that a run needs for it."""
    (folder / "jobs").mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(HOOK)
    told = json.dumps([sorted(HEAVY), str(folder / "jobs")])
    return {"PYTHONPATH": str(folder), "ALSMUSCLE_CENSUS": told}


def beyond(jobs: list[Job]) -> dict[str, set[str]]:
    """Return what jobs loaded beyond :data:`MAY_LOAD`, per rule."""
    more = [(job.rule, job.loaded - MAY_LOAD.get(job.rule, set())) for job in jobs]
    return {rule: loaded for rule, loaded in more if loaded}


def taken(folder: Path) -> list[Job]:
    """Return what the jobs of a run noted."""
    found = [json.loads(path.read_text()) for path in sorted((folder / "jobs").glob("*.json"))]
    return [
        Job(job["rule"], job["wildcards"], set(job["loaded"]), Counter(job["opened"]))
        for job in found
    ]
