"""A whole run in which nuclei say what tissue consists of, and effects are adjusted by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from alsmuscle.bulk.tables import BLOCK_EFFECTS
from alsmuscle.core import files
from alsmuscle.simulate.cells import TYPES
from alsmuscle.synthesis.tables import CLAIMS, PROPORTIONS, SHARES
from studies_of_runs import add, cells_study, nuclei, two_sound_studies
from support import ROOT, write_study

pytestmark = [pytest.mark.pipeline, pytest.mark.verify]

N_SIDE = 8
FIBRES = [name for name, (_, _, is_fibre) in TYPES.items() if is_fibre]
# Share of fibres in RNA: patients hold fewer, and nothing else differs.
HEALTHY, ALS = 0.85, 0.65


def _tissue(made: AnnData, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Mix the nuclei's own profiles to tissue: genes × samples, and each sample's fibre share."""
    rng = np.random.default_rng(seed)
    profiles = made.uns["truth"]["profiles"]
    fibre = np.repeat([HEALTHY, ALS], N_SIDE) + rng.normal(0, 0.04, 2 * N_SIDE)
    usual = pd.Series({name: share * rna for name, (share, rna, _) in TYPES.items()})
    inside = profiles.index.isin(FIBRES)
    parts = np.where(inside, usual / usual[inside].sum(), usual / usual[~inside].sum())
    weights = np.where(inside, fibre[:, None], 1 - fibre[:, None]) * parts
    # Tissue holds another amount of a gene's RNA than nuclei do.
    level = weights @ profiles.to_numpy() * rng.lognormal(0, 1, profiles.shape[1])
    mean = level / level.sum(axis=1, keepdims=True) * 3e6 * rng.uniform(0.8, 1.2, (2 * N_SIDE, 1))
    counts = rng.poisson(mean * rng.gamma(20, 1 / 20, mean.shape))
    names = [f"GSM{i + 1}" for i in range(2 * N_SIDE)]
    return pd.DataFrame(counts.T, profiles.columns, names), pd.Series(fibre, names)


def test_tissue_of_fewer_fibres_is_told_from_changed_fibres(tmp_path: Path) -> None:
    genes = files.read_gene_table("human").query("primary == '1' and symbol != ''")["symbol"]
    curated = files.read_plain(ROOT / "config" / "programmes.tsv")["human"]
    made = nuclei(
        per_donor=300,
        n_genes=3000,
        reserved=[gene for gene in curated if gene and not gene.startswith("MT-")],
        filler=genes[~genes.str.startswith("MT-")].sample(frac=1, random_state=0).tolist(),
    )
    project = two_sound_studies(tmp_path)
    add(project, "gse60", cells_study(tmp_path, "gse60", made) | {"simulated": True})
    shares = {}
    for study in ("gse61", "gse62", "gse63"):
        counts, shares[study] = _tissue(made, int(study[3:]))
        add(project, study, write_study(tmp_path / study, counts))
    # Sites and groups are one in these sheets; here that is not the question.
    project.config(lambda config: config["synthesis"]["contrasts"].update(include_confounded=True))
    run = project.snakemake("--quiet", "host")
    assert run.returncode == 0, run.stderr

    results = tmp_path / "results"
    found = files.read_table(results / "synthesis" / "shares.tsv", SHARES)
    assert set(found["reference"]) == {"gse60"}
    for study, own in found[found["lineage"] == "Myonuclei"].groupby("dataset"):
        if study in shares:
            told = own.set_index("sample_id")["share"]
            assert np.corrcoef(told, shares[study][told.index])[0, 1] > 0.9
            assert own["fit"].median() > 0.5

    adjusted = files.read_table(results / "synthesis" / "proportions.tsv", PROPORTIONS)
    key = ["programme", "block", "stripped"]
    false_raw, false_adjusted = [], []
    for study in shares:
        raw = files.read_table(
            results / "programmes" / study / "als_vs_healthy" / "block_effects.tsv", BLOCK_EFFECTS
        )
        own = adjusted[adjusted["dataset"] == study]
        assert (own["reason"] == "").all()
        both = raw[raw["n_mapped"] >= 3].merge(own, on=key, suffixes=("", "_by_shares"))
        false_raw.append((both["pvalue"] < 0.05).mean())
        false_adjusted.append((both["pvalue_by_shares"] < 0.05).mean())
        page = (results / "report" / "contrasts" / f"{study}.als_vs_healthy.html").read_text()
        assert "Adjusted by proportions" in page and "fibres" in page
    # Few of the blocks' genes follow the types of these nuclei.
    assert np.mean(false_raw) > 0.07
    assert np.mean(false_adjusted) < 0.06
    # The study of other genes and its reason.
    other = adjusted[adjusted["dataset"] == "gse1"]
    assert len(other) == 1 and other["reason"].iloc[0]

    claims = files.read_table(results / "synthesis" / "claims.tsv", CLAIMS)
    assert (claims["proportions_k"] == 3).any()
    tissue = claims[(claims["proportions_k"] >= 3) & ~claims["content"]]
    assert not (tissue["verdict"] == "supported").any()
