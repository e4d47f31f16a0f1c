"""Effects adjusted by estimated proportions, in all studies of read counts: ``proportions.tsv``.

Every species has one reference, a study of nuclei (:mod:`alsmuscle.bulk.proportions`); simulated
ones describe simulated tissue only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.bulk import donors, proportions
from alsmuscle.bulk.proportions import Reference, Shares
from alsmuscle.core import contracts
from alsmuscle.data import cards
from alsmuscle.design import matrix
from alsmuscle.synthesis.blocks import NO_TISSUE
from alsmuscle.synthesis.tables import PROPORTIONS, SHARES

if TYPE_CHECKING:
    from anndata import AnnData

Card = Mapping[str, Any]
NUMBERS = ("effect", "se", "df", "ci_low", "ci_high", "pvalue")


class Found(NamedTuple):
    """Contracts ``shares`` and ``proportions``."""

    shares: pd.DataFrame
    effects: pd.DataFrame


class Sources(NamedTuple):
    """What a study is read from, when its turn comes.

    ``fit``: study and design → stored fit; ``samples``: study → contract ``samples``.
    """

    fit: Callable[[str, str], AnnData]
    samples: Callable[[str], pd.DataFrame]


def adjusted(
    references: Iterable[Reference],
    studies: Mapping[str, Card],
    contrasts: pd.DataFrame,
    read: Sources,
    members: Mapping[str, pd.DataFrame],
    *,
    min_replicates: int,
) -> Found:
    """Estimate proportions in every study of read counts, and adjust its blocks' effects by them.

    Parameters
    ----------
    references
        Studies of nuclei.
    studies
        Study → its card: ``organism, contrasts`` and, where known, ``simulated``.
    contrasts
        ``contrasts.tsv``: those of muscle tissue by read counts are adjusted.
    read
        Where fits and samples come from.
    members
        Organism → genes of the blocks, and of the claims' genes and ratios, with weights.
    min_replicates
        Donors a side below which no test is claimed.

    Returns
    -------
    Found
        A contrast that cannot be adjusted has one row of effects, without a block, that says why.
    """
    by_kind: dict[tuple[str, bool], list[Reference]] = {}
    for reference in references:
        by_kind.setdefault(kind(studies[reference.dataset]), []).append(reference)
    tissue = contrasts[
        (contrasts["modality"] == "bulk")
        & (contrasts["sample_kind"] == "bulk_tissue")
        & ~contrasts["role"].isin(NO_TISSUE)
    ]
    shares, effects = [], []
    for dataset, rows in tissue.groupby("dataset", sort=True):
        card = studies[str(dataset)]
        chosen = proportions.best(by_kind.get(kind(card), []))
        if chosen is None:
            continue
        own = members[card["organism"]]
        for one in _study(str(dataset), card, rows["contrast"], chosen, read, own, min_replicates):
            shares.append(one.shares)
            effects.append(one.effects)
    return Found(_joined(shares, SHARES), _joined(effects, PROPORTIONS))


def kind(card: Card) -> tuple[str, bool]:
    """Return what a reference and the tissue that it describes have in common."""
    return str(card["organism"]), bool(card.get("simulated", False))


def _study(
    dataset: str,
    card: Card,
    names: Iterable[str],
    chosen: Reference,
    read: Sources,
    members: pd.DataFrame,
    min_replicates: int,
) -> Iterator[Found]:
    """Yield what every contrast of a study has; contrasts of one design share their proportions."""
    samples = read.samples(dataset).set_index("sample_id")
    barred = frozenset(members["gene_id"])
    designs: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        full = cards.contrast(dict(card), name)
        designs.setdefault(cards.design_id(full), []).append(full)
    for design, own in designs.items():
        fitted = read.fit(dataset, design)
        used = samples.reindex(fitted.obs_names)
        estimated = proportions.shares(fitted, chosen, barred)
        for contrast in own:
            table, reason = None, _untested(fitted, used, contrast, min_replicates)
            if not reason:
                table, reason = proportions.effects(fitted, contrast, members, estimated)
            common = {"dataset": dataset, "contrast": contrast["id"], "reference": chosen.dataset}
            yield Found(
                _shares(estimated, used, contrast).assign(**common),
                _effects(table, reason).assign(**common),
            )


def _untested(
    fitted: AnnData, used: pd.DataFrame, contrast: Mapping[str, Any], min_replicates: int
) -> str:
    """Say why a contrast has no test, and so no adjustment; empty where it has."""
    if not fitted.uns["fitted"]:
        return "the study's model leaves no residual degree of freedom"
    used = _numeric(used, contrast)
    if matrix.smallest_cell(used, contrast) < min_replicates or not donors.testable(fitted):
        return "too few donors a side for a test"
    return ""


def _numeric(used: pd.DataFrame, contrast: Mapping[str, Any]) -> pd.DataFrame:
    """Give a variable that is a number its numbers: tables hold columns of a study as text."""
    if matrix.kind_of(contrast) != "continuous":
        return used
    variable = contrast["variable"]
    return used.assign(**{variable: pd.to_numeric(used[variable], errors="coerce")})


def _shares(found: Shares, used: pd.DataFrame, contrast: Mapping[str, Any]) -> pd.DataFrame:
    """Contract ``shares`` of one contrast, without the columns that name it."""
    target, reference = matrix.sides(_numeric(used, contrast), contrast)
    side = np.select([target, reference], ["target", "reference"], default="other")
    about = pd.DataFrame({"side": side, "fit": found.fit.to_numpy()}, index=found.fit.index)
    wide = found.lineages.rename_axis("sample_id").reset_index()
    long = wide.melt(id_vars="sample_id", var_name="lineage", value_name="share")
    return long.assign(
        side=long["sample_id"].map(about["side"]), fit=long["sample_id"].map(about["fit"])
    )


def _effects(table: pd.DataFrame | None, reason: str) -> pd.DataFrame:
    """Contract ``proportions`` of one contrast, without the columns that name it."""
    if table is not None:
        return table[["programme", "block", "stripped", *NUMBERS, "n_mapped"]].assign(reason="")
    nothing = {"programme": "", "block": "", "stripped": False, "n_mapped": 0, "reason": reason}
    return pd.DataFrame([dict.fromkeys(NUMBERS, np.nan) | nothing])


def _joined(parts: list[pd.DataFrame], table: contracts.Table) -> pd.DataFrame:
    kept = [part for part in parts if len(part)]
    return pd.concat(kept, ignore_index=True) if kept else contracts.rows([], table)


def beside(blocks: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add to block effects of whole tissue those adjusted by proportions.

    ``blocks``: contract ``blocks``; ``table``: contract ``proportions``. Returned with
    ``effect_proportions, se_proportions, df_proportions``, missing where there is none.
    """
    key = ["dataset", "contrast", "programme", "block", "stripped"]
    own = table[[*key, "effect", "se", "df"]].assign(cell_type="muscle")
    own = own.rename(columns={name: f"{name}_proportions" for name in ("effect", "se", "df")})
    return blocks.merge(own, on=[*key, "cell_type"], how="left")
