from alsmuscle import de, engines, io, log, registry

with log.job(snakemake.log[0]):
    contrast, dataset = snakemake.params.contrast, snakemake.wildcards.dataset
    fitted = io.read_h5ads(snakemake.input.fits, registry.design_id(contrast))
    obs = io.read_h5ad(snakemake.input.counts).obs
    table = de.test(
        fitted,
        obs,
        contrast,
        dataset=dataset,
        threads=snakemake.threads,
        **snakemake.params.de,
    )
    agreement = engines.agreement(
        table,
        engines.second(fitted, obs, contrast),
        engine="voom",
        alpha=snakemake.params.de["alpha"],
    )
    # Small beside the imports: contrasts of one design each write the design's own.
    omnibus = de.omnibus(
        fitted,
        obs,
        contrast,
        dataset=dataset,
        threads=snakemake.threads,
        **snakemake.params.omnibus,
    )
    io.write_table(snakemake.output.engines, agreement, "engines")
    io.write_table(snakemake.output.omnibus, omnibus, "omnibus")
    io.write_table(snakemake.output.de, table, "de")
