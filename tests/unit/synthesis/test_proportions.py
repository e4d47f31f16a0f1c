"""Estimated proportions over all studies: which reference describes what, and what cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from alsmuscle.bulk import engines
from alsmuscle.bulk.proportions import Reference
from alsmuscle.core import files
from alsmuscle.synthesis import proportions
from alsmuscle.synthesis.tables import PROPORTIONS, SHARES

GENES = [f"G{i:02d}" for i in range(60)]
TYPES = {"Type I myonuclei": "Myonuclei", "FAP, pan": "FAP", "T cell": "Lymphocytes"}
MEMBERS = pd.DataFrame(
    [("P", "fibre", False, 1, gene) for gene in GENES[10:14]]
    + [("P", "fat", False, 1, gene) for gene in GENES[30:34]],
    columns=["programme", "block", "stripped", "sign", "gene_id"],
)


def reference(dataset: str, donors: int = 4, reason: str = "") -> Reference:
    """Each type has twenty genes of its own."""
    values = np.full((3, 60), 10.0)
    for number in range(3):
        values[number, 20 * number : 20 * number + 20] = 1000.0
    return Reference(dataset, pd.DataFrame(values, list(TYPES), GENES), TYPES, donors, 99, reason)


def samples(n: int) -> pd.DataFrame:
    names = [f"s{i}" for i in range(2 * n)]
    table = pd.DataFrame({"sample_id": names, "subject_id": names})
    # Columns of a study are text in its table.
    scores = [str(i % 5) for i in range(2 * n)]
    return table.assign(condition=np.repeat(["als", "control"], n), score=scores)


def fit(n: int, contrast: dict[str, Any]) -> AnnData:
    """Tissue that lacks fibres in patients."""
    rng = np.random.default_rng(n)
    table = samples(n).astype({"score": float}).set_index("sample_id", drop=False)
    fibre = np.where(table["condition"] == "als", rng.uniform(0.4, 0.6, 2 * n), 0.8)
    fat = (1 - fibre) * rng.uniform(0.5, 0.9, 2 * n)
    mean = np.c_[fibre, fat, 1 - fibre - fat] @ reference("x").profiles.to_numpy()
    counts = rng.negative_binomial(40, 40 / (40 + mean))
    study = AnnData(counts, obs=table, var=pd.DataFrame({"symbol": GENES}, index=GENES))
    study.var["source_id"] = GENES
    return engines.fit(study, contrast, min_total=1, inference="batched")


def contrast(name: str, **more: Any) -> dict[str, Any]:
    sides = {"variable": "condition", "target": "als", "reference": "control"}
    return {"id": name, "role": "als_patient"} | sides | more


def card(name: str, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    base = {"id": name, "organism": "human", "modality": "bulk", "role": "als_patient"}
    return base | {"contrasts": list(entries)} | more


def table(*rows: tuple[str, str], **more: Any) -> pd.DataFrame:
    base = {"modality": "bulk", "sample_kind": "bulk_tissue", "role": "als_patient"}
    return pd.DataFrame(rows, columns=["dataset", "contrast"]).assign(**(base | more))


def run(
    studies: dict[str, dict[str, Any]],
    contrasts: pd.DataFrame,
    *references: Reference,
    sizes: dict[str, int] | None = None,
) -> proportions.Found:
    from alsmuscle.data import cards

    def read(name: str, design: str) -> AnnData:
        full = cards.designs(studies[name])[design][0]
        return fit((sizes or {}).get(name, 6), full)

    source = proportions.Sources(read, lambda name: samples((sizes or {}).get(name, 6)))
    members = {"human": MEMBERS, "mouse": MEMBERS}
    return proportions.adjusted(references, studies, contrasts, source, members, min_replicates=3)


def test_missing_fibres_are_told_and_adjusted_for(tmp_path):
    studies = {"a1": card("a1", contrast("x"), contrast("y")), "n1": card("n1", modality="cells")}
    found = run(studies, table(("a1", "x"), ("a1", "y")), reference("n1"))
    for name, contract in (("shares", SHARES), ("effects", PROPORTIONS)):
        path = tmp_path / f"{name}.tsv"
        files.write_table(path, getattr(found, name), contract)
        assert len(files.read_table(path, contract)) == len(getattr(found, name))
    shares = found.shares
    assert len(shares) == 2 * 12 * 3
    assert set(shares["reference"]) == {"n1"}
    assert shares["fit"].between(0.8, 1).all()
    fibre = shares[(shares["lineage"] == "Myonuclei") & (shares["contrast"] == "x")]
    mean = fibre.groupby("side")["share"].mean()
    assert mean["target"] == pytest.approx(0.5, abs=0.08)
    assert mean["reference"] == pytest.approx(0.8, abs=0.05)
    effects = found.effects[found.effects["contrast"] == "x"].set_index("block")
    assert list(effects.index) == ["fibre", "fat"]
    assert (effects["reason"] == "").all()
    assert (effects["effect"].abs() < 0.4).all()  # raw: -0.7 and more than 1
    assert (effects["ci_low"] < 0).all() and (effects["ci_high"] > 0).all()


def test_a_reference_describes_its_own_species_and_simulated_tissue_only():
    studies = {
        "human1": card("human1", contrast("x")),
        "mouse1": card("mouse1", contrast("x"), organism="mouse"),
        "made1": card("made1", contrast("x"), simulated=True),
        "n1": card("n1", modality="cells"),
        "n2": card("n2", modality="cells"),
        "n3": card("n3", modality="cells", simulated=True),
    }
    contrasts = table(("human1", "x"), ("mouse1", "x"), ("made1", "x"))
    found = run(studies, contrasts, reference("n1"), reference("n2", donors=5), reference("n3"))
    taken = found.effects.groupby("dataset")["reference"].unique().map(list).to_dict()
    assert taken == {"human1": ["n2"], "made1": ["n3"]}


def test_other_samples_than_muscle_tissue_are_left_alone():
    studies = {"a1": card("a1", contrast("x")), "n1": card("n1", modality="cells")}
    for more in (
        {"sample_kind": "cultured_cells"},
        {"modality": "array"},
        {"role": "not_muscle"},
    ):
        found = run(studies, table(("a1", "x"), **more), reference("n1"))
        assert found.shares.empty and found.effects.empty
    nothing = run(studies, table(("a1", "x")))
    assert list(nothing.shares) == list(SHARES.columns)
    assert list(nothing.effects) == list(PROPORTIONS.columns)


def test_what_cannot_be_adjusted_has_one_row_that_says_why(tmp_path):
    number = {"id": "z", "kind": "continuous", "variable": "score", "unit": "point"}
    studies = {
        "a1": card("a1", contrast("x"), number),
        "few1": card("few1", contrast("x")),
        "tiny1": card("tiny1", contrast("x")),
        "n1": card("n1", modality="cells"),
    }
    contrasts = table(("a1", "x"), ("a1", "z"), ("few1", "x"), ("tiny1", "x"))
    found = run(studies, contrasts, reference("n1"), sizes={"few1": 2, "tiny1": 1})
    reasons = found.effects.groupby("dataset")["reason"].first()
    assert reasons["a1"] == ""
    assert found.effects.loc[found.effects["contrast"] == "z", "effect"].notna().all()
    assert reasons["few1"] == "too few donors a side for a test"
    assert reasons["tiny1"] == "the study's model leaves no residual degree of freedom"
    own = found.effects[found.effects["dataset"] == "few1"]
    assert len(own) == 1
    assert own["effect"].isna().all() and (own["block"] == "").all()
    # Its proportions are known all the same.
    assert (found.shares["dataset"] == "few1").sum() == 4 * 3
    broken = run(studies, table(("a1", "x")), reference("n1", reason="no fibres"))
    assert broken.effects["reason"].tolist() == ["no fibres"]
    assert broken.shares.empty
    files.write_table(tmp_path / "effects.tsv", broken.effects, PROPORTIONS)
    files.write_table(tmp_path / "shares.tsv", broken.shares, SHARES)


def test_effects_stand_beside_those_of_whole_tissue():
    blocks = pd.DataFrame(
        [("a1", "x", kind, "P", block, False, 1.0) for kind, block in
         (("muscle", "fibre"), ("muscle", "other"), ("FAP, pan", "fibre"))],
        columns=["dataset", "contrast", "cell_type", "programme", "block", "stripped", "effect"],
    )  # fmt: skip
    own = pd.DataFrame(
        [
            ("a1", "x", "P", "fibre", False, 0.3, 0.1, 9.0),
            ("b1", "x", "", "", False, *[np.nan] * 3),
        ],
        columns=["dataset", "contrast", "programme", "block", "stripped", "effect", "se", "df"],
    )
    found = proportions.beside(blocks, own)
    assert found[list(blocks)].equals(blocks)
    assert found["effect_proportions"].tolist()[0] == 0.3
    assert found["effect_proportions"].isna().tolist() == [False, True, True]
    assert list(found.columns[-3:]) == ["effect_proportions", "se_proportions", "df_proportions"]
