"""Expression of single genes per sample:
what the gene pages draw, and the matrices as downloads.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from alsmuscle.report import model as m
from alsmuscle.report import wording
from alsmuscle.report.html import components as c
from alsmuscle.report.html.figures import PALETTE

ALPHABET = np.frombuffer(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", dtype=np.uint8
)
"""Digits of a number in base 64; two of them hold a value (``genes.js`` reads them)."""
CODES = len(ALPHABET) ** 2 - 1
"""Number of values that two digits tell apart; the last code says "not measured"."""
STEP = 0.01
"""Log2 units between two values that are told apart, unless a study's range needs more."""

FIRST = ("all nuclei", "all cells", "all spots", "myonucle", "satellite")
"""Cell types that muscle is about stand before the others."""


def scale(values: np.ndarray) -> tuple[float, float]:
    """Return the lowest value and the step with which two digits hold all ``values``."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, STEP
    low = math.floor(float(known.min()))
    return float(low), max(STEP, (float(known.max()) - low) / (CODES - 1))


def encode(values: np.ndarray, low: float, step: float) -> list[str]:
    """Return every row of ``values`` (genes × samples) as text, two characters per sample."""
    codes = np.full(values.shape, CODES, dtype=np.int64)
    known = np.isfinite(values)
    codes[known] = np.rint((values[known] - low) / step).astype(np.int64)
    digits = np.stack([ALPHABET[codes // 64], ALPHABET[codes % 64]], axis=-1)
    width = 2 * values.shape[1]
    text = digits.reshape(len(values), width).tobytes().decode("ascii")
    return [text[i : i + width] for i in range(0, len(text), width)] if width else []


def download(study: m.StudyData) -> tuple[str, bytes] | None:
    """Return path and gzipped TSV of a study's normalised matrix: genes × samples, 3 decimals."""
    held = study.expression
    if held is None or not len(held.genes):
        return None
    whole = np.rint(np.nan_to_num(held.values.astype(float), nan=0.0) * 1000).astype(np.int64)
    words = {i: f"{i / 1000:.3f}" for i in np.unique(whole).tolist()}
    missing = ~np.isfinite(held.values)
    head = ["gene_id", "symbol", *held.samples["sample"]]
    lines = ["\t".join(map(c.tsv_cell, head))]
    for gene, symbol, row, gaps in zip(held.genes, held.symbols, whole, missing, strict=True):
        numbers = [words[i] for i in row.tolist()]
        if gaps.any():
            numbers = ["" if gap else text for text, gap in zip(numbers, gaps, strict=True)]
        lines.append("\t".join([c.tsv_cell(gene), c.tsv_cell(symbol), *numbers]))
    text = "\n".join(lines) + "\n"
    # Without a date: the same matrix gives the same bytes.
    return path(study), gzip.compress(text.encode(), compresslevel=5, mtime=0)


def path(study: m.StudyData) -> str:
    """Return where the normalised matrix of a study lies in the report folder."""
    return f"tables/expression/{c.file_name(study.card['id'])}.tsv.gz"


def link(study: m.StudyData, root: str) -> Markup | None:
    """Return what a study's page says of the values of its samples, with the matrix; ``None``
    without.
    """
    held = study.expression
    if held is None or not len(held.genes):
        return None
    what = "sums of a sample's cell type" if "cell_type" in held.samples else "samples"
    return Markup(
        "Levels of every gene in every sample: {} ({} genes × {} {}, {}), or "
        '<a href="{}gene.html">one gene at a time</a>.'
    ).format(
        c.local("table (TSV, gzipped)", root + path(study), download=True),
        c.number(len(held.genes), 0),
        c.number(len(held.samples), 0),
        what,
        held.unit,
        root,
    )


def _ordered(data: m.ReportData) -> list[m.StudyData]:
    """Return the studies whose samples are drawn, in the order of the roles of their contrasts."""
    found = {s.card["id"]: s for _, pairs in data.by_role() for s, _ in pairs}
    found |= {s.card["id"]: s for s in data.studies}
    return [s for s in found.values() if s.expression is not None]


def describe(data: m.ReportData) -> list[dict[str, Any]]:
    """Return what the pages say of the samples of every study, in the order of the codes."""
    return [_describe(study) for study in _ordered(data)]


def _describe(study: m.StudyData) -> dict[str, Any]:
    held = study.expression
    assert held is not None
    low, step = scale(held.values)
    sheet = held.samples
    names, place, colours = groups(study)
    flags: dict[str, str] = {}
    if study.qc is not None and "flags" in study.qc:
        qc = (
            study.qc if "sample_id" in study.qc else study.qc.rename_axis("sample_id").reset_index()
        )
        reasons = qc["reasons"] if "reasons" in qc else qc["flags"]
        for sample, flag, reason in zip(qc["sample_id"], qc["flags"], reasons, strict=True):
            if not c.is_missing(flag):
                flags[str(sample)] = wording.flag_reason(
                    reason if not c.is_missing(reason) else flag
                )
    about: dict[str, Any] = {
        "study": study.name,
        "href": m.study_path(study),
        "role": m.role_title(study.card.get("role")),
        "species": str(study.card.get("organism") or ""),
        "what": wording.what(study.card, {}),
        "unit": held.unit,
        "cells": "cell_type" in sheet,
        "material": study.cells.material if study.cells else "",
        "low": low,
        "step": step,
        "names": sheet["sample_id"].astype(str).tolist(),
        "donors": ["" if c.is_missing(v) else str(v) for v in sheet["subject_id"]],
        "groups": names,
        "group": place,
        "colours": colours,
        "flags": {i: flags[s] for i, s in enumerate(sheet["sample_id"].astype(str)) if s in flags},
        "file": path(study),
    }
    if "n_cells" in sheet:
        about["n"] = [int(n) for n in sheet["n_cells"]]
    return about


def scripts(data: m.ReportData, bucket: Any, buckets: int) -> dict[str, str]:
    """Return the data scripts with the samples' values: per gene, study's place to coded values."""
    found: dict[str, list[str]] = {}
    for place, study in enumerate(_ordered(data)):
        held = study.expression
        assert held is not None
        for gene, text in zip(held.genes, encode(held.values, *scale(held.values)), strict=True):
            found.setdefault(gene, []).append(f'"{place}":"{text}"')
    files: list[list[str]] = [[] for _ in range(buckets)]
    for gene in sorted(found):
        files[bucket(gene)].append(f"{c.embed_json(gene)}:{{{','.join(found[gene])}}}")
    made = {
        f"assets/data/samples-{i}.js": f'alsmuscle.receive("samples-{i}",{{{",".join(lines)}}});\n'
        for i, lines in enumerate(files)
    }
    made["assets/data/samples.js"] = c.data_script("samples", describe(data))
    return made


# ---- groups of samples --------------------------------------------------------------------------


def groups(study: m.StudyData) -> tuple[list[str], list[int], list[str]]:
    """Return names of the groups that a study compares, each sample's group, each group's colour.

    Groups are formed by the columns that the study's contrasts use; the reference of a contrast
    stands before its target. Colours are those of :func:`level_order`.
    """
    held = study.expression
    assert held is not None
    sheet = held.samples
    columns = _columns(study, sheet)
    keys = [tuple(_plain(v) for v in row) for row in sheet[columns].itertuples(index=False)]
    every = dict.fromkeys(keys)
    first = {key: place for place, key in enumerate(_by_contrast(study, columns, every))}
    order = sorted(every, key=lambda key: (*_kind(columns, key), first.get(key, len(first)), key))
    place = {key: i for i, key in enumerate(order)}
    shown = [i for i, _ in enumerate(columns) if len({key[i] for key in order}) > 1] or [0]
    names = [", ".join(wording.level(key[i]) for i in shown) for key in order]
    variable = next(i for i, column in enumerate(columns) if column != "cell_type")
    level = {v: i for i, v in enumerate(level_order(study, sheet[columns[variable]]))}
    paint = [PALETTE[level[key[variable]] % len(PALETTE)] for key in order]
    return names, [place[key] for key in keys], paint


def level_order(study: m.StudyData, values: pd.Series) -> list[str]:
    """Return the levels of a column in the order of their colours, the same in every figure.

    What contrasts compare comes first, the reference of the first before its target (blue, then
    orange, as lower and higher); then the others by name.
    """
    known = {_plain(v) for v in values}
    named = [
        _plain(end[str(values.name)])
        for ends in _ends(study)
        for end in ends
        if str(values.name) in end and not isinstance(end[str(values.name)], (list, tuple))
    ]
    return list(dict.fromkeys([*(v for v in named if v in known), *sorted(known)]))


def _columns(study: m.StudyData, sheet: pd.DataFrame) -> list[str]:
    """Return the columns that form groups: those of the first comparison and of its like.

    A study may compare its samples in several ways; all at once would leave groups of one.
    """
    metas = [k.meta for k in study.contrasts if k.meta.get("kind", "difference") != "continuous"]
    first = str((metas[0].get("variable") if metas else None) or "condition")
    wanted = ["cell_type", first] if "cell_type" in sheet else [first]
    for meta in metas:
        if str(meta.get("variable") or "condition") == first:
            wanted += [str(meta["across"])] if meta.get("across") else []
            wanted += list(meta.get("within") or {})
    found = [k for k in dict.fromkeys(wanted) if k in sheet and sheet[k].nunique() <= 40]
    return found if found and found != ["cell_type"] else [*found, "condition"]


def _matches(key: Mapping[str, str], wanted: Mapping[str, object]) -> bool:
    if next(iter(wanted)) not in key:  # another comparison than those that form the groups
        return False
    for column, value in wanted.items():
        if column not in key:
            continue
        allowed = value if isinstance(value, (list, tuple)) else [value]
        if key[column] not in {_plain(v) for v in allowed}:
            return False
    return True


def _ends(study: m.StudyData) -> Iterable[tuple[dict[str, object], dict[str, object]]]:
    for contrast in study.contrasts:
        meta = contrast.meta
        if meta.get("kind", "difference") == "continuous":
            continue
        variable, within = str(meta.get("variable") or "condition"), meta.get("within") or {}
        yield (
            {variable: meta.get("reference"), **within},
            {variable: meta.get("target"), **within},
        )


def _by_contrast(
    study: m.StudyData, columns: list[str], keys: Iterable[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Return groups in the order in which contrasts name them, references first."""
    named = [(key, dict(zip(columns, key, strict=True))) for key in keys]
    found = [
        key for ends in _ends(study) for end in ends for key, own in named if _matches(own, end)
    ]
    return list(dict.fromkeys(found))


def _kind(columns: list[str], key: tuple[str, ...]) -> tuple[int, str]:
    if columns[0] != "cell_type":
        return 0, ""
    name = key[0].lower()
    return next((i for i, text in enumerate(FIRST) if text in name), len(FIRST)), key[0]


def _plain(value: object) -> str:
    if c.is_missing(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
