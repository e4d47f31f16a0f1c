"""Glue of the synthesis: from the tables of single studies to what is pooled, compared and judged.

The statistics are in ``meta``, ``denervation`` and ``claims``; here their inputs are shaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.core import contracts
from alsmuscle.data import cards
from alsmuscle.design import marks
from alsmuscle.design import matrix as designs
from alsmuscle.genesets import programmes
from alsmuscle.stats import distributions, meta_analysis
from alsmuscle.stats.moderation import squeeze_var
from alsmuscle.synthesis import axis as denervation
from alsmuscle.synthesis import claims

if TYPE_CHECKING:
    from anndata import AnnData

KEY = ["dataset", "contrast", "cell_type"]
BLOCK = ["programme", "block", "stripped"]
ALS_ROLES = ("als_patient", "als_model", "als_cells")
FIRST_RUN = "first run"


# --- what goes in ------------------------------------------------------------------------------


def contrast_facts(
    card: Mapping[str, Any],
    contrast: Mapping[str, Any],
    *,
    samples: pd.DataFrame | None = None,
    warnings: pd.DataFrame | None = None,
    effects: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Return one row for :func:`alsmuscle.synthesis.claims.contrast_table`.

    Parameters
    ----------
    card
        ``id, organism, modality, platform`` and, where known, ``cluster, simulated``.
    contrast
        With every optional key, as ``cards.contrast`` returns it.
    samples, warnings
        The study's tables; donors are counted among the samples that enter the model. A sample
        without a donor id counts as its own donor.
    effects
        ``de`` table of a published contrast, which has no samples: its group sizes are taken.
    """
    row: dict[str, Any] = {
        "dataset": card["id"],
        "contrast": contrast["id"],
        "role": contrast["role"],
        "species": card["organism"],
        "stage": contrast["stage"],
        "muscle": "",
        "material": "",
        "modality": card["modality"],
        "platform": card["platform"],
        "cluster": card.get("cluster", ""),
        "confounded": "",
        "simulated": card.get("simulated", False),
        "published": card["modality"] == "effects",
        "tag": contrast.get("tag", ""),
        "problem": "",
        "n_target": 0,
        "n_reference": 0,
    }
    if contrast.get("kind", "difference") != "difference" and not row["tag"]:
        row["problem"] = "no difference between two groups: its effects mean something else"
    if effects is not None and len(effects):
        row["n_target"] = int(effects["n_target"].max())
        row["n_reference"] = int(effects["n_reference"].max())
    if samples is not None:
        used = designs.used_samples(samples, contrast)
        sides = designs.sides(used, contrast)
        donor = used["subject_id"].where(used["subject_id"] != "", used["sample_id"])
        row["n_target"], row["n_reference"] = (donor[side].nunique() for side in sides)
        compared = used[sides[0] | sides[1]]
        for column in ("muscle", "material"):
            row[column] = ", ".join(sorted(set(compared[column]) - {""}))
    found = marks.facts(warnings, card, contrast["id"])
    row["confounded"] = found.pop("confounded")
    barring = [kind for kind in marks.BARRING if found.get(kind)]
    row["doubts"] = " ".join(f"{marks.MARKS[kind].label}: {found[kind]}" for kind in barring)
    return row


def superseded(card: Mapping[str, Any], admitted: Iterable[str]) -> str:
    """Say why published results are not pooled where their own study takes part; else empty.

    One study counts once, by its fullest route: its samples, then a table, then a list.
    """
    route = card.get("route_of", "")
    if route and route in set(admitted):
        return f"the same study is analysed from its samples ({route})"
    return ""


def list_facts(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for :func:`alsmuscle.synthesis.claims.contrast_table` per list of called genes."""
    rows = []
    for key, sizes in card["calls"]["comparisons"].items():
        facts = contrast_facts(card, cards.contrast(dict(card), key))
        rows.append(
            {
                **facts,
                "published": True,
                "n_target": sizes["n_target"],
                "n_reference": sizes["n_reference"],
                "problem": "a list of called genes: shown as its own evidence, never pooled",
            }
        )
    return rows


def published_blocks(
    effects: pd.DataFrame,
    members: pd.DataFrame,
    *,
    inter_gene_correlation: float,
    measured: pd.Series[float] | None = None,
) -> pd.DataFrame:
    """Block effects of a contrast of which only gene effects are public.

    E = mean of sign × log2 fold change over the block's genes. Its standard error is
    sqrt((1 - rho) sum s^2 + rho (sum s)^2) / n (Wu and Smyth 2012, Nucleic Acids Res 40:e133),
    with a correlation rho of the genes' errors that a published table cannot tell.

    Parameters
    ----------
    effects
        ``dataset, contrast, cell_type, gene_id, log2fc, lfc_se``.
    members
        From ``programmes.blocks``: ``programme, block, stripped, sign, gene_id``.
    inter_gene_correlation
        rho of blocks that ``measured`` lacks, at least 0.
    measured
        rho by ``programme, block, stripped``, as :func:`gene_correlation` finds it in studies with
        a matrix.

    Returns
    -------
    DataFrame
        ``dataset, contrast, cell_type, programme, block, stripped, effect, se, n_measured,
        n_genes``.
    """
    usable = effects[effects["log2fc"].notna() & (effects["lfc_se"] > 0)]
    rows = members.merge(usable, on="gene_id")
    rows["signed"] = rows["sign"].replace(0, 1) * rows["log2fc"]
    rows["square"] = rows["lfc_se"] ** 2
    grouped = rows.groupby([*KEY, *BLOCK], sort=False, observed=True)
    out = grouped.agg(
        effect=("signed", "mean"),
        total=("lfc_se", "sum"),
        squares=("square", "sum"),
        n=("sign", "size"),
    )
    out = out.reset_index()
    defined = members.groupby(BLOCK, observed=True)["gene_id"].nunique()
    out["n_genes"] = defined.reindex(pd.MultiIndex.from_frame(out[BLOCK])).to_numpy()
    rho = np.full(len(out), inter_gene_correlation)
    if measured is not None:
        found = measured.reindex(pd.MultiIndex.from_frame(out[BLOCK])).to_numpy()
        rho = np.where(np.isnan(found), rho, found)
    out["se"] = np.sqrt((1 - rho) * out["squares"] + rho * out["total"] ** 2) / out["n"]
    columns = [*KEY, *BLOCK, "effect", "se", "n_measured", "n_genes"]
    return out.rename(columns={"n": "n_measured"})[columns]


def gene_correlation(effects: pd.DataFrame) -> pd.Series[float]:
    """Correlation of genes' errors per block: the median over studies, not below 0.

    ``effects``: rows of all ``effects`` tables; those of tissue are used. A study's contrasts count once, as their mean: they
    share samples. Index ``programme, block, stripped``; blocks of one gene are missing.
    """
    effects = effects[effects["cell_type"] == "muscle"]
    studies = effects.groupby(["dataset", *BLOCK], sort=False)["gene_correlation"].mean()
    return studies.groupby(BLOCK, sort=False).median().clip(lower=0)


def usable_effects(effects: pd.DataFrame) -> pd.DataFrame:
    """Leave out what a pool, and a claim, would wrongly take for evidence.

    Of an ``effects`` table: cell types that too few donors have for a standard error; they are in
    the study's own table. Of :func:`published_blocks`: blocks of which the platform measures too
    few genes. (Where a study's own matrix lacks a gene, the tissue hardly expresses it.)
    """
    kept = effects["se"].notna() | (effects["cell_type"] == "muscle")
    if "n_measured" in effects:
        kept &= programmes.well_measured(effects["n_measured"], effects["n_genes"])
    return effects[kept]


def with_intervals(effects: pd.DataFrame, source: str) -> pd.DataFrame:
    """Add ``source`` and, where they are not there, 95 % intervals (of t where ``df`` is given)."""
    out = effects.copy()
    if "ci_low" not in out:
        half = distributions.half_width(out["se"], out.get("df", np.nan))
        out["ci_low"], out["ci_high"] = out["effect"] - half, out["effect"] + half
    return out[[*KEY, *BLOCK, "effect", "se", "ci_low", "ci_high"]].assign(source=source)


def symbols(targets: Iterable[str]) -> list[str]:
    """Return the human symbols in ``GENE/...`` and ``RATIO/...:...`` targets."""
    return sorted({name for target in targets for name in target.split("/", 1)[1].split(":")})


def with_human_ids(effects: pd.DataFrame, to_human: Mapping[str, str]) -> pd.DataFrame:
    """Add ``human_gene_id``: the gene's own id, or that of its 1:1 human ortholog, or empty."""
    human = effects["gene_id"].map(to_human)
    own = effects["gene_id"].where(effects["gene_id"].str.startswith("ENSG"))
    return effects.assign(human_gene_id=human.fillna(own).fillna(""))


# --- pooling -----------------------------------------------------------------------------------


def pool_genes(
    tables: pd.DataFrame,
    contrasts: pd.DataFrame,
    to_human: Mapping[str, Mapping[str, str]],
    **settings: Any,
) -> pd.DataFrame:
    """Pool every gene per role and species, and across species through 1:1 orthologs.

    ``tables``: rows of all ``de`` tables. Adds ``symbol``; across species that of the human gene.
    Rows without a positive standard error (genes without a read in the compared groups) say
    nothing and are left out.
    """
    tables = tables[tables["lfc_se"] > 0]
    out = meta_analysis.pool_by_role(
        tables, contrasts, effect="log2fc", se="lfc_se", species_key=to_human, **settings
    )
    if out.empty:
        return pd.DataFrame(columns=list(contracts.TABLES["pooled_genes"].columns))
    names = tables.drop_duplicates("gene_id").set_index("gene_id")["symbol"]
    out.insert(5, "symbol", out["key"].map(names).fillna(""))
    return out


def pool_programmes(
    effects: pd.DataFrame, contrasts: pd.DataFrame, **settings: Any
) -> pd.DataFrame:
    """Pool blocks, their stripped versions, and the claims' genes and ratios; each adjusted apart.

    Every stage that a role has is also pooled on its own. ``key``: ``PROGRAMME/block``.
    """
    eligible = contrasts.loc[contrasts["eligible"].astype(bool), ["dataset", "contrast"]]
    effects = effects.merge(eligible, on=["dataset", "contrast"])
    single = effects["programme"].isin([claims.GENE, claims.RATIO])
    stripped = effects["stripped"].astype(bool)
    stages = sorted(set(contrasts.loc[contrasts["eligible"], "stage"]) - {""})
    parts = []
    for rows, flag in ((~single & ~stripped, False), (~single & stripped, True), (single, False)):
        if not rows.any():
            continue
        pooled = meta_analysis.pool_by_role(
            effects[rows],
            contrasts,
            key=["programme", "block"],
            species_key={},
            stages=stages,
            **settings,
        )
        if len(pooled):
            pooled.insert(5, "stripped", flag)
            parts.append(pooled)
    if parts:
        return pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns=list(contracts.TABLES["pooled_programmes"].columns))


def specificity(pooled: pd.DataFrame) -> pd.DataFrame:
    """Blocks × roles: pooled effects in log2 units, one column per role and species.

    Complete blocks over all stages, tissue level; species are kept apart, since the same role in
    two species is two pieces of evidence.
    """
    rows = pooled[
        (pooled["stage"] == "")
        & (pooled["species"] != "all")
        & (pooled["cell_type"] == "muscle")
        & ~pooled["stripped"].astype(bool)
        & ~pooled["key"].str.startswith((f"{claims.GENE}/", f"{claims.RATIO}/"))
    ].copy()
    if rows.empty:
        return pd.DataFrame(columns=["programme", "block"])
    rows["column"] = rows["role"] + " (" + rows["species"] + ")"
    parts = rows["key"].str.split("/", n=1, expand=True).reindex(columns=[0, 1])
    rows["programme"], rows["block"] = parts[0], parts[1]
    wide = rows.pivot(index=["programme", "block"], columns="column", values="effect")
    return wide.reset_index().rename_axis(columns=None)


# --- denervation -------------------------------------------------------------------------------


class Fitted(NamedTuple):
    """One contrast refitted on its matrix: everything the denervation axis wants.

    ``genes``: ``gene_id, effect, se``; ``replicates``: donor bootstrap × genes or ``None``.
    """

    genes: pd.DataFrame
    replicates: pd.DataFrame | None
    expression: pd.DataFrame
    design: pd.DataFrame
    vector: np.ndarray


def refit(vst: AnnData, contrast: Mapping[str, Any], *, n_replicates: int, seed: int) -> Fitted:
    """Refit a contrast gene by gene on variance-stabilised values, with resampled donors.

    The same scale and model as the block effects, so that Delta subtracts like from like. Standard
    errors are moderated over genes (limma). ``n_replicates`` 0 leaves the bootstrap out.
    """
    used = designs.used_samples(vst.obs, contrast)
    design = designs.design_matrix(used, contrast)
    vector = designs.contrast_vector(design, contrast)
    expression = vst[used.index].to_df().T
    fit = programmes.linear_contrast(expression, design, vector)
    values = expression.to_numpy(dtype=float)
    effect, s2 = fit.fit(values)
    if fit.df > 0:
        s2 = squeeze_var(s2, fit.df).var_post
    genes = pd.DataFrame(
        {"gene_id": expression.index, "effect": effect, "se": np.sqrt(s2 * fit.unscaled)}
    )
    genes = genes[genes["se"] > 0]
    replicates = None
    if n_replicates:
        donors = used["subject_id"].astype(str)
        drawn = denervation.bootstrap_effects(
            values.T,
            design.to_numpy(),
            vector,
            subjects=donors.where(donors != "", used.index.to_series().astype(str)).to_numpy(),
            strata=designs.strata(used, contrast).to_numpy(),
            n_replicates=n_replicates,
            seed=seed,
        )
        replicates = pd.DataFrame(drawn, columns=expression.index)
    return Fitted(genes, replicates, expression, design, vector)


def comparable_pairs(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Pair ALS contrasts with references by the *kind* of sample.

    What cards call the material ("biopsy", "whole muscle") differs in words, not in substance; what
    must agree is tissue, culture, sorted cells or nuclei. Lists of called genes have no effects to
    compare.
    """
    contrasts = contrasts[contrasts["modality"] != "calls"]
    return claims.reference_pairs(contrasts.assign(material=contrasts["sample_kind"]))


def needed_contrasts(contrasts: pd.DataFrame, pairs: pd.DataFrame) -> list[tuple[str, str]]:
    """Contrasts to refit: eligible ones of an ALS role, and references of a comparable pair.

    Tissue only: there is no cell type in which a denervation reference is public.
    """
    tissue = contrasts[~contrasts["modality"].isin(["cells", "calls"])]
    als = tissue[tissue["role"].isin(ALS_ROLES) & tissue["eligible"].astype(bool)]
    paired = pairs[pairs["mode"] != "none"]
    names = [
        *zip(als["dataset"], als["contrast"], strict=True),
        *zip(paired["dataset"], paired["contrast"], strict=True),
        *zip(paired["reference_dataset"], paired["reference_contrast"], strict=True),
    ]
    return list(dict.fromkeys(names))


def claimed_blocks(document: Mapping[str, Any], members: pd.DataFrame) -> pd.DataFrame:
    """Complete blocks that a claim tests, for which matched random sets are drawn."""
    targets = {test["target"] for claim in document["claims"] for test in claim["tests"]}
    asked = (members["programme"] + "/" + members["block"]).isin(targets)
    single = members["programme"].isin([claims.GENE, claims.RATIO])
    return members[asked & ~single & ~members["stripped"].astype(bool)]


def random_members(
    expressions: Sequence[pd.DataFrame], members: pd.DataFrame, *, n_random: int, seed: int
) -> pd.DataFrame:
    """Matched random sets on the mean expression over studies of one species, the same for all."""
    shared = expressions[0].index
    for other in expressions[1:]:
        shared = shared.intersection(other.index)
    means = [frame.loc[shared].mean(axis=1) for frame in expressions]
    mean = pd.concat(means, axis=1).mean(axis=1)
    return programmes.control_blocks(mean, members, n_random, seed)


class Compared(NamedTuple):
    """``denervation.tsv``, ``deltas.tsv`` and the effects of matched random sets."""

    axis: pd.DataFrame
    deltas: pd.DataFrame
    random_sets: pd.DataFrame


def compare_with_denervation(
    sources: Mapping[tuple[str, str], AnnData | pd.DataFrame],
    designs: Mapping[tuple[str, str], Mapping[str, Any]],
    contrasts: pd.DataFrame,
    pairs: pd.DataFrame,
    blocks: pd.DataFrame,
    members: Mapping[str, pd.DataFrame],
    document: Mapping[str, Any],
    *,
    to_human: Mapping[str, Mapping[str, str]],
    n_replicates: int,
    n_random: int,
    inter_gene_correlation: float,
    min_reliability: float,
    seed: int,
) -> Compared:
    """Run the denervation axis over all pairs; blocks and matched random sets alike.

    Parameters
    ----------
    sources
        Contrast → variance-stabilised matrix, or the ``de`` table where none is public. From a
        matrix the contrast is refitted with resampled donors; a table gets analytic intervals.
    designs
        Contrast → its entry, as ``cards.contrast`` returns it.
    contrasts, pairs, blocks
        Tables of :func:`alsmuscle.synthesis.claims.contrast_table`, :func:`comparable_pairs`, ``blocks.tsv``.
    members
        Species → genes of blocks and of the claims' genes and ratios.
    document
        ``config/claims.yaml``: random sets are drawn for the blocks it names.
    to_human
        Species → {gene id: human gene id}.
    n_replicates, n_random, inter_gene_correlation, min_reliability, seed
        Configuration.
    """
    species = contrasts.set_index(["dataset", "contrast"])["species"]
    fitted = {
        name: refit(source, designs[name], n_replicates=n_replicates, seed=seed)
        for name, source in sources.items()
        if not isinstance(source, pd.DataFrame)
    }
    random: dict[str, pd.DataFrame] = {}
    for organism in members:
        own = [fit.expression for name, fit in fitted.items() if species[name] == organism]
        if own and n_random:
            asked = claimed_blocks(document, members[organism])
            random[organism] = random_members(own, asked, n_random=n_random, seed=seed)
    genes, random_effects = [], []
    for name, source in sources.items():
        labels = {"dataset": name[0], "contrast": name[1], "cell_type": "muscle"}
        sets = random.get(species[name])
        if name in fitted:
            fit = fitted[name]
            genes.append(fit.genes.assign(**labels))
            if sets is not None:
                found = programmes.effects(fit.expression, fit.design, fit.vector, sets)
                random_effects.append(found.assign(**labels)[[*KEY, *BLOCK, "effect", "se"]])
        else:
            table = source.rename(columns={"log2fc": "effect", "lfc_se": "se"})
            genes.append(table.loc[table["se"] > 0, [*KEY, "gene_id", "effect", "se"]])
            if sets is not None:
                found = published_blocks(
                    source, sets, inter_gene_correlation=inter_gene_correlation
                )
                random_effects.append(found[[*KEY, *BLOCK, "effect", "se"]])
    nothing = pd.DataFrame(columns=[*KEY, *BLOCK, "effect", "se"])
    random_table = pd.concat(random_effects, ignore_index=True) if random_effects else nothing
    if genes:
        axis, deltas = denervation.axes(
            pairs,
            contrasts,
            pd.concat(genes, ignore_index=True),
            blocks[[*KEY, *BLOCK, "effect", "se"]],
            members,
            random_blocks=random_table,
            random_members=random,
            replicates={
                (*name, "muscle"): fit.replicates
                for name, fit in fitted.items()
                if fit.replicates is not None
            },
            to_human=to_human,
            inter_gene_correlation=inter_gene_correlation,
            min_reliability=min_reliability,
        )
    else:
        axis, deltas = pd.DataFrame(columns=denervation.AXIS_COLUMNS), pd.DataFrame()
    axis = axis.astype({"reason": str, "mode": str})
    axis["interval"] = axis["interval"].fillna("")
    if deltas.empty:
        deltas = pd.DataFrame(columns=list(contracts.TABLES["deltas"].columns))
    als = contrasts[contrasts["role"].isin(ALS_ROLES)]
    judged = set(zip(als["dataset"], als["contrast"], strict=True))
    names = zip(random_table["dataset"], random_table["contrast"], strict=True)
    kept = np.array([name in judged for name in names], dtype=bool)
    return Compared(axis, deltas, random_table.loc[kept])


# --- claims ------------------------------------------------------------------------------------


def chosen_deltas(axis: pd.DataFrame, deltas: pd.DataFrame) -> pd.DataFrame:
    """Deltas against the one reference per contrast that :func:`denervation.choose_reference` keeps."""
    if deltas.empty:
        return deltas
    kept = denervation.choose_reference(axis)[[*KEY, "reference"]]
    return deltas.merge(kept, on=[*KEY, "reference"])


def judge(
    document: Mapping[str, Any],
    effects: pd.DataFrame,
    contrasts: pd.DataFrame,
    deltas: pd.DataFrame,
    *,
    rules: claims.Rules,
) -> pd.DataFrame:
    """Evaluate the claims (:func:`alsmuscle.synthesis.claims.evaluate`), with empty text for missing text."""
    out = claims.evaluate(document, effects, contrasts, deltas, rules=rules)
    text = [c for c, kind in contracts.TABLES["claims"].columns.items() if kind == "text"]
    out[text] = out[text].fillna("").astype(str)
    return out


def claim_studies(
    document: Mapping[str, Any],
    effects: pd.DataFrame,
    contrasts: pd.DataFrame,
    deltas: pd.DataFrame,
) -> pd.DataFrame:
    """What every study says to every test of a claim, eligible or not: the forest plots' rows.

    Returns
    -------
    DataFrame
        ``claim, test, context, dataset, contrast, cell_type, effect, se, ci_low, ci_high, delta,
        delta_ci_low, delta_ci_high, reference, eligible, reason``.
    """
    complete = effects[~effects["stripped"].astype(bool)].copy()
    complete["target"] = complete["programme"] + "/" + complete["block"]
    if len(deltas):
        own = deltas[~deltas["stripped"].astype(bool)]
        own = own.rename(columns={"ci_low": "delta_ci_low", "ci_high": "delta_ci_high"})
        columns = ["delta", "delta_ci_low", "delta_ci_high", "reference"]
        keys = [*KEY, "programme", "block"]
        complete = complete.merge(own[[*keys, *columns]], on=keys, how="left")
    complete = complete.merge(
        contrasts[["dataset", "contrast", "eligible", "reason"]], on=["dataset", "contrast"]
    )
    wanted = pd.DataFrame(
        [
            (claim["id"], test["id"], name, test["target"])
            for claim in document["claims"]
            for test in claim["tests"]
            for name in test["contexts"]
        ],
        columns=["claim", "test", "context", "target"],
    )
    inside = pd.DataFrame(
        [
            (name, row.dataset, row.contrast, cell_type)
            for name, context in document["contexts"].items()
            for row in contrasts[claims.matching(contrasts, context)].itertuples()
            for cell_type in context["cell_types"]
        ],
        columns=["context", *KEY],
    )
    wanted = wanted.reset_index(names="case").merge(inside, on="context")
    table = complete.merge(wanted, on=[*KEY, "target"])
    table = table.sort_values("case", kind="stable", ignore_index=True)
    table = table.reindex(columns=CLAIM_STUDIES)
    return table.fillna({"reference": "", "reason": ""})


CLAIM_STUDIES = [
    *("claim", "test", "context", *KEY, "effect", "se", "ci_low", "ci_high"),
    *("delta", "delta_ci_low", "delta_ci_high", "reference", "eligible", "reason"),
]


def compare(
    current: pd.DataFrame, former: pd.DataFrame | None, before: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Say what moved since the verdicts last differed.

    Parameters
    ----------
    current
        Claims of this run.
    former, before
        Claims of the last run, and those it was compared with; ``None`` where there are none. A
        run that changes nothing keeps the last comparison, so that repeating it loses nothing.

    Returns
    -------
    previous, changes
        The claims to compare with (empty in a first run) and the table of changes; a first run is
        one row that says so.
    """
    nothing = current.iloc[:0]
    if former is None or former.empty:
        row = dict.fromkeys(("claim", "test", "context", "old_verdict", "new_verdict"), "")
        why = "there is no earlier run to compare with"
        return nothing, pd.DataFrame([{**row, "change": FIRST_RUN, "why": why}])
    moved = claims.changes(former, current)
    if len(moved):
        return former, moved
    if before is None or before.empty:
        return compare(current, None, None)
    return before, claims.changes(before, current)


def dictionary(tables: Mapping[str, contracts.Table]) -> pd.DataFrame:
    """Describe every column of every table: ``table, column, kind, key, meaning``."""
    rows = [
        {
            "table": name,
            "column": column,
            "kind": KINDS[kind],
            "key": column in table.key,
            "meaning": table.about.get(column, COMMON.get(column, "")),
        }
        for name, table in tables.items()
        for column, kind in table.columns.items()
    ]
    return pd.DataFrame(rows)


KINDS = {
    "text": "text, empty when unknown",
    "number": "number, empty when missing",
    "count": "whole number from 0",
    "flag": "True or False",
    "share": "number from 0 to 1",
}

COMMON = {
    "n_cells": "cells, nuclei or spots",
    "cluster": "Leiden cluster",
    "subject_id": "donor",
    "dataset": "study, as its card's id",
    "contrast": "comparison within the study",
    "cell_type": "cell type; muscle for bulk tissue",
    "sample_id": "sample, as in the archive",
    "gene_id": "Ensembl gene id without version; unmapped rows keep the source's id",
    "symbol": "current gene symbol",
    "effect": "log2 units, target minus reference",
    "se": "standard error of the effect",
    "ci_low": "lower end of the 95 % interval",
    "ci_high": "upper end of the 95 % interval",
    "pvalue": "two-sided p-value",
    "padj": "Benjamini-Hochberg adjusted p-value",
    "programme": "gene programme; GENE and RATIO stand for single genes and ratios of claims",
    "block": "signed part of a programme; PROGRAMME/block names it in claims",
    "role": "what the contrast stands for; pooling stays within a role",
    "stage": "disease stage or time; empty in pooled rows: all stages",
    "species": "human or mouse; all: across species through 1:1 orthologs",
    "eligible": "may be pooled",
    "reason": "why, in words",
    "k": "independent clusters of contrasts",
    "n_contrasts": "contrasts behind them",
    "tau2": "variance between studies",
    "i2": "per cent of variance that lies between studies",
    "pi_low": "lower end of the 95 % prediction interval for a new study",
    "pi_high": "upper end of the 95 % prediction interval for a new study",
    "verdict": "one of the six verdicts",
    "claim": "claim of config/claims.yaml",
    "test": "test of the claim",
    "context": "kind of contrast in which it is tested",
    "condition": "harmonised group",
    "reference": "denervation reference: dataset/contrast",
    "age": "age in age_unit",
    "batch": "batch as declared",
    "muscle": "muscle as declared",
    "material": "material as declared: biopsy, whole muscle, culture",
    "study": "study, or collections for gene sets",
    "name": "name of the file on the card",
    "url": "where the file came from",
    "sha256": "hash of the file",
    "bytes": "size of the file",
    "collection": "collection of gene sets",
    "term": "gene set",
    "correlation_raw": "correlation over genes as observed",
    "delta": "effect beyond the denervation reference, log2 units",
    "delta_ci_low": "lower end of its 95 % interval",
    "delta_ci_high": "upper end of its 95 % interval",
    "delta_df": "degrees of freedom of delta",
    "delta_padj": "adjusted p-value of delta over all tests of all claims",
    "delta_se": "standard error of delta",
    "df": "degrees of freedom",
    "genes_detected": "genes with at least one read",
    "top_gene": "most abundant gene",
    "top_gene_share": "its share of reads",
    "sex_declared": "sex as declared",
    "sex_inferred": "sex by XIST and Y-linked genes",
    "pc1": "first principal component",
    "pc2": "second principal component",
    "hedges_g_var": "variance of hedges_g",
    "n_genes": "number of genes",
    "padj_competitive": "adjusted pvalue_competitive",
    "lambda_se": "standard error of lambda",
    "se_den": "standard error of effect_den",
    "shared_df": "degrees of freedom of the reference",
    "modality": "bulk, array, cells or effects (published)",
    "platform": "measuring platform, as the archive names it",
    "platform_kind": "sequencing, array, cells or unknown; lambda stays within a kind",
    "sample_kind": "bulk_tissue, cultured_cells, sorted_cells, single_nucleus, single_cell or spots",
    "stripped": "True: genes of the denervation signature left out",
    "stripped_effect": "pooled effect without the denervation signature's genes",
    "stripped_ci_low": "lower end of its 95 % interval",
    "stripped_ci_high": "upper end of its 95 % interval",
    "statement": "the claim in a sentence",
    "old_verdict": "verdict before; empty for a new test",
    "new_verdict": "verdict now; empty for a removed test",
    "why": "what moved",
    "kind": "kind of the entry",
    "text": "the warning in words",
    "column": "column that is meant",
    "table": "table, as contracts name it",
    "meaning": "meaning and unit",
    "organism": "human or mouse",
}
