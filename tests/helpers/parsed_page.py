"""A page taken apart, for tests that look into it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "img", "input", "br", "link", "hr"}


class Parsed(HTMLParser):
    """Tags with attributes, text outside scripts, inline scripts; unbalanced tags raise."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[tuple[dict[str, str], str]] = []
        self.styles: list[str] = []
        self.words: list[str] = []
        self.stack: list[str] = []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        found = {k: v or "" for k, v in attrs}
        assert len(found) == len(attrs), f"attribute twice in {tag}"
        self.tags.append((tag, found))
        if tag == "script":
            self.scripts.append((found, ""))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.stack and self.stack[-1] == "style":
            self.styles.append(data)
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [a for t, a in self.tags if t == tag]


class Tables(HTMLParser):
    """The tables of a page: captions, headings and rows, each cell with its text and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[dict[str, Any]] = []
        self._cell: dict[str, Any] | None = None
        self._caption = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = {k: v or "" for k, v in attrs}
        if tag == "table":
            self.found.append({"class": found.get("class", ""), "caption": "", "rows": []})
        elif tag == "tr" and self.found:
            self.found[-1]["rows"].append({"attrs": found, "cells": []})
        elif tag in ("td", "th") and self.found:
            self._cell = {"attrs": found, "text": "", "href": ""}
            self.found[-1]["rows"][-1]["cells"].append(self._cell)
        elif tag == "a" and self._cell is not None and not self._cell["href"]:
            self._cell["href"] = found.get("href", "")
        elif tag in ("small", "br") and self._cell is not None:
            self._cell["text"] += " "
        self._caption = tag == "caption" or (self._caption and tag not in ("table", "thead"))

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = None
        if tag == "caption":
            self._caption = False

    def handle_data(self, data):
        if self._cell is not None:
            self._cell["text"] += data
        elif self._caption:
            self.found[-1]["caption"] += data

    def of(self, css: str = "", caption: str = "") -> list[dict[str, Any]]:
        """Tables whose class and caption hold these words."""
        return [
            t for t in self.found if css in [*t["class"].split(), ""] and caption in t["caption"]
        ]


RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def read_number(text: str) -> tuple[float, float]:
    """A number as it is printed, and half a unit of its last digit; missing where it is a dash."""
    plain = text.replace("\u2212", "-").replace("\u202f", "").replace(" %", "").strip()
    if plain in ("", "–"):
        return float("nan"), 0.0
    power = 0
    if " × 10" in plain:
        plain, raised = plain.split(" × 10")
        power = int(raised.translate(RAISED))
    decimals = len(plain.partition(".")[2])
    return float(plain) * 10.0**power, 0.5001 * 10.0 ** (power - decimals)


class Visible(HTMLParser):
    """What a reader sees as text: no scripts, code, quoted files or downloads."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._hidden: list[bool] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            quoted = tag in ("script", "style", "pre", "code") or (
                tag == "a" and "download" in dict(attrs)
            )
            self._hidden.append(quoted)

    def handle_endtag(self, tag):
        if tag not in VOID:
            self._hidden.pop()

    def handle_data(self, data):
        if not any(self._hidden):
            self.words.append(data)
