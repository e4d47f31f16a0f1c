"""What archives answer: JSON, or a page that says why not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from alsmuscle.core.errors import PassingError

# A maintenance page, a busy service or a limit on requests comes with status 200, too.
TRY_LATER = "try again later; the service may be down"


def read_json(text: str, what: str) -> Mapping[str, Any]:
    """Return the JSON object that a service (``what``) answered, or raise what it said instead."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PassingError(
            f"{what}: the answer is not JSON: {plain_words(text)!r}", remedy=TRY_LATER
        ) from error
    if not isinstance(answer, Mapping):
        raise PassingError(
            f"{what}: the answer is not an object: {plain_words(text)!r}", remedy=TRY_LATER
        )
    return answer


def said_by(text: str, result: object) -> str:
    """Return an error's own words, wherever the service put them."""
    answer = json.loads(text)
    for place in (result, answer):
        if isinstance(place, Mapping):
            for key in ("ERROR", "error", "esummaryresult"):
                if key in place:
                    return plain_words(str(place[key]))
    return plain_words(text)


def plain_words(text: str) -> str:
    """Return the beginning of an answer without tags and line breaks, for a message."""
    return re.sub(r"\s+", " ", re.sub(r"<[^<>]*>", " ", text[:20_000])).strip()[:200]
