"""Logging: one line per event, to the rule's log file and the terminal's error stream."""

from __future__ import annotations

import logging
import sys
from pathlib import Path


def get(name: str = "alsmuscle") -> logging.Logger:
    """Return the package's logger or a child of it."""
    return logging.getLogger(name if name.startswith("alsmuscle") else f"alsmuscle.{name}")


def to_file(path: str | Path | None, level: int = logging.INFO) -> None:
    """Send the package's log to ``path`` (truncated first) and warnings also to stderr."""
    root = logging.getLogger("alsmuscle")
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    line = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setLevel(logging.WARNING)
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, mode="w", encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(line)
        root.addHandler(handler)
