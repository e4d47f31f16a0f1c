"""What the terminal says while a run goes on: study, step, done of total; at the end the result."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TextIO

from alsmuscle.core.redaction import on_terminal

KEPT = ("Nothing to be done", "Complete log")
"""Beginnings of plain notices that are passed on; all other notices are for developers."""
TAIL = 25
"""Last lines of a failed job's log that are shown when the job left no message of its own."""


class PlainWords(logging.Handler):
    """Log handler of the workflow engine that writes one line per step.

    It reads the engine's events by their names and fields: ``run_info`` (``stats``), ``progress``
    (``done, total``), ``job_info`` (``rule_msg, rule_name, wildcards``), ``job_error`` (``rule_msg,
    rule_name, log``). Warnings pass unchanged; tracebacks of the engine itself do not pass where
    the job has explained itself.

    Parameters
    ----------
    report
        First page of the report; named when there is nothing to do.
    stream
        Where to write; standard error by default.
    """

    def __init__(self, report: str, stream: TextIO | None = None) -> None:
        super().__init__()
        self.report, self.stream = report, stream
        self.done = self.total = 0
        self.failed = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line that belongs to a record, if one does."""
        try:
            text = self.say(record)
            if text:
                stream = self.stream or sys.stderr
                stream.write(on_terminal(text) + "\n")
                stream.flush()
        except Exception:
            self.handleError(record)

    def say(self, record: logging.LogRecord) -> str:
        """Return what to write for a record, or nothing."""
        event = getattr(record, "event", None)
        kind = str(getattr(event, "value", event))
        fields = vars(record)
        if kind == "run_info":
            self.done, self.total = 0, int(fields["stats"].get("total", 0))
            return f"{self.total} steps to do"
        if kind == "progress":
            self.done, self.total = int(fields["done"]), int(fields["total"])
            return f"[{self.total} of {self.total}] done" if self.done == self.total else ""
        if kind == "job_info":
            place = f"{self.done:>{len(str(self.total))}} of {self.total}"
            return f"[{place}] {_step(fields)}"
        if kind == "job_error":
            self.failed = True
            return "\n".join([f"FAILED {_step(fields)}", *_last_lines(fields.get("log") or [])])
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            explained = kind == "error" and self.failed
            return "" if explained and fields.get("exception") == "RuleException" else text
        if text.startswith(KEPT):
            return f"{text}\nreport: {self.report}" if text.startswith(KEPT[0]) else text
        return ""


def _step(fields: dict[str, object]) -> str:
    if fields.get("rule_msg"):
        return str(fields["rule_msg"])
    wildcards = fields.get("wildcards")
    where = ", ".join(map(str, wildcards.values())) if isinstance(wildcards, dict) else ""
    name = str(fields.get("rule_name", "")).replace("_", " ")
    return f"{where}: {name}" if where else name


def _last_lines(logs: object) -> list[str]:
    """Return where the log is, and its end unless the job wrote a message for the reader."""
    lines: list[str] = []
    for name in logs if isinstance(logs, (list, tuple)) else [logs]:
        path = Path(str(name))
        lines.append(f"  log: {path}")
        if not Path(f"{path}.error").exists() and path.exists():
            text = path.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]
            lines += [f"  | {line}" for line in text]
    return lines
