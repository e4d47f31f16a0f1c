"""The exceptions for input that the user can mend, or that another try may."""

from __future__ import annotations

from os import PathLike

from alsmuscle.core.redaction import printable

# Far beyond any sentence of ours; the longest lists all faults of a card.
_MOST = 10_000


def _quoted(text: str) -> str:
    """Return what an error may say: much of it is quoted from files and answers."""
    return printable(text if len(text) <= _MOST else f"{text[:_MOST]} […]")


class InputError(ValueError):
    """Input or configuration that a user can mend; printed without a traceback.

    Parameters
    ----------
    problem
        What is wrong, in one clause.
    where
        File, and key or column where there is one (``config/config.yaml: de.alpha``).
    expected
        What would have been right.
    remedy
        What to do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        where: str | PathLike[str] | None = None,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> None:
        problem = _quoted(problem)
        where = _quoted(str(where)) if where is not None else None
        expected = _quoted(expected) if expected is not None else None
        remedy = _quoted(remedy) if remedy is not None else None
        self.problem, self.where, self.expected, self.remedy = problem, where, expected, remedy
        lines = [f"{where}: {problem}" if where else problem]
        if expected:
            lines.append(f"  expected: {expected}")
        if remedy:
            lines.append(f"  to do:    {remedy}")
        super().__init__("\n".join(lines))


class PassingError(InputError):
    """What may be gone by the next try: a server that is busy, a page in place of an answer."""
