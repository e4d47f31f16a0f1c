"""A small project with one small study, laid out like a GEO series; used by several tests."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import yaml

import warm
from alsmuscle.core import digest

ROOT = Path(__file__).resolve().parents[2]


def mirror() -> Path | None:
    """Folder of mirrored public data, where there is one."""
    path = Path(os.environ.get("ALSMUSCLE_MIRROR") or ROOT.parent / "shared" / "mirror")
    return path.resolve() if (path / "index.tsv").is_file() else None


def load_benchmark(name: str) -> ModuleType:
    """Load a script of the benchmarks, which import each other by name."""
    folder = ROOT / "benchmarks"
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@cache
def _parsed_code() -> bytes:
    """What a first run keeps of the package's modules, parsed, by the bytes of each.

    It is kept for the other processes of these tests, and for the next ones: of what is out of date
    nothing is used.
    """
    store = ROOT / ".cache" / "parsed-for-tests"
    code = digest.Code(store)
    for script in sorted((ROOT / "workflow" / "scripts").glob("*.py")):
        code.digest(script)
    return store.read_bytes()


def give_parsed_code(folder: Path) -> Path:
    """Spare the first run in a folder five seconds: parsing modules that are as they are here.

    Return the file.
    """
    store = folder / ".snakemake" / "alsmuscle-read-parsed"
    if not store.exists():
        store.parent.mkdir(parents=True, exist_ok=True)
        store.write_bytes(_parsed_code())
    return store


@dataclass
class Project:
    """A copy of the workflow with a configuration of its own."""

    folder: Path

    def config(self, change: Callable[[dict[str, Any]], None]) -> None:
        self._edit(self.folder / "config" / "config.yaml", change)

    def card(self, change: Callable[[dict[str, Any]], None], study: str = "gse1") -> None:
        self._edit(self.folder / "config" / "datasets" / f"{study}.yaml", change)

    def quick(self) -> None:
        """Ask for fewer permutations, replicates and random sets than a result needs."""

        def change(config: dict[str, Any]) -> None:
            config["bulk"]["de"] |= {"shrink": False}
            config["enrichment"]["gsea"]["permutations"] = 101
            config["enrichment"]["sets"]["n_matched"] = 20
            config["programmes"]["n_matched"] = 20
            config["synthesis"]["denervation"] |= {"n_replicates": 30, "n_random": 5}

        self.config(change)

    def own_sets(self, genes: pd.Index) -> None:
        """Add and use a collection from a local GMT: the genes that move, and as many others."""
        table = pd.read_csv(
            ROOT / "workflow" / "resources" / "genes_human.tsv.gz", sep="\t", dtype=str
        )
        symbols = table.set_index("gene_id")["symbol"]
        lines = [
            "\t".join([name, "made for the tests", *symbols[part]])
            for name, part in (("PLANTED", genes[10:600:10]), ("OTHER", genes[15:600:10]))
        ]
        path = self.folder / "config" / "own.gmt"
        path.write_text("\n".join(lines) + "\n")
        entry = {
            "title": "Our own sets",
            "version": "mine",
            "organism": "human",
            "url": "own.gmt",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "licence": "ours",
            "cite": "nobody",
            "verified": True,
        }
        self._edit(
            self.folder / "config" / "collections.yaml", lambda known: known.update(own=entry)
        )
        self.config(lambda config: config["enrichment"].update(collections=["own"]))

    @staticmethod
    def _edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
        # The compiled reader of YAML: the other takes a second for the claims.
        document = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
        change(document)
        path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))

    def snakemake(
        self, *arguments: str, jobs: warm.Jobs = "loaded"
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake; ``jobs``: how they come to be, see :func:`warm.run`."""
        give_parsed_code(self.folder)
        environment = {k: v for k, v in os.environ.items() if k != "ALSMUSCLE_MIRROR"}
        words = ["--cores", "2", *arguments]
        return warm.run(words, folder=self.folder, environment=environment, jobs=jobs)

    def admit(self) -> subprocess.CompletedProcess[str]:
        """Download and verify all studies, so that the plan behind that is known."""
        return self.snakemake("fetch", "--quiet", "host")

    def planned(self, *arguments: str) -> dict[str, int]:
        """Rule → number of jobs of a dry run."""
        run = self.snakemake(*arguments, "--dry-run", "--quiet", "host")
        assert run.returncode == 0, run.stdout + run.stderr
        lines = (run.stdout + run.stderr).splitlines()
        if not any(line.startswith("job ") for line in lines):
            return {}
        table = lines[next(i for i, line in enumerate(lines) if line.startswith("job ")) + 2 :]
        jobs = {}
        for line in table:
            words = line.split()
            if len(words) != 2 or words[0] == "total":
                break
            jobs[words[0]] = int(words[1])
        return jobs


@cache
def _studied_genes() -> pd.DataFrame:
    """Genes that tell the sexes apart, then those of the programmes."""
    table = pd.read_csv(
        ROOT / "workflow" / "resources" / "genes_human.tsv.gz",
        sep="\t",
        dtype=str,
        keep_default_na=False,
    )
    programmes = pd.read_csv(ROOT / "config" / "programmes.tsv", sep="\t", dtype=str)
    known = table[table["symbol"].isin(set(programmes["human"])) & (table["primary"] == "1")]
    sexed = table[table["symbol"].isin(["XIST", "RPS4Y1", "DDX3Y", "KDM5D", "EIF1AY"])]
    return pd.concat([sexed, known]).drop_duplicates("gene_id")


def small_counts(n_genes: int = 1200, n_side: int = 5, seed: int = 1) -> pd.DataFrame:
    """Counts of two groups with real Ensembl ids: every 10th gene triples in the second group."""
    rng = np.random.default_rng(seed)
    genes = _studied_genes().head(n_genes)
    mean = np.exp(rng.normal(5, 1.5, len(genes)))[:, None]
    fold = np.ones((len(genes), 2 * n_side))
    fold[::10, n_side:] = 3
    depth = rng.uniform(0.7, 1.4, 2 * n_side)
    mu = mean * fold * depth
    counts = rng.negative_binomial(10, 10 / (10 + mu))
    frame = pd.DataFrame(counts, index=genes["gene_id"].to_numpy())
    frame.columns = [f"GSM{i + 1}" for i in range(2 * n_side)]
    female = [i % 2 == 0 for i in range(2 * n_side)]
    by_symbol = genes.set_index("gene_id")["symbol"]
    for gene in frame.index[by_symbol == "XIST"]:
        frame.loc[gene] = [800 if f else 0 for f in female]
    for gene in frame.index[by_symbol.isin(["RPS4Y1", "DDX3Y", "KDM5D", "EIF1AY"])]:
        frame.loc[gene] = [0 if f else 800 for f in female]
    return frame


def write_study(folder: Path, counts: pd.DataFrame) -> dict[str, Any]:
    """Write a tar of per-sample tables and a phenodata csv; return the study's card."""
    folder.mkdir(parents=True, exist_ok=True)
    n_side = counts.shape[1] // 2
    members = {}
    with tarfile.open(folder / "GSE1_RAW.tar", "w") as archive:
        for sample in counts.columns:
            text = counts[sample].to_csv(sep="\t", header=False) + "__no_feature\t99\n"
            content = gzip.compress(text.encode(), mtime=0)
            name = f"{sample}_x.txt.gz"
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
            members[name] = hashlib.sha256(content).hexdigest()
    sheet = pd.DataFrame(
        {
            "geo_accession": counts.columns,
            "disease:ch1": ["healthy"] * n_side + ["ALS"] * n_side,
            "donor:ch1": [f"d{i % n_side}" for i in range(2 * n_side)],
            "Sex:ch1": ["F" if i % 2 == 0 else "M" for i in range(2 * n_side)],
            "site:ch1": ["A"] * n_side + ["B"] * n_side,
        }
    )
    sheet.to_csv(folder / "sheet.csv", index=False)
    return {
        "id": "gse1",
        "accession": "GSE1",
        "title": "A small study",
        "organism": "human",
        "modality": "bulk",
        "role": "als_patient",
        "platform": "none",
        "use": True,
        "status": "verified",
        "simulated": True,
        "citation": {"text": "made for the tests"},
        "files": {
            "counts": {"url": str(folder / "GSE1_RAW.tar"), "members": members},
            "sheet": {
                "url": str(folder / "sheet.csv"),
                "sha256": hashlib.sha256((folder / "sheet.csv").read_bytes()).hexdigest(),
            },
        },
        "counts": {
            "file": "counts",
            "layout": "tar_tables",
            "type": "counts",
            "member": r"^(?P<sample_id>GSM\d+)_",
            "header": False,
            "gene_column": 0,
            "count_column": 1,
            "summary_prefix": "__",
        },
        "samples": {
            "sheet": {"file": "sheet", "layout": "csv"},
            "sample_id": "geo_accession",
            "expected": 2 * n_side,
            "columns": {
                "condition": {"from": "disease:ch1", "map": {"healthy": "healthy", "ALS": "als"}},
                "subject_id": {"from": "donor:ch1"},
                "sex": {"from": "Sex:ch1", "map": {"F": "female", "M": "male"}},
                "site": {"from": "site:ch1"},
            },
        },
        "contrasts": [
            {
                "id": "als_vs_healthy",
                "label": "ALS against healthy",
                "variable": "condition",
                "target": "als",
                "reference": "healthy",
            }
        ],
        "facts": {"accession": "file"},
    }


def write_arrays(folder: Path, n_side: int = 5, seed: int = 3) -> dict[str, Any]:
    """Write series matrices of two chip designs, MAS5-like; return the study's card.

    Three groups of ``n_side`` people, each on both chips: healthy, ``als`` (every 10th gene of the
    first chip doubles or halves) and ``other`` (nothing moves). A second, weaker probe measures
    every 20th gene.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    known = small_counts().index
    table = pd.read_csv(ROOT / "workflow" / "resources" / "genes_human.tsv.gz", sep="\t", dtype=str)
    rows = table.drop_duplicates("gene_id").set_index("gene_id").loc[known]
    sexed = rows["symbol"].isin(["XIST", "RPS4Y1", "DDX3Y", "KDM5D", "EIF1AY"]).to_numpy()
    groups = ["healthy"] * n_side + ["ALS"] * n_side + ["other"] * n_side
    n = len(groups)
    female = np.arange(n) % 2 == 0
    level = rng.normal(9, 2, len(rows))
    person = rng.normal(0, 0.25, (len(rows), n))
    log2 = level[:, None] + person
    log2[sexed] = np.where(female == (rows["symbol"] == "XIST").to_numpy()[sexed, None], 11.0, 4.0)
    chip = np.where(np.arange(len(rows)) % 2 == 0, "a", "b")
    chip[sexed] = "a"
    planted = ~sexed & (np.arange(len(rows)) % 20 == 0)
    signs = np.where(np.arange(len(rows)) % 40 == 0, 1.0, -1.0)
    log2[np.ix_(planted, np.array(groups) == "ALS")] += signs[planted, None]
    lines = []
    for name in ("a", "b"):
        part = chip == name
        probes = [f"{i}_{name}_at" for i in np.flatnonzero(part)]
        values = log2[part] + rng.normal(0, 0.1, (part.sum(), n))
        weaker = (np.flatnonzero(part) % 20 == 0) & ~sexed[part]
        every = np.vstack([values, values[weaker] - 3 + rng.normal(0, 0.1, (weaker.sum(), n))])
        probes += [f"{p[:-3]}x_at" for p, w in zip(probes, weaker, strict=True) if w]
        owner = np.concatenate([np.flatnonzero(part), np.flatnonzero(part)[weaker]])
        lines += [
            f"{probe}\t{rows['entrez'].iloc[i].split(';')[0]}\t{rows['symbol'].iloc[i]}"
            for probe, i in zip(probes, owner, strict=True)
        ]
        ids = [f"GSM{i + 1}{name}" for i in range(n)]
        sheet = {
            "Sample_geo_accession": ids,
            "Sample_title": [f"p{i} muscle U133{name.upper()}" for i in range(n)],
            "Sample_characteristics_ch1": [f"disease: {group}" for group in groups],
            "Sample_characteristics_ch1 ": ["Sex: " + ("F" if f else "M") for f in female],
        }
        text = [
            "!" + "\t".join([key.strip(), *(f'"{v}"' for v in values)])
            for key, values in sheet.items()
        ]
        text += ["!series_matrix_table_begin", "\t".join(["ID_REF", *ids])]
        text += [
            "\t".join([probe, *(f"{v:.6g}" for v in row)])
            for probe, row in zip(probes, 2**every, strict=True)
        ]
        text.append("!series_matrix_table_end")
        (folder / f"{name}.txt.gz").write_bytes(
            gzip.compress(("\n".join(text) + "\n").encode(), mtime=0)
        )
    annotation = "\n".join(["ID\tGene ID\tGene symbol", *lines])
    (folder / "annotation.tsv").write_text(annotation + "\n")
    files = {"a": "a.txt.gz", "b": "b.txt.gz", "annotation": "annotation.tsv"}
    names = {"id_column": "ID", "symbol_column": "Gene symbol", "gene_column": "Gene ID"}
    return {
        "id": "gse2",
        "accession": "GSE2",
        "title": "A small array study",
        "organism": "human",
        "modality": "array",
        "role": "als_patient",
        "platform": "U133A and U133B",
        "use": True,
        "status": "verified",
        "simulated": True,
        "citation": {"text": "made for the tests"},
        "files": {
            key: {
                "url": str(folder / name),
                "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
            }
            for key, name in files.items()
        },
        "intensities": [
            {
                "platform": platform,
                "file": key,
                "layout": "series_matrix",
                "annotation": {"file": "annotation", **names},
            }
            for key, platform in (("a", "GPL96"), ("b", "GPL97"))
        ],
        "samples": {
            "sheet": {"file": ["a", "b"], "layout": "series_matrix"},
            "sample_id": {"from": "title", "pattern": r"^(\S+) "},
            "run_id": "geo_accession",
            "expected": n,
            "columns": {
                "condition": {
                    "from": "disease:ch1",
                    "map": {"healthy": "healthy", "ALS": "als", "other": "other"},
                },
                "sex": {"from": "Sex:ch1", "map": {"F": "female", "M": "male"}},
            },
        },
        "archive": {"samples": 2 * n},
        "contrasts": [
            {
                "id": f"{target}_vs_healthy",
                "label": f"{target} against healthy",
                "variable": "condition",
                "target": target,
                "reference": "healthy",
            }
            for target in ("als", "other")
        ],
        "facts": {"accession": "file"},
    }


def make_project(folder: Path, *, copy_code: bool, n_genes: int = 1200) -> Project:
    (folder / "config" / "datasets").mkdir(parents=True)
    shutil.copy(ROOT / "Snakefile", folder)
    plain = ("config.yaml", "collections.yaml", "claims.yaml", "programmes.tsv", "celltypes.tsv")
    for name in (*plain, "programme_notes.tsv", "tissues.tsv", "content.tsv"):
        shutil.copy(ROOT / "config" / name, folder / "config")
    if copy_code:
        # Python's own compiled code is taken along; it goes by each file's time and size, which are
        # copied. Not numba's: a copy compiles its kernels, or is told to do without.
        skip = shutil.ignore_patterns("*.nbi", "*.nbc")
        shutil.copytree(ROOT / "workflow", folder / "workflow", ignore=skip)
        shutil.copytree(ROOT / "envs", folder / "envs")
    else:
        # A link keeps compiled code in its place: compiling anew would take longer than the test.
        (folder / "workflow").symlink_to(ROOT / "workflow")
        (folder / "envs").symlink_to(ROOT / "envs")
    card = write_study(folder / "source", small_counts(n_genes))
    (folder / "config" / "datasets" / "gse1.yaml").write_text(yaml.safe_dump(card, sort_keys=False))
    made = Project(folder)

    def small(config: dict[str, Any]) -> None:
        config["enrichment"]["collections"] = []
        config["bulk"]["qc"]["min_library_size"] = 1000
        config["bulk"]["qc"]["min_genes_detected"] = 100

    made.config(small)
    _few_claims(made)
    return made


def _few_claims(project: Project) -> None:
    """Keep every twelfth claim, three blocks of the first page, and the programmes that these name.

    Judging all of them and writing their pages is half of what a small run costs. The demo's tests
    take them all.
    """
    config = project.folder / "config"
    project._edit(
        config / "claims.yaml", lambda document: document.update(claims=document["claims"][::12])
    )
    project.config(
        lambda values: values["report"].update(headline=values["report"]["headline"][:3])
    )
    named = (config / "claims.yaml").read_text() + (config / "config.yaml").read_text()
    words = set(re.findall(r"\w+", named))
    for name in ("programmes.tsv", "programme_notes.tsv"):
        head, *lines = (config / name).read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.split()[0] in words]
        (config / name).write_text("".join([head, *kept]))
