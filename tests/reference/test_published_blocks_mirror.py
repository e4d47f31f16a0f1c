"""A study's own results, made a published table and read back, against its samples' block effects.

The table is what the workflow tests; it goes through a card and the reader of published tables. The
correlation between genes comes from the other study, as in a run where this one has no samples.
"""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
import yaml

import small_studies
from alsmuscle.bulk import block_effects, engines
from alsmuscle.core import contracts, files
from alsmuscle.data import cards, fetch, studies, study_effects
from alsmuscle.data.tables import MANIFEST
from alsmuscle.genesets import programmes
from alsmuscle.synthesis import blocks
from support import ROOT, mirror

MIRROR = mirror()
pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(MIRROR is None, reason="no mirror of public data"),
]
SETTINGS = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
CONTRASTS = {"gse140261": "fshd_vs_healthy", "gse184951": "dm1_vs_healthy"}
# Columns of the table that each tool would have written.
TOOLS = {
    "deseq2": {"log2FoldChange": "log2fc", "lfcSE": "lfc_se", "pvalue": "pvalue", "padj": "padj"},
    "edger": {"logFC": "log2fc", "PValue": "pvalue", "FDR": "padj"},
}


@functools.cache
def members() -> pd.DataFrame:
    listed = files.read_plain(ROOT / "config" / "programmes.tsv")
    found = programmes.blocks(listed, "human", files.read_gene_table("human"))
    return found[~found["stripped"]]


@pytest.fixture(scope="module")
def of_samples(tmp_path_factory) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Genes' and blocks' effects of both studies, as a run computes them."""
    found = {}
    for name, contrast_id in CONTRASTS.items():
        card = cards.load_card(ROOT / "config" / "datasets" / f"{name}.yaml")
        rows, _ = fetch.study_files(card, cache=tmp_path_factory.mktemp(name), mirror=MIRROR)
        measured, _, _ = studies.read_bulk(card, contracts.rows(rows, MANIFEST))
        contrast = cards.contrast(card, contrast_id)
        fitted = engines.fit(measured, contrast, **SETTINGS["bulk"]["counts"], inference="batched")
        options = {**SETTINGS["bulk"]["de"], "shrink": False, "trend": True}
        genes = engines.test(fitted, measured.obs, contrast, dataset=name, **options)
        table = block_effects.raw_and_adjusted(
            fitted, contrast, members(), trend=True, tested=True
        ).assign(dataset=name, contrast=contrast_id, cell_type="muscle")
        found[name] = genes, table
    return found


def read_back(genes: pd.DataFrame, tool: str, folder) -> pd.DataFrame:
    """Write a table as a tool would, and read it by a card."""
    columns = {"gene": "gene_id", **TOOLS[tool]}
    table = genes[list(columns.values())].set_axis(list(columns), axis=1)
    card = small_studies.effects()
    card["effects"] = {
        **{"file": "table", "layout": "tsv", "tool": tool, "gene_column": "gene"},
        "contrast": "als_vs_healthy",
        **{side: int(genes[side].iloc[0]) for side in ("n_target", "n_reference")},
    }
    text = table.to_csv(sep="\t", index=False)
    card, manifest = small_studies.write(folder, card, {"table": ("table.tsv", text)})
    return study_effects.read_effects(card, manifest).effects


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("study", CONTRASTS)
def test_a_published_table_says_what_its_samples_say_and_no_more_surely(
    of_samples, study, tool, tmp_path
):
    genes, own = of_samples[study]
    other = next(name for name in CONTRASTS if name != study)
    found = blocks.of_published(
        read_back(genes, tool, tmp_path),
        members(),
        pd.DataFrame(columns=["block"]),
        block_correlation=SETTINGS["synthesis"]["contrasts"]["block_correlation"],
        measured=blocks.gene_correlation([of_samples[other][1]]),
    )
    both = own.merge(found, on=block_effects.KEY, suffixes=("", "_table"))
    both = both[(both["n_mapped"] >= 3) & (both["n_mapped_table"] >= 3)]
    assert len(both) > 90
    same = np.sign(both["effect"]) == np.sign(both["effect_table"])
    width = both["ci_high"] - both["ci_low"]
    ratio = (both["ci_high_table"] - both["ci_low_table"]) / width
    print(
        f"{study}, {tool}: {len(both)} blocks, same direction {same.mean():.3f}, interval over the "
        f"samples' {ratio.median():.2f} (a tenth below {ratio.quantile(0.1):.2f}), "
        f"narrower than 0.9 in {(ratio < 0.9).mean():.0%}"
    )
    assert same.mean() >= 0.95
    assert same[both["pvalue"] < 0.05].all()
    # What the samples' genes did together cannot be read from a table: a block whose genes moved
    # together more than anywhere else is the exception, not the rule.
    assert ratio.median() >= 1.0
    assert (ratio >= 0.9).mean() >= 0.8
    assert ratio.min() >= 0.45
