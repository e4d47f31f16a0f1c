"""From a study's own sample sheet to one vocabulary, with the raw values kept beside it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle.core import deadline
from alsmuscle.core.errors import InputError
from alsmuscle.core.redaction import printable
from alsmuscle.data.readers.tables import visible

if TYPE_CHECKING:
    import pandas as pd

_MOST_ID = 200
VOCABULARY = {"sex": ("female", "male", ""), "age_unit": ("years", "days", "weeks", "")}
TEXT = ("subject_id", "condition", "stage", "sex", "age_unit", "muscle", "material", "batch")


def harmonise(sheet: pd.DataFrame, card: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Apply a card's rules to a sample sheet.

    Parameters
    ----------
    sheet
        One row per sample, text.
    card
        The study card.

    Returns
    -------
    samples
        Contract ``samples``, plus ``sample_label`` (the id as the source writes it; ``sample_id``
        is its safe form), further harmonised columns, and ``<column>_raw`` with the value that each
        was read from.
    excluded
        Contract ``excluded``: samples left out by the card, with the reason.

    Raises
    ------
    InputError
        A column or value is missing or unknown; the message names the card's key.
    """
    import pandas as pd

    where = f"config/datasets/{card['id']}.yaml"
    spec = card["samples"]
    sheet = sheet.map(lambda cell: visible(printable(cell)) if isinstance(cell, str) else cell)
    ids = sample_ids(sheet, card)
    if (long := ids.str.len() > _MOST_ID).any():
        raise InputError(
            f"a sample id of {int(ids[long].str.len().max()):,} characters",
            where=f"{where}: samples.sample_id",
            expected=f"at most {_MOST_ID}",
            remedy="name the column that holds ids, or take them out of it with `pattern`",
        )
    if ids.eq("").any() or ids.duplicated().any():
        bad = "an empty one" if ids.eq("").any() else f"'{ids[ids.duplicated()].iloc[0]}' twice"
        raise InputError(f"sample ids are not unique: {bad}", where=f"{where}: samples.sample_id")
    unlisted = sum(rule.get("unlisted", 0) for rule in spec.get("exclude", []))
    if "expected" in spec and len(sheet) + unlisted != spec["expected"]:
        raise InputError(
            f"the sample sheet has {len(sheet)} samples"
            + (f", {unlisted} more are excluded as unlisted" if unlisted else ""),
            where=f"{where}: samples.expected",
            expected=f"{spec['expected']}, the number in the archive's record",
            remedy="a truncated series is not analysed: fetch the whole sheet or correct the card",
        )
    columns: dict[str, Any] = {"dataset": card["id"], "sample_id": ids}
    for name in (*TEXT[:4], "age", *TEXT[4:]):
        columns[name] = float("nan") if name == "age" else ""
    columns["subject_id"] = ids
    raw: dict[str, Any] = {}
    for name, rule in spec["columns"].items():
        columns[name], raw[name] = _column(sheet, name, rule, f"{where}: samples.columns.{name}")
    if isinstance(columns["age"], pd.Series):
        columns["age"] = pd.to_numeric(columns["age"], errors="coerce")
    samples = pd.DataFrame(columns, index=sheet.index)
    for name, values in raw.items():
        if values is not None:
            samples[f"{name}_raw"] = values
    for name, allowed in VOCABULARY.items():
        unknown = set(samples[name]) - set(allowed)
        if unknown:
            raise InputError(
                f"{_quoted(unknown)}: not in the vocabulary of '{name}'",
                where=f"{where}: samples.columns.{name}",
                expected=", ".join(repr(value) for value in allowed),
                remedy="add a `map` from the raw values",
            )
    samples, excluded = _exclude(samples, spec.get("exclude", []), card["id"], where)
    unlabelled = samples.loc[samples["condition"].eq(""), "sample_id"]
    if len(unlabelled):
        raise InputError(
            f"{len(unlabelled)} sample(s) have no condition, such as {unlabelled.iloc[0]}",
            where=f"{where}: samples",
            remedy="give them a condition, or leave them out under `exclude` with the reason",
        )
    if samples.empty:
        raise InputError("every sample is excluded", where=f"{where}: samples.exclude")
    _refuse_spellings(samples, card, where)
    samples.insert(2, "sample_label", samples["sample_id"])
    samples["sample_id"] = safe_names(samples["sample_id"])
    return samples.reset_index(drop=True), excluded


def _refuse_spellings(samples: pd.DataFrame, card: Mapping[str, Any], where: str) -> None:
    """Object to groups that are one: values of a compared column that differ in case or spaces."""
    compared: set[str] = set()
    for one in card.get("contrasts", []):
        compared |= {one.get("variable", ""), *one.get("adjust", []), *one.get("within", {})}
    for name in sorted(compared & set(samples)):
        if samples[name].dtype.kind in "fiub":
            continue
        values = sorted(set(samples[name].astype(str)))
        alike = Counter(re.sub(r"\s+", " ", value).casefold() for value in values)
        twice = [v for v in values if alike[re.sub(r"\s+", " ", v).casefold()] > 1]
        if twice:
            raise InputError(
                f"values that differ only in case or spaces: {_quoted(twice)}",
                where=f"{where}: samples.columns.{name}",
                remedy="bring them together by a `map`, or give them names that differ",
            )


def safe_names(labels: Iterable[str]) -> list[str]:
    """Return names of ASCII letters, digits, ``_`` and ``.`` that begin with a letter, each once.

    Umlauts and accents lose their marks; a label that is safe already stays as it is.

    Examples
    --------
    >>> safe_names(["GSM1", "Müller 1", "1-a", "1 a"])
    ['GSM1', 'Muller_1', 'S1_a', 'S1_a.2']
    """
    labels = [str(label) for label in labels]
    # Labels that are safe keep their names, whatever the others become.
    taken = {label for label in labels if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.]*", label)}
    names, times = [], Counter[str]()
    for label in labels:
        if label in taken:
            names.append(label)
            continue
        spelled = label.replace("ß", "ss").replace("ø", "o").replace("Ø", "O")
        plain = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
        stem = re.sub(r"[^A-Za-z0-9_.]+", "_", plain).strip("_") or "sample"
        stem = stem if stem[0].isalpha() else f"S{stem}"
        name = stem
        while name in taken:
            times[stem] += 1
            name = f"{stem}.{times[stem] + 1}"
        taken.add(name)
        names.append(name)
    return names


def merge_sheet(sheet: pd.DataFrame, card: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.Series]:
    """Make one row per sample of a sheet that lists runs or chips.

    Parameters
    ----------
    sheet
        One row per run (or array).
    card
        The study card; ``samples.run_id`` and ``samples.sample_id`` say what is one sample.

    Returns
    -------
    sheet
        One row per sample, in order of appearance: of its runs the one that tells most.
    owner
        Run → sample.

    Raises
    ------
    InputError
        The runs of a sample differ in what the card reads from the sheet.
    """
    import pandas as pd

    spec = card["samples"]
    where = f"config/datasets/{card['id']}.yaml"
    _need(sheet, spec["run_id"], f"{where}: samples.run_id")
    ids = sample_ids(sheet, card)
    filled = pd.Series(0, index=sheet.index)
    for name, rule in spec["columns"].items():
        if "value" in rule or rule["from"] == spec["run_id"]:
            continue
        values, _ = _column(sheet, name, rule, f"{where}: samples.columns.{name}")
        known = values.notna() & (values.astype(str) != "")
        filled += known
        distinct = values[known].groupby(ids[known]).unique()
        mixed = distinct[distinct.map(len) > 1]
        if len(mixed):
            raise InputError(
                f"the runs of sample '{mixed.index[0]}' differ in '{name}': "
                + ", ".join(sorted(map(str, mixed.iloc[0]))[:4]),
                where=f"{where}: samples.run_id",
            )
    # One run may tell what another one of its sample leaves out: that of most values speaks.
    best = filled.groupby(ids, sort=False).idxmax()
    first = sheet.loc[best].reset_index(drop=True)
    owner = ids.set_axis(sheet[spec["run_id"]])
    # A sheet may have a row per file of a run (SDRF): each run counts once.
    shared = owner.groupby(level=0).nunique()
    if (shared > 1).any():
        raise InputError(
            f"run '{shared.index[shared > 1][0]}' belongs to several samples",
            where=f"{where}: samples.run_id",
        )
    return first, owner[~owner.index.duplicated()]


def merge_runs(
    sheet: pd.DataFrame, matrix: pd.DataFrame, card: Mapping[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add up the runs of each sample, where sheet and matrix list sequencing runs.

    Parameters
    ----------
    sheet
        One row per run.
    matrix
        Genes x runs.
    card
        The study card, as for :func:`merge_sheet`.

    Returns
    -------
    sheet
        One row per sample.
    matrix
        Genes x samples; columns that are no run of the sheet stay.

    Raises
    ------
    InputError
        A run of a sample that is kept has no column, or see :func:`merge_sheet`.
    """
    import pandas as pd

    first, owner = merge_sheet(sheet, card)
    here = owner.index.isin(matrix.columns)
    if not here.all() and card["samples"].get("exclude"):
        # Nobody needs the runs of samples that the card leaves out.
        _, excluded = harmonise(first, card)
        here |= owner.isin(excluded["sample_id"]).to_numpy()
    lacking = list(owner.index[~here])
    owner = owner[owner.index.isin(matrix.columns)]
    if lacking:
        raise InputError(
            f"run '{lacking[0]}' is in the sheet but not in the matrix ({len(lacking)} such "
            "run(s))",
            where=f"config/datasets/{card['id']}.yaml: samples.run_id",
            expected="runs such as " + ", ".join(map(str, matrix.columns[:5])),
            remedy="a truncated series is not analysed: fetch the whole matrix",
        )
    others = [column for column in matrix.columns if column not in owner.index]
    added = matrix[list(owner.index)].T.groupby(owner, sort=False).sum().T
    return first, pd.concat([added, matrix[others]], axis=1)


def sample_ids(sheet: pd.DataFrame, card: Mapping[str, Any]) -> pd.Series:
    """Return the sample's id of every row of a sheet: a column, or what a rule takes from one.

    Raises
    ------
    InputError
        The sheet lacks the column that ``samples.sample_id`` of the card names.
    """
    rule, key = (
        card["samples"]["sample_id"],
        f"config/datasets/{card['id']}.yaml: samples.sample_id",
    )
    if isinstance(rule, str):
        _need(sheet, rule, key)
        return sheet[rule]
    return _column(sheet, "sample_id", rule, key)[0]


def _need(sheet: pd.DataFrame, column: str, where: str) -> None:
    if column not in sheet.columns:
        close = [
            c for c in sheet.columns if c.lower().split(":")[0] == column.lower().split(":")[0]
        ]
        raise InputError(
            f"the sample sheet has no column '{column}'",
            where=where,
            expected=", ".join(close or list(sheet.columns[:15])),
        )


def _column(sheet: pd.DataFrame, name: str, rule: Mapping[str, Any], where: str) -> tuple[Any, Any]:
    """Return the harmonised and the raw values of one column."""

    if "value" in rule:
        return (float(rule["value"]) if name == "age" else str(rule["value"])), None
    sources = [rule["from"]] if isinstance(rule["from"], str) else rule["from"]
    for source in sources:
        _need(sheet, source, where)
    raw = sheet[sources].agg(" | ".join, axis=1)
    values = raw
    if "pattern" in rule:
        with deadline.of_pattern(rule["pattern"], f"{where}: pattern"):
            found = values.str.extract(re.compile(rule["pattern"]), expand=True)
        values = found.iloc[:, 0].fillna("")
    if "map" in rule:
        unknown = sorted(set(values) - set(rule["map"]))
        if unknown:
            raise InputError(
                f"{_quoted(unknown)} {'is' if len(unknown) == 1 else 'are'} not in the map",
                where=where,
                expected=", ".join(repr(key) for key in rule["map"]),
                remedy="add what is lacking to the map, or correct the spelling there",
            )
        values = values.map(rule["map"])
    if "match" in rule:
        with deadline.of_pattern("; ".join(rule["match"]), f"{where}: match"):
            values = values.map(_matches(set(values), rule["match"], where))
    if rule.get("numeric"):
        values = _numbers(values, where)
    return values, raw


def _numbers(values: pd.Series, where: str) -> pd.Series:
    """Return numbers; words become missing, but no number that is written in another way."""
    import pandas as pd

    text = values.astype(str).str.strip()
    odd = text[text.str.fullmatch(r"[-+]?\d+,\d+(\.\d+)?|[-+]?inf(inity)?", case=False)]
    if len(odd):
        raise InputError(
            "no number as it is read here: " + ", ".join(repr(v) for v in sorted(set(odd))),
            where=where,
            expected="a decimal point, and no separator of thousands",
            remedy="name the values under `map`, or correct the sheet",
        )
    return pd.to_numeric(text, errors="coerce")


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


def _matches(values: Iterable[str], patterns: Mapping[str, str], where: str) -> dict[str, str]:
    """Return for each raw value what the one pattern that is found in it stands for."""
    found = {
        value: {
            level for pattern, level in patterns.items() if re.search(pattern, value, re.IGNORECASE)
        }
        for value in values
    }
    none = [value for value, levels in found.items() if not levels]
    several = [
        f"'{value}' ({' and '.join(sorted(levels))})"
        for value, levels in sorted(found.items())
        if len(levels) > 1
    ]
    problems = [f"no expression is found in {_quoted(none)}"] if none else []
    problems += [f"several are found in {', '.join(several)}"] if several else []
    if problems:
        raise InputError(
            "; ".join(problems),
            where=where,
            expected=", ".join(repr(pattern) for pattern in patterns),
            remedy="correct the expressions under `match`, or list the values under `map`",
        )
    return {value: levels.pop() for value, levels in found.items()}


def _exclude(
    samples: pd.DataFrame, rules: list[Mapping[str, Any]], dataset: str, where: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    reasons: dict[str, str] = {}
    for number, rule in enumerate(rules):
        key = f"{where}: samples.exclude[{number}]"
        if len({"sample_id", "where", "unlisted"} & set(rule)) != 1:
            raise InputError("give exactly one of `sample_id`, `where` and `unlisted`", where=key)
        if "unlisted" in rule:
            continue  # these are not in the sheet: match_matrix finds them
        hit = pd.Series(True, index=samples.index)
        wanted = {"sample_id": rule["sample_id"]} if "sample_id" in rule else rule["where"]
        for column, value in wanted.items():
            if column not in samples.columns:
                raise InputError(f"no column '{column}'", where=key)
            cell = samples[column]
            unknown = value == "" and cell.dtype.kind == "f"
            hit &= cell.isna() if unknown else cell.astype(str) == value
        if not hit.any():
            raise InputError(f"no sample matches {dict(wanted)}", where=key)
        for sample in samples.loc[hit, "sample_id"]:
            reasons.setdefault(sample, rule["reason"])
    excluded = pd.DataFrame(
        {"dataset": dataset, "sample_id": list(reasons), "reason": list(reasons.values())},
        columns=["dataset", "sample_id", "reason"],
    )
    return samples[~samples["sample_id"].isin(list(reasons))], excluded


def from_columns(names: Iterable[str]) -> pd.DataFrame:
    """Make a sample sheet of a matrix's column names, where there is no other: column ``name``."""
    import pandas as pd

    return pd.DataFrame({"name": [str(name) for name in names]})


def _spelling(lacking: list[str], names: list[str], template: str) -> str:
    """Say how the matrix spells the names that it lacks; empty where it does not."""

    def letters(name: str) -> str:
        plain = "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))
        return re.sub(r"(?<!\d)0+(?=\d)", "", plain)

    known = {letters(name): name for name in names}
    like = known.get(letters(lacking[0]), "")
    if like and all(letters(name) in known for name in lacking):
        return (
            f"'{like}' differs from '{lacking[0]}' in case, spaces, punctuation or zeros only: "
            "read the matrix's spelling into a column of the samples (`pattern`, `map`), and name "
            "it in the template"
        )
    around = {
        tuple(name.split(own)) for own in lacking for name in names if name.count(own) == 1 and own
    }
    if len(around) == 1:
        before, behind = next(iter(around))
        return f'set `counts.sample_template: "{before}{template}{behind}"`'
    return ""


def match_matrix(
    names: list[str],
    samples: pd.DataFrame,
    excluded: pd.DataFrame,
    card: Mapping[str, Any],
    rows: Collection[str] = (),
) -> tuple[dict[str, str], pd.DataFrame]:
    """Match the matrix's columns with the samples.

    Parameters
    ----------
    names
        Column names of the matrix.
    samples, excluded
        As :func:`harmonise` returns them.
    card
        The study card; ``counts.sample_template`` builds a column's name from a sample's columns.
    rows
        Names of the matrix's rows, to know a table again that lies on its side.

    Returns
    -------
    columns
        Column name → sample id, for the samples that are kept, in the sheet's order.
    excluded
        The given one, with the columns added that the card excludes as ``unlisted``.

    Raises
    ------
    InputError
        A sample has no column, or a column no sample.
    """
    import pandas as pd

    template = card.get("counts", {}).get("sample_template", "{sample_id}")
    where = f"config/datasets/{card['id']}.yaml: counts.sample_template"
    try:
        # The source names its columns by its own labels.
        wanted = {
            template.format(**{**row, "sample_id": row.get("sample_label", row["sample_id"])}): row[
                "sample_id"
            ]
            for row in samples.to_dict("records")
        }
    except KeyError as error:
        raise InputError(
            f"'{template}' uses column {error}, which the samples do not have", where=where
        ) from None
    lacking = [name for name in wanted if name not in names]
    if lacking:
        like_genes = sum(bool(re.match(r"ENS[A-Z]*G\d+", str(name))) for name in names)
        if like_genes > len(names) / 2 or lacking[0] in rows:
            raise InputError(
                f"the matrix seems transposed: its columns are genes, such as '{names[0]}', and "
                f"not samples, such as '{lacking[0]}'",
                where=where,
                expected="genes in rows, samples in columns",
                remedy="transpose the file",
            )
        raise InputError(
            f"sample '{wanted[lacking[0]]}' is in the sheet but its column '{lacking[0]}' is not "
            f"in the matrix ({len(lacking)} such sample(s))",
            where=where,
            expected="columns such as " + ", ".join(map(str, names[:5])),
            remedy=_spelling(lacking, [str(name) for name in names], template)
            or "complete the matrix, correct the template, or exclude the sample with a reason",
        )
    extra = [name for name in names if name not in wanted]
    rules = [rule for rule in card["samples"].get("exclude", []) if "unlisted" in rule]
    allowed = rules[0]["unlisted"] if rules else 0
    # Excluded samples may or may not have a column; all other columns must be accounted for.
    if len(extra) > len(excluded) + allowed or (rules and len(extra) < allowed):
        raise InputError(
            f"{len(extra)} column(s) of the matrix belong to no sample"
            + (f", such as '{extra[0]}'" if extra else ""),
            where=where,
            expected=f"the {len(excluded)} excluded and {allowed} unlisted sample(s)",
            remedy="complete the sheet or correct the template; what is no sample (a total) "
            "belongs under `skip_columns`, samples that are left out under `samples.exclude` as "
            "`unlisted`",
        )
    if rules:
        unlisted = [name for name in extra if name not in set(excluded["sample_id"])]
        more = pd.DataFrame(
            {"dataset": card["id"], "sample_id": unlisted, "reason": rules[0]["reason"]}
        )
        excluded = pd.concat([excluded, more], ignore_index=True)
    return wanted, excluded
