"""What is said of a contrast: its sides, its groups, its doubts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.design import marks as design_marks
from alsmuscle.report.html import components as c
from alsmuscle.report.model import ContrastData, StudyData, donors

_ACRONYMS = frozenset(
    [
        "als",
        "mnd",
        "fals",
        "sals",
        "sod1",
        "fus",
        "tdp43",
        "c9orf72",
        "sma",
        "sbma",
        "hsp",
        "fshd",
        "dm1",
        "dm2",
        "dmd",
        "bmd",
        "lgmd",
        "lgmd2a",
        "lgmd2b",
        "ibm",
        "sibm",
        "imnm",
        "jdm",
        "vcp",
    ]
)


def level(value: object) -> str:
    """Return a value of a sample table as words: ``als_late`` is ``ALS late``."""
    if c.is_missing(value):
        return "not stated"
    words = str(value).replace("_", " ").split(" ")
    return " ".join(word.upper() if word in _ACRONYMS else word for word in words)


def words(text: object) -> str:
    """Return a text in which names of columns, levels and metrics (``not_muscle``) are words."""
    return re.sub(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b", lambda found: level(found[0]), str(text))


def spaced(text: object) -> str:
    """Return a text from a card or a table with its numbers as the pages write them: 9 519, ≥ 3."""
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "\u202f", str(text))
    return plain.replace(">=", "≥").replace("<=", "≤")


_ADDRESS = re.compile(r"https?://([^/\s]+)/[^\s,;]*?([^/\s,;]*?)(?=[:.,;]?(?:\s|$))")


def reason(text: object) -> str:
    """Return why something is left out without what only a programmer reads.

    Files stand for their addresses (the provenance page has these), errors of the operating system
    for what they mean.
    """
    plain = re.sub(r" \((?:connect|read) error: [^()]*\)", "", str(text))
    plain = re.sub(r"use `make fetch` elsewhere, or a mirror", "or bring the files", plain)
    plain = re.sub(r"run `make fetch` where[^,]*, or add the file to a mirror", "bring it", plain)

    def named(found: re.Match[str]) -> str:
        name = found[2].rpartition("file=")[2].rpartition("=")[2]
        return f"{name} of {found[1]}" if name else found[1]

    plain = _ADDRESS.sub(named, plain)
    plain = re.sub(r"( of ([\w.-]+)): \2 does not answer", r"\1 could not be fetched", plain)
    return spaced(plain)


def label(meta: Mapping[str, Any]) -> str:
    """Return a contrast's label, or ``target v reference``."""
    return str(meta.get("label") or f"{level(meta['target'])} v {level(meta['reference'])}")


def sides(meta: Mapping[str, Any]) -> tuple[str, str]:
    """Return reading names of target and reference: given, else from an ``A against B`` label.

    They stand inside sentences, so that a common noun has a small letter.
    """
    parts = re.split(r",? (?:v|vs|against) ", str(meta.get("label") or ""))
    guess = parts if len(parts) == 2 else [level(meta["target"]), level(meta["reference"])]
    return (
        inside(str(meta.get("target_label") or guess[0])),
        inside(str(meta.get("reference_label") or guess[1])),
    )


_PROPER = (
    *("Alzheimer", "Andersen", "Becker", "Bethlem", "Brody", "Charcot", "Cushing", "Danon"),
    *("Duchenne", "Dutch", "Ehlers", "Emery", "Huntington", "Kennedy", "Lambert", "Marfan"),
    *("Miyoshi", "Parkinson", "Pompe", "Schwartz", "Turner", "Ullrich", "Walker", "Welander"),
)
"""Names of people and countries with which names of diseases and strains begin."""


def inside(text: str) -> str:
    """Return a label as it stands inside a sentence: ``Old men`` is ``old men``, ``ALS`` stays."""
    plain = re.match(r"[A-Z][a-z]+(?![\w])", text) and not text.startswith(_PROPER)
    return text[0].lower() + text[1:] if plain else text


_FLAGS = {
    "pct_hb": "haemoglobin",
    "pct_mito": "mitochondrial reads",
    "not_muscle": "hardly any muscle",
    "correlation": "unlike the other samples",
    "tissue_fat": "fat tissue",
    "tissue_tendon": "tendon",
    "tissue_leukocyte": "leukocytes",
    "tissue_blood": "blood",
    "tissue_nerve": "nerve",
    "tissue_skin": "skin",
}
"""Flags whose names of columns do not read as words."""


def flag(name: object) -> str:
    """Return a quality flag in words."""
    return _FLAGS.get(str(name).strip(), words(name))


def flag_reason(text: object) -> str:
    """Return metric, value and threshold of a flag in words, numbers rounded to what is read."""
    plain = re.sub(r"\bpct_hb ([\d.]+)", r"haemoglobin \1 % of reads", str(text))
    plain = re.sub(r"\bpct_mito ([\d.]+)", r"mitochondrial \1 % of reads", plain)
    plain = re.sub(r"\b\d{2,}\.\d{2,}\b", lambda found: f"{float(found[0]):.1f}", plain)
    return spaced(words(plain))


def reading(meta: Mapping[str, Any]) -> str:
    """Say what a positive number means where it is no plain difference; empty where it is one."""
    kind, across = meta.get("kind", "difference"), meta.get("across")
    if kind == "continuous":
        return (
            f"Effects are log2 units per {meta['unit']}: positive numbers mean higher with higher "
            f"{str(meta['variable']).replace('_', ' ')}. Counts of samples are those above the "
            "median and the others."
        )
    if kind in ("interaction", "trend"):
        # not those of the label, which may read "at day 90 against at day 30"
        difference = (
            f"the difference between {meta.get('target_label') or meta['target']} and "
            f"{meta.get('reference_label') or meta['reference']}"
        )
        if meta.get("at"):
            return (
                f"Effects are differences of differences: positive numbers mean that {difference} "
                f"is larger (more positive) with {across} {meta['at']} than with {meta['against']}."
            )
        return (
            f"Effects are log2 units per {meta['unit']}: positive numbers mean that {difference} "
            f"grows (more positive) with {across}."
        )
    return ""


def ends(meta: Mapping[str, Any]) -> tuple[str, str]:
    """Return in words what a positive and what a negative effect is."""
    kind, across = meta.get("kind", "difference"), str(meta.get("across")).replace("_", " ")
    if kind == "continuous":
        variable = str(meta["variable"]).replace("_", " ")
        return f"Higher with higher {variable}", f"Lower with higher {variable}"
    if kind == "difference":
        target = sides(meta)[0]
        return f"Higher in {target}", f"Lower in {target}"
    if meta.get("at"):
        level = f"at {across} {meta['at']}"
        return f"Difference larger {level}", f"Difference smaller {level}"
    return f"Difference grows with {across}", f"Difference falls with {across}"


def engine_sentence(engines: pd.DataFrame | None) -> str:
    """Say in one sentence how far a second method agrees; empty where there was none."""
    if engines is None or engines.empty or not engines["n_genes"].iloc[0]:
        return ""
    row = engines.iloc[0]
    text = (
        f"Second method ({row['engine']}, {c.number(row['n_genes'], 0)} genes): rank "
        f"correlation of effects {row['spearman_effect']:.3f}"
    )
    if c.is_missing(row["called"]):
        return text + "; no test is claimed."
    return text + (
        f", of statistics {row['spearman_stat']:.3f}; at adjusted p < {row['alpha']:g} "
        f"{c.number(row['called_both'], 0)} genes called by both, "
        f"{c.number(row['called'] - row['called_both'], 0)} by the main analysis alone, "
        f"{c.number(row['called_other'] - row['called_both'], 0)} by the second alone."
    )


def donor_sentence(engines: pd.DataFrame | None) -> str:
    """Say what was done about repeated samples of donors; empty where there are none."""
    if engines is None or engines.empty or engines["donors"].iloc[0] == "one sample each":
        return ""
    row = engines.iloc[0]
    what = {
        "blocked": "Donors are part of the model, so that each is held against itself.",
        "summed": "Samples of one donor were added up: the donor is the unit.",
        "averaged": "Samples of one donor were averaged: the donor is the unit.",
    }
    text = [sentence for word, sentence in what.items() if word in str(row["donors"])]
    if "correlated" in str(row["donors"]):
        text.append(
            "Several samples of one donor are no independent witnesses: the model takes them as "
            + (
                "correlated, but their correlation could not be estimated, so no test is claimed."
                if c.is_missing(row["donor_correlation"])
                else f"correlated, at {row['donor_correlation']:.2f} over all genes."
            )
        )
    if str(row["donors"]).startswith("independent"):
        text.append(f"Samples of one donor are taken as {row['donors']}.")
    return " ".join(text)


def hidden_sentence(engines: pd.DataFrame | None) -> str:
    """Say how far the groups lean along a hidden factor, and what that does to the calls."""
    if engines is None or engines.empty or c.is_missing(engines["hidden_share"].iloc[0]):
        return ""
    row = engines.iloc[0]
    lean, p = abs(row["hidden_lean"]), row["hidden_pvalue"]
    text = (
        "Samples of one group differ most along one hidden factor "
        f"({100 * row['hidden_share']:.0f} % of the "
        f"genes' variance within groups). The groups lean along it by {lean:.1f} standard "
        f"deviations of what chance gives (p {c.pvalue(p)})"
    )
    if not c.is_missing(row["called_alone"]):
        text += (
            "; what chance gives of that in 95 of 100 draws is taken off before p-values are "
            f"adjusted. Without regard to it {c.number(row['called_alone'], 0)} genes would be "
            "called"
        )
    if c.is_missing(row["called"]) or not row["called"]:
        return text + "."
    text += (
        f"; with the whole factor in the model {c.number(row['called_without'], 0)} of the "
        f"{c.number(row['called'], 0)} genes called stay called."
    )
    if p < 0.05 and row["called_without"] < row["called"]:
        text += (
            " The others follow it: either the condition acts along it, as a disease does that is "
            "worse in some patients than in others, or the groups differ in it by chance. "
            "Expression alone cannot tell."
        )
    return text


def omnibus_question(meta: Mapping[str, Any], test: str) -> str:
    """Return the question of an omnibus test in words."""
    variable, _, across = test.partition(":")
    plain = variable.replace("_", " ")
    if across:
        return f"Does the difference in {plain} depend on {across.replace('_', ' ')}?"
    if meta.get("across"):
        return f"Is there a difference in {plain} at any {str(meta['across']).replace('_', ' ')}?"
    return f"Is there any difference between the groups of {plain}?"


def method(card: Mapping[str, Any]) -> str | None:
    """Return how a study measured, or what of it is public, in words; None where unknown."""
    return _METHODS.get(str(card.get("modality")))


_METHODS = {
    "bulk": "bulk RNA-seq",
    "array": "arrays",
    "cells": "single cells, nuclei or spots",
    "effects": "published table",
    "calls": "lists of called genes",
}


def what(card: Mapping[str, Any], meta: Mapping[str, Any]) -> str:
    """Return organism, muscle, stage and method in one phrase."""
    parts = [
        card.get("organism"),
        meta.get("muscle") or card.get("muscle"),
        meta.get("stage"),
        method(card),
    ]
    return ", ".join(str(p).replace("_", " ") for p in parts if not c.is_missing(p))


def sizes(study: StudyData, contrast: ContrastData) -> str:
    """Return group sizes in words: ``22 v 10 donors``, or ``11 donors, each in both groups``."""
    target, reference, unit, paired = donors(study, contrast)
    if target is None or reference is None:
        return "group sizes not stated"
    if paired:
        return f"{target} donors, each in both groups"
    return f"{target} v {reference} {unit}"


def confounders(meta: Mapping[str, Any]) -> list[str]:
    """Return the columns that a contrast is confounded with."""
    value = meta.get("confounded")
    if isinstance(value, str):
        return [v.strip() for v in value.split(",") if v.strip()]
    return [str(v) for v in value] if isinstance(value, (list, tuple)) else []


def barred(meta: Mapping[str, Any]) -> bool:
    """Return whether a contrast carries a mark that keeps it from being pooled."""
    kinds = {kind for kind, _ in meta.get("marks", [])}
    return bool(confounders(meta)) or not kinds.isdisjoint(design_marks.BARRING)


def apart(meta: Mapping[str, Any]) -> bool:
    """Return whether the sides of a contrast were processed apart, so that no p can be trusted."""
    return any(kind == "technical" for kind, _ in meta.get("marks", []))


APART = "not to be trusted: groups processed apart"
"""What every sentence says of the p of such a contrast."""


def few(study: StudyData, contrast: ContrastData) -> bool:
    """Return whether a group is known to have fewer than three donors."""
    n = [x for x in donors(study, contrast)[:2] if x is not None]
    return bool(n) and min(n) < 3


def marks(study: StudyData, contrast: ContrastData) -> list[tuple[str, str | None]]:
    """Return every mark a contrast carries, as kind of badge and what exactly is meant."""
    meta, found = contrast.meta, list[tuple[str, str | None]]()
    if columns := confounders(meta):
        found.append(("confounded", ", ".join(columns)))
    doubts = dict.fromkeys(kind for kind, _ in meta.get("marks", []))
    found += [(k, None) for k in doubts if k in design_marks.SHOWN and k != "confounded"]
    found += [(k, None) for k in ("simulated", "experimental") if is_marked(study, contrast, k)]
    if meta.get("evidence") == "published":
        found.append(("published", None))
    if meta.get("eligible") is False:
        reason = str(meta.get("reason") or "")
        said = any(text and text in reason for _, text in meta.get("marks", []))
        found.append(("excluded", None if said else reason or None))
    if few(study, contrast):
        found.append(("small", None))
    return found


def is_marked(study: StudyData, contrast: ContrastData, key: str) -> bool:
    """Return whether contrast or study says ``simulated`` or ``experimental``."""
    return bool(contrast.meta.get(key) or study.card.get(key))


def badges(study: StudyData, contrast: ContrastData) -> Markup:
    """Return the badges of a contrast; nothing doubtful goes without one."""
    return Markup(" ").join(c.badge(kind, text) for kind, text in marks(study, contrast))


def hedge(study: StudyData, contrast: ContrastData) -> str:
    """Return the words that must precede any direction of a doubtful contrast."""
    words = ""
    if is_marked(study, contrast, "simulated"):
        words += "Simulated data. "
    if columns := confounders(contrast.meta):
        words += f"Differences in {', '.join(columns)} could explain it. "
    doubts = dict.fromkeys(kind for kind, _ in contrast.meta.get("marks", []))
    labels = [design_marks.MARKS[kind].label for kind in doubts if kind in design_marks.BARRING]
    if labels := [label for label in labels if label != "confounded"]:
        words += f"Doubtful, {', '.join(labels)}. "
    if few(study, contrast):
        words += "Description only, too few donors. "
    return words
