"""Studies of which only reads are public, from FASTQ behind a stand-in for ENA to their pages."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

import made_up_reads
from alsmuscle.bulk.tables import DE
from alsmuscle.core import files
from alsmuscle.core.outcome import OUTCOME
from alsmuscle.data.tables import CHECKS, MANIFEST
from alsmuscle.reads.tables import READS
from faultserver import certificate
from small_reads import Served, bulk_study, quick
from support import make_project, small_counts

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.verify,  # ten minutes of a busy machine
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate"),
]

KINDS = {"SRP1": (True, "reverse"), "SRP2": (False, "forward")}


@pytest.fixture(scope="module")
def genome():
    return made_up_reads.genome([f"{name}.1" for name in small_counts(n_genes=300).index])


@pytest.fixture(scope="module")
def studies(tmp_path_factory, genome):
    folder = tmp_path_factory.mktemp("made")
    transcripts = genome.write(folder)["transcripts"]
    made = {
        name: bulk_study(
            folder, name, genome, paired=paired, strand=strand, seed=4, transcripts=transcripts
        )
        for name, (paired, strand) in KINDS.items()
    }
    broken = bulk_study(
        *(folder, "SRP3", genome),
        **{"paired": True, "strand": "unstranded", "seed": 5, "transcripts": transcripts},
        **{"n_side": 1, "reads": 2_000},
    )
    url = next(url for url in broken.files if url.endswith("SRR301_2.fastq.gz"))
    broken.files[url] = broken.files[url][:-9] + bytes(9)
    return made | {"SRP3": broken}, folder


@pytest.fixture(scope="module")
def done(tmp_path_factory, studies):
    made, source = studies
    project = make_project(tmp_path_factory.mktemp("run"), copy_code=False)
    (project.folder / "config" / "datasets" / "gse1.yaml").unlink()
    project.config(lambda config: quick(config, source))
    run = Served(project, list(made.values()), certificate(tmp_path_factory.mktemp("tls"))).run()
    assert run.returncode == 0, run.stderr
    return project, run


@pytest.mark.parametrize("study", KINDS)
def test_counts_are_those_of_the_molecules_that_were_read(done, studies, study):
    project, _ = done
    counts = files.read_h5ad(project.folder / f"results/bulk/{study.lower()}/counts.h5ad")
    table = counts.to_df().T
    assert table.shape[1] == 6
    truth = pd.DataFrame(studies[0][study].truth).rename(lambda gene: gene.split(".")[0])
    truth = truth.reindex(table.index).fillna(0)
    each = (table[truth.columns] / truth - 1).abs().to_numpy()[truth.to_numpy() > 50]
    # How long a gene's isoforms are is estimated from a sample's reads: one sample scatters …
    assert np.median(each) < 0.02
    # … and all samples together hold.
    well = truth.sum(axis=1) > 50 * truth.shape[1]
    whole = (table.loc[well].sum(axis=1) / truth[well].sum(axis=1) - 1).abs()
    assert whole.median() < 0.01 and whole.quantile(0.95) < 0.03, whole.describe()


@pytest.mark.parametrize("study", KINDS)
def test_planted_genes_are_called(done, genome, study):
    project, _ = done
    de = files.read_table(
        project.folder / f"results/bulk/{study.lower()}/als_vs_healthy/de.tsv", DE
    ).set_index("gene_id")
    moved = [gene.split(".")[0] for gene in list(genome.genes)[::10]]
    called = de["padj"] < 0.05
    found = de.loc[de.index.isin(moved)]
    assert (found["log2fc"] > 0.5).mean() > 0.9
    assert called[found.index].mean() > 0.7
    assert called[~de.index.isin(moved)].mean() < 0.05
    assert np.isclose(found["log2fc"].median(), np.log2(3), atol=0.5)


@pytest.mark.parametrize("study", KINDS)
def test_quality_of_every_library_is_told_and_shown(done, study):
    project, _ = done
    folder = project.folder / f"results/reads/{study.lower()}/quality"
    tables = [files.read_table(path, READS) for path in sorted(folder.iterdir())]
    quality = pd.concat(tables, ignore_index=True)
    paired, strand = KINDS[study]
    assert len(quality) == 7
    assert set(quality["strandedness"]) == {strand}
    assert set(quality["layout"]) == {"paired" if paired else "single"}
    assert quality["pct_aligned"].min() > 99
    manifest = files.read_table(
        project.folder / f"results/provenance/data/{study.lower()}.tsv", MANIFEST
    ).set_index("name")
    assert manifest.loc["reads", "source"] == "quantified here"
    page = (project.folder / f"results/report/studies/{study.lower()}.html").read_text()
    assert "Quantified here from raw reads with kallisto 0.52.0 against transcripts.fa.gz" in page
    methods = (project.folder / "results/report/methods.html").read_text()
    assert "Raw reads" in methods and "length-scaled" in methods


def test_a_broken_library_leaves_its_study_out_and_no_other(done):
    project, run = done
    outcome = files.read_table(project.folder / "results/provenance/outcome.tsv", OUTCOME)
    kept = outcome.set_index("dataset")["kept"]
    assert kept[["srp1", "srp2"]].all() and not kept["srp3"]
    (reason,) = outcome.loc[outcome["dataset"] == "srp3", "reason"]
    assert "SRR301" in reason and "md5" in reason
    assert "left out: srp3" in run.stderr
    checks = files.read_table(project.folder / "results/provenance/checks.tsv", CHECKS)
    assert not checks["found"].str.contains("not understood").any()


def test_reads_are_gone_and_nothing_is_left_to_do(done):
    project, _ = done
    assert not list((project.folder / "data").glob("srp[12]/**/*.fastq.gz"))
    assert not {"reads_quantify", "bulk_fit"} & set(project.planned())
