"""What the benchmarks read out of a run; the timings themselves are never tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd

from support import ROOT, load_benchmark


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
    assert load_benchmark("workflow").jobs_of(text) == {"": 4, "gse1": 4, "gse2": 1}


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
    found = load_benchmark("fit").agreement(ours, other)
    assert found["dispersion_beyond_1e-4"] == 0.25
    assert found["dispersion_beyond_1e-4_converged"] == 0.0
    assert found["log2fc_beyond_1e-4"] == 0.0
    assert found["not_converged"] == 1
    assert found["false_stops"] == 1
    assert (found["calls_differ"], found["genes_that_differ"]) == (1, "b")
    assert found["calls_differ_converged"] == 0


def test_samples_are_added_up_by_rule_with_imports_apart() -> None:
    rows_of = load_benchmark("where").rows_of
    lines = [
        '{"name": "bulk_fit", "cpu_s": 2.0, "counts": {"import": 50, "bulk/deseq2.py fit": 150}}',
        '{"name": "bulk_fit", "cpu_s": 1.0, "counts": {"import": 100}}',
        '{"name": "snakemake", "cpu_s": 9.0, "counts": {"elsewhere": 10}}',
        '{"name": "data_admit", "cpu_s": 0.1, "counts": {}}',
    ]
    table = rows_of(lines, "demo").set_index("rule")
    assert table["processes"].to_dict() == {"snakemake": 1, "bulk_fit": 2, "data_admit": 1}
    assert table.loc["bulk_fit", ["cpu_s", "imports_s"]].tolist() == [3.0, 1.5]
    assert table.loc["bulk_fit", "where"] == "bulk/deseq2.py fit 1.5"
    assert table.loc["snakemake", ["imports_s", "where"]].tolist() == [0.0, ""]


def test_a_sampled_process_says_what_it_did(tmp_path) -> None:
    """A process and its child, which ends by ``os._exit``, as a job's does."""
    code = """
import os, time
from alsmuscle.core import redaction
TEXT = "a b" + chr(7) * 20_000  # a call takes long beside the loop around it
def busy(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        redaction.printable(TEXT)
if os.fork() == 0:
    busy(0.4)
    os._exit(0)
os.wait()
"""
    log = tmp_path / "log"
    path = os.pathsep.join([str(ROOT / "benchmarks" / "sampled"), str(ROOT / "workflow" / "src")])
    environment = os.environ | {"PYTHONPATH": path, "ALSMUSCLE_PROFILE": str(log)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    child, parent = map(json.loads, log.read_text().splitlines())
    assert child["cpu_s"] > 0.35
    assert max(child["counts"], key=child["counts"].get) == "core/redaction.py printable"
    assert "core/redaction.py printable" not in parent["counts"]
    assert parent["name"] == "snakemake"
