"""What every study says to every test of a claim: the rows of the claims' forest plots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from alsmuscle.synthesis.blocks import KEY
from alsmuscle.synthesis.claims import matching


def claim_studies(
    document: Mapping[str, Any],
    effects: pd.DataFrame,
    contrasts: pd.DataFrame,
    deltas: pd.DataFrame,
) -> pd.DataFrame:
    """List effect and Delta of every study for every test of a claim, eligible or not.

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
    if "usable" in complete:
        badly = ~complete["usable"].astype(bool) & complete["eligible"].astype(bool)
        complete.loc[badly, "reason"] = "too few of the genes are measured"
        complete["eligible"] = complete["eligible"].astype(bool) & ~badly
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
            for row in contrasts[matching(contrasts, context)].itertuples()
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
