"""What can be said of patients and denervation where no human denervation study exists.

Agreement across species is context, never Delta: it says whether the muscle of patients looks like
denervated mouse muscle, not how much of a change denervation accounts for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd


class Agreement(NamedTuple):
    """Genes of the denervation signature in an ALS contrast and a denervation reference.

    ``n``: genes measured in both and moving in the reference by more than twice its error;
    ``same``: of them, with the same direction in the ALS contrast; ``share``: their ratio;
    ``low, high``: 95 % interval of the share (Wilson 1927, J Am Stat Assoc 22:209), which takes
    genes as independent and is therefore too narrow.
    """

    n: int
    same: int
    share: float
    low: float
    high: float


def sign_agreement(
    als: pd.DataFrame, reference: pd.DataFrame, signature: pd.Index | list[str]
) -> Agreement:
    """Count the signature's genes that move in the reference's direction.

    Parameters
    ----------
    als, reference
        By human gene id (1:1 orthologs): ``effect, se``, log2 units.
    signature
        Human ids of the denervation signature's first tier.
    """
    shared = als.index.intersection(reference.index).intersection(pd.Index(signature))
    a, d = als.loc[shared, "effect"], reference.loc[shared]
    moving = (d["effect"].abs() > 2 * d["se"]) & a.notna()
    same = int((np.sign(a[moving]) == np.sign(d.loc[moving, "effect"])).sum())
    n = int(moving.sum())
    if n == 0:
        return Agreement(0, 0, float("nan"), float("nan"), float("nan"))
    z = 1.959964
    share = same / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return Agreement(n, same, share, float(centre - half), float(centre + half))


def patients_and_denervation(contrasts: pd.DataFrame) -> str:
    """Return the first page's sentence on what no claim about patients can be held against.

    ``contrasts``: ``contrasts.tsv``. Empty where a human denervation reference or a direct contrast
    of patients with another neurogenic disease is pooled.
    """
    human = contrasts[(contrasts["species"] == "human") & contrasts["eligible"].astype(bool)]
    patients = human[human["role"] == "als_patient"]
    reference = human[human["role"] == "denervation"]
    direct = patients[patients["tag"] == "versus_neurogenic"]
    if len(reference) or direct["dataset"].nunique() >= 2:
        return ""
    others = sorted(set(patients.loc[patients["tag"] == "versus_other_disease", "dataset"]))
    said = (
        "No study of human muscle that lost its nerve takes part, so for patients a change that "
        "denervation could bring can be seen, but not told from denervation."
    )
    if len(direct):
        said += " One study compares ALS directly with another neurogenic disease; it takes two."
    if others:
        said += (
            f" {', '.join(others)} also compare{'s' * (len(others) == 1)} ALS with other "
            "diseases of the same study, which is shown beside each claim and decides nothing."
        )
    return said
