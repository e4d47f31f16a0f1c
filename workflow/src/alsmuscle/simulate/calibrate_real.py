"""Calibration on real counts: what the whole workflow says where the truth is known.

Pseudo-studies of real people (:mod:`alsmuscle.simulate.pseudo_studies`) take the steps of the
rules' scripts: fit, contrast, block effects, table of contrasts, denervation axis, verdicts, pooled
genes and programmes, with all claims asked and 3, 4 and 5 ALS studies. Each replicate of an arm is
one set of files below ``--out``, so that a stopped run goes on where it was.

What counts as wrong. A row is wrong where it is "supported" although nothing was planted in the
claimed direction: no effect of 0.05 log2 and more in the genes themselves and, for a claim that
denervation could explain, none beyond denervation. Reads of other tissue are no effect in any cell;
tests of cell content are right about them, since the mixture does hold more of those cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from alsmuscle.genesets.targets import GENE, RATIO
from alsmuscle.simulate.pseudo_studies import (
    ARMS,
    OXPHOS,
    REFERENCES,
    STUDIES,
    TAUS,
    Material,
    PseudoStudy,
    expected_effects,
    is_single,
    make,
    plan,
    read_material,
    target_truth,
)
from alsmuscle.synthesis import claims, denervation, verdicts

STRONG = 0.5  # log2 units, for blocks; genes and ratios twice as much
LARGE = 1.0  # log2 units; what denervation moves so far depends on each study's share of it
FAINT = 0.05  # log2 units below which a truth counts as none
CONTEXT = "human_biopsy"


class Replicate(NamedTuple):
    """Tables of one replicate of one arm, for every number of studies.

    ``rows``: of the claims; ``blocks``: pooled; ``genes``: calls and false ones; ``studies``: block
    effects of every study; ``claims``: verdicts of whole claims.
    """

    rows: pd.DataFrame
    blocks: pd.DataFrame
    genes: pd.DataFrame
    studies: pd.DataFrame
    claims: pd.DataFrame


class Found(NamedTuple):
    """What one pseudo-study gave."""

    de: pd.DataFrame
    blocks: pd.DataFrame
    fitted: denervation.Fitted
    contrast: Mapping[str, Any]


class Tables(NamedTuple):
    """The synthesis' tables over some pseudo-studies."""

    contrasts: pd.DataFrame
    blocks: pd.DataFrame
    random_sets: pd.DataFrame
    deltas: pd.DataFrame


def analyse(material: Material, study: PseudoStudy, seed: int) -> Found:
    """Fit and test one pseudo-study, as the scripts ``bulk_fit`` and ``bulk_contrast`` do."""
    from alsmuscle.bulk import block_effects, engines
    from alsmuscle.data import cards
    from alsmuscle.design import matrix

    config = material.config
    entry = {"id": "effect", "variable": "condition", "target": "target", "reference": "reference"}
    contrast = cards.contrast({"role": study.role, "contrasts": [entry]}, "effect")
    options = {**config["bulk"]["counts"], "inference": config["bulk"]["de"]["inference"]}
    trend = config["bulk"]["arrays"]["trend"]
    model = engines.fit(study.counts, contrast, **options)
    # Shrunken effects are a column that nothing behind the contrast reads.
    testing = {**config["bulk"]["de"], "shrink": False}
    de = engines.test(model, study.counts.obs, contrast, dataset=study.name, trend=trend, **testing)
    vst = engines.expression(study.counts, **options)
    used = matrix.used_samples(vst.obs, contrast)
    blocks = block_effects.raw_and_adjusted(
        model,
        contrast,
        # A gene and a ratio are sums of their genes, a block their mean.
        material.members.assign(weight=material.members["sign"].where(_single(material.members))),
        expression=vst.to_df().T[used.index],
        markers=material.markers,
        trend=trend,
        tested=True,
    )
    for position, column in enumerate(("dataset", "contrast", "cell_type")):
        blocks.insert(position, column, de[column].iloc[0])
    n_replicates = config["synthesis"]["denervation"]["n_replicates"]
    fitted = denervation.refit(
        vst, model, contrast, trend=trend, n_replicates=n_replicates, seed=seed
    )
    return Found(de, blocks, fitted, contrast)


def gather(
    material: Material, made: Sequence[PseudoStudy], found: Mapping[str, Found], seed: int
) -> Tables:
    """Build the tables behind the verdicts, as ``synthesis_contrasts`` and ``_denervation`` do."""
    from alsmuscle.synthesis import blocks, contrasts

    config = material.config["synthesis"]
    facts, parts = [], []
    sizes = blocks.block_sizes(material.members[~_single(material.members)])
    for study in made:
        card = {"id": study.name, "organism": "human", "modality": "bulk"}
        card |= {"platform": "Illumina NovaSeq 6000"}
        samples = study.counts.obs.reset_index(names="sample_id")
        own = found[study.name]
        facts.append(contrasts.contrast_facts(card, own.contrast, samples=samples))
        parts.append(blocks.of_samples(own.blocks, sizes))
    table = contrasts.contrast_table(
        pd.DataFrame(facts),
        min_donors=config["contrasts"]["min_donors"],
        include_confounded=config["contrasts"]["include_confounded"],
    )
    evidence = pd.concat(parts, ignore_index=True)
    pairs = denervation.comparable_pairs(table)
    options = {key: value for key, value in config["denervation"].items() if key != "n_replicates"}
    compared = denervation.compare_with_denervation(
        {name: found[name[0]].fitted for name in denervation.needed_contrasts(table, pairs)},
        table,
        pairs,
        evidence,
        {"human": material.members},
        material.document,
        to_human={},
        seed=seed,
        **options,
    )
    return Tables(table, evidence, compared.random_sets, compared.deltas)


def judge(material: Material, tables: Tables) -> pd.DataFrame:
    """Judge all claims, as ``synthesis_claims`` does."""
    evidence, rules = _evidence(tables), _rules(material)
    return claims.judge(material.document, evidence, tables.contrasts, tables.deltas, rules=rules)


def _rules(material: Material) -> verdicts.Rules:
    return verdicts.Rules(**material.config["synthesis"]["rules"])


def _evidence(tables: Tables) -> pd.DataFrame:
    """Blocks and matched random sets."""
    if tables.random_sets.empty:
        return tables.blocks
    return pd.concat([tables.blocks, tables.random_sets], ignore_index=True)


def of_studies(tables: Tables, names: set[str]) -> Tables:
    """Return the tables of some of the studies: a study's numbers do not depend on the others.

    Except that random sets are matched on the expression in all of them.
    """
    return Tables(*(table[table["dataset"].isin(names)] for table in tables))


def _single(members: pd.DataFrame) -> pd.Series[bool]:
    return members["programme"].isin([GENE, RATIO])


def replicate(material: Material, arm: str, seed: int) -> tuple[Replicate, Tables]:
    """Run one replicate of an arm; the 3 and 4 studies are parts of the 5."""
    from alsmuscle.synthesis import changes, pool
    from alsmuscle.synthesis.pooled import Pooling

    config = material.config["synthesis"]["rules"]
    settings = Pooling(*(config[key] for key in Pooling._fields))
    least = config["min_studies"]
    truth = plan(material, ARMS[arm], seed)
    made = make(material, ARMS[arm], seed)
    found = {study.name: analyse(material, study, seed) for study in made}
    tables = gather(material, made, found, seed)
    rows, blocks, genes, whole = [], [], [], []
    for k in STUDIES:
        used = made[: REFERENCES + k]
        own = of_studies(tables, {study.name for study in used})
        als = [study for study in used if study.role == "als_patient"]
        labels = {"arm": arm, "seed": seed, "k_planned": k, "tau": TAUS[seed % len(TAUS)]}
        expected = expected_effects(material, truth, als)
        said = judge(material, own)
        rows.append(with_truth(said, material, expected).assign(**labels))
        pooled = pool.pool_programmes(own.blocks, own.contrasts, settings, min_studies=least)
        blocks.append(_pooled(pooled, expected).assign(**labels))
        verdict = changes.overall(said)[["claim", "verdict", "test", "context"]]
        whole.append(verdict.assign(**labels))
        if k == min(STUDIES):
            patients = own.contrasts[own.contrasts["role"] == "als_patient"]
            de = pd.concat([found[study.name].de for study in als])
            every = pool.pool_genes(de, patients, {}, settings, min_studies=least)
            mean = pd.concat([study.effect for study in als], axis=1).mean(axis=1)
            called = every[every["padj"] < config["alpha"]]
            null = called["key"].map(mean).fillna(0).abs() < 1e-9
            genes.append({**labels, "called": len(called), "false": int(null.sum())})
    made_of = Replicate(
        pd.concat(rows),
        pd.concat(blocks),
        pd.DataFrame(genes),
        _per_study(made, found, material, arm, seed),
        pd.concat(whole),
    )
    return made_of, tables


def _pooled(programmes: pd.DataFrame, expected: pd.DataFrame) -> pd.DataFrame:
    """Pooled effects of whole blocks of ALS biopsies beside what was planted."""
    own = programmes[(programmes["role"] == "als_patient") & (programmes["stage"] == "")]
    own = own[~own["stripped"].astype(bool) & own["key"].isin(expected.index)]
    return own.assign(truth=own["key"].map(expected["level"]))


def _per_study(
    made: Sequence[PseudoStudy],
    found: Mapping[str, Found],
    material: Material,
    arm: str,
    seed: int,
) -> pd.DataFrame:
    """Block effects of every study, raw and adjusted, beside what was planted in it."""
    parts = []
    for study in made:
        own = found[study.name].blocks
        own = own[~own["stripped"].astype(bool)]
        truth = target_truth(study.effect, material.members)
        key = own["programme"] + "/" + own["block"]
        labels = {"arm": arm, "seed": seed, "role": study.role}
        parts.append(own.assign(**labels, key=key, truth=key.map(truth)))
    return pd.concat(parts, ignore_index=True)


def with_truth(rows: pd.DataFrame, material: Material, expected: pd.DataFrame) -> pd.DataFrame:
    """Keep rows of human biopsies; say which are true, and how strong.

    Adds ``subject, sensitive, true_level, true_beyond, true_size, is_true, strong``. ``true_size``
    is what was planted in the claimed direction: the smaller of level and rest where denervation
    could explain a claim, the rest alone where a test asks for it. ``strong``: at least 0.5 log2
    (genes and ratios 1).
    """
    out = rows[rows["context"] == CONTEXT].copy()
    about = {claim["id"]: claim for claim in material.document["claims"]}
    out["subject"] = [about[name]["subject"] for name in out["claim"]]
    beyond = (out["question"] == verdicts.BEYOND).to_numpy()
    out["sensitive"] = [about[name]["denervation_sensitive"] for name in out["claim"]]
    out["sensitive"] |= beyond
    sign = out["expected"].map(verdicts.EXPECTED).astype(float)
    sizes = []
    for column in ("level", "beyond"):
        effect = out["target"].map(expected[column])
        out[f"true_{column}"] = effect
        sizes.append((sign * effect).where(sign != 0, effect.abs()).fillna(0.0))
    both = np.minimum(sizes[0], sizes[1].where(out["sensitive"], np.inf))
    size = pd.Series(np.where(beyond, sizes[1], both), index=out.index)
    scale = out["target"].map(lambda name: 2.0 if is_single(name) else 1.0)
    return out.assign(is_true=size >= FAINT, strong=size >= STRONG * scale - 1e-9, true_size=size)


# --- are stated detectable effects reached? ----------------------------------------------------

STATED_IN = "planted"
ENOUGH: Mapping[str, Sequence[str]] = {
    "supported": [verdicts.SUPPORTED],
    "suggested": [verdicts.SUPPORTED, verdicts.SUGGESTED],
    "seen as a change": [
        *(verdicts.SUPPORTED, verdicts.SUGGESTED),
        *(verdicts.DENERVATION, verdicts.COMPOSITION),
    ],
}


def reached(
    asked: Sequence[claims.Case], stated: pd.DataFrame, rules: verdicts.Rules
) -> pd.DataFrame:
    """Move effects by the smallest detectable ones that another replicate states, and decide again.

    A planted effect moves a block's effect, its adjusted effect and its Delta alike, and leaves
    their errors. One target is moved at a time, so that what the others' p-values leave of the
    multiplicity stays.

    Parameters
    ----------
    asked
        Cases of a replicate in which nothing moves these targets.
    stated
        Rows of the claims (``claim, test, target, expected, detectable_effect,
        detectable_basis``) of another one.

    Returns
    -------
    DataFrame
        ``claim, test, target, detectable_effect, detectable_basis, verdict, reason, passed``.
    """
    place = {(case.claim["id"], case.test["id"]): n for n, case in enumerate(asked)}
    found = []
    for row in stated.to_dict("records"):
        sign = -1.0 if row["expected"] == "down" else 1.0
        by = sign * row["detectable_effect"]
        there = [
            claims.moved(case, by, rules) if case.target == row["target"] else case
            for case in asked
        ]
        said = claims.decided(there, rules, [place[row["claim"], row["test"]]]).iloc[0]
        word = row["detectable_basis"].split(" by ")[0]
        told = {name: said[name] for name in ("verdict", "reason")}
        found.append({**row, **told, "passed": said["verdict"] in ENOUGH[word]})
    return pd.DataFrame(found)


def of_biopsies(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims with their tests in human biopsies alone;
    the others have no studies here.
    """
    kept = [
        {**claim, "tests": [{**test, "contexts": [CONTEXT]} for test in tests]}
        for claim in document["claims"]
        if (tests := [test for test in claim["tests"] if CONTEXT in test["contexts"]])
    ]
    return {**document, "claims": kept, "contexts": {CONTEXT: document["contexts"][CONTEXT]}}


# --- summary ---------------------------------------------------------------------------------


class _Lines:
    """Lines of the summary: ``arm, k, what, value, n, low, high, met``."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def add(self, arm: str, k: int, what: str, value: float, n: int, **bar: float) -> None:
        low, high = bar.get("low", np.nan), bar.get("high", np.nan)
        met = ""
        if bar:
            # Nothing to judge on is not a bar that was met.
            met = "not measured" if np.isnan(value) else "yes"
            if met == "yes" and (value < low or value > high):
                met = "no"
        keys = {"arm": arm, "k": k, "what": what, "value": value, "n": n}
        self.lines.append({**keys, "low": low, "high": high, "met": met})


def _by_arm(table: pd.DataFrame) -> Iterator[tuple[str, int, pd.DataFrame]]:
    for (arm, k), part in table.groupby(["arm", "k_planned"], sort=False):
        yield str(arm), int(str(k)), part


def _share(mask: pd.Series[bool]) -> float:
    return float(mask.mean()) if len(mask) else float("nan")


def _wrong(out: _Lines, arm: str, k: int, part: pd.DataFrame, verdict: str) -> None:
    """Share of rows with this verdict in which nothing was planted.

    Under composition, tests of cell content are right: the mixture holds more of those cells.
    """
    said = part[part["verdict"] == verdict]
    wrong = ~said["is_true"].astype(bool)
    if ARMS[arm].composition:
        wrong &= ~said["content"].astype(bool)
    bar = {"high": 0.05} if verdict == verdicts.SUPPORTED else {}
    fibre = said["subject"] == "myofibre"
    for chosen, whose in ((wrong, ""), (wrong[fibre], " about the myofibre")):
        # No row of this verdict: none is wrong, and the share is of nothing.
        value = _share(chosen) if len(chosen) else 0.0
        out.add(arm, k, f"wrong share of {verdict} rows{whose}", value, len(chosen), **bar)
    if verdict == verdicts.SUPPORTED and not ARMS[arm].planted:
        out.add(arm, k, "wrongly supported of all rows asked", wrong.sum() / len(part), len(part))
        # Where nothing is true every supported row is wrong, and its share is 0 or 1.
        draws = part["seed"].nunique()
        some = said.loc[wrong, "seed"].nunique() / draws
        out.add(arm, k, "replicates with a wrongly supported row", some, draws)


LABELS = ["arm", "k_planned", "seed"]
TEST = ["claim", "test"]
BARS = {3: (1 / 3, 1 / 5), 4: (1 / 2, 1 / 3)}


def summarise(tables: Replicate, reach: pd.DataFrame) -> pd.DataFrame:
    """Hold the bars: ``arm, k, what, value, n, low, high, met``."""
    out = _Lines()
    for arm, k, part in _by_arm(tables.rows):
        for verdict in (verdicts.SUPPORTED, verdicts.SUGGESTED):
            _wrong(out, arm, k, part, verdict)
        bars = BARS.get(k, ()) if arm == "planted" else ()
        for number, label in enumerate(("strong true rows", "strong intrinsic rows")):
            strong = part[part["strong"] & (part["sensitive"] if number else True)]
            if ARMS[arm].intrinsic:
                bar = {"low": bars[number]} if bars else {}
                told = _share(strong["verdict"] == verdicts.SUPPORTED)
                out.add(arm, k, f"{label} supported", told, len(strong), **bar)
        out.add(
            arm, k, "rows contradicted", _share(part["verdict"] == verdicts.CONTRADICTED), len(part)
        )
    for arm, k, part in _by_arm(tables.claims):
        against = _share(part["verdict"] == verdicts.CONTRADICTED)
        out.add(arm, k, "claims contradicted", against, len(part))
    for arm, k, part in _by_arm(tables.genes):
        bar = {"low": 100.0} if arm == "planted" else {}
        out.add(arm, k, "genes called, median", float(part["called"].median()), len(part), **bar)
        false = float((part["false"] / part["called"].clip(lower=1)).mean())
        bar = {} if ARMS[arm].composition else {"high": 0.05}
        out.add(arm, k, "false discovery proportion of genes, mean", false, len(part), **bar)
    for arm, k, part in _by_arm(tables.blocks):
        _coverage(out, arm, k, part)
    judged = tables.rows[tables.rows["delta"].notna()].drop_duplicates([*LABELS, "target"])
    for arm, k, part in _by_arm(judged):
        held = part["true_beyond"].between(part["delta_ci_low"], part["delta_ci_high"])
        out.add(arm, k, "coverage of pooled 95 % intervals of Delta", _share(held), len(part))
    for k, part in reach.groupby("k_planned") if len(reach) else ():
        what = "stated detectable effects reached"
        bar = {"low": 0.75, "high": 0.85}
        out.add(STATED_IN, int(str(k)), what, _share(part["passed"]), len(part), **bar)
    return pd.DataFrame(out.lines)


def _coverage(out: _Lines, arm: str, k: int, part: pd.DataFrame) -> None:
    part = part[part["k"] == k]
    mixed = ARMS[arm].composition
    for names, whose, bar in (
        (("ci_low", "ci_high"), "pooled 95 % intervals", {"low": 0.93, "high": 0.98}),
        (("bayes_ci_low", "bayes_ci_high"), "Bayesian intervals", {"low": 0.90}),
    ):
        held = part["truth"].between(part[names[0]], part[names[1]])
        what = f"coverage of {whose} of blocks"
        out.add(arm, k, what, _share(held), len(part), **({} if mixed else bar))
        large = part["truth"].abs() >= LARGE
        if ARMS[arm].planted and not mixed:
            out.add(arm, k, f"{what} moved by {LARGE:g} or more", _share(held[large]), large.sum())


def summarise_studies(rows: pd.DataFrame, each: pd.DataFrame) -> pd.DataFrame:
    """Recovery of block effects per study, raw and adjusted, and of OXPHOS pooled and adjusted."""
    out = _Lines()
    for arm, k, part in _by_arm(rows[rows["target"] == OXPHOS].drop_duplicates(LABELS)):
        bar = {"low": -0.8, "high": -0.3} if arm == "composition and planted" else {}
        out.add(arm, k, "OXPHOS as pooled, mean", float(part["effect"].mean()), len(part))
        value = float(part["adjusted_effect"].mean())
        out.add(arm, k, "OXPHOS adjusted for composition, mean", value, len(part), **bar)
        out.add(arm, k, "OXPHOS planted, mean", float(part["true_level"].mean()), len(part))
        if not ARMS[arm].denervation:
            continue
        # Denervation, in which OXPHOS falls, too, is planted on top of -0.6.
        rest, told = float(part["true_beyond"].mean()), float(part["delta_adjusted"].mean())
        out.add(arm, k, "OXPHOS beyond denervation, adjusted, mean", told, len(part), **bar)
        out.add(arm, k, "OXPHOS planted beyond denervation, mean", rest, len(part))
    for arm, part in each[each["role"] == "als_patient"].groupby("arm", sort=False):
        for label, end in (("raw", ""), ("adjusted", "_adjusted")):
            own = part[part[f"effect{end}"].notna() & part["truth"].notna()]
            low, high = own[f"ci_low{end}"], own[f"ci_high{end}"]
            null = own["truth"].abs() < FAINT
            beyond = ((low > 0) | (high < 0))[null]
            held = own["truth"].between(low, high)
            out.add(
                str(arm), 1, f"coverage of a study's intervals, {label}", _share(held), len(own)
            )
            out.add(
                str(arm), 1, f"null blocks called at 0.05, {label}", _share(beyond), len(beyond)
            )
    return pd.DataFrame(out.lines)


def _reach(material: Material, tables: Mapping[int, Tables], rows: pd.DataFrame) -> pd.DataFrame:
    """Hold what every replicate states against every other one.

    In the arm with denervation and intrinsic effects, so that there is a Delta; of targets that
    have no effect of their own, and that denervation does not move against the claim, or not at all
    where it is no alternative to it: what is missing for the verdict is the shift. Both replicates
    must have the same parts of the rule to pass.
    """
    level = rows["expected"].map({"up": 1.0, "down": -1.0}).fillna(1.0) * rows["true_level"]
    moved = level.where(~rows["sensitive"].astype(bool) | (level < 0), 0.0).abs()
    still = (rows["true_beyond"].abs() < FAINT) & (moved < FAINT)
    still_there = rows.loc[(rows["arm"] == STATED_IN) & still, ["seed", "k_planned", *TEST]]
    document, rules = of_biopsies(material.document), _rules(material)
    keep = [*TEST, "target", "expected", "detectable_effect", "detectable_basis"]
    parts = []
    for k in STUDIES if len(tables) > 1 else ():
        asked, stated = {}, {}
        for seed, of_all in tables.items():
            own = of_studies(of_all, {f"pseudo{n}" for n in range(REFERENCES + k)})
            asked[seed] = claims.cases(
                document, _evidence(own), own.contrasts, own.deltas, rules=rules
            )
            said = claims.decided(asked[seed], rules)[keep]
            said = said[said["detectable_effect"].notna() & said["detectable_basis"].ne("")]
            here = (still_there["seed"] == seed) & (still_there["k_planned"] == k)
            stated[seed] = said.merge(still_there.loc[here, TEST], on=TEST)
        for stating, tried in permutations(sorted(tables), 2):
            other = stated[tried][[*TEST, "detectable_basis"]]
            both = stated[stating].merge(other, on=[*TEST, "detectable_basis"])
            labels = {"stating": stating, "tried": tried, "k_planned": k}
            parts.append(reached(asked[tried], both, rules).assign(**labels))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _keep(path: Path, one: Replicate, tables: Tables) -> None:
    """Write a replicate's tables below ``path``, all or nothing."""
    part = path.with_name(path.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    both = (("", one._asdict()), ("synthesis_", tables._asdict()))
    for before, named in both:
        for name, table in named.items():
            table.reset_index(drop=True).to_parquet(part / f"{before}{name}.parquet")
    part.replace(path)


def _kept(path: Path) -> tuple[Replicate, Tables]:
    return (
        Replicate(*(pd.read_parquet(path / f"{name}.parquet") for name in Replicate._fields)),
        Tables(*(pd.read_parquet(path / f"synthesis_{name}.parquet") for name in Tables._fields)),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run or resume the calibration on real counts and write its tables and page."""
    import argparse
    import os

    from alsmuscle.core import files
    from alsmuscle.data import cards

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/calibration/real"))
    parser.add_argument("--mirror", default=os.environ.get("ALSMUSCLE_MIRROR", ""))
    parser.add_argument("--replicates", type=int, default=10)
    parser.add_argument("--seed", type=int, default=20260)
    parser.add_argument("--arms", nargs="*", choices=list(ARMS), default=list(ARMS))
    options = parser.parse_args(arguments)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    config = cards.load_yaml("config/config.yaml")
    material = read_material(Path("config"), options.mirror or None, config)
    for source, part in material.people.items():
        print(f"{source}: {part.n_obs} people")
    print(f"hardly any muscle: {', '.join(material.foreign.index)}", flush=True)
    kept: list[Replicate] = []
    stating: dict[int, Tables] = {}
    folder = options.out / "replicates"
    folder.mkdir(parents=True, exist_ok=True)
    # Replicate by replicate, so that a run that is stopped early holds some of every arm.
    for seed in range(options.seed, options.seed + options.replicates):
        for arm in options.arms:
            path = folder / f"{arm.replace(' ', '_')}_{seed}"
            if not path.is_dir():
                _keep(path, *replicate(material, arm, seed))
                print(arm, seed, flush=True)
            one, tables = _kept(path)
            kept.append(one)
            if arm == STATED_IN:
                stating[seed] = tables
    joined = Replicate(*(pd.concat(parts, ignore_index=True) for parts in zip(*kept, strict=True)))
    reach = _reach(material, stating, joined.rows)
    summary = pd.concat(
        [summarise(joined, reach), summarise_studies(joined.rows, joined.studies)],
        ignore_index=True,
    )
    for name, table in {**joined._asdict(), "reach": reach, "summary": summary}.items():
        text = table.to_csv(sep="\t", index=False, float_format="%.6g", lineterminator="\n")
        files.write_text(options.out / f"{name}.tsv", text)
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Calibration, real</title>'
    body = summary.to_html(index=False, float_format=lambda value: f"{value:.3g}", na_rep="")
    seeds = f"Seeds {options.seed} to {options.seed + options.replicates - 1}."
    files.write_text(
        options.out / "index.html",
        f"{head}<h1>Calibration on real counts</h1><p>Real people, planted truth. "
        f"{seeds}</p>{body}",
    )
    print(summary.to_string(index=False, float_format=lambda value: f"{value:.3g}"))


if __name__ == "__main__":
    main()
