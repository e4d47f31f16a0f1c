"""What each rule asks of a machine, and how the SLURM profile submits it."""

from __future__ import annotations

import re

import pytest
import yaml

import small_reads
from alsmuscle.core import outcome
from support import ROOT

BLOCK = re.compile(r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)", re.M | re.S)
RULES = {
    name: body
    for path in [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
    for name, body in BLOCK.findall(path.read_text())
}
# A rule made from another has what it does not state from that.
DERIVED = re.compile(r"^use rule (\w+) as (\w+) with:\n(.*?)(?=^\S|\Z)", re.M | re.S)
for path in (ROOT / "workflow" / "rules").glob("*.smk"):
    for source, name, body in DERIVED.findall(path.read_text()):
        RULES[name] = body + RULES[source]
LOCAL = {name for name, body in RULES.items() if "localrule: True" in body}
PROFILE = yaml.safe_load((ROOT / "config" / "profiles" / "slurm" / "config.yaml").read_text())


@pytest.mark.parametrize("rule", sorted(set(RULES) - LOCAL))
def test_a_job_asks_for_memory_and_time_that_grow_when_it_is_killed(rule):
    for resource in ("mem_mb", "runtime"):
        assert re.search(rf"\b{resource}=growing\(", RULES[rule]), f"{rule}: {resource}"


@pytest.mark.parametrize("rule", sorted(name for name in RULES if "script:" in RULES[name]))
def test_every_job_is_measured(rule):
    assert "benchmark:" in RULES[rule]


def test_downloads_and_pages_run_where_snakemake_runs():
    assert {"data_fetch", "provenance_run", "report_pages"} <= LOCAL


def test_the_profile_groups_every_small_job_of_a_study_and_no_other():
    groups = PROFILE["groups"]
    assert set(groups) <= set(RULES) - LOCAL
    per_study = {
        name
        for name, body in RULES.items()
        if name not in LOCAL
        and re.search(r'log_of\("\w+", "\{dataset\}', body)
        and not name.startswith(("cells_", "reads_"))  # hours, not minutes: each by itself
    }
    assert per_study <= set(groups), "jobs that would flood the queue"
    assert not any(name.startswith("synthesis_") for name in groups)
    assert set(PROFILE["group-components"]) <= set(groups.values())


def test_a_plan_with_the_profile_groups_without_a_circle(project):
    # Snakemake checks while planning that no group waits for itself; it needs no SLURM for that.
    # Named one by one, as they are known only once the studies have been looked at.
    wanted = ("enrichment/gse1/als_vs_healthy/sets", "programmes/gse1/als_vs_healthy/effects")
    wanted += ("programmes/gse1/scores", "bulk/gse1/qc")
    run = project.snakemake(
        *("--dry-run", "--workflow-profile", str(ROOT / "config" / "profiles" / "slurm")),
        *("--", *(f"results/{name}.tsv" for name in wanted)),
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert run.stdout.count("Group job study") == 1


def test_libraries_of_reads_are_submitted_one_by_one(project):
    card = small_reads.card(
        *("SRP1", "bulk", {"runs": ["SRR1-SRR3"]}),
        counts={"file": "reads", "layout": "reads", "type": "expected_counts"},
    )
    path = project.folder / "config" / "datasets" / "srp1.yaml"
    path.write_text(yaml.safe_dump(card, sort_keys=False))
    project.config(lambda config: config["studies"].update(raw_reads=True))
    run = project.snakemake(
        *("--dry-run", "--workflow-profile", str(ROOT / "config" / "profiles" / "slurm")),
        *("--", "results/provenance/data/srp1.tsv"),
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    said = run.stdout + run.stderr
    assert re.search(r"^reads_quantify +3\s*$", said, re.M), said[-3000:]
    assert "Group job" not in said
    assert re.search(r"\breads_on_disk=1,", RULES["reads_quantify"])


@pytest.mark.parametrize(("asked", "held"), [((), 2), (("--resources", "reads_on_disk=1"), 1)])
def test_reads_of_so_many_libraries_may_lie_on_the_disk(project, asked, held):
    run = project.snakemake(*asked, "--", "results/programmes/coverage.tsv")
    assert run.returncode == 0, run.stderr
    (said,) = (path.read_text() for path in (project.folder / ".snakemake/log").iterdir())
    assert f'Provided resources: reads_on_disk=Resource("reads_on_disk", {held})' in said


def test_a_job_without_enough_memory_is_tried_again_before_its_study_is_left_out():
    asked = PROFILE["default-resources"][outcome.TRIES_LEFT]
    left = [eval(asked, {"attempt": attempt}) for attempt in range(1, PROFILE["retries"] + 2)]
    assert left == [*range(PROFILE["retries"], 0, -1), 0]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_jobs_of_one_study_leave_marks_and_are_tried_again(rule):
    """Those of all studies do not: their errors stop the run. Simulated data has no
    study's faults.
    """
    script = ROOT / "workflow" / "scripts" / f"{rule}.py"
    of_one = re.search(rf'log_of\("{rule}", "(\{{dataset\}}[^"]*)"\)', RULES[rule])
    if not script.exists() or rule.startswith("data_simulate"):
        return
    text = script.read_text()
    assert ("with outcome.job(snakemake)" in text) == bool(of_one)
    assert ("with log.job(snakemake.log[0])" in text) == (not of_one)
    if of_one:
        assert f'last_mark=last_mark("{rule}", "{of_one[1]}")' in RULES[rule]


SOUND = re.compile(r"of_sound\(|per_study\(|all_de\(|tissue_de\(|all_effects\(")


@pytest.mark.parametrize("rule", sorted(n for n, body in RULES.items() if SOUND.search(body)))
def test_what_reads_all_sound_studies_waits_for_the_table_of_this_run(rule):
    """Else Snakemake takes the table of a former run, and never looks at the rule again."""
    assert 'outcome=result("provenance/outcome.tsv")' in RULES[rule]


def test_profiles_hold_machine_facts_only():
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    for path in (ROOT / "config" / "profiles").glob("*/config.yaml"):
        profile = yaml.safe_load(path.read_text())
        assert not set(profile) & (set(config) | {"config", "configfile", "configfiles"}), path
        assert profile["rerun-incomplete"] and profile["keep-going"], path
