"""Real studies against R's DESeq2 1.38.3 (results beside the mirror; see its README).

R's model is ``~ group`` with all labelled groups of a study, rows with a sum of at least 10, and
``results()`` at its default alpha of 0.1. Tolerances: Spearman of stat above 0.9999; log2fc within
0.005 + 0.02 |log2fc| for 99 % of genes; Jaccard of calls at padj < 0.05 at least 0.98.
"""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

from alsmuscle.bulk import deseq2
from alsmuscle.core import files
from alsmuscle.data import cards
from support import ROOT, mirror

pytestmark = pytest.mark.verify

# Study, contrast, R's file, and whether the calls count: ageing has about seven.
STUDIES = [
    ("gse184951", "dm1_vs_healthy", "GSE184951__DM1_untreated_vs_healthy_untreated", True),
    ("gse140261", "fshd_vs_healthy", "GSE140261__FSHD_vs_Control", True),
    ("gse129643", "old_vs_young", "GSE129643__ageing_old_vs_ageing_young", False),
    ("glds103", "flight_vs_ground", "GLDS103__FLT_vs_GC", True),
]


@pytest.mark.parametrize(("study", "contrast_id", "name", "calls_count"), STUDIES)
def test_against_r(tmp_path_factory, study, contrast_id, name, calls_count):
    folder = mirror()
    if folder is None:
        pytest.skip("no data mirror")
    reference = folder.parent / "reference" / f"REF_DESeq2_R1.38.3__{name}.csv.gz"
    expected = pd.read_csv(reference, index_col=0)
    expected.index = expected.index.astype(str)
    contrast = cards.contrast(cards.load_cards(ROOT / "config/datasets")[study], contrast_id)
    counts = files.read_h5ad(_counts(tmp_path_factory, folder, study))
    fitted = deseq2.fit(counts, contrast, min_total=10, inference="batched", threads=2)
    table = deseq2.test(
        fitted,
        counts.obs,
        contrast,
        dataset=study,
        distribution="normal",
        alpha=0.1,
        min_replicates=3,
        shrink=False,
        inference="batched",
        threads=2,
    ).set_index("gene_id")
    # R has a row per source id. Rows that we summed are compared where R tested just one of them.
    sources = fitted.var.loc[table.index, "source_id"].astype(str).str.split(";")
    tested = sources.map(lambda ids: [i for i in ids if i in expected.index])
    table = table[(tested.str.len() == 1).to_numpy()]
    table.index = tested[tested.str.len() == 1].str[0].to_numpy()
    shared = table.index
    assert len(shared) > 0.99 * len(expected)
    ours, theirs = table.loc[shared], expected.loc[shared]

    both = ours["stat"].notna() & theirs["stat"].notna()
    spearman = ours["stat"][both].corr(theirs["stat"][both], method="spearman")
    bound = 0.005 + 0.02 * theirs["log2FoldChange"].abs()
    near = ((ours["log2fc"] - theirs["log2FoldChange"]).abs() <= bound)[both].mean()
    a, b = set(shared[ours["padj"] < 0.05]), set(shared[theirs["padj"] < 0.05])
    jaccard = len(a & b) / max(len(a | b), 1)
    print(f"{study}: Spearman {spearman:.6f}, log2fc {near:.4f}, Jaccard {jaccard:.4f}")
    assert spearman > 0.9999
    assert near >= 0.99
    if calls_count:
        assert jaccard >= 0.98


def _counts(tmp_path_factory, folder, study):
    """The study's counts, made by the workflow's own rules from the mirror."""
    work = tmp_path_factory.mktemp(study)
    for name in ("Snakefile", "workflow", "config", "envs"):
        (work / name).symlink_to(ROOT / name)
    target = f"results/bulk/{study}/counts.h5ad"
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all", "--", target],
        cwd=work,
        env={"PATH": "/usr/bin:/bin", "ALSMUSCLE_MIRROR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return work / target
