"""What the claims ask for: the document itself, and the genes of their targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core import files
from alsmuscle.data import cards
from alsmuscle.genesets import programmes, targets
from alsmuscle.synthesis import claims

if TYPE_CHECKING:
    import pandas as pd


def check(programmes_path: str | Path, claims_path: str | Path) -> None:
    """Check programmes and claims before any study is asked about them.

    Raises
    ------
    InputError
        One of the files is not as it should be, or a claim names a block that is not listed.
    """
    listed = files.read_plain(programmes_path)
    programmes.check(listed, where=str(programmes_path))
    read_claims(claims_path, listed)


def read_claims(path: str | Path, listed: pd.DataFrame) -> dict[str, Any]:
    """Read ``config/claims.yaml`` and check it against its schema and the programmes' blocks.

    Raises
    ------
    InputError
        The file breaks the schema or names what does not exist.
    """
    document: dict[str, Any] = cards.load_yaml(path)
    cards.validate(document, "claims", path)
    claims.check_claims(document, listed, where=str(path))
    return document


def members(
    listed: pd.DataFrame, document: Mapping[str, Any], organisms: Iterable[str]
) -> dict[str, pd.DataFrame]:
    """Return organism → genes of all blocks and of the claims' genes and ratios."""
    import pandas as pd

    organisms = sorted(organisms)
    asked = targets.gene_targets(document["claims"])
    ids = targets.target_ids(asked, organisms)
    return {
        name: pd.concat(
            [
                # What counts is the genes' own direction, whatever a programme expects of them.
                programmes.blocks(listed, name, files.read_gene_table(name)).assign(sign=1),
                targets.gene_members(asked, ids[name]).drop(columns="weight"),
            ],
            ignore_index=True,
        )
        for name in organisms
    }
