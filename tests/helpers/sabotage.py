"""Errors put into a study's job from outside: the code that runs is the project's own, unedited.

Python imports ``sitecustomize`` when it starts, jobs of a run too; the one that :func:`place`
writes replaces named functions of modules, once these are imported, for one rule and study.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HOOK = """
import importlib.machinery, json, os, sys

PLANNED = json.loads(os.environ.get("ALSMUSCLE_SABOTAGE", "[]"))


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        mine = [item for item in PLANNED if item["function"].partition(":")[0] == name]
        if not mine:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            for item in mine:
                spoil(module, **item)

        spec.loader.exec_module = exec_module
        return spec


def spoil(module, function, rule, study, how):
    name = function.partition(":")[2]
    sound = getattr(module, name)

    def spoilt(*args, **kwargs):
        job = getattr(sys.modules["__main__"], "snakemake", None)
        if job is not None and job.rule == rule and job.wildcards.dataset == study:
            exec(how, {"os": os, "job": job})
        return sound(*args, **kwargs)

    setattr(module, name, spoilt)


sys.meta_path.insert(0, Finder)
"""


class Fault(NamedTuple):
    """``how`` is run before ``function`` (``package.module:name``) in a rule's ``job``
    of a study.
    """

    function: str
    rule: str
    study: str
    how: str


def place(folder: Path, faults: Sequence[Fault]) -> dict[str, str]:
    """Write the hook; return the environment that a run needs for it."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(HOOK)
    planned = json.dumps([fault._asdict() for fault in faults])
    return {"PYTHONPATH": str(folder), "ALSMUSCLE_SABOTAGE": planned}
