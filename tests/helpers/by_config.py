"""Modules whose functions are called with the options of config/config.yaml, as a run calls them.

The package has no second home for these values; what a test names itself goes before them.
"""

from __future__ import annotations

from functools import partial
from inspect import isfunction, signature
from types import ModuleType, SimpleNamespace
from typing import Any

from alsmuscle.bulk import inference as _inference
from alsmuscle.cells import activity as _activity
from alsmuscle.cells import annotate as _annotate
from alsmuscle.cells import cluster as _cluster
from alsmuscle.cells import composition as _composition
from alsmuscle.cells import prepare as _prepare
from alsmuscle.cells import pseudobulk as _pseudobulk
from alsmuscle.data import cards
from alsmuscle.genesets import camera as _camera
from alsmuscle.genesets import pathways as _pathways
from alsmuscle.genesets import set_tests as _set_tests
from alsmuscle.simulate import log_scale as _log_scale
from alsmuscle.stats import meta_analysis as _meta_analysis
from alsmuscle.synthesis import axis as _axis
from support import ROOT

CONFIG: dict[str, Any] = cards.load_yaml(ROOT / "config" / "config.yaml")
_CELLS, _SETS, _SYNTHESIS = CONFIG["cells"], CONFIG["enrichment"], CONFIG["synthesis"]


def _bound(module: ModuleType, *blocks: dict[str, Any]) -> SimpleNamespace:
    options = {key: value for block in blocks for key, value in block.items()}
    names = dict(vars(module))
    for name, found in vars(module).items():
        if isfunction(found) and found.__module__ == module.__name__:
            needed = {
                key: options[key]
                for key, parameter in signature(found).parameters.items()
                if key in options
                and parameter.default is parameter.empty
                and parameter.kind is parameter.KEYWORD_ONLY
            }
            names[name] = partial(found, **needed) if needed else found
    return SimpleNamespace(**names)


prepare = _bound(_prepare, _CELLS["prepare"], _CELLS["variable"], {"seed": 0})
cluster = _bound(_cluster, _CELLS["variable"], _CELLS["embed"])
annotate = _bound(_annotate, _CELLS["annotate"])
pseudobulk = _bound(_pseudobulk, _CELLS["pseudobulk"])
activity = _bound(_activity, _CELLS["pseudobulk"], _CELLS["coexpression"])
composition = _bound(_composition, _CELLS["composition"])
camera = _bound(_camera, _SETS["sizes"])
pathways = _bound(_pathways, _SETS["sizes"], _SETS["gsea"])
set_tests = _bound(_set_tests, _SETS["sizes"], _SETS["sets"])
meta_analysis = _bound(_meta_analysis, _SYNTHESIS["rules"])
axis = _bound(_axis, _SYNTHESIS["denervation"])
log_scale = _bound(_log_scale, _SYNTHESIS["denervation"])
inference = _bound(_inference, CONFIG["bulk"]["de"])
