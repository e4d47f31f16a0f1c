"""Raw counts: are they counts at all, whose are they, and which genes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle.core.contracts import measure
from alsmuscle.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData


# Numbers are read as decimals, which hold whole numbers up to here.
_MOST = 2**53


def as_counts(matrix: pd.DataFrame, kind: str, where: str) -> tuple[pd.DataFrame, list[str]]:
    """Return whole-number counts, refusing what only looks like counts.

    Parameters
    ----------
    matrix
        Genes × samples, numeric.
    kind
        ``counts``, ``expected_counts`` (rounded, with a note), or ``coverage`` (recount3's sums,
        already turned into read counts; with a note).
    where
        Study and file, for the message.

    Returns
    -------
    counts
        Integers, genes × samples.
    notes
        Sentences for the report (such as that expected counts were rounded).

    Raises
    ------
    InputError
        Values are missing, negative, normalised (FPKM, TPM, CPM, logarithms), or more than can be
        stored.
    """
    import numpy as np
    import pandas as pd

    values = matrix.to_numpy(dtype=float)
    if values.size == 0:
        raise InputError("the matrix is empty", where=where)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"missing or infinite value at gene '{matrix.index[row]}', sample "
            f"'{matrix.columns[column]}'",
            where=where,
            expected="a count in every cell",
        )
    whole = float(np.mean(values[values != 0] % 1 == 0)) if (values != 0).any() else 1.0
    guess = _looks_like(values, whole)
    if guess or (values < 0).any() or (kind != "expected_counts" and whole < 1):
        raise InputError(
            f"these are not raw counts: {guess or _fraction(whole)}",
            where=where,
            expected="whole numbers from 0"
            + (" (or estimates close to them)" if kind == "expected_counts" else ""),
            remedy="use the study's raw counts; if they are RSEM or salmon estimates, set "
            "`counts.type: expected_counts`; normalised values cannot be modelled as counts",
        )
    total = values.sum(axis=0)
    if (total == 0).any():
        raise InputError(
            f"sample '{matrix.columns[total == 0][0]}' has no read at all", where=where
        )
    if total.max() > _MOST:
        raise InputError(
            f"sample '{matrix.columns[total.argmax()]}' has {total.max():.3g} reads: more than can be "
            "stored exactly",
            where=where,
            expected=f"at most {_MOST:,} in all",
        )
    notes = []
    if kind == "expected_counts":
        notes.append(
            "Counts are estimates (RSEM or salmon) and were rounded to whole numbers; "
            f"{1 - whole:.0%} of the non-zero values were not whole."
        )
    if kind == "coverage":
        notes.append(
            "Read counts are recount3's base-pair sums divided by the mean mapped read length."
        )
    rounded = np.rint(values)
    dtype = np.int32 if rounded.max() < np.iinfo(np.int32).max else np.int64
    counts = pd.DataFrame(rounded.astype(dtype), index=matrix.index, columns=matrix.columns)
    return counts, notes


def _fraction(whole: float) -> str:
    return f"{1 - whole:.1%} of the non-zero values are not whole numbers"


def _looks_like(values: np.ndarray, whole: float) -> str:
    """Name the normalised unit that a matrix seems to hold; empty when it looks like counts."""
    if (values < 0).any():
        return "there are negative values, as in log ratios"
    if whole == 1:
        return ""
    sums = values.sum(axis=0)
    if ((sums > 0.98e6) & (sums < 1.02e6)).all():
        return "every sample sums to one million, as in TPM or CPM"
    if values.max() < 30:
        return f"no value is above {values.max():.3g}, as in logarithms"
    if whole < 0.2:
        return f"{_fraction(whole)}, as in FPKM or another normalised unit"
    return ""


def fingerprints(counts: AnnData) -> dict[str, str]:
    """Return sample → sha256 of its non-zero counts (or intensities, to 1e-4) by gene id.

    Neither the order of the genes nor genes without reads matter, so that one library is known
    again in another series that was counted the same way.
    """
    import hashlib

    import numpy as np

    ids = counts.var_names.to_numpy(dtype=str)
    order = np.argsort(ids, kind="stable")
    found = {}
    unit = 1 if measure(counts) == "counts" else 1e-4
    for number, sample in enumerate(counts.obs_names):
        row = np.rint(np.asarray(counts.X[number]).ravel()[order] / unit)
        kept = row > 0
        content = "\n".join(ids[order][kept]).encode() + row[kept].astype("<i8").tobytes()
        found[str(sample)] = hashlib.sha256(content).hexdigest()
    return found


def assemble(
    counts: pd.DataFrame,
    identity: pd.DataFrame,
    samples: pd.DataFrame,
    provenance: Mapping[str, Any],
) -> AnnData:
    """Put counts, genes and samples together; rows that are one gene are summed.

    Parameters
    ----------
    counts
        Genes × samples, integers; columns are sample ids.
    identity
        Row by row for ``counts``: ``gene_id``, ``symbol``, ``status``.
    samples
        Contract ``samples``, in the order of the result.
    provenance
        Goes to ``uns["provenance"]``, with the numbers of rows, summed rows and mapped rows added.

    Returns
    -------
    AnnData
        Contract ``bulk/<dataset>/counts.h5ad``: samples × genes.
    """
    import anndata
    import numpy as np
    import pandas as pd

    genes = identity["gene_id"].to_numpy()
    order = samples["sample_id"].tolist()
    codes, unique = pd.factorize(genes)
    values = counts[order].to_numpy()
    summed = np.zeros((len(unique), len(order)), dtype=np.int64)
    np.add.at(summed, codes, values)
    frame = pd.DataFrame(
        {
            "symbol": identity["symbol"].to_numpy(),
            "source_id": counts.index.to_numpy(),
            "status": identity["status"].to_numpy(),
        }
    )
    var = frame.groupby(codes, sort=False)[["symbol", "source_id", "status"]].first()
    # Few genes have several rows, and joining text takes them one by one.
    summed_rows = pd.Series(codes).duplicated(keep=False)
    several = frame.loc[summed_rows, "source_id"].groupby(codes[summed_rows]).agg(";".join)
    var.loc[several.index, "source_id"] = several
    var.index = pd.Index(unique.astype(str), name="gene_id")
    obs = samples.set_index("sample_id")
    for column in obs.columns:
        if obs[column].dtype.kind not in "fiu":
            obs[column] = obs[column].astype(str)
    dtype = np.int32 if summed.max(initial=0) < np.iinfo(np.int32).max else np.int64
    return anndata.AnnData(
        X=summed.T.astype(dtype),
        obs=obs,
        var=var,
        uns={
            "provenance": {
                **provenance,
                "rows_in_source": len(genes),
                "rows_summed": int(len(genes) - len(unique)),
                "rows_by_status": {
                    str(status): int(n) for status, n in identity["status"].value_counts().items()
                },
            }
        },
    )
