"""Contrasts per cell type: sums of counts per donor go through the code of bulk studies.

The donor is the unit (Squair et al. 2021, Nat Commun 12:5692): a type is tested where enough donors
a side have enough of its cells; with fewer, effects are given without standard error, p-value or
interval. Cells are never counted as replicates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.bulk import deseq2 as de
from alsmuscle.bulk import donors, engines
from alsmuscle.bulk.block_effects import raw_and_adjusted
from alsmuscle.bulk.contrasts import programme_effects
from alsmuscle.bulk.tables import NO_TEST
from alsmuscle.cells import composition
from alsmuscle.cells.tables import COMPOSITION
from alsmuscle.core.errors import InputError
from alsmuscle.design import checks, matrix

if TYPE_CHECKING:
    from anndata import AnnData

NO_EFFECT_TEST = ["se", "ci_low", "ci_high", "pvalue", "padj", "hedges_g_var"]


class TypeContrasts(NamedTuple):
    """Contracts ``de, effects, block_effects`` over all cell types, and why a type is in none."""

    de: pd.DataFrame
    effects: pd.DataFrame
    blocks: pd.DataFrame
    left_out: dict[str, str]


def contrasts_by_type(
    pseudobulk: AnnData,
    contrast: Mapping[str, Any],
    members: pd.DataFrame,
    targets: pd.DataFrame,
    *,
    dataset: str,
    counts: Mapping[str, Any],
    de_options: Mapping[str, Any],
    programme_options: Mapping[str, Any],
    seed: int,
    threads: int = 1,
) -> TypeContrasts:
    """Fit and test a contrast in every cell type that both sides have.

    Parameters
    ----------
    pseudobulk
        Sums per sample and cell type (:func:`alsmuscle.cells.pseudobulk.pseudobulk`).
    contrast
        As ``cards.contrast`` returns it.
    members
        Genes of the blocks (:func:`alsmuscle.genesets.programmes.blocks`).
    targets
        The same with the genes and ratios of claims
        (:func:`alsmuscle.genesets.targets.with_targets`).
    counts, de_options, programme_options
        ``bulk.counts``, ``bulk.de`` and ``programmes`` of the configuration.
    seed, threads
        For matched random sets; of the fit.

    Raises
    ------
    InputError
        When no cell type has samples on both sides.
    """
    tables, effects, blocks, left_out = [], [], [], {}
    for cell_type in sorted(pseudobulk.obs["cell_type"].astype(str).unique()):
        sums = pseudobulk[(pseudobulk.obs["cell_type"].astype(str) == cell_type).to_numpy()]
        reason = _unusable(sums.obs, contrast)
        if reason:
            left_out[cell_type] = reason
            continue
        sums = sums[matrix.used_samples(sums.obs, contrast).index].copy()
        tested = matrix.smallest_cell(sums.obs, contrast) >= de_options["min_replicates"]
        sums = donors.units(sums, contrast, mean=False)
        fitted = engines.fit(
            sums, contrast, inference=de_options["inference"], threads=threads, **counts
        )
        tested = tested and donors.testable(fitted)
        # What cannot be tested need not be shrunken.
        options = {**de_options, "shrink": de_options["shrink"] and bool(tested)}
        table = engines.test(
            fitted,
            sums.obs,
            contrast,
            dataset=dataset,
            trend=False,
            threads=threads,
            cell_type=cell_type,
            **options,
        )
        if not tested:
            table[NO_TEST] = np.nan
        tables.append(table)
        effects.append(
            _effects(
                sums,
                contrast,
                members,
                subject=donors.subject(fitted),
                inference=de_options["inference"],
                tested=bool(tested),
                counts=counts,
                options=programme_options,
                seed=seed,
                threads=threads,
            ).assign(dataset=dataset, contrast=contrast["id"], cell_type=cell_type)
        )
        own = raw_and_adjusted(fitted, contrast, targets, trend=False, tested=bool(tested))
        blocks.append(own.assign(dataset=dataset, contrast=contrast["id"], cell_type=cell_type))
    if not tables:
        raise InputError(
            f"no cell type has samples of both '{contrast['target']}' and "
            f"'{contrast['reference']}'",
            where=f"{dataset}: contrasts.{contrast['id']}",
            remedy="lower cells.pseudobulk.min_cells, or leave the contrast out",
        )
    return TypeContrasts(
        de=pd.concat(tables, ignore_index=True),
        effects=pd.concat(effects, ignore_index=True),
        blocks=pd.concat(blocks, ignore_index=True),
        left_out=left_out,
    )


def _unusable(obs: pd.DataFrame, contrast: Mapping[str, Any]) -> str:
    """Say why a type's sums cannot carry the contrast; empty where they can."""
    used = matrix.used_samples(obs, contrast)
    target, reference = matrix.sides(used, contrast)
    n = int(target.sum()), int(reference.sum())
    if min(n) == 0:
        return f"{n[0]} v {n[1]} samples with enough cells"
    try:
        checks.check_contrast(obs, contrast, "")
    except InputError as error:  # estimable in the study, but not among this type's samples
        return f"{n[0]} v {n[1]} samples with enough cells; {error.problem}"
    return ""


def _effects(
    sums: AnnData,
    contrast: Mapping[str, Any],
    members: pd.DataFrame,
    *,
    subject: pd.Series | None,
    inference: de.Engine,
    tested: bool,
    counts: Mapping[str, Any],
    options: Mapping[str, Any],
    seed: int,
    threads: int,
) -> pd.DataFrame:
    """Programme effects of one type, on its variance-stabilised sums."""
    vst = de.vst(sums, inference=inference, threads=threads, **counts)
    table = programme_effects(
        vst.to_df().T,
        vst.obs,
        contrast,
        members,
        subject=subject,
        tested=tested,
        seed=seed,
        **options,
    )
    if not tested:
        table[NO_EFFECT_TEST] = np.nan
    return table


def compare_composition(
    types: pd.DataFrame,
    samples: pd.DataFrame,
    contrast: Mapping[str, Any],
    *,
    dataset: str,
    min_donors: int,
    transform: str,
) -> pd.DataFrame:
    """Test every type's share over the samples of a contrast.

    Parameters
    ----------
    types
        Contract ``types``: all cells of a sample, unassigned ones too.
    samples
        Contract ``samples``, index sample id.
    min_donors, transform
        See :func:`alsmuscle.cells.composition.composition_test`.

    Returns
    -------
    DataFrame
        Contract ``composition``; empty where a study has one type only.
    """
    counts = types.pivot(index="sample_id", columns="cell_type", values="n_cells").fillna(0)
    present = samples.loc[samples.index.intersection(counts.index)]
    used = matrix.used_samples(present, contrast)
    target, reference = matrix.sides(used, contrast)
    keys = ["dataset", "contrast"]
    if counts.shape[1] < 2 or not (target.any() and reference.any()):
        return pd.DataFrame(columns=list(COMPOSITION.columns))
    design = matrix.design_matrix(used, contrast)
    table = composition.composition_test(
        counts.loc[used.index].astype(int),
        design,
        pd.Series(matrix.contrast_vector(design, contrast), index=design.columns),
        n_target=int(target.sum()),
        n_reference=int(reference.sum()),
        transform=transform,
        min_donors=min_donors,
    )
    return table.assign(**dict(zip(keys, (dataset, contrast["id"]), strict=True)))


def count_types(
    obs: pd.DataFrame, samples: pd.DataFrame, *, dataset: str, min_cells: int
) -> pd.DataFrame:
    """Count cells per sample and type (contract ``types``), zeros included.

    ``samples``: contract ``samples``, index sample id.
    """
    sample, kind = obs["sample_id"].astype(str), obs["cell_type"].astype(str)
    wide = pd.crosstab(sample, kind)
    long = wide.stack().rename("n_cells").rename_axis(["sample_id", "cell_type"]).reset_index()
    long["share"] = long["n_cells"] / long["sample_id"].map(wide.sum(axis=1))
    long["used"] = (long["n_cells"] >= min_cells) & (long["cell_type"] != "unassigned")
    for column in ("subject_id", "condition"):
        long[column] = long["sample_id"].map(samples[column])
    return long.assign(dataset=dataset)
