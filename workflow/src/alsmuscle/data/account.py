"""What reading a study gives, in words: for its admission, and for ``alsmuscle check --read``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from alsmuscle.core import files
from alsmuscle.data import cards, studies, study_arrays, study_cells, study_effects
from alsmuscle.data.completeness import design_faults
from alsmuscle.design.checks import check_contrast

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_STATUS = {
    "ensembl": "by Ensembl id",
    "ensembl_unlisted": "Ensembl ids that our table does not list",
    "entrez": "by Entrez id",
    "symbol": "by symbol",
    "previous": "by a former symbol",
    "mangled": "by a symbol that a spreadsheet made a date, or R rewrote",
    "ambiguous": "of several genes",
    "unmapped": "of no gene",
}


class Account(NamedTuple):
    """One phrase, and lines of what and in which words; plain, to cross from a child process."""

    summary: str
    lines: list[tuple[str, str]]


def of_study(
    card: Mapping[str, Any], manifest: pd.DataFrame, min_replicates: int | None = None
) -> Account:
    """Read a study as the analysis will, and say what was found.

    Parameters
    ----------
    card
        The study card.
    manifest
        Contract ``manifest``: where the files lie.
    min_replicates
        Samples a side below which no test is claimed; without it, warnings of the design are left
        out.

    Raises
    ------
    InputError
        The files are not what the card says, or a contrast cannot be computed from the samples.
    """
    if card["modality"] == "effects":
        found = study_effects.read_effects(card, manifest)
        return Account(
            f"effects of {len(found.effects):,} genes", _lines("note", found.notes["text"])
        )
    if card["modality"] == "calls":
        lists = study_effects.read_calls(card, manifest)
        n = sum(len(one.genes) for one in lists.values())
        lines = [
            (
                key,
                "; ".join([f"{len(one.genes):,} genes", *(text for _, text in one.notes.values())]),
            )
            for key, one in lists.items()
        ]
        return Account(f"{len(lists)} lists, {n:,} called genes", lines)
    if card["modality"] == "cells":
        return _cells(card, manifest, min_replicates)
    read = study_arrays.read_arrays if card["modality"] == "array" else studies.read_bulk
    adata, kept, excluded = read(card, manifest)
    origin = adata.uns["provenance"]
    rows = "probes" if card["modality"] == "array" else "rows"
    lines = [
        *_samples(card, kept, excluded),
        (rows, f"{int(origin['rows_in_source']):,}: {_by_status(origin['rows_by_status'])}"),
        *_lines("note", origin["notes"]),
        *_warnings(card, adata.obs, min_replicates, origin["flagged"]),
    ]
    return Account(f"{len(kept)} samples, {adata.n_vars:,} genes", lines)


def _cells(card: Mapping[str, Any], manifest: pd.DataFrame, min_replicates: int | None) -> Account:
    matrices, names, kept, excluded = study_cells.cell_samples(card, manifest)
    # Sex is inferred from the counts, later.
    known = [
        entry
        for entry in card["contrasts"]
        if not set(cards.DERIVED) & {entry["variable"], *entry.get("adjust", [])}
    ]
    warned = _warnings({**card, "contrasts": known}, kept, min_replicates, [])
    n, table = 0, files.read_gene_table(card["organism"])
    per_sample, mapped, others = [], "", 0
    for name, sample in names.items():
        counts: AnnData = matrices.read(name)[0]
        identity = study_cells.gene_identity(counts, table, f"{card['id']}: {sample}")
        mapped = mapped or _by_status(identity["status"].value_counts())
        others = max(others, int(counts.uns["n_other_features"]))
        per_sample.append(f"{sample} {counts.n_obs:,} x {counts.n_vars:,}")
        n += counts.n_obs
    lines = [
        *_samples(card, kept, excluded),
        ("barcodes", "barcodes x features: " + ", ".join(per_sample)),
        ("features", f"of the first sample {mapped}"),
        *([("note", f"{others:,} features that are no genes are left out.")] if others else []),
        *warned,
    ]
    return Account(f"{len(kept)} samples, {n:,} barcodes", lines)


def _samples(
    card: Mapping[str, Any], kept: pd.DataFrame, excluded: pd.DataFrame
) -> list[tuple[str, str]]:
    columns = dict.fromkeys(
        ["condition", *(entry["variable"] for entry in card["contrasts"] if "target" in entry)]
    )
    lines = [("samples", f"{len(kept)} kept, {len(excluded)} excluded")]
    lines += [
        (column, ", ".join(f"{level} {n}" for level, n in kept[column].value_counts().items()))
        for column in columns
        if column in kept
    ]
    lines += [
        (column, f"{int(kept[column].isna().sum())} of {len(kept)} unknown")
        for column in ("age",)
        if 0 < kept[column].isna().sum() < len(kept)
    ]
    return lines + [
        (f"excluded: {reason}", ", ".join(own["sample_id"].astype(str)))
        for reason, own in excluded.groupby("reason", sort=False)
    ]


def _by_status(counts: Mapping[Any, Any]) -> str:
    return ", ".join(
        f"{int(counts[status]):,} {words}"
        for status, words in _STATUS.items()
        if int(counts.get(status, 0))
    )


def _warnings(
    card: Mapping[str, Any],
    obs: pd.DataFrame,
    min_replicates: int | None,
    flagged: Iterable[str],
) -> list[tuple[str, str]]:
    """Stop at a contrast that cannot be computed from these samples; list what is to be known."""
    if min_replicates is None:
        for entry in card["contrasts"]:
            where = f"config/datasets/{card['id']}.yaml: contrasts.{entry['id']}"
            check_contrast(obs, cards.contrast(dict(card), entry["id"]), where)
        return []
    if not card["contrasts"]:
        return []
    found = design_faults(card, obs, min_replicates, list(flagged))
    # What all contrasts have in common is said once.
    grouped = found.groupby("text", sort=False)["contrast"].agg(", ".join)
    return [(f"warning ({contrasts})", str(text)) for text, contrasts in grouped.items()]


def _lines(what: str, texts: Iterable[Any]) -> list[tuple[str, str]]:
    return [(what, str(text)) for text in texts]
