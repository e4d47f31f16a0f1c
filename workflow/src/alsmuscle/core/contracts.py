"""What passes between rules: one contract per table and AnnData, checked by writer and reader.

A broken hand-over thus fails where it happens, with the column's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

Kind = Literal["text", "number", "count", "flag", "share"]


@dataclass(frozen=True)
class Table:
    """Contract of one table.

    Parameters
    ----------
    columns
        Required column → kind. ``text`` is never missing (unknown is empty), ``number`` may be
        missing, ``count`` is a whole number from 0, ``share`` lies in 0..1, ``flag`` is a boolean.
    key
        Columns that identify a row.
    about
        Column → meaning and unit; goes into the data dictionary.
    name
        In messages and in the data dictionary.
    """

    columns: dict[str, Kind]
    key: tuple[str, ...] = ()
    about: dict[str, str] = field(default_factory=dict)
    name: str = ""


INTERVAL: dict[str, Kind] = {"se": "number", "ci_low": "number", "ci_high": "number"}
_BLOCK: dict[str, Kind] = {
    "dataset": "text",
    "contrast": "text",
    "cell_type": "text",
    "programme": "text",
    "block": "text",
    "stripped": "flag",
}
_CALLED: dict[str, Kind] = {
    "dataset": "text",
    "contrast": "text",
    "gene_id": "text",
    "symbol": "text",
    "direction": "text",
    "log2fc": "number",
    "pvalue": "number",
    "n_rows": "count",
    "threshold": "text",
}
_CALLED_BLOCKS: dict[str, Kind] = {
    **_BLOCK,
    "n_genes": "count",
    "n_measured": "count",
    "n_background": "count",
    "called_up": "count",
    "called_down": "count",
    "background_up": "count",
    "background_down": "count",
    "p_up": "number",
    "p_down": "number",
    "padj_up": "number",
    "padj_down": "number",
    "usable": "flag",
    "genes_up": "text",
    "genes_down": "text",
}
_ABOUT_CALLED = {
    "direction": "up or down: higher or lower in the target group",
    "log2fc": "log2 fold change as the list states it, mean over its rows; large ones only",
    "pvalue": "smallest p-value that the list states for the gene",
    "n_rows": "rows of the list (probes, chips) that name the gene",
    "threshold": "where the list was cut",
}
_ABOUT_CALLED_BLOCKS = {
    "n_genes": "genes of the block",
    "n_measured": "of them, genes that the platform measures",
    "n_background": "genes that the platform measures",
    "usable": "at least half of the block's genes are measured, and three",
    **{
        key.format(side): text.format(side)
        for side in ("up", "down")
        for key, text in (
            ("called_{}", "genes of the block that are called {}"),
            ("background_{}", "genes of the whole list that are called {}"),
            ("p_{}", "one-sided exact (hypergeometric) p of as many genes called {}"),
            ("padj_{}", "Benjamini-Hochberg over the usable complete blocks, called {}"),
            ("genes_{}", "symbols of the block's genes called {}"),
        )
    },
}
_ABOUT_LISTS = {
    "cluster": "study, or studies that share donors, controls or a laboratory",
    "platform": "measuring platform",
    "n_target": "donors in the target group",
    "n_reference": "donors in the reference group",
    "human_gene_id": "the gene's own id, or that of its 1:1 human ortholog, or empty",
}
_LIST_FACTS: dict[str, Kind] = {
    "role": "text",
    "species": "text",
    "stage": "text",
    "cluster": "text",
    "platform": "text",
    "n_target": "count",
    "n_reference": "count",
}
_POOLED_KEY: dict[str, Kind] = {
    "role": "text",
    "species": "text",
    "stage": "text",
    "cell_type": "text",
    "key": "text",
}
_POOLED: dict[str, Kind] = {
    "k": "count",
    "n_contrasts": "count",
    "effect": "number",
    "se": "number",
    "df": "number",
    "ci_low": "number",
    "ci_high": "number",
    "pvalue": "number",
    "padj": "number",
    "tau2": "number",
    "i2": "number",
    "pi_low": "number",
    "pi_high": "number",
    "sign_agreement": "number",
    "loo_low": "number",
    "loo_high": "number",
    "influential": "text",
    "reml_effect": "number",
    "reml_se": "number",
    "reml_ci_low": "number",
    "reml_ci_high": "number",
    "reml_pvalue": "number",
    "bayes_effect": "number",
    "bayes_ci_low": "number",
    "bayes_ci_high": "number",
    "prob_direction": "number",
    "prob_beyond": "number",
    "status": "text",
}
_ABOUT_ESTIMATES = {
    "reml_effect": "the key's own random-effects estimate (REML), unmoderated",
    "reml_se": "its standard error (modified Knapp-Hartung)",
    "reml_ci_low": "lower end of its 95 % interval, t on k - 1 degrees of freedom",
    "reml_ci_high": "upper end of its 95 % interval, t on k - 1 degrees of freedom",
    "reml_pvalue": "its two-sided p-value",
    "bayes_effect": "posterior mean with a half-normal prior on the standard deviation between studies",
    "bayes_ci_low": "lower end of its 95 % interval",
    "bayes_ci_high": "upper end of its 95 % interval",
    "prob_direction": "posterior probability that the effect has the sign of bayes_effect",
    "prob_beyond": "posterior probability that it lies beyond the margin on that side",
    "pi_low": "lower end of the 95 % interval of the effect in a new study (Bayesian)",
    "pi_high": "upper end of the 95 % interval of the effect in a new study (Bayesian)",
    "df": "degrees of freedom of the interval; one study: its own",
}
_ABOUT_POOLED = {
    **_ABOUT_ESTIMATES,
    "effect": "random-effects estimate whose spread between studies is learned from all keys",
    "padj": "Benjamini-Hochberg over keys with enough studies, else empty",
    "sign_agreement": "share of clusters with the pooled sign",
    "loo_low": "lowest estimate when one cluster is left out",
    "loo_high": "highest estimate when one cluster is left out",
    "influential": "cluster whose omission moves the estimate most",
    "status": "pooled, one study, or two studies",
}

TABLES: dict[str, Table] = {
    "checks": Table(
        {
            "dataset": "text",
            "check": "text",
            "state": "text",
            "card": "text",
            "found": "text",
            "remedy": "text",
        },
        ("dataset", "check"),
        {
            "check": "what was looked at",
            "state": "agrees, differs, failed, unreachable (tried again by the next run), or not verified",
            "card": "what the study card says or expects",
            "found": "what the archive or the file says, or what went wrong",
            "remedy": "what to do about it",
        },
    ),
    "completeness": Table(
        {
            "dataset": "text",
            "sample_id": "text",
            "sample_label": "text",
            "in_record": "flag",
            "obtained": "flag",
            "analysed": "flag",
            "reason": "text",
            "counts_sha256": "text",
            "identical_to": "text",
        },
        ("dataset", "sample_label"),
        {
            "sample_label": "the sample's name in its source",
            "in_record": "whether the archive's record (sheet, or number of samples) holds it",
            "obtained": "whether its data arrived",
            "analysed": "whether it enters the model of at least one contrast",
            "reason": "why it was not obtained or not analysed",
            "counts_sha256": "hash of its non-zero counts by gene; equal hashes are one library",
            "identical_to": "other samples with the same counts, as study/sample, joined with ;",
        },
    ),
    "admission": Table(
        {"dataset": "text", "admitted": "flag", "reason": "text"},
        ("dataset",),
        {"admitted": "whether the study takes part", "reason": "why it does not"},
    ),
    "outcome": Table(
        {
            "dataset": "text",
            "contrast": "text",
            "kept": "flag",
            "step": "text",
            "error": "text",
            "place": "text",
            "reason": "text",
            "log": "text",
        },
        ("dataset", "contrast"),
        {
            "kept": "whether its results count",
            "step": "rule at which it was left out",
            "error": "kind of the error",
            "place": "line of the program where it arose",
            "reason": "why it was left out, and what to do",
            "log": "log file with the traceback, below the results folder",
        },
    ),
    "manifest": Table(
        {
            "study": "text",
            "name": "text",
            "url": "text",
            "path": "text",
            "sha256": "text",
            "bytes": "count",
            "retrieved": "text",
            "source": "text",
            "pinned": "text",
        },
        ("study", "name"),
        {
            "path": "where the file lies, relative to the working directory",
            "retrieved": "UTC time at which the file was obtained",
            "source": "mirror, network, local, embedded (the project's own derived table) or "
            "quantified here (counts that were made of reads)",
            "pinned": "what is pinned on the card: file, members, or nothing",
        },
    ),
    "samples": Table(
        {
            "dataset": "text",
            "sample_id": "text",
            "subject_id": "text",
            "condition": "text",
            "stage": "text",
            "sex": "text",
            "age": "number",
            "age_unit": "text",
            "muscle": "text",
            "material": "text",
            "batch": "text",
        },
        ("sample_id",),
        {
            "subject_id": "donor; several samples of one donor share it",
            "condition": "harmonised group",
            "sex": "declared sex: female, male, or empty where not declared",
            "age_unit": "unit of age: years, days or weeks",
        },
    ),
    "excluded": Table(
        {"dataset": "text", "sample_id": "text", "reason": "text"}, ("dataset", "sample_id")
    ),
    "qc": Table(
        {
            "dataset": "text",
            "sample_id": "text",
            "library_size": "number",
            "genes_detected": "number",
            "pct_mito": "number",
            "pct_ribo": "number",
            "pct_hb": "number",
            "top_gene_share": "share",
            "top_gene": "text",
            "top50_share": "number",
            "level": "number",
            "level_spread": "number",
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
            "median_correlation": "number",
            "outlier_distance": "number",
            "flags": "text",
            "reasons": "text",
        },
        ("sample_id",),
        {
            "library_size": "reads counted in genes; this and other measures of counts are empty for "
            "arrays",
            "top_gene_share": "share of reads in the most abundant gene that is not mitochondrial",
            "level": "arrays: median over genes of log2 intensity minus the gene's median",
            "level_spread": "arrays: interquartile range of the same",
            "top50_share": "share of reads in the 50 most abundant genes: low complexity is high",
            "muscle": "mean log2 expression of ACTA1, TTN and NEB",
            "blood": "mean log2 expression of haemoglobins, ALAS2 and SLC4A1",
            "leukocyte": "mean log2 expression of leukocyte markers (config/tissues.tsv)",
            "fat": "mean log2 expression of adipocyte markers",
            "tendon": "mean log2 expression of tendon markers",
            "nerve": "mean log2 expression of myelin genes",
            "skin": "mean log2 expression of epidermal markers",
            "slow_fast": "mean log2 expression of slow minus that of fast fibre genes",
            "leg": "log2 expression of the strongest hind-limb gene (HOXC, HOXD, PITX1, TBX4)",
            "arm": "log2 expression of TBX5",
            "site_inferred": "limb that these genes speak for: leg, arm or unclear",
            "sod1": "log2 expression of SOD1",
            "sod1_gene": "human: the human gene in a mouse matrix; own: the organism's",
            "pct_mito": "per cent of reads in mitochondrial genes",
            "pct_ribo": "per cent of reads in genes of ribosomal proteins",
            "pct_hb": "per cent of reads in haemoglobin genes",
            "xist": "log2(counts per million + 1) of XIST; arrays: log2 intensity above background",
            "y_genes": "the same, mean of Y-linked genes",
            "median_correlation": "median Spearman correlation with samples of its condition",
            "outlier_distance": "distance from the components' centre, multiples of the median",
            "flags": "names of raised flags, joined with ;",
            "reasons": "per flag: metric, value and threshold, joined with ;",
        },
    ),
    "pca_covariates": Table(
        {
            "dataset": "text",
            "component": "text",
            "covariate": "text",
            "kind": "text",
            "n_samples": "count",
            "r2": "number",
            "pvalue": "number",
            "padj": "number",
        },
        ("dataset", "component", "covariate"),
        {
            "component": "principal component",
            "covariate": "column of the sample sheet, or metric of sample quality",
            "kind": "number or groups",
            "n_samples": "samples with a value",
            "r2": "share of the component's variance that the covariate explains",
            "pvalue": "F test",
            "padj": "Benjamini–Hochberg over all pairs of the study",
        },
    ),
    "pca": Table({"sample_id": "text", "pc1": "number", "pc2": "number"}, ("sample_id",)),
    "de": Table(
        {
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
            "padj": "number",
            "n_replaced": "count",
            "n_target": "count",
            "n_reference": "count",
        },
        ("dataset", "contrast", "cell_type", "gene_id"),
        {
            "base_mean": "mean of counts divided by size factors (arrays: mean log2 intensity)",
            "log2fc": "log2 fold change, target over reference, not shrunken",
            "lfc_se": "standard error of log2fc",
            "log2fc_shrunk": "log2fc shrunken with the apeglm prior; empty for arrays",
            "stat": "quasi-likelihood t (arrays and correlated donors: moderated t)",
            "df": "degrees of freedom of the t distribution behind p-value and intervals; empty: normal",
            "padj": "Benjamini–Hochberg over the expressed genes, else empty",
            "n_replaced": "samples whose count of the gene was outlying (Cook's distance) and replaced by what "
            "the others have",
            "n_target": "samples in the target group",
            "n_reference": "samples in the reference group",
        },
    ),
    "imported": Table(
        {
            "dataset": "text",
            "contrast": "text",
            "metric": "text",
            "value": "number",
            "text": "text",
            "flagged": "flag",
        },
        ("dataset", "contrast", "metric"),
        {
            "metric": "what is said about the import of a published result",
            "value": "its number, where it has one",
            "text": "the same in a sentence",
            "flagged": "whether it speaks against the result",
        },
    ),
    "called": Table(_CALLED, ("dataset", "contrast", "gene_id"), _ABOUT_CALLED),
    "called_blocks": Table(
        _CALLED_BLOCKS,
        ("dataset", "contrast", "cell_type", "programme", "block", "stripped"),
        _ABOUT_CALLED_BLOCKS,
    ),
    "called_genes_all": Table(
        {**_CALLED, "human_gene_id": "text", **_LIST_FACTS},
        ("dataset", "contrast", "gene_id"),
        {**_ABOUT_CALLED, **_ABOUT_LISTS},
    ),
    "called_blocks_all": Table(
        {**_CALLED_BLOCKS, **_LIST_FACTS},
        ("dataset", "contrast", "cell_type", "programme", "block", "stripped"),
        {**_ABOUT_CALLED_BLOCKS, **_ABOUT_LISTS},
    ),
    "call_agreement": Table(
        {
            "dataset": "text",
            "contrast": "text",
            "other_dataset": "text",
            "other_contrast": "text",
            "other_kind": "text",
            "same_study": "flag",
            "n_called": "count",
            "n_shared": "count",
            "n_same": "count",
            "share_same": "number",
            "spearman": "number",
        },
        ("dataset", "contrast", "other_dataset", "other_contrast"),
        {
            "other_dataset": "study that the list is compared with",
            "other_contrast": "its comparison",
            "n_called": "genes of the list",
            "share_same": "n_same over n_shared",
            "other_kind": "calls (a list), effects (a published table) or samples",
            "same_study": "both come from one study: their agreement is no replication",
            "n_shared": "genes called in both lists, or called and measured by the other",
            "n_same": "of them, genes that change in the same direction",
            "spearman": "rank correlation of the stated effects of shared genes",
        },
    ),
    "engines": Table(
        {
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
        },
        ("dataset", "contrast", "cell_type", "engine"),
        {
            "engine": "second method: voom, or moderated t with the other prior variance (arrays)",
            "n_tested": "genes with an adjusted p-value",
            "n_filtered": "measured genes without one: too few reads for a call to be possible",
            "donors": "repeated samples of donors: one sample each, blocked, summed, averaged, "
            "correlated, or independent with the card's reason",
            "donor_correlation": "correlation of a donor's samples; empty unless it is modelled",
            "alpha": "level of the calls",
            "n_genes": "genes that both engines measure",
            "spearman_effect": "rank correlation of the log2 fold changes",
            "spearman_stat": "rank correlation of the test statistics",
            "same_direction": "share of genes of equal sign",
            "called": "genes called by the first engine, among those of both",
            "called_other": "genes called by the second engine",
            "called_both": "genes called by both",
        },
    ),
    "omnibus": Table(
        {
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
        ("dataset", "design", "test", "cell_type", "gene_id"),
        {
            "design": "the model: variable, covariates, block, samples",
            "test": "variable: no group differs; variable:column: the same difference at every "
            "level of the column",
            "stat": "twice the gain in log likelihood over the model without these terms (arrays: "
            "moderated F times df)",
            "base_mean": "mean of counts divided by size factors (arrays: mean log2 intensity)",
            "df": "degrees of freedom: terms left out",
            "df_residual": "second degrees of freedom of the F distribution against which stat over "
            "df is read; empty: stat against chi-squared",
            "padj": "Benjamini–Hochberg over genes passing independent filtering, else empty",
        },
    ),
    "gsea": Table(
        {
            "dataset": "text",
            "contrast": "text",
            "cell_type": "text",
            "collection": "text",
            "term": "text",
            "size": "count",
            "es": "number",
            "nes": "number",
            "pvalue": "number",
            "padj": "number",
            "leading_edge": "text",
        },
        ("dataset", "contrast", "cell_type", "collection", "term"),
        {
            "size": "genes of the set among the ranked genes",
            "es": "enrichment score",
            "nes": "enrichment score over the mean of its null",
            "leading_edge": "symbols that make up the score, joined with ;",
        },
    ),
    "sets": Table(
        {
            "dataset": "text",
            "contrast": "text",
            "cell_type": "text",
            "collection": "text",
            "term": "text",
            "size": "count",
            "effect": "number",
            **INTERVAL,
            "pvalue": "number",
            "padj": "number",
            "pvalue_competitive": "number",
            "padj_competitive": "number",
            "background": "number",
            "camera_pvalue": "number",
            "ora_up_pvalue": "number",
            "ora_down_pvalue": "number",
            "group": "text",
        },
        ("dataset", "contrast", "cell_type", "collection", "term"),
        {
            "size": "genes of the set among the tested genes",
            "effect": "mean difference of the set's genes, log2 units, target minus reference",
            "pvalue": "does the set's mean move?",
            "pvalue_competitive": "does it move more than random sets of its size and expression?",
            "padj_competitive": "Benjamini–Hochberg within the collection",
            "background": "mean effect of the random sets, log2 units",
            "camera_pvalue": "camera with correlation between genes estimated per set",
            "ora_up_pvalue": "over-representation among genes called up; background: tested genes",
            "ora_down_pvalue": "over-representation among genes called down",
            "group": "the term that stands for this one and others like it in a display",
        },
    ),
    "coverage": Table(
        {
            "programme": "text",
            "block": "text",
            "organism": "text",
            "n_listed": "count",
            "n_mapped": "count",
            "former": "text",
            "unknown": "text",
            "no_counterpart": "text",
            "differs": "text",
        },
        ("programme", "block", "organism"),
        {
            "n_listed": "genes listed for the block (human symbols)",
            "n_mapped": "distinct genes of the organism that they lead to",
            "former": "symbols that are no longer current, found under their new one",
            "unknown": "symbols that the gene table does not hold",
            "no_counterpart": "human symbols listed without a mouse counterpart",
            "differs": "mouse symbols that the 1:1 ortholog table pairs otherwise",
        },
    ),
    "scores": Table(
        {
            "dataset": "text",
            "sample_id": "text",
            "programme": "text",
            "block": "text",
            "stripped": "flag",
            "score": "number",
        },
        ("sample_id", "programme", "block", "stripped"),
        {"score": "mean of sign × variance-stabilised log2 expression over the block's genes"},
    ),
    "block_effects": Table(
        {
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
        ("dataset", "contrast", "cell_type", "programme", "block", "stripped"),
        {
            "effect": "mean of the genes' log2 fold changes, in their own direction; see methods",
            "effect_adjusted": "the same with the samples' content of myofibre, fibro-adipogenic "
            "and macrophage cells (config/content.tsv, without the block's genes) as covariates; "
            "missing where too few samples allow it",
            "sign": "expected direction of the block's genes when the programme is more active; 0: none",
            "df": "degrees of freedom of the standard error",
            "df_adjusted": "degrees of freedom of the adjusted standard error",
            "se_adjusted": "standard error of effect_adjusted",
            "ci_low_adjusted": "lower end of its 95 % interval",
            "ci_high_adjusted": "upper end of its 95 % interval",
            "pvalue_adjusted": "two-sided p-value of effect_adjusted",
            "n_mapped": "genes of the block measured in the study",
            "gene_correlation": "mean correlation of the errors of the block's genes; missing for one gene",
            "stripped": "true: genes of the denervation signature left out",
        },
    ),
    "effects": Table(
        {
            "dataset": "text",
            "contrast": "text",
            "cell_type": "text",
            "programme": "text",
            "block": "text",
            "stripped": "flag",
            "sign": "number",
            "effect": "number",
            **INTERVAL,
            "pvalue": "number",
            "padj": "number",
            "pvalue_competitive": "number",
            "padj_competitive": "number",
            "hedges_g": "number",
            "hedges_g_var": "number",
            "df": "number",
            "n_genes": "count",
            "n_mapped": "count",
            "gene_correlation": "number",
        },
        ("dataset", "contrast", "cell_type", "programme", "block", "stripped"),
        {
            "gene_correlation": "mean correlation of the errors of the block's genes; missing for one gene",
            "effect": "difference of the block's score (scale of variance-stabilised values, turned by its sign)",
            "sign": "expected direction of the block's genes when the programme is more active; 0: none",
            "pvalue": "does the block move?",
            "pvalue_competitive": "does it move more than random sets of its size and expression?",
            "df": "degrees of freedom of the moderated standard error",
            "hedges_g": "standardised mean difference, comparable within a species only",
            "n_genes": "genes of the block",
            "n_mapped": "genes of the block measured in the study",
            "stripped": "true: genes of the denervation signature left out",
        },
    ),
    "cells_qc": Table(
        {
            "dataset": "text",
            "sample_id": "text",
            "material": "text",
            "n_barcodes": "count",
            "n_kept": "count",
            "median_counts": "number",
            "median_genes": "number",
            "median_pct_mito": "number",
            "min_counts": "number",
            "max_counts": "number",
            "min_genes": "number",
            "max_genes": "number",
            "max_pct_mito": "number",
            "doublet_share": "number",
            "doublet_expected": "number",
            "doublet_threshold": "number",
            "doublet_note": "text",
            "ambient_share": "number",
            "ambient_source": "text",
            "ambient_corrected": "flag",
            "skipped": "text",
            "flag": "text",
        },
        ("sample_id",),
        {
            "material": "nuclei, cells or spots",
            "n_barcodes": "barcodes read",
            "n_kept": "barcodes that passed",
            "median_counts": "median of counts per barcode, before any is left out",
            "median_genes": "median of genes per barcode",
            "median_pct_mito": "median per cent of mitochondrial counts",
            "min_counts": "threshold on counts, from this sample's spread",
            "max_counts": "upper threshold on counts",
            "min_genes": "threshold on genes",
            "max_genes": "upper threshold on genes",
            "max_pct_mito": "threshold on mitochondrial per cent",
            "doublet_share": "share of barcodes called doublets",
            "doublet_expected": "share expected from the number of barcodes",
            "doublet_threshold": "score above which a barcode is called a doublet",
            "doublet_note": "how the threshold was found where the scores did not show it",
            "ambient_share": "estimated share of counts that is ambient RNA",
            "ambient_source": "what the ambient profile was estimated from",
            "ambient_corrected": "counts were corrected for ambient RNA",
            "skipped": "why the sample takes no part; empty where it does",
            "flag": "metric, value and threshold of what is unlike the other samples",
        },
    ),
    "barcodes": Table(
        {"dataset": "text", "sample_id": "text", "reason": "text", "n": "count"},
        ("sample_id", "reason"),
        {"reason": "why barcodes were left out; kept for those that were not", "n": "barcodes"},
    ),
    "clusters": Table(
        {
            "dataset": "text",
            "cluster": "text",
            "n_cells": "count",
            "cell_type": "text",
            "lineage": "text",
            "score": "number",
            "runner_up": "text",
            "margin": "number",
            "near": "text",
            "reason": "text",
            "top_genes": "text",
        },
        ("cluster",),
        {
            "cluster": "Leiden cluster",
            "score": "score of the best admissible type, -1 to 1",
            "runner_up": "best type of another lineage",
            "margin": "lead over it",
            "near": "types of the same lineage that fit almost as well",
            "reason": "why a cluster stays unassigned",
            "top_genes": "genes that stand out most against all other cells",
            "lineage": "coarser type",
        },
    ),
    "markers": Table(
        {
            "dataset": "text",
            "cluster": "text",
            "cell_type": "text",
            "gene": "text",
            "listed_for": "text",
            "mean": "number",
            "detected": "share",
            "scaled": "share",
        },
        ("cluster", "gene"),
        {
            "cell_type": "name that the cluster was given",
            "gene": "symbol of a panel marker",
            "listed_for": "types that list the marker as positive, joined with ;",
            "mean": "mean counts per 10,000",
            "detected": "share of cells in which it is seen",
            "scaled": "mean over the mean of the highest cluster",
        },
    ),
    "types": Table(
        {
            "dataset": "text",
            "sample_id": "text",
            "subject_id": "text",
            "condition": "text",
            "cell_type": "text",
            "n_cells": "count",
            "share": "share",
            "used": "flag",
        },
        ("sample_id", "cell_type"),
        {
            "n_cells": "cells of the type in the sample",
            "share": "of the sample's cells",
            "used": "enough cells for a sum of counts",
        },
    ),
    "activity": Table(
        {
            "dataset": "text",
            "cell_type": "text",
            "condition": "text",
            "programme": "text",
            "block": "text",
            "n_donors": "count",
            "n_cells": "count",
            "mean": "number",
            "ci_low": "number",
            "ci_high": "number",
        },
        ("cell_type", "condition", "programme", "block"),
        {
            "n_donors": "donors with enough cells of the type",
            "n_cells": "their cells",
            "mean": "mean over donors of the block's score (sign × log-normalised expression)",
        },
    ),
    "coexpression": Table(
        {
            "dataset": "text",
            "subject_id": "text",
            "condition": "text",
            "group": "text",
            "gene": "text",
            "n_nuclei": "count",
            "n_positive": "count",
            "share": "share",
        },
        ("subject_id", "condition", "group", "gene"),
        {
            "group": "cells by the genes they express; several: of more than one group",
            "gene": "gene looked for, symbol",
            "n_nuclei": "barcodes of the group",
            "n_positive": "of them, with at least one count of the gene",
            "share": "n_positive over n_nuclei",
        },
    ),
    "composition": Table(
        {
            "dataset": "text",
            "contrast": "text",
            "cell_type": "text",
            "effect": "number",
            **INTERVAL,
            "stat": "number",
            "df": "number",
            "pvalue": "number",
            "padj": "number",
            "mean_share": "share",
            "n_target": "count",
            "n_reference": "count",
        },
        ("dataset", "contrast", "cell_type"),
        {
            "effect": "difference of the transformed share (logit: log odds ratio), natural log",
            "stat": "moderated t",
            "mean_share": "mean share over samples",
            "n_target": "samples in the target group",
            "n_reference": "samples in the reference group",
        },
    ),
    "warnings": Table(
        {"dataset": "text", "contrast": "text", "kind": "text", "column": "text", "text": "text"},
        (),
        {"kind": "as alsmuscle.design.marks names and explains them"},
    ),
    "contrasts": Table(
        {
            "dataset": "text",
            "contrast": "text",
            "role": "text",
            "species": "text",
            "stage": "text",
            "muscle": "text",
            "material": "text",
            "platform": "text",
            "n_target": "count",
            "n_reference": "count",
            "cluster": "text",
            "confounded": "text",
            "evidence": "text",
            "eligible": "flag",
            "reason": "text",
            "modality": "text",
            "sample_kind": "text",
            "platform_kind": "text",
            "tag": "text",
            "near_confounded": "text",
            "library_sizes_apart": "text",
            "ages_apart": "text",
            "labels_in_doubt": "text",
            "third_party_copy": "text",
        },
        ("dataset", "contrast"),
        {
            "n_target": "donors in the target group",
            "n_reference": "donors in the reference group",
            "cluster": "contrasts that share donors, controls or a laboratory; combined first",
            "confounded": "columns from which the condition cannot be told",
            "evidence": "reanalysed, published or simulated",
            "reason": "why a contrast is not pooled; empty where it is",
            "stage": "disease stage or time, as on the card",
            "tag": "what sets a contrast apart from diseased against healthy",
            "near_confounded": "sentence, where condition and another column nearly coincide",
            "library_sizes_apart": "sentence, where library sizes of the sides do not overlap",
            "ages_apart": "sentence, where mean ages differ by more than a standard deviation",
            "labels_in_doubt": "sentence, where expression contradicts too many declared sexes",
            "third_party_copy": "sentence, where the data are another group's copy of the study's",
        },
    ),
    "blocks": Table(
        {
            **_BLOCK,
            "effect": "number",
            "se": "number",
            "df": "number",
            "ci_low": "number",
            "ci_high": "number",
            "effect_adjusted": "number",
            "se_adjusted": "number",
            "df_adjusted": "number",
            "ci_low_adjusted": "number",
            "ci_high_adjusted": "number",
            "n_mapped": "count",
            "usable": "flag",
            "source": "text",
        },
        ("dataset", "contrast", "cell_type", "programme", "block", "stripped"),
        {
            "effect": "mean log2 fold change of the block's genes, in their own direction",
            "effect_adjusted": "the same, adjusted for tissue content; empty where it cannot be had",
            "se_adjusted": "standard error of effect_adjusted",
            "df_adjusted": "degrees of freedom of effect_adjusted",
            "ci_low_adjusted": "lower end of its 95 % interval",
            "ci_high_adjusted": "upper end of its 95 % interval",
            "n_mapped": "genes of the block that the study measures",
            "usable": "enough of the block's genes are measured for the block to take part in a pool",
            "source": "samples, or published (mean of published gene effects)",
        },
    ),
    "pooled_genes": Table(
        {**_POOLED_KEY, "symbol": "text", **_POOLED},
        ("role", "species", "stage", "cell_type", "key"),
        {"key": "gene id; the human one where species is all", **_ABOUT_POOLED},
    ),
    "pooled_programmes": Table(
        {**_POOLED_KEY, "stripped": "flag", **_POOLED},
        ("role", "species", "stage", "cell_type", "key", "stripped"),
        {"key": "PROGRAMME/block, GENE/symbol or RATIO/symbol:symbol", **_ABOUT_POOLED},
    ),
    "specificity": Table(
        {"programme": "text", "block": "text"},
        ("programme", "block"),
        {"block": "further columns: pooled effect in log2 units per role (species)"},
    ),
    "denervation": Table(
        {
            "dataset": "text",
            "contrast": "text",
            "cell_type": "text",
            "reference": "text",
            "mode": "text",
            "lambda": "number",
            "se": "number",
            "ci_low": "number",
            "ci_high": "number",
            "df": "number",
            "interval": "text",
            "reliability": "number",
            "n_genes": "number",
            "correlation_raw": "number",
            "correlation": "number",
            "reason": "text",
        },
        ("dataset", "contrast", "cell_type", "reference"),
        {
            "mode": "lambda, correlation (another species or platform) or none",
            "lambda": "slope of the contrast's gene effects on the reference's",
            "se": "standard error of lambda",
            "interval": "donor bootstrap, analytic, or both",
            "reliability": "share of the reference's squared effects that is signal",
            "correlation": "correlation over genes, corrected for both contrasts' errors",
        },
    ),
    "deltas": Table(
        {
            **_BLOCK,
            "reference": "text",
            "effect": "number",
            "se": "number",
            "effect_den": "number",
            "se_den": "number",
            "lambda": "number",
            "lambda_se": "number",
            "delta": "number",
            "delta_se": "number",
            "delta_df": "number",
            "ci_low": "number",
            "ci_high": "number",
            "ci90_low": "number",
            "ci90_high": "number",
            "pvalue": "number",
            "shared_sd": "number",
            "shared_df": "number",
        },
        ("dataset", "contrast", "cell_type", "reference", "programme", "block", "stripped"),
        {
            "block": "block, or a matched random set: block~number",
            "effect_den": "effect of the block in the reference, log2 units",
            "lambda": "slope without the block's genes",
            "delta": "effect minus lambda times effect_den: not explained by this reference",
            "shared_sd": "signed part of the error that all contrasts with this reference share",
            "ci90_low": "lower end of the 90 % interval",
            "ci90_high": "upper end of the 90 % interval",
        },
    ),
    "random_sets": Table(
        {**_BLOCK, "effect": "number", "se": "number"},
        ("dataset", "contrast", "cell_type", "programme", "block", "stripped"),
        {"block": "block~number: a random set of the block's size and expression"},
    ),
    "claims": Table(
        {
            "claim": "text",
            "test": "text",
            "context": "text",
            "side": "text",
            "part": "text",
            "question": "text",
            "content": "flag",
            "statement": "text",
            "target": "text",
            "expected": "text",
            "means": "text",
            "margin": "number",
            "k": "count",
            "n_contrasts": "count",
            "studies": "text",
            "effect": "number",
            "se": "number",
            "df": "number",
            "ci_low": "number",
            "ci_high": "number",
            "pvalue": "number",
            "padj": "number",
            "reml_effect": "number",
            "reml_ci_low": "number",
            "reml_ci_high": "number",
            "reml_pvalue": "number",
            "bayes_effect": "number",
            "bayes_ci_low": "number",
            "bayes_ci_high": "number",
            "prob_direction": "number",
            "prob_beyond": "number",
            "tau": "number",
            "i2": "number",
            "pi_low": "number",
            "pi_high": "number",
            "influential": "text",
            "stripped_effect": "number",
            "stripped_ci_low": "number",
            "stripped_ci_high": "number",
            "random_share": "number",
            "adjusted_k": "count",
            "adjusted_effect": "number",
            "adjusted_ci_low": "number",
            "adjusted_ci_high": "number",
            "delta": "number",
            "delta_ci_low": "number",
            "delta_ci_high": "number",
            "delta_k": "count",
            "delta_pvalue": "number",
            "delta_padj": "number",
            "delta_source": "text",
            "delta_adjusted": "number",
            "delta_adjusted_ci_low": "number",
            "delta_adjusted_ci_high": "number",
            "detectable_effect": "number",
            "detectable_basis": "text",
            "grade": "text",
            "verdict": "text",
            "reason": "text",
        },
        ("claim", "test", "context"),
        {
            **_ABOUT_ESTIMATES,
            "side": "patients or models",
            "part": "primary (decides the claim), necessary (its sentence needs it) or secondary",
            "question": "level (against controls) or beyond_denervation",
            "content": "the test is about the amount of a cell type: judged on the raw effect",
            "target": "what is measured: PROGRAMME/block, GENE/symbol or RATIO/symbol:symbol",
            "expected": "direction of the genes if the claim is true: up, down, changed or unchanged",
            "means": "what that direction means, where it is not plain",
            "margin": "effects smaller than this count as none, log2 units",
            "studies": "contrasts behind the number, joined with ;",
            "tau": "standard deviation between studies (posterior mean), log2 units",
            "random_share": "share of matched random sets that move as far",
            "adjusted_k": "independent studies behind adjusted_effect",
            "adjusted_effect": "pooled effect adjusted for tissue content, log2 units",
            "adjusted_ci_low": "lower end of its 95 % interval",
            "adjusted_ci_high": "upper end of its 95 % interval",
            "delta": "pooled effect beyond the denervation reference, log2 units",
            "delta_k": "independent studies behind delta",
            "delta_pvalue": "two-sided p-value of delta",
            "delta_padj": "delta_pvalue adjusted over the tests of its kind that can decide",
            "delta_source": "reference, or direct (contrasts with another neurogenic disease)",
            "delta_adjusted": "delta with tissue content adjusted for, log2 units",
            "delta_adjusted_ci_low": "lower end of its 95 % interval",
            "delta_adjusted_ci_high": "upper end of its 95 % interval",
            "detectable_effect": "smallest effect that the whole rule finds with the stated power",
            "detectable_basis": "what it would have been called, and how often",
            "grade": "what the verdict rests on: pooled, two studies, one study, called genes, or empty",
            "influential": "contrast whose omission moves the estimate most",
        },
    ),
    "claim_studies": Table(
        {
            "claim": "text",
            "test": "text",
            "context": "text",
            "dataset": "text",
            "contrast": "text",
            "cell_type": "text",
            "effect": "number",
            **INTERVAL,
            "delta": "number",
            "delta_ci_low": "number",
            "delta_ci_high": "number",
            "reference": "text",
            "eligible": "flag",
            "reason": "text",
        },
        ("claim", "test", "context", "dataset", "contrast", "cell_type"),
        {"reason": "why the contrast is not pooled; empty where it is"},
    ),
    "changes": Table(
        {
            "claim": "text",
            "test": "text",
            "context": "text",
            "change": "text",
            "old_verdict": "text",
            "new_verdict": "text",
            "why": "text",
        },
        ("claim", "test", "context"),
        {"change": "first run, new, removed, verdict (it moved) or numbers (only they moved)"},
    ),
    "dictionary": Table(
        {"table": "text", "column": "text", "kind": "text", "key": "flag", "meaning": "text"},
        ("table", "column"),
        {"key": "the column is part of the row's key"},
    ),
}


def named(table: Table | str) -> Table:
    """Return a contract, also by its name in :data:`TABLES`."""
    return table if isinstance(table, Table) else replace(TABLES[table], name=table)


def dtypes(table: Table | str) -> dict[str, str]:
    """Return pandas dtypes with which a table of this contract is read from text."""
    return {
        column: {"text": "string[python]", "count": "Int64", "flag": "boolean"}.get(kind, "float64")
        for column, kind in named(table).columns.items()
    }


def rows(found: Sequence[Mapping[str, object]], table: Table | str) -> pd.DataFrame:
    """Make a table of rows, with the contract's columns also where there is no row."""
    import pandas as pd

    return pd.DataFrame(list(found), columns=list(named(table).columns))


def check_table(frame: pd.DataFrame, table: Table | str, where: str) -> pd.DataFrame:
    """Check a table against its contract and return it, columns of the contract first.

    Parameters
    ----------
    frame
        The table; further columns are allowed and kept behind the contract's.
    table
        Its contract.
    where
        File, for the message.

    Raises
    ------
    InputError
        A column is missing, has the wrong kind, or the key repeats.
    """
    table = named(table)
    missing = [column for column in table.columns if column not in frame.columns]
    if missing:
        raise InputError(
            f"column '{missing[0]}' is missing", where=where, expected=", ".join(table.columns)
        )
    empty = [c for c, kind in table.columns.items() if kind == "text" and frame[c].isna().any()]
    if empty:
        raise InputError(f"column '{empty[0]}' has missing values", where=where, expected="text")
    repeated = frame.duplicated(list(table.key)) if table.key else None
    if repeated is not None and repeated.any():
        first = frame.loc[repeated, list(table.key)].iloc[0]
        raise InputError(
            f"the row {dict(first)} stands twice", where=where, expected=f"one row per {table.key}"
        )
    checked = frame.reset_index(drop=True)
    for column, kind in table.columns.items():
        values, wrong = _of_kind(checked[column], kind)
        if wrong.any():
            raise InputError(
                f"column '{column}' breaks the contract '{table.name}' "
                f"(for example {checked.loc[wrong, column].iloc[0]!r})",
                where=where,
                expected=_MEANING[kind],
            )
        if values is not checked[column]:
            checked[column] = values
    rest = [column for column in frame.columns if column not in table.columns]
    return checked[[*table.columns, *rest]]


_MEANING: dict[Kind, str] = {
    "text": "text",
    "number": "numbers, or nothing where unknown",
    "share": "numbers from 0 to 1, or nothing where unknown",
    "count": "whole numbers from 0",
    "flag": "True or False",
}


def _of_kind(column: pd.Series, kind: Kind) -> tuple[pd.Series, pd.Series]:
    """Return a column in its kind's dtype, and which of its values are not of that kind."""
    import pandas as pd

    fine = pd.Series(data=False, index=column.index)
    if kind == "text":
        is_text = column.dtype == object and pd.api.types.infer_dtype(column, skipna=False)
        return (column if is_text == "string" else column.astype(str).astype(object)), fine
    if kind == "flag":
        wrong = ~column.isin([True, False])
        return (column if wrong.any() else column.astype(bool)), wrong
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    wrong = numbers.isna() & column.notna()
    if kind == "share":
        wrong |= (numbers < 0) | (numbers > 1)
    if kind != "count":
        return numbers, wrong
    wrong |= ~((numbers >= 0) & (numbers % 1 == 0))
    return (column if wrong.any() else column.astype("int64")), wrong


Measure = Literal["counts", "intensities"]


def measure(adata: AnnData) -> Measure:
    """Return what an AnnData of a bulk study holds: read counts, or log2 intensities of arrays."""
    return "intensities" if adata.uns.get("measure") == "intensities" else "counts"


def check_counts(adata: AnnData, where: str) -> AnnData:
    """Check the AnnData of a bulk study, read counts or intensities.

    ``X`` holds whole numbers from 0, or log2 intensities; ``obs`` the harmonised columns; ``var`` is
    indexed by gene id with ``symbol`` and ``source_id``; ``uns["provenance"]`` says where they come
    from.

    Raises
    ------
    InputError
        Names the part that is wrong.
    """
    import numpy as np
    import scipy.sparse as sp

    def fail(problem: str) -> None:
        raise InputError(problem, where=where)

    for column in ("dataset", "condition", "subject_id"):
        if column not in adata.obs:
            fail(f"obs has no column '{column}'")
    for column in ("symbol", "source_id"):
        if column not in adata.var:
            fail(f"var has no column '{column}'")
    if "provenance" not in adata.uns:
        fail("uns has no 'provenance'")
    for axis, index in (("sample", adata.obs_names), ("gene", adata.var_names)):
        if not index.is_unique:
            fail(f"{axis} '{index[index.duplicated()][0]}' stands twice")
    values = adata.X.data if sp.issparse(adata.X) else np.asarray(adata.X)
    if values.size and not np.isfinite(values).all():
        fail("X has missing or infinite values")
    if measure(adata) == "intensities":
        return adata
    if values.size and (values < 0).any():
        fail("X has negative values")
    if values.size and not np.array_equal(values, np.floor(values)):
        fail("X has values that are not whole numbers")
    return adata


def check_cells(adata: AnnData, where: str) -> AnnData:
    """Check the AnnData of an annotated single-cell study.

    ``layers["counts"]`` holds whole numbers from 0; ``obs`` sample, donor, condition, cell type and
    its score, and the metrics; ``obsm`` components and UMAP; ``var`` is indexed by gene id.

    Raises
    ------
    InputError
        Names the part that is wrong.
    """

    def fail(problem: str) -> None:
        raise InputError(problem, where=where)

    if "counts" not in adata.layers:
        fail("there is no layer 'counts'")
    if adata.layers["counts"].dtype.kind != "i":
        fail("layer 'counts' does not hold whole numbers")
    for column in CELL_COLUMNS:
        if column not in adata.obs:
            fail(f"obs has no column '{column}'")
    for key in ("X_pca", "X_umap"):
        if key not in adata.obsm:
            fail(f"obsm has no '{key}'")
    for axis, index in (("cell", adata.obs_names), ("gene", adata.var_names)):
        if not index.is_unique:
            fail(f"{axis} '{index[index.duplicated()][0]}' stands twice")
    return adata


CELL_COLUMNS = (
    *("dataset", "sample_id", "subject_id", "condition", "cell_type", "cell_type_score"),
    *("n_counts", "n_genes", "pct_mito", "doublet_score", "kept"),
)
