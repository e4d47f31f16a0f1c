from pathlib import Path

from alsmuscle.bulk.tables import BLOCK_EFFECTS, DE
from alsmuscle.core import files, log
from alsmuscle.data.tables import SAMPLES, WARNINGS
from alsmuscle.genesets import programmes
from alsmuscle.genesets.targets import gene_targets, target_ids
from alsmuscle.synthesis import blocks, contrasts, targets
from alsmuscle.synthesis.tables import BLOCKS, CONTRASTS

with log.job(snakemake.log[0]) as logger:
    cards, inputs = snakemake.params.cards, snakemake.input
    listed = files.read_plain(inputs.programmes)
    asked = gene_targets(targets.read_claims(inputs.claims, listed)["claims"])
    organisms = sorted({card["organism"] for card in cards.values()})

    def by_study(paths, contract):
        return {Path(path).parent.name: files.read_table(path, contract) for path in paths}

    names = {(Path(p).parent.parent.name, Path(p).parent.name): p for p in inputs.de}
    published = {
        name: files.read_table(path, DE)
        for name, path in names.items()
        if cards[name[0]]["modality"] == "effects"
    }
    samples, warnings = by_study(inputs.samples, SAMPLES), by_study(inputs.warnings, WARNINGS)
    lists = [Path(path).parent.name for path in inputs.called]
    facts = contrasts.all_facts(cards, names, published, samples, warnings, lists)
    table = contrasts.contrast_table(facts, **snakemake.params.contrasts)
    logger.info("%d of %d contrasts may be pooled", table["eligible"].sum(), len(table))
    genes = {
        name: programmes.blocks(listed, name, files.read_gene_table(name)) for name in organisms
    }
    effects = (files.read_table(path, BLOCK_EFFECTS) for path in inputs.effects)
    found = blocks.gather(
        *(cards, effects, published.values(), genes, target_ids(asked, organisms), asked),
        block_correlation=snakemake.params.block_correlation,
    )
    files.write_table(snakemake.output.contrasts, table, CONTRASTS)
    files.write_table(snakemake.output.blocks, found, BLOCKS)
