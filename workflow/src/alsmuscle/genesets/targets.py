"""Single genes and ratios of two genes that claims test, in the shape of programme blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alsmuscle.core import files
from alsmuscle.genesets import programmes

GENE, RATIO = "GENE", "RATIO"


def gene_targets(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the targets of all claims that are genes or ratios (``GENE/...``, ``RATIO/...``)."""
    found = {test["target"] for claim in claims for test in claim["tests"]}
    return sorted(name for name in found if name.split("/")[0] in {GENE, RATIO})


def symbols(targets: Iterable[str]) -> list[str]:
    """Return the human symbols in ``GENE/...`` and ``RATIO/...:...`` targets."""
    return sorted({name for target in targets for name in target.split("/", 1)[1].split(":")})


def human_ids() -> dict[str, str]:
    """Return mouse gene id → id of its 1:1 human ortholog."""
    pairs = files.read_orthologs()
    return dict(zip(pairs["mouse_gene_id"], pairs["human_gene_id"], strict=True))


def target_ids(targets: Iterable[str], organisms: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return organism → {human symbol: gene id} of the claims' genes and ratios."""
    known = programmes.symbol_ids(symbols(targets), files.read_gene_table("human"))

    def of(organism: str) -> dict[str, str]:
        if organism == "human":
            return dict(known)
        to_mouse = {human: mouse for mouse, human in human_ids().items()}
        return {symbol: to_mouse[gene] for symbol, gene in known.items() if gene in to_mouse}

    return {organism: of(organism) for organism in organisms}


def gene_effects(
    de: pd.DataFrame, targets: Sequence[str], gene_ids: Mapping[str, str]
) -> pd.DataFrame:
    """Bring single genes and ratios of a table of gene effects into the shape of block effects.

    For tables without samples; where there are samples a ratio is fitted sample by sample
    (:func:`gene_members`, :mod:`alsmuscle.bulk.block_effects`).

    Parameters
    ----------
    de
        ``dataset, contrast, cell_type, gene_id, log2fc, lfc_se, df``.
    targets
        ``GENE/<human symbol>`` or ``RATIO/<symbol>:<symbol>`` (log2 of first over second).
    gene_ids
        Human symbol → gene id of the study's species; symbols without one are left out.

    Returns
    -------
    DataFrame
        ``dataset, contrast, cell_type, programme, block, stripped, effect, se, df`` with programme
        ``GENE`` or ``RATIO``. A ratio's error takes both genes as independent; its degrees of
        freedom are mixed after Satterthwaite.
    """
    asked = [gene_ids[symbol] for symbol in symbols(targets) if symbol in gene_ids]
    de = de[de["gene_id"].isin(asked)]
    wide = de.set_index(["dataset", "contrast", "cell_type", "gene_id"])[["log2fc", "lfc_se", "df"]]
    parts = []
    for target in targets:
        kind, name = target.split("/", 1)
        ids = [gene_ids.get(symbol) for symbol in name.split(":")]
        if any(gene is None for gene in ids):
            continue
        pieces = [
            wide.xs(gene, level="gene_id")
            for gene in ids
            if gene in wide.index.get_level_values("gene_id")
        ]
        if len(pieces) < len(ids):
            continue
        effect, variance = pieces[0]["log2fc"], pieces[0]["lfc_se"] ** 2
        df = pieces[0]["df"]
        if kind == RATIO:
            effect = effect - pieces[1]["log2fc"]
            own = [(piece["lfc_se"] ** 2, piece["df"].fillna(np.inf)) for piece in pieces]
            variance = own[0][0] + own[1][0]
            df = variance**2 / (own[0][0] ** 2 / own[0][1] + own[1][0] ** 2 / own[1][1])
            df = df.replace(np.inf, np.nan)
        rows = pd.DataFrame({"effect": effect, "se": np.sqrt(variance), "df": df}).reset_index()
        rows = rows.assign(programme=kind, block=name, stripped=False)
        parts.append(rows.dropna(subset=["effect", "se"]))
    columns = ["dataset", "contrast", "cell_type", "programme", "block", "stripped", "effect", "se"]
    columns += ["df"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def gene_members(targets: Sequence[str], gene_ids: Mapping[str, str]) -> pd.DataFrame:
    """Return genes and ratios in the shape of ``programmes.blocks``.

    ``programme, block, stripped`` (False)``, sign`` (of the gene in the number: -1 for the second
    gene of a ratio)``, gene_id, weight`` (of its log2 fold change). A target of which a gene has no
    counterpart in the species is left out.
    """
    rows = []
    for target in targets:
        kind, name = target.split("/", 1)
        ids = [gene_ids.get(symbol, "") for symbol in name.split(":")]
        if all(ids):
            rows += [
                (kind, name, False, sign, gene, float(sign))
                for gene, sign in zip(ids, (1, -1), strict=False)
            ]
    columns = ["programme", "block", "stripped", "sign", "gene_id", "weight"]
    return pd.DataFrame(rows, columns=columns)


def with_targets(members: pd.DataFrame, targets: Sequence[str], organism: str) -> pd.DataFrame:
    """Add the claims' genes and ratios to the genes of all blocks (``programmes.blocks``)."""
    own = gene_members(targets, target_ids(targets, [organism])[organism])
    return pd.concat([members, own], ignore_index=True) if len(own) else members


def with_human_ids(effects: pd.DataFrame, to_human: Mapping[str, str]) -> pd.DataFrame:
    """Add ``human_gene_id``: the gene's own id, or that of its 1:1 human ortholog, or empty."""
    human = effects["gene_id"].map(to_human)
    own = effects["gene_id"].where(effects["gene_id"].str.startswith("ENSG"))
    return effects.assign(human_gene_id=human.fillna(own).fillna(""))
