"""Gene-set tests on a contrast: preranked GSEA, over-representation, camera.

Collections are given as ``{collection: {term: genes}}``. Which question a test answers differs:

* ``gsea`` (Subramanian 2005, PNAS 102:15545) and ``ora`` permute or sample *genes*: they take genes
  as independent and call too many sets where genes are correlated.
* ``camera`` and ``camera_pr`` (Wu & Smyth 2012, Nucleic Acids Res 40:e133) ask the same competitive
  question and allow for correlation between the genes of a set. With the usual fixed correlation of
  0.01 they are still far too ready in muscle; estimated, they hold the level and find little where
  many genes move, since they inflate the genes' true differences along with the noise.
* ``set_effects`` treats a set as a programme block: an effect in log2 units, its sampling error from
  the samples, compared with sets matched on expression. It holds the level and keeps its power.

``test_sets`` puts the last three beside each other for the tables of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.core.types import Floats, Ints
from alsmuscle.genesets.programmes import effects, linear_contrast
from alsmuscle.stats import distributions
from alsmuscle.stats.moderation import squeeze_var

Collections = Mapping[str, Mapping[str, Iterable[str]]]

SEPARATOR = ";"
BATCH = 250  # sets per call of gseapy, which keeps a running sum as long as the ranking for each


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


def ranking(
    de: pd.DataFrame, statistic: str = "stat", names: pd.Series[str] | None = None
) -> pd.Series[float]:
    """Rank the genes of one contrast and cell type for the preranked tests.

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
    Series
        The statistic by name, decreasing; genes without a statistic are left out. Of several genes
        with one name the most expressed stays, never the one with the largest effect. Ties are
        ordered by name, so that the result does not depend on the order of rows.
    """
    table = de.loc[de[statistic].notna(), ["gene_id", "symbol", "base_mean", statistic]].copy()
    if not np.isfinite(table[statistic].to_numpy(dtype=np.float64)).all():
        raise InputError(f"{statistic} has infinite values", expected="finite numbers or missing")
    name = table["symbol"] if names is None else table["gene_id"].map(names)
    table["name"] = name.mask(name.isna() | (name.astype(str) == ""), table["gene_id"])
    table = table.sort_values(["base_mean", "gene_id"], ascending=[False, True], kind="stable")
    table = table.drop_duplicates("name")
    table = table.sort_values([statistic, "name"], ascending=[False, True], kind="stable")
    return pd.Series(
        table[statistic].to_numpy(dtype=np.float64),
        index=pd.Index(table["name"].astype(str), name="name"),
        name=statistic,
    )


def _positions(
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


def _frame(rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
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
    min_size: int = 10,
    max_size: int = 500,
    weight: float = 1.0,
    permutations: int = 1000,
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
        ``leading_edge`` joins gene names with ``;``, the most extreme first. Empty where no gene has
        a statistic: a contrast of too few samples.

    Raises
    ------
    InputError
        For duplicate names, missing values, or a statistic with so many ties (rounded values,
        p-values of 1) that the multilevel method cannot order random sets.
    """
    columns = ["collection", "term", "size", "es", "nes", "pvalue", "padj", "leading_edge"]
    values = ranking.to_numpy(dtype=np.float64)
    if len(values) < 2:
        return _frame([], columns)
    if not np.isfinite(values).all():
        raise InputError("ranking has missing or infinite values", expected="finite numbers")
    order = np.lexsort((ranking.index.to_numpy(dtype=str), -values))
    names = ranking.index.astype(str)[order]
    values = values[order]
    # Opaque codes: gseapy upper-cases names when most of a set's are, and renames repeated ones.
    codes = np.array([f"G{i:07d}" for i in range(len(names))])
    decode = dict(zip(codes, names, strict=True))
    options = {
        "weight": weight,
        "permutation_num": permutations,
        "sample_size": sample_size,
        "eps": eps,
        "seed": seed,
    }
    rows: list[dict[str, Any]] = []
    for collection, sets in _positions(names, collections, min_size, max_size).items():
        # Terms as codes too: gseapy splits and trims what it is given.
        terms = sorted(sets, key=lambda term: (len(sets[term]), term))
        for start in range(0, len(terms), BATCH):
            label = {f"S{i:07d}": term for i, term in enumerate(terms[start : start + BATCH])}
            coded = {code: codes[sets[term]].tolist() for code, term in label.items()}
            for row in _multilevel(pd.Series(values, index=codes), coded, options):
                es, p = float(row["ES"]), float(row["NOM p-val"])
                # Codes sort as the ranking does; from its far end for a set at the bottom.
                edge = sorted(str(row["Lead_genes"]).split(";"), reverse=es < 0)
                rows.append(
                    {
                        "collection": collection,
                        "term": label[row["Term"]],
                        "size": len(coded[row["Term"]]),
                        "es": es,
                        "nes": float(row["NES"]),
                        "pvalue": max(p, eps),
                        "leading_edge": SEPARATOR.join(decode[g] for g in edge),
                    }
                )
    return _ordered(_frame(rows, columns), collections)


def _multilevel(
    ranked: pd.Series[float], sets: Mapping[str, list[str]], options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """One call of gseapy on a ranking that is sorted already."""
    import logging

    import gseapy

    # It would warn on the terminal of ties, whose order is settled here.
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        result = gseapy.prerank(
            rnk=ranked,
            gene_sets=dict(sets),
            outdir=None,
            no_plot=True,
            method="multilevel",
            ascending=None,  # gseapy's own sort leaves the order of ties open
            min_size=1,
            max_size=len(ranked),
            threads=1,
            **options,
        ).res2d
    except BaseException as error:
        # gseapy 1.3.1 panics in Rust (not an Exception) when many statistics are equal.
        if type(error).__name__ != "PanicException":
            raise
        share = 1 - ranked.abs().nunique() / len(ranked)
        raise InputError(
            f"multilevel GSEA cannot rank these statistics: {share:.0%} are tied",
            expected="a continuous statistic, as the Wald statistic",
            remedy="rank by an unrounded statistic, or leave out genes that were not tested",
        ) from error
    finally:
        logging.disable(before)
    records: list[dict[str, Any]] = result.to_dict("records")
    return records


def _ordered(table: pd.DataFrame, collections: Collections) -> pd.DataFrame:
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
    min_size: int = 5,
    max_size: int = 500,
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
    from scipy.stats import hypergeom

    tested = pd.Index(dict.fromkeys(background), dtype=object)
    chosen = set(selected)
    if outside := sorted(chosen - set(tested)):
        raise InputError(
            f"selected genes that were not tested: {', '.join(outside[:5])}",
            expected="selected to be part of the background",
        )
    hit = np.array([g in chosen for g in tested])
    rows = []
    for collection, sets in _positions(tested, collections, min_size, max_size).items():
        for term, where in sets.items():
            overlap = int(hit[where].sum())
            expected = len(where) * len(chosen) / len(tested)
            p = hypergeom.sf(overlap - 1, len(tested), len(chosen), len(where))
            rows.append(
                {
                    "collection": collection,
                    "term": term,
                    "size": len(where),
                    "overlap": overlap,
                    "expected": expected,
                    "fold": overlap / expected if expected else np.nan,
                    "pvalue": float(p),
                    "genes": SEPARATOR.join(sorted(map(str, tested[where][hit[where]]))),
                }
            )
    columns = ["collection", "term", "size", "overlap", "expected", "fold", "pvalue", "padj"]
    return _ordered(_frame(rows, [*columns, "genes"]), collections)


CAMERA = ["collection", "term", "size", "correlation", "direction", "delta", "pvalue", "padj"]


def camera_pr(
    statistic: pd.Series[float],
    collections: Collections,
    *,
    inter_gene_cor: float = 0.01,
    min_size: int = 10,
    max_size: int = 500,
) -> pd.DataFrame:
    """Competitive test on a ranking, allowing for a given correlation between a set's genes.

    limma's ``cameraPR`` with its default: a two-sample t test of the set's statistics against the
    others, the set's variance inflated by 1 + (m - 1) x correlation.

    Parameters
    ----------
    statistic
        Any roughly normal statistic by gene name (Wald, moderated t).
    collections
        ``{collection: {term: genes}}``.
    inter_gene_cor
        Assumed mean correlation between the genes of a set; limma's preset is 0.01.
    min_size, max_size
        Genes with a statistic a set must have.

    Returns
    -------
    DataFrame
        ``collection, term, size, correlation, direction, delta, pvalue, padj``; ``delta`` is the
        set's mean statistic minus that of the genes outside it.
    """
    values: Floats = np.asarray(statistic, dtype=np.float64)
    if len(values) < 3 or not np.isfinite(values).all():
        raise InputError("statistic has missing or infinite values", expected="finite numbers")
    if not -1 < inter_gene_cor < 1:
        raise InputError(f"inter_gene_cor is {inter_gene_cor}", expected="between -1 and 1")
    where = _positions(statistic.index, collections, min_size, max_size)
    sets = [(c, term, rows) for c, found in where.items() for term, rows in found.items()]
    correlation = np.full(len(sets), inter_gene_cor, dtype=np.float64)
    return _camera(values, sets, correlation, len(values) - 2, collections)


def camera(
    expression: pd.DataFrame,
    design: pd.DataFrame,
    contrast: pd.Series[float] | npt.ArrayLike,
    collections: Collections,
    *,
    inter_gene_cor: float | None = None,
    allow_negative: bool = False,
    min_size: int = 10,
    max_size: int = 500,
) -> pd.DataFrame:
    """Competitive test from the expression matrix, as limma's ``camera``.

    Gene-wise moderated t statistics of the contrast, brought to the normal scale, compared between
    a set and all other genes. With ``inter_gene_cor=None`` the correlation is estimated per set
    from the residuals, which keeps the level and costs power in small studies; a number (limma's
    preset is 0.01) ranks better and is too optimistic for strongly co-regulated sets.

    Parameters
    ----------
    expression
        Genes x samples, log2, index the names used in ``collections``.
    design, contrast
        As for ``programmes.effects``.
    collections
        ``{collection: {term: genes}}``.
    inter_gene_cor
        Correlation between genes of a set, or None to estimate it.
    allow_negative
        Let negative estimates narrow the test; otherwise they count as 0 (and are still shown).
    min_size, max_size
        Measured genes a set must have.

    Returns
    -------
    DataFrame
        As ``camera_pr``.
    """
    from scipy.sparse import csr_array

    model = linear_contrast(expression, design, contrast)
    if model.df < 1:
        raise InputError("no residual degrees of freedom", expected="more samples than terms")
    values = expression.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError("expression has missing or infinite values", expected="finite numbers")
    effect, s2 = model.fit(values)
    fit = squeeze_var(s2, model.df)
    t = effect / np.sqrt(fit.var_post * model.unscaled)
    z = _normal_score(t.astype(np.float64), min(model.df + fit.df_prior, float(len(t) * model.df)))
    where = _positions(expression.index, collections, min_size, max_size)
    sets = [(c, term, rows) for c, found in where.items() for term, rows in found.items()]
    if inter_gene_cor is not None:
        fixed = np.full(len(sets), inter_gene_cor, dtype=np.float64)
        return _camera(z, sets, fixed, len(z) - 2, collections)
    sizes = np.array([len(rows) for _, _, rows in sets], dtype=np.int64)
    columns = np.concatenate([*(rows for _, _, rows in sets), np.array([], dtype=np.int64)])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    sums = csr_array((np.ones(len(columns)), columns, starts), shape=(len(sets), len(z)))
    residual = values @ model.residual / np.sqrt(s2)[:, None]
    vif = ((sums @ residual) ** 2).mean(axis=1) / sizes
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(sizes > 1, (vif - 1) / (sizes - 1), 0.0)
    df = min(model.df, len(z) - 2)
    return _camera(z, sets, correlation, df, collections, allow_negative=allow_negative)


def _normal_score(t: Floats, df: float) -> Floats:
    """Normal equivalents of t statistics: Hill's expansion (1970, Comm ACM 13:617), as limma."""
    if not np.isfinite(df) or df > 1e10:
        return t
    a = df - 0.5
    b = 48 * a**2
    u = a * np.log1p(t**2 / df)
    tail = (((-0.4 * u - 3.3) * u - 24) * u - 85.5) / (0.8 * u**2 + 100 + b)
    out: Floats = np.sign(t) * np.sqrt(u) * ((tail + u + 3) / b + 1)
    return out


def _camera(
    z: Floats,
    sets: Sequence[tuple[str, str, Ints]],
    correlation: Floats,
    df: float,
    collections: Collections,
    *,
    allow_negative: bool = True,
) -> pd.DataFrame:
    if not sets:
        return _frame([], CAMERA)
    total, overall, variance = len(z), z.mean(), z.var(ddof=1)
    size = np.array([len(rows) for _, _, rows in sets], dtype=np.float64)
    mean = np.array([z[rows].mean() for _, _, rows in sets])
    rest = total - size
    if (rest == 0).any():
        raise InputError("a set holds every gene", expected="genes outside the set to compare with")
    delta = total / rest * (mean - overall)
    pooled = ((total - 1) * variance - delta**2 * size * rest / total) / (total - 2)
    vif = 1 + (size - 1) * (correlation if allow_negative else np.maximum(correlation, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = delta / np.sqrt(pooled * (vif / size + 1 / rest))
    p = distributions.t_pvalue(statistic, df)
    rows = [
        {
            "collection": collection,
            "term": term,
            "size": len(where),
            "correlation": correlation[i],
            "direction": "up" if delta[i] > 0 else "down",
            "delta": delta[i],
            "pvalue": p[i],
        }
        for i, (collection, term, where) in enumerate(sets)
    ]
    return _ordered(_frame(rows, CAMERA), collections)


def set_effects(
    expression: pd.DataFrame,
    design: pd.DataFrame,
    contrast: pd.Series[float] | npt.ArrayLike,
    collections: Collections,
    *,
    names: pd.Series[str],
    n_matched: int = 200,
    seed: int = 0,
    min_size: int = 10,
    max_size: int = 500,
    **options: Any,
) -> pd.DataFrame:
    """Effect of a contrast on whole gene sets, tested against sets matched on expression.

    Parameters
    ----------
    expression, design, contrast
        As for ``programmes.effects``: genes x samples, log2 variance-stabilised, index gene ids.
    collections
        ``{collection: {term: genes}}``.
    names
        Gene id to the name used in the collections. Of several genes with one name that of the
        highest mean expression is taken.
    n_matched, seed
        Matched random sets per term, drawn from the genes with a name.
    min_size, max_size
        Measured genes a set must have.
    options
        ``subject``, ``tested`` and ``confidence`` of ``programmes.effects``.

    Returns
    -------
    DataFrame
        ``collection, term, size, effect, se, ci_low, ci_high, background, pvalue, padj,
        pvalue_competitive, padj_competitive``, sorted by collection, competitive p-value and term;
        both padj within the collection. A set's genes count as going in one direction: a pathway
        whose members go both ways shows a small effect.
    """
    mean = expression.mean(axis=1)
    known = names.reindex(expression.index).dropna()
    known = known[known.astype(str) != ""]
    best = known[mean[known.index].sort_values(ascending=False, kind="stable").index]
    best = best[~best.duplicated()]
    # Matched sets come from genes that a set could hold: those without a name or without an ortholog
    # are of another kind (many are no protein genes) and would not be a fair comparison.
    expression = expression.loc[expression.index.isin(best.index)]
    gene_ids = np.asarray(best.index)
    columns = ["effect", "se", "ci_low", "ci_high", "background", "pvalue", "padj"]
    columns += ["pvalue_competitive", "padj_competitive"]
    parts = [pd.DataFrame(columns=["collection", "term", "size", *columns])]
    for collection, sets in _positions(
        pd.Index(best.astype(str)), collections, min_size, max_size
    ).items():
        if not sets:
            continue
        sizes = [len(rows) for rows in sets.values()]
        members = pd.DataFrame(
            {
                "programme": collection,
                "block": np.repeat(list(sets), sizes),
                "stripped": False,
                "sign": 1,
                "gene_id": gene_ids[np.concatenate(list(sets.values()))],
            }
        )
        part = effects(
            expression, design, contrast, members, n_matched=n_matched, seed=seed, **options
        ).rename(columns={"programme": "collection", "block": "term", "n_mapped": "size"})
        part = part.sort_values(["pvalue_competitive", "term"], kind="stable")
        parts.append(part[["collection", "term", "size", *columns]])
    return pd.concat(parts[1:] or parts, ignore_index=True)


SETS = ["collection", "term", "size", "effect", "se", "ci_low", "ci_high", "pvalue", "padj"]
SETS += ["pvalue_competitive", "padj_competitive", "background", "camera_pvalue"]
SETS += ["ora_up_pvalue", "ora_down_pvalue", "group"]


def test_sets(
    expression: pd.DataFrame,
    design: pd.DataFrame,
    contrast: pd.Series[float] | npt.ArrayLike,
    de: pd.DataFrame,
    collections: Collections,
    enriched: pd.DataFrame,
    *,
    names: pd.Series[str],
    padj: float,
    tested: bool = True,
    n_matched: int = 200,
    seed: int = 0,
    min_size: int = 10,
    max_size: int = 500,
) -> pd.DataFrame:
    """Put the tests that look at the samples side by side: one row per set of a contrast.

    Parameters
    ----------
    expression, design, contrast
        As for ``set_effects``. Genes without a statistic in ``de`` are left out, so that every test
        has the same genes.
    de
        Contract ``de`` of the contrast, one cell type.
    collections
        ``{collection: {term: genes}}``.
    enriched
        From ``gsea`` on the same genes and collections: its leading edges group the terms.
    names
        Gene id to the name used in the collections; genes it lacks stay in the background.
    padj
        Adjusted p below which a gene is called, for over-representation.
    tested
        False where the rule on group sizes forbids a test: every p-value is missing.
    n_matched, seed, min_size, max_size
        As for ``set_effects``.

    Returns
    -------
    DataFrame
        ``collection, term, size, effect, se, ci_low, ci_high, pvalue, padj, pvalue_competitive,
        padj_competitive, background, camera_pvalue, ora_up_pvalue, ora_down_pvalue, group`` in the
        order of ``set_effects``. The evidence is ``pvalue_competitive``; ``camera_pvalue`` is
        ``camera`` with estimated correlation; the ``ora`` columns test the genes called up and
        down among those with an adjusted p-value. ``group``: see ``group_terms``, by competitive
        p-value and direction of ``effect``.
    """
    keys = ["collection", "term"]
    with_statistic = de.loc[de["stat"].notna(), "gene_id"]
    values = expression.loc[expression.index.isin(with_statistic)]
    out = set_effects(
        values,
        design,
        contrast,
        collections,
        names=names,
        n_matched=n_matched,
        seed=seed,
        tested=tested,
        min_size=min_size,
        max_size=max_size,
    )
    columns = ["camera_pvalue", "ora_up_pvalue", "ora_down_pvalue"]
    if tested and len(out):
        name = names.reindex(values.index)
        name = name.mask(name.isna() | (name == ""), values.index.to_series())
        ordered = values.mean(axis=1).sort_values(ascending=False, kind="stable").index
        once = name[ordered].drop_duplicates()
        named = values.loc[once.index].set_axis(pd.Index(once.astype(str)))
        found = {
            columns[0]: camera(
                named, design, contrast, collections, min_size=min_size, max_size=max_size
            )
        }
        possible = de[de["padj"].notna()]
        change = ranking(possible, names=names)
        called = ranking(possible, "padj", names).reindex(change.index) < padj
        for column, direction in ((columns[1], change > 0), (columns[2], change < 0)):
            found[column] = ora(
                change.index[called & direction],
                change.index,
                collections,
                min_size=1,
                max_size=max_size,
            )
        for column, table in found.items():
            out = out.merge(
                table[[*keys, "pvalue"]].rename(columns={"pvalue": column}), on=keys, how="left"
            )
    out = out.reindex(columns=[*out.columns, *(c for c in columns if c not in out)])
    edges = out[keys].merge(enriched[[*keys, "leading_edge"]], on=keys, how="left")
    out["group"] = group_terms(
        edges.assign(
            pvalue=out["pvalue_competitive"],
            nes=out["effect"],
            leading_edge=edges["leading_edge"].fillna(""),
        )
    )
    return out[SETS]


def group_terms(results: pd.DataFrame, overlap: float = 0.5) -> pd.Series[str]:
    """Name for each row of ``gsea`` the term that stands for it in a display.

    Terms are taken in order of p-value (then |nes|, then name). A term joins the first
    representative of the same direction with which it shares at least ``overlap`` of the smaller
    leading edge, whatever their collections; otherwise it represents itself. Nothing is tested
    again: all terms stay in the table.

    Parameters
    ----------
    results
        From ``gsea``, as a rule cut to the significant terms.
    overlap
        Share of the smaller leading edge, above 0 and at most 1.

    Returns
    -------
    Series
        Index as ``results``, value ``collection: term`` of the representative.
    """
    if not 0 < overlap <= 1:
        raise InputError(f"overlap is {overlap}", expected="above 0 and at most 1")
    order = results.assign(_=-results["nes"].abs()).sort_values(
        ["pvalue", "_", "collection", "term"], kind="stable"
    )
    kept: list[tuple[str, bool, set[str]]] = []
    group: dict[Any, str] = {}
    for row in order.itertuples():
        edge, up = set(str(row.leading_edge).split(SEPARATOR)) - {""}, float(str(row.nes)) > 0
        for name, direction, other in kept:
            shared = len(edge & other) if direction == up else 0
            if shared and shared >= overlap * min(len(edge), len(other)):
                group[row.Index] = name
                break
        else:
            group[row.Index] = f"{row.collection}: {row.term}"
            kept.append((group[row.Index], up, edge))
    return pd.Series(group, dtype=object).reindex(results.index)
