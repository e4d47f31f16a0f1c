"""The page of all tables: ``README.md`` out of ``README.md.j2``, the tables and ``stamps.tsv``.

A function per part turns its table into lines of figure, ours, peer and ratio; command and date
come from the stamp of the piece that a line was made with. No number stands in the template: what
its sentences need they look up (``value``). ``run.py`` writes the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

MINUTE = 60
THOUSAND = 1000


class Line(NamedTuple):
    """A line of the page: what was measured, by which piece; ratio is peer over ours."""

    piece: str
    figure: str
    ours: str
    peer: str = ""
    ratio: str = ""


def number(value: float) -> str:
    """Write a number with three digits that count."""
    if pd.isna(value):
        return "–"
    digits = 3 - math.floor(math.log10(abs(value))) - 1 if value else 0
    rounded = round(float(value), digits)
    return f"{rounded:,.{max(digits, 0)}f}"


def against(ours: float, peer: float) -> str:
    """Write how many times ours the peer takes."""
    return "" if pd.isna(peer) or not ours else number(peer / ours)


def per_cent(value: float) -> str:
    """Write a share in per cent, with one decimal."""
    return f"{100 * value:.1f}"


def several(values: Iterable[float]) -> str:
    """Write numbers side by side; the head of the table says what they are."""
    return "; ".join(map(number, values))


def ratios(ours: Iterable[float], peer: Iterable[float]) -> str:
    """Write how many times ours the peer takes, side by side."""
    return "; ".join(against(mine, his) or "–" for mine, his in zip(ours, peer, strict=True))


ENGINES = {"DESeq2": "DESeq2", "PyDESeq2": "default", "edgeR": "edgeR", "limma-voom": "limma"}


def _fit(table: pd.DataFrame) -> Iterator[Line]:
    for name, rows in table.groupby("input", sort=False):
        own = rows.set_index(["engine", "threads"])
        least = 1 if ("batched", 1) in own.index else 2

        def measured(engine: str, own: pd.DataFrame = own, least: int = least) -> list[float]:
            """CPU seconds with the fewest threads, the best wall seconds, the most memory."""
            runs = own.loc[engine]
            few = runs["cpu_seconds"].get(least, math.nan)
            return [float(few), float(runs["seconds"].min()), float(runs["peak_mb"].max())]

        ours, peers = measured("batched"), []
        for peer, engine in ENGINES.items():
            if engine not in own.index.get_level_values(0):
                continue
            said = f"{peer} {several(measured(engine))}"
            differ, called = (own.loc[engine].iloc[-1][key] for key in ("calls_differ", "called"))
            said += "" if pd.isna(differ) else f"; {differ:.0f} of {called:,.0f} calls differ"
            peers.append(said)
        genes, samples = (int(rows[column].iloc[0]) for column in ("genes", "samples"))
        what = (
            f"{'simulated' if str(name).isdigit() else name}, {genes:,} genes × {samples} samples"
        )
        yield Line(
            *(str(name), what + (", CPU s of two threads" if least > 1 else "")),
            *(several(ours), "<br>".join(peers), ratios(ours, measured("DESeq2"))),
        )


def _calls(table: pd.DataFrame) -> Iterator[Line]:
    for n, rows in table.groupby("n"):
        said = {}
        for who, own in rows.groupby("method", sort=False):
            false, power = own["fdp"], own["power"]
            error = 100 * float(false.std() / math.sqrt(len(own)))
            said[who] = (
                f"{per_cent(false.mean())} ± {error:.1f} ({per_cent(false.median())}); "
                f"{per_cent(power.mean())}"
            )
        peers = "<br>".join(f"{who} {text}" for who, text in said.items() if who != "ours")
        yield Line(str(n), f"{n} a side, {rows['replicate'].nunique()} draws", said["ours"], peers)


def _chance(table: pd.DataFrame) -> Iterator[Line]:
    for (dataset, group, n), rows in table.groupby(["dataset", "group", "n"], sort=False):
        yield Line(
            dataset,
            f"{dataset}, {group}, {n} a side, {len(rows)} draws",
            f"{per_cent(rows['fdp'].mean())} ± {100 * rows['fdp'].sem():.1f} "
            f"({per_cent(rows['fdp'].median())}); {per_cent(rows['power'].mean())}",
            f"{per_cent(rows['fdp_hidden'].mean())}; {per_cent(rows['power_hidden'].mean())}",
        )
    lean = table[table["n"] > 3]
    bounds = [0, 0.01, 0.05, 0.2, 1]
    for low, high in pairwise(bounds):
        rows = lean[(lean["hidden_pvalue"] > low) & (lean["hidden_pvalue"] <= high)]
        yield Line(
            "gse140261",
            f"p of the lean {low:g} to {high:g}, more than 3 a side, {len(rows)} draws",
            f"{per_cent(rows['fdp'].mean())}; {per_cent(rows['power'].mean())}",
            f"{per_cent(rows['fdp_hidden'].mean())}; {per_cent(rows['power_hidden'].mean())}",
        )


def _enrichment(table: pd.DataFrame) -> Iterator[Line]:
    names = {
        "gsea": ("ranking by multilevel splitting", "gseapy_permutation", "gseapy, permutations"),
        "camera_pr": ("camera, preranked", "limma_cameraPR", "limma's cameraPR"),
        "set_effects": ("effects of sets beside 200 matched ones each", "", ""),
    }
    for run, rows in table.groupby("run", sort=False):
        by = rows.set_index("method")
        for method, (what, peer, who) in names.items():
            if method not in by.index or (run == "permutations" and peer not in by.index):
                continue
            sets, genes = by.loc[method, ["sets", "genes"]]
            mine, more = by.loc[method, "cpu_s"], []
            if peer in by.index:
                theirs = by.loc[peer, "cpu_s"]
                said = f"{who} {number(theirs)} ({number(by.loc[peer, 'peak_mb'])})"
                more = [said, against(mine, theirs)]
            yield Line(
                *(str(run), f"{sets:,} sets, {genes:,} genes, {what}"),
                *(f"{number(mine)} ({number(by.loc[method, 'peak_mb'])})", *more),
            )


def _install(table: pd.DataFrame) -> Iterator[Line]:
    for row in table.itertuples():
        numbers = several((row.cpu_s, row.wall_s, row.first_import_s, row.mb))
        yield Line(str(row.way), f"by {row.way}", numbers)


def _meta(table: pd.DataFrame) -> Iterator[Line]:
    for row in table.itertuples():
        known = not pd.isna(row.metafor_cpu_s)
        yield Line(
            str(row.contrasts),
            f"{row.contrasts} contrasts × {row.genes:,} genes, {row.task}",
            f"{number(row.cpu_s)} ({number(row.peak_mb)})",
            f"metafor {number(row.metafor_cpu_s)}" if known else "",
            against(row.cpu_s, row.metafor_cpu_s),
        )


# Scanpy's ways, and what the page calls them.
SCANPY = {"scanpy_defaults": "defaults", "scanpy_faster": "faster options"}


def _cells(table: pd.DataFrame) -> Iterator[Line]:
    columns = ["cpu_s", "wall_s", "peak_gib"]
    steps = ["per_sample_s", "integrate_s", "annotate_pseudobulk_s"]
    for n, rows in table.groupby("n_cells"):
        by, what = rows.set_index("way"), f"{n:,} nuclei"
        ours = by.loc["alsmuscle"]
        peers = [way for way in SCANPY if way in by.index]
        for way in peers:
            peer = by.loc[way]
            theirs, ratio = several(peer[columns]), ratios(ours[columns], peer[columns])
            if not peer["finished"]:
                theirs, ratio = f"{theirs}, stopped unfinished", f"> {ratio}"
            yield Line(str(n), what, several(ours[columns]), f"{SCANPY[way]} {theirs}", ratio)
        if not peers:
            yield Line(str(n), what, several(ours[columns]))
        ended = [way for way in peers if by.loc[way, "finished"]]
        theirs = "<br>".join(f"{SCANPY[way]} {several(by.loc[way, steps])}" for way in ended)
        what = f"{what}, its wall s: single samples; clusters and map; names, files, genes and sums"
        yield Line(str(n), what, several(ours[steps]), theirs)


def _reads(table: pd.DataFrame) -> Iterator[Line]:
    for row in table.itertuples():
        of = f", {row.million_reads:g} million reads" if row.million_reads else ""
        yield Line(
            str(row.genes),
            f"{row.step}, {number(row.megabases)} Mb{of}",
            f"{number(row.cpu_s)} ({number(row.programs_s)}); {number(row.peak_mb)}",
        )


def _report(table: pd.DataFrame) -> Iterator[Line]:
    for row in table.itertuples():
        numbers = (row.build_cpu_s, row.build_s, row.index_mb, row.largest_page_mb, row.total_mb)
        views = (row.index_first_view_s, row.contrast_first_view_s)
        what = f"{row.studies} studies, {row.comparisons} comparisons"
        yield Line(str(row.studies), what, several((*numbers, *views)))


def _workflow(table: pd.DataFrame) -> Iterator[Line]:
    for row in table.itertuples():
        piece = str(row.run)
        what = (
            f"{piece} simulated studies" if piece.isdigit() else f"{piece}, {row.studies} studies"
        )
        yield Line(
            *(piece, what),
            f"{row.jobs}; "
            f"{several((row.wall_seconds, row.seconds_per_study, row.cpu_per_study))}; "
            f"{several((100 * row.overhead, 100 * row.start_share, row.peak_mb))}",
        )


PATH = ["cpu_s", "wall_s", "peak_mb"]


def _demo(table: pd.DataFrame) -> Iterator[Line]:
    for against_what, rows in table.groupby("against", sort=False):
        of = rows.groupby("code")[["cpu_s", "wall_s", "processes"]].median()
        ours, former = of.loc["ours"], of.loc[str(against_what)]
        runs = rows["code"].eq("ours").sum()
        what = f"the demo, median of {runs}; {against_what}: of {len(rows) - runs}"
        yield Line(*(str(against_what), what, several(ours), several(former)), ratios(ours, former))


def _where(table: pd.DataFrame) -> Iterator[Line]:
    for run, rows in table.groupby("run", sort=False):
        total = rows["cpu_s"].sum()
        said = several((total, rows["imports_s"].sum()))
        yield Line(str(run), f"{run}, all of it", said)
        for row in rows[rows["cpu_s"] >= total / 100].itertuples():
            what = f"{run}, `{row.rule}`, {row.processes}"
            numbers = several((row.cpu_s, row.imports_s))
            yield Line(str(run), what, f"{numbers}<br>{'' if pd.isna(row.where) else row.where}")


def _path(table: pd.DataFrame) -> Iterator[Line]:
    def line(piece: str, what: str, ours: pd.Series, peer: pd.Series) -> Line:
        return Line(piece, what, several(ours), several(peer), ratios(ours, peer))

    by = table.set_index(["study", "way"])
    for study in table["study"].unique():
        samples, contrasts = (int(by.loc[(study, "R"), key]) for key in ("samples", "contrasts"))
        what = f"{study}, {samples} samples, contrasts: {contrasts}"
        yield line(study, what, *(by.loc[(study, way), PATH] for way in ("ours", "R")))
    of = table.groupby("way").agg({"cpu_s": "sum", "wall_s": "sum", "peak_mb": "max"})[PATH]
    yield line("", "all of these", of.loc["ours"], of.loc["R"])


LINES: dict[str, Callable[[pd.DataFrame], Iterator[Line]]] = {
    "fit": _fit,
    "calls": _calls,
    "calls-alone": _calls,
    "chance": _chance,
    "enrichment": _enrichment,
    "install": _install,
    "meta": _meta,
    "cells": _cells,
    "reads": _reads,
    "report": _report,
    "workflow": _workflow,
    "path": _path,
    "demo": _demo,
    "where": _where,
}


CALIBRATION = (
    "wrong share of supported rows",
    "strong true rows supported",
    "strong intrinsic rows supported",
    "coverage of pooled 95 % intervals of blocks",
    "coverage of pooled 95 % intervals of blocks moved by 1 or more",
    "coverage of Bayesian intervals of blocks",
    "coverage of pooled 95 % intervals of Delta",
    "false discovery proportion of genes, mean",
    "stated detectable effects reached",
)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


class Page:
    """What the template asks for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        stamps = pd.read_csv(folder / "stamps.tsv", sep="\t", dtype=str, keep_default_na=False)
        self.stamps = stamps.set_index(["part", "piece"])

    def read(self, name: str) -> pd.DataFrame:
        """Return a part's table."""
        return pd.read_csv(self.folder / f"{name}.tsv", sep="\t", comment="#")

    def made(self, part: str, piece: str) -> list[str]:
        """Return the words that make a piece, and when and by what code it was made."""
        if not piece:
            return ["", ""]
        stamp = self.stamps.loc[(part, piece)]
        return [f"`{part}:{piece}`", f"{stamp['date']}, {stamp['commit']}"]

    def table(self, part: str, unit: str = "", ours: str = "ours", peer: str = "peer") -> str:
        """Return the lines of a part; ``unit`` is what every line of it counts."""
        rows = [[*line[1:], *self.made(part, line.piece)] for line in LINES[part](self.read(part))]
        head = ["figure", f"{ours}{unit and f': {unit}'}", peer, "ratio", "command", "date, code"]
        kept = [i for i in range(len(head)) if any(row[i] for row in rows)]
        return markdown([head[i] for i in kept], [[row[i] for i in kept] for row in rows])

    def value(self, part: str, column: str, **where: Any) -> float:
        """Look one number up.

        Raises
        ------
        ValueError
            No row, or more than one, is meant.
        """
        rows = self.read(part)
        for name, wanted in where.items():
            rows = rows[rows[name].astype(str) == str(wanted)]
        if len(rows) != 1:
            raise ValueError(f"{part}: {len(rows)} rows with {where}")
        return float(rows[column].iloc[0])

    def total(self, part: str, column: str, **where: Any) -> float:
        """Add numbers up."""
        rows = self.read(part)
        for name, wanted in where.items():
            rows = rows[rows[name].astype(str) == str(wanted)]
        return float(rows[column].sum())

    def most(self, part: str, column: str) -> float:
        """Return the largest number of a column."""
        return float(self.read(part)[column].max())

    def path_ratio(self, column: str) -> float:
        """Return what ours take of R's, over all studies of the bulk path."""
        by = self.read("path").groupby("way")[column].sum()
        return float(by["ours"] / by["R"])

    def demo_ratio(self) -> float:
        """Return what the demo takes of the former code's CPU seconds, by medians."""
        table = self.read("demo")
        of = table.groupby("code")["cpu_s"].median()
        return float(of["ours"] / of[str(table["against"].iloc[0])])

    def false_shares(self, bar: float) -> list[tuple[str, float, float]]:
        """Return a line for :meth:`bars` per size: the mean false share of our calls.

        Of the most draws that there are.
        """
        few, many = self.read("calls").query("method == 'ours'"), self.read("calls-alone")
        rows = pd.concat([few[~few["n"].isin(many["n"])], many])
        return [
            (f"{n} a side, {len(own)} draws: mean false share of calls, %", bar, 100 * own.mean())
            for n, own in rows.groupby("n")["fdp"]
        ]

    def wrong(self, part: str) -> str:
        """Return how many supported rows of how many are wrong."""
        rows = self.read(part).query("what == 'wrong share of supported rows'")
        return f"{(rows['value'] * rows['n']).sum():.0f} of {rows['n'].sum():,}"

    def calibration(self, part: str) -> str:
        """Return the main lines of a calibration: an arm a column, with 3, 4 and 5 studies."""
        table = self.read(part)
        arms = list(table["arm"].unique())
        rows = []
        for what in CALIBRATION:
            own = table[table["what"] == what]
            cells = [
                "; ".join(f"{value:.3g}" for value in own.loc[own["arm"] == arm, "value"])
                for arm in arms
            ]
            rows.append([what, *cells])
        return markdown(["with 3, 4 and 5 studies", *arms], rows)

    def missed(self, part: str) -> str:
        """Return the lines of a calibration whose bar is not met."""
        table = self.read(part)
        rows = [
            [row.arm, f"{row.k}", row.what, f"{row.value:g}", f"{row.n:,}"]
            + ["" if pd.isna(bar) else f"{bar:g}" for bar in (row.low, row.high)]
            for row in table[table["met"] == "no"].itertuples()
        ]
        return markdown(["arm", "studies", "what", "value", "of", "at least", "at most"], rows)

    def bars(self, rows: list[tuple[str, float, float]]) -> str:
        """Return what was aimed at, what was measured, and whether that is within it."""
        return markdown(
            ["figure", "at most", "measured", ""],
            [
                [what, f"{bar:,g}", number(found), "met" if found <= bar else "**missed**"]
                for what, bar, found in rows
            ],
        )

    def machines(self) -> str:
        """Name the machines."""
        return "; ".join(dict.fromkeys(self.stamps["machine"]))

    def made_of(self, part: str, piece: str) -> bool:
        """Whether a piece was ever made."""
        return (part, piece) in self.stamps.index

    def parts(self) -> str:
        """Return what the pieces cost and need, and when they were made last."""
        same = ["part", "needs", "date", "commit", "note"]
        rows = [
            [part, ", ".join(own["piece"]), needs, _minutes(own["cpu_s"]), f"{date}, {code}", note]
            for (part, needs, date, code, note), own in self.stamps.reset_index().groupby(
                same, sort=False
            )
        ]
        return markdown(["part", "pieces", "needs", "CPU min", "date, code", "note"], rows)


def _minutes(seconds: pd.Series) -> str:
    """Write minutes of CPU; nothing where one piece's are not known."""
    return "–" if (seconds == "").any() else number(seconds.astype(float).sum() / MINUTE)


def build(folder: Path) -> str:
    """Return the page of the tables in ``folder``."""
    loader = jinja2.FileSystemLoader(folder)
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {"n": number, "pc": per_cent}
    page = Page(folder)
    names = [name for name in vars(Page) if not name.startswith("_")]
    found = {name: getattr(page, name) for name in names}
    return environment.get_template("README.md.j2").render(found)
