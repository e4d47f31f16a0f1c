"""What a run survives, and that runs agree: `make survive`, `make determinism`.

Each scenario disturbs the README's command on a small registry, then gives that command alone once
more and compares every table, matrix and page with those of an undisturbed run, byte by byte. The
script runs in a mount namespace of its own, so that a disk can be full or read-only without root.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))
from support import ROOT, make_project, small_counts

# Times and what is built from them. All else must agree.
TIMED = ("logs/", "benchmarks/", "report/provenance.html")
# What compares a run with the one before: not alike after a run that went on without a study.
FORMER = ("synthesis/changes.tsv", "synthesis/claims.previous.tsv", "report/changes.html")
PATIENCE = 1800  # seconds that a run may take on a busy machine


class RunLostError(AssertionError):
    """A run was lost, or differs."""


class Registry:
    """A folder in which the README's commands work, its results, and what they should be."""

    def __init__(self, folder: Path, results: str, command: list[str]) -> None:
        self.folder, self.command = folder, command
        self.results = folder / results
        self.apart: tuple[str, ...] = TIMED
        self.reference: dict[str, str] = {}

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Give the command, in a session of its own."""
        apart = ("ALSMUSCLE_MIRROR", "PYTHONDONTWRITEBYTECODE")
        environment = {key: value for key, value in os.environ.items() if key not in apart}
        # The copy, not the checkout that the environment names: that one may be edited meanwhile.
        environment["PYTHONPATH"] = str(self.folder / "workflow" / "src")
        output = (self.folder / "output.txt").open("w")
        return subprocess.Popen(
            [*self.command, *options],
            cwd=self.folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def output(self) -> str:
        """What the last command said."""
        return (self.folder / "output.txt").read_text(errors="replace")

    def finish(self, *options: str) -> None:
        """Give the command and let it work."""
        if self.start(*options).wait(PATIENCE) != 0:
            raise RunLostError(f"the command failed:\n{self.output()[-3000:]}")

    def clear(self) -> None:
        """Back to before the first run."""
        for name in (".snakemake", "data"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        shutil.rmtree(self.results, ignore_errors=True)

    def state(self) -> dict[str, str]:
        """Path of each result → hash of its content."""
        found = {}
        for path in sorted(self.results.rglob("*")):
            name = path.relative_to(self.results).as_posix()
            if path.is_file() and not name.startswith(self.apart) and ".part." not in name:
                found[name] = hashlib.sha256(_without_times(path)).hexdigest()
        return found

    def check(self, *, whole: bool = True, but: Collection[str] = ()) -> None:
        """Compare with the undisturbed run; not ``whole``: what is missing has yet to be made."""
        state = self.state()
        wrong = [n for n in state if n not in but and state[n] != self.reference.get(n)]
        wrong += [name for name in self.reference if whole and name not in state]
        if whole:
            wrong += [path.name for path in self.results.rglob("*.part.*")]
        if wrong:
            raise RunLostError(f"{len(wrong)} files differ: {', '.join(wrong[:8])}")

    def jobs(self, rule: str = "") -> list[psutil.Process]:
        """Processes of this folder's jobs."""
        mark = f"{self.folder}/.snakemake/scripts/"
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(
                word.startswith(mark) and word.endswith(f"{rule}.py")
                for word in process.info["cmdline"] or []
            )
        ]

    def workflow(self, run: subprocess.Popen[str]) -> psutil.Process:
        """The process of Snakemake itself."""
        children = psutil.Process(run.pid).children(recursive=True)
        return next(
            process for process in children if any("bin/snakemake" in w for w in process.cmdline())
        )


def _without_times(path: Path) -> bytes:
    """Content of a result; manifests without when and whence this run got a file.

    A download that was killed leaves its files behind: they are then `present`.
    """
    if path.match("provenance/data/*.tsv") or path.name == "data_lock.tsv":
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        return table.drop(columns=["retrieved", "source"]).to_csv(index=False).encode()
    return path.read_bytes()


def small_registry(folder: Path) -> Registry:
    """A study of ten samples and some hundred genes, and published effects; few random sets."""
    folder.mkdir(parents=True)
    project = make_project(folder, copy_code=False)
    for name in ("workflow", "envs"):
        (folder / name).unlink()
    (folder / "config" / "datasets" / "gse2.yaml").write_text(yaml.safe_dump(_effects(folder)))

    def quick(config: dict[str, Any]) -> None:
        config["bulk"]["de"]["shrink"] = False
        config["enrichment"]["gsea"]["permutations"] = 101
        config["enrichment"]["sets"]["n_matched"] = 20
        config["programmes"]["n_matched"] = 20
        config["synthesis"]["denervation"] |= {"n_replicates": 30, "n_random": 5}

    project.config(quick)
    _copy(folder, "config/profiles", "workflow", "envs", "Makefile", "pyproject.toml")
    return Registry(folder, "results", ["make", "run"])


def _effects(folder: Path) -> dict[str, Any]:
    """Write a table of effects as a paper might publish it; return its card."""
    genes = small_counts(seed=2).index
    chance = np.random.default_rng(2)
    table = pd.DataFrame({"gene": genes, "log2fc": chance.normal(0, 1, len(genes)), "se": 0.2})
    path = folder / "source" / "effects.csv"
    table.to_csv(path, index=False)
    card = yaml.safe_load((folder / "config" / "datasets" / "gse1.yaml").read_text())
    for key in ("counts", "samples"):
        del card[key]
    hashed = hashlib.sha256(path.read_bytes()).hexdigest()
    return card | {
        "id": "gse2",
        "accession": "GSE2",
        "modality": "effects",
        "role": "denervation",
        "files": {"table": {"url": str(path), "sha256": hashed}},
        "effects": {
            "file": "table",
            "layout": "csv",
            "contrast": card["contrasts"][0]["id"],
            "gene_column": "gene",
            "log2fc_column": "log2fc",
            "se_column": "se",
        },
    }


def demo_registry(folder: Path) -> Registry:
    """The embedded demo."""
    folder.mkdir(parents=True)
    _copy(folder, "Snakefile", "config", "workflow", "envs", "Makefile", "pyproject.toml")
    return Registry(folder, "results/demo", ["make", "demo"])


def _copy(folder: Path, *names: str) -> None:
    """Copy parts of the project, compiled code and all, so that it may be edited meanwhile."""
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for name in names:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)


def report(what: str, detail: str, began: float) -> None:
    """One line per thing survived."""
    print(f"{what}\t{detail}\t{time.monotonic() - began:.0f} s", flush=True)


def disturb(registry: Registry, how: str, chance: random.Random, rule: str = "") -> str | None:
    """Start a run and disturb it at a random point; say where, or None if it ended before."""
    seen = {process.pid for process in registry.jobs()}  # those that outlived a former run
    before = len(seen)
    run = registry.start()
    # Some jobs from here, at a random moment of that job's life: load does not shift the points.
    skip, delay = (0 if rule else chance.randrange(5)), chance.uniform(0, 3)
    victim = None
    while run.poll() is None and victim is None:
        for process in registry.jobs(rule):
            if process.pid not in seen:
                seen.add(process.pid)
                if len(seen) - before > skip:
                    victim = process
        time.sleep(0.02)
    time.sleep(delay)
    alive = [process for process in registry.jobs(rule) if process == victim]
    if run.poll() is not None or (how == "job" and not alive):
        run.wait(PATIENCE)
        return None
    running = ", ".join(sorted(_rule(process) for process in registry.jobs())) or "between jobs"
    if how == "job":
        alive[0].kill()
        # Snakemake notices and goes on with the rest; a second blow spares the wait for its end.
        while not rule and run.poll() is None:
            if "Error in rule" in registry.output():
                os.killpg(run.pid, signal.SIGKILL)
                break
            time.sleep(0.1)
    elif how == "workflow":
        # Where it has ended meanwhile, its files say how.
        with suppress(StopIteration, psutil.NoSuchProcess):
            registry.workflow(run).kill()
    else:
        os.killpg(run.pid, {"session": signal.SIGKILL, "interrupt": signal.SIGINT}[how])
    code = run.wait(PATIENCE)
    if code == 0:
        return ended_well(registry, how, running)
    time.sleep(2)
    orphans = len(registry.jobs())
    registry.check(whole=False)
    return running + (f" ({orphans} jobs outlived it)" if orphans else "")


def ended_well(registry: Registry, how: str, running: str) -> str | None:
    """Look at a run that ended well all the same, before anything is called lost.

    What was killed had ended at that moment: every file is there and right, and nothing was
    disturbed. Or it was one study's job: the run went on without that study, which the next takes
    in.
    """
    try:
        registry.check()
    except RunLostError as error:
        if how != "job" or "left out: " not in registry.output():
            raise RunLostError(
                f"{how} killed in {running}, but the command says that all is well: {error}"
            ) from None
    else:
        return None
    registry.finish()
    if "left out: " in registry.output():
        raise RunLostError(f"killed once in {running}, and left out again")
    registry.check(but=FORMER)
    registry.clear()
    return f"{running}: the run went on without that study, the next took it in"


def _rule(process: psutil.Process) -> str:
    try:
        return next(w for w in process.cmdline() if "/scripts/tmp" in w).split(".")[-2]
    except (psutil.NoSuchProcess, StopIteration):
        return "?"


def kills(registry: Registry, chance: random.Random, n: int) -> int:
    """SIGKILL to the workflow, to all its processes, or to one job; after every fifth, finish."""
    done = 0
    registry.clear()
    while done < n:
        began = time.monotonic()
        how = ("workflow", "session", "job")[done % 3]
        where = disturb(registry, how, chance)
        if where is not None:
            done += 1
            report(f"kill {done}: {how}", where, began)
        if done % 5 == 0 or where is None or done == n:
            began = time.monotonic()
            registry.finish()
            registry.check()
            report("finished, identical", f"{len(registry.reference)} files", began)
            registry.clear()
    return done


def interrupted_report(registry: Registry, chance: random.Random) -> int:
    """The pages alone are missing; their job is killed, or the user presses Ctrl-C."""
    registry.finish()
    for how in ("job", "session", "interrupt"):
        where = None
        while where is None:  # where the report was finished before it could be interrupted
            began = time.monotonic()
            shutil.rmtree(registry.results / "report")
            where = disturb(registry, how, chance, rule="report_pages")
        registry.finish()
        registry.check()
        report(f"report: {how}", where, began)
    return 3


def full_disk(registry: Registry, chance: random.Random) -> int:
    """Results, then Snakemake's own records, on a disk that is too small."""
    size = sum(path.stat().st_size for path in registry.results.rglob("*") if path.is_file())
    for name, limit in (
        (registry.results.name, int(size * chance.uniform(0.2, 0.5))),
        (registry.results.name, int(size * chance.uniform(0.5, 0.9))),
        (".snakemake", 150_000),
    ):
        began = time.monotonic()
        registry.clear()
        place = registry.folder / name
        with mounted(place, "-t", "tmpfs", "-o", f"size={limit}", "tmpfs"):
            run = registry.start()
            if run.wait(PATIENCE) == 0:
                raise RunLostError(f"{limit} bytes were enough for {name}")
            if "No space left" not in registry.output():
                raise RunLostError(f"the full disk is not named:\n{registry.output()[-3000:]}")
            registry.check(whole=False)
            _mount("-o", "remount,size=2g", str(place))
            registry.finish()
            registry.check()
        report(f"full disk: {name}", f"{limit:,} bytes", began)
    return 3


def read_only(registry: Registry) -> int:
    """The results folder cannot be written."""
    began = time.monotonic()
    registry.clear()
    registry.results.mkdir()
    with mounted(registry.results, "--bind", str(registry.results)):
        _mount("-o", "remount,bind,ro", str(registry.results))
        if registry.start().wait(PATIENCE) == 0:
            raise RunLostError("a run without a place to write says that all is well")
        if "Read-only file system" not in registry.output():
            raise RunLostError(f"the reason is not named:\n{registry.output()[-3000:]}")
        _mount("-o", "remount,bind,rw", str(registry.results))
        registry.finish()
        registry.check()
    report("read-only results", "", began)
    return 1


def two_at_once(registry: Registry) -> int:
    """A second run in the same folder ends at once, whichever way it is started."""
    began = time.monotonic()
    registry.clear()
    first = registry.start()
    while not registry.jobs() and first.poll() is None:
        time.sleep(0.05)
    environment = {**os.environ, "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}
    for command in (registry.command, ["snakemake", "--cores", "1", "--rerun-incomplete"]):
        second = subprocess.run(
            command,
            cwd=registry.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        said = second.stdout + second.stderr
        if first.poll() is not None:
            raise RunLostError("the first run ended before the second could disturb it")
        if second.returncode == 0 or "cannot be locked" not in said:
            raise RunLostError(f"{command} was not turned away:\n{said[-2000:]}")
    if first.wait(PATIENCE) != 0:
        raise RunLostError(f"the first run failed:\n{registry.output()[-3000:]}")
    registry.check()
    report("two runs at once", "make and plain snakemake turned away", began)
    return 2


def agree(registry: Registry) -> int:
    """From scratch on one core."""
    began = time.monotonic()
    registry.clear()
    registry.finish("CORES=1")
    registry.check()
    report("from scratch on 1 core", f"{len(registry.reference)} files identical", began)
    return 1


class mounted:  # noqa: N801 - reads as a verb
    """Mount something at a folder for the length of a block."""

    def __init__(self, place: Path, *arguments: str) -> None:
        self.place, self.arguments = place, arguments

    def __enter__(self) -> None:
        self.place.mkdir(exist_ok=True)
        _mount(*self.arguments, str(self.place))

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", str(self.place)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def scenarios(registry: Registry, options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Run what was asked for; yield what was done, and how often."""
    chance = random.Random(options.seed)
    began = time.monotonic()
    registry.finish("CORES=2")
    registry.reference = registry.state()
    report("undisturbed on 2 cores", f"{len(registry.reference)} files", began)
    began = time.monotonic()
    registry.finish()
    if "Nothing to be done" not in registry.output():
        raise RunLostError(f"a second run does something:\n{registry.output()[-3000:]}")
    report("again", "nothing to be done", began)
    todo: Mapping[str, tuple] = {
        "report": (interrupted_report, chance),
        "disk": (full_disk, chance),
        "readonly": (read_only,),
        "twice": (two_at_once,),
        "determinism": (agree,),
        "kills": (kills, chance, options.kills),
    }
    for name in options.scenario or todo:
        function, *arguments = todo[name]
        yield name, function(registry, *arguments)


def main() -> None:
    """Run the scenarios in a mount namespace and clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="*", help="those to run; all if none is named")
    parser.add_argument("--demo", action="store_true", help="the embedded demo, not the small one")
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the folder behind")
    options = parser.parse_args()
    if os.environ.get("ALSMUSCLE_NAMESPACE") != "1":
        os.environ["ALSMUSCLE_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--map-root-user", "--mount", sys.executable, *sys.argv])
    # A shell's background jobs ignore interrupts, and would hand that down to the runs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    base = Path(tempfile.mkdtemp(prefix="alsmuscle-survive-"))
    registry = (demo_registry if options.demo else small_registry)(base / "project")
    try:
        counts = dict(scenarios(registry, options))
    except RunLostError as error:
        sys.exit(f"LOST: {error}\n(the folder is {base})")
    print(f"survived: {', '.join(f'{name} {n}' for name, n in counts.items())}; nothing lost")
    if not options.keep:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
