"""Raw counts: are they counts at all, whose are they, and which genes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle.core.contracts import measure
from alsmuscle.core.errors import InputError
from alsmuscle.data import genes

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData


# Numbers are read as decimals, which hold whole numbers up to here.
_MOST = 2**53
# Genes from which the range of counts, and equal samples, say something.
ENOUGH_GENES = 50


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
    _refuse_copies(matrix, where)
    whole = float(np.mean(values[values != 0] % 1 == 0)) if (values != 0).any() else 1.0
    guess = _looks_like(values, whole) or _odd_sample(matrix, whole)
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
            f"sample '{matrix.columns[total.argmax()]}' has {total.max():.3g} reads: more than "
            "can be stored exactly",
            where=where,
            expected=f"at most {_MOST:,} in all",
        )
    notes = []
    if kind == "expected_counts":
        notes.append(
            "Counts are estimates (RSEM, salmon or kallisto) and were rounded to whole numbers; "
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
    import numpy as np

    if (values < 0).any():
        return "there are negative values, as in log ratios"
    if values.max() < 30 and (whole < 1 or len(values) >= ENOUGH_GENES):
        return f"no value is above {values.max():.3g}, as in logarithms, ranks or calls"
    sums = values.sum(axis=0)
    if len(sums) > 1 and ((sums > 0.98e6) & (sums < 1.02e6)).all():
        return "every sample sums to one million, as in TPM or CPM"
    if len(sums) > 2 and np.ptp(sums) < 1e-3 * sums.mean():
        return f"every sample sums to {sums.mean():,.0f}, as after scaling or drawing to one depth"
    if whole == 1:
        return ""
    if whole < 0.2:
        return f"{_fraction(whole)}, as in FPKM or another normalised unit"
    parts = values[values % 1 != 0]
    thousandths, hundredths = (np.abs(parts * n - np.rint(parts * n)) < 1e-6 for n in (1e3, 1e2))
    if values.max() < 1000 and thousandths.all() and not hundredths.all():
        return "no value reaches 1000 and all decimals have three digits: points between thousands"
    return ""


def _odd_sample(matrix: pd.DataFrame, whole: float) -> str:
    """Name a sample that holds another unit than the others; empty when there is none."""
    if whole == 1:
        return ""
    filled = matrix.mask(matrix == 0)
    shares = (filled % 1 == 0).sum() / filled.notna().sum()
    odd = shares.index[(shares < 0.2) & (shares < whole / 2)]
    if not len(odd):
        return ""
    return (
        f"of sample '{odd[0]}' {_fraction(float(shares[odd[0]]))}, of all samples' {1 - whole:.1%}"
    )


def _refuse_copies(matrix: pd.DataFrame, where: str) -> None:
    """Object to samples that are the same numbers: one library twice, or no counts at all."""
    import numpy as np

    if len(matrix) < ENOUGH_GENES:
        return
    seen: dict[bytes, object] = {}
    copies = []
    for position, name in enumerate(matrix.columns):
        column = matrix.iloc[:, position].to_numpy(dtype=float)
        first = seen.setdefault(np.ascontiguousarray(column).tobytes(), name)
        copies += [(first, name)] if first is not name and column.any() else []
    if not copies:
        return
    if len(seen) == 1:
        raise InputError(
            f"all {matrix.shape[1]} samples have the same number for every gene: lengths or "
            "positions of genes, and no counts",
            where=where,
            expected="counts, which differ between samples",
            remedy="correct `counts.count_column`",
        )
    one, other = copies[0]
    raise InputError(
        f"samples '{one}' and '{other}' have the same number for every gene"
        + (f" ({len(copies)} such pairs)" if len(copies) > 1 else ""),
        where=where,
        expected="a library of its own for every sample",
        remedy="leave one of them out under `samples.exclude` with the reason, or correct the file",
    )


def fingerprints(counts: AnnData) -> dict[str, str]:
    """Return sample → sha256 of its non-zero counts (or intensities, to 1e-4) by gene id.

    Neither the order of the genes nor genes without reads matter, so that one library is known
    again in another series that was counted the same way.
    """
    import hashlib

    import numpy as np

    ids = counts.var_names.to_numpy(dtype=str)
    order = np.argsort(ids, kind="stable")
    ids = ids[order].astype(object)  # as text of Python's own, which joins ten times as fast
    found = {}
    unit = 1 if measure(counts) == "counts" else 1e-4
    for number, sample in enumerate(counts.obs_names):
        row = np.rint(np.asarray(counts.X[number]).ravel()[order] / unit)
        kept = row > 0
        content = "\n".join(ids[kept]).encode() + row[kept].astype("<i8").tobytes()
        found[str(sample)] = hashlib.sha256(content).hexdigest()
    return found


def assemble(
    counts: pd.DataFrame,
    identity: pd.DataFrame,
    samples: pd.DataFrame,
    provenance: Mapping[str, Any],
) -> AnnData:
    """Put counts, genes and samples together; rows that are one gene are summed, repeated ones
    once.

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
    import numpy as np
    import pandas as pd

    from alsmuscle.core.annotated import anndata

    order = samples["sample_id"].tolist()
    values = counts[order].to_numpy()
    nameless = genes.is_nameless(counts.index).to_numpy()
    again = ~nameless & _listed_again(identity["gene_id"].to_numpy(), values)
    said = []
    if nameless.any():
        said.append(f"{nameless.sum():,} rows without the name of a gene were left out.")
    if again.any():
        said.append(
            f"{again.sum():,} rows repeat another row of their gene, number by number, such as "
            f"'{counts.index[again][0]}': counted once."
        )
    status = identity["status"].mask(again).value_counts()
    provenance = {**provenance, "notes": [*provenance.get("notes", []), *said]}
    left_out = nameless | again
    counts, identity, values = counts[~left_out], identity[~left_out], values[~left_out]
    gene_ids = identity["gene_id"].to_numpy()
    codes, unique = pd.factorize(gene_ids)
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
                "rows_in_source": len(left_out),
                "rows_summed": int(len(gene_ids) - len(unique)),
                "rows_by_status": {str(name): int(n) for name, n in status.items()},
            }
        },
    )


def without_total(counts: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Leave out a row that holds the sum of all others in every sample, whatever it is called.

    Genes × samples, integers. Returns also a sentence on what was left out.
    """
    import numpy as np

    values = counts.to_numpy()
    sums = values.sum(axis=0, dtype=np.int64)
    likely = np.flatnonzero(2 * values[:, 0].astype(np.int64) == sums[0])
    rows = [row for row in likely if (2 * values[row].astype(np.int64) == sums).all()]
    if len(rows) != 1 or len(values) < ENOUGH_GENES:
        return counts, []
    name = counts.index[rows[0]]
    kept = counts.iloc[np.arange(len(values)) != rows[0]]
    return kept, [f"Row '{name}' holds the sum of all others and was left out."]


def _listed_again(gene_ids: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Say which rows repeat a former row of their gene in every sample (a table joined to another).

    Genes × samples. Rows of fewer than three different numbers may agree by chance, and are added
    up.
    """
    import numpy as np
    import pandas as pd

    several = np.flatnonzero(pd.Series(gene_ids).duplicated(keep=False))
    again = np.zeros(len(gene_ids), dtype=bool)
    seen: set[tuple[object, bytes]] = set()
    for row in several:
        if len(np.unique(values[row])) < 3:
            continue
        key = (gene_ids[row], values[row].tobytes())
        again[row] = key in seen
        seen.add(key)
    return again
