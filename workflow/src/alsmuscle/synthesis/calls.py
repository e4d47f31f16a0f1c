"""Lists of called genes beside each other, and beside contrasts with effects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from alsmuscle.genesets.calls import agreement

if TYPE_CHECKING:
    import pandas as pd

KEY = ["dataset", "contrast"]
FACTS = ["role", "species", "stage", "cluster", "platform", "n_target", "n_reference"]


def with_facts(table: pd.DataFrame, contrasts: pd.DataFrame) -> pd.DataFrame:
    """Add what ``contrasts.tsv`` knows of a list: role, species, cluster, group sizes."""
    return table.merge(contrasts[[*KEY, *FACTS]], on=KEY, how="left", validate="many_to_one")


def agreements(
    called: pd.DataFrame, effects: Iterable[pd.DataFrame], contrasts: pd.DataFrame
) -> pd.DataFrame:
    """Compare the directions of every list with every other list and contrast of its species.

    Parameters
    ----------
    called
        Contract ``called``, of all lists.
    effects
        Tables of contract ``de`` of whole tissue, one contrast each.
    contrasts
        Contract ``contrasts``; its ``cluster`` says what comes from one study.

    Returns
    -------
    DataFrame
        Contract ``call_agreement``.
    """
    import pandas as pd

    facts = contrasts.set_index(KEY)
    lists: dict[tuple[str, str], pd.DataFrame] = {
        (str(k[0]), str(k[1])): group for k, group in called.groupby(KEY, sort=False)
    }
    rows: list[dict[str, Any]] = []

    def add(one: tuple[str, str], other: tuple[str, str], kind: str, table: pd.DataFrame) -> None:
        if facts.loc[one, "species"] != facts.loc[other, "species"]:
            return
        rows.append(
            {
                **dict(zip(KEY, one, strict=True)),
                "other_dataset": other[0],
                "other_contrast": other[1],
                "other_kind": kind,
                "same_study": facts.loc[one, "cluster"] == facts.loc[other, "cluster"],
                **agreement(lists[one], table),
            }
        )

    for one in lists:
        for other, group in lists.items():
            if one != other:
                add(one, other, "calls", group[["gene_id", "direction", "log2fc"]])
    for table in effects:
        if table.empty or not lists:
            continue
        other = (str(table["dataset"].iloc[0]), str(table["contrast"].iloc[0]))
        kind = "effects" if facts.loc[other, "modality"] == "effects" else "samples"
        for one in lists:
            add(one, other, kind, table[["gene_id", "log2fc"]])
    columns = [*KEY, "other_dataset", "other_contrast", "other_kind", "same_study"]
    columns += ["n_called", "n_shared", "n_same", "share_same", "expected_same"]
    columns += ["p_more", "p_fewer", "spearman"]
    return pd.DataFrame(rows, columns=columns)
