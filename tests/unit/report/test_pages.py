from __future__ import annotations

import csv
import hashlib
import json
import re
from base64 import b64encode
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup

import report_fixture as fx
from alsmuscle.core.errors import InputError
from alsmuscle.report import build, estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c
from alsmuscle.report.html import plots
from alsmuscle.report.pages import (
    about,
    calls,
    claim,
    claims,
    contrast,
    gene,
    index,
    over_time,
    programme,
    specificity,
    study,
)
from alsmuscle.report.site import Site
from alsmuscle.synthesis import changes
from alsmuscle.synthesis.verdicts import DENERVATION, SUGGESTED
from parsed_page import Parsed, Tables


@pytest.fixture(scope="module")
def data() -> m.ReportData:
    return fx.whole(2, n_genes=700)


@pytest.fixture(scope="module")
def files(data) -> dict[str, str | bytes]:
    return build.build(fx.templates(), data)


@pytest.fixture(scope="module")
def pages(files) -> dict[str, Parsed]:
    return {k: Parsed(v) for k, v in files.items() if k.endswith(".html")}


@pytest.fixture
def site() -> Site:
    return Site(fx.templates(), "A report")


# ---- parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.org/a?b=1", True),
        ("http://example.org", True),
        ("HTTPS://example.org", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        (" java\nscript:alert(1)", False),
        ("data:text/html,x", False),
        ("vbscript:x", False),
        ("file:///etc/passwd", False),
        ("//example.org", False),
        ("https:/\\example.org", False),
        ("https://", False),
        ("http://[bad", False),
        ("", False),
        (None, False),
        (3, False),
    ],
)
def test_only_http_links_survive(url, kept):
    assert (c.safe_url(url) is not None) == kept
    assert ("href" in c.link("text", url)) == kept


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("../bulk/x/de.tsv", "../bulk/x/de.tsv"),
        ("gene.html#ENSG1", "gene.html#ENSG1"),
        ('a"b c.tsv', "a%22b%20c.tsv"),
        ("/etc/passwd", None),
        ("//host/x", None),
        ("javascript:alert(1)", None),
        ("a\\b", None),
        ("", None),
    ],
)
def test_local_links_stay_relative(path, expected):
    assert c.safe_path(path) == expected


def test_json_cannot_close_its_script():
    text = c.embed_json({"a": "</script><!--&\u2028\u2029", "b": [np.nan, np.inf, np.float64(0.5)]})
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {"a": "</script><!--&\u2028\u2029", "b": [None, None, 0.5]}


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+1", "'+1+1"),
        ("-cmd", "'-cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\t=1", "' =1"),
        (-1.5, "-1.5"),
        ("-2e-05", "-2e-05"),
        ("+3", "+3"),
        ("a\tb\nc", "a b c"),
        (None, ""),
        (float("nan"), ""),
    ],
)
def test_downloads_hold_no_formula(value, cell):
    assert c.tsv_cell(value) == cell


def test_numbers_read_as_written():
    assert c.number(-1234.567, 1) == "\u22121\u202f234.6"
    assert c.number(-0.001) == "0.00"
    assert c.number(0.5, sign=True) == "+0.50"
    assert c.number(None) == c.number(float("nan")) == "\u2013"
    assert c.pvalue(3.2e-5) == "3.2 \u00d7 10⁻⁵"
    assert c.pvalue(0.0234) == "0.023"
    assert c.pvalue(0) == "< 10⁻³⁰⁰"
    assert c.interval_text(0.5, 0.1, 0.9) == "+0.50 (+0.10 to +0.90)"
    assert c.interval_text(0.5, None, None) == "+0.50 (no interval)"


@pytest.mark.parametrize(
    ("low", "high", "sign"), [(0.1, 0.2, 1), (-0.2, -0.1, -1), (-1, 1, 0), (0, 1, 0), (None, 1, 0)]
)
def test_direction_needs_an_interval_off_zero(low, high, sign):
    assert c.direction(low, high) == sign


def test_ticks_are_round_inside_and_hold_zero():
    assert c.ticks(-1, 1, 4) == [-1, -0.5, 0, 0.5, 1]
    for low, high in [(-0.013, 0.4), (-12, 3), (-1e-4, 2e-4)]:
        found = c.ticks(low, high)
        assert 0 in found and low <= min(found) and max(found) <= high and 2 < len(found) < 12


def test_axis_holds_every_interval_and_zero():
    frame = pd.DataFrame({"effect": [2.0], "ci_low": [1.5], "ci_high": [9.0], "alt_ci_low": [-4.0]})
    low, high = plots.domain([frame])
    assert low < -4 and high > 9
    assert plots.domain([]) == (-1.12, 1.12)


def test_forest_marks_lie_where_the_numbers_say():
    rows = pd.DataFrame(
        {"label": ["a"], "effect": [0.5], "ci_low": [0.0], "ci_high": [1.0], "padj": [0.04]}
    )
    text = str(plots.forest_plot(rows, caption="c", span=(-1.0, 1.0)))
    assert 'class="ci ci-main none" x1="50.00%" x2="100.00%"' in text
    assert 'cx="75.00%"' in text
    assert "+0.50 (0.00 to +1.00)" in Parsed(text).text
    assert text.index("95 % interval") < text.index("Adjusted p")


def test_forest_shows_both_estimates_donors_and_caveat():
    rows = pd.DataFrame(
        {
            "label": ["a", "b"],
            "effect": [0.5, 0.1],
            "ci_low": [0.2, -0.1],
            "ci_high": [0.8, 0.3],
            "alt_effect": [0.2, np.nan],
            "alt_ci_low": [-0.1, np.nan],
            "alt_ci_high": [0.5, np.nan],
            "n": ["5 v 4 donors", "3 v 3 donors"],
            "caveat": ["mind this", None],
            "group": ["one", "two"],
        }
    )
    parsed = Parsed(str(plots.forest_plot(rows, caption="c")))
    for words in ("○ +0.20 (\u22120.10 to +0.50)", "○ not computed", "5 v 4 donors", "※ mind this"):
        assert words in parsed.text
    widths = [int(a["colspan"]) for a in parsed.all("th") if "colspan" in a]
    assert widths == [len([a for a in parsed.all("th") if a.get("scope") == "col"])] * 2


def test_table_cuts_at_the_limit_and_links_the_rest():
    frame = pd.DataFrame({"g": [f"g{i}" for i in range(600)], "p": np.linspace(0, 1, 600)})
    columns = [c.Column("g", "Gene"), c.Column("p", "p", "p"), c.Column("absent", "Absent")]
    parsed = Parsed(str(c.table(frame, columns, caption="t", name="t", full="../de.tsv")))
    assert len(parsed.all("tr")) == 501
    assert "500 of 600 rows" in parsed.text and "Absent" not in parsed.text
    assert {"href": "../de.tsv", "download": ""} in parsed.all("a")


def test_table_escapes_and_sorts_on_raw_values():
    frame = pd.DataFrame({"g": [fx.HOSTILE], "p": [1.23456e-9]})
    text = str(
        c.table(frame, [c.Column("g", fx.HOSTILE), c.Column("p", "p", "p")], caption="t", name="t")
    )
    parsed = Parsed(text)
    assert not parsed.all("script") and not parsed.all("img")
    assert 'data-v="1.23456e-09"' in text


def test_heatmap_scales_to_the_strongest_cell():
    frame = pd.DataFrame({"x": [1.0, -1.0, 0.0, np.nan]}, index=["a", "b", "c", "d"])
    sure = frame.abs() > 0.5
    cells = [
        a.get("class") for a in Parsed(str(plots.heatmap(frame, caption="h", head="p"))).all("td")
    ]
    assert cells == ["num heat heat-p5", "num heat heat-n5", "num heat heat-p0", "num"]
    marked = str(plots.heatmap(frame, caption="h", head="p", sure=sure))
    assert marked.count("<strong>") == marked.count("heat-") == 2


def test_a_group_of_one_row_takes_one_line():
    frame = pd.DataFrame({"x": [1.0, 0.5, 0.2]}, index=["a", "b", "c"])
    parsed = Parsed(str(plots.heatmap(frame, caption="h", head="p", groups=["G", "G", "One"])))
    heads = [w for w in parsed.text.replace("One, c", "One,c").split() if w in {"G", "One,c"}]
    assert heads == ["G", "One,c"]


def test_unknown_badge_is_refused():
    with pytest.raises(InputError, match="no badge"):
        c.badge("shiny")


def test_every_badge_says_it_in_words():
    assert all(re.search("[a-z]{4}", words) for words, _ in c.BADGES.values())


# ---- what is said -------------------------------------------------------------------------------


def one(meta: dict, samples: pd.DataFrame | None = None, **card) -> tuple:
    base = {"id": "k", "target": "als", "reference": "healthy"}
    item = m.ContrastData(meta={**base, **meta})
    return m.StudyData(card={"id": "s", **card}, samples=samples, contrasts=(item,)), item


def test_donors_are_counted_not_samples():
    sheet = pd.DataFrame(
        {"condition": ["als"] * 4 + ["healthy"] * 2, "subject_id": ["a", "a", "b", "b", "c", "d"]}
    )
    assert wording.sizes(*one({"n_target": 4, "n_reference": 2}, sheet)) == "2 v 2 donors"


def test_donors_are_not_claimed_when_groups_do_not_match_the_fit():
    sheet = pd.DataFrame({"condition": ["als"] * 4 + ["healthy"] * 2, "subject_id": list("abcdef")})
    assert wording.sizes(*one({"n_target": 3, "n_reference": 2}, sheet)) == "3 v 2 samples"
    assert wording.sizes(*one({})) == "group sizes not stated"
    assert wording.sizes(*one({"donors_target": 9, "donors_reference": 8})) == "9 v 8 donors"


def test_donors_within_a_subset_and_in_pairs():
    sheet = pd.DataFrame(
        {
            "condition": ["after", "before", "after", "before", "after"],
            "subject_id": ["a", "a", "b", "b", "c"],
            "muscle": ["leg", "leg", "leg", "leg", "arm"],
        }
    )
    meta = {"target": "after", "reference": "before", "n_target": 2, "n_reference": 2}
    assert wording.sizes(*one({**meta, "within": {"muscle": "leg"}}, sheet)) == (
        "2 donors, each in both groups"
    )
    assert wording.sizes(*one(meta, sheet)) == "2 v 2 samples"
    blank = sheet.assign(subject_id="")
    assert wording.sizes(*one({**meta, "within": {"muscle": "leg"}}, blank)) == "2 v 2 samples"


@pytest.mark.parametrize(
    ("meta", "names"),
    [
        ({"label": "ALS v healthy"}, ("ALS", "healthy")),
        ({"label": "DM1, untrained, against healthy"}, ("DM1, untrained", "healthy")),
        ({"label": "SOD1 vs wild type"}, ("SOD1", "wild type")),
        ({"label": "effect of training"}, ("ALS", "healthy")),
        ({"label": "A v B", "target_label": "C"}, ("C", "B")),
        ({}, ("ALS", "healthy")),
    ],
)
def test_sides_are_named_for_reading(meta, names):
    assert wording.sides({"target": "als", "reference": "healthy", **meta}) == names


@pytest.mark.parametrize(
    ("meta", "higher", "words"),
    [
        ({"label": "ALS v healthy"}, "Higher in ALS", ""),
        (
            {"kind": "continuous", "variable": "alsfrs_r", "unit": "point"},
            "Higher with higher alsfrs r",
            "log2 units per point",
        ),
        (
            {"kind": "trend", "across": "day", "unit": "day"},
            "Difference grows with day",
            "difference between als and healthy grows",
        ),
        (
            # the label's parts are levels of the second column, and no groups
            {"kind": "interaction", "across": "day", "at": "90", "against": "30"}
            | {"label": "ALS at day 90 against that at day 30"},
            "Difference larger at day 90",
            "difference between als and healthy is larger (more positive) with day 90 than with 30",
        ),
    ],
)
def test_signs_are_put_into_words(meta, higher, words):
    meta = {"target": "als", "reference": "healthy", **meta}
    assert wording.ends(meta)[0] == higher
    assert words in wording.reading(meta)
    assert bool(wording.reading(meta)) == bool(words)


def test_effects_that_were_made_before_are_the_callers_own(data):
    table = next(k.programmes for _, k in data.contrasts() if k.programmes is not None)
    first = estimates.effects(table, data)
    measured = first["effect"].notna()
    assert measured.any() and all(said is None for said in first.loc[measured, "instead"])
    first["effect"] = 99.0
    again = estimates.effects(table, data, "../")
    assert not again["effect"].eq(99.0).any()
    assert [f"../{href}" for href in first["href"]] == again["href"].tolist()
    # another table, also at the place of a former one in memory, is not taken for it
    data.effect_rows[id(table)] = (table.copy(), first)
    assert not estimates.effects(table, data)["effect"].eq(99.0).any()


def test_one_rule_says_what_is_a_clear_change(data, site):
    """A block that random sets of genes follow as far is coloured nowhere."""
    contrast = next(k for _, k in data.contrasts() if len(estimates.headline(data, k)))
    rows = estimates.headline(data, contrast)
    first = rows.iloc[0]
    table = contrast.programmes.copy()
    own = (table["programme"] == first["programme"]) & (table["block"] == first["block"])
    table.loc[own, ["effect", "ci_low", "ci_high"]] = [7.77, 7.0, 8.5]
    table.loc[own, ["padj", "pvalue_competitive"]] = [1e-6, 0.001]

    def shown(frame):
        changed = replace(contrast, programmes=frame)
        studies = tuple(
            replace(s, contrasts=tuple(changed if k is contrast else k for k in s.contrasts))
            for s in data.studies
        )
        new = replace(data, studies=studies)
        found = estimates.verdict(estimates.headline(new, changed), new.alpha)
        cell = re.search(r'<td class="([^"]*)"><b><a [^>]*>\+7.77</a></b>', index.page(site, new))
        bold = re.search(r"<strong><a [^>]*>\+7.77</a></strong>", programme.overview(site, new))
        return first["label"] in " ".join(found["higher"]), "heat" in cell.group(1), bool(bold)

    assert shown(table) == (True, True, True)
    assert shown(table.assign(pvalue_competitive=0.4)) == (False, False, False)
    assert shown(table.assign(padj=0.4)) == (False, False, False)


def test_small_slopes_keep_two_digits():
    assert [c.decimals([x, np.nan]) for x in (3.0, 0.2, 0.024, 0.0031, 0.0)] == [2, 2, 3, 4, 2]
    rows = pd.DataFrame(
        {"label": ["P"], "effect": [0.0243], "ci_low": [0.0151], "ci_high": [0.0318]}
    )
    assert "+0.024 (+0.015 to +0.032)" in plots.forest_plot(rows, caption="x")
    shown = c.table(rows, [c.Column("effect", "Effect", "number", 2, True)], caption="x", name="x")
    assert "+0.024" in shown
    cells = ((0.0243, 0.0151, 0.0318, 1), (1.5, -0.5, 3.5, 0))
    row = plots.EffectRow("g", "a", "a.html", Markup(""), "", Markup(""), "3 v 3", cells)
    columns = [plots.EffectColumn(name, "p.html") for name in "pq"]
    small, large = re.findall(
        r'<td class="(num[^"]*)"><b>(.*?)</b><small>(.*?)</small>',
        plots.effect_table([row], columns, caption="x"),
    )
    # a clear change is coloured, however small beside the others
    assert small == ("num heat heat-p1", "+0.024", "+0.015 to +0.032")
    assert large == ("num", "+1.50", "\u22120.50 to +3.50")


def test_range_of_random_sets_is_drawn_where_it_was_computed():
    table = pd.DataFrame(
        {
            "programme": ["P", "Q"],
            "block": ["b", "b"],
            "stripped": [False, False],
            "effect": [0.5, 0.1],
            "ci_low": [0.2, 0.0],
            "ci_high": [0.8, 0.2],
            "background": ["0.1", ""],
            "background_sd": ["0.1", ""],
        }
    )
    rows = estimates.effects(table, m.ReportData(studies=[]))
    assert rows["null_low"][0] == pytest.approx(0.1 - 0.1959964)
    assert rows["null_high"][0] == pytest.approx(0.1 + 0.1959964)
    text = str(plots.forest_plot(rows, caption="c", span=(-1.0, 1.0)))
    assert text.count('class="null"') == 1
    assert 'class="null" x="45.20%" width="19.60%"' in text


def test_long_caveats_fold_after_whole_sentences():
    text = "Short. This sentence is long enough to stand alone on a page. The rest is folded."
    parsed = Parsed(str(c.folded(text)))
    assert parsed.words == [
        "Short. This sentence is long enough to stand alone on a page.",
        "The rest is folded.",
    ]
    assert [t for t, _ in parsed.tags] == ["details", "summary"]
    assert [t for t, _ in Parsed(str(c.folded("One sentence only."))).tags] == ["p"]
    assert not Parsed(str(c.folded(f"{fx.HOSTILE * 2}. A rest."))).all("script")


def test_headline_names_the_block_only_where_two_would_look_alike(data):
    table = data.studies[0].contrasts[0].programmes
    item = m.ContrastData(
        meta={}, programmes=pd.concat([table, table.head(1).assign(block="other")])
    )
    pairs = [("MACROPHAGE", "pan"), ("DENERVATION", "other"), ("DENERVATION", "up")]
    chosen = m.ReportData(studies=[], headline=pairs, programme_info=data.programme_info)
    assert estimates.headline(chosen, item)["label"].tolist() == [
        "Macrophages",
        "Denervation response (other)",
        "Denervation response (up)",
    ]


def test_calls_by_hand():
    de = pd.DataFrame(
        {
            "log2fc": [1.0, -1.0, 2.0, 0.5, 1.0],
            "pvalue": [0.001, 0.002, 0.5, 0.01, np.nan],
            "padj": [0.01, 0.02, 0.6, np.nan, np.nan],
        }
    )
    assert estimates.calls(de, 0.05) == {
        **{"tested": 3, "left_out": 2, "called": 2, "up": 1, "down": 1}
    }
    own = m.ContrastData({}, de)
    assert estimates.gene_sentence(own, 0.05) == (
        "2 of 3 genes tested at adjusted p < 0.05 (1 higher, 1 lower)"
    )
    assert estimates.calls(de.assign(pvalue=np.nan), 0.05) is None
    assert estimates.gene_sentence(m.ContrastData({}), 0.05) == "no gene-level test"
    doubted = m.ContrastData({"marks": [("technical", "control probes differ")]}, de)
    assert "p < 0.05 (not to be trusted: groups processed apart)" in estimates.gene_sentence(
        doubted, 0.05
    )


def test_gene_intervals_are_normal_or_of_t():
    frame = estimates.gene_frame(
        pd.DataFrame(
            {
                "gene_id": ["ENSG1", "ENSG2", "ENSG3"],
                "symbol": ["MYOG", None, "MYH2"],
                "log2fc": [1.0, 0.0, 1.0],
                "lfc_se": [0.5, np.nan, 0.5],
                "df": [np.nan, 10, 10],
                "pvalue": [0.0, 0.01, 0.1],
            }
        )
    )
    assert frame["ci_low"][0] == pytest.approx(0.020018, abs=1e-6)
    assert frame["ci_high"][0] == pytest.approx(1.979982, abs=1e-6)
    assert frame["ci_high"][2] == pytest.approx(1 + 0.5 * 2.228139, abs=1e-6)  # tables of t
    assert frame["label"].tolist() == ["MYOG", "ENSG2", "MYH2"]
    assert frame["nlp"].tolist() == [300, 2, 1]


@pytest.mark.parametrize("as_text", [False, True])
def test_effects_pair_complete_and_stripped(data, as_text):
    table = data.studies[0].contrasts[0].programmes
    if as_text:
        table = table.assign(stripped=table["stripped"].astype(str))
    rows = estimates.effects(table, data).set_index("programme")
    whole = table[~m.truth(table["stripped"])].set_index("programme")
    cut = table[m.truth(table["stripped"])].set_index("programme")
    assert len(rows) == len(fx.PROGRAMMES)
    assert rows["effect"].equals(whole["effect"])
    assert rows.loc["MACROPHAGE", "alt_ci_low"] == cut.loc["MACROPHAGE", "ci_low"]
    assert np.isnan(rows.loc["DENERVATION", "alt_effect"])
    assert rows.loc["MYOGENIC_DIFF", "caveat"].startswith("In bulk muscle MYOD1")
    assert rows.loc["MYOGENIC_DIFF", "label"] == "Myogenic regulators (mrf)"


def test_block_caveat_beats_programme_caveat():
    info = {"P": {"caveat": "all", "caveats": {"b": "only b"}}}
    assert estimates.caveat(info, "P", "b") == "only b"
    assert estimates.caveat(info, "P", "c") == "all"
    assert estimates.caveat(info, "Q", "c") is None


def test_a_direction_needs_adjusted_p_random_sets_and_measured_genes():
    rows = pd.DataFrame(
        {
            "label": ["A", "B", "C", "D", "E", "F", "G"],
            "ci_low": [0.1, 0.1, 0.1, 0.1, np.nan, -1.0, np.nan],
            "ci_high": [0.3, 0.3, 0.3, 0.3, np.nan, -0.5, np.nan],
            "padj": [0.01, 0.20, 0.01, 0.01, np.nan, 0.01, np.nan],
            "pvalue_competitive": [0.01, 0.01, 0.30, 0.01, np.nan, np.nan, np.nan],
            "n_mapped": [5, 5, 5, 2, 0, 2, 6],
            "n_genes": [6, 6, 6, 9, 6, 2, 6],
        }
    )
    found = estimates.verdict(rows, 0.05)
    assert found == {
        **{"higher": ["A"], "lower": ["F"], "open": ["B", "C"], "untested": ["G"]},
        **{"few": ["D (2 of 9)"], "unmeasured": ["E"]},
    }


def test_a_lean_along_a_hidden_factor_is_said():
    one = pd.DataFrame({"hidden_share": [0.44], "hidden_lean": [-2.6], "hidden_pvalue": [0.018]})
    one = one.assign(called=3155.0, called_without=944.0, called_alone=np.nan)
    text = wording.hidden_sentence(one)
    assert "44 %" in text
    assert f"944 of the {c.number(3155, 0)} genes called stay called" in text
    assert "Expression alone cannot tell" in text
    assert "taken off" not in text
    knowing = wording.hidden_sentence(one.assign(called_alone=5021.0))
    assert (
        f"taken off before p-values are adjusted. Without regard to it {c.number(5021, 0)} genes"
        in knowing
    )
    assert "cannot tell" not in wording.hidden_sentence(one.assign(hidden_pvalue=0.4))
    none = one.assign(called=0.0, called_without=0.0)
    assert "called" not in wording.hidden_sentence(none)
    assert wording.hidden_sentence(none.assign(called_alone=3.0)).endswith(
        "3 genes would be called."
    )
    assert wording.hidden_sentence(one.assign(hidden_share=np.nan)) == ""


def test_repeated_donors_are_said():
    one = pd.DataFrame({"donors": ["one sample each"], "donor_correlation": [np.nan]})
    assert wording.donor_sentence(one) == ""
    both = one.assign(donors="correlated", donor_correlation=0.434)
    assert "correlated, at 0.43 over all genes" in wording.donor_sentence(both)
    unknown = wording.donor_sentence(one.assign(donors="correlated"))
    assert "no test is claimed" in unknown
    said = wording.donor_sentence(one.assign(donors="independent: clones of one line"))
    assert said == "Samples of one donor are taken as independent: clones of one line."


def test_sentence_is_hedged_where_it_must_be(data):
    rows = pd.DataFrame(
        {"label": ["A", "B"], "ci_low": [0.1, -1.0], "ci_high": [0.3, 1.0], "caveat": ["x", None]}
    )
    plain = estimates.sentence(*one({"label": "ALS v healthy"}), rows, 0.05)
    assert plain == "Higher in ALS: A ※; no clear change: 1 of 2 shown."
    doubtful = one({"confounded": "batch", "n_target": 2, "n_reference": 9, "simulated": True})
    assert estimates.sentence(*doubtful, rows, 0.05).startswith(
        "Simulated data. Differences in batch could explain it. Description only, too few donors."
    )
    nothing = estimates.sentence(*one({}), rows.iloc[1:], 0.05)
    assert nothing == "No clear change in any programme shown."


@pytest.mark.parametrize(
    ("meta", "card", "kinds"),
    [
        ({"confounded": ["batch", "site"]}, {}, ["confounded"]),
        ({"confounded": "batch"}, {}, ["confounded"]),
        ({"confounded": False}, {}, []),
        ({"simulated": True}, {}, ["simulated"]),
        ({}, {"simulated": True}, ["simulated"]),
        ({"experimental": True}, {}, ["experimental"]),
        ({"evidence": "published"}, {}, ["published"]),
        ({"evidence": "computed"}, {}, []),
        ({"eligible": False, "reason": "wrong"}, {}, ["excluded"]),
        ({"n_target": 2, "n_reference": 30}, {}, ["small"]),
        ({"n_target": 3, "n_reference": 3}, {}, []),
    ],
)
def test_everything_doubtful_is_marked_on_every_page(site, meta, card, kinds):
    item, part = one(meta, **card)
    assert [k for k, _ in wording.marks(item, part)] == kinds
    data = m.ReportData(studies=[item])
    texts = [
        Parsed(index.page(site, data)),
        Parsed(study.page(site, data, item, ())),
        Parsed(contrast.page(site, data, item, part, ())),
    ]
    for parsed in texts:
        for kind in c.BADGES:
            assert (c.BADGES[kind][0] in parsed.text) == (kind in kinds)


def test_flags_pair_with_their_reasons():
    qc = pd.DataFrame(
        {
            "sample_id": ["a", "b", "c"],
            "flags": ["size; sex", "size;sex", None],
            "reasons": ["1 < 5; differs", "one text", None],
        }
    )
    rows = study.flagged(m.StudyData(card={"id": "s"}, qc=qc))
    assert rows.to_numpy().tolist() == [
        ["a", "size", "1 < 5"],
        ["a", "sex", "differs"],
        ["b", "size", "one text"],
        ["b", "sex", "one text"],
    ]
    assert study.flagged(m.StudyData(card={"id": "s"})) is None


def test_qc_may_carry_its_id_in_the_index():
    qc = pd.DataFrame({"library_size": [1e6, 2e6]}, index=pd.Index(["a", "b"]))
    frame = study.sample_view(m.StudyData(card={"id": "s"}, qc=qc))
    assert frame["sample_id"].tolist() == ["a", "b"]
    assert frame["group"].tolist() == ["all", "all"]


# ---- whole pages --------------------------------------------------------------------------------


def test_pages_exist_and_stay_small(files):
    for path in (
        "index.html",
        "studies/gse000001.html",
        "contrasts/gse000001.als_v_healthy.html",
        "programmes.html",
        "programmes/MYOGENIC_DIFF.html",
        "gene.html",
        "claims/C1.html",
        "specificity.html",
        "time.html",
        "changes.html",
        "methods.html",
        "provenance.html",
        "glossary.html",
    ):
        assert 2_000 < len(files[path]) < 1_000_000


def test_security_policy_names_exactly_the_inline_code(pages):
    for path, parsed in pages.items():
        policy = next(a["content"] for a in parsed.all("meta") if "http-equiv" in a)
        code = [s for a, s in parsed.scripts if a.get("type") != "application/json"]
        assert len(code) == len(parsed.styles) == 1, path
        for directive, text in (("script-src", code[0]), ("style-src", parsed.styles[0])):
            digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"{directive} 'sha256-{digest}'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy and "http:" not in policy and "https:" not in policy


def test_no_inline_style_or_handler_and_nothing_remote(pages):
    for path, parsed in pages.items():
        for tag, attributes in parsed.tags:
            assert "style" not in attributes, (path, tag)
            assert not [k for k in attributes if k.startswith("on")], (path, tag)
            for key in ("src", "srcset", "data", "action"):
                if key in attributes:
                    assert not urlsplit(attributes[key]).scheme, (path, attributes)
            if tag == "a":
                assert urlsplit(attributes["href"]).scheme in {"", "http", "https"}
        assert not parsed.all("link") and not parsed.all("iframe") and not parsed.all("form")


def test_every_local_link_leads_somewhere(files, pages):
    ids = {path: {a["id"] for _, a in p.tags if "id" in a} for path, p in pages.items()}
    seen = 0
    for path, parsed in pages.items():
        for tag, attributes in parsed.tags:
            target = attributes.get("href" if tag == "a" else "src")
            if not target or urlsplit(target).scheme:
                continue
            where, _, mark = unquote(target).partition("#")
            parts = path.split("/")[:-1]
            for step in where.split("/") if where else []:
                parts = parts[:-1] if step == ".." and parts else [*parts, step]
            full = "/".join(parts) if where else path
            if full.startswith(("../bulk/", "../synthesis/")):
                continue
            assert full in files, (path, target)
            if mark and full not in {"gene.html", "geneset.html"}:
                assert mark in ids[full], (path, target)
            seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("index.html", "Myogenic"),
        ("programmes.html", "GSE000001: ALS v healthy"),
        ("programmes/MYOGENIC_DIFF.html", "GSE000001: ALS v healthy"),
        ("claims/C1.html", "GSE000001: ALS v healthy"),
    ],
)
def test_the_number_of_one_comparison_leads_to_its_block(pages, path, what):
    links = [a for a in pages[path].all("a") if a.get("class") == "from"]
    assert links
    assert all(re.search(r"contrasts/[^#]+\.html#\w", a["href"]) for a in links)
    assert all(re.match(r"[+−]?\d.*: .", a["aria-label"]) for a in links)
    assert any(what in a["aria-label"] for a in links)


def test_every_effect_of_the_first_table_leads_somewhere(files):
    table = files["index.html"].split('<table class="effects">')[1].split("</table>")[0]
    cells = re.findall(r'<td class="num[^"]*"><b>(.*?)</b>', table)
    assert len(cells) > 5 and all(cell.startswith('<a class="from"') for cell in cells)


def test_a_column_of_one_comparison_leads_to_it_and_sorts_as_before():
    column = c.Column("x", "Change", "number", sign=True, source="to")
    frame = pd.DataFrame({"x": [0.5, np.nan], "to": ["a.html#genes", "b.html#genes"]})
    rows = str(c.table(frame, [column], caption="c", name="n")).split("<tbody>")[1]
    cell = '<a class="from" href="a.html#genes" aria-label="+0.50: Change">+0.50</a>'
    assert f'<td class="num" data-v="0.5">{cell}</td>' in rows
    assert f'<td class="num">{c.MISSING}</td>' in rows and "b.html" not in rows


def test_tables_that_stack_name_every_cell():
    frame = pd.DataFrame({"x": [Markup("<b>a</b>"), ""], "n": [1.0, np.nan]})
    columns = [c.Column("x", "What & where"), c.Column("n", "Number", "count")]
    text = str(c.table(frame, columns, caption="c", name="n", stacked=True))
    cells = re.findall(r"<td (.*?)>", text)
    assert [" data-blank" in cell for cell in cells] == [False, False, True, True]
    assert all(cell.startswith('role="cell" data-head="') for cell in cells)
    assert text.count('data-head="What &amp; where"') == 2
    assert text.count('role="row"') == 3 and text.count('role="columnheader"') == 2
    plain = str(c.table(frame, columns, caption="c", name="n"))
    assert 'role="row"' not in plain and "data-head" not in plain


def test_pages_are_accessible_as_far_as_html_tells(pages):
    for path, parsed in pages.items():
        found = Counter(a["id"] for _, a in parsed.tags if "id" in a)
        assert max(found.values()) == 1, path
        tags = Counter(t for t, _ in parsed.tags)
        assert tags["h1"] == tags["main"] == tags["nav"] == tags["header"] == tags["footer"] == 1
        assert all(len(a.get("alt", "")) > 20 for a in parsed.all("img")), path
        labelled = {a.get("for") for a in parsed.all("label")}
        assert all(a.get("id") in labelled for a in parsed.all("input"))
        assert all("scope" in a for a in parsed.all("th"))
        assert tags["table"] == tags["caption"]
        levels = [int(t[1]) for t, _ in parsed.tags if re.fullmatch("h[1-6]", t)]
        assert all(b - a <= 1 for a, b in pairwise(levels)), path
        assert parsed.tags[0] == ("html", parsed.tags[0][1]) and parsed.tags[0][1]["lang"] == "en"
        assert any(a.get("href") == "#main" for a in parsed.all("a"))


def test_index_answers_first(pages, data):
    text = pages["index.html"].text
    heads = (
        "7 claims from two reviews",
        "Every comparison",
        "Studies that took part",
        "What was left out",
    )
    order = [text.index(w) for w in heads]
    assert order == sorted(order)
    assert "ALS v healthy GSE000001" in text and "22 v 10 donors" in text
    assert "MYOD1 and MYOG rise with denervation" in text
    assert "▲ confounded: batch" in text and "fat biopsy: 80 % adipose reads" in text
    first = data.studies[0].contrasts[0].programmes.iloc[0]
    low, high = (c.number(first[key], sign=True) for key in ("ci_low", "ci_high"))
    assert f"{c.number(first['effect'], sign=True)} {low} to {high}" in text


def test_contrast_page_says_it_plainly(pages):
    text = pages["contrasts/gse000001.als_v_healthy.html"].text
    assert "ALS (22 donors) against healthy (10 donors)" in text
    assert "PyDESeq2 0.5.4 (adjusted for sex" in text
    assert "500 of 700 rows, smallest p first" in text
    assert "Oxidative phosphorylation" in text
    doubtful = pages["contrasts/gse000001.late_v_early.html"].text
    assert "Confounded with batch" in doubtful and "Not computed: pathway analysis" in doubtful
    assert "Adjusted p" not in doubtful.split("Programme effects, Late")[1].split("Genes")[0]


def test_embedded_rows_follow_the_setting(site, data):
    item = data.studies[0]
    few = m.ReportData(studies=[item], top=20)
    text = Parsed(contrast.page(site, few, item, item.contrasts[0], ())).text
    assert "20 of 700 rows, smallest p first" in text


def test_all_blocks_stand_under_their_programme_with_one_caveat(pages):
    text = pages["contrasts/gse000001.als_v_healthy.html"].text
    folded = text.split("All 8 blocks of genes, by programme")[1].split("Genes", 2)[0:2]
    assert " ".join(folded).count("In bulk muscle MYOD1 and MYOG rise") == 1


def test_study_page_shows_raw_and_harmonised_values_and_flags(pages):
    text = pages["studies/gse000001.html"].text
    assert "Material needle biopsy" in text
    assert "as deposited: characteristics" in text and "diagnosis: ALS" in text
    assert "library size 1.4 million < 5 million" in text
    assert "2 of 32 samples flagged" in text
    assert "fat biopsy" in text and "Only FPKM" not in text


def test_dates_stand_on_the_provenance_page_only(pages):
    for path, parsed in pages.items():
        assert ("2026-11-01T10:00:00Z" in parsed.text) == (path == "provenance.html")
        # and the commit also where the page says how to cite
        assert ("0123abc" in parsed.text) == (path in {"provenance.html", "methods.html"})


def test_equal_tables_give_equal_bytes(files):
    again = build.build(fx.templates(), fx.whole(2, n_genes=700))
    assert again.keys() == files.keys()
    assert [k for k in files if files[k] != again[k]] == []


def test_figures_drawn_elsewhere_are_linked_but_not_returned(files, data):
    drawn = {k for k in files if k.startswith(("figures/", "assets/data/figure-"))}
    rest = build.build(fx.templates(), data, drawn)
    assert rest == {k: v for k, v in files.items() if k not in drawn}
    first = "studies/gse000001.html"
    bare = build.build(fx.templates(), fx.report(1, 60), ())
    assert Parsed(files[first]).all("img") and not Parsed(bare[first]).all("img")


def test_pages_and_figures_are_the_same_however_many_processes_make_them(files, data):
    with build._parts(fx.templates(), data, None, threads=2) as made:
        parts = list(made)
    made = {path: content for part, _ in parts for path, content in part.items()}
    assert len(made) > 20 and {path: files[path] for path in made} == made
    assert [len(genes) for _, genes in parts].count(1) == len(list(data.contrasts()))


def test_bare_study_still_makes_every_page():
    bare = m.StudyData(
        card={"id": "x"},
        contrasts=(m.ContrastData(meta={"id": "k", "target": "a", "reference": "b"}),),
    )
    files = build.build(fx.templates(), m.ReportData(studies=[bare]))
    text = Parsed(files["contrasts/x.k.html"]).text
    assert text.count("Not computed:") >= 4
    assert "Not computed: sample quality" in Parsed(files["studies/x.html"]).text
    assert "Not computed: the data lock" in Parsed(files["provenance.html"]).text
    assert Parsed(build.build(fx.templates(), m.ReportData(studies=[]))["index.html"])


def test_ids_that_look_alike_have_pages_of_their_own_and_equal_ones_are_refused():
    ids = ["a b", "a-b", "a/b", "a  b", "../b", "b", "x" * 300, "x" * 301, "a.b", "é", "e"]
    paths = [m.study_path(m.StudyData(card={"id": name})) for name in ids]
    assert len(set(paths)) == len(ids)
    assert all(re.fullmatch(r"studies/[A-Za-z0-9_-]{1,110}\.html", path) for path in paths)
    twice = [m.StudyData(card={"id": "a b"}), m.StudyData(card={"id": "a b"})]
    with pytest.raises(InputError, match="two entries would write studies/a-b-"):
        build.build(fx.templates(), m.ReportData(studies=twice))


def test_a_gene_id_with_a_comma_breaks_no_shard():
    data = fx.report(1, 60)
    genes = ["HLA-A,HLA-B", 'x","y', "__proto__", "ENSG1", "a:b}{", "\u2028"]
    measured = [(genes, genes, ["1,0.5,0.1,0.2"] * len(genes)) for _ in data.contrasts()]
    site = Site(fx.templates(), "x")
    found: dict[str, list] = {}
    for path, text in gene.scripts(site, data, measured).items():
        if "gene-" in path:
            found |= json.loads(text.partition(",")[2].removesuffix(");\n"))
    assert all(found[name][0] == name for name in genes)


def test_cell_types_are_never_mixed_on_a_page(data):
    de = data.studies[0].contrasts[0].de
    mixed = de.assign(cell_type=["a", "b"] * (len(de) // 2))
    item = m.StudyData(
        card={"id": "s"},
        contrasts=(m.ContrastData(meta={"id": "k", "target": "a", "reference": "b"}, de=mixed),),
    )
    with pytest.raises(InputError, match="several cell types"):
        build.build(fx.templates(), m.ReportData(studies=[item]), ())


def test_missing_template_is_named():
    templates = fx.templates()
    del templates["app.js"]
    with pytest.raises(InputError, match=re.escape("app.js")):
        build.build(templates, m.ReportData(studies=[]))


# ---- data scripts -------------------------------------------------------------------------------


def payload(text: str) -> tuple[str, object]:
    found = re.fullmatch(r"alsmuscle\.receive\((.*)\);\n", text, re.DOTALL)
    name, rest = json.JSONDecoder().raw_decode(found[1])
    return name, json.loads(found[1][rest + 1 :])


def test_gene_scripts_hold_every_gene_where_the_page_looks(files, data):
    de = data.studies[0].contrasts[0].de
    row = de[de["symbol"] == "CHRNA1"].iloc[0]
    name, genes = payload(files[f"assets/data/gene-{gene.bucket(row['gene_id'])}.js"])
    assert name == f"gene-{gene.bucket(row['gene_id'])}"
    symbol, organism, records, pooled, twin = genes[row["gene_id"]]
    assert (symbol, organism, len(records)) == ("CHRNA1", "human", 4)
    assert pooled == [[0, "human", "muscle", 3, 0.5, 0.2, 0.8, 0.02]]
    assert twin == "ENSMUSG00000000002"
    place, effect, half, _, padj = records[0]
    assert place == 0
    assert effect == pytest.approx(row["log2fc"], rel=5e-3)
    assert half == pytest.approx(1.959964 * row["lfc_se"], rel=5e-3)
    assert padj == pytest.approx(row["padj"], rel=5e-3)
    total = sum(len(payload(files[f"assets/data/gene-{i}.js"])[1]) for i in range(gene.BUCKETS))
    assert total == 1400


def test_ends_of_an_interval_round_alike_from_its_half_and_from_the_pooled_row():
    effect, half, low, high = 4.56477, 0.320890, 4.24388, 4.88566
    of, by = gene._cells(np.array([[effect, half, 1e-8]]), 2)[0].split(",")[:2]
    pooled = gene._cells(np.array([[1, effect, low, high, 0.01]]), 4)[0].split(",")
    assert f"{float(of) + float(by):.2f}" == f"{float(pooled[3]):.2f}" == f"{high:.2f}"
    assert f"{float(of) - float(by):.2f}" == f"{float(pooled[2]):.2f}" == f"{low:.2f}"


def test_gene_page_holds_what_lists_call(files, data, site):
    lists = fx.with_lists(data)
    page = Parsed(gene.page(site, lists))
    spec = next(json.loads(text) for tag, text in page.scripts if tag.get("id") == "gene-spec")
    first = spec["lists"][0]  # ALS first, whatever the order of the table
    assert (first["study"], first["label"]) == ("GSE900001", "ALS against normal")
    assert (first["sizes"], first["href"]) == ("9 v 18", "calls.html")
    assert first["threshold"] == "|log2 fold change| of 1.1 or more"
    made = gene.scripts(site, lists)

    def entry(made, name):
        return payload(made[f"assets/data/gene-{gene.bucket(name)}.js"])[1][name]

    known, alone = "ENSG00000000000", "ENSG99999999999"
    assert entry(made, known)[5] == [[0, -1, -2.25, 0.00012], [1, 1, 1.5, 0.002]]
    # What was measured and pooled is as it is without lists.
    assert entry(made, known)[:5] == entry(files, known)
    assert entry(made, alone) == ["ONLYLIST", "human", [], [], None, [[0, 1, None, None]]]
    _, found = payload(made["assets/data/search.js"])
    assert f"ONLYLIST\t{alone}\thuman" in found["genes"].split("\n")


def test_a_claim_that_a_list_decides_shows_what_the_list_calls(data, site):
    lists = fx.with_lists(data)
    entry = lists.synthesis.document["claims"][0]
    table = lists.synthesis.claims.copy()
    first = table.index[table["claim"] == entry["id"]][0]
    values = {"target": "MYOGENIC_DIFF/mrf", "grade": "called genes", "studies": "lists1/als"}
    table.loc[first, [*values, "effect", "k"]] = [*values.values(), np.nan, 0]
    text = Parsed(
        claim.page(
            site, lists, replace(lists.synthesis, claims=table.astype({"k": "Int64"})), entry
        )
    ).text
    assert "2 up, 0 down of 4 genes" in text and "called, no effect" in text
    assert "9 v 18 donors" in text
    only = table[(table.index == first) | (table["claim"] != entry["id"])]
    overall = lists.synthesis.overall.copy()
    overall.loc[overall["claim"] == entry["id"], "verdict"] = SUGGESTED
    made = replace(lists.synthesis, claims=only, overall=overall)
    lines = [x for group in claims.summary(lists, made)["groups"] for x in group["lines"]]
    (line,) = (x for x in lines if x["id"] == entry["id"])
    assert (line["plot"], line["estimate"]) == ("", "2 up, 0 down of 4 genes")
    # The stripped block and the other list are no part of it, nor is a test that effects decide.
    assert calls.of_test(lists, table.loc[first])[0].contrast == "als"
    assert len(calls.of_test(lists, table.loc[first])) == 1
    assert calls.of_test(lists, table.loc[first].replace("called genes", "one study")) == []


def test_tests_of_one_measure_in_one_place_tell_what_they_ask(data, site):
    entry = data.synthesis.document["claims"][0]
    table = data.synthesis.claims.copy()
    first = table.index[table["claim"] == entry["id"]][0]
    assert "what is beyond denervation" not in claim.page(site, data, data.synthesis, entry)
    table.loc[first, "question"] = "beyond_denervation"
    text = Parsed(claim.page(site, data, replace(data.synthesis, claims=table), entry)).text
    assert text.count("what is beyond denervation; ") == 1


def test_a_claim_whose_sentence_needs_a_test_without_data_says_which(data, site):
    entry, table = data.synthesis.document["claims"][0], data.synthesis.claims.copy()
    own = table["claim"] == entry["id"]
    table.loc[own & (table["part"] == "primary"), "verdict"] = DENERVATION
    needed = table[own & (table["part"] == "secondary")].head(1)
    needed = needed.assign(test="second", target="FUSION/fusogens", context="biopsy")
    table = pd.concat([table, needed.assign(part="necessary")], ignore_index=True)
    held = replace(data.synthesis, claims=table, overall=changes.overall(table))
    first = Parsed(index.page(site, replace(data, synthesis=held))).text
    rest = first.split("3 claims without enough data")[1]
    assert "FUSION (fusogens), which the sentence needs: no study of this kind in this run" in rest
    text = Parsed(claim.page(site, data, held, entry)).text
    answer = text.split("In one sentence")[1].split("Needed for the claim, but without data")[0]
    assert "but the sentence also needs FUSION (fusogens) in " in answer
    assert "FUSION/fusogens" not in answer and "? not enough data" in text.split("In one")[0]


def test_what_is_in_doubt_about_the_study_behind_a_verdict_stands_beside_it(data):
    study, contrast = next(iter(data.contrasts()))
    marked = replace(contrast, meta=contrast.meta | {"marks": [("technical", "control probes")]})
    whole = replace(data, studies=[replace(study, contrasts=[marked])])
    name = f"{study.card['id']}/{contrast.meta['id']}"
    row = pd.Series({"grade": "one study", "k": 1, "studies": name})
    patients = pd.Series({"basis": "patients"})
    assert claims._grade(whole, row, patients) == "patients: 1 study, processed apart"
    assert claims._grade(whole, row.replace(name, "x/y"), patients) == "patients: 1 study"


def test_specificity_shows_genes_called_in_als_in_other_diseases(data, site):
    lists = fx.with_lists(data)
    text = specificity.page(site, lists, lists.synthesis)
    rows = [
        cells for cells in re.findall(r"<tr[^>]*>(.*?)</tr>", text, re.DOTALL) if "MYOG" in cells
    ]
    shared = next(cells for cells in rows if "gene.html#ENSG00000000000" in cells)
    assert shared.index("↓ 2.2") < shared.index("↑ 1.5")  # ALS first, then the other disease
    assert "ONLYLIST" in text and "Genes called in ALS muscle, in other diseases" in text
    assert "in other diseases" not in specificity.page(site, data, data.synthesis)


def test_names_in_lists_cannot_close_a_script(data, site):
    lists = fx.with_lists(data)
    called = lists.synthesis.called_genes.assign(symbol=fx.HOSTILE, threshold=fx.HOSTILE)
    called.loc[2, "gene_id"] = fx.HOSTILE
    lists = replace(lists, synthesis=replace(lists.synthesis, called_genes=called))
    assert fx.HOSTILE not in gene.page(site, lists)
    name = f"assets/data/gene-{gene.bucket(fx.HOSTILE)}.js"
    text = gene.scripts(site, lists)[name]
    assert "<" not in text
    assert payload(text)[1][fx.HOSTILE][0] == fx.HOSTILE


def test_plot_script_matches_the_table(files, data):
    de = data.studies[0].contrasts[0].de
    _, columns = payload(files["assets/data/genes-gse000001.als_v_healthy.js"])
    assert {len(v) for v in columns.values()} == {len(de)}
    called = estimates.calls(de, 0.05)
    counts = [columns["group"].count(i) for i in range(4)]
    assert counts[2:] == [called["up"], called["down"]]
    assert counts[:2] == [called["left_out"], called["tested"] - called["called"]]
    for height, padj in zip(columns["nlp"], columns["padj"], strict=True):
        assert (height is None) == (padj is None)  # a volcano shows what was tested
    assert columns["log2fc"] == [round(v, 3) for v in de["log2fc"]]


def test_search_knows_genes_studies_programmes_and_words(files):
    _, found = payload(files["assets/data/search.js"])
    lines = found["genes"].split("\n")
    assert "MYOG\tENSG00000000000\thuman\tOLD-MYOG;MYF4" in lines  # former symbols, aliases
    assert "CHRNA1\tENSG00000000002\thuman" in lines
    assert ["CD56", "NCAM1", "gene"] in found["names"]
    kinds = Counter(entry[1] for entry in found["pages"])
    assert kinds["study"] == 4 and kinds["comparison"] == 9 and kinds["programme"] == 8
    assert kinds["claim"] == 7
    claim = ["C1: Statement number 1 about muscle in ALS.", "claim", "claims/C1.html"]
    assert any(entry[:3] == claim and "denervation" in entry[3] for entry in found["pages"])
    assert all(entry[2].partition("#")[0] in files for entry in found["pages"])


def test_the_report_says_how_it_is_cited_itself(pages, data):
    assert f"no DOI of its own: its title is “{data.title}”" in pages["methods.html"].text


def test_parameters_are_flattened():
    tree = {"de": {"alpha": 0.05, "adjust": ["sex", "age"]}, "x": None, "y": []}
    assert list(about.flatten(tree)) == [
        ("de.alpha", "0.05"),
        ("de.adjust", "sex, age"),
        ("x", "(none)"),
        ("y", "(empty)"),
    ]


# ---- hostile metadata ---------------------------------------------------------------------------


def hostile() -> m.ReportData:
    return fx.hostile(n_genes=60)


def test_hostile_metadata_stays_text(pages):
    files = build.build(fx.templates(), hostile())
    allowed = {tag for page in pages.values() for tag, _ in page.tags}
    shown = 0
    for path, text in files.items():
        if path.endswith(".html"):
            parsed = Parsed(text)
            assert {t for t, _ in parsed.tags} <= allowed, path
            assert len([a for a, _ in parsed.scripts if "type" not in a]) == 1
            for _, attributes in parsed.tags:
                assert not [k for k in attributes if k.startswith("on")]
                assert not attributes.get("href", "").lower().lstrip().startswith("javascript")
            shown += parsed.text.count("window.pwned")
        elif path.endswith(".js"):
            code = path.removeprefix("assets/")
            if code in fx.templates():  # without a word from data
                assert text == fx.templates()[code]
                continue
            body = text.removeprefix("alsmuscle.receive(")
            assert not set("<>&") & set(body), path
            payload(text)
        elif path.endswith(".svg"):
            assert b"<script" not in text and b"<img" not in text
        elif path.endswith(".tsv"):
            for row in csv.reader(
                text.decode().splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE
            ):
                assert not [x for x in row if re.match(r"[=@]|[+-](?![\d.])", x)]
    assert shown > 10, "the hostile text must be on the pages, as text"
    assert not [p for p in files if ".." in p or re.search(r"[^A-Za-z0-9_./-]", p)]


def test_markup_is_the_only_way_past_escaping():
    assert "<b>" not in c.callout("note", "t", "<b>x</b>")
    assert "<b>" in c.callout("note", "t", Markup("<b>x</b>"))


def test_programme_page_lists_its_genes(pages):
    text = pages["programmes/MYOGENIC_DIFF.html"].text
    assert "MYO0" in text and "22 v 10 donors" in text and "In bulk muscle MYOD1" in text
    assert programme.GENE_COLUMNS


def test_pathways_show_effect_and_the_test_on_samples_first(pages):
    text = pages["contrasts/gse000001.als_v_healthy.html"].text
    table = text.split("Pathways, ALS v healthy")[1]
    heads = ["Effect (log2)", "95 % from", "Adjusted p", "p (camera)", "NES (descriptive)"]
    places = [table.index(h) for h in heads]
    assert places == sorted(places)
    assert "2 rows, smallest p first; 1 further set folded under one with" in table
    # The folded set stands in the row of the one that represents it, with its own interval.
    row = table.split("Oxidative phosphorylation")[1].split("Inflammatory response")[0]
    assert "1 set:" in row
    assert "Myogenesis: −0.50 (−0.70 to −0.30)" in row
    assert "0.003" in row and "−2.10" in row


def test_too_few_donors_take_every_p_from_the_pathways(site, data):
    item = data.studies[0]
    small = replace(item.contrasts[1], sets=fx.sets(), gsea=item.contrasts[0].gsea)
    text = Parsed(contrast.page(site, data, item, small, ())).text
    table = text.split("Pathways, Late")[1]
    assert "largest effect first" in table and "NES" in table
    assert "Adjusted p" not in table and "camera" not in table


def test_a_ranking_alone_is_called_a_description(site, data):
    item = data.studies[0]
    published = replace(item.contrasts[0], sets=None)
    text = Parsed(contrast.page(site, data, item, published, ())).text
    assert "Read the table as a description" in text
    assert "p, genes as independent" in text.split("Pathways, ALS v healthy")[1]


def test_no_collection_is_said(site, data):
    item = data.studies[0]
    none = replace(item.contrasts[0], sets=fx.sets().head(0))
    text = Parsed(contrast.page(site, data, item, none, ())).text
    assert "no collection of gene sets is configured" in text


def test_programme_page_shows_what_drives_each_block(pages, data):
    text = pages["programmes/MYOGENIC_DIFF.html"].text
    table = text.split("Genes that carry Myogenic regulators (mrf)")[1].split("contribution first")[
        0
    ]
    first = data.studies[0].contrasts[0].drivers
    symbols = first["symbol"].tolist()
    places = [table.index(s) for s in symbols[:5]]
    assert places == sorted(places)
    assert "25 %" in table  # 0.7 of 2.8
    assert "10 rows" in table  # five of each study's seven
    assert "What drives it" not in pages["programmes/PROLIFERATION.html"].text


def test_programme_page_counts_what_lists_call(data, site):
    lists = fx.with_lists(data)
    times = over_time.points(lists)
    made = dict(programme.pages(site, lists, times))
    table = Parsed(made["programmes/MYOGENIC_DIFF.html"]).text.split(
        "Genes of the programme that published lists call"
    )[1]
    als, dmd = table.index("GSE900001: ALS against"), table.index("GSE900001: Duchenne")
    assert als < dmd
    # 2 of 4 measured genes called up, where 50 of 1000 genes give 0.2; none down, of 20.
    assert "9 v 18" in table[als:dmd] and "4 of 8 2 (0.2)" in table[als:dmd]
    assert "0 (0.1)" in table[als:dmd] and "↑ MYF5, MYF6" in table[als:dmd]
    assert "0.014" in table[als:dmd]
    assert "too few" not in table[als:dmd] and "too few of its genes measured" in table[dmd:]
    assert table.count("4 of 8") == 2  # the stripped versions are left out
    assert "published lists call" not in made["programmes/PROLIFERATION.html"]


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({}, True),
        ({"padj_up": 0.2}, False),  # as many genes are called by chance
        ({"usable": False}, False),  # too few of the signature's genes are measured
    ],
)
def test_the_first_page_calls_muscle_denervated_only_where_its_list_does(data, change, shown):
    lists = fx.with_lists(data)
    table = lists.synthesis.called_blocks.assign(programme="DENERVATION", block="tier1_up")
    table = table.assign(**change)
    lists = replace(lists, synthesis=replace(lists.synthesis, called_blocks=table))
    (sentence,) = calls.first_page(lists)
    assert str(sentence).startswith("ALS muscle looks denervated") == shown
    assert ("does not show" in sentence) == (not shown)
    assert "2 of 4 measured genes" in sentence and "chance gives 0.2" in sentence


def test_the_first_page_draws_no_block_of_which_few_genes_are_measured(data, site):
    study, *others = data.studies
    own = study.contrasts[0]

    def silent(mapped: int, words: str) -> int:
        changed = replace(own, programmes=own.programmes.assign(n_mapped=mapped, n_genes=10))
        one = replace(study, contrasts=[changed])
        text = index.page(site, replace(data, studies=[one, *others]))
        rows = re.findall(r"<tr[^>]*>.*?</tr>", text, re.DOTALL)
        line = next(line for line in rows if m.contrast_path(study, own) in line)
        return line.count(f'<td class="num instead">{words}</td>')

    assert silent(10, "10 of 10 genes measured") == 0
    assert silent(2, "2 of 10 genes measured") == len(data.headline) > 0
    assert silent(0, "not measured") == len(data.headline)


def test_a_block_of_which_few_genes_are_measured_has_no_effect_on_any_page(data, site):
    study, *others = data.studies
    own = study.contrasts[0]
    few = replace(own, programmes=own.programmes.assign(n_mapped=7, n_genes=26))
    changed = replace(data, studies=[replace(study, contrasts=[few]), *others])
    rows = estimates.effects(few.programmes, changed)
    assert set(rows["instead"]) == {"7 of 26 genes measured"}
    assert rows.filter(regex="^(alt_)?(effect|ci_|padj|pvalue|null_)").isna().all(axis=None)
    of = m.contrast_path(study, own)
    page = contrast.page(site, changed, changed.studies[0], few, ())
    programmes = re.search(r'id="programmes">.*?</section>', page, re.DOTALL)[0]
    assert "7 of 26 genes measured" in programmes
    assert not re.search(r'class="(dot|ci|null)\b', programmes)
    found = Parsed(page).text
    assert "Too few genes measured" in found and "Not measured" not in found
    texts = dict(programme.pages(site, changed, over_time.points(changed)))
    texts |= {"programmes.html": programme.overview(site, changed)}
    if changed.synthesis is not None:
        for entry in changed.synthesis.document["claims"]:
            path = m.claim_path(entry["id"])
            texts[path] = claim.page(site, changed, changed.synthesis, entry)
    seen = 0
    for path, text in texts.items():
        for line in re.findall(r"<tr[^>]*>.*?</tr>", text, re.DOTALL):
            if f'{of}"' in line and "plot-cell" in line:  # not single genes
                few_genes = "7 of 26 genes measured" in line
                if path.startswith("claims/") and not few_genes:
                    continue  # a single gene or a ratio is measured or not
                seen += path.startswith("claims/")
                assert few_genes, path
                assert not re.search(r'class="(dot|ci)\b', line), path
    assert seen
    assert "7 of 26 genes measured" in texts["programmes.html"]


def test_caveats_of_a_list_and_of_a_study_stand_where_their_numbers_do(data, site):
    lists = fx.with_lists(data)
    warning = "These arrays look like <a batch> of their own."
    card = {**lists.studies[-1].card, "caveats": [warning]}
    lists = replace(lists, studies=[*lists.studies[:-1], replace(lists.studies[-1], card=card)])
    table = lists.synthesis.called_blocks.assign(programme="DENERVATION", block="tier1_up")
    lists = replace(lists, synthesis=replace(lists.synthesis, called_blocks=table))
    for text in (index.page(site, lists), calls.page(site, lists, lists.synthesis)):
        assert warning in Parsed(text).text and warning not in text
    study = data.studies[0]
    own = study.contrasts[0]
    own = replace(own, meta={**own.meta, "study_caveats": [warning]})
    text = contrast.page(site, data, study, own, ())
    assert warning in Parsed(text).text and warning not in text


def test_overview_tells_which_listed_genes_are_unknown(pages):
    text = pages["programmes.html"].text.split("Genes found", 1)[1]
    assert "Vamp7" in text and "Naip1, Naip5" in text


# ---- claims, time -------------------------------------------------------------------------------


def test_index_counts_every_verdict_and_draws_each_decided_claim(pages):
    text = pages["index.html"].text
    tally = text.split("7 claims from two reviews", 1)[1].split("The verdicts rest on")[0]
    assert [int(n) for n in re.findall(r"(?<!\S)\d+(?!\S)", tally)] == [1, 0, 1, 0, 1, 1, 1, 0, 2]
    decided = text.split("The verdicts rest on")[1].split("2 claims without enough data")[0]
    assert "+0.80 (+0.50 to +1.10)" in decided and "Tests: 1 supported." in decided
    assert decided.count("Statement number") == 5
    rest = text.split("2 claims without enough data")[1].split("Every comparison")[0]
    assert rest.count("Statement number") == 2
    assert "no study of this kind in this run" in rest
    assert "+0.10 (−0.20 to +0.40), 3 studies" in rest and "0.42" in rest


def test_donors_behind_the_verdicts_are_counted_once(pages):
    # two studies of 22 v 10, the same donors in their second comparison; one mouse study
    assert "5 comparisons of ALS with controls from 3 studies" in pages["index.html"].text
    assert "(66 with ALS against 30)" in pages["index.html"].text


def test_without_als_data_the_index_says_so_before_anything_else(data):
    whole = data.synthesis
    none = replace(
        whole,
        contrasts=whole.contrasts[~whole.contrasts["role"].str.startswith("als_")],
        overall=whole.overall.assign(verdict="not enough data"),
    )
    found = claims.summary(data, none)
    assert found["basis"].startswith("This run holds no ALS muscle")
    assert found["groups"] == [] and found["n_open"] == 7


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("no data: no study of this kind is in this run", "no study of this kind in this run"),
        ("no eligible data: x/y: confounded", "no comparison that may be pooled"),
        ("one independent study, fewer than the 3 that a verdict needs", "too few studies"),
        ("bulk tissue cannot decide a claim about satellite cells", "bulk tissue cannot decide it"),
        ("effect +0.1 (-0.2 to +0.4, k = 3): too uncertain", "too uncertain"),
    ],
)
def test_reasons_in_a_few_words(reason, words):
    assert claims.short_reason(reason) == words


def test_whole_muscle_comes_before_cell_types(data):
    same = {"key": "P/b", "stage": "", "species": "human", "stripped": False, "effect": 0.1}
    rows = [
        {**same, "role": role, "cell_type": cells, "k": k, "ci_low": 0.0, "ci_high": 0.2}
        for role, cells, k in (
            ("denervation", "muscle", 1),
            ("als_patient", "Adipocyte", 1),
            ("als_patient", "muscle", 5),
        )
    ]
    known = replace(data.synthesis, programmes=pd.DataFrame(rows))
    found = estimates.pooled_rows(known, "P/b")
    assert found["label"].tolist() == [
        "ALS, patients' muscle, human, 5 studies",
        "Denervation, human, 1 study",
        "ALS, patients' muscle, human, Adipocyte, 1 study",
    ]
    assert found["group"].tolist() == ["Whole muscle", "Whole muscle", "Cell types"]
    alone = replace(data.synthesis, programmes=pd.DataFrame(rows[::2]))
    assert "group" not in estimates.pooled_rows(alone, "P/b")


def test_donors_of_pooled_studies_add_up_only_where_all_are_known():
    sizes = [m.Groups(9, 8, "donors", paired=False), m.Groups(10, 9, "donors", paired=False)]
    assert claim._together(sizes) == m.Groups(19, 17, "donors", paired=False)
    assert claim._together([*sizes, m.Groups(4, 4, "samples", paired=False)]) is None
    assert claim._together([*sizes, m.Groups(4, None, "donors", paired=False)]) is None
    assert claim._together([]) is None


@pytest.mark.parametrize(
    ("change", "context", "said"),
    [
        (
            {},
            {"role": "als_patient"},
            "In 2 studies (19 patients, 17 controls) these genes were 1.62 times as high as in "
            "controls (95 % interval 1.19 to 2.22). ",
        ),
        (
            {"delta": -1.0, "delta_ci_low": -2.0, "delta_ci_high": 0.0, "target": "GENE/MYOG"},
            {"role": "als_model"},
            "In 2 studies (19 v 17 donors) this gene was 1.62 times as high as in controls (95 % "
            "interval 1.19 to 2.22), and 0.50 times as high as denervation alone would make it (95 "
            "% interval 0.25 to 1.00). ",
        ),
        (
            {"effect": np.nan, "verdict": "not enough data", "detectable_effect": 1.0},
            {"role": "als_patient"},
            "These data would have shown a change of 2.00 times or more. ",
        ),
        ({}, {"role": "als_patient", "tag": "sex_interaction"}, ""),
    ],
)
def test_an_estimate_is_said_as_times_with_studies_and_people(change, context, said):
    row = pd.Series(
        {
            **{"test": "t", "context": "x", "target": "MYOGENIC_DIFF/mrf", "verdict": "supported"},
            **{"k": 2, "grade": ""},
            **{"effect": 0.7, "ci_low": 0.25, "ci_high": 1.15, "detectable_effect": np.nan},
            **{"delta": np.nan, "delta_ci_low": np.nan, "delta_ci_high": np.nan},
        }
        | change
    )
    test = claim._Test(row, [], {})
    test.groups = lambda: m.Groups(19, 17, "donors", paired=False)
    synthesis = SimpleNamespace(document={"contexts": {"x": context}})
    assert claim.in_words(synthesis, test) == said


def test_pooled_rows_are_bars_with_the_range_of_a_new_study(files):
    text = files["claims/C1.html"]
    assert text.count('class="pool up"') == 1
    assert 'class="ci ci-new up"' in text and text.count(" data-pooled") == 2
    assert 'data-drawn="0.8,0.5,1.1;0.4,0,0.8" data-pooled' in text


@pytest.mark.parametrize(
    ("stage", "place"),
    [
        ("presymptomatic", 0),
        ("end", 3),
        ("day 3", 3),
        ("14 d", 14),
        ("2 weeks", 14),
        ("week 2", 14),
        ("12 hours", 0.5),
        ("", None),
        ("unknown", None),
    ],
)
def test_stages_have_a_place_on_the_axis(stage, place):
    assert over_time.place(stage) == place


def test_time_points_come_in_order_with_their_study(data):
    frame = over_time.points(data)
    first = frame[(frame["programme"] == "DENERVATION") & (frame["role"] == "als_model")]
    assert first["stage"].tolist() == ["presymptomatic", "onset", "end"]
    assert first["study"].unique().tolist() == ["SOD1"]
    table = data.studies[2].contrasts[2].programmes
    expected = table[(table["programme"] == "DENERVATION") & ~table["stripped"]]["effect"]
    assert first["effect"].iloc[2] == expected.item()


def test_courses_speak_their_numbers(pages):
    drawn = [a for a in pages["time.html"].all("svg") if a.get("role") == "img"]
    assert len(drawn) == 12  # six programmes, two axes
    assert drawn[0]["aria-label"].startswith(
        "ALS models, by stage, log2 units. SOD1, presymptomatic: "
    )
    on_page = [a for a in pages["programmes/DENERVATION.html"].all("svg") if a.get("role") == "img"]
    assert len(on_page) == 2


def test_a_point_lies_where_its_value_says():
    text = str(
        plots.course(
            [{"name": "s", "points": [(0, 0.0, -0.5, 0.5), (1, 1.0, 0.5, 1.5)]}],
            ["a", "b"],
            title="t",
            span=(-1.0, 3.0),
        )
    )
    # from 186 at -1 to 14 at 3: 43 pixels per unit
    assert re.findall(r'cx="([\d.]+)%" cy="([\d.]+)"', text) == [
        ("13.00", "143.0"),
        ("95.00", "100.0"),
    ]


def test_summary_for_the_terminal_names_what_was_done_left_out_and_flagged(files):
    lines = files["summary.txt"].splitlines()
    assert lines[0] == "4 studies done: GSE000001, GSE000002, SOD1, DEN1"
    assert lines[1:4] == ["1 study left out", "  gse999999: no counts", "1 sample left out"]
    assert "4 samples flagged: GSE000001 2, GSE000002 2" in lines
    assert lines[-1].startswith("7 claims: 1 supported, 1 contradicted, 1 mixed")


def test_the_menu_holds_what_has_something_to_show(data):
    def menu(one: m.ReportData) -> list[str]:
        site = build._site(fx.templates(), one)
        return [href for href, _ in site._menu]

    synthesis = data.synthesis
    assert synthesis is not None
    moved = synthesis.changes.head(0)
    first = pd.DataFrame([dict.fromkeys(moved, "") | {"change": "first run"}])
    quiet = replace(data, synthesis=replace(synthesis, changes=moved))
    fresh = replace(data, synthesis=replace(synthesis, changes=first))
    other = replace(data, synthesis=replace(synthesis, changes=first.assign(change="verdict")))
    assert "changes.html" not in menu(quiet) and "changes.html" not in menu(fresh)
    assert "changes.html" in menu(other)
    one = [s for s in data.studies if s.card["id"] == "gse000001"]
    assert not over_time.has_courses(replace(data, studies=one))
    assert "time.html" not in menu(replace(data, studies=one))


def test_provenance_says_where_files_came_from(data, site):
    lock = pd.DataFrame(
        {
            "study": ["gse000001", "gse000002", "gse777777"],
            "url": [f"https://example.org/{i}" for i in range(3)],
            "sha256": ["0" * 64] * 3,
            "bytes": [1, 2, 3],
            "retrieved": ["2026-11-01T10:00:00Z"] * 3,
            "source": ["mirror", "network", "mirror"],
        }
    )
    lost = m.StudyData(card={"id": "gse777777", "accession": "GSE777777", "title": "Lost"})
    page = about.provenance(site, replace(data, lock=lock, left_out=[lost]))
    went_in, unused = (
        next(t for t in Tables(page).found if name in t["caption"])
        for name in ("every file that went in", "studies that were left out")
    )
    said = [[cell["text"] for cell in row["cells"]] for row in went_in["rows"][1:]]
    assert [row[2] for row in said] == ["a local copy (mirror), not that address", "that address"]
    assert [row["cells"][0]["text"] for row in unused["rows"][1:]] == ["GSE777777"]
