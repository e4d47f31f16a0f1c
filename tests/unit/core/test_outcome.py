"""One study's failure leaves marks and ends well; what concerns all studies does not."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from alsmuscle.core import contracts, outcome
from alsmuscle.core.errors import InputError

PROGRAM = """
import errno, os, signal, sys
from types import SimpleNamespace
from alsmuscle.core import outcome
from alsmuscle.core.errors import InputError

class Panic(BaseException):
    "As libraries in Rust raise it."

class Words(dict):
    __getattr__ = dict.__getitem__

def deep():
    return deep()

snakemake = SimpleNamespace(
    rule="bulk_contrast",
    wildcards=Words(dataset="gse1", contrast="als_vs_healthy"),
    input=["results/bulk/gse1/fits.h5", "config/programmes.tsv"],
    output=["results/bulk/gse1/als_vs_healthy/de.tsv", "results/other/gsea.tsv"],
    log=["results/logs/bulk_contrast/gse1.als_vs_healthy.log"],
    resources={"mem_mb": 700, "tries_left": int(sys.argv[2])},
)
with outcome.job(snakemake):
    exec(sys.argv[1])
print("went on")
"""
DE = "results/bulk/gse1/als_vs_healthy/de.tsv"
LOG = "results/logs/bulk_contrast/gse1.als_vs_healthy.log"


def _run(folder: Path, how: str, tries_left: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, how, str(tries_left)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("1 / 0", "ZeroDivisionError", "Please send us the file logs/bulk_contrast/gse1.als_vs"),
        ("raise InputError('no reads', where='x', "
         "remedy='look')", "InputError", "x: no reads; to do: look"),
        ("raise MemoryError", "MemoryError", "memory ran out; the step counts on 700 MB"),
        ("deep()", "RecursionError", "maximum recursion depth"),
        ("b'\\xff'.decode()", "UnicodeDecodeError", "invalid start byte"),
        ("raise Panic('tied')", "Panic", "tied"),
        ("raise OSError(errno.ENOENT, 'gone', 'x.h5')", "OSError|FileNotFoundError", "gone"),
    ],
    ids=["bug", "input", "memory", "recursion", "decoding", "panic", "file"],
)  # fmt: skip
def test_an_error_becomes_a_mark_in_every_output(tmp_path, how, kind, words):
    run = _run(tmp_path, how)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    for name in (DE, "results/other/gsea.tsv"):
        found = outcome.read(tmp_path / name)
        assert found is not None
        assert found.kind in kind.split("|")
        assert (found.study, found.contrast, found.step) == (
            *("gse1", "als_vs_healthy", "bulk_contrast"),
        )
        assert words in found.sentence()
        assert found.sentence().startswith("gse1/als_vs_healthy ")
        assert found.sentence() in run.stderr
    log = (tmp_path / LOG).read_text()
    assert "Traceback (most recent call last)" in log
    assert str(tmp_path) not in log and "/site-packages" not in log
    assert outcome.before(tmp_path / "results" / "logs") == {
        str(tmp_path / LOG): (tmp_path / f"{LOG}.failed").read_text()
    }


@pytest.mark.skipif(sys.platform != "linux", reason="a job is a child process on Linux alone")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT"])
def test_the_death_of_a_job_is_its_studys_failure(tmp_path, name):
    part = f"Path('{DE}').with_name('.0123abcd.part.de.tsv')"
    writes = f"from pathlib import Path; {part}.parent.mkdir(parents=True); {part}.write_text('x')"
    run = _run(tmp_path, f"{writes}; os.kill(os.getpid(), signal.{name})")
    assert run.returncode == 0, run.stderr
    found = outcome.read(tmp_path / DE)
    assert found is not None and found.kind == name
    assert ("memory" in found.problem) == (name == "SIGKILL")
    assert name in (tmp_path / LOG).read_text()
    assert [path.name for path in (tmp_path / DE).parent.iterdir()] == ["de.tsv"]


@pytest.mark.parametrize(
    "how",
    [
        "raise KeyboardInterrupt",
        "os.kill(os.getpid(), signal.SIGTERM)",
        "os.kill(os.getppid(), signal.SIGTERM); import time; time.sleep(60)",
        "os.kill(os.getppid(), signal.SIGKILL); import time; time.sleep(60)",
        "os.kill(os.getpid(), signal.SIGINT)",
        "raise SystemExit(3)",
        "import no_such_module",
        "raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))",
        # As HDF5 says it, from within another error.
        "try:\n  raise OSError(\"Can't write data (file write failed: errno = 28, error "
        'message)")\n'
        "except OSError as e:\n  raise RuntimeError('unable to flush') from e",
        "raise InputError('no column sign', where='config/programmes.tsv')",
        "raise InputError('gone', where='data/collections/own.gmt')",
    ],
    ids=[
        *("interrupt", "sigterm", "parent-term", "parent-kill", "sigint", "exit", "installation"),
        *("disk", "disk-hdf5", "shared", "gene-sets"),
    ],
)
def test_what_is_no_single_studys_stops_the_run_and_leaves_no_mark(tmp_path, how):
    run = _run(tmp_path, how)
    assert run.returncode != 0
    assert "went on" not in run.stdout
    assert not (tmp_path / DE).exists()
    assert not (tmp_path / f"{LOG}.failed").exists()


@pytest.mark.parametrize("how", ["raise MemoryError", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_where_a_cluster_tries_again_with_more_memory_a_job_fails_first(tmp_path, how):
    assert _run(tmp_path, how, tries_left=1).returncode == 1
    assert not (tmp_path / DE).exists()
    # Other errors would come again.
    assert _run(tmp_path, "1 / 0", tries_left=1).returncode == 0


def test_a_mark_is_handed_on_and_the_work_not_begun(tmp_path):
    given = outcome.Failure("gse1", "", "bulk_fit", "X", "a.py:1", "words", "logs/x.log", False)
    mark = tmp_path / "results" / "bulk" / "gse1" / "fits.h5"
    mark.parent.mkdir(parents=True)
    mark.write_text(json.dumps({"failed": vars(given)}) + "\n")
    run = _run(tmp_path, "open('begun', 'w')")
    assert run.returncode == 0, run.stderr
    assert outcome.read(tmp_path / DE) == given
    assert not (tmp_path / "begun").exists()
    # It is not this job that has to be tried again.
    assert not (tmp_path / f"{LOG}.failed").exists()


def test_without_an_error_nothing_is_marked(tmp_path):
    run = _run(tmp_path, "import atexit; atexit.register(print, 'ended')")
    # What the job registered for its end is done.
    assert (run.returncode, run.stdout) == (0, "went on\nended\n")
    assert outcome.before(tmp_path / "results" / "logs") == {}


def test_scripts_end_with_the_job():
    for path in (Path(outcome.__file__).parents[3] / "scripts").glob("*.py"):
        if "outcome.job(" in (text := path.read_text()):
            *before, last = ast.parse(text).body
            assert isinstance(last, ast.With), path.name
            assert not any(isinstance(each, ast.With) for each in before), path.name


def test_only_marks_are_marks(tmp_path):
    other = tmp_path / "table.tsv"
    other.write_text("dataset\tcontrast\n")
    assert outcome.read(other) is outcome.read(tmp_path) is outcome.read(tmp_path / "no") is None
    assert outcome.sound([str(other)]) == [str(other)]


def _failed(study: str, contrast: str = "") -> outcome.Failure:
    return outcome.Failure(study, contrast, "bulk_fit", "X", "a.py:1", "words", "logs/x.log", False)


def test_the_table_says_of_every_contrast_whether_it_counts(tmp_path):
    admission = pd.DataFrame(
        {"dataset": ["a", "b", "c", "d"], "admitted": [True, True, True, False], "reason": "no"}
    )
    contrasts = {"a": ["x", "y"], "b": ["x", "y"], "c": ["x"], "d": ["x"]}
    marks = [_failed("b", "y"), _failed("c"), _failed("c"), _failed("b", "y")]
    found = outcome.table(contrasts, admission, marks)
    contracts.check_table(found, outcome.OUTCOME, "here")
    kept = [("a", "x"), ("a", "y"), ("b", "x")]
    assert list(found[found["kept"]][["dataset", "contrast"]].itertuples(index=False)) == kept
    found.to_csv(tmp_path / "outcome.tsv", sep="\t", index=False)
    assert outcome.kept(tmp_path / "outcome.tsv") == kept
    left = dict(outcome.left_out(tmp_path / "outcome.tsv"))
    assert list(left) == ["b/y", "c", "d"]
    assert left["d"] == "no" and "words (a.py:1)" in left["c"]
    outcome.require(found, {"cells": ["c", "d"]}, all_required=False)
    with pytest.raises(InputError, match="3 studies could not be analysed"):
        outcome.require(found, {}, all_required=True)
    with pytest.raises(InputError, match="no study could be analysed"):
        outcome.require(found[~found["kept"]], {}, all_required=False)


def test_one_error_of_all_studies_of_a_kind_is_none_of_theirs():
    names = {"a": ["x"], "b": ["x", "y"], "c": ["x"]}
    admission = pd.DataFrame({"dataset": list(names), "admitted": True, "reason": ""})
    found = outcome.table(names, admission, [_failed("a"), _failed("b")])
    with pytest.raises(InputError, match="all studies of cells met the same error.* words"):
        outcome.require(found, {"cells": ["a", "b"]}, all_required=False)
    outcome.require(found, {"cells": ["a"], "arrays": ["b", "c"]}, all_required=False)
    # What a user can mend, or what has another place, is each study's own.
    for change in ({"kind": "InputError", "mendable": True}, {"place": "b.py:2"}):
        own = outcome.Failure(**{**vars(_failed("b")), **change})
        found = outcome.table(names, admission, [_failed("a"), own])
        outcome.require(found, {"cells": ["a", "b"]}, all_required=False)


def test_studies_that_lack_a_server_stand_in_one_line():
    dead = (
        "x.org does not answer (connect error: [Errno -2] (_ssl.c:1); found out once for this run)"
    )
    remedy = "to do: try again where there is a network, use `make fetch` elsewhere, or a mirror."
    lost = [
        (
            "gse1",
            f"gse1: https://x.org/a?b=c: {dead}; {remedy} gse1: https://x.org/d: {dead}; {remedy}",
        ),
        ("gse2", "gse2: a.gz has sha256 1; to do: fetch it again."),
        (
            "srp3",
            f"srp3: s3://x: none of 2 addresses served the file: https://x.org/a: {dead}; "
            f"https://y.org/b: y.org does not answer (timed out). {remedy}",
        ),
        ("gse4", f"gse4: https://x.org/a: {dead}; https://z.org/a: HTTP 404; {remedy}"),
        ("gse5/als_vs_healthy", "met an error"),
    ]
    lines = outcome.in_lines(lost)
    assert lines[:3] == [lost[1][1], lost[3][1], "gse5/als_vs_healthy: met an error"]
    assert lines[3].startswith("gse1, srp3: no answer from x.org, y.org; to do: try again ")
    assert len(lines) == 4
