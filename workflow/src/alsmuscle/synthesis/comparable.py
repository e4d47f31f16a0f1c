"""Which contrasts may be compared with which denervation reference, and on which scale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ARRAY = re.compile(
    r"affymetrix|agilent|codelink|beadchip|beadarray|gene ?chip|microarray|\barray\b"
    r"|exon 1\.0 st|humanht-?12"
    r"|hg-?u133|mg-?u74|mouse ?430|moe430|[hm]t?[a-z]*gene[- ]?[12]\.[01]|\bhta\b|\bclariom",
    re.IGNORECASE,
)


_SEQUENCER = re.compile(
    r"hiseq|novaseq|nextseq|miseq|genome analyzer|iseq|ion (?:torrent|proton|s5)|bgiseq|dnbseq"
    r"|mgiseq|solid|rna-?seq|10x|chromium|smart-?seq|illumina",
    re.IGNORECASE,
)


def platform_kind(platform: str, modality: str) -> str:
    """Return ``array``, ``sequencing``, ``cells`` or ``unknown``.

    ``modality`` decides for ``array``, ``bulk`` and ``cells``; a published table (``effects``) is
    judged by the platform's name.
    """
    known = {"array": "array", "bulk": "sequencing", "cells": "cells"}
    if modality in known:
        return known[modality]
    if _ARRAY.search(platform):
        return "array"
    return "sequencing" if _SEQUENCER.search(platform) else "unknown"


def comparability(als: Mapping[str, Any], reference: Mapping[str, Any]) -> tuple[str, str]:
    """Say what may be computed between an ALS contrast and a denervation reference.

    Parameters
    ----------
    als, reference
        Rows of the contrast table: ``species, platform_kind, material, cluster, eligible, reason``.

    Returns
    -------
    mode, reason
        ``lambda`` (slope, Delta and correlation), ``correlation`` (only the noise-corrected
        correlation) or ``none``; the reason in words.
    """
    if not reference["eligible"]:
        return "none", f"the reference is not eligible: {reference['reason']}"
    if als["cluster"] == reference["cluster"]:
        # Shared controls correlate the errors of both contrasts and bias lambda upwards.
        return "none", "contrast and reference share donors, controls or laboratory"
    if als["material"] != reference["material"]:
        return "none", f"material differs: {als['material']} and {reference['material']}"
    differs = [
        f"{name} differs ({als[column]} and {reference[column]})"
        for name, column in (("species", "species"), ("kind of platform", "platform_kind"))
        if als[column] != reference[column] or als[column] == "unknown"
    ]
    if differs:
        return "correlation", "; ".join(differs)
    return "lambda", "same species, kind of platform and material"
