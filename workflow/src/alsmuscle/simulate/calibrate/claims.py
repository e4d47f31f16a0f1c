"""Planted claims, followed through pooling to their verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alsmuscle.simulate.bulk import DEMO
from alsmuscle.synthesis.verdicts import Rules

# Patients and healthy of the demo's five patient studies, and its denervated and sham mice.
ALS_SIZES = [
    (sum(g.n for g in plan.groups if g.condition == "als"), plan.groups[-1].n)
    for plan in (DEMO[f"simals{number}"] for number in range(1, 6))
]
DENERVATION_SIZE = (DEMO["simden1"].groups[0].n, DEMO["simden1"].groups[1].n)
# What is planted in the blocks of the verdicts' simulation, in this order.
TRUTHS = (
    *("intrinsic", "intrinsic", "random set", "denervation"),
    *("random set", "denervation", "no effect", "denervation"),
)
BEYOND = 0.6
HETEROGENEITY = 0.15
N_RANDOM = 40


def _document(blocks: Mapping[str, str]) -> dict[str, Any]:
    """Return claims as their file has them: every block goes up; ``blocks``: id → truth."""
    context = {
        "role": "als_model",
        "species": "mouse",
        "sample_kinds": ["bulk_tissue"],
        "cell_types": ["muscle"],
    }
    return {
        "contexts": {"model": context},
        "claims": [
            {
                "id": name,
                "statement": truth,
                "subject": "tissue",
                "denervation_sensitive": True,
                "tests": [
                    {
                        "id": "up",
                        "target": f"{name}/b",
                        "expected": "up",
                        "contexts": ["model"],
                        "primary": ["model"],
                    }
                ],
            }
            for name, truth in blocks.items()
        ],
    }


def _contrasts(names: Sequence[str]) -> pd.DataFrame:
    """Return the table of contrasts: ALS models of these names, and a denervation reference."""
    from alsmuscle.synthesis import contrasts as contrast

    sizes = [*ALS_SIZES, DENERVATION_SIZE]
    return contrast.contrast_table(
        pd.DataFrame(
            {
                "dataset": [*names, "den"],
                "role": ["als_model"] * len(names) + ["denervation"],
                "n_target": [target for target, _ in sizes],
                "n_reference": [reference for _, reference in sizes],
            }
        ).assign(
            **{"contrast": "c", "species": "mouse", "stage": "symptomatic", "material": "biopsy"},
            **{"modality": "bulk", "simulated": True, "published": False},
            **dict.fromkeys(("muscle", "platform", "cluster", "confounded"), ""),
        ),
        min_donors=3,
        include_confounded=False,
    )


def verdict_replicate(
    rules: Rules, settings: Mapping[str, Any], *, seed: int
) -> list[dict[str, float | int | str | bool]]:
    """Plant truths in studies of the demo's sizes, and follow them through pooling to the verdicts.

    Five ALS studies and one denervation reference share a biology
    (:func:`alsmuscle.simulate.log_scale.simulate_biology`: log2 scale, so that 200 replicates are
    cheap; that counts lead to right effects is what ``replicates.replicate`` measures). Each study
    has its own lambda (0.5, standard deviation 0.1), and the effect of every block that is a
    programme differs between studies by ``HETEROGENEITY`` (standard deviation, log2 units: site,
    cohort, platform), without which modified Knapp-Hartung intervals hold more than they promise.
    Of eight blocks two carry ``BEYOND`` log2 units beyond denervation, three follow denervation
    only, one has no effect but what differs between studies, and two are random sets of genes. Each
    is claimed to go up, in bulk tissue, with denervation as an alternative explanation, and meets
    ``N_RANDOM`` matched random sets of its own on the way, as in the workflow. The reference is one
    for all studies: species and platform are taken to be the same, which in the demo holds for the
    mouse models only. ``settings``: ``synthesis.denervation`` of the configuration.

    Returns
    -------
    list of dict
        Rows of ``verdicts.tsv``: per block its truth and verdict, whether the pooled 95 % intervals
        of its level and of its part beyond denervation hold what was planted, and the smallest
        detectable part beyond denervation.
    """
    from alsmuscle.genesets import scoring
    from alsmuscle.simulate import log_scale
    from alsmuscle.synthesis import axis, claims

    blocks = {f"P{number}": truth for number, truth in enumerate(TRUTHS)}
    names = [f"als{number}" for number in range(len(ALS_SIZES))]
    contrasts = _contrasts(names)
    rng = np.random.default_rng([seed, 7])
    draw = iter(int(number) for number in rng.integers(2**31, size=len(names) + 2))
    biology = log_scale.simulate_biology(seed=next(draw))
    place = {
        str(name): [int(gene[1:]) for gene in part["gene_id"]]
        for name, part in biology.members.groupby("programme")
    }
    own = np.zeros(biology.denervation.size)
    for name, truth in blocks.items():
        own[place[name]] = BEYOND if truth == "intrinsic" else 0.0
    expression = pd.Series(rng.normal(6, 2, own.size), [f"g{i}" for i in range(own.size)])
    sets = scoring.control_blocks(
        expression, biology.members.assign(stripped=False), N_RANDOM, seed
    )
    columns = biology.members.columns
    biology = biology._replace(members=pd.concat([biology.members, sets[columns]]))
    cut = log_scale.simulate_study(
        biology,
        effect=biology.denervation,
        n_target=DENERVATION_SIZE[0],
        n_reference=DENERVATION_SIZE[1],
        severity_sd=0.1,
        seed=next(draw),
    )
    effects, deltas = [], []
    for name, (target, reference) in zip(names, ALS_SIZES, strict=True):
        shift = np.zeros(own.size)
        for block, truth in blocks.items():
            if truth != "random set":
                shift[place[block]] = rng.normal(0, HETEROGENEITY)
        als = log_scale.simulate_study(
            biology,
            effect=rng.normal(0.5, 0.1) * biology.denervation + own + shift,
            n_target=target,
            n_reference=reference,
            seed=next(draw),
        )
        label = {"dataset": name, "contrast": "c", "cell_type": "muscle"}
        # Nothing here differs in composition, so that adjusting for it changes nothing.
        as_is = {f"{column}_adjusted": als.blocks[column] for column in ("effect", "se")}
        effects.append(als.blocks.assign(**label, **as_is, df=als.df, df_adjusted=als.df))
        delta = axis.block_delta(
            als.effects,
            cut.effects,
            als.blocks,
            cut.blocks,
            biology.members,
            als_replicates=als.replicates,
            den_replicates=cut.replicates,
            als_df=als.df,
            den_df=cut.df,
            inter_gene_correlation=settings["inter_gene_correlation"],
            min_reliability=settings["min_reliability"],
        )
        deltas.append(delta.assign(reference="den/c", **label))
    told = claims.judge(
        _document(blocks), pd.concat(effects), contrasts, pd.concat(deltas), rules=rules
    ).set_index("claim")
    rows: list[dict[str, float | int | str | bool]] = []
    for name, truth in blocks.items():
        found = told.loc[name]
        beyond = float(own[place[name]].mean())
        level = 0.5 * float(biology.denervation[place[name]].mean()) + beyond
        rows.append({"seed": seed, "block": name, "truth": truth, **_held(found, level, beyond)})
    return rows


def _held(found: pd.Series, level: float, beyond: float) -> dict[str, float | str | bool]:
    """Hold a block's verdict and pooled intervals against what was planted."""
    return {
        "level": level,
        "beyond": beyond,
        "effect": float(found["effect"]),
        "delta": float(found["delta"]),
        "random_share": float(found["random_share"]),
        "verdict": found["verdict"],
        "level_held": bool(found["ci_low"] <= level <= found["ci_high"]),
        "beyond_held": bool(found["delta_ci_low"] <= beyond <= found["delta_ci_high"]),
        "detectable": float(found["detectable_effect"]),
    }
