"""Curated gene programmes: lists of signed blocks, mapped to the genes of an organism.

A programme is a list of *blocks*; a block is a set of genes with one expected direction (its sign).
Blocks are scored, never whole programmes, because opposing blocks would cancel. Every block is
reported complete and, where denervation genes can be taken out without emptying it, stripped.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError

BlockKey = tuple[str, str, bool]

KEY = ["programme", "block", "stripped"]
COLUMNS = ["programme", "block", "sign", "human", "mouse"]
COLUMNS += ["in_denervation_signature", "evidence", "source"]
SIGNS = {"+": 1, "-": -1, "0": 0}
EVIDENCE = {"S", "M", "SM"}
TSV = "config/programmes.tsv"
_SEPARATOR = re.compile(r"[|;,]\s*")


def check(programmes: pd.DataFrame, *, where: str = TSV) -> None:
    """Raise InputError unless ``programmes`` is a well-formed list of signed blocks.

    One row per gene with the columns of ``config/programmes.tsv``, all read as text. A block has
    one sign (``+``, ``-`` or ``0`` for no expected direction), each human symbol once, and a source
    on every line; ``mouse`` may be empty (no counterpart) or hold several symbols joined by ``|``.
    """

    def fail(problem: str, rows: pd.DataFrame, expected: str) -> None:
        shown = ", ".join(f"{r.programme}/{r.block}/{r.human}" for r in rows.head(5).itertuples())
        raise InputError(f"{problem}: {shown}", where=where, expected=expected)

    missing = [c for c in COLUMNS if c not in programmes.columns]
    if missing:
        raise InputError(
            f"missing columns {', '.join(missing)}", where=where, expected=", ".join(COLUMNS)
        )
    table = programmes[COLUMNS].fillna("").astype(str)
    for column in ("programme", "block", "human", "source"):
        if (bad := table[column].str.strip() == "").any():
            fail(f"empty {column}", table[bad], "a value on every line")
    if (bad := ~table["sign"].isin(SIGNS)).any():
        fail("unknown sign", table[bad], "+, - or 0")
    if (bad := ~table["in_denervation_signature"].isin({"0", "1"})).any():
        fail("in_denervation_signature is not a flag", table[bad], "0 or 1")
    if (bad := ~table["evidence"].isin(EVIDENCE)).any():
        fail("unknown evidence", table[bad], "S (seen), M (from memory) or SM (list mixes both)")
    if (bad := table.duplicated(["programme", "block", "human"])).any():
        fail("gene listed twice in one block", table[bad], "each human symbol once per block")
    signs = table.groupby(["programme", "block"])["sign"].transform("nunique")
    if (bad := signs > 1).any():
        fail("block with several signs", table[bad], "one sign per block; split it")
    flags = table.groupby("human")["in_denervation_signature"].transform("nunique")
    if (bad := flags > 1).any():
        fail("denervation flag differs between lines of one gene", table[bad], "one flag per gene")


class _Symbols(NamedTuple):
    current: dict[str, str]
    former: dict[str, str]


def _symbols(genes: pd.DataFrame, listed: Collection[str]) -> _Symbols:
    """Index a gene table by listed symbols; a former one counts where it names a single gene."""
    wanted = set(listed) - {""}
    table = genes[genes["symbol"].isin(wanted)]
    # Symbols repeat on alternative loci: the primary gene first, then the lowest id.
    primary = table["primary"].astype(str).eq("1") if "primary" in table else True
    ranked = table.assign(primary=primary).sort_values(
        ["primary", "gene_id"], ascending=[False, True], kind="stable"
    )
    ranked = ranked.drop_duplicates("symbol")
    current = dict(zip(ranked["symbol"], ranked["gene_id"], strict=True))
    bearers: dict[str, set[str]] = {}
    lacking = wanted.difference(current)
    if lacking and "previous" in genes:
        old = genes[["gene_id", "previous"]].dropna().astype(str)
        named = "|".join(map(re.escape, sorted(lacking)))
        old = old[old["previous"].str.contains(named, regex=True)]
        for gene_id, names in zip(old["gene_id"], old["previous"], strict=True):
            for name in lacking.intersection(_SEPARATOR.split(names)):
                bearers.setdefault(name, set()).add(gene_id)
    former = {name: next(iter(ids)) for name, ids in bearers.items() if len(ids) == 1}
    return _Symbols(current, former)


def symbol_ids(symbols: Collection[str], genes: pd.DataFrame) -> dict[str, str]:
    """Return symbol → gene id, current symbols before former ones; unknown symbols are left out.

    ``genes``: as for :func:`blocks`.
    """
    index = _symbols(genes, symbols)
    return {**index.former, **index.current}


def _map(programmes: pd.DataFrame, organism: str, genes: pd.DataFrame) -> pd.DataFrame:
    """One row per listed symbol of the organism: gene_id and status current, former or unknown."""
    if organism not in {"human", "mouse"}:
        raise InputError(f"no programmes for organism {organism!r}", expected="human or mouse")
    table = programmes[COLUMNS].fillna("").astype(str)
    table = table.assign(symbol=table[organism].str.split("|")).explode("symbol")
    symbols = table["symbol"]
    index = _symbols(genes, symbols)
    current, former = symbols.map(index.current), symbols.map(index.former)
    status = np.select(
        [symbols == "", current.notna(), former.notna()], ["none", "current", "former"], "unknown"
    )
    return table.assign(gene_id=current.fillna(former), status=status, organism=organism)


def validate(
    programmes: pd.DataFrame,
    genes_human: pd.DataFrame,
    genes_mouse: pd.DataFrame,
    orthologs: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Map every listed symbol in both organisms.

    Parameters
    ----------
    programmes
        As ``check`` wants it.
    genes_human, genes_mouse
        Gene tables with ``gene_id``, ``symbol`` and, where known, ``primary`` (1 for the gene that
        a repeated symbol means) and ``previous`` (former symbols, separated by ``;``).
    orthologs
        One-to-one pairs ``human_gene_id, mouse_gene_id``, to check the mouse column against.

    Returns
    -------
    DataFrame
        One row per listed symbol and organism: ``programme, block, organism, human, symbol,
        gene_id, status, ortholog`` with status ``current``, ``former`` (the list should be
        updated), ``unknown`` or ``none`` (no counterpart in mouse), and ortholog, for mouse,
        ``agrees``, ``differs`` (the table pairs one of the two genes otherwise) or ``not 1:1``.

    Raises
    ------
    InputError
        For a malformed list, or when mapping leaves a block without any gene in an organism.
    """
    check(programmes)
    both = [_map(programmes, "human", genes_human), _map(programmes, "mouse", genes_mouse)]
    table = pd.concat(both, ignore_index=True)
    table["ortholog"] = _ortholog(table, both[0], orthologs)
    columns = ["programme", "block", "organism", "human", "symbol", "gene_id", "status", "ortholog"]
    found = table.groupby(["programme", "block", "organism"])["gene_id"].count()
    if (found == 0).any():
        empty = ", ".join("/".join(key) for key in found.index[found == 0])
        raise InputError(
            f"no gene of these blocks could be mapped: {empty}",
            where=TSV,
            expected="at least one known symbol per block and organism",
            remedy="correct the symbols or check the gene table's organism",
        )
    return table[columns]


def _ortholog(
    table: pd.DataFrame, human: pd.DataFrame, orthologs: pd.DataFrame | None
) -> pd.Series[str]:
    """Compare the listed mouse counterparts with one-to-one pairs."""
    out = pd.Series("", index=table.index)
    if orthologs is None:
        return out
    mouse = table[(table["organism"] == "mouse") & table["gene_id"].notna()]
    listed = mouse["human"].map(human.drop_duplicates("human").set_index("human")["gene_id"])
    forward = listed.map(orthologs.set_index("human_gene_id")["mouse_gene_id"])
    back = mouse["gene_id"].map(orthologs.set_index("mouse_gene_id")["human_gene_id"])
    out[mouse.index] = np.select(
        [forward == mouse["gene_id"], forward.isna() & back.isna()],
        ["agrees", "not 1:1"],
        "differs",
    )
    return out


def coverage(validation: pd.DataFrame) -> pd.DataFrame:
    """Summarise ``validate``: per block and organism the listed, mapped and lost symbols."""
    keys = ["programme", "block", "organism"]
    rows = []
    for key, part in validation.groupby(keys, sort=False):
        lost = part.loc[part["status"] == "unknown", "symbol"]
        rows.append(
            dict(zip(keys, key, strict=True))
            | {
                "n_listed": part["human"].nunique(),
                "n_mapped": part["gene_id"].nunique(),
                "former": "|".join(part.loc[part["status"] == "former", "symbol"]),
                "unknown": "|".join(lost),
                "no_counterpart": "|".join(part.loc[part["status"] == "none", "human"]),
                "differs": "|".join(part.loc[part["ortholog"] == "differs", "symbol"]),
            }
        )
    return pd.DataFrame(rows)


def strip_plan(programmes: pd.DataFrame) -> pd.DataFrame:
    """Decide per block whether a denervation-stripped version exists, and say why not.

    Decided on the listed human genes, so that it holds for both organisms and every study alike.
    A block more than half of whose genes are denervation genes is not stripped: what would remain
    is another block. One without denervation genes has nothing to strip.
    Returns ``programme, block, n_genes, n_denervation, stripped, reason``.
    """
    rows = []
    for (programme, block), part in programmes.groupby(["programme", "block"], sort=False):
        n, k = len(part), int(part["in_denervation_signature"].astype(str).eq("1").sum())
        if k == 0:
            reason = "no denervation gene in it: the complete block is the stripped one"
        elif 2 * k > n:
            reason = (
                f"{k} of {n} genes are denervation genes: not stripped, "
                "only the comparison with a denervation reference speaks"
            )
        else:
            reason = f"{k} of {n} genes removed"
        rows.append(
            {
                "programme": programme,
                "block": block,
                "n_genes": n,
                "n_denervation": k,
                "stripped": 0 < 2 * k <= n,
                "reason": reason,
            }
        )
    return pd.DataFrame(rows)


def well_measured(n_measured: npt.ArrayLike, n_genes: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Say which blocks a platform measures well enough to speak for them.

    At least half of their genes, and three, unless the block was defined with fewer; what a chip
    measures of a smaller part is not the block.
    """
    measured, genes = np.asarray(n_measured), np.asarray(n_genes)
    return np.asarray((measured >= np.minimum(3, genes)) & (measured >= 0.5 * genes))


def blocks(programmes: pd.DataFrame, organism: str, genes: pd.DataFrame) -> pd.DataFrame:
    """Members of every block, complete and denervation-stripped, as gene ids of one organism.

    Parameters
    ----------
    programmes
        As ``check`` wants it.
    organism
        ``human`` or ``mouse``.
    genes
        Gene table of that organism: ``gene_id, symbol`` and, where known, ``primary, previous``.

    Returns
    -------
    DataFrame
        ``programme, block, stripped, sign, gene_id, symbol, in_denervation_signature, evidence,
        n_genes``; ``sign`` is 1, -1 or 0; ``n_genes`` counts the block's listed genes that have a
        counterpart in the organism, mapped or not. Two human genes with one mouse counterpart
        (the metallothioneins) enter once.
    """
    check(programmes)
    mapped = _map(programmes, organism, genes)
    mapped = mapped[mapped["status"] != "none"]
    plan = strip_plan(programmes)
    stripped = mapped.merge(plan.loc[plan["stripped"], ["programme", "block"]])
    stripped = stripped[stripped["in_denervation_signature"] == "0"]
    both = pd.concat([mapped.assign(stripped=False), stripped.assign(stripped=True)])
    both = both.drop_duplicates([*KEY, "symbol"])
    both["n_genes"] = both.groupby(KEY)["symbol"].transform("size")
    both = both.dropna(subset="gene_id").drop_duplicates([*KEY, "gene_id"])
    both["sign"] = both["sign"].map(SIGNS)
    both["in_denervation_signature"] = both["in_denervation_signature"].eq("1")
    columns = [*KEY, "sign", "gene_id", "symbol", "in_denervation_signature", "evidence", "n_genes"]
    return both[columns].reset_index(drop=True)


def as_sets(programmes: pd.DataFrame) -> dict[str, list[str]]:
    """Blocks as gene sets of human symbols, for the preranked test: ``PROGRAMME:
    block`` to genes.
    """
    groups = programmes.groupby(["programme", "block"], sort=False)["human"]
    return {f"{p}: {b}": sorted(set(genes) - {""}) for (p, b), genes in groups}
