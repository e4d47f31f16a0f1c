"""Resolve the pins anew: envs/requirements.txt, envs/docs.txt (pip, hashes), envs/analysis.yaml
(conda).

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


def beside(whole: str, requirements: str) -> str:
    """Return the blocks of a lock whose packages another one does not install on every system."""
    pinned = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==[^ ;\\]+( ;)?", requirements, re.M)
    known = {name.lower() for name, marker in pinned if not marker}
    blocks = re.split(r"\n(?=[A-Za-z0-9])", whole.strip())
    names = [re.split(r"[=\[ ;]", block)[0].lower() for block in blocks]
    return "\n".join(b for b, n in zip(blocks, names, strict=True) if n not in known) + "\n"


def compile_lock(target: Path, *options: str) -> str:
    """Write a lock with hashes for every system and Python that we support; return its text."""
    subprocess.run(
        [
            *("uv", "pip", "compile", "pyproject.toml", "--quiet", *options),
            *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"),
            *("--universal", "--fork-strategy", "fewest", "--python-version", "3.11"),
            *("--no-header", "--output-file", str(target)),
        ],
        cwd=ENVS.parent,
        check=True,
    )
    return target.read_text(encoding="utf-8")


if __name__ == "__main__":
    lock, docs = ENVS / "requirements.txt", ENVS / "docs.txt"
    if "--conda-only" not in sys.argv:
        compile_lock(lock, "--extra", "test", "--upgrade")
        pinned = ("--constraint", str(lock), "--no-annotate")
        docs.write_text(
            beside(
                compile_lock(docs, "--extra", "docs", *pinned), lock.read_text(encoding="utf-8")
            ),
            encoding="utf-8",
        )
    text = lock.read_text(encoding="utf-8")
    (ENVS / "analysis.yaml").write_text(conda_environment(text), encoding="utf-8")
