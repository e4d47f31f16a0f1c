"""Calibration on real counts: what the whole workflow says where the truth is known.

Real homogeneous people are split at random into pseudo-studies. Effects are planted by thinning,
composition by mixing in reads of biopsies that hardly hold muscle (:mod:`alsmuscle.planting`). The
studies then take the steps of the rules' scripts: fit, contrast, block effects, table of contrasts,
denervation axis, verdicts, pooled genes and programmes. All rows of ``config/claims.yaml`` are asked.

Each replicate of an arm is one file below ``--out``, so that a stopped run goes on where it was.

What counts as wrong. A row is wrong where it is "supported" although nothing was planted in the
claimed direction: no effect of 0.05 log2 and more in the genes themselves and, for a claim that
denervation could explain, none beyond denervation. Reads of other tissue are no effect in any cell;
rows about cell content (:data:`CONTENT`) are left out of the wrong ones in arms with composition, since
the mixture does change what they speak of: whether they are right is not judged there.

Not measured yet: whether stated detectable effects are reached, claims as a whole that null data
contradict, shared heterogeneity of 0.4 log2. Until the verdicts read effects on the genes' scale and
adjusted ones, ``rows.tsv`` judges those that read scores; ``studies`` holds the new effects by study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.simulate import planting
from alsmuscle.synthesis import claims

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

# Composition, denervation and intrinsic effects planted, and whether the ALS studies' denervation
# is of another time than the reference's.
ARMS: Mapping[str, tuple[bool, bool, bool, bool]] = {
    # Not called null, which readers of tables take for a missing value.
    "nothing planted": (False, False, False, False),
    "planted": (False, True, True, False),
    "composition": (True, False, False, False),
    "composition and planted": (True, True, True, False),
    "other time course": (False, True, True, True),
}
STUDIES = (3, 4, 5)
REFERENCES = 2
TAUS = (0.0, 0.1, 0.2)  # log2 units between studies, one per replicate in turn
OXPHOS = "MITO_OXPHOS/oxphos"
# Subjects of claims about how many cells of a kind there are: a mixture of tissues changes them.
CONTENT = ("stroma", "immune_cell")
STRONG = 0.5  # log2 units, for blocks; genes and ratios twice as much, in step with their margin
FAINT = 0.05  # log2 units below which a truth counts as none


class Material(NamedTuple):
    """What all replicates share: people by group, tissue without muscle, the denervation profile."""

    people: Mapping[str, AnnData]
    foreign: pd.DataFrame
    denervation: pd.Series[float]
    members: pd.DataFrame
    single: pd.DataFrame
    markers: pd.DataFrame
    document: Mapping[str, Any]
    config: Mapping[str, Any]


class Replicate(NamedTuple):
    """Rows of claims, blocks and counts of genes of one replicate of one arm, for every k."""

    rows: pd.DataFrame
    blocks: pd.DataFrame
    genes: pd.DataFrame
    studies: pd.DataFrame


# --- real people -----------------------------------------------------------------------------


def read_material(mirror: Path, config: Mapping[str, Any]) -> Material:
    """Read people, tissue without muscle and the signature of denervation from a data mirror."""
    from alsmuscle.bulk import tissue_content
    from alsmuscle.core import files
    from alsmuscle.data import cards, studies, study_effects
    from alsmuscle.genesets import programmes
    from alsmuscle.synthesis import targets

    read = {}
    for name in ("gse184951", "gse129643", "gse140261"):
        card = cards.load_yaml(f"{config['registry']}/{name}.yaml")
        read[name] = studies.read_bulk(card, _manifest(card, mirror))[0]
    biopsies = read["gse140261"]
    muscle = _muscle(biopsies)
    fshd = (biopsies.obs["condition"] == "fshd").to_numpy()
    threshold = config["bulk"]["qc"]["min_muscle"]["counts"]
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
    card = cards.load_yaml(f"{config['registry']}/denervationta.yaml")
    effects = study_effects.read_effects(card, _manifest(card, mirror)).effects
    effects = effects.assign(human=effects["gene_id"].map(targets.human_ids()))
    # Called genes only, each shrunk by its own error: what is planted is signal, not noise.
    kept = effects[(effects["padj"] < config["bulk"]["de"]["alpha"]) & effects["human"].notna()]
    kept = kept.drop_duplicates("human").set_index("human")
    signal = (1 - (kept["lfc_se"] / kept["log2fc"]) ** 2).clip(lower=0)
    listed = files.read_plain("config/programmes.tsv")
    document = targets.read_claims("config/claims.yaml", listed)
    members = targets.members(listed, document, ["human"])["human"]
    is_single = members["programme"].isin([claims.GENE, claims.RATIO])
    blocks = programmes.blocks(listed, "human", files.read_gene_table("human"))
    empty = muscle < threshold
    return Material(
        people,
        pd.DataFrame(np.asarray(biopsies[empty].X), biopsies.obs_names[empty], biopsies.var_names),
        kept["log2fc"] * signal,
        blocks,
        members[is_single],
        tissue_content.markers(
            files.read_plain("config/content.tsv"), "human", files.read_gene_table("human")
        ),
        document,
        config,
    )


def _manifest(card: Mapping[str, Any], mirror: Path) -> pd.DataFrame:
    from alsmuscle.download import lock, policy

    index = lock.read_mirror(mirror)
    rows = []
    for name, file in card["files"].items():
        entry = index[policy.canonical(file["url"])]
        path = mirror / entry["path"]
        facts = {
            "source": "mirror",
            "url": file["url"],
            "sha256": entry["sha256"],
            "bytes": path.stat().st_size,
        }
        rows.append({"study": card["id"], "name": name, "path": str(path), **facts})
    return pd.DataFrame(rows)


def _muscle(counts: AnnData) -> np.ndarray:
    """Mean log2 counts per million of ACTA1, TTN and NEB, per sample."""
    X = np.asarray(counts.X, dtype=float)
    own = counts.var["symbol"].isin(["ACTA1", "TTN", "NEB"]).to_numpy()
    mean = np.log2((X[:, own] + 0.5) / X.sum(axis=1, keepdims=True) * 1e6).mean(axis=1)
    return np.asarray(mean)


# --- one replicate ---------------------------------------------------------------------------


class Truth(NamedTuple):
    """Log2 fold changes planted in every study, by gene: intrinsic and by denervation."""

    intrinsic: pd.Series[float]
    denervation: pd.Series[float]


def plan(material: Material, arm: str, seed: int) -> Truth:
    """Draw what a replicate plants in every ALS study, before differences between studies.

    A third of the blocks and genes that human biopsies are asked about move as claimed (blocks 0.3,
    0.5 or 0.7 log2, genes twice as much), a tenth the other way; OXPHOS falls by 0.6.
    """
    _, cut, intrinsic, other = ARMS[arm]
    rng = np.random.default_rng([seed, 1])
    members = pd.concat([material.members, material.single], ignore_index=True)
    members = members[~members["stripped"].fillna(False).astype(bool)]
    target = members["programme"] + "/" + members["block"]
    nothing = pd.Series(0.0, index=pd.Index(members["gene_id"].unique()))
    asked = {
        test["target"]: _own_direction(test, members, target)
        for claim in material.document["claims"]
        for test in claim["tests"]
        if "human_biopsy" in test["contexts"]
    }
    effect = nothing.copy()
    if intrinsic:
        taken: set[str] = set()
        names = [OXPHOS, *(name for name in rng.permutation(sorted(asked)) if name != OXPHOS)]
        for name in names:
            draw = rng.random()
            size = float(rng.choice([0.3, 0.5, 0.7])) * (2 if _is_single(name) else 1)
            direction = asked.get(name, -1) or int(rng.choice([-1, 1]))
            move = direction * size * (1 if draw < 1 / 3 else -1 if draw < 13 / 30 else 0)
            move = -0.6 if name == OXPHOS else move
            own = [g for g in members.loc[target == name, "gene_id"] if g not in taken]
            if name.startswith("DENERVATION/") or not move:
                continue
            effect[own] = move * rng.normal(1, 0.2, len(own))
            if name.startswith(claims.RATIO):
                effect[own[1:]] = 0.0
            taken |= set(own)
    profile = material.denervation if cut else nothing
    if other:
        profile = planting.other_time_course(profile, material.members, rng)
    return Truth(effect, profile)


def _is_single(target: str) -> bool:
    return target.split("/", maxsplit=1)[0] in {claims.GENE, claims.RATIO}


def _own_direction(test: Mapping[str, Any], members: pd.DataFrame, target: pd.Series[str]) -> int:
    """Direction that a test expects of the genes themselves: 1, -1, or 0 for any."""
    return claims.EXPECTED[test["expected"]] * _sign(members, target, test["target"])


def _sign(members: pd.DataFrame, target: pd.Series[str], name: str) -> int:
    """Sign by which the tested number of a block multiplies its genes; 1 for genes and ratios."""
    own = members.loc[target == name, "sign"]
    return -1 if not _is_single(name) and len(own) and own.iloc[0] == -1 else 1


class Made(NamedTuple):
    """One pseudo-study with what was planted in it."""

    counts: AnnData
    effect: pd.Series[float]
    name: str
    role: str


def make(material: Material, arm: str, seed: int, *, per_source: Mapping[str, int]) -> list[Made]:
    """Split the people and plant: denervation references first, then the ALS studies."""
    mixed, cut, _, _ = ARMS[arm]
    truth = plan(material, arm, seed)
    rng = np.random.default_rng([seed, 2])
    tau = TAUS[seed % len(TAUS)]
    people = {name: list(part.obs_names) for name, part in material.people.items()}
    parts = planting.split(people, per_source, rng)
    members = material.members[~material.members["stripped"].astype(bool)]
    made = []
    for number, part in enumerate(parts[: REFERENCES + max(STUDIES)]):
        role = "denervation" if number < REFERENCES else "als_patient"
        source = material.people[part.source]
        chosen = source[[*part.target, *part.reference]].copy()
        target = np.arange(chosen.n_obs) < len(part.target)
        X = np.asarray(chosen.X, dtype=np.int64)
        effect = pd.Series(0.0, index=chosen.var_names)
        if role == "denervation":
            profile = material.denervation if cut else effect
            effect = effect.add(profile * rng.normal(1, 0.1), fill_value=0)
        else:
            moved = truth.denervation * max(rng.normal(0.6, 0.1), 0.2) if cut else effect
            effect = effect.add(moved, fill_value=0).add(truth.intrinsic, fill_value=0)
            if arm not in {"nothing planted", "composition"} and tau:
                for _, block in members.groupby(["programme", "block"], sort=True):
                    own = effect.index.intersection(block["gene_id"])
                    moves = truth.intrinsic.reindex(own).fillna(0).ne(0).to_numpy()
                    effect[own[moves]] += rng.normal(0, tau)
        effect = effect.reindex(chosen.var_names).fillna(0.0)
        X = planting.thin(X, effect.to_numpy(), target, rng)
        if mixed:
            most = np.where(target & (role == "als_patient"), 0.5, 0.1)
            least = np.where(target & (role == "als_patient"), 0.1, 0.0)
            foreign = material.foreign.reindex(columns=chosen.var_names, fill_value=0)
            X = planting.mix(X, rng.uniform(least, most), foreign.to_numpy(np.int64), rng)
        chosen.X = X
        chosen.obs["condition"] = np.where(target, "target", "reference")
        chosen.obs["dataset"] = f"pseudo{number}"
        made.append(Made(chosen, effect, f"pseudo{number}", role))
    return made


def analyse(material: Material, made: Sequence[Made]) -> dict[str, dict[str, Any]]:
    """Fit and test every pseudo-study, as the scripts ``bulk_fit`` and ``bulk_contrast`` do."""
    from alsmuscle.bulk import block_effects, engines
    from alsmuscle.design import matrix
    from alsmuscle.genesets import programmes

    config, out = material.config, {}
    for study in made:
        contrast = _contrast(study)
        options = {**config["bulk"]["counts"], "inference": config["bulk"]["de"]["inference"]}
        fitted = engines.fit(study.counts, contrast, **options)
        # Shrunken effects are a column that nothing behind the contrast reads.
        testing = {**config["bulk"]["de"], "shrink": False}
        trend = config["bulk"]["arrays"]["trend"]
        de = engines.test(
            fitted, study.counts.obs, contrast, dataset=study.name, trend=trend, **testing
        )
        vst = engines.expression(study.counts, **options)
        used = matrix.used_samples(vst.obs, contrast)
        design = matrix.design_matrix(used, contrast)
        vector = matrix.contrast_vector(design, contrast)
        blocks = programmes.effects(vst.to_df().T[used.index], design, vector, material.members)
        for position, column in enumerate(("dataset", "contrast", "cell_type")):
            blocks.insert(position, column, de[column].iloc[0])
        both = block_effects.raw_and_adjusted(
            fitted,
            contrast,
            material.members,
            expression=vst.to_df().T[used.index],
            markers=material.markers,
            trend=trend,
            tested=True,
        )
        both = both.assign(dataset=study.name, role=study.role)
        out[study.name] = {
            "both": both,
            "de": de,
            "vst": vst,
            "effects": blocks,
            "contrast": contrast,
        }
    return out


def _contrast(study: Made) -> dict[str, Any]:
    from alsmuscle.data import cards

    entry = {"id": "effect", "variable": "condition", "target": "target", "reference": "reference"}
    card: dict[str, Any] = {"role": study.role, "contrasts": [entry]}
    return cards.contrast(card, "effect")


def synthesise(
    material: Material, made: Sequence[Made], found: Mapping[str, dict[str, Any]], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Take tested studies through the synthesis, as its scripts do: claims, programmes, genes."""
    from alsmuscle.synthesis import denervation, targets

    config, document = material.config["synthesis"], material.document
    named = claims.gene_targets(document["claims"])
    ids = targets.target_ids(named, ["human"])["human"]
    facts, parts = [], []
    for study in made:
        card = {"id": study.name, "organism": "human", "modality": "bulk"}
        card["platform"] = "Illumina NovaSeq 6000"
        samples = study.counts.obs.reset_index(names="sample_id")
        contrast = found[study.name]["contrast"]
        facts.append(denervation.contrast_facts(card, contrast, samples=samples))
        effects = denervation.usable_effects(found[study.name]["effects"])
        parts.append(denervation.with_intervals(effects, "samples"))
        de = found[study.name]["de"]
        known = de[de["gene_id"].isin(ids.values()) & (de["lfc_se"] > 0)]
        parts.append(denervation.with_intervals(claims.gene_effects(known, named, ids), "genes"))
    contrasts = claims.contrast_table(pd.DataFrame(facts), **config["contrasts"])
    blocks = pd.concat(parts, ignore_index=True)
    pairs = denervation.comparable_pairs(contrasts)
    needed = denervation.needed_contrasts(contrasts, pairs)
    single = material.single.assign(stripped=False)
    compared = denervation.compare_with_denervation(
        {name: found[name[0]]["vst"] for name in needed},
        {name: found[name[0]]["contrast"] for name in needed},
        contrasts,
        pairs,
        blocks,
        {"human": pd.concat([material.members, single], ignore_index=True)},
        document,
        to_human={},
        seed=seed,
        **config["denervation"],
    )
    random = compared.random_sets
    rows = denervation.judge(
        document,
        pd.concat([blocks, random], ignore_index=True) if len(random) else blocks,
        contrasts,
        denervation.chosen_deltas(compared.axis, compared.deltas),
        rules=claims.Rules(**config["rules"]),
    )
    settings = {"rho": config["rules"]["rho"], "min_studies": config["rules"]["min_studies"]}
    tables = pd.concat([found[study.name]["de"] for study in made])
    genes = denervation.pool_genes(tables, contrasts, {}, **settings)
    return rows, denervation.pool_programmes(blocks, contrasts, **settings), genes


def replicate(
    material: Material, arm: str, seed: int, *, per_source: Mapping[str, int]
) -> Replicate:
    """Run one replicate of an arm; the k = 3 and 4 are parts of the k = 5 studies."""
    truth = plan(material, arm, seed)
    made = make(material, arm, seed, per_source=per_source)
    found = analyse(material, made)
    rows, blocks, genes = [], [], []
    for k in STUDIES:
        used = made[: REFERENCES + k]
        claimed, pooled, table = synthesise(material, used, found, seed)
        als = [study for study in used if study.role == "als_patient"]
        mean = pd.concat([study.effect for study in als], axis=1).mean(axis=1)
        labels = {"arm": arm, "seed": seed, "k_planned": k, "tau": TAUS[seed % len(TAUS)]}
        rows.append(with_truth(claimed, material, als, truth).assign(**labels))
        planned = _expected_blocks(material, truth, als)
        own = pooled[(pooled["role"] == "als_patient") & ~pooled["stripped"].astype(bool)]
        own = own[own["key"].isin(planned.index)]
        blocks.append(own.assign(truth=own["key"].map(planned), **labels))
        called = table[(table["role"] == "als_patient") & (table["padj"] < 0.05)]
        null = called["key"].map(mean).fillna(0).abs() < 1e-9
        genes.append({**labels, "called": len(called), "false": int(null.sum())})
    return Replicate(
        pd.concat(rows),
        pd.concat(blocks),
        pd.DataFrame(genes),
        _per_study(made, found, material, arm, seed),
    )


def _per_study(
    made: Sequence[Made],
    found: Mapping[str, dict[str, Any]],
    material: Material,
    arm: str,
    seed: int,
) -> pd.DataFrame:
    """Block effects on the genes' scale of every ALS study beside what was planted in it."""
    parts = []
    for study in made:
        both = found[study.name]["both"]
        both = both[~both["stripped"].astype(bool)]
        truth = planting.block_truth(study.effect, material.members)
        key = both["programme"] + "/" + both["block"]
        parts.append(both.assign(arm=arm, seed=seed, key=key, truth=key.map(truth)))
    return pd.concat(parts, ignore_index=True)


def _expected_blocks(material: Material, truth: Truth, als: Sequence[Made]) -> pd.Series[float]:
    """Mean effect of every block over studies like these, as the tested number counts it.

    Over the genes that all studies measured. Denervation enters with its mean size of 0.6.
    """
    measured = als[0].counts.var_names
    for study in als[1:]:
        measured = measured.intersection(study.counts.var_names)
    effect = truth.intrinsic.reindex(measured).fillna(0) + 0.6 * truth.denervation.reindex(
        measured
    ).fillna(0)
    return _as_tested(planting.block_truth(effect, material.members), material)


def _as_tested(blocks: pd.Series[float], material: Material) -> pd.Series[float]:
    members = material.members
    target = members["programme"] + "/" + members["block"]
    return blocks * pd.Series({name: _sign(members, target, name) for name in blocks.index})


def with_truth(
    rows: pd.DataFrame, material: Material, als: Sequence[Made], truth: Truth
) -> pd.DataFrame:
    """Keep rows of human biopsies; add ``subject, sensitive, true_level, true_beyond, is_true``.

    ``true_level`` and ``true_beyond`` are in the direction of the tested number; ``strong``: true
    and at least 0.5 log2 (genes and ratios 1).
    """
    out = rows[rows["context"] == "human_biopsy"].copy()
    about = {claim["id"]: claim for claim in material.document["claims"]}
    out["subject"] = [about[name]["subject"] for name in out["claim"]]
    question = {
        (claim["id"], test["id"]): test.get("question", "level")
        for claim in material.document["claims"]
        for test in claim["tests"]
    }
    beyond = [
        question[pair] == "beyond_denervation"
        for pair in zip(out["claim"], out["test"], strict=True)
    ]
    out["sensitive"] = [about[name]["denervation_sensitive"] for name in out["claim"]]
    out["sensitive"] |= np.array(beyond)
    level = pd.concat([study.effect for study in als], axis=1).mean(axis=1)
    for column, effect in (("true_level", level), ("true_beyond", truth.intrinsic)):
        blocks = _as_tested(planting.block_truth(effect, material.members), material)
        out[column] = [
            blocks.get(name, np.nan)
            if not _is_single(name)
            else _single_truth(name, effect, material.single)
            for name in out["target"]
        ]
    sign = out["expected"].map(claims.EXPECTED).astype(float)
    sizes = []
    for column in ("true_level", "true_beyond"):
        claimed = (sign * out[column]).where(sign != 0, out[column].abs())
        sizes.append(claimed.fillna(0.0))
    # Beyond denervation alone, the level need not move; a level test needs both.
    both = np.minimum(sizes[0], sizes[1].where(out["sensitive"], np.inf))
    size = pd.Series(np.where(beyond, sizes[1], both), index=out.index)
    scale = out["target"].map(lambda name: 2.0 if _is_single(name) else 1.0)
    return out.assign(is_true=size >= FAINT, strong=size >= STRONG * scale - 1e-9, true_size=size)


def _single_truth(name: str, effect: pd.Series[float], single: pd.DataFrame) -> float:
    own = single[(single["programme"] + "/" + single["block"]) == name]
    return float((own["gene_id"].map(effect).fillna(0) * own["sign"]).sum())


# --- summary ---------------------------------------------------------------------------------


def summarise(rows: pd.DataFrame, blocks: pd.DataFrame, genes: pd.DataFrame) -> pd.DataFrame:
    """Hold the bars: ``arm, k, what, value, n, low, high, met``."""
    lines: list[dict[str, Any]] = []

    def line(arm: str, k: int, what: str, value: float, n: int, **bar: float) -> None:
        low, high = bar.get("low", np.nan), bar.get("high", np.nan)
        met = ""
        if bar:
            # Nothing to judge on is not a bar that was met.
            met = "not measured" if not n or np.isnan(value) else "yes"
            if met == "yes" and (value < low or value > high):
                met = "no"
        keys = {"arm": arm, "k": k, "what": what, "value": value, "n": n}
        lines.append({**keys, "low": low, "high": high, "met": met})

    def share(mask: pd.Series[bool]) -> float:
        return float(mask.mean()) if len(mask) else np.nan

    for (arm, k), part in rows.groupby(["arm", "k_planned"], sort=False):
        name, number = str(arm), int(str(k))
        supported = part[part["verdict"] == claims.SUPPORTED]
        strict = supported[~supported["subject"].isin(CONTENT)] if ARMS[name][0] else supported
        what = "supported rows"
        line(name, number, what, len(supported), len(part))
        # No row supported: none is wrong, and the share is of nothing.
        wrong = ~strict["is_true"]
        what = "wrong share of supported rows"
        line(name, number, what, share(wrong) if len(strict) else 0.0, len(part), high=0.05)
        fibre = strict[strict["subject"] == "myofibre"]
        what = "wrong share of supported rows about the myofibre"
        value = share(~fibre["is_true"]) if len(fibre) else 0.0
        line(name, number, what, value, len(part), high=0.05)
        if ARMS[name][2] and not ARMS[name][0]:
            bars = {3: (1 / 3, 1 / 5), 4: (1 / 2, 1 / 3)}.get(number)
            for rest, label in ((False, "strong true rows"), (True, "strong intrinsic rows")):
                strong = part[part["strong"] & (part["sensitive"] if rest else True)]
                bar = {"low": bars[rest]} if bars and name == "planted" else {}
                told = share(strong["verdict"] == claims.SUPPORTED)
                line(name, number, f"{label} supported", told, len(strong), **bar)
        contradicted = share(part["verdict"] == claims.CONTRADICTED)
        line(name, number, "rows contradicted", contradicted, len(part))
    for (arm, k), part in genes.groupby(["arm", "k_planned"], sort=False):
        name, number = str(arm), int(str(k))
        bar = {"low": 100.0} if name == "planted" and number == min(STUDIES) else {}
        median = float(part["called"].median())
        line(name, number, "genes called, median", median, len(part), **bar)
        false = float((part["false"] / part["called"].clip(lower=1)).mean())
        bar = {"high": 0.05} if not ARMS[name][0] else {}
        what = "false discovery proportion of genes, mean"
        line(name, number, what, false, len(part), **bar)
    for (arm, k), part in blocks.groupby(["arm", "k_planned"], sort=False):
        name, number = str(arm), int(str(k))
        pooled = part[part["k"] == number]
        bar = {"low": 0.93, "high": 0.98} if not ARMS[name][0] else {}
        held = pooled["truth"].between(pooled["ci_low"], pooled["ci_high"])
        line(
            name,
            number,
            "coverage of pooled 95 % intervals of blocks",
            share(held),
            len(pooled),
            **bar,
        )
        if "bayes_ci_low" in pooled:
            held = pooled["truth"].between(pooled["bayes_ci_low"], pooled["bayes_ci_high"])
            bar = {"low": 0.90} if bar else {}
            line(name, number, "coverage of Bayesian intervals", share(held), len(pooled), **bar)
        own = pooled[pooled["key"] == OXPHOS]
        if ARMS[name][0]:
            line(name, number, "OXPHOS as pooled, mean", float(own["effect"].mean()), len(own))
            bar = {"low": -0.8, "high": -0.3} if ARMS[name][2] else {}
            adjusted = own["adjusted_effect"] if "adjusted_effect" in own else pd.Series([np.nan])
            what = "OXPHOS adjusted for composition, mean"
            line(name, number, what, float(adjusted.mean()), int(adjusted.notna().sum()), **bar)
    return pd.DataFrame(lines)


def summarise_studies(each: pd.DataFrame) -> pd.DataFrame:
    """Recovery of block effects on the genes' scale per study, raw and adjusted for content."""
    lines = []
    for arm, part in each[each["role"] == "als_patient"].groupby("arm", sort=False):
        for label, end in (("raw", ""), ("adjusted", "_adjusted")):
            own = part[part[f"effect{end}"].notna() & part["truth"].notna()]
            low, high = own[f"ci_low{end}"], own[f"ci_high{end}"]
            beyond = (own["truth"].abs() < FAINT) & ((low > 0) | (high < 0))
            still = int((own["truth"].abs() < FAINT).sum())
            oxphos = own[own["key"] == OXPHOS]
            figures = (
                (
                    "coverage of a study's 95 % intervals",
                    own["truth"].between(low, high).mean(),
                    len(own),
                ),
                ("null blocks called at 0.05", beyond.sum() / max(still, 1), still),
                ("OXPHOS, mean", oxphos[f"effect{end}"].mean(), len(oxphos)),
                ("OXPHOS planted, mean", oxphos["truth"].mean(), len(oxphos)),
            )
            lines += [
                {"arm": arm, "k": 1, "what": f"{what}, {label}", "value": float(value), "n": n}
                for what, value, n in figures
            ]
    return pd.DataFrame(lines).assign(low=np.nan, high=np.nan, met="")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run or resume the calibration on real counts and write its tables and page."""
    import argparse
    import os
    from pathlib import Path

    from alsmuscle.core import files
    from alsmuscle.data import cards

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/calibration/real"))
    parser.add_argument("--mirror", default=os.environ.get("ALSMUSCLE_MIRROR", ""))
    parser.add_argument("--replicates", type=int, default=10)
    parser.add_argument("--seed", type=int, default=20260)
    parser.add_argument("--arms", nargs="*", choices=list(ARMS), default=list(ARMS))
    options = parser.parse_args(arguments)
    if not options.mirror:
        parser.error("real counts are read from a data mirror: give --mirror or ALSMUSCLE_MIRROR")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    material = read_material(Path(options.mirror), cards.load_yaml("config/config.yaml"))
    for source, part in material.people.items():
        print(f"{source}: {part.n_obs} people")
    print(f"hardly any muscle: {', '.join(material.foreign.index)}", flush=True)
    per_source = {"GSE129643 second preparation": 2, "GSE140261 FSHD with muscle": 2}
    kept: list[Replicate] = []
    # Replicate by replicate, so that a run that is stopped early holds some of every arm.
    for seed in range(options.seed, options.seed + options.replicates):
        for arm in options.arms:
            folder = options.out / "replicates"
            paths = [
                folder / f"{arm.replace(' ', '_')}_{seed}_{table}.tsv"
                for table in Replicate._fields
            ]
            if not all(path.is_file() for path in paths):
                made = replicate(material, arm, seed, per_source=per_source)
                for path, table in zip(paths, made, strict=True):
                    files.write_text(path, table.to_csv(sep="\t", index=False, lineterminator="\n"))
                print(arm, seed, flush=True)
            kept.append(Replicate(*(pd.read_csv(path, sep="\t") for path in paths)))
    rows, blocks, genes, each = (
        pd.concat(tables, ignore_index=True) for tables in zip(*kept, strict=True)
    )
    summary = pd.concat([summarise(rows, blocks, genes), summarise_studies(each)])
    for name, table in {"rows": rows, "genes": genes, "summary": summary}.items():
        text = table.to_csv(sep="\t", index=False, float_format="%.6g", lineterminator="\n")
        files.write_text(options.out / f"{name}.tsv", text)
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Calibration, real</title>'
    body = summary.to_html(index=False, float_format=lambda value: f"{value:.3g}", na_rep="")
    seeds = f"Seeds {options.seed} to {options.seed + options.replicates - 1}."
    files.write_text(
        options.out / "index.html",
        f"{head}<h1>Calibration on real counts</h1><p>Real people, planted truth. {seeds}</p>{body}",
    )
    print(summary.to_string(index=False, float_format=lambda value: f"{value:.3g}"))


if __name__ == "__main__":
    main()
