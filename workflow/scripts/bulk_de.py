from alsmuscle import engines, io, log, registry

with log.job(snakemake.log[0]):
    contrast, options = snakemake.params.contrast, snakemake.params.de
    trend = snakemake.params.arrays["trend"]
    fitted = io.read_h5ads(snakemake.input.fits, registry.design_id(contrast))
    obs = io.read_h5ad(snakemake.input.measured).obs
    table = engines.test(
        fitted,
        obs,
        contrast,
        dataset=snakemake.wildcards.dataset,
        trend=trend,
        threads=snakemake.threads,
        **options,
    )
    engine, other = engines.second(fitted, obs, contrast, trend=trend)
    agreement = engines.agreement(table, other, engine=engine, alpha=options["alpha"])
    io.write_table(snakemake.output.engines, agreement, "engines")
    io.write_table(snakemake.output.de, table, "de")
