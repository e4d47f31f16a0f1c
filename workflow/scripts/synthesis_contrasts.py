from collections import defaultdict
from pathlib import Path

import pandas as pd

from alsmuscle.core import files, log
from alsmuscle.data import cards as registry
from alsmuscle.genesets import programmes
from alsmuscle.synthesis import claims, denervation
from alsmuscle.synthesis import targets as synthesis_io

with log.job(snakemake.log[0]) as logger:
    cards = snakemake.params.cards
    organisms = sorted({card["organism"] for card in cards.values()})
    listed = files.read_plain(snakemake.input.programmes)
    targets = claims.gene_targets(
        synthesis_io.read_claims(snakemake.input.claims, listed)["claims"]
    )
    ids = synthesis_io.target_ids(targets, organisms)
    members = {
        organism: programmes.blocks(listed, organism, files.read_gene_table(organism))
        for organism in organisms
    }

    def by_study(paths, contract):
        return {Path(path).parent.name: files.read_table(path, contract) for path in paths}

    samples = by_study(snakemake.input.samples, "samples")
    warned = by_study(snakemake.input.warnings, "warnings")
    effects = [
        denervation.usable_effects(files.read_table(path, "effects"))
        for path in snakemake.input.effects
    ]
    measured = denervation.gene_correlation(pd.concat(effects)) if effects else None
    facts = []
    single = defaultdict(list)
    parts = [denervation.with_intervals(table, "samples") for table in effects]
    admitted = {Path(path).parent.parent.name for path in snakemake.input.de}
    for path in snakemake.input.called:
        facts += denervation.list_facts(cards[Path(path).parent.name])
    for path in snakemake.input.de:
        de = files.read_table(path, "de")
        card = cards[Path(path).parent.parent.name]
        contrast = registry.contrast(card, Path(path).parent.name)
        published = card["modality"] == "effects"
        problem = denervation.superseded(card, admitted)
        facts.append(
            denervation.contrast_facts(
                card,
                contrast,
                samples=samples.get(card["id"]),
                warnings=warned.get(card["id"]),
                effects=de if published else None,
            )
            | ({"problem": problem} if problem else {})
        )
        if published:
            blocks = denervation.published_blocks(
                de,
                members[card["organism"]],
                inter_gene_correlation=snakemake.params.inter_gene_correlation,
                measured=measured,
            )
            usable = denervation.usable_effects(blocks)
            parts.append(denervation.with_intervals(usable, "published"))
        known = de["gene_id"].isin(ids[card["organism"]].values()) & (de["lfc_se"] > 0)
        single[card["organism"]].append(de[known])
    for organism, found in single.items():
        genes = claims.gene_effects(pd.concat(found), targets, ids[organism])
        parts.append(denervation.with_intervals(genes, "genes"))
    table = claims.contrast_table(pd.DataFrame(facts), **snakemake.params.contrasts)
    logger.info("%d of %d contrasts may be pooled", table["eligible"].sum(), len(table))
    blocks = pd.concat([part for part in parts if len(part)], ignore_index=True)
    files.write_table(snakemake.output.contrasts, table, "contrasts")
    files.write_table(snakemake.output.blocks, blocks, "blocks")
