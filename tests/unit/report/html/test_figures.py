from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from alsmuscle.report.html import figures as f
from support import ROOT

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def samples() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": ["s1", "s2", "s3", "s4"],
            "group": ["als", "als", "healthy", None],
            "library_size": [1e6, 2e7, 3e7, 2.5e7],
            "flagged": [True, False, False, False],
            "ring": [False, True, False, False],
            "pc1": [-30.0, 1.0, 2.0, 40.0],
            "pc2": [0.0, 5.0, -9.0, 1.0],
        }
    )


@pytest.fixture
def genes() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "log2fc": [*rng.normal(0, 0.3, 500), 4.0, -7.5],
            "nlp": [*rng.exponential(1, 500), 200.0, 30.0],
            "padj": [*([1.0] * 500), 1e-150, 1e-20],
            "base_mean": [*rng.lognormal(4, 2, 500), 0.0, 1e6],
        }
    )


def texts(svg: bytes) -> list[str]:
    return ["".join(e.itertext()) for e in ET.fromstring(svg).iter(f"{SVG}text")]


def ma(genes: pd.DataFrame):
    mean = np.log10(genes["base_mean"].clip(lower=1e-3))
    return f.ma(genes, 0.05, x=mean, label="log10 mean normalised count")


def all_figures(samples: pd.DataFrame, genes: pd.DataFrame) -> dict:
    matrix = pd.DataFrame(
        np.eye(4) * 0.1 + 0.9, index=samples["sample_id"], columns=samples["sample_id"]
    )
    return {
        "library": f.library_sizes(samples),
        "scatter": f.scatter(samples, x="pc1", y="pc2", xlabel="PC1", ylabel="PC2", group="group"),
        "correlation": f.correlation(matrix, {"s1": "als"}),
        "volcano": f.volcano(genes, 0.05),
        "ma": ma(genes),
    }


def test_same_table_gives_same_bytes(samples, genes):
    first, second = all_figures(samples, genes), all_figures(samples, genes)
    for name in first:
        assert f.to_svg(first[name]) == f.to_svg(second[name]), name


def test_svg_keeps_text_and_carries_no_date(samples, genes):
    for name, fig in all_figures(samples, genes).items():
        svg = f.to_svg(fig)
        assert len(texts(svg)) > 4, name
        assert b"<dc:date>" not in svg and b"<dc:creator>" not in svg
        assert len(svg) < 400_000


def test_axes_hold_every_value(samples, genes):
    drawn = all_figures(samples, genes)
    ax = drawn["volcano"].axes[0]
    low, high = ax.get_xlim()
    assert low == -high and high > 7.5
    assert ax.get_ylim()[0] == 0 and ax.get_ylim()[1] > 200
    low, high = drawn["ma"].axes[0].get_ylim()
    assert low == -high and high > 7.5
    assert drawn["library"].axes[0].get_xlim()[0] == 0
    left, right = drawn["scatter"].axes[0].get_xlim()
    assert left < -30 and right > 40


def test_counts_stand_in_the_legend(genes):
    words = texts(f.to_svg(f.volcano(genes, 0.05)))
    assert "higher (1)" in words and "lower (1)" in words and "adjusted p ≥ 0.05 (500)" in words


def test_untested_genes_are_no_genes_without_a_call(genes):
    untested = genes.assign(padj=[np.nan] * 20 + genes["padj"].tolist()[20:])
    words = texts(f.to_svg(ma(untested)))
    assert "not tested (20)" in words and "adjusted p ≥ 0.05 (480)" in words
    shown = [int(w.split("(")[1].rstrip(")")) for w in words if "(" in w]
    assert sum(shown) == len(genes)


def test_names_of_a_volcano_do_not_cover_each_other(genes):
    near = genes.assign(label=[f"GENE{i}" for i in range(len(genes))])
    near.loc[:9, "log2fc"] = np.linspace(2.0, 2.05, 10)
    near.loc[:9, "nlp"] = np.linspace(210.0, 212.0, 10)
    fig = f.volcano(near, 0.05)
    fig.canvas.draw()
    boxes = [text.get_window_extent() for text in fig.axes[0].texts]
    assert len(boxes) == f.NAMED
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[i + 1 :])


def test_one_direction_of_the_scale_in_all_figures(samples, genes):
    matrix = pd.DataFrame(np.eye(3), index=list("abc"), columns=list("abc"))
    cells = pd.DataFrame({"umap1": [0.0, 1.0], "umap2": [0.0, 1.0], "P/a": [0.0, 1.0]})
    dots = pd.DataFrame(
        {
            "cell_type": ["a", "b"],
            "gene": pd.Categorical(["G", "G"]),
            "detected": [0.5, 1.0],
            "scaled": [0.0, 1.0],
        }
    )
    maps = {
        f.correlation(matrix, {}).axes[0].images[0].get_cmap().name,
        f.umap_scores(cells, {"P/a": "A"}).axes[0].collections[0].get_cmap().name,
        f.dots(dots).axes[0].collections[0].get_cmap().name,
    }
    assert maps == {f.SCALE}
    script = (ROOT / "workflow" / "report" / "scatter.js").read_text()
    (ramp,) = re.findall(r"const ramp = \[(.*?)\]", script)
    light = [sum(bytes.fromhex(k[1:])) for k in re.findall(r"#[0-9a-f]{6}", ramp)]
    assert light == sorted(light, reverse=True)  # dark is high there, too


def test_untested_genes_are_called_untested(genes):
    words = texts(f.to_svg(ma(genes.assign(padj=np.nan))))
    assert "not tested (502)" in words and not [w for w in words if "higher" in w]


def test_flagged_samples_are_hollow_and_unknown_groups_named(samples):
    fig = f.library_sizes(samples)
    white = [bar.get_facecolor()[:3] == (1, 1, 1) for bar in fig.axes[0].patches]
    assert sorted(white) == [False, False, False, True]
    assert "unknown" in texts(f.to_svg(fig))


def test_correlation_is_ordered_by_group():
    names = ["b", "a", "c"]
    matrix = pd.DataFrame([[1, 0.1, 0.2], [0.1, 1, 0.3], [0.2, 0.3, 1]], index=names, columns=names)
    fig = f.correlation(matrix, {"b": "als", "a": "healthy", "c": "als"})
    data = fig.axes[0].images[0].get_array()
    assert np.asarray(data).tolist() == [[1, 0.2, 0.1], [0.2, 1, 0.3], [0.1, 0.3, 1]]
    assert fig.axes[0].images[0].get_clim() == (0.1, 1.0)


def test_markup_in_names_stays_text(samples):
    samples["group"] = ["<script>x</script>", "$\\frac{", "a & b", "_hidden"]
    svg = f.to_svg(f.scatter(samples, x="pc1", y="pc2", xlabel="x", ylabel="y", group="group"))
    assert {"<script>x</script>", "$\\frac{", "a & b", " _hidden"} <= set(texts(svg))
