"""The data dictionary: every column of every table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from alsmuscle.core import contracts


def dictionary(tables: Mapping[str, contracts.Table]) -> pd.DataFrame:
    """Describe every column of every table: ``table, column, kind, key, meaning``."""
    rows = [
        {
            "table": name,
            "column": column,
            "kind": KINDS[kind],
            "key": column in table.key,
            "meaning": table.about.get(column, COMMON.get(column, "")),
        }
        for name, table in tables.items()
        for column, kind in table.columns.items()
    ]
    return pd.DataFrame(rows)


KINDS = {
    "text": "text, empty when unknown",
    "number": "number, empty when missing",
    "count": "whole number from 0",
    "flag": "True or False",
    "share": "number from 0 to 1",
}


COMMON = {
    "n_cells": "cells, nuclei or spots",
    "cluster": "Leiden cluster",
    "subject_id": "donor",
    "dataset": "study, as its card's id",
    "contrast": "comparison within the study",
    "cell_type": "cell type; muscle for bulk tissue",
    "sample_id": "sample, as in the archive",
    "gene_id": "Ensembl gene id without version; unmapped rows keep the source's id",
    "symbol": "current gene symbol",
    "effect": "log2 units, target minus reference",
    "se": "standard error of the effect",
    "ci_low": "lower end of the 95 % interval",
    "ci_high": "upper end of the 95 % interval",
    "pvalue": "two-sided p-value",
    "padj": "Benjamini-Hochberg adjusted p-value",
    "programme": "gene programme; GENE and RATIO stand for single genes and ratios of claims",
    "block": "signed part of a programme; PROGRAMME/block names it in claims",
    "role": "what the contrast stands for; pooling stays within a role",
    "stage": "disease stage or time; empty in pooled rows: all stages",
    "species": "human or mouse; all: across species through 1:1 orthologs",
    "eligible": "may be pooled",
    "reason": "why, in words",
    "k": "independent clusters of contrasts",
    "n_contrasts": "contrasts behind them",
    "tau2": "variance between studies",
    "i2": "per cent of variance that lies between studies",
    "pi_low": "lower end of the 95 % prediction interval for a new study",
    "pi_high": "upper end of the 95 % prediction interval for a new study",
    "verdict": "one of the nine verdicts; see methods",
    "claim": "claim of config/claims.yaml",
    "test": "test of the claim",
    "context": "kind of contrast in which it is tested",
    "condition": "harmonised group",
    "reference": "denervation reference: dataset/contrast",
    "age": "age in age_unit",
    "batch": "batch as declared",
    "muscle": "muscle as declared",
    "material": "material as declared: biopsy, whole muscle, culture",
    "study": "study, or collections for gene sets",
    "name": "name of the file on the card",
    "url": "where the file came from",
    "sha256": "hash of the file",
    "bytes": "size of the file",
    "collection": "collection of gene sets",
    "term": "gene set",
    "correlation_raw": "correlation over genes as observed",
    "delta": "effect beyond the denervation reference, log2 units",
    "delta_ci_low": "lower end of its 95 % interval",
    "delta_ci_high": "upper end of its 95 % interval",
    "delta_df": "degrees of freedom of delta",
    "delta_padj": "adjusted p-value of delta over all tests of all claims",
    "delta_se": "standard error of delta",
    "df": "degrees of freedom",
    "genes_detected": "genes with at least one read",
    "top_gene": "most abundant gene",
    "top_gene_share": "its share of reads",
    "sex_declared": "sex as declared",
    "sex_inferred": "sex by XIST and Y-linked genes",
    "pc1": "first principal component",
    "pc2": "second principal component",
    "hedges_g_var": "variance of hedges_g",
    "n_genes": "number of genes",
    "padj_competitive": "adjusted pvalue_competitive",
    "lambda_se": "standard error of lambda",
    "se_den": "standard error of effect_den",
    "shared_df": "degrees of freedom of the reference",
    "modality": "bulk, array, cells or effects (published)",
    "platform": "measuring platform, as the archive names it",
    "platform_kind": "sequencing, array, cells or unknown; lambda stays within a kind",
    "sample_kind": "bulk_tissue, cultured_cells, sorted_cells, single_nucleus, single_cell or spots",
    "stripped": "True: genes of the denervation signature left out",
    "stripped_effect": "pooled effect without the denervation signature's genes",
    "stripped_ci_low": "lower end of its 95 % interval",
    "stripped_ci_high": "upper end of its 95 % interval",
    "statement": "the claim in a sentence",
    "old_verdict": "verdict before; empty for a new test",
    "new_verdict": "verdict now; empty for a removed test",
    "why": "what moved",
    "kind": "kind of the entry",
    "text": "the warning in words",
    "column": "column that is meant",
    "table": "table, as contracts name it",
    "meaning": "meaning and unit",
    "organism": "human or mouse",
}
