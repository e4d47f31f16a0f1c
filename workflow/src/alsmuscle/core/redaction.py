r"""What leaves the machine: no key, no path of it, nothing that steers a terminal or a spreadsheet.

Every text that comes from outside or speaks of this machine passes here before it reaches a table,
a page, a log or the terminal. All patterns are linear in the text: each repetition is bounded or
ends at the character that begins the next one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

# C0 without tab and line feed, DEL, C1; marks that change the direction of writing (Unicode TR 9);
# lone surrogates, which no file can hold.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
# A terminal's commands go as a whole: what is left of one would be noise.
_COMMAND = re.compile(
    r"\x1b(?:\[[0-?]{0,40}[ -/]{0,10}[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)?)"
)
_SECRET_QUERY = re.compile(
    r"(?i)\b([\w.-]{0,30}(?:key(?:_?id)?|token|secret|signature|password|passwd|pwd|credentials?|auth|"
    r"session(?:_?id)?)|sig|policy|x-(?:amz|goog)-[a-z-]{1,40})=[^&\s'\"]+"
)
_SECRET_HEADER = re.compile(
    r"(?i)\b(authorization|proxy-authorization|cookie|x-api-key)[ \t]{0,5}:[ \t]{0,5}"
    r"(?:(?:bearer|basic|token)[ \t]{1,5})?[^\s'\"]+"
)
_LOGIN = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^/\s@'\"]{1,500}@")
_SECRET_VARIABLE = re.compile(r"(?i)key|token|secret|passw|credential")
_LEAST_SECRET = 8
_ABSOLUTE = re.compile(
    r"(?:\bfile://(?:localhost)?(?=/)|(?<![\w.~/<@%-])(?!//))/(?:[\w.+@%~-]{1,255}/){1,64}"
    r"([\w.+@%~=-]{0,255})"
)
_FORMULA = re.compile(r"\s*[=+\-@]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def printable(text: str) -> str:
    """Return ``text`` without control characters, terminal commands and marks of direction."""
    return text if text.isprintable() else _UNPRINTABLE.sub("", _COMMAND.sub("", text))


def secrets(text: str) -> str:
    """Return ``text`` without keys, passwords in addresses, signatures and credentials."""
    for name, value in os.environ.items():
        if len(value.strip()) >= _LEAST_SECRET and _SECRET_VARIABLE.search(name):
            text = text.replace(value.strip(), "***")
    if "=" in text:
        text = _SECRET_QUERY.sub(r"\1=***", text)
    if ":" in text:
        text = _SECRET_HEADER.sub(r"\1: ***", text)
        text = _LOGIN.sub(r"\1***@", text)
    return text


def places(text: str) -> str:
    """Return ``text`` with paths of this machine relative to the project, or by their last name."""
    return _ABSOLUTE.sub(r"…/\1", _at_home(_below_here(text))) if "/" in text else text


def _below_here(text: str) -> str:
    here = str(Path.cwd())
    return text.replace(f"{here}/", "") if here != "/" else text


def _at_home(text: str) -> str:
    """Return ``text`` without the user's folder, whose name may hold a blank."""
    try:
        home = str(Path.home())
    except RuntimeError:  # a user without a folder
        return text
    return text.replace(f"{home}/", "/home/") if home.count("/") > 1 else text


def on_terminal(text: str) -> str:
    """Return ``text`` fit for the user's own terminal, where a log that lies elsewhere is found."""
    return _below_here(secrets(printable(text)))


def shown(text: str) -> str:
    """Return ``text`` fit for a table, a page, a log or a terminal: all of the above."""
    return places(secrets(printable(text)))


def cell(value: str) -> str:
    """Return text for a table that no spreadsheet takes for a formula.

    What starts with ``= + - @`` gets a leading apostrophe (OWASP, CSV injection); tabs and line
    ends become blanks; numbers keep their sign.
    """
    text = re.sub(r"[\t\r\n]+", " ", value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


class Shown:
    """A stream to the terminal whose text passes :func:`shown`, or another filter, first."""

    def __init__(self, stream: TextIO, fit: Callable[[str], str] = shown) -> None:
        """Stand before ``stream``."""
        self._stream, self._fit = stream, fit

    def write(self, text: str) -> int:
        """Write what may be seen of ``text``."""
        return self._stream.write(self._fit(text))

    def __getattr__(self, name: str) -> Any:
        """Be the stream in all else."""
        return getattr(self._stream, name)
