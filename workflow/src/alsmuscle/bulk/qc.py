"""Are the samples what they claim to be? Metrics per sample, and flags that name their reason.

A flag never removes a sample: that is a line in the study's card, with a reason.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from alsmuscle.bulk import tissue
from alsmuscle.bulk.metrics import OF_SAMPLE, OF_STUDY, Matrix, Metric, multiple
from alsmuscle.core.contracts import Measure, measure
from alsmuscle.data.derived import EXPRESSED, expression, sex_expression
from alsmuscle.stats import distributions

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData

# Share of a study's samples from which a fault is said to be its libraries' rather than a sample's.
COMMON = 0.25

UNIT = {"counts": "log2 CPM", "intensities": "log2 above background"}


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
        Contract ``pca``: coordinates, and per component its share of variance (the same in every
        row).
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
    matrix, kind = Matrix(counts), measure(counts)
    for metric in OF_SAMPLE:
        absent = "" if metric.kind == "text" else np.nan
        known = metric.of == kind and metric.measured is not None
        table[metric.name] = metric.measured(matrix) if known and metric.measured else absent
    table[["xist", "y_genes", "sex_inferred"]] = sex_expression(counts, organism)
    table["sex_declared"] = counts.obs["sex"].astype(str)
    table = table.join(tissue.measure(expression(counts), counts.var, panels, organism))
    table["muscle_declared"] = counts.obs["muscle"].astype(str)
    table["transgenic"] = tissue.transgenic(counts.obs)
    table["median_correlation"] = _median_correlation(correlation, counts.obs["condition"])
    table["outlier_distance"] = _distance(pca.filter(regex=r"^pc\d+$"))
    return table, pca, correlation


def components(vst: AnnData, n_variable_genes: int, n_components: int) -> pd.DataFrame:
    """Principal components of the most variable genes (centred, not scaled).

    Returns
    -------
    DataFrame
        Contract ``pca``; each component's sign is fixed by its largest loading; ``pc<i>_explained``
        is its share of variance.
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
    return multiple(distance)


def flag(table: pd.DataFrame, *, measure: Measure, **limits: Any) -> pd.DataFrame:
    """Add ``flags`` and ``reasons``: every reason states metric, value and threshold.

    Parameters
    ----------
    table
        First result of :func:`metrics`; metrics that it lacks (of reads, for arrays) flag nobody.
    measure
        Whether it is of counts or intensities, whose tissue scores differ in range.
    limits
        ``bulk.qc`` of the configuration: a limit per record of :mod:`alsmuscle.bulk.metrics`, and
        those of :func:`alsmuscle.bulk.tissue.flags`, which differ between counts and intensities.

    Returns
    -------
    DataFrame
        Contract ``qc``.
    """
    found: dict[Any, list[tuple[str, str]]] = {sample: [] for sample in table.index}
    for metric in (*OF_SAMPLE, *OF_STUDY):
        if metric.limit:
            for sample, reason in _beyond(metric, table, limits[metric.limit]).items():
                found[sample].append((metric.flag or metric.name, reason))
    tissues = tissue.flags(
        table,
        min_muscle=limits["min_muscle"][measure],
        min_tissue=limits["min_tissue"][measure],
        max_tissue_excess=limits["max_tissue_excess"],
    )
    for row in table.itertuples():
        found[row.Index] += tissues[str(row.Index)]
        found[row.Index] += _sex_flag(
            row.sex_declared, row.sex_inferred, row.xist, row.y_genes, UNIT[measure]
        )
    return table.assign(
        flags=[";".join(name for name, _ in found[sample]) for sample in table.index],
        reasons=[";".join(reason for _, reason in found[sample]) for sample in table.index],
    )


def _beyond(metric: Metric, table: pd.DataFrame, limit: float) -> dict[Any, str]:
    """Return the samples beyond a metric's limit, and why they are flagged."""
    compared = metric.held(table[metric.name].to_numpy())
    beyond = compared < limit if metric.limit.startswith("min_") else compared > limit
    alike = ""
    if metric.by_library and beyond.sum() > COMMON * len(table):
        alike = (
            f", as in {beyond.sum()} of {len(table)} samples: a matter of how the libraries were "
            "made rather than of this sample"
        )
    chosen = table[beyond]
    return {
        sample: metric.reason.format(
            value=value, compared=held, limit=limit, top_gene=chosen["top_gene"].get(sample)
        )
        + alike
        for sample, value, held in zip(
            chosen.index, chosen[metric.name], compared[beyond], strict=True
        )
    }


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

    measured = [metric.name for metric in (*OF_SAMPLE, *OF_STUDY) if metric.covariate]
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
    # A gene that is not in the matrix speaks for nobody; the study says so once.
    known = {
        name: value
        for name, value in (("XIST", xist), ("Y genes", y_genes))
        if not math.isnan(value)
    }
    whole = len(known) == 2
    numbers = ", ".join(f"{name} {value:.2f}" for name, value in known.items())
    numbers += f" {unit}"
    if declared and inferred in ("female", "male") and declared != inferred:
        return [("sex_mismatch", f"declared {declared} but expressed {inferred} ({numbers})")]
    if inferred == "mixed":
        return [("sex_mixed", f"XIST and Y genes both expressed ({numbers}; from {EXPRESSED})")]
    if declared and inferred == "unclear" and whole:
        return [("sex_unclear", f"neither sex expressed ({numbers}; expressed from {EXPRESSED})")]
    return []
