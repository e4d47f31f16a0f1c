"""Genes and programme blocks pooled per role: ``synthesis/genes.tsv`` and ``programmes.tsv``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alsmuscle.core.errors import InputError
from alsmuscle.stats import distributions
from alsmuscle.synthesis import pooled
from alsmuscle.synthesis.pooled import SINGLE, Pooling

ONE_STUDY, TWO_STUDIES, POOLED = "one study", "two studies", "pooled"
NUMBERS = [
    *("k", "n_contrasts", "effect", "se", "df", "ci_low", "ci_high", "pvalue", "padj", "tau2"),
    *("i2", "pi_low", "pi_high", "sign_agreement", "loo_low", "loo_high", "influential"),
    *("reml_effect", "reml_se", "reml_ci_low", "reml_ci_high", "reml_pvalue"),
    *("bayes_effect", "bayes_ci_low", "bayes_ci_high", "prob_direction", "prob_beyond", "status"),
]
KEYS = ["role", "species", "stage", "cell_type", "key"]


def pool_by_role(
    effects: pd.DataFrame,
    contrasts: pd.DataFrame,
    settings: Pooling,
    *,
    min_studies: int,
    species_key: Mapping[str, Mapping[Any, Any]] | None = None,
    stages: Sequence[str] = (),
) -> pd.DataFrame:
    """Pool every key over the eligible contrasts of each role.

    Parameters
    ----------
    effects
        Long table ``dataset, contrast, cell_type, key, effect, se, df``.
    contrasts
        ``contrasts.tsv``; only rows with ``eligible`` and without a ``tag`` are used.
    settings
        Of the pooling.
    min_studies
        Independent clusters below which a key has no adjusted p-value.
    species_key
        Species → {own key: human key} for 1:1 orthologs. With it, roles with several species also
        get rows ``species = all`` under the human key; keys without an ortholog stay out of those.
    stages
        Stages to pool on their own as well (rows with that ``stage``); pooled rows over all stages
        have an empty ``stage``.

    Returns
    -------
    DataFrame
        :data:`KEYS` and :data:`NUMBERS`; sorted. padj is over the keys of one role, species, stage
        and cell type that have enough studies.

    Raises
    ------
    InputError
        A column is missing, or a key stands in one contrast and cell type more than once.
    """
    for column in ("dataset", "contrast", "cell_type", "key", "effect", "se"):
        if column not in effects:
            raise InputError(f"effects lack the column '{column}'")
    plain = contrasts["eligible"].astype(bool) & contrasts["tag"].eq("")
    facts = contrasts.loc[plain, ["dataset", "contrast", "role", "species", "stage", "cluster"]]
    long = effects.merge(facts, on=["dataset", "contrast"], how="inner")
    long["stage"] = long["stage"].fillna("")
    long["label"] = long["dataset"].astype(str) + "/" + long["contrast"].astype(str)
    parts = []
    for labels, view in _views(long, species_key, stages):
        table = _pool(view, settings, min_studies)
        for position, (name, value) in enumerate(zip(KEYS[:4], labels, strict=True)):
            table.insert(position, name, value)
        parts.append(table)
    if not parts:
        return pd.DataFrame(columns=[*KEYS, *NUMBERS])
    return pd.concat(parts, ignore_index=True)


def _views(
    long: pd.DataFrame,
    species_key: Mapping[str, Mapping[Any, Any]] | None,
    stages: Sequence[str],
) -> Iterator[tuple[tuple[str, str, str, str], pd.DataFrame]]:
    """Each set of rows that is pooled together: (role, species, stage, cell type) and the rows."""
    for (role, cell_type), block in long.groupby(["role", "cell_type"], sort=True):
        for stage in ("", *stages):
            staged = block if stage == "" else block[block["stage"] == stage]
            found = sorted(staged["species"].unique())
            views = [(name, staged[staged["species"] == name]) for name in found]
            if species_key is not None and len(found) > 1:
                views.append(("all", _in_human_keys(staged, species_key)))
            for species, view in views:
                if len(view):
                    yield (str(role), str(species), stage, str(cell_type)), view


def _in_human_keys(
    long: pd.DataFrame, species_key: Mapping[str, Mapping[Any, Any]]
) -> pd.DataFrame:
    out = []
    for species, rows in long.groupby("species"):
        renamed = rows.copy()
        if species in species_key:
            renamed["key"] = renamed["key"].map(species_key[str(species)])
        out.append(renamed.dropna(subset=["key"]))
    return pd.concat(out)


def _pool(view: pd.DataFrame, settings: Pooling, min_studies: int) -> pd.DataFrame:
    twice = view.duplicated(["label", "key"])
    if twice.any():
        row = view[twice.to_numpy()].iloc[0]
        raise InputError(
            f"'{row['key']}' is listed twice in {row['dataset']}/{row['contrast']}, "
            f"cell type '{row['cell_type']}'",
            expected="one row per key, contrast and cell type",
        )
    found = pooled.pool(view.rename(columns={"key": "target"}), settings)
    if found is None:
        return pd.DataFrame(columns=["key", *NUMBERS])
    table = found.table
    enough = (table["k"] >= min_studies).to_numpy()
    table["padj"] = distributions.adjust(np.where(enough, table["pvalue"], np.nan))
    table["status"] = np.select(
        [table["k"] == 1, table["k"] == 2], [ONE_STUDY, TWO_STUDIES], POOLED
    )
    table["influential"] = table["influential"].fillna("")
    return table.rename_axis("key").reset_index()[["key", *NUMBERS]]


def pool_genes(
    tables: pd.DataFrame,
    contrasts: pd.DataFrame,
    to_human: Mapping[str, Mapping[str, str]],
    settings: Pooling,
    *,
    min_studies: int,
) -> pd.DataFrame:
    """Pool every gene per role and species, and across species through 1:1 orthologs.

    ``tables``: rows of all ``de`` tables. Adds ``symbol``; across species that of the human gene.
    Rows without a positive standard error (genes without a read in the compared groups) say
    nothing and are left out. A gene counts as moved beyond ``gene_margin``.
    """
    tables = tables[tables["lfc_se"] > 0]
    names = {"gene_id": "key", "log2fc": "effect", "lfc_se": "se"}
    columns = ["dataset", "contrast", "cell_type", *names, "df"]
    out = pool_by_role(
        tables.reindex(columns=columns).rename(columns=names),
        contrasts,
        settings._replace(block_margin=settings.gene_margin),
        min_studies=min_studies,
        species_key=to_human,
    )
    symbols = tables.drop_duplicates("gene_id").set_index("gene_id")["symbol"]
    out.insert(5, "symbol", out["key"].map(symbols).fillna(""))
    return out


def pool_programmes(
    effects: pd.DataFrame, contrasts: pd.DataFrame, settings: Pooling, *, min_studies: int
) -> pd.DataFrame:
    """Pool blocks, their stripped versions, and the claims' genes and ratios; each adjusted apart.

    ``effects``: ``blocks.tsv``; blocks that are not ``usable`` are left out. Every stage that a
    role has is also pooled on its own. ``key``: ``PROGRAMME/block``.
    """
    eligible = contrasts["eligible"].astype(bool)
    stages = sorted(set(contrasts.loc[eligible, "stage"]) - {""})
    if "usable" in effects:
        effects = effects[effects["usable"].astype(bool)]
    effects = effects.assign(key=effects["programme"] + "/" + effects["block"])
    single = effects["key"].str.startswith(SINGLE)
    stripped = effects["stripped"].astype(bool)
    parts = []
    for rows, flag in ((~single & ~stripped, False), (~single & stripped, True), (single, False)):
        table = pool_by_role(
            effects[rows],
            contrasts,
            settings,
            min_studies=min_studies,
            species_key={},
            stages=stages,
        )
        table.insert(5, "stripped", flag)
        parts.append(table)
    found = [table for table in parts if len(table)]
    return pd.concat(found, ignore_index=True) if found else parts[0]


def specificity(table: pd.DataFrame) -> pd.DataFrame:
    """Blocks × roles: pooled effects in log2 units, one column per role and species.

    ``table``: from :func:`pool_programmes`. Complete blocks over all stages, tissue level; species
    are kept apart, since the same role in two species is two pieces of evidence.
    """
    rows = table[
        (table["stage"] == "")
        & (table["species"] != "all")
        & (table["cell_type"] == "muscle")
        & ~table["stripped"].astype(bool)
        & ~table["key"].str.startswith(SINGLE)
    ].copy()
    if rows.empty:
        return pd.DataFrame(columns=["programme", "block"])
    rows["column"] = rows["role"] + " (" + rows["species"] + ")"
    parts = rows["key"].str.split("/", n=1, expand=True).reindex(columns=[0, 1])
    rows["programme"], rows["block"] = parts[0], parts[1]
    wide = rows.pivot(index=["programme", "block"], columns="column", values="effect")
    return wide.reset_index().rename_axis(columns=None)
