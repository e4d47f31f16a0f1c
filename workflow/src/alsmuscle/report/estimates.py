"""Estimates as rows of tables and plots, and in sentences: genes, pooled blocks, programmes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from alsmuscle.genesets.programmes import well_measured
from alsmuscle.report.html import components as c
from alsmuscle.report.model import (
    TISSUE,
    ContrastData,
    ReportData,
    StudyData,
    Synthesis,
    programme_path,
    role_title,
    truth,
)
from alsmuscle.report.wording import APART, apart, hedge, sides
from alsmuscle.stats.distributions import half_width

WHOLE, PARTS = "Whole muscle", "Cell types"
"""Headings of pooled rows."""


Z95 = 1.959964
"""Half width of a 95 % interval of the normal distribution in standard deviations."""


def gene_frame(de: pd.DataFrame) -> pd.DataFrame:
    """Return ``de`` with ``label``, 95 % interval and ``nlp`` = -log10 p (p = 0: 300).

    ``nlp`` is that of tested genes: missing where others have an adjusted p and the gene none.
    """
    frame = de.copy()
    symbol = frame["symbol"] if "symbol" in frame else pd.Series(np.nan, index=frame.index)
    frame["label"] = symbol.where(symbol.notna() & (symbol != ""), frame["gene_id"]).astype(str)
    half = half_width(*(pd.to_numeric(frame[k], errors="coerce") for k in ("lfc_se", "df")))
    frame["ci_low"], frame["ci_high"] = frame["log2fc"] - half, frame["log2fc"] + half
    frame["nlp"] = -np.log10(frame["pvalue"].astype(float).clip(lower=1e-300))
    if "padj" in frame and frame["padj"].notna().any():
        frame["nlp"] = frame["nlp"].where(frame["padj"].notna())
    return frame


def calls(de: pd.DataFrame | None, alpha: float) -> dict[str, int] | None:
    """Return genes tested, left out, and below ``alpha`` in all, up and down; ``None`` without
    tests.

    Tested is what has an adjusted p-value; left out what was measured and has none.
    """
    if de is None or "padj" not in de or not de["pvalue"].notna().any():
        return None
    called = de["padj"] < alpha
    tested = int(de["padj"].notna().sum())
    return {
        "tested": tested,
        "left_out": int(de["log2fc"].notna().sum()) - tested,
        "called": int(called.sum()),
        "up": int((called & (de["log2fc"] > 0)).sum()),
        "down": int((called & (de["log2fc"] < 0)).sum()),
    }


def gene_sentence(contrast: ContrastData, alpha: float) -> str:
    """Return the number of differing genes in words; a secondary figure."""
    found = calls(contrast.de, alpha)
    if found is None:
        return "no gene-level test"
    n = {k: c.number(v, 0) for k, v in found.items()}
    doubt = f" ({APART})" if apart(contrast.meta) else ""
    text = f"{n['called']} of {n['tested']} genes tested at adjusted p < {alpha:g}{doubt}"
    return text + (f" ({n['up']} higher, {n['down']} lower)" if found["called"] else "")


def studies(k: float) -> str:
    """Return a number of studies in words."""
    return "1 study" if k == 1 else f"{k:.0f} studies"


def pooled_rows(synthesis: Synthesis, target: str) -> pd.DataFrame:
    """Return ``PROGRAMME/block`` pooled per role and species, as rows of a forest plot.

    Over all stages, complete blocks; whole muscle before cell types, ALS first in both; the number
    of studies stands in ``label``, and ``pooled`` is false for a single study.
    """
    known = synthesis.pooled_rows  # claims and programmes show the same
    if target not in known:
        known[target] = _pooled_rows(synthesis, target)
    return known[target]


def _pooled_rows(synthesis: Synthesis, target: str) -> pd.DataFrame:
    rows = synthesis.over_stages.get(target, synthesis.programmes.iloc[:0]).copy()
    rows["group"] = np.where(rows["cell_type"] == TISSUE, WHOLE, PARTS)
    named = (rows[key].tolist() for key in ("role", "species", "cell_type", "k"))
    rows["label"] = [
        f"{role_title(role)}, {species}"
        + ("" if cell_type == TISSUE else f", {cell_type}")
        + f", {studies(k)}"
        for role, species, cell_type, k in zip(*named, strict=True)
    ]
    rows["pooled"] = rows["k"] > 1
    kept = ["role", "label", "effect", "ci_low", "ci_high", "pooled"]
    # One heading alone says nothing.
    kept += ["group"] if rows["group"].nunique() > 1 else []
    return rows[kept].reset_index(drop=True)


def programme_title(
    info: Mapping[str, Mapping[str, Any]], programme: str, block: object = ""
) -> str:
    """Return a programme's reading name, with its block in brackets where that says more."""
    entry = info.get(programme, {})
    title = str(entry.get("title") or programme.replace("_", " "))
    if c.is_missing(block):
        return title
    tail = str(entry.get("blocks", {}).get(block) or str(block).replace("_", " "))
    plain = tail.lower() in {"all", "core", "main", title.lower()}
    return title if plain else f"{title} ({tail})"


def caveat(info: Mapping[str, Mapping[str, Any]], programme: str, block: object) -> str | None:
    """Return what to bear in mind about a block, else about its programme."""
    entry = info.get(programme, {})
    return entry.get("caveats", {}).get(block) or entry.get("caveat") or None


def block_title(info: Mapping[str, Mapping[str, Any]], programme: str, block: object) -> str:
    """Return a block's reading name without its programme."""
    title = info.get(programme, {}).get("blocks", {}).get(block)
    return str(title or str(block).replace("_", " "))


def instead_of(contrast: ContrastData, target: object) -> str | None:
    """Return :func:`instead` of ``PROGRAMME/block``, complete, in a comparison."""
    row = contrast.sizes.get(str(target))
    return None if row is None else instead(row)


_ESTIMATED = re.compile("(effect|se|df|ci_low|ci_high|pvalue|padj|background|pooled)(_|$)")
"""Columns of an effect that are blank where too few of its genes are measured."""


def instead(row: Mapping[Any, Any]) -> str | None:
    """Return what every page says in place of a block's effect; ``None`` where it is measured."""
    if is_measured(row):
        return None
    n = row["n_mapped"]
    return f"{n:.0f} of {row['n_genes']:.0f} genes measured" if n > 0 else "not measured"


def _all_instead(table: pd.DataFrame) -> pd.Series[Any]:
    """:func:`instead` of every row; most are measured."""
    said = pd.Series([None] * len(table), index=table.index, dtype=object)
    if "n_mapped" in table:
        few = ~well_measured(table["n_mapped"], table["n_genes"])
        sizes = table.loc[few, ["n_mapped", "n_genes"]]
        said[few] = [instead(row) for row in sizes.to_dict("records")]
    return said


def effects(table: pd.DataFrame, data: ReportData, to_root: str = "") -> pd.DataFrame:
    """Return programme effects as rows of :func:`plots.forest_plot`.

    One row per programme and block: the complete estimate, and the denervation-stripped one in
    the ``alt_`` columns. Where too few of a block's genes are measured, ``instead`` says so and
    the estimate is missing: a part of a block does not speak for it. ``to_root`` is the prefix of
    links.
    """
    known = data.effect_rows  # a comparison's effects stand on several pages
    if id(table) not in known or known[id(table)][0] is not table:
        known[id(table)] = (table, _effects(table, data))
    rows, pages = known[id(table)][1].copy(), data.programme_names
    programmes = rows["programme"].astype(str)
    rows["href"] = [to_root + programme_path(p) if p in pages else None for p in programmes]
    return rows


def _effects(table: pd.DataFrame, data: ReportData) -> pd.DataFrame:
    table, info = table.reset_index(drop=True), data.programme_info
    none = pd.Series(False, index=table.index)
    stripped = truth(table["stripped"]) if "stripped" in table else none
    table = table.assign(instead=_all_instead(table))
    estimated = [name for name in table if _ESTIMATED.match(str(name))]
    table.loc[table["instead"].notna(), estimated] = np.nan
    keys, values = ["programme", "block"], ["effect", "ci_low", "ci_high", "instead"]
    rows = table[~stripped].drop_duplicates(keys)
    alt = table.loc[stripped, keys + values].drop_duplicates(keys)
    rows = rows.merge(alt.rename(columns={v: f"alt_{v}" for v in values}), on=keys, how="left")
    pairs = list(zip(rows["programme"].astype(str), rows["block"], strict=True))
    rows["label"] = [programme_title(info, p, b) for p, b in pairs]
    rows["title"] = [programme_title(info, p) for p, _ in pairs]
    rows["part"] = [block_title(info, p, b) for p, b in pairs]
    if {"background", "background_sd"} <= set(rows):
        centre, sd = (
            pd.to_numeric(rows[k], errors="coerce") for k in ("background", "background_sd")
        )
        rows["null_low"], rows["null_high"] = centre - Z95 * sd, centre + Z95 * sd
    rows["caveat"] = [caveat(info, p, b) for p, b in pairs]
    rows["href"] = None  # its place among the columns
    if {"n_genes", "n_mapped"} <= set(rows):
        rows["genes"] = [
            f"{int(m)} of {int(n)}" if pd.notna(m) and pd.notna(n) else None
            for m, n in zip(rows["n_mapped"], rows["n_genes"], strict=True)
        ]
    return rows


def headline(data: ReportData, contrast: ContrastData, to_root: str = "") -> pd.DataFrame:
    """Return the effects drawn in summaries: ``data.headline``, else the first six programmes."""
    if contrast.programmes is None or contrast.programmes.empty:
        return pd.DataFrame()
    rows = effects(contrast.programmes, data, to_root)
    if not data.headline:
        return rows.drop_duplicates("programme").head(6)
    order = {tuple(pair): i for i, pair in enumerate(data.headline)}
    place = [
        order.get((p, b), math.nan) for p, b in zip(rows["programme"], rows["block"], strict=True)
    ]
    rows["place"] = place
    rows = rows.dropna(subset=["place"]).sort_values("place", kind="stable")
    alone = ~rows["programme"].duplicated(keep=False)
    rows["label"] = [
        programme_title(data.programme_info, p) if single else text
        for p, single, text in zip(rows["programme"], alone, rows["label"], strict=True)
    ]
    return rows


def is_measured(row: Mapping[Any, Any]) -> bool:
    """Return whether enough of a block's genes are measured, where a row says how many are."""
    return "n_mapped" not in row or bool(well_measured(row["n_mapped"], row["n_genes"]))


CLEAR = (
    "a clear change: its interval excludes 0, and where there are such tests its adjusted p is "
    "below the threshold and few random sets of genes of equal size and expression move as far"
)
"""What :func:`clear` means, for captions."""


def clear(row: Mapping[Any, Any], alpha: float) -> int:
    """Return 1 or -1 where a row's effect is a clear change, else 0: one rule for all pages.

    By its interval and, where the row has such, by its adjusted p and against random sets of genes.
    """
    ps = [row[name] for name in ("padj", "pvalue_competitive") if name in row]
    if any(not c.is_missing(p) and not p < alpha for p in ps):
        return 0
    return c.direction(row["ci_low"], row["ci_high"])


def verdict(rows: pd.DataFrame, alpha: float) -> dict[str, list[str]]:
    """Return labels of the rows that are higher, lower, open, untested, of too few genes, or not
    measured.

    Higher or lower is a :func:`clear` change. Without an interval too few samples were there to
    test anything. Labels with a caveat end in ※, unless all have one.
    """
    found: dict[str, list[str]] = {
        key: [] for key in ("higher", "lower", "open", "untested", "few", "unmeasured")
    }
    marked = "caveat" in rows and bool(rows["caveat"].map(c.is_missing).any())
    for row in rows.to_dict("records"):
        side = ("open", "higher", "lower")[clear(row, alpha)]
        if c.is_missing(row["ci_low"]):
            side = "untested"
        mark = " ※" if marked and not c.is_missing(row.get("caveat")) else ""
        if words := instead(row):
            side = "few" if row["n_mapped"] > 0 else "unmeasured"
            mark += f" ({words.removesuffix(' genes measured')})" if side == "few" else ""
        found[side].append(f"{row['label']}{mark}")
    return found


def sentence(study: StudyData, contrast: ContrastData, rows: pd.DataFrame, alpha: float) -> str:
    """Return the direction of the programmes in ``rows`` in plain words, hedged where needed."""
    if not len(rows):
        return ""
    target, found = sides(contrast.meta)[0], verdict(rows, alpha)
    parts = [f"{s}: {', '.join(found[s])}" for s in ("higher", "lower") if found[s]]
    if found["untested"] and not (parts or found["open"]):
        return "Too few samples to test any programme."
    if not parts:
        return "No clear change in any programme shown."
    parts[0] = parts[0].replace(":", f" in {target}:", 1)
    if found["open"]:
        parts.append(f"no clear change: {len(found['open'])} of {len(rows)} shown")
    text = "; ".join(parts)
    return hedge(study, contrast) + text[0].upper() + text[1:] + "."
