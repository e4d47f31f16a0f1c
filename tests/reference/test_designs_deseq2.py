"""Every kind of design against R's DESeq2, frozen in ``designs/`` (see its README)."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from pydeseq2.default_inference import DefaultInference
from scipy.stats import nbinom

from alsmuscle.bulk import deseq2
from alsmuscle.bulk.inference import BatchedInference

FOLDER = Path(__file__).parent / "designs"
GENOTYPE = {"variable": "genotype", "target": "sod1", "reference": "wildtype"}
SERIES = {**GENOTYPE, "across": "day"}
CASES = {
    "two_group": GENOTYPE,
    "covariate": {**GENOTYPE, "adjust": ["batch"]},
    "paired": {**GENOTYPE, "block": "donor"},
    "interaction": {
        **GENOTYPE,
        "kind": "interaction",
        "across": "sex",
        "at": "male",
        "against": "female",
    },
    "continuous": {"kind": "continuous", "variable": "severity", "adjust": ["sex"]},
    "day30": {**SERIES, "at": "30"},
    "day90": {**SERIES, "at": "90"},
    "trend": {**SERIES, "kind": "trend"},
}
OMNIBUS = {
    "lrt_any": (SERIES | {"at": "30"}, "genotype"),
    "lrt_change": (SERIES | {"at": "30"}, "genotype:day"),
    "lrt_groups": (
        {"variable": "day", "target": "60", "reference": "30", "adjust": ["sex"]},
        "day",
    ),
}
# Standard deviation of the number that a slope is per unit of: R fitted it standardised.
UNIT = {"continuous": "severity", "trend": "day"}
OPTIONS = {"dataset": "x", "alpha": 0.05, "min_replicates": 3, "inference": "batched"}


@pytest.fixture(scope="module")
def counts():
    X = pd.read_csv(FOLDER / "counts.tsv.gz", sep="\t", index_col=0)
    obs = pd.read_csv(FOLDER / "obs.tsv", sep="\t", index_col=0, dtype={"day": str})
    var = pd.DataFrame({"symbol": X.index, "source_id": X.index}, index=X.index)
    return anndata.AnnData(X=X.T.to_numpy(), obs=obs, var=var)


@pytest.fixture(scope="module")
def values():
    table = pd.read_csv(FOLDER / "values.tsv.gz", sep="\t")
    return {case: part.set_index("gene_id") for case, part in table.groupby("case")}


@pytest.fixture(scope="module")
def fits(counts):
    """One fit per design: contrasts of one design share it, as in the workflow."""
    made = {}

    def fitted(contrast):
        name = deseq2.design_id(contrast)
        if name not in made:
            made[name] = deseq2.fit(counts, contrast, min_total=1, inference="batched")
        return made[name]

    return fitted


def _full(contrast):
    return {"id": "c", "adjust": [], "block": None, "within": {}, **contrast}


def _agree(ours, theirs, unit=1.0):
    shared = theirs.index[theirs["base_mean"] > 0]
    ours, theirs = ours.loc[shared], theirs.loc[shared]
    both = ours["stat"].notna() & theirs["stat"].notna()
    spearman = ours["stat"][both].corr(theirs["stat"][both], method="spearman")
    tested = ours["pvalue"].notna() & theirs["pvalue"].notna()
    p = [np.log10(t["pvalue"][tested].clip(lower=1e-300)) for t in (ours, theirs)]
    called = [set(shared[t["padj"] < 0.05]) for t in (ours, theirs)]
    found = {
        "spearman": spearman,
        "log10p": ((p[0] - p[1]).abs() <= 0.1).mean(),
        "jaccard": len(called[0] & called[1]) / len(called[0] | called[1]),
        "untested alike": (ours["pvalue"].isna() == theirs["pvalue"].isna()).mean(),
        "called": len(called[1]),
    }
    if "log2fc" in ours:
        a, b = ours["log2fc"] * unit, theirs["log2fc"] * unit
        found["log2fc"] = ((a - b).abs() <= 0.005 + 0.02 * b.abs())[both].mean()
    return found


def _hold(found, case):
    print(case, {name: round(float(value), 6) for name, value in found.items()})
    assert found["called"] >= 10
    assert found["spearman"] > 0.9999
    assert found["log10p"] >= 0.99
    assert found["jaccard"] >= 0.98
    assert found["untested alike"] >= 0.99
    assert found.get("log2fc", 1) >= 0.99


@pytest.mark.parametrize("case", CASES)
def test_contrasts(case, counts, values, fits):
    contrast = _full(CASES[case])
    fitted = fits(contrast)
    table = deseq2.test(
        fitted, counts.obs, contrast, shrink=False, distribution="normal", **OPTIONS
    ).set_index("gene_id")
    unit = counts.obs[UNIT[case]].astype(float).std(ddof=0) if case in UNIT else 1.0
    _hold(_agree(table, values[case], unit), case)


@pytest.mark.parametrize("case", OMNIBUS)
def test_omnibus(case, counts, values, fits):
    contrast, test = OMNIBUS[case]
    contrast = _full(contrast)
    table = deseq2.omnibus(fits(contrast), counts.obs, contrast, distribution="normal", **OPTIONS)
    table = table[table["test"] == test].set_index("gene_id")
    _hold(_agree(table, values[case]), case)


def test_size_factors_and_replaced_outliers(counts, values, fits):
    fitted = fits(_full(GENOTYPE))
    expected = pd.read_csv(FOLDER / "size_factors.tsv", sep="\t", index_col=0)["size_factor"]
    np.testing.assert_allclose(
        fitted.obs["size_factors"], expected.loc[fitted.obs_names], rtol=1e-10
    )
    theirs = values["two_group"]["replaced"].reindex(fitted.var_names).eq(True)
    ours = fitted.var["replaced"].astype(bool)
    assert ours.sum() >= 25
    assert (ours & theirs).sum() / (ours | theirs).sum() >= 0.98


def test_coefficients_that_diverge_reach_the_optimum(counts):
    """g052, of one huge count: the slope is nil at ours; PyDESeq2's search ends far below."""
    y = counts[:, "g052"].X.ravel()
    severity = counts.obs["severity"].to_numpy(dtype=float)
    severity = (severity - severity.mean()) / severity.std()
    X = np.column_stack([np.ones(len(y)), counts.obs["sex"] == "male", severity])
    arguments = {
        **{"counts": y[:, None], "size_factors": np.ones(len(y)), "design_matrix": X},
        **{"disp": np.array([12.0]), "min_mu": 0.5, "beta_tol": 1e-8},
    }
    inference = BatchedInference()
    beta, mu, _, converged = inference.irls(**arguments)
    assert inference.fallbacks["irls"] == 1
    assert converged.all()
    slope = X.T @ ((y - mu[:, 0]) / (1 + 12 * mu[:, 0]))
    np.testing.assert_allclose(slope, 0, atol=1e-4)
    default = DefaultInference(n_cpus=1).irls(**arguments)[0]

    def lost(beta):
        return -nbinom.logpmf(y, 1 / 12, 1 / (1 + 12 * np.exp(X @ beta))).sum()

    assert lost(beta[0]) < lost(default[0]) - 10
