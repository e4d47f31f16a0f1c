"""Curated gene programmes: signed blocks, per-sample scores, effects per contrast.

A programme is a list of *blocks*; a block is a set of genes with one expected direction (its sign).
Blocks are scored, never whole programmes, because opposing blocks would cancel. Every block is
reported complete and, where denervation genes can be taken out without emptying it, stripped.

Two questions are asked of a block, with two p-values, because they have two answers:

* ``pvalue`` (self-contained): does the block's mean move at all? Linear model on the block's score,
  variance moderated over blocks (limma, Smyth 2004).
* ``pvalue_competitive``: does it move more than genes of equal expression do in this contrast?
  Where half the transcriptome moves, nearly every set of genes does, so that a small ``pvalue``
  alone says nothing about the programme (Goeman & Buehlmann 2007, Bioinformatics 23:980).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.core.types import Floats, Ints
from alsmuscle.stats import distributions
from alsmuscle.stats.moderation import squeeze_var

BlockKey = tuple[str, str, bool]

KEY = ["programme", "block", "stripped"]
COLUMNS = ["programme", "block", "sign", "human", "mouse"]
COLUMNS += ["in_denervation_signature", "evidence", "source"]
SIGNS = {"+": 1, "-": -1, "0": 0}
EVIDENCE = {"S", "M", "SM"}
TSV = "config/programmes.tsv"
_SEPARATOR = re.compile(r"[|;,]\s*")


# --- the lists ---------------------------------------------------------------------------------


def check(programmes: pd.DataFrame) -> None:
    """Raise InputError unless ``programmes`` is a well-formed list of signed blocks.

    One row per gene with the columns of ``config/programmes.tsv``, all read as text. A block has
    one sign (``+``, ``-`` or ``0`` for no expected direction), each human symbol once, and a source
    on every line; ``mouse`` may be empty (no counterpart) or hold several symbols joined by ``|``.
    """

    def fail(problem: str, rows: pd.DataFrame, expected: str) -> None:
        shown = ", ".join(f"{r.programme}/{r.block}/{r.human}" for r in rows.head(5).itertuples())
        raise InputError(f"{problem}: {shown}", where=TSV, expected=expected)

    missing = [c for c in COLUMNS if c not in programmes.columns]
    if missing:
        raise InputError(
            f"missing columns {', '.join(missing)}", where=TSV, expected=", ".join(COLUMNS)
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
    if "previous" in genes:
        old = genes[["gene_id", "previous"]].dropna().astype(str)
        old = old[old["previous"] != ""]
        for gene_id, names in zip(old["gene_id"], old["previous"], strict=True):
            for name in wanted.intersection(_SEPARATOR.split(names)):
                bearers.setdefault(name, set()).add(gene_id)
    former = {
        name: next(iter(ids))
        for name, ids in bearers.items()
        if len(ids) == 1 and name not in current
    }
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
    """Blocks as gene sets of human symbols, for the preranked test: ``PROGRAMME: block`` to genes."""
    groups = programmes.groupby(["programme", "block"], sort=False)["human"]
    return {f"{p}: {b}": sorted(set(genes) - {""}) for (p, b), genes in groups}


# --- scores ------------------------------------------------------------------------------------


class _Sets(NamedTuple):
    """Sets as row positions in the expression matrix."""

    keys: list[BlockKey]
    sign: Floats
    n_genes: Ints
    rows: list[Ints]


def _sets(members: pd.DataFrame, gene_ids: pd.Index) -> _Sets:
    """Positions of each block's genes; blocks without any measured gene keep an empty array."""
    if gene_ids.has_duplicates:
        raise InputError("expression has duplicate gene ids", expected="one row per gene")
    # Random sets come by the ten thousand: all at once, not block by block.
    group = members.groupby(KEY, sort=False).ngroup().to_numpy()
    first = members.drop_duplicates(KEY)
    place = gene_ids.get_indexer(pd.Index(members["gene_id"]))
    known = place >= 0
    order = np.lexsort((place[known], group[known]))
    sizes = np.bincount(group[known], minlength=len(first))
    rows = np.split(place[known][order].astype(np.int64), np.cumsum(sizes))[: len(first)]
    listed = first["n_genes"] if "n_genes" in members else np.bincount(group, minlength=len(first))
    keys = [(str(p), str(b), bool(s)) for p, b, s in first[KEY].itertuples(index=False, name=None)]
    return _Sets(keys, first["sign"].to_numpy(float), np.asarray(listed, dtype=np.int64), rows)


def _means(values: Floats, rows: Iterable[Ints]) -> Floats:
    """Mean over each set's rows of a genes x samples matrix; NaN for an empty set."""
    from scipy.sparse import csr_array

    sets = list(rows)
    sizes = np.array([len(r) for r in sets], dtype=np.int64)
    weights = np.repeat(1 / np.maximum(sizes, 1), sizes)
    columns = np.concatenate([*sets, np.array([], dtype=np.int64)])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    average = csr_array((weights, columns, starts), shape=(len(sets), values.shape[0]))
    out: Floats = np.asarray(average @ values, dtype=np.float64)
    out[sizes == 0] = np.nan
    return out


def _values(expression: pd.DataFrame) -> Floats:
    values: Floats = expression.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError(
            "expression has missing or infinite values",
            expected="log2 variance-stabilised values for every gene and sample",
            remedy="drop such genes before scoring",
        )
    return values


def scores(expression: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Score of every block in every sample: mean of sign x log2 expression over its genes.

    Parameters
    ----------
    expression
        Genes x samples, log2 variance-stabilised, index gene ids.
    members
        From ``blocks``.

    Returns
    -------
    DataFrame
        ``sample_id, programme, block, stripped, score, n_genes, n_mapped``. Blocks without an
        expected direction (sign 0) are the plain mean. No measured gene: score missing.
    """
    sets = _sets(members, expression.index)
    values = _means(_values(expression), sets.rows) * _direction(sets.sign)[:, None]
    wide = pd.DataFrame(values.T, columns=pd.MultiIndex.from_tuples(sets.keys, names=KEY))
    wide.index = pd.Index(expression.columns, name="sample_id")
    long = wide.melt(ignore_index=False, value_name="score").reset_index()
    counts = pd.DataFrame(sets.keys, columns=KEY).assign(
        n_genes=sets.n_genes, n_mapped=[len(r) for r in sets.rows]
    )
    return long.merge(counts, on=KEY, how="left", sort=False)


def drivers(de: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Show which genes carry a block in one contrast and cell type.

    Parameters
    ----------
    de
        ``gene_id, base_mean, log2fc, lfc_se, df, padj`` and, where computed, ``log2fc_shrunk``; every
        tested gene once.
    members
        From ``blocks``.

    Returns
    -------
    DataFrame
        ``programme, block, stripped, gene_id, symbol, sign, base_mean, log2fc, lfc_se, df,
        padj, contribution``, the largest contributions of a block first. A contribution is
        sign x fold change / number of tested genes, shrunken fold changes where there are any, so
        that noise in rare transcripts does not lead the list; their sum is near the block's effect
        but not equal to it, since effects come from variance-stabilised values.
    """
    columns = ["gene_id", "base_mean", "log2fc", "lfc_se", "df", "padj"]
    if de["gene_id"].duplicated().any():
        raise InputError("de has a gene twice", expected="one contrast and cell type")
    present = de.loc[de["log2fc"].notna(), columns].copy()
    present["change"] = present["log2fc"]
    if "log2fc_shrunk" in de:
        present["change"] = de["log2fc_shrunk"].fillna(de["log2fc"])
    table = members.merge(present, on="gene_id")
    tested = table.groupby(KEY)["gene_id"].transform("size")
    table["contribution"] = _direction(table["sign"].to_numpy()) * table["change"] / tested
    table["_size"] = -table["contribution"].abs()
    table = table.sort_values([*KEY, "_size", "gene_id"], kind="stable").reset_index(drop=True)
    return table[[*KEY, "gene_id", "symbol", "sign", *columns[1:], "contribution"]]


def _direction(sign: Floats) -> Floats:
    out: Floats = np.where(sign == 0, 1.0, sign)
    return out


# --- random sets -------------------------------------------------------------------------------


def matched_sets(
    mean_expression: pd.Series[float],
    members: pd.DataFrame,
    n: int,
    seed: int,
    window: int = 200,
) -> dict[BlockKey, Ints]:
    """Random sets of each block's size, matched gene by gene on mean expression.

    Every gene is replaced by one drawn from the ``window`` genes nearest to it in the order of mean
    expression; the block's own genes are never drawn, and no gene twice within a set.

    Parameters
    ----------
    mean_expression
        Mean log2 expression per gene, index gene ids.
    members
        From ``blocks``; genes that are not in ``mean_expression`` are left out.
    n
        Number of sets per block.
    seed
        Together with the block's name it seeds the block's own stream, so that adding or removing
        another block changes nothing.
    window
        Neighbours to draw from.

    Returns
    -------
    dict
        Block key to an integer array (n, genes measured) of positions in ``mean_expression``.

    Raises
    ------
    InputError
        When a block leaves too few genes to draw from.
    """
    gene_ids = mean_expression.index
    order: Ints = np.lexsort((np.arange(len(gene_ids)), mean_expression.to_numpy()))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    sets = _sets(members, gene_ids)
    out: dict[BlockKey, Ints] = {}
    for key, rows in zip(sets.keys, sets.rows, strict=True):
        rng = np.random.default_rng([seed, zlib.crc32("\t".join(map(str, key)).encode())])
        free = order[~np.isin(order, rows)]
        if len(free) < max(2 * len(rows), min(window, 2)):
            raise InputError(
                f"block {key[0]}/{key[1]}: {len(free)} genes to draw matched sets from",
                expected=f"at least twice the block's {len(rows)} measured genes",
            )
        # Where the gene would stand among the drawable genes, and a window clipped to their range.
        place = np.searchsorted(rank[free], rank[rows])
        width = min(max(window, 2 * len(rows)), len(free))
        start = np.clip(place - width // 2, 0, len(free) - width)
        drawn = start + rng.integers(0, width, size=(n, len(rows)))
        for _ in range(1000):
            again = _repeated(drawn)
            if not again.any():
                break
            fresh = start + rng.integers(0, width, size=drawn.shape)
            drawn = np.where(again, fresh, drawn)
        out[key] = free[drawn] if len(rows) else np.empty((n, 0), dtype=np.int64)
    return out


def _repeated(drawn: Ints) -> npt.NDArray[np.bool_]:
    """Mark, row by row, every value that stands further left already."""
    order = np.argsort(drawn, axis=1, kind="stable")
    ordered = np.take_along_axis(drawn, order, axis=1)
    same = np.zeros(drawn.shape, dtype=bool)
    same[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    out = np.zeros(drawn.shape, dtype=bool)
    np.put_along_axis(out, order, same, axis=1)
    return out


def control_blocks(
    mean_expression: pd.Series[float], members: pd.DataFrame, n: int, seed: int, window: int = 200
) -> pd.DataFrame:
    """Matched random sets in the shape of ``blocks``, to send through everything that blocks pass.

    Each set keeps its block's sign and name with ``~1`` to ``~n`` appended to ``block``. For use
    across studies give a mean expression over those studies, so that all see the same sets.
    """
    gene_ids = mean_expression.index.to_numpy()
    signs = members.groupby(KEY, sort=False)["sign"].first()
    parts = []
    for key, drawn in matched_sets(mean_expression, members, n, seed, window).items():
        if drawn.shape[1] == 0:
            continue
        parts.append(
            pd.DataFrame(
                {
                    "programme": key[0],
                    "block": np.repeat([f"{key[1]}~{i + 1}" for i in range(n)], drawn.shape[1]),
                    "stripped": key[2],
                    "sign": signs[key],
                    "gene_id": gene_ids[drawn.ravel()],
                    "n_genes": drawn.shape[1],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


# --- effects -----------------------------------------------------------------------------------


class LinearContrast(NamedTuple):
    """A contrast as two linear maps of the samples: its estimate and the residual space."""

    estimate: Floats  # (n,)
    residual: Floats  # (n, df)
    unscaled: float  # c' (X' V^-1 X)^-1 c

    @property
    def df(self) -> int:
        """Residual degrees of freedom."""
        return int(self.residual.shape[1])

    def fit(self, values: Floats) -> tuple[Floats, Floats]:
        """Estimates and residual variances of rows of samples."""
        effect = values @ self.estimate
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = ((values @ self.residual) ** 2).sum(axis=1) / np.float64(self.df)
        return effect, variance


def _model(X: Floats, c: Floats, V: Floats | None = None) -> LinearContrast:
    n, p = X.shape
    lower = np.eye(n) if V is None else np.linalg.cholesky(V)
    white = np.linalg.solve(lower, np.eye(n))
    q, r = np.linalg.qr(white @ X, mode="complete")
    half = np.linalg.solve(r[:p].T, c)
    return LinearContrast(white.T @ q[:, :p] @ half, white.T @ q[:, p:], float(half @ half))


def _check_design(
    expression: pd.DataFrame, design: pd.DataFrame, contrast: pd.Series[float] | npt.ArrayLike
) -> tuple[Floats, Floats]:
    if design.index.has_duplicates or set(design.index) != set(expression.columns):
        unmatched = sorted(map(str, set(design.index) ^ set(expression.columns)))[:5]
        raise InputError(
            f"design and expression differ in their samples: {', '.join(unmatched)}",
            expected="each sample once in both",
        )
    X: Floats = design.loc[expression.columns].to_numpy(dtype=np.float64)
    if isinstance(contrast, pd.Series):
        unknown = [str(k) for k in contrast.index if k not in design.columns]
        if unknown:
            raise InputError(
                f"contrast names unknown coefficients: {', '.join(unknown)}",
                expected=", ".join(map(str, design.columns)),
            )
        contrast = contrast.reindex(design.columns).fillna(0.0).to_numpy()
    c: Floats = np.asarray(contrast, dtype=np.float64)
    if c.shape != (X.shape[1],) or not c.any():
        raise InputError(
            f"contrast has shape {c.shape}", expected=f"{X.shape[1]} weights, not all zero"
        )
    if not np.isfinite(X).all():
        raise InputError("design has missing values", expected="numbers for every sample")
    if X.shape[0] < X.shape[1] or np.linalg.matrix_rank(X) < X.shape[1]:
        raise InputError(
            "design is not of full rank: some coefficients cannot be told apart",
            where=", ".join(map(str, design.columns)),
            remedy="drop a covariate, or give repeated donors as `subject` rather than as columns",
        )
    return X, c


def linear_contrast(
    expression: pd.DataFrame,
    design: pd.DataFrame,
    contrast: pd.Series[float] | npt.ArrayLike,
) -> LinearContrast:
    """Check a design and contrast against the samples of ``expression`` and prepare the fit.

    Raises InputError for samples that do not match, a rank-deficient design, unknown coefficients.
    """
    return _model(*_check_design(expression, design, contrast))


def effects(
    expression: pd.DataFrame,
    design: pd.DataFrame,
    contrast: pd.Series[float] | npt.ArrayLike,
    members: pd.DataFrame,
    *,
    subject: pd.Series[str] | None = None,
    groups: pd.Series[str] | None = None,
    tested: bool = True,
    confidence: float = 0.95,
    n_matched: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Effect of a contrast on every block, in log2 units.

    Parameters
    ----------
    expression
        Genes x samples, log2 variance-stabilised, index gene ids.
    design
        Samples x coefficients, full rank.
    contrast
        Weights of the coefficients: a Series by name (others 0) or an array in column order.
    members
        From ``blocks`` (or ``control_blocks``).
    subject
        Donor per sample, for donors measured repeatedly where the design holds no donor columns:
        a random effect with one correlation for all blocks, as limma's ``duplicateCorrelation``
        (Smyth, Michaud & Scott 2005, Bioinformatics 21:2067). Paired designs with donor columns
        need none.
    groups
        For paired designs: the two groups compared (other samples missing). Hedges g is then in
        units of the raw standard deviation within groups, not of the differences.
    tested
        False where the rule on group sizes forbids a test: p-values and intervals are missing.
    confidence
        Of the interval.
    n_matched, seed
        Matched random sets per block for the competitive test; 0 leaves it out.

    Returns
    -------
    DataFrame
        One row per block and version: ``programme, block, stripped, sign, effect, se, ci_low,
        ci_high, pvalue, padj, hedges_g, hedges_g_var, n_genes, n_mapped, df, gene_correlation,
        background, background_sd, se_competitive, pvalue_competitive, padj_competitive``.
        ``effect`` is the contrast of the block's score; ``se`` its moderated standard error with
        ``df`` degrees of freedom; ``gene_correlation`` the mean correlation of its genes' errors,
        which turns their variances into the block's; ``background`` the mean effect of the matched sets and ``background_sd`` the
        standard deviation of their true effects; (effect - background) / ``se_competitive`` is the
        statistic of the competitive test. ``padj`` is Benjamini-Hochberg over the complete blocks,
        and over the stripped ones.

    Raises
    ------
    InputError
        For samples that do not match, a rank-deficient design, missing values.

    Notes
    -----
    The moderation's prior comes from the complete blocks alone, so that listing the stripped
    versions too changes nothing; limma's ``eBayes`` on the matrix of complete scores gives the same
    numbers. Hedges g = J(df) effect / s with variance c'(X'X)^-1 c + g^2 / (2 df), s the
    unmoderated residual standard deviation (Hedges & Olkin 1985). With ``groups`` the first term
    is multiplied by the ratio of residual to raw variance, which is 2 (1 - r) / n for plain pairs
    (Becker 1988).

    Competitive test: a block's score is centred on the average of its matched sets in every
    sample, which removes shifts common to genes of that expression. The centred effect is compared
    with zero under Var = se^2 + tau^2, where se is the moderated standard error of the centred
    score (so that correlation among the block's own genes counts) and tau^2 the variance of the
    matched sets' effects beyond their own sampling error. t with Satterthwaite's degrees of
    freedom.
    """
    X, c = _check_design(expression, design, contrast)
    sets = _sets(members, expression.index)
    values = _values(expression)
    score = _means(values, sets.rows) * _direction(sets.sign)[:, None]
    complete = np.array([not key[2] for key in sets.keys]) & ~np.isnan(score).any(axis=1)

    V = None
    if subject is not None:
        donors = subject.reindex(expression.columns)
        V = _donor_correlation(score[complete], X, donors)
    model = _model(X, c, V)
    effect, s2 = model.fit(score)
    var, df = _moderated(s2, complete, model.df)
    se = np.sqrt(var * model.unscaled)
    if not tested:
        df = np.nan
    g, g_var = _hedges(effect, s2, model, _raw(score, groups, expression.columns))
    out = pd.DataFrame(sets.keys, columns=KEY).assign(
        sign=sets.sign.astype(int),
        effect=effect,
        se=se,
        **_test(effect, se, df, confidence),
        hedges_g=g,
        hedges_g_var=g_var,
        n_genes=sets.n_genes,
        n_mapped=[len(r) for r in sets.rows],
        df=df,
        gene_correlation=_gene_correlation(s2, model.fit(values)[1], sets),
    )
    background = np.full((len(out), 4), np.nan)
    if n_matched > 0 and model.df > 0:
        drawn = matched_sets(expression.mean(axis=1), members, n_matched, seed)
        background = _competitive(values, score, sets, drawn, model=model, complete=complete)
    out[["background", "background_sd", "se_competitive"]] = background[:, :3]
    out["pvalue_competitive"] = background[:, 3] if tested else np.nan
    for p, q in (("pvalue", "padj"), ("pvalue_competitive", "padj_competitive")):
        out[q] = out.groupby("stripped")[p].transform(distributions.adjust)
    columns = [*KEY, "sign", "effect", "se", "ci_low", "ci_high", "pvalue", "padj", "hedges_g"]
    columns += ["hedges_g_var", "n_genes", "n_mapped", "df", "gene_correlation"]
    columns += ["background", "background_sd"]
    return out[[*columns, "se_competitive", "pvalue_competitive", "padj_competitive"]]


def _moderated(s2: Floats, prior: npt.NDArray[np.bool_], df: int) -> tuple[Floats, float]:
    """Posterior variances with a prior from the rows marked, and the total degrees of freedom."""
    if df == 0 or not prior.any() or not (s2[prior] > 0).any():
        return s2, float(df) if df else np.nan
    fit = squeeze_var(s2[prior], df)
    total = min(df + fit.df_prior, float(df * prior.sum()))
    if np.isinf(fit.df_prior):
        return np.where(np.isnan(s2), np.nan, fit.var_prior), total
    return (df * s2 + fit.df_prior * fit.var_prior) / (df + fit.df_prior), total


def _gene_correlation(block_variance: Floats, gene_variance: Floats, sets: _Sets) -> Floats:
    """Correlation r of a block's n genes in n^2 Var(mean) = sum s^2 + r ((sum s)^2 - sum s^2)."""
    square = np.array([gene_variance[rows].sum() for rows in sets.rows])
    total = np.array([np.sqrt(gene_variance[rows]).sum() for rows in sets.rows]) ** 2
    size = np.array([len(rows) for rows in sets.rows], dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        out: Floats = (size**2 * block_variance - square) / (total - square)
    out[size < 2] = np.nan
    return out


def _test(effect: Floats, se: Floats, df: float, confidence: float) -> Mapping[str, Floats]:
    with np.errstate(invalid="ignore", divide="ignore"):
        half = distributions.t_quantile((1 + confidence) / 2, df) * se
        return {
            "ci_low": effect - half,
            "ci_high": effect + half,
            "pvalue": distributions.t_pvalue(effect / se, df),
        }


def _raw(score: Floats, groups: pd.Series[str] | None, samples: pd.Index) -> tuple[Floats, int]:
    """Variance within the two groups, ignoring pairing, and its degrees of freedom."""
    if groups is None:
        return np.empty(0), 0
    label = groups.reindex(samples)
    levels = list(label.dropna().unique())
    if len(levels) != 2:
        raise InputError(f"groups has {len(levels)} levels", expected="the two groups compared")
    total, df = np.zeros(len(score)), 0
    for level in levels:
        part = score[:, (label == level).to_numpy()]
        total += ((part - part.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        df += part.shape[1] - 1
    return total / max(df, 1), df


def _hedges(
    effect: Floats, s2: Floats, model: LinearContrast, raw: tuple[Floats, int]
) -> tuple[Floats, Floats]:
    """Hedges g and its variance; missing where fewer than two degrees of freedom are left."""
    from scipy.special import gammaln

    scale2, df = raw if raw[1] else (s2, model.df)
    if df < 2 or model.df < 1:
        return np.full_like(effect, np.nan), np.full_like(effect, np.nan)
    correction = np.exp(gammaln(df / 2) - gammaln((df - 1) / 2) - np.log(df / 2) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        g: Floats = correction * effect / np.sqrt(scale2)
        return g, model.unscaled * s2 / scale2 + g**2 / (2 * df)


def _competitive(
    values: Floats,
    score: Floats,
    sets: _Sets,
    drawn: dict[BlockKey, Ints],
    *,
    model: LinearContrast,
    complete: npt.NDArray[np.bool_],
) -> Floats:
    """Mean of the matched sets, standard deviation of their true effects, se and p of the test."""
    centred = np.full_like(score, np.nan)
    mean, tau2 = np.full(len(score), np.nan), np.full(len(score), np.nan)
    n = 0
    for i, key in enumerate(sets.keys):
        if len(sets.rows[i]) == 0:
            continue
        control = _means(values, drawn[key]) * _direction(sets.sign[i : i + 1])[0]
        average = control.mean(axis=0)
        centred[i] = score[i] - average
        n = len(control)
        effect, s2 = model.fit(control - average)
        mean[i] = average @ model.estimate
        # Sampling error of the centred scores is smaller by what they share: estimated on them.
        tau2[i] = max(0.0, effect.var(ddof=1) - s2.mean() * model.unscaled * n / (n - 1))
    effect, s2 = model.fit(centred)
    var, df = _moderated(s2, complete, model.df)
    sampling = var * model.unscaled
    with np.errstate(invalid="ignore", divide="ignore"):
        total = sampling + tau2
        df_total = total**2 / (sampling**2 / df + tau2**2 / (n - 1))
        p = distributions.t_pvalue(effect / np.sqrt(total), df_total)
    out: Floats = np.column_stack([mean, np.sqrt(tau2), np.sqrt(total), p])
    return out


def _donor_correlation(score: Floats, X: Floats, donors: pd.Series[Any]) -> Floats:
    """Correlation matrix of the samples with one within-donor correlation, by REML.

    Per block the correlation that maximises the restricted likelihood; their consensus is the
    hyperbolic tangent of the 15 % trimmed mean of the arc tangents, as limma does it.
    """
    from scipy.linalg import eigh
    from scipy.optimize import minimize_scalar
    from scipy.stats import trim_mean

    if donors.isna().any():
        raise InputError("subject is missing for some samples", expected="a donor per sample")
    same = (donors.to_numpy()[:, None] == donors.to_numpy()[None, :]).astype(float)
    largest = int(same.sum(axis=1).max())
    n, p = X.shape
    if largest == 1 or n - p < 2:
        return np.eye(n)
    q = np.linalg.qr(X, mode="complete")[0][:, p:]
    d, u = eigh(q.T @ same @ q)
    if np.ptp(d) < 1e-8:
        raise InputError(
            "the within-donor correlation cannot be estimated",
            expected="donors with several samples that the design does not already account for",
            remedy="leave out `subject` where the design has donor columns",
        )
    squared = (score @ (q @ u)) ** 2

    def criterion(rho: float, row: Floats) -> float:
        v = 1 + rho * (d - 1)
        return float((n - p) * np.log((row / v).sum()) + np.log(v).sum())

    low, high = 1 / (1 - largest) + 0.01, 0.99
    rho = np.array(
        [
            minimize_scalar(
                criterion,
                bounds=(low, high),
                args=(row,),
                method="bounded",
                options={"xatol": 1e-9},
            ).x
            for row in squared
        ]
    )
    consensus = float(np.tanh(trim_mean(np.arctanh(rho), 0.15)))
    V: Floats = np.where(same > 0, consensus, 0.0)
    np.fill_diagonal(V, 1.0)
    return V
