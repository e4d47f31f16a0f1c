"""Real published results of GSE3307: its two routes,
and the derived tables that the project holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from alsmuscle.core import contracts, files
from alsmuscle.data import cards, embedded, fetch, study_effects
from alsmuscle.data.readers import results
from alsmuscle.data.tables import MANIFEST
from alsmuscle.genesets import calls
from support import ROOT

MIRROR = Path(os.environ.get("ALSMUSCLE_MIRROR") or ROOT.parent / "shared" / "mirror")

pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(not (MIRROR / "index.tsv").is_file(), reason="no mirror"),
]


def _manifest(name, folder):
    card = cards.load_card(ROOT / "config" / "datasets" / f"{name}.yaml")
    rows, _ = fetch.study_files(card, cache=folder, mirror=MIRROR)
    return card, contracts.rows(rows, MANIFEST)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return study_effects.read_effects(
        *_manifest("gse3307published", tmp_path_factory.mktemp("table"))
    )


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    return study_effects.read_calls(*_manifest("gse3307calls", tmp_path_factory.mktemp("list")))


def test_the_two_routes_of_one_study_are_the_same_arrays(tmp_path_factory):
    """Rows of the table's own chip, by its most significant probe: measured as 98.9 % by others.

    This shows that both are real; it is no replication, and no rule for choosing probes.
    """
    card, manifest = _manifest("gse3307calls", tmp_path_factory.mktemp("rows"))
    rows = results.read_effects(files.cached(manifest, "list"), card["calls"])
    rows = rows[rows["comparison"] == "'ALS' vs 'normal' on 'Affymetrix HG-U133B'"]
    _, manifest = _manifest("gse3307published", tmp_path_factory.mktemp("all"))
    whole = pd.read_csv(files.cached(manifest, "table"), sep="\t").sort_values("P.Value")
    whole = whole.dropna(subset="Gene.symbol").drop_duplicates("Gene.symbol")
    both = rows.merge(whole, left_on="gene.symbol", right_on="Gene.symbol")
    assert both["gene.symbol"].nunique() >= 85
    assert ((both["lfc"] > 0) == (both["logFC"] > 0)).mean() >= 0.98


def test_one_probe_per_gene_by_its_error_keeps_most_directions(table, lists):
    """Without mean expression the probe of smallest error speaks, which may be a silent one."""
    found = calls.agreement(lists["als_vs_normal"].genes, table.effects[["gene_id", "log2fc"]])
    assert found["n_shared"] >= 120
    assert found["share_same"] >= 0.75


def test_the_list_says_what_was_read_from_it_by_hand(lists):
    genes = lists["als_vs_normal"].genes.set_index("symbol")
    up = ["CHRNA1", "MYH8", "ANKRD1", "GADD45A", "SESN3", "HDAC4"]
    assert genes.loc[up, "direction"].eq("up").all()
    assert genes.loc[["MYL3", "TTN"], "direction"].eq("down").all()
    assert {key: round(found.notes["rows"][0]) for key, found in lists.items()} == {
        "als_vs_normal": 286,
        "quadriplegic_myopathy_vs_normal": 1324,
        "juvenile_dermatomyositis_vs_normal": 1275,
        "spastic_paraplegia_vs_normal": 252,
        "duchenne_vs_normal": 640,
        "becker_vs_normal": 202,
        "fshd_vs_normal": 105,
        "emery_dreifuss_ad_vs_normal": 521,
        "emery_dreifuss_x_vs_normal": 52,
        "lgmd2a_vs_normal": 237,
        "lgmd2b_vs_normal": 173,
        "lgmd2i_vs_normal": 144,
    }


def test_control_probes_of_the_table_are_flagged_and_are_no_genes(table):
    notes = table.notes.set_index("metric")
    assert notes.loc["control_probes", "flagged"]
    assert not table.effects["probe_id"].str.startswith("AFFX").any()


def test_the_derived_tables_are_what_the_originals_give(table, lists):
    held = embedded.read_effects(
        embedded.table_of("gse3307published"), "gse3307published", "als_vs_normal"
    )
    assert held.effects["gene_id"].tolist() == table.effects["gene_id"].tolist()
    for column in ("log2fc", "lfc_se", "pvalue"):
        assert held.effects[column].to_numpy() == pytest.approx(
            table.effects[column].to_numpy(), rel=1e-5
        )
    for key, found in lists.items():
        genes = embedded.read_calls(embedded.table_of("gse3307calls"), "gse3307calls", key).genes
        columns = ["gene_id", "direction", "n_rows"]
        pd.testing.assert_frame_equal(
            genes[columns].reset_index(drop=True),
            found.genes[columns].reset_index(drop=True),
            check_dtype=False,
        )


def test_the_build_script_gives_the_same_bytes(tmp_path):
    script = ROOT / "workflow" / "resources" / "build_published.py"
    command = [sys.executable, str(script), "--mirror", str(MIRROR), "--out", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT)
    for path in sorted((ROOT / "workflow" / "resources" / "published").glob("*.ts*")):
        assert (tmp_path / "published" / path.name).read_bytes() == path.read_bytes()


def test_a_study_without_its_samples_is_not_superseded_and_with_them_is():
    from alsmuscle.synthesis import contrasts

    card = cards.load_card(ROOT / "config" / "datasets" / "gse3307published.yaml")
    assert contrasts.superseded(card, ["gse3307published"]) == ""
    assert "gse3307" in contrasts.superseded(card, ["gse3307", "gse3307published"])
