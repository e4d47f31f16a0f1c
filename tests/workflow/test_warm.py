"""Runs of Snakemake and their jobs, as forks, are what they are as programs of their own."""

from __future__ import annotations

import os
import sys
from typing import get_args

import pytest

import warm

SNAKEFILE = """
rule all:
    input: "good.txt", "bad.txt"

rule good:
    output: "good.txt"
    script: "good.py"

rule bad:
    output: "bad.txt"
    script: "bad.py"
"""
GOOD = """
import os, pathlib, sys
loaded = sorted({"anndata", "jinja2"} & set(sys.modules))
import beside
words = [__name__, __file__, snakemake.rule, sys.argv[0], os.environ["SAID"], beside.WORD, loaded]
pathlib.Path(snakemake.output[0]).write_text("\\n".join(map(str, words)))
print("something said")
"""
BAD = """
import sys
sys.exit("something went wrong")
"""


@pytest.mark.parametrize("jobs", get_args(warm.Jobs))
def test_a_job_is_the_program_that_it_would_be(tmp_path, jobs):
    scripts = {"good.py": GOOD, "bad.py": BAD, "Snakefile": SNAKEFILE}
    for name, text in {**scripts, "modules/beside.py": "WORD = 'found'"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = os.environ | {"SAID": "so", "PYTHONPATH": str(tmp_path / "modules")}
    run = warm.run(
        ["--cores", "2", "--keep-going"], folder=tmp_path, environment=environment, jobs=jobs
    )
    assert run.returncode == 1
    assert "something said" in run.stdout
    assert "something went wrong" in run.stderr
    assert "Error in rule bad" in run.stderr and "Error in rule good" not in run.stderr
    name, file, rule, program, said, word, loaded = (tmp_path / "good.txt").read_text().split("\n")
    assert (name, rule, said, word) == ("__main__", "good", "so", "found")
    assert file == str(tmp_path / "good.py") and "/.snakemake/scripts/" in program
    with_others = jobs == "loaded" and sys.platform == "linux"
    assert loaded == str(["anndata", "jinja2"] if with_others else [])
    assert not (tmp_path / "bad.txt").exists()
