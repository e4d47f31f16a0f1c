from alsmuscle import engines, io, log, registry

with log.job(snakemake.log[0]) as logger:
    measured = io.read_h5ad(snakemake.input.measured)
    options = {
        **snakemake.params.counts,
        "inference": snakemake.params.inference,
        "threads": snakemake.threads,
    }
    fits = {}
    for name, contrasts in registry.designs(snakemake.params.card).items():
        fits[name] = engines.fit(measured, contrasts[0], **options)
        logger.info("fitted %s: %d genes, %d samples", name, fits[name].n_vars, fits[name].n_obs)
    io.write_h5ad(snakemake.output.vst, engines.expression(measured, **options))
    io.write_h5ads(snakemake.output.fits, fits)
