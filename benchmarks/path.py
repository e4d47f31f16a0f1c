"""The whole bulk path of a study, ours beside the field's usual R script, one after the other.

    python benchmarks/path.py gse140261 > rows.tsv

Ours are the workflow's jobs ``bulk_fit`` and ``bulk_contrast`` from the downloaded files on: all
that a run does with a study, as ``snakemake --cores 1`` does it. R (``path.R``) reads the same
matrix, fits DESeq2 with all groups, tests the same contrasts, transforms (``vst``), takes
components and ranks the same gene sets (limma's ``cameraPR``). Each way is a command of its own on
one core; CPU seconds (with all children, imports and Snakemake itself), wall seconds and the peak
memory of the largest process are what the system says of it. ``bulk_fit_s`` and ``bulk_contrast_s``
are the wall seconds of the jobs alone. On a machine that others use, trust CPU seconds. Needs the
mirror (``ALSMUSCLE_MIRROR``) and R.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import yaml
from run import command
from workflow import make_copy, snakemake

from alsmuscle.core import files
from alsmuscle.data import cards

HERE = Path(__file__).resolve().parent


def ours(folder: Path, card: dict[str, Any]) -> dict[str, float]:
    """Run the two rules for one study, its files being there already."""
    name = card["id"]
    (folder / "study.yaml").write_text(yaml.safe_dump({"studies": {"ids": [name]}}))
    options = ["--configfile", "study.yaml"]
    snakemake(folder, "fetch", "--quiet", "all", *options)
    wanted = [f"results/bulk/{name}/{each['id']}/de.tsv" for each in card["contrasts"]]
    plain = [sys.executable, "-m", "snakemake", "--cores", "1", *wanted, "--quiet", "all"]
    found = command([*plain, *options], folder)[1]
    for rule in ("bulk_fit", "bulk_contrast"):
        times = (folder / "results" / "benchmarks" / rule).glob("*.tsv")
        found[f"{rule}_s"] = sum(pd.read_csv(path, sep="\t")["s"].sum() for path in times)
    return found


def write_input(folder: Path, card: dict[str, Any], sets: Path) -> None:
    """Write the matrix that ours read, and the study's groups and contrasts, as R reads them."""
    adata = anndata.read_h5ad(folder / "results" / "bulk" / card["id"] / "counts.h5ad")
    counts = pd.DataFrame(np.asarray(adata.X).T.astype(int), adata.var_names, adata.obs_names)
    counts.to_csv(folder / "counts.tsv", sep="\t")
    adata.obs[["condition", "subject_id"]].to_csv(folder / "samples.tsv", sep="\t")
    symbols = adata.var["symbol"] if card["organism"] == "human" else files.human_names()
    symbols.reindex(adata.var_names).to_csv(folder / "symbols.tsv", sep="\t", header=False)
    (folder / "sets.gmt").write_bytes(sets.read_bytes())
    rows = [
        {key: each[key] for key in ("id", "target", "reference")}
        | {"block": each.get("block") or "", "within": ",".join(_within(each))}
        for each in card["contrasts"]
    ]
    pd.DataFrame(rows).to_csv(folder / "contrasts.tsv", sep="\t", index=False)


def _within(contrast: dict[str, Any]) -> list[str]:
    return list(contrast.get("within", {}).get("condition", []))


def main() -> None:
    """Measure both ways for one study; rows go to standard output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study")
    card = cards.load_cards(HERE.parent / "config" / "datasets")[parser.parse_args().study]
    index = pd.read_csv(Path(os.environ["ALSMUSCLE_MIRROR"]) / "index.tsv", sep="\t")
    hallmark = cards.load_yaml(HERE.parent / "config" / "collections.yaml")["hallmark"]
    held = index.set_index("url").loc[hallmark["url"], "path"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_copy(folder)
        found = {"ours": ours(folder, card)}
        write_input(folder, card, Path(os.environ["ALSMUSCLE_MIRROR"]) / held)
        found["R"] = command(["Rscript", str(HERE / "path.R")], folder)[1]
        samples = len(pd.read_csv(folder / "samples.tsv", sep="\t"))
    about = {"study": card["id"], "samples": samples, "contrasts": len(card["contrasts"])}
    table = pd.DataFrame([about | {"way": way} | row for way, row in found.items()])
    print(table.to_csv(sep="\t", index=False, float_format="%.4g"), end="")


if __name__ == "__main__":
    main()
