"""What the benchmarks read out of a run; the timings themselves are never tested."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from support import ROOT

BENCHMARKS = ROOT / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_jobs_are_counted_per_study() -> None:
    files = [
        ("results/report", "report_pages"),
        ("results/programmes/coverage.tsv", "programmes_check"),
        ("results/synthesis/claims.tsv", "synthesis_claims"),
        ("results/synthesis/changes.tsv", "synthesis_claims"),
        ("results/provenance/data/collections.tsv", "data_fetch"),
        ("results/provenance/data/gse1.tsv", "data_fetch"),
        ("results/bulk/gse1/counts.h5ad", "bulk_fit"),
        ("results/bulk/gse1/samples.tsv", "bulk_fit"),
        ("results/bulk/gse1/a_vs_b/de.tsv", "bulk_contrast"),
        ("results/bulk/gse1/c_vs_b/de.tsv", "bulk_contrast"),
        ("results/enrichment/gse1/a_vs_b/gsea.tsv", "bulk_contrast"),
        ("results/programmes/gse1/a_vs_b/effects.tsv", "bulk_contrast"),
        ("results/demo/bulk/gse2/qc.tsv", "bulk_fit"),
    ]
    text = "Building DAG of jobs...\noutput_file\tdate\trule\tlog-file(s)\tstatus\tplan\n"
    text += "".join(f"{path}\t-\t{rule}\t-\tmissing\tupdate pending\n" for path, rule in files)
    assert load("workflow").jobs_of(text) == {"": 4, "gse1": 4, "gse2": 1}


def test_agreement_counts_what_differs_and_names_the_calls() -> None:
    ours = pd.DataFrame(
        {
            "log2fc": [1.0, 2.0, 3.0, 0.0],
            "dispersion": [0.1, 0.2, 0.3, 0.4],
            "genewise": [0.1, 0.2, 0.3, 0.4],
            "stat": [1.0, 2.0, 3.0, 4.0],
            "pvalue": [0.5, 0.01, 0.001, 0.2],
            "padj": [0.6, 0.04, 0.001, 0.3],
        },
        index=["a", "b", "c", "d"],
    )
    other = ours.assign(
        dispersion=[0.1, 0.2001, 0.3, 0.4],
        genewise=[0.1, 0.2, 1e-8, 0.4],
        padj=[0.6, 0.06, 0.001, 0.3],
        converged=[True, False, True, True],
    )
    found = load("fit").agreement(ours, other)
    assert found["dispersion_beyond_1e-4"] == 0.25
    assert found["dispersion_beyond_1e-4_converged"] == 0.0
    assert found["log2fc_beyond_1e-4"] == 0.0
    assert found["not_converged"] == 1
    assert found["false_stops"] == 1
    assert (found["calls_differ"], found["genes_that_differ"]) == (1, "b")
    assert found["calls_differ_converged"] == 0


def test_the_page_shows_every_table_and_keeps_markup_out(tmp_path: Path) -> None:
    (tmp_path / "fit.tsv").write_text("engine\tseconds\nbatched\t1.5\n<script>\t3\n")
    (tmp_path / "enrichment.tsv").write_text("# 5000 sets\nmethod\tcpu_s\ngsea\t2\n")
    page = load("page").build(tmp_path)
    assert "<td>1.5</td>" in page
    assert "5000 sets" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_a_page_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no \.tsv"):
        load("page").build(tmp_path)
