"""Simulated bulk studies of muscle with planted truth, for the demo and for calibration.

Means, dispersions and the residual correlation of genes are those of a real study (GSE140261,
summarised in ``workflow/resources/simulation_genes.tsv.gz``): each simulated gene takes mean,
dispersion and factor loadings together from one real gene, and genes that programmes and marker
lists name take their own. Patients differ from each other along the real study's four strongest
residual factors; healthy people and inbred mice do so less. Counts are negative binomial around
these means.

Two scales of truth. Genes are planted on the scale of expected counts, which a count model
estimates: ``log2fc``. Where one side is more heterogeneous than the other, the difference of mean
logs is another number, which scores of logged expression estimate: ``log2fc_geometric``.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alsmuscle.bulk.metrics import HAEMOGLOBIN
from alsmuscle.core.errors import InputError
from alsmuscle.core.types import Floats
from alsmuscle.data.derived import SEX_GENES
from alsmuscle.data.genes import resolve_symbols

LN2 = float(np.log(2))
LOADINGS = ["loading1", "loading2", "loading3", "loading4"]

# Share of the patients' factor loadings that healthy people and mice show: it gives the mean
# square correlation of GSE140261's controls and GSE184951's healthy, 0.02 to 0.03 above chance.
HEALTHY_FACTORS = 0.25
# The patients' dispersion left when the factors are taken out, over the controls' (median of
# genes).
PATIENT_DISPERSION = 1.5
# Littermates of one inbred strain are more alike than people: half the variance of either kind.
MOUSE_DISPERSION = 0.5
MOUSE_FACTORS = HEALTHY_FACTORS * MOUSE_DISPERSION**0.5
# Genes of the demo's studies.
DEMO_GENES = 12000

# Share of blood in a planted bloody sample, and of the reads of whole blood (mostly reticulocytes
# and neutrophils) in its most abundant genes; the rest is spread over all genes. Rough, from
# memory: a flag must not hang on the details.
BLOOD = 0.9
WHOLE_BLOOD = {
    **{"HBA1": 0.15, "HBA2": 0.25, "HBB": 0.25, "ALAS2": 0.01, "SLC4A1": 0.005},
    **{"S100A8": 0.02, "S100A9": 0.03, "LYZ": 0.01, "B2M": 0.02, "PTPRC": 0.002, "FTL": 0.02},
}

FAT = ("ADIPOQ", "PLIN1", "PLIN4", "LEP", "CIDEC", "FABP4", "LPL", "SCD", "PNPLA2", "CD36")
# Mouse genes that are no 1:1 orthologs but stand for the same thing here.
COUNTERPARTS = {
    "XIST": "Xist",
    "DDX3Y": "Ddx3y",
    "EIF1AY": "Eif2s3y",
    "KDM5D": "Kdm5d",
    "UTY": "Uty",
    "HBA1": "Hba-a1",
    "HBA2": "Hba-a2",
    "HBB": "Hbb-bs",
    "HBD": "Hbb-bt",
}

# Planted block effects, log2 units of the block's own sign: programme, block, mean over its genes.
# What is not listed here moves only by genes that it shares with these or with random responders.
DENERVATION_BLOCKS = (
    ("DENERVATION", "tier1_up", 2.0),
    ("DENERVATION", "tier2_up", 1.0),
    ("DENERVATION", "tier2_up_snRNA", 0.6),
    ("DENERVATION", "down", 1.0),
    ("ATROPHY_UPS", "e3_atrogenes", 0.8),
    ("FAP", "activated_denervated", 0.6),
    ("FIBER_FAST", "fast_shared", -0.5),
)
INTRINSIC_BLOCKS = (
    ("MITO_OXPHOS", "oxphos", -0.5),
    ("OXIDATIVE_NRF2", "metal_stress", 0.9),
    ("MACROPHAGE", "pan", 0.7),
)
DISUSE_BLOCKS = (
    ("ATROPHY_UPS", "e3_atrogenes", 0.7),
    ("FIBER_SLOW", "slow", -0.5),
    ("MITO_OXPHOS", "oxphos", -0.4),
)
# Shares of the genes in no programme that respond.
DENERVATION_SHARE, INTRINSIC_SHARE, DISUSE_SHARE = 0.12, 0.04, 0.06


class Group(NamedTuple):
    """Samples of one condition.

    ``batches``: number of samples per batch; ``denervation``, ``intrinsic``, ``disuse``:
    multiples of the planted vectors; ``day``: days after denervation whose profile is used (28
    stands for the chronic state); ``fat``: log2 shift of adipocyte genes; ``spread``: how much the
    samples differ along the residual factors, 1 as GSE140261's patients do; ``severity_sd``: spread
    along the denervation axis, relative to the group's mean.
    """

    condition: str
    batches: tuple[int, ...]
    denervation: float = 0.0
    day: float = 28.0
    intrinsic: float = 0.0
    disuse: float = 0.0
    fat: float = 0.0
    spread: float = HEALTHY_FACTORS
    severity_sd: float = 0.0

    @property
    def n(self) -> int:
        """Number of samples."""
        return sum(self.batches)


@dataclass(frozen=True)
class Plan:
    """One simulated study.

    ``sexes`` alternate within groups; ``depth``: mean library size, ``depth_sd``: its spread
    (natural log); ``batch_sd``: a batch's effect per gene (natural log); ``swapped``: two
    conditions of which one sample each changed places; ``sex_mismatch``, ``duplicated``,
    ``outlier``, ``bloody`` (nine tenths blood): plant one such sample.
    """

    organism: str
    groups: tuple[Group, ...]
    sexes: tuple[str, ...] = ("female", "male")
    depth: float = 25e6
    depth_sd: float = 0.25
    batch_sd: float = 0.15
    swapped: tuple[str, str] | None = None
    sex_mismatch: bool = False
    duplicated: bool = False
    outlier: bool = False
    bloody: bool = False


class Simulated(NamedTuple):
    """A simulated study and what is true of it.

    ``counts``: genes x samples, integers, index the organism's Ensembl ids; ``sheet``: the sample
    sheet as its authors would give it, text; ``genes``: ``contrast, gene_id, symbol, log2fc,
    log2fc_geometric, denervation, intrinsic`` (the two parts of log2fc that are due to the
    denervation and the intrinsic vector); ``samples``: ``sample_id, true_condition, true_sex,
    severity, swapped, sex_mismatch, duplicate_of, outlier, bloody``; ``contrasts``: ``contrast,
    lambda, day``, where lambda is the multiple of the denervation vector of that day.
    """

    counts: pd.DataFrame
    sheet: pd.DataFrame
    genes: pd.DataFrame
    samples: pd.DataFrame
    contrasts: pd.DataFrame


def _mice(condition: str, n: int, **options: float) -> Group:
    return Group(condition, (n,), spread=MOUSE_FACTORS, **options)


def _mouse_series(conditions: Mapping[str, tuple[float, float]], n: int) -> tuple[Group, ...]:
    """Time points of a mouse model: day name to (lambda, intrinsic), each with its own controls."""
    groups: list[Group] = []
    for day, (slope, intrinsic) in conditions.items():
        groups += [
            _mice(f"sod1_{day}", n, denervation=slope, intrinsic=intrinsic),
            _mice(f"wildtype_{day}", n),
        ]
    return tuple(groups)


# The studies of the demo; their cards are config/demo/<id>.yaml.
DEMO: Mapping[str, Plan] = {
    "simals1": Plan(
        "human",
        (
            Group("als", (9,), denervation=0.7, intrinsic=1.0, spread=0.5, severity_sd=0.3),
            Group("healthy", (9,)),
        ),
    ),
    "simals2": Plan(
        "human",
        (
            Group("als", (6, 4), denervation=0.5, intrinsic=1.0, spread=0.5, severity_sd=0.3),
            Group("healthy", (3, 6)),
        ),
        batch_sd=0.25,
        outlier=True,
    ),
    "simals3": Plan(
        "human",
        (
            Group("als", (7,), denervation=0.9, intrinsic=1.0, spread=0.5, severity_sd=0.3),
            Group("healthy", (7,)),
        ),
        sex_mismatch=True,
    ),
    "simals4": Plan(
        "human",
        (
            Group("als", (8,), denervation=0.8, intrinsic=1.0, spread=0.5, severity_sd=0.3),
            Group("healthy", (8,)),
        ),
        swapped=("als", "healthy"),
    ),
    "simals5": Plan(
        "human",
        (
            Group(
                "als", (12,), denervation=0.6, intrinsic=1.0, fat=1.0, spread=1.0, severity_sd=0.3
            ),
            Group("healthy", (6,)),
        ),
        depth=15e6,
        depth_sd=0.4,
        duplicated=True,
    ),
    "simsod1": Plan(
        "mouse",
        _mouse_series({"day60": (0.1, 0.5), "day90": (0.4, 1.0), "day120": (0.8, 1.0)}, 6),
        sexes=("male",),
    ),
    "simsod2": Plan(
        "mouse",
        _mouse_series({"day75": (0.2, 0.5), "day110": (0.6, 1.0)}, 7),
    ),
    "simden1": Plan(
        "mouse",
        tuple(
            group
            for day in (3, 14, 28)
            for group in (
                _mice(f"denervated_day{day}", 6, denervation=1.0, day=day),
                _mice(f"sham_day{day}", 6),
            )
        ),
        sexes=("male",),
    ),
    "simdisuse1": Plan(
        "mouse",
        (_mice("unloaded", 6, disuse=1.0), _mice("loaded", 6)),
        sexes=("female",),
    ),
    "simnull1": Plan("human", (Group("placebo", (8,)), Group("untreated", (8,)))),
}


def denervation_profile(biology: pd.DataFrame, day: float) -> Floats:
    """Return the effect of pure denervation per gene (log2) so many days after the nerve is cut.

    Early responders peak at once and fade, sustained ones rise within a week and stay, late ones
    rise until four weeks.
    """
    return np.asarray(
        biology["early"] * np.exp(-max(day - 3, 0) / 10)
        + biology["sustained"] * min(1.0, day / 7)
        + biology["late"] * min(1.0, day / 28),
        dtype=float,
    )


def biology(
    reference: pd.DataFrame,
    human: pd.DataFrame,
    mouse: pd.DataFrame,
    orthologs: pd.DataFrame,
    programmes: pd.DataFrame,
    *,
    n_genes: int,
    seed: int,
) -> pd.DataFrame:
    """Draw what all simulated studies share: the genes, how each is expressed, what moves it.

    Parameters
    ----------
    reference
        ``simulation_genes.tsv.gz``: ``symbol, log_mean, log_dispersion, loading1`` to ``loading4``.
    human, mouse, orthologs
        The pinned gene tables.
    programmes
        ``config/programmes.tsv``.
    n_genes
        Number of genes: all named ones, and 1:1 orthologs at random.
    seed
        Seed of everything that is drawn.

    Returns
    -------
    DataFrame
        One row per gene: ``human_id, human_symbol, mouse_id, mouse_symbol`` (empty where the mouse
        has none), ``log_mean`` (natural log of counts per million), ``log_dispersion``, the
        loadings, the planted vectors ``early, sustained, late, intrinsic, disuse`` (log2),
        ``fat``, ``blood`` (0 to 1) and ``sex`` (1: expressed in females only, -1: in males only).

    Raises
    ------
    InputError
        ``n_genes`` is too small for the named genes or larger than the orthologs allow.
    """
    rng = np.random.default_rng(seed)
    numbers = [column for column in reference.columns if column != "symbol"]
    named = _named_genes(reference[reference["symbol"] != ""], human, mouse, orthologs, programmes)
    coding = human.loc[
        (human["biotype"] == "protein-coding")
        & (human["primary"] == "1")
        & (human["symbol"] != "")
        & (human["chromosome"] != "MT"),
        "gene_id",
    ]
    free = orthologs[
        orthologs["human_gene_id"].isin(coding)
        & ~orthologs["human_gene_id"].isin(named["human_id"])
        & ~orthologs["mouse_gene_id"].isin(named["mouse_id"])
    ].sort_values("human_gene_id")
    n_free = n_genes - len(named)
    if not 0 < n_free <= len(free):
        raise InputError(
            f"{n_genes} genes cannot be simulated",
            expected=f"{len(named) + 1} to {len(named) + len(free)}",
        )
    chosen = free.iloc[np.sort(rng.choice(len(free), n_free, replace=False))]
    bank = reference.loc[reference["symbol"] == "", numbers].astype(float).to_numpy()
    drawn = bank[rng.integers(len(bank), size=n_free)]
    # Two genes from one real gene are alike, not the same.
    drawn[:, 0] += rng.normal(0, 0.3, n_free)
    drawn[:, 1] += rng.normal(0, 0.2, n_free)
    drawn[:, 2:] *= rng.lognormal(0, 0.2, (n_free, len(numbers) - 2))
    others = pd.DataFrame(drawn, columns=numbers)
    others.insert(0, "human_id", chosen["human_gene_id"].to_numpy())
    others.insert(1, "human_symbol", chosen["human_symbol"].to_numpy())
    others.insert(2, "mouse_id", chosen["mouse_gene_id"].to_numpy())
    others.insert(3, "mouse_symbol", chosen["mouse_symbol"].to_numpy())
    genes = pd.concat([named, others], ignore_index=True).sort_values("human_id", ignore_index=True)
    genes = _with_sex(genes)
    genes["log_mean"] -= np.log(np.exp(genes["log_mean"]).sum() / 1e6)
    genes["blood"] = genes["human_symbol"].isin(HAEMOGLOBIN).astype(float)
    return _with_effects(genes, programmes, rng)


def _named_genes(
    reference: pd.DataFrame,
    human: pd.DataFrame,
    mouse: pd.DataFrame,
    orthologs: pd.DataFrame,
    programmes: pd.DataFrame,
) -> pd.DataFrame:
    """Give the reference's named genes their ids in both organisms."""
    numbers = [column for column in reference.columns if column != "symbol"]
    ids = reference["symbol"].map(resolve_symbols(reference["symbol"], human))
    table = pd.DataFrame({"human_id": ids, "human_symbol": reference["symbol"]})
    table[numbers] = reference[numbers].astype(float)
    table = table.dropna(subset="human_id").drop_duplicates("human_id")
    mitochondrial = mouse.loc[mouse["chromosome"] == "MT", "symbol"]
    by_name = {
        **dict(zip(programmes["human"], programmes["mouse"], strict=True)),
        **{symbol.upper(): symbol for symbol in mitochondrial},
        **COUNTERPARTS,
    }
    by_name = {name: symbol for name, symbol in by_name.items() if symbol}
    known = resolve_symbols(sorted(set(by_name.values())), mouse)
    pairs = orthologs.set_index("human_gene_id")["mouse_gene_id"]
    counterpart = table["human_symbol"].map(by_name).map(known)
    table["mouse_id"] = counterpart.fillna(table["human_id"].map(pairs)).fillna("")
    # Two human genes with one mouse counterpart (metallothioneins): the first one keeps it.
    again = table["mouse_id"].duplicated() & (table["mouse_id"] != "")
    table.loc[again, "mouse_id"] = ""
    symbols = mouse.drop_duplicates("gene_id").set_index("gene_id")["symbol"]
    table["mouse_symbol"] = table["mouse_id"].map(symbols).fillna("")
    return table[["human_id", "human_symbol", "mouse_id", "mouse_symbol", *numbers]]


def _with_sex(genes: pd.DataFrame) -> pd.DataFrame:
    """Mark XIST and the Y genes; their spread in a real study is that of the sexes."""
    x_gene, y_genes = SEX_GENES["human"]
    genes["sex"] = np.select(
        [genes["human_symbol"] == x_gene, genes["human_symbol"].isin(y_genes)], [1, -1], 0
    )
    sexed = genes["sex"] != 0
    genes.loc[sexed, "log_mean"] = np.maximum(genes.loc[sexed, "log_mean"], np.log(15.0))
    genes.loc[sexed, "log_dispersion"] = np.log(0.05)
    genes.loc[sexed, LOADINGS] = 0.0
    return genes


def _with_effects(
    genes: pd.DataFrame, programmes: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Plant the vectors of denervation, of what is intrinsic to ALS, and of disuse."""
    n = len(genes)
    symbols = pd.Index(genes["human_symbol"])
    usable = ((genes["sex"] == 0) & (genes["blood"] == 0)).to_numpy()
    # Fat is a matter of composition: neither denervation nor intrinsic.
    fat = symbols.isin(FAT)
    free = usable & ~fat & ~symbols.isin(set(programmes["human"]))

    def size(count: int) -> Floats:
        """Sizes of random effects, log2: nothing below 0.3, mean 0.8."""
        sizes: Floats = 0.3 + rng.gamma(2.0, 0.25, count)
        return sizes

    def planted(blocks: Sequence[tuple[str, str, float]], share: float) -> Floats:
        effect = np.zeros(n)
        for programme, block, mean in blocks:
            part = programmes[
                (programmes["programme"] == programme) & (programmes["block"] == block)
            ]
            own = usable & ~fat & symbols.isin(set(part["human"])) & (effect == 0)
            sign = -1.0 if part["sign"].iloc[0] == "-" else 1.0
            effect[own] = sign * mean * rng.gamma(8.0, 1 / 8, int(own.sum()))
        responders = rng.permutation(np.flatnonzero(free))[: round(share * free.sum())]
        effect[responders] = size(len(responders)) * np.where(
            np.arange(len(responders)) % 2 == 0, 1.0, -1.0
        )
        return effect

    denervation = planted(DENERVATION_BLOCKS, DENERVATION_SHARE)
    disuse = planted(DISUSE_BLOCKS, DISUSE_SHARE)
    intrinsic = planted(INTRINSIC_BLOCKS, INTRINSIC_SHARE)
    # Unloading shares a part of its response with denervation.
    shared = free & (denervation != 0) & (rng.random(n) < 0.25)
    disuse = np.where(shared, 0.6 * denervation, disuse)
    # The signature's own genes are known to stay up; only others come early or late.
    kind = np.where(free, rng.choice(3, n, p=[0.25, 0.5, 0.25]), 1)
    genes["early"] = np.where(kind == 0, denervation, 0.0)
    genes["sustained"] = np.where(kind == 1, denervation, 0.0)
    genes["late"] = np.where(kind == 2, denervation, 0.0)
    genes["intrinsic"] = intrinsic
    genes["disuse"] = disuse
    genes["fat"] = fat.astype(float)
    return genes


def study(
    biology: pd.DataFrame,
    plan: Plan,
    contrasts: Sequence[Mapping[str, Any]],
    *,
    dataset: str,
    seed: int,
) -> Simulated:
    """Simulate one study.

    Parameters
    ----------
    biology
        From :func:`biology`.
    plan
        What to simulate.
    contrasts
        The card's contrasts (``id, target, reference``), for the truth.
    dataset
        Study id; together with ``seed`` it seeds the study's own stream.

    Raises
    ------
    InputError
        A contrast names a condition that the plan does not have.
    """
    rng = np.random.default_rng([seed, zlib.crc32(dataset.encode())])
    own = "human" if plan.organism == "human" else "mouse"
    genes = biology[biology[f"{own}_id"] != ""].reset_index(drop=True)
    samples = _samples(plan, dataset, rng)
    groups = {group.condition: group for group in plan.groups}
    log_rate, severity = _log_rates(genes, plan, samples, groups, rng)
    samples["severity"] = severity
    counts = _counts(genes, plan, samples, log_rate, groups=groups, rng=rng)
    frame = pd.DataFrame(
        counts, index=pd.Index(genes[f"{own}_id"], name="gene_id"), columns=samples["sample_id"]
    )
    frame.columns.name = None
    truth, lambdas = [], []
    for entry in contrasts:
        missing = {entry["target"], entry["reference"]} - set(groups)
        if missing:
            raise InputError(
                f"the simulated study has no condition '{min(missing)}'",
                where=f"config/demo/{dataset}.yaml: contrasts.{entry['id']}",
                expected=", ".join(groups),
            )
        target, reference = groups[entry["target"]], groups[entry["reference"]]
        truth.append(_gene_truth(genes, own, entry["id"], target, reference))
        lambdas.append(
            {
                "contrast": entry["id"],
                "lambda": target.denervation - reference.denervation,
                "day": target.day,
            }
        )
    sheet = samples[["sample_id", "condition", "declared_sex", "batch"]].rename(
        columns={"sample_id": "sample", "condition": "group", "declared_sex": "sex"}
    )
    columns = ["sample_id", "true_condition", "true_sex", "severity"]
    columns += ["swapped", "sex_mismatch", "duplicate_of", "outlier", "bloody"]
    return Simulated(
        frame,
        sheet,
        pd.concat(truth, ignore_index=True) if truth else pd.DataFrame(),
        samples[columns],
        pd.DataFrame(lambdas, columns=["contrast", "lambda", "day"]),
    )


def _samples(plan: Plan, dataset: str, rng: np.random.Generator) -> pd.DataFrame:
    """Lay out the samples: what each is, and what its sheet says it is."""
    rows = []
    for group in plan.groups:
        batches = [f"batch{b + 1}" for b, size in enumerate(group.batches) for _ in range(size)]
        rows += [
            (group.condition, plan.sexes[i % len(plan.sexes)], batch)
            for i, batch in enumerate(batches)
        ]
    table = pd.DataFrame(rows, columns=["true_condition", "true_sex", "batch"])
    prefix = dataset.removeprefix("sim").upper()
    table.insert(0, "sample_id", [f"{prefix}_{i + 1:02d}" for i in range(len(table))])
    table["condition"], table["declared_sex"] = table["true_condition"], table["true_sex"]
    table[["swapped", "sex_mismatch", "outlier", "bloody"]] = False
    table["duplicate_of"] = ""
    free = set(range(len(table)))

    def pick(condition: str, sex: str | None = None) -> int:
        fits = [
            i
            for i in sorted(free)
            if table.loc[i, "true_condition"] == condition
            and sex in (None, table.loc[i, "true_sex"])
        ]
        chosen = int(rng.choice(fits))
        free.discard(chosen)
        return chosen

    if plan.swapped:
        # Of one sex, so that nothing but the expression gives the swap away.
        first = pick(plan.swapped[0])
        second = pick(plan.swapped[1], str(table.loc[first, "true_sex"]))
        table.loc[[first, second], "condition"] = list(plan.swapped)[::-1]
        table.loc[[first, second], "swapped"] = True
    if plan.sex_mismatch:
        wrong = pick(plan.groups[0].condition)
        other = {"female": "male", "male": "female"}[str(table.loc[wrong, "true_sex"])]
        table.loc[wrong, "declared_sex"] = other
        table.loc[wrong, "sex_mismatch"] = True
    if plan.duplicated:
        original = pick(plan.groups[0].condition)
        copy = pick(plan.groups[0].condition, str(table.loc[original, "true_sex"]))
        table.loc[copy, "duplicate_of"] = table.loc[original, "sample_id"]
    if plan.outlier:
        table.loc[pick(plan.groups[-1].condition), "outlier"] = True
    if plan.bloody:
        table.loc[pick(plan.groups[-1].condition), "bloody"] = True
    return table


def _effect(genes: pd.DataFrame, group: Group) -> Floats:
    """Effect of belonging to a group, log2 of expected counts."""
    return (  # type: ignore[no-any-return]
        group.denervation * denervation_profile(genes, group.day)
        + group.intrinsic * genes["intrinsic"].to_numpy()
        + group.disuse * genes["disuse"].to_numpy()
        + group.fat * genes["fat"].to_numpy()
    )


def _log_variance(genes: pd.DataFrame, group: Group) -> Floats:
    """Variance between samples of the log (natural) expected count: factors and severity."""
    factors = ((genes[LOADINGS].to_numpy() * group.spread) ** 2).sum(axis=1)
    along = LN2 * group.denervation * denervation_profile(genes, group.day)
    return np.asarray(factors + (group.severity_sd * along) ** 2, dtype=float)


def _log_rates(
    genes: pd.DataFrame,
    plan: Plan,
    samples: pd.DataFrame,
    groups: Mapping[str, Group],
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Natural log of expected counts per million, genes x samples, and the severity of each."""
    n = len(samples)
    severity = np.ones(n)
    columns = np.zeros((len(genes), n))
    scores = rng.normal(size=(n, len(LOADINGS)))
    for i, condition in enumerate(samples["true_condition"]):
        group = groups[condition]
        severity[i] = rng.normal(1.0, group.severity_sd)
        along = LN2 * group.denervation * denervation_profile(genes, group.day)
        columns[:, i] = (
            LN2 * _effect(genes, group)
            + (severity[i] - 1) * along
            + genes[LOADINGS].to_numpy() @ (group.spread * scores[i])
            # Keeps the expected count where the effect puts it.
            - _log_variance(genes, group) / 2
        )
    batches = sorted(set(samples["batch"]))
    shifts = rng.normal(0, plan.batch_sd, (len(genes), len(batches))) * (len(batches) > 1)
    columns += shifts[:, [batches.index(batch) for batch in samples["batch"]]]
    columns += np.outer(genes["blood"], rng.normal(0, 0.8, n))
    columns += np.outer(genes["fat"], rng.normal(0, 0.5, n))
    columns += genes["log_mean"].to_numpy()[:, None]
    female = (samples["true_sex"] == "female").to_numpy()
    silent = np.where(female, -1, 1)[None, :] * genes["sex"].to_numpy()[:, None] == 1
    columns[silent] -= 8.0
    extra = samples["outlier"].to_numpy()
    if extra.any():
        # A degraded library: much of its expression is somewhere else, in no one direction.
        columns[:, extra] += rng.normal(0, 1.2, (len(genes), int(extra.sum())))
    blood = genes["human_symbol"].map(WHOLE_BLOOD).fillna(0.0).to_numpy()
    blood = 1e6 * (blood + (1 - blood.sum()) / len(genes))
    bloody = samples["bloody"].to_numpy()
    muscle = np.exp(columns[:, bloody])
    muscle *= 1e6 / muscle.sum(axis=0)
    columns[:, bloody] = np.log((1 - BLOOD) * muscle + BLOOD * blood[:, None])
    return columns, severity


def _counts(
    genes: pd.DataFrame,
    plan: Plan,
    samples: pd.DataFrame,
    log_rate: Floats,
    *,
    groups: Mapping[str, Group],
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Negative-binomial counts around the rates; a duplicate is its original's library again."""
    total = np.exp(genes["log_dispersion"].to_numpy())
    # The reference's dispersion holds what its own (healthy) factors add: do not add it twice.
    healthy = ((genes[LOADINGS].to_numpy() * HEALTHY_FACTORS) ** 2).sum(axis=1)
    specific = np.maximum(total - healthy, 0.2 * total)
    if plan.organism != "human":
        specific = specific * MOUSE_DISPERSION
    patients = [groups[c].spread > HEALTHY_FACTORS for c in samples["true_condition"]]
    scale = np.where(patients, PATIENT_DISPERSION, 1.0)
    dispersion = specific[:, None] * scale[None, :]
    depth = plan.depth * rng.lognormal(0, plan.depth_sd, len(samples))
    libraries = np.exp(log_rate) * rng.gamma(1 / dispersion, dispersion)
    ids = list(samples["sample_id"])
    for i, original in enumerate(samples["duplicate_of"]):
        if original:
            libraries[:, i] = libraries[:, ids.index(original)]
    return rng.poisson(libraries * depth / 1e6).astype(np.int64)  # type: ignore[no-any-return]


def _gene_truth(
    genes: pd.DataFrame, own: str, contrast: str, target: Group, reference: Group
) -> pd.DataFrame:
    log2fc = _effect(genes, target) - _effect(genes, reference)
    spread = _log_variance(genes, target) - _log_variance(genes, reference)
    denervation = target.denervation * denervation_profile(genes, target.day)
    denervation -= reference.denervation * denervation_profile(genes, reference.day)
    return pd.DataFrame(
        {
            "contrast": contrast,
            "gene_id": genes[f"{own}_id"],
            "symbol": genes[f"{own}_symbol"],
            "log2fc": log2fc,
            "log2fc_geometric": log2fc - spread / (2 * LN2),
            "denervation": denervation,
            "intrinsic": (target.intrinsic - reference.intrinsic) * genes["intrinsic"],
        }
    )


def block_truth(genes: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Return the planted effect of every block and contrast.

    Parameters
    ----------
    genes
        ``genes`` of a :class:`Simulated` study.
    members
        ``programmes.blocks`` of its organism.

    Returns
    -------
    DataFrame
        ``contrast, programme, block, stripped, effect, denervation, intrinsic``: means over the
        block's simulated genes in the block's direction; ``effect`` of ``log2fc_geometric``.
    """
    key = ["programme", "block", "stripped"]
    joined = members[[*key, "sign", "gene_id"]].merge(genes, on="gene_id")
    direction = joined["sign"].where(joined["sign"] != 0, 1)
    parts = {"effect": "log2fc_geometric", "denervation": "denervation", "intrinsic": "intrinsic"}
    for name, column in parts.items():
        joined[f"block_{name}"] = direction * joined[column]
    table = joined.groupby(["contrast", *key], sort=False)[[f"block_{n}" for n in parts]].mean()
    return table.rename(columns=lambda name: name.removeprefix("block_")).reset_index()


def packed(frame: pd.DataFrame, separator: str, *, index: bool = False) -> bytes:
    """Return a table as gzipped text; equal tables give equal bytes."""
    text = frame.to_csv(sep=separator, index=index, lineterminator="\n", float_format="%.6g")
    return gzip.compress(text.encode(), compresslevel=4, mtime=0)
