"""Derive the simulator's summary of a real muscle study from the study's counts.

Run by a maintainer, not by the workflow::

    python workflow/resources/build_simulation.py --mirror DIR [--out DIR]

``DIR`` is a data mirror that holds GSE140261 (FSHD biopsies and healthy controls). Writes
``simulation_genes.tsv.gz``: one row per gene that the simulator must know by name (programme and
marker genes), and a random sample of other well-measured genes, without a name, from which it
draws the rest. Columns:

``symbol``
    Empty for the sample of other genes.
``log_mean``
    Natural log of the controls' mean count at a depth of a million reads; the floor is 0.1 reads at
    the study's depth.
``log_dispersion``
    Natural log of the controls' dispersion (DESeq2's, shrunken towards its trend).
``loading1`` to ``loading4``
    Standard deviations (natural log) that the four strongest factors of the patients' residuals
    give a gene: the residual correlation of genes. Factors are those of standardised residuals of
    the variance-stabilised counts after removing batch.

The same counts give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from pydeseq2.dds import DeseqDataSet

from alsmuscle.bulk import deseq2, qc
from alsmuscle.bulk.inference import BatchedInference
from alsmuscle.core import files
from alsmuscle.data import derived, genes

N_FACTORS = 4
N_UNNAMED = 1500
MIN_COUNT = 20  # of the unnamed sample and of the genes that define the factors
CONFIG = Path(__file__).resolve().parents[2] / "config"
FOLDER = Path("files") / "GSE140261"


def _counts(mirror: Path) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Return counts (genes x samples, by gene id), batch and whether a sample is a control."""
    matrix = pd.read_csv(mirror / FOLDER / "GSE140261_year2_genecounts.csv", index_col=0)
    sheet = pd.read_csv(mirror / FOLDER / "GSE140261.meta.csv")
    sheet.index = sheet["title"].str.replace("_control", "") + "_II"
    sheet = sheet.loc[matrix.columns]
    identity = genes.identify(matrix.index, files.read_gene_table("human"), where="GSE140261")
    matrix.index = identity["gene_id"].to_numpy()
    matrix = matrix.groupby(level=0).sum()
    return matrix, sheet["batch:ch1"], sheet["disease state:ch1"] == "Control"


def _adata(matrix: pd.DataFrame, batch: pd.Series) -> anndata.AnnData:
    return anndata.AnnData(
        X=matrix.T.to_numpy(dtype=np.int64),
        obs=pd.DataFrame({"batch": batch.to_numpy()}, index=matrix.columns),
        var=pd.DataFrame({"symbol": "", "source_id": ""}, index=matrix.index),
    )


def _design(batch: pd.Series) -> pd.DataFrame:
    dummies = pd.get_dummies(batch, drop_first=True).astype(float)
    return dummies.set_axis([f"batch{i}" for i in range(dummies.shape[1])], axis=1).assign(
        Intercept=1.0
    )


def _baseline(matrix: pd.DataFrame, batch: pd.Series) -> pd.DataFrame:
    """Mean and dispersion of the controls."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dds = DeseqDataSet(
            adata=_adata(matrix, batch),
            design=_design(batch),
            refit_cooks=False,
            inference=BatchedInference(n_cpus=1),
            quiet=True,
        )
        dds.fit_size_factors()
        dds.fit_genewise_dispersions()
        dds.fit_dispersion_trend()
        dds.fit_dispersion_prior()
        dds.fit_MAP_dispersions()
    return pd.DataFrame(
        {
            "mean": dds.var["_normed_means"].astype(float),
            "dispersion": dds.var["dispersions"].astype(float),
        },
        index=dds.var_names,
    )


def _loadings(matrix: pd.DataFrame, batch: pd.Series) -> pd.DataFrame:
    """Return genes x factors: what the strongest residual factors do to each gene."""
    adata = _adata(matrix, batch)
    vst = deseq2.vst(adata, min_total=10, inference="batched").to_df() * np.log(2)
    design = _design(batch).to_numpy()
    residual = vst.to_numpy(dtype=float) - design @ (np.linalg.pinv(design) @ vst.to_numpy(float))
    df = len(design) - design.shape[1]
    measured = (matrix.mean(axis=1)[vst.columns] >= MIN_COUNT).to_numpy()
    standard = residual[:, measured] / np.sqrt((residual[:, measured] ** 2).sum(axis=0) / df)
    scores = np.linalg.svd(standard, full_matrices=False)[0][:, :N_FACTORS]
    scores = scores * np.sign(scores[np.abs(scores).argmax(axis=0), range(N_FACTORS)])
    return pd.DataFrame(
        residual.T @ scores / np.sqrt(df),
        index=vst.columns,
        columns=[f"loading{k + 1}" for k in range(N_FACTORS)],
    )


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description="Summarise a real study for the simulator.")
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    arguments = parser.parse_args()

    matrix, batch, control = _counts(arguments.mirror)
    baseline = _baseline(matrix.loc[:, control], batch[control])
    loadings = _loadings(matrix.loc[:, ~control], batch[~control])
    depth = matrix.loc[:, control].sum().mean() / 1e6
    table = baseline.join(loadings, how="left").fillna(dict.fromkeys(loadings, 0.0))
    mean = table["mean"].fillna(0).clip(lower=0.1)
    # A gene without reads in the controls has no dispersion: it gets that of the faintest genes.
    faint = table.loc[table["mean"].between(1, 5), "dispersion"].median()
    table = table.assign(
        log_mean=np.log(mean / depth),
        log_dispersion=np.log(table["dispersion"].fillna(faint).clip(0.003, 10)),
    )

    known = files.read_gene_table("human")
    known = known[known["primary"] == "1"].set_index("gene_id")
    panel = files.read_plain(CONFIG / "celltypes.tsv")
    wanted = {
        *files.read_plain(CONFIG / "programmes.tsv")["human"],
        *panel.loc[panel["organism"] == "human", "gene"],
        *(gene for gene in qc.HAEMOGLOBIN if gene.isupper()),
        derived.SEX_GENES["human"][0],
        *derived.SEX_GENES["human"][1],
        *known.loc[known["symbol"].str.startswith("MT-"), "symbol"],
    }
    found = genes.resolve_symbols(sorted(wanted), files.read_gene_table("human"))
    symbol_of = {gene: symbol for symbol, gene in found.items()}
    named = table[table.index.isin(list(symbol_of))]
    named = named.assign(symbol=[symbol_of[gene] for gene in named.index]).sort_values("symbol")
    coding = known.index[(known["biotype"] == "protein-coding") & (known["chromosome"] != "MT")]
    other = table[table.index.isin(coding) & ~table.index.isin(named.index)]
    other = other[other["mean"] >= MIN_COUNT]
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(len(other), N_UNNAMED, replace=False))
    other = other.iloc[chosen].assign(symbol="").sort_values("log_mean")
    result = pd.concat([named, other])
    columns = ["symbol", "log_mean", "log_dispersion", *loadings.columns]
    text = result[columns].to_csv(sep="\t", index=False, float_format="%.3f")
    path = arguments.out / "simulation_genes.tsv.gz"
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{path}: {len(named)} named and {len(other)} other genes, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
