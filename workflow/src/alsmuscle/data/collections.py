"""Collections of gene sets, as they were fetched."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from alsmuscle.core import files
from alsmuscle.data.tables import MANIFEST
from alsmuscle.download.decode import decoded


def read_collections(manifests: Iterable[str | Path]) -> dict[str, str]:
    """Read the fetched gene-set collections: collection → text in GMT form."""
    tables = [files.read_table(manifest, MANIFEST) for manifest in manifests]
    return {
        name: decoded(files.cached(table, name).read_bytes())
        for table in tables
        for name in table["name"]
    }
