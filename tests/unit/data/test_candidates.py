"""Every candidate card, before it meets its archive: a stand-in serves what the card says is there.

The stand-in has the archive's addresses, listings and record, and files in the form that public
scripts read (the ``facts`` of the cards); the counts are made up. A card then goes the way of a
run: fetched, held against the record, read on trial, admitted, read.
"""

from __future__ import annotations

import copy
import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from alsmuscle.archives import biostudies, catalogue, geo
from alsmuscle.core import contracts
from alsmuscle.data import (
    admit,
    cards,
    completeness,
    fetch,
    studies,
    study_arrays,
    study_cells,
    verify,
)
from alsmuscle.data.tables import CHECKS, MANIFEST
from alsmuscle.download.policy import FetchPolicy
from deposits import (
    N_GENES,
    counts,
    genes,
    platform_annotation,
    series_matrix,
    soft,
    tar,
    tenx_h5,
    text,
    triplet,
    workbook,
)
from standin import Archive, StandIn, listing, record, serving
from support import ROOT

pytestmark = pytest.mark.usefixtures("looked_at_here")
REGISTRY = ROOT / "config" / "datasets"
CARDS = cards.load_cards(REGISTRY)
RUNNABLE = sorted(
    name
    for name, card in CARDS.items()
    if card["status"] == "candidate" and cards.standing(card) == "candidate"
)


@dataclass
class Deposit:
    """What an archive holds of a study.

    ``sheet``: one row per sample, named as the card expects; ``columns``: the matrix's names of the
    samples; ``files``: name under ``files`` of the card to content; ``names``: the file's name
    where the card only has an expression for it.
    """

    sheet: pd.DataFrame
    columns: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


# --- the deposits ---------------------------------------------------------------------------------


def gsm(first: int, n: int) -> list[str]:
    return [f"GSM{first + i}" for i in range(n)]


def cycle(values: list[str], n: int) -> list[str]:
    return [values[i % len(values)] for i in range(n)]


def sarcopenia(card: cards.Card) -> Deposit:
    n = card["samples"]["expected"]
    ids = gsm(3020000, n)
    status = ["yes"] * 4 + ["no"] * (n - 4)
    sheet = pd.DataFrame({"geo_accession": ids, "sarcopenia status:ch1": status})
    return Deposit(sheet, ids, {"counts": _ncbi(ids), "sheet": series_matrix(sheet)})


def _ncbi(ids: list[str]) -> bytes:
    return gzip.compress(text(genes()["entrez"], ids, head="GeneID"))


def gse113165(card: cards.Card) -> Deposit:
    ids = gsm(3098000, 56)
    sheet = pd.DataFrame(
        {
            "geo_accession": ids,
            "time:ch1": cycle(["pre bed rest", "post bed rest"], 56),
            "subject:ch1": [str(3000 + i // 2) for i in range(56)],
            "age:ch1": ["young"] * 18 + ["old"] * 38,
        }
    )
    return Deposit(sheet, ids, {"counts": _ncbi(ids), "sheet": series_matrix(sheet)})


def _versioned() -> pd.Series:
    return genes()["gene_id"] + ".7"


def gse115650(card: cards.Card) -> Deposit:
    ids = gsm(3186670, 43)
    rules = card["samples"]["columns"]
    named = list(rules["label"]["map"])[:43]
    fshd, control = rules["condition"]["map"]
    sheet = pd.DataFrame(
        {
            "geo_accession": ids,
            "sample_id:ch1": named,
            "subject status:ch1": [fshd] * 34 + [control] * 9,
            "batch:ch1": cycle(["I", "II", "III", "IV"], 34) + cycle(["III", "IV"], 9),
            "gender:ch1": cycle(["male", "female"], 43),
            "age:ch1": [str(30 + i) for i in range(43)],
            "path.score:ch1": cycle(["1", "2", "NA"], 43),
        }
    )
    columns = [rules["label"]["map"][name] for name in named]
    table = text(_versioned(), columns, head="GeneID", sep=",")
    names = {"counts": "GSE115650_biopsy_genecounts.csv.gz"}
    files = {"counts": gzip.compress(table), "sheet": series_matrix(sheet)}
    return Deposit(sheet, columns, files, names)


def gse167186(card: cards.Card) -> Deposit:
    ids = gsm(5098600, 76)
    groups = ["Young Healthy"] * 19 + ["Old Healthy"] * 29 + ["Sarcopenia"] * 24
    sheet = pd.DataFrame(
        {
            "geo_accession": ids,
            "title": [f"X{i}_muscle" for i in range(76)],
            "group:ch1": groups + ["UNCLASSIFIED"] * 4,
        }
    )
    columns = list(sheet["title"])
    table = gzip.compress(text(genes()["symbol"], columns, head="Symbol", sep=","))
    return Deposit(sheet, columns, {"counts": table, "sheet": series_matrix(sheet)})


def gse201255(card: cards.Card) -> Deposit:
    ids = gsm(6056698, 86)
    groups = ["CDM"] * 36 + ["DM1"] * 22 + ["PeCo"] * 21 + ["AdCo"] * 7
    sheet = pd.DataFrame(
        {
            "geo_accession": ids,
            "title": [f"{group}-{i:02d}" for i, group in enumerate(groups)],
            "group:ch1": groups,
            "Sex:ch1": cycle(["M", "F"], 86),
            "age:ch1": [f"{i / 4}" for i in range(86)],
            "source_name_ch1": cycle(list(card["samples"]["columns"]["muscle"]["map"]), 86),
        }
    )
    columns = list(sheet["title"])
    table = text(_versioned(), columns, head="GeneID")
    names = {"counts": "GSE201255_raw_counts.txt.gz"}
    files = {"counts": gzip.compress(table), "sheet": series_matrix(sheet)}
    return Deposit(sheet, columns, files, names)


def gse202745(card: cards.Card) -> Deposit:
    ids, rules = gsm(6132000, 84), card["samples"]["columns"]
    healthy = [i < 43 for i in range(84)]
    sheet = pd.DataFrame(
        {
            "geo_accession": ids,
            "title": [f"muscle, patient {'C' if h else ''}{i // 3}" for i, h in enumerate(healthy)],
            "description": [f"6@T@{15878 + i}@01" for i in range(84)],
            "disease state:ch1": ["Healthy" if h else "Disease" for h in healthy],
            "tissue:ch1": cycle(list(rules["muscle"]["map"]), 84),
        }
    )
    columns = list(sheet["description"])
    table = text(
        _versioned(),
        columns,
        head="Gene.ID",
        before={"Gene.Name": genes()["symbol"]},
        behind={"Length": 1000},
    )
    names = {"counts": "GSE202745_exp3105-x2-switched-RawCountsTable.txt.gz"}
    files = {"counts": gzip.compress(table), "sheet": series_matrix(sheet)}
    return Deposit(sheet, columns, files, names)


def gse220915(card: cards.Card) -> Deposit:
    ids = gsm(6825000, 165)
    said = [
        "Normal muscle",
        "Myositis (IMNM)",
        "Myositis (DM)",
        "Myositis (IBM)",
        "Myositis (ASyS)",
    ]
    sheet = pd.DataFrame(
        {
            "geo_accession": ids,
            "title": [f"sample_{i}, muscle" for i in range(165)],
            "diagnosis:ch1": cycle(said, 165),
        }
    )
    columns = [f"sample_{i}" for i in range(165)]
    table = text(_versioned(), columns, head="gene_id")
    return Deposit(sheet, columns, {"counts": gzip.compress(table), "sheet": series_matrix(sheet)})


def gse250455(card: cards.Card) -> Deposit:
    columns = [f"ALS-{i}-{time}" for i in range(1, 7) for time in ("Pre", "Post")]
    sheet = pd.DataFrame({"geo_accession": gsm(7978000, 12)})
    symbols = {"gene_name": genes()["symbol"]}
    table = text(genes()["gene_id"], columns, head="gene_id", sep=",", before=symbols)
    names = {"counts": "GSE250455_raw_counts.csv.gz"}
    return Deposit(sheet, columns, {"counts": gzip.compress(table)}, names)


def gse151757(card: cards.Card) -> Deposit:
    columns = [f"GSM{4589000 + i}" for i in range(39)]
    sheet = pd.DataFrame(
        {"Sample_id": columns, "Phenotype": ["IBM"] * 20 + ["TMD"] * 9 + ["AMP"] * 10}
    )
    table = text(genes()["symbol"], columns, head="", sep=",")
    return Deposit(sheet, columns, {"counts": table, "sheet": workbook(sheet)})


def gse3307(card: cards.Card) -> Deposit:
    """Intensities as MAS 5 writes them; the sheet is the same file."""
    wanted = card["samples"]["columns"]["condition"]["match"]
    numbers = [*range(74239, 74420), 119936, 119937, *range(121357, 121408)]
    ids = [f"GSM{n}" for n in numbers if any(re.search(p, f"GSM{n}") for p in wanted)]
    assert len(ids) == 121
    probes = [f"{i}_at" for i in range(N_GENES)]
    values = pd.DataFrame(counts(len(ids)) + 20.5, index=probes, columns=ids)
    table = values.to_csv(sep="\t", index_label="ID_REF").rstrip()
    sheet = pd.DataFrame({"geo_accession": ids, "platform_id": "GPL96"})
    files = {
        "matrix": series_matrix(sheet, table),
        "annotation": platform_annotation(probes, genes()),
    }
    return Deposit(sheet, ids, files)


def _third_party(accession: str, rows: list[dict[str, str]], more: int) -> Deposit:
    """NCBI's counts beside a workbook of several series, which lists a part of the samples."""
    ids = gsm(5630000, len(rows) + more)
    listed = pd.DataFrame(rows).assign(ID_EXTERNAL=accession)
    listed.insert(0, "Sample Name", ids[: len(rows)])
    others = listed.head(2).assign(ID_EXTERNAL="GSE1")
    files = {"counts": _ncbi(ids), "sheet": workbook(pd.concat([listed, others]))}
    return Deposit(pd.DataFrame({"geo_accession": ids}), ids, files)


def gse186045(card: cards.Card) -> Deposit:
    phenos = [
        ("atrophy_pre", "Not applicable (Pre-regimen)"),
        ("atrophy_post", "Control"),
        ("atrophy_pre", "Not applicable (Pre-regimen)"),
        ("atrophy_post", "Exercise"),
    ]
    rows = [
        {
            "Pheno": phenos[i % 4][0],
            "sample_intervention": phenos[i % 4][1],
            "subject_id": f"S{i // 2}",
            "sex": "male",
            "subject_age_at_sample_biopsy": str(25 + i // 2),
        }
        for i in range(20)
    ]
    return _third_party("GSE186045", rows, 6)


def gse211204(card: cards.Card) -> Deposit:
    rows = [
        {"sample_regimen": regimen, "subject_id": f"S{i}", "sex": "male"}
        for i in range(11)
        for regimen in ("baseline", "ULLS")
    ]
    return _third_party("GSE211204", rows, 9)


def srp196460(card: cards.Card) -> Deposit:
    names = [f"{kind}-{day}-{i}" for kind in ("CTL", "DN") for day in (0, 1, 3, 7, 14, 30, 90)
             for i in (1, 2, 3, 4)]  # fmt: skip
    # Two runs of the first experiment, one of each other.
    runs = pd.DataFrame(
        {
            "rail_id": range(len(names) + 1),
            "external_id": [f"SRR{9026455 + i}" for i in range(len(names) + 1)],
            "study": "SRP196460",
            "experiment_acc": [f"SRX{500 + max(i - 1, 0)}" for i in range(len(names) + 1)],
            "sample_title": [names[max(i - 1, 0)] for i in range(len(names) + 1)],
            "library_name": "NA",
            "experiment_title": "Illumina sequencing of mouse muscle",
            "sample_attributes": "strain;;C57BL/6J|tissue;;gastrocnemius",
            "run_alias": "NA",
        }
    )
    lengths = runs[["rail_id", "external_id", "study"]].assign(
        **{"star.average_mapped_length": 150.0}
    )
    table = genes("mouse")
    sums = pd.DataFrame(counts(len(runs)) * 150, columns=list(runs["external_id"]))
    sums.insert(0, "gene_id", list(table["gene_id"] + ".4"))
    head = "##annotation=M023\n##date.generated=2020-11-06\n"
    files = {
        "sums": gzip.compress((head + sums.to_csv(sep="\t", index=False)).encode()),
        "quality": gzip.compress(lengths.to_csv(sep="\t", index=False).encode()),
        "sheet": gzip.compress(runs.to_csv(sep="\t", index=False).encode()),
    }
    return Deposit(runs, sorted(set(runs["experiment_acc"])), files)


def gse167186nuclei(card: cards.Card) -> Deposit:
    ids = gsm(5098737, 17)
    sheet = pd.DataFrame({"geo_accession": ids, "title": [f"HM{i}" for i in range(17)]})
    members = {
        f"{name}_HM{i}_filtered_feature_bc_matrix.h5": tenx_h5(8, seed=i)
        for i, name in enumerate(ids)
    }
    files = {"matrices": tar(members), "sheet": series_matrix(sheet)}
    return Deposit(sheet, ids, files)


def _atlas(samples: list[str], *, organism: str) -> Deposit:
    """One table of genes by barcodes without a name over its genes, and one of the barcodes."""
    barcodes = [f"{name}_AC{i}" for name in samples for i in range(5)]
    metadata = pd.DataFrame(
        {"": barcodes, "sampleID": [b.rpartition("_")[0] for b in barcodes], "cell_annotation": "x"}
    )
    files = {
        "matrix": gzip.compress(text(genes(organism)["symbol"], barcodes, head="")),
        "metadata": gzip.compress(metadata.to_csv(sep="\t", index=False).encode()),
    }
    return Deposit(pd.DataFrame(), samples, files)


def gse143437(card: cards.Card) -> Deposit:
    names = ["D0_A", "D0_B", "D0_Cv3", "D2_C", "D2_D", "D5_A", "D5_B", "D5_C", "D7_C", "D7_D"]
    made = _atlas(names, organism="mouse")
    made.sheet = pd.DataFrame({"geo_accession": gsm(4259473, 10)})
    made.columns.remove("D0_Cv3")  # left out by the card
    return made


def gse143704(card: cards.Card) -> Deposit:
    made = _atlas([f"muscle{i}" for i in range(10)], organism="human")
    made.sheet = pd.DataFrame({"geo_accession": gsm(4272893, 10)})
    return made


def emtab13874(card: cards.Card) -> Deposit:
    samples = [f"MUS{i}" for i in range(8)]
    obs = pd.DataFrame(
        {
            "SampleID": np.repeat(samples, 5),
            "DonorID": np.repeat([f"D{i}" for i in range(8)], 5),
            "Age_bin": np.repeat(["young", "old"], 20),
            "Sex": np.repeat(["F", "M"] * 4, 5),
            "annotation_level1": "MF",
        }
    )
    obs.index = [f"AC{i}-1" for i in range(40)]
    table = genes()
    var = pd.DataFrame({"gene_ids": list(table["gene_id"])}, index=list(table["symbol"]))
    path = Path("atlas.h5ad")
    AnnData(sparse.csr_matrix(counts(40).T.astype(np.float32)), obs=obs, var=var).write_h5ad(path)
    return Deposit(pd.DataFrame(), samples, {"atlas": path.read_bytes()})


DEPOSITS: dict[str, Callable[[cards.Card], Deposit]] = {
    "gse111006": sarcopenia,
    "gse111010": sarcopenia,
    "gse111016": sarcopenia,
    **{
        function.__name__: function
        for function in (
            *(
                gse113165,
                gse115650,
                gse3307,
                gse143437,
                gse143704,
                gse151757,
                gse167186,
                gse167186nuclei,
            ),
            *(gse186045, gse201255, gse202745, gse211204, gse220915, gse250455, srp196460),
            emtab13874,
        )
    },
}


# --- the way of a run -----------------------------------------------------------------------------


def deposit(archive: Archive, card: cards.Card, made: Deposit) -> None:
    """Put a study into the archive: files, listings of their folders, and its record."""
    accession, folders = card["accession"], {}
    for key, content in made.files.items():
        file = card["files"][key]
        if "url" in file:
            url = file["url"]
        else:
            named = {**file, "name": file.get("name") or made.names.get(key, "")}
            url = catalogue.addresses(named, accession=accession, organism=card["organism"])[0]
        archive.pages[url] = content
        folder, _, name = url.rpartition("/")
        folders.setdefault(f"{folder}/", []).append(name)
    if not accession.startswith("GSE"):
        return
    archive.pages |= {f: listing(*names) for f, names in folders.items() if f.startswith(geo.GEO)}
    archive.pages.setdefault(
        geo.geo_folder(accession, "suppl"), listing(*card.get("archive", {}).get("files", []))
    )
    n = card.get("archive", {}).get("samples", card["samples"].get("expected", len(made.sheet)))
    taxon = {"human": "Homo sapiens", "mouse": "Mus musculus"}[card["organism"]]
    pmid = card["citation"].get("pmid", "1")
    archive.add(record(int(accession[3:]), n_samples=n, taxon=taxon, pubmedids=[pmid]))
    if "geo_accession" in made.sheet:
        archive.pages[geo.geo_brief(accession, "gsm")] = soft(made.sheet)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "NCBI_API_KEY", "ALSMUSCLE_MIRROR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("alsmuscle.download.transport._pace", lambda *_: None)
    with serving(Archive()) as server:
        monkeypatch.setattr("alsmuscle.download.transport.http_client", server.client())
        yield server


POLICY = FetchPolicy(attempts=1, wait_initial=0.01, keep_free=0)


def looked_at(card: cards.Card, cache: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fetch and verify a study as the rules do: its manifest and all checks."""
    rows, checks = fetch.study_files(card, cache=cache, policy=POLICY)
    manifest, fetched = contracts.rows(rows, MANIFEST), contracts.rows(checks, CHECKS)
    read = contracts.rows(verify.checks(card, manifest, fetched), CHECKS)
    return manifest, pd.concat([fetched, read], ignore_index=True)


def without_pins(card: cards.Card) -> cards.Card:
    """The made-up files have other hashes and sizes than the card's."""
    card = copy.deepcopy(card)
    for file in card["files"].values():
        for key in ("sha256", "bytes"):
            file.pop(key, None)
    return card


def _way(card: cards.Card) -> tuple[str, ...]:
    """Where a card's matrix comes from, how it is laid out, and where its samples are described."""
    where = {"bulk": "counts", "cells": "cells", "array": "intensities"}[card["modality"]]
    spec = card[where][0] if where == "intensities" else card[where]
    file = card["files"][spec["file"]]
    return file.get("source", "url"), spec["layout"], card["samples"]["sheet"]["layout"]


def test_every_way_that_a_candidate_goes_is_gone_here():
    # Raw reads go their own way (tests/pipeline/test_reads); the copy of GSE30806 is in the mirror
    # only.
    ways = {
        _way(CARDS[name])
        for name in RUNNABLE
        if name != "gse30806copy" and _way(CARDS[name])[1] != "reads"
    }
    assert set(DEPOSITS) <= set(RUNNABLE)
    assert ways == {_way(CARDS[name]) for name in DEPOSITS}


@pytest.mark.parametrize("name", sorted(DEPOSITS))
def test_a_candidate_meets_an_archive_that_is_as_its_card_says(name, server, tmp_path, monkeypatch):
    card = without_pins(CARDS[name])
    with monkeypatch.context() as there:
        there.chdir(tmp_path)
        made = DEPOSITS[name](card)
    deposit(server.archive, card, made)
    manifest, checks = looked_at(card, tmp_path / "cache")
    admitted = admit.admit(checks, [name]).iloc[0]
    assert admitted["admitted"], admitted["reason"]
    read = checks.set_index("check").loc["reading", "found"]
    assert re.match(rf"{len(made.columns) - _unlisted(card)} samples, ", read)
    if card["modality"] == "cells":
        matrices, names, kept, _ = study_cells.cell_samples(card, manifest)
        assert list(names) == made.columns
        assert {matrices.read(sample)[0].n_vars for sample in names} == {N_GENES}
        return
    if card["modality"] == "array":
        adata, kept, _ = study_arrays.read_arrays(card, manifest)
        # The probe of two genes stands for neither.
        assert adata.shape == (121, N_GENES - 1)
        assert kept["condition"].value_counts()[["als", "healthy"]].tolist() == [9, 18]
        assert 4 < adata.X.min() < adata.X.max() < 16  # log2
        return
    adata, kept, excluded = studies.read_bulk(card, manifest)
    assert adata.n_vars == N_GENES
    assert (adata.var["symbol"] != "").all()
    assert len(kept) == len(made.columns) - len(excluded)
    told = completeness.completeness(card, adata, excluded)
    assert told["obtained"].all()
    assert (told["analysed"] | told["reason"].ne("")).all()
    # What the archive counts is what arrived, in the order of the sheet.
    total = {
        made.columns[i]: int(column.sum()) for i, column in enumerate(counts(len(made.columns)).T)
    }
    if name != "srp196460":  # its first experiment has two runs
        labels = kept["label"] if "label" in kept else kept["sample_label"]
        assert [total[label] for label in labels] == adata.X.sum(axis=1).ravel().tolist()


def _unlisted(card: cards.Card) -> int:
    rules = card["samples"].get("exclude", [])
    return sum(rule.get("unlisted", 1) for rule in rules if card["modality"] == "bulk")


@pytest.mark.parametrize("name", ["gse111006", "gse250455", "srp196460"])
def test_where_the_archive_says_otherwise_the_study_is_left_out_with_both_sides(
    name, server, tmp_path
):
    card = without_pins(CARDS[name])
    deposit(server.archive, card, DEPOSITS[name](card))
    changes: dict[str, tuple[dict[str, Any], str]] = {
        "gse111006": ({"organism": "mouse"}, "the card says “mouse”, the archive “Homo sapiens”"),
        "gse250455": (
            {"files": {"counts": {"source": "geo_supplement", "match": r"GSE250455_tpm\.csv"}}},
            "GSE250455_raw_counts.csv.gz",
        ),
        "srp196460": ({"samples": {**card["samples"], "expected": 7}}, "expected: 7"),
    }
    change, words = changes[name]
    _, checks = looked_at({**card, **change}, tmp_path)
    admitted = admit.admit(checks, [name, "other"]).set_index("dataset")
    assert not admitted.loc[name, "admitted"]
    assert words in admitted.loc[name, "reason"]
    assert admitted.loc["other", "admitted"]


# --- ways that no candidate goes yet --------------------------------------------------------------


def _card(name: str, **change: Any) -> cards.Card:
    return without_pins({**copy.deepcopy(CARDS[name]), **change})


def _raw_tables() -> tuple[cards.Card, Deposit]:
    """Per-sample tables in GEO's RAW.tar, by a card of a real study."""
    card = _card(
        "gse184951", files={"counts": {"source": "geo_raw"}, "sheet": {"source": "geo_matrix"}}
    )
    card["samples"] = {
        "sheet": {"file": "sheet", "layout": "series_matrix"},
        "sample_id": "geo_accession",
        "expected": 6,
        "columns": {"condition": {"from": "group:ch1", "map": {"DM1": "dm1", "none": "healthy"}}},
    }
    card["contrasts"] = [
        {"id": "x", "label": "x", "variable": "condition", "target": "dm1", "reference": "healthy"}
    ]
    ids, table = gsm(5602346, 6), genes()
    members = {}
    for name, column in zip(ids, counts(6).T, strict=True):
        rows = pd.DataFrame({"id": table["gene_id"], "symbol": table["symbol"], "n": column})
        content = rows.to_csv(sep="\t", header=False, index=False) + "__no_feature\t\t7\n"
        members[f"{name}_S1.geneCounts.txt.gz"] = gzip.compress(content.encode())
    sheet = pd.DataFrame({"geo_accession": ids, "group:ch1": ["DM1"] * 3 + ["none"] * 3})
    return card, Deposit(sheet, ids, {"counts": tar(members), "sheet": series_matrix(sheet)})


def _triplets() -> tuple[cards.Card, Deposit]:
    """10x triplets with the samples' names before them, in GEO's RAW.tar."""
    card = _card("gse167186nuclei")
    card["cells"] |= {
        "layout": "10x_triplets",
        "member": r"^(?P<sample_id>GSM\d+)_HM\d+_(matrix|barcodes|features)",
    }
    ids = gsm(5098737, 17)
    members = {
        f"{name}_HM{i}_{part}": content
        for i, name in enumerate(ids)
        for part, content in triplet(8, seed=i).items()
    }
    sheet = pd.DataFrame({"geo_accession": ids, "title": ids})
    return card, Deposit(sheet, ids, {"matrices": tar(members), "sheet": series_matrix(sheet)})


def _array_express() -> tuple[cards.Card, Deposit]:
    """Processed counts and SDRF of ArrayExpress, several lines a sample."""
    card = _card(
        "gse250455",
        accession="E-MTAB-1",
        files={
            "counts": {"source": "biostudies", "match": r".*counts\.tsv"},
            "sheet": {"source": "biostudies", "name": "E-MTAB-1.sdrf.txt"},
        },
        counts={"file": "counts", "layout": "table", "type": "counts", "gene_column": 0},
        samples={
            "sheet": {"file": "sheet", "layout": "sdrf"},
            "sample_id": "Source Name",
            "expected": 6,
            "columns": {
                "condition": {
                    "from": "Characteristics[disease]",
                    "map": {"amyotrophic lateral sclerosis": "als", "normal": "healthy"},
                }
            },
        },
        contrasts=[
            {
                "id": "x",
                "label": "x",
                "variable": "condition",
                "target": "als",
                "reference": "healthy",
            }
        ],
    )
    names = [f"muscle {i}" for i in range(6)]
    sheet = pd.DataFrame(
        {
            "Source Name": names,
            "Characteristics[disease]": ["amyotrophic lateral sclerosis"] * 3 + ["normal"] * 3,
        }
    )
    # A line per file of a sample says the same of it twice.
    sdrf = pd.concat([sheet, sheet]).to_csv(sep="\t", index=False).encode()
    files = {"counts": text(genes()["gene_id"], names, head="gene"), "sheet": sdrf}
    return card, Deposit(sheet, names, files, {"counts": "E-MTAB-1.counts.tsv"})


@pytest.mark.parametrize("make", [_raw_tables, _triplets, _array_express])
def test_ways_that_no_candidate_goes_yet(make, server, tmp_path):
    card, made = make()
    deposit(server.archive, card, made)
    if card["accession"].startswith("E-"):
        files = [{"path": made.names["counts"]}, {"path": "E-MTAB-1.sdrf.txt"}]
        answer = {"accno": "E-MTAB-1", "section": {"files": files, "attributes": []}}
        server.archive.pages[biostudies.biostudies_study("E-MTAB-1")] = json.dumps(answer)
    manifest, checks = looked_at(card, tmp_path)
    admitted = admit.admit(checks, [card["id"]]).iloc[0]
    assert admitted["admitted"], admitted["reason"]
    assert not checks["check"].eq("archive").any(), "the record was not seen"
    if card["modality"] == "cells":
        matrices, names, _, _ = study_cells.cell_samples(card, manifest)
        assert {matrices.read(sample)[0].shape for sample in names} == {(8, N_GENES)}
        return
    adata, kept, _ = studies.read_bulk(card, manifest)
    np.testing.assert_array_equal(adata.X, counts(6).T)
    assert kept["sample_label"].tolist() == made.columns
