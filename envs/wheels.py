"""Ask the package index whether every pin has a wheel for each Python and system: envs/wheels.tsv.

Run by a maintainer with `make wheels`; needs uv, which the target installs. What has no wheel is
built from its source at installation: fine for pure Python, a compiler's work for the rest.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ENVS = Path(__file__).resolve().parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux aarch64": "aarch64-manylinux_2_28",
    "macOS arm64": "aarch64-apple-darwin",
    "macOS x86-64": "x86_64-apple-darwin",
}
COLUMNS = ("python", "system", "pins", "without_wheel")
_LACKING = re.compile(
    r"Because (?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+) has no (?P<what>[^,]+?),? and"
)
_MOST = 60


def lacking(requirements: str, python: str, system: str) -> list[str]:
    """Return the pins without a wheel for a Python and a system, as ``name==version (why)``.

    Parameters
    ----------
    requirements
        Lines ``name==version ; marker``.
    python, system
        As uv names them.
    """
    found: list[str] = []
    lines = requirements.splitlines()
    while len(found) < _MOST:
        run = subprocess.run(
            [
                *("uv", "pip", "compile", "-", "--no-deps", "--only-binary", ":all:", "--quiet"),
                *("--python-version", python, "--python-platform", system, "--no-header"),
            ],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",  # away from this project's own settings
        )
        if run.returncode == 0:
            return found
        said = " ".join(run.stderr.split())
        match = _LACKING.search(said)
        if match is None:
            raise RuntimeError(said)
        found.append(f"{match['name']}=={match['version']}")
        lines = [line for line in lines if not line.startswith(f"{match['name']}==")]
    raise RuntimeError(f"more than {_MOST} pins without a wheel for Python {python} on {system}")


def pins(*names: str) -> str:
    """Return the pins of lock files, a line each, without hashes."""
    text = "\n".join((ENVS / name).read_text(encoding="utf-8") for name in names)
    found = re.findall(r"^([A-Za-z0-9._-]+==[^ ;\\]+)(?:\[[^]]*\])?( ; [^\\\n]+)?", text, re.M)
    return "\n".join(pin + marker.rstrip() for pin, marker in found)


def main() -> int:
    """Ask for every Python and system, print and keep the answer; 1 where a wheel is lacking."""
    wanted = pins("requirements.txt")
    rows = [COLUMNS]
    for python in PYTHONS:
        for system, platform in SYSTEMS.items():
            missing = lacking(wanted, python, platform)
            rows.append((python, system, str(len(wanted.splitlines())), ", ".join(sorted(missing))))
            print(f"{python} {system}: " + (rows[-1][3] or "every pin has a wheel"), flush=True)
    text = "\n".join("\t".join(row) for row in rows) + "\n"
    (ENVS / "wheels.tsv").write_text(text, encoding="utf-8")
    return int(any(row[3] for row in rows[1:]))


if __name__ == "__main__":
    sys.exit(main())
