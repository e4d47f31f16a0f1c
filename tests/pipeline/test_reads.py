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
from alsmuscle.reads.collect import to_genes
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


def _by_gene(frame, gene_of):
    return frame.groupby(lambda name: gene_of[name].split(".")[0]).sum()


@pytest.mark.parametrize("study", KINDS)
def test_reads_are_counted_for_the_gene_that_gave_them(done, studies, genome, study):
    """kallisto's estimates are of reads: each run's are held to the reads drawn from each gene.

    Not to the rates that these were drawn at, from which chance alone takes the median gene 6 %.
    """
    project, _ = done
    for run, origin in studies[0][study].origin.items():
        path = project.folder / f"data/{study.lower()}/reads/{run}.abundance.tsv.gz"
        table = pd.read_csv(path, sep="\t")
        found = table.groupby(table["target_id"].str.split("|").str[1])["est_counts"].sum()
        truth = _by_gene(origin, genome.gene_of)
        well = truth.index[truth > 50]
        found.index = found.index.str.split(".").str[0]
        assert (found[well] / truth[well] - 1).abs().max() < 0.01


@pytest.mark.parametrize("study", KINDS)
def test_counts_are_put_on_one_length_per_gene(done, studies, genome, study):
    """What a study is analysed with is no number of reads, but its abundance on one length.

    (tximport's ``lengthScaledTPM``.) It differs from the reads of the gene by as much as the
    isoforms of a run are longer or shorter than those of all runs: 0.6 % for the median gene, 4 %
    for one in twenty, were every read's isoform known. So the truth goes through the same formula.
    What is left, 1.0 % for the median gene with pairs and 1.3 % with single reads, is that reads of
    exons in common are divided among isoforms by estimate; it leans to no side.
    """
    project, _ = done
    counts = files.read_h5ad(project.folder / f"results/bulk/{study.lower()}/counts.h5ad")
    table = counts.to_df().T
    assert table.shape[1] == 6
    runs = {}
    for run, origin in studies[0][study].origin.items():
        path = project.folder / f"data/{study.lower()}/reads/{run}.abundance.tsv.gz"
        own = pd.read_csv(path, sep="\t")
        own["target_id"] = own["target_id"].str.split("|").str[0]
        own["est_counts"] = own["target_id"].map(origin).fillna(0.0)
        rate = own["est_counts"] / own["eff_length"]
        runs[run] = own.assign(tpm=1e6 * rate / rate.sum())
    gene_of = {name: gene.split(".")[0] for name, gene in genome.gene_of.items()}
    scaled = to_genes(runs, gene_of).length_scaled()
    sample_of = {
        row["run_accession"]: row["experiment_accession"] for row in studies[0][study].rows
    }
    truth = scaled.T.groupby(sample_of).sum().T.reindex(table.index).fillna(0)
    error = (table[truth.columns] / truth - 1).to_numpy()[truth.to_numpy() > 50]
    assert np.median(np.abs(error)) < 0.02
    assert np.quantile(np.abs(error), 0.95) < 0.1
    assert abs(error.mean()) < 0.003
    # All samples together, against the reads themselves.
    reads = pd.DataFrame(studies[0][study].truth).rename(lambda gene: gene.split(".")[0])
    reads = reads.reindex(table.index).fillna(0).sum(axis=1)
    well = reads.index[reads > 50 * table.shape[1]]
    whole = (table.loc[well].sum(axis=1) / reads[well] - 1).abs()
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
