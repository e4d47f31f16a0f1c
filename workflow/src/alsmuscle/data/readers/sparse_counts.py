"""Counts of barcodes and features as one sparse matrix: what is none is refused, never rounded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

GENE_EXPRESSION = "Gene Expression"
# What else 10x's programs count beside genes.
_OTHERS = (
    "antibody capture",
    "crispr guide capture",
    "multiplexing capture",
    "custom",
    "peaks",
    "antigen capture",
)
RAW = "use the raw count matrix (10x 'filtered_feature_bc_matrix', or counts in a layer)"
AGAIN = "fetch the file again; if it stays broken the archive's copy is broken"
_MANY = 1000  # values of which some differ in any sample that was sequenced
_ENSEMBL_VERSION = re.compile(r"^(ENS[A-Z]*G\d{11})\.\d+(_PAR_Y)?$")


def describe_values(
    values: Iterable[npt.NDArray[Any]], sums: Callable[[], npt.NDArray[Any]]
) -> str:
    """Say what kind of values a matrix holds: ``counts`` or, for a message, what else it may be.

    Judged by the stored values: whole and not negative are counts, unless all are the same one;
    equal row sums are a fixed-sum normalisation (TPM and CPM sum to a million); values below about
    20 are log-transformed; the rest may be FPKM or corrected values.

    Parameters
    ----------
    values
        The stored values, in any number of blocks.
    sums
        Gives the sum of each row; asked for where values are not whole.
    """
    size, whole = 0, True
    low: Any = np.inf
    high: Any = -np.inf
    for block in values:
        if block.size == 0:
            continue
        if block.dtype.kind not in "iufb":
            complex_ones = block.dtype.kind == "c"
            return "complex numbers" if complex_ones else "values that are no numbers"
        if not np.all(np.isfinite(block)):
            return "missing or infinite values"
        size += block.size
        low, high = min(low, block.min()), max(high, block.max())
        whole = whole and (block.dtype.kind in "iub" or bool(np.all(block == np.rint(block))))
    if size == 0:
        kind = "nothing but zeros"
    elif low < 0:
        kind = "negative values (scaled or log ratios)"
    elif size >= _MANY and low == high:
        kind = f"the same value, {high:g}, wherever it has one (a pattern, or binarised)"
    elif whole:
        kind = "counts"
    else:
        per_row = sums()
        per_row = per_row[per_row > 0]
        if len(per_row) > 1 and per_row.std() < 1e-3 * per_row.mean():
            what = "TPM or CPM" if abs(per_row.mean() - 1e6) < 1e4 else "normalised values"
            kind = f"{what} (every barcode sums to {per_row.mean():.4g})"
        elif high < 20:
            kind = f"log-normalised values (not whole numbers, maximum {high:.3g})"
        else:
            kind = "values that are not whole numbers (FPKM, TPM or ambient-corrected)"
    return kind


def check_sizes(where: Path, n_barcodes: int, found: int, n_features: int, named: int) -> None:
    """Stop where a matrix has other numbers of barcodes or features than are named."""
    if n_barcodes != found:
        raise InputError(
            f"the matrix has {n_barcodes} barcodes but {found} are named",
            where=where,
            remedy="barcodes and matrix come from different runs: fetch them together",
        )
    if n_features != named:
        raise InputError(
            f"the matrix has {n_features} features but {named} are named",
            where=where,
            remedy="features and matrix come from different runs: fetch them together",
        )


def csr(where: Path, data: Any, indices: Any, indptr: Any, shape: tuple[int, int]) -> csr_matrix:
    """Build an int32 CSR matrix, refusing what is empty or not counts."""
    from scipy import sparse

    if shape[0] == 0 or shape[1] == 0:
        raise InputError(
            f"the sample is empty ({shape[0]} barcodes x {shape[1]} features)",
            where=where,
            remedy="remove the sample from the study's card, with the reason",
        )
    X = sparse.csr_matrix((data, indices, indptr), shape=shape)
    require_counts(where, X)
    return counted(where, X)


def counted(where: str | Path, X: csr_matrix) -> csr_matrix:
    """Make a matrix whose values are counts int32, and add entries of one place."""
    _refuse_large(X.data, where)
    if not X.has_canonical_format:
        X.data = X.data.astype(np.int64)  # sums in the file's own type may wrap
        X.sum_duplicates()
        _refuse_large(X.data, where)
    X.data = X.data.astype(np.int32, copy=False)
    return X


def require_counts(where: str | Path, X: Any) -> None:
    """Refuse a sparse matrix whose stored values are not counts, or more than can be stored."""
    kind = describe_values([np.asarray(X.data)], lambda: np.asarray(X.sum(axis=1)).ravel())
    if kind == "nothing but zeros":
        raise InputError("the sample is empty (no counts)", where=where, remedy=AGAIN)
    if kind != "counts":
        raise InputError(f"the matrix holds {kind}", where=where, expected="raw counts", remedy=RAW)
    _refuse_large(X.data, where)


def _refuse_large(counts: np.ndarray[Any, Any], where: str | Path) -> None:
    if counts.max(initial=0) >= 2**31:  # as a float32, 2^31 - 1 would be that, too
        raise InputError(
            f"a count of {counts.max():,}: more than can be stored", where=where, remedy=AGAIN
        )


def assemble(
    where: Path,
    X: csr_matrix,
    barcodes: list[str],
    ids: list[str],
    symbols: list[str],
    *,
    kinds: Sequence[str] | None = None,
    several: bool = False,
) -> AnnData:
    """Put counts, barcodes and genes together; rows of one gene are added.

    Parameters
    ----------
    where
        File, for messages.
    X
        Barcodes × features, counts.
    barcodes, ids, symbols
        Names of the rows, and of the columns.
    kinds
        What each feature is; those that are not of gene expression (antibodies, guides, peaks) are
        left out and counted in ``uns["n_other_features"]``.
    several
        Whether the matrix holds several samples, each of which may have a barcode.

    Raises
    ------
    InputError
        A sample has a barcode twice, or no feature is of gene expression.
    """
    from alsmuscle.core.annotated import AnnData

    if not several:
        require_unique(barcodes, where)
    if kinds is not None and len(kinds) != len(ids):
        raise InputError(f"{len(ids)} gene ids but {len(kinds)} kinds of feature", where=where)
    index = [_ENSEMBL_VERSION.sub(r"\1\2", str(i)) for i in ids]
    var = pd.DataFrame({"symbol": symbols, "source_id": ids}, index=pd.Index(index, name="gene_id"))
    keep = _of_expression(kinds, len(var))
    n_other = int((~keep).sum())
    if n_other == len(var):
        raise InputError("no gene-expression features", where=where, remedy=RAW)
    if n_other:
        X, var = X[:, keep], var[keep]
    obs = pd.DataFrame(index=pd.Index(barcodes, name="barcode"))
    plain = AnnData(X, obs=obs, var=var.set_axis(pd.RangeIndex(len(var)).astype(str)))
    out = rename_genes(plain, var.rename_axis("gene_id").reset_index())
    out.uns["n_other_features"] = n_other
    return out


def require_unique(barcodes: Sequence[str], where: str | Path) -> None:
    """Raise InputError where one sample has a barcode twice."""
    names = pd.Series(list(barcodes), dtype=object)
    twice = names[names.duplicated()]
    if len(twice):
        raise InputError(
            f"{len(twice)} barcodes occur twice, e.g. {twice.iloc[0]}",
            where=where,
            expected="unique barcodes within one sample",
            remedy="if several samples were joined without a suffix, `cells.sample_column` has to "
            "name the column that tells them apart",
        )


def _of_expression(kinds: Sequence[str] | None, n: int) -> np.ndarray[Any, Any]:
    """Say which features are genes; a third column may hold something else,
    such as a chromosome.
    """
    if kinds is None:
        return np.ones(n, dtype=bool)
    words = pd.Series(list(kinds), dtype=object).astype(str).str.strip().str.lower()
    genes = words == GENE_EXPRESSION.lower()
    if not (genes | words.isin(_OTHERS)).any():
        return np.ones(n, dtype=bool)
    return np.asarray(genes, dtype=bool)


def rename_genes(sample: AnnData, identified: pd.DataFrame) -> AnnData:
    """Give a sample's genes their current ids and symbols.

    Parameters
    ----------
    sample
        A reader's output.
    identified
        ``gene_id`` and ``symbol`` per gene of the sample, in its order (``genes.identify`` of
        ``var["source_id"]``).

    Returns
    -------
    AnnData
        ``var`` index ``gene_id``, columns ``symbol`` and ``source_id``; rows of one gene are added
        (the first one's names stay) and counted in ``uns["n_summed_features"]``.

    Raises
    ------
    InputError
        When the rows are not the sample's.
    """
    from scipy import sparse

    from alsmuscle.core.annotated import AnnData

    if len(identified) != sample.n_vars:
        raise InputError(f"{len(identified)} gene names for {sample.n_vars} genes")
    var = pd.DataFrame(
        {
            "symbol": identified["symbol"].to_numpy(),
            "source_id": sample.var["source_id"].to_numpy(),
        },
        index=pd.Index(identified["gene_id"].to_numpy(dtype=object), name="gene_id"),
    )
    X = sparse.csr_matrix(sample.X)
    code, genes = pd.factorize(var.index)
    if len(genes) < len(code):
        ones = np.ones(len(code), dtype=np.int64)
        to_gene = sparse.csr_matrix((ones, (np.arange(len(code)), code)), (len(code), len(genes)))
        total = (X @ to_gene).tocsr()
        _refuse_large(total.data, "rows of one gene, summed")
        X = total.astype(X.dtype)
        X.sort_indices()
        var = var[~var.index.duplicated()]
    out = AnnData(X, obs=sample.obs, var=var, uns=dict(sample.uns))
    out.uns["n_summed_features"] = len(code) - len(genes)
    return out


def split_samples(obs: pd.DataFrame, column: str) -> dict[str, npt.NDArray[np.int64]]:
    """Return where the barcodes of each sample stand, by a column of a study's ``obs``.

    Raises InputError when the column is missing or has empty values.
    """
    if column not in obs:
        raise InputError(f"no column '{column}' in obs", expected=", ".join(map(str, obs.columns)))
    if obs[column].isna().any():
        raise InputError(f"{int(obs[column].isna().sum())} barcodes without '{column}'")
    label = obs[column].astype(str).to_numpy()
    return {str(name): np.flatnonzero(label == name) for name in sorted(set(label))}
