"""CELLxGENE: data sets of a collection, and their files."""

from __future__ import annotations

import re

from alsmuscle.archives.answers import plain_words, read_json
from alsmuscle.core.errors import InputError

CELLXGENE = "https://api.cellxgene.cziscience.com/curation/v1"


def cellxgene_dataset(collection: str, dataset: str) -> str:
    """Return the URL of a dataset's record (single-cell-curation, ``get_dataset.ipynb``)."""
    for identifier in (collection, dataset):
        if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", identifier):
            raise InputError(f"{identifier!r} is no CELLxGENE identifier", expected="a UUID")
    return f"{CELLXGENE}/collections/{collection}/datasets/{dataset}"


def parse_cellxgene(text: str, filetype: str = "H5AD") -> tuple[str, int]:
    """Return URL and bytes of a dataset's file; the URL is that of this version for ever."""
    record = read_json(text, "CELLxGENE")
    for asset in record.get("assets", []):
        if asset.get("filetype") == filetype:
            return str(asset["url"]), int(asset["filesize"])
    raise InputError(f"CELLxGENE: no {filetype} file: {plain_words(text)!r}")
