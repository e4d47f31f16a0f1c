from alsmuscle import de, engines, io, log, registry

with log.job(snakemake.log[0]):
    contrast = snakemake.params.contrast
    fitted = io.read_h5ads(snakemake.input.fits, registry.design_id(contrast))
    obs = io.read_h5ad(snakemake.input.counts).obs
    table = de.test(
        fitted,
        obs,
        contrast,
        dataset=snakemake.wildcards.dataset,
        threads=snakemake.threads,
        **snakemake.params.de,
    )
    agreement = engines.agreement(
        table,
        engines.second(fitted, obs, contrast),
        engine="voom",
        alpha=snakemake.params.de["alpha"],
    )
    io.write_table(snakemake.output.engines, agreement, "engines")
    io.write_table(snakemake.output.de, table, "de")
