"""What setting up the environment takes, by pip and by uv, as ``make`` does it the first time.

    python benchmarks/install.py uv > rows.tsv

Each is one call of make for an environment in a new folder, with nothing kept from earlier ones but
what the network's side keeps: packages are downloaded, checked by their hashes and unpacked, the
project is installed, and what numba compiles is compiled. Wall seconds hold the downloads, so they
belong to a network, too. ``first_import_s`` are CPU seconds of the first ``import scanpy`` after
it, ``mb`` is what the environment takes on disk then.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import pandas as pd
from run import ROOT, command


def environment(way: str, scratch: Path) -> dict[str, str]:
    """Return environment variables with which make takes ``way``, and finds nothing kept.

    Raises
    ------
    SystemExit
        uv is asked for and not there.
    """
    uv = shutil.which("uv")
    if way == "uv" and not uv:
        raise SystemExit("uv is not on PATH")
    folders = os.environ["PATH"].split(os.pathsep)
    if way == "pip":
        folders = [folder for folder in folders if not (Path(folder) / "uv").exists()]
    kept = {"PIP_CACHE_DIR": scratch / "pip", "UV_CACHE_DIR": scratch / "uv"}
    path = {"PATH": os.pathsep.join(folders), "NUMBA_CACHE_DIR": str(scratch / "numba")}
    return path | {name: str(folder) for name, folder in kept.items()}


def main() -> None:
    """Set up the environment once; print a row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("way", choices=["pip", "uv"])
    way = parser.parse_args().way
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.update(environment(way, Path(scratch)))
        made = Path(scratch) / ".venv"
        _, took = command(["make", f"VENV={made}", f"{made}/.installed"], ROOT)
        _, first = command([f"{made}/bin/python", "-c", "import scanpy"], ROOT)
        size = sum(path.lstat().st_size for path in made.rglob("*")) / 1e6
    row = {"way": way, "cpu_s": took["cpu_s"], "wall_s": took["wall_s"]}
    row |= {"first_import_s": first["cpu_s"], "mb": size}
    print(pd.DataFrame([row]).to_csv(sep="\t", index=False, float_format="%.4g"), end="")


if __name__ == "__main__":
    main()
