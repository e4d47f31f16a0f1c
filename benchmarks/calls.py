"""What is called on real counts with known effects, beside edgeR, limma-voom and DESeq2.

Run: python benchmarks/calls.py 6 [--replicates 20] > rows.tsv, the number of people on a side.
Needs the data mirror (``ALSMUSCLE_MIRROR``) and R with edgeR and DESeq2; ``--alone`` needs no R and
takes a fifth of the time.

Patients of GSE140261 (FSHD, second visit) are drawn at random into two sides of n. In a tenth of
the genes one side's counts are halved by binomial thinning: half of these genes fall in the target,
half in the reference. Nothing else differs but the people. Per replicate and method: genes called
at adjusted p 0.05, the share of them that is not planted or of the wrong sign (``fdp``), and the
share of planted genes called (``power``).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from alsmuscle.bulk import engines
from alsmuscle.data import cards

HERE = Path(__file__).resolve().parent
ALPHA = 0.05
CONTRAST = cards.contrast(
    {
        "role": "myopathy",
        "contrasts": [
            {"id": "a_vs_b", "label": "a against b", "variable": "condition"}
            | {"target": "a", "reference": "b"}
        ],
    },
    "a_vs_b",
)


def patients(mirror: Path) -> pd.DataFrame:
    """Return genes x patients of GSE140261."""
    folder = mirror / "files" / "GSE140261"
    counts = pd.read_csv(folder / "GSE140261_year2_genecounts.csv", index_col=0)
    sheet = pd.read_csv(folder / "GSE140261.meta.csv")
    names = sheet["title"].str.replace("_control", "") + "_II"
    disease = pd.Series(sheet["disease state:ch1"].to_numpy(), index=names)
    return counts[[name for name in counts if disease[name] != "Control"]].astype(np.int64)


def thinned(counts: pd.DataFrame, n: int, replicate: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return genes x 2n samples, the target first, and the planted direction of each gene."""
    rng = np.random.default_rng([n, replicate])
    chosen = counts.iloc[:, rng.permutation(counts.shape[1])[: 2 * n]]
    chosen = chosen[chosen.sum(axis=1) >= 10]
    X = chosen.to_numpy().copy()
    planted = rng.permutation(len(X))[: len(X) // 10]
    sign = np.zeros(len(X), dtype=int)
    sign[planted[: len(planted) // 2]], sign[planted[len(planted) // 2 :]] = 1, -1
    for direction, side in ((1, slice(n, None)), (-1, slice(n))):
        rows = np.flatnonzero(sign == direction)
        X[rows, side] = rng.binomial(X[rows, side], 0.5)
    return pd.DataFrame(X, chosen.index, chosen.columns), sign


def score(padj: np.ndarray, up: np.ndarray, sign: np.ndarray) -> dict[str, float]:
    """Return genes called, the false share of them, and the share of planted genes found."""
    called = np.nan_to_num(padj, nan=1.0) < ALPHA
    true = called & (sign != 0) & (up == (sign > 0))
    n_called = int(called.sum())
    return {
        "called": n_called,
        "fdp": 1 - true.sum() / n_called if n_called else 0.0,
        "power": true.sum() / (sign != 0).sum(),
    }


def ours(counts: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return the table of the workflow's own test, in the order of the genes."""
    names = [f"s{i}" for i in range(2 * n)]
    obs = pd.DataFrame({"condition": ["a"] * n + ["b"] * n, "subject_id": names}, index=names)
    var = pd.DataFrame({"symbol": counts.index, "source_id": counts.index}, index=counts.index)
    adata = anndata.AnnData(X=counts.to_numpy().T, obs=obs, var=var)
    fitted = engines.fit(adata, CONTRAST, min_total=10, inference="batched")
    options = {"alpha": ALPHA, "min_replicates": 3, "shrink": False, "inference": "batched"}
    options["hidden_factor"] = True
    table = engines.test(
        fitted,
        obs,
        CONTRAST,
        dataset="thinned",
        distribution="quasi",
        trend=False,
        **options,
    )
    return table.set_index("gene_id").reindex(counts.index)


def rows(counts: pd.DataFrame, n: int, replicate: int, *, alone: bool) -> list[dict[str, object]]:
    """Return a row per method."""
    made, sign = thinned(counts, n, replicate)
    table = ours(made, n)
    found = {"ours": (table["padj"].to_numpy(float), (table["log2fc"] > 0).to_numpy())}
    if not alone:
        found |= peers(made)
    return [
        {"n": n, "replicate": replicate, "method": name, **score(padj, up, sign)}
        for name, (padj, up) in found.items()
    ]


def peers(made: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return adjusted p and direction per gene of edgeR, limma-voom and DESeq2."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        made.to_numpy("<i4").T.tofile(Path(folder) / "counts.bin")
        Path(folder, "genes.txt").write_text("\n".join(map(str, made.index)) + "\n")
        subprocess.run(["Rscript", str(HERE / "calls.R"), folder], check=True)
        r = pd.read_csv(Path(folder) / "r.tsv", sep="\t")
    for name in ("edgeR", "voom", "DESeq2"):
        up = r[f"{name}_up"].map({"TRUE": True, True: True}).fillna(False)
        found[name] = (r[name].to_numpy(float), up.to_numpy(bool))
    return found


def main() -> None:
    """Run all replicates of one size; a row per replicate and method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", type=int)
    parser.add_argument("--replicates", type=int, default=20)
    parser.add_argument("--alone", action="store_true", help="ours only, without R")
    options = parser.parse_args()
    counts = patients(Path(os.environ["ALSMUSCLE_MIRROR"]))
    found: list[dict[str, object]] = []
    for replicate in range(options.replicates):
        found += rows(counts, options.size, replicate, alone=options.alone)
    print(pd.DataFrame(found).to_csv(sep="\t", index=False, float_format="%.6g"), end="")


if __name__ == "__main__":
    main()
