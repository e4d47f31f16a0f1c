from alsmuscle import de, io, log, registry

with log.job(snakemake.log[0]):
    contrast = snakemake.params.contrast
    table = de.test(
        io.read_h5ads(snakemake.input.fits, registry.design_id(contrast)),
        io.read_h5ad(snakemake.input.counts).obs,
        contrast,
        dataset=snakemake.wildcards.dataset,
        threads=snakemake.threads,
        **snakemake.params.de,
    )
    io.write_table(snakemake.output.de, table, "de")
