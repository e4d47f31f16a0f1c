"""A card for data of one's own: what a table of counts and a sample sheet tell by themselves.

Both may be as people keep them: title rows, foot notes, empty columns, names that only nearly
agree, `ALS (bulbar)` beside `als `. Everything that is guessed is said in a sentence.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.core import files
from alsmuscle.core.errors import InputError
from alsmuscle.data import cards, genes
from alsmuscle.data.readers import tables, workbooks
from alsmuscle.download.decode import read_text, some, unpacked

if TYPE_CHECKING:
    import pandas as pd

Grid = list[list[str]]

SAMPLE = "matrix_column"  # column of the sheet's clean copy: the sample's name in the counts
# What groups are called → the level that the project's own cards use.
_LEVELS = {
    "als": r"\bals\b|amyotrophic|\bmnd\b|motor neuron disease",
    "healthy": r"\bcontrols?\b|\bctrls?\b|\bctl\b|\bcon\b|\bhc\b|\bnc\b|healthy|normal|unaffected",
    "wildtype": r"\bwt\b|wild[ -]?type|non[ -]?transgenic",
    "sham": r"\bsham\b",
}
_REFERENCES = ("healthy", "wildtype", "sham")
_ROLES = {"human": "als_patient", "mouse": "als_model", "rat": "als_model"}
_CULTURE = r"cultur|myotube|myoblast|ipsc|in vitro"
_GROUPS = r"condition|group|diagnos|disease|status|genotype|treatment|phenotype|cohort|class"
# Column of ours → how it is headed in sheets.
_HEADS = {
    "sex": r"^(sex|gender)\b",
    "age": r"^age\b",
    "subject_id": r"^(pat|subject|donor|patient|participant|individual|person|animal|mouse)\b",
    "muscle": r"^(muscle|tissue|biopsy ?site)\b",
    "batch": r"^(batch|plate|lane|sequencing ?run|run)\b",
}
_UNKNOWN = {"", "na", "n/a", "nan", "none", "unknown", "?", "-", "tbd", "missing"}
_BESIDE = r"(?i)^(chr|chrom|chromosome|start|end|strand|length|biotype|description|gc|entrez\w*)$"
_MOST_GROUPS = 8
_MOST_SAMPLES = 500  # a wider table that has few rows holds genes in columns
_WORKBOOK = re.compile(r"\.xls[xm](\.gz)?$")


@dataclass
class Proposal:
    """A card with the sheet's clean copy, and what was read and guessed, one sentence each."""

    card: dict[str, Any]
    sheet: pd.DataFrame
    said: list[str] = field(default_factory=list)


def draft(
    counts: Path,
    sheet: Path,
    *,
    study: str,
    contrast: Sequence[str] = (),
    role: str | None = None,
    title: str | None = None,
) -> Proposal:
    """Propose a card of unpublished data from a table of counts and a sample sheet.

    Parameters
    ----------
    counts
        Genes in rows, samples in columns, raw counts: text, or a workbook.
    sheet
        One row per sample: text, or a workbook of which the sheet that names the samples is taken.
    study
        Id of the card.
    contrast
        ``target:reference`` in the words of the sheet or of the card; without any, each group is
        compared with the one that is called healthy, control, wild type or sham.
    role
        What the contrasts stand for, where the words ALS or MND do not tell.
    title
        The study in one line.

    Raises
    ------
    InputError
        A table cannot be read as such; the samples of the two do not agree; no column of the sheet
        tells groups apart; these are no raw counts.
    """
    said: list[str] = []
    matrix, layout = _counts(counts, said)
    table = _sheet(sheet, list(matrix.columns), said)
    absent = [name for name in matrix.columns if name not in set(table[SAMPLE])]
    if absent:
        layout["skip_columns"] = [*layout.get("skip_columns", []), *absent]
        said.append(f"{len(absent)} column(s) of the counts are not in the sheet: {some(absent)}.")
    column, levels = _condition(table, [part for pair in contrast for part in pair.split(":")])
    said.append(_groups_in_words(column, table[column], levels))
    excluded = [
        {"sample_id": name, "reason": f"The sheet names no group for it in '{column}'."}
        for name, raw in zip(table[SAMPLE], table[column], strict=True)
        if not levels[raw]
    ]
    columns: dict[str, Any] = {"condition": {"from": column, "map": levels}}
    columns |= _further(table, {SAMPLE, column}, said)
    contrasts = _contrasts(contrast, table, columns, said)
    organism = _organism(matrix.index, said)
    cultured = any(table[n].str.contains(_CULTURE, case=False).any() for n in table.columns)
    if cultured:
        said.append("The sheet speaks of cultured cells, not of muscle: the role is als_cells.")
    als = any("als" in (entry["target"], entry["reference"]) for entry in contrasts)
    found = ("als_cells" if cultured else _ROLES[organism]) if als else ""
    if not (role or found):
        raise InputError(
            "nothing in the sheet says what the groups stand for",
            where=sheet.name,
            remedy="name it: `--role als_patient` where one of them is ALS, `--role myopathy`, or "
            "another role of workflow/schemas/dataset.schema.yaml",
        )
    card = {
        "id": study,
        "title": title or f"Unpublished study {study}",
        "organism": organism,
        "modality": "bulk",
        "role": role or found,
        "platform": "Illumina (unpublished data; the instrument is not stated)",
        "use": True,
        "status": "private",
        "files": {"counts": {"url": str(counts)}, "sheet": {"url": f"{study}.samples.tsv"}},
        "counts": {"file": "counts", "layout": "table", **layout},
        "samples": {
            "sheet": {"file": "sheet", "layout": "tsv"},
            "sample_id": SAMPLE,
            "expected": len(table),
            "columns": columns,
            **({"exclude": excluded} if excluded else {}),
        },
        "contrasts": contrasts,
    }
    return Proposal(card, table, said)


def read_grids(path: Path) -> dict[str, Grid]:
    """Return worksheet → rows of cells as text; a text file has one, without a name.

    Raises
    ------
    InputError
        The file is neither.
    """
    if not path.is_file():
        raise InputError("no such file", where=path)
    if _WORKBOOK.search(path.name.lower()):
        import pandas as pd

        content = unpacked(path.read_bytes(), str(path))
        with workbooks.opened(content, path) as book:
            pages = pd.read_excel(book, sheet_name=None, header=None, dtype=object, na_filter=False)
        return {
            str(name): [[" ".join(tables.cell_text(c).split()) for c in row] for row in rows]
            for name, rows in ((name, page.to_numpy()) for name, page in pages.items())
        }
    text = read_text(path)
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=tables.separator_of(text[:20_000].split("\n"))
    )
    return {"": [[" ".join(cell.split()) for cell in row] for row in rows]}


def _header(grid: Grid) -> int:
    """Return the row that heads a table: the first that is about as wide as what follows.

    Titles stand in one or two cells above it.
    """
    filled = [sum(bool(cell) for cell in row) for row in grid[:200]]
    usual = sorted(filled)[len(filled) // 2] if filled else 0
    return next((n for n, width in enumerate(filled) if width >= max(2, 0.6 * usual)), 0)


def _frame(grid: Grid) -> pd.DataFrame:
    """Return the table in a grid: text, columns without a name and empty rows left out."""
    import pandas as pd

    start = _header(grid)
    if start >= len(grid):
        return pd.DataFrame()
    head, body = grid[start], [row for row in grid[start + 1 :] if any(row)]
    if 2 * sum(len(row) == len(head) + 1 for row in body) > len(body):
        head = ["row names", *head]  # as R writes them: the header is one field short
    width = max(map(len, [head, *body]))
    names = head + [""] * (width - len(head))
    frame = pd.DataFrame([row + [""] * (width - len(row)) for row in body], dtype=str)
    named = [n for n, name in enumerate(names) if name or n == 0]
    return frame.reindex(columns=named).set_axis(
        tables.numbered([names[n] or "row names" for n in named]), axis=1
    )


def _counts(path: Path, said: list[str]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the matrix, genes × samples, and its layout as the card's ``counts`` says it."""
    layout = _layout(path, said)
    shape = tables.form(layout, "counts", text=True)
    frame = tables.read(path.read_bytes(), str(path), shape)
    said += shape.notes
    if len(frame.columns) > max(_MOST_SAMPLES, 2 * len(frame)):
        raise InputError(
            f"{len(frame.columns):,} columns and {len(frame):,} rows: genes seem to stand in "
            "columns",
            where=path,
            expected="genes in rows, samples in columns",
            remedy="transpose the table, and give that",
        )
    numbers, decimal = _numbers(frame)
    if decimal != "point":
        layout["decimal"] = decimal
        said.append("Commas stand before decimals.")
    full = numbers.notna().mean() > 0.99
    beside = [name for name in frame.columns if re.match(_BESIDE, str(name))]
    ids = [name for name in frame.columns if not full[name] and name not in beside]
    if not ids:  # Entrez ids are numbers, too
        ids = [frame.columns[0]]
    gene = max(ids, key=lambda name: _likeness(frame[name]))
    samples = [name for name in frame.columns if full[name] and name not in (*beside, *ids)]
    if len(samples) < 2:
        raise InputError(
            f"{len(samples)} column(s) of numbers",
            where=path,
            expected="genes in rows, samples in columns, with a header",
        )
    skip = [name for name in frame.columns if name not in (gene, *samples)]
    matrix = numbers[samples].set_axis(frame[gene], axis=0)
    layout |= {"type": _kind(matrix, path), "header": True}
    layout["gene_column"] = list(frame.columns).index(gene)
    symbol = next((name for name in ids if name != gene and _symbols(frame[name]) > 0.5), None)
    if symbol is not None and genes.detect_id_type(frame[gene]) == "ensembl":
        layout["symbol_column"] = list(frame.columns).index(symbol)
    if skip:
        layout["skip_columns"] = skip
    said.append(f"{path.name}: {len(matrix):,} rows, genes in '{gene}', {len(samples)} samples.")
    if layout["type"] == "expected_counts":
        said.append("The counts have fractions: read as estimates (RSEM, salmon), and rounded.")
    return matrix, layout


def _layout(path: Path, said: list[str]) -> dict[str, Any]:
    """Return where in the file the table is, as the keys ``counts`` of a card say it."""
    grids = read_grids(path)
    worksheet = max(grids, key=lambda name: len(grids[name]))
    layout: dict[str, Any] = {}
    if worksheet and worksheet != next(iter(grids)):
        layout["worksheet"] = worksheet
        said.append(f"{path.name}: of {len(grids)} worksheets the longest is read, '{worksheet}'.")
    above = grids[worksheet][: _header(grids[worksheet])]
    if any(any(row) and not row[0].startswith("#") for row in above):
        layout["skip_rows"] = len(above)
        title = next(" ".join(filter(None, row)) for row in above if any(row))
        said.append(
            f"{path.name}: {len(above)} row(s) above the header are skipped: “{title[:60]}”."
        )
    if not worksheet:
        mark = tables.separator_of(read_text(path)[:20_000].split("\n"))
        layout["separator"] = next(word for word, m in tables.SEPARATORS.items() if m == mark)
    return layout


def _numbers(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the cells as numbers, missing where there is none, and what stands before decimals."""
    import pandas as pd

    point = frame.apply(pd.to_numeric, errors="coerce")
    comma = frame.apply(lambda c: pd.to_numeric(c.str.replace(",", "."), errors="coerce"))
    many = comma.notna().to_numpy().sum() > point.notna().to_numpy().sum()
    return (comma, "comma") if many else (point, "point")


def _likeness(values: pd.Series) -> float:
    """Return the share of values that are gene ids, Ensembl ids before symbols."""
    ensembl = values.str.match(r"ENS[A-Z]*G\d{11}").mean()
    return float(2 * ensembl + _symbols(values))


def _symbols(values: pd.Series) -> float:
    return float(values.head(2000).isin(_known_symbols()).mean())


@cache
def _known_symbols() -> frozenset[str]:
    both = (files.read_gene_table(organism)["symbol"] for organism in ("human", "mouse"))
    return frozenset(itertools.chain.from_iterable(both)) - {""}


def _kind(matrix: pd.DataFrame, path: Path) -> str:
    """Return ``counts`` or ``expected_counts``, or say what the numbers look like instead."""
    import numpy as np

    values = matrix.fillna(0).to_numpy()
    totals = values.sum(axis=0)
    wrong = (
        "negative numbers" if (values < 0).any()
        else f"no value above {values.max():g}, as logarithms have" if values.max() < 50
        else "columns that all add up to a million, as TPM do"
        if np.allclose(totals, 1e6, rtol=0.01)
        else ""
    )  # fmt: skip
    if wrong:
        raise InputError(
            f"these are no raw counts: {wrong}",
            where=path,
            remedy="give the table that the counting program wrote",
        )
    return "counts" if np.array_equal(values, np.rint(values)) else "expected_counts"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _number(name: str) -> str:
    """Return the number in a name such as ``S03``, ``Sample 3`` or ``3``; empty for other names."""
    match = re.fullmatch(r"(?:samples?|smp|s|no|nr|id)?0*(\d+)", _plain(name))
    return match[1] if match else ""


# How a name in the sheet may stand for one in the counts, strictest first: words, form, shortened.
_FORMS: tuple[tuple[str, Callable[[str], str], bool], ...] = (
    ("", str, False),
    ("", _plain, False),
    (", by the part of the names that differs", _plain, True),
    (", by their number", _number, False),
    (", by the number in the part of the names that differs", _number, True),
)


def _shared(names: Iterable[str]) -> str:
    """Return what all names begin with."""
    same = itertools.takewhile(lambda marks: len(set(marks)) == 1, zip(*names, strict=False))
    return "".join(marks[0] for marks in same)


def _core(names: Sequence[str]) -> dict[str, str]:
    """Return name → the part that differs: without what all begin and end with, up to a mark.

    Examples
    --------
    >>> _core(["/runs/S1_L001.bam", "/runs/S2_L001.bam"])
    {'/runs/S1_L001.bam': 'S1', '/runs/S2_L001.bam': 'S2'}
    """
    first = re.sub(r"[A-Za-z0-9]*$", "", _shared(names))
    last = re.sub(r"^[A-Za-z0-9]*", "", _shared([name[::-1] for name in names])[::-1])
    return {name: name[len(first) : len(name) - len(last)] for name in names}


def _sheet(path: Path, names: list[str], said: list[str]) -> pd.DataFrame:
    """Return the rows of the sheet that name a column of the counts, with that name beside them."""
    core = _core(names)
    best: tuple[int, str, pd.DataFrame, dict[int, str], str] | None = None
    for grid in read_grids(path).values():
        frame = _frame(grid)
        for column, (how, form, short) in itertools.product(frame.columns, _FORMS):
            known = {form(core[n] if short else n): n for n in names}
            known.pop("", None)
            if len(known) < len(names):
                continue  # two columns of the counts would be one
            rows = {n: known[form(v)] for n, v in enumerate(frame[column]) if form(v) in known}
            if len(set(rows.values())) == len(rows) and (best is None or len(rows) > best[0]):
                best = (len(rows), str(column), frame, rows, how)
    if best is None or best[0] < 2:
        raise InputError(
            "no column of the sheet names the samples of the counts",
            where=path,
            expected=f"names such as {some(names, 4)}",
            remedy="add a column with the names that head the counts",
        )
    _, column, frame, rows, how = best
    table = frame.iloc[list(rows)].copy()
    table.insert(0, SAMPLE, list(rows.values()))
    left = [" ".join(filter(None, row)) for n, row in enumerate(frame.to_numpy()) if n not in rows]
    said.append(f"{path.name}: {len(table)} samples, named in '{column}'{how}.")
    if left:
        said.append(f"{len(left)} row(s) name no sample of the counts: “{left[0][:60]}”.")
    empty = [name for name in table.columns if table[name].eq("").all()]
    return table.drop(columns=empty).reset_index(drop=True)


def _level(raw: str, wanted: Mapping[str, str]) -> str:
    """Return the level that a raw value stands for: a wanted one, a usual one, or its own words."""
    if raw.strip().lower() in _UNKNOWN:
        return ""
    text = re.sub(r"[_/]", " ", raw.lower()).strip()
    words = set(re.findall(r"[a-z0-9]+", text))
    for name, level in wanted.items():
        if set(re.findall(r"[a-z0-9]+", name.lower())) <= words:
            return level
    for level, pattern in _LEVELS.items():
        if re.search(pattern, text):
            return next((own for name, own in wanted.items() if re.search(pattern, name)), level)
    return _level_name(text)


def _level_name(words: str) -> str:
    """Return words as a level may be called: ``SOD1-G93A`` → ``sod1_g93a``, ``1`` → ``group_1``."""
    plain = re.sub(r"[^a-z0-9]+", "_", words.strip().lower()).strip("_")
    return plain if plain[:1].isalpha() else f"group_{plain}"


def _condition(table: pd.DataFrame, named: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Return the column that tells the groups apart, and its raw values → levels."""
    wanted = {name.strip().lower(): _level_name(name) for name in named}
    found: list[tuple[tuple[bool, ...], str, dict[str, str]]] = []
    for column in table.columns.drop(SAMPLE):
        levels = {raw: _level(raw, wanted) for raw in sorted(set(table[column]))}
        sizes = Counter(levels[raw] for raw in table[column] if levels[raw])
        if not 2 <= len(sizes) <= _MOST_GROUPS or sorted(sizes.values())[-2] < 2:
            continue
        if wanted and not set(wanted.values()) <= set(sizes):
            continue
        if any(re.search(pattern, str(column).lower()) for pattern in _HEADS.values()):
            continue
        headed = bool(re.search(_GROUPS, str(column).lower()))
        told = bool(set(sizes) & set(_LEVELS))
        found.append(((not told, not headed, len(sizes) > 3), str(column), levels))
    if not found:
        raise InputError(
            "no column of the sheet tells groups apart"
            + (f" that are called {some(wanted)}" if wanted else ""),
            where="sample sheet",
            expected="a column with 2 to 8 groups of at least 2 samples; there are: "
            + some(table.columns.drop(SAMPLE)),
            remedy="name the groups as the sheet does: `--contrast 'target:reference'`",
        )
    _, column, levels = min(found, key=lambda item: item[0])
    return column, levels


def _groups_in_words(column: str, raw: pd.Series, levels: Mapping[str, str]) -> str:
    parts = []
    for level in sorted(set(levels.values()) - {""}):
        values = sorted(value for value, is_ in levels.items() if is_ == level)
        count = int(raw.isin(values).sum())
        parts.append(f"{level} {count} (" + ", ".join(f"“{value}”" for value in values) + ")")
    return f"Groups are read from '{column}': " + "; ".join(parts) + "."


def _further(table: pd.DataFrame, taken: set[str], said: list[str]) -> dict[str, Any]:
    """Return rules for sex, age, donor, muscle and batch, where a column is headed so."""
    rules: dict[str, Any] = {}
    for ours, pattern in _HEADS.items():
        heads = {name: re.sub(r"[_.]", " ", str(name)).lower() for name in table.columns}
        column = next(
            (n for n, h in heads.items() if n not in taken and re.search(pattern, h)), None
        )
        if column is None:
            continue
        rule: dict[str, Any] = {"from": str(column)}
        if ours == "sex":
            letters = {"f": "female", "w": "female", "m": "male"}
            rule["map"] = {
                raw: letters.get(raw[:1].lower(), "") for raw in sorted(set(table[column]))
            }
        elif ours == "age":
            rule |= {"pattern": r"(\d+(?:\.\d+)?)", "numeric": True}
            unit = next((u for u in ("weeks", "days") if u[:-1] in heads[column]), "years")
            rules["age_unit"] = {"value": unit}
        rules[ours] = rule
    if rules:
        words = ", ".join(f"{k} from '{r['from']}'" for k, r in rules.items() if "from" in r)
        said.append(f"Also read: {words}.")
    return rules


def _contrasts(
    asked: Sequence[str], table: pd.DataFrame, columns: Mapping[str, Any], said: list[str]
) -> list[dict[str, Any]]:
    """Return the contrasts; donors that stand on both sides become pairs."""
    rule = columns["condition"]
    level = table[rule["from"]].map(rule["map"])
    sizes = Counter(level[level.ne("")])
    if asked:
        pairs = [tuple(map(_level_name, pair.split(":"))) for pair in asked]
        if any(len(pair) != 2 or pair[0] == pair[1] for pair in pairs):
            raise InputError("no contrast of two groups", expected="`--contrast target:reference`")
    else:
        known = [name for name in _REFERENCES if name in sizes]
        reference = known[0] if known else max(sorted(sizes), key=lambda name: sizes[name])
        if not known:
            said.append(f"That '{reference}' is the reference is a guess: it is the largest group.")
        pairs = [
            (name, reference) for name in sorted(sizes) if name != reference and sizes[name] > 1
        ]
    donors = table[columns["subject_id"]["from"]] if "subject_id" in columns else table[SAMPLE]
    made = []
    for target, reference in pairs:
        sides = [set(donors[level == side]) for side in (target, reference)]
        both = len(sides[0] & sides[1])
        paired = both >= 2 and both >= min(map(len, sides)) / 2
        if paired:
            said.append(
                f"{both} donors are in {target} and in {reference}: compared within donors."
            )
        made.append(
            {
                "id": f"{target}_vs_{reference}",
                "label": f"{target.replace('_', ' ')} against {reference.replace('_', ' ')}",
                "variable": "condition",
                "target": target,
                "reference": reference,
                **({"block": "subject_id"} if paired else {}),
            }
        )
    words = ", ".join(
        f"{c['target']} ({sizes[c['target']]}) against {c['reference']}" for c in made
    )
    said.append(f"Compared: {words}.")
    return made


def _organism(ids: Iterable[object], said: list[str]) -> str:
    """Return the species that the gene ids are of: by Ensembl prefix, else by known symbols."""
    names = [str(name) for name in ids]
    if found := genes.detect_organism(names):
        said.append(f"The gene ids are Ensembl's of {found}.")
        return found
    shares = {}
    for organism in ("human", "mouse"):
        table = files.read_gene_table(organism)
        shares[organism] = len(set(names) & {*table["symbol"], *table["entrez"]})
    found = max(shares, key=lambda name: shares[name])
    said.append(f"{shares[found]:,} gene ids are known of {found}.")
    return found


def card_text(proposal: Proposal) -> str:
    """Return the card as YAML, headed by what was read and guessed."""
    import yaml

    head = "# Unpublished data, proposed from its tables. Read what was taken for what:\n"
    head += "".join(f"# - {line}\n" for line in proposal.said)
    cards.validate(proposal.card, "dataset", proposal.card["id"])
    return head + yaml.safe_dump(proposal.card, sort_keys=False, allow_unicode=True, width=100)
