"""The published effects of a study, from its fetched file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle import genes, io, layouts, published

if TYPE_CHECKING:
    import pandas as pd


def read_effects(card: Mapping[str, Any], manifest: pd.DataFrame) -> pd.DataFrame:
    """Read the published effects of a study.

    Parameters
    ----------
    card
        Keys ``id``, ``organism``, ``effects`` of the study card.
    manifest
        Contract ``manifest``.

    Returns
    -------
    DataFrame
        Contract ``de``.

    Raises
    ------
    InputError
        The file is not what the card says.
    """
    spec = card["effects"]
    path = io.cached(manifest, spec["file"])
    table = layouts.read_effects(path, spec)
    where = f"{card['id']}: {path}"
    identity = genes.identify(
        table[spec["gene_column"]], io.read_gene_table(card["organism"]), where=where
    )
    return published.effects(table, identity, spec, dataset=card["id"], where=where)
