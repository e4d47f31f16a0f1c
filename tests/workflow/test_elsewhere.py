"""The workflow from folders elsewhere: as a module,
and with a configuration outside the checkout.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

import warm
from support import ROOT, give_parsed_code, small_counts, write_study

OUTER = """
configfile: "settings/outer.yaml"

module alsmuscle:
    snakefile: "{snakefile}"
    config: config["muscle"]

use rule * from alsmuscle as muscle_*

rule all:
    input: "own/results/report", "other.txt"
    default_target: True

rule other:
    output: "other.txt"
    shell: "touch {{output}}"
"""


def _snakemake(folder: Path, *arguments: str, fine: bool = True) -> str:
    environment = {
        k: v for k, v in os.environ.items() if k not in ("ALSMUSCLE_MIRROR", "PYTHONPATH")
    }
    give_parsed_code(folder)
    run = warm.run(["--cores", "2", *arguments], folder=folder, environment=environment)
    said = run.stdout + run.stderr
    assert (run.returncode == 0) == fine, said[-5000:]
    return said


def _jobs(said: str) -> dict[str, int]:
    table = said.partition("Job stats:")[2].partition("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", table, re.M)}


def _outer(folder: Path, registry: str) -> None:
    (folder / "Snakefile").write_text(OUTER.format(snakefile=ROOT / "workflow" / "Snakefile"))
    (folder / "settings").mkdir()
    config = {
        "results": "own/results",
        "registry": [registry],
        "data": {"cache": "own/data"},
        "enrichment": {"collections": []},
    }
    (folder / "settings" / "outer.yaml").write_text(yaml.safe_dump({"muscle": config}))


def test_another_workflow_plans_the_demo_as_a_module(tmp_path):
    _outer(tmp_path, "cards")
    shutil.copytree(ROOT / "config" / "demo", tmp_path / "settings" / "cards")
    jobs = _jobs(_snakemake(tmp_path, "--dry-run"))
    assert jobs["muscle_data_simulate"] == len(list((ROOT / "config" / "demo").glob("*.yaml"))) - 1
    assert jobs["muscle_report_pages"] == jobs["other"] == 1


def test_a_copy_of_the_configuration_outside_the_checkout_is_enough(tmp_path):
    """It plans the demo with its own cards, from a folder that holds nothing else."""
    shutil.copytree(ROOT / "config", tmp_path / "copy" / "config")
    (tmp_path / "copy" / "config" / "demo" / "simals1.yaml").unlink()
    (tmp_path / "run").mkdir()
    command = (
        "--dry-run",
        *("--snakefile", str(ROOT / "Snakefile")),
        "--configfile",
        *(str(tmp_path / "copy" / "config" / name) for name in ("config.yaml", "demo.yaml")),
    )
    said = _snakemake(tmp_path / "run", *command)
    assert _jobs(said)["data_simulate"] == len(list((ROOT / "config" / "demo").glob("*.yaml"))) - 2
    (tmp_path / "copy" / "config" / "programmes.tsv").unlink()
    assert "copy/config/programmes.tsv" in _snakemake(tmp_path / "run", *command, fine=False)


def test_the_plan_says_that_it_grows_and_takes_the_profile_that_make_uses(tmp_path):
    said = _snakemake(
        tmp_path, "--dry-run", "-s", str(ROOT / "Snakefile"), "--configfile",
        str(ROOT / "config" / "demo.yaml"),
    )  # fmt: skip
    assert "checkpoint" in said
    assert "profiles/default" in said
    default = ROOT / "profiles" / "default" / "config.yaml"
    assert default.samefile(ROOT / "config" / "profiles" / "local" / "config.yaml")


@pytest.mark.verify
def test_another_workflow_runs_a_study_as_a_module(tmp_path):
    card = write_study(tmp_path / "source", small_counts())
    _outer(tmp_path, "cards")
    (tmp_path / "settings" / "cards").mkdir()
    for file in card["files"].values():
        file["url"] = os.path.relpath(file["url"], tmp_path / "settings" / "cards")
    (tmp_path / "settings" / "cards" / "gse1.yaml").write_text(yaml.safe_dump(card))
    _snakemake(tmp_path)
    assert (tmp_path / "own" / "results" / "report" / "index.html").is_file()
    assert (tmp_path / "other.txt").is_file()
    again = _snakemake(tmp_path)
    assert "Nothing to be done" in again


@pytest.mark.verify
def test_another_workflow_runs_the_demo_as_a_module(tmp_path):
    _outer(tmp_path, str(ROOT / "config" / "demo"))
    _snakemake(tmp_path)
    assert (tmp_path / "own" / "results" / "report" / "index.html").is_file()
