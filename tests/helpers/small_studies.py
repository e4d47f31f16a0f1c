"""Small studies of real genes and made-up numbers, as people deposit them: a card and its files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

import deposits
from alsmuscle.core import contracts
from alsmuscle.data import cards, fetch
from alsmuscle.data.tables import MANIFEST
from alsmuscle.download.policy import FetchPolicy

NAMES = [f"GSM{n}" for n in range(1, 9)]
GROUPS = ["healthy"] * 4 + ["als"] * 4
GENES = deposits.genes()
IDS, SYMBOLS = list(GENES["gene_id"]), list(GENES["symbol"])
COUNTS = deposits.counts(8)
LOG2 = np.round(np.log2(COUNTS + 1.0) + 5, 4)
READS = COUNTS.sum(axis=0).tolist()
PROBES = [f"{n}_at" for n in range(len(IDS))]


def table(ids=IDS, names=NAMES, values=COUNTS, *, head="gene", sep="\t") -> str:
    """A matrix as text: a header, and a row per gene."""
    rows = [[head, *names]] if head is not None else [list(names)]
    rows += [[one, *map(str, row)] for one, row in zip(ids, values, strict=True)]
    return "\n".join(sep.join(row) for row in rows) + "\n"


SHEET = "sample,group\n" + "".join(f"{n},{g}\n" for n, g in zip(NAMES, GROUPS, strict=True))


def series_matrix(*lines: str, values: str = '"ID_REF"') -> str:
    ids = "\t".join(["!Sample_geo_accession", *(f'"{name}"' for name in NAMES)])
    body = ["!series_matrix_table_begin", values, "!series_matrix_table_end"]
    return "\n".join(['!Series_title\t"x"', ids, *lines, *body]) + "\n"


def line(name: str, values: list[str]) -> str:
    return "\t".join([f"!Sample_{name}", *(f'"{value}"' for value in values)])


DISEASE = line("characteristics_ch1", [f"disease: {group}" for group in GROUPS])


def soft(values: np.ndarray, *, probes=PROBES, repeat=(), row="{probe}\t{value}") -> str:
    """A SOFT family: platform with symbols, and a table per sample."""
    lines = ["^PLATFORM = GPL570", "!platform_table_begin", "ID\tTitle\tGene Symbol"]
    lines += [f"{p}\tx\t{s}" for p, s in zip(PROBES, SYMBOLS, strict=True)]
    lines += ["!platform_table_end"]
    for n, (name, group) in enumerate(zip(NAMES, GROUPS, strict=True)):
        lines += [f"^SAMPLE = {name}", "!Sample_platform_id = GPL570"]
        lines += [f"!Sample_characteristics_ch1 = disease: {group}"]
        lines += ["!sample_table_begin", "ID_REF\tVALUE"]
        cells = list(zip(probes, values[:, n], strict=True))
        lines += [row.format(probe=p, value=v) for p, v in [*cells, *(cells[k] for k in repeat)]]
        lines += ["!sample_table_end"]
    return "\n".join(lines) + "\n"


def workbook(rows: list[list[Any]], *, before: list[list[Any]] = ()) -> bytes:  # type: ignore[assignment]
    stream = io.BytesIO()
    pd.DataFrame([*before, *rows]).to_excel(stream, index=False, header=False)
    return stream.getvalue()


def grid(ids=IDS, names=NAMES, values=COUNTS, head="gene") -> list[list[Any]]:
    return [[head, *names], *([g, *map(int, row)] for g, row in zip(ids, values, strict=True))]


def zipped(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def per_sample(content: Any) -> bytes:
    """A tar with one table per sample; ``content``: number and name of the sample → text."""
    return deposits.tar({f"{name}.txt": content(n, name).encode() for n, name in enumerate(NAMES)})


def _base(modality: str) -> dict[str, Any]:
    return {
        "id": "gse1",
        "accession": "GSE1",
        "title": "A small study",
        "organism": "human",
        "modality": modality,
        "role": "als_patient",
        "platform": "none",
        "use": True,
        "status": "verified",
        "simulated": True,
        "citation": {"text": "made up"},
        "facts": {"accession": "file"},
        "contrasts": [
            {
                "id": "als_vs_healthy",
                "label": "ALS against healthy",
                "variable": "condition",
                "target": "als",
                "reference": "healthy",
            }
        ],
    }


def bulk(sheet: Mapping[str, Any] | None = None, **counts: Any) -> dict[str, Any]:
    """A card of counts; ``sheet`` changes ``samples``."""
    samples = {
        "sheet": {"file": "sheet", "layout": "csv"},
        "sample_id": "sample",
        "expected": 8,
        "columns": {"condition": {"from": "group"}},
        **(sheet or {}),
    }
    spec = {"file": "counts", "layout": "table", "type": "counts", **counts}
    return {**_base("bulk"), "counts": spec, "samples": samples}


def of_series(column: str = "disease:ch1") -> dict[str, Any]:
    """Samples that a series matrix, or SOFT, lists."""
    return {
        "sheet": {"file": "sheet", "layout": "series_matrix"},
        "sample_id": "geo_accession",
        "columns": {"condition": {"from": column}},
    }


def array(**chip: Any) -> dict[str, Any]:
    spec = {
        "platform": "GPL570",
        "file": "values",
        "layout": "table",
        "annotation": {"file": "probes", "id_column": "ID", "symbol_column": "Symbol"},
        **chip,
    }
    card = bulk()
    del card["counts"]
    return {**card, "modality": "array", "intensities": [spec]}


def cells(samples: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    own = {"file": "cells", "layout": "10x_triplets", "material": "nuclei", **spec}
    group = {"GSM[12]$": "healthy", "GSM[34]$": "als"}
    sheet = {
        "sheet": {"layout": "count_columns"},
        "sample_id": "name",
        "columns": {"condition": {"from": "name", "match": group}},
        **(samples or {}),
    }
    return {**_base("cells"), "cells": own, "samples": sheet}


def effects(**spec: Any) -> dict[str, Any]:
    own = {
        "file": "table",
        "layout": "csv",
        "gene_column": "gene",
        "log2fc_column": "lfc",
        "se_column": "se",
        "contrast": "als_vs_healthy",
        **spec,
    }
    return {**_base("effects"), "effects": own}


def write(
    folder: Path, card: Mapping[str, Any], files: Mapping[str, bytes | str | tuple[str, Any]]
) -> tuple[cards.Card, pd.DataFrame]:
    """Write a study as a user has it, and obtain its files as a run does: the card, the manifest.

    ``files``: short name → content, or name of the file and content.
    """
    document = dict(card)
    document["files"] = {}
    for name, given in files.items():
        path, content = given if isinstance(given, tuple) else (f"{name}.txt", given)
        document["files"][name] = {"url": path}
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "gse1.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    loaded = cards.load_card(folder / "gse1.yaml")
    policy = FetchPolicy(offline=True, folders=(str(folder),))
    rows, looked = fetch.study_files(loaded, cache=folder / "cache", policy=policy)
    bad = [row for row in looked if row["state"] not in ("agrees", "not verified")]
    assert not bad, bad
    return loaded, contracts.rows(rows, MANIFEST)
