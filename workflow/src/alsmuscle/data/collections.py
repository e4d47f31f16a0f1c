"""Collections of gene sets, as they were fetched."""

from __future__ import annotations

from pathlib import Path

from alsmuscle.core import files
from alsmuscle.data.tables import MANIFEST


def read_collections(manifest: str | Path) -> dict[str, str]:
    """Read the fetched gene-set collections: collection → text in GMT form."""
    table = files.read_table(manifest, MANIFEST)
    return {name: files.read_text(files.cached(table, name)) for name in table["name"]}
