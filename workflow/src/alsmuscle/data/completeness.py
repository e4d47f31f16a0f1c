"""Every sample of a study accounted for: in the record, obtained, analysed, or why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from alsmuscle.core.contracts import rows as contract_rows
from alsmuscle.data import cards, counts
from alsmuscle.data.tables import WARNINGS
from alsmuscle.design import checks, matrix

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def design_faults(
    card: Mapping[str, Any],
    obs: pd.DataFrame,
    min_replicates: int,
    flagged: Sequence[str] = (),
) -> pd.DataFrame:
    """Check that every contrast of a card can be computed, and list what a reader must know of it.

    Parameters
    ----------
    card
        Keys ``id``, ``role``, ``contrasts`` of the study card.
    obs
        The samples, index sample id.
    min_replicates
        Samples a side below which no test is claimed.
    flagged
        What reading the study flagged: too much lost (:mod:`alsmuscle.data.losses`).

    Returns
    -------
    DataFrame
        Contract ``warnings``.

    Raises
    ------
    InputError
        As :func:`alsmuscle.design.checks.check_contrast`.
    """
    import pandas as pd

    found = [contract_rows([], WARNINGS)]  # a reference compares nothing
    for entry in card["contrasts"]:
        contrast = cards.contrast(dict(card), entry["id"])
        where = f"config/datasets/{card['id']}.yaml: contrasts.{entry['id']}"
        checks.check_contrast(obs, contrast, where)
        columns = card.get("samples", {}).get("columns", {})
        found.append(
            checks.design_warnings(obs, contrast, card["id"], min_replicates, columns=columns)
        )
        lost = [
            {"dataset": card["id"], "contrast": contrast["id"], "kind": "genes_lost", "column": ""}
            | {"text": str(text)}
            for text in flagged
        ]
        found += [pd.DataFrame(lost)] if lost else []
    return pd.concat(found, ignore_index=True)


def completeness(card: Mapping[str, Any], adata: AnnData, excluded: pd.DataFrame) -> pd.DataFrame:
    """Account for every sample of the archive's record: obtained, analysed, or why not.

    Parameters
    ----------
    card
        Keys ``id``, ``role``, ``contrasts`` of the study card.
    adata
        Contract ``counts.h5ad``, as :func:`read_bulk` returns it.
    excluded
        Contract ``excluded``; its ``sample_id`` is the label of the source.

    Returns
    -------
    DataFrame
        Contract ``completeness``, analysed samples first; duplicates within the study are marked.
    """
    import pandas as pd

    obs = adata.obs
    used: dict[str, list[str]] = {str(sample): [] for sample in obs.index}
    for entry in card["contrasts"]:
        for sample in matrix.used_samples(obs, cards.contrast(dict(card), entry["id"])).index:
            used[str(sample)].append(entry["id"])
    labels = obs["sample_label"] if "sample_label" in obs else obs.index.to_series()
    rows = [
        {
            "sample_id": str(sample),
            "sample_label": str(labels[sample]),
            "obtained": True,
            # A reference compares nothing: all of its samples are analysed.
            "analysed": bool(used[str(sample)]) or not card["contrasts"],
            "reason": ""
            if used[str(sample)] or not card["contrasts"]
            else _unused(obs.loc[sample]),
        }
        for sample in obs.index
    ]
    columns = {str(name) for name in adata.uns["provenance"]["columns_in_source"]}
    spare = len(columns) - len(obs)  # columns that belong to no kept sample
    rows += [
        {
            "sample_id": row.sample_id,
            "sample_label": row.sample_id,
            "obtained": row.sample_id in columns or spare == len(excluded),
            "analysed": False,
            "reason": row.reason,
        }
        for row in excluded.itertuples()
    ]
    table = pd.DataFrame(rows).assign(dataset=card["id"], in_record=True)
    table["counts_sha256"] = table["sample_id"].map(counts.fingerprints(adata)).fillna("")
    table = table.sort_values("analysed", ascending=False, kind="stable", ignore_index=True)
    return mark_identical(table)


def _unused(sample: pd.Series) -> str:
    return f"in no contrast (condition '{sample['condition']}', or a covariate is unknown)"


def mark_identical(table: pd.DataFrame) -> pd.DataFrame:
    """Fill ``identical_to``: the samples, of any study in the table, with the same counts."""
    names = table["dataset"] + "/" + table["sample_label"]
    known = table["counts_sha256"].ne("")
    twins = names[known].groupby(table.loc[known, "counts_sha256"]).agg(list).to_dict()
    others = [
        ";".join(name for name in twins.get(digest, []) if name != own)
        for own, digest in zip(names, table["counts_sha256"], strict=True)
    ]
    return table.assign(identical_to=others)
