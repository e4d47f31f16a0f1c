from alsmuscle import account, io, log, study

with log.job(snakemake.log[0]):
    card = snakemake.params.card
    manifest = io.read_table(snakemake.input.manifest, "manifest")
    counts, samples, excluded = study.read_bulk(card, manifest)
    warnings = account.design_faults(card, counts.obs, snakemake.params.min_replicates)
    completeness = account.completeness(card, counts, excluded)
    io.write_table(snakemake.output.warnings, warnings, "warnings")
    io.write_table(snakemake.output.completeness, completeness, "completeness")
    io.write_table(snakemake.output.samples, samples, "samples")
    io.write_table(snakemake.output.excluded, excluded, "excluded")
    io.write_h5ad(snakemake.output.counts, counts)
