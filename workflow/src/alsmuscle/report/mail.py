"""The report as one file for the mail: pages, and of their data what fits below a size."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO

LIMIT = 15_000_000
"""Most bytes: what mail servers commonly take."""
FOLDER = "report"
_EPOCH = (1980, 1, 1, 0, 0, 0)

# What a reader misses first if it is not there comes first.
_ORDER: tuple[Callable[[str], bool], ...] = (
    lambda path: path.endswith(".html"),
    lambda path: path.startswith("assets/") and not path.startswith("assets/data/"),
    lambda path: path in {"assets/data/search.js", "summary.txt", "summary.pdf"},
    lambda path: (
        path.startswith(("figures/", "assets/data/figure-")) and path.endswith((".svg", ".js"))
    ),
    lambda path: path.startswith("assets/data/gene-"),
    lambda path: path.startswith("tables/synthesis/"),
    lambda path: path.startswith("tables/") and not path.startswith("tables/expression/"),
    lambda path: (
        path.startswith("assets/data/")
        and not path.startswith(("assets/data/samples", "assets/data/cells-", "assets/data/ranks-"))
    ),
    lambda path: path.startswith("assets/data/ranks-"),
    lambda path: path.startswith("assets/data/"),
)
NOTE = """This is a report made for the mail: open report/index.html.

Left out because of their size ({n} files; they are in the full report folder, with the same names):
normalised matrices, large tables, and what is listed here.

{names}
"""


def pack(files: Mapping[str, str | bytes], limit: int = LIMIT) -> bytes:
    """Return a zip of the report: pages first, then figures, data of genes, tables, while they fit.

    Groups of files are taken whole where they can: a page whose genes are half there would look as
    if the others had not been measured. ``files``: path below the report folder to content. Equal
    files give equal bytes.
    """
    groups: list[list[str]] = [[] for _ in _ORDER]
    left: list[str] = []
    for path in sorted(files):
        place = next((i for i, holds in enumerate(_ORDER) if holds(path)), None)
        (left if place is None else groups[place]).append(path)
    buffer = BytesIO()
    size = 20_000  # the note and the zip's own list of names
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
        for members in groups:
            if not members:
                continue
            part = _size(files, members)
            if size + part > limit:
                left += members
                continue
            size += part
            for path in members:
                _add(bundle, f"{FOLDER}/{path}", files[path])
        names = "\n".join(sorted(left)[:2000])
        _add(bundle, "READ ME.txt", NOTE.format(n=len(left), names=names))
    return buffer.getvalue()


def _add(bundle: zipfile.ZipFile, name: str, content: str | bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    bundle.writestr(info, content)


def _size(files: Mapping[str, str | bytes], members: list[str]) -> int:
    """Bytes that members take, compressed, with their entries in the list of names."""
    import zlib

    total = 0
    for path in members:
        content = files[path]
        raw = content.encode() if isinstance(content, str) else content
        total += len(zlib.compress(raw, 1)) + 2 * len(path) + 150
    return total
