from alsmuscle import account, io, log, study_arrays

with log.job(snakemake.log[0]):
    card = snakemake.params.card
    manifest = io.read_table(snakemake.input.manifest, "manifest")
    intensities, samples, excluded = study_arrays.read_arrays(card, manifest)
    warnings = account.design_faults(card, intensities.obs, snakemake.params.min_replicates)
    completeness = account.completeness(card, intensities, excluded)
    io.write_table(snakemake.output.warnings, warnings, "warnings")
    io.write_table(snakemake.output.completeness, completeness, "completeness")
    io.write_table(snakemake.output.samples, samples, "samples")
    io.write_table(snakemake.output.excluded, excluded, "excluded")
    io.write_h5ad(snakemake.output.intensities, intensities)
