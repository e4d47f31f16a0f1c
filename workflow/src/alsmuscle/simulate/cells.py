"""Simulated single-nucleus studies of muscle with planted truth.

Not built on the annotation's own assumptions: two of the twelve types are absent from the marker
panel, and a random 30 % of each type's panel markers are silent. Myonuclei share a strong
myofibre programme that also makes up the ambient soup, as in real muscle nuclei.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from anndata import AnnData

# Share of nuclei, RNA content relative to the mean, whether the type carries the myofibre
# programme. The two "Unlisted" types have no entry in any marker panel.
TYPES: dict[str, tuple[float, float, bool]] = {
    "Type I myonuclei": (0.26, 1.4, True),
    "Type IIA myonuclei": (0.24, 1.4, True),
    "FAP, pan": (0.13, 0.9, False),
    "Endothelial, capillary": (0.10, 0.7, False),
    "Pericyte": (0.05, 0.7, False),
    "Macrophage, resident LYVE1+": (0.05, 0.8, False),
    "Smooth muscle": (0.03, 0.8, False),
    "T cell": (0.02, 0.5, False),
    "Adipocyte": (0.02, 1.0, False),
    "Satellite cell, quiescent": (0.02, 0.7, False),
    "Unlisted A": (0.05, 0.8, False),
    "Unlisted B": (0.03, 0.7, False),
}
MYOFIBRE_GENES = ("ACTA1", "CKM", "MB", "TTN", "NEB", "TNNC2", "TNNT3", "TCAP", "DES", "MYLPF")
MITO_GENES = ("MT-CO1", "MT-CO2", "MT-CO3", "MT-ND1", "MT-ND4", "MT-CYB", "MT-ATP6", "MT-RNR2")


def _profiles(
    rng: np.random.Generator,
    symbols: pd.Index,
    markers: Mapping[str, list[str]],
    expressed_share: float,
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return expected expression shares (types x genes) and the markers each type expresses."""
    n_genes = len(symbols)
    named = {g for genes in markers.values() for g in genes}
    generic = np.flatnonzero(~symbols.isin(named | set(MYOFIBRE_GENES) | set(MITO_GENES)))
    base = rng.lognormal(-0.8, 1.5, n_genes)
    base[symbols.isin(named)] = rng.lognormal(-4.5, 0.7, int(symbols.isin(named).sum()))
    base[symbols.isin(MYOFIBRE_GENES)] = 0.02
    mito = symbols.isin(MITO_GENES)
    base[mito] = rng.lognormal(1.0, 0.5, int(mito.sum()))
    scale = base[generic].sum()

    myofibre_programme = rng.choice(generic, n_genes // 25, replace=False)
    myofibre_fold = rng.lognormal(1.2, 0.5, len(myofibre_programme))
    profiles, kept = {}, {}
    for name, (_, _, is_myofibre) in TYPES.items():
        profile = base.copy()
        own = rng.choice(generic, n_genes // 25, replace=False)
        profile[own] *= rng.lognormal(1.1, 0.6, len(own))
        if is_myofibre:
            profile[myofibre_programme] *= myofibre_fold
            fibre = symbols.isin(MYOFIBRE_GENES)
            profile[fibre] = scale * rng.lognormal(np.log(4e-3), 0.5, int(fibre.sum()))
        panel = markers.get(name, [])
        n_on = round(expressed_share * len(panel))
        on = list(rng.choice(panel, n_on, replace=False)) if panel else []
        for gene in on:
            profile[symbols.get_loc(gene)] = scale * rng.lognormal(np.log(4e-4), 0.6)
        profiles[name], kept[name] = profile / profile.sum(), on
    return pd.DataFrame(profiles, index=symbols).T, kept


def _draw(
    rng: np.random.Generator, share: np.ndarray[Any, Any], totals: np.ndarray[Any, Any], phi: float
) -> np.ndarray[Any, Any]:
    """Negative-binomial counts (nuclei x genes) around ``totals[:, None] * share``."""
    mean = totals[:, None] * share
    if phi > 0:
        mean = mean * rng.gamma(1 / phi, phi, mean.shape)
    drawn: np.ndarray[Any, Any] = rng.poisson(mean).astype(np.int32)
    return drawn


def simulate_nuclei(
    panel: pd.DataFrame,
    *,
    seed: int,
    n_donors: int = 12,
    nuclei_per_donor: int = 500,
    n_genes: int = 3000,
    median_counts: float = 2500,
    dispersion: float = 0.3,
    expressed_share: float = 0.7,
    affected: Mapping[str, int] | None = None,
    log2fc: float = 1.5,
    shifted: Mapping[str, float] | None = None,
    concentration: float = 150,
    doublet_rate: float = 0.06,
    ambient: tuple[float, float] = (0.05, 0.15),
    low_quality: bool = True,
    empty_droplets: int = 0,
    null: bool = False,
    reserved: Sequence[str] = (),
    filler: Sequence[str] = (),
    programmes: Mapping[str, Mapping[str, float]] | None = None,
) -> AnnData:
    """Simulate a two-group single-nucleus study of human muscle.

    Parameters
    ----------
    panel
        Marker panel (``celltypes.read_panel`` columns); its human positive markers name genes.
    seed
        Of everything that is drawn.
    n_donors, nuclei_per_donor, n_genes
        Size; donors alternate between ``ALS`` and ``control`` (at least 8 donors), one sample each.
    median_counts, dispersion
        Median UMI count of a nucleus before ambient RNA; extra-Poisson variance of a gene between
        nuclei of one type and donor.
    expressed_share
        Of each type's panel markers, what the type expresses at all.
    affected
        Cell type -> number of genes changed in ALS in that type only (half up, half down, by
        ``log2fc``); default 40 in type IIA myonuclei and 40 in FAPs. Panel markers stay out.
    shifted
        Cell type -> factor on its odds in ALS; default 4 for macrophages.
    concentration
        Dirichlet concentration of donor compositions (higher is more alike).
    doublet_rate, ambient
        Share of barcodes that hold two nuclei; range of a sample's ambient share of counts.
    low_quality
        Give the last donor a third of the RNA, 35 % ambient RNA and much mitochondrial RNA.
    empty_droplets
        Barcodes of ambient RNA alone per sample (20-80 counts), as in a raw matrix; marked in
        ``obs["true_empty"]``.
    null
        No effects and no composition shift.
    reserved, filler
        Symbols of genes that exist but never change at random, such as those of programmes, and of
        the other genes (``GENE00000`` and so on where they do not reach).
    programmes
        Cell type -> symbol -> log2 fold change in ALS, in that type only.

    Returns
    -------
    AnnData
        Integer CSR counts (barcodes x genes). ``obs``: ``sample_id, subject_id, condition, sex,
        true_type, true_doublet, true_empty, true_ambient``; ``var``: ``symbol`` over simulated
        ids; ``uns["truth"]``: ``de`` (cell_type, gene_id, log2fc), ``shifted``, ``markers_on``,
        ``low_quality``, ``profiles``, ``unlisted``.

    Raises ``ValueError`` for fewer than 8 donors or fewer genes than the panel needs.
    """
    if n_donors < 8:
        raise ValueError(f"a simulated study needs at least 8 donors, got {n_donors}")
    rng = np.random.default_rng(seed)
    human = panel[(panel["organism"] == "human") & (panel["kind"] != "negative")]
    markers = {str(name): sorted(set(group["gene"])) for name, group in human.groupby("cell_type")}
    named = sorted({*human["gene"], *MYOFIBRE_GENES, *MITO_GENES})
    symbols, n_fixed = _symbols(named, reserved, filler, n_genes)
    profiles, markers_on = _profiles(rng, symbols, markers, expressed_share)

    affected = {"Type IIA myonuclei": 40, "FAP, pan": 40} if affected is None else affected
    shifted = {"Macrophage, resident LYVE1+": 4.0} if shifted is None else shifted
    if null:
        affected, shifted, programmes = {}, {}, {}
    changeable = (np.arange(n_genes) >= n_fixed) & (profiles * median_counts > 0.3)
    effects = _planted(rng, symbols, changeable, affected, log2fc, programmes or {})
    settings = _Settings(
        nuclei_per_donor, median_counts, dispersion, concentration, doublet_rate, ambient,
        empty_droplets,
    )  # fmt: skip
    study = _study(rng, n_donors, low_quality, profiles, shifted, effects, settings)
    study.uns["simulated"] = True
    study.uns["truth"] = {
        "de": _truth(effects, study.var_names),
        "shifted": dict(shifted),
        "markers_on": markers_on,
        "low_quality": [f"S{n_donors:02d}"] if low_quality else [],
        "unlisted": [name for name in TYPES if name.startswith("Unlisted")],
        "profiles": profiles,
    }
    return study


Effects = dict[str, tuple[Any, Any]]
"""Cell type → places of genes, log2 fold changes in ALS."""


class _Settings(NamedTuple):
    """What all donors have in common; see :func:`simulate_nuclei`."""

    nuclei: int
    median_counts: float
    dispersion: float
    concentration: float
    doublet_rate: float
    ambient: tuple[float, float]
    empty_droplets: int


def _symbols(
    named: Sequence[str], reserved: Sequence[str], filler: Sequence[str], n_genes: int
) -> tuple[pd.Index, int]:
    """Return the genes' symbols, and how many of the first never change at random."""
    if n_genes < 2 * len(named):
        raise ValueError(f"n_genes must be at least {2 * len(named)} to hold the panel")
    reserved = [g for g in dict.fromkeys(reserved) if g not in set(named)]
    taken = {*named, *reserved}
    generic = [*reserved, *(g for g in dict.fromkeys(filler) if g not in taken)]
    generic += [f"GENE{i:05d}" for i in range(n_genes - len(named) - len(generic))]
    symbols = pd.Index([*named, *generic[: n_genes - len(named)]], name="symbol")
    return symbols, len(named) + len(reserved)


def _truth(effects: Effects, gene_ids: pd.Index) -> pd.DataFrame:
    planted = [
        pd.DataFrame({"cell_type": name, "gene_id": gene_ids[chosen], "log2fc": change})
        for name, (chosen, change) in effects.items()
    ]
    if not planted:
        return pd.DataFrame(columns=["cell_type", "gene_id", "log2fc"])
    return pd.concat(planted, ignore_index=True)


def _planted(
    rng: np.random.Generator,
    symbols: pd.Index,
    changeable: pd.DataFrame,
    affected: Mapping[str, int],
    log2fc: float,
    programmes: Mapping[str, Mapping[str, float]],
) -> Effects:
    """Choose which genes change in which type: those named, and ``affected`` drawn ones."""
    effects: Effects = {}
    for name, changes in programmes.items():
        there = [gene for gene in changes if gene in symbols]
        change = np.array([changes[gene] for gene in there], dtype=float)
        effects[name] = (symbols.get_indexer(pd.Index(there)), change)
    for name, n_changed in affected.items():
        chosen = rng.choice(np.flatnonzero(changeable.loc[name]), n_changed, replace=False)
        change = np.where(np.arange(n_changed) % 2 == 0, log2fc, -log2fc)
        if name in effects:
            chosen, change = (
                np.append(former, new)
                for former, new in zip(effects[name], (chosen, change), strict=True)
            )
        effects[name] = (chosen, change)
    return effects


def _study(
    rng: np.random.Generator,
    n_donors: int,
    low_quality: bool,
    profiles: pd.DataFrame,
    shifted: Mapping[str, float],
    effects: Effects,
    settings: _Settings,
) -> AnnData:
    """Draw all donors, ALS and control in turn."""
    from alsmuscle.core.annotated import AnnData, sparse

    blocks, frames = [], []
    for donor in range(n_donors):
        counts, frame = _donor(
            rng,
            donor,
            profiles,
            shifted if donor % 2 == 0 else {},
            effects if donor % 2 == 0 else {},
            settings,
            bad=low_quality and donor == n_donors - 1,
        )
        blocks.append(sparse.csr_matrix(counts))
        frames.append(frame)
    symbols = profiles.columns.rename("symbol")
    gene_ids = pd.Index([f"SIM{i:08d}" for i in range(len(symbols))], name="gene_id")
    return AnnData(
        sparse.vstack(blocks, format="csr"),
        obs=pd.concat(frames),
        var=pd.DataFrame({"symbol": symbols, "source_id": gene_ids}, index=gene_ids),
    )


def _donor(
    rng: np.random.Generator,
    donor: int,
    profiles: pd.DataFrame,
    shifted: Mapping[str, float],
    effects: Effects,
    settings: _Settings,
    *,
    bad: bool,
) -> tuple[np.ndarray[Any, Any], pd.DataFrame]:
    """Draw one donor's barcodes: counts (nuclei, then empty droplets, x genes) and their truth."""
    nuclei, empty = settings.nuclei, settings.empty_droplets
    shares = np.array([share for share, _, _ in TYPES.values()])
    content = np.array([rna for _, rna, _ in TYPES.values()])
    odds = shares * [shifted.get(t, 1.0) for t in TYPES]
    composition = rng.dirichlet(settings.concentration * odds / odds.sum())
    # A donor's genes differ from another's in every type (shared) and in each type.
    donor_effect = rng.lognormal(0, 0.15, profiles.shape[1])
    mean = profiles.to_numpy() * donor_effect * rng.lognormal(0, 0.1, profiles.shape)
    for name, (chosen, change) in effects.items():
        mean[list(TYPES).index(name), chosen] *= 2.0**change
    mean /= mean.sum(axis=1, keepdims=True)

    doublet = rng.random(nuclei) < settings.doublet_rate
    types = rng.choice(len(TYPES), nuclei, p=composition)
    totals = settings.median_counts * content[types] * rng.lognormal(0, 0.4, nuclei)
    totals *= 0.33 if bad else 1.0
    counts = _draw(rng, mean[types], totals, settings.dispersion)
    partner = rng.choice(len(TYPES), int(doublet.sum()), p=composition)
    partner_totals = totals[doublet] / content[types[doublet]] * content[partner]
    counts[doublet] += _draw(rng, mean[partner], partner_totals, settings.dispersion)

    soup = (composition * content) @ mean
    soup[profiles.columns.isin(MITO_GENES)] *= 8 if bad else 3  # cytoplasm leaks into the soup
    soup /= soup.sum()
    rho = 0.35 if bad else rng.uniform(*settings.ambient)
    soup_totals = rho / (1 - rho) * np.median(totals) * rng.lognormal(0, 0.2, nuclei)
    own = counts.sum(axis=1)
    counts += _draw(rng, soup[None, :], soup_totals, 0)
    droplets = _draw(rng, soup[None, :], rng.uniform(20, 80, empty), 0)

    nothing = np.zeros(empty, dtype=bool)
    frame = pd.DataFrame(
        {
            "sample_id": f"S{donor + 1:02d}",
            "subject_id": f"D{donor + 1:02d}",
            "condition": "control" if donor % 2 else "ALS",
            "sex": "female" if (donor // 2) % 2 else "male",
            "true_type": [*np.array(list(TYPES))[types], *["empty"] * empty],
            "true_doublet": np.concatenate([doublet, nothing]),
            "true_empty": np.concatenate([np.zeros(nuclei, bool), ~nothing]),
            "true_ambient": [*(1 - own / counts.sum(axis=1)), *np.ones(empty)],
        },
        index=[f"S{donor + 1:02d}:N{i:05d}" for i in range(nuclei + empty)],
    )
    return np.vstack([counts, droplets]), frame


# Large and alike enough that satellite cells, at 2 %, reach the ten nuclei that a sample needs.
DEMO: dict[str, Any] = {
    "n_donors": 12,
    "nuclei_per_donor": 800,
    "n_genes": 3000,
    "concentration": 500,
}
# What is planted beside the defaults: activated satellite cells, as if reinnervation had failed.
DEMO_PROGRAMME = ("Satellite cell, quiescent", "SC_ACTIVATION", "activated_up", 1.5)


def demo_study(
    panel: pd.DataFrame, curated: pd.DataFrame, genes: pd.DataFrame, *, seed: int
) -> AnnData:
    """Simulate the demo's nuclei: real symbols everywhere, one programme planted in one type.

    Parameters
    ----------
    panel, curated, genes
        ``config/celltypes.tsv``, ``config/programmes.tsv`` and the human gene table.
    """
    cell_type, programme, block, log2fc = DEMO_PROGRAMME
    chosen = curated[(curated["programme"] == programme) & (curated["block"] == block)]
    in_panel = set(panel.loc[panel["kind"] != "negative", "gene"])
    changes = {gene: log2fc for gene in chosen["human"] if gene and gene not in in_panel}
    known = genes.loc[genes["primary"].astype(str) == "1", "symbol"]
    other = known[(known != "") & ~known.str.startswith("MT-")].sort_values(ignore_index=True)
    return simulate_nuclei(
        panel,
        seed=seed,
        reserved=[gene for gene in curated["human"] if gene and not gene.startswith("MT-")],
        # A fixed draw over the alphabet: neighbours in it are one family.
        filler=other.sample(frac=1, random_state=0).tolist(),
        programmes={cell_type: changes},
        **DEMO,
    )


def as_deposited(study: AnnData) -> AnnData:
    """Return what an archive would hold: counts, symbols, the sample of each barcode; no truth."""
    from alsmuscle.core.annotated import AnnData

    return AnnData(
        study.X,
        obs=study.obs[["sample_id"]],
        var=pd.DataFrame(index=pd.Index(study.var["symbol"].to_numpy(dtype=object))),
    )


def truth_tables(study: AnnData) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the truth per barcode and per changed gene (``cell_type, symbol, log2fc``)."""
    columns = ["sample_id", "true_type", "true_doublet", "true_ambient"]
    nuclei = study.obs[columns].rename_axis("barcode").reset_index()
    genes = study.uns["truth"]["de"].assign(symbol=lambda t: t["gene_id"].map(study.var["symbol"]))
    return nuclei, genes[["cell_type", "symbol", "log2fc"]]
