"""The kinds of studies that are simulated, and how they are analysed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.simulate.bulk import DEMO, Group, Plan, Simulated

if TYPE_CHECKING:
    from anndata import AnnData

INFERENCE: Literal["batched"] = "batched"
DISTRIBUTION: Literal["quasi"] = "quasi"
MIN_TOTAL = 10
ALPHA = 0.05

# Genes whose blocks are not bent by the variance stabilisation of small counts.
WELL_MEASURED = 100.0


class Scenario(NamedTuple):
    """A kind of study: its plan, target and reference, covariates, and what it asks."""

    plan: Plan
    target: str
    reference: str
    adjust: tuple[str, ...]
    about: str

    @property
    def contrast(self) -> dict[str, Any]:
        """The contrast as a card would give it, every key filled in."""
        return {
            "id": "effect",
            "variable": "condition",
            "target": self.target,
            "reference": self.reference,
            "adjust": list(self.adjust),
            "block": None,
            "within": {},
        }


def two_groups(n: int, spread: float, reference_spread: float) -> Plan:
    """Return the plan of ``n`` patients and ``n`` healthy; ``spread``: how unlike donors are."""
    als = Group("als", (n,), denervation=0.7, intrinsic=1.0, spread=spread, severity_sd=0.3)
    return Plan("human", (als, Group("healthy", (n,), spread=reference_spread)))


SCENARIOS: Mapping[str, Scenario] = {
    "alike": Scenario(
        two_groups(8, 0.25, 0.25), "als", "healthy", (), "donors as alike as GSE140261's controls"
    ),
    "spread": Scenario(
        two_groups(8, 0.5, 0.5), "als", "healthy", (), "donors half as unlike as FSHD patients"
    ),
    "wide": Scenario(
        two_groups(12, 1.0, 1.0), "als", "healthy", (), "donors as unlike as FSHD patients"
    ),
    "unequal": Scenario(
        two_groups(9, 0.5, 0.25),
        *("als", "healthy", ()),
        "patients twice as unlike as the healthy: genes planted at zero have unequal variances",
    ),
    "batches": Scenario(
        replace(
            DEMO["simals2"], groups=tuple(g._replace(spread=0.25) for g in DEMO["simals2"].groups)
        ),
        *("als", "healthy", ("batch",)),
        "two unbalanced batches, in the model",
    ),
    "swapped": Scenario(
        replace(DEMO["simals4"], sex_mismatch=True, duplicated=True),
        *("als", "healthy", ()),
        "a swapped pair, a wrong sex, a library twice",
    ),
    # Not called null, which table readers take for a missing value.
    "nothing": Scenario(DEMO["simnull1"], "placebo", "untreated", (), "nothing differs"),
}

# Scenarios in which a gene planted at zero is an exact null and no sample is wrong.
EXACT = ("alike", "spread", "wide", "batches")


def as_counts(made: Simulated, dataset: str) -> AnnData:
    """Return a simulated study as the workflow's counts (samples x genes)."""
    from alsmuscle.core.annotated import anndata

    obs = made.sheet.rename(columns={"sample": "sample_id", "group": "condition"})
    obs = obs.set_index("sample_id").assign(dataset=dataset)
    obs["subject_id"] = obs.index
    symbols = made.genes.drop_duplicates("gene_id").set_index("gene_id")["symbol"]
    var = pd.DataFrame({"symbol": symbols.reindex(made.counts.index), "source_id": ""})
    return anndata.AnnData(X=made.counts.T.to_numpy(dtype=np.int64), obs=obs, var=var)


# Studies of which the quality flags are asked: nothing is wrong with any sample of the first kind.
CLEAN = ("alike", "spread", "wide", "unequal", "batches")

PLANTED = replace(
    two_groups(10, 0.5, 0.25),
    swapped=("als", "healthy"),
    sex_mismatch=True,
    duplicated=True,
    bloody=True,
)
