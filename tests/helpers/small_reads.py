"""Made-up studies of which only reads are public, and a stand-in for the archive that holds them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import made_up_reads
from alsmuscle.archives import ena
from faultserver import Archives

CONTRAST = {"id": "als_vs_healthy", "label": "ALS against healthy", "variable": "condition"}
CONTRAST |= {"target": "als", "reference": "healthy"}


@dataclass
class Study:
    """One study's runs behind ENA, its card, and how many fragments each gene gave."""

    accession: str
    card: dict[str, Any]
    truth: dict[str, pd.Series] = field(default_factory=dict)
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
        n = reads // 2 if i < 2 else reads
        pieces, origin = made_up_reads.fragments(genome, molecules, n, draw)
        paths = made_up_reads.bulk(folder, run, pieces, paired=paired, strand=strand, draw=draw)
        name = f"SRX{number + sample}"
        made.add(run, name, condition, paths)
        genes = pd.Series(origin).groupby(genome.gene_of).sum()
        made.truth[name] = made.truth[name].add(genes) if name in made.truth else genes
    return made
