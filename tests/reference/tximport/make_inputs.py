"""Write made-up abundances of 4 runs, 90 transcripts of 30 genes, with what is hard for tximport.

Genes without any abundance, in one run only, with transcripts as short as a fragment; a run without
any read is left to the unit tests, since tximport divides by nought there.
"""

from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).parent


def main() -> None:
    draw = np.random.default_rng(7)
    length = draw.integers(250, 6000, 90)
    gene = np.array([f"G{i:02d}" for i in draw.permutation(np.arange(90) % 30)])
    genes = pd.DataFrame({"tx": [f"T{i:03d}" for i in range(90)], "gene": gene})
    genes.to_csv(FOLDER / "tx2gene.tsv", sep="\t", index=False)
    base = draw.gamma(0.5, 50, 90)
    for run, mean in enumerate((180.0, 210.0, 150.0, 300.0)):
        effective = np.maximum(length - mean + 1, draw.uniform(5, 40, 90))
        rate = base * draw.lognormal(0, 0.7, 90)
        rate[np.isin(gene, ("G03", "G17"))] = 0  # never
        rate[(gene == "G08") & (run != 1)] = 0  # in one run only
        rate[(gene == "G21") & (run == 2)] = 0  # lacking in one run
        counts = rate * effective / (rate * effective).sum() * (50_000 * (run + 1))
        counts = np.round(counts, 4)
        tpm = counts / effective / (counts / effective).sum() * 1e6
        pd.DataFrame(
            {
                "target_id": genes["tx"],
                "length": length,
                "eff_length": np.round(effective, 3),
                "est_counts": counts,
                "tpm": np.round(tpm, 6),
            }
        ).to_csv(FOLDER / f"abundance_{run + 1}.tsv", sep="\t", index=False)


if __name__ == "__main__":
    main()
