from alsmuscle import engines, io, log, registry

with log.job(snakemake.log[0]):
    contrast, trend = snakemake.params.contrast, snakemake.params.arrays["trend"]
    fitted = io.read_h5ads(snakemake.input.fits, registry.design_id(contrast))
    obs = io.read_h5ad(snakemake.input.measured).obs
    common = {
        "dataset": snakemake.wildcards.dataset,
        "trend": trend,
        "threads": snakemake.threads,
    }
    table = engines.test(fitted, obs, contrast, **common, **snakemake.params.de)
    engine, other = engines.second(fitted, obs, contrast, trend=trend)
    agreement = engines.agreement(table, other, engine=engine, alpha=snakemake.params.de["alpha"])
    # Small beside the imports: contrasts of one design each write the design's own.
    omnibus = engines.omnibus(fitted, obs, contrast, **common, **snakemake.params.omnibus)
    io.write_table(snakemake.output.engines, agreement, "engines")
    io.write_table(snakemake.output.omnibus, omnibus, "omnibus")
    io.write_table(snakemake.output.de, table, "de")
