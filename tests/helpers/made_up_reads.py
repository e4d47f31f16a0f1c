"""A made-up transcriptome with isoforms and introns, and reads of known origin from it."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

BASES = np.frombuffer(b"ACGT", np.uint8)
_COMPLEMENT = bytes.maketrans(b"ACGTN", b"TGCAN")


def reverse(sequence: bytes) -> bytes:
    return sequence.translate(_COMPLEMENT)[::-1]


@dataclass
class Genome:
    """Genes one after the other on one chromosome, each with exons, introns and isoforms."""

    sequence: bytes
    genes: dict[str, tuple[int, int, str]]  # start and end (1-based, as in GTF), strand
    transcripts: dict[str, bytes]
    gene_of: dict[str, str]
    lengths: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.lengths = {name: len(seq) for name, seq in self.transcripts.items()}

    def nascent(self, gene: str) -> bytes:
        start, end, strand = self.genes[gene]
        piece = self.sequence[start - 1 : end]
        return piece if strand == "+" else reverse(piece)

    def write(self, folder: Path) -> dict[str, Path]:
        """Write transcripts.fa.gz, genome.fa.gz and genes.gtf.gz as GENCODE does."""
        paths = {
            "transcripts": folder / "transcripts.fa.gz",
            "genome": folder / "genome.fa.gz",
            "annotation": folder / "genes.gtf.gz",
        }
        fasta = "".join(
            f">{name}|{self.gene_of[name]}|-|-|{name}|SYM{i}|{len(seq)}|protein_coding|\n"
            f"{seq.decode()}\n"
            for i, (name, seq) in enumerate(self.transcripts.items())
        )
        text = self.sequence.decode()
        genome = ">chr1 1\n" + "\n".join(text[i : i + 60] for i in range(0, len(text), 60))
        gtf = "##description: made up\n" + "".join(
            f'chr1\tX\tgene\t{start}\t{end}\t.\t{strand}\t.\tgene_id "{gene}"; gene_type "x";\n'
            f'chr1\tX\ttranscript\t{start}\t{end}\t.\t{strand}\t.\tgene_id "{gene}";\n'
            for gene, (start, end, strand) in self.genes.items()
        )
        for key, content in zip(paths, (fasta, genome, gtf), strict=True):
            paths[key].write_bytes(gzip.compress(content.encode(), mtime=0))
        return paths


def genome(ids: list[str], seed: int = 1) -> Genome:
    """Make a gene per id, with five exons, four introns and up to three isoforms."""
    draw = np.random.default_rng(seed)

    def bases(n: int) -> bytes:
        return BASES[draw.integers(0, 4, n)].tobytes()

    sequence, at = [bases(500)], 500
    genes: dict[str, tuple[int, int, str]] = {}
    transcripts: dict[str, bytes] = {}
    gene_of: dict[str, str] = {}
    for number, gene in enumerate(ids):
        exons = [bases(int(n)) for n in draw.integers(150, 500, 5)]
        introns = [bases(int(n)) for n in draw.integers(300, 900, 4)]
        parts = [exons[0]]
        for intron, exon in zip(introns, exons[1:], strict=True):
            parts += [intron, exon]
        body = b"".join(parts)
        strand = "+-"[number % 2]
        genes[gene] = (at + 1, at + len(body), strand)
        used = ([0, 1, 2, 3, 4], [0, 1, 3, 4], [0, 2, 4])[: 1 + number % 3]
        for isoform, kept in enumerate(used):
            name = f"ENST{number:010d}{isoform}.1"
            # Written along the gene's own strand.
            transcripts[name] = b"".join(exons[i] for i in kept)
            gene_of[name] = gene
        sequence += [body if strand == "+" else reverse(body), bases(300)]
        at += len(body) + 300
    return Genome(b"".join(sequence), genes, transcripts, gene_of)


def fragments(
    made: Genome,
    molecules: dict[str, float],
    n: int,
    draw: np.random.Generator,
    mean: float = 200.0,
    spread: float = 25.0,
) -> tuple[list[bytes], dict[str, int]]:
    """Draw fragments from transcripts: rate is molecules x number of places they can lie.

    Returns fragments along the transcript, and how many each transcript gave.
    """
    names = list(molecules)
    lengths = np.array([made.lengths[name] for name in names])
    places = np.maximum(lengths - mean + 1, 1.0)
    weight = np.array([molecules[name] for name in names]) * places
    origin = draw.choice(len(names), n, p=weight / weight.sum())
    size = np.clip(draw.normal(mean, spread, n).round().astype(int), 80, lengths[origin])
    start = (draw.random(n) * (lengths[origin] - size + 1)).astype(int)
    found = [
        made.transcripts[names[o]][s : s + k] for o, s, k in zip(origin, start, size, strict=True)
    ]
    return found, dict(zip(names, np.bincount(origin, minlength=len(names)).tolist(), strict=True))


def write_reads(path: Path, reads: list[bytes]) -> Path:
    text = b"".join(b"@r%d\n%s\n+\n%s\n" % (i, r, b"I" * len(r)) for i, r in enumerate(reads))
    path.write_bytes(gzip.compress(text, compresslevel=1, mtime=0))
    return path


def bulk(
    folder: Path,
    run: str,
    pieces: list[bytes],
    *,
    paired: bool,
    strand: str,
    draw: np.random.Generator,
    length: int = 75,
) -> list[Path]:
    """Sequence fragments: `forward`, `reverse` (first read from the antisense) or `unstranded`."""
    turned = {
        "forward": np.zeros(len(pieces), bool),
        "reverse": np.ones(len(pieces), bool),
        "unstranded": draw.random(len(pieces)) < 0.5,
    }[strand]
    seen = [reverse(p) if t else p for p, t in zip(pieces, turned, strict=True)]
    first = [p[:length] for p in seen]
    if not paired:
        return [write_reads(folder / f"{run}.fastq.gz", first)]
    second = [reverse(p)[:length] for p in seen]
    return [
        write_reads(folder / f"{run}_1.fastq.gz", first),
        write_reads(folder / f"{run}_2.fastq.gz", second),
    ]


def barcodes(n: int, draw: np.random.Generator, length: int = 16) -> list[bytes]:
    """Draw distinct barcodes."""
    found: dict[bytes, None] = {}
    while len(found) < n:
        found[BASES[draw.integers(0, 4, length)].tobytes()] = None
    return list(found)


def tenx(
    folder: Path,
    run: str,
    made: Genome,
    profiles: dict[bytes, dict[str, int]],
    *,
    nascent: float,
    draw: np.random.Generator,
    umi: int = 12,
    length: int = 60,
) -> list[Path]:
    """Sequence molecules: ``profiles`` says how many of each gene a barcode holds.

    A share ``nascent`` of them is read within the unspliced gene. Every third molecule is read
    twice, and one barcode in fifty with an error.
    """
    first: list[bytes] = []
    second: list[bytes] = []
    of_gene: dict[str, list[bytes]] = {}
    for name, gene in made.gene_of.items():
        of_gene.setdefault(gene, []).append(made.transcripts[name])
    whole = {gene: made.nascent(gene) for gene in made.genes}
    for barcode, genes in profiles.items():
        for gene, n in genes.items():
            for _ in range(n):
                tag = BASES[draw.integers(0, 4, umi)].tobytes()
                source = whole[gene] if draw.random() < nascent else of_gene[gene][0]
                for _ in range(1 + (draw.random() < 1 / 3)):
                    start = int(draw.integers(0, len(source) - length))
                    seen = bytearray(barcode)
                    if draw.random() < 0.02:
                        seen[int(draw.integers(0, 16))] = int(draw.choice(BASES))
                    first.append(bytes(seen) + tag)
                    second.append(source[start : start + length])
    order = draw.permutation(len(first))
    return [
        write_reads(folder / f"{run}_1.fastq.gz", [first[i] for i in order]),
        write_reads(folder / f"{run}_2.fastq.gz", [second[i] for i in order]),
    ]
