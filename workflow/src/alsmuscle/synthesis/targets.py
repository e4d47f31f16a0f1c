"""Reading and writing that only the synthesis needs; tables go through ``core.files``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core import files
from alsmuscle.core.errors import InputError
from alsmuscle.data import cards, genes
from alsmuscle.genesets import programmes
from alsmuscle.synthesis import claims, denervation

if TYPE_CHECKING:
    import pandas as pd


def read_claims(path: str | Path, listed: pd.DataFrame) -> dict[str, Any]:
    """Read ``config/claims.yaml`` and check it against its schema and the programmes' blocks.

    Raises
    ------
    InputError
        The file breaks the schema or names what does not exist.
    """
    document: dict[str, Any] = cards.load_yaml(path)
    cards.validate(document, "claims", path)
    claims.check_claims(document, listed)
    return document


def human_ids() -> dict[str, str]:
    """Return mouse gene id → id of its 1:1 human ortholog."""
    pairs = files.read_orthologs()
    return dict(zip(pairs["mouse_gene_id"], pairs["human_gene_id"], strict=True))


def target_ids(targets: Iterable[str], organisms: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return organism → {human symbol: gene id} of the claims' genes and ratios."""
    known = genes.resolve_symbols(denervation.symbols(targets), files.read_gene_table("human"))
    to_mouse = {human: mouse for mouse, human in human_ids().items()}
    return {
        name: dict(known)
        if name == "human"
        else {symbol: to_mouse[gene] for symbol, gene in known.items() if gene in to_mouse}
        for name in organisms
    }


def members(
    listed: pd.DataFrame, document: Mapping[str, Any], organisms: Iterable[str]
) -> dict[str, pd.DataFrame]:
    """Return organism → genes of all blocks and of the claims' genes and ratios."""
    import pandas as pd

    organisms = sorted(organisms)
    targets = claims.gene_targets(document["claims"])
    ids = target_ids(targets, organisms)
    return {
        name: pd.concat(
            [
                programmes.blocks(listed, name, files.read_gene_table(name)),
                claims.gene_members(targets, ids[name]).assign(stripped=False),
            ],
            ignore_index=True,
        )
        for name in organisms
    }


def read_former(path: str | Path) -> pd.DataFrame | None:
    """Read a former run's claims; ``None`` where there are none, or none that hold the contract."""
    try:
        return files.read_table(path, "claims")
    except InputError:
        return None
