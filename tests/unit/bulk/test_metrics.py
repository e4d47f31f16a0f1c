"""A metric of sample quality is one record: a new one has its column, flag, page and methods."""

from __future__ import annotations

import importlib.util

import anndata
import numpy as np
import pandas as pd
import pytest

from alsmuscle.bulk import metrics, qc, tables
from alsmuscle.core import files
from alsmuscle.data import cards
from alsmuscle.report import methods
from alsmuscle.report.pages import study
from support import ROOT

NEW = metrics.Metric(
    "pct_long",
    "Long genes %",
    digits=1,
    measured=lambda matrix: matrix.percent(matrix.symbols.str.startswith("LONG")),
    limit="max_pct_long",
    reason="pct_long {value:.1f} > {limit}",
    by_library=True,
    method="long genes above {max_pct_long:g} %",
    covariate=True,
)


def _again(module, **names):
    """The module as it would be imported now."""
    spec = importlib.util.spec_from_file_location(module.__name__, module.__file__)
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    return fresh


@pytest.fixture
def added(monkeypatch):
    monkeypatch.setattr(metrics, "OF_SAMPLE", (*metrics.OF_SAMPLE, NEW))


def _study():
    rng = np.random.default_rng(0)
    genes = ["XIST", "MT-CO1", "HBB", *(f"LONG{i}" for i in range(20))]
    genes += [f"S{i}" for i in range(200)]
    X = rng.poisson(100, (6, len(genes)))
    X[3, 3:23] *= 40
    columns = {"dataset": "x", "condition": ["a", "b"] * 3, "sex": "", "muscle": ""}
    obs = pd.DataFrame(columns, index=[f"s{i}" for i in range(6)])
    var = pd.DataFrame({"symbol": genes, "source_id": genes}, index=[f"G{g}" for g in genes])
    return anndata.AnnData(X=X, obs=obs, var=var)


def test_a_new_record_is_measured_flagged_and_said(added):
    counts, limits = _study(), cards.load_yaml(ROOT / "config" / "config.yaml")["bulk"]["qc"]
    limits |= {"min_library_size": 1, "min_genes_detected": 1, "max_pct_long": 50.0}
    size = {key: limits[key] for key in ("n_variable_genes", "n_components")}
    vst = counts.copy()
    vst.X = np.log2(np.asarray(counts.X) + 1.0)
    fresh = _again(qc)
    panels = files.read_plain(ROOT / "config" / "tissues.tsv")
    table, pca, _ = fresh.metrics(counts, vst, "human", panels, **size)
    X = np.asarray(counts.X)
    expected = 100 * X[3, 3:23].sum() / X[3].sum()
    assert table.loc["s3", "pct_long"] == pytest.approx(expected)
    flagged = fresh.flag(table, measure="counts", **limits)
    assert "pct_long" in flagged.loc["s3", "flags"].split(";")
    assert f"pct_long {expected:.1f} > 50.0" in flagged.loc["s3", "reasons"]
    assert "pct_long" not in ";".join(flagged.drop(index="s3")["flags"])
    assert "pct_long" in set(fresh.associations(pca, counts.obs, table)["covariate"])
    assert "long genes above 50 %" in metrics.methods(limits, arrays=False)
    assert "pct_long" in _again(tables).QC.columns
    assert [k.head for k in _again(study).QC_COLUMNS if k.key == "pct_long"] == ["Long genes %"]


def test_every_limit_is_in_the_configuration_and_its_schema_and_every_column_has_a_meaning():
    config = cards.load_yaml(ROOT / "config" / "config.yaml")["bulk"]["qc"]
    schema = cards.load_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
    described = schema["properties"]["bulk"]["properties"]["qc"]["properties"]
    meanings = files.read_plain(ROOT / "workflow" / "schemas" / "columns.tsv")
    known = set(meanings["column"])
    for metric in (*metrics.OF_SAMPLE, *metrics.OF_STUDY):
        assert metric.name in known
        assert bool(metric.limit) == bool(metric.reason) == bool(metric.method)
        if metric.limit:
            assert metric.limit in config and "description" in described[metric.limit]
            assert metric.limit.startswith(("min_", "max_"))


def test_methods_say_the_configured_limits():
    limits = cards.load_yaml(ROOT / "config" / "config.yaml")["bulk"]["qc"]
    said = ", ".join(metrics.methods(limits, arrays=False))
    assert "library below 1,000,000 reads" in said and "one gene above 50% of reads" in said
    assert "level" not in said
    arrays = metrics.methods(limits, arrays=True)
    assert arrays[0].endswith("more than 0.5 log2 beside the others'")
    assert methods.metrics is metrics
