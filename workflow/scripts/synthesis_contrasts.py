from collections import defaultdict
from pathlib import Path

import pandas as pd

from alsmuscle import claims, io, log, programmes, registry, synthesis, synthesis_io

with log.job(snakemake.log[0]) as logger:
    cards = snakemake.params.cards
    organisms = sorted({card["organism"] for card in cards.values()})
    listed = io.read_plain(snakemake.input.programmes)
    targets = claims.gene_targets(
        synthesis_io.read_claims(snakemake.input.claims, listed)["claims"]
    )
    ids = synthesis_io.target_ids(targets, organisms)
    members = {
        organism: programmes.blocks(listed, organism, io.read_gene_table(organism))
        for organism in organisms
    }

    def by_study(paths, contract):
        return {Path(path).parent.name: io.read_table(path, contract) for path in paths}

    samples = by_study(snakemake.input.samples, "samples")
    warned = by_study(snakemake.input.warnings, "warnings")
    effects = [
        synthesis.usable_effects(io.read_table(path, "effects")) for path in snakemake.input.effects
    ]
    measured = synthesis.gene_correlation(pd.concat(effects)) if effects else None
    facts = []
    single = defaultdict(list)
    parts = [synthesis.with_intervals(table, "samples") for table in effects]
    admitted = {Path(path).parent.parent.name for path in snakemake.input.de}
    for path in snakemake.input.called:
        facts += synthesis.list_facts(cards[Path(path).parent.name])
    for path in snakemake.input.de:
        de = io.read_table(path, "de")
        card = cards[Path(path).parent.parent.name]
        contrast = registry.contrast(card, Path(path).parent.name)
        published = card["modality"] == "effects"
        problem = synthesis.superseded(card, admitted)
        facts.append(
            synthesis.contrast_facts(
                card,
                contrast,
                samples=samples.get(card["id"]),
                warnings=warned.get(card["id"]),
                effects=de if published else None,
            )
            | ({"problem": problem} if problem else {})
        )
        if published:
            blocks = synthesis.published_blocks(
                de,
                members[card["organism"]],
                inter_gene_correlation=snakemake.params.inter_gene_correlation,
                measured=measured,
            )
            parts.append(synthesis.with_intervals(blocks, "published"))
        known = de["gene_id"].isin(ids[card["organism"]].values()) & (de["lfc_se"] > 0)
        single[card["organism"]].append(de[known])
    for organism, found in single.items():
        genes = claims.gene_effects(pd.concat(found), targets, ids[organism])
        parts.append(synthesis.with_intervals(genes, "genes"))
    table = claims.contrast_table(pd.DataFrame(facts), **snakemake.params.contrasts)
    logger.info("%d of %d contrasts may be pooled", table["eligible"].sum(), len(table))
    blocks = pd.concat([part for part in parts if len(part)], ignore_index=True)
    io.write_table(snakemake.output.contrasts, table, "contrasts")
    io.write_table(snakemake.output.blocks, blocks, "blocks")
