"""A simulated study's manifest is one of fetched files."""

from __future__ import annotations

import hashlib

from alsmuscle.core import contracts
from alsmuscle.data.tables import MANIFEST
from alsmuscle.simulate import deposit


def test_a_file_is_described_by_what_was_written(tmp_path):
    path = tmp_path / "counts.tsv"
    path.write_text("gene\ta\n")
    card = {"id": "sim1", "files": {"counts": {"url": "simulated:sim1"}}}
    (row,) = contracts.check_table(deposit.manifest(card, {"counts": path}), MANIFEST, "x").to_dict(
        "records"
    )
    assert row["bytes"] == 7
    assert row["sha256"] == hashlib.sha256(b"gene\ta\n").hexdigest()
    assert (row["study"], row["name"], row["url"]) == ("sim1", "counts", "simulated:sim1")
    assert (row["path"], row["source"], row["pinned"]) == (str(path), "simulated", "")
