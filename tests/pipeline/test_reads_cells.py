"""Cells and nuclei of which only reads are public, from FASTQ behind a stand-in to their pages."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import made_up_reads
from alsmuscle.cells.tables import CELLS_QC
from alsmuscle.core import files
from alsmuscle.core.outcome import OUTCOME
from alsmuscle.reads.tables import READS
from faultserver import certificate
from small_reads import Served, cells_study, quick
from support import ROOT, make_project

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.verify,  # minutes
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate"),
]

MATERIALS = {"SRP4": "nuclei", "SRP5": "cells"}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    source = tmp_path_factory.mktemp("made")
    made = {
        name: cells_study(source / name, name, material=material)
        for name, material in MATERIALS.items()
    }
    unknown = cells_study(source / "SRP6", "SRP6", material="cells", libraries=1)
    others = made_up_reads.barcodes(1500, np.random.default_rng(9))
    Path(unknown.card["files"]["reads"]["barcodes"]).write_bytes(b"\n".join(others) + b"\n")
    project = make_project(tmp_path_factory.mktemp("run"), copy_code=False)
    (project.folder / "config" / "datasets" / "gse1.yaml").unlink()
    panel = (ROOT / "config" / "celltypes.tsv").read_bytes()
    (project.folder / "config" / "celltypes.tsv").write_bytes(panel)
    project.config(lambda config: quick(config, source))
    trusted = certificate(tmp_path_factory.mktemp("tls"))
    run = Served(project, [*made.values(), unknown], trusted).run()
    assert run.returncode == 0, run.stderr
    return project, made


@pytest.mark.parametrize("study", MATERIALS)
def test_molecules_reach_the_matrix_of_every_sample(done, study):
    project, made = done
    folder = project.folder / f"results/cells/{study.lower()}"
    qc = files.read_table(folder / "qc.tsv", CELLS_QC)
    assert len(qc) == 4 and (qc["skipped"] == "").all()
    assert qc["n_barcodes"].between(76, 84).all()
    quality = [
        files.read_table(path, READS)
        for path in sorted((project.folder / f"results/reads/{study.lower()}/quality").iterdir())
    ]
    for table, (name, truth) in zip(quality, made[study].truth.items(), strict=True):
        row = table.iloc[0]
        assert (row["library"], row["chemistry"]) == (name, "10xv3")
        matrix = files.read_h5ad(
            project.folder / f"data/{study.lower()}/reads/{name}.cells.h5ad"
        ).to_df()
        assert matrix.to_numpy().sum() == pytest.approx(truth.sum(), rel=0.02)
        total = matrix.sum().reindex(truth.index).fillna(0)
        assert (total - truth)[truth > 50].abs().div(truth[truth > 50]).median() < 0.01


@pytest.mark.parametrize("study", MATERIALS)
def test_the_page_says_that_it_was_quantified_here(done, study):
    project, _ = done
    page = (project.folder / f"results/report/studies/{study.lower()}.html").read_text()
    assert "Quantified here from raw reads with kallisto 0.52.0, bustools 0.45.1" in page
    assert ("with introns" in page) == (MATERIALS[study] == "nuclei")


def test_an_unknown_chemistry_leaves_its_study_out(done):
    project, _ = done
    outcome = files.read_table(project.folder / "results/provenance/outcome.tsv", OUTCOME)
    kept = outcome.set_index("dataset")["kept"]
    assert kept[["srp4", "srp5"]].all() and not kept["srp6"]
    (reason,) = outcome.loc[outcome["dataset"] == "srp6", "reason"].unique()
    assert "SRX600" in reason and "unknown chemistry" in reason and "0% of 10xv3" in reason
