"""umap and pynndescent, compiled once per installation instead of in every process.

Both compile some sixty functions while they are imported, and more at the first call, and keep
few of them: 27 to 38 CPU seconds in each process that draws a map. numba keeps compiled code on
disk where it is asked to (beside the source or, where that is not writable, in the user's cache
directory); here it is asked for functions whose authors say neither yes nor no. The code is the
same, so the numbers are.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def load_umap() -> None:
    """Import umap, and with it pynndescent; call it before anything else imports them."""
    if "umap" not in sys.modules:
        with keeping():
            importlib.import_module("umap")


@contextmanager
def keeping() -> Iterator[None]:
    """Let ``numba.njit`` keep what it compiles, for functions that are decorated meanwhile."""
    import numba

    plain = numba.njit
    seen: set[tuple[str, str]] = set()

    def decorate(function: Any, *signature: Any, **options: Any) -> Any:
        # Kept code goes by the function, not by the options: a second compilation of one function
        # (umap's layout, once more in parallel) would be given the code of the first.
        name = (function.__module__, function.__qualname__)
        options.setdefault("cache", name not in seen)
        seen.add(name)
        try:
            return plain(*signature, **options)(function)
        except RuntimeError:  # numba found no directory for its cache
            return plain(*signature, **options | {"cache": False})(function)

    def njit(*args: Any, **options: Any) -> Any:
        if args and callable(args[0]):
            return decorate(*args, **options)
        return lambda function: decorate(function, *args, **options)

    numba.njit = njit
    try:
        yield
    finally:
        numba.njit = plain
