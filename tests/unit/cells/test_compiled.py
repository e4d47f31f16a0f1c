from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import sys
import numba
from alsmuscle.cells import compiled
sys.path.insert(0, sys.argv[1])
plain = numba.njit
with compiled.keeping():
    import kernels
assert numba.njit is plain
print(kernels.twice(2), kernels.thrice(2), kernels.eager(2), kernels.other(2), kernels.never(2))
print(*(sum(f.stats.cache_hits.values()) for f in kernels.ALL))
"""
KERNELS = """
import numba
@numba.njit
def twice(x): return 2 * x
@numba.njit()
def thrice(x): return 3 * x
@numba.njit("i8(i8)", fastmath=True)
def eager(x): return 4 * x
def _body(x): return 5 * x
first = numba.njit(_body)
other = numba.njit(_body, fastmath=True)
@numba.njit(cache=False)
def never(x): return 6 * x
ALL = twice, thrice, eager, first, other, never
first(1)
"""


def test_the_next_process_finds_what_this_one_compiled_but_not_a_second_form_of_a_function(
    tmp_path,
):
    (tmp_path / "kernels.py").write_text(KERNELS)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    command = [sys.executable, "-c", CODE, str(tmp_path)]

    def run() -> list[str]:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    assert run() == ["4 6 8 10 12", "0 0 0 0 0 0"]
    assert run() == ["4 6 8 10 12", "1 1 1 1 0 0"]
