"""Are the samples what they claim to be? Metrics per sample, and flags that name their reason.

A flag never removes a sample: that is a line in the study's card, with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from alsmuscle.bulk import tissue
from alsmuscle.core.contracts import Measure, measure
from alsmuscle.stats import distributions

if TYPE_CHECKING:
    import numpy as np
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
HAEMOGLOBIN = (
    *("HBA1", "HBA2", "HBB", "HBD", "HBE1", "HBG1", "HBG2", "HBM", "HBQ1", "HBZ"),
    *("Hba-a1", "Hba-a2", "Hbb-bs", "Hbb-bt", "Hbb-b1", "Hbb-b2", "Hbb-y", "Hbb-bh1"),
)

# log2(counts per million + 1). In biopsies the expressed state lies at 5 to 10, the silent one mostly
# below 1; neighbours on a flow cell leak a little. Above this a gene counts as expressed, and a sex
# that leads by more than LEAD settles it although the other one's genes are not silent.
EXPRESSED, LEAD = 2.0, 2.0

# Share of a study's samples from which a fault is said to be its libraries' rather than a sample's.
COMMON = 0.25

# Share of an array study's values that lie below its background.
BACKGROUND = 0.1
UNIT = {"counts": "log2 CPM", "intensities": "log2 above background"}


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


def sex_symbols(organism: str) -> tuple[str, ...]:
    """Return the symbols of XIST and the Y genes."""
    x_gene, y_genes = SEX_GENES.get(organism, ("Xist", ()))
    return (x_gene, *y_genes)


def sex_gene_ids(counts: AnnData, organism: str) -> list[str]:
    """Return the gene ids of XIST and the Y genes in a study."""
    symbols = counts.var["symbol"].astype(str)
    return list(counts.var_names[symbols.isin(sex_symbols(organism)).to_numpy()])


def technical(counts: AnnData) -> pd.DataFrame:
    """Return what tells how a sample was processed: ``library_size`` and ``pct_mito``.

    Where these do not overlap between the sides of a contrast, the sides were probably not processed
    together. Intensities tell nothing of the kind: no column.
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


def metrics(
    counts: AnnData,
    vst: AnnData,
    organism: str,
    panels: pd.DataFrame,
    *,
    n_variable_genes: int,
    n_components: int,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Measure every sample.

    Parameters
    ----------
    counts
        Contract ``counts.h5ad`` or ``intensities.h5ad``.
    vst
        The same samples, log2 expression (variance-stabilised counts, or intensities).
    organism
        For the sex genes and the markers.
    panels
        ``config/tissues.tsv``: marker genes of tissues, limbs and fibre types.
    n_variable_genes, n_components
        Of the principal components.

    Returns
    -------
    table
        Contract ``qc`` without ``flags`` and ``reasons``, index = sample id.
    pca
        Contract ``pca``: coordinates, and per component its share of variance (the same in every row).
    correlation
        Samples × samples, Spearman, over all variance-stabilised genes.
    """
    import numpy as np
    import pandas as pd

    ranks = pd.DataFrame(np.asarray(vst.X, dtype=float)).rank(axis=1).to_numpy()
    correlation = pd.DataFrame(np.corrcoef(ranks), counts.obs_names, counts.obs_names)
    pca = components(vst, n_variable_genes, n_components)
    table = pd.DataFrame(
        {"dataset": counts.obs["dataset"].astype(str), "sample_id": counts.obs_names},
        index=counts.obs_names,
    )
    table = table.join(_of_counts(counts) if measure(counts) == "counts" else _of_arrays(counts))
    table[["xist", "y_genes", "sex_inferred"]] = sex_expression(counts, organism)
    table["sex_declared"] = counts.obs["sex"].astype(str)
    table = table.join(tissue.measure(expression(counts), counts.var, panels, organism))
    table["muscle_declared"] = counts.obs["muscle"].astype(str)
    table["transgenic"] = tissue.transgenic(counts.obs)
    table["median_correlation"] = _median_correlation(correlation, counts.obs["condition"])
    table["outlier_distance"] = _distance(pca.filter(regex=r"^pc\d+$"))
    return table, pca, correlation


OF_COUNTS = (
    *("library_size", "genes_detected", "pct_mito", "pct_ribo", "pct_hb"),
    *("top_gene_share", "top50_share"),
)


def _of_counts(counts: AnnData) -> pd.DataFrame:
    """What only reads can tell: depth, complexity, what they are spent on."""
    import numpy as np

    X = np.asarray(counts.X, dtype=float)
    total = X.sum(axis=1)
    symbols = counts.var["symbol"].astype(str)
    upper = symbols.str.upper()

    def percent(mask: pd.Series) -> np.ndarray:
        return np.asarray(100 * X[:, mask.to_numpy()].sum(axis=1) / total)

    names = symbols.where(symbols != "", counts.var_names.to_series())
    # Mitochondrial reads have a measure of their own.
    nuclear = np.where(upper.str.startswith("MT-").to_numpy(), 0.0, X)
    return technical(counts).assign(
        genes_detected=(X > 0).sum(axis=1),
        pct_ribo=percent(upper.str.fullmatch(r"RP[SL]\d+[A-Z]?\d*(?:L\d*)?")),
        pct_hb=percent(symbols.isin(HAEMOGLOBIN)),
        top_gene_share=nuclear.max(axis=1) / total,
        top_gene=names.to_numpy()[nuclear.argmax(axis=1)],
        top50_share=np.sort(X, axis=1)[:, -50:].sum(axis=1) / total,
        level=np.nan,
        level_spread=np.nan,
    )


def _of_arrays(intensities: AnnData) -> pd.DataFrame:
    """What only intensities can tell: whether an array lies on the others' level.

    The distribution of relative log expression, each value less its gene's median (Bolstad et al.
    2005, 10.1007/0-387-29362-0_3): its median is 0 for an array like the others, its spread small.
    """
    import numpy as np
    import pandas as pd

    X = np.asarray(intensities.X, dtype=float)
    low, middle, high = np.quantile(X - np.median(X, axis=0), [0.25, 0.5, 0.75], axis=1)
    table = pd.DataFrame(np.nan, index=intensities.obs_names, columns=list(OF_COUNTS))
    return table.assign(top_gene="", level=middle, level_spread=high - low)


def components(vst: AnnData, n_variable_genes: int, n_components: int) -> pd.DataFrame:
    """Principal components of the most variable genes (centred, not scaled).

    Returns
    -------
    DataFrame
        Contract ``pca``; each component's sign is fixed by its largest loading; ``pc<i>_explained`` is
        its share of variance.
    """
    import numpy as np
    import pandas as pd

    X = np.asarray(vst.X, dtype=float)
    chosen = np.sort(np.argsort(-X.var(axis=0), kind="stable")[:n_variable_genes])
    X = X[:, chosen] - X[:, chosen].mean(axis=0)
    u, s, vt = np.linalg.svd(X, full_matrices=False)
    k = min(n_components, len(s))
    sign = np.sign(vt[np.arange(k), np.abs(vt[:k]).argmax(axis=1)])
    scores = u[:, :k] * s[:k] * sign
    frame = pd.DataFrame(scores, columns=[f"pc{i + 1}" for i in range(k)])
    for missing in {"pc1", "pc2"} - set(frame.columns):
        frame[missing] = 0.0
    frame.insert(0, "sample_id", vst.obs_names.to_numpy())
    for i, share in enumerate(s[:k] ** 2 / (s**2).sum()):
        frame[f"pc{i + 1}_explained"] = share
    return frame


def _median_correlation(correlation: pd.DataFrame, condition: pd.Series) -> pd.Series:
    """Median correlation with the other samples of the same condition (of all, where alone)."""
    import pandas as pd

    values = {}
    for sample in correlation.index:
        same = correlation.index[(condition == condition[sample]).to_numpy()]
        others = same if len(same) > 2 else correlation.index
        values[sample] = correlation.loc[sample, others.drop(sample)].median()
    return pd.Series(values)


def _distance(coordinates: pd.DataFrame) -> np.ndarray:
    """Distance from the median point, in multiples of the median distance.

    A multiple, not a number of MADs: with few samples the MAD of distances can be close to zero.
    """
    import numpy as np

    points = coordinates.to_numpy()
    distance = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    return _multiple(distance)


def _multiple(values: np.ndarray) -> np.ndarray:
    import numpy as np

    centre = np.median(values)
    return values / centre if centre > 0 else np.ones_like(values)


def flag(
    table: pd.DataFrame,
    *,
    measure: Measure,
    min_library_size: int,
    min_genes_detected: int,
    max_top_gene_share: float,
    max_pct_hb: float,
    max_pct_mito: float,
    max_dissimilarity: float,
    max_outlier_distance: float,
    max_level: float,
    max_level_spread: float,
    min_muscle: Mapping[Measure, float],
    min_tissue: Mapping[Measure, float],
    max_tissue_excess: float,
) -> pd.DataFrame:
    """Add ``flags`` and ``reasons``: every reason states metric, value and threshold.

    Parameters
    ----------
    table
        First result of :func:`metrics`; measures that it lacks (of reads, for arrays) flag nobody.
    measure
        Whether it is of counts or intensities, whose tissue scores differ in range.

    Returns
    -------
    DataFrame
        Contract ``qc``.
    """
    tissues = tissue.flags(
        table,
        min_muscle=min_muscle[measure],
        min_tissue=min_tissue[measure],
        max_tissue_excess=max_tissue_excess,
    )
    dissimilarity = _multiple(1 - table["median_correlation"].to_numpy())
    spread = _multiple(table["level_spread"].to_numpy())
    flags: list[str] = []
    reasons: list[str] = []
    for position, row in enumerate(table.itertuples()):
        found: list[tuple[str, str]] = []
        if row.library_size < min_library_size:
            found.append(("library_size", f"library_size {row.library_size} < {min_library_size}"))
        if row.genes_detected < min_genes_detected:
            found.append(
                ("genes_detected", f"genes_detected {row.genes_detected} < {min_genes_detected}")
            )
        for metric, most in (
            ("top_gene_share", max_top_gene_share),
            ("pct_hb", max_pct_hb),
            ("pct_mito", max_pct_mito),
        ):
            value = getattr(row, metric)
            if value > most:
                extra = f" ({row.top_gene})" if metric == "top_gene_share" else ""
                n_alike = int((table[metric] > most).sum())
                if n_alike > COMMON * len(table):
                    extra += (
                        f", as in {n_alike} of {len(table)} samples: how the libraries were made "
                        "rather than what befell this one"
                    )
                found.append((metric, f"{metric} {value:.3f} > {most}{extra}"))
        if abs(row.level) > max_level:
            found.append(
                (
                    "level",
                    f"level {row.level:+.2f} log2 beside the other arrays, beyond {max_level}: set "
                    "`normalise: quantile` on the card, or leave it out",
                )
            )
        if spread[position] > max_level_spread:
            found.append(
                (
                    "level_spread",
                    f"level_spread {row.level_spread:.2f} log2, {spread[position]:.1f} times the "
                    f"study's median > {max_level_spread}",
                )
            )
        if dissimilarity[position] > max_dissimilarity:
            found.append(
                (
                    "correlation",
                    f"median_correlation {row.median_correlation:.3f}: 1 - r is "
                    f"{dissimilarity[position]:.1f} times the study's median > {max_dissimilarity}",
                )
            )
        if row.outlier_distance > max_outlier_distance:
            found.append(
                (
                    "outlier",
                    f"outlier_distance {row.outlier_distance:.1f} times the median > "
                    f"{max_outlier_distance}",
                )
            )
        found += tissues[str(row.Index)]
        found += _sex_flag(row.sex_declared, row.sex_inferred, row.xist, row.y_genes, UNIT[measure])
        flags.append(";".join(name for name, _ in found))
        reasons.append(";".join(reason for _, reason in found))
    return table.assign(flags=flags, reasons=reasons)


def associations(pca: pd.DataFrame, obs: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Say which covariate goes with which principal component.

    Parameters
    ----------
    pca
        Contract ``pca``.
    obs
        Harmonised columns, index sample id; columns of raw values and ids are not looked at.
    table
        Metrics of :func:`metrics`: library size, mitochondrial share, scores of tissues and fibres.

    Returns
    -------
    DataFrame
        Contract ``pca_covariates``: share of a component's variance that a covariate explains (r2,
        of a number by a straight line, of groups by their means), with the F test's p-value and
        Benjamini-Hochberg over all pairs; smallest p first. Covariates with a value for under six
        samples, or with a level per sample, are left out.
    """
    import numpy as np
    import pandas as pd

    measured = ["library_size", "genes_detected", "pct_mito", "pct_ribo", "top50_share"]
    measured += ["slow_fast", "muscle", *tissue.FOREIGN]
    skip = {"dataset", "subject_id", "age_unit", *measured}
    own = [c for c in obs.columns if c not in skip and not c.endswith("_raw")]
    covariates = obs[own].join(
        table[[c for c in measured if c in table]].rename_axis(obs.index.name)
    )
    scores = pca.set_index("sample_id").loc[covariates.index]
    rows = []
    for name in covariates:
        values = covariates[name]
        number = pd.api.types.is_numeric_dtype(values)
        known = values.notna() & (values.astype(str) != "")
        levels = values[known].nunique()
        if known.sum() < 6 or levels < 2 or (not number and levels > known.sum() / 2):
            continue
        if number:
            X = np.column_stack([np.ones(known.sum()), values[known].astype(float)])
        else:
            X = pd.get_dummies(values[known].astype(str), dtype=float).to_numpy()
        df1, df2 = X.shape[1] - 1, int(known.sum()) - X.shape[1]
        for component in [c for c in scores if c.startswith("pc") and not c.endswith("explained")]:
            y = scores.loc[known, component].to_numpy(float)
            rest = ((y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2).sum()
            total = ((y - y.mean()) ** 2).sum()
            r2 = 1 - rest / total if total > 0 else 0.0
            ratio = (r2 / df1) / max((1 - r2) / df2, 1e-12)
            pvalue = float(distributions.f_pvalue(ratio, df1, df2))
            kind = "number" if number else "groups"
            rows.append((component, name, kind, int(known.sum()), r2, pvalue))
    columns = ["component", "covariate", "kind", "n_samples", "r2", "pvalue"]
    found = pd.DataFrame(rows, columns=columns)
    found["padj"] = distributions.adjust(found["pvalue"])
    found.insert(0, "dataset", obs["dataset"].iloc[0])
    return found.sort_values(["pvalue", "component", "covariate"], ignore_index=True)


def _sex_flag(
    declared: str, inferred: str, xist: float, y_genes: float, unit: str
) -> list[tuple[str, str]]:
    numbers = f"XIST {xist:.2f}, Y genes {y_genes:.2f} {unit}"
    if declared and inferred in ("female", "male") and declared != inferred:
        return [("sex_mismatch", f"declared {declared} but expressed {inferred} ({numbers})")]
    if inferred == "mixed":
        return [("sex_mixed", f"XIST and Y genes both expressed ({numbers}; from {EXPRESSED})")]
    if declared and inferred == "unclear":
        return [("sex_unclear", f"neither sex expressed ({numbers}; expressed from {EXPRESSED})")]
    return []
