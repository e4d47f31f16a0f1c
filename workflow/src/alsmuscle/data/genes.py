"""Gene identity: source ids to Ensembl gene ids and current symbols; human and mouse orthologs.

Pure functions over the tables of ``workflow/resources`` (all columns read as strings, empty
strings kept: ``pd.read_csv(path, sep="\\t", dtype=str, keep_default_na=False)``).
Rules: a symbol that is current for one gene and former for another is the current one; what
stands for two genes is ambiguous and never guessed, and so is a former symbol beside the current
one in the same source; a row that cannot be mapped keeps its id.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Final

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError

STATUSES: Final = (
    "ensembl",
    "ensembl_unlisted",
    "entrez",
    "symbol",
    "previous",
    "mangled",
    "ambiguous",
    "unmapped",
)
ID_TYPES: Final = ("auto", "ensembl", "entrez", "symbol")
# Share of a column's ids that must be of one type before the rest counts as stray rows.
DOMINANT: Final = 0.9

_PREFIX: Final = {"ENSG": "human", "ENSMUSG": "mouse", "ENSRNOG": "rat"}
_ENSEMBL: Final = r"(?P<id>(?P<prefix>ENS[A-Z]*G)\d{11})(?:\.\d+)?(?:_PAR_Y)?"
# Rows that counting programs append (htseq, STAR, featureCounts) and spiked-in controls.
_NO_GENE: Final = r"(?:__\w+|N_\w+|ERCC-\d{5}|__.*)"
# Of these, what counts reads that belong to no gene: never part of a matrix.
_SUMMARY: Final = (
    r"(?:__.*|N_(?:unmapped|multimapping|noFeature|ambiguous)|no_feature|ambiguous|too_low_aQual"
    r"|not_aligned|alignment_not_unique|Unassigned_\w+|(?i:(?:grand |column )?totals?|sum)"
    r"(?i:[ _](?:reads|counts))?)"
)
# What programs write where a row, or a probe, has no gene. NA and NaN were symbols once, of XK and
# SCN11A, and nobody means these.
_NAMELESS: Final = r"(?:(?i:n/?a|nan|null|none|#n/a|#name\?|#ref!|#value!)|[-.?_*]*)"
# Ids written together: a genome's name before them; a symbol, or a number, behind them.
_GENOME: Final = r"^(?:gene[:-]|(?:GRCh|GRCm|hg|mm)\d+_+)"
# Numbers of NCBI's genes with the name of the database before them.
_ENTREZ_OF: Final = (
    r"^(?:(?i:geneid|entrez|entrezgene|entrez_gene|ncbigene|ncbi_gene)[:_-])(?=\d+$)"
)
_WITH_SYMBOL: Final = rf"^{_ENSEMBL}[_|:;/, ]\S.*$"
_BEHIND_SYMBOL: Final = rf"^[^|\s]+(?:[_|:;]| \(){_ENSEMBL}\)?$"
_SYMBOL_ENTREZ: Final = r"^(?P<symbol>[A-Za-z][\w.@-]*)(?:\|\d+| \(\d+\))$"
# What each of these five needs somewhere in an id.
_JOINT: Final = re.compile(r"[-_|:;/,( ]")
_KIND: Final = re.compile(
    rf"(?P<none>{_NAMELESS}|{_NO_GENE})|(?P<ensembl>{_ENSEMBL})|(?P<entrez>\d+)"
)
# Below this share of rows that lead to a gene the ids are not what they are taken for.
LEAST_MAPPED: Final = 0.2

_MONTHS: Final = {
    m: i
    for i, m in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_DAY_MONTH: Final = r"(?P<day>\d{1,2})[- ](?P<month>[A-Za-z]{3,9})(?:[- ](?:\d{2}|\d{4}))?"
_MONTH_DAY: Final = r"(?P<month>[A-Za-z]{3,9})[- ]?(?P<day>\d{1,2})"
_ISO: Final = r"(?:19|20)\d{2}-(?P<month>\d{2})-(?P<day>\d{2})(?:[T ]00:00:00(?:\.0+)?)?"
# Days since 1899-12-30, 1990 to 2059: the years in which a spreadsheet was opened.
_SERIALS: Final = (32874, 58439)

# What a spreadsheet reads as a date, month and number: the symbols that were official when they
# were mangled (Ziemann 2016, doi:10.1186/s13059-016-1044-7), by their names of today
# (Bruford 2020, doi:10.1038/s41588-020-0669-3).
_MANGLED: Final[dict[tuple[int, int], tuple[str, ...]]] = {
    **{(3, n): (f"MARCHF{n}", f"MTARC{n}") if n <= 2 else (f"MARCHF{n}",) for n in range(1, 12)},
    **{(9, n): (f"SEPTIN{n}",) for n in (*range(1, 13), 14)},
    (9, 13): ("SEPTIN7P2",),
    (9, 15): ("SELENOF",),
    (12, 1): ("DELEC1",),
}


def _strings(ids: Iterable[object]) -> pd.Series:
    """Return ids as stripped strings; whole-number floats lose their ``.0``."""
    text = [i if isinstance(i, str) else "" if pd.isna(i) else str(i) for i in ids]
    text = [i.strip().strip("'\"") for i in text]
    return pd.Series(
        [i[:-2] if i.endswith(".0") and i[:-2].isdecimal() else i for i in text], dtype=object
    )


def _taken_apart(text: pd.Series) -> pd.Series:
    """Return ids without what stands around them: a genome, a symbol, an Entrez number."""
    compound = [i for i, one in enumerate(text) if _JOINT.search(one)]
    part = text.iloc[compound]
    part = part.str.replace(_GENOME, "", regex=True).str.replace(_ENTREZ_OF, "", regex=True)
    for pattern in (_WITH_SYMBOL, _BEHIND_SYMBOL):
        found = part.str.extract(pattern)["id"]
        part = found.fillna(part)
    part = part.str.extract(_SYMBOL_ENTREZ)["symbol"].fillna(part)
    text = text.copy()
    text.iloc[compound] = part
    return text


def is_summary(ids: Iterable[object]) -> pd.Series:
    """Say which rows of a matrix are no genes: counters' summaries (``__no_feature``), totals."""
    return _strings(ids).str.fullmatch(_SUMMARY)


def is_nameless(ids: Iterable[object]) -> pd.Series:
    """Say which ids are none: empty, or what programs write in place of one (``NA``, ``---``)."""
    return _strings(ids).str.fullmatch(_NAMELESS)


def require_genes(frame: pd.DataFrame, table: pd.DataFrame, where: str, what: str = "rows") -> None:
    """Stop where ids lead to hardly any gene: such a study would pass without saying anything.

    Parameters
    ----------
    frame
        Result of :func:`identify`, index = the ids.
    table
        The gene table it was made with.
    where
        Study and file, for the message.
    what
        What has these ids.

    Raises
    ------
    InputError
        Naming examples, and what the ids look like.
    """
    lost = frame["status"].isin(["unmapped", "ensembl_unlisted"]).to_numpy()
    share = 1 - float(lost.mean()) if len(frame) else 0.0
    if share >= LEAST_MAPPED:
        return
    names = pd.Series([str(name) for name in frame.index[lost]])
    guess, remedy = _guess(names, table)
    raise InputError(
        f"{share:.0%} of {len(frame):,} {what} lead to a gene" + (f": {guess}" if guess else ""),
        where=where,
        expected="Ensembl ids, Entrez ids or symbols of the study's organism; got such as "
        + ", ".join(names.head(3)),
        remedy=remedy,
    )


def _guess(names: pd.Series, table: pd.DataFrame) -> tuple[str, str]:
    """Say what ids seem to be that are no genes, and what to do."""
    per_gene = "use the study's counts per gene"
    if names.str.match(r"ENS[A-Z]*T\d{11}").mean() > 0.5:
        return "these are transcripts", per_gene
    if names.str.match(r"[NX][MR]_\d+").mean() > 0.5:
        return "these are RefSeq transcripts", per_gene
    if names.str.upper().isin(table["symbol"].str.upper()).mean() > 0.5:
        text = "symbols in the spelling of another organism (Sod1 is mouse's, SOD1 human)"
        return text, "correct `organism`; if the samples are of that organism, correct the file"
    return "", (
        "correct `organism`, the key that names the column of genes (`gene_column`), or name a "
        "table that leads from these ids to genes under `annotation`"
    )


def _kinds(text: pd.Series) -> pd.Series:
    """Return per id ``ensembl``, ``entrez``, ``symbol`` or ``none`` (no gene at all)."""
    found = [_KIND.fullmatch(one) for one in text]
    # The last group that closes is the outermost: the kind.
    kinds = ["symbol" if one is None else one.lastgroup for one in found]
    return pd.Series(kinds, index=text.index, dtype=object)


def detect_id_type(ids: Iterable[object], *, where: str | PathLike[str] | None = None) -> str:
    """Tell what a column of gene ids holds.

    Parameters
    ----------
    ids
        Source ids; counter summary rows (``__no_feature``), spike-ins and empty ids are ignored.
    where
        File or key for the error message.

    Returns
    -------
    ``ensembl`` (versions and ``_PAR_Y`` allowed), ``entrez`` or ``symbol``.

    Raises
    ------
    InputError
        When no id is left, or no type makes up 90 % of them.
    """
    text = _strings(ids)
    kind = _kinds(text)
    share = kind[kind != "none"].value_counts(normalize=True)
    if share.empty:
        raise InputError(
            "no gene ids in the column",
            where=where,
            expected="Ensembl ids, Entrez ids or gene symbols",
            remedy="name the column that holds the gene ids",
        )
    top = str(share.index[0])
    if share.iloc[0] < DOMINANT and set(share.index) == {"symbol", "ensembl"}:
        return "symbol"  # ids stand in for genes without a symbol: each is read as what it is
    if share.iloc[0] < DOMINANT:
        mix = "; ".join(
            f"{s:.0%} {k} (as {', '.join(text[kind == k].head(3))})" for k, s in share.items()
        )
        raise InputError(
            f"gene ids of mixed type: {mix}",
            where=where,
            expected=f"one type for at least {DOMINANT:.0%} of the rows",
            remedy="state the id type (ensembl, entrez or symbol): rows of another type are then "
            "left unmapped, except Ensembl ids among symbols, which are taken as they are",
        )
    return top


def detect_organism(ids: Iterable[object]) -> str | None:
    """Return ``human``, ``mouse`` or ``rat`` by the commonest Ensembl prefix, None without any."""
    found = [re.fullmatch(_ENSEMBL, one) for one in _strings(ids)]
    organisms = Counter(_PREFIX.get(one["prefix"]) for one in found if one is not None)
    del organisms[None]
    return organisms.most_common(1)[0][0] if organisms else None


def check_organism(
    ids: Iterable[object], organism: str, *, where: str | PathLike[str] | None = None
) -> None:
    """Raise InputError when the Ensembl ids are of another organism than the study declares.

    A minority of another organism passes: mouse matrices may hold a human transgene.
    """
    found = detect_organism(ids)
    if found is not None and found != organism:
        raise InputError(
            f"the gene ids are of {found}, the study is declared as {organism}",
            where=where,
            expected=f"Ensembl ids of {organism}",
            remedy=f"declare organism: {found}, or give the counts of the {organism} samples",
        )


def _split(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return ``key, row`` for a ``;``-joined column, row being the table's row number."""
    text = table[column].tolist()
    pairs = [(key, row) for row, joined in enumerate(text) if joined for key in joined.split(";")]
    frame = pd.DataFrame(pairs, columns=["key", "row"])
    return frame[frame["key"] != ""]


class _Lookup:
    """Key to its one table row (``one``), or to its several (``several``), for the keys asked."""

    def __init__(self, frame: pd.DataFrame, keys: pd.Series) -> None:
        frame = frame[frame["key"].isin(keys)]
        shared = frame["key"].duplicated(keep=False)
        single = frame[~shared]
        self.one = pd.Series(single["row"].to_numpy(dtype=float), index=single["key"])
        self.several = frame[shared].groupby("key")["row"].agg(list)

    def find(self, keys: pd.Series) -> pd.Series:
        """Return the table row per key as float, NaN where there is not exactly one."""
        return keys.map(self.one).astype(float)


class _Rows:
    """The rows being mapped: table row found, status, candidates."""

    def __init__(self, text: pd.Series, table: pd.DataFrame) -> None:
        self.row = pd.Series(np.nan, index=text.index)
        self.status = pd.Series("unmapped", index=text.index)
        self.candidates = pd.Series("", index=text.index)
        self.symbols = table["symbol"].to_numpy()
        self.gene_ids = table["gene_id"].to_numpy()

    def settle(self, found: pd.Series, status: str) -> None:
        """Take over the table rows found (NaN: none)."""
        found = found.dropna()
        self.row.loc[found.index] = found
        self.status.loc[found.index] = status

    def doubt(self, keys: pd.Series, lookup: _Lookup) -> None:
        """Mark the keys that stand for several genes."""
        hit = keys[keys.isin(lookup.several.index)]
        self.status.loc[hit.index] = "ambiguous"
        self.candidates.loc[hit.index] = hit.map(lookup.several.map(self._names))

    def _names(self, rows: list[int]) -> str:
        # Genes that share a symbol, or have none, can only be told apart by their ids.
        names = {self.symbols[r] for r in rows}
        if len(names) < len(rows) or "" in names:
            names = {self.gene_ids[r] for r in rows}
        return ";".join(sorted(names))


def _dates(text: pd.Series) -> pd.DataFrame:
    """Return ``month, day`` of ids that a spreadsheet has turned into dates (NaN elsewhere)."""
    result = pd.DataFrame(np.nan, index=text.index, columns=["month", "day"])
    for pattern in (_DAY_MONTH, _MONTH_DAY, _ISO):
        parts = text.str.extract(f"^{pattern}$").dropna()
        month = parts["month"].str.lower()
        number = pd.to_numeric(month, errors="coerce").fillna(
            month.replace({"sept": "sep", "march": "mar"}).map(_MONTHS)
        )
        kept = parts.index[number.notna()]
        result.loc[kept, "month"] = number[kept]
        result.loc[kept, "day"] = parts.loc[kept, "day"].astype(float)
    serial = pd.to_numeric(text.where(text.str.fullmatch(r"\d{5}")), errors="coerce")
    serial = serial[serial.between(*_SERIALS)]
    if len(serial):
        date = pd.Timestamp("1899-12-30") + pd.to_timedelta(serial, unit="D")
        result.loc[serial.index, "month"] = date.dt.month.astype(float)
        result.loc[serial.index, "day"] = date.dt.day.astype(float)
    return result


def identify(
    ids: Iterable[object],
    table: pd.DataFrame,
    *,
    id_type: str = "auto",
    symbols: Iterable[object] | None = None,
    where: str | PathLike[str] | None = None,
) -> pd.DataFrame:
    """Map source ids to Ensembl gene ids and current symbols.

    Parameters
    ----------
    ids
        Source ids of any one type, in any order, duplicates allowed.
    table
        Gene table of one organism: ``gene_id, symbol, entrez, primary, previous``.
    id_type
        ``auto``, ``ensembl``, ``entrez`` or ``symbol``.
    symbols
        The source's own symbols beside its ids, where it has them. Used for Ensembl ids that the
        table does not list (retired ones) only: such a row goes to the gene its symbol stands for
        (status ``symbol`` or ``previous``) if no row of another symbol claims that gene;
        otherwise it keeps its id and takes the source's symbol.
    where
        File or key for error messages.

    Returns
    -------
    Frame of as many rows as ``ids``, in their order, index ``source_id``:

    - ``gene_id``: Ensembl id without version; the source id where the row is not mapped. Several
      rows may have the same one (duplicated symbols, ``_PAR_Y`` copies, several Entrez ids).
    - ``symbol``: current symbol; without one the source's symbol, else empty.
    - ``status``: one of :data:`STATUSES`.
    - ``candidates``: for ``ambiguous`` rows the genes in question, ``;``-joined, else empty.

    Raises
    ------
    InputError
        Unknown ``id_type``; mixed id types under ``auto``; ids of another organism than the
        table's; ``symbols`` of another length than ``ids``.
    """
    if id_type not in ID_TYPES:
        raise InputError(
            f"unknown gene id type {id_type!r}", where=where, expected=", ".join(ID_TYPES)
        )
    source = list(ids)
    text = _taken_apart(_strings(source))
    organism = detect_organism(table["gene_id"].head(1))
    kind = _kinds(text)
    if organism is not None and (kind == "ensembl").mean() > 1 - DOMINANT:
        check_organism(text, organism, where=where)
    if id_type == "auto":
        id_type = detect_id_type(text, where=where)

    given = None if symbols is None else _strings(symbols)
    given = None if given is None else given.mask(given.str.fullmatch(_NAMELESS), "")
    if given is not None and len(given) != len(text):
        raise InputError(f"{len(given)} symbols beside {len(text)} gene ids", where=where)

    rows = _Rows(text, table)
    gene_id = text.copy()
    if id_type in ("ensembl", "symbol"):
        parts = text[kind == "ensembl"].str.extract(f"^{_ENSEMBL}$")
        own = parts.loc[parts["prefix"].map(_PREFIX) == organism, "id"]
        gene_id.loc[own.index] = own
        rows.status.loc[own.index] = "ensembl_unlisted"
        by_id = pd.Series(np.arange(len(table), dtype=float), index=table["gene_id"])
        rows.settle(own.map(by_id), "ensembl")
    if id_type == "entrez":
        numbers = text[kind == "entrez"]
        lookup = _Lookup(_split(table, "entrez"), numbers)
        rows.settle(lookup.find(numbers), "entrez")
        rows.doubt(numbers, lookup)
    if id_type == "symbol":
        _settle_symbols(rows, text, kind, table)
        given = text.where(kind == "symbol", "")
    elif given is not None:
        _settle_retired(rows, given, table)

    found = rows.row.dropna().astype(int)
    gene_id.loc[found.index] = rows.gene_ids[found]
    symbol = pd.Series("", index=text.index) if given is None else given.copy()
    # A listed gene without a symbol stays without: the source's is a clone name at best.
    symbol.loc[found.index] = rows.symbols[found]
    return pd.DataFrame(
        {
            "gene_id": gene_id.to_numpy(),
            "symbol": symbol.to_numpy(),
            "status": rows.status.to_numpy(),
            "candidates": rows.candidates.to_numpy(),
        },
        index=pd.Index(source, name="source_id", dtype=object),
    )


def _settle_symbols(
    rows: _Rows, text: pd.Series, kind: pd.Series, table: pd.DataFrame, *, dates: bool = True
) -> None:
    """Resolve symbols: current, then former, then (``dates``) those that programs rewrote."""
    primary = table["primary"] == "1"
    # Where one id stands for the symbol its copies are out of the question.
    led = table["symbol"].isin(table.loc[primary, "symbol"])
    choice = (table["symbol"] != "") & (primary | ~led)
    numbered = pd.DataFrame({"key": table["symbol"], "row": np.arange(len(table))})[choice]
    names = text[kind == "symbol"]
    by_symbol = _Lookup(numbered, names)
    rows.settle(by_symbol.find(names), "symbol")
    rows.doubt(names, by_symbol)
    rest = names[~names.isin(table["symbol"])]
    if len(rest):
        by_former = _Lookup(_split(table, "previous"), rest)
        rows.settle(by_former.find(rest), "previous")
        rows.doubt(rest, by_former)
        _part_namesakes(rows)
    if dates:
        left = text[(rows.status == "unmapped") & kind.isin(["symbol", "entrez"])]
        _settle_dates(rows, left, numbered, detect_organism(table["gene_id"].head(1)))
        _settle_dots(rows, names, numbered)


def _settle_dates(
    rows: _Rows, text: pd.Series, numbered: pd.DataFrame, organism: str | None
) -> None:
    """Resolve what a spreadsheet has turned into dates."""
    dates = _dates(text).dropna().astype(int)
    if dates.empty:
        return
    keys = pd.Series(list(zip(dates["month"], dates["day"], strict=True)), index=dates.index)
    genes = keys.map(_MANGLED).dropna()
    if organism == "mouse":
        genes = genes.map(lambda g: tuple(s.capitalize() for s in g))
    by_symbol = _Lookup(numbered, genes.explode())
    known = genes.map(lambda g: tuple(s for s in g if s in by_symbol.one.index))
    one = known[known.map(len) == 1].map(lambda g: g[0])
    rows.settle(by_symbol.find(one), "mangled")
    several = known[known.map(len) > 1]
    rows.status.loc[several.index] = "ambiguous"
    rows.candidates.loc[several.index] = several.map(";".join)


def _settle_dots(rows: _Rows, names: pd.Series, numbered: pd.DataFrame) -> None:
    """Resolve what R has rewritten: ``HLA.A`` (make.names), the second KDM5D as ``KDM5D.1``.

    Only where it can have been nothing else: the source has no HLA-A of its own, and a KDM5D.
    """
    left = names[(rows.status[names.index] == "unmapped") & names.str.contains(".", regex=False)]
    present = set(names)
    hyphened = left.str.replace(".", "-", regex=False)
    hyphened = hyphened[~hyphened.isin(present)]
    again = left.str.replace(r"\.\d+$", "", regex=True)
    again = again[again.isin(present)]
    for found in (hyphened, again):
        rows.settle(_Lookup(numbered, found).find(found), "mangled")


def _part_namesakes(rows: _Rows) -> None:
    """Call former symbols ambiguous whose gene is in the source under its current symbol.

    A source that lists both means two things by them (NAA38 and LSMD1 before 2014).
    """
    taken = rows.row[rows.status == "symbol"]
    former = rows.row[rows.status == "previous"].astype(int)
    both = former[former.isin(taken)]
    rows.status.loc[both.index] = "ambiguous"
    rows.candidates.loc[both.index] = rows.symbols[both]
    rows.row.loc[both.index] = np.nan


def _settle_retired(rows: _Rows, symbols: pd.Series, table: pd.DataFrame) -> None:
    """Lead retired Ensembl ids to today's gene by the source's own symbol.

    Only where every row of the source that claims the gene bears that same symbol: GRCh37
    releases list some genes twice, once on the assembly and once on a patch (TXNIP).
    """
    retired = symbols[(rows.status == "ensembl_unlisted") & (symbols != "")]
    if retired.empty:
        return
    trial = _Rows(retired, table)
    kind = pd.Series("symbol", index=retired.index)
    _settle_symbols(trial, retired, kind, table, dates=False)
    found = trial.row.dropna()
    claims = pd.concat([rows.row.dropna(), found])
    bearers = symbols[claims.index].groupby(claims.to_numpy()).nunique()
    found = found[found.map(bearers) == 1]
    for status in ("symbol", "previous"):
        rows.settle(found[trial.status[found.index] == status], status)


def mapping_summary(frame: pd.DataFrame) -> dict[str, int]:
    """Count rows per status, and what the mapping did to them.

    Parameters
    ----------
    frame
        Result of :func:`identify`.

    Returns
    -------
    Keys: every status of :data:`STATUSES` (0 where none), ``total``, ``genes`` (distinct
    ``gene_id``) and ``duplicates`` (rows beyond the first of their ``gene_id``).
    """
    counts = frame["status"].value_counts()
    genes = int(frame["gene_id"].nunique())
    return {
        **{s: int(counts.get(s, 0)) for s in STATUSES},
        "total": len(frame),
        "genes": genes,
        "duplicates": len(frame) - genes,
    }


def to_human(mouse_gene_ids: Iterable[str], orthologs: pd.DataFrame) -> pd.DataFrame:
    """Map mouse Ensembl ids to human through 1:1 orthologs.

    Parameters
    ----------
    mouse_gene_ids
        Mouse Ensembl gene ids without version.
    orthologs
        Pairs: ``human_gene_id, human_symbol, mouse_gene_id, mouse_symbol``; 1:1 only.

    Returns
    -------
    Frame in the order given, index ``mouse_gene_id``, columns ``gene_id`` and ``symbol`` (human);
    both missing where there is no 1:1 ortholog.
    """
    return _across(mouse_gene_ids, orthologs, "mouse", "human")


def to_mouse(human_gene_ids: Iterable[str], orthologs: pd.DataFrame) -> pd.DataFrame:
    """Map human Ensembl ids to mouse through 1:1 orthologs; as :func:`to_human`, reversed."""
    return _across(human_gene_ids, orthologs, "human", "mouse")


def _across(
    gene_ids: Iterable[str], orthologs: pd.DataFrame, source: str, target: str
) -> pd.DataFrame:
    key = f"{source}_gene_id"
    pairs = orthologs.set_index(key)[[f"{target}_gene_id", f"{target}_symbol"]]
    found = pairs.reindex(pd.Index(list(gene_ids), name=key, dtype=object))
    return found.set_axis(["gene_id", "symbol"], axis=1)


def resolve_symbols(symbols: Iterable[str], table: pd.DataFrame) -> Mapping[str, str]:
    """Return symbol to gene id for gene lists (programmes, gene sets); unresolved ones left out."""
    frame = identify(symbols, table, id_type="symbol")
    mapped = frame[~frame["status"].isin(["ambiguous", "unmapped", "ensembl_unlisted"])]
    return dict(zip(mapped.index, mapped["gene_id"], strict=True))
