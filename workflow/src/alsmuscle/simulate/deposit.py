"""A simulated study as a deposit: the manifest of its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from alsmuscle.core import files
from alsmuscle.data.cards import Card


def manifest(card: Card, made: Mapping[str, str | Path]) -> pd.DataFrame:
    """Describe files as fetched ones are described (table ``manifest``).

    Parameters
    ----------
    card
        Card of the study; its files are simulated.
    made
        Name of a file on the card → where it was written.
    """
    return pd.DataFrame(
        {
            "study": card["id"],
            "name": name,
            "url": card["files"][name]["url"],
            "path": str(path),
            "sha256": files.sha256(path),
            "bytes": Path(path).stat().st_size,
            "retrieved": "",
            "source": "simulated",
            "pinned": "",
        }
        for name, path in made.items()
    )
