"""Sample columns computed from a study's own values: sex, library size and similar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alsmuscle.core.contracts import measure

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


# XIST is expressed from the inactive X only; the Y genes are those of single copy that are
# expressed in many tissues (human) or known from sexing of mouse RNA-seq.
SEX_GENES = {
    "human": (
        "XIST",
        ("RPS4Y1", "DDX3Y", "EIF1AY", "KDM5D", "UTY", "USP9Y", "ZFY", "TXLNGY"),
    ),
    "mouse": ("Xist", ("Ddx3y", "Eif2s3y", "Kdm5d", "Uty")),
}


# log2(counts per million + 1). In biopsies the expressed state lies at 5 to 10, the silent one
# mostly below 1; neighbours on a flow cell leak a little. Above this a gene counts as expressed,
# and a sex that leads by more than LEAD settles it although the other one's genes are not silent.
EXPRESSED, LEAD = 2.0, 2.0
# Share of an array study's values that lie below its background.
BACKGROUND = 0.1


def expression(measured: AnnData) -> pd.DataFrame:
    """Return how much of every gene there is, on a scale whose 0 is silence; samples × genes.

    Counts: log2(counts per million + 1). Intensities: log2 above the study's background, the level
    below which a tenth of all values lie. Arrays see a narrower range: a strong gene stands 8 above
    background where it has 13 log2 counts per million.
    """
    import numpy as np
    import pandas as pd

    if measure(measured) == "counts":
        return log_cpm(measured)
    above = np.maximum(np.asarray(measured.X, dtype=float) - _background(measured), 0.0)
    return pd.DataFrame(above, index=measured.obs_names, columns=measured.var_names)


def _background(intensities: AnnData) -> float:
    import numpy as np

    return float(np.quantile(np.asarray(intensities.X, dtype=float), BACKGROUND))


def log_cpm(counts: AnnData) -> pd.DataFrame:
    """Return log2(counts per million + 1), samples × genes, columns = gene ids."""
    import numpy as np
    import pandas as pd

    X = np.asarray(counts.X, dtype=float)
    return pd.DataFrame(
        np.log2(X / X.sum(axis=1, keepdims=True) * 1e6 + 1),
        index=counts.obs_names,
        columns=counts.var_names,
    )


def sex_expression(counts: AnnData, organism: str) -> pd.DataFrame:
    """Return expression of XIST and of the Y genes, and the sex they speak for.

    Returns
    -------
    DataFrame
        Index sample id; ``xist`` and ``y_genes`` as :func:`expression`, the latter the
        mean over the Y genes that any sample expresses (arrays: medians over all probes, some of
        which measure something else); ``sex_inferred``: ``female``, ``male``,
        ``mixed`` (both expressed: mixture, contamination or XXY), or ``unclear`` (neither, or the
        genes are not in the matrix).
    """
    import numpy as np
    import pandas as pd

    x_gene, y_genes = SEX_GENES.get(organism, ("Xist", ()))
    if measure(counts) == "intensities":
        return _sex_by_probes(counts, x_gene)
    cpm = expression(counts)
    symbols = counts.var["symbol"].astype(str)
    xist = cpm.loc[:, (symbols == x_gene).to_numpy()]
    y = cpm.loc[:, symbols.isin(y_genes).to_numpy()]
    # A Y gene that no sample expresses tells nothing about any of them.
    y = y.loc[:, y.max() >= EXPRESSED] if (y.max() >= EXPRESSED).any() else y
    table = pd.DataFrame(
        {
            "xist": xist.max(axis=1) if xist.shape[1] else np.nan,
            "y_genes": y.mean(axis=1) if y.shape[1] else np.nan,
        },
        index=counts.obs_names,
    )
    return _with_sex(table)


def _sex_by_probes(intensities: AnnData, x_gene: str) -> pd.DataFrame:
    import pandas as pd

    probes = (intensities.obsm["sex_probes"] - _background(intensities)).clip(lower=0.0)
    of_x = probes.columns.str.startswith(f"{x_gene}:")
    middle = {"xist": probes.loc[:, of_x], "y_genes": probes.loc[:, ~of_x]}
    table = {name: part.median(axis=1) for name, part in middle.items()}
    return _with_sex(pd.DataFrame(table, index=intensities.obs_names))


def _with_sex(table: pd.DataFrame) -> pd.DataFrame:
    import numpy as np

    x_on, y_on = table["xist"] >= EXPRESSED, table["y_genes"] >= EXPRESSED
    lead = table["xist"] - table["y_genes"]
    table["sex_inferred"] = np.select(
        [x_on & (~y_on | (lead > LEAD)), y_on & (~x_on | (lead < -LEAD)), x_on & y_on],
        ["female", "male", "mixed"],
        "unclear",
    )
    return table


def sex_note(expressed: pd.DataFrame) -> str:
    """Say once for a study which sex genes its matrix lacks; empty where it has both kinds.

    ``expressed``: as :func:`sex_expression` returns it.
    """
    no_x, no_y = (bool(expressed[name].isna().all()) for name in ("xist", "y_genes"))
    if no_x and no_y:
        return "Neither XIST nor Y genes are in the matrix: the samples' sex cannot be checked."
    if no_x:
        return "XIST is not in the matrix: only male samples can be told from their RNA."
    if no_y:
        return "No Y gene is in the matrix: only female samples can be told from their RNA."
    return ""


def sex_symbols(organism: str) -> tuple[str, ...]:
    """Return the symbols of XIST and the Y genes."""
    x_gene, y_genes = SEX_GENES.get(organism, ("Xist", ()))
    return (x_gene, *y_genes)


def sexes_differ(moved: pd.Series[bool]) -> str:
    """Say that the sides of a published comparison differ in sex; empty where nothing says so.

    ``moved``: symbol → whether it is higher, of the genes that are called or move.
    """
    x_genes = {x_gene for x_gene, _ in SEX_GENES.values()}
    known = {symbol for organism in SEX_GENES for symbol in sex_symbols(organism)}
    own = {str(name): bool(up) for name, up in moved.items() if name in known}
    if not own:
        return ""
    names = ", ".join(f"{name} {'up' if up else 'down'}" for name, up in sorted(own.items()))
    if len({up != (name in x_genes) for name, up in own.items()}) > 1:
        return f"XIST and genes of the Y chromosome contradict each other on the sexes: {names}."
    return (
        f"The two sides differ in sex: {names} (the Y chromosome and XIST tell the sexes apart), "
        "so that a change may be one between men and women."
    )


def sex_gene_ids(counts: AnnData, organism: str) -> list[str]:
    """Return the gene ids of XIST and the Y genes in a study."""
    symbols = counts.var["symbol"].astype(str)
    return list(counts.var_names[symbols.isin(sex_symbols(organism)).to_numpy()])


def technical(counts: AnnData) -> pd.DataFrame:
    """Return what tells how a sample was processed: ``library_size`` and ``pct_mito``.

    Where these do not overlap between the sides of a contrast, the sides were probably not
    processed together. Intensities tell nothing of the kind: no column.
    """
    import numpy as np
    import pandas as pd

    if measure(counts) == "intensities":
        return pd.DataFrame(index=counts.obs_names)
    X = np.asarray(counts.X, dtype=float)
    mito = counts.var["symbol"].astype(str).str.upper().str.startswith("MT-").to_numpy()
    total = X.sum(axis=1)
    return pd.DataFrame(
        {"library_size": total.astype(np.int64), "pct_mito": 100 * X[:, mito].sum(axis=1) / total},
        index=counts.obs_names,
    )
