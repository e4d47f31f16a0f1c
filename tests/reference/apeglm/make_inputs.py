"""Takes the facts that are frozen here out of PyDESeq2's source distribution.

python make_inputs.py pydeseq2-0.5.4.tar.gz   (pip download pydeseq2==0.5.4 --no-binary :all:
--no-deps)
"""

from __future__ import annotations

import io
import sys
import tarfile

import pandas as pd

CASES = {
    "single_factor": "datasets/synthetic",
    "multi_factor": "datasets/synthetic",
    "continuous": "tests/data/continuous",
}

with tarfile.open(sys.argv[1]) as archive:
    root = archive.getnames()[0].split("/")[0]

    def read(path: str) -> pd.DataFrame:
        stream = archive.extractfile(f"{root}/{path}")
        assert stream is not None
        return pd.read_csv(io.BytesIO(stream.read()), index_col=0)

    values = []
    for case, folder in CASES.items():
        results = f"tests/data/{case}"
        plain, shrunken = (
            read(f"{results}/r_test_{name}.csv") for name in ("res", "lfc_shrink_res")
        )
        part = plain[["baseMean", "log2FoldChange", "lfcSE"]].set_axis(
            ["base_mean", "log2fc", "lfc_se"], axis=1
        )
        part["log2fc_shrunk"] = shrunken["log2FoldChange"]
        part["dispersion"] = read(f"{results}/r_test_dispersions.csv").iloc[:, 0]
        values.append(part.rename_axis("gene_id").reset_index().assign(case=case))
        counts, obs = (read(f"{folder}/test_{name}.csv") for name in ("counts", "metadata"))
        name = "continuous" if case == "continuous" else "synthetic"
        obs["size_factor"] = read(f"{results}/r_test_size_factors.csv").iloc[:, 0]
        counts.rename_axis("gene_id").to_csv(f"counts_{name}.tsv", sep="\t", lineterminator="\n")
        obs.rename_axis("sample_id").to_csv(f"obs_{name}.tsv", sep="\t", lineterminator="\n")
    pd.concat(values).to_csv("values.tsv", sep="\t", index=False, lineterminator="\n")
