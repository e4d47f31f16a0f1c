"""How long the report takes from finished tables, how large it is, and how fast its first page
opens.

    python benchmarks/report.py 40 [--config config/demo.yaml] > rows.tsv

reads a finished run, copies its studies under new ids until there are as many as asked for, builds
the report from them, and opens its pages in Chromium where that is installed. The claims and pooled
tables are those of the run; what every study adds (its pages, its figures, its line in every table)
is there as often as there are studies. Tab-separated on standard output.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pandas as pd

from alsmuscle.core import files as io
from alsmuscle.core.config import places
from alsmuscle.data import cards as registry
from alsmuscle.report import build, load
from alsmuscle.synthesis import targets

ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def finished(config: str) -> build.ReportData:
    """Read all tables of a finished run."""
    settings = registry.load_config(settings_of(config), config)
    registries, _, _ = places(
        settings, [Path("config/config.yaml"), Path(config)], registry.load_yaml
    )
    cards = registry.load_cards(*registries)
    studies = registry.select(cards, settings["studies"])
    listed = io.read_plain("config/programmes.tsv")
    return load.report_data(
        settings["results"],
        studies,
        left_out=registry.left_out(cards, studies),
        settings=settings,
        programmes="config/programmes.tsv",
        notes="config/programme_notes.tsv",
        collections=registry.load_collections(
            "config/collections.yaml", settings["enrichment"]["collections"]
        ),
        document=targets.read_claims("config/claims.yaml", listed),
    )


def settings_of(config: str) -> dict[str, Any]:
    """Read the configuration as Snakemake does: the given file over `config/config.yaml`."""
    base = registry.load_yaml("config/config.yaml")
    return base if config == "config/config.yaml" else _over(base, registry.load_yaml(config))


def _over(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = _over(out[key], value) if both else value
    return out


def grown(data: build.ReportData, n: int) -> build.ReportData:
    """Return the data with ``n`` studies: those there are, then copies under new ids."""
    studies = list(data.studies)[:n]
    extra = _copies(data.studies, n - len(studies))
    names: dict[str, list[str]] = {}
    for old, new in extra:
        names.setdefault(old, []).append(new.card["id"])
    studies += [new for _, new in extra]
    found = data.synthesis
    if found is not None:
        tables = {
            key: _repeated(getattr(found, key), names) for key in ("contrasts", "studies", "blocks")
        }
        found = replace(found, **tables)
    return replace(data, studies=studies, synthesis=found)


def _copies(studies: Sequence[Any], n: int) -> list[tuple[str, Any]]:
    source: Iterator[Any] = cycle(studies)
    copies = []
    for i in range(max(n, 0)):
        old = next(source)
        card = {**old.card, "id": f"{old.card['id']}x{i}", "accession": f"{old.name}-{i}"}
        copies.append((old.card["id"], replace(old, card=card)))
    return copies


def _repeated(table: pd.DataFrame, names: dict[str, list[str]]) -> pd.DataFrame:
    more = [
        table[table["dataset"] == old].assign(dataset=new)
        for old, copies in names.items()
        for new in copies
    ]
    return pd.concat([table, *more], ignore_index=True)


def first_view(folder: Path, path: str) -> float:
    """Return seconds until a page has been loaded and laid out, opened from disk; the better of
    two.
    """
    from playwright.sync_api import sync_playwright

    where = shutil.which("chromium") or shutil.which("chromium-browser")
    if where is None:
        return float("nan")
    times = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=where, args=ARGS)
        for _ in range(2):
            tab = browser.new_page()
            tab.goto((folder / path).as_uri())
            tab.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
            times.append(
                tab.evaluate(
                    "Math.max(performance.getEntriesByType('navigation')[0].loadEventEnd,"
                    " performance.getEntriesByName('first-contentful-paint')[0].startTime)"
                )
            )
            tab.close()
        browser.close()
    return min(times) / 1000


def _cpu() -> float:
    """Return CPU seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def measure(data: build.ReportData, n: int, threads: int) -> dict[str, Any]:
    """Build and write the report of ``n`` studies; return times (seconds) and sizes (MB)."""
    many = grown(data, n)
    templates = {p.name: io.read_text(p) for p in Path("workflow/report").glob("*.*")}
    start, busy = time.perf_counter(), _cpu()
    files = build.build(templates, many, threads=threads)
    built, cpu = time.perf_counter() - start, _cpu() - busy
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "report"
        for path, content in files.items():
            io.write_text(folder / path, content)
        written = time.perf_counter() - start
        sizes = {p: len(files[p]) for p in files if p.endswith(".html")}
        largest = max(sizes, key=lambda p: sizes[p])
        contrast = next(p for p in files if p.startswith("contrasts/"))
        return {
            "studies": n,
            "comparisons": sum(len(s.contrasts) for s in many.studies),
            "threads": threads,
            "build_s": round(built, 1),
            "build_cpu_s": round(cpu, 1),
            "written_s": round(written, 1),
            "files": len(files),
            "total_mb": round(sum(map(len, files.values())) / 1e6, 1),
            "index_mb": round(len(files["index.html"]) / 1e6, 2),
            "largest_page": largest,
            "largest_page_mb": round(sizes[largest] / 1e6, 2),
            "search_mb": round(len(files["assets/data/search.js"]) / 1e6, 2),
            "gene_script_mb": round(
                max(len(files[p]) for p in files if p.startswith("assets/data/gene-")) / 1e6, 2
            ),
            "index_first_view_s": round(first_view(folder, "index.html"), 2),
            "contrast_first_view_s": round(first_view(folder, contrast), 2),
        }


def main() -> None:
    """Print the row of so many studies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", type=int)
    parser.add_argument("--config", default="config/demo.yaml")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    start = time.perf_counter()
    data = finished(options.config)
    print(f"read in {time.perf_counter() - start:.1f} s", file=sys.stderr)
    row = measure(data, options.studies, options.threads)
    print(pd.DataFrame([row]).to_csv(sep="\t", index=False), end="")


if __name__ == "__main__":
    main()
