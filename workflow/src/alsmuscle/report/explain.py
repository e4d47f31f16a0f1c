"""What finished results hold on one claim, gene, study or contrast, in words for a terminal.

Tables are read by their columns' names, and a column that this module does not know is given as it
is: whatever a run has written can be explained.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 40
# Columns that say what a row is; those of prose, each on a line of its own; those left to the
# tables.
_NAMES = (
    "claim",
    "test",
    "context",
    "role",
    "species",
    "dataset",
    "contrast",
    "cell_type",
    "programme",
    "block",
)
_PROSE = ("verdict", "means", "reason", "text", "found", "remedy")
# What the text leaves to the tables: keys, what stands in the heading, and figures behind the
# estimates.
_HIDDEN = (
    *("statement", "key", "gene_id", "human_gene_id", "probe_id", "log", "kept", "admitted"),
    *("side", "question", "content", "n_contrasts", "stat", "df", "se", "lfc_se", "base_mean"),
    *("n_replaced", "log2fc_shrunk", "log2fc_hidden", "lfc_se_hidden", "pvalue_hidden"),
    *("stripped", "n_mapped", "usable", "evidence", "sample_kind", "adjusted_k", "proportions_k"),
    *("delta_k", "se_adjusted", "df_adjusted", "source", "modality", "platform_kind"),
    *("tau", "tau2", "i2", "pi_low", "pi_high", "loo_low", "loo_high"),
)
# Estimates with their intervals: name in words, columns.
_ESTIMATES = (
    ("effect", "effect", "ci_low", "ci_high"),
    ("log2 fold change", "log2fc", "ci_low", "ci_high"),
    ("adjusted for composition", "adjusted_effect", "adjusted_ci_low", "adjusted_ci_high"),
    ("adjusted for composition", "effect_adjusted", "ci_low_adjusted", "ci_high_adjusted"),
    (
        "adjusted by proportions",
        "proportions_effect",
        "proportions_ci_low",
        "proportions_ci_high",
    ),
    ("beyond denervation", "delta", "delta_ci_low", "delta_ci_high"),
)
_PLAIN = {"pvalue": "p", "padj": "adjusted p", "k": "independent studies", "step": "at step"}
_DIGITS = 3


@dataclass(frozen=True)
class _Tables:
    """The tables of one results folder, read when they are asked for."""

    folder: Path

    def __call__(self, name: str) -> pd.DataFrame:
        """Return a table as text, without rows where there is none."""
        import pandas as pd

        path = self.folder / f"{name}.tsv"
        if not path.is_file():
            return pd.DataFrame()
        return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)

    def where(self, name: str, **equal: str) -> list[dict[str, str]]:
        """Return the rows of a table whose columns have these values, without regard to case."""
        table = self(name)
        for column, value in equal.items():
            if column not in table.columns:
                return []
            table = table[table[column].str.lower() == value.lower()]
        return [dict(row) for row in table.to_dict("records")]


def explain(what: str, results: str | Path) -> dict[str, Any]:
    """Return what finished results hold on a claim, gene, study or contrast.

    Parameters
    ----------
    what
        Id of a claim or study; ``study.contrast`` (or ``study/contrast``); a gene's symbol or id.
    results
        Folder that a run has written.

    Returns
    -------
    dict
        ``kind, id, title`` and ``sections``: title → rows of the tables, all columns, as text.

    Raises
    ------
    InputError
        Nothing of that name is in the results; the message names what comes near.
    """
    tables = _Tables(Path(results))
    kinds: tuple[Callable[[str, _Tables], dict[str, Any] | None], ...] = (
        _claim,
        _study,
        _contrast,
        _gene,
    )
    for kind in kinds:
        if found := kind(what.strip(), tables):
            found["sections"] = {name: rows for name, rows in found["sections"].items() if rows}
            return found
    near = difflib.get_close_matches(what.lower(), [n.lower() for n in _known(tables)], 5, 0.6)
    raise InputError(
        f"nothing is called '{what}'",
        where=results,
        expected="a claim, a study, study.contrast or a gene"
        + (f"; near it: {', '.join(near)}" if near else ""),
    )


def _known(tables: _Tables) -> Iterator[str]:
    for name, column in (("synthesis/claims", "claim"), ("synthesis/genes", "symbol")):
        yield from tables(name).get(column, [])
    contrasts = tables("synthesis/contrasts")
    yield from tables("provenance/admission").get("dataset", [])
    if len(contrasts):
        yield from contrasts["dataset"] + "." + contrasts["contrast"]


def _claim(what: str, tables: _Tables) -> dict[str, Any] | None:
    rows = tables.where("synthesis/claims", claim=what)
    if not rows:
        return None
    return {
        "kind": "claim",
        "id": rows[0]["claim"],
        "title": rows[0].get("statement", ""),
        "sections": {
            "Verdicts": rows,
            "What each study says": tables.where("synthesis/claim_studies", claim=what),
            "What changed since the last run": tables.where("synthesis/changes", claim=what),
        },
    }


def _study(what: str, tables: _Tables) -> dict[str, Any] | None:
    took_part = tables.where("provenance/outcome", dataset=what)
    took_part = took_part or tables.where("provenance/admission", dataset=what)
    contrasts = tables.where("synthesis/contrasts", dataset=what)
    if not took_part and not contrasts:
        return None
    checks = tables.where("provenance/checks", dataset=what)
    warnings = [
        row
        for wing in ("bulk", "cells")
        for row in tables.where(f"{wing}/{what.lower()}/warnings", dataset=what)
    ]
    excluded = [
        row
        for wing in ("bulk", "cells")
        for row in tables.where(f"{wing}/{what.lower()}/excluded", dataset=what)
    ]
    return {
        "kind": "study",
        "id": what.lower(),
        "title": "",
        "sections": {
            "Whether it takes part": took_part,
            "Contrasts": contrasts,
            "Warnings": warnings,
            "Samples left out": excluded,
            "What its card says against what was found": [
                row for row in checks if row.get("state") != "agrees"
            ],
        },
    }


def _contrast(what: str, tables: _Tables) -> dict[str, Any] | None:
    study, _, name = what.replace("/", ".").partition(".")
    contrasts = tables("synthesis/contrasts")
    if not name and len(contrasts):
        of = contrasts.loc[contrasts["contrast"].str.lower() == study.lower(), "dataset"]
        if len(of) > 1:
            raise InputError(
                f"{len(of)} studies have a contrast '{what}'",
                expected="one of: " + ", ".join(f"{dataset}.{what}" for dataset in of),
            )
        study, name = (of.iloc[0], study) if len(of) else ("", "")
    rows = tables.where("synthesis/contrasts", dataset=study, contrast=name) if name else []
    if not rows:
        return None
    study, name = rows[0]["dataset"], rows[0]["contrast"]
    genes = tables(f"bulk/{study}/{name}/de")
    if genes.empty:
        genes = tables(f"cells/{study}/{name}/de")
    blocks = tables.where("synthesis/blocks", dataset=study, contrast=name)
    return {
        "kind": "contrast",
        "id": f"{study}.{name}",
        "title": "",
        "sections": {
            "What it is": rows,
            "Warnings": tables.where(f"bulk/{study}/warnings", contrast=name),
            "Programmes": [row for row in blocks if row.get("stripped", "False") == "False"],
            "Programmes adjusted by proportions": [
                row
                for row in tables.where("synthesis/proportions", dataset=study, contrast=name)
                if row.get("stripped", "False") == "False"
            ],
            "Claims it speaks to": tables.where(
                "synthesis/claim_studies", dataset=study, contrast=name
            ),
            "Genes with the smallest p-values": _smallest(genes),
        },
    }


def _gene(what: str, tables: _Tables) -> dict[str, Any] | None:
    pooled = tables.where("synthesis/genes", symbol=what) or tables.where(
        "synthesis/genes", key=what
    )
    keys = {row["key"] for row in pooled}
    each = _of_gene(tables.folder / "synthesis" / "effects.parquet", what, keys)
    called = tables.where("synthesis/called_genes", symbol=what)
    if not pooled and not each and not called:
        return None
    named = [row["symbol"] for row in (*pooled, *each, *called) if row.get("symbol")]
    return {
        "kind": "gene",
        "id": what if what in named or not named else named[0],
        "title": ", ".join(sorted(keys)),
        "sections": {"All studies together": pooled, "Each contrast": each, "Called": called},
    }


def _of_gene(path: Path, what: str, keys: set[str]) -> list[dict[str, str]]:
    """Return the effects of a gene in every contrast, with those of its ortholog."""
    import pandas as pd

    if not path.is_file():
        return []
    table = pd.read_parquet(path)
    wanted = pd.Series(False, index=table.index)
    for column in ("symbol", "gene_id", "human_gene_id"):
        if column in table.columns:
            text = table[column].astype(str)
            wanted |= (text.str.lower() == what.lower()) | text.isin(keys)
    return [{k: _text(v) for k, v in row.items()} for row in table[wanted].to_dict("records")]


def _smallest(genes: pd.DataFrame, most: int = 10) -> list[dict[str, str]]:
    import pandas as pd

    if genes.empty or "pvalue" not in genes.columns:
        return []
    order = pd.to_numeric(genes["pvalue"], errors="coerce").nsmallest(most).index
    return [dict(row) for row in genes.loc[order].to_dict("records")]


def _text(value: object) -> str:
    return "" if value is None or str(value) in ("nan", "<NA>") else str(value)


def in_words(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of what :func:`explain` has found."""
    yield f"{found['kind']} {found['id']}" + (f": {found['title']}" if found["title"] else "")
    for title, rows in found["sections"].items():
        yield ""
        yield title
        for row in rows[:_MOST_ROWS]:
            yield from _row(row, found["id"])
        if len(rows) > _MOST_ROWS:
            yield f"  and {len(rows) - _MOST_ROWS} more: `--json` gives all"


def _row(row: Mapping[str, str], own: str) -> Iterator[str]:
    """Yield a row: what it is, its prose, its numbers;
    what is empty or said already is left out.
    """
    said = {own.lower(), *own.lower().split("."), ""}
    name = " · ".join(row[key] for key in _NAMES if row.get(key, "").lower() not in said)
    symbol = row.get("symbol", "")
    label = " ".join(part for part in (symbol if symbol.lower() not in said else "", name) if part)
    state = row.get("kept") or row.get("admitted") or ""
    verdict = row.get("verdict") or {"True": "takes part", "False": "left out"}.get(state, "")
    yield "  " + ": ".join(part for part in (label or own, verdict) if part)
    for key in _PROSE:
        if key != "verdict" and row.get(key):
            yield f"      {row[key]}"
    if numbers := list(_numbers(row)):
        yield "      " + "; ".join(numbers)


def _numbers(row: Mapping[str, str]) -> Iterator[str]:
    """Yield a row's estimates with their intervals, then what else it holds."""
    given = {key for key, value in row.items() if value}
    for words, value, low, high in _ESTIMATES:
        if value in given:
            interval = f" ({_short(row[low])} to {_short(row[high])})" if low in given else ""
            yield f"{words} {_short(row[value])}{interval}"
            given -= {value, low, high}
    told = set[str]()
    for stem, unit in (("donors", "donors"), ("n", "samples")):
        sides = f"{stem}_target", f"{stem}_reference"
        if (
            given >= set(sides)
            and (size := " against ".join(row[key] for key in sides)) not in told
        ):
            yield f"{size} {unit}"
            told.add(size)
        given -= set(sides)
    if "eligible" in given:
        yield "may be pooled" if row["eligible"] == "True" else "not pooled"
        given.remove("eligible")
    prose = {row.get(key, "") for key in _PROSE}
    for key, value in row.items():
        hidden = key in (*_NAMES, *_PROSE, *_HIDDEN, "symbol") or value.rstrip(".") in prose
        if key in given and not hidden:
            yield f"{_PLAIN.get(key, key)} {_short(value)}"


def _short(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return value
    return value if number.is_integer() and "e" not in value else f"{number:.{_DIGITS}g}"
