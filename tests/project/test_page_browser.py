"""The report in headless Chromium: opened from disk, network blocked, attacked.

axe-core (MPL-2.0, not part of this repository) is read from the file that the environment variable
ALSMUSCLE_AXE names.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import cells_fixture
import report_fixture as fx
from alsmuscle.report import build as report
from alsmuscle.stats import moderated_pooling
from by_config import meta_analysis

pytestmark = pytest.mark.verify

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATHWAY = "pathway.html#gse000001.als_v_healthy/hallmark/HALLMARK_MYOGENESIS"
PAGES = [
    "index.html",
    "studies/gse000001.html",
    "contrasts/gse000001.als_v_healthy.html",
    "contrasts/gse000001.late_v_early.html",
    "programmes.html",
    "programmes/MYOGENIC_DIFF.html",
    "gene.html#ENSG00000000002",
    "geneset.html#MYOG,CHRNA1",
    "shared.html",
    "pathways.html",
    PATHWAY,
    "claims/C1.html",
    "claims/C7.html",
    "specificity.html",
    "time.html",
    "changes.html",
    "methods.html",
    "provenance.html",
    "glossary.html",
    "studies/sim.html",
    "studies/visium.html",
    "contrasts/sim.als-Satellite-cell-quiescent-ea431c.html",
]
REPOOLED = "programmes/MYOGENIC_DIFF.html"
CONTRAST = "contrasts/gse000001.als_v_healthy.html"


def write(folder: Path, data: report.ReportData) -> Path:
    for path, content in report.build(fx.templates(), data).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def on_sections() -> report.StudyData:
    spots = cells_fixture.on_sections(cells_fixture.study("spots"))
    return replace(spots, card={**spots.card, "id": "visium", "accession": "Visium"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    # A space in the path: reports are opened from folders like that.
    data = fx.with_pathways(fx.whole(2, n_genes=3000))
    data = replace(
        data,
        studies=[*data.studies, cells_fixture.study(), on_sections()],
        headline=[*data.headline, ("SC_ACTIVATION", "activated_up")],
    )
    return write(tmp_path_factory.mktemp("the report"), data)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory) -> Path:
    data = fx.hostile(n_genes=200)
    data = replace(data, studies=[*data.studies, cells_fixture.hostile(fx.HOSTILE)])
    return write(tmp_path_factory.mktemp("attacked"), data)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("Chromium is not installed; `make verify` installs it")
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path, args=ARGS)
        yield found
        found.close()


class Watched:
    """A tab that remembers what must not happen: errors, and requests beyond the disk."""

    def __init__(self, context) -> None:
        self.tab = context.new_page()
        self.trouble: list[str] = []
        self.tab.on("pageerror", lambda e: self.trouble.append(f"error: {e}"))
        self.tab.on(
            "console",
            lambda m: self.trouble.append(m.text) if m.type in {"error", "warning"} else None,
        )
        self.tab.on("request", lambda r: self._request(r.url))

    def _request(self, url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            self.trouble.append(f"request: {url}")

    def go(self, folder: Path, path: str):
        where, _, mark = path.partition("#")
        self.tab.goto((folder / where).as_uri() + (f"#{mark}" if mark else ""))
        return self.tab

    def roll(self) -> None:
        """Scroll through the page, so that everything lazy wakes up."""
        self.tab.evaluate(
            "async () => { for (let y = 0; y < document.body.scrollHeight; y += 500) {"
            " scrollTo(0, y); await new Promise((r) => setTimeout(r, 40)); } scrollTo(0, 0); }"
        )


def until(tab, expression: str, argument: object = None) -> None:
    """Wait for an expression of the page; `wait_for_function` is stopped by the pages' policy."""
    for _ in range(300):
        if tab.evaluate(expression, argument):
            return
        tab.wait_for_timeout(100)
    pytest.fail(f"the page never came to: {expression}")


@pytest.fixture
def open_tab(browser) -> Iterator[Callable[..., Watched]]:
    contexts = []

    def make(width: int = 1280, **options) -> Watched:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        context.set_offline(True)
        contexts.append(context)
        return Watched(context)

    yield make
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_opens_from_disk_in_peace(folder, open_tab, width):
    watched = open_tab(width)
    for path in PAGES:
        tab = watched.go(folder, path)
        watched.roll()
        assert tab.locator("h1").is_visible()
        wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{path} scrolls sideways by {wide} px"
        plots = tab.locator(".figure:has(.plot-spec)")
        for i in range(plots.count()):
            plots.nth(i).scroll_into_view_if_needed()
            tab.wait_for_selector(f"#{plots.nth(i).get_attribute('id')}[data-ready]")
        broken = tab.evaluate(
            "[...document.images].filter((i) => !i.complete || !i.naturalWidth).map((i) => i.src)"
        )
        assert broken == [], path
    assert watched.trouble == []


@pytest.mark.parametrize("typed", ["chrna1", "ENSG00000000002"])
def test_search_finds_a_gene_and_its_page_draws_it(folder, open_tab, typed):
    watched = open_tab()
    tab = watched.go(folder, "studies/gse000001.html")
    tab.locator("#search").fill(typed)
    tab.wait_for_selector("#found a")
    assert "CHRNA1" in tab.locator("#found a").first.inner_text()
    tab.locator("#search").press("Enter")
    tab.wait_for_selector("table.gene")
    assert "CHRNA1" in tab.locator("#gene h2").inner_text()
    assert tab.locator("table.gene tbody tr:not(.group)").count() == 6
    assert tab.locator("table.gene").get_by_text("▲ confounded").count() == 2
    row = tab.locator("table.gene tbody tr:not(.group)").first
    values = fx.whole(2, n_genes=3000).studies[0].contrasts[0].de.iloc[2]
    assert f"{values['log2fc']:+.2f}".replace("-", "\u2212") in row.inner_text()
    assert watched.trouble == []


@pytest.mark.parametrize(
    ("typed", "symbol"),
    [("myogenin", "MYOG"), ("AChR", "CHRNA1"), ("CD56", "NCAM1"), ("old-myog", "MYOG")],
)
def test_search_knows_proteins_and_former_symbols(folder, open_tab, typed, symbol):
    watched = open_tab()
    tab = watched.go(folder, "index.html")
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.id") == "search"
    tab.keyboard.type(typed)
    tab.wait_for_selector("#found a")
    assert tab.locator("#found a").first.inner_text().startswith(symbol)
    assert watched.trouble == []


def test_search_knows_what_diseases_are_called(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "index.html")
    tab.locator("#search").fill("Lou Gehrig")
    tab.wait_for_selector("#found a")
    assert "ALS" in tab.locator("#found").inner_text()
    assert watched.trouble == []


def table_of(got) -> list[dict[str, str]]:
    lines = Path(got.value.path()).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(lines, delimiter="\t"))


def test_gene_page_draws_every_sample_and_gives_its_values(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "gene.html#MYOG")
    tab.wait_for_selector(".drawn svg")
    study = fx.whole(2, n_genes=3000).studies[0]
    figure = tab.locator(".drawn", has_text=study.name).first
    assert figure.locator("svg circle, svg path").count() == len(study.samples)
    assert "donor P00" in "".join(figure.locator("svg title").all_text_contents())
    assert "flagged: library size 1.4 million" in "".join(
        figure.locator("svg title").all_text_contents()
    )
    with tab.expect_download() as got:
        figure.get_by_role("button", name="data (TSV)").click()
    rows = table_of(got)
    unit = study.expression.unit
    assert [row["sample"] for row in rows] == study.samples["sample_id"].tolist()
    assert [float(row[unit]) for row in rows] == pytest.approx(
        study.expression.values[0].tolist(), abs=0.0101
    )
    assert {row["group"] for row in rows} == {"ALS", "healthy"}
    assert watched.trouble == []


def test_sets_of_genes_know_the_names_that_the_search_knows(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "geneset.html")
    tab.locator("#set-genes").fill("myogenin, OLD-MYOG")
    tab.locator("#set-draw").click()
    tab.wait_for_selector("#set-shown .drawn svg")
    assert "2 of 2 found" in tab.locator("#set-said").inner_text()
    assert tab.locator("#set-shown a", has_text="MYOG").count() >= 1
    assert watched.trouble == []


def test_a_gene_that_only_lists_hold_tells_what_they_say_of_als(open_tab, tmp_path):
    lists = write(tmp_path, fx.with_lists(fx.whole(1, n_genes=60)))
    page = open_tab().go(lists, "gene.html#ENSG99999999999")
    page.wait_for_selector("#gene table.called")
    said = page.locator("#gene > p strong").inner_text()
    assert said.startswith(
        "ALS muscle: a published list of GSE900001 calls it up (ALS against normal: 9 v 18 donors; "
        "no fold change stated)."
    )
    assert "not hold ONLYLIST" in said
    page = open_tab().go(lists, "geneset.html#ONLYLIST")
    page.wait_for_selector("#set-shown .drawn svg")
    heat = page.locator("#set-shown .drawn").first
    assert heat.locator("svg path").count() == 1  # the call; hatched where it is not measured
    says = " ".join(heat.locator("svg text").all_text_contents())
    assert "hatched: not measured;" in says and "dash: not called by it" in says
    assert "called up" in "".join(heat.locator("svg title").all_text_contents())
    page = open_tab().go(lists, "shared.html")
    page.wait_for_selector("#shared-shown table, #shared-shown .absent")
    page.locator("#shared-two").uncheck()
    row = page.locator("#shared-shown tbody tr", has_text="ONLYLIST")
    cells = row.locator("td.sign").all_inner_texts()
    assert cells.count("↑ called") == 1 and set(cells) == {"↑ called", ""}
    page = open_tab().go(lists, "calls.html")
    assert page.get_by_role("link", name="ONLYLIST").first.is_visible()


def test_any_genes_are_drawn_in_comparisons_and_samples(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "geneset.html")
    tab.locator("#set-genes").fill("MYOG, acetylcholine CHRNG\nENSG00000000002")
    tab.get_by_role("button", name="Draw").click()
    tab.wait_for_selector("#set-shown .drawn:nth-of-type(1) svg")
    assert tab.locator("#set-said").inner_text() == "3 of 4 found; not found: acetylcholine."
    heat = tab.locator("#set-shown .drawn").first
    with tab.expect_download() as got:
        heat.get_by_role("button", name="data (TSV)").click()
    rows = table_of(got)
    assert {row["gene"] for row in rows} == {"MYOG", "CHRNG", "CHRNA1"}
    table = fx.whole(2, n_genes=3000).studies[0].contrasts[0].de.set_index("symbol")["log2fc"]
    for row in rows:
        if row["study"] == "GSE000001" and row["comparison"] == "ALS v healthy":
            assert float(row["log2_fold_change"]) == pytest.approx(table[row["gene"]], rel=0.01)
    tab.locator("#set-study").select_option(index=1)
    tab.wait_for_selector("#set-shown .drawn:has-text('samples of GSE000002') svg")
    with tab.expect_download() as got:
        tab.locator("#set-shown .drawn").last.get_by_role("button", name="PNG").click()
    assert Path(got.value.path()).read_bytes().startswith(b"\x89PNG")
    assert watched.trouble == []


def test_a_programme_opens_its_genes(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "programmes/MYOGENIC_DIFF.html")
    tab.get_by_role("link", name="Its genes, one by one").first.click()
    tab.wait_for_selector("#set-said:has-text('found')")
    assert "MYO0" in tab.locator("#set-genes").input_value()
    assert watched.trouble == []


def test_search_finds_studies_and_works_by_keyboard(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "index.html")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.locator("#search").fill("biopsies GSE000002")
    tab.wait_for_selector("#found a")
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("document.activeElement.closest('#found') !== null")
    tab.keyboard.press("Escape")
    assert not tab.locator("#found").is_visible()
    tab.locator("#search").fill("nothing like this")
    until(tab, "document.getElementById('found-status').textContent === 'Nothing found'")
    assert watched.trouble == []


def column(tab, place: int) -> list[float]:
    return tab.eval_on_selector_all(
        ".table[data-name$=genes] tbody tr:not([hidden])",
        f"(rows) => rows.map((r) => Number(r.cells[{place}].dataset.v))",
    )


def test_tables_sort_filter_and_download(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, CONTRAST)
    box = tab.locator(".table[data-name$=genes]")
    head = box.locator("th button", has_text="Log2 fold change")
    head.click()
    assert column(tab, 1) == sorted(column(tab, 1)) and len(column(tab, 1)) == 500
    head.focus()
    tab.keyboard.press("Enter")
    assert column(tab, 1) == sorted(column(tab, 1), reverse=True)
    assert box.locator("th[aria-sort=descending]").count() == 1
    box.locator("input").fill("gene17")
    shown = box.locator("tbody tr:visible").count()
    assert 0 < shown < 500
    assert box.get_by_role("status").inner_text() == f"{shown} of 500 rows"
    with tab.expect_download() as got:
        box.get_by_role("button", name="download shown rows").click()
    lines = Path(got.value.path()).read_text(encoding="utf-8").splitlines()
    assert got.value.suggested_filename.endswith("genes.tsv")
    assert lines[0].split("\t")[:2] == ["Gene", "Log2 fold change"]
    assert len(lines) == shown + 1
    assert float(lines[1].split("\t")[1]) == column(tab, 1)[0]
    assert watched.trouble == []


def test_plots_zoom_mark_hover_and_save(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, CONTRAST)
    figure = tab.locator("#volcano")
    figure.scroll_into_view_if_needed()
    tab.wait_for_selector("#volcano[data-ready]")
    picture = "document.querySelector('#volcano canvas').toDataURL()"
    tab.wait_for_timeout(200)
    before = tab.evaluate(picture)
    figure.get_by_role("button", name="Zoom in").click()
    until(tab, f"(old) => {picture} !== old", before)
    figure.locator("canvas").focus()
    tab.keyboard.press("0")
    until(tab, f"(old) => {picture} === old", before)
    figure.locator("input").fill("MYOG, chrna1")
    tab.wait_for_selector("#volcano[data-marked='2']")
    assert "MYOG" in figure.get_by_role("status").inner_text()
    assert "log2 fold change" in figure.get_by_role("status").inner_text()
    size = figure.locator("canvas").bounding_box()
    tab.mouse.move(size["x"] + size["width"] / 2 + 10, size["y"] + size["height"] - 50)
    tab.wait_for_selector("#volcano .plot-tip:visible")
    assert "adjusted p" in figure.locator(".plot-tip").inner_text()
    with tab.expect_download() as got:
        figure.get_by_role("button", name="PNG").click()
    assert Path(got.value.path()).read_bytes().startswith(b"\x89PNG")
    assert watched.trouble == []


def test_search_finds_a_claim(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "index.html")
    tab.locator("#search").fill("statement number 3")
    tab.locator("#found a", has_text="C3").click()
    tab.wait_for_url("**/claims/C3.html")
    assert watched.trouble == []


def test_gene_page_pools_first_and_shows_both_species(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "gene.html#Chrna1")
    tab.wait_for_selector("table.forest")
    pooled, every = tab.locator("table.forest:not(.gene)"), tab.locator("table.gene")
    assert "ALS, patients' muscle, human" in pooled.inner_text()
    assert "+0.50 (+0.20 to +0.80)" in pooled.inner_text()
    assert "2 studies, too few for a verdict" in pooled.inner_text()
    assert every.locator("tbody tr:not(.group)").count() == 6
    assert "ENSG00000000002" in tab.locator("#gene h2").inner_text()
    assert watched.trouble == []


STILL = {
    "studies/gse000001.html": ("library", "correlation"),
    "studies/sim.html": ("umap-sample", "umap-programmes", "markers", "composition"),
}


@pytest.mark.parametrize("where", STILL)
def test_pictures_are_saved_in_every_form(folder, open_tab, where):
    watched = open_tab()
    tab = watched.go(folder, where)
    for name in STILL[where]:
        found = {}
        for kind in ("PDF", "PNG", "caption"):
            with tab.expect_download() as got:
                tab.locator(f"#{name}").get_by_role("button", name=kind, exact=True).click()
            found[kind] = Path(got.value.path()).read_bytes()
        link = tab.locator(f"#{name}").get_by_role("link", name="SVG", exact=True)
        drawing = ElementTree.parse((folder / where).parent / link.get_attribute("href")).getroot()
        width, height = (float(drawing.get(k).removesuffix("pt")) for k in ("width", "height"))
        # The same size on paper, and every word.
        assert f"/MediaBox [0 0 {width:g} {height:g}]".encode() in found["PDF"]
        words = ["".join(e.itertext()) for e in drawing.iter("{http://www.w3.org/2000/svg}text")]
        assert found["PDF"].count(b" Tj ET") == len(words) > 1
        plain = [w for w in words if w.isascii()]
        assert all(f"<{w.encode().hex()}>".encode() in found["PDF"] for w in plain)
        images = len(list(drawing.iter("{http://www.w3.org/2000/svg}image")))
        assert found["PDF"].count(b"/Subtype /Image") == images
        assert not re.search(rb"NaN|undefined|[0-9]e-[0-9]", found["PDF"].split(b"endstream")[0])
        pixels = [int.from_bytes(found["PNG"][at : at + 4], "big") for at in (16, 20)]
        assert pixels == pytest.approx([width / 72 * 300, height / 72 * 300], abs=5)
        assert b"pHYs" in found["PNG"] and b"alsmuscle" in found["caption"]
    assert watched.trouble == []


@pytest.mark.parametrize("where", ["claims/C1.html", "gene.html#ENSG00000000002"])
def test_forest_plots_download_as_picture_and_data(folder, open_tab, where):
    watched = open_tab()
    tab = watched.go(folder, where)
    tab.wait_for_selector("table.forest", state="attached")
    tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    found = {}
    for kind in ("SVG", "PDF", "PNG", "data (TSV)", "caption"):
        with tab.expect_download() as got:
            tab.get_by_role("button", name=kind, exact=True).first.click()
        found[kind] = Path(got.value.path()).read_bytes()
    assert found["PNG"].startswith(b"\x89PNG") and len(found["PNG"]) > 5000
    # 300 dots per inch, as its pHYs chunk says; a PDF with text as text; what stands below it in a
    # paper.
    at = found["PNG"].index(b"pHYs") + 4
    assert int.from_bytes(found["PNG"][at : at + 4], "big") == round(300 / 0.0254)
    assert found["PDF"].startswith(b"%PDF-1.4") and b"/BaseFont /Helvetica" in found["PDF"]
    assert found["PDF"].count(b" Tj ET") > 5
    assert b"alsmuscle" in found["caption"] and b"95 % intervals" in found["caption"]
    picture = ElementTree.fromstring(found["SVG"])
    words = " ".join(
        "".join(e.itertext()) for e in picture.iter("{http://www.w3.org/2000/svg}text")
    )
    table = list(csv.reader(found["data (TSV)"].decode().splitlines(), delimiter="\t"))
    assert table[0][3:6] == ["effect", "ci_low", "ci_high"]
    assert len(table) > 2 and all(len(row) == len(table[0]) for row in table)
    effect, low, high = (float(x) for x in table[1][3:6])
    assert low < effect < high
    assert f"{effect:+.2f} ({low:+.2f} to".replace("-", "\u2212") in words
    assert watched.trouble == []


@pytest.mark.parametrize(
    "where",
    ["index.html", "programmes.html", "studies/sim.html", "pathways.html", "specificity.html"],
)
def test_matrices_of_effects_download_as_picture_and_data(folder, open_tab, where):
    watched = open_tab(color_scheme="dark")
    tab = watched.go(folder, where)
    matrix = tab.locator("table.heatmap, table.effects").first
    bar = tab.locator(".scroll:has(> table.heatmap, > table.effects) + .downloads").first
    found = {}
    for kind in ("SVG", "PDF", "PNG", "data (TSV)", "caption"):
        with tab.expect_download() as got:
            bar.get_by_role("button", name=kind, exact=True).click()
        found[kind] = Path(got.value.path()).read_bytes()
    lines = found["data (TSV)"].decode().splitlines()
    table = [line.split("\t") for line in lines]
    assert len(table) - 1 == matrix.locator("tbody tr:not(.group)").count() > 0
    # Every number in a column of its own, an interval in two more.
    heads = [
        " ".join(text.split()).removesuffix(" ※")
        for text in matrix.locator("thead th").all_text_contents()
    ]
    assert [name for name in table[0] if name in heads] == heads
    assert {len(row) for row in table} == {len(table[0])}
    known = {name: i for i, name in enumerate(table[0])}
    ranged = [name for name in heads if f"{name}, ci_low" in known]
    has = "effects" in (matrix.get_attribute("class") or "") or where == "specificity.html"
    assert bool(ranged) == has
    numbers: list[float] = []
    for row in table[1:]:
        for name in heads[1:]:
            cell = row[known[name]]
            if name == "Donors" or not cell:
                continue
            value = float(cell)
            numbers.append(value)
            if name in ranged and row[known[f"{name}, ci_low"]]:
                low, high = (float(row[known[f"{name}, ci_{end}"]]) for end in ("low", "high"))
                assert low <= value <= high
    assert numbers and "\u2212" not in "".join(lines)
    assert found["PNG"].startswith(b"\x89PNG") and found["PDF"].startswith(b"%PDF")
    assert b"alsmuscle" in found["caption"]
    svg = "{http://www.w3.org/2000/svg}"
    picture = ElementTree.fromstring(found["SVG"])
    words = ["".join(e.itertext()) for e in picture.iter(f"{svg}text")]
    for number in numbers:
        assert f"{number:+.2f}".replace("-", "\u2212") in words
    # colours are those of paper, in a dark window too
    assert picture.find(f"{svg}rect").get("fill") == "#fff"
    coloured = matrix.locator("td.heat").count()
    assert len(picture.findall(f"{svg}rect")) == 1 + coloured
    assert len(picture.findall(f"{svg}circle")) == matrix.locator("circle.dot").count()
    assert watched.trouble == []


def test_a_pathway_opens_with_its_curve_and_its_genes(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, CONTRAST)
    box = tab.locator(".table[data-name$=pathways]")
    box.locator("summary").first.click()  # it folds under another set
    box.locator("a", has_text="Myogenesis").first.click()
    tab.wait_for_url(re.compile(r"/pathway\.html#"))
    tab.wait_for_selector("#pathway-shown .drawn svg")
    known = fx.with_pathways(fx.whole(2, n_genes=3000)).studies[0].contrasts[0]
    row = known.gsea.set_index("term").loc["HALLMARK_MYOGENESIS"]
    with tab.expect_download() as got:
        tab.locator("#pathway-shown .drawn").get_by_role("button", name="data (TSV)").click()
    table = table_of(got)
    assert len(table) == row["size"] == tab.locator("#pathway-shown tbody tr").count()
    leading = [line["gene"] for line in table if line["leads"]]
    assert leading == row["leading_edge"].split(";")
    assert f"{row['es']:+.2f}" in tab.locator("#pathway-shown").inner_text()
    change = known.de.set_index("symbol")["log2fc"]
    for line in table:
        assert float(line["log2_fold_change"]) == pytest.approx(change[line["gene"]], rel=1e-3)
    # another set, another comparison
    tab.locator("#pathway-term").fill("Oxidative phosphorylation")
    tab.locator("#pathway-term").press("Enter")
    tab.wait_for_selector("#pathway-shown h2:has-text('Oxidative')")
    tab.locator("#pathway-contrast").select_option(index=1)
    until(tab, "location.hash.startsWith('#gse000002')")
    assert "OXIDATIVE" in tab.evaluate("location.hash")
    assert watched.trouble == []


@pytest.mark.parametrize("where", ["time.html", "programmes/MYOGENIC_DIFF.html"])
def test_courses_download_as_picture_and_data(folder, open_tab, where):
    watched = open_tab()
    tab = watched.go(folder, where)
    bar = tab.locator(".course .downloads").first
    found = {}
    for kind in ("SVG", "PNG", "data (TSV)"):
        with tab.expect_download() as got:
            bar.get_by_role("button", name=kind, exact=True).click()
        found[kind] = Path(got.value.path()).read_bytes()
    assert found["PNG"].startswith(b"\x89PNG") and len(found["PNG"]) > 5000
    table = list(csv.reader(found["data (TSV)"].decode().splitlines(), delimiter="\t"))
    assert table[0] == ["study", "time", "effect", "ci_low", "ci_high"]
    points = ElementTree.fromstring(found["SVG"]).findall(
        ".//{http://www.w3.org/2000/svg}circle[@data-drawn]"
    )
    assert len(points) == len(table) - 1 > 1
    assert all(p.get("fill", "none") not in ("none", "rgb(0, 0, 0)") for p in points)
    assert float(table[1][3]) < float(table[1][2]) < float(table[1][4])
    assert watched.trouble == []


def test_volcano_names_its_strongest_genes_and_opens_them(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, CONTRAST)
    figure = tab.locator("#volcano")
    figure.scroll_into_view_if_needed()
    tab.wait_for_selector("#volcano[data-ready]")
    de = fx.whole(2, n_genes=3000).studies[0].contrasts[0].de
    strongest = de.sort_values("pvalue")["symbol"].head(10)
    for kind in ("SVG", "PDF"):
        with tab.expect_download() as got:
            figure.get_by_role("button", name=kind, exact=True).click()
        content = Path(got.value.path()).read_bytes()
        if kind == "SVG":
            assert all(name.encode() in content for name in strongest)
        else:
            assert content.startswith(b"%PDF") and b"/Subtype /Image" in content
    size = figure.locator("canvas").bounding_box()
    tab.mouse.move(size["x"] + size["width"] / 2 + 10, size["y"] + size["height"] - 50)
    tab.wait_for_selector("#volcano .plot-tip:visible")
    name = figure.locator(".plot-tip").inner_text().split("\n")[0]
    tab.mouse.down()
    tab.mouse.up()
    tab.wait_for_url("**/gene.html#*")
    tab.wait_for_selector("#gene h2")
    assert name in tab.locator("#gene h2").inner_text()
    assert watched.trouble == []


def test_samples_are_coloured_by_any_covariate(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "studies/gse000001.html")
    tab.locator("#pca").scroll_into_view_if_needed()
    tab.wait_for_selector("#pca[data-ready]")
    assert "ALS (22)" in tab.locator("#pca .legend").inner_text()
    tab.locator("#pca").get_by_label("Colour by").select_option(label="Declared sex")
    assert "female (" in tab.locator("#pca .legend").inner_text()
    tab.locator("#pca").get_by_label("Colour by").select_option(label="Age")
    legend = tab.locator("#pca .legend li").all_inner_texts()
    assert len(legend) == 5 and sum(int(t.split("(")[1][:-1]) for t in legend) == 32
    assert watched.trouble == []


def test_cells_are_coloured_by_any_gene(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "studies/sim.html")
    figure = tab.locator("#umap-type")
    figure.scroll_into_view_if_needed()
    tab.wait_for_selector("#umap-type[data-ready]")
    assert "Satellite cell, quiescent (30)" in figure.locator(".legend").inner_text()
    figure.get_by_label("Colour by gene").fill("myog")
    tab.wait_for_selector("#umap-type[data-gene=MYOG]")
    assert figure.get_by_role("status").inner_text() == "MYOG: seen in 30 of 90 drawn"
    assert "not seen (60)" in figure.locator(".legend").inner_text()
    figure.get_by_label("Colour by", exact=True).select_option(label="Sample")
    assert "s0 (45)" in figure.locator(".legend").inner_text()
    assert watched.trouble == []


def test_spots_are_drawn_on_their_sections_and_coloured_by_a_gene(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "studies/visium.html")
    figure = tab.locator("#sections")
    figure.scroll_into_view_if_needed()
    tab.wait_for_selector("#sections[data-ready]")
    figure.get_by_label("Colour by gene").fill("myog")
    tab.wait_for_selector("#sections[data-gene=MYOG]")
    assert "not seen (60)" in figure.locator(".legend").inner_text()
    with tab.expect_download() as got:
        figure.locator(".plot").get_by_role("button", name="SVG").click()
    svg = "{http://www.w3.org/2000/svg}"
    picture = ElementTree.parse(got.value.path()).getroot()
    assert {"s0", "s1"} <= {e.text for e in picture.iter(f"{svg}text")}
    spots = [(float(e.get("cx")), float(e.get("cy"))) for e in picture.iter(f"{svg}circle")][:90]
    xs, ys = (sorted({round(place[k], 1) for place in spots}) for k in (0, 1))
    # a step right of the narrow section is as long as one down, times their pixels
    assert (xs[1] - xs[0]) / (ys[1] - ys[0]) == pytest.approx(100 / 90, rel=0.02)
    # the map of the same spots keeps its own colours
    tab.locator("#umap-type").scroll_into_view_if_needed()
    tab.wait_for_selector("#umap-type[data-ready]")
    assert "Satellite cell, quiescent (30)" in tab.locator("#umap-type .legend").inner_text()
    assert watched.trouble == []


def test_a_claim_unfolds_the_measure_that_is_asked_for(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "claims/C1.html")
    assert not tab.locator("#measure-1 .forest").first.is_visible()
    tab.locator(".table.whole a").first.click()
    assert tab.locator("#measure-1 .forest").first.is_visible()
    assert watched.trouble == []


def test_shared_changes_are_counted(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "shared.html")
    tab.wait_for_selector("#shared-shown table, #shared-shown .absent")
    studies = fx.whole(2, n_genes=3000).studies
    one, two = (s.contrasts[0].de for s in studies[:2])
    checked = tab.locator("#shared-choice input:checked")
    while checked.count():
        checked.first.uncheck()
    for study in ("GSE000001", "GSE000002"):
        tab.locator("#shared-choice li", has_text=f"{study}: ALS v healthy").locator(
            "input"
        ).check()
    hits = [t[t["padj"] < 0.05].set_index("symbol")["log2fc"] for t in (one, two)]
    both = hits[0].index.intersection(hits[1].index)
    same = int(((hits[0][both] > 0) == (hits[1][both] > 0)).sum())
    said = tab.locator("#shared-said").inner_text().replace("\u202f", "")
    assert f"{len(both)} in two or more, {same} of these" in said
    with tab.expect_download() as got:
        tab.get_by_role("button", name="all patterns (TSV)").click()
    assert sum(int(row["n"]) for row in table_of(got)) == len(both)
    assert watched.trouble == []


@pytest.mark.parametrize("path", PAGES)
def test_dark_pages_keep_their_figures_on_paper(folder, open_tab, path):
    watched = open_tab(color_scheme="dark")
    tab = watched.go(folder, path)
    ink, paper = tab.evaluate(
        "(() => { const s = getComputedStyle(document.body); return [s.color, "
        "s.backgroundColor]; })()"
    )
    light = [sum(map(int, re.findall(r"\d+", text)[:3])) for text in (ink, paper)]
    assert light[0] > 600 and light[1] < 120
    for image in tab.locator(".figure img").all():
        assert image.evaluate("(i) => getComputedStyle(i).backgroundColor") == "rgb(255, 255, 255)"
    assert watched.trouble == []


def brightness(tab, selector: str, key: str) -> int:
    """Sum of red, green and blue (0 to 765) of a computed colour."""
    found = tab.locator(selector).first.evaluate(f"(x) => getComputedStyle(x).{key}")
    return sum(map(int, re.findall(r"\d+", found)[:3]))


@pytest.mark.parametrize(
    ("where", "figure", "paper", "key"),
    [
        ("time.html", ".course", "body", "backgroundColor"),
        ("gene.html#MYOG", ".drawn", ".drawn svg > rect", "fill"),
        ("geneset.html#MYOG,CHRNA1", ".drawn", ".drawn svg > rect", "fill"),
        (PATHWAY, ".drawn", ".drawn svg > rect", "fill"),
    ],
)
def test_drawings_follow_a_dark_page_and_are_saved_on_white(
    folder, open_tab, where, figure, paper, key
):
    saved = {}
    for scheme in ("light", "dark"):
        watched = open_tab(color_scheme=scheme)
        tab = watched.go(folder, where)
        tab.wait_for_selector(f"{figure} svg text")
        dark = scheme == "dark"
        assert (brightness(tab, paper, key) < 120) == dark
        assert (brightness(tab, f"{figure} svg text", "fill") > 450) == dark
        with tab.expect_download() as got:
            tab.locator(figure).first.get_by_role("button", name="SVG", exact=True).click()
        saved[scheme] = Path(got.value.path()).read_text()
        assert watched.trouble == []
    assert saved["dark"] == saved["light"] and 'fill="#fff"' in saved["dark"]
    if figure == ".course":
        own = tab.locator(figure).first.evaluate("(x) => getComputedStyle(x).backgroundColor")
        assert own == "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize(
    ("path", "box"), [("claims/C1.html", "#tested"), ("index.html", "#claims")]
)
def test_tables_of_claims_stack_on_a_phone(folder, open_tab, path, box):
    for width in (390, 1280):
        tab = open_tab(width).go(folder, path)
        tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        table = tab.locator(f"section:has({box}) .table.stacked").first
        wide = table.locator(".scroll").evaluate("(x) => x.scrollWidth - x.clientWidth")
        cells = table.locator("tbody tr").first.locator("td").all()
        tops = {round(place["y"]) for place in (cell.bounding_box() for cell in cells) if place}
        assert (len(tops) > 2) == (width == 390) and wide <= 0
        table.get_by_role("button", name="Detectable effect").click()
        assert table.locator("th[aria-sort=ascending]").count() == 1


def test_the_number_of_a_comparison_opens_its_block(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, REPOOLED)
    link = tab.locator("a.from[href*='gse000001.als_v_healthy']").first
    assert link.get_attribute("aria-label").startswith(link.inner_text())
    link.click()
    mark = re.search(r"#(.+)$", tab.url)[1]
    assert mark.startswith("MYOGENIC_DIFF-")
    assert tab.locator(f"tr#{mark}").is_visible()
    assert watched.trouble == []


def random_comparisons(rng) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, str]]:
    """Effects, errors and degrees of freedom of one block in up to eight comparisons; their
    clusters.
    """
    k = int(rng.integers(1, 9))
    names = [f"x{i}" for i in range(k)]
    se = rng.uniform(0.03, 0.8, k)
    y = rng.normal(rng.normal(), np.hypot(se, rng.choice([0, 0.1, 0.5, 2.0])))
    clusters = dict(zip(names, rng.integers(0, max(1, k - 1), k).astype(str), strict=True))
    free = rng.integers(3, 60, k).astype(float)
    return *(pd.DataFrame([x], columns=names) for x in (y, se, free)), clusters


@pytest.mark.parametrize("moderated", [True, False])
def test_pooling_in_the_page_equals_the_package(folder, open_tab, moderated):
    rng = np.random.default_rng(4)
    cases, known = [], []
    for _ in range(150):
        y, se, free, clusters = random_comparisons(rng)
        prior = moderated_pooling.Prior(
            float(rng.choice([0.0, 0.01, 0.3])),
            float(rng.uniform(0.5, 2)),
            float(rng.choice([0.0, 2.3, 40.0, np.inf])),
            float(rng.integers(20, 400)),
            float(rng.choice([0.0, 0.03, 0.2])),
        )
        combined = meta_analysis.combine_clusters(y, se, clusters, rho=0.8)
        weakest = {
            c: min(free[n].iloc[0] for n in clusters if clusters[n] == c) for c in combined[0]
        }
        own = pd.DataFrame([weakest])[combined[0].columns]
        if moderated or own.shape[1] == 1:
            found = moderated_pooling.pool(*combined, own, prior=prior).iloc[0]
        else:
            found = meta_analysis.pool(y, se, clusters, rho=0.8).iloc[0]
        known.append(found[["effect", "se", "ci_low", "ci_high", "pvalue"]].astype(float))
        rows = [
            {
                "cluster": clusters[n],
                "effect": y[n].iloc[0],
                "se": se[n].iloc[0],
                "df": free[n].iloc[0],
            }
            for n in clusters
        ]
        finite = {k: v if np.isfinite(v) else None for k, v in prior._asdict().items()}
        cases.append([rows, {"rho": 0.8, "alpha": 0.05, "prior": finite if moderated else None}])
    watched = open_tab()
    tab = watched.go(folder, REPOOLED)
    until(tab, "() => alsmuscle.pool !== undefined")
    seen = tab.evaluate(
        "(cases) => cases.map(([rows, how]) => { const r = alsmuscle.pool(rows, how);"
        " return [r.effect, r.se, r.low, r.high, r.p]; })",
        cases,
    )
    np.testing.assert_allclose(seen, np.array(known), atol=1e-9)
    assert watched.trouble == []


def test_studies_are_switched_off(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, REPOOLED)
    tab.get_by_text("Pool again without some studies").first.click()
    box = tab.locator(".selection").first
    before = box.locator("td.est-cell").first.inner_text()
    box.locator("input").first.uncheck()
    assert "your selection" in box.locator("caption").inner_text()
    assert box.locator("td.est-cell").first.inner_text() != before
    box.locator("input").first.check()
    assert box.locator("td.est-cell").first.inner_text() == before
    assert watched.trouble == []


def test_drag_zooms_into_the_box(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, "studies/gse000001.html")
    tab.locator("#pca").scroll_into_view_if_needed()
    tab.wait_for_selector("#pca[data-ready]")
    tab.wait_for_timeout(200)
    picture = "document.querySelector('#pca canvas').toDataURL()"
    before = tab.evaluate(picture)
    size = tab.locator("#pca canvas").bounding_box()
    tab.mouse.move(size["x"] + 100, size["y"] + 50)
    tab.mouse.down()
    tab.mouse.move(size["x"] + 200, size["y"] + 150, steps=4)
    tab.mouse.up()
    tab.mouse.move(0, 0)
    until(tab, f"(old) => {picture} !== old", before)
    assert watched.trouble == []


def test_without_scripts_everything_is_still_there(folder, open_tab):
    watched = open_tab(java_script_enabled=False)
    tab = watched.go(folder, CONTRAST)
    image = tab.locator("#volcano img")
    image.scroll_into_view_if_needed()
    assert image.is_visible() and image.bounding_box()["height"] > 200
    assert tab.locator(".table[data-name$=genes] tbody tr").count() == 500
    assert tab.locator("details.all .forest svg.interval").count() == len(fx.PROGRAMMES)
    assert tab.locator(".forest").first.locator("svg.interval").first.is_visible()


def test_print_drops_controls_and_keeps_figures(folder, open_tab):
    watched = open_tab()
    tab = watched.go(folder, CONTRAST)
    watched.roll()
    tab.emulate_media(media="print")
    assert not tab.locator("#search").is_visible()
    assert not tab.locator(".tools").first.is_visible()
    assert tab.locator("#volcano canvas").is_visible()
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("details.all .forest").is_visible()
    assert tab.locator(".table[data-name$=genes] tbody tr:visible").count() == 500
    assert tab.pdf().startswith(b"%PDF")
    assert watched.trouble == []


A4 = 718
"""Width of a sheet between usual margins, in CSS pixels."""
CUT = """() => [...document.querySelectorAll('table, svg.interval, .figure img, canvas')]
  .filter((e) => e.getBoundingClientRect().width && !e.closest('.scroll .scroll'))
  .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 2)
  .map((e) => `${e.tagName} ${e.className.baseVal ?? e.className} `
    + (e.caption?.textContent ?? ''))"""


@pytest.mark.parametrize("path", PAGES)
def test_printed_pages_cut_nothing(folder, open_tab, path):
    watched = open_tab(A4, color_scheme="dark")
    tab = watched.go(folder, path)
    watched.roll()
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.evaluate(CUT) == []
    scrolling = "[...document.querySelectorAll('.scroll')].map((e) => getComputedStyle(e).overflow)"
    assert set(tab.evaluate(scrolling)) <= {"visible"}
    assert tab.pdf().startswith(b"%PDF")


# ---- attacks ------------------------------------------------------------------------------------


def test_policy_stops_injected_code(folder, open_tab, tmp_path):
    """Were something ever left unescaped, the policy is the second wall: proof that it stands."""
    text = (folder / "glossary.html").read_text(encoding="utf-8")
    attack = (
        "<script>window.pwned=1</script><img src=x onerror='window.pwned=2'>"
        "<p id=red style='color:red'>x</p><iframe src='https://example.org'></iframe>"
        "<script src='https://example.org/x.js'></script><script src='evil.js'></script>"
    )
    (tmp_path / "evil.js").write_text("window.pwned=3")
    (tmp_path / "page.html").write_text(text.replace("<h1>", attack + "<h1>"), encoding="utf-8")
    watched = open_tab()
    tab = watched.go(tmp_path, "page.html")
    tab.wait_for_timeout(300)
    assert tab.evaluate("window.pwned") is None
    assert (
        tab.evaluate("getComputedStyle(document.getElementById('red')).color") != "rgb(255, 0, 0)"
    )
    refused = [t for t in watched.trouble if "Content Security Policy" in t]
    assert len(refused) >= 5
    assert not tab.locator("#search").is_disabled(), "our own script must still run"


def test_hostile_metadata_executes_nothing(attacked, open_tab):
    watched = open_tab()
    dialogs = []
    watched.tab.on("dialog", lambda d: (dialogs.append(d.message), d.dismiss()))
    for path in sorted(attacked.rglob("*.html")):
        tab = watched.go(attacked, str(path.relative_to(attacked)))
        watched.roll()
        tab.locator("#search").fill("script")
        tab.wait_for_selector("#found a")
        assert tab.evaluate("window.pwned") is None, path
        assert tab.locator("a[href^='javascript' i]").count() == 0
        for box in tab.locator(".figure[data-ready] input").all():
            box.fill(fx.HOSTILE.lower().split()[0])
        assert tab.evaluate("document.querySelectorAll('main img[src=x]').length") == 0
    for mark in (fx.HOSTILE, "__proto__", "constructor", "%E0%A4%A", "ENSG00000000000"):
        tab = watched.go(attacked, "glossary.html")
        tab.goto((attacked / "gene.html").as_uri() + "#" + mark)
        tab.wait_for_selector("#gene > *")
        assert tab.evaluate("window.pwned") is None
    assert tab.locator("table.gene").count() == 1
    assert dialogs == [] and watched.trouble == []


def test_downloads_hold_no_formula(attacked, open_tab):
    watched = open_tab()
    seen = ""
    for path in sorted(attacked.glob("studies/*.html")):
        tab = watched.go(attacked, str(path.relative_to(attacked)))
        for button in tab.get_by_role("button", name="download shown rows").all():
            with tab.expect_download() as got:
                button.click()
            seen += Path(got.value.path()).read_text(encoding="utf-8")
    cells = [cell for line in seen.splitlines() for cell in line.split("\t")]
    assert [x for x in cells if x.startswith("'=HYPERLINK")]
    assert not [x for x in cells if x.startswith(("=", "@"))]


# ---- accessibility ------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_reports_nothing_serious(folder, open_tab, width, scheme):
    path = os.environ.get("ALSMUSCLE_AXE")
    if not path:
        pytest.skip("set ALSMUSCLE_AXE to axe.min.js of the npm package axe-core")
    watched = open_tab(width, bypass_csp=True, color_scheme=scheme)
    found = []
    for where in PAGES:
        tab = watched.go(folder, where)
        watched.roll()
        tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        tab.wait_for_timeout(200)
        tab.add_script_tag(path=path)
        result = tab.evaluate("axe.run({resultTypes: ['violations']})")
        found += [
            (
                where,
                v["id"],
                v["impact"],
                v["nodes"][0]["html"][:120],
                v["nodes"][0]["failureSummary"][:300],
            )
            for v in result["violations"]
            if v["impact"] in {"serious", "critical", "moderate"}
        ]
    assert found == []
