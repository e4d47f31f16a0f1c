"""An array study from its files to tables, and how it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alsmuscle.bulk import engines, qc, swaps
from alsmuscle.bulk.tables import DE, ENGINES, OMNIBUS, QC
from alsmuscle.core import contracts, files
from alsmuscle.core.errors import InputError
from alsmuscle.data import cards, completeness, derived, study_arrays, verify
from alsmuscle.data.tables import COMPLETENESS, MANIFEST
from support import ROOT, write_arrays

CONFIG = cards.load_yaml(ROOT / "config" / "config.yaml")["bulk"]


def _manifest(card):
    rows = [
        {
            **{"study": card["id"], "name": name, "url": file["url"], "path": file["url"]},
            **{"sha256": file["sha256"], "bytes": Path(file["url"]).stat().st_size},
            **{"retrieved": "", "source": "local", "pinned": "file"},
        }
        for name, file in card["files"].items()
    ]
    return contracts.rows(rows, MANIFEST)


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    made = write_arrays(tmp_path_factory.mktemp("arrays"))
    cards.validate(made, "dataset", "gse2.yaml")
    cards.check_card(made, "gse2.yaml")
    return made


@pytest.fixture(scope="module")
def read(card):
    return study_arrays.read_arrays(card, _manifest(card))


def _tested(read, card, name, *, trend=True):
    adata, *_ = read
    contrast = cards.contrast(card, name)
    fitted = engines.fit(adata, contrast, **CONFIG["counts"], inference="batched")
    options = CONFIG["de"] | {"trend": trend}
    return engines.test(fitted, adata.obs, contrast, dataset="gse2", **options), fitted, contrast


def test_two_chips_become_one_sample_and_the_stronger_probe_its_gene(read, card):
    adata, kept, excluded = read
    assert adata.n_obs == len(kept) == 15
    assert excluded.empty
    assert kept["sample_id"].tolist() == [f"p{i}" for i in range(15)]
    assert adata.uns["measure"] == "intensities"
    assert [note[:5] for note in adata.uns["provenance"]["notes"]] == ["GPL96", "GPL97"]
    assert "linear" in adata.uns["provenance"]["notes"][0]
    assert adata.var["n_probes"].max() == 2
    assert not adata.var["source_id"].str.endswith("x_at").any()
    assert {name.split("_")[1] for name in adata.var["source_id"]} == {"a", "b"}
    found = completeness.completeness(card, adata, excluded)
    assert contracts.check_table(found, COMPLETENESS, "x")["analysed"].all()
    assert found["counts_sha256"].nunique() == 15


def test_sex_is_read_from_the_probes(read):
    _, kept, _ = read
    assert kept["sex_inferred"].tolist() == kept["sex"].tolist()


def test_what_is_planted_is_found_and_nothing_where_nothing_is(read, card):
    table, fitted, _ = _tested(read, card, "als_vs_healthy")
    contracts.check_table(table, DE, "x")
    table = table.set_index("gene_id")
    # The stronger probe of a planted gene bears its number.
    number = fitted.var["source_id"].str.extract(r"^(\d+)_")[0].astype(int)
    planted = number.index[number % 20 == 0].difference(
        fitted.var_names[fitted.var["symbol"].isin(derived.sex_symbols("human"))]
    )
    signs = np.where(number[planted] % 40 == 0, 1, -1)
    assert (
        (table.loc[planted, "padj"] < 0.05) & (np.sign(table.loc[planted, "log2fc"]) == signs)
    ).mean() > 0.9
    assert np.mean(table.loc[planted, "log2fc"] * signs) == pytest.approx(1, abs=0.1)
    assert (table.drop(planted)["padj"] < 0.05).mean() < 0.01
    null, *_ = _tested(read, card, "other_vs_healthy")
    assert (null["padj"] < 0.05).sum() <= 2
    assert 0.03 < (null["pvalue"] < 0.05).mean() < 0.07


def test_the_second_engine_is_the_other_prior(read, card):
    table, fitted, contrast = _tested(read, card, "als_vs_healthy", trend=True)
    name, other = engines.second(fitted, read[0].obs, contrast, trend=True)
    assert name == "moderated t without trend"
    plain, *_ = _tested(read, card, "als_vs_healthy", trend=False)
    both = plain.set_index("gene_id")["stat"].loc[other.index]
    np.testing.assert_allclose(other["stat"], both)
    row = contracts.check_table(
        engines.agreement(table, other, about=fitted.uns, engine=name, alpha=0.05), ENGINES, "x"
    ).iloc[0]
    assert row["spearman_effect"] == pytest.approx(1)
    assert row["called_both"] > 40


def test_the_omnibus_of_three_groups_is_a_moderated_f(read, card):
    adata, *_ = read
    contrast = cards.contrast(card, "als_vs_healthy")
    fitted = engines.fit(adata, contrast, **CONFIG["counts"], inference="batched")
    keys = ("distribution", "alpha", "min_replicates", "inference")
    options = {key: CONFIG["de"][key] for key in keys} | CONFIG["arrays"]
    found = engines.omnibus(fitted, adata.obs, contrast, dataset="gse2", **options)
    contracts.check_table(found, OMNIBUS, "x")
    assert found["df"].unique() == [2]
    assert (found["df_residual"] > 12).all()
    assert 40 < (found["padj"] < 0.05).sum() < 70


def _flags(adata, card):
    options = dict(CONFIG["qc"])
    size = {key: options.pop(key) for key in ("n_variable_genes", "n_components")}
    vst = engines.expression(adata, **CONFIG["counts"], inference="batched")
    panels = files.read_plain(ROOT / "config" / "tissues.tsv")
    table, *_ = qc.metrics(adata, vst, "human", panels, **size)
    options["min_muscle"] = {"counts": 0, "intensities": 0}  # the panel is not on these chips
    table = swaps.flag(
        qc.flag(table, measure="intensities", **options),
        adata,
        vst,
        [cards.contrast(card, entry["id"]) for entry in card["contrasts"]],
        exclude=derived.sex_gene_ids(adata, "human"),
    )
    return contracts.check_table(table, QC, "x").set_index("sample_id")


def test_faults_of_arrays_are_flagged_and_clean_ones_are_not(read, card):
    clean = _flags(read[0], card)
    assert clean["flags"].eq("").all(), clean.loc[clean["flags"] != "", "reasons"].tolist()
    assert clean["library_size"].isna().all()
    adata = read[0].copy()
    adata.X[0] += 1.0  # not on the others' level
    adata.X[1] += np.random.default_rng(0).normal(0, 1.5, adata.n_vars)  # noise
    adata.X[3] = adata.X[2] + 0.01  # one array, twice
    adata.obs.loc["p4", "sex"] = "male"  # expressed female
    spoilt = _flags(adata, card)
    assert "level" in spoilt.loc["p0", "flags"].split(";")
    assert "+1.0" in spoilt.loc["p0", "reasons"]
    assert "level_spread" in spoilt.loc["p1", "flags"].split(";")
    assert "duplicate" in spoilt.loc["p2", "flags"] and "p2" in spoilt.loc["p3", "reasons"]
    assert "sex_mismatch" in spoilt.loc["p4", "flags"]
    assert "above background" in spoilt.loc["p4", "reasons"]


def test_a_swapped_array_is_suspected(read, card):
    adata = read[0].copy()
    adata.obs.loc["p0", "condition"] = "als"
    adata.obs.loc["p5", "condition"] = "healthy"
    flagged = _flags(adata, card)["flags"]
    assert "swap_suspect" in flagged["p0"] and "swap_suspect" in flagged["p5"]
    assert flagged.drop(["p0", "p5"]).eq("").all()


def test_quantile_normalisation_gives_every_array_one_distribution(card):
    changed = {**card, "intensities": [{**c, "normalise": "quantile"} for c in card["intensities"]]}
    adata, *_ = study_arrays.read_arrays(changed, _manifest(card))
    assert "Quantile-normalised" in adata.uns["provenance"]["notes"][1]


def _refused(change, words):
    with pytest.raises(InputError) as caught:
        change()
    for word in words:
        assert word in str(caught.value)


def test_what_a_card_says_wrongly_is_refused(card):
    def changed(**more):
        spoilt = {**card, **more}
        return lambda: study_arrays.read_arrays(spoilt, _manifest(card))

    chips = [{**chip, "scale": "log2"} for chip in card["intensities"]]
    _refused(changed(intensities=chips), ["gse2", "GPL96", "the card says log2"])
    sheet = {**card["samples"], "sheet": {"file": "a", "layout": "series_matrix"}}
    _refused(changed(samples=sheet), ["not on every chip design", "GPL97"])
    ids = {**card["samples"], "sample_id": {"from": "title", "pattern": "(muscle)"}}
    _refused(changed(samples=ids), ["the runs of sample 'muscle' differ in 'condition'"])


def test_a_trial_reading_tells_what_was_found(card):
    fetched = pd.DataFrame({"state": ["agrees"]})
    rows = verify.checks(card, _manifest(card), fetched)
    reading = next(row for row in rows if row["check"] == "reading")
    assert reading["state"] == "agrees"
    assert "15 samples" in reading["found"]
    number = next(row for row in rows if row["check"] == "sheet.samples")
    assert (number["card"], number["found"], number["state"]) == ("15", "15", "agrees")
