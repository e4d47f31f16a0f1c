"""Cell types from a marker panel, with a score and an honest ``unassigned``.

Clusters are named, not single nuclei: one nucleus shows too few of the markers. As in ScType
(Ianevski et al. 2022, Nat Commun 13:1246) a marker counts less the more types list it, and
negative markers count against; the thresholds are relative to the other clusters of the study,
so that ambient RNA (which is in every cluster) names nothing. A name also needs the type's own
markers among the first genes of the cluster (:mod:`alsmuscle.cells.carried`). A spot holds several
cells, so that neither required nor negative markers hold: spots are called by what they are rich
in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.cells import carried
from alsmuscle.core.errors import InputError
from alsmuscle.stats.distributions import hypergeometric_pvalue

if TYPE_CHECKING:
    from anndata import AnnData

UNASSIGNED = "unassigned"
COLUMNS = ("cell_type", "lineage", "organism", "gene", "kind", "material", "source")
KINDS = ("positive", "required", "negative")
# Shared by types that have nothing else in common (NCAM1: NK, Schwann, denervated fibre and
# satellite cell): with only these raised, nothing is named.
NEVER_SOLE = frozenset({"NCAM1", "CHRNA1", "CD34", "VCAM1", "FABP4", "LYVE1", "ACTA2", "CDKN1A"})


def check_panel(panel: pd.DataFrame, *, where: str = "config/celltypes.tsv") -> pd.DataFrame:
    """Validate a marker panel and return it.

    One marker per row: ``cell_type``, ``lineage`` (the coarser type), ``organism``
    (``human``/``mouse``), ``gene`` (symbol), ``kind`` (``positive``; ``required``: positive, and at
    least one of these must be raised; ``negative``), ``material`` (``any``, or the one in which the
    marker holds), ``source`` with its mark: (S) seen at the source, (M) from memory.

    Raises InputError for missing columns or values, unknown words, a gene listed twice for a type,
    a type of two lineages, or one whose only positive markers must never stand alone.
    """
    missing = [c for c in COLUMNS if c not in panel]
    if missing:
        raise InputError(f"columns missing: {', '.join(missing)}", where=where)
    if (
        panel.empty
        or panel[list(COLUMNS)].isna().any(axis=None)
        or (panel[list(COLUMNS)] == "").any(axis=None)
    ):
        raise InputError("empty cells or no rows", where=where, expected="a value in every column")
    words = {
        "organism": ("human", "mouse"),
        "kind": KINDS,
        "material": ("any", "nuclei", "cells", "spots"),
    }
    for column, allowed in words.items():
        odd = sorted(set(panel[column]) - set(allowed))
        if odd:
            raise InputError(
                f"unknown {column}: {', '.join(map(str, odd))}",
                where=where,
                expected=", ".join(allowed),
            )
    unmarked = panel.loc[~panel["source"].str.contains(r"\([SM]|\bM\b", regex=True), "source"]
    if len(unmarked):
        raise InputError(
            f"source without a mark: {unmarked.iloc[0]}", where=where, expected="(S) or (M)"
        )
    for (cell_type, organism), rows in panel.groupby(["cell_type", "organism"]):
        name = f"{cell_type} ({organism})"
        twice = rows.loc[rows["gene"].duplicated(), "gene"]
        if len(twice):
            raise InputError(f"{name}: {twice.iloc[0]} is listed twice", where=where)
        if rows["lineage"].nunique() > 1:
            raise InputError(f"{name}: more than one lineage", where=where)
        positive = rows.loc[rows["kind"] != "negative", "gene"].str.upper()
        if len(positive) < 2 or set(positive) <= NEVER_SOLE:
            raise InputError(
                f"{name}: fewer than two positive markers, or only markers that never stand alone",
                where=where,
            )
    return panel


def select_markers(panel: pd.DataFrame, *, organism: str, material: str) -> pd.DataFrame:
    """Return the rows for one organism that hold in one material, with a ``weight``.

    The weight of a marker is 1 / number of types that list it as positive (of this organism).
    Raises InputError when the panel has no markers for the organism.
    """
    rows = panel[(panel["organism"] == organism) & panel["material"].isin(["any", material])].copy()
    if rows.empty:
        raise InputError(f"no markers for organism '{organism}'", expected="human or mouse")
    positive = rows[rows["kind"] != "negative"]
    rows["weight"] = 1 / rows["gene"].map(positive["gene"].value_counts()).fillna(1)
    return rows


def marker_table(cells: AnnData, genes: list[str], *, by: str = "cluster") -> pd.DataFrame:
    """Mean expression and detection of genes per cluster.

    Returns one row per cluster and gene: ``cluster, gene, mean`` (of counts per 10,000),
    ``detected`` (share of cells), ``scaled`` (mean over the highest cluster's mean). Genes are
    symbols; rows of one symbol are added. ``cells.X`` is log-normalised CSR.
    """
    symbols = cells.var["symbol"].astype(str)
    wanted = pd.Index(genes).intersection(symbols.unique())
    position = np.flatnonzero(symbols.isin(wanted))
    X = cells.X[:, position].tocsc()
    code, levels = pd.factorize(cells.obs[by].astype(str), sort=True)
    size = np.bincount(code)
    mean, detected = np.zeros((len(levels), len(wanted))), np.zeros((len(levels), len(wanted)))
    place = wanted.get_indexer(symbols.iloc[position])
    for column, gene in enumerate(place):
        rows = X.indices[X.indptr[column] : X.indptr[column + 1]]
        values = np.expm1(X.data[X.indptr[column] : X.indptr[column + 1]])
        mean[:, gene] += np.bincount(code[rows], values, minlength=len(levels)) / size
        share = np.bincount(code[rows], minlength=len(levels)) / size
        detected[:, gene] = np.maximum(detected[:, gene], share)
    top = mean.max(axis=0, keepdims=True)
    scaled = np.divide(mean, top, out=np.zeros_like(mean), where=top > 0)
    index = pd.MultiIndex.from_product([levels, wanted], names=["cluster", "gene"])
    data = {"mean": mean.ravel(), "detected": detected.ravel(), "scaled": scaled.ravel()}
    return pd.DataFrame(data, index=index).reset_index()


def panel_view(cells: AnnData, panel: pd.DataFrame, *, organism: str) -> pd.DataFrame:
    """Mean and detection of the panel's positive markers per cluster (contract ``markers``).

    Call after :func:`annotate`: rows carry the name that the cluster was given.
    """
    positive = panel[(panel["organism"] == organism) & (panel["kind"] != "negative")]
    listed = positive.groupby("gene")["cell_type"].agg("; ".join)
    table = marker_table(cells, sorted(listed.index))
    pairs = cells.obs[["cluster", "cell_type"]].astype(str).drop_duplicates()
    table["cell_type"] = table["cluster"].map(pairs.set_index("cluster")["cell_type"])
    table["listed_for"] = table["gene"].map(listed)
    return table


def top_genes(sums: carried.ClusterSums, *, n: int = 10) -> pd.Series:
    """Genes that stand out most in each cluster against all other cells, ``;``-joined symbols.

    Ranked by the difference of means of log-normalised values among genes seen in a quarter of the
    cluster. A description that needs no panel; cells are no replicates, so nothing is tested.
    """
    size, total = sums.size[:, None], sums.total
    rest = (total.sum(axis=0) - total) / np.maximum(size.sum() - size, 1)
    difference = np.where(sums.seen >= 0.25 * size, total / size - rest, -np.inf)
    named = {}
    for row, level in enumerate(sums.clusters):
        order = np.argsort(-difference[row], kind="stable")[:n]
        named[level] = "; ".join(sums.symbols[i] or "?" for i in order if difference[row, i] > 0)
    return pd.Series(named, name="top_genes")


def score_clusters(
    table: pd.DataFrame,
    markers: pd.DataFrame,
    *,
    min_detected: float,
    min_scaled: float,
    min_fold: float,
) -> pd.DataFrame:
    """Score every cluster against every cell type.

    A marker is *raised* in a cluster when it is detected in ``min_detected`` of its cells, its mean
    is at least ``min_scaled`` of the highest cluster's, and at least ``min_fold`` times the lower
    quartile over clusters (the soup level). Score = weighted mean, over the type's measured
    positive markers, of scaled expression where raised, minus the mean of the same over its
    measured negative markers; -1 to 1.

    A type is *admissible* with two raised positive markers or more, of which one may stand alone
    (not in ``NEVER_SOLE``), at least one raised ``required`` marker where there are such, and,
    where negatives are measured, one or more and at least half of them not raised.

    Returns one row per cluster and type: ``cluster, cell_type, lineage, score, n_measured,
    n_raised, raised, admissible``.
    """
    scaled = table.pivot(index="cluster", columns="gene", values="scaled")
    mean = table.pivot(index="cluster", columns="gene", values="mean")
    detected = table.pivot(index="cluster", columns="gene", values="detected")
    soup = mean.quantile(0.25, axis=0)
    raised = (detected >= min_detected) & (scaled >= min_scaled) & (mean >= min_fold * soup)
    strength = scaled.where(raised, 0.0)
    rows: list[dict[str, Any]] = []
    for cell_type, type_rows in markers.groupby("cell_type", sort=False):
        seen = type_rows[type_rows["gene"].isin(scaled.columns)].set_index("gene")
        positive = seen.index[seen["kind"] != "negative"]
        negative = seen.index[seen["kind"] == "negative"]
        required = seen.index[seen["kind"] == "required"]
        may_lead = [g for g in positive if str(g).upper() not in NEVER_SOLE]
        if len(positive) < 2:
            continue
        weight = seen.loc[positive, "weight"].to_numpy(dtype=np.float64)
        score = strength[positive].to_numpy() @ weight / weight.sum()
        if len(negative):
            score = score - strength[negative].to_numpy().mean(axis=1)
        n_raised = raised[positive].sum(axis=1)
        ok = (n_raised >= 2) & raised[may_lead].any(axis=1)
        if (type_rows["kind"] == "required").any():
            ok &= raised[required].any(axis=1) if len(required) else False
        if len(negative):
            quiet = (~raised[negative]).sum(axis=1)
            ok &= (quiet >= 1) & (quiet >= len(negative) / 2)
        for i, cluster in enumerate(scaled.index):
            names = [g for g in positive if raised.at[cluster, g]]
            rows.append(
                {
                    "cluster": cluster,
                    "cell_type": cell_type,
                    "lineage": type_rows["lineage"].iloc[0],
                    "score": float(score[i]),
                    "n_measured": len(positive),
                    "n_raised": int(n_raised.iloc[i]),
                    "raised": " ".join(names),
                    "admissible": bool(ok.iloc[i]),
                }
            )
    return pd.DataFrame(rows)


def name_clusters(scores: pd.DataFrame, *, min_score: float, min_margin: float) -> pd.DataFrame:
    """Give every cluster its best admissible type, or ``unassigned`` with the reason.

    The best must reach ``min_score``, and lead the best admissible type of *another lineage* by
    ``min_margin``. Types of one lineage share markers by nature and do not block each other; those
    within ``min_margin`` are listed in ``near``: there the lineage is sure, the type is not.
    A type that is admissible but not ``carried_enough`` (:func:`demand_carried`) names nothing.
    Returns, per cluster: ``cell_type, lineage, score, runner_up, margin, near, reason`` (empty
    where named).
    """
    rows = []
    for cluster, group in scores.groupby("cluster", sort=False):
        raised = group[group["admissible"]].sort_values("score", ascending=False, kind="stable")
        ranked = raised[raised["carried_enough"]]
        name, lineage, score = UNASSIGNED, UNASSIGNED, float("nan")
        runner, margin, near, reason = "", float("nan"), "", ""
        if ranked.empty and len(raised):
            best = raised.iloc[0]
            reason = (
                f"best is {best['cell_type']}, but only {best['n_carried']} of its "
                f"{best['n_measured']} markers are among the cluster's first genes"
            )
        elif ranked.empty:
            reason = "no type has two raised markers (and its required or negative ones right)"
        else:
            best = ranked.iloc[0]
            score = float(best["score"])
            others = ranked[ranked["lineage"] != best["lineage"]]
            same = ranked.iloc[1:][ranked["lineage"].iloc[1:] == best["lineage"]]
            near = "; ".join(same.loc[score - same["score"] < min_margin, "cell_type"])
            if len(others):
                runner = str(others.iloc[0]["cell_type"])
                margin = score - float(others.iloc[0]["score"])
            if score < min_score:
                reason = f"best is {best['cell_type']} at {score:.2f}, below {min_score}"
            elif margin < min_margin:
                reason = f"{best['cell_type']} and {runner} within {margin:.2f}"
            else:
                name, lineage = str(best["cell_type"]), str(best["lineage"])
        rows.append(
            {
                "cluster": cluster,
                "cell_type": name,
                "lineage": lineage,
                "score": score,
                "runner_up": runner,
                "margin": margin,
                "near": near,
                "reason": reason,
            }
        )
    return pd.DataFrame(rows).set_index("cluster")


def demand_carried(
    cells: AnnData,
    scores: pd.DataFrame,
    markers: pd.DataFrame,
    *,
    material: str,
    n_first: int,
    min_carried: Mapping[str, float],
    min_detected: float,
) -> pd.DataFrame:
    """Add to scores what of a type's markers the clusters' first genes carry.

    Columns: ``carried, n_carried`` (:func:`alsmuscle.cells.carried.carried_share`), ``chance``
    (that as many of ``n_measured`` genes are among the first by chance: it orders, and is no test)
    and ``carried_enough``: two or more, and at least ``min_carried[material]`` of them by weight.
    Spots are ranked against all other spots, since any of them may hold some cells of the type.
    """
    sums = carried.cluster_sums([cells], squares=True)
    asked = scores.assign(admissible=False) if material == "spots" else scores
    share = carried.carried_share(sums, asked, markers, n_first=n_first, min_detected=min_detected)
    out = scores.join(share)
    out["chance"] = hypergeometric_pvalue(
        out["n_carried"], cells.n_vars, out["n_measured"], min(n_first, cells.n_vars)
    )
    out["carried_enough"] = (out["n_carried"] >= 2) & (out["carried"] >= min_carried[material])
    return out


_KEEP_CAPITAL = ("Schwann", "Treg")


def _in_spots(cell_type: str) -> str:
    """Return a type as it is called where whole fibres and cells are sequenced, not nuclei."""
    words = cell_type.replace("myonuclei", "fibres")
    plain = words[1:2].islower() and not words.startswith(_KEEP_CAPITAL)
    return words[0].lower() + words[1:] if plain else words


def name_spots(scores: pd.DataFrame) -> pd.DataFrame:
    """Call clusters of spots by what they are rich in; columns as :func:`name_clusters`.

    The type that is least likely by chance among those ``carried_enough``, and the next of another
    lineage beside it. ``score`` is the share of the first type's markers that the cluster's first
    genes carry, ``margin`` its lead over the runner-up. With none the spots are mixed.
    """
    rows = []
    for cluster, group in scores.groupby("cluster", sort=False):
        ranked = group[group["carried_enough"]]
        ranked = ranked.sort_values(["chance", "carried"], ascending=[True, False], kind="stable")
        row = {"cluster": cluster, "cell_type": UNASSIGNED, "lineage": UNASSIGNED}
        row |= {"score": float("nan"), "runner_up": "", "margin": float("nan"), "near": ""}
        row["reason"] = "mixed spots: no type's markers lead"
        if len(ranked):
            best = ranked.iloc[0]
            others = ranked[ranked["lineage"] != best["lineage"]]
            same = ranked.iloc[1:][ranked["lineage"].iloc[1:] == best["lineage"]]
            both = [str(best["cell_type"]), *others["cell_type"].head(1).astype(str)]
            row["cell_type"] = "Spots rich in " + " and ".join(map(_in_spots, both))
            row |= {"lineage": best["lineage"], "score": float(best["carried"]), "reason": ""}
            row["near"] = "; ".join(map(_in_spots, same["cell_type"].astype(str)))
            if len(others):
                row["runner_up"] = _in_spots(str(others.iloc[0]["cell_type"]))
                row["margin"] = row["score"] - float(others.iloc[0]["carried"])
        rows.append(row)
    return pd.DataFrame(rows).set_index("cluster")


def annotate(
    cells: AnnData,
    panel: pd.DataFrame,
    *,
    organism: str,
    material: str,
    min_score: float,
    min_margin: float,
    min_detected: float,
    min_scaled: float,
    min_fold: float,
    n_first: int,
    min_carried: Mapping[str, float],
) -> pd.DataFrame:
    """Name a study's clusters; adds ``cell_type``, ``lineage``, ``cell_type_score`` to ``obs``.

    Parameters
    ----------
    cells
        ``X`` log-normalised CSR, ``obs["cluster"]``, ``var["symbol"]``; ``obs["doublet_score"]``
        where scored.
    panel
        Marker panel (:func:`check_panel`).
    organism, material
        Which of its markers apply.
    min_score, min_margin, min_detected, min_scaled, min_fold
        See :func:`name_clusters` and :func:`score_clusters`.
    n_first, min_carried
        See :func:`demand_carried`.

    Returns
    -------
    DataFrame
        One row per cluster: ``n_cells`` and what :func:`name_clusters` or :func:`name_spots`
        returns. The scores of all types are kept in ``uns["cell_type_scores"]``.
        A cluster whose median doublet score exceeds the 95th percentile of all cells is left
        unassigned as doublets. ``cell_type_score`` is the cell's own: the weighted mean of the
        type's positive markers that it shows, minus the share of negative ones (missing where
        unassigned, and for spots).

    Raises
    ------
    InputError
        When fewer than two types have two markers among the study's genes (wrong identifiers?).
    """
    markers = select_markers(panel, organism=organism, material=material)
    known = set(cells.var["symbol"].astype(str))
    positive = markers[(markers["kind"] != "negative") & markers["gene"].isin(known)]
    if (positive.groupby("cell_type").size() >= 2).sum() < 2:
        raise InputError(
            f"only {positive['gene'].nunique()} of {markers['gene'].nunique()} {organism} marker "
            "genes are in the study",
            expected="gene symbols in var['symbol'] of the stated organism",
            remedy="check organism and gene identifiers in the study's card",
        )
    table = marker_table(cells, sorted(set(markers["gene"])))
    scores = score_clusters(
        table,
        markers,
        min_detected=min_detected,
        min_scaled=min_scaled,
        min_fold=min_fold,
    )
    scores = demand_carried(
        cells,
        scores,
        markers,
        material=material,
        n_first=n_first,
        min_carried=min_carried,
        min_detected=min_detected,
    )
    if material == "spots":
        named = name_spots(scores)
    else:
        named = name_clusters(scores, min_score=min_score, min_margin=min_margin)
    cluster = cells.obs["cluster"].astype(str)
    named.insert(0, "n_cells", cluster.value_counts().reindex(named.index).astype(int))
    doublet_score = cells.obs.get("doublet_score")
    if doublet_score is not None and doublet_score.notna().any():
        high = doublet_score.groupby(cluster).median() > doublet_score.quantile(0.95)
        for name in named.index[high.reindex(named.index, fill_value=False)]:
            named.loc[name, "cell_type"] = named.loc[name, "lineage"] = UNASSIGNED
            named.loc[name, "reason"] = "doublets: median score above the 95th percentile"
    for column in ("cell_type", "lineage"):
        cells.obs[column] = pd.Categorical(cluster.map(named[column]))
    cells.obs["cell_type_score"] = _cell_scores(cells, markers)
    cells.uns["cell_type_scores"] = scores
    return named


def _cell_scores(cells: AnnData, markers: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Score each cell for the type it was given: share of markers shown (weighted)."""
    symbols = cells.var["symbol"].astype(str)
    # Markers' columns first: rows of the whole matrix would be copied otherwise.
    position = np.flatnonzero(symbols.isin(set(markers["gene"])))
    shown, genes = cells.X[:, position] > 0, symbols.iloc[position].to_numpy()
    cell_type = cells.obs["cell_type"].astype(str).to_numpy()
    out = np.full(cells.n_obs, np.nan)
    for name, rows in markers.groupby("cell_type"):
        here = np.flatnonzero(cell_type == name)
        if len(here) == 0:
            continue
        total = np.zeros(len(here))
        for negative in (False, True):
            chosen = rows[(rows["kind"] == "negative") == negative].set_index("gene")["weight"]
            weight = np.array([chosen.get(g, 0.0) for g in genes])
            if negative:
                weight = (weight > 0).astype(float)
            if weight.any():
                total += (-1 if negative else 1) * (shown[here] @ weight) / weight.sum()
        out[here] = total
    return out
