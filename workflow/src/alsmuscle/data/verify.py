"""A trial reading of a study, before it is admitted: the analysis' own readers, errors as rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle.core import files, log
from alsmuscle.core.errors import InputError
from alsmuscle.data import admit, cards, studies, study_arrays, study_cells, study_effects
from alsmuscle.data.readers import sample_sheets
from alsmuscle.data.record import sheet_checks
from alsmuscle.design.checks import check_contrast
from alsmuscle.download import sandbox

if TYPE_CHECKING:
    import pandas as pd


def checks(
    card: Mapping[str, Any],
    manifest: pd.DataFrame,
    fetched: pd.DataFrame,
    *,
    memory: int = 4 << 30,
    seconds: float = 3600.0,
) -> list[dict[str, str]]:
    """Read a study as the analysis will, once its files are there.

    The reading is a child process: what it does to memory, time or itself is this study's failure.

    Parameters
    ----------
    card
        The study card.
    manifest, fetched
        Contracts ``manifest`` and ``checks``, as the download left them.
    memory, seconds
        What the job asked for, in bytes and in seconds; large files may take more memory.

    Returns
    -------
    list
        Rows of contract ``checks``: what reading gave, or why it failed. None where a file is
        missing: nothing can be said beyond that.
    """
    if fetched["state"].isin([admit.FAILED, admit.UNREACHABLE]).any():
        return []
    most = sandbox.allowance(memory, int(manifest["bytes"].sum()))
    try:
        return list(
            sandbox.call(
                lambda: _rows(card, manifest),
                where=f"config/datasets/{card['id']}.yaml",
                max_bytes=most,
                seconds=seconds,
            )
        )
    except InputError as error:
        return [admit.failure(card["id"], "reading", error)]


def _rows(card: Mapping[str, Any], manifest: pd.DataFrame) -> list[dict[str, str]]:
    name = card["id"]
    rows: list[dict[str, str]] = []
    try:
        sheet = card.get("samples", {}).get("sheet", {})
        if sheet.get("layout") in ("series_matrix", "soft"):
            rows = sheet_checks(card, sample_sheets.of_study(card, manifest))
        rows.append(admit.check(name, "reading", admit.AGREES, found=_read(card, manifest)))
    except InputError as error:
        rows.append(admit.failure(name, "reading", error))
    except Exception as error:
        # One study never takes the others down, whatever its files hold.
        log.get("verify").exception("%s: reading failed", name)
        rows.append(
            admit.check(
                name,
                "reading",
                admit.FAILED,
                found=f"alsmuscle failed while reading the study ({type(error).__name__}: {error})",
                remedy=f"send us results/logs/data_verify/{name}.log, which says where",
            )
        )
    return rows


def _read(card: Mapping[str, Any], manifest: pd.DataFrame) -> str:
    if card["modality"] == "effects":
        return f"effects of {len(study_effects.read_effects(card, manifest).effects):,} genes"
    if card["modality"] == "calls":
        found = study_effects.read_calls(card, manifest)
        n = sum(len(one.genes) for one in found.values())
        return f"{len(found)} lists, {n:,} called genes"
    if card["modality"] == "cells":
        matrices, names, kept, _ = study_cells.cell_samples(card, manifest)
        # Sex is inferred from the counts, later.
        known = [
            entry
            for entry in card["contrasts"]
            if not set(cards.DERIVED) & {entry["variable"], *entry.get("adjust", [])}
        ]
        _check_designs({**card, "contrasts": known}, kept)
        n, table = 0, files.read_gene_table(card["organism"])
        for name, sample in names.items():
            counts = matrices.read(name)[0]
            study_cells.gene_identity(counts, table, f"{card['id']}: {sample}")
            n += counts.n_obs
        return f"{len(kept)} samples, {n:,} barcodes"
    read = study_arrays.read_arrays if card["modality"] == "array" else studies.read_bulk
    adata, kept, _ = read(card, manifest)
    _check_designs(card, adata.obs)
    return f"{len(kept)} samples, {adata.n_vars:,} genes"


def _check_designs(card: Mapping[str, Any], obs: pd.DataFrame) -> None:
    """Stop at a contrast that cannot be computed from these samples."""
    for entry in card["contrasts"]:
        where = f"config/datasets/{card['id']}.yaml: contrasts.{entry['id']}"
        check_contrast(obs, cards.contrast(dict(card), entry["id"]), where)
