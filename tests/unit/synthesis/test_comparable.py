"""What may be computed between an ALS contrast and a denervation reference."""

from __future__ import annotations

import pytest

from alsmuscle.synthesis import comparable


@pytest.mark.parametrize(
    ("platform", "modality", "kind"),
    [
        ("Illumina HiSeq 2500", "bulk", "sequencing"),
        ("Affymetrix Mouse Genome 430 2.0 Array", "effects", "array"),
        ("Illumina HumanHT-12 v4 BeadChip", "effects", "array"),
        ("Illumina NovaSeq 6000", "effects", "sequencing"),
        ("10x Chromium", "cells", "cells"),
        ("anything", "array", "array"),
        ("not stated", "effects", "unknown"),
    ],
)
def test_platform_kind(platform: str, modality: str, kind: str) -> None:
    assert comparable.platform_kind(platform, modality) == kind


def test_comparability() -> None:
    base = {
        "species": "mouse", "platform_kind": "sequencing", "material": "bulk_tissue",
        "cluster": "a", "eligible": True, "reason": "",
    }  # fmt: skip
    other = {**base, "cluster": "b"}
    assert comparable.comparability(base, other)[0] == "lambda"
    for key, value, mode, word in [
        ("platform_kind", "array", "correlation", "kind of platform"),
        ("species", "human", "correlation", "species"),
        ("material", "cultured_cells", "none", "material"),
        ("cluster", "a", "none", "share"),
        ("eligible", False, "none", "not eligible"),
    ]:
        found, reason = comparable.comparability(base, {**other, key: value})
        assert (found, word in reason) == (mode, True)
    unknown = {"platform_kind": "unknown"}
    assert comparable.comparability(base | unknown, other | unknown)[0] == "correlation"
