"""The report for the mail: what fits goes in whole, what does not is named."""

from __future__ import annotations

import random
import zipfile
from io import BytesIO

from alsmuscle.report import mail


def noise(n: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(n)


FILES: dict[str, str | bytes] = {
    "index.html": "<p>pages",
    "assets/genes.js": "code",
    "assets/data/search.js": "index",
    "assets/data/gene-0.js": noise(30_000, 1),
    "assets/data/gene-1.js": noise(30_000, 2),
    "assets/data/samples-0.js": noise(90_000, 3),
    "figures/a.svg": b"<svg/>",
    "figures/a.png": noise(10, 4),
    "tables/synthesis/claims.tsv": b"claim\n",
    "tables/expression/x.tsv.gz": noise(10, 5),
}


def names(content: bytes) -> set[str]:
    return set(zipfile.ZipFile(BytesIO(content)).namelist())


def test_pages_and_what_they_need_go_by_mail():
    content = mail.pack(FILES)
    assert names(content) == {"READ ME.txt"} | {
        f"report/{path}"
        for path in FILES
        if path not in {"figures/a.png", "tables/expression/x.tsv.gz"}
    }
    note = zipfile.ZipFile(BytesIO(content)).read("READ ME.txt").decode()
    assert "figures/a.png\ntables/expression/x.tsv.gz" in note
    assert content == mail.pack(dict(reversed(FILES.items())))


def test_a_group_that_does_not_fit_is_left_out_whole():
    content = mail.pack(FILES, limit=70_000)
    assert len(content) <= 70_000
    found = names(content)
    assert not [name for name in found if "gene-" in name or "samples" in name]
    assert {"report/index.html", "report/tables/synthesis/claims.tsv"} <= found
    assert b"assets/data/gene-1.js" in zipfile.ZipFile(BytesIO(content)).read("READ ME.txt")
