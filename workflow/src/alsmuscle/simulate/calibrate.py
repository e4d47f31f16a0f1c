"""How well the workflow recovers a planted truth, and whether it stays silent where there is none.

Every replicate simulates a study anew (:mod:`alsmuscle.simulate`) and sends it through the same
functions as a real one. ``python -m alsmuscle.calibrate`` (``make calibrate``) writes
``replicates.tsv``, ``denervation.tsv``, ``verdicts.tsv``, ``flags.tsv``, ``omnibus.tsv``,
``summary.tsv`` and ``index.html``; with a data mirror also ``real_null.tsv``, random halves of one homogeneous real group.

What counts as a false call. A gene is null when nothing was planted in it: its expected count is the
same on both sides, to the last digit. A faint effect (a gene that answers to denervation early, four
weeks later: 0.05 log2 units) is an effect, and calling it is no error. Scenarios enter the false
discovery rate only where that makes the null exact (:data:`EXACT`): both sides are equally spread
(else size factors, which look at typical logs, move the expected counts of all genes alike:
``unequal``), no sample is swapped, and every factor that differs between samples is random with
respect to the groups or in the model. Genes of a study move together, so that a study's false
discovery proportion scatters widely about the rate that is its mean: many studies have none, few
have many. The rate is the mean over replicates and scenarios, each scenario being given by itself,
too. It contains the true share of nulls (about 0.84): a perfect test would give 0.042 at 0.05.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.data import derived
from alsmuscle.design import matrix as designs
from alsmuscle.simulate.bulk import DEMO, Group, Plan, Simulated, block_truth, study
from alsmuscle.stats import distributions
from alsmuscle.synthesis.verdicts import (
    CONTRADICTED,
    DENERVATION,
    EXPLAINED,
    NOT_ENOUGH,
    SMALLER,
    SUPPORTED,
    VERDICTS,
    Rules,
)

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


def _two_groups(n: int, spread: float, reference_spread: float) -> Plan:
    als = Group("als", (n,), denervation=0.7, intrinsic=1.0, spread=spread, severity_sd=0.3)
    return Plan("human", (als, Group("healthy", (n,), spread=reference_spread)))


SCENARIOS: Mapping[str, Scenario] = {
    "alike": Scenario(
        _two_groups(8, 0.25, 0.25), "als", "healthy", (), "donors as alike as GSE140261's controls"
    ),
    "spread": Scenario(
        _two_groups(8, 0.5, 0.5), "als", "healthy", (), "donors half as unlike as FSHD patients"
    ),
    "wide": Scenario(
        _two_groups(12, 1.0, 1.0), "als", "healthy", (), "donors as unlike as FSHD patients"
    ),
    "unequal": Scenario(
        _two_groups(9, 0.5, 0.25),
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
    import anndata

    obs = made.sheet.rename(columns={"sample": "sample_id", "group": "condition"})
    obs = obs.set_index("sample_id").assign(dataset=dataset)
    obs["subject_id"] = obs.index
    symbols = made.genes.drop_duplicates("gene_id").set_index("gene_id")["symbol"]
    var = pd.DataFrame({"symbol": symbols.reindex(made.counts.index), "source_id": ""})
    return anndata.AnnData(X=made.counts.T.to_numpy(dtype=np.int64), obs=obs, var=var)


def replicate(
    biology: pd.DataFrame, members: pd.DataFrame, name: str, *, seed: int
) -> dict[str, float | int | str]:
    """Simulate one study of a scenario, analyse it, and compare with the truth.

    Parameters
    ----------
    biology
        ``bulk.biology``.
    members
        ``programmes.blocks`` for human.
    name
        Key of :data:`SCENARIOS`.

    Returns
    -------
    dict
        One row of ``replicates.tsv``: numbers and shares over genes, blocks and samples.
    """
    from alsmuscle.bulk import deseq2, swaps
    from alsmuscle.genesets import programmes

    scenario = SCENARIOS[name]
    contrast = scenario.contrast
    made = study(biology, scenario.plan, [contrast], dataset=name, seed=seed)
    counts = as_counts(made, name)
    fitted = deseq2.fit(counts, contrast, min_total=MIN_TOTAL, inference=INFERENCE)
    table = deseq2.test(
        fitted,
        counts.obs,
        contrast,
        dataset=name,
        distribution=DISTRIBUTION,
        alpha=ALPHA,
        min_replicates=3,
        shrink=False,
        inference=INFERENCE,
    ).merge(made.genes, on="gene_id", suffixes=("", "_true"))
    called = table["padj"] < ALPHA
    null = table["log2fc_true"] == 0
    strong = table["log2fc_true"].abs() >= 1
    half = distributions.half_width(table["lfc_se"], table["df"])
    held = (table["log2fc"] - table["log2fc_true"]).abs() <= half
    row: dict[str, float | int | str] = {
        "scenario": name,
        "seed": seed,
        "called": int(called.sum()),
        "false": int((called & null).sum()),
        "fdp": float((called & null).sum() / max(called.sum(), 1)),
        "null_p_below_05": float((table.loc[null, "pvalue"] < 0.05).mean()),
        "power": float(called[~null].mean()) if (~null).any() else np.nan,
        "power_strong": float(called[strong].mean()) if strong.any() else np.nan,
        "coverage": float(held.mean()),
    }
    vst = deseq2.vst(counts, min_total=MIN_TOTAL, inference=INFERENCE)
    design = designs.design_matrix(counts.obs, contrast)
    effects = programmes.effects(
        vst.to_df().T, design, designs.contrast_vector(design, contrast), members
    ).merge(
        block_truth(made.genes, members),
        on=["programme", "block", "stripped"],
        suffixes=("", "_true"),
    )
    effects = effects[~effects["stripped"]]
    inside = effects["effect_true"].between(effects["ci_low"], effects["ci_high"])
    base = pd.Series(np.asarray(counts.X).mean(axis=0), index=counts.var_names)
    faint = members.assign(mean=members["gene_id"].map(base)).groupby(["programme", "block"])[
        "mean"
    ]
    good = effects.merge(faint.min().rename("least").reset_index(), on=["programme", "block"])
    good_inside = inside.to_numpy()[(good["least"] >= WELL_MEASURED).to_numpy()]
    still = effects["effect_true"].abs() < 0.02
    moved = effects["effect_true"].abs() >= 0.4
    row |= {
        "block_coverage": float(inside.mean()),
        "block_coverage_measured": float(good_inside.mean()),
        "block_null_called": float((effects.loc[still, "padj"] < ALPHA).mean()),
        "block_power": float((effects.loc[moved, "padj"] < ALPHA).mean())
        if moved.any()
        else np.nan,
    }
    sex = derived.sex_expression(counts, "human")["sex_inferred"].to_numpy()
    wrong = np.isin(sex, ["female", "male"]) & (sex != counts.obs["sex"].to_numpy())
    sexed = counts.var["symbol"].isin(
        [derived.SEX_GENES["human"][0], *derived.SEX_GENES["human"][1]]
    )
    covariates = design.drop(columns=["Intercept", f"condition[{scenario.target}]"])
    suspects = swaps.swap_suspects(
        vst.to_df(),
        counts.obs["condition"] == scenario.target,
        covariates=covariates,
        exclude=counts.var_names[sexed],
    )["suspect"].to_numpy()
    pairs = swaps.duplicates(counts.to_df())
    twice = made.samples["sample_id"].isin([*pairs["sample_id"], *pairs["other"]]).to_numpy()
    copies = made.samples["duplicate_of"]
    doubled = (copies != "") | made.samples["sample_id"].isin(copies)
    row["samples"] = len(made.samples)
    for kind, found, planted in (
        ("sex", wrong, made.samples["sex_mismatch"]),
        ("swap", suspects, made.samples["swapped"]),
        ("duplicate", twice, doubled),
    ):
        truth = planted.to_numpy(dtype=bool)
        row |= {
            f"{kind}_planted": int(truth.sum()),
            f"{kind}_found": int((found & truth).sum()),
            f"{kind}_false": int((found & ~truth).sum()),
        }
    return row


# Studies of which the quality flags are asked: nothing is wrong with any sample of the first kind.
CLEAN = ("alike", "spread", "wide", "unequal", "batches")
PLANTED = replace(
    _two_groups(10, 0.5, 0.25),
    swapped=("als", "healthy"),
    sex_mismatch=True,
    duplicated=True,
    bloody=True,
)


def flag_replicate(
    biology: pd.DataFrame,
    panels: pd.DataFrame,
    thresholds: Mapping[str, Any],
    name: str,
    *,
    seed: int,
) -> list[dict[str, float | int | str]]:
    """Simulate a study and flag its samples as the workflow would.

    Parameters
    ----------
    biology
        ``bulk.biology``.
    panels
        ``config/tissues.tsv``.
    thresholds
        ``bulk.qc`` of the configuration.
    name
        One of :data:`CLEAN`, or ``planted``: a swapped pair, a wrong sex, a library twice, a sample
        that is nine tenths blood.

    Returns
    -------
    list of dict
        Rows of ``flags.tsv``, one per sample: what is wrong with it, and its flags.
    """
    from alsmuscle.bulk import deseq2, qc, swaps

    if name == "planted":
        scenario = Scenario(PLANTED, "als", "healthy", (), "faults of samples")
    else:
        scenario = SCENARIOS[name]
    plan = scenario.plan if name == "planted" else replace(scenario.plan, outlier=False)
    made = study(biology, plan, [scenario.contrast], dataset=name, seed=seed)
    counts = as_counts(made, name)
    counts.obs["muscle"] = "vastus lateralis"
    vst = deseq2.vst(counts, min_total=MIN_TOTAL, inference=INFERENCE)
    options = dict(thresholds)
    size = {key: options.pop(key) for key in ("n_variable_genes", "n_components")}
    measured, *_ = qc.metrics(counts, vst, "human", panels, **size)
    flagged = swaps.flag(
        qc.flag(measured, measure="counts", **options),
        counts,
        vst,
        [scenario.contrast],
        exclude=derived.sex_gene_ids(counts, "human"),
    )
    truth = made.samples.set_index("sample_id")
    copies = set(truth["duplicate_of"]) - {""}
    wrong = {
        "swap_suspect": truth["swapped"],
        "sex_mismatch": truth["sex_mismatch"],
        "duplicate": (truth["duplicate_of"] != "") | truth.index.isin(copies),
        "tissue_blood": truth["bloody"],
    }
    return [
        {
            **{"scenario": name, "seed": seed, "sample_id": str(sample)},
            "wrong": ";".join(kind for kind, mask in wrong.items() if mask[sample]),
            "flags": str(flagged.loc[sample, "flags"]),
        }
        for sample in flagged.index
    ]


def summarise_flags(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return lines of the summary: faults found, and false alarms of every kind.

    Parameters
    ----------
    rows
        Rows of :func:`flag_replicate`.
    """
    flags = rows["flags"].str.split(";").map(lambda names: set(names) - {""})
    lines = []
    for kind in ("swap_suspect", "sex_mismatch", "duplicate", "tissue_blood"):
        planted = rows["wrong"].str.split(";").map(lambda names, kind=kind: kind in names)
        if planted.any():
            found = flags[planted].map(lambda names, kind=kind: kind in names)
            what = f"planted {kind} flagged as such"
            lines.append(_line(what, float(found.mean()), len(found), low=0.9))
    clean = rows["scenario"].isin(CLEAN)
    if clean.any():
        studies = rows[clean].groupby(["scenario", "seed"]).ngroups
        share = float(flags[clean].map(bool).mean())
        what = f"samples of {studies} clean studies with any flag"
        lines.append(_line(what, share, int(clean.sum())))
        for name, part in flags[clean].map(bool).groupby(rows.loc[clean, "scenario"], sort=False):
            # Donors as unlike as FSHD patients are outliers by design.
            target = {} if name == "wide" else {"high": 0.02}
            lines.append(_line(f"the same, {name}", float(part.mean()), len(part), **target))
        alarms = flags[clean].explode().dropna().value_counts()
        lines += [
            _line(f"of which {kind}", float(n / clean.sum()), int(clean.sum()))
            for kind, n in alarms.items()
        ]
    return [{"scenario": "flags of quality", **line} for line in lines]


def _axis_side(
    counts: AnnData, contrast: Mapping[str, Any], genes: pd.Index, n_replicates: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Effects of one contrast on stabilised counts, their donor bootstrap, and the df."""
    from alsmuscle.bulk import deseq2
    from alsmuscle.genesets import programmes
    from alsmuscle.stats.moderation import squeeze_var
    from alsmuscle.synthesis import axis as denervation

    used = counts.obs[counts.obs["condition"].isin([contrast["target"], contrast["reference"]])]
    vst = deseq2.vst(counts[used.index].copy(), min_total=0, inference=INFERENCE).to_df()[genes]
    design = designs.design_matrix(used, contrast)
    vector = designs.contrast_vector(design, contrast)
    model = programmes.linear_contrast(vst.T, design, vector)
    effect, s2 = model.fit(vst.T.to_numpy(dtype=float))
    prior = squeeze_var(s2, model.df)
    variance = (model.df * s2 + prior.df_prior * prior.var_prior) / (model.df + prior.df_prior)
    effects = pd.DataFrame(
        {"effect": effect, "se": np.sqrt(variance * model.unscaled)}, index=genes
    )
    drawn = denervation.bootstrap_effects(
        vst.to_numpy(dtype=float),
        design.to_numpy(),
        vector,
        subjects=np.arange(len(used)),
        strata=used["condition"].to_numpy(),
        n_replicates=n_replicates,
        seed=seed,
    )
    return effects, pd.DataFrame(drawn, columns=genes), float(model.df)


def lambda_replicate(
    biology: pd.DataFrame, *, seed: int, n_replicates: int = 100
) -> list[dict[str, float | int | str]]:
    """Simulate a mouse model's time course and a denervation study, and estimate lambda.

    Returns
    -------
    list of dict
        Rows of ``denervation.tsv``: planted and estimated lambda with interval, per stage of the
        model, against the denervation reference of day 28.
    """
    from alsmuscle.synthesis.axis import denervation_axis

    base: dict[str, Any] = {"variable": "condition", "adjust": [], "block": None, "within": {}}
    stages = {
        f"day{day}": {"target": f"sod1_day{day}", "reference": f"wildtype_day{day}"}
        for day in (60, 90, 120)
    }
    model = study(
        biology,
        DEMO["simsod1"],
        [{"id": key, **levels} for key, levels in stages.items()],
        dataset="simsod1",
        seed=seed,
    )
    levels = {"target": "denervated_day28", "reference": "sham_day28"}
    cut = study(biology, DEMO["simden1"], [{"id": "cut", **levels}], dataset="simden1", seed=seed)
    both = (model.counts.mean(axis=1) >= WELL_MEASURED) & (cut.counts.mean(axis=1) >= WELL_MEASURED)
    genes = pd.Index(model.counts.index[both])
    d_effects, d_drawn, d_df = _axis_side(
        as_counts(cut, "simden1"), {**base, **levels}, genes, n_replicates, seed
    )
    rows: list[dict[str, float | int | str]] = []
    truth = model.contrasts.set_index("contrast")["lambda"]
    for stage, pair in stages.items():
        a_effects, a_drawn, a_df = _axis_side(
            as_counts(model, "simsod1"), {**base, **pair}, genes, n_replicates, seed + 1
        )
        found = denervation_axis(
            a_effects,
            d_effects,
            als_replicates=a_drawn,
            den_replicates=d_drawn,
            als_df=a_df,
            den_df=d_df,
        )
        rows.append(
            {
                "stage": stage,
                "seed": seed,
                "planted": float(truth[stage]),
                "lambda": found["lambda"],
                "ci_low": found["ci_low"],
                "ci_high": found["ci_high"],
            }
        )
    return rows


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


def verdict_replicate(rules: Rules, *, seed: int) -> list[dict[str, float | int | str | bool]]:
    """Plant truths in studies of the demo's sizes, and follow them through pooling to the verdicts.

    Five ALS studies and one denervation reference share a biology
    (:func:`alsmuscle.synthesis.axis.simulate_biology`: log2 scale, so that 200 replicates are cheap;
    that counts lead to right effects is what :func:`replicate` measures). Each study has its own
    lambda (0.5, standard deviation 0.1), and the effect of every block that is a programme differs
    between studies by ``HETEROGENEITY`` (standard deviation, log2 units: site, cohort, platform),
    without which modified Knapp-Hartung intervals hold more than they promise. Of eight blocks two
    carry ``BEYOND`` log2 units beyond denervation, three follow denervation only, one has no effect
    but what differs between studies, and two are random sets of genes. Each is claimed to go up, in
    bulk tissue, with denervation as an alternative explanation, and meets ``N_RANDOM`` matched random
    sets of its own on the way, as in the workflow. The reference is one for all studies: species and
    platform are taken to be the same, which in the demo holds for the mouse models only.

    Returns
    -------
    list of dict
        Rows of ``verdicts.tsv``: per block its truth and verdict, whether the pooled 95 % intervals
        of its level and of its part beyond denervation hold what was planted, and the smallest
        detectable part beyond denervation.
    """
    from alsmuscle.genesets import programmes
    from alsmuscle.synthesis import axis, claims
    from alsmuscle.synthesis import contrasts as contrast

    blocks = {f"P{number}": truth for number, truth in enumerate(TRUTHS)}
    context = {
        "role": "als_model",
        "species": "mouse",
        "sample_kinds": ["bulk_tissue"],
        "cell_types": ["muscle"],
    }
    document = {
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
    names = [f"als{number}" for number in range(len(ALS_SIZES))]
    sizes = [*ALS_SIZES, DENERVATION_SIZE]
    contrasts = contrast.contrast_table(
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
    rng = np.random.default_rng([seed, 7])
    draw = iter(int(number) for number in rng.integers(2**31, size=len(names) + 2))
    biology = axis.simulate_biology(seed=next(draw))
    place = {
        str(name): [int(gene[1:]) for gene in part["gene_id"]]
        for name, part in biology.members.groupby("programme")
    }
    own = np.zeros(biology.denervation.size)
    for name, truth in blocks.items():
        own[place[name]] = BEYOND if truth == "intrinsic" else 0.0
    expression = pd.Series(rng.normal(6, 2, own.size), [f"g{i}" for i in range(own.size)])
    sets = programmes.control_blocks(
        expression, biology.members.assign(stripped=False), N_RANDOM, seed
    )
    columns = biology.members.columns
    biology = biology._replace(members=pd.concat([biology.members, sets[columns]]))
    cut = axis.simulate_study(
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
        als = axis.simulate_study(
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
        )
        deltas.append(delta.assign(reference="den/c", **label))
    told = claims.evaluate(
        document, pd.concat(effects), contrasts, pd.concat(deltas), rules=rules
    ).set_index("claim")
    rows: list[dict[str, float | int | str | bool]] = []
    for name, truth in blocks.items():
        found = told.loc[name]
        beyond = float(own[place[name]].mean())
        level = 0.5 * float(biology.denervation[place[name]].mean()) + beyond
        rows.append(
            {
                "seed": seed,
                "block": name,
                "truth": truth,
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
        )
    return rows


def splits(n: int, count: int, seed: int) -> list[tuple[int, ...]]:
    """Return different halves of n samples (a half and its complement count once)."""
    halves = [half for half in itertools.combinations(range(n), n // 2) if n % 2 or 0 in half]
    order = np.random.default_rng(seed).permutation(len(halves))
    return [halves[i] for i in order[:count]]


def null_split(counts: AnnData, half: Sequence[int]) -> dict[str, float | int | str]:
    """Compare one half of a homogeneous group with the other: nothing should be found."""
    from alsmuscle.bulk import deseq2

    part = counts.copy()
    chosen = np.isin(np.arange(part.n_obs), list(half))
    part.obs["condition"] = np.where(chosen, "one", "other")
    contrast: dict[str, Any] = {
        **{"id": "split", "variable": "condition", "target": "one", "reference": "other"},
        **{"adjust": [], "block": None, "within": {}},
    }
    table = deseq2.test(
        deseq2.fit(part, contrast, min_total=MIN_TOTAL, inference=INFERENCE),
        part.obs,
        contrast,
        dataset="real_null",
        distribution=DISTRIBUTION,
        alpha=ALPHA,
        min_replicates=3,
        shrink=False,
        inference=INFERENCE,
    )
    tested = table["pvalue"].dropna()
    return {
        "half": ",".join(part.obs_names[chosen]),
        "called": int((table["padj"] < ALPHA).sum()),
        "tested": len(tested),
        "p_below_05": float((tested < 0.05).mean()),
    }


def null_thirds(counts: AnnData, data: str, *, seed: int) -> dict[str, float | int | str]:
    """Divide one homogeneous group at random in three and test all three at once: nothing differs.

    Returns
    -------
    dict
        One row of ``omnibus.tsv``: what the omnibus test calls, and how it would with DESeq2's
        chi-squared.
    """
    from alsmuscle.bulk import deseq2

    part = counts.copy()
    thirds = np.resize(["one", "two", "three"], part.n_obs)
    part.obs["condition"] = np.random.default_rng(seed).permutation(thirds)
    contrast: dict[str, Any] = {
        **{"id": "thirds", "variable": "condition", "target": "two", "reference": "one"},
        **{"adjust": [], "block": None, "within": {}},
    }
    fitted = deseq2.fit(part, contrast, min_total=MIN_TOTAL, inference=INFERENCE)
    row: dict[str, float | int | str] = {"data": data, "seed": seed, "samples": part.n_obs}
    read: tuple[tuple[Literal["quasi", "normal"], str], ...] = (
        ("quasi", ""),
        ("normal", "_chi2"),
    )
    for distribution, suffix in read:
        table = deseq2.omnibus(
            fitted,
            part.obs,
            contrast,
            dataset=data,
            distribution=distribution,
            alpha=ALPHA,
            min_replicates=3,
            inference=INFERENCE,
        )
        tested = table["pvalue"].dropna()
        row[f"called{suffix}"] = int((table["padj"] < ALPHA).sum())
        row[f"p_below_05{suffix}"] = float((tested < 0.05).mean())
    return row


def _nothing(biology: pd.DataFrame, seed: int) -> AnnData:
    """Return the counts of a simulated study in which nothing differs."""
    scenario = SCENARIOS["nothing"]
    made = study(biology, scenario.plan, [scenario.contrast], dataset="nothing", seed=seed)
    return as_counts(made, "nothing")


def null_thirds_simulated(biology: pd.DataFrame, *, seed: int) -> dict[str, float | int | str]:
    """Apply :func:`null_thirds` to a simulated study in which nothing differs."""
    return null_thirds(_nothing(biology, seed), "simulated", seed=seed)


def _line(
    what: str,
    value: float,
    n: int,
    *,
    se: float = np.nan,
    low: float = np.nan,
    high: float = np.nan,
) -> dict[str, Any]:
    inside = (np.isnan(low) or value >= low) and (np.isnan(high) or value <= high)
    asked = not (np.isnan(low) and np.isnan(high))
    met = ("yes" if inside else "no") if asked else ""
    return {"what": what, "value": value, "se": se, "n": n, "low": low, "high": high, "met": met}


def _verdict_lines(verdicts: pd.DataFrame) -> list[dict[str, Any]]:
    """Say how often planted truths got their verdicts, and whether pooled intervals hold them."""
    if verdicts.empty:
        return []
    true = verdicts[verdicts["truth"] == "intrinsic"]
    false = verdicts[verdicts["truth"] != "intrinsic"]
    pure = verdicts[verdicts["truth"] == "denervation"]
    sets = verdicts[verdicts["truth"] == "random set"]
    idle = verdicts[verdicts["truth"] == "no effect"]
    honest = [EXPLAINED, DENERVATION, NOT_ENOUGH, SMALLER]

    def share(rows: pd.DataFrame, *told: str) -> float:
        return float(rows["verdict"].isin(told).mean())

    level, beyond = (float(verdicts[f"{name}_held"].mean()) for name in ("level", "beyond"))
    near, apart = EXPLAINED, DENERVATION
    lines = [
        _line("true claims supported", share(true, SUPPORTED), len(true), low=0.8),
        _line("true claims contradicted", share(true, CONTRADICTED), len(true), high=0.05),
        _line("wrong among supported claims", *_wrong(verdicts), high=0.05),
        _line("false claims supported", share(false, SUPPORTED), len(false), high=0.05),
        _line("pure denervation: supported", share(pure, SUPPORTED), len(pure), high=0.0),
        _line(f"pure denervation: {near}", share(pure, near), len(pure)),
        _line(f"pure denervation: {apart}", share(pure, apart), len(pure)),
        _line("pure denervation: not more than that", share(pure, *honest), len(pure), low=0.95),
        _line("random sets: supported", share(sets, SUPPORTED), len(sets), high=0.0),
        _line("no effect: supported", share(idle, SUPPORTED), len(idle), high=0.05),
        _line("coverage of pooled 95 % intervals", level, len(verdicts), low=0.90, high=0.98),
        _line(
            "coverage of pooled 95 % intervals beyond denervation",
            *(beyond, len(verdicts)),
            low=0.90,
            high=0.98,
        ),
    ]
    return [{"scenario": "verdicts", **line} for line in lines]


def _wrong(verdicts: pd.DataFrame) -> tuple[float, int]:
    """Return the share of supported claims that are not true, and how many were supported."""
    supported = verdicts[verdicts["verdict"] == SUPPORTED]
    wrong = int((supported["truth"] != "intrinsic").sum())
    return wrong / max(len(supported), 1), len(supported)


def summarise(
    replicates: pd.DataFrame,
    lambdas: pd.DataFrame,
    verdicts: pd.DataFrame,
    real: pd.DataFrame | None,
    flags: pd.DataFrame | None = None,
    omnibus: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return what was asked, what was measured, its Monte Carlo error, and whether the target is met.

    Parameters
    ----------
    replicates, lambdas, verdicts, real, flags, omnibus
        Rows of :func:`replicate`, :func:`lambda_replicate`, :func:`verdict_replicate`,
        :func:`null_split`, :func:`flag_replicate` and :func:`null_thirds`.

    Returns
    -------
    DataFrame
        ``scenario, what, value, se`` (of a mean over replicates)``, n, low, high`` (the target)``,
        met`` (yes, no, or empty where there is no target).
    """

    def mean(rows: pd.DataFrame, column: str, what: str, **target: float) -> dict[str, Any]:
        values = rows[column].dropna()
        se = float(values.std() / np.sqrt(len(values))) if len(values) > 1 else np.nan
        return _line(what, float(values.mean()), len(values), se=se, **target)

    lines: list[dict[str, Any]] = []
    exact = replicates[replicates["scenario"].isin(EXACT)]
    groups = [("all exact nulls", exact)] + [
        (str(name), rows) for name, rows in replicates.groupby("scenario", sort=False)
    ]
    for name, rows in groups:
        if rows.empty:
            continue
        part: list[dict[str, Any]] = []
        target = {"low": 0.03, "high": 0.07} if name == "all exact nulls" else {}
        cover = {"low": 0.90, "high": 0.98} if name in ("all exact nulls", *EXACT) else {}
        if name == "nothing":
            calls = rows["called"]
            part.append(_line("median genes called", float(calls.median()), len(rows), high=0))
            part.append(
                _line("share of studies with any call", float((calls > 0).mean()), len(rows))
            )
        else:
            part.append(mean(rows, "fdp", "false discovery rate of genes at 0.05", **target))
            part.append(
                _line("median false discovery proportion", float(rows["fdp"].median()), len(rows))
            )
            part.append(mean(rows, "power", "power over all genes with an effect"))
            part.append(mean(rows, "power_strong", "power over genes with |log2fc| of 1 and more"))
        part.append(mean(rows, "null_p_below_05", "share of p < 0.05 among genes without effect"))
        part.append(mean(rows, "coverage", "coverage of 95 % intervals of log2fc", **cover))
        part.append(
            mean(
                rows,
                "block_coverage_measured",
                "coverage of 95 % intervals of programme effects, all genes of 100 reads and more",
                **cover,
            )
        )
        part.append(
            mean(rows, "block_coverage", "coverage of 95 % intervals of programme effects, all")
        )
        if name != "nothing":
            part.append(mean(rows, "block_power", "power over programme effects of 0.4 and more"))
        for kind, word in (
            ("sex", "sex mismatches"),
            ("swap", "swapped samples"),
            ("duplicate", "duplicates"),
        ):
            planted = int(rows[f"{kind}_planted"].sum())
            others = int(rows["samples"].sum()) - planted
            if planted:
                share = rows[f"{kind}_found"].sum() / planted
                part.append(_line(f"{word} flagged", float(share), planted, low=0.9))
            alarms = rows[f"{kind}_false"].sum() / max(others, 1)
            part.append(_line(f"{word}: false alarms per sample", float(alarms), others, high=0.02))
        lines += [{"scenario": name, **line} for line in part]
    if len(lambdas):
        for stage, rows in lambdas.groupby("stage", sort=False):
            size = float(rows["planted"].iloc[0])
            error = rows["lambda"] - rows["planted"]
            inside = rows["planted"].between(rows["ci_low"], rows["ci_high"])
            se = float(error.std() / np.sqrt(len(rows)))
            label = f"lambda {size:g} ({stage})"
            rmse = float(np.sqrt((error**2).mean()))
            lines += [
                {
                    "scenario": label,
                    **_line("mean error of lambda", float(error.mean()), len(rows), se=se),
                },
                {"scenario": label, **_line("root mean square error", rmse, len(rows))},
                {
                    "scenario": label,
                    **_line("coverage of 95 % intervals", float(inside.mean()), len(rows), low=0.9),
                },
            ]
    lines += _verdict_lines(verdicts)
    if real is not None and len(real):
        called = float(real["called"].median())
        part = [
            _line("median genes called", called, len(real), high=0),
            _line("share of halves with any call", float((real["called"] > 0).mean()), len(real)),
            mean(real, "p_below_05", "share of p < 0.05", low=0.03, high=0.07),
        ]
        lines += [{"scenario": "real null: GSE184951, 5 of 10 healthy", **line} for line in part]
    if flags is not None and len(flags):
        lines += summarise_flags(flags)
    if omnibus is not None and len(omnibus):
        for name, rows in omnibus.groupby("data", sort=False):
            part = [
                _line("median genes called", float(rows["called"].median()), len(rows), high=0),
                mean(rows, "p_below_05", "share of p < 0.05, F", low=0.03, high=0.07),
                _line(
                    "median genes called, chi-squared as DESeq2",
                    float(rows["called_chi2"].median()),
                    len(rows),
                ),
                mean(rows, "p_below_05_chi2", "share of p < 0.05, chi-squared"),
            ]
            lines += [{"scenario": f"omnibus test, null in three: {name}", **line} for line in part]
    columns = ["scenario", "what", "value", "se", "n", "low", "high", "met"]
    return pd.DataFrame(lines, columns=columns)


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 0 0 2rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #ccc; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.no { background: #fbe3e0; } .yes { background: #e3f3e3; }
.banner { border: 2px solid #5c3a94; padding: .5rem 1rem; }
"""


def page(summary: pd.DataFrame, verdicts: pd.DataFrame) -> str:
    """Return the self-contained page of a calibration.

    ``summary``: of :func:`summarise`; ``verdicts``: rows of :func:`verdict_replicate`.
    """
    from html import escape

    about = {name: scenario.about for name, scenario in SCENARIOS.items()}
    about["all exact nulls"] = "the scenarios " + ", ".join(EXACT) + " together"
    about["verdicts"] = (
        f"five ALS studies of {_sizes(ALS_SIZES)} and one denervation reference of "
        f"{_sizes([DENERVATION_SIZE])} samples, simulated on the log2 scale; true claims: "
        f"{BEYOND:g} log2 units beyond denervation"
    )

    def number(value: float) -> str:
        return "" if pd.isna(value) else f"{value:.3g}"

    parts = []
    for name, rows in summary.groupby("scenario", sort=False):
        body = ""
        for row in rows.itertuples():
            target = ""
            if row.met:
                low, high = number(row.low), number(row.high)
                target = f"{low} to {high}" if low and high else f"≥ {low}" if low else f"≤ {high}"
            error = f" ± {number(row.se)}" if number(row.se) else ""
            body += (
                f'<tr class="{row.met}"><td>{escape(row.what)}</td><td class="n">{number(row.value)}'
                f'{error}</td><td class="n">{row.n}</td><td class="n">{target}</td>'
                f"<td>{row.met}</td></tr>"
            )
        sub = f"<p>{escape(about[str(name)])}</p>" if str(name) in about else ""
        if name == "verdicts":
            sub += _verdict_table(verdicts)
        parts.append(
            f"<h2>{escape(str(name))}</h2>{sub}<table><tr><th>what</th><th>measured ± error of the "
            f"mean</th><th>n</th><th>target</th><th>met</th></tr>{body}</table>"
        )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Calibration</title>'
        f"<style>{_STYLE}</style><h1>Calibration</h1>"
        '<p class="banner"><b>SIMULATED data</b> with planted truth, except where a line says real '
        "null.</p><p>Each replicate is a new simulated study that ran through the same code as a "
        "real one. Where one strong factor happens to go with the groups, a single study's false "
        "discovery proportion can be far above the mean: the mean and the median are both given."
        f"</p>{''.join(parts)}</html>\n"
    )


def _sizes(groups: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{target} v {reference}" for target, reference in groups)


def _verdict_table(verdicts: pd.DataFrame) -> str:
    """Tests by planted truth and verdict, as a table of the page."""
    counts = pd.crosstab(verdicts["truth"], verdicts["verdict"])
    told = [verdict for verdict in VERDICTS if verdict in counts]
    head = "".join(f"<th>{verdict}</th>" for verdict in told)
    body = "".join(
        f"<tr><td>{truth}</td>"
        + "".join(f'<td class="n">{counts.loc[truth, verdict]}</td>' for verdict in told)
        + "</tr>"
        for truth in dict.fromkeys(TRUTHS)
        if truth in counts.index
    )
    return f"<table><tr><th>planted</th>{head}</tr>{body}</table>"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the calibration and write its folder: the one place of this module that touches files."""
    import argparse
    import os
    from concurrent.futures import ProcessPoolExecutor
    from functools import partial
    from multiprocessing import get_context
    from pathlib import Path

    from alsmuscle.core import files
    from alsmuscle.data import cards
    from alsmuscle.genesets import programmes
    from alsmuscle.simulate import bulk

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/calibration"))
    parser.add_argument("--replicates", type=int, default=60)
    parser.add_argument("--verdicts", type=int, default=200)
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--flags", type=int, default=4, help="studies of every clean kind")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=20260)
    parser.add_argument("--mirror", default=os.environ.get("ALSMUSCLE_MIRROR", ""))
    options = parser.parse_args(arguments)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"

    tables = {organism: files.read_gene_table(organism) for organism in ("human", "mouse")}
    curated = files.read_plain("config/programmes.tsv")
    biology = bulk.biology(
        files.read_plain(files.RESOURCES / "simulation_genes.tsv.gz"),
        tables["human"],
        tables["mouse"],
        files.read_orthologs(),
        curated,
        n_genes=bulk.DEMO_GENES,
        seed=options.seed,
    )
    members = programmes.blocks(curated, "human", tables["human"])
    seeds = range(options.seed, options.seed + options.replicates)
    context = get_context("spawn")
    with ProcessPoolExecutor(options.cores, mp_context=context) as pool:
        studies = [
            pool.submit(partial(replicate, biology, members, name, seed=seed))
            for seed in seeds
            for name in SCENARIOS
        ]
        settings = cards.load_yaml("config/config.yaml")
        thresholds, rules = settings["bulk"]["qc"], Rules(**settings["synthesis"]["rules"])
        panels = files.read_plain("config/tissues.tsv")
        looked = [
            pool.submit(partial(flag_replicate, biology, panels, thresholds, name, seed=seed))
            for seed in range(options.seed, options.seed + options.flags)
            for name in (*CLEAN, "planted")
        ]
        thirds = [
            pool.submit(partial(null_thirds_simulated, biology, seed=seed))
            for seed in range(options.seed, options.seed + min(20, options.replicates))
        ]
        axes = [pool.submit(partial(lambda_replicate, biology, seed=seed)) for seed in seeds]
        told = [
            pool.submit(partial(verdict_replicate, rules, seed=options.seed + number))
            for number in range(options.verdicts)
        ]
        real = None
        if options.mirror:
            counts = _healthy(Path(options.mirror))
            halves = splits(counts.n_obs, options.splits, options.seed)
            real = [pool.submit(null_split, counts, half) for half in halves]
            thirds += [
                pool.submit(partial(null_thirds, counts, "ten healthy of GSE184951", seed=seed))
                for seed in range(options.seed, options.seed + min(20, options.splits))
            ]
        rows = {
            "replicates": pd.DataFrame([job.result() for job in studies]),
            "denervation": pd.DataFrame([row for job in axes for row in job.result()]),
            "verdicts": pd.DataFrame([row for job in told for row in job.result()]),
            "flags": pd.DataFrame([row for job in looked for row in job.result()]),
            "omnibus": pd.DataFrame([job.result() for job in thirds]),
        }
        if real is not None:
            rows["real_null"] = pd.DataFrame([job.result() for job in real])
    summary = summarise(
        rows["replicates"],
        rows["denervation"],
        rows["verdicts"],
        rows.get("real_null"),
        rows["flags"],
        rows["omnibus"],
    )
    for name, table in {**rows, "summary": summary}.items():
        text = table.to_csv(sep="\t", index=False, float_format="%.6g", lineterminator="\n")
        files.write_text(options.out / f"{name}.tsv", text)
    files.write_text(options.out / "index.html", page(summary, rows["verdicts"]))
    print(summary.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    print(options.out / "index.html")


def _healthy(mirror: Any) -> AnnData:
    """Read the ten healthy of GSE184951 from a data mirror, as its card says."""
    import anndata

    from alsmuscle.data import cards, samples
    from alsmuscle.data import counts as raw
    from alsmuscle.data.readers import matrices, sample_sheets
    from alsmuscle.download import lock, policy

    card = cards.load_yaml("config/datasets/gse184951.yaml")
    index = lock.read_mirror(mirror)
    path = {
        name: mirror / index[policy.canonical(file["url"])]["path"]
        for name, file in card["files"].items()
    }
    spec = card["counts"]
    matrix = matrices.read_matrix(path["counts"], spec, card["files"]["counts"]["members"]).values
    kept, excluded = samples.harmonise(
        sample_sheets.read_sheet(path["sheet"], card["samples"]["sheet"]), card
    )
    columns, _ = samples.match_matrix(list(matrix.columns), kept, excluded, card)
    whole, _ = raw.as_counts(
        matrix[list(columns)].rename(columns=columns), spec["type"], "GSE184951"
    )
    healthy = kept[kept["condition"] == "healthy"].set_index("sample_id")
    own = whole[healthy.index]
    return anndata.AnnData(
        X=own.T.to_numpy(dtype=np.int64),
        obs=healthy[["dataset", "condition", "subject_id"]],
        var=pd.DataFrame({"symbol": "", "source_id": own.index}, index=own.index),
    )


if __name__ == "__main__":
    main()
