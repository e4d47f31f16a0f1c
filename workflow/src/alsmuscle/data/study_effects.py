"""The published effects, or called genes, of a study, from its fetched file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle.core import files
from alsmuscle.data import derivation, embedded, genes, published
from alsmuscle.data.readers import calls, results
from alsmuscle.data.tables import SEX_GENES_MOVE

if TYPE_CHECKING:
    import pandas as pd


def read_effects(card: Mapping[str, Any], manifest: pd.DataFrame) -> published.Imported:
    """Read the published effects of a study.

    Parameters
    ----------
    card
        Keys ``id``, ``organism``, ``effects`` of the study card.
    manifest
        Contract ``manifest``.

    Returns
    -------
    Imported
        Contracts ``de`` and ``imported``.

    Raises
    ------
    InputError
        The file is not what the card says.
    """
    spec = card["effects"]
    path = files.cached(manifest, spec["file"])
    if embedded.is_embedded(manifest, spec["file"]):
        return embedded.read_effects(path, card["id"], spec["contrast"])
    # What a tool calls its columns: those that a table may lack are left to the import.
    named = {**derivation.TOOLS.get(spec.get("tool", ""), {}), **spec}
    table = results.read_effects(path, named)
    where = f"{card['id']}: {path}"
    known = files.read_gene_table(card["organism"])
    identity = genes.identify(table[named["gene_column"]], known, where=where)
    genes.require_genes(identity, known, where)
    return published.effects(table, identity, spec, dataset=card["id"], where=where)


def read_calls(card: Mapping[str, Any], manifest: pd.DataFrame) -> dict[str, calls.Called]:
    """Read the called genes of every contrast of a study.

    Parameters
    ----------
    card
        Keys ``id``, ``organism``, ``calls`` of the study card.
    manifest
        Contract ``manifest``.

    Returns
    -------
    dict
        Contrast id → called genes and what happened to the list's rows.

    Raises
    ------
    InputError
        The file is not what the card says.
    """
    spec, name = card["calls"], card["id"]
    path = files.cached(manifest, spec["file"])
    if embedded.is_embedded(manifest, spec["file"]):
        return {key: embedded.read_calls(path, name, key) for key in spec["comparisons"]}
    where = f"{name}: {path}"
    table, known = (
        results.read_effects(path, spec, "calls"),
        files.read_gene_table(card["organism"]),
    )
    out = {}
    for key in spec["comparisons"]:
        rows = calls.rows_of(table, spec, key, where=where)
        identity = genes.identify(rows[spec["gene_column"]], known, where=where)
        out[key] = calls.called_genes(rows, identity, spec, dataset=name, contrast=key, where=where)
    return out


def call_notes(lists: Mapping[str, calls.Called], dataset: str) -> pd.DataFrame:
    """Return contract ``imported`` of a study's lists of called genes."""
    import pandas as pd

    parts = []
    for contrast, found in lists.items():
        rows = [
            published.note(metric, value, text, metric == SEX_GENES_MOVE)
            for metric, (value, text) in found.notes.items()
        ]
        parts.append(published.notes_table(rows, dataset=dataset, contrast=contrast))
    return pd.concat(parts, ignore_index=True)
