"""One simulated study, analysed as a real one and compared with its truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alsmuscle.data import derived
from alsmuscle.design import matrix as designs
from alsmuscle.simulate.bulk import DEMO, Simulated, block_truth, study
from alsmuscle.simulate.calibrate.scenarios import (
    ALPHA,
    DISTRIBUTION,
    INFERENCE,
    MIN_TOTAL,
    PLANTED,
    SCENARIOS,
    WELL_MEASURED,
    Scenario,
    as_counts,
)
from alsmuscle.stats import distributions

if TYPE_CHECKING:
    from anndata import AnnData


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
    from alsmuscle.bulk import deseq2, engines

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
    )
    table = engines.with_hidden_factor(fitted, contrast, table, alpha=ALPHA)
    table = table.merge(made.genes, on="gene_id", suffixes=("", "_true"))
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
    row |= _of_blocks(made, counts, vst, design, designs.contrast_vector(design, contrast), members)
    return row | _of_samples(made, counts, vst, design, scenario.target)


def _of_blocks(
    made: Simulated,
    counts: AnnData,
    vst: AnnData,
    design: pd.DataFrame,
    vector: Any,
    members: pd.DataFrame,
) -> dict[str, float]:
    """Hold the effects of blocks against their truth."""
    from alsmuscle.genesets import block_tests

    effects = block_tests.effects(vst.to_df().T, design, vector, members).merge(
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
    return {
        "block_coverage": float(inside.mean()),
        "block_coverage_measured": float(good_inside.mean()),
        "block_null_called": float((effects.loc[still, "padj"] < ALPHA).mean()),
        "block_power": float((effects.loc[moved, "padj"] < ALPHA).mean())
        if moved.any()
        else np.nan,
    }


def _of_samples(
    made: Simulated, counts: AnnData, vst: AnnData, design: pd.DataFrame, target: str
) -> dict[str, int]:
    """Count the faults of samples that were planted and found."""
    from alsmuscle.bulk import swaps

    sex = derived.sex_expression(counts, "human")["sex_inferred"].to_numpy()
    wrong = np.isin(sex, ["female", "male"]) & (sex != counts.obs["sex"].to_numpy())
    sexed = counts.var["symbol"].isin(
        [derived.SEX_GENES["human"][0], *derived.SEX_GENES["human"][1]]
    )
    covariates = design.drop(columns=["Intercept", f"condition[{target}]"])
    suspects = swaps.swap_suspects(
        vst.to_df(),
        counts.obs["condition"] == target,
        covariates=covariates,
        exclude=counts.var_names[sexed],
    )["suspect"].to_numpy()
    pairs = swaps.duplicates(counts.to_df())
    twice = made.samples["sample_id"].isin([*pairs["sample_id"], *pairs["other"]]).to_numpy()
    copies = made.samples["duplicate_of"]
    doubled = (copies != "") | made.samples["sample_id"].isin(copies)
    row = {"samples": len(made.samples)}
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


def _axis_side(
    counts: AnnData, contrast: Mapping[str, Any], genes: pd.Index, n_replicates: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Effects of one contrast on stabilised counts, their donor bootstrap, and the df."""
    from alsmuscle.bulk import deseq2
    from alsmuscle.genesets import block_tests
    from alsmuscle.stats import bootstrap
    from alsmuscle.stats.moderation import squeeze_var

    used = counts.obs[counts.obs["condition"].isin([contrast["target"], contrast["reference"]])]
    vst = deseq2.vst(counts[used.index].copy(), min_total=0, inference=INFERENCE).to_df()[genes]
    design = designs.design_matrix(used, contrast)
    vector = designs.contrast_vector(design, contrast)
    model = block_tests.linear_contrast(vst.T, design, vector)
    effect, s2 = model.fit(vst.T.to_numpy(dtype=float))
    prior = squeeze_var(s2, model.df)
    variance = (model.df * s2 + prior.df_prior * prior.var_prior) / (model.df + prior.df_prior)
    effects = pd.DataFrame(
        {"effect": effect, "se": np.sqrt(variance * model.unscaled)}, index=genes
    )
    drawn = bootstrap.bootstrap_effects(
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
    biology: pd.DataFrame, settings: Mapping[str, Any], *, seed: int
) -> list[dict[str, float | int | str]]:
    """Simulate a mouse model's time course and a denervation study, and estimate lambda.

    ``settings``: ``synthesis.denervation`` of the configuration.

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
        as_counts(cut, "simden1"), {**base, **levels}, genes, settings["n_replicates"], seed
    )
    rows: list[dict[str, float | int | str]] = []
    truth = model.contrasts.set_index("contrast")["lambda"]
    for stage, pair in stages.items():
        a_effects, a_drawn, a_df = _axis_side(
            as_counts(model, "simsod1"), {**base, **pair}, genes, settings["n_replicates"], seed + 1
        )
        found = denervation_axis(
            a_effects,
            d_effects,
            als_replicates=a_drawn,
            den_replicates=d_drawn,
            als_df=a_df,
            den_df=d_df,
            inter_gene_correlation=settings["inter_gene_correlation"],
            min_reliability=settings["min_reliability"],
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
