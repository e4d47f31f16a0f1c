"""What a sample is made of: muscle or another tissue, which muscle, fast or slow, transgenic?

Scores are means of log2 expression over short marker panels (``config/tissues.tsv``). Two rules
keep severely atrophic muscle from being called impure. Muscle content is ACTA1, TTN and NEB, which
a wasted fibre still makes, never MYH1 or TNNT3, which it loses. And a foreign tissue is only
flagged if its score is far above the study's median *and* the tissue is abundant: atrophy raises
the share of fat, nerve and connective tissue a little in every patient, a piece of tendon in the
biopsy raises it a lot in one sample.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

FOREIGN = ("blood", "leukocyte", "fat", "tendon", "nerve", "skin")

# Limb of the muscles that studies name; others are not judged.
LEG = (
    *("vastus", "quadriceps", "gastrocnemius", "soleus", "tibialis", "plantaris", "rectus femoris"),
    *("extensor digitorum longus", "edl", "lower limb", "leg", "hindlimb"),
)
ARM = ("deltoid", "biceps brachii", "triceps brachii", "forearm", "forelimb", "arm")

# log2 units by which one limb's HOX and TBX genes must lead the other's.
LEAD = 1.0
# A gene counts as expressed from here (log2 counts per million + 1).
EXPRESSED = 2.0

# The human gene in a mouse, as references that hold both name it.
HUMAN_SOD1 = ("ENSG00000142168", "hSOD1", "SOD1_human", "human_SOD1")


def _rows(symbols: pd.Series, panels: pd.DataFrame, panel: str, organism: str) -> np.ndarray:
    column = "human" if organism == "human" else "mouse"
    own = set(panels.loc[panels["panel"] == panel, column]) - {""}
    return np.flatnonzero(symbols.isin(own).to_numpy())


def measure(
    expression: pd.DataFrame, var: pd.DataFrame, panels: pd.DataFrame, organism: str
) -> pd.DataFrame:
    """Score every sample.

    Parameters
    ----------
    expression
        Samples × genes, log2 (counts per million + 1, or intensities), columns gene ids.
    var
        Per gene ``symbol`` and ``source_id``.
    panels
        ``panel, human, mouse``: the marker genes.
    organism
        Which of the two symbols counts; rats are read by the mouse's.

    Returns
    -------
    DataFrame
        Index sample: ``muscle``, the tissues of :data:`FOREIGN`, ``slow_fast`` (slow minus fast),
        ``leg`` and ``arm`` (the strongest of the limb's genes), ``site_inferred`` (``leg``, ``arm``
        or ``unclear``), ``sod1`` and ``sod1_gene`` (``human`` where the matrix has the human gene
        beside the mouse's, else ``own``). Missing where no gene of a panel is measured.
    """
    symbols = var["symbol"].astype(str)
    values = expression.to_numpy(float)

    def mean(panel: str) -> np.ndarray:
        rows = _rows(symbols, panels, panel, organism)
        return values[:, rows].mean(axis=1) if len(rows) else np.full(len(values), np.nan)

    def strongest(panel: str) -> np.ndarray:
        rows = _rows(symbols, panels, panel, organism)
        return values[:, rows].max(axis=1) if len(rows) else np.full(len(values), np.nan)

    table = pd.DataFrame(
        {name: mean(name) for name in ("muscle", *FOREIGN)}, index=expression.index
    )
    table["slow_fast"] = mean("slow") - mean("fast")
    table["leg"], table["arm"] = strongest("leg"), strongest("arm")
    lead = table["leg"] - table["arm"]
    table["site_inferred"] = np.select(
        [
            (lead > LEAD) & (table["leg"] >= EXPRESSED),
            (lead < -LEAD) & (table["arm"] >= EXPRESSED),
        ],
        ["leg", "arm"],
        "unclear",
    )
    named = pd.concat([var.index.to_series(), symbols, var["source_id"].astype(str)], axis=1)
    human = named.isin(HUMAN_SOD1).any(axis=1).to_numpy() & (organism != "human")
    table["sod1"] = values[:, human].max(axis=1) if human.any() else mean("sod1")
    table["sod1_gene"] = "human" if human.any() else "own"
    return table


def limb(muscle: str) -> str:
    """Return ``leg`` or ``arm`` for a muscle's name, or nothing where it is neither or unknown."""
    words = muscle.lower()
    found = {
        side
        for side, names in (("leg", LEG), ("arm", ARM))
        if any(re.search(rf"\b{name}\b", words) for name in names)
    }
    return found.pop() if len(found) == 1 else ""


def flags(
    table: pd.DataFrame,
    *,
    min_muscle: float,
    min_tissue: float,
    max_tissue_excess: float,
) -> dict[str, list[tuple[str, str]]]:
    """Return flags and reasons per sample.

    Parameters
    ----------
    table
        :func:`measure`, with the declared ``muscle_declared`` and ``transgenic`` (True, False, or
        missing where the card does not tell) beside it.
    min_muscle
        Least mean log2 expression of ACTA1, TTN and NEB.
    min_tissue
        Mean log2 expression from which a foreign tissue counts.
    max_tissue_excess
        log2 units above the study's median from which it is flagged.
    """
    found: dict[str, list[tuple[str, str]]] = {str(sample): [] for sample in table.index}
    middle = table[list(FOREIGN)].median()
    for sample, row in table.iterrows():
        own = found[str(sample)]
        if row["muscle"] < min_muscle:
            own.append(
                (
                    "not_muscle",
                    f"ACTA1, TTN and NEB {row['muscle']:.1f} log2 < {min_muscle:g}: hardly any "
                    "muscle, less than wasting alone leaves",
                )
            )
        for name in FOREIGN:
            excess = row[name] - middle[name]
            if row[name] >= min_tissue and excess >= max_tissue_excess:
                own.append(
                    (
                        f"tissue_{name}",
                        f"{name} {row[name]:.1f} log2, {excess:.1f} above the study's median >= "
                        f"{max_tissue_excess:g}",
                    )
                )
        declared = limb(str(row["muscle_declared"]))
        if declared and row["site_inferred"] in ("leg", "arm") and declared != row["site_inferred"]:
            own.append(
                (
                    "site_mismatch",
                    f"declared {row['muscle_declared']} but limb genes of the "
                    f"{row['site_inferred']} (leg {row['leg']:.1f}, arm {row['arm']:.1f} log2)",
                )
            )
        if row["sod1_gene"] == "human" and not pd.isna(row["transgenic"]):
            on = row["sod1"] >= EXPRESSED
            if on != bool(row["transgenic"]):
                own.append(
                    (
                        "transgene_mismatch",
                        f"declared {'with' if row['transgenic'] else 'without'} the SOD1 transgene "
                        f"but human SOD1 is {row['sod1']:.1f} log2 (expressed from {EXPRESSED:g})",
                    )
                )
    return found


def transgenic(obs: pd.DataFrame) -> pd.Series:
    """Say whether each sample is declared to carry a SOD1 transgene; missing where nobody is."""
    words = obs["condition"].astype(str).str.lower()
    carries = words.str.contains("sod1") & ~words.str.contains(r"wt|wild|control|non")
    if not carries.any():
        return pd.Series(np.nan, index=obs.index, dtype=object)
    return carries.astype(object)
