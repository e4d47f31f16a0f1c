"""Tables of whole tissue. What their columns mean is in ``schemas/columns.tsv``."""

from __future__ import annotations

from alsmuscle.bulk.metrics import OF_SAMPLE, OF_STUDY, columns
from alsmuscle.core.contracts import INTERVAL, Table

QC = Table(
    name="qc",
    columns={
        "dataset": "text",
        "sample_id": "text",
        **columns(OF_SAMPLE),
        "muscle": "number",
        "blood": "number",
        "leukocyte": "number",
        "fat": "number",
        "tendon": "number",
        "nerve": "number",
        "skin": "number",
        "slow_fast": "number",
        "leg": "number",
        "arm": "number",
        "site_inferred": "text",
        "sod1": "number",
        "sod1_gene": "text",
        "xist": "number",
        "y_genes": "number",
        "sex_inferred": "text",
        "sex_declared": "text",
        **columns(OF_STUDY),
        "flags": "text",
        "reasons": "text",
    },
    key=("sample_id",),
)
PCA_COVARIATES = Table(
    name="pca_covariates",
    columns={
        "dataset": "text",
        "component": "text",
        "covariate": "text",
        "kind": "text",
        "n_samples": "count",
        "r2": "number",
        "pvalue": "number",
        "padj": "number",
    },
    key=("dataset", "component", "covariate"),
)
PCA = Table(
    name="pca", columns={"sample_id": "text", "pc1": "number", "pc2": "number"}, key=("sample_id",)
)
DE = Table(
    name="de",
    columns={
        "dataset": "text",
        "contrast": "text",
        "cell_type": "text",
        "gene_id": "text",
        "symbol": "text",
        "base_mean": "number",
        "log2fc": "number",
        "lfc_se": "number",
        "log2fc_shrunk": "number",
        "stat": "number",
        "df": "number",
        "pvalue": "number",
        "log2fc_hidden": "number",
        "lfc_se_hidden": "number",
        "pvalue_hidden": "number",
        "padj": "number",
        "n_replaced": "count",
        "n_target": "count",
        "n_reference": "count",
        "donors_target": "count",
        "donors_reference": "count",
    },
    key=("dataset", "contrast", "cell_type", "gene_id"),
)
# Columns of DE with the samples' hidden factor in mind; empty where it is not looked for.
HIDDEN = ["log2fc_hidden", "lfc_se_hidden", "pvalue_hidden"]
# Columns of DE that stay empty where a side has too few donors for a test.
NO_TEST = ["lfc_se", "log2fc_shrunk", "stat", "df", "pvalue", *HIDDEN, "padj"]
ENGINES = Table(
    name="engines",
    columns={
        "dataset": "text",
        "contrast": "text",
        "cell_type": "text",
        "engine": "text",
        "alpha": "number",
        "n_genes": "count",
        "spearman_effect": "number",
        "spearman_stat": "number",
        "same_direction": "number",
        "called": "number",
        "called_other": "number",
        "called_both": "number",
        "n_tested": "count",
        "n_filtered": "count",
        "donors": "text",
        "donor_correlation": "number",
        "hidden_share": "share",
        "hidden_lean": "number",
        "hidden_pvalue": "number",
        "called_alone": "number",
        "called_without": "number",
    },
    key=("dataset", "contrast", "cell_type", "engine"),
)
OMNIBUS = Table(
    name="omnibus",
    columns={
        "dataset": "text",
        "design": "text",
        "test": "text",
        "cell_type": "text",
        "gene_id": "text",
        "symbol": "text",
        "base_mean": "number",
        "stat": "number",
        "df": "count",
        "df_residual": "number",
        "pvalue": "number",
        "padj": "number",
    },
    key=("dataset", "design", "test", "cell_type", "gene_id"),
)
BLOCK_EFFECTS = Table(
    name="block_effects",
    columns={
        "dataset": "text",
        "contrast": "text",
        "cell_type": "text",
        "programme": "text",
        "block": "text",
        "stripped": "flag",
        "sign": "number",
        "effect": "number",
        **INTERVAL,
        "df": "number",
        "pvalue": "number",
        "effect_adjusted": "number",
        "se_adjusted": "number",
        "ci_low_adjusted": "number",
        "ci_high_adjusted": "number",
        "df_adjusted": "number",
        "pvalue_adjusted": "number",
        "n_mapped": "count",
        "gene_correlation": "number",
    },
    key=("dataset", "contrast", "cell_type", "programme", "block", "stripped"),
)
