from __future__ import annotations

import io
import logging
import re
from enum import Enum

import pytest

from alsmuscle.core.progress import PlainWords
from support import ROOT


class Event(Enum):
    """The engine's events come as an enumeration whose values are their names."""

    RUN_INFO = "run_info"
    JOB_INFO = "job_info"
    PROGRESS = "progress"
    JOB_ERROR = "job_error"
    ERROR = "error"


@pytest.fixture
def terminal():
    stream = io.StringIO()
    logger = logging.Logger("engine", logging.INFO)
    logger.addHandler(PlainWords("results/report/index.html", stream))

    def say(text: str = "", level: int = logging.INFO, **fields) -> list[str]:
        stream.seek(0)
        stream.truncate()
        logger.log(level, text, extra=fields)
        return stream.getvalue().splitlines()

    return say


def test_steps_are_counted_and_named(terminal):
    assert terminal("table", event=Event.RUN_INFO, stats={"a": 2, "total": 12}) == [
        "12 steps to do"
    ]
    job = {"event": Event.JOB_INFO, "rule_name": "bulk_fit", "wildcards": {"dataset": "gse1"}}
    assert terminal(rule_msg="gse1: fitting every gene", **job) == [
        "[ 0 of 12] gse1: fitting every gene"
    ]
    assert terminal(event=Event.PROGRESS, done=3, total=12) == []
    assert terminal(rule_msg=None, **job) == ["[ 3 of 12] gse1: bulk fit"]
    assert terminal(event=Event.PROGRESS, done=12, total=12) == ["[12 of 12] done"]


def test_chatter_is_dropped_and_warnings_pass(terminal):
    assert terminal("Building DAG of jobs...") == []
    assert terminal("Select jobs to execute...") == []
    assert terminal("disk almost full", level=logging.WARNING) == ["disk almost full"]
    assert terminal("Nothing to be done (all requested files are present).") == [
        "Nothing to be done (all requested files are present).",
        "report: results/report/index.html",
    ]


def test_a_failed_step_shows_its_log_unless_it_explained_itself(terminal, tmp_path):
    log = tmp_path / "x.log"
    log.write_text("".join(f"line {i}\n" for i in range(40)))
    job = {"event": Event.JOB_ERROR, "rule_name": "bulk_fit", "rule_msg": "gse1: fitting"}
    lines = terminal("text", level=logging.ERROR, log=[str(log)], **job)
    assert lines[:2] == ["FAILED gse1: fitting", f"  log: {log}"]
    assert lines[-1] == "  | line 39" and len(lines) == 27
    (tmp_path / "x.log.error").write_text("what was wrong\n")
    assert len(terminal("text", level=logging.ERROR, log=[str(log)], **job)) == 2
    engine = {"event": Event.ERROR, "level": logging.ERROR}
    assert terminal("CalledProcessError in file", exception="RuleException", **engine) == []
    assert terminal("no such file", exception="MissingInputException", **engine) == ["no such file"]


def test_every_rule_says_in_words_what_it_does():
    silent = []
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        blocks = re.split(r"^(?:rule|checkpoint) (\w+):\n", path.read_text(), flags=re.MULTILINE)
        pairs = zip(blocks[1::2], blocks[2::2], strict=True)
        silent += [name for name, body in pairs if "    message:\n" not in body]
    assert silent == []
