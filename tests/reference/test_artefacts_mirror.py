"""Real files of public archives are read, with the numbers that they are known to hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alsmuscle.core import files
from alsmuscle.data import cards as registry
from alsmuscle.data import completeness, record, studies
from alsmuscle.data.fetch import study_files
from alsmuscle.data.readers import arrays, results, sample_sheets, tenx
from alsmuscle.data.tables import MANIFEST
from support import ROOT, mirror

pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(mirror() is None, reason="needs the data mirror (ALSMUSCLE_MIRROR)"),
]


def _file(name: str) -> Path:
    folder = mirror()
    assert folder is not None
    return folder / "files" / name


def test_a_soft_family_of_34_arrays_on_two_chips():
    path = _file("GSE781/GSE781_family.soft.gz")
    values, probes, _ = arrays.read_intensities(path, {"platform": "GPL96", "layout": "soft"})
    others, more, _ = arrays.read_intensities(path, {"platform": "GPL97", "layout": "soft"})
    assert values.shape[1] + others.shape[1] == 34
    assert (len(values), len(others)) == (22_283, 22_645)
    assert probes is not None and more is not None
    assert probes.loc["1007_s_at", "symbol"].startswith("DDR1")
    # A probe is measured where it is listed; few values are missing.
    assert values.isna().to_numpy().mean() < 0.01
    sheet = sample_sheets.read_sheet(path, {"layout": "soft"})
    assert len(sheet) == 34
    assert set(sheet["platform_id"]) == {"GPL96", "GPL97"}
    assert set(sheet["geo_accession"]) == set(values.columns) | set(others.columns)


def test_the_series_matrix_of_a_sequencing_study():
    path = _file("GSE67196/GSE67196_series_matrix.txt.gz")
    sheet = sample_sheets.read_sheet(path, {"layout": "series_matrix"})
    assert len(sheet) == 53
    assert sheet["genotype:ch1"].value_counts().to_dict() == {
        "sALS": 20,
        "c9ALS": 16,
        "Healthy": 17,
    }
    card = registry.load_cards(ROOT / "config" / "datasets")["gse67196"]
    rows = {row["check"]: row for row in record.sheet_checks(card, sheet)}
    assert rows["sheet.samples"]["state"] == rows["sheet.organism"]["state"] == "agrees"
    short = {row["check"]: row for row in record.sheet_checks(card, sheet.iloc[:-1])}
    assert (short["sheet.samples"]["card"], short["sheet.samples"]["found"]) == ("53", "52")
    assert short["sheet.samples"]["state"] == "differs"


@pytest.mark.parametrize(("name", "spots"), [("Vis5A", 982), ("Vis7B", 1011)])
def test_both_10x_files(name, spots):
    adata = tenx.read_10x_h5(next(_file("scMuscle_visium").glob(f"{name}*.h5")))
    assert adata.n_obs == spots
    assert adata.var_names.str.startswith("ENSMUSG").mean() > 0.99


def test_the_r_data_file():
    card = registry.load_cards(ROOT / "config" / "datasets")["denervationta"]
    frame = results.read_effects(_file("denervation_TA/muscleData.RData"), card["effects"])
    assert {"ID", "Entrez", "denvinn.logFC", "denvinn.Conf975"} <= set(frame.columns)
    assert len(frame) > 10_000


@pytest.mark.parametrize("name", ["GSE184951", "GSE140261"])
def test_phenodata_as_geoquery_writes_them(name):
    sheet = sample_sheets.read_sheet(_file(f"{name}/{name}.meta.csv"), {"layout": "csv"})
    assert len(sheet) == {"GSE184951": 32, "GSE140261": 35}[name]
    assert sheet["geo_accession"].str.fullmatch(r"GSM\d+").all()


def test_the_registrys_studies_are_read_from_the_mirror_alone(tmp_path, monkeypatch):
    # No network at all: every proxy leads nowhere.
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    cards = registry.load_cards(ROOT / "config" / "datasets")
    for name in ("gse67196", "glds103"):
        manifest, checks = study_files(cards[name], cache=tmp_path, mirror=mirror())
        assert {row["source"] for row in manifest} == {"mirror"}
        states = {row["check"]: row["state"] for row in checks}
        assert states.pop("archive") == "not verified"
        assert set(states.values()) == {"agrees"}
        files.write_table(tmp_path / "m.tsv", files.contracts.rows(manifest, MANIFEST), MANIFEST)
        adata, _, excluded = studies.read_bulk(
            cards[name], files.read_table(tmp_path / "m.tsv", MANIFEST)
        )
        table = completeness.completeness(cards[name], adata, excluded)
        assert len(table) == cards[name]["samples"]["expected"]
        assert table["analysed"].all() and table["obtained"].all()
        assert (table["identical_to"] == "").all()
        assert np.asarray(adata.X).min() >= 0
