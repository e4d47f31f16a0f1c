"""Gene-set tests on a ranking of genes: preranked GSEA and over-representation.

Collections are given as ``{collection: {term: genes}}``. Which question a test answers differs:

* ``gsea`` (Subramanian 2005, PNAS 102:15545) and ``ora`` permute or sample *genes*: they take genes
  as independent and call too many sets where genes are correlated.
* ``camera`` (:mod:`alsmuscle.genesets.camera`) allows for correlation between the genes of a set.
* ``set_effects`` (:mod:`alsmuscle.genesets.set_tests`) treats a set as a programme block, with the
  sampling error that its samples show; ``test_sets`` there puts all beside each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alsmuscle.core import log
from alsmuscle.core.errors import InputError
from alsmuscle.core.late import put_off
from alsmuscle.core.types import Floats, Ints
from alsmuscle.stats import distributions

Collections = Mapping[str, Mapping[str, Iterable[str]]]

SEPARATOR = ";"
BATCH = 250  # sets per call of gseapy, which keeps a running sum as long as the ranking for each


def parse_collections(texts: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """Read collections of gene sets; one that is damaged is skipped, and said in the log.

    A study without its pathways is a study, and all studies share these files.
    """
    found = {}
    for name, text in texts.items():
        try:
            found[name] = parse_gmt(text)
        except InputError as error:
            log.get("pathways").warning("gene sets '%s' are skipped: %s", name, error)
    return found


def parse_gmt(text: str) -> dict[str, list[str]]:
    """Read gene sets in GMT: one set per line, name, description, genes, separated by tabs.

    Repeated genes of a set count once, in their first order; Enrichr's weights (``GENE,1.0``) are
    cut off. Raises InputError for a line without genes or a set named twice.
    """
    sets: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, *rest = line.rstrip("\t\r").split("\t")
        genes = [g.split(",")[0].strip() for g in rest[1:]]
        genes = list(dict.fromkeys(g for g in genes if g))
        if not name.strip() or not genes:
            raise InputError(
                "set without name or genes",
                where=f"line {number}",
                expected="name, description and at least one gene, separated by tabs",
            )
        if name in sets:
            raise InputError(f"set {name!r} appears twice", where=f"line {number}")
        sets[name] = genes
    if not sets:
        raise InputError("no gene sets in the file", expected="GMT, one set per line")
    return sets


def ranked_genes(
    de: pd.DataFrame, statistic: str = "stat", names: pd.Series[str] | None = None
) -> pd.DataFrame:
    """Return the genes of one contrast and cell type by decreasing statistic.

    Parameters
    ----------
    de
        ``gene_id, symbol, base_mean`` and the statistic, one row per gene.
    statistic
        Column to rank by, as a rule the Wald statistic.
    names
        Gene id to the name used in the collections (the human ortholog's symbol for mouse). Genes
        that it lacks keep their id, so that they stay in the background.

    Returns
    -------
    DataFrame
        ``gene_id, name`` and the statistic; genes without a statistic are left out. Of several
        genes with one name the most expressed stays, never the one with the largest effect. Ties
        are ordered by name, so that the result does not depend on the order of rows.

    Raises
    ------
    InputError
        For an infinite statistic.
    """
    table = de.loc[de[statistic].notna(), ["gene_id", "symbol", "base_mean", statistic]].copy()
    if not np.isfinite(table[statistic].to_numpy(dtype=np.float64)).all():
        raise InputError(f"{statistic} has infinite values", expected="finite numbers or missing")
    name = table["symbol"] if names is None else table["gene_id"].map(names)
    table["name"] = name.mask(name.isna() | (name.astype(str) == ""), table["gene_id"]).astype(str)
    table = _decreasing(table, "base_mean", "gene_id").drop_duplicates("name")
    table = _decreasing(table, statistic, "name")
    return table[["gene_id", "name", statistic]].reset_index(drop=True)


def _decreasing(table: pd.DataFrame, number: str, text: str) -> pd.DataFrame:
    """Order rows by a number, the largest first, and those of one number by a text.

    As ``sort_values`` by both does, without sorting the texts of rows whose number is their own.
    """
    place = np.zeros(len(table), dtype=np.int64)
    tied = table[number].duplicated(keep=False).to_numpy()
    place[tied] = np.unique(table[text].to_numpy()[tied], return_inverse=True)[1]
    return table.iloc[np.lexsort((place, -table[number].to_numpy()))]


def ranking(
    de: pd.DataFrame, statistic: str = "stat", names: pd.Series[str] | None = None
) -> pd.Series[float]:
    """Return the statistic by name, decreasing, for the preranked tests;
    as :func:`ranked_genes`.
    """
    table = ranked_genes(de, statistic, names)
    return pd.Series(
        table[statistic].to_numpy(dtype=np.float64),
        index=pd.Index(table["name"], name="name"),
        name=statistic,
    )


def positions(
    genes: pd.Index, collections: Collections, min_size: int, max_size: int
) -> dict[str, dict[str, Ints]]:
    """Positions of each set's genes among ``genes``; sets outside the size limits are left out."""
    if genes.has_duplicates:
        again = ", ".join(map(str, genes[genes.duplicated()][:5]))
        raise InputError(f"genes named twice: {again}", expected="one value per gene name")
    if not 1 <= min_size <= max_size:
        raise InputError(f"sizes {min_size} to {max_size}", expected="1 <= min_size <= max_size")
    where = dict(zip(genes, range(len(genes)), strict=True))
    out: dict[str, dict[str, Ints]] = {}
    for collection, sets in collections.items():
        found: dict[str, Ints] = {}
        for term, members in sets.items():
            rows = np.array(sorted({where[g] for g in members if g in where}), dtype=np.int64)
            if min_size <= len(rows) <= max_size:
                found[term] = rows
        out[collection] = found
    return out


def frame(rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as a table with padj by Benjamini-Hochberg within each collection."""
    out = pd.DataFrame(rows, columns=[c for c in columns if c != "padj"])
    out["padj"] = np.nan
    for _, part in out[out["pvalue"].notna()].groupby("collection", sort=False):
        out.loc[part.index, "padj"] = distributions.adjust(part["pvalue"])
    return out[list(columns)]


def gsea(
    ranking: pd.Series[float],
    collections: Collections,
    *,
    seed: int,
    min_size: int,
    max_size: int,
    weight: float = 1.0,
    permutations: int,
    sample_size: int = 101,
    eps: float = 1e-10,
) -> pd.DataFrame:
    """Preranked gene set enrichment with gseapy's multilevel p-values.

    Parameters
    ----------
    ranking
        Statistic by gene name, as ``ranking`` makes it; sorted here again (ties by name).
    collections
        ``{collection: {term: genes}}``; genes that are not ranked are left out.
    seed
        Of the Monte-Carlo steps. Equal input and seed give equal bytes; a collection's result does
        not depend on which others are tested beside it.
    min_size, max_size
        Ranked genes a set must have.
    weight
        Exponent of the statistic in the running sum.
    permutations
        For the normalised score.
    sample_size, eps
        Of the multilevel splitting (Korotkevich 2021, bioRxiv 060012); p is estimated down to
        ``eps`` and never below: read p = eps as "at most eps". Smaller values cost minutes and mean
        nothing for a test that takes genes as independent.

    Returns
    -------
    DataFrame
        ``collection, term, size, es, nes, pvalue, padj, leading_edge`` sorted by collection (in the
        given order), p-value, size of nes and term. padj is Benjamini-Hochberg per collection.
        ``leading_edge`` joins gene names with ``;``, the most extreme first. Empty where no gene
        has a statistic: a contrast of too few samples.

    Raises
    ------
    InputError
        For duplicate names, missing values, or a statistic with so many ties (rounded values,
        p-values of 1) that the multilevel method cannot order random sets.
    """
    columns = ["collection", "term", "size", "es", "nes", "pvalue", "padj", "leading_edge"]
    values = ranking.to_numpy(dtype=np.float64)
    if len(values) < 2:
        return frame([], columns)
    if not np.isfinite(values).all():
        raise InputError("ranking has missing or infinite values", expected="finite numbers")
    order = np.lexsort((ranking.index.to_numpy(dtype=str), -values))
    names = ranking.index.astype(str)[order]
    values = values[order]
    options = {
        "weight": weight,
        "sample_size": sample_size,
        "nperm": permutations,
        "eps": eps,
        "seed": seed,
    }
    rows: list[dict[str, Any]] = []
    for collection, sets in positions(names, collections, min_size, max_size).items():
        terms = sorted(sets, key=lambda term: (len(sets[term]), term))
        for start in range(0, len(terms), BATCH):
            batch = {term: sets[term] for term in terms[start : start + BATCH]}
            for term, found in _multilevel(values, batch, options).items():
                rows.append(
                    {
                        "collection": collection,
                        "term": term,
                        "size": len(batch[term]),
                        "es": found.es,
                        "nes": found.nes,
                        "pvalue": max(found.pval, eps),
                        "leading_edge": SEPARATOR.join(
                            names[_leading_edge(np.array(found.hits), found.es, values, weight)]
                        ),
                    }
                )
    return ordered(frame(rows, columns), collections)


def _leading_edge(hits: Ints, es: float, values: Floats, weight: float) -> Ints:
    """Positions of a set's genes up to where its running sum is farthest from 0, extreme first.

    The running sum has its extremes at the set's genes, after one or before one: the sum over all
    genes, which gseapy offers, is a list as long as the ranking for every set.
    """
    steps = np.abs(values[hits]) ** weight
    misses = (hits - np.arange(len(hits))) / max(len(values) - len(hits), 1)
    with np.errstate(invalid="ignore"):
        after = np.cumsum(steps) / steps.sum() - misses
        before = (np.cumsum(steps) - steps) / steps.sum() - misses
    if es >= 0:
        return hits[: int(after.argmax()) + 1]
    return hits[int(before.argmin()) :][::-1]


def _multilevel(
    values: Floats, sets: Mapping[str, Ints], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Test sets of positions in a sorted ranking; one call of what gseapy has compiled.

    ``gseapy.prerank`` does the same, and before it sorts, renames and upper-cases genes, after it
    builds a table of every running sum: nine tenths of its time on sets as these.
    """
    # For plots, which import matplotlib, over-representation and web services: not asked for.
    web = ("requests", "requests.adapters", "urllib3.util.retry")
    with put_off("gseapy.plot", "scipy.stats", *web):
        from gseapy.gse import fgsea_rs

    # Codes, since the order of names is the order in which equal sets are drawn.
    genes = [f"G{i:07d}" for i in range(len(values))]
    coded = {f"S{i:07d}": [genes[row] for row in rows] for i, rows in enumerate(sets.values())}
    try:
        found = fgsea_rs(
            genes, values.tolist(), coded, min_size=1, max_size=len(genes), threads=1, **options
        ).summaries
    except BaseException as error:
        # gseapy 1.3.1 panics in Rust (not an Exception) when many statistics are equal.
        if type(error).__name__ != "PanicException":
            raise
        share = 1 - len(np.unique(np.abs(values))) / len(values)
        raise InputError(
            f"multilevel GSEA cannot rank these statistics: {share:.0%} are tied",
            expected="a continuous statistic, as the Wald statistic",
            remedy="rank by an unrounded statistic, or leave out genes that were not tested",
        ) from error
    label = dict(zip(coded, sets, strict=True))
    return {label[one.term]: one for one in found}


def ordered(table: pd.DataFrame, collections: Collections) -> pd.DataFrame:
    """Return rows in the collections' order, by p-value, then effect, then name."""
    rank = {name: i for i, name in enumerate(collections)}
    strength = table["nes"].abs() if "nes" in table else 0.0
    keys = table.assign(_place=table["collection"].map(rank), _weaker=-strength)
    order = keys.sort_values(["_place", "pvalue", "_weaker", "term"], kind="stable").index
    return table.loc[order].reset_index(drop=True)


def ora(
    selected: Iterable[str],
    background: Iterable[str],
    collections: Collections,
    *,
    min_size: int,
    max_size: int,
) -> pd.DataFrame:
    """Over-representation of sets among selected genes, by the hypergeometric distribution.

    Parameters
    ----------
    selected
        Names of the genes called; each must be in ``background``.
    background
        The *tested* genes: a gene that could not be called is no evidence either way.
    collections
        ``{collection: {term: genes}}``.
    min_size, max_size
        Tested genes a set must have.

    Returns
    -------
    DataFrame
        ``collection, term, size, overlap, expected, fold, pvalue, padj, genes``; the p-value is the
        upper tail P(X >= overlap).
    """
    tested = pd.Index(dict.fromkeys(background), dtype=object)
    chosen = set(selected)
    if outside := sorted(chosen - set(tested)):
        raise InputError(
            f"selected genes that were not tested: {', '.join(outside[:5])}",
            expected="selected to be part of the background",
        )
    hit = np.array([g in chosen for g in tested])
    rows = []
    for collection, sets in positions(tested, collections, min_size, max_size).items():
        sizes = np.array([len(where) for where in sets.values()], dtype=np.int64)
        overlaps = np.array([hit[where].sum() for where in sets.values()], dtype=np.int64)
        chances = distributions.hypergeometric_pvalue(overlaps, len(tested), len(chosen), sizes)
        for (term, where), overlap, chance in zip(sets.items(), overlaps, chances, strict=True):
            expected = len(where) * len(chosen) / len(tested)
            rows.append(
                {
                    "collection": collection,
                    "term": term,
                    "size": len(where),
                    "overlap": int(overlap),
                    "expected": expected,
                    "fold": overlap / expected if expected else np.nan,
                    "pvalue": float(chance),
                    "genes": SEPARATOR.join(sorted(map(str, tested[where][hit[where]]))),
                }
            )
    columns = ["collection", "term", "size", "overlap", "expected", "fold", "pvalue", "padj"]
    return ordered(frame(rows, [*columns, "genes"]), collections)
