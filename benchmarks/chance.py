"""How often an unlucky draw of real people makes false calls, and what a hidden factor says of it.

Run: python benchmarks/chance.py gse140261 [--draws 100] > rows.tsv; needs the mirror
(``ALSMUSCLE_MIRROR``).

Twenty splits, as ``calls.py`` can afford, do not measure a mean that one or two of them make. Here
people of one group of several studies are split many more times, with the same planted genes, and
tested by a test that costs a tenth: a linear model of log counts with moderated t (the same genes,
the same moderation over mean expression; no quasi-likelihood). Called are genes by their own
p-values, and by those that know of the samples' strongest hidden factor
(:func:`alsmuscle.bulk.engines.with_hidden_factor`).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from calls import ALPHA, HERE, score, thinned
from pydeseq2.preprocessing import deseq2_norm

from alsmuscle.bulk import hidden, quasi
from alsmuscle.core import files
from alsmuscle.data import cards, studies
from alsmuscle.data.fetch import study_files
from alsmuscle.data.tables import MANIFEST
from alsmuscle.stats import distributions, linear

POOLS = {
    ("gse140261", "fshd"): (3, 6, 10, 12),
    ("gse184951", "healthy"): (3, 5),
    ("gse184951", "dm1"): (3, 5),
    ("gse129643", "old"): (3, 7),
}


def people(dataset: str, condition: str, mirror: Path, folder: Path) -> pd.DataFrame:
    """Return genes x samples of one group of a study, as the workflow reads them."""
    card = cards.load_cards(HERE.parent / "config" / "datasets")[dataset]
    manifest, _ = study_files(card, cache=folder, mirror=mirror)
    path = folder / f"{dataset}.tsv"
    files.write_table(path, files.contracts.rows(manifest, MANIFEST), MANIFEST)
    adata = studies.read_bulk(card, files.read_table(path, MANIFEST))[0]
    part = adata[(adata.obs["condition"].astype(str) == condition).to_numpy()]
    return pd.DataFrame(np.asarray(part.X).T, part.var_names, part.obs_names).astype(np.int64)


def row(counts: pd.DataFrame, n: int, draw: int) -> dict[str, float]:
    """Return what is called of one draw, without and with regard to its hidden factor."""
    made, sign = thinned(counts, n, draw)
    normed = np.asarray(deseq2_norm(made.to_numpy().T)[0])
    keep = quasi.expressed(normed, n)
    values = np.log2(normed.T[keep] + 0.5)
    X = np.column_stack([np.ones(2 * n), np.repeat([1.0, 0.0], n)])
    vector = np.array([0.0, 1.0])
    plain = linear.moderated_t(linear.fit(values, X), vector, trend=True)
    found = hidden.factor(values, X, vector)
    up = (plain["effect"] > 0).to_numpy()
    padj = distributions.adjust(plain["pvalue"])
    tested = plain.rename(columns={"effect": "log2fc", "se": "lfc_se"})
    called = hidden.calls(found, tested, alpha=ALPHA)
    knowing = padj if called is None else called["padj"].to_numpy()

    def scored(adjusted: np.ndarray) -> dict[str, float]:
        # Over all genes: those without enough reads are planted too, and never found.
        whole, direction = np.ones(len(sign)), np.zeros(len(sign), dtype=bool)
        whole[keep], direction[keep] = adjusted, up
        return score(whole, direction, sign)

    return {
        "hidden_share": found.share,
        "hidden_lean": found.lean,
        "hidden_pvalue": found.pvalue,
        **scored(padj),
        **{f"{key}_hidden": value for key, value in scored(knowing).items()},
    }


def main() -> None:
    """Draw from one study's groups; a row per draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=sorted({dataset for dataset, _ in POOLS}))
    parser.add_argument("--draws", type=int, default=100)
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    mirror = Path(os.environ["ALSMUSCLE_MIRROR"])
    for (dataset, condition), sizes in POOLS.items():
        if dataset != options.dataset:
            continue
        with tempfile.TemporaryDirectory() as folder:
            counts = people(dataset, condition, mirror, Path(folder))
        for n in sizes:
            for draw in range(options.draws):
                about = {"dataset": dataset, "group": condition, "n": n, "draw": draw}
                rows.append(about | row(counts, n, draw))
    print(pd.DataFrame(rows).to_csv(sep="\t", index=False, float_format="%.4g"), end="")


if __name__ == "__main__":
    main()
