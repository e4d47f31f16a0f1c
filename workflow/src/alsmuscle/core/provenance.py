"""What a result rests on: package versions, the commit, the effective configuration, run times."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# The packages that touch a number or a page.
PACKAGES = (
    "alsmuscle",
    "anndata",
    "gseapy",
    "harmonypy",
    "igraph",
    "jinja2",
    "matplotlib",
    "numba",
    "numpy",
    "pandas",
    "pydeseq2",
    "pynndescent",
    "scanpy",
    "scikit-learn",
    "scipy",
    "snakemake",
    "statsmodels",
    "umap-learn",
)


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return package → version, with Python and the operating system first."""
    found = {"python": platform.python_version(), "system": platform.system()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit(folder: str | Path) -> str:
    """Return the commit of a checkout, with ``+changes`` where files differ; empty without git."""
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+changes"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return run.stdout.strip()
