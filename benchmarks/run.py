"""Measure part by part, and write the page.

    python benchmarks/run.py [part[:piece] ...] [--list] [--again] [--page]

A part is a script of this folder, a piece one call of it, which prints the rows of its table. They
replace the piece's former rows in ``<part>.tsv``, and ``stamps.tsv`` says by which command, when,
on what machine and by what code they were made, and what that took. A piece that the present code
has made (on this machine, where seconds are measured) is not made again: a run that was stopped
goes on where it was. What needs something that is not here is left out, and named. Pieces that take
hours are made only when they are named. At the end ``README.md`` says what all tables say.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import page
import pandas as pd

from alsmuscle.core.digest import Code

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
STAMPS = HERE / "stamps.tsv"
CODE = Code()


class Part(NamedTuple):
    """Pieces of one table; ``key`` is the column that holds a row's piece ("": one piece)."""

    name: str
    key: str
    pieces: tuple[str, ...]
    needs: tuple[str, ...] = ()
    # Seconds are those of one machine; what is called on which counts is not.
    timed: bool = True
    large: bool = False
    options: tuple[str, ...] = ()
    # Code beside the script and what it reaches of the package: other files that decide something.
    code: tuple[str, ...] = ()

    @property
    def script(self) -> Path:
        """A part after a hyphen is another table of the same script."""
        return HERE / f"{self.name.partition('-')[0]}.py"

    @property
    def table(self) -> Path:
        """Where the rows are kept."""
        return HERE / f"{self.name}.tsv"


RULES = ("workflow/rules/*.smk", "workflow/scripts/*.py")
BULK = ("workflow/scripts/bulk_fit.py", "workflow/scripts/bulk_contrast.py")
REAL = ("GLDS-103", "GSE140261", "GSE184951", "GSE129643")
PARTS = (
    Part("install", "way", ("pip",), code=("Makefile", "envs/requirements.txt")),
    Part("install", "way", ("uv",), ("uv",), code=("Makefile", "envs/requirements.txt")),
    Part("fit", "input", ("10", "40", "160", "640"), ("R",), code=("benchmarks/fit.R",)),
    Part("fit", "input", REAL, ("R", "mirror"), code=("benchmarks/fit.R",)),
    Part(
        *("calls", "n", ("3", "4", "6", "8", "10", "12"), ("R", "mirror")),
        timed=False,
        code=("benchmarks/calls.R",),
    ),
    Part(
        *("calls-alone", "n", ("3", "4", "10", "12"), ("mirror",)),
        timed=False,
        options=("--alone", "--replicates", "100"),
    ),
    Part(
        *("chance", "dataset", ("gse140261", "gse184951", "gse129643"), ("mirror",)),
        timed=False,
        code=("benchmarks/calls.py",),
    ),
    Part("enrichment", "run", ("usual", "permutations"), ("R",)),
    Part("meta", "contrasts", ("5", "50", "500"), ("R",)),
    Part("cells", "n_cells", ("20000",), ("peers",)),
    Part("cells", "n_cells", ("200000",), ("peers",), large=True),
    Part("cells", "n_cells", ("1000000",), large=True, options=("--ways", "alsmuscle")),
    Part("reads", "genes", ("2000", "8000"), code=("tests/helpers/made_up_reads.py",)),
    Part("report", "studies", ("20", "40"), ("demo", "Chromium"), code=("workflow/report/*.*",)),
    Part("workflow", "run", ("5", "50", "demo"), code=RULES),
    Part("workflow", "run", ("real",), ("mirror",), code=RULES),
    Part("workflow", "run", ("200",), large=True, code=RULES),
    Part(
        *("demo", "against", ("88e6a7a",)),
        options=("--repeats", "5", "--of-former", "1"),
        code=RULES,
    ),
    Part("where", "run", ("demo",), code=(*RULES, "benchmarks/sampled/*.py")),
    Part("where", "run", ("real",), ("mirror",), code=(*RULES, "benchmarks/sampled/*.py")),
    Part(
        *("path", "study", ("gse140261", "gse184951", "glds103", "gse129643"), ("R", "mirror")),
        code=("benchmarks/path.R", *BULK),
    ),
    Part("calibration", "", ("chosen",), ("mirror",), timed=False),
    Part("calibration-fresh", "", ("fresh",), ("mirror",), timed=False),
)
ORDER = [(part.name, piece) for part in PARTS for piece in part.pieces]
LARGE = {f"{part.name}:{piece}" for part in PARTS if part.large for piece in part.pieces}


def missing(needs: tuple[str, ...]) -> list[str]:
    """Return how to get what a part needs and this machine lacks."""
    here = {
        "R": shutil.which("Rscript"),
        "mirror": os.environ.get("ALSMUSCLE_MIRROR"),
        "Chromium": shutil.which("chromium") or shutil.which("chromium-browser"),
        "demo": (ROOT / "results" / "demo" / "synthesis").is_dir(),
        "peers": all(map(importlib.util.find_spec, ("illico", "leidenalg"))),
        "uv": shutil.which("uv"),
    }
    ways = {
        "R": "R: tests/drills/install_r.sh",
        "mirror": "a data mirror: ALSMUSCLE_MIRROR",
        "Chromium": "Chromium: tests/drills/install_r.sh --no-r chromium",
        "demo": "a finished demo: make demo",
        "peers": "what scanpy is run with: pip install illico leidenalg",
        "uv": "uv: pip install uv",
    }
    return [ways[need] for need in needs if not here[need]]


def digest(part: Part) -> str:
    """Return a digest of the code that makes a part's numbers, as rules have it."""
    paths = [part.script, *(path for each in part.code for path in sorted(ROOT.glob(each)))]
    whole = "".join(
        CODE.digest(path) if path.suffix == ".py" else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    )
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def machine() -> str:
    """Name the processor, its cores and the memory."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {name}, {memory:.0f} GiB"


def commit() -> str:
    """Name the last commit that changed the workflow; "" outside a checkout."""
    said = subprocess.run(
        ["git", "log", "-1", "--format=%h", "--", "workflow"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip()


def command(words: list[str], folder: Path) -> tuple[str, dict[str, float]]:
    """Run a command to its end; return what it printed, and what it and its children took.

    Raises
    ------
    RuntimeError
        It failed; what it said on standard error has gone to the terminal.
    """
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(words, cwd=folder, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} failed\n{text[-2000:]}")
    # The largest process alone, not the sum of those that run at once.
    took = {"cpu_s": used.ru_utime + used.ru_stime, "wall_s": wall}
    return text, took | {"peak_mb": used.ru_maxrss / 1024}


def stamps(path: Path = STAMPS) -> pd.DataFrame:
    """Return what is known of every piece; all text."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def is_done(part: Part, piece: str, known: pd.DataFrame, code: str, where: str) -> bool:
    """Whether the present code has made a piece, on this machine if that matters."""
    rows = known[(known["part"] == part.name) & (known["piece"] == piece)]
    same = (rows["code"] == code) & (
        ~pd.Series(part.timed, rows.index) | (rows["machine"] == where)
    )
    return bool(same.any())


def merged(old: str, new: str, part: Part, piece: str) -> str:
    """Return a table's text in which the rows of one piece are new, in the order of the pieces."""
    if not part.key or not old:
        return new
    before, after = (
        pd.read_csv(io.StringIO(text), sep="\t", dtype=str, keep_default_na=False, comment="#")
        for text in (old, new)
    )
    wrong = set(after[part.key]) - {piece}
    if wrong or after.empty:
        raise RuntimeError(f"piece {piece} has rows of {sorted(wrong) or 'nothing'}")
    joined = pd.concat([before[before[part.key] != piece], after]).fillna("")
    place = {each: i for i, (name, each) in enumerate(ORDER) if name == part.name}
    joined = joined.sort_values(part.key, key=lambda pieces: pieces.map(place), kind="stable")
    return str(joined.to_csv(sep="\t", index=False, lineterminator="\n"))


def stamped(known: pd.DataFrame, row: dict[str, str]) -> pd.DataFrame:
    """Return the stamps with one that is new, in the order of the parts; none is lost."""
    same = (known["part"] == row["part"]) & (known["piece"] == row["piece"])
    rows = pd.concat([known[~same], pd.DataFrame([row])], ignore_index=True)
    names = list(zip(rows["part"], rows["piece"], strict=True))
    place = {name: i for i, name in enumerate(ORDER)}
    return rows.loc[sorted(rows.index, key=lambda i: place.get(names[i], len(place)))]


def make(part: Part, piece: str, code: str, where: str) -> None:
    """Make one piece, and keep its rows and its stamp."""
    words = [str(part.script.relative_to(ROOT)), piece, *part.options]
    text, took = command([sys.executable, *words], ROOT)
    old = part.table.read_text() if part.table.exists() else ""
    part.table.write_text(merged(old, text, part, piece))
    known = stamps()
    row = {
        **{"part": part.name, "piece": piece, "needs": " ".join(part.needs)},
        **{"date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit()},
        **{"code": code, "machine": where},
        **{name: f"{took[name]:.0f}" for name in ("cpu_s", "wall_s")},
        **{"command": " ".join(["python", *words]), "note": ""},
    }
    stamped(known, row).to_csv(STAMPS, sep="\t", index=False)


def wanted(names: list[str]) -> Iterator[tuple[Part, str]]:
    """Yield the parts and pieces asked for; without names all that take no hours.

    Raises
    ------
    SystemExit
        A name is none of a part or piece.
    """
    known = {part.name for part in PARTS}
    known |= {f"{part.name}:{piece}" for part in PARTS for piece in part.pieces}
    if wrong := [name for name in names if name not in known]:
        sys.exit(f"no part {', '.join(wrong)}; there are: {', '.join(sorted(known))}")
    for part in PARTS:
        for piece in part.pieces:
            named = f"{part.name}:{piece}" in names
            if named or (not part.large and (not names or part.name in names)):
                yield part, piece


def listed(asked: list[tuple[Part, str]]) -> Iterator[str]:
    """Yield a line per piece: what it took, what it needs, whether the present code made it."""
    known, where = stamps(), machine()
    codes = {part.name: digest(part) for part, _ in asked}
    for part, piece in asked:
        own = known[(known["part"] == part.name) & (known["piece"] == piece)]
        took, date = (own.iloc[0][["cpu_s", "date"]]) if len(own) else ("", "")
        state = "as it is" if is_done(part, piece, known, codes[part.name], where) else "to make"
        lack = f"; lacks {', '.join(missing(part.needs))}" if missing(part.needs) else ""
        cost = f"{float(took) / 60:6.1f} CPU min" if took else f"{'?':>6} CPU min"
        state += ", only when named" if part.large else ""
        yield f"{part.name + ':' + piece:28}{cost}  {date:12}{state}{lack}"


def main() -> None:
    """Make what is asked for and is not there; write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("parts", nargs="*", metavar="part[:piece]")
    parser.add_argument("--list", action="store_true", help="what there is, and what it takes")
    parser.add_argument("--again", action="store_true", help="also what the present code has made")
    parser.add_argument("--page", action="store_true", help="only write the page")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if given.list:
        names = given.parts or sorted({part.name for part in PARTS} | LARGE)
        print("\n".join(listed(list(wanted(names)))))
        return
    asked, failed = [] if given.page else list(wanted(given.parts)), []
    for part, piece in asked:
        name, code, where = f"{part.name}:{piece}", digest(part), machine()
        if lack := missing(part.needs):
            print(f"{name}: left out, it needs {'; '.join(lack)}", flush=True)
        elif not given.again and is_done(part, piece, stamps(), code, where):
            print(f"{name}: made by this code already", flush=True)
        else:
            begin = time.perf_counter()
            try:
                make(part, piece, code, where)
            except RuntimeError as error:
                failed.append(name)
                print(f"{name}: {error}", file=sys.stderr, flush=True)
            print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)
    (HERE / "README.md").write_text(page.build(HERE), encoding="utf-8")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
