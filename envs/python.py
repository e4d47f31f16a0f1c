"""Say whether this Python is one that the pins support, and if not, the command that helps.

Run by `make` with the interpreter that it is about to use, whatever its version: plain old syntax.
"""

import sys

OLDEST, NEWEST = (3, 11), (3, 13)

if __name__ == "__main__":
    found = sys.version_info[:2]
    if not OLDEST <= found <= NEWEST:
        sys.exit(
            "alsmuscle needs Python %d.%d to %d.%d; this is %d.%d (%s).\n"
            "With another one that is installed: make PYTHON=python%d.%d\n"
            "With none: uv python install %d.%d && make PYTHON=$(uv python find %d.%d)"
            % (OLDEST + NEWEST + found + (sys.executable,) + NEWEST + NEWEST + NEWEST)
        )
