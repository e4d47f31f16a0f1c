"""A whole run with hostile studies beside sound ones of each kind, whose metadata mean harm.

What is asserted of the sound study of arrays, on two chip designs, holds of any such study.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import tarfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import hostile_files as made
from alsmuscle.bulk.tables import DE
from alsmuscle.cells import annotate
from alsmuscle.core import files, redaction
from alsmuscle.genesets.tables import EFFECTS
from alsmuscle.simulate.cells import as_deposited, simulate_nuclei
from alsmuscle.synthesis.dictionary import TABLES as CONTRACTS
from alsmuscle.synthesis.tables import CONTRASTS
from support import ROOT, Project, make_project, small_counts, write_arrays, write_study

pytestmark = pytest.mark.pipeline

MARK = "<script>window.pwned=1</script>\"'><img src=x onerror=window.pwned=1>"
GENES = ["=1+1", "@SUM(A1)", "HLA-A,HLA-B", MARK, "\x1b[31mred", "a\u202eb", "../../x", "__proto__"]
SECRET = "S3CRETS3CRET"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _cells(folder: Path, name: str, path: Path) -> dict[str, Any]:
    """Return the card of a study of nuclei that has one file for two samples."""
    card = write_study(folder / f"{name}_files", small_counts(seed=3))
    del card["counts"]
    listed = [{"sample_id": s, "file": "matrix"} for s in ("ALS1", "CTL1")]
    return card | {
        "id": name,
        "accession": name.upper(),
        "modality": "cells",
        "files": {"matrix": {"url": str(path)}},
        "cells": {"layout": "10x_h5", "material": "nuclei", "samples": listed},
        "samples": {
            "sheet": {"layout": "count_columns"},
            "sample_id": "name",
            "expected": 2,
            "columns": {"condition": {"from": "name", "match": {"^ALS": "als", "^CTL": "healthy"}}},
        },
    }


def _workbook(folder: Path, name: str, path: Path) -> dict[str, Any]:
    card = write_study(folder / f"{name}_files", small_counts(seed=4))
    card["files"]["counts"] = {"url": str(path)}
    card["counts"] = {"file": "counts", "layout": "table", "type": "counts"}
    return card | {"id": name, "accession": name.upper()}


def _odd(folder: Path, card: dict[str, Any]) -> None:
    """Give the sound study genes, donors and words that mean harm."""
    counts = small_counts()
    tar = folder / "source" / "GSE1_RAW.tar"
    members: dict[str, str] = {}
    with tarfile.open(tar, "w") as archive:
        for sample in counts.columns:
            text = counts[sample].to_csv(sep="\t", header=False)
            text += "".join(f"{gene}\t{50 + n}\n" for n, gene in enumerate(GENES))
            content = gzip.compress(text.encode(), mtime=0)
            entry = tarfile.TarInfo(f"{sample}_x.txt.gz")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
            members[entry.name] = hashlib.sha256(content).hexdigest()
    sheet = pd.read_csv(folder / "source" / "sheet.csv")
    sheet["donor:ch1"] = [f"=d{d}{MARK}\x1b[2J\u202e" for d in sheet["donor:ch1"]]
    sheet.to_csv(folder / "source" / "sheet.csv", index=False)
    digest = hashlib.sha256((folder / "source" / "sheet.csv").read_bytes()).hexdigest()
    card["files"]["counts"]["members"] = members
    card["files"]["sheet"]["sha256"] = digest
    card["title"] = f"=1+1 {MARK}"
    card["contrasts"][0]["label"] = f"@SUM {MARK}"
    card["citation"] = {"text": MARK, "doi": "10.1/x\"onload='x"}


def _nuclei(folder: Path, name: str) -> dict[str, Any]:
    """Return the card of a sound study of nuclei whose words, samples and cell types mean harm."""
    panel = annotate.check_panel(files.read_plain(ROOT / "config" / "celltypes.tsv"), where="x")
    nuclei = simulate_nuclei(
        panel, seed=1, n_donors=8, nuclei_per_donor=90, n_genes=900, affected={}, low_quality=False
    )
    made = as_deposited(nuclei)
    place = folder / f"{name}_files"
    place.mkdir()
    sheet = nuclei.obs[["sample_id", "subject_id", "condition", "sex"]].drop_duplicates()
    sheet["subject_id"] = [f"=d{d}{MARK}\x1b[2J" for d in sheet["subject_id"]]
    sheet.to_csv(place / "sheet.csv", index=False)
    made.obs["theirs"] = [f"={MARK}{n % 3}\u202e" for n in range(made.n_obs)]
    files.write_h5ad(place / "nuclei.h5ad", made)
    form = write_study(place / "form", small_counts(n_genes=20))
    levels = {"ALS": "als", "control": "healthy"}
    columns = {"condition": {"from": "condition", "map": levels}}
    columns |= {key: {"from": key} for key in ("subject_id", "sex")}
    return {key: form[key] for key in form if key != "counts"} | {
        "id": name,
        "accession": name.upper(),
        "title": f"@nuclei {MARK}",
        "modality": "cells",
        "files": {"counts": _pinned(place / "nuclei.h5ad"), "sheet": _pinned(place / "sheet.csv")},
        "cells": {
            **{"layout": "h5ad", "material": "nuclei", "file": "counts"},
            **{"sample_column": "sample_id", "label_column": "theirs"},
        },
        "samples": {
            "sheet": {"file": "sheet", "layout": "csv"},
            **{"sample_id": "sample_id", "expected": 8, "columns": columns},
        },
    }


def _pinned(path: Path) -> dict[str, str]:
    return {"url": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    folder = tmp_path_factory.mktemp("hostile")
    project = make_project(folder, copy_code=False)
    project.quick()
    project.card(lambda card: _odd(folder, card))
    cards = {
        "gse2": _cells(folder, "gse2", made.environment(folder / "environment.h5")),
        "gse3": _cells(folder, "gse3", made.unwritten(folder / "unwritten.h5")),
        "gse4": _workbook(folder, "gse4", made.workbook(folder / "a.xlsx", made.cells("A1")[:60])),
        "gse5": _workbook(
            folder, "gse5", made.workbook(folder / "b.xlsx", made.cells("A1", "XFD1048576"))
        ),
        "gse6": _workbook(folder, "gse6", Path("/proc/self/environ")),
        "gse7": _nuclei(folder, "gse7"),
        "gse8": write_arrays(folder / "gse8_files")
        | {"id": "gse8", "accession": "GSE8", "title": f"@arrays {MARK}"},
    }
    for name, card in cards.items():
        path = folder / "config" / "datasets" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(card, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_ACCESS_TOKEN", SECRET)
        run = project.snakemake("--quiet", "host")
    assert run.returncode == 0, run.stderr[-3000:]
    return project, run.stderr


def _texts(folder: Path) -> dict[Path, str]:
    kinds = (".html", ".js", ".tsv", ".txt", ".json", ".log", ".yaml", ".error")
    return {
        path: path.read_text(encoding="utf-8", errors="surrogateescape")
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in kinds
    }


def test_hostile_studies_are_left_out_and_the_sound_one_is_reported(
    done: tuple[Project, str],
) -> None:
    project, said = done
    for name, words in {
        "gse2": "external storage",
        "gse3": "declares",
        "gse4": "workbook",
        "gse5": "1,048,576 rows",
        "gse6": "outside the project",
    }.items():
        line = next(line for line in said.splitlines() if f"left out: {name}: " in line)
        assert words in line, line
    pages = project.folder / "results/report/contrasts"
    assert (pages / "gse1.als_vs_healthy.html").is_file(), said[-3000:]
    assert list(pages.glob("gse7.als_vs_healthy-all-nuclei-*.html")), said[-3000:]
    assert (pages / "gse8.als_vs_healthy.html").is_file(), said[-3000:]
    assert not any(f"left out: {name}" in said for name in ("gse1", "gse7", "gse8"))
    assert not STEERING.search(said.replace("\r", ""))


def test_nothing_of_the_machine_is_in_results(done: tuple[Project, str]) -> None:
    project, said = done
    assert SECRET not in said
    for path, text in _texts(project.folder / "results").items():
        assert SECRET not in text, path
    for path, text in _texts(project.folder / "results" / "report").items():
        assert str(project.folder) not in text, path


def test_pages_run_nothing_and_hold_no_steering_marks(done: tuple[Project, str]) -> None:
    project, _ = done
    for path, text in _texts(project.folder / "results" / "report").items():
        assert not STEERING.search(text), path
        if path.suffix == ".html":
            assert "<script>window" not in text and "<img src=x" not in text, path


def test_mailed_tables_hold_no_formula(done: tuple[Project, str]) -> None:
    project, _ = done
    tables = list((project.folder / "results" / "report").rglob("*.tsv"))
    assert len(tables) > 10
    for path in tables:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file, delimiter="\t"):
                assert [redaction.cell(value) for value in row] == [
                    re.sub(r"[\t\r\n]+", " ", value) for value in row
                ], (path, row)


BULK = {
    "samples": "samples.tsv",
    "completeness": "completeness.tsv",
    "warnings": "warnings.tsv",
    "qc": "qc.tsv",
    "pca": "pca.tsv",
    "pca_covariates": "pca_covariates.tsv",
    "omnibus": "als_vs_healthy/omnibus.tsv",
    "de": "als_vs_healthy/de.tsv",
    "engines": "als_vs_healthy/engines.tsv",
}


@pytest.fixture
def results(done: tuple[Project, str]) -> Path:
    return done[0].folder / "results"


@pytest.mark.parametrize("contract", BULK)
def test_tables_of_arrays_hold_the_contracts_of_counts(results: Path, contract: str) -> None:
    table = files.read_table(results / "bulk" / "gse8" / BULK[contract], CONTRACTS[contract])
    assert len(table) or contract == "warnings"


def test_what_is_planted_in_arrays_is_found_and_nothing_else(results: Path) -> None:
    found = files.read_table(results / "bulk/gse8/als_vs_healthy/de.tsv", DE)
    assert 40 < (found["padj"] < 0.05).sum() < 70
    null = files.read_table(results / "bulk/gse8/other_vs_healthy/de.tsv", DE)
    assert (null["padj"] < 0.05).sum() <= 2


def test_programmes_and_synthesis_take_arrays_as_any_study(results: Path) -> None:
    effects = files.read_table(results / "programmes/gse8/als_vs_healthy/effects.tsv", EFFECTS)
    assert effects["effect"].notna().all()
    contrasts = files.read_table(results / "synthesis/contrasts.tsv", CONTRASTS)
    contrasts = contrasts[contrasts["dataset"] == "gse8"]
    assert set(contrasts["platform_kind"]) == {"array"}
    assert contrasts["eligible"].all()
    assert set(contrasts["modality"]) == {"array"}


def test_pages_say_that_these_are_arrays(results: Path) -> None:
    page = (results / "report/contrasts/gse8.als_vs_healthy.html").read_text()
    assert "Array, log2 intensities" in page
    assert "limma-type moderated t" in page
    assert "Mean log2 intensity" in page
    assert "Mean count" not in page
    assert "moderated t without trend" in page  # the second engine
    assert "Is there any difference between the groups" in page
    study = (results / "report/studies/gse8.html").read_text()
    assert "Reads in genes" not in study
    assert "Intensities were linear" in study


# Last, since it makes a table anew. Of the sizes of the demo: test_cells_recovery.py.
def test_a_second_run_gives_the_same_clusters(done: tuple[Project, str]) -> None:
    kept = ("cells.h5ad", "clusters.tsv", "markers.tsv")
    project, study = done[0], "results/cells/gse7"
    first = {name: _content(project.folder / study / name) for name in kept}
    again = ("--forcerun", "cells_cluster", "--quiet", "all")
    run = project.snakemake(*again, "--", f"{study}/clusters.tsv")
    assert run.returncode == 0, run.stderr[-3000:]
    for name in kept:
        assert _content(project.folder / study / name) == first[name], name


def _content(path: Path) -> bytes | str:
    """Text of a table; of a matrix everything that is computed (HDF5 bytes hold times)."""
    if path.suffix != ".h5ad":
        return path.read_bytes()
    cells = files.read_h5ad(path)
    parts = [
        cells.obs["cluster"].astype(str).str.cat(),
        cells.obs["cell_type"].astype(str).str.cat(),
    ]
    return "|".join(
        [*parts, str(cells.obsm["X_pca"].tobytes()), str(cells.obsm["X_umap"].tobytes())]
    )
