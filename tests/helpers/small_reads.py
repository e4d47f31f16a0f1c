"""Made-up studies of which only reads are public,
and a stand-in for the archive that holds them.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from anndata import AnnData

import made_up_reads
from alsmuscle.archives import ena
from alsmuscle.cells import annotate
from alsmuscle.core import files
from alsmuscle.simulate.cells import MITO_GENES, simulate_nuclei
from faultserver import Archives
from support import ROOT, Project

CONTRAST = {"id": "als_vs_healthy", "label": "ALS against healthy", "variable": "condition"}
CONTRAST |= {"target": "als", "reference": "healthy"}


@dataclass
class Study:
    """One study's runs behind ENA, its card, and how many fragments each gene gave.

    ``truth``: sample → fragments (or molecules) of each gene; ``origin``: run → fragments of each
    transcript, of whole tissue.
    """

    accession: str
    card: dict[str, Any]
    truth: dict[str, pd.Series] = field(default_factory=dict)
    origin: dict[str, pd.Series] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, run: str, sample: str, condition: str, paths: list[Path]) -> None:
        """Add a run, whose files ENA lists."""
        urls = [f"ftp.sra.ebi.ac.uk/vol1/fastq/{run}/{path.name}" for path in paths]
        contents = [path.read_bytes() for path in paths]
        self.files |= {f"https://{url}": c for url, c in zip(urls, contents, strict=True)}
        self.rows.append(
            {
                "run_accession": run,
                "experiment_accession": sample,
                "sample_title": condition,
                "scientific_name": "Homo sapiens",
                "fastq_ftp": ";".join(urls),
                "fastq_md5": ";".join(hashlib.md5(c).hexdigest() for c in contents),
                "fastq_bytes": ";".join(str(len(c)) for c in contents),
            }
        )

    def serve(self, archive: Archives) -> None:
        """Give out the study's record and files."""
        table = pd.DataFrame(self.rows)
        for column in ("run_accession", "experiment_accession"):
            for name, part in table.groupby(column):
                report = part.to_csv(sep="\t", index=False)
                archive.serve(ena.ena_file_report(str(name)), report)
        archive.serve(ena.ena_file_report(self.accession), table.to_csv(sep="\t", index=False))
        for url, content in self.files.items():
            archive.serve(url, content)


def card(accession: str, modality: str, reads: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A card whose samples are ENA's experiments, their condition the sample's title."""
    return {
        "id": accession.lower(),
        "accession": accession,
        "title": f"Made-up reads {accession}",
        "organism": "human",
        "modality": modality,
        "role": "als_patient",
        "platform": "none",
        "use": True,
        "status": "candidate",
        "simulated": True,
        "citation": {"text": "made for the tests"},
        "files": {"reads": {"source": "ena_fastq", **reads}, "runs": {"source": "ena_report"}},
        "samples": {
            "sheet": {"file": "runs", "layout": "ena"},
            "sample_id": "experiment_accession",
            **({"run_id": "run_accession"} if modality == "bulk" else {}),
            "columns": {
                "condition": {
                    "from": "sample_title",
                    "map": {"healthy": "healthy", "ALS": "als"},
                }
            },
        },
        "contrasts": [dict(CONTRAST)],
        "facts": {"accession": "file"},
        **more,
    }


def bulk_study(
    folder: Path,
    accession: str,
    genome: made_up_reads.Genome,
    *,
    paired: bool,
    strand: str,
    seed: int,
    transcripts: Path,
    n_side: int = 3,
    reads: int = 30_000,
) -> Study:
    """Samples of two groups, every tenth gene threefold in ALS; the first sample has two runs."""
    draw = np.random.default_rng(seed)
    number = int(accession.removeprefix("SRP")) * 100
    amounts = {gene: draw.gamma(1.5, 10) for gene in genome.genes}
    moved = set(list(genome.genes)[::10])
    runs = [f"SRR{number + i}" for i in range(2 * n_side + 1)]
    made = Study(
        accession,
        card(
            accession,
            "bulk",
            {"runs": [f"{runs[0]}-{runs[-1]}"], "transcripts": str(transcripts)},
            counts={"file": "reads", "layout": "reads", "type": "expected_counts"},
        ),
    )
    if not paired:
        made.card["files"]["reads"] |= {"fragment_length": 200, "fragment_spread": 25}
    for i, run in enumerate(runs):
        sample = max(0, i - 1)  # the first two runs are one sample's
        if i != 1:
            own = {gene: a * draw.gamma(20, 1 / 20) for gene, a in amounts.items()}
        condition = "ALS" if sample >= n_side else "healthy"
        fold = {gene: 3.0 if gene in moved and condition == "ALS" else 1.0 for gene in own}
        molecules = {t: own[g] * fold[g] for t, g in genome.gene_of.items()}
        # Depths differ: equal ones are taken for drawn to one depth.
        n = int(draw.uniform(0.7, 1.3) * (reads // 2 if i < 2 else reads))
        pieces, origin = made_up_reads.fragments(genome, molecules, n, draw)
        paths = made_up_reads.bulk(folder, run, pieces, paired=paired, strand=strand, draw=draw)
        name = f"SRX{number + sample}"
        made.add(run, name, condition, paths)
        made.origin[run] = pd.Series(origin)
        genes = made.origin[run].groupby(genome.gene_of).sum()
        made.truth[name] = made.truth[name].add(genes) if name in made.truth else genes
    return made


@functools.cache
def _nuclei() -> AnnData:
    panel = annotate.check_panel(files.read_plain(ROOT / "config" / "celltypes.tsv"), where="x")
    return simulate_nuclei(
        panel, seed=1, n_donors=8, nuclei_per_donor=80, n_genes=600, affected={}, low_quality=False
    )


def cells_study(
    folder: Path, accession: str, *, material: str, libraries: int = 4, seed: int = 1
) -> Study:
    """Two donors a side, a library each: molecules of simulated nuclei, and empty droplets.

    In nuclei four of ten molecules are read within the unspliced gene, in cells none. ``truth``:
    molecules per gene in the barcodes that hold cells. Of so few genes the mitochondrial ones would
    be more than a nucleus may hold: three of four of their molecules are left out.
    """
    draw = np.random.default_rng(seed)
    made = _nuclei()
    symbols = made.var["symbol"].astype(str).to_numpy()
    genome = made_up_reads.genome(list(symbols))
    folder.mkdir()
    paths = {key: str(path) for key, path in genome.write(folder).items()}
    known = made_up_reads.barcodes(1500, draw)
    (folder / "barcodes.txt").write_bytes(b"\n".join(known) + b"\n")
    number = int(accession.removeprefix("SRP")) * 100
    beside = ("transcripts", "genome", "annotation") if material == "nuclei" else ("transcripts",)
    study = Study(
        accession,
        card(
            accession,
            "cells",
            {
                "runs": [f"SRX{number}-SRX{number + libraries - 1}"],
                "barcodes": str(folder / "barcodes.txt"),
                **{key: paths[key] for key in beside},
            },
            cells={"layout": "reads", "file": "reads", "material": material, "chemistry": "auto"},
        ),
    )
    samples = made.obs["sample_id"].astype(str)
    kept = np.where(np.isin(symbols, MITO_GENES), 0.25, 1.0)
    for i, sample in enumerate(samples.unique()[:libraries]):
        part = made[(samples == sample).to_numpy()]
        counts = np.asarray(part.X.todense()) if hasattr(part.X, "todense") else part.X
        depth = min(1.0, 250 * len(counts) / counts.sum())
        thinned = draw.binomial(counts.astype(int), depth * kept)
        profiles = {
            code: {symbols[g]: int(row[g]) for g in np.flatnonzero(row)}
            for code, row in zip(known, thinned, strict=False)
        }
        mean = thinned.sum(axis=0) / thinned.sum()
        for code in known[len(thinned) : len(thinned) + 200]:
            soup = draw.multinomial(5, mean)
            profiles[code] = {symbols[g]: int(soup[g]) for g in np.flatnonzero(soup)}
        nascent = 0.4 if material == "nuclei" else 0.0
        run, name = f"SRR{number + i}", f"SRX{number + i}"
        reads = made_up_reads.tenx(folder, run, genome, profiles, nascent=nascent, draw=draw)
        condition = "ALS" if str(part.obs["condition"].iloc[0]) == "ALS" else "healthy"
        study.add(run, name, condition, reads)
        study.truth[name] = pd.Series(thinned.sum(axis=0), index=symbols)
    return study


class Served:
    """A project whose studies lie behind a stand-in for the archives."""

    def __init__(self, project: Project, studies: list[Study], trusted: Path) -> None:
        self.project, self.trusted = project, trusted
        self.archive = Archives(trusted)
        for study in studies:
            study.serve(self.archive)
            path = project.folder / "config" / "datasets" / f"{study.card['id']}.yaml"
            path.write_text(yaml.safe_dump(study.card, sort_keys=False))

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Have the archives as the network of all that is started."""
        threading.Thread(target=self.archive.serve_forever, args=(0.02,), daemon=True).start()
        with pytest.MonkeyPatch.context() as patch:
            for name in ("http_proxy", "https_proxy"):
                patch.setenv(name, self.archive.url(""))
            patch.setenv("SSL_CERT_FILE", str(self.trusted))
            yield
        self.archive.shutdown()
        self.archive.server_close()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the workflow once."""
        with self.serving():
            return self.project.snakemake(*arguments, "--quiet", "host")


def quick(config: dict[str, Any], source: Path) -> None:
    """Let a project read made-up references, and lose no time."""
    config["studies"]["raw_reads"] = True
    config["data"]["folders"] = [str(source)]
    config["bulk"]["de"]["shrink"] = False
    config["enrichment"]["sets"]["n_matched"] = 20
    config["programmes"]["n_matched"] = 20
    config["synthesis"]["denervation"] |= {"n_replicates": 30, "n_random": 5}
    config["cells"]["prepare"] |= {"min_genes": 30}
