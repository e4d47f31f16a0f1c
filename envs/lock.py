"""Resolve the pins anew: envs/requirements.txt (pip, hashes) and envs/analysis.yaml (conda).

Run by a maintainer with `make lock`; needs uv, which the target installs.
"""

import re
import subprocess
import sys
from pathlib import Path

ENVS = Path(__file__).resolve().parent


def conda_environment(requirements: str) -> str:
    """Return the conda file for a lock: Python and, through pip, the same pins and hashes.

    Packages of conda itself can have no hash in this format; pip then insists on one for each.
    """
    blocks = re.split(r"\n(?=[A-Za-z0-9])", requirements)
    lines = [
        "# Made by envs/lock.py from envs/requirements.txt; do not edit.",
        "name: alsmuscle",
        "channels: [conda-forge, nodefaults]",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - pip:",
    ]
    for block in blocks:
        pin = re.match(r"[A-Za-z0-9._-]+(?:\[[^]]*\])?==[^ ;\\]+(?: ; [^\\\n]+)?", block)
        hashes = re.findall(r"--hash=\w+:[0-9a-f]+", block)
        if pin:
            lines.append(f"      - >-\n        {pin[0].rstrip()}")
            lines += [f"        {one}" for one in hashes]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--conda-only" not in sys.argv:
        subprocess.run(
            [
                *("uv", "pip", "compile", "pyproject.toml", "--extra", "test", "--quiet"),
                *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"),
                *("--universal", "--fork-strategy", "fewest", "--python-version", "3.11"),
                *("--no-header", "--upgrade", "--output-file", "envs/requirements.txt"),
            ],
            cwd=ENVS.parent,
            check=True,
        )
    text = (ENVS / "requirements.txt").read_text(encoding="utf-8")
    (ENVS / "analysis.yaml").write_text(conda_environment(text), encoding="utf-8")
