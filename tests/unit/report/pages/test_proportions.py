"""What pages say of estimated proportions: beside the other adjustment, or why there are none."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import report_fixture as fx
from alsmuscle.report import build
from alsmuscle.report import model as m
from alsmuscle.report.pages import proportions
from parsed_page import Tables


def told(data: m.ReportData) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Adjusted effects and shares of the first comparison; a reason for the second one."""
    (study, contrast), (other, second) = list(data.contrasts())[:2]
    key = {"dataset": study.card["id"], "contrast": contrast.meta["id"], "reference": "nuclei1"}
    columns = ["programme", "block", "stripped"]
    own = contrast.programmes[columns].assign(**key, reason="", effect=0.21)
    own = own.assign(ci_low=-0.11, ci_high=0.53)
    own.loc[own["stripped"], "effect"] = 0.99
    own.loc[own["programme"] == "MACROPHAGE", ["effect", "ci_low", "ci_high"]] = np.nan
    lost = {"dataset": other.card["id"], "contrast": second.meta["id"], "programme": ""}
    lost |= {"block": "", "stripped": False, "reference": "gse000002", "reason": "it fits by -0.03"}
    shares = pd.DataFrame(
        [
            (sample, side, lineage, share)
            for sample, side, fibre in (
                ("s1", "target", 0.5), ("s2", "target", 0.7), ("s3", "reference", 0.8),
                ("s4", "reference", 0.88), ("s5", "other", 0.1),
            )
            for lineage, share in (
                ("Myonuclei", fibre), ("FAP", 0.6 * (1 - fibre)), ("Adipocyte", 0.3 * (1 - fibre)),
                ("Mural", 0.1 * (1 - fibre)),
            )
        ],
        columns=["sample_id", "side", "lineage", "share"],
    )  # fmt: skip
    effects = pd.concat([own, pd.DataFrame([lost])], ignore_index=True)
    return effects, shares.assign(**key, fit=0.7312)


@pytest.fixture(scope="module")
def data() -> m.ReportData:
    whole = fx.whole(2, n_genes=60)
    studies = []
    for study in whole.studies:
        contrasts = [
            replace(
                contrast,
                programmes=contrast.programmes.assign(
                    **{f"{x}_adjusted": 0.3 for x in ("effect", "ci_low", "ci_high", "pvalue")}
                ),
            )
            for contrast in study.contrasts
        ]
        studies.append(replace(study, contrasts=contrasts))
    whole = replace(whole, studies=studies)
    effects, shares = told(whole)
    said = replace(whole.synthesis, proportions=effects, shares=shares)
    return replace(whole, synthesis=said)


@pytest.fixture(scope="module")
def pages(data) -> dict[str, str | bytes]:
    return build.build(fx.templates(), data, drawn=())


def test_a_comparison_shows_both_adjustments_side_by_side(data, pages):
    study, contrast = next(iter(data.contrasts()))
    page = pages[m.contrast_path(study, contrast)]
    (table,) = Tables(page).of(caption="Effects adjusted for tissue content")
    heads = [cell["text"] for cell in table["rows"][0]["cells"]]
    place = heads.index("Adjusted by proportions")
    assert place > heads.index("Adjusted for tissue content")
    shown = [row["cells"][place]["text"] for row in table["rows"][1:]]
    complete = contrast.programmes[~contrast.programmes["stripped"]]
    assert len(shown) == len(complete)
    assert {text for text in shown if "0.21" in text} == {"+0.21 (−0.11 to +0.53)"}
    assert sorted(shown)[-1] == "–"
    assert sum("0.21" in text for text in shown) == len(complete) - 1


def test_a_comparison_names_shares_reference_and_fit(data, pages):
    study, contrast = next(iter(data.contrasts()))
    said = proportions.sentence(data, study, contrast)
    # Fibres 0.6 and 0.84 on average; fibro-adipogenic cells are nine tenths of the rest.
    assert "fibres 60 % against 84 %; connective tissue and fat 36 % against 14 % (" in said
    assert "macrophages" not in said
    assert "nuclei of nuclei1" in said and "by 0.73." in said
    text = re.sub(r"<[^>]+>", "", str(pages[m.contrast_path(study, contrast)]))
    assert "fibres 60 % against 84 %" in text


def test_a_comparison_that_is_not_adjusted_says_why(data, pages):
    study, contrast = list(data.contrasts())[1]
    name = next(s.name for s in data.studies if s.card["id"] == "gse000002")
    said = proportions.sentence(data, study, contrast)
    assert (
        said
        == f"Not adjusted by proportions estimated from the nuclei of {name}: it fits by −0.03."
    )
    page = str(pages[m.contrast_path(study, contrast)])
    assert "it fits by −0.03." in page
    assert "Adjusted by proportions" not in page


def test_comparisons_without_any_say_nothing(data):
    bare = replace(data, synthesis=replace(data.synthesis, proportions=None, shares=None))
    for study, contrast in bare.contrasts():
        assert proportions.sentence(bare, study, contrast) == ""
    study, contrast = list(data.contrasts())[-1]
    assert proportions.sentence(data, study, contrast) == ""
    first, own = next(iter(data.contrasts()))
    of_cells = replace(own, meta={**own.meta, "cell_type": "FAP, pan"})
    assert proportions.sentence(data, first, of_cells) == ""


def test_a_claim_shows_them_beside_the_other_adjustment_with_their_studies(data, pages):
    page = pages[m.claim_path("C1")]
    (table,) = Tables(page).of(caption="Every test")
    heads = [cell["text"].strip() for cell in table["rows"][0]["cells"]]
    assert heads.index("Adjusted by proportions") == heads.index("Adjusted for composition") + 1
    assert "Adjusted by estimated proportions" in page
    assert "2 independent studies" in page or "2 studies" in page
    claims = data.synthesis.claims.assign(proportions_effect=np.nan)
    none = replace(data, synthesis=replace(data.synthesis, claims=claims))
    bare = build.build(fx.templates(), none, drawn=())[m.claim_path("C1")]
    assert "Adjusted by proportions" not in bare and "estimated proportions" not in bare
