"""Pseudo-studies of real people with planted truth, for the calibration on real counts.

Homogeneous groups of people from public studies are split at random into pseudo-studies. Effects
are planted by binomial thinning, composition by mixing in reads of biopsies that contain hardly any
muscle (:mod:`alsmuscle.simulate.planting`). What real counts have (dispersion, correlation,
outliers, depth, hidden structure between people) stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.genesets.targets import GENE, RATIO
from alsmuscle.simulate import planting
from alsmuscle.synthesis.verdicts import EXPECTED

if TYPE_CHECKING:
    from anndata import AnnData

    from alsmuscle.core.types import Floats


class Arm(NamedTuple):
    """What is planted: reads of other tissue, denervation, intrinsic effects.

    ``other_time``: the ALS studies' denervation is of another time than the references'.
    """

    composition: bool = False
    denervation: bool = False
    intrinsic: bool = False
    other_time: bool = False

    @property
    def planted(self) -> bool:
        """Whether any cell changes."""
        return self.denervation or self.intrinsic


ARMS: Mapping[str, Arm] = {
    # Not called null, which readers of tables take for a missing value.
    "nothing planted": Arm(),
    "planted": Arm(denervation=True, intrinsic=True),
    "composition": Arm(composition=True),
    "composition and planted": Arm(composition=True, denervation=True, intrinsic=True),
    "other time course": Arm(denervation=True, intrinsic=True, other_time=True),
}
STUDIES = (3, 4, 5)
REFERENCES = 2
TAUS = (0.0, 0.1, 0.2)  # log2 units between studies, one per replicate in turn
OXPHOS = "MITO_OXPHOS/oxphos"
OXPHOS_EFFECT = -0.6
SIZES = (
    0.3,
    0.5,
    0.7,
)  # of blocks, log2; genes and ratios twice as much, in step with their margin
LAMBDA, LAMBDA_SD = 0.6, 0.1  # how much of the reference's denervation an ALS study holds
MANY, FEW = (0.1, 0.5), (0.0, 0.1)  # share of foreign reads in patients, and in everybody else
PER_SOURCE = {"GSE129643 second preparation": 2, "GSE140261 FSHD with muscle": 2}


class Material(NamedTuple):
    """What all replicates share.

    ``people``: group → real counts of homogeneous people; ``foreign``: biopsies that hardly hold
    muscle × genes; ``denervation``: log2 fold change by gene; ``members``: genes of blocks, and of
    the claims' genes and ratios; ``markers``: of tissue content; ``document``: the claims.
    """

    people: Mapping[str, AnnData]
    foreign: pd.DataFrame
    denervation: pd.Series[float]
    members: pd.DataFrame
    markers: pd.DataFrame
    document: Mapping[str, Any]
    config: Mapping[str, Any]


class Truth(NamedTuple):
    """Log2 fold changes planted in every ALS study, by gene: intrinsic, and by denervation."""

    intrinsic: pd.Series[float]
    denervation: pd.Series[float]


class PseudoStudy(NamedTuple):
    """One pseudo-study with the log2 fold changes that were planted in it."""

    counts: AnnData
    effect: pd.Series[float]
    name: str
    role: str


# --- real people -----------------------------------------------------------------------------


def read_material(folder: Path, mirror: str | None, config: Mapping[str, Any]) -> Material:
    """Read people, tissue without muscle and the signature of denervation.

    Parameters
    ----------
    folder
        Of ``config.yaml``: registry and tables lie beside it.
    mirror
        Data mirror; without one, files come from the cache or the network.
    config
        Effective configuration.
    """
    from alsmuscle.bulk import tissue_content
    from alsmuscle.core import files
    from alsmuscle.data import studies, study_effects
    from alsmuscle.genesets import targets as gene_targets
    from alsmuscle.synthesis import targets

    read = {
        name: studies.read_bulk(*_study(folder, name, mirror, config))[0]
        for name in ("gse184951", "gse129643", "gse140261")
    }
    biopsies = read["gse140261"]
    muscle = _muscle(biopsies)
    fshd = (biopsies.obs["condition"] == "fshd").to_numpy()
    # As much muscle as in the leanest of the healthy, less half a log2 unit.
    like_muscle = muscle >= muscle[~fshd].min() - 0.5
    first = (read["gse129643"].obs["batch"] == "first").to_numpy()
    condition = read["gse184951"].obs["condition"]
    people = {
        "GSE184951 healthy": read["gse184951"][(condition == "healthy").to_numpy()],
        "GSE184951 DM1 untrained": read["gse184951"][(condition == "dm1").to_numpy()],
        "GSE129643 first preparation": read["gse129643"][first],
        "GSE129643 second preparation": read["gse129643"][~first],
        "GSE140261 healthy": biopsies[~fshd],
        "GSE140261 FSHD with muscle": biopsies[fshd & like_muscle],
    }
    effects = study_effects.read_effects(*_study(folder, "denervationta", mirror, config)).effects
    effects = effects.assign(human=effects["gene_id"].map(gene_targets.human_ids()))
    # Called genes only, each shrunk by its own error: what is planted is signal, not noise.
    kept = effects[(effects["padj"] < config["bulk"]["de"]["alpha"]) & effects["human"].notna()]
    kept = kept.drop_duplicates("human").set_index("human")
    signal = (1 - (kept["lfc_se"] / kept["log2fc"]) ** 2).clip(lower=0)
    tables = {name: folder / path for name, path in config["tables"].items()}
    listed = files.read_plain(tables["programmes"])
    document = targets.read_claims(tables["claims"], listed)
    empty = muscle < config["bulk"]["qc"]["min_muscle"]["counts"]
    foreign = np.asarray(biopsies[empty].X, dtype=np.int64)
    return Material(
        people,
        pd.DataFrame(foreign, biopsies.obs_names[empty], biopsies.var_names),
        kept["log2fc"] * signal,
        targets.members(listed, document, ["human"])["human"],
        tissue_content.markers(
            files.read_plain(tables["content"]), "human", files.read_gene_table("human")
        ),
        document,
        config,
    )


def _study(
    folder: Path, name: str, mirror: str | None, config: Mapping[str, Any]
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return a study's card and the manifest of its files."""
    from alsmuscle.core.errors import InputError
    from alsmuscle.data import admit, cards, fetch
    from alsmuscle.download.policy import FetchPolicy

    card = cards.load_yaml(folder / config["registry"][0] / f"{name}.yaml")
    rows, checks = fetch.study_files(
        card,
        cache=config["data"]["cache"],
        mirror=mirror,
        policy=FetchPolicy(offline=config["data"]["offline"], pinned_only=True),
    )
    for row in checks:
        if row["state"] in (*admit.BAD, admit.UNREACHABLE):
            raise InputError(
                f"{name}: {row['check']}: {row['found']}",
                expected="the real counts that the calibration splits",
                remedy="give a data mirror (--mirror or ALSMUSCLE_MIRROR), or run where there is a "
                "network",
            )
    return card, pd.DataFrame(rows)


def _muscle(counts: AnnData) -> Floats:
    """Mean log2 counts per million of ACTA1, TTN and NEB, per sample."""
    X = np.asarray(counts.X, dtype=float)
    own = counts.var["symbol"].isin(["ACTA1", "TTN", "NEB"]).to_numpy()
    mean = np.log2((X[:, own] + 0.5) / X.sum(axis=1, keepdims=True) * 1e6).mean(axis=1)
    return np.asarray(mean)


# --- planting --------------------------------------------------------------------------------


def is_single(target: str) -> bool:
    """Return whether a target is a gene or a ratio of two."""
    return target.split("/", maxsplit=1)[0] in {GENE, RATIO}


def complete(members: pd.DataFrame) -> pd.DataFrame:
    """Return the genes of whole blocks, genes and ratios, with ``target``."""
    whole = members[~members["stripped"].fillna(False).astype(bool)]
    return whole.assign(target=whole["programme"] + "/" + whole["block"])


def plan(material: Material, arm: Arm, seed: int) -> Truth:
    """Draw what a replicate plants in every ALS study, before differences between studies.

    A third of the blocks and genes that human biopsies are asked about move as claimed (blocks 0.3,
    0.5 or 0.7 log2, genes twice as much), a tenth the other way; OXPHOS falls by 0.6.
    """
    rng = np.random.default_rng([seed, 1])
    members = complete(material.members)
    nothing = pd.Series(0.0, index=pd.Index(members["gene_id"].unique()))
    asked = {
        test["target"]: direction if (direction := EXPECTED[test["expected"]]) in (1, -1) else 0
        for claim in material.document["claims"]
        for test in claim["tests"]
        if "human_biopsy" in test["contexts"]
    }
    effect = nothing.copy()
    taken: set[str] = set()
    names = [OXPHOS, *(name for name in rng.permutation(sorted(asked)) if name != OXPHOS)]
    for name in names if arm.intrinsic else ():
        draw, size = rng.random(), float(rng.choice(SIZES)) * (2 if is_single(name) else 1)
        direction = asked.get(name, -1) or int(rng.choice([-1, 1]))
        move = direction * size * (1 if draw < 1 / 3 else -1 if draw < 13 / 30 else 0)
        move = OXPHOS_EFFECT if name == OXPHOS else move
        if name.startswith("DENERVATION/") or not move:
            continue
        own = [g for g in members.loc[members["target"] == name, "gene_id"] if g not in taken]
        effect[own] = move * rng.normal(1, 0.2, len(own))
        if name.startswith(RATIO):
            effect[own[1:]] = 0.0
        taken |= set(own)
    profile = material.denervation if arm.denervation else nothing
    if arm.other_time:
        blocks = members[~members["target"].map(is_single)]
        profile = planting.other_time_course(profile, blocks, rng)
    return Truth(effect, profile)


def make(material: Material, arm: Arm, seed: int) -> list[PseudoStudy]:
    """Split the people and plant: denervation references first, then the ALS studies."""
    truth = plan(material, arm, seed)
    rng = np.random.default_rng([seed, 2])
    tau = TAUS[seed % len(TAUS)]
    people = {name: list(part.obs_names) for name, part in material.people.items()}
    members = complete(material.members)
    blocks = [
        set(rows["gene_id"]) for name, rows in members.groupby("target") if not is_single(name)
    ]
    made = []
    parts = planting.split(people, PER_SOURCE, rng)[: REFERENCES + max(STUDIES)]
    for number, part in enumerate(parts):
        role = "denervation" if number < REFERENCES else "als_patient"
        counts = material.people[part.source][[*part.target, *part.reference]].copy()
        target = np.arange(counts.n_obs) < len(part.target)
        effect = pd.Series(0.0, index=counts.var_names)
        if role == "denervation" and arm.denervation:
            effect = effect.add(material.denervation * rng.normal(1, 0.1), fill_value=0)
        elif role == "als_patient" and arm.planted:
            share = max(rng.normal(LAMBDA, LAMBDA_SD), 0.2)
            effect = effect.add(truth.denervation * share, fill_value=0)
            effect = effect.add(truth.intrinsic, fill_value=0)
            for block in blocks if tau else ():
                own = effect.index.intersection(sorted(block))
                moves = truth.intrinsic.reindex(own).fillna(0).ne(0).to_numpy()
                effect[own[moves]] += rng.normal(0, tau)
        effect = effect.reindex(counts.var_names).fillna(0.0)
        X = planting.thin(np.asarray(counts.X, dtype=np.int64), effect.to_numpy(), target, rng)
        if arm.composition:
            patients = target & (role == "als_patient")
            ends = [np.where(patients, *pair) for pair in zip(MANY, FEW, strict=True)]
            foreign = material.foreign.reindex(columns=counts.var_names, fill_value=0)
            X = planting.mix(X, rng.uniform(*ends), foreign.to_numpy(np.int64), rng)
        counts.X = X
        counts.obs["condition"] = np.where(target, "target", "reference")
        counts.obs["dataset"] = f"pseudo{number}"
        made.append(PseudoStudy(counts, effect, f"pseudo{number}", role))
    return made


# --- truth of what is tested -----------------------------------------------------------------


def target_truth(effect: pd.Series[float], members: pd.DataFrame) -> pd.Series[float]:
    """Return the planted effect of every target: mean of a block's genes, or signed sum of a
    ratio's.

    ``effect``: by gene id; genes that no study measured are left out of their blocks.
    """
    rows = complete(members)
    single = rows["target"].map(is_single)
    blocks = planting.block_truth(effect, rows[~single])
    own = rows[single].assign(value=rows["gene_id"].map(effect).fillna(0.0) * rows["sign"])
    return pd.concat([blocks, own.groupby("target")["value"].sum()])


def expected_effects(material: Material, truth: Truth, studies: list[PseudoStudy]) -> pd.DataFrame:
    """Return mean effects over studies like these, by target: ``level`` and ``beyond`` denervation.

    Over the genes that all studies measured. Denervation enters with its mean share.
    """
    measured = studies[0].counts.var_names
    for study in studies[1:]:
        measured = measured.intersection(study.counts.var_names)
    intrinsic = truth.intrinsic.reindex(measured).fillna(0)
    level = intrinsic + LAMBDA * truth.denervation.reindex(measured).fillna(0)
    return pd.DataFrame(
        {
            "level": target_truth(level, material.members),
            "beyond": target_truth(intrinsic, material.members),
        }
    )
