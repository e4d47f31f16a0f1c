from alsmuscle import io, log, study_arrays

with log.job(snakemake.log[0]):
    manifest = io.read_table(snakemake.input.manifest, "manifest")
    adata, samples, excluded = study_arrays.read_arrays(snakemake.params.card, manifest)
    io.write_h5ad(snakemake.output.intensities, adata)
    io.write_table(snakemake.output.samples, samples, "samples")
    io.write_table(snakemake.output.excluded, excluded, "excluded")
