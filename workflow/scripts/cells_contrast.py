from alsmuscle.bulk.tables import BLOCK_EFFECTS, DE
from alsmuscle.cells import contrasts
from alsmuscle.cells.tables import COMPOSITION, TYPES
from alsmuscle.core import files, outcome
from alsmuscle.data.tables import SAMPLES
from alsmuscle.genesets import programmes, targets
from alsmuscle.genesets.tables import EFFECTS

with outcome.job(snakemake) as logger:
    dataset, organism = snakemake.wildcards.dataset, snakemake.params.organism
    contrast, de = snakemake.params.contrast, snakemake.params.de
    members = programmes.blocks(
        files.read_plain(snakemake.input.programmes), organism, files.read_gene_table(organism)
    )
    found = contrasts.contrasts_by_type(
        files.read_h5ad(snakemake.input.pseudobulk),
        contrast,
        members,
        targets.with_targets(members, snakemake.params.targets, organism),
        dataset=dataset,
        counts=snakemake.params.counts,
        de_options=de,
        programme_options=snakemake.params.programmes,
        seed=snakemake.params.seed,
        threads=snakemake.threads,
    )
    for cell_type, reason in found.left_out.items():
        logger.info("%s: no contrast, %s", cell_type, reason)
    shares = contrasts.compare_composition(
        files.read_table(snakemake.input.types, TYPES),
        files.read_table(snakemake.input.samples, SAMPLES).set_index("sample_id"),
        contrast,
        dataset=dataset,
        min_donors=de["min_replicates"],
        **snakemake.params.composition,
    )
    files.write_table(snakemake.output.effects, found.effects, EFFECTS)
    files.write_table(snakemake.output.block_effects, found.blocks, BLOCK_EFFECTS)
    files.write_table(snakemake.output.composition, shares, COMPOSITION)
    files.write_table(snakemake.output.de, found.de, DE)
